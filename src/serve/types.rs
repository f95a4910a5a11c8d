//! The types of an answer's columns as PostgreSQL has them: names, numbers (OIDs) and lengths, from its table `pg_type`.

use arrow::datatypes::{DataType, Field};
use datafusion_functions_json::JSON_UNION_DATA_TYPE;

use crate::query::BoundType;

/// A type of PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `bool`
    Bool,
    /// `int2`
    Int2,
    /// `int4`
    Int4,
    /// `int8`
    Int8,
    /// `oid`, which parameters have
    Oid,
    /// `float4`
    Float4,
    /// `float8`
    Float8,
    /// `numeric`
    Numeric,
    /// `text`
    Text,
    /// `bytea`
    Bytes,
    /// `date`
    Date,
    /// `time`
    Time,
    /// `timestamp`
    Timestamp,
    /// `timestamptz`
    Instant,
    /// `interval`
    Interval,
    /// `json`: structs, maps, and lists of them.
    Json,
    /// An array of a type that is none itself.
    List(Box<Kind>),
}

/// What `pg_type` says of a type.
#[derive(Debug, Clone, Copy)]
pub struct TypeRow {
    /// Its number.
    pub oid: u32,
    /// Its name in `pg_type`.
    pub name: &'static str,
    /// Its name in SQL.
    pub sql_name: &'static str,
    /// Its bytes; -1 for values of different lengths.
    pub length: i16,
    /// The number of the type of its arrays.
    pub array: u32,
    /// The letter of its category.
    pub category: char,
}

const fn row(
    oid: u32,
    name: &'static str,
    sql_name: &'static str,
    length: i16,
    array: u32,
    category: char,
) -> TypeRow {
    TypeRow {
        oid,
        name,
        sql_name,
        length,
        array,
        category,
    }
}

/// The types that columns, parameters and the tables of the catalogue have.
/// Source: PostgreSQL 15, `src/include/catalog/pg_type.dat`.
pub const TYPES: [TypeRow; 21] = [
    row(16, "bool", "boolean", 1, 1000, 'B'),
    row(17, "bytea", "bytea", -1, 1001, 'U'),
    row(18, "char", "\"char\"", 1, 1002, 'Z'),
    row(19, "name", "name", 64, 1003, 'S'),
    row(20, "int8", "bigint", 8, 1016, 'N'),
    row(21, "int2", "smallint", 2, 1005, 'N'),
    row(23, "int4", "integer", 4, 1007, 'N'),
    row(25, "text", "text", -1, 1009, 'S'),
    row(26, "oid", "oid", 4, 1028, 'N'),
    row(114, "json", "json", -1, 199, 'U'),
    row(700, "float4", "real", 4, 1021, 'N'),
    row(701, "float8", "double precision", 8, 1022, 'N'),
    row(1042, "bpchar", "character", -1, 1014, 'S'),
    row(1043, "varchar", "character varying", -1, 1015, 'S'),
    row(1082, "date", "date", 4, 1182, 'D'),
    row(1083, "time", "time without time zone", 8, 1183, 'D'),
    row(
        1114,
        "timestamp",
        "timestamp without time zone",
        8,
        1115,
        'D',
    ),
    row(
        1184,
        "timestamptz",
        "timestamp with time zone",
        8,
        1185,
        'D',
    ),
    row(1186, "interval", "interval", 16, 1187, 'T'),
    row(1700, "numeric", "numeric", -1, 1231, 'N'),
    row(2950, "uuid", "uuid", 16, 2951, 'U'),
];

impl Kind {
    /// The type of a column that the engine has as this.
    pub fn of(data_type: &DataType) -> Self {
        use DataType as T;
        if *data_type == *JSON_UNION_DATA_TYPE {
            return Self::Json;
        }
        match data_type {
            T::Boolean => Self::Bool,
            T::Int8 | T::Int16 | T::UInt8 => Self::Int2,
            T::Int32 | T::UInt16 => Self::Int4,
            T::Int64 | T::UInt32 => Self::Int8,
            // There are no types without a sign.
            T::UInt64 => Self::Numeric,
            T::Float16 | T::Float32 => Self::Float4,
            T::Float64 => Self::Float8,
            data_type if data_type.is_decimal() => Self::Numeric,
            T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => Self::Bytes,
            T::Date32 | T::Date64 => Self::Date,
            T::Time32(_) | T::Time64(_) => Self::Time,
            T::Timestamp(_, None) => Self::Timestamp,
            T::Timestamp(_, Some(_)) => Self::Instant,
            T::Interval(_) | T::Duration(_) => Self::Interval,
            T::Struct(_) | T::Map(..) | T::Union(..) => Self::Json,
            T::List(item)
            | T::LargeList(item)
            | T::ListView(item)
            | T::LargeListView(item)
            | T::FixedSizeList(item, _) => Self::of_list(item),
            T::Dictionary(_, values) => Self::of(values),
            T::RunEndEncoded(_, values) => Self::of(values.data_type()),
            // Also the type of NULL.
            _ => Self::Text,
        }
    }

    fn of_list(item: &Field) -> Self {
        match Self::of(item.data_type()) {
            Self::Json | Self::List(_) => Self::Json,
            of => Self::List(Box::new(of)),
        }
    }

    /// The type of a number; `None` for one that no value here has.
    pub fn of_oid(oid: u32) -> Option<Self> {
        if let Some(of) = TYPES.iter().find(|row| row.array == oid) {
            return Some(Self::List(Box::new(Self::of_oid(of.oid)?)));
        }
        Some(match oid {
            16 => Self::Bool,
            17 => Self::Bytes,
            20 => Self::Int8,
            26 => Self::Oid,
            21 => Self::Int2,
            23 => Self::Int4,
            700 => Self::Float4,
            701 => Self::Float8,
            1700 => Self::Numeric,
            18 | 19 | 25 | 1042 | 1043 | 2950 => Self::Text,
            114 | 3802 => Self::Json,
            1082 => Self::Date,
            1083 => Self::Time,
            1114 => Self::Timestamp,
            1184 => Self::Instant,
            1186 => Self::Interval,
            _ => return None,
        })
    }

    /// Its number.
    pub fn oid(&self) -> u32 {
        match self {
            Self::List(of) => of.row().array,
            one => one.row().oid,
        }
    }

    /// Its bytes; -1 for values of different lengths.
    pub fn length(&self) -> i16 {
        match self {
            Self::List(_) => -1,
            one => one.row().length,
        }
    }

    /// Its name in SQL.
    pub fn sql_name(&self) -> String {
        match self {
            Self::List(of) => format!("{}[]", of.sql_name()),
            one => one.row().sql_name.to_owned(),
        }
    }

    /// Its name in `pg_type`.
    pub fn name(&self) -> String {
        match self {
            Self::List(of) => format!("_{}", of.name()),
            one => one.row().name.to_owned(),
        }
    }

    fn row(&self) -> &'static TypeRow {
        let name = match self {
            Self::Bool => "bool",
            Self::Int2 => "int2",
            Self::Int4 => "int4",
            Self::Int8 => "int8",
            Self::Oid => "oid",
            Self::Float4 => "float4",
            Self::Float8 => "float8",
            Self::Numeric => "numeric",
            Self::Text | Self::List(_) => "text",
            Self::Bytes => "bytea",
            Self::Date => "date",
            Self::Time => "time",
            Self::Timestamp => "timestamp",
            Self::Instant => "timestamptz",
            Self::Interval => "interval",
            Self::Json => "json",
        };
        let found = TYPES.iter().find(|row| row.name == name);
        found.unwrap_or(&TYPES[7])
    }

    /// The type of a parameter of this type.
    pub fn to_bound(&self) -> BoundType {
        match self {
            Self::Bool => BoundType::Bool,
            Self::Int2 => BoundType::Int2,
            Self::Int4 => BoundType::Int4,
            Self::Int8 => BoundType::Int8,
            Self::Oid => BoundType::Oid,
            Self::Float4 => BoundType::Float4,
            Self::Float8 => BoundType::Float8,
            Self::Numeric => BoundType::Numeric,
            Self::Text | Self::Json => BoundType::Text,
            Self::Bytes => BoundType::Bytes,
            Self::Date => BoundType::Date,
            Self::Time => BoundType::Time,
            Self::Timestamp => BoundType::Timestamp,
            Self::Instant => BoundType::Instant,
            Self::Interval => BoundType::Interval,
            Self::List(of) => BoundType::List(Box::new(of.to_bound())),
        }
    }

    /// The type of a parameter that a query wants as this.
    pub fn of_bound(bound: &BoundType) -> Self {
        match bound {
            BoundType::Bool => Self::Bool,
            BoundType::Int2 => Self::Int2,
            BoundType::Int4 => Self::Int4,
            BoundType::Int8 => Self::Int8,
            BoundType::Oid => Self::Oid,
            BoundType::Float4 => Self::Float4,
            BoundType::Float8 => Self::Float8,
            BoundType::Numeric => Self::Numeric,
            BoundType::Text => Self::Text,
            BoundType::Bytes => Self::Bytes,
            BoundType::Date => Self::Date,
            BoundType::Time => Self::Time,
            BoundType::Timestamp => Self::Timestamp,
            BoundType::Instant => Self::Instant,
            BoundType::Interval => Self::Interval,
            BoundType::List(of) => Self::List(Box::new(Self::of_bound(of))),
        }
    }
}

/// The type of a number as SQL names it; `None` for a number of no type here.
pub fn sql_name_of(oid: u32) -> Option<String> {
    let plain = TYPES.iter().find(|row| row.oid == oid);
    let array = || TYPES.iter().find(|row| row.array == oid);
    plain
        .map(|row| row.sql_name.to_owned())
        .or_else(|| array().map(|row| format!("{}[]", row.sql_name)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::TimeUnit;

    use super::*;

    #[test]
    fn columns_have_the_numbers_of_postgresql() {
        let list = |of: DataType| DataType::List(Arc::new(Field::new("item", of, true)));
        for (data_type, oid, name) in [
            (DataType::Int64, 20, "bigint"),
            (DataType::UInt64, 1700, "numeric"),
            (DataType::Utf8View, 25, "text"),
            (
                DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
                1184,
                "timestamp with time zone",
            ),
            (
                DataType::Timestamp(TimeUnit::Second, None),
                1114,
                "timestamp without time zone",
            ),
            (list(DataType::Int32), 1007, "integer[]"),
            (list(list(DataType::Int32)), 114, "json"),
            (DataType::Null, 25, "text"),
        ] {
            let kind = Kind::of(&data_type);
            assert_eq!(
                (kind.oid(), kind.sql_name().as_str()),
                (oid, name),
                "{data_type}"
            );
        }
        assert_eq!(
            sql_name_of(1185).as_deref(),
            Some("timestamp with time zone[]")
        );
    }
}
