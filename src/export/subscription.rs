//! Objects that a subscription's events were delivered to, by Firehose or by a program that reads from Kinesis.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectMeta;
use object_store::path::Path;

use super::arriving::{self, Arriving, Delivered, arrival_of};
use super::{ExportRequest, Exported, ExportedGroup, LogExporter, There};
use crate::error::{Error, Result};
use crate::job::{Subscription, SubscriptionContent};
use crate::layout::cloudwatch::{LogObject, ObjectFormat};
use crate::layout::subscription::{arrival, may_have_records};
use crate::layout::{self, Skipped};
use crate::progress::{Progress, Step};
use crate::store::Store;
use crate::window::{Range, Window};

/// The records of an object arrived within this time: Firehose gathers them for 15 minutes at the most.
const GATHERED_WITHIN: Duration = Duration::from_secs(16 * 60);

/// An object is written within this time of its records: Firehose tries for a day.
const DELIVERED_WITHIN: TimeDelta = TimeDelta::hours(25);

/// The first records that arrive within a window may be of events before it: this much of its beginning says nothing.
const MAY_BE_EARLIER: TimeDelta = TimeDelta::minutes(16);

/// The clocks of Firehose and S3 are at most so far apart.
const OF_CLOCKS: TimeDelta = TimeDelta::minutes(5);

/// Two zones are at least and at most so far apart.
const ZONES_APART: [TimeDelta; 2] = [TimeDelta::minutes(30), TimeDelta::hours(26)];

/// Objects are written so long after their first record, or a little later, where nothing holds them up.
const WRITTEN_WITHIN: TimeDelta = TimeDelta::minutes(20);

/// The objects that show that all are written in this way, and the time between the first and the last of them. What was copied at one
/// time is apart from its names by more and more.
const SHOWS: (usize, TimeDelta) = (3, TimeDelta::hours(1));

/// So many objects of a listing show what all do.
const LOOKED_AT: usize = 1000;

/// Folders that are listed at a time.
const AT_ONCE: usize = 16;

/// What the events of a subscription were delivered to.
#[derive(Debug)]
pub struct SubscriptionSource {
    store: Store,
    settings: Subscription,
}

impl SubscriptionSource {
    /// The objects of `store` that `settings` describes.
    pub fn new(store: Store, settings: Subscription) -> Self {
        Self { store, settings }
    }

    fn is_own(&self, key: &Path) -> bool {
        let relative = layout::relative(self.store.root(), key);
        self.settings.prefix.matches(&relative) && may_have_records(&relative)
    }

    /// Whether the first record of an object may have arrived in a range of time.
    fn may_have_arrived_in(&self, object: &ObjectMeta, arrived: Range) -> bool {
        object.size > 0 && meets(&self.arrivals(object), arrived)
    }

    /// When the first record of an object may have arrived: as Firehose's name says it, or the key, or S3's time of the object.
    fn arrivals(&self, object: &ObjectMeta) -> Vec<Range> {
        let prefix = &self.settings.prefix;
        let instant = |at: DateTime<Utc>| Range {
            start_ms: at.timestamp_millis(),
            end_ms: at.timestamp_millis() + 1,
        };
        if let Some((first, last)) = arrival(&object.location, prefix.zone()) {
            return vec![instant(first), instant(last)];
        }
        let key = layout::relative(self.store.root(), &object.location);
        if let Some(range) = prefix.arrival(&key) {
            return vec![range];
        }
        // On disk the time of a file shows nothing, since a copy is as new as the copying.
        if self.store.location().is_local() {
            return vec![Range::ALL];
        }
        let written = object.last_modified;
        vec![Range {
            start_ms: (written - DELIVERED_WITHIN).timestamp_millis(),
            end_ms: written.timestamp_millis() + 1,
        }]
    }

    /// By how much the times in the names of Firehose are apart from those at which S3 wrote the objects, where this shows that they
    /// are read in another zone than that of Firehose.
    fn apart(&self, objects: &[LogObject]) -> Option<Apart> {
        // On disk the time of a file shows nothing.
        if self.store.location().is_local() {
            return None;
        }
        let zone = self.settings.prefix.zone();
        let mut named = Vec::new();
        for object in objects.iter().step_by(objects.len() / LOOKED_AT + 1) {
            let key = object.key();
            if let Some((first, last)) = arrival(&key, zone) {
                let written = object.last_modified;
                named.push((first, written - first, written - last, key));
            }
        }
        let earliest = named.iter().min_by_key(|(_, longest, _, _)| *longest)?;
        if earliest.1 < -OF_CLOCKS {
            let least = earliest.1;
            let key = earliest.3.clone();
            return Some(Apart { least, key });
        }
        let (_, _, least, key) = named.iter().min_by_key(|(_, _, shortest, _)| *shortest)?;
        let most = named.iter().map(|(_, longest, _, _)| *longest).max()?;
        let times = named.iter().map(|(first, ..)| *first);
        let between = times.clone().max()? - times.min()?;
        let [closest, farthest] = ZONES_APART;
        let is_apart = (closest..=farthest).contains(least) && most - *least <= WRITTEN_WITHIN;
        let shows = named.len() >= SHOWS.0 && between >= SHOWS.1;
        (is_apart && shows).then(|| Apart {
            least: *least,
            key: key.clone(),
        })
    }

    fn format(&self, object: &ObjectMeta) -> ObjectFormat {
        match self.settings.content {
            SubscriptionContent::Records => ObjectFormat::Records,
            SubscriptionContent::Messages { .. } => {
                let arrived = arrival(&object.location, self.settings.prefix.zone());
                // In an hour that the clock repeats, an object is not of a time behind its writing.
                let arrived = arrived.map(|(first, last)| match last <= object.last_modified {
                    true => last,
                    false => first,
                });
                let written = object.last_modified.timestamp_millis();
                let arrived_ms = match (arrived, self.arrivals(object).first()) {
                    (Some(arrived), _) => arrived.timestamp_millis(),
                    // Within the time by which windows choose the object: its messages are events of one of them.
                    (None, Some(range)) if !range.is_empty() => {
                        written.clamp(range.start_ms, range.end_ms - 1)
                    }
                    (None, _) => written,
                };
                ObjectFormat::Messages { arrived_ms }
            }
        }
    }

    /// When the first record of an object may have arrived, which is the time in its key, if others arrived in a range.
    fn begun(&self, arrived: Range) -> Range {
        match self.settings.content {
            SubscriptionContent::Records => arrived.padded(GATHERED_WITHIN, Duration::ZERO),
            SubscriptionContent::Messages { .. } => arrived,
        }
    }
}

/// Whether one of these ranges has an instant of another.
fn meets(ranges: &[Range], other: Range) -> bool {
    ranges
        .iter()
        .any(|range| !range.intersect(other).is_empty())
}

/// A difference between the time in the names of all objects and the time at which they were written that no delivery makes.
struct Apart {
    /// The least of the differences, by which the zone of the names is another one.
    least: TimeDelta,
    /// An object.
    key: Path,
}

#[async_trait]
impl Arriving for SubscriptionSource {
    fn store(&self) -> &Store {
        &self.store
    }

    fn log_group(&self) -> Option<&str> {
        match &self.settings.content {
            SubscriptionContent::Records => None,
            SubscriptionContent::Messages { log_group } => log_group.as_deref(),
        }
    }

    fn pads(&self) -> (Duration, Duration) {
        match self.settings.content {
            SubscriptionContent::Records => (self.settings.pad, self.settings.pad_after),
            // Their time is that of their object, so that the objects of the window are all.
            SubscriptionContent::Messages { .. } => (Duration::ZERO, Duration::ZERO),
        }
    }

    async fn arrived(&self, range: Range) -> Result<Delivered> {
        let root = self.store.root();
        let begun = self.begun(range);
        let folders = self.settings.prefix.folders(begun);
        let listed = futures::stream::iter(folders).map(|folder| {
            let prefix = match folder.trim_end_matches('/') {
                "" => root.clone(),
                folder => layout::join(root, folder),
            };
            async move { self.store.list_with_skipped(&prefix).await }
        });
        let listed: Vec<(Vec<ObjectMeta>, Skipped)> =
            listed.buffered(AT_ONCE).try_collect().await?;
        let mut skipped = Skipped::default();
        let mut found: Vec<ObjectMeta> = Vec::new();
        for (objects, other) in listed {
            skipped.merge(other);
            let own = objects.into_iter().filter(|object| {
                self.is_own(&object.location) && self.may_have_arrived_in(object, begun)
            });
            found.extend(own);
        }
        found.sort_by(|a, b| a.location.cmp(&b.location));
        let mut objects: Vec<LogObject> = Vec::with_capacity(found.len());
        for meta in &found {
            let before = objects.last();
            let object = LogObject::in_format(self.format(meta), before, meta, self.log_group());
            objects.push(object);
        }
        let note = skipped.note(&self.store.display(root));
        if let Some(note) = &note {
            tracing::warn!("{note}");
        }
        Ok(Delivered { objects, note })
    }

    fn of_windows(&self, objects: &[LogObject], windows: &[Range]) -> Vec<Vec<LogObject>> {
        let arrivals: Vec<Vec<Range>> = objects
            .iter()
            .map(|object| self.arrivals(&object.meta()))
            .collect();
        let of_window = |window: &Range| {
            let begun = self.begun(arrival_of(self, *window));
            let objects = objects.iter().zip(&arrivals);
            let taken = objects.filter(|(_, arrivals)| meets(arrivals, begun));
            taken.map(|(object, _)| object.clone()).collect()
        };
        windows.iter().map(of_window).collect()
    }

    async fn last(&self) -> Result<Path> {
        let own = |key: &Path| self.is_own(key);
        let root = self.store.root();
        let may_have_own = |folder: &Path| {
            let folder = format!("{}/", layout::relative(root, folder));
            self.settings.prefix.may_be_below(&folder) && may_have_records(&format!("{folder}x"))
        };
        let last = self.store.last(root, may_have_own, own).await?;
        last.ok_or_else(|| {
            Error::usage(format!(
                "{} holds no object whose key begins with {:?}: expected [source] prefix as the configuration of Firehose has it, relative to [source] path, or prefix = \"*\" for objects with other keys",
                self.store.location(),
                self.settings.prefix.as_str()
            ))
        })
    }

    fn is_within(&self, object: &LogObject, window: Range) -> bool {
        // What arrives first may be the last events of the window before.
        let behind_edge = window
            .start_ms
            .saturating_add(MAY_BE_EARLIER.num_milliseconds());
        let arrivals = self.arrivals(&object.meta());
        arrivals.iter().all(|arrival| {
            window.start_ms <= arrival.start_ms
                && arrival.end_ms <= window.end_ms
                && behind_edge < arrival.end_ms
        })
    }

    fn wrong_times(&self, objects: &[LogObject]) -> Option<String> {
        let zone = self.settings.prefix.zone();
        let Apart { least, key } = self.apart(objects)?;
        let (minutes, what) = match least < TimeDelta::zero() {
            true => (-least.num_minutes(), "after"),
            false => (least.num_minutes(), "before"),
        };
        Some(format!(
            "{}: the times in the names of objects, read in {zone}, are {}:{:02} hours {what} S3 wrote them, such as of {}: expected prefix_timezone to be the time zone of Firehose, since events of a window are missed otherwise",
            self.store.location(),
            minutes / 60,
            minutes % 60,
            self.store.display(&key)
        ))
    }

    fn settings_of_time(&self) -> String {
        format!(
            "[source] prefix and prefix_timezone as the configuration of Firehose has them, and these are {:?} and {}",
            self.settings.prefix.as_str(),
            self.settings.prefix.zone()
        )
    }
}

#[async_trait]
impl LogExporter for SubscriptionSource {
    async fn groups(&self) -> Result<Vec<String>> {
        Ok(self.log_group().map(str::to_owned).into_iter().collect())
    }

    async fn there(&self, window: &Window) -> Result<Option<There>> {
        arriving::there(self, window).await.map(Some)
    }

    async fn check_without_events(
        &self,
        request: &ExportRequest<'_>,
        group: &ExportedGroup,
    ) -> Result<Option<String>> {
        Ok(arriving::without_events(
            self,
            request.window,
            &group.objects,
        ))
    }

    async fn export(
        &self,
        request: &ExportRequest<'_>,
        progress: &dyn Progress,
    ) -> Result<Exported> {
        progress.report(Step::Exporting {
            group: "the subscription",
            number: 1,
            of: 1,
            state: "listing objects",
        });
        arriving::exported(self, request.window).await
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;
    use object_store::memory::InMemory;
    use std::sync::Arc;

    use super::*;
    use crate::aws::{Account, Aws};
    use crate::job::{AwsSettings, KeyPattern, Location};
    use crate::store::Stores;

    const UUID: &str = "5e3f2a7c-1d4b-4c8e-9f0a-2b6d8c1e7f43";

    async fn source(zone: Tz) -> SubscriptionSource {
        let stores = Stores::new(Arc::new(Aws::new(AwsSettings::default()))).unwrap();
        let stores = stores
            .with_objects("acme", Arc::new(InMemory::new()))
            .unwrap();
        let path = Location::parse("s3://acme", std::path::Path::new("/")).unwrap();
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        SubscriptionSource::new(
            stores.open(&path, Account::LOGS).await.unwrap(),
            Subscription {
                path,
                prefix: KeyPattern::parse(None, zone).unwrap(),
                content: SubscriptionContent::Records,
                pad: hours(2),
                pad_after: hours(12),
            },
        )
    }

    /// Objects that were named at these times of a day, each written so many minutes later.
    fn objects(named: &[(&str, i64)]) -> Vec<LogObject> {
        let object = |(time, later): &(&str, i64)| {
            let at = format!("2026-11-21T{time}:00Z");
            let at = at.parse::<DateTime<Utc>>().unwrap();
            let name = format!("s-1-2026-11-21-{}-00-{UUID}", time.replace(':', "-"));
            let meta = ObjectMeta {
                location: Path::from(format!("2026/11/21/{}/{name}", &time[..2])),
                last_modified: at + TimeDelta::minutes(*later),
                size: 1,
                e_tag: None,
                version: None,
            };
            LogObject::in_format(ObjectFormat::Records, None, &meta, None)
        };
        named.iter().map(object).collect()
    }

    #[tokio::test]
    async fn a_zone_that_is_another_one_than_that_of_the_names_is_noted() {
        let utc = source(Tz::UTC).await;
        let wrong = |named: &[(&str, i64)]| utc.wrong_times(&objects(named));
        // As Firehose writes them, and after an hour in which it could not.
        assert_eq!(wrong(&[("05:00", 5), ("06:00", 1), ("07:00", 15)]), None);
        assert_eq!(wrong(&[("05:00", 65), ("06:00", 5), ("07:00", 5)]), None);
        // Copies of a day, which were written at one time.
        assert_eq!(
            wrong(&[("05:00", 300), ("06:00", 240), ("07:00", 180)]),
            None
        );
        // A single object shows nothing.
        assert_eq!(wrong(&[("05:00", 545)]), None);
        let later = wrong(&[("05:00", 545), ("06:00", 541), ("07:00", 555)]).unwrap();
        assert!(later.contains("9:01 hours before S3 wrote them"), "{later}");
        // No object is written before its first record arrives.
        let earlier = wrong(&[("15:00", -535), ("16:00", 5)]).unwrap();
        assert!(
            earlier.contains("8:55 hours after S3 wrote them"),
            "{earlier}"
        );
        assert!(earlier.contains("read in UTC"), "{earlier}");
    }

    #[tokio::test]
    async fn an_object_is_within_a_window_where_its_events_are_expected_in_it() {
        let utc = source(Tz::UTC).await;
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap().timestamp_millis();
        let window = Range {
            start_ms: at("2026-11-21T05:00:00Z"),
            end_ms: at("2026-11-21T06:00:00Z"),
        };
        for (time, expected) in [
            ("04:59", false),
            ("05:10", false),
            ("05:30", true),
            ("05:59", true),
            ("06:00", false),
        ] {
            let object = &objects(&[(time, 5)])[0];
            assert_eq!(utc.is_within(object, window), expected, "{time}");
        }
    }
}
