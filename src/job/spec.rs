//! The job file as written: keys and checked values, without defaults.

use serde::{Deserialize, Serialize};

use super::checked::{ByteSize, GroupPattern, Length, Name, Text, Zone};
use super::{ChartKind, ImageFormat, Language, Theme};
use crate::window::Size;

/// A whole job file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// The job's name.
    pub name: Name,
    /// The IANA time zone of windows and local times; UTC where unset.
    pub timezone: Option<Zone>,
    /// The language of a chart's own texts; English where unset.
    pub language: Option<Language>,
    /// `[source]`
    pub source: SourceSpec,
    /// `[window]`
    #[serde(default)]
    pub window: WindowSpec,
    /// `[output]`
    pub output: OutputSpec,
    /// `[[query]]`
    #[serde(default)]
    pub query: Vec<QuerySpec>,
    /// `[run]`
    #[serde(default)]
    pub run: RunSpec,
}

/// The kinds of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// CloudWatch Logs.
    CloudWatch,
    /// Objects that were exported without logtally.
    Exported,
    /// A folder of events.
    Directory,
}

/// `[source]`: the keys of every kind. Which of them go together is checked later, so that serde's errors keep their lines.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSpec {
    /// The kind of source, which decides which other keys are allowed.
    pub kind: SourceKind,
    /// cloudwatch: names and globs, at least one.
    pub log_groups: Option<Vec<GroupPattern>>,
    /// cloudwatch: the prefix of the log streams to export; all where unset.
    pub log_stream_prefix: Option<Text>,
    /// cloudwatch, directory: the location that exports are written to. Required for cloudwatch; for directory
    /// `_staging` below the output where unset.
    pub staging: Option<Text>,
    /// cloudwatch: how events are exported; by export tasks where unset.
    pub via: Option<Via>,
    /// cloudwatch: the deadline of one export, for the slot and the task together; 6 hours where unset.
    pub give_up_after: Option<Length>,
    /// cloudwatch, directory: how much to export beyond both ends of the window; 1 hour where unset.
    pub pad: Option<Length>,
    /// cloudwatch, directory: how long exports of settled windows are kept; forever where unset.
    pub keep: Option<Length>,
    /// cloudwatch: the independent count that the events are compared with; none where unset.
    pub verify: Option<Verify>,
    /// The AWS Region; from the environment or AWS's configuration files where unset.
    pub region: Option<Text>,
    /// The profile of AWS's configuration files; from the environment where unset.
    pub profile: Option<Text>,
    /// The role to assume for the logs and their staging bucket; none where unset.
    pub role_arn: Option<Text>,
    /// exported: the location of the objects; directory: the folder of events.
    pub path: Option<Text>,
    /// exported: the value of the column `log_group`; NULL where unset.
    pub log_group: Option<Text>,
}

/// How events are exported from CloudWatch Logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// An export task.
    ExportTask,
    /// Single events through the Logs API.
    Events,
    /// The Logs API for small or recent windows, export tasks for others.
    Auto,
}

/// The independent count that a run's events are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verify {
    /// None.
    Off,
    /// CloudWatch's own metric of incoming events.
    Metrics,
    /// A Logs Insights query.
    Insights,
}

/// `[window]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowSpec {
    /// The calendar unit; a day where unset.
    #[serde(default)]
    pub size: Size,
    /// The window of `run` without flags: `yesterday`, `last` or an id; `yesterday` where unset.
    pub default: Option<Text>,
    /// How long after its end a window is settled; 12 hours where unset.
    pub settled_after: Option<Length>,
    /// How many settled windows before the default one are computed again if they were provisional; 3 where unset.
    pub lookback: Option<u32>,
}

/// `[output]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputSpec {
    /// The location that answers, charts, receipts and states go to.
    pub location: Text,
}

/// `[[query]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuerySpec {
    /// `use`: the name of a built-in query; either this or `sql`.
    #[serde(rename = "use")]
    pub built_in: Option<Text>,
    /// The answer's name. Required with `sql`; the name of the built-in query where unset.
    pub name: Option<Name>,
    /// A file with one SQL query, relative to the job file; either this or `use`.
    pub sql: Option<Text>,
    /// The text columns whose values divide the answer into files; one file where empty.
    #[serde(default)]
    pub partition_by: Vec<Name>,
    /// The size at which a file of the answer ends and the next begins, such as `256MiB`; one file where unset.
    pub file_size: Option<ByteSize>,
    /// `[[query.chart]]`; the chart of the built-in query where empty.
    #[serde(default)]
    pub chart: Vec<ChartSpec>,
}

/// `[[query.chart]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChartSpec {
    /// The chart's name, a part of its key; the query's name where unset.
    pub name: Option<Name>,
    /// How the values are drawn.
    pub kind: ChartKind,
    /// The column along the x axis.
    pub x: Text,
    /// The columns of the y axis: one, or several for lines and bands.
    pub y: OneOrMore,
    /// The column whose values name the lines, the parts of a bar, or the rows of a heatmap.
    pub series: Option<Text>,
    /// The column that counts the errors among `y`, or `false` for none; the column `errors` where unset, if there is one
    /// beside counts.
    pub errors: Option<TextOrFalse>,
    /// How far before this window the window to compare with is, such as `7 days`.
    pub compare: Option<Text>,
    /// The title, with the placeholders `{job}`, `{query}`, `{chart}`, `{date}`, `{window}` and `{zone}`.
    pub title: Option<Text>,
    /// The title of the y axis; the column's name where unset.
    pub y_label: Option<Text>,
    /// The unit of the values, such as `ms`; whole numbers without a unit are counts.
    pub unit: Option<Text>,
    /// Width and height in pixels at scale 1; `[1600, 900]` where unset.
    pub size: Option<(u32, u32)>,
    /// Pixels of a PNG for each pixel of `size`, 0.5 to 4; 1 where unset.
    pub scale: Option<f64>,
    /// Light or dark; light where unset.
    pub theme: Option<Theme>,
    /// The files to write; PNG where unset.
    pub formats: Option<Vec<ImageFormat>>,
}

/// A text, or a list of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "expected a text or a list of texts")]
pub enum OneOrMore {
    /// `"p95"`
    One(Text),
    /// `["p50", "p95", "p99"]`
    More(Vec<Text>),
}

/// A text, or `false` for none.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "expected a text or false")]
pub enum TextOrFalse {
    /// `"failures"`
    Text(Text),
    /// `false`
    Flag(bool),
}

/// `[run]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSpec {
    /// The memory for queries, such as `2GiB`; 70 % of the memory of the machine or container where unset.
    pub memory: Option<ByteSize>,
    /// How long a lease is valid without renewal, 1 second to 1 hour; 30 seconds where unset.
    pub lease: Option<Length>,
}
