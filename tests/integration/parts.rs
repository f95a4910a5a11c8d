//! Answers in parts of a size. Readers follow the list of parts, so they see either the previous answer or the new one.

use std::fs;

use serde_json::{Value, json};

use crate::support::engines::{Rows, duckdb, spark};
use crate::support::events::at;
use crate::support::job::{JOB, Night};
use crate::support::moto::Moto;
use crate::support::parquet::Parquet;
use crate::support::program::Program;

const WINDOW: &str = "2025-03-03";
const LIST: &str = "out/night/numbers/dt=2025-03-03/numbers.txt";
const PARTS: &str = "out/night/parts/numbers/dt=2025-03-03";

/// A query for `rows` numbers. A file of 1 MiB ends after three row groups of [`GROUP`].
fn sql(rows: u64) -> String {
    format!(
        "-- Numbers.\n-- n: in their order\nSELECT value AS n, value * 7919 % 1000003 AS mixed FROM generate_series(1, {rows})"
    )
}

/// The rows of a row group: two columns of eight bytes fill 1 MiB in memory.
const GROUP: u64 = 1 << 16;

/// The rows of an answer of three parts.
const THREE_PARTS: u64 = 6 * GROUP + 7;

/// A job with an answer of three parts.
fn night_in_parts() -> Night {
    let night = Night::with(
        "",
        "[[query]]\nname = \"numbers\"\nsql = \"numbers.sql\"\nfile_size = \"1MiB\"\n\
         [[query]]\nname = \"last\"\nsql = \"last.sql\"\n",
    );
    night.dir.write("numbers.sql", sql(THREE_PARTS));
    night.dir.write(
        "last.sql",
        "SELECT max(n) AS n, count(*) AS rows FROM numbers",
    );
    let noon = at("2025-03-03T12:00:00Z");
    night.export().stream("web/app", &[(noon, "x")]);
    night.run(WINDOW).assert_success();
    night
}

/// The names of the existing parts, and of the listed ones.
fn parts(night: &Night) -> (Vec<String>, Vec<String>) {
    let is_part = |file: &String| file.starts_with(PARTS);
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let there = night.outputs().into_iter().filter(is_part);
    let listed = night.dir.read_text(LIST);
    (
        there.map(|file| name(&file)).collect(),
        listed.lines().map(name).collect(),
    )
}

/// The number of rows of each listed part. Asserts that the rows are the numbers in order.
fn rows(night: &Night) -> Vec<u64> {
    let (_, listed) = parts(night);
    let files = listed.iter().map(|name| night.dir.join(PARTS).join(name));
    let queries: Vec<String> = files
        .map(|file| {
            format!(
                "SELECT count(*) AS rows, min(n) AS first, \
                 count(*) FILTER (WHERE n <> file_row_number + (SELECT min(n) FROM read_parquet('{0}'))) AS moved \
                 FROM read_parquet('{0}', file_row_number = true)",
                file.display()
            )
        })
        .collect();
    let queries: Vec<&str> = queries.iter().map(String::as_str).collect();
    let mut next = 1;
    let mut rows = Vec::new();
    for answer in duckdb(&[], &queries) {
        let part = &answer[0];
        let count = part["rows"].as_u64().expect("a count");
        if count > 0 {
            assert_eq!((&part["first"], &part["moved"]), (&json!(next), &json!(0)));
        }
        next += count;
        rows.push(count);
    }
    rows
}

#[test]
fn an_answer_is_in_parts_of_a_size_and_a_list_of_them() {
    let night = night_in_parts();
    let (there, listed) = parts(&night);
    assert_eq!(there, listed);
    assert_eq!(rows(&night), [3 * GROUP, 3 * GROUP, 7]);
    let folder = night.dir.join(PARTS);
    let bytes = |name: &String| fs::metadata(folder.join(name)).expect("it is there").len();
    let sizes: Vec<u64> = listed.iter().map(bytes).collect();
    assert!(
        sizes[..2]
            .iter()
            .all(|size| (1 << 20..2 << 20).contains(size)),
        "about what the job says: {sizes:?}"
    );
    for line in night.dir.read_text(LIST).lines() {
        assert!(
            line.starts_with(&format!("file://{}/", folder.display())),
            "{line}"
        );
    }
    // A later query reads all parts.
    let last = night.dir.join("out/night/last/dt=2025-03-03/last.parquet");
    let last = Parquet::read(last);
    assert_eq!(last.rows[0]["n"], THREE_PARTS);
    assert_eq!(last.rows[0]["rows"], THREE_PARTS);
    let receipt = night.dir.read_json("out/night/runs/2025-03-03.json");
    let outputs = receipt["outputs"].as_array().expect("a list").iter();
    let of_query: Vec<(&str, Option<u64>)> = outputs
        .filter(|output| output["query"] == "numbers")
        .map(|output| {
            (
                output["kind"].as_str().unwrap_or(""),
                output["rows"].as_u64(),
            )
        })
        .collect();
    let expected = rows(&night).into_iter().map(|rows| ("parquet", Some(rows)));
    let expected: Vec<_> = expected.chain([("parts", None)]).collect();
    assert_eq!(of_query, expected);
    let plan = ["plan", JOB, "--window", WINDOW, "--force", "--json"];
    let plan = night.dir.logtally(plan).run();
    plan.assert_success()
        .stdout_contains(&format!("{PARTS}/numbers-*.parquet"))
        .stdout_contains(LIST);

    let before = night.dir.files();
    night
        .run_with(["--window", WINDOW, "--force"])
        .assert_success();
    assert_eq!(
        night.dir.files(),
        before,
        "the same answer is the same bytes"
    );
}

#[test]
fn parts_of_the_answer_before_stay_for_one_run() {
    let night = night_in_parts();
    let (first, _) = parts(&night);
    night.dir.write("numbers.sql", sql(3));
    night.run(WINDOW).assert_success();
    let (there, listed) = parts(&night);
    assert_eq!(listed.len(), 1);
    assert_eq!(there.len(), 1 + first.len());
    assert!(first.iter().all(|part| there.contains(part)));
    assert_eq!(rows(&night), [3]);
    // A file in the same folder that is not one of the query's parts stays.
    let neighbour = format!("{PARTS}/numbers.parquet");
    night.dir.write(&neighbour, "mine");
    night.dir.write("numbers.sql", sql(0));
    night.run(WINDOW).assert_success();
    let (there, empty) = parts(&night);
    let mut expected = [listed, empty].concat();
    expected.push("numbers.parquet".to_owned());
    expected.sort();
    assert_eq!(there, expected);
    // An answer without rows is a file with the columns.
    assert_eq!(rows(&night), [0]);
}

#[test]
fn a_run_that_dies_between_the_parts_and_their_list_leaves_the_answer_of_before() {
    let night = night_in_parts();
    let (first, _) = parts(&night);
    night.dir.write("numbers.sql", sql(5));
    // The lock on the list's folder keeps the run from replacing the list.
    let folder = night.dir.join("out/night/numbers/dt=2025-03-03");
    let held = fs::File::open(&folder).expect("the folder is there");
    held.lock().expect("the folder can be locked");
    let program: Program = night.dir.logtally(["run", JOB, "--window", WINDOW]);
    let mut running = program.spawn();
    running.wait_until("the new part is there", |_| {
        parts(&night).0.len() > first.len()
    });
    running.signal("KILL");
    running.wait().assert_signal(9);
    drop(held);
    assert_eq!(parts(&night).1, first, "the list has not changed");

    // An unfinished part of the killed run is deleted too.
    let half = format!("{PARTS}/.logtally-half");
    night.dir.write(&half, "PAR1");
    let state = format!("out/night/runs/_state/{WINDOW}.json");
    let mut left = night.dir.read_json(&state);
    left["lease"] = Value::Null;
    night.dir.write(&state, left.to_string());
    night.run(WINDOW).assert_success();
    assert_eq!(rows(&night), [5]);
    assert!(!night.dir.join(&half).exists());
    assert_eq!(parts(&night).0.len(), 1 + first.len());
}

#[test]
fn parts_go_to_s3_too() {
    let moto = Moto::shared();
    moto.create_bucket("parts-answers");
    let night = night_in_parts();
    let job = night.dir.read_text(JOB);
    night
        .dir
        .write(JOB, job.replace("\"out\"", "\"s3://parts-answers/x\""));
    let run = |rows: u64, more: &[&str]| {
        night.dir.write("numbers.sql", sql(rows));
        let arguments = ["run", JOB, "--window", WINDOW].iter().chain(more);
        let program = night.dir.logtally(arguments.copied());
        program.envs(moto.environment()).run().assert_success();
    };
    let there = || moto.list_objects("parts-answers", "x/night/parts/");
    let list = || {
        let list = "x/night/numbers/dt=2025-03-03/numbers.txt";
        String::from_utf8(moto.get_object("parts-answers", list)).expect("a text")
    };
    let urls = |parts: &[Value]| -> String {
        let keys = parts.iter().map(|part| part["Key"].as_str().unwrap_or(""));
        keys.map(|key| format!("s3://parts-answers/{key}\n"))
            .collect()
    };
    run(THREE_PARTS, &[]);
    let first = there();
    assert_eq!(first.len(), 3);
    assert_eq!(list(), urls(&first));
    run(THREE_PARTS, &["--force"]);
    assert_eq!(there(), first, "nothing is put again");
    run(2, &[]);
    let second: Vec<Value> = there();
    let second: Vec<Value> = second
        .into_iter()
        .filter(|part| !first.contains(part))
        .collect();
    assert_eq!(second.len(), 1);
    assert_eq!(list(), urls(&second));
    assert_eq!(there().len(), 4);
    run(2, &["--force"]);
    assert_eq!(there(), second, "of the answer before nothing is left");
}

#[test]
fn columns_and_divisions_that_change_are_told_of_parts_too() {
    let night = night_in_parts();
    night
        .dir
        .write("numbers.sql", "SELECT 'x' AS n, 1 AS mixed FROM logs");
    night
        .run("2025-03-04")
        .assert_code(2)
        .stderr_contains("n\\\" was bigint and would be string")
        .stderr_contains(WINDOW);
    night.dir.write("numbers.sql", sql(3));
    let job = night.dir.read_text(JOB);
    night
        .dir
        .write(JOB, job.replace("file_size = \"1MiB\"\n", ""));
    night
        .run_with(["--window", WINDOW, "--force"])
        .assert_code(2)
        .stderr_contains("divided by size and would be one file");
    night.dir.write(JOB, job + "file_size = \"1MiB\"\n");
    night
        .run(WINDOW)
        .assert_code(2)
        .stderr_contains("is one file and would be divided by size");
}

#[test]
fn engines_read_the_listed_parts_only() {
    let night = night_in_parts();
    // The previous answer's parts exist too, but must not be read.
    night.dir.write("numbers.sql", sql(4 * GROUP));
    night.run(WINDOW).assert_success();
    night.dir.write("numbers.sql", sql(4));
    night.run("2025-03-04").assert_success();
    assert_eq!(parts(&night).0.len(), 5);

    let statements = |arguments: &[&str]| -> Vec<String> {
        let arguments = ["ddl", JOB].into_iter().chain(arguments.iter().copied());
        let ddl = night.dir.logtally(arguments).run();
        let script = ddl.assert_success().stdout.trim_end().to_owned();
        let script = script.strip_suffix(';').expect("each statement ends so");
        script.split(";\n\n").map(str::to_owned).collect()
    };
    let query = "SELECT dt, count(*) AS rows, min(n) AS a, max(n) AS b FROM logtally.night_numbers GROUP BY dt ORDER BY dt";
    let of = |dt: &str, rows: u64| json!({"dt": dt, "rows": rows, "a": 1, "b": rows});
    let expected = json!([of("2025-03-03", 4 * GROUP), of("2025-03-04", 4)]);
    let found = duckdb(&statements(&["--format", "duckdb"]), &[query]);
    assert_eq!(json!(found[0]), expected);

    // Spark's own statements, and Athena's in Hive's catalogue, which only accepts them: Hive itself does not read Parquet
    // through such a list; Athena and Trino do.
    let mut all = statements(&["--format", "spark", "--database", "by_spark"]);
    let job = night.dir.read_text(JOB);
    night
        .dir
        .write(JOB, job.replace("\"out\"", "\"s3://acme-answers/x\""));
    let folder = format!("file://{}", night.dir.join("out").display());
    let athena = statements(&[]);
    let athena = athena.iter().filter(|text| !text.starts_with("CREATE OR"));
    all.extend(athena.map(|text| text.replace("s3://acme-answers/x", &folder)));
    let by_spark = query.replace("logtally", "by_spark");
    let commented = "DESCRIBE by_spark.night_numbers";
    let latest = "SELECT * FROM by_spark.night_numbers_latest";
    let athena = "SHOW CREATE TABLE logtally.night_numbers AS SERDE";
    let found = spark(&all, &[&by_spark, commented, latest, athena]);
    assert_eq!(json!(found[0]), expected);
    assert_eq!(found[1][0]["comment"], "in their order");
    assert_eq!(found[2], Rows::new());
    let made = found[3][0]["createtab_stmt"].as_str().expect("a text");
    for part in [
        "ParquetHiveSerDe",
        "SymlinkTextInputFormat",
        "'projection.enabled' = 'true'",
        "/out/night/numbers",
    ] {
        assert!(made.contains(part), "{part}: {made}");
    }

    night
        .dir
        .logtally(["ddl", JOB, "--format", "trino"])
        .run()
        .assert_code(2)
        .stderr_contains("night_numbers")
        .stderr_contains("--apply");
}
