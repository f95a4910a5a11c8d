//! The keys of the job file: the schema, which comes from the code, against the documents, the defaults that jobs really
//! get, and the job files of this repository.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value};

use super::{path, read};
use crate::job::spec::SourceKind;
use crate::job::{parse, schema};

/// Where the schema's own file is.
const SCHEMA: &str = "jobs/logtally.schema.json";

/// The tables of a job file, and where their keys are in the schema.
const TABLES: [(&str, &str); 13] = [
    ("", ""),
    ("[source]", "/properties/source/anyOf/0"),
    ("[window]", "/properties/window"),
    ("[output]", "/properties/output"),
    ("[[query]]", "/properties/query/items"),
    (
        "[[query.chart]]",
        "/properties/query/items/properties/chart/items",
    ),
    ("[archive]", "/properties/archive"),
    ("[formats.NAME]", "/properties/formats/additionalProperties"),
    ("[[table]]", "/properties/table/items"),
    ("[[expect]]", "/properties/expect/items"),
    ("[notify]", "/properties/notify"),
    ("[metrics]", "/properties/metrics"),
    ("[run]", "/properties/run"),
];

/// A key in the schema.
struct Key {
    default: Option<Value>,
    is_required: bool,
}

/// The keys of a table in the schema, without those that are tables themselves.
fn keys_of(schema: &Value, pointer: &str) -> BTreeMap<String, Key> {
    let table = schema.pointer(pointer).expect("the schema has the table");
    let required = table["required"].as_array().cloned().unwrap_or_default();
    let by_kind = SourceKind::ALL.map(SourceKind::required_keys).concat();
    let properties: &Map<String, Value> = table["properties"].as_object().expect("it has keys");
    // A table of any names, such as parameters, is the value of one key. One that may be a list is a choice of both.
    let is_table = |value: &Value| {
        value["properties"].is_object()
            || value["anyOf"][0]["properties"].is_object()
            || value["additionalProperties"]["properties"].is_object()
            || value["items"]["type"] == "object"
    };
    properties
        .iter()
        .filter(|(_, value)| !is_table(value))
        .map(|(name, value)| {
            let of_a_kind = pointer.contains("/source/") && by_kind.contains(&name.as_str());
            let key = Key {
                default: value.get("default").cloned(),
                is_required: of_a_kind || required.iter().any(|key| key == name),
            };
            (name.clone(), key)
        })
        .collect()
}

/// A row of a table of keys: the keys, and what stands in the column of defaults.
struct Row {
    table: String,
    keys: Vec<String>,
    default: String,
    line: usize,
}

/// The rows of the first table below a heading. A row that names a table begins that table's keys.
fn rows(text: &str, heading: &str, mut table: String) -> Vec<Row> {
    let mut rows = Vec::new();
    let lines = text
        .lines()
        .enumerate()
        .skip_while(|(_, line)| *line != heading);
    let lines = lines.skip_while(|(_, line)| !line.starts_with('|')).skip(2);
    for (number, line) in lines.take_while(|(_, line)| line.starts_with('|')) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let ["", keys, _, default, ""] = cells[..] else {
            panic!("line {}: expected three columns: {line}", number + 1);
        };
        let names: Vec<String> = keys
            .split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect();
        match keys.strip_prefix("**") {
            Some(_) => table = names.concat(),
            None => rows.push(Row {
                table: table.clone(),
                keys: names,
                default: default.to_owned(),
                line: number + 1,
            }),
        }
    }
    rows
}

/// The value of a cell that is nothing but a value of TOML in backticks.
fn value(cell: &str) -> Option<Value> {
    let code = cell.strip_prefix('`')?.strip_suffix('`')?;
    let table: Map<String, Value> = toml::from_str(&format!("value = {code}")).ok()?;
    table.get("value").cloned()
}

/// What is wrong in a document's table of keys.
fn faults(file: &str, rows: &[Row]) -> Vec<String> {
    let schema = schema::schema();
    let mut wrong = Vec::new();
    let tables: BTreeSet<&str> = rows.iter().map(|row| row.table.as_str()).collect();
    for (table, pointer) in TABLES.iter().filter(|(table, _)| tables.contains(table)) {
        let mut known = keys_of(&schema, pointer);
        for row in rows.iter().filter(|row| row.table == *table) {
            for name in &row.keys {
                let place = format!("{file}:{}: {table} `{name}`", row.line);
                let Some(key) = known.remove(name) else {
                    wrong.push(format!(
                        "{place} is no key of the job file, or stands here twice"
                    ));
                    continue;
                };
                let cell = row.default.as_str();
                // Keys that are described elsewhere have no default here.
                if cell.is_empty() {
                    continue;
                }
                if value(cell) != key.default {
                    let expected = key
                        .default
                        .map_or("no value".to_owned(), |it| it.to_string());
                    wrong.push(format!(
                        "{place}: the default is {cell}, and {expected} in the code"
                    ));
                }
                if cell.starts_with("required") != key.is_required {
                    let really = if key.is_required {
                        "required"
                    } else {
                        "not required"
                    };
                    wrong.push(format!(
                        "{place}: the default is {cell:?}, but the key is {really}"
                    ));
                }
            }
        }
        wrong.extend(
            known
                .keys()
                .map(|name| format!("{file}: the key `{name}` of {table:?} is missing")),
        );
    }
    wrong
}

#[test]
fn the_readme_lists_the_keys_and_their_defaults() {
    let rows = rows(&read("README.md"), "## The job file", String::new());
    let tables: BTreeSet<&str> = rows.iter().map(|row| row.table.as_str()).collect();
    assert_eq!(tables, TABLES.map(|(table, _)| table).into());
    let wrong = faults("README.md", &rows);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_page_of_charts_lists_the_keys_and_their_defaults() {
    let table = "[[query.chart]]".to_owned();
    let rows = rows(&read("docs/charts.md"), "## All keys", table);
    let wrong = faults("docs/charts.md", &rows);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A job over a kind of source, with a line more in one of its tables.
fn job_with(kind: SourceKind, table: &str, line: &str) -> String {
    let source = match kind {
        SourceKind::CloudWatch => "log_groups = [\"/a\"]\nstaging = \"s3://acme-logs/exports\"",
        SourceKind::Exported | SourceKind::Directory | SourceKind::Subscription => {
            "path = \"logs\""
        }
    };
    let tables = [
        ("", "name = \"night\"".to_owned()),
        (
            "[source]",
            format!("kind = \"{}\"\n{source}", kind.as_str()),
        ),
        ("[window]", String::new()),
        ("[output]", "location = \"out\"".to_owned()),
        ("[[query]]", "use = \"hourly_count\"".to_owned()),
        (
            "[[query.chart]]",
            "kind = \"bar\"\nx = \"hour_local\"\ny = \"events\"".to_owned(),
        ),
        (
            "[[table]]",
            "name = \"customers\"\npath = \"customers.csv\"".to_owned(),
        ),
        (
            "[[expect]]",
            "query = \"hourly_count\"\ncolumn = \"events\"\nmin = 1".to_owned(),
        ),
        (
            "[notify]",
            "sns = \"arn:aws:sns:eu-west-1:123456789012:nightly\"".to_owned(),
        ),
        ("[metrics]", "namespace = \"logtally\"".to_owned()),
        ("[run]", String::new()),
    ];
    let lines = tables.map(|(name, keys)| {
        let more = if name == table { line } else { "" };
        format!("{name}\n{keys}\n{more}\n")
    });
    lines.concat()
}

/// The job that a text resolves to, as a text that shows every value.
fn resolved(text: &str) -> String {
    let job = parse(Path::new("jobs/night.toml"), text);
    format!(
        "{:#?}",
        job.unwrap_or_else(|error| panic!("{error}\n{text}"))
    )
}

#[test]
fn the_schemas_defaults_are_those_of_the_program() {
    let schema = schema::schema();
    let mut count = 0;
    for (table, pointer) in TABLES {
        for (name, key) in keys_of(&schema, pointer) {
            let Some(default) = key.default else {
                continue;
            };
            let kind = match table {
                "[source]" => SourceKind::that_take(&name)[0],
                _ => SourceKind::CloudWatch,
            };
            let line = format!("{name} = {default}");
            assert_eq!(
                resolved(&job_with(kind, table, &line)),
                resolved(&job_with(kind, table, "")),
                "{table} {name}: the schema's default {default} is not what a job without the key gets"
            );
            count += 1;
        }
    }
    assert!(count >= 11, "only {count} keys have a default");
}

#[test]
fn the_schemas_file_is_that_of_the_program() {
    let text = schema::text();
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(path(SCHEMA), &text).expect("the checkout is writable");
    }
    assert!(
        read(SCHEMA) == text,
        "{SCHEMA} is not what the program prints: UPDATE_EXPECTED=1 cargo test --lib documents writes it"
    );
}

#[test]
fn every_job_file_names_the_schema_in_its_first_line() {
    let mut count = 0;
    for folder in ["jobs", "docs/gallery"] {
        for entry in std::fs::read_dir(path(folder)).expect("a readable folder") {
            let file = entry.expect("a readable folder").path();
            if file.extension().is_none_or(|extension| extension != "toml") {
                continue;
            }
            let text = std::fs::read_to_string(&file).expect("job files are UTF-8");
            let first = text.lines().next().unwrap_or_default();
            let named = first.strip_prefix("#:schema ").map(|relative| {
                let folder = file.parent().expect("a file has a folder");
                folder.join(relative).canonicalize().ok()
            });
            let expected = path(SCHEMA).canonicalize().ok();
            assert!(
                named == Some(expected),
                "{}: expected `#:schema` and the relative path of {SCHEMA} in the first line, not {first:?}",
                file.display()
            );
            count += 1;
        }
    }
    assert!(count >= 8, "only {count} job files");
}
