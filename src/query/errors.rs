//! The engine's errors in PostgreSQL's words and those of the query: one sentence, the place in the SQL with the line that
//! it is in, and what to write instead where that is known.
//!
//! The engine says what it found in terms of its plans and types. Each file beside this one takes the messages of one kind
//! apart; what none of them takes is said with PostgreSQL's types. `tests/wrong_sql/` has what becomes of some hundred
//! wrong queries.

mod calls;
mod columns;
mod commands;
mod excerpt;
mod habits;
pub(super) mod place;
mod shapes;
mod signs;
mod syntax;
mod types;
mod values;

pub(super) use commands::refuse_commands;
pub(super) use types::in_postgres_words;

use arrow::datatypes::DataType;
use datafusion::catalog::SchemaProvider;
use datafusion::common::Diagnostic;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;

use self::excerpt::excerpt;
use self::place::{Place, SpanStart, Sql};
use super::Session;
use crate::error::{Class, Error, STAGES, find_panic, without_stages};
use crate::window::written_time::NoTime;

/// What is said of an error.
#[derive(Debug, Default)]
struct Said {
    /// One sentence without a full stop.
    text: String,
    /// What to write instead.
    hint: Option<String>,
    /// Where, if that is known better than by the engine.
    place: Option<Place>,
}

impl Said {
    fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn at(mut self, place: Option<Place>) -> Self {
        self.place = place;
        self
    }
}

/// The names that a query can use.
#[derive(Debug, Default)]
struct Names {
    tables: Vec<String>,
    functions: Vec<String>,
}

impl Session {
    /// The engine's error over a query as one of this crate. `origin` names the source of the SQL.
    pub(super) fn explain(&self, origin: &str, sql: &str, error: DataFusionError) -> Error {
        let written = sql.strip_prefix('\u{feff}').unwrap_or(sql);
        let sql = Sql::new(written);
        let diagnostic = error.diagnostic().cloned();
        let of_engine = diagnostic.as_ref().and_then(SpanStart::span_start);
        let said = match Error::own_within(&error) {
            Some(own) if own.is_explained() => return own,
            Some(own) if own.class() == Class::Usage => {
                return placed(own, origin, written, of_engine);
            }
            // Not of the query, such as an object that is damaged.
            Some(own) if own.class() != Class::Sql => return own,
            Some(own) => Said {
                text: own.message(),
                hint: own.hint().map(str::to_owned),
                place: of_engine.or_else(|| place::named(&own.message(), &sql)),
            },
            None if find_panic(&error).is_some() => return Error::from_engine(error),
            None => self.said(&error, &sql, diagnostic.as_ref()),
        };
        if let DataFusionError::ObjectStore(_) = error.find_root() {
            return Error::from_engine(error);
        }
        let mut told = Error::new(Class::Sql, said.text);
        if let Some(hint) = said.hint {
            told = told.with_hint(hint);
        }
        placed(told, origin, written, said.place.or(of_engine))
    }

    fn said(&self, error: &DataFusionError, sql: &Sql<'_>, found: Option<&Diagnostic>) -> Said {
        let root = error.find_root();
        if let DataFusionError::External(root) = root
            && let Some(no_time) = root.downcast_ref::<NoTime>()
        {
            return values::no_time(no_time, sql);
        }
        if let DataFusionError::SQL(parser, _) = root {
            let message = match parser.as_ref() {
                ParserError::ParserError(message) | ParserError::TokenizerError(message) => message,
                ParserError::RecursionLimitExceeded => {
                    return Said::new(
                        "the query has too many brackets or sub-selects in each other",
                    );
                }
            };
            return syntax::said(message, sql);
        }
        if let DataFusionError::ResourcesExhausted(why) = root {
            return values::out_of_memory(why, self.memory());
        }
        let message = root.strip_backtrace();
        let message = without_stages(&message);
        let names = self.names();
        let mut said = syntax::of_plan(message, sql)
            .or_else(|| columns::said(message, sql, &names, found))
            .or_else(|| calls::said(message, sql, &names))
            .or_else(|| shapes::said(message, sql))
            .or_else(|| values::said(message, sql))
            .unwrap_or_else(|| other(message));
        if said.place.is_none() && found.is_none() {
            said.place = place::named(message, sql);
        }
        said
    }

    fn names(&self) -> Names {
        let state = self.context.state();
        let scalar = state.scalar_functions().keys();
        let functions = scalar
            .chain(state.aggregate_functions().keys())
            .chain(state.window_functions().keys());
        let functions: Vec<String> = functions.cloned().collect();
        let tables = self.tables.table_names();
        Names { tables, functions }
    }
}

/// The error with its place in the SQL.
fn placed(error: Error, origin: &str, sql: &str, place: Option<Place>) -> Error {
    match place {
        None => error.during(origin).explained(None),
        Some(place) => error
            .during(format_args!("{origin}:{}:{}", place.line, place.column))
            .explained(excerpt(sql, place)),
    }
}

/// A message that no file here knows, in words that help as much as they can.
fn other(message: &str) -> Said {
    // The engine prints parts of its plans and syntax trees.
    let is_of_plan = message.starts_with("Physical plan does not support");
    let plain = plain(message);
    if !is_of_plan && !plain.contains(" { ") {
        return Said::new(plain);
    }
    let head = message.split([':', '{', '(']).next().unwrap_or_default();
    let head = match is_of_plan {
        true => "",
        false => head.trim(),
    };
    Said::new(match head {
        "" => "a part of this query can't be carried out".to_owned(),
        head => format!(
            "a part of this query can't be carried out: {}",
            types::in_postgres_words(head)
        ),
    })
}

/// The name of a type in PostgreSQL's words, such as `timestamp with time zone`.
pub fn type_name(data_type: &DataType) -> String {
    types::in_postgres_words(&data_type.to_string())
}

/// A sentence of the engine with PostgreSQL's types, in one line.
pub fn plain(message: &str) -> String {
    let mut text = message.to_owned();
    for stage in STAGES {
        text = text.replace(stage, "");
    }
    let text = text.split("No function matches the given name").next();
    let text = text.unwrap_or_default().trim();
    let text = types::in_postgres_words(text)
        .replace("datafusion.public.", "")
        .replace("datafusion.", "")
        .replace("DataFusion", "SQL here");
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.join(" ").trim_end_matches(['.', ' ']).to_owned()
}

/// The parts of a text at the `{}` of a template; `None` where the text is not of that form.
fn parts<'a, const N: usize>(template: &str, text: &'a str) -> Option<[&'a str; N]> {
    let mut parts = [""; N];
    let mut pieces = template.split("{}");
    let mut rest = text.strip_prefix(pieces.next()?)?;
    let last = N.checked_sub(1)?;
    for (at, piece) in pieces.enumerate() {
        let (part, behind) = match (at == last, piece.is_empty()) {
            (true, true) => (rest, ""),
            (true, false) => (rest.strip_suffix(piece)?, ""),
            (false, _) => rest.split_once(piece)?,
        };
        *parts.get_mut(at)? = part;
        rest = behind;
    }
    Some(parts)
}

/// The one of some names that is nearest to another, if it is near.
fn nearest<'a>(name: &str, of: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let length = name.chars().count();
    // Any two short names are near each other.
    if length < 3 {
        return None;
    }
    let most = (length / 3).clamp(1, 3);
    of.into_iter()
        .map(|other| (strsim::damerau_levenshtein(&name, other), other))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, other)| other)
}

/// A long text of the data, cut.
fn cut(text: &str) -> String {
    const MOST: usize = 60;
    let one_line: String = text
        .chars()
        .map(|c| match c.is_control() {
            true => ' ',
            false => c,
        })
        .collect();
    match one_line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &one_line[..end]),
        None => one_line,
    }
}

/// `a, b or c`.
fn one_of(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [only] => only.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_takes_a_text_apart() {
        assert_eq!(
            parts(
                "Cannot cast string '{}' to value of {} type",
                "Cannot cast string 'a' b' to value of Int32 type"
            ),
            Some(["a' b", "Int32"])
        );
        assert_eq!(parts("at {}: {}", "at 3: 4: 5"), Some(["3", "4: 5"]));
        assert_eq!(parts::<1>("at {}", "on 3"), None);
        assert_eq!(parts::<1>("at {} only", "at 3"), None);
    }

    #[test]
    fn a_message_that_is_not_known_has_no_words_of_the_engine() {
        let said = |message| other(without_stages(message)).text;
        assert_eq!(
            said("Arrow error: Compute error: can't add Utf8View to Int64."),
            "can't add text to bigint"
        );
        assert_eq!(
            said(
                "Internal error: no plan for Exists(Exists { subquery: <subquery> }).\nThis issue was likely caused by a bug in DataFusion's code."
            ),
            "a part of this query can't be carried out: no plan for Exists"
        );
    }
}
