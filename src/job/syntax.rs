//! Text that is not TOML: what it is instead, and how it is written.

use super::checked::{is_secret, without_secret};

/// What is wrong with the text at a place, for which TOML's parser has only its grammar.
pub(super) fn explain(text: &str, place: Option<usize>, message: &str) -> String {
    if let Some(other) = other_language(text) {
        return other;
    }
    let place = place.unwrap_or(0).min(text.len());
    let start = text[..place].rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    let line = line.trim();
    let written = line.trim_start_matches(['/', '-', ';', ' ']);
    let shown = without_secret(written);
    if shown.len() < written.len() {
        return format!("{shown} is not written as TOML: expected {shown} = \"${{NAME}}\"");
    }
    if text.matches("\"\"\"").count() % 2 == 1 {
        return "a text that begins with \"\"\" has no \"\"\" at its end".to_owned();
    }
    if message.starts_with("missing comma between key-value pairs") {
        return "a table in braces has no comma between two keys, or no } at its end".to_owned();
    }
    for mark in ["//", "--", ";"] {
        if let Some(comment) = line.strip_prefix(mark) {
            return format!("a comment begins with #: expected # {}", comment.trim());
        }
    }
    match line.starts_with('[') {
        true => of_header(line, message),
        false => of_line(line, &text[place..], message),
    }
}

/// What to write instead, if the text is in a language that job files are often taken to be in.
fn other_language(text: &str) -> Option<String> {
    let mut lines = text.lines().map(str::trim);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with('#'))?;
    let word = first.split_whitespace().next()?;
    let is_key = |key: &str| key.chars().all(|c| c.is_alphanumeric() || "_-".contains(c));
    // A single line with a colon is a slip in a file of TOML.
    let has_toml = text.lines().any(|line| line.contains('='));
    let is_yaml =
        matches!(word, "---" | "-") || word.strip_suffix(':').is_some_and(is_key) && !has_toml;
    let has_select = || text.to_ascii_lowercase().contains("select");
    let is_sql = ["select", "with", "create", "explain"]
        .iter()
        .any(|keyword| word.eq_ignore_ascii_case(keyword))
        || word.starts_with("--") && has_select();
    Some(match first.chars().next()? {
        '{' | '[' if first.starts_with('{') || first.starts_with("[{") => "this looks like JSON: expected TOML, such as name = \"night\"".to_owned(),
        '<' => "this looks like XML: expected TOML, such as name = \"night\"".to_owned(),
        _ if is_yaml => {
            let example = first
                .split_once(": ")
                .filter(|(key, _)| !is_secret(key.trim()))
                .map_or_else(
                    || "name = \"night\"".to_owned(),
                    |(key, value)| assignment(key, value),
                );
            format!("this looks like YAML: expected TOML, such as {example}")
        }
        _ if is_sql => {
            "this looks like SQL: expected a job file in TOML, whose [[query]] names the file of its SQL (sql = \"errors.sql\")"
                .to_owned()
        }
        _ => return None,
    })
}

/// `key = "value"`, whatever quotes the value has.
fn assignment(key: &str, value: &str) -> String {
    let quotes = ['"', '\'', '“', '”', '‘', '’', '„'];
    let value = value.trim().trim_end_matches([',', ';']);
    format!("{} = {:?}", key.trim(), value.trim_matches(quotes))
}

fn of_header(line: &str, message: &str) -> String {
    let name = line.trim_matches(['[', ']', ' ']);
    if message.starts_with("duplicate key") {
        return match name {
            "query" if line.starts_with("[[") => {
                "a [[query.chart]] is above the first [[query]]: expected it below the query that it draws".to_owned()
            }
            "query" | "query.chart" => format!("expected [[{name}]], as a job can have several"),
            "source" => "[source] is in the file twice: expected all its keys in one place, or [[source]] for each of several sources".to_owned(),
            _ => format!("[{name}] is in the file twice: expected all its keys in one place"),
        };
    }
    let is_name = |c: char| c.is_alphanumeric() || "_-.".contains(c);
    match name.chars().find(|c| !is_name(*c)) {
        Some(' ') => format!(
            "the name of a section has no space: expected one such as [{}]",
            name.replace(' ', "_")
        ),
        _ if line.starts_with("[[") && !line.ends_with("]]") => {
            format!("expected [[{name}]], with ]] at the end")
        }
        _ if !line.ends_with(']') => format!("expected [{name}], with ] at the end"),
        _ => plain(message),
    }
}

/// What is wrong with a line that should have a key and a value; `rest` is the text from the place on that the parser names.
fn of_line(line: &str, rest: &str, message: &str) -> String {
    let Some((key, value)) = line.split_once('=') else {
        return match line.split_once(':') {
            Some((key, value)) => format!("expected {}", assignment(key, value)),
            None if message.starts_with("duplicate key") => plain(message),
            None => format!(
                "{line:?} has no value: expected a key, = and a value, such as {}",
                assignment("name", "night")
            ),
        };
    };
    let (key, value) = (key.trim(), value.trim());
    if message.starts_with("duplicate key") {
        return format!("{key} is set a second time: expected one of the two");
    }
    let plain_key = key.trim_end_matches([':', ' ']);
    let plain_value = value.trim_start_matches(['=', '>', ' ']);
    if plain_key.is_empty() {
        return format!("the line has no key before =: expected one, such as name = {value}");
    }
    if (plain_key, plain_value) != (key, value) {
        return format!("expected {}", assignment(plain_key, plain_value));
    }
    if key.contains(char::is_whitespace) && !key.starts_with(['"', '\'']) {
        let word = key.split_whitespace().collect::<Vec<_>>().join("_");
        return format!("the key {key:?} has a space: expected one word, such as {word}");
    }
    match value.chars().next() {
        None => format!(
            "{key} has no value: expected one, such as {}",
            assignment("name", "night")
        ),
        Some('“' | '”' | '‘' | '’' | '„') => {
            format!(
                "{value} has curly quotes: expected {}",
                assignment(key, value)
            )
        }
        Some('"') if value.contains('\\') && is_of_escape(message) => format!(
            "a \\ in \"…\" begins an escape: expected {key} = '{}'",
            value.trim_matches('"')
        ),
        Some('"' | '\'') if message.contains("visible characters") => format!(
            "the text of {key} has a control character: expected an escape such as \\n or \\u0007"
        ),
        Some('"' | '\'') if !closes(value) => format!(
            "the text of {key} has no quote at its end: expected {}",
            assignment(key, value)
        ),
        Some('(') => format!("TOML has no (…): expected a list, such as {key} = [\"a\", \"b\"]"),
        Some('[') => of_list(key, message),
        _ if rest.starts_with([',', ';']) => format!(
            "expected the end of the line behind the value, without {:?}",
            &rest[..1]
        ),
        _ if message.starts_with("unexpected key or value") && closes(value) => format!(
            "{} is behind the value of {key}: expected a line for each key",
            rest.lines().next().unwrap_or_default().trim()
        ),
        Some(first) => of_bare_value(key, value, first).unwrap_or_else(|| plain(message)),
    }
}

/// What to write for a value without quotes.
fn of_bare_value(key: &str, value: &str, first: char) -> Option<String> {
    let word = value.to_ascii_lowercase();
    Some(match word.as_str() {
        "true" | "yes" | "on" => format!("{value} is not a value of TOML: expected {key} = true"),
        "false" | "no" | "off" => format!("{value} is not a value of TOML: expected {key} = false"),
        "null" | "none" | "nil" | "undefined" | "~" => {
            format!("TOML has no {value}: expected a value, or no line for {key}")
        }
        _ if first.is_ascii_digit() || matches!(first, '{' | '+' | '-' | '"' | '\'') => {
            return None;
        }
        _ => format!(
            "the text of {key} has no quotes: expected {}",
            assignment(key, value)
        ),
    })
}

fn of_list(key: &str, message: &str) -> String {
    match message {
        _ if message.starts_with("unclosed array") => {
            format!("the list of {key} has no ] at its end")
        }
        _ if message.starts_with("missing comma") => {
            format!("the list of {key} has no comma between two of its values")
        }
        _ if message.starts_with("extra comma") => {
            format!("the list of {key} has a comma too many")
        }
        _ if message.starts_with("string values must be quoted") => {
            format!(
                "a text in the list of {key} has no quotes: expected one such as [\"a\", \"b\"]"
            )
        }
        _ => plain(message),
    }
}

/// Whether the parser complains of an escape in a text.
fn is_of_escape(message: &str) -> bool {
    ["escape", "unicode", "hexadecimal"]
        .iter()
        .any(|word| message.contains(word))
}

/// Whether a quoted value has its closing quote.
fn closes(value: &str) -> bool {
    let mut chars = value.chars();
    let quote = chars.next();
    matches!(quote, Some('"' | '\'')) && chars.any(|c| Some(c) == quote)
}

/// The parser's message in one line.
fn plain(message: &str) -> String {
    message.trim_end().replace('\n', ", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(text: &str) -> String {
        let error = toml::de::DeTable::parse(text).unwrap_err();
        explain(text, error.span().map(|span| span.start), error.message())
    }

    #[test]
    fn another_language_is_named() {
        for (text, expected) in [
            (
                "name: night\nsource:\n",
                "YAML: expected TOML, such as name = \"night\"",
            ),
            ("---\nname: night\n", "YAML"),
            ("# a comment\n{\"name\": 1}", "JSON"),
            ("<job/>", "XML"),
            ("[{\"name\": 1}]", "JSON"),
            ("- name: night", "YAML"),
            ("select 1", "SQL"),
            ("-- hours\nSELECT 1", "SQL"),
        ] {
            let told = explained(text);
            assert!(told.contains(expected), "{text:?}: {told}");
        }
    }

    #[test]
    fn a_secret_is_not_repeated() {
        for line in [
            "webhook = https://x/s3cret",
            "// slack_token = s3cret",
            "slack_token: s3cret",
        ] {
            let message = explain(line, Some(0), "");
            assert!(!message.contains("s3cret"), "{message}");
        }
    }

    #[test]
    fn a_wrong_line_is_written_as_it_should_be() {
        for (text, expected) in [
            ("name = night", "expected name = \"night\""),
            ("name = “night”", "expected name = \"night\""),
            ("name = \"night", "expected name = \"night\""),
            ("name =", "name has no value"),
            ("name", "\"name\" has no value"),
            ("a = 1\nname: night", "expected name = \"night\""),
            ("a = False", "expected a = false"),
            ("a = null", "no line for a"),
            ("a = ${HOME}/x", "expected a = \"${HOME}/x\""),
            ("a => \"b\"", "expected a = \"b\""),
            ("a := \"b\"", "expected a = \"b\""),
            ("a == \"b\"", "expected a = \"b\""),
            ("= \"b\"", "no key before ="),
            ("time zone = \"b\"", "such as time_zone"),
            ("a = \"b\" \"c\"", "a line for each key"),
            ("a = \"b\" c = \"d\"", "a line for each key"),
            ("a = [b]", "has no quotes"),
            ("a = [\"b\"", "has no ] at its end"),
            ("a = [\"b\" \"c\"]", "no comma between"),
            ("a = ('b',)", "expected a list"),
            ("a = \"\"\"b", "at its end"),
            ("a = {b = 1\nc = 2", "no } at its end"),
            ("-- text\na = 1", "expected # text"),
            ("; text\na = 1", "expected # text"),
            ("a = 1\n// text", "expected # text"),
            ("a = \"b\",", "without \",\""),
            ("a = \"b\";", "without \";\""),
            ("a = \"C:\\Users\\me\"", "expected a = 'C:\\Users\\me'"),
            ("[output", "expected [output], with ] at the end"),
            ("[[query]", "expected [[query]], with ]] at the end"),
            ("[out put]", "such as [out_put]"),
            ("a = 1\na = 2", "a is set a second time"),
            ("[a]\n[a]", "[a] is in the file twice"),
            ("[[query]]\n[query]", "expected [[query]]"),
            ("[[query.chart]]\n[[query]]", "above the first [[query]]"),
        ] {
            let told = explained(text);
            assert!(told.contains(expected), "{text:?}: {told}");
        }
    }
}
