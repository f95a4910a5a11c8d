//! From the rows of an answer to a [`Figure`].
//!
//! ```text
//! rows ─► ChartData ─► x_axis ─► layers, heatmap ─► Figure
//!                                summary, caption    (the texts around the values; language has their words)
//! ```

mod caption;
mod data;
mod earlier;
mod heatmap;
mod language;
mod layers;
mod roles;
mod summary;
mod x_axis;

use chrono::TimeDelta;

pub use caption::{AdHocCaption, Caption, Verified};
pub use data::{ChartData, check, is_text, is_time};

use super::model::{Appearance, Category, DataState, Figure, Marks, Sources};
use crate::job::{ChartKind, ValueScale};
use data::is_grid_of_days;
pub use language::no_rows;
use x_axis::{TimeFrame, XAxis, zone_of};

impl ChartData {
    /// The figure of a window, with the texts that say which window it is.
    pub fn figure(&self, caption: &Caption<'_>) -> Figure {
        let window = caption.window;
        let known_until = caption.as_of.filter(|_| caption.provisional);
        let settled_after = TimeDelta::from_std(caption.settled_after).unwrap_or(TimeDelta::MAX);
        let frame = TimeFrame {
            zone: window.zone(),
            range: Some(window.range()),
            size: Some(window.size()),
            dates: self.x_is_date,
            known_until,
            settled_until: known_until.and_then(|at| at.checked_sub_signed(settled_after)),
            absent_is_zero: self.absent_is_zero,
            language: self.chart.language,
        };
        Figure {
            title: self.title(caption),
            badge: caption.badge(self.chart.language, &self.query),
            sources: caption.sources(self.chart.language),
            footer: caption.footer(
                self.chart.language,
                &self.query,
                self.mostly_without_level(),
            ),
            ..self.compose(&frame)
        }
    }

    /// The figure of an ad-hoc answer.
    pub fn ad_hoc_figure(&self, caption: &AdHocCaption<'_>) -> Figure {
        let language = self.chart.language;
        let frame = TimeFrame {
            zone: caption.zone,
            range: caption.range,
            size: None,
            dates: self.x_is_date,
            known_until: None,
            settled_until: None,
            // Without a window, the first and last event are all that is known of the time.
            absent_is_zero: self.absent_is_zero && caption.range.is_some(),
            language,
        };
        Figure {
            title: caption.title(language),
            footer: caption.footer(language),
            ..self.compose(&frame)
        }
    }

    /// Everything but the texts of the caption.
    fn compose(&self, frame: &TimeFrame) -> Figure {
        let chart = &self.chart;
        let language = chart.language;
        let mut axis = XAxis::new(
            &chart.x,
            &self.local_x(frame.zone),
            frame,
            chart.series.is_some(),
        );
        self.show_known_values(&mut axis);
        let (marks, categories) = self.marks(&axis, frame);
        let last = categories.last();
        let not_yet = frame.known_until.is_some()
            && last.is_some_and(|category| category.state == DataState::Missing);
        let (width, height) = chart.size;
        let y_label = match &chart.y_label {
            Some(label) => label.clone(),
            None if chart.y.len() == 1 => language::capitalized(&self.noun_of(&chart.y[0])),
            None => String::new(),
        };
        Figure {
            appearance: Appearance {
                width,
                height,
                scale: chart.scale,
                theme: chart.theme,
            },
            title: String::new(),
            badge: String::new(),
            subtitle: self.summary(&axis, frame),
            x_label: self.x_label(&axis, frame),
            y_label: match chart.y_scale {
                ValueScale::Linear => y_label,
                ValueScale::Log => language::log_scale(language, &y_label),
            },
            are_names: self.x_is_text,
            y_scale: chart.y_scale,
            unit: chart.unit.clone().unwrap_or_default(),
            earlier: self.earlier_layer(&axis),
            state_labels: language::state_labels(language, not_yet),
            categories,
            marks,
            sources: Sources::default(),
            footer: String::new(),
        }
    }

    fn marks(&self, axis: &XAxis, frame: &TimeFrame) -> (Marks, Vec<Category>) {
        let layers = || {
            let mut layers = self.layers(axis);
            for layer in &mut layers {
                clear_missing(&mut layer.values, axis);
            }
            layers
        };
        let marks = match self.chart.kind {
            ChartKind::Heatmap => {
                let (categories, rows) = self.cells(axis, frame);
                return (Marks::Cells(rows), categories);
            }
            ChartKind::Bar | ChartKind::StackedBar => Marks::Bars(layers()),
            ChartKind::Line => Marks::Lines(layers()),
            ChartKind::Band => Marks::Bands(layers()),
        };
        (marks, axis.categories.clone())
    }

    /// The title of the x axis: what its values are, and on which clock.
    fn x_label(&self, axis: &XAxis, frame: &TimeFrame) -> String {
        let (column, language) = (self.chart.x.as_str(), self.chart.language);
        let clock = zone_of(column, frame.zone).name();
        if is_grid_of_days(&self.chart) {
            return language::hour_of_day(language, clock);
        }
        match (&axis.title, column) {
            (Some(title), _) => title.clone(),
            (None, "hour_local" | "hour_of_day") => language::hour_of_day(language, clock),
            (None, "hour_utc") => language::hour_utc(language).to_owned(),
            (None, other) => {
                let words = match language::is_name(other) {
                    true => language::capitalized(&language::words(language, other)),
                    // An alias such as `t` says only that it is short.
                    false if self.x_is_instant => language::time(language).to_owned(),
                    false => String::new(),
                };
                match self.x_is_instant {
                    true => format!("{words} ({clock})"),
                    false => words,
                }
            }
        }
    }

    /// Makes categories provisional that are missing by the clock and have a value all the same.
    fn show_known_values(&self, axis: &mut XAxis) {
        for (row, &category) in axis.category_of_row.iter().enumerate() {
            let state = &mut axis.categories[category].state;
            let mut values = self.y.iter().filter_map(|values| values[row]);
            if *state == DataState::Missing && values.any(|value| value != 0.0) {
                *state = DataState::Provisional;
            }
        }
    }

    fn title(&self, caption: &Caption<'_>) -> String {
        let window = caption.window;
        let language = self.chart.language;
        let value = |placeholder: &str| match placeholder {
            "job" => caption.job.to_owned(),
            "query" => language::words(language, &self.query),
            "chart" => language::words(language, self.chart.name.as_str()),
            "date" => language::window(language, window),
            "window" => window.id(),
            "zone" => window.zone_abbreviation(),
            other => format!("{{{other}}}"),
        };
        let template = self.chart.title.as_deref();
        fill_in(
            template.unwrap_or("{job} · {chart} · {date} · {zone}"),
            value,
        )
    }
}

/// Drops the values of missing categories: an answer may have a zero for an hour that has not begun.
fn clear_missing(values: &mut [Option<f64>], axis: &XAxis) {
    for (value, category) in values.iter_mut().zip(&axis.categories) {
        if category.state == DataState::Missing {
            *value = None;
        }
    }
}

/// The template with each `{name}` replaced by its value. Braces inside a value stay as they are.
fn fill_in(template: &str, value: impl Fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out += before;
        match after.split_once('}') {
            Some((name, after)) if !name.contains('{') => {
                out += &value(name);
                rest = after;
            }
            _ => {
                out.push('{');
                rest = after;
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests;
