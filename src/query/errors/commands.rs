//! Statements that are no queries: they change or set something, or are commands of another program.

use datafusion::error::{DataFusionError, Result};

use super::place::{Sql, at_name};
use crate::error::{Class, Error};

/// The first words of statements that are refused, and what to do instead.
const COMMANDS: &[(&[&str], &str)] = &[
    (
        &[
            "CREATE", "ALTER", "DROP", "RENAME", "REPLACE", "DECLARE", "COMMENT",
        ],
        "WITH names a part of a query: WITH errors AS (SELECT …) SELECT … FROM errors",
    ),
    (
        &["INSERT", "UPDATE", "DELETE", "MERGE", "UPSERT", "TRUNCATE"],
        "the logs stay as they are; leave rows out with WHERE, change values in SELECT",
    ),
    (
        &["COPY", "EXPORT", "UNLOAD", "IMPORT", "LOAD"],
        "`logtally query … --output FILE` writes an answer as CSV, JSON, Parquet and in other formats",
    ),
    (
        &["SET", "RESET"],
        "`--timezone ZONE` sets the zone, `memory` under [run] the memory",
    ),
    (
        &["USE", "ATTACH", "DETACH", "CONNECT", "INSTALL", "\\C"],
        "the tables are those of the job or location that `logtally query` names; SHOW TABLES lists them",
    ),
    (
        &["PRAGMA", "LIST"],
        "SHOW TABLES lists the tables, SHOW COLUMNS FROM logs their columns",
    ),
    (
        &[
            "BEGIN",
            "START",
            "COMMIT",
            "ROLLBACK",
            "SAVEPOINT",
            "LOCK",
            "END",
            "ABORT",
        ],
        "leave it out: a query only reads",
    ),
    (
        &[
            "VACUUM",
            "CALL",
            "EXEC",
            "EXECUTE",
            "PREPARE",
            "DEALLOCATE",
            "GRANT",
            "REVOKE",
            "DO",
            "LISTEN",
            "NOTIFY",
            "MSCK",
            "OPTIMIZE",
            "CACHE",
            "REFRESH",
            "KILL",
            "CLUSTER",
            "REINDEX",
            "CHECKPOINT",
            "DISCARD",
            "FLUSH",
        ],
        "write SELECT, or WITH … SELECT",
    ),
];

/// An error (SQL) for a statement that is no query.
pub(in crate::query) fn refuse_commands(sql: &str) -> Result<()> {
    let sql = Sql::new(sql);
    let Some(first) = sql.word(0).map(str::to_uppercase) else {
        return Ok(());
    };
    // `replace(…)` and the like are no statements, but wrong in another way.
    if sql.tokens.len() > 1 && sql.written(1) == "(" {
        return Ok(());
    }
    let found = COMMANDS.iter().find(|(words, _)| words.contains(&&*first));
    if let Some((_, instead)) = found {
        return Err(refused(&first, instead, sql.text));
    }
    let what = sql.word(1).map(str::to_uppercase).unwrap_or_default();
    if first == "SHOW"
        && [
            "DATABASES",
            "SCHEMAS",
            "CATALOGS",
            "INDEXES",
            "CREATE",
            "PARTITIONS",
            "VIEWS",
        ]
        .contains(&&*what)
    {
        let instead = "SHOW TABLES lists the tables, SHOW COLUMNS FROM logs their columns";
        return Err(refused(&format!("SHOW {what}"), instead, sql.text));
    }
    Ok(())
}

fn refused(statement: &str, instead: &str, sql: &str) -> DataFusionError {
    let what = format!("{statement} is not allowed: a query can only read");
    let word = statement.split(' ').next().unwrap_or(statement);
    at_name(
        word,
        Error::new(Class::Sql, what).with_hint(instead).into(),
        sql,
    )
}
