//! The files of a query's answers, as receipts list them, as a table.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use object_store::ObjectMeta;

use super::Output;
use super::queries::PlannedQuery;
use crate::error::Result;
use crate::job::{Job, Name, Query};
use crate::layout::{self, folder_values, partition_keys};
use crate::output::parquet::{self, WINDOW};
use crate::query::Session;
use crate::query::parquet_table::{ListFiles, ParquetTable, TableFile};
use crate::receipt::{OutputKind, OutputReport, Receipt};
use crate::window::Window;

/// The columns of a query's answers.
#[derive(Debug, Clone)]
pub(super) struct AnswerColumns {
    /// As later queries see them.
    table: SchemaRef,
    /// As the engine reads them from files.
    in_files: SchemaRef,
}

impl AnswerColumns {
    pub(super) fn of(planned: &PlannedQuery<'_>) -> Result<Self> {
        Ok(Self {
            table: Arc::clone(&planned.table),
            in_files: parquet::schema_as_read(&planned.columns)?,
        })
    }
}

/// The names of the folders of a file: those of its window, then those of its values.
fn folders(job: &Job, query: &Query) -> Vec<String> {
    let of_window = partition_keys(job.window.size).iter();
    let of_window = of_window.map(|name| (*name).to_owned());
    let of_values = query.division.columns().iter().map(Name::to_string);
    of_window.chain(of_values).collect()
}

/// The names of the folders of a file of the job's archive; those of its windows where it has none.
pub(super) fn folders_of(job: &Job) -> Vec<String> {
    let archive = job.archive.as_ref();
    archive.map_or_else(Vec::new, |archive| folders(job, &archive.query))
}

/// Answers of a query as a table of its columns, behind which those of the windows come where they are asked for.
pub(super) fn table(
    job: &Job,
    query: &Query,
    columns: &AnswerColumns,
    files: Arc<dyn ListFiles>,
    with_windows: bool,
) -> Result<Arc<dyn TableProvider>> {
    let folders = folders(job, query);
    let in_files = columns.in_files.fields().iter();
    let in_files = in_files.filter(|field| !folders.contains(field.name()));
    let in_files: Vec<_> = in_files.cloned().collect();
    let files = ParquetTable::new(&Schema::new(in_files), folders, files, WINDOW);
    let of_windows = match with_windows {
        true => partition_keys(job.window.size),
        false => &[],
    };
    Session::answers(files, &columns.table, of_windows)
}

/// The files of a window's answer that its receipt lists. None, with a warning, where one of them is not that of the receipt,
/// as between a run's answers and its receipt.
pub(super) async fn of_window(
    output: &Output,
    job: &Job,
    query: &Query,
    window: &Window,
    receipt: &Receipt,
) -> Result<Vec<TableFile>> {
    let mut files = Vec::new();
    for listed in listed(receipt, query.name.as_str()) {
        let key = layout::join(output.store.root(), &listed.key);
        let there = output.store.head(&key).await?;
        let Some(object) = there.filter(|there| is_same(there, listed, output)) else {
            tracing::warn!(
                window = window.id(),
                answer = output.store.display(&key),
                "left out: the answer is not the one that its receipt lists; a run of the window is under way, or was stopped",
            );
            return Ok(Vec::new());
        };
        files.push(table_file(job, query, object));
    }
    Ok(files)
}

/// An object of an answer as a file of the query's table.
pub(super) fn table_file(job: &Job, query: &Query, object: ObjectMeta) -> TableFile {
    let values = folder_values(object.location.as_ref());
    // Behind the answer's own folder, which may be in one that is named alike.
    let value = |name: &String| {
        let mut of_name = values.iter().rev().filter(|(folder, _)| folder == name);
        of_name.next().and_then(|(_, value)| value.clone())
    };
    TableFile {
        folders: folders(job, query).iter().map(value).collect(),
        object,
    }
}

fn listed<'r>(receipt: &'r Receipt, query: &str) -> impl Iterator<Item = &'r OutputReport> {
    let outputs = receipt.outputs.iter();
    outputs.filter(move |output| output.kind == OutputKind::Parquet && output.query == query)
}

/// Whether an object is the one that a receipt lists. A copy on another disk has other tags.
fn is_same(object: &ObjectMeta, listed: &OutputReport, output: &Output) -> bool {
    object.size == listed.bytes
        && (output.store.location().is_local() || object.e_tag == listed.etag)
}
