//! An object store in memory that logs what changes it, whose listings can break off, and whose objects can be held back. For
//! tests.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::sync::{Notify, watch};

/// A change of the store.
#[derive(Debug, Clone)]
pub enum Change {
    /// An object was put.
    Put(Path, Bytes),
    /// An object was deleted.
    Delete(Path),
}

/// An object store in memory.
#[derive(Debug)]
pub struct FakeStore {
    objects: Arc<dyn ObjectStore>,
    stop: Option<Stop>,
    gets: AtomicUsize,
    listings: AtomicUsize,
    changes: Arc<Mutex<Vec<Change>>>,
    broken: Mutex<Vec<(usize, Error)>>,
    meanwhile: Mutex<Vec<Meanwhile>>,
    /// The end of the keys whose objects are not given out for now.
    held_back: watch::Sender<Option<String>>,
}

/// Where a program is killed: the change behind this number of others never ends.
#[derive(Debug)]
struct Stop {
    left: AtomicUsize,
    reached: Notify,
}

impl Default for FakeStore {
    fn default() -> Self {
        Self::over(Arc::new(InMemory::new()))
    }
}

/// What another writer puts around the next put of a key.
#[derive(Debug)]
struct Meanwhile {
    when: When,
    /// The end of the key whose put is waited for.
    end: String,
    key: Path,
    content: Bytes,
}

/// Before or after a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Before it, so that its condition is judged by what the other writer put.
    Before,
    /// After it.
    After,
}

impl FakeStore {
    /// Over the objects of another store.
    pub fn over(objects: Arc<dyn ObjectStore>) -> Self {
        Self {
            objects,
            stop: None,
            gets: AtomicUsize::new(0),
            listings: AtomicUsize::new(0),
            changes: Arc::default(),
            broken: Mutex::default(),
            meanwhile: Mutex::default(),
            held_back: watch::Sender::default(),
        }
    }

    /// Holds back the objects whose keys have this end, until [`give_out`](Self::give_out).
    pub fn hold_back(&self, end: &str) {
        self.held_back.send_replace(Some(end.to_owned()));
    }

    /// Gives out what was held back.
    pub fn give_out(&self) {
        self.held_back.send_replace(None);
    }

    /// The same, in which the change behind this number of others never ends.
    #[must_use]
    pub fn stopping_behind(mut self, changes: usize) -> Self {
        self.stop = Some(Stop {
            left: AtomicUsize::new(changes),
            reached: Notify::new(),
        });
        self
    }

    /// Returns when a change has begun that never ends.
    pub async fn stopped(&self) {
        match &self.stop {
            Some(stop) => stop.reached.notified().await,
            None => std::future::pending().await,
        }
    }

    async fn stop(&self) {
        let Some(stop) = &self.stop else {
            return;
        };
        let less = |left: usize| left.checked_sub(1);
        let left = stop
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
        if left.is_err() {
            stop.reached.notify_one();
            std::future::pending::<()>().await;
        }
    }

    /// How many requests read objects or what is known of them, and how many list objects.
    pub fn reads(&self) -> (usize, usize) {
        (
            self.gets.load(Ordering::Relaxed),
            self.listings.load(Ordering::Relaxed),
        )
    }

    /// All changes so far.
    pub fn changes(&self) -> Vec<Change> {
        lock(&self.changes).clone()
    }

    /// A store after the first of these changes.
    pub async fn replay(changes: &[Change]) -> Self {
        let store = Self::default();
        for change in changes {
            let done = match change {
                Change::Put(key, content) => {
                    let payload = PutPayload::from(content.clone());
                    store.objects.put(key, payload).await.map(drop)
                }
                Change::Delete(key) => store.objects.delete(key).await,
            };
            done.unwrap();
        }
        store
    }

    /// Puts an object as another writer does, around the next put of a key with this end.
    pub fn meanwhile(&self, when: When, end: &str, key: Path, content: impl Into<Bytes>) {
        lock(&self.meanwhile).push(Meanwhile {
            when,
            end: end.to_owned(),
            key,
            content: content.into(),
        });
    }

    async fn others(&self, now: When, location: &Path) -> Result<()> {
        let due = {
            let mut meanwhile = lock(&self.meanwhile);
            let is_due = |other: &mut Meanwhile| {
                other.when == now && location.as_ref().ends_with(&other.end)
            };
            meanwhile.extract_if(.., is_due).collect::<Vec<_>>()
        };
        for other in due {
            self.objects
                .put(&other.key, PutPayload::from(other.content))
                .await?;
        }
        Ok(())
    }

    /// Ends the next listings with an error: each after this many keys.
    pub fn break_listings(&self, listings: impl IntoIterator<Item = (usize, Error)>) {
        let mut broken = lock(&self.broken);
        broken.extend(listings);
        broken.reverse();
    }

    fn broken(
        &self,
        listing: BoxStream<'static, Result<ObjectMeta>>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        match lock(&self.broken).pop() {
            None => listing,
            Some((keys, error)) => {
                let end = stream::once(std::future::ready(Err(error)));
                listing.take(keys).chain(end).boxed()
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Display for FakeStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FakeStore")
    }
}

#[async_trait]
impl ObjectStore for FakeStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.stop().await;
        let content = Bytes::from(payload.clone());
        self.others(When::Before, location).await?;
        let put = self.objects.put_opts(location, payload, options).await?;
        lock(&self.changes).push(Change::Put(location.clone(), content));
        self.others(When::After, location).await?;
        Ok(put)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.objects.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.gets.fetch_add(1, Ordering::Relaxed);
        let is_given_out = |held: &Option<String>| {
            let end = held.as_deref();
            !end.is_some_and(|end| location.as_ref().ends_with(end))
        };
        // The sender is there as long as this store.
        let _ = self.held_back.subscribe().wait_for(is_given_out).await;
        self.objects.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let changes = Arc::clone(&self.changes);
        let deleted = self.objects.delete_stream(locations);
        deleted
            .inspect(move |deleted| {
                if let Ok(key) = deleted {
                    lock(&changes).push(Change::Delete(key.clone()));
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listings.fetch_add(1, Ordering::Relaxed);
        self.broken(self.objects.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listings.fetch_add(1, Ordering::Relaxed);
        self.broken(self.objects.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.listings.fetch_add(1, Ordering::Relaxed);
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}
