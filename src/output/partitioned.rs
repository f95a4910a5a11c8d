//! An answer as several files, one for each value of some of its columns, which are then in the files' folders.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path as FilePath;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::util::display::array_value_to_string;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::parquet::{Metadata, Spool, Spooled};
use crate::error::{Class, Error, Result};

/// More files for one window are a mistake in the choice of columns: readers list and open each, and here each is open
/// while the answer is divided.
const MOST_FILES: usize = 500;

/// The values of an answer's partition columns, in their order.
pub type Values = Vec<Option<String>>;

/// An answer, divided.
#[derive(Debug, Clone)]
pub struct Partitioned {
    /// The file for each combination of values that the answer has, in their order.
    pub files: BTreeMap<Values, Spooled>,
    /// A file of the same columns without rows, for what an earlier answer had and this one has not.
    pub empty: Spooled,
}

/// The positions of the partition columns, and the columns that stay in the files. Errors (SQL): a column that the
/// answer has not, or that is no text; none that stays.
pub fn columns(schema: &Schema, by: &[impl AsRef<str>]) -> Result<(Vec<usize>, SchemaRef)> {
    let mut positions = Vec::with_capacity(by.len());
    for name in by {
        let name = name.as_ref();
        let position = schema.index_of(name).map_err(|_| {
            let columns = schema.fields().iter().map(|field| field.name().as_str());
            let columns: Vec<&str> = columns.collect();
            Error::usage(format!(
                "partition_by names {name:?}, which is no column of the answer: expected one of {}",
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
            "partition_by names every column: expected one at least that stays in the files",
        ));
    }
    Ok((positions, Arc::new(rest)))
}

/// Divides the file of a whole answer. Rows keep their order within each file.
pub async fn split(
    whole: &Spooled,
    by: &[impl AsRef<str>],
    metadata: &Metadata,
    folder: &FilePath,
) -> Result<Partitioned> {
    let file = File::open(&whole.path).map_err(|error| unreadable(&whole.path, error))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|error| unreadable(&whole.path, error))?;
    let (positions, schema) = columns(reader.schema(), by)?;
    let create = |name: String| Spool::create(folder.join(name), Arc::clone(&schema), metadata);
    let mut spools: BTreeMap<Values, Spool> = BTreeMap::new();
    let batches = reader
        .build()
        .map_err(|error| unreadable(&whole.path, error))?;
    for batch in batches {
        let batch = batch.map_err(|error| unreadable(&whole.path, error))?;
        for (values, rows) in by_values(&batch, &positions, by)? {
            if !spools.contains_key(&values) {
                if spools.len() == MOST_FILES {
                    return Err(Error::new(
                        Class::Sql,
                        format!(
                            "partition_by gives more than {MOST_FILES} files for one window: expected columns of few values"
                        ),
                    ));
                }
                let spool = create(format!("part-{}.parquet", spools.len()))?;
                spools.insert(values.clone(), spool);
            }
            if let Some(spool) = spools.get_mut(&values) {
                spool.write(&rows).await?;
            }
        }
        bound_memory(&mut spools).await?;
    }
    let mut files = BTreeMap::new();
    for (values, spool) in spools {
        files.insert(values, spool.finish().await?);
    }
    let empty = create("part-empty.parquet".to_owned())?.finish().await?;
    Ok(Partitioned { files, empty })
}

/// Rows that wait for their row group, over all files.
const MOST_WAITING: usize = 192 << 20;

/// Ends the largest row group early where all that wait are too much. It depends on the rows alone, and so do the bytes.
async fn bound_memory(spools: &mut BTreeMap<Values, Spool>) -> Result<()> {
    while spools.values().map(Spool::waiting).sum::<usize>() > MOST_WAITING {
        match spools.values_mut().max_by_key(|spool| spool.waiting()) {
            Some(largest) => largest.end_row_group().await?,
            None => break,
        }
    }
    Ok(())
}

/// The rows of each combination of values, without the columns of the values.
fn by_values(
    batch: &RecordBatch,
    positions: &[usize],
    by: &[impl AsRef<str>],
) -> Result<BTreeMap<Values, RecordBatch>> {
    let mut rows: BTreeMap<Values, Vec<u32>> = BTreeMap::new();
    for row in 0..batch.num_rows() {
        let values = positions.iter().zip(by).map(|(position, name)| {
            let value = value(batch.column(*position), row)?;
            if value.as_deref() == Some("") {
                return Err(Error::new(
                    Class::Sql,
                    format!(
                        "partition_by: a value of {:?} is empty, which no folder can be named. Make it NULL with nullif(…, '')",
                        name.as_ref()
                    ),
                ));
            }
            Ok(value)
        });
        let number = u32::try_from(row).map_err(unexpected)?;
        rows.entry(values.collect::<Result<Values>>()?)
            .or_default()
            .push(number);
    }
    let rest: Vec<usize> = (0..batch.num_columns())
        .filter(|position| !positions.contains(position))
        .collect();
    let rest = batch.project(&rest).map_err(unexpected)?;
    rows.into_iter()
        .map(|(values, rows)| {
            let taken = take_record_batch(&rest, &UInt32Array::from(rows));
            Ok((values, taken.map_err(unexpected)?))
        })
        .collect()
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

fn unreadable(
    path: &FilePath,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    Error::new(
        Class::Output,
        format!("can't read the temporary file {}", path.display()),
    )
    .caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{AsArray, Int64Array, StringArray};
    use arrow::datatypes::Int64Type;

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
        let metadata = Metadata {
            job: "j".into(),
            window: "w".into(),
            sql_sha256: "0".into(),
        };
        let schema = super::super::columns::athena_schema(&batch.schema()).unwrap();
        let mut spool = Spool::create(folder.path().join("whole"), schema, &metadata).unwrap();
        spool.write(&batch).await.unwrap();
        let whole = spool.finish().await.unwrap();
        let divided = split(&whole, &["log_group"], &metadata, folder.path())
            .await
            .unwrap();
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
    fn columns_that_can_not_be_folders_are_told() {
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
