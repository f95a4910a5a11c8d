//! `previous('hourly_count', '7 days')`: the answer of an earlier window as a table, in the queries of a job and in ad-hoc ones.
//! It has no rows where there is no answer, or one of other log groups or another zone, as for the lines of charts.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::TableProvider;

use super::Output;
use super::answer_files::{self, AnswerColumns};
use super::compare::{before, other_events};
use super::history::read_receipt;
use crate::error::{Class, Error, Result};
use crate::job::{Compare, Job, Name};
use crate::query::parquet_table::{FolderFilter, ListFiles, TableFile, TableFiles};
use crate::query::{PreviousAnswers, Session};
use crate::window::{Size, Span, Window};

/// How far before a window the span of a call leads. An error (SQL) for one that is not a whole number of windows.
fn compare(span: &str, size: Size) -> Result<Compare> {
    let parsed: Option<Span> = span.parse().ok();
    let windows = parsed.and_then(|span| span.windows(size));
    parsed
        .zip(windows)
        .map(|(span, windows)| Compare { span, windows })
        .ok_or_else(|| {
            Error::new(
                Class::Sql,
                format!("previous: {span:?} is not a whole number of windows of a {size}"),
            )
            .with_hint("write '7 days', '1 week' or '24 hours'")
        })
}

fn no_query(query: &str, known: &[String]) -> Error {
    let what = format!("previous: there is no query {query:?} before this one");
    let error = Error::new(Class::Sql, what);
    match known.is_empty() {
        true => error,
        false => error.with_hint(format!("the queries are {}", known.join(", "))),
    }
}

/// The columns of earlier answers, for planning.
#[derive(Debug)]
pub(super) struct ExpectedAnswers {
    size: Size,
    known: Mutex<Vec<(String, SchemaRef)>>,
}

impl ExpectedAnswers {
    pub(super) fn new(size: Size) -> Self {
        Self {
            size,
            known: Mutex::default(),
        }
    }

    /// Adds the columns of a query, for those behind it.
    pub(super) fn add(&self, query: &Name, columns: SchemaRef) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.push((query.to_string(), columns));
    }
}

#[async_trait]
impl PreviousAnswers for ExpectedAnswers {
    async fn previous(&self, query: &str, span: &str) -> Result<Arc<dyn TableProvider>> {
        compare(span, self.size)?;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match known.iter().find(|(name, _)| name == query) {
            Some((_, columns)) => Ok(Session::expected(Arc::clone(columns))),
            None => {
                let names = known.iter().map(|(name, _)| name.clone());
                Err(no_query(query, &names.collect::<Vec<_>>()))
            }
        }
    }
}

/// The answers of the windows before one.
pub(super) struct EarlierAnswers {
    pub(super) output: Output,
    pub(super) job: Job,
    pub(super) window: Window,
    /// The columns of each query's answers.
    pub(super) columns: Vec<AnswerColumns>,
}

impl fmt::Debug for EarlierAnswers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "EarlierAnswers({} of {})",
            self.window.id(),
            self.job.name
        )
    }
}

#[async_trait]
impl PreviousAnswers for EarlierAnswers {
    async fn previous(&self, query: &str, span: &str) -> Result<Arc<dyn TableProvider>> {
        let compare = compare(span, self.job.window.size)?;
        let mut queries = (0..).zip(&self.job.queries);
        let Some((number, found)) = queries.find(|(_, other)| other.name.as_str() == query) else {
            let names = self.job.queries.iter().map(|query| query.name.to_string());
            return Err(no_query(query, &names.collect::<Vec<_>>()));
        };
        let columns = self.columns.get(number).ok_or_else(|| {
            Error::new(
                Class::Unexpected,
                format!("the query {query} is not planned"),
            )
        })?;
        let files = AnswerOfWindow {
            output: self.output.clone(),
            job: self.job.clone(),
            number,
            window: before(&self.window, compare),
        };
        answer_files::table(&self.job, found, columns, Arc::new(files), false)
    }
}

/// The answer of a query in one window.
struct AnswerOfWindow {
    output: Output,
    job: Job,
    /// The query's place in the job.
    number: usize,
    /// `None` if the zone has skipped it.
    window: Option<Window>,
}

impl fmt::Debug for AnswerOfWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AnswerOfWindow({:?})", self.window)
    }
}

impl AnswerOfWindow {
    async fn files(&self) -> Result<Vec<TableFile>> {
        let Some(window) = &self.window else {
            return Ok(Vec::new());
        };
        let Some(receipt) = read_receipt(&self.output, window).await? else {
            return Ok(Vec::new());
        };
        if let Some(difference) = other_events(&receipt, &self.job) {
            tracing::warn!(window = window.id(), "previous has no rows: {difference}");
            return Ok(Vec::new());
        }
        let query = &self.job.queries[self.number];
        answer_files::of_window(&self.output, &self.job, query, window, &receipt).await
    }
}

#[async_trait]
impl ListFiles for AnswerOfWindow {
    async fn list(&self, _: &FolderFilter<'_>) -> Result<TableFiles> {
        Ok(TableFiles {
            store: self.output.store.clone(),
            files: self.files().await?,
        })
    }
}
