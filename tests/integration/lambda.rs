//! The program as a Lambda function, before a local Runtime API. Needs the feature `lambda`.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::cloud::{Cloud, JOB, recent_day};
use crate::support::faults::Faults;
use crate::support::moto::Moto;
use crate::support::program::{Dir, Running, everything_below, poll};
use crate::support::runtime_api::RuntimeApi;

/// Lambda's longest timeout.
const LONG: Duration = Duration::from_secs(900);

/// Events of the two log groups of [`Cloud`] in the day.
const EVENTS: u64 = 98;

/// A function over a cloud, whose job is in its bucket of answers.
struct Function<'a> {
    cloud: Cloud<'a>,
    api: RuntimeApi,
    running: Running,
    scratch: PathBuf,
}

impl<'a> Function<'a> {
    fn new(moto: &'a Moto, name: &'static str) -> Self {
        Self::with(moto, name, moto.environment())
    }

    fn with(moto: &'a Moto, name: &'static str, environment: Vec<(&'static str, String)>) -> Self {
        let cloud = Cloud::new(moto, name);
        put_job(&cloud, &cloud.dir.read_text(JOB));
        let scratch = cloud.dir.join("scratch");
        std::fs::create_dir(&scratch).expect("the test's folder is writable");
        let api = RuntimeApi::start();
        let running = cloud
            .dir
            .logtally([] as [&str; 0])
            .envs(environment)
            .envs(api.environment(512))
            .env("TMPDIR", &scratch)
            .env("LOGTALLY_JOB", job(&cloud))
            .spawn();
        Self {
            cloud,
            api,
            running,
            scratch,
        }
    }

    /// The program's own event for the day.
    fn event(&self) -> Value {
        json!({"job": job(&self.cloud), "window": recent_day().0})
    }

    /// The state of the day.
    fn state(&self) -> Value {
        let key = format!("logtally/night/runs/_state/{}.json", recent_day().0);
        let state = self.cloud.moto.get_object(&self.cloud.answers(), &key);
        serde_json::from_slice(&state).expect("JSON")
    }

    /// Temporary files of invocations.
    fn left(&self) -> Vec<String> {
        everything_below(&self.scratch)
    }
}

fn job(cloud: &Cloud<'_>) -> String {
    format!("s3://{}/jobs/night.toml", cloud.answers())
}

fn put_job(cloud: &Cloud<'_>, text: &str) {
    let bucket = cloud.answers();
    cloud
        .moto
        .put_object(&bucket, "jobs/night.toml", text.as_bytes());
}

/// The lines of the log as JSON, without those of metrics.
fn lines(log: &str) -> Vec<Value> {
    let json =
        |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
    log.lines().map(json).collect()
}

#[test]
fn invocations_of_a_process_are_runs_of_their_own() {
    let moto = Moto::start();
    let function = Function::new(&moto, "warm");
    let first = function.api.invoke(&function.event(), LONG).response();
    assert_eq!(first["runs"][0]["status"], "done");
    assert_eq!(first["runs"][0]["read"]["events"], EVENTS);
    assert_eq!(function.left(), [""; 0]);

    let again = function.api.invoke(&function.event(), LONG).response();
    assert_eq!(again["runs"][0]["status"], "skipped");
    let mut forced = function.event();
    forced["force"] = true.into();
    let forced = function.api.invoke(&forced, LONG).response();
    assert_eq!(forced["runs"][0]["status"], "done");
    assert_eq!(forced["runs"][0]["read"]["events"], EVENTS);
    assert_eq!(function.cloud.tasks().len(), 2, "the exports are kept");
    assert_eq!(function.left(), [""; 0]);

    // What the command line prints for the window, but that it has just been done.
    let printed = function.cloud.receipt([]);
    let again = function.api.invoke(&function.event(), LONG).response();
    assert_eq!(printed, again["runs"][0]);

    let ends: Vec<_> = lines(&function.running.stderr())
        .into_iter()
        .filter(|line| line["event"] == "run.done")
        .collect();
    let ids: Vec<_> = ends.iter().map(|line| &line["requestId"]).collect();
    assert_eq!(ids[..3], ["invocation-1", "invocation-2", "invocation-3"]);
    assert_ne!(ends[0]["run"], ends[2]["run"]);
    for line in &ends {
        assert!(
            line["timestamp"].is_string() && line["level"] == "INFO",
            "{line}"
        );
    }

    function.running.signal("TERM");
    function.running.wait().assert_code(0);
}

#[test]
fn an_event_of_eventbridge_and_an_empty_one_start_the_functions_job() {
    let moto = Moto::start();
    let function = Function::new(&moto, "scheduled");
    let scheduled = json!({
        "version": "0", "id": "53dc4d37", "detail-type": "Scheduled Event", "source": "aws.scheduler", "account": "123456789012",
        "time": "2026-11-22T01:00:00Z", "region": "ap-northeast-2", "resources": [], "detail": "{}",
    });
    let mut with_job = scheduled.clone();
    with_job["detail"] = function.event();
    let done = function.api.invoke(&with_job, LONG).response();
    assert_eq!(done["runs"][0]["read"]["events"], EVENTS);
    // The default window is yesterday, and the windows before it.
    let yesterday = chrono::Utc::now().date_naive() - chrono::Days::new(1);
    for event in [scheduled, json!({})] {
        let done = function.api.invoke(&event, LONG).response();
        let runs = done["runs"].as_array().expect("runs");
        let last = runs.last().expect("a run");
        let id = last["window"]["id"].as_str().expect("an id");
        assert!(id >= yesterday.to_string().as_str(), "{last}");
    }
}

#[test]
fn a_wrong_event_and_a_run_that_fails_fail_the_invocation() {
    let moto = Moto::start();
    let function = Function::new(&moto, "failing");
    let invoke = |event: &Value| function.api.invoke(event, LONG).error();
    let mut unknown = function.event();
    unknown["windows"] = "2026-11-21".into();
    let (error_type, message, document) = invoke(&unknown);
    assert_eq!(error_type, "Logtally.Usage");
    assert!(message.contains("unknown key \"windows\""), "{message}");
    assert_eq!(document["runs"][0]["exit_code"], 2);

    let text = function.cloud.dir.read_text(JOB);
    let with = |more: &str| put_job(&function.cloud, &format!("{text}{more}"));
    with("[[query]]\nname = \"wrong\"\nsql = \"wrong.sql\"\n");
    let sql = "SELECT nope FROM logs";
    let bucket = function.cloud.answers();
    moto.put_object(&bucket, "jobs/wrong.sql", sql.as_bytes());
    let (error_type, message, document) = invoke(&function.event());
    assert_eq!(error_type, "Logtally.Sql");
    assert!(
        message.contains("wrong.sql") && message.contains("nope"),
        "{message}"
    );
    assert_eq!(document["runs"][0]["exit_code"], 6);

    // A failure of a window, whose document has the window.
    put_job(
        &function.cloud,
        &text.replace("failing-logs", "failing-none"),
    );
    let (error_type, ..) = invoke(&function.event());
    assert!(
        ["Logtally.Usage", "Logtally.Source"].contains(&error_type.as_str()),
        "{error_type}"
    );

    // The function goes on.
    put_job(&function.cloud, &text);
    let done = function.api.invoke(&function.event(), LONG).response();
    assert_eq!(done["runs"][0]["read"]["events"], EVENTS);
    assert_eq!(function.left(), [""; 0]);
    // Each failure is one line of the log.
    let errors = lines(&function.running.stderr());
    let errors: Vec<_> = errors
        .iter()
        .filter(|line| line["level"] == "ERROR")
        .map(|line| &line["requestId"])
        .collect();
    assert_eq!(errors, ["invocation-1", "invocation-2", "invocation-3"]);
}

/// The held request never gets an answer, so only the timeout ends the run, however slow the machine is.
#[test]
fn a_run_is_stopped_before_the_timeout_and_the_next_invocation_resumes_it() {
    for (name, held) in [
        ("lateexport", "logs.DescribeExportTasks"),
        (
            "lateanswer",
            "PUT /lateanswer-answers/logtally/night/hourly_count",
        ),
    ] {
        let moto = Moto::start();
        let faults = Faults::before(&moto, json!({"hold": [held]}));
        let function = Function::with(&moto, name, faults.environment());
        let timeout = Duration::from_secs(24);
        let (error_type, message, document) =
            function.api.invoke(&function.event(), timeout).error();
        assert_eq!(error_type, "Logtally.Stopped", "{held}: {message}");
        assert!(message.contains("the function's timeout"), "{message}");
        assert_eq!(document["runs"][0]["exit_code"], 143);
        assert_eq!(function.left(), [""; 0]);
        assert_eq!(function.state()["lease"], Value::Null, "{held}");

        faults.plan(json!({}));
        let done = function.api.invoke(&function.event(), LONG).response();
        assert_eq!(done["runs"][0]["status"], "done", "{held}");
        assert_eq!(done["runs"][0]["read"]["events"], EVENTS, "{held}");
        assert_eq!(
            function.cloud.tasks().len(),
            2,
            "{held}: each log group once"
        );
        assert_eq!(function.left(), [""; 0]);
    }
}

#[test]
fn sigterm_stops_a_run_and_posts_its_failure_before_the_process_ends() {
    let moto = Moto::start();
    let faults = Faults::before(&moto, json!({"hold": ["logs.DescribeExportTasks"]}));
    let function = Function::with(&moto, "terminated", faults.environment());
    let id = function.api.send(&function.event(), LONG);
    poll("the run waits for its export", || {
        faults.did().held("logs.DescribeExportTasks") > 0
    });
    function.running.signal("TERM");
    let (error_type, message, _) = function.api.posted(&id).error();
    assert_eq!(error_type, "Logtally.Stopped");
    assert!(message.contains("SIGTERM"), "{message}");
    assert_eq!(function.state()["lease"], Value::Null);
    assert_eq!(function.left(), [""; 0]);
    function.running.wait().assert_code(0);
}

#[test]
fn a_window_that_another_run_does_is_no_failure() {
    let moto = Moto::start();
    let faults = Faults::before(&moto, json!({"hold": ["logs.DescribeExportTasks"]}));
    let function = Function::new(&moto, "twice");
    let (day, _) = recent_day();
    let other = function
        .cloud
        .dir
        .logtally(["run", JOB, "--window", &day])
        .envs(faults.environment())
        .spawn();
    poll("the other run holds the window", || {
        faults.did().held("logs.DescribeExportTasks") > 0
    });
    let held = function.api.invoke(&function.event(), LONG).response();
    assert_eq!(held["runs"][0]["exit_code"], 8);
    faults.plan(json!({}));
    other.wait().assert_success();
}

/// A function in another language may start the program as a command.
#[test]
fn with_arguments_it_is_a_command_also_inside_a_function() {
    let api = RuntimeApi::start();
    let dir = Dir::new();
    let version = concat!("logtally ", env!("CARGO_PKG_VERSION"), "\n");
    dir.logtally(["--version"])
        .envs(api.environment(512))
        .run()
        .assert_success()
        .stdout_is(version);
    dir.logtally([] as [&str; 0])
        .env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1")
        .run()
        .assert_code(2)
        .stderr_contains("AWS_LAMBDA_FUNCTION_NAME is not");
}
