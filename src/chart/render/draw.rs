//! The layout of a figure: the heading at the top, the footer at the bottom, the plot in the space between them.

use std::ops::Range;

use plotters::style::text_anchor::{HPos, VPos};

use super::canvas::{Canvas, Drawn, centered};
use super::fit::{TextBlock, cut, share_line};
use super::heatmap;
use super::legend::Legend;
use super::line_names::LineNames;
use super::marks::{Plot, heights};
use super::sideways;
use super::style::*;
use super::svg::Area;
use super::value_axis::{MOST_INTERVALS, ValueAxis, y_title};
use super::x_axis::{CategoryScale, XAxisLabels};
use crate::chart::model::{Figure, Marks, Sources, ranges};
use crate::chart::text::normalize;
use crate::chart::value_range::ValueRange;
use crate::numbers::with_unit;

/// Draws the figure over the whole area.
pub fn draw(figure: &Figure, style: &Style, area: &Area) -> Drawn {
    let canvas = Canvas { area, style };
    area.fill(&style.palette.background)?;
    let top = canvas.heading(figure)?;
    let bottom = canvas.footer(figure)?;
    match &figure.marks {
        Marks::Cells(rows) => heatmap::draw(&canvas, figure, rows, top..bottom),
        Marks::Bars(layers) if sideways::is_better(&canvas, figure) => {
            sideways::draw(&canvas, figure, layers, top..bottom)
        }
        _ => canvas.plot(figure, top..bottom),
    }
}

impl Canvas<'_> {
    /// Title, subtitle and badge. Returns the top of the space below them.
    fn heading(&self, figure: &Figure) -> Drawn<i32> {
        let style = self.style;
        let gap = style.px(GAP);
        let mut top = style.px(MARGIN_TOP);
        let title = TextBlock::fit(
            &normalize(&figure.title),
            style.titles(),
            style.text_width(),
        );
        self.block(&title, top)?;
        if !title.lines.is_empty() {
            top += title.height() + gap;
        }
        let badge = normalize(&figure.badge);
        let padding = style.px(TICK_LABEL_GAP);
        let badge_width = match badge.is_empty() {
            true => 0,
            false => style.badge().width(&badge) + 2 * padding + gap,
        };
        let room = style.text_width() - badge_width;
        let subtitle = TextBlock::wrap(&normalize(&figure.subtitle), style.subtitle(), room, 2);
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

    /// A word in a frame, vertically centred on a subtitle whose top is at `top`.
    fn badge(&self, text: &str, (left, top): (i32, i32)) -> Drawn {
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

    /// Sources and footer. Returns the bottom of the space above them.
    fn footer(&self, figure: &Figure) -> Drawn<i32> {
        let style = self.style;
        let font = style.footer();
        let room = style.text_width();
        let mut footer = TextBlock::wrap(&normalize(&figure.footer), font, room, MOST_FOOTER_LINES);
        // A low figure has no space for both, and how certain the values are matters more.
        if !figure.sources.names.is_empty() && !style.is_low {
            footer.lines.insert(0, sources(&figure.sources, font, room));
        }
        let bottom = style.height - style.px(MARGIN_BOTTOM);
        if footer.lines.is_empty() {
            return Ok(bottom);
        }
        let top = bottom - footer.height();
        self.block(&footer, top)?;
        Ok(top - style.px(BLOCK_GAP))
    }

    /// Axes, marks and legend of a figure with a y axis.
    fn plot(&self, figure: &Figure, y: Range<i32>) -> Drawn {
        let (lows, highs) = heights(figure);
        if highs.is_empty() {
            return self.empty_plot(figure, y);
        }
        let style = self.style;
        let values: Vec<f64> = lows.iter().chain(&highs).copied().collect();
        let mut axis = ValueAxis::new(&values, figure.y_scale);
        let names = LineNames::new(figure, style);
        let margin = style.px(MARGIN_X);
        let left = margin + self.value_labels_width(&axis, &figure.unit);
        let x = left..(style.width - margin - names.width(style)).max(left + 1);
        let x_labels = XAxisLabels::new(&figure.categories, &x, style);
        let y_label = y_title(&figure.y_label, &figure.unit);
        let bottom = self.x_title(&figure.x_label, &x, y.end)? - x_labels.height(style);
        let notes = self.notes_height(figure);
        let mut legend = Legend::new(figure, style);
        let room = bottom - y.start - notes - style.px(LEAST_PLOT);
        legend.shrink(room, &y_label, style);
        let top = legend.draw(self, &y_label, y.start)? + notes;
        let bottom = bottom.max(top + 1);
        let fitting = (bottom - top) / (style.tick().size * 3 / 2);
        if fitting < MOST_INTERVALS {
            axis = ValueAxis::with_intervals(&values, figure.y_scale, fitting);
        }
        let peak = highs.iter().copied().fold(0.0, f64::max);
        let plot = Plot {
            x: CategoryScale::new(x, figure.categories.len()),
            y: top..bottom,
            values: self.with_headroom(&axis, peak, bottom - top),
        };

        self.value_axis(&axis, &plot, &figure.unit)?;
        self.hatch_states(figure, &plot)?;
        self.notes(figure, &plot)?;
        self.marks_and_axis(figure, &plot, &x_labels)?;
        self.peak(figure, &axis, &plot)?;
        names.draw(self, &plot)
    }

    /// The plot of a figure without any value.
    pub fn empty_plot(&self, figure: &Figure, y: Range<i32>) -> Drawn {
        let style = self.style;
        let margin = style.px(MARGIN_X);
        let x = margin..style.width - margin;
        let labels = XAxisLabels::new(&figure.categories, &x, style);
        let top = Legend::empty().draw(self, &figure.y_label, y.start)?;
        let bottom = self.x_title(&figure.x_label, &x, y.end)? - labels.height(style);
        let bottom = bottom.max(top + 1);
        self.no_data(&figure.state_labels.no_data, &x, &(top..bottom))?;
        let line = centered(bottom, style.px(AXIS_LINE));
        self.fill(x.clone(), line, style.palette.axis)?;
        let scale = CategoryScale::new(x, figure.categories.len());
        labels.draw(self, &scale, bottom, false)
    }

    /// The hatching of missing categories, and of provisional ones without a bar.
    fn hatch_states(&self, figure: &Figure, plot: &Plot) -> Drawn {
        let count = figure.categories.len();
        for missing in ranges(count, |category| figure.is_missing(category)) {
            self.hatch_missing(plot.x.range(missing), plot.y.clone())?;
        }
        let without_bar = |category| figure.is_provisional_without_bar(category);
        for provisional in ranges(count, without_bar) {
            self.hatch_behind(plot.x.range(provisional), plot.y.clone())?;
        }
        Ok(())
    }

    /// The marks, the x axis and the earlier line, which lies over bars, as they would hide it, and under lines.
    fn marks_and_axis(&self, figure: &Figure, plot: &Plot, x_labels: &XAxisLabels) -> Drawn {
        let are_bars = matches!(figure.marks, Marks::Bars(_));
        if !are_bars {
            self.earlier(figure, plot)?;
        }
        self.marks(figure, plot)?;
        let line = centered(plot.y_of(0.0), self.style.px(AXIS_LINE));
        self.fill(plot.x.pixels.clone(), line, self.style.palette.axis)?;
        x_labels.draw(self, &plot.x, plot.y.end, !are_bars)?;
        self.zeros(figure, plot)?;
        if are_bars {
            self.earlier(figure, plot)?;
        }
        Ok(())
    }

    /// Gridlines with their numbers.
    fn value_axis(&self, axis: &ValueAxis, plot: &Plot, unit: &str) -> Drawn {
        let style = self.style;
        for &tick in &axis.ticks {
            let y = plot.y_of(tick);
            let line = centered(y, style.px(GRID_LINE));
            self.fill(plot.x.pixels.clone(), line, style.palette.rule)?;
            let at = (plot.x.pixels.start - style.px(GAP), y);
            let label = tick_label(axis, tick, unit);
            self.text(&label, style.tick(), at, (HPos::Right, VPos::Center))?;
        }
        Ok(())
    }

    /// The width of the numbers to the left of the y axis.
    pub fn value_labels_width(&self, axis: &ValueAxis, unit: &str) -> i32 {
        let labels = axis.ticks.iter().map(|&tick| tick_label(axis, tick, unit));
        labels
            .map(|label| self.style.tick().width(&label) + self.style.px(GAP))
            .max()
            .unwrap_or(0)
    }

    /// The values of the plot: up to the highest tick, or further if the label above the peak needs space.
    fn with_headroom(&self, axis: &ValueAxis, peak: f64, height: i32) -> ValueRange {
        // The share of the plot's height that the label takes.
        let room = self.style.px(PEAK_GAP) + self.style.peak().size;
        let label = (f64::from(room) / f64::from(height)).min(0.5);
        axis.range().with_headroom(peak, label)
    }

    fn notes_height(&self, figure: &Figure) -> i32 {
        let mut categories = figure.categories.iter();
        match categories.any(|category| !category.note.is_empty()) {
            true => self.style.note().line_height(),
            false => 0,
        }
    }

    /// The notes of categories: a dashed line at the start of each, the text above the plot.
    fn notes(&self, figure: &Figure, plot: &Plot) -> Drawn {
        let style = self.style;
        let font = style.note();
        let mut free = i32::MIN;
        for (place, category) in figure.categories.iter().enumerate() {
            if category.note.is_empty() {
                continue;
            }
            let x = plot.x.edge(place);
            self.dashes(x, plot.y.start - font.line_height()..plot.y.end, font.color)?;
            let text = normalize(&category.note);
            let gap = style.px(TICK_LABEL_GAP);
            let width = font.width(&text);
            let left = (x + gap).min(style.width - style.px(MARGIN_X) - width);
            // A text that would overlap the one before is left out; its line shows the place.
            if left > free {
                let at = (left, plot.y.start - font.line_height());
                self.text(&text, font, at, (HPos::Left, VPos::Top))?;
                free = left + width + gap;
            }
        }
        Ok(())
    }
}

/// The names and the text behind them, in a line no wider than `room`.
fn sources(sources: &Sources, font: Font, room: i32) -> String {
    const BETWEEN: &str = ", ";
    let names: Vec<String> = sources.names.iter().map(|name| normalize(name)).collect();
    // The space behind the names, which `normalize` takes away.
    let more = format!(" {}", normalize(&sources.more));
    let rest = BETWEEN.repeat(names.len() - 1) + more.trim_end();
    let names = share_line(&names, font, room - font.width(&rest));
    cut(&(names.join(BETWEEN) + more.trim_end()), font, room)
}

pub fn tick_label(axis: &ValueAxis, tick: f64, unit: &str) -> String {
    let number = axis.tick_label(tick);
    match unit {
        "%" => with_unit(&number, unit),
        _ => number,
    }
}
