//! The bytes of objects: asked for ahead of the decoding, and kept on disk where they will be asked for again.
//!
//! The engine opens an object when the one before it is done, so a scan of many small objects on S3 would spend its
//! time waiting for first bytes. Objects are opened in an order that is known, so the next ones are requested while
//! the present ones are decoded.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Error, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt, Result};
use sha2::{Digest, Sha256};

use crate::store::local_etag;

/// Larger objects are not read into memory whole.
pub const LARGEST_WHOLE_OBJECT: u64 = 32 << 20;

/// Requests under way ahead of the decoding. S3 answers 5,500 a second for a prefix; a first byte takes 10 to 100 ms.
const MOST_AHEAD: usize = 128;

/// Compressed bytes that are there, or asked for, ahead of the decoding.
const MOST_BYTES_AHEAD: u64 = 64 << 20;

/// A large file is read in pieces of this size.
const FILE_PIECE: usize = 1 << 20;

/// A large object is asked for in ranges of this size, so many at a time.
const RANGE: u64 = 8 << 20;
const RANGES_AHEAD: usize = 2;

/// An object's content.
pub enum Content {
    /// In memory.
    Whole(Bytes),
    /// Piece by piece.
    Pieces(BoxStream<'static, Result<Bytes>>),
}

/// Fetches the objects of one scan.
#[derive(Default)]
pub struct Fetcher {
    /// Whether the objects are files of this machine.
    is_local: bool,
    buffers: Arc<FileBuffers>,
    /// The objects in the order in which they will be opened; empty where nothing is asked for ahead.
    order: Vec<ObjectMeta>,
    position: HashMap<Path, usize>,
    ahead: Mutex<Ahead>,
    cache: Option<Arc<ObjectCache>>,
}

#[derive(Default)]
struct Ahead {
    /// The first object that was not asked for.
    next: usize,
    requests: HashMap<usize, SpawnedTask<Result<Bytes>>>,
    bytes: u64,
}

impl Fetcher {
    /// A fetcher of so many files.
    pub fn local(files: usize) -> Self {
        Self {
            is_local: true,
            buffers: Arc::new(FileBuffers::for_files(files)),
            ..Self::default()
        }
    }

    /// A fetcher that asks for the objects of `order` ahead, and keeps what it gets in `cache`.
    ///
    /// An object that is opened twice, for two parts of its events, is asked for ahead once.
    pub fn new(mut order: Vec<ObjectMeta>, cache: Option<Arc<ObjectCache>>) -> Self {
        let mut position = HashMap::new();
        order.retain(|meta| {
            let next = position.len();
            *position.entry(meta.location.clone()).or_insert(next) == next
        });
        Self {
            order,
            position,
            cache,
            ..Self::default()
        }
    }

    /// The content of an object, and requests for the next ones.
    pub async fn fetch(
        &self,
        objects: &Arc<dyn ObjectStore>,
        meta: &ObjectMeta,
    ) -> Result<Content> {
        if self.is_local {
            return read_file(meta, &self.buffers);
        }
        let position = self.position.get(&meta.location).copied();
        let requested = position.and_then(|position| {
            let mut ahead = self.ahead();
            ahead.next = ahead.next.max(position + 1);
            let requested = ahead.requests.remove(&position);
            if requested.is_some() {
                ahead.bytes -= meta.size;
            }
            self.ask_ahead(&mut ahead, objects);
            requested
        });
        match requested {
            Some(request) => request
                .join_unwind()
                .await
                .map_err(|source| Error::JoinError { source })?
                .map(Content::Whole),
            None if meta.size <= LARGEST_WHOLE_OBJECT => {
                whole(objects, meta, self.cache.as_deref())
                    .await
                    .map(Content::Whole)
            }
            None => pieces(objects, meta, self.cache.clone())
                .await
                .map(Content::Pieces),
        }
    }

    fn ask_ahead(&self, ahead: &mut Ahead, objects: &Arc<dyn ObjectStore>) {
        while let Some(meta) = self.order.get(ahead.next)
            && ahead.requests.len() < MOST_AHEAD
            && ahead.bytes + meta.size <= MOST_BYTES_AHEAD
        {
            if meta.size <= LARGEST_WHOLE_OBJECT {
                let (objects, meta, cache) =
                    (Arc::clone(objects), meta.clone(), self.cache.clone());
                ahead.bytes += meta.size;
                let request = async move { whole(&objects, &meta, cache.as_deref()).await };
                ahead
                    .requests
                    .insert(ahead.next, SpawnedTask::spawn(request));
            }
            ahead.next += 1;
        }
    }

    fn ahead(&self) -> MutexGuard<'_, Ahead> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file, read on the thread that will decode it: a disk answers sooner than another thread wakes up.
fn read_file(meta: &ObjectMeta, buffers: &Arc<FileBuffers>) -> Result<Content> {
    let path = meta.location.to_string();
    let failed = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => Error::NotFound {
            path: path.clone(),
            source: source.into(),
        },
        _ => Error::Generic {
            store: "LocalFileSystem",
            source: source.into(),
        },
    };
    let mut file = File::open(format!("/{path}")).map_err(failed)?;
    let now = file.metadata().map_err(failed)?;
    if meta
        .e_tag
        .as_ref()
        .is_some_and(|listed| *listed != local_etag(&now))
    {
        return Err(Error::Precondition {
            source: "it has changed since it was listed".into(),
            path,
        });
    }
    if meta.size > LARGEST_WHOLE_OBJECT {
        let pieces = std::iter::from_fn(move || {
            let mut piece = Vec::with_capacity(FILE_PIECE);
            match (&mut file).take(FILE_PIECE as u64).read_to_end(&mut piece) {
                Ok(0) => None,
                Ok(_) => Some(Ok(Bytes::from(piece))),
                Err(error) => Some(Err(Error::Generic {
                    store: "LocalFileSystem",
                    source: error.into(),
                })),
            }
        });
        return Ok(Content::Pieces(futures::stream::iter(pieces).boxed()));
    }
    // One more byte, so that the end is seen without growing.
    let mut buffer = FileBuffers::lend(buffers, usize::try_from(meta.size).unwrap_or(0) + 1);
    file.read_to_end(&mut buffer.bytes).map_err(failed)?;
    Ok(Content::Whole(Bytes::from_owner(buffer)))
}

/// Memory that files are read into, again and again: the pages of fresh memory cost about as much as copying a file
/// that the operating system has in its cache.
#[derive(Default)]
struct FileBuffers(Mutex<IdleBuffers>);

#[derive(Default)]
struct IdleBuffers {
    idle: Vec<Vec<u8>>,
    /// How many files are still to be read; a plan that is run once more reads more than were announced.
    to_come: usize,
}

impl FileBuffers {
    /// For a scan that will read so many files.
    fn for_files(to_come: usize) -> Self {
        let idle = Vec::new();
        Self(Mutex::new(IdleBuffers { idle, to_come }))
    }

    /// An empty buffer with room for so many bytes.
    fn lend(buffers: &Arc<Self>, room: usize) -> LentBuffer {
        let mut state = buffers.state();
        state.to_come = state.to_come.saturating_sub(1);
        let mut bytes = state.idle.pop().unwrap_or_default();
        drop(state);
        if bytes.capacity() < room {
            // Freed first, so that both are never held.
            bytes = Vec::new();
            bytes.reserve_exact(room);
        }
        LentBuffer {
            bytes,
            lender: Arc::clone(buffers),
        }
    }

    fn state(&self) -> MutexGuard<'_, IdleBuffers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct LentBuffer {
    bytes: Vec<u8>,
    lender: Arc<FileBuffers>,
}

impl AsRef<[u8]> for LentBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for LentBuffer {
    fn drop(&mut self) {
        let mut state = self.lender.state();
        if state.idle.len() < state.to_come {
            self.bytes.clear();
            state.idle.push(std::mem::take(&mut self.bytes));
        }
    }
}

/// Only the object that was listed: one that was put in its place has other events.
fn as_listed(meta: &ObjectMeta) -> GetOptions {
    GetOptions {
        if_match: meta.e_tag.clone(),
        ..GetOptions::default()
    }
}

async fn whole(
    objects: &Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
    cache: Option<&ObjectCache>,
) -> Result<Bytes> {
    if let Some(kept) = cache.and_then(|cache| cache.path(meta)) {
        return kept_object(&kept).await?.bytes().await;
    }
    let bytes = objects
        .get_opts(&meta.location, as_listed(meta))
        .await?
        .bytes()
        .await?;
    if let Some(cache) = cache {
        cache.keep(meta, &bytes);
    }
    Ok(bytes)
}

async fn pieces(
    objects: &Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
    cache: Option<Arc<ObjectCache>>,
) -> Result<BoxStream<'static, Result<Bytes>>> {
    if let Some(kept) = cache.as_ref().and_then(|cache| cache.path(meta)) {
        return Ok(kept_object(&kept).await?.into_stream());
    }
    let stream = ranges(Arc::clone(objects), meta.clone());
    let Some(keeping) = cache.and_then(|cache| cache.begin(meta)) else {
        return Ok(stream);
    };
    let kept =
        futures::stream::try_unfold((stream, keeping), |(mut stream, mut keeping)| async move {
            match stream.try_next().await? {
                Some(piece) => {
                    keeping.write(&piece);
                    Ok(Some((piece, (stream, keeping))))
                }
                None => {
                    keeping.complete();
                    Ok(None)
                }
            }
        });
    Ok(kept.boxed())
}

/// An object by ranges. One request for all of it would not wait for the decoding: the requests' runtime hands bytes over
/// through a channel without bounds, so that the whole object would end in memory.
fn ranges(objects: Arc<dyn ObjectStore>, meta: ObjectMeta) -> BoxStream<'static, Result<Bytes>> {
    let starts = (0..meta.size).step_by(RANGE as usize);
    futures::stream::iter(starts)
        .map(move |start| {
            let (objects, meta) = (Arc::clone(&objects), meta.clone());
            async move {
                let end = meta.size.min(start + RANGE);
                let options = GetOptions {
                    range: Some((start..end).into()),
                    ..as_listed(&meta)
                };
                let got = objects.get_opts(&meta.location, options).await?;
                got.bytes().await
            }
        })
        .buffered(RANGES_AHEAD)
        .boxed()
}

async fn kept_object(file: &std::path::Path) -> Result<object_store::GetResult> {
    LocalFileSystem::new()
        .get(&Path::from_absolute_path(file)?)
        .await
}

/// Compressed objects on this machine's disk, so that the next question of a job does not ask S3 again.
#[derive(Debug)]
pub struct ObjectCache {
    folder: PathBuf,
    /// Bytes that may still be kept.
    room: AtomicU64,
}

impl ObjectCache {
    /// Keeps at most `room` bytes in `folder`.
    pub fn new(folder: PathBuf, room: u64) -> Self {
        Self {
            folder,
            room: AtomicU64::new(room),
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
    fn path(&self, meta: &ObjectMeta) -> Option<PathBuf> {
        Some(self.file(meta)).filter(|file| file.exists())
    }

    fn keep(&self, meta: &ObjectMeta, bytes: &Bytes) {
        if let Some(mut keeping) = self.begin(meta) {
            keeping.write(bytes);
            keeping.complete();
        }
    }

    /// A file for the object, where there is room for it. What can't be kept is asked for again; that is no error.
    fn begin(&self, meta: &ObjectMeta) -> Option<Keeping> {
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
struct Keeping {
    file: Option<tempfile::NamedTempFile>,
    target: PathBuf,
}

impl Keeping {
    fn write(&mut self, piece: &[u8]) {
        if let Some(file) = &mut self.file
            && file.write_all(piece).is_err()
        {
            self.file = None;
        }
    }

    fn complete(&mut self) {
        if let Some(file) = self.file.take() {
            // A cache that can't be written is one that is not used.
            let _ = file.persist(&self.target);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;
    use object_store::throttle::{ThrottleConfig, ThrottledStore};
    use std::time::{Duration, Instant};

    async fn store(count: usize, latency: Duration) -> (Arc<dyn ObjectStore>, Vec<ObjectMeta>) {
        let memory = InMemory::new();
        for number in 0..count {
            let key = Path::from(format!("{number:04}.gz"));
            memory
                .put(&key, Bytes::from(number.to_string()).into())
                .await
                .unwrap();
        }
        let mut metas: Vec<ObjectMeta> = memory.list(None).try_collect().await.unwrap();
        metas.sort_by(|a, b| a.location.cmp(&b.location));
        let config = ThrottleConfig {
            wait_get_per_call: latency,
            ..ThrottleConfig::default()
        };
        (Arc::new(ThrottledStore::new(memory, config)), metas)
    }

    async fn text(content: Content) -> String {
        let bytes = match content {
            Content::Whole(bytes) => bytes.to_vec(),
            Content::Pieces(pieces) => pieces.try_collect::<Vec<_>>().await.unwrap().concat(),
        };
        String::from_utf8(bytes).unwrap()
    }

    #[tokio::test]
    async fn requests_overlap_and_each_object_is_its_own() {
        let (objects, metas) = store(300, Duration::from_millis(20)).await;
        let fetcher = Fetcher::new(metas.clone(), None);
        let since = Instant::now();
        for (number, meta) in metas.iter().enumerate() {
            assert_eq!(
                text(fetcher.fetch(&objects, meta).await.unwrap()).await,
                number.to_string()
            );
        }
        // One after the other would be 6 seconds.
        assert!(
            since.elapsed() < Duration::from_secs(3),
            "{:?}",
            since.elapsed()
        );
    }

    #[tokio::test]
    async fn an_object_that_is_opened_twice_leaves_no_request_behind() {
        let (objects, metas) = store(3, Duration::ZERO).await;
        let twice: Vec<ObjectMeta> = metas.iter().chain(&metas).cloned().collect();
        let fetcher = Fetcher::new(twice.clone(), None);
        for meta in &twice {
            fetcher.fetch(&objects, meta).await.unwrap();
        }
        let ahead = fetcher.ahead();
        assert!(ahead.requests.is_empty() && ahead.bytes == 0);
    }

    #[tokio::test]
    async fn any_order_and_a_second_time_are_fine() {
        let (objects, metas) = store(20, Duration::ZERO).await;
        let fetcher = Fetcher::new(metas.clone(), None);
        for meta in metas.iter().rev().chain(&metas) {
            let number: usize = text(fetcher.fetch(&objects, meta).await.unwrap())
                .await
                .parse()
                .unwrap();
            assert_eq!(metas[number].location, meta.location);
        }
    }

    #[tokio::test]
    async fn an_object_that_was_replaced_is_not_taken() {
        let (objects, metas) = store(3, Duration::ZERO).await;
        objects
            .put(&metas[1].location, Bytes::from("other").into())
            .await
            .unwrap();
        let error = Fetcher::default()
            .fetch(&objects, &metas[1])
            .await
            .err()
            .unwrap();
        assert!(matches!(error, Error::Precondition { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_file_is_read_as_it_was_listed_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let nobody: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let list = || async {
            let prefix = Path::from_absolute_path(folder.path()).unwrap();
            let listed = LocalFileSystem::new()
                .list(Some(&prefix))
                .try_collect::<Vec<_>>();
            listed.await.unwrap().remove(0)
        };
        let file = folder.path().join("[$LATEST] a.gz");
        std::fs::write(&file, "content").unwrap();
        let mut listed = list().await;
        let fetcher = Fetcher::local(1);
        assert_eq!(
            text(fetcher.fetch(&nobody, &listed).await.unwrap()).await,
            "content"
        );
        // What is too large for memory comes in pieces.
        listed.size = LARGEST_WHOLE_OBJECT + 1;
        assert_eq!(
            text(fetcher.fetch(&nobody, &listed).await.unwrap()).await,
            "content"
        );

        std::fs::write(&file, "other content").unwrap();
        let error = fetcher.fetch(&nobody, &listed).await.err().unwrap();
        assert!(matches!(error, Error::Precondition { .. }), "{error}");
        std::fs::remove_file(&file).unwrap();
        let error = fetcher.fetch(&nobody, &listed).await.err().unwrap();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
    }

    #[test]
    fn a_buffer_is_lent_again_when_nobody_reads_it() {
        let buffers = Arc::new(FileBuffers::for_files(4));
        let read = |text: &str| {
            let mut buffer = FileBuffers::lend(&buffers, text.len());
            buffer.bytes.extend_from_slice(text.as_bytes());
            Bytes::from_owner(buffer)
        };
        let (first, second) = (read("the first"), read("the second"));
        let part = first.slice(4..);
        let place = first.as_ptr();
        drop(first);
        let third = read("third");
        assert_ne!(third.as_ptr(), place, "a part of it is still read");
        assert_eq!(
            (&part[..], &second[..], &third[..]),
            (&b"first"[..], &b"the second"[..], &b"third"[..])
        );
        drop(part);
        let last = read("last");
        assert_eq!((last.as_ptr(), &last[..]), (place, &b"last"[..]));
        drop((second, third, last));
        assert!(buffers.state().idle.is_empty(), "no file is to come");
    }

    #[tokio::test]
    async fn what_was_kept_is_not_asked_for_again() {
        let folder = tempfile::tempdir().unwrap();
        let (objects, metas) = store(5, Duration::ZERO).await;
        let room = metas.iter().map(|meta| meta.size).sum::<u64>() - 1;
        let cache = Arc::new(ObjectCache::new(folder.path().to_owned(), room));
        for meta in &metas {
            Fetcher::new(Vec::new(), Some(Arc::clone(&cache)))
                .fetch(&objects, meta)
                .await
                .unwrap();
        }
        let nobody: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let again = Fetcher::new(Vec::new(), Some(cache));
        for (number, meta) in metas.iter().enumerate().take(4) {
            assert_eq!(
                text(again.fetch(&nobody, meta).await.unwrap()).await,
                number.to_string()
            );
        }
        assert!(
            again.fetch(&nobody, &metas[4]).await.is_err(),
            "there was no room for the last"
        );
    }
}
