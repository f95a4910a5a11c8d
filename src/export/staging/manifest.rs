//! The list of what a complete attempt wrote.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use object_store::ObjectMeta;
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use super::add_later;
use crate::aws::logs::Origin;
use crate::error::{Class, Error, Result};
use crate::layout;
use crate::layout::cloudwatch::LogObject;
use crate::store::{Body, Condition, Store};
use crate::window::{Range, Window};

/// What a complete attempt wrote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The log group.
    pub log_group: String,
    /// Only the streams whose name begins with this prefix were requested.
    pub log_stream_prefix: Option<String>,
    /// The window's id.
    pub window: String,
    /// The window's own interval.
    pub window_range: Range,
    /// The requested times, with the padding.
    pub range: Range,
    /// The times that the export task was asked for, both ends included, if one wrote the objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_range: Option<Range>,
    /// The account and Region of the log group, if they were known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The export task.
    pub task_id: String,
    /// When the export was requested: later events may be missing.
    pub as_of: DateTime<Utc>,
    /// A note for the receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Notes on events that were added from earlier exports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<String>,
    /// The objects, in the order of their keys.
    pub objects: Vec<ManifestObject>,
}

/// An object of an attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ManifestObject {
    /// The key, relative to the attempt.
    pub key: String,
    /// The compressed size.
    pub bytes: u64,
    /// The ETag.
    pub etag: Option<String>,
    /// When it was put.
    pub last_modified: DateTime<Utc>,
    /// The times of its events that belong to the attempt, where not all of them do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Range>,
}

/// The manifest at `key`; `None` where there is none.
pub(super) async fn read(store: &Store, key: &Path) -> Result<Option<Manifest>> {
    let Some(json) = store.get(key).await? else {
        return Ok(None);
    };
    parse(store, key, &json).map(Some)
}

pub(super) fn parse(store: &Store, key: &Path, json: &[u8]) -> Result<Manifest> {
    serde_json::from_slice(json).map_err(|error| {
        Error::damaged(format!(
            "{} is no manifest of an export",
            store.display(key)
        ))
        .caused_by(error)
    })
}

impl Manifest {
    /// The manifest of an attempt at all streams of a log group, before its objects are known.
    pub fn new(
        log_group: &str,
        window: &Window,
        range: Range,
        task_id: &str,
        as_of: DateTime<Utc>,
    ) -> Self {
        Self {
            log_group: log_group.to_owned(),
            log_stream_prefix: None,
            window: window.id(),
            window_range: window.range(),
            range,
            task_range: None,
            origin: None,
            task_id: task_id.to_owned(),
            as_of,
            note: None,
            kept: Vec::new(),
            objects: Vec::new(),
        }
    }

    /// All notes for the receipt.
    pub(super) fn notes(&self) -> Vec<String> {
        self.note.iter().chain(&self.kept).cloned().collect()
    }

    /// Lists these objects of the attempt.
    pub(super) fn list(&mut self, attempt: &Path, objects: &[LogObject]) {
        let listed = objects.iter().map(|object| ManifestObject {
            key: layout::relative(attempt, &object.key()),
            bytes: object.size,
            etag: object.e_tag.as_deref().map(str::to_owned),
            last_modified: object.last_modified,
            range: object.range,
        });
        self.objects = listed.collect();
    }

    /// The objects as a listing sorted by key has them, with its ETags and times, which are others where the staging
    /// location was copied, and what the task wrote after the manifest; `None` where one is missing or has another size.
    pub(super) fn listed_objects(
        &self,
        attempt: &Path,
        listed: &[ObjectMeta],
    ) -> Option<Vec<LogObject>> {
        let there = self.objects.iter().map(|object| {
            let key = layout::join(attempt, &object.key);
            let at = listed
                .binary_search_by(|meta| meta.location.cmp(&key))
                .ok()?;
            let meta = listed.get(at).filter(|meta| meta.size == object.bytes)?;
            let listed = LogObject::new(meta, Some(&self.log_group))?;
            Some(LogObject {
                range: object.range,
                ..listed
            })
        });
        let mut objects = there.collect::<Option<Vec<LogObject>>>()?;
        add_later(
            &mut objects,
            &self.log_group,
            attempt,
            &self.task_id,
            listed,
        );
        self.describe(&mut objects);
        Some(objects)
    }

    /// Notes in the objects where their log group is, and in those of the export task which times their events can have.
    pub(super) fn describe(&self, objects: &mut [LogObject]) {
        let origin = self.origin.clone().map(Arc::new);
        for object in objects.iter_mut() {
            object.origin.clone_from(&origin);
        }
        let Some(Range { start_ms, end_ms }) = self.task_range else {
            return;
        };
        let requested = Arc::new(Range {
            start_ms,
            end_ms: end_ms.saturating_add(1),
        });
        for object in objects {
            if !layout::is_written_here(&object.key()) {
                object.requested = Some(Arc::clone(&requested));
            }
        }
    }
}

/// Writes the manifest of an attempt.
pub(super) async fn write(
    store: &Store,
    attempt: &Path,
    manifest: &Manifest,
    condition: &Condition,
) -> Result<()> {
    let json = serde_json::to_vec_pretty(manifest).map_err(|error| {
        let what = format!("can't write the manifest of {}", store.display(attempt));
        Error::new(Class::Unexpected, what).caused_by(error)
    })?;
    let (key, body) = (layout::manifest(attempt), Body::Bytes(Bytes::from(json)));
    store
        .put_if(&key, body, "application/json", condition)
        .await?;
    Ok(())
}
