//! `[formats]`: formats of messages, which queries name.

use std::collections::BTreeMap;

use super::checked::{Name, Text};
use super::job_text::Wrong;
use super::spec::FormatSpec;

/// A format of messages.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Format {
    /// What queries name it.
    pub name: Name,
    /// How the pattern is read.
    pub kind: FormatKind,
    /// The pattern.
    pub pattern: String,
}

/// How a pattern is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FormatKind {
    /// A text with wildcards.
    Glob,
    /// A regular expression.
    Regex,
    /// A grok pattern.
    Grok,
}

impl FormatKind {
    /// The key of a job file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Glob => "glob",
            Self::Regex => "regex",
            Self::Grok => "grok",
        }
    }
}

/// Says what is wrong with a format's pattern.
pub(super) type CheckFormat<'a> = &'a dyn Fn(&Format) -> Result<(), String>;

pub(super) fn resolve(
    formats: BTreeMap<Name, FormatSpec>,
    check: CheckFormat<'_>,
) -> Result<Vec<Format>, Wrong> {
    formats
        .into_iter()
        .map(|(name, spec)| resolve_one(name, spec, check))
        .collect()
}

fn resolve_one(name: Name, spec: FormatSpec, check: CheckFormat<'_>) -> Result<Format, Wrong> {
    let place = format!("formats.{name}");
    let patterns = [
        (FormatKind::Grok, spec.grok),
        (FormatKind::Regex, spec.regex),
        (FormatKind::Glob, spec.glob),
    ];
    let mut patterns = patterns
        .into_iter()
        .filter_map(|(kind, pattern)| Some((kind, pattern?)));
    let (Some((kind, Text(pattern))), None) = (patterns.next(), patterns.next()) else {
        let message = format!(
            "[{place}]: expected one of grok, regex and glob, such as grok = \"%{{IP:client}} %{{GREEDYDATA:text}}\""
        );
        return Err(Wrong::at(place, message));
    };
    let format = Format {
        name,
        kind,
        pattern,
    };
    match check(&format) {
        Ok(()) => Ok(format),
        Err(message) => {
            let key = kind.as_str();
            Err(Wrong::at(
                format!("{place}.{key}"),
                format!("[{place}] {key}: {message}"),
            ))
        }
    }
}
