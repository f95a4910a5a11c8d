//! `CREATE TEMP VIEW name AS SELECT …`: a name for a query, for the statements behind it in the session.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::datasource::ViewTable;
use datafusion::sql::sqlparser::tokenizer::{Location, Token};

use super::errors::place::{Sql, at_name};
use super::script::{Offsets, blanked};
use super::tables::TableKind;
use super::{Session, Statement};
use crate::error::{Class, Error, Result};

/// What a statement of a text is, planned.
#[derive(Debug)]
pub enum Command {
    /// A query, which is to be [run](Session::run).
    Query(Statement),
    /// A view of this name was created, and nothing is to be run.
    ViewCreated(String),
}

/// The views of a session, as they were written, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Views(Arc<Mutex<Vec<Written>>>);

#[derive(Debug, Clone)]
struct Written {
    name: String,
    sql: String,
    origin: String,
}

impl Views {
    fn all(&self) -> MutexGuard<'_, Vec<Written>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Plans a statement of a text: a query, or `CREATE TEMP VIEW name AS` and a query, whose view is there for what comes
    /// behind it. A view reads only what a query can read.
    ///
    /// # Errors
    /// As of [`Session::statement`]; `Sql` for a view whose name is taken.
    pub async fn command(&self, sql: &str, origin: &str) -> Result<Command> {
        let Some(view) = ViewStatement::parse(sql) else {
            return Ok(Command::Query(self.statement(sql, origin).await?));
        };
        let name = view.name;
        let is_written = self.views.all().iter().any(|view| view.name == name);
        // A view that comes with the session makes way, as it does for a query of the job.
        let makes_way = |kind| kind == TableKind::View && (view.replaces || !is_written);
        if let Some(kind) = self.tables.kind(&name)
            && !makes_way(kind)
        {
            let what = format!("there is a table {name:?} already");
            let error = Error::new(Class::Sql, what).with_hint(match kind {
                TableKind::View => "write CREATE OR REPLACE TEMP VIEW",
                _ => "give the view another name",
            });
            return Err(self.explain(origin, sql, at_name(&name, error.into(), sql)));
        }
        let query = self.view_plan(&view.query, origin).await?;
        let table = Arc::new(ViewTable::new(query, Some(sql.trim().to_owned())));
        self.tables.put(&name, TableKind::View, table);
        let mut views = self.views.all();
        views.retain(|view| view.name != name);
        views.push(Written {
            name: name.clone(),
            sql: sql.to_owned(),
            origin: origin.to_owned(),
        });
        Ok(Command::ViewCreated(name))
    }

    /// Creates the views of another session in this one, over this one's tables.
    pub async fn take_views_of(&self, other: &Self) -> Result<()> {
        let views = other.views.all().clone();
        for view in views {
            self.command(&view.sql, &view.origin).await?;
        }
        Ok(())
    }

    /// Whether a table has this name, which is none of the views that make way.
    pub fn has_table(&self, name: &str) -> bool {
        self.tables
            .kind(name)
            .is_some_and(|kind| kind != TableKind::View)
    }
}

/// The parts of a statement that creates a view.
struct ViewStatement {
    name: String,
    replaces: bool,
    /// The query, with blanks before it, so that places in it stay what they are.
    query: String,
}

impl ViewStatement {
    /// `None` for any other statement.
    fn parse(text: &str) -> Option<Self> {
        let sql = Sql::new(text);
        let mut at = 0;
        let mut takes = |words: &[&str]| {
            let is_there = words
                .iter()
                .zip(at..)
                .all(|(word, at)| sql.is_word(at, word));
            if is_there {
                at += words.len();
            }
            is_there
        };
        if !takes(&["CREATE"]) {
            return None;
        }
        let replaces = takes(&["OR", "REPLACE"]);
        if !(takes(&["TEMP"]) || takes(&["TEMPORARY"])) || !takes(&["VIEW"]) {
            return None;
        }
        let name = match &sql.tokens.get(at)?.token {
            Token::Word(word) if word.quote_style.is_some() => word.value.clone(),
            Token::Word(word) => word.value.to_lowercase(),
            _ => return None,
        };
        if !sql.is_word(at + 1, "AS") {
            return None;
        }
        let start: Location = sql.tokens.get(at + 2)?.span.start;
        let range = Offsets::new(text).at(start)..text.len();
        Some(Self {
            name,
            replaces,
            query: blanked(text, &range),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Engine;
    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;
    use futures::TryStreamExt;

    fn session() -> Session {
        let engine = Engine::new(64 << 20, &std::env::temp_dir()).unwrap();
        engine.session(chrono_tz::UTC).unwrap()
    }

    async fn number(session: &Session, sql: &str) -> Result<i64> {
        let Command::Query(statement) = session.command(sql, "SQL").await? else {
            panic!("{sql} is no query");
        };
        let batches = session.run(&statement).await?.batches;
        let batches: Vec<_> = batches.try_collect().await.map_err(Error::from_engine)?;
        Ok(batches[0].column(0).as_primitive::<Int64Type>().value(0))
    }

    #[tokio::test]
    async fn a_view_is_there_for_what_comes_behind_it() {
        let session = session();
        for sql in [
            "CREATE TEMP VIEW two AS SELECT 2::bigint AS n",
            "create or replace temporary view \"Four\" as WITH t AS (SELECT n * 2 AS n FROM two) SELECT * FROM t",
            "CREATE OR REPLACE TEMP VIEW two AS SELECT 3::bigint AS n",
        ] {
            let created = session.command(sql, "SQL").await.unwrap();
            assert!(matches!(created, Command::ViewCreated(_)), "{sql}");
        }
        assert_eq!(number(&session, "SELECT n FROM two").await.unwrap(), 3);
        // It has the view as it was.
        assert_eq!(number(&session, "SELECT n FROM \"Four\"").await.unwrap(), 4);
    }

    #[tokio::test]
    async fn a_view_only_reads_and_takes_no_name_that_is_taken() {
        let session = session();
        session
            .command("CREATE TEMP VIEW v AS SELECT 1 AS n", "SQL")
            .await
            .unwrap();
        for (sql, expected) in [
            (
                "CREATE TEMP VIEW v AS SELECT 2 AS n",
                "SQL:1:18: there is a table \"v\" already",
            ),
            ("CREATE VIEW w AS SELECT 2 AS n", "CREATE is not allowed"),
            ("CREATE TEMP VIEW w AS\nSELECT x FROM v", "SQL:2:8: "),
            ("CREATE TEMP VIEW w AS DROP TABLE v", "not allowed"),
            (
                "CREATE TEMP VIEW w AS SELECT * FROM '/etc/passwd'",
                "SQL:1:",
            ),
        ] {
            let error = session.command(sql, "SQL").await.unwrap_err();
            assert_eq!(error.class(), Class::Sql);
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    #[tokio::test]
    async fn another_session_takes_the_views() {
        let (one, other) = (session(), session());
        one.command("CREATE TEMP VIEW v AS SELECT 7::bigint AS n", "SQL")
            .await
            .unwrap();
        other.take_views_of(&one).await.unwrap();
        assert_eq!(number(&other, "SELECT n FROM v").await.unwrap(), 7);
    }
}
