//! A bucket looked at and tried out, by requests that leave nothing behind.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ServerSideEncryption;
use bytes::Bytes;
use serde_json::Value;

use super::super::tried::Tried;
use super::{Bucket, Condition, status};
use crate::aws::failure::Refusal;
use crate::aws::root_cause;

/// The media type of a probe object.
const CONTENT_TYPE: &str = "text/plain";

/// How S3 encrypts objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encryption {
    /// With keys of its own.
    OfS3,
    /// With a KMS key: its ARN, where S3 says it.
    Kms(Option<String>),
    /// With a KMS key, in two layers.
    KmsTwice,
}

impl Encryption {
    fn of(algorithm: Option<&ServerSideEncryption>, key: Option<String>) -> Self {
        match algorithm {
            Some(ServerSideEncryption::AwsKms) => Self::Kms(key),
            Some(ServerSideEncryption::AwsKmsDsse) => Self::KmsTwice,
            _ => Self::OfS3,
        }
    }

    /// The key's ARN; a key that the bucket names by its id alone is no ARN, and S3 answers with one.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Kms(Some(key)) if key.starts_with("arn:") => Some(key),
            _ => None,
        }
    }
}

impl Bucket {
    /// The bucket's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Lists one key at the most.
    pub async fn try_list(&self, prefix: &str) -> Tried<()> {
        let listed = self.client.list_objects_v2().bucket(&self.name);
        let listed = listed.set_request_payer(self.request_payer());
        let listed = listed.prefix(prefix).max_keys(1).send();
        tried(self.runtime.run(listed).await).map(drop)
    }

    /// Lists one unfinished upload at the most.
    pub async fn try_list_uploads(&self, prefix: &str) -> Tried<()> {
        let listed = self.client.list_multipart_uploads().bucket(&self.name);
        let listed = listed.prefix(prefix).max_uploads(1).send();
        tried(self.runtime.run(listed).await).map(drop)
    }

    /// Reads who may do what by the bucket's ACL.
    pub async fn try_acl(&self) -> Tried<()> {
        let acl = self.client.get_bucket_acl().bucket(&self.name).send();
        tried(self.runtime.run(acl).await).map(drop)
    }

    /// Puts an object as a run does.
    pub async fn try_put_new(&self, key: &str, content: &'static str) -> Tried<()> {
        let content = Bytes::from_static(content.as_bytes());
        let put = self.put(key, &content, CONTENT_TYPE, &Condition::Absent);
        if put.await.is_ok() {
            return Tried::Allowed(());
        }
        // Sent once more, for what S3 says itself.
        let (encryption, kms_key) = self.wanted_encryption();
        let put = self.client.put_object().bucket(&self.name).key(key);
        let put = put.content_type(CONTENT_TYPE).if_none_match("*");
        let put = put
            .set_server_side_encryption(encryption)
            .set_ssekms_key_id(kms_key)
            .set_request_payer(self.request_payer());
        let put = put.body(ByteStream::from(content)).send();
        tried(self.runtime.run(put).await).map(drop)
    }

    /// Puts an object in the place of one that does not exist, which can't succeed: the answer says whether it is
    /// allowed, and nothing is left.
    pub async fn try_replace_missing(&self, key: &str) -> Tried<()> {
        let (encryption, kms_key) = self.wanted_encryption();
        let put = self
            .client
            .put_object()
            .bucket(&self.name)
            .key(key)
            .if_match("\"00000000000000000000000000000000\"")
            .set_server_side_encryption(encryption)
            .set_ssekms_key_id(kms_key)
            .set_request_payer(self.request_payer())
            .body(ByteStream::from_static(b""))
            .send();
        match self.runtime.run(put).await {
            Err(error) if matches!(status(&error), Some(404 | 412)) => Tried::Allowed(()),
            ended => tried(ended).map(drop),
        }
    }

    /// Gets an object, and says how S3 encrypted it.
    pub async fn try_get(&self, key: &str) -> Tried<Encryption> {
        let got = self.client.get_object().bucket(&self.name).key(key);
        let got = got.set_request_payer(self.request_payer()).send();
        tried(self.runtime.run(got).await)
            .map(|got| Encryption::of(got.server_side_encryption.as_ref(), got.ssekms_key_id))
    }

    /// Deletes an object.
    pub async fn try_delete(&self, key: &str) -> Tried<()> {
        let deleted = self.client.delete_object().bucket(&self.name);
        let deleted = deleted.key(key).send();
        tried(self.runtime.run(deleted).await).map(drop)
    }

    /// Aborts an upload that does not exist.
    pub async fn try_abort_upload(&self, key: &str) -> Tried<()> {
        let aborted = self
            .client
            .abort_multipart_upload()
            .bucket(&self.name)
            .key(key)
            .upload_id("logtally-doctor-tries-an-upload-that-does-not-exist")
            .send();
        match self.runtime.run(aborted).await {
            Err(error) if matches!(status(&error), Some(400 | 404)) => Tried::Allowed(()),
            ended => tried(ended).map(drop),
        }
    }

    /// The bucket's policy; `None` where it has none.
    pub async fn policy(&self) -> Tried<Option<Value>> {
        let policy = self.client.get_bucket_policy().bucket(&self.name).send();
        let policy = absent_as_none(self.runtime.run(policy).await);
        policy.map(|policy| serde_json::from_str(&policy?.policy?).ok())
    }

    /// How the bucket encrypts objects.
    pub async fn encryption(&self) -> Tried<Encryption> {
        let encryption = self.client.get_bucket_encryption().bucket(&self.name);
        let encryption = absent_as_none(self.runtime.run(encryption.send()).await);
        encryption.map(|found| {
            let rules = found.and_then(|found| found.server_side_encryption_configuration);
            let rule = rules.and_then(|rules| rules.rules.into_iter().next());
            let default = rule.and_then(|rule| rule.apply_server_side_encryption_by_default);
            match default {
                Some(default) => {
                    Encryption::of(Some(&default.sse_algorithm), default.kms_master_key_id)
                }
                None => Encryption::OfS3,
            }
        })
    }

    /// Whose objects are that others put, such as `BucketOwnerEnforced`; `None` where the bucket does not say.
    pub async fn ownership(&self) -> Tried<Option<String>> {
        let controls = self.client.get_bucket_ownership_controls();
        let controls = controls.bucket(&self.name).send();
        absent_as_none(self.runtime.run(controls).await).map(|found| {
            let rule = found?.ownership_controls?.rules.into_iter().next()?;
            Some(rule.object_ownership.as_str().to_owned())
        })
    }

    /// For how long the bucket locks new objects, such as `COMPLIANCE, 30 days`; `None` where it does not.
    pub async fn object_lock(&self) -> Tried<Option<String>> {
        let lock = self.client.get_object_lock_configuration();
        let lock = lock.bucket(&self.name).send();
        absent_as_none(self.runtime.run(lock).await).map(|found| {
            let retention = found?.object_lock_configuration?.rule?.default_retention?;
            let mode = retention
                .mode
                .as_ref()
                .map_or("locked", |mode| mode.as_str());
            Some(match (retention.days, retention.years) {
                (Some(days), _) => format!("{mode}, {days} days"),
                (_, Some(years)) => format!("{mode}, {years} years"),
                _ => mode.to_owned(),
            })
        })
    }
}

/// How a request about a part of the bucket's configuration ended, which may not be there.
fn absent_as_none<T, E>(ended: Result<T, SdkError<E>>) -> Tried<Option<T>>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match ended {
        Err(error) if status(&error) == Some(404) => Tried::Allowed(None),
        ended => tried(ended).map(Some),
    }
}

fn tried<T, E>(ended: Result<T, SdkError<E>>) -> Tried<T>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match ended {
        Ok(answer) => Tried::Allowed(answer),
        Err(error) if matches!(status(&error), Some(401 | 403)) => Tried::Refused(explain(&error)),
        Err(error) => Tried::Failed(explain(&error)),
    }
}

/// What S3 says, with a body or only by its status, or why there is no answer.
fn explain<E>(error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match Refusal::of(error) {
        Some(refusal) => refusal.said().unwrap_or_else(|| refusal.without_reason()),
        None => format!("no answer from S3: {}", root_cause(error)),
    }
}
