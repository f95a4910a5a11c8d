//! A chart as a picture: PNG for slides and chat, SVG for the web.
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

pub use palette::MOST_SERIES;
pub use text::normalize;

use super::model::{Chart, Marks, Row};
use crate::error::{Class, Error, Result};
use crate::job::ImageFormat;
use style::Style;

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

#[cfg(test)]
mod tests;
