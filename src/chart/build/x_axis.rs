//! From the values of the x axis to slots: which instants they are, which are missing between them, what their ticks
//! say.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use chrono::{Offset, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

use super::language;
use crate::chart::model::{Slot, State};
use crate::job::Language;
use crate::window::buckets;
use crate::window::{Range, Size, first_instant};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Slots for which there are no rows are only made where they are not most of the chart.
const MOST_FILLED: usize = 200;
/// A month has so many hours.
const MOST_FILLED_HOURS: usize = 31 * 24 + 1;
const MOST_FILLED_FOR_EACH: usize = 6;

/// So many days have their weekdays beside them.
const DAYS_WITH_WEEKDAY: usize = 10;

/// A value of the x axis.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Tick {
    /// A time on the wall clock of the axis' zone, with the offset from UTC in seconds where the answer has it.
    Time(NaiveDateTime, Option<i32>),
    /// Anything else.
    Text(String),
}

/// When the values are of.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// The zone of the wall clock.
    pub zone: Tz,
    /// The interval that was asked for.
    pub range: Option<Range>,
    /// The size of the window, where it is one.
    pub size: Option<Size>,
    /// Whether the values of the x axis are dates rather than times.
    pub dates: bool,
    /// From here on nothing is known yet.
    pub known_until: Option<DateTime<Utc>>,
    /// From here on values may still grow.
    pub settled_until: Option<DateTime<Utc>>,
    /// The language of dates.
    pub language: Language,
}

impl Frame {
    fn state(&self, start_ms: i64, end_ms: i64) -> State {
        let after = |ms: i64, limit: Option<DateTime<Utc>>| {
            limit.is_some_and(|limit| ms > limit.timestamp_millis())
        };
        match () {
            () if after(start_ms + 1, self.known_until) => State::Missing,
            () if after(end_ms, self.settled_until) => State::Provisional,
            () => State::Settled,
        }
    }

    /// Whether a slot is known to its end, so that it can be held against that of an earlier window.
    pub fn is_complete(&self, end_ms: i64) -> bool {
        self.known_until
            .is_none_or(|until| end_ms <= until.timestamp_millis())
    }
}

/// The x axis of a chart.
#[derive(Debug)]
pub struct Axis {
    /// From left to right.
    pub slots: Vec<Slot>,
    /// The slot of each row.
    pub of_row: Vec<usize>,
    /// What tells a slot from others, to find the same in an earlier answer.
    pub ticks: Vec<Option<Tick>>,
    /// Where each slot ends, in milliseconds since 1970, if its time is known.
    pub ends: Vec<Option<i64>>,
    /// What the slots are, where they are days or months.
    pub title: Option<String>,
}

/// How far slots are from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// So many milliseconds, at most an hour.
    Instants(i64),
    /// So many milliseconds of the wall clock, a part of a day.
    Clock(i64),
    Days(u32),
    Months(u32),
}

impl Axis {
    /// An axis for rows with these values. Equal values share a slot if `merge`, as rows of several series do.
    pub fn new(column: &str, ticks: &[Tick], frame: &Frame, merge: bool) -> Self {
        let frame = Frame {
            zone: zone_of(column, frame.zone),
            ..*frame
        };
        Times::new(ticks, &frame, merge)
            .and_then(|times| times.axis(column, ticks.len()))
            .unwrap_or_else(|| Self::of_texts(column, ticks, &frame, merge))
    }

    fn of_texts(column: &str, ticks: &[Tick], frame: &Frame, merge: bool) -> Self {
        let format = irregular_format(ticks);
        let mut places: HashMap<&Tick, usize> = HashMap::new();
        let mut axis = Self {
            slots: Vec::new(),
            of_row: vec![0; ticks.len()],
            ticks: Vec::new(),
            ends: Vec::new(),
            title: None,
        };
        for row in in_order_of_time(ticks) {
            let tick = &ticks[row];
            let next = axis.slots.len();
            let place = *places.entry(tick).or_insert(next);
            let place = if merge { place } else { next };
            axis.of_row[row] = place;
            if place < next {
                continue;
            }
            let interval = hour_of_day(column, tick, frame);
            axis.slots.push(Slot {
                label: match tick {
                    Tick::Time(time, _) => time.format(format).to_string(),
                    Tick::Text(text) => text.clone(),
                },
                group: String::new(),
                state: interval.map_or(State::Settled, |(start, end)| frame.state(start, end)),
                note: String::new(),
            });
            axis.ticks.push(Some(tick.clone()));
            axis.ends.push(interval.map(|(_, end)| end));
        }
        axis
    }
}

/// The zone on whose clock a column's times are shown: that of the job, but for those that say UTC by their names, as
/// in the table `hours`.
pub fn zone_of(column: &str, zone: Tz) -> Tz {
    if is_utc(column) { Tz::UTC } else { zone }
}

/// Whether a column's times are shown as those of UTC.
pub fn is_utc(column: &str) -> bool {
    column.ends_with("_utc")
}

/// The rows as they come from left to right: times in their order, then what is no time in that of the rows.
fn in_order_of_time(ticks: &[Tick]) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..ticks.len()).collect();
    rows.sort_by_key(|&row| match &ticks[row] {
        Tick::Time(local, offset) => {
            let offset = TimeDelta::seconds(i64::from(offset.unwrap_or_default()));
            (false, local.checked_sub_signed(offset))
        }
        Tick::Text(_) => (true, None),
    });
    rows
}

/// The hour of a day's window that a number of the column `hour_of_day` is; the first of two.
fn hour_of_day(column: &str, tick: &Tick, frame: &Frame) -> Option<(i64, i64)> {
    let (Tick::Text(text), "hour_of_day", Some(Size::Day)) = (tick, column, frame.size) else {
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

/// The shortest form that tells times apart that have no common step.
fn irregular_format(ticks: &[Tick]) -> &'static str {
    let times = || {
        ticks.iter().filter_map(|tick| match tick {
            Tick::Time(time, _) => Some(time),
            Tick::Text(_) => None,
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

/// Rows whose x values are all times with a common step.
struct Times<'a> {
    frame: &'a Frame,
    step: Step,
    /// The instant of each row, in milliseconds since 1970.
    instants: Vec<i64>,
}

/// A slot's time.
struct Moment {
    start_ms: i64,
    local: NaiveDateTime,
    /// At the start.
    offset: i32,
}

impl<'a> Times<'a> {
    /// `None` where a tick is no time, where they have no common step, or where each row is to be a slot of its own and
    /// two are the same instant.
    fn new(ticks: &[Tick], frame: &'a Frame, merge: bool) -> Option<Self> {
        let mut locals = Vec::with_capacity(ticks.len());
        for tick in ticks {
            match tick {
                Tick::Time(local, offset) => locals.push((*local, *offset)),
                Tick::Text(_) => return None,
            }
        }
        let instants = instants(&locals, frame.zone, merge)?;
        let mut distinct = instants.clone();
        distinct.sort_unstable();
        distinct.dedup();
        if !merge && distinct.len() < instants.len() {
            return None;
        }
        let step = Step::of(&locals, &distinct, frame)?;
        Some(Self {
            frame,
            step,
            instants,
        })
    }

    fn axis(&self, column: &str, rows: usize) -> Option<Axis> {
        let moments = self.moments(rows)?;
        let places: BTreeMap<i64, usize> = moments
            .iter()
            .enumerate()
            .map(|(place, moment)| (moment.start_ms, place))
            .collect();
        let of_row: Vec<usize> = self
            .instants
            .iter()
            .map(|instant| places.get(instant).copied().unwrap_or_default())
            .collect();
        let mut has_row = vec![false; moments.len()];
        for &place in &of_row {
            has_row[place] = true;
        }
        let ends: Vec<i64> = (0..moments.len())
            .map(|place| self.end(&moments, place))
            .collect();
        let slots = moments.iter().enumerate().map(|(place, moment)| Slot {
            label: self.label(moment, moments.len()),
            group: self.group(moment),
            state: match has_row[place] {
                true => self.frame.state(moment.start_ms, ends[place]),
                false => State::Missing,
            },
            note: self.note(&moments, place, ends[place]),
        });
        let mut slots: Vec<Slot> = slots.collect();
        let common = slots
            .first()
            .map(|slot| slot.group.clone())
            .unwrap_or_default();
        let one_group = slots.iter().all(|slot| slot.group == common);
        if one_group {
            slots.iter_mut().for_each(|slot| slot.group.clear());
        }
        let title = match self.step {
            Step::Days(_) => Some(language::day(self.frame.language).to_owned()),
            Step::Months(_) => Some(language::month(self.frame.language).to_owned()),
            _ if column == "hour_utc" => Some(language::hour_utc(self.frame.language).to_owned()),
            _ => None,
        };
        // The chart's title says it of slots inside the window only.
        let beyond = self.frame.range.is_none_or(|range| {
            let holds = |moment: &Moment| range.contains(moment.start_ms);
            !moments.iter().all(holds)
        });
        let title = match (title, one_group && (beyond || self.frame.size.is_none())) {
            // Nothing else says which month, or which year, it is.
            (Some(title), true) if !common.is_empty() => Some(format!("{title} · {common}")),
            (title, _) => title,
        };
        Some(Axis {
            ticks: moments
                .iter()
                .map(|moment| Some(Tick::Time(moment.local, Some(moment.offset))))
                .collect(),
            slots,
            of_row,
            ends: ends.into_iter().map(Some).collect(),
            title,
        })
    }

    /// The time of each slot: of the whole interval where the rows lie on its grid, else from the first row to the last.
    /// `None` where most of them would be empty.
    fn moments(&self, rows: usize) -> Option<Vec<Moment>> {
        let zone = self.frame.zone;
        let (&first, &last) = (self.instants.iter().min()?, self.instants.iter().max()?);
        let own = Range {
            start_ms: first,
            end_ms: last + 1,
        };
        let mut distinct = self.instants.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let most = match self.step {
            Step::Instants(ms) if ms < HOUR_MS => MOST_FILLED,
            _ => MOST_FILLED_HOURS,
        };
        let most = most.max(rows * MOST_FILLED_FOR_EACH);
        let filled = [self.frame.range, Some(own)]
            .into_iter()
            .flatten()
            .find_map(|range| {
                let grid = self.step.grid(zone, range, first, most)?;
                let holds = |instant: &i64| grid.binary_search(instant).is_ok();
                distinct.iter().all(holds).then_some(grid)
            });
        let moment = |start_ms: i64| {
            let at = DateTime::from_timestamp_millis(start_ms).unwrap_or_default();
            Moment {
                start_ms,
                local: at.with_timezone(&zone).naive_local(),
                offset: offset_at(zone, start_ms),
            }
        };
        Some(filled?.into_iter().map(moment).collect())
    }

    fn end(&self, moments: &[Moment], place: usize) -> i64 {
        let start = &moments[place];
        let next = moments.get(place + 1).map(|next| next.start_ms);
        next.or_else(|| self.step.next(self.frame.zone, start.start_ms))
            .unwrap_or(start.start_ms)
    }

    fn label(&self, moment: &Moment, count: usize) -> String {
        let language = self.frame.language;
        let date = moment.local.date();
        match self.step {
            Step::Months(_) => language::short_month(language, date),
            Step::Days(_) if count <= DAYS_WITH_WEEKDAY => {
                format!("{} ({})", date.day(), language::weekday(language, date))
            }
            Step::Days(_) => date.day().to_string(),
            Step::Instants(ms) | Step::Clock(ms) if ms % HOUR_MS != 0 => {
                moment.local.format("%H:%M").to_string()
            }
            // The hour that begins with a repeated half of it is still this hour.
            Step::Instants(_) | Step::Clock(_) => moment.local.format("%H").to_string(),
        }
    }

    /// What a slot's label leaves out.
    fn group(&self, moment: &Moment) -> String {
        let language = self.frame.language;
        let date = moment.local.date();
        match self.step {
            Step::Months(_) => language::year(language, date),
            Step::Days(_) => language::year_month(language, date),
            Step::Instants(_) | Step::Clock(_) => language::short_date(language, date),
        }
    }

    /// That the clocks change there.
    fn note(&self, moments: &[Moment], place: usize, end_ms: i64) -> String {
        let (moment, language) = (&moments[place], self.frame.language);
        match self.step {
            Step::Months(_) => String::new(),
            Step::Days(days) => {
                let seconds = (end_ms - moment.start_ms) / 1000;
                let usual = i64::from(days) * DAY_MS / 1000;
                match seconds == usual || days > 1 {
                    true => String::new(),
                    false => language::duration(language, u32::try_from(seconds).unwrap_or(0)),
                }
            }
            Step::Instants(_) | Step::Clock(_) => {
                // The first slot may be the one that the clocks were set to, as where they change at midnight.
                let before = match place.checked_sub(1) {
                    Some(before) => moments[before].offset,
                    None => offset_at(self.frame.zone, moment.start_ms.saturating_sub(1)),
                };
                match moment.offset - before {
                    0 => String::new(),
                    change => language::clocks(language, change),
                }
            }
        }
    }
}

impl Step {
    /// The step of rows at these local times and distinct instants; `None` where there is none.
    fn of(
        locals: &[(NaiveDateTime, Option<i32>)],
        distinct: &[i64],
        frame: &Frame,
    ) -> Option<Self> {
        let midnights = locals
            .iter()
            .all(|(local, _)| local.time() == NaiveTime::MIN);
        let mut dates: Vec<NaiveDate> = locals.iter().map(|(local, _)| local.date()).collect();
        dates.sort_unstable();
        dates.dedup();
        // A day alone is one where the window has several.
        let several = dates.len() > 1;
        let are_days =
            several || frame.dates || matches!(frame.size, Some(Size::Week | Size::Month));
        if midnights && are_days {
            if several && dates.iter().all(|date| date.day() == 1) {
                let months = dates
                    .windows(2)
                    .map(|pair| month_number(pair[1]) - month_number(pair[0]));
                let step = months.fold(0, |step, months| gcd(step, i64::from(months)));
                return u32::try_from(step).ok().map(Step::Months);
            }
            let days = dates.windows(2).map(|pair| (pair[1] - pair[0]).num_days());
            let step = days.fold(0, gcd).max(1);
            return u32::try_from(step).ok().map(Step::Days);
        }
        let clock = |(local, _): &(NaiveDateTime, Option<i32>)| local.and_utc().timestamp_millis();
        let first = locals.first().map(clock)?;
        let step = locals
            .iter()
            .map(clock)
            .fold(0, |step, ms| gcd(step, ms - first));
        // A single row, or a repeated hour alone, is an hour where it begins with one.
        let step = match step {
            0 if first % HOUR_MS == 0 && frame.size.is_some() => HOUR_MS,
            step => step,
        };
        if step > HOUR_MS && DAY_MS % step == 0 {
            return Some(Step::Clock(step));
        }
        // Hours are the finest that the SQL functions give by local time; the instants of finer steps are as even. They
        // are listed only where a chart can have so many: a timestamp may be of any year.
        let most_ms = HOUR_MS * MOST_FILLED_HOURS.max(locals.len() * MOST_FILLED_FOR_EACH) as i64;
        let hour_grid = distinct
            .first()
            .zip(distinct.last())
            .filter(|(first, last)| last.saturating_sub(**first) <= most_ms)
            .is_some_and(|(&first, &last)| {
                let hours = buckets::hours(frame.zone, first, last + 1);
                let starts: Vec<i64> = hours.iter().map(|hour| hour.start_ms).collect();
                distinct
                    .iter()
                    .all(|instant| starts.binary_search(instant).is_ok())
            });
        match step {
            0 => None,
            // Also those of Lord Howe, whose clocks change by half an hour.
            _ if hour_grid => Some(Step::Instants(HOUR_MS)),
            MINUTE_MS..HOUR_MS if HOUR_MS % step == 0 => Some(Step::Instants(step)),
            _ => None,
        }
    }

    /// The starts of the slots in a range; `None` where there are too many.
    fn grid(self, zone: Tz, range: Range, first: i64, most: usize) -> Option<Vec<i64>> {
        let most_ms = i64::try_from(most).ok()?.checked_mul(self.shortest())?;
        if range.end_ms.checked_sub(range.start_ms)? > most_ms {
            return None;
        }
        if self == Step::Instants(HOUR_MS) {
            let hours = buckets::hours(zone, range.start_ms, range.end_ms);
            return Some(hours.into_iter().map(|hour| hour.start_ms).collect());
        }
        // Back to the first slot of the range, then through it.
        let mut start = match self {
            Step::Instants(ms) => first - (first - range.start_ms).div_euclid(ms) * ms,
            _ => {
                let local = local_at(zone, range.start_ms)?;
                let to_first = self.steps_back(local_at(zone, first)?, local)?;
                first_instant(zone, to_first)?.timestamp_millis()
            }
        };
        let mut grid = Vec::new();
        while start < range.end_ms && grid.len() < most {
            if start >= range.start_ms {
                grid.push(start);
            }
            start = self.next(zone, start)?;
        }
        Some(grid)
    }

    /// The least time that a slot takes, to know how many fit into a range.
    fn shortest(self) -> i64 {
        match self {
            Step::Instants(ms) | Step::Clock(ms) => ms,
            Step::Days(days) => i64::from(days) * DAY_MS,
            Step::Months(months) => i64::from(months) * 28 * DAY_MS,
        }
    }

    /// The local time of the slot at or before `to`, by whole steps from `from`.
    fn steps_back(self, from: NaiveDateTime, to: NaiveDateTime) -> Option<NaiveDateTime> {
        match self {
            Step::Instants(_) => Some(from),
            Step::Clock(ms) => {
                let steps = (from - to).num_milliseconds().div_euclid(ms);
                from.checked_sub_signed(TimeDelta::milliseconds(steps * ms))
            }
            Step::Days(days) => {
                let steps = (from - to).num_days().div_euclid(days.into());
                from.checked_sub_days(Days::new(u64::try_from(steps).ok()? * u64::from(days)))
            }
            Step::Months(months) => {
                let between = month_number(from.date()) - month_number(to.date());
                let steps = between.div_euclid(months as i32).unsigned_abs();
                from.checked_sub_months(Months::new(steps * months))
            }
        }
    }

    /// Where the next slot begins.
    fn next(self, zone: Tz, start_ms: i64) -> Option<i64> {
        if let Step::Instants(ms) = self {
            return start_ms.checked_add(ms);
        }
        let local = local_at(zone, start_ms)?;
        let next = match self {
            Step::Instants(_) => None,
            Step::Clock(ms) => {
                // From a time that was skipped, back onto the grid.
                let clock = local.and_utc().timestamp_millis();
                let next = clock - clock.rem_euclid(ms) + ms;
                DateTime::from_timestamp_millis(next).map(|at| at.naive_utc())
            }
            Step::Days(days) => local
                .date()
                .checked_add_days(Days::new(days.into()))
                .map(|date| date.and_time(NaiveTime::MIN)),
            Step::Months(months) => local
                .date()
                .with_day(1)
                .and_then(|date| date.checked_add_months(Months::new(months)))
                .map(|date| date.and_time(NaiveTime::MIN)),
        }?;
        first_instant(zone, next).map(|at| at.timestamp_millis())
    }
}

/// The offset from UTC in seconds, east positive.
fn offset_at(zone: Tz, ms: i64) -> i32 {
    let at = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    at.with_timezone(&zone).offset().fix().local_minus_utc()
}

fn local_at(zone: Tz, ms: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp_millis(ms).map(|at| at.with_timezone(&zone).naive_local())
}

fn month_number(date: NaiveDate) -> i32 {
    date.year() * 12 + date.month0() as i32
}

fn gcd(a: i64, b: i64) -> i64 {
    match b {
        0 => a.abs(),
        _ => gcd(b, a % b),
    }
}

/// The instant of each local time. Of a time that occurs twice, the offset says which; without it the first row is the
/// first occurrence and the second, where each row is of its own, the second.
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
mod tests {
    use super::*;

    const SEOUL: Tz = Tz::Asia__Seoul;
    const NEW_YORK: Tz = Tz::America__New_York;

    fn frame(zone: Tz, size: Size, id: &str) -> Frame {
        let window = crate::window::Window::parse(size, zone, id).unwrap();
        Frame {
            zone,
            range: Some(window.range()),
            size: Some(size),
            dates: false,
            known_until: None,
            settled_until: None,
            language: Language::English,
        }
    }

    fn times(texts: &[&str]) -> Vec<Tick> {
        texts
            .iter()
            .map(|text| {
                let (time, offset) = match text.split_once(' ') {
                    Some((time, hours)) => (time, hours.parse::<i32>().ok().map(|h| h * 3600)),
                    None => (*text, None),
                };
                Tick::Time(format!("{time}:00").parse().unwrap(), offset)
            })
            .collect()
    }

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.slots.iter().map(|slot| slot.label.as_str()).collect()
    }

    fn missing(axis: &Axis) -> Vec<&str> {
        let slots = axis.slots.iter();
        slots
            .filter(|slot| slot.state == State::Missing)
            .map(|slot| slot.label.as_str())
            .collect()
    }

    #[test]
    fn hours_without_a_row_are_there_and_missing() {
        let rows = times(&["2026-11-21T03:00", "2026-11-21T04:00", "2026-11-21T23:00"]);
        let axis = Axis::new("hour", &rows, &frame(SEOUL, Size::Day, "2026-11-21"), false);
        assert_eq!(axis.slots.len(), 24);
        assert_eq!(axis.of_row, [3, 4, 23]);
        assert_eq!(missing(&axis).len(), 21);
        // Quarters of an hour, and six hours.
        let rows = times(&["2026-11-21T03:00", "2026-11-21T03:15", "2026-11-21T04:00"]);
        let axis = Axis::new("t", &rows, &frame(SEOUL, Size::Day, "2026-11-21"), false);
        assert_eq!((axis.slots.len(), labels(&axis)[1]), (96, "00:15"));
        let rows = times(&["2026-11-21T06:00", "2026-11-21T12:00"]);
        let axis = Axis::new("t", &rows, &frame(SEOUL, Size::Day, "2026-11-21"), false);
        assert_eq!(labels(&axis), ["00", "06", "12", "18"]);
    }

    #[test]
    fn a_day_of_a_clock_change_has_its_hours_and_says_so() {
        let frame_of = |id| frame(NEW_YORK, Size::Day, id);
        let all = |id: &str, hours: &[u32]| {
            let texts: Vec<String> = hours.iter().map(|h| format!("{id}T{h:02}:00")).collect();
            times(&texts.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let autumn: Vec<u32> = [0, 1, 1].into_iter().chain(2..24).collect();
        let axis = Axis::new(
            "hour_local",
            &all("2026-11-01", &autumn),
            &frame_of("2026-11-01"),
            false,
        );
        assert_eq!(axis.slots.len(), 25);
        assert_eq!(labels(&axis)[..4], ["00", "01", "01", "02"]);
        assert_eq!(axis.slots[2].note, "clocks −1 h");
        assert_eq!(axis.of_row, (0..25).collect::<Vec<_>>());

        let spring: Vec<u32> = (0..24).filter(|&hour| hour != 2).collect();
        let axis = Axis::new(
            "hour_local",
            &all("2026-03-08", &spring),
            &frame_of("2026-03-08"),
            false,
        );
        assert_eq!(labels(&axis)[..3], ["00", "01", "03"]);
        assert_eq!(axis.slots[2].note, "clocks +1 h");
        assert!(missing(&axis).is_empty());

        // Rows of several series tell the repeated hour by its offset.
        let rows = times(&[
            "2026-11-01T01:00 -4",
            "2026-11-01T01:00 -5",
            "2026-11-01T01:00 -5",
        ]);
        let axis = Axis::new("hour_local", &rows, &frame_of("2026-11-01"), true);
        assert_eq!(axis.of_row, [1, 2, 2]);
    }

    #[test]
    fn every_hour_of_lord_howe_has_its_slot() {
        let window = frame(Tz::Australia__Lord_Howe, Size::Day, "2026-04-05");
        let range = window.range.unwrap();
        let hours = buckets::hours(window.zone, range.start_ms, range.end_ms);
        let rows: Vec<Tick> = hours
            .iter()
            .map(|hour| {
                let local = DateTime::from_timestamp_millis(hour.local_ms).unwrap();
                Tick::Time(local.naive_utc(), Some(hour.utc_offset_seconds))
            })
            .collect();
        let axis = Axis::new("hour_local", &rows, &window, false);
        assert_eq!(axis.of_row, (0..hours.len()).collect::<Vec<_>>());
        assert!(missing(&axis).is_empty());
    }

    #[test]
    fn days_and_months_have_their_own_ticks() {
        let rows = times(&["2026-11-01T00:00", "2026-11-03T00:00", "2026-11-04T00:00"]);
        let axis = Axis::new(
            "day",
            &rows,
            &frame(NEW_YORK, Size::Month, "2026-11"),
            false,
        );
        assert_eq!(axis.slots.len(), 30);
        assert_eq!(labels(&axis)[..3], ["1", "2", "3"]);
        assert_eq!(axis.slots[0].note, "25 h");
        assert_eq!(axis.title.as_deref(), Some("Day"));

        let week = frame(SEOUL, Size::Week, "2026-W47");
        let rows = times(&["2026-11-16T00:00", "2026-11-17T00:00"]);
        assert_eq!(
            labels(&Axis::new("day", &rows, &week, false))[6],
            "22 (Sun)"
        );

        let months: Vec<String> = (1..=12)
            .map(|month| format!("2026-{month:02}-01T00:00"))
            .collect();
        let rows = times(&months.iter().map(String::as_str).collect::<Vec<_>>());
        let axis = Axis::new(
            "month",
            &rows,
            &Frame {
                range: None,
                size: None,
                ..week
            },
            false,
        );
        assert_eq!((labels(&axis)[0], labels(&axis)[11]), ("Jan", "Dec"));
        assert_eq!(axis.title.as_deref(), Some("Month · 2026"));
        let axis = Axis::new("month", &rows, &week, false);
        assert_eq!(
            axis.title.as_deref(),
            Some("Month · 2026"),
            "not of the week"
        );
    }

    #[test]
    fn an_hour_is_missing_after_the_events_were_taken_and_provisional_before() {
        let at = |text: &str| Some(format!("2026-11-21T{text}:00+09:00").parse().unwrap());
        let window = Frame {
            known_until: at("14:30"),
            settled_until: at("12:00"),
            ..frame(SEOUL, Size::Day, "2026-11-21")
        };
        let texts: Vec<String> = (0..24)
            .map(|hour| format!("2026-11-21T{hour:02}:00"))
            .collect();
        let rows = times(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        let numbers: Vec<Tick> = (0..24)
            .map(|hour| Tick::Text(format!("{hour:02}")))
            .collect();
        for (column, rows) in [("hour_local", rows), ("hour_of_day", numbers)] {
            let axis = Axis::new(column, &rows, &window, false);
            let state = |hour: usize| axis.slots[hour].state;
            assert_eq!(
                (state(11), state(12)),
                (State::Settled, State::Provisional),
                "{column}"
            );
            assert_eq!(
                (state(14), state(15)),
                (State::Provisional, State::Missing),
                "{column}"
            );
            let complete = |hour: usize| window.is_complete(axis.ends[hour].unwrap());
            assert!(complete(13) && !complete(14));
        }
    }

    #[test]
    fn clocks_that_change_at_midnight_are_marked() {
        let cairo = Tz::Africa__Cairo;
        let window = frame(cairo, Size::Day, "2026-04-24");
        let range = window.range.unwrap();
        let hours = buckets::hours(cairo, range.start_ms, range.end_ms);
        let rows: Vec<Tick> = hours
            .iter()
            .map(|hour| {
                let local = DateTime::from_timestamp_millis(hour.local_ms).unwrap();
                Tick::Time(local.naive_utc(), Some(hour.utc_offset_seconds))
            })
            .collect();
        let axis = Axis::new("hour_local", &rows, &window, false);
        assert_eq!((axis.slots.len(), labels(&axis)[0]), (23, "01"));
        assert_eq!(axis.slots[0].note, "clocks +1 h");
        // Not on any other day.
        let rows = times(&["2026-04-25T00:00", "2026-04-25T01:00"]);
        let axis = Axis::new(
            "hour_local",
            &rows,
            &frame(cairo, Size::Day, "2026-04-25"),
            false,
        );
        assert!(axis.slots.iter().all(|slot| slot.note.is_empty()));
    }

    #[test]
    fn a_day_alone_is_a_day() {
        let row = times(&["2026-11-16T00:00"]);
        let month = frame(SEOUL, Size::Month, "2026-11");
        let axis = Axis::new("day", &row, &month, false);
        assert_eq!((axis.slots.len(), labels(&axis)[15]), (30, "16"));
        assert_eq!(missing(&axis).len(), 29);
        // A midnight of a day is an hour, a date of it is the day.
        let day = frame(SEOUL, Size::Day, "2026-11-16");
        assert_eq!(Axis::new("x", &row, &day, false).slots.len(), 24);
        let dates = Frame { dates: true, ..day };
        assert_eq!(labels(&Axis::new("x", &row, &dates, false)), ["16 (Mon)"]);
    }

    #[test]
    fn a_time_of_a_far_year_is_no_reason_to_list_its_hours() {
        let far = NaiveDate::from_ymd_opt(58_859, 3, 1)
            .unwrap()
            .and_hms_opt(5, 0, 0)
            .unwrap();
        let mut rows = times(&["2026-11-21T03:00"]);
        rows.push(Tick::Time(far, None));
        let axis = Axis::new("hour", &rows, &frame(SEOUL, Size::Day, "2026-11-21"), false);
        assert_eq!((axis.slots.len(), &axis.of_row[..]), (2, &[0, 1][..]));
    }

    #[test]
    fn texts_stay_as_they_are_and_uneven_times_come_in_their_order() {
        let texts = ["b", "a", "b"].map(|text| Tick::Text(text.into()));
        let frame = frame(SEOUL, Size::Day, "2026-11-21");
        assert_eq!(
            labels(&Axis::new("x", &texts, &frame, false)),
            ["b", "a", "b"]
        );
        let merged = Axis::new("x", &texts, &frame, true);
        assert_eq!(labels(&merged), ["b", "a"]);
        assert_eq!(merged.of_row, [0, 1, 0]);
        let mut uneven = times(&["2026-11-21T03:07", "2026-11-21T03:00", "2026-11-21T09:13"]);
        assert_eq!(
            labels(&Axis::new("timestamp", &uneven, &frame, false)),
            ["03:00", "03:07", "09:13"]
        );
        // What has no time stands behind those that have one.
        uneven.insert(0, Tick::Text("(none)".into()));
        let axis = Axis::new("timestamp", &uneven, &frame, false);
        assert_eq!(labels(&axis)[3], "(none)");
        assert_eq!(axis.of_row, [3, 1, 0, 2]);
    }
}
