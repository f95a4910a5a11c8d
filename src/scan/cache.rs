//! A cache of compressed objects on this machine's disk, so that the next query of a job does not request them from S3
//! again.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use object_store::ObjectMeta;
use sha2::{Digest, Sha256};

/// The cached objects, each as a file.
#[derive(Debug)]
pub struct ObjectCache {
    folder: PathBuf,
    /// Bytes that may still be cached.
    room: AtomicU64,
    /// Downloads that are under way. A second reader waits for the first, and then reads the cached file.
    downloads: Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>,
}

/// The right to download an object.
pub(super) type Turn = tokio::sync::OwnedMutexGuard<()>;

impl ObjectCache {
    /// A cache of at most `room` bytes in `folder`.
    pub fn new(folder: PathBuf, room: u64) -> Self {
        Self {
            folder,
            room: AtomicU64::new(room),
            downloads: Mutex::default(),
        }
    }

    fn file(&self, meta: &ObjectMeta) -> PathBuf {
        let mut hash = Sha256::new();
        hash.update(meta.location.as_ref());
        hash.update([0]);
        hash.update(meta.e_tag.as_deref().unwrap_or_default());
        let name: String = hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        self.folder.join(name)
    }

    /// The object's file, if it is cached.
    pub(super) fn get(&self, meta: &ObjectMeta) -> Option<File> {
        File::open(self.file(meta)).ok()
    }

    /// Waits until no other reader downloads the object.
    pub(super) async fn turn(&self, meta: &ObjectMeta) -> Turn {
        let file = self.file(meta);
        let turn = {
            let mut downloads = self
                .downloads
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            // Only this map has those that have ended.
            downloads.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(downloads.entry(file).or_default())
        };
        turn.lock_owned().await
    }

    /// Caches an object that is in memory.
    pub(super) fn put(&self, meta: &ObjectMeta, bytes: &[u8]) {
        if let Some(mut writer) = self.begin(meta) {
            writer.write(bytes);
            writer.complete();
        }
    }

    /// A writer for the object; `None` where there is no room for it. An object that can't be cached is requested
    /// again.
    pub(super) fn begin(&self, meta: &ObjectMeta) -> Option<CacheWriter> {
        self.room
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| {
                room.checked_sub(meta.size)
            })
            .ok()?;
        let file = tempfile::NamedTempFile::new_in(&self.folder).ok()?;
        Some(CacheWriter {
            file: Some(file),
            target: self.file(meta),
        })
    }
}

/// Writes an object to the cache, where it appears when it is complete.
pub(super) struct CacheWriter {
    file: Option<tempfile::NamedTempFile>,
    target: PathBuf,
}

impl CacheWriter {
    pub(super) fn write(&mut self, piece: &[u8]) {
        if let Some(file) = &mut self.file
            && file.write_all(piece).is_err()
        {
            self.file = None;
        }
    }

    pub(super) fn complete(&mut self) {
        if let Some(file) = self.file.take() {
            // Without the file, the object is requested again.
            let _ = file.persist(&self.target);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[tokio::test]
    async fn a_second_reader_waits_for_the_first_and_finds_the_object_cached() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Arc::new(ObjectCache::new(folder.path().to_owned(), 7));
        let meta = |name: &str| ObjectMeta {
            location: name.into(),
            last_modified: Default::default(),
            size: 7,
            e_tag: None,
            version: None,
        };
        let turn = cache.turn(&meta("a.gz")).await;
        let second = tokio::spawn({
            let (cache, meta) = (Arc::clone(&cache), meta("a.gz"));
            async move {
                let _turn = cache.turn(&meta).await;
                let mut content = String::new();
                let mut cached = cache.get(&meta).expect("it was cached meanwhile");
                cached.read_to_string(&mut content).unwrap();
                content
            }
        });
        // Another object need not wait.
        drop(cache.turn(&meta("b.gz")).await);
        tokio::task::yield_now().await;
        cache.put(&meta("a.gz"), b"content");
        drop(turn);
        assert_eq!(second.await.unwrap(), "content");
        cache.put(&meta("b.gz"), b"content");
        assert!(cache.get(&meta("b.gz")).is_none(), "there is no room");
    }
}
