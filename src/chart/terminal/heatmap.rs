//! A heatmap in shades.

use super::{MISSING, MOST_ROWS, PROVISIONAL, axis_labels, cut_all, decimals, widest};
use crate::chart::model::{Cell, Figure, Row};
use crate::numbers::format_number;
use unicode_width::UnicodeWidthStr;

/// A line for each row of the grid, the shade denser for higher values.
pub fn draw(figure: &Figure, rows: &[Row], columns: usize) -> String {
    let shown = &rows[..rows.len().min(MOST_ROWS)];
    let label = |row: &Row| format!("{} {}", row.label, row.note);
    let labels = cut_all(&shown.iter().map(label).collect::<Vec<_>>());
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
