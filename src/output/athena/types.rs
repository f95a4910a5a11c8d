//! Hive's names of column types, which the Glue catalogue, Athena and Spark share, and what changes between two lists
//! of columns.

use arrow::datatypes::{DataType, TimeUnit};

/// The name of each column with Hive's name of its type.
pub fn hive_columns<'a>(
    columns: impl IntoIterator<Item = (&'a str, &'a DataType)>,
) -> Vec<(String, String)> {
    let columns = columns.into_iter();
    columns
        .map(|(name, data_type)| (name.to_owned(), hive_type(data_type, &PLAIN)))
        .collect()
}

/// In what the engines differ from each other in writing Hive's types.
pub(super) struct TypeNames {
    /// Writes a field's name.
    pub(super) quote: fn(&str) -> String,
    /// The type of a time without a zone.
    pub(super) timestamp: &'static str,
}

/// Types in the Glue catalogue, which has no quotes.
const PLAIN: TypeNames = TypeNames {
    quote: str::to_owned,
    timestamp: "timestamp",
};

/// Types in a statement, where a field's name may be a reserved word.
pub(super) const QUOTED: TypeNames = TypeNames {
    quote: super::statements::backticks,
    timestamp: "timestamp",
};

/// Hive's name of a type.
pub(super) fn hive_type(data_type: &DataType, names: &TypeNames) -> String {
    match data_type {
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int32 => "int".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Float32 => "float".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Binary | DataType::BinaryView => "binary".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(TimeUnit::Millisecond, None) => names.timestamp.to_owned(),
        DataType::List(item) => format!("array<{}>", hive_type(item.data_type(), names)),
        DataType::Struct(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|field| {
                    let data_type = hive_type(field.data_type(), names);
                    format!("{}:{data_type}", (names.quote)(field.name()))
                })
                .collect();
            format!("struct<{}>", fields.join(","))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(entry) if entry.len() == 2 => format!(
                "map<{},{}>",
                hive_type(entry[0].data_type(), names),
                hive_type(entry[1].data_type(), names)
            ),
            other => hive_type(other, names),
        },
        // `athena_schema` leaves only strings, their views and dictionaries.
        _ => "string".to_owned(),
    }
}

/// How the columns of a table differ from those of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnChanges {
    /// New columns with their types. They are compatible: earlier rows read as NULL there.
    pub added: Vec<(String, String)>,
    /// A sentence for each change that breaks queries over the table.
    pub incompatible: Vec<String>,
}

/// The changes from `old` to `new` columns, each a name and a type. Columns are matched by name, in any order.
pub fn column_changes(old: &[(String, String)], new: &[(String, String)]) -> ColumnChanges {
    let mut changes = ColumnChanges::default();
    for (name, was) in old {
        match new.iter().find(|(other, _)| other == name) {
            None => changes
                .incompatible
                .push(format!("the column {name:?} ({was}) would be gone")),
            Some((_, is)) if is != was => changes
                .incompatible
                .push(format!("the column {name:?} was {was} and would be {is}")),
            Some(_) => {}
        }
    }
    let is_new = |(name, _): &&(String, String)| old.iter().all(|(other, _)| other != name);
    changes.added = new.iter().filter(is_new).cloned().collect();
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_named_by_column() {
        let columns = |text: &str| -> Vec<(String, String)> {
            let columns = text.split_whitespace();
            columns
                .map(|column| column.split_once(':').unwrap())
                .map(|(name, data_type)| (name.to_owned(), data_type.to_owned()))
                .collect()
        };
        let old = columns("a:int b:string c:bigint");
        assert_eq!(
            column_changes(&old, &columns("c:bigint b:string a:int")),
            ColumnChanges::default()
        );
        let found = column_changes(&old, &columns("b:string c:double d:date"));
        assert_eq!(found.added, columns("d:date"));
        assert_eq!(
            found.incompatible,
            [
                "the column \"a\" (int) would be gone",
                "the column \"c\" was bigint and would be double"
            ]
        );
    }
}
