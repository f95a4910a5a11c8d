//! The archive of a window: its events in numbered files, sorted by log group, log stream and time.
//!
//! The events come in the order in which their export is read: by log group, log stream and object. In an object they are
//! nearly always in the order of time, so that they are written as they come. Where one is not, all are sorted by the
//! engine, from the files that were written.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, UInt64Array};
use arrow::compute::{partition, take};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMillisecondType};
use arrow::error::ArrowError;
use arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::execution::memory_pool::MemoryPool;
use futures::StreamExt;
use object_store::path::Path;

use super::columns::to_athena;
use super::parquet::{Layout, Metadata, Spool, Spooled};
use super::partitioned::{self, Destination, PartitionValues, Splitter};
use crate::error::{Class, Error, Result};
use crate::job::{Archive, Division, Name, POSITION};
use crate::layout::AnswerKeys;
use crate::query::Session;

/// The columns that every archive is sorted by, behind those whose values are folders.
const ORDER: [&str; 4] = ["log_group", "log_stream", "timestamp", POSITION];

/// The rows of a page. With fewer, a query for a few events reads less of them, but more about the pages.
const PAGE_ROWS: usize = 8192;

/// An archive in local files.
#[derive(Debug)]
pub struct Numbered {
    /// The columns whose values are folders, outermost first.
    columns: Vec<String>,
    /// The files, in the order of the rows.
    pub files: Vec<Spooled>,
    /// The values of each file's folders, and its number among the files of these.
    places: Vec<(PartitionValues, usize)>,
    /// A file of the same columns without rows.
    pub empty: Spooled,
    /// Whether the rows are in the order in which the export is read.
    pub is_in_reading_order: bool,
}

impl Numbered {
    /// The key of each file, in their order.
    pub fn keys(&self, answer: AnswerKeys<'_>) -> impl Iterator<Item = Path> {
        self.places.iter().map(move |(values, number)| {
            let columns = self.columns.iter().map(String::as_str);
            answer.numbered(columns.zip(values.iter().map(Option::as_deref)), *number)
        })
    }
}

/// The columns of an archive's files and folders: those of its query as Athena reads them, then the position.
pub fn with_position(columns: &Schema) -> SchemaRef {
    let position = Arc::new(Field::new(POSITION, DataType::Int64, true));
    let fields = columns.fields().iter().cloned().chain([position]);
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Writes the events of a window in the order in which they are read.
pub struct ArchiveSpool<'a> {
    session: &'a Session,
    metadata: &'a Metadata,
    folder: &'a FilePath,
    answer: AnswerKeys<'a>,
    schema: SchemaRef,
    by: &'a [Name],
    file_size: u64,
    layout: Layout,
    spool: Spool,
    /// The events so far.
    events: i64,
    order: Order,
}

impl<'a> ArchiveSpool<'a> {
    /// Begins the files of an archive in `folder`; `columns` are those of [`with_position`].
    pub fn create(
        session: &'a Session,
        archive: &'a Archive,
        columns: &SchemaRef,
        metadata: &'a Metadata,
        folder: &'a FilePath,
        answer: AnswerKeys<'a>,
    ) -> Result<Self> {
        let Division::Numbered { file_size, by } = &archive.query.division else {
            let what = "an archive is in numbered files";
            return Err(Error::new(Class::Unexpected, what));
        };
        let is_in_files = |column: &&str| !by.iter().any(|name| name.as_str() == *column);
        let owned = |columns: &[&str]| columns.iter().map(|column| (*column).to_owned()).collect();
        let sorted_by: Vec<&str> = ORDER.into_iter().filter(is_in_files).collect();
        let layout = Layout {
            sorted_by: owned(&sorted_by),
            rising: owned(&["timestamp", POSITION]),
            unlike: match archive.message {
                true => owned(&["message"]),
                false => Vec::new(),
            },
            bloom: archive.bloom.iter().map(Name::to_string).collect(),
            page_rows: Some(PAGE_ROWS),
        };
        let of_order: Vec<&str> = by
            .iter()
            .map(Name::as_str)
            .chain(["log_group", "log_stream"])
            .collect();
        let order = Order::new(columns, &of_order)?;
        // Where there are folders, these files are read once more, and are no archive yet.
        let first = match by.is_empty() {
            true => layout.clone(),
            false => Layout::default(),
        };
        let path = folder.join(format!("{}.parquet", archive.query.name));
        let spool = Spool::laid_out(path, Arc::clone(columns), metadata, &first, session.pool())?;
        Ok(Self {
            session,
            metadata,
            folder,
            answer,
            schema: Arc::clone(columns),
            by,
            file_size: *file_size,
            layout,
            spool: spool.with_file_size(*file_size),
            events: 0,
            order,
        })
    }

    /// Adds events in the engine's types.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let without = self
            .schema
            .project(&(0..batch.num_columns()).collect::<Vec<_>>());
        let without = Arc::new(without.map_err(unexpected)?);
        let batch = to_athena(batch, &without)?;
        let rows = i64::try_from(batch.num_rows()).unwrap_or(i64::MAX);
        let position = Int64Array::from_iter_values(self.events..self.events + rows);
        self.events += rows;
        let mut columns = batch.columns().to_vec();
        columns.push(Arc::new(position));
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(unexpected)?;
        self.order.add(&batch)?;
        self.spool.write(&batch).await.map(drop)
    }

    /// Completes the archive.
    pub async fn finish(self) -> Result<Numbered> {
        let (by, is_sorted) = (self.by, self.order.is_sorted);
        let columns = by.iter().map(ToString::to_string).collect();
        let pool = self.session.pool();
        let (_, in_files) = match by.is_empty() {
            true => (Vec::new(), Arc::clone(&self.schema)),
            false => partitioned::columns(&self.schema, by)?,
        };
        let writer = Writer {
            schema: in_files,
            metadata: self.metadata,
            layout: &self.layout,
            file_size: self.file_size,
            pool,
        };
        let written = self.spool.finish().await?;
        let empty = self.folder.join("archive-empty.parquet");
        let empty = writer.spool(empty)?.finish().await?;
        let empty = super::parquet::only_file(empty)?;
        if by.is_empty() && is_sorted {
            return Ok(Numbered {
                columns,
                places: (0..written.len())
                    .map(|number| (Vec::new(), number))
                    .collect(),
                files: written,
                empty,
                is_in_reading_order: true,
            });
        }
        let paths: Vec<PathBuf> = written.iter().map(|file| file.path.clone()).collect();
        let of_files = ORDER.into_iter().filter(|column| {
            let mut by = by.iter();
            !by.any(|name| name.as_str() == *column)
        });
        let sorted_by: Vec<&str> = by.iter().map(Name::as_str).chain(of_files).collect();
        let mut sources = match is_sorted {
            // As they are, one behind the other.
            true => paths
                .chunks(1)
                .map(|path| (path, &sorted_by[..0]))
                .collect(),
            false => vec![(&paths[..], &sorted_by[..])],
        };
        let mut files = Vec::new();
        if by.is_empty() {
            let mut spool = writer.spool(self.folder.join("archive-sorted.parquet"))?;
            for (paths, order) in sources.drain(..) {
                let mut rows = self.session.sorted_files(paths, order).await?;
                while let Some(batch) = rows.next().await {
                    spool.write(&batch.map_err(Error::from_engine)?).await?;
                }
            }
            files.push((Vec::new(), spool.finish().await?));
        } else {
            let destination = Destination::of(self.answer);
            let mut splitter = Splitter::new(by, destination, &self.schema)?;
            for (paths, order) in sources.drain(..) {
                let mut rows = self.session.sorted_files(paths, order).await?;
                while let Some(batch) = rows.next().await {
                    let create = |number| {
                        writer.spool(self.folder.join(format!("archive-{number}.parquet")))
                    };
                    splitter
                        .write(&batch.map_err(Error::from_engine)?, create)
                        .await?;
                }
            }
            files = splitter.finish().await?;
            if files.is_empty() {
                // Without a file, no file would have the columns.
                files.push((vec![None; by.len()], vec![empty.clone()]));
            }
        }
        for file in &paths {
            // The folder goes with the run; what is not needed any more makes room before that.
            _ = std::fs::remove_file(file);
        }
        let places = files.iter().flat_map(|(values, files)| {
            let numbers = 0..files.len();
            numbers.map(move |number| (values.clone(), number))
        });
        Ok(Numbered {
            columns,
            places: places.collect(),
            files: files.into_iter().flat_map(|(_, files)| files).collect(),
            empty,
            is_in_reading_order: is_sorted,
        })
    }
}

/// Begins the files of an archive.
struct Writer<'a> {
    schema: SchemaRef,
    metadata: &'a Metadata,
    layout: &'a Layout,
    file_size: u64,
    pool: &'a Arc<dyn MemoryPool>,
}

impl Writer<'_> {
    fn spool(&self, path: PathBuf) -> Result<Spool> {
        let schema = Arc::clone(&self.schema);
        let spool = Spool::laid_out(path, schema, self.metadata, self.layout, self.pool);
        Ok(spool?.with_file_size(self.file_size))
    }
}

/// Whether events come sorted by some columns of text and then by their time.
struct Order {
    /// The places of the columns of text.
    keys: Vec<usize>,
    /// The place of the time.
    time: usize,
    converter: RowConverter,
    /// The last event: its texts and its time.
    last: Option<(OwnedRow, i64)>,
    /// Whether all are sorted so far.
    is_sorted: bool,
}

impl Order {
    fn new(schema: &Schema, keys: &[&str]) -> Result<Self> {
        let place = |name: &str| schema.index_of(name).map_err(unexpected);
        let keys = keys
            .iter()
            .map(|name| place(name))
            .collect::<Result<Vec<usize>>>()?;
        let of_keys = keys.iter().map(|place| {
            // Ascending, NULL first.
            SortField::new(schema.field(*place).data_type().clone())
        });
        let converter = RowConverter::new(of_keys.collect()).map_err(unexpected)?;
        Ok(Self {
            time: place("timestamp")?,
            keys,
            converter,
            last: None,
            is_sorted: true,
        })
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        if !self.is_sorted || batch.num_rows() == 0 {
            return Ok(());
        }
        let times = batch.column(self.time);
        let expected = DataType::Timestamp(TimeUnit::Millisecond, None);
        if *times.data_type() != expected {
            let what = format!("the time of an event is {}", times.data_type());
            return Err(Error::new(Class::Unexpected, what));
        }
        let times = times.as_primitive::<TimestampMillisecondType>().values();
        let keys: Vec<ArrayRef> = self
            .keys
            .iter()
            .map(|place| Arc::clone(batch.column(*place)))
            .collect();
        // The texts of neighbours are the same for long, so that only the first of each run is compared.
        let runs = partition(&keys).map_err(unexpected)?.ranges();
        let firsts = keys.iter().map(|column| {
            let starts = runs.iter().map(|run| run.start as u64);
            take(column, &UInt64Array::from_iter_values(starts), None)
        });
        let firsts = firsts
            .collect::<Result<Vec<_>, ArrowError>>()
            .map_err(unexpected)?;
        let firsts = self
            .converter
            .convert_columns(&firsts)
            .map_err(unexpected)?;
        for (run, keys) in runs.iter().zip(firsts.iter()) {
            let first = times[run.start];
            let follows = match &self.last {
                None => true,
                Some((last, time)) => match last.row().cmp(&keys) {
                    std::cmp::Ordering::Less => true,
                    std::cmp::Ordering::Equal => *time <= first,
                    std::cmp::Ordering::Greater => false,
                },
            };
            self.is_sorted = follows && times[run.clone()].is_sorted();
            if !self.is_sorted {
                return Ok(());
            }
            self.last = Some((keys.owned(), times[run.end - 1]));
        }
        Ok(())
    }
}

fn unexpected(error: ArrowError) -> Error {
    Error::new(Class::Unexpected, "can't make the rows of an archive").caused_by(error)
}
