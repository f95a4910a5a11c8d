//! A figure in a terminal, drawn with Unicode blocks: bars as rows, lines as areas, a heatmap in shades.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::model::{Category, Cell, DataState, Figure, Layer, MOST_SERIES, Marks, Role, Row};
use super::stack::part_heights;
use super::text::normalize;
use crate::numbers::format_number;

/// Eighths of a character cell, from the left.
const LEFT_EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// Eighths of a character cell, from the bottom.
const LOWER_EIGHTHS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The parts of a bar, the densest first: one for each series, and one for the sum of all others.
const SHADES: [char; MOST_SERIES + 1] = [
    '█', '▓', '▒', '░', '▚', '#', '=', '+', 'o', 'x', '-', ':', '.',
];

/// Stands for a missing value.
const MISSING: char = '╱';

/// Stands behind a provisional value.
const PROVISIONAL: char = '?';

/// More rows would scroll the heading away.
const MOST_ROWS: usize = 50;

/// Bars and lines are no wider than this, in a terminal of any width.
const MOST_COLUMNS: usize = 60;

/// The height of a single line in rows, and that of each of several.
const LINE_ROWS: usize = 8;
const SMALL_LINE_ROWS: usize = 2;

/// Longer names are cut.
const LONGEST_NAME: usize = 24;

/// The width of the terminal, or 80 if there is none.
pub fn width() -> usize {
    terminal_size::terminal_size().map_or(80, |(width, _)| width.0.into())
}

/// The figure as lines of text. `columns` is the terminal's width.
pub fn draw(figure: &Figure, columns: usize) -> String {
    match &figure.marks {
        Marks::Bars(layers) => bars(figure, layers, columns),
        Marks::Lines(layers) | Marks::Bands(layers) => lines(figure, layers, columns),
        Marks::Cells(rows) => heatmap(figure, rows, columns),
    }
}

/// A line for each category: label, number and bar.
fn bars(figure: &Figure, layers: &[Layer], columns: usize) -> String {
    let shown = &figure.categories[..figure.categories.len().min(MOST_ROWS)];
    let totals: Vec<Option<f64>> = (0..shown.len())
        .map(|category| total(figure, layers, category))
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
    for (category, label) in labels.iter().enumerate() {
        let pad = " ".repeat(label_width - label.width());
        let number = &numbers[category];
        let number_pad = " ".repeat(number_width - number.width());
        let bar = match totals[category] {
            None => MISSING.to_string().repeat(3),
            Some(_) => bar(layers, category, largest, room),
        };
        let sign = match (shown[category].state, totals[category]) {
            (DataState::Provisional, Some(_)) => format!(" {PROVISIONAL}"),
            _ => String::new(),
        };
        let line = format!("  {label}{pad}  {number_pad}{number}  {bar}{sign}");
        out += line.trim_end();
        out.push('\n');
    }
    if figure.categories.len() > shown.len() {
        out += &format!("  … and {} more\n", figure.categories.len() - shown.len());
    }
    out + &state_key(figure, shown)
}

/// The height of a bar; `None` if it is missing.
fn total(figure: &Figure, layers: &[Layer], category: usize) -> Option<f64> {
    let values = layers.iter().filter_map(|layer| layer.value(category));
    let total = values.reduce(|a, b| a + b);
    total.filter(|_| !figure.is_missing(category))
}

/// The shade of a layer.
fn shade(layers: &[Layer], place: usize) -> char {
    match layers.len() {
        1 => SHADES[0],
        // The main part is as dense as in a bar without errors.
        2 if layers[0].role == Role::Errors => SHADES[(place + 2) % 3],
        _ => SHADES[place.min(SHADES.len() - 1)],
    }
}

/// The shades with their names, in lines no wider than the terminal.
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

fn bar(layers: &[Layer], category: usize, largest: f64, room: usize) -> String {
    let parts: Vec<(usize, f64)> = layers
        .iter()
        .enumerate()
        .filter_map(|(place, layer)| Some((place, layer.value(category)?)))
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
    // Each part has at least one cell, if the bar has that many, so that all are visible.
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

/// Each line as an area over the categories, with its highest value beside it.
fn lines(figure: &Figure, layers: &[Layer], columns: usize) -> String {
    let categories = figure.categories.len();
    let rows = match layers.len() {
        1 => LINE_ROWS,
        _ => SMALL_LINE_ROWS,
    };
    let values = || {
        layers
            .iter()
            .flat_map(|layer| (0..categories).filter_map(|category| layer.value(category)))
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
        let values = (0..categories).filter_map(|category| layer.value(category));
        let highest = values.reduce(f64::max);
        highest.map_or("–".to_owned(), |highest| format_number(highest, decimals))
    };
    let tops: Vec<String> = layers.iter().map(top).collect();
    let margin = widest(&names).max(widest(&tops)).max(1);
    let room = columns
        .saturating_sub(margin + 5)
        .clamp(10, 3 * MOST_COLUMNS);
    // Several columns for each category, or several categories in one column.
    let each = (room.min(2 * MOST_COLUMNS) / categories.max(1)).clamp(1, 4);
    let per_column = categories.div_ceil(room).max(1);
    let mut out = String::new();
    for ((layer, name), top) in layers.iter().zip(&names).zip(&tops) {
        let heights: Vec<Option<usize>> = (0..categories)
            .step_by(per_column)
            .map(|first| {
                let categories = first..(first + per_column).min(categories);
                let highest = categories
                    .filter_map(|category| layer.value(category))
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
                .flat_map(|&height| std::iter::repeat_n(area(height, row), each))
                .collect();
            out += format!("  {pad}{label} ┤{cells}").trim_end();
            out.push('\n');
        }
    }
    let pad = " ".repeat(margin + 4);
    let labels = axis_labels(&figure.categories, each, per_column);
    out += format!("{pad}{labels}").trim_end();
    out.push('\n');
    out + &state_key(figure, &figure.categories)
}

/// The character in a row of a column that is `height` eighths of a row high.
fn area(height: Option<usize>, row: usize) -> char {
    match height {
        None if row == 0 => MISSING,
        None => ' ',
        Some(height) => match height.saturating_sub(row * 8) {
            0 if row == 0 => LOWER_EIGHTHS[0],
            0 => ' ',
            eighths => LOWER_EIGHTHS[eighths.min(8) - 1],
        },
    }
}

/// The labels below the columns, as many as do not overlap.
fn axis_labels(categories: &[Category], each: usize, per_column: usize) -> String {
    let longest = widest(&labels(categories)) + 1;
    let step = longest.div_ceil(each).max(1) * per_column;
    // Steps that divide a day, for hours.
    let step = [1, 2, 3, 6, 12, 24]
        .into_iter()
        .find(|&nice| nice >= step)
        .unwrap_or(step);
    let mut line = String::new();
    for (place, category) in categories.iter().enumerate().step_by(step) {
        let column = place / per_column * each;
        let pad = column.saturating_sub(line.width());
        line += &" ".repeat(pad);
        line += &cut(&category.label);
    }
    line.trim_end().to_owned()
}

/// A line for each row of the grid, the shade denser for higher values.
fn heatmap(figure: &Figure, rows: &[Row], columns: usize) -> String {
    let shown = &rows[..rows.len().min(MOST_ROWS)];
    let label = |row: &Row| cut(format!("{} {}", row.label, row.note).trim_end());
    let labels: Vec<String> = shown.iter().map(label).collect();
    let margin = widest(&labels);
    let values = || {
        shown
            .iter()
            .flat_map(|row| &row.cells)
            .filter_map(|cell| cell.value())
    };
    let most = values().fold(0.0, f64::max);
    let categories = figure.categories.len().max(1);
    let each = (columns.saturating_sub(margin + 4) / categories).clamp(1, 3);
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
    out += &format!("{pad}{}\n", axis_labels(&figure.categories, each, 1));
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
        signs.push(format!("{PROVISIONAL} {}", figure.state_labels.provisional));
    }
    if any(|cell| *cell == Cell::Missing) {
        signs.push(format!("{MISSING} {}", figure.state_labels.no_data));
    }
    match signs.is_empty() {
        true => out,
        false => out + &format!("{pad}{}\n", signs.join("  ")),
    }
}

fn dense(cell: Cell, most: f64) -> char {
    match cell.value() {
        Some(value) if value > 0.0 && most > 0.0 => dense_share(value / most),
        Some(_) => '·',
        None if cell == Cell::Absent => ' ',
        None => MISSING,
    }
}

fn dense_share(share: f64) -> char {
    let steps = ['░', '▒', '▓', '█'];
    steps[((share * 4.0).ceil() as usize).clamp(1, 4) - 1]
}

/// The signs of missing and provisional values and what they mean, if the figure has such values.
fn state_key(figure: &Figure, shown: &[Category]) -> String {
    let provisional = shown
        .iter()
        .any(|category| category.state == DataState::Provisional);
    let missing = (0..shown.len()).any(|category| figure.is_missing(category));
    let mut parts = Vec::new();
    if provisional && matches!(figure.marks, Marks::Bars(_)) {
        parts.push(format!("{PROVISIONAL} {}", figure.state_labels.provisional));
    }
    if missing {
        parts.push(format!("{MISSING} {}", figure.state_labels.no_data));
    }
    match parts.is_empty() {
        true => String::new(),
        false => format!("  {}\n", parts.join("  ")),
    }
}

fn labels(categories: &[Category]) -> Vec<String> {
    categories
        .iter()
        .map(|category| cut(&category.label))
        .collect()
}

fn widest(texts: &[String]) -> usize {
    texts.iter().map(|text| text.width()).max().unwrap_or(0)
}

/// How many decimals the numbers have: one if any value is not whole.
fn decimals<'a>(mut values: impl Iterator<Item = &'a f64>) -> usize {
    usize::from(values.any(|value| value.fract() != 0.0))
}

/// The text in the space of a name. Control characters, which a log may have, do not reach the terminal.
fn cut(text: &str) -> String {
    let text = normalize(text);
    if text.width() <= LONGEST_NAME {
        return text;
    }
    // The middle is cut, as names differ most at their beginnings and ends.
    let head = longest(text.chars(), (LONGEST_NAME - 1) * 2 / 5);
    let tail = longest(text.chars().rev(), LONGEST_NAME - 1 - head.width());
    let tail: String = tail.chars().rev().collect();
    format!("{}…{}", head.trim_end(), tail.trim_start())
}

/// The longest beginning that fits into `room` columns.
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
    use super::super::model::{Appearance, StateLabels};
    use super::*;

    fn chart(labels: &[&str], marks: Marks) -> Figure {
        let categories = labels.iter().map(|label| Category {
            label: (*label).to_owned(),
            group: String::new(),
            state: DataState::Settled,
            note: String::new(),
        });
        Figure {
            appearance: Appearance {
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
            categories: categories.collect(),
            marks,
            earlier: None,
            state_labels: StateLabels {
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
        chart.categories[4].state = DataState::Provisional;
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
    fn parts_of_a_bar_have_their_shades_and_all_are_visible() {
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
    fn a_log_does_not_control_the_terminal() {
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
    fn a_line_is_an_area_and_several_are_small_ones() {
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
