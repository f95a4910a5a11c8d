//! The JSON Schema of the job file, as a validator of other people's reads it: it takes what logtally takes, and refuses a
//! wrong key or value.

use std::path::Path;

use logtally::job;
use serde_json::{Value, json};

use crate::support::program::Dir;
use crate::support::python;

/// A job with a key or more of each table; a case below is this with one text replaced by another.
const JOB: &str = r#"name = "night"
timezone = "Asia/Seoul"
language = "ko"
[source]
kind = "cloudwatch"
log_groups = ["/aws/lambda/checkout-*"]
staging = "s3://acme-logs/exports"
pad = "1h"
[window]
size = "day"
default = "yesterday"
lookback = 3
[output]
location = "s3://acme-answers/logtally"
[[query]]
use = "hourly_count"
file_size = "256MiB"
[[query.chart]]
kind = "line"
x = "hour_local"
y = ["p50", "p95"]
size = [1600, 900]
scale = 1
formats = ["png", "svg"]
[[expect]]
query = "hourly_count"
column = "events"
min = 1
[notify]
sns = "arn:aws:sns:eu-west-1:123456789012:nightly"
on = "change"
change = "20%"
[metrics]
namespace = "acme/logtally"
[run]
memory = "2GiB"
lease = "30s"
"#;

/// What the validator says of each text of TOML.
fn validate(texts: &[String]) -> Vec<Vec<String>> {
    let printed = Dir::new().logtally(["schema"]).run();
    let schema = printed.assert_success().stdout_json();
    let documents: Vec<Value> = texts
        .iter()
        .map(|text| toml::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}")))
        .collect();
    let asked = json!({"schema": schema, "documents": documents});
    python::ask(&mut python::tool("validate.py"), &asked)
}

/// The job with texts replaced.
fn edited(edits: &[(&str, &str)]) -> String {
    edits.iter().fold(JOB.to_owned(), |job, (from, to)| {
        assert!(job.contains(from), "{from:?} is not in\n{job}");
        job.replace(from, to)
    })
}

#[test]
fn the_schema_takes_every_job_file_of_this_repository() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["jobs", "docs/gallery"] {
        for entry in std::fs::read_dir(root.join(folder)).expect("a readable folder") {
            let file = entry.expect("a readable folder").path();
            if file
                .extension()
                .is_some_and(|extension| extension == "toml")
            {
                files.push(file);
            }
        }
    }
    assert!(files.len() >= 8, "{files:?}");
    let texts: Vec<String> = files
        .iter()
        .map(|file| std::fs::read_to_string(file).expect("job files are UTF-8"))
        .collect();
    for (file, errors) in files.iter().zip(validate(&texts)) {
        assert_eq!(errors, Vec::<String>::new(), "{}", file.display());
    }
}

#[test]
fn the_job_of_init_names_the_schema_beside_it() {
    let dir = Dir::new();
    let arguments = "init --log-group /ecs/web --staging s3://acme-logs/exports --output out --via auto jobs/web.toml";
    let init = || dir.logtally(arguments.split(' ')).run();
    // A schema of an earlier version.
    dir.write("jobs/logtally.schema.json", "{}");
    init()
        .assert_success()
        .stdout_contains("jobs/logtally.schema.json");
    let job = dir.read_text("jobs/web.toml");
    let named = job
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("#:schema "));
    let schema = dir.read_json(Path::new("jobs").join(named.expect("it names its schema")));
    let printed = dir.logtally(["schema"]).run();
    assert_eq!(schema, printed.assert_success().stdout_json());
    assert_eq!(validate(&[job]), [Vec::<String>::new()]);
}

#[test]
fn the_schema_takes_what_the_program_takes() {
    let cases = [
        edited(&[]),
        edited(&[("Asia/Seoul", "${PATH}")]).replace("${PATH}", "UTC"),
        edited(&[("\"1h\"", "\"1h 30m\"")]),
        edited(&[("\"1h\"", "\"90 minutes\"")]),
        edited(&[("\"1h\"", "\"1.5 hours\"")]),
        edited(&[("\"2GiB\"", "\"512 MiB\"")]),
        edited(&[("\"yesterday\"", "\"2026-11-21\"")]),
        edited(&[
            ("\"day\"", "\"hour\""),
            ("\"yesterday\"", "\"2026-11-21T05\""),
        ]),
        edited(&[("\"day\"", "\"week\""), ("\"yesterday\"", "\"2026-W47\"")]),
        edited(&[("\"day\"", "\"month\""), ("\"yesterday\"", "\"2026-11\"")]),
        edited(&[(
            "/aws/lambda/checkout-*\"",
            "/ecs/{web,api}-?[!a]\", \"/a#b\"",
        )]),
        edited(&[("file_size = \"256MiB\"", "partition_by = [\"log_group\"]")]),
        edited(&[
            ("pad = ", "requester_pays = true\npad = "),
            (
                "[output]\n",
                "[output]\nsse = \"aws:kms\"\nsse_kms_key = \"alias/logs\"\n",
            ),
        ]),
        edited(&[("[output]\n", "[output]\nsse = \"AES256\"\n")]),
        edited(&[("kind = \"line\"", "kind = \"band\"")]),
        edited(&[("use = ", "expect = \"one row\"\nuse = ")]),
        edited(&[("min = 1", "of = \"total\"\nmin = -1.5\nmax = 10")]),
        edited(&[("column = \"events\"\nmin = 1", "missing_hours = 2")]),
        edited(&[
            ("file_size = \"256MiB\"\n", ""),
            (
                "min = 1",
                "previous = \"7 days\"\nmin = \"50%\"\nmax = \"200.5 %\"",
            ),
        ]),
        edited(&[("\"change\"", "\"always\"\nlink_lifetime = \"7d\"")]),
        edited(&[
            ("kind = \"line\"", "kind = \"bar\"\nerrors = false"),
            ("[\"p50\", \"p95\"]", "\"events\""),
        ]),
        edited(&[
            (
                "kind = \"line\"",
                "kind = \"stacked-bar\"\nseries = \"level\"",
            ),
            ("[\"p50\", \"p95\"]", "[\"events\"]"),
        ]),
        edited(&[
            ("cloudwatch", "directory"),
            (
                "log_groups = [\"/aws/lambda/checkout-*\"]",
                "path = \"logs\"",
            ),
            ("staging = \"s3://acme-logs/exports\"\n", "keep = \"7d\"\n"),
        ]),
        edited(&[
            ("cloudwatch", "exported"),
            (
                "log_groups = [\"/aws/lambda/checkout-*\"]",
                "path = \"s3://acme-logs/exports\"",
            ),
            (
                "staging = \"s3://acme-logs/exports\"\npad = \"1h\"\n",
                "log_group = \"web\"\n",
            ),
        ]),
    ];
    for (job, errors) in cases.iter().zip(validate(&cases)) {
        let parsed = job::parse(Path::new("night.toml"), job);
        assert!(parsed.is_ok(), "{}\n{job}", parsed.unwrap_err());
        assert_eq!(errors, Vec::<String>::new(), "{job}");
    }
}

#[test]
fn a_variable_may_stand_for_any_text() {
    let job = edited(&[
        ("\"night\"", "\"${STAGE}_night\""),
        ("\"Asia/Seoul\"", "\"${ZONE}\""),
        ("\"1h\"", "\"${PAD}\""),
        ("\"256MiB\"", "\"${SIZE}\""),
        ("\"yesterday\"", "\"${WINDOW}\""),
        ("\"hourly_count\"", "\"${QUESTION}\""),
        ("\"/aws/lambda/checkout-*\"", "\"${GROUP}\""),
    ]);
    assert_eq!(validate(&[job]), [Vec::<String>::new()]);
}

#[test]
fn the_schema_refuses_wrong_keys_and_values_as_the_program_does() {
    // Where it is wrong, and what makes it so.
    let cases = [
        ("$", edited(&[("timezone", "timezon")])),
        ("$", edited(&[("name = \"night\"\n", "")])),
        ("$.source", edited(&[("staging = ", "stagin = ")])),
        (
            "$.source",
            edited(&[("staging = \"s3://acme-logs/exports\"\n", "")]),
        ),
        (
            "$.source",
            edited(&[("staging = ", "path = \"x\"\nstaging = ")]),
        ),
        ("$.source", edited(&[("\"cloudwatch\"", "\"exported\"")])),
        (
            "$.output.sse",
            edited(&[("[output]\n", "[output]\nsse = \"kms\"\n")]),
        ),
        (
            "$.output",
            edited(&[(
                "[output]\n",
                "[output]\nsse = \"AES256\"\nsse_kms_key = \"alias/logs\"\n",
            )]),
        ),
        (
            "$.source.kind",
            edited(&[("\"cloudwatch\"", "\"cloudwatchlogs\"")]),
        ),
        (
            "$.source.log_groups",
            edited(&[("[\"/aws/lambda/checkout-*\"]", "[]")]),
        ),
        (
            "$.source.log_groups[0]",
            edited(&[("checkout-*", "check out")]),
        ),
        ("$.source.pad", edited(&[("\"1h\"", "\"an hour\"")])),
        ("$.source.pad", edited(&[("\"1h\"", "3600")])),
        ("$.name", edited(&[("\"night\"", "\"Night\"")])),
        ("$.name", edited(&[("\"night\"", "\"charts\"")])),
        ("$.timezone", edited(&[("Asia/Seoul", "Asia/Soul")])),
        ("$.language", edited(&[("\"ko\"", "\"kr\"")])),
        ("$.window.size", edited(&[("\"day\"", "\"year\"")])),
        (
            "$.window.default",
            edited(&[("\"yesterday\"", "\"today\"")]),
        ),
        (
            "$.window.lookback",
            edited(&[("lookback = 3", "lookback = -1")]),
        ),
        ("$.output", edited(&[("location", "path")])),
        (
            "$",
            edited(&[("[output]\nlocation = \"s3://acme-answers/logtally\"\n", "")]),
        ),
        ("$.query[0].use", edited(&[("hourly_count", "hourly")])),
        (
            "$.query[0]",
            edited(&[("use = ", "sql = \"a.sql\"\nuse = ")]),
        ),
        (
            "$.query[0]",
            edited(&[("use = \"hourly_count\"", "sql = \"a.sql\"")]),
        ),
        (
            "$.query[0].name",
            edited(&[("use = ", "name = \"logs\"\nuse = ")]),
        ),
        (
            "$.query[0]",
            edited(&[("file_size", "partition_by = [\"level\"]\nfile_size")]),
        ),
        ("$.query[0].file_size", edited(&[("256MiB", "0MiB")])),
        (
            "$.query[0].chart[0].kind",
            edited(&[("\"line\"", "\"pie\"")]),
        ),
        ("$.query[0].chart[0].y", edited(&[("\"line\"", "\"bar\"")])),
        (
            "$.query[0].chart[0]",
            edited(&[("\"line\"", "\"stacked-bar\"")]),
        ),
        (
            "$.query[0].chart[0].compare",
            edited(&[("scale", "compare = \"a week\"\nscale")]),
        ),
        (
            "$.query[0].chart[0].errors",
            edited(&[("scale", "errors = true\nscale")]),
        ),
        ("$.query[0].chart[0].size[0]", edited(&[("1600", "160")])),
        (
            "$.query[0].chart[0].scale",
            edited(&[("scale = 1", "scale = 9")]),
        ),
        (
            "$.query[0].chart[0].formats",
            edited(&[("[\"png\", \"svg\"]", "[]")]),
        ),
        (
            "$.query[0].chart[0].formats[1]",
            edited(&[("\"svg\"", "\"pdf\"")]),
        ),
        (
            "$.query[0].expect",
            edited(&[("use = ", "expect = \"some rows\"\nuse = ")]),
        ),
        ("$.expect[0].min", edited(&[("min = 1", "min = \"half\"")])),
        ("$.expect[0]", edited(&[("min = 1", "least = 1")])),
        (
            "$.expect[0].of",
            edited(&[("min = 1", "min = 1\nof = \"sum\"")]),
        ),
        (
            "$.notify",
            edited(&[("sns = \"arn:aws:sns:eu-west-1:123456789012:nightly\"\n", "")]),
        ),
        (
            "$.notify.webhook",
            edited(&[(
                "sns = \"arn:aws:sns:eu-west-1:123456789012:nightly\"",
                "webhook = \"https://hooks.example/x\"",
            )]),
        ),
        ("$.notify.on", edited(&[("\"change\"", "\"success\"")])),
        ("$.notify.change", edited(&[("20%", "a fifth")])),
        (
            "$.metrics.namespace",
            edited(&[("acme/logtally", "acme logtally")]),
        ),
        ("$.run.memory", edited(&[("\"2GiB\"", "\"2 gigabytes\"")])),
        ("$.run", edited(&[("lease", "least")])),
    ];
    let (places, jobs): (Vec<&str>, Vec<String>) = cases.into_iter().unzip();
    for ((place, job), errors) in places.iter().zip(&jobs).zip(validate(&jobs)) {
        let parsed = job::parse(Path::new("night.toml"), job);
        assert!(parsed.is_err(), "the program takes\n{job}");
        let begins = format!("{place}: ");
        assert!(
            errors.iter().any(|error| error.starts_with(&begins)),
            "{place} is not said to be wrong: {errors:#?}\n{job}"
        );
    }
}
