//! Compressed objects on this machine's disk, so that the next question of a job does not ask S3 again.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use object_store::ObjectMeta;
use sha2::{Digest, Sha256};

/// The objects that are kept, each as a file.
#[derive(Debug)]
pub struct ObjectCache {
    folder: PathBuf,
    /// Bytes that may still be kept.
    room: AtomicU64,
    /// The objects that somebody asks for just now. Whoever else wants one waits, and finds it kept.
    asking: Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>,
}

/// The turn to ask for an object.
pub(super) type Turn = tokio::sync::OwnedMutexGuard<()>;

impl ObjectCache {
    /// Keeps at most `room` bytes in `folder`.
    pub fn new(folder: PathBuf, room: u64) -> Self {
        Self {
            folder,
            room: AtomicU64::new(room),
            asking: Mutex::default(),
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

    /// The file that has the object, where one does.
    pub(super) fn kept(&self, meta: &ObjectMeta) -> Option<File> {
        File::open(self.file(meta)).ok()
    }

    /// Waits until nobody else asks for the object.
    pub(super) async fn turn(&self, meta: &ObjectMeta) -> Turn {
        let file = self.file(meta);
        let turn = {
            let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that nobody waits for any more.
            asking.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(asking.entry(file).or_default())
        };
        turn.lock_owned().await
    }

    /// Keeps an object that is in memory.
    pub(super) fn keep(&self, meta: &ObjectMeta, bytes: &[u8]) {
        if let Some(mut keeping) = self.begin(meta) {
            keeping.write(bytes);
            keeping.complete();
        }
    }

    /// A file for the object, where there is room for it. What can't be kept is asked for again; that is no error.
    pub(super) fn begin(&self, meta: &ObjectMeta) -> Option<Keeping> {
        self.room
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| {
                room.checked_sub(meta.size)
            })
            .ok()?;
        let file = tempfile::NamedTempFile::new_in(&self.folder).ok()?;
        Some(Keeping {
            file: Some(file),
            target: self.file(meta),
        })
    }
}

/// An object on its way into the cache; it is there when it is whole.
pub(super) struct Keeping {
    file: Option<tempfile::NamedTempFile>,
    target: PathBuf,
}

impl Keeping {
    pub(super) fn write(&mut self, piece: &[u8]) {
        if let Some(file) = &mut self.file
            && file.write_all(piece).is_err()
        {
            self.file = None;
        }
    }

    pub(super) fn complete(&mut self) {
        if let Some(file) = self.file.take() {
            // A cache that can't be written is one that is not used.
            let _ = file.persist(&self.target);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[tokio::test]
    async fn whoever_waits_for_a_turn_finds_the_object_kept() {
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
                let mut kept = cache.kept(&meta).expect("it was kept meanwhile");
                kept.read_to_string(&mut content).unwrap();
                content
            }
        });
        // Another object need not wait.
        drop(cache.turn(&meta("b.gz")).await);
        tokio::task::yield_now().await;
        cache.keep(&meta("a.gz"), b"content");
        drop(turn);
        assert_eq!(second.await.unwrap(), "content");
        cache.keep(&meta("b.gz"), b"content");
        assert!(cache.kept(&meta("b.gz")).is_none(), "there is no room");
    }
}
