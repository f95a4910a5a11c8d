//! The functions of PostgreSQL's catalogue that clients call.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::Facts;
use super::tables::oid_of;
use crate::query::name_in_sql;
use crate::serve::settings::VERSION;
use crate::serve::types::sql_name_of;

/// What a function makes of the arguments of a row.
type Kernel = Arc<dyn Fn(&[ScalarValue]) -> ScalarValue + Send + Sync>;

/// A function, whose arguments may be of any number and type.
struct Simple {
    name: String,
    returns: DataType,
    kernel: Kernel,
    signature: Signature,
}

impl std::fmt::Debug for Simple {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl PartialEq for Simple {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Simple {}

impl Hash for Simple {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Simple {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalars: Option<Vec<ScalarValue>> = args
            .args
            .iter()
            .map(|arg| match arg {
                ColumnarValue::Scalar(value) => Some(value.clone()),
                ColumnarValue::Array(_) => None,
            })
            .collect();
        if let Some(scalars) = scalars {
            return Ok(ColumnarValue::Scalar((self.kernel)(&scalars)));
        }
        let columns = ColumnarValue::values_to_arrays(&args.args)?;
        let mut values = Vec::with_capacity(args.number_rows);
        for row in 0..args.number_rows {
            let of_row: Result<Vec<ScalarValue>> = columns
                .iter()
                .map(|column| ScalarValue::try_from_array(column, row))
                .collect();
            values.push((self.kernel)(&of_row?));
        }
        match values.is_empty() {
            true => Ok(ColumnarValue::Array(arrow::array::new_empty_array(
                &self.returns,
            ))),
            false => Ok(ColumnarValue::Array(ScalarValue::iter_to_array(values)?)),
        }
    }
}

fn function(
    name: &str,
    returns: DataType,
    kernel: impl Fn(&[ScalarValue]) -> ScalarValue + Send + Sync + 'static,
) -> ScalarUDF {
    ScalarUDF::from(Simple {
        name: name.to_owned(),
        returns,
        kernel: Arc::new(kernel),
        signature: Signature::one_of(
            vec![
                datafusion::logical_expr::TypeSignature::VariadicAny,
                datafusion::logical_expr::TypeSignature::Nullary,
            ],
            Volatility::Stable,
        ),
    })
}

fn constant(name: &str, value: ScalarValue) -> ScalarUDF {
    function(name, value.data_type(), move |_| value.clone())
}

fn text(text: &str) -> ScalarValue {
    ScalarValue::Utf8(Some(text.to_owned()))
}

const NO_TEXT: ScalarValue = ScalarValue::Utf8(None);

fn list(values: &[&str]) -> ScalarValue {
    let values: Vec<ScalarValue> = values.iter().map(|value| text(value)).collect();
    ScalarValue::List(ScalarValue::new_list(&values, &DataType::Utf8, true))
}

/// The number that an argument is, also as text.
fn number(value: Option<&ScalarValue>) -> Option<i64> {
    match value?.cast_to(&DataType::Int64).ok()? {
        ScalarValue::Int64(number) => number,
        _ => None,
    }
}

fn string(value: Option<&ScalarValue>) -> Option<String> {
    match value?.cast_to(&DataType::Utf8).ok()? {
        ScalarValue::Utf8(text) => text,
        _ => None,
    }
}

/// The parts of a name: `public."My table"` has two.
fn parts_of(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut in_quotes = false;
    let mut letters = name.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if in_quotes && letters.peek() == Some(&'"') => {
                letters.next();
                parts.last_mut().into_iter().for_each(|part| part.push('"'));
            }
            '"' => in_quotes = !in_quotes,
            '.' if !in_quotes => parts.push(String::new()),
            letter if in_quotes => parts
                .last_mut()
                .into_iter()
                .for_each(|part| part.push(letter)),
            letter => parts
                .last_mut()
                .into_iter()
                .for_each(|part| part.extend(letter.to_lowercase())),
        }
    }
    parts
}

/// All functions.
pub fn all(facts: &Facts) -> Vec<ScalarUDF> {
    use DataType::{Boolean, Int64, Utf8};
    let texts = || DataType::List(Arc::new(Field::new_list_field(Utf8, true)));
    let yes = ScalarValue::Boolean(Some(true));
    let no = ScalarValue::Boolean(Some(false));
    let zero = ScalarValue::Int64(Some(0));
    let mut all = Vec::new();
    let program = env!("CARGO_PKG_VERSION");
    let version = format!("PostgreSQL {VERSION} (logtally {program})");
    for (name, value) in [
        ("version", version.as_str()),
        ("current_database", facts.database.as_str()),
        ("current_catalog", facts.database.as_str()),
        ("current_schema", "public"),
        ("current_user", facts.user.as_str()),
        ("session_user", facts.user.as_str()),
        ("user", facts.user.as_str()),
        ("current_role", facts.user.as_str()),
        ("pg_get_userbyid", facts.user.as_str()),
        ("pg_encoding_to_char", "UTF8"),
        ("getdatabaseencoding", "UTF8"),
        ("pg_size_pretty", "0 bytes"),
        ("pg_advisory_unlock_all", ""),
        ("pg_get_viewdef", ""),
        ("pg_get_function_result", ""),
        ("pg_get_functiondef", ""),
    ] {
        all.push(constant(name, text(value)));
    }
    for name in [
        "pg_get_expr",
        "pg_get_constraintdef",
        "pg_get_indexdef",
        "pg_get_partkeydef",
        "pg_get_ruledef",
        "pg_get_triggerdef",
        "pg_get_serial_sequence",
        "col_description",
        "shobj_description",
        "pg_get_statisticsobjdef_columns",
        "pg_tablespace_location",
        "inet_client_addr",
        "inet_server_addr",
        "pg_get_function_sqlbody",
        "pg_get_statisticsobjdef",
        "pg_partition_ancestors",
    ] {
        all.push(constant(name, NO_TEXT));
    }
    for name in [
        "pg_table_is_visible",
        "pg_type_is_visible",
        "pg_function_is_visible",
        "pg_operator_is_visible",
        "pg_opclass_is_visible",
        "pg_collation_is_visible",
        "pg_conversion_is_visible",
        "pg_statistics_obj_is_visible",
        "pg_ts_config_is_visible",
        "pg_ts_dict_is_visible",
        "has_schema_privilege",
        "has_database_privilege",
        "pg_has_role",
        "pg_cancel_backend",
    ] {
        all.push(constant(name, yes.clone()));
    }
    for name in [
        "pg_is_in_recovery",
        "pg_is_wal_replay_paused",
        "pg_is_other_temp_schema",
        "pg_relation_is_publishable",
        "pg_try_advisory_lock",
        "pg_advisory_unlock",
        "has_sequence_privilege",
    ] {
        all.push(constant(name, no.clone()));
    }
    // What is granted is to read.
    for name in [
        "has_table_privilege",
        "has_column_privilege",
        "has_any_column_privilege",
        "has_function_privilege",
    ] {
        all.push(function(name, Boolean, |args| {
            let wanted = string(args.last()).unwrap_or_default().to_lowercase();
            let reads = |wanted: &str| ["select", "execute"].contains(&wanted.trim());
            ScalarValue::Boolean(Some(wanted.split(',').any(reads)))
        }));
    }
    for name in [
        "pg_relation_size",
        "pg_total_relation_size",
        "pg_table_size",
        "pg_indexes_size",
        "pg_database_size",
        "pg_tablespace_size",
        "pg_stat_get_numscans",
        "pg_my_temp_schema",
        "txid_current",
        "pg_current_xact_id",
        "inet_server_port",
        "inet_client_port",
    ] {
        all.push(constant(name, zero.clone()));
    }
    all.push(constant(
        "pg_backend_pid",
        ScalarValue::Int64(Some(facts.number.into())),
    ));
    all.push(function("current_schemas", texts(), |args| {
        match args.first() {
            Some(ScalarValue::Boolean(Some(true))) => list(&["pg_catalog", "public"]),
            _ => list(&["public"]),
        }
    }));
    all.push(function("format_type", Utf8, |args| {
        let name = number(args.first())
            .and_then(|oid| u32::try_from(oid).ok())
            .map(|oid| {
                sql_name_of(oid).unwrap_or_else(|| {
                    if oid == 0 {
                        "-".to_owned()
                    } else {
                        "???".to_owned()
                    }
                })
            });
        ScalarValue::Utf8(name)
    }));
    let settings: HashMap<String, String> = facts
        .settings
        .iter()
        .map(|(name, value)| (name.to_lowercase(), value.clone()))
        .collect();
    all.push(function("current_setting", Utf8, move |args| {
        let name = string(args.first()).unwrap_or_default().to_lowercase();
        ScalarValue::Utf8(settings.get(&name).cloned())
    }));
    // What a client sets so is what it is already, or has no effect here.
    all.push(function("set_config", Utf8, |args| {
        ScalarValue::Utf8(string(args.get(1)))
    }));
    all.push(function("quote_ident", Utf8, |args| {
        ScalarValue::Utf8(string(args.first()).map(|name| name_in_sql(&name)))
    }));
    all.push(function("quote_literal", Utf8, |args| {
        ScalarValue::Utf8(string(args.first()).map(|it| format!("'{}'", it.replace('\'', "''"))))
    }));
    all.push(function("parse_ident", texts(), |args| {
        let parts = parts_of(&string(args.first()).unwrap_or_default());
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        list(&parts)
    }));
    let names: HashMap<i64, String> = facts
        .tables
        .iter()
        .map(|table| (oid_of(&table.name), table.name.clone()))
        .chain(
            [
                "pg_class",
                "pg_type",
                "pg_proc",
                "pg_attribute",
                "pg_namespace",
                "pg_database",
            ]
            .map(|name| (oid_of(name), name.to_owned())),
        )
        .collect();
    let known: Vec<String> = names.values().cloned().collect();
    let find = move |name: &str| match name.trim().parse::<i64>() {
        Ok(oid) => Some(oid),
        Err(_) => {
            let parts = parts_of(name.trim());
            let name = parts.last()?;
            known.contains(name).then(|| oid_of(name))
        }
    };
    for name in ["to_regclass", "regclass_oid"] {
        let find = find.clone();
        all.push(function(name, Int64, move |args| {
            ScalarValue::Int64(string(args.first()).and_then(|name| find(&name)))
        }));
    }
    all.push(function("regclass_name", Utf8, move |args| {
        ScalarValue::Utf8(
            number(args.first()).map(|oid| match (names.get(&oid), oid) {
                (Some(name), _) => name_in_sql(name),
                (None, 0) => "-".to_owned(),
                (None, oid) => oid.to_string(),
            }),
        )
    }));
    for name in ["to_regtype", "regtype_oid"] {
        all.push(function(name, Int64, |args| {
            let name = string(args.first()).unwrap_or_default();
            let name = name.trim().trim_start_matches("pg_catalog.");
            let found = crate::serve::types::TYPES.iter().find_map(|row| {
                let is_array = |of: &str| {
                    name.strip_suffix("[]").is_some_and(|it| it == of)
                        || name.strip_prefix('_').is_some_and(|it| it == of)
                };
                match () {
                    () if [row.name, row.sql_name].contains(&name) => Some(row.oid),
                    () if is_array(row.name) || is_array(row.sql_name) => Some(row.array),
                    () => None,
                }
            });
            ScalarValue::Int64(found.map(i64::from).or_else(|| name.parse().ok()))
        }));
    }
    for name in ["to_regnamespace", "regnamespace_oid"] {
        all.push(function(name, Int64, |args| {
            let name = string(args.first()).unwrap_or_default();
            ScalarValue::Int64(match name.as_str() {
                "pg_catalog" => Some(11),
                "public" => Some(2200),
                "information_schema" => Some(13_000),
                other => other.parse().ok(),
            })
        }));
    }
    all.push(function("regnamespace_name", Utf8, |args| {
        ScalarValue::Utf8(number(args.first()).map(|oid| match oid {
            11 => "pg_catalog".to_owned(),
            2200 => "public".to_owned(),
            13_000 => "information_schema".to_owned(),
            other => other.to_string(),
        }))
    }));
    let arguments: HashMap<i64, String> = facts
        .functions
        .iter()
        .map(|function| {
            let call = function.syntax.first().map_or("", String::as_str);
            let inner = call.split_once('(').map_or("", |(_, rest)| rest);
            let inner = inner.strip_suffix(')').unwrap_or(inner);
            (oid_of(&format!("{}()", function.name)), inner.to_owned())
        })
        .collect();
    for name in [
        "pg_get_function_arguments",
        "pg_get_function_identity_arguments",
    ] {
        let arguments = arguments.clone();
        all.push(function(name, Utf8, move |args| {
            ScalarValue::Utf8(number(args.first()).and_then(|oid| arguments.get(&oid).cloned()))
        }));
    }
    let described: HashMap<i64, String> = facts
        .functions
        .iter()
        .map(|function| {
            (
                oid_of(&format!("{}()", function.name)),
                function.in_short().to_owned(),
            )
        })
        .collect();
    all.push(function("obj_description", Utf8, move |args| {
        ScalarValue::Utf8(number(args.first()).and_then(|oid| described.get(&oid).cloned()))
    }));
    all
}

/// The names of these functions, by which a query is found to be one over the catalogue.
pub fn is_named(name: &str) -> bool {
    const OTHERS: [&str; 22] = [
        "version",
        "current_database",
        "current_catalog",
        "current_schema",
        "current_schemas",
        "current_user",
        "session_user",
        "user",
        "current_role",
        "format_type",
        "current_setting",
        "set_config",
        "quote_ident",
        "quote_literal",
        "parse_ident",
        "obj_description",
        "col_description",
        "shobj_description",
        "to_regclass",
        "to_regtype",
        "to_regnamespace",
        "txid_current",
    ];
    OTHERS.contains(&name)
        || name.starts_with("pg_")
        || name.starts_with("has_") && name.ends_with("_privilege")
        || name.starts_with("inet_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_names_are_without_their_quotes() {
        assert_eq!(
            parts_of("public.\"My \"\"t\"\".x\""),
            ["public", "My \"t\".x"]
        );
        assert_eq!(parts_of("LOGS"), ["logs"]);
    }
}
