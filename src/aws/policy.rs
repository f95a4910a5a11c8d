//! What a job over CloudWatch Logs must be allowed, as IAM policies: by the staging bucket, so that CloudWatch can export
//! to it, and by the role that runs the job.

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::job::{CloudWatch, Location, Verify, Via};

/// The policies of a job.
#[derive(Debug, Clone)]
pub struct Policies<'a> {
    /// The Region of the logs.
    region: &'a str,
    /// The account of the logs.
    account: &'a str,
    source: &'a CloudWatch,
    output: &'a Location,
    staging: S3Location<'a>,
}

/// A bucket, and a pattern of the objects below a prefix in it.
#[derive(Debug, Clone)]
struct S3Location<'a> {
    bucket: &'a str,
    objects: String,
}

impl<'a> S3Location<'a> {
    /// `None` for a folder of this machine.
    fn of(location: &'a Location) -> Option<Self> {
        let Location::S3 { bucket, prefix } = location else {
            return None;
        };
        let objects = match prefix.as_ref() {
            "" => format!("{bucket}/*"),
            prefix => format!("{bucket}/{prefix}/*"),
        };
        Some(Self { bucket, objects })
    }
}

impl<'a> Policies<'a> {
    /// The policies of a job with this source, whose logs are of an account in a Region, and whose answers go to `output`.
    /// An error (usage) if exports are not staged on S3.
    pub fn new(
        source: &'a CloudWatch,
        output: &'a Location,
        region: &'a str,
        account: &'a str,
    ) -> Result<Self> {
        let staging = S3Location::of(&source.staging).ok_or_else(|| {
            Error::usage(format!(
                "[source] staging is {}: expected s3://bucket/prefix",
                source.staging
            ))
        })?;
        Ok(Self {
            region,
            account,
            source,
            output,
            staging,
        })
    }

    /// The staging bucket's name.
    pub fn staging_bucket(&self) -> &str {
        self.staging.bucket
    }

    /// What the staging bucket must allow CloudWatch Logs, for this account's log groups only; `None` if the job has no
    /// export tasks.
    /// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/S3ExportTasksConsole.html>
    pub fn of_staging_bucket(&self) -> Option<Value> {
        if !self.uses_export_tasks() {
            return None;
        }
        let partition = self.partition();
        let service = format!("logs.{}.{}", self.region, partition.suffix);
        let service = json!({ "Service": service });
        let of_this_account = json!({
            "StringEquals": { "aws:SourceAccount": self.account },
            "ArnLike": { "aws:SourceArn": self.log_groups("*") },
        });
        let mut put_condition = of_this_account.clone();
        put_condition["StringEquals"]["s3:x-amz-acl"] = "bucket-owner-full-control".into();
        Some(json!({
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "LogtallyExportChecks",
                    "Effect": "Allow",
                    "Principal": service,
                    "Action": "s3:GetBucketAcl",
                    "Resource": partition.s3(self.staging.bucket),
                    "Condition": of_this_account,
                },
                {
                    "Sid": "LogtallyExportWrites",
                    "Effect": "Allow",
                    "Principal": service,
                    "Action": "s3:PutObject",
                    "Resource": partition.s3(&self.staging.objects),
                    "Condition": put_condition,
                },
            ],
        }))
    }

    /// What the role that runs the job must be allowed, and no more.
    pub fn of_role(&self) -> Value {
        let partition = self.partition();
        let (of_groups, of_account) = self.log_actions();
        let patterns = self.source.log_groups.iter();
        let log_groups = patterns.map(|group| self.log_groups(&arn_pattern(group.as_str())));
        let mut buckets = vec![partition.s3(self.staging.bucket)];
        let mut objects = vec![partition.s3(&self.staging.objects)];
        let mut deletable = vec![partition.s3(&self.staging.objects)];
        if let Some(output) = S3Location::of(self.output) {
            buckets.push(partition.s3(output.bucket));
            objects.push(partition.s3(&output.objects));
            deletable.push(partition.s3(&format!("{}/runs/_state/*", output.objects)));
            buckets.dedup();
        }
        json!({
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "LogGroups",
                    "Effect": "Allow",
                    "Action": of_groups,
                    "Resource": one_or_more(log_groups.collect()),
                },
                {
                    "Sid": "WholeAccount",
                    "Effect": "Allow",
                    "Action": of_account,
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
                    "Sid": "OwnExportsAndStates",
                    "Effect": "Allow",
                    "Action": ["s3:DeleteObject"],
                    "Resource": one_or_more(deletable),
                },
            ],
        })
    }

    fn uses_export_tasks(&self) -> bool {
        self.source.via != Via::Events
    }

    /// The actions on log groups, and those that can't be limited to log groups.
    fn log_actions(&self) -> (Vec<&'static str>, Vec<&'static str>) {
        // The streams tell whether an export without events can be right.
        let mut of_groups = vec!["logs:DescribeLogStreams"];
        let mut of_account = vec!["logs:DescribeLogGroups"];
        if self.uses_export_tasks() {
            of_groups.push("logs:CreateExportTask");
            of_account.push("logs:DescribeExportTasks");
        }
        if self.source.via != Via::ExportTask {
            of_groups.push("logs:FilterLogEvents");
        }
        match self.source.verify_method() {
            Verify::Off => {}
            Verify::Metrics => of_account.push("cloudwatch:GetMetricData"),
            Verify::Insights => {
                of_groups.push("logs:StartQuery");
                of_account.extend(["logs:GetQueryResults", "logs:StopQuery"]);
            }
        }
        (of_groups, of_account)
    }

    fn partition(&self) -> Partition {
        Partition::of(self.region)
    }

    fn log_groups(&self, pattern: &str) -> String {
        format!(
            "arn:{}:logs:{}:{}:log-group:{pattern}",
            self.partition().id,
            self.region,
            self.account
        )
    }
}

/// IAM takes a single text in place of a list of one.
fn one_or_more(values: Vec<String>) -> Value {
    match &values[..] {
        [only] => json!(only),
        _ => json!(values),
    }
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
}

/// A job's glob as one of IAM's, which knows `*` and `?` only; what IAM does not know becomes `*`.
fn arn_pattern(glob: &str) -> String {
    let end = glob.find(['[', '{']).unwrap_or(glob.len());
    let mut arn = glob[..end].to_owned();
    if end < glob.len() || !arn.ends_with('*') {
        arn.push('*');
    }
    arn
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::GroupPattern;
    use std::time::Duration;

    fn source(log_groups: &[&str], via: Via, verify: Verify) -> CloudWatch {
        let patterns = log_groups.iter().map(|text| GroupPattern::new(text));
        CloudWatch {
            log_groups: patterns.collect::<Result<_, _>>().unwrap(),
            log_stream_prefix: None,
            staging: Location::parse("s3://acme-logs/exports", "/".as_ref()).unwrap(),
            via,
            give_up_after: Duration::ZERO,
            pad: Duration::ZERO,
            pad_after: Duration::ZERO,
            verify: Some(verify),
        }
    }

    fn policies(source: &CloudWatch, output: &str, region: &str) -> (Option<Value>, Value) {
        let output = Location::parse(output, "/".as_ref()).unwrap();
        let policies = Policies::new(source, &output, region, "123456789012").unwrap();
        (policies.of_staging_bucket(), policies.of_role())
    }

    #[test]
    fn every_log_group_of_a_job_is_in_its_role() {
        let several = source(
            &["/aws/lambda/a", "/svc/[ab]*"],
            Via::ExportTask,
            Verify::Off,
        );
        let (_, role) = policies(&several, "/answers", "eu-west-1");
        assert_eq!(
            role["Statement"][0]["Resource"],
            json!([
                "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/a*",
                "arn:aws:logs:eu-west-1:123456789012:log-group:/svc/*",
            ])
        );
        // The answers are on this machine.
        assert_eq!(
            role["Statement"][2]["Resource"],
            json!(["arn:aws:s3:::acme-logs"])
        );
    }

    #[test]
    fn a_job_is_allowed_what_its_keys_need() {
        let actions = |via, verify| {
            let source = source(&["/a"], via, verify);
            let (bucket, role) = policies(&source, "s3://acme-answers", "eu-west-1");
            let statements = role["Statement"].as_array().unwrap().clone();
            let actions = statements
                .iter()
                .flat_map(|one| one["Action"].as_array().unwrap().clone());
            let actions: Vec<String> = actions
                .map(|action| action.as_str().unwrap().to_owned())
                .collect();
            (bucket.is_some(), actions)
        };
        for (via, verify, has_policy, allowed, refused) in [
            (
                Via::ExportTask,
                Verify::Off,
                true,
                "logs:CreateExportTask",
                "logs:FilterLogEvents",
            ),
            (
                Via::Events,
                Verify::Metrics,
                false,
                "cloudwatch:GetMetricData",
                "logs:CreateExportTask",
            ),
            (
                Via::Auto,
                Verify::Insights,
                true,
                "logs:StartQuery",
                "cloudwatch:GetMetricData",
            ),
        ] {
            let (bucket, actions) = actions(via, verify);
            assert_eq!(bucket, has_policy);
            assert!(
                actions.iter().any(|action| action == allowed),
                "{actions:?}"
            );
            assert!(
                !actions.iter().any(|action| action == refused),
                "{actions:?}"
            );
        }
    }

    #[test]
    fn other_partitions_have_names_of_their_own() {
        let source = source(&["/a"], Via::ExportTask, Verify::Off);
        let (bucket, role) = policies(&source, "s3://acme-logs", "cn-north-1");
        let bucket = bucket.unwrap();
        assert_eq!(
            bucket["Statement"][0]["Principal"]["Service"],
            "logs.cn-north-1.amazonaws.com.cn"
        );
        // Both locations are in one bucket.
        assert_eq!(
            role["Statement"][2]["Resource"],
            json!(["arn:aws-cn:s3:::acme-logs"])
        );
        assert_eq!(
            role["Statement"][3]["Resource"][1],
            "arn:aws-cn:s3:::acme-logs/*"
        );
    }
}
