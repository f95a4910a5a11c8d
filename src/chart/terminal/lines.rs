//! Lines as areas over the categories: one large one, or several small ones, which all have the same scale.

use unicode_width::UnicodeWidthStr;

use super::{MISSING, MOST_COLUMNS, axis_labels, cut_all, decimals, state_key, widest};
use crate::chart::model::{Figure, Layer};
use crate::chart::value_range::ValueRange;
use crate::job::ValueScale;
use crate::numbers::format_number;

/// Eighths of a character cell, from the bottom.
const LOWER_EIGHTHS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The height of a single line in rows, and that of each of several.
const LINE_ROWS: usize = 8;
const SMALL_LINE_ROWS: usize = 2;

pub fn draw(figure: &Figure, layers: &[Layer], columns: usize) -> String {
    let categories = figure.categories.len();
    let is_single = layers.len() == 1;
    let rows = if is_single {
        LINE_ROWS
    } else {
        SMALL_LINE_ROWS
    };
    let values: Vec<f64> = layers
        .iter()
        .flat_map(|layer| (0..categories).filter_map(|category| layer.value(category)))
        .collect();
    let decimals = decimals(values.iter());
    let range = range(figure, &values);
    let ends = [range.low, range.high].map(|end| format_number(end, decimals));
    let names: Vec<String> = layers.iter().map(|layer| layer.name.clone()).collect();
    let names = match is_single {
        true => vec![String::new()],
        false => cut_all(&names),
    };
    // Of several lines, the highest value of each, as most of them end below the common scale.
    let peaks: Vec<String> = layers
        .iter()
        .map(|layer| {
            let values = (0..categories).filter_map(|category| layer.value(category));
            match values.reduce(f64::max) {
                Some(peak) if !is_single => format!("  max {}", format_number(peak, decimals)),
                _ => String::new(),
            }
        })
        .collect();
    let margin = widest(&names).max(widest(&ends)).max(1);
    let room = columns
        .saturating_sub(margin + 5 + widest(&peaks))
        .clamp(10, 3 * MOST_COLUMNS);
    // Several columns for each category, or several categories in one column.
    let each = (room.min(2 * MOST_COLUMNS) / categories.max(1)).clamp(1, 4);
    let per_column = categories.div_ceil(room).max(1);
    let mut out = String::new();
    for ((layer, name), peak) in layers.iter().zip(&names).zip(&peaks) {
        let heights: Vec<Option<usize>> = (0..categories)
            .step_by(per_column)
            .map(|first| {
                let categories = first..(first + per_column).min(categories);
                let highest = categories
                    .filter_map(|category| layer.value(category))
                    .reduce(f64::max)?;
                let share = range.share(highest).clamp(0.0, 1.0);
                Some((share * (rows * 8) as f64).round() as usize)
            })
            .collect();
        for row in (0..rows).rev() {
            let label = match row {
                _ if row + 1 == rows => ends[1].as_str(),
                0 if is_single => ends[0].as_str(),
                0 => name.as_str(),
                _ => "",
            };
            let pad = " ".repeat(margin - label.width());
            let cells: String = heights
                .iter()
                .flat_map(|&height| std::iter::repeat_n(area(height, row), each))
                .collect();
            let peak = if row == 0 { peak } else { "" };
            out += format!("  {pad}{label} ┤{cells}{peak}").trim_end();
            out.push('\n');
        }
    }
    let pad = " ".repeat(margin + 4);
    let labels = axis_labels(&figure.categories, each, per_column);
    out += format!("{pad}{labels}").trim_end();
    out.push('\n');
    out + &state_key(figure, &figure.categories)
}

/// The values at the bottom and top of each line: zero and the highest, or the lowest where that is negative or the scale is
/// logarithmic.
fn range(figure: &Figure, values: &[f64]) -> ValueRange {
    let positive = values.iter().copied().filter(|value| *value > 0.0);
    let least = match figure.y_scale {
        ValueScale::Log => positive.reduce(f64::min),
        ValueScale::Linear => None,
    };
    let high = values.iter().copied().fold(0.0, f64::max);
    let lowest = values.iter().copied().fold(0.0, f64::min);
    let (low, scale) = match least {
        // A decade below, so that the least value has a height.
        Some(least) => (10f64.powf((least.log10() - 1e-9).floor()), ValueScale::Log),
        None => (lowest, ValueScale::Linear),
    };
    // Without a value other than zero, any height will do.
    let high = if high > low { high } else { low + 1.0 };
    ValueRange { low, high, scale }
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
