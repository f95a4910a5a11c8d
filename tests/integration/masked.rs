//! `[source] mask` and `query --mask`: no query sees personal data.

use serde_json::json;

use crate::support::events::at;
use crate::support::job::Night;

const DAY: &str = "2025-03-03";

/// A job that masks, with a query of its messages.
fn night(mask: &str) -> Night {
    let night = Night::with(
        "",
        "[[query]]\nname = \"messages\"\nsql = \"messages.sql\"\n[[query]]\nname = \"found\"\nsql = \"found.sql\"\n",
    );
    let job = night.dir.read_text("night.toml");
    night.dir.write(
        "night.toml",
        job.replace(
            "path = \"exported\"",
            &format!("path = \"exported\"\n{mask}"),
        ),
    );
    night.dir.write(
        "messages.sql",
        "SELECT message, level(message) AS level FROM logs",
    );
    night.dir.write(
        "found.sql",
        "SELECT count(*) AS n FROM logs WHERE message LIKE '%1234-5678%' OR message ~ 'kim@'",
    );
    let time = |second: u32| at(&format!("2025-03-03T10:00:{second:02}Z"));
    night.export().stream(
        "web/app",
        &[
            (time(0), "[ERROR] call 010-1234-5678 back"),
            (time(1), r#"{"level":"INFO","mail":"kim@example.com","card":4111111111111111}"#),
            (time(2), "REPORT RequestId: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\tDuration: 2.50 ms\tBilled Duration: 3 ms\tMemory Size: 128 MB\tMax Memory Used: 98 MB\t"),
        ],
    );
    night
}

fn ask(night: &Night, arguments: &[&str], sql: &str) -> serde_json::Value {
    let arguments = ["query"]
        .into_iter()
        .chain(arguments.iter().copied())
        .chain(["--format", "json", sql]);
    night
        .dir
        .logtally(arguments)
        .run()
        .assert_success()
        .stdout_json()
}

#[test]
fn no_query_of_a_job_that_masks_sees_personal_data() {
    let night = night("mask = true");
    let plan = night
        .dir
        .logtally(["plan", "night.toml", "--window", DAY])
        .run();
    plan.assert_success()
        .stdout_contains("messages without personal data and secrets");
    night.run(DAY).assert_success();
    let found = ask(
        &night,
        &["night.toml"],
        "SELECT count(*) AS n FROM logs WHERE message LIKE '%010-1234-5678%'",
    );
    assert_eq!(found, json!([{"n": 0}]));
    let rows = ask(
        &night,
        &["night.toml"],
        "SELECT level(message) AS level, message, (lambda_report(message)).duration_ms AS ms FROM logs ORDER BY timestamp LIMIT 2",
    );
    assert_eq!(
        rows,
        json!([
            {"level": "ERROR", "message": "[ERROR] call <phone> back", "ms": null},
            {"level": "INFO", "message": r#"{"level":"INFO","mail":"<email>","card":"<card>"}"#, "ms": null},
        ])
    );
    let reports = ask(
        &night,
        &["night.toml"],
        "SELECT sum((lambda_report(message)).duration_ms) AS ms FROM logs",
    );
    assert_eq!(reports, json!([{"ms": 2.5}]));
    let answer = format!("out/night/found/dt={DAY}/found.parquet");
    let answer = crate::support::parquet::Parquet::read(night.dir.join(answer));
    assert_eq!(answer.integers("n"), [0]);
    for file in night.outputs() {
        let bytes = std::fs::read(night.dir.join(&file)).unwrap();
        let has = |text: &str| {
            bytes
                .windows(text.len())
                .any(|window| window == text.as_bytes())
        };
        assert!(
            !has("1234-5678") && !has("kim@example.com") && !has("411111"),
            "{file}"
        );
    }
}

#[test]
fn a_location_is_masked_where_that_is_asked_for() {
    let night = night("");
    let sql = "SELECT count(*) AS n FROM logs WHERE message LIKE '%kim@example.com%'";
    for (arguments, n) in [
        (&["exported"][..], 1),
        (&["exported", "--mask"], 0),
        (&["night.toml"], 1),
        (&["night.toml", "--mask"], 0),
    ] {
        assert_eq!(
            ask(&night, arguments, sql),
            json!([{"n": n}]),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_job_that_begins_to_mask_computes_its_windows_again() {
    let night = night("");
    night.run(DAY).assert_success();
    night.run(DAY).assert_success();
    let job = night.dir.read_text("night.toml");
    night.dir.write(
        "night.toml",
        job.replace("[output]", "mask = true\n[output]"),
    );
    let plan = night
        .dir
        .logtally(["plan", "night.toml", "--window", DAY])
        .run();
    plan.assert_success().stdout_contains("compute");
    night.run(DAY).assert_success();
    let answer = crate::support::parquet::Parquet::read(
        night
            .dir
            .join(format!("out/night/found/dt={DAY}/found.parquet")),
    );
    assert_eq!(answer.integers("n"), [0]);
}
