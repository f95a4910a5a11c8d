//! Grok: regular expressions made of named patterns, `%{IP:client} %{NUMBER:ms:float}`, as Logstash has them.
//!
//! The patterns are those of [logstash-patterns-core](https://github.com/logstash-plugins/logstash-patterns-core) by their
//! older names, written without look-around, atomic groups and back references. So a message is matched in time linear in
//! its length.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::pattern::{BadPattern, Member};

/// The longest regular expression that a pattern becomes, in bytes.
const LONGEST: usize = 64 << 10;

/// What the names of the groups that stand for members begin with.
const MEMBER: &str = "_member_";

static PATTERNS: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
    let lines = include_str!("grok_patterns.txt").lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(' ')).collect()
});

/// A pattern as a regular expression.
pub(super) struct Expanded {
    pub expression: String,
    members: Vec<Member>,
}

impl Expanded {
    /// The member of a group; `None` for a group that the pattern itself names.
    pub(super) fn member(&self, group: &str) -> Option<&Member> {
        let index: usize = group.strip_prefix(MEMBER)?.parse().ok()?;
        self.members.get(index)
    }
}

/// Replaces every `%{NAME:member:type}`.
///
/// # Errors
/// An unknown name or type, a brace without an end, a pattern that becomes too long.
pub(super) fn expand(pattern: &str) -> Result<Expanded, BadPattern> {
    let mut expanded = Expanded {
        expression: String::new(),
        members: Vec::new(),
    };
    expand_into(&mut expanded, pattern, pattern)?;
    Ok(expanded)
}

fn expand_into(into: &mut Expanded, part: &str, pattern: &str) -> Result<(), BadPattern> {
    let mut rest = part;
    while let Some((before, behind)) = rest.split_once("%{") {
        into.expression.push_str(before);
        let Some((reference, after)) = behind.split_once('}') else {
            return Err(BadPattern::new(format!(
                "the pattern '{pattern}' has %{{ without an end: expected one such as %{{IP:client}}"
            )));
        };
        rest = after;
        let (name, member) = match reference.split_once(':') {
            Some((name, member)) => (name, Some(member)),
            None => (reference, None),
        };
        let Some(definition) = PATTERNS.get(name.trim()) else {
            return Err(unknown(name, pattern));
        };
        match member {
            Some(member) => {
                let mut member = Member::parse(member)?;
                member.name = identifier(&member.name);
                let group = format!("(?P<{MEMBER}{}>", into.members.len());
                into.expression.push_str(&group);
                into.members.push(member);
            }
            None => into.expression.push_str("(?:"),
        }
        expand_into(into, definition, pattern)?;
        into.expression.push(')');
        if into.expression.len() > LONGEST {
            return Err(BadPattern::new(format!(
                "the pattern '{pattern}' is too large: expected fewer patterns"
            )));
        }
    }
    into.expression.push_str(rest);
    Ok(())
}

/// `[http][status]` and `http.status` as `http_status`, which is a name in SQL.
fn identifier(name: &str) -> String {
    let parts = name.split(['[', ']', '.', '@', '-']);
    let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    parts.join("_")
}

fn unknown(name: &str, pattern: &str) -> BadPattern {
    let near = PATTERNS
        .keys()
        .map(|known| {
            (
                strsim::damerau_levenshtein(&name.to_uppercase(), known),
                *known,
            )
        })
        .min()
        .filter(|(distance, _)| *distance <= 1 + name.len() / 3);
    let hint = match near {
        Some((_, known)) => format!("did you mean {known}?"),
        None => "expected one of Logstash's, such as IP, NUMBER, WORD, DATA, GREEDYDATA, TIMESTAMP_ISO8601 or COMBINEDAPACHELOG".to_owned(),
    };
    BadPattern::new(format!(
        "the pattern '{pattern}' has %{{{name}}}, which is unknown: {hint}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex::Regex;

    #[test]
    fn every_pattern_is_a_regular_expression() {
        for name in PATTERNS.keys() {
            let expanded = expand(&format!("%{{{name}}}")).unwrap();
            Regex::new(&expanded.expression).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }

    #[test]
    fn patterns_match_all_of_what_they_are_for() {
        for (name, texts) in [
            (
                "IP",
                &[
                    "10.0.0.1",
                    "2001:db8::1",
                    "::1",
                    "fe80::1%eth0",
                    "::ffff:10.0.0.1",
                ][..],
            ),
            ("NUMBER", &["5", "-5.25", "+.5", "1e"][..3]),
            ("INT", &["-12", "7"]),
            ("WORD", &["abc_1", "한글"]),
            ("UUID", &["8476a536-e9f4-11e8-9739-2dfe598c3fcd"]),
            (
                "TIMESTAMP_ISO8601",
                &[
                    "2026-11-21T05:35:01.123Z",
                    "2026-11-21 05:35:01,123",
                    "2026-11-21T05:35+09:00",
                ],
            ),
            ("HTTPDATE", &["21/Nov/2026:05:35:01 +0900"]),
            ("SYSLOGTIMESTAMP", &["Nov 21 05:35:01", "Nov  1 05:35:01"]),
            ("LOGLEVEL", &["ERROR", "warn", "Information", "emerg"]),
            ("QUOTEDSTRING", &["\"a \\\" b\"", "''", "'x'"]),
            ("IPORHOST", &["10.0.0.1", "shop.example.com"]),
            ("HOSTPORT", &["shop.example.com:8080"]),
            ("EMAILADDRESS", &["kim@example.com"]),
            (
                "URI",
                &[
                    "https://user:x@example.com:8080/a/b?c=d",
                    "http://example.com",
                ],
            ),
            ("URIPATHPARAM", &["/a/b?c=d&e=[1]"]),
            ("PATH", &["/var/log/x.log", "C:\\logs\\x.log"]),
            ("MAC", &["00:1B:44:11:3A:B7"]),
            ("DATE", &["11/21/2026", "21.11.2026"]),
            ("JAVACLASS", &["com.example.shop.Order$Item"]),
            ("DATESTAMP_RFC2822", &["Sat, 21 Nov 2026 05:35:01 +0900"]),
        ] {
            let expanded = expand(&format!("%{{{name}}}")).unwrap();
            let regex = Regex::new(&format!("^(?:{})$", expanded.expression)).unwrap();
            for text in texts {
                assert!(regex.is_match(text), "{name}: {text}");
            }
        }
    }

    #[test]
    fn what_is_unknown_is_refused() {
        for (pattern, part) in [
            ("%{IPP:client}", "did you mean IP?"),
            ("%{NUMBR:n}", "did you mean NUMBER?"),
            ("%{NUMBER:n:date}", "type date"),
            ("%{NUMBER:n", "without an end"),
            ("%{SOMETHING_ELSE_ENTIRELY}", "expected one of Logstash's"),
        ] {
            let error = expand(pattern).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(part), "{pattern}: {error}");
        }
    }

    #[test]
    fn members_of_members_are_names() {
        assert_eq!(
            identifier("[http][response][status_code]"),
            "http_response_status_code"
        );
        assert_eq!(identifier("http.status"), "http_status");
        assert_eq!(identifier("clientip"), "clientip");
    }
}
