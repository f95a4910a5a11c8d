//! A pattern that is read once and matched with each message: its members are columns of a struct.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanBufferBuilder, StringViewArray, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Fields, Float64Type, Int64Type};
use arrow::error::ArrowError;
use regex::{CaptureLocations, Regex, RegexBuilder};
use std::borrow::Cow;
use thiserror::Error;

use super::super::number_column::NumberColumn;
use super::super::text_column::TextColumn;
use super::glob::Glob;
use super::grok;
use crate::job::FormatKind;

/// The largest automaton of a regular expression, in bytes.
const MOST_BYTES: usize = 8 << 20;

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct BadPattern(String);

impl BadPattern {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// The type of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MemberType {
    Text,
    Int,
    Float,
}

/// A member of the struct that a pattern makes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub name: String,
    pub of_type: MemberType,
}

impl Member {
    /// A name, perhaps with a type: `ms`, `ms:float`.
    pub(super) fn parse(written: &str) -> Result<Self, BadPattern> {
        let (name, of_type) = written.split_once(':').unwrap_or((written, "text"));
        let of_type = match of_type.to_ascii_lowercase().as_str() {
            "text" | "string" => MemberType::Text,
            "int" | "integer" | "long" | "bigint" => MemberType::Int,
            "float" | "double" => MemberType::Float,
            other => {
                return Err(BadPattern::new(format!(
                    "the member '{written}' has the type {other}: expected text, int or float, as in {name}:float"
                )));
            }
        };
        if name.trim().is_empty() {
            return Err(BadPattern::new(format!(
                "the member '{written}' has no name: expected one such as 'user' or 'ms:float'"
            )));
        }
        Ok(Self {
            name: name.to_owned(),
            of_type,
        })
    }

    fn field(&self) -> Field {
        let data_type = match self.of_type {
            MemberType::Text => DataType::Utf8View,
            MemberType::Int => DataType::Int64,
            MemberType::Float => DataType::Float64,
        };
        Field::new(&self.name, data_type, true)
    }
}

/// A pattern, read.
#[derive(Debug)]
pub struct Pattern {
    matcher: Matcher,
    members: Vec<Member>,
    fields: Fields,
}

#[derive(Debug)]
enum Matcher {
    Glob(Box<Glob>),
    Regex {
        regex: Regex,
        /// For each member, the groups that have it: the first that takes part in the match.
        groups: Vec<Vec<usize>>,
    },
}

impl Pattern {
    /// Reads a pattern; `names` are those of a glob's wildcards.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub fn parse(kind: FormatKind, pattern: &str, names: &[&str]) -> Result<Self, BadPattern> {
        let (matcher, members) = match kind {
            FormatKind::Glob => {
                let (glob, members) = Glob::parse(pattern, names)?;
                (Matcher::Glob(Box::new(glob)), members)
            }
            FormatKind::Regex => of_regex(pattern)?,
            FormatKind::Grok => of_grok(pattern)?,
        };
        for (index, member) in members.iter().enumerate() {
            if members[..index]
                .iter()
                .any(|other| other.name == member.name)
            {
                return Err(BadPattern::new(format!(
                    "the pattern '{pattern}' has two members of the name {}: expected different names",
                    member.name
                )));
            }
        }
        Ok(Self {
            matcher,
            fields: members.iter().map(Member::field).collect(),
            members,
        })
    }

    /// The members, as fields of a struct.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// A struct for each message, NULL where the pattern does not match.
    pub(in super::super) fn structs(
        &self,
        messages: &StringViewArray,
    ) -> Result<ArrayRef, ArrowError> {
        let rows = messages.len();
        let mut columns: Vec<Column> = self
            .members
            .iter()
            .map(|member| Column::new(member.of_type, messages))
            .collect();
        let mut validity = BooleanBufferBuilder::new(rows);
        validity.append_n(rows, false);
        match &self.matcher {
            Matcher::Glob(glob) => {
                let mut found: Vec<Range<usize>> = vec![0..0; columns.len()];
                for (row, message) in messages.iter().enumerate() {
                    let Some(message) = message.filter(|text| glob.find(text, &mut found)) else {
                        continue;
                    };
                    validity.set_bit(row, true);
                    for (column, range) in columns.iter_mut().zip(&found) {
                        column.set(row, &message[range.clone()]);
                    }
                }
            }
            Matcher::Regex { regex, groups } => {
                let mut found = regex.capture_locations();
                for (row, message) in messages.iter().enumerate() {
                    let Some(message) = message else { continue };
                    if regex.captures_read(&mut found, message).is_none() {
                        continue;
                    }
                    validity.set_bit(row, true);
                    for (column, groups) in columns.iter_mut().zip(groups) {
                        if let Some((start, end)) = first_of(groups, &found) {
                            column.set(row, &message[start..end]);
                        }
                    }
                }
            }
        }
        let columns: Result<Vec<ArrayRef>, ArrowError> =
            columns.into_iter().map(Column::finish).collect();
        let nulls = NullBuffer::new(validity.finish());
        let structs = StructArray::try_new(self.fields.clone(), columns?, Some(nulls))?;
        Ok(Arc::new(structs))
    }
}

fn first_of(groups: &[usize], found: &CaptureLocations) -> Option<(usize, usize)> {
    groups.iter().find_map(|group| found.get(*group))
}

fn compile(pattern: &str, expression: &str) -> Result<Regex, BadPattern> {
    let compiled = RegexBuilder::new(expression).size_limit(MOST_BYTES).build();
    compiled.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => BadPattern::new(format!(
            "the pattern '{pattern}' is too large: expected fewer and smaller repetitions"
        )),
        error => {
            // Its last line says what is wrong; those before it draw the place.
            let error = error.to_string();
            let why = error.lines().last().unwrap_or_default().trim();
            let why = why.strip_prefix("error: ").unwrap_or(why);
            BadPattern::new(format!(
                "the pattern '{pattern}' is no regular expression: {why}"
            ))
        }
    })
}

fn of_regex(pattern: &str) -> Result<(Matcher, Vec<Member>), BadPattern> {
    let regex = compile(pattern, pattern)?;
    let named = regex.capture_names().enumerate();
    let (members, groups): (Vec<Member>, Vec<Vec<usize>>) = named
        .filter_map(|(group, name)| Some((text_member(name?), vec![group])))
        .unzip();
    if members.is_empty() {
        return Err(BadPattern::new(format!(
            "the pattern '{pattern}' has no group with a name: expected one such as (?<user>\\w+)"
        )));
    }
    Ok((Matcher::Regex { regex, groups }, members))
}

fn text_member(name: &str) -> Member {
    Member {
        name: name.to_owned(),
        of_type: MemberType::Text,
    }
}

fn of_grok(pattern: &str) -> Result<(Matcher, Vec<Member>), BadPattern> {
    let expanded = grok::expand(pattern)?;
    let regex = compile(pattern, &expanded.expression)?;
    let mut members: Vec<Member> = Vec::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (group, name) in regex.capture_names().enumerate() {
        let Some(name) = name else { continue };
        let member = match expanded.member(name) {
            Some(member) => member.clone(),
            None => text_member(name),
        };
        // Alternatives may have the same member.
        match members.iter().position(|other| other.name == member.name) {
            Some(index) => groups[index].push(group),
            None => {
                members.push(member);
                groups.push(vec![group]);
            }
        }
    }
    if members.is_empty() {
        return Err(BadPattern::new(format!(
            "the pattern '{pattern}' has no member: expected one such as %{{IP:client}}"
        )));
    }
    Ok((Matcher::Regex { regex, groups }, members))
}

/// A column of one member.
enum Column<'a> {
    Text(TextColumn<'a>),
    Int(NumberColumn<Int64Type>),
    Float(NumberColumn<Float64Type>),
}

impl<'a> Column<'a> {
    fn new(of_type: MemberType, messages: &'a StringViewArray) -> Self {
        match of_type {
            MemberType::Text => Self::Text(TextColumn::new(messages)),
            MemberType::Int => Self::Int(NumberColumn::new(messages.len())),
            MemberType::Float => Self::Float(NumberColumn::new(messages.len())),
        }
    }

    /// Sets a row to a part of its message; a number that can't be read stays NULL.
    fn set(&mut self, row: usize, text: &'a str) {
        match self {
            Self::Text(column) => column.set(row, Cow::Borrowed(text)),
            Self::Int(column) => column.set(row, text.trim().parse().ok()),
            Self::Float(column) => {
                let number = text.trim().parse().ok();
                column.set(row, number.filter(|number: &f64| number.is_finite()));
            }
        }
    }

    fn finish(self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Text(column) => Arc::new(column.finish()?),
            Self::Int(column) => Arc::new(column.finish()),
            Self::Float(column) => Arc::new(column.finish()),
        })
    }
}
