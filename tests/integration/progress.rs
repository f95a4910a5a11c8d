//! stderr as a progress display on a terminal, and as log lines.

use serde_json::{Value, json};

use crate::support::events::at;
use crate::support::export::Object;
use crate::support::job::{JOB, Night};
use crate::support::program::Finished;

const DAY: &str = "2025-03-03";

fn night() -> Night {
    let night = Night::new();
    night
        .export()
        .stream("web/app", &[(at("2025-03-03T10:00:00Z"), "x")]);
    night
}

/// The lines of a log. Asserts that each is JSON with a level and a message.
#[track_caller]
fn lines(finished: &Finished) -> Vec<Value> {
    finished
        .stderr
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("{line:?} is not JSON: {error}\n{finished}"));
            assert!(
                line["level"].is_string() && line["message"].is_string(),
                "{line}"
            );
            line
        })
        .collect()
}

#[test]
fn a_log_has_json_lines() {
    let night = night();
    let finished = night.run(DAY);
    finished.assert_success();
    let messages = lines(&finished);
    let said = |text: &str| messages.iter().any(|line| line["message"] == text);
    assert!(
        said("run begins") && said("writing") && said("run ends"),
        "{finished}"
    );

    night
        .export()
        .object("web/damaged", 0, &Object::new(&[(0, "x\ny")]).truncated(1));
    let finished = night.run_with(["--window", DAY, "--force"]);
    let last = lines(finished.assert_code(5)).pop().expect("it says why");
    assert_eq!(last["level"], "ERROR");
    assert_eq!(last["exit_code"], 5);

    night.dir.write(JOB, "name = \n");
    lines(night.run(DAY).assert_code(2));
}

/// The lines of a log that a window, or a run, ended with.
#[track_caller]
fn ends(finished: &Finished) -> Vec<Value> {
    let mut lines = lines(finished);
    lines.retain(|line| line["event"] == "run.done");
    lines
}

#[test]
fn each_window_ends_with_a_line_for_alarms() {
    let night = Night::new();
    let hour = at("2025-03-10T10:00:00Z");
    let week_before = at("2025-03-03T10:00:00Z");
    let export = night.export();
    export.stream(
        "web/app",
        &[
            (hour, "x"),
            (week_before, "x"),
            (week_before + 1, "y"),
            (week_before + 2, "z"),
        ],
    );
    let finished = night.run_with(["--from", "2025-03-03", "--to", "2025-03-04"]);
    let [first, second] = &ends(finished.assert_success())[..] else {
        panic!("a line for each window: {finished}");
    };
    assert_eq!(
        (&first["window"], &second["window"]),
        (&json!("2025-03-03"), &json!("2025-03-04"))
    );
    assert_eq!(first["run"], second["run"]);
    assert!(first["run"].as_str().is_some_and(|id| id.len() == 32));
    for (key, value) in [
        ("job", json!("night")),
        ("version", json!(env!("CARGO_PKG_VERSION"))),
        ("outcome", json!("done")),
        ("exit_code", json!(0)),
        ("provisional", json!(false)),
        ("verified", Value::Null),
        ("events", json!(3)),
        ("objects", json!(1)),
        ("invalid_utf8_events", json!(0)),
        ("notes", json!(0)),
        ("level", json!("INFO")),
    ] {
        assert_eq!(first[key], value, "{key}: {first}");
    }
    for number in [
        "bytes",
        "total_seconds",
        "seconds_behind_window",
        "peak_memory_bytes",
    ] {
        // The memory is known on Linux.
        let is_there = first[number].is_number()
            || (number == "peak_memory_bytes" && !cfg!(target_os = "linux"));
        assert!(is_there, "{number}: {first}");
    }
    assert!(first["seconds"]["query"].is_number(), "{first}");
    assert!(first["week_over_week"].is_null(), "{first}");

    // A third of the same weekday's events a week before.
    let finished = night.run("2025-03-10");
    let last = ends(finished.assert_success()).remove(0);
    assert_eq!(
        (&last["events_week_before"], &last["week_over_week"]),
        (&json!(3), &json!(0.333))
    );
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/fargate.md");
    let page = std::fs::read_to_string(page).expect("the page that explains the keys");
    let keys = last.as_object().expect("an object").keys();
    for key in keys.filter(|key| *key != "timestamp") {
        assert!(
            page.contains(&format!("`{key}`")),
            "{key} is not in docs/fargate.md"
        );
    }
    let finished = night.run("2025-03-10");
    let last = ends(finished.assert_success()).remove(0);
    assert_eq!(
        (&last["outcome"], &last["events"]),
        (&json!("skipped"), &json!(1))
    );
    assert!(last["seconds"].is_null(), "{last}");
}

#[test]
fn the_line_of_a_failure_has_its_exit_code_and_its_text() {
    let night = night();
    night
        .export()
        .object("web/damaged", 0, &Object::new(&[(0, "x")]).truncated(1));
    let finished = night.run(DAY);
    let [line] = &ends(finished.assert_code(5))[..] else {
        panic!("one line: {finished}");
    };
    assert_eq!(
        (&line["outcome"], &line["exit_code"]),
        (&json!("failed"), &json!(5))
    );
    assert_eq!(
        (&line["window"], &line["level"]),
        (&json!(DAY), &json!("ERROR"))
    );
    assert!(
        line["message"]
            .as_str()
            .is_some_and(|text| text.contains("damaged")),
        "{line}"
    );

    // What is wrong before there is a window.
    let finished = night.run("soon");
    let line = ends(finished.assert_code(2)).remove(0);
    assert_eq!(
        (&line["job"], &line["outcome"]),
        (&json!("night"), &json!("failed"))
    );
    assert!(line["window"].is_null(), "{line}");
    night.dir.write(JOB, "name = \n");
    let line = ends(night.run(DAY).assert_code(2)).remove(0);
    assert_eq!(line["outcome"], "failed");
}

#[test]
fn a_window_that_another_run_holds_is_no_error() {
    let night = night();
    night.run(DAY).assert_success();
    // A run on another machine, which renews its lease as long as this one looks.
    let state = format!("out/night/runs/_state/{DAY}.json");
    let mut held: Value = night.dir.read_json(&state);
    held["lease"] = json!({ "run": "0", "host": "elsewhere", "process": 1, "since": "2025-03-04T00:00:00Z", "seconds": 30.0, "renewals": 0 });
    night.dir.write(&state, held.to_string());
    let program = night.dir.logtally(["run", JOB, "--window", DAY, "--force"]);
    let mut running = program.spawn();
    running.wait_for_stderr("watching the lease");
    held["lease"]["renewals"] = json!(1);
    night.dir.write(&state, held.to_string());
    let finished = running.wait();
    let [line] = &ends(finished.assert_code(8))[..] else {
        panic!("one line: {finished}");
    };
    assert_eq!(
        (&line["outcome"], &line["level"]),
        (&json!("held"), &json!("INFO"))
    );
    assert!(
        lines(&finished).iter().all(|line| line["level"] != "ERROR"),
        "{finished}"
    );
}

#[test]
fn a_strict_run_says_why_it_ends_with_9() {
    let night = night();
    let job = night.dir.read_text(JOB);
    night
        .dir
        .write(JOB, job + "[window]\nsettled_after = \"100000d\"\n");
    let finished = night.run_with(["--window", DAY, "--strict"]);
    let lines = lines(finished.assert_code(9));
    let reason = lines
        .iter()
        .find(|line| line["level"] == "WARN")
        .expect("it says why");
    assert_eq!(reason["exit_code"], 9);
    let text = reason["message"].as_str().expect("a text");
    assert!(text.contains(&format!("{DAY} is provisional")), "{text}");
    let last = ends(&finished).remove(0);
    assert_eq!(
        (&last["outcome"], &last["exit_code"]),
        (&json!("done"), &json!(9))
    );
}

#[test]
fn a_filter_that_is_none_is_told_and_ignored() {
    let night = night();
    let status = |filter: &str| {
        let status = night.dir.logtally(["status", JOB]);
        status.env("LOGTALLY_LOG", filter).run()
    };
    let finished = status("logtally=loud");
    let logged = lines(finished.assert_success());
    let [logged] = &logged[..] else {
        panic!("one line: {finished}");
    };
    assert_eq!(logged["level"], "WARN");
    let message = logged["message"].as_str().expect("a text");
    assert!(
        message.contains("LOGTALLY_LOG is \"logtally=loud\""),
        "{message}"
    );
    assert_eq!(status("error").assert_success().stderr, "");
}

#[test]
fn several_failures_are_a_line_each() {
    let night = night();
    night
        .export()
        .object("web/damaged", 0, &Object::new(&[(0, "x")]).truncated(1));
    let finished = night.run_with(["--from", "2025-03-01", "--to", "2025-03-03"]);
    let errors = lines(finished.assert_code(5))
        .iter()
        .filter(|line| line["level"] == "ERROR")
        .count();
    assert_eq!(errors, 3, "{finished}");
}

#[test]
fn quiet_is_silent_but_for_failures() {
    let night = night();
    let finished = night.run_with(["--window", DAY, "-q"]);
    assert_eq!(finished.assert_success().stderr, "");
    assert!(!finished.stdout.is_empty());
    let finished = night.run_with(["--window", "soon", "-q"]);
    let said = lines(finished.assert_code(2));
    assert_eq!(said.len(), 1, "{finished}");
}

#[test]
fn verbose_stays_json() {
    let night = night();
    for level in ["-v", "-vv"] {
        let verbose = night.run_with(["--window", DAY, "--force", level]);
        assert!(lines(verbose.assert_success()).len() > 3, "{verbose}");
    }
}

/// Runs the program on a pseudo terminal. Its stdout is the terminal's contents, with both streams together.
fn at_terminal(night: &Night, arguments: &[&str]) -> Finished {
    let tools = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/integration/tools/on_terminal.py"
    );
    let mut all = vec![tools, env!("CARGO_BIN_EXE_logtally")];
    all.extend(arguments);
    night.dir.program("python3", all).env("TERM", "xterm").run()
}

#[test]
fn a_person_sees_words() {
    let night = night();
    let shown = at_terminal(&night, &["run", JOB, "--window", DAY]);
    shown
        .assert_success()
        .stdout_contains("hourly_count: 1 event\r\n")
        .stdout_contains("out/night/runs/2025-03-03.json")
        .stdout_contains("logtally query night.toml");
    assert!(!shown.stdout.contains("\"level\""), "{shown}");

    let shown = at_terminal(&night, &["run", JOB, "--window", "soon"]);
    shown.assert_code(2).stdout_contains("error: \"soon\"");
    assert!(!shown.stdout.contains('{'), "{shown}");

    night
        .export()
        .object("web/damaged", 0, &Object::new(&[(0, "x")]).truncated(1));
    let shown = at_terminal(&night, &["run", JOB, "--window", DAY, "--force"]);
    shown
        .assert_code(5)
        .stdout_contains("error: ")
        .stdout_contains("web-damaged/000000.gz");
    // The progress bar is cleared before the error is written, so that the error has its own line.
    assert!(shown.stdout.contains("\r\u{1b}[2Kerror: "), "{shown}");
}

#[test]
fn a_person_may_be_spared_too() {
    let night = night();
    let shown = at_terminal(
        &night,
        &[
            "-q",
            "query",
            "exported",
            "--format",
            "csv",
            "SELECT message FROM logs",
        ],
    );
    assert_eq!(
        shown.assert_success().stdout.replace('\r', ""),
        "message\nx\n"
    );
}
