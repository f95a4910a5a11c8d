//! The first and the last event of each object, by which the exports of one stream are compared: which of them meet, and
//! which overlap. Of an export of several windows, they show which windows an object has events of.
//!
//! CloudWatch's `to` is inclusive. So a script that exports each day from midnight to midnight has the events of midnight
//! in two exports.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};

use crate::layout;
use crate::layout::cloudwatch::{LogObject, is_lambda_stream};
use crate::numbers::counted;
use crate::window::Range;

/// The first and the last instant of an object's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edges {
    first_ms: i64,
    last_ms: i64,
}

impl Edges {
    /// Of no event.
    pub(super) const NONE: Self = Self {
        first_ms: i64::MAX,
        last_ms: i64::MIN,
    };

    /// Adds an event.
    #[inline]
    pub(super) fn add(&mut self, timestamp_ms: i64) {
        self.first_ms = self.first_ms.min(timestamp_ms);
        self.last_ms = self.last_ms.max(timestamp_ms);
    }

    fn merge(&mut self, other: Self) {
        self.first_ms = self.first_ms.min(other.first_ms);
        self.last_ms = self.last_ms.max(other.last_ms);
    }
}

/// The edges of a table's objects, as far as they were read.
#[derive(Debug, Clone, Default)]
pub struct EdgeLog(Arc<Mutex<Vec<Option<Edges>>>>);

impl EdgeLog {
    /// Notes an object that was read to its end.
    pub(super) fn add(&self, number: usize, edges: Edges) {
        let mut log = self.lock();
        if log.len() <= number {
            log.resize(number + 1, None);
        }
        log[number] = Some(edges);
    }

    /// The times of the events of each object that was read, from the first one to behind the last. Empty where it has none.
    pub(super) fn times(&self) -> Vec<Option<Range>> {
        let times = |edges: Edges| match edges == Edges::NONE {
            true => Range {
                start_ms: 0,
                end_ms: 0,
            },
            false => Range {
                start_ms: edges.first_ms,
                end_ms: edges.last_ms.saturating_add(1),
            },
        };
        self.lock().iter().map(|edges| edges.map(times)).collect()
    }

    /// A note where exports of one stream have times of `window` in common, as far as the objects were read.
    pub fn note(&self, objects: &[LogObject], window: Range) -> Option<String> {
        note_on(&common_times(objects, &self.lock(), window))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Option<Edges>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the objects are of several export tasks of other programs, so that these may have events in common.
pub(super) fn may_meet(objects: &[LogObject]) -> bool {
    let mut tasks = objects
        .iter()
        .filter(|object| !layout::is_in_attempt(&object.key()))
        .filter_map(|object| object.parts_of_task());
    let Some((prefix, task, _)) = tasks.next() else {
        return false;
    };
    tasks.any(|(other_prefix, other, _)| (other_prefix, other) != (prefix, task))
}

/// Times that two exports of a stream have in common.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Common<'a> {
    stream: &'a str,
    first_ms: i64,
    last_ms: i64,
}

/// Where the exports are, but for the dates in the names of folders, and the stream.
type Series<'a> = (String, &'a str);

fn common_times<'a>(
    objects: &'a [LogObject],
    edges: &[Option<Edges>],
    window: Range,
) -> Vec<Common<'a>> {
    let mut exports: HashMap<Series<'a>, HashMap<(&'a str, &'a str), Option<Edges>>> =
        HashMap::new();
    for (number, object) in objects.iter().enumerate() {
        let Some((prefix, task, name)) = object.parts_of_task() else {
            continue;
        };
        if layout::is_in_attempt(&object.key()) {
            continue;
        }
        let stream = name.split('/').next().unwrap_or_default();
        let place = match is_lambda_stream(stream) {
            true => String::new(),
            false => without_dates(prefix),
        };
        let export = exports
            .entry((place, stream))
            .or_default()
            .entry((prefix, task))
            .or_insert(Some(Edges::NONE));
        // Of an export that was read in part, the edges are not known.
        *export = match (*export, edges.get(number).copied().flatten()) {
            (Some(mut known), Some(read)) => {
                known.merge(read);
                Some(known)
            }
            _ => None,
        };
    }
    let mut common = Vec::new();
    for ((place, stream), exports) in exports {
        let known = exports
            .into_iter()
            .filter_map(|((prefix, _), edges)| Some((edges?, prefix)))
            .filter(|(edges, _)| *edges != Edges::NONE);
        let mut known: Vec<(Edges, &str)> = known.collect();
        known.sort_unstable_by_key(|(edges, prefix)| (edges.first_ms, edges.last_ms, *prefix));
        let mut before: Option<(i64, &str)> = None;
        for (edges, prefix) in known {
            if let Some((end_ms, other)) = before.filter(|(end_ms, _)| edges.first_ms <= *end_ms) {
                let (first_ms, last_ms) = (edges.first_ms, edges.last_ms.min(end_ms));
                // Streams of one name below one prefix, and Lambda's, are told of before anything is read.
                let is_news = first_ms == last_ms || (prefix != other && !place.is_empty());
                if is_news && window.start_ms <= last_ms && first_ms < window.end_ms {
                    common.push(Common {
                        stream,
                        first_ms,
                        last_ms,
                    });
                }
            }
            if before.is_none_or(|(end_ms, _)| end_ms < edges.last_ms) {
                before = Some((edges.last_ms, prefix));
            }
        }
    }
    common.sort_unstable();
    common
}

/// A prefix with `#` for each folder that is named by a date or a part of one: `2024`, `02`, `2024-02-13`, `dt=20240213`.
/// Other digits, as in the number of an account, tell exports apart.
fn without_dates(prefix: &str) -> String {
    let folders = prefix.split('/').map(|folder| {
        let (key, value) = folder.rsplit_once('=').unwrap_or(("", folder));
        let digits = value.bytes().filter(u8::is_ascii_digit).count();
        let is_date = (1..=10).contains(&digits)
            && value
                .bytes()
                .all(|byte| byte.is_ascii_digit() || b"-_.T".contains(&byte));
        match is_date {
            true => format!("{key}=#"),
            false => folder.to_owned(),
        }
    });
    folders.collect::<Vec<_>>().join("/")
}

fn note_on(common: &[Common<'_>]) -> Option<String> {
    let (instants, spans): (Vec<_>, Vec<_>) = common
        .iter()
        .partition(|common| common.first_ms == common.last_ms);
    let streams = |common: &[&Common<'_>]| {
        let streams: BTreeSet<&str> = common.iter().map(|common| common.stream).collect();
        counted(streams.len() as u64, "stream")
    };
    let mut notes = Vec::new();
    if let Some(first) = instants.iter().map(|common| common.first_ms).min() {
        let others = instants.iter().map(|common| common.first_ms);
        let others = others.collect::<BTreeSet<i64>>().len() - 1;
        let others = match others {
            0 => String::new(),
            others => format!(" and {}", counted(others as u64, "other instant")),
        };
        notes.push(format!(
            "exports of {} meet at {}{others}: the end of an export is inclusive, so events of that instant are in both, and count twice",
            streams(&instants),
            utc(first)
        ));
    }
    let from = spans.iter().map(|common| common.first_ms).min();
    let to = spans.iter().map(|common| common.last_ms).max();
    if let (Some(from), Some(to)) = (from, to) {
        notes.push(format!(
            "exports of {} overlap between {} and {}: if they are of one log group, events in both count several times",
            streams(&spans),
            utc(from),
            utc(to)
        ));
    }
    match notes.is_empty() {
        true => None,
        false => Some(notes.join("; ")),
    }
}

fn utc(ms: i64) -> String {
    let at = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::path::Path;

    fn object(key: &str) -> LogObject {
        let meta = object_store::ObjectMeta {
            location: Path::parse(key).unwrap(),
            last_modified: Default::default(),
            size: 1,
            e_tag: None,
            version: None,
        };
        LogObject::new(&meta, None).unwrap()
    }

    const ONE: &str = "e37ac5c7-5d9a-4b1c-8f6e-0c1b8a2d4f60";
    const TWO: &str = "00000000-5d9a-4b1c-8f6e-0c1b8a2d4f60";

    /// The note on exports with these keys and edges.
    fn note(exports: &[(&str, Option<(i64, i64)>)], window: Range) -> Option<String> {
        let objects: Vec<LogObject> = exports.iter().map(|(key, _)| object(key)).collect();
        assert!(may_meet(&objects));
        let log = EdgeLog::default();
        for (number, (_, edges)) in exports.iter().enumerate() {
            if let Some((first_ms, last_ms)) = *edges {
                log.add(number, Edges { first_ms, last_ms });
            }
        }
        log.note(&objects, window)
    }

    #[test]
    fn exports_that_meet_at_an_instant_are_told() {
        let day = |day: u32, task: &str| format!("e/2024/02/{day}/{task}/web/000000.gz");
        let (first, second) = (day(13, ONE), day(14, TWO));
        let met = note(
            &[(&first, Some((0, 1000))), (&second, Some((1000, 2000)))],
            Range::ALL,
        );
        let met = met.unwrap();
        assert!(
            met.starts_with("exports of 1 stream meet at 1970-01-01T00:00:01.000Z: the end of an export is inclusive"),
            "{met}"
        );
        let without = |first_edges, second_edges, window| {
            note(&[(&first, first_edges), (&second, second_edges)], window)
        };
        assert_eq!(
            without(Some((0, 999)), Some((1000, 2000)), Range::ALL),
            None
        );
        // Not read to its end, or outside the window.
        assert_eq!(without(None, Some((1000, 2000)), Range::ALL), None);
        let later = Range {
            start_ms: 1001,
            end_ms: 5000,
        };
        assert_eq!(without(Some((0, 1000)), Some((1000, 2000)), later), None);
        let overlap = without(Some((0, 1500)), Some((1000, 2000)), later).unwrap();
        assert!(
            overlap.starts_with("exports of 1 stream overlap between 1970-01-01T00:00:01.000Z and 1970-01-01T00:00:01.500Z"),
            "{overlap}"
        );
    }

    #[test]
    fn streams_of_different_exports_are_not_compared() {
        let edges = Some((0, 1000));
        let accounts = ["111111111111", "222222222222"]
            .map(|account| format!("e/{account}/{ONE}/web/000000.gz"));
        let groups = ["app1", "app2"].map(|group| format!("e/{group}/{ONE}/web/000000.gz"));
        for [one, other] in [accounts, groups] {
            assert_eq!(note(&[(&one, edges), (&other, edges)], Range::ALL), None);
        }
        let lambda = "2024-02-13-[$LATEST]0067aa0067aa0067aa0067aa0067aa00";
        let [one, other] =
            ["app1", "app2"].map(|group| format!("e/{group}/{ONE}/{lambda}/000000.gz"));
        let later = Some((1000, 2000));
        assert!(note(&[(&one, edges), (&other, later)], Range::ALL).is_some());
        // That these are in several exports is said already.
        assert_eq!(note(&[(&one, edges), (&other, edges)], Range::ALL), None);
    }

    #[test]
    fn dates_in_the_names_of_folders_are_found() {
        for (prefix, expected) in [
            ("e/2024/02/13/", "e/=#/=#/=#/"),
            ("e/dt=2024-02-13/", "e/dt=#/"),
            ("e/20240213/v2/", "e/=#/v2/"),
            ("e/123456789012/", "e/123456789012/"),
        ] {
            assert_eq!(without_dates(prefix), expected);
        }
    }
}
