//! Random filters over `logs`, which must let the same rows pass as in DuckDB: also what the scan takes over, in whatever
//! way the optimizer rewrites it.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use futures::TryStreamExt;
use logtally::aws::{Account, Aws};
use logtally::job::{AwsSettings, Location};
use logtally::query::{Engine, Session};
use logtally::scan::LogsTable;
use logtally::store::Stores;
use logtally::window::Range;
use serde_json::json;

use crate::support::events::at;
use crate::support::export::{Export, Object};
use crate::support::python;

/// How many filters are tried, and how many ways of using one there are.
const FILTERS: u64 = 3000;
const USES: u64 = 10;

const GROUPS: [Option<&str>; 3] = [Some("/ecs/web"), Some("/ecs/api"), None];
const STREAMS: [&str; 4] = ["a", "b", "web-1", "한글"];

/// A number that follows from its seed alone.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn one_of<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }

    /// A literal for a column: one that rows have, one that none has, or NULL.
    fn literal(&mut self, column: &str) -> String {
        match column {
            "timestamp" => {
                let second = self.below(12);
                let fraction = self.one_of(&["", ".001", ".002", ".0025", ".001999", ".9"]);
                match self.below(8) {
                    0 => "CAST(NULL AS timestamp)".to_owned(),
                    1 => self
                        .one_of(&["timestamp '9999-12-31'", "timestamp '0001-01-01'"])
                        .to_owned(),
                    2 => format!("'2026-11-21 00:00:{second:02}{fraction}'"),
                    _ => format!("timestamp '2026-11-21 00:00:{second:02}{fraction}'"),
                }
            }
            "log_group" => self
                .one_of(&["'/ecs/web'", "'/ecs/api'", "'/ecs'", "''", "NULL"])
                .to_owned(),
            _ => self
                .one_of(&["'a'", "'b'", "'web-1'", "'한글'", "'z'", "NULL"])
                .to_owned(),
        }
    }

    fn filter(&mut self, alias: &str, depth: u64) -> String {
        if depth == 0 || self.below(4) == 0 {
            return self.comparison(alias);
        }
        let mut part = || self.filter(alias, depth - 1);
        let (one, other, third) = (part(), part(), part());
        match self.below(9) {
            0 | 1 => format!("({one} AND {other})"),
            2 | 3 => format!("({one} OR {other})"),
            4 => format!("NOT ({one})"),
            5 => format!("CASE WHEN {one} THEN {other} ELSE {third} END"),
            6 => format!("CASE WHEN {one} THEN {other} END"),
            7 => format!("coalesce({one}, {other})"),
            _ => {
                let test = self.one_of(&[
                    "IS TRUE",
                    "IS NOT TRUE",
                    "IS FALSE",
                    "IS NOT FALSE",
                    "IS NULL",
                    "IS NOT NULL",
                ]);
                format!("(({one}) {test})")
            }
        }
    }

    fn comparison(&mut self, alias: &str) -> String {
        let column = self.one_of(&[
            "timestamp",
            "log_group",
            "log_group",
            "log_stream",
            "log_stream",
        ]);
        let of = format!("{alias}.{column}");
        let literals: Vec<String> = (0..1 + self.below(3))
            .map(|_| self.literal(column))
            .collect();
        let literal = &literals[0];
        let not = self.one_of(&["", "NOT "]);
        let comparison = match self.below(10) {
            0 => format!("{of} {not}IN ({})", literals.join(", ")),
            1 => format!("NOT ({of} {not}IN ({}, NULL))", literals.join(", ")),
            2 => format!("{of} {not}BETWEEN {literal} AND {}", self.literal(column)),
            3 => format!("{of} IS {not}NULL"),
            4 => format!("{of} IS {not}DISTINCT FROM {literal}"),
            5 if column != "timestamp" => {
                format!(
                    "{of} {not}LIKE '{}'",
                    self.one_of(&["/ecs/%", "%b", "w_b-1", "%", ""])
                )
            }
            6 => format!(
                "{literal} {} {of}",
                self.one_of(&["=", "<>", "<", "<=", ">", ">="])
            ),
            7 => format!(
                "CASE {of} WHEN {literal} THEN {} ELSE {} END = {}",
                self.below(2),
                self.below(2),
                self.below(2)
            ),
            8 if column != "timestamp" => {
                // A list with the column itself in it.
                let list = literals.join(", ");
                format!(
                    "({of}) {not}IN ({list}, {alias}.{column}) IS NOT {}",
                    self.one_of(&["TRUE", "FALSE", "NULL"])
                )
            }
            _ => format!(
                "{of} {} {literal}",
                self.one_of(&["=", "<>", "<", "<=", ">", ">="])
            ),
        };
        // The precedence of IS DISTINCT FROM differs between engines.
        format!("({comparison})")
    }

    /// A query that counts the rows that pass a filter, and adds up their numbers.
    fn query(&mut self, number: u64) -> String {
        let sums = "SELECT count(*) AS rows, coalesce(sum(CAST(message AS bigint)), 0) AS sum FROM";
        match number % USES {
            0 => format!(
                "{sums} (SELECT message FROM logs AS o WHERE EXISTS (SELECT 1 FROM logs AS l \
                 WHERE l.log_stream = o.log_stream AND {})) AS t",
                self.filter("l", 2)
            ),
            1 => format!(
                "{sums} (SELECT l.message FROM logs AS l JOIN logs AS r ON l.message = r.message AND {} WHERE {}) AS t",
                self.filter("r", 1),
                self.filter("l", 2)
            ),
            2 => format!(
                "{sums} (SELECT message FROM logs AS l WHERE {} UNION ALL SELECT message FROM logs AS l WHERE {}) AS t",
                self.filter("l", 2),
                self.filter("l", 2)
            ),
            _ => format!("{sums} logs AS l WHERE {}", self.filter("l", 3)),
        }
    }
}

async fn counted(session: &Session, sql: &str) -> (i64, i64) {
    let statement = session.statement(sql, "test").await.unwrap();
    let batches = session.run(&statement).await.unwrap().batches;
    let batches: Vec<_> = batches
        .try_collect()
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    let [rows, sum] = [0, 1].map(|column| {
        batches[0]
            .column(column)
            .as_primitive::<Int64Type>()
            .value(0)
    });
    (rows, sum)
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_let_the_same_rows_pass_as_in_duckdb() {
    let folder = tempfile::tempdir().unwrap();
    let stores = Stores::new(Arc::new(Aws::new(AwsSettings::default()))).unwrap();
    let engine = Engine::new(256 << 20, folder.path()).unwrap();
    let root = Location::Local(folder.path().to_owned());
    let store = stores.open(&root, Account::LOGS).await.unwrap();
    let midnight = at("2026-11-21T00:00:00Z");
    let mut objects = Vec::new();
    let mut rows = Vec::new();
    for (group_number, group) in GROUPS.into_iter().enumerate() {
        let place = folder.path().join(format!("exports/{group_number}"));
        for stream in STREAMS {
            let events: Vec<(i64, String)> = (0..9)
                .map(|n| {
                    let ms = midnight + n * 1000 + [0, 1, 2][n as usize % 3];
                    let number = rows.len();
                    rows.push(json!([ms, number.to_string(), group, stream]));
                    (ms, number.to_string())
                })
                .collect();
            Export::new(&place).object(stream, 0, &Object::new(&events));
        }
        let prefix = object_store::path::Path::from_absolute_path(&place).unwrap();
        objects.extend(store.list_logs(&prefix, group).await.unwrap());
    }
    let logs = LogsTable::new(&store, objects, Range::ALL, engine.pool());
    let session = engine.session(chrono_tz::UTC).unwrap();
    let session = session.with_logs(logs, Some(&store)).unwrap();

    let mut queries: Vec<String> = [
        "log_group NOT IN ('/ecs/web', NULL)",
        "NOT (log_group IN ('/ecs/web', NULL))",
        "log_stream NOT IN ('a', NULL) AND timestamp < '2026-11-21 00:00:05'",
        "timestamp >= '2026-11-21 00:00:02.0025'",
        "log_group NOT IN ('/ecs/web') OR log_group NOT IN ('/ecs/api')",
        "NOT ((log_group = '/ecs/web' OR log_group = 'x') AND (log_group = 'y' OR log_group = 'z'))",
        "log_stream IN ('a', 'b') AND log_stream NOT IN (substr(log_stream, 1, 1))",
        "CASE WHEN log_group = '/ecs/web' THEN log_stream = 'a' END IS NOT TRUE",
    ]
    .map(|filter| format!("SELECT count(*) AS rows, coalesce(sum(CAST(message AS bigint)), 0) AS sum FROM logs WHERE {filter}"))
    .to_vec();
    queries.extend((0..FILTERS).map(|number| Random(number).query(number)));

    let tasks = queries.clone().into_iter().map(|sql| {
        let session = session.clone();
        tokio::spawn(async move { counted(&session, &sql).await })
    });
    let mut found = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        found.push(task.await.unwrap());
    }
    let code = r#"
import json, sys
import duckdb
given = json.load(sys.stdin)
connection = duckdb.connect()
connection.execute("SET enable_progress_bar = false; SET threads = 1")
connection.execute("CREATE TABLE logs (timestamp TIMESTAMP, message VARCHAR, log_group VARCHAR, log_stream VARCHAR)")
for ms, *texts in given["rows"]:
    connection.execute("INSERT INTO logs VALUES (make_timestamp(?::BIGINT * 1000), ?, ?, ?)", [ms, *texts])
answers = []
for sql in given["queries"]:
    rows, total = connection.execute(sql).fetchone()
    answers.append([rows, int(total)])
print(json.dumps(answers))
"#;
    let expected: Vec<(i64, i64)> = python::ask(
        &mut python::snippet(code),
        &json!({"rows": rows, "queries": queries}),
    );
    let some = expected.iter().filter(|(rows, _)| *rows > 0).count();
    assert!(some > queries.len() / 4, "{some} filters let rows pass");
    for ((sql, found), expected) in queries.iter().zip(&found).zip(&expected) {
        assert_eq!(found, expected, "{sql}");
    }
}
