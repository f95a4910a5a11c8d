//! The marks of the values: bars, lines, bands, the line of an earlier window, and the label of the peak.

use std::ops::Range;

use plotters::style::RGBColor;
use plotters::style::text_anchor::{HPos, VPos};

use super::canvas::{Canvas, Drawn};
use super::style::*;
use super::value_axis::ValueAxis;
use super::x_axis::CategoryScale;
use crate::chart::model::{DataState, Figure, Layer, Marks, drawable, ranges};
use crate::chart::stack::part_heights;
use crate::chart::value_range::ValueRange;
use crate::numbers::with_unit;

/// Where the plot is, and how categories and values map into it.
pub struct Plot {
    pub x: CategoryScale,
    pub y: Range<i32>,
    /// The values at the bottom and the top.
    pub values: ValueRange,
}

impl Plot {
    /// The y coordinate of a value.
    pub fn y_of(&self, value: f64) -> i32 {
        let height = f64::from(self.y.end - self.y.start);
        self.y.end - (height * self.values.share(value)).round() as i32
    }
}

/// The low and the high values that the y axis must hold; of bars, those of whole stacks. No high value if the figure
/// has no value to draw.
pub fn heights(figure: &Figure) -> (Vec<f64>, Vec<f64>) {
    let count = figure.categories.len();
    let values_of = |layer: &Layer| -> Vec<f64> {
        let values = (0..count).filter_map(|category| layer.value(category));
        values.collect()
    };
    let (mut lows, mut highs) = (Vec::new(), Vec::new());
    match &figure.marks {
        Marks::Bars(layers) => {
            for category in (0..count).filter(|&category| !figure.is_missing(category)) {
                let values = || layers.iter().filter_map(|layer| layer.value(category));
                lows.push(values().map(|value| value.min(0.0)).sum());
                highs.push(values().map(|value| value.max(0.0)).sum());
            }
        }
        _ => highs.extend(figure.marks.layers().iter().flat_map(values_of)),
    }
    if !highs.is_empty() {
        lows.extend(figure.earlier.iter().flat_map(values_of));
    }
    // The sum of drawable values may be too large to draw.
    for values in [&mut lows, &mut highs] {
        values.retain(|&value| drawable(Some(value)).is_some());
    }
    (lows, highs)
}

/// The direction in which a bar grows from its axis.
#[derive(Clone, Copy)]
pub enum Way {
    Up,
    Down,
    Left,
    Right,
}

impl Canvas<'_> {
    pub fn marks(&self, figure: &Figure, plot: &Plot) -> Drawn {
        match &figure.marks {
            Marks::Bars(layers) => self.bars(figure, layers, plot),
            Marks::Lines(layers) => {
                // The first layer is drawn last, over the others.
                for layer in layers.iter().rev() {
                    let color = self.style.palette.layer(layer.role);
                    let width = match layers.len() {
                        1..=4 => LINE_WIDTH,
                        _ => THIN_LINE_WIDTH,
                    };
                    self.line_layer(layer, plot, color, self.style.px(width), layers.len() == 1)?;
                }
                Ok(())
            }
            Marks::Bands(layers) => self.bands(layers, plot),
            Marks::Cells(_) => Ok(()),
        }
    }

    /// The left and right edges of a category's bar.
    fn bar_width(&self, plot: &Plot, category: usize) -> Range<i32> {
        let scale = &plot.x;
        if scale.width() < f64::from(self.style.px(NARROW_CATEGORY)) {
            let x = scale.range(category..category + 1);
            return x.start..x.end.max(x.start + 1);
        }
        let half = (scale.width() * BAR_SHARE / 2.0).round() as i32;
        let half = half.min(self.style.px(WIDEST_BAR) / 2).max(1);
        let center = scale.center(category);
        center - half..center + half
    }

    fn bars(&self, figure: &Figure, layers: &[Layer], plot: &Plot) -> Drawn {
        let zero = plot.y_of(0.0).clamp(plot.y.start, plot.y.end);
        for category in
            (0..figure.categories.len()).filter(|&category| !figure.is_missing(category))
        {
            let provisional = figure.categories[category].state == DataState::Provisional;
            let x = self.bar_width(plot, category);
            for (sign, way) in [(1.0, Way::Up), (-1.0, Way::Down)] {
                let parts = self.parts(layers, category, sign);
                let total: f64 = parts.iter().map(|(_, value)| value).sum();
                let end = plot.y_of(total).clamp(plot.y.start, plot.y.end);
                let length = (end - zero).abs();
                self.stack(&parts, &x, zero, length, way, provisional)?;
            }
        }
        Ok(())
    }

    /// The parts of a bar that have this sign, with their colours.
    pub fn parts(&self, layers: &[Layer], category: usize, sign: f64) -> Vec<(RGBColor, f64)> {
        let values = layers.iter().filter_map(|layer| {
            Some((self.style.palette.layer(layer.role), layer.value(category)?))
        });
        values.filter(|&(_, value)| value * sign > 0.0).collect()
    }

    /// Parts of one sign, stacked from the axis at `zero` on; `across` is where the bar lies on the other axis.
    pub fn stack(
        &self,
        parts: &[(RGBColor, f64)],
        across: &Range<i32>,
        zero: i32,
        length: i32,
        way: Way,
        provisional: bool,
    ) -> Drawn {
        let style = self.style;
        if parts.is_empty() {
            return Ok(());
        }
        let length = length.max(style.px(SMALLEST_HEIGHT));
        let values: Vec<f64> = parts.iter().map(|(_, value)| value.abs()).collect();
        let lengths = part_heights(&values, length, style.px(SMALLEST_PART));
        let is_backwards = matches!(way, Way::Up | Way::Left);
        // A line of background between the parts, except where a part is hardly higher than the line.
        let gap = style.px(PART_GAP);
        let mut from = zero;
        for (place, (&(color, _), length)) in parts.iter().zip(lengths).enumerate() {
            let (start, end) = match is_backwards {
                true => (from - length, from),
                false => (from, from + length),
            };
            from = if is_backwards { start } else { end };
            let along = match place > 0 && length > 3 * gap {
                true if is_backwards => start..end - gap,
                true => start + gap..end,
                false => start..end,
            };
            let (x, y) = match way {
                Way::Up | Way::Down => (across.clone(), along),
                Way::Left | Way::Right => (along, across.clone()),
            };
            match provisional {
                _ if x.is_empty() || y.is_empty() => {}
                true => self.hatch_provisional(x, y, color)?,
                false => self.solid(x, y, color)?,
            }
        }
        Ok(())
    }

    /// Bars of zero, in the colour of the axis so that they do not look like small values.
    pub fn zeros(&self, figure: &Figure, plot: &Plot) -> Drawn {
        let zero = plot.y_of(0.0);
        for category in (0..figure.categories.len()).filter(|&category| figure.is_zero(category)) {
            let x = self.bar_width(plot, category);
            let y = zero - self.style.px(ZERO_HEIGHT)..zero;
            self.fill(x, y, self.style.palette.axis)?;
        }
        Ok(())
    }

    /// A line, broken where a value is missing.
    fn line_layer(
        &self,
        layer: &Layer,
        plot: &Plot,
        color: RGBColor,
        width: i32,
        markers: bool,
    ) -> Drawn {
        let roomy = plot.x.width() >= f64::from(self.style.px(MARKER_CATEGORY));
        for points in line_runs(layer, plot) {
            if points.len() > 1 {
                self.outlined(points.clone(), color, width)?;
            }
            // A point without neighbours has no line.
            if points.len() == 1 || (markers && roomy) {
                for &point in &points {
                    self.marker(point, color)?;
                }
            }
        }
        Ok(())
    }

    /// A dot with a ring of background between it and the line.
    fn marker(&self, at: (i32, i32), color: RGBColor) -> Drawn {
        let (radius, ring) = (self.style.px(MARKER_RADIUS), self.style.px(RING));
        self.disc(at, radius + ring, self.style.palette.background)?;
        self.dot(at, radius, color)
    }

    /// The bands between neighbouring lines, paler to the outside, and the lines over them.
    fn bands(&self, layers: &[Layer], plot: &Plot) -> Drawn {
        for (place, pair) in layers.windows(2).enumerate().rev() {
            let (low, high) = (&pair[0], &pair[1]);
            let both =
                |category: usize| low.value(category).is_some() && high.value(category).is_some();
            let color = self.style.palette.band(0);
            let fill = self.style.palette.tint(color, 0.34 / (place + 1) as f64);
            for run in ranges(plot.x.count, both) {
                let at = |layer: &Layer, category| {
                    Some((plot.x.center(category), plot.y_of(layer.value(category)?)))
                };
                let upper = run.clone().filter_map(|category| at(high, category));
                let lower = run.clone().rev().filter_map(|category| at(low, category));
                let corners: Vec<_> = upper.chain(lower).collect();
                if run.len() > 1 {
                    self.polygon(corners, fill)?;
                }
            }
        }
        for (place, layer) in layers.iter().enumerate().rev() {
            let color = self.style.palette.band(place);
            self.line_layer(layer, plot, color, self.style.px(THIN_LINE_WIDTH), false)?;
        }
        Ok(())
    }

    /// The line of an earlier window, over a wider line of background that separates it from bars.
    pub fn earlier(&self, figure: &Figure, plot: &Plot) -> Drawn {
        let Some(earlier) = &figure.earlier else {
            return Ok(());
        };
        let (width, ring) = (self.style.px(EARLIER_WIDTH), self.style.px(RING));
        let palette = self.style.palette;
        for points in line_runs(earlier, plot) {
            if let [only] = points[..] {
                self.disc(only, width + ring, palette.background)?;
                self.disc(only, width, palette.ink_faint)?;
                continue;
            }
            self.line(points.clone(), palette.background, width + ring)?;
            self.line(points, palette.ink_faint, width)?;
        }
        Ok(())
    }

    /// The number above the highest value.
    pub fn peak(&self, figure: &Figure, axis: &ValueAxis, plot: &Plot) -> Drawn {
        let Some((category, value)) = highest(figure).filter(|&(_, value)| value != 0.0) else {
            return Ok(());
        };
        let style = self.style;
        let font = style.peak();
        let label = with_unit(&axis.value_label(value), &figure.unit);
        let half = font.width(&label) / 2;
        let x = &plot.x.pixels;
        let center = plot.x.center(category);
        let center = center.min(x.end - half).max(x.start + half);
        let ring = style.px(PEAK_GAP) / 2;
        let around = center - half - ring..center + half + ring;
        let baseline = self.peak_baseline(figure, plot, value, &around);
        // The background hides gridlines.
        let top = baseline - font.cap_height() as i32;
        self.fill(
            around,
            top - ring..baseline + ring,
            style.palette.background,
        )?;
        let at = (center, baseline);
        self.text(&label, font, at, (HPos::Center, VPos::Bottom))
    }

    /// The baseline of the peak's label: above the mark, and above lines that would cross the label if there is space,
    /// as the label's background would hide them.
    fn peak_baseline(&self, figure: &Figure, plot: &Plot, value: f64, x: &Range<i32>) -> i32 {
        let style = self.style;
        let marker = match figure.marks {
            Marks::Bars(_) => 0,
            _ => style.px(MARKER_RADIUS),
        };
        let gap = style.px(PEAK_GAP);
        let ring = gap / 2;
        let height = style.peak().cap_height() as i32;
        let baseline = plot.y_of(value.max(0.0)) - marker - gap;
        let crossing = lines_over(figure, plot, x);
        let label = baseline - height - ring..baseline + ring;
        let is_crossed = crossing.iter().any(|y| label.contains(y));
        let above = crossing.iter().min().map(|y| y - 2 * ring);
        above
            .filter(|above| is_crossed && above - height > plot.y.start)
            .unwrap_or(baseline)
    }
}

/// The highest bar or value and its category; of several equal ones, the first.
fn highest(figure: &Figure) -> Option<(usize, f64)> {
    let height_of = |category: usize| {
        let layers = figure.marks.layers().iter();
        let values = layers.filter_map(|layer| layer.value(category));
        match &figure.marks {
            Marks::Bars(_) if figure.is_missing(category) => None,
            Marks::Bars(_) => Some(values.sum()),
            _ => values.reduce(f64::max),
        }
    };
    (0..figure.categories.len())
        .filter_map(|category| Some((category, drawable(height_of(category))?)))
        .reduce(|highest, point| if point.1 > highest.1 { point } else { highest })
}

/// The y coordinates of a figure's lines in each column of pixels in a range.
fn lines_over(figure: &Figure, plot: &Plot, x: &Range<i32>) -> Vec<i32> {
    let marks = match &figure.marks {
        Marks::Lines(layers) | Marks::Bands(layers) => &layers[..],
        Marks::Bars(_) | Marks::Cells(_) => &[],
    };
    let runs = marks
        .iter()
        .chain(&figure.earlier)
        .flat_map(|layer| line_runs(layer, plot));
    let mut crossing = Vec::new();
    for run in runs {
        for pair in run.windows(2) {
            let [(left, from), (right, to)] = [pair[0], pair[1]];
            let shared = left.max(x.start)..right.min(x.end);
            crossing.extend(shared.map(|x| from + (to - from) * (x - left) / (right - left)));
        }
    }
    crossing
}

/// The points of a layer, in runs without a missing value.
fn line_runs(layer: &Layer, plot: &Plot) -> Vec<Vec<(i32, i32)>> {
    let points = |run: Range<usize>| {
        let points = run.filter_map(|category| Some((category, layer.value(category)?)));
        points
            .map(|(category, value)| (plot.x.center(category), plot.y_of(value)))
            .collect()
    };
    let count = layer.values.len().min(plot.x.count);
    ranges(count, |category| layer.value(category).is_some())
        .into_iter()
        .map(points)
        .collect()
}
