//! Checks the columns of each answer against those of its newest earlier one, before anything is exported: tables over
//! the answers must be able to read both.

use arrow::datatypes::Schema;
use bytes::Bytes;
use datafusion::datasource::physical_plan::parquet::transform_schema_to_view;
use object_store::path::Path;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::errors::ParquetError;

use super::queries::PlannedQuery;
use super::{Force, Output};
use crate::error::{Class, Error, Result};
use crate::job::{Division, Job};
use crate::output::athena;
use crate::output::division::{DividedBy, NewestAnswer};
use crate::output::parquet::WINDOW;
use crate::parquet_footer;
use crate::store::Store;
use crate::window::Unit;

/// The bytes at the end of a file that are read first. Most footers are not longer.
const FOOTER_BYTES: u64 = 64 << 10;

/// Compares the columns of each query with those of its newest answer. They are read from the answer's own file, since
/// receipts may be of other versions of this program. A new column is compatible: earlier rows read as NULL there.
///
/// Errors (usage): a column is gone or has another type, unless forced; the answers are of windows of another size, or
/// divided in another way, forced or not.
pub async fn refuse_changed(
    output: &Output,
    job: &Job,
    answers: &[PlannedQuery<'_>],
    force: Force,
) -> Result<()> {
    for PlannedQuery { query, columns, .. } in answers {
        let schema = columns;
        let name = query.name.as_str();
        let Output { store, keys } = output;
        let Some(newest) = NewestAnswer::find(store, keys, name).await? else {
            continue;
        };
        let Some(before) = footer(store, &newest.file).await? else {
            continue;
        };
        let size = job.window.size;
        let is_of_size = |id: &String| Unit::parse(size, id).is_some();
        let was_divided_by = newest.divided_by(size);
        let has_size = before.window.as_ref().is_none_or(is_of_size);
        let (Some(was_divided_by), true) = (was_divided_by, has_size) else {
            return Err(Error::usage(format!(
                "[window] size is \"{size}\", and the answers of {name} that are there are of other windows ({}): their files would be read together, or replace each other. Give the query another name",
                store.display(&newest.key),
            )));
        };
        let window = before.window.as_deref().unwrap_or("before");
        let is_divided_by = DividedBy::from(&query.division);
        if was_divided_by != is_divided_by {
            // Tables would read the files of both divisions together.
            return Err(Error::usage(format!(
                "the answer of {name} in window {window} is {was_divided_by} and would be {is_divided_by}, and no table reads both. {}",
                match &query.division {
                    Division::Numbered { .. } => {
                        "Expected the partition_by of before in [archive], or another [output] location"
                    }
                    _ => "Give the query another name",
                }
            )));
        }
        let columns_of_folders = query.division.columns();
        let in_files = schema.fields().iter().filter(|field| {
            let mut of_folders = columns_of_folders.iter();
            !of_folders.any(|name| name.as_str() == field.name())
        });
        let now =
            athena::hive_columns(in_files.map(|field| (field.name().as_str(), field.data_type())));
        let incompatible = athena::column_changes(&before.columns, &now).incompatible;
        if incompatible.is_empty() {
            continue;
        }
        let differences = incompatible.join("; ");
        if force != Force::No {
            tracing::warn!(
                query = name,
                "the columns change from those of window {window}: {differences}"
            );
            continue;
        }
        return Err(Error::usage(format!(
            "{}: the answers of {name} would have other columns than those of window {window}, on which tables over them rely: {differences}. Give the {} another name, or go on with --force",
            query.sql_origin,
            match &query.division {
                Division::Numbered { .. } => "column",
                _ => "query",
            }
        )));
    }
    Ok(())
}

/// The footer of an answer's file.
#[derive(Debug, PartialEq)]
struct Footer {
    /// The name and type of each column, as tables have them.
    columns: Vec<(String, String)>,
    /// The window's id.
    window: Option<String>,
}

/// The footer of a Parquet file. `None` where the file does not exist or can't be read, so that a run can replace it.
async fn footer(store: &Store, key: &Path) -> Result<Option<Footer>> {
    let mut wanted = FOOTER_BYTES;
    loop {
        let Some((end, size)) = store.end_of(key, wanted).await? else {
            return Ok(None);
        };
        match read_footer(&end, size) {
            Ok(footer) => return Ok(Some(footer)),
            // At most once, since the last bytes of a file say how long its footer is.
            Err(ParquetError::NeedMoreData(more)) if more as u64 > wanted && wanted < size => {
                wanted = more as u64;
            }
            Err(error) => {
                tracing::warn!(answer = store.display(key), %error, "the earlier answer can't be read, so its columns are not compared");
                return Ok(None);
            }
        }
    }
}

/// The columns of a Parquet file, as the engine reads them. Errors: `Damaged` for what is no Parquet, `Source` for a file that
/// is not there.
pub(super) async fn columns_of(store: &Store, key: &Path) -> Result<Schema> {
    let name = store.display(key);
    let mut wanted = FOOTER_BYTES;
    loop {
        let Some((end, size)) = store.end_of(key, wanted).await? else {
            let what = format!("{name} is not there any more");
            return Err(Error::new(Class::Source, what));
        };
        let columns = parquet_footer::parse(&end, size).and_then(|read| {
            let file = read.file_metadata();
            parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata())
        });
        match columns {
            Ok(columns) => return Ok(transform_schema_to_view(&columns)),
            Err(ParquetError::NeedMoreData(more)) if more as u64 > wanted && wanted < size => {
                wanted = more as u64;
            }
            Err(error) => {
                let what = format!("can't read {name} as Parquet");
                return Err(Error::damaged(what).caused_by(error));
            }
        }
    }
}

fn read_footer(end: &Bytes, size: u64) -> parquet::errors::Result<Footer> {
    let metadata = parquet_footer::parse(end, size)?;
    let file = metadata.file_metadata();
    let schema = parquet_to_arrow_schema(file.schema_descr(), None)?;
    let fields = schema.fields().iter();
    let pairs = file.key_value_metadata();
    let window = pairs.and_then(|pairs| pairs.iter().find(|pair| pair.key == WINDOW));
    Ok(Footer {
        columns: athena::hive_columns(
            fields.map(|field| (field.name().as_str(), field.data_type())),
        ),
        window: window.and_then(|pair| pair.value.clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::parquet::{Metadata, Spool};
    use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
    use std::sync::Arc;

    #[tokio::test]
    async fn a_file_has_the_columns_that_were_planned() {
        let element = Arc::new(Field::new("element", DataType::Decimal128(9, 2), true));
        let types = [
            DataType::Boolean,
            DataType::Int32,
            DataType::Utf8View,
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            DataType::BinaryView,
            DataType::Date32,
            DataType::Timestamp(TimeUnit::Millisecond, None),
            DataType::Decimal128(38, 10),
            DataType::List(element),
            DataType::Struct(vec![Field::new("a", DataType::Float32, true)].into()),
        ];
        let fields = types.iter().enumerate().map(|(number, data_type)| {
            // Names that make the footer longer than what is read first.
            let name = format!("c{number}{}", "_".repeat(16 << 10));
            Field::new(name, data_type.clone(), true)
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let folder = tempfile::tempdir().unwrap();
        let metadata = Metadata {
            job: "j".into(),
            window: "w".into(),
            sql_sha256: "0".into(),
        };
        let path = folder.path().join("a.parquet");
        let engine = crate::query::Engine::new(64 << 20, folder.path()).unwrap();
        let spool = Spool::create(path, Arc::clone(&schema), &metadata, engine.pool()).unwrap();
        spool.finish().await.unwrap();

        let aws = Arc::new(crate::aws::Aws::new(crate::job::AwsSettings::default()));
        let stores = crate::store::Stores::new(aws).unwrap();
        let location = crate::job::Location::Local(folder.path().to_owned());
        let store = stores
            .open(&location, crate::aws::Account::Output)
            .await
            .unwrap();
        let of = |name| crate::layout::join(store.root(), name);
        let found = footer(&store, &of("a.parquet")).await.unwrap();
        let planned = schema.fields().iter();
        let planned =
            athena::hive_columns(planned.map(|field| (field.name().as_str(), field.data_type())));
        let window = Some("w".to_owned());
        let columns = planned;
        assert_eq!(found, Some(Footer { columns, window }));
        assert_eq!(footer(&store, &of("b.parquet")).await.unwrap(), None);
        std::fs::write(folder.path().join("b.parquet"), "no Parquet").unwrap();
        assert_eq!(footer(&store, &of("b.parquet")).await.unwrap(), None);
    }
}
