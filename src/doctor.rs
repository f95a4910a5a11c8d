//! `doctor`: whether the next run of a job will work, found out before it runs. Everything that can be tried without
//! harm is tried; nothing of it stays.

mod account;
mod bucket_policy;
mod buckets;
mod examination;
mod export_slot;
mod finding;
mod folders;
mod logs;
mod night;
mod notifications;
mod plan;
mod prices;
mod retention;
mod tables;
mod volume;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::aws::policy::{BucketKeys, GlueTables, Holder, Policies, merged};
use crate::error::{Class, Error, Result};
use crate::job::{Job, Location};
use crate::run::Environment;

use examination::Examination;

pub use finding::{Area, Finding, Missing, Outcome};
pub use folders::size;
pub use night::{Cost, Night};

/// The exit code where nothing wrong was found, and something that the night needs could not be tried. It is that of
/// `run --strict` for what is not verified.
pub const NOT_CHECKED: u8 = 9;

/// What an examination of a job found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The job's name.
    pub job: String,
    /// Whether the night will work; `None` where something that it needs could not be tried.
    pub works: Option<bool>,
    /// The exit code of `doctor`.
    pub exit_code: u8,
    /// The findings, by area.
    pub findings: Vec<Finding>,
    /// What a night takes; `None` where nothing is known of its volume.
    pub night: Option<Night>,
}

impl Report {
    fn of(job: &Job, mut findings: Vec<Finding>, night: Option<Night>) -> Self {
        findings.sort_by_key(|finding| finding.area);
        let failures = findings.iter().filter_map(|finding| finding.class);
        let exit_code = match Class::worst(failures) {
            Some(class) => class.exit_code(),
            None if findings
                .iter()
                .any(|finding| finding.outcome == Outcome::NotChecked) =>
            {
                NOT_CHECKED
            }
            None => 0,
        };
        Self {
            job: job.name.to_string(),
            works: match exit_code {
                0 => Some(true),
                NOT_CHECKED => None,
                _ => Some(false),
            },
            exit_code,
            findings,
            night,
        }
    }
}

/// Examines a job, and with a `database` its tables in the Glue catalogue too.
pub async fn examine(environment: &Environment, job: &Job, database: Option<&str>) -> Report {
    let mut examination = Examination::new(environment, job);
    examination.queries().await;
    for source in &job.sources {
        let only = job.with_only(source);
        let mut of_source = examination.of_source(&only);
        of_source.folders_of_source();
        examination.take(source, of_source.findings);
    }
    examination.folders_of_answers();
    let mut night: Option<Night> = None;
    let has_account = examination.uses_aws(database) && examination.account().await;
    for source in job.sources.iter().filter(|_| has_account) {
        let only = job.with_only(source);
        let mut of_source = examination.of_source(&only);
        if of_source.account_of_source().await {
            let groups = of_source.logs().await;
            of_source.bucket_of_source().await;
            if let Some(groups) = &groups {
                let own = of_source.night(groups).await;
                night = match (night, own) {
                    (Some(others), Some(own)) => Some(others.beside(own)),
                    (one, other) => one.or(other),
                };
            }
        }
        let Examination {
            findings,
            of_logs,
            keys,
            ..
        } = of_source;
        examination.of_logs = examination.of_logs.take().or(of_logs);
        if !job.has_several_sources() {
            examination.keys = keys;
        }
        examination.take(source, findings);
    }
    if has_account {
        examination.bucket_of_answers().await;
        if let Some(database) = database {
            examination.tables(database).await;
        }
    }
    examination.notifications();
    examination.plan().await;
    Report::of(job, examination.findings, night)
}

/// The least that a job must be allowed, with the account, the Region and the keys that the credentials find.
pub async fn policies(
    environment: &Environment,
    job: &Job,
    database: Option<&str>,
) -> Result<PoliciesOf> {
    let mut examination = Examination::new(environment, job);
    if !examination.uses_aws(database) {
        return Err(Error::usage(format!(
            "{} uses nothing on AWS, and needs no policy",
            job.file
        )));
    }
    if !examination.account().await {
        return Err(first_failure(examination.findings));
    }
    let tables = match database {
        Some(database) => Some(examination.glue_tables(database).await?),
        None => None,
    };
    let mut policies = PoliciesOf {
        parts: Vec::with_capacity(job.sources.len()),
        tables,
        unknown_keys: Vec::new(),
    };
    for source in &job.sources {
        let only = job.with_only(source);
        let mut of_source = examination.of_source(&only);
        if !of_source.account_of_source().await {
            return Err(first_failure(of_source.findings));
        }
        of_source.read_keys().await;
        let (account, role) = (of_source.account_of_logs(), of_source.access().role_arn);
        let Examination {
            region,
            keys,
            unknown_keys,
            ..
        } = of_source;
        policies.unknown_keys.extend(unknown_keys);
        policies.parts.push(PoliciesOfSource {
            job: only,
            region,
            account,
            role,
            keys,
        });
    }
    policies.unknown_keys.sort();
    policies.unknown_keys.dedup();
    Ok(policies)
}

fn first_failure(findings: Vec<Finding>) -> Error {
    let mut findings = findings.into_iter();
    let failure = findings.find(|finding| finding.outcome == Outcome::Failed);
    let (class, why) = failure.map_or((Class::Unexpected, String::new()), |finding| {
        (finding.class.unwrap_or(Class::Source), finding.message)
    });
    Error::new(class, why)
}

/// What the policies of a job are made from.
#[derive(Debug)]
pub struct PoliciesOf {
    parts: Vec<PoliciesOfSource>,
    tables: Option<GlueTables>,
    /// The buckets whose encryption can't be read.
    pub unknown_keys: Vec<String>,
}

/// The same as far as one source goes.
#[derive(Debug)]
struct PoliciesOfSource {
    job: Job,
    region: String,
    account: String,
    role: Option<String>,
    keys: BucketKeys,
}

impl PoliciesOfSource {
    /// Who has the policy of a holder, among several.
    fn name_of(&self, holder: Holder) -> String {
        let staging = self.job.sources.first().and_then(|one| one.logs.staging());
        match (holder, staging) {
            (Holder::Identity, _) => String::new(),
            (Holder::Role, _) => self.role.clone().unwrap_or_default(),
            (Holder::Bucket, Some(Location::S3 { bucket, .. })) => bucket.clone(),
            (Holder::Bucket, _) => String::new(),
            (Holder::Key, _) => self.keys.source.clone().unwrap_or_default(),
        }
    }
}

impl PoliciesOf {
    /// The policies of a holder, each with who has it: several sources have several roles, buckets and keys.
    pub fn documents(&self, holder: Holder) -> Vec<(String, Value)> {
        let mut documents: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for part in &self.parts {
            let policies = Policies::new(&part.job, &part.region, &part.account);
            let policies = policies.with_keys(part.keys.clone());
            let policies = match &self.tables {
                Some(tables) => policies.with_tables(tables.clone()),
                None => policies,
            };
            if let Some(document) = policies.document(holder) {
                let own = documents.entry(part.name_of(holder)).or_default();
                own.push(document);
            }
        }
        let documents = documents.into_iter();
        let documents = documents.filter_map(|(of, all)| Some((of, merged(all)?)));
        documents.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_that_of_the_run_that_would_fail() {
        let text = "name = \"night\"\n[source]\nkind = \"exported\"\npath = \"x\"\n[output]\nlocation = \"out\"\n[[query]]\nuse = \"hourly_count\"\n";
        let job = crate::job::parse("/night.toml".as_ref(), text).unwrap();
        let of = |findings: Vec<Finding>| {
            let report = Report::of(&job, findings, None);
            (report.exit_code, report.works)
        };
        let finding = |outcome| Finding::new(Area::Logs, "x", outcome, "");
        let failed = |class| Finding::failed(Area::Logs, "x", class, "");
        let (ok, warning) = (finding(Outcome::Ok), finding(Outcome::Warning));
        let unknown = finding(Outcome::NotChecked);
        assert_eq!(of(vec![ok, warning]), (0, Some(true)));
        assert_eq!(of(vec![unknown.clone()]), (9, None));
        assert_eq!(of(vec![unknown, failed(Class::Source)]), (4, Some(false)));
        let several = vec![
            failed(Class::Source),
            failed(Class::Output),
            failed(Class::Sql),
        ];
        assert_eq!(of(several), (6, Some(false)));
    }
}
