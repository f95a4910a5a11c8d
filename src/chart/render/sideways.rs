//! Bars that lie on their side, a row for each: for categories that are names, which have no space below upright bars.

use std::ops::Range;

use plotters::style::text_anchor::{HPos, VPos};

use super::canvas::{Canvas, Drawn, centered, middle};
use super::draw::tick_label;
use super::fit::cut_names;
use super::legend::Legend;
use super::marks::{Way, heights};
use super::style::*;
use super::value_axis::{MOST_INTERVALS, ValueAxis, y_title};
use super::x_axis::XAxisLabels;
use crate::chart::model::{DataState, Figure, Layer, drawable};
use crate::chart::text::normalize;
use crate::chart::value_range::ValueRange;
use crate::numbers::with_unit;

/// Whether a figure's bars are names that upright bars have no space for.
pub fn is_better(canvas: &Canvas<'_>, figure: &Figure) -> bool {
    if !figure.are_names {
        return false;
    }
    let style = canvas.style;
    let margin = style.px(MARGIN_X);
    let values = heights(figure).1;
    let axis = ValueAxis::new(&values, figure.y_scale);
    let left = margin + canvas.value_labels_width(&axis, &figure.unit);
    let x = left..(style.width - margin).max(left + 1);
    !XAxisLabels::new(&figure.categories, &x, style).is_complete
}

/// Draws bars, their names and numbers between the top and bottom in `y`.
pub fn draw(canvas: &Canvas<'_>, figure: &Figure, layers: &[Layer], y: Range<i32>) -> Drawn {
    let (lows, highs) = heights(figure);
    if highs.is_empty() {
        return canvas.empty_plot(figure, y);
    }
    let style = canvas.style;
    let gap = style.px(GAP);
    let title = y_title(&figure.y_label, &figure.unit);
    let has_title = !title.is_empty() && !style.is_low;
    let below = gap
        + style.small_tick().block_height(1)
        + if has_title {
            gap + style.axis_title().block_height(1)
        } else {
            0
        };
    let bottom = y.end - below;
    let mut legend = Legend::new(figure, style);
    let room = bottom - y.start - style.px(LEAST_PLOT);
    legend.shrink(room, &figure.x_label, style);
    let top = legend.draw(canvas, &figure.x_label, y.start)?;
    let rows = Rows::new(figure, top..bottom.max(top + 1), style);

    let values: Vec<f64> = lows.iter().chain(&highs).copied().collect();
    let chart = Sideways::new(canvas, figure, layers, &rows, &values);
    let bottom = rows.y.end;
    chart.value_axis(top..bottom)?;
    for place in 0..rows.shown {
        chart.row(place, &rows)?;
    }
    if rows.hidden > 0 {
        let at = (
            style.px(MARGIN_X) + rows.names_width(),
            middle(&rows.row(rows.shown)),
        );
        let text = format!("… +{}", rows.hidden);
        canvas.text(&text, rows.font, at, (HPos::Right, VPos::Center))?;
    }
    let zero = chart.x_of(0.0);
    canvas.fill(
        centered(zero, style.px(AXIS_LINE)),
        top..bottom,
        style.palette.axis,
    )?;
    canvas.x_title(&title, &chart.x, bottom + below).map(drop)
}

/// The rows of the names, from the top.
struct Rows {
    y: Range<i32>,
    /// The height of a row.
    height: f64,
    font: Font,
    /// The names of the rows that are shown.
    names: Vec<String>,
    shown: usize,
    hidden: usize,
}

impl Rows {
    fn new(figure: &Figure, y: Range<i32>, style: &Style) -> Self {
        let count = figure.categories.len();
        let room = y.end - y.start;
        let height_for = |font: &Font| (font.size * 11 / 10).max(1);
        let mut fonts = style.row_names().to_vec();
        let least = fonts[0].size.min(LEAST_ROW_NAME);
        fonts.retain(|font| font.size >= least);
        let fits = |font: &&Font| height_for(font) * count as i32 <= room;
        let font = *fonts.iter().find(fits).unwrap_or(&fonts[fonts.len() - 1]);
        let fitting = (room / height_for(&font)).max(1) as usize;
        // The last row says how many have no row.
        let (shown, rows) = match fitting < count {
            true => (fitting - 1, fitting),
            false => (count, count),
        };
        let height = f64::from(room) / rows.max(1) as f64;
        let height = height.min(f64::from(style.px(TALLEST_ROW)));
        let names = figure.categories[..shown].iter();
        let names: Vec<String> = names.map(|category| normalize(&category.label)).collect();
        Self {
            y: y.start..y.start + (height * rows as f64).round() as i32,
            height,
            names: cut_names(&names, font, style.text_width() * 2 / 5),
            font,
            shown,
            hidden: count - shown,
        }
    }

    /// The width of the widest name.
    fn names_width(&self) -> i32 {
        let widths = self.names.iter().map(|name| self.font.width(name));
        widths.max().unwrap_or(0)
    }

    /// The pixels of a row.
    fn row(&self, place: usize) -> Range<i32> {
        let edge = |place: usize| self.y.start + (self.height * place as f64).round() as i32;
        edge(place)..edge(place + 1)
    }
}

struct Sideways<'a> {
    canvas: &'a Canvas<'a>,
    figure: &'a Figure,
    layers: &'a [Layer],
    axis: ValueAxis,
    /// The pixels from the low end of the values to the high one.
    x: Range<i32>,
    values: ValueRange,
}

impl<'a> Sideways<'a> {
    fn new(
        canvas: &'a Canvas<'a>,
        figure: &'a Figure,
        layers: &'a [Layer],
        rows: &Rows,
        values: &[f64],
    ) -> Self {
        let style = canvas.style;
        let margin = style.px(MARGIN_X);
        let left = margin + rows.names_width() + style.px(GAP);
        let right = (style.width - margin).max(left + 1);
        let mut axis = ValueAxis::new(values, figure.y_scale);
        let widest = axis.ticks.iter().map(|&tick| {
            style
                .small_tick()
                .width(&tick_label(&axis, tick, &figure.unit))
        });
        let tick = widest.max().unwrap_or(0) + style.px(SPARSE_LABEL_GAP);
        let fitting = (right - left) / tick.max(1);
        if fitting < MOST_INTERVALS {
            axis = ValueAxis::with_intervals(values, figure.y_scale, fitting);
        }
        let mut chart = Self {
            canvas,
            figure,
            layers,
            values: axis.range(),
            axis,
            x: left..right,
        };
        // Room for the numbers at the ends of the longest bars.
        let totals = || (0..rows.shown).filter_map(|place| chart.total(place));
        let widest = |wanted: fn(f64) -> bool| {
            let numbers = totals().filter(|total| wanted(*total));
            let widths = numbers
                .map(|total| rows.font.width(&chart.number(total)) + 2 * style.px(TICK_LABEL_GAP));
            widths.max().unwrap_or(0)
        };
        let (below, above) = (widest(|total| total < 0.0), widest(|total| total >= 0.0));
        let peak = totals().fold(0.0, f64::max);
        let left = (left + below).min(right - 1);
        let share = (f64::from(above) / f64::from(right - left)).min(0.5);
        let values = chart.values.with_headroom(peak, share);
        chart.x = left..right;
        chart.values = values;
        chart
    }

    fn x_of(&self, value: f64) -> i32 {
        let width = f64::from(self.x.end - self.x.start);
        let x = self.x.start + (width * self.values.share(value)).round() as i32;
        x.clamp(self.x.start, self.x.end)
    }

    /// The sum of a row's bar; `None` if it is unknown.
    fn total(&self, place: usize) -> Option<f64> {
        let values = self.layers.iter().filter_map(|layer| layer.value(place));
        let total = drawable(values.reduce(|a, b| a + b));
        total.filter(|_| !self.figure.is_missing(place))
    }

    fn number(&self, total: f64) -> String {
        with_unit(
            &self.axis.value_label(total),
            if self.figure.unit == "%" { "%" } else { "" },
        )
    }

    /// Gridlines, and their numbers below.
    fn value_axis(&self, y: Range<i32>) -> Drawn {
        let style = self.canvas.style;
        for &tick in &self.axis.ticks {
            let x = self.x_of(tick);
            let line = centered(x, style.px(GRID_LINE));
            self.canvas.fill(line, y.clone(), style.palette.rule)?;
            let label = tick_label(&self.axis, tick, &self.figure.unit);
            let half = style.small_tick().width(&label) / 2;
            let inside = style.width - style.px(MARGIN_X) / 2 - half;
            let at = (x.min(inside), y.end + style.px(GAP));
            self.canvas
                .text(&label, style.small_tick(), at, (HPos::Center, VPos::Top))?;
        }
        Ok(())
    }

    fn row(&self, place: usize, rows: &Rows) -> Drawn {
        let (canvas, style) = (self.canvas, self.canvas.style);
        let row = rows.row(place);
        let at = (style.px(MARGIN_X) + rows.names_width(), middle(&row));
        canvas.text(
            &rows.names[place],
            rows.font,
            at,
            (HPos::Right, VPos::Center),
        )?;
        let Some(total) = self.total(place) else {
            return canvas.hatch_missing(self.x.clone(), row);
        };
        let thickness = (rows.height * BAR_SHARE).round() as i32;
        let across = centered(middle(&row), thickness.max(1));
        let zero = self.x_of(0.0);
        let provisional = self.figure.categories[place].state == DataState::Provisional;
        let mut ends = [zero, zero];
        for (end, (sign, way)) in ends.iter_mut().zip([(1.0, Way::Right), (-1.0, Way::Left)]) {
            let parts = canvas.parts(self.layers, place, sign);
            let sum: f64 = parts.iter().map(|(_, value)| value).sum();
            let length = (self.x_of(sum) - zero).abs();
            canvas.stack(&parts, &across, zero, length, way, provisional)?;
            if !parts.is_empty() {
                *end = zero + sign as i32 * length.max(style.px(SMALLEST_HEIGHT));
            }
        }
        self.earlier(place, &across)?;
        let gap = style.px(TICK_LABEL_GAP);
        let font = rows.font.colored(style.palette.ink);
        let (x, anchor) = match total < 0.0 {
            true => (ends[1] - gap, HPos::Right),
            false => (ends[0] + gap, HPos::Left),
        };
        canvas.text(
            &self.number(total),
            font,
            (x, middle(&row)),
            (anchor, VPos::Center),
        )
    }

    /// The value of the earlier window: a line across the bar.
    fn earlier(&self, place: usize, across: &Range<i32>) -> Drawn {
        let value = self
            .figure
            .earlier
            .as_ref()
            .and_then(|layer| layer.value(place));
        let Some(value) = value else {
            return Ok(());
        };
        let style = self.canvas.style;
        let (width, ring) = (style.px(EARLIER_WIDTH), style.px(RING));
        let x = self.x_of(value);
        let ends = across.start - ring..across.end + ring;
        self.canvas.fill(
            centered(x, width + 2 * ring),
            ends.clone(),
            style.palette.background,
        )?;
        self.canvas
            .fill(centered(x, width), ends, style.palette.ink_faint)
    }
}
