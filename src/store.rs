//! Objects in a location, on S3 or on disk alike: [`open`](Stores::open)ed, [listed](Store::list), read, and put whole
//! on a condition.

#[cfg(any(test, feature = "testing"))]
pub mod fake;
mod list;
mod on_disk;
mod open;

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use datafusion::execution::object_store::ObjectStoreUrl;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
    UpdateVersion,
};

use self::list::is_broken_off;
use crate::aws::s3::{Bucket, PART_BYTES, PutOutcome};
use crate::aws::timeouts::RETRIES;
use crate::backoff::retry;
use crate::clock::SystemClock;
use crate::error::{Class, Error, Result};
use crate::job::{Encryption, Location};
use crate::layout;

pub use self::list::Gather;
pub use self::on_disk::local_etag;
pub use self::open::Stores;
pub use crate::aws::s3::Condition;

/// What an object is put from.
#[derive(Debug, Clone)]
pub enum Body {
    /// Bytes in memory.
    Bytes(Bytes),
    /// A file on this machine.
    File(PathBuf),
}

impl Body {
    fn len(&self) -> io::Result<u64> {
        match self {
            Body::Bytes(bytes) => Ok(bytes.len() as u64),
            Body::File(file) => Ok(std::fs::metadata(file)?.len()),
        }
    }

    fn read(&self) -> io::Result<Bytes> {
        match self {
            Body::Bytes(bytes) => Ok(bytes.clone()),
            Body::File(file) => std::fs::read(file).map(Bytes::from),
        }
    }
}

/// An object that was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The object's key.
    pub key: Path,
    /// The store's tag of this content, where it has one.
    pub etag: Option<String>,
    /// The size in bytes.
    pub bytes: u64,
}

/// One location, open.
#[derive(Clone)]
pub struct Store {
    location: Location,
    root: Path,
    class: Class,
    objects: Arc<dyn ObjectStore>,
    url: ObjectStoreUrl,
    puts: Puts,
}

/// How an object is put on a condition.
#[derive(Clone)]
enum Puts {
    /// A temporary file is renamed to the target under the lock of its folder.
    OnDisk,
    /// The SDK's client puts it, large files in parts.
    InBucket(Bucket),
    /// The engine's client puts it, whatever its size: the stores of tests.
    InStore,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.location)
    }
}

impl Store {
    /// The location.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The location's own key, which every key in it begins with.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The Region of the bucket, where it is in one.
    pub fn region(&self) -> Option<&str> {
        match &self.puts {
            Puts::InBucket(bucket) => Some(bucket.region()),
            Puts::OnDisk | Puts::InStore => None,
        }
    }

    /// The bucket, where it is in one.
    pub fn bucket(&self) -> Option<&Bucket> {
        match &self.puts {
            Puts::InBucket(bucket) => Some(bucket),
            Puts::OnDisk | Puts::InStore => None,
        }
    }

    /// How S3 encrypts what is put; as the bucket is set up where unset.
    pub fn encryption_of_puts(&self) -> Option<&Encryption> {
        self.bucket().and_then(Bucket::encryption_of_puts)
    }

    /// The same store, in which what is put is encrypted in this way. On disk nothing changes.
    pub fn encrypting(mut self, encryption: Option<Encryption>) -> Self {
        if let Puts::InBucket(bucket) = self.puts {
            self.puts = Puts::InBucket(bucket.encrypting(encryption));
        }
        self
    }

    /// The engine's client.
    pub fn objects(&self) -> &Arc<dyn ObjectStore> {
        &self.objects
    }

    /// The URL under which the engine knows the client.
    pub fn url(&self) -> &ObjectStoreUrl {
        &self.url
    }

    /// A key with its location, for messages.
    pub fn display(&self, key: &Path) -> String {
        self.location.display_key(key)
    }

    fn failed(&self, doing: &str, key: &Path, error: object_store::Error) -> Error {
        let class = match error {
            object_store::Error::NotFound { .. } if self.location.is_local() => Class::Usage,
            _ => self.class,
        };
        let what = format!("could not {doing} {}", self.display(key));
        match on_disk::io_error(&error).filter(|_| self.location.is_local()) {
            Some(reason) => match on_disk::file_in_the_way(key) {
                Some(file) => Error::new(
                    class,
                    format!(
                        "{what}: {} is a file, expected a folder",
                        self.display(&file)
                    ),
                ),
                // Its wrappers repeat the path, in words of the library.
                None => Error::new(class, format!("{what}: {reason}")),
            },
            None => Error::new(class, what).caused_by(error),
        }
    }

    /// The object's metadata; `None` where there is no object.
    pub async fn head(&self, key: &Path) -> Result<Option<ObjectMeta>> {
        match self.objects.head(key).await {
            Ok(meta) => Ok(Some(meta)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("look for", key, error)),
        }
    }

    /// The object's content; `None` where there is no object.
    pub async fn get(&self, key: &Path) -> Result<Option<Bytes>> {
        let got = match self.objects.get(key).await {
            Ok(got) => got.bytes().await,
            Err(error) => Err(error),
        };
        match got {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("read", key, error)),
        }
    }

    /// The object's content, and the condition under which a put replaces just this content; `None` where there is no
    /// object.
    pub async fn get_to_replace(&self, key: &Path) -> Result<Option<(Bytes, Condition)>> {
        let got = match self.objects.get(key).await {
            Ok(got) => {
                let etag = got.meta.e_tag.clone();
                got.bytes().await.map(|bytes| (bytes, etag))
            }
            Err(error) => Err(error),
        };
        match got {
            Ok((bytes, Some(etag))) => Ok(Some((bytes, Condition::Unchanged(etag)))),
            Ok((_, None)) => Err(self.no_etag(key)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("read", key, error)),
        }
    }

    /// The last `bytes` of an object, or all of a smaller one, and its whole size; `None` where there is no object.
    pub async fn end_of(&self, key: &Path, bytes: u64) -> Result<Option<(Bytes, u64)>> {
        let options = GetOptions {
            range: Some(GetRange::Suffix(bytes)),
            ..GetOptions::default()
        };
        let got = match self.objects.get_opts(key, options).await {
            Ok(got) => {
                let size = got.meta.size;
                got.bytes().await.map(|bytes| (bytes, size))
            }
            Err(error) => Err(error),
        };
        match got {
            Ok(end) => Ok(Some(end)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("read", key, error)),
        }
    }

    /// The first `bytes` of an object, or all of a smaller one; none of one that is not there, or is empty.
    pub async fn beginning_of(&self, key: &Path, bytes: u64) -> Result<Bytes> {
        if bytes == 0 {
            return Ok(Bytes::new());
        }
        match self.objects.get_range(key, 0..bytes).await {
            Ok(beginning) => Ok(beginning),
            Err(object_store::Error::NotFound { .. }) => Ok(Bytes::new()),
            Err(error) => Err(self.failed("read", key, error)),
        }
    }

    fn no_etag(&self, key: &Path) -> Error {
        Error::new(
            self.class,
            format!(
                "{} has no ETag, so it can't be replaced safely",
                self.display(key)
            ),
        )
    }

    /// The condition under which a put replaces just what is there now.
    pub async fn as_it_is(&self, key: &Path) -> Result<Condition> {
        Ok(match self.head(key).await? {
            None => Condition::Absent,
            Some(meta) => match meta.e_tag {
                Some(etag) => Condition::Unchanged(etag),
                None => return Err(self.no_etag(key)),
            },
        })
    }

    /// A link to an object that works without credentials for `lifetime`; `None` where the store is a folder. It is a secret.
    pub async fn link(&self, key: &Path, lifetime: Duration) -> Result<Option<String>> {
        match &self.puts {
            Puts::InBucket(bucket) => bucket.link(key.as_ref(), lifetime).await.map(Some),
            Puts::OnDisk | Puts::InStore => Ok(None),
        }
    }

    /// Puts an object whole, or not at all, if `condition` holds; an error where it does not.
    pub async fn put_if(
        &self,
        key: &Path,
        body: Body,
        content_type: &str,
        condition: &Condition,
    ) -> Result<Written> {
        let put = self.try_put_if(key, body, content_type, condition).await?;
        put.ok_or_else(|| {
            Error::new(
                self.class,
                format!(
                    "{} was written by another program meanwhile",
                    self.display(key)
                ),
            )
        })
    }

    /// Puts an object whole, or not at all, if `condition` holds; `None` where it does not, and other content is there.
    pub async fn try_put_if(
        &self,
        key: &Path,
        body: Body,
        content_type: &str,
        condition: &Condition,
    ) -> Result<Option<Written>> {
        let read = |error: io::Error| {
            Error::new(self.class, format!("could not write {}", self.display(key)))
                .caused_by(error)
        };
        let bytes = body.len().map_err(read)?;
        let put = match (&self.puts, &body) {
            (Puts::OnDisk, _) => {
                self.put_on_disk(key, body.clone(), condition.clone())
                    .await?
            }
            (Puts::InBucket(bucket), Body::File(file)) if bytes > PART_BYTES => {
                bucket
                    .upload(key.as_ref(), file, bytes, content_type, condition)
                    .await?
            }
            (Puts::InBucket(bucket), _) => {
                let content = body.read().map_err(read)?;
                bucket
                    .put(key.as_ref(), &content, content_type, condition)
                    .await?
            }
            (Puts::InStore, _) => {
                let content = body.read().map_err(read)?;
                self.put_in_store(key, content, condition).await?
            }
        };
        let etag = match put {
            PutOutcome::Done(etag) => etag,
            PutOutcome::ConditionFailed => match self.etag_of_same(key, &body).await? {
                Some(etag) => etag,
                None => return Ok(None),
            },
        };
        Ok(Some(Written {
            key: key.clone(),
            etag,
            bytes,
        }))
    }

    /// The object that is there, where it is the one of `condition` and has the content of `body`: no put is needed.
    pub async fn unchanged(
        &self,
        key: &Path,
        body: &Body,
        condition: &Condition,
    ) -> Result<Option<Written>> {
        let Condition::Unchanged(seen) = condition else {
            return Ok(None);
        };
        let there = self.etag_of_same(key, body).await?.flatten();
        let bytes = body.len().map_err(|error| {
            Error::new(self.class, format!("could not write {}", self.display(key)))
                .caused_by(error)
        })?;
        Ok(there.filter(|etag| etag == seen).map(|etag| Written {
            key: key.clone(),
            etag: Some(etag),
            bytes,
        }))
    }

    /// Puts through the engine's client, which every store of a test has.
    async fn put_in_store(
        &self,
        key: &Path,
        content: Bytes,
        condition: &Condition,
    ) -> Result<PutOutcome> {
        let mode = match condition {
            Condition::Absent => PutMode::Create,
            Condition::Unchanged(etag) => PutMode::Update(UpdateVersion {
                e_tag: Some(etag.clone()),
                version: None,
            }),
        };
        let put = self
            .objects
            .put_opts(key, PutPayload::from(content), PutOptions::from(mode));
        match put.await {
            Ok(put) => Ok(PutOutcome::Done(put.e_tag)),
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. },
            ) => Ok(PutOutcome::ConditionFailed),
            Err(error) => Err(self.failed("write", key, error)),
        }
    }

    /// The ETag of the object that is there, where its content is that of `body`. A put whose answer was lost is sent
    /// again, and its condition then fails because of its own first success.
    async fn etag_of_same(&self, key: &Path, body: &Body) -> Result<Option<Option<String>>> {
        let failed = |error: io::Error| {
            Error::new(
                self.class,
                format!("could not compare {}", self.display(key)),
            )
            .caused_by(error)
        };
        let got = match self.objects.get(key).await {
            Ok(got) => got,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(self.failed("read", key, error)),
        };
        let etag = got.meta.e_tag.clone();
        if got.meta.size != body.len().map_err(failed)? {
            return Ok(None);
        }
        let mut ours: Box<dyn Read + Send> = match body {
            Body::Bytes(bytes) => Box::new(io::Cursor::new(bytes.clone())),
            Body::File(file) => Box::new(File::open(file).map_err(failed)?),
        };
        let mut theirs = got.into_stream();
        let mut chunk = Vec::new();
        while let Some(bytes) = theirs
            .try_next()
            .await
            .map_err(|error| self.failed("read", key, error))?
        {
            chunk.resize(bytes.len(), 0);
            ours.read_exact(&mut chunk).map_err(failed)?;
            if chunk != bytes {
                return Ok(None);
            }
        }
        Ok(Some(etag))
    }

    async fn put_on_disk(
        &self,
        key: &Path,
        body: Body,
        condition: Condition,
    ) -> Result<PutOutcome> {
        let target = PathBuf::from(format!("/{key}"));
        let failed = |error: io::Error| {
            Error::new(self.class, format!("could not write {}", self.display(key)))
                .caused_by(error)
        };
        // The folder's lock makes checking and replacing one step for every process that puts here.
        let put =
            tokio::task::spawn_blocking(move || on_disk::replace_file(&target, &body, &condition));
        let etag = put
            .await
            .map_err(|error| failed(io::Error::other(error)))?
            .map_err(failed)?;
        Ok(match etag {
            Some(etag) => PutOutcome::Done(Some(etag)),
            None => PutOutcome::ConditionFailed,
        })
    }

    /// Removes what killed processes left of puts to these keys and to any key below these folders: temporary files on
    /// disk, parts of unfinished uploads on S3. No other process may be putting there. A missing permission on S3 is
    /// only a warning, since parts are not visible as objects.
    pub async fn sweep(&self, keys: &[Path], folders: &[Path]) -> Result<()> {
        if let Puts::InBucket(bucket) = &self.puts {
            let is_below = |folder: &Path, key: &str| {
                key.strip_prefix(folder.as_ref())
                    .is_some_and(|below| below.starts_with('/'))
            };
            let ours = |key: &str| {
                keys.iter().any(|ours| ours.as_ref() == key)
                    || folders.iter().any(|folder| is_below(folder, key))
            };
            match bucket.abort_uploads(self.root.as_ref(), ours).await {
                Ok(0) => {}
                Ok(uploads) => tracing::info!(uploads, "aborted uploads of a run that was killed"),
                Err(error) => {
                    tracing::warn!(%error, "could not look for uploads that a killed run left unfinished");
                }
            }
            return Ok(());
        }
        let mut swept: BTreeSet<PathBuf> = keys
            .iter()
            .map(|key| on_disk::path_of(&layout::parent(key)))
            .collect();
        swept.extend(folders.iter().flat_map(on_disk::folders_in));
        for folder in swept {
            on_disk::sweep_folder(&folder).map_err(|error| {
                Error::new(
                    self.class,
                    format!("could not tidy up {}", folder.display()),
                )
                .caused_by(error)
            })?;
        }
        Ok(())
    }

    /// Deletes every object below `prefix`. On S3, also the parts of unfinished uploads; on disk, also temporary files
    /// and the folders that become empty, up to the location's own folder.
    pub async fn delete_below(&self, prefix: &Path) -> Result<()> {
        let failed = |error: io::Error| {
            Error::new(
                self.class,
                format!("could not delete {}", self.display(prefix)),
            )
            .caused_by(error)
        };
        let deleted = retry(&SystemClock, RETRIES.delays(), is_broken_off, || {
            self.try_delete_below(prefix)
        });
        deleted
            .await
            .map_err(|error| self.failed("delete what is below", prefix, error))?;
        if let Puts::InBucket(bucket) = &self.puts {
            // Parts are not visible as objects: a missing permission to list them does not keep the objects.
            if let Err(error) = bucket.abort_uploads(&format!("{prefix}/"), |_| true).await {
                tracing::warn!(%error, "could not look for unfinished uploads of an export");
            }
        }
        if self.location.is_local() {
            let folder = on_disk::path_of(prefix);
            for folder in on_disk::folders_in(prefix) {
                on_disk::sweep_folder(&folder).map_err(failed)?;
            }
            on_disk::remove_empty_folders(&folder, &on_disk::path_of(&self.root))
                .map_err(failed)?;
        }
        Ok(())
    }

    async fn try_delete_below(&self, prefix: &Path) -> object_store::Result<()> {
        let keys = self
            .gather_unsorted(prefix, Vec::new)
            .await?
            .0
            .into_iter()
            .map(|meta| Ok(meta.location));
        self.objects
            .delete_stream(futures::stream::iter(keys).boxed())
            .try_for_each(|_| async { Ok(()) })
            .await
    }

    /// Deletes an object; a missing object is no error.
    pub async fn delete(&self, key: &Path) -> Result<()> {
        if let Puts::InBucket(bucket) = &self.puts {
            return bucket.delete(key.as_ref()).await;
        }
        match self.objects.delete(key).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("delete", key, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::{Account, Aws};
    use crate::job::AwsSettings;
    use std::path::Path as FilePath;

    async fn local(folder: &FilePath) -> Store {
        let stores = Stores::new(Arc::new(Aws::new(AwsSettings::default()))).unwrap();
        stores
            .open(&Location::Local(folder.to_owned()), Account::Output)
            .await
            .unwrap()
    }

    fn text(text: &'static str) -> Body {
        Body::Bytes(Bytes::from_static(text.as_bytes()))
    }

    #[tokio::test]
    async fn a_put_replaces_only_what_was_seen() {
        let folder = tempfile::tempdir().unwrap();
        let store = local(folder.path()).await;
        let key = crate::layout::join(store.root(), "a/[b]%2Fc.txt");
        assert_eq!(store.as_it_is(&key).await.unwrap(), Condition::Absent);
        let first = store
            .put_if(&key, text("one"), "text/plain", &Condition::Absent)
            .await
            .unwrap();
        let seen = store.as_it_is(&key).await.unwrap();
        assert_eq!(seen, Condition::Unchanged(first.etag.unwrap()));

        let late = store
            .put_if(&key, text("two"), "text/plain", &Condition::Absent)
            .await;
        assert_eq!(late.unwrap_err().class(), Class::Output);
        assert_eq!(store.get(&key).await.unwrap().unwrap(), "one");

        store
            .put_if(&key, text("two"), "text/plain", &seen)
            .await
            .unwrap();
        assert_eq!(store.get(&key).await.unwrap().unwrap(), "two");
        let again = store
            .put_if(&key, text("two"), "text/plain", &Condition::Absent)
            .await;
        assert!(again.is_ok(), "the same content is one's own lost answer");
    }

    #[tokio::test]
    async fn nothing_but_the_objects_is_left_in_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let store = local(folder.path()).await;
        let key = crate::layout::join(store.root(), "x.txt");
        store
            .put_if(&key, text("one"), "text/plain", &Condition::Absent)
            .await
            .unwrap();
        let _ = store
            .put_if(&key, text("two"), "text/plain", &Condition::Absent)
            .await;
        let names: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(names, ["x.txt"]);
        let listed = store.list(store.root()).await.unwrap();
        assert_eq!(listed.len(), 1);
        store.delete(&key).await.unwrap();
        store.delete(&key).await.unwrap();
        assert!(store.list(store.root()).await.unwrap().is_empty());
    }
}
