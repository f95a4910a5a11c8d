//! The tables of a session by their names. Some are opened when a query first names them, so that a query pays for no table
//! that it does not read.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::datasource::TableType;
use datafusion::error::{DataFusionError, Result as EngineResult};
use tokio::sync::OnceCell;

use super::{Session, previous};
use crate::error::{Class, Error, Result};

/// What a table is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TableKind {
    /// The events.
    Logs,
    /// The hours of the window.
    Hours,
    /// The answers of a query of a job.
    Answer,
    /// A lookup table of a job or of the command line.
    Lookup,
    /// Parquet files that are queried by themselves.
    Files,
    /// A view of the session.
    View,
}

/// A table that is opened when a query first names it.
#[async_trait]
pub trait DeferredTable: fmt::Debug + Send + Sync {
    /// Opens it. Called again only where it failed.
    async fn open(&self) -> Result<Arc<dyn TableProvider>>;
}

/// A table of a session, for lists of them.
#[derive(Debug, Clone)]
pub struct SessionTable {
    /// Its name, as SQL has it.
    pub name: String,
    /// What it is of.
    pub kind: TableKind,
    /// Its columns, in their order; `None` where it can't be opened, which a query over it explains.
    pub columns: Option<SchemaRef>,
}

#[derive(Debug)]
struct Entry {
    kind: TableKind,
    open: OnceCell<Arc<dyn TableProvider>>,
    deferred: Option<Arc<dyn DeferredTable>>,
}

impl Entry {
    async fn table(&self) -> Result<Arc<dyn TableProvider>> {
        let opening = async {
            match &self.deferred {
                Some(deferred) => deferred.open().await,
                None => Err(Error::new(Class::Unexpected, "a table is not open")),
            }
        };
        self.open.get_or_try_init(|| opening).await.cloned()
    }
}

/// The engine's schema `public`.
#[derive(Debug, Default)]
pub(super) struct Tables {
    tables: RwLock<BTreeMap<String, Arc<Entry>>>,
    previous: RwLock<Option<Arc<dyn PreviousAnswers>>>,
}

/// Finds the answers of earlier windows.
#[async_trait]
pub trait PreviousAnswers: fmt::Debug + Send + Sync {
    /// The answer of a query in the window that is a span of the calendar before this one, such as `7 days`. It has no rows
    /// where that window has no answer.
    async fn previous(&self, query: &str, span: &str) -> Result<Arc<dyn TableProvider>>;
}

impl Tables {
    fn insert(&self, name: &str, entry: Entry) {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        tables.insert(name.to_owned(), Arc::new(entry));
    }

    /// The same tables, those that are open with what they have opened, in a list of its own.
    pub(super) fn fork(&self) -> Self {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        let previous = self.previous.read().unwrap_or_else(PoisonError::into_inner);
        Self {
            tables: RwLock::new(tables.clone()),
            previous: RwLock::new(previous.clone()),
        }
    }

    pub(super) fn find_previous(&self, answers: Arc<dyn PreviousAnswers>) {
        let mut previous = self
            .previous
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *previous = Some(answers);
    }

    /// The earlier answer that a name in a plan means.
    async fn previous(&self, query: &str, span: &str) -> Result<Arc<dyn TableProvider>> {
        let previous = self
            .previous
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        match previous {
            Some(answers) => answers.previous(query, span).await,
            None => Err(Error::new(
                Class::Sql,
                "previous is the earlier answer of a query of a job, and there is no job here",
            )),
        }
    }

    fn get(&self, name: &str) -> Option<Arc<Entry>> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        tables.get(name).cloned()
    }

    pub(super) fn put(&self, name: &str, kind: TableKind, table: Arc<dyn TableProvider>) {
        let open = OnceCell::new_with(Some(table));
        let entry = Entry {
            kind,
            open,
            deferred: None,
        };
        self.insert(name, entry);
    }

    pub(super) fn defer(&self, name: &str, kind: TableKind, table: Arc<dyn DeferredTable>) {
        let entry = Entry {
            kind,
            open: OnceCell::new(),
            deferred: Some(table),
        };
        self.insert(name, entry);
    }

    pub(super) fn kind(&self, name: &str) -> Option<TableKind> {
        self.get(name).map(|entry| entry.kind)
    }
}

#[async_trait]
impl SchemaProvider for Tables {
    fn table_names(&self) -> Vec<String> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        tables.keys().cloned().collect()
    }

    async fn table(&self, name: &str) -> EngineResult<Option<Arc<dyn TableProvider>>> {
        if let Some(entry) = self.get(name) {
            return Ok(Some(entry.table().await?));
        }
        match previous::parts_of(name) {
            Some((query, span)) => Ok(Some(self.previous(query, span).await?)),
            None => Ok(None),
        }
    }

    /// Opens no table: the list of tables is there also where one of them is not.
    async fn table_type(&self, name: &str) -> EngineResult<Option<TableType>> {
        Ok(self.get(name).map(|entry| match entry.kind {
            TableKind::View => TableType::View,
            _ => TableType::Base,
        }))
    }

    fn register_table(
        &self,
        name: String,
        table: Arc<dyn TableProvider>,
    ) -> EngineResult<Option<Arc<dyn TableProvider>>> {
        if self.table_exist(&name) {
            return Err(DataFusionError::Execution(format!(
                "the table {name} exists already"
            )));
        }
        self.put(&name, TableKind::View, table);
        Ok(None)
    }

    fn table_exist(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

impl Session {
    /// The tables that queries can name, by name. Opens those that are not open yet.
    pub async fn all_tables(&self) -> Vec<SessionTable> {
        let mut all = Vec::new();
        for name in self.tables.table_names() {
            let Some(entry) = self.tables.get(&name) else {
                continue;
            };
            let table = entry.table().await;
            let table = table.inspect_err(|error| tracing::debug!("{name} is not open: {error}"));
            all.push(SessionTable {
                kind: entry.kind,
                columns: table.ok().map(|table| table.schema()),
                name,
            });
        }
        all
    }

    /// Makes a table of this name that is opened when a query first names it.
    pub fn defer(&self, name: &str, kind: TableKind, table: Arc<dyn DeferredTable>) {
        self.tables.defer(name, kind, table);
    }
}

/// A name of a table or column as SQL writes it: in quotes where it needs them.
pub fn name_in_sql(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    match is_plain {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_they_have_to_be() {
        for (name, expected) in [
            ("logs", "logs"),
            ("My table", "\"My table\""),
            ("a\"b", "\"a\"\"b\""),
            ("1a", "\"1a\""),
        ] {
            assert_eq!(name_in_sql(name), expected);
        }
    }
}
