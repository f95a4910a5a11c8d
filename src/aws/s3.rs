//! What the engine's S3 client can't do: a bucket's existence and Region, and a conditional multipart upload.

use std::path::Path as FilePath;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::{ByteStream, Length};
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use object_store::aws::AmazonS3Builder;

use super::config::{TRANSFER_TIMEOUT, s3_endpoint};
use super::{Account, Aws, root_cause};
use crate::error::{Class, Error, Result};

/// S3 takes parts of 5 MiB to 5 GiB and 10,000 of them; this size keeps few bytes in flight.
const PART_BYTES: u64 = 16 << 20;
const MOST_PARTS: u64 = 10_000;

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

/// One bucket.
#[derive(Debug, Clone)]
pub struct Bucket {
    client: Client,
    name: String,
    region: String,
    class: Class,
}

impl Bucket {
    /// Finds the bucket and its Region. An error where it does not exist (usage) or may not be asked for.
    pub async fn find(aws: &Aws, account: Account, name: &str) -> Result<Self> {
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
        let found = client(&own_region).head_bucket().bucket(name).send().await;
        let region = match found {
            Ok(found) => found.bucket_region.unwrap_or_else(|| own_region.clone()),
            Err(error) => {
                let response = error.raw_response();
                let status = response.map(|response| response.status().as_u16());
                let elsewhere = response
                    .and_then(|response| response.headers().get("x-amz-bucket-region"))
                    .map(str::to_owned);
                match (status, elsewhere) {
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

    /// Uploads a file in parts; the object appears at the end, whole, or not at all. Parts of a failed upload are
    /// removed.
    pub async fn upload(
        &self,
        key: &str,
        file: &FilePath,
        bytes: u64,
        content_type: &str,
        condition: &Condition,
    ) -> Result<Uploaded> {
        let upload = self
            .client
            .create_multipart_upload()
            .bucket(&self.name)
            .key(key)
            .content_type(content_type)
            .send()
            .await
            .map_err(|error| self.failed("begin the upload of", key, &error))?;
        let id = upload.upload_id.unwrap_or_default();
        let result = self
            .send_and_complete(key, &id, file, bytes, condition)
            .await;
        if !matches!(result, Ok(Uploaded::Done(_))) {
            let aborted = self
                .client
                .abort_multipart_upload()
                .bucket(&self.name)
                .key(key)
                .upload_id(&id)
                .send()
                .await;
            if let Err(error) = aborted {
                tracing::warn!(key, error = %explain(&error), "could not remove the parts of a failed upload");
            }
        }
        result
    }

    async fn send_and_complete(
        &self,
        key: &str,
        id: &str,
        file: &FilePath,
        bytes: u64,
        condition: &Condition,
    ) -> Result<Uploaded> {
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
                .config_override(patient())
                .send()
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
        match request.customize().config_override(patient()).send().await {
            Ok(done) => Ok(Uploaded::Done(done.e_tag)),
            Err(error) => match error
                .raw_response()
                .map(|response| response.status().as_u16())
            {
                // 404: a first answer was lost, and the upload is complete.
                Some(404 | 409 | 412) => Ok(Uploaded::ConditionFailed),
                _ => Err(self.failed("complete the upload of", key, &error)),
            },
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

/// Parts take their time, and so does putting many of them together.
fn patient() -> aws_sdk_s3::config::Builder {
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(TRANSFER_TIMEOUT)
        .build();
    aws_sdk_s3::Config::builder().timeout_config(timeouts)
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
