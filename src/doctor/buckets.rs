//! The buckets: Region, permissions, encryption, locks, and whether CloudWatch's export service may write.

use futures::StreamExt;
use object_store::path::Path;

use crate::aws::Account;
use crate::aws::policy::{Holder, Partition, log_groups_arn};
use crate::aws::s3::Bucket;
use crate::aws::s3::inspect::Encryption;
use crate::aws::tried::Tried;
use crate::error::Class;
use crate::job::{CloudWatch, Division, Location, Source, Via};
use crate::layout::{Keys, StagingKeys};
use crate::store::Store;

use super::bucket_policy::{self, ServiceRequest, Verdict};
use super::examination::{Examination, Permissions};
use super::finding::{Area, Finding, Outcome};

/// What a probe object holds.
const PROBE: &str =
    "logtally doctor tries whether it may write here. This object may be deleted.\n";

impl Examination<'_> {
    /// Examines the bucket of the source.
    pub(super) async fn bucket_of_source(&mut self) {
        let source = self.source();
        let (location, account) = (source.logs.location().clone(), self.logs_account());
        let section = source.section();
        if let Some((store, bucket)) = self.open(&location, account, &section).await {
            match source.logs.staging() {
                Some(_) => self.staging(&store, &bucket).await,
                None => self.exported(&store, &bucket).await,
            }
        }
    }

    /// Examines the bucket of the answers.
    pub(super) async fn bucket_of_answers(&mut self) {
        let output = self.job.output.clone();
        if let Some((store, bucket)) = self.open(&output, Account::Output, "[output]").await {
            self.output(&store, &bucket).await;
        }
    }

    /// Reads which keys encrypt the buckets of the source and of the answers, as far as that is allowed.
    pub(super) async fn read_keys(&mut self) {
        let source = self.source().logs.location().clone();
        let output = self.job.output.clone();
        for (location, account) in [(source, self.logs_account()), (output, Account::Output)] {
            let Ok(store) = self.environment.stores.open(&location, account).await else {
                continue;
            };
            let Some(bucket) = store.bucket() else {
                continue;
            };
            match bucket.encryption().await {
                Tried::Allowed(encryption) => self.note_key(account, &encryption),
                Tried::Refused(_) | Tried::Failed(_) => {
                    self.unknown_keys.push(bucket.name().to_owned());
                }
            }
        }
        self.unknown_keys.dedup();
    }

    fn note_key(&mut self, account: Account, encryption: &Encryption) {
        let key = encryption.key().map(str::to_owned);
        match account {
            Account::Source(_) => self.keys.source = key.or(self.keys.source.take()),
            Account::Output => self.keys.output = key.or(self.keys.output.take()),
        }
    }

    /// Opens a location on S3; `None` for a folder, or where the bucket can't be reached.
    async fn open(
        &mut self,
        location: &Location,
        account: Account,
        section: &str,
    ) -> Option<(Store, Bucket)> {
        if location.is_local() {
            return None;
        }
        match self.environment.stores.open(location, account).await {
            Ok(store) => {
                let bucket = store.bucket()?.clone();
                Some((store, bucket))
            }
            Err(error) => {
                let error = error.during(section);
                self.add(Finding::of_error(
                    Area::Buckets,
                    location.to_string(),
                    &error,
                ));
                None
            }
        }
    }

    async fn staging(&mut self, store: &Store, bucket: &Bucket) {
        let Ok(keys) = StagingKeys::of(self.job, self.source()) else {
            return;
        };
        let exporting = match &self.source().logs {
            Source::CloudWatch(source) if source.via != Via::Events => Some(source.clone()),
            _ => None,
        };
        let subject = store.location().to_string();
        if exporting.is_some() && bucket.region() != self.region {
            self.add(Finding::failed(
                Area::Buckets,
                &subject,
                Class::Usage,
                format!(
                    "the bucket is in {}, and the logs are in {}: CloudWatch exports to its own Region only",
                    bucket.region(),
                    self.region
                ),
            ));
        }
        let name = bucket.name();
        let mut permissions = Permissions::of(Area::Buckets, &subject, Class::Source, Some(name));
        let folder = keys.of_job();
        let probe = folder.clone().join(probe_name());
        let probe = self
            .read_and_write(bucket, &mut permissions, &folder, &probe)
            .await;
        if exporting.is_some() {
            permissions.note(self, "s3:GetBucketAcl", bucket.try_acl().await);
        }
        permissions.finish(self);
        let encryption = self
            .encryption(bucket, &subject, probe.encryption, self.logs_account())
            .await;
        self.lock(bucket, &subject, self.source().keep.is_some())
            .await;
        if let Some(source) = exporting {
            self.ownership(bucket, &subject).await;
            self.export_service(bucket, &source, &subject).await;
            self.key_of_exports(&subject, encryption.as_ref());
        }
    }

    async fn output(&mut self, store: &Store, bucket: &Bucket) {
        let Ok(keys) = Keys::of(self.job) else {
            return;
        };
        let subject = store.location().to_string();
        let name = bucket.name();
        let mut permissions = Permissions::of(Area::Buckets, &subject, Class::Output, Some(name));
        let probe = keys.states().join(probe_name());
        let folder = keys.receipts();
        let probe = self
            .read_and_write(bucket, &mut permissions, &folder, &probe)
            .await;
        // A put that can't succeed shows whether it is allowed, where nothing may be deleted.
        let mut folders = vec![keys.receipts()];
        for query in self.job.answers() {
            folders.push(keys.answers_folder(query.name.as_str()));
            let deletes_below = match query.division {
                Division::BySize(_) => Some(keys.parts(query.name.as_str())),
                Division::Numbered { .. } => Some(keys.answers(query.name.as_str())),
                Division::Whole | Division::ByValue(_) => None,
            };
            if let Some(Location::S3 { prefix, .. }) = deletes_below {
                let part = prefix.join(probe_name());
                let deleted = bucket.try_delete(part.as_ref()).await;
                permissions.note(self, "s3:DeleteObject", deleted);
            }
        }
        // Where the probe was refused, that is said already.
        folders.retain(|_| probe.is_there);
        for folder in folders {
            let key = folder.join(probe_name());
            let ended = bucket.try_replace_missing(key.as_ref()).await;
            if let Tried::Refused(_) = ended {
                permissions.note(self, "s3:PutObject", ended);
                break;
            }
        }
        permissions.finish(self);
        if bucket.region() != self.region {
            let message = format!(
                "the bucket is in {}, and the job's Region is {}: answers go from one to the other, which AWS charges as transfer",
                bucket.region(),
                self.region
            );
            self.add(Finding::new(
                Area::Buckets,
                &subject,
                Outcome::Note,
                message,
            ));
        }
        self.encryption(bucket, &subject, probe.encryption, Account::Output)
            .await;
        self.lock(bucket, &subject, true).await;
    }

    async fn exported(&mut self, store: &Store, bucket: &Bucket) {
        let subject = store.location().to_string();
        let name = bucket.name();
        let mut permissions = Permissions::of(Area::Buckets, &subject, Class::Source, Some(name));
        let prefix = format!("{}/", store.root());
        permissions.note(self, "s3:ListBucket", bucket.try_list(&prefix).await);
        let mut objects = store.objects().list(Some(store.root()));
        if let Some(Ok(first)) = objects.next().await {
            let got = bucket.try_get(first.location.as_ref()).await;
            permissions.note(self, "s3:GetObject", got);
        }
        permissions.finish(self);
    }

    /// Lists, puts, gets and deletes, below the job's own keys. Returns what became of the probe object.
    async fn read_and_write(
        &mut self,
        bucket: &Bucket,
        permissions: &mut Permissions,
        folder: &Path,
        probe: &Path,
    ) -> Probe {
        let (prefix, key) = (format!("{folder}/"), probe.as_ref());
        permissions.note(self, "s3:ListBucket", bucket.try_list(&prefix).await);
        let uploads = bucket.try_list_uploads(&prefix).await;
        permissions.note(self, "s3:ListBucketMultipartUploads", uploads);
        let aborted = bucket.try_abort_upload(key).await;
        permissions.note(self, "s3:AbortMultipartUpload", aborted);
        let put = bucket.try_put_new(key, PROBE).await;
        let is_there = permissions.note(self, "s3:PutObject", put).is_some();
        // An object that does not exist is answered with 403 only where it may not be read, or not be listed.
        let got = match bucket.try_get(key).await {
            Tried::Failed(_) if !is_there => Tried::Allowed(None),
            got => got.map(Some),
        };
        let encryption = permissions.note(self, "s3:GetObject", got).flatten();
        let deleted = permissions.note(self, "s3:DeleteObject", bucket.try_delete(key).await);
        if deleted.is_none() && is_there {
            let message = format!(
                "the probe object s3://{}/{key} stays: delete it",
                bucket.name()
            );
            let subject = bucket.name().to_owned();
            self.add(Finding::new(
                Area::Buckets,
                subject,
                Outcome::Warning,
                message,
            ));
        }
        Probe {
            is_there,
            encryption,
        }
    }

    /// Says how objects are encrypted: as S3 answered the probe, or else as the bucket is configured.
    async fn encryption(
        &mut self,
        bucket: &Bucket,
        subject: &str,
        of_probe: Option<Encryption>,
        account: Account,
    ) -> Option<Encryption> {
        let configured = match bucket.encryption().await {
            Tried::Allowed(encryption) => Some(encryption),
            Tried::Refused(_) | Tried::Failed(_) => None,
        };
        let encryption = match (of_probe, configured) {
            // S3 answers a put with the ARN of AWS's own key too.
            (Some(Encryption::Kms(_)), Some(Encryption::Kms(None))) => Encryption::Kms(None),
            (Some(encryption), _) | (None, Some(encryption)) => encryption,
            (None, None) => return None,
        };
        self.note_key(account, &encryption);
        let message = match &encryption {
            Encryption::OfS3 => "objects are encrypted with S3's own keys (SSE-S3)".to_owned(),
            Encryption::Kms(key) => {
                let key = key.as_deref().unwrap_or("AWS's own key aws/s3");
                format!("objects are encrypted with the KMS key {key} (SSE-KMS)")
            }
            Encryption::KmsTwice => {
                "objects are encrypted in two layers with a KMS key (DSSE-KMS)".to_owned()
            }
        };
        self.add(Finding::new(Area::Buckets, subject, Outcome::Ok, message));
        Some(encryption)
    }

    /// Says whether objects are locked, where the job deletes or replaces some.
    async fn lock(&mut self, bucket: &Bucket, subject: &str, replaces: bool) {
        if let Tried::Allowed(Some(lock)) = bucket.object_lock().await {
            let (outcome, effect) = match replaces {
                true => (
                    Outcome::Warning,
                    "each version stays and is paid for until then, also what a rerun replaces and [source] keep deletes",
                ),
                false => (Outcome::Note, "superseded exports stay until then"),
            };
            let message = format!("Object Lock keeps new objects ({lock}): {effect}");
            self.add(Finding::new(Area::Buckets, subject, outcome, message));
        }
    }

    async fn ownership(&mut self, bucket: &Bucket, subject: &str) {
        if let Tried::Allowed(Some(ownership)) = bucket.ownership().await
            && ownership == "ObjectWriter"
        {
            let message = "object ownership is ObjectWriter, so exported objects belong to CloudWatch's account, and a role of another account can't read them: expected BucketOwnerEnforced";
            self.add(Finding::new(
                Area::Buckets,
                subject,
                Outcome::Warning,
                message,
            ));
        }
    }

    /// Whether the bucket's policy lets the export service write: read, or else seen by an export that has worked.
    async fn export_service(&mut self, bucket: &Bucket, source: &CloudWatch, subject: &str) {
        let policy = match bucket.policy().await {
            Tried::Allowed(policy) => policy,
            Tried::Refused(why) | Tried::Failed(why) => {
                let finding = match &self.wrote_before {
                    Some(task) => Finding::new(
                        Area::Buckets,
                        subject,
                        Outcome::Ok,
                        format!(
                            "CloudWatch may write here: the export task {task} did. The bucket's policy can't be read"
                        ),
                    ),
                    None => Finding {
                        missing: self.missing(Holder::Bucket, "s3:PutObject", None),
                        ..Finding::new(
                            Area::Buckets,
                            subject,
                            Outcome::NotChecked,
                            format!(
                                "not checked whether CloudWatch may write here, because these credentials can't read the bucket's policy (s3:GetBucketPolicy), and no export of this job has ended yet: {why}"
                            ),
                        )
                    },
                };
                return self.add(finding);
            }
        };
        let policy = policy.unwrap_or_default();
        let mut lacks = false;
        for action in ["s3:GetBucketAcl", "s3:PutObject"] {
            let (class, message) = match self.verdict(bucket, source, &policy, action) {
                Verdict::Allowed => continue,
                Verdict::NotAllowed => (
                    Some(Class::Source),
                    format!(
                        "the bucket's policy does not allow CloudWatch {action}, so it refuses to export to it"
                    ),
                ),
                Verdict::Denied(sid) => (
                    Some(Class::Source),
                    format!(
                        "{sid:?} of the bucket's policy denies CloudWatch {action}, which no further statement undoes: except the service from it"
                    ),
                ),
                Verdict::Unknown(sid) => (
                    None,
                    format!(
                        "not checked whether the bucket's policy allows CloudWatch {action}, because {sid:?} of it has a condition that can't be evaluated here"
                    ),
                ),
            };
            lacks = true;
            let outcome = match (class, &self.wrote_before) {
                (Some(_), _) => Outcome::Failed,
                (None, Some(_)) => Outcome::Note,
                (None, None) => Outcome::NotChecked,
            };
            let missing = match class {
                Some(_) => self.missing(Holder::Bucket, action, None),
                None => None,
            };
            self.add(Finding {
                class,
                missing,
                ..Finding::new(Area::Buckets, subject, outcome, message)
            });
        }
        if !lacks {
            let message = "the bucket's policy lets CloudWatch export to it";
            self.add(Finding::new(Area::Buckets, subject, Outcome::Ok, message));
        }
    }

    /// What the bucket's policy says of the requests that CloudWatch makes for the job's log groups.
    fn verdict(
        &self,
        bucket: &Bucket,
        source: &CloudWatch,
        policy: &serde_json::Value,
        action: &str,
    ) -> Verdict {
        let region = self.region.as_str();
        let partition = Partition::of(region);
        let service = format!("logs.{region}.{}", partition.suffix);
        let account = self.account_of_logs();
        let mut resource = format!("arn:{}:s3:::{}", partition.id, bucket.name());
        if action == "s3:PutObject"
            && let Ok(keys) = StagingKeys::of(self.job, self.source())
        {
            resource += &format!(
                "/{}/2026-01-01/group/attempt=x/aws-logs-write-test",
                keys.of_job()
            );
        }
        for pattern in &source.log_groups {
            let group = log_groups_arn(region, &account, pattern.as_str());
            let context = [
                ("aws:SourceAccount", vec![account.clone()]),
                ("aws:SourceArn", vec![format!("{group}:*"), group]),
                ("aws:SecureTransport", vec!["true".to_owned()]),
                ("aws:PrincipalIsAWSService", vec!["true".to_owned()]),
                ("aws:ViaAWSService", vec!["false".to_owned()]),
                ("s3:x-amz-acl", vec!["bucket-owner-full-control".to_owned()]),
            ];
            let request = ServiceRequest {
                service: &service,
                action,
                resource: &resource,
                context: &context,
            };
            match bucket_policy::evaluate(policy, &request) {
                Verdict::Allowed => {}
                other => return other,
            }
        }
        Verdict::Allowed
    }

    /// Whether the export service may use the key of the bucket.
    fn key_of_exports(&mut self, subject: &str, encryption: Option<&Encryption>) {
        let finding = match encryption {
            None | Some(Encryption::OfS3) => return,
            Some(Encryption::KmsTwice) => Finding::failed(
                Area::Buckets,
                subject,
                Class::Source,
                "CloudWatch does not export to a bucket with DSSE-KMS: expected SSE-KMS or SSE-S3",
            ),
            Some(Encryption::Kms(None)) => Finding::failed(
                Area::Buckets,
                subject,
                Class::Source,
                "CloudWatch can't use AWS's own key aws/s3, whose policy can't be changed: expected a key of your own, or SSE-S3",
            ),
            Some(Encryption::Kms(Some(_))) => match &self.wrote_before {
                Some(task) => Finding::new(
                    Area::Buckets,
                    subject,
                    Outcome::Ok,
                    format!("CloudWatch may use the key: the export task {task} wrote here"),
                ),
                None => Finding {
                    missing: self.missing(Holder::Key, "kms:GenerateDataKey", None),
                    ..Finding::new(
                        Area::Buckets,
                        subject,
                        Outcome::NotChecked,
                        "not checked whether CloudWatch may use the key, because no export of this job has ended yet: its policy must allow kms:GenerateDataKey and kms:Decrypt",
                    )
                },
            },
        };
        self.add(finding);
    }
}

/// What became of a probe object.
struct Probe {
    /// Whether it could be put.
    is_there: bool,
    /// How S3 encrypted it, where it could be read.
    encryption: Option<Encryption>,
}

fn probe_name() -> String {
    format!("doctor-probe-{}", uuid::Uuid::now_v7().simple())
}
