//! Objects that a subscription's events were delivered to, by Firehose or by a program that reads from Kinesis.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectMeta;
use object_store::path::Path;

use super::arriving::Delivered;
use super::{ExportRequest, Exported, LogExporter, There};
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

    /// The objects whose records arrived in a range of time, by key, and what was left out of the listing. An error (usage) where no
    /// object of the location is of the subscription at all.
    ///
    /// # Errors
    /// `Source`: the location can't be listed.
    pub async fn objects(&self, arrived: Range) -> Result<Delivered> {
        let delivered = self.delivered(arrived).await?;
        if delivered.objects.is_empty() {
            self.ensure_any().await?;
        }
        Ok(delivered)
    }

    /// The same where nothing need be there.
    ///
    /// # Errors
    /// `Source`: the location can't be listed.
    pub async fn delivered(&self, arrived: Range) -> Result<Delivered> {
        let root = self.store.root();
        let begun = self.begun(arrived);
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

    /// Of some objects, those whose records arrived when those of each window do.
    pub fn of_windows(&self, objects: &[LogObject], windows: &[Range]) -> Vec<Vec<LogObject>> {
        let (pad, pad_after) = self.pads();
        let arrivals: Vec<Vec<Range>> = objects
            .iter()
            .map(|object| self.arrivals(&object.meta()))
            .collect();
        let of_window = |window: &Range| {
            let begun = self.begun(window.padded(pad, pad_after));
            let objects = objects.iter().zip(&arrivals);
            let taken = objects.filter(|(_, arrivals)| meets(arrivals, begun));
            taken.map(|(object, _)| object.clone()).collect()
        };
        windows.iter().map(of_window).collect()
    }

    /// How long before and behind a window its events arrive.
    pub fn pads(&self) -> (Duration, Duration) {
        match self.settings.content {
            SubscriptionContent::Records => (self.settings.pad, self.settings.pad_after),
            // Their time is that of their object, so that the objects of the window are all.
            SubscriptionContent::Messages { .. } => (Duration::ZERO, Duration::ZERO),
        }
    }

    /// An error (usage) where no object is of the subscription. Only few folders are listed where there is one.
    ///
    /// # Errors
    /// `Source`: the location can't be listed.
    pub async fn ensure_any(&self) -> Result<()> {
        let own = |key: &Path| self.is_own(key);
        let root = self.store.root();
        let may_have_own = |folder: &Path| {
            let folder = format!("{}/", layout::relative(root, folder));
            self.settings.prefix.may_be_below(&folder) && may_have_records(&format!("{folder}x"))
        };
        match self.store.last(root, may_have_own, own).await? {
            Some(_) => Ok(()),
            None => Err(Error::usage(format!(
                "{} holds no object whose key begins with {:?}: expected [source] prefix as the configuration of Firehose has it, relative to [source] path, or prefix = \"*\" for objects with other keys",
                self.store.location(),
                self.settings.prefix.as_str()
            ))),
        }
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

    fn log_group(&self) -> Option<&str> {
        match &self.settings.content {
            SubscriptionContent::Records => None,
            SubscriptionContent::Messages { log_group } => log_group.as_deref(),
        }
    }
}

/// Whether one of these ranges has an instant of another.
fn meets(ranges: &[Range], other: Range) -> bool {
    ranges
        .iter()
        .any(|range| !range.intersect(other).is_empty())
}

#[async_trait]
impl LogExporter for SubscriptionSource {
    async fn groups(&self) -> Result<Vec<String>> {
        Ok(self.log_group().map(str::to_owned).into_iter().collect())
    }

    async fn there(&self, window: &Window) -> Result<Option<There>> {
        let (pad, pad_after) = self.pads();
        let arrived = window.range().padded(pad, pad_after);
        let Delivered { objects, .. } = self.delivered(arrived).await?;
        Ok(Some(There::of(&objects)))
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
        let (pad, pad_after) = self.pads();
        let arrived = request.window.range().padded(pad, pad_after);
        let delivered = self.objects(arrived).await?;
        Ok(delivered.in_place(&self.store, self.log_group()))
    }
}
