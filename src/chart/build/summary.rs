//! The line below the title: the total and its change, or the highest value.

use super::data::{ChartData, Values};
use super::language;
use super::x_axis::{TimeFrame, XAxis};
use crate::chart::model::drawable;
use crate::numbers::{format_number, with_unit};

impl ChartData {
    /// The totals of counts with their change and errors, or the highest of other values.
    pub(super) fn summary(&self, axis: &XAxis, frame: &TimeFrame) -> String {
        let language = self.chart.language;
        let mut parts = Vec::new();
        if self.is_count() {
            let label = self.chart.y_label.as_deref();
            for (y, column) in self.y.iter().zip(&self.chart.y) {
                // The label of several columns is of none of them.
                let label = label.filter(|_| self.y.len() == 1);
                parts.push(language::counted(language, total(y), column, label));
            }
            parts.extend(self.change(axis, frame));
            parts.extend(self.errors_in_words());
        } else {
            parts.extend(self.highest());
        }
        let left_out = self.left_out(axis);
        if left_out > 0 {
            parts.push(language::not_shown(language, left_out));
        }
        parts.join(" · ")
    }

    fn errors_in_words(&self) -> Option<String> {
        let language = self.chart.language;
        let errors = total(self.errors()?);
        let column = self.errors_name()?;
        let text = language::counted(language, errors, column, None);
        let all = total(&self.y[0]);
        Some(match errors > 0.0 && all > 0.0 {
            true => format!("{text} ({})", language::share(errors, all)),
            false => text,
        })
    }

    /// The highest of all values, with the name of its column where there are several.
    fn highest(&self) -> Option<String> {
        let columns = self.y.iter().zip(&self.chart.y);
        let peaks = columns.filter_map(|(values, column)| {
            let values = values.iter().copied().filter_map(drawable);
            Some((values.max_by(f64::total_cmp)?, column))
        });
        let (peak, column) = peaks.max_by(|a, b| a.0.total_cmp(&b.0))?;
        let language = self.chart.language;
        let decimals = usize::from(peak.abs() < 1000.0 && peak.fract() != 0.0);
        let unit = self.chart.unit.as_deref().or(self.chart.y_label.as_deref());
        let value = with_unit(&format_number(peak, decimals), unit.unwrap_or_default());
        let name = match (&self.chart.y_label, self.chart.y.len()) {
            // The label is behind the number, as its unit.
            (Some(_), 1) if self.chart.unit.is_none() => String::new(),
            (Some(label), 1) => label.clone(),
            _ => self.noun_of(column),
        };
        Some(language::up_to(language, &name, &value))
    }

    /// The change of the total against the earlier window, over the categories that have ended. A category that has
    /// ended and has no row counts as zero, so that an outage is a change.
    fn change(&self, axis: &XAxis, frame: &TimeFrame) -> Option<String> {
        let earlier = self.earlier.as_deref()?;
        let values = earlier.values(axis, self)?;
        let has_ended = |category: &usize| {
            let end = axis.ends[*category];
            end.is_none_or(|end| frame.is_complete(end))
        };
        let ended: Vec<usize> = (0..axis.categories.len()).filter(has_ended).collect();
        let sum = |values: &Values| {
            let values = ended
                .iter()
                .filter_map(|&category| drawable(values[category]));
            values.sum::<f64>()
        };
        let all = ended.len() == axis.categories.len();
        // Whole windows are compared with all that they have: a day of 23 hours with a day of 24.
        let before = match all {
            true => total(&earlier.data.y[0]),
            false => sum(&values),
        };
        let language = self.chart.language;
        let when = earlier.name(language);
        let now = sum(&self.totals(axis));
        (!ended.is_empty()).then(|| language::change(language, now, before, &when, !all))
    }
}

fn total(values: &[Option<f64>]) -> f64 {
    values.iter().copied().filter_map(drawable).sum()
}
