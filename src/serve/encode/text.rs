//! The text form of values.

use std::cell::Cell;
use std::fmt::{Display, LowerExp, Write};
use std::ops::Range;

use bytes::{BufMut, BytesMut};
use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::Tz;

use super::Values;

/// PostgreSQL counts days and microseconds from 2000-01-01.
pub const DAYS_TO_2000: i32 = 10_957;

/// The same in microseconds.
pub const MICROSECONDS_TO_2000: i64 = DAYS_TO_2000 as i64 * DAY_US;

const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;
const HOUR_S: i64 = 60 * 60;

/// The offsets of a zone from UTC. The last one is kept with the hour that it is of, as rows that follow each other are
/// often of the same hour: no zone changes its offset within a quarter of an hour of UTC, in which the hour is divided.
pub struct Offsets {
    zone: Tz,
    /// The number of the quarter of an hour since 1970, and its offset in seconds.
    last: Cell<(i64, i32)>,
}

const QUARTER_US: i64 = 15 * 60 * 1_000_000;

impl Offsets {
    pub fn new(zone: Tz) -> Self {
        Self {
            zone,
            last: Cell::new((i64::MIN, 0)),
        }
    }

    /// The offset in seconds at an instant in microseconds since 1970.
    fn at(&self, us: i64) -> i32 {
        let quarter = us.div_euclid(QUARTER_US);
        let (known, offset) = self.last.get();
        if known == quarter {
            return offset;
        }
        let at = DateTime::from_timestamp_micros(us).unwrap_or_default();
        let offset = self.zone.offset_from_utc_datetime(&at.naive_utc());
        let offset = offset.fix().local_minus_utc();
        self.last.set((quarter, offset));
        offset
    }
}

pub fn integer(value: i64, out: &mut BytesMut) {
    out.put_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// The shortest digits that mean the value, as `float8out` writes them: with an exponent below 0.0001 and from 1e15 on
/// (`float4`: 1e6).
pub fn float<T: Display + LowerExp>(size: f64, value: T, out: &mut BytesMut) {
    if size.is_nan() {
        return out.put_slice(b"NaN");
    }
    if size.is_infinite() {
        return out.put_slice(if size > 0.0 {
            b"Infinity"
        } else {
            b"-Infinity"
        });
    }
    let most = if std::mem::size_of::<T>() == 4 { 6 } else { 15 };
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let written = match (-4..most).contains(&exponent) {
        true => write!(out, "{value}"),
        false => {
            let sign = if exponent < 0 { '-' } else { '+' };
            write!(out, "{digits}e{sign}{:02}", exponent.abs())
        }
    };
    debug_assert!(written.is_ok());
}

pub fn bytes(value: &[u8], out: &mut BytesMut) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.put_slice(b"\\x");
    out.reserve(2 * value.len());
    for byte in value {
        out.put_u8(DIGITS[usize::from(byte >> 4)]);
        out.put_u8(DIGITS[usize::from(byte & 15)]);
    }
}

/// A number with at least this many digits.
fn padded(value: i64, digits: usize, out: &mut BytesMut) {
    let mut buffer = itoa::Buffer::new();
    let text = buffer.format(value).as_bytes();
    for _ in text.len()..digits {
        out.put_u8(b'0');
    }
    out.put_slice(text);
}

/// The date of a day, counted from 1970-01-01. Returns whether it is before Christ, which stands behind the time.
/// Source: Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.
fn calendar(days: i64, out: &mut BytesMut) -> bool {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let part = (5 * of_year + 2) / 153;
    let day = of_year - (153 * part + 2) / 5 + 1;
    let month = if part < 10 { part + 3 } else { part - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let is_before = year <= 0;
    padded(if is_before { 1 - year } else { year }, 4, out);
    out.put_u8(b'-');
    padded(month, 2, out);
    out.put_u8(b'-');
    padded(day, 2, out);
    is_before
}

pub fn date(days: i64, out: &mut BytesMut) {
    if calendar(days, out) {
        out.put_slice(b" BC");
    }
}

/// A time of day in microseconds: `05:07:09.25`.
pub fn time(us: i64, out: &mut BytesMut) {
    let seconds = us / 1_000_000;
    padded(seconds / HOUR_S, 2, out);
    out.put_u8(b':');
    padded(seconds / 60 % 60, 2, out);
    out.put_u8(b':');
    padded(seconds % 60, 2, out);
    let mut fraction = us % 1_000_000;
    if fraction != 0 {
        out.put_u8(b'.');
        let mut digits = 6;
        while fraction % 10 == 0 {
            fraction /= 10;
            digits -= 1;
        }
        padded(fraction, digits, out);
    }
}

/// A time in microseconds since 1970, on the wall clock of a zone and with its offset if there is one.
pub fn timestamp(us: i64, offsets: Option<&Offsets>, out: &mut BytesMut) {
    let offset = offsets.map(|offsets| offsets.at(us));
    let us = us.saturating_add(i64::from(offset.unwrap_or(0)) * 1_000_000);
    let is_before = calendar(us.div_euclid(DAY_US), out);
    out.put_u8(b' ');
    time(us.rem_euclid(DAY_US), out);
    if let Some(offset) = offset {
        let seconds = i64::from(offset.abs());
        out.put_u8(if offset < 0 { b'-' } else { b'+' });
        padded(seconds / HOUR_S, 2, out);
        if seconds % HOUR_S != 0 {
            out.put_u8(b':');
            padded(seconds / 60 % 60, 2, out);
        }
        if seconds % 60 != 0 {
            out.put_u8(b':');
            padded(seconds % 60, 2, out);
        }
    }
    if is_before {
        out.put_slice(b" BC");
    }
}

/// An array: `{1,NULL,"a b"}`.
pub fn list(values: &Values, rows: Range<usize>, out: &mut BytesMut) {
    let mut item = BytesMut::new();
    out.put_u8(b'{');
    for row in rows.clone() {
        if row > rows.start {
            out.put_u8(b',');
        }
        if values.is_null(row) {
            out.put_slice(b"NULL");
            continue;
        }
        item.clear();
        values.write(row, &mut item);
        let is_special = |byte: &u8| {
            matches!(byte, b'{' | b'}' | b',' | b'"' | b'\\') || byte.is_ascii_whitespace()
        };
        let quoted =
            item.is_empty() || item.eq_ignore_ascii_case(b"null") || item.iter().any(is_special);
        if !quoted {
            out.put_slice(&item);
            continue;
        }
        out.put_u8(b'"');
        for byte in &item {
            if matches!(byte, b'"' | b'\\') {
                out.put_u8(b'\\');
            }
            out.put_u8(*byte);
        }
        out.put_u8(b'"');
    }
    out.put_u8(b'}');
}
