//! What to do: the job file as written ([`spec`]) and the job it resolves to, which has no invalid state.

pub mod spec;

mod charts;
mod checked;
mod division;
mod location;
mod resolve;

use std::path::PathBuf;
use std::time::Duration;

use chrono_tz::Tz;

use crate::window::{Size, Span};

pub use checked::{ByteSize, GroupPattern, Name, nearest, parse_zone};
pub use division::Division;
pub use location::Location;
pub use resolve::{built_in, load, parse};
pub use spec::{Verify, Via};

/// A job, ready to run.
#[derive(Debug, Clone)]
pub struct Job {
    /// The job's name, the first segment of every key.
    pub name: Name,
    /// The job file.
    pub file: PathBuf,
    /// The zone of the windows and of local times.
    pub timezone: Tz,
    /// Where the logs come from.
    pub source: Source,
    /// Which time a run takes.
    pub window: WindowRule,
    /// Where the answers go.
    pub output: Location,
    /// The questions, in order; each may read the answers of those before it.
    pub queries: Vec<Query>,
    /// How AWS is to be found, where any location is there.
    pub aws: AwsSettings,
    /// How long exported objects of settled windows are kept; for ever where unset.
    pub keep: Option<Duration>,
    /// What a run may use.
    pub limits: Limits,
}

/// Where the logs come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// CloudWatch Logs, exported to a staging location first.
    CloudWatch(CloudWatch),
    /// Objects that somebody else exported, read as they are.
    Exported {
        /// The folder or prefix that holds them.
        path: Location,
        /// What the column `log_group` says; NULL where unset.
        log_group: Option<String>,
    },
    /// A folder of events, exported in CloudWatch's own layout first.
    Directory {
        /// The folder: one for each log group, an `.ndjson` file for each stream.
        path: PathBuf,
        /// Where the exported objects land.
        staging: Location,
        /// How much to export beyond both edges of the window.
        pad: Duration,
    },
}

/// How to export from CloudWatch Logs.
#[derive(Debug, Clone)]
pub struct CloudWatch {
    /// The log groups: names and globs.
    pub log_groups: Vec<GroupPattern>,
    /// Only streams whose name begins so.
    pub log_stream_prefix: Option<String>,
    /// Where the exported objects land; always on S3.
    pub staging: Location,
    /// How the events leave CloudWatch.
    pub via: Via,
    /// How long to wait for one export: the slot and the task together.
    pub give_up_after: Duration,
    /// How much to ask for beyond both edges of the window.
    pub pad: Duration,
    /// Which independent count the events are held against.
    pub verify: Verify,
}

/// Region, profile and role, where the job names them; else they are found as every AWS tool finds them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AwsSettings {
    /// The Region of the logs and of the staging bucket.
    pub region: Option<String>,
    /// The profile of the shared configuration files.
    pub profile: Option<String>,
    /// A role to assume for the logs and their staging bucket.
    pub role_arn: Option<String>,
}

/// Which time a run takes.
#[derive(Debug, Clone)]
pub struct WindowRule {
    /// The calendar unit.
    pub size: Size,
    /// The window without `--window`: an id, or the last one that ended.
    pub default: DefaultWindow,
    /// A window that ended longer ago than this is settled.
    pub settled_after: Duration,
    /// A run of the default window also redoes up to so many earlier ones that were provisional and have settled.
    pub lookback: u32,
}

/// The window that a run takes when it is told none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DefaultWindow {
    /// The last window that ended.
    LastEnded,
    /// The window with this id.
    Id(String),
}

/// One question, its answer's name and its charts.
#[derive(Debug, Clone)]
pub struct Query {
    /// The answer's name.
    pub name: Name,
    /// The text of the SQL.
    pub sql: String,
    /// Where the text is from, for error messages.
    pub sql_origin: String,
    /// How the answer is divided into files.
    pub division: Division,
    /// The pictures of the answer.
    pub charts: Vec<Chart>,
}

/// A picture of an answer: which columns, and how it looks.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// The chart's name.
    pub name: Name,
    /// What is drawn.
    pub kind: ChartKind,
    /// The column along the x axis.
    pub x: String,
    /// The columns of the y axis, at least one; more than one only for lines and bands.
    pub y: Vec<String>,
    /// The column whose values are lines, parts of a bar, or rows of a heatmap.
    pub series: Option<String>,
    /// The column that says how much of the values are errors.
    pub errors: ErrorsColumn,
    /// The earlier window whose values are drawn as a thin line.
    pub compare: Option<Compare>,
    /// The title; `{job}`, `{query}`, `{chart}`, `{date}`, `{window}`, `{zone}` are filled in. A default where unset.
    pub title: Option<String>,
    /// The title of the y axis; the column's name where unset.
    pub y_label: Option<String>,
    /// What the values are measured in, such as `ms`. Those without a unit that are whole numbers are counts.
    pub unit: Option<String>,
    /// Width and height.
    pub size: (u32, u32),
    /// How many pixels of a PNG are one of `size`.
    pub scale: f64,
    /// The colours.
    pub theme: Theme,
    /// The language of what stands around the values.
    pub language: Language,
    /// The file formats to write.
    pub formats: Vec<ImageFormat>,
}

impl Chart {
    /// A chart of two columns that looks as charts do where a job says nothing else.
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
            unit: None,
            size: (1600, 900),
            scale: 1.0,
            theme: Theme::Light,
            language: Language::English,
            formats: vec![ImageFormat::Png],
        }
    }
}

/// Which column says how much of a chart's values are errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorsColumn {
    /// One named `errors`, where the answer has it beside the counts that it is a part of.
    IfCounted,
    /// The one of this name.
    Named(String),
    /// None.
    Not,
}

/// How a chart shows its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChartKind {
    /// A bar for each row.
    Bar,
    /// A line through the rows, or one for each series.
    Line,
    /// A bar for each value of x, out of a part for each series.
    StackedBar,
    /// A cell for each hour of each day, the darker the more.
    Heatmap,
    /// Percentiles as bands around each other.
    Band,
}

/// The window that a chart is held against: so many windows of the job before this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compare {
    /// The distance on the calendar.
    pub span: Span,
    /// The distance in windows.
    pub windows: i32,
}

/// The colours of a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Theme {
    /// Dark on white.
    #[default]
    Light,
    /// Light on nearly black.
    Dark,
}

/// The language of what a chart says by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
pub enum Language {
    /// `en`
    #[default]
    #[serde(rename = "en")]
    English,
    /// `ko`
    #[serde(rename = "ko")]
    Korean,
}

/// The file format of a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageFormat {
    /// Pixels.
    Png,
    /// Paths, of any size.
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

/// What a run may use.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The memory for queries in bytes; most of what the machine or container has where unset.
    pub memory: Option<u64>,
    /// How long a run that shows no life holds its window.
    pub lease: Duration,
}

impl Source {
    /// Where the exported objects are, or will be.
    pub fn location(&self) -> &Location {
        match self {
            Self::CloudWatch(cloudwatch) => &cloudwatch.staging,
            Self::Exported { path, .. } => path,
            Self::Directory { staging, .. } => staging,
        }
    }
}

impl Job {
    /// Where exported objects land; `None` where the job reads somebody else's export.
    pub fn staging(&self) -> Option<&Location> {
        match &self.source {
            Source::CloudWatch(cloudwatch) => Some(&cloudwatch.staging),
            Source::Directory { staging, .. } => Some(staging),
            Source::Exported { .. } => None,
        }
    }
}
