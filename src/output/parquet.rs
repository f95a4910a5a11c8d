//! Answers as Parquet that Athena reads: one file, or several of a size, the same bytes for the same rows.

use std::collections::VecDeque;
use std::fs::File;
use std::num::NonZeroUsize;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayData, ArrayRef, ByteView, GenericByteViewArray, RecordBatch};
use arrow::datatypes::{BinaryViewType, ByteViewType, DataType, Schema, SchemaRef, StringViewType};
use datafusion::common::runtime::SpawnedTask;
use datafusion::datasource::physical_plan::parquet::transform_schema_to_view;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, ArrowWriterOptions,
    compute_leaves,
};
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter, parquet_to_arrow_schema};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;

use super::columns::{batch_of, to_athena};
use crate::error::{Class, Error, Result};

/// A row group is what a reader works on at a time, and what is held in memory while it is written: it is full at this
/// many rows, or bytes as Arrow holds them, whichever is first. Where files have a size, it is no larger than that, so that
/// a file, which ends with a row group, is not much larger.
const ROW_GROUP_ROWS: usize = 1 << 20;
const ROW_GROUP_BYTES: usize = 48 << 20;

/// Row groups that are encoded at one time; each holds its rows in memory.
const MOST_ENCODERS: usize = 4;

/// The key under which a file says what SQL it answers.
pub const SQL_SHA256: &str = "logtally.sql_sha256";

/// The key under which a file says the id of its window.
pub const WINDOW: &str = "logtally.window";

/// Lists and maps as the format's own document names their parts, which is how every reader knows them.
const COERCE_TYPES: bool = true;

/// Higher levels shrink log messages by a few percent and take twice the time.
const ZSTD_LEVEL: i32 = 1;

/// The batch with views of its own values only. Those of a sort share the buffers of all that was sorted: they would be
/// counted, and kept in memory, with each batch.
fn compact(batch: RecordBatch) -> Result<RecordBatch> {
    let columns = batch.columns().iter().map(|column| {
        let compacted = match column.data_type() {
            DataType::Utf8View => compacted::<StringViewType>(column),
            DataType::BinaryView => compacted::<BinaryViewType>(column),
            _ => None,
        };
        compacted.unwrap_or_else(|| Arc::clone(column))
    });
    batch_of(batch.schema_ref(), columns.collect())
}

/// The views with buffers of their own, where most of what the present ones hold is of no view.
fn compacted<T: ByteViewType>(column: &ArrayRef) -> Option<ArrayRef> {
    let views = column.as_any().downcast_ref::<GenericByteViewArray<T>>()?;
    let held: usize = views.data_buffers().iter().map(|buffer| buffer.len()).sum();
    (held > 2 * views.total_buffer_bytes_used()).then(|| Arc::new(views.gc()) as ArrayRef)
}

/// The bytes of a batch's values, whatever memory they are in: that may depend on which thread was first, and the bytes of
/// a file, which row groups end, must not.
fn bytes_of(batch: &RecordBatch) -> usize {
    let columns = batch.columns().iter();
    columns
        .map(|column| bytes_of_values(&column.to_data()))
        .sum()
}

fn bytes_of_values(values: &ArrayData) -> usize {
    let own = values.get_slice_memory_size().unwrap_or_default();
    own + bytes_behind_views(values)
}

/// What an array's size leaves out: the values that its views, or those of its parts, look at.
fn bytes_behind_views(values: &ArrayData) -> usize {
    let own: usize = match values.data_type() {
        DataType::Utf8View | DataType::BinaryView => {
            let views = &values.buffer::<u128>(0)[..values.len()];
            views
                .iter()
                .map(|view| ByteView::from(*view).length as usize)
                .sum()
        }
        _ => 0,
    };
    let parts = values.child_data().iter();
    own + parts.map(bytes_behind_views).sum::<usize>()
}

/// The batch in slices of as many rows each, none of which has many more than so many bytes.
fn slices(batch: &RecordBatch, bytes: usize) -> Vec<RecordBatch> {
    let rows = batch.num_rows();
    let count = bytes_of(batch).div_ceil(bytes.max(1)).clamp(1, rows.max(1));
    let each = rows.div_ceil(count).max(1);
    let starts = (0..rows).step_by(each);
    starts
        .map(|start| batch.slice(start, each.min(rows - start)))
        .collect()
}

/// What the file says about itself, beside the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The job's name.
    pub job: String,
    /// The window's id.
    pub window: String,
    /// The SHA-256 of the SQL's text, in hex.
    pub sql_sha256: String,
}

impl Metadata {
    fn key_values(&self) -> Vec<KeyValue> {
        [
            ("logtally.job", self.job.as_str()),
            (SQL_SHA256, &self.sql_sha256),
            ("logtally.version", env!("CARGO_PKG_VERSION")),
            (WINDOW, &self.window),
        ]
        .into_iter()
        .map(|(key, value)| KeyValue::new(key.to_owned(), value.to_owned()))
        .collect()
    }
}

/// An answer on its way into a local file, or several, from where each is put whole.
///
/// Row groups are encoded on threads of their own, and appended in the order of their rows, so that the bytes do not
/// depend on which was ready first.
pub struct Spool {
    writer: SerializedFileWriter<File>,
    encoders: Arc<ArrowRowGroupWriterFactory>,
    schema: SchemaRef,
    properties: WriterProperties,
    /// The file that is being written.
    path: PathBuf,
    /// Its rows so far.
    rows: u64,
    /// The bytes at which a file ends and the next begins.
    file_size: u64,
    /// The bytes at which a row group is full.
    row_group_bytes: usize,
    /// The files before it.
    full: Vec<Spooled>,
    /// The rows of the next row group.
    next: RowGroup,
    /// How many row groups were given to encode.
    begun: usize,
    encoding: VecDeque<SpawnedTask<parquet::errors::Result<Vec<ArrowColumnChunk>>>>,
}

#[derive(Default)]
struct RowGroup {
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
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
    /// Begins a file of answers in columns of [`athena_schema`](super::columns::athena_schema).
    pub fn create(path: PathBuf, schema: SchemaRef, metadata: &Metadata) -> Result<Self> {
        let failed = |error: ParquetError| unwritable(&path, error);
        let level = ZstdLevel::try_new(ZSTD_LEVEL).map_err(failed)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_coerce_types(COERCE_TYPES)
            .set_created_by(concat!("logtally version ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_key_value_metadata(Some(metadata.key_values()))
            .build();
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
            full: Vec::new(),
            next: RowGroup::default(),
            begun: 0,
            encoding: VecDeque::new(),
        })
    }

    /// A file ends with the row group that brings it to this many bytes, and the next one begins beside it.
    pub fn with_file_size(mut self, bytes: u64) -> Self {
        self.file_size = bytes;
        let whole = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.row_group_bytes = ROW_GROUP_BYTES.min(whole);
        self
    }

    /// Adds rows as the engine gave them, and gives them back as they are written.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let batch = compact(to_athena(batch, &self.schema)?)?;
        for rows in slices(&batch, self.row_group_bytes) {
            self.next.rows += rows.num_rows();
            self.next.bytes += bytes_of(&rows);
            self.next.batches.push(rows);
            if self.next.rows >= ROW_GROUP_ROWS || self.next.bytes >= self.row_group_bytes {
                self.encode_next().await?;
            }
        }
        Ok(batch)
    }

    async fn encode_next(&mut self) -> Result<()> {
        // One more than there are cores, so that none is idle while the next rows are read.
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let most = (cores + 1).min(MOST_ENCODERS);
        while self.encoding.len() >= most {
            self.append_oldest().await?;
        }
        let group = std::mem::take(&mut self.next);
        let (encoders, schema, number) = (
            Arc::clone(&self.encoders),
            Arc::clone(&self.schema),
            self.begun,
        );
        self.begun += 1;
        self.encoding
            .push_back(SpawnedTask::spawn_blocking(move || {
                encode(&encoders, &schema, number, &group.batches)
            }));
        Ok(())
    }

    async fn append_oldest(&mut self) -> Result<()> {
        let Some(encoding) = self.encoding.pop_front() else {
            return Ok(());
        };
        let columns = encoding
            .join_unwind()
            .await
            .map_err(|error| unwritable(&self.path, error))?
            .map_err(|error| unwritable(&self.path, error))?;
        if self.rows > 0 && self.writer.bytes_written() as u64 >= self.file_size {
            self.begin_file()?;
        }
        let failed = |error: ParquetError| unwritable(&self.path, error);
        let mut group = self.writer.next_row_group().map_err(failed)?;
        for column in columns {
            column.append_to_row_group(&mut group).map_err(failed)?;
        }
        let group = group.close().map_err(failed)?;
        self.rows += group.num_rows().unsigned_abs();
        Ok(())
    }

    /// Completes the file that is being written, and begins another beside it.
    fn begin_file(&mut self) -> Result<()> {
        let name = format!("{}.parquet", self.full.len() + 1);
        let path = self.path.with_extension("").with_extension(name);
        let (writer, _) = open(&path, &self.schema, &self.properties)?;
        let writer = std::mem::replace(&mut self.writer, writer);
        let path = std::mem::replace(&mut self.path, path);
        self.full
            .push(close(writer, path, std::mem::take(&mut self.rows))?);
        Ok(())
    }

    /// Completes the files: in the order of their rows, and one at least.
    pub async fn finish(mut self) -> Result<Vec<Spooled>> {
        if self.next.rows > 0 {
            self.encode_next().await?;
        }
        while !self.encoding.is_empty() {
            self.append_oldest().await?;
        }
        let mut files = self.full;
        files.push(close(self.writer, self.path, self.rows)?);
        Ok(files)
    }
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
    let file = File::create(path).map_err(|error| unwritable(path, error))?;
    let options = ArrowWriterOptions::new()
        .with_properties(properties.clone())
        .with_skip_arrow_metadata(true);
    ArrowWriter::try_new_with_options(file, Arc::clone(schema), options)
        .and_then(ArrowWriter::into_serialized_writer)
        .map_err(|error| unwritable(path, error))
}

fn close(writer: SerializedFileWriter<File>, path: PathBuf, rows: u64) -> Result<Spooled> {
    writer.close().map_err(|error| unwritable(&path, error))?;
    let bytes = std::fs::metadata(&path)
        .map_err(|error| unwritable(&path, error))?
        .len();
    Ok(Spooled { path, rows, bytes })
}

fn encode(
    encoders: &ArrowRowGroupWriterFactory,
    schema: &Schema,
    number: usize,
    batches: &[RecordBatch],
) -> parquet::errors::Result<Vec<ArrowColumnChunk>> {
    let mut writers = encoders.create_column_writers(number)?;
    for batch in batches {
        let mut next = writers.iter_mut();
        for (field, column) in schema.fields().iter().zip(batch.columns()) {
            for leaf in compute_leaves(field, column)? {
                if let Some(writer) = next.next() {
                    writer.write(&leaf)?;
                }
            }
        }
    }
    writers.into_iter().map(ArrowColumnWriter::close).collect()
}

fn unwritable(
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
    use arrow::array::{
        AsArray, DictionaryArray, Int64Array, StringViewArray, StructArray, new_null_array,
    };
    use arrow::datatypes::{Field, Int32Type, Int64Type};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    fn metadata() -> Metadata {
        Metadata {
            job: "demo".into(),
            window: "2026-11-21".into(),
            sql_sha256: "00".into(),
        }
    }

    #[test]
    fn a_batch_counts_its_values_wherever_they_are() {
        let text = "a text of more than twelve bytes";
        let many = StringViewArray::from_iter_values((0..1000).map(|n| format!("{text} {n}")));
        let of = |column: ArrayRef| RecordBatch::try_from_iter([("c", column)]).unwrap();
        let few = StringViewArray::from_iter_values((0..10).map(|n| format!("{text} {n}")));
        let few: ArrayRef = Arc::new(few);
        let shared = of(Arc::new(many.slice(0, 10)));
        let own = of(Arc::clone(&few));
        assert_ne!(shared.get_array_memory_size(), own.get_array_memory_size());
        assert_eq!(bytes_of(&shared), bytes_of(&own));
        assert_eq!(bytes_of(&own), 10 * (16 + text.len() + 2));
        let field = Arc::new(Field::new("text", DataType::Utf8View, false));
        let within: ArrayRef = Arc::new(StructArray::from(vec![(field, few)]));
        assert_eq!(bytes_of(&of(within)), bytes_of(&own));
    }

    #[tokio::test]
    async fn rows_stay_in_their_order_over_row_groups() {
        let folder = tempfile::tempdir().unwrap();
        let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("c", DataType::Int64, true)]));
        let path = folder.path().join("a");
        let mut spool = Spool::create(path.clone(), Arc::clone(&schema), &metadata()).unwrap();
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
            let spool = Spool::create(path, Arc::clone(&schema), &metadata()).unwrap();
            let mut spool = spool.with_file_size(file_size);
            // Each of them more than a file holds.
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
        // In their order they take less than half of the room that they take scattered, of which nothing can be saved.
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
        let mut spool = Spool::create(path.clone(), Arc::clone(&schema), &metadata()).unwrap();
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
        let mut spool = Spool::create(path.clone(), schema, &metadata()).unwrap();
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
            let mut spool = Spool::create(folder.path().join(name), schema, &metadata).unwrap();
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
