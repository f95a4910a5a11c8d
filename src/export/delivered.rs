//! Objects that CloudWatch Logs delivered vended logs to.
//!
//! Which folders a delivery writes to is free, so they are walked from the location on, and those are left out whose names are a time
//! that is not wanted: `2026/11/`, `year=2026/month=11/day=21/`, down to the hour.

use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectMeta;
use object_store::path::Path;

use super::arriving::{self, Arriving, Delivered, arrival_of};
use super::{ExportRequest, Exported, ExportedGroup, LogExporter, There};
use crate::error::{Error, Result};
use crate::job::DeliveredLogs;
use crate::layout::cloudwatch::{LogObject, ObjectFormat};
use crate::layout::delivered::{is_parquet, may_have_events, time_of_folders, time_of_key};
use crate::layout::{self, Skipped};
use crate::progress::{Progress, Step};
use crate::store::Store;
use crate::window::{Range, Window};

/// The events of an object begin within this time before that in its key: objects are written every five minutes, and their names
/// have the hour.
const GATHERED_WITHIN: Duration = Duration::from_secs(3600);

/// An object is written within this time of its events: deliveries are tried again for a day.
const DELIVERED_WITHIN: TimeDelta = TimeDelta::hours(25);

/// A folder of a day, or of more, may be that of the beginning of a log stream, whose events are at most a day later.
const OF_STREAM_WITHIN: Duration = Duration::from_secs(24 * 3600);

/// Folders that are listed at a time.
const AT_ONCE: usize = 16;

/// Where vended logs are delivered to.
#[derive(Debug)]
pub struct DeliveredSource {
    store: Store,
    settings: DeliveredLogs,
}

/// What was found in some folders.
#[derive(Default)]
struct Found {
    objects: Vec<ObjectMeta>,
    folders: Vec<Path>,
    skipped: Skipped,
}

impl DeliveredSource {
    /// The objects of `store` that `settings` describes.
    pub fn new(store: Store, settings: DeliveredLogs) -> Self {
        Self { store, settings }
    }

    /// Walks the folders that may have objects of a range of time.
    async fn found(&self, begun: Range) -> Result<Found> {
        let root = self.store.root().clone();
        // Files of this machine are listed faster than folders are looked at.
        if self.store.location().is_local() || begun == Range::ALL {
            return self.below(root).await;
        }
        let mut all = Found::default();
        let mut level = vec![root];
        while !level.is_empty() {
            let listed = futures::stream::iter(level).map(|folder| self.listed(folder, begun));
            let listed: Vec<Found> = listed.buffered(AT_ONCE).try_collect().await?;
            level = Vec::new();
            for found in listed {
                all.objects.extend(found.objects);
                all.skipped.merge(found.skipped);
                let folders = found.folders.into_iter();
                level.extend(folders.filter(|folder| self.may_have(folder, begun)));
            }
        }
        Ok(all)
    }

    /// All that is in a folder whose time is wanted to its end, and of others what is in them, and the folders.
    async fn listed(&self, folder: Path, begun: Range) -> Result<Found> {
        let is_wanted =
            |time: Range| begun.start_ms <= time.start_ms && time.end_ms <= begun.end_ms;
        let time = time_of_folders(&self.relative(&folder));
        if time.is_some_and(|time| time.is_hour || is_wanted(time.range)) {
            return self.below(folder).await;
        }
        let (listed, skipped) = self.store.level(&folder).await?;
        Ok(Found {
            objects: listed.objects,
            folders: listed.common_prefixes,
            skipped,
        })
    }

    async fn below(&self, folder: Path) -> Result<Found> {
        let (objects, skipped) = self.store.list_with_skipped(&folder).await?;
        Ok(Found {
            objects,
            folders: Vec::new(),
            skipped,
        })
    }

    /// Whether a folder may have objects of a range of time.
    fn may_have(&self, folder: &Path, begun: Range) -> bool {
        let Some(time) = time_of_folders(&self.relative(folder)) else {
            return true;
        };
        let later = match time.is_hour {
            true => Duration::ZERO,
            false => OF_STREAM_WITHIN,
        };
        let range = time.range.padded(Duration::ZERO, later);
        !range.intersect(begun).is_empty()
    }

    /// The folder from the location on, with a slash at its end.
    fn relative(&self, folder: &Path) -> String {
        format!("{}/", layout::relative(self.store.root(), folder))
    }

    fn is_own(&self, key: &Path) -> bool {
        may_have_events(key.as_ref())
    }

    /// Whether an object may have events of a range of time.
    fn may_be_of(&self, object: &ObjectMeta, begun: Range) -> bool {
        object.size > 0 && !self.time_of(object).intersect(begun).is_empty()
    }

    /// When the events of an object may be: as its key says it, or S3's time of the object.
    fn time_of(&self, object: &ObjectMeta) -> Range {
        let key = layout::relative(self.store.root(), &object.location);
        if let Some(range) = time_of_key(&key) {
            return range;
        }
        // On disk the time of a file shows nothing, since a copy is as new as the copying.
        if self.store.location().is_local() {
            return Range::ALL;
        }
        Range {
            start_ms: (object.last_modified - DELIVERED_WITHIN).timestamp_millis(),
            end_ms: object.last_modified.timestamp_millis() + 1,
        }
    }
}

/// An object of a listing as one of delivered logs.
pub fn object(before: Option<&LogObject>, meta: &ObjectMeta, log_group: Option<&str>) -> LogObject {
    let format = match is_parquet(meta.location.as_ref()) {
        true => ObjectFormat::DeliveredRows,
        false => ObjectFormat::Delivered,
    };
    LogObject::in_format(format, before, meta, log_group)
}

#[async_trait]
impl Arriving for DeliveredSource {
    fn store(&self) -> &Store {
        &self.store
    }

    fn log_group(&self) -> Option<&str> {
        self.settings.shape.log_group.as_deref()
    }

    fn pads(&self) -> (Duration, Duration) {
        (self.settings.pad, self.settings.pad_after)
    }

    async fn arrived(&self, range: Range) -> Result<Delivered> {
        let begun = range.padded(GATHERED_WITHIN, Duration::ZERO);
        let Found {
            mut objects,
            skipped,
            ..
        } = self.found(begun).await?;
        objects.retain(|object| self.is_own(&object.location) && self.may_be_of(object, begun));
        objects.sort_by(|a, b| a.location.cmp(&b.location));
        let mut listed: Vec<LogObject> = Vec::with_capacity(objects.len());
        for meta in &objects {
            let object = object(listed.last(), meta, self.log_group());
            listed.push(object);
        }
        let note = skipped.note(&self.store.display(self.store.root()));
        if let Some(note) = &note {
            tracing::warn!("{note}");
        }
        Ok(Delivered {
            objects: listed,
            note,
        })
    }

    fn of_windows(&self, objects: &[LogObject], windows: &[Range]) -> Vec<Vec<LogObject>> {
        let times: Vec<Range> = objects
            .iter()
            .map(|object| self.time_of(&object.meta()))
            .collect();
        let of_window = |window: &Range| {
            let begun = arrival_of(self, *window).padded(GATHERED_WITHIN, Duration::ZERO);
            let objects = objects.iter().zip(&times);
            let taken = objects.filter(|(_, time)| !time.intersect(begun).is_empty());
            taken.map(|(object, _)| object.clone()).collect()
        };
        windows.iter().map(of_window).collect()
    }

    async fn last(&self) -> Result<Path> {
        let root = self.store.root();
        let own = |key: &Path| self.is_own(key);
        let last = self.store.last(root, |_| true, own).await?;
        last.ok_or_else(|| {
            Error::usage(format!(
                "{} holds no object: expected in [source] path the location that logs are delivered to, such as s3://bucket/AWSLogs/123456789012/CloudFront",
                self.store.location()
            ))
        })
    }

    fn is_within(&self, object: &LogObject, window: Range) -> bool {
        let time = self.time_of(&object.meta());
        window.start_ms <= time.start_ms && time.end_ms <= window.end_ms
    }

    fn settings_of_time(&self) -> String {
        let member = match &self.settings.shape.time {
            Some(name) => format!("time to name the time of an event ({name:?})"),
            None => "time to name the time of an event".to_owned(),
        };
        format!(
            "[source] path to end in front of the folders with the times of events, pad and pad_after to be as long as times in keys are apart from UTC, and {member}"
        )
    }
}

#[async_trait]
impl LogExporter for DeliveredSource {
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
            group: "the delivered logs",
            number: 1,
            of: 1,
            state: "listing objects",
        });
        arriving::exported(self, request.window).await
    }
}
