//! What a chart shows, as a value: categories along the x axis, layers of values, and the texts around them.
//!
//! It knows nothing of pixels, so that a picture and a terminal show the same.

use std::ops::Range;

use super::text::normalize;
use crate::job::{Theme, ValueScale};

/// The largest magnitude that can be drawn: beyond it the arithmetic of an axis overflows.
pub const LARGEST: f64 = 1e300;

/// The most series that colours can tell apart.
pub const MOST_SERIES: usize = 12;

/// A figure's size and colours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Appearance {
    /// The width in units of `scale` pixels.
    pub width: u32,
    /// The height in the same units.
    pub height: u32,
    /// Pixels per unit: 2.0 for a high-resolution screen.
    pub scale: f64,
    /// The colours.
    pub theme: Theme,
}

impl Appearance {
    /// Width and height in pixels.
    pub fn pixels(&self) -> (u32, u32) {
        let pixels = |units: u32| (f64::from(units) * self.scale).round().max(1.0) as u32;
        (pixels(self.width), pixels(self.height))
    }
}

/// A position on the x axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Category {
    /// The label of its tick: `00` to `23` for the hours of a day. Labels may repeat, as an hour does when the clocks
    /// go back.
    pub label: String,
    /// What neighbours have in common, such as the date of hours; shown once below them. May be empty.
    pub group: String,
    /// How certain its values are.
    pub state: DataState,
    /// A remark, such as a change of the clocks; shown above the plot. May be empty.
    pub note: String,
}

/// How certain values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataState {
    /// The values are final.
    Settled,
    /// Late events may still change the values.
    Provisional,
    /// The values are unknown, which is not zero.
    Missing,
}

/// What a layer stands for, which decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The subject of the chart.
    Main,
    /// Errors.
    Errors,
    /// Errors that end a program.
    Fatal,
    /// One of several series; below [`MOST_SERIES`].
    Series(usize),
    /// What has no name: events without a level, for example.
    Unnamed,
    /// All that have no colour of their own.
    Other,
}

/// One value for each category.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// The name in the legend; may be empty for the only layer.
    pub name: String,
    /// What the layer stands for.
    pub role: Role,
    /// The values as given: [`Layer::value`] leaves out those that no axis can show.
    pub values: Vec<Option<f64>>,
}

impl Layer {
    /// The value of a category. `None` where it is missing (which is not zero) or an axis can't show it.
    pub fn value(&self, category: usize) -> Option<f64> {
        drawable(self.values.get(category).copied().flatten())
    }
}

/// A row of a heatmap.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The text in front of the cells.
    pub label: String,
    /// A remark behind the label, such as the length of a day of 23 hours. May be empty.
    pub note: String,
    /// One cell for each category.
    pub cells: Vec<Cell>,
}

/// A cell of a heatmap.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell {
    /// A final value.
    Value(f64),
    /// A value that late events may still change.
    Provisional(f64),
    /// An unknown value, which is not zero.
    Missing,
    /// No cell: an hour that the clocks skipped.
    Absent,
}

impl Cell {
    /// The value, if it can be drawn.
    pub fn value(self) -> Option<f64> {
        match self {
            Cell::Value(value) | Cell::Provisional(value) => drawable(Some(value)),
            Cell::Missing | Cell::Absent => None,
        }
    }
}

/// How the values are shown.
#[derive(Debug, Clone, PartialEq)]
pub enum Marks {
    /// A bar for each category, stacked from the layers, the first at the bottom.
    Bars(Vec<Layer>),
    /// A line for each layer, broken where a value is missing.
    Lines(Vec<Layer>),
    /// Lines with the space between neighbours filled, the lowest first.
    Bands(Vec<Layer>),
    /// A grid whose columns are the categories.
    Cells(Vec<Row>),
}

impl Marks {
    /// The layers; a heatmap has none.
    pub fn layers(&self) -> &[Layer] {
        match self {
            Marks::Bars(layers) | Marks::Lines(layers) | Marks::Bands(layers) => layers,
            Marks::Cells(_) => &[],
        }
    }
}

/// The legend's texts for what is not [`DataState::Settled`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateLabels {
    /// For missing values.
    pub no_data: String,
    /// For provisional values.
    pub provisional: String,
}

/// Names that share one line. Where the line is too short, the longest names are cut.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// The names.
    pub names: Vec<String>,
    /// The text behind them, such as ` and 2 more`.
    pub more: String,
}

/// Everything that a chart shows. Any text may be empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Size and colours.
    pub appearance: Appearance,
    /// Where it is too long, it shrinks, then wraps to two lines, then is cut with `…`.
    pub title: String,
    /// A word in a frame behind the subtitle, such as `provisional`.
    pub badge: String,
    /// The line below the title: the total, for example.
    pub subtitle: String,
    /// The title of the x axis.
    pub x_label: String,
    /// The title of the y axis.
    pub y_label: String,
    /// The unit of the values, such as `ms` or `%`.
    pub unit: String,
    /// The positions on the x axis, from left to right.
    pub categories: Vec<Category>,
    /// Whether the categories are names, each of them to be read, rather than places on a scale.
    pub are_names: bool,
    /// How the values are spaced on the y axis.
    pub y_scale: ValueScale,
    /// The values, one for each category.
    pub marks: Marks,
    /// An earlier window's values, drawn as a thin line; never in a heatmap.
    pub earlier: Option<Layer>,
    /// Shown in the legend where the figure needs them.
    pub state_labels: StateLabels,
    /// The log groups, in a line above the footer.
    pub sources: Sources,
    /// When the values were taken and how certain they are; never cut.
    pub footer: String,
}

impl Figure {
    /// The title, the line below it and the badge, as one line.
    pub fn headline(&self) -> String {
        let parts = [&self.title, &self.subtitle, &self.badge];
        let parts = parts.map(|part| normalize(part));
        let parts: Vec<&str> = parts.iter().map(|part| part.trim()).collect();
        let [title, subtitle, badge] = parts[..] else {
            return String::new();
        };
        let said: Vec<&str> = [title, subtitle]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect();
        match badge {
            "" => said.join(": "),
            badge => format!("{} ({badge})", said.join(": ")),
        }
    }

    /// Whether nothing is known of a category, by its state or as no layer has a value.
    pub fn is_missing(&self, category: usize) -> bool {
        let mut layers = self.marks.layers().iter();
        self.categories[category].state == DataState::Missing
            || layers.all(|layer| layer.value(category).is_none())
    }

    /// Whether a category has a bar of height zero.
    pub fn is_zero(&self, category: usize) -> bool {
        let mut layers = self.marks.layers().iter();
        matches!(self.marks, Marks::Bars(_))
            && !self.is_missing(category)
            && layers.all(|layer| layer.value(category).is_none_or(|value| value == 0.0))
    }

    /// Whether a category has values that late events may still change.
    pub fn is_provisional(&self, category: usize) -> bool {
        self.categories[category].state == DataState::Provisional && !self.is_missing(category)
    }

    /// Whether a category is provisional and has no bar whose hatching says so.
    pub fn is_provisional_without_bar(&self, category: usize) -> bool {
        let has_bar = matches!(self.marks, Marks::Bars(_)) && !self.is_zero(category);
        self.is_provisional(category) && !has_bar
    }
}

/// The value, if an axis can show it: not NaN, and within ±[`LARGEST`].
pub fn drawable(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.abs() <= LARGEST)
}

/// The longest ranges below `count` in which `wanted` holds throughout.
pub fn ranges(count: usize, wanted: impl Fn(usize) -> bool) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for place in (0..count).filter(|&place| wanted(place)) {
        match ranges.last_mut() {
            Some(range) if range.end == place => range.end += 1,
            _ => ranges.push(place..place + 1),
        }
    }
    ranges
}
