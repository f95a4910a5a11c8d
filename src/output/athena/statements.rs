//! A table as SQL: the statements that create it and its view, for each engine.

use arrow::datatypes::DataType;

use super::types::{QUOTED, hive_type};
use super::{Dialect, SERDE, Table, TableColumn, duckdb, spark, trino};
use crate::error::{Error, Result};
use crate::layout;
use crate::window::Size;

/// The statements that create a table and its view of the newest complete day, without semicolons. Errors (usage): the
/// engine can't read the location of the answers, or can't have a column of such a name.
pub fn statements(table: &Table, dialect: Dialect) -> Result<Vec<String>> {
    let s3_only = matches!(dialect, Dialect::Athena | Dialect::Trino);
    if s3_only && table.location.is_local() {
        return Err(Error::usage(format!(
            "{} can't read {}: it reads S3 only. Expected an [output] location such as s3://bucket/prefix, or --format spark or duckdb",
            dialect.name(),
            table.url(),
        )));
    }
    check_names(table, dialect)?;
    if dialect == Dialect::Trino && table.parts().is_some() {
        return Err(Error::usage(format!(
            "Trino's SQL can't make a table over lists of files, which {} is because of file_size: make it in Athena, or with --apply in Glue's catalogue, where Trino's Hive connector reads it",
            table.name
        )));
    }
    let mut statements = match dialect {
        Dialect::Athena => vec![athena(table)],
        Dialect::Spark => match table.parts() {
            None => vec![spark::over_files(table)],
            Some(parts) => return Ok(spark::over_parts(table, parts)),
        },
        Dialect::DuckDb => duckdb::statements(table),
        Dialect::Trino => vec![trino::statement(table)],
    };
    statements.extend(list_of_partitions(table, dialect));
    statements.push(newest_complete_day(table, dialect));
    Ok(statements)
}

/// The statement that creates the database of the tables if it does not exist.
pub fn database(name: &str, dialect: Dialect) -> String {
    let what = match dialect {
        Dialect::Athena | Dialect::Spark => "DATABASE",
        Dialect::DuckDb | Dialect::Trino => "SCHEMA",
    };
    format!("CREATE {what} IF NOT EXISTS {}", dialect.quote_in_ddl(name))
}

/// Refuses names that the engine can't have. Athena's documentation allows letters, digits and underscores; Spark's
/// Hive catalogue keeps names in lists that are separated by commas.
fn check_names(table: &Table, dialect: Dialect) -> Result<()> {
    let fits = |name: &str| match dialect {
        Dialect::Athena | Dialect::Trino => name.chars().all(|c| c.is_alphanumeric() || c == '_'),
        Dialect::Spark => !name.contains([',', ':', ';', '`']) && !name.contains(char::is_control),
        Dialect::DuckDb => true,
    };
    let names = table.all_columns().flat_map(|column| {
        let own = (column.name.clone(), column.name.clone());
        std::iter::once(own).chain(fields_in(&column.name, &column.data_type))
    });
    for (place, name) in names {
        if !fits(&name) {
            return Err(Error::usage(format!(
                "the column {place:?} of {} has a name that {} can't have: expected letters, digits and underscores. Give it another one with AS",
                table.name,
                dialect.name()
            )));
        }
    }
    Ok(())
}

/// The names of the fields in a column, at any depth: of each its path and its name.
fn fields_in(place: &str, data_type: &DataType) -> Vec<(String, String)> {
    match data_type {
        DataType::Struct(fields) => fields
            .iter()
            .flat_map(|field| {
                let place = format!("{place}.{}", field.name());
                let mut names = vec![(place.clone(), field.name().clone())];
                names.extend(fields_in(&place, field.data_type()));
                names
            })
            .collect(),
        DataType::List(item) => fields_in(place, item.data_type()),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(entry) => entry
                .iter()
                .flat_map(|field| fields_in(place, field.data_type()))
                .collect(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

impl Dialect {
    /// A name in a statement that creates a table, quoted, so that it may be a reserved word.
    pub(super) fn quote_in_ddl(self, name: &str) -> String {
        match self {
            Self::Athena | Self::Spark => backticks(name),
            Self::DuckDb | Self::Trino => double_quotes(name),
        }
    }

    /// A name in a query or a view, quoted. Athena's queries quote like Trino's, unlike its DDL.
    fn quote_in_query(self, name: &str) -> String {
        match self {
            Self::Spark => backticks(name),
            Self::Athena | Self::DuckDb | Self::Trino => double_quotes(name),
        }
    }

    /// A text in quotes. Hive and Spark escape with backslashes.
    pub(super) fn literal(self, text: &str) -> String {
        match self {
            Self::Athena | Self::Spark => {
                format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
            }
            Self::DuckDb | Self::Trino => format!("'{}'", text.replace('\'', "''")),
        }
    }
}

pub(super) fn backticks(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

pub(super) fn double_quotes(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The table's full name: `database.table`.
pub(super) fn full_name(table: &Table, name: &str, quote: impl Fn(&str) -> String) -> String {
    format!("{}.{}", quote(&table.database), quote(name))
}

/// `name type COMMENT 'text'` of each column.
pub(super) fn column_lines(
    columns: &[TableColumn],
    dialect: Dialect,
    type_name: impl Fn(&DataType) -> String,
) -> Vec<String> {
    columns
        .iter()
        .map(|column| {
            let name = dialect.quote_in_ddl(&column.name);
            let comment = column.comment.as_ref().map_or(String::new(), |comment| {
                format!(" COMMENT {}", dialect.literal(comment))
            });
            format!("  {name} {}{comment}", type_name(&column.data_type))
        })
        .collect()
}

/// Athena's statement of the table.
fn athena(table: &Table) -> String {
    let dialect = Dialect::Athena;
    let quote = |name: &str| dialect.quote_in_ddl(name);
    let keys = column_lines(&table.partition_columns(), dialect, |_| "string".to_owned());
    let keys: Vec<&str> = keys.iter().map(|key| key.trim_start()).collect();
    let formats = table.formats();
    let stored_as = match table.parts() {
        None => "STORED AS PARQUET".to_owned(),
        Some(_) => format!(
            "ROW FORMAT SERDE {}\nSTORED AS INPUTFORMAT {}\nOUTPUTFORMAT {}",
            dialect.literal(SERDE),
            dialect.literal(formats.input),
            dialect.literal(formats.output)
        ),
    };
    let mut properties: Vec<String> = table
        .projection()
        .iter()
        .map(|(key, value)| format!("  {} = {}", dialect.literal(key), dialect.literal(value)))
        .collect();
    if table.parts().is_none() {
        properties.push("  'classification' = 'parquet'".to_owned());
    }
    format!(
        "CREATE EXTERNAL TABLE {} (\n{}\n)\n{}PARTITIONED BY ({})\n{stored_as}\nLOCATION {}\nTBLPROPERTIES (\n{}\n)",
        full_name(table, &table.name, quote),
        column_lines(&table.columns, dialect, |of| hive_type(of, &QUOTED)).join(",\n"),
        comment_line(table, dialect),
        keys.join(", "),
        dialect.literal(&table.url()),
        properties.join(",\n"),
    )
}

/// `COMMENT 'text'` of the table, or an empty line.
pub(super) fn comment_line(table: &Table, dialect: Dialect) -> String {
    table.comment.as_ref().map_or(String::new(), |comment| {
        format!("COMMENT {}\n", dialect.literal(comment))
    })
}

/// The statement that lists the partitions again, to run after each new window; `None` where the engine works them out
/// or lists the folder itself.
pub fn list_of_partitions(table: &Table, dialect: Dialect) -> Option<String> {
    let hive = format!(
        "MSCK REPAIR TABLE {}",
        full_name(table, &table.name, backticks)
    );
    match dialect {
        Dialect::DuckDb => None,
        Dialect::Spark => Some(hive),
        Dialect::Athena | Dialect::Trino if table.is_projected() => None,
        Dialect::Athena => Some(hive),
        Dialect::Trino => Some(format!(
            "CALL system.sync_partition_metadata({}, {}, 'FULL')",
            dialect.literal(&table.database),
            dialect.literal(&table.name)
        )),
    }
}

/// The view of the newest day, week or month that has ended and has rows. The columns of the folders get readable
/// names. It looks back a bounded time, so that it reads few partitions.
pub(super) fn newest_complete_day(table: &Table, dialect: Dialect) -> String {
    let quote = |name: &str| dialect.quote_in_query(name);
    let (one, back) = match table.size {
        Size::Hour | Size::Day => ("'1' DAY", "'31' DAY"),
        Size::Week => ("'7' DAY", "'70' DAY"),
        Size::Month => ("'1' MONTH", "'13' MONTH"),
    };
    let zone = dialect.literal(table.timezone.name());
    let (today, text) = match dialect {
        Dialect::Spark => (
            format!("to_date(convert_timezone({zone}, localtimestamp()))"),
            "string",
        ),
        _ => (
            format!("CAST(current_timestamp AT TIME ZONE {zone} AS date)"),
            "varchar",
        ),
    };
    let before = |interval| format!("CAST(CAST({today} - INTERVAL {interval} AS date) AS {text})");
    let date = quote(layout::DATE);
    let mut columns: Vec<String> = layout::partition_keys(table.size)
        .iter()
        .map(|key| {
            let (readable, data_type) = match (*key, table.size) {
                (layout::HOUR, _) => ("hour", "integer"),
                (_, Size::Week) => ("week", "date"),
                (_, Size::Month) => ("month", "date"),
                _ => ("day", "date"),
            };
            // A column of the answer keeps its name.
            let is_taken = table.all_columns().any(|column| column.name == readable);
            let name = if is_taken { *key } else { readable };
            format!("  CAST({} AS {data_type}) AS {}", quote(key), quote(name))
        })
        .collect();
    let names = table.value_columns().iter().chain(&table.columns);
    columns.extend(names.map(|column| format!("  {}", quote(&column.name))));
    format!(
        "CREATE OR REPLACE VIEW {} AS\nWITH recent AS (\n  SELECT * FROM {}\n  WHERE {date} BETWEEN {}\n    AND {}\n)\nSELECT\n{}\nFROM recent\nWHERE {date} = (SELECT max({date}) FROM recent)",
        full_name(table, &table.view(), quote),
        full_name(table, &table.name, quote),
        before(back),
        before(one),
        columns.join(",\n"),
    )
}
