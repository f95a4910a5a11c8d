//! A chart as a person sees it in a terminal, drawn with Unicode blocks: a bar in each row, lines as mountains, a
//! heatmap in shades.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::model::{Cell, Chart, Layer, Marks, Role, Row, Slot, State, drawable, part_heights};
use super::render::normalize;
use crate::numbers::format_number;

/// Eighths of a character cell, from the left.
const LEFT_EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// Eighths of a character cell, from the bottom.
const LOWER_EIGHTHS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The parts of a bar, the densest first; as many as a chart has series.
const SHADES: [char; 13] = [
    '█', '▓', '▒', '░', '▚', '#', '=', '+', 'o', 'x', '-', ':', '.',
];

/// What stands where nothing is known.
const UNKNOWN: char = '╱';

/// What stands behind a value that may still grow.
const PROVISIONAL: char = '?';

/// More rows than this scroll away what stands above them.
const MOST_ROWS: usize = 50;

/// A bar or line need not be as wide as a wide terminal.
const MOST_COLUMNS: usize = 60;

/// Rows of a single line, and of each of several.
const LINE_ROWS: usize = 8;
const SMALL_LINE_ROWS: usize = 2;

/// Names longer than this are cut.
const LONGEST_NAME: usize = 24;

/// The width of the terminal that stdout is, or 80.
pub fn width() -> usize {
    terminal_size::terminal_size().map_or(80, |(width, _)| width.0.into())
}

/// The chart in lines of text. `columns` is the terminal's width.
pub fn draw(chart: &Chart, columns: usize) -> String {
    match &chart.marks {
        Marks::Bars(layers) => bars(chart, layers, columns),
        Marks::Lines(layers) | Marks::Bands(layers) => lines(chart, layers, columns),
        Marks::Cells(rows) => heatmap(chart, rows, columns),
    }
}

/// A line for each slot: label, number and a bar as long as the number is large.
fn bars(chart: &Chart, layers: &[Layer], columns: usize) -> String {
    let shown = &chart.slots[..chart.slots.len().min(MOST_ROWS)];
    let totals: Vec<Option<f64>> = (0..shown.len())
        .map(|slot| total(chart, layers, slot))
        .collect();
    let decimals = decimals(totals.iter().flatten());
    let numbers: Vec<String> = totals
        .iter()
        .map(|total| total.map_or("–".to_owned(), |total| format_number(total, decimals)))
        .collect();
    let labels = labels(shown);
    let label_width = widest(&labels);
    let number_width = widest(&numbers);
    let room = columns
        .saturating_sub(label_width + number_width + 6)
        .clamp(10, MOST_COLUMNS);
    let largest = totals.iter().flatten().copied().fold(0.0, f64::max);
    let mut out = legend(layers, columns);
    for (slot, label) in labels.iter().enumerate() {
        let pad = " ".repeat(label_width - label.width());
        let number = &numbers[slot];
        let number_pad = " ".repeat(number_width - number.width());
        let bar = match totals[slot] {
            None => UNKNOWN.to_string().repeat(3),
            Some(_) => bar(layers, slot, largest, room),
        };
        let still = match (shown[slot].state, totals[slot]) {
            (State::Provisional, Some(_)) => format!(" {PROVISIONAL}"),
            _ => String::new(),
        };
        let line = format!("  {label}{pad}  {number_pad}{number}  {bar}{still}");
        out += line.trim_end();
        out.push('\n');
    }
    if chart.slots.len() > shown.len() {
        out += &format!("  … and {} more\n", chart.slots.len() - shown.len());
    }
    out + &words(chart, shown)
}

/// The height of a bar; `None` where nothing is known of it.
fn total(chart: &Chart, layers: &[Layer], slot: usize) -> Option<f64> {
    let is_missing = chart.slots[slot].state == State::Missing;
    let values = layers.iter().filter_map(|layer| value(layer, slot));
    values.reduce(|a, b| a + b).filter(|_| !is_missing)
}

fn value(layer: &Layer, slot: usize) -> Option<f64> {
    drawable(layer.values.get(slot).copied().flatten())
}

/// A shade for each layer; what is beyond them is one.
fn shade(layers: &[Layer], place: usize) -> char {
    match layers.len() {
        1 => SHADES[0],
        // The main part as it always is, errors in another shade.
        2 if layers[0].role == Role::Errors => SHADES[(place + 2) % 3],
        _ => SHADES[place.min(SHADES.len() - 1)],
    }
}

/// The shades and their names, in lines no wider than the terminal.
fn legend(layers: &[Layer], columns: usize) -> String {
    if layers.len() < 2 {
        return String::new();
    }
    let entries = layers.iter().enumerate().map(|(place, layer)| {
        let shade = shade(layers, place);
        format!("  {shade} {}", cut(&layer.name))
    });
    let mut out = String::new();
    let mut width = 0;
    for entry in entries {
        if width > 0 && width + entry.width() > columns {
            out.push('\n');
            width = 0;
        }
        width += entry.width();
        out += &entry;
    }
    out + "\n"
}

fn bar(layers: &[Layer], slot: usize, largest: f64, room: usize) -> String {
    let parts: Vec<(usize, f64)> = layers
        .iter()
        .enumerate()
        .filter_map(|(place, layer)| Some((place, value(layer, slot)?)))
        .filter(|&(_, value)| value > 0.0)
        .collect();
    let sum: f64 = parts.iter().map(|(_, value)| value).sum();
    if sum == 0.0 || largest <= 0.0 {
        return String::new();
    }
    let eighths = ((sum / largest * room as f64 * 8.0).round() as usize).clamp(1, room * 8);
    if layers.len() == 1 {
        let mut bar = SHADES[0].to_string().repeat(eighths / 8);
        if !eighths.is_multiple_of(8) {
            bar.push(LEFT_EIGHTHS[eighths % 8 - 1]);
        }
        return bar;
    }
    // At least a cell for each part where the bar has so many, so that none is unseen.
    let cells = (eighths as i32 + 4) / 8;
    let values: Vec<f64> = parts.iter().map(|&(_, value)| value).collect();
    let lengths = part_heights(&values, cells.max(1), 1);
    let pairs = parts.iter().zip(lengths);
    let part = |((place, _), length): (&(usize, f64), i32)| {
        shade(layers, *place)
            .to_string()
            .repeat(usize::try_from(length).unwrap_or_default())
    };
    pairs.map(part).collect()
}

/// Each line as a mountain over the slots, with its highest and lowest values beside it.
fn lines(chart: &Chart, layers: &[Layer], columns: usize) -> String {
    let slots = chart.slots.len();
    let rows = match layers.len() {
        1 => LINE_ROWS,
        _ => SMALL_LINE_ROWS,
    };
    let values = || {
        layers
            .iter()
            .flat_map(|layer| (0..slots).filter_map(|slot| value(layer, slot)))
    };
    let largest = values().fold(0.0, f64::max);
    let all: Vec<f64> = values().collect();
    let decimals = decimals(all.iter());
    let names: Vec<String> = layers
        .iter()
        .map(|layer| {
            if layers.len() > 1 {
                cut(&layer.name)
            } else {
                String::new()
            }
        })
        .collect();
    let top = |layer: &Layer| {
        let values = (0..slots).filter_map(|slot| value(layer, slot));
        let highest = values.reduce(f64::max);
        highest.map_or("–".to_owned(), |highest| format_number(highest, decimals))
    };
    let tops: Vec<String> = layers.iter().map(top).collect();
    let margin = widest(&names).max(widest(&tops)).max(1);
    let room = columns
        .saturating_sub(margin + 5)
        .clamp(10, 3 * MOST_COLUMNS);
    // As many columns for each slot as there is room for, or several slots in one.
    let each = (room.min(2 * MOST_COLUMNS) / slots.max(1)).clamp(1, 4);
    let per_column = slots.div_ceil(room).max(1);
    let mut out = String::new();
    for ((layer, name), top) in layers.iter().zip(&names).zip(&tops) {
        let heights: Vec<Option<usize>> = (0..slots)
            .step_by(per_column)
            .map(|first| {
                let slots = first..(first + per_column).min(slots);
                let highest = slots
                    .filter_map(|slot| value(layer, slot))
                    .reduce(f64::max)?;
                let share = if largest > 0.0 {
                    highest.max(0.0) / largest
                } else {
                    0.0
                };
                Some((share * (rows * 8) as f64).round() as usize)
            })
            .collect();
        for row in (0..rows).rev() {
            let label = match row {
                _ if row + 1 == rows => top.as_str(),
                0 if layers.len() == 1 => "0",
                0 => name.as_str(),
                _ => "",
            };
            let pad = " ".repeat(margin - label.width());
            let cells: String = heights
                .iter()
                .flat_map(|&height| std::iter::repeat_n(mountain(height, row), each))
                .collect();
            out += format!("  {pad}{label} ┤{cells}").trim_end();
            out.push('\n');
        }
    }
    let pad = " ".repeat(margin + 4);
    let labels = axis_labels(&chart.slots, each, per_column);
    out += format!("{pad}{labels}").trim_end();
    out.push('\n');
    out + &words(chart, &chart.slots)
}

/// What a column of this height, in eighths of a row, has in a row.
fn mountain(height: Option<usize>, row: usize) -> char {
    match height {
        None if row == 0 => UNKNOWN,
        None => ' ',
        Some(height) => match height.saturating_sub(row * 8) {
            0 if row == 0 => LOWER_EIGHTHS[0],
            0 => ' ',
            eighths => LOWER_EIGHTHS[eighths.min(8) - 1],
        },
    }
}

/// The labels below columns, as many as do not touch.
fn axis_labels(slots: &[Slot], each: usize, per_column: usize) -> String {
    let longest = widest(&labels(slots)) + 1;
    let step = longest.div_ceil(each).max(1) * per_column;
    // Hours are read best in steps of three or six.
    let step = [1, 2, 3, 6, 12, 24]
        .into_iter()
        .find(|&nice| nice >= step)
        .unwrap_or(step);
    let mut line = String::new();
    for (place, slot) in slots.iter().enumerate().step_by(step) {
        let column = place / per_column * each;
        let pad = column.saturating_sub(line.width());
        line += &" ".repeat(pad);
        line += &cut(&slot.label);
    }
    line.trim_end().to_owned()
}

/// A row for each row of the grid; the denser the shade, the more.
fn heatmap(chart: &Chart, rows: &[Row], columns: usize) -> String {
    let shown = &rows[..rows.len().min(MOST_ROWS)];
    let label = |row: &Row| cut(format!("{} {}", row.label, row.note).trim_end());
    let labels: Vec<String> = shown.iter().map(label).collect();
    let margin = widest(&labels);
    let values = || {
        shown
            .iter()
            .flat_map(|row| &row.cells)
            .filter_map(|&cell| known(cell))
    };
    let most = values().fold(0.0, f64::max);
    let slots = chart.slots.len().max(1);
    let each = (columns.saturating_sub(margin + 4) / slots).clamp(1, 3);
    let mut out = String::new();
    for (row, label) in shown.iter().zip(&labels) {
        let pad = " ".repeat(margin - label.width());
        let cells: String = row
            .cells
            .iter()
            .map(|&cell| {
                let mut shades = vec![dense(cell, most); each];
                if let (Cell::Provisional(_), Some(last)) = (cell, shades.last_mut()) {
                    *last = PROVISIONAL;
                }
                String::from_iter(shades)
            })
            .collect();
        out += format!("  {label}{pad}  {cells}").trim_end();
        out.push('\n');
    }
    let pad = " ".repeat(margin + 4);
    out += &format!("{pad}{}\n", axis_labels(&chart.slots, each, 1));
    if rows.len() > shown.len() {
        out += &format!("  … and {} more\n", rows.len() - shown.len());
    }
    let scale: String = (0..5)
        .rev()
        .map(|step| dense_share(f64::from(5 - step) / 5.0))
        .collect();
    let key = format_number(most, decimals(values().collect::<Vec<_>>().iter()));
    out += &format!("{pad}0 ·{scale} {key}\n");
    let any = |wanted: fn(&Cell) -> bool| shown.iter().flat_map(|row| &row.cells).any(wanted);
    let mut signs = Vec::new();
    if any(|cell| matches!(cell, Cell::Provisional(_))) {
        signs.push(format!("{PROVISIONAL} {}", chart.words.provisional));
    }
    if any(|cell| *cell == Cell::Missing) {
        signs.push(format!("{UNKNOWN} {}", chart.words.no_data));
    }
    match signs.is_empty() {
        true => out,
        false => out + &format!("{pad}{}\n", signs.join("  ")),
    }
}

fn known(cell: Cell) -> Option<f64> {
    match cell {
        Cell::Value(value) | Cell::Provisional(value) => drawable(Some(value)),
        Cell::Missing | Cell::Absent => None,
    }
}

fn dense(cell: Cell, most: f64) -> char {
    match known(cell) {
        Some(value) if value > 0.0 && most > 0.0 => dense_share(value / most),
        Some(_) => '·',
        None if cell == Cell::Absent => ' ',
        None => UNKNOWN,
    }
}

fn dense_share(share: f64) -> char {
    let steps = ['░', '▒', '▓', '█'];
    steps[((share * 4.0).ceil() as usize).clamp(1, 4) - 1]
}

/// What the signs of unknown and provisional values mean, where there are any.
fn words(chart: &Chart, shown: &[Slot]) -> String {
    let provisional = shown.iter().any(|slot| slot.state == State::Provisional);
    let is_missing = |slot: usize| {
        let state = chart.slots[slot].state;
        let layers = chart.marks.layers();
        state == State::Missing || layers.iter().all(|layer| value(layer, slot).is_none())
    };
    let missing = (0..shown.len()).any(is_missing);
    let mut parts = Vec::new();
    if provisional && matches!(chart.marks, Marks::Bars(_)) {
        parts.push(format!("{PROVISIONAL} {}", chart.words.provisional));
    }
    if missing {
        parts.push(format!("{UNKNOWN} {}", chart.words.no_data));
    }
    match parts.is_empty() {
        true => String::new(),
        false => format!("  {}\n", parts.join("  ")),
    }
}

fn labels(slots: &[Slot]) -> Vec<String> {
    slots.iter().map(|slot| cut(&slot.label)).collect()
}

fn widest(texts: &[String]) -> usize {
    texts.iter().map(|text| text.width()).max().unwrap_or(0)
}

/// A decimal where any of the values has one.
fn decimals<'a>(mut values: impl Iterator<Item = &'a f64>) -> usize {
    usize::from(values.any(|value| value.fract() != 0.0))
}

/// The text in the room of a name. It may be of anybody's log: what would move the cursor or ring a bell is left out.
fn cut(text: &str) -> String {
    let text = normalize(text);
    if text.width() <= LONGEST_NAME {
        return text;
    }
    // The middle goes, as beginnings and ends tell names apart.
    let head = longest(text.chars(), (LONGEST_NAME - 1) * 2 / 5);
    let tail = longest(text.chars().rev(), LONGEST_NAME - 1 - head.width());
    let tail: String = tail.chars().rev().collect();
    format!("{}…{}", head.trim_end(), tail.trim_start())
}

/// As many of the characters as fit.
fn longest(chars: impl Iterator<Item = char>, room: usize) -> String {
    let mut width = 0;
    let fits = |c: &char| {
        width += c.width().unwrap_or(0);
        width <= room
    };
    chars.take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::super::model::{Look, Words};
    use super::*;

    fn chart(labels: &[&str], marks: Marks) -> Chart {
        let slots = labels.iter().map(|label| Slot {
            label: (*label).to_owned(),
            group: String::new(),
            state: State::Settled,
            note: String::new(),
        });
        Chart {
            look: Look {
                width: 1600,
                height: 900,
                scale: 1.0,
                theme: crate::job::Theme::Light,
            },
            title: String::new(),
            badge: String::new(),
            subtitle: String::new(),
            x_label: String::new(),
            y_label: String::new(),
            unit: String::new(),
            slots: slots.collect(),
            marks,
            earlier: None,
            words: Words {
                no_data: "no data".to_owned(),
                provisional: "provisional".to_owned(),
            },
            sources: Default::default(),
            footer: String::new(),
        }
    }

    fn layer(name: &str, values: &[Option<f64>]) -> Layer {
        Layer {
            name: name.to_owned(),
            role: Role::Main,
            values: values.to_vec(),
        }
    }

    #[test]
    fn bars_are_in_proportion_and_zero_has_none() {
        let values = [Some(0.0), Some(1.0), Some(1600.0), None, Some(800.0)];
        let mut chart = chart(
            &["00", "01", "02", "03", "04"],
            Marks::Bars(vec![layer("", &values)]),
        );
        chart.slots[4].state = State::Provisional;
        let expected = "\
\x20 00      0
  01      1  ▏
  02  1,600  ████████████████
  03      –  ╱╱╱
  04    800  ████████ ?
  ? provisional  ╱ no data
";
        assert_eq!(draw(&chart, 29), expected);
    }

    #[test]
    fn parts_of_a_bar_have_their_shades_and_none_is_unseen() {
        let errors = Layer {
            role: Role::Errors,
            ..layer("errors", &[Some(1.0), Some(0.0)])
        };
        let rest = layer("rest", &[Some(99.0), Some(50.0)]);
        let drawn = draw(&chart(&["00", "01"], Marks::Bars(vec![errors, rest])), 31);
        let expected = "\
\x20 ▒ errors  █ rest
  00  100  ▒███████████████████
  01   50  ██████████
";
        assert_eq!(drawn, expected);
    }

    #[test]
    fn many_parts_stay_in_their_room_and_have_shades_of_their_own() {
        let layers: Vec<Layer> = (0..13)
            .map(|part| layer(&format!("a-service-{part}"), &[Some(1.0), Some(20.0)]))
            .collect();
        let drawn = draw(&chart(&["00", "01"], Marks::Bars(layers)), 80);
        let widest = drawn.lines().map(UnicodeWidthStr::width).max();
        assert!(widest <= Some(80), "{drawn}");
        let bars: Vec<&str> = drawn.lines().rev().take(2).collect();
        assert!(
            SHADES.iter().all(|shade| bars[0].contains(*shade)),
            "{drawn}"
        );
        let cells = bars[1].chars().filter(|c| SHADES.contains(c)).count();
        assert_eq!(cells, 3, "a twentieth of the highest: {drawn}");
    }

    #[test]
    fn a_log_can_not_write_to_the_terminal() {
        let text = "a\u{1b}[2Jb\nc\u{7}";
        let layers = || vec![layer(text, &[Some(1.0)]), layer("other", &[Some(2.0)])];
        let rows = vec![Row {
            label: text.to_owned(),
            note: text.to_owned(),
            cells: vec![Cell::Value(1.0)],
        }];
        for marks in [
            Marks::Bars(layers()),
            Marks::Lines(layers()),
            Marks::Cells(rows),
        ] {
            let drawn = draw(&chart(&[text], marks), 80);
            assert!(!drawn.contains(['\u{1b}', '\u{7}']), "{drawn:?}");
            assert!(
                drawn.lines().all(|line| !line.starts_with('c')),
                "{drawn:?}"
            );
        }
    }

    #[test]
    fn a_line_is_a_mountain_and_several_are_small_ones() {
        let values = [Some(0.0), Some(40.0), Some(80.0), None];
        let one = chart(
            &["00", "01", "02", "03"],
            Marks::Lines(vec![layer("", &values)]),
        );
        let drawn = draw(&one, 20);
        let lines: Vec<&str> = drawn.lines().collect();
        assert_eq!(lines[0], "  80 ┤      ███");
        assert_eq!(lines[7], "   0 ┤▁▁▁██████╱╱╱");
        assert_eq!(lines[8], "      00 01 02 03");
        let several = Marks::Lines(vec![layer("p50", &values), layer("p95", &values)]);
        let drawn = draw(&chart(&["00", "01", "02", "03"], several), 20);
        assert_eq!(drawn.lines().count(), 6, "{drawn}");
        assert!(
            drawn.contains("p50 ┤") && drawn.contains("p95 ┤"),
            "{drawn}"
        );
    }

    #[test]
    fn a_heatmap_is_denser_where_there_is_more() {
        let cells = vec![
            Cell::Value(0.0),
            Cell::Value(1.0),
            Cell::Value(100.0),
            Cell::Missing,
            Cell::Absent,
            Cell::Provisional(60.0),
        ];
        let grid = Marks::Cells(vec![Row {
            label: "11-21 (토)".to_owned(),
            note: String::new(),
            cells,
        }]);
        let drawn = draw(&chart(&["00", "01", "02", "03", "04", "05"], grid), 30);
        let expected = "\
\x20 11-21 (토)  ··░░██╱╱  ▓?
              00  02  04
              0 ·░▒▓██ 100
              ? provisional  ╱ no data
";
        assert_eq!(drawn, expected, "{drawn}");
    }

    #[test]
    fn wide_labels_line_up_and_many_rows_are_cut() {
        let values = [Some(1.0), Some(1.0)];
        let text = draw(
            &chart(&["주문", "a"], Marks::Bars(vec![layer("", &values)])),
            40,
        );
        let columns: Vec<usize> = text
            .lines()
            .map(|line| line.split('█').next().unwrap().width())
            .collect();
        assert_eq!(columns[0], columns[1]);
        let many = chart(&["x"; 80], Marks::Bars(vec![layer("", &[Some(1.0); 80])]));
        assert!(draw(&many, 40).ends_with("  … and 30 more\n"));
        assert_eq!(draw(&chart(&[], Marks::Bars(vec![])), 40), "");
        assert_eq!(cut(&"가".repeat(30)).width(), LONGEST_NAME - 1);
    }
}
