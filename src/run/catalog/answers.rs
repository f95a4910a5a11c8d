//! The answers of a job as tables: of every window whose receipt lists them, pruned by `dt` and `hh` before a receipt is
//! read.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use futures::{StreamExt, TryStreamExt};
use tokio::sync::OnceCell;

use super::Scope;
use crate::error::{Class, Error, Result};
use crate::job::{Job, Name, Query};
use crate::layout::{folder_values, parse_window_id, partition_keys};
use crate::query::parquet_table::{FolderFilter, ListFiles, TableFile, TableFiles};
use crate::query::{DeferredTable, PreviousAnswers};
use crate::run::answer_files::{self, AnswerColumns};
use crate::run::history::{AT_ONCE, read_receipt};
use crate::run::lookups::Lookups;
use crate::run::previous::EarlierAnswers;
use crate::run::{Output, queries};
use crate::window::{Range, Unit, Window};

/// The answers of the queries of one job.
pub(super) struct Answers {
    scope: Arc<Scope>,
    job: Job,
    /// The columns of each query's answers.
    planned: OnceCell<Vec<AnswerColumns>>,
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answers({})", self.job.name)
    }
}

impl Answers {
    pub(super) fn new(scope: Arc<Scope>, job: Job) -> Arc<Self> {
        Arc::new(Self {
            scope,
            job,
            planned: OnceCell::new(),
        })
    }

    /// The table of each query with its name.
    pub(super) fn tables(self: &Arc<Self>) -> impl Iterator<Item = (&Name, AnswersOfQuery)> {
        (0..).zip(self.job.answers()).map(|(number, query)| {
            let answers = AnswersOfQuery {
                answers: Arc::clone(self),
                number,
                query: query.clone(),
            };
            (&query.name, answers)
        })
    }

    /// The columns of the answers of each query, as the job computes them now.
    async fn columns(&self) -> Result<&[AnswerColumns]> {
        let plan = async {
            let environment = &self.scope.environment;
            let now = environment.clock.now();
            let window = Window::last_ended(self.job.window.size, self.job.timezone, now)?;
            let lookups = Lookups::open(environment, &self.job).await?;
            let planned =
                queries::plan_all(&environment.engine, &self.job, window.range(), &lookups).await?;
            planned.iter().map(AnswerColumns::of).collect()
        };
        Ok(self.planned.get_or_try_init(|| plan).await?)
    }
}

#[async_trait]
impl PreviousAnswers for Answers {
    async fn previous(&self, query: &str, span: &str) -> Result<Arc<dyn TableProvider>> {
        let job = &self.job;
        let windows = match self.scope.range {
            Some(range) => Window::meeting(job.window.size, job.timezone, range)?,
            None => Vec::new(),
        };
        let window = match windows.as_slice() {
            [only] if Some(only.range()) == self.scope.range => only.clone(),
            _ => {
                return Err(Error::new(
                    Class::Usage,
                    "previous needs one window of the job: expected --window 2026-11-21",
                ));
            }
        };
        let earlier = EarlierAnswers {
            output: Output::open(&self.scope.environment, job).await?,
            job: job.clone(),
            window,
            columns: self.columns().await?.to_vec(),
        };
        earlier.previous(query, span).await
    }
}

/// The answers of one query of a job.
#[derive(Debug, Clone)]
pub(super) struct AnswersOfQuery {
    answers: Arc<Answers>,
    /// The query's place among those of the job and its archive.
    number: usize,
    query: Query,
}

#[async_trait]
impl DeferredTable for AnswersOfQuery {
    async fn open(&self) -> Result<Arc<dyn TableProvider>> {
        let columns = &self.answers.columns().await?[self.number];
        answer_files::table(
            self.job(),
            self.query(),
            columns,
            Arc::new(self.clone()),
            true,
        )
    }
}

impl AnswersOfQuery {
    fn job(&self) -> &Job {
        &self.answers.job
    }

    fn query(&self) -> &Query {
        &self.query
    }

    /// The windows with a receipt that the request and the conditions of a query leave, in order.
    async fn windows(&self, output: &Output, wanted: &FolderFilter<'_>) -> Result<Vec<Window>> {
        let job = self.job();
        let folder = output.keys.receipts();
        let listed = output.store.list(&folder).await?;
        let ids = listed
            .iter()
            .filter_map(|object| parse_window_id(&folder, &object.location));
        let units = ids.filter_map(|id| Unit::parse(job.window.size, id));
        let windows =
            units.filter_map(|unit| Window::new(job.window.size, job.timezone, unit).ok());
        let range = self.answers.scope.range.unwrap_or(Range::ALL);
        let windows = windows.filter(|window| !window.range().intersect(range).is_empty());
        let mut windows: Vec<Window> = windows.collect();
        windows.sort_by_key(Window::unit);
        let name = self.query().name.as_str();
        let folders = windows.iter().map(|window| {
            let folder = output.keys.of_answer(name, window).folder();
            output.keys.relative(&folder)
        });
        let folders: Vec<String> = folders.collect();
        let values: Vec<Vec<_>> = folders.iter().map(|folder| folder_values(folder)).collect();
        let rows = values.iter().map(|values| {
            let values = values.iter().map(|(_, value)| value.as_deref());
            values.collect::<Vec<Option<&str>>>()
        });
        let rows: Vec<Vec<Option<&str>>> = rows.collect();
        let kept = wanted.keeps(
            partition_keys(job.window.size),
            rows.iter().map(Vec::as_slice),
        );
        let mut kept = kept.into_iter();
        windows.retain(|_| kept.next().unwrap_or(true));
        Ok(windows)
    }

    async fn of_window(&self, output: &Output, window: Window) -> Result<Vec<TableFile>> {
        match read_receipt(output, &window).await? {
            Some(receipt) => {
                let (job, query) = (self.job(), self.query());
                answer_files::of_window(output, job, query, &window, &receipt).await
            }
            None => Ok(Vec::new()),
        }
    }
}

#[async_trait]
impl ListFiles for AnswersOfQuery {
    async fn list(&self, wanted: &FolderFilter<'_>) -> Result<TableFiles> {
        let output = Output::open(&self.answers.scope.environment, self.job()).await?;
        let windows = self.windows(&output, wanted).await?;
        let files: Vec<Vec<TableFile>> = futures::stream::iter(windows)
            .map(|window| self.of_window(&output, window))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let mut files: Vec<TableFile> = files.into_iter().flatten().collect();
        // Hours that were compacted have the files of their day.
        let mut seen = HashSet::new();
        files.retain(|file| seen.insert(file.object.location.clone()));
        Ok(TableFiles {
            store: output.store,
            files,
        })
    }
}
