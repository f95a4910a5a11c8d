//! Every exported object in a store: of this program's own attempts each event once, and the objects
//! of other programs as they are.

use std::collections::HashSet;

use object_store::ObjectMeta;
use object_store::path::Path;

use super::overlaps::without_overlaps;
use super::{Alike, Manifest, newest_attempts};
use crate::error::{Error, Result};
use crate::layout::cloudwatch::LogObject;
use crate::layout::{self, StagingKeys};
use crate::numbers::counted;
use crate::store::{Gather, Store};
use crate::window::Range;

/// The exports of a job: for each window and log group the newest complete attempt; of `several` sources, for each account
/// and Region.
pub async fn exports_of_job(
    store: &Store,
    keys: &StagingKeys,
    several: bool,
) -> Result<Vec<ExportedWindow>> {
    let listed = store.list(&keys.of_job()).await?;
    let alike = match several {
        true => Alike::ByOrigin,
        false => Alike::ByName,
    };
    // Of several windows, each that uses the export has a manifest of its own.
    let is_of_window = |manifest: &Manifest, _: &Path| !manifest.is_of_stretch();
    let mut attempts = newest_attempts(store, &listed, alike, is_of_window).await?;
    // A lifecycle rule deletes an export of several windows before the manifests of those that took it later. Such a window
    // is exported no more, and not with its other log groups alone.
    let gone = attempts.iter().filter(|attempt| attempt.lacks_stretch);
    let gone: HashSet<Range> = gone.map(|attempt| attempt.manifest.window_range).collect();
    attempts.retain(|attempt| !gone.contains(&attempt.manifest.window_range));
    Ok(without_overlaps(store, attempts)?
        .into_iter()
        .map(|(manifest, prefix, objects)| ExportedWindow {
            window_range: manifest.window_range,
            prefix,
            objects,
        })
        .collect())
}

/// The objects of one attempt, each cut to the attempt's window.
#[derive(Debug)]
pub struct ExportedWindow {
    /// The window's own interval.
    pub window_range: Range,
    /// The prefix of the attempt.
    pub prefix: Path,
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
    /// Objects beside them that hold no events.
    others: Others,
}

/// Objects that hold no events.
#[derive(Debug, Clone, Default)]
struct Others {
    count: u64,
    first: String,
}

impl Others {
    /// `: there are 12 other objects, such as "hosts"`
    fn described(&self, root: &Path) -> String {
        let first = layout::relative(root, &layout::join(&Path::default(), &self.first));
        match self.count {
            0 => String::new(),
            1 if first.is_empty() => String::new(),
            1 => format!("; the one object there is {first:?}"),
            count => format!(
                "; there are {}, such as {first:?}",
                counted(count, "other object")
            ),
        }
    }
}

impl ObjectsThere {
    /// These, if there are any. An error (usage) where there is none in the store.
    pub fn ensure_any(self, store: &Store) -> Result<Self> {
        if self.objects.is_empty() {
            let error = no_objects(store, &self.others);
            return Err(match self.note {
                None => error,
                Some(note) => Error::usage(format!("{error}; {note}")),
            });
        }
        Ok(self)
    }
}

/// Every exported object in a store. An error (usage) where the store has none.
pub async fn every_object(store: &Store, log_group: Option<&str>) -> Result<ObjectsThere> {
    let there = objects_below(store, store.root(), log_group).await?;
    there.ensure_any(store)
}

/// An error (usage) where there is no exported object in a store. Only few folders are listed where there is one.
pub async fn ensure_any_object(store: &Store) -> Result<()> {
    let root = store.root();
    let holds_events = layout::cloudwatch::holds_events;
    match store.last(root, |_| true, holds_events).await? {
        Some(_) => Ok(()),
        None => every_object(store, None).await.map(drop),
    }
}

fn no_objects(store: &Store, others: &Others) -> Error {
    Error::usage(format!(
        "{} holds no exported objects: expected <prefix>/<task id>/<stream>/000000.gz below it{}",
        store.location(),
        others.described(store.root())
    ))
}

/// Every exported object below a prefix, or the one with just this key, by key. Of this program's own attempts, only those
/// that are complete and not superseded, each cut to its own window, so that no event is in it twice.
pub async fn objects_below(
    store: &Store,
    prefix: &Path,
    log_group: Option<&str>,
) -> Result<ObjectsThere> {
    let listed = objects_and_others(store, prefix, log_group, |_| false).await;
    listed.map(|(objects, _)| objects)
}

/// The same, and of the objects beside them, in one listing, those with a key that is `wanted`, in no order.
pub async fn objects_and_others(
    store: &Store,
    prefix: &Path,
    log_group: Option<&str>,
    wanted: fn(&Path) -> bool,
) -> Result<(ObjectsThere, Vec<ObjectMeta>)> {
    let new = || Below {
        log_group,
        wanted,
        kept: Vec::new(),
        objects: Vec::new(),
        of_attempts: Vec::new(),
        others: Others::default(),
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
        others,
        kept,
        ..
    } = below;
    of_attempts.sort_by(|a, b| a.location.cmp(&b.location));
    let attempts = newest_attempts(store, &of_attempts, Alike::ByOrigin, |_, _| true).await?;
    let has_stretches = attempts
        .iter()
        .any(|attempt| attempt.manifest.is_of_stretch() || attempt.manifest.stretch.is_some());
    for (_, _, own) in without_overlaps(store, attempts)? {
        objects.extend(own);
    }
    if has_stretches {
        objects = LogObject::joined(objects);
    }
    objects.sort_by(LogObject::cmp_key);
    let there = ObjectsThere {
        objects,
        note,
        others,
    };
    Ok((there, kept))
}

/// A listing in parts: objects outside of attempts, everything in attempts, and what is wanted of the rest.
struct Below<'a> {
    log_group: Option<&'a str>,
    wanted: fn(&Path) -> bool,
    kept: Vec<ObjectMeta>,
    objects: Vec<LogObject>,
    of_attempts: Vec<ObjectMeta>,
    others: Others,
}

impl Gather for Below<'_> {
    fn add(&mut self, object: ObjectMeta) {
        match layout::is_in_attempt(&object.location) {
            true => self.of_attempts.push(object),
            false => {
                let before = self.objects.last();
                match LogObject::behind(before, &object, self.log_group) {
                    Some(object) => self.objects.push(object),
                    None => {
                        if self.others.count == 0 {
                            self.others.first = object.location.to_string();
                        }
                        self.others.count += 1;
                        if (self.wanted)(&object.location) {
                            self.kept.push(object);
                        }
                    }
                }
            }
        }
    }
}
