//! A figure as a picture: SVG for the web, PNG for slides and chat.
//!
//! Drawing only: the caller decides what the numbers mean, their time zone and their names. One build gives the same
//! bytes for the same [`Figure`], as the font is embedded and no system font, clock or locale is read.
//!
//! ```text
//! Figure ─► draw (layout) ─► marks, heatmap, legend, x_axis ─► canvas ─► plotters ─► svg ─► bitmap (resvg) ─► PNG
//!            style, palette, value_axis, fit
//! ```

mod bitmap;
mod canvas;
mod draw;
mod fit;
mod font;
mod heatmap;
mod legend;
mod line_names;
mod marks;
mod palette;
mod sideways;
mod style;
mod svg;
mod value_axis;
mod x_axis;

use std::collections::BTreeSet;

use plotters::style::FontStyle;

use super::model::{Figure, Marks, Row};
use super::text::normalize;
use crate::error::{Class, Error, Result};
use crate::job::ImageFormat;
use style::Style;

impl Figure {
    /// The bytes of an image file. Only a defect or a lack of memory is an error (unexpected), whatever the figure has.
    pub fn encode(&self, format: ImageFormat) -> Result<Vec<u8>> {
        match format {
            ImageFormat::Png => self.to_png(),
            ImageFormat::Svg => self.to_svg().map(String::into_bytes),
        }
    }

    /// A PNG (RGB, 8 bit) of the SVG in the [pixels](super::model::Appearance::pixels) of the appearance, with the
    /// title in its metadata. Errors as those of [`Figure::encode`].
    pub fn to_png(&self) -> Result<Vec<u8>> {
        let svg = self.svg(self.appearance.pixels())?;
        bitmap::encode(&svg, &normalize(&self.title)).map_err(|error| self.error(error))
    }

    /// An SVG document of the appearance's width and height. Its texts are outlines, so that it looks the same in every
    /// viewer; `<title>`, `<desc>` and the `aria-label` of each outline have them for screen readers. Errors as those
    /// of [`Figure::encode`].
    pub fn to_svg(&self) -> Result<String> {
        self.svg((self.appearance.width, self.appearance.height))
    }

    /// The document in a size of its own: its content scales with it.
    fn svg(&self, size: (u32, u32)) -> Result<String> {
        let style = Style::new(&self.appearance);
        let heading = svg::Heading {
            title: normalize(&self.title),
            description: normalize(&self.subtitle),
        };
        svg::document(size, self.appearance.pixels(), &heading, |area| {
            draw::draw(self, &style, area)
        })
        .map_err(|error| self.error(error))
    }

    fn error(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        let what = format!("the chart {:?} can't be drawn", self.title);
        Error::new(Class::Unexpected, what).caused_by(source)
    }

    /// The characters of the figure's texts that the embedded font lacks (emoji, Chinese), sorted, each once. They are
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
        let categories = self.categories.iter();
        let texts = texts
            .into_iter()
            .chain(
                categories.flat_map(|category| [&category.label, &category.group, &category.note]),
            )
            .chain(self.marks.layers().iter().map(|layer| &layer.name))
            .chain(&self.sources.names)
            .chain(self.earlier.iter().map(|layer| &layer.name))
            .chain(rows.iter().flat_map(|row| [&row.label, &row.note]));
        let face = font::face(FontStyle::Normal);
        let missing: BTreeSet<char> = texts
            .flat_map(|text| normalize(text).chars().collect::<Vec<_>>())
            .filter(|&c| !face.has(c))
            .collect();
        missing.into_iter().collect()
    }

    /// Logs a warning that names the characters that the font lacks.
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
}

#[cfg(test)]
mod tests;
