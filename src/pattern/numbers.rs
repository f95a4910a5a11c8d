//! What begins with a digit, or with a hexadecimal digit: numbers, durations, sizes, addresses, UUIDs.

use super::Mark;
use super::bytes::{digits, hex_digits, is_border, is_word, word};

/// The length of the UUID that a text begins with; 0 if it begins with none.
pub(super) fn uuid(text: &[u8]) -> usize {
    const LENGTH: usize = 36;
    let Some(id) = text.first_chunk::<LENGTH>() else {
        return 0;
    };
    let hyphens = id[8] == b'-' && id[13] == b'-' && id[18] == b'-' && id[23] == b'-';
    let is_id = hyphens
        && [0..8, 9..13, 14..18, 19..23, 24..36]
            .into_iter()
            .all(|part| id[part].iter().all(u8::is_ascii_hexdigit));
    match is_id && is_border(text.get(LENGTH)) {
        true => LENGTH,
        false => 0,
    }
}

/// The length of the number that a text begins with, of one digit at least: `12`, `1.5`, `1,234.5`, `1.2.3`, `6.02e23`.
pub(super) fn number(text: &[u8]) -> usize {
    let mut at = digits(text);
    if at <= 3 {
        // Thousands are in groups of three digits.
        while text.get(at) == Some(&b',') && digits(&text[at + 1..]) == 3 {
            at += 4;
        }
    }
    while text.get(at) == Some(&b'.') && text.get(at + 1).is_some_and(u8::is_ascii_digit) {
        at += 1 + digits(&text[at + 1..]);
    }
    at + exponent(&text[at..])
}

fn exponent(text: &[u8]) -> usize {
    let sign = usize::from(matches!(text, [b'e' | b'E', b'+' | b'-', ..]));
    match text {
        [b'e' | b'E', ..] => match digits(&text[1 + sign..]) {
            0 => 0,
            number if is_border(text.get(1 + sign + number)) => 1 + sign + number,
            _ => 0,
        },
        _ => 0,
    }
}

/// The length of an IPv4 address that a text begins with, with its port or the length of its network; 0 if it begins with
/// none. A version of a product has four numbers too, but stands behind a `/` that belongs to a name.
pub(super) fn ipv4(text: &[u8]) -> usize {
    let mut at = 0;
    for part in 0..4 {
        let length = digits(text.get(at..).unwrap_or_default());
        if !(1..=3).contains(&length) {
            return 0;
        }
        let octet = text[at..at + length]
            .iter()
            .fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
        let dot = text.get(at + length) == Some(&b'.');
        let is_last = part == 3;
        if octet > 255
            || is_last == (dot && text.get(at + length + 1).is_some_and(u8::is_ascii_digit))
        {
            return 0;
        }
        at += length + usize::from(part < 3);
    }
    let behind = at + port(&text[at..]);
    match is_border(text.get(behind)) {
        true => behind,
        false => 0,
    }
}

/// `:8080`, `/24`
fn port(text: &[u8]) -> usize {
    match text {
        [b':' | b'/', ..] => match digits(&text[1..]) {
            length @ 1..=5 if is_border(text.get(1 + length)) => 1 + length,
            _ => 0,
        },
        _ => 0,
    }
}

/// The mark and the length of what is written with colons: an IPv6 address, or the address of a network card.
pub(super) fn colons(text: &[u8]) -> Option<(Mark, usize)> {
    const GROUPS: usize = 8;
    let (mut at, mut groups, mut gap, mut has_digit) = (0, 0, false, false);
    let mut are_pairs = true;
    loop {
        let length = hex_digits(&text[at..]).min(5);
        if length > 4 {
            return None;
        }
        if length == 0 && !text[at..].starts_with(b":") {
            break;
        }
        if length > 0 {
            groups += 1;
            are_pairs &= length == 2;
            has_digit |= text[at..at + length].iter().any(u8::is_ascii_digit);
            // `::ffff:10.0.0.1`
            let dotted = ipv4(&text[at..]);
            if gap && dotted > 0 {
                return Some((Mark::Ip, at + dotted));
            }
            at += length;
        }
        match &text[at..] {
            [b':', b':', ..] if !gap => {
                gap = true;
                at += 2;
            }
            [b':', next, ..] if length > 0 && next.is_ascii_hexdigit() && groups < GROUPS => {
                at += 1;
            }
            _ => break,
        }
    }
    if !is_border(text.get(at)) {
        return None;
    }
    match groups {
        6 if are_pairs && !gap => Some((Mark::Value, at)),
        GROUPS if !gap => Some((Mark::Ip, at)),
        1..GROUPS if gap && has_digit => Some((Mark::Ip, at)),
        _ => None,
    }
}

/// The length of a duration or a size without a blank, such as `12ms`, `1.5s`, `1h2m3.5s`, `512MB`, `4Gi`.
pub(super) fn with_unit(text: &[u8]) -> Option<(Mark, usize)> {
    let mut at = 0;
    let mut mark = None;
    loop {
        let number = number(&text[at..]);
        let unit = unit_letters(&text[at + number..]);
        let found = glued_unit(&text[at + number..at + number + unit], number)?;
        if number == 0 || mark.is_some_and(|mark| mark != found) {
            return None;
        }
        mark = Some(found);
        at += number + unit;
        match text.get(at) {
            Some(next) if next.is_ascii_digit() && found == Mark::Duration => {}
            next if is_border(next) => return Some((found, at)),
            _ => return None,
        }
    }
}

/// The mark and the length of a unit, with the blank before it, behind a number.
pub(super) fn unit_behind(text: &[u8]) -> Option<(Mark, usize)> {
    let rest = text.strip_prefix(b" ")?;
    let letters = unit_letters(rest);
    if !is_border(rest.get(letters)) {
        return None;
    }
    unit(&rest[..letters]).map(|mark| (mark, 1 + letters))
}

/// Letters, and the micro sign.
fn unit_letters(text: &[u8]) -> usize {
    const MICRO: [&[u8]; 2] = ["µ".as_bytes(), "μ".as_bytes()];
    let micro = MICRO
        .iter()
        .find(|micro| text.starts_with(micro))
        .map_or(0, |micro| micro.len());
    micro
        + text[micro..]
            .iter()
            .take_while(|byte| byte.is_ascii_alphabetic())
            .count()
}

/// Units that can stand behind a number without a blank: a single letter may be part of an id if the number is long.
fn glued_unit(letters: &[u8], number: usize) -> Option<Mark> {
    match letters {
        b"m" | b"h" | b"d" if number <= 4 => Some(Mark::Duration),
        b"K" | b"M" | b"G" | b"T" if number <= 4 => Some(Mark::Size),
        b"Ki" | b"Mi" | b"Gi" | b"Ti" => Some(Mark::Size),
        _ => unit(letters),
    }
}

fn unit(letters: &[u8]) -> Option<Mark> {
    Some(match letters {
        b"s" | b"ms" | b"ns" | b"us" | b"\xc2\xb5s" | b"\xce\xbcs" | b"sec" | b"secs"
        | b"second" | b"seconds" | b"msec" | b"msecs" | b"millis" | b"millisecond"
        | b"milliseconds" | b"microseconds" | b"nanoseconds" | b"min" | b"mins" | b"minute"
        | b"minutes" | b"hr" | b"hrs" | b"hour" | b"hours" | b"day" | b"days" => Mark::Duration,
        b"B" | b"KB" | b"kB" | b"kb" | b"MB" | b"mb" | b"GB" | b"gb" | b"TB" | b"KiB" | b"MiB"
        | b"GiB" | b"TiB" | b"byte" | b"bytes" | b"Bytes" => Mark::Size,
        _ => return None,
    })
}

/// The length of a run of letters, digits, `_` and `-` that is a token: long, of capitals, small letters and digits, with
/// digits between letters. Such a token has hyphens by chance, so it is one id. Otherwise the length of the run: what is no token has
/// none at its end either, as that is shorter and has fewer kinds and changes.
pub(super) fn token(text: &[u8]) -> Result<usize, usize> {
    const SHORTEST: usize = 20;
    const DIGIT: u8 = 1;
    const CAPITAL: u8 = 2;
    const SMALL: u8 = 4;
    let kind = |byte: u8| match byte {
        b'0'..=b'9' => DIGIT,
        b'A'..=b'Z' => CAPITAL,
        b'a'..=b'z' => SMALL,
        _ => 0,
    };
    let (mut kinds, mut changes, mut before) = (0, 0, 0);
    let length = text
        .iter()
        .take_while(|byte| is_word(**byte) || **byte == b'-');
    let length = length
        .inspect(|byte| {
            let kind = kind(**byte);
            kinds |= kind;
            changes += usize::from(
                kind != before && (kind == DIGIT || before == DIGIT) && kind != 0 && before != 0,
            );
            before = kind;
        })
        .count();
    let is_token = length >= SHORTEST && kinds == DIGIT | CAPITAL | SMALL && changes >= 4;
    match is_token {
        true => {
            let padding = text[length..].iter().take_while(|byte| **byte == b'=');
            Ok(length + padding.count())
        }
        false => Err(length),
    }
}

/// Whether a word with digits is an id as a whole: digits stand between or before its letters, or it is hexadecimal.
pub(super) fn is_id(piece: &[u8]) -> bool {
    const SHORTEST_HEX: usize = 6;
    const LONGEST_NAME: usize = 20;
    let letters = piece
        .iter()
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count();
    let is_name = letters > 0
        && letters + digits(&piece[letters..]) == piece.len()
        && piece.len() <= LONGEST_NAME;
    !is_name || (piece.len() >= SHORTEST_HEX && word(piece) == hex_digits(piece))
}
