//! A table as SQL: the statement that makes it and the one of its view, in the words of each engine.

use arrow::datatypes::{DataType, TimeUnit};

use super::{Column, Dialect, SERDE, Table, Words, hive_type, url};
use crate::error::{Error, Result};
use crate::job::Location;
use crate::layout;
use crate::window::Size;

/// The statements that make a table and its view of the newest complete day, without semicolons. An error (usage) where
/// the engine can't read the place of the answers, or can't have a column of such a name.
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
            None => vec![spark(table)],
            Some(parts) => return Ok(spark_over_parts(table, parts)),
        },
        Dialect::DuckDb => duckdb(table),
        Dialect::Trino => vec![trino(table)],
    };
    statements.extend(list_of_partitions(table, dialect));
    statements.push(newest_complete_day(table, dialect));
    Ok(statements)
}

/// The statement that makes the database of the tables where it is not there.
pub fn database(name: &str, dialect: Dialect) -> String {
    let what = match dialect {
        Dialect::Athena | Dialect::Spark => "DATABASE",
        Dialect::DuckDb | Dialect::Trino => "SCHEMA",
    };
    format!("CREATE {what} IF NOT EXISTS {}", dialect.quote_in_ddl(name))
}

/// Athena's documents allow letters, digits and underscores in names; Spark's Hive catalogue keeps lists of names with
/// commas between them.
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

/// The names of the fields in a column, however deep, with the place where each is.
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
    /// A name in the statement that makes a table: quoted, so that it may be a reserved word.
    fn quote_in_ddl(self, name: &str) -> String {
        match self {
            Self::Athena | Self::Spark => backticks(name),
            Self::DuckDb | Self::Trino => double_quotes(name),
        }
    }

    /// A name in a query, or in a view. Athena's queries are Trino's, and quote in another way than its DDL.
    fn quote_in_query(self, name: &str) -> String {
        match self {
            Self::Spark => backticks(name),
            Self::Athena | Self::DuckDb | Self::Trino => double_quotes(name),
        }
    }

    /// A text. Hive's and Spark's have backslashes.
    fn literal(self, text: &str) -> String {
        match self {
            Self::Athena | Self::Spark => {
                format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
            }
            Self::DuckDb | Self::Trino => format!("'{}'", text.replace('\'', "''")),
        }
    }
}

fn backticks(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn double_quotes(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Hive's types in a statement, where a field's name may be a reserved word.
const QUOTED: Words = Words {
    quote: backticks,
    timestamp: "timestamp",
};

/// The table's full name: `database.table`.
fn full_name(table: &Table, name: &str, quote: impl Fn(&str) -> String) -> String {
    format!("{}.{}", quote(&table.database), quote(name))
}

/// `name type COMMENT 'text'` of each column.
fn column_lines(
    columns: &[Column],
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

fn comment_line(table: &Table, dialect: Dialect) -> String {
    table.comment.as_ref().map_or(String::new(), |comment| {
        format!("COMMENT {}\n", dialect.literal(comment))
    })
}

fn spark(table: &Table) -> String {
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

/// A table of Spark's own over files in the folders of windows.
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

/// Spark's own tables know no lists of files: a view of those parts that are listed does the same.
fn spark_over_parts(table: &Table, parts: &Location) -> Vec<String> {
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

/// Where an engine does not work out the partitions or list the folder itself, it has a list of them, which is to be
/// made anew when windows are added.
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

/// Hive's names, but for times: those of the answers are as clocks show them, in whatever zone a session is.
fn spark_type(data_type: &DataType) -> String {
    hive_type(
        data_type,
        &Words {
            timestamp: "timestamp_ntz",
            ..QUOTED
        },
    )
}

/// DuckDB has no external tables; a view over the files does the same.
fn duckdb(table: &Table) -> Vec<String> {
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
            // No column of an answer: those are in lower case.
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

/// A folder in a pattern of files, in which its own characters stand for themselves.
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

fn trino(table: &Table) -> String {
    let dialect = Dialect::Trino;
    let keys = table.partition_keys();
    // The same properties as Athena's, under names of Trino's own.
    let projection = table.projection();
    let property = |key: &str| {
        let found = projection.iter().find(|(name, _)| name == key);
        found.map_or("", |(_, value)| value.as_str())
    };
    let mut columns = column_lines(&table.columns, dialect, trino_type);
    let of_folders = column_lines(&table.partition_columns(), dialect, trino_type);
    for (key, column) in keys.iter().zip(of_folders) {
        // It knows no months. To ask for each day of one finds its first all the same.
        let of = |name: &str| match (name, property(&format!("projection.{key}.{name}"))) {
            ("interval.unit", "MONTHS") => "DAYS",
            (_, value) => value,
        };
        if !table.is_projected() {
            columns.push(column);
            continue;
        }
        let range: Vec<String> = of("range")
            .split(',')
            .map(|end| dialect.literal(end))
            .collect();
        let mut with = vec![
            format!(
                "partition_projection_type = {}",
                dialect.literal(of("type"))
            ),
            format!("partition_projection_range = ARRAY[{}]", range.join(", ")),
        ];
        for (name, is_text) in [
            ("format", true),
            ("interval", false),
            ("interval.unit", true),
            ("digits", false),
        ] {
            let value = of(name);
            if !value.is_empty() {
                let value = match is_text {
                    true => dialect.literal(value),
                    false => value.to_owned(),
                };
                let name = name.replace('.', "_");
                with.push(format!("partition_projection_{name} = {value}"));
            }
        }
        columns.push(format!(
            "{column} WITH (\n    {}\n  )",
            with.join(",\n    ")
        ));
    }
    let partitioned_by: Vec<String> = keys.iter().map(|key| dialect.literal(key)).collect();
    let mut properties = vec![
        format!("external_location = {}", dialect.literal(&table.url())),
        "format = 'PARQUET'".to_owned(),
        format!("partitioned_by = ARRAY[{}]", partitioned_by.join(", ")),
    ];
    if table.is_projected() {
        let template = dialect.literal(property("storage.location.template"));
        properties.extend([
            "partition_projection_enabled = true".to_owned(),
            format!("partition_projection_location_template = {template}"),
        ]);
    }
    format!(
        "CREATE TABLE {} (\n{}\n)\n{}WITH (\n  {}\n)",
        full_name(table, &table.name, double_quotes),
        columns.join(",\n"),
        comment_line(table, dialect),
        properties.join(",\n  "),
    )
}

fn trino_type(data_type: &DataType) -> String {
    match data_type {
        DataType::Int32 => "integer".to_owned(),
        DataType::Float32 => "real".to_owned(),
        DataType::Binary | DataType::BinaryView => "varbinary".to_owned(),
        DataType::Timestamp(TimeUnit::Millisecond, None) => "timestamp(3)".to_owned(),
        DataType::List(item) => format!("array({})", trino_type(item.data_type())),
        DataType::Struct(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|field| {
                    let data_type = trino_type(field.data_type());
                    format!("{} {data_type}", double_quotes(field.name()))
                })
                .collect();
            format!("row({})", fields.join(", "))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(entry) if entry.len() == 2 => format!(
                "map({}, {})",
                trino_type(entry[0].data_type()),
                trino_type(entry[1].data_type())
            ),
            other => trino_type(other),
        },
        other => match hive_type(other, &QUOTED).as_str() {
            "string" => "varchar".to_owned(),
            same => same.to_owned(),
        },
    }
}

/// The view of the newest day, week or month that has ended and has rows, with names for people in place of those in
/// keys. It looks back a bounded time, so that it reads few partitions however many there are.
fn newest_complete_day(table: &Table, dialect: Dialect) -> String {
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
            // Not in place of a column of the answer.
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
