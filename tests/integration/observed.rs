//! What a log sees of a run: metrics that CloudWatch takes, one document, and no secret.

use serde_json::{Value, json};

use crate::support::cloud::Cloud;
use crate::support::events::{HOUR, at};
use crate::support::job::Night;
use crate::support::moto::Moto;
use crate::support::python;

const WINDOW: &str = "2025-03-10";

fn night(tail: &str) -> Night {
    let night = Night::with("timezone = \"UTC\"", tail);
    let midnight = at("2025-03-10T00:00:00Z");
    let events: Vec<_> = (0..24).map(|hour| (midnight + hour * HOUR, "x")).collect();
    night.export().stream("web", &events);
    night
}

/// The lines of a log that are metrics.
fn metrics(stderr: &str) -> Vec<Value> {
    let lines = stderr
        .lines()
        .map(|line| serde_json::from_str(line).expect("lines of JSON"));
    lines
        .filter(|line: &Value| !line["_aws"].is_null())
        .collect()
}

/// The schema that CloudWatch's documentation has of the format.
fn emf_schema() -> Value {
    let name = json!({"type": "string", "minLength": 1, "maxLength": 1024});
    let unit = "^(Seconds|Microseconds|Milliseconds|Bytes|Kilobytes|Megabytes|Gigabytes|Terabytes|Bits|Kilobits|Megabits|Gigabits|Terabits|Percent|Count|Bytes\\/Second|Kilobytes\\/Second|Megabytes\\/Second|Gigabytes\\/Second|Terabytes\\/Second|Bits\\/Second|Kilobits\\/Second|Megabits\\/Second|Gigabits\\/Second|Terabits\\/Second|Count\\/Second|None)$";
    json!({
        "type": "object",
        "required": ["_aws"],
        "properties": {"_aws": {
            "type": "object",
            "required": ["Timestamp", "CloudWatchMetrics"],
            "properties": {
                "Timestamp": {"type": "integer"},
                "CloudWatchMetrics": {"type": "array", "minItems": 1, "items": {
                    "type": "object",
                    "required": ["Namespace", "Dimensions", "Metrics"],
                    "properties": {
                        "Namespace": {"type": "string", "minLength": 1, "maxLength": 1024, "pattern": "^(.*)$"},
                        "Dimensions": {"type": "array", "minItems": 1, "items": {
                            "type": "array", "minItems": 0, "maxItems": 30,
                            "items": {"type": "string", "minLength": 1, "maxLength": 250},
                        }},
                        "Metrics": {"type": "array", "minItems": 1, "maxItems": 100, "items": {
                            "type": "object",
                            "required": ["Name"],
                            "properties": {"Name": name, "Unit": {"type": "string", "pattern": unit}},
                        }},
                    },
                }},
            },
        }},
    })
}

/// Checks a line by the format's schema, and by its rules for the targets of dimensions and metrics.
fn assert_emf(lines: &[Value]) {
    let asked = json!({"schema": emf_schema(), "documents": lines});
    let errors: Vec<Vec<String>> = python::ask(&mut python::tool("validate.py"), &asked);
    for (line, errors) in lines.iter().zip(errors) {
        assert_eq!(errors, Vec::<String>::new(), "{line:#}");
        for directive in line["_aws"]["CloudWatchMetrics"]
            .as_array()
            .expect("a list")
        {
            for dimension in directive["Dimensions"][0].as_array().expect("a list") {
                let value = &line[dimension.as_str().expect("a text")];
                let length = value.as_str().map(str::len);
                assert!(
                    length.is_some_and(|length| (1..=1024).contains(&length)),
                    "{line:#}"
                );
            }
            for metric in directive["Metrics"].as_array().expect("a list") {
                let value = &line[metric["Name"].as_str().expect("a text")];
                assert!(value.is_number(), "{metric} of {line:#}");
            }
        }
    }
}

#[test]
fn a_run_prints_metrics_that_cloudwatch_takes() {
    let expect = "[[expect]]\nquery = \"hourly_count\"\ncolumn = \"events\"\nmin = 2\n";
    let night = night(&format!("{expect}[metrics]\nnamespace = \"acme/night\"\n"));
    let done = night.run(WINDOW);
    let again = night.run(WINDOW);
    night.dir.write("exported/web-2/000000.gz", "no gzip");
    let failed = night.run_with(["--window", WINDOW, "--force"]);
    failed.assert_code(5);
    let lines: Vec<Value> = [&done, &again, &failed]
        .iter()
        .flat_map(|finished| metrics(&finished.stderr))
        .collect();
    assert_emf(&lines);
    let of = |key: &str| {
        lines
            .iter()
            .map(|line| line[key].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("outcome"), ["done", "skipped", "failed"]);
    assert_eq!(of("Events"), [json!(24), json!(24), Value::Null]);
    assert_eq!(of("Objects"), [json!(1), Value::Null, Value::Null]);
    assert_eq!(of("BrokenExpectations"), [json!(1), json!(1), Value::Null]);
    assert_eq!(of("exit_code"), [Value::Null, Value::Null, json!(5)]);
    assert_eq!(lines[0]["job"], "night");
    let namespace = &lines[0]["_aws"]["CloudWatchMetrics"][0]["Namespace"];
    assert_eq!(namespace, "acme/night");
    // Before the first window, too.
    let early = night.run("2025-W10");
    let lines = metrics(&early.assert_code(2).stderr);
    assert_emf(&lines);
    assert_eq!(lines[0]["outcome"], "failed");
}

#[test]
fn a_quiet_run_prints_nothing_but_errors() {
    let expect = "[[expect]]\nquery = \"hourly_count\"\ncolumn = \"events\"\nmin = 2\n";
    let night = night(&format!("{expect}[metrics]\nnamespace = \"night\"\n"));
    let quiet = night.run_with(["--window", WINDOW, "--strict", "--json", "-q"]);
    assert_eq!(quiet.assert_code(9).stderr, "");
    let failed = night.run_with(["--window", "2025-W10", "-q"]);
    assert_eq!(failed.assert_code(2).stderr.lines().count(), 1, "{failed}");
}

#[test]
fn a_document_is_one_line_for_programs_and_many_for_people() {
    let night = night("");
    let arguments = ["--window", WINDOW, "--json"];
    let piped = night.run_with(arguments);
    assert_eq!(piped.assert_success().stdout.lines().count(), 1);
    let terminal = [
        python::interpreter().to_owned(),
        "tools/on_terminal.py".into(),
    ];
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/integration/tools/on_terminal.py"
    );
    let program = night.dir.program(
        &terminal[0],
        [script, env!("CARGO_BIN_EXE_logtally"), "run", "night.toml"],
    );
    let shown = arguments
        .iter()
        .fold(program, |program, argument| program.arg(argument))
        .run();
    shown.assert_success().stdout_contains("{\r\n  \"runs\": [");
}

#[test]
fn no_secret_and_no_message_is_in_the_log() {
    let moto = Moto::shared();
    let cloud = Cloud::new(moto, "discreet");
    cloud.edit("[source]", "[metrics]\nnamespace = \"night\"\n[source]");
    let environment = [
        ("AWS_ACCESS_KEY_ID", "AKIASURELYNOTSHOWN00"),
        ("AWS_SECRET_ACCESS_KEY", "surely/not+shown"),
        ("AWS_SESSION_TOKEN", "surely-not-shown-either"),
    ];
    let run = |arguments: &[&str]| {
        let program = cloud.program(arguments.iter().copied());
        environment
            .iter()
            .fold(program, |program, (name, value)| program.env(name, value))
            .run()
    };
    let failed = {
        // An answer that can't be.
        cloud.dir.write("wrong.sql", "SELECT nope FROM logs");
        let job = cloud.dir.read_text("night.toml");
        cloud.dir.write(
            "night.toml",
            format!("{job}[[query]]\nname = \"wrong\"\nsql = \"wrong.sql\"\n"),
        );
        let failed = run(&[]);
        cloud.dir.write("night.toml", job);
        failed
    };
    failed.assert_code(6);
    let done = run(&[]);
    done.assert_success();
    for finished in [failed, done] {
        for (_, secret) in environment {
            finished.stderr_lacks(secret);
            assert!(!finished.stdout.contains(secret), "{finished}");
        }
        // What the events say.
        for message in ["second line", "last: ", "X-Amz-Signature", "AWS4-HMAC"] {
            finished.stderr_lacks(message);
        }
    }
}

#[cfg(feature = "otel")]
#[test]
fn a_run_sends_a_trace_of_its_steps_and_a_collector_that_is_away_fails_none() {
    use crate::support::webhook::{Answer, Webhook};
    let collector = Webhook::start(&[Answer::With(200, "{}".to_owned())]);
    let night = night("");
    let run = |endpoint: &str| {
        let program = night
            .dir
            .logtally(["run", "night.toml", "--window", WINDOW, "--force"]);
        program.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).run()
    };
    run(&collector.address()).assert_success();
    let received = collector.received();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].path, "/v1/traces");
    let spans = &received[0].body["resourceSpans"][0]["scopeSpans"][0]["spans"];
    let spans = spans.as_array().expect("a list");
    let names: Vec<&str> = spans
        .iter()
        .filter_map(|span| span["name"].as_str())
        .collect();
    assert_eq!(names[..2], ["run night", "window 2025-03-10"]);
    for step in ["export", "query", "draw", "write"] {
        assert!(names.contains(&step), "{step}: {names:?}");
    }
    assert!(
        spans[2..]
            .iter()
            .all(|span| span["parentSpanId"] == spans[1]["spanId"])
    );
    // Nothing listens there.
    run("http://127.0.0.1:9")
        .assert_success()
        .stderr_contains("could not send the trace");
}
