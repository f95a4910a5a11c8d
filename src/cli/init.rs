//! `init`: a first job file, and the policies that it needs on AWS.

use std::path::{Path, PathBuf};

use chrono_tz::Tz;
use clap::Args;
use serde_json::{Value, json};

use super::print;
use crate::error::{Class, Error, Result};
use crate::job::{self, GroupPattern, Location, Name};

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The log group, or a glob such as /aws/lambda/checkout-*
    #[arg(long, value_name = "NAME", value_parser = GroupPattern::new)]
    log_group: GroupPattern,

    /// Where CloudWatch writes its exports: s3://bucket/prefix, in the Region of the logs
    #[arg(long, value_name = "LOCATION")]
    staging: String,

    /// Where the answers go: s3://bucket/prefix or a folder
    #[arg(long, value_name = "LOCATION")]
    output: String,

    /// The zone whose days and hours are counted
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = job::parse_zone)]
    timezone: Tz,

    /// The Region of the logs, for the policies
    #[arg(long, value_name = "REGION", default_value = "REGION")]
    region: String,

    /// The account of the logs, for the policies
    #[arg(long, value_name = "ID", default_value = "ACCOUNT")]
    account: String,

    /// The job's name; out of the log group's where left out
    #[arg(long, value_parser = Name::new)]
    name: Option<Name>,

    /// The job file to write; the name with .toml where left out
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
    // A folder was typed relative to where the person is, not to where the job file will be.
    let here = std::env::current_dir()
        .map_err(|error| Error::usage("no working folder").caused_by(error))?;
    let output = match Location::parse(&args.output, &here).map_err(Error::usage)? {
        Location::Local(folder) => folder.display().to_string(),
        Location::S3 { .. } => args.output.clone(),
    };
    let text = job_file(args, &name, &output);
    let folder = file.parent().unwrap_or(Path::new(""));
    let job = job::parse(&file, &text)?;
    let Some(Location::S3 { bucket, prefix }) = job.staging().cloned() else {
        return Err(Error::usage(format!(
            "--staging {}: expected s3://bucket/prefix",
            args.staging
        )));
    };
    write_new(&file, folder, &text)?;
    let staging = match prefix.as_ref() {
        "" => format!("{bucket}/*"),
        prefix => format!("{bucket}/{prefix}/*"),
    };
    let mut out = format!("wrote {}\n", file.display());
    out += &format!(
        "\nPolicy of the bucket {bucket}, so that CloudWatch Logs can write its exports:\n"
    );
    out += &pretty(&bucket_policy(args, &bucket, &staging));
    out += "\nPolicy of the role that runs the job:\n";
    out += &pretty(&role_policy(args, &bucket, &staging, &job.output));
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
    out += &format!(
        "\nThen:\n  logtally plan {0}\n  logtally run {0}\n",
        file.display()
    );
    print(&out)?;
    Ok(0)
}

/// A name out of the last part of a log group's name: `/aws/lambda/checkout-api` gives `checkout_api`.
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
    format!(
        r#"# Every key is described in the README. `logtally plan` shows what a run would do.
name = "{name}"
timezone = "{timezone}"

[source]
kind = "cloudwatch"
log_groups = [{group:?}]
staging = {staging:?}
{region}

[window]
size = "day"
default = "yesterday"

[output]
location = {output:?}

# Events in each hour, with a chart. Add your own: name = "…", sql = "….sql"
[[query]]
use = "hourly_count"
"#,
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

/// What CloudWatch Logs needs, for this account's log groups only.
/// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/S3ExportTasksConsole.html>
fn bucket_policy(args: &InitArgs, bucket: &str, staging: &str) -> Value {
    let InitArgs {
        region, account, ..
    } = args;
    let service = json!({ "Service": format!("logs.{region}.amazonaws.com") });
    let of_this_account = json!({
        "StringEquals": { "aws:SourceAccount": account },
        "ArnLike": { "aws:SourceArn": format!("arn:aws:logs:{region}:{account}:log-group:*") },
    });
    let mut put_condition = of_this_account.clone();
    put_condition["StringEquals"]["s3:x-amz-acl"] = "bucket-owner-full-control".into();
    json!({
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "LogtallyExportChecks",
                "Effect": "Allow",
                "Principal": service,
                "Action": "s3:GetBucketAcl",
                "Resource": format!("arn:aws:s3:::{bucket}"),
                "Condition": of_this_account,
            },
            {
                "Sid": "LogtallyExportWrites",
                "Effect": "Allow",
                "Principal": service,
                "Action": "s3:PutObject",
                "Resource": format!("arn:aws:s3:::{staging}"),
                "Condition": put_condition,
            },
        ],
    })
}

/// What the job itself needs, and no more.
fn role_policy(args: &InitArgs, bucket: &str, staging: &str, output: &Location) -> Value {
    let InitArgs {
        region, account, ..
    } = args;
    let mut buckets = vec![format!("arn:aws:s3:::{bucket}")];
    let mut objects = vec![format!("arn:aws:s3:::{staging}")];
    if let Location::S3 { bucket, prefix } = output {
        let below = match prefix.as_ref() {
            "" => format!("arn:aws:s3:::{bucket}/*"),
            prefix => format!("arn:aws:s3:::{bucket}/{prefix}/*"),
        };
        buckets.push(format!("arn:aws:s3:::{bucket}"));
        objects.push(below);
        buckets.dedup();
    }
    json!({
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Export",
                "Effect": "Allow",
                "Action": ["logs:CreateExportTask", "logs:DescribeLogStreams"],
                "Resource": format!("arn:aws:logs:{region}:{account}:log-group:{}", group_arn_pattern(args.log_group.as_str())),
            },
            {
                "Sid": "LookAndCancel",
                "Effect": "Allow",
                "Action": ["logs:DescribeLogGroups", "logs:DescribeExportTasks", "logs:CancelExportTask"],
                "Resource": "*",
            },
            {
                "Sid": "Buckets",
                "Effect": "Allow",
                "Action": ["s3:ListBucket", "s3:GetBucketAcl"],
                "Resource": buckets,
            },
            {
                "Sid": "Objects",
                "Effect": "Allow",
                "Action": ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"],
                "Resource": objects,
            },
        ],
    })
}

/// A job's glob as one of IAM's, which knows `*` and `?` only; what it does not know becomes `*`.
fn group_arn_pattern(pattern: &str) -> String {
    let end = pattern.find(['[', '{']).unwrap_or(pattern.len());
    let mut arn = pattern[..end].to_owned();
    if end < pattern.len() || !arn.ends_with('*') {
        arn.push('*');
    }
    arn
}

fn pretty(policy: &Value) -> String {
    format!("{policy:#}\n")
}
