//! A heatmap: a grid of cells, darker for higher values, with the scale of its colours.

use std::ops::Range;

use plotters::style::text_anchor::{HPos, VPos};

use super::canvas::{Canvas, Drawn, centered, middle};
use super::fit::{cut, cut_names};
use super::legend::Legend;
use super::style::*;
use super::value_axis::y_title;
use super::x_axis::{CategoryScale, XAxisLabels, label_step};
use crate::chart::model::{Cell, Figure, Row};
use crate::chart::text::normalize;
use crate::numbers::{short_number, with_unit};

/// Draws the grid, its labels and the scale of its colours between the top and bottom in `y`.
pub fn draw(canvas: &Canvas<'_>, figure: &Figure, rows: &[Row], y: Range<i32>) -> Drawn {
    let style = canvas.style;
    let margin = style.px(MARGIN_X);
    let cells = || rows.iter().flat_map(|row| &row.cells);
    let values = cells().filter_map(|cell| cell.value());
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
    let axis = XAxisLabels::new(&figure.categories, &x, style);
    let key = ColorKey::new(figure, most, cells(), style);
    key.draw(canvas, y.start)?;
    let title = cut(
        &normalize(&y_title(&figure.y_label, &figure.unit)),
        style.axis_title(),
        (style.text_width() - key.width - style.px(LEGEND_GAP)).max(1),
    );
    let top = Legend::empty().draw(canvas, &title, y.start)? - style.px(GAP) / 2;
    let title_height = match figure.x_label.is_empty() || style.is_low {
        true => 0,
        false => style.axis_title().block_height(1) + style.px(GAP),
    };
    let below = axis.height(style) + title_height;
    let bottom = (y.end - below).max(top + 1);
    let scale = CategoryScale::new(x.clone(), figure.categories.len());
    let Some(most) = most else {
        canvas.no_data(&figure.state_labels.no_data, &x, &(top..bottom))?;
        canvas.x_title(&figure.x_label, &x, bottom + below)?;
        return axis.draw(canvas, &scale, bottom, false);
    };

    let count = rows.len().max(1) as i32;
    let height = f64::from(bottom - top) / f64::from(count);
    let height = height.min(f64::from(style.px(TALLEST_CELL)));
    let edge = |row: usize| top + (height * row as f64).round() as i32;
    let grid = Grid {
        canvas,
        most,
        scale: &scale,
        with_numbers: numbers_fit(rows, &scale, height, style),
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
    // A grid of few rows ends above the bottom.
    let bottom = edge(rows.len());
    canvas.x_title(&figure.x_label, &x, bottom + below)?;
    axis.draw(canvas, &scale, bottom - style.px(GAP) / 2, false)
}

/// Which rows have labels where there is space for every `step`-th: all with a note, and every `step`-th row that is
/// at least `step` rows away from them.
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

/// Whether the number of each cell fits into it. All cells have numbers or none.
fn numbers_fit(rows: &[Row], scale: &CategoryScale, height: f64, style: &Style) -> bool {
    let font = style.footer();
    let room = scale.width() - f64::from(2 * style.px(CELL_GAP));
    let texts = rows
        .iter()
        .flat_map(|row| &row.cells)
        .filter_map(|cell| cell.value())
        .map(short_number);
    let widest = texts.map(|text| font.width(&text)).max().unwrap_or(0);
    f64::from(widest) <= room && f64::from(font.size * 3 / 2) <= height
}

struct Grid<'a> {
    canvas: &'a Canvas<'a>,
    /// The value of the darkest colour.
    most: f64,
    scale: &'a CategoryScale,
    with_numbers: bool,
}

impl Grid<'_> {
    fn row(&self, row: &Row, y: &Range<i32>) -> Drawn {
        let style = self.canvas.style;
        // Cells of a few pixels touch.
        let gap = |length: i32| match length > 6 * style.px(CELL_GAP) {
            true => style.px(CELL_GAP),
            false => i32::from(length > 4),
        };
        let cells = row.cells.iter().take(self.scale.count);
        for (category, &cell) in cells.enumerate() {
            let x = self.scale.range(category..category + 1);
            let x = x.start..(x.end - gap(x.end - x.start)).max(x.start + 1);
            let y = y.start..(y.end - gap(y.end - y.start)).max(y.start + 1);
            self.cell(cell, x, y)?;
        }
        Ok(())
    }

    fn cell(&self, cell: Cell, x: Range<i32>, y: Range<i32>) -> Drawn {
        let style = self.canvas.style;
        let Some(value) = cell.value() else {
            return match cell {
                Cell::Absent => Ok(()),
                _ => self.canvas.hatch_missing(x, y),
            };
        };
        let color = style.palette.heat(share(value, self.most));
        self.canvas.fill(x.clone(), y.clone(), color)?;
        if matches!(cell, Cell::Provisional(_)) {
            // A frame, as hatching would hide the colour.
            frame(self.canvas, &x, &y)?;
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
}

/// The frame of a provisional cell.
fn frame(canvas: &Canvas<'_>, x: &Range<i32>, y: &Range<i32>) -> Drawn {
    let style = canvas.style;
    let width = style.px(HATCH_WIDTH).min((y.end - y.start) / 2).max(1);
    let color = style.palette.badge;
    canvas.fill(x.clone(), y.start..y.start + width, color)?;
    canvas.fill(x.clone(), y.end - width..y.end, color)?;
    canvas.fill(x.start..x.start + width, y.clone(), color)?;
    canvas.fill(x.end - width..x.end, y.clone(), color)
}

/// A value as a share of the highest; a negative one is as pale as zero.
fn share(value: f64, most: f64) -> f64 {
    match most > 0.0 {
        true => (value / most).clamp(0.0, 1.0),
        false => 0.0,
    }
}

/// The legend, to the right of the title of the y axis: the scale of colours, and swatches of missing and provisional
/// cells.
struct ColorKey {
    /// The number at the dark end of the scale; no scale without it.
    most: Option<String>,
    missing: Option<String>,
    provisional: Option<String>,
    width: i32,
}

impl ColorKey {
    fn new<'a>(
        figure: &Figure,
        most: Option<f64>,
        cells: impl Iterator<Item = &'a Cell>,
        style: &Style,
    ) -> Self {
        let (mut missing, mut provisional) = (false, false);
        for cell in cells {
            missing |= !matches!(cell, Cell::Absent) && cell.value().is_none();
            provisional |= matches!(cell, Cell::Provisional(_));
        }
        let word = |wanted: bool, word: &str| wanted.then(|| normalize(word));
        let missing = word(missing && most.is_some(), &figure.state_labels.no_data);
        let provisional = word(provisional, &figure.state_labels.provisional);
        let most = most.map(|most| with_unit(&short_number(most), &figure.unit));
        let font = style.legend();
        let gap = style.px(GAP) * 3 / 4;
        let swatch =
            |text: &String| style.px(SWATCH_WIDTH) + gap + font.width(text) + style.px(LEGEND_GAP);
        let swatches = missing.iter().chain(&provisional).map(swatch).sum::<i32>();
        let scale = most.as_ref().map_or(0, |most| {
            font.width("0") + font.width(most) + 2 * gap + style.px(HEAT_SCALE_WIDTH)
        });
        Self {
            most,
            missing,
            provisional,
            width: swatches + scale,
        }
    }

    fn draw(&self, canvas: &Canvas<'_>, top: i32) -> Drawn {
        let style = canvas.style;
        let font = style.legend();
        let gap = style.px(GAP) * 3 / 4;
        let center = top + (font.cap_height() / 2.0) as i32;
        let y = centered(center, style.px(SWATCH_HEIGHT));
        let mut left = style.width - style.px(MARGIN_X) - self.width;
        let text = |text: &str, left: i32| {
            canvas.text(text, font, (left, center), (HPos::Left, VPos::Center))
        };
        for (word, is_frame) in [(&self.provisional, true), (&self.missing, false)] {
            let Some(word) = word else {
                continue;
            };
            let x = left..left + style.px(SWATCH_WIDTH);
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
