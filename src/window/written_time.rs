//! Times as people write them: `2026-11-21 05:35`, `2026-11-21T05:35:00.250Z`, `2026-11-21`.

use chrono::NaiveDate;
use thiserror::Error;

use super::local_clock::{DAY_MS, HOUR_MS, LocalClock, MINUTE_MS, OutOfRange, SECOND_MS};
use super::zone::Zone;

/// A text that is no time.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "\"{0}\" is no time: expected one such as '2026-11-21 05:35', '2026-11-21 05:35:00.250+09:00' or '2026-11-21'"
)]
pub struct NoTime(pub String);

/// A time to the nanosecond, on the wall clock of its zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrittenTime {
    /// Milliseconds since 1970-01-01T00:00 on the wall clock.
    pub local_ms: i64,
    /// Nanoseconds behind the millisecond, 0 to 999,999.
    pub nanos: u32,
    /// The zone that the text names, if it names one.
    pub zone: Option<Zone>,
}

impl WrittenTime {
    /// The instant, in milliseconds since 1970, on the wall clock of `clock` unless the text names a zone.
    pub fn instant_ms(&self, clock: &mut LocalClock) -> Result<i64, OutOfRange> {
        match self.zone {
            None => clock.instant_ms(self.local_ms),
            Some(zone) => LocalClock::new(zone).instant_ms(self.local_ms),
        }
    }

    /// What the wall clock of `clock` shows: the time as it is written, or that of the instant if the text names a zone.
    pub fn local_ms(&self, clock: &mut LocalClock) -> Result<i64, OutOfRange> {
        match self.zone {
            None => Ok(self.local_ms),
            Some(_) => {
                let instant_ms = self.instant_ms(clock)?;
                clock.local_ms(instant_ms)
            }
        }
    }

    /// Reads a time: a date of the years 1 to 9999 with hyphens, slashes or without, then perhaps a time of day, to the
    /// hour, minute, second or a part of it, and a zone: `Z`, an offset or an IANA name.
    ///
    /// # Errors
    /// [`NoTime`] for any other text.
    pub fn parse(text: &str) -> Result<Self, NoTime> {
        let mut rest = Rest(text.trim().as_bytes());
        rest.time().ok_or_else(|| NoTime(text.to_owned()))
    }
}

/// What is left of a text to read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn time(&mut self) -> Option<WrittenTime> {
        let mut local_ms = self.date()?;
        let mut nanos = 0;
        let separated = self.take(b'T') || self.take(b't') || self.spaces();
        if separated && self.0.first().is_some_and(u8::is_ascii_digit) {
            let (ms, behind) = self.time_of_day()?;
            local_ms += ms;
            nanos = behind;
        }
        let zone = self.zone()?;
        Some(WrittenTime {
            local_ms,
            nanos,
            zone,
        })
    }

    fn date(&mut self) -> Option<i64> {
        let year = self.digits(4, 4)?;
        let (month, day) = match self.0.first()? {
            separator @ (b'-' | b'/') => {
                let separator = *separator;
                self.take(separator);
                let month = self.digits(1, 2)?;
                self.take(separator).then_some(())?;
                (month, self.digits(1, 2)?)
            }
            _ => (self.digits(2, 2)?, self.digits(2, 2)?),
        };
        // There was no year 0.
        let year = i32::try_from(year).ok().filter(|year| *year > 0)?;
        let date = NaiveDate::from_ymd_opt(year, month, day)?;
        Some(date.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis())
    }

    /// Milliseconds since midnight, and nanoseconds behind them.
    fn time_of_day(&mut self) -> Option<(i64, u32)> {
        let mut hour = self.digits(1, 2)?;
        let colons = self.take(b':');
        let mut minute = 0;
        let mut second = 0;
        let mut nanos = 0;
        if colons || self.0.first().is_some_and(u8::is_ascii_digit) {
            minute = self.digits(2, 2)?;
            let follows = match colons {
                true => self.take(b':'),
                false => self.0.first().is_some_and(u8::is_ascii_digit),
            };
            if follows {
                second = self.digits(2, 2)?;
                if self.take(b'.') || self.take(b',') {
                    nanos = self.fraction()?;
                }
            }
        }
        if let Some(afternoon) = self.half_of_day() {
            // Noon and midnight are 12.
            hour = match hour {
                1..=12 => hour % 12 + if afternoon { 12 } else { 0 },
                _ => return None,
            };
        }
        let ms = i64::from(hour) * HOUR_MS
            + i64::from(minute) * MINUTE_MS
            + i64::from(second) * SECOND_MS
            + i64::from(nanos / 1_000_000);
        // 24:00 is the end of a day, and a leap second is the next minute's first, as in PostgreSQL.
        let fits = minute < 60 && second <= 60 && (hour < 24 || ms == DAY_MS && nanos == 0);
        fits.then_some((ms, nanos % 1_000_000))
    }

    /// Whether it is the afternoon, by `AM` or `PM`.
    fn half_of_day(&mut self) -> Option<bool> {
        let text = self.0.trim_ascii_start();
        let (half, after) = text.split_at_checked(2)?;
        let afternoon = half.eq_ignore_ascii_case(b"PM");
        if (!afternoon && !half.eq_ignore_ascii_case(b"AM"))
            || after.first().is_some_and(u8::is_ascii_alphabetic)
        {
            return None;
        }
        self.0 = after;
        Some(afternoon)
    }

    /// The zone that is all of the rest, if there is a rest.
    fn zone(&mut self) -> Option<Option<Zone>> {
        self.spaces();
        let rest = std::str::from_utf8(std::mem::take(&mut self.0)).ok()?;
        match rest {
            "" => Some(None),
            "Z" | "z" => Some(Some(Zone::Named(chrono_tz::UTC))),
            name => name.parse().ok().map(Some),
        }
    }

    /// The fraction of a second in nanoseconds; further digits are cut.
    fn fraction(&mut self) -> Option<u32> {
        let digits = self.0.iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        let (fraction, rest) = self.0.split_at(digits);
        self.0 = rest;
        let nth = |n: usize| u32::from(fraction.get(n).map_or(0, |digit| digit - b'0'));
        Some((0..9).fold(0, |nanos, n| nanos * 10 + nth(n)))
    }

    fn digits(&mut self, least: usize, most: usize) -> Option<u32> {
        let digits = self.0.iter().take(most);
        let count = digits.take_while(|byte| byte.is_ascii_digit()).count();
        if count < least {
            return None;
        }
        let (number, rest) = self.0.split_at(count);
        self.0 = rest;
        Some(
            number
                .iter()
                .fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')),
        )
    }

    fn take(&mut self, byte: u8) -> bool {
        match self.0.split_first() {
            Some((first, rest)) if *first == byte => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    fn spaces(&mut self) -> bool {
        let rest = self.0.trim_ascii_start();
        let any = rest.len() < self.0.len();
        self.0 = rest;
        any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    fn seoul(text: &str) -> Option<String> {
        let written = WrittenTime::parse(text).ok()?;
        let mut clock = LocalClock::new(chrono_tz::Asia::Seoul);
        let ms = written.instant_ms(&mut clock).unwrap();
        let nanos = i64::from(written.nanos);
        let at = DateTime::from_timestamp_millis(ms)? + chrono::TimeDelta::nanoseconds(nanos);
        Some(at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
    }

    #[test]
    fn a_time_without_a_zone_is_of_the_clock_and_one_with_a_zone_is_that_instant() {
        for (text, expected) in [
            ("2026-11-21 05:35", "2026-11-20T20:35:00Z"),
            ("2026-11-21T05:35", "2026-11-20T20:35:00Z"),
            (" 2026-11-21 05:35:07 ", "2026-11-20T20:35:07Z"),
            ("2026-11-21 05:35:07.25", "2026-11-20T20:35:07.250Z"),
            ("2026-11-21 05:35:07,250", "2026-11-20T20:35:07.250Z"),
            (
                "2026-11-21T05:35:07.0025001",
                "2026-11-20T20:35:07.002500100Z",
            ),
            ("2026-11-21", "2026-11-20T15:00:00Z"),
            ("2026-11-21T05", "2026-11-20T20:00:00Z"),
            ("2026/11/21 5:35", "2026-11-20T20:35:00Z"),
            ("2026-1-5", "2026-01-04T15:00:00Z"),
            ("20261121", "2026-11-20T15:00:00Z"),
            ("20261121T053507", "2026-11-20T20:35:07Z"),
            ("2026-11-21 24:00", "2026-11-21T15:00:00Z"),
            ("2026-11-21 12:05 AM", "2026-11-20T15:05:00Z"),
            ("2026-11-21 5:35pm", "2026-11-21T08:35:00Z"),
            ("2026-11-21 05:35Z", "2026-11-21T05:35:00Z"),
            ("2026-11-21T05:35:00.000z", "2026-11-21T05:35:00Z"),
            ("2026-11-21 05:35:00+09", "2026-11-20T20:35:00Z"),
            ("2026-11-21 05:35-0330", "2026-11-21T09:05:00Z"),
            ("2026-11-21T05:35:00 +01:00", "2026-11-21T04:35:00Z"),
            ("2026-11-21 05:35 America/New_York", "2026-11-21T10:35:00Z"),
            ("2026-11-21 UTC", "2026-11-21T00:00:00Z"),
            ("2026-11-21+09:00", "2026-11-20T15:00:00Z"),
            ("0001-01-02", "0001-01-01T15:32:08Z"),
            ("9999-12-31", "9999-12-30T15:00:00Z"),
        ] {
            assert_eq!(seoul(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "yesterday",
            "2026",
            "2026-11",
            "2026-13-01",
            "2026-02-30",
            "0000-01-01",
            "2026-11-21x",
            "2026-11-21 x",
            "2026-11-21 05:",
            "2026-11-21 05:60",
            "2026-11-21 24:01",
            "2026-11-21 13:00 PM",
            "2026-11-21 05:35:00.",
            "2026-11-21 05:35 Asia/Soul",
            "2026-11-21 05:35+",
            "2026-11-2105:35",
            "21.11.2026",
        ] {
            assert_eq!(seoul(text), None, "{text}");
        }
        let said = WrittenTime::parse("yesterday").unwrap_err().to_string();
        assert!(
            said.starts_with("\"yesterday\" is no time: expected"),
            "{said}"
        );
    }
}
