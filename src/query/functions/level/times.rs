//! Times, as loggers write them.

use super::names::folded;

/// A date, a time of day, or both, in digits, up to where something else begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Time {
    /// How many bytes it has.
    pub length: usize,
    /// Date and time are joined by a `T`, as in ISO 8601: a machine writes so, and a level may follow in small letters.
    pub iso: bool,
    /// A date such as `2024/02/13`: what follows Go's is prose.
    pub slashed: bool,
}

/// The time that a text begins with: `2024-02-13T21:01:04.792Z`, `21:01:04,792`, `13/Feb/2024:21:01:04`, `13-Feb-2024`,
/// `02/13/2024`, `2024.02.13`, `20240213.210104`, `9:01PM`.
pub(super) fn time(text: &[u8]) -> Option<Time> {
    let first = digits(text);
    match (first, text.get(first)) {
        // an address, a version or a fraction
        (0, _) | (_, None) | (1..=3, Some(b'.')) => return None,
        _ => {}
    }
    let mut at = first;
    let (mut iso, mut named) = (false, false);
    let mut separators = Separators::default();
    while let Some((separator, rest)) = text[at..].split_first() {
        let number = digits(rest);
        at += match separator {
            b'T' if number > 0 => {
                iso = true;
                1 + number
            }
            b'-' | b'/' if month(rest) > 0 => {
                named = true;
                1 + month(rest)
            }
            b':' | b'-' | b'/' | b'.' | b',' | b'+' | b'_' if number > 0 => 1 + number,
            // 13Feb2024
            _ if at == first && month(&text[at..]) == 3 && digits(&rest[2..]) == 4 => {
                named = true;
                3 + 4
            }
            _ => break,
        };
        separators.push(*separator);
    }
    let dated = named || separators.are(b"--") || separators.are(b"//");
    let is_time = match separators.place_of(b':') {
        // An hour has two digits at most, and a minute two; a port or a line has other numbers.
        Some(0) => first <= 2 && digits(&text[first + 1..]) == 2,
        Some(_) => dated || iso || first == 8,
        None => {
            dated || (first == 4 && separators.are(b"..")) || (first == 8 && separators.are(b"."))
        }
    };
    is_time.then(|| Time {
        length: at + suffix(&text[at..]),
        iso,
        slashed: first == 4 && separators.are(b"//"),
    })
}

/// What stands between the numbers of a time; the first few decide what it is.
#[derive(Default)]
struct Separators {
    first: [u8; 4],
    count: usize,
}

impl Separators {
    fn push(&mut self, separator: u8) {
        if let Some(place) = self.first.get_mut(self.count) {
            *place = separator;
        }
        self.count += 1;
    }

    fn are(&self, expected: &[u8]) -> bool {
        self.first.starts_with(expected)
    }

    fn place_of(&self, separator: u8) -> Option<usize> {
        self.first.iter().position(|other| *other == separator)
    }
}

/// `Z` for UTC, or the half of the day.
fn suffix(text: &[u8]) -> usize {
    let length = match text {
        [b'Z', ..] => 1,
        [b'A' | b'P' | b'a' | b'p', b'M' | b'm', ..] => 2,
        _ => 0,
    };
    match text.get(length) {
        Some(next) if next.is_ascii_alphanumeric() => 0,
        _ => length,
    }
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// The length of the month that a text begins with, by its English name, or as in `13-2월-2024`; 0 for anything else.
fn month(text: &[u8]) -> usize {
    if text.first().is_some_and(u8::is_ascii_digit)
        && text.get(1).is_none_or(u8::is_ascii)
        && text.get(2).is_none_or(u8::is_ascii)
    {
        return 0;
    }
    if text.get(..3).is_some_and(is_month) {
        return 3;
    }
    let number = digits(text);
    let rest = &text[number..];
    let name = rest.iter().take_while(|byte| !byte.is_ascii()).count();
    if name > 0 && rest.get(name) == Some(&b'-') {
        number + name
    } else {
        0
    }
}

/// A month by the first three letters of its English name.
pub(super) fn is_month(name: &[u8]) -> bool {
    const MONTHS: [u64; 12] = [
        folded(b"jan"),
        folded(b"feb"),
        folded(b"mar"),
        folded(b"apr"),
        folded(b"may"),
        folded(b"jun"),
        folded(b"jul"),
        folded(b"aug"),
        folded(b"sep"),
        folded(b"oct"),
        folded(b"nov"),
        folded(b"dec"),
    ];
    name.len() == 3 && MONTHS.contains(&folded(name))
}

/// A day of the week by the first three letters of its English name.
pub(super) fn is_weekday(name: &[u8]) -> bool {
    const DAYS: [u64; 7] = [
        folded(b"mon"),
        folded(b"tue"),
        folded(b"wed"),
        folded(b"thu"),
        folded(b"fri"),
        folded(b"sat"),
        folded(b"sun"),
    ];
    name.len() == 3 && DAYS.contains(&folded(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_the_usual_forms() {
        for text in [
            "2024-02-13T21:01:04.792Z",
            "2024-02-13T21:01:04+0900",
            "2024-02-13T21:01:04.792+09:00",
            "2024-02-13",
            "21:01:04",
            "21:01:04.792",
            "21:01:04,792",
            "9:01PM",
            "9:01",
            "2024/02/13",
            "02/13/2024",
            "13/02/24",
            "13/Feb/2024:21:01:04",
            "13/Feb/2024",
            "13-Feb-2024",
            "13-FEB-2024",
            "13Feb2024",
            "2024.02.13",
            "2024-02-13_21:01:04",
            "2024-02-13-21.01.04.792123",
            "20240213-21:01:04:792",
            "20240213.210104,792",
            "24/02/13",
            "13-2월-2024",
            "13-二月-2024",
            "26/Feb/2019:23:08:47.266",
            "29:47.191",
            "2024.02.13-21.01.04:792",
            "02-13-2024",
            "11:57:25",
        ] {
            assert_eq!(
                time(text.as_bytes()).map(|time| time.length),
                Some(text.len()),
                "{text}"
            );
            for after in [" ERROR", ":ERROR", "]", ",", ": x", " - x", "|x"] {
                let longer = format!("{text}{after}");
                assert_eq!(
                    time(longer.as_bytes()).map(|time| time.length),
                    Some(text.len()),
                    "{longer}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_time() {
        for text in [
            "",
            "12",
            "20240213",
            "1.2.3",
            "1.5",
            "10.0.0.1",
            "10.0.0.1:8080",
            "10.112.72.172",
            "8080:80",
            "3.25",
            "7d0a",
            "1-5e34a614",
            "404",
            "0x10",
            "1,024",
        ] {
            assert_eq!(time(text.as_bytes()), None, "{text}");
        }
    }
}
