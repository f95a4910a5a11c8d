//! Queries that would take all memory or never end: each ends with 6, within its memory and its time.

use std::thread;
use std::time::Duration;

use crate::support::events::at;
use crate::support::job::{JOB, Night};
use crate::support::program::{Finished, Running};

const DAY: &str = "2025-03-03";

/// `[run] memory` of the job.
const MEMORY: u64 = 128 << 20;

/// What the program may have beside it, above what it has for a query without rows: the engine counts the memory of an
/// operator's tables after they have grown, by up to three sevenths (`query/memory.rs`); and what has been freed stays with the
/// process for the next batch.
const MARGIN: u64 = MEMORY / 7 * 3 + (96 << 20);

fn night() -> Night {
    let memory = format!("[run]\nmemory = \"{}MiB\"", MEMORY >> 20);
    let night = Night::with("", &memory);
    let noon = at("2025-03-03T12:00:00Z");
    night
        .export()
        .stream("web/app", &[(noon, "first"), (noon + 1, "second")]);
    night.run(DAY).assert_success();
    night
}

/// Runs a query to its end; returns the most memory that the process had.
fn ask(night: &Night, sql: &str, timeout: &str) -> (Finished, u64) {
    let arguments = ["query", JOB, "--window", DAY, "--timeout", timeout];
    let program = night.dir.logtally(arguments).stdin(sql);
    let mut running: Running = program.spawn();
    let mut peak = 0;
    while running.is_running() {
        peak = running.peak_memory().unwrap_or(0).max(peak);
        thread::sleep(Duration::from_millis(5));
    }
    (running.wait(), peak)
}

/// A query whose parts have each other, `levels` deep: each level reads the one above twice.
fn doubled(first: &str, next: impl Fn(&str) -> String, levels: usize) -> String {
    let mut sql = format!("WITH t0 AS ({first})");
    for level in 1..=levels {
        let above = format!("t{}", level - 1);
        sql += &format!(", t{level} AS ({})", next(&above));
    }
    sql
}

/// Names and queries.
fn bombs() -> Vec<(&'static str, String)> {
    let list = |items: usize, item: &dyn Fn(usize) -> String| {
        (0..items).map(item).collect::<Vec<_>>().join(", ")
    };
    let series = "generate_series(1, 100000000000) AS s(n)";
    let text = |sql: &str| sql.to_owned();
    vec![
        (
            "recursion without end",
            text(
                "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t",
            ),
        ),
        (
            "recursion that doubles",
            text(
                "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT t.n FROM t, (VALUES (1), (2)) AS v) SELECT max(n) FROM t",
            ),
        ),
        (
            "recursion with a text that doubles",
            text(
                "WITH RECURSIVE t AS (SELECT repeat('x', 1000000) AS m UNION ALL SELECT m || m FROM t) SELECT max(length(m)) FROM t",
            ),
        ),
        (
            "a cross join",
            format!(
                "SELECT max(a.n + b.n) FROM {series0}, {series1}",
                series0 = series.replace("s(n)", "a(n)"),
                series1 = series.replace("s(n)", "b(n)")
            ),
        ),
        (
            "a sorted cross join",
            text(
                "SELECT a.n, b.n, repeat('x', 100) AS t FROM generate_series(1, 100000) AS a(n), generate_series(1, 100000) AS b(n) ORDER BY random() LIMIT 1000000 OFFSET 100000000",
            ),
        ),
        (
            "a sum without end",
            format!("SELECT sum(n % 7) FROM {series}"),
        ),
        (
            "groups without end",
            format!("SELECT max(c) FROM (SELECT n, count(*) AS c FROM {series} GROUP BY n) AS g"),
        ),
        (
            "distinct values without end",
            format!("SELECT count(DISTINCT n) FROM {series}"),
        ),
        (
            "array_agg",
            format!("SELECT array_length(array_agg(n)) FROM {series}"),
        ),
        (
            "array_agg of texts",
            format!("SELECT array_length(array_agg(repeat('x', 1000))) FROM {series}"),
        ),
        (
            "string_agg",
            format!("SELECT length(string_agg(repeat('x', 1000), ',')) FROM {series}"),
        ),
        (
            "array_agg of groups",
            format!(
                "SELECT max(array_length(a)) FROM (SELECT n % 10 AS k, array_agg(n) AS a FROM {series} GROUP BY 1) AS g"
            ),
        ),
        (
            "a window function",
            format!(
                "SELECT max(r) FROM (SELECT rank() OVER (ORDER BY n DESC) AS r FROM {series}) AS w"
            ),
        ),
        (
            "percentile_cont",
            format!("SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY n) FROM {series}"),
        ),
        ("median", format!("SELECT median(n) FROM {series}")),
        (
            "repeat",
            text("SELECT max(length(repeat(message, 1000000000))) FROM logs"),
        ),
        (
            "repeat of a constant",
            text("SELECT length(repeat('x', 1000000000000))"),
        ),
        ("lpad", text("SELECT length(lpad('x', 2000000000))")),
        (
            "replace",
            text("SELECT length(replace(repeat('x', 1000000), 'x', repeat('y', 1000000)))"),
        ),
        (
            "regexp_replace",
            text(
                "SELECT length(regexp_replace(repeat('x', 1000000), 'x', repeat('y', 1000000), 'g'))",
            ),
        ),
        (
            "levenshtein of rows",
            text(
                "SELECT max(levenshtein(repeat(message, 100000), repeat(message, 100001))) FROM logs",
            ),
        ),
        (
            "levenshtein of constants",
            text("SELECT levenshtein(repeat('a', 1000000), repeat('b', 1000001))"),
        ),
        (
            "range",
            text("SELECT array_length(range(1, 1000000000000))"),
        ),
        (
            "generate_series as a value",
            text("SELECT array_length(generate_series(1, 1000000000000))"),
        ),
        (
            "array_repeat",
            text("SELECT array_length(array_repeat(repeat('x', 1000), 1000000000))"),
        ),
        (
            "array_repeat of arrays",
            text("SELECT array_repeat(array_repeat(array_repeat(1, 100000), 100000), 100000)"),
        ),
        (
            "array_resize",
            text("SELECT array_length(array_resize([1], 100000000000, 2))"),
        ),
        (
            "a counted repetition",
            text("SELECT count(*) FROM logs WHERE message ~ '((a{1000}){1000}){1000}'"),
        ),
        (
            "counted repetitions in each other",
            text("SELECT regexp_replace(message, '(((((a{50}){50}){50}){50}){50})', '') FROM logs"),
        ),
        (
            "a counted repetition of classes",
            text(r"SELECT count(*) FROM logs WHERE message ~ '(\pL{1,1000}){1,1000}'"),
        ),
        (
            "a pattern of each row",
            text("SELECT count(*) FROM logs WHERE message ~ ('(' || message || '{1000}){1000}')"),
        ),
        (
            "brackets",
            format!("SELECT {}1{}", "(".repeat(50_000), ")".repeat(50_000)),
        ),
        (
            "sub-selects",
            format!(
                "{}SELECT 1{}",
                "SELECT * FROM (".repeat(5000),
                ") AS t".repeat(5000)
            ),
        ),
        (
            "CASE",
            format!(
                "SELECT {}1{}",
                "CASE WHEN true THEN ".repeat(20_000),
                " END".repeat(20_000)
            ),
        ),
        ("NOT", format!("SELECT {}true", "NOT ".repeat(500_000))),
        (
            "function calls",
            format!(
                "SELECT {}message{} FROM logs",
                "upper(".repeat(20_000),
                ")".repeat(20_000)
            ),
        ),
        (
            "arrays in arrays",
            format!("SELECT {}1{}", "[".repeat(20_000), "]".repeat(20_000)),
        ),
        (
            "parts that join the one above twice",
            doubled(
                "SELECT 1 AS x",
                |above| format!("SELECT a.x FROM {above} AS a, {above} AS b"),
                40,
            ) + " SELECT count(*) FROM t40",
        ),
        (
            "parts that are the one above twice",
            doubled(
                "SELECT 1 AS x",
                |above| format!("SELECT x FROM {above} UNION ALL SELECT x FROM {above}"),
                40,
            ) + " SELECT count(*) FROM t40",
        ),
        (
            "values that are the one above twice",
            doubled(
                "SELECT message AS x FROM logs",
                |above| format!("SELECT x || x AS x FROM {above}"),
                60,
            ) + " SELECT max(length(x)) FROM t60",
        ),
        (
            "grouping sets",
            format!(
                "SELECT count(*) FROM logs GROUP BY CUBE ({})",
                list(40, &|n| format!("length(message) + {n}"))
            ),
        ),
        (
            "grouping sets, multiplied",
            format!(
                "SELECT count(*) FROM logs GROUP BY {}",
                list(12, &|n| format!(
                    "GROUPING SETS ({})",
                    list(12, &|m| format!("(length(message) + {})", n * 12 + m))
                ))
            ),
        ),
        (
            "many columns, unnested",
            format!(
                "SELECT sum(c0 + c11) FROM (SELECT {} FROM {series}) AS u",
                list(12, &|n| format!("unnest(range(1, 1000000)) AS c{n}"))
            ),
        ),
        (
            "joins of the logs",
            format!(
                "SELECT count(DISTINCT l0.message || l39.message) FROM {}",
                list(40, &|n| format!("logs AS l{n}"))
            ),
        ),
    ]
}

#[test]
fn a_bomb_ends_with_an_error_within_its_memory_and_its_time() {
    let night = night();
    let (finished, usual) = ask(&night, "SELECT count(*) AS n FROM logs", "1h");
    finished.assert_success();
    let most = usual + MEMORY + MARGIN;
    let only = std::env::var("LOGTALLY_BOMB").unwrap_or_default();
    let mut wrong = Vec::new();
    for (name, sql) in bombs().iter().filter(|(name, _)| name.contains(&only)) {
        let (finished, peak) = ask(&night, sql, "3s");
        let mib = |bytes: u64| bytes >> 20;
        println!(
            "{name}: {:?}, {} MiB above the usual {}",
            finished.code(),
            mib(peak.saturating_sub(usual)),
            mib(usual)
        );
        if finished.code() != Some(6) {
            let said: String = finished.stderr.chars().take(300).collect();
            wrong.push(format!("{name}: exit code {:?}: {said}", finished.code()));
        }
        if peak > most {
            wrong.push(format!("{name}: {} MiB, at most {}", mib(peak), mib(most)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is large and still can be answered is answered.
#[test]
fn what_only_looks_like_a_bomb_is_answered() {
    let night = night();
    let items: Vec<String> = (0..200_000).map(|n| format!("'{n}'")).collect();
    let items = items.join(", ");
    for (sql, expected) in [
        (format!("SELECT count(*) AS n FROM logs WHERE message IN ({items}, 'first')"), "1"),
        (format!("SELECT count(*) AS n FROM logs WHERE message NOT IN ({items})"), "2"),
        ("SELECT sum(n) AS n FROM generate_series(1, 1000000) AS s(n)".to_owned(), "500000500000"),
        ("SELECT count(*) AS n FROM generate_series(1, 3000) AS a(n), generate_series(1, 1000) AS b(n)".to_owned(), "3000000"),
        ("SELECT count(*) AS n FROM logs WHERE message ~ '(f|s).{1,100}$'".to_owned(), "2"),
        ("WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 100) SELECT max(n) AS n FROM t".to_owned(), "100"),
    ] {
        let (finished, _) = ask(&night, &sql, "1h");
        finished.assert_success().stdout_contains(expected);
    }
}
