//! Every exported object in a store: of this program's own attempts each event once, and the objects
//! of other programs as they are.

use object_store::ObjectMeta;
use object_store::path::Path;

use super::newest_attempts;
use super::overlaps::without_overlaps;
use crate::error::{Error, Result};
use crate::layout::cloudwatch::LogObject;
use crate::layout::{self, StagingKeys};
use crate::store::{Gather, Store};
use crate::window::Range;

/// The exports of a job: for each window and log group the newest complete attempt.
pub async fn exports_of_job(store: &Store, keys: &StagingKeys) -> Result<Vec<ExportedWindow>> {
    let listed = store.list(&keys.of_job()).await?;
    let attempts = newest_attempts(store, &listed, |_, _| true).await?;
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

/// The exported objects in a store.
#[derive(Debug)]
pub struct ObjectsThere {
    /// The objects, as [`objects_below`] returns them.
    pub objects: Vec<LogObject>,
    /// A note on those that can't be read.
    pub note: Option<String>,
}

/// Every exported object in a store. An error (usage) where the store has none.
pub async fn every_object(store: &Store, log_group: Option<&str>) -> Result<ObjectsThere> {
    let there = objects_below(store, store.root(), log_group).await?;
    if there.objects.is_empty() {
        let error = no_objects(store);
        return Err(match there.note {
            None => error,
            Some(note) => Error::usage(format!("{error}; {note}")),
        });
    }
    Ok(there)
}

/// An error (usage) where there is no exported object in a store. Only few folders are listed.
pub async fn ensure_any_object(store: &Store) -> Result<()> {
    let root = store.root();
    let is_object = layout::cloudwatch::holds_events(root) && store.head(root).await?.is_some();
    let holds_events = layout::cloudwatch::holds_events;
    match is_object || store.last(root, holds_events).await?.is_some() {
        true => Ok(()),
        false => Err(no_objects(store)),
    }
}

fn no_objects(store: &Store) -> Error {
    Error::usage(format!(
        "{} holds no exported objects: expected <prefix>/<task id>/<stream>/000000.gz below it",
        store.location()
    ))
}

/// Every exported object below a prefix, or the one with just this key, by key. Of this program's own attempts, only those
/// that are complete and not superseded, each cut to its own window, so that no event is in it twice.
pub async fn objects_below(
    store: &Store,
    prefix: &Path,
    log_group: Option<&str>,
) -> Result<ObjectsThere> {
    let new = || Below {
        log_group,
        objects: Vec::new(),
        of_attempts: Vec::new(),
    };
    let (mut below, skipped) = store.gather(prefix, new).await?;
    let is_empty = below.objects.is_empty() && below.of_attempts.is_empty();
    if is_empty
        && layout::cloudwatch::holds_events(prefix)
        && let Some(object) = store.head(prefix).await?
    {
        below.add(object);
    }
    let note = skipped.note(&store.display(prefix));
    if let Some(note) = &note {
        tracing::warn!("{note}");
    }
    let Below {
        mut objects,
        mut of_attempts,
        ..
    } = below;
    of_attempts.sort_by(|a, b| a.location.cmp(&b.location));
    let attempts = newest_attempts(store, &of_attempts, |_, _| true).await?;
    for (_, own) in without_overlaps(store, attempts)? {
        objects.extend(own);
    }
    objects.sort_by(LogObject::cmp_key);
    Ok(ObjectsThere { objects, note })
}

/// A listing in two parts: objects outside of attempts, and everything in attempts.
struct Below<'a> {
    log_group: Option<&'a str>,
    objects: Vec<LogObject>,
    of_attempts: Vec<ObjectMeta>,
}

impl Gather for Below<'_> {
    fn add(&mut self, object: ObjectMeta) {
        match layout::is_in_attempt(&object.location) {
            true => self.of_attempts.push(object),
            false => {
                let before = self.objects.last();
                let object = LogObject::behind(before, &object, self.log_group);
                self.objects.extend(object);
            }
        }
    }
}
