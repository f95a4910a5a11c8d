//! The checked values of a job file. Each is checked while the file is parsed, so that an error has its line.

use std::fmt;
use std::time::Duration;

use chrono_tz::Tz;
use globset::{GlobBuilder, GlobMatcher};
use serde::{Deserialize, Deserializer, de::Error as _};

/// Text in which `${NAME}` stands for an environment variable; `$${` is a literal `${`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        expand(&text, |name| std::env::var(name).ok())
            .map(Text)
            .map_err(D::Error::custom)
    }
}

fn expand(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(escaped) = before.strip_suffix('$') {
            out.push_str(escaped);
            out.push_str("${");
            rest = &from[2..];
            continue;
        }
        out.push_str(before);
        let (name, after) = from[2..]
            .split_once('}')
            .ok_or_else(|| format!("{text:?} has a ${{ without its }}"))?;
        let value = variable(name)
            .ok_or_else(|| format!("the environment variable {name:?} in {text:?} is not set"))?;
        out.push_str(&value);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// The name of a job, query or chart: `[a-z][a-z0-9_]*`, at most 64 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    /// Checks the text.
    pub fn new(text: &str) -> Result<Self, String> {
        let first = text.bytes().next();
        let fits = first.is_some_and(|b| b.is_ascii_lowercase())
            && text.len() <= 64
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "{text:?} is not a valid name: expected a lowercase letter, then lowercase letters, digits and underscores, at most 64 characters"
            ))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        Name::new(&text.0).map_err(D::Error::custom)
    }
}

/// An IANA time zone.
#[derive(Debug, Clone, Copy)]
pub struct Zone(pub Tz);

/// The zone with this IANA name; the error names the nearest known one.
pub fn parse_zone(name: &str) -> Result<Tz, String> {
    name.parse().map_err(|_| {
        // Up to four letters are an abbreviation; the zone with the most similar name is elsewhere.
        let nearest = match name {
            "KST" => Some("Asia/Seoul"),
            "JST" => Some("Asia/Tokyo"),
            "PST" | "PDT" => Some("America/Los_Angeles"),
            "EDT" => Some("America/New_York"),
            "CEST" => Some("Europe/Berlin"),
            _ if name.len() <= 4 => None,
            _ => nearest(name, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())),
        };
        let hint = nearest.map_or(String::new(), |zone| format!("; did you mean {zone:?}?"));
        format!(
            "{name:?} is not a valid time zone: expected an IANA name such as \"Asia/Seoul\"{hint}"
        )
    })
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        parse_zone(&text.0).map(Zone).map_err(D::Error::custom)
    }
}

/// A length of time, such as `30s`, `1h` or `7d`.
#[derive(Debug, Clone, Copy)]
pub struct Length(pub Duration);

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        humantime::parse_duration(&text.0).map(Length).map_err(|_| {
            D::Error::custom(format!(
                "{:?} is not a valid length of time: expected one such as \"30s\", \"6h\" or \"7d\"",
                text.0
            ))
        })
    }
}

/// A number of bytes, such as `512MiB` or `2GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSize(pub u64);

impl std::str::FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is not a valid size: expected one such as \"512MiB\" or \"2GiB\"");
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = text.split_at(digits);
        let factor: u64 = match unit.trim() {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "TiB" => 1 << 40,
            "KB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            _ => return Err(wrong()),
        };
        let bytes = count
            .parse::<u64>()
            .ok()
            .and_then(|count| count.checked_mul(factor))
            .filter(|bytes| *bytes > 0)
            .ok_or_else(wrong)?;
        Ok(Self(bytes))
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        text.0.parse().map_err(D::Error::custom)
    }
}

/// The name of a log group, or a glob over names in which `*` also crosses slashes.
#[derive(Debug, Clone)]
pub struct GroupPattern {
    text: String,
    matcher: Option<GlobMatcher>,
}

impl GroupPattern {
    /// Checks the text against CloudWatch's rules for names, and compiles its glob (`*`, `?`, `[…]`, `{a,b}`).
    pub fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > 512 {
            return Err(format!(
                "{text:?} is not a valid log group: expected 1 to 512 characters"
            ));
        }
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b"._-/#".contains(&b);
        if let Some(wrong) = text
            .chars()
            .find(|c| !(c.is_ascii() && (is_name(*c as u8) || "*?[]{},!".contains(*c))))
        {
            return Err(format!(
                "{text:?} is not a valid log group: it has {wrong:?}, expected letters, digits and . _ - / # (in globs also * ? [ ] {{ }})"
            ));
        }
        let matcher = if text.bytes().all(is_name) {
            None
        } else {
            let glob = GlobBuilder::new(text)
                .literal_separator(false)
                .build()
                .map_err(|error| format!("{text:?} is not a valid glob: {}", error.kind()))?;
            Some(glob.compile_matcher())
        };
        Ok(Self {
            text: text.to_owned(),
            matcher,
        })
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is a name rather than a glob.
    pub fn is_name(&self) -> bool {
        self.matcher.is_none()
    }

    /// The literal prefix of every matching name.
    pub fn literal_prefix(&self) -> &str {
        let end = self
            .text
            .find(['*', '?', '[', '{', '!', ','])
            .unwrap_or(self.text.len());
        &self.text[..end]
    }

    /// Whether it matches the log group's name.
    pub fn matches(&self, group: &str) -> bool {
        match &self.matcher {
            Some(matcher) => matcher.is_match(group),
            None => self.text == group,
        }
    }
}

impl<'de> Deserialize<'de> for GroupPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        GroupPattern::new(&text.0).map_err(D::Error::custom)
    }
}

/// The candidate most similar to the text, or `None` if none is similar.
pub fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = text.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| {
            let similarity =
                strsim::normalized_damerau_levenshtein(&lower, &candidate.to_lowercase());
            (similarity, candidate)
        })
        .filter(|(similarity, _)| *similarity >= 0.5)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn expanded(text: &str) -> Result<String, String> {
        expand(text, |name| (name == "BUCKET").then(|| "acme".to_owned()))
    }

    #[test]
    fn variables_are_taken_and_unset_ones_named() {
        assert_eq!(expanded("s3://${BUCKET}/x").unwrap(), "s3://acme/x");
        assert_eq!(expanded("${BUCKET}${BUCKET}").unwrap(), "acmeacme");
        assert_eq!(
            expanded("$${BUCKET} costs $5").unwrap(),
            "${BUCKET} costs $5"
        );
        assert!(expanded("${NOPE}").unwrap_err().contains("\"NOPE\""));
        assert!(expanded("${NOPE").unwrap_err().contains("without its }"));
    }

    #[test]
    fn names_are_what_athena_and_keys_can_hold() {
        for good in ["a", "hourly_count", "p95_2"] {
            assert_eq!(Name::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "A", "1a", "_a", "a-b", "a/b", "주문", &"a".repeat(65)] {
            assert!(Name::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_wrong_zone_names_the_nearest() {
        let error = parse_zone("Asia/Soul").unwrap_err();
        assert!(error.contains("Asia/Seoul"), "{error}");
        assert!(parse_zone("").is_err());
        let error = parse_zone("KST").unwrap_err();
        assert!(error.ends_with("did you mean \"Asia/Seoul\"?"), "{error}");
        let error = parse_zone("XST").unwrap_err();
        assert!(!error.contains("did you mean"), "{error}");
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!("2GiB".parse(), Ok(ByteSize(2 << 30)));
        assert_eq!("512 MiB".parse(), Ok(ByteSize(512 << 20)));
        for bad in [
            "",
            "2",
            "GiB",
            "0B",
            "-1MiB",
            "2gib",
            "99999999999999999999B",
            "99999999TiB",
        ] {
            assert!(bad.parse::<ByteSize>().is_err(), "{bad}");
        }
    }

    #[test]
    fn globs_cross_slashes_and_names_match_themselves() {
        let glob = GroupPattern::new("/aws/lambda/checkout-*").unwrap();
        assert!(glob.matches("/aws/lambda/checkout-api"));
        assert!(glob.matches("/aws/lambda/checkout-a/b"));
        assert!(!glob.matches("/aws/lambda/cart"));
        assert_eq!(glob.literal_prefix(), "/aws/lambda/checkout-");
        let name = GroupPattern::new("/ecs/web").unwrap();
        assert!(name.is_name() && name.matches("/ecs/web") && !name.matches("/ecs/web2"));
        for bad in ["", "a b", "/aws/[", "주문"] {
            assert!(GroupPattern::new(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = expanded(&text);
            let _ = Name::new(&text);
            let _ = GroupPattern::new(&text);
            let _ = text.parse::<ByteSize>();
            let _ = parse_zone(&text);
        }

        #[test]
        fn text_without_a_dollar_stays(text in "[^$]{0,40}") {
            prop_assert_eq!(expanded(&text).unwrap(), text);
        }
    }
}
