//! `[archive]`: the events of each window as Parquet, for other engines and for later queries. An answer is the same whether it
//! is read from an archive or from an export.

use std::fmt::Write;
use std::fs;
use std::time::Instant;

use serde_json::{Value, json};

use crate::demo::demo;
use crate::support::cloud::{Cloud, recent_day};
use crate::support::engines::duckdb;
use crate::support::events::{at, scattered};
use crate::support::moto::Moto;
use crate::support::parquet::Parquet;
use crate::support::program::{Dir, Finished, Program};

const JOB: &str = "night.toml";
const DAY: &str = "2025-03-03";
const ARCHIVE: &str = "out/night/events/dt=2025-03-03";

/// The columns of most archives here.
const COLUMNS: &str = "[archive.columns]\nlevel = \"level(message)\"\nkind = \"log_type(message) -- a kind\"\nlength = \"length(message)\"\nerror = \"message->>'level' = 'error'\"\n";

/// A job over a folder of events, with this text behind its sections: two log groups whose names and streams sort otherwise
/// than their keys, with events that are not in the order of time.
fn night(more: &str) -> Dir {
    let dir = Dir::new();
    write_job(&dir, more);
    let midnight = at("2025-03-03T00:00:00Z");
    for (group, stream, shift, count) in [
        ("%2Fsvc-b", "web", 0, 700),
        ("%2Fsvc-b", "web-app", 1, 300),
        ("%2Fsvc%2Fa", "2025%2F03%2F03%2F[$LATEST]0a1b", 2, 500),
        ("%2Fsvc%2Fa", "plain", 3, 500),
    ] {
        let events = scattered(midnight - 3_600_000, count);
        let events = events
            .iter()
            .map(|(time, message)| (time + shift, *message));
        // Two events of one time, whose order only their place decides.
        let noon = midnight + 43_200_000;
        let events = events.chain([(noon, "second"), (noon, "first"), (noon, "second")]);
        let lines: String = events
            .map(|(timestamp, message)| {
                json!({"timestamp": timestamp, "message": message}).to_string() + "\n"
            })
            .collect();
        dir.write(format!("events/{group}/{stream}.ndjson"), lines);
    }
    dir
}

fn write_job(dir: &Dir, more: &str) {
    dir.write(JOB, job(more));
    dir.write("plain.toml", job(""));
}

fn job(more: &str) -> String {
    format!(
        "name = \"night\"\n[source]\nkind = \"directory\"\npath = \"events\"\nstaging = \"staging\"\n[output]\nlocation = \"out\"\n\
         [[query]]\nuse = \"hourly_count\"\n{more}"
    )
}

fn run(dir: &Dir, arguments: &[&str]) -> Finished {
    dir.logtally(["run", JOB, "--window", DAY].iter().chain(arguments))
        .run()
}

fn query(dir: &Dir, job: &str, sql: &str) -> Finished {
    dir.logtally(["query", job, "--window", DAY, "--format", "json", sql])
        .run()
}

/// The rows of an answer. Those of a query that asks for no order may come in any.
fn rows_of(sql: &str, answer: &Finished) -> Value {
    let mut rows = answer.assert_success().stdout_json();
    if let (Value::Array(rows), false) =
        (&mut rows, sql.contains("ORDER BY") || sql.contains("LIMIT"))
    {
        rows.sort_by_key(ToString::to_string);
    }
    rows
}

/// The answers over the archive and over the exports, which are the same.
fn assert_same(dir: &Dir, sql: &str) -> Value {
    let archived = rows_of(sql, &query(dir, JOB, sql));
    let exported = rows_of(sql, &query(dir, "plain.toml", sql));
    assert_eq!(archived, exported, "{sql}");
    archived
}

fn archive_files(dir: &Dir) -> Vec<String> {
    let files = dir.files().into_iter();
    files
        .filter(|file| file.starts_with("out/night/events/"))
        .collect()
}

#[test]
fn an_archive_has_every_event_sorted_with_columns() {
    let dir = night(&format!("[archive]\nbloom = [\"level\"]\n{COLUMNS}"));
    run(&dir, &[]).assert_success();
    assert_eq!(
        archive_files(&dir),
        [format!("{ARCHIVE}/events-00000.parquet")]
    );
    let archive = Parquet::read(dir.join(format!("{ARCHIVE}/events-00000.parquet")));
    let expected = [
        "log_group: string",
        "log_stream: string",
        "timestamp: timestamp[ms]",
        "message: string",
        "error: bool",
        "kind: string",
        "length: int32",
        "level: string",
        "position: int64",
    ];
    assert_eq!(archive.schema(), expected);
    let counted = assert_same(&dir, "SELECT count(*) AS events FROM logs");
    assert_eq!(counted[0]["events"], archive.rows.len());
    let key = |row: &serde_json::Map<String, Value>| {
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let position = row["position"].as_i64().expect("a number");
        (
            text("log_group"),
            text("log_stream"),
            text("timestamp"),
            position,
        )
    };
    let keys: Vec<_> = archive.rows.iter().map(key).collect();
    assert!(
        keys.is_sorted(),
        "sorted by log group, log stream, time, position"
    );
    let mut positions: Vec<i64> = archive.integers("position");
    positions.sort_unstable();
    let all: Vec<i64> = (0..).take(archive.rows.len()).collect();
    assert_eq!(positions, all, "each place once");
    let file = dir.join(format!("{ARCHIVE}/events-00000.parquet"));
    let of_file = |sql: &str| {
        duckdb(
            &[],
            &[&sql.replace("FILE", &format!("'{}'", file.display()))],
        )
        .remove(0)
    };
    let metadata = of_file(
        "SELECT path_in_schema AS name, compression, bloom_filter_offset IS NOT NULL AS bloom, stats_min_value IS NOT NULL AS has_statistics FROM parquet_metadata(FILE)",
    );
    for column in &metadata {
        assert_eq!(column["compression"], "ZSTD", "{column:?}");
        assert_eq!(column["has_statistics"], true, "{column:?}");
        assert_eq!(column["bloom"], column["name"] == "level", "{column:?}");
    }

    let receipt = dir.read_json(format!("out/night/runs/{DAY}.json"));
    assert_eq!(receipt["archive"]["columns"]["level"], "level(message)");
    assert_eq!(receipt["archive"]["in_reading_order"], false);
    let outputs = receipt["outputs"].as_array().expect("a list");
    let of_archive = outputs.iter().find(|output| output["query"] == "events");
    assert_eq!(
        of_archive.expect("it is listed")["rows"],
        archive.rows.len()
    );

    let before = dir.files();
    let bytes = fs::read(&file).expect("it is there");
    fs::remove_file(&file).expect("it is there");
    run(&dir, &["--force=export"]).assert_success();
    let without_exports = |files: Vec<String>| {
        let files = files.into_iter();
        files
            .filter(|file| !file.starts_with("staging/"))
            .collect::<Vec<_>>()
    };
    assert_eq!(without_exports(dir.files()), without_exports(before));
    assert!(
        fs::read(&file).expect("it is there") == bytes,
        "the same events are the same bytes"
    );
}

/// Queries of every shape: filters of each kind, columns in place of expressions at every level, orders that are decided by
/// the place of an event, and joins.
const SHAPES: [&str; 25] = [
    "SELECT * FROM logs",
    "SELECT count(*) AS n FROM (SELECT message FROM logs LIMIT 7) AS some",
    "SELECT row_number() OVER () AS r, log_group, log_stream, message FROM logs ORDER BY 1",
    "SELECT count(*) AS n, min(timestamp) AS first, max(timestamp) AS last FROM logs",
    "SELECT log_group, log_stream, count(*) AS n FROM logs GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT level(message) AS level, count(*) AS n FROM logs GROUP BY 1 ORDER BY 1",
    "SELECT count(*) AS n FROM logs WHERE level(message) = 'ERROR'",
    "SELECT count(*) AS n FROM logs WHERE level(message) IN ('ERROR', 'INFO') AND log_stream LIKE 'web%'",
    "SELECT count(*) AS n FROM logs WHERE level(message) IS NULL",
    "SELECT message FROM logs WHERE log_group = '/svc-b' AND timestamp >= '2025-03-03 11:59:00' AND timestamp < '2025-03-03 12:01:00'",
    "SELECT message FROM logs WHERE timestamp = '2025-03-03 12:00:00' AND log_stream = 'plain'",
    "SELECT time_bucket('1 hour', timestamp) AS hour, log_type(message) AS kind, count(*) AS n FROM logs GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT sum(length(message)) AS n FROM logs WHERE message->>'level' = 'error'",
    "WITH e AS (SELECT * FROM logs WHERE log_stream <> 'plain') SELECT level(message) AS l, max(length(message)) AS n FROM e GROUP BY 1 ORDER BY 1",
    "SELECT l.level, count(*) AS n FROM (SELECT level(message) AS level, timestamp FROM logs) AS l GROUP BY 1 HAVING count(*) > 1 ORDER BY 1",
    "SELECT h.hour_utc, count(level(l.message)) AS n FROM hours AS h LEFT JOIN logs AS l ON time_bucket('1 hour', l.timestamp) = h.hour_utc GROUP BY 1 ORDER BY 1",
    "SELECT a.n, level(b.message) AS level FROM (SELECT max(length(message)) AS n FROM logs) AS a JOIN logs AS b ON length(b.message) = a.n ORDER BY 2 LIMIT 5",
    "SELECT DISTINCT level(message) AS level, log_type(message) AS kind FROM logs ORDER BY 1, 2",
    "SELECT row_number() OVER (ORDER BY timestamp) AS r, message FROM logs ORDER BY 1 LIMIT 20",
    "SELECT log_stream, array_agg(message) AS all FROM logs WHERE timestamp = '2025-03-03 12:00:00' GROUP BY 1 ORDER BY 1",
    "SELECT log_stream, first_value(message ORDER BY timestamp DESC) AS last FROM logs GROUP BY 1 ORDER BY 1",
    "SELECT * FROM logs ORDER BY level(message), length(message) LIMIT 30",
    "SELECT level(message) AS l FROM logs WHERE log_group = '/svc/a' UNION ALL SELECT log_type(message) FROM logs WHERE log_group = '/svc-b'",
    "SELECT count(*) AS n FROM logs WHERE message LIKE '%재고%' OR length(message) > 100",
    "SELECT CASE WHEN level(message) = 'ERROR' THEN 'bad' ELSE lower(level(message)) END AS c, count(*) AS n FROM logs GROUP BY 1 ORDER BY 1",
];

#[test]
fn an_answer_is_the_same_from_an_archive_and_from_an_export() {
    let dir = night(&format!("[archive]\n{COLUMNS}"));
    run(&dir, &[]).assert_success();
    let mut answers = Vec::new();
    for sql in SHAPES {
        answers.push(assert_same(&dir, sql));
    }
    // Without exports there is nothing else that the answers could be of.
    fs::remove_dir_all(dir.join("staging")).expect("the exports were there");
    for (sql, expected) in SHAPES.iter().zip(&answers) {
        let answer = rows_of(sql, &query(&dir, JOB, sql));
        assert_eq!(answer, *expected, "{sql}");
    }
    let without = query(&dir, "plain.toml", "SELECT count(*) FROM logs");
    without.assert_code(2).stderr_contains("not there any more");
}

/// Every query of the library over two days, with the columns that such jobs would archive.
#[test]
fn the_library_has_the_same_answers_from_archives() {
    let dir = demo();
    let text = dir.read_text("jobs/demo.toml");
    let archive = "\n[archive]\n[archive.columns]\nlevel = \"level(message)\"\nreport = \"lambda_report(message)\"\nrequest = \"request_id(message)\"\nshape = \"pattern(message)\"\n";
    dir.write("jobs/archived.toml", format!("{text}{archive}"));
    let days = ["--from", "2026-11-20", "--to", "2026-11-21"];
    let arguments = ["run", "jobs/archived.toml"];
    dir.logtally(arguments.iter().chain(&days))
        .run()
        .assert_success();
    let list = dir.logtally(["query", "--list"]).run();
    let names: Vec<&str> = list
        .stdout
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let mut wrong = String::new();
    let mut asked = 0;
    for name in names {
        // These read other answers of their job.
        if ["new_patterns", "growing_patterns"].contains(&name) {
            continue;
        }
        let answer = |job: &str| {
            let reference = format!("@{name}");
            let mut arguments = vec!["query", job, &*reference, "--format", "csv"];
            arguments.extend(days);
            if name == "request_trace" {
                arguments.extend(["-p", "id=98f51c01-6757-4b8f-aab4-3f085dddc891"]);
            }
            let answer = dir.logtally(arguments).run();
            answer.assert_success().stdout.clone()
        };
        let (archived, exported) = (answer("jobs/archived.toml"), answer("jobs/demo.toml"));
        asked += 1;
        if archived != exported {
            writeln!(wrong, "{name}:\n{archived}\n{exported}").expect("a text grows");
        }
    }
    assert!(asked > 20 && wrong.is_empty(), "{asked} asked\n{wrong}");
}

#[test]
fn without_messages_an_archive_answers_what_it_can() {
    let dir = night(&format!("[archive]\nmessage = false\n{COLUMNS}"));
    run(&dir, &[]).assert_success();
    let levels = "SELECT level(message) AS level, count(*) AS n FROM logs WHERE log_type(message) IS NOT NULL GROUP BY 1 ORDER BY 1";
    let messages = "SELECT count(*) AS n FROM logs WHERE message LIKE '%한글%'";
    let expected = assert_same(&dir, levels);
    assert_same(&dir, messages);
    let archive = Parquet::read(dir.join(format!("{ARCHIVE}/events-00000.parquet")));
    assert!(archive.columns.iter().all(|(name, _)| name != "message"));
    fs::remove_dir_all(dir.join("staging")).expect("the exports were there");
    let answer = query(&dir, JOB, levels).assert_success().stdout_json();
    assert_eq!(answer, expected);
    for sql in [
        "SELECT count(*) AS n FROM logs",
        "SELECT log_stream, max(timestamp) FROM logs GROUP BY 1",
    ] {
        query(&dir, JOB, sql).assert_success();
    }
    query(&dir, JOB, messages)
        .assert_code(2)
        .stderr_contains("in the archive without the messages")
        .stderr_contains("logtally run night.toml --window 2025-03-03 --force");
}

#[test]
fn a_column_that_changed_is_computed_again() {
    let dir = night("[archive.columns]\nlevel = \"level(message)\"\n");
    run(&dir, &[]).assert_success();
    // The archive that is there has other columns; its messages stay of use.
    write_job(
        &dir,
        "[archive.columns]\nlevel = \"log_type(message)\"\nkind = \"level(message)\"\n",
    );
    assert_same(
        &dir,
        "SELECT level(message) AS l, log_type(message) AS k, count(*) AS n FROM logs GROUP BY 1, 2 ORDER BY 1, 2",
    );
    // A column of another type is noticed before anything is exported.
    write_job(&dir, "[archive.columns]\nlevel = \"length(message)\"\n");
    run(&dir, &[]).assert_code(2).stderr_contains("level");
    run(&dir, &["--force"]).assert_success();
    let archive = Parquet::read(dir.join(format!("{ARCHIVE}/events-00000.parquet")));
    assert!(archive.schema().contains(&"level: int32".to_owned()));
}

#[test]
fn an_archive_of_an_older_export_is_not_read() {
    let dir = night(&format!("[archive]\n{COLUMNS}"));
    run(&dir, &[]).assert_success();
    let count = "SELECT count(*) AS n FROM logs";
    let before = assert_same(&dir, count);
    let noon = at("2025-03-03T12:00:00Z");
    let late = json!({"timestamp": noon, "message": "late"}).to_string() + "\n";
    dir.write("events/%2Fsvc-b/late.ndjson", late);
    // Exports again, and answers nothing.
    let fresh = ["query", JOB, "--window", DAY, "--format", "json", count];
    run(&dir, &["--force=export"]).assert_success();
    let now = dir.logtally(fresh).run().assert_success().stdout_json();
    assert_eq!(now[0]["n"], before[0]["n"].as_i64().expect("a number") + 1);
    assert_same(&dir, "SELECT * FROM logs");
    let archive = Parquet::read(dir.join(format!("{ARCHIVE}/events-00000.parquet")));
    assert_eq!(
        archive.rows.len(),
        now[0]["n"].as_u64().expect("a number") as usize
    );
}

#[test]
fn folders_by_value_have_files_of_their_own() {
    let dir = night(&format!(
        "[archive]\npartition_by = [\"log_group\", \"kind\"]\n{COLUMNS}"
    ));
    run(&dir, &[]).assert_success();
    let files = archive_files(&dir);
    assert!(
        files.contains(&format!(
            "{ARCHIVE}/log_group=%2Fsvc-b/kind=end/events-00000.parquet"
        )),
        "{files:#?}"
    );
    for sql in SHAPES {
        assert_same(&dir, sql);
    }
    let ddl = dir.logtally(["ddl", JOB, "--format", "duckdb"]).run();
    let script = ddl
        .assert_success()
        .stdout
        .trim_end()
        .trim_end_matches(';')
        .to_owned();
    let statements: Vec<String> = script.split(";\n\n").map(str::to_owned).collect();
    let counted = duckdb(
        &statements,
        &[
            "SELECT count(*) AS n, count(DISTINCT log_group) AS groups, count(DISTINCT dt) AS days FROM logtally.night_events",
        ],
    );
    let expected = assert_same(&dir, "SELECT count(*) AS n FROM logs");
    assert_eq!(counted[0][0]["n"], expected[0]["n"]);
    assert_eq!(
        (&counted[0][0]["groups"], &counted[0][0]["days"]),
        (&json!(2), &json!(1))
    );
}

#[test]
fn files_end_at_their_size_and_fewer_replace_more() {
    let dir = Dir::new();
    write_job(&dir, "[archive]\nfile_size = \"1MiB\"\n");
    let midnight = at("2025-03-03T00:00:00Z");
    let write = |count: i64| {
        let lines: String = (0..count)
            .map(|n| {
                let noise: String = (0..40)
                    .map(|k| format!("{:x}", (n * 7919 + k * 104_729) % 65_521))
                    .collect();
                json!({"timestamp": midnight + n, "message": noise}).to_string() + "\n"
            })
            .collect();
        dir.write("events/g/s.ndjson", lines);
    };
    write(60_000);
    run(&dir, &[]).assert_success();
    let files = archive_files(&dir);
    assert!(files.len() >= 2, "{files:?}");
    assert_eq!(files[1], format!("{ARCHIVE}/events-00001.parquet"));
    let receipt = dir.read_json(format!("out/night/runs/{DAY}.json"));
    assert_eq!(receipt["archive"]["in_reading_order"], true);
    assert_same(&dir, "SELECT timestamp, message FROM logs");
    assert_same(
        &dir,
        "SELECT count(*) AS n, count(DISTINCT message) AS m FROM logs",
    );

    // With larger files there are fewer, and the others are gone.
    write_job(&dir, "[archive]\n");
    run(&dir, &[]).assert_success();
    assert_eq!(archive_files(&dir), files[..1]);
    assert_same(&dir, "SELECT timestamp, message FROM logs");
}

#[test]
fn archives_are_made_of_kept_exports() {
    let dir = night("");
    let days = ["--from", "2025-03-02", "--to", "2025-03-03"];
    dir.logtally(["run", JOB].iter().chain(&days))
        .run()
        .assert_success();
    let without = dir.logtally(["archive", JOB].iter().chain(&days)).run();
    without.assert_code(2).stderr_contains("[archive]");
    write_job(&dir, &format!("[archive]\n{COLUMNS}"));
    let hourly = "out/night/hourly_count/dt=2025-03-03/hourly_count.parquet";
    let modified = fs::metadata(dir.join(hourly))
        .and_then(|it| it.modified())
        .expect("a time");
    let archived = dir.logtally(["archive", JOB].iter().chain(&days)).run();
    archived
        .assert_success()
        .stdout_contains("2025-03-02  archived  ")
        .stdout_contains("2025-03-03  archived  ");
    let now = fs::metadata(dir.join(hourly))
        .and_then(|it| it.modified())
        .expect("a time");
    assert_eq!(now, modified, "the answers are not made again");
    for sql in SHAPES {
        assert_same(&dir, sql);
    }
    let again = dir.logtally(["archive", JOB].iter().chain(&days)).run();
    again
        .assert_success()
        .stdout_contains("2025-03-03  archived before");
    // The answers of the job are as they were: a run computes them again only for the archive that the job has now.
    let status = dir.logtally(["status", JOB]).run();
    status.assert_success();

    // Of windows that were only exported.
    let fresh = Dir::new();
    for file in dir.files() {
        if file.starts_with("staging/") {
            fresh.write(&file, dir.read(&file));
        }
    }
    fresh.write(JOB, dir.read(JOB));
    let archived = fresh.logtally(["archive", JOB].iter().chain(&days)).run();
    archived.assert_success();
    let asked = fresh
        .logtally(["query", JOB, "--format", "json", "--window", DAY, SHAPES[3]])
        .run();
    let expected = query(&dir, "plain.toml", SHAPES[3])
        .assert_success()
        .stdout_json();
    assert_eq!(asked.assert_success().stdout_json(), expected);
    fs::remove_dir_all(fresh.join("staging")).expect("the exports were there");
    let asked = fresh
        .logtally(["query", JOB, "--format", "json", "--window", DAY, SHAPES[3]])
        .run();
    assert_eq!(asked.assert_success().stdout_json(), expected);

    let gone = fresh
        .logtally(["archive", JOB, "--window", DAY, "--force"])
        .run();
    gone.assert_code(4).stderr_contains("no kept export");
}

/// What a run wrote, but for its receipts, states and archive.
fn answers(dir: &Dir) -> Vec<(String, Vec<u8>)> {
    let files = dir.files().into_iter();
    let files = files.filter(|file| file.ends_with(".parquet") && !file.contains("/events/"));
    files.map(|file| (file.clone(), dir.read(&file))).collect()
}

#[test]
fn other_questions_are_answered_from_the_archive_alone() {
    let more = "[[query]]\nuse = \"hourly_levels\"\n[[query]]\nname = \"all\"\nsql = \"all.sql\"\n";
    let all =
        "SELECT row_number() OVER () AS r, log_stream, message, level(message) AS level FROM logs";
    // What these questions have for answers over an export.
    let expected = night(more);
    expected.write("all.sql", all);
    run(&expected, &[]).assert_success();

    let dir = night(&format!("[archive]\n{COLUMNS}"));
    dir.write("all.sql", all);
    run(&dir, &[]).assert_success();
    let before = dir.read(format!("{ARCHIVE}/events-00000.parquet"));
    let first = dir.read_json(format!("out/night/runs/{DAY}.json"));
    fs::remove_dir_all(dir.join("staging")).expect("the exports were there");
    dir.write("events/%2Fsvc%2Fa/plain.ndjson", "");
    write_job(&dir, &format!("{more}[archive]\n{COLUMNS}"));
    run(&dir, &[]).assert_success();
    assert_eq!(answers(&dir), answers(&expected), "the same bytes");
    assert!(dir.read(format!("{ARCHIVE}/events-00000.parquet")) == before);
    let receipt = dir.read_json(format!("out/night/runs/{DAY}.json"));
    for key in ["read", "exports", "archive"] {
        assert_eq!(receipt[key], first[key], "{key}");
    }
    let archived = |receipt: &Value| {
        let outputs = receipt["outputs"].as_array().expect("a list").iter();
        outputs
            .filter(|output| output["query"] == "events")
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(archived(&receipt), archived(&first));

    // Also an archive with another column, in another form.
    write_job(
        &dir,
        &format!(
            "{more}[archive]\npartition_by = [\"log_group\"]\n{COLUMNS}more = \"trace_id(message)\"\n"
        ),
    );
    run(&dir, &[])
        .assert_code(2)
        .stderr_contains("another [output] location");
    write_job(
        &dir,
        &format!("{more}[archive]\n{COLUMNS}more = \"trace_id(message)\"\n"),
    );
    run(&dir, &[]).assert_success();
    let archive = Parquet::read(dir.join(format!("{ARCHIVE}/events-00000.parquet")));
    assert!(archive.schema().contains(&"more: string".to_owned()));
    assert_eq!(answers(&dir), answers(&expected), "the same bytes");
}

#[test]
fn masked_messages_and_columns_stay_masked() {
    let dir = night("[archive.columns]\nwho = \"message\"\n");
    let noon = at("2025-03-03T12:00:00Z");
    let line = json!({"timestamp": noon, "message": "mail to ann@example.com"}).to_string() + "\n";
    dir.write("events/%2Fsvc-b/mail.ndjson", line);
    let text = dir
        .read_text(JOB)
        .replace("staging =", "mask = true\nstaging =");
    dir.write(JOB, text);
    run(&dir, &[]).assert_success();
    let file = dir.join(format!("{ARCHIVE}/events-00000.parquet"));
    let sql = format!(
        "SELECT count(*) FILTER (WHERE message LIKE '%ann@%' OR who LIKE '%ann@%') AS n, count(*) FILTER (WHERE message LIKE 'mail to%') AS mails FROM '{}'",
        file.display()
    );
    let found = duckdb(&[], &[&sql]).remove(0);
    assert_eq!((&found[0]["n"], &found[0]["mails"]), (&json!(0), &json!(1)));
    // Without the mask, the archive is of no use.
    let text = dir.read_text(JOB).replace("mask = true\n", "");
    dir.write(JOB, text);
    let asked = query(
        &dir,
        JOB,
        "SELECT count(*) AS n FROM logs WHERE message LIKE '%ann@%'",
    );
    assert_eq!(asked.assert_success().stdout_json()[0]["n"], 1);
}

#[test]
fn an_archive_of_objects_that_another_program_exported() {
    let dir = Dir::new();
    let job = |more: &str| {
        format!(
            "name = \"night\"\n[source]\nkind = \"exported\"\npath = \"exported\"\n[output]\nlocation = \"out\"\n[[query]]\nuse = \"hourly_count\"\n{more}"
        )
    };
    dir.write(JOB, job(&format!("[archive]\n{COLUMNS}")));
    dir.write("plain.toml", job(""));
    let export = crate::support::export::Export::new(dir.join("exported"));
    let midnight = at("2025-03-03T00:00:00Z");
    export.stream("b/stream", &scattered(midnight - 3_600_000, 400));
    export.stream("a", &scattered(midnight, 300));
    let days = ["--from", "2025-03-02", "--to", "2025-03-03"];
    let archived = dir.logtally(["archive", JOB].iter().chain(&days)).run();
    archived.assert_success();
    for sql in SHAPES {
        assert_same(&dir, sql);
    }
    let over = |job: &str, sql: &str| {
        let arguments = ["query", job, "--format", "json", sql];
        rows_of(sql, &dir.logtally(arguments.iter().chain(&days)).run())
    };
    for sql in SHAPES.iter().filter(|sql| !sql.contains("hours AS h")) {
        assert_eq!(over(JOB, sql), over("plain.toml", sql), "{sql}");
    }
    // An object more, and the archive is not of these exports any more.
    export.stream("c", &[(midnight, "later")]);
    assert_same(&dir, "SELECT count(*) AS n FROM logs");
}

#[test]
fn windows_behind_the_first_read_only_their_own_of_the_objects_of_another_program() {
    let dir = Dir::new();
    dir.write(
        JOB,
        "name = \"night\"\n[source]\nkind = \"exported\"\npath = \"exported\"\n[output]\nlocation = \"out\"\n[[query]]\nuse = \"hourly_count\"\n[archive]\n",
    );
    let export = crate::support::export::Export::new(dir.join("exported"));
    let first = at("2025-03-01T00:00:00Z");
    for day in 0..6 {
        let stream = format!("stream-{day}");
        export.stream(&stream, &scattered(first + day * 86_400_000, 400));
    }
    let range = ["--from", "2025-03-01", "--to", "2025-03-06"];
    let archived = dir.logtally(["archive", JOB].iter().chain(&range)).run();
    archived.assert_success();
    let read = |day: i64| {
        let receipt = dir.read_json(format!("out/night/runs/2025-03-0{day}.json"));
        let read = &receipt["read"];
        (read["objects"].as_u64(), read["events"].as_u64())
    };
    assert_eq!(read(1), (Some(6), Some(400)));
    for day in 2..=6 {
        assert_eq!(read(day), (Some(1), Some(400)), "day {day}");
    }
}

#[test]
fn what_no_archive_can_have_is_refused_before_anything_is_exported() {
    for (archive, expected) in [
        (
            "[archive.columns]\ntimestamp = \"level(message)\"\n",
            "taken by a column",
        ),
        ("[archive.columns]\nlevel = \"\"\n", "is empty"),
        (
            "[archive.columns]\nlevel = \"levle(message)\"\n",
            "[archive.columns] level",
        ),
        ("[archive.columns]\nn = \"count(*)\"\n", "one event"),
        (
            "[archive.columns]\nn = \"(SELECT max(timestamp) FROM logs)\"\n",
            "one event",
        ),
        ("[archive.columns]\nn = \"now()\"\n", "when it is computed"),
        (
            "[archive.columns]\nn = \"level(message), 1\"\n",
            "one expression",
        ),
        ("[archive.columns]\nn = \"1) AS x, (2\"\n", "one expression"),
        ("[archive.columns]\nn = \"$window_start\"\n", "parameter"),
        (
            "[archive.columns]\nn = \"row_number() OVER (ORDER BY timestamp)\"\n",
            "one event",
        ),
        (
            "[archive.columns]\nn = \"message->'a'\"\n",
            "Athena can't read",
        ),
        ("[archive]\nfile_size = \"10KB\"\n", "1MiB or more"),
        ("[archive]\npartition_by = [\"levle\"]\n", "no column"),
        ("[archive]\nbloom = [\"x\"]\n", "no column"),
        (
            "[archive]\nmessage = false\nbloom = [\"message\"]\n",
            "no column",
        ),
        (
            "[archive]\npartition_by = [\"n\"]\n[archive.columns]\nn = \"length(message)\"\n",
            "expected text",
        ),
        ("[archive]\nfilesize = \"1GiB\"\n", "file_size"),
        (
            "[[query]]\nuse = \"hourly_levels\"\nname = \"events\"\n[archive]\n",
            "another name for the query",
        ),
    ] {
        let dir = night(archive);
        for command in ["plan", "run"] {
            let refused = dir.logtally([command, JOB, "--window", DAY]).run();
            assert!(
                [Some(2), Some(6)].contains(&refused.code()),
                "{archive}: {refused}"
            );
            refused.stderr_contains(expected);
        }
        assert!(!dir.join("staging").exists(), "{archive}");
    }
}

/// Also a run that answers another question needs no export then.
#[test]
fn an_archive_on_s3_outlives_its_exports() {
    let moto = Moto::shared();
    let cloud = Cloud::new(moto, "archived");
    let plain = cloud.dir.read_text(JOB);
    let archive = format!("[archive]\npartition_by = [\"log_group\"]\n{COLUMNS}");
    cloud.dir.write(JOB, format!("{plain}{archive}"));
    cloud.receipt([]);
    let (day, _) = recent_day();
    let ask = |sql: &str| {
        let arguments = ["query", JOB, "--window", &day, "--format", "json", sql];
        let asked = cloud.logtally(arguments).run();
        asked.assert_success().stdout_json()
    };
    let questions = [
        "SELECT log_group, log_stream, count(*) AS n, min(message) AS m FROM logs GROUP BY 1, 2 ORDER BY 1, 2",
        "SELECT level(message) AS level, max(timestamp) AS t FROM logs GROUP BY 1 ORDER BY 1",
        "SELECT * FROM logs WHERE message LIKE '%한글%'",
    ];
    let answers = questions.map(ask);
    for key in moto.all_keys(&cloud.logs(), "") {
        let object = json!({"Bucket": cloud.logs(), "Key": key});
        moto.call("s3", "delete_object", object);
    }
    assert_eq!(questions.map(ask), answers);

    let tasks = cloud.tasks().len();
    let more = "[[query]]\nuse = \"hourly_levels\"\n";
    cloud.dir.write(JOB, format!("{plain}{more}{archive}"));
    let receipt = cloud.receipt([]);
    assert_eq!(cloud.tasks().len(), tasks, "nothing is exported again");
    assert_eq!(receipt["read"]["events"], 98);
    let levels = ask("SELECT sum(events)::bigint AS n FROM hourly_levels");
    assert_eq!(levels[0]["n"], 98);
}

/// A job of hours over the events of [`night`], whose hours of a day have archives.
fn night_of_hours() -> Dir {
    let dir = night(&format!("[archive]\n{COLUMNS}"));
    for job in [JOB, "plain.toml"] {
        let text = dir.read_text(job);
        let hours = "[window]\nsize = \"hour\"\n[output]";
        let lease = "\n[run]\nlease = \"1s\"\n";
        dir.write(job, text.replace("[output]", hours) + lease);
    }
    dir.logtally(["run", JOB].iter().chain(&HOURS))
        .run()
        .assert_success();
    dir
}

const HOURS: [&str; 4] = ["--from", "2025-03-03T00", "--to", "2025-03-03T23"];

/// The answers to some questions over the hours of the day, and over one of them.
fn answers_of_hours(dir: &Dir, job: &str) -> Vec<Value> {
    let questions = [
        "SELECT count(*) AS n, sum(length(message)) AS l FROM logs",
        "SELECT time_bucket('1 hour', timestamp) AS h, log_stream, level(message) AS level, count(*) AS n FROM logs GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        "SELECT row_number() OVER () AS r, log_group, log_stream, timestamp, message FROM logs ORDER BY 1",
    ];
    let hour = ["--window", "2025-03-03T12"];
    let mut answers = Vec::new();
    for sql in questions {
        for windows in [&HOURS[..], &hour] {
            let arguments = ["query", job, "--format", "json", sql];
            let asked = dir.logtally(arguments.iter().chain(windows)).run();
            answers.push(asked.assert_success().stdout_json());
        }
    }
    answers
}

fn compact(dir: &Dir) -> Program {
    let arguments = ["archive", JOB, "--compact", "day"];
    dir.logtally(arguments.iter().chain(&HOURS))
}

/// The files of hours, and of days.
fn files_of_archives(dir: &Dir) -> (usize, usize) {
    let files = dir.files();
    let count = |folder: &str| files.iter().filter(|file| file.starts_with(folder)).count();
    (
        count("out/night/events/"),
        count("out/night/events_by_day/"),
    )
}

#[test]
fn hours_are_compacted_into_their_day_wherever_that_is_killed() {
    let dir = night_of_hours();
    let expected = answers_of_hours(&dir, "plain.toml");
    fs::remove_dir_all(dir.join("staging")).expect("the exports were there");
    assert_eq!(answers_of_hours(&dir, JOB), expected);
    assert_eq!(files_of_archives(&dir), (24, 0));

    let outputs = dir.files().into_iter();
    let outputs = outputs.filter(|file| file.starts_with("out/"));
    let outputs: Vec<_> = outputs
        .map(|file| (file.clone(), dir.read(&file)))
        .collect();
    let restore = || {
        fs::remove_dir_all(dir.join("out")).expect("there are outputs");
        for (file, bytes) in &outputs {
            dir.write(file, bytes);
        }
    };

    let began = Instant::now();
    compact(&dir)
        .run()
        .assert_success()
        .stdout_contains("2025-03-03  compacted  24 files into 1 file");
    let length = began.elapsed();
    assert_eq!(answers_of_hours(&dir, JOB), expected);
    assert_eq!(files_of_archives(&dir), (0, 1));

    let of_day = dir.files().into_iter();
    let of_day = of_day.filter(|file| file.starts_with("out/night/events_by_day/"));
    let of_day: Vec<_> = of_day.collect();
    let (day, _) = of_day[0].rsplit_once('/').expect("a file in a folder");
    for share in [0.3, 0.5, 0.65, 0.8, 0.9] {
        restore();
        // As a kill in the middle of a put leaves it.
        dir.write(format!("{day}/.logtally-half"), "PAR1");
        let running = compact(&dir).spawn();
        std::thread::sleep(length.mul_f64(share));
        running.signal("KILL");
        drop(running.wait());
        assert_eq!(answers_of_hours(&dir, JOB), expected, "killed at {share}");
        compact(&dir).run().assert_success();
        assert_eq!(answers_of_hours(&dir, JOB), expected, "after {share}");
        assert_eq!(files_of_archives(&dir), (0, 1), "after {share}");
    }

    // Again: nothing. Other questions of an hour: from the archive of the day.
    let again = compact(&dir).run();
    again.assert_success().stdout_contains("compacted before");
    let more = dir.read_text(JOB) + "\n[[query]]\nuse = \"hourly_levels\"\n";
    dir.write(JOB, more);
    let hour = ["run", JOB, "--window", "2025-03-03T12"];
    dir.logtally(hour).run().assert_success();
    assert_eq!(answers_of_hours(&dir, JOB), expected);
    assert_eq!(files_of_archives(&dir), (0, 1));
}

#[test]
fn only_days_whose_hours_all_have_archives_are_compacted() {
    let dir = night(&format!("[archive]\n{COLUMNS}"));
    let refused = compact(&dir).run();
    refused
        .assert_code(2)
        .stderr_contains("size = \\\"hour\\\"");
    let text = dir.read_text(JOB);
    dir.write(
        JOB,
        text.replace("[output]", "[window]\nsize = \"hour\"\n[output]"),
    );
    let hour = ["run", JOB, "--window", "2025-03-03T12"];
    dir.logtally(hour).run().assert_success();
    let refused = compact(&dir).run();
    refused
        .assert_code(2)
        .stdout_contains("2025-03-03  failed (2)")
        .stderr_contains("23 of 24 windows of 2025-03-03 have no archive");
}
