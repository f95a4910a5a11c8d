//! `logtally query`: ad-hoc SQL over exported objects and over a job's windows.

use serde_json::{Value, json};

use crate::support::events::{HOUR, at};
use crate::support::export::Object;
use crate::support::job::Night;
use crate::support::program::Finished;

const DAY: &str = "2025-03-03";

fn noon() -> i64 {
    at("2025-03-03T12:00:00Z")
}

/// A log of three events, whose messages are JSON, text and a Lambda report.
fn three() -> Night {
    let night = Night::new();
    let report = "REPORT RequestId: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\tDuration: 469.40 ms\tBilled Duration: 500 ms\tMemory Size: 1024 MB\tMax Memory Used: 21 MB\tInit Duration: 100.99 ms\t\n";
    let events = [
        (
            noon(),
            r#"{"level": "error", "message": "결제, \"실패\"", "order": {"id": 7}, "items": [1, 2]}"#,
        ),
        (noon() + HOUR, "WARN slow\n\tby a second line"),
        (noon() + 2 * HOUR, report),
    ];
    night.export().stream(
        "2025/03/03/[$LATEST]8384fc4f4204e4521a5c7742b76ea1ef",
        &events,
    );
    night
}

fn query<'a>(night: &Night, arguments: impl IntoIterator<Item = &'a str>) -> Finished {
    let arguments = ["query", "exported"].into_iter().chain(arguments);
    night.dir.logtally(arguments).run()
}

#[test]
fn answers_are_tables_csv_and_json() {
    let night = three();
    let sql = "SELECT timestamp, message->>'message' AS said, 1.5 AS n, NULL AS nothing FROM logs ORDER BY timestamp LIMIT 2";
    query(&night, [sql]).assert_success().stdout_is(
        "\
+----------------------+--------------+-----+---------+
| timestamp            | said         |   n | nothing |
+----------------------+--------------+-----+---------+
| 2025-03-03T12:00:00Z | 결제, \"실패\" | 1.5 | NULL    |
| 2025-03-03T13:00:00Z | NULL         | 1.5 | NULL    |
+----------------------+--------------+-----+---------+
",
    );
    query(&night, ["--format", "csv", sql])
        .assert_success()
        .stdout_is(
            "\
timestamp,said,n,nothing
2025-03-03T12:00:00.000+00:00,\"결제, \"\"실패\"\"\",1.5,
2025-03-03T13:00:00.000+00:00,,1.5,
",
        );
    let rows = query(&night, ["--format", "json", sql]);
    let rows = rows.assert_success().stdout_json();
    assert_eq!(rows[0]["said"], "결제, \"실패\"");
    assert_eq!(rows[0]["n"], 1.5);
    assert_eq!(rows[1]["said"], Value::Null);
    assert!(
        rows[0]
            .as_object()
            .is_some_and(|row| row.contains_key("nothing"))
    );
    let time = rows[0]["timestamp"].as_str().expect("a text");
    assert_eq!(at(time), noon());
}

#[test]
fn no_rows_are_an_answer() {
    let night = three();
    let sql = "SELECT message FROM logs WHERE message = 'nobody said so'";
    query(&night, ["--format", "csv", sql])
        .assert_success()
        .stdout_is("message\n");
    let rows = query(&night, ["--format", "json", sql]);
    assert_eq!(rows.assert_success().stdout_json(), json!([]));
    query(&night, [sql])
        .assert_success()
        .stdout_contains("message");
}

#[test]
fn json_operators_need_no_parentheses() {
    let night = three();
    for condition in [
        "message->>'level' = 'error'",
        "(message->>'level') = 'error'",
        "message->>'level' IN ('error', 'fatal')",
        "message->>'level' LIKE 'err%'",
        "message->>'level' IS NOT NULL",
        "message->'order'->>'id' = '7'",
        "json_get_str(message, 'level') = 'error'",
        "json_get_int(message, 'order', 'id') = 7",
        "json_get_int(message, 'items', 1) = 2",
        "json_contains(message, 'order')",
        "json_length(message, 'items') = 2",
        "(message->'order'->>'id')::int + 1 = 8",
    ] {
        let sql = format!("SELECT count(*) AS n FROM logs WHERE {condition}");
        assert_eq!(night.ask(&sql), json!([{"n": 1}]), "{condition}");
    }
}

#[test]
fn functions_read_messages_and_times() {
    let night = three();
    assert_eq!(
        night.ask(
            "SELECT r['duration_ms'] AS d, r['billed_ms'] AS b, r['memory_mb'] AS m, r['max_memory_mb'] AS x, r['init_ms'] AS i, \
             r['restore_ms'] AS s FROM (SELECT lambda_report(message) AS r FROM logs) WHERE r IS NOT NULL"
        ),
        json!([{"d": 469.4, "b": 500, "m": 1024, "x": 21, "i": 100.99, "s": null}])
    );
    assert_eq!(
        night.ask("SELECT level(message) AS l, log_type(message) AS t, request_id(message) AS r FROM logs ORDER BY timestamp"),
        json!([
            {"l": "ERROR", "t": "json", "r": null},
            {"l": "WARN", "t": "text", "r": null},
            {"l": null, "t": "report", "r": "8476a536-e9f4-11e8-9739-2dfe598c3fcd"},
        ])
    );
    let sql = "SELECT hour_of_day(timestamp) AS h, local_time(timestamp)::text AS l, time_bucket('1 day', timestamp)::text AS b FROM logs \
               ORDER BY timestamp LIMIT 1";
    assert_eq!(night.ask(sql)[0]["l"], json!("2025-03-03T12:00:00"));
    let seoul = query(
        &night,
        ["--timezone", "Asia/Seoul", "--format", "json", sql],
    );
    let seoul = seoul.assert_success().stdout_json();
    assert_eq!(seoul[0]["h"], 21);
    assert_eq!(seoul[0]["l"], "2025-03-03T21:00:00");
    assert_eq!(
        at(seoul[0]["b"].as_str().expect("a text")),
        at("2025-03-02T15:00:00Z")
    );
}

#[test]
fn names_need_no_quotes_and_stars_give_all_columns() {
    let night = three();
    for sql in [
        "SELECT timestamp FROM logs",
        "SELECT logs.timestamp FROM logs",
        "SELECT \"timestamp\" FROM logs",
        "SELECT l.timestamp AS t FROM logs AS l WHERE l.timestamp > '2025-01-01' ORDER BY timestamp",
        "SELECT timestamp FROM logs WHERE timestamp >= '2025-03-03T12:00:00Z' AND timestamp < TIMESTAMP '2025-03-04'",
        "SELECT date_trunc('hour', timestamp) FROM logs",
    ] {
        let rows = night.ask(sql);
        assert_eq!(rows.as_array().map(Vec::len), Some(3), "{sql}");
    }
    let row = &night.ask("SELECT * FROM logs LIMIT 1")[0];
    let columns: Vec<&String> = row.as_object().expect("a row").keys().collect();
    assert_eq!(columns, ["log_group", "log_stream", "message", "timestamp"]);
}

#[test]
fn streams_and_groups_are_columns() {
    let night = three();
    assert_eq!(
        night.ask("SELECT DISTINCT log_group, log_stream FROM logs"),
        json!([{"log_group": null, "log_stream": "2025/03/03/[$LATEST]8384fc4f4204e4521a5c7742b76ea1ef"}])
    );
    assert_eq!(
        night.ask("SELECT count(*) AS n FROM logs WHERE log_stream LIKE '2025/03/03/%' AND log_group IS NULL"),
        json!([{"n": 3}])
    );
    assert_eq!(
        night.ask("SELECT count(*) AS n FROM logs WHERE log_stream = 'another'"),
        json!([{"n": 0}])
    );
    assert_eq!(
        night.ask("SELECT count(*) AS n FROM logs WHERE log_group = 'x' OR message LIKE 'WARN%'"),
        json!([{"n": 1}])
    );
}

#[test]
fn filters_on_time_give_the_same_however_they_are_written() {
    let night = Night::new();
    let events: Vec<(i64, String)> = (0..5).map(|n| (noon() + n, n.to_string())).collect();
    night.export().stream("web/app", &events);
    for (condition, expected) in [
        ("timestamp >= '2025-03-03T12:00:00.002Z'", 3),
        ("timestamp > '2025-03-03T12:00:00.002Z'", 2),
        ("timestamp < '2025-03-03T12:00:00.002Z'", 2),
        ("timestamp <= '2025-03-03T12:00:00.002Z'", 3),
        ("timestamp = '2025-03-03T12:00:00.002Z'", 1),
        ("timestamp <> '2025-03-03T12:00:00.002Z'", 4),
        (
            "timestamp BETWEEN '2025-03-03T12:00:00.001Z' AND '2025-03-03T12:00:00.003Z'",
            3,
        ),
        (
            "timestamp NOT BETWEEN '2025-03-03T12:00:00.001Z' AND '2025-03-03T12:00:00.003Z'",
            2,
        ),
        ("timestamp > TIMESTAMP '2025-03-03 12:00:00.002'", 2),
        ("'2025-03-03T12:00:00.002Z' < timestamp", 2),
        (
            "timestamp < '2025-03-03T12:00:00.001Z' OR timestamp > '2025-03-03T12:00:00.003Z'",
            2,
        ),
    ] {
        let sql = format!("SELECT count(*) AS n FROM logs WHERE {condition}");
        assert_eq!(night.ask(&sql), json!([{"n": expected}]), "{condition}");
    }
}

#[test]
fn times_are_of_the_zone_and_have_its_offset() {
    let night = three();
    let in_seoul = |format: &'static str, sql: &'static str| {
        let arguments = ["--timezone", "Asia/Seoul", "--format", format, sql];
        query(&night, arguments)
    };
    let sql = "SELECT timestamp AS t, local_time(timestamp) AS l, timestamp::date AS d FROM logs \
               WHERE timestamp >= '2025-03-03 22:00' AND timestamp < '2025-03-03 22:00:00.001'";
    in_seoul("csv", sql)
        .assert_success()
        .stdout_is("t,l,d\n2025-03-03T22:00:00.000+09:00,2025-03-03T22:00:00.000,2025-03-03\n");
    assert_eq!(
        in_seoul("json", sql).assert_success().stdout_json(),
        json!([{"t": "2025-03-03T22:00:00.000+09:00", "l": "2025-03-03T22:00:00.000", "d": "2025-03-03"}])
    );
    in_seoul("table", sql)
        .assert_success()
        .stdout_contains("| 2025-03-03T22:00:00+09:00 | 2025-03-03T22:00:00 | 2025-03-03 |");
}

#[test]
fn a_local_time_is_decided_by_the_scan_like_an_instant() {
    let night = three();
    let from = at("2025-03-03T13:00:00Z");
    for time in [
        "'2025-03-03 22:00'",
        "timestamp '2025-03-03 22:00:00'",
        "to_timestamp('2025-03-03 22:00')",
        "date '2025-03-03' + interval '22 hours'",
        "'2025-03-03T13:00:00Z'",
    ] {
        let sql = format!("EXPLAIN SELECT count(*) FROM logs WHERE timestamp >= {time}");
        let plan = query(
            &night,
            ["--timezone", "Asia/Seoul", "--format", "json", &sql],
        );
        let plan = plan.assert_success();
        plan.stdout_contains(&format!("timestamp_ms=[{from}, "));
        assert!(!plan.stdout.contains("FilterExec"), "{time}");
    }
}

#[test]
fn a_text_that_is_no_time_is_told_with_its_place() {
    let night = three();
    query(
        &night,
        ["SELECT count(*) FROM logs WHERE timestamp > 'yesterday'"],
    )
    .assert_code(6)
    .stderr_contains("SQL:1:45: \\\"yesterday\\\" is no time: expected one such as");
}

#[test]
fn a_window_narrows_a_location() {
    let night = Night::new();
    night.export().stream(
        "web/app",
        &[
            (noon(), "a"),
            (noon() + 24 * HOUR, "b"),
            (noon() + 48 * HOUR, "c"),
        ],
    );
    let count = |arguments: &[&str]| {
        let sql = "SELECT count(*) AS n FROM logs";
        let all = arguments.iter().copied().chain(["--format", "json", sql]);
        query(&night, all).assert_success().stdout_json()[0]["n"].as_i64()
    };
    assert_eq!(count(&[]), Some(3));
    assert_eq!(count(&["--window", DAY]), Some(1));
    assert_eq!(count(&["--window", "2025-03-03T12"]), Some(1));
    assert_eq!(count(&["--window", "2025-W10"]), Some(3));
    assert_eq!(count(&["--window", "2025-03"]), Some(3));
    assert_eq!(
        count(&["--from", "2025-03-03", "--to", "2025-03-04"]),
        Some(2)
    );
    assert_eq!(
        count(&["--window", "2025-03-04", "--timezone", "Asia/Seoul"]),
        Some(1)
    );
    query(&night, ["--window", "soon", "SELECT 1"])
        .assert_code(2)
        .stderr_contains("soon");
    query(&night, ["--timezone", "Asia/Soul", "SELECT 1"])
        .assert_code(2)
        .stderr_contains("Asia/Seoul");
}

#[test]
fn hours_and_the_parameters_are_there_with_a_window() {
    let night = three();
    let rows = query(
        &night,
        [
            "--window",
            DAY,
            "--format",
            "json",
            "SELECT count(*) AS n, count(logs.message) AS events FROM hours LEFT JOIN logs ON time_bucket('1 hour', logs.timestamp) = hours.hour_utc",
        ],
    );
    assert_eq!(
        rows.assert_success().stdout_json(),
        json!([{"n": 24, "events": 3}])
    );
    let rows = query(
        &night,
        [
            "--window",
            DAY,
            "--timezone",
            "Asia/Seoul",
            "--format",
            "json",
            "SELECT $window_start AS s, $window_end AS e, $timezone AS z",
        ],
    );
    let row = &rows.assert_success().stdout_json()[0];
    assert_eq!(
        at(row["s"].as_str().expect("a text")),
        at("2025-03-02T15:00:00Z")
    );
    assert_eq!(
        at(row["e"].as_str().expect("a text")),
        at("2025-03-03T15:00:00Z")
    );
    assert_eq!(row["z"], "Asia/Seoul");
    for sql in [
        "SELECT * FROM hours",
        "SELECT (SELECT count(*) FROM hours)",
        "WITH h AS (SELECT * FROM hours) SELECT * FROM h",
        "SELECT * FROM logs WHERE timestamp >= $window_start",
        "SELECT $window_end",
    ] {
        query(&night, [sql])
            .assert_code(2)
            .stderr_contains("--window");
    }
    query(&night, ["SELECT $nobody"])
        .assert_code(6)
        .stderr_contains("$nobody");
}

#[test]
fn a_question_can_only_read() {
    let night = three();
    let before = night.dir.files();
    for sql in [
        "CREATE TABLE t AS SELECT 1",
        "CREATE VIEW v AS SELECT 1",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION 'night.toml'",
        "DROP TABLE logs",
        "INSERT INTO logs VALUES (1)",
        "DELETE FROM logs",
        "COPY (SELECT 1) TO 'stolen.csv'",
        "COPY logs TO 'stolen.parquet' STORED AS PARQUET",
        "SET datafusion.execution.target_partitions = 1",
        "BEGIN",
    ] {
        let finished = query(&night, [sql]);
        assert_eq!(finished.code(), Some(6), "{sql}{finished}");
        finished.stdout_is("");
    }
    query(&night, ["SELECT 1;"]).assert_success();
    for empty in ["", "  ", "-- nothing"] {
        let finished = query(&night, [empty]);
        assert!(matches!(finished.code(), Some(2 | 6)), "{finished}");
    }
    assert_eq!(night.dir.files(), before);
}

#[test]
fn wrong_questions_are_explained() {
    let night = three();
    for (sql, expected) in [
        ("SELECT mesage FROM logs", "message"),
        ("SELEC 1", "SELEC"),
        (
            "SELECT * FROM log",
            "table \\\"log\\\" does not exist (hint: did you mean logs?)",
        ),
        (
            "SELECT lambda_report(message)['duration'] FROM logs",
            "the members of a report are request_id, duration_ms",
        ),
        ("SELECT nope(message) FROM logs", "nope"),
        (
            "SELECT time_bucket('7 minutes', timestamp) FROM logs",
            "7 minutes",
        ),
        ("SELECT message + 1 FROM logs", "message"),
        ("SELECT 1/0", "zero"),
    ] {
        let finished = query(&night, [sql]);
        finished
            .assert_code(6)
            .stderr_contains(expected)
            .stdout_is("");
    }
}

#[test]
fn what_can_not_be_drawn_is_explained_in_the_words_of_sql() {
    let night = three();
    let sql = "SELECT message, 1 AS n FROM logs";
    query(&night, ["--chart", "heatmap", sql])
        .assert_code(2)
        .stderr_contains("\\\"message\\\" is text: expected a time")
        .stderr_lacks("series =");
}

#[test]
fn the_age_of_an_event_is_now_minus_its_time() {
    let night = three();
    for now in ["now()", "current_timestamp"] {
        let sql = format!(
            "SELECT {now} - timestamp > interval '1 hour' AS old, {now} > timestamp AS later FROM logs LIMIT 1"
        );
        assert_eq!(night.ask(&sql), json!([{"old": true, "later": true}]));
    }
}

#[test]
fn sql_comes_from_stdin_too() {
    let night = three();
    night
        .dir
        .logtally(["query", "exported", "--format", "csv"])
        .stdin("SELECT count(*) AS n\nFROM logs -- all of them\n")
        .run()
        .assert_success()
        .stdout_is("n\n3\n");
}

#[test]
fn an_answer_goes_to_a_file_whole_or_not_at_all() {
    let night = three();
    let sql = "SELECT count(*) AS n FROM logs";
    query(&night, ["--format", "csv", "--output", "answer.csv", sql])
        .assert_success()
        .stdout_is("");
    assert_eq!(night.dir.read_text("answer.csv"), "n\n3\n");
    let before = night.dir.files();
    let late = "SELECT 1 / (CASE WHEN message LIKE 'REPORT%' THEN 0 ELSE 1 END) AS n FROM logs";
    query(&night, ["--format", "csv", "--output", "answer.csv", late]).assert_code(6);
    query(&night, ["--output", "other.csv", late]).assert_code(6);
    query(&night, ["--output", "no/such/folder/x.csv", sql])
        .assert_code(7)
        .stderr_contains("x.csv");
    assert_eq!(night.dir.read_text("answer.csv"), "n\n3\n");
    assert_eq!(night.dir.files(), before);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let night = Night::new();
    let events: Vec<(i64, String)> = (0..200_000)
        .map(|n| (noon() + n, format!("event {n}, of some length")))
        .collect();
    night.export().stream("web/app", &events);
    for format in ["csv", "json", "table"] {
        let pipe = format!(
            "'{}' query exported --format {format} 'SELECT message FROM logs' | head -n 2 > first; echo ${{PIPESTATUS[0]}}",
            env!("CARGO_BIN_EXE_logtally")
        );
        let finished = night.dir.program("bash", ["-c", &pipe]).run();
        finished.assert_success().stdout_is("0\n");
        finished.stderr_lacks("ERROR").stderr_lacks("panicked");
        assert!(!night.dir.read("first").is_empty(), "{format}");
    }
}

#[test]
fn large_answers_are_whole_and_large_tables_say_that_they_are_not() {
    let night = Night::new();
    let events: Vec<(i64, String)> = (0..30_000)
        .map(|n| (noon() + n, format!("event {n}")))
        .collect();
    night.export().stream("web/app", &events);
    let sql = "SELECT message FROM logs";
    let csv = query(&night, ["--format", "csv", sql]);
    assert_eq!(csv.assert_success().stdout.lines().count(), 30_001);
    let table = query(&night, [sql]);
    table.assert_success().stderr_contains("10000");
    assert_eq!(table.stdout.lines().count(), 10_000 + 4);
}

#[test]
fn a_limit_without_an_order_gives_the_same_rows_each_time() {
    let night = Night::new();
    let export = night.export();
    for stream in 0..8 {
        let events: Vec<(i64, String)> = (0..500)
            .map(|n| (noon() + n, format!("{stream}-{n}")))
            .collect();
        export.stream(&format!("s{stream}"), &events);
    }
    let first = night.ask("SELECT message FROM logs LIMIT 5");
    for _ in 0..3 {
        assert_eq!(night.ask("SELECT message FROM logs LIMIT 5"), first);
    }
    assert_eq!(first[0]["message"], "0-0");
}

#[test]
fn the_name_of_a_file_says_its_format() {
    let night = three();
    let sql = "SELECT count(*) AS n FROM logs";
    for (file, expected) in [
        ("answer.csv", "n\n3\n"),
        ("answer.JSON", "[{\"n\":3}]\n"),
        ("answer.txt", "+---+\n| n |\n+---+\n| 3 |\n+---+\n"),
        ("answer", "+---+\n| n |\n+---+\n| 3 |\n+---+\n"),
    ] {
        query(&night, ["--output", file, sql])
            .assert_success()
            .stdout_is("");
        assert_eq!(night.dir.read_text(file), expected, "{file}");
    }
    query(&night, ["--output", "answer.xlsx", sql])
        .assert_code(2)
        .stderr_contains("answer.xlsx")
        .stderr_contains("expected .csv, .tsv, .json");
    assert!(!night.dir.files().contains(&"answer.xlsx".to_owned()));
    // --format decides, also if the file's extension is unknown.
    query(&night, ["--format", "csv", "--output", "answer.tsv", sql]).assert_success();
    assert_eq!(night.dir.read_text("answer.tsv"), "n\n3\n");
    query(&night, ["--format", "csv", "--output", "-", sql])
        .assert_success()
        .stdout_is("n\n3\n");
}

#[test]
fn json_without_a_type_is_shown_as_its_text() {
    let night = three();
    let sql = "SELECT message->'level' AS l, message->'items' AS i, message->'order' AS o, message->'nothing' AS n \
               FROM logs ORDER BY timestamp LIMIT 2";
    query(&night, ["--format", "csv", sql])
        .assert_success()
        .stdout_is("l,i,o,n\n\"\"\"error\"\"\",\"[1, 2]\",\"{\"\"id\"\": 7}\",\n,,,\n");
    let rows = query(&night, ["--format", "json", sql]);
    assert_eq!(
        rows.assert_success().stdout_json(),
        json!([
            {"l": "\"error\"", "i": "[1, 2]", "o": "{\"id\": 7}", "n": null},
            {"l": null, "i": null, "o": null, "n": null},
        ])
    );
    query(&night, [sql])
        .assert_success()
        .stdout_contains("| \"error\" |");
}

#[test]
fn a_table_is_cut_and_csv_is_whole() {
    let night = Night::new();
    let long = format!("a\tb\nc{}", "x".repeat(20_000));
    night.export().stream("web/app", &[(noon(), long.as_str())]);
    let sql = "SELECT message FROM logs";
    let table = query(&night, [sql]);
    table.assert_success().stdout_contains("| a b↵cxxx");
    let widest = table.stdout.lines().map(|line| line.chars().count()).max();
    assert_eq!(widest, Some(124));
    query(&night, ["--format", "csv", sql])
        .assert_success()
        .stdout_contains(&long);
}

#[test]
fn a_question_may_begin_with_a_byte_order_mark_and_may_not_be_empty() {
    let night = three();
    let ask = |sql: &str| {
        let arguments = ["query", "exported", "--format", "csv"];
        night.dir.logtally(arguments).stdin(sql).run()
    };
    ask("\u{feff}SELECT count(*) AS n FROM logs")
        .assert_success()
        .stdout_is("n\n3\n");
    for empty in ["", " \n", "\u{feff}"] {
        ask(empty).assert_code(2).stderr_contains("no question");
    }
}

#[test]
fn windows_whose_exports_were_deleted_are_told_of() {
    let night = Night::new();
    for day in [DAY, "2025-03-04"] {
        let event = format!(
            "{{\"timestamp\": {}, \"message\": \"of {day}\"}}\n",
            at(&format!("{day}T12:00:00Z"))
        );
        let file = format!("events/web/{day}.ndjson");
        night.dir.write(file, event);
    }
    let job = night.dir.read_text("night.toml").replace(
        "kind = \"exported\"\npath = \"exported\"",
        "kind = \"directory\"\npath = \"events\"\nstaging = \"staging\"",
    );
    night.dir.write("night.toml", job);
    night
        .run_with(["--from", DAY, "--to", "2025-03-04"])
        .assert_success();
    let ask = |arguments: &[&str]| {
        let sql = "SELECT count(*) AS n FROM logs";
        let all = ["query", "night.toml", "--format", "csv", sql];
        night.dir.logtally(all.iter().chain(arguments)).run()
    };
    let delete = |day: &str| {
        let folder = night.dir.join(format!("staging/night/{day}"));
        std::fs::remove_dir_all(folder).expect("the export's folder");
    };
    ask(&[])
        .assert_success()
        .stdout_is("n\n2\n")
        .stderr_lacks("--force");
    delete(DAY);
    let again = "logtally run night.toml --window 2025-03-03 --force";
    ask(&[])
        .assert_success()
        .stdout_is("n\n1\n")
        .stderr_contains(again);
    ask(&["--window", "2025-03-04"])
        .assert_success()
        .stderr_lacks("--force");
    ask(&["--window", DAY])
        .assert_code(2)
        .stderr_contains("[source] keep")
        .stderr_contains(again);
    delete("2025-03-04");
    ask(&[])
        .assert_code(2)
        .stderr_contains("--from 2025-03-03 --to 2025-03-04 --force");
    night
        .run_with(["--from", DAY, "--to", "2025-03-04", "--force"])
        .assert_success();
    ask(&[]).assert_success().stdout_is("n\n2\n");
}

#[test]
fn a_job_counts_no_event_twice() {
    let night = Night::new();
    // Windows are exported with an hour of padding, so events near an edge are in two exports.
    let events: Vec<String> = (-30..30)
        .map(|n| {
            format!(
                "{{\"timestamp\": {}, \"message\": \"{n}\"}}\n",
                at("2025-03-04T00:00:00Z") + n * 60_000
            )
        })
        .collect();
    night
        .dir
        .write("events/%2Fecs%2Fweb/web%2Fapp.ndjson", events.concat());
    let job = night.dir.read_text("night.toml").replace(
        "kind = \"exported\"\npath = \"exported\"",
        "kind = \"directory\"\npath = \"events\"\nstaging = \"staging\"",
    );
    night.dir.write("night.toml", job);
    let ask = |arguments: &[&str]| {
        let all = ["query", "night.toml", "--format", "json"]
            .iter()
            .chain(arguments);
        night.dir.logtally(all.collect::<Vec<_>>()).run()
    };
    let count = "SELECT count(*) AS n, count(DISTINCT message) AS d, min(log_group) AS g FROM logs";
    ask(&[count])
        .assert_code(2)
        .stderr_contains("logtally run night.toml");
    night
        .run_with(["--from", "2025-03-03", "--to", "2025-03-04"])
        .assert_success();
    // Superseded attempts are not counted either.
    night
        .run_with(["--window", DAY, "--force=export"])
        .assert_success();
    let all = json!([{"n": 60, "d": 60, "g": "/ecs/web"}]);
    assert_eq!(ask(&[count]).assert_success().stdout_json(), all);
    let one = json!([{"n": 30, "d": 30, "g": "/ecs/web"}]);
    assert_eq!(
        ask(&["--window", DAY, count])
            .assert_success()
            .stdout_json(),
        one
    );
    assert_eq!(
        ask(&["--from", DAY, "--to", "2025-03-04", count])
            .assert_success()
            .stdout_json(),
        all
    );
    ask(&["--window", "2025-03-09", count])
        .assert_code(2)
        .stderr_contains("2025-03-09");
    // A query over the staging folder has the same answer.
    let place = |subject: &str| {
        let arguments = ["query", subject, "--format", "json", count];
        let finished = night.dir.logtally(arguments).run();
        finished.assert_success().stdout_json()
    };
    assert_eq!(place("staging"), all);
    // An unfinished attempt has no manifest and is not read.
    night.dir.write(
        "staging/night/2025-03-04/%2Fecs%2Fweb/attempt=unfinished/task/web-app/000000.gz",
        Object::new(&[(at("2025-03-04T10:00:00Z"), "half")]).gzip(),
    );
    assert_eq!(place("staging"), all);
    assert_eq!(place("night.toml"), all);
}

#[test]
fn a_place_that_is_not_there_is_named() {
    let night = Night::new();
    night
        .dir
        .logtally(["query", "nowhere", "SELECT 1"])
        .run()
        .assert_code(2)
        .stderr_contains("nowhere");
    night
        .dir
        .logtally(["query", "nowhere.toml", "SELECT 1"])
        .run()
        .assert_code(2)
        .stderr_contains("nowhere.toml");
    night
        .dir
        .logtally(["query", "ftp://host/x", "SELECT 1"])
        .run()
        .assert_code(2)
        .stderr_contains("ftp");
}

#[test]
fn what_the_engine_would_leave_out_is_refused() {
    let night = three();
    for (sql, clause) in [
        (
            "SELECT count(*) FROM logs TABLESAMPLE BERNOULLI (10)",
            "TABLESAMPLE",
        ),
        (
            "SELECT * FROM (SELECT 1 AS n FROM logs AS l TABLESAMPLE SYSTEM (10)) AS t",
            "TABLESAMPLE",
        ),
        (
            "SELECT * FROM generate_series(1, 3) WITH ORDINALITY",
            "WITH ORDINALITY",
        ),
        ("SELECT message FROM logs FOR UPDATE", "FOR UPDATE"),
    ] {
        query(&night, [sql])
            .assert_code(6)
            .stdout_is("")
            .stderr_contains(clause);
    }
}

#[test]
fn csv_tells_null_from_an_empty_text() {
    let night = three();
    let sql = "SELECT '' AS empty, NULL AS nothing, 'NaN'::double AS n FROM logs LIMIT 1";
    query(&night, ["--format", "csv", sql])
        .assert_success()
        .stdout_is("empty,nothing,n\n\"\",,NaN\n");
    let rows = query(&night, ["--format", "json", sql]);
    assert_eq!(
        rows.assert_success().stdout_json(),
        json!([{"empty": "", "nothing": null, "n": null}])
    );
}
