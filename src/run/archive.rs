//! Archives of windows: what a receipt says of one, and which of them queries can read.

mod compact;
mod kept;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};

use super::answer::Answer;
use super::fingerprint::{archive_fingerprint, formats_fingerprint, source_fingerprint};
use super::history::{AT_ONCE, KnownWindows, read_receipt};
use super::{Action, Force, Output, Plan, WindowPlan, answer_files};
use crate::error::Result;
use crate::export::{There, staging};
use crate::job::{Job, JobSource, Name, POSITION};
use crate::layout::cloudwatch::LogObject;
use crate::output::columns::athena_schema;
use crate::output::division::Divided;
use crate::output::parquet::{WINDOW, schema_as_read};
use crate::query::Engine;
use crate::query::archived::{ArchivedColumn, ArchivedEvents, Events, Needs, OpenEvents};
use crate::query::parquet_table::{FolderFilter, ListFiles, ParquetTable, TableFile, TableFiles};
use crate::receipt::{ArchiveReport, ExportReport, Receipt};
use crate::store::Store;
use crate::window::{Range, Window};

pub use compact::{CompactedDay, compact};
pub(super) use kept::KeptExports;

/// What the receipt says of the archive among the answers of a window.
pub(super) fn report(job: &Job, answers: &[Answer<'_>]) -> Option<ArchiveReport> {
    let is_in_reading_order = answers.iter().find_map(|answer| match &answer.files {
        Divided::Numbered(files) => Some(files.is_in_reading_order),
        _ => None,
    })?;
    let archive = job.archive.as_ref()?;
    let columns = archive.columns.iter();
    let by = archive.query.division.columns();
    Some(ArchiveReport {
        sha256: archive_fingerprint(job),
        columns: columns
            .map(|column| (column.name.to_string(), column.sql.clone()))
            .collect(),
        message: archive.message,
        mask: job.mask,
        formats_sha256: formats_fingerprint(job),
        partition_by: by.iter().map(Name::to_string).collect(),
        day: false,
        in_reading_order: is_in_reading_order,
    })
}

/// Whether a window's archive is there as the job would make it now, of the events of its receipt.
pub(super) fn is_current(job: &Job, last: &Receipt) -> bool {
    let report = last.archive.as_ref();
    let is_same = report.is_some_and(|report| report.sha256 == archive_fingerprint(job));
    is_same && !last.window.provisional
}

/// The archive of a window, as its receipt lists it.
#[derive(Debug, Clone)]
pub(super) struct ArchivedWindow {
    /// The window.
    pub(super) window: Window,
    report: ArchiveReport,
    /// The exports that it is of.
    exports: Vec<ExportReport>,
    files: Arc<Listed>,
    /// For each column of the job's archive, whether the files have it.
    has: Vec<bool>,
}

/// The archives of the job's windows that meet a range, in order: of the same events, with messages that are masked as
/// they are wanted.
pub(super) async fn archived_windows(
    output: &Output,
    job: &Job,
    range: Range,
    is_masked: bool,
) -> Result<Vec<ArchivedWindow>> {
    let units = KnownWindows::list(output, job).await?.receipts;
    let windows = units
        .into_iter()
        .filter_map(|unit| Window::new(job.window.size, job.timezone, unit).ok())
        .filter(|window| !window.range().intersect(range).is_empty());
    let source_sha256 = source_fingerprint(job);
    let found: Vec<Option<ArchivedWindow>> = futures::stream::iter(windows)
        .map(|window| archived_window(output, job, window, &source_sha256, is_masked))
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(found.into_iter().flatten().collect())
}

async fn archived_window(
    output: &Output,
    job: &Job,
    window: Window,
    source_sha256: &str,
    is_masked: bool,
) -> Result<Option<ArchivedWindow>> {
    let Some(archive) = &job.archive else {
        return Ok(None);
    };
    let receipt = read_receipt(output, &window).await?;
    let is_usable = |receipt: &Receipt| {
        let is_of_window = receipt.window.timezone == job.timezone.name();
        let report = receipt.archive.as_ref();
        is_of_window
            && receipt.source_sha256 == source_sha256
            && report.is_some_and(|report| report.mask == is_masked)
    };
    let Some(receipt) = receipt.filter(is_usable) else {
        return Ok(None);
    };
    let Some(report) = receipt.archive.clone() else {
        return Ok(None);
    };
    // The folders are those of the archive, whatever the job says now.
    if report
        .partition_by
        .iter()
        .ne(archive.query.division.columns().iter().map(Name::as_str))
    {
        return Ok(None);
    }
    let files = answer_files::of_window(output, job, &archive.query, &window, &receipt).await?;
    if files.is_empty() {
        return Ok(None);
    }
    // Another version of this program may compute another value.
    let is_of_version = receipt.version == env!("CARGO_PKG_VERSION") || !report.message;
    let is_same = is_of_version && report.formats_sha256 == formats_fingerprint(job);
    let has = archive
        .columns
        .iter()
        .map(|column| is_same && report.columns.get(column.name.as_str()) == Some(&column.sql));
    Ok(Some(ArchivedWindow {
        has: has.collect(),
        report,
        exports: receipt.exports,
        files: Arc::new(Listed {
            store: output.store.clone(),
            files,
        }),
        window,
    }))
}

impl ArchivedWindow {
    /// Whether the archive is of these exports, each with its prefix and its objects.
    pub(super) fn is_of<'e>(
        &self,
        staging: &Store,
        exports: impl IntoIterator<Item = (&'e object_store::path::Path, &'e [LogObject])>,
    ) -> bool {
        exports.into_iter().all(|(prefix, objects)| {
            let prefix = staging.display(prefix);
            // Several parts of an object are one.
            let sizes = objects.iter().map(|object| (object.key(), object.size));
            let sizes: BTreeMap<_, u64> = sizes.collect();
            let bytes: u64 = sizes.values().sum();
            let is_listed = |export: &ExportReport| {
                export.prefix == prefix && export.objects == sizes.len() && export.bytes == bytes
            };
            self.exports.iter().any(is_listed)
        })
    }

    /// The number of exports that it is of.
    pub(super) fn exports(&self) -> usize {
        self.exports.len()
    }

    /// Whether there are more objects of a source, or more bytes of them, than those that the archive is of.
    pub(super) fn lacks(&self, source: &JobSource, objects: &[LogObject]) -> bool {
        let there = There::of(objects);
        let exports = || {
            let exports = self.exports.iter();
            exports.filter(|export| export.source == source.number)
        };
        there.objects > exports().map(|export| export.objects).sum::<usize>()
            || there.bytes > exports().map(|export| export.bytes).sum::<u64>()
    }

    /// Whether a query can read it that reads messages, or some columns of the job's archive.
    pub(super) fn has_all(&self, message: bool, columns: impl IntoIterator<Item = usize>) -> bool {
        let has = |column| self.has.get(column).copied().unwrap_or(false);
        self.report.message || (!message && columns.into_iter().all(has))
    }

    /// Its events in a range.
    pub(super) fn events(
        &self,
        job: &Job,
        columns: &[ArchivedColumn],
        range: Range,
    ) -> Result<ArchivedEvents> {
        let text = |name: &str| Field::new(name, DataType::Utf8View, true);
        let time = DataType::Timestamp(TimeUnit::Millisecond, None);
        let of_logs = [
            text("log_group"),
            text("log_stream"),
            Field::new("timestamp", time, true),
        ];
        let mut fields = of_logs.to_vec();
        fields.extend(job.origins().names().map(text));
        fields.extend(self.report.message.then(|| text("message")));
        let own = columns.iter().zip(&self.has).filter(|(_, has)| **has);
        fields.extend(own.map(|(column, _)| column.field()));
        fields.push(Field::new(POSITION, DataType::Int64, true));
        let in_files = schema_as_read(athena_schema(&Schema::new(fields))?.as_ref())?;
        let folders = answer_files::folders_of(job);
        let in_files = in_files.fields().iter();
        let in_files = in_files.filter(|field| !folders.contains(field.name()));
        let in_files = Schema::new(in_files.cloned().collect::<Vec<_>>());
        let own = self.window.range();
        Ok(ArchivedEvents {
            files: ParquetTable::new(&in_files, folders, Arc::clone(&self.files) as _, WINDOW),
            range: match self.report.day {
                true => Some(own.intersect(range)),
                false => (own.intersect(range) != own).then_some(range),
            },
            is_in_reading_order: self.report.in_reading_order,
            has: self.has.clone(),
        })
    }
}

/// The columns of a job's archive, each with the expression that it stands for in the job's zone.
///
/// # Errors
/// As of planning the job.
pub(super) async fn columns_of(engine: &Engine, job: &Job) -> Result<Vec<ArchivedColumn>> {
    let Some(archive) = &job.archive else {
        return Ok(Vec::new());
    };
    let session = engine.session(job.timezone)?;
    let session = session
        .with_formats(&job.formats)
        .expect_archived_logs(job.origins())?;
    let mut columns = Vec::with_capacity(archive.columns.len());
    for column in &archive.columns {
        let (query, origin) = (column.query(), column.origin());
        let expression = session.event_expression(&column.sql, &query, &origin).await;
        columns.push(ArchivedColumn {
            name: column.name.to_string(),
            expression: expression.map_err(|error| error.during(job.file.name()))?,
        });
    }
    Ok(columns)
}

/// The archive of a window as the only source of events.
#[derive(Debug)]
pub(super) struct OneWindow {
    job: Job,
    archived: ArchivedWindow,
    columns: Vec<ArchivedColumn>,
}

impl OneWindow {
    pub(super) fn new(job: &Job, archived: &ArchivedWindow, columns: &[ArchivedColumn]) -> Self {
        Self {
            job: job.clone(),
            archived: archived.clone(),
            columns: columns.to_vec(),
        }
    }
}

#[async_trait]
impl OpenEvents for OneWindow {
    async fn open(&self, _: &Needs) -> Result<Vec<Events>> {
        let range = self.archived.window.range();
        let events = self.archived.events(&self.job, &self.columns, range)?;
        Ok(vec![Events::Archived(events)])
    }
}

/// The archive that answers of a window can be computed of again: with messages, and of the exports that are kept, if any
/// are.
pub(super) async fn to_compute_of(
    plan: &Plan<'_>,
    window: &WindowPlan,
) -> Result<Option<ArchivedWindow>> {
    let job = plan.job;
    let is_usable = |last: &Receipt| {
        let is_whole = last.archive.as_ref().is_some_and(|archive| archive.message);
        is_whole && !last.window.provisional && plan.force != Force::Export
    };
    // Objects of other programs can't be told to be the same.
    let mut sources = job.sources.iter();
    let has_kept_exports = sources.all(|source| !source.logs.is_read_in_place());
    // Nor those of a source that could not be reached.
    let has_kept_exports = has_kept_exports && plan.sources.are_all_there();
    let may_be = has_kept_exports && window.action == Action::Compute && window.reexports == 0;
    if !may_be || !window.last.as_ref().is_some_and(is_usable) {
        return Ok(None);
    }
    let of_window = window.window.clone();
    let source_sha256 = &plan.source_sha256;
    let archived = archived_window(&plan.output, job, of_window, source_sha256, job.mask).await?;
    let Some(archived) = archived else {
        return Ok(None);
    };
    let id = window.window.id();
    for source in plan.sources.iter() {
        let kept = staging::exports_at(&source.store, &source.keys, &id, |_| true).await?;
        let is_listed = kept.iter().all(|group| {
            let prefix = source.store.display(&group.prefix);
            let mut exports = archived.exports.iter();
            exports.any(|export| export.prefix == prefix && export.objects == group.objects.len())
        });
        if !is_listed {
            return Ok(None);
        }
    }
    Ok(Some(archived))
}

/// The files that a receipt lists.
#[derive(Debug)]
struct Listed {
    store: Store,
    files: Vec<TableFile>,
}

#[async_trait]
impl ListFiles for Listed {
    async fn list(&self, _: &FolderFilter<'_>) -> Result<TableFiles> {
        Ok(TableFiles {
            store: self.store.clone(),
            files: self.files.clone(),
        })
    }
}
