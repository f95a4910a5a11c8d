//! A table in Spark's SQL: over the files of answers, or over those parts that are listed.

use arrow::datatypes::DataType;

use super::statements::{backticks, column_lines, comment_line, full_name, newest_complete_day};
use super::types::{QUOTED, TypeNames, hive_type};
use super::{Dialect, Table, url};
use crate::job::Location;

/// The statement of a table over the files of answers.
pub(super) fn over_files(table: &Table) -> String {
    let columns = column_lines(&table.columns, Dialect::Spark, spark_type);
    let comment = comment_line(table, Dialect::Spark);
    spark_table(
        table,
        &table.name,
        columns,
        "parquet",
        &comment,
        &table.location,
    )
}

/// The statement of a table over files in the folders of windows.
fn spark_table(
    table: &Table,
    name: &str,
    mut columns: Vec<String>,
    format: &str,
    comment: &str,
    location: &Location,
) -> String {
    let dialect = Dialect::Spark;
    let of_folders = table.partition_columns();
    columns.extend(column_lines(&of_folders, dialect, spark_type));
    let keys: Vec<String> = of_folders.iter().map(|key| backticks(&key.name)).collect();
    let url = match location {
        Location::S3 { .. } => url(location),
        Location::Local(_) => format!("file://{}", url(location)),
    };
    format!(
        "CREATE TABLE {} (\n{}\n)\nUSING {format}\n{comment}PARTITIONED BY ({})\nLOCATION {}",
        full_name(table, name, backticks),
        columns.join(",\n"),
        keys.join(", "),
        dialect.literal(&url),
    )
}

/// The statements of a table over parts. Spark's own tables can't read lists of files, so a view selects the parts that
/// are listed.
pub(super) fn over_parts(table: &Table, parts: &Location) -> Vec<String> {
    let dialect = Dialect::Spark;
    let columns = column_lines(&table.columns, dialect, spark_type);
    let of = |name: &str| full_name(table, name, backticks);
    let keys = table.partition_keys();
    let mut names = column_lines(&table.columns, dialect, |_| String::new());
    names.extend(keys.iter().map(|key| format!("  {}", backticks(key))));
    let own = table.columns.iter().map(|column| column.name.as_str());
    let selected: Vec<String> = own
        .chain(keys.iter().copied())
        .map(|name| format!("  parts.{}", backticks(name)))
        .collect();
    let same_window: Vec<String> = keys
        .iter()
        .map(|key| format!("parts.{0} = lists.{0}", backticks(key)))
        .collect();
    let view = format!(
        "CREATE OR REPLACE VIEW {} (\n{}\n)\n{}AS SELECT\n{}\nFROM {} AS parts\nLEFT SEMI JOIN {} AS lists\nON {}\n  AND parts._metadata.file_name = substring_index(lists.value, '/', -1)",
        of(&table.name),
        names.join(",\n"),
        comment_line(table, dialect),
        selected.join(",\n"),
        of(&table.parts_table()),
        of(&table.lists_table()),
        same_window.join(" AND "),
    );
    let lines = vec!["  `value` string".to_owned()];
    vec![
        spark_table(table, &table.parts_table(), columns, "parquet", "", parts),
        spark_table(
            table,
            &table.lists_table(),
            lines,
            "text",
            "",
            &table.location,
        ),
        format!("MSCK REPAIR TABLE {}", of(&table.parts_table())),
        format!("MSCK REPAIR TABLE {}", of(&table.lists_table())),
        view,
        newest_complete_day(table, dialect),
    ]
}

/// Hive's names, but for times: those of answers are local times, whatever the session's zone.
fn spark_type(data_type: &DataType) -> String {
    hive_type(
        data_type,
        &TypeNames {
            timestamp: "timestamp_ntz",
            ..QUOTED
        },
    )
}
