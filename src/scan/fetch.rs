//! The bytes of objects: requested ahead of the decoding, and cached on disk where another query will need them.
//!
//! The engine opens an object when it is done with the one before, so a scan of many small objects on S3 would mostly
//! wait for first bytes. The order of opening is known, so the next objects are requested while the present ones are
//! decoded.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error, GetOptions, ObjectMeta, ObjectStore, Result};

use super::budget::{Claim, Reservation};
use super::cache::{ObjectCache, Turn};
use crate::layout::cloudwatch::LogObject;
use crate::store::local_etag;

/// Larger objects are not read into memory whole.
pub const LARGEST_WHOLE_OBJECT: u64 = 32 << 20;

/// The most requests ahead of the decoding, by the mebibytes of the budget. S3 allows 5,500 a second for a prefix; a first byte takes 10 to 100 ms.
const MOST_AHEAD: usize = 128;
const LEAST_AHEAD: usize = 8;

/// The most compressed bytes ahead of the decoding, requested or there. They are part of the budget, most of which is
/// for text.
const MOST_BYTES_AHEAD: u64 = 32 << 20;

/// A large file is read in pieces of this size.
const FILE_PIECE: usize = 1 << 20;

/// A large object is requested in ranges, several at a time. The largest range, the smallest, and which part of the budget
/// it is: ranges are not counted in it, and the budget is small where memory is.
const LARGEST_RANGE: u64 = 8 << 20;
const SMALLEST_RANGE: u64 = 256 << 10;
const RANGE_OF_BUDGET: u64 = 8;
const RANGES_AHEAD: usize = 2;

/// An object's content.
pub enum Content {
    /// In memory of the budget.
    Whole(Bytes),
    /// Piece by piece.
    Pieces(BoxStream<'static, Result<Bytes>>),
}

/// Fetches the objects of one scan.
pub struct ObjectFetcher {
    claim: Arc<Claim>,
    /// Whether the objects are files of this machine.
    is_local: bool,
    order: OpeningOrder,
    ahead: Mutex<Ahead>,
    cache: Option<Arc<ObjectCache>>,
}

/// The order in which the objects of a scan are opened; empty where none is requested ahead.
#[derive(Default)]
pub struct OpeningOrder {
    objects: Arc<Vec<LogObject>>,
    /// The places of the objects in the table's list.
    numbers: Vec<u32>,
    /// For each of them, where it stands in the order. An object that is opened twice, for two parts of its events, is
    /// requested once.
    position: HashMap<u32, usize>,
}

impl OpeningOrder {
    /// The order of the objects with these numbers.
    pub fn new(objects: &Arc<Vec<LogObject>>, mut numbers: Vec<u32>) -> Self {
        let object = |number: u32| &objects[number as usize];
        // Stable: of two parts of an object, the one that is opened first stays the first.
        let mut by_key: Vec<usize> = (0..numbers.len()).collect();
        by_key.sort_by(|a, b| object(numbers[*a]).cmp_key(object(numbers[*b])));
        let mut first_part: Vec<usize> = (0..numbers.len()).collect();
        for pair in by_key.windows(2) {
            if object(numbers[pair[0]])
                .cmp_key(object(numbers[pair[1]]))
                .is_eq()
            {
                first_part[pair[1]] = first_part[pair[0]];
            }
        }
        let mut position = HashMap::with_capacity(numbers.len());
        let mut kept = 0;
        for at in 0..numbers.len() {
            let number = numbers[at];
            match first_part[at] {
                first if first == at => {
                    position.insert(number, kept);
                    numbers[kept] = number;
                    first_part[at] = kept;
                    kept += 1;
                }
                first => {
                    position.insert(number, first_part[first]);
                }
            }
        }
        numbers.truncate(kept);
        Self {
            objects: Arc::clone(objects),
            numbers,
            position,
        }
    }

    fn get(&self, position: usize) -> Option<&LogObject> {
        let number = *self.numbers.get(position)?;
        self.objects.get(number as usize)
    }
}

#[derive(Default)]
struct Ahead {
    /// The first object that was not requested yet.
    next: usize,
    requests: HashMap<usize, SpawnedTask<Result<Bytes>>>,
    bytes: u64,
}

impl ObjectFetcher {
    /// A fetcher of files.
    pub fn local(claim: Arc<Claim>) -> Self {
        Self {
            is_local: true,
            ..Self::new(claim, OpeningOrder::default(), None)
        }
    }

    /// A fetcher that requests the objects of `order` ahead, and caches them in `cache`.
    pub fn new(claim: Arc<Claim>, order: OpeningOrder, cache: Option<Arc<ObjectCache>>) -> Self {
        Self {
            claim,
            is_local: false,
            order,
            ahead: Mutex::default(),
            cache,
        }
    }

    /// The content of the object at `number` of the table's list. The next objects are requested.
    pub async fn fetch(
        &self,
        objects: &Arc<dyn ObjectStore>,
        number: u32,
        meta: &ObjectMeta,
    ) -> Result<Content> {
        if self.is_local {
            return self.read_file(meta);
        }
        if let Some(request) = self.take_request(objects, number, meta) {
            return joined(request).await.map(Content::Whole);
        }
        if let Some(cached) = self.cache.as_ref().and_then(|cache| cache.get(meta)) {
            return self.read(cached, meta);
        }
        match self.reserve(meta) {
            Some(reserved) => joined(self.request(objects, meta, reserved))
                .await
                .map(Content::Whole),
            None => Ok(Content::Pieces(pieces(
                objects,
                meta,
                self.range(),
                self.cache.as_deref(),
            ))),
        }
    }

    /// The request for the object, if it was requested ahead. The objects behind it are requested.
    fn take_request(
        &self,
        objects: &Arc<dyn ObjectStore>,
        number: u32,
        meta: &ObjectMeta,
    ) -> Option<SpawnedTask<Result<Bytes>>> {
        let position = *self.order.position.get(&number)?;
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        ahead.next = ahead.next.max(position + 1);
        let requested = ahead.requests.remove(&position);
        if requested.is_some() {
            ahead.bytes -= meta.size;
        }
        self.request_ahead(&mut ahead, objects);
        requested
    }

    /// The bytes of a range of a large object.
    fn range(&self) -> u64 {
        let part = self.claim.budget() as u64 / RANGE_OF_BUDGET;
        part.clamp(SMALLEST_RANGE, LARGEST_RANGE)
    }

    fn request_ahead(&self, ahead: &mut MutexGuard<'_, Ahead>, objects: &Arc<dyn ObjectStore>) {
        while let Some(object) = self.order.get(ahead.next)
            && ahead.requests.len() < MOST_AHEAD.min((self.claim.budget() >> 20).max(LEAST_AHEAD))
            && ahead.bytes + object.size <= MOST_BYTES_AHEAD
        {
            let meta = &object.meta();
            let is_cached = || {
                let cache = self.cache.as_ref();
                cache.is_some_and(|cache| cache.get(meta).is_some())
            };
            if meta.size <= LARGEST_WHOLE_OBJECT && !is_cached() {
                let Some(reserved) = self.reserve(meta) else {
                    return;
                };
                ahead.bytes += meta.size;
                let position = ahead.next;
                let request = self.request(objects, meta, reserved);
                ahead.requests.insert(position, request);
            }
            ahead.next += 1;
        }
    }

    /// Reserves memory for a whole object; `None` where the object is too large or the budget is full.
    fn reserve(&self, meta: &ObjectMeta) -> Option<Reservation> {
        let size = usize::try_from(meta.size).ok()?;
        match meta.size <= LARGEST_WHOLE_OBJECT {
            true => self.claim.reserve(size),
            false => None,
        }
    }

    /// A request in a task of its own, so that it makes progress while its reader waits for something else.
    fn request(
        &self,
        objects: &Arc<dyn ObjectStore>,
        meta: &ObjectMeta,
        reserved: Reservation,
    ) -> SpawnedTask<Result<Bytes>> {
        let (objects, meta, cache) = (Arc::clone(objects), meta.clone(), self.cache.clone());
        SpawnedTask::spawn(async move {
            let bytes = whole(&objects, &meta, cache.as_deref()).await?;
            Ok(reserved.with(bytes))
        })
    }

    /// A file of this machine. An error where it is not the one that was listed.
    fn read_file(&self, meta: &ObjectMeta) -> Result<Content> {
        let failed = |error| on_disk(error, &meta.location);
        let file = File::open(format!("/{}", meta.location)).map_err(failed)?;
        let now = local_etag(&file.metadata().map_err(failed)?);
        match &meta.e_tag {
            Some(listed) if *listed != now => Err(Error::Precondition {
                source: "it has changed since it was listed".into(),
                path: meta.location.to_string(),
            }),
            _ => self.read(file, meta),
        }
    }

    /// Reads a file on the thread that will decode it: reading takes less time than waking another thread.
    fn read(&self, mut file: File, meta: &ObjectMeta) -> Result<Content> {
        let whole = usize::try_from(meta.size)
            .ok()
            .filter(|_| meta.size <= LARGEST_WHOLE_OBJECT)
            .and_then(|size| self.claim.buffer(size));
        if let Some(mut buffer) = whole {
            file.take(meta.size)
                .read_to_end(&mut buffer.bytes)
                .map_err(|error| on_disk(error, &meta.location))?;
            return Ok(Content::Whole(Bytes::from_owner(buffer)));
        }
        let location = meta.location.clone();
        let pieces = std::iter::from_fn(move || {
            let mut piece = Vec::with_capacity(FILE_PIECE);
            match (&mut file).take(FILE_PIECE as u64).read_to_end(&mut piece) {
                Ok(0) => None,
                Ok(_) => Some(Ok(Bytes::from(piece))),
                Err(error) => Some(Err(on_disk(error, &location))),
            }
        });
        Ok(Content::Pieces(futures::stream::iter(pieces).boxed()))
    }
}

fn on_disk(error: std::io::Error, location: &Path) -> Error {
    match error.kind() {
        std::io::ErrorKind::NotFound => Error::NotFound {
            path: location.to_string(),
            source: error.into(),
        },
        _ => Error::Generic {
            store: "LocalFileSystem",
            source: error.into(),
        },
    }
}

async fn joined(request: SpawnedTask<Result<Bytes>>) -> Result<Bytes> {
    request
        .join_unwind()
        .await
        .map_err(|source| Error::JoinError { source })?
}

/// Requests only the object that was listed: one that replaced it has other events.
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
    let request = async || {
        let got = objects.get_opts(&meta.location, as_listed(meta)).await?;
        got.bytes().await
    };
    let Some(cache) = cache else {
        return request().await;
    };
    let _turn: Turn = cache.turn(meta).await;
    if let Some(mut cached) = cache.get(meta) {
        let mut bytes = Vec::with_capacity(usize::try_from(meta.size).unwrap_or(0));
        cached
            .read_to_end(&mut bytes)
            .map_err(|error| on_disk(error, &meta.location))?;
        return Ok(bytes.into());
    }
    let bytes = request().await?;
    cache.put(meta, &bytes);
    Ok(bytes)
}

/// An object in pieces. It is cached, but another scan that needs it does not wait for that: this scan may not read on
/// before that one does.
fn pieces(
    objects: &Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
    range: u64,
    cache: Option<&ObjectCache>,
) -> BoxStream<'static, Result<Bytes>> {
    let stream = ranges(Arc::clone(objects), meta.clone(), range);
    let Some(writer) = cache.and_then(|cache| cache.begin(meta)) else {
        return stream;
    };
    futures::stream::try_unfold((stream, writer), |(mut stream, mut writer)| async move {
        match stream.try_next().await? {
            Some(piece) => {
                writer.write(&piece);
                Ok(Some((piece, (stream, writer))))
            }
            None => {
                writer.complete();
                Ok(None)
            }
        }
    })
    .boxed()
}

/// An object in ranges. One request for all of it would not wait for the decoding: the client passes bytes on through
/// an unbounded channel, so that the whole object would end up in memory.
fn ranges(
    objects: Arc<dyn ObjectStore>,
    meta: ObjectMeta,
    range: u64,
) -> BoxStream<'static, Result<Bytes>> {
    let starts = (0..meta.size).step_by(usize::try_from(range).unwrap_or(usize::MAX));
    futures::stream::iter(starts)
        .map(move |start| {
            let (objects, meta) = (Arc::clone(&objects), meta.clone());
            async move {
                let end = meta.size.min(start + range);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::budget::Budget;
    use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool, UnboundedMemoryPool};
    use object_store::ObjectStoreExt;
    use object_store::local::LocalFileSystem;
    use object_store::memory::InMemory;
    use object_store::throttle::{ThrottleConfig, ThrottledStore};
    use std::time::Duration;

    fn claim() -> Arc<Claim> {
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        Budget::claim(&Budget::new(&pool), 100)
    }

    /// The order of these objects, whose numbers are their places.
    fn order(metas: &[ObjectMeta]) -> OpeningOrder {
        let objects = metas.iter().map(|meta| LogObject::new(meta, None).unwrap());
        let numbers = (0..metas.len() as u32).collect();
        OpeningOrder::new(&Arc::new(objects.collect()), numbers)
    }

    fn fetcher(metas: &[ObjectMeta]) -> ObjectFetcher {
        ObjectFetcher::new(claim(), order(metas), None)
    }

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
        let (objects, metas) = store(300, Duration::from_millis(1)).await;
        let fetcher = fetcher(&metas);
        for (number, meta) in metas.iter().enumerate() {
            let content = fetcher.fetch(&objects, number as u32, meta).await.unwrap();
            assert_eq!(text(content).await, number.to_string());
            let behind = metas.len() - number - 1;
            let ahead = fetcher.ahead.lock().unwrap().requests.len();
            assert_eq!(ahead, behind.min(MOST_AHEAD));
        }
    }

    #[tokio::test]
    async fn an_object_that_is_opened_twice_leaves_no_request_behind() {
        let (objects, metas) = store(3, Duration::ZERO).await;
        let twice: Vec<ObjectMeta> = metas.iter().chain(&metas).cloned().collect();
        let fetcher = fetcher(&twice);
        for (number, meta) in twice.iter().enumerate() {
            fetcher.fetch(&objects, number as u32, meta).await.unwrap();
        }
        let ahead = fetcher.ahead.lock().unwrap();
        assert!(ahead.requests.is_empty() && ahead.bytes == 0);
    }

    #[tokio::test]
    async fn any_order_and_a_second_time_are_fine() {
        let (objects, metas) = store(20, Duration::ZERO).await;
        let fetcher = fetcher(&metas);
        for number in (0..20).rev().chain(0..20) {
            let meta = &metas[number as usize];
            let content = fetcher.fetch(&objects, number, meta).await.unwrap();
            assert_eq!(text(content).await, number.to_string());
        }
    }

    #[tokio::test]
    async fn an_object_that_was_replaced_is_not_taken() {
        let (objects, metas) = store(3, Duration::ZERO).await;
        objects
            .put(&metas[1].location, Bytes::from("other").into())
            .await
            .unwrap();
        let error = fetcher(&[])
            .fetch(&objects, 1, &metas[1])
            .await
            .err()
            .unwrap();
        assert!(matches!(error, Error::Precondition { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_file_is_read_as_it_was_listed_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let empty: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
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
        let fetcher = ObjectFetcher::local(claim());
        assert_eq!(
            text(fetcher.fetch(&empty, 0, &listed).await.unwrap()).await,
            "content"
        );
        // What is too large for memory comes in pieces.
        listed.size = LARGEST_WHOLE_OBJECT + 1;
        assert_eq!(
            text(fetcher.fetch(&empty, 0, &listed).await.unwrap()).await,
            "content"
        );

        std::fs::write(&file, "other content").unwrap();
        let error = fetcher.fetch(&empty, 0, &listed).await.err().unwrap();
        assert!(matches!(error, Error::Precondition { .. }), "{error}");
        std::fs::remove_file(&file).unwrap();
        let error = fetcher.fetch(&empty, 0, &listed).await.err().unwrap();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
    }

    #[tokio::test]
    async fn what_the_budget_has_no_room_for_comes_in_pieces() {
        let (objects, metas) = store(20, Duration::ZERO).await;
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(4 * 5));
        let claim = Budget::claim(&Budget::new(&pool), 100);
        let fetcher = ObjectFetcher::new(claim, order(&metas), None);
        for (number, meta) in metas.iter().enumerate() {
            let content = fetcher.fetch(&objects, number as u32, meta).await.unwrap();
            assert!(pool.reserved() <= 5);
            assert_eq!(text(content).await, number.to_string());
        }
        assert_eq!(pool.reserved(), 0);
    }

    #[tokio::test]
    async fn what_was_kept_is_not_asked_for_again() {
        let folder = tempfile::tempdir().unwrap();
        let (objects, metas) = store(5, Duration::ZERO).await;
        let room = metas.iter().map(|meta| meta.size).sum::<u64>() - 1;
        let cache = Arc::new(ObjectCache::new(folder.path().to_owned(), room));
        for meta in &metas {
            ObjectFetcher::new(claim(), OpeningOrder::default(), Some(Arc::clone(&cache)))
                .fetch(&objects, 0, meta)
                .await
                .unwrap();
        }
        let empty: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let again = ObjectFetcher::new(claim(), OpeningOrder::default(), Some(cache));
        for (number, meta) in metas.iter().enumerate().take(4) {
            assert_eq!(
                text(again.fetch(&empty, 0, meta).await.unwrap()).await,
                number.to_string()
            );
        }
        assert!(
            again.fetch(&empty, 0, &metas[4]).await.is_err(),
            "there was no room for the last"
        );
    }
}
