//! From rows to the cells of a heatmap: days by hours, or the values of a series by categories.

use std::collections::BTreeMap;

use chrono::{NaiveDate, NaiveTime, TimeDelta, Timelike};
use chrono_tz::Tz;

use super::data::{ChartData, is_grid_of_days};
use super::language;
use super::x_axis::{TimeFrame, XAxis, XValue, zone_of};
use crate::chart::model::{Category, Cell, DataState, Row};
use crate::window::first_instant;

const DAY: TimeDelta = TimeDelta::hours(24);

/// What is known of a cell.
#[derive(Clone, Copy)]
struct Known {
    value: Option<f64>,
    state: DataState,
}

impl Known {
    fn cell(self) -> Cell {
        match (self.value, self.state) {
            (None, _) | (_, DataState::Missing) => Cell::Missing,
            (Some(value), DataState::Provisional) => Cell::Provisional(value),
            (Some(value), DataState::Settled) => Cell::Value(value),
        }
    }

    /// Both occurrences of an hour that the clocks repeat.
    fn and(self, other: Self, combine: fn(Option<f64>, Option<f64>) -> Option<f64>) -> Self {
        Self {
            value: combine(self.value, other.value),
            state: match (self.state, other.state) {
                (DataState::Missing, state) | (state, DataState::Missing) => state,
                (DataState::Settled, DataState::Settled) => DataState::Settled,
                _ => DataState::Provisional,
            },
        }
    }
}

impl ChartData {
    /// The rows of a heatmap, and the categories that are its columns.
    pub(super) fn cells(&self, axis: &XAxis, frame: &TimeFrame) -> (Vec<Category>, Vec<Row>) {
        match is_grid_of_days(&self.chart) {
            true => (columns_of_hours(axis), self.rows_of_days(axis, frame)),
            false => (axis.categories.clone(), self.rows_of_series(axis)),
        }
    }

    /// A row for each day, with a cell for each of 24 hours. An hour that the clocks repeat is one cell.
    fn rows_of_days(&self, axis: &XAxis, frame: &TimeFrame) -> Vec<Row> {
        let combine = self.combine();
        let values = self.totals(axis);
        let mut days: BTreeMap<NaiveDate, [Option<Known>; 24]> = BTreeMap::new();
        for (place, value) in axis.values.iter().enumerate() {
            let XValue::Time(local, _) = value else {
                continue;
            };
            let cells = days.entry(local.date()).or_insert([None; 24]);
            let cell = &mut cells[local.hour() as usize];
            let new = Known {
                value: values[place],
                state: axis.categories[place].state,
            };
            *cell = Some(cell.map_or(new, |old| old.and(new, combine)));
        }
        let zone = zone_of(&self.chart.x, frame.zone);
        let rows = days.into_iter();
        rows.map(|(date, cells)| row_of_day(date, &cells, zone, frame))
            .collect()
    }

    /// A row for each series, in the order of their first rows.
    fn rows_of_series(&self, axis: &XAxis) -> Vec<Row> {
        let language = self.chart.language;
        let rows = self.by_series(axis).into_iter().map(|series| Row {
            label: series.label(language),
            note: String::new(),
            cells: series
                .values
                .into_iter()
                .zip(&axis.categories)
                .map(|(value, category)| {
                    let state = category.state;
                    Known { value, state }.cell()
                })
                .collect(),
        });
        rows.collect()
    }
}

/// The 24 hours as categories, each in the state that it has on the last day.
fn columns_of_hours(axis: &XAxis) -> Vec<Category> {
    let state = |hour: u32| {
        let mut categories = axis.values.iter().zip(&axis.categories);
        let last = categories
            .rfind(|(value, _)| matches!(value, XValue::Time(local, _) if local.hour() == hour));
        last.map_or(DataState::Missing, |(_, category)| category.state)
    };
    let columns = (0..24).map(|hour| Category {
        label: format!("{hour:02}"),
        group: String::new(),
        state: state(hour),
        note: String::new(),
    });
    columns.collect()
}

/// The row of a day, with its length as a note if that is not 24 hours.
fn row_of_day(date: NaiveDate, cells: &[Option<Known>; 24], zone: Tz, frame: &TimeFrame) -> Row {
    let language = frame.language;
    let usual = DAY.num_seconds();
    let seconds = length(zone, date).map_or(usual, |length| length.num_seconds());
    let note = match u32::try_from(seconds) {
        Ok(seconds) if i64::from(seconds) != usual => language::duration(language, seconds),
        _ => String::new(),
    };
    let cells = cells.iter().zip(0..).map(|(cell, hour)| match cell {
        Some(known) => known.cell(),
        None if seconds != usual && is_skipped(zone, date, hour) => Cell::Absent,
        None => Cell::Missing,
    });
    Row {
        label: language::short_date(language, date),
        note,
        cells: cells.collect(),
    }
}

/// The time from the first instant of a day to that of the next.
fn length(zone: Tz, date: NaiveDate) -> Option<TimeDelta> {
    let begins = |date: NaiveDate| first_instant(zone, date.and_time(NaiveTime::MIN));
    Some(begins(date.succ_opt()?)? - begins(date)?)
}

/// Whether the clocks skip an hour as a whole.
fn is_skipped(zone: Tz, date: NaiveDate, hour: u32) -> bool {
    let begins = date.and_hms_opt(hour, 0, 0);
    let first = begins.and_then(|local| first_instant(zone, local));
    first.is_some_and(|first| {
        let local = first.with_timezone(&zone);
        (local.date_naive(), local.hour()) != (date, hour)
    })
}
