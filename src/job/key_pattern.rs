//! The prefix of keys that Firehose makes of a time, as its configuration writes it: `logs/!{timestamp:yyyy/MM/dd/HH}/`.

use std::collections::BTreeSet;

use chrono::{DateTime, Timelike, Utc};
use chrono_tz::Tz;
use globset::{GlobBuilder, GlobMatcher};

use crate::window::Range;

/// What Firehose puts behind a prefix that has no time.
const DEFAULT: &str = "!{timestamp:yyyy/MM/dd/HH}/";

/// The pattern of keys in any order.
const ANY: &str = "*";

/// A longer range is that of all time, or has more folders than a listing of all is worth.
const LONGEST_MS: i64 = 400 * 24 * 3_600_000;

/// Offsets between zones are whole quarters of an hour.
const STEP_MS: i64 = 15 * 60_000;

/// A pattern of keys, and the zone of the times in them.
#[derive(Debug, Clone)]
pub struct KeyPattern {
    text: String,
    zone: Tz,
    parts: Vec<Part>,
    glob: GlobMatcher,
}

impl PartialEq for KeyPattern {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, self.zone) == (&other.text, other.zone)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Time(Field),
    /// What only Firehose can say.
    Any,
}

/// A part of a time, with its digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Year(usize),
    Month,
    Day,
    Hour,
    /// Minutes and seconds: prefixes are not listed by them.
    Fine,
}

impl KeyPattern {
    /// The pattern that a prefix of Firehose says, with times in `zone`; the default one for `None`, and any key for `*`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: Option<&str>, zone: Tz) -> Result<Self, String> {
        let given = text.unwrap_or_default();
        let full = match given {
            ANY => given.to_owned(),
            _ if given.contains("!{timestamp:") => given.to_owned(),
            _ => format!("{given}{DEFAULT}"),
        };
        let parts = match given {
            ANY => vec![Part::Any],
            _ => parts(&full)?,
        };
        let glob = GlobBuilder::new(&glob_of(&parts))
            .backslash_escape(true)
            .build()
            .map_err(|error| format!("{given:?} is no prefix: {error}"))?;
        Ok(Self {
            text: full,
            zone,
            parts,
            glob: glob.compile_matcher(),
        })
    }

    /// The pattern as Firehose's configuration writes it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The zone of the times in keys.
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// Whether a key, relative to the location of the pattern, may be one that Firehose made.
    pub fn matches(&self, key: &str) -> bool {
        self.glob.is_match(key)
    }

    /// The folders, relative to the location of the pattern, below which every object is whose records began to arrive in
    /// a range of time. None is below another.
    pub fn folders(&self, arrival: Range) -> Vec<String> {
        let mut folders = BTreeSet::new();
        if arrival.end_ms.saturating_sub(arrival.start_ms) > LONGEST_MS {
            return vec![String::new()];
        }
        let first = arrival.start_ms.div_euclid(STEP_MS);
        let last = arrival.end_ms.div_euclid(STEP_MS);
        for step in first..=last {
            let Some(at) = DateTime::<Utc>::from_timestamp_millis(step * STEP_MS) else {
                // No time that is written.
                return vec![String::new()];
            };
            let is_new = folders.insert(self.folder(at));
            if is_new && folders.contains("") {
                return vec![String::new()];
            }
        }
        folders.into_iter().collect()
    }

    /// The folder of the objects of an instant, as far as the time alone says it.
    fn folder(&self, at: DateTime<Utc>) -> String {
        let local = at.with_timezone(&self.zone);
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Time(Field::Year(2)) => out += &local.format("%y").to_string(),
                Part::Time(Field::Year(_)) => out += &local.format("%Y").to_string(),
                Part::Time(Field::Month) => out += &local.format("%m").to_string(),
                Part::Time(Field::Day) => out += &local.format("%d").to_string(),
                Part::Time(Field::Hour) => out += &format!("{:02}", local.hour()),
                Part::Time(Field::Fine) | Part::Any => break,
            }
        }
        // What does not end with a slash is the beginning of a name.
        out.truncate(out.rfind('/').map_or(0, |slash| slash + 1));
        out
    }
}

/// The parts of a prefix.
fn parts(text: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("!{") {
        push_text(&mut parts, &rest[..start]);
        let behind = &rest[start + 2..];
        let wrong = |what: &str| {
            format!(
                "{text:?} has {what}: expected an expression of Firehose, such as !{{timestamp:yyyy/MM/dd/HH}}"
            )
        };
        let Some(end) = behind.find('}') else {
            return Err(wrong("an expression without its end, a }"));
        };
        let (expression, others) = (&behind[..end], &behind[end + 1..]);
        match expression.split_once(':') {
            Some(("timestamp", format)) => times(format, &mut parts)?,
            Some(("firehose" | "partitionKeyFromQuery" | "partitionKeyFromLambda", _)) => {
                parts.push(Part::Any);
            }
            _ => return Err(wrong(&format!("the expression {expression:?}"))),
        }
        rest = others;
    }
    push_text(&mut parts, rest);
    Ok(parts)
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    if text.is_empty() {
        return;
    }
    match parts.last_mut() {
        Some(Part::Text(last)) => last.push_str(text),
        _ => parts.push(Part::Text(text.to_owned())),
    }
}

/// The parts of a format of Java's `DateTimeFormatter`.
fn times(format: &str, parts: &mut Vec<Part>) -> Result<(), String> {
    let mut rest = format;
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            let quoted = &rest[1..];
            let Some(end) = quoted.find('\'') else {
                return Err(format!(
                    "the format {format:?} has a quote without its end: expected two, as in 'year='yyyy"
                ));
            };
            push_text(parts, if end == 0 { "'" } else { &quoted[..end] });
            rest = &quoted[end + 1..];
            continue;
        }
        let length = rest.chars().take_while(|other| *other == first).count();
        let (same, others) = rest.split_at(length * first.len_utf8());
        match (first, length) {
            ('y' | 'u', 2 | 4) => parts.push(Part::Time(Field::Year(length))),
            ('M', 2) => parts.push(Part::Time(Field::Month)),
            ('d', 2) => parts.push(Part::Time(Field::Day)),
            ('H', 2) => parts.push(Part::Time(Field::Hour)),
            ('m' | 's', 2) => parts.push(Part::Time(Field::Fine)),
            (letter, _) if letter.is_ascii_alphabetic() => parts.push(Part::Any),
            _ => push_text(parts, same),
        }
        rest = others;
    }
    Ok(())
}

/// The pattern as a glob: of whole keys, whose names follow the prefix.
fn glob_of(parts: &[Part]) -> String {
    let mut glob = String::new();
    for part in parts {
        match part {
            Part::Text(text) => glob += &globset::escape(text),
            Part::Time(Field::Year(digits)) => glob += &"[0-9]".repeat(*digits),
            Part::Time(_) => glob += "[0-9][0-9]",
            Part::Any => glob.push('*'),
        }
    }
    glob.push('*');
    glob
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: &str, end: &str) -> Range {
        let ms = |text: &str| text.parse::<DateTime<Utc>>().unwrap().timestamp_millis();
        Range {
            start_ms: ms(start),
            end_ms: ms(end),
        }
    }

    fn folders(prefix: Option<&str>, zone: Tz, start: &str, end: &str) -> Vec<String> {
        let pattern = KeyPattern::parse(prefix, zone).unwrap();
        let folders = pattern.folders(range(start, end));
        for folder in &folders {
            let any = ["a", "orders/x", "processing-failed/"];
            let keys = any.map(|name| format!("{folder}{name}"));
            assert!(prefix.is_some() || keys.iter().all(|key| pattern.matches(key)));
        }
        folders
    }

    #[test]
    fn folders_are_those_of_the_hours_in_the_zone() {
        let (start, end) = ("2026-11-21T22:50:00Z", "2026-11-22T01:10:00Z");
        let hours = [
            "2026/11/21/22/",
            "2026/11/21/23/",
            "2026/11/22/00/",
            "2026/11/22/01/",
        ];
        assert_eq!(folders(None, Tz::UTC, start, end), hours);
        let seoul = [
            "2026/11/22/07/",
            "2026/11/22/08/",
            "2026/11/22/09/",
            "2026/11/22/10/",
        ];
        assert_eq!(folders(None, Tz::Asia__Seoul, start, end), seoul);
        // A zone of half an hour.
        let kolkata = folders(None, Tz::Asia__Kolkata, start, end);
        assert_eq!(kolkata.first().map(String::as_str), Some("2026/11/22/04/"));
        assert_eq!(kolkata.last().map(String::as_str), Some("2026/11/22/06/"));
    }

    #[test]
    fn prefixes_of_any_form_are_listed_as_finely_as_they_allow() {
        let (start, end) = ("2026-11-21T22:50:00Z", "2026-11-22T01:10:00Z");
        let days = [
            "app/year=2026/month=11/day=21/",
            "app/year=2026/month=11/day=22/",
        ];
        for (prefix, expected) in [
            (
                "app/year=!{timestamp:yyyy}/month=!{timestamp:MM}/day=!{timestamp:dd}/",
                &days[..],
            ),
            ("app/!{timestamp:'year='yyyy'/month='MM'/day='dd}/", &days),
            (
                "app/year=!{timestamp:yyyy}/month=!{timestamp:MM}/day=!{timestamp:dd}/!{timestamp:HH-mm}/",
                &days,
            ),
            (
                "app/year=!{timestamp:yyyy}/month=!{timestamp:MM}/day=!{timestamp:dd}/!{partitionKeyFromQuery:team}/!{timestamp:HH}/",
                &days,
            ),
            (
                "app/!{firehose:random-string}/!{timestamp:yyyy/MM/dd}/",
                &["app/"],
            ),
            ("app-!{timestamp:yyyy-MM}-", &[""]),
            ("*", &[""]),
        ] {
            assert_eq!(
                folders(Some(prefix), Tz::UTC, start, end),
                expected,
                "{prefix}"
            );
        }
        let appended = KeyPattern::parse(Some("app/"), Tz::UTC).unwrap();
        assert_eq!(appended.as_str(), "app/!{timestamp:yyyy/MM/dd/HH}/");
    }

    #[test]
    fn keys_of_other_prefixes_do_not_match() {
        for (prefix, key, expected) in [
            (None, "2026/11/21/22/stream-1-2026", true),
            (None, "2026/11/21/x", false),
            (None, "errors/2026/11/21/22/x", false),
            (Some("a[1]/"), "a[1]/2026/11/21/22/x", true),
            (Some("a[1]/"), "a1/2026/11/21/22/x", false),
            (
                Some("!{partitionKeyFromLambda:team}/!{timestamp:yyyy}/"),
                "blue/2026/x.gz",
                true,
            ),
            (
                Some("!{partitionKeyFromLambda:team}/!{timestamp:yyyy}/"),
                "blue/x.gz",
                false,
            ),
            (Some("*"), "anything", true),
        ] {
            let pattern = KeyPattern::parse(prefix, Tz::UTC).unwrap();
            assert_eq!(pattern.matches(key), expected, "{prefix:?} {key}");
        }
    }

    #[test]
    fn what_firehose_does_not_have_is_refused() {
        for (prefix, expected) in [
            ("!{timestamp:yyyy", "without its end"),
            ("!{date:yyyy}/", "the expression \"date:yyyy\""),
            ("!{timestamp:'year=}/", "a quote without its end"),
        ] {
            let error = KeyPattern::parse(Some(prefix), Tz::UTC).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
