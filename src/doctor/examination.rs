//! An examination under way: what it knows of the account, and what it has found.

use crate::aws::Account;
use crate::aws::identity::Caller;
use crate::aws::policy::{BucketKeys, GlueTables, Holder, Policies};
use crate::aws::tried::Tried;
use crate::error::Class;
use crate::job::{Job, JobSource, Location, Source, SourceAccess};
use crate::run::Environment;

use super::finding::{Area, Finding, Missing, Outcome};

/// The placeholder of an account that is not known.
const UNKNOWN_ACCOUNT: &str = "ACCOUNT";

/// The methods about logs and their bucket take the job's first source: of a job that has several, each is examined as of a job
/// of its own.
pub(super) struct Examination<'a> {
    pub(super) environment: &'a Environment,
    pub(super) job: &'a Job,
    pub(super) findings: Vec<Finding>,
    /// The Region of the logs.
    pub(super) region: String,
    /// Whose the credentials for the logs are.
    pub(super) of_logs: Option<Caller>,
    /// Whose the credentials for the answers are.
    pub(super) of_output: Option<Caller>,
    pub(super) keys: BucketKeys,
    /// The buckets whose encryption can't be read.
    pub(super) unknown_keys: Vec<String>,
    /// A completed export task of this job that wrote to the staging bucket, and when it was made.
    pub(super) wrote_before: Option<String>,
    pub(super) tables: Option<GlueTables>,
}

impl<'a> Examination<'a> {
    pub(super) fn new(environment: &'a Environment, job: &'a Job) -> Self {
        Self {
            environment,
            job,
            findings: Vec::new(),
            region: String::new(),
            of_logs: None,
            of_output: None,
            keys: BucketKeys::default(),
            unknown_keys: Vec::new(),
            wrote_before: None,
            tables: None,
        }
    }

    /// The examination of one of its sources: of the same job with this source only.
    pub(super) fn of_source<'s>(&self, only: &'s Job) -> Examination<'s>
    where
        'a: 's,
    {
        Examination {
            region: self.region.clone(),
            of_output: self.of_output.clone(),
            keys: self.keys.clone(),
            ..Examination::new(self.environment, only)
        }
    }

    /// Takes over what was found out about a source. Among several, it says of which one.
    pub(super) fn take(&mut self, source: &JobSource, findings: Vec<Finding>) {
        for mut finding in findings {
            if source.number.is_some() {
                finding.subject = format!("{source} · {}", finding.subject);
            }
            self.add(finding);
        }
    }

    /// Whether anything of the job is on AWS.
    pub(super) fn uses_aws(&self, database: Option<&str>) -> bool {
        let is_remote = |location: &Location| !location.is_local();
        let mut sources = self.job.sources.iter();
        let is_on_aws = |source: &JobSource| {
            matches!(source.logs, Source::CloudWatch(_)) || is_remote(source.logs.location())
        };
        sources.any(is_on_aws) || is_remote(&self.job.output) || database.is_some()
    }

    /// The source that is examined.
    pub(super) fn source(&self) -> &'a JobSource {
        &self.job.sources[0]
    }

    /// The account of its logs.
    pub(super) fn logs_account(&self) -> Account {
        Account::of(self.source())
    }

    /// How its logs are reached.
    pub(super) fn access(&self) -> SourceAccess {
        let access = self.job.aws.sources.get(self.source().access);
        access.cloned().unwrap_or_default()
    }

    pub(super) fn account_of_logs(&self) -> String {
        let caller = self.of_logs.as_ref();
        caller.map_or(UNKNOWN_ACCOUNT.to_owned(), |caller| caller.account.clone())
    }

    pub(super) fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    pub(super) fn has_failed(&self) -> bool {
        let mut findings = self.findings.iter();
        findings.any(|finding| finding.outcome == Outcome::Failed)
    }

    /// A statement that the policy of `holder` lacks.
    pub(super) fn missing(
        &self,
        holder: Holder,
        action: &str,
        bucket: Option<&str>,
    ) -> Option<Missing> {
        let account = self.account_of_logs();
        let mut policies =
            Policies::new(self.job, &self.region, &account).with_keys(self.keys.clone());
        if let Some(tables) = &self.tables {
            policies = policies.with_tables(tables.clone());
        }
        let statement = policies.allowing(holder, action, bucket)?;
        Some(Missing {
            holder,
            of: self.name_of(holder),
            statement,
        })
    }

    /// Who must be allowed what a run does with the logs, or else with the answers.
    fn holder_of(&self, class: Class) -> Holder {
        match (class, self.access().role_arn) {
            (Class::Source, Some(_)) => Holder::Role,
            _ => Holder::Identity,
        }
    }

    /// What has the policy of a holder.
    pub(super) fn name_of(&self, holder: Holder) -> String {
        match holder {
            Holder::Identity => {
                let caller = self.of_output.as_ref().or(self.of_logs.as_ref());
                caller.map_or(String::new(), |caller| caller.arn.clone())
            }
            Holder::Role => self.access().role_arn.unwrap_or_default(),
            Holder::Bucket => match self.source().logs.staging() {
                Some(Location::S3 { bucket, .. }) => bucket.clone(),
                _ => String::new(),
            },
            Holder::Key => self.keys.source.clone().unwrap_or_default(),
        }
    }
}

/// The permissions for one thing, tried one after the other.
pub(super) struct Permissions {
    area: Area,
    subject: String,
    /// The class that a run ends with if one is lacking.
    class: Class,
    /// The bucket, where the thing is one.
    bucket: Option<String>,
    allowed: Vec<&'static str>,
}

impl Permissions {
    pub(super) fn of(area: Area, subject: &str, class: Class, bucket: Option<&str>) -> Self {
        Self {
            area,
            subject: subject.to_owned(),
            class,
            bucket: bucket.map(str::to_owned),
            allowed: Vec::new(),
        }
    }

    /// Notes how trying an action ended; returns the answer if it is allowed.
    pub(super) fn note<T>(
        &mut self,
        examination: &mut Examination<'_>,
        action: &'static str,
        ended: Tried<T>,
    ) -> Option<T> {
        match ended {
            Tried::Allowed(answer) => {
                if !self.allowed.contains(&action) {
                    self.allowed.push(action);
                }
                return Some(answer);
            }
            Tried::Refused(why) => {
                let lacking = kms_action(&why).unwrap_or(action);
                let bucket = match lacking == action {
                    true => self.bucket.as_deref(),
                    false => None,
                };
                let denied = match why.contains("explicit deny") {
                    true => ". A policy denies it explicitly, which no further statement undoes",
                    false => "",
                };
                let message = format!("{lacking} is refused: {why}{denied}");
                let holder = examination.holder_of(self.class);
                let missing = examination.missing(holder, lacking, bucket);
                examination.add(Finding {
                    missing,
                    ..Finding::failed(self.area, &self.subject, self.class, message)
                });
            }
            Tried::Failed(why) => {
                let message = format!("{action} can't be tried: {why}");
                examination.add(Finding::failed(
                    self.area,
                    &self.subject,
                    self.class,
                    message,
                ));
            }
        }
        None
    }

    /// Says what is allowed.
    pub(super) fn finish(self, examination: &mut Examination<'_>) {
        if !self.allowed.is_empty() {
            let message = format!("{} tried, and allowed", self.allowed.join(", "));
            examination.add(Finding::new(self.area, self.subject, Outcome::Ok, message));
        }
    }
}

/// The action on a KMS key that a refusal by S3 names.
fn kms_action(refusal: &str) -> Option<&'static str> {
    ["kms:GenerateDataKey", "kms:Decrypt"]
        .into_iter()
        .find(|action| refusal.contains(action))
}
