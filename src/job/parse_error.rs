//! A job file whose values do not fit: what serde finds, in the words of the job file.

use serde_json::Value;
use toml::Spanned;
use toml::de::DeValue;

use super::checked::nearest;
use super::job_text::{JobText, Wrong};
use super::schema;
use super::spec::SourceKind;
use crate::error::said_of;

/// The sections that a job has once, with what one of them needs.
const SECTIONS: [(&str, &str); 7] = [
    ("source", "kind = \"cloudwatch\", log_groups and staging"),
    ("window", "size = \"day\""),
    ("output", "location = \"s3://bucket/prefix\" or a folder"),
    ("run", "memory = \"2GiB\""),
    ("archive", "columns = { level = \"level(message)\" }"),
    ("notify", "sns, webhook or slack_token"),
    ("metrics", "namespace = \"logtally\""),
];

/// The value of a key that is missing, by its section.
const REQUIRED: [(&str, &str, &str); 7] = [
    ("", "name", "name = \"night\""),
    (
        "[source]",
        "kind",
        "kind = \"cloudwatch\", \"exported\", \"directory\", \"subscription\" or \"delivered\"",
    ),
    (
        "[output]",
        "location",
        "location = \"s3://bucket/prefix\" or a folder",
    ),
    (
        "[[query.chart]]",
        "kind",
        "kind = \"bar\", \"line\", \"stacked-bar\", \"heatmap\" or \"band\"",
    ),
    (
        "[[query.chart]]",
        "x",
        "x = the column along the x axis, such as \"hour_local\"",
    ),
    (
        "[[query.chart]]",
        "y",
        "y = the column of numbers, such as \"events\"",
    ),
    ("[[query]]", "name", "name = \"errors\""),
];

/// Keys that other tools have, and the key of the job file that means the same.
const SYNONYMS: [(&str, &str, &str); 16] = [
    ("", "tz", "timezone"),
    ("", "zone", "timezone"),
    ("", "lang", "language"),
    ("", "locale", "language"),
    ("[source]", "type", "kind"),
    ("[source]", "bucket", "staging"),
    ("[source]", "groups", "log_groups"),
    ("[output]", "bucket", "location"),
    ("[output]", "path", "location"),
    ("[output]", "prefix", "location"),
    ("[output]", "folder", "location"),
    ("[[query]]", "query", "sql"),
    ("[[query]]", "file", "sql"),
    ("[[query]]", "path", "sql"),
    ("[[query.chart]]", "type", "kind"),
    ("[window]", "length", "size"),
];

/// Checks that sections are written as sections. serde would only name the type that it expected.
pub(super) fn check_sections(job: &JobText<'_>) -> Result<(), Wrong> {
    for (name, needs) in SECTIONS {
        match job.value(name).map(|value| value.get_ref()) {
            None | Some(DeValue::Table(_)) => {}
            // [[source]], as a job may have several.
            Some(DeValue::Array(items)) if name == "source" && are_tables(items) => {}
            Some(DeValue::Array(_)) if name != "source" => {
                return Err(Wrong::at(
                    name,
                    format!("expected [{name}], as a job has one"),
                ));
            }
            Some(_) => {
                return Err(Wrong::at(
                    name,
                    format!("{name} is a section: expected a line [{name}], and below it {needs}"),
                ));
            }
        }
    }
    check_list(
        job,
        "query",
        "query",
        "use = \"hourly_count\", or name and sql",
    )?;
    check_list(job, "table", "table", "name and path")?;
    check_list(job, "expect", "expect", "query, and column with min or max")?;
    let queries = match job.value("query").map(|value| value.get_ref()) {
        Some(DeValue::Array(queries)) => queries.len(),
        _ => 0,
    };
    for place in 0..queries {
        check_list(
            job,
            &format!("query.{place}.chart"),
            "query.chart",
            "kind, x and y",
        )?;
    }
    Ok(())
}

fn are_tables(items: &[Spanned<DeValue<'_>>]) -> bool {
    let is_table = |item: &Spanned<DeValue<'_>>| matches!(item.get_ref(), DeValue::Table(_));
    items.iter().all(is_table)
}

/// Checks that a section that a job can have several times is written as such.
fn check_list(job: &JobText<'_>, path: &str, name: &str, needs: &str) -> Result<(), Wrong> {
    match job.value(path).map(|value| value.get_ref()) {
        None => Ok(()),
        Some(DeValue::Array(items)) if are_tables(items) => Ok(()),
        Some(DeValue::Table(_)) => Err(Wrong::at(
            path,
            format!("expected [[{name}]], as there can be several"),
        )),
        Some(_) => Err(Wrong::at(
            path,
            format!(
                "{} is a section: expected a line [[{name}]], and below it {needs}",
                key_of(path)
            ),
        )),
    }
}

/// What serde finds wrong. In one of several sources, it says in which.
pub(super) fn data_error(job: &JobText<'_>, error: &toml::de::Error) -> Wrong {
    let wrong = describe(job, error);
    let place = wrong.path.strip_prefix("source.");
    let place = place.and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
    match place {
        None => wrong,
        Some(place) => Wrong {
            message: said_of(&format!("[[source]] {}", place + 1), &wrong.message),
            ..wrong
        },
    }
}

fn describe(job: &JobText<'_>, error: &toml::de::Error) -> Wrong {
    let span = error.span();
    let path = span.and_then(|span| job.path_of(&span)).unwrap_or_default();
    let message = error.message();
    if let Some((field, known)) = unknown_field(message) {
        return Wrong::at(&path, unknown_key(job, &path, field, &known));
    }
    if let Some(field) = message.strip_prefix("missing field `") {
        return Wrong::at(&path, missing_key(&path, field.trim_end_matches('`')));
    }
    if let Some((value, expected)) = message
        .strip_prefix("unknown variant `")
        .and_then(|rest| rest.split_once("`, "))
    {
        let known: Vec<&str> = quoted(expected).collect();
        // Short values that share no beginning are only by chance alike.
        let is_meant = |near: &&str| {
            let first = |text: &str| text.chars().next().map(|c| c.to_ascii_lowercase());
            first(near) == first(value)
        };
        let hint = nearest(value, known.iter().copied())
            .filter(is_meant)
            .map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
        return Wrong::at(
            &path,
            format!(
                "{}expected {}{hint}",
                subject(job, &path),
                alternatives(&known)
            ),
        );
    }
    let of_serde = message
        .strip_prefix("invalid ")
        .and_then(|message| message.rsplit_once(", expected "));
    let expected = match of_serde {
        Some((_, expected)) => plain(expected),
        // Of a key with a few texts as its values, toml says only that they are none.
        None if message.starts_with("wanted ") => {
            let values = values_of(&path);
            alternatives(&values.iter().map(String::as_str).collect::<Vec<_>>())
        }
        None => match message.strip_prefix("expected ") {
            Some(expected) => expected.to_owned(),
            None => return Wrong::at(&path, message.trim_end().replace('\n', ", ")),
        },
    };
    let expected = match key_of(&path) {
        // The field's word for two things.
        "scale" => format!("{expected}; the scale of the values is y_scale"),
        _ => expected,
    };
    let instead = instead(job, &path, &expected).map_or_else(String::new, |value| {
        format!(": write {} = {value}", key_of(&path))
    });
    Wrong::at(
        &path,
        format!("{}expected {expected}{instead}", subject(job, &path)),
    )
}

/// `lookback = "3": `, the key and its value as they are written; of a value in a list, the list.
fn subject(job: &JobText<'_>, path: &str) -> String {
    let key = key_of(path);
    let list = path.trim_end_matches(|c: char| c == '.' || c.is_ascii_digit());
    match job.written(list).or_else(|| job.written(path)) {
        Some(written) => format!("{key} = {written}: "),
        None => format!("{key}: "),
    }
}

/// The last key of a path: of a value in a list, the key of the list.
fn key_of(path: &str) -> &str {
    let mut steps = path.rsplit('.');
    steps.find(|step| !is_place(step)).unwrap_or_default()
}

fn is_place(step: &str) -> bool {
    step.bytes().all(|byte| byte.is_ascii_digit())
}

/// Serde's names of types in plain words.
fn plain(expected: &str) -> String {
    match expected {
        "a string" => "text in quotes".to_owned(),
        "a sequence" => "a list".to_owned(),
        "u32" => "a whole number without quotes, such as 3".to_owned(),
        "f64" => "a number without quotes, such as 2.0".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "any valid TOML value" => "a smaller number".to_owned(),
        other => other.to_owned(),
    }
}

/// The value written as the key expects it, if that is plain: a list of one text, a text out of its list, a number without
/// quotes.
fn instead(job: &JobText<'_>, path: &str, expected: &str) -> Option<String> {
    let written = job.written(path)?;
    if expected.starts_with("the width and the height") {
        return pair(written);
    }
    match job.value(path)?.get_ref() {
        DeValue::String(text) if expected.starts_with("a list") => {
            let parts = text.split(',').map(|part| format!("{:?}", part.trim()));
            Some(format!("[{}]", parts.collect::<Vec<_>>().join(", ")))
        }
        DeValue::String(text) if expected.starts_with("a whole number") => {
            text.parse::<u32>().ok().map(|number| number.to_string())
        }
        DeValue::String(text) if expected.starts_with("a number") => {
            text.parse::<f64>().ok().map(|_| text.to_string())
        }
        DeValue::Array(items) if expected.starts_with("text") => match &items[..] {
            [only] if matches!(only.get_ref(), DeValue::String(_)) => {
                job.written(&format!("{path}.0")).map(str::to_owned)
            }
            _ => None,
        },
        DeValue::Datetime(_) if expected.starts_with("text") => Some(format!("\"{written}\"")),
        _ => None,
    }
}

/// `[600, 400]`, the two numbers of `"600x400"` or `{width = 600, height = 400}`.
fn pair(written: &str) -> Option<String> {
    let numbers: Vec<&str> = written
        .split(|c: char| !c.is_ascii_digit())
        .filter(|number| !number.is_empty())
        .collect();
    match numbers[..] {
        [width, height] if !written.contains('-') => Some(format!("[{width}, {height}]")),
        _ => None,
    }
}

fn missing_key(path: &str, key: &str) -> String {
    let section = section(path);
    if let Some((_, needs)) = SECTIONS
        .iter()
        .find(|(name, _)| section.is_empty() && *name == key)
    {
        return format!("[{key}] is missing: expected a line [{key}], and below it {needs}");
    }
    let required = REQUIRED
        .iter()
        .find(|required| (required.0, required.1) == (&section, key));
    let expected =
        required.map_or_else(String::new, |(.., example)| format!(": expected {example}"));
    match section.as_str() {
        "" => format!("{key} is missing{expected}, above the first section"),
        section => format!("{section} {key} is missing{expected}"),
    }
}

fn unknown_key(job: &JobText<'_>, path: &str, key: &str, known: &[&str]) -> String {
    // serde names the place of the key, whose section is above it.
    let section = section(path.rsplit_once('.').map_or("", |(above, _)| above));
    let unknown = format!("unknown key {key:?}");
    let synonym = SYNONYMS
        .iter()
        .find(|synonym| (synonym.0, synonym.1) == (&section, key));
    if let Some((.., meant)) = synonym {
        return format!("{unknown}; did you mean {meant:?}?");
    }
    if section.is_empty() && matches!(key, "chart" | "charts") {
        return format!("{unknown}: expected [[query.chart]] below the [[query]] that it draws");
    }
    let elsewhere = keys_by_section()
        .into_iter()
        .find(|(_, keys)| keys.iter().any(|other| other == key));
    if let Some((other, _)) = elsewhere {
        let place = match other.as_str() {
            "" => "above the first section".to_owned(),
            other => format!("in {other}"),
        };
        let here = if section.is_empty() {
            "above all sections"
        } else {
            &section
        };
        return format!("the key {key:?} is not one of {here}: expected it {place}");
    }
    let section_of_key = path.rsplit_once('.').map_or("source", |(above, _)| above);
    let kind = job
        .value(&format!("{section_of_key}.kind"))
        .and_then(|kind| kind.get_ref().as_str());
    let kind = SourceKind::ALL
        .into_iter()
        .find(|known| Some(known.as_str()) == kind);
    let fits = |key: &&&str| match kind {
        Some(kind) if section == "[source]" => SourceKind::that_take(key).contains(&kind),
        _ => true,
    };
    let known: Vec<&str> = known.iter().filter(fits).copied().collect();
    match nearest(key, known.iter().copied()) {
        Some(near) => format!("{unknown}; did you mean {near:?}?"),
        None => format!("{unknown}: expected {}", one_of(&known)),
    }
}

/// The section of the value at a path, as its header is written; empty for keys above all sections.
fn section(path: &str) -> String {
    let steps: Vec<&str> = path.split('.').filter(|step| !is_place(step)).collect();
    match steps[..] {
        ["query", "chart", ..] => "[[query.chart]]".to_owned(),
        ["query", ..] => "[[query]]".to_owned(),
        ["expect", ..] => "[[expect]]".to_owned(),
        [name, ..] if SECTIONS.iter().any(|(section, _)| *section == name) => format!("[{name}]"),
        _ => String::new(),
    }
}

/// The keys of each section.
fn keys_by_section() -> Vec<(String, Vec<String>)> {
    let schema = schema::schema();
    let keys = |properties: &Value| -> Vec<String> {
        let properties = properties.as_object().into_iter().flatten();
        properties.map(|(key, _)| key.clone()).collect()
    };
    let root = &schema["properties"];
    let mut sections = vec![(String::new(), keys(root))];
    let names = SECTIONS.iter().map(|(name, _)| name);
    sections.extend(names.map(|name| {
        let section = one_of_several(&root[name]);
        (format!("[{name}]"), keys(&section["properties"]))
    }));
    let query = &root["query"]["items"]["properties"];
    sections.push(("[[query]]".to_owned(), keys(query)));
    sections.push((
        "[[expect]]".to_owned(),
        keys(&root["expect"]["items"]["properties"]),
    ));
    sections.push((
        "[[query.chart]]".to_owned(),
        keys(&query["chart"]["items"]["properties"]),
    ));
    sections
}

/// The schema of a section, also of one that a job may have several times: the section, or a list of such.
fn one_of_several(schema: &Value) -> &Value {
    match &schema["anyOf"][0] {
        section if section["properties"].is_object() => section,
        _ => schema,
    }
}

/// The texts that a key can have.
fn values_of(path: &str) -> Vec<String> {
    let schema = schema::schema();
    let mut place = &schema;
    for step in path.split('.') {
        place = if is_place(step) {
            match &place["items"] {
                Value::Null => one_of_several(place),
                items => items,
            }
        } else {
            &one_of_several(place)["properties"][step]
        };
    }
    let texts = |values: &Value| -> Vec<String> {
        let values = values.as_array().into_iter().flatten();
        values
            .filter_map(|value| value.as_str().map(str::to_owned))
            .collect()
    };
    match &place["oneOf"] {
        Value::Array(variants) => variants
            .iter()
            .flat_map(|variant| match &variant["const"] {
                Value::String(only) => vec![only.clone()],
                _ => texts(&variant["enum"]),
            })
            .collect(),
        _ => texts(&place["enum"]),
    }
}

/// `"a"`, `"a" or "b"`, `"a", "b" or "c"`.
fn alternatives(values: &[&str]) -> String {
    let quoted: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
    match &quoted[..] {
        [] => "another value".to_owned(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

fn one_of(keys: &[&str]) -> String {
    match keys {
        [only] => format!("only {only}"),
        _ => format!("one of {}", keys.join(", ")),
    }
}

/// The unknown field and the known ones from serde's "unknown field `a`, expected one of `b`, `c`".
fn unknown_field(message: &str) -> Option<(&str, Vec<&str>)> {
    let mut names = quoted(message.strip_prefix("unknown field ")?);
    Some((names.next()?, names.collect()))
}

fn quoted(message: &str) -> impl Iterator<Item = &str> {
    message.split('`').skip(1).step_by(2)
}
