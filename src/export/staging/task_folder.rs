//! Which objects below an attempt's prefix are those of its export task.
//!
//! A task writes below `<prefix>/<task id>/`. Another task may have the same prefix: a CreateExportTask that the service
//! received twice makes two. Its objects have the same events again, so they are never read.

use std::collections::BTreeSet;

use object_store::ObjectMeta;
use object_store::path::Path;

use crate::layout;
use crate::layout::cloudwatch::LogObject;
use crate::window::Range;

/// The folders directly below an attempt's prefix that tasks, and not pieces without a task, wrote.
pub fn folders(attempt: &Path, listed: &[LogObject]) -> BTreeSet<String> {
    let keys = listed.iter().map(|object| &object.meta.location);
    keys.filter(|key| !layout::is_in_piece(key))
        .filter_map(|key| folder(attempt, key))
        .collect()
}

/// Whether the object is in this folder below an attempt's prefix.
pub fn is_in(attempt: &Path, task_folder: &str, key: &Path) -> bool {
    folder(attempt, key).as_deref() == Some(task_folder)
}

/// The first folder of a key below an attempt's prefix.
fn folder(attempt: &Path, key: &Path) -> Option<String> {
    let mut parts = key.prefix_match(attempt)?;
    let first = parts.next()?;
    // The attempt's own objects, such as the manifest and the write test, are in no folder.
    parts.next().map(|_| first.as_ref().to_owned())
}

/// The objects in the task's folder that are not known yet, by a listing that is sorted by key.
pub fn written_later<'a>(
    attempt: &Path,
    task_id: &str,
    listed: &'a [ObjectMeta],
    known: &BTreeSet<Path>,
) -> Vec<&'a ObjectMeta> {
    let below = format!("{}/", layout::join(attempt, task_id));
    let first = listed.partition_point(|meta| meta.location.as_ref() < below.as_str());
    listed[first..]
        .iter()
        .take_while(|meta| meta.location.as_ref().starts_with(&below))
        .filter(|meta| !known.contains(&meta.location))
        .collect()
}

/// The times of a task's events that belong to the attempt, judged by its other objects: where the Logs API returned
/// the fresh events, the task has those before them. `None`: all times.
pub fn part_of_task(objects: &[LogObject]) -> Option<Range> {
    let is_piece = |object: &&LogObject| layout::is_in_piece(&object.meta.location);
    if let Some(other) = objects.iter().find(|object| !is_piece(object)) {
        return other.range;
    }
    let pieces = objects.iter().filter(is_piece);
    let fresh_from = pieces
        .filter_map(|piece| piece.range)
        .map(|range| range.start_ms)
        .min();
    fresh_from.map(|end_ms| Range {
        start_ms: i64::MIN,
        end_ms,
    })
}
