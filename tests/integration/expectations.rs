//! What a job expects of its answers: a broken expectation is seen everywhere, and nothing else changes.

use serde_json::json;

use crate::support::events::{DAY, HOUR, at};
use crate::support::job::Night;

const WINDOW: &str = "2025-03-10";

/// Two events in each hour of a day but the hours of `gap`.
fn events(midnight: i64, gap: std::ops::Range<i64>) -> Vec<(i64, &'static str)> {
    let hours = (0..24).filter(|hour| !gap.contains(hour));
    hours
        .flat_map(|hour| {
            [
                (midnight + hour * HOUR, "a"),
                (midnight + hour * HOUR + 1, "b"),
            ]
        })
        .collect()
}

const EACH_HOUR: &str = "[[expect]]\nquery = \"hourly_count\"\ncolumn = \"events\"\nmin = 1\n";

#[test]
fn a_broken_expectation_is_seen_everywhere() {
    let night = Night::with("timezone = \"UTC\"", EACH_HOUR);
    let midnight = at("2025-03-10T00:00:00Z");
    night.export().stream("web", &events(midnight, 3..5));
    let told = "hourly_count: expected each value of events at least 1, found 0 and 1 more outside";

    // It is done all the same.
    let finished = night.run(WINDOW);
    finished
        .assert_success()
        .stdout_contains(&format!("broken   {told}"));
    let receipt = night.dir.read_json(format!("out/night/runs/{WINDOW}.json"));
    assert_eq!(
        receipt["expectations"],
        json!([{
            "query": "hourly_count", "of": "each", "column": "events", "min": 1.0,
            "result": "broken", "found": 0.0, "outside": 2,
        }])
    );
    assert_eq!(night.hourly_count(WINDOW).rows.len(), 24);
    let line = finished
        .stderr
        .lines()
        .find(|line| line.contains("run.done"));
    let line: serde_json::Value =
        serde_json::from_str(line.expect("a line of how it ended")).expect("JSON");
    assert_eq!(
        (&line["broken_expectations"], &line["level"]),
        (&json!(1), &json!("INFO"))
    );

    // The window is done, and strictly not as expected.
    let strict = night.run_with(["--window", WINDOW, "--strict", "--json"]);
    strict
        .assert_code(9)
        .stderr_contains(told)
        .stderr_lacks("\"ERROR\"");
    assert_eq!(strict.stdout_run()["status"], "skipped");

    // A day as it should be.
    let next = midnight + DAY;
    night.export().stream("web-2", &events(next, 0..0));
    let held = night.run_with(["--window", "2025-03-11", "--strict"]);
    held.assert_success();
    assert!(!held.stdout.contains("broken"), "{held}");
}

#[test]
fn rows_that_should_not_be_are_found_and_a_changed_expectation_is_checked() {
    let query = "[[query]]\nname = \"odd\"\nsql = \"odd.sql\"\nexpect = \"no rows\"\n";
    let night = Night::with("timezone = \"UTC\"", query);
    night.dir.write(
        "odd.sql",
        "SELECT timestamp FROM logs WHERE message = 'b' ORDER BY 1 LIMIT 3",
    );
    night
        .export()
        .stream("web", &events(at("2025-03-10T00:00:00Z"), 0..0));
    let plan = night
        .dir
        .logtally(["plan", "night.toml", "--window", WINDOW])
        .run();
    plan.assert_success()
        .stdout_contains("expect   odd: no rows");
    let strict = || night.run_with(["--window", WINDOW, "--strict"]);
    strict()
        .assert_code(9)
        .stdout_contains("broken   odd: expected no rows, found 3 rows");
    let job = night.dir.read_text("night.toml");
    night
        .dir
        .write("night.toml", job.replace("no rows", "rows"));
    strict().assert_success();
}

#[test]
fn a_total_is_compared_with_that_of_a_week_before() {
    let expect = "[[expect]]\nquery = \"hourly_count\"\ncolumn = \"events\"\nprevious = \"7 days\"\nmin = \"50%\"\nmax = \"200%\"\n";
    let night = Night::with("timezone = \"UTC\"", expect);
    let export = night.export();
    let (first, second) = (at("2025-03-03T00:00:00Z"), at("2025-03-10T00:00:00Z"));
    export.stream("web-1", &events(first, 0..0));
    export.stream("web-2", &events(second, 5..24));

    let report = |window: &str| night.receipt(window)["expectations"][0].clone();
    // Nothing to compare with is no broken expectation.
    let unchecked = report("2025-03-03");
    assert_eq!(unchecked["result"], "unchecked");
    assert_eq!(unchecked["note"], "there is no answer of 2025-02-24");
    night
        .run_with(["--window", "2025-03-03", "--strict"])
        .assert_success();

    let broken = report(WINDOW);
    assert_eq!(
        (&broken["result"], &broken["earlier"]),
        (&json!("broken"), &json!(48.0))
    );
    let strict = night.run_with(["--window", WINDOW, "--strict"]);
    strict
        .assert_code(9)
        .stdout_contains("found 10 after 48 (21%)");
}

#[test]
fn an_expectation_that_can_not_be_is_an_error_before_anything_is_read() {
    for (expect, expected) in [
        (
            "query = \"hourly_count\"\ncolumn = \"evnts\"\nmin = 1",
            "the answer has no column \"evnts\"",
        ),
        (
            "query = \"hourly_count\"\ncolumn = \"utc_offset\"\nmin = 1",
            "expected numbers",
        ),
        (
            "query = \"hourly\"\ncolumn = \"events\"\nmin = 1",
            "is no query of this job",
        ),
    ] {
        let night = Night::with("timezone = \"UTC\"", &format!("[[expect]]\n{expect}\n"));
        night
            .run(WINDOW)
            .assert_code(2)
            .stderr_contains(&expected.replace('"', "\\\""));
        let plan = night.dir.logtally(["plan", "night.toml"]).run();
        plan.assert_code(2).stderr_contains("night.toml");
        assert_eq!(night.outputs(), Vec::<String>::new());
    }
}
