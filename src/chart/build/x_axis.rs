//! From the x values of rows to the categories of the axis: which instants they are, which are missing between them,
//! and their labels.

mod spacing;

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Datelike, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

use super::language;
use crate::chart::model::{Category, DataState};
use crate::job::Language;
use crate::window::buckets;
use crate::window::{Range, Size, first_instant};
use spacing::{DAY_MS, HOUR_MS, Spacing, offset_at};

/// Up to this many days have their weekdays in their labels.
const MOST_WEEKDAYS: usize = 10;

/// A value of the x axis.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum XValue {
    /// A time on the wall clock of the axis' zone, with its offset from UTC in seconds where the answer has it.
    Time(NaiveDateTime, Option<i32>),
    /// Anything else.
    Text(String),
}

/// The time that a figure covers, and until when it is known.
#[derive(Debug, Clone, Copy)]
pub struct TimeFrame {
    /// The zone of the wall clock.
    pub zone: Tz,
    /// The interval that was asked for.
    pub range: Option<Range>,
    /// The size of the window; `None` if the interval is no window.
    pub size: Option<Size>,
    /// Whether the x values are dates rather than times.
    pub dates: bool,
    /// Later values are unknown; `None` if all are known.
    pub known_until: Option<DateTime<Utc>>,
    /// Later values may still change; `None` if all are final.
    pub settled_until: Option<DateTime<Utc>>,
    /// Whether times without a row are known to be zero.
    pub absent_is_zero: bool,
    /// The language of dates.
    pub language: Language,
}

impl TimeFrame {
    fn state(&self, start_ms: i64, end_ms: i64) -> DataState {
        let after = |ms: i64, limit: Option<DateTime<Utc>>| {
            limit.is_some_and(|limit| ms > limit.timestamp_millis())
        };
        match () {
            () if after(start_ms + 1, self.known_until) => DataState::Missing,
            () if after(end_ms, self.settled_until) => DataState::Provisional,
            () => DataState::Settled,
        }
    }

    /// Whether a category that ends then is known as a whole, and can be compared with an earlier one.
    pub fn is_complete(&self, end_ms: i64) -> bool {
        self.known_until
            .is_none_or(|until| end_ms <= until.timestamp_millis())
    }
}

/// The x axis of a chart.
#[derive(Debug)]
pub struct XAxis {
    /// From left to right.
    pub categories: Vec<Category>,
    /// The category of each row.
    pub category_of_row: Vec<usize>,
    /// The x value of each category.
    pub values: Vec<XValue>,
    /// The categories that have no row and are known to be zero.
    pub known_zeros: Vec<usize>,
    /// The end of each category in milliseconds since 1970, if its time is known.
    pub ends: Vec<Option<i64>>,
    /// The title of an axis of days, months or hours of UTC.
    pub title: Option<String>,
}

impl XAxis {
    /// The axis of a column with these values. Rows of equal value have a category each, or share one if `merge`, as
    /// those of several series do.
    pub fn new(column: &str, values: &[XValue], frame: &TimeFrame, merge: bool) -> Self {
        let frame = TimeFrame {
            zone: zone_of(column, frame.zone),
            ..*frame
        };
        EvenTimes::new(values, &frame, merge)
            .and_then(|times| times.axis(column, values.len()))
            .unwrap_or_else(|| Self::of_values(column, values, &frame, merge))
    }

    /// The axis of values that are not evenly spaced times: a category for each value and none between them.
    fn of_values(column: &str, values: &[XValue], frame: &TimeFrame, merge: bool) -> Self {
        let format = shortest_format(values);
        let mut places: HashMap<&XValue, usize> = HashMap::new();
        let mut axis = Self {
            categories: Vec::new(),
            category_of_row: vec![0; values.len()],
            values: Vec::new(),
            known_zeros: Vec::new(),
            ends: Vec::new(),
            title: None,
        };
        for row in in_order_of_time(values) {
            let value = &values[row];
            let next = axis.categories.len();
            let place = *places.entry(value).or_insert(next);
            let place = if merge { place } else { next };
            axis.category_of_row[row] = place;
            if place < next {
                continue;
            }
            let interval = hour_of_day(column, value, frame);
            axis.categories.push(Category {
                label: match value {
                    XValue::Time(time, _) => time.format(format).to_string(),
                    XValue::Text(text) => text.clone(),
                },
                group: String::new(),
                state: interval.map_or(DataState::Settled, |(start, end)| frame.state(start, end)),
                note: String::new(),
            });
            axis.values.push(value.clone());
            axis.ends.push(interval.map(|(_, end)| end));
        }
        axis
    }

    /// The values of rows by category; several of one category are combined.
    pub fn by_category(
        &self,
        rows: &[Option<f64>],
        combine: fn(Option<f64>, Option<f64>) -> Option<f64>,
    ) -> Vec<Option<f64>> {
        let mut values = vec![None; self.categories.len()];
        for (row, &category) in rows.iter().zip(&self.category_of_row) {
            values[category] = combine(values[category], *row);
        }
        for &category in &self.known_zeros {
            values[category] = Some(0.0);
        }
        values
    }
}

/// The zone on whose clock a column's times are shown: UTC if the column's name says so, as in the table `hours`, and
/// else the job's.
pub fn zone_of(column: &str, zone: Tz) -> Tz {
    if is_utc(column) { Tz::UTC } else { zone }
}

/// Whether a column's times are shown in UTC.
pub fn is_utc(column: &str) -> bool {
    column.ends_with("_utc")
}

/// The rows from left to right: times in their order, then all else in the order of the rows.
fn in_order_of_time(values: &[XValue]) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..values.len()).collect();
    rows.sort_by_key(|&row| match &values[row] {
        XValue::Time(local, offset) => {
            let offset = TimeDelta::seconds(i64::from(offset.unwrap_or_default()));
            (false, local.checked_sub_signed(offset))
        }
        XValue::Text(_) => (true, None),
    });
    rows
}

/// The start and end of the hour that a number in the column `hour_of_day` means in the window of a day; of an hour
/// that the clocks repeat, those of the first occurrence.
fn hour_of_day(column: &str, value: &XValue, frame: &TimeFrame) -> Option<(i64, i64)> {
    let (XValue::Text(text), "hour_of_day", Some(Size::Day)) = (value, column, frame.size) else {
        return None;
    };
    let wanted: i32 = text.parse().ok()?;
    let range = frame.range?;
    let hours = buckets::hours(frame.zone, range.start_ms, range.end_ms);
    let hour = hours.iter().position(|hour| hour.hour_of_day == wanted)?;
    let end = hours
        .get(hour + 1)
        .map_or(range.end_ms, |next| next.start_ms);
    Some((hours[hour].start_ms, end))
}

/// The shortest format that tells apart times that are not evenly spaced.
fn shortest_format(values: &[XValue]) -> &'static str {
    let times = || {
        values.iter().filter_map(|value| match value {
            XValue::Time(time, _) => Some(time),
            XValue::Text(_) => None,
        })
    };
    let one_day = times().all(|time| Some(time.date()) == times().next().map(NaiveDateTime::date));
    let midnights = times().all(|time| time.time() == NaiveTime::MIN);
    let seconds = times().any(|time| time.second() != 0);
    match (midnights, one_day, seconds) {
        (true, ..) => "%m-%d",
        (false, true, false) => "%H:%M",
        (false, true, true) => "%H:%M:%S",
        (false, false, _) => "%m-%d %H:%M",
    }
}

/// Rows whose x values are all times, evenly spaced.
struct EvenTimes<'a> {
    frame: &'a TimeFrame,
    spacing: Spacing,
    /// The instant of each row, in milliseconds since 1970.
    instants: Vec<i64>,
}

/// Where a category begins.
struct Start {
    ms: i64,
    local: NaiveDateTime,
    /// The offset from UTC in seconds.
    offset: i32,
}

impl<'a> EvenTimes<'a> {
    /// `None` if a value is no time, if they are not evenly spaced, or if two rows without `merge` are the same instant.
    fn new(values: &[XValue], frame: &'a TimeFrame, merge: bool) -> Option<Self> {
        let mut locals = Vec::with_capacity(values.len());
        for value in values {
            match value {
                XValue::Time(local, offset) => locals.push((*local, *offset)),
                XValue::Text(_) => return None,
            }
        }
        let instants = instants(&locals, frame.zone, merge)?;
        let distinct = distinct(&instants);
        if !merge && distinct.len() < instants.len() {
            return None;
        }
        let spacing = Spacing::of(&locals, &distinct, frame)?;
        Some(Self {
            frame,
            spacing,
            instants,
        })
    }

    fn axis(&self, column: &str, rows: usize) -> Option<XAxis> {
        let starts = self.starts(rows)?;
        let places: BTreeMap<i64, usize> = starts
            .iter()
            .enumerate()
            .map(|(place, start)| (start.ms, place))
            .collect();
        let category_of_row: Vec<usize> = self
            .instants
            .iter()
            .map(|instant| places.get(instant).copied().unwrap_or_default())
            .collect();
        let mut has_row = vec![false; starts.len()];
        for &place in &category_of_row {
            has_row[place] = true;
        }
        let ends: Vec<i64> = (0..starts.len())
            .map(|place| self.end(&starts, place))
            .collect();
        let categories = starts.iter().enumerate().map(|(place, start)| Category {
            label: self.label(start, starts.len()),
            group: self.group(start),
            state: match has_row[place] || self.frame.absent_is_zero {
                true => self.frame.state(start.ms, ends[place]),
                false => DataState::Missing,
            },
            note: self.note(&starts, place, ends[place]),
        });
        let mut categories: Vec<Category> = categories.collect();
        let group = take_common_group(&mut categories);
        let is_known_zero =
            |&place: &usize| !has_row[place] && categories[place].state != DataState::Missing;
        Some(XAxis {
            known_zeros: (0..categories.len()).filter(is_known_zero).collect(),
            title: self.title(column, &starts, group),
            values: starts
                .iter()
                .map(|start| XValue::Time(start.local, Some(start.offset)))
                .collect(),
            categories,
            category_of_row,
            ends: ends.into_iter().map(Some).collect(),
        })
    }

    /// The title of the axis, with the month or year of its days or months where nothing else in the figure says it.
    fn title(&self, column: &str, starts: &[Start], group: Option<String>) -> Option<String> {
        let language = self.frame.language;
        let title = match self.spacing {
            Spacing::Days(_) => language::day(language),
            Spacing::Months(_) => language::month(language),
            _ if column == "hour_utc" => language::hour_utc(language),
            _ => return None,
        };
        // The title of a window's figure has its date, which covers only categories inside the window.
        let is_inside = self.frame.range.is_some_and(|range| {
            let is_inside = |start: &Start| range.contains(start.ms);
            starts.iter().all(is_inside)
        });
        let group = group.filter(|_| !is_inside || self.frame.size.is_none());
        Some(match group.filter(|group| !group.is_empty()) {
            Some(group) => format!("{title} · {group}"),
            None => title.to_owned(),
        })
    }

    /// The starts of the categories: those in the whole interval that was asked for if the rows lie on its grid, or
    /// else those from the first row to the last. `None` if most of them would be empty.
    fn starts(&self, rows: usize) -> Option<Vec<Start>> {
        let (zone, frame) = (self.frame.zone, *self.frame);
        let distinct = distinct(&self.instants);
        let (&first, &last) = (distinct.first()?, distinct.last()?);
        let of_rows = Range {
            start_ms: first,
            end_ms: last + 1,
        };
        let grid = [self.frame.range, Some(of_rows)]
            .into_iter()
            .flatten()
            .find_map(|range| {
                let grid = self.spacing.grid(&frame, range, first, rows)?;
                let is_on_grid = |instant: &i64| grid.binary_search(instant).is_ok();
                distinct.iter().all(is_on_grid).then_some(grid)
            });
        let start = |ms: i64| {
            let at = DateTime::from_timestamp_millis(ms).unwrap_or_default();
            Start {
                ms,
                local: at.with_timezone(&zone).naive_local(),
                offset: offset_at(zone, ms),
            }
        };
        Some(grid?.into_iter().map(start).collect())
    }

    fn end(&self, starts: &[Start], place: usize) -> i64 {
        let start = starts[place].ms;
        let next = starts.get(place + 1).map(|next| next.ms);
        next.or_else(|| self.spacing.next(self.frame.zone, start))
            .unwrap_or(start)
    }

    fn label(&self, start: &Start, count: usize) -> String {
        let language = self.frame.language;
        let date = start.local.date();
        match self.spacing {
            Spacing::Months(_) => language::short_month(language, date),
            Spacing::Days(_) if count <= MOST_WEEKDAYS => {
                format!("{} ({})", date.day(), language::weekday(language, date))
            }
            Spacing::Days(_) => date.day().to_string(),
            Spacing::Elapsed(ms) | Spacing::Clock(ms) if ms % HOUR_MS != 0 => {
                start.local.format("%H:%M").to_string()
            }
            // Where clocks go back by half an hour, an hour may begin at half past.
            Spacing::Elapsed(_) | Spacing::Clock(_) => start.local.format("%H").to_string(),
        }
    }

    /// The part of a date that the label leaves out.
    fn group(&self, start: &Start) -> String {
        let language = self.frame.language;
        let date = start.local.date();
        match self.spacing {
            Spacing::Months(_) => language::year(language, date),
            Spacing::Days(_) => language::year_month(language, date),
            Spacing::Elapsed(_) | Spacing::Clock(_) => language::short_date(language, date),
        }
    }

    /// What a change of the clocks does to a category.
    fn note(&self, starts: &[Start], place: usize, end_ms: i64) -> String {
        let (start, language) = (&starts[place], self.frame.language);
        match self.spacing {
            Spacing::Months(_) => String::new(),
            Spacing::Days(days) => {
                let seconds = (end_ms - start.ms) / 1000;
                let usual = i64::from(days) * DAY_MS / 1000;
                match seconds == usual || days > 1 {
                    true => String::new(),
                    false => language::duration(language, u32::try_from(seconds).unwrap_or(0)),
                }
            }
            Spacing::Elapsed(_) | Spacing::Clock(_) => {
                // Clocks that change at midnight change before the first category of a day.
                let before = match place.checked_sub(1) {
                    Some(before) => starts[before].offset,
                    None => offset_at(self.frame.zone, start.ms.saturating_sub(1)),
                };
                match start.offset - before {
                    0 => String::new(),
                    change => language::clocks(language, change),
                }
            }
        }
    }
}

/// The group that all categories have, taken away from each of them.
fn take_common_group(categories: &mut [Category]) -> Option<String> {
    let common = categories.first()?.group.clone();
    if categories.iter().any(|category| category.group != common) {
        return None;
    }
    categories
        .iter_mut()
        .for_each(|category| category.group.clear());
    Some(common)
}

/// Sorted and without duplicates.
fn distinct(instants: &[i64]) -> Vec<i64> {
    let mut distinct = instants.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    distinct
}

/// The instants of local times. A time that the clocks repeat is the occurrence that its offset says; without an offset
/// the first row is the first occurrence and, without `merge`, the second row the second one.
fn instants(locals: &[(NaiveDateTime, Option<i32>)], zone: Tz, merge: bool) -> Option<Vec<i64>> {
    let mut seen: HashMap<NaiveDateTime, usize> = HashMap::new();
    let mut instants = Vec::with_capacity(locals.len());
    for (local, offset) in locals {
        let mapped = zone.from_local_datetime(local);
        let occurrence = seen.entry(*local).or_default();
        let instant = match (mapped.earliest(), mapped.latest()) {
            (Some(earliest), Some(latest)) => {
                let is_latest = match offset {
                    Some(offset) => {
                        local.and_utc() - latest.to_utc() == TimeDelta::seconds(i64::from(*offset))
                    }
                    None => !merge && *occurrence == 1,
                };
                if is_latest {
                    latest.to_utc()
                } else {
                    earliest.to_utc()
                }
            }
            _ => first_instant(zone, *local)?,
        };
        *occurrence += 1;
        instants.push(instant.timestamp_millis());
    }
    Some(instants)
}

#[cfg(test)]
mod tests;
