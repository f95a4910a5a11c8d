//! The functions that a query can call, as their users read about them.

use std::collections::HashSet;

use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::Documentation;

use super::{Session, functions};

/// What a function is called over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionKind {
    /// The values of a row.
    Scalar,
    /// The rows of a group.
    Aggregate,
    /// The rows of a window: with `OVER`.
    Window,
    /// Nothing; it gives a table behind `FROM`.
    Table,
}

/// A function in words.
#[derive(Debug, Clone)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Other names of the same function.
    pub aliases: Vec<String>,
    /// What it is called over.
    pub kind: FunctionKind,
    /// Whether it is of logtally and not of the engine.
    pub is_own: bool,
    /// What it is about, such as `Messages`.
    pub section: &'static str,
    /// Calls, such as `level(message)`.
    pub syntax: Vec<String>,
    /// What it answers.
    pub answers: String,
    /// Each argument with what it is.
    pub arguments: Vec<(String, String)>,
    /// A query behind `> `, and its answer.
    pub example: Option<String>,
}

impl Function {
    /// The first sentence of what it answers.
    pub fn in_short(&self) -> &str {
        let text = self.answers.trim();
        let line = text.split('\n').next().unwrap_or(text);
        let end = line.find(". ").map_or(line.len(), |end| end + 1);
        line[..end].trim_end_matches(':')
    }

    /// Whether its name, or another of its names, matches a pattern: with `*` and `?` or `%` all of it, else a part of it.
    pub fn matches(&self, pattern: &str) -> bool {
        let names = std::iter::once(&self.name).chain(&self.aliases);
        names.into_iter().any(|name| is_like(name, pattern))
    }
}

/// Whether a name matches a pattern, in any case of the letters: with `*`, `%` or `?` all of it, else a part of it.
pub fn is_like(name: &str, pattern: &str) -> bool {
    let (name, pattern) = (name.to_lowercase(), pattern.to_lowercase());
    if !pattern.contains(['*', '%', '?']) {
        return name.contains(&pattern);
    }
    fn fits(name: &[char], pattern: &[char]) -> bool {
        match (pattern, name) {
            ([], name) => name.is_empty(),
            (['*' | '%', rest @ ..], _) => {
                (0..=name.len()).any(|skipped| fits(&name[skipped..], rest))
            }
            (['?', pattern @ ..], [_, name @ ..]) => fits(name, pattern),
            ([wanted, pattern @ ..], [c, name @ ..]) => wanted == c && fits(name, pattern),
            _ => false,
        }
    }
    let letters = |text: &str| text.chars().collect::<Vec<char>>();
    fits(&letters(&name), &letters(&pattern))
}

impl Session {
    /// Every function, those of logtally first, then by what they are about.
    pub fn functions(&self) -> Vec<Function> {
        let state = self.context.state();
        let engine = names_of_engine();
        let own: HashSet<String> = functions::all(self.timezone())
            .iter()
            .map(|function| function.name().to_owned())
            .collect();
        let mut found = Vec::new();
        let mut add = |key: &str, name: &str, aliases: &[String], kind, documentation| {
            // Each alias is a key too.
            if key == name {
                let is_own = own.contains(name) || !engine.contains(name);
                found.push(described(name, aliases, kind, is_own, documentation));
            }
        };
        for (key, function) in state.scalar_functions() {
            let documentation = function.documentation();
            add(
                key,
                function.name(),
                function.aliases(),
                FunctionKind::Scalar,
                documentation,
            );
        }
        for (key, function) in state.aggregate_functions() {
            let documentation = function.documentation();
            add(
                key,
                function.name(),
                function.aliases(),
                FunctionKind::Aggregate,
                documentation,
            );
        }
        for (key, function) in state.window_functions() {
            let documentation = function.documentation();
            add(
                key,
                function.name(),
                function.aliases(),
                FunctionKind::Window,
                documentation,
            );
        }
        for name in state.table_functions().keys() {
            // Others are a scalar function too, which says what they answer.
            if let Some(documentation) = functions::description_of(name) {
                add(name, name, &[], FunctionKind::Table, Some(documentation));
            }
        }
        found.sort_by(|one, other| {
            let place = |of: &Function| (!of.is_own, of.section);
            place(one)
                .cmp(&place(other))
                .then_with(|| one.name.cmp(&other.name))
        });
        found
    }
}

fn names_of_engine() -> HashSet<String> {
    let scalar = SessionStateDefaults::default_scalar_functions();
    let aggregate = SessionStateDefaults::default_aggregate_functions();
    let window = SessionStateDefaults::default_window_functions();
    let scalar = scalar.iter().map(|function| function.name().to_owned());
    let aggregate = aggregate.iter().map(|function| function.name().to_owned());
    let window = window.iter().map(|function| function.name().to_owned());
    scalar.chain(aggregate).chain(window).collect()
}

fn described(
    name: &str,
    aliases: &[String],
    kind: FunctionKind,
    is_own: bool,
    documentation: Option<&Documentation>,
) -> Function {
    let syntax = documentation.map(|of| {
        let others = of.alternative_syntax.iter().flatten().cloned();
        std::iter::once(of.syntax_example.clone())
            .chain(others)
            .collect()
    });
    Function {
        name: name.to_owned(),
        // Some functions list their own name.
        aliases: aliases
            .iter()
            .filter(|alias| *alias != name)
            .cloned()
            .collect(),
        kind,
        is_own,
        section: documentation.map_or("Other Functions", |of| of.doc_section.label),
        syntax: syntax.unwrap_or_else(|| vec![format!("{name}(…)")]),
        answers: documentation
            .map(|of| of.description.trim().to_owned())
            .unwrap_or_default(),
        arguments: documentation
            .and_then(|of| of.arguments.clone())
            .unwrap_or_default(),
        example: documentation
            .and_then(|of| of.sql_example.as_deref())
            .map(without_fence),
    }
}

/// An example without the marks of Markdown around it.
fn without_fence(example: &str) -> String {
    let lines = example
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.trim_start().starts_with("```"));
    let text = lines.collect::<Vec<_>>().join("\n");
    text.trim_matches('\n').to_owned()
}

#[cfg(test)]
mod tests {
    use arrow::array::RecordBatch;
    use arrow::util::pretty::pretty_format_batches;
    use futures::TryStreamExt;

    use super::*;
    use crate::error::Error;
    use crate::query::Engine;

    fn session() -> Session {
        let engine = Engine::new(64 << 20, &std::env::temp_dir()).unwrap();
        engine.session(chrono_tz::UTC).unwrap()
    }

    /// Functions whose example would need a job, or the lines of a log stream.
    const WITHOUT_EXAMPLE: [&str; 2] = ["invocation_number", "parse_as"];

    /// The queries of an example, each with its answer below it: as a table behind `> ` and `;`, or as a comment.
    fn parts(example: &str) -> Vec<(String, String)> {
        if let Some((sql, answer)) = example.split_once("\n-- ") {
            return vec![(sql.to_owned(), answer.trim().to_owned())];
        }
        let mut parts = Vec::new();
        for part in format!("\n{example}").split("\n> ").skip(1) {
            let (sql, answer) = part.split_once(";\n").unwrap_or((part, ""));
            parts.push((
                sql.trim_end_matches(';').to_owned(),
                answer.trim().to_owned(),
            ));
        }
        parts
    }

    /// The first cell of a table.
    fn cell(table: &str) -> &str {
        let row = table.lines().nth(3).unwrap_or_default();
        row.trim_matches(['|', ' '])
    }

    #[test]
    fn a_pattern_is_a_part_of_a_name_or_all_of_it() {
        for (name, pattern, expected) in [
            ("json_get", "json", true),
            ("json_get", "GET", true),
            ("json_get", "json*", true),
            ("json_get", "*json", false),
            ("json_get", "json_g?t", true),
            ("json_get", "%get%", true),
            ("level", "leve?l", false),
            ("level", "", true),
        ] {
            assert_eq!(is_like(name, pattern), expected, "{name} {pattern}");
        }
    }

    #[tokio::test]
    async fn each_function_of_logtally_is_described_and_its_example_is_true() {
        let session = session();
        let own: Vec<Function> = session.functions();
        let own: Vec<Function> = own.into_iter().filter(|function| function.is_own).collect();
        assert!(own.len() > 20);
        let mut wrong = Vec::new();
        for function in own {
            let name = &function.name;
            if function.answers.is_empty() {
                wrong.push(format!("{name} has no description"));
                continue;
            }
            let calls = |syntax: &String| syntax.starts_with(&format!("{name}("));
            if !function.syntax.iter().any(calls) {
                wrong.push(format!("{name} has no syntax"));
            }
            let parts = function.example.as_deref().map(parts).unwrap_or_default();
            if parts.is_empty() && !WITHOUT_EXAMPLE.contains(&name.as_str()) {
                wrong.push(format!("{name} has no example"));
            }
            for (sql, expected) in parts {
                let answer = async {
                    let statement = session.statement(&sql, "SQL").await?;
                    let batches = session.run(&statement).await?.batches;
                    let batches: Vec<RecordBatch> =
                        batches.try_collect().await.map_err(Error::from_engine)?;
                    Ok::<_, Error>(pretty_format_batches(&batches).unwrap().to_string())
                };
                match answer.await {
                    Ok(answer) if answer == expected || cell(&answer) == expected => {}
                    Ok(answer) => wrong.push(format!("{name}: {sql};\n{answer}")),
                    Err(error) => wrong.push(format!("{name}: {sql}: {}", error.in_full())),
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[tokio::test]
    async fn the_engine_lists_functions_with_their_descriptions() {
        let session = session();
        let undescribed = "SELECT DISTINCT routine_name FROM information_schema.routines \
                           WHERE coalesce(description, '') = '' AND function_type <> 'TABLE' ORDER BY 1";
        let statement = session.statement(undescribed, "SQL").await.unwrap();
        let batches = session.run(&statement).await.unwrap().batches;
        let batches: Vec<RecordBatch> = batches.try_collect().await.unwrap();
        let table = pretty_format_batches(&batches).unwrap().to_string();
        assert_eq!(
            batches.iter().map(RecordBatch::num_rows).sum::<usize>(),
            0,
            "{table}"
        );
    }
}
