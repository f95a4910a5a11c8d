//! Attempts at exporting a log group, and the manifest that says which of them are whole.
//!
//! Each attempt writes below a prefix of its own. Its manifest is written when the export is complete, so objects
//! without one are never read.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use object_store::ObjectMeta;
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use super::{ExportRequest, ExportedGroup};
use crate::error::{Class, Error, Result};
use crate::layout;
use crate::scan::{self, LogObject};
use crate::store::{Body, Condition, Store};
use crate::window::{Range, Window};

/// What a complete attempt wrote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The log group.
    pub log_group: String,
    /// Only streams whose name begins so were asked for.
    pub log_stream_prefix: Option<String>,
    /// The window's id.
    pub window: String,
    /// What was asked for, the padding included.
    pub range: Range,
    /// The export task.
    pub task_id: String,
    /// When the manifest was written.
    pub written_at: DateTime<Utc>,
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
    /// The store's tag of the content.
    pub etag: Option<String>,
    /// When the store got it.
    pub last_modified: DateTime<Utc>,
}

/// An attempt that has just been completed: lists its objects and writes its manifest.
pub async fn complete(
    store: &Store,
    attempt: &Path,
    mut manifest: Manifest,
) -> Result<ExportedGroup> {
    let objects = scan::list(store, attempt, Some(&manifest.log_group)).await?;
    manifest.objects = objects
        .iter()
        .map(|object| ManifestObject {
            key: layout::relative(attempt, &object.meta.location),
            bytes: object.meta.size,
            etag: object.meta.e_tag.clone(),
            last_modified: object.meta.last_modified,
        })
        .collect();
    let json = serde_json::to_vec_pretty(&manifest).map_err(|error| {
        Error::new(Class::Unexpected, "can't write a manifest").caused_by(error)
    })?;
    let body = Body::Bytes(Bytes::from(json));
    store
        .put_if(
            &layout::manifest(attempt),
            body,
            "application/json",
            &Condition::Absent,
        )
        .await?;
    Ok(ExportedGroup {
        log_group: Some(manifest.log_group),
        task_id: Some(manifest.task_id),
        prefix: attempt.clone(),
        reused: false,
        as_of: Some(manifest.written_at),
        objects,
    })
}

/// The newest attempt of each log group that answers the request: complete, new enough, of the same streams, and of
/// the whole window.
pub async fn kept_attempts(
    store: &Store,
    request: &ExportRequest<'_>,
    log_stream_prefix: Option<&str>,
) -> Result<BTreeMap<String, ExportedGroup>> {
    let Some(since) = request.reuse_since else {
        return Ok(BTreeMap::new());
    };
    let range = request.window.range();
    let answers = |manifest: &Manifest| {
        manifest.written_at >= since
            && manifest.log_stream_prefix.as_deref() == log_stream_prefix
            && manifest.range.start_ms <= range.start_ms
            && range.end_ms <= manifest.range.end_ms
    };
    newest_attempts(store, request.job, &request.window.id(), answers).await
}

/// The newest complete attempt of each log group for the window with this id.
pub async fn newest_attempts(
    store: &Store,
    job: &str,
    window_id: &str,
    wanted: impl Fn(&Manifest) -> bool,
) -> Result<BTreeMap<String, ExportedGroup>> {
    let prefix = layout::staging_of_window(store.root(), job, window_id);
    let mut newest: BTreeMap<String, ExportedGroup> = BTreeMap::new();
    for meta in store.list(&prefix).await? {
        if layout::parse_manifest(&meta.location).is_none() {
            continue;
        }
        let Some(manifest) = read(store, &meta.location).await?.filter(&wanted) else {
            continue;
        };
        let known = newest
            .get(&manifest.log_group)
            .and_then(|group| group.as_of);
        if known.is_none_or(|known| known < manifest.written_at) {
            let group = manifest.log_group.clone();
            newest.insert(group, manifest.into_group(parent(&meta.location)));
        }
    }
    Ok(newest)
}

/// The newest complete attempts of every window of a job, by the window's id.
pub async fn exported_windows(
    store: &Store,
    job: &str,
) -> Result<BTreeMap<String, BTreeMap<String, ExportedGroup>>> {
    let job_prefix = layout::staging_of_job(store.root(), job);
    let manifests = store.list(&job_prefix).await?;
    let ids: BTreeSet<String> = manifests
        .iter()
        .filter(|meta| layout::parse_manifest(&meta.location).is_some())
        .filter_map(|meta| {
            layout::relative(&job_prefix, &meta.location)
                .split('/')
                .next()
                .map(str::to_owned)
        })
        .collect();
    let mut windows = BTreeMap::new();
    for id in ids {
        let groups = newest_attempts(store, job, &id, |_| true).await?;
        windows.insert(id, groups);
    }
    Ok(windows)
}

async fn read(store: &Store, key: &Path) -> Result<Option<Manifest>> {
    let Some(json) = store.get(key).await? else {
        return Ok(None);
    };
    serde_json::from_slice(&json).map(Some).map_err(|error| {
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
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            log_group: log_group.to_owned(),
            log_stream_prefix: None,
            window: window.id(),
            range,
            task_id: task_id.to_owned(),
            written_at: now,
            objects: Vec::new(),
        }
    }

    fn into_group(self, attempt: Path) -> ExportedGroup {
        let objects = self
            .objects
            .into_iter()
            .filter_map(|object| {
                let meta = ObjectMeta {
                    location: layout::join(&attempt, &object.key),
                    last_modified: object.last_modified,
                    size: object.bytes,
                    e_tag: object.etag,
                    version: None,
                };
                LogObject::new(meta, Some(&self.log_group))
            })
            .collect();
        ExportedGroup {
            log_group: Some(self.log_group),
            task_id: Some(self.task_id),
            prefix: attempt,
            reused: true,
            as_of: Some(self.written_at),
            objects,
        }
    }
}

fn parent(key: &Path) -> Path {
    let text = key.as_ref();
    let end = text.rfind('/').unwrap_or(0);
    layout::join(&Path::default(), &text[..end])
}

/// An id for a new attempt; later ones sort behind earlier ones.
pub fn new_attempt_id() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}
