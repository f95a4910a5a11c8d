//! `doctor`: whether the next run will work, and the least that it must be allowed.

use clap::Args;

use super::logging::Show;
use super::{JobFile, job_environment, print, print_json};
use crate::aws::policy::Holder;
use crate::doctor::{self, Finding, Night, Outcome, Report};
use crate::error::{Error, Result};
use crate::job::{Job, Name};
use crate::numbers::{counted, grouped};
use crate::run::Environment;

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// The job file
    job: JobFile,

    /// Also examine the tables of this database in the Glue catalogue, which `ddl --apply` makes
    #[arg(long, value_name = "NAME", value_parser = Name::new)]
    database: Option<Name>,

    /// Print a policy as JSON and nothing else: the least that this job must be allowed, by the identity that runs it, by
    /// the role that it assumes, by the staging bucket, or by its KMS key
    #[arg(long, value_name = "HOLDER", value_enum, num_args = 0..=1, default_missing_value = "identity", conflicts_with = "json")]
    print_policy: Option<HolderArg>,

    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum HolderArg {
    Identity,
    Role,
    Bucket,
    Key,
}

impl From<HolderArg> for Holder {
    fn from(holder: HolderArg) -> Self {
        match holder {
            HolderArg::Identity => Self::Identity,
            HolderArg::Role => Self::Role,
            HolderArg::Bucket => Self::Bucket,
            HolderArg::Key => Self::Key,
        }
    }
}

pub(super) async fn doctor(args: DoctorArgs, show: Show) -> Result<u8> {
    let (job, environment) = job_environment(&args.job, show).await?;
    let database = args.database.as_ref().map(Name::as_str);
    if let Some(holder) = args.print_policy {
        return policy(&environment, &job, database, holder.into()).await;
    }
    let report = doctor::examine(&environment, &job, database).await;
    if args.json {
        print_json(&report)?;
    } else {
        print(&describe(&report, &args.job.display().to_string()))?;
    }
    Ok(report.exit_code)
}

async fn policy(
    environment: &Environment,
    job: &Job,
    database: Option<&str>,
    holder: Holder,
) -> Result<u8> {
    let of = doctor::policies(environment, job, database).await?;
    if !of.unknown_keys.is_empty() {
        tracing::warn!(
            "the encryption of {} can't be read with these credentials (s3:GetEncryptionConfiguration): a KMS key of it is not in the policy",
            of.unknown_keys.join(", ")
        );
    }
    let mut documents = of.documents(holder);
    match &mut documents[..] {
        [] => return Err(no_policy(holder, job)),
        [(_, only)] => print_json(only)?,
        several => {
            let by_holder = several.iter_mut();
            let by_holder = by_holder.map(|(of, policy)| (std::mem::take(of), policy.take()));
            print_json(&by_holder.collect::<serde_json::Map<_, _>>())?;
        }
    }
    Ok(0)
}

/// Why a job needs no policy of this holder.
pub(super) fn no_policy(holder: Holder, job: &Job) -> Error {
    let why = match holder {
        Holder::Identity => "the job does nothing on AWS with the identity that runs it",
        Holder::Role => "the job assumes no role: [source] role_arn is not set",
        Holder::Bucket => "no bucket has to let CloudWatch write: the job has no export tasks",
        Holder::Key => {
            "no KMS key has to let CloudWatch use it: S3's own keys encrypt the exports, or the job has no export tasks"
        }
    };
    Error::usage(format!(
        "{} needs no policy of the {}: {why}",
        job.file,
        holder.as_str()
    ))
}

fn describe(report: &Report, job: &str) -> String {
    let mut out = String::new();
    for findings in report.findings.chunk_by(|a, b| a.area == b.area) {
        if let Some(first) = findings.first() {
            out += &format!("{}\n", first.area.title());
        }
        for finding in findings {
            out += &line(finding);
        }
        out.push('\n');
    }
    if let Some(night) = &report.night {
        out += &describe_night(night);
        out.push('\n');
    }
    out + &verdict(report, job)
}

fn line(finding: &Finding) -> String {
    let word = match finding.outcome {
        Outcome::Ok => "ok",
        Outcome::Note => "note",
        Outcome::Warning => "warning",
        Outcome::NotChecked => "unknown",
        Outcome::Failed => "FAILED",
    };
    let message = finding.message.replace('\n', "\n           ");
    let mut out = format!("  {word:8} {}: {message}\n", finding.subject);
    if let Some(missing) = &finding.missing {
        let verb = match finding.outcome {
            Outcome::Failed => "lacks",
            _ => "must have",
        };
        out += &format!(
            "           the policy of the {} {} {verb}:\n",
            missing.holder.as_str(),
            missing.of
        );
        for line in format!("{:#}", missing.statement).lines() {
            out += &format!("           {line}\n");
        }
    }
    out
}

fn describe_night(night: &Night) -> String {
    let size = doctor::size;
    let events = match night.events {
        Some(events) => format!("{}, ", counted(events, "event")),
        None => String::new(),
    };
    let mut out = format!(
        "a night (estimate)\n  volume   {events}{}, {} exported; from {}\n  time     about {} of exports, one after the other, and {} of computing\n",
        size(night.bytes),
        size(night.exported_bytes),
        night.from,
        minutes(night.export_minutes),
        minutes(night.compute_minutes),
    );
    out += &match night.disk_bytes {
        0 => "  disk     little: each object is read once\n".to_owned(),
        bytes => format!(
            "  disk     {} for objects that are read again\n",
            size(bytes)
        ),
    };
    out += &format!("  memory   {} for queries\n", size(night.memory_bytes));
    let items = night.costs.iter().filter(|cost| cost.usd > 0.0);
    let items: Vec<String> = items
        .map(|cost| format!("{} {}", cost.item, dollars(cost.usd)))
        .collect();
    out + &format!(
        "  cost     {}: {}\n           the same questions in Logs Insights: {} (prices of {}, {}, without tax and free tiers)\n",
        dollars(night.usd),
        items.join(", "),
        dollars(night.insights_usd),
        night.prices_of,
        night.prices_as_of
    )
}

fn minutes(minutes: f64) -> String {
    match minutes {
        ..1.5 => "a minute".to_owned(),
        ..90.0 => format!("{minutes:.0} minutes"),
        _ => format!("{} hours", grouped(&format!("{:.1}", minutes / 60.0))),
    }
}

/// US dollars, with as many decimals as show something.
fn dollars(usd: f64) -> String {
    match usd {
        0.0 => "$0".to_owned(),
        ..0.0001 => "less than $0.0001".to_owned(),
        ..0.01 => format!("${usd:.4}"),
        _ => format!("${}", grouped(&format!("{usd:.2}"))),
    }
}

fn verdict(report: &Report, job: &str) -> String {
    let count = |outcome| {
        let of_outcome = report.findings.iter();
        of_outcome.filter(|one| one.outcome == outcome).count() as u64
    };
    let verdict = match report.works {
        Some(true) => format!("The next run will work:\n  logtally run {job}\n"),
        Some(false) => format!(
            "The next run will not work: {} failed.\n",
            counted(count(Outcome::Failed), "check")
        ),
        None => format!(
            "Nothing wrong was found, but {} could not be made, so that the next run may fail.\n",
            counted(count(Outcome::NotChecked), "check")
        ),
    };
    let mut out = verdict;
    let holders = report
        .findings
        .iter()
        .filter_map(|one| one.missing.as_ref());
    let mut holders: Vec<&str> = holders.map(|missing| missing.holder.as_str()).collect();
    holders.sort_unstable();
    holders.dedup();
    if !holders.is_empty() {
        out += "\nTo print a whole policy:\n";
    }
    for holder in holders {
        out += &format!("  logtally doctor {job} --print-policy {holder}\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_show_something() {
        for (usd, expected) in [
            (0.0, "$0"),
            (0.000_01, "less than $0.0001"),
            (0.004_2, "$0.0042"),
            (1234.5, "$1,234.50"),
        ] {
            assert_eq!(dollars(usd), expected);
        }
        assert_eq!(minutes(0.2), "a minute");
        assert_eq!(minutes(12.0), "12 minutes");
        assert_eq!(minutes(600.0), "10.0 hours");
    }
}
