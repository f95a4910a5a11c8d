//! Opening locations: a bucket is looked up, and its clients are built, when its first location is opened.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::execution::object_store::ObjectStoreUrl;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use tokio::sync::Mutex;

use super::{Puts, Store};
use crate::aws::s3::Bucket;
use crate::aws::{Account, Aws};
use crate::error::{Class, Error, Result};
use crate::job::Location;
use crate::runtimes::IoRuntime;

/// The clients of the buckets that were opened, by the account that asks.
type Buckets = HashMap<(Account, String), Arc<Remote>>;

/// Opens locations. No request is sent before the first S3 location is opened, and a bucket is looked up once: only where it is
/// opened several times at the same moment, each time.
#[derive(Debug, Clone)]
pub struct Stores {
    aws: Arc<Aws>,
    buckets: Arc<Mutex<Buckets>>,
    runtime: Arc<IoRuntime>,
}

/// The clients of one bucket.
#[derive(Debug)]
struct Remote {
    /// The SDK's client; `None` in tests, where the engine's client puts objects too.
    bucket: Option<Bucket>,
    objects: Arc<dyn ObjectStore>,
    url: ObjectStoreUrl,
}

impl Stores {
    /// Stores that use the credentials of `aws`.
    pub fn new(aws: Arc<Aws>) -> Result<Self> {
        Ok(Self {
            aws,
            buckets: Arc::default(),
            runtime: Arc::new(IoRuntime::new("io", 1)?),
        })
    }

    /// Serves the bucket `name` from `objects` instead of S3, to the answers and to a few accounts with logs.
    #[cfg(any(test, feature = "testing"))]
    pub fn with_objects(mut self, name: &str, objects: Arc<dyn ObjectStore>) -> Result<Self> {
        for account in (0..4).map(Account::Source).chain([Account::Output]) {
            self = self.with_objects_of(account, name, Arc::clone(&objects))?;
        }
        Ok(self)
    }

    /// The same, to one account.
    #[cfg(any(test, feature = "testing"))]
    pub fn with_objects_of(
        self,
        account: Account,
        name: &str,
        objects: Arc<dyn ObjectStore>,
    ) -> Result<Self> {
        let remote = Arc::new(Remote {
            bucket: None,
            objects,
            url: bucket_url(account, name)?,
        });
        let key = (account, name.to_owned());
        let mut buckets = self
            .buckets
            .try_lock()
            .map_err(|_| Error::new(Class::Unexpected, "a bucket is opened meanwhile"))?;
        buckets.insert(key, remote);
        drop(buckets);
        Ok(self)
    }

    /// The SDK's configuration that these stores use.
    pub fn aws(&self) -> &Aws {
        &self.aws
    }

    /// Loads what the location needs of AWS's settings. An error where there is no Region or there are no credentials.
    pub async fn prepare(&self, location: &Location, account: Account) -> Result<()> {
        let Location::S3 { bucket, .. } = location else {
            return Ok(());
        };
        let key = (account, bucket.clone());
        if self.buckets.lock().await.contains_key(&key) {
            return Ok(());
        }
        self.aws.region(account).await.map(drop)
    }

    /// Opens a location. An error where its bucket does not exist (usage) or can't be reached.
    pub async fn open(&self, location: &Location, account: Account) -> Result<Store> {
        let root = location.key().map_err(Error::usage)?;
        let location = location.clone();
        let class = match account {
            Account::Source(_) => Class::Source,
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
        let key = (account, name.clone());
        let known = self.buckets.lock().await.get(&key).cloned();
        let remote = match known {
            Some(remote) => remote,
            None => {
                // Without the lock: the sources of a job are opened at once, and some may not answer for a while.
                let remote = Arc::new(self.connect(account, name).await?);
                let mut buckets = self.buckets.lock().await;
                Arc::clone(buckets.entry(key).or_insert(remote))
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
        let bucket = Bucket::find(&self.aws, account, name, Arc::clone(&self.runtime)).await?;
        let objects = bucket
            .engine_client(&self.aws, account)
            .await?
            .build()
            .map_err(|error| {
                Error::usage(format!("can't set up a client for the bucket {name:?}"))
                    .caused_by(error)
            })?;
        Ok(Remote {
            bucket: Some(bucket),
            objects: Arc::new(objects),
            url: bucket_url(account, name)?,
        })
    }
}

/// What the engine calls a bucket. It has the clients of several accounts for one bucket, which may have answers and logs.
fn bucket_url(account: Account, name: &str) -> Result<ObjectStoreUrl> {
    let url = match account {
        Account::LOGS => format!("s3://{name}"),
        Account::Output => format!("s3-answers://{name}"),
        Account::Source(number) => format!("s3-{number}://{name}"),
    };
    ObjectStoreUrl::parse(url).map_err(Error::from_engine)
}
