//! `init`: a first job file, and the policies that it needs on AWS.

use std::path::{Path, PathBuf};

use chrono_tz::Tz;
use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

use super::print;
use crate::error::{Class, Error, Result};
use crate::job::{self, GroupPattern, Job, Location, Name, Source, Verify, Via};

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

    /// Which independent count the events are held against [default: off]
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
    // A folder was typed relative to where the person is, not to where the job file will be.
    let here = std::env::current_dir()
        .map_err(|error| Error::usage("can't find out the working folder").caused_by(error))?;
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
    let partition = Partition::of(&args.region);
    let mut out = format!("wrote {}\n", file.display());
    if Needs::of(&job).export_tasks {
        out += &format!(
            "\nPolicy of the bucket {bucket}, so that CloudWatch Logs can write its exports:\n"
        );
        out += &pretty(&bucket_policy(args, partition, &bucket, &staging));
    }
    out += "\nPolicy of the role that runs the job:\n";
    out += &pretty(&role_policy(args, partition, &bucket, &staging, &job));
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
    let mut optional = String::new();
    for (key, value) in [("via", &args.via), ("verify", &args.verify)] {
        if let Some(value) = value {
            optional += &format!("{key} = {value:?}\n");
        }
    }
    format!(
        r#"# Every key is described in the README. `logtally plan` shows what a run would do.
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

/// A part of AWS with accounts and names of its own.
#[derive(Clone, Copy)]
struct Partition {
    /// The second part of every ARN.
    id: &'static str,
    /// What the names of services end in.
    suffix: &'static str,
}

impl Partition {
    fn of(region: &str) -> Self {
        let (id, suffix) = match region {
            china if china.starts_with("cn-") => ("aws-cn", "amazonaws.com.cn"),
            government if government.starts_with("us-gov-") => ("aws-us-gov", "amazonaws.com"),
            _ => ("aws", "amazonaws.com"),
        };
        Self { id, suffix }
    }

    fn s3(self, resource: &str) -> String {
        format!("arn:{}:s3:::{resource}", self.id)
    }

    fn log_groups(self, args: &InitArgs, pattern: &str) -> String {
        let InitArgs {
            region, account, ..
        } = args;
        format!(
            "arn:{}:logs:{region}:{account}:log-group:{pattern}",
            self.id
        )
    }
}

/// What a job does that takes permissions of its own.
struct Needs {
    export_tasks: bool,
    events: bool,
    verify: Verify,
}

impl Needs {
    fn of(job: &Job) -> Self {
        let (via, verify) = match &job.source {
            Source::CloudWatch(source) => (source.via, source.verify),
            _ => (Via::ExportTask, Verify::Off),
        };
        Self {
            export_tasks: via != Via::Events,
            events: via != Via::ExportTask,
            verify,
        }
    }
}

/// What CloudWatch Logs needs, for this account's log groups only.
/// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/S3ExportTasksConsole.html>
fn bucket_policy(args: &InitArgs, partition: Partition, bucket: &str, staging: &str) -> Value {
    let service = format!("logs.{}.{}", args.region, partition.suffix);
    let service = json!({ "Service": service });
    let of_this_account = json!({
        "StringEquals": { "aws:SourceAccount": args.account },
        "ArnLike": { "aws:SourceArn": partition.log_groups(args, "*") },
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
                "Resource": partition.s3(bucket),
                "Condition": of_this_account,
            },
            {
                "Sid": "LogtallyExportWrites",
                "Effect": "Allow",
                "Principal": service,
                "Action": "s3:PutObject",
                "Resource": partition.s3(staging),
                "Condition": put_condition,
            },
        ],
    })
}

/// What the job itself needs, and no more.
fn role_policy(
    args: &InitArgs,
    partition: Partition,
    bucket: &str,
    staging: &str,
    job: &Job,
) -> Value {
    let mut buckets = vec![partition.s3(bucket)];
    let mut objects = vec![partition.s3(staging)];
    if let Location::S3 { bucket, prefix } = &job.output {
        let below = match prefix.as_ref() {
            "" => format!("{bucket}/*"),
            prefix => format!("{bucket}/{prefix}/*"),
        };
        buckets.push(partition.s3(bucket));
        objects.push(partition.s3(&below));
        buckets.dedup();
    }
    let needs = Needs::of(job);
    // Whether an export without events can be right is asked of the streams.
    let mut of_groups = vec!["logs:DescribeLogStreams"];
    // These can't be limited to log groups.
    let mut of_all = vec!["logs:DescribeLogGroups"];
    if needs.export_tasks {
        of_groups.push("logs:CreateExportTask");
        of_all.push("logs:DescribeExportTasks");
    }
    if needs.events {
        of_groups.push("logs:FilterLogEvents");
    }
    match needs.verify {
        Verify::Off => {}
        Verify::Metrics => of_all.push("cloudwatch:GetMetricData"),
        Verify::Insights => {
            of_groups.push("logs:StartQuery");
            of_all.extend(["logs:GetQueryResults", "logs:StopQuery"]);
        }
    }
    let log_groups = partition.log_groups(args, &group_arn_pattern(args.log_group.as_str()));
    json!({
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "LogGroups",
                "Effect": "Allow",
                "Action": of_groups,
                "Resource": log_groups,
            },
            {
                "Sid": "WholeAccount",
                "Effect": "Allow",
                "Action": of_all,
                "Resource": "*",
            },
            {
                "Sid": "Buckets",
                "Effect": "Allow",
                "Action": ["s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:GetBucketAcl"],
                "Resource": buckets,
            },
            {
                "Sid": "Objects",
                "Effect": "Allow",
                "Action": ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"],
                "Resource": objects,
            },
            {
                "Sid": "OwnExports",
                "Effect": "Allow",
                "Action": ["s3:DeleteObject"],
                "Resource": partition.s3(staging),
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
