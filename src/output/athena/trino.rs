//! A table in the SQL of Trino's Hive connector.

use arrow::datatypes::{DataType, TimeUnit};

use super::statements::{column_lines, comment_line, double_quotes, full_name};
use super::types::{QUOTED, hive_type};
use super::{Dialect, Table};

/// The statement of the table.
pub(super) fn statement(table: &Table) -> String {
    let dialect = Dialect::Trino;
    let keys = table.partition_keys();
    // Athena's properties, under Trino's own names.
    let projection = table.projection();
    let property = |key: &str| {
        let found = projection.iter().find(|(name, _)| name == key);
        found.map_or("", |(_, value)| value.as_str())
    };
    let mut columns = column_lines(&table.columns, dialect, trino_type);
    let of_folders = column_lines(&table.partition_columns(), dialect, trino_type);
    for (key, column) in keys.iter().zip(of_folders) {
        // Trino can't project months. A projection of days includes the first of each month.
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
