//! What the columns of an answer were the last time: a change that its readers would trip over is told before anything
//! is exported.

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use object_store::path::Path;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use super::Force;
use crate::error::{Error, Result};
use crate::job::{Job, Name};
use crate::layout;
use crate::output::athena::{self, changes};
use crate::store::Store;
use crate::window::Window;

/// How much of a file's end is read at first, in which most footers are whole.
const FOOTER_BYTES: u64 = 64 << 10;

/// Compares the columns of each question with those of its newest answer, whose file says them best: receipts may be of
/// other versions of this program. A new column is fine, as rows of before read as NULL there. An error (usage) where
/// one is gone or has another type, unless forced, and where the files are divided in another way, always.
pub async fn refuse_changed(
    output: &Store,
    job: &Job,
    schemas: &[SchemaRef],
    newest: &Window,
    force: Force,
) -> Result<()> {
    for (query, schema) in job.queries.iter().zip(schemas) {
        let name = query.name.as_str();
        let folder = layout::answer_folder(output.root(), job.name.as_str(), name, newest);
        let files = output.list(&folder).await?;
        let Some((key, by)) = files.iter().find_map(|file| {
            let by = layout::partition_columns(&folder, &file.location)?;
            Some((&file.location, by))
        }) else {
            continue;
        };
        let Some(before) = columns_of(output, key).await? else {
            continue;
        };
        let now_by: Vec<&str> = query.partition_by.iter().map(Name::as_str).collect();
        if by != now_by {
            // Files of the one kind would lie among those of the other, and be read with them.
            return Err(Error::usage(format!(
                "the files of {name} in window {newest} are divided by ({}) and would be by ({}), and no table reads both. Give the query another name",
                by.join(", "),
                now_by.join(", ")
            )));
        }
        let in_files = schema.fields().iter();
        let in_files = in_files.filter(|field| !now_by.contains(&field.name().as_str()));
        let now =
            athena::hive_columns(in_files.map(|field| (field.name().as_str(), field.data_type())));
        let incompatible = changes(&before, &now).incompatible;
        if incompatible.is_empty() {
            continue;
        }
        let differences = incompatible.join("; ");
        if force != Force::No {
            tracing::warn!(
                query = name,
                "the columns change from those of window {newest}: {differences}"
            );
            continue;
        }
        return Err(Error::usage(format!(
            "{}: the answers of {name} would have other columns than those of window {newest}, on which tables over them rely: {differences}. Give the query another name, or go on with --force",
            query.sql_origin
        )));
    }
    Ok(())
}

/// The columns of a Parquet file with their types as tables name them; `None` where there is no such file, or it is none
/// of this program's, so that a run can replace it.
async fn columns_of(output: &Store, key: &Path) -> Result<Option<Vec<(String, String)>>> {
    let mut wanted = FOOTER_BYTES;
    loop {
        let Some((end, size)) = output.end_of(key, wanted).await? else {
            return Ok(None);
        };
        match columns(&end, size) {
            Ok(columns) => return Ok(Some(columns)),
            // The length of the footer is in its last bytes, so this happens once.
            Err(ParquetError::NeedMoreData(more)) if more as u64 > wanted && wanted < size => {
                wanted = more as u64;
            }
            Err(error) => {
                tracing::warn!(answer = output.display(key), %error, "the earlier answer can't be read; its columns are not compared");
                return Ok(None);
            }
        }
    }
}

fn columns(end: &Bytes, size: u64) -> parquet::errors::Result<Vec<(String, String)>> {
    let mut reader = ParquetMetaDataReader::new();
    reader.try_parse_sized(end, size)?;
    let metadata: ParquetMetaData = reader.finish()?;
    let schema = parquet_to_arrow_schema(metadata.file_metadata().schema_descr(), None)?;
    let fields = schema.fields().iter();
    Ok(athena::hive_columns(
        fields.map(|field| (field.name().as_str(), field.data_type())),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::parquet::{Metadata, Spool};
    use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
    use std::sync::Arc;

    #[tokio::test]
    async fn a_file_says_the_columns_that_were_planned() {
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
            // Names that make a footer larger than what is read at first.
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
        let spool = Spool::create(path, Arc::clone(&schema), &metadata).unwrap();
        spool.finish().await.unwrap();

        let aws = Arc::new(crate::aws::Aws::new(crate::job::AwsSettings::default()));
        let stores = crate::store::Stores::new(aws).unwrap();
        let location = crate::job::Location::Local(folder.path().to_owned());
        let store = stores
            .open(&location, crate::aws::Account::Output)
            .await
            .unwrap();
        let of = |name| layout::join(store.root(), name);
        let found = columns_of(&store, &of("a.parquet")).await.unwrap();
        let planned = schema.fields().iter();
        let planned =
            athena::hive_columns(planned.map(|field| (field.name().as_str(), field.data_type())));
        assert_eq!(found, Some(planned));
        assert_eq!(columns_of(&store, &of("b.parquet")).await.unwrap(), None);
        std::fs::write(folder.path().join("b.parquet"), "no Parquet").unwrap();
        assert_eq!(columns_of(&store, &of("b.parquet")).await.unwrap(), None);
    }
}
