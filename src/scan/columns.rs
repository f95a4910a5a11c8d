//! Columns of objects' events, kept on this machine's disk while a scan reads the objects for the first time. Later scans
//! read them in place of the objects: inflating and finding events is most of what a scan costs.
//!
//! A run keeps them in its folder of temporary files for its later queries, `query` in a [`cache`] for the next one. Only
//! objects that were read to their end are kept, with all of their events, so that every window and every part of an object
//! finds its own. What can't be kept, or is damaged, is read from the object again.
//!
//! Patterns of messages, which take longer to find than all else, are kept where a query reads them. A cache keeps an object
//! anew for them, from its kept messages.
//!
//! `block` is up to 8192 events as bytes, `pack` a file of them, `key` which object they are of, `keeper` what a
//! scan writes them with, and `reader` what it reads them with.

pub mod cache;

mod block;
mod keeper;
mod key;
mod pack;
pub(super) mod reader;

use std::collections::{HashMap, HashSet};
use std::fs::Metadata;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::cache::Cache;
use self::key::ObjectKey;
use self::pack::{Entry, PackWriter, PatternsKept, Summary};
use super::budget::Claim;
use crate::layout::cloudwatch::LogObject;
use crate::pattern::GRAMMAR;

pub use block::{Coding, Events};
pub(super) use block::{Damaged, Wanted};
pub(super) use keeper::ObjectKeeper;

/// Which columns a scan keeps of the events that it reads. The log group and the log stream are those of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The times.
    Times,
    /// The times and the messages.
    Messages,
    /// The times, and the messages where they are read.
    AsRead,
}

/// The kept columns of objects.
#[derive(Debug)]
pub struct Columns {
    home: Home,
    state: Mutex<State>,
}

/// Where packs are.
#[derive(Debug)]
enum Home {
    /// A run's folder. The packs are files without a name.
    Run { folder: PathBuf, coding: Coding },
    /// A folder of this machine that processes share.
    Cache(Cache),
}

#[derive(Default)]
struct State {
    entries: HashMap<ObjectKey, Arc<Entry>>,
    /// The objects that are being kept.
    begun: HashSet<ObjectKey>,
    /// Packs that take more objects.
    idle: Vec<PackWriter>,
    /// The bytes that may be written.
    room: u64,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "State({} objects)", self.entries.len())
    }
}

impl Columns {
    /// At most `room` bytes of columns in the folder of a run, for its later queries.
    pub fn of_run(folder: PathBuf, room: u64, coding: Coding) -> Arc<Self> {
        Self::new(Home::Run { folder, coding }, room)
    }

    /// Columns in the cache of this machine.
    pub fn cached(cache: Cache) -> Arc<Self> {
        Self::new(Home::Cache(cache), 0)
    }

    fn new(home: Home, room: u64) -> Arc<Self> {
        let state = State {
            room,
            ..State::default()
        };
        Arc::new(Self {
            home,
            state: Mutex::new(state),
        })
    }

    /// Finds those of these objects that other processes have kept.
    fn load(&self, wanted: &HashSet<ObjectKey>) {
        let Home::Cache(cache) = &self.home else {
            return;
        };
        let found = cache.entries(|key| wanted.contains(key));
        let mut state = self.state();
        for (key, entry) in found {
            let has = |summary: &Summary| (summary.has_messages, !summary.may_have_patterns());
            let known = state.entries.get(&key);
            if known.is_none_or(|known| has(&entry.summary) >= has(&known.summary)) {
                state.entries.insert(key, Arc::new(entry));
            }
        }
    }

    fn find(&self, key: ObjectKey) -> Option<Arc<Entry>> {
        self.state().entries.get(&key).cloned()
    }

    /// Forgets an object whose columns are damaged: it is kept anew.
    fn forget(&self, key: ObjectKey, damaged: &Arc<Entry>) {
        let mut state = self.state();
        if let Some(entry) = state.entries.get(&key)
            && Arc::ptr_eq(entry, damaged)
        {
            state.entries.remove(&key);
        }
        drop(state);
        if let Home::Cache(cache) = &self.home
            && let Some(path) = damaged.pack().path()
        {
            tracing::debug!(path = %path.display(), "kept columns are damaged, and are made anew");
            cache.remove(&path);
        }
    }

    /// Takes a pack that the object is written to; `None` where it is being kept already.
    fn begin(&self, key: ObjectKey) -> io::Result<Option<PackWriter>> {
        let mut state = self.state();
        if !state.begun.insert(key) {
            return Ok(None);
        }
        let idle = state.idle.pop();
        drop(state);
        let writer = match (idle, &self.home) {
            (Some(writer), _) => Ok(writer),
            (None, Home::Run { folder, coding }) => PackWriter::new(folder, None, *coding),
            (None, Home::Cache(cache)) => cache.begin(),
        };
        if writer.is_err() {
            self.state().begun.remove(&key);
        }
        writer.map(Some)
    }

    /// Takes a pack back, with the object, or with the bytes that were written of one that is not whole.
    fn end(&self, key: ObjectKey, mut writer: PackWriter, whole: Result<Entry, u64>) {
        writer.blocks().clear();
        let mut state = self.state();
        state.begun.remove(&key);
        match whole {
            Ok(entry) => drop(state.entries.insert(key, Arc::new(entry))),
            // The next object overwrites them.
            Err(written) => state.room += written,
        }
        match &self.home {
            Home::Cache(cache) if writer.length() >= cache.pack_bytes() => {
                drop(state);
                self.finish(cache, writer);
            }
            _ => state.idle.push(writer),
        }
    }

    /// Takes room for `bytes` more bytes of a pack, of whose present object `object_bytes` were written; false where there is none.
    fn reserve(&self, writer: &PackWriter, object_bytes: u64, bytes: u64) -> io::Result<bool> {
        let mut state = self.state();
        if let Home::Cache(cache) = &self.home
            && state.room < bytes
        {
            state.room += cache.make_room(state.room, bytes);
        }
        let Some(left) = state.room.checked_sub(bytes) else {
            return Ok(false);
        };
        if let Home::Cache(_) = self.home {
            // Other processes see at each moment what was taken of the room: it is in the length of a file.
            writer.extend(object_bytes, bytes)?;
        }
        state.room = left;
        Ok(true)
    }

    /// Lets other processes have what was kept so far.
    fn publish(&self) {
        if let Home::Cache(cache) = &self.home {
            let idle = std::mem::take(&mut self.state().idle);
            idle.into_iter()
                .for_each(|writer| self.finish(cache, writer));
        }
    }

    /// Lets other processes have a pack, if there is room for the list of its objects too.
    fn finish(&self, cache: &Cache, mut writer: PackWriter) {
        let closed = writer.close();
        match closed.and_then(|bytes| self.reserve(&writer, 0, bytes)) {
            Ok(true) => cache.finish(writer),
            Ok(false) => tracing::debug!("the cache has no room for a pack's list"),
            Err(error) => tracing::debug!("a pack can't be ended: {error}"),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Columns {
    fn drop(&mut self) {
        self.publish();
    }
}

/// What is kept of the objects of a table.
#[derive(Debug)]
pub(super) struct KeptObjects {
    columns: Arc<Columns>,
    keep: Keep,
    /// In the order of the table's list; `None` for an object whose content may change behind its key.
    keys: Vec<Option<ObjectKey>>,
    /// Whether the objects are files of this machine.
    is_local: bool,
}

/// What of an object's events a scan reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reads {
    /// The messages, to make rows of them or to check them.
    pub(super) messages: bool,
    /// The patterns of the messages.
    pub(super) patterns: bool,
}

/// What of an object's columns a scan needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Needs {
    /// The messages.
    pub(super) messages: bool,
    /// Which of the messages were not UTF-8.
    pub(super) checked: bool,
}

impl KeptObjects {
    /// Those of a table's objects, which have their keys behind `place`.
    pub(super) fn new(
        columns: &Arc<Columns>,
        keep: Keep,
        (objects, place, masks): (&[LogObject], &str, bool),
        is_local: bool,
    ) -> Self {
        let key = |object: &LogObject| ObjectKey::of(place, object, masks);
        let keys = objects
            .iter()
            .map(|object| object.e_tag.as_ref().map(|_| key(object)));
        let keys: Vec<_> = keys.collect();
        columns.load(&keys.iter().flatten().copied().collect());
        Self {
            columns: Arc::clone(columns),
            keep,
            keys,
            is_local,
        }
    }

    /// Whether the object's columns are kept, as far as that is known without a look at the object.
    pub(super) fn has(&self, number: usize, needs: Needs) -> bool {
        self.entry(number, needs).is_some()
    }

    /// The object's columns, if they are kept and it is still the same.
    pub(super) fn find(&self, number: usize, object: &LogObject, needs: Needs) -> Option<Kept> {
        let entry = self.entry(number, needs)?;
        if entry.summary.stamp != self.stamp(object)? {
            return None;
        }
        entry.pack().note_use();
        Some(Kept {
            columns: Arc::clone(&self.columns),
            key: self.keys[number]?,
            entry,
        })
    }

    fn entry(&self, number: usize, needs: Needs) -> Option<Arc<Entry>> {
        let entry = self.columns.find((*self.keys.get(number)?)?)?;
        let summary = &entry.summary;
        let suffices =
            summary.has_messages >= needs.messages && summary.is_checked >= needs.checked;
        suffices.then_some(entry)
    }

    /// What keeps the object's columns while a scan that reads its messages, or does not, reads it; `None` where they are
    /// kept already, or there is no memory for it.
    pub(super) fn keeper(
        &self,
        number: usize,
        object: &LogObject,
        reads: Reads,
        claim: &Arc<Claim>,
    ) -> Option<ObjectKeeper> {
        let key = (*self.keys.get(number)?)?;
        let stamp = self.stamp(object)?;
        let messages = match self.keep {
            Keep::Times => false,
            Keep::Messages => true,
            Keep::AsRead => reads.messages,
        };
        let patterns = messages && reads.patterns;
        let has = |entry: &Arc<Entry>| {
            entry.summary.stamp == stamp
                && entry.summary.has_messages >= messages
                && entry.summary.is_checked >= reads.messages
                && !(patterns && entry.summary.may_have_patterns())
        };
        if self.columns.find(key).as_ref().is_some_and(has) {
            return None;
        }
        let summary = Summary {
            has_messages: messages,
            is_checked: messages || reads.messages,
            stray_lines: 0,
            backdated_events: 0,
            stamp,
            patterns: match patterns {
                true => PatternsKept::Of(GRAMMAR),
                false => PatternsKept::No,
            },
        };
        ObjectKeeper::begin(&self.columns, key, summary, claim)
    }

    /// What keeps an object anew, with the patterns that it does not have, while its kept columns are read; `None` where they
    /// are not worth it: a run's columns end with it.
    pub(super) fn keeper_of_patterns(
        &self,
        kept: &Kept,
        claim: &Arc<Claim>,
    ) -> Option<ObjectKeeper> {
        let summary = kept.entry.summary;
        let is_cached = matches!(self.columns.home, Home::Cache(_));
        if !is_cached || !summary.may_have_patterns() {
            return None;
        }
        let summary = Summary {
            patterns: PatternsKept::Of(GRAMMAR),
            ..summary
        };
        ObjectKeeper::begin(&self.columns, kept.key, summary, claim)
    }

    /// Lets other processes have what was kept so far.
    pub(super) fn publish(&self) {
        self.columns.publish();
    }

    /// What a file of this machine is like now; 0 for other objects, whose ETag says it. `None` where it is gone.
    fn stamp(&self, object: &LogObject) -> Option<u64> {
        match self.is_local {
            false => Some(0),
            true => std::fs::metadata(format!("/{}", object.key()))
                .ok()
                .map(|metadata| stamp_of(&metadata)),
        }
    }
}

/// Differs where a file was written to, also where its length and its time of modification were put back.
fn stamp_of(metadata: &Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    hasher.hash_one((
        (metadata.dev(), metadata.ino(), metadata.len()),
        (metadata.mtime(), metadata.mtime_nsec()),
        (metadata.ctime(), metadata.ctime_nsec()),
    ))
}

/// An object whose columns are kept.
pub(super) struct Kept {
    columns: Arc<Columns>,
    key: ObjectKey,
    pub(super) entry: Arc<Entry>,
}

impl Kept {
    /// Forgets the columns, which are damaged.
    pub(super) fn forget(self) {
        self.columns.forget(self.key, &self.entry);
    }
}
