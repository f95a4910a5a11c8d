//! A figure in a terminal, drawn with Unicode blocks: bars as rows, lines as areas, a heatmap in shades.

mod bars;
mod heatmap;
mod lines;

use unicode_width::UnicodeWidthStr;

use super::model::{Category, DataState, Figure, Marks};
use super::names::Cutter;
use super::text::normalize;

/// Stands for a missing value.
const MISSING: char = '╱';

/// Stands behind a provisional value.
const PROVISIONAL: char = '?';

/// More rows would scroll the heading away.
const MOST_ROWS: usize = 50;

/// Bars and lines are no wider than this, in a terminal of any width.
const MOST_COLUMNS: usize = 60;

/// Longer names are cut.
const LONGEST_NAME: i32 = 24;

/// The width of the terminal, or 80 if there is none.
pub fn width() -> usize {
    terminal_size::terminal_size().map_or(80, |(width, _)| width.0.into())
}

/// The figure as lines of text. `columns` is the terminal's width.
pub fn draw(figure: &Figure, columns: usize) -> String {
    match &figure.marks {
        Marks::Bars(layers) => bars::draw(figure, layers, columns),
        Marks::Lines(layers) | Marks::Bands(layers) => lines::draw(figure, layers, columns),
        Marks::Cells(rows) => heatmap::draw(figure, rows, columns),
    }
}

/// The labels below the columns, as many as do not overlap.
fn axis_labels(categories: &[Category], each: usize, per_column: usize) -> String {
    let names = labels(categories);
    let longest = widest(&names) + 1;
    let step = longest.div_ceil(each).max(1) * per_column;
    // Steps that divide a day, for hours.
    let step = [1, 2, 3, 6, 12, 24]
        .into_iter()
        .find(|&nice| nice >= step)
        .unwrap_or(step);
    let mut line = String::new();
    for (place, label) in names.iter().enumerate().step_by(step) {
        let column = place / per_column * each;
        let pad = column.saturating_sub(line.width());
        line += &" ".repeat(pad);
        line += label;
    }
    line.trim_end().to_owned()
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
    let labels = categories.iter().map(|category| category.label.clone());
    cut_all(&labels.collect::<Vec<_>>())
}

fn widest(texts: &[String]) -> usize {
    texts.iter().map(|text| text.width()).max().unwrap_or(0)
}

/// How many decimals the numbers have: one if any value is not whole, unless they are large.
fn decimals<'a>(values: impl Iterator<Item = &'a f64> + Clone) -> usize {
    let are_large = values.clone().any(|value| value.abs() >= 1000.0);
    let mut values = values;
    usize::from(!are_large && values.any(|value| value.fract() != 0.0))
}

/// Texts in the space of a name. Different ones stay different. Control characters, which a log may have, do not
/// reach the terminal.
fn cut_all(texts: &[String]) -> Vec<String> {
    let texts: Vec<String> = texts.iter().map(|text| normalize(text)).collect();
    let cutter = Cutter {
        room: LONGEST_NAME,
        width: |text: &str| i32::try_from(text.width()).unwrap_or(i32::MAX),
    };
    cutter.cut_all(&texts)
}

#[cfg(test)]
mod tests;
