//! An answer divided by value: a file for each combination of values of some columns. The values name the folders, and
//! the files have the other columns.

use std::collections::{BTreeMap, HashSet};
use std::path::Path as FilePath;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{partition, take_record_batch};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::util::display::array_value_to_string;
use futures::StreamExt;
use object_store::path::Path;

use super::parquet::{Metadata, Spool, Spooled, only_file};
use crate::error::{Class, Error, Result};
use crate::job::Location;
use crate::layout::{AnswerKeys, NULL_PARTITION};
use crate::query::Session;

/// The most files for one window. More are a mistake in the choice of columns: readers list and open each.
const MOST_FILES: usize = 500;

/// The characters of a value that an error shows.
const SHOWN: usize = 60;

/// The values of an answer's partition columns, in their order.
pub type PartitionValues = Vec<Option<String>>;

/// An answer, divided by the values of columns.
#[derive(Debug, Clone)]
pub struct Partitioned {
    /// The partition columns, outermost folder first.
    pub columns: Vec<String>,
    /// The file for each combination of values that the answer has, in their order.
    pub files: BTreeMap<PartitionValues, Spooled>,
    /// A file of the same columns without rows, for values that only an earlier answer has.
    pub empty: Spooled,
}

impl Partitioned {
    /// The key of each of [`files`](Self::files), in their order.
    pub fn keys(&self, answer: AnswerKeys<'_>) -> impl Iterator<Item = Path> {
        self.files
            .keys()
            .map(move |values| key_of(answer, &self.columns, values))
    }
}

fn key_of(answer: AnswerKeys<'_>, columns: &[impl AsRef<str>], values: &PartitionValues) -> Path {
    let columns = columns.iter().map(AsRef::as_ref);
    answer.file_of(columns.zip(values.iter().map(Option::as_deref)))
}

/// The positions of the partition columns, and the columns that stay in the files. Errors (usage): the answer does not
/// have a column, a column is not text, or no column stays.
pub fn columns(schema: &Schema, by: &[impl AsRef<str>]) -> Result<(Vec<usize>, SchemaRef)> {
    let mut positions = Vec::with_capacity(by.len());
    for name in by {
        let name = name.as_ref();
        let position = schema.index_of(name).map_err(|_| {
            let columns = schema.fields().iter().map(|field| field.name().as_str());
            let columns: Vec<&str> = columns.collect();
            Error::usage(format!(
                "partition_by names {name:?}, which is not a column of the answer: expected one of {}",
                columns.join(", ")
            ))
        })?;
        let is_text = match schema.field(position).data_type() {
            DataType::Utf8 | DataType::Utf8View => true,
            DataType::Dictionary(_, values) => **values == DataType::Utf8,
            _ => false,
        };
        if !is_text {
            return Err(Error::usage(format!(
                "partition_by names {name:?}, which is {}: expected text, as the values are names of folders. Cast it with ::text",
                schema.field(position).data_type()
            )));
        }
        positions.push(position);
    }
    let rest = (0..schema.fields().len()).filter(|position| !positions.contains(position));
    let rest = schema
        .project(&rest.collect::<Vec<_>>())
        .map_err(unexpected)?;
    if rest.fields().is_empty() {
        return Err(Error::usage(
            "partition_by names every column: expected at least one column that stays in the files",
        ));
    }
    Ok((positions, Arc::new(rest)))
}

/// Where the files of an answer go, which limits the values that it can be divided by.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    answer: AnswerKeys<'a>,
    /// Whether folders whose names differ only in case are the same.
    ignores_case: bool,
}

impl<'a> Destination<'a> {
    /// The destination of the answer with these keys.
    pub fn of(answer: AnswerKeys<'a>) -> Self {
        let is_local = answer.of_job().location().is_local();
        Self {
            answer,
            ignores_case: is_local && cfg!(target_os = "macos"),
        }
    }
}

/// Divides the file of a whole answer. Rows keep their order within each file. Errors (SQL): a value can't name a
/// folder, or there are too many values.
///
/// The engine sorts the rows by the columns, so that only one file is open at a time.
pub async fn split(
    session: &Session,
    whole: &Spooled,
    by: &[impl AsRef<str>],
    metadata: &Metadata,
    folder: &FilePath,
    destination: &Destination<'_>,
) -> Result<Partitioned> {
    let mut rows = session.sorted_file(&whole.path, by).await?;
    let (_, schema) = columns(&rows.schema(), by)?;
    let create = |name: String| {
        Spool::create(
            folder.join(name),
            Arc::clone(&schema),
            metadata,
            session.pool(),
        )
    };
    let mut splitter = Splitter::new(by, *destination, &rows.schema())?;
    while let Some(batch) = rows.next().await {
        let batch = batch.map_err(Error::from_engine)?;
        let create = |number| create(format!("part-{number}.parquet"));
        splitter.write(&batch, create).await?;
    }
    let mut files: BTreeMap<PartitionValues, Spooled> = BTreeMap::new();
    for (values, spooled) in splitter.finish().await? {
        files.insert(values, only_file(spooled)?);
    }
    let empty = finish(create("part-empty.parquet".to_owned())?).await?;
    if files.is_empty() {
        // Without a file, the window would look like one that was never run, and no file would have the columns.
        files.insert(vec![None; by.len()], empty.clone());
    }
    Ok(Partitioned {
        columns: by.iter().map(|column| column.as_ref().to_owned()).collect(),
        files,
        empty,
    })
}

/// Writes rows that are sorted by some columns to files for each combination of values of these columns, one after the
/// other.
pub(super) struct Splitter<'a> {
    names: FolderNames<'a>,
    /// The places of the columns.
    by: Vec<usize>,
    /// The places of the others, which are in the files.
    rest: Vec<usize>,
    current: Option<(PartitionValues, Spool)>,
    done: Vec<(PartitionValues, Vec<Spooled>)>,
}

impl<'a> Splitter<'a> {
    /// Errors (usage): as of [`columns`].
    pub(super) fn new(
        by: &'a [impl AsRef<str>],
        destination: Destination<'a>,
        schema: &Schema,
    ) -> Result<Self> {
        let (positions, _) = columns(schema, by)?;
        let rest = (0..schema.fields().len()).filter(|place| !positions.contains(place));
        Ok(Self {
            rest: rest.collect(),
            by: positions,
            names: FolderNames {
                by: by.iter().map(AsRef::as_ref).collect(),
                destination,
                folded: HashSet::new(),
            },
            current: None,
            done: Vec::new(),
        })
    }

    /// Adds rows. `create` begins the files of a combination, by its number. Errors (SQL): a value can't name a folder, or
    /// there are too many values.
    pub(super) async fn write(
        &mut self,
        batch: &RecordBatch,
        create: impl Fn(usize) -> Result<Spool>,
    ) -> Result<()> {
        let values: Vec<ArrayRef> = self
            .by
            .iter()
            .map(|position| Arc::clone(batch.column(*position)))
            .collect();
        let batch = batch.project(&self.rest).map_err(unexpected)?;
        for range in partition(&values).map_err(unexpected)?.ranges() {
            let row = range.start;
            let values = values.iter().map(|column| value(column, row));
            let values = values.collect::<Result<PartitionValues>>()?;
            let is_of_current = |(last, _): &(PartitionValues, Spool)| *last == values;
            if !self.current.as_ref().is_some_and(is_of_current) {
                self.end_current().await?;
                if self.done.len() == MOST_FILES {
                    return Err(sql_error(format!(
                        "partition_by gives more than {MOST_FILES} folders for one window: expected columns of few values"
                    )));
                }
                self.names.check(&values)?;
                self.current = Some((values, create(self.done.len())?));
            }
            if let Some((_, spool)) = &mut self.current {
                // Copied, since the size of a slice would be that of its whole batch.
                let numbers = range.map(u32::try_from).collect::<Result<Vec<u32>, _>>();
                let numbers = UInt32Array::from(numbers.map_err(unexpected)?);
                let taken = take_record_batch(&batch, &numbers).map_err(unexpected)?;
                spool.write(&taken).await?;
            }
        }
        Ok(())
    }

    async fn end_current(&mut self) -> Result<()> {
        if let Some((last, spool)) = self.current.take() {
            self.done.push((last, spool.finish().await?));
        }
        Ok(())
    }

    /// The files of each combination, in the order of the rows.
    pub(super) async fn finish(mut self) -> Result<Vec<(PartitionValues, Vec<Spooled>)>> {
        self.end_current().await?;
        Ok(self.done)
    }
}

async fn finish(spool: Spool) -> Result<Spooled> {
    only_file(spool.finish().await?)
}

/// The longest name of a folder on disk, in bytes.
const LONGEST_NAME: usize = 255;

/// The longest key on S3, in bytes.
const LONGEST_KEY: usize = 1024;

/// Checks the names that values give folders.
struct FolderNames<'a> {
    by: Vec<&'a str>,
    destination: Destination<'a>,
    folded: HashSet<String>,
}

impl FolderNames<'_> {
    /// An error (SQL) names the column and its value, where that can't name a folder.
    fn check(&mut self, values: &PartitionValues) -> Result<()> {
        for (column, value) in self.by.iter().zip(values) {
            let Some(value) = value else { continue };
            if value.is_empty() || value == NULL_PARTITION {
                return Err(sql_error(format!(
                    "partition_by: a value of {column:?} is {value:?}, which can't name a folder. Make it NULL with nullif(…, '{value}')"
                )));
            }
        }
        let Destination {
            answer,
            ignores_case,
        } = self.destination;
        let key = key_of(answer, &self.by, values);
        let location = answer.of_job().location();
        let too_long = match location {
            Location::S3 { .. } => key.as_ref().len() > LONGEST_KEY,
            Location::Local(_) => {
                let mut names = key.as_ref().split('/');
                names.any(|name| name.len() > LONGEST_NAME)
            }
        };
        if too_long {
            let longest = self.by.iter().zip(values);
            let longest = longest.max_by_key(|(_, value)| value.as_ref().map_or(0, String::len));
            let (column, value) = longest.map_or(("", ""), |(column, value)| {
                (*column, value.as_deref().unwrap_or_default())
            });
            let value: String = value.chars().take(SHOWN).collect();
            let most = match location {
                Location::S3 { .. } => format!("a key on S3 has {LONGEST_KEY} bytes"),
                Location::Local(_) => format!("the name of a folder has {LONGEST_NAME} bytes"),
            };
            return Err(sql_error(format!(
                "partition_by: a value of {column:?} that begins {value:?} is too long for a folder: {most} at most"
            )));
        }
        let folded = key.as_ref().to_lowercase();
        if ignores_case && !self.folded.insert(folded) {
            return Err(sql_error(format!(
                "partition_by: the values {values:?} of {} differ from others only in case, and this disk has one folder for both. Make them alike with lower(…)",
                self.by.join(", ")
            )));
        }
        Ok(())
    }
}

fn sql_error(message: String) -> Error {
    Error::new(Class::Sql, message)
}

fn value(column: &ArrayRef, row: usize) -> Result<Option<String>> {
    match column.is_null(row) {
        true => Ok(None),
        false => array_value_to_string(column, row)
            .map(Some)
            .map_err(|error: ArrowError| unexpected(error)),
    }
}

fn unexpected(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(Class::Unexpected, "can't divide an answer").caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Keys;
    use crate::query::Engine;
    use crate::window::{Size, Window};
    use arrow::array::{AsArray, Int64Array, RecordBatch, StringArray};
    use arrow::datatypes::Int64Type;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use std::fs::File;

    /// Divides rows by their only text, with little memory.
    async fn divide(
        batch: &RecordBatch,
        location: &Location,
        ignores_case: bool,
        folder: &FilePath,
    ) -> Result<Partitioned> {
        let metadata = Metadata {
            job: "j".into(),
            window: "w".into(),
            sql_sha256: "0".into(),
        };
        let schema = super::super::columns::athena_schema(&batch.schema()).unwrap();
        let path = folder.join("whole.parquet");
        let session = Engine::new(64 << 20, folder).unwrap();
        let mut spool = Spool::create(path, schema, &metadata, session.pool()).unwrap();
        spool.write(batch).await.unwrap();
        let whole = spool.finish().await.unwrap().remove(0);
        let session = session.session(chrono_tz::Tz::UTC).unwrap();
        let keys = Keys::new(location, "j").unwrap();
        let window = Window::parse(Size::Day, chrono_tz::UTC, "2026-11-21").unwrap();
        let destination = Destination {
            answer: keys.of_answer("q", &window),
            ignores_case,
        };
        let by = [batch.schema().field(0).name().clone()];
        split(&session, &whole, &by, &metadata, folder, &destination).await
    }

    #[tokio::test]
    async fn values_that_can_not_name_a_folder_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let s3 = Location::S3 {
            bucket: "acme".into(),
            prefix: Path::default(),
        };
        let disk = Location::Local("/out".into());
        let divide = async |values: &[&str], location: &Location, ignores_case: bool| {
            let texts: ArrayRef = Arc::new(StringArray::from_iter_values(values));
            let rows = 0..i64::try_from(values.len()).unwrap();
            let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(rows));
            let batch = RecordBatch::try_from_iter([("g", texts), ("n", numbers)]).unwrap();
            divide(&batch, location, ignores_case, folder.path())
                .await
                .map(|divided| divided.files.len())
                .map_err(|error| {
                    assert_eq!(error.class(), Class::Sql);
                    error.to_string()
                })
        };
        let long = "x".repeat(254);
        for (values, location, expected) in [
            (["a", ""], &disk, "nullif(…, '')"),
            (["a", NULL_PARTITION], &s3, "__HIVE_DEFAULT_PARTITION__"),
            (["a", &long], &disk, "255 bytes"),
            (["a", &"한".repeat(400)], &s3, "1024 bytes"),
        ] {
            let error = divide(&values, location, false).await.unwrap_err();
            assert!(
                error.contains(expected) && error.contains("\"g\""),
                "{error}"
            );
        }
        assert_eq!(divide(&["a", &long], &s3, false).await, Ok(2));
        assert_eq!(divide(&["app", "b", "App"], &disk, false).await, Ok(3));
        let error = divide(&["app", "b", "App"], &disk, true).await.unwrap_err();
        assert!(error.contains("only in case"), "{error}");
    }

    #[tokio::test]
    async fn an_answer_without_rows_is_a_file_too() {
        let folder = tempfile::tempdir().unwrap();
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values([""; 0]));
        let batch = RecordBatch::try_from_iter([("g", Arc::clone(&texts)), ("m", texts)]).unwrap();
        let disk = Location::Local("/out".into());
        let divided = divide(&batch, &disk, false, folder.path()).await.unwrap();
        let values: Vec<&PartitionValues> = divided.files.keys().collect();
        assert_eq!(values, [&vec![None]]);
        assert_eq!(divided.files[&vec![None]].rows, 0);
    }

    #[tokio::test]
    async fn each_row_is_in_the_file_of_its_values_and_in_its_order() {
        let folder = tempfile::tempdir().unwrap();
        let rows = 20_000_i64;
        let group = |row: i64| match row % 3 {
            0 => None,
            1 => Some("/aws/lambda/a"),
            _ => Some("b"),
        };
        let groups: StringArray = (0..rows).map(group).collect();
        let columns: [(&str, ArrayRef); 2] = [
            ("log_group", Arc::new(groups)),
            ("n", Arc::new(Int64Array::from_iter_values(0..rows))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let disk = Location::Local("/out".into());
        let divided = divide(&batch, &disk, false, folder.path()).await.unwrap();
        assert_eq!(divided.empty.rows, 0);
        let values: Vec<Option<&str>> = divided
            .files
            .keys()
            .map(|values| values[0].as_deref())
            .collect();
        assert_eq!(values, [None, Some("/aws/lambda/a"), Some("b")]);
        for (values, spooled) in &divided.files {
            let reader =
                ParquetRecordBatchReaderBuilder::try_new(File::open(&spooled.path).unwrap());
            let mut found = Vec::new();
            for batch in reader.unwrap().build().unwrap() {
                let batch = batch.unwrap();
                assert_eq!(batch.num_columns(), 1);
                found.extend_from_slice(batch.column(0).as_primitive::<Int64Type>().values());
            }
            let expected: Vec<i64> = (0..rows)
                .filter(|row| group(*row) == values[0].as_deref())
                .collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn columns_that_can_not_be_folders_are_refused() {
        use arrow::datatypes::Field;
        let schema = Schema::new(vec![
            Field::new("a", DataType::Utf8View, true),
            Field::new("n", DataType::Int64, true),
        ]);
        let error = |by: &[&str]| columns(&schema, by).unwrap_err().to_string();
        assert!(error(&["b"]).contains("expected one of a, n"));
        assert!(error(&["n"]).contains("::text"));
        let only = Schema::new(vec![Field::new("a", DataType::Utf8, true)]);
        assert!(columns(&only, &["a"]).is_err());
        assert_eq!(columns(&schema, &["a"]).unwrap().0, [0]);
    }
}
