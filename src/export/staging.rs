//! Attempts at exporting a log group, and the manifests that make them complete.
//!
//! Each attempt writes below a prefix of its own. Its manifest is written last, and objects of an attempt without a
//! manifest are never read.

mod overlaps;
pub mod task_folder;

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use object_store::ObjectMeta;
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use self::overlaps::without_overlaps;
use super::{ExportRequest, ExportedGroup};
use crate::aws::logs::Origin;
use crate::error::{Class, Error, Result};
use crate::layout::cloudwatch::LogObject;
use crate::layout::{self, StagingKeys};
use crate::state::{AttemptStage, Journal};
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

/// Completes an attempt: writes its manifest, which lists `objects`. Of an object that has a range, only that part
/// belongs to the attempt.
pub async fn complete(
    store: &Store,
    attempt: &Path,
    mut manifest: Manifest,
    objects: Vec<LogObject>,
) -> Result<ExportedGroup> {
    manifest.list(attempt, &objects);
    write(store, attempt, &manifest, &Condition::Absent).await?;
    Ok(ExportedGroup {
        notes: manifest.notes(),
        log_group: Some(manifest.log_group),
        task_id: Some(manifest.task_id),
        prefix: attempt.clone(),
        reused: false,
        outlives: !manifest.kept.is_empty(),
        as_of: Some(manifest.as_of),
        objects,
    })
}

async fn write(
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

/// Lists further objects in the manifest of a complete attempt, with a note on them. The objects must be below the
/// attempt's prefix.
pub(super) async fn extend(
    store: &Store,
    group: &mut ExportedGroup,
    objects: Vec<LogObject>,
    note: String,
) -> Result<()> {
    let key = layout::manifest(&group.prefix);
    let Some((json, seen)) = store.get_to_replace(&key).await? else {
        return Err(Error::new(
            Class::Source,
            format!(
                "{} is gone: it was there when the run began",
                store.display(&key)
            ),
        ));
    };
    let mut manifest = parse(store, &key, &json)?;
    group.objects.extend(objects);
    group
        .objects
        .sort_by(|a, b| a.meta.location.cmp(&b.meta.location));
    manifest.list(&group.prefix, &group.objects);
    manifest.kept.push(note.clone());
    write(store, &group.prefix, &manifest, &seen).await?;
    group.notes.push(note);
    group.outlives = true;
    Ok(())
}

/// For each log group the newest attempt at the window that is complete, of the whole window, and of the source: the same
/// streams of the same log group.
pub async fn newest_exports(
    store: &Store,
    request: &ExportRequest<'_>,
    is_of_source: impl Fn(&Manifest) -> bool,
) -> Result<BTreeMap<String, ExportedGroup>> {
    let range = request.window.range();
    let satisfies = |manifest: &Manifest| {
        is_of_source(manifest)
            && manifest.range.start_ms <= range.start_ms
            && range.end_ms.min(manifest.as_of.timestamp_millis()) <= manifest.range.end_ms
    };
    let prefix = request.keys.of_window(&request.window.id());
    let listed = store.list(&prefix).await?;
    let attempts = newest_attempts(store, &listed, satisfies).await?;
    Ok(attempts
        .into_iter()
        .filter_map(CompleteAttempt::into_group)
        .collect())
}

/// Lists a window's exports once more, and adds what the tasks of the groups wrote since their objects were listed.
pub async fn add_written_later(
    store: &Store,
    request: &ExportRequest<'_>,
    groups: &mut [ExportedGroup],
) -> Result<()> {
    let prefix = request.keys.of_window(&request.window.id());
    let listed = store.list(&prefix).await?;
    for group in groups.iter_mut().filter(|group| !group.reused) {
        if let (Some(log_group), Some(task_id)) = (&group.log_group, &group.task_id) {
            add_later(
                &mut group.objects,
                log_group,
                &group.prefix,
                task_id,
                &listed,
            );
        }
    }
    Ok(())
}

/// The complete attempts at a window whose prefix, relative to the staging location, is wanted. Those whose objects are
/// not all there are left out.
pub async fn exports_at(
    store: &Store,
    keys: &StagingKeys,
    window_id: &str,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<ExportedGroup>> {
    let listed = store.list(&keys.of_window(window_id)).await?;
    let mut found = Vec::new();
    for meta in listed
        .iter()
        .filter(|meta| layout::is_manifest(&meta.location))
    {
        let prefix = layout::parent(&meta.location);
        if wanted(&keys.relative(&prefix))
            && let Some(manifest) = read(store, &meta.location).await?
        {
            let attempt = CompleteAttempt {
                objects: manifest.listed_objects(&prefix, &listed),
                manifest,
                prefix,
            };
            found.extend(attempt.into_group().map(|(_, group)| group));
        }
    }
    Ok(found)
}

/// Notes which open attempts of an earlier run at a log group are complete: a run that was killed right after it wrote
/// the manifest may not have recorded that.
pub async fn note_complete(store: &Store, journal: &dyn Journal, log_group: &str) -> Result<()> {
    let recorded = journal.attempts(log_group).into_iter();
    for mut attempt in recorded.filter(|attempt| !attempt.is_over()) {
        let prefix = layout::join(store.root(), &attempt.prefix);
        if store.head(&layout::manifest(&prefix)).await?.is_some() {
            attempt.stage = AttemptStage::Complete;
            journal.note(attempt);
        }
    }
    Ok(())
}

/// The exports of a job: for each window and log group the newest complete attempt.
pub async fn exports_of_job(store: &Store, keys: &StagingKeys) -> Result<Vec<ExportedWindow>> {
    let listed = store.list(&keys.of_job()).await?;
    let attempts = newest_attempts(store, &listed, |_| true).await?;
    Ok(without_overlaps(store, attempts)?
        .into_iter()
        .map(|(manifest, objects)| ExportedWindow {
            window_range: manifest.window_range,
            objects,
        })
        .collect())
}

/// The objects of one attempt, each cut to the attempt's window.
#[derive(Debug)]
pub struct ExportedWindow {
    /// The window's own interval.
    pub window_range: Range,
    /// The objects.
    pub objects: Vec<LogObject>,
}

/// Every exported object in a store, as [`objects_below`] returns them. An error (usage) where the store has none.
pub async fn every_object(store: &Store, log_group: Option<&str>) -> Result<Vec<LogObject>> {
    let objects = objects_below(store, store.root(), log_group).await?;
    if objects.is_empty() {
        return Err(no_objects(store));
    }
    Ok(objects)
}

/// An error (usage) where there is no exported object in a store. Only few folders are listed.
pub async fn ensure_any_object(store: &Store) -> Result<()> {
    match store
        .last(store.root(), layout::cloudwatch::holds_events)
        .await?
    {
        Some(_) => Ok(()),
        None => Err(no_objects(store)),
    }
}

fn no_objects(store: &Store) -> Error {
    Error::usage(format!(
        "{} holds no exported objects: expected <prefix>/<task id>/<stream>/000000.gz below it",
        store.location()
    ))
}

/// Every exported object below a prefix, by key. Of this program's own attempts, only those that are complete and not
/// superseded, each cut to its own window, so that no event is in it twice.
pub async fn objects_below(
    store: &Store,
    prefix: &Path,
    log_group: Option<&str>,
) -> Result<Vec<LogObject>> {
    let listed = store.list(prefix).await?;
    let mut objects = Vec::new();
    let attempts = newest_attempts(store, &listed, |_| true).await?;
    for (_, own) in without_overlaps(store, attempts)? {
        objects.extend(own);
    }
    let others = listed
        .into_iter()
        .filter(|meta| !layout::is_in_attempt(&meta.location));
    objects.extend(others.filter_map(|meta| LogObject::new(meta, log_group)));
    objects.sort_by(|a, b| a.meta.location.cmp(&b.meta.location));
    Ok(objects)
}

/// An attempt that has a manifest.
struct CompleteAttempt {
    manifest: Manifest,
    prefix: Path,
    /// Its objects as they are listed now; `None` where some are missing.
    objects: Option<Vec<LogObject>>,
}

/// Among the listed objects, for each window and log group the newest complete attempt that is wanted.
async fn newest_attempts(
    store: &Store,
    listed: &[ObjectMeta],
    wanted: impl Fn(&Manifest) -> bool,
) -> Result<Vec<CompleteAttempt>> {
    let mut newest: BTreeMap<Path, CompleteAttempt> = BTreeMap::new();
    for meta in listed
        .iter()
        .filter(|meta| layout::is_manifest(&meta.location))
    {
        let Some(manifest) = read(store, &meta.location).await?.filter(&wanted) else {
            continue;
        };
        let prefix = layout::parent(&meta.location);
        let log_group = layout::parent(&prefix);
        let known = newest.get(&log_group).map(|known| known.manifest.as_of);
        if known.is_some_and(|known| manifest.as_of <= known) {
            continue;
        }
        let attempt = CompleteAttempt {
            objects: manifest.listed_objects(&prefix, listed),
            manifest,
            prefix,
        };
        newest.insert(log_group, attempt);
    }
    Ok(newest.into_values().collect())
}

async fn read(store: &Store, key: &Path) -> Result<Option<Manifest>> {
    let Some(json) = store.get(key).await? else {
        return Ok(None);
    };
    parse(store, key, &json).map(Some)
}

fn parse(store: &Store, key: &Path, json: &[u8]) -> Result<Manifest> {
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
            origin: None,
            task_id: task_id.to_owned(),
            as_of,
            note: None,
            kept: Vec::new(),
            objects: Vec::new(),
        }
    }

    /// All notes for the receipt.
    fn notes(&self) -> Vec<String> {
        self.note.iter().chain(&self.kept).cloned().collect()
    }

    /// Lists these objects of the attempt.
    fn list(&mut self, attempt: &Path, objects: &[LogObject]) {
        let listed = objects.iter().map(|object| ManifestObject {
            key: layout::relative(attempt, &object.meta.location),
            bytes: object.meta.size,
            etag: object.meta.e_tag.clone(),
            last_modified: object.meta.last_modified,
            range: object.range,
        });
        self.objects = listed.collect();
    }

    /// The objects as a listing sorted by key has them, with its ETags and times, which are others where the staging
    /// location was copied, and what the task wrote after the manifest; `None` where one is missing or has another size.
    fn listed_objects(&self, attempt: &Path, listed: &[ObjectMeta]) -> Option<Vec<LogObject>> {
        let there = self.objects.iter().map(|object| {
            let key = layout::join(attempt, &object.key);
            let at = listed
                .binary_search_by(|meta| meta.location.cmp(&key))
                .ok()?;
            let meta = listed.get(at).filter(|meta| meta.size == object.bytes)?;
            let listed = LogObject::new(meta.clone(), Some(&self.log_group))?;
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
        Some(objects)
    }
}

/// Adds the objects that a task wrote after `objects` had been listed.
fn add_later(
    objects: &mut Vec<LogObject>,
    log_group: &str,
    attempt: &Path,
    task_id: &str,
    listed: &[ObjectMeta],
) {
    let known = objects.iter().map(|object| object.meta.location.clone());
    let later = task_folder::written_later(attempt, task_id, listed, &known.collect());
    if later.is_empty() {
        return;
    }
    tracing::warn!(
        log_group,
        task = task_id,
        objects = later.len(),
        "an export task wrote objects after it was COMPLETED"
    );
    let range = task_folder::part_of_task(objects);
    let later = later.into_iter().cloned();
    let later = later.filter_map(|meta| LogObject::new(meta, Some(log_group)));
    objects.extend(later.map(|object| LogObject { range, ..object }));
    objects.sort_by(|a, b| a.meta.location.cmp(&b.meta.location));
}

impl CompleteAttempt {
    /// The log group and its objects; `None` where some are missing, so that the group is exported again.
    fn into_group(self) -> Option<(String, ExportedGroup)> {
        let group = ExportedGroup {
            log_group: Some(self.manifest.log_group.clone()),
            notes: self.manifest.notes(),
            task_id: Some(self.manifest.task_id),
            prefix: self.prefix,
            reused: true,
            outlives: !self.manifest.kept.is_empty(),
            as_of: Some(self.manifest.as_of),
            objects: self.objects?,
        };
        Some((self.manifest.log_group, group))
    }
}

/// An id for a new attempt. Ids sort by time.
pub fn new_attempt_id() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}
