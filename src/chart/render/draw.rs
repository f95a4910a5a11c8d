//! The picture as a whole: heading at the top, footer at the bottom, the plot in what is left between them.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::style::text_anchor::{HPos, VPos};
use plotters_backend::DrawingBackend;

use super::axis::{MOST_INTERVALS, ValueAxis, y_title};
use super::canvas::{Canvas, Drawn, centered, middle};
use super::heatmap;
use super::legend::Legend;
use super::marks::{LineNames, Plot, heights};
use super::style::*;
use super::text::{Lines, cut, normalize, share_line};
use super::x_axis::{Slots, XAxis};
use crate::chart::model::{Chart, Marks, Sources, is_missing, may_move, runs};
use crate::numbers::with_unit;

/// Draws the chart over the whole area.
pub fn draw<B: DrawingBackend>(
    chart: &Chart,
    style: &Style,
    area: &DrawingArea<B, Shift>,
) -> Drawn<B> {
    let canvas = Canvas { area, style };
    area.fill(&style.palette.background)?;
    let top = canvas.heading(chart)?;
    let bottom = canvas.footer(chart)?;
    match &chart.marks {
        Marks::Cells(rows) => heatmap::draw(&canvas, chart, rows, top..bottom),
        _ => canvas.plot(chart, top..bottom),
    }
}

impl<B: DrawingBackend> Canvas<'_, B> {
    /// Title, subtitle and badge. Returns where the room below them begins.
    fn heading(&self, chart: &Chart) -> Drawn<B, i32> {
        let style = self.style;
        let gap = style.px(GAP);
        let mut top = style.px(MARGIN_TOP);
        let title = Lines::fit(&normalize(&chart.title), style.titles(), style.text_width());
        self.block(&title, top)?;
        if !title.lines.is_empty() {
            top += title.height() + gap;
        }
        let badge = normalize(&chart.badge);
        let padding = style.px(TICK_LABEL_GAP);
        let badge_width = match badge.is_empty() {
            true => 0,
            false => style.badge().width(&badge) + 2 * padding + gap,
        };
        let room = style.text_width() - badge_width;
        let subtitle = Lines::wrap(&normalize(&chart.subtitle), style.subtitle(), room, 2);
        self.block(&subtitle, top)?;
        if !badge.is_empty() {
            let widest = subtitle
                .lines
                .last()
                .map_or(0, |line| subtitle.font.width(line) + gap);
            let row = style.subtitle().line_height() * (subtitle.lines.len() as i32 - 1).max(0);
            self.badge(&badge, (style.px(MARGIN_X) + widest, top + row))?;
        }
        if !subtitle.lines.is_empty() {
            top += subtitle.height() + gap;
        } else if !badge.is_empty() {
            top += style.subtitle().block_height(1) + gap;
        }
        Ok(top - gap + style.px(BLOCK_GAP))
    }

    /// A word in a frame, its middle at that of a subtitle whose top is at `top`.
    fn badge(&self, text: &str, (left, top): (i32, i32)) -> Drawn<B> {
        let style = self.style;
        let font = style.badge();
        let padding = style.px(TICK_LABEL_GAP);
        let middle = top + style.subtitle().size * 35 / 100;
        let x = left..left + font.width(text) + 2 * padding;
        let y = centered(middle, font.size + padding);
        let frame = style.px(AXIS_LINE);
        self.fill(x.clone(), y.clone(), font.color)?;
        self.fill(
            x.start + frame..x.end - frame,
            y.start + frame..y.end - frame,
            style.palette.background,
        )?;
        self.text(
            text,
            font,
            (left + padding, middle),
            (HPos::Left, VPos::Center),
        )
    }

    /// Returns where the room above it ends.
    fn footer(&self, chart: &Chart) -> Drawn<B, i32> {
        let style = self.style;
        let font = style.footer();
        let room = style.text_width();
        let mut footer = Lines::wrap(&normalize(&chart.footer), font, room, MOST_FOOTER_LINES);
        // Where there is no room for both, what the numbers are worth matters more than whose they are.
        if !chart.sources.names.is_empty() && !style.is_low {
            footer.lines.insert(0, sources(&chart.sources, font, room));
        }
        let bottom = style.height - style.px(MARGIN_BOTTOM);
        if footer.lines.is_empty() {
            return Ok(bottom);
        }
        let top = bottom - footer.height();
        self.block(&footer, top)?;
        Ok(top - style.px(BLOCK_GAP))
    }

    /// The x axis' title. Returns where the room above it ends.
    pub fn x_title(&self, title: &str, x: &Range<i32>, bottom: i32) -> Drawn<B, i32> {
        let font = self.style.axis_title();
        let title = cut(&normalize(title), font, x.end - x.start);
        if title.is_empty() || self.style.is_low {
            return Ok(bottom);
        }
        let top = bottom - font.block_height(1);
        self.text(&title, font, (middle(x), top), (HPos::Center, VPos::Top))?;
        Ok(top - self.style.px(GAP))
    }

    /// Axes, marks and legend of a chart with a y axis.
    fn plot(&self, chart: &Chart, y: Range<i32>) -> Drawn<B> {
        let style = self.style;
        let margin = style.px(MARGIN_X);
        let (lows, highs) = heights(chart);
        let values: Vec<f64> = lows.iter().chain(&highs).copied().collect();
        let mut legend = Legend::new(chart, style);
        if highs.is_empty() {
            let x = margin..style.width - margin;
            let axis = XAxis::new(&chart.slots, &x, style);
            let top = Legend::empty().draw(self, &chart.y_label, y.start)?;
            let bottom = self.x_title(&chart.x_label, &x, y.end)? - axis.height(style);
            let y = top..bottom.max(top + 1);
            self.no_data(&chart.words.no_data, &x, &y)?;
            self.fill(
                x.clone(),
                centered(y.end, style.px(AXIS_LINE)),
                style.palette.axis,
            )?;
            return axis.draw(self, &Slots::new(x, chart.slots.len()), y.end, false);
        }

        let mut axis = ValueAxis::new(&values);
        let names = LineNames::new(chart, style);
        let left = margin + self.value_labels_width(&axis, &chart.unit);
        let x = left..(style.width - margin - names.width(style)).max(left + 1);
        let x_axis = XAxis::new(&chart.slots, &x, style);
        let y_label = y_title(&chart.y_label, &chart.unit);
        let bottom = self.x_title(&chart.x_label, &x, y.end)? - x_axis.height(style);
        let notes = match chart.slots.iter().any(|slot| !slot.note.is_empty()) {
            true => style.note().line_height(),
            false => 0,
        };
        legend.shrink(
            bottom - y.start - notes - style.px(LEAST_PLOT),
            &y_label,
            style,
        );
        let top = legend.draw(self, &y_label, y.start)? + notes;
        let bottom = bottom.max(top + 1);
        let fitting = (bottom - top) / (style.tick().size * 3 / 2);
        if fitting < MOST_INTERVALS {
            axis = ValueAxis::with_intervals(&values, fitting);
        }
        let peak = highs.iter().copied().fold(0.0, f64::max);
        let high = self.with_headroom(&axis, peak, bottom - top);
        let plot = Plot {
            slots: Slots::new(x, chart.slots.len()),
            y: top..bottom,
            values: (axis.low(), high),
        };

        self.value_axis(&axis, &plot, &chart.unit)?;
        for run in runs(chart.slots.len(), |slot| is_missing(chart, slot)) {
            let x = plot.slots.edge(run.start)..plot.slots.edge(run.end);
            self.hatch_missing(x, plot.y.clone())?;
        }
        for run in runs(chart.slots.len(), |slot| may_move(chart, slot)) {
            let x = plot.slots.edge(run.start)..plot.slots.edge(run.end);
            self.hatch_behind(x, plot.y.clone())?;
        }
        self.notes(chart, &plot)?;
        let zero = plot.y_of(0.0);
        // Over bars, which would hide it, and under lines, which it is held against.
        let over_marks = matches!(chart.marks, Marks::Bars(_));
        if !over_marks {
            self.earlier(chart, &plot)?;
        }
        self.marks(chart, &plot)?;
        self.fill(
            plot.slots.x.clone(),
            centered(zero, style.px(AXIS_LINE)),
            style.palette.axis,
        )?;
        x_axis.draw(self, &plot.slots, plot.y.end, !over_marks)?;
        self.zeros(chart, &plot)?;
        if over_marks {
            self.earlier(chart, &plot)?;
        }
        self.peak(chart, &axis, &plot)?;
        names.draw(self, &plot)
    }

    /// Gridlines with their numbers.
    fn value_axis(&self, axis: &ValueAxis, plot: &Plot, unit: &str) -> Drawn<B> {
        let style = self.style;
        for &tick in &axis.ticks {
            let y = plot.y_of(tick);
            let line = centered(y, style.px(GRID_LINE));
            self.fill(plot.slots.x.clone(), line, style.palette.rule)?;
            let at = (plot.slots.x.start - style.px(GAP), y);
            let label = tick_label(axis, tick, unit);
            self.text(&label, style.tick(), at, (HPos::Right, VPos::Center))?;
        }
        Ok(())
    }

    /// How much the numbers of the y axis take on its left.
    fn value_labels_width(&self, axis: &ValueAxis, unit: &str) -> i32 {
        let labels = axis.ticks.iter().map(|&tick| tick_label(axis, tick, unit));
        labels
            .map(|label| self.style.tick().width(&label) + self.style.px(GAP))
            .max()
            .unwrap_or(0)
    }

    /// The value at the top of the plot: the highest tick, or more where the label above the peak would not fit.
    fn with_headroom(&self, axis: &ValueAxis, peak: f64, height: i32) -> f64 {
        // The share of the height that the label takes is not there for values.
        let room = self.style.px(PEAK_GAP) + self.style.peak().size;
        let label = (f64::from(room) / f64::from(height)).min(0.5);
        axis.high().max((peak - axis.low() * label) / (1.0 - label))
    }

    /// What is special about slots: a dashed line where each begins, its text above the plot.
    fn notes(&self, chart: &Chart, plot: &Plot) -> Drawn<B> {
        let style = self.style;
        let font = style.note();
        let mut free = i32::MIN;
        for (place, slot) in chart.slots.iter().enumerate() {
            if slot.note.is_empty() {
                continue;
            }
            let x = plot.slots.edge(place);
            self.dashes(x, plot.y.start - font.line_height()..plot.y.end, font.color)?;
            let text = normalize(&slot.note);
            let gap = style.px(TICK_LABEL_GAP);
            let width = font.width(&text);
            let left = (x + gap).min(style.width - style.px(MARGIN_X) - width);
            // One that would lie on its neighbour is left out: its line is there.
            if left > free {
                let at = (left, plot.y.start - font.line_height());
                self.text(&text, font, at, (HPos::Left, VPos::Top))?;
                free = left + width + gap;
            }
        }
        Ok(())
    }

    /// Says across the plot that there is nothing.
    pub fn no_data(&self, text: &str, x: &Range<i32>, y: &Range<i32>) -> Drawn<B> {
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

/// The names in a line no wider than `room`.
fn sources(sources: &Sources, font: Type, room: i32) -> String {
    const BETWEEN: &str = ", ";
    let names: Vec<String> = sources.names.iter().map(|name| normalize(name)).collect();
    // Its first space sets it off from the names.
    let more = format!(" {}", normalize(&sources.more));
    let rest = BETWEEN.repeat(names.len() - 1) + more.trim_end();
    let names = share_line(&names, font, room - font.width(&rest));
    cut(&(names.join(BETWEEN) + more.trim_end()), font, room)
}

fn tick_label(axis: &ValueAxis, tick: f64, unit: &str) -> String {
    let number = axis.tick_label(tick);
    match unit {
        "%" => with_unit(&number, unit),
        _ => number,
    }
}
