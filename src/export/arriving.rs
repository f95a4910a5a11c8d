//! Sources whose objects other programs write at any time: which of them are of a range of time.

use std::time::Duration;

use async_trait::async_trait;

use super::delivered::DeliveredSource;
use super::subscription::SubscriptionSource;
use super::{Exported, ExportedGroup, LogExporter};
use crate::error::Result;
use crate::job::Source;
use crate::layout::cloudwatch::LogObject;
use crate::store::Store;
use crate::window::Range;

/// Objects of a subscription, or of delivered logs.
#[derive(Debug)]
pub struct Delivered {
    /// By key.
    pub objects: Vec<LogObject>,
    /// A note on keys that can't be read.
    pub note: Option<String>,
}

impl Delivered {
    /// The objects as the export of a window that is read where it is.
    pub fn in_place(self, store: &Store, log_group: Option<&str>) -> Exported {
        let Self { objects, note } = self;
        let group = ExportedGroup {
            log_group: log_group.map(str::to_owned),
            task_id: None,
            prefix: store.root().clone(),
            reused: true,
            outlives: false,
            as_of: objects.iter().map(|object| object.last_modified).max(),
            notes: note.into_iter().collect(),
            stretch: None,
            objects,
        };
        Exported {
            groups: vec![group],
            ..Exported::default()
        }
    }
}

/// A source whose objects arrive one after the other.
#[async_trait]
pub trait Arriving: LogExporter {
    /// How long before and behind a window its events arrive.
    fn pads(&self) -> (Duration, Duration);

    /// The objects that arrived in a range of time, of which there may be none.
    async fn arrived(&self, range: Range) -> Result<Delivered>;

    /// Of some objects, those that are read for each window.
    fn of_windows(&self, objects: &[LogObject], windows: &[Range]) -> Vec<Vec<LogObject>>;

    /// An error (usage) where the location has no object of the source at all.
    async fn ensure_any(&self) -> Result<()>;
}

/// The source of a job, where it is one whose objects arrive.
pub fn arriving(source: &Source, store: &Store) -> Option<Box<dyn Arriving>> {
    match source {
        Source::Subscription(settings) => Some(Box::new(SubscriptionSource::new(
            store.clone(),
            settings.clone(),
        ))),
        Source::Delivered(settings) => Some(Box::new(DeliveredSource::new(
            store.clone(),
            settings.clone(),
        ))),
        Source::CloudWatch(_) | Source::Directory { .. } | Source::Exported { .. } => None,
    }
}

#[async_trait]
impl Arriving for SubscriptionSource {
    fn pads(&self) -> (Duration, Duration) {
        Self::pads(self)
    }

    async fn arrived(&self, range: Range) -> Result<Delivered> {
        self.delivered(range).await
    }

    fn of_windows(&self, objects: &[LogObject], windows: &[Range]) -> Vec<Vec<LogObject>> {
        Self::of_windows(self, objects, windows)
    }

    async fn ensure_any(&self) -> Result<()> {
        Self::ensure_any(self).await
    }
}

#[async_trait]
impl Arriving for DeliveredSource {
    fn pads(&self) -> (Duration, Duration) {
        Self::pads(self)
    }

    async fn arrived(&self, range: Range) -> Result<Delivered> {
        self.delivered(range).await
    }

    fn of_windows(&self, objects: &[LogObject], windows: &[Range]) -> Vec<Vec<LogObject>> {
        Self::of_windows(self, objects, windows)
    }

    async fn ensure_any(&self) -> Result<()> {
        Self::ensure_any(self).await
    }
}
