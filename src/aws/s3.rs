//! What object_store 0.13 lacks on S3: a bucket's existence and Region, and conditional puts that handle every kind of
//! failure.
//!
//! S3 answers a conditional put with 412 where its condition failed, and with 409 where another request for the same
//! key was under way: the put is then to be sent again. object_store tells the two apart, and repeats 409, for
//! `If-Match` only. For `If-None-Match` both are its `AlreadyExists`, and it repeats neither. It repeats no conditional
//! put whose answer did not come, and completes multipart uploads without a condition.

pub mod inspect;
mod list;
mod upload;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, RequestPayer, ServerSideEncryption};
use bytes::Bytes;
use object_store::aws::AmazonS3Builder;

use super::config::AccountConfig;
use super::credentials::EngineCredentials;
use super::engine::Connector;
use super::failure::{self, Refusal};
use super::network::Peer;
use super::{Account, Aws, endpoints, timeouts};
use crate::backoff::retry;
use crate::clock::SystemClock;
use crate::error::{Class, Error, Result};
use crate::job::Encryption;
use crate::runtimes::IoRuntime;

pub use self::upload::PART_BYTES;

/// The condition under which an object is put.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Condition {
    /// There is no object.
    #[default]
    Absent,
    /// The object has this ETag.
    Unchanged(String),
}

/// How a conditional put ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutOutcome {
    /// The object is there, with this ETag.
    Done(Option<String>),
    /// The condition did not hold.
    ConditionFailed,
}

/// Why one attempt at a conditional put failed.
enum PutError {
    /// 409: another request for the key was under way, and the put is to be sent again.
    Conflict(Error),
    /// The bucket demands a checksum, and the put is to be sent again with one.
    NoChecksum(Error),
    /// Anything else, after the SDK's own retries.
    Final(Error),
}

impl PutError {
    fn is_to_be_repeated(&self) -> bool {
        matches!(self, Self::Conflict(_) | Self::NoChecksum(_))
    }
}

impl From<PutError> for Error {
    fn from(error: PutError) -> Self {
        match error {
            PutError::Conflict(error) | PutError::NoChecksum(error) | PutError::Final(error) => {
                error
            }
        }
    }
}

impl From<Error> for PutError {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// What a request does, in words and as an action of IAM.
#[derive(Clone, Copy)]
struct Operation(&'static str, &'static str);

const LOOK_FOR: Operation = Operation("reach", "s3:ListBucket");
const LIST: Operation = Operation("list", "s3:ListBucket");
const WRITE: Operation = Operation("write", "s3:PutObject");
const DELETE: Operation = Operation("delete", "s3:DeleteObject");

/// One attempt at an upload.
#[derive(Clone, Copy)]
struct Attempt {
    has_checksum: bool,
}

impl Attempt {
    /// The checksum: of those that S3 takes, every S3-compatible server knows this.
    fn algorithm(self) -> Option<ChecksumAlgorithm> {
        self.has_checksum.then_some(ChecksumAlgorithm::Crc32)
    }

    /// The configuration for a request that sends, or has S3 move, this many bytes. Without it, a client that is to send
    /// checksums only where they are required ignores the algorithm of a request.
    fn config(self, bytes: u64) -> aws_sdk_s3::config::Builder {
        aws_sdk_s3::Config::builder()
            .timeout_config(timeouts::sdk_timeouts_for(bytes))
            .request_checksum_calculation(calculation(self.has_checksum))
    }
}

fn calculation(has_checksum: bool) -> RequestChecksumCalculation {
    match has_checksum {
        true => RequestChecksumCalculation::WhenSupported,
        false => RequestChecksumCalculation::WhenRequired,
    }
}

/// One bucket.
#[derive(Debug, Clone)]
pub struct Bucket {
    client: Client,
    name: String,
    region: String,
    peer: Peer,
    class: Class,
    encryption: Option<Encryption>,
    requester_pays: bool,
    /// Whether uploads have checksums: from the first on, or since the bucket demanded one.
    checksums: Arc<AtomicBool>,
    /// Shared, since a lease may send its last request after every other user of the runtime has ended.
    runtime: Arc<IoRuntime>,
}

impl Bucket {
    /// Finds the bucket and its Region. An error where it does not exist (usage) or can't be reached.
    pub async fn find(
        aws: &Aws,
        account: Account,
        name: &str,
        runtime: Arc<IoRuntime>,
    ) -> Result<Self> {
        let config = aws.account(account).await?;
        let own_region = config.region();
        let settings = aws.settings();
        let class = match account {
            Account::Source(_) => Class::Source,
            Account::Output => Class::Output,
        };
        let encryption = settings.encryption.as_ref();
        let encryption = encryption.filter(|encryption| encryption.bucket == name);
        let checksums = has_checksums(config)?;
        let mut bucket = Self {
            client: client(config, &own_region, checksums)?,
            peer: Peer::of(&endpoints::of_bucket(&config.sdk, &own_region, name).await?),
            name: name.to_owned(),
            region: own_region,
            class,
            encryption: encryption.map(|encryption| encryption.with.clone()),
            requester_pays: aws.requester_pays(account),
            checksums: Arc::new(AtomicBool::new(checksums)),
            runtime,
        };
        let retries = aws_sdk_s3::Config::builder().retry_config(timeouts::sdk_first_retries());
        let found = bucket
            .client
            .head_bucket()
            .bucket(name)
            .customize()
            .config_override(retries)
            .send();
        let (region, is_refused) = match bucket.runtime.run(found).await {
            Ok(found) => (found.bucket_region, false),
            Err(error) => {
                let elsewhere = error
                    .raw_response()
                    .and_then(|response| response.headers().get("x-amz-bucket-region"))
                    .map(str::to_owned);
                match status(&error) {
                    Some(404) => {
                        return Err(Error::usage(format!("the bucket {name:?} does not exist")));
                    }
                    Some(301) if elsewhere.is_some() => (elsewhere, false),
                    Some(400 | 403) => (elsewhere, true),
                    _ => return Err(bucket.failed(LOOK_FOR, "", &error)),
                }
            }
        };
        if let Some(region) = region.filter(|region| *region != bucket.region) {
            bucket.client = client(config, &region, checksums)?;
            bucket.peer = Peer::of(&endpoints::of_bucket(&config.sdk, &region, name).await?);
            bucket.region = region;
        }
        if is_refused {
            bucket.check_credentials().await?;
        }
        Ok(bucket)
    }

    /// An error where the credentials are refused, whatever they are used for. An answer to HEAD does not say so; and a
    /// job that may only put objects works without s3:ListBucket, which HEAD needs.
    async fn check_credentials(&self) -> Result<()> {
        let listed = self
            .client
            .list_objects_v2()
            .bucket(&self.name)
            .max_keys(1)
            .set_request_payer(self.request_payer())
            .send();
        match self.runtime.run(listed).await {
            Err(error)
                if status(&error) == Some(400)
                    || Refusal::of(&error).is_none_or(|refusal| refusal.is_of_credentials()) =>
            {
                Err(self.failed(LOOK_FOR, "", &error))
            }
            _ => Ok(()),
        }
    }

    /// The Region that the bucket is in.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The engine's client for this bucket: with the same credentials, endpoint, proxy and trust.
    pub async fn engine_client(&self, aws: &Aws, account: Account) -> Result<AmazonS3Builder> {
        let config = aws.account(account).await?;
        let url = endpoints::of_bucket(&config.sdk, &self.region, &self.name).await?;
        let credentials = EngineCredentials(Arc::clone(&config.credentials));
        let connector = Connector {
            client: config.engine_http()?,
            runtime: self.runtime.handle(),
            bucket: self.name.clone(),
            class: self.class,
        };
        Ok(AmazonS3Builder::new()
            .with_http_connector(connector)
            .with_retry(timeouts::engine_retries())
            .with_bucket_name(&self.name)
            .with_region(&self.region)
            .with_credentials(Arc::new(credentials))
            .with_request_payer(self.requester_pays)
            .with_allow_http(url.starts_with("http://"))
            // The URL is that of the bucket, in whichever part of it the bucket is named.
            .with_virtual_hosted_style_request(true)
            .with_endpoint(url))
    }

    /// How S3 encrypts what is put; as the bucket is set up where unset.
    pub fn encryption_of_puts(&self) -> Option<&Encryption> {
        self.encryption.as_ref()
    }

    /// The same bucket, in which what is put is encrypted in this way.
    pub fn encrypting(self, encryption: Option<Encryption>) -> Self {
        Self { encryption, ..self }
    }

    fn request_payer(&self) -> Option<RequestPayer> {
        self.requester_pays.then_some(RequestPayer::Requester)
    }

    fn wanted_encryption(&self) -> (Option<ServerSideEncryption>, Option<String>) {
        match &self.encryption {
            None => (None, None),
            Some(Encryption::S3) => (Some(ServerSideEncryption::Aes256), None),
            Some(Encryption::Kms { key }) => (Some(ServerSideEncryption::AwsKms), key.clone()),
        }
    }

    /// How the next attempt at an upload is sent.
    fn attempt(&self) -> Attempt {
        Attempt {
            has_checksum: self.checksums.load(Ordering::Relaxed),
        }
    }

    /// A signed link to an object, which is valid for `lifetime` unless the credentials expire before.
    pub async fn link(&self, key: &str, lifetime: Duration) -> Result<String> {
        let signed = async {
            let lifetime =
                PresigningConfig::expires_in(lifetime).map_err(|error| error.to_string())?;
            let request = self.client.get_object().bucket(&self.name).key(key);
            let signed = request.presigned(lifetime).await;
            signed.map_err(|error| super::root_cause(&error))
        };
        match signed.await {
            Ok(signed) => Ok(signed.uri().to_owned()),
            Err(why) => Err(Error::new(
                self.class,
                format!("can't sign a link to {key}: {why}"),
            )),
        }
    }

    /// Puts an object in one request, if `condition` holds.
    ///
    /// A request whose answer was lost is sent again, and its condition then fails because of its own first success.
    pub async fn put(
        &self,
        key: &str,
        content: &Bytes,
        content_type: &str,
        condition: &Condition,
    ) -> Result<PutOutcome> {
        let delays = timeouts::RETRIES.delays();
        let put = retry(&SystemClock, delays, PutError::is_to_be_repeated, || {
            self.try_put(key, content, content_type, condition)
        });
        Ok(put.await?)
    }

    async fn try_put(
        &self,
        key: &str,
        content: &Bytes,
        content_type: &str,
        condition: &Condition,
    ) -> Result<PutOutcome, PutError> {
        let (encryption, kms_key) = self.wanted_encryption();
        let attempt = self.attempt();
        let request = self
            .client
            .put_object()
            .bucket(&self.name)
            .key(key)
            .content_type(content_type)
            .set_server_side_encryption(encryption)
            .set_ssekms_key_id(kms_key)
            .set_request_payer(self.request_payer())
            .set_checksum_algorithm(attempt.algorithm())
            .body(ByteStream::from(content.clone()));
        let request = match condition {
            Condition::Absent => request.if_none_match("*"),
            Condition::Unchanged(etag) => request.if_match(etag),
        };
        let config = attempt.config(content.len() as u64);
        let sent = request.customize().config_override(config).send();
        let error = match self.runtime.run(sent).await {
            Ok(done) => return Ok(PutOutcome::Done(done.e_tag)),
            Err(error) => error,
        };
        match (status(&error), condition) {
            // 404: the object that was to be replaced is gone.
            (Some(412), _) | (Some(404), Condition::Unchanged(_)) => {
                Ok(PutOutcome::ConditionFailed)
            }
            _ => Err(self.put_failed(WRITE, key, attempt, &error)),
        }
    }

    /// Deletes an object; a missing object is no error.
    pub async fn delete(&self, key: &str) -> Result<()> {
        let deleted = self
            .client
            .delete_object()
            .bucket(&self.name)
            .key(key)
            .set_request_payer(self.request_payer())
            .send();
        match self.runtime.run(deleted).await {
            Err(error) if status(&error) != Some(404) => Err(self.failed(DELETE, key, &error)),
            _ => Ok(()),
        }
    }

    fn put_failed<E>(
        &self,
        doing: Operation,
        key: &str,
        attempt: Attempt,
        error: &SdkError<E>,
    ) -> PutError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let failed = self.failed(doing, key, error);
        if status(error) == Some(409) {
            return PutError::Conflict(failed);
        }
        let demands_checksum = Refusal::of(error).is_some_and(|refusal| refusal.demands_checksum());
        if demands_checksum && !attempt.has_checksum {
            self.checksums.store(true, Ordering::Relaxed);
            return PutError::NoChecksum(failed);
        }
        PutError::Final(failed)
    }

    fn failed<E>(
        &self,
        Operation(doing, action): Operation,
        key: &str,
        error: &SdkError<E>,
    ) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let of_bucket = action == "s3:ListBucket" || action == "s3:ListBucketMultipartUploads";
        let resource = of_bucket.then(|| format!("the bucket {}", self.name));
        let why = failure::explain(error, "S3", action, resource.as_deref(), &self.peer);
        let what = match key {
            "" => format!("the bucket {:?}", self.name),
            key => format!("s3://{}/{}", self.name, key.trim_start_matches('/')),
        };
        let class = crate::error::find_own(error).map_or(self.class, Error::class);
        Error::new(class, format!("could not {doing} {what}: {why}"))
    }
}

/// Whether uploads have checksums before a bucket demands one: as it is set, or else where S3 is AWS's. Some S3-compatible
/// servers refuse them.
fn has_checksums(config: &AccountConfig) -> Result<bool> {
    const VARIABLE: &str = "AWS_REQUEST_CHECKSUM_CALCULATION";
    let set = endpoints::setting(&config.sdk, VARIABLE, "request_checksum_calculation");
    match set.map(|value| value.to_ascii_lowercase()).as_deref() {
        Some("when_supported") => Ok(true),
        Some("when_required") => Ok(false),
        Some(other) => Err(Error::usage(format!(
            "{VARIABLE} (request_checksum_calculation of the AWS profile) is {other:?}: expected when_supported or when_required"
        ))),
        None => Ok(endpoints::configured_s3(&config.sdk)?.is_none()),
    }
}

fn client(config: &AccountConfig, region: &str, checksums: bool) -> Result<Client> {
    let configured = endpoints::configured_s3(&config.sdk)?;
    let builder = aws_sdk_s3::config::Builder::from(&config.sdk)
        .request_checksum_calculation(calculation(checksums))
        .region(aws_sdk_s3::config::Region::new(region.to_owned()))
        // Test servers and S3-compatible ones seldom have a host name for each bucket.
        .force_path_style(configured.is_some());
    Ok(Client::from_conf(builder.build()))
}

fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error
        .raw_response()
        .map(|response| response.status().as_u16())
}
