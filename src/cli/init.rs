//! `init`: a first job file with its schema, and the policies that it needs on AWS.

use std::path::{Path, PathBuf};

use chrono_tz::Tz;
use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::Value;

use super::doctor::{HolderArg, no_policy};
use super::{print, print_json};
use crate::aws::policy::{BucketKeys, Holder, Policies};
use crate::error::{Class, Error, Result};
use crate::job::{self, GroupPattern, Job, Location, Name, TextFile, schema};

/// What stands in a policy for a Region and an account that were not given.
const REGION: &str = "REGION";
const ACCOUNT: &str = "ACCOUNT";

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// A log group, or a glob such as /aws/lambda/checkout-*; once for each
    #[arg(long = "log-group", value_name = "NAME", value_parser = GroupPattern::new, required = true)]
    log_groups: Vec<GroupPattern>,

    /// Where CloudWatch writes its exports: s3://bucket/prefix, in the Region of the logs
    #[arg(long, value_name = "LOCATION")]
    staging: String,

    /// Where the answers go: s3://bucket/prefix, or a folder
    #[arg(long, value_name = "LOCATION")]
    output: String,

    /// The zone whose days and hours are counted
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = job::parse_zone)]
    timezone: Tz,

    /// How events leave CloudWatch [default: export-task]
    #[arg(long, value_name = "WAY", value_parser = PossibleValuesParser::new(["export-task", "events", "auto"]))]
    via: Option<String>,

    /// Which independent count the events are compared with [default: metrics, where it can be read]
    #[arg(long, value_name = "COUNT", value_parser = PossibleValuesParser::new(["off", "metrics", "insights"]))]
    verify: Option<String>,

    /// The Region of the logs, for the policies
    #[arg(long, value_name = "REGION", default_value = REGION)]
    region: String,

    /// The account of the logs, for the policies
    #[arg(long, value_name = "ID", default_value = ACCOUNT)]
    account: String,

    /// The ARN of the KMS key that encrypts the buckets, for the policies [default: S3's own keys encrypt them]
    #[arg(long, value_name = "ARN")]
    kms_key: Option<String>,

    /// The job's name [default: made from the first log group's name]
    #[arg(long, value_parser = Name::new)]
    name: Option<Name>,

    /// Write the policies into this folder, a file for each, instead of printing them
    #[arg(long, value_name = "FOLDER")]
    policies: Option<PathBuf>,

    /// Print one policy as JSON, and neither print nor write anything else
    #[arg(long, value_name = "HOLDER", value_enum, num_args = 0..=1, default_missing_value = "identity", conflicts_with = "policies")]
    print_policy: Option<HolderArg>,

    /// The job file to write [default: the job's name with .toml]
    file: Option<PathBuf>,
}

pub(super) fn init(args: &InitArgs) -> Result<u8> {
    let name = match (&args.name, args.log_groups.first()) {
        (Some(name), _) => name.clone(),
        (None, Some(first)) => name_of(first.as_str())?,
        (None, None) => return Err(Error::usage("no log group: expected --log-group")),
    };
    let file = args
        .file
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("{name}.toml")));
    let file = match TextFile::parse(&file).map_err(Error::usage)? {
        TextFile::Local(file) => file,
        other => {
            return Err(Error::usage(format!(
                "can't write the job file to {other}: expected a path; `aws s3 cp` copies a job file into a bucket"
            )));
        }
    };
    // A folder is relative to the working folder, not to the job file.
    let here = std::env::current_dir()
        .map_err(|error| Error::usage("can't find out the working folder").caused_by(error))?;
    let output = match Location::parse(&args.output, &here).map_err(Error::usage)? {
        Location::Local(folder) => folder.display().to_string(),
        Location::S3 { .. } => args.output.clone(),
    };
    let text = job_file(args, &name, &output);
    let folder = file.parent().unwrap_or(Path::new(""));
    let job = job::parse(&file, &text)?;
    let policies = policies(args, &job)?;
    if let Some(holder) = args.print_policy {
        let holder = holder.into();
        if let Some(missing) = placeholders(args).first() {
            return Err(Error::usage(format!(
                "the policy would have the placeholder {missing}: expected --{}",
                missing.to_lowercase()
            )));
        }
        let policy = policies.document(holder);
        print_json(&policy.ok_or_else(|| no_policy(holder, &job))?)?;
        return Ok(0);
    }
    let documents: Vec<(Holder, Value)> = Holder::ALL
        .into_iter()
        .filter_map(|holder| Some((holder, policies.document(holder)?)))
        .collect();
    let mut new = vec![(file.clone(), text)];
    if let Some(folder) = &args.policies {
        let files = documents.iter().map(|(holder, policy)| {
            let name = format!("{}.json", holder.as_str());
            (folder.join(name), pretty(policy))
        });
        new.extend(files);
    }
    // Either all files are written, or none.
    for (file, _) in &new {
        ensure_new(file)?;
    }
    let mut out = String::new();
    for (number, (file, text)) in new.iter().enumerate() {
        write_new(file, text)?;
        out += &format!("wrote {}\n", file.display());
        if number == 0 {
            let schema = write_schema(folder)?;
            out += &format!(
                "wrote {}, the job file's schema for editors\n",
                schema.display()
            );
        }
    }
    out += &match &args.policies {
        Some(folder) => commands(&job, &documents, folder),
        None => documents
            .iter()
            .map(|(holder, policy)| describe(&job, *holder, policy))
            .collect(),
    };
    out += &next_steps(args, &file);
    print(&out)?;
    Ok(0)
}

fn policies<'a>(args: &'a InitArgs, job: &'a Job) -> Result<Policies<'a>> {
    if let Some(key) = &args.kms_key
        && !(key.starts_with("arn:") && key.contains(":kms:") && key.contains(":key/"))
    {
        return Err(Error::usage(format!(
            "--kms-key is {key:?}: expected the key's ARN, such as arn:aws:kms:ap-northeast-2:123456789012:key/…"
        )));
    }
    let is_remote = !job.output.is_local();
    let keys = BucketKeys {
        source: args.kms_key.clone(),
        output: args.kms_key.clone().filter(|_| is_remote),
    };
    Ok(Policies::new(job, &args.region, &args.account).with_keys(keys))
}

fn describe(job: &Job, holder: Holder, policy: &Value) -> String {
    let what = match holder {
        Holder::Identity => "the role that runs the job".to_owned(),
        Holder::Role => "the role that the job assumes".to_owned(),
        Holder::Bucket => format!(
            "the bucket {}, so that CloudWatch Logs can write its exports",
            staging_bucket(job)
        ),
        Holder::Key => "the KMS key, so that CloudWatch Logs can encrypt its exports".to_owned(),
    };
    format!("\nPolicy of {what}:\n{}", pretty(policy))
}

/// How the files become policies.
fn commands(job: &Job, documents: &[(Holder, Value)], folder: &Path) -> String {
    let commands = documents.iter().map(|(holder, _)| {
        let file = folder.join(format!("{}.json", holder.as_str()));
        let file = file.display();
        match holder {
            Holder::Identity | Holder::Role => format!(
                "  aws iam put-role-policy --role-name ROLE --policy-name logtally --policy-document file://{file}\n"
            ),
            Holder::Bucket => format!(
                "  aws s3api put-bucket-policy --bucket {} --policy file://{file}\n",
                staging_bucket(job)
            ),
            Holder::Key => format!(
                "  aws kms put-key-policy --key-id KEY --policy-name default --policy file://{file}\n"
            ),
        }
    });
    let mut out = "\nA bucket or key has one policy, which these commands replace: add the statements of one that is there.\n".to_owned();
    out.extend(commands);
    out
}

fn staging_bucket(job: &Job) -> &str {
    let source = job.sources.first();
    match source.and_then(|source| source.logs.staging()) {
        Some(Location::S3 { bucket, .. }) => bucket,
        _ => "",
    }
}

fn placeholders(args: &InitArgs) -> Vec<&'static str> {
    [(REGION, &args.region), (ACCOUNT, &args.account)]
        .into_iter()
        .filter(|(placeholder, value)| placeholder == value)
        .map(|(placeholder, _)| placeholder)
        .collect()
}

fn next_steps(args: &InitArgs, file: &Path) -> String {
    let mut out = String::new();
    let placeholders = placeholders(args);
    if !placeholders.is_empty() {
        out += &format!(
            "\nPut your own {} in, or pass --region and --account.\n",
            placeholders.join(" and ")
        );
    }
    out + &format!(
        "\nThen:\n  logtally doctor {0}\n  logtally run {0}\n",
        file.display()
    )
}

/// A name from the last part of a log group's name: `/aws/lambda/checkout-api` gives `checkout_api`.
fn name_of(log_group: &str) -> Result<Name> {
    let last = log_group
        .trim_end_matches(['/', '*', '-', '_'])
        .rsplit('/')
        .next()
        .unwrap_or_default();
    let name: String = last
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '_'
            }
        })
        .collect();
    Name::new(name.trim_matches('_')).map_err(|_| {
        Error::usage(format!(
            "no job name can be made of {log_group:?}: expected --name"
        ))
    })
}

fn job_file(args: &InitArgs, name: &Name, output: &str) -> String {
    let region = match args.region.as_str() {
        REGION => {
            "# region = \"ap-northeast-2\"       # else as every AWS tool finds it".to_owned()
        }
        region => format!("region = {region:?}"),
    };
    let mut optional = String::new();
    for (key, value) in [("via", &args.via), ("verify", &args.verify)] {
        if let Some(value) = value {
            optional += &format!("{key} = {value:?}\n");
        }
    }
    format!(
        r#"#:schema ./{schema}
# Every key is described in the README. `logtally plan` shows what a run would do.
name = "{name}"
timezone = "{timezone}"

[source]
kind = "cloudwatch"
log_groups = {groups:?}
staging = {staging:?}
{optional}{region}

[window]
size = "day"
default = "yesterday"

[output]
location = {output:?}

# Events in each hour, with a chart. Add your own: name = "…", sql = "….sql"
[[query]]
use = "hourly_count"
"#,
        schema = schema::FILE_NAME,
        timezone = args.timezone,
        groups = args
            .log_groups
            .iter()
            .map(GroupPattern::as_str)
            .collect::<Vec<_>>(),
        staging = args.staging,
    )
}

fn already_exists(file: &Path) -> Error {
    Error::usage(format!(
        "{} exists already: expected a new file's name",
        file.display()
    ))
}

fn ensure_new(file: &Path) -> Result<()> {
    match file.symlink_metadata() {
        Ok(_) => Err(already_exists(file)),
        Err(_) => Ok(()),
    }
}

/// Writes a file that does not exist, and the folder that it is in.
fn write_new(file: &Path, text: &str) -> Result<()> {
    use std::io::Write;
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => already_exists(file),
        _ => Error::new(Class::Output, format!("can't write {}", file.display())).caused_by(error),
    };
    std::fs::create_dir_all(file.parent().unwrap_or(Path::new(""))).map_err(failed)?;
    let mut new = std::fs::File::create_new(file).map_err(failed)?;
    new.write_all(text.as_bytes()).map_err(failed)
}

/// Writes the schema beside the job file, where that names it: a file works without a network, and is that of the program
/// that reads the job. One of another version is replaced.
fn write_schema(folder: &Path) -> Result<PathBuf> {
    let file = folder.join(schema::FILE_NAME);
    std::fs::write(&file, schema::text()).map_err(|error| {
        Error::new(Class::Output, format!("can't write {}", file.display())).caused_by(error)
    })?;
    Ok(file)
}

fn pretty(policy: &Value) -> String {
    format!("{policy:#}\n")
}
