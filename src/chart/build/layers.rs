//! From rows to layers: the parts of bars and the lines, with their names and colours.

use std::collections::HashMap;

use super::data::{ChartData, ERRORS, Values, sum};
use super::language;
use super::roles::{roles, severity};
use super::x_axis::XAxis;
use crate::chart::model::{DataState, Layer, MOST_SERIES, Role, drawable};
use crate::job::{ChartKind, Language};

/// The values under one name of the column of series.
pub(super) struct Series {
    name: Option<String>,
    /// One for each category.
    pub(super) values: Values,
}

impl Series {
    /// The name in the figure.
    pub(super) fn label(&self, language: Language) -> String {
        let none = || language::none(language).to_owned();
        self.name.clone().unwrap_or_else(none)
    }

    /// How large the values are together, to find the largest series.
    fn weight(&self) -> f64 {
        let values = self.values.iter().copied().filter_map(drawable);
        values.map(f64::abs).sum()
    }
}

impl ChartData {
    /// The layers of any chart but a heatmap, with a value for each category.
    pub(super) fn layers(&self, axis: &XAxis) -> Vec<Layer> {
        let language = self.chart.language;
        if self.names.is_some() {
            return self.layers_of_series(axis);
        }
        let values: Vec<Values> = self
            .y
            .iter()
            .map(|y| axis.by_category(y, self.combine()))
            .collect();
        let is_bar = self.chart.kind == ChartKind::Bar;
        if let (true, Some(errors), [total]) = (is_bar, self.errors(), &values[..]) {
            let errors = axis.by_category(errors, sum);
            if errors.iter().flatten().any(|&errors| errors > 0.0) {
                return self.errors_and_rest(total, &errors);
            }
        }
        let several = values.len() > 1;
        let is_band = self.chart.kind == ChartKind::Band;
        let layers = values.into_iter().zip(&self.chart.y).enumerate();
        layers
            .map(|(place, (values, column))| Layer {
                name: match several {
                    true => language::words(language, column),
                    false => self.noun(),
                },
                role: match several && !is_band {
                    _ if column == ERRORS => Role::Errors,
                    true => Role::Series(place),
                    false => Role::Main,
                },
                values,
            })
            .collect()
    }

    /// What the values are: the job's label, or else the column's name.
    fn noun(&self) -> String {
        match &self.chart.y_label {
            Some(label) => label.clone(),
            None => self.noun_of(&self.chart.y[0]),
        }
    }

    /// What the values of a column are. A short alias such as `n` says nothing, and the unit stands elsewhere.
    pub(super) fn noun_of(&self, column: &str) -> String {
        let language = self.chart.language;
        if !language::is_name(column) {
            return match self.is_count() {
                true => language::number(language).to_owned(),
                false => String::new(),
            };
        }
        let words = language::words(language, column);
        let unit = self.chart.unit.as_deref().map(str::to_lowercase);
        let without_unit =
            unit.and_then(|unit| words.strip_suffix(&format!(" {unit}")).map(str::to_owned));
        without_unit.unwrap_or(words)
    }

    /// Errors at the bottom, where bars are compared best, and the rest on top of them.
    fn errors_and_rest(&self, total: &Values, errors: &Values) -> Vec<Layer> {
        let language = self.chart.language;
        let column = self.errors_name().unwrap_or(ERRORS);
        let part = |total: Option<f64>, errors: Option<f64>| {
            total.map(|total| errors.unwrap_or(0.0).clamp(0.0, total.max(0.0)))
        };
        let pairs = || {
            total
                .iter()
                .zip(errors)
                .map(|(&total, &errors)| (total, part(total, errors)))
        };
        vec![
            Layer {
                name: language::words(language, column),
                role: Role::Errors,
                values: pairs().map(|(_, errors)| errors).collect(),
            },
            Layer {
                name: language::without_errors(language).to_owned(),
                role: Role::Main,
                values: pairs()
                    .map(|(total, errors)| Some(total? - errors?))
                    .collect(),
            },
        ]
    }

    /// A layer for each of the largest series, and one for the sum of the others.
    fn layers_of_series(&self, axis: &XAxis) -> Vec<Layer> {
        let language = self.chart.language;
        let mut series = self.by_series(axis);
        series.sort_by(|a, b| {
            let by_weight = b.weight().total_cmp(&a.weight());
            by_weight.then_with(|| a.name.cmp(&b.name))
        });
        let rest = series.split_off(series.len().min(MOST_SERIES));
        // By name, not by size, so that the order is the same from day to day.
        series.sort_by_cached_key(|Series { name, .. }| {
            let severity = severity(name.as_deref().unwrap_or_default());
            (severity, name.is_none(), name.clone())
        });
        let roles = roles(series.iter().map(|series| series.name.as_deref()));
        let layers = series.into_iter().zip(roles);
        let mut layers: Vec<Layer> = layers
            .map(|(series, role)| Layer {
                name: series.label(language),
                role,
                values: series.values,
            })
            .collect();
        if self.adds_up() && !rest.is_empty() {
            let name = language::other(language, rest.len());
            let parts = rest.into_iter().map(|series| series.values);
            layers.push(Layer {
                name,
                role: Role::Other,
                values: parts.reduce(sums).unwrap_or_default(),
            });
        }
        layers
    }

    /// The values of each series by category, the series in the order of their first rows.
    ///
    /// Where a category has rows of other series only, a series is zero if its values add up, and missing if not. A row
    /// with neither a name nor a value is a category without events, as a join with `hours` makes it.
    pub(super) fn by_series(&self, axis: &XAxis) -> Vec<Series> {
        let combine = self.combine();
        let categories = axis.categories.len();
        let mut places: HashMap<&Option<String>, usize> = HashMap::new();
        let mut all: Vec<Series> = Vec::new();
        let mut has_row: Vec<Vec<bool>> = Vec::new();
        let names = self.names.iter().flatten();
        let rows = names.zip(&self.y[0]).zip(&axis.category_of_row);
        for ((name, value), &category) in rows {
            if name.is_none() && value.unwrap_or(0.0) == 0.0 {
                continue;
            }
            let place = *places.entry(name).or_insert_with(|| {
                all.push(Series {
                    name: name.clone(),
                    values: vec![None; categories],
                });
                has_row.push(vec![false; categories]);
                all.len() - 1
            });
            let values = &mut all[place].values;
            values[category] = combine(values[category], *value);
            has_row[place][category] = true;
        }
        if all.is_empty() && categories > 0 {
            // No series at all: zeros, or missing values, as the rows have them.
            return vec![Series {
                name: None,
                values: self.totals(axis),
            }];
        }
        if self.adds_up() {
            // Also where no series has a row, but all are known to be zero.
            for (series, has_row) in all.iter_mut().zip(&has_row) {
                for (category, value) in series.values.iter_mut().enumerate() {
                    let state = axis.categories[category].state;
                    if !has_row[category] && state != DataState::Missing {
                        *value = Some(0.0);
                    }
                }
            }
        }
        all
    }

    /// How many series a chart leaves out, as their sum has no meaning.
    pub(super) fn left_out(&self, axis: &XAxis) -> usize {
        match self.chart.kind {
            ChartKind::Line | ChartKind::StackedBar if self.names.is_some() && !self.adds_up() => {
                self.by_series(axis).len().saturating_sub(MOST_SERIES)
            }
            _ => 0,
        }
    }

    /// For each category all series together, or the first column of y.
    pub(super) fn totals(&self, axis: &XAxis) -> Values {
        axis.by_category(&self.y[0], self.combine())
    }
}

/// The sums of two series.
fn sums(mut a: Values, b: Values) -> Values {
    for (a, b) in a.iter_mut().zip(b) {
        *a = sum(*a, b);
    }
    a
}
