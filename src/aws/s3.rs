//! What the engine's S3 client can't do: a bucket's existence and Region, and putting objects on a condition, of which it
//! doesn't tell one that failed from one that is to be tried again.

use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::{ByteStream, Length};
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use object_store::aws::AmazonS3Builder;

use super::config::s3_endpoint;
use super::io_runtime::RequestRuntime;
use super::{Account, Aws, root_cause, timeouts};
use crate::error::{Class, Error, Result};

/// S3 takes parts of 5 MiB to 5 GiB and 10,000 of them. What is larger goes up in parts of this size, so that a lost
/// connection is noticed soon and repeats little.
pub const PART_BYTES: u64 = 8 << 20;
const MOST_PARTS: u64 = 10_000;

/// Waits after conditional puts that met another request for the same key. S3 says then that neither the condition nor
/// anything else has failed, and that they are to be sent again.
const CONFLICT_WAITS: [Duration; 6] = [
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// On what condition an object is put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Only where there is none yet.
    Absent,
    /// Only where it still has this ETag.
    Unchanged(String),
}

/// How a conditional upload ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Uploaded {
    /// It is there now, with this ETag.
    Done(Option<String>),
    /// The condition did not hold: somebody else wrote the object.
    ConditionFailed,
}

/// How one try at a conditional upload ended.
enum Tried {
    Ended(Uploaded),
    /// Another request for the key was under way.
    Conflict(Error),
}

/// One bucket.
#[derive(Debug, Clone)]
pub struct Bucket {
    client: Client,
    name: String,
    region: String,
    class: Class,
    /// Held for as long as anybody has requests for it, such as a lease that is given back when all else has ended.
    requests: Arc<RequestRuntime>,
}

impl Bucket {
    /// Finds the bucket and its Region. An error where it does not exist (usage) or may not be asked for.
    pub async fn find(
        aws: &Aws,
        account: Account,
        name: &str,
        requests: Arc<RequestRuntime>,
    ) -> Result<Self> {
        let config = aws.config(account).await?;
        let class = match account {
            Account::Source => Class::Source,
            Account::Output => Class::Output,
        };
        let own_region = config.region().map(ToString::to_string).unwrap_or_default();
        let client = |region: &str| {
            let mut builder = aws_sdk_s3::config::Builder::from(config)
                // Checksums by default are refused by some S3-compatible endpoints.
                .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
                .region(aws_sdk_s3::config::Region::new(region.to_owned()));
            // As the engine's client has it.
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
        let found = requests.run(found).await;
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
                    // Asking for the bucket needs s3:ListBucket; a job that may only put objects goes on without.
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
            requests,
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
    /// A request whose answer is lost is sent again, and then the condition fails on one's own work.
    pub async fn put(
        &self,
        key: &str,
        content: &Bytes,
        content_type: &str,
        condition: &Condition,
    ) -> Result<Uploaded> {
        let mut conflicts = Conflicts::default();
        loop {
            match self.try_put(key, content, content_type, condition).await? {
                Tried::Ended(uploaded) => return Ok(uploaded),
                Tried::Conflict(error) => conflicts.wait(error).await?,
            }
        }
    }

    async fn try_put(
        &self,
        key: &str,
        content: &Bytes,
        content_type: &str,
        condition: &Condition,
    ) -> Result<Tried> {
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
        let patient = patient(content.len() as u64);
        let sent = request.customize().config_override(patient).send();
        match self.requests.run(sent).await {
            Ok(done) => Ok(Tried::Ended(Uploaded::Done(done.e_tag))),
            Err(error) => {
                let failed = self.failed("write", key, &error);
                let replaces = matches!(condition, Condition::Unchanged(_));
                match status(&error) {
                    Some(409) => Ok(Tried::Conflict(failed)),
                    Some(412) => Ok(Tried::Ended(Uploaded::ConditionFailed)),
                    // What was to be replaced is gone.
                    Some(404) if replaces => Ok(Tried::Ended(Uploaded::ConditionFailed)),
                    _ => Err(failed),
                }
            }
        }
    }

    /// Uploads a file in parts, if `condition` holds; the object appears at the end, whole, or not at all. Parts of
    /// unfinished uploads to this key are removed, be they of this call or of a run that was killed.
    pub async fn upload(
        &self,
        key: &str,
        file: &FilePath,
        bytes: u64,
        content_type: &str,
        condition: &Condition,
    ) -> Result<Uploaded> {
        let result = self
            .upload_until_ended(key, file, bytes, content_type, condition)
            .await;
        if let Err(error) = self
            .abort_uploads(key, |unfinished| unfinished == key)
            .await
        {
            tracing::debug!(%error, "could not look for unfinished uploads");
        }
        result
    }

    async fn upload_until_ended(
        &self,
        key: &str,
        file: &FilePath,
        bytes: u64,
        content_type: &str,
        condition: &Condition,
    ) -> Result<Uploaded> {
        let mut conflicts = Conflicts::default();
        loop {
            let upload = self
                .client
                .create_multipart_upload()
                .bucket(&self.name)
                .key(key)
                .content_type(content_type)
                .send();
            let upload = self
                .requests
                .run(upload)
                .await
                .map_err(|error| self.failed("begin the upload of", key, &error))?;
            let id = upload.upload_id.unwrap_or_default();
            let tried = self.send_and_complete(key, &id, file, bytes, condition);
            match tried.await? {
                Tried::Ended(uploaded) => return Ok(uploaded),
                // S3 wants all parts again.
                Tried::Conflict(error) => conflicts.wait(error).await?,
            }
        }
    }

    async fn send_and_complete(
        &self,
        key: &str,
        id: &str,
        file: &FilePath,
        bytes: u64,
        condition: &Condition,
    ) -> Result<Tried> {
        let result = self
            .try_send_and_complete(key, id, file, bytes, condition)
            .await;
        if !matches!(result, Ok(Tried::Ended(Uploaded::Done(_))))
            && let Err(error) = self.abort_upload(key, id).await
        {
            tracing::warn!(key, %error, "could not remove the parts of a failed upload");
        }
        result
    }

    async fn try_send_and_complete(
        &self,
        key: &str,
        id: &str,
        file: &FilePath,
        bytes: u64,
        condition: &Condition,
    ) -> Result<Tried> {
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
                .config_override(patient(length))
                .send();
            let part = self
                .requests
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
        let request = self
            .client
            .complete_multipart_upload()
            .bucket(&self.name)
            .key(key)
            .upload_id(id)
            .multipart_upload(
                CompletedMultipartUpload::builder()
                    .set_parts(Some(parts))
                    .build(),
            );
        let request = match condition {
            Condition::Absent => request.if_none_match("*"),
            Condition::Unchanged(etag) => request.if_match(etag),
        };
        // Putting many parts together takes its time too.
        let patient = patient(bytes);
        let sent = request.customize().config_override(patient).send();
        match self.requests.run(sent).await {
            Ok(done) => Ok(Tried::Ended(Uploaded::Done(done.e_tag))),
            Err(error) => {
                let failed = self.failed("complete the upload of", key, &error);
                match status(&error) {
                    Some(409) => Ok(Tried::Conflict(failed)),
                    // 404: a first answer was lost, and the upload is complete.
                    Some(404 | 412) => Ok(Tried::Ended(Uploaded::ConditionFailed)),
                    _ => Err(failed),
                }
            }
        }
    }

    /// Aborts the unfinished uploads below `prefix` to keys that are `ours`; answers how many there were.
    pub async fn abort_uploads(&self, prefix: &str, ours: impl Fn(&str) -> bool) -> Result<usize> {
        let mut unfinished = Vec::new();
        let mut behind = (None, None);
        loop {
            let page = self
                .client
                .list_multipart_uploads()
                .bucket(&self.name)
                .prefix(prefix)
                .set_key_marker(behind.0)
                .set_upload_id_marker(behind.1)
                .send();
            let page =
                self.requests.run(page).await.map_err(|error| {
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
            behind = (page.next_key_marker, page.next_upload_id_marker);
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
        match self.requests.run(aborted).await {
            // 404: it is complete, or aborted already.
            Err(error) if status(&error) != Some(404) => {
                Err(self.failed("abort an upload to", key, &error))
            }
            _ => Ok(()),
        }
    }

    /// Deletes an object; one that is not there is no error.
    pub async fn delete(&self, key: &str) -> Result<()> {
        let deleted = self
            .client
            .delete_object()
            .bucket(&self.name)
            .key(key)
            .send();
        match self.requests.run(deleted).await {
            Err(error) if status(&error) != Some(404) => Err(self.failed("delete", key, &error)),
            _ => Ok(()),
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

/// The patience with other requests for the same key.
#[derive(Default)]
struct Conflicts {
    met: usize,
}

impl Conflicts {
    /// Waits until the next try, or gives up with the error.
    async fn wait(&mut self, error: Error) -> Result<()> {
        let Some(wait) = CONFLICT_WAITS.get(self.met) else {
            return Err(error);
        };
        self.met += 1;
        tokio::time::sleep(wait.mul_f64(0.5 + fastrand::f64())).await;
        Ok(())
    }
}

/// For requests that send, or have S3 move, so many bytes.
fn patient(bytes: u64) -> aws_sdk_s3::config::Builder {
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
