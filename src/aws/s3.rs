//! What object_store 0.13 lacks on S3: a bucket's existence and Region, and conditional puts that handle every kind of
//! failure.
//!
//! S3 answers a conditional put with 412 where its condition failed, and with 409 where another request for the same
//! key was under way: the put is then to be sent again. object_store tells the two apart, and repeats 409, for
//! `If-Match` only. For `If-None-Match` both are its `AlreadyExists`, and it repeats neither. It repeats no conditional
//! put whose answer did not come, and completes multipart uploads without a condition.

mod list;

use std::path::Path as FilePath;
use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::{ByteStream, Length};
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use object_store::aws::AmazonS3Builder;

use super::config::s3_endpoint;
use super::io_runtime::IoRuntime;
use super::{Account, Aws, root_cause, timeouts};
use crate::backoff::retry;
use crate::clock::SystemClock;
use crate::error::{Class, Error, Result};

/// S3 takes parts of 5 MiB to 5 GiB and 10,000 of them. What is larger goes up in parts of this size, so that a lost
/// connection is noticed soon and repeats little.
pub const PART_BYTES: u64 = 8 << 20;
const MOST_PARTS: u64 = 10_000;

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
    /// Anything else, after the SDK's own retries.
    Final(Error),
}

impl PutError {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict(_))
    }
}

impl From<PutError> for Error {
    fn from(error: PutError) -> Self {
        match error {
            PutError::Conflict(error) | PutError::Final(error) => error,
        }
    }
}

impl From<Error> for PutError {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// One bucket.
#[derive(Debug, Clone)]
pub struct Bucket {
    client: Client,
    name: String,
    region: String,
    class: Class,
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
        let config = aws.config(account).await?;
        let class = match account {
            Account::Source => Class::Source,
            Account::Output => Class::Output,
        };
        let own_region = config.region().map(ToString::to_string).unwrap_or_default();
        let client = |region: &str| {
            let mut builder = aws_sdk_s3::config::Builder::from(config)
                // Some S3-compatible endpoints refuse the SDK's default checksums.
                .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
                .region(aws_sdk_s3::config::Region::new(region.to_owned()));
            // The engine's client has the same endpoint.
            if let Some(endpoint) = s3_endpoint(config) {
                builder = builder.endpoint_url(endpoint).force_path_style(true);
            }
            Client::from_conf(builder.build())
        };
        let retries = aws_sdk_s3::Config::builder().retry_config(timeouts::sdk_first_retries());
        let found = client(&own_region)
            .head_bucket()
            .bucket(name)
            .customize()
            .config_override(retries)
            .send();
        let found = runtime.run(found).await;
        let region = match found {
            Ok(found) => found.bucket_region.unwrap_or_else(|| own_region.clone()),
            Err(error) => {
                let elsewhere = error
                    .raw_response()
                    .and_then(|response| response.headers().get("x-amz-bucket-region"))
                    .map(str::to_owned);
                match (status(&error), elsewhere) {
                    (Some(404), _) => {
                        return Err(Error::usage(format!("the bucket {name:?} does not exist")));
                    }
                    // HeadBucket needs s3:ListBucket; a job that may only put objects works without.
                    (Some(301 | 400 | 403), Some(region)) => region,
                    (Some(403), None) => own_region.clone(),
                    _ => {
                        return Err(Error::new(
                            class,
                            format!("could not reach the bucket {name:?}: {}", explain(&error)),
                        ));
                    }
                }
            }
        };
        Ok(Self {
            client: client(&region),
            name: name.to_owned(),
            region,
            class,
            runtime,
        })
    }

    /// The Region that the bucket is in.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The engine's client for this bucket.
    pub async fn engine_client(&self, aws: &Aws, account: Account) -> Result<AmazonS3Builder> {
        aws.object_store(account, &self.name, &self.region).await
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
        let put = retry(&SystemClock, delays, PutError::is_conflict, || {
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
        let request = self
            .client
            .put_object()
            .bucket(&self.name)
            .key(key)
            .content_type(content_type)
            .body(ByteStream::from(content.clone()));
        let request = match condition {
            Condition::Absent => request.if_none_match("*"),
            Condition::Unchanged(etag) => request.if_match(etag),
        };
        let config = with_time_for(content.len() as u64);
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
            _ => Err(self.put_failed("write", key, &error)),
        }
    }

    /// Uploads a file in parts, if `condition` holds; the object appears at the end, whole, or not at all. The parts of
    /// unfinished uploads to this key are removed, whether of this call or of a run that was killed.
    pub async fn upload(
        &self,
        key: &str,
        file: &FilePath,
        bytes: u64,
        content_type: &str,
        condition: &Condition,
    ) -> Result<PutOutcome> {
        let delays = timeouts::RETRIES.delays();
        // After a conflict, S3 wants all parts again.
        let uploaded = retry(&SystemClock, delays, PutError::is_conflict, || {
            self.try_upload(key, file, bytes, content_type, condition)
        });
        let uploaded = uploaded.await;
        if let Err(error) = self
            .abort_uploads(key, |unfinished| unfinished == key)
            .await
        {
            tracing::debug!(%error, "could not list unfinished uploads");
        }
        Ok(uploaded?)
    }

    async fn try_upload(
        &self,
        key: &str,
        file: &FilePath,
        bytes: u64,
        content_type: &str,
        condition: &Condition,
    ) -> Result<PutOutcome, PutError> {
        let upload = self
            .client
            .create_multipart_upload()
            .bucket(&self.name)
            .key(key)
            .content_type(content_type)
            .send();
        let upload = self.runtime.run(upload).await;
        let upload = upload.map_err(|error| self.failed("begin the upload of", key, &error))?;
        let id = upload.upload_id.unwrap_or_default();
        let completed = match self.upload_parts(key, &id, file, bytes).await {
            Ok(parts) => self.complete(key, &id, parts, bytes, condition).await,
            Err(error) => Err(error.into()),
        };
        if !matches!(completed, Ok(PutOutcome::Done(_)))
            && let Err(error) = self.abort_upload(key, &id).await
        {
            tracing::warn!(key, %error, "could not remove the parts of a failed upload");
        }
        completed
    }

    async fn upload_parts(
        &self,
        key: &str,
        id: &str,
        file: &FilePath,
        bytes: u64,
    ) -> Result<Vec<CompletedPart>> {
        let part_bytes = PART_BYTES.max(bytes.div_ceil(MOST_PARTS));
        let mut parts = Vec::new();
        let mut offset = 0;
        while offset < bytes {
            let length = part_bytes.min(bytes - offset);
            let number = i32::try_from(parts.len() + 1).unwrap_or(i32::MAX);
            let body = ByteStream::read_from()
                .path(file)
                .offset(offset)
                .length(Length::Exact(length))
                .build()
                .await
                .map_err(|error| {
                    Error::new(Class::Output, format!("can't read {}", file.display()))
                        .caused_by(error)
                })?;
            let part = self
                .client
                .upload_part()
                .bucket(&self.name)
                .key(key)
                .upload_id(id)
                .part_number(number)
                .body(body)
                .customize()
                .config_override(with_time_for(length))
                .send();
            let part = self
                .runtime
                .run(part)
                .await
                .map_err(|error| self.failed("upload a part of", key, &error))?;
            parts.push(
                CompletedPart::builder()
                    .part_number(number)
                    .set_e_tag(part.e_tag)
                    .build(),
            );
            offset += length;
        }
        Ok(parts)
    }

    async fn complete(
        &self,
        key: &str,
        id: &str,
        parts: Vec<CompletedPart>,
        bytes: u64,
        condition: &Condition,
    ) -> Result<PutOutcome, PutError> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts));
        let request = self
            .client
            .complete_multipart_upload()
            .bucket(&self.name)
            .key(key)
            .upload_id(id)
            .multipart_upload(parts.build());
        let request = match condition {
            Condition::Absent => request.if_none_match("*"),
            Condition::Unchanged(etag) => request.if_match(etag),
        };
        // S3 takes its time to put many parts together.
        let config = with_time_for(bytes);
        let sent = request.customize().config_override(config).send();
        let error = match self.runtime.run(sent).await {
            Ok(done) => return Ok(PutOutcome::Done(done.e_tag)),
            Err(error) => error,
        };
        match status(&error) {
            // 404: the answer to an earlier request was lost, and the upload is complete.
            Some(404 | 412) => Ok(PutOutcome::ConditionFailed),
            _ => Err(self.put_failed("complete the upload of", key, &error)),
        }
    }

    /// Aborts the unfinished uploads below `prefix` to keys that are `ours`; returns how many there were.
    pub async fn abort_uploads(&self, prefix: &str, ours: impl Fn(&str) -> bool) -> Result<usize> {
        let mut unfinished = Vec::new();
        let mut markers = (None, None);
        loop {
            let page = self
                .client
                .list_multipart_uploads()
                .bucket(&self.name)
                .prefix(prefix)
                .set_key_marker(markers.0)
                .set_upload_id_marker(markers.1)
                .send();
            let page =
                self.runtime.run(page).await.map_err(|error| {
                    self.failed("list the unfinished uploads to", prefix, &error)
                })?;
            for upload in page.uploads.unwrap_or_default() {
                if let (Some(key), Some(id)) = (upload.key, upload.upload_id)
                    && ours(&key)
                {
                    unfinished.push((key, id));
                }
            }
            if !page.is_truncated.unwrap_or(false) {
                break;
            }
            markers = (page.next_key_marker, page.next_upload_id_marker);
        }
        for (key, id) in &unfinished {
            self.abort_upload(key, id).await?;
        }
        Ok(unfinished.len())
    }

    async fn abort_upload(&self, key: &str, id: &str) -> Result<()> {
        let aborted = self
            .client
            .abort_multipart_upload()
            .bucket(&self.name)
            .key(key)
            .upload_id(id)
            .send();
        match self.runtime.run(aborted).await {
            // 404: it is complete or aborted already.
            Err(error) if status(&error) != Some(404) => {
                Err(self.failed("abort an upload to", key, &error))
            }
            _ => Ok(()),
        }
    }

    /// Deletes an object; a missing object is no error.
    pub async fn delete(&self, key: &str) -> Result<()> {
        let deleted = self
            .client
            .delete_object()
            .bucket(&self.name)
            .key(key)
            .send();
        match self.runtime.run(deleted).await {
            Err(error) if status(&error) != Some(404) => Err(self.failed("delete", key, &error)),
            _ => Ok(()),
        }
    }

    fn put_failed<E>(&self, doing: &str, key: &str, error: &SdkError<E>) -> PutError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let failed = self.failed(doing, key, error);
        match status(error) {
            Some(409) => PutError::Conflict(failed),
            _ => PutError::Final(failed),
        }
    }

    fn failed<E>(&self, doing: &str, key: &str, error: &SdkError<E>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        Error::new(
            self.class,
            format!(
                "could not {doing} s3://{}/{key}: {}",
                self.name,
                explain(error)
            ),
        )
    }
}

/// The configuration for requests that send, or have S3 move, this many bytes.
fn with_time_for(bytes: u64) -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::Config::builder().timeout_config(timeouts::sdk_timeouts_for(bytes))
}

fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error
        .raw_response()
        .map(|response| response.status().as_u16())
}

fn explain<E>(error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let meta = error.as_service_error().map(ProvideErrorMetadata::meta);
    match meta.map(|meta| (meta.code(), meta.message())) {
        Some((Some(code), Some(message))) => format!("{message} ({code})"),
        Some((Some(code), None)) => code.to_owned(),
        _ => format!("no answer from S3: {}", root_cause(error)),
    }
}
