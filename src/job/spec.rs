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
    pub kind: SourceKind,
    pub log_groups: Option<Vec<GroupPattern>>,
    pub log_stream_prefix: Option<Text>,
    pub staging: Option<Text>,
    pub via: Option<Via>,
    pub give_up_after: Option<Length>,
    pub pad: Option<Length>,
    pub keep: Option<Length>,
    pub verify: Option<Verify>,
    pub region: Option<Text>,
    pub profile: Option<Text>,
    pub role_arn: Option<Text>,
    pub path: Option<Text>,
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
    #[serde(default)]
    pub size: Size,
    pub default: Option<Text>,
    pub settled_after: Option<Length>,
    pub lookback: Option<u32>,
}

/// `[output]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputSpec {
    pub location: Text,
}

/// `[[query]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuerySpec {
    #[serde(rename = "use")]
    pub built_in: Option<Text>,
    pub name: Option<Name>,
    pub sql: Option<Text>,
    #[serde(default)]
    pub partition_by: Vec<Name>,
    pub file_size: Option<ByteSize>,
    #[serde(default)]
    pub chart: Vec<ChartSpec>,
}

/// `[[query.chart]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChartSpec {
    pub name: Option<Name>,
    pub kind: ChartKind,
    pub x: Text,
    pub y: OneOrMore,
    pub series: Option<Text>,
    pub errors: Option<TextOrFalse>,
    pub compare: Option<Text>,
    pub title: Option<Text>,
    pub y_label: Option<Text>,
    pub unit: Option<Text>,
    pub size: Option<(u32, u32)>,
    pub scale: Option<f64>,
    pub theme: Option<Theme>,
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
    pub memory: Option<ByteSize>,
    pub lease: Option<Length>,
}
