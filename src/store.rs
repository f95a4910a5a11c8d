//! Objects in a location, on S3 or on disk alike: list, read, and put whole on a condition.

use std::collections::HashMap;
use std::fmt;
use std::fs::{File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use datafusion::execution::object_store::ObjectStoreUrl;
use futures::TryStreamExt;
use object_store::client::SpawnedReqwestConnector;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    Attribute, AttributeValue, Attributes, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode,
    PutOptions, PutPayload, UpdateVersion,
};
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

use crate::aws::s3::{Bucket, Uploaded};
use crate::aws::{Account, Aws};
use crate::error::{Class, Error, Result};
use crate::job::Location;
use crate::layout::LogObject;

pub use crate::aws::s3::Condition;

/// Larger files go to S3 in parts, so that a lost connection repeats a part and not the whole.
const LARGEST_SINGLE_PUT: u64 = 32 << 20;

/// Waits between the tries at a put that failed on its way.
const PUT_AGAIN_AFTER: [Duration; 3] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(5),
];

/// What the names of files that are being written begin with.
const TEMPORARY: &str = ".logtally-";

/// Opens locations, each bucket once. Nothing remote is touched before an S3 location is asked for.
#[derive(Debug)]
pub struct Stores {
    aws: Arc<Aws>,
    buckets: Mutex<HashMap<(Account, String), Arc<S3>>>,
    /// Requests run on threads of their own: decoding, which keeps a thread busy, would starve them.
    requests: RequestRuntime,
}

#[derive(Debug)]
struct S3 {
    bucket: Bucket,
    objects: Arc<dyn ObjectStore>,
    url: ObjectStoreUrl,
}

impl Stores {
    /// Stores with the credentials of `aws`.
    pub fn new(aws: Arc<Aws>) -> Result<Self> {
        Ok(Self {
            aws,
            buckets: Mutex::new(HashMap::new()),
            requests: RequestRuntime::new()?,
        })
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
                bucket: None,
            });
        };
        let mut buckets = self.buckets.lock().await;
        let key = (account, name.clone());
        let s3 = match buckets.get(&key) {
            Some(s3) => Arc::clone(s3),
            None => {
                let s3 = Arc::new(self.connect(account, name).await?);
                buckets.insert(key, Arc::clone(&s3));
                s3
            }
        };
        Ok(Store {
            root,
            class,
            objects: Arc::clone(&s3.objects),
            url: s3.url.clone(),
            bucket: Some(s3.bucket.clone()),
            location,
        })
    }

    async fn connect(&self, account: Account, name: &str) -> Result<S3> {
        let bucket = Bucket::find(&self.aws, account, name).await?;
        let objects = bucket
            .engine_client(&self.aws, account)
            .await?
            .with_http_connector(SpawnedReqwestConnector::new(self.requests.handle()))
            .build()
            .map_err(|error| Error::usage(format!("the bucket {name:?}")).caused_by(error))?;
        let url = ObjectStoreUrl::parse(format!("s3://{name}")).map_err(Error::from_engine)?;
        Ok(S3 {
            bucket,
            objects: Arc::new(objects),
            url,
        })
    }
}

/// A runtime that may be dropped anywhere, also inside another one.
#[derive(Debug)]
struct RequestRuntime(Option<Runtime>);

impl RequestRuntime {
    fn new() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("requests")
            .enable_all()
            .build()
            .map_err(|error| {
                Error::new(Class::Unexpected, "can't start a runtime").caused_by(error)
            })?;
        Ok(Self(Some(runtime)))
    }

    fn handle(&self) -> tokio::runtime::Handle {
        self.0
            .as_ref()
            .map_or_else(tokio::runtime::Handle::current, |runtime| {
                runtime.handle().clone()
            })
    }
}

impl Drop for RequestRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
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
    bucket: Option<Bucket>,
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
        let mut objects: Vec<ObjectMeta> = match self.location {
            Location::S3 { .. } => self
                .objects
                .list(Some(prefix))
                .try_collect()
                .await
                .map_err(|error| self.failed("list", prefix, error))?,
            Location::Local(_) => list_files(prefix).map_err(|error| {
                Error::new(
                    self.class,
                    format!("could not list {}", self.display(prefix)),
                )
                .caused_by(error)
            })?,
        };
        objects.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(objects)
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

    /// Under what condition a later put replaces just what is there now.
    pub async fn as_it_is(&self, key: &Path) -> Result<Condition> {
        Ok(match self.head(key).await? {
            None => Condition::Absent,
            Some(meta) => match meta.e_tag {
                Some(etag) => Condition::Unchanged(etag),
                None => {
                    return Err(Error::new(
                        self.class,
                        format!(
                            "{} has no ETag, so it can't be replaced safely",
                            self.display(key)
                        ),
                    ));
                }
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
        let put = match &self.bucket {
            None => {
                self.put_on_disk(key, body.clone(), condition.clone())
                    .await?
            }
            Some(bucket) => match &body {
                Body::File(file) if bytes > LARGEST_SINGLE_PUT => {
                    bucket
                        .upload(key.as_ref(), file, bytes, content_type, condition)
                        .await?
                }
                _ => {
                    let content = body.read().map_err(read)?;
                    self.put_on_s3(key, content, content_type, condition)
                        .await?
                }
            },
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

    async fn put_on_s3(
        &self,
        key: &Path,
        content: Bytes,
        content_type: &str,
        condition: &Condition,
    ) -> Result<Uploaded> {
        let mode = match condition {
            Condition::Absent => PutMode::Create,
            Condition::Unchanged(etag) => PutMode::Update(UpdateVersion {
                e_tag: Some(etag.clone()),
                version: None,
            }),
        };
        let content_type = AttributeValue::from(content_type.to_owned());
        let options = PutOptions {
            mode,
            attributes: Attributes::from_iter([(Attribute::ContentType, content_type)]),
            ..PutOptions::default()
        };
        let put = || {
            let payload = PutPayload::from(content.clone());
            self.objects.put_opts(key, payload, options.clone())
        };
        // The client does not send a conditional put again, not knowing whether the first one arrived. Here that is
        // known afterwards: see `etag_of_same`.
        let mut tried = put().await;
        for wait in PUT_AGAIN_AFTER {
            if !matches!(tried, Err(object_store::Error::Generic { .. })) {
                break;
            }
            tokio::time::sleep(wait).await;
            tried = put().await;
        }
        match tried {
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
        let Some(there) = self.head(key).await? else {
            return Ok(None);
        };
        let failed = |error: io::Error| {
            Error::new(
                self.class,
                format!("could not compare {}", self.display(key)),
            )
            .caused_by(error)
        };
        if there.size != body.len().map_err(failed)? {
            return Ok(None);
        }
        let mut ours: Box<dyn Read + Send> = match body {
            Body::Bytes(bytes) => Box::new(io::Cursor::new(bytes.clone())),
            Body::File(file) => Box::new(File::open(file).map_err(failed)?),
        };
        let got = self
            .objects
            .get(key)
            .await
            .map_err(|error| self.failed("read", key, error))?;
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
        Ok(Some(there.e_tag))
    }

    async fn put_on_disk(&self, key: &Path, body: Body, condition: Condition) -> Result<Uploaded> {
        let target = PathBuf::from(format!("/{key}"));
        let failed = |error: io::Error| {
            Error::new(self.class, format!("could not write {}", self.display(key)))
                .caused_by(error)
        };
        // The lock of the folder makes look and replace one step for every process that puts here.
        let put = tokio::task::spawn_blocking(move || replace_file(&target, &body, &condition));
        let done = put
            .await
            .map_err(|error| failed(io::Error::other(error)))?
            .map_err(failed)?;
        if !done {
            return Ok(Uploaded::ConditionFailed);
        }
        let etag = self.head(key).await?.and_then(|meta| meta.e_tag);
        Ok(Uploaded::Done(etag))
    }

    /// Deletes an object; one that is not there is no error.
    pub async fn delete(&self, key: &Path) -> Result<()> {
        match self.objects.delete(key).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("delete", key, error)),
        }
    }
}

/// Every file below a folder; none where there is no folder. The engine's own walk asks six times for what a file is.
fn list_files(prefix: &Path) -> io::Result<Vec<ObjectMeta>> {
    let root = format!("/{prefix}");
    let mut objects = Vec::new();
    for entry in walkdir::WalkDir::new(&root).follow_links(true) {
        let entry = match entry {
            Err(error)
                if error
                    .io_error()
                    .is_some_and(|error| error.kind() == io::ErrorKind::NotFound) =>
            {
                continue;
            }
            entry => entry?,
        };
        let meta = entry.metadata()?;
        // What this program has not finished writing is no object.
        let unfinished = entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(TEMPORARY.as_bytes());
        if !meta.is_file() || unfinished {
            continue;
        }
        let path = entry.path().to_str().ok_or_else(|| {
            io::Error::other(format!("{} is no UTF-8 name", entry.path().display()))
        })?;
        objects.push(ObjectMeta {
            location: Path::parse(path).map_err(io::Error::other)?,
            last_modified: meta.modified()?.into(),
            size: meta.len(),
            e_tag: Some(local_etag(&meta)),
            version: None,
        });
    }
    Ok(objects)
}

/// Writes beside the target and renames, so that a reader sees the old file or the new one. False where the condition
/// does not hold.
fn replace_file(target: &FilePath, body: &Body, condition: &Condition) -> io::Result<bool> {
    let folder = target.parent().unwrap_or(FilePath::new("/"));
    std::fs::create_dir_all(folder)?;
    let folder_handle = File::open(folder)?;
    folder_handle.lock()?;
    let holds = match (condition, std::fs::metadata(target)) {
        (Condition::Absent, Err(error)) if error.kind() == io::ErrorKind::NotFound => true,
        (Condition::Unchanged(etag), Ok(meta)) => *etag == local_etag(&meta),
        (_, Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => false,
    };
    if !holds {
        return Ok(false);
    }
    let mut file = tempfile::Builder::new()
        .prefix(TEMPORARY)
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)?;
    match body {
        Body::Bytes(bytes) => file.write_all(bytes)?,
        Body::File(from) => {
            io::copy(&mut File::open(from)?, &mut file)?;
        }
    }
    file.as_file().sync_all()?;
    file.persist(target)?;
    folder_handle.sync_all()?;
    Ok(true)
}

/// The tag that the engine's local store gives a file.
pub fn local_etag(meta: &std::fs::Metadata) -> String {
    use std::os::unix::fs::MetadataExt;
    let modified = meta
        .modified()
        .ok()
        .and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok())
        .unwrap_or_default()
        .as_micros();
    format!("{:x}-{modified:x}-{:x}", meta.ino(), meta.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::AwsSettings;

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
