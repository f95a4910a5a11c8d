//! From rows to the cells of a heatmap: a row for each day and a column for each hour, or whatever a series names.

use std::collections::BTreeMap;

use chrono::{NaiveDate, NaiveTime, TimeDelta, Timelike};
use chrono_tz::Tz;

use super::x_axis::{Axis, Frame, Tick, zone_of};
use super::{Series, is_grid_of_days, language};
use crate::chart::model::{Cell, Row, Slot, State};
use crate::window::first_instant;

const DAY: TimeDelta = TimeDelta::hours(24);

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

    /// Days by their hours. An hour that a clock change repeats is one cell, of both together.
    fn days(&self, axis: &Axis, frame: &Frame) -> (Vec<Slot>, Vec<Row>) {
        let combined = self.combined();
        let values = self.totals(axis);
        let zone = zone_of(&self.chart.x, frame.zone);
        let mut days: BTreeMap<NaiveDate, [Option<Known>; 24]> = BTreeMap::new();
        for (place, tick) in axis.ticks.iter().enumerate() {
            let Some(Tick::Time(local, _)) = tick else {
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
                    value: combined(old.value, new.value),
                    state: match (old.state, new.state) {
                        (State::Missing, other) | (other, State::Missing) => other,
                        (State::Settled, State::Settled) => State::Settled,
                        _ => State::Provisional,
                    },
                },
                None => new,
            });
        }
        let language = frame.language;
        let rows = days.into_iter().map(|(date, cells)| {
            let usual = DAY.num_seconds();
            let seconds = length(zone, date).map_or(usual, |length| length.num_seconds());
            let note = match u32::try_from(seconds) {
                Ok(seconds) if i64::from(seconds) != usual => language::duration(language, seconds),
                _ => String::new(),
            };
            let cells = cells.into_iter().zip(0..).map(|(cell, hour)| match cell {
                Some(known) => known.cell(),
                None if seconds != usual && is_skipped(zone, date, hour) => Cell::Absent,
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
        let rows = self.by_series(axis).into_iter().map(|series| Row {
            label: series.label(language),
            note: String::new(),
            cells: series
                .values
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

/// How long a day is between its first instant and that of the next.
fn length(zone: Tz, date: NaiveDate) -> Option<TimeDelta> {
    let begins = |date: NaiveDate| first_instant(zone, date.and_time(NaiveTime::MIN));
    Some(begins(date.succ_opt()?)? - begins(date)?)
}

/// Whether the clocks skip the whole of an hour.
fn is_skipped(zone: Tz, date: NaiveDate, hour: u32) -> bool {
    let begins = date.and_hms_opt(hour, 0, 0);
    let first = begins.and_then(|local| first_instant(zone, local));
    first.is_some_and(|first| {
        let local = first.with_timezone(&zone);
        (local.date_naive(), local.hour()) != (date, hour)
    })
}
