//! What figures are drawn of: rectangles, lines, hatching and texts on plotters' drawing area.

use std::ops::Range;

use plotters::element::{Circle, PathElement, Polygon, Rectangle};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontFamily, IntoFont, RGBColor, ShapeStyle, TextStyle};

use super::fit::{TextBlock, cut};
use super::style::*;
use super::svg::{Area, AreaError};
use crate::chart::text::normalize;

pub type Drawn<T = ()> = Result<T, AreaError>;

/// The direction of a hatching's lines, from left to right.
#[derive(Clone, Copy)]
enum Slant {
    Rising,
    Falling,
}

/// Where a figure is drawn, with its sizes and colours.
pub struct Canvas<'a> {
    pub area: &'a Area,
    pub style: &'a Style,
}

impl Canvas<'_> {
    pub fn fill(&self, x: Range<i32>, y: Range<i32>, color: RGBColor) -> Drawn {
        let corners = [(x.start, y.start), (x.end, y.end)];
        self.area.draw(&Rectangle::new(corners, color.filled()))
    }

    /// A rectangle for a value; one of a pale colour has an outline.
    pub fn solid(&self, x: Range<i32>, y: Range<i32>, color: RGBColor) -> Drawn {
        let Some(outline) = self.style.palette.outline(color) else {
            return self.fill(x, y, color);
        };
        // Most of a small rectangle has its own colour.
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

    pub fn polygon(&self, corners: Vec<(i32, i32)>, color: RGBColor) -> Drawn {
        self.area.draw(&Polygon::new(corners, color.filled()))
    }

    pub fn line(&self, points: Vec<(i32, i32)>, color: RGBColor, width: i32) -> Drawn {
        let style = ShapeStyle {
            color: color.to_rgba(),
            filled: false,
            stroke_width: width.max(1) as u32,
        };
        self.area.draw(&PathElement::new(points, style))
    }

    /// A line for values; one of a pale colour has an outline.
    pub fn outlined(&self, points: Vec<(i32, i32)>, color: RGBColor, width: i32) -> Drawn {
        if let Some(outline) = self.style.palette.outline(color) {
            // Half of the outline lies inside, so that the line is hardly thicker than others.
            let half = self.style.px(OUTLINE) / 2;
            self.line(points.clone(), outline, width + half)?;
            return self.line(points, color, width - half);
        }
        self.line(points, color, width)
    }

    /// A disc in the colour of a line.
    pub fn dot(&self, center: (i32, i32), radius: i32, color: RGBColor) -> Drawn {
        if let Some(outline) = self.style.palette.outline(color) {
            self.disc(center, radius + self.style.px(OUTLINE) / 2, outline)?;
        }
        self.disc(center, radius, color)
    }

    pub fn disc(&self, center: (i32, i32), radius: i32, color: RGBColor) -> Drawn {
        self.area.draw(&Circle::new(center, radius, color.filled()))
    }

    /// A vertical dashed line.
    pub fn dashes(&self, x: i32, y: Range<i32>, color: RGBColor) -> Drawn {
        let (width, dash) = (self.style.px(AXIS_LINE), self.style.px(HATCH_GAP));
        for start in y.clone().step_by(2 * dash as usize) {
            let end = (start + dash).min(y.end);
            self.fill(centered(x, width), start..end, color)?;
        }
        Ok(())
    }

    /// Hatching where values are missing.
    pub fn hatch_missing(&self, x: Range<i32>, y: Range<i32>) -> Drawn {
        let palette = self.style.palette;
        self.hatch(x, y, palette.hatch, palette.hatch_background, Slant::Rising)
    }

    /// Hatching in the colour of a provisional value; its lines fall, where those of missing values rise.
    pub fn hatch_provisional(&self, x: Range<i32>, y: Range<i32>, color: RGBColor) -> Drawn {
        let behind = self.style.palette.tint(color, PROVISIONAL_TINT);
        let color = self.style.palette.outline(color).unwrap_or(color);
        self.hatch(x, y, color, behind, Slant::Falling)
    }

    /// Hatching behind provisional lines and zeros.
    pub fn hatch_behind(&self, x: Range<i32>, y: Range<i32>) -> Drawn {
        let palette = self.style.palette;
        let color = palette.tint(palette.badge, BEHIND_TINT);
        self.hatch(x, y, color, palette.background, Slant::Falling)
    }

    /// A rectangle with slanting lines. All lines lie on one pattern, so that neighbouring rectangles join.
    fn hatch(
        &self,
        x: Range<i32>,
        y: Range<i32>,
        color: RGBColor,
        behind: RGBColor,
        slant: Slant,
    ) -> Drawn {
        self.fill(x.clone(), y.clone(), behind)?;
        let gap = self.style.px(HATCH_GAP);
        // Inset, so that the round ends of the lines stay inside.
        let width = self.style.px(HATCH_WIDTH);
        let inset = width.div_euclid(2);
        let (x, y) = (
            x.start + inset..x.end - inset,
            y.start + inset..y.end - inset,
        );
        // On each line x + y, or x - y, is the same multiple of the gap.
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

    /// Lines of text at the left margin.
    pub fn block(&self, block: &TextBlock, top: i32) -> Drawn {
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
        font: Font,
        at: (i32, i32),
        (horizontal, vertical): (HPos, VPos),
    ) -> Drawn {
        if text.is_empty() {
            return Ok(());
        }
        // The backend ignores the family: it knows only the embedded font.
        let family = (FontFamily::SansSerif, font.size, font.style).into_font();
        let style = TextStyle::from(family)
            .color(&font.color)
            .pos(Pos::new(horizontal, vertical));
        self.area.draw_text(text, &style, at)
    }

    /// A plot without any value: hatched, with the text across it.
    pub fn no_data(&self, text: &str, x: &Range<i32>, y: &Range<i32>) -> Drawn {
        self.hatch_missing(x.clone(), y.clone())?;
        let font = self.style.message();
        let gap = self.style.px(BLOCK_GAP);
        let text = cut(&normalize(text), font, x.end - x.start - 2 * gap);
        let (middle_x, middle_y) = (middle(x), middle(y));
        let half = font.width(&text) / 2 + gap;
        self.fill(
            middle_x - half..middle_x + half,
            (middle_y - font.size).max(y.start)..(middle_y + font.size).min(y.end),
            self.style.palette.background,
        )?;
        self.text(
            &text,
            font,
            (middle_x, middle_y),
            (HPos::Center, VPos::Center),
        )
    }
}

pub fn middle(range: &Range<i32>) -> i32 {
    (range.start + range.end) / 2
}

pub fn centered(middle: i32, width: i32) -> Range<i32> {
    middle - width / 2..middle - width / 2 + width
}
