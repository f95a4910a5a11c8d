//! Exports of several windows by one task, for one log group: *stretches* of windows.
//!
//! The objects of such an export are below a prefix of its own, `<job>/<first>--<last>/<group>/attempt=<id>`, with a
//! manifest. Each window that uses it has an attempt of its own, whose manifest names the stretch in place of objects. So
//! a window is exported when its own manifest is there, and each window has its own notes, events that were added, and
//! end. What an attempt at a stretch asks for is recorded beside its objects, since it concerns windows whose states
//! this run does not hold.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use object_store::ObjectMeta;
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use super::CompleteAttempt;
use super::manifest::{self, Manifest};
use crate::error::{Class, Error, Result};
use crate::layout;
use crate::layout::cloudwatch::LogObject;
use crate::state::{Attempt, AttemptStage, Journal};
use crate::store::{Body, Condition, Store};
use crate::window::{Range, Window};

/// A run that may still use an export of a stretch began within this time of its request: interrupted runs are not
/// continued for longer than a day, and no task runs for longer.
pub const USED_WITHIN: TimeDelta = TimeDelta::hours(25);

/// What an attempt at a stretch asks for, beside its objects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StretchRecord {
    /// The windows, from the start of the first to the end of the last.
    pub windows: Range,
    /// The attempt.
    pub attempt: Attempt,
}

/// An attempt at a stretch that was recorded.
#[derive(Debug, Clone)]
pub struct StretchAttempt {
    /// Its prefix.
    pub prefix: Path,
    /// What it asks for.
    pub record: StretchRecord,
    /// Whether its manifest is written.
    pub is_complete: bool,
}

/// A complete export of a stretch, as its objects are listed now.
#[derive(Debug, Clone)]
pub struct StretchExport {
    /// Its prefix.
    pub prefix: Path,
    /// Its manifest.
    pub manifest: Manifest,
    /// Its objects, with the times of their events where these are known.
    pub objects: Vec<LogObject>,
}

impl StretchExport {
    /// The export at this prefix; `None` where it is not complete, or some of its objects are missing.
    pub async fn load(store: &Store, prefix: &Path) -> Result<Option<Self>> {
        let listed = store.list(prefix).await?;
        Ok(match Self::in_listing(store, prefix, &listed).await? {
            Named::Whole(export) => Some(Arc::unwrap_or_clone(export)),
            Named::LacksObjects | Named::Gone => None,
        })
    }

    async fn in_listing(store: &Store, prefix: &Path, listed: &[ObjectMeta]) -> Result<Named> {
        let Some(manifest) = manifest::read(store, &layout::manifest(prefix)).await? else {
            return Ok(Named::Gone);
        };
        let Some(mut objects) = manifest.listed_objects(prefix, listed) else {
            return Ok(Named::LacksObjects);
        };
        EventTimes::read(store, prefix)
            .await?
            .apply(prefix, &mut objects);
        Ok(Named::Whole(Arc::new(Self {
            prefix: prefix.clone(),
            manifest,
            objects,
        })))
    }

    /// Completes an attempt: writes its manifest, unless another run has done so.
    pub async fn complete(
        store: &Store,
        prefix: &Path,
        mut manifest: Manifest,
        mut objects: Vec<LogObject>,
    ) -> Result<Self> {
        manifest.list(prefix, &objects);
        manifest.describe(&mut objects);
        let body = manifest.to_body(store, prefix)?;
        let key = layout::manifest(prefix);
        store
            .try_put_if(&key, body, "application/json", &Condition::Absent)
            .await?;
        Ok(Self {
            prefix: prefix.clone(),
            manifest,
            objects,
        })
    }
}

/// What is there of a stretch that a manifest names.
#[derive(Debug, Clone)]
enum Named {
    /// All of it.
    Whole(Arc<StretchExport>),
    /// Its manifest, and not all objects that are listed in it.
    LacksObjects,
    /// Not even its manifest.
    Gone,
}

/// Stretches that the manifests of a listing name, each looked up once.
pub(super) struct NamedStretches<'a> {
    store: &'a Store,
    listed: &'a [ObjectMeta],
    loaded: HashMap<Path, Named>,
}

impl<'a> NamedStretches<'a> {
    /// Those whose objects are in a listing that is sorted by key, or else in a listing of their own.
    pub(super) fn new(store: &'a Store, listed: &'a [ObjectMeta]) -> Self {
        Self {
            store,
            listed,
            loaded: HashMap::new(),
        }
    }

    /// The attempt with this manifest: its own objects, and those of the stretch that it names.
    pub(super) async fn attempt(
        &mut self,
        manifest: Manifest,
        prefix: Path,
    ) -> Result<CompleteAttempt> {
        let mut objects = manifest.listed_objects(&prefix, self.listed);
        let mut lacks_stretch = false;
        if let Some(stretch) = &manifest.stretch {
            let stretch = layout::join(&layout::job_of_attempt(&prefix), stretch);
            let shared = self.load(&stretch).await?;
            objects = match (objects, shared) {
                (Some(mut own), Named::Whole(shared)) => {
                    own.extend(shared.objects.iter().cloned());
                    own.sort_by(LogObject::cmp_key);
                    Some(own)
                }
                (_, shared) => {
                    lacks_stretch = matches!(shared, Named::Gone);
                    None
                }
            };
        }
        Ok(CompleteAttempt {
            manifest,
            prefix,
            objects,
            lacks_stretch,
        })
    }

    async fn load(&mut self, prefix: &Path) -> Result<Named> {
        if let Some(known) = self.loaded.get(prefix) {
            return Ok(known.clone());
        }
        let below = format!("{prefix}/");
        let at = |meta: &ObjectMeta| meta.location.as_ref() < below.as_str();
        let first = self.listed.partition_point(at);
        let rest = self.listed.get(first..).unwrap_or_default();
        let count = rest.partition_point(|meta| meta.location.as_ref().starts_with(&below));
        let found = match count {
            0 => {
                let listed = self.store.list(prefix).await?;
                StretchExport::in_listing(self.store, prefix, &listed).await?
            }
            count => StretchExport::in_listing(self.store, prefix, &rest[..count]).await?,
        };
        self.loaded.insert(prefix.clone(), found.clone());
        Ok(found)
    }
}

/// The recorded attempts in a folder of attempts at exporting a log group for a stretch, the newest first.
pub async fn attempts_in(store: &Store, folder: &Path) -> Result<Vec<StretchAttempt>> {
    let mut attempts = Vec::new();
    for name in store.folders_in(folder).await? {
        let prefix = layout::join(folder, &name);
        let Some(json) = store.get(&layout::record(&prefix)).await? else {
            continue;
        };
        let record = serde_json::from_slice(&json).map_err(|error| {
            let key = store.display(&layout::record(&prefix));
            Error::damaged(format!("{key} is no record of an export")).caused_by(error)
        })?;
        let manifest = store.head(&layout::manifest(&prefix)).await?;
        attempts.push(StretchAttempt {
            prefix,
            record,
            is_complete: manifest.is_some(),
        });
    }
    // The ids of attempts sort by time.
    attempts.reverse();
    Ok(attempts)
}

/// The record of attempts at stretches of one log group that a window has a part in, for the run that holds the window.
pub struct StretchJournal<'a> {
    store: &'a Store,
    of_window: &'a dyn Journal,
    /// The windows of new attempts.
    windows: Range,
    /// The run that new ones are of, where that decides whether they are used again.
    of_run: Option<DateTime<Utc>>,
    /// How many of the records are of other runs.
    of_others: usize,
    records: Mutex<Vec<StretchRecord>>,
}

impl<'a> StretchJournal<'a> {
    /// With the attempts of other runs that are open.
    pub fn new(
        store: &'a Store,
        of_window: &'a dyn Journal,
        windows: Range,
        of_run: Option<DateTime<Utc>>,
        open: Vec<StretchRecord>,
    ) -> Self {
        Self {
            store,
            of_window,
            windows,
            of_run,
            of_others: open.len(),
            records: Mutex::new(open),
        }
    }

    /// The windows of an attempt.
    pub fn windows_of(&self, attempt: &Attempt) -> Range {
        let records = self.records();
        let known = records
            .iter()
            .find(|known| known.attempt.prefix == attempt.prefix);
        known.map_or(self.windows, |known| known.windows)
    }

    /// Whether an attempt is of this run, and not one of another run that it continues.
    pub fn is_own(&self, attempt: &Attempt) -> bool {
        let records = self.records();
        let mut of_others = records[..self.of_others].iter();
        !of_others.any(|other| other.attempt.prefix == attempt.prefix)
    }

    fn records(&self) -> MutexGuard<'_, Vec<StretchRecord>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an attempt, and returns its record.
    fn upsert(&self, mut attempt: Attempt) -> StretchRecord {
        let mut records = self.records();
        let of_this = |known: &&mut StretchRecord| known.attempt.prefix == attempt.prefix;
        if let Some(known) = records.iter_mut().find(of_this) {
            attempt.of_run = known.attempt.of_run;
            known.attempt = attempt;
            return known.clone();
        }
        attempt.of_run = self.of_run;
        let record = StretchRecord {
            windows: self.windows,
            attempt,
        };
        records.push(record.clone());
        record
    }
}

#[async_trait]
impl Journal for StretchJournal<'_> {
    fn attempts(&self, log_group: &str) -> Vec<Attempt> {
        let records = self.records();
        let attempts = records.iter().map(|record| &record.attempt);
        let of_group = attempts.filter(|attempt| attempt.log_group == log_group);
        of_group.cloned().collect()
    }

    async fn record(&self, attempt: Attempt) -> Result<()> {
        let record = self.upsert(attempt);
        let prefix = layout::join(self.store.root(), &record.attempt.prefix);
        let key = layout::record(&prefix);
        let json = to_json(self.store, &key, &record)?;
        let seen = self.store.as_it_is(&key).await?;
        self.store
            .put_if(&key, json, "application/json", &seen)
            .await?;
        Ok(())
    }

    /// An attempt of this run that was given up becomes one of the window's, whose run deletes what it wrote. Another run
    /// that lives may be at work on one of its own.
    fn note(&self, attempt: Attempt) {
        if attempt.stage == AttemptStage::Abandoned && self.is_own(&attempt) {
            self.of_window.note(attempt.clone());
        }
        self.upsert(attempt);
    }
}

/// The times of the events in the objects of a stretch, found out while a first window is read: the other windows skip the
/// objects without events of theirs. What is not known is read.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventTimes(BTreeMap<String, Range>);

impl EventTimes {
    /// Those of the stretch at this prefix, as far as they are known.
    pub async fn read(store: &Store, prefix: &Path) -> Result<Self> {
        let Some(json) = store.get(&layout::times(prefix)).await? else {
            return Ok(Self::default());
        };
        Ok(serde_json::from_slice(&json).unwrap_or_else(|error| {
            let key = store.display(&layout::times(prefix));
            tracing::warn!(%error, "{key} can't be read: all objects of the export are");
            Self::default()
        }))
    }

    /// Notes them in the objects that are below the stretch's prefix.
    pub fn apply(&self, prefix: &Path, objects: &mut [LogObject]) {
        if self.0.is_empty() {
            return;
        }
        for object in objects.iter_mut() {
            let key = object.key();
            if key.prefix_matches(prefix)
                && let Some(times) = self.0.get(&layout::relative(prefix, &key))
            {
                object.times = Some(*times);
            }
        }
    }

    /// Adds the times of objects of the stretch at `prefix`, and writes all where there are new ones.
    pub async fn add(
        store: &Store,
        prefix: &Path,
        found: impl IntoIterator<Item = (Path, Range)>,
    ) -> Result<()> {
        let key = layout::times(prefix);
        let (known, seen) = match store.get_to_replace(&key).await? {
            Some((json, seen)) => (serde_json::from_slice(&json).unwrap_or_default(), seen),
            None => (Self::default(), Condition::Absent),
        };
        let mut times = known;
        let before = times.0.len();
        for (object, range) in found {
            if object.prefix_matches(prefix) {
                times.0.insert(layout::relative(prefix, &object), range);
            }
        }
        if times.0.len() == before {
            return Ok(());
        }
        let json = to_json(store, &key, &times)?;
        // Another run may have added some meanwhile: one of the two is as good.
        let put = store.try_put_if(&key, json, "application/json", &seen);
        put.await.map(drop)
    }
}

fn to_json(store: &Store, key: &Path, value: &impl Serialize) -> Result<Body> {
    let json = serde_json::to_vec(value).map_err(|error| {
        let what = format!("can't write {}", store.display(key));
        Error::new(Class::Unexpected, what).caused_by(error)
    })?;
    Ok(Body::Bytes(Bytes::from(json)))
}

/// What became of a stretch that a window no longer uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Released {
    /// Other windows use it.
    Shared,
    /// It is deleted.
    Deleted,
    /// Runs may still be about to use it.
    TooYoung,
}

/// Deletes the stretch of an attempt of a window that was deleted, if no window uses it any more.
pub async fn release(
    store: &Store,
    zone: Tz,
    attempt: &Attempt,
    now: DateTime<Utc>,
) -> Result<Released> {
    let Some(stretch) = &attempt.stretch else {
        return Ok(Released::Deleted);
    };
    let prefix = layout::join(store.root(), &attempt.prefix);
    let job = layout::job_of_attempt(&prefix);
    let shared = layout::join(&job, stretch);
    if !layout::is_in_attempt(&shared) {
        let shared = store.display(&shared);
        tracing::warn!(shared, "a state names this as an export, which it is not");
        return Ok(Released::Shared);
    }
    let mut parts = stretch.splitn(3, '/');
    let (Some(id), Some(group)) = (parts.next(), parts.next()) else {
        return Ok(Released::Shared);
    };
    // The last windows are deleted last, so that the search ends with its first request as a rule.
    for window in windows_of(zone, id).into_iter().rev() {
        let folder = layout::join(&job, &format!("{}/{group}", window.id()));
        for name in store.folders_in(&folder).await? {
            let key = layout::manifest(&layout::join(&folder, &name));
            let found = manifest::read(store, &key).await?;
            if found.is_some_and(|found| found.stretch.as_ref() == Some(stretch)) {
                return Ok(Released::Shared);
            }
        }
    }
    if now - attempt.asked_at < USED_WITHIN {
        return Ok(Released::TooYoung);
    }
    // A query of the location reads the objects that a manifest lists, so it goes first: this may be killed half-way.
    store.delete(&layout::manifest(&shared)).await?;
    store.delete_below(&shared).await?;
    Ok(Released::Deleted)
}

/// The windows of a stretch, in order; none where the text is no id of one.
pub fn windows_of(zone: Tz, id: &str) -> Vec<Window> {
    let ends = layout::parse_stretch_id(id).and_then(|(first, last)| {
        let first = Window::of_any_size(zone, first)?;
        let last = Window::of_any_size(zone, last)?;
        (first.size() == last.size()).then_some((first, last))
    });
    let Some((first, last)) = ends else {
        return Vec::new();
    };
    Window::list(first.size(), zone, first.unit(), last.unit()).unwrap_or_default()
}
