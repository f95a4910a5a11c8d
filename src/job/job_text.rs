//! The text of a job file with the place of every key, for errors that quote the line at fault.
//!
//! A path such as `query.1.chart.0.x` leads to a value: keys, and places in lists.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::checked::{is_secret, without_secret};
use super::syntax;
use super::text_file::TextFile;
use crate::error::Error;

/// A longer line is cut where it is quoted.
const LONGEST_LINE: usize = 160;

/// An error, and the path of the value at fault; empty where no single value is.
#[derive(Debug)]
pub(super) struct Wrong {
    pub path: String,
    pub message: String,
}

impl Wrong {
    pub fn at(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }
}

impl From<String> for Wrong {
    fn from(message: String) -> Self {
        Self::at("", message)
    }
}

/// The text of a job file that is TOML.
pub(super) struct JobText<'a> {
    file: &'a TextFile,
    text: &'a str,
    root: DeTable<'a>,
}

impl<'a> JobText<'a> {
    /// Parses the text. An error (usage) says what to write instead.
    pub fn parse(file: &'a TextFile, text: &'a str) -> Result<Self, Error> {
        match DeTable::parse(text) {
            Ok(root) => Ok(Self {
                file,
                text,
                root: root.into_inner(),
            }),
            Err(error) => {
                let place = error.span().map(|span| span.start);
                let message = syntax::explain(text, place, error.message());
                Err(quote(file, text, place, &message))
            }
        }
    }

    /// The text.
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// Whether it has no key.
    pub fn is_empty(&self) -> bool {
        self.root.is_empty()
    }

    /// An error (usage) about the value at a path, or about the nearest section above it. It has the file, the line and
    /// the text of the line.
    pub fn error(&self, wrong: &Wrong) -> Error {
        let mut path = wrong.path.as_str();
        while !path.is_empty() {
            if let Some(span) = self.place(path) {
                return quote(self.file, self.text, Some(span.start), &wrong.message);
            }
            path = path.rsplit_once('.').map_or("", |(above, _)| above);
        }
        quote(self.file, self.text, None, &wrong.message)
    }

    /// The path of the key or value that has this place in the text.
    pub fn path_of(&self, span: &Range<usize>) -> Option<String> {
        let mut found = None;
        walk(&self.root, "", &mut |path, key, value| {
            if key.as_ref() == Some(span) || value.span() == *span {
                found = Some(path.to_owned());
            }
        });
        found
    }

    /// The value at a path.
    pub fn value(&self, path: &str) -> Option<&Spanned<DeValue<'a>>> {
        self.find(path).map(|(_, value)| value)
    }

    /// The value at a path as it is written, if it is short and no secret.
    pub fn written(&self, path: &str) -> Option<&'a str> {
        if is_secret(path.rsplit('.').next()?) {
            return None;
        }
        let written = self.text.get(self.value(path)?.span())?;
        let is_short = !written.contains('\n') && written.chars().count() <= LONGEST_LINE / 2;
        is_short.then_some(written)
    }

    fn place(&self, path: &str) -> Option<Range<usize>> {
        let (key, value) = self.find(path)?;
        Some(key.unwrap_or_else(|| value.span()))
    }

    fn find(&self, path: &str) -> Option<(Option<Range<usize>>, &Spanned<DeValue<'a>>)> {
        let mut steps = path.split('.');
        let mut found = member(&self.root, steps.next()?)?;
        for step in steps {
            found = match found.1.get_ref() {
                DeValue::Table(table) => member(table, step)?,
                DeValue::Array(items) => (None, items.get(step.parse::<usize>().ok()?)?),
                _ => return None,
            };
        }
        Some(found)
    }
}

type Member<'t, 'a> = (Option<Range<usize>>, &'t Spanned<DeValue<'a>>);

/// The place of a key, and its value.
fn member<'t, 'a>(table: &'t DeTable<'a>, key: &str) -> Option<Member<'t, 'a>> {
    let mut members = table.iter();
    let (key, value) = members.find(|(name, _)| name.get_ref() == key)?;
    Some((Some(key.span()), value))
}

/// Visits every value: its path, the place of its key, and itself.
fn walk<'t, 'a>(
    table: &'t DeTable<'a>,
    above: &str,
    visit: &mut impl FnMut(&str, Option<Range<usize>>, &'t Spanned<DeValue<'a>>),
) {
    for (key, value) in table {
        let path = match above {
            "" => key.get_ref().to_string(),
            above => format!("{above}.{}", key.get_ref()),
        };
        visit(&path, Some(key.span()), value);
        descend(value, &path, visit);
    }
}

fn descend<'t, 'a>(
    value: &'t Spanned<DeValue<'a>>,
    path: &str,
    visit: &mut impl FnMut(&str, Option<Range<usize>>, &'t Spanned<DeValue<'a>>),
) {
    match value.get_ref() {
        DeValue::Table(table) => walk(table, path, visit),
        DeValue::Array(items) => {
            for (place, item) in items.iter().enumerate() {
                let path = format!("{path}.{place}");
                visit(&path, None, item);
                descend(item, &path, visit);
            }
        }
        _ => {}
    }
}

/// `jobs/night.toml:3: message`, with the line itself below.
fn quote(file: &TextFile, text: &str, place: Option<usize>, message: &str) -> Error {
    let file = file.name();
    let Some(place) = place else {
        return Error::usage(format!("{file}: {message}"));
    };
    let before = &text.as_bytes()[..place.min(text.len())];
    let number = before.iter().filter(|byte| **byte == b'\n').count();
    let line = without_secret(text.lines().nth(number).unwrap_or_default());
    let number = number + 1;
    if line.is_empty() {
        return Error::usage(format!("{file}:{number}: {message}"));
    }
    let mut shown: String = line.chars().take(LONGEST_LINE).collect();
    if shown.len() < line.len() {
        shown.push('…');
    }
    Error::usage(format!("{file}:{number}: {message}\n  | {shown}"))
}
