//! SQL only reads, and only the tables of its session: attempts to write, to read elsewhere and to change settings.
//!
//! `tests/only_reads/attempts.sql` has the attempts, with an empty line between two; `answers.txt` what becomes of them in
//! `query` and as a job's SQL. `UPDATE_EXPECTED=1 cargo test --test integration only_reads` writes it anew; review the
//! difference before a commit. In both, `CANARY` is a folder that must not be touched, and `CANARY_HOST` a server that must
//! not be asked.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::Path;

use futures::TryStreamExt;
use logtally::error::{Class, Error, Result};
use logtally::query::{Engine, Session};

use crate::support::job::{JOB, Night};
use crate::support::program::{Dir, everything_below};
use crate::support::watch::Watch;
use crate::wrong_sql::session;

/// The part of the file from which on everything is allowed.
pub const ALLOWED: &str = "# What is allowed";

/// A folder with files that an attempt could read, and a server.
pub struct Canary {
    dir: Dir,
    watch: Watch,
    server: TcpListener,
}

impl Canary {
    pub fn new() -> Self {
        let dir = Dir::new();
        for ending in ["csv", "json", "parquet", "sql", "db", "so"] {
            dir.write(format!("canary.{ending}"), "a,b\n1,2\n");
        }
        let server = TcpListener::bind("127.0.0.1:0").expect("a free port");
        server.set_nonblocking(true).expect("a socket");
        Self {
            watch: Watch::new(dir.path()),
            dir,
            server,
        }
    }

    fn address(&self) -> String {
        self.server.local_addr().expect("it listens").to_string()
    }

    /// Puts the real folder and server in place of their names.
    pub fn insert(&self, text: &str) -> String {
        let text = text.replace("CANARY_HOST", &self.address());
        text.replace("CANARY", &self.dir.path().display().to_string())
    }

    /// The contrary, for what is recorded. A port is as long as it happens to be, and with it the place of a caret.
    fn remove(&self, text: &str) -> String {
        let text = text.replace(&self.dir.path().display().to_string(), "CANARY");
        text.replace(&self.address(), "CANARY_HOST")
    }

    /// What was touched since the last call.
    pub fn touched(&mut self) -> Option<&'static str> {
        if self.watch.was_touched() {
            return Some("the folder was touched");
        }
        self.server.accept().ok().map(|_| "the server was asked")
    }
}

/// Answers SQL as `query` does.
async fn queried(session: &Session, sql: &str) -> Result<usize> {
    let statement = session.statement(sql, "SQL").await?;
    rows(session.run(&statement).await?).await
}

/// Answers SQL as a run does: prepared, tried without rows, bound.
async fn run(session: &Session, sql: &str) -> Result<usize> {
    let query = session.prepare(sql, "SQL").await?;
    let statement = session.bind(&query).await?;
    session.rehearse(&statement).await?;
    rows(session.run(&statement).await?).await
}

async fn rows(execution: logtally::query::Execution) -> Result<usize> {
    let batches: Vec<_> = execution
        .batches
        .try_collect()
        .await
        .map_err(Error::from_engine)?;
    Ok(batches.iter().map(|batch| batch.num_rows()).sum())
}

/// What became of an attempt, for the record.
fn said(result: &Result<usize>) -> String {
    match result {
        Ok(_) => "answered".to_owned(),
        Err(error) => error.message(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_reads_the_tables_of_its_session_and_does_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::new(256 << 20, folder.path()).unwrap();
    // Further sessions, such as one with lookup tables, go here.
    let sessions = [session(&engine, folder.path()).await];
    let before = everything_below(folder.path());
    let mut canary = Canary::new();
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/only_reads");
    let attempts = std::fs::read_to_string(files.join("attempts.sql")).unwrap();
    let (mut answers, mut wrong, mut refused) = (String::new(), Vec::new(), 0);
    let mut is_allowed = false;
    for attempt in attempts.split("\n\n").map(|it| it.trim_matches('\n')) {
        writeln!(answers, "{attempt}").unwrap();
        if attempt.starts_with("# ") {
            is_allowed = attempt == ALLOWED;
            answers.push('\n');
            continue;
        }
        let sql = canary.insert(attempt);
        let mut recorded = Vec::new();
        for session in &sessions {
            let as_query = queried(session, &sql).await;
            let as_job = run(session, &sql).await;
            for (result, in_job) in [(as_query, false), (as_job, true)] {
                let text = canary.remove(&said(&result));
                match &result {
                    Ok(_) if !is_allowed => wrong.push(format!("{attempt}: is answered")),
                    // A job answers no SHOW, DESCRIBE and EXPLAIN.
                    Err(_) if is_allowed && in_job && text.contains("is no question of a job") => {}
                    Err(_) if is_allowed => wrong.push(format!("{attempt}: {text}")),
                    Err(error) if error.class() != Class::Sql => {
                        wrong.push(format!("{attempt}: {:?}: {text}", error.class()));
                    }
                    _ => {}
                }
                if !recorded.contains(&text) {
                    recorded.push(text);
                }
            }
        }
        if let Some(touched) = canary.touched() {
            wrong.push(format!("{attempt}: {touched}"));
        }
        refused += usize::from(!is_allowed);
        for text in recorded {
            writeln!(answers, "  {}", text.replace('\n', "\n  ")).unwrap();
        }
        answers.push('\n');
    }
    assert!(refused > 200, "{refused} attempts");
    assert_eq!(everything_below(folder.path()), before);
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    let file = files.join("answers.txt");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&file, &answers).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    let mut parts = answers.split("\n\n").zip(expected.split("\n\n"));
    let differs = parts.find(|(one, other)| one != other);
    assert!(
        answers == expected,
        "UPDATE_EXPECTED=1 writes them. The first that differs:\n{}\nexpected:\n{}",
        differs.unwrap_or_default().0,
        differs.unwrap_or_default().1
    );
}

/// A few of them, in the real program: in `query`, and in a job, which then publishes nothing.
#[test]
fn the_program_refuses_them_and_writes_nothing() {
    let night = Night::with("", "");
    let noon = crate::support::events::at("2025-03-03T12:00:00Z");
    night.export().stream("web/app", &[(noon, "first")]);
    let mut canary = Canary::new();
    let job = night.dir.read_text(JOB).replace(
        "use = \"hourly_count\"",
        "name = \"attempt\"\nsql = \"attempt.sql\"",
    );
    night.dir.write("attempt.toml", job);
    for attempt in [
        "COPY logs TO 'CANARY/out.csv' STORED AS CSV",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION 'CANARY/canary.csv'",
        "SELECT * FROM 'CANARY/canary.csv'",
        "SELECT * FROM read_csv('http://CANARY_HOST/canary.csv')",
        "SELECT 1; DROP TABLE logs",
        "EXPLAIN ANALYZE COPY logs TO 'CANARY/out.parquet'",
    ] {
        let sql = canary.insert(attempt);
        night.dir.write("attempt.sql", &sql);
        let before = night.dir.files();
        night
            .dir
            .logtally(["query", "exported", &sql])
            .run()
            .assert_code(6);
        for command in ["plan", "run"] {
            night
                .dir
                .logtally([command, "attempt.toml", "--window", "2025-03-03"])
                .run()
                .assert_code(6);
        }
        assert_eq!(night.dir.files(), before, "{attempt}");
        assert_eq!(canary.touched(), None, "{attempt}");
    }
}
