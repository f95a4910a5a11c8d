//! What `query` reads beside the logs of one location: the answers of a job, lookup tables, Parquet files, several locations,
//! several statements, parameters.

use std::fs;

use serde_json::{Value, json};

use crate::support::engines::duckdb;
use crate::support::events::{HOUR, at};
use crate::support::job::{JOB, Night};
use crate::support::program::{Dir, Finished};

const DAYS: [&str; 3] = ["2025-03-03", "2025-03-04", "2025-03-05"];

/// A job of three days, of which each has one event more than the one before, with answers by level in folders.
fn three_days() -> Night {
    let night = Night::with(
        "",
        "[[query]]\nname = \"levels\"\nsql = \"levels.sql\"\npartition_by = [\"level\"]\n\
         [[query]]\nname = \"change\"\nsql = \"change.sql\"\n\
         [[query]]\nname = \"slow\"\nsql = \"slow.sql\"\n[query.params]\nleast = 2\nword = \"it's $word; --\"\n\
         [[table]]\nname = \"customers\"\npath = \"lists/customers.csv\"\n",
    );
    night.dir.write(
        "levels.sql",
        "SELECT level(message) AS level, count(*) AS n, max(timestamp) AS last FROM logs GROUP BY 1",
    );
    night.dir.write(
        "change.sql",
        "SELECT h.hour_utc, h.events, b.events AS before FROM hourly_count AS h \
         LEFT JOIN previous('hourly_count', '1 day') AS b ON b.hour_local + interval '1 day' = h.hour_local",
    );
    night.dir.write(
        "slow.sql",
        "SELECT c.name, count(*) AS n FROM logs JOIN customers AS c ON split_part(message, ' ', 2) = c.code \
         WHERE length(message) >= $least AND message <> $word GROUP BY 1",
    );
    night.dir.write(
        "lists/customers.csv",
        "code,name,id\n007,Kim,1\n012,\"Lee, \"\"J\"\"\",2\n",
    );
    for (number, day) in DAYS.iter().enumerate() {
        let noon = at(&format!("{day}T12:00:00Z"));
        let events: Vec<_> = (0..=number as i64)
            .map(|event| {
                (
                    noon + event * HOUR,
                    if event == 0 {
                        "ERROR 007 slow"
                    } else {
                        "INFO 012 ok"
                    },
                )
            })
            .collect();
        night.export().stream(&format!("web/{day}"), &events);
        night.run(day).assert_success();
    }
    night
}

fn query<'a>(dir: &Dir, arguments: impl IntoIterator<Item = &'a str>) -> Finished {
    dir.logtally(["query"].into_iter().chain(arguments)).run()
}

fn rows<'a>(dir: &Dir, arguments: impl IntoIterator<Item = &'a str>) -> Value {
    let arguments = ["--format", "json"].into_iter().chain(arguments);
    query(dir, arguments).assert_success().stdout_json()
}

#[test]
fn every_answer_of_a_job_is_a_table_over_its_windows() {
    let night = three_days();
    let sum = "SELECT dt, sum(events) AS n FROM hourly_count GROUP BY dt ORDER BY dt";
    assert_eq!(
        rows(&night.dir, [JOB, sum]),
        json!([{"dt": DAYS[0], "n": 1}, {"dt": DAYS[1], "n": 2}, {"dt": DAYS[2], "n": 3}])
    );
    let levels = "SELECT dt, level, n, last FROM levels WHERE dt >= '2025-03-04' AND level = 'INFO' ORDER BY dt";
    assert_eq!(
        rows(&night.dir, [JOB, levels]),
        json!([
            {"dt": DAYS[1], "level": "INFO", "n": 1, "last": "2025-03-04T13:00:00.000+00:00"},
            {"dt": DAYS[2], "level": "INFO", "n": 2, "last": "2025-03-05T14:00:00.000+00:00"},
        ])
    );
    let of_day = "SELECT count(DISTINCT dt) AS days FROM levels";
    assert_eq!(
        rows(&night.dir, [JOB, "--window", DAYS[1], of_day]),
        json!([{"days": 1}])
    );
    // A date compares with the day of an answer too.
    let dates = "SELECT count(DISTINCT dt) AS days FROM levels WHERE dt > date '2025-03-04' - 1";
    assert_eq!(rows(&night.dir, [JOB, dates]), json!([{"days": 2}]));
}

#[test]
fn an_answer_that_no_receipt_lists_is_not_seen() {
    let night = three_days();
    let count = "SELECT count(DISTINCT dt) AS days FROM hourly_count";
    fs::remove_file(night.dir.join(format!("out/night/runs/{}.json", DAYS[0]))).unwrap();
    assert_eq!(rows(&night.dir, [JOB, count]), json!([{"days": 2}]));
    // Half of what the receipt lists.
    let file = format!("out/night/hourly_count/dt={}/hourly_count.parquet", DAYS[1]);
    let bytes = night.dir.read(&file);
    night.dir.write(&file, &bytes[..bytes.len() / 2]);
    let left = query(&night.dir, [JOB, "--format", "json", count]);
    left.assert_success()
        .stderr_contains("left out: the answer is not the one");
    assert_eq!(left.stdout_json(), json!([{"days": 1}]));
    // What is not asked for is not opened.
    let file = format!("out/night/hourly_count/dt={}/hourly_count.parquet", DAYS[2]);
    let length = night.dir.read(&file).len();
    night.dir.write(&file, vec![b'x'; length]);
    let pruned = "SELECT count(*) AS n FROM hourly_count WHERE dt < '2025-03-05'";
    assert_eq!(rows(&night.dir, [JOB, pruned]), json!([{"n": 0}]));
    query(&night.dir, [JOB, "SELECT count(events) FROM hourly_count"])
        .assert_code(5)
        .stderr_contains("hourly_count.parquet as Parquet");
}

#[test]
fn answers_need_no_exports() {
    let night = three_days();
    fs::remove_dir_all(night.dir.join("exported")).unwrap();
    let count = "SELECT sum(events) AS n FROM hourly_count";
    assert_eq!(rows(&night.dir, [JOB, count]), json!([{"n": 6}]));
    query(&night.dir, [JOB, "SELECT count(*) FROM logs"]).assert_code(2);
}

#[test]
fn previous_is_the_answer_of_an_earlier_window() {
    let night = three_days();
    let change =
        "SELECT dt, sum(events) AS n, sum(before) AS before FROM change GROUP BY 1 ORDER BY 1";
    assert_eq!(
        rows(&night.dir, [JOB, change]),
        json!([
            {"dt": DAYS[0], "n": 1, "before": null},
            {"dt": DAYS[1], "n": 2, "before": 1},
            {"dt": DAYS[2], "n": 3, "before": 2},
        ])
    );
    let previous = "SELECT sum(events) AS n FROM previous('hourly_count', '2 days')";
    for (day, expected) in [
        (DAYS[2], json!([{"n": 1}])),
        (DAYS[0], json!([{"n": null}])),
    ] {
        assert_eq!(rows(&night.dir, [JOB, "--window", day, previous]), expected);
    }
    for (sql, window, code, expected) in [
        (previous, None, 2, "previous needs one window"),
        (
            "SELECT * FROM previous('nothing', '1 day')",
            Some(DAYS[2]),
            6,
            "there is no query",
        ),
        (
            "SELECT * FROM previous('hourly_count', '3 hours')",
            Some(DAYS[2]),
            6,
            "not a whole number of windows",
        ),
        (
            "SELECT * FROM previous('hourly_count')",
            Some(DAYS[2]),
            6,
            "both as texts",
        ),
    ] {
        let window = window.into_iter().flat_map(|id| ["--window", id]);
        let refused = query(&night.dir, [JOB].into_iter().chain(window).chain([sql]));
        refused.assert_code(code).stderr_contains(expected);
    }
}

#[test]
fn lookup_tables_join_in_jobs_and_in_queries() {
    let night = three_days();
    let slow = "SELECT dt, name, n FROM slow WHERE dt = '2025-03-05' ORDER BY name";
    assert_eq!(
        rows(&night.dir, [JOB, slow]),
        json!([{"dt": DAYS[2], "name": "Kim", "n": 1}, {"dt": DAYS[2], "name": "Lee, \"J\"", "n": 2}])
    );
    let receipt = night
        .dir
        .read_json(format!("out/night/runs/{}.json", DAYS[2]));
    assert_eq!(receipt["tables"][0]["name"], "customers");
    assert_eq!(
        receipt["tables"][0]["sha256"].as_str().map(str::len),
        Some(64)
    );
    night.dir.write(
        "prices.ndjson",
        "{\"code\": \"007\", \"price\": 1.5}\n{\"code\": \"012\", \"price\": 2}\n",
    );
    let priced =
        "SELECT sum(price) AS total FROM logs JOIN prices ON code = split_part(message, ' ', 2)";
    assert_eq!(
        rows(
            &night.dir,
            ["exported", "--table", "prices=prices.ndjson", priced]
        ),
        json!([{"total": 10.5}])
    );
    for (path, code, expected) in [
        ("nothing.csv", 2, "nothing.csv does not exist"),
        ("levels.sql", 2, "of a kind that can't be read"),
        ("broken.csv", 5, "broken.csv:3: "),
        ("broken.parquet", 5, "broken.parquet as Parquet"),
    ] {
        night.dir.write("broken.csv", "a,b\n1,2\n3\n");
        night.dir.write("broken.parquet", "PAR1 and no more");
        let table = format!("t={path}");
        query(
            &night.dir,
            ["exported", "--table", &table, "SELECT * FROM t"],
        )
        .assert_code(code)
        .stderr_contains(expected);
    }
    query(
        &night.dir,
        ["exported", "--table", "logs=prices.ndjson", "SELECT 1"],
    )
    .assert_code(2)
    .stderr_contains("two tables would be named logs");
    // Found before anything is exported.
    night.dir.write("lists/customers.csv", "code,name\n1\n");
    night
        .dir
        .logtally(["plan", JOB])
        .run()
        .assert_code(5)
        .stderr_contains("[[table]] customers: ");
}

#[test]
fn parquet_files_of_any_origin_are_tables() {
    let night = three_days();
    let dir = &night.dir;
    let sql = "SELECT dt, level, n FROM levels WHERE level <> 'INFO' ORDER BY dt";
    let expected = json!([
        {"dt": DAYS[0], "level": "ERROR", "n": 1},
        {"dt": DAYS[1], "level": "ERROR", "n": 1},
        {"dt": DAYS[2], "level": "ERROR", "n": 1},
    ]);
    assert_eq!(rows(dir, ["out/night/levels", sql]), expected);
    assert_eq!(rows(dir, ["out/night", sql]), expected);
    let one = "SELECT dt, sum(events) AS n FROM hourly_count GROUP BY 1";
    assert_eq!(
        rows(dir, ["out/night/hourly_count/dt=2025-03-04", one]),
        json!([{"dt": DAYS[1], "n": 2}])
    );
    // With logs of another location beside them.
    let both = "SELECT (SELECT count(*) FROM logs) AS logs, (SELECT sum(events) FROM hourly_count) AS events";
    assert_eq!(
        rows(dir, ["exported", "out/night/hourly_count", both]),
        json!([{"logs": 6, "events": 6}])
    );
    // As DuckDB reads them.
    let folder = dir.join("out/night/levels");
    let read = format!(
        "SELECT dt, level, n FROM read_parquet('{}/**/*.parquet', hive_partitioning = true, hive_types = {{dt: VARCHAR, level: VARCHAR}}) ORDER BY dt, level",
        folder.display()
    );
    let theirs = duckdb(&[], &[&read]);
    let ours = rows(
        dir,
        [
            "out/night/levels",
            "SELECT dt, level, n FROM levels ORDER BY dt, level",
        ],
    );
    assert_eq!(json!(theirs[0]), ours);
}

#[test]
fn several_locations_are_one_table_of_logs() {
    let night = three_days();
    fs::rename(night.dir.join("exported"), night.dir.join("one")).unwrap();
    night
        .export()
        .stream("web/other", &[(at("2025-03-03T01:00:00Z"), "other")]);
    let count = "SELECT count(*) AS n FROM logs WHERE timestamp < '2025-03-04'";
    assert_eq!(
        rows(&night.dir, ["one", "exported", count]),
        json!([{"n": 2}])
    );
    assert_eq!(rows(&night.dir, ["one", count]), json!([{"n": 1}]));
    query(&night.dir, ["one", "nothing", count])
        .assert_code(2)
        .stderr_contains("is no job or location");
}

#[test]
fn statements_of_a_text_are_answered_in_turn() {
    let night = three_days();
    let text = "CREATE TEMP VIEW errors AS SELECT * FROM logs WHERE message LIKE 'ERROR%';\n\
                -- none; here\nSELECT count(*) AS n FROM errors;\nSELECT ';' AS a;";
    night.dir.write("all.sql", text);
    query(&night.dir, ["exported", "--format", "csv", "-f", "all.sql"])
        .assert_success()
        .stdout_is("n\n3\n\na\n;\n");
    night
        .dir
        .logtally(["query", "exported", "-f", "-", "-o", "n.csv"])
        .stdin("SELECT count(*) AS n FROM logs")
        .run()
        .assert_success();
    assert_eq!(night.dir.read_text("n.csv"), "n\n6\n");
    query(
        &night.dir,
        ["exported", "SELECT 1;\n  SELECT nothing FROM logs"],
    )
    .assert_code(6)
    .stderr_contains("SQL:2:10: ");
    query(
        &night.dir,
        ["exported", "--output", "x.csv", "SELECT 1; SELECT 2"],
    )
    .assert_code(2)
    .stderr_contains("SQL:1:11: --output is for one answer");
    query(
        &night.dir,
        [
            "exported",
            "--output",
            "x.csv",
            "CREATE TEMP VIEW v AS SELECT 1 AS n; SELECT n FROM v",
        ],
    )
    .assert_success();
    assert_eq!(night.dir.read_text("x.csv"), "n\n1\n");
}

#[test]
fn parameters_are_values_of_the_type_that_their_place_wants() {
    let night = three_days();
    for (condition, parameter, expected) in [
        ("length(message) > $p", "p=12", 3),
        ("length(message) > $p", "p=11.5", 3),
        ("split_part(message, ' ', 2) = $p", "p=007", 3),
        ("message LIKE $p", "p=%ok", 3),
        ("level(message) IN ($p, 'FATAL')", "p=ERROR", 3),
        ("timestamp >= $p", "p=2025-03-05", 3),
        (
            "timestamp BETWEEN $p AND '2025-03-04 12:30'",
            "p=2025-03-04",
            1,
        ),
        ("starts_with(message, $p)", "p=INFO", 3),
        ("message = $p", "p=x' OR 'a' = 'a", 0),
        ("strpos(message, $p) > 0", "p=12", 3),
        ("timestamp >= time_bucket($p, timestamp)", "p=1 hour", 6),
        ("timestamp - $p::interval < '2025-03-03'", "p=1 day", 1),
    ] {
        let sql = format!("SELECT count(*) AS n FROM logs WHERE {condition}");
        assert_eq!(
            rows(&night.dir, ["exported", "-p", parameter, &sql]),
            json!([{"n": expected}]),
            "{condition} {parameter}"
        );
    }
    let limited = "SELECT message FROM logs LIMIT $n";
    let limited = rows(&night.dir, ["exported", "-p", "n=2", limited]);
    assert_eq!(limited.as_array().map(Vec::len), Some(2));
    for (arguments, code, expected) in [
        (["-p", "x=1", "SELECT 1"], 2, "-p x: no statement uses $x"),
        (
            ["-p", "n=x", "SELECT 1 FROM logs WHERE length(message) > $n"],
            2,
            "expected a number, which it is compared with",
        ),
        (
            ["-p", "window_start=1", "SELECT $window_start"],
            2,
            "always that of the window",
        ),
        (["-p", "x", "SELECT $x"], 2, "expected a name and a value"),
        (
            ["-p", "x=1", "SELECT $x, $y"],
            6,
            "parameter $y does not exist",
        ),
    ] {
        query(&night.dir, ["exported"].into_iter().chain(arguments))
            .assert_code(code)
            .stderr_contains(expected);
    }
}

/// A folder of events with one of the present hour.
fn today() -> Dir {
    let dir = Dir::new();
    dir.write(
        JOB,
        "name = \"night\"\n[source]\nkind = \"directory\"\npath = \"events\"\n[output]\nlocation = \"out\"\n[[query]]\nuse = \"hourly_count\"\n",
    );
    let now = std::time::SystemTime::now();
    let now = now
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis();
    dir.write(
        "events/app/web.ndjson",
        format!("{{\"timestamp\": {now}, \"message\": \"now\"}}\n"),
    );
    dir
}

#[test]
fn today_is_what_is_exported_so_far_and_fresh_exports_it() {
    let dir = today();
    let count = "SELECT count(*) AS n FROM logs";
    query(&dir, [JOB, "--window", "today", count])
        .assert_code(2)
        .stderr_contains(
            "nothing of today of the job night is exported yet: --fresh exports it first",
        );
    for events in 1..=2 {
        let fresh = query(
            &dir,
            [
                JOB, "--window", "today", "--fresh", "--format", "json", count,
            ],
        );
        fresh
            .assert_success()
            .stderr_contains("provisional: the window has not ended");
        assert_eq!(fresh.stdout_json(), json!([{"n": events}]));
        let text = dir.read_text("events/app/web.ndjson");
        let more = text.lines().next().unwrap_or_default().to_owned();
        dir.write("events/app/web.ndjson", format!("{text}{more}\n"));
    }
    // No answer was computed, and no window is left half done.
    assert!(!dir.files().iter().any(|file| file.ends_with(".parquet")));
    dir.logtally(["status", JOB]).run().assert_success();
    query(&dir, [JOB, "--fresh", count])
        .assert_code(2)
        .stderr_contains("--fresh needs windows");
}
