//! Opening locations: a bucket is looked up, and its clients are built, when its first location is opened.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::execution::object_store::ObjectStoreUrl;
use object_store::ObjectStore;
use object_store::client::SpawnedReqwestConnector;
use object_store::local::LocalFileSystem;
use tokio::sync::Mutex;

use super::{Puts, Store};
use crate::aws::io_runtime::IoRuntime;
use crate::aws::s3::Bucket;
use crate::aws::timeouts::Connector;
use crate::aws::{Account, Aws};
use crate::error::{Class, Error, Result};
use crate::job::Location;

/// Opens locations. No request is sent before the first S3 location is opened, and each bucket is looked up once.
#[derive(Debug)]
pub struct Stores {
    aws: Arc<Aws>,
    buckets: Mutex<HashMap<(Account, String), Arc<Remote>>>,
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
            buckets: Mutex::new(HashMap::new()),
            runtime: Arc::new(IoRuntime::new()?),
        })
    }

    /// Serves the bucket `name` from `objects` instead of S3.
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
        let bucket = Bucket::find(&self.aws, account, name, Arc::clone(&self.runtime)).await?;
        let objects = bucket
            .engine_client(&self.aws, account)
            .await?
            .with_http_connector(Connector(SpawnedReqwestConnector::new(
                self.runtime.handle(),
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
