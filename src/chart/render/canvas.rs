//! plotters' drawing area with this crate's ways of using it: rectangles, lines, hatching, texts.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind};
use plotters::element::{Circle, PathElement, Polygon, Rectangle};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontFamily, IntoFont, RGBColor, ShapeStyle, TextStyle};
use plotters_backend::DrawingBackend;

use super::style::*;
use super::text::Lines;

pub type Drawn<B, T = ()> = Result<T, DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

/// Which way the lines of a hatching go, from the left.
#[derive(Clone, Copy)]
enum Slant {
    Rising,
    Falling,
}

/// Where a chart is drawn, and in what sizes and colours.
pub struct Canvas<'a, B: DrawingBackend> {
    pub area: &'a DrawingArea<B, Shift>,
    pub style: &'a Style,
}

impl<B: DrawingBackend> Canvas<'_, B> {
    pub fn fill(&self, x: Range<i32>, y: Range<i32>, color: RGBColor) -> Drawn<B> {
        let corners = [(x.start, y.start), (x.end, y.end)];
        self.area.draw(&Rectangle::new(corners, color.filled()))
    }

    /// A rectangle that stands for a value: of a pale colour, with an outline.
    pub fn solid(&self, x: Range<i32>, y: Range<i32>, color: RGBColor) -> Drawn<B> {
        let Some(outline) = self.style.palette.outline(color) else {
            return self.fill(x, y, color);
        };
        // Of a few pixels most have its own colour.
        let least = (x.end - x.start).min(y.end - y.start);
        let width = self.style.px(OUTLINE).min(least / 5);
        if width > 0 {
            self.fill(x.clone(), y.clone(), outline)?;
        }
        let (x, y) = (
            x.start + width..x.end - width,
            y.start + width..y.end - width,
        );
        self.fill(x, y, color)
    }

    pub fn polygon(&self, corners: Vec<(i32, i32)>, color: RGBColor) -> Drawn<B> {
        self.area.draw(&Polygon::new(corners, color.filled()))
    }

    pub fn line(&self, points: Vec<(i32, i32)>, color: RGBColor, width: i32) -> Drawn<B> {
        let style = ShapeStyle {
            color: color.to_rgba(),
            filled: false,
            stroke_width: width.max(1) as u32,
        };
        self.area.draw(&PathElement::new(points, style))
    }

    /// A line that stands for values: of a pale colour, with an outline.
    pub fn outlined(&self, points: Vec<(i32, i32)>, color: RGBColor, width: i32) -> Drawn<B> {
        if let Some(outline) = self.style.palette.outline(color) {
            // Hardly thicker than others: half of it lies inside.
            let half = self.style.px(OUTLINE) / 2;
            self.line(points.clone(), outline, width + half)?;
            return self.line(points, color, width - half);
        }
        self.line(points, color, width)
    }

    /// A disc in the colour of a line.
    pub fn dot(&self, center: (i32, i32), radius: i32, color: RGBColor) -> Drawn<B> {
        if let Some(outline) = self.style.palette.outline(color) {
            self.disc(center, radius + self.style.px(OUTLINE) / 2, outline)?;
        }
        self.disc(center, radius, color)
    }

    pub fn disc(&self, center: (i32, i32), radius: i32, color: RGBColor) -> Drawn<B> {
        self.area.draw(&Circle::new(center, radius, color.filled()))
    }

    /// An upright line of dashes.
    pub fn dashes(&self, x: i32, y: Range<i32>, color: RGBColor) -> Drawn<B> {
        let (width, dash) = (self.style.px(AXIS_LINE), self.style.px(HATCH_GAP));
        for start in y.clone().step_by(2 * dash as usize) {
            let end = (start + dash).min(y.end);
            self.fill(centered(x, width), start..end, color)?;
        }
        Ok(())
    }

    /// Hatching that says that nothing is known there.
    pub fn hatch_missing(&self, x: Range<i32>, y: Range<i32>) -> Drawn<B> {
        let palette = self.style.palette;
        self.hatch(x, y, palette.hatch, palette.hatch_background, Slant::Rising)
    }

    /// Hatching that says that what has this colour may still grow; slants the other way than where nothing is known.
    pub fn hatch_provisional(&self, x: Range<i32>, y: Range<i32>, color: RGBColor) -> Drawn<B> {
        let behind = self.style.palette.tint(color, PROVISIONAL_TINT);
        let color = self.style.palette.outline(color).unwrap_or(color);
        self.hatch(x, y, color, behind, Slant::Falling)
    }

    /// Hatching behind lines and zeros that may still move.
    pub fn hatch_behind(&self, x: Range<i32>, y: Range<i32>) -> Drawn<B> {
        let palette = self.style.palette;
        let color = palette.tint(palette.badge, BEHIND_TINT);
        self.hatch(x, y, color, palette.background, Slant::Falling)
    }

    /// Slanting lines over the rectangle. They lie on one pattern, so that neighbouring rectangles join.
    fn hatch(
        &self,
        x: Range<i32>,
        y: Range<i32>,
        color: RGBColor,
        behind: RGBColor,
        slant: Slant,
    ) -> Drawn<B> {
        self.fill(x.clone(), y.clone(), behind)?;
        let gap = self.style.px(HATCH_GAP);
        // Round ends stay inside.
        let width = self.style.px(HATCH_WIDTH);
        let inset = width.div_euclid(2);
        let (x, y) = (
            x.start + inset..x.end - inset,
            y.start + inset..y.end - inset,
        );
        // Each line is where x + y, or x - y, is one multiple of the gap.
        let (lowest, highest) = match slant {
            Slant::Rising => (x.start + y.start, x.end + y.end),
            Slant::Falling => (x.start - y.end, x.end - y.start),
        };
        let first = lowest + (-lowest).rem_euclid(gap);
        for at in (first..highest).step_by(gap as usize) {
            let (from, to) = match slant {
                Slant::Rising => (at - y.end, at - y.start),
                Slant::Falling => (at + y.start, at + y.end),
            };
            let (left, right) = (x.start.max(from), x.end.min(to));
            let y_of = |x: i32| match slant {
                Slant::Rising => at - x,
                Slant::Falling => x - at,
            };
            if left < right {
                self.line(vec![(left, y_of(left)), (right, y_of(right))], color, width)?;
            }
        }
        Ok(())
    }

    /// Lines of text below each other, from the left margin.
    pub fn block(&self, block: &Lines, top: i32) -> Drawn<B> {
        let left = self.style.px(MARGIN_X);
        let tops = (top..).step_by(block.font.line_height().max(1) as usize);
        for (line, top) in block.lines.iter().zip(tops) {
            self.text(line, block.font, (left, top), (HPos::Left, VPos::Top))?;
        }
        Ok(())
    }

    pub fn text(
        &self,
        text: &str,
        font: Type,
        at: (i32, i32),
        (horizontal, vertical): (HPos, VPos),
    ) -> Drawn<B> {
        if text.is_empty() {
            return Ok(());
        }
        // The family is never looked up: both backends know only the embedded font.
        let family = (FontFamily::SansSerif, font.size, font.style).into_font();
        let style = TextStyle::from(family)
            .color(&font.color)
            .pos(Pos::new(horizontal, vertical));
        self.area.draw_text(text, &style, at)
    }
}

pub fn middle(range: &Range<i32>) -> i32 {
    (range.start + range.end) / 2
}

pub fn centered(middle: i32, width: i32) -> Range<i32> {
    middle - width / 2..middle - width / 2 + width
}
