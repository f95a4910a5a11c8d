//! From the job file as written to a [`Job`]: defaults, paths relative to the file, and which keys go together.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono_tz::Tz;

use super::checked::{Name, Text};
use super::location::Location;
use super::parse_error::syntax_error;
use super::spec::{JobSpec, QuerySpec, SourceKind, SourceSpec, Via, WindowSpec};
use super::{
    AwsSettings, Chart, ChartKind, CloudWatch, DefaultWindow, Division, Job, Language, Limits,
    Query, Source, WindowRule, charts,
};
use crate::error::{Error, Result};
use crate::window::{Size, Window, is_last_ended};

/// Folders below the job's prefix that are not answers.
pub(super) const RESERVED_NAMES: [&str; 4] = ["charts", "parts", "runs", "report"];

/// Tables that every session has.
const RESERVED_TABLES: [&str; 2] = ["logs", "hours"];

/// The names that a query can't have.
pub(super) fn names_taken_for_queries() -> Vec<&'static str> {
    [&RESERVED_TABLES[..], &RESERVED_NAMES].concat()
}

/// The built-in queries.
const BUILT_IN: [BuiltIn; 5] = [
    BuiltIn {
        name: "hourly_count",
        sql: include_str!("../../sql/hourly_count.sql"),
        chart: |name, size| charts::of_counts(name, size),
    },
    BuiltIn {
        name: "hour_of_day",
        sql: include_str!("../../sql/hour_of_day.sql"),
        chart: |name, _| Chart::new(name, ChartKind::Bar, "hour_of_day", "events"),
    },
    BuiltIn {
        name: "hourly_errors",
        sql: include_str!("../../sql/hourly_errors.sql"),
        chart: |name, size| charts::of_errors(name, size),
    },
    BuiltIn {
        name: "hourly_levels",
        sql: include_str!("../../sql/hourly_levels.sql"),
        chart: |name, _| Chart {
            series: Some("level".to_owned()),
            ..Chart::new(name, ChartKind::StackedBar, "hour_local", "events")
        },
    },
    BuiltIn {
        name: "hourly_latency",
        sql: include_str!("../../sql/hourly_latency.sql"),
        chart: |name, _| Chart {
            y: ["p50", "p95", "p99"].map(str::to_owned).into(),
            unit: Some("ms".to_owned()),
            ..Chart::new(name, ChartKind::Band, "hour_local", "p50")
        },
    },
];

struct BuiltIn {
    name: &'static str,
    sql: &'static str,
    /// Its default chart, for windows of a size.
    chart: fn(Name, Size) -> Chart,
}

/// The SQL of a built-in query.
pub fn built_in(name: &str) -> Option<&'static str> {
    BUILT_IN
        .iter()
        .find(|query| query.name == name)
        .map(|query| query.sql)
}

/// The names of the built-in queries.
pub(super) fn built_in_names() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|query| query.name)
}

/// Reads a job file.
///
/// # Errors
/// `Usage`, with the file and, where known, the line.
pub fn load(file: &Path) -> Result<Job> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        Error::usage(format!("can't read the job file {}", file.display())).caused_by(error)
    })?;
    parse(file, &text)
}

/// Parses the text of the job file `file`, whose folder is the base of its relative paths.
///
/// # Errors
/// `Usage`, with the file and, where known, the line.
pub fn parse(file: &Path, text: &str) -> Result<Job> {
    let spec: JobSpec = toml::from_str(text).map_err(|error| syntax_error(file, text, &error))?;
    Resolver::new(file)
        .job(spec)
        .map_err(|message| Error::usage(format!("{}: {message}", file.display())))
}

/// The lease where the job has none.
const LEASE: Duration = Duration::from_secs(30);

/// How long a run waits where the job does not say.
const GIVE_UP_AFTER: Duration = Duration::from_secs(6 * 3600);

/// A shorter lease ends while a request is under way; a longer one keeps a rerun waiting.
const LEASES: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(3600);

struct Resolver<'a> {
    file: &'a Path,
    folder: PathBuf,
}

impl<'a> Resolver<'a> {
    fn new(file: &'a Path) -> Self {
        let folder = file.parent().map_or_else(PathBuf::new, Path::to_owned);
        Self { file, folder }
    }

    fn job(&self, spec: JobSpec) -> Result<Job, String> {
        if RESERVED_NAMES.contains(&spec.name.as_str()) {
            return Err(format!(
                "the job can't be named {:?}: that name is taken by a folder of logtally",
                spec.name.as_str()
            ));
        }
        let timezone = spec.timezone.map_or(Tz::UTC, |zone| zone.0);
        let output = self.location("[output] location", &spec.output.location)?;
        let lease = spec.run.lease.map_or(LEASE, |length| length.0);
        if !LEASES.contains(&lease) {
            return Err(format!(
                "[run] lease is {}: expected 1s to 1h",
                humantime::format_duration(lease)
            ));
        }
        let give_up_after = match (spec.run.give_up_after, spec.source.give_up_after) {
            (Some(_), Some(_)) => {
                return Err(
                    "[run] and [source] both have give_up_after: expected it in [run] only".into(),
                );
            }
            (of_run, of_source) => of_run
                .or(of_source)
                .map_or(GIVE_UP_AFTER, |length| length.0),
        };
        let aws = AwsSettings {
            region: spec.source.region.clone().map(|text| text.0),
            profile: spec.source.profile.clone().map(|text| text.0),
            role_arn: spec.source.role_arn.clone().map(|text| text.0),
        };
        let keep = spec.source.keep.map(|length| length.0);
        let source = self.source(spec.source, &output, spec.window.size, give_up_after)?;
        Ok(Job {
            aws,
            keep,
            queries: self.queries(
                spec.query,
                spec.window.size,
                spec.language.unwrap_or_default(),
            )?,
            window: window_rule(spec.window, timezone, &source)?,
            source,
            limits: Limits {
                memory: spec.run.memory.map(|size| size.0),
                lease,
                timeout: spec.run.timeout.map(|length| length.0),
            },
            file: self.file.to_owned(),
            name: spec.name,
            timezone,
            output,
        })
    }

    fn location(&self, key: &str, text: &Text) -> Result<Location, String> {
        Location::parse(&text.0, &self.folder).map_err(|message| format!("{key}: {message}"))
    }

    fn source(
        &self,
        spec: SourceSpec,
        output: &Location,
        size: Size,
        give_up_after: Duration,
    ) -> Result<Source, String> {
        reject_keys_of_other_kinds(&spec)?;
        let path = || {
            let text = spec.path.as_ref().ok_or(match spec.kind {
                SourceKind::Directory => {
                    "[source] path is missing: expected a folder that has a folder of events for each log group"
                }
                _ => "[source] path is missing: expected the location of the exported objects, a folder or s3://bucket/prefix",
            })?;
            self.location("[source] path", text)
        };
        let pad = spec
            .pad
            .map_or(Duration::from_secs(3600), |length| length.0);
        match spec.kind {
            SourceKind::CloudWatch => {
                let log_groups = spec.log_groups.clone().unwrap_or_default();
                if log_groups.is_empty() {
                    return Err(
                        "[source] log_groups is missing: expected at least one log group or glob"
                            .into(),
                    );
                }
                let staging = spec.staging.as_ref().ok_or(
                    "[source] staging is missing: expected s3://bucket/prefix, to which CloudWatch writes exports",
                )?;
                let staging = self.location("[source] staging", staging)?;
                if staging.is_local() {
                    return Err(format!(
                        "[source] staging is {staging}: CloudWatch exports to S3 only, expected s3://bucket/prefix"
                    ));
                }
                Ok(Source::CloudWatch(CloudWatch {
                    log_groups,
                    log_stream_prefix: spec.log_stream_prefix.map(|text| text.0),
                    staging,
                    via: spec.via.unwrap_or(Via::ExportTask),
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
            SourceKind::Directory => {
                let folder = match path()? {
                    Location::Local(folder) => folder,
                    s3 => {
                        return Err(format!(
                            "[source] path is {s3}: expected a folder on this machine"
                        ));
                    }
                };
                let staging = match &spec.staging {
                    Some(text) => self.location("[source] staging", text)?,
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

    fn queries(
        &self,
        specs: Vec<QuerySpec>,
        size: Size,
        language: Language,
    ) -> Result<Vec<Query>, String> {
        if specs.is_empty() {
            return Err(
                "no [[query]]: expected at least one, such as use = \"hourly_count\"".to_owned(),
            );
        }
        let mut names = HashSet::new();
        let mut queries = Vec::with_capacity(specs.len());
        for spec in specs {
            let query = self.query(spec, size, language)?;
            let name = query.name.as_str();
            let taken = match name {
                name if RESERVED_TABLES.contains(&name) => Some("a table of every session"),
                name if RESERVED_NAMES.contains(&name) => Some("a folder of logtally"),
                _ => None,
            };
            if let Some(taken) = taken {
                return Err(format!(
                    "a [[query]] can't be named {name:?}: that name is taken by {taken}"
                ));
            }
            if !names.insert(query.name.clone()) {
                return Err(format!(
                    "two [[query]] are named {name:?}: expected different names"
                ));
            }
            queries.push(query);
        }
        Ok(queries)
    }

    fn query(&self, spec: QuerySpec, size: Size, language: Language) -> Result<Query, String> {
        let (name, sql, sql_origin, default_chart) = match (&spec.built_in, &spec.sql) {
            (Some(built_in), None) => {
                let built_in = find_built_in(&built_in.0)?;
                let name = match &spec.name {
                    Some(name) => name.clone(),
                    None => Name::new(built_in.name)?,
                };
                let origin = format!("the built-in {}", built_in.name);
                (name, built_in.sql.to_owned(), origin, Some(built_in))
            }
            (None, Some(file)) => {
                let name = spec
                    .name
                    .clone()
                    .ok_or_else(|| format!("[[query]] sql = {:?} needs a name", file.0))?;
                let path = self.folder.join(&file.0);
                let sql = std::fs::read_to_string(&path).map_err(|error| {
                    format!(
                        "[[query]] {name}: can't read the SQL file {}: {error}",
                        path.display()
                    )
                })?;
                (name, sql, path.display().to_string(), None)
            }
            (Some(built_in), Some(file)) => {
                return Err(format!(
                    "a [[query]] has both use = {:?} and sql = {:?}: expected one of them",
                    built_in.0, file.0
                ));
            }
            (None, None) => {
                return Err(format!(
                    "a [[query]]{} has neither use nor sql: expected one of them",
                    spec.name
                        .as_ref()
                        .map_or(String::new(), |name| format!(" ({name})"))
                ));
            }
        };
        let division = Division::resolve(spec.partition_by, spec.file_size)
            .map_err(|error| format!("[[query]] {name}: {error}"))?;
        let charts = match (spec.chart.is_empty(), default_chart) {
            (true, Some(built_in)) => {
                let chart = (built_in.chart)(name.clone(), size);
                // The job did not ask for the comparison, and only answers in one file can be compared.
                let compare = chart.compare.filter(|_| division == Division::Whole);
                vec![Chart {
                    language,
                    compare,
                    ..chart
                }]
            }
            _ => charts::resolve(&name, spec.chart, size, language)?,
        };
        let compared = charts.iter().find(|chart| chart.compare.is_some());
        if let (Some(chart), Some(key)) = (compared, division.key()) {
            return Err(format!(
                "[[query]] {name}: the chart {} has compare, which reads earlier answers in one file, and {key} divides them: expected one of the two keys",
                chart.name
            ));
        }
        Ok(Query {
            name,
            sql,
            sql_origin,
            division,
            charts,
        })
    }
}

fn find_built_in(name: &str) -> Result<&'static BuiltIn, String> {
    BUILT_IN
        .iter()
        .find(|query| query.name == name)
        .ok_or_else(|| {
            let known: Vec<&str> = built_in_names().collect();
            format!(
                "[[query]] use = {name:?} is not a built-in query: expected one of {}",
                known.join(", ")
            )
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
        _ => Duration::from_secs(12 * 3600),
    }
}

fn window_rule(spec: WindowSpec, timezone: Tz, source: &Source) -> Result<WindowRule, String> {
    let default = match spec.default.as_ref().map(|text| text.0.as_str()) {
        None => DefaultWindow::LastEnded,
        Some(text) if is_last_ended(text) => DefaultWindow::LastEnded,
        Some(id) => {
            Window::parse(spec.size, timezone, id)
                .map_err(|error| format!("[window] default: {error}, or \"yesterday\""))?;
            DefaultWindow::Id(id.to_owned())
        }
    };
    Ok(WindowRule {
        size: spec.size,
        default,
        settled_after: spec
            .settled_after
            .map_or_else(|| settled_after(source), |length| length.0),
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
fn reject_keys_of_other_kinds(spec: &SourceSpec) -> Result<(), String> {
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
    ];
    for (key, present) in keys {
        let kinds = SourceKind::that_take(key);
        if present && !kinds.contains(&spec.kind) {
            let kinds: Vec<String> = kinds
                .iter()
                .map(|kind| format!("{:?}", kind.as_str()))
                .collect();
            return Err(format!(
                "[source] {key} goes with kind = {}, not with {:?}",
                kinds.join(" or "),
                spec.kind.as_str()
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::spec::Verify;
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
        let Source::CloudWatch(source) = &job.source else {
            panic!("{:?}", job.source)
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
            match job.source {
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
        let Source::CloudWatch(source) = &job.source else {
            panic!("{:?}", job.source)
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
