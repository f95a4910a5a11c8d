//! The tables of `pg_catalog` and `information_schema`: which there are, and their rows over the tables of a session.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, BooleanArray, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder,
};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::{MemTable, MemorySchemaProvider, SchemaProvider, TableProvider};
use datafusion::error::Result;

use super::Facts;
use crate::query::{FunctionKind, TableKind};
use crate::serve::types::{Kind, TYPES};

/// The schema of the catalogue.
pub const CATALOGUE: &str = "pg_catalog";

/// The standard's schema.
pub const STANDARD: &str = "information_schema";

/// The numbers of the schemas: PostgreSQL's own.
const SCHEMAS: [(i64, &str); 3] = [(11, CATALOGUE), (2200, "public"), (13_000, STANDARD)];

/// The number of the one role.
pub const OWNER: i64 = 10;

/// A table that clients read.
pub struct Spec {
    /// Its schema.
    pub schema: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its columns with their types.
    pub columns: Vec<(&'static str, DataType)>,
}

/// All tables, by schema and name.
pub static SPECS: LazyLock<BTreeMap<(&str, &str), Spec>> = LazyLock::new(|| {
    let lines = include_str!("tables.txt").lines();
    let tables = lines.filter(|line| !line.starts_with('#')).filter_map(spec);
    tables
        .map(|spec| ((spec.schema, spec.name), spec))
        .collect()
});

fn spec(line: &'static str) -> Option<Spec> {
    let mut words = line.split(' ');
    let (schema, name) = words.next()?.split_once('.')?;
    let columns = words.map(|word| match word {
        word if word.ends_with('#') => (word.trim_end_matches('#'), DataType::Int64),
        word if word.ends_with('?') => (word.trim_end_matches('?'), DataType::Boolean),
        word if word.ends_with("[]") => (
            word.trim_end_matches("[]"),
            DataType::List(Arc::new(Field::new("item", DataType::Utf8, true))),
        ),
        word => (word, DataType::Utf8),
    });
    Some(Spec {
        schema,
        name,
        columns: columns.collect(),
    })
}

/// Whether a table never has rows here.
pub fn is_empty(schema: &str, name: &str) -> bool {
    const FILLED: [&str; 26] = [
        "pg_cursors",
        "pg_am",
        "pg_attribute",
        "pg_authid",
        "pg_class",
        "pg_database",
        "pg_description",
        "pg_language",
        "pg_namespace",
        "pg_proc",
        "pg_roles",
        "pg_settings",
        "pg_tables",
        "pg_tablespace",
        "pg_timezone_names",
        "pg_type",
        "pg_user",
        "pg_views",
        "columns",
        "enabled_roles",
        "routines",
        "schemata",
        "tables",
        "views",
        "pg_stat_activity",
        "pg_stat_ssl",
    ];
    SPECS.contains_key(&(schema, name)) && !FILLED.contains(&name)
}

/// A value of a row.
#[derive(Debug, Clone)]
enum Value {
    Text(String),
    Number(i64),
    Bool(bool),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

/// A row: its columns that are not zero, false and NULL.
type Row = Vec<(&'static str, Value)>;

macro_rules! row {
    ($($name:ident: $value:expr),* $(,)?) => {
        vec![$((stringify!($name), Value::from($value))),*]
    };
}

/// The number of a table or a function: the same for its name at any time, beyond those that PostgreSQL has for itself.
pub fn oid_of(name: &str) -> i64 {
    match name {
        "pg_type" => return 1247,
        "pg_attribute" => return 1249,
        "pg_proc" => return 1255,
        "pg_class" => return 1259,
        "pg_namespace" => return 2615,
        "pg_database" => return 1262,
        _ => {}
    }
    // FNV-1a, in 30 bits.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    16_384 + i64::try_from(hash & 0x3fff_ffff).unwrap_or_default()
}

/// The schemas with their tables.
pub fn schemas(facts: &Facts) -> Result<[(&'static str, Arc<dyn SchemaProvider>); 2]> {
    let mut rows = rows(facts);
    let schema = |wanted: &'static str, rows: &mut BTreeMap<&str, Vec<Row>>| {
        let provider = MemorySchemaProvider::new();
        for spec in SPECS.values().filter(|spec| spec.schema == wanted) {
            let rows = rows.remove(spec.name).unwrap_or_default();
            provider.register_table(spec.name.to_owned(), table(spec, &rows)?)?;
        }
        Ok::<_, datafusion::error::DataFusionError>(Arc::new(provider) as Arc<dyn SchemaProvider>)
    };
    Ok([
        (CATALOGUE, schema(CATALOGUE, &mut rows)?),
        (STANDARD, schema(STANDARD, &mut rows)?),
    ])
}

fn table(spec: &Spec, rows: &[Row]) -> Result<Arc<dyn TableProvider>> {
    let value = |row: &Row, name: &str| {
        let found = row.iter().find(|(column, _)| *column == name);
        found.map(|(_, value)| value.clone())
    };
    let columns = spec.columns.iter().map(|(name, data_type)| -> ArrayRef {
        let values = rows.iter().map(|row| value(row, name));
        match data_type {
            DataType::Int64 => Arc::new(Int64Array::from_iter_values(values.map(
                |value| match value {
                    Some(Value::Number(number)) => number,
                    _ => 0,
                },
            ))),
            DataType::Boolean => Arc::new(BooleanArray::from_iter(
                values.map(|value| Some(matches!(value, Some(Value::Bool(true))))),
            )),
            DataType::List(_) => {
                let mut lists = ListBuilder::new(StringBuilder::new());
                values.for_each(|_| lists.append_null());
                Arc::new(lists.finish())
            }
            _ => Arc::new(StringArray::from_iter(values.map(|value| match value {
                Some(Value::Text(text)) => Some(text),
                _ => None,
            }))),
        }
    });
    let columns: Vec<ArrayRef> = columns.collect();
    let fields = spec.columns.iter();
    let fields = fields.map(|(name, data_type)| Field::new(*name, data_type.clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
}

/// The rows of the tables that have some.
fn rows(facts: &Facts) -> BTreeMap<&'static str, Vec<Row>> {
    let mut all: BTreeMap<&'static str, Vec<Row>> = BTreeMap::new();
    let mut add = |table: &'static str, row: Row| all.entry(table).or_default().push(row);
    for (oid, name) in SCHEMAS {
        add(
            "pg_namespace",
            row! { oid: oid, nspname: name, nspowner: OWNER },
        );
        add(
            "schemata",
            row! { catalog_name: facts.database.as_str(), schema_name: name, schema_owner: facts.user.as_str() },
        );
    }
    for name in &facts.cursors {
        add("pg_cursors", row! { name: name.as_str() });
    }
    add("pg_am", row! { oid: 2_i64, amname: "heap", amtype: "t" });
    add(
        "pg_language",
        row! { oid: 12_i64, lanname: "internal", lanowner: OWNER },
    );
    add(
        "pg_tablespace",
        row! { oid: 1663_i64, spcname: "pg_default", spcowner: OWNER },
    );
    add(
        "pg_database",
        row! { oid: 16_000_i64, datname: facts.database.as_str(), datdba: OWNER, encoding: 6_i64, datlocprovider: "c", datallowconn: true, datconnlimit: -1_i64, dattablespace: 1663_i64, datcollate: "C", datctype: "C" },
    );
    let user = facts.user.as_str();
    add(
        "pg_roles",
        row! { oid: OWNER, rolname: user, rolinherit: true, rolcanlogin: true, rolconnlimit: -1_i64, rolpassword: "********" },
    );
    add(
        "pg_authid",
        row! { oid: OWNER, rolname: user, rolcanlogin: true },
    );
    add(
        "pg_user",
        row! { usename: user, usesysid: OWNER, passwd: "********" },
    );
    add("enabled_roles", row! { role_name: user });
    add(
        "pg_stat_activity",
        row! { datid: 16_000_i64, datname: facts.database.as_str(), pid: i64::from(facts.number), usesysid: OWNER, usename: user, state: "active", backend_type: "client backend" },
    );
    add(
        "pg_stat_ssl",
        row! { pid: i64::from(facts.number), ssl: facts.is_encrypted },
    );
    for (name, value) in &facts.settings {
        add(
            "pg_settings",
            row! { name: *name, setting: value.as_str(), category: "logtally", short_desc: "", context: "user", vartype: "string", source: "default", boot_val: value.as_str(), reset_val: value.as_str() },
        );
    }
    for zone in chrono_tz::TZ_VARIANTS {
        add("pg_timezone_names", row! { name: zone.name() });
    }
    add_types(&mut add);
    add_tables(facts, &mut add);
    for function in &facts.functions {
        let kind = match function.kind {
            FunctionKind::Aggregate => "a",
            FunctionKind::Window => "w",
            FunctionKind::Scalar | FunctionKind::Table => "f",
        };
        let schema: i64 = if function.is_own { 2200 } else { 11 };
        let name = function.name.as_str();
        add(
            "pg_proc",
            row! { oid: oid_of(&format!("{name}()")), proname: name, pronamespace: schema, proowner: OWNER, prolang: 12_i64, procost: 1_i64, prokind: kind, provolatile: "i", proparallel: "s", proretset: function.kind == FunctionKind::Table, prorettype: 25_i64, proargtypes: "", prosrc: name },
        );
        add(
            "pg_description",
            row! { objoid: oid_of(&format!("{name}()")), classoid: oid_of("pg_proc"), description: function.in_short() },
        );
        let schema = if function.is_own { "public" } else { CATALOGUE };
        add(
            "routines",
            row! { specific_catalog: facts.database.as_str(), specific_schema: schema, specific_name: name, routine_catalog: facts.database.as_str(), routine_schema: schema, routine_name: name, routine_type: "FUNCTION", external_language: "INTERNAL" },
        );
    }
    all
}

fn add_types(add: &mut impl FnMut(&'static str, Row)) {
    for of in TYPES {
        let collation: i64 = if of.category == 'S' { 100 } else { 0 };
        let category = of.category.to_string();
        let array = i64::from(of.array);
        let plain = i64::from(of.oid);
        add(
            "pg_type",
            row! { oid: plain, typname: of.name, typnamespace: 11_i64, typowner: OWNER, typlen: i64::from(of.length), typtype: "b", typcategory: category, typispreferred: ["text", "bool", "float8", "oid", "timestamptz", "interval"].contains(&of.name), typisdefined: true, typdelim: ",", typsubscript: "-", typarray: array, typinput: format!("{}in", of.name), typoutput: format!("{}out", of.name), typreceive: format!("{}recv", of.name), typsend: format!("{}send", of.name), typalign: "i", typstorage: "p", typtypmod: -1_i64, typcollation: collation },
        );
        add(
            "pg_type",
            row! { oid: array, typname: format!("_{}", of.name), typnamespace: 11_i64, typowner: OWNER, typlen: -1_i64, typtype: "b", typcategory: "A", typisdefined: true, typdelim: ",", typsubscript: "array_subscript_handler", typelem: plain, typinput: "array_in", typoutput: "array_out", typreceive: "array_recv", typsend: "array_send", typalign: "i", typstorage: "x", typtypmod: -1_i64, typcollation: collation },
        );
    }
}

fn add_tables(facts: &Facts, add: &mut impl FnMut(&'static str, Row)) {
    let database = facts.database.as_str();
    let owner = facts.user.as_str();
    for table in &facts.tables {
        let name = table.name.as_str();
        let oid = oid_of(name);
        let is_view = table.kind == TableKind::View;
        let fields = table
            .columns
            .iter()
            .flat_map(|columns| columns.fields())
            .enumerate();
        let count = table
            .columns
            .as_ref()
            .map_or(0, |columns| columns.fields().len());
        add(
            "pg_class",
            row! { oid: oid, relname: name, relnamespace: 2200_i64, reltype: oid + 1, relowner: OWNER, relam: if is_view { 0_i64 } else { 2 }, reltuples: -1_i64, relpersistence: "p", relkind: if is_view { "v" } else { "r" }, relnatts: i64::try_from(count).unwrap_or_default(), relispopulated: true, relreplident: "n" },
        );
        let described = description(table.kind);
        add(
            "pg_description",
            row! { objoid: oid, classoid: oid_of("pg_class"), description: described },
        );
        add(
            "tables",
            row! { table_catalog: database, table_schema: "public", table_name: name, table_type: if is_view { "VIEW" } else { "BASE TABLE" }, is_insertable_into: "NO", is_typed: "NO" },
        );
        match is_view {
            true => {
                add(
                    "pg_views",
                    row! { schemaname: "public", viewname: name, viewowner: owner, definition: "" },
                );
                add(
                    "views",
                    row! { table_catalog: database, table_schema: "public", table_name: name, check_option: "NONE", is_updatable: "NO" },
                );
            }
            false => add(
                "pg_tables",
                row! { schemaname: "public", tablename: name, tableowner: owner },
            ),
        }
        for (at, field) in fields {
            let kind = Kind::of(field.data_type());
            let number = i64::try_from(at + 1).unwrap_or_default();
            let is_list = matches!(kind, Kind::List(_));
            let collation: i64 = if kind == Kind::Text { 100 } else { 0 };
            add(
                "pg_attribute",
                row! { attrelid: oid, attname: field.name().as_str(), atttypid: i64::from(kind.oid()), attstattarget: -1_i64, attlen: i64::from(kind.length()), attnum: number, attndims: i64::from(is_list), attcacheoff: -1_i64, atttypmod: -1_i64, attalign: "i", attstorage: "p", attcompression: "", attnotnull: !field.is_nullable(), attidentity: "", attgenerated: "", attislocal: true, attcollation: collation },
            );
            let data_type = if is_list {
                "ARRAY".to_owned()
            } else {
                kind.sql_name()
            };
            add(
                "columns",
                row! { table_catalog: database, table_schema: "public", table_name: name, column_name: field.name().as_str(), ordinal_position: number, is_nullable: if field.is_nullable() { "YES" } else { "NO" }, data_type: data_type, udt_catalog: database, udt_schema: CATALOGUE, udt_name: kind.name(), is_identity: "NO", is_generated: "NEVER", is_updatable: "NO" },
            );
        }
    }
}

fn description(kind: TableKind) -> &'static str {
    match kind {
        TableKind::Logs => "the events of the windows",
        TableKind::Hours => "the hours of the window, those without events too",
        TableKind::Answer => "the answers of a query of the job",
        TableKind::Lookup => "a lookup table",
        TableKind::Files => "Parquet files",
        TableKind::View => "a view",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_tables_is_read() {
        let class = &SPECS[&(CATALOGUE, "pg_class")];
        assert_eq!(class.columns[0], ("oid", DataType::Int64));
        assert_eq!(class.columns[1], ("relname", DataType::Utf8));
        assert!(is_empty(CATALOGUE, "pg_index") && !is_empty(CATALOGUE, "pg_class"));
        assert!(!is_empty("public", "logs"));
        for ((schema, name), spec) in SPECS.iter() {
            let mut names: Vec<&str> = spec.columns.iter().map(|(name, _)| *name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), spec.columns.len(), "{schema}.{name}");
        }
    }

    #[test]
    fn numbers_are_those_of_names() {
        assert_eq!(oid_of("logs"), oid_of("logs"));
        assert_ne!(oid_of("logs"), oid_of("hours"));
        assert!(oid_of("logs") >= 16_384 && oid_of("logs") < i64::from(i32::MAX));
    }
}
