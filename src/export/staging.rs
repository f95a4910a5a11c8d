//! Attempts at exporting a log group, and the manifests that make them complete.
//!
//! Each attempt writes below a prefix of its own. Its manifest is written last, and objects of an attempt without a
//! manifest are never read.

mod manifest;
mod overlaps;
mod reading;
pub mod task_folder;

use std::collections::BTreeMap;

use object_store::ObjectMeta;
use object_store::path::Path;

use self::manifest::{parse, read, write};
use super::{ExportRequest, ExportedGroup};
use crate::error::{Class, Error, Result};
use crate::layout::cloudwatch::LogObject;
use crate::layout::{self, StagingKeys};
use crate::state::{AttemptStage, Journal};
use crate::store::{Condition, Store};

pub use self::manifest::{Manifest, ManifestObject};
pub use self::reading::{
    ExportedWindow, ObjectsThere, ensure_any_object, every_object, exports_of_job,
    objects_and_others, objects_below,
};

/// Completes an attempt: writes its manifest, which lists `objects`. Of an object that has a range, only that part
/// belongs to the attempt.
pub async fn complete(
    store: &Store,
    attempt: &Path,
    mut manifest: Manifest,
    mut objects: Vec<LogObject>,
) -> Result<ExportedGroup> {
    manifest.list(attempt, &objects);
    manifest.describe(&mut objects);
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
    group.objects.sort_by(LogObject::cmp_key);
    manifest.list(&group.prefix, &group.objects);
    manifest.kept.push(note.clone());
    manifest.describe(&mut group.objects);
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
    let satisfies = |manifest: &Manifest, _: &Path| {
        is_of_source(manifest)
            && manifest.range.start_ms <= range.start_ms
            && range.end_ms.min(manifest.as_of.timestamp_millis()) <= manifest.range.end_ms
    };
    let prefix = request.keys.of_window(&request.window.id());
    let listed = store.list(&prefix).await?;
    let attempts = newest_attempts(store, &listed, Alike::ByName, satisfies).await?;
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

/// An attempt that has a manifest.
struct CompleteAttempt {
    manifest: Manifest,
    prefix: Path,
    /// Its objects as they are listed now; `None` where some are missing.
    objects: Option<Vec<LogObject>>,
}

/// Which attempts are of one log group, so that only the newest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alike {
    /// Those of one name.
    ByName,
    /// Those that also are of one account and Region, and of the same streams: a job of several sources has others.
    ByOrigin,
}

/// Among the listed objects, for each window and log group the newest complete attempt that is wanted.
async fn newest_attempts(
    store: &Store,
    listed: &[ObjectMeta],
    alike: Alike,
    wanted: impl Fn(&Manifest, &Path) -> bool,
) -> Result<Vec<CompleteAttempt>> {
    type Of = (Path, Option<(Option<(String, String)>, Option<String>)>);
    let mut newest: BTreeMap<Of, CompleteAttempt> = BTreeMap::new();
    for meta in listed
        .iter()
        .filter(|meta| layout::is_manifest(&meta.location))
    {
        let prefix = layout::parent(&meta.location);
        let manifest = read(store, &meta.location).await?;
        let Some(manifest) = manifest.filter(|manifest| wanted(manifest, &prefix)) else {
            continue;
        };
        let origin = || {
            let origin = manifest.origin.clone();
            let origin = origin.map(|origin| (origin.account, origin.region));
            (origin, manifest.log_stream_prefix.clone())
        };
        let log_group = match alike {
            Alike::ByName => (layout::parent(&prefix), None),
            Alike::ByOrigin => (layout::parent(&prefix), Some(origin())),
        };
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

/// Adds the objects that a task wrote after `objects` had been listed.
fn add_later(
    objects: &mut Vec<LogObject>,
    log_group: &str,
    attempt: &Path,
    task_id: &str,
    listed: &[ObjectMeta],
) {
    let known = objects.iter().map(LogObject::key);
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
    let requested = objects.iter().find_map(|object| object.requested.clone());
    let origin = objects.iter().find_map(|object| object.origin.clone());
    let later = later.into_iter();
    let later = later.filter_map(|meta| LogObject::new(meta, Some(log_group)));
    objects.extend(later.map(|object| LogObject {
        range,
        requested: requested.clone(),
        origin: origin.clone(),
        ..object
    }));
    objects.sort_by(LogObject::cmp_key);
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
