//! A zone as a type of SQL can name it: one of the tz database, or an offset from UTC.

use std::str::FromStr;

use chrono::FixedOffset;
use chrono_tz::Tz;
use thiserror::Error;

/// What a type of SQL can name as its zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Zone {
    /// A zone of the tz database.
    Named(Tz),
    /// The same offset from UTC at all times.
    Fixed(FixedOffset),
}

impl From<Tz> for Zone {
    fn from(zone: Tz) -> Self {
        Zone::Named(zone)
    }
}

impl FromStr for Zone {
    type Err = UnknownZone;

    /// An IANA name, or an offset: `+09:00`, `+0900`, `-03`, `+05:53:28`.
    fn from_str(text: &str) -> Result<Self, UnknownZone> {
        if let Ok(zone) = text.parse() {
            return Ok(Zone::Named(zone));
        }
        let offset = offset_of(text).ok_or_else(|| UnknownZone(text.to_owned()))?;
        Ok(Zone::Fixed(offset))
    }
}

/// A text that names no zone.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "unknown time zone '{0}': expected an IANA name such as 'Asia/Seoul' or 'UTC', or an offset such as '+09:00'"
)]
pub struct UnknownZone(String);

/// The offset that a text such as `+09:00` states.
fn offset_of(text: &str) -> Option<FixedOffset> {
    let (east, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let mut seconds = 0;
    let mut rest = digits;
    for unit_seconds in [3600, 60, 1] {
        if rest.is_empty() && unit_seconds != 3600 {
            break;
        }
        let (number, after) = rest.split_at_checked(2)?;
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number: i32 = number.parse().ok()?;
        if unit_seconds < 3600 && number > 59 {
            return None;
        }
        seconds += number * unit_seconds;
        rest = after.strip_prefix(':').unwrap_or(after);
    }
    match rest.is_empty() && !digits.ends_with(':') {
        true => FixedOffset::east_opt(east * seconds),
        false => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_a_name_or_an_offset() {
        let seconds = |text: &str| match text.parse() {
            Ok(Zone::Fixed(offset)) => Some(offset.local_minus_utc()),
            _ => None,
        };
        assert_eq!(
            "Asia/Seoul".parse(),
            Ok(Zone::Named(chrono_tz::Asia::Seoul))
        );
        for (text, expected) in [
            ("+09:00", Some(9 * 3600)),
            ("+0530", Some(5 * 3600 + 1800)),
            ("-03", Some(-3 * 3600)),
            ("+05:53:28", Some(5 * 3600 + 53 * 60 + 28)),
            ("+9", None),
            ("+09:", None),
            ("+09:60", None),
            ("+25:00", None),
            ("+", None),
            ("Asia/Soul", None),
            ("", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
