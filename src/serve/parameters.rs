//! The values that a client binds to `$1`, `$2` …, in text or in PostgreSQL's binary form, as SQL writes them.

use bytes::{Buf, BytesMut};

use super::encode::text;
use super::errors::Refusal;
use super::types::Kind;
use crate::query::BoundValue;

/// The number of the type `uuid`, whose values are texts here.
const UUID: u32 = 2950;

/// The number of the type `jsonb`.
const JSONB: u32 = 3802;

/// A value of a type, which has a number.
///
/// # Errors
/// A value that is none of the type.
pub fn decode(
    kind: &Kind,
    oid: u32,
    is_binary: bool,
    value: Option<&[u8]>,
) -> Result<BoundValue, Refusal> {
    let Some(value) = value else {
        return Ok(BoundValue::Null);
    };
    let decoded = match is_binary {
        true => of_binary(kind, oid, value),
        false => of_text(kind, value),
    };
    decoded.ok_or_else(|| {
        let form = if is_binary { "binary" } else { "text" };
        let what = format!(
            "a value of {} bytes is no {} in {form} form",
            value.len(),
            kind.sql_name()
        );
        Refusal::new("22P03", what)
    })
}

fn of_text(kind: &Kind, value: &[u8]) -> Option<BoundValue> {
    let text = std::str::from_utf8(value).ok()?;
    match kind {
        Kind::List(of) => list_of_text(of, text.trim()),
        Kind::Bytes => {
            let digits = match text.strip_prefix("\\x") {
                Some(digits) => digits.to_owned(),
                None => hexadecimal(value),
            };
            Some(BoundValue::Text(digits))
        }
        _ => Some(BoundValue::Text(text.to_owned())),
    }
}

/// `{1,NULL,"a b"}`
fn list_of_text(of: &Kind, text: &str) -> Option<BoundValue> {
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    let mut values = Vec::new();
    let mut letters = inner.chars().peekable();
    while letters.peek().is_some() {
        let mut item = String::new();
        let mut quoted = false;
        let mut is_open = false;
        while let Some(letter) = letters.next() {
            match letter {
                '\\' => item.push(letters.next()?),
                '"' => {
                    quoted = true;
                    is_open = !is_open;
                }
                ',' if !is_open => break,
                letter => item.push(letter),
            }
        }
        if is_open {
            return None;
        }
        values.push(match !quoted && item.eq_ignore_ascii_case("null") {
            true => BoundValue::Null,
            false => of_text(of, item.as_bytes())?,
        });
    }
    Some(BoundValue::List(values))
}

fn of_binary(kind: &Kind, oid: u32, mut value: &[u8]) -> Option<BoundValue> {
    let mut out = BytesMut::new();
    let text = match kind {
        Kind::Bool => match value {
            [0] => "f".to_owned(),
            [_] => "t".to_owned(),
            _ => return None,
        },
        // The client may have said another width than it sends.
        Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Oid => match value.len() {
            2 => value.get_i16().to_string(),
            4 if *kind == Kind::Oid => value.get_u32().to_string(),
            4 => value.get_i32().to_string(),
            8 => value.get_i64().to_string(),
            _ => return None,
        },
        Kind::Float4 | Kind::Float8 => match value.len() {
            4 => value.get_f32().to_string(),
            8 => value.get_f64().to_string(),
            _ => return None,
        },
        Kind::Numeric => numeric(value)?,
        Kind::Text if oid == UUID => uuid(value)?,
        Kind::Json if oid == JSONB => String::from_utf8(value.get(1..)?.to_vec()).ok()?,
        Kind::Text | Kind::Json => String::from_utf8(value.to_vec()).ok()?,
        Kind::Bytes => hexadecimal(value),
        Kind::Date => {
            let days = value.try_get_i32().ok()?;
            text::date(i64::from(days) + i64::from(text::DAYS_TO_2000), &mut out);
            String::from_utf8(out.to_vec()).ok()?
        }
        Kind::Time => {
            text::time(value.try_get_i64().ok()?, &mut out);
            String::from_utf8(out.to_vec()).ok()?
        }
        Kind::Timestamp | Kind::Instant => {
            let us = value
                .try_get_i64()
                .ok()?
                .checked_add(text::MICROSECONDS_TO_2000)?;
            text::timestamp(us, None, &mut out);
            let mut text = String::from_utf8(out.to_vec()).ok()?;
            if *kind == Kind::Instant {
                text += "+00";
            }
            text
        }
        Kind::Interval => {
            let us = value.try_get_i64().ok()?;
            let days = value.try_get_i32().ok()?;
            let months = value.try_get_i32().ok()?;
            format!("{months} mons {days} days {us} microseconds")
        }
        Kind::List(of) => return list(of, value),
    };
    Some(BoundValue::Text(text))
}

fn list(of: &Kind, mut value: &[u8]) -> Option<BoundValue> {
    let dimensions = value.try_get_i32().ok()?;
    let _has_null = value.try_get_i32().ok()?;
    let oid = value.try_get_u32().ok()?;
    if dimensions == 0 {
        return Some(BoundValue::List(Vec::new()));
    }
    if dimensions != 1 {
        return None;
    }
    let count = usize::try_from(value.try_get_i32().ok()?).ok()?;
    let _first = value.try_get_i32().ok()?;
    let mut values = Vec::new();
    for _ in 0..count {
        let length = value.try_get_i32().ok()?;
        if length < 0 {
            values.push(BoundValue::Null);
            continue;
        }
        let item = value.get(..usize::try_from(length).ok()?)?;
        values.push(of_binary(of, oid, item)?);
        value.advance(item.len());
    }
    Some(BoundValue::List(values))
}

/// Groups of four digits, as [`encode::binary`](super::encode) writes them.
fn numeric(mut value: &[u8]) -> Option<String> {
    let count = value.try_get_i16().ok()?;
    let weight = i32::from(value.try_get_i16().ok()?);
    let sign = value.try_get_u16().ok()?;
    let scale = usize::try_from(value.try_get_i16().ok()?).ok()?;
    if sign & 0x8000 != 0 {
        return None;
    }
    let groups: Option<Vec<i16>> = (0..count).map(|_| value.try_get_i16().ok()).collect();
    let groups = groups?;
    let group = |at: i32| {
        usize::try_from(at)
            .ok()
            .and_then(|at| groups.get(at))
            .copied()
            .unwrap_or(0)
    };
    let mut text = if sign == 0 {
        String::new()
    } else {
        "-".to_owned()
    };
    match weight {
        ..0 => text.push('0'),
        weight => (0..=weight).for_each(|at| match at {
            0 => text += &group(0).to_string(),
            at => text += &format!("{:04}", group(at)),
        }),
    }
    if scale > 0 {
        let last = i32::try_from(scale.div_ceil(4)).ok()?;
        let digits = (1..=last).map(|at| format!("{:04}", group(weight + at)));
        let digits: String = digits.collect();
        text.push('.');
        text.push_str(digits.get(..scale)?);
    }
    Some(text)
}

fn uuid(value: &[u8]) -> Option<String> {
    let bytes: [u8; 16] = value.try_into().ok()?;
    Some(uuid::Uuid::from_bytes(bytes).hyphenated().to_string())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> BoundValue {
        BoundValue::Text(text.to_owned())
    }

    #[test]
    fn binary_values_are_read() {
        let instant: &[u8] = &(847_929_600_i64 * 1_000_000).to_be_bytes();
        for (kind, oid, bytes, expected) in [
            (Kind::Bool, 16, &[1][..], value("t")),
            (Kind::Int8, 20, &[0, 5], value("5")),
            (Kind::Int4, 23, &(-7_i32).to_be_bytes(), value("-7")),
            (Kind::Float8, 701, &0.25_f64.to_be_bytes(), value("0.25")),
            (Kind::Text, 25, "é".as_bytes(), value("é")),
            (
                Kind::Instant,
                1184,
                instant,
                value("2026-11-14 00:00:00+00"),
            ),
            (
                Kind::Date,
                1082,
                &9821_i32.to_be_bytes(),
                value("2026-11-21"),
            ),
            (
                Kind::Numeric,
                1700,
                &[0, 3, 0, 1, 0x40, 0, 0, 2, 0, 1, 9, 41, 26, 44],
                value("-12345.67"),
            ),
            (Kind::Bytes, 17, &[0, 255], value("00ff")),
        ] {
            assert_eq!(
                decode(&kind, oid, true, Some(bytes)),
                Ok(expected),
                "{kind:?}"
            );
        }
        assert_eq!(decode(&Kind::Int4, 23, true, None), Ok(BoundValue::Null));
        assert_eq!(
            decode(&Kind::Bool, 16, true, Some(&[])).unwrap_err().code,
            "22P03"
        );
        assert!(
            decode(
                &Kind::List(Box::new(Kind::Int4)),
                1007,
                true,
                Some(&[0, 0, 0, 1])
            )
            .is_err()
        );
    }

    #[test]
    fn arrays_are_read() {
        let kind = Kind::List(Box::new(Kind::Text));
        let text = decode(&kind, 1009, false, Some(b"{a,\"b, \\\"c\",NULL,\"null\"}")).unwrap();
        assert_eq!(
            text,
            BoundValue::List(vec![
                value("a"),
                value("b, \"c"),
                BoundValue::Null,
                value("null")
            ])
        );
        assert!(decode(&kind, 1009, false, Some(b"a,b")).is_err());
        let mut binary = Vec::new();
        for number in [1_i32, 0, 25, 2, 1] {
            binary.extend(number.to_be_bytes());
        }
        binary.extend([0, 0, 0, 1, b'x', 255, 255, 255, 255]);
        let read = decode(&kind, 1009, true, Some(&binary)).unwrap();
        assert_eq!(read, BoundValue::List(vec![value("x"), BoundValue::Null]));
    }
}
