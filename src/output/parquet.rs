//! Answers as Parquet that Athena reads: one file, or several of a size. The same rows make the same bytes.

mod row_group;

use std::collections::VecDeque;
use std::fs::File;
use std::num::NonZeroUsize;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::datasource::physical_plan::parquet::transform_schema_to_view;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::MemoryPool;
use parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, ArrowWriterOptions};
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter, parquet_to_arrow_schema};
use parquet::basic::{Compression, Encoding as ParquetEncoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use row_group::{EncodedRowGroup, Encoding, Memory, OpenRowGroup};

use super::columns::to_athena;
use crate::batch_bytes::{compact, slices};
use crate::error::{Class, Error, Result};

/// A row group is read at a time. It is full at this many rows or at this many bytes of values, whichever comes first.
/// With a file size, it has at most that many bytes, so that a file, which ends with a row group, is not much larger than
/// its size.
const ROW_GROUP_ROWS: usize = 1 << 20;
const ROW_GROUP_BYTES: usize = 48 << 20;

/// The row groups that are encoded at the same time.
const MOST_ENCODERS: usize = 4;

/// The type of such a file, as S3 keeps it.
pub const CONTENT_TYPE: &str = "application/vnd.apache.parquet";

/// The metadata key of the SHA-256 of the SQL that a file answers.
pub const SQL_SHA256: &str = "logtally.sql_sha256";

/// The metadata key of the id of a file's window.
pub const WINDOW: &str = "logtally.window";

/// Lists and maps as the format's own document names their parts, which is how every reader knows them.
const COERCE_TYPES: bool = true;

/// Higher levels shrink log messages by a few percent and take twice the time.
const ZSTD_LEVEL: i32 = 1;

/// What a file says about itself beside its schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// The job's name.
    pub job: String,
    /// The window's id.
    pub window: String,
    /// The SHA-256 of the SQL's text, in hexadecimal digits.
    pub sql_sha256: String,
}

impl Metadata {
    /// Of a query of this text.
    pub fn new(job: &str, window: &str, sql: &str) -> Self {
        let digits = Sha256::digest(sql);
        Self {
            job: job.to_owned(),
            window: window.to_owned(),
            sql_sha256: digits.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    fn key_values(&self) -> Vec<KeyValue> {
        let of = |key: &str, value: &str| KeyValue::new(key.to_owned(), value.to_owned());
        vec![
            of("logtally.job", &self.job),
            of(SQL_SHA256, &self.sql_sha256),
            version(),
            of(WINDOW, &self.window),
        ]
    }
}

fn version() -> KeyValue {
    KeyValue::new(
        "logtally.version".to_owned(),
        env!("CARGO_PKG_VERSION").to_owned(),
    )
}

/// How the columns of a file are laid out, beyond what every answer has: zstd, statistics of each page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// The columns that the rows are sorted by, ascending and NULL first, as the file says of itself.
    pub sorted_by: Vec<String>,
    /// Columns of whole numbers or times that mostly rise: the file has the differences.
    pub rising: Vec<String>,
    /// Columns of text whose values hardly repeat: a dictionary of them would only cost time.
    pub unlike: Vec<String>,
    /// The columns with bloom filters.
    pub bloom: Vec<String>,
    /// The most rows of a page, which is the least that a reader can take; the format's default where unset.
    pub page_rows: Option<usize>,
}

impl Layout {
    fn apply(
        &self,
        mut properties: WriterPropertiesBuilder,
        schema: &Schema,
    ) -> Result<WriterPropertiesBuilder, ParquetError> {
        let path = |column: &String| ColumnPath::new(vec![column.clone()]);
        for column in &self.rising {
            properties = properties
                .set_column_dictionary_enabled(path(column), false)
                .set_column_encoding(path(column), ParquetEncoding::DELTA_BINARY_PACKED);
        }
        for column in &self.unlike {
            properties = properties.set_column_dictionary_enabled(path(column), false);
        }
        if let Some(rows) = self.page_rows {
            properties = properties.set_data_page_row_count_limit(rows);
        }
        for column in &self.bloom {
            properties = properties.set_column_bloom_filter_enabled(path(column), true);
        }
        // A struct has a column for each of its fields, so that places in the schema do not count.
        let columns = ArrowSchemaConverter::new()
            .with_coerce_types(COERCE_TYPES)
            .convert(schema)?;
        let sorted = self.sorted_by.iter().filter_map(|name| {
            let mut columns = columns.columns().iter();
            let place = columns.position(|column| column.path().string() == *name)?;
            Some(SortingColumn {
                column_idx: i32::try_from(place).ok()?,
                descending: false,
                nulls_first: true,
            })
        });
        let sorted: Vec<SortingColumn> = sorted.collect();
        Ok(match sorted.is_empty() {
            true => properties,
            false => properties.set_sorting_columns(Some(sorted)),
        })
    }
}

/// Writes an answer to one local file, or to several, each of which is then put whole.
///
/// Row groups are encoded on threads of their own and appended in the order of their rows, so that the bytes do not
/// depend on which thread ends first.
pub struct Spool {
    writer: SerializedFileWriter<File>,
    encoders: Arc<ArrowRowGroupWriterFactory>,
    schema: SchemaRef,
    properties: WriterProperties,
    /// The file that is written now.
    path: PathBuf,
    /// Its rows until now.
    rows: u64,
    /// The bytes at which a file ends and the next begins.
    file_size: u64,
    /// The bytes at which a row group is full.
    row_group_bytes: usize,
    /// How many files were begun before it.
    number: usize,
    /// The complete files before it that were not taken yet.
    full: Vec<Spooled>,
    /// The row group that the next rows belong to.
    open: Option<OpenRowGroup>,
    /// The number of row groups whose encoding has begun.
    begun: usize,
    /// The row groups before it, in the order of their rows.
    encoding: VecDeque<Encoding>,
    memory: Memory,
}

/// An answer, or a part of one, in a local file.
#[derive(Debug, Clone)]
pub struct Spooled {
    /// The file.
    pub path: PathBuf,
    /// Its rows.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
}

impl Spool {
    /// Begins a file of answers in columns of [`athena_schema`](super::columns::athena_schema). What it holds in memory
    /// is reserved in the pool.
    pub fn create(
        path: PathBuf,
        schema: SchemaRef,
        metadata: &Metadata,
        pool: &Arc<dyn MemoryPool>,
    ) -> Result<Self> {
        Self::laid_out(path, schema, metadata, &Layout::default(), pool)
    }

    /// The same with a layout of its own.
    pub fn laid_out(
        path: PathBuf,
        schema: SchemaRef,
        metadata: &Metadata,
        layout: &Layout,
        pool: &Arc<dyn MemoryPool>,
    ) -> Result<Self> {
        Self::begin(path, schema, metadata.key_values(), layout, pool)
    }

    /// Begins a file of an ad-hoc answer, whose columns need not be those that Athena reads.
    pub fn ad_hoc(path: PathBuf, schema: SchemaRef, pool: &Arc<dyn MemoryPool>) -> Result<Self> {
        Self::begin(path, schema, vec![version()], &Layout::default(), pool)
    }

    fn begin(
        path: PathBuf,
        schema: SchemaRef,
        metadata: Vec<KeyValue>,
        layout: &Layout,
        pool: &Arc<dyn MemoryPool>,
    ) -> Result<Self> {
        let failed = |error: ParquetError| write_error(&path, error);
        let level = ZstdLevel::try_new(ZSTD_LEVEL).map_err(failed)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_coerce_types(COERCE_TYPES)
            .set_created_by(concat!("logtally version ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_key_value_metadata(Some(metadata));
        let properties = layout.apply(properties, &schema).map_err(failed)?.build();
        let (writer, encoders) = open(&path, &schema, &properties)?;
        Ok(Self {
            writer,
            encoders: Arc::new(encoders),
            schema,
            properties,
            path,
            rows: 0,
            file_size: u64::MAX,
            row_group_bytes: ROW_GROUP_BYTES,
            number: 0,
            full: Vec::new(),
            open: None,
            begun: 0,
            encoding: VecDeque::new(),
            memory: Memory::of(pool),
        })
    }

    /// Ends each file with the row group that brings it to this many bytes; the next one begins beside it.
    pub fn with_file_size(mut self, bytes: u64) -> Self {
        self.file_size = bytes;
        let whole = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.row_group_bytes = ROW_GROUP_BYTES.min(whole);
        self
    }

    /// One of `several` that a process writes at a time, and that share the memory of one.
    pub fn one_of(mut self, several: usize) -> Self {
        self.memory = self.memory.shared_by(several);
        self
    }

    /// Takes the files that are complete, in the order of their rows.
    pub fn take_full(&mut self) -> Vec<Spooled> {
        std::mem::take(&mut self.full)
    }

    /// Adds rows in the engine's types; returns them in the types of the file.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let batch = compact(to_athena(batch, &self.schema)?);
        let batch = batch.map_err(|error| Error::from_engine(error.into()))?;
        for rows in slices(&batch, self.row_group_bytes) {
            let mut open = match self.open.take() {
                Some(open) => open,
                None => self.begin_row_group().await?,
            };
            open.add(rows, &self.memory)
                .await
                .map_err(|error| write_error(&self.path, error))?;
            if open.is_full(ROW_GROUP_ROWS, self.row_group_bytes) {
                self.encoding.push_back(open.complete());
            } else {
                self.open = Some(open);
            }
        }
        Ok(batch)
    }

    async fn begin_row_group(&mut self) -> Result<OpenRowGroup> {
        // One more than the cores, so that no core is idle while the next rows are read.
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let most = (cores + 1).min(MOST_ENCODERS);
        while self.encoding.len() >= most || (!self.encoding.is_empty() && self.memory.is_scarce())
        {
            self.append_oldest().await?;
        }
        let number = self.begun;
        self.begun += 1;
        Ok(OpenRowGroup::begin(
            &self.encoders,
            &self.schema,
            number,
            &self.memory,
        ))
    }

    async fn append_oldest(&mut self) -> Result<()> {
        let Some(encoding) = self.encoding.pop_front() else {
            return Ok(());
        };
        let encoded = encoding
            .join_unwind()
            .await
            .map_err(|error| write_error(&self.path, error))?;
        let EncodedRowGroup { columns, .. } =
            encoded.map_err(|error| encode_error(&self.path, error))?;
        if self.rows > 0 && self.writer.bytes_written() as u64 >= self.file_size {
            self.begin_file()?;
        }
        let failed = |error: ParquetError| write_error(&self.path, error);
        let mut group = self.writer.next_row_group().map_err(failed)?;
        for column in columns {
            column.append_to_row_group(&mut group).map_err(failed)?;
        }
        let group = group.close().map_err(failed)?;
        self.rows += group.num_rows().unsigned_abs();
        Ok(())
    }

    /// Completes the current file and begins another beside it.
    fn begin_file(&mut self) -> Result<()> {
        self.number += 1;
        let name = format!("{}.parquet", self.number);
        let path = self.path.with_extension("").with_extension(name);
        let (writer, _) = open(&path, &self.schema, &self.properties)?;
        let writer = std::mem::replace(&mut self.writer, writer);
        let path = std::mem::replace(&mut self.path, path);
        self.full
            .push(close(writer, path, std::mem::take(&mut self.rows))?);
        Ok(())
    }

    /// Completes the files and returns those that were not taken, in the order of their rows, at least one.
    pub async fn finish(mut self) -> Result<Vec<Spooled>> {
        if let Some(open) = self.open.take() {
            self.encoding.push_back(open.complete());
        }
        while !self.encoding.is_empty() {
            self.append_oldest().await?;
        }
        let mut files = self.full;
        files.push(close(self.writer, self.path, self.rows)?);
        Ok(files)
    }
}

/// The file of a spool without a file size, which writes exactly one.
pub(super) fn only_file(files: Vec<Spooled>) -> Result<Spooled> {
    let file = files.into_iter().next();
    file.ok_or_else(|| Error::new(Class::Unexpected, "an answer without a file"))
}

/// The columns of a file of answers as the engine reads them: its types may differ from those that were written.
pub fn schema_as_read(schema: &Schema) -> Result<SchemaRef> {
    let columns = ArrowSchemaConverter::new().with_coerce_types(COERCE_TYPES);
    let read = columns
        .convert(schema)
        .and_then(|columns| parquet_to_arrow_schema(&columns, None))
        .map_err(|error| {
            Error::new(Class::Unexpected, "the columns can't be written as Parquet")
                .caused_by(error)
        })?;
    Ok(Arc::new(transform_schema_to_view(&read)))
}

fn open(
    path: &FilePath,
    schema: &SchemaRef,
    properties: &WriterProperties,
) -> Result<(SerializedFileWriter<File>, ArrowRowGroupWriterFactory)> {
    let file = File::create(path).map_err(|error| write_error(path, error))?;
    let options = ArrowWriterOptions::new()
        .with_properties(properties.clone())
        .with_skip_arrow_metadata(true);
    ArrowWriter::try_new_with_options(file, Arc::clone(schema), options)
        .and_then(ArrowWriter::into_serialized_writer)
        .map_err(|error| write_error(path, error))
}

fn close(writer: SerializedFileWriter<File>, path: PathBuf, rows: u64) -> Result<Spooled> {
    writer.close().map_err(|error| write_error(&path, error))?;
    let bytes = std::fs::metadata(&path)
        .map_err(|error| write_error(&path, error))?
        .len();
    Ok(Spooled { path, rows, bytes })
}

/// An error of an encoder, which may have too little memory.
fn encode_error(path: &FilePath, error: ParquetError) -> Error {
    match error {
        ParquetError::External(cause) => match cause.downcast::<DataFusionError>() {
            Ok(exhausted) => Error::from_engine(*exhausted),
            Err(cause) => write_error(path, cause),
        },
        error => write_error(path, error),
    }
}

fn write_error(
    path: &FilePath,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    Error::new(
        Class::Output,
        format!("can't write the temporary file {}", path.display()),
    )
    .caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::columns::athena_schema;
    use arrow::array::{ArrayRef, AsArray, DictionaryArray, Int64Array, new_null_array};
    use arrow::datatypes::{DataType, Field, Int32Type, Int64Type};
    use datafusion::execution::memory_pool::GreedyMemoryPool;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    fn pool() -> Arc<dyn MemoryPool> {
        Arc::new(GreedyMemoryPool::new(64 << 20))
    }

    fn metadata() -> Metadata {
        Metadata {
            job: "demo".into(),
            window: "2026-11-21".into(),
            sql_sha256: "00".into(),
        }
    }

    #[tokio::test]
    async fn rows_stay_in_their_order_over_row_groups() {
        let folder = tempfile::tempdir().unwrap();
        let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("c", DataType::Int64, true)]));
        let path = folder.path().join("a");
        let mut spool =
            Spool::create(path.clone(), Arc::clone(&schema), &metadata(), &pool()).unwrap();
        let rows = i64::try_from(ROW_GROUP_ROWS + 7).unwrap();
        for start in (0..rows).step_by(1 << 16) {
            let values = Int64Array::from_iter_values(start..rows.min(start + (1 << 16)));
            let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(values)]).unwrap();
            spool.write(&batch).await.unwrap();
        }
        assert_eq!(spool.finish().await.unwrap()[0].rows, rows.unsigned_abs());
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
        let groups = reader.metadata().row_groups();
        assert_eq!(groups.len(), 2);
        for group in groups {
            let statistics = group.column(0).statistics().unwrap();
            assert!(statistics.min_bytes_opt().is_some() && statistics.max_bytes_opt().is_some());
        }
        let mut expected = 0..rows;
        for batch in reader.build().unwrap() {
            for value in batch
                .unwrap()
                .column(0)
                .as_primitive::<Int64Type>()
                .values()
            {
                assert_eq!(Some(*value), expected.next());
            }
        }
        assert_eq!(expected.next(), None);
    }

    #[tokio::test]
    async fn a_file_of_the_size_is_followed_by_another_and_rows_keep_their_order() {
        const SIZE: u64 = 1 << 20;
        let folder = tempfile::tempdir().unwrap();
        let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("c", DataType::Int64, true)]));
        let rows = (1 << 20) + 7;
        let write = async |name: &str, file_size: u64, value: fn(i64) -> i64| {
            let path = folder.path().join(format!("{name}.parquet"));
            let spool = Spool::create(path, Arc::clone(&schema), &metadata(), &pool()).unwrap();
            let mut spool = spool.with_file_size(file_size);
            // Each batch is larger than a file.
            for start in (0..rows).step_by(1 << 18) {
                let values = (start..rows.min(start + (1 << 18))).map(value);
                let values = Int64Array::from_iter_values(values);
                let batch =
                    RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(values)]).unwrap();
                spool.write(&batch).await.unwrap();
            }
            spool.finish().await.unwrap()
        };
        assert_eq!(write("one", u64::MAX, |n| n).await.len(), 1);
        // Numbers in order are compressed to less than half of their size; scattered ones can't be compressed.
        let scattered = |n: i64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed());
        for (name, value) in [
            ("ordered", (|n| n) as fn(i64) -> i64),
            ("scattered", scattered),
        ] {
            let files = write(name, SIZE, value).await;
            assert!(files.len() > 2, "{name}: {} files", files.len());
            let (_, full) = files.split_last().unwrap();
            for file in full {
                assert!(
                    (SIZE..2 * SIZE).contains(&file.bytes),
                    "{name}: {}",
                    file.bytes
                );
            }
            let mut expected = (0..rows).map(value);
            for file in &files {
                let file = File::open(&file.path).unwrap();
                let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
                for batch in reader.build().unwrap() {
                    let batch = batch.unwrap();
                    for value in batch.column(0).as_primitive::<Int64Type>().values() {
                        assert_eq!(Some(*value), expected.next());
                    }
                }
            }
            assert_eq!(expected.next(), None);
            let again = write("again", SIZE, value).await;
            assert_eq!(again.len(), files.len());
            assert_eq!(
                std::fs::read(&again[1].path).unwrap(),
                std::fs::read(&files[1].path).unwrap()
            );
        }
    }

    #[tokio::test]
    async fn wide_rows_make_row_groups_of_a_bounded_size() {
        let folder = tempfile::tempdir().unwrap();
        let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("c", DataType::Utf8, true)]));
        let path = folder.path().join("a");
        let mut spool =
            Spool::create(path.clone(), Arc::clone(&schema), &metadata(), &pool()).unwrap();
        let text = "x".repeat(1 << 20);
        for _ in 0..100 {
            let texts = arrow::array::StringArray::from(vec![text.as_str()]);
            let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(texts)]).unwrap();
            spool.write(&batch).await.unwrap();
        }
        spool.finish().await.unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
        assert_eq!(reader.metadata().num_row_groups(), 3);
    }

    #[tokio::test]
    async fn lists_and_maps_are_named_as_the_format_says() {
        let folder = tempfile::tempdir().unwrap();
        let map = DataType::Map(
            Arc::new(Field::new_struct(
                "entries",
                vec![
                    Field::new("keys", DataType::Utf8, false),
                    Field::new("values", DataType::Int64, true),
                ],
                false,
            )),
            false,
        );
        let fields = vec![
            Field::new_list(
                "list",
                Field::new_list_field(DataType::Utf8View, true),
                true,
            ),
            Field::new("map", map, true),
            Field::new("none", DataType::Null, true),
        ];
        let given: SchemaRef = Arc::new(Schema::new(fields));
        let columns = given.fields().iter();
        let columns = columns.map(|field| new_null_array(field.data_type(), 2));
        let batch = RecordBatch::try_new(Arc::clone(&given), columns.collect()).unwrap();
        let path = folder.path().join("a");
        let schema = athena_schema(&given).unwrap();
        let mut spool = Spool::create(path.clone(), schema, &metadata(), &pool()).unwrap();
        spool.write(&batch).await.unwrap();
        spool.finish().await.unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
        let parquet = reader.metadata().file_metadata().schema_descr();
        let paths: Vec<String> = parquet
            .columns()
            .iter()
            .map(|column| column.path().string())
            .collect();
        assert_eq!(
            paths,
            [
                "list.list.element",
                "map.key_value.key",
                "map.key_value.value",
                "none"
            ]
        );
    }

    #[tokio::test]
    async fn the_same_rows_are_the_same_bytes_also_without_any() {
        let folder = tempfile::tempdir().unwrap();
        let metadata = metadata();
        let column: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::from_iter(["a", "b", "a"]));
        let batch = RecordBatch::try_from_iter([("c", column)]).unwrap();
        let write = async |name: &str, batches: &[RecordBatch]| {
            let schema = athena_schema(&batch.schema()).unwrap();
            let mut spool =
                Spool::create(folder.path().join(name), schema, &metadata, &pool()).unwrap();
            for batch in batches {
                spool.write(batch).await.unwrap();
            }
            let spooled = spool.finish().await.unwrap().remove(0);
            (spooled.rows, std::fs::read(spooled.path).unwrap())
        };
        let (rows, bytes) = write("a", std::slice::from_ref(&batch)).await;
        assert_eq!(rows, 3);
        assert_eq!(bytes, write("b", std::slice::from_ref(&batch)).await.1);
        let (rows, empty) = write("c", &[]).await;
        assert_eq!(rows, 0);
        assert_eq!(&empty[..4], b"PAR1");
    }
}
