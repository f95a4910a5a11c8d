//! The job file as written: keys and checked values, without defaults. The comments on the keys are what an editor shows:
//! they are the descriptions of the [schema]. So are the defaults here; the tests of `documents` compare them with those that
//! jobs get.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::checked::{
    ByteSize, GroupPattern, Length, Name, Namespace, PixelSize, Secret, Share, Text, Zone,
};
use super::lookup::{ColumnType, ParameterValue};
use super::worker_address::WorkerAddress;
use super::{ChartKind, ImageFormat, Language, Theme, ValueScale};
use super::{charts, resolve, schema};
use crate::window::Size;

pub use super::checked::Limit;

/// A job of logtally: which logs, which time, which queries, and where the answers go. Relative paths are relative to this
/// file. `${NAME}` in a text is the value of an environment variable.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "logtally job", transform = schema::require_query)]
pub struct JobSpec {
    /// The job's name, the first part of all keys that the job writes.
    #[schemars(extend("not" = {"enum": resolve::RESERVED_NAMES}))]
    pub name: Name,
    /// The IANA time zone of windows and local times, such as `"Asia/Seoul"`.
    #[schemars(extend("default" = "UTC"))]
    pub timezone: Option<Zone>,
    /// The language of a chart's own texts.
    #[schemars(extend("default" = "en"))]
    pub language: Option<Language>,
    /// Where the logs come from: `[source]`, or `[[source]]` for each of several.
    pub source: SourcesSpec,
    /// Which time a run takes.
    #[serde(default)]
    pub window: WindowSpec,
    /// Where the answers go.
    pub output: OutputSpec,
    /// The queries, at least one. A query can read the answers of earlier ones.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub query: Vec<QuerySpec>,
    /// The archive of events. A job without it keeps answers only.
    pub archive: Option<ArchiveSpec>,
    /// Formats of messages, by the names that `parse_as(message, 'app')` takes.
    #[serde(default)]
    #[schemars(with = "schema::Formats")]
    pub formats: BTreeMap<Name, FormatSpec>,
    /// Lookup tables, which queries can read beside the logs.
    #[serde(default)]
    pub table: Vec<TableSpec>,
    /// What is expected of the answers.
    #[serde(default)]
    pub expect: Vec<ExpectSpec>,
    /// Whom a run notifies.
    pub notify: Option<NotifySpec>,
    /// The metrics of a run.
    pub metrics: Option<MetricsSpec>,
    /// What a run may use.
    #[serde(default)]
    pub run: RunSpec,
}

/// The kinds of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// CloudWatch Logs, exported to S3 first.
    CloudWatch,
    /// Objects that were exported without logtally.
    Exported,
    /// A folder of events on this machine.
    Directory,
    /// Objects that the events of a subscription were delivered to.
    Subscription,
    /// Objects that CloudWatch Logs delivered vended logs to, and Lambda's logs of the class Delivery.
    Delivered,
}

impl SourceKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::CloudWatch,
        Self::Exported,
        Self::Directory,
        Self::Subscription,
        Self::Delivered,
    ];

    /// How a job file names this kind.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CloudWatch => "cloudwatch",
            Self::Exported => "exported",
            Self::Directory => "directory",
            Self::Subscription => "subscription",
            Self::Delivered => "delivered",
        }
    }

    /// The kinds that take a key of `[source]`.
    pub fn that_take(key: &str) -> &'static [Self] {
        use SourceKind::{CloudWatch, Delivered, Directory, Exported, Subscription};
        match key {
            "log_groups" | "log_stream_prefix" | "via" | "give_up_after" | "verify" => {
                &[CloudWatch]
            }
            "pad_after" => &[CloudWatch, Subscription, Delivered],
            "pad" => &[CloudWatch, Directory, Subscription, Delivered],
            "staging" | "keep" => &[CloudWatch, Directory],
            "path" => &[Exported, Directory, Subscription, Delivered],
            "log_group" => &[Exported, Subscription, Delivered],
            "prefix" | "prefix_timezone" | "messages_only" => &[Subscription],
            "time" | "message" | "fields" | "delimiter" => &[Delivered],
            "requester_pays" => &[CloudWatch, Exported, Subscription, Delivered],
            _ => &Self::ALL,
        }
    }

    /// The keys of `[source]` that this kind can't do without.
    pub fn required_keys(self) -> &'static [&'static str] {
        match self {
            Self::CloudWatch => &["log_groups", "staging"],
            Self::Exported | Self::Directory | Self::Subscription | Self::Delivered => &["path"],
        }
    }
}

/// `[source]`, or each `[[source]]`.
#[derive(Debug)]
pub struct SourcesSpec(pub Vec<SourceSpec>);

impl<'de> Deserialize<'de> for SourcesSpec {
    /// An untagged enum would lose the line of what is wrong.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;

        impl<'de> Visitor<'de> for OneOrMore {
            type Value = SourcesSpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a section [source]")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let only = SourceSpec::deserialize(MapAccessDeserializer::new(map))?;
                Ok(SourcesSpec(vec![only]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut sources = Vec::new();
                while let Some(source) = list.next_element()? {
                    sources.push(source);
                }
                Ok(SourcesSpec(sources))
            }
        }

        deserializer.deserialize_any(OneOrMore)
    }
}

/// A source: the keys of every kind.
// Which of them go together is checked later, so that serde's errors keep their lines.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = schema::check_source)]
pub struct SourceSpec {
    /// The kind of source, which decides which other keys are allowed.
    pub kind: SourceKind,
    /// The name of this source in messages and receipts, for a job of several.
    pub name: Option<Name>,
    /// cloudwatch: the log groups, at least one: names, and globs such as `"/aws/lambda/checkout-*"`. Globs have `*`, `?`,
    /// `[…]` and `{a,b}`; `*` also matches `/`. With `via = "events"`, ARNs too, for log groups of linked accounts.
    #[schemars(length(min = 1))]
    pub log_groups: Option<Vec<GroupPattern>>,
    /// cloudwatch: the prefix of the log streams to export, such as `"web/"`; all log streams where unset.
    pub log_stream_prefix: Option<Text>,
    /// The location that exports are written to. cloudwatch: `s3://bucket/prefix` in the Region of the logs, required.
    /// directory: the same or a folder; `_staging` below the output where unset.
    #[schemars(with = "Option<schema::Place>")]
    pub staging: Option<Text>,
    /// cloudwatch: how events are exported.
    #[schemars(extend("default" = "export-task"))]
    pub via: Option<Via>,
    /// cloudwatch: the same as `give_up_after` of `[run]`, for job files that have it here.
    pub give_up_after: Option<Length>,
    /// cloudwatch, directory: how much to export beyond both ends of the window. Events outside the window are filtered out
    /// again. subscription, delivered: how long before the window its events may arrive, as clocks differ. Where unset: 1 hour, for
    /// these two 2, and behind the end what `pad_after` says.
    pub pad: Option<Length>,
    /// cloudwatch: how much to export behind the end of the window, if not `pad`. If CloudWatch reads the times of an
    /// export as times of arrival, events that arrive later than this are missed. subscription, delivered: how long behind the end of
    /// the window its events may arrive; later ones are missed. Where unset (for an export, where `pad` is unset too): 12
    /// hours, and 3 hours for windows of an hour.
    pub pad_after: Option<Length>,
    /// cloudwatch, directory: how long exports of settled windows are kept, such as `"7d"`; forever where unset.
    pub keep: Option<Length>,
    /// cloudwatch: the independent count that the events are compared with. Where unset, the metric is used where it can
    /// be read: with its permission and without `log_stream_prefix`.
    pub verify: Option<Verify>,
    /// The AWS Region, such as `"ap-northeast-2"`; from the environment or AWS's configuration files where unset.
    pub region: Option<Text>,
    /// The profile of AWS's configuration files; from the environment where unset.
    pub profile: Option<Text>,
    /// The ARN of a role to assume for the logs and their staging bucket, such as
    /// `"arn:aws:iam::123456789012:role/logs"`; none where unset.
    pub role_arn: Option<Text>,
    /// All but directory: whether the caller pays for requests to the bucket of the logs, where its owner has set it up so
    /// (S3's "Requester Pays"); false where unset.
    pub requester_pays: Option<bool>,
    /// Whether queries see the messages without personal data and secrets, as the function `mask` returns them; false where
    /// unset. Exports stay as they are.
    pub mask: Option<bool>,
    /// exported: the location of the objects, a folder or `s3://bucket/prefix`. directory: the folder of events.
    /// subscription: the location below which the objects are, up to `prefix`. delivered: the location that logs are delivered to, as
    /// far as all objects have it, such as `"s3://acme-logs/AWSLogs/123456789012/CloudFront"`.
    #[schemars(with = "Option<schema::Place>")]
    pub path: Option<Text>,
    /// exported: the value of the column `log_group`; NULL where unset. subscription: the same with `messages_only`. delivered: the same
    /// where records do not name their log group.
    pub log_group: Option<Text>,
    /// subscription: the prefix of keys as Firehose's configuration has it, relative to `path`, such as
    /// `"logs/!{timestamp:yyyy/MM/dd}/"`; `"*"` for objects with other keys. As Firehose does, `!{timestamp:yyyy/MM/dd/HH}/`
    /// is put behind a prefix without an expression.
    #[schemars(extend("default" = "!{timestamp:yyyy/MM/dd/HH}/"))]
    pub prefix: Option<Text>,
    /// subscription: the IANA time zone of the times in keys, if Firehose has a custom one.
    #[schemars(extend("default" = "UTC"))]
    pub prefix_timezone: Option<Zone>,
    /// subscription: whether the objects have the messages alone, one on each line, as Firehose's message extraction leaves
    /// them. Each event then has the time at which its object began to arrive, and copies of events count. False where unset.
    pub messages_only: Option<bool>,
    /// delivered: the member, field or column with the time of an event; where unset, the first of these names that a record has:
    /// `event_timestamp`, `timestamp(ms)`, `message_timestamp_ms`, `query_timestamp`, `timestamp`, `time` (with `date` beside it),
    /// `@timestamp`.
    pub time: Option<Text>,
    /// delivered: the member, field or column that is the message; where unset, the whole record, and of a record with a log group
    /// and a log stream its `message`.
    pub message: Option<Text>,
    /// delivered: the names of the fields in their order, as `recordFields` of the delivery has them, where objects of plain text
    /// have no header.
    #[schemars(length(min = 1))]
    pub fields: Option<Vec<Text>>,
    /// delivered: what stands between fields, as `fieldDelimiter` of the delivery has it; a tab, or else spaces, where unset.
    pub delimiter: Option<Text>,
}

/// How events are exported from CloudWatch Logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// An export task.
    ExportTask,
    /// Single events through the Logs API.
    Events,
    /// The Logs API for small or recent windows and where the export slot stays busy, export tasks for others.
    Auto,
}

/// The independent count that a run's events are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verify {
    /// None.
    Off,
    /// CloudWatch's metric of incoming events: nearly free, with a tolerance.
    Metrics,
    /// A Logs Insights query: exact, and costs money.
    Insights,
}

/// `[window]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowSpec {
    /// The calendar unit of a window.
    #[serde(default)]
    pub size: Size,
    /// The window of `run` without flags: `"yesterday"` or `"last"`, which both mean the last window that ended, whatever its
    /// size; or the id of a window, such as `"2026-11-21"`.
    #[schemars(with = "Option<schema::WindowId>", extend("default" = "yesterday"))]
    pub default: Option<Text>,
    /// How long after its end a window is settled: events that arrive later are missed. Where unset: 24 hours where export
    /// tasks are used, since CloudWatch may need 12 hours to make an event exportable; 12 hours elsewhere, but for subscriptions and
    /// delivered logs at least an hour more than `pad_after`.
    pub settled_after: Option<Length>,
    /// How many windows before the default one are done too if they are missing, failed, provisional although settled, or
    /// disputed by an independent count. By the size of a window where unset: 24 hours, 3 days, 2 weeks, 1 month.
    pub lookback: Option<u32>,
}

/// `[output]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = schema::check_output)]
pub struct OutputSpec {
    /// The location that answers, charts, receipts and states go to: `s3://bucket/prefix` or a folder.
    #[schemars(with = "schema::Place")]
    pub location: Text,
    /// How S3 encrypts what is written there: `"aws:kms"` or `"AES256"`; as the bucket is set up where unset.
    pub sse: Option<Sse>,
    /// The id, ARN or alias of the KMS key that S3 encrypts with, which implies `sse = "aws:kms"`; AWS's own key for S3 where
    /// unset.
    pub sse_kms_key: Option<Text>,
}

/// `[output] sse`: the values of S3's header `x-amz-server-side-encryption`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Sse {
    /// With a key of KMS.
    #[serde(rename = "aws:kms")]
    Kms,
    /// With S3's own keys.
    #[serde(rename = "AES256")]
    S3,
}

/// `[[query]]`: a query, with its answer's name and charts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = schema::check_query)]
pub struct QuerySpec {
    /// The name of a built-in query, which has a chart; either this or `sql`.
    #[serde(rename = "use")]
    #[schemars(with = "Option<schema::BuiltInName>")]
    pub built_in: Option<Text>,
    /// The answer's name, for keys and for later queries. Required with `sql`; the name of the built-in query where unset.
    #[schemars(extend("not" = {"enum": resolve::names_taken_for_queries()}))]
    pub name: Option<Name>,
    /// A file with one SQL query, such as `"errors.sql"`; either this or `use`.
    pub sql: Option<Text>,
    /// The values of parameters: `$name` in the SQL is the value of `name`, a text, a number, a boolean, a date or a time.
    #[serde(default)]
    #[schemars(with = "std::collections::BTreeMap<String, schema::ParameterValue>")]
    pub params: std::collections::BTreeMap<String, ParameterValue>,
    /// The text columns whose values divide the answer into files; one file where empty.
    #[serde(default)]
    #[schemars(extend("uniqueItems" = true))]
    pub partition_by: Vec<Name>,
    /// The size at which a file of the answer ends and the next begins, such as `"256MiB"`, at least `"1MiB"`; one file where
    /// unset.
    pub file_size: Option<ByteSize>,
    /// How many rows the answer is expected to have: `"no rows"`, `"rows"` (one or more) or `"one row"`; any number where
    /// unset.
    pub expect: Option<RowsSpec>,
    /// The charts of the answer; the chart of the built-in query where empty.
    #[serde(default)]
    pub chart: Vec<ChartSpec>,
}

/// `[archive]`: the events of each window as Parquet beside its answers, for later queries and other engines.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArchiveSpec {
    /// Columns out of the messages: of each its name and an expression of SQL over one event, such as
    /// `level = "level(message)"`.
    #[serde(default)]
    #[schemars(with = "std::collections::BTreeMap<String, String>")]
    pub columns: BTreeMap<Name, Text>,
    /// Whether the archive has the messages; without them, it has the columns only.
    #[schemars(extend("default" = true))]
    pub message: Option<bool>,
    /// The size at which a file ends and the next begins, at least `"1MiB"`.
    #[schemars(extend("default" = "256MiB"))]
    pub file_size: Option<ByteSize>,
    /// The text columns whose values are folders, such as `["log_group"]`; no folders where empty.
    #[serde(default)]
    #[schemars(extend("uniqueItems" = true))]
    pub partition_by: Vec<Name>,
    /// The columns that have bloom filters, by which readers skip parts that do not have a value, such as `["user"]`.
    #[serde(default)]
    #[schemars(extend("uniqueItems" = true))]
    pub bloom: Vec<Name>,
}

/// `[formats.NAME]`: a format of messages, by one of these keys.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct FormatSpec {
    /// A grok pattern, such as `"%{IP:client} %{NUMBER:ms:float}"`.
    pub grok: Option<Text>,
    /// A regular expression with named groups, such as `"took (?<ms>[0-9.]+) ms"`.
    pub regex: Option<Text>,
    /// A text with named wildcards, such as `"user {user} took {ms:float} ms"`.
    pub glob: Option<Text>,
}

/// `[[table]]`: a lookup table, such as a list of customers, endpoints or prices. Its content is read by each run.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableSpec {
    /// The table's name in SQL.
    #[schemars(extend("not" = {"enum": resolve::RESERVED_TABLES}))]
    pub name: Name,
    /// Its file, or a folder of such files, here or on S3: CSV or TSV with a line of names at the head, lines of JSON
    /// (`.ndjson`, `.jsonl`), each also compressed (`.gz`), or Parquet.
    #[schemars(with = "schema::Place")]
    pub path: Text,
    /// CSV, NDJSON: the types of columns, where those that their values have are not meant.
    #[serde(default)]
    pub columns: std::collections::BTreeMap<String, ColumnType>,
}

/// `[[query.chart]]`: a chart of the query's answer.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = schema::check_chart)]
pub struct ChartSpec {
    /// The chart's name, a part of its key; the query's name where unset.
    pub name: Option<Name>,
    /// How the values are drawn.
    pub kind: ChartKind,
    /// The column along the x axis.
    pub x: Text,
    /// The column of the y axis, of numbers. line, band: or several, such as `["p50", "p95", "p99"]`.
    pub y: OneOrMore,
    /// stacked-bar, line, heatmap: the column whose values name the parts of a bar, the lines, or the rows. Required for
    /// stacked-bar.
    pub series: Option<Text>,
    /// bar: the column that counts the errors among `y`, or `false` for none; the column `errors` where unset, if there is one
    /// beside counts.
    pub errors: Option<TextOrFalse>,
    /// bar, stacked-bar, a single line: how far before this window the window to compare with is, such as `"7 days"`; a whole
    /// number of windows.
    #[schemars(with = "Option<schema::CalendarSpan>")]
    pub compare: Option<Text>,
    /// The title, with the placeholders `{job}`, `{query}`, `{chart}`, `{date}`, `{window}` and `{zone}`; job, chart, date and
    /// zone where unset.
    pub title: Option<Text>,
    /// The title of the y axis; the column's name where unset.
    pub y_label: Option<Text>,
    /// line, band: how the values are spaced on the y axis; `"log"` keeps small values readable beside a very large one.
    #[schemars(extend("default" = "linear"))]
    pub y_scale: Option<ValueScale>,
    /// The unit of the values, such as `"ms"`; whole numbers without a unit are counts.
    pub unit: Option<Text>,
    /// Width and height in pixels at scale 1, from `[480, 270]` to `[4096, 4096]`.
    #[schemars(with = "Option<schema::ChartSize>", extend("default" = [1600, 900]))]
    pub size: Option<PixelSize>,
    /// Pixels of a PNG for each pixel of `size`, 0.5 to 4.
    #[schemars(range(min = *charts::SCALES.start(), max = *charts::SCALES.end()), extend("default" = 1.0))]
    pub scale: Option<f64>,
    /// The colours.
    #[schemars(extend("default" = "light"))]
    pub theme: Option<Theme>,
    /// The files to write, at least one.
    #[schemars(length(min = 1), extend("default" = ["png"]))]
    pub formats: Option<Vec<ImageFormat>>,
}

/// A text, or a list of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "expected the name of a column in quotes, or a list of them, such as [\"p50\", \"p95\"]"
)]
pub enum OneOrMore {
    /// `"p95"`
    One(Text),
    /// `["p50", "p95", "p99"]`
    More(Vec<Text>),
}

/// A text, or `false` for none.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "expected the name of a column in quotes, or false"
)]
pub enum TextOrFalse {
    /// `"failures"`
    Text(Text),
    /// `false`
    Flag(bool),
}

/// `[run]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunSpec {
    /// The memory for queries, such as `"2GiB"`. Queries that need more spill to disk or fail. Where unset, 70 % of the
    /// memory of the machine or container, behind 40 MiB for the program.
    pub memory: Option<ByteSize>,
    /// How long a lease is valid without renewal, from `"1s"` to `"1h"`. A run that died holds its window for so long.
    #[schemars(extend("default" = "30s"))]
    pub lease: Option<Length>,
    /// How long a run waits for CloudWatch Logs without progress: for the export slot, for a task that it has started, and
    /// while requests are throttled. Then no window of the run waits any more.
    #[schemars(extend("default" = "6h"))]
    pub give_up_after: Option<Length>,
    /// How long the answers of a window, or an ad-hoc query, may take to compute, such as `"10m"`. Then the run ends with
    /// 6. Without a limit where unset.
    pub timeout: Option<Length>,
    /// The workers that share the reading of exported objects, such as `"10.0.1.7:50051"`, or
    /// `"dns://workers.logtally.local:50051"` for every address of a name. None where unset.
    pub workers: Option<Vec<WorkerAddress>>,
}

/// How many rows an answer is expected to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum RowsSpec {
    /// No row.
    #[serde(rename = "no rows")]
    None,
    /// One row or more.
    #[serde(rename = "rows")]
    Some,
    /// Exactly one row.
    #[serde(rename = "one row")]
    One,
}

/// `[[expect]]`: what is expected of the answer of a query. A run whose answer is otherwise is done all the same: the
/// receipt, the charts and the notifications have it, and with `--strict` the run ends with 9.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectSpec {
    /// The name of the query.
    pub query: Name,
    /// The column of numbers that `min` and `max` are of. With `missing_hours`: the column whose zeros and NULLs count as
    /// missing, or unset.
    pub column: Option<Text>,
    /// What of the column is compared with `min` and `max`: each value, or their total.
    #[schemars(extend("default" = "each"))]
    pub of: Option<Of>,
    /// The least allowed number; with `previous`, the least share of the earlier total, such as `"50%"`.
    #[schemars(with = "Option<schema::Bound>")]
    pub min: Option<Limit>,
    /// The largest allowed number; with `previous`, the largest share of the earlier total, such as `"200%"`.
    #[schemars(with = "Option<schema::Bound>")]
    pub max: Option<Limit>,
    /// Compares the total of the column with that of an earlier window: how far before this window that one is, such as
    /// `"7 days"`; a whole number of windows.
    #[schemars(with = "Option<schema::CalendarSpan>")]
    pub previous: Option<Text>,
    /// How many hours of the window may be missing in the answer, whose column `hour_utc` or `hour_local` has the hours.
    pub missing_hours: Option<u32>,
}

/// What of a column is compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Of {
    /// Each value.
    #[default]
    Each,
    /// The total of all values.
    Total,
}

/// `[notify]`: whom a run notifies, at least one of `sns`, `webhook` and `slack_token`. A notification that can't be sent is a warning, and
/// each outcome of a window is reported once at the most.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = schema::check_notify)]
pub struct NotifySpec {
    /// The ARN of an SNS topic, such as `"arn:aws:sns:eu-west-1:123456789012:nightly"`.
    pub sns: Option<Text>,
    /// A webhook that takes messages in Slack's form. Its URL is a secret, and so comes from an environment variable:
    /// `"${SLACK_URL}"`.
    pub webhook: Option<Secret>,
    /// The token of a Slack bot with the scopes `chat:write` and `files:write`, which uploads the charts: a secret, and so
    /// `"${SLACK_TOKEN}"`. Requires `slack_channel`.
    pub slack_token: Option<Secret>,
    /// The id of the channel that the bot posts to, such as `"C0123456789"`. The bot must be a member.
    pub slack_channel: Option<Text>,
    /// The URL of Slack's API, for a Slack elsewhere; `"https://slack.com/api"` where unset.
    pub slack_api: Option<Text>,
    /// Which runs are reported: `"failure"`, those that failed; `"change"`, also those whose answers are not as expected, or
    /// whose events moved by more than `change`; or `"always"`.
    #[schemars(extend("default" = "failure"))]
    pub on: Option<NotifyWhen>,
    /// By which share the events must differ from those of a week before, or of the window's run before, to be a change.
    #[schemars(extend("default" = "50%"))]
    pub change: Option<Share>,
    /// How long the links to the charts live, from `"1m"` to `"7d"`. A link dies earlier if the credentials expire that
    /// signed it.
    #[schemars(extend("default" = "24h"))]
    pub link_lifetime: Option<Length>,
}

/// Which runs are reported. Each reports what the one before it reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NotifyWhen {
    /// Those that failed.
    #[default]
    Failure,
    /// Those whose answers are not as expected, or whose counts moved.
    Change,
    /// All.
    Always,
}

/// `[metrics]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricsSpec {
    /// The namespace of the metrics, such as `"logtally"`. A run prints them in CloudWatch's embedded metric format.
    pub namespace: Namespace,
}
