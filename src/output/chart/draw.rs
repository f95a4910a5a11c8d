//! The picture itself: heading at the top, footer at the bottom, the plot in what is left between them.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind};
use plotters::element::{Circle, PathElement, Rectangle};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontFamily, IntoFont, RGBColor, ShapeStyle, TextStyle};
use plotters_backend::DrawingBackend;

use super::axis::{ValueAxis, label_step};
use super::font::CAP_HEIGHT;
use super::style::*;
use super::text::{Lines, cut, normalize};
use super::{Chart, ChartKind, Point};

/// What is shown instead of values: in the legend where some are missing, across the plot where all are.
const NO_DATA: &str = "no data";

type Drawn<B, T = ()> = Result<T, DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

/// Draws the chart over the whole area.
pub fn draw<B: DrawingBackend>(chart: &Chart, area: &DrawingArea<B, Shift>) -> Drawn<B> {
    let canvas = Canvas { area };
    area.fill(&BACKGROUND)?;
    let top = canvas.heading(chart)?;
    let bottom = canvas.footer(&chart.footer)?;

    let values: Vec<Option<f64>> = chart.points.iter().map(Point::drawable).collect();
    let drawable: Vec<f64> = values.iter().copied().flatten().collect();
    if drawable.is_empty() {
        let x = MARGIN_X..WIDTH - MARGIN_X;
        let labels = PointLabels::new(&chart.points, &x);
        let top = canvas.value_title(&chart.y_label, top)?;
        let bottom = canvas.point_title(&chart.x_label, &x, bottom)? - labels.height();
        let plot = Plot::new(x, top..bottom, (0.0, 1.0), values.len());
        canvas.no_data(&plot)?;
        return canvas.point_axis(&labels, &plot, chart.kind);
    }

    let axis = ValueAxis::new(&drawable);
    let x = MARGIN_X + value_labels_width(&axis)..WIDTH - MARGIN_X;
    let labels = PointLabels::new(&chart.points, &x);
    let missing = runs(&values, Option::is_none);
    if !missing.is_empty() {
        canvas.legend(top)?;
    }
    let top = canvas.value_title(&chart.y_label, top)?;
    let bottom = canvas.point_title(&chart.x_label, &x, bottom)? - labels.height();
    let peak = drawable.iter().copied().fold(0.0, f64::max);
    let high = with_headroom(&axis, peak, bottom - top);
    let plot = Plot::new(x, top..bottom, (axis.low(), high), values.len());

    canvas.value_axis(&axis, &plot)?;
    for run in missing {
        canvas.hatch(plot.edge(run.start)..plot.edge(run.end), plot.y.clone())?;
    }
    canvas.point_axis(&labels, &plot, chart.kind)?;
    canvas.peak(&values, &axis, &plot, chart.kind)?;
    match chart.kind {
        ChartKind::Bar => canvas.bars(&values, &plot),
        ChartKind::Line => canvas.line(&values, &plot),
    }
}

/// How much the numbers of the y axis take on its left.
fn value_labels_width(axis: &ValueAxis) -> i32 {
    let labels = axis.ticks.iter().map(|&tick| axis.tick_label(tick));
    labels
        .map(|label| TICK.width(&label) + GAP)
        .max()
        .unwrap_or(0)
}

/// The value at the top of the plot: the highest tick, or more where the label above the peak would not fit.
fn with_headroom(axis: &ValueAxis, peak: f64, height: i32) -> f64 {
    // The share of the height that the label takes is not there for values.
    let label = f64::from(PEAK_LABEL_ROOM) / f64::from(height);
    axis.high().max((peak - axis.low() * label) / (1.0 - label))
}

/// Where the plot lies, and how points and values map into it.
struct Plot {
    x: Range<i32>,
    y: Range<i32>,
    /// The values at its bottom and top.
    values: (f64, f64),
    /// The points share its width evenly.
    slots: usize,
}

impl Plot {
    fn new(x: Range<i32>, y: Range<i32>, values: (f64, f64), points: usize) -> Self {
        Self {
            x,
            y,
            values,
            slots: points.max(1),
        }
    }

    fn slot_width(&self) -> f64 {
        f64::from(self.x.end - self.x.start) / self.slots as f64
    }

    /// Where a slot begins.
    fn edge(&self, slot: usize) -> i32 {
        self.x.start + (self.slot_width() * slot as f64).round() as i32
    }

    fn center(&self, slot: usize) -> i32 {
        (self.edge(slot) + self.edge(slot + 1)) / 2
    }

    fn y_of(&self, value: f64) -> i32 {
        let (low, high) = self.values;
        let share = (value - low) / (high - low);
        self.y.end - (f64::from(self.y.end - self.y.start) * share).round() as i32
    }
}

/// The stretches of neighbours for which `wanted` holds.
fn runs(values: &[Option<f64>], wanted: impl Fn(&Option<f64>) -> bool) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (place, _) in values.iter().enumerate().filter(|(_, value)| wanted(value)) {
        match runs.last_mut() {
            Some(run) if run.end == place => run.end += 1,
            _ => runs.push(place..place + 1),
        }
    }
    runs
}

/// The values that there are, with their slots.
fn present(values: &[Option<f64>]) -> impl Iterator<Item = (usize, f64)> {
    values
        .iter()
        .enumerate()
        .filter_map(|(slot, value)| Some((slot, (*value)?)))
}

/// The texts below the x axis, fitted.
struct PointLabels {
    texts: Vec<String>,
    font: Type,
    /// Every how many points one is shown.
    step: usize,
}

impl PointLabels {
    fn new(points: &[Point], x: &Range<i32>) -> Self {
        let room = x.end - x.start;
        let slot = room / points.len().max(1) as i32;
        let longest = LONGEST_TICK_LABEL.max(slot - TICK_LABEL_GAP);
        let texts: Vec<String> = points
            .iter()
            .map(|point| cut(&normalize(&point.label), TICK, longest))
            .collect();
        let step = |font: Type| {
            let widest = texts.iter().map(|text| font.width(text)).max().unwrap_or(0);
            label_step(texts.len(), widest + TICK_LABEL_GAP, room)
        };
        let sizes = TICK_SIZES.map(|size| Type { size, ..TICK });
        let font = sizes
            .into_iter()
            .find(|&font| step(font) == 1)
            .unwrap_or(TICK);
        let step = step(font);
        Self { texts, font, step }
    }

    fn height(&self) -> i32 {
        match self.texts.iter().all(String::is_empty) {
            true => 0,
            false => GAP + self.font.block_height(1),
        }
    }

    fn shown(&self) -> impl Iterator<Item = (usize, &String)> {
        let shown = self.texts.iter().enumerate().step_by(self.step);
        shown.filter(|(_, text)| !text.is_empty())
    }
}

/// plotters' drawing area with this chart's ways of using it.
struct Canvas<'a, B: DrawingBackend> {
    area: &'a DrawingArea<B, Shift>,
}

impl<B: DrawingBackend> Canvas<'_, B> {
    /// Title and subtitle. Returns where the room below them begins.
    fn heading(&self, chart: &Chart) -> Drawn<B, i32> {
        let title = Lines::fit(&normalize(&chart.title), TITLE, &TITLE_SIZES, TEXT_WIDTH);
        let subtitle = Lines::wrap(&normalize(&chart.subtitle), SUBTITLE, TEXT_WIDTH, 1);
        let mut top = MARGIN_TOP;
        for block in [title, subtitle] {
            self.block(&block, top)?;
            if !block.lines.is_empty() {
                top += block.height() + GAP;
            }
        }
        Ok(top - GAP + BLOCK_GAP)
    }

    /// Returns where the room above it ends.
    fn footer(&self, text: &str) -> Drawn<B, i32> {
        let footer = Lines::wrap(&normalize(text), FOOTER, TEXT_WIDTH, 2);
        let bottom = HEIGHT - MARGIN_BOTTOM;
        if footer.lines.is_empty() {
            return Ok(bottom);
        }
        let top = bottom - footer.height();
        self.block(&footer, top)?;
        Ok(top - BLOCK_GAP)
    }

    /// The y axis' title in a row above the plot: turned by the side of the axis it would be hard to read. Returns
    /// where the plot begins.
    fn value_title(&self, title: &str, top: i32) -> Drawn<B, i32> {
        let title = cut(
            &normalize(title),
            AXIS_TITLE,
            TEXT_WIDTH - legend_width() - GAP,
        );
        self.text(&title, AXIS_TITLE, (MARGIN_X, top), (HPos::Left, VPos::Top))?;
        // Also without a title: the legend may be there, and the label of the top tick reaches up by half its height.
        Ok(top + AXIS_TITLE.block_height(1) + BLOCK_GAP)
    }

    /// What hatching means, at the right of the y axis' title.
    fn legend(&self, top: i32) -> Drawn<B> {
        let right = WIDTH - MARGIN_X;
        let left = right - legend_width();
        let middle = top + (f64::from(AXIS_TITLE.size) * CAP_HEIGHT / 2.0) as i32;
        let half = LEGEND_SAMPLE / 3;
        self.hatch(left..left + LEGEND_SAMPLE, middle - half..middle + half)?;
        self.text(
            NO_DATA,
            AXIS_TITLE,
            (right, middle),
            (HPos::Right, VPos::Center),
        )
    }

    /// The x axis' title. Returns where the room above it ends.
    fn point_title(&self, title: &str, x: &Range<i32>, bottom: i32) -> Drawn<B, i32> {
        let title = cut(&normalize(title), AXIS_TITLE, x.end - x.start);
        if title.is_empty() {
            return Ok(bottom);
        }
        let top = bottom - AXIS_TITLE.block_height(1);
        self.text(
            &title,
            AXIS_TITLE,
            (middle(x), top),
            (HPos::Center, VPos::Top),
        )?;
        Ok(top - GAP)
    }

    /// Gridlines with their numbers.
    fn value_axis(&self, axis: &ValueAxis, plot: &Plot) -> Drawn<B> {
        for &tick in &axis.ticks {
            let y = plot.y_of(tick);
            self.fill(plot.x.clone(), centered(y, GRID_LINE), RULE)?;
            let at = (plot.x.start - GAP, y);
            self.text(
                &axis.tick_label(tick),
                TICK,
                at,
                (HPos::Right, VPos::Center),
            )?;
        }
        Ok(())
    }

    /// The line at zero and the points' labels.
    fn point_axis(&self, labels: &PointLabels, plot: &Plot, kind: ChartKind) -> Drawn<B> {
        self.fill(plot.x.clone(), centered(plot.y_of(0.0), AXIS_LINE), AXIS)?;
        // Without a label each, or without a bar above it, a point needs a mark to be found.
        let marked = labels.step > 1 || kind == ChartKind::Line;
        for (slot, text) in labels.shown() {
            let center = plot.center(slot);
            if marked {
                self.fill(
                    centered(center, AXIS_LINE),
                    plot.y.end..plot.y.end + TICK_LENGTH,
                    AXIS,
                )?;
            }
            let half = labels.font.width(text) / 2 + GAP;
            let at = (center.min(WIDTH - half).max(half), plot.y.end + GAP);
            self.text(text, labels.font, at, (HPos::Center, VPos::Top))?;
        }
        Ok(())
    }

    fn bars(&self, values: &[Option<f64>], plot: &Plot) -> Drawn<B> {
        let half = ((plot.slot_width() * BAR_SHARE / 2.0).round() as i32).min(WIDEST_BAR / 2);
        let narrow = plot.slot_width() < NARROW_SLOT;
        let zero = plot.y_of(0.0);
        for (slot, value) in present(values) {
            let x = match narrow {
                true => plot.edge(slot)..plot.edge(slot + 1).max(plot.edge(slot) + 1),
                false => plot.center(slot) - half..plot.center(slot) + half,
            };
            let height = (zero - plot.y_of(value)).abs().max(SMALLEST_HEIGHT);
            let y = match value {
                0.0 => zero - ZERO_HEIGHT..zero,
                _ if value < 0.0 => zero..zero + height,
                _ => zero - height..zero,
            };
            // A zero in the colour of the axis is seen to be there, and not taken for a few.
            let color = if value == 0.0 { AXIS } else { ACCENT };
            self.fill(x, y, color)?;
        }
        Ok(())
    }

    fn line(&self, values: &[Option<f64>], plot: &Plot) -> Drawn<B> {
        for run in runs(values, Option::is_some) {
            let points: Vec<(i32, i32)> = present(&values[run.clone()])
                .map(|(place, value)| (plot.center(run.start + place), plot.y_of(value)))
                .collect();
            if points.len() > 1 {
                self.area.draw(&PathElement::new(
                    points.clone(),
                    stroke(ACCENT, LINE_WIDTH),
                ))?;
            }
            // A point without neighbours has no line to be seen by.
            if points.len() == 1 || plot.slot_width() >= MARKER_SLOT {
                for point in points {
                    self.marker(point)?;
                }
            }
        }
        Ok(())
    }

    /// A dot with a ring of the background, which sets it off from the line.
    fn marker(&self, at: (i32, i32)) -> Drawn<B> {
        self.area
            .draw(&Circle::new(at, MARKER_RADIUS + RING, BACKGROUND.filled()))?;
        self.area
            .draw(&Circle::new(at, MARKER_RADIUS, ACCENT.filled()))
    }

    /// The number above the highest point, the first of several.
    fn peak(
        &self,
        values: &[Option<f64>],
        axis: &ValueAxis,
        plot: &Plot,
        kind: ChartKind,
    ) -> Drawn<B> {
        let highest = present(values).reduce(|highest, point| match point.1 > highest.1 {
            true => point,
            false => highest,
        });
        let Some((slot, value)) = highest.filter(|&(_, value)| value != 0.0) else {
            return Ok(());
        };
        let label = axis.value_label(value);
        let half = PEAK.width(&label) / 2;
        let x = plot
            .center(slot)
            .min(plot.x.end - half)
            .max(plot.x.start + half);
        let marker = match kind {
            ChartKind::Bar => 0,
            ChartKind::Line => MARKER_RADIUS,
        };
        let baseline = plot.y_of(value.max(0.0)) - marker - PEAK_GAP;
        // Cleared, so that no gridline runs through it.
        let top = baseline - (f64::from(PEAK.size) * CAP_HEIGHT) as i32;
        let ring = PEAK_GAP / 2;
        self.fill(
            x - half - ring..x + half + ring,
            top - ring..baseline + ring,
            BACKGROUND,
        )?;
        self.text(&label, PEAK, (x, baseline), (HPos::Center, VPos::Bottom))
    }

    fn no_data(&self, plot: &Plot) -> Drawn<B> {
        self.hatch(plot.x.clone(), plot.y.clone())?;
        let (x, y) = (middle(&plot.x), middle(&plot.y));
        let half = MESSAGE.width(NO_DATA) / 2 + BLOCK_GAP;
        self.fill(
            x - half..x + half,
            y - MESSAGE.size..y + MESSAGE.size,
            BACKGROUND,
        )?;
        self.text(NO_DATA, MESSAGE, (x, y), (HPos::Center, VPos::Center))
    }

    /// Slanting lines over the rectangle. They lie on one pattern, so that neighbouring rectangles join.
    fn hatch(&self, x: Range<i32>, y: Range<i32>) -> Drawn<B> {
        self.fill(x.clone(), y.clone(), HATCH_BACKGROUND)?;
        // Each line is where x + y is one multiple of the gap.
        let lowest = x.start + y.start;
        let first = lowest + (-lowest).rem_euclid(HATCH_GAP);
        for sum in (first..x.end + y.end).step_by(HATCH_GAP as usize) {
            let (left, right) = (x.start.max(sum - y.end), x.end.min(sum - y.start));
            let ends = [(left, sum - left), (right, sum - right)];
            self.area
                .draw(&PathElement::new(ends, stroke(HATCH, HATCH_WIDTH)))?;
        }
        Ok(())
    }

    fn block(&self, block: &Lines, top: i32) -> Drawn<B> {
        let tops = (top..).step_by(block.font.line_height() as usize);
        for (line, top) in block.lines.iter().zip(tops) {
            self.text(line, block.font, (MARGIN_X, top), (HPos::Left, VPos::Top))?;
        }
        Ok(())
    }

    fn text(
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

    fn fill(&self, x: Range<i32>, y: Range<i32>, color: RGBColor) -> Drawn<B> {
        let corners = [(x.start, y.start), (x.end, y.end)];
        self.area.draw(&Rectangle::new(corners, color.filled()))
    }
}

fn legend_width() -> i32 {
    LEGEND_SAMPLE + GAP + AXIS_TITLE.width(NO_DATA)
}

fn stroke(color: RGBColor, width: u32) -> ShapeStyle {
    ShapeStyle {
        color: color.to_rgba(),
        filled: false,
        stroke_width: width,
    }
}

fn middle(range: &Range<i32>) -> i32 {
    (range.start + range.end) / 2
}

fn centered(middle: i32, width: i32) -> Range<i32> {
    middle - width / 2..middle - width / 2 + width
}
