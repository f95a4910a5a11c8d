//! Objects that a subscription's events were delivered to, by Firehose or by a program that reads from Kinesis.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use object_store::ObjectMeta;
use object_store::path::Path;

use super::{ExportRequest, Exported, ExportedGroup, LogExporter};
use crate::error::{Error, Result};
use crate::job::{Subscription, SubscriptionContent};
use crate::layout;
use crate::layout::cloudwatch::{LogObject, ObjectFormat};
use crate::layout::subscription::{arrival, may_have_records};
use crate::progress::{Progress, Step};
use crate::store::Store;
use crate::window::Range;

/// The records of an object arrived within this time: Firehose gathers them for 15 minutes at the most.
const GATHERED_WITHIN: Duration = Duration::from_secs(16 * 60);

/// An object is written within this time of its records: Firehose tries for a day.
const DELIVERED_WITHIN: TimeDelta = TimeDelta::hours(25);

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

    /// The objects whose records arrived in a range of time, by key. An error (usage) where no object of the location is
    /// of the subscription at all.
    ///
    /// # Errors
    /// `Source`: the location can't be listed.
    pub async fn objects(&self, arrived: Range) -> Result<Vec<LogObject>> {
        let root = self.store.root();
        let mut found: BTreeMap<Path, ObjectMeta> = BTreeMap::new();
        let begun = begun(arrived);
        for folder in self.settings.prefix.folders(begun) {
            let prefix = match folder.trim_end_matches('/') {
                "" => root.clone(),
                folder => layout::join(root, folder),
            };
            let listed = self.store.list(&prefix).await?;
            let own = listed.into_iter().filter(|object| {
                self.is_own(&object.location) && self.may_have_arrived_in(object, begun)
            });
            found.extend(own.map(|object| (object.location.clone(), object)));
        }
        let mut objects: Vec<LogObject> = Vec::with_capacity(found.len());
        for meta in found.values() {
            let before = objects.last();
            let object = LogObject::in_format(self.format(meta), before, meta, self.log_group());
            objects.push(object);
        }
        if objects.is_empty() {
            self.ensure_any().await?;
        }
        Ok(objects)
    }

    /// Of some objects, those whose records arrived when those of a window do.
    pub fn of_window(&self, objects: &[LogObject], window: Range) -> Vec<LogObject> {
        let (pad, pad_after) = (self.settings.pad, self.settings.pad_after);
        let begun = begun(window.padded(pad, pad_after));
        let is_taken = |object: &&LogObject| self.may_have_arrived_in(&object.meta(), begun);
        objects.iter().filter(is_taken).cloned().collect()
    }

    /// An error (usage) where no object is of the subscription. Only few folders are listed where there is one.
    ///
    /// # Errors
    /// `Source`: the location can't be listed.
    pub async fn ensure_any(&self) -> Result<()> {
        let own = |key: &Path| self.is_own(key);
        let root = self.store.root();
        match self.store.last(root, own).await? {
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
        self.settings.prefix.matches(&relative) && may_have_records(key)
    }

    /// Whether the first record of an object may have arrived in a range of time.
    fn may_have_arrived_in(&self, object: &ObjectMeta, arrived: Range) -> bool {
        if object.size == 0 {
            return false;
        }
        let instant = |ms: i64| DateTime::<Utc>::from_timestamp_millis(ms);
        let (Some(start), Some(end)) = (instant(arrived.start_ms), instant(arrived.end_ms)) else {
            return true;
        };
        match arrival(&object.location, self.settings.prefix.zone()) {
            Some(first) => (start..end).contains(&first),
            // On disk the time of a file shows nothing, since a copy is as new as the copying.
            None if self.store.location().is_local() => true,
            None => object.last_modified >= start && object.last_modified < end + DELIVERED_WITHIN,
        }
    }

    fn format(&self, object: &ObjectMeta) -> ObjectFormat {
        match self.settings.content {
            SubscriptionContent::Records => ObjectFormat::Records,
            SubscriptionContent::Messages { .. } => {
                let arrived = arrival(&object.location, self.settings.prefix.zone());
                ObjectFormat::Messages {
                    arrived_ms: arrived.unwrap_or(object.last_modified).timestamp_millis(),
                }
            }
        }
    }

    fn log_group(&self) -> Option<&str> {
        match &self.settings.content {
            SubscriptionContent::Records => None,
            SubscriptionContent::Messages { log_group } => log_group.as_deref(),
        }
    }
}

/// When the first record of an object may have arrived, which is the time in its key, if others arrived in a range.
fn begun(arrived: Range) -> Range {
    arrived.padded(GATHERED_WITHIN, Duration::ZERO)
}

#[async_trait]
impl LogExporter for SubscriptionSource {
    async fn groups(&self) -> Result<Vec<String>> {
        Ok(self.log_group().map(str::to_owned).into_iter().collect())
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
        let (pad, pad_after) = (self.settings.pad, self.settings.pad_after);
        let arrived = request.window.range().padded(pad, pad_after);
        let objects = self.objects(arrived).await?;
        let group = ExportedGroup {
            log_group: self.log_group().map(str::to_owned),
            task_id: None,
            prefix: self.store.root().clone(),
            reused: true,
            outlives: false,
            as_of: objects.iter().map(|object| object.last_modified).max(),
            notes: Vec::new(),
            objects,
        };
        Ok(Exported {
            groups: vec![group],
            ..Exported::default()
        })
    }
}
