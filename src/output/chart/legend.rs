//! What the colours and hatchings mean, in rows above the plot, where no data can be covered.

use std::ops::Range;

use plotters::style::RGBColor;
use plotters::style::text_anchor::{HPos, VPos};
use plotters_backend::DrawingBackend;

use super::canvas::{Canvas, Drawn, centered};
use super::font::CAP_HEIGHT;
use super::style::*;
use super::text::{cut, normalize};
use super::{Chart, Marks, State, drawable};

/// What is shown of an entry beside its text.
#[derive(Clone, Copy)]
enum Sample {
    Filled(RGBColor),
    Line(RGBColor),
    Missing,
    Provisional(RGBColor),
    /// Behind lines.
    MayMove,
}

struct Entry {
    sample: Sample,
    text: String,
}

/// The entries, fitted into rows.
pub struct Legend {
    rows: Vec<Vec<Entry>>,
}

impl Legend {
    /// What the chart needs explained. Lines have their names at their ends.
    pub fn new(chart: &Chart, style: &Style) -> Self {
        let palette = style.palette;
        let mut entries = Vec::new();
        let mut add = |sample, text: &str| {
            let text = cut(&normalize(text), style.legend(), style.px(LONGEST_NAME));
            entries.push(Entry { sample, text });
        };
        let layers = chart.marks.layers();
        let main = layers
            .first()
            .map_or(palette.ink_faint, |layer| palette.layer(layer.role));
        match &chart.marks {
            Marks::Bars(layers) if layers.len() > 1 => {
                for layer in layers {
                    add(Sample::Filled(palette.layer(layer.role)), &layer.name);
                }
            }
            Marks::Lines(layers) if layers.len() == 1 && chart.earlier.is_some() => {
                add(Sample::Line(main), &layers[0].name);
            }
            _ => {}
        }
        if let Some(earlier) = &chart.earlier {
            add(Sample::Line(palette.ink_faint), &earlier.name);
        }
        let state = |wanted| chart.slots.iter().any(|slot| slot.state == wanted);
        if state(State::Provisional) {
            let sample = match &chart.marks {
                Marks::Bars(layers) if layers.len() == 1 => Sample::Provisional(main),
                // Where there are several colours, the hatching of none of them.
                Marks::Bars(_) => Sample::Provisional(palette.ink_faint),
                _ => Sample::MayMove,
            };
            add(sample, &chart.words.provisional);
        }
        if !layers.is_empty() && (0..chart.slots.len()).any(|slot| is_missing(chart, slot)) {
            add(Sample::Missing, &chart.words.no_data);
        }
        Self {
            rows: rows(entries, style),
        }
    }

    /// No entries.
    pub fn empty() -> Self {
        Self { rows: Vec::new() }
    }

    /// How wide it is if it is one row.
    fn single_width(&self, style: &Style) -> Option<i32> {
        match &self.rows[..] {
            [only] => Some(row_width(only, style)),
            _ => None,
        }
    }

    /// Draws the y axis' title and the entries: beside each other if they fit, else below. Returns where the room below
    /// them begins.
    pub fn draw<B: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, B>,
        y_title: &str,
        top: i32,
    ) -> Drawn<B, i32> {
        let style = canvas.style;
        let font = style.axis_title();
        let margin = style.px(MARGIN_X);
        let title = normalize(y_title);
        let row_height = font.block_height(1).max(style.px(SAMPLE_HEIGHT)) + style.px(GAP) * 3 / 4;
        let beside = self.single_width(style).filter(|width| {
            width + style.px(LEGEND_GAP) + font.width(&title) <= style.text_width()
        });
        let room = match beside {
            Some(width) => style.text_width() - width - style.px(LEGEND_GAP),
            None => style.text_width(),
        };
        let title = cut(&title, font, room);
        canvas.text(&title, font, (margin, top), (HPos::Left, VPos::Top))?;
        let end = match beside {
            Some(width) => {
                self.draw_row(canvas, 0, style.width - margin - width, top)?;
                top + font.block_height(1)
            }
            None => {
                let mut top = top;
                // Also without a title: the label of the top tick reaches up by half its height.
                if !title.is_empty() || self.rows.is_empty() {
                    top += if self.rows.is_empty() {
                        font.block_height(1)
                    } else {
                        row_height
                    };
                }
                for row in 0..self.rows.len() {
                    self.draw_row(canvas, row, margin, top)?;
                    top += row_height;
                }
                top
            }
        };
        Ok(end + style.px(BLOCK_GAP))
    }

    fn draw_row<B: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, B>,
        row: usize,
        left: i32,
        top: i32,
    ) -> Drawn<B> {
        let style = canvas.style;
        let font = style.legend();
        let middle = top + (f64::from(font.size) * CAP_HEIGHT / 2.0) as i32;
        let mut left = left;
        for entry in self.rows.get(row).into_iter().flatten() {
            let sample = left..left + style.px(SAMPLE_WIDTH);
            draw_sample(canvas, entry.sample, sample.clone(), middle)?;
            let at = (sample.end + style.px(GAP) * 3 / 4, middle);
            canvas.text(&entry.text, font, at, (HPos::Left, VPos::Center))?;
            left += entry_width(entry, style) + style.px(LEGEND_GAP);
        }
        Ok(())
    }
}

fn draw_sample<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    sample: Sample,
    x: Range<i32>,
    middle: i32,
) -> Drawn<B> {
    let style = canvas.style;
    let y = centered(middle, style.px(SAMPLE_HEIGHT));
    match sample {
        Sample::Filled(color) => canvas.fill(x, y, color),
        Sample::Line(color) => {
            let width = style.px(EARLIER_WIDTH);
            canvas.line(vec![(x.start, middle), (x.end, middle)], color, width)
        }
        Sample::Missing => canvas.hatch_missing(x, y),
        Sample::Provisional(color) => canvas.hatch_provisional(x, y, color),
        Sample::MayMove => canvas.hatch_behind(x, y),
    }
}

/// Whether a slot has nothing to show.
pub fn is_missing(chart: &Chart, slot: usize) -> bool {
    let state = chart.slots.get(slot).map(|slot| slot.state);
    let mut values = chart
        .marks
        .layers()
        .iter()
        .map(|layer| layer.values.get(slot));
    state == Some(State::Missing)
        || values.all(|value| drawable(value.copied().flatten()).is_none())
}

fn rows(entries: Vec<Entry>, style: &Style) -> Vec<Vec<Entry>> {
    let mut rows: Vec<Vec<Entry>> = Vec::new();
    for entry in entries {
        let room = style.text_width() - style.px(LEGEND_GAP) - entry_width(&entry, style);
        match rows.last_mut() {
            Some(row) if row_width(row, style) <= room => row.push(entry),
            _ => rows.push(vec![entry]),
        }
    }
    rows.truncate(MOST_LEGEND_ROWS);
    rows
}

fn entry_width(entry: &Entry, style: &Style) -> i32 {
    style.px(SAMPLE_WIDTH) + style.px(GAP) * 3 / 4 + style.legend().width(&entry.text)
}

fn row_width(row: &[Entry], style: &Style) -> i32 {
    let entries: i32 = row.iter().map(|entry| entry_width(entry, style)).sum();
    entries + style.px(LEGEND_GAP) * (row.len() as i32 - 1).max(0)
}
