//! The JSON Schema of the job file, by which editors complete and check it. It knows every key, its form and its default;
//! what depends on other files, on the zone or on several tables is checked by `logtally plan`.
//!
//! It keeps to what editors of TOML understand best: draft 7, without references, and conditions as `if` and `else`.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::checked::{ByteSize, GroupPattern, Length, Name, Namespace, Secret, Share, Text, Zone};
use super::spec::{
    FormatSpec, JobSpec, OneOrMore, SourceKind, SourceSpec, SourcesSpec, TextOrFalse,
};
use super::worker_address::WorkerAddress;
use super::{charts, library};

/// The name of the file that job files name in their first line: `#:schema ./logtally.schema.json`.
pub const FILE_NAME: &str = "logtally.schema.json";

/// The schema as the text of a file.
pub fn text() -> String {
    format!("{:#}\n", schema())
}

/// The schema.
pub fn schema() -> Value {
    SchemaSettings::draft07()
        .with(|settings| settings.inline_subschemas = true)
        .with_transform(RecursiveTransform(without_null))
        .with_transform(RecursiveTransform(describe))
        .into_generator()
        .into_root_schema_for::<JobSpec>()
        .to_value()
}

/// TOML has no null: a key that may be left out is left out.
fn without_null(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    let null = json!({"type": "null"});
    if let Some(Value::Array(alternatives)) = object.get_mut("anyOf") {
        alternatives.retain(|alternative| *alternative != null);
        if let [Value::Object(only)] = &mut alternatives[..] {
            let only = std::mem::take(only);
            object.remove("anyOf");
            for (key, value) in only {
                object.entry(key).or_insert(value);
            }
        }
    }
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = &mut types[..] {
            let only = only.take();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
}

/// A description is one line, at whose end stands the default.
fn describe(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    let default = object.get("default").map(Value::to_string);
    if let Some(Value::String(description)) = object.get_mut("description") {
        *description = description.replace('\n', " ");
        if let Some(default) = default {
            *description += &format!(" Default: `{default}`.");
        }
    }
}

/// What a text with a variable in it looks like: its value can't be checked before a run.
const VARIABLE: &str = r"\$\{";

/// A text of this form, or one with a variable.
fn text_like(pattern: &str) -> Schema {
    json_schema!({"type": "string", "pattern": format!("^({pattern})$|{VARIABLE}")})
}

/// One of these texts, or a text with a variable.
fn text_of(values: impl IntoIterator<Item = &'static str>) -> Schema {
    let values: Vec<&str> = values.into_iter().collect();
    json_schema!({"type": "string", "anyOf": [{"enum": values}, {"pattern": VARIABLE}]})
}

/// The schema of a type of the job file that is written as a text.
macro_rules! schema_of {
    ($type:ty, $schema:expr) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

schema_of!(Text, json_schema!({"type": "string"}));
schema_of!(
    WorkerAddress,
    text_like(r"(dns://)?[A-Za-z0-9._-]+:[0-9]+|\[[0-9A-Fa-f:.]+\]:[0-9]+")
);

impl JsonSchema for SourcesSpec {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Sources".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let source = generator.subschema_for::<SourceSpec>();
        json_schema!({"anyOf": [source, {"type": "array", "items": source, "minItems": 1}]})
    }
}

/// The type of the key `formats`.
pub(super) struct Formats;

impl JsonSchema for Formats {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Formats".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let format = generator.subschema_for::<FormatSpec>();
        let name = generator.subschema_for::<Name>();
        json_schema!({
            "type": "object",
            "additionalProperties": format,
            "propertyNames": name,
        })
    }
}

schema_of!(Name, text_like("[a-z][a-z0-9_]{0,63}"));
schema_of!(
    Zone,
    text_of(chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()))
);
schema_of!(Length, text_like(LENGTH));
schema_of!(ByteSize, text_like(r"0*[1-9][0-9]*\s*([KMG]i?B|TiB|B)\s*"));
schema_of!(
    GroupPattern,
    text_like(r"(arn:[^:]+:logs:[^:]+:[^:]+:log-group:)?[A-Za-z0-9._/#*?\[\]{},!-]{1,512}(:\*)?")
);

/// The units that `humantime` reads.
const LENGTH: &str = concat!(
    r"\s*([0-9]+(\.[0-9]+)?\s*",
    "(nanos|nsec|ns|usec|us|µs|millis|msec|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h",
    "|days?|d|weeks?|wks?|w|months?|M|years?|yrs?|y)",
    r"\s*)+"
);

/// A location: a bucket with a prefix, or a folder.
pub(super) struct Place;
schema_of!(Place, json_schema!({"type": "string", "minLength": 1}));

/// The value of a parameter.
pub(super) struct ParameterValue;
schema_of!(
    ParameterValue,
    json_schema!({"type": ["string", "number", "boolean"]})
);

/// The id of a window, or a word for the last one that ended.
pub(super) struct WindowId;
schema_of!(
    WindowId,
    text_like(r"yesterday|last|[0-9]{4}-([0-9]{2}|[0-9]{2}-[0-9]{2}(T[0-9]{2})?|W[0-9]{2})")
);

/// A distance on the calendar.
pub(super) struct CalendarSpan;
schema_of!(
    CalendarSpan,
    text_like("0*[1-9][0-9]*(h| hours?|d| days?|w| weeks?|mo| months?)")
);

schema_of!(Share, text_like(SHARE));
schema_of!(
    Secret,
    json_schema!({"type": "string", "pattern": r"^\$\{[^${}]+\}$"})
);
schema_of!(
    Namespace,
    text_like(r"[A-Za-z0-9._/#-][A-Za-z0-9._/#:-]{0,254}")
);

/// A part of a whole.
const SHARE: &str = r"[0-9]+(\.[0-9]*)?\s*%";

/// A number, or a share.
pub(super) struct Bound;
schema_of!(
    Bound,
    json_schema!({"anyOf": [{"type": "number"}, {"type": "string", "pattern": format!("^({SHARE})$|{VARIABLE}")}]})
);

/// The name of a built-in query.
pub(super) struct BuiltInName;
schema_of!(BuiltInName, text_of(library::names()));

schema_of!(
    TextOrFalse,
    json_schema!({"anyOf": [{"type": "string"}, {"const": false}]})
);
schema_of!(
    OneOrMore,
    json_schema!({
        "anyOf": [
            {"type": "string"},
            {"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": true},
        ],
    })
);

/// The width and the height of a chart.
pub(super) struct ChartSize;
schema_of!(ChartSize, {
    let side = |range: RangeInclusive<u32>| json!({"type": "integer", "minimum": range.start(), "maximum": range.end()});
    json_schema!({
        "type": "array",
        "items": [side(charts::WIDTHS), side(charts::HEIGHTS)],
        "minItems": 2,
        "maxItems": 2,
    })
});

/// `query` is required, although the program has an error of its own for a job without one.
pub(super) fn require_query(schema: &mut Schema) {
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.push("query".into());
    }
}

/// Which keys of `[source]` a kind needs, and which it refuses.
pub(super) fn check_source(schema: &mut Schema) {
    let keys: Vec<String> = match schema.get("properties") {
        Some(Value::Object(properties)) => properties.keys().cloned().collect(),
        _ => Vec::new(),
    };
    let cases = SourceKind::ALL.map(|kind| {
        let is_foreign = |key: &&String| !SourceKind::that_take(key).contains(&kind);
        let foreign: Map<String, Value> = keys
            .iter()
            .filter(is_foreign)
            .map(|key| (key.clone(), false.into()))
            .collect();
        let then = json!({"required": kind.required_keys(), "properties": foreign});
        (kind.as_str(), then)
    });
    by_kind(schema, &cases);
}

/// A notification goes somewhere.
pub(super) fn check_notify(schema: &mut Schema) {
    let either = json!([{"required": ["sns"]}, {"required": ["webhook"]}, {"required": ["slack_token", "slack_channel"]}]);
    schema.insert("anyOf".to_owned(), either);
}

/// A key of KMS does not go with S3's own keys.
pub(super) fn check_output(schema: &mut Schema) {
    let both = json!({
        "required": ["sse", "sse_kms_key"],
        "properties": {"sse": {"const": "AES256"}},
    });
    schema.insert("not".to_owned(), both);
}

/// A query is built in, or has a file and a name; its answer is divided in one way at the most.
pub(super) fn check_query(schema: &mut Schema) {
    schema.insert("if".to_owned(), json!({"required": ["use"]}));
    schema.insert("then".to_owned(), json!({"properties": {"sql": false}}));
    schema.insert("else".to_owned(), json!({"required": ["name", "sql"]}));
    let both = json!({
        "required": ["file_size", "partition_by"],
        "properties": {"partition_by": {"minItems": 1}},
    });
    schema.insert("not".to_owned(), both);
}

/// Which keys of `[[query.chart]]` go with a kind.
pub(super) fn check_chart(schema: &mut Schema) {
    let one = json!({"maxItems": 1});
    let no_errors = json!({"const": false});
    let linear = json!({"const": "linear"});
    by_kind(
        schema,
        &[
            (
                "bar",
                json!({"properties": {"y": one, "series": false, "y_scale": linear}}),
            ),
            (
                "line",
                json!({"properties": {"y": {"maxItems": charts::MAX_LINES}, "errors": no_errors}}),
            ),
            (
                "stacked-bar",
                json!({"required": ["series"], "properties": {"y": one, "errors": no_errors, "y_scale": linear}}),
            ),
            (
                "heatmap",
                json!({"properties": {"y": one, "errors": no_errors, "compare": false, "y_scale": linear}}),
            ),
            (
                "band",
                json!({"properties": {
                    "y": {"type": "array", "minItems": 2, "maxItems": charts::MAX_BANDS},
                    "errors": no_errors,
                    "series": false,
                    "compare": false,
                }}),
            ),
        ],
    );
}

/// Conditions one within the other, as editors show no keys of a schema that has them side by side (`allOf`).
fn by_kind(schema: &mut Schema, cases: &[(&str, Value)]) {
    let conditions = cases.iter().rev().fold(json!({}), |otherwise, (kind, then)| {
        json!({"if": {"properties": {"kind": {"const": kind}}}, "then": then, "else": otherwise})
    });
    if let Value::Object(conditions) = conditions {
        for (key, value) in conditions {
            schema.insert(key, value);
        }
    }
}
