//! Uploads in parts: the object appears at the end, whole, or not at all.

use std::path::Path as FilePath;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use tokio::io::{AsyncReadExt, AsyncSeekExt, SeekFrom};

use super::{Attempt, Bucket, Condition, Operation, PutError, PutOutcome, status};
use crate::aws::timeouts;
use crate::backoff::retry;
use crate::clock::SystemClock;
use crate::error::{Class, Error, Result};

/// S3 takes parts of 5 MiB to 5 GiB and 10,000 of them. What is larger goes up in parts of this size, so that a lost
/// connection is noticed soon and repeats little.
pub const PART_BYTES: u64 = 8 << 20;
const MOST_PARTS: u64 = 10_000;

const BEGIN: Operation = Operation("begin the upload of", "s3:PutObject");
const UPLOAD_PART: Operation = Operation("upload a part of", "s3:PutObject");
const COMPLETE: Operation = Operation("complete the upload of", "s3:PutObject");
const ABORT: Operation = Operation("abort an upload to", "s3:AbortMultipartUpload");
const LIST_UPLOADS: Operation = Operation(
    "list the unfinished uploads to",
    "s3:ListBucketMultipartUploads",
);

impl Bucket {
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
        // After a conflict, S3 wants all parts again, and each of them with a checksum where it demands one.
        let uploaded = retry(&SystemClock, delays, PutError::is_to_be_repeated, || {
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
        let (encryption, kms_key) = self.wanted_encryption();
        let attempt = self.attempt();
        let upload = self
            .client
            .create_multipart_upload()
            .bucket(&self.name)
            .key(key)
            .content_type(content_type)
            .set_server_side_encryption(encryption)
            .set_ssekms_key_id(kms_key)
            .set_request_payer(self.request_payer())
            .set_checksum_algorithm(attempt.algorithm())
            .customize()
            .config_override(attempt.config(0))
            .send();
        let upload = self.runtime.run(upload).await;
        let upload = upload.map_err(|error| self.put_failed(BEGIN, key, attempt, &error))?;
        let id = upload.upload_id.unwrap_or_default();
        let completed = match self.upload_parts(key, &id, file, bytes, attempt).await {
            Ok(parts) => {
                self.complete(key, &id, parts, bytes, condition, attempt)
                    .await
            }
            Err(error) => Err(error),
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
        attempt: Attempt,
    ) -> Result<Vec<CompletedPart>, PutError> {
        let part_bytes = PART_BYTES.max(bytes.div_ceil(MOST_PARTS));
        let mut parts = Vec::new();
        let mut offset = 0;
        while offset < bytes {
            let length = part_bytes.min(bytes - offset);
            let number = i32::try_from(parts.len() + 1).unwrap_or(i32::MAX);
            // In memory: a checksum is a header then, and not behind the body, which some servers do not read.
            let content = read_part(file, offset, length).await.map_err(|error| {
                Error::new(Class::Output, format!("can't read {}", file.display())).caused_by(error)
            })?;
            let part = self
                .client
                .upload_part()
                .bucket(&self.name)
                .key(key)
                .upload_id(id)
                .part_number(number)
                .set_request_payer(self.request_payer())
                .set_checksum_algorithm(attempt.algorithm())
                .body(ByteStream::from(content))
                .customize()
                .config_override(attempt.config(length))
                .send();
            let part = self.runtime.run(part).await;
            let part = part.map_err(|error| self.put_failed(UPLOAD_PART, key, attempt, &error))?;
            parts.push(
                CompletedPart::builder()
                    .part_number(number)
                    .set_e_tag(part.e_tag)
                    .set_checksum_crc32(part.checksum_crc32)
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
        attempt: Attempt,
    ) -> Result<PutOutcome, PutError> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts));
        let request = self
            .client
            .complete_multipart_upload()
            .bucket(&self.name)
            .key(key)
            .upload_id(id)
            .set_request_payer(self.request_payer())
            .multipart_upload(parts.build());
        let request = match condition {
            Condition::Absent => request.if_none_match("*"),
            Condition::Unchanged(etag) => request.if_match(etag),
        };
        // S3 takes its time to put many parts together.
        let config = attempt.config(bytes);
        let sent = request.customize().config_override(config).send();
        let error = match self.runtime.run(sent).await {
            Ok(done) => return Ok(PutOutcome::Done(done.e_tag)),
            Err(error) => error,
        };
        match status(&error) {
            // 404: the answer to an earlier request was lost, and the upload is complete.
            Some(404 | 412) => Ok(PutOutcome::ConditionFailed),
            _ => Err(self.put_failed(COMPLETE, key, attempt, &error)),
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
                .set_request_payer(self.request_payer())
                .send();
            let page = self.runtime.run(page).await;
            let page = page.map_err(|error| self.failed(LIST_UPLOADS, prefix, &error))?;
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
            .set_request_payer(self.request_payer())
            .send();
        match self.runtime.run(aborted).await {
            // 404: it is complete or aborted already.
            Err(error) if status(&error) != Some(404) => Err(self.failed(ABORT, key, &error)),
            _ => Ok(()),
        }
    }
}

async fn read_part(file: &FilePath, offset: u64, length: u64) -> std::io::Result<Vec<u8>> {
    let mut file = tokio::fs::File::open(file).await?;
    file.seek(SeekFrom::Start(offset)).await?;
    let mut content = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    file.read_exact(&mut content).await?;
    Ok(content)
}
