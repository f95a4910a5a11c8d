//! From the job file as written to a [`Job`]: defaults, paths relative to the file, and which keys go together.

mod several;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono_tz::Tz;

use super::checked::{Name, Text};
use super::files::{ensure_file_name, meant_location, read_local};
use super::job_text::{JobText, Wrong};
use super::library::BuiltIn;
use super::location::Location;
use super::parse_error::{check_sections, data_error};
use super::spec::{
    JobSpec, OutputSpec, QuerySpec, SourceKind, SourceSpec, Sse, TableSpec, Verify, Via, WindowSpec,
};
use super::{
    AwsSettings, BucketEncryption, Chart, CloudWatch, DefaultWindow, DeliveredLogs, Division,
    Encryption, Format, GroupPattern, Job, JobSource, KeyPattern, Language, Limits, LookupTable,
    OriginColumns, Query, RecordShape, Source, Subscription, SubscriptionContent, TIME_NAMES,
    TextFile, WindowRule, archive, arn, charts, expectations, formats, notify,
};
use crate::error::Result;
use crate::window::{Size, Window, is_last_ended};

/// Folders below the job's prefix that are not answers.
pub(super) const RESERVED_NAMES: [&str; 4] = ["charts", "parts", "runs", "report"];

/// Tables that every session has.
pub(super) const RESERVED_TABLES: [&str; 2] = ["logs", "hours"];

/// The names that a query can't have.
pub(super) fn names_taken_for_queries() -> Vec<&'static str> {
    [&RESERVED_TABLES[..], &RESERVED_NAMES].concat()
}

/// Parses the text of a job file on this machine, whose folder is the base of its relative paths.
///
/// # Errors
/// `Usage`, with the file and, where known, the line.
pub fn parse(file: &Path, text: &str) -> Result<Job> {
    let read = |file: &TextFile| match file {
        TextFile::Local(path) => read_local(path),
        TextFile::S3 { .. } | TextFile::Stdin => Err("expected a file on this machine".to_owned()),
    };
    let draft = JobDraft::parse(TextFile::Local(file.to_owned()), text.to_owned())?;
    draft.resolve(&read, &|_| Ok(()))
}

/// A job file whose form is right. Its SQL files are still to be read.
#[derive(Debug)]
pub struct JobDraft {
    file: TextFile,
    text: String,
    spec: JobSpec,
}

impl JobDraft {
    /// Parses the text of the job file `file`.
    ///
    /// # Errors
    /// `Usage`, with the file and the line.
    pub fn parse(file: TextFile, text: String) -> Result<Self> {
        let job = JobText::parse(&file, &text)?;
        if job.is_empty() {
            let message = "the file is empty: expected a job, as `logtally init` writes one";
            return Err(job.error(&Wrong::at("", message)));
        }
        let spec = check_sections(&job)
            .and_then(|()| toml::from_str(job.as_str()).map_err(|error| data_error(&job, &error)))
            .map_err(|wrong| job.error(&wrong))?;
        Ok(Self { file, text, spec })
    }

    /// The SQL files that it names.
    pub fn sql_files(&self) -> Vec<TextFile> {
        let named = self
            .spec
            .query
            .iter()
            .filter_map(|query| query.sql.as_ref())
            .filter(|sql| ensure_file_name(&sql.0).is_ok());
        named
            .filter_map(|sql| self.file.file(&sql.0).ok())
            .collect()
    }

    /// The job, with the texts of its SQL files; `check` says what is wrong with the pattern of a format.
    ///
    /// # Errors
    /// `Usage`, with the file and, where known, the line.
    pub fn resolve(
        self,
        read: ReadSql<'_>,
        check: &dyn Fn(&Format) -> Result<(), String>,
    ) -> Result<Job> {
        let Self {
            file,
            text,
            mut spec,
        } = self;
        let formats = formats::resolve(std::mem::take(&mut spec.formats), check);
        let resolver = Resolver { file: &file, read };
        let resolved = formats.and_then(|formats| {
            let job = resolver.job(spec)?;
            Ok(Job { formats, ..job })
        });
        resolved.map_err(|wrong| match JobText::parse(&file, &text) {
            Ok(job) => job.error(&wrong),
            Err(error) => error,
        })
    }
}

/// Gives the text of a SQL file, or why it can't be read.
type ReadSql<'a> = &'a dyn Fn(&TextFile) -> Result<String, String>;

/// The lease where the job has none.
const LEASE: Duration = Duration::from_secs(30);

/// How long a run waits where the job does not say.
const GIVE_UP_AFTER: Duration = Duration::from_secs(6 * 3600);

/// A shorter lease ends while a request is under way; a longer one keeps a rerun waiting.
const LEASES: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(3600);

struct Resolver<'a> {
    file: &'a TextFile,
    read: ReadSql<'a>,
}

impl Resolver<'_> {
    fn job(&self, spec: JobSpec) -> Result<Job, Wrong> {
        if RESERVED_NAMES.contains(&spec.name.as_str()) {
            let message = format!(
                "the job can't be named {:?}: that name is taken by a folder of logtally",
                spec.name.as_str()
            );
            return Err(Wrong::at("name", message));
        }
        let timezone = spec.timezone.map_or(Tz::UTC, |zone| zone.0);
        let output = self.location("output", "location", &spec.output.location)?;
        let lease = spec.run.lease.map_or(LEASE, |length| length.0);
        if !LEASES.contains(&lease) {
            let message = format!(
                "[run] lease is {}: expected 1s to 1h",
                humantime::format_duration(lease)
            );
            return Err(Wrong::at("run.lease", message));
        }
        let several::Sources { sources, aws, mask } = self.sources(
            spec.source.0,
            &output,
            spec.window.size,
            spec.run.give_up_after,
        )?;
        let aws = AwsSettings {
            encryption: encryption(&spec.output, &output)?,
            ..aws
        };
        let origins = match &sources[..] {
            [only] => only.logs.origins(),
            _ => OriginColumns::ALL,
        };
        let (size, language) = (spec.window.size, spec.language.unwrap_or_default());
        let of_rows = spec
            .query
            .iter()
            .map(|query| query.expect)
            .collect::<Vec<_>>();
        let queries = self.queries(spec.query, size, language)?;
        let archive = spec
            .archive
            .map(|spec| archive::resolve(spec, &queries, origins));
        let archive = archive.transpose()?;
        let archived = archive.as_ref().map(|archive| &archive.query);
        let tables = self.tables(spec.table, queries.iter().chain(archived))?;
        let of_rows = queries.iter().zip(of_rows).filter_map(|(query, rows)| {
            rows.map(|rows| Ok(expectations::of_rows(&query.name, rows)))
        });
        let of_values = spec.expect.into_iter().enumerate().map(|(place, table)| {
            let resolved = expectations::resolve(table, &queries, size);
            resolved.map_err(|message| Wrong::at(format!("expect.{place}"), message))
        });
        let expectations = of_rows.chain(of_values).collect::<Result<_, _>>()?;
        let notify = spec.notify.map(|notify| notify::resolve(notify, language));
        let notify = notify
            .transpose()
            .map_err(|message| Wrong::at("notify", message))?;
        Ok(Job {
            aws,
            mask,
            language,
            expectations,
            archive,
            formats: Vec::new(),
            notify,
            metrics: spec.metrics.map(|metrics| metrics.namespace.0),
            queries,
            tables,
            window: window_rule(spec.window, timezone, &sources)?,
            sources,
            limits: Limits {
                memory: spec.run.memory.map(|size| size.0),
                lease,
                timeout: spec.run.timeout.map(|length| length.0),
            },
            workers: spec.run.workers.unwrap_or_default(),
            file: self.file.clone(),
            name: spec.name,
            timezone,
            output,
        })
    }

    /// The location that a key of a section says.
    fn location(&self, section: &str, key: &str, text: &Text) -> Result<Location, Wrong> {
        let location = match meant_location(&text.0) {
            Some(meant) => Err(format!(
                "{:?} is not a valid location: expected {meant}",
                text.0
            )),
            None => self.file.location(&text.0),
        };
        location.map_err(|message| {
            Wrong::at(
                format!("{section}.{key}"),
                format!("[{section}] {key}: {message}"),
            )
        })
    }

    fn source(
        &self,
        spec: SourceSpec,
        output: &Location,
        size: Size,
        give_up_after: Duration,
    ) -> Result<Source, Wrong> {
        reject_keys_of_other_kinds(&spec)?;
        let path = || {
            let text = spec.path.as_ref().ok_or_else(|| Wrong::at("source", match spec.kind {
                SourceKind::Directory => {
                    "[source] path is missing: expected a folder that has a folder of events for each log group, such as path = \"events\""
                }
                SourceKind::Delivered => {
                    "[source] path is missing: expected the location that logs are delivered to, a folder or s3://bucket/prefix, such as path = \"s3://acme-logs/AWSLogs/123456789012/CloudFront\""
                }
                SourceKind::Subscription => {
                    "[source] path is missing: expected the location that the subscription is delivered to, a folder or s3://bucket, such as path = \"s3://acme-logs\""
                }
                _ => "[source] path is missing: expected the location of the exported objects, a folder or s3://bucket/prefix, such as path = \"exports\"",
            }))?;
            ensure_no_variable(spec.kind, &text.0)?;
            self.location("source", "path", text)
        };
        ensure_access(&spec)?;
        let pad = spec
            .pad
            .map_or(Duration::from_secs(3600), |length| length.0);
        match spec.kind {
            SourceKind::CloudWatch => {
                let log_groups = spec.log_groups.clone().unwrap_or_default();
                if log_groups.is_empty() {
                    let wrong = match spec.log_groups {
                        None => "[source] log_groups is missing",
                        Some(_) => "[source] log_groups is an empty list",
                    };
                    return Err(Wrong::at(
                        "source.log_groups",
                        format!(
                            "{wrong}: expected at least one log group or glob, such as log_groups = [\"/aws/lambda/checkout-*\"]"
                        ),
                    ));
                }
                let staging = spec.staging.as_ref().ok_or_else(|| Wrong::at(
                    "source",
                    "[source] staging is missing: expected the prefix to which CloudWatch writes exports, such as staging = \"s3://bucket/exports\"",
                ))?;
                let staging = self.location("source", "staging", staging)?;
                if staging.is_local() {
                    return Err(Wrong::at(
                        "source.staging",
                        format!(
                            "[source] staging is {staging}: CloudWatch exports to S3 only, expected s3://bucket/prefix"
                        ),
                    ));
                }
                let via = spec.via.unwrap_or(Via::ExportTask);
                let linked = log_groups.iter().find(|group| group.is_linked());
                if let Some(linked) = linked.filter(|_| via != Via::Events) {
                    return Err(Wrong::at(
                        "source.log_groups",
                        format!(
                            "[source] log_groups has the ARN {:?}: expected via = \"events\" with it, since CloudWatch exports no log group of a linked account; or role_arn with a role of that account, and the name of the group",
                            linked.as_str()
                        ),
                    ));
                }
                ensure_one_region(&log_groups, spec.region.as_ref())?;
                let log_stream_prefix = stream_prefix(spec.log_stream_prefix)?;
                if spec.verify == Some(Verify::Metrics) && log_stream_prefix.is_some() {
                    return Err(Wrong::at(
                        "source.verify",
                        "[source] verify is \"metrics\", and log_stream_prefix is set: expected verify = \"insights\", since the metric counts the events of all log streams",
                    ));
                }
                Ok(Source::CloudWatch(CloudWatch {
                    log_groups,
                    log_stream_prefix,
                    staging,
                    via,
                    give_up_after,
                    pad,
                    pad_after: match (&spec.pad_after, &spec.pad) {
                        (Some(length), _) | (None, Some(length)) => length.0,
                        (None, None) => pad_after(size),
                    },
                    verify: spec.verify,
                }))
            }
            SourceKind::Exported => Ok(Source::Exported {
                path: path()?,
                log_group: spec.log_group.map(|text| text.0),
            }),
            SourceKind::Subscription => {
                let zone = spec.prefix_timezone.map_or(Tz::UTC, |zone| zone.0);
                let prefix = spec.prefix.as_ref().map(|text| text.0.as_str());
                let prefix = KeyPattern::parse(prefix, zone).map_err(|message| {
                    Wrong::at("source.prefix", format!("[source] prefix: {message}"))
                })?;
                let log_group = spec.log_group.as_ref().map(|text| text.0.clone());
                if spec.messages_only == Some(true) && spec.pad.is_some() {
                    return Err(Wrong::at(
                        "source.pad",
                        "[source] pad does not go with messages_only = true: expected none, since the time of a message is that of its object, which is then of one window only",
                    ));
                }
                let content = match (spec.messages_only.unwrap_or(false), log_group) {
                    (true, log_group) => SubscriptionContent::Messages { log_group },
                    (false, None) => SubscriptionContent::Records,
                    (false, Some(_)) => {
                        return Err(Wrong::at(
                            "source.log_group",
                            "[source] log_group goes with messages_only = true: expected it only there, since records name their log groups",
                        ));
                    }
                };
                Ok(Source::Subscription(Subscription {
                    path: path()?,
                    prefix,
                    content,
                    // Events may be two hours ahead of the clock.
                    pad: spec
                        .pad
                        .map_or(Duration::from_secs(2 * 3600), |length| length.0),
                    pad_after: spec
                        .pad_after
                        .map_or_else(|| pad_after(size), |length| length.0),
                }))
            }
            SourceKind::Delivered => Ok(Source::Delivered(DeliveredLogs {
                path: path()?,
                shape: Arc::new(record_shape(&spec)?),
                // Events may be two hours ahead of the clock.
                pad: spec
                    .pad
                    .map_or(Duration::from_secs(2 * 3600), |length| length.0),
                pad_after: spec
                    .pad_after
                    .map_or_else(|| pad_after(size), |length| length.0),
            })),
            SourceKind::Directory => {
                let folder = match path()? {
                    Location::Local(folder) => folder,
                    s3 => {
                        return Err(Wrong::at(
                            "source.path",
                            format!("[source] path is {s3}: expected a folder on this machine"),
                        ));
                    }
                };
                let staging = match &spec.staging {
                    Some(text) => self.location("source", "staging", text)?,
                    None => output.below("_staging"),
                };
                Ok(Source::Directory {
                    path: folder,
                    staging,
                    pad,
                })
            }
        }
    }

    /// The lookup tables. None has the name of another table.
    fn tables<'q>(
        &self,
        specs: Vec<TableSpec>,
        queries: impl Iterator<Item = &'q Query> + Clone,
    ) -> Result<Vec<LookupTable>, Wrong> {
        let mut tables: Vec<LookupTable> = Vec::with_capacity(specs.len());
        for (place, spec) in specs.into_iter().enumerate() {
            let name = spec.name.as_str();
            let taken = match name {
                name if RESERVED_TABLES.contains(&name) => Some("a table of every session"),
                _ if queries.clone().any(|query| query.name == spec.name) => {
                    Some("a [[query]] or by the archive")
                }
                _ if tables.iter().any(|table| table.name == spec.name) => {
                    Some("another [[table]]")
                }
                _ => None,
            };
            if let Some(taken) = taken {
                let message =
                    format!("a [[table]] can't be named {name:?}: that name is taken by {taken}");
                return Err(Wrong::at(format!("table.{place}.name"), message));
            }
            let path = self.location(&format!("table.{place}"), "path", &spec.path);
            tables.push(LookupTable {
                path: path.map_err(|wrong| {
                    let message = wrong
                        .message
                        .replace(&format!("[table.{place}]"), "[[table]]");
                    Wrong::at(format!("table.{place}.path"), message)
                })?,
                name: spec.name,
                columns: spec.columns,
            });
        }
        Ok(tables)
    }

    fn queries(
        &self,
        specs: Vec<QuerySpec>,
        size: Size,
        language: Language,
    ) -> Result<Vec<Query>, Wrong> {
        if specs.is_empty() {
            return Err(Wrong::at(
                "",
                "no [[query]]: expected at least one section [[query]], such as one with use = \"hourly_count\"",
            ));
        }
        let mut names = HashSet::new();
        let mut queries = Vec::with_capacity(specs.len());
        for (place, spec) in specs.into_iter().enumerate() {
            let path = format!("query.{place}");
            let query = self
                .query(spec, size, language)
                .map_err(|wrong| Wrong::at(format!("{path}.{}", wrong.path), wrong.message))?;
            let name = query.name.as_str();
            let taken = match name {
                name if RESERVED_TABLES.contains(&name) => Some("a table of every session"),
                name if RESERVED_NAMES.contains(&name) => Some("a folder of logtally"),
                _ => None,
            };
            if let Some(taken) = taken {
                let message =
                    format!("a [[query]] can't be named {name:?}: that name is taken by {taken}");
                return Err(Wrong::at(format!("{path}.name"), message));
            }
            if !names.insert(query.name.clone()) {
                let message = format!(
                    "two [[query]] are named {name:?}: expected a name for each, such as name = \"{name}_2\""
                );
                return Err(Wrong::at(path, message));
            }
            queries.push(query);
        }
        Ok(queries)
    }

    /// A query; the path of an error begins below its section.
    fn query(&self, spec: QuerySpec, size: Size, language: Language) -> Result<Query, Wrong> {
        let (name, sql, sql_origin, default_chart) = match (&spec.built_in, &spec.sql) {
            (Some(built_in), None) => {
                let built_in = BuiltIn::find(&built_in.0).map_err(|expected| {
                    let message = format!(
                        "[[query]] use = {:?} is not a built-in query: {expected}",
                        built_in.0
                    );
                    Wrong::at("use", message)
                })?;
                let name = match &spec.name {
                    Some(name) => name.clone(),
                    None => Name::new(built_in.name)?,
                };
                (
                    name,
                    built_in.sql.to_owned(),
                    built_in.origin(),
                    Some(built_in),
                )
            }
            (None, Some(file)) => {
                let name = spec.name.clone().ok_or_else(|| {
                    let message = format!(
                        "[[query]] sql = {:?} needs a name for its answer, such as name = \"errors\"",
                        file.0
                    );
                    Wrong::at("sql", message)
                })?;
                let at_fault =
                    |message: String| Wrong::at("sql", format!("[[query]] {name}: {message}"));
                ensure_file_name(&file.0).map_err(at_fault)?;
                let path = self.file.file(&file.0).map_err(at_fault)?;
                let sql = (self.read)(&path).map_err(|error| {
                    at_fault(format!("can't read the SQL file {path}: {error}"))
                })?;
                (name, sql, path.to_string(), None)
            }
            (Some(built_in), Some(file)) => {
                let message = format!(
                    "a [[query]] has both use = {:?} and sql = {:?}: expected one of them",
                    built_in.0, file.0
                );
                return Err(Wrong::at("sql", message));
            }
            (None, None) => {
                let message = format!(
                    "a [[query]]{} has neither use nor sql: expected one of them, such as use = \"hourly_count\" or sql = \"errors.sql\"",
                    spec.name
                        .as_ref()
                        .map_or(String::new(), |name| format!(" ({name})"))
                );
                return Err(message.into());
            }
        };
        let division = Division::resolve(spec.partition_by, spec.file_size).map_err(|error| {
            let key = match error.starts_with("file_size") {
                true => "file_size",
                false => "partition_by",
            };
            Wrong::at(key, format!("[[query]] {name}: {error}"))
        })?;
        let charts = match (spec.chart.is_empty(), default_chart) {
            (true, Some(built_in)) => {
                let charts = built_in.charts(&name, size, language)?.into_iter();
                // The job did not ask for the comparison, and only answers in one file can be compared.
                let compare = |chart: &Chart| chart.compare.filter(|_| division == Division::Whole);
                charts
                    .map(|chart| Chart {
                        compare: compare(&chart),
                        ..chart
                    })
                    .collect()
            }
            _ => charts::resolve(&name, spec.chart, size, language)?,
        };
        let compared = charts.iter().find(|chart| chart.compare.is_some());
        if let (Some(chart), Some(key)) = (compared, division.key()) {
            let message = format!(
                "[[query]] {name}: the chart {} has compare, which reads earlier answers in one file, and {key} divides them: expected one of the two keys",
                chart.name
            );
            return Err(Wrong::at(key, message));
        }
        let params = match default_chart {
            Some(built_in) => built_in
                .with_defaults(spec.params)
                .map_err(|message| Wrong::at("params", message))?,
            None => spec.params,
        };
        Ok(Query {
            params,
            name,
            sql,
            sql_origin,
            division,
            charts,
        })
    }
}

/// Refuses what AWS would refuse of the ways to reach logs, and a name that is none.
fn ensure_access(spec: &SourceSpec) -> Result<(), Wrong> {
    if let Some(Text(role)) = &spec.role_arn {
        arn::ensure_role(role)
            .map_err(|wrong| Wrong::at("source.role_arn", format!("[source] role_arn: {wrong}")))?;
    }
    let named = [
        ("region", &spec.region, "a Region such as \"eu-west-1\""),
        ("profile", &spec.profile, "the name of a profile"),
        ("log_group", &spec.log_group, "the name of a log group"),
    ];
    for (key, text, expected) in named {
        if text.as_ref().is_some_and(|text| text.0.trim().is_empty()) {
            return Err(Wrong::at(
                format!("source.{key}"),
                format!("[source] {key} is empty: expected {expected}, or no such key"),
            ));
        }
    }
    Ok(())
}

/// Log groups of linked accounts are those of one Region, since a request is answered in one.
fn ensure_one_region(log_groups: &[GroupPattern], region: Option<&Text>) -> Result<(), Wrong> {
    let mut linked = log_groups
        .iter()
        .filter_map(|group| Some((group, group.region()?)));
    let of_section = region.map(|region| (region.0.as_str(), "region of the section".to_owned()));
    let Some((expected, says)) = of_section.or_else(|| {
        let (first, region) = linked.clone().next()?;
        Some((region, format!("{:?}", first.as_str())))
    }) else {
        return Ok(());
    };
    match linked.find(|(_, region)| *region != expected) {
        None => Ok(()),
        Some((group, region)) => Err(Wrong::at(
            "source.log_groups",
            format!(
                "[source] log_groups has {:?}, which is in {region}: expected {expected}, as {says} says, and a [[source]] for each Region",
                group.as_str()
            ),
        )),
    }
}

/// The prefix of log streams, if one can have it.
fn stream_prefix(prefix: Option<Text>) -> Result<Option<String>, Wrong> {
    let Some(Text(prefix)) = prefix else {
        return Ok(None);
    };
    let wrong = match prefix.as_str() {
        "" => "is empty: expected the beginning of the names, such as \"web/\", or no such key for all log streams".to_owned(),
        text if text.contains(['*', ':']) => format!(
            "is {text:?}: expected the beginning of the names without a glob, such as \"web/\", since no log stream has * or : in its name"
        ),
        text if text.len() > 512 => "has more than 512 bytes: expected the beginning of the names, and none is as long".to_owned(),
        _ => return Ok(Some(prefix)),
    };
    Err(Wrong::at(
        "source.log_stream_prefix",
        format!("[source] log_stream_prefix {wrong}"),
    ))
}

/// Refuses a path as a delivery is configured with it: its variables are filled in, and are in no key.
fn ensure_no_variable(kind: SourceKind, path: &str) -> Result<(), Wrong> {
    let expected = match kind {
        SourceKind::Delivered => {
            "the path as far as all objects have it, since folders with times are found below it"
        }
        SourceKind::Subscription => {
            "the location that all objects are below, and the expressions in prefix"
        }
        SourceKind::CloudWatch | SourceKind::Exported | SourceKind::Directory => return Ok(()),
    };
    let variable = path.find('{').and_then(|start| {
        let end = path[start..].find('}')?;
        path.get(start..=start + end)
    });
    let mut folders = path.split('/');
    match variable.or_else(|| folders.find(|folder| matches!(*folder, "*" | "**"))) {
        None => Ok(()),
        Some(part) => Err(Wrong::at(
            "source.path",
            format!("[source] path has {part:?}, which is in no key: expected {expected}"),
        )),
    }
}

/// How delivered objects have their events. None of the names is empty, and no two fields have one name.
fn record_shape(spec: &SourceSpec) -> Result<RecordShape, Wrong> {
    let named = |key: &str, text: &Option<Text>| match text {
        Some(text) if text.0.is_empty() => Err(Wrong::at(
            format!("source.{key}"),
            format!("[source] {key} is empty: expected the name of a member, field or column"),
        )),
        text => Ok(text.as_ref().map(|text| text.0.clone())),
    };
    let fields = spec.fields.iter().flatten();
    let fields: Vec<String> = fields.map(|field| field.0.clone()).collect();
    let wrong_fields =
        |message: String| Wrong::at("source.fields", format!("[source] fields {message}"));
    if spec.fields.is_some() && fields.is_empty() {
        return Err(wrong_fields(
            "is an empty list: expected the names of the fields in their order, such as fields = [\"date\", \"time\", \"sc-status\"]".to_owned(),
        ));
    }
    if fields.iter().any(String::is_empty) {
        return Err(wrong_fields(
            "has an empty name: expected the name of each field, in their order".to_owned(),
        ));
    }
    let mut seen = HashSet::new();
    if let Some(twice) = fields.iter().find(|field| !seen.insert(field.as_str())) {
        return Err(wrong_fields(format!(
            "has {twice:?} twice: expected each name once"
        )));
    }
    let (time, message) = (named("time", &spec.time)?, named("message", &spec.message)?);
    let has_time = || {
        fields
            .iter()
            .any(|field| TIME_NAMES.contains(&field.as_str()))
    };
    if time.is_none() && !fields.is_empty() && !has_time() {
        return Err(wrong_fields(format!(
            "names {}, and none of them is known to be the time: expected one of {} among them, or time with the name of the field that has it",
            fields.join(", "),
            TIME_NAMES.join(", ")
        )));
    }
    for (key, name) in [("time", &time), ("message", &message)] {
        if let Some(name) = name
            && !fields.is_empty()
            && !fields.contains(name)
        {
            return Err(Wrong::at(
                format!("source.{key}"),
                format!(
                    "[source] {key} is {name:?}, which is none of fields: expected one of {}",
                    fields.join(", ")
                ),
            ));
        }
    }
    let delimiter = spec.delimiter.as_ref().map(|text| text.0.clone());
    if delimiter
        .as_ref()
        .is_some_and(|text| text.is_empty() || text.contains(['\n', '\r']))
    {
        return Err(Wrong::at(
            "source.delimiter",
            "[source] delimiter is empty or has a line end: expected what stands between two fields, such as delimiter = \"\\t\"",
        ));
    }
    Ok(RecordShape {
        time,
        message,
        fields,
        delimiter,
        log_group: spec.log_group.as_ref().map(|text| text.0.clone()),
    })
}

/// How much to export behind the end of a window by default: for late events, if the times of an export mean arrival. An
/// hour has less, as each hour of a day would be exported thirteen times.
fn pad_after(size: Size) -> Duration {
    match size {
        Size::Hour => Duration::from_secs(3 * 3600),
        Size::Day | Size::Week | Size::Month => Duration::from_secs(12 * 3600),
    }
}

/// How long after its end a window is settled by default. CloudWatch may need 12 hours to make an event exportable, and
/// events may arrive as late again.
fn settled_after(source: &Source) -> Duration {
    match source {
        Source::CloudWatch(settings) if settings.via != Via::Events => {
            Duration::from_secs(24 * 3600)
        }
        // An object appears up to a quarter of an hour after its first record.
        Source::Subscription(Subscription { pad_after, .. })
        | Source::Delivered(DeliveredLogs { pad_after, .. }) => {
            let delivered = pad_after.saturating_add(Duration::from_secs(3600));
            delivered.max(Duration::from_secs(12 * 3600))
        }
        _ => Duration::from_secs(12 * 3600),
    }
}

/// How S3 encrypts the output. A key of KMS says it too.
fn encryption(spec: &OutputSpec, output: &Location) -> Result<Option<BucketEncryption>, Wrong> {
    let key = spec.sse_kms_key.as_ref().map(|key| key.0.clone());
    let (with, name) = match (spec.sse, key) {
        (None, None) => return Ok(None),
        (Some(Sse::S3), Some(_)) => {
            return Err(Wrong::at(
                "output.sse",
                "[output] sse is \"AES256\", and sse_kms_key is set: expected sse = \"aws:kms\" with a key",
            ));
        }
        (Some(Sse::S3), None) => (Encryption::S3, "sse"),
        (Some(Sse::Kms), None) => (Encryption::Kms { key: None }, "sse"),
        (_, key @ Some(_)) => (Encryption::Kms { key }, "sse_kms_key"),
    };
    match output {
        Location::S3 { bucket, .. } => Ok(Some(BucketEncryption {
            bucket: bucket.clone(),
            with,
        })),
        Location::Local(_) => Err(Wrong::at(
            format!("output.{name}"),
            format!(
                "[output] {name} is set, and location is {output}: expected s3://bucket/prefix, since S3 encrypts only what it keeps"
            ),
        )),
    }
}

fn window_rule(spec: WindowSpec, timezone: Tz, sources: &[JobSource]) -> Result<WindowRule, Wrong> {
    let default = match spec.default.as_ref().map(|text| text.0.as_str()) {
        None => DefaultWindow::LastEnded,
        Some(text) if is_last_ended(text) => DefaultWindow::LastEnded,
        Some(id) => {
            Window::parse(spec.size, timezone, id).map_err(|error| {
                Wrong::at("window.default", format!("[window] default: {error}"))
            })?;
            DefaultWindow::Id(id.to_owned())
        }
    };
    Ok(WindowRule {
        size: spec.size,
        default,
        settled_after: match spec.settled_after {
            Some(length) => length.0,
            None => {
                let of_sources = sources.iter().map(|source| settled_after(&source.logs));
                of_sources.max().unwrap_or_default()
            }
        },
        lookback: spec.lookback.unwrap_or(lookback(spec.size)),
    })
}

/// How far a run looks back where the job does not say: a day of hours, a weekend of days.
fn lookback(size: Size) -> u32 {
    match size {
        Size::Hour => 24,
        Size::Day => 3,
        Size::Week => 2,
        Size::Month => 1,
    }
}

/// Refuses keys of another kind of source, which would otherwise have no effect.
fn reject_keys_of_other_kinds(spec: &SourceSpec) -> Result<(), Wrong> {
    let keys = [
        ("log_groups", spec.log_groups.is_some()),
        ("log_stream_prefix", spec.log_stream_prefix.is_some()),
        ("staging", spec.staging.is_some()),
        ("via", spec.via.is_some()),
        ("give_up_after", spec.give_up_after.is_some()),
        ("pad", spec.pad.is_some()),
        ("pad_after", spec.pad_after.is_some()),
        ("keep", spec.keep.is_some()),
        ("verify", spec.verify.is_some()),
        ("path", spec.path.is_some()),
        ("log_group", spec.log_group.is_some()),
        ("prefix", spec.prefix.is_some()),
        ("prefix_timezone", spec.prefix_timezone.is_some()),
        ("messages_only", spec.messages_only.is_some()),
        ("time", spec.time.is_some()),
        ("message", spec.message.is_some()),
        ("fields", spec.fields.is_some()),
        ("delimiter", spec.delimiter.is_some()),
        ("requester_pays", spec.requester_pays.is_some()),
    ];
    for (key, present) in keys {
        let kinds = SourceKind::that_take(key);
        if present && !kinds.contains(&spec.kind) {
            let kinds: Vec<String> = kinds
                .iter()
                .map(|kind| format!("{:?}", kind.as_str()))
                .collect();
            // `log_group` and `log_groups`: keys of two kinds of source that are easily mixed up.
            let is_meant = |(other, _): &&(&str, bool)| {
                let is_alike = other.starts_with(key) || key.starts_with(other);
                is_alike && SourceKind::that_take(other).contains(&spec.kind)
            };
            let hint = keys
                .iter()
                .find(is_meant)
                .map_or_else(String::new, |(near, _)| format!("; did you mean {near}?"));
            let message = format!(
                "[source] {key} goes with kind = {}, not with {:?}{hint}",
                kinds.join(" or "),
                spec.kind.as_str()
            );
            return Err(Wrong::at(format!("source.{key}"), message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
name = "checkout"
timezone = "Asia/Seoul"
[source]
kind = "cloudwatch"
log_groups = ["/aws/lambda/checkout-*"]
staging = "s3://acme-logs/exports"
[output]
location = "s3://acme-analytics/logtally"
[[query]]
use = "hourly_count"
"#;

    fn refused(text: &str) -> String {
        let error = parse(Path::new("jobs/night.toml"), text).unwrap_err();
        assert_eq!(error.class(), crate::error::Class::Usage);
        error.to_string()
    }

    #[test]
    fn defaults_are_those_of_the_manual() {
        let job = parse(Path::new("jobs/night.toml"), GOOD).unwrap();
        assert_eq!(job.window.default, DefaultWindow::LastEnded);
        assert_eq!(job.window.settled_after, Duration::from_secs(24 * 3600));
        let Source::CloudWatch(source) = &job.sources[0].logs else {
            panic!("{:?}", job.sources)
        };
        assert_eq!(source.give_up_after, Duration::from_secs(6 * 3600));
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        assert_eq!((source.pad, source.pad_after), (hours(1), hours(12)));
        assert_eq!((source.via, source.verify), (Via::ExportTask, None));
        assert_eq!(source.verify_method(), Verify::Metrics);
        assert_eq!(job.queries[0].charts[0].y, ["events"]);
    }

    #[test]
    fn the_time_to_wait_is_the_runs() {
        let give_up_after = |text: &str| {
            let job = parse(Path::new("jobs/night.toml"), text).unwrap();
            match &job.sources[0].logs {
                Source::CloudWatch(source) => source.give_up_after.as_secs(),
                source => panic!("{source:?}"),
            }
        };
        let of_run = format!("{GOOD}[run]\ngive_up_after = \"2h\"\n");
        let of_source = GOOD.replace("staging", "give_up_after = \"3h\"\nstaging");
        assert_eq!(give_up_after(&of_run), 2 * 3600);
        assert_eq!(give_up_after(&of_source), 3 * 3600);
        let error = refused(&of_run.replace("staging", "give_up_after = \"3h\"\nstaging"));
        assert!(error.contains("[run] and [source] both"), "{error}");
    }

    #[test]
    fn a_run_looks_back_by_the_size_of_its_windows() {
        let lookback = |window: &str| {
            let text = format!("{GOOD}[window]\n{window}\n");
            let job = parse(Path::new("jobs/night.toml"), &text).unwrap();
            job.window.lookback
        };
        let sizes = ["hour", "day", "week", "month"];
        let found = sizes.map(|size| lookback(&format!("size = \"{size}\"")));
        assert_eq!(found, [24, 3, 2, 1]);
        assert_eq!(lookback("size = \"hour\"\nlookback = 5"), 5);
        assert_eq!(lookback("lookback = 0"), 0);
    }

    #[test]
    fn the_way_and_the_independent_count_are_taken() {
        let text = GOOD.replace("staging", "via = \"auto\"\nverify = \"insights\"\nstaging");
        let job = parse(Path::new("jobs/night.toml"), &text).unwrap();
        let Source::CloudWatch(source) = &job.sources[0].logs else {
            panic!("{:?}", job.sources)
        };
        assert_eq!(
            (source.via, source.verify),
            (Via::Auto, Some(Verify::Insights))
        );
        let error = refused(&text.replace("\"auto\"", "\"stream\""));
        assert!(
            error.contains(":7:") && error.contains("export-task"),
            "{error}"
        );
    }

    #[test]
    fn a_key_of_kms_goes_with_s3_only() {
        let with = |keys: &str| GOOD.replace("[output]\n", &format!("[output]\n{keys}\n"));
        let encryption = |keys: &str| {
            let job = parse(Path::new("jobs/night.toml"), &with(keys)).unwrap();
            job.aws.encryption.map(|encryption| encryption.with)
        };
        let kms = |key: Option<&str>| {
            let key = key.map(str::to_owned);
            Some(Encryption::Kms { key })
        };
        assert_eq!(encryption(""), None);
        assert_eq!(encryption("sse = \"AES256\""), Some(Encryption::S3));
        assert_eq!(encryption("sse = \"aws:kms\""), kms(None));
        assert_eq!(
            encryption("sse_kms_key = \"alias/logs\""),
            kms(Some("alias/logs"))
        );
        let error = refused(&with("sse = \"AES256\"\nsse_kms_key = \"alias/logs\""));
        assert!(error.contains("expected sse = \"aws:kms\""), "{error}");
        let on_disk = with("sse = \"AES256\"").replace("s3://acme-analytics/logtally", "out");
        let error = refused(&on_disk);
        assert!(error.contains("[output] sse is set"), "{error}");
    }

    #[test]
    fn a_divided_answer_is_compared_with_nothing() {
        let divided = format!("{GOOD}partition_by = [\"hour_of_day\"]\n");
        let job = parse(Path::new("jobs/night.toml"), &divided).unwrap();
        assert_eq!(job.queries[0].charts[0].compare, None);
        let chart = "[[query.chart]]\nkind = \"bar\"\nx = \"hour_local\"\ny = \"events\"\ncompare = \"7 days\"\n";
        let error = refused(&format!("{divided}{chart}"));
        assert!(
            error.contains("compare") && error.contains("partition_by"),
            "{error}"
        );
    }

    /// A job with a source of these keys, the first of which is in its fifth line.
    fn with_source(keys: &str) -> String {
        format!(
            "name = \"night\"\ntimezone = \"Asia/Seoul\"\n\n[source]\n{keys}\n[output]\nlocation = \"s3://acme-analytics\"\n[[query]]\nuse = \"hourly_count\"\n"
        )
    }

    #[test]
    fn what_no_run_could_read_is_an_error_with_its_line() {
        let cloudwatch =
            "kind = \"cloudwatch\"\nstaging = \"s3://acme-logs/exports\"\nlog_groups = [\"/a\"]";
        let linked =
            "kind = \"cloudwatch\"\nstaging = \"s3://acme-logs/exports\"\nvia = \"events\"";
        let arn = |region: &str| format!("arn:aws:logs:{region}:123456789012:log-group:/a");
        let (ireland, ohio) = (arn("eu-west-1"), arn("us-east-2"));
        let delivered = "kind = \"delivered\"\npath = \"s3://acme-logs\"";
        let subscription = "kind = \"subscription\"\npath = \"s3://acme-logs\"";
        for (keys, line, expected) in [
            (
                format!("{delivered}\nfields = [\"c-ip\", \"when\"]"),
                7,
                "fields names c-ip, when, and none of them is known to be the time: expected one of event_timestamp, ",
            ),
            (
                format!("{delivered}\nfields = [\"date\", \"c-ip\"]"),
                7,
                "none of them is known to be the time",
            ),
            (
                format!("{delivered}\nfields = [\"time\", \"ip\", \"ip\"]"),
                7,
                "fields has \"ip\" twice",
            ),
            (
                format!("{delivered}\ndelimiter = \"\\r\""),
                7,
                "delimiter is empty or has a line end",
            ),
            (
                format!("{delivered}\nlog_group = \"\""),
                7,
                "log_group is empty",
            ),
            (
                "kind = \"delivered\"\npath = \"s3://acme-logs/CloudFront/{yyyy}/{MM}\"".to_owned(),
                6,
                "path has \"{yyyy}\", which is in no key",
            ),
            (
                "kind = \"subscription\"\npath = \"s3://acme-logs/app-!{timestamp:yyyy/MM}\""
                    .to_owned(),
                6,
                "and the expressions in prefix",
            ),
            (
                "kind = \"delivered\"\npath = \"s3://acme-logs/AWSLogs/*/CloudFront\"".to_owned(),
                6,
                "path has \"*\"",
            ),
            (
                format!("{subscription}\nprefix = \"app/!{{timestamp:/yyyy}}/\""),
                7,
                "an empty folder",
            ),
            (
                format!("{subscription}\nprefix = \"app/{{timestamp:yyyy}}/\""),
                7,
                "expected an expression of Firehose",
            ),
            (
                format!("{subscription}\nmessages_only = true\npad = \"1h\""),
                8,
                "pad does not go with messages_only",
            ),
            (
                format!("{linked}\nlog_groups = [\"{ireland}\", \"{ohio}\"]"),
                8,
                "which is in us-east-2: expected eu-west-1",
            ),
            (
                format!("{linked}\nlog_groups = [\"{ireland}\"]\nregion = \"us-east-2\""),
                8,
                "expected us-east-2, as region of the section says",
            ),
            (
                format!(
                    "{linked}\nlog_groups = [\"{}\"]",
                    ireland.replace("9012", "901")
                ),
                8,
                "its account is \"12345678901\", expected 12 digits",
            ),
            (
                format!("{cloudwatch}\nlog_stream_prefix = \"\""),
                8,
                "log_stream_prefix is empty",
            ),
            (
                format!("{cloudwatch}\nlog_stream_prefix = \"web/*\""),
                8,
                "without a glob",
            ),
            (
                format!("{cloudwatch}\nrole_arn = \"logs\""),
                8,
                "role_arn: \"logs\" is not the ARN of a role",
            ),
            (format!("{cloudwatch}\nregion = \"\""), 8, "region is empty"),
            (
                format!("{cloudwatch}\nlog_stream_prefix = \"web/\"\nverify = \"metrics\""),
                9,
                "expected verify = \"insights\"",
            ),
        ] {
            let error = refused(&with_source(&keys));
            assert!(error.contains(expected), "{expected}: {error}");
            assert!(
                error.starts_with(&format!("jobs/night.toml:{line}:")),
                "{line}: {error}"
            );
        }
        // Of several sources, the line is that of the one.
        let sources = format!("[[source]]\n{delivered}\n[[source]]\n{cloudwatch}\nregion = \"\"");
        let error = refused(&with_source("x").replace("[source]\nx", &sources));
        assert!(
            error.starts_with("jobs/night.toml:11:")
                && error.contains("[[source]] 2 region is empty"),
            "{error}"
        );
    }

    #[test]
    fn fields_have_their_time_by_name_or_as_the_job_says() {
        for keys in [
            "fields = [\"date\", \"time\", \"c-ip\"]",
            "fields = [\"c-ip\", \"timestamp(ms)\"]",
            "fields = [\"c-ip\", \"when\"]\ntime = \"when\"",
            "delimiter = \"|\"",
        ] {
            let text = with_source(&format!(
                "kind = \"delivered\"\npath = \"s3://acme-logs\"\n{keys}"
            ));
            parse(Path::new("jobs/night.toml"), &text).unwrap_or_else(|error| panic!("{error}"));
        }
    }

    #[test]
    fn a_wrong_key_is_named_with_its_line_and_the_nearest() {
        let error = refused(&GOOD.replace("timezone", "timezon"));
        assert!(
            error.starts_with(
                "jobs/night.toml:3: unknown key \"timezon\"; did you mean \"timezone\"?"
            ),
            "{error}"
        );
        let error = refused(&GOOD.replace("log_groups", "log_group_names"));
        assert!(
            error.contains("jobs/night.toml:6:") && error.contains("log_groups"),
            "{error}"
        );
    }

    #[test]
    fn wrong_values_are_named_with_their_line() {
        let error = refused(&GOOD.replace("Asia/Seoul", "Asia/Soul"));
        assert!(
            error.starts_with("jobs/night.toml:3:") && error.contains("Asia/Seoul"),
            "{error}"
        );
        let error = refused(&GOOD.replace("\"checkout\"", "\"Check Out\""));
        assert!(error.starts_with("jobs/night.toml:2:"), "{error}");
        let error = refused(&GOOD.replace("s3://acme-logs", "s3://${LOGTALLY_SURELY_UNSET}"));
        assert!(
            error.contains(":7:") && error.contains("LOGTALLY_SURELY_UNSET"),
            "{error}"
        );
    }

    #[test]
    fn a_built_in_chart_is_no_obstacle_to_an_answer_in_several_files() {
        let job = |text: &str| parse(Path::new("jobs/night.toml"), text).unwrap();
        let compares = |text: &str| job(text).queries[0].charts[0].compare.is_some();
        assert!(compares(GOOD));
        assert!(!compares(&format!("{GOOD}file_size = \"256MiB\"\n")));
        assert!(!compares(&format!("{GOOD}partition_by = [\"x\"]\n")));
    }

    #[test]
    fn what_does_not_go_together_is_an_error() {
        let cases = [
            (GOOD.replace("s3://acme-logs/exports", "exports"), "S3 only"),
            (
                GOOD.replace("kind = \"cloudwatch\"", "kind = \"exported\""),
                "log_groups goes with",
            ),
            (
                GOOD.replace("use = \"hourly_count\"", "use = \"hourly\""),
                "hourly_count, hour_of_day",
            ),
            (
                GOOD.replace(
                    "use = \"hourly_count\"",
                    "sql = \"nope.sql\"\nname = \"nope\"",
                ),
                "nope.sql",
            ),
            (
                GOOD.replace("use = \"hourly_count\"", "sql = \"nope.sql\""),
                "needs a name",
            ),
            (
                format!("{GOOD}sql = \"x.sql\"\n"),
                "both use = \"hourly_count\" and sql = \"x.sql\"",
            ),
            (
                GOOD.replace("use = \"hourly_count\"", "name = \"x\""),
                "neither use nor sql",
            ),
            (
                GOOD.replace("[[query]]\nuse = \"hourly_count\"", ""),
                "no [[query]]",
            ),
            (
                format!("{GOOD}[[query]]\nuse = \"hourly_count\"\n"),
                "two [[query]] are named \"hourly_count\"",
            ),
            (format!("{GOOD}name = \"logs\"\n"), "taken by a table"),
            (format!("{GOOD}name = \"parts\"\n"), "taken by a folder"),
            (format!("{GOOD}file_size = \"1MB\"\n"), "1MiB or more"),
            (
                format!("{GOOD}file_size = \"256MiB\"\npartition_by = [\"x\"]\n"),
                "both partition_by and file_size are set",
            ),
            (
                format!(
                    "{GOOD}file_size = \"256MiB\"\n[[query.chart]]\nkind = \"bar\"\nx = \"hour_local\"\ny = \"events\"\ncompare = \"7 days\"\n"
                ),
                "compare, which reads",
            ),
            (
                format!("{GOOD}[window]\ndefault = \"2026-W47\"\n"),
                "2026-11-21",
            ),
            (format!("{GOOD}[run]\nlease = \"10ms\"\n"), "1s to 1h"),
        ];
        for (text, expected) in cases {
            let error = refused(&text);
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }
}
