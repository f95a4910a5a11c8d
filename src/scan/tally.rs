//! A window's events by log group and hour, tallied while its objects are read. A later export of the window is compared
//! with them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::ops::AddAssign;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use object_store::path::Path;
use serde::{Deserialize, Serialize};

use crate::error::{Class, Error, Result};
use crate::layout::cloudwatch::{LogObject, stream_of};
use crate::window::Range;

/// The length of an hour in milliseconds.
pub const HOUR_MS: i64 = 3_600_000;

/// No window has more hours: a month has 745 at the most.
const MOST_HOURS: usize = 1000;

/// The events of an hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HourTally {
    /// How many.
    pub events: u64,
    /// The sum of a hash of each event's stream and time. It differs where as many events are other ones.
    pub checksum: u32,
}

impl AddAssign for HourTally {
    fn add_assign(&mut self, other: Self) {
        self.events += other.events;
        self.checksum = self.checksum.wrapping_add(other.checksum);
    }
}

/// The events of each hour of a window, counted from the window's start: in a zone with an offset of half an hour, hours
/// are those of the zone. As text a line of `<events>-<checksum>`, `0` for an hour without events, with `*<n>` behind
/// what comes n times, so that a thousand log groups have room in a receipt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Hours(Vec<HourTally>);

impl Hours {
    /// Those of a window without events.
    pub fn none(window: Range) -> Self {
        let length = window.end_ms.saturating_sub(window.start_ms).max(0);
        let hours = length.unsigned_abs().div_ceil(HOUR_MS.unsigned_abs());
        let hours = usize::try_from(hours).unwrap_or(usize::MAX);
        Self(vec![HourTally::default(); hours.min(MOST_HOURS)])
    }

    /// Each hour in turn.
    pub fn iter(&self) -> impl Iterator<Item = HourTally> {
        self.0.iter().copied()
    }

    /// All events.
    pub fn events(&self) -> u64 {
        self.iter().map(|hour| hour.events).sum()
    }
}

impl AddAssign<&Hours> for Hours {
    fn add_assign(&mut self, other: &Hours) {
        for (own, other) in self.0.iter_mut().zip(&other.0) {
            *own += *other;
        }
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, alike) in self.0.chunk_by(PartialEq::eq).enumerate() {
            let HourTally { events, checksum } = alike[0];
            if index > 0 {
                f.write_str(" ")?;
            }
            match events {
                0 => f.write_str("0")?,
                _ => write!(f, "{events}-{checksum:08x}")?,
            }
            if alike.len() > 1 {
                write!(f, "*{}", alike.len())?;
            }
        }
        Ok(())
    }
}

impl FromStr for Hours {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |part: &str| {
            format!("{part:?} is no hour: expected 0 or <events>-<checksum>, with *<n> behind it")
        };
        let mut hours = Vec::new();
        for part in text.split_whitespace() {
            let (hour, times) = match part.split_once('*') {
                Some((hour, times)) => (hour, times.parse().map_err(|_| wrong(part))?),
                None => (part, 1),
            };
            let (events, checksum) = hour.split_once('-').unwrap_or((hour, "0"));
            let tally = HourTally {
                events: events.parse().map_err(|_| wrong(part))?,
                checksum: u32::from_str_radix(checksum, 16).map_err(|_| wrong(part))?,
            };
            if times > MOST_HOURS - hours.len() {
                return Err(format!("a window has at most {MOST_HOURS} hours"));
            }
            hours.resize(hours.len() + times, tally);
        }
        Ok(Self(hours))
    }
}

impl From<Hours> for String {
    fn from(hours: Hours) -> Self {
        hours.to_string()
    }
}

impl TryFrom<String> for Hours {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Tallies the objects of a table. However many scans read an object, it is tallied once, when it was read to its end.
#[derive(Debug)]
pub struct Tally {
    window: Range,
    progress: Mutex<Progress>,
}

#[derive(Debug)]
struct Progress {
    /// The objects that no scan has read to their end yet, by their identity, and the index of their log group.
    unread: HashMap<u64, usize>,
    groups: Vec<Hours>,
    /// The index of each log group; `None` for objects of an unknown one.
    indices: BTreeMap<Option<String>, usize>,
}

impl Tally {
    /// For the events of `window` in these objects.
    pub(super) fn new(objects: &[LogObject], window: Range) -> Self {
        let mut progress = Progress {
            unread: HashMap::with_capacity(objects.len()),
            groups: Vec::new(),
            indices: BTreeMap::new(),
        };
        for object in objects {
            let log_group = object.log_group.as_deref().map(str::to_owned);
            let index = match progress.indices.get(&log_group) {
                Some(index) => *index,
                None => {
                    let index = progress.groups.len();
                    progress.groups.push(Hours::none(window));
                    progress.indices.insert(log_group, index);
                    index
                }
            };
            let own = object.range.map_or(window, |range| range.intersect(window));
            let id = identity(&object.key(), own);
            progress.unread.insert(id, index);
        }
        Self {
            window,
            progress: Mutex::new(progress),
        }
    }

    /// The tally of an object whose events of `own` are read; `None` where it was read to its end before.
    pub(super) fn of_object(&self, key: &Path, own: Range) -> Option<ObjectTally> {
        let id = identity(key, own);
        let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.unread.contains_key(&id).then(|| {
            let stream = stream_of(key).unwrap_or_default();
            ObjectTally {
                id,
                start_ms: self.window.start_ms,
                stream: hash_of_name(stream.bytes()),
                hours: Hours::none(self.window),
            }
        })
    }

    /// Adds an object that was read to its end.
    pub(super) fn add(&self, object: &ObjectTally) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(group) = progress.unread.remove(&object.id) {
            progress.groups[group] += &object.hours;
        }
    }

    /// Adds what another process has tallied of an object, or of the part of it with the times `own`.
    #[cfg(feature = "cluster")]
    pub(super) fn add_hours(&self, key: &Path, own: Range, hours: &Hours) {
        let id = identity(key, own);
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(group) = progress.unread.remove(&id) {
            progress.groups[group] += hours;
        }
    }

    /// The events of each log group that has objects. An error (a bug) where an object was not read.
    pub fn by_group(&self) -> Result<BTreeMap<Option<String>, Hours>> {
        let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        match progress.unread.len() {
            0 => Ok(progress
                .indices
                .iter()
                .map(|(group, index)| (group.clone(), progress.groups[*index].clone()))
                .collect()),
            unread => Err(Error::new(
                Class::Unexpected,
                format!("{unread} of the window's objects were not read to their end"),
            )),
        }
    }
}

/// The events of an object that is being read.
#[derive(Debug)]
pub(super) struct ObjectTally {
    id: u64,
    start_ms: i64,
    /// A hash of the stream's name, the same in every version.
    stream: u64,
    hours: Hours,
}

impl ObjectTally {
    /// The next events are of this log stream, in an object that has events of several: the names of its log group and its own.
    pub(super) fn begin_stream(&mut self, names: [&str; 2]) {
        let bytes = names.iter().flat_map(|name| name.bytes().chain([0]));
        self.stream = hash_of_name(bytes);
    }

    /// Its events by hour.
    #[cfg(feature = "cluster")]
    pub(super) fn hours(&self) -> &Hours {
        &self.hours
    }

    /// Adds an event of the window.
    #[inline]
    pub(super) fn add(&mut self, timestamp_ms: i64) {
        let hour = timestamp_ms.abs_diff(self.start_ms) / HOUR_MS.unsigned_abs();
        if let Some(tally) = self.hours.0.get_mut(hour as usize) {
            let mixed = (timestamp_ms.cast_unsigned() ^ self.stream).wrapping_mul(MIX);
            let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(MIX);
            *tally += HourTally {
                events: 1,
                checksum: (mixed >> 32) as u32,
            };
        }
    }
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

/// An odd number whose bits are mixed; receipts hold what it makes, so it stays.
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

fn hash_of_name(name: impl Iterator<Item = u8>) -> u64 {
    name.fold(FNV_OFFSET, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME)
    })
}

/// An object, or the part of it with the times `own`, as a number.
fn identity(key: &Path, own: Range) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one((key.as_ref(), own))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(key: &str, group: &str) -> LogObject {
        let meta = object_store::ObjectMeta {
            location: Path::parse(key).unwrap(),
            last_modified: Default::default(),
            size: 1,
            e_tag: None,
            version: None,
        };
        LogObject::new(&meta, Some(group)).unwrap()
    }

    const WINDOW: Range = Range {
        start_ms: 1_800_000,
        end_ms: 1_800_000 + 25 * HOUR_MS,
    };

    fn tallied(key: &str, events: &[i64]) -> Hours {
        let tally = Tally::new(&[object(key, "g")], WINDOW);
        let mut read = tally.of_object(&Path::parse(key).unwrap(), WINDOW).unwrap();
        events.iter().for_each(|at| read.add(*at));
        tally.add(&read);
        tally
            .by_group()
            .unwrap()
            .remove(&Some("g".to_owned()))
            .unwrap()
    }

    #[test]
    fn events_are_counted_by_hour_from_the_windows_start() {
        let last = WINDOW.end_ms - 1;
        let hours = tallied(
            "t/a/0.gz",
            &[WINDOW.start_ms, WINDOW.start_ms + HOUR_MS, last, last],
        );
        let counts: Vec<u64> = hours.iter().map(|hour| hour.events).collect();
        assert_eq!((counts[0], counts[1], counts[24]), (1, 1, 2));
        assert_eq!((counts.len(), hours.events()), (25, 4));
    }

    /// Receipts hold the checksums, so that these are the same in every version.
    #[test]
    fn as_many_other_events_have_another_checksum() {
        let at = WINDOW.start_ms;
        let hour = |key: &str, events: &[i64]| tallied(key, events).to_string();
        let events = hour("t/a/0.gz", &[at + 1, at + 4]);
        assert_eq!(events, hour("other/a/7.gz", &[at + 4, at + 1]));
        assert_ne!(events, hour("t/a/0.gz", &[at + 2, at + 3]));
        assert_ne!(events, hour("t/b/0.gz", &[at + 1, at + 4]));
        assert_eq!(events, "2-d409b887 0*24");
    }

    #[test]
    fn an_object_counts_once_however_often_it_is_read() {
        let halves = WINDOW.without(Range {
            start_ms: WINDOW.start_ms + HOUR_MS,
            end_ms: WINDOW.start_ms + 2 * HOUR_MS,
        });
        let halves: Vec<Range> = halves.collect();
        let objects = halves.iter().map(|range| LogObject {
            range: Some(*range),
            ..object("t/a/0.gz", "g")
        });
        let tally = Tally::new(&objects.collect::<Vec<_>>(), WINDOW);
        let key = Path::parse("t/a/0.gz").unwrap();
        // Two scans read it at the same time.
        let both = [(); 2].map(|()| tally.of_object(&key, halves[0]).unwrap());
        for mut first in both {
            first.add(WINDOW.start_ms);
            tally.add(&first);
        }
        assert!(tally.of_object(&key, halves[0]).is_none());
        let error = tally.by_group().unwrap_err();
        assert!(error.to_string().starts_with("1 of"), "{error}");
        tally.add(&tally.of_object(&key, halves[1]).unwrap());
        let groups = tally.by_group().unwrap();
        assert_eq!(groups[&Some("g".to_owned())].events(), 1);
    }

    #[test]
    fn a_receipt_has_room_for_the_hours() {
        for text in ["", "0*24", "100-0000abcd*6 0*17 3-ffffffff", "7-00000001"] {
            let hours: Hours = text.parse().unwrap();
            assert_eq!(hours.to_string(), text);
            let json = serde_json::to_string(&hours).unwrap();
            assert_eq!(serde_json::from_str::<Hours>(&json).unwrap(), hours);
        }
        for wrong in ["x", "1-xyz", "1*x", "0*1001", "1-00000000*600 0*401", "-1"] {
            assert!(wrong.parse::<Hours>().is_err(), "{wrong}");
        }
    }
}
