//! Answers as Parquet that Athena reads: column types that its engine knows, one file, the same bytes for the same rows.
//!
//! Athena's timestamps have milliseconds and no zone, it has no unsigned integers, and Hive's column names are in lower
//! case (<https://docs.aws.amazon.com/athena/latest/ug/data-types.html>).

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringViewArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use datafusion::common::runtime::SpawnedTask;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, ArrowWriterOptions,
    compute_leaves,
};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;

use crate::error::{Class, Error, Result};

/// A row group is what a reader works on at a time, and what is held in memory while it is written: it is full at this
/// many rows, or bytes as Arrow holds them, whichever is first.
const ROW_GROUP_ROWS: usize = 1 << 20;
const ROW_GROUP_BYTES: usize = 48 << 20;

/// Row groups that are encoded at one time; each holds its rows in memory.
const MOST_ENCODERS: usize = 4;

/// Higher levels shrink log messages by a few percent and take twice the time.
const ZSTD_LEVEL: i32 = 1;

/// The columns of an answer as Athena reads them. Errors (SQL) name the column and what to do about it.
pub fn athena_schema(schema: &Schema) -> Result<SchemaRef> {
    let mut first_names: BTreeMap<String, &str> = BTreeMap::new();
    let mut fields = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let name = field.name().to_lowercase();
        if let Some(other) = first_names.insert(name.clone(), field.name()) {
            return Err(Error::new(
                Class::Sql,
                format!(
                    "two columns would be named {name:?} in Athena, which ignores case: {other:?} and {:?}. Give one another name with AS",
                    field.name()
                ),
            ));
        }
        let data_type = athena_type(field.data_type()).map_err(|advice| {
            let what = match field.data_type() {
                DataType::Union(_, _) => "JSON of no fixed type".to_owned(),
                other => other.to_string(),
            };
            Error::new(
                Class::Sql,
                format!(
                    "the column {:?} is {what}, which Athena can't read: {advice}",
                    field.name()
                ),
            )
        })?;
        fields.push(Field::new(name, data_type, true));
    }
    if fields.is_empty() {
        return Err(Error::new(Class::Sql, "the answer has no columns"));
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// The type that Athena reads in place of another; or what to write instead.
fn athena_type(data_type: &DataType) -> Result<DataType, String> {
    let inner = |field: &Field| -> Result<Field, String> {
        Ok(Field::new(
            field.name().to_lowercase(),
            athena_type(field.data_type())?,
            true,
        ))
    };
    Ok(match data_type {
        DataType::Boolean
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Utf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::BinaryView
        | DataType::Date32 => data_type.clone(),
        DataType::Decimal128(precision, scale) if *precision <= 38 && *scale >= 0 => {
            data_type.clone()
        }
        DataType::Int8 | DataType::Int16 | DataType::UInt8 | DataType::UInt16 => DataType::Int32,
        DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Float16 => DataType::Float32,
        DataType::Null | DataType::LargeUtf8 => DataType::Utf8,
        DataType::LargeBinary | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Timestamp(_, _) | DataType::Date64 => {
            DataType::Timestamp(TimeUnit::Millisecond, None)
        }
        // A dictionary or view of strings is a string in the file.
        DataType::Dictionary(_, values) if **values == DataType::Utf8 => data_type.clone(),
        DataType::Dictionary(_, values) => athena_type(values)?,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::FixedSizeList(item, _) => DataType::List(Arc::new(inner(item)?)),
        DataType::Struct(fields) => {
            let fields: Result<Vec<Field>, String> =
                fields.iter().map(|field| inner(field)).collect();
            DataType::Struct(Fields::from(fields?))
        }
        DataType::Interval(_) | DataType::Duration(_) => {
            return Err("write seconds as a number, such as extract(epoch FROM …)".to_owned());
        }
        DataType::Time32(_) | DataType::Time64(_) => {
            return Err("write it as text, with ::text".to_owned());
        }
        DataType::Union(_, _) => {
            return Err("take the value as text with ->> or json_get_str, or as a number with json_get_int or json_get_float".to_owned());
        }
        _ => return Err("cast it to another type, or to text with ::text".to_owned()),
    })
}

/// The batch in the columns of [`athena_schema`]. A value that does not fit is an error (SQL), never another value.
pub fn to_athena(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| {
            // Of a time with a zone this keeps the instant, in UTC.
            cast_with_options(column, field.data_type(), &strict)
                .map_err(|error| does_not_fit(field, &error))
        })
        .collect::<Result<Vec<_>>>()?;
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(|error| {
        Error::new(Class::Unexpected, "can't make a batch of an answer").caused_by(error)
    })
}

/// The batch with views of its own strings only. Those of a sort share the buffers of all that was sorted: they would be
/// counted, and kept in memory, with each batch.
fn compact(batch: RecordBatch) -> Result<RecordBatch> {
    let columns = batch.columns().iter().map(|column| {
        match column.as_any().downcast_ref::<StringViewArray>() {
            Some(views) => {
                let held: usize = views.data_buffers().iter().map(|buffer| buffer.len()).sum();
                match held > 2 * views.total_buffer_bytes_used() {
                    true => Arc::new(views.gc()) as ArrayRef,
                    false => Arc::clone(column),
                }
            }
            None => Arc::clone(column),
        }
    });
    RecordBatch::try_new(batch.schema(), columns.collect()).map_err(|error| {
        Error::new(Class::Unexpected, "can't make a batch of an answer").caused_by(error)
    })
}

fn does_not_fit(field: &Field, error: &arrow::error::ArrowError) -> Error {
    Error::new(
        Class::Sql,
        format!(
            "a value of the column {:?} does not fit {}: {error}",
            field.name(),
            field.data_type()
        ),
    )
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
            ("logtally.sql_sha256", &self.sql_sha256),
            ("logtally.version", env!("CARGO_PKG_VERSION")),
            ("logtally.window", &self.window),
        ]
        .into_iter()
        .map(|(key, value)| KeyValue::new(key.to_owned(), value.to_owned()))
        .collect()
    }
}

/// An answer on its way into a local file, from where it is put whole.
///
/// Row groups are encoded on threads of their own, and appended in the order of their rows, so that the bytes do not
/// depend on which was ready first.
pub struct Spool {
    writer: SerializedFileWriter<File>,
    encoders: Arc<ArrowRowGroupWriterFactory>,
    schema: SchemaRef,
    path: PathBuf,
    /// The rows of the next row group.
    next: RowGroup,
    /// How many row groups were given to encode.
    begun: usize,
    encoding: VecDeque<SpawnedTask<parquet::errors::Result<Vec<ArrowColumnChunk>>>>,
    rows: u64,
}

#[derive(Default)]
struct RowGroup {
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
}

/// An answer in a local file.
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
    /// Begins a file of answers in columns of [`athena_schema`].
    pub fn create(path: PathBuf, schema: SchemaRef, metadata: &Metadata) -> Result<Self> {
        let failed = |error: ParquetError| unwritable(&path, error);
        let level = ZstdLevel::try_new(ZSTD_LEVEL).map_err(failed)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_created_by(concat!("logtally version ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_key_value_metadata(Some(metadata.key_values()))
            .build();
        let file = File::create(&path).map_err(|error| unwritable(&path, error))?;
        let options = ArrowWriterOptions::new()
            .with_properties(properties)
            .with_skip_arrow_metadata(true);
        let (writer, encoders) =
            ArrowWriter::try_new_with_options(file, Arc::clone(&schema), options)
                .and_then(ArrowWriter::into_serialized_writer)
                .map_err(failed)?;
        Ok(Self {
            writer,
            encoders: Arc::new(encoders),
            schema,
            path,
            next: RowGroup::default(),
            begun: 0,
            encoding: VecDeque::new(),
            rows: 0,
        })
    }

    /// Adds rows as the engine gave them, and gives them back as they are written.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let batch = compact(to_athena(batch, &self.schema)?)?;
        self.rows += batch.num_rows() as u64;
        self.next.rows += batch.num_rows();
        self.next.bytes += batch.get_array_memory_size();
        self.next.batches.push(batch.clone());
        if self.next.rows >= ROW_GROUP_ROWS || self.next.bytes >= ROW_GROUP_BYTES {
            self.encode_next().await?;
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
        let failed = |error: ParquetError| unwritable(&self.path, error);
        let columns = encoding
            .join_unwind()
            .await
            .map_err(|error| unwritable(&self.path, error))?
            .map_err(failed)?;
        let mut group = self.writer.next_row_group().map_err(failed)?;
        for column in columns {
            column.append_to_row_group(&mut group).map_err(failed)?;
        }
        group.close().map_err(failed)?;
        Ok(())
    }

    /// Completes the file.
    pub async fn finish(mut self) -> Result<Spooled> {
        if self.next.rows > 0 {
            self.encode_next().await?;
        }
        while !self.encoding.is_empty() {
            self.append_oldest().await?;
        }
        self.writer
            .close()
            .map_err(|error| unwritable(&self.path, error))?;
        let bytes = std::fs::metadata(&self.path)
            .map_err(|error| unwritable(&self.path, error))?
            .len();
        Ok(Spooled {
            path: self.path,
            rows: self.rows,
            bytes,
        })
    }
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
    path: &std::path::Path,
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
    use arrow::array::{AsArray, DictionaryArray, TimestampNanosecondArray, UInt64Array};
    use arrow::datatypes::{Int32Type, IntervalUnit, TimestampMillisecondType};

    fn schema_of(data_type: DataType) -> Result<SchemaRef> {
        athena_schema(&Schema::new(vec![Field::new("C", data_type, false)]))
    }

    #[test]
    fn types_become_ones_that_athena_knows() {
        let ms = DataType::Timestamp(TimeUnit::Millisecond, None);
        let utf8_dictionary =
            DataType::Dictionary(Box::new(DataType::UInt16), Box::new(DataType::Utf8));
        for (from, to) in [
            (DataType::UInt64, DataType::Int64),
            (DataType::Int8, DataType::Int32),
            (DataType::Utf8View, DataType::Utf8View),
            (DataType::Null, DataType::Utf8),
            (utf8_dictionary.clone(), utf8_dictionary),
            (
                DataType::Timestamp(TimeUnit::Nanosecond, Some("Asia/Seoul".into())),
                ms.clone(),
            ),
            (DataType::Timestamp(TimeUnit::Second, None), ms),
        ] {
            let schema = schema_of(from.clone()).unwrap();
            assert_eq!(schema.field(0).data_type(), &to, "{from}");
            assert_eq!(schema.field(0).name(), "c");
        }
        for odd in [
            DataType::Interval(IntervalUnit::DayTime),
            DataType::Time64(TimeUnit::Nanosecond),
        ] {
            let error = schema_of(odd).unwrap_err();
            assert!(
                error.to_string().contains("\"C\"") && error.class() == Class::Sql,
                "{error}"
            );
        }
    }

    #[test]
    fn names_that_differ_only_in_case_are_told() {
        let schema = Schema::new(vec![
            Field::new("Events", DataType::Int64, false),
            Field::new("events", DataType::Int64, false),
        ]);
        let error = athena_schema(&schema).unwrap_err().to_string();
        assert!(
            error.contains("\"Events\"") && error.contains("\"events\""),
            "{error}"
        );
    }

    fn written(column: ArrayRef) -> Result<ArrayRef> {
        let batch = RecordBatch::try_from_iter([("c", column)]).unwrap();
        let schema = athena_schema(&batch.schema()).unwrap();
        to_athena(&batch, &schema).map(|batch| Arc::clone(batch.column(0)))
    }

    #[test]
    fn a_zone_is_dropped_and_the_instant_kept() {
        let seoul = TimestampNanosecondArray::from(vec![1_700_000_000_123_456_789])
            .with_timezone("Asia/Seoul");
        let column = written(Arc::new(seoul)).unwrap();
        assert_eq!(
            column.as_primitive::<TimestampMillisecondType>().value(0),
            1_700_000_000_123
        );
    }

    #[test]
    fn a_value_that_does_not_fit_is_an_error_and_not_another_value() {
        let error = written(Arc::new(UInt64Array::from(vec![1, u64::MAX]))).unwrap_err();
        assert!(
            error.to_string().contains("\"c\"")
                && error.to_string().contains("18446744073709551615"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn the_same_rows_are_the_same_bytes_also_without_any() {
        let folder = tempfile::tempdir().unwrap();
        let metadata = Metadata {
            job: "demo".into(),
            window: "2026-11-21".into(),
            sql_sha256: "00".into(),
        };
        let column: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::from_iter(["a", "b", "a"]));
        let batch = RecordBatch::try_from_iter([("c", column)]).unwrap();
        let write = async |name: &str, batches: &[RecordBatch]| {
            let schema = athena_schema(&batch.schema()).unwrap();
            let mut spool = Spool::create(folder.path().join(name), schema, &metadata).unwrap();
            for batch in batches {
                spool.write(batch).await.unwrap();
            }
            let spooled = spool.finish().await.unwrap();
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
