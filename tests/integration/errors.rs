//! Wrong jobs: each ends with one message and an exit code, and writes nothing.

use std::fs;

use crate::support::events::at;
use crate::support::job::{JOB, Night};
use crate::support::program::Dir;

const DAY: &str = "2025-03-03";

/// A job with a query of its own and a chart.
fn night() -> Night {
    let night = Night::with(
        "timezone = \"Asia/Seoul\"",
        r#"[[query]]
name = "errors"
sql = "errors.sql"
[[query.chart]]
kind = "bar"
x = "hour"
y = "errors"
formats = ["png"]
"#,
    );
    night
        .export()
        .stream("web/app", &[(at("2025-03-03T10:00:00Z"), "x")]);
    night.dir.write(
        "errors.sql",
        "SELECT hour_local AS hour, events AS errors\nFROM hourly_count\n",
    );
    night
}

/// Changes a text of the job, and expects `run` and `plan` to end with a code, to print all these texts and to write
/// nothing.
#[track_caller]
fn refused(from: &str, to: &str, code: i32, expected: &[&str]) {
    let night = night();
    let job = night.dir.read_text(JOB);
    assert!(job.contains(from), "{from:?} is not in\n{job}");
    night.dir.write(JOB, job.replacen(from, to, 1));
    let before = night.dir.files();
    for arguments in [
        &["run", JOB, "--window", DAY][..],
        &["plan", JOB, "--window", DAY],
    ] {
        let finished = night.dir.logtally(arguments).run();
        assert_eq!(finished.code(), Some(code), "{from:?} to {to:?}{finished}");
        for text in expected {
            finished.stderr_contains(text);
        }
        finished.stdout_is("");
    }
    assert_eq!(night.dir.files(), before);
}

#[test]
fn the_job_of_these_tests_is_right() {
    night().run(DAY).assert_success();
}

#[test]
fn wrong_keys_are_named_with_their_place_and_the_nearest() {
    // stderr is JSON here, which escapes the quotes.
    refused(
        "timezone",
        "timezon",
        2,
        &["night.toml:2:", "timezon", "did you mean", "timezone"],
    );
    refused("path =", "paht =", 2, &["night.toml:5:", "paht", "path"]);
    refused(
        "location =",
        "locatoin =",
        2,
        &["night.toml:7:", "locatoin", "location"],
    );
    refused(
        "[output]",
        "[outputs]",
        2,
        &["night.toml:6:", "outputs", "output"],
    );
    refused(
        "kind = \"bar\"",
        "kynd = \"bar\"",
        2,
        &["night.toml:14:", "kynd", "kind"],
    );
    refused(
        "[[query]]\nuse",
        "[[querry]]\nuse",
        2,
        &["night.toml:8:", "querry", "query"],
    );
    refused("name = \"night\"", "", 2, &["name", "missing"]);
    refused("location = \"out\"", "", 2, &["location", "missing"]);
}

#[test]
fn wrong_values_are_named_with_their_place() {
    refused(
        "Asia/Seoul",
        "Asia/Soul",
        2,
        &["night.toml:2:", "Asia/Soul", "Asia/Seoul"],
    );
    refused("Asia/Seoul", "KST", 2, &["night.toml:2:", "KST"]);
    refused(
        "\"night\"",
        "\"Night Job\"",
        2,
        &["night.toml:1:", "Night Job"],
    );
    refused("\"night\"", "\"runs\"", 2, &["runs", "taken"]);
    refused("\"night\"", "7", 2, &["night.toml:1:"]);
    refused(
        "\"exported\"\npath",
        "\"export\"\npath",
        2,
        &["night.toml:4:", "exported"],
    );
    refused(
        "hourly_count",
        "hourly",
        2,
        &["hourly", "hourly_count", "hour_of_day"],
    );
    refused("\"bar\"", "\"pie\"", 2, &["night.toml:14:", "pie", "line"]);
    refused("\"png\"", "\"gif\"", 2, &["night.toml:17:", "gif", "svg"]);
    refused("[\"png\"]", "[]", 2, &["formats"]);
    refused("[\"png\"]", "\"png\"", 2, &["night.toml:17:"]);
    refused("\"out\"", "\"gs://bucket/x\"", 2, &["gs", "s3://"]);
    refused("\"out\"", "\"s3://B\"", 2, &["s3://B"]);
    refused("\"out\"", "\"\"", 2, &["location"]);
    refused(
        "[output]",
        "[window]\nsize = \"year\"\n[output]",
        2,
        &["year", "month"],
    );
    refused(
        "[output]",
        "[window]\nsettled_after = \"soon\"\n[output]",
        2,
        &["soon"],
    );
    refused(
        "[output]",
        "[window]\ndefault = \"2025-W10\"\n[output]",
        2,
        &["2025-W10"],
    );
    refused(
        "[output]",
        "[run]\nmemory = \"lots\"\n[output]",
        2,
        &["lots", "GiB"],
    );
    refused("[output]", "[output", 2, &["night.toml:6"]);
}

#[test]
fn variables_are_filled_in_and_unset_ones_are_named() {
    refused(
        "\"out\"",
        "\"${LOGTALLY_NOT_SET}\"",
        2,
        &["night.toml:7:", "LOGTALLY_NOT_SET"],
    );
    refused("\"out\"", "\"${LOGTALLY_NOT_SET\"", 2, &["night.toml:7:"]);
    let night = night();
    let job = night.dir.read_text(JOB);
    night
        .dir
        .write(JOB, job.replace("\"out\"", "\"${WHERE}/to\""));
    night
        .dir
        .logtally(["run", JOB, "--window", DAY])
        .env("WHERE", "elsewhere")
        .run()
        .assert_success();
    assert!(night.dir.join("elsewhere/to/night/runs").is_dir());
}

#[test]
fn keys_of_another_kind_of_source_are_refused() {
    for (key, kind) in [
        ("log_groups = [\"/ecs/web\"]", "cloudwatch"),
        ("log_stream_prefix = \"web\"", "cloudwatch"),
        ("staging = \"staging\"", "cloudwatch"),
        ("pad = \"1h\"", "directory"),
        ("give_up_after = \"1h\"", "cloudwatch"),
    ] {
        let name = key.split(' ').next().expect("a key");
        refused(
            "path = ",
            &format!("{key}\npath = "),
            2,
            &[name, kind, "exported"],
        );
    }
    refused(
        "\"exported\"\npath",
        "\"directory\"\nlog_group = \"x\"\npath",
        2,
        &["log_group"],
    );
    refused("\"exported\"\npath", "\"cloudwatch\"\npath", 2, &["path"]);
    refused(
        "\"exported\"\npath = \"exported\"",
        "\"cloudwatch\"\nlog_groups = [\"/ecs/web\"]\nstaging = \"folder\"",
        2,
        &["staging", "S3"],
    );
    refused(
        "\"exported\"\npath = \"exported\"",
        "\"cloudwatch\"\nlog_groups = []\nstaging = \"s3://acme-logs\"",
        2,
        &["log_groups"],
    );
    refused("path = \"exported\"", "", 2, &["path"]);
}

#[test]
fn questions_that_are_wrong_are_refused() {
    refused("\"errors.sql\"", "\"nope.sql\"", 2, &["nope.sql", "errors"]);
    refused("name = \"errors\"\n", "", 2, &["errors.sql", "name"]);
    refused("sql = \"errors.sql\"\n", "", 2, &["errors", "use", "sql"]);
    refused(
        "use = \"hourly_count\"",
        "use = \"hourly_count\"\nname = \"logs\"",
        2,
        &["logs", "taken"],
    );
    refused(
        "name = \"errors\"",
        "name = \"hourly_count\"",
        2,
        &["hourly_count"],
    );
    refused(
        "name = \"errors\"",
        "name = \"charts\"",
        2,
        &["charts", "taken"],
    );
    refused("y = \"errors\"", "y = \"eror\"", 2, &["eror", "errors"]);
    refused("x = \"hour\"", "x = \"hours\"", 2, &["hours", "hour"]);
}

#[test]
fn sql_errors_have_their_file_and_line() {
    for (sql, place, expected) in [
        (
            "SELECT hour_local AS hour,\n  evnts AS errors\nFROM hourly_count",
            "errors.sql:2:3",
            "events",
        ),
        ("SELECT *\nFROM\n  nowhere", "errors.sql:3:3", "nowhere"),
        (
            "SELECT 1 AS hour,\n  2 AS errors FORM logs extra words",
            "errors.sql:2",
            "FORM",
        ),
        (
            "SELECT 1 AS hour, nope(message) AS errors\nFROM logs",
            "errors.sql",
            "nope",
        ),
        ("", "errors.sql", ""),
        ("DROP TABLE logs", "errors.sql", ""),
        ("SELECT 1 AS hour, 2 AS errors; SELECT 3", "errors.sql", ""),
        (
            "SELECT 1 AS hour, 2 AS errors, message->'a' AS u FROM logs",
            "errors.sql",
            "u",
        ),
        (
            "SELECT 1 AS hour, 2 AS errors, 3 AS errors FROM logs",
            "errors.sql",
            "errors",
        ),
    ] {
        let night = night();
        night.dir.write("errors.sql", sql);
        let before = night.dir.files();
        let finished = night.run(DAY);
        assert_eq!(finished.code(), Some(6), "{sql}{finished}");
        finished.stderr_contains(place).stderr_contains(expected);
        finished
            .stderr_lacks("Error during planning")
            .stderr_lacks("backtrace");
        assert_eq!(night.dir.files(), before, "{sql}");
    }
}

#[test]
fn an_error_of_one_question_publishes_none() {
    let night = night();
    // This error occurs only over data.
    night.dir.write(
        "errors.sql",
        "SELECT hour_local AS hour, 1 / (events - 1) AS errors\nFROM hourly_count",
    );
    night
        .run(DAY)
        .assert_code(6)
        .stderr_contains("errors.sql")
        .stderr_contains("zero");
    assert_eq!(night.outputs(), Vec::<String>::new());
}

#[test]
fn a_job_file_that_is_none_is_named() {
    let dir = Dir::new();
    for command in ["run", "plan"] {
        dir.logtally([command, "nowhere.toml"])
            .run()
            .assert_code(2)
            .stderr_contains("nowhere.toml");
    }
    dir.write("folder.toml/file", "");
    dir.logtally(["run", "folder.toml"])
        .run()
        .assert_code(2)
        .stderr_contains("folder.toml");
    dir.write("latin1.toml", b"name = \"caf\xe9\"");
    dir.logtally(["run", "latin1.toml"])
        .run()
        .assert_code(2)
        .stderr_contains("latin1.toml");
    dir.write("empty.toml", "");
    dir.logtally(["run", "empty.toml"])
        .run()
        .assert_code(2)
        .stderr_contains("empty.toml");
}

#[test]
fn wrong_arguments_are_wrong() {
    let dir = Dir::new();
    for arguments in [
        &["fly"][..],
        &[],
        &["run"],
        &["run", "x.toml", "--wndow", "2025-03-03"],
        &["run", "x.toml", "--force=everything"],
        &["query", "x", "--format", "xml", "SELECT 1"],
        &["-q", "-v", "run", "x.toml"],
    ] {
        let finished = dir.logtally(arguments).run();
        assert_eq!(finished.code(), Some(2), "{arguments:?}{finished}");
    }
    // Without a terminal, an error is one line of JSON on stderr; with --json, a document on stdout as well.
    let finished = dir
        .logtally(["run", "x.toml", "--last", "7", "--json"])
        .run();
    let document = finished.assert_code(2).stdout_run();
    assert_eq!(document["exit_code"], 2, "{finished}");
    let line: serde_json::Value =
        serde_json::from_str(finished.stderr.trim()).expect("one line of JSON");
    assert_eq!(line["exit_code"], 2, "{finished}");
    assert_eq!(line["message"], document["error"], "{finished}");
    for arguments in [&["--help"][..], &["run", "--help"], &["query", "--help"]] {
        dir.logtally(arguments)
            .run()
            .assert_success()
            .stdout_contains("Usage");
    }
}

#[test]
fn an_output_that_can_not_be_written_is_named() {
    // A file in place of a folder; permissions would not stop tests that run as root.
    for (file, code) in [
        ("out", 7),
        ("out/night", 7),
        ("out/night/hourly_count", 7),
        ("out/night/runs", 7),
    ] {
        let night = night();
        night.dir.write(file, "in the way");
        let finished = night.run(DAY);
        assert_eq!(finished.code(), Some(code), "{file}{finished}");
        finished
            .stderr_contains("is a file, expected a folder")
            .stderr_lacks("Generic");
        let receipt = night.dir.join(format!("out/night/runs/{DAY}.json"));
        assert!(!receipt.exists(), "{file}");
        assert_eq!(night.dir.read_text(file), "in the way");
    }
}

#[test]
fn a_folder_of_events_that_is_wrong_is_named() {
    let night = night();
    let job = night.dir.read_text(JOB);
    let job = job.replace(
        "\"exported\"\npath = \"exported\"",
        "\"directory\"\npath = \"events\"",
    );
    night.dir.write(JOB, job);
    night.run(DAY).assert_code(2).stderr_contains("events");
    night.dir.write("events/readme.txt", "no log group");
    night.run(DAY).assert_code(2).stderr_contains("events");
    for (line, expected) in [
        ("not JSON", "web%2Fapp.ndjson:2"),
        (
            "{\"timestamp\": \"now\", \"message\": \"x\"}",
            "web%2Fapp.ndjson:2",
        ),
        ("{\"timestamp\": 1, \"text\": \"x\"}", "web%2Fapp.ndjson:2"),
    ] {
        let first = "{\"timestamp\": 1741000000000, \"message\": \"x\"}";
        let file = "events/%2Fecs%2Fweb/web%2Fapp.ndjson";
        night.dir.write(file, format!("{first}\n{line}\n"));
        night.run(DAY).assert_code(5).stderr_contains(expected);
    }
    assert_eq!(
        night
            .outputs()
            .into_iter()
            .filter(|file| !file.contains("_staging"))
            .collect::<Vec<_>>(),
        Vec::<String>::new()
    );
    fs::remove_dir_all(night.dir.join("events")).expect("the test's folder is writable");
}

#[test]
fn a_query_that_needs_too_much_memory_says_which_key_to_change() {
    let night = night();
    let job = night.dir.read_text(JOB) + "[run]\nmemory = \"1MiB\"\n";
    night.dir.write(JOB, job);
    night.dir.write(
        "errors.sql",
        "SELECT sum(a.value) AS hour, count(*) AS errors FROM generate_series(1, 2000000) AS a \
         JOIN generate_series(1, 2000000) AS b ON a.value = b.value",
    );
    night
        .run(DAY)
        .assert_code(6)
        .stderr_contains("[run] memory")
        .stderr_lacks("reservation");
    assert_eq!(night.outputs(), Vec::<String>::new());
}

#[test]
fn an_error_that_only_rows_show_has_its_place_in_the_log_and_in_the_document() {
    let night = night();
    night.dir.write(
        "errors.sql",
        "SELECT log_stream AS hour,\n  sum(message::int) AS errors\nFROM logs GROUP BY 1\n",
    );
    let finished = night
        .dir
        .logtally(["run", JOB, "--window", DAY, "--json"])
        .run();
    let document = finished.assert_code(6).stdout_run();
    assert_eq!(
        document["error"],
        "errors.sql:2:16: invalid input syntax for type integer: \"x\" (hint: TRY_CAST(x AS integer) gives NULL for texts that are none)"
    );
    let excerpt = "sum(message::int) AS errors\n             ^";
    assert_eq!(document["excerpt"], excerpt);
    finished
        .stderr_contains("errors.sql:2:16: invalid input syntax")
        .stderr_contains(&format!("\"excerpt\":{}", serde_json::json!(excerpt)));
}

#[test]
fn mistakes_in_the_sql_are_told_before_the_exports_are_read() {
    let night = night();
    // A run that read it would end with 5.
    night.dir.write("exported/0a1b/web/000000.gz", "no gzip");
    for (sql, expected) in [
        ("count(*) / 0", "errors.sql:1:37: division by zero"),
        (
            "count(*) FILTER (WHERE message ~ '(')",
            "errors.sql:1:61: invalid regular expression",
        ),
        (
            "percentile_cont(length(message), 1.5)",
            "1.5 is not between 0 and 1",
        ),
        ("max(date_trunc('fortnight', timestamp))", "fortnight"),
    ] {
        let sql = format!("SELECT log_stream AS hour, {sql} AS errors FROM logs GROUP BY 1");
        night.dir.write("errors.sql", &sql);
        let before = night.dir.files();
        for command in ["plan", "run"] {
            night
                .dir
                .logtally([command, JOB, "--window", DAY])
                .run()
                .assert_code(6)
                .stderr_contains(expected);
        }
        assert_eq!(night.dir.files(), before);
    }
}
