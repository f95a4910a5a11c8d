//! `init`: a first job file with its schema, and the policies that it needs on AWS.

use std::path::{Path, PathBuf};

use chrono_tz::Tz;
use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::Value;

use super::print;
use crate::aws::policy::Policies;
use crate::error::{Class, Error, Result};
use crate::job::{self, GroupPattern, Location, Name, Source, schema};

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The log group, or a glob such as /aws/lambda/checkout-*
    #[arg(long, value_name = "NAME", value_parser = GroupPattern::new)]
    log_group: GroupPattern,

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
    #[arg(long, value_name = "REGION", default_value = "REGION")]
    region: String,

    /// The account of the logs, for the policies
    #[arg(long, value_name = "ID", default_value = "ACCOUNT")]
    account: String,

    /// The job's name [default: made from the log group's name]
    #[arg(long, value_parser = Name::new)]
    name: Option<Name>,

    /// The job file to write [default: the job's name with .toml]
    file: Option<PathBuf>,
}

pub(super) fn init(args: &InitArgs) -> Result<u8> {
    let name = match &args.name {
        Some(name) => name.clone(),
        None => name_of(args.log_group.as_str())?,
    };
    let file = args
        .file
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("{name}.toml")));
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
    let Source::CloudWatch(source) = &job.source else {
        return Err(Error::new(
            Class::Unexpected,
            "the job that was written reads no CloudWatch Logs",
        ));
    };
    let policies = Policies::new(source, &job.output, &args.region, &args.account)?;
    write_new(&file, folder, &text)?;
    let schema = write_schema(folder)?;
    let mut out = format!(
        "wrote {}\nwrote {}, the job file's schema for editors\n",
        file.display(),
        schema.display()
    );
    out += &describe(&policies);
    out += &next_steps(args, &file);
    print(&out)?;
    Ok(0)
}

fn describe(policies: &Policies<'_>) -> String {
    let mut out = String::new();
    if let Some(policy) = policies.of_staging_bucket() {
        out += &format!(
            "\nPolicy of the bucket {}, so that CloudWatch Logs can write its exports:\n",
            policies.staging_bucket()
        );
        out += &pretty(&policy);
    }
    out += "\nPolicy of the role that runs the job:\n";
    out + &pretty(&policies.of_role())
}

fn next_steps(args: &InitArgs, file: &Path) -> String {
    let mut out = String::new();
    let placeholders: Vec<&str> = [("REGION", &args.region), ("ACCOUNT", &args.account)]
        .into_iter()
        .filter(|(placeholder, value)| placeholder == value)
        .map(|(placeholder, _)| placeholder)
        .collect();
    if !placeholders.is_empty() {
        out += &format!(
            "\nPut your own {} in, or pass --region and --account.\n",
            placeholders.join(" and ")
        );
    }
    out + &format!(
        "\nThen:\n  logtally plan {0}\n  logtally run {0}\n",
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
        "REGION" => {
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
log_groups = [{group:?}]
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
        group = args.log_group.as_str(),
        staging = args.staging,
    )
}

fn write_new(file: &Path, folder: &Path, text: &str) -> Result<()> {
    use std::io::Write;
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Error::usage(format!(
            "{} exists already: expected a new file's name",
            file.display()
        )),
        _ => Error::new(Class::Output, format!("can't write {}", file.display())).caused_by(error),
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
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
