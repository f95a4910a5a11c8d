//! The binary form of values, in network order.

use std::ops::Range;

use arrow::datatypes::IntervalMonthDayNano;
use bytes::{BufMut, BytesMut};

use super::Values;

pub fn interval(value: IntervalMonthDayNano, out: &mut BytesMut) {
    out.put_i64(value.nanoseconds / 1000);
    out.put_i32(value.days);
    out.put_i32(value.months);
}

/// An array of one dimension, whose places count from 1.
pub fn list(values: &Values, rows: Range<usize>, oid: u32, out: &mut BytesMut) {
    let count = i32::try_from(rows.len()).unwrap_or(i32::MAX);
    let has_null = rows.clone().any(|row| values.is_null(row));
    out.put_i32(if rows.is_empty() { 0 } else { 1 });
    out.put_i32(has_null.into());
    out.put_u32(oid);
    if !rows.is_empty() {
        out.put_i32(count);
        out.put_i32(1);
    }
    for row in rows {
        values.put(row, out);
    }
}

/// A number in decimal digits: groups of four digits, the power of ten thousand of the first, the sign, and how many digits
/// are behind the point.
pub fn numeric(text: &str, out: &mut BytesMut) {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (0x4000, digits),
        None => (0, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = whole.trim_start_matches('0');
    let scale = i16::try_from(fraction.len()).unwrap_or(i16::MAX);
    let before = whole.len().div_ceil(4);
    let padded = format!(
        "{whole:0>before$}{fraction:0<after$}",
        before = before * 4,
        after = fraction.len().div_ceil(4) * 4
    );
    let mut groups: Vec<i16> = padded
        .as_bytes()
        .chunks(4)
        .map(|group| {
            group
                .iter()
                .fold(0, |sum, digit| sum * 10 + i16::from(digit - b'0'))
        })
        .collect();
    let mut weight = i16::try_from(before).unwrap_or(i16::MAX) - 1;
    let zeros = groups.iter().take_while(|group| **group == 0).count();
    groups.drain(..zeros);
    weight -= i16::try_from(zeros).unwrap_or(0);
    while groups.last() == Some(&0) {
        groups.pop();
    }
    if groups.is_empty() {
        weight = 0;
    }
    out.put_i16(i16::try_from(groups.len()).unwrap_or(i16::MAX));
    out.put_i16(weight);
    out.put_i16(if groups.is_empty() { 0 } else { sign });
    out.put_i16(scale);
    for group in groups {
        out.put_i16(group);
    }
}
