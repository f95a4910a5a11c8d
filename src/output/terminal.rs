//! An answer as a person sees it in a terminal: a row for each point, with a bar.

use unicode_width::UnicodeWidthStr;

use super::chart::Point;
use super::picture;

/// Eighths of a character cell.
const EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// More rows than this scroll away what stands above them.
const MOST_ROWS: usize = 50;

/// The width of the terminal that stdout is, or 80.
pub fn width() -> usize {
    terminal_size::terminal_size().map_or(80, |(width, _)| width.0.into())
}

/// A line for each point: label, number and a bar as long as the number is large. `columns` is the terminal's width.
pub fn bars(points: &[Point], columns: usize) -> String {
    let shown = &points[..points.len().min(MOST_ROWS)];
    let whole = shown
        .iter()
        .filter_map(|point| point.value)
        .all(|value| value.fract() == 0.0);
    let number = |point: &Point| match point.value {
        Some(value) => picture::number(value, if whole { 0 } else { 1 }),
        None => "–".to_owned(),
    };
    let label_width = shown
        .iter()
        .map(|point| point.label.width())
        .max()
        .unwrap_or(0);
    let number_width = shown
        .iter()
        .map(|point| number(point).width())
        .max()
        .unwrap_or(0);
    let room = columns
        .saturating_sub(label_width + number_width + 6)
        .clamp(10, 60);
    let largest = shown
        .iter()
        .filter_map(|point| point.value)
        .fold(0.0, f64::max);
    let mut out = String::new();
    for point in shown {
        let pad = " ".repeat(label_width - point.label.width());
        let number = number(point);
        let bar = bar(point.value.unwrap_or(0.0), largest, room);
        let line = format!("  {}{pad}  {number:>number_width$}  {bar}", point.label);
        out += line.trim_end();
        out.push('\n');
    }
    if points.len() > shown.len() {
        out += &format!("  … and {} more\n", points.len() - shown.len());
    }
    out
}

fn bar(value: f64, largest: f64, room: usize) -> String {
    if value <= 0.0 || largest <= 0.0 {
        return String::new();
    }
    let eighths = ((value / largest * room as f64 * 8.0).round() as usize).max(1);
    let mut bar = "█".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        bar.push(EIGHTHS[eighths % 8 - 1]);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(label: &str, value: Option<f64>) -> Point {
        Point {
            label: label.into(),
            value,
        }
    }

    #[test]
    fn bars_are_in_proportion_and_zero_has_none() {
        let points = [
            point("00", Some(0.0)),
            point("01", Some(1.0)),
            point("02", Some(1600.0)),
            point("03", None),
            point("04", Some(800.0)),
        ];
        let expected = "\
\x20 00      0
  01      1  ▏
  02  1,600  ████████████████
  03      –
  04    800  ████████
";
        assert_eq!(bars(&points, 29), expected);
    }

    #[test]
    fn wide_labels_line_up_and_many_rows_are_cut() {
        let points = [point("주문", Some(1.0)), point("a", Some(1.0))];
        let text = bars(&points, 40);
        let columns: Vec<usize> = text
            .lines()
            .map(|line| line.split('█').next().unwrap().width())
            .collect();
        assert_eq!(columns[0], columns[1]);
        let many = vec![point("x", Some(1.0)); 80];
        assert!(bars(&many, 40).ends_with("  … and 30 more\n"));
        assert_eq!(bars(&[], 40), "");
    }
}
