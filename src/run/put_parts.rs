//! Parts of an answer that workers put: which answers they write, and how later queries of the run read them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::DateTime;
use object_store::ObjectMeta;

use super::Output;
#[cfg(feature = "cluster")]
use super::answer::QueryRun;
use super::answer_files::{self, AnswerColumns};
use super::queries::PlannedQuery;
use crate::error::Result;
#[cfg(feature = "cluster")]
use crate::job::Division;
use crate::job::Job;
#[cfg(feature = "cluster")]
use crate::layout::AnswerKeys;
use crate::output::division::PutPart;
#[cfg(feature = "cluster")]
use crate::output::parquet::Metadata;
#[cfg(feature = "cluster")]
use crate::output::parts::PartsOrder;
#[cfg(feature = "cluster")]
use crate::query::Statement;
use crate::query::parquet_table::{FolderFilter, ListFiles, TableFile, TableFiles};
use crate::query::{Session, TableKind};
use crate::store::Store;

#[cfg(feature = "cluster")]
impl QueryRun<'_> {
    /// Has workers put the answer in parts; `None` where this process writes it. Charts are of rows that come by here, so
    /// an answer with charts is.
    pub(super) async fn put_by_workers(
        self,
        planned: &PlannedQuery<'_>,
        statement: &Statement,
        (store, keys): (&Store, AnswerKeys<'_>),
        metadata: &Metadata,
    ) -> Result<Option<Vec<PutPart>>> {
        let query = planned.query;
        let Division::BySize(file_size) = query.division else {
            return Ok(None);
        };
        if !query.charts.is_empty() {
            return Ok(None);
        }
        let order = PartsOrder::new(store, keys.parts(), &planned.columns, metadata, file_size)?;
        let Some(order) = order else {
            return Ok(None);
        };
        let order = order.to_workers()?;
        let Some(reports) = self.session.write_parts(statement, &order).await? else {
            return Ok(None);
        };
        let parts = reports.iter().map(|report| PutPart::from_report(report));
        parts.collect::<Result<_>>().map(Some)
    }
}

/// Registers an answer in parts that are put as a table. Nothing but this run reads them yet.
pub(super) fn add_table(
    session: &Session,
    output: &Output,
    job: &Job,
    planned: &PlannedQuery<'_>,
    parts: &[PutPart],
) -> Result<()> {
    let columns = AnswerColumns::of(planned)?;
    let files = parts.iter().map(|part| {
        let object = ObjectMeta {
            location: part.written.key.clone(),
            last_modified: DateTime::UNIX_EPOCH,
            size: part.written.bytes,
            e_tag: part.written.etag.clone(),
            version: None,
        };
        answer_files::table_file(job, planned.query, object)
    });
    let files = PutFiles {
        store: output.store.clone(),
        files: files.collect(),
    };
    let table = answer_files::table(job, planned.query, &columns, Arc::new(files), false)?;
    session.add_table(planned.query.name.as_str(), TableKind::Answer, table);
    Ok(())
}

/// Parts that are put.
struct PutFiles {
    store: Store,
    files: Vec<TableFile>,
}

impl fmt::Debug for PutFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PutFiles({} in {:?})", self.files.len(), self.store)
    }
}

#[async_trait]
impl ListFiles for PutFiles {
    async fn list(&self, _: &FolderFilter<'_>) -> Result<TableFiles> {
        Ok(TableFiles {
            store: self.store.clone(),
            files: self.files.clone(),
        })
    }
}
