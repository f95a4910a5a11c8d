//! What decides the answers of a job, as hashes: another hash means that the answers are computed again.
//!
//! A key that a job does not set, or sets to its default, is no part of a hash, so that a new optional key changes no
//! hash of a job without it.

use sha2::{Digest, Sha256};

use crate::job::{
    Archive, Chart, ChartKind, CloudWatch, DeliveredLogs, Division, ErrorsColumn, Expectation, Job,
    Language, Location, LookupTable, Query, RecordShape, Source, Subject, Subscription,
    SubscriptionContent, Theme, ValueScale, hashed_text,
};

/// The version of [`answers_fingerprint`]. A change of it has every done window computed again.
const VERSION: &str = "3";

/// A hash of texts, each with its length, so that no two lists of texts are hashed alike.
#[derive(Default)]
struct Fingerprint(Sha256);

impl Fingerprint {
    fn add(&mut self, text: &str) {
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text);
    }

    fn field(&mut self, name: &str, value: &str) {
        self.add(name);
        self.add(value);
    }

    fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

/// A hash of what in the job decides which events there are.
///
/// An export of the same hash with fewer events than the last one never replaces an answer, and charts are compared
/// only with answers of the same hash. So it must not change from version to version: a new key is a
/// [`Fingerprint::field`], added only where the key is set.
pub(super) fn source_fingerprint(job: &Job) -> String {
    let mut hash = Fingerprint::default();
    hash.add(job.timezone.name());
    hash.add(&job.window.size.to_string());
    for source in &job.sources {
        // Where one of several ends and the next begins.
        if let Some(number) = source.number {
            hash.field("source", &number.to_string());
        }
        add_source(&mut hash, &source.logs);
    }
    hash.finish()
}

/// What in a source decides which events there are. Whose they are is in the receipt.
fn add_source(hash: &mut Fingerprint, source: &Source) {
    match source {
        Source::CloudWatch(CloudWatch {
            log_groups,
            log_stream_prefix,
            staging: _,
            via: _,
            give_up_after: _,
            pad: _,
            pad_after: _,
            verify: _,
        }) => {
            for group in log_groups {
                hash.add(group.as_str());
            }
            hash.add(log_stream_prefix.as_deref().unwrap_or_default());
        }
        Source::Exported { path, log_group } => {
            hash.add(&path.to_string());
            hash.add(log_group.as_deref().unwrap_or_default());
        }
        Source::Subscription(Subscription {
            path,
            prefix,
            content,
            pad: _,
            pad_after: _,
        }) => {
            hash.add(&path.to_string());
            hash.add(prefix.as_str());
            hash.add(prefix.zone().name());
            match content {
                SubscriptionContent::Records => hash.add("records"),
                SubscriptionContent::Messages { log_group } => {
                    hash.add("messages");
                    hash.add(log_group.as_deref().unwrap_or_default());
                }
            }
        }
        Source::Delivered(DeliveredLogs {
            path,
            shape,
            pad: _,
            pad_after: _,
        }) => {
            let RecordShape {
                time,
                message,
                fields,
                delimiter,
                log_group,
            } = &**shape;
            hash.add("delivered");
            hash.add(&path.to_string());
            for (name, value) in [
                ("time", time),
                ("message", message),
                ("delimiter", delimiter),
                ("log_group", log_group),
            ] {
                if let Some(value) = value {
                    hash.field(name, value);
                }
            }
            for field in fields {
                hash.field("field", field);
            }
        }
        Source::Directory {
            path,
            staging: _,
            pad: _,
        } => hash.add(&path.to_string_lossy()),
    }
}

/// A hash of everything in the job that decides the answers: its source, and of each query the SQL, how the answer is
/// divided, and the charts.
pub(super) fn answers_fingerprint(job: &Job) -> String {
    let mut hash = Fingerprint::default();
    hash.field("version", VERSION);
    hash.field("source", &source_fingerprint(job));
    if job.mask {
        hash.field("mask", "true");
    }
    for table in &job.tables {
        add_table(&mut hash, table);
    }
    for query in &job.queries {
        add_query(&mut hash, query);
    }
    if let Some(archive) = &job.archive {
        add_archive(&mut hash, archive);
    }
    for format in &job.formats {
        hash.field("format", format.name.as_str());
        hash.field(format.kind.as_str(), &format.pattern);
    }
    for expectation in &job.expectations {
        add_expectation(&mut hash, expectation);
    }
    hash.finish()
}

/// A hash of what decides the archive. It is in the receipt of a window that has no answers yet, so that a run makes them.
pub(super) fn archive_fingerprint(job: &Job) -> String {
    let mut hash = Fingerprint::default();
    hash.field("archive of", &source_fingerprint(job));
    hash.field("mask", &job.mask.to_string());
    hash.field("formats", &formats_fingerprint(job).unwrap_or_default());
    if let Some(archive) = &job.archive {
        add_archive(&mut hash, archive);
    }
    hash.finish()
}

/// A hash of the formats that expressions can name; `None` where there are none.
pub(super) fn formats_fingerprint(job: &Job) -> Option<String> {
    let mut hash = Fingerprint::default();
    for format in &job.formats {
        hash.field(format.name.as_str(), format.kind.as_str());
        hash.add(&format.pattern);
    }
    (!job.formats.is_empty()).then(|| hash.finish())
}

fn add_query(hash: &mut Fingerprint, query: &Query) {
    let Query {
        name,
        sql,
        sql_origin: _,
        params,
        division,
        charts,
    } = query;
    hash.field("query", name.as_str());
    hash.field("sql", &hashed_text(sql));
    for (name, value) in params {
        hash.field("param", name);
        hash.field(if value.is_text { "text" } else { "value" }, &value.text);
    }
    match division {
        Division::Whole => {}
        Division::ByValue(columns) => {
            for column in columns {
                hash.field("partition_by", column.as_str());
            }
        }
        Division::BySize(bytes) => hash.field("file_size", &bytes.to_string()),
        Division::Numbered { file_size, by } => {
            hash.field("numbered", &file_size.to_string());
            for column in by {
                hash.field("partition_by", column.as_str());
            }
        }
    }
    for chart in charts {
        add_chart(hash, chart);
    }
}

/// Its columns are in its SQL.
fn add_archive(hash: &mut Fingerprint, archive: &Archive) {
    let Archive {
        columns: _,
        message: _,
        bloom,
        query,
    } = archive;
    add_query(hash, query);
    for column in bloom {
        hash.field("bloom", column.as_str());
    }
}

/// What is in the table's files is no part of it: the receipt has that.
fn add_table(hash: &mut Fingerprint, table: &LookupTable) {
    let LookupTable {
        name,
        path,
        columns,
    } = table;
    hash.field("table", name.as_str());
    match path {
        Location::Local(path) => hash.field("path", &path.to_string_lossy()),
        Location::S3 { .. } => hash.field("path", &path.to_string()),
    }
    for (column, of_type) in columns {
        hash.field("column", column);
        hash.field("type", of_type.as_str());
    }
}

/// What is expected of an answer is in its charts.
fn add_expectation(hash: &mut Fingerprint, expectation: &Expectation) {
    let Expectation {
        query,
        subject,
        min,
        max,
    } = expectation;
    hash.field("expect", query.as_str());
    let (subject, previous) = match subject {
        Subject::Rows => ("rows", None),
        Subject::Each { .. } => ("each", None),
        Subject::Total { .. } => ("total", None),
        Subject::Share { previous, .. } => ("share", Some(previous.span.to_string())),
        Subject::MissingHours { .. } => ("missing_hours", None),
    };
    hash.field("of", subject);
    let bound = |bound: &Option<f64>| bound.map(|bound| bound.to_string());
    let keys = [
        ("column", expectation.subject.column().map(str::to_owned)),
        ("previous", previous),
        ("min", bound(min)),
        ("max", bound(max)),
    ];
    for (key, value) in keys {
        if let Some(value) = value {
            hash.field(key, &value);
        }
    }
}

fn add_chart(hash: &mut Fingerprint, chart: &Chart) {
    hash.field("chart", chart.name.as_str());
    hash.field("kind", kind(chart.kind));
    hash.field("x", &chart.x);
    for column in &chart.y {
        hash.field("y", column);
    }
    let default = Chart::new(chart.name.clone(), chart.kind, &chart.x, "");
    for (key, default) in optional_keys(chart)
        .into_iter()
        .zip(optional_keys(&default))
    {
        if key != default {
            let (name, value) = key;
            hash.field(name, &value.unwrap_or_default());
        }
    }
}

/// The optional keys of a chart and their values as texts, in a settled order: new ones come last.
fn optional_keys(chart: &Chart) -> Vec<(&'static str, Option<String>)> {
    let Chart {
        name: _,
        kind: _,
        x: _,
        y: _,
        series,
        errors,
        compare,
        title,
        y_label,
        y_scale,
        unit,
        size: (width, height),
        scale,
        theme,
        language,
        formats,
    } = chart;
    let (errors_column, has_errors) = match errors {
        ErrorsColumn::IfCounted => (None, true),
        ErrorsColumn::Named(column) => (Some(column.clone()), true),
        ErrorsColumn::Not => (None, false),
    };
    let formats: Vec<&str> = formats.iter().map(|format| format.extension()).collect();
    vec![
        ("series", series.clone()),
        ("errors", errors_column),
        ("has_errors", Some(has_errors.to_string())),
        ("compare", compare.map(|compare| compare.span.to_string())),
        ("title", title.clone()),
        ("y_label", y_label.clone()),
        ("unit", unit.clone()),
        ("size", Some(format!("{width}x{height}"))),
        ("scale", Some(scale.to_string())),
        ("theme", Some(theme_name(*theme).to_owned())),
        ("language", Some(language_code(*language).to_owned())),
        ("formats", Some(formats.join(","))),
        ("y_scale", Some(scale_name(*y_scale).to_owned())),
    ]
}

fn kind(kind: ChartKind) -> &'static str {
    match kind {
        ChartKind::Bar => "bar",
        ChartKind::Line => "line",
        ChartKind::StackedBar => "stacked-bar",
        ChartKind::Heatmap => "heatmap",
        ChartKind::Band => "band",
    }
}

fn scale_name(scale: ValueScale) -> &'static str {
    match scale {
        ValueScale::Linear => "linear",
        ValueScale::Log => "log",
    }
}

fn theme_name(theme: Theme) -> &'static str {
    match theme {
        Theme::Light => "light",
        Theme::Dark => "dark",
    }
}

fn language_code(language: Language) -> &'static str {
    match language {
        Language::English => "en",
        Language::Korean => "ko",
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job;
    use std::collections::HashMap;
    use std::path::Path;

    /// Every required key, and no other.
    const PLAIN: &str = r#"
name = "night"

[source]
kind = "cloudwatch"
log_groups = ["/svc/a"]
staging = "s3://acme-logs/exports"

[output]
location = "s3://acme-answers"

[[query]]
use = "hourly_count"
[[query.chart]]
kind = "bar"
x = "hour_local"
y = "events"
"#;

    fn job(text: &str) -> Job {
        job::parse(Path::new("/jobs/night.toml"), text).unwrap_or_else(|error| panic!("{error}"))
    }

    fn fingerprint(text: &str) -> String {
        answers_fingerprint(&job(text))
    }

    /// A job with another text in place of one, or behind it.
    fn edited(from: &str, to: &str) -> String {
        assert!(PLAIN.contains(from), "{from}");
        PLAIN.replace(from, to)
    }

    fn with_chart_keys(keys: &str) -> String {
        format!("{PLAIN}{keys}\n")
    }

    fn with_table(keys: &str) -> String {
        format!("{PLAIN}[[table]]\n{keys}\n")
    }

    fn with_expectation(keys: &str) -> String {
        format!("{PLAIN}[[expect]]\nquery = \"hourly_count\"\n{keys}\n")
    }

    /// Receipts hold these. If this fails, a job that has not changed has another hash: every window that is done would be
    /// computed again, and an export that retention has cut could replace an answer.
    #[test]
    fn the_hashes_of_a_job_stay_what_they_are() {
        let source = "a20211dc7f5d0d3dc2f6139cbbc5affb534e98daff71a67af6c2eb2caee1adcd";
        assert_eq!(source_fingerprint(&job(PLAIN)), source);
        assert_eq!(
            fingerprint(PLAIN),
            "5a30a4b1a414749b1183aaa527e82e83709bfed005045854091417dc5a5c1fc2"
        );
        let full = with_chart_keys(
            "errors = \"failures\"\ncompare = \"7 days\"\ntitle = \"t\"\ny_label = \"l\"\nunit = \"ms\"\nsize = [800, 600]\nscale = 2.0\ntheme = \"dark\"\nformats = [\"png\", \"svg\"]",
        );
        assert_eq!(
            fingerprint(&full),
            "bdfb40baa01d54f49a560ee86abe67cb1225f875a55a133a3100788dbf6211c8"
        );
    }

    #[test]
    fn a_key_with_its_default_changes_no_hash() {
        for text in [
            edited(
                "name = \"night\"\n",
                "name = \"night\"\ntimezone = \"UTC\"\nlanguage = \"en\"\n",
            ),
            with_chart_keys("name = \"hourly_count\""),
            with_chart_keys("size = [1600, 900]"),
            with_chart_keys("scale = 1.0"),
            with_chart_keys("theme = \"light\""),
            with_chart_keys("formats = [\"png\"]"),
            edited("[output]", "[window]\nsize = \"day\"\n[output]"),
            edited("staging =", "mask = false\nstaging ="),
        ] {
            assert_eq!(fingerprint(&text), fingerprint(PLAIN), "{text}");
        }
    }

    #[test]
    fn a_key_that_decides_no_answer_changes_no_hash() {
        for text in [
            edited(
                "staging =",
                "via = \"auto\"\nverify = \"metrics\"\npad = \"2h\"\nkeep = \"7d\"\nregion = \"eu-west-1\"\nstaging =",
            ),
            edited("s3://acme-logs/exports", "s3://acme-logs/elsewhere"),
            edited("s3://acme-answers", "s3://acme-answers/elsewhere"),
            edited(
                "[output]",
                "[window]\ndefault = \"2026-11-20\"\nsettled_after = \"1h\"\nlookback = 9\n[output]",
            ),
            edited(
                "[output]",
                "[notify]\nsns = \"arn:aws:sns:eu-west-1:123456789012:n\"\non = \"always\"\n[metrics]\nnamespace = \"n\"\n[output]",
            ),
            edited(
                "[output]",
                "[run]\nmemory = \"1GiB\"\nlease = \"1m\"\ngive_up_after = \"1h\"\ntimeout = \"10m\"\nworkers = [\"10.0.0.7:50051\"]\n[output]",
            ),
        ] {
            assert_eq!(fingerprint(&text), fingerprint(PLAIN), "{text}");
        }
    }

    #[test]
    fn every_key_that_decides_the_answers_changes_the_hash() {
        let texts = [
            PLAIN.to_owned(),
            edited(
                "name = \"night\"\n",
                "name = \"night\"\ntimezone = \"Asia/Seoul\"\n",
            ),
            edited(
                "name = \"night\"\n",
                "name = \"night\"\nlanguage = \"ko\"\n",
            ),
            edited("[\"/svc/a\"]", "[\"/svc/b\"]"),
            edited("[\"/svc/a\"]", "[\"/svc/a\", \"/svc/b\"]"),
            edited("staging =", "log_stream_prefix = \"web/\"\nstaging ="),
            edited("[output]", "[window]\nsize = \"hour\"\n[output]"),
            edited("staging =", "mask = true\nstaging ="),
            edited(
                "use = \"hourly_count\"",
                "use = \"hourly_count\"\nname = \"other\"",
            ),
            edited(
                "use = \"hourly_count\"",
                "use = \"hourly_errors\"\nname = \"hourly_count\"",
            ),
            edited(
                "use = \"hourly_count\"",
                "use = \"hourly_count\"\npartition_by = [\"utc_offset\"]",
            ),
            edited(
                "use = \"hourly_count\"",
                "use = \"hourly_count\"\nfile_size = \"256MiB\"",
            ),
            format!("{PLAIN}[[query]]\nuse = \"hour_of_day\"\n"),
            format!("{PLAIN}[archive]\n"),
            format!("{PLAIN}[archive]\nmessage = false\n"),
            format!("{PLAIN}[archive]\nfile_size = \"1MiB\"\n"),
            format!("{PLAIN}[archive]\nbloom = [\"log_stream\"]\n"),
            format!("{PLAIN}[archive]\npartition_by = [\"log_group\"]\n"),
            format!("{PLAIN}[archive.columns]\nlevel = \"level(message)\"\n"),
            format!("{PLAIN}[archive.columns]\nlevel = \"log_type(message)\"\n"),
            edited("kind = \"bar\"", "kind = \"line\""),
            edited("x = \"hour_local\"", "x = \"hour_utc\""),
            edited("y = \"events\"", "y = \"hour_of_day\""),
            edited("use = ", "expect = \"no rows\"\nuse = "),
            edited("use = ", "expect = \"rows\"\nuse = "),
            with_expectation("column = \"events\"\nmin = 1"),
            with_expectation("column = \"events\"\nmin = 2"),
            with_expectation("column = \"events\"\nmax = 2"),
            with_expectation("column = \"errors\"\nmax = 2"),
            with_expectation("column = \"events\"\nof = \"total\"\nmax = 2"),
            with_expectation("column = \"events\"\nprevious = \"7 days\"\nmax = \"200%\""),
            with_expectation("column = \"events\"\nprevious = \"1 day\"\nmax = \"200%\""),
            with_expectation("missing_hours = 2"),
            with_table("name = \"a\"\npath = \"a.csv\""),
            with_table("name = \"b\"\npath = \"a.csv\""),
            with_table("name = \"a\"\npath = \"b.csv\""),
            with_table("name = \"a\"\npath = \"a.csv\"\n[table.columns]\nx = \"text\""),
            with_table("name = \"a\"\npath = \"a.csv\"\n[table.columns]\nx = \"date\""),
            edited(
                "use = \"hourly_count\"",
                "use = \"hourly_count\"\nparams = { a = 1 }",
            ),
            edited(
                "use = \"hourly_count\"",
                "use = \"hourly_count\"\nparams = { a = 2 }",
            ),
            edited(
                "use = \"hourly_count\"",
                "use = \"hourly_count\"\nparams = { a = \"1\" }",
            ),
            edited(
                "use = \"hourly_count\"",
                "use = \"hourly_count\"\nparams = { b = 1 }",
            ),
            with_chart_keys("name = \"other\""),
            with_chart_keys("errors = \"events\""),
            with_chart_keys("errors = false"),
            with_chart_keys("compare = \"7 days\""),
            with_chart_keys("compare = \"14 days\""),
            with_chart_keys("title = \"Events\""),
            with_chart_keys("y_label = \"Events\""),
            with_chart_keys("unit = \"Events\""),
            with_chart_keys("size = [1600, 901]"),
            with_chart_keys("scale = 2.0"),
            with_chart_keys("theme = \"dark\""),
            with_chart_keys("formats = [\"svg\"]"),
            with_chart_keys("formats = [\"png\", \"svg\"]"),
            edited(
                "kind = \"bar\"",
                "kind = \"stacked-bar\"\nseries = \"level\"",
            ),
            edited(
                "kind = \"bar\"",
                "kind = \"stacked-bar\"\nseries = \"status\"",
            ),
            edited("kind = \"bar\"", "kind = \"heatmap\""),
            edited(
                "[[query.chart]]\nkind = \"bar\"\nx = \"hour_local\"\ny = \"events\"\n",
                "",
            ),
        ];
        let mut seen: HashMap<String, &str> = HashMap::new();
        for text in &texts {
            if let Some(other) = seen.insert(fingerprint(text), text) {
                panic!("two jobs have one hash:\n{other}\n{text}");
            }
        }
    }

    #[test]
    fn other_sources_are_told_apart_too() {
        let source = "kind = \"cloudwatch\"\nlog_groups = [\"/svc/a\"]\nstaging = \"s3://acme-logs/exports\"";
        let texts = [
            PLAIN.to_owned(),
            edited(
                source,
                "kind = \"exported\"\npath = \"s3://acme-logs/exports\"",
            ),
            edited(
                source,
                "kind = \"exported\"\npath = \"s3://acme-logs/other\"",
            ),
            edited(
                source,
                "kind = \"exported\"\npath = \"s3://acme-logs/exports\"\nlog_group = \"/svc/a\"",
            ),
            edited(source, "kind = \"directory\"\npath = \"/events\""),
            edited(source, "kind = \"directory\"\npath = \"/more\""),
        ];
        let hashes: std::collections::HashSet<String> = texts
            .iter()
            .map(|text| source_fingerprint(&job(text)))
            .collect();
        assert_eq!(hashes.len(), texts.len());
    }
}
