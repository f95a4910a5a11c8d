//! The job file as written ([`spec`]), and the [`Job`] that it resolves to, which has no invalid state.

pub mod schema;
pub mod spec;

mod archive;
mod arn;
mod charts;
mod checked;
mod delivered;
mod division;
mod expectations;
mod files;
mod formats;
mod job_text;
mod key_pattern;
mod library;
mod location;
mod lookup;
mod notify;
mod parse_error;
mod resolve;
mod sources;
mod syntax;
mod text_file;
mod worker_address;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::window::{Size, Span};

pub use archive::{ARCHIVE, Archive, ArchiveColumn, DAY_ARCHIVE, POSITION};
pub use charts::MAX_BANDS;
pub use checked::{
    ByteSize, GroupPattern, Name, Secret, nearest, parse_length, parse_zone, split_group_arn,
};
pub use delivered::{DATE, DeliveredLogs, RecordShape, TIME_NAMES};
pub use division::Division;
pub use expectations::{Expectation, Subject, percent};
pub use files::{is_sql, read_local};
pub use formats::{Format, FormatKind};
pub use key_pattern::KeyPattern;
pub use library::{BuiltIn, Described, Header, Parameter, built_in, hashed_text, library};
pub use location::{Location, ensure_path};
pub use lookup::{ColumnType, LookupTable, ParameterValue};
pub use notify::{Notify, SlackApp, TopicArn, WebhookUrl};
pub use resolve::{JobDraft, parse};
pub use sources::{JobSource, SourceAccess};
pub use spec::{NotifyWhen, Verify, Via};
pub use text_file::TextFile;
pub use worker_address::WorkerAddress;

/// A checked job.
#[derive(Debug, Clone)]
pub struct Job {
    /// The job's name, the first segment of every key.
    pub name: Name,
    /// The job file.
    pub file: TextFile,
    /// The zone of the windows and of local time.
    pub timezone: Tz,
    /// Where the logs come from: one or more.
    pub sources: Vec<JobSource>,
    /// Which windows a run processes.
    pub window: WindowRule,
    /// Where the answers go.
    pub output: Location,
    /// The language of a chart's own texts.
    pub language: Language,
    /// The lookup tables that the queries can read.
    pub tables: Vec<LookupTable>,
    /// The queries, in order. Each may read the answers of the queries before it.
    pub queries: Vec<Query>,
    /// The archive of events.
    pub archive: Option<Archive>,
    /// The formats of messages, in the order of their names.
    pub formats: Vec<Format>,
    /// What is expected of the answers.
    pub expectations: Vec<Expectation>,
    /// Whom a run notifies.
    pub notify: Option<Notify>,
    /// The namespace of a run's metrics, if it prints any.
    pub metrics: Option<String>,
    /// Region, profile and roles, for logs or locations on AWS.
    pub aws: AwsSettings,
    /// Whether queries see the messages without personal data and secrets.
    pub mask: bool,
    /// Memory, lease and time of a run.
    pub limits: Limits,
    /// The workers that share the reading; none where this process reads alone.
    pub workers: Vec<WorkerAddress>,
}

/// Where the logs come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// CloudWatch Logs, exported to a staging location first.
    CloudWatch(CloudWatch),
    /// Objects that were exported without logtally, read as they are.
    Exported {
        /// The folder or prefix that holds them.
        path: Location,
        /// The value of the column `log_group`; NULL where unset.
        log_group: Option<String>,
    },
    /// Objects that the events of a subscription were delivered to, read as they are.
    Subscription(Subscription),
    /// Objects that vended logs were delivered to, read as they are.
    Delivered(DeliveredLogs),
    /// A folder of events, exported in CloudWatch's own layout first.
    Directory {
        /// The folder. It has a folder for each log group, with an `.ndjson` file for each stream.
        path: PathBuf,
        /// Where the exported objects land.
        staging: Location,
        /// How much to export beyond both ends of the window.
        pad: Duration,
    },
}

/// What the events of a subscription were delivered to.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription {
    /// The folder or bucket, up to the prefix of Firehose.
    pub path: Location,
    /// The prefix of the keys, relative to it, with the zone of the times in keys.
    pub prefix: KeyPattern,
    /// What the objects hold.
    pub content: SubscriptionContent,
    /// How long before the window its events may have arrived: events of the future.
    pub pad: Duration,
    /// How long behind the end of the window its events may have arrived.
    pub pad_after: Duration,
}

/// What the objects of a subscription hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubscriptionContent {
    /// Its records.
    Records,
    /// The messages alone, one on each line: what Firehose's message extraction leaves.
    Messages {
        /// The value of the column `log_group`; NULL where unset.
        log_group: Option<String>,
    },
}

/// The columns of `logs`, beside those that it always has, that say where an event comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OriginColumns {
    /// `account`, the account of the log group.
    pub account: bool,
    /// `region`, the Region of the log group.
    pub region: bool,
}

impl OriginColumns {
    /// The names of all such columns.
    pub const NAMES: [&str; 2] = ["account", "region"];

    /// Those of a job that reads several accounts or Regions.
    pub const ALL: Self = Self {
        account: true,
        region: true,
    };

    /// The columns of both.
    pub fn or(self, other: Self) -> Self {
        Self {
            account: self.account || other.account,
            region: self.region || other.region,
        }
    }

    /// The names of the columns, in their order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let there = [self.account, self.region];
        let names = Self::NAMES.into_iter().zip(there);
        names.filter_map(|(name, is_there)| is_there.then_some(name))
    }
}

/// How to export from CloudWatch Logs.
#[derive(Debug, Clone)]
pub struct CloudWatch {
    /// The log groups: names and globs.
    pub log_groups: Vec<GroupPattern>,
    /// The prefix of the log streams to export; all where unset.
    pub log_stream_prefix: Option<String>,
    /// Where the exported objects land; always on S3.
    pub staging: Location,
    /// How the events are exported.
    pub via: Via,
    /// How long a run waits without progress, all its exports together.
    pub give_up_after: Duration,
    /// How much to export before the start of the window.
    pub pad: Duration,
    /// How much to export behind the end of the window.
    pub pad_after: Duration,
    /// Which independent count the events are compared with; where unset, the metric where it can be read.
    pub verify: Option<Verify>,
}

impl CloudWatch {
    /// Whether some log groups are named by ARN: those of accounts that are linked to this one.
    pub fn has_linked_accounts(&self) -> bool {
        self.log_groups.iter().any(GroupPattern::is_linked)
    }

    /// The independent count, whether the job names it or not.
    pub fn verify_method(&self) -> Verify {
        self.verify.unwrap_or(Verify::Metrics)
    }
}

/// How AWS is used. A Region or profile that the job does not set comes from the environment and AWS's configuration files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AwsSettings {
    /// The Region of the answers' account, which all sources have in common.
    pub region: Option<String>,
    /// The profile of the shared configuration files for the answers, which all sources have in common.
    pub profile: Option<String>,
    /// How the logs are reached, each way once; where empty, as the answers.
    pub sources: Vec<SourceAccess>,
    /// How S3 encrypts what is written to the output's bucket; as the bucket is set up where unset.
    pub encryption: Option<BucketEncryption>,
}

impl AwsSettings {
    /// The same where requests for all logs are paid by the account that sends them.
    pub fn paying(mut self, pays: bool) -> Self {
        if self.sources.is_empty() {
            self.sources.push(SourceAccess {
                region: self.region.clone(),
                profile: self.profile.clone(),
                ..SourceAccess::default()
            });
        }
        for source in &mut self.sources {
            source.requester_pays |= pays;
        }
        self
    }
}

/// How S3 encrypts what is written to a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketEncryption {
    /// The bucket. Exports that are staged in it are encrypted too.
    pub bucket: String,
    /// How.
    pub with: Encryption,
}

/// How S3 encrypts an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encryption {
    /// With S3's own keys.
    S3,
    /// With a key of KMS: of this id, ARN or alias, or AWS's own for S3.
    Kms {
        /// The key.
        key: Option<String>,
    },
}

/// Which windows a run processes.
#[derive(Debug, Clone)]
pub struct WindowRule {
    /// The calendar unit.
    pub size: Size,
    /// The window of a run without `--window`.
    pub default: DefaultWindow,
    /// How long after its end a window is settled.
    pub settled_after: Duration,
    /// How many earlier windows a run of the default window does too if they are not done: of those that have settled, and
    /// of those that have not.
    pub lookback: u32,
}

/// The window of a run without `--window`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DefaultWindow {
    /// The last window that ended.
    LastEnded,
    /// The window with this id.
    Id(String),
}

/// A query, with the name of its answer and its charts.
#[derive(Debug, Clone)]
pub struct Query {
    /// The answer's name.
    pub name: Name,
    /// The text of the SQL.
    pub sql: String,
    /// The file of the SQL, or its built-in name, for error messages.
    pub sql_origin: String,
    /// The values of `$name` in the SQL, by name.
    pub params: BTreeMap<String, ParameterValue>,
    /// How the answer is divided into files.
    pub division: Division,
    /// The charts of the answer.
    pub charts: Vec<Chart>,
}

/// A chart of an answer: its columns and its look.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// The chart's name.
    pub name: Name,
    /// How the values are drawn.
    pub kind: ChartKind,
    /// The column along the x axis.
    pub x: String,
    /// The columns of the y axis: one, or several for lines and bands.
    pub y: Vec<String>,
    /// The column whose values name the lines, the parts of a bar, or the rows of a heatmap.
    pub series: Option<String>,
    /// The column that counts the errors among the values.
    pub errors: ErrorsColumn,
    /// The earlier window to compare with, drawn as a thin line.
    pub compare: Option<Compare>,
    /// The title, with the placeholders `{job}`, `{query}`, `{chart}`, `{date}`, `{window}` and `{zone}`. A default where
    /// unset.
    pub title: Option<String>,
    /// The title of the y axis; the column's name where unset.
    pub y_label: Option<String>,
    /// How the values are spaced on the y axis.
    pub y_scale: ValueScale,
    /// The unit of the values, such as `ms`. Whole numbers without a unit are counts.
    pub unit: Option<String>,
    /// Width and height, in pixels of a PNG at scale 1.
    pub size: (u32, u32),
    /// Pixels of a PNG for each pixel of `size`.
    pub scale: f64,
    /// The colours.
    pub theme: Theme,
    /// The language of the chart's own texts.
    pub language: Language,
    /// The file formats to write.
    pub formats: Vec<ImageFormat>,
}

impl Chart {
    /// A chart of two columns with the default look.
    pub fn new(name: Name, kind: ChartKind, x: &str, y: &str) -> Self {
        Self {
            name,
            kind,
            x: x.to_owned(),
            y: vec![y.to_owned()],
            series: None,
            errors: ErrorsColumn::IfCounted,
            compare: None,
            title: None,
            y_label: None,
            y_scale: ValueScale::Linear,
            unit: None,
            size: (1600, 900),
            scale: 1.0,
            theme: Theme::Light,
            language: Language::English,
            formats: vec![ImageFormat::Png],
        }
    }
}

/// The column that counts the errors among a chart's values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorsColumn {
    /// The column `errors`, if the answer has one beside counts.
    IfCounted,
    /// The column of this name.
    Named(String),
    /// No column.
    Not,
}

/// How a chart shows its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChartKind {
    /// A bar for each row.
    Bar,
    /// A line through the rows, or a line for each series.
    Line,
    /// A bar for each value of x, with a part for each series.
    StackedBar,
    /// A cell for each hour of each day; a darker cell is a larger value.
    Heatmap,
    /// Percentiles as nested bands.
    Band,
}

/// How values are spaced on an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ValueScale {
    /// Evenly.
    #[default]
    Linear,
    /// By their orders of magnitude: from 1 to 10 is as far as from 10 to 100.
    Log,
}

/// How far before its own window the window is that a chart is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compare {
    /// The distance on the calendar.
    pub span: Span,
    /// The distance in windows.
    pub windows: i32,
}

/// The colours of a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Theme {
    /// Dark on white.
    #[default]
    Light,
    /// Light on nearly black.
    Dark,
}

/// The language of a chart's own texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, schemars::JsonSchema)]
pub enum Language {
    /// English.
    #[default]
    #[serde(rename = "en")]
    English,
    /// Korean.
    #[serde(rename = "ko")]
    Korean,
}

/// The file format of a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ImageFormat {
    /// A raster image.
    Png,
    /// A vector image.
    Svg,
}

impl ImageFormat {
    /// The file name's extension, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            ImageFormat::Png => "png",
            ImageFormat::Svg => "svg",
        }
    }

    /// The media type.
    pub fn content_type(self) -> &'static str {
        match self {
            ImageFormat::Png => "image/png",
            ImageFormat::Svg => "image/svg+xml",
        }
    }
}

/// Memory and lease of a run.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The memory for queries in bytes; a part of the memory of the machine or container where unset.
    pub memory: Option<u64>,
    /// How long a lease is valid without renewal.
    pub lease: Duration,
    /// How long the answers of a window, or a query, may take to compute.
    pub timeout: Option<Duration>,
}

impl Source {
    /// Where the exported objects are, or will be.
    pub fn location(&self) -> &Location {
        match self {
            Self::CloudWatch(cloudwatch) => &cloudwatch.staging,
            Self::Exported { path, .. } => path,
            Self::Subscription(subscription) => &subscription.path,
            Self::Delivered(delivered) => &delivered.path,
            Self::Directory { staging, .. } => staging,
        }
    }

    /// Whether its objects are read where other programs put them: this program exports nothing.
    pub fn is_read_in_place(&self) -> bool {
        match self {
            Self::Exported { .. } | Self::Subscription(_) | Self::Delivered(_) => true,
            Self::CloudWatch(_) | Self::Directory { .. } => false,
        }
    }

    /// Which columns of `logs` say where an event comes from.
    pub fn origins(&self) -> OriginColumns {
        let has_records = matches!(self, Self::Subscription(subscription)
            if subscription.content == SubscriptionContent::Records);
        let is_delivered = matches!(self, Self::Delivered(_));
        match self {
            // Accounts that are linked for observability.
            Self::CloudWatch(settings) if settings.has_linked_accounts() => OriginColumns::ALL,
            _ => OriginColumns {
                account: has_records || is_delivered,
                region: false,
            },
        }
    }

    /// How its objects have their events, where they are delivered logs.
    pub fn record_shape(&self) -> Arc<RecordShape> {
        match self {
            Self::Delivered(delivered) => Arc::clone(&delivered.shape),
            _ => Arc::default(),
        }
    }

    /// Where exported objects land; `None` for a source that is exported already.
    pub fn staging(&self) -> Option<&Location> {
        match self {
            Self::CloudWatch(cloudwatch) => Some(&cloudwatch.staging),
            Self::Directory { staging, .. } => Some(staging),
            Self::Exported { .. } | Self::Subscription(_) | Self::Delivered(_) => None,
        }
    }
}

impl Job {
    /// Which columns of `logs` say where an event comes from.
    pub fn origins(&self) -> OriginColumns {
        match &self.sources[..] {
            [only] => only.logs.origins(),
            _ => OriginColumns::ALL,
        }
    }

    /// Whether its logs come from several sources.
    pub fn has_several_sources(&self) -> bool {
        self.sources.len() > 1
    }

    /// Whether this program exports nothing: all objects are read where other programs put them.
    pub fn is_read_in_place(&self) -> bool {
        let mut sources = self.sources.iter();
        sources.all(|source| source.logs.is_read_in_place())
    }

    /// The same job with one of its sources.
    pub fn with_only(&self, source: &JobSource) -> Self {
        Self {
            sources: vec![source.clone()],
            ..self.clone()
        }
    }

    /// The queries whose answers a run writes: the job's own, and that of its archive behind them.
    pub fn answers(&self) -> impl Iterator<Item = &Query> + Clone {
        let archive = self.archive.as_ref().map(|archive| &archive.query);
        self.queries.iter().chain(archive)
    }
}
