//! The legend: what colours and hatchings mean, in rows above the plot, where it covers no data.

use std::ops::Range;

use plotters::style::RGBColor;
use plotters::style::text_anchor::{HPos, VPos};

use super::canvas::{Canvas, Drawn, centered};
use super::fit::{cut, cut_names};
use super::style::*;
use crate::chart::model::{Figure, Layer, Marks};
use crate::chart::text::normalize;

/// What an entry shows beside its text.
#[derive(Clone, Copy)]
enum Swatch {
    Filled(RGBColor),
    Line(RGBColor),
    Missing,
    Provisional(RGBColor),
    /// The hatching behind provisional lines and zeros.
    ProvisionalBehind,
    /// Beside the number of entries that are left out.
    Nothing,
}

#[derive(Clone)]
struct Entry {
    swatch: Swatch,
    text: String,
}

/// The entries, fitted into rows.
pub struct Legend {
    rows: Vec<Vec<Entry>>,
}

impl Legend {
    /// The entries that a figure needs. Several lines have their names at their ends instead.
    pub fn new(figure: &Figure, style: &Style) -> Self {
        let palette = style.palette;
        let (mut states, mut named) = (Vec::new(), Vec::new());
        let entry = |swatch, text: &str| Entry {
            swatch,
            text: normalize(text),
        };
        let layers = figure.marks.layers();
        let main = layers
            .first()
            .map_or(palette.ink_faint, |layer| palette.layer(layer.role));
        match &figure.marks {
            Marks::Bars(layers) if layers.len() > 1 => {
                let filled = |layer: &Layer| Swatch::Filled(palette.layer(layer.role));
                named.extend(layers.iter().map(|layer| entry(filled(layer), &layer.name)));
            }
            Marks::Lines(layers) if layers.len() == 1 && figure.earlier.is_some() => {
                named.push(entry(Swatch::Line(main), &layers[0].name));
            }
            _ => {}
        }
        if let Some(earlier) = &figure.earlier {
            named.push(entry(Swatch::Line(palette.ink_faint), &earlier.name));
        }
        let count = figure.categories.len();
        let is_provisional = |&category: &usize| figure.is_provisional(category);
        let mut provisional = (0..count).filter(is_provisional).peekable();
        if provisional.peek().is_some() {
            let swatch = match &figure.marks {
                _ if provisional.all(|category| figure.is_provisional_without_bar(category)) => {
                    Swatch::ProvisionalBehind
                }
                Marks::Bars(layers) if layers.len() == 1 => Swatch::Provisional(main),
                // Grey where the bars have several colours.
                _ => Swatch::Provisional(palette.ink_faint),
            };
            states.push(entry(swatch, &figure.state_labels.provisional));
        }
        if !layers.is_empty() && (0..count).any(|category| figure.is_missing(category)) {
            states.push(entry(Swatch::Missing, &figure.state_labels.no_data));
        }
        Self {
            rows: fit(states, named, style),
        }
    }

    /// No entries.
    pub fn empty() -> Self {
        Self { rows: Vec::new() }
    }

    /// The width of a legend of one row.
    fn single_width(&self, style: &Style) -> Option<i32> {
        match &self.rows[..] {
            [only] => Some(row_width(only, style)),
            _ => None,
        }
    }

    /// Leaves out the last rows until the legend is at most `room` high, and adds how many entries they had. The first
    /// row, which has the states, always stays.
    pub fn shrink(&mut self, room: i32, y_title: &str, style: &Style) {
        let mut hidden = 0;
        while self.rows.len() > 1 && self.height(y_title, style) > room {
            hidden += self.rows.pop().map_or(0, |row| row.len());
        }
        let Some(row) = self.rows.last_mut().filter(|_| hidden > 0) else {
            return;
        };
        let more = |hidden: usize| Entry {
            swatch: Swatch::Nothing,
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
        text.max(style.px(SWATCH_HEIGHT)) + style.px(GAP) * 3 / 4
    }

    /// The width of a legend that fits beside the title of the y axis.
    fn beside(&self, y_title: &str, style: &Style) -> Option<i32> {
        let title = style.axis_title().width(&normalize(y_title));
        self.single_width(style)
            .filter(|width| width + style.px(LEGEND_GAP) + title <= style.text_width())
    }

    /// The height of title and legend above the plot.
    fn height(&self, y_title: &str, style: &Style) -> i32 {
        let line = style.axis_title().block_height(1);
        let rows = self.rows.len() as i32 * Self::row_height(style);
        // A line also without a title, as half of the top tick's label is above the plot.
        let height = match (self.rows.is_empty(), y_title.is_empty()) {
            _ if self.beside(y_title, style).is_some() => line,
            (true, _) => line,
            (false, true) => rows,
            (false, false) => Self::row_height(style) + rows,
        };
        height + style.px(BLOCK_GAP)
    }

    /// Draws the title of the y axis, and the entries beside it if they fit, or else below it. Returns the top of the
    /// space below them.
    pub fn draw(&self, canvas: &Canvas<'_>, y_title: &str, top: i32) -> Drawn<i32> {
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

    fn draw_row(&self, canvas: &Canvas<'_>, row: usize, left: i32, top: i32) -> Drawn {
        let style = canvas.style;
        let font = style.legend();
        let middle = top + (font.cap_height() / 2.0) as i32;
        let mut left = left;
        for entry in self.rows.get(row).into_iter().flatten() {
            let swatch = left..left + style.px(SWATCH_WIDTH);
            draw_swatch(canvas, entry.swatch, swatch.clone(), middle)?;
            let at = (swatch.end + style.px(GAP) * 3 / 4, middle);
            canvas.text(&entry.text, font, at, (HPos::Left, VPos::Center))?;
            left += entry_width(entry, style) + style.px(LEGEND_GAP);
        }
        Ok(())
    }
}

fn draw_swatch(canvas: &Canvas<'_>, swatch: Swatch, x: Range<i32>, middle: i32) -> Drawn {
    let style = canvas.style;
    let y = centered(middle, style.px(SWATCH_HEIGHT));
    match swatch {
        Swatch::Filled(color) => canvas.solid(x, y, color),
        Swatch::Line(color) => {
            let width = style.px(EARLIER_WIDTH);
            canvas.outlined(vec![(x.start, middle), (x.end, middle)], color, width)
        }
        Swatch::Missing => canvas.hatch_missing(x, y),
        Swatch::Provisional(color) => canvas.hatch_provisional(x, y, color),
        Swatch::ProvisionalBehind => canvas.hatch_behind(x, y),
        Swatch::Nothing => Ok(()),
    }
}

/// The entries in rows: the states first, so that they are not left out, then the names, cut until the rows are few.
fn fit(states: Vec<Entry>, named: Vec<Entry>, style: &Style) -> Vec<Vec<Entry>> {
    const NARROWEST: i32 = LONGEST_NAME / 5;
    let names: Vec<String> = named.iter().map(|entry| entry.text.clone()).collect();
    let mut longest = LONGEST_NAME;
    loop {
        let cut = cut_names(&names, style.legend(), style.px(longest));
        let named = named.iter().zip(cut).map(|(entry, text)| Entry {
            text,
            swatch: entry.swatch,
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
    style.px(SWATCH_WIDTH) + style.px(GAP) * 3 / 4 + style.legend().width(&entry.text)
}

fn row_width(row: &[Entry], style: &Style) -> i32 {
    let entries: i32 = row.iter().map(|entry| entry_width(entry, style)).sum();
    entries + style.px(LEGEND_GAP) * (row.len() as i32 - 1).max(0)
}
