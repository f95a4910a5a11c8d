//! From rows to the cells of a heatmap: a row for each day and a column for each hour, or whatever a series names.

use std::collections::BTreeMap;

use chrono::{NaiveDate, TimeDelta, Timelike};

use super::layers::{by_slot, sum};
use super::slots::{Axis, Frame, Tick};
use super::{Series, is_grid_of_days, language};
use crate::output::chart::{Cell, Row, Slot, State};

/// What is known of a cell, from all of its slots.
#[derive(Clone, Copy)]
struct Known {
    value: Option<f64>,
    state: State,
}

impl Known {
    fn cell(self) -> Cell {
        match (self.value, self.state) {
            (None, _) | (_, State::Missing) => Cell::Missing,
            (Some(value), State::Provisional) => Cell::Provisional(value),
            (Some(value), State::Settled) => Cell::Value(value),
        }
    }
}

impl Series {
    /// The columns and rows.
    pub(super) fn cells(&self, axis: &Axis, frame: &Frame) -> (Vec<Slot>, Vec<Row>) {
        match is_grid_of_days(&self.chart) {
            true => self.days(axis, frame),
            false => (axis.slots.clone(), self.rows(axis)),
        }
    }

    /// Days by their hours. An hour that a clock change repeats is one cell, with the sum of both.
    fn days(&self, axis: &Axis, frame: &Frame) -> (Vec<Slot>, Vec<Row>) {
        let values = by_slot(axis, self.y[0].iter().copied());
        let mut days: BTreeMap<NaiveDate, [Option<Known>; 24]> = BTreeMap::new();
        let mut seconds: BTreeMap<NaiveDate, (i32, i32)> = BTreeMap::new();
        for (place, tick) in axis.ticks.iter().enumerate() {
            let Some(Tick::Time(local, offset)) = tick else {
                continue;
            };
            let cells = days.entry(local.date()).or_insert([None; 24]);
            let cell = &mut cells[local.hour() as usize];
            let new = Known {
                value: values[place],
                state: axis.slots[place].state,
            };
            *cell = Some(match *cell {
                Some(old) => Known {
                    value: sum(old.value, new.value),
                    state: match (old.state, new.state) {
                        (State::Missing, other) | (other, State::Missing) => other,
                        (State::Settled, State::Settled) => State::Settled,
                        _ => State::Provisional,
                    },
                },
                None => new,
            });
            let offset = offset.unwrap_or_default();
            let ends = seconds.entry(local.date()).or_insert((offset, offset));
            ends.1 = offset;
        }
        let language = frame.language;
        let rows = days.into_iter().map(|(date, cells)| {
            let (first, last) = seconds.get(&date).copied().unwrap_or_default();
            let length = TimeDelta::hours(24) - TimeDelta::seconds(i64::from(last - first));
            let seconds = u32::try_from(length.num_seconds()).unwrap_or_default();
            let note = match first == last {
                true => String::new(),
                false => language::duration(language, seconds),
            };
            let skipped = first != last;
            let cells = cells.into_iter().map(|cell| match cell {
                Some(known) => known.cell(),
                None if skipped => Cell::Absent,
                None => Cell::Missing,
            });
            Row {
                label: language::short_date(language, date),
                note,
                cells: cells.collect(),
            }
        });
        let state = |hour: usize| {
            let mut slots = axis.ticks.iter().zip(&axis.slots).filter(|(tick, _)| {
                matches!(tick, Some(Tick::Time(local, _)) if local.hour() as usize == hour)
            });
            match slots.next_back() {
                Some((_, slot)) => slot.state,
                None => State::Missing,
            }
        };
        let columns = (0..24).map(|hour| Slot {
            label: format!("{hour:02}"),
            group: String::new(),
            state: state(hour),
            note: String::new(),
        });
        (columns.collect(), rows.collect())
    }

    /// A row for each value of the series column, in the order in which they come.
    fn rows(&self, axis: &Axis) -> Vec<Row> {
        let language = self.chart.language;
        let mut order: Vec<Option<String>> = Vec::new();
        let mut values: Vec<Vec<Option<f64>>> = Vec::new();
        let names = self.names.iter().flatten();
        for ((name, value), &slot) in names.zip(&self.y[0]).zip(&axis.of_row) {
            let place = match order.iter().position(|known| known == name) {
                Some(place) => place,
                None => {
                    order.push(name.clone());
                    values.push(vec![None; axis.slots.len()]);
                    order.len() - 1
                }
            };
            values[place][slot] = sum(values[place][slot], *value);
        }
        let rows = order.into_iter().zip(values).map(|(name, values)| Row {
            label: name.unwrap_or_else(|| language::none(language).to_owned()),
            note: String::new(),
            cells: values
                .into_iter()
                .zip(&axis.slots)
                .map(|(value, slot)| {
                    let state = slot.state;
                    Known { value, state }.cell()
                })
                .collect(),
        });
        rows.collect()
    }
}
