//! Some hundred wrong queries, and what is said of each, in files that can be reviewed.
//!
//! `tests/wrong_sql/questions.sql` has the queries, with an empty line between two; `answers.txt` what becomes of them.
//! `UPDATE_EXPECTED=1 cargo test --test integration wrong_sql` writes it anew; review the difference before a commit.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use futures::TryStreamExt;
use logtally::aws::{Account, Aws};
use logtally::error::{Class, Error, Result};
use logtally::job::{AwsSettings, Location};
use logtally::query::{Engine, Session};
use logtally::scan::LogsTable;
use logtally::store::Stores;
use logtally::window::{Size, Window};

use crate::support::events::at;
use crate::support::export::{Export, Object};

/// What no message may have: words of the engine, of its types, of its plans.
const OF_ENGINE: [&str; 48] = [
    "Utf8",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "UInt",
    "Float32",
    "Float64",
    "Timestamp(",
    "Interval(",
    "IntervalMonth",
    "Duration(",
    "Boolean(",
    "List(",
    "Struct(",
    "Union(",
    "Dictionary(",
    "Decimal128",
    "DataType",
    "data_type",
    "DataFusion",
    "datafusion",
    "Internal error",
    "External error",
    "Arrow error",
    "Execution error",
    "Error during planning",
    "Schema error",
    "SQL error",
    "Compute error",
    "LogicalPlan",
    "ScalarValue",
    "PhysicalExpr",
    "Physical plan",
    "ExternalSorter",
    "bug report",
    "filing a bug",
    "While expanding",
    "sqltorel",
    "TokenizerError",
    "ParserError",
    "UserDefined",
    "Signature",
    "Expr::",
    "Some(",
    "Span(",
    "CreateView",
    "union_extract",
];

/// A session over a few events, as `query` has it.
pub async fn session(engine: &Engine, folder: &Path) -> Session {
    let stores = Stores::new(Arc::new(Aws::new(AwsSettings::default()))).unwrap();
    let root = Location::Local(folder.to_owned());
    let store = stores.open(&root, Account::LOGS).await.unwrap();
    let place = folder.join("exports");
    let midnight = at("2026-11-20T15:00:00Z");
    let events: Vec<(i64, String)> = [
        r#"{"level":"ERROR","ms":12.5,"order":{"id":"A-1"}}"#,
        "INFO started",
        "WARN slow",
    ]
    .into_iter()
    .enumerate()
    .map(|(n, message)| (midnight + n as i64 * 60_000, message.to_owned()))
    .collect();
    Export::new(&place).object("web", 0, &Object::new(&events));
    let prefix = object_store::path::Path::from_absolute_path(&place).unwrap();
    let objects = store.list_logs(&prefix, Some("/ecs/web")).await.unwrap();
    let zone = chrono_tz::Asia::Seoul;
    let window = Window::parse(Size::Day, zone, "2026-11-21").unwrap();
    let logs = LogsTable::new(&store, objects, window.range(), engine.pool());
    let session = engine.session(zone).unwrap().with_window(window.range());
    session.unwrap().with_logs(logs, Some(&store)).unwrap()
}

/// Runs a query to its end.
async fn asked(session: &Session, sql: &str) -> Result<usize> {
    let statement = session.statement(sql, "SQL").await?;
    let batches = session.run(&statement).await?.batches;
    let batches: Vec<_> = batches.try_collect().await.map_err(Error::from_engine)?;
    Ok(batches.iter().map(|batch| batch.num_rows()).sum())
}

/// Tries a query as `plan` does.
async fn planned(session: &Session, sql: &str) -> Result<()> {
    let query = session.prepare(sql, "SQL").await?;
    let statement = session.bind(&query).await?;
    session.rehearse(&statement).await
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_queries_are_told_in_the_words_of_sql() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::new(256 << 20, folder.path()).unwrap();
    let session = session(&engine, folder.path()).await;
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wrong_sql");
    let questions = std::fs::read_to_string(files.join("questions.sql")).unwrap();
    let mut answers = String::new();
    let mut wrong = Vec::new();
    let mut count = 0;
    for question in questions.split("\n\n").map(|it| it.trim_matches('\n')) {
        if question.starts_with('#') {
            writeln!(answers, "{question}\n").unwrap();
            continue;
        }
        count += 1;
        writeln!(answers, "{question}").unwrap();
        match asked(&session, question).await {
            Ok(rows) => writeln!(answers, "  {rows} rows\n").unwrap(),
            Err(error) => {
                let told = error.in_full();
                for line in told.lines() {
                    writeln!(answers, "  {line}").unwrap();
                }
                answers.push('\n');
                if error.class() != Class::Sql {
                    wrong.push(format!("{question}: {:?}", error.class()));
                }
                // What the question itself says is none of the engine's words.
                let said = told.lines().filter(|line| !question.contains(line.trim()));
                let said: String = said.collect();
                for word in OF_ENGINE {
                    if said.contains(word) && !question.contains(word) {
                        wrong.push(format!("{question}: {word} in {told}"));
                    }
                }
            }
        }
        if let Err(error) = planned(&session, question).await {
            let told = error.in_full();
            let leaked = OF_ENGINE
                .iter()
                .find(|word| told.contains(**word) && !question.contains(**word));
            if let Some(word) = leaked {
                wrong.push(format!("plan {question}: {word} in {told}"));
            }
        }
    }
    assert!(count > 300, "{count} questions");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    let file = files.join("answers.txt");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&file, &answers).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    let differs = answers
        .split("\n\n")
        .zip(expected.split("\n\n"))
        .find(|(one, other)| one != other);
    assert!(
        answers == expected,
        "UPDATE_EXPECTED=1 writes them. The first that differs:\n{}\nexpected:\n{}",
        differs.unwrap_or_default().0,
        differs.unwrap_or_default().1
    );
}
