//! The checked values of a job file. Each is checked while the file is parsed, so that an error has its line.

use std::fmt;
use std::time::Duration;

use chrono_tz::Tz;
use globset::{GlobBuilder, GlobMatcher};
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer};

use super::arn;

/// Text in which `${NAME}` stands for an environment variable; `$${` is a literal `${`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, "text in quotes").map(Text)
    }
}

/// Reads text and fills its variables in. The error for any other value says what was expected.
fn text<'de, D: Deserializer<'de>>(
    deserializer: D,
    expected: &'static str,
) -> Result<String, D::Error> {
    struct Expected(&'static str);

    impl Visitor<'_> for Expected {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<String, E> {
            expand(text, |name| std::env::var(name).ok()).map_err(E::custom)
        }
    }
    deserializer.deserialize_str(Expected(expected))
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

/// A text that is kept out of job files: it is written as `"${NAME}"`, and its value is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// The value.
    pub value: String,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let name = text
            .strip_prefix("${")
            .and_then(|rest| rest.strip_suffix('}'));
        let name = name.filter(|name| !name.is_empty() && !name.contains(['$', '{', '}']));
        let name = name.ok_or_else(|| {
            D::Error::custom(
                "a secret does not belong into a job file: expected \"${NAME}\", which is the value of an environment variable",
            )
        })?;
        let value = std::env::var(name).map_err(|_| {
            D::Error::custom(format!("the environment variable {name:?} is not set"))
        })?;
        Ok(Self { value })
    }
}

/// The keys that are secrets.
const SECRETS: [&str; 2] = ["webhook", "slack_token"];

/// Whether the value of this key is a secret.
pub(super) fn is_secret(key: &str) -> bool {
    SECRETS.contains(&key)
}

/// A line of a job file as errors show it: a value that is a [`Secret`] is left out, also where it is written in full.
pub(super) fn without_secret(line: &str) -> &str {
    let key = line.trim_start_matches(['#', '/', '-', ';', '"', '\'', ' ', '\t']);
    match line.split_once(['=', ':']) {
        Some((before, _)) if SECRETS.iter().any(|name| key.starts_with(name)) => before.trim_end(),
        _ => line.trim_end(),
    }
}

/// A part of a whole, such as `50%`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share(pub f64);

impl Share {
    fn parse(text: &str) -> Option<Self> {
        let number = text.strip_suffix('%')?.trim_end();
        let is_plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let percent: f64 = number.parse().ok().filter(|_| is_plain)?;
        percent.is_finite().then_some(Self(percent / 100.0))
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        Self::parse(&text.0).ok_or_else(|| {
            let wrong = format!("{:?} is no share: expected one such as \"50%\"", text.0);
            D::Error::custom(wrong)
        })
    }
}

/// A bound: a number, or a share such as `"50%"`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// `1000`
    Number(f64),
    /// `"50%"`
    Share(Share),
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a number or a share such as \"50%\"")]
        enum Written {
            Number(f64),
            Text(Text),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(number) => Ok(Self::Number(number)),
            Written::Text(Text(text)) => match Share::parse(&text) {
                Some(share) => Ok(Self::Share(share)),
                None => Err(D::Error::custom(format!(
                    "{text:?} is no number or share: expected one such as 1000 or \"50%\""
                ))),
            },
        }
    }
}

/// A namespace of CloudWatch's metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace(pub String);

impl<'de> Deserialize<'de> for Namespace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Text(text) = Text::deserialize(deserializer)?;
        let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b".-_/#:".contains(&b);
        let fits = (1..=255).contains(&text.len()) && text.bytes().all(is_allowed);
        match fits && !text.starts_with("AWS/") && !text.starts_with(':') {
            true => Ok(Self(text)),
            false => Err(D::Error::custom(format!(
                "{text:?} is not a namespace of metrics: expected 1 to 255 letters, digits and . - _ / # : that do not begin with AWS/ or a colon"
            ))),
        }
    }
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
            let meant: String = text
                .chars()
                .map(|c| match c {
                    c if c.is_ascii_alphanumeric() => c.to_ascii_lowercase(),
                    _ => '_',
                })
                .collect();
            let hint = match meant.as_str() {
                meant if meant != text && Self::new(meant).is_ok() => {
                    format!("; did you mean {meant:?}?")
                }
                _ => String::new(),
            };
            Err(format!(
                "{text:?} is not a valid name: expected a lowercase letter, then lowercase letters, digits and underscores, at most 64 characters{hint}"
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
        let text = text(deserializer, r#"a name in quotes, such as "checkout""#)?;
        Name::new(&text).map_err(D::Error::custom)
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
            "Z" => Some("UTC"),
            _ if name.len() <= 4
                || name.contains(['+', '-']) && name.contains(|c: char| c.is_ascii_digit()) =>
            {
                None
            }
            _ => nearest(name, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())),
        };
        let hint = match (offset_zone(name), nearest) {
            (Some(zone), _) => format!("; the zone of that offset all year is {zone:?}"),
            (None, Some(zone)) => format!("; did you mean {zone:?}?"),
            (None, None) => String::new(),
        };
        format!(
            "{name:?} is not a valid time zone: expected an IANA name such as \"Asia/Seoul\"{hint}"
        )
    })
}

/// The zone of a fixed offset of whole hours, such as `+09:00` or `UTC+9`. Its name has the sign of POSIX, the opposite one.
fn offset_zone(name: &str) -> Option<String> {
    let offset = name
        .trim_start_matches("UTC")
        .trim_start_matches("GMT")
        .trim();
    let hours = offset.strip_prefix(['+', '-'])?;
    let hours = hours
        .strip_suffix(":00")
        .or_else(|| hours.strip_suffix("00").filter(|rest| rest.len() == 2));
    let hours: u32 = hours.unwrap_or(&offset[1..]).parse().ok()?;
    let sign = if offset.starts_with('+') { '-' } else { '+' };
    let zone = format!("Etc/GMT{sign}{hours}");
    zone.parse::<Tz>().is_ok().then_some(zone)
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = text(
            deserializer,
            r#"an IANA time zone in quotes, such as "Asia/Seoul""#,
        )?;
        parse_zone(&text).map(Zone).map_err(D::Error::custom)
    }
}

/// A length of time, such as `30s`, `1h` or `7d`.
#[derive(Debug, Clone, Copy)]
pub struct Length(pub Duration);

/// Parses a length of time.
pub fn parse_length(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match is_number {
            true => format!("{text:?} has no unit: expected one such as \"{text}m\" or \"{text}h\""),
            false => format!(
                "{text:?} is not a valid length of time: expected one such as \"30s\", \"6h\" or \"7d\""
            ),
        }
    })
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = r#"a length of time with its unit, in quotes, such as "12h""#;
        parse_length(&text(deserializer, expected)?)
            .map(Length)
            .map_err(D::Error::custom)
    }
}

/// A number of bytes, such as `512MiB` or `2GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSize(pub u64);

impl std::str::FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = text.split_at(digits);
        let wrong = || {
            let meant = match unit.trim().to_ascii_lowercase().as_str() {
                "k" | "kb" | "kib" => Some("KiB"),
                "" | "m" | "mb" | "mib" => Some("MiB"),
                "g" | "gb" | "gib" => Some("GiB"),
                "t" | "tb" | "tib" => Some("TiB"),
                _ => None,
            };
            let is_count = digits > 0 && count.bytes().any(|digit| digit != b'0');
            let hint = match meant.filter(|_| is_count && digits < 8) {
                Some(meant) => format!("; did you mean \"{count}{meant}\"?"),
                None => String::new(),
            };
            format!(
                "{text:?} is not a valid size: expected one such as \"512MiB\" or \"2GiB\"{hint}"
            )
        };
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
        let text = text(
            deserializer,
            r#"a size with its unit, in quotes, such as "512MiB""#,
        )?;
        text.parse().map_err(D::Error::custom)
    }
}

/// The width and the height of a chart in pixels.
#[derive(Debug, Clone, Copy)]
pub struct PixelSize(pub (u32, u32));

impl<'de> Deserialize<'de> for PixelSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = toml::Value::deserialize(deserializer)?;
        let sides: Option<Vec<u32>> = value.as_array().and_then(|sides| {
            let sides = sides.iter().map(|side| side.as_integer()?.try_into().ok());
            sides.collect()
        });
        match sides.as_deref() {
            Some(&[width, height]) => Ok(Self((width, height))),
            _ => Err(D::Error::custom(
                "expected the width and the height in pixels, such as [1600, 900]",
            )),
        }
    }
}

/// The name of a log group, or a glob over names in which `*` also crosses slashes; or either within the ARN of a log group
/// of a linked account.
#[derive(Debug, Clone)]
pub struct GroupPattern {
    text: String,
    matcher: Option<GlobMatcher>,
}

/// Splits the ARN of a log group, `arn:<partition>:logs:<region>:<account>:log-group:<name>`: the part before its name, and
/// the name. `None` for any other text.
pub fn split_group_arn(text: &str) -> Option<(&str, &str)> {
    let mut parts = text.splitn(7, ':');
    let is_arn = parts.next()? == "arn" && !parts.next()?.is_empty() && parts.next()? == "logs";
    let (region, account) = (parts.next()?, parts.next()?);
    let is_plain = |part: &str| {
        let mut bytes = part.bytes();
        !part.is_empty() && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let is_group = parts.next()? == "log-group" && is_plain(region) && is_plain(account);
    let name = parts.next()?;
    (is_arn && is_group && !name.is_empty()).then(|| text.split_at(text.len() - name.len()))
}

/// What can't be of the ARN of a log group, whatever its name.
fn ensure_parts(arn: &str) -> Result<(), String> {
    let parts: Vec<&str> = arn.splitn(7, ':').collect();
    let (Some(partition), Some(service)) = (parts.get(1), parts.get(2)) else {
        return Err("it ends early".to_owned());
    };
    if *service != "logs" {
        return Err(format!("its service is {service:?}, expected \"logs\""));
    }
    match parts[3..] {
        [region, account, "log-group", ..] => arn::ensure_regional(partition, region, account),
        [_, _, resource, ..] => Err(format!(
            "it names a resource of the kind {resource:?}, expected \"log-group\""
        )),
        _ => Err("it ends early".to_owned()),
    }
}

impl GroupPattern {
    /// Checks the text against CloudWatch's rules for names, and compiles its glob (`*`, `?`, `[…]`, `{a,b}`).
    pub fn new(text: &str) -> Result<Self, String> {
        if text.starts_with("arn:") {
            return Self::linked(text);
        }
        if text.is_empty() || text.len() > 512 {
            return Err(format!(
                "{text:?} is not a valid log group: expected a name of 1 to 512 characters, such as \"/ecs/web\""
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

    /// Log groups of a linked account. The console and IAM write ARNs with `:*` behind the name.
    fn linked(text: &str) -> Result<Self, String> {
        let whole = text.strip_suffix(":*").unwrap_or(text);
        let wrong = |what: &str| {
            format!(
                "{text:?} is not the ARN of a log group: {what}; expected arn:aws:logs:<region>:<account>:log-group:<name or glob>, such as \"arn:aws:logs:eu-west-1:123456789012:log-group:/ecs/web\""
            )
        };
        ensure_parts(whole).map_err(|what| wrong(&what))?;
        let (account, name) =
            split_group_arn(whole).ok_or_else(|| wrong("it names no log group"))?;
        let name = Self::new(name)?;
        let matcher = match name.is_name() {
            true => None,
            false => {
                let glob = GlobBuilder::new(whole).literal_separator(false).build();
                let glob = glob
                    .map_err(|error| format!("{text:?} is not a valid glob: {}", error.kind()))?;
                Some(glob.compile_matcher())
            }
        };
        Ok(Self {
            text: format!("{account}{}", name.text),
            matcher,
        })
    }

    /// Whether it is the ARN of a log group, or a glob over such ARNs.
    pub fn is_linked(&self) -> bool {
        self.text.starts_with("arn:")
    }

    /// The Region of a log group of a linked account.
    pub fn region(&self) -> Option<&str> {
        self.text.split(':').nth(3).filter(|_| self.is_linked())
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

    /// Whether it matches the log group's name, or its ARN where it is of a linked account.
    pub fn matches(&self, group: &str) -> bool {
        match &self.matcher {
            Some(_) if self.is_linked() != group.starts_with("arn:") => false,
            Some(matcher) => matcher.is_match(group),
            None => self.text == group,
        }
    }
}

impl<'de> Deserialize<'de> for GroupPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = text(
            deserializer,
            r#"a log group in quotes, such as "/aws/lambda/checkout-*""#,
        )?;
        GroupPattern::new(&text).map_err(D::Error::custom)
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
        let error = Name::new("Night-Job").unwrap_err();
        assert!(error.ends_with("did you mean \"night_job\"?"), "{error}");
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
        for offset in ["+09:00", "UTC+9", "GMT+0900"] {
            let error = parse_zone(offset).unwrap_err();
            assert!(error.ends_with("\"Etc/GMT-9\""), "{error}");
        }
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!("2GiB".parse(), Ok(ByteSize(2 << 30)));
        assert_eq!("512 MiB".parse(), Ok(ByteSize(512 << 20)));
        for meant in ["2G", "2gb", "2GIB"] {
            let error = meant.parse::<ByteSize>().unwrap_err();
            assert!(error.ends_with("did you mean \"2GiB\"?"), "{error}");
        }
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
    fn arns_of_log_groups_are_those_of_linked_accounts() {
        let account = "arn:aws:logs:eu-west-1:123456789012:log-group:";
        let (web, api) = (format!("{account}/ecs/web"), format!("{account}/ecs/api"));
        assert_eq!(split_group_arn(&web), Some((account, "/ecs/web")));
        let name = GroupPattern::new(&format!("{web}:*")).unwrap();
        assert!(name.is_linked() && name.is_name() && name.as_str() == web);
        assert!(name.matches(&web) && !name.matches(&api) && !name.matches("/ecs/web"));
        let glob = GroupPattern::new(&format!("{account}/ecs/*")).unwrap();
        assert!(glob.matches(&web) && glob.matches(&api) && !glob.matches("/ecs/web"));
        assert_eq!(glob.literal_prefix(), format!("{account}/ecs/"));
        // A glob over names has none of a linked account.
        assert!(!GroupPattern::new("*").unwrap().matches(&web));
        assert_eq!(glob.region(), Some("eu-west-1"));
        for (bad, expected) in [
            ("arn:", "it ends early"),
            ("arn:aws:logs:eu-west-1", "it ends early"),
            (
                "arn:aws:logs:eu-west-1:123456789012:log-group",
                "it names no log group",
            ),
            (
                "arn:aws:logs:eu-west-1:123456789012:log-group:",
                "it names no log group",
            ),
            (
                "arn:aws:logs:*:123456789012:log-group:/ecs/web",
                "its Region is \"*\"",
            ),
            (
                "arn:aws:logs:eu-west:123456789012:log-group:/ecs/web",
                "its Region is \"eu-west\"",
            ),
            (
                "arn:aws:logs:eu-west-1:12345678901:log-group:/ecs/web",
                "expected 12 digits",
            ),
            (
                "arn:aws:logs:eu-west-1:*:log-group:/ecs/web",
                "expected 12 digits",
            ),
            (
                "arn:aws-cn:logs:eu-west-1:123456789012:log-group:/a",
                "its partition is \"aws-cn\"",
            ),
            (
                "arn:aws:logs:cn-north-1:123456789012:log-group:/a",
                "expected \"aws-cn\"",
            ),
            (
                "arn:aws:logs:eu-west-1:123456789012:destination:a",
                "the kind \"destination\"",
            ),
            ("arn:aws:s3:::acme-logs", "its service is \"s3\""),
        ] {
            let error = GroupPattern::new(bad).unwrap_err();
            assert!(error.contains("is not the ARN of a log group"), "{error}");
            assert!(error.contains(expected), "{error}");
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
