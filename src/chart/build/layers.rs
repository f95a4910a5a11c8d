//! From rows to layers: the parts of bars and the lines, their names and colours, the line of an earlier window, and
//! the sentence that sums them up.

use std::collections::HashMap;

use super::language;
use super::x_axis::{Axis, Frame, Tick};
use super::{Earlier, Series, sum};
use crate::chart::model::{Layer, Role, State, drawable};
use crate::chart::render::MOST_SERIES;
use crate::job::{ChartKind, Language};
use crate::numbers::format_number;

/// Levels of logs from the worst on: the order in which they are stacked.
const LEVELS: [&str; 8] = [
    "fatal", "critical", "error", "warn", "warning", "info", "debug", "trace",
];

/// Names that always have the same colour, as it is what people expect.
const USUAL_COLORS: [(&str, Role); 13] = [
    ("error", Role::Errors),
    ("errors", Role::Errors),
    ("failed", Role::Errors),
    ("5xx", Role::Errors),
    ("fatal", Role::Fatal),
    ("critical", Role::Fatal),
    ("info", Role::Series(0)),
    ("warn", Role::Series(1)),
    ("warning", Role::Series(1)),
    ("debug", Role::Series(2)),
    ("trace", Role::Series(3)),
    // What is no level at all.
    ("", Role::Series(4)),
    ("(none)", Role::Series(4)),
];

type Values = Vec<Option<f64>>;

/// What the column of series has under one name.
pub(super) struct OneSeries {
    name: Option<String>,
    /// One for each slot.
    pub(super) values: Values,
}

impl OneSeries {
    /// What it is called in the chart.
    pub(super) fn label(&self, language: Language) -> String {
        let none = || language::none(language).to_owned();
        self.name.clone().unwrap_or_else(none)
    }
}

impl Series {
    /// The layers of everything but a heatmap, each with a value for each slot.
    pub(super) fn layers(&self, axis: &Axis) -> Vec<Layer> {
        let language = self.chart.language;
        if self.names.is_some() {
            return self.layers_of_series(axis);
        }
        let values: Vec<Values> = self
            .y
            .iter()
            .map(|y| by_slot(axis, y.iter().copied(), self.combined()))
            .collect();
        let is_bar = self.chart.kind == ChartKind::Bar;
        if let (true, Some(errors), [total]) = (is_bar, self.errors(), &values[..]) {
            let errors = by_slot(axis, errors.iter().copied(), sum);
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
                    _ if column == super::ERRORS => Role::Errors,
                    true => Role::Series(place),
                    false => Role::Main,
                },
                values,
            })
            .collect()
    }

    /// What the values are: the job's label, or the column's name.
    fn noun(&self) -> String {
        match &self.chart.y_label {
            Some(label) => label.clone(),
            None => language::words(self.chart.language, &self.chart.y[0]),
        }
    }

    /// Errors at the bottom, where days are compared best, and what is none on top of them.
    fn errors_and_rest(&self, total: &Values, errors: &Values) -> Vec<Layer> {
        let language = self.chart.language;
        let column = self.errors_name().unwrap_or(super::ERRORS);
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

    /// A layer for each value of the series column, the largest by name and the rest as one.
    fn layers_of_series(&self, axis: &Axis) -> Vec<Layer> {
        let language = self.chart.language;
        let mut series = self.by_series(axis);
        let weights = |series: &OneSeries| weight(&series.values);
        series.sort_by(|a, b| {
            let by_weight = weights(b).total_cmp(&weights(a));
            by_weight.then_with(|| a.name.cmp(&b.name))
        });
        let rest = series.split_off(series.len().min(MOST_SERIES));
        // By name and not by size: what a colour means stays the same from day to day.
        series.sort_by_cached_key(|OneSeries { name, .. }| {
            let level = name.as_deref().and_then(level).unwrap_or(LEVELS.len());
            (level, name.is_none(), name.clone())
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
                values: parts.reduce(added).unwrap_or_default(),
            });
        }
        layers
    }

    /// The values of each series by slot, in the order in which their names come.
    ///
    /// Of counts, and of the parts of a stack, a series has none where only others have a row; anything else is not
    /// known there. A row without a name whose value is nothing is a slot without any.
    pub(super) fn by_series(&self, axis: &Axis) -> Vec<OneSeries> {
        let combined = self.combined();
        let slots = axis.slots.len();
        let mut places: HashMap<&Option<String>, usize> = HashMap::new();
        let mut all: Vec<OneSeries> = Vec::new();
        let mut has_row: Vec<Vec<bool>> = Vec::new();
        let names = self.names.iter().flatten();
        let rows = names.zip(&self.y[0]).zip(&axis.of_row);
        for ((name, value), &slot) in rows {
            if name.is_none() && value.unwrap_or(0.0) == 0.0 {
                continue;
            }
            let place = *places.entry(name).or_insert_with(|| {
                all.push(OneSeries {
                    name: name.clone(),
                    values: vec![None; slots],
                });
                has_row.push(vec![false; slots]);
                all.len() - 1
            });
            let values = &mut all[place].values;
            values[slot] = combined(values[slot], *value);
            has_row[place][slot] = true;
        }
        if all.is_empty() && slots > 0 {
            // Nothing at all is a zero, or nothing known, in every slot.
            return vec![OneSeries {
                name: None,
                values: self.totals(axis),
            }];
        }
        if self.adds_up() {
            for (series, has_row) in all.iter_mut().zip(&has_row) {
                for (slot, value) in series.values.iter_mut().enumerate() {
                    if !has_row[slot] && axis.slots[slot].state != State::Missing {
                        *value = Some(0.0);
                    }
                }
            }
        }
        all
    }

    /// How many series a chart leaves out, as their sum means nothing.
    fn left_out(&self, axis: &Axis) -> usize {
        match self.chart.kind {
            ChartKind::Line if self.names.is_some() && !self.adds_up() => {
                self.by_series(axis).len().saturating_sub(MOST_SERIES)
            }
            _ => 0,
        }
    }

    /// All series together in each slot, or the values of the only column.
    pub(super) fn totals(&self, axis: &Axis) -> Values {
        by_slot(axis, self.y[0].iter().copied(), self.combined())
    }

    /// The line of the earlier window, slot by slot.
    pub(super) fn earlier_layer(&self, axis: &Axis) -> Option<Layer> {
        let earlier = self.earlier.as_deref()?;
        let language = self.chart.language;
        Some(Layer {
            name: earlier.name(language),
            role: Role::Other,
            values: earlier.values(axis, self)?,
        })
    }

    /// What stands below the title: the total and its change, or the highest value.
    pub(super) fn summary(&self, axis: &Axis, frame: &Frame) -> String {
        let language = self.chart.language;
        let mut parts = Vec::new();
        if self.is_count() {
            let label = self.chart.y_label.as_deref();
            for (y, column) in self.y.iter().zip(&self.chart.y) {
                // Several columns may be parts of each other: each has its own sum.
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

    /// The highest of all values, which for percentiles are those of the last.
    fn highest(&self) -> Option<String> {
        let columns = self.y.iter().zip(&self.chart.y);
        let peaks = columns.filter_map(|(values, column)| {
            let values = values.iter().copied().filter_map(drawable);
            Some((values.max_by(f64::total_cmp)?, column))
        });
        let (peak, column) = peaks.max_by(|a, b| a.0.total_cmp(&b.0))?;
        let language = self.chart.language;
        let decimals = usize::from(peak.abs() < 1000.0 && peak.fract() != 0.0);
        let figures = format_number(peak, decimals);
        let unit = self.chart.unit.as_deref().or(self.chart.y_label.as_deref());
        let value = match unit {
            Some("%") => format!("{figures}%"),
            Some(unit) => format!("{figures} {unit}"),
            None => figures,
        };
        let name = match (&self.chart.y_label, self.chart.y.len()) {
            // The label is the unit.
            (Some(_), 1) if self.chart.unit.is_none() => String::new(),
            (Some(label), 1) => label.clone(),
            _ => language::words(language, column),
        };
        Some(language::up_to(language, &name, &value))
    }

    /// The change of the total against the earlier window, over the slots that are over. One of them that has no row has
    /// no events: an outage is a change.
    fn change(&self, axis: &Axis, frame: &Frame) -> Option<String> {
        let earlier = self.earlier.as_deref()?;
        let values = earlier.values(axis, self)?;
        let complete = |slot: &usize| axis.ends[*slot].is_none_or(|end| frame.is_complete(end));
        let slots: Vec<usize> = (0..axis.slots.len()).filter(complete).collect();
        let sum = |values: &Values| {
            let values = slots.iter().filter_map(|&slot| drawable(values[slot]));
            values.sum::<f64>()
        };
        let all = slots.len() == axis.slots.len();
        // A day of a clock change has an hour more or less than the one before it: all of both are compared.
        let before = match all {
            true => total(&earlier.series.y[0]),
            false => sum(&values),
        };
        let language = self.chart.language;
        let when = earlier.name(language);
        let now = sum(&self.totals(axis));
        (!slots.is_empty()).then(|| language::change(language, now, before, &when, !all))
    }
}

impl Earlier {
    /// The window in words, and that its values may still grow.
    fn name(&self, language: Language) -> String {
        let window = language::window(language, &self.window);
        match self.provisional {
            true => format!("{window} ({})", language::provisional(language)),
            false => window,
        }
    }

    /// Its total in each slot of the later window's axis; `None` where no slot has any.
    fn values(&self, axis: &Axis, later: &Series) -> Option<Values> {
        let span = later.chart.compare?.span;
        let mut known: HashMap<Tick, Vec<Option<f64>>> = HashMap::new();
        let own = Axis::new(
            &later.chart.x,
            &self.series.ticks(self.window.zone()),
            &Frame {
                zone: self.window.zone(),
                range: Some(self.window.range()),
                size: Some(self.window.size()),
                dates: self.series.x_is_date,
                known_until: None,
                settled_until: None,
                language: later.chart.language,
            },
            self.series.names.is_some(),
        );
        let totals = self.series.totals(&own);
        for (tick, total) in own.ticks.iter().zip(&totals) {
            if let Some(tick) = tick {
                known.entry(without_offset(tick)).or_default().push(*total);
            }
        }
        let mut seen: HashMap<Tick, usize> = HashMap::new();
        let values: Values = axis
            .ticks
            .iter()
            .map(|tick| {
                let tick = match without_offset(tick.as_ref()?) {
                    Tick::Time(local, _) => Tick::Time(span.same_before(local)?, None),
                    text => text,
                };
                let values = known.get(&tick)?;
                let occurrence = seen.entry(tick).or_default();
                // The second of two hours is held against the only one, where the clocks stayed as they were.
                let value = values
                    .get(*occurrence)
                    .or(values.first())
                    .copied()
                    .flatten();
                *occurrence += 1;
                value
            })
            .collect();
        values.iter().any(Option::is_some).then_some(values)
    }
}

fn without_offset(tick: &Tick) -> Tick {
    match tick {
        Tick::Time(local, _) => Tick::Time(*local, None),
        Tick::Text(text) => Tick::Text(text.clone()),
    }
}

/// The values of rows by slot, those of one slot combined.
fn by_slot(
    axis: &Axis,
    values: impl Iterator<Item = Option<f64>>,
    combined: fn(Option<f64>, Option<f64>) -> Option<f64>,
) -> Values {
    let mut by_slot = vec![None; axis.slots.len()];
    for (value, &slot) in values.zip(&axis.of_row) {
        by_slot[slot] = combined(by_slot[slot], value);
    }
    by_slot
}

fn added(mut a: Values, b: Values) -> Values {
    for (a, b) in a.iter_mut().zip(b) {
        *a = sum(*a, b);
    }
    a
}

fn total(values: &[Option<f64>]) -> f64 {
    values.iter().copied().filter_map(drawable).sum()
}

/// How much there is of a series, to know which are the largest.
fn weight(values: &Values) -> f64 {
    values
        .iter()
        .copied()
        .filter_map(drawable)
        .map(f64::abs)
        .sum()
}

fn level(name: &str) -> Option<usize> {
    LEVELS
        .iter()
        .position(|level| level.eq_ignore_ascii_case(name))
}

/// The colours of series: usual ones have their own, the others one by their name, so that it is the same tomorrow, whoever
/// else is there. Where it is taken already, they have the next one that is free.
fn roles<'a>(names: impl Iterator<Item = Option<&'a str>>) -> Vec<Role> {
    let names: Vec<&str> = names.map(Option::unwrap_or_default).collect();
    let mut taken: Vec<Role> = Vec::new();
    let usual = |name: &str| {
        let mut usual = USUAL_COLORS.iter();
        usual.find(|(usual, _)| usual.eq_ignore_ascii_case(name))
    };
    let mut roles: Vec<Option<Role>> = Vec::with_capacity(names.len());
    for name in &names {
        let role = usual(name).map(|(_, role)| *role);
        // Two of one colour could not be told apart.
        let role = role.filter(|role| !taken.contains(role));
        taken.extend(role);
        roles.push(role);
    }
    for (role, name) in roles
        .iter_mut()
        .zip(&names)
        .filter(|(role, _)| role.is_none())
    {
        let mut from_wanted =
            (0..MOST_SERIES).map(|step| Role::Series((place_of(name) + step) % MOST_SERIES));
        *role = from_wanted.find(|role| !taken.contains(role));
        taken.extend(*role);
    }
    let roles = roles.into_iter();
    roles.map(|role| role.unwrap_or(Role::Other)).collect()
}

/// A place among the colours that depends on the name only (FNV-1a, as the standard library's hash is of no fixed kind).
fn place_of(name: &str) -> usize {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    hash as usize % MOST_SERIES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_the_colours_that_people_expect() {
        let roles = |names: &[&str]| roles(names.iter().map(|name| Some(*name)));
        assert_eq!(
            roles(&["ERROR", "WARN", "INFO", "DEBUG"]),
            [
                Role::Errors,
                Role::Series(1),
                Role::Series(0),
                Role::Series(2)
            ]
        );
        assert_eq!(roles(&["fatal", "error"]), [Role::Fatal, Role::Errors]);
        assert_eq!(
            roles(&["FATAL"]),
            [Role::Fatal],
            "also on a day without errors"
        );
        let many: Vec<String> = (0..12).map(|n| n.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(!roles(&many).contains(&Role::Other));
    }
    #[test]
    fn a_name_has_its_colour_whoever_else_is_there() {
        let roles = |names: &[&str]| roles(names.iter().map(|name| Some(*name)));
        let all = ["/a", "api", "orders", "payments"];
        let together = roles(&all);
        for (name, role) in all.iter().zip(&together) {
            assert_eq!(roles(&[name]), [*role], "{name}");
        }
        for (place, role) in together.iter().enumerate() {
            assert!(!together[..place].contains(role), "{together:?}");
        }
    }
}
