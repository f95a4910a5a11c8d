//! A grid of cells, the darker the more: the hours of several days at a glance.

use std::ops::Range;

use plotters::style::text_anchor::{HPos, VPos};
use plotters_backend::DrawingBackend;

use super::axis::{label_step, y_title};
use super::canvas::{Canvas, Drawn, centered, middle};
use super::font::CAP_HEIGHT;
use super::legend::Legend;
use super::style::*;
use super::text::{cut, cut_names, normalize};
use super::x_axis::{Slots, XAxis};
use crate::chart::model::{Cell, Chart, Row, drawable};
use crate::numbers::{short_number, with_unit};

/// Draws the grid, its labels and the scale of its colours into the room between `y`.
pub fn draw<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    chart: &Chart,
    rows: &[Row],
    y: Range<i32>,
) -> Drawn<B> {
    let style = canvas.style;
    let margin = style.px(MARGIN_X);
    let cells = || rows.iter().flat_map(|row| &row.cells);
    let values = cells().filter_map(|&cell| shown(cell));
    let most = values.reduce(f64::max);
    let font = style.tick();
    let labels: Vec<String> = rows
        .iter()
        .map(|row| normalize(&format!("{} {}", row.label, row.note)))
        .collect();
    let labels = cut_names(&labels, font, style.px(LONGEST_NAME).min(style.width / 4));
    let widest = labels.iter().map(|label| font.width(label)).max();
    let left = margin + widest.map_or(0, |widest| widest + style.px(GAP));
    let x = left..(style.width - margin).max(left + 1);
    let axis = XAxis::new(&chart.slots, &x, style);
    let key = Key::new(chart, most, cells(), style);
    key.draw(canvas, y.start)?;
    let title = cut(
        &normalize(&y_title(&chart.y_label, &chart.unit)),
        style.axis_title(),
        (style.text_width() - key.width - style.px(LEGEND_GAP)).max(1),
    );
    let top = Legend::empty().draw(canvas, &title, y.start)? - style.px(GAP) / 2;
    let title_height = match chart.x_label.is_empty() || style.is_low {
        true => 0,
        false => style.axis_title().block_height(1) + style.px(GAP),
    };
    let below = axis.height(style) + title_height;
    let bottom = (y.end - below).max(top + 1);
    let slots = Slots::new(x.clone(), chart.slots.len());
    let Some(most) = most else {
        canvas.no_data(&chart.words.no_data, &x, &(top..bottom))?;
        canvas.x_title(&chart.x_label, &x, bottom + below)?;
        return axis.draw(canvas, &slots, bottom, false);
    };

    let count = rows.len().max(1) as i32;
    let height = f64::from(bottom - top) / f64::from(count);
    let height = height.min(f64::from(style.px(TALLEST_CELL)));
    let edge = |row: usize| top + (height * row as f64).round() as i32;
    let grid = Grid {
        canvas,
        chart,
        most,
        slots: &slots,
        // Numbers in all cells or in none.
        with_numbers: numbers_fit(rows, &slots, height, style),
    };
    let labelled = labelled(
        rows,
        label_step(rows.len(), font.size * 9 / 8, bottom - top),
    );
    for (place, row) in rows.iter().enumerate() {
        let y = edge(place)..edge(place + 1);
        if labelled[place] {
            let at = (left - style.px(GAP), middle(&y));
            canvas.text(&labels[place], font, at, (HPos::Right, VPos::Center))?;
        }
        grid.row(row, &y)?;
    }
    // A grid of few rows ends before the room does.
    let bottom = edge(rows.len());
    canvas.x_title(&chart.x_label, &x, bottom + below)?;
    axis.draw(canvas, &slots, bottom - style.px(GAP) / 2, false)
}

/// Which rows have their labels where there is room for every `step`th: those with a note always, and others as far
/// from them as from each other.
fn labelled(rows: &[Row], step: usize) -> Vec<bool> {
    let noted: Vec<usize> = (0..rows.len())
        .filter(|&row| !rows[row].note.is_empty())
        .collect();
    let is_free = |row: usize| noted.iter().all(|&noted| noted.abs_diff(row) >= step);
    let wanted = |row: usize| row.is_multiple_of(step) && is_free(row);
    (0..rows.len())
        .map(|row| noted.contains(&row) || wanted(row))
        .collect()
}

/// The value that a cell shows.
fn shown(cell: Cell) -> Option<f64> {
    match cell {
        Cell::Value(value) | Cell::Provisional(value) => drawable(Some(value)),
        Cell::Missing | Cell::Absent => None,
    }
}

fn numbers_fit(rows: &[Row], slots: &Slots, height: f64, style: &Style) -> bool {
    let font = style.footer();
    let room = slots.width() - f64::from(2 * style.px(CELL_GAP));
    let texts = rows
        .iter()
        .flat_map(|row| &row.cells)
        .filter_map(|&cell| shown(cell))
        .map(short_number);
    let widest = texts.map(|text| font.width(&text)).max().unwrap_or(0);
    f64::from(widest) <= room && f64::from(font.size * 3 / 2) <= height
}

struct Grid<'a, 'b, B: DrawingBackend> {
    canvas: &'a Canvas<'b, B>,
    chart: &'a Chart,
    most: f64,
    slots: &'a Slots,
    with_numbers: bool,
}

impl<B: DrawingBackend> Grid<'_, '_, B> {
    fn row(&self, row: &Row, y: &Range<i32>) -> Drawn<B> {
        let style = self.canvas.style;
        // Between cells of a few pixels there is no gap.
        let gap = |length: i32| match length > 6 * style.px(CELL_GAP) {
            true => style.px(CELL_GAP),
            false => i32::from(length > 4),
        };
        for (slot, &cell) in row.cells.iter().enumerate().take(self.chart.slots.len()) {
            let x = self.slots.edge(slot)..self.slots.edge(slot + 1);
            let x = x.start..(x.end - gap(x.end - x.start)).max(x.start + 1);
            let y = y.start..(y.end - gap(y.end - y.start)).max(y.start + 1);
            self.cell(cell, x, y)?;
        }
        Ok(())
    }

    fn cell(&self, cell: Cell, x: Range<i32>, y: Range<i32>) -> Drawn<B> {
        let style = self.canvas.style;
        let Some(value) = shown(cell) else {
            return match cell {
                Cell::Absent => Ok(()),
                _ => self.canvas.hatch_missing(x, y),
            };
        };
        let color = style.palette.heat(share(value, self.most));
        self.canvas.fill(x.clone(), y.clone(), color)?;
        if matches!(cell, Cell::Provisional(_)) {
            // A frame, as hatching would hide how dark the cell is.
            self.frame(&x, &y)?;
        }
        if self.with_numbers {
            let font = style.footer().colored(style.palette.ink_on(color));
            let at = (middle(&x), middle(&y));
            let text = short_number(value);
            self.canvas
                .text(&text, font, at, (HPos::Center, VPos::Center))?;
        }
        Ok(())
    }

    fn frame(&self, x: &Range<i32>, y: &Range<i32>) -> Drawn<B> {
        frame(self.canvas, x, y)
    }
}

/// The frame around what may still grow.
fn frame<B: DrawingBackend>(canvas: &Canvas<'_, B>, x: &Range<i32>, y: &Range<i32>) -> Drawn<B> {
    let style = canvas.style;
    let width = style.px(HATCH_WIDTH).min((y.end - y.start) / 2).max(1);
    let color = style.palette.badge;
    canvas.fill(x.clone(), y.start..y.start + width, color)?;
    canvas.fill(x.clone(), y.end - width..y.end, color)?;
    canvas.fill(x.start..x.start + width, y.clone(), color)?;
    canvas.fill(x.end - width..x.end, y.clone(), color)
}

/// How much of the most a value is; negative ones are as pale as zero.
fn share(value: f64, most: f64) -> f64 {
    match most > 0.0 {
        true => (value / most).clamp(0.0, 1.0),
        false => 0.0,
    }
}

/// The scale of colours with its ends, at the right of the y axis' title, and what else is to be explained.
struct Key {
    most: Option<String>,
    /// Words behind a hatched or framed sample.
    missing: Option<String>,
    provisional: Option<String>,
    width: i32,
}

impl Key {
    fn new<'a>(
        chart: &Chart,
        most: Option<f64>,
        cells: impl Iterator<Item = &'a Cell>,
        style: &Style,
    ) -> Self {
        let (mut missing, mut provisional) = (false, false);
        for cell in cells {
            missing |= !matches!(cell, Cell::Absent) && shown(*cell).is_none();
            provisional |= matches!(cell, Cell::Provisional(_));
        }
        let word = |wanted: bool, word: &str| wanted.then(|| normalize(word));
        let missing = word(missing && most.is_some(), &chart.words.no_data);
        let provisional = word(provisional, &chart.words.provisional);
        let most = most.map(|most| with_unit(&short_number(most), &chart.unit));
        let font = style.legend();
        let gap = style.px(GAP) * 3 / 4;
        let sample =
            |text: &String| style.px(SAMPLE_WIDTH) + gap + font.width(text) + style.px(LEGEND_GAP);
        let samples = missing.iter().chain(&provisional).map(sample).sum::<i32>();
        let scale = most.as_ref().map_or(0, |most| {
            font.width("0") + font.width(most) + 2 * gap + style.px(HEAT_SCALE_WIDTH)
        });
        Self {
            most,
            missing,
            provisional,
            width: samples + scale,
        }
    }

    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<'_, B>, top: i32) -> Drawn<B> {
        let style = canvas.style;
        let font = style.legend();
        let gap = style.px(GAP) * 3 / 4;
        let center = top + (f64::from(font.size) * CAP_HEIGHT / 2.0) as i32;
        let y = centered(center, style.px(SAMPLE_HEIGHT));
        let mut left = style.width - style.px(MARGIN_X) - self.width;
        let text = |text: &str, left: i32| {
            canvas.text(text, font, (left, center), (HPos::Left, VPos::Center))
        };
        for (word, is_frame) in [(&self.provisional, true), (&self.missing, false)] {
            let Some(word) = word else {
                continue;
            };
            let x = left..left + style.px(SAMPLE_WIDTH);
            left = x.end + gap;
            match is_frame {
                true => {
                    canvas.fill(x.clone(), y.clone(), style.palette.heat(0.25))?;
                    frame(canvas, &x, &y)?;
                }
                false => canvas.hatch_missing(x, y.clone())?,
            }
            text(word, left)?;
            left += font.width(word) + style.px(LEGEND_GAP);
        }
        let Some(most) = &self.most else {
            return Ok(());
        };
        text("0", left)?;
        left += font.width("0") + gap;
        let width = style.px(HEAT_SCALE_WIDTH);
        const STEPS: i32 = 24;
        for step in 0..STEPS {
            let x = left + width * step / STEPS..left + width * (step + 1) / STEPS;
            let share = f64::from(step) / f64::from(STEPS - 1);
            canvas.fill(x, y.clone(), style.palette.heat(share))?;
        }
        text(most, left + width + gap)
    }
}
