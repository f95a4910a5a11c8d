//! What takes too long, is too long or makes too much ends with an error, and soon.

use std::time::Duration;

use crate::support::events::at;
use crate::support::job::{JOB, Night};
use crate::support::program::{Finished, Running};

const DAY: &str = "2025-03-03";

/// A job with two events, and with keys of `[run]`.
fn night(keys: &str) -> Night {
    let night = Night::with("", &format!("[run]\n{keys}"));
    let noon = at("2025-03-03T12:00:00Z");
    night
        .export()
        .stream("web/app", &[(noon, "first"), (noon + 1, "second")]);
    night
}

/// Asks on standard input, as the SQL can be longer than an argument.
fn ask(night: &Night, sql: String) -> Finished {
    started(night, sql).wait()
}

fn started(night: &Night, sql: String) -> Running {
    let program = night.dir.logtally(["query", "exported"]);
    let program = program.time_limit(Duration::from_secs(300));
    program.stdin(sql).spawn()
}

fn chain(term: &str, operator: &str, terms: usize) -> String {
    vec![term; terms].join(operator)
}

#[test]
fn long_sql_is_answered_or_refused() {
    let night = night("");
    ask(&night, chain("SELECT 1 AS n", " UNION ALL ", 400)).assert_success();
    let or = chain("message LIKE '%ir%t'", " OR ", 900);
    ask(&night, format!("SELECT count(*) AS n FROM logs WHERE {or}"))
        .assert_success()
        .stdout_contains("1");
    for operator in ["+", " OR ", "||"] {
        let sql = format!("SELECT {}", chain("1", operator, 300_000));
        ask(&night, sql)
            .assert_code(6)
            .stderr_contains("the SQL has 300,000 operators");
    }
    let deep = format!("SELECT {}1{}", "(".repeat(100_000), ")".repeat(100_000));
    ask(&night, deep).assert_code(6);
}

#[test]
fn planning_ends_with_a_signal() {
    let night = night("");
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let sum = chain("length(message)", "+", 9000);
        let mut running = started(&night, format!("SELECT max({sum}) FROM logs"));
        running.wait_until("signals are listened to", Running::listens_to_signals);
        running.signal(signal);
        running.wait().assert_code(code);
    }
}

#[test]
fn a_bug_in_any_thread_is_exit_code_1() {
    let night = night("memory = \"1GiB\"");
    // While the query is planned; in the command's own task; in a task of the engine.
    for value in [
        "panic('x')",
        "panic(message)",
        "count(DISTINCT panic(message))",
    ] {
        let sql = format!("SELECT {value} AS n FROM logs");
        let asked = night.dir.logtally(["query", "exported", &sql]);
        let asked = asked.env("LOGTALLY_TEST_PANIC", "1").run();
        asked
            .assert_code(1)
            .stderr_contains("a bug in this program")
            .stderr_contains("as asked for");
        night.dir.write("bug.sql", &sql);
        let job = night.dir.read_text(JOB).replace(
            "use = \"hourly_count\"",
            "name = \"bug\"\nsql = \"bug.sql\"",
        );
        night.dir.write("bug.toml", job);
        let run = night
            .dir
            .logtally(["run", "bug.toml", "--window", DAY, "--json"]);
        let run = run.env("LOGTALLY_TEST_PANIC", "1").run();
        let document = run
            .assert_code(1)
            .stderr_contains("a bug in this program")
            .stdout_json();
        let text = document.to_string();
        assert!(
            text.contains("a bug in this program") && text.contains("as asked for"),
            "{text}"
        );
    }
    // The function is there only where it is asked for.
    ask(&night, "SELECT panic(message) FROM logs".to_owned()).assert_code(6);
}

#[test]
fn a_query_ends_within_its_limit() {
    let night = night("timeout = \"1ms\"");
    night
        .run(DAY)
        .assert_code(6)
        .stderr_contains("longer than 1ms ([run] timeout)");
    let ask = |arguments: &[&str]| {
        let fixed = ["query", "exported", "SELECT count(*) FROM logs"];
        night.dir.logtally(fixed.iter().chain(arguments)).run()
    };
    ask(&["--timeout", "1ms"])
        .assert_code(6)
        .stderr_contains("longer than 1ms (--timeout)");
    ask(&["--timeout", "1h"]).assert_success();
    ask(&["--timeout", "soon"]).assert_code(2);
}

#[test]
fn a_function_makes_no_more_than_memory_allows() {
    let night = night("memory = \"256MiB\"");
    night.run(DAY).assert_success();
    // Each doubles the text of the one before it.
    let doubled: Vec<String> = (1..26)
        .map(|n| format!("t{n} AS (SELECT m || m AS m FROM t{})", n - 1))
        .collect();
    let doubled = format!(
        "WITH t0 AS (SELECT message AS m FROM logs), {} SELECT max(length(m)) FROM t25",
        doubled.join(", ")
    );
    for (name, sql) in [
        (
            "repeat",
            "SELECT max(length(repeat(message, 100000000))) FROM logs".to_owned(),
        ),
        (
            "lpad",
            "SELECT max(length(lpad(message, 100000000))) FROM logs".to_owned(),
        ),
        ("||", doubled),
        (
            "a constant",
            "SELECT range(1, 4000000), message FROM logs".to_owned(),
        ),
    ] {
        night
            .dir
            .logtally(["query", JOB, "--window", DAY, &sql])
            .run()
            .assert_code(6)
            .stderr_contains(&format!("{name} would make more than 32 MiB"));
    }
}
