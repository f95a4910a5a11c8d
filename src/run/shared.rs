//! Exports of several windows, as the run of one of them reads them: the times of the events in each object are noted for
//! the others, which then skip the objects without events of theirs.

use std::collections::{HashMap, HashSet};

use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;

use super::history::AT_ONCE;
use crate::error::{Error, Result};
use crate::export::Exported;
use crate::export::staging::stretches::EventTimes;
use crate::layout::cloudwatch::LogObject;
use crate::layout::parent;
use crate::scan::LogsTable;
use crate::store::Store;
use crate::window::Range;

/// Whether a window has events in an export of several.
pub(super) fn is_part(exported: &Exported) -> bool {
    exported.groups.iter().any(|group| group.stretch.is_some())
}

/// The objects of a window's exports, with the times of their events as far as they are known by now.
pub(super) async fn objects_of(store: &Store, exported: &Exported) -> Result<Vec<LogObject>> {
    let objects: Vec<Vec<LogObject>> = futures::stream::iter(&exported.groups)
        .map(|group| async move {
            let mut objects = group.objects.clone();
            if let Some(stretch) = &group.stretch {
                let times = EventTimes::read(store, stretch).await?;
                times.apply(stretch, &mut objects);
            }
            Ok::<_, Error>(objects)
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(objects.into_iter().flatten().collect())
}

/// Writes the times of the events in the objects of a table that were read. A failure is a warning: the other windows read
/// them too.
pub(super) async fn note_times(store: &Store, exported: &Exported, logs: &LogsTable) {
    let stretches = exported.groups.iter();
    let stretches: HashSet<&Path> = stretches
        .filter_map(|group| group.stretch.as_ref())
        .collect();
    if stretches.is_empty() {
        return;
    }
    let mut new: HashMap<Path, Vec<(Path, Range)>> = HashMap::new();
    for (object, times) in logs.times() {
        let key = object.key();
        // `<stretch>/<task id>/<stream>/000000.gz`
        let stretch = parent(&parent(&parent(&key)));
        if object.times.is_none() && stretches.contains(&stretch) {
            new.entry(stretch).or_default().push((key, times));
        }
    }
    let written = futures::stream::iter(new)
        .map(|(stretch, times)| async move { EventTimes::add(store, &stretch, times).await })
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>();
    if let Err(error) = written.await {
        tracing::warn!(%error, "could not note which windows an export has events of");
    }
}
