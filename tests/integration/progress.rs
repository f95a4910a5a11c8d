//! stderr as a progress display on a terminal, and as log lines.

use serde_json::Value;

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
