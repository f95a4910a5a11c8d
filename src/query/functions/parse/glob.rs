//! Patterns with wildcards, as `parse` of CloudWatch Logs Insights has them: `user * took * ms`.
//!
//! A wildcard takes as little as it can, up to the text behind it in the pattern; at the end of the pattern, the rest of
//! the line. It never goes beyond a line. The pattern may match anywhere, the first time that it does. So a pattern is the
//! regular expression `user (.*?) took (.*?) ms`, and is matched without one.

use std::ops::Range;

use memchr::{memchr, memmem};

use super::pattern::{BadPattern, Member};

/// A pattern with wildcards.
#[derive(Debug)]
pub(super) struct Glob {
    /// The text before the first wildcard.
    prefix: memmem::Finder<'static>,
    wildcards: Vec<Wildcard>,
}

/// A wildcard, and the text behind it up to the next or to the end.
#[derive(Debug)]
struct Wildcard {
    /// The member of the answer, if it has a name.
    member: Option<usize>,
    behind: memmem::Finder<'static>,
}

/// A piece of a pattern as it is written.
enum Piece {
    Text(String),
    /// `*`
    Star,
    /// `{name}`, `{name:int}`
    Named(Member),
}

impl Glob {
    /// Reads a pattern. `names` are those of the wildcards `*`, in their order; without any, `*` beside `{name}` only
    /// matches. A backslash stands before a `*` or `{` that is meant.
    pub(super) fn parse(pattern: &str, names: &[&str]) -> Result<(Self, Vec<Member>), BadPattern> {
        let pieces = pieces(pattern)?;
        let stars = pieces.iter().filter(|piece| matches!(piece, Piece::Star));
        let (stars, are_named) = (
            stars.count(),
            pieces.iter().any(|it| matches!(it, Piece::Named(_))),
        );
        if stars == 0 && !are_named {
            return Err(BadPattern::new(format!(
                "the pattern '{pattern}' has no wildcard: expected one such as 'user * took * ms'"
            )));
        }
        if stars != names.len() && !(names.is_empty() && are_named) {
            return Err(BadPattern::new(format!(
                "the pattern '{pattern}' has {stars} * and {} names: expected a name for each, as in 'user * took * ms', 'user', 'ms', or names in the pattern, as in 'user {{user}} took {{ms:float}} ms'",
                names.len()
            )));
        }
        let mut names = names.iter();
        let mut members: Vec<Member> = Vec::new();
        let mut prefix = String::new();
        let mut wildcards: Vec<(Option<usize>, String)> = Vec::new();
        let mut was_wildcard = false;
        for piece in pieces {
            let member = match piece {
                Piece::Text(text) => {
                    wildcards
                        .last_mut()
                        .map_or(&mut prefix, |it| &mut it.1)
                        .push_str(&text);
                    was_wildcard = false;
                    continue;
                }
                Piece::Star => names.next().map(|name| Member::parse(name)).transpose()?,
                Piece::Named(member) => Some(member),
            };
            if was_wildcard {
                return Err(BadPattern::new(format!(
                    "the pattern '{pattern}' has two wildcards with nothing between them: expected text that tells where one ends"
                )));
            }
            was_wildcard = true;
            wildcards.push((member.is_some().then_some(members.len()), String::new()));
            members.extend(member);
        }
        let finder = |text: &str| memmem::Finder::new(text.as_bytes()).into_owned();
        let wildcards = wildcards.iter().map(|(member, behind)| Wildcard {
            member: *member,
            behind: finder(behind),
        });
        let glob = Self {
            prefix: finder(&prefix),
            wildcards: wildcards.collect(),
        };
        Ok((glob, members))
    }

    /// Where the members are in a text. False where the pattern does not match.
    pub(super) fn find(&self, text: &str, found: &mut [Range<usize>]) -> bool {
        let bytes = text.as_bytes();
        let mut from = 0;
        while let Some(start) = self.prefix.find(&bytes[from..]) {
            let start = from + start;
            if self.find_at(bytes, start + self.prefix.needle().len(), found) {
                return true;
            }
            // What is missing on this line is missing for every start on it.
            match memchr(b'\n', &bytes[start..]) {
                Some(end) => from = start + end + 1,
                None => return false,
            }
        }
        false
    }

    fn find_at(&self, bytes: &[u8], start: usize, found: &mut [Range<usize>]) -> bool {
        let mut at = start;
        let mut line_end = end_of_line(bytes, at);
        for (index, wildcard) in self.wildcards.iter().enumerate() {
            let behind = wildcard.behind.needle();
            let end = if behind.is_empty() && index + 1 == self.wildcards.len() {
                line_end
            } else {
                // Text with a line break in it begins on this line and ends behind it.
                let limit = bytes.len().min(line_end + behind.len());
                match wildcard.behind.find(&bytes[at..limit]) {
                    Some(length) if at + length <= line_end => at + length,
                    _ => return false,
                }
            };
            if let Some(member) = wildcard.member {
                found[member] = at..end;
            }
            at = end + behind.len();
            if at > line_end {
                line_end = end_of_line(bytes, at);
            }
        }
        true
    }
}

fn end_of_line(bytes: &[u8], from: usize) -> usize {
    memchr(b'\n', &bytes[from..]).map_or(bytes.len(), |length| from + length)
}

fn pieces(pattern: &str) -> Result<Vec<Piece>, BadPattern> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = pattern;
    while let Some(next) = rest.chars().next() {
        let behind = &rest[next.len_utf8()..];
        let (piece, after) = match next {
            '\\' if behind.starts_with(['*', '{', '\\']) => {
                text.push_str(&behind[..1]);
                rest = &behind[1..];
                continue;
            }
            '*' => (Piece::Star, behind),
            '{' => match named(behind) {
                Some((written, after)) => (Piece::Named(Member::parse(written)?), after),
                None => {
                    text.push('{');
                    rest = behind;
                    continue;
                }
            },
            other => {
                text.push(other);
                rest = behind;
                continue;
            }
        };
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
        }
        pieces.push(piece);
        rest = after;
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}

/// The name that a brace begins, and what is behind its end. Other braces, as of JSON, are text.
fn named(behind: &str) -> Option<(&str, &str)> {
    let (name, after) = behind.split_once('}')?;
    let starts_well = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    (starts_well && name.chars().all(is_name)).then_some((name, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use regex::Regex;

    fn found(pattern: &str, names: &[&str], text: &str) -> Option<Vec<String>> {
        let (glob, members) = Glob::parse(pattern, names).unwrap();
        let mut ranges = vec![0..0; members.len()];
        glob.find(text, &mut ranges).then(|| {
            ranges
                .into_iter()
                .map(|range| text[range].to_owned())
                .collect()
        })
    }

    #[test]
    fn wildcards_take_what_stands_between_the_texts() {
        for (pattern, names, text, expected) in [
            (
                "user * took * ms",
                &["user", "ms"][..],
                "INFO user kim took 41.5 ms\n",
                Some(&["kim", "41.5"][..]),
            ),
            (
                "* [*] *",
                &["time", "kind", "text"],
                "10:24:39,474 [ERROR] {foo=2} and\nmore",
                Some(&["10:24:39,474", "ERROR", "{foo=2} and"]),
            ),
            (
                "user=*, method:*, latency := *",
                &["u", "m", "l"],
                "x user=a, method:GET, latency := 5",
                Some(&["a", "GET", "5"]),
            ),
            (
                "*/*/*/*",
                &["a", "b", "c", "d"],
                "prod/web/i-1/s/2",
                Some(&["prod", "web", "i-1", "s/2"]),
            ),
            ("took * ms", &["ms"], "took\n5 ms", None),
            (
                "took * ms",
                &["ms"],
                "took long\nit took 5 ms",
                Some(&["5"]),
            ),
            ("a*b", &["x"], "ab", Some(&[""])),
            (
                "{\"id\":\"*\"",
                &["id"],
                r#"{"id":"7","b":1}"#,
                Some(&["7"]),
            ),
            (
                "id {id:int} in * s {rest}",
                &[],
                "id 7 in 5 s done",
                Some(&["7", "done"]),
            ),
            ("5 \\* * is", &["n"], "5 * 2 is 10", Some(&["2"])),
            ("한*글", &["x"], "가 한국 글", Some(&["국 "])),
        ] {
            let expected = expected.map(|it| it.iter().map(ToString::to_string).collect());
            assert_eq!(found(pattern, names, text), expected, "{pattern}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for (pattern, names, part) in [
            ("abc", &[][..], "no wildcard"),
            ("a * b * c", &["x"], "2 * and 1 names"),
            ("a * b", &[], "1 * and 0 names"),
            ("a ** b", &["x", "y"], "nothing between"),
            ("a * b", &["x:date"], "type"),
            ("a * b {x}", &["y", "z"], "1 * and 2 names"),
        ] {
            let error = Glob::parse(pattern, names).unwrap_err().to_string();
            assert!(error.contains(part), "{pattern}: {error}");
        }
    }

    proptest! {
        #[test]
        fn a_pattern_is_its_regular_expression(
            texts in prop::collection::vec("[ab \\n]{1,3}", 1..4),
            starts in any::<bool>(),
            ends in any::<bool>(),
            text in "[ab \\n]{0,24}",
        ) {
            let mut pattern = texts.join("*");
            if starts { pattern.insert(0, '*'); }
            if ends || texts.len() == 1 && !starts { pattern.push('*'); }
            let stars = pattern.matches('*').count();
            let names: Vec<String> = (0..stars).map(|n| format!("m{n}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let mut expression = pattern.replace('*', "(.*?)");
            if pattern.ends_with('*') {
                expression.truncate(expression.len() - "(.*?)".len());
                expression.push_str("(.*)");
            }
            let captures = Regex::new(&expression).unwrap().captures(&text).map(|captures| {
                captures.iter().skip(1).map(|it| it.unwrap().as_str().to_owned()).collect::<Vec<_>>()
            });
            prop_assert_eq!(found(&pattern, &names, &text), captures, "{}", expression);
        }

        #[test]
        fn any_pattern_over_any_text(pattern in "[*{}:a\\\\é]{0,8}", text in any::<String>()) {
            let names = vec!["a"; pattern.matches('*').count()];
            if let Ok((glob, members)) = Glob::parse(&pattern, &names) {
                let mut ranges = vec![0..0; members.len()];
                if glob.find(&text, &mut ranges) {
                    for range in ranges {
                        prop_assert!(text.get(range).is_some());
                    }
                }
            }
        }
    }
}
