//! What stands for the values: bars, lines, bands, the line of an earlier window, and their labels.

use std::ops::Range;

use plotters::style::RGBColor;
use plotters::style::text_anchor::{HPos, VPos};
use plotters_backend::DrawingBackend;

use super::axis::ValueAxis;
use super::canvas::{Canvas, Drawn};
use super::font::CAP_HEIGHT;
use super::style::*;
use super::text::{cut_names, normalize};
use super::x_axis::Slots;
use crate::chart::model::{
    Chart, Layer, Marks, State, drawable, is_missing, is_zero, part_heights, runs, value,
};
use crate::numbers::with_unit;

/// Where the plot lies, and how slots and values map into it.
pub struct Plot {
    pub slots: Slots,
    pub y: Range<i32>,
    /// The values at its bottom and top.
    pub values: (f64, f64),
}

impl Plot {
    pub fn y_of(&self, value: f64) -> i32 {
        let (low, high) = self.values;
        let share = (value - low) / (high - low);
        self.y.end - (f64::from(self.y.end - self.y.start) * share).round() as i32
    }
}

/// The lowest and the highest values that the y axis is to have room for; of bars, those of the whole.
pub fn heights(chart: &Chart) -> (Vec<f64>, Vec<f64>) {
    let slots = 0..chart.slots.len();
    let (mut lows, mut highs) = (Vec::new(), Vec::new());
    match &chart.marks {
        Marks::Bars(layers) => {
            for slot in slots.clone().filter(|&slot| !is_missing(chart, slot)) {
                let values = || layers.iter().filter_map(|layer| value(layer, slot));
                lows.push(values().map(|value| value.min(0.0)).sum());
                highs.push(values().map(|value| value.max(0.0)).sum());
            }
        }
        _ => {
            let layers = chart.marks.layers().iter();
            highs.extend(
                layers.flat_map(|layer| slots.clone().filter_map(|slot| value(layer, slot))),
            );
        }
    }
    if !highs.is_empty() {
        let earlier = chart.earlier.iter();
        lows.extend(earlier.flat_map(|layer| slots.clone().filter_map(|slot| value(layer, slot))));
    }
    // A sum of what can be drawn need not be drawable.
    for values in [&mut lows, &mut highs] {
        values.retain(|&value| drawable(Some(value)).is_some());
    }
    (lows, highs)
}

impl<B: DrawingBackend> Canvas<'_, B> {
    pub fn marks(&self, chart: &Chart, plot: &Plot) -> Drawn<B> {
        match &chart.marks {
            Marks::Bars(layers) => self.bars(chart, layers, plot),
            Marks::Lines(layers) => {
                // The first on top, as it is the one that is looked at.
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

    fn bar_width(&self, plot: &Plot, slot: usize) -> Range<i32> {
        let slots = &plot.slots;
        if slots.width() < f64::from(self.style.px(NARROW_SLOT)) {
            return slots.edge(slot)..slots.edge(slot + 1).max(slots.edge(slot) + 1);
        }
        let half = (slots.width() * BAR_SHARE / 2.0).round() as i32;
        let half = half.min(self.style.px(WIDEST_BAR) / 2).max(1);
        slots.center(slot) - half..slots.center(slot) + half
    }

    fn bars(&self, chart: &Chart, layers: &[Layer], plot: &Plot) -> Drawn<B> {
        let zero = plot.y_of(0.0).clamp(plot.y.start, plot.y.end);
        for slot in (0..chart.slots.len()).filter(|&slot| !is_missing(chart, slot)) {
            let parts = |sign: f64| -> Vec<(RGBColor, f64)> {
                let values = layers.iter().filter_map(|layer| {
                    Some((self.style.palette.layer(layer.role), value(layer, slot)?))
                });
                values.filter(|&(_, value)| value * sign > 0.0).collect()
            };
            let provisional = chart.slots[slot].state == State::Provisional;
            let x = self.bar_width(plot, slot);
            self.stack(&parts(1.0), x.clone(), zero, plot, provisional)?;
            self.stack(&parts(-1.0), x, zero, plot, provisional)?;
        }
        Ok(())
    }

    /// Parts of one sign on each other, from the axis on.
    fn stack(
        &self,
        parts: &[(RGBColor, f64)],
        x: Range<i32>,
        zero: i32,
        plot: &Plot,
        provisional: bool,
    ) -> Drawn<B> {
        let style = self.style;
        let total: f64 = parts.iter().map(|(_, value)| value).sum();
        if total == 0.0 {
            return Ok(());
        }
        let upwards = total > 0.0;
        let end = plot.y_of(total).clamp(plot.y.start, plot.y.end);
        let height = (end - zero).abs().max(style.px(SMALLEST_HEIGHT));
        let values: Vec<f64> = parts.iter().map(|(_, value)| value.abs()).collect();
        let heights = part_heights(&values, height, style.px(SMALLEST_PART));
        // Parts are set off by a line of background, but for those that are hardly higher than it.
        let gap = style.px(PART_GAP);
        let mut from = zero;
        for (place, (&(color, _), height)) in parts.iter().zip(heights).enumerate() {
            let (start, end) = match upwards {
                true => (from - height, from),
                false => (from, from + height),
            };
            from = if upwards { start } else { end };
            let y = match place > 0 && height > 3 * gap {
                true if upwards => start..end - gap,
                true => start + gap..end,
                false => start..end,
            };
            match provisional {
                _ if y.is_empty() => {}
                true => self.hatch_provisional(x.clone(), y, color)?,
                false => self.solid(x.clone(), y, color)?,
            }
        }
        Ok(())
    }

    /// Bars of nothing, in the colour of the axis: seen to be there, and not taken for a few.
    pub fn zeros(&self, chart: &Chart, plot: &Plot) -> Drawn<B> {
        let zero = plot.y_of(0.0);
        for slot in (0..chart.slots.len()).filter(|&slot| is_zero(chart, slot)) {
            let x = self.bar_width(plot, slot);
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
    ) -> Drawn<B> {
        let roomy = plot.slots.width() >= f64::from(self.style.px(MARKER_SLOT));
        for points in line_runs(layer, plot) {
            if points.len() > 1 {
                self.outlined(points.clone(), color, width)?;
            }
            // A point without neighbours has no line to be seen by.
            if points.len() == 1 || (markers && roomy) {
                for &point in &points {
                    self.marker(point, color)?;
                }
            }
        }
        Ok(())
    }

    /// A dot with a ring of the background, which sets it off from the line.
    fn marker(&self, at: (i32, i32), color: RGBColor) -> Drawn<B> {
        let (radius, ring) = (self.style.px(MARKER_RADIUS), self.style.px(RING));
        self.disc(at, radius + ring, self.style.palette.background)?;
        self.dot(at, radius, color)
    }

    /// Each band between two neighbours, the outer the paler, under the lines.
    fn bands(&self, layers: &[Layer], plot: &Plot) -> Drawn<B> {
        for (place, pair) in layers.windows(2).enumerate().rev() {
            let (low, high) = (&pair[0], &pair[1]);
            let both = |slot: usize| value(low, slot).is_some() && value(high, slot).is_some();
            let color = self.style.palette.layer(low.role);
            let fill = self.style.palette.tint(color, 0.34 / (place + 1) as f64);
            for run in runs(plot.slots.count, both) {
                let at =
                    |layer, slot| Some((plot.slots.center(slot), plot.y_of(value(layer, slot)?)));
                let upper = run.clone().filter_map(|slot| at(high, slot));
                let lower = run.clone().rev().filter_map(|slot| at(low, slot));
                let corners: Vec<_> = upper.chain(lower).collect();
                if run.len() > 1 {
                    self.polygon(corners, fill)?;
                }
            }
        }
        for (place, layer) in layers.iter().enumerate().rev() {
            let width = if place == 0 {
                LINE_WIDTH
            } else {
                EARLIER_WIDTH
            };
            let color = self.band_color(layer, place);
            self.line_layer(layer, plot, color, self.style.px(width), false)?;
        }
        Ok(())
    }

    fn band_color(&self, layer: &Layer, place: usize) -> RGBColor {
        let color = self.style.palette.layer(layer.role);
        self.style.palette.tint(color, 1.0 - 0.18 * place as f64)
    }

    /// The line of an earlier window, over a wider one of background that sets it off from bars.
    pub fn earlier(&self, chart: &Chart, plot: &Plot) -> Drawn<B> {
        let Some(earlier) = &chart.earlier else {
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

    /// The number above the highest value, the first of several.
    pub fn peak(&self, chart: &Chart, axis: &ValueAxis, plot: &Plot) -> Drawn<B> {
        let style = self.style;
        let top_of = |slot: usize| -> Option<f64> {
            let values = || {
                chart
                    .marks
                    .layers()
                    .iter()
                    .filter_map(move |layer| value(layer, slot))
            };
            match &chart.marks {
                Marks::Bars(_) if is_missing(chart, slot) => None,
                Marks::Bars(_) => Some(values().sum()),
                _ => values().reduce(f64::max),
            }
        };
        let highest = (0..chart.slots.len())
            .filter_map(|slot| Some((slot, drawable(top_of(slot))?)))
            .reduce(|highest, point| if point.1 > highest.1 { point } else { highest });
        let Some((slot, value)) = highest.filter(|&(_, value)| value != 0.0) else {
            return Ok(());
        };
        let font = style.peak();
        let label = with_unit(&axis.value_label(value), &chart.unit);
        let half = font.width(&label) / 2;
        let x = &plot.slots.x;
        let at = plot
            .slots
            .center(slot)
            .min(x.end - half)
            .max(x.start + half);
        let marker = match chart.marks {
            Marks::Bars(_) => 0,
            _ => style.px(MARKER_RADIUS),
        };
        let gap = style.px(PEAK_GAP);
        let height = (f64::from(font.size) * CAP_HEIGHT) as i32;
        let ring = gap / 2;
        let mut baseline = plot.y_of(value.max(0.0)) - marker - gap;
        // Above the lines that run through there, if there is room: what is cleared for it is gone.
        let around = at - half - ring..at + half + ring;
        let crossing = lines_over(chart, plot, &around);
        let is_free = |baseline: i32| {
            let place = baseline - height - ring..baseline + ring;
            crossing.iter().all(|y| !place.contains(y))
        };
        let above = crossing.iter().min().map(|y| y - 2 * ring);
        if let Some(above) =
            above.filter(|above| !is_free(baseline) && above - height > plot.y.start)
        {
            baseline = above;
        }
        // Cleared, so that no gridline runs through it.
        let top = baseline - height;
        self.fill(
            at - half - ring..at + half + ring,
            top - ring..baseline + ring,
            style.palette.background,
        )?;
        self.text(&label, font, (at, baseline), (HPos::Center, VPos::Bottom))
    }
}

/// Where the lines of a chart run, in each column of pixels of a stretch.
fn lines_over(chart: &Chart, plot: &Plot, x: &Range<i32>) -> Vec<i32> {
    let marks = match &chart.marks {
        Marks::Lines(layers) | Marks::Bands(layers) => &layers[..],
        Marks::Bars(_) | Marks::Cells(_) => &[],
    };
    let runs = marks
        .iter()
        .chain(&chart.earlier)
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

/// The points of each stretch of a layer in which no value is missing.
fn line_runs(layer: &Layer, plot: &Plot) -> Vec<Vec<(i32, i32)>> {
    let points = |run: Range<usize>| {
        let points = run.filter_map(|slot| Some((slot, value(layer, slot)?)));
        points
            .map(|(slot, value)| (plot.slots.center(slot), plot.y_of(value)))
            .collect()
    };
    let count = layer.values.len().min(plot.slots.count);
    runs(count, |slot| value(layer, slot).is_some())
        .into_iter()
        .map(points)
        .collect()
}

/// The names of lines at their right ends, moved apart where they would lie on each other.
pub struct LineNames {
    /// Name, colour and the slot and value at which its line ends.
    names: Vec<(String, RGBColor, (usize, f64))>,
}

impl LineNames {
    /// Those of a chart with several lines.
    pub fn new(chart: &Chart, style: &Style) -> Self {
        let layers = match &chart.marks {
            Marks::Lines(layers) | Marks::Bands(layers) if layers.len() > 1 => &layers[..],
            _ => &[],
        };
        let font = style.name(style.palette.ink_soft);
        // On a narrow chart they must leave room for the lines.
        let longest = style.px(LONGEST_NAME).min(style.width / 4);
        let names: Vec<String> = layers.iter().map(|layer| normalize(&layer.name)).collect();
        let names = cut_names(&names, font, longest).into_iter();
        let names = layers
            .iter()
            .zip(names)
            .enumerate()
            .filter_map(|(place, (layer, name))| {
                let last = (0..layer.values.len())
                    .rev()
                    .find_map(|slot| Some((slot, value(layer, slot)?)))?;
                let color = style.palette.layer(layer.role);
                let color = match chart.marks {
                    Marks::Bands(_) => style.palette.tint(color, 1.0 - 0.18 * place as f64),
                    _ => color,
                };
                Some((name, color, last))
            });
        Self {
            names: names.collect(),
        }
    }

    /// How much they take at the right of the plot.
    pub fn width(&self, style: &Style) -> i32 {
        let font = style.name(style.palette.ink_soft);
        let widest = self.names.iter().map(|(name, ..)| font.width(name)).max();
        widest.map_or(0, |widest| widest + style.px(GAP) * 5 / 2)
    }

    pub fn draw<B: DrawingBackend>(&self, canvas: &Canvas<'_, B>, plot: &Plot) -> Drawn<B> {
        let style = canvas.style;
        let font = style.name(style.palette.ink_soft);
        let mut wanted: Vec<(i32, &str, RGBColor)> = self
            .names
            .iter()
            .map(|(name, color, (_, value))| (plot.y_of(*value), name.as_str(), *color))
            .collect();
        wanted.sort_by_key(|&(y, ..)| y);
        let room = plot.y.end - plot.y.start;
        // Those of the highest ends where there is no room for all, and how many more there are.
        let fitting = (room / font.size).max(1) as usize;
        let more = match wanted.len() > fitting {
            true => format!("+{}", wanted.len() + 1 - fitting),
            false => String::new(),
        };
        if !more.is_empty() {
            wanted.truncate(fitting - 1);
            wanted.push((plot.y.end, &more, style.palette.background));
        }
        let distance = font.line_height().min(room / wanted.len().max(1) as i32);
        let places = apart(wanted.iter().map(|&(y, ..)| y), distance, &plot.y);
        let left = plot.slots.x.end + style.px(GAP);
        for ((_, name, color), y) in wanted.into_iter().zip(places) {
            let radius = style.px(GAP) / 2;
            if color != style.palette.background {
                canvas.dot((left + radius, y), radius, color)?;
            }
            let at = (left + 2 * radius + style.px(GAP) / 2, y);
            canvas.text(name, font, at, (HPos::Left, VPos::Center))?;
        }
        Ok(())
    }
}

/// Ascending places moved as little as needed to be at least `distance` from each other, inside the room.
fn apart(wanted: impl Iterator<Item = i32>, distance: i32, room: &Range<i32>) -> Vec<i32> {
    let mut places: Vec<i32> = wanted.collect();
    let mut free = room.start;
    for place in &mut places {
        *place = (*place).max(free);
        free = *place + distance;
    }
    let mut free = room.end;
    for place in places.iter_mut().rev() {
        *place = (*place).min(free);
        free = *place - distance;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_parts_are_seen_at_the_cost_of_the_largest() {
        assert_eq!(part_heights(&[1.0, 999.0], 500, 5), [5, 495]);
        assert_eq!(part_heights(&[50.0, 50.0], 100, 5), [50, 50]);
        assert_eq!(
            part_heights(&[1.0, 1.0, 500.0, 498.0], 100, 5)
                .iter()
                .sum::<i32>(),
            100
        );
        // No room for four of them.
        assert_eq!(part_heights(&[1.0, 1.0, 1.0, 97.0], 10, 5), [0, 0, 0, 10]);
        assert_eq!(part_heights(&[1.0; 4], 20, 5), [5; 4]);
        assert_eq!(part_heights(&[1e300, 1e300], 20, 5), [10, 10]);
    }

    #[test]
    fn names_are_moved_apart_and_stay_inside() {
        let apart = |wanted: &[i32]| apart(wanted.iter().copied(), 10, &(0..100));
        assert_eq!(apart(&[20, 50]), [20, 50]);
        assert_eq!(apart(&[20, 22, 23]), [20, 30, 40]);
        assert_eq!(apart(&[97, 98, 99]), [80, 90, 100]);
        assert_eq!(apart(&[]), [0; 0]);
    }
}
