//! The tables of a job's answers: the statements of `ddl`, run by other engines over the files of `run`; changed columns
//! of a query; the Glue catalogue.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use crate::demo::demo;
use crate::support::engines::{Rows, duckdb, spark};
use crate::support::events::{DAY, HOUR, at};
use crate::support::job::{JOB, Night};
use crate::support::moto::Moto;
use crate::support::parquet::Parquet;
use crate::support::program::Dir;

const EVERY_TYPE: &str = include_str!("every_type.sql");

/// The statements that `ddl` prints.
fn ddl<'a>(dir: &Dir, job: &'a str, arguments: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let arguments = ["ddl", job].into_iter().chain(arguments);
    let finished = dir
        .logtally(arguments)
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        .run();
    let script = finished.assert_success().stdout.trim_end();
    let script = script.strip_suffix(';').expect("each statement ends so");
    script.split(";\n\n").map(str::to_owned).collect()
}

/// Athena's statements for a copy of the job with its answers on S3, with the location replaced by the folder again.
fn athena_over_folder(dir: &Dir, job: &str, location: &str, folder: &str) -> Vec<String> {
    let text = dir.read_text(job);
    let written = format!("location = {location:?}");
    assert!(text.contains(&written), "{text}");
    let on_s3 = job.replace(".toml", "_s3.toml");
    dir.write(
        &on_s3,
        text.replace(&written, "location = \"s3://acme-answers/x\""),
    );
    let folder = format!("file://{}", dir.join(folder).display());
    ddl(dir, &on_s3, [])
        .into_iter()
        .filter(|statement| !statement.starts_with("CREATE OR REPLACE VIEW"))
        .map(|statement| statement.replace("s3://acme-answers/x", &folder))
        .collect()
}

/// A job with a query that has every type, and a query without rows.
fn night_of_types() -> Night {
    let night = Night::with(
        "",
        "[[query]]\nname = \"every\"\nsql = \"every_type.sql\"\n[[query]]\nname = \"nothing\"\nsql = \"nothing.sql\"\n",
    );
    night.dir.write("every_type.sql", EVERY_TYPE);
    night.dir.write(
        "nothing.sql",
        "SELECT message, \"timestamp\" AS \"select\" FROM logs WHERE message = 'no such thing'",
    );
    let noon = at("2025-03-03T12:00:00Z");
    night.export().stream("web/app", &[(noon, "한글")]);
    night.run("2025-03-03").assert_success();
    night
}

/// The rows that pyarrow and DuckDB read from the file itself, with its partition.
fn rows_of(night: &Night, query: &str) -> Rows {
    let file = format!("out/night/{query}/dt=2025-03-03/{query}.parquet");
    let mut rows = Parquet::read(night.dir.join(file)).rows;
    for row in &mut rows {
        row.insert("dt".into(), "2025-03-03".into());
    }
    rows
}

#[test]
fn every_type_has_one_that_parquet_readers_know() {
    let night = night_of_types();
    let every = Parquet::read(
        night
            .dir
            .join("out/night/every/dt=2025-03-03/every.parquet"),
    );
    let types: BTreeMap<String, String> = every.columns.into_iter().collect();
    for (column, expected) in [
        ("u8", "int32"),
        ("u32", "int64"),
        ("u64", "int64"),
        ("f16", "float"),
        ("d32", "decimal128(9, 2)"),
        ("d256", "decimal128(38, 4)"),
        ("d_negative", "decimal128(8, 0)"),
        ("text_dictionary", "string"),
        ("text_view", "string"),
        ("number_dictionary", "int64"),
        ("bytes_fixed", "binary"),
        ("date64", "date32[day]"),
        ("time_s", "timestamp[ms]"),
        ("time_ns", "timestamp[ms]"),
        ("time_zone", "timestamp[ms]"),
        ("nothing", "string"),
        ("list_fixed", "list<element: int64>"),
        ("group", "struct<amount: double, order: string>"),
    ] {
        assert_eq!(types[column], expected, "{column}");
    }
    let row = &every.rows[0];
    assert_eq!(row["u64"], i64::MAX);
    assert_eq!(row["f16"], 1.5);
    assert_eq!(row["d_negative"], "12345000");
    assert_eq!(row["time_us"], "2026-11-21T01:02:03.004000");
    // Times are truncated towards the past.
    assert_eq!(row["time_ns"], "1969-12-31T23:59:59.999000");
    assert_eq!(row["deep"], json!({"by_key": {"k": {"n": 1}}}));
    assert!(every.rows[1].values().all(Value::is_null));
}

#[test]
fn a_value_beyond_athenas_numbers_is_an_error_that_names_it() {
    let night = Night::with("", "[[query]]\nname = \"big\"\nsql = \"big.sql\"\n");
    let noon = at("2025-03-03T12:00:00Z");
    night.export().stream("web/app", &[(noon, "x")]);
    for (sql, value) in [
        (
            "SELECT 18446744073709551615 AS total FROM logs",
            "18446744073709551615",
        ),
        (
            "SELECT [arrow_cast(9223372036854775808, 'UInt64')] AS total FROM logs",
            "9223372036854775808",
        ),
    ] {
        night.dir.write("big.sql", sql);
        night
            .run("2025-03-03")
            .assert_code(6)
            .stderr_contains("total")
            .stderr_contains(value);
        assert_eq!(night.outputs(), Vec::<String>::new());
    }
    for (sql, advice) in [
        ("SELECT now() - now() AS took", "extract(epoch"),
        ("SELECT interval '1 day' AS took", "extract(epoch"),
        (
            "SELECT arrow_cast('01:02:03', 'Time32(Second)') AS took",
            "::text",
        ),
        ("SELECT message->'a' AS took FROM logs", "->>"),
    ] {
        night.dir.write("big.sql", sql);
        night
            .run("2025-03-03")
            .assert_code(6)
            .stderr_contains("took")
            .stderr_contains(advice);
    }
    // The casts that the errors suggest work.
    night.dir.write(
        "big.sql",
        "SELECT extract(epoch FROM now() - now()) AS a, extract(epoch FROM interval '1 day') AS b, \
         arrow_cast('01:02:03', 'Time32(Second)')::text AS c, message->>'a' AS d FROM logs",
    );
    night.run("2025-03-03").assert_success();
    let big = Parquet::read(night.dir.join("out/night/big/dt=2025-03-03/big.parquet"));
    assert_eq!(big.rows[0]["b"], 86400.0);
    assert_eq!(big.rows[0]["c"], "01:02:03");
}

#[test]
fn duckdb_reads_every_type_back() {
    let night = night_of_types();
    let statements = ddl(&night.dir, JOB, ["--format", "duckdb"]);
    let answers = duckdb(
        &statements,
        &[
            "SELECT * FROM logtally.night_every ORDER BY n",
            "SELECT * FROM logtally.night_nothing",
            "SELECT comment FROM duckdb_views() WHERE view_name = 'night_every'",
            "SELECT comment FROM duckdb_columns() WHERE table_name = 'night_every' AND column_name = 'u64'",
        ],
    );
    assert_eq!(answers[0], rows_of(&night, "every"));
    assert_eq!(answers[1], Rows::new());
    assert_eq!(
        answers[2][0]["comment"],
        "One column of each type that a query can answer, and a row of NULLs."
    );
    assert_eq!(answers[3][0]["comment"], "the largest value in Athena");
}

#[test]
fn sparks_hive_catalogue_runs_the_ddl_and_reads_every_type_back() {
    let night = night_of_types();
    let demo = demo();
    let ran = demo
        .logtally([
            "run",
            "jobs/demo.toml",
            "--from",
            "2026-11-20",
            "--to",
            "2026-11-21",
        ])
        .run();
    ran.assert_success();

    // Athena's statements. Hive's catalogue has no projection, so it needs MSCK REPAIR TABLE.
    let mut statements = athena_over_folder(&night.dir, JOB, "out", "out");
    let demo_job = "jobs/demo.toml";
    statements.extend(athena_over_folder(
        &demo,
        demo_job,
        "../demo-output",
        "demo-output",
    ));
    for table in [
        "night_every",
        "night_nothing",
        "demo_hourly_count",
        "demo_errors_by_hour",
    ] {
        statements.push(format!("MSCK REPAIR TABLE logtally.{table}"));
    }
    // Spark's statements, with the views.
    statements.extend(ddl(
        &night.dir,
        JOB,
        ["--format", "spark", "--database", "by_spark"],
    ));
    statements.extend(ddl(
        &demo,
        demo_job,
        ["--format", "spark", "--database", "by_spark"],
    ));

    let answers = spark(
        &statements,
        &[
            "SELECT * FROM logtally.night_every ORDER BY n NULLS LAST",
            "SELECT * FROM by_spark.night_every ORDER BY n NULLS LAST",
            "SELECT * FROM logtally.night_nothing",
            "SELECT * FROM by_spark.night_nothing",
            "SELECT * FROM by_spark.night_nothing_latest",
            "SELECT hour_local, errors, dt FROM logtally.demo_errors_by_hour ORDER BY dt, hour_local",
            "SELECT hour_local, errors, dt FROM by_spark.demo_errors_by_hour ORDER BY dt, hour_local",
            "SELECT dt, sum(events) AS events FROM logtally.demo_hourly_count GROUP BY dt ORDER BY dt",
            "DESCRIBE logtally.night_every",
        ],
    );
    let every = rows_of(&night, "every");
    assert_eq!(answers[0], every, "Athena's statement");
    assert_eq!(answers[1], every, "Spark's statement");
    for empty in &answers[2..5] {
        assert_eq!(empty, &Rows::new());
    }
    let mut errors = Rows::new();
    let mut counts = Vec::new();
    for day in ["2026-11-20", "2026-11-21"] {
        let file =
            |query: &str| demo.join(format!("demo-output/demo/{query}/dt={day}/{query}.parquet"));
        for mut row in Parquet::read(file("errors_by_hour")).rows {
            row.insert("dt".into(), day.into());
            errors.push(row);
        }
        let counted = Parquet::read(file("hourly_count")).integers("events");
        counts.push(json!({"dt": day, "events": counted.iter().sum::<i64>()}));
    }
    assert_eq!(answers[5], errors);
    assert_eq!(answers[6], errors);
    let by_duckdb = ddl(&demo, demo_job, ["--format", "duckdb"]);
    let query =
        "SELECT hour_local, errors, dt FROM logtally.demo_errors_by_hour ORDER BY dt, hour_local";
    assert_eq!(
        duckdb(&by_duckdb, &[query])[0],
        errors,
        "DuckDB's statement"
    );
    assert_eq!(json!(answers[7]), Value::from(counts));
    let described: BTreeMap<&str, &Value> = answers[8]
        .iter()
        .filter_map(|row| Some((row["col_name"].as_str()?, &row["data_type"])))
        .collect();
    assert_eq!(described["group"], "struct<amount:double,order:string>");
    assert_eq!(described["map"], "map<string,bigint>");
    assert_eq!(described["d256"], "decimal(38,4)");
}

#[test]
fn the_view_shows_the_newest_day_that_has_ended() {
    let night = Night::with("timezone = \"Asia/Seoul\"", "");
    let today = chrono::Utc::now().date_naive();
    let day = |back: i64| (today - chrono::TimeDelta::days(back)).to_string();
    let noon = at(&format!("{}T03:00:00Z", day(4)));
    // In Seoul's days: one event four days ago, two events three days ago.
    let events = [(noon, "a"), (noon + DAY, "b"), (noon + DAY + HOUR, "c")];
    night.export().stream("web/app", &events);
    for back in [4, 3] {
        night.run(&day(back)).assert_success();
    }
    // A day that has not ended, as `run --provisional` writes it. The day after tomorrow has not ended in any zone.
    let folder = |back: i64| {
        night
            .dir
            .join(format!("out/night/hourly_count/dt={}", day(back)))
    };
    fs::create_dir(folder(-2)).expect("the test's folder is writable");
    let file = "hourly_count.parquet";
    fs::copy(folder(4).join(file), folder(-2).join(file)).expect("the test's folder is writable");

    let query = "SELECT day, sum(events) AS events, min(hour_of_day) AS first FROM logtally.night_hourly_count_latest GROUP BY day";
    let newest = json!([{"day": day(3), "events": 2, "first": 0}]);
    let by_spark = ddl(&night.dir, JOB, ["--format", "spark"]);
    assert_eq!(json!(spark(&by_spark, &[query])[0]), newest);
    let mut statements = ddl(&night.dir, JOB, ["--format", "duckdb"]);
    let answers = duckdb(&statements, &[query]);
    // DuckDB's sums are 128-bit integers.
    assert_eq!(json!(answers[0]), newest);

    // Athena's view is in Trino's SQL, which DuckDB can run.
    night.dir.write(
        "s3.toml",
        night
            .dir
            .read_text(JOB)
            .replace("\"out\"", "\"s3://acme/x\""),
    );
    let views = ddl(&night.dir, "s3.toml", []);
    let views = views
        .into_iter()
        .filter(|statement| statement.contains(" VIEW "));
    statements.retain(|statement| !statement.contains("_latest"));
    statements.extend(views);
    let answers = duckdb(&statements, &[query]);
    assert_eq!(json!(answers[0]), newest);
}

/// The statement of `ddl` for the table of the only query.
fn athena_table(head: &str, tail: &str, arguments: &[&str]) -> String {
    let night = Night::with(head, tail);
    let job = night
        .dir
        .read_text(JOB)
        .replace("\"out\"", "\"s3://acme/x\"");
    night.dir.write(JOB, job);
    ddl(&night.dir, JOB, arguments.iter().copied()).swap_remove(1)
}

#[test]
fn athenas_partitions_are_the_windows() {
    let property = |size: &str, key: &str| {
        let tail = format!("[window]\nsize = {size:?}\n");
        let table = athena_table("", &tail, &["--since", "2026-11-21"]);
        let line = table
            .lines()
            .find_map(|line| line.trim().strip_prefix(&format!("'{key}' = '")));
        line.map(|value| value.trim_end_matches([',', '\'']).to_owned())
    };
    for (size, range, interval, unit) in [
        ("hour", "2026-11-21,NOW+1DAYS", "1", "DAYS"),
        ("day", "2026-11-21,NOW+1DAYS", "1", "DAYS"),
        ("week", "2026-11-16,NOW+1DAYS", "7", "DAYS"),
        ("month", "2026-11-01,NOW+1DAYS", "1", "MONTHS"),
    ] {
        assert_eq!(
            property(size, "projection.dt.interval").as_deref(),
            Some(interval)
        );
        assert_eq!(
            property(size, "projection.dt.range").as_deref(),
            Some(range)
        );
        assert_eq!(
            property(size, "projection.dt.interval.unit").as_deref(),
            Some(unit)
        );
        let template = property(size, "storage.location.template");
        let hours = if size == "hour" { "hh=${hh}/" } else { "" };
        let expected = format!("s3://acme/x/night/hourly_count/dt=${{dt}}/{hours}");
        assert_eq!(template, Some(expected));
    }
    // Trino has no intervals of months, so it looks for each day, of which only the first exists.
    let months = "[window]\nsize = \"month\"\n";
    let trino = athena_table("", months, &["--format", "trino"]);
    assert!(
        trino.contains("partition_projection_interval_unit = 'DAYS'"),
        "{trino}"
    );
    let table = athena_table("", "[window]\nsize = \"hour\"\n", &[]);
    assert!(
        table.contains("PARTITIONED BY (`dt` string, `hh` string)"),
        "{table}"
    );
    assert!(table.contains("'projection.hh.digits' = '2'"), "{table}");
}

#[test]
fn ddl_says_what_an_engine_can_not_have() {
    let night = Night::with("", "[[query]]\nname = \"odd\"\nsql = \"odd.sql\"\n");
    night.dir.write("odd.sql", "SELECT count(*) FROM logs");
    let ddl = |arguments: &[&str]| {
        let arguments = ["ddl", JOB].into_iter().chain(arguments.iter().copied());
        night.dir.logtally(arguments).run()
    };
    for format in ["athena", "trino"] {
        ddl(&["--format", format])
            .assert_code(2)
            .stderr_contains("out/night/hourly_count")
            .stderr_contains("s3://bucket/prefix")
            .stderr_contains("--format spark or duckdb");
    }
    ddl(&["--format", "duckdb"]).assert_success();
    let job = night
        .dir
        .read_text(JOB)
        .replace("\"out\"", "\"s3://acme/x\"");
    night.dir.write(JOB, job);
    ddl(&[])
        .assert_code(2)
        .stderr_contains("count(*)")
        .stderr_contains("AS");
    ddl(&["--since", "2999-01-01"])
        .assert_code(2)
        .stderr_contains("--since 2999-01-01 is after today");
    // A column with the name of a partition is an error for every engine.
    night
        .dir
        .write("odd.sql", "SELECT message AS \"DT\" FROM logs");
    ddl(&[]).assert_code(6).stderr_contains("\\\"dt\\\"");
    night.dir.write("odd.sql", "SELECT 1 AS a, 2 AS \"A\"");
    ddl(&[]).assert_code(6).stderr_contains("\\\"A\\\"");
}

#[cfg(not(feature = "glue"))]
#[test]
fn a_build_without_glue_says_so() {
    Night::new()
        .dir
        .logtally(["ddl", JOB, "--apply"])
        .run()
        .assert_code(2)
        .stderr_contains("without the feature")
        .stderr_contains("cargo build --features glue");
}

#[test]
fn columns_that_change_are_told_before_anything_is_exported() {
    let dir = demo();
    let sql = |text: &str| dir.write("jobs/demo/errors_by_hour.sql", text);
    let run = |arguments: &[&str]| {
        let first = ["run", "jobs/demo.toml", "--window"];
        dir.logtally(first.into_iter().chain(arguments.iter().copied()))
            .run()
    };
    let original = dir.read_text("jobs/demo/errors_by_hour.sql");
    run(&["2026-11-20"]).assert_success();
    let before = dir.files();

    sql(&format!(
        "SELECT hour_local, errors::double AS errors FROM ({original})"
    ));
    run(&["2026-11-21"])
        .assert_code(2)
        .stderr_contains("errors_by_hour")
        .stderr_contains("errors\\\" was bigint and would be double")
        .stderr_contains("2026-11-20")
        .stderr_contains("--force");
    assert_eq!(dir.files(), before, "nothing is exported");
    dir.logtally(["plan", "jobs/demo.toml", "--window", "2026-11-21"])
        .run()
        .assert_code(2);

    sql(&format!("SELECT errors FROM ({original})"));
    // The check also covers a window that is done.
    let job = dir
        .read_text("jobs/demo.toml")
        .replace("x = \"hour_local\"", "x = \"errors\"");
    dir.write("jobs/demo.toml", job);
    run(&["2026-11-20"])
        .assert_code(2)
        .stderr_contains("hour_local\\\" (timestamp) would be gone");

    // A new column is allowed.
    let job = dir
        .read_text("jobs/demo.toml")
        .replace("x = \"errors\"", "x = \"hour_local\"");
    dir.write("jobs/demo.toml", job);
    sql(&format!("SELECT 'x' AS more, * FROM ({original})"));
    run(&["2026-11-21"]).assert_success();
    let answers = duckdb(
        &ddl(&dir, "jobs/demo.toml", ["--format", "duckdb"]),
        &["SELECT DISTINCT dt, more FROM logtally.demo_errors_by_hour ORDER BY dt"],
    );
    let expected = json!([{"dt": "2026-11-20", "more": null}, {"dt": "2026-11-21", "more": "x"}]);
    assert_eq!(json!(answers[0]), expected);

    // --force accepts another type.
    sql(&format!(
        "SELECT hour_local, errors::int AS errors FROM ({original})"
    ));
    run(&["2026-11-21"]).assert_code(2);
    run(&["2026-11-21", "--force"])
        .assert_success()
        .stderr_contains("would be int");
}

/// A job whose answer is divided by the events' streams.
fn divided_night() -> Night {
    let night = Night::with(
        "",
        "[[query]]\nname = \"streams\"\nsql = \"streams.sql\"\npartition_by = [\"stream\"]\n",
    );
    night.dir.write(
        "streams.sql",
        "SELECT nullif(log_stream, 'none') AS stream, message FROM logs ORDER BY message DESC",
    );
    let noon = at("2025-03-03T12:00:00Z");
    for (stream, messages) in [
        (
            "2026/11/21/[$LATEST]8384fc4f4204e4521a5c7742b76ea1ef",
            ["a", "b"],
        ),
        ("한글 = 100%", ["c", "d"]),
        ("none", ["e", "f"]),
    ] {
        let events: Vec<(i64, &str)> = messages.into_iter().map(|text| (noon, text)).collect();
        night.export().stream(&stream.replace('/', "-"), &events);
    }
    night.run("2025-03-03").assert_success();
    night
}

#[test]
fn an_answer_is_divided_into_folders_that_others_read() {
    let night = divided_night();
    let folder = "out/night/streams/dt=2025-03-03";
    let file = |stream: &str| format!("{folder}/stream={stream}/streams.parquet");
    let lambda = file("2026%2F11%2F21%2F%5B%24LATEST%5D8384fc4f4204e4521a5c7742b76ea1ef");
    let korean = file("한글%20%3D%20100%25");
    let none = file("__HIVE_DEFAULT_PARTITION__");
    let files = || -> Vec<String> {
        let files = night.outputs().into_iter();
        files.filter(|file| file.starts_with(folder)).collect()
    };
    let expected = [&lambda, &none, &korean].map(Clone::clone);
    assert_eq!(files(), expected);
    let parts = Parquet::read_all([&lambda, &korean, &none].map(|file| night.dir.join(file)));
    for (part, messages) in parts.iter().zip([["b", "a"], ["d", "c"], ["f", "e"]]) {
        assert_eq!(part.schema(), ["message: string"]);
        assert_eq!(part.texts("message"), messages);
    }
    let receipt = night.dir.read_json("out/night/runs/2025-03-03.json");
    let outputs = receipt["outputs"].as_array().expect("a list").iter();
    let of_query = outputs.filter(|output| output["query"] == "streams" && output["rows"] == 2);
    assert_eq!(of_query.count(), 3);

    let query = "SELECT dt, stream, message FROM logtally.night_streams ORDER BY message";
    let mut expected = Rows::new();
    for (stream, messages) in [
        (
            json!("2026/11/21/[$LATEST]8384fc4f4204e4521a5c7742b76ea1ef"),
            ["a", "b"],
        ),
        (json!("한글 = 100%"), ["c", "d"]),
        (Value::Null, ["e", "f"]),
    ] {
        for message in messages {
            let row = json!({"dt": "2025-03-03", "stream": stream, "message": message});
            expected.extend(row.as_object().cloned());
        }
    }
    let statements = ddl(&night.dir, JOB, ["--format", "duckdb"]);
    assert_eq!(duckdb(&statements, &[query])[0], expected);
    let mut statements = athena_over_folder(&night.dir, JOB, "out", "out");
    assert!(
        statements
            .iter()
            .any(|text| text == "MSCK REPAIR TABLE `logtally`.`night_streams`")
    );
    let tables = statements
        .iter()
        .filter(|text| text.contains("night_streams"));
    let projected = |text: &&String| text.contains("projection");
    assert_eq!(
        tables.filter(projected).count(),
        0,
        "nobody knows the values before"
    );
    statements.extend(ddl(
        &night.dir,
        JOB,
        ["--format", "spark", "--database", "by_spark"],
    ));
    let by_spark = query.replace("logtally", "by_spark");
    for answer in spark(&statements, &[query, &by_spark]) {
        assert_eq!(answer, expected);
    }
}

/// The files of a job with their sizes.
fn sizes(night: &Night) -> Vec<(String, u64)> {
    sizes_of(night, night.dir.files())
}

fn sizes_of(night: &Night, files: Vec<String>) -> Vec<(String, u64)> {
    let size = |file: String| {
        let size = fs::metadata(night.dir.join(&file)).map_or(0, |meta| meta.len());
        (file, size)
    };
    files.into_iter().map(size).collect()
}

#[test]
fn what_a_new_answer_has_no_more_reads_as_no_rows() {
    let night = divided_night();
    night.dir.write(
        "streams.sql",
        "SELECT 'one' AS stream, message FROM logs WHERE message = 'a' UNION ALL \
         SELECT nullif(log_stream, 'none'), message FROM logs WHERE message = 'e'",
    );
    night.run("2025-03-03").assert_success();
    let files: Vec<String> = night
        .outputs()
        .into_iter()
        .filter(|file| file.contains("/streams/dt=2025-03-03/"))
        .collect();
    assert_eq!(files.len(), 4);
    let rows: Vec<usize> = Parquet::read_all(files.iter().map(|file| night.dir.join(file)))
        .iter()
        .map(|part| part.rows.len())
        .collect();
    // Sorted by name: a value that is gone, NULL, the new value, a value that is gone.
    assert_eq!(rows, [0, 1, 1, 0], "{files:?}");
    let before = night.dir.files();
    night
        .run_with(["--window", "2025-03-03", "--force"])
        .assert_success();
    assert_eq!(night.dir.files(), before);

    // Another division would break tables over the answers.
    let job = night.dir.read_text(JOB);
    night
        .dir
        .write(JOB, job.replace("partition_by = [\"stream\"]\n", ""));
    for force in [&[][..], &["--force"]] {
        let arguments = ["--window", "2025-03-03"].iter().chain(force).copied();
        night
            .run_with(arguments)
            .assert_code(2)
            .stderr_contains("divided by (stream) and would be one file");
    }
    for (by, expected) in [
        ("\"nope\"", "expected one of stream, message"),
        ("\"stream\", \"message\"", "every column"),
        ("\"stream\", \"stream\"", "twice"),
    ] {
        night
            .dir
            .write(JOB, job.replace("[\"stream\"]", &format!("[{by}]")));
        night
            .run("2025-03-03")
            .assert_code(2)
            .stderr_contains(expected);
    }
}

#[test]
fn a_divided_answer_without_rows_is_there_all_the_same() {
    let night = Night::with(
        "",
        "[[query]]\nname = \"streams\"\nsql = \"streams.sql\"\npartition_by = [\"stream\"]\n",
    );
    let sql = |message: &str| {
        let sql =
            format!("SELECT log_stream AS stream, {message} AS message FROM logs WHERE false");
        night.dir.write("streams.sql", sql);
    };
    sql("message");
    night
        .export()
        .stream("web/app", &[(at("2025-03-03T12:00:00Z"), "x")]);
    night.run("2025-03-03").assert_success();
    let file = "out/night/streams/dt=2025-03-03/stream=__HIVE_DEFAULT_PARTITION__/streams.parquet";
    assert!(night.outputs().contains(&file.to_owned()));
    let statements = ddl(&night.dir, JOB, ["--format", "duckdb"]);
    let query = "SELECT * FROM logtally.night_streams";
    assert_eq!(duckdb(&statements, &[query])[0], Rows::new());
    sql("1");
    night
        .run("2025-03-04")
        .assert_code(2)
        .stderr_contains("message\\\" was string and would be bigint");
}

#[test]
fn a_value_that_no_folder_can_be_named_is_told_before_anything_is_put() {
    let night = divided_night();
    let before = night.dir.files();
    let long = "x".repeat(300);
    night.dir.write(
        "streams.sql",
        format!("SELECT '{long}' AS stream, message FROM logs"),
    );
    night
        .run("2025-03-03")
        .assert_code(6)
        .stderr_contains("[[query]] streams")
        .stderr_contains("\\\"stream\\\"")
        .stderr_contains("255 bytes");
    night.dir.write(
        "streams.sql",
        "SELECT '__HIVE_DEFAULT_PARTITION__' AS stream, message FROM logs",
    );
    night
        .run("2025-03-03")
        .assert_code(6)
        .stderr_contains("nullif(…, '__HIVE_DEFAULT_PARTITION__')");
    let answers = |files: Vec<(String, u64)>| -> Vec<(String, u64)> {
        let files = files.into_iter();
        files.filter(|(file, _)| !file.contains("_state")).collect()
    };
    assert_eq!(answers(sizes(&night)), answers(sizes_of(&night, before)));
}

#[test]
fn what_a_killed_run_left_of_a_divided_answer_is_swept() {
    let night = divided_night();
    let left = "out/night/streams/dt=2025-03-03/stream=gone/.logtally-left";
    night.dir.write(left, "PAR1");
    let path = "out/night/runs/_state/2025-03-03.json";
    let mut state = night.dir.read_json(path);
    let receipt = night.dir.read_json("out/night/runs/2025-03-03.json");
    state["unfinished"] = json!({
        "began_at": chrono::Utc::now().to_rfc3339(),
        "source_sha256": receipt["source_sha256"],
    });
    night.dir.write(path, state.to_string());
    night.run("2025-03-03").assert_success();
    assert!(!night.dir.join(left).exists());
}

#[test]
fn windows_of_another_size_are_refused() {
    let sized = |night: &Night, size: &str| {
        let job = night.dir.read_text(JOB);
        let job = job.split("[window]").next().expect("a text").to_owned();
        night
            .dir
            .write(JOB, format!("{job}[window]\nsize = {size:?}\n"));
    };
    // A Monday, an hour of it, its week and its month.
    let windows = [
        ("day", "2025-03-03"),
        ("hour", "2025-03-03T12"),
        ("week", "2025-W10"),
        ("month", "2025-03"),
    ];
    for (was, first) in windows {
        let night = Night::new();
        night
            .export()
            .stream("web/app", &[(at("2025-03-03T12:00:00Z"), "x")]);
        sized(&night, was);
        night.run(first).assert_success();
        let before = night.dir.files();
        for (size, window) in windows.into_iter().filter(|(size, _)| *size != was) {
            sized(&night, size);
            night
                .run_with(["--window", window, "--force"])
                .assert_code(2)
                .stderr_contains("of other windows")
                .stderr_contains("hourly_count");
        }
        assert_eq!(night.dir.files(), before, "{was}");
        sized(&night, was);
        night.run(first).assert_success();
    }
}

#[test]
fn a_query_that_was_away_for_a_while_is_compared_with_its_own_newest_answer() {
    let night = divided_night();
    let job = night.dir.read_text(JOB);
    let without = job.split("[[query]]\nname").next().expect("a text");
    night.dir.write(JOB, without);
    night.run("2025-03-04").assert_success();
    night.dir.write(JOB, job);
    night.dir.write(
        "streams.sql",
        "SELECT log_stream AS stream, 1 AS message FROM logs",
    );
    night
        .run("2025-03-05")
        .assert_code(2)
        .stderr_contains("of window 2025-03-03")
        .stderr_contains("message\\\" was string and would be bigint");
}

#[test]
fn tables_of_windows_of_every_size_are_read() {
    let windows = [
        ("hour", "2025-03-03T12"),
        ("week", "2025-W10"),
        ("month", "2025-03"),
    ];
    let mut statements = Vec::new();
    let mut queries = Vec::new();
    let mut expected = Vec::new();
    let nights = windows.map(|(size, window)| {
        let night = Night::with("", &format!("[window]\nsize = {size:?}\n"));
        let noon = at("2025-03-03T12:00:00Z");
        night.export().stream("web/app", &[(noon, "x"), (noon, "y")]);
        night.run(window).assert_success();
        let hour = if size == "hour" { ", hh" } else { "" };
        let query = format!(
            "SELECT sum(events) AS events, dt{hour} FROM by_{size}.night_hourly_count GROUP BY dt{hour}"
        );
        let mut row = json!({"events": 2, "dt": if size == "month" { "2025-03-01" } else { "2025-03-03" }});
        if size == "hour" {
            row["hh"] = "12".into();
        }
        expected.push(json!([row]));
        queries.push(query);
        let database = format!("by_{size}");
        statements.extend(ddl(&night.dir, JOB, ["--format", "spark", "--database", &database]));
        night
    });
    let queries: Vec<&str> = queries.iter().map(String::as_str).collect();
    assert_eq!(json!(spark(&statements, &queries)), json!(expected));
    let mut statements = Vec::new();
    for (night, (size, _)) in nights.iter().zip(windows) {
        let database = format!("by_{size}");
        statements.extend(ddl(
            &night.dir,
            JOB,
            ["--format", "duckdb", "--database", &database],
        ));
    }
    assert_eq!(json!(duckdb(&statements, &queries)), json!(expected));
}

#[test]
fn names_and_comments_of_folders_are_in_the_tables() {
    let night = Night::with(
        "",
        "[[query]]\nname = \"q\"\nsql = \"q.sql\"\npartition_by = [\"day\"]\n",
    );
    // The view renames a column that has the name of one of its own.
    night.dir.write(
        "q.sql",
        "-- day: 'what' it was\nSELECT message AS day, 1 AS n FROM logs",
    );
    night
        .export()
        .stream("web/app", &[(at("2025-03-03T12:00:00Z"), "x")]);
    night.run("2025-03-03").assert_success();
    let statements = ddl(&night.dir, JOB, ["--format", "duckdb"]);
    let answers = duckdb(
        &statements,
        &[
            "SELECT * FROM logtally.night_q_latest",
            "SELECT comment FROM duckdb_columns() WHERE table_name = 'night_q' AND column_name = 'day'",
        ],
    );
    assert_eq!(answers[0], Rows::new());
    assert_eq!(answers[1][0]["comment"], "'what' it was");
    let athena = athena_over_folder(&night.dir, JOB, "out", "out");
    assert!(
        athena.iter().any(|text| text
            .contains("PARTITIONED BY (`dt` string, `day` string COMMENT '\\'what\\' it was')")),
        "{athena:?}"
    );
    let on_s3 = ddl(&night.dir, "night_s3.toml", ["--format", "trino"]);
    assert!(
        on_s3
            .iter()
            .any(|text| text.contains("\"day\" varchar COMMENT "))
    );
}

#[test]
fn a_folder_may_have_the_characters_of_patterns() {
    let night = Night::new();
    let job = night.dir.read_text(JOB);
    night.dir.write(JOB, job.replace("\"out\"", "\"out[1]*?\""));
    night
        .export()
        .stream("web/app", &[(at("2025-03-03T12:00:00Z"), "x")]);
    night.run("2025-03-03").assert_success();
    let statements = ddl(&night.dir, JOB, ["--format", "duckdb"]);
    let query = "SELECT sum(events) AS events FROM logtally.night_hourly_count";
    assert_eq!(
        json!(duckdb(&statements, &[query])[0]),
        json!([{"events": 1}])
    );
}

#[test]
fn divided_answers_go_to_s3_too() {
    let moto = Moto::shared();
    moto.create_bucket("divided-answers");
    let night = divided_night();
    let job = night.dir.read_text(JOB);
    let job = job.replace("\"out\"", "\"s3://divided-answers/x\"");
    night.dir.write(JOB, job);
    let run = |sql: &str| {
        night.dir.write("streams.sql", sql);
        let program = night.dir.logtally(["run", JOB, "--window", "2025-03-03"]);
        program.envs(moto.environment()).run()
    };
    let parts = || -> Vec<(String, Value)> {
        let objects = moto.list_objects("divided-answers", "x/night/streams/");
        let part = |object: &Value| {
            let key = object["Key"].as_str().expect("a key is a text");
            let part = key.strip_prefix("x/night/streams/dt=2025-03-03/");
            (
                part.expect("of that day").to_owned(),
                object["ETag"].clone(),
            )
        };
        objects.iter().map(part).collect()
    };
    run("SELECT '한글/' || message AS stream, message FROM logs").assert_success();
    let before = parts();
    let names = before.iter().map(|(name, _)| name.as_str());
    let expected =
        ["a", "b", "c", "d", "e", "f"].map(|m| format!("stream=한글%2F{m}/streams.parquet"));
    assert!(names.eq(expected.iter()), "{before:?}");
    run("SELECT '한글/' || message AS stream, message FROM logs WHERE message < 'd'")
        .assert_success();
    let after = parts();
    // The values that are gone have files without rows, which all have the same bytes.
    assert!(
        after[3].1 != before[3].1 && after[3].1 == after[5].1,
        "{after:?}"
    );
    let again = ["run", JOB, "--window", "2025-03-03", "--force"];
    let again = night.dir.logtally(again).envs(moto.environment()).run();
    again.assert_success();
    assert_eq!(parts(), after, "the same answer is the same bytes");
    run("SELECT '한글/' || message AS stream, 1 AS message FROM logs")
        .assert_code(2)
        .stderr_contains("was string and would be bigint");
}

#[cfg(feature = "glue")]
mod glue {
    use super::*;
    use crate::support::program::Finished;

    const SQL: &str = "-- Counts.\n-- events: how many\nSELECT count(*) AS events FROM logs";

    /// A job with its answers on S3, whose only query is in `q.sql`.
    fn job(location: &str) -> Dir {
        let dir = Dir::new();
        let job = format!(
            "name = \"night\"\n[source]\nkind = \"exported\"\npath = \"exported\"\n\
             [output]\nlocation = \"{location}\"\n[[query]]\nname = \"counts\"\nsql = \"q.sql\"\n"
        );
        dir.write("job.toml", job);
        dir.write("q.sql", SQL);
        dir
    }

    fn apply(moto: &Moto, dir: &Dir, database: &str) -> Finished {
        apply_with(moto, dir, database, &[])
    }

    fn apply_with(moto: &Moto, dir: &Dir, database: &str, more: &[&str]) -> Finished {
        let arguments = ["ddl", "job.toml", "--apply", "--database", database];
        let arguments = arguments.iter().chain(more).copied();
        dir.logtally(arguments).envs(moto.environment()).run()
    }

    fn table(moto: &Moto, database: &str) -> Value {
        let name = json!({"DatabaseName": database, "Name": "night_counts"});
        moto.call("glue", "get_table", name)["Table"].clone()
    }

    #[test]
    fn tables_are_made_and_grow_and_are_never_broken() {
        let moto = Moto::shared();
        let database = "grows";
        let dir = job("s3://acme/x");
        apply(moto, &dir, database)
            .assert_success()
            .stdout_is("grows.night_counts  created\n");
        let made = table(moto, database);
        assert_eq!(made["Description"], "Counts.");
        assert_eq!(made["TableType"], "EXTERNAL_TABLE");
        assert_eq!(
            made["PartitionKeys"],
            json!([{"Name": "dt", "Type": "string"}])
        );
        let storage = &made["StorageDescriptor"];
        assert_eq!(storage["Location"], "s3://acme/x/night/counts/");
        let events = json!({"Name": "events", "Type": "bigint", "Comment": "how many"});
        assert_eq!(storage["Columns"], json!([events]));
        let serde = &storage["SerdeInfo"]["SerializationLibrary"];
        assert!(
            serde
                .as_str()
                .is_some_and(|serde| serde.ends_with("ParquetHiveSerDe"))
        );
        assert_eq!(
            made["Parameters"]["projection.dt.range"],
            "2020-01-01,NOW+1DAYS"
        );
        assert_eq!(made["Parameters"]["EXTERNAL"], "TRUE");
        apply(moto, &dir, database)
            .assert_success()
            .stdout_is("grows.night_counts  unchanged\n");

        // The range of --since stays until another --since.
        let since = ["--since", "2026-11-01"];
        apply_with(moto, &dir, database, &since)
            .assert_success()
            .stdout_is("grows.night_counts  updated\n");
        apply(moto, &dir, database)
            .assert_success()
            .stdout_is("grows.night_counts  unchanged\n");
        let made = table(moto, database);
        assert_eq!(
            made["Parameters"]["projection.dt.range"],
            "2026-11-01,NOW+1DAYS"
        );

        // Properties that were added elsewhere stay.
        let mut input = made.clone();
        input["StorageDescriptor"]["Parameters"] = json!({"owner": "shop"});
        let own = input.as_object_mut().expect("a table");
        own.retain(|key, _| {
            [
                "Name",
                "Description",
                "StorageDescriptor",
                "PartitionKeys",
                "TableType",
                "Parameters",
            ]
            .contains(&key.as_str())
        });
        input["Parameters"]["team"] = "shop".into();
        let change = json!({"DatabaseName": database, "TableInput": input});
        moto.call("glue", "update_table", change);
        dir.write(
            "q.sql",
            SQL.replace("AS events", "AS events, max(\"timestamp\") AS \"order\""),
        );
        apply(moto, &dir, database)
            .assert_success()
            .stdout_is("grows.night_counts  updated: new order timestamp\n");
        let grown = table(moto, database);
        assert_eq!(grown["Parameters"]["team"], "shop");
        assert_eq!(grown["StorageDescriptor"]["Parameters"]["owner"], "shop");
        let columns = &grown["StorageDescriptor"]["Columns"];
        assert_eq!(columns[0], events);
        assert_eq!(
            (&columns[1]["Name"], &columns[1]["Type"]),
            (&json!("order"), &json!("timestamp"))
        );

        // Changes that would break readers are refused, and all are named.
        dir.write("q.sql", "SELECT 1.5 AS events");
        apply(moto, &dir, database)
            .assert_code(2)
            .stderr_contains("grows.night_counts")
            .stderr_contains("events\\\" was bigint and would be double")
            .stderr_contains("order\\\" (timestamp) would be gone");
        let elsewhere = job("s3://acme/y");
        apply(moto, &elsewhere, database)
            .assert_code(2)
            .stderr_contains("s3://acme/x/night/counts/ and would be in s3://acme/y/night/counts/");
        elsewhere.write(
            "job.toml",
            elsewhere.read_text("job.toml").replace("acme/y", "acme/x")
                + "[window]\nsize = \"hour\"\n",
        );
        apply(moto, &elsewhere, database)
            .assert_code(2)
            .stderr_contains("(dt string) and would be by (dt string, hh string)");
        assert_eq!(table(moto, database), grown);
    }

    #[test]
    fn tables_over_parts_and_over_folders_of_values_are_made() {
        let moto = Moto::shared();
        let database = "divided";
        let dir = job("s3://acme/x");
        let job = dir.read_text("job.toml");
        dir.write("job.toml", format!("{job}file_size = \"256MiB\"\n"));
        apply(moto, &dir, database)
            .assert_success()
            .stdout_is("divided.night_counts  created\n");
        let made = table(moto, database);
        let storage = &made["StorageDescriptor"];
        assert_eq!(
            storage["InputFormat"],
            "org.apache.hadoop.hive.ql.io.SymlinkTextInputFormat"
        );
        assert_eq!(storage["Location"], "s3://acme/x/night/counts/");
        assert_eq!(made["Parameters"]["projection.enabled"], "true");
        dir.write("job.toml", &job);
        apply(moto, &dir, database)
            .assert_code(2)
            .stderr_contains("SymlinkTextInputFormat and would be");

        dir.write(
            "q.sql",
            "-- word: one each\nSELECT message AS word, 1 AS n FROM logs",
        );
        dir.write("job.toml", format!("{job}partition_by = [\"word\"]\n"));
        apply(moto, &dir, "words")
            .assert_success()
            .stdout_contains("MSCK REPAIR TABLE `words`.`night_counts`");
        let keys = &table(moto, "words")["PartitionKeys"];
        assert_eq!(keys[1]["Name"], "word");
        assert_eq!(keys[1]["Comment"], "one each");
    }

    /// A catalogue with one table of version 7 that refuses every update, as if the table had changed. Returns its port,
    /// and a thread that returns the requests and the body of the last one.
    fn contended(mut requests: usize) -> (u16, std::thread::JoinHandle<(Vec<String>, String)>) {
        use std::io::{BufRead, BufReader, Read, Write};

        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let table = json!({"Table": {
            "Name": "night_counts", "TableType": "EXTERNAL_TABLE", "VersionId": "7",
            "PartitionKeys": [{"Name": "dt", "Type": "string"}],
            "StorageDescriptor": {
                "Location": "s3://acme/x/night/counts/",
                "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
                "Columns": [{"Name": "events", "Type": "bigint"}],
            },
        }});
        let serving = std::thread::spawn(move || {
            let (mut targets, mut body) = (Vec::new(), String::new());
            while requests > 0 {
                requests -= 1;
                let (stream, _) = listener.accept().expect("a connection");
                let mut reader = BufReader::new(stream);
                let (mut line, mut length) = (String::new(), 0);
                while reader.read_line(&mut line).expect("a request") > 2 {
                    let (name, value) = line.split_once(": ").unwrap_or_default();
                    match name.to_lowercase().as_str() {
                        "content-length" => length = value.trim().parse().expect("a number"),
                        "x-amz-target" => targets.push(value.trim().to_owned()),
                        _ => {}
                    }
                    line.clear();
                }
                let mut content = vec![0; length];
                reader.read_exact(&mut content).expect("the body");
                body = String::from_utf8(content).expect("JSON");
                let (status, answer) = match targets.last().map(String::as_str) {
                    Some("AWSGlue.GetDatabase") => {
                        ("200 OK", json!({"Database": {"Name": "logtally"}}))
                    }
                    Some("AWSGlue.GetTable") => ("200 OK", table.clone()),
                    _ => (
                        "400 Bad Request",
                        json!({"__type": "ConcurrentModificationException", "Message": "Update table failed"}),
                    ),
                };
                let answer = answer.to_string();
                write!(
                    reader.get_mut(),
                    "HTTP/1.1 {status}\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
                    answer.len()
                )
                .expect("the program reads");
            }
            (targets, body)
        });
        (port, serving)
    }

    #[test]
    fn a_table_that_somebody_else_changes_at_the_same_moment_is_not_overwritten() {
        let (port, serving) = contended(3);
        let dir = job("s3://acme/x");
        let program = dir.logtally(["ddl", "job.toml", "--apply"]);
        program
            .envs(Moto::shared().environment())
            .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"))
            .run()
            .assert_code(7)
            .stderr_contains("ConcurrentModificationException")
            .stderr_contains("logtally.night_counts");
        let (targets, update) = serving.join().expect("it served three requests");
        assert_eq!(
            targets,
            [
                "AWSGlue.GetDatabase",
                "AWSGlue.GetTable",
                "AWSGlue.UpdateTable"
            ]
        );
        let update: Value = serde_json::from_str(&update).expect("JSON");
        assert_eq!(update["VersionId"], "7", "{update}");
    }

    #[test]
    fn a_view_of_that_name_is_left_alone() {
        let moto = Moto::shared();
        let input = json!({"Name": "night_counts", "TableType": "VIRTUAL_VIEW"});
        moto.call(
            "glue",
            "create_database",
            json!({"DatabaseInput": {"Name": "views"}}),
        );
        let view = json!({"DatabaseName": "views", "TableInput": input});
        moto.call("glue", "create_table", view);
        apply(moto, &job("s3://acme/x"), "views")
            .assert_code(2)
            .stderr_contains("VIRTUAL_VIEW");
    }

    #[test]
    fn a_refusal_is_one_of_the_output() {
        let moto = Moto::start();
        let user = moto.create_user("reader", &["s3:*"]);
        moto.enforce_policies();
        let dir = job("s3://acme/x");
        let program = dir.logtally(["ddl", "job.toml", "--apply"]);
        program
            .envs(moto.environment())
            .envs(user)
            .run()
            .assert_code(7)
            // moto's error is XML here, unlike AWS's, so its text is not checked.
            .stderr_contains("could not look for the database logtally in the Glue catalogue");
    }
}
