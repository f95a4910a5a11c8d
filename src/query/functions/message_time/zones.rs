//! The zone behind a time.

use chrono::FixedOffset;

use super::cursor::Cursor;
use crate::window::zone::Zone;

/// Abbreviations with one meaning, with their hours from UTC: those of [RFC
/// 5322](https://www.rfc-editor.org/rfc/rfc5322#section-4.3), and some that are of one zone only.
const ABBREVIATIONS: [(&str, i32); 16] = [
    ("UTC", 0),
    ("GMT", 0),
    ("UT", 0),
    ("Z", 0),
    ("EST", -5),
    ("EDT", -4),
    ("CST", -6),
    ("CDT", -5),
    ("MST", -7),
    ("MDT", -6),
    ("PST", -8),
    ("PDT", -7),
    ("KST", 9),
    ("JST", 9),
    ("CET", 1),
    ("CEST", 2),
];

/// The zone that follows, perhaps behind a blank: `Z`, `+09:00`, `+0900`, `+09`, `KST`, `Asia/Seoul`, `[Asia/Seoul]`. Where
/// none follows, nothing is read.
pub(super) fn zone(cursor: &mut Cursor<'_>) -> Option<Zone> {
    let mut ahead = *cursor;
    let is_apart = ahead.blanks();
    let is_offset = matches!(ahead.peek()?, b'+' | b'-');
    let zone = match ahead.peek()? {
        b'+' | b'-' => offset(&mut ahead, is_apart)?,
        b'[' => {
            ahead.skip(1);
            let zone = named(&mut ahead)?;
            ahead.take(b']').then_some(zone)?
        }
        _ => abbreviation(&mut ahead).or_else(|| named(&mut ahead))?,
    };
    // Java and Go write the name of the zone behind its offset.
    let mut behind = ahead;
    if behind.blanks() && matches!(behind.count_letters(), 2..=5) {
        let letters = behind.count_letters();
        if behind.rest()[..letters].iter().all(u8::is_ascii_uppercase) && is_offset {
            behind.skip(letters);
            ahead = behind;
        }
    }
    let mut behind = ahead;
    if behind.take(b'[') && named(&mut behind).is_some() && behind.take(b']') {
        ahead = behind;
    }
    *cursor = ahead;
    Some(zone)
}

/// `+09:00`, `+0900`; directly behind the time also `+09`.
fn offset(cursor: &mut Cursor<'_>, is_apart: bool) -> Option<Zone> {
    let sign = match cursor.peek()? {
        b'-' => -1,
        _ => 1,
    };
    cursor.skip(1);
    let hours = cursor.digits(2)?;
    let minutes = match (cursor.take(b':'), cursor.count_digits()) {
        (_, 2) => cursor.digits(2)?,
        (false, 0) if !is_apart => 0,
        _ => return None,
    };
    let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
    let fits = hours <= 18 && minutes < 60;
    FixedOffset::east_opt(sign * seconds)
        .filter(|_| fits)
        .map(Zone::Fixed)
}

fn abbreviation(cursor: &mut Cursor<'_>) -> Option<Zone> {
    let length = cursor.count_letters();
    let word = std::str::from_utf8(cursor.rest().get(..length)?).ok()?;
    let behind = cursor.rest().get(length);
    if behind.is_some_and(|next| next.is_ascii_digit() || *next == b'/') {
        return None;
    }
    let is_z = length == 1;
    let (_, hours) = ABBREVIATIONS.iter().find(|(name, _)| match is_z {
        true => name.eq_ignore_ascii_case(word),
        false => *name == word,
    })?;
    cursor.skip(length);
    match hours {
        0 => Some(Zone::Named(chrono_tz::UTC)),
        hours => FixedOffset::east_opt(hours * 3600).map(Zone::Fixed),
    }
}

/// An IANA name with a slash.
fn named(cursor: &mut Cursor<'_>) -> Option<Zone> {
    let is_of_name = |byte: &&u8| byte.is_ascii_alphanumeric() || b"/_+-".contains(byte);
    let length = cursor.rest().iter().take_while(is_of_name).count();
    let name = std::str::from_utf8(&cursor.rest()[..length]).ok()?;
    if !name.contains('/') {
        return None;
    }
    let zone = name.parse().ok()?;
    cursor.skip(length);
    Some(zone)
}
