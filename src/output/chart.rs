//! A chart of one answer as a picture: PNG for slides and chat, SVG for the web.
//!
//! Drawing only: what the numbers mean, their time zone and their names are decided by the caller. One build gives
//! the same bytes for the same [`Chart`], as the font is embedded and no system font, clock or locale is asked.
//!
//! ```text
//! Chart ─► draw (layout) ─► marks, heatmap, legend, x_axis ─► canvas ─► plotters ─► bitmap (PNG)
//!           style, palette, axis, text                                           └► svg
//! ```

mod axis;
mod bitmap;
mod canvas;
mod draw;
mod font;
mod heatmap;
mod legend;
mod marks;
mod palette;
mod style;
mod svg;
mod text;
mod x_axis;

use std::collections::BTreeSet;

use plotters::style::FontStyle;

pub use axis::{format_number, short_number};
pub use marks::part_heights;
pub use palette::MOST_SERIES;
pub use text::normalize;

use crate::error::{Class, Error, Result};
use crate::job::{ImageFormat, Theme};
use style::Style;

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

/// Why a chart could not be drawn. Nothing in a [`Chart`] leads here, only a defect or a lack of memory.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// plotters refused.
    #[error("the chart {title:?} could not be drawn: {source}")]
    Draw {
        /// The chart's title.
        title: String,
        /// What plotters said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The picture could not be encoded.
    #[error("the chart {title:?} could not be encoded as PNG: {source}")]
    Encode {
        /// The chart's title.
        title: String,
        /// What the encoder said.
        source: png::EncodingError,
    },
}

impl Chart {
    /// The bytes of a file with the chart. Errors (unexpected) name the chart.
    pub fn encode(&self, format: ImageFormat) -> Result<Vec<u8>> {
        let drawn = match format {
            ImageFormat::Png => self.to_png(),
            ImageFormat::Svg => self.to_svg().map(String::into_bytes),
        };
        drawn.map_err(|error| Error::new(Class::Unexpected, error.to_string()))
    }

    /// The chart as a PNG of [`Look::pixels`] (RGB, 8 bit) with the title as its metadata.
    pub fn to_png(&self) -> Result<Vec<u8>, ChartError> {
        let size = self.look.pixels();
        let style = Style::new(&self.look);
        let pixels = bitmap::render(size, |area| draw::draw(self, &style, area))
            .map_err(|e| self.draw_error(e))?;
        bitmap::encode(&pixels, size, &text::normalize(&self.title)).map_err(|source| {
            ChartError::Encode {
                title: self.title.clone(),
                source,
            }
        })
    }

    /// The chart as an SVG document of the look's width and height. Its texts are outlines, so that it looks the same
    /// everywhere; `<title>`, `<desc>` and each outline's `aria-label` say them for those who can't see it.
    pub fn to_svg(&self) -> Result<String, ChartError> {
        let style = Style::new(&self.look);
        let title = text::normalize(&self.title);
        let description = text::normalize(&self.subtitle);
        svg::render(&self.look, &title, &description, |area| {
            draw::draw(self, &style, area)
        })
        .map_err(|e| self.draw_error(e))
    }

    /// The characters of the chart's texts that the embedded font lacks (emoji, Chinese), in order, each once. They are
    /// drawn as boxes.
    pub fn missing_glyphs(&self) -> Vec<char> {
        let texts = [
            &self.title,
            &self.badge,
            &self.subtitle,
            &self.x_label,
            &self.y_label,
            &self.unit,
            &self.sources.more,
            &self.footer,
        ];
        let rows: &[Row] = match &self.marks {
            Marks::Cells(rows) => rows,
            _ => &[],
        };
        let slots = self.slots.iter();
        let texts = texts
            .into_iter()
            .chain(slots.flat_map(|slot| [&slot.label, &slot.group, &slot.note]))
            .chain(self.marks.layers().iter().map(|layer| &layer.name))
            .chain(&self.sources.names)
            .chain(self.earlier.iter().map(|layer| &layer.name))
            .chain(rows.iter().flat_map(|row| [&row.label, &row.note]));
        let face = font::face(FontStyle::Normal);
        let missing: BTreeSet<char> = texts
            .flat_map(|text| text::normalize(text).chars().collect::<Vec<_>>())
            .filter(|&c| !face.has(c))
            .collect();
        missing.into_iter().collect()
    }

    /// Says in the log which characters the font lacks, as a box in a picture does not.
    pub fn warn_of_missing_glyphs(&self) {
        let missing: String = self.missing_glyphs().into_iter().collect();
        if !missing.is_empty() {
            tracing::warn!(
                chart = self.title,
                missing,
                "the font lacks these characters; boxes stand for them"
            );
        }
    }

    fn draw_error<E: std::error::Error + Send + Sync + 'static>(&self, source: E) -> ChartError {
        ChartError::Draw {
            title: self.title.clone(),
            source: Box::new(source),
        }
    }
}

/// The value if an axis can show it.
pub fn drawable(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.abs() <= axis::LARGEST)
}

#[cfg(test)]
mod tests;
