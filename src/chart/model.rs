//! What a chart shows, as a value: positions on the x axis, layers of values, the texts around them. It says nothing of
//! pixels, so that a picture and a terminal draw the same.

use std::ops::Range;

use crate::job::Theme;

/// The largest magnitude that is drawn: beyond it the arithmetic of an axis overflows.
pub const LARGEST: f64 = 1e300;

/// How large a chart is, and its colours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// Width, in units of which `scale` pixels are one.
    pub width: u32,
    /// Height, in the same units.
    pub height: u32,
    /// Pixels for each unit, 2.0 for a screen of high resolution.
    pub scale: f64,
    /// The colours.
    pub theme: Theme,
}

impl Look {
    /// Width and height in pixels.
    pub fn pixels(&self) -> (u32, u32) {
        let pixels = |units: u32| (f64::from(units) * self.scale).round().max(1.0) as u32;
        (pixels(self.width), pixels(self.height))
    }
}

/// One position on the x axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The text of its tick, `00` to `23` for the hours of a day. Need not be unique: a day of DST has an hour twice.
    pub label: String,
    /// What neighbours have in common, such as the day of an hour: shown once below them. May be empty.
    pub group: String,
    /// What is known there.
    pub state: State,
    /// What is special about it, such as a change of the clocks; shown above it. May be empty.
    pub note: String,
}

/// What is known of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its values stay as they are.
    Settled,
    /// Its values may still grow.
    Provisional,
    /// There is nothing to know, which is not zero.
    Missing,
}

/// What a layer is, from which its colour follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The one that the chart is about.
    Main,
    /// What went wrong.
    Errors,
    /// What went wrong worse than errors.
    Fatal,
    /// One of several, by its place.
    Series(usize),
    /// The rest.
    Other,
}

/// A value for each slot, and whose they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Its name in the legend; may be empty where it is the only one.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// `None`, and what no axis can show (NaN, infinities, beyond ±1e300), is missing, which is not zero.
    pub values: Vec<Option<f64>>,
}

/// A row of a heatmap.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What stands before it.
    pub label: String,
    /// What is special about it, such as a day of 23 hours; stands behind the label. May be empty.
    pub note: String,
    /// A cell for each slot.
    pub cells: Vec<Cell>,
}

/// A cell of a heatmap.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell {
    /// A value.
    Value(f64),
    /// A value that may still grow.
    Provisional(f64),
    /// No value, which is not zero.
    Missing,
    /// There is no such cell: an hour that the clocks skipped.
    Absent,
}

/// What is drawn.
#[derive(Debug, Clone, PartialEq)]
pub enum Marks {
    /// A bar for each slot out of parts, the first at the bottom.
    Bars(Vec<Layer>),
    /// Lines, broken where a value is missing.
    Lines(Vec<Layer>),
    /// Lines with the room between neighbours filled, the lowest first.
    Bands(Vec<Layer>),
    /// A grid, the slots being its columns.
    Cells(Vec<Row>),
}

impl Marks {
    /// The layers; none of a heatmap.
    pub fn layers(&self) -> &[Layer] {
        match self {
            Marks::Bars(layers) | Marks::Lines(layers) | Marks::Bands(layers) => layers,
            Marks::Cells(_) => &[],
        }
    }
}

/// Words that a chart says by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// Where values are missing.
    pub no_data: String,
    /// Where values may still grow.
    pub provisional: String,
}

/// Names that share a line, the longest of them shortened where it is too long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// The names.
    pub names: Vec<String>,
    /// What stands behind them, such as ` and 2 more`.
    pub more: String,
}

/// Everything that a chart shows. Any text may be empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// How large, and which colours.
    pub look: Look,
    /// Shrunk, then wrapped to two lines, then cut with `…` where it is too long.
    pub title: String,
    /// A word in a frame behind the subtitle, such as `provisional`.
    pub badge: String,
    /// Below the title: the total, say.
    pub subtitle: String,
    /// What the x axis shows.
    pub x_label: String,
    /// What the y axis shows.
    pub y_label: String,
    /// What the values are measured in, such as `ms` or `%`.
    pub unit: String,
    /// From left to right.
    pub slots: Vec<Slot>,
    /// What is drawn; as many values as there are slots.
    pub marks: Marks,
    /// A thin line to hold the marks against; not for a heatmap.
    pub earlier: Option<Layer>,
    /// What stands in the legend where it is needed.
    pub words: Words,
    /// Whose the numbers are, in a line above the footer.
    pub sources: Sources,
    /// Of when the numbers are, and how far they can be trusted; never cut.
    pub footer: String,
}

/// The value if an axis can show it.
pub fn drawable(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.abs() <= LARGEST)
}

/// The value of a slot, if an axis can show it.
pub fn value(layer: &Layer, slot: usize) -> Option<f64> {
    drawable(layer.values.get(slot).copied().flatten())
}

/// Whether a slot has nothing to show.
pub fn is_missing(chart: &Chart, slot: usize) -> bool {
    let state = chart.slots.get(slot).map(|slot| slot.state);
    let mut values = chart
        .marks
        .layers()
        .iter()
        .map(|layer| layer.values.get(slot));
    state == Some(State::Missing)
        || values.all(|value| drawable(value.copied().flatten()).is_none())
}

/// Whether the bar of a slot is a zero.
pub fn is_zero(chart: &Chart, slot: usize) -> bool {
    let values = chart.marks.layers().iter();
    let mut values = values.filter_map(|layer| value(layer, slot));
    matches!(chart.marks, Marks::Bars(_))
        && !is_missing(chart, slot)
        && values.all(|value| value == 0.0)
}

/// Whether a slot is provisional and has no bar that could be hatched to say so.
pub fn may_move(chart: &Chart, slot: usize) -> bool {
    let has_bar = matches!(chart.marks, Marks::Bars(_)) && !is_zero(chart, slot);
    chart.slots[slot].state == State::Provisional && !has_bar && !is_missing(chart, slot)
}

/// The stretches of neighbours for which `wanted` holds.
pub fn runs(count: usize, wanted: impl Fn(usize) -> bool) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for place in (0..count).filter(|&place| wanted(place)) {
        match runs.last_mut() {
            Some(run) if run.end == place => run.end += 1,
            _ => runs.push(place..place + 1),
        }
    }
    runs
}

/// The heights of the parts of a bar, which add up to its height: in proportion, but for those that would be lower than
/// `least`. What these lack is taken from the largest, which shows it least. A bar without room for that has its parts
/// as they are.
pub fn part_heights(values: &[f64], height: i32, least: i32) -> Vec<i32> {
    let total: f64 = values.iter().sum();
    let mut heights = Vec::with_capacity(values.len());
    let (mut sum, mut below) = (0.0, 0);
    for value in values {
        sum += value;
        let edge = (sum / total * f64::from(height)).round() as i32;
        heights.push(edge - below);
        below = edge;
    }
    if height < least * values.len() as i32 {
        return heights;
    }
    let mut lacking = 0;
    for height in &mut heights {
        lacking += (least - *height).max(0);
        *height = (*height).max(least);
    }
    while lacking > 0 {
        let Some(largest) = heights.iter_mut().max() else {
            break;
        };
        let spare = (*largest - least).clamp(0, lacking);
        if spare == 0 {
            break;
        }
        *largest -= spare;
        lacking -= spare;
    }
    heights
}
