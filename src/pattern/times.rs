//! Times, as loggers write them.

use super::bytes::{digits, is_border};

/// The length of the time that a text begins with, which is a date, a time of day with seconds, or both; 0 if it begins
/// with none. The text begins with a digit.
pub(super) fn time(text: &[u8]) -> usize {
    let date = date(text);
    let length = match date {
        0 => time_of_day(text),
        // `20240213T210104Z`
        _ => date + time_behind_date(&text[date..]),
    };
    // A date of eight digits alone is a number.
    let is_time = length > 0 && !(date == 8 && length == 8 && digits(text) == 8);
    match is_time && is_border(text.get(length)) {
        true => length,
        false => 0,
    }
}

/// The length of a time that begins with a month: `Feb 13, 2024 9:01:04 PM`, `Feb 13 21:01:04`, `Mar-18 21:41:15.684`;
/// 0 if a year and a time of day are both missing. `name` is the length of the month's name.
pub(super) fn time_by_month(text: &[u8], name: usize) -> usize {
    if !is_month(text, name) {
        return 0;
    }
    let mut at = name
        + text[name..]
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'-' | b'.'))
            .count();
    let day = digits(&text[at..]);
    if !(1..=2).contains(&day) || at > name + 2 {
        return 0;
    }
    at += day;
    let behind_day = at;
    let gap = |at: usize| {
        text[at..]
            .iter()
            .take_while(|byte| matches!(byte, b',' | b' ' | b'-'))
            .count()
            .min(2)
    };
    let year = at + gap(at);
    if digits(&text[year..]) == 4 && text.get(year + 4) != Some(&b':') {
        at = year + 4;
    }
    at += time_behind_date(&text[at..]);
    // `Thu Jan 17 02:42:49 2013`
    if at > behind_day && year + 4 != at && text.get(at) == Some(&b' ') && is_year(&text[at + 1..])
    {
        at += 5;
    }
    match at > behind_day && is_border(text.get(at)) {
        true => at,
        false => 0,
    }
}

/// Whether a month's English name, or its first three letters, has this length at the start of a text.
fn is_month(text: &[u8], length: usize) -> bool {
    const MONTHS: [&[u8]; 12] = [
        b"january",
        b"february",
        b"march",
        b"april",
        b"may",
        b"june",
        b"july",
        b"august",
        b"september",
        b"october",
        b"november",
        b"december",
    ];
    let Some(name) = text.get(..length).filter(|name| name.len() >= 3) else {
        return false;
    };
    MONTHS
        .iter()
        .any(|month| name.eq_ignore_ascii_case(month) || name.eq_ignore_ascii_case(&month[..3]))
}

/// The length of a weekday with what joins it to a time behind it, as in `Thu, ` and `Thursday `, at the end of a text.
pub(super) fn weekday_before(text: &[u8]) -> usize {
    const DAYS: [&[u8]; 7] = [
        b"monday",
        b"tuesday",
        b"wednesday",
        b"thursday",
        b"friday",
        b"saturday",
        b"sunday",
    ];
    let Some(rest) = text.strip_suffix(b" ") else {
        return 0;
    };
    let rest = rest.strip_suffix(b",").unwrap_or(rest);
    let name = rest
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count();
    let word = &rest[rest.len() - name..];
    let is_day = DAYS.iter().any(|day| {
        word.eq_ignore_ascii_case(day) || (name == 3 && word.eq_ignore_ascii_case(&day[..3]))
    });
    let borders = is_border(
        rest.len()
            .checked_sub(name + 1)
            .and_then(|before| rest.get(before)),
    );
    match is_day && borders {
        true => text.len() - rest.len() + name,
        false => 0,
    }
}

fn is_year(text: &[u8]) -> bool {
    digits(text) == 4 && matches!(text[0], b'1' | b'2')
}

fn date(text: &[u8]) -> usize {
    let first = digits(text);
    let Some(separator) = text.get(first) else {
        return 0;
    };
    let rest = &text[first + 1..];
    match (first, separator) {
        (4, b'-' | b'/' | b'.') => year_first(text, *separator),
        // `20240213T…`, `20240213 21:01:04`, `20240213.210104`
        (8, b'T' | b't' | b' ' | b'.' | b'-' | b'_') if is_year_month_day(text) => 8,
        (1..=2, b'-' | b'/' | b'.' | b' ') => day_first(text, first, *separator),
        // `13Feb2024`
        (1..=2, _) if is_month(&text[first..], 3) && digits(&rest[2..]) == 4 => first + 7,
        _ => 0,
    }
}

/// `2024-02-13`, `2024/02/13`, `2024. 2. 13.`
fn year_first(text: &[u8], separator: u8) -> usize {
    let blank = |at: usize| usize::from(separator == b'.' && text.get(at) == Some(&b' '));
    let month = 5 + blank(5);
    let month_digits = digits(text.get(month..).unwrap_or_default());
    let behind = month + month_digits;
    if !(1..=2).contains(&month_digits) || text.get(behind) != Some(&separator) {
        return 0;
    }
    let day = behind + 1 + blank(behind + 1);
    let day_digits = digits(&text[day..]);
    if !(1..=2).contains(&day_digits)
        || !in_range(&text[month..behind], 12)
        || !in_range(&text[day..day + day_digits], 31)
    {
        return 0;
    }
    let end = day + day_digits;
    // The dot behind the day in Korean dates.
    end + usize::from(blank(5) == 1 && text.get(end) == Some(&b'.'))
}

/// `13/Feb/2024`, `13-Feb-2024`, `13 Feb 2024`, `02/13/2024`, `13.02.2024`
fn day_first(text: &[u8], first: usize, separator: u8) -> usize {
    let rest = &text[first + 1..];
    let second = match rest
        .iter()
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count()
    {
        0 if separator != b' ' => match digits(rest) {
            number @ 1..=2 if in_range(&rest[..number], 31) && in_range(&text[..first], 31) => {
                number
            }
            _ => return 0,
        },
        name if is_month(rest, name) => name,
        _ => return 0,
    };
    let year = &rest[second..];
    match year.first() == Some(&separator) && digits(&year[1..]) == 4 {
        true => first + 1 + second + 1 + 4,
        false => 0,
    }
}

fn is_year_month_day(text: &[u8]) -> bool {
    is_year(&text[..4]) && in_range(&text[4..6], 12) && in_range(&text[6..8], 31)
}

/// Whether a number of one or two digits is at least 1 and at most `most`.
fn in_range(digits: &[u8], most: u8) -> bool {
    let number = digits.iter().fold(0u8, |number, digit| {
        number.wrapping_mul(10).wrapping_add(digit - b'0')
    });
    (1..=most).contains(&number)
}

/// A time of day behind a date, with what joins them.
fn time_behind_date(text: &[u8]) -> usize {
    const JOINTS: [&[u8]; 8] = [b"T", b" ", b":", b"-", b"_", b", ", b" - ", b"."];
    for joint in JOINTS {
        let Some(rest) = text.strip_prefix(joint) else {
            continue;
        };
        let half = half_of_day_before(rest);
        let time = time_of_day(&rest[half..]);
        if time > 0 {
            return joint.len() + half + time;
        }
        // `T210104Z`, `.210104`, `-21.01.04.792123`
        let compact = compact_time(rest);
        if compact > 0 && matches!(joint, b"T" | b"." | b"-" | b"_") {
            return joint.len() + compact;
        }
    }
    0
}

fn compact_time(text: &[u8]) -> usize {
    let length = match (digits(text), text) {
        (6, _) => 6,
        (2, [_, _, b'.', _, _, b'.', ..]) if digits(&text[3..]) == 2 && digits(&text[6..]) == 2 => {
            8
        }
        _ => return 0,
    };
    let length = length + fraction(&text[length..]);
    length + zone(&text[length..])
}

/// The half of the day that Korean times begin with.
fn half_of_day_before(text: &[u8]) -> usize {
    ["오전 ", "오후 "]
        .iter()
        .find(|half| text.starts_with(half.as_bytes()))
        .map_or(0, |half| half.len())
}

/// `21:01:04`, `9:01:04 PM`, `21:01:04,792+09:00`: with seconds, since a ratio and a line with its column have two numbers.
fn time_of_day(text: &[u8]) -> usize {
    let hours = digits(text);
    let rest = text.get(hours..).unwrap_or_default();
    let is_time = (1..=2).contains(&hours)
        && matches!(
            rest,
            [
                b':',
                b'0'..=b'5',
                b'0'..=b'9',
                b':',
                b'0'..=b'6',
                b'0'..=b'9',
                ..
            ]
        )
        && rest.get(6).is_none_or(|next| !next.is_ascii_digit());
    if !is_time {
        return 0;
    }
    let mut at = hours + 6;
    at += fraction(&text[at..]);
    at + zone(&text[at..])
}

/// `.792`, `,792123`, `:792`
fn fraction(text: &[u8]) -> usize {
    match text {
        [b'.' | b',' | b':', digit, ..] if digit.is_ascii_digit() => match digits(&text[1..]) {
            length @ 1..=9 => 1 + length,
            _ => 0,
        },
        _ => 0,
    }
}

/// The half of the day, the zone, or both.
fn zone(text: &[u8]) -> usize {
    const HALVES: [&[u8]; 8] = [b" AM", b" PM", b"AM", b"PM", b" am", b" pm", b"am", b"pm"];
    const NAMES: [&[u8]; 16] = [
        b"Z", b"UTC", b"GMT", b"KST", b"JST", b"EST", b"EDT", b"CST", b"CDT", b"MST", b"MDT",
        b"PST", b"PDT", b"CET", b"CEST", b"BST",
    ];
    let starts = |text: &[u8], names: &[&[u8]]| {
        names
            .iter()
            .find(|name| text.starts_with(name) && is_border(text.get(name.len())))
            .map_or(0, |name| name.len())
    };
    let half = starts(text, &HALVES);
    let text = &text[half..];
    let blank = usize::from(text.first() == Some(&b' '));
    let rest = &text[blank..];
    let zone = match rest {
        [b'+' | b'-', ..] => match digits(&rest[1..]) {
            4 => 5,
            2 if rest.get(3) == Some(&b':') && digits(&rest[4..]) == 2 => 6,
            2 if blank == 0 => 3,
            _ => 0,
        },
        _ => starts(rest, &NAMES),
    };
    match zone {
        0 => half,
        zone => half + blank + zone,
    }
}
