//! Objects in a location, on S3 or on disk alike: list, read, and put whole on a condition.

mod on_disk;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use datafusion::execution::object_store::ObjectStoreUrl;
use futures::{StreamExt, TryStreamExt};
use object_store::client::SpawnedReqwestConnector;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, ListResult, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
    PutPayload, UpdateVersion,
};
use tokio::sync::Mutex;

use crate::aws::io_runtime::RequestRuntime;
use crate::aws::s3::{Bucket, PART_BYTES, Uploaded};
use crate::aws::timeouts::Connector;
use crate::aws::{Account, Aws};
use crate::error::{Class, Error, Result};
use crate::job::Location;
use crate::layout;
use crate::layout::cloudwatch::LogObject;

pub use self::on_disk::local_etag;
pub use crate::aws::s3::Condition;

/// Waits after listing or deleting many objects broke off. The client sends its requests again, but not where their answer
/// is cut short.
const AGAIN_AFTER: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(15),
];

/// Opens locations, each bucket once. Nothing remote is touched before an S3 location is asked for.
#[derive(Debug)]
pub struct Stores {
    aws: Arc<Aws>,
    buckets: Mutex<HashMap<(Account, String), Arc<Remote>>>,
    requests: Arc<RequestRuntime>,
}

#[derive(Debug)]
struct Remote {
    /// What puts files in parts.
    bucket: Option<Bucket>,
    objects: Arc<dyn ObjectStore>,
    url: ObjectStoreUrl,
}

impl Stores {
    /// Stores with the credentials of `aws`.
    pub fn new(aws: Arc<Aws>) -> Result<Self> {
        Ok(Self {
            aws,
            buckets: Mutex::new(HashMap::new()),
            requests: Arc::new(RequestRuntime::new()?),
        })
    }

    /// With `objects` as the content of the bucket `name`, which is asked for nothing.
    #[cfg(any(test, feature = "testing"))]
    pub fn with_objects(mut self, name: &str, objects: Arc<dyn ObjectStore>) -> Result<Self> {
        let remote = Arc::new(Remote {
            bucket: None,
            objects,
            url: bucket_url(name)?,
        });
        for account in [Account::Source, Account::Output] {
            let key = (account, name.to_owned());
            self.buckets.get_mut().insert(key, Arc::clone(&remote));
        }
        Ok(self)
    }

    /// The SDK's configuration that these stores use.
    pub fn aws(&self) -> &Aws {
        &self.aws
    }

    /// Opens a location. An error where its bucket does not exist (usage) or can't be reached.
    pub async fn open(&self, location: &Location, account: Account) -> Result<Store> {
        let root = location.key().map_err(Error::usage)?;
        let location = location.clone();
        let class = match account {
            Account::Source => Class::Source,
            Account::Output => Class::Output,
        };
        let Location::S3 { bucket: name, .. } = &location else {
            return Ok(Store {
                location,
                root,
                class,
                objects: Arc::new(LocalFileSystem::new()),
                url: ObjectStoreUrl::local_filesystem(),
                puts: Puts::OnDisk,
            });
        };
        let mut buckets = self.buckets.lock().await;
        let key = (account, name.clone());
        let remote = match buckets.get(&key) {
            Some(remote) => Arc::clone(remote),
            None => {
                let remote = Arc::new(self.connect(account, name).await?);
                buckets.insert(key, Arc::clone(&remote));
                remote
            }
        };
        Ok(Store {
            root,
            class,
            objects: Arc::clone(&remote.objects),
            url: remote.url.clone(),
            puts: match &remote.bucket {
                Some(bucket) => Puts::InBucket(bucket.clone()),
                None => Puts::InStore,
            },
            location,
        })
    }

    async fn connect(&self, account: Account, name: &str) -> Result<Remote> {
        let bucket = Bucket::find(&self.aws, account, name, Arc::clone(&self.requests)).await?;
        let objects = bucket
            .engine_client(&self.aws, account)
            .await?
            .with_http_connector(Connector(SpawnedReqwestConnector::new(
                self.requests.handle(),
            )))
            .build()
            .map_err(|error| {
                Error::usage(format!("can't set up a client for the bucket {name:?}"))
                    .caused_by(error)
            })?;
        Ok(Remote {
            bucket: Some(bucket),
            objects: Arc::new(objects),
            url: bucket_url(name)?,
        })
    }
}

fn bucket_url(name: &str) -> Result<ObjectStoreUrl> {
    ObjectStoreUrl::parse(format!("s3://{name}")).map_err(Error::from_engine)
}

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
    /// A file beside the target, renamed under the folder's lock.
    OnDisk,
    /// By the SDK's client, large files in parts.
    InBucket(Bucket),
    /// By the engine's client, whatever the size: the stores of tests.
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

    /// The engine's client.
    pub fn objects(&self) -> &Arc<dyn ObjectStore> {
        &self.objects
    }

    /// The name under which the engine knows the client.
    pub fn url(&self) -> &ObjectStoreUrl {
        &self.url
    }

    /// A key as a person would write it.
    pub fn display(&self, key: &Path) -> String {
        self.location.display_key(key)
    }

    fn failed(&self, doing: &str, key: &Path, error: object_store::Error) -> Error {
        let class = match error {
            object_store::Error::NotFound { .. } if self.location.is_local() => Class::Usage,
            _ => self.class,
        };
        Error::new(class, format!("could not {doing} {}", self.display(key))).caused_by(error)
    }

    /// Every object below `prefix`, by key.
    pub async fn list(&self, prefix: &Path) -> Result<Vec<ObjectMeta>> {
        let mut objects = self
            .try_list(prefix)
            .await
            .map_err(|error| self.failed("list", prefix, error))?;
        objects.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(objects)
    }

    async fn try_list(&self, prefix: &Path) -> object_store::Result<Vec<ObjectMeta>> {
        match self.location {
            Location::S3 { .. } => list_on_s3(self.objects.as_ref(), prefix).await,
            Location::Local(_) => {
                on_disk::list_files(prefix).map_err(|error| object_store::Error::Generic {
                    store: "disk",
                    source: error.into(),
                })
            }
        }
    }

    /// The last object below `prefix` that is `wanted`, by the names of its folders. It looks into few of them, however many
    /// there are.
    pub async fn last(
        &self,
        prefix: &Path,
        wanted: impl Fn(&Path) -> bool,
    ) -> Result<Option<Path>> {
        let mut folders = vec![prefix.clone()];
        while let Some(folder) = folders.pop() {
            let mut listed = self.list_folder(&folder).await?;
            let keys = listed.objects.into_iter().map(|object| object.location);
            if let Some(last) = keys.filter(|key| wanted(key)).max() {
                return Ok(Some(last));
            }
            listed.common_prefixes.sort();
            folders.append(&mut listed.common_prefixes);
        }
        Ok(None)
    }

    async fn list_folder(&self, folder: &Path) -> Result<ListResult> {
        let mut waits = AGAIN_AFTER.iter();
        loop {
            match self.objects.list_with_delimiter(Some(folder)).await {
                Ok(listed) => return Ok(listed),
                Err(error) => match (&error, waits.next()) {
                    (object_store::Error::Generic { .. }, Some(wait)) => {
                        tokio::time::sleep(*wait).await;
                    }
                    _ => return Err(self.failed("list", folder, error)),
                },
            }
        }
    }

    /// Every exported object below `prefix`, by key. Neighbours that hold no events are left alone.
    pub async fn list_logs(
        &self,
        prefix: &Path,
        log_group: Option<&str>,
    ) -> Result<Vec<LogObject>> {
        let objects = self.list(prefix).await?.into_iter();
        Ok(objects
            .filter_map(|meta| LogObject::new(meta, log_group))
            .collect())
    }

    /// The object's description; `None` where there is none.
    pub async fn head(&self, key: &Path) -> Result<Option<ObjectMeta>> {
        match self.objects.head(key).await {
            Ok(meta) => Ok(Some(meta)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("look for", key, error)),
        }
    }

    /// The object's content; `None` where there is none.
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

    /// The object's content, and under what condition a later put replaces just that; `None` where there is none.
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

    /// The last `bytes` of an object, or all of a smaller one, and its whole size; `None` where there is none.
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

    fn no_etag(&self, key: &Path) -> Error {
        Error::new(
            self.class,
            format!(
                "{} has no ETag, so it can't be replaced safely",
                self.display(key)
            ),
        )
    }

    /// Under what condition a later put replaces just what is there now.
    pub async fn as_it_is(&self, key: &Path) -> Result<Condition> {
        Ok(match self.head(key).await? {
            None => Condition::Absent,
            Some(meta) => match meta.e_tag {
                Some(etag) => Condition::Unchanged(etag),
                None => return Err(self.no_etag(key)),
            },
        })
    }

    /// Puts an object whole, or not at all, if `condition` holds. An error where somebody else wrote it meanwhile.
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
                    "{} was written by somebody else meanwhile",
                    self.display(key)
                ),
            )
        })
    }

    /// Puts an object whole, or not at all, if `condition` holds; `None` where somebody else wrote it meanwhile.
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
            Uploaded::Done(etag) => etag,
            Uploaded::ConditionFailed => match self.etag_of_same(key, &body).await? {
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

    /// Whether what is there is what `condition` says, and just what would be put: then it need not be.
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

    /// Through the engine's client, which every store of a test has.
    async fn put_in_store(
        &self,
        key: &Path,
        content: Bytes,
        condition: &Condition,
    ) -> Result<Uploaded> {
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
            Ok(put) => Ok(Uploaded::Done(put.e_tag)),
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. },
            ) => Ok(Uploaded::ConditionFailed),
            Err(error) => Err(self.failed("write", key, error)),
        }
    }

    /// After a failed condition: the ETag of what is there, where it is just what was to be put. A request whose
    /// answer was lost is sent again, and then finds its own work.
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

    async fn put_on_disk(&self, key: &Path, body: Body, condition: Condition) -> Result<Uploaded> {
        let target = PathBuf::from(format!("/{key}"));
        let failed = |error: io::Error| {
            Error::new(self.class, format!("could not write {}", self.display(key)))
                .caused_by(error)
        };
        // The lock of the folder makes look and replace one step for every process that puts here.
        let put =
            tokio::task::spawn_blocking(move || on_disk::replace_file(&target, &body, &condition));
        let etag = put
            .await
            .map_err(|error| failed(io::Error::other(error)))?
            .map_err(failed)?;
        Ok(match etag {
            Some(etag) => Uploaded::Done(Some(etag)),
            None => Uploaded::ConditionFailed,
        })
    }

    /// Removes what killed processes left of puts to these keys and to any below these folders, to which nobody else may
    /// be putting now: unfinished files on disk, on S3 the parts of unfinished uploads. Those are no objects and nobody
    /// sees them, so that a missing permission is but a warning.
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

    /// Deletes every object below `prefix`, on S3 also the parts of unfinished uploads, on disk unfinished files and the
    /// folders that this leaves empty, up to the location's own.
    pub async fn delete_below(&self, prefix: &Path) -> Result<()> {
        let failed = |error: io::Error| {
            Error::new(
                self.class,
                format!("could not delete {}", self.display(prefix)),
            )
            .caused_by(error)
        };
        let mut waits = AGAIN_AFTER.iter();
        while let Err(error) = self.try_delete_below(prefix).await {
            match (&error, waits.next()) {
                (object_store::Error::Generic { .. }, Some(wait)) => {
                    tokio::time::sleep(*wait).await;
                }
                _ => return Err(self.failed("delete what is below", prefix, error)),
            }
        }
        if let Puts::InBucket(bucket) = &self.puts {
            // Parts that nobody sees: a missing permission to list them is no reason to keep the objects.
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
            .try_list(prefix)
            .await?
            .into_iter()
            .map(|meta| Ok(meta.location));
        self.objects
            .delete_stream(futures::stream::iter(keys).boxed())
            .try_for_each(|_| async { Ok(()) })
            .await
    }

    /// Deletes an object; one that is not there is no error.
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

/// Every object below a prefix. A listing that breaks off goes on behind the last key that came.
async fn list_on_s3(
    objects: &dyn ObjectStore,
    prefix: &Path,
) -> object_store::Result<Vec<ObjectMeta>> {
    let mut listed: Vec<ObjectMeta> = Vec::new();
    let mut waits = AGAIN_AFTER.iter();
    loop {
        let before = listed.len();
        let mut rest = match listed.last() {
            None => objects.list(Some(prefix)),
            Some(last) => objects.list_with_offset(Some(prefix), &last.location),
        };
        let broken = loop {
            match rest.try_next().await {
                Ok(Some(object)) => listed.push(object),
                Ok(None) => return Ok(listed),
                Err(error) => break error,
            }
        };
        if listed.len() > before {
            waits = AGAIN_AFTER.iter();
        }
        match (&broken, waits.next()) {
            (object_store::Error::Generic { .. }, Some(wait)) => tokio::time::sleep(*wait).await,
            _ => return Err(broken),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
