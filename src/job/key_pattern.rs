//! The prefix of keys that Firehose makes of a time, as its configuration writes it: `logs/!{timestamp:yyyy/MM/dd/HH}/`.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Timelike, Utc};
use chrono_tz::Tz;
use regex::Regex;

use crate::window::Range;

/// What Firehose puts behind a prefix that has no expression.
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
    /// Of keys, with the first of each part of the time as a group.
    keys: Regex,
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
        ensure_folders(given, given)?;
        let mut of_prefix = match given {
            ANY => vec![Part::Any],
            _ => parts(given)?,
        };
        let mut text = given.to_owned();
        if given != ANY && !given.contains("!{") {
            text += DEFAULT;
            times("yyyy/MM/dd/HH", &mut of_prefix)?;
            push_text(&mut of_prefix, "/");
        }
        let parts = of_prefix.iter().map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Time(_) | Part::Any => "x",
        });
        ensure_folders(given, &parts.collect::<String>())?;
        let keys = Regex::new(&regex_of(&of_prefix))
            .map_err(|error| format!("{given:?} is no prefix: {error}"))?;
        Ok(Self {
            text,
            zone,
            parts: of_prefix,
            keys,
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
        self.keys.is_match(key)
    }

    /// Whether keys below a folder, which ends with a slash and is relative to the location of the pattern, may match.
    pub fn may_be_below(&self, folder: &str) -> bool {
        let mut rest = folder;
        for part in &self.parts {
            let digits = match part {
                _ if rest.is_empty() => return true,
                Part::Any => return true,
                Part::Text(text) => match rest.strip_prefix(text.as_str()) {
                    Some(behind) => {
                        rest = behind;
                        continue;
                    }
                    None => return text.starts_with(rest),
                },
                Part::Time(Field::Year(digits)) => *digits,
                Part::Time(_) => 2,
            };
            match rest.split_at_checked(digits) {
                Some((number, behind)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                    rest = behind;
                }
                _ => return false,
            }
        }
        true
    }

    /// The hour or the day in which the first record of an object arrived, as its key says it; `None` where the prefix has no
    /// whole date.
    pub fn arrival(&self, key: &str) -> Option<Range> {
        let found = self.keys.captures(key)?;
        let number = |of: &str| found.name(of)?.as_str().parse::<u32>().ok();
        let year = i32::try_from(number("year")?).ok()?;
        let year = if year < 100 { 2000 + year } else { year };
        let day = NaiveDate::from_ymd_opt(year, number("month")?, number("day")?)?;
        let hour = number("hour");
        let start = day.and_hms_opt(hour.unwrap_or(0), 0, 0)?;
        let end = start + TimeDelta::hours(if hour.is_some() { 1 } else { 24 });
        Some(Range {
            start_ms: self.instants(start)?.0,
            end_ms: self.instants(end)?.1,
        })
    }

    /// The first and the last instant that a local time is, in milliseconds; of one that the clock skips, those behind it.
    fn instants(&self, local: NaiveDateTime) -> Option<(i64, i64)> {
        let shown = |hours: i64| {
            let instants = (local + TimeDelta::hours(hours)).and_local_timezone(self.zone);
            let ms = |at: DateTime<Tz>| at.timestamp_millis();
            instants.earliest().map(ms).zip(instants.latest().map(ms))
        };
        (0..=3).find_map(shown)
    }

    /// The folder below which all keys are, as far as no part of it changes; empty, or without a slash at its end.
    pub fn folder_of_all(&self) -> &str {
        let text = self.text_in_front();
        text.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// How all keys begin, as far as no part of it changes.
    pub fn text_in_front(&self) -> &str {
        match self.parts.first() {
            Some(Part::Text(text)) => text,
            _ => "",
        }
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

/// An error where keys of a prefix, with anything for its expressions, have an empty folder.
fn ensure_folders(prefix: &str, keys: &str) -> Result<(), String> {
    match keys.starts_with('/') || keys.contains("//") {
        false => Ok(()),
        true => Err(format!(
            "{prefix:?} has an empty folder, whose objects can't be read: expected no slash at its start and no two together"
        )),
    }
}

/// The parts of a prefix.
fn parts(text: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    let wrong = |what: &str| {
        format!(
            "{text:?} has {what}: expected an expression of Firehose, such as !{{timestamp:yyyy/MM/dd/HH}}"
        )
    };
    // No key has one: it is an expression without its mark, or a variable of another service.
    let ensure_plain = |text: &str| match text.contains(['{', '}']) {
        true => Err(wrong("a brace outside of an expression")),
        false => Ok(()),
    };
    while let Some(start) = rest.find("!{") {
        ensure_plain(&rest[..start])?;
        push_text(&mut parts, &rest[..start]);
        let behind = &rest[start + 2..];
        let Some(end) = behind.find('}') else {
            return Err(wrong("an expression without its end, a }"));
        };
        let (expression, others) = (&behind[..end], &behind[end + 1..]);
        match expression.split_once(':') {
            Some(("timestamp", "")) => return Err(wrong("a time without a format")),
            Some(("timestamp", format)) => times(format, &mut parts)?,
            Some(("firehose" | "partitionKeyFromQuery" | "partitionKeyFromLambda", _)) => {
                parts.push(Part::Any);
            }
            _ => return Err(wrong(&format!("the expression {expression:?}"))),
        }
        rest = others;
    }
    ensure_plain(rest)?;
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
            if end > 0 && rest.starts_with('\'') {
                // Two quotes within a quoted text are one.
                push_text(parts, "'");
            }
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
            // They enclose what may be left out where a text is read, and are not written.
            ('[' | ']', _) => {}
            _ => push_text(parts, same),
        }
        rest = others;
    }
    Ok(())
}

/// The pattern as a regular expression of the beginnings of keys, whose names follow the prefix.
fn regex_of(parts: &[Part]) -> String {
    let mut regex = "(?s)^".to_owned();
    let mut named = BTreeSet::new();
    for part in parts {
        let (name, digits) = match part {
            Part::Text(text) => {
                regex += &regex::escape(text);
                continue;
            }
            Part::Any => {
                regex += ".*";
                continue;
            }
            Part::Time(Field::Year(digits)) => ("year", *digits),
            Part::Time(Field::Month) => ("month", 2),
            Part::Time(Field::Day) => ("day", 2),
            Part::Time(Field::Hour) => ("hour", 2),
            Part::Time(Field::Fine) => ("", 2),
        };
        let is_first = !name.is_empty() && named.insert(name);
        regex += &match is_first {
            true => format!("(?<{name}>[0-9]{{{digits}}})"),
            false => format!("[0-9]{{{digits}}}"),
        };
    }
    regex
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
            // With an expression, Firehose puts no time behind the prefix.
            (
                Some("team=!{partitionKeyFromQuery:team}/"),
                "team=blue/s-1",
                true,
            ),
            (
                Some("team=!{partitionKeyFromQuery:team}/"),
                "team=blue/2026/11/21/22/s-1",
                true,
            ),
            (Some("!{timestamp:'it''s/'yyyy}/"), "it's/2026/x", true),
            (Some("!{timestamp:yyyy[/MM]}/"), "2026/11/x", true),
        ] {
            let pattern = KeyPattern::parse(prefix, Tz::UTC).unwrap();
            assert_eq!(pattern.matches(key), expected, "{prefix:?} {key}");
        }
    }

    #[test]
    fn a_key_says_when_its_records_arrived() {
        for (prefix, zone, key, expected) in [
            (
                None,
                Tz::UTC,
                "2026/11/21/22/part-1",
                Some(range("2026-11-21T22:00:00Z", "2026-11-21T23:00:00Z")),
            ),
            (
                Some("!{timestamp:yy-MM-dd}/"),
                Tz::Asia__Seoul,
                "26-11-22/x",
                Some(range("2026-11-21T15:00:00Z", "2026-11-22T15:00:00Z")),
            ),
            // The hour that the clock repeats.
            (
                None,
                Tz::America__New_York,
                "2026/11/01/01/x",
                Some(range("2026-11-01T05:00:00Z", "2026-11-01T07:00:00Z")),
            ),
            // The hour that it skips.
            (
                None,
                Tz::America__New_York,
                "2026/03/08/02/x",
                Some(range("2026-03-08T07:00:00Z", "2026-03-08T07:00:00Z")),
            ),
            (Some("!{timestamp:yyyy-MM}/"), Tz::UTC, "2026-11/x", None),
            (Some("*"), Tz::UTC, "2026/11/21/22/x", None),
        ] {
            let pattern = KeyPattern::parse(prefix, zone).unwrap();
            assert_eq!(pattern.arrival(key), expected, "{prefix:?} {key}");
        }
    }

    #[test]
    fn folders_without_own_keys_are_not_looked_into() {
        for (prefix, folder, expected) in [
            (None, "2026/", true),
            (None, "2026/11/", true),
            (None, "2026/11/21/22/", true),
            (None, "2026/11/21/22/deeper/", true),
            (None, "AWSLogs/", false),
            (None, "2026/aa/", false),
            (Some("app/"), "app/", true),
            (Some("app/"), "apps/", false),
            (Some("app/logs/"), "app/", true),
            (Some("!{firehose:random-string}/"), "xyz/", true),
            (Some("*"), "anything/", true),
        ] {
            let pattern = KeyPattern::parse(prefix, Tz::UTC).unwrap();
            assert_eq!(
                pattern.may_be_below(folder),
                expected,
                "{prefix:?} {folder}"
            );
        }
    }

    #[test]
    fn what_firehose_does_not_have_is_refused() {
        for (prefix, expected) in [
            ("!{timestamp:yyyy", "without its end"),
            ("!{date:yyyy}/", "the expression \"date:yyyy\""),
            ("!{timestamp:'year=}/", "a quote without its end"),
            ("/logs/", "an empty folder"),
            ("a//b", "an empty folder"),
            ("a/!{timestamp:/yyyy}/", "an empty folder"),
            ("!{timestamp:yyyy/}/a", "an empty folder"),
            ("a/!{timestamp:}/", "a time without a format"),
            ("a/{timestamp:yyyy}/", "a brace outside of an expression"),
            (
                "a/{yyyy}/!{timestamp:MM}",
                "a brace outside of an expression",
            ),
        ] {
            let error = KeyPattern::parse(Some(prefix), Tz::UTC).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
