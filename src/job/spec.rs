//! The job file as it is written: keys and checked values, nothing resolved.

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
    /// The zone of windows and local times; UTC where unset.
    pub timezone: Option<Zone>,
    /// The language of what stands around a chart; English where unset.
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
    /// Somebody else's export.
    Exported,
    /// A folder of events.
    Directory,
}

/// `[source]`: every key of every kind; which of them go together is resolved later, so that errors keep their lines.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSpec {
    /// Which kind of source the other keys are of.
    pub kind: SourceKind,
    /// cloudwatch: names and globs, at least one.
    pub log_groups: Option<Vec<GroupPattern>>,
    /// cloudwatch: only streams whose name begins so; all where unset.
    pub log_stream_prefix: Option<Text>,
    /// cloudwatch, directory: the location that exports are written to; for directory `_staging` below the output where
    /// unset.
    pub staging: Option<Text>,
    /// cloudwatch: how events leave it; by export tasks where unset.
    pub via: Option<Via>,
    /// cloudwatch: how long to wait for one export, slot and task together; 6 hours where unset.
    pub give_up_after: Option<Length>,
    /// cloudwatch, directory: how much more than the window to export at both edges; 1 hour where unset.
    pub pad: Option<Length>,
    /// cloudwatch, directory: how long exports of settled windows are kept; for ever where unset.
    pub keep: Option<Length>,
    /// cloudwatch: what the count is held against; nothing where unset.
    pub verify: Option<Verify>,
    /// The AWS Region; found as every AWS tool finds it where unset.
    pub region: Option<Text>,
    /// The profile of AWS's configuration files; found likewise.
    pub profile: Option<Text>,
    /// The role to assume for the logs and their staging bucket; none where unset.
    pub role_arn: Option<Text>,
    /// exported: the location of the objects; directory: the folder of events.
    pub path: Option<Text>,
    /// exported: what the column `log_group` says; NULL where unset.
    pub log_group: Option<Text>,
}

/// How events leave CloudWatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// An export task.
    ExportTask,
    /// The Logs API.
    Events,
    /// Whichever fits.
    Auto,
}

/// Which independent count a run is held against.
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
    /// What `run` takes without flags: `yesterday`, `last` or an id; `yesterday` where unset.
    pub default: Option<Text>,
    /// How long after its end a window is settled; 12 hours where unset.
    pub settled_after: Option<Length>,
    /// How many settled windows before the default one are looked at for something to do again; 3 where unset.
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
    /// `use`: the name of a built-in question; this or `sql`.
    #[serde(rename = "use")]
    pub built_in: Option<Text>,
    /// The answer's name; that of the built-in question where unset.
    pub name: Option<Name>,
    /// A file with one SQL query, relative to the job file.
    pub sql: Option<Text>,
    /// The columns of text whose values divide the answer into files; one file where empty.
    #[serde(default)]
    pub partition_by: Vec<Name>,
    /// The size, in bytes, at which a file of the answer ends and the next one begins; one file where unset.
    pub file_size: Option<ByteSize>,
    /// `[[query.chart]]`; that of the built-in question where empty.
    #[serde(default)]
    pub chart: Vec<ChartSpec>,
}

/// `[[query.chart]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChartSpec {
    /// The chart's name, a part of its key; the query's where unset.
    pub name: Option<Name>,
    /// What is drawn.
    pub kind: ChartKind,
    /// The column along the x axis.
    pub x: Text,
    /// The columns of numbers: one, or several for lines and bands.
    pub y: OneOrMore,
    /// The column that names the parts, lines or rows.
    pub series: Option<Text>,
    /// The column that says how much of `y` are errors, or `false`; a column `errors` that fits where unset.
    pub errors: Option<TextOrFalse>,
    /// How long before the window the one to compare with is, such as `7 days`.
    pub compare: Option<Text>,
    /// The title, with placeholders such as `{date}`.
    pub title: Option<Text>,
    /// What the values are; the column's name where unset.
    pub y_label: Option<Text>,
    /// What the values are measured in; counts where unset.
    pub unit: Option<Text>,
    /// Width and height in pixels at a scale of 1; 1600 by 900 where unset.
    pub size: Option<(u32, u32)>,
    /// Pixels of a PNG for each unit of `size`; 1 where unset.
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
    /// For queries, in bytes; 70 % of the machine's or container's where unset.
    pub memory: Option<ByteSize>,
    /// How long a run that shows no life holds its window, 1 second to 1 hour; 30 seconds where unset.
    pub lease: Option<Length>,
}
