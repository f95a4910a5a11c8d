//! A table in DuckDB's SQL, which has no external tables: a view over the files.

use super::statements::{double_quotes, full_name};
use super::{Dialect, Table, url};
use crate::job::Location;

/// The statements of a view over the files, with its comments.
pub(super) fn statements(table: &Table) -> Vec<String> {
    let dialect = Dialect::DuckDb;
    let keys = table.partition_keys();
    let key_types: Vec<String> = keys
        .iter()
        .map(|key| format!("{}: VARCHAR", dialect.literal(key)))
        .collect();
    let columns = table.columns.iter().map(|column| column.name.as_str());
    let columns: Vec<String> = columns
        .chain(keys.iter().copied())
        .map(|name| format!("  {}", double_quotes(name)))
        .collect();
    let name = full_name(table, &table.name, double_quotes);
    let read = |folder: &Location, more: &str| {
        let files = format!("{}{}*.parquet", pattern(folder), "*/".repeat(keys.len()));
        format!(
            "FROM read_parquet(\n  {},\n  hive_partitioning = true,\n  hive_types = {{{}}},\n  union_by_name = true{more}\n)",
            dialect.literal(&files),
            key_types.join(", "),
        )
    };
    let (listed, from) = match table.parts() {
        None => (String::new(), read(&table.location, "")),
        Some(parts) => {
            let lists = format!(
                "{}{}*.txt",
                pattern(&table.location),
                "*/".repeat(keys.len())
            );
            let listed = format!(
                "WITH listed AS (\n  SELECT parse_filename(unnest(string_split(trim(content, chr(10)), chr(10)))) AS file\n  FROM read_text({})\n)\n",
                dialect.literal(&lists)
            );
            // In upper case, so that it is not the name of a column of the answer.
            let from = read(parts, ",\n  filename = 'FILE'")
                + "\nWHERE parse_filename(\"FILE\") IN (SELECT file FROM listed)";
            (listed, from)
        }
    };
    let mut statements = vec![format!(
        "CREATE OR REPLACE VIEW {name} AS\n{listed}SELECT\n{}\n{from}",
        columns.join(",\n"),
    )];
    let comment = |of: String, text: &Option<String>| {
        let text = text.as_ref()?;
        Some(format!("COMMENT ON {of} IS {}", dialect.literal(text)))
    };
    statements.extend(comment(format!("VIEW {name}"), &table.comment));
    statements.extend(table.all_columns().filter_map(|column| {
        comment(
            format!("COLUMN {name}.{}", double_quotes(&column.name)),
            &column.comment,
        )
    }));
    statements
}

/// A location in a pattern of files, with its own characters escaped.
fn pattern(folder: &Location) -> String {
    let mut pattern = String::new();
    for character in url(folder).chars() {
        match character {
            '*' | '?' | '[' => pattern.extend(['[', character, ']']),
            other => pattern.push(other),
        }
    }
    pattern
}
