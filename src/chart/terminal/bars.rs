//! Bars as rows: label, number and bar. Negative ones grow to the left of a line at zero.

use unicode_width::UnicodeWidthStr;

use super::{
    MISSING, MOST_COLUMNS, MOST_ROWS, PROVISIONAL, cut_all, decimals, labels, state_key, widest,
};
use crate::chart::model::{DataState, Figure, Layer, MOST_SERIES, Role};
use crate::chart::stack::part_heights;
use crate::numbers::format_number;

/// Eighths of a character cell, from the left.
const LEFT_EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// The parts of a bar, the densest first: one for each series, and one for the sum of all others.
pub const SHADES: [char; MOST_SERIES + 1] = [
    '█', '▓', '▒', '░', '▚', '#', '=', '+', 'o', 'x', '-', ':', '.',
];

/// The line at zero, where there are bars on both of its sides.
const ZERO: char = '│';

/// The columns of a terminal that bars have.
struct Room {
    /// Of the highest value.
    above: usize,
    /// Of the lowest value, to the left of zero.
    below: usize,
    /// The largest magnitude that the longer side must hold, and its columns.
    largest: f64,
    columns: usize,
}

impl Room {
    /// The columns divided among both sides, so that they have the same scale.
    fn new(figure: &Figure, layers: &[Layer], shown: usize, columns: usize) -> Self {
        let sum = |category: usize, sign: f64| -> f64 {
            let values = layers.iter().filter_map(|layer| layer.value(category));
            values.map(|value| (value * sign).max(0.0)).sum()
        };
        let known = || (0..shown).filter(|&category| !figure.is_missing(category));
        let above = known()
            .map(|category| sum(category, 1.0))
            .fold(0.0, f64::max);
        let below = known()
            .map(|category| sum(category, -1.0))
            .fold(0.0, f64::max);
        if below == 0.0 {
            return Self {
                above: columns,
                below: 0,
                largest: above,
                columns,
            };
        }
        let share = below / (above + below);
        let left = ((columns as f64 * share).round() as usize).clamp(1, columns);
        let right = columns - left;
        let (largest, columns) = if above > below {
            (above, right)
        } else {
            (below, left)
        };
        Self {
            above: right,
            below: left,
            largest,
            columns,
        }
    }

    /// The length of a value in eighths of a column.
    fn eighths(&self, value: f64, most: usize) -> usize {
        if value == 0.0 || self.largest <= 0.0 {
            return 0;
        }
        let eighths = value / self.largest * self.columns as f64 * 8.0;
        (eighths.round() as usize).clamp(1, (most * 8).max(1))
    }
}

pub fn draw(figure: &Figure, layers: &[Layer], columns: usize) -> String {
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
    let room = Room::new(figure, layers, shown.len(), room);
    let mut out = legend(layers, columns);
    for (category, label) in labels.iter().enumerate() {
        let pad = " ".repeat(label_width - label.width());
        let number = &numbers[category];
        let number_pad = " ".repeat(number_width - number.width());
        let bar = match totals[category] {
            None => MISSING.to_string().repeat(3),
            Some(_) => bar(layers, category, &room),
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
    let names: Vec<String> = layers.iter().map(|layer| layer.name.clone()).collect();
    let names = cut_all(&names);
    let entries = names.iter().enumerate().map(|(place, name)| {
        let shade = shade(layers, place);
        format!("  {shade} {name}")
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

/// The bar on both sides of zero; without a line at zero if no bar is negative.
fn bar(layers: &[Layer], category: usize, room: &Room) -> String {
    let right = side(layers, category, 1.0, room, room.above);
    if room.below == 0 {
        return right;
    }
    let left = side(layers, category, -1.0, room, room.below);
    let left: String = left.chars().rev().collect();
    let pad = " ".repeat(room.below - left.width());
    format!("{pad}{left}{ZERO}{right}")
}

/// The parts of a bar that have this sign, from zero on.
fn side(layers: &[Layer], category: usize, sign: f64, room: &Room, most: usize) -> String {
    let parts: Vec<(usize, f64)> = layers
        .iter()
        .enumerate()
        .filter_map(|(place, layer)| Some((place, layer.value(category)? * sign)))
        .filter(|&(_, value)| value > 0.0)
        .collect();
    let sum: f64 = parts.iter().map(|(_, value)| value).sum();
    let eighths = room.eighths(sum, most);
    if eighths == 0 {
        return String::new();
    }
    if layers.len() == 1 && sign > 0.0 {
        let mut bar = SHADES[0].to_string().repeat(eighths / 8);
        if !eighths.is_multiple_of(8) {
            bar.push(LEFT_EIGHTHS[eighths % 8 - 1]);
        }
        return bar;
    }
    // Unicode has no eighths from the right. Each part has at least one cell, if the bar has that many, so that all are
    // visible.
    let cells = ((eighths as i32 + 4) / 8).max(1);
    let values: Vec<f64> = parts.iter().map(|&(_, value)| value).collect();
    let lengths = part_heights(&values, cells, 1);
    let pairs = parts.iter().zip(lengths);
    let part = |((place, _), length): (&(usize, f64), i32)| {
        shade(layers, *place)
            .to_string()
            .repeat(usize::try_from(length).unwrap_or_default())
    };
    pairs.map(part).collect()
}
