//! What a job must be allowed on AWS, and by which policy: the identity that runs it, the role that it assumes, the
//! staging bucket and its KMS key. The least that the job needs, on the resources of this very job.
//!
//! Which actions can be limited to a resource is read in AWS's service authorization reference. Those that can't are in
//! the statement `WholeAccount`.

mod log_groups;

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use serde_json::{Value, json};

use crate::job::{
    CloudWatch, DAY_ARCHIVE, Division, Encryption, Job, Location, Source, Verify, Via,
    split_group_arn,
};
use crate::layout;
use crate::window::Size;

/// The policy that must hold a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Holder {
    /// The IAM policy of the identity that runs the job.
    Identity,
    /// The IAM policy of the role that the job assumes for the logs and their bucket.
    Role,
    /// The policy of the staging bucket.
    Bucket,
    /// The policy of the KMS key that encrypts the staging bucket.
    Key,
}

impl Holder {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Identity, Self::Role, Self::Bucket, Self::Key];

    /// The name, as on the command line and of files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Role => "role",
            Self::Bucket => "bucket",
            Self::Key => "key",
        }
    }
}

/// The KMS keys of the buckets, as ARNs; `None` where S3's own keys encrypt a bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BucketKeys {
    /// Of the bucket of the exported objects.
    pub source: Option<String>,
    /// Of the bucket of the answers.
    pub output: Option<String>,
}

/// Tables of the Glue catalogue that `ddl --apply` makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlueTables {
    /// The Region of the catalogue.
    pub region: String,
    /// The account of the catalogue.
    pub account: String,
    /// The database.
    pub database: String,
    /// The names of the tables.
    pub tables: Vec<String>,
}

/// The policies of a job, as far as its first source goes: one that has several is taken apart by
/// [`Job::with_only`](crate::job::Job::with_only), and [`merged`] puts the policies of one holder together.
#[derive(Debug, Clone)]
pub struct Policies<'a> {
    job: &'a Job,
    /// The Region of the logs.
    region: &'a str,
    /// The account of the logs.
    account: &'a str,
    keys: BucketKeys,
    tables: Option<GlueTables>,
}

/// A statement that allows an identity actions.
struct Statement {
    sid: &'static str,
    actions: Vec<&'static str>,
    resources: Vec<String>,
}

impl Statement {
    fn new(sid: &'static str, actions: &[&'static str], mut resources: Vec<String>) -> Self {
        resources.dedup();
        Self {
            sid,
            actions: actions.to_vec(),
            resources,
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "Sid": self.sid,
            "Effect": "Allow",
            "Action": self.actions,
            "Resource": one_or_more(&self.resources),
        })
    }
}

impl<'a> Policies<'a> {
    /// The policies of a job whose logs are of an account in a Region, and whose buckets S3's own keys encrypt.
    pub fn new(job: &'a Job, region: &'a str, account: &'a str) -> Self {
        Self {
            job,
            region,
            account,
            keys: BucketKeys::default(),
            tables: None,
        }
    }

    /// The same where KMS keys encrypt the buckets.
    pub fn with_keys(mut self, keys: BucketKeys) -> Self {
        self.keys = keys;
        self
    }

    /// The same, and for `ddl --apply`.
    pub fn with_tables(mut self, tables: GlueTables) -> Self {
        self.tables = Some(tables);
        self
    }

    /// The policy; `None` where the job needs none of this holder.
    pub fn document(&self, holder: Holder) -> Option<Value> {
        let statements = self.statements(holder);
        (!statements.is_empty())
            .then(|| json!({ "Version": "2012-10-17", "Statement": statements }))
    }

    /// The statement that allows one action, on one bucket only where `bucket` names it; `None` where the policy has
    /// none.
    pub fn allowing(&self, holder: Holder, action: &str, bucket: Option<&str>) -> Option<Value> {
        let is_wanted = |resource: &&str| {
            let of_bucket = |bucket: &str| {
                let name = resource.rsplit(":::").next().unwrap_or_default();
                name.split('/').next() == Some(bucket)
            };
            bucket.is_none_or(of_bucket)
        };
        self.statements(holder).into_iter().find_map(|statement| {
            if !texts(&statement["Action"]).contains(&action) {
                return None;
            }
            let resources = texts(&statement["Resource"]);
            let resources: Vec<&str> = resources.into_iter().filter(is_wanted).collect();
            if resources.is_empty() {
                return None;
            }
            let resources = one_or_more(&resources);
            let mut only = statement.clone();
            if statement["Action"].is_array() {
                only["Action"] = json!([action]);
            }
            only["Resource"] = resources;
            Some(only)
        })
    }

    fn statements(&self, holder: Holder) -> Vec<Value> {
        let of_identity = match holder {
            Holder::Bucket => return self.of_bucket(),
            Holder::Key => return self.of_key(),
            Holder::Role => match self.role() {
                Some(_) => self.of_identity(Sides {
                    source: true,
                    output: false,
                }),
                None => Vec::new(),
            },
            Holder::Identity => {
                let role = self.role().map(str::to_owned);
                let mut statements = self.of_identity(Sides {
                    source: role.is_none(),
                    output: true,
                });
                if let Some(role) = role {
                    let assume = Statement::new("LogsRole", &["sts:AssumeRole"], vec![role]);
                    statements.insert(0, assume);
                }
                statements
            }
        };
        of_identity.iter().map(Statement::to_json).collect()
    }

    /// What the staging bucket must allow CloudWatch Logs.
    fn of_bucket(&self) -> Vec<Value> {
        let (Some(source), Some(objects)) = (self.export_tasks(), self.exports()) else {
            return Vec::new();
        };
        let export = ExportStatements {
            region: self.region,
            account: self.account,
            bucket: bucket_of(&source.staging).unwrap_or_default(),
            objects: &objects,
        };
        vec![export.checks(), export.writes()]
    }

    /// What the staging bucket's KMS key must allow CloudWatch Logs. A key policy stands alone, so it begins with AWS's
    /// default, without which the key could not be managed any more.
    fn of_key(&self) -> Vec<Value> {
        let (Some(_), Some(key)) = (self.export_tasks(), &self.keys.source) else {
            return Vec::new();
        };
        let partition = self.partition();
        let account = key.split(':').nth(4).unwrap_or(self.account);
        let root = format!("arn:{}:iam::{account}:root", partition.id);
        vec![
            json!({
                "Sid": "ManagedByIam",
                "Effect": "Allow",
                "Principal": { "AWS": root },
                "Action": ["kms:*"],
                "Resource": "*",
            }),
            json!({
                "Sid": "LogtallyExports",
                "Effect": "Allow",
                "Principal": logs_service(self.region),
                "Action": ["kms:GenerateDataKey", "kms:Decrypt"],
                "Resource": "*",
                "Condition": of_account(self.region, self.account),
            }),
        ]
    }

    /// Reading the lookup tables that are in buckets.
    fn lookup_tables(&self) -> Vec<Statement> {
        let partition = self.partition();
        let mut buckets = Vec::new();
        let mut objects = Vec::new();
        for table in &self.job.tables {
            if let (Some(bucket), Location::S3 { prefix, .. }) =
                (bucket_of(&table.path), &table.path)
            {
                buckets.push(partition.s3(bucket));
                // The path is that of a file, or of a folder.
                objects.push(partition.s3(&format!("{bucket}/{prefix}")));
                objects.push(partition.s3(&format!("{bucket}/{prefix}/*")));
            }
        }
        if objects.is_empty() {
            return Vec::new();
        }
        vec![
            Statement::new("LookupBuckets", &["s3:ListBucket"], buckets),
            Statement::new("LookupTables", &["s3:GetObject"], objects),
        ]
    }

    /// What an identity must be allowed that does these parts of the job.
    fn of_identity(&self, sides: Sides) -> Vec<Statement> {
        let partition = self.partition();
        let mut statements = Vec::new();
        if let Some(Source::CloudWatch(source)) = self.source()
            && sides.source
        {
            let (of_groups, of_account) = log_actions(source);
            let groups = source.log_groups.iter();
            let groups = groups.flat_map(|group| match split_group_arn(group.as_str()) {
                None => {
                    let names = log_groups::arn_names(group.as_str()).into_iter();
                    names.map(|name| self.log_groups(&name)).collect::<Vec<_>>()
                }
                Some((account, name)) => {
                    let names = log_groups::arn_names(name).into_iter();
                    names.map(|name| format!("{account}{name}")).collect()
                }
            });
            let groups = groups.collect();
            statements.push(Statement::new("LogGroups", &of_groups, groups));
            statements.push(Statement::new(
                "WholeAccount",
                &of_account,
                vec!["*".to_owned()],
            ));
        }
        let mut buckets = Vec::new();
        let mut objects = Vec::new();
        let mut deletable = Vec::new();
        let mut keys = Vec::new();
        if let Some(staging) = self.staging()
            && let (Some(bucket), Some(exports)) = (bucket_of(staging), self.exports())
            && sides.source
        {
            buckets.push(partition.s3(bucket));
            objects.push(partition.s3(&exports));
            deletable.push(partition.s3(&exports));
            keys.extend(self.keys.source.clone());
        }
        if let Some(bucket) = bucket_of(&self.job.output)
            && sides.output
        {
            let answers = self.job.output.below(self.job.name.as_str());
            let below = |location: &Location| objects_below(location).map(|all| partition.s3(&all));
            buckets.push(partition.s3(bucket));
            objects.extend(below(&answers));
            deletable.extend(below(&answers.below("runs").below("_state")));
            let mut divisions = self.job.queries.iter().map(|query| &query.division);
            if divisions.any(|division| matches!(division, Division::BySize(_))) {
                deletable.extend(below(&answers.below("parts")));
            }
            if let Some(archive) = &self.job.archive {
                deletable.extend(below(&answers.below(archive.query.name.as_str())));
                if self.job.window.size == Size::Hour {
                    deletable.extend(below(&answers.below(DAY_ARCHIVE)));
                }
            }
            keys.extend(self.keys.output.clone());
            keys.extend(self.key_of_answers().map(str::to_owned));
        }
        if !objects.is_empty() {
            let acts_on_bucket = ["s3:ListBucket", "s3:ListBucketMultipartUploads"];
            let acts_on_objects = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"];
            statements.push(Statement::new("Buckets", &acts_on_bucket, buckets));
            statements.push(Statement::new("Objects", &acts_on_objects, objects));
            statements.push(Statement::new(
                "OwnExportsAndStates",
                &["s3:DeleteObject"],
                deletable,
            ));
        }
        if let Some(source) = self.export_tasks()
            && let Some(bucket) = bucket_of(&source.staging)
            && sides.source
        {
            let bucket = vec![partition.s3(bucket)];
            statements.push(Statement::new("ExportBucket", &["s3:GetBucketAcl"], bucket));
        }
        keys.dedup();
        if !keys.is_empty() {
            let acts = ["kms:GenerateDataKey", "kms:Decrypt"];
            statements.push(Statement::new("Keys", &acts, keys));
        }
        if let Some(source) = self.source()
            && source.is_read_in_place()
            && let path = &folder_of_objects(source)
            && let (Some(bucket), Some(exported)) = (bucket_of(path), objects_below(path))
            && sides.source
        {
            let (bucket, exported) = (partition.s3(bucket), partition.s3(&exported));
            statements.push(Statement::new(
                "SourceBucket",
                &["s3:ListBucket"],
                vec![bucket],
            ));
            statements.push(Statement::new(
                "SourceObjects",
                &["s3:GetObject"],
                vec![exported],
            ));
            if let Some(key) = &self.keys.source {
                statements.push(Statement::new(
                    "SourceKey",
                    &["kms:Decrypt"],
                    vec![key.clone()],
                ));
            }
        }
        // Of several sources none reads the tables: see `Account::of_tables`.
        let is_one = self
            .job
            .sources
            .iter()
            .all(|source| source.number.is_none());
        if (sides.source && is_one) || (sides.output && !is_one) {
            statements.extend(self.lookup_tables());
        }
        if sides.output {
            statements.extend(self.glue());
            let notify = self.job.notify.as_ref();
            let topic = notify.and_then(|notify| notify.sns.as_ref());
            statements.extend(topic.map(|topic| {
                let topic = vec![topic.as_str().to_owned()];
                Statement::new("Notifications", &["sns:Publish"], topic)
            }));
        }
        statements
    }

    /// The KMS key that the job names for its answers; an id or an alias is no resource of a policy.
    fn key_of_answers(&self) -> Option<&str> {
        match &self.job.aws.encryption.as_ref()?.with {
            Encryption::Kms { key: Some(key) } if key.starts_with("arn:") => Some(key),
            _ => None,
        }
    }

    fn glue(&self) -> Option<Statement> {
        let tables = self.tables.as_ref()?;
        let arn = |resource: &str| {
            format!(
                "arn:{}:glue:{}:{}:{resource}",
                Partition::of(&tables.region).id,
                tables.region,
                tables.account
            )
        };
        let database = &tables.database;
        let mut resources = vec![arn("catalog"), arn(&format!("database/{database}"))];
        let names = tables.tables.iter();
        resources.extend(names.map(|table| arn(&format!("table/{database}/{table}"))));
        let actions = [
            "glue:GetDatabase",
            "glue:CreateDatabase",
            "glue:GetTable",
            "glue:CreateTable",
            "glue:UpdateTable",
        ];
        Some(Statement::new("Tables", &actions, resources))
    }

    /// The source, if its events may leave CloudWatch by export tasks.
    fn export_tasks(&self) -> Option<&'a CloudWatch> {
        match self.source()? {
            Source::CloudWatch(source) if source.via != Via::Events => Some(source),
            _ => None,
        }
    }

    fn source(&self) -> Option<&'a Source> {
        self.job.sources.first().map(|source| &source.logs)
    }

    /// The role that is assumed for the logs.
    fn role(&self) -> Option<&'a str> {
        let access = self.job.sources.first()?.access;
        let access = self.job.aws.sources.get(access)?;
        access.role_arn.as_deref()
    }

    /// Where exported objects land.
    fn staging(&self) -> Option<&'a Location> {
        self.source()?.staging()
    }

    /// The pattern of all exports of this job, with their bucket.
    fn exports(&self) -> Option<String> {
        objects_below(&self.staging()?.below(self.job.name.as_str()))
    }

    fn partition(&self) -> Partition {
        Partition::of(self.region)
    }

    fn log_groups(&self, pattern: &str) -> String {
        log_groups_arn(self.region, self.account, pattern)
    }
}

/// One policy with the statements of several: those with the same name and actions are one, over all their resources.
pub fn merged(policies: impl IntoIterator<Item = Value>) -> Option<Value> {
    let mut statements: Vec<Value> = Vec::new();
    let all = policies.into_iter().flat_map(|policy| match policy {
        Value::Object(mut policy) => match policy.remove("Statement") {
            Some(Value::Array(statements)) => statements,
            _ => Vec::new(),
        },
        _ => Vec::new(),
    });
    for statement in all {
        let is_alike = |known: &&mut Value| {
            ["Sid", "Action", "Principal", "Condition"]
                .iter()
                .all(|key| known[*key] == statement[*key])
        };
        match statements.iter_mut().find(is_alike) {
            Some(known) => {
                let both = texts(&known["Resource"]).into_iter();
                let mut both: Vec<&str> = both.chain(texts(&statement["Resource"])).collect();
                let mut seen = HashSet::new();
                both.retain(|resource| seen.insert(*resource));
                let both = one_or_more(&both);
                known["Resource"] = both;
            }
            None => statements.push(statement),
        }
    }
    // IAM wants a name for each statement of its own.
    let mut taken: HashMap<String, usize> = HashMap::new();
    for statement in &mut statements {
        if let Some(name) = statement["Sid"].as_str().map(str::to_owned) {
            let times = taken.entry(name.clone()).or_default();
            *times += 1;
            if *times > 1 {
                statement["Sid"] = format!("{name}{times}").into();
            }
        }
    }
    (!statements.is_empty()).then(|| json!({ "Version": "2012-10-17", "Statement": statements }))
}

/// The statements that a bucket's policy needs, so that log groups of an account and Region can be exported to it.
/// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/S3ExportTasksConsole.html>
#[derive(Debug, Clone, Copy)]
pub struct ExportStatements<'a> {
    /// The Region of the logs.
    pub region: &'a str,
    /// The account of the logs.
    pub account: &'a str,
    /// The bucket.
    pub bucket: &'a str,
    /// A pattern of the exported objects, with the bucket: `bucket/prefix/*`.
    pub objects: &'a str,
}

impl ExportStatements<'_> {
    /// CloudWatch Logs may look at the bucket's access control list.
    pub fn checks(&self) -> Value {
        json!({
            "Sid": "LogtallyExportChecks",
            "Effect": "Allow",
            "Principal": logs_service(self.region),
            "Action": "s3:GetBucketAcl",
            "Resource": Partition::of(self.region).s3(self.bucket),
            "Condition": of_account(self.region, self.account),
        })
    }

    /// CloudWatch Logs may write the objects.
    pub fn writes(&self) -> Value {
        let mut condition = of_account(self.region, self.account);
        condition["StringEquals"]["s3:x-amz-acl"] = "bucket-owner-full-control".into();
        json!({
            "Sid": "LogtallyExportWrites",
            "Effect": "Allow",
            "Principal": logs_service(self.region),
            "Action": "s3:PutObject",
            "Resource": Partition::of(self.region).s3(self.objects),
            "Condition": condition,
        })
    }

    /// The caller, of another account than the bucket's, may write the objects: the account's own policies then decide for
    /// which of its roles.
    pub fn caller(&self) -> Value {
        let partition = Partition::of(self.region);
        json!({
            "Sid": "LogtallyExportCaller",
            "Effect": "Allow",
            "Principal": { "AWS": format!("arn:{}:iam::{}:root", partition.id, self.account) },
            "Action": ["s3:PutObject", "s3:PutObjectAcl"],
            "Resource": partition.s3(self.objects),
        })
    }
}

fn logs_service(region: &str) -> Value {
    let suffix = Partition::of(region).suffix;
    json!({ "Service": format!("logs.{region}.{suffix}") })
}

/// The condition that a request is made for this account's log groups.
fn of_account(region: &str, account: &str) -> Value {
    json!({
        "StringEquals": { "aws:SourceAccount": account },
        "ArnLike": { "aws:SourceArn": log_groups_arn(region, account, "*") },
    })
}

/// The ARN of log groups.
pub fn log_groups_arn(region: &str, account: &str, pattern: &str) -> String {
    let partition = Partition::of(region).id;
    format!("arn:{partition}:logs:{region}:{account}:log-group:{pattern}")
}

/// Which part of a job an identity does.
#[derive(Clone, Copy)]
struct Sides {
    /// The logs and their bucket.
    source: bool,
    /// The answers.
    output: bool,
}

/// The actions on log groups, and those that can't be limited to log groups.
fn log_actions(source: &CloudWatch) -> (Vec<&'static str>, Vec<&'static str>) {
    // The streams tell whether an export without events can be right.
    let mut of_groups = vec!["logs:DescribeLogStreams"];
    let mut of_account = vec!["logs:DescribeLogGroups"];
    if source.via != Via::Events {
        of_groups.push("logs:CreateExportTask");
        of_account.push("logs:DescribeExportTasks");
    }
    if source.via != Via::ExportTask {
        of_groups.push("logs:FilterLogEvents");
    }
    match source.verify_method() {
        Verify::Off => {}
        Verify::Metrics => of_account.push("cloudwatch:GetMetricData"),
        Verify::Insights => {
            of_groups.extend(["logs:StartQuery", "logs:GetQueryResults"]);
            of_account.push("logs:StopQuery");
        }
    }
    (of_groups, of_account)
}

/// The bucket's name; `None` for a folder of this machine.
fn bucket_of(location: &Location) -> Option<&str> {
    match location {
        Location::S3 { bucket, .. } => Some(bucket),
        Location::Local(_) => None,
    }
}

/// The pattern of the objects in a location, with their bucket; `None` for a folder of this machine.
/// The folder below which all objects are that a job reads in place.
fn folder_of_objects(source: &Source) -> Location {
    let location = source.location();
    match (source, location) {
        (Source::Subscription(settings), Location::S3 { bucket, prefix }) => Location::S3 {
            bucket: bucket.clone(),
            prefix: layout::join(prefix, settings.prefix.folder_of_all()),
        },
        _ => location.clone(),
    }
}

fn objects_below(location: &Location) -> Option<String> {
    let Location::S3 { bucket, prefix } = location else {
        return None;
    };
    Some(match prefix.as_ref() {
        "" => format!("{bucket}/*"),
        prefix => format!("{bucket}/{prefix}/*"),
    })
}

/// IAM takes a single text in place of a list of one.
fn one_or_more<T: Serialize>(values: &[T]) -> Value {
    match values {
        [only] => json!(only),
        _ => json!(values),
    }
}

/// The texts of a value that is one or a list of them.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

/// A part of AWS with accounts and names of its own.
#[derive(Debug, Clone, Copy)]
pub struct Partition {
    /// The second part of every ARN.
    pub id: &'static str,
    /// What the names of services end in.
    pub suffix: &'static str,
}

impl Partition {
    /// The partition of a Region.
    pub fn of(region: &str) -> Self {
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

#[cfg(test)]
mod tests;
