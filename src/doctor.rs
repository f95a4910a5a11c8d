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

use serde::Serialize;

use crate::aws::policy::{GlueTables, Policies};
use crate::error::{Class, Error, Result};
use crate::job::Job;
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
    examination.folders();
    let mut night = None;
    if examination.uses_aws(database) && examination.account().await {
        let groups = examination.logs().await;
        examination.buckets().await;
        if let Some(groups) = &groups {
            night = examination.night(groups).await;
        }
        if let Some(database) = database {
            examination.tables(database).await;
        }
    }
    examination.notifications();
    examination.plan().await;
    Report::of(job, examination.findings, night)
}

/// The least that a job must be allowed, with the account, the Region and the keys that the credentials find.
pub async fn policies<'a>(
    environment: &Environment,
    job: &'a Job,
    database: Option<&str>,
) -> Result<PoliciesOf<'a>> {
    let mut examination = Examination::new(environment, job);
    if !examination.uses_aws(database) {
        return Err(Error::usage(format!(
            "{} uses nothing on AWS, and needs no policy",
            job.file
        )));
    }
    if !examination.account().await {
        let mut findings = examination.findings.into_iter();
        let failure = findings.find(|finding| finding.outcome == Outcome::Failed);
        let (class, why) = failure.map_or((Class::Unexpected, String::new()), |finding| {
            (finding.class.unwrap_or(Class::Source), finding.message)
        });
        return Err(Error::new(class, why));
    }
    examination.read_keys().await;
    let tables = match database {
        Some(database) => Some(examination.glue_tables(database).await?),
        None => None,
    };
    Ok(PoliciesOf {
        job,
        region: examination.region.clone(),
        account: examination.account_of_logs(),
        keys: examination.keys.clone(),
        tables,
        unknown_keys: examination.unknown_keys.clone(),
    })
}

/// What the policies of a job are made from.
#[derive(Debug)]
pub struct PoliciesOf<'a> {
    job: &'a Job,
    region: String,
    account: String,
    keys: crate::aws::policy::BucketKeys,
    tables: Option<GlueTables>,
    /// The buckets whose encryption can't be read.
    pub unknown_keys: Vec<String>,
}

impl PoliciesOf<'_> {
    /// The policies.
    pub fn policies(&self) -> Policies<'_> {
        let policies = Policies::new(self.job, &self.region, &self.account);
        let policies = policies.with_keys(self.keys.clone());
        match &self.tables {
            Some(tables) => policies.with_tables(tables.clone()),
            None => policies,
        }
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
