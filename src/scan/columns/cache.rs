//! The cache of this machine: a folder of packs that processes share, of which the least recently used go first.
//!
//! A pack appears whole, by being renamed, and is never changed, so that a reader needs no lock: one whose pack is removed
//! reads on from the open file. A pack that is written is locked by its writer, and one without a lock, of a process that was
//! killed, is removed.
//!
//! The limit holds for all processes together: each takes room before it writes, while a file in the folder is locked, and the
//! length of a file of its own says how much of it is left.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tempfile::NamedTempFile;

use super::block::Coding;
use super::key::ObjectKey;
use super::pack::{Entry, Pack, PackWriter};
use crate::disk::free_bytes;

/// The ends of the names of whole packs, and of those that are written.
const WHOLE: &str = ".columns";
const PART: &str = ".part";

/// The end of the names of files that have the length of the room of a process, and no bytes.
const ROOM: &str = ".room";

const LOCK: &str = "lock";

/// By default the cache may take this part of the disk that is free, with what the cache has.
const PART_OF_FREE: u64 = 10;

/// A pack ends when it has a fraction of the limit, within these bounds in bytes, so that there is always a least recently used one.
const PACKS_OF_LIMIT: u64 = 64;
const SMALLEST_PACK: u64 = 64 << 10;
const LARGEST_PACK: u64 = 256 << 20;

/// The most packs: their lists are read before a query.
const MOST_PACKS: usize = 512;

/// What was used within this time stays, or since the process began where that is shorter ago. A query over more than the cache
/// holds would otherwise remove what it needs next.
const STAYS: Duration = Duration::from_secs(3600);

/// The bytes of room that are taken at a time.
const ROOM_AT_ONCE: u64 = 16 << 20;

/// A folder of packs.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    /// The most bytes.
    limit: u64,
    opened: SystemTime,
    /// The file that has the length of this process's room, once it took some.
    room: Mutex<Option<NamedTempFile>>,
}

/// What a cache has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The most bytes that it may take.
    pub limit: u64,
    /// The bytes that it takes.
    pub bytes: u64,
    /// Its files.
    pub files: usize,
    /// The objects whose columns it has.
    pub objects: usize,
    /// When a file was last used, and when the one was that goes first.
    pub used: Option<(SystemTime, SystemTime)>,
}

/// A whole pack in the folder.
struct PackFile {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

impl Cache {
    /// The cache in a folder, which is made for its owner only: it has the texts of messages. Without a limit in bytes it is a
    /// tenth of the disk that is free.
    ///
    /// # Errors
    /// The folder can't be made, or can't be written to.
    pub fn open(folder: &Path, limit: Option<u64>) -> io::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        // Absolute: it is also used where the working folder is another one.
        let folder = std::path::absolute(folder)?;
        let mut lock = lock(&folder)?;
        // By the clock that times the packs, which is not as fine as the system's.
        lock.write_all(b"locked while room is made\n")?;
        let opened = lock.metadata()?.modified()?;
        let cache = Self {
            limit: 0,
            opened,
            folder,
            room: Mutex::default(),
        };
        let limit = limit.unwrap_or_else(|| {
            let free = free_bytes(&cache.folder).unwrap_or_default();
            (free + cache.bytes()) / PART_OF_FREE
        });
        Ok(Self { limit, ..cache })
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it has.
    pub fn contents(&self) -> Contents {
        let packs = self.packs();
        let used = packs.iter().map(|pack| pack.used);
        // One can be in several packs: first with its times only, then with its messages.
        let objects: HashSet<ObjectKey> = self.entries(|_| true).iter().map(|of| of.0).collect();
        Contents {
            limit: self.limit,
            bytes: self.bytes(),
            files: packs.len(),
            objects: objects.len(),
            used: used.clone().max().zip(used.min()),
        }
    }

    /// Removes all that no process is writing. The bytes that were removed.
    ///
    /// # Errors
    /// A file can't be removed.
    pub fn clear(&self) -> io::Result<u64> {
        let _lock = lock(&self.folder)?;
        self.remove_abandoned();
        let mut bytes = 0;
        for pack in self.packs() {
            fs::remove_file(&pack.path)?;
            bytes += pack.bytes;
        }
        Ok(bytes)
    }

    /// The wanted objects of all packs. A file that is no whole pack is removed.
    pub(super) fn entries(
        &self,
        is_wanted: impl Fn(&ObjectKey) -> bool,
    ) -> Vec<(ObjectKey, Entry)> {
        let mut entries = Vec::new();
        for pack in self.packs() {
            match Pack::open(&pack.path) {
                Ok(all) => entries.extend(all.into_iter().filter(|(key, _)| is_wanted(key))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::debug!(path = %pack.path.display(), "a file of the cache is damaged: {error}");
                    self.remove(&pack.path);
                }
            }
        }
        entries
    }

    /// A pack ends when it has this many bytes.
    pub(super) fn pack_bytes(&self) -> u64 {
        (self.limit / PACKS_OF_LIMIT).clamp(SMALLEST_PACK, LARGEST_PACK)
    }

    /// Begins a pack.
    pub(super) fn begin(&self) -> io::Result<PackWriter> {
        // Until the new file is locked, it looks like one of a process that was killed.
        let _lock = lock(&self.folder)?;
        PackWriter::new(&self.folder, Some(("", PART)), Coding::Lz4)
    }

    /// Gives a [closed](PackWriter::close) pack its name, by which other processes find it from now on.
    pub(super) fn finish(&self, writer: PackWriter) {
        // Version 7 begins with the time, so that a name is never used twice.
        let name = format!("{}{WHOLE}", uuid::Uuid::now_v7().simple());
        if let Err(error) = writer.finish(&self.folder.join(name)) {
            tracing::debug!("columns are not kept for other processes: {error}");
        }
    }

    pub(super) fn remove(&self, path: &Path) {
        // Another process may have been faster.
        let _ = fs::remove_file(path);
    }

    /// Makes room for at least `bytes` bytes beside the `left` ones that this process has still, for which packs go that were not
    /// used [of late](STAYS); how many more there is room for, 0 where there is too little.
    pub(super) fn make_room(&self, left: u64, bytes: u64) -> u64 {
        let Ok(_lock) = lock(&self.folder) else {
            return 0;
        };
        let mut own = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(own) = self.own_room(&mut own) else {
            return 0;
        };
        self.remove_abandoned();
        let mut packs = self.packs();
        let stays = self.opened.max(SystemTime::now() - STAYS);
        packs.retain(|pack| pack.used < stays);
        packs.sort_by_key(|pack| std::cmp::Reverse(pack.used));
        let rooms = self.files(ROOM).filter(|path| path != own.path());
        let mut taken = left + self.bytes() + rooms.map(length).sum::<u64>();
        let mut files = self.packs().len();
        let step = ROOM_AT_ONCE.min(self.limit / PACKS_OF_LIMIT).max(bytes);
        while (taken + step > self.limit || files >= MOST_PACKS)
            && let Some(oldest) = packs.pop()
        {
            self.remove(&oldest.path);
            taken = taken.saturating_sub(oldest.bytes);
            files -= 1;
        }
        let free = self.limit.saturating_sub(taken);
        let more = match free >= bytes && files < MOST_PACKS {
            true => free.min(step),
            false => 0,
        };
        match own.as_file().set_len(left + more) {
            Ok(()) => more,
            Err(_) => 0,
        }
    }

    fn own_room<'a>(&self, own: &'a mut Option<NamedTempFile>) -> io::Result<&'a NamedTempFile> {
        let file = match own.take() {
            Some(file) => file,
            None => {
                let mut named = tempfile::Builder::new();
                let file = named.prefix("").suffix(ROOM).tempfile_in(&self.folder)?;
                // As long as this process has room.
                file.as_file().lock()?;
                file
            }
        };
        Ok(own.insert(file))
    }

    /// Removes the packs and the room of processes that were killed.
    fn remove_abandoned(&self) {
        for path in self.files(PART).chain(self.files(ROOM)) {
            if let Ok(file) = File::open(&path)
                && file.try_lock().is_ok()
            {
                self.remove(&path);
            }
        }
    }

    fn packs(&self) -> Vec<PackFile> {
        let packs = self.files(WHOLE).filter_map(|path| {
            let metadata = fs::metadata(&path).ok()?;
            Some(PackFile {
                bytes: metadata.len(),
                used: metadata.modified().ok()?,
                path,
            })
        });
        packs.collect()
    }

    /// The bytes of all packs, also of those that are written.
    fn bytes(&self) -> u64 {
        let files = self.files(WHOLE).chain(self.files(PART));
        files.map(length).sum()
    }

    fn files(&self, end: &'static str) -> impl Iterator<Item = PathBuf> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries
            .filter(move |entry| {
                entry
                    .file_name()
                    .as_encoded_bytes()
                    .ends_with(end.as_bytes())
            })
            .map(|entry| entry.path())
    }
}

/// A file's length in bytes; 0 where it is gone.
fn length(path: PathBuf) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Locks the folder, until the file is dropped.
fn lock(folder: &Path) -> io::Result<File> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join(LOCK))?;
    file.lock()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::columns::pack::{PatternsKept, Summary};
    use std::os::unix::fs::PermissionsExt;

    fn add(cache: &Cache, name: &str, bytes: usize) {
        let mut writer = cache.begin().unwrap();
        // What does not compress.
        let text: String = std::iter::repeat_with(|| fastrand::char('0'..='z'))
            .take(bytes)
            .collect();
        writer.blocks().push(7, Some(&text), None, false);
        let blocks = writer.encode(0).unwrap();
        writer.write(&blocks).unwrap();
        let summary = Summary {
            has_messages: true,
            is_checked: true,
            stray_lines: 0,
            backdated_events: 0,
            stamp: 0,
            patterns: PatternsKept::No,
        };
        writer.add(ObjectKey::named(name), summary, blocks);
        writer.close().unwrap();
        cache.finish(writer);
    }

    fn names(cache: &Cache) -> Vec<ObjectKey> {
        let mut keys: Vec<_> = cache
            .entries(|_| true)
            .iter()
            .map(|(key, _)| *key)
            .collect();
        keys.sort_by_key(ToString::to_string);
        keys
    }

    fn named(names: &[&str]) -> Vec<ObjectKey> {
        let mut keys: Vec<_> = names.iter().map(|name| ObjectKey::named(name)).collect();
        keys.sort_by_key(ToString::to_string);
        keys
    }

    #[test]
    fn the_folder_is_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("a/b");
        Cache::open(&folder, None).unwrap();
        let mode = folder.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        std::fs::write(folder.join("file"), "").unwrap();
        assert!(Cache::open(&folder.join("file"), None).is_err());
    }

    #[test]
    fn the_least_recently_used_go_first_and_none_that_was_used_since() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Cache::open(folder.path(), Some(100_000)).unwrap();
        let cache = open();
        for name in ["first", "second", "third"] {
            add(&cache, name, 30_000);
            std::thread::sleep(Duration::from_millis(20));
        }
        // This process uses all of them.
        assert_eq!(cache.make_room(0, 50_000), 0);
        let cache = open();
        let (_, first) = cache
            .entries(|key| *key == ObjectKey::named("first"))
            .remove(0);
        first.pack().note_use();
        assert!(cache.make_room(0, 30_000) >= 30_000);
        assert_eq!(names(&cache), named(&["first", "third"]));
        assert_eq!(cache.make_room(0, 100_001), 0);
        assert_eq!(names(&cache), named(&["first"]));
    }

    #[test]
    fn the_limit_holds_for_all_processes_together() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Cache::open(folder.path(), Some(100_000)).unwrap();
        // Before the packs are, so that none of them goes.
        let (one, other, third) = (open(), open(), open());
        assert_eq!(one.make_room(0, 60_000), 60_000);
        // What the one has not written yet is no room for the other.
        assert_eq!(other.make_room(0, 50_000), 0);
        assert_eq!(other.make_room(0, 30_000), 30_000);
        // Of its room the one has written all but 10 bytes, which it may go on to write.
        add(&one, "first", 50_000);
        let written = one.bytes();
        assert_eq!(one.make_room(10, 70_000 - written), 0);
        assert_eq!(one.make_room(10, 69_990 - written), 69_990 - written);
        drop(other);
        assert_eq!(third.make_room(0, 30_001), 0);
        assert_eq!(third.make_room(0, 30_000), 30_000);
        drop((one, third));
        assert_eq!(open().files(ROOM).count(), 0);
    }

    #[test]
    fn a_pack_that_begins_is_not_abandoned() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), Some(1 << 20)).unwrap();
        std::thread::scope(|threads| {
            for _ in 0..2 {
                threads.spawn(|| {
                    for _ in 0..200 {
                        cache.make_room(0, 1);
                    }
                });
                threads.spawn(|| {
                    let begun: Vec<PackWriter> = std::iter::repeat_with(|| cache.begin().unwrap())
                        .take(60)
                        .collect();
                    for mut writer in begun {
                        writer.close().unwrap();
                        let name = format!("{}{WHOLE}", uuid::Uuid::now_v7().simple());
                        writer.finish(&folder.path().join(name)).unwrap();
                    }
                });
            }
        });
    }

    #[test]
    fn damaged_and_abandoned_files_go() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), Some(1 << 20)).unwrap();
        add(&cache, "whole", 100);
        std::fs::write(folder.path().join("cut.columns"), "no pack").unwrap();
        std::fs::write(folder.path().join("killed.part"), "a beginning").unwrap();
        std::fs::write(folder.path().join("killed.room"), "its room").unwrap();
        let written = cache.begin().unwrap();
        assert_eq!(names(&cache), named(&["whole"]));
        assert!(!folder.path().join("cut.columns").exists());
        assert!(cache.make_room(0, 1) > 0);
        assert_eq!(cache.files(PART).count(), 1, "the one that is written");
        assert_eq!(cache.files(ROOM).count(), 1, "that of this process");
        let contents = cache.contents();
        assert_eq!((contents.files, contents.objects), (1, 1));
        assert!(cache.clear().unwrap() > 100);
        assert_eq!(cache.contents().bytes, 0);
        drop(written);
        assert_eq!(cache.files(PART).count(), 0);
    }
}
