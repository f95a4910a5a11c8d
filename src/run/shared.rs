//! Objects of several windows, as the run of one of them reads them: the times of the events in each object are noted for
//! the others, which then skip the objects without events of theirs.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;

use super::history::AT_ONCE;
use super::sources::OpenSource;
use crate::error::{Error, Result};
use crate::export::Exported;
use crate::export::staging::stretches::EventTimes;
use crate::layout::cloudwatch::LogObject;
use crate::layout::parent;
use crate::scan::LogsTable;
use crate::window::Range;

/// The times of the events in objects that another program exported, as far as a run has read them. They are of any windows, and
/// nothing can be written beside them.
#[derive(Debug, Default)]
pub(super) struct KnownTimes(Mutex<HashMap<Content, Range>>);

/// What an object is, and what it has: a key may get other content while a run is under way.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Content {
    key: Path,
    size: u64,
    e_tag: Option<Arc<str>>,
}

impl Content {
    fn of(object: &LogObject) -> Self {
        Self {
            key: object.key(),
            size: object.size,
            e_tag: object.e_tag.clone(),
        }
    }
}

impl KnownTimes {
    fn apply(&self, objects: &mut [LogObject]) {
        let known = self.lock();
        if known.is_empty() {
            return;
        }
        for object in objects {
            object.times = known.get(&Content::of(object)).copied();
        }
    }

    fn add(&self, logs: &LogsTable) {
        let found = logs.times().into_iter();
        let found = found.map(|(object, times)| (Content::of(&object), times));
        self.lock().extend(found);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Content, Range>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether other windows have events in the same objects, as those of a run of so many windows.
pub(super) fn is_part(source: &OpenSource<'_>, exported: &Exported, windows: usize) -> bool {
    let mut groups = exported.groups.iter();
    groups.any(|group| group.stretch.is_some()) || (source.times.is_some() && windows > 1)
}

/// The objects of a window's exports, with the times of their events as far as they are known by now.
pub(super) async fn objects_of(
    source: &OpenSource<'_>,
    exported: &Exported,
) -> Result<Vec<LogObject>> {
    let store = &source.store;
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
    let mut objects: Vec<LogObject> = objects.into_iter().flatten().collect();
    if let Some(times) = &source.times {
        times.apply(&mut objects);
    }
    Ok(objects)
}

/// Notes the times of the events in the objects of a table that were read; of exports of several windows, for other runs too.
/// A failure is a warning: the other windows read them too.
pub(super) async fn note_times(source: &OpenSource<'_>, exported: &Exported, logs: &LogsTable) {
    let store = &source.store;
    if let Some(times) = &source.times {
        times.add(logs);
    }
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
