//! Parquet files as a table: which of them a query needs is decided by the folders that they are in, such as
//! `dt=2026-11-21/hh=05`, before any of them is listed or opened.

mod drift;
mod reader;

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use object_store::ObjectMeta;

pub(super) use self::drift::OnlyWider;
pub use self::drift::widens;
pub(super) use self::reader::{FileOfTable, NamedFiles};
use crate::error::Result;
use crate::store::Store;

/// A Parquet file of a table.
#[derive(Debug, Clone)]
pub struct TableFile {
    /// The object.
    pub object: ObjectMeta,
    /// The values of the table's folders, in their order; `None` is NULL.
    pub folders: Vec<Option<String>>,
}

/// The files that a query needs.
#[derive(Debug)]
pub struct TableFiles {
    /// The store that they are in.
    pub store: Store,
    /// The files.
    pub files: Vec<TableFile>,
}

/// Lists the files of a table when a query reads it.
#[async_trait]
pub trait ListFiles: fmt::Debug + Send + Sync {
    /// The files that the conditions of a query leave. Files that they do not need may be among them.
    async fn list(&self, folders: &FolderFilter<'_>) -> Result<TableFiles>;
}

/// What a query wants of the folders of a table.
pub struct FolderFilter<'a> {
    state: &'a dyn Session,
    filters: &'a [Expr],
}

impl FolderFilter<'_> {
    /// Whether each of some rows of folders may be wanted. `columns` are the names of the folders that a row has a value of;
    /// conditions on other columns keep it.
    pub fn keeps<'r>(
        &self,
        columns: &[&str],
        rows: impl IntoIterator<Item = &'r [Option<&'r str>]>,
    ) -> Vec<bool> {
        let rows: Vec<&[Option<&str>]> = rows.into_iter().collect();
        let mut kept = vec![true; rows.len()];
        let about: Vec<&Expr> = self.filters.iter().collect();
        let about = about
            .into_iter()
            .filter(|filter| reads_only(filter, columns));
        for filter in about {
            match self.decide(filter, columns, &rows) {
                Ok(verdicts) => kept
                    .iter_mut()
                    .zip(verdicts)
                    .for_each(|(kept, v)| *kept &= v),
                // It may fail for a folder whose rows another condition takes away.
                Err(error) => tracing::debug!(%error, %filter, "a condition is left to the rows"),
            }
        }
        kept
    }

    fn decide(
        &self,
        filter: &Expr,
        columns: &[&str],
        rows: &[&[Option<&str>]],
    ) -> EngineResult<Vec<bool>> {
        let fields = columns.iter().map(|name| folder_column(name));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let df_schema = DFSchema::try_from(Arc::clone(&schema))?;
        let filter = self
            .state
            .create_physical_expr(filter.clone(), &df_schema)?;
        let column = |at: usize| -> ArrayRef {
            let values = rows.iter().map(|row| row.get(at).copied().flatten());
            Arc::new(StringViewArray::from_iter(values))
        };
        let values = (0..columns.len()).map(column).collect();
        let batch = RecordBatch::try_new(schema, values)?;
        let verdict = filter.evaluate(&batch)?.into_array(batch.num_rows())?;
        Ok(match verdict.as_boolean_opt() {
            Some(verdict) => (0..rows.len())
                .map(|row| verdict.is_valid(row) && verdict.value(row))
                .collect(),
            // A constant NULL may have no type.
            None => vec![false; rows.len()],
        })
    }
}

/// The column that a folder is: text, as Athena has it.
fn folder_column(name: &str) -> FieldRef {
    Arc::new(Field::new(name, DataType::Utf8View, true))
}

/// Whether a condition reads no other columns, and at least one of these.
fn reads_only(filter: &Expr, columns: &[&str]) -> bool {
    let is_known = |expr: &Expr| match expr {
        Expr::Column(column) => columns.contains(&column.name()),
        Expr::OuterReferenceColumn(..)
        | Expr::ScalarSubquery(_)
        | Expr::Exists(_)
        | Expr::InSubquery(_)
        | Expr::SetComparison(_)
        | Expr::Placeholder(_) => false,
        _ => true,
    };
    !filter.is_volatile()
        && filter.any_column_refs()
        && !filter.exists(|expr| Ok(!is_known(expr))).unwrap_or(true)
}

/// Parquet files as a table: the columns of the files, then those of their folders.
#[derive(Debug)]
pub struct ParquetTable {
    schema: TableSchema,
    folders: Vec<String>,
    files: Arc<dyn ListFiles>,
    window_key: Arc<str>,
}

impl ParquetTable {
    /// A table of files with these columns, in folders of these names. A column that a file does not have is NULL in its rows;
    /// one of a narrower type is widened, and one of another type is an error.
    /// `window_key` is the key of the files' metadata that says which window a file is of, for that error.
    pub fn new(
        columns: &Schema,
        folders: Vec<String>,
        files: Arc<dyn ListFiles>,
        window_key: &str,
    ) -> Self {
        let nullable = columns
            .fields()
            .iter()
            .map(|field| field.as_ref().clone().with_nullable(true));
        let columns = Arc::new(Schema::new(nullable.collect::<Vec<_>>()));
        let of_folders: Vec<FieldRef> = folders.iter().map(|name| folder_column(name)).collect();
        Self {
            schema: TableSchema::builder(columns)
                .with_table_partition_cols(of_folders)
                .build(),
            folders,
            files,
            window_key: window_key.into(),
        }
    }

    fn folder_names(&self) -> Vec<&str> {
        self.folders.iter().map(String::as_str).collect()
    }

    async fn list(&self, state: &dyn Session, filters: &[Expr]) -> Result<TableFiles> {
        let wanted = FolderFilter { state, filters };
        let mut listed = self.files.list(&wanted).await?;
        let rows: Vec<Vec<Option<&str>>> = listed
            .files
            .iter()
            .map(|file| file.folders.iter().map(Option::as_deref).collect())
            .collect();
        let kept = wanted.keeps(&self.folder_names(), rows.iter().map(Vec::as_slice));
        let mut kept = kept.into_iter();
        listed.files.retain(|_| kept.next().unwrap_or(true));
        Ok(listed)
    }
}

#[async_trait]
impl TableProvider for ParquetTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.schema.table_schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// All filters are evaluated by the engine too: here, they only say which files are not needed.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> EngineResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let TableFiles { store, files } = self.list(state, filters).await?;
        if files.is_empty() {
            let schema = match projection {
                Some(projection) => Arc::new(self.schema().project(projection)?),
                None => self.schema(),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let partitions = state.config().target_partitions();
        let files = files.into_iter().map(|file| {
            let values = file.folders.into_iter().map(ScalarValue::Utf8View);
            let of_table = FileOfTable {
                name: store.display(&file.object.location).into(),
                window_key: Arc::clone(&self.window_key),
            };
            PartitionedFile::from(file.object)
                .with_partition_values(values.collect())
                .with_extension(of_table)
        });
        let reader = NamedFiles::new(Arc::clone(store.objects()), store.url());
        let mut source = ParquetSource::new(self.schema.clone())
            .with_parquet_file_reader_factory(Arc::new(reader));
        if let Some(filter) = conjunction(filters.iter().cloned()) {
            // It only says which parts of files are not needed, so that a query does without.
            let columns = DFSchema::try_from(Arc::clone(self.schema.table_schema()))?;
            match state.create_physical_expr(filter, &columns) {
                Ok(filter) => source = source.with_predicate(filter),
                Err(error) => tracing::debug!(%error, "files are read whole"),
            }
        }
        let config = FileScanConfigBuilder::new(store.url().clone(), Arc::new(source))
            .with_file_groups(FileGroup::new(files.collect()).split_files(partitions))
            .with_limit(limit.filter(|_| filters.is_empty()))
            .with_preserve_order(partitions == 1)
            .with_expr_adapter(Some(Arc::new(OnlyWider {
                window_key: Arc::clone(&self.window_key),
            })))
            .with_projection_indices(projection.cloned())?
            .build();
        let registry = state.runtime_env();
        if registry.object_store(store.url()).is_err() {
            let objects = Arc::clone(store.objects());
            registry.register_object_store(store.url().as_ref(), objects);
        }
        Ok(DataSourceExec::from_data_source(config))
    }
}
