//! What the colours and hatchings mean, in rows above the plot, where no data can be covered.

use std::ops::Range;

use plotters::style::RGBColor;
use plotters::style::text_anchor::{HPos, VPos};
use plotters_backend::DrawingBackend;

use super::canvas::{Canvas, Drawn, centered};
use super::font::CAP_HEIGHT;
use super::style::*;
use super::text::{cut, cut_names, normalize};
use crate::chart::model::{Chart, Layer, Marks, State, is_missing, may_move};

/// What is shown of an entry beside its text.
#[derive(Clone, Copy)]
enum Sample {
    Filled(RGBColor),
    Line(RGBColor),
    Missing,
    Provisional(RGBColor),
    /// Behind lines.
    MayMove,
    /// Of how many entries there is no room for.
    Nothing,
}

#[derive(Clone)]
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
        let (mut states, mut named) = (Vec::new(), Vec::new());
        let entry = |sample, text: &str| Entry {
            sample,
            text: normalize(text),
        };
        let layers = chart.marks.layers();
        let main = layers
            .first()
            .map_or(palette.ink_faint, |layer| palette.layer(layer.role));
        match &chart.marks {
            Marks::Bars(layers) if layers.len() > 1 => {
                let filled = |layer: &Layer| Sample::Filled(palette.layer(layer.role));
                named.extend(layers.iter().map(|layer| entry(filled(layer), &layer.name)));
            }
            Marks::Lines(layers) if layers.len() == 1 && chart.earlier.is_some() => {
                named.push(entry(Sample::Line(main), &layers[0].name));
            }
            _ => {}
        }
        if let Some(earlier) = &chart.earlier {
            named.push(entry(Sample::Line(palette.ink_faint), &earlier.name));
        }
        let is_provisional = |slot: &usize| {
            chart.slots[*slot].state == State::Provisional && !is_missing(chart, *slot)
        };
        let mut provisional = (0..chart.slots.len()).filter(is_provisional).peekable();
        if provisional.peek().is_some() {
            let sample = match &chart.marks {
                _ if provisional.all(|slot| may_move(chart, slot)) => Sample::MayMove,
                Marks::Bars(layers) if layers.len() == 1 => Sample::Provisional(main),
                // Where there are several colours, the hatching of none of them.
                _ => Sample::Provisional(palette.ink_faint),
            };
            states.push(entry(sample, &chart.words.provisional));
        }
        if !layers.is_empty() && (0..chart.slots.len()).any(|slot| is_missing(chart, slot)) {
            states.push(entry(Sample::Missing, &chart.words.no_data));
        }
        Self {
            rows: fit(states, named, style),
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

    /// Leaves out its last rows until it is no higher than `room`, but for the first, which has the states; says how many
    /// entries that are.
    pub fn shrink(&mut self, room: i32, y_title: &str, style: &Style) {
        let mut hidden = 0;
        while self.rows.len() > 1 && self.height(y_title, style) > room {
            hidden += self.rows.pop().map_or(0, |row| row.len());
        }
        let Some(row) = self.rows.last_mut().filter(|_| hidden > 0) else {
            return;
        };
        let more = |hidden: usize| Entry {
            sample: Sample::Nothing,
            text: format!("+{hidden}"),
        };
        row.push(more(hidden));
        while row.len() > 2 && row_width(row, style) > style.text_width() {
            row.truncate(row.len() - 2);
            hidden += 1;
            row.push(more(hidden));
        }
    }

    fn row_height(style: &Style) -> i32 {
        let text = style.axis_title().block_height(1);
        text.max(style.px(SAMPLE_HEIGHT)) + style.px(GAP) * 3 / 4
    }

    /// How wide it is, where it fits beside the y axis' title.
    fn beside(&self, y_title: &str, style: &Style) -> Option<i32> {
        let title = style.axis_title().width(&normalize(y_title));
        self.single_width(style)
            .filter(|width| width + style.px(LEGEND_GAP) + title <= style.text_width())
    }

    /// How much the title and it take above the plot.
    fn height(&self, y_title: &str, style: &Style) -> i32 {
        let line = style.axis_title().block_height(1);
        let rows = self.rows.len() as i32 * Self::row_height(style);
        // Also without a title: the label of the top tick reaches up by half its height.
        let height = match (self.rows.is_empty(), y_title.is_empty()) {
            _ if self.beside(y_title, style).is_some() => line,
            (true, _) => line,
            (false, true) => rows,
            (false, false) => Self::row_height(style) + rows,
        };
        height + style.px(BLOCK_GAP)
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
        let beside = self.beside(&title, style);
        let room = match beside {
            Some(width) => style.text_width() - width - style.px(LEGEND_GAP),
            None => style.text_width(),
        };
        let text = cut(&title, font, room);
        canvas.text(&text, font, (margin, top), (HPos::Left, VPos::Top))?;
        match beside {
            Some(width) => self.draw_row(canvas, 0, style.width - margin - width, top)?,
            None => {
                let row_height = Self::row_height(style);
                let first = if title.is_empty() { 0 } else { row_height };
                let tops = (top + first..).step_by(row_height.max(1) as usize);
                for (row, top) in (0..self.rows.len()).zip(tops) {
                    self.draw_row(canvas, row, margin, top)?;
                }
            }
        }
        Ok(top + self.height(&title, style))
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
        Sample::Filled(color) => canvas.solid(x, y, color),
        Sample::Line(color) => {
            let width = style.px(EARLIER_WIDTH);
            canvas.outlined(vec![(x.start, middle), (x.end, middle)], color, width)
        }
        Sample::Missing => canvas.hatch_missing(x, y),
        Sample::Provisional(color) => canvas.hatch_provisional(x, y, color),
        Sample::MayMove => canvas.hatch_behind(x, y),
        Sample::Nothing => Ok(()),
    }
}

/// The states first, as they must not be missed; names in as much room as leaves few rows.
fn fit(states: Vec<Entry>, named: Vec<Entry>, style: &Style) -> Vec<Vec<Entry>> {
    const NARROWEST: i32 = LONGEST_NAME / 5;
    let names: Vec<String> = named.iter().map(|entry| entry.text.clone()).collect();
    let mut longest = LONGEST_NAME;
    loop {
        let cut = cut_names(&names, style.legend(), style.px(longest));
        let named = named.iter().zip(cut).map(|(entry, text)| Entry {
            text,
            sample: entry.sample,
        });
        let fitted = rows(states.iter().cloned().chain(named), style);
        if fitted.len() <= MOST_LEGEND_ROWS || longest <= NARROWEST {
            return fitted;
        }
        longest = longest * 4 / 5;
    }
}

fn rows(entries: impl Iterator<Item = Entry>, style: &Style) -> Vec<Vec<Entry>> {
    let mut rows: Vec<Vec<Entry>> = Vec::new();
    for entry in entries {
        let room = style.text_width() - style.px(LEGEND_GAP) - entry_width(&entry, style);
        match rows.last_mut() {
            Some(row) if row_width(row, style) <= room => row.push(entry),
            _ => rows.push(vec![entry]),
        }
    }
    rows
}

fn entry_width(entry: &Entry, style: &Style) -> i32 {
    style.px(SAMPLE_WIDTH) + style.px(GAP) * 3 / 4 + style.legend().width(&entry.text)
}

fn row_width(row: &[Entry], style: &Style) -> i32 {
    let entries: i32 = row.iter().map(|entry| entry_width(entry, style)).sum();
    entries + style.px(LEGEND_GAP) * (row.len() as i32 - 1).max(0)
}
