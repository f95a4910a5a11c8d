//! Telephone numbers, numbers of cards and of Korean residents.

use super::{Found, is_word};

/// Runs of digits with single signs between them.
struct Groups {
    /// Where each begins and ends.
    places: [(usize, usize); Groups::MOST],
    count: usize,
}

impl Groups {
    const MOST: usize = 4;

    /// The groups that begin at `start`.
    fn at(text: &[u8], start: usize) -> Self {
        let mut groups = Self {
            places: [(0, 0); Self::MOST],
            count: 0,
        };
        let mut at = start;
        while groups.count < Self::MOST {
            let length = digits(&text[at..]);
            if length == 0 {
                break;
            }
            groups.places[groups.count] = (at, at + length);
            groups.count += 1;
            at += length;
            match text.get(at) {
                Some(b'-' | b'.' | b' ' | b')') => at += 1,
                _ => break,
            }
        }
        groups
    }

    fn length(&self, group: usize) -> usize {
        self.places[group].1 - self.places[group].0
    }

    /// Whether the first groups have these lengths, with one of these signs between all of them, and the last one ends a word.
    fn are(&self, text: &[u8], lengths: &[usize], signs: &[u8]) -> bool {
        if lengths.len() > self.count
            || (0..lengths.len()).any(|group| self.length(group) != lengths[group])
        {
            return false;
        }
        let sign = |group: usize| text[self.places[group].1];
        let same_signs = (0..lengths.len() - 1)
            .all(|group| sign(group) == sign(0) && signs.contains(&sign(group)));
        same_signs && ends(text, self.end(lengths.len()))
    }

    /// Where the first groups of a number end.
    fn end(&self, groups: usize) -> usize {
        self.places[groups - 1].1
    }

    fn text<'a>(&self, text: &'a [u8], group: usize) -> &'a [u8] {
        &text[self.places[group].0..self.places[group].1]
    }
}

/// What the number is that begins at `start`, and where it ends. A mark ends at `from`.
pub(super) fn number(text: &[u8], from: usize, start: usize) -> Option<(Found, usize)> {
    if !begins(&text[from..], start - from) {
        return None;
    }
    let groups = Groups::at(text, start);
    let of = |found, end: Option<usize>| end.map(|end| (found, end));
    of(Found::ResidentNumber, resident(text, &groups))
        .or_else(|| of(Found::Card, card(text, &groups)))
        .or_else(|| of(Found::Phone, national_phone(text, &groups)))
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// Whether a number can begin here: not in a word, a fraction, a longer number or an id with hyphens.
fn begins(text: &[u8], start: usize) -> bool {
    let before = |back: usize| start.checked_sub(back).map(|at| text[at]);
    match before(1) {
        Some(byte) if is_word(byte) || byte == b'+' => false,
        Some(b'-' | b'.') => !before(2).is_some_and(is_word),
        _ => true,
    }
}

/// Whether a number can end here.
fn ends(text: &[u8], end: usize) -> bool {
    match text.get(end) {
        Some(byte) if is_word(*byte) => false,
        Some(b'-') => !text.get(end + 1).is_some_and(|next| is_word(*next)),
        Some(b'.') => !text.get(end + 1).is_some_and(u8::is_ascii_digit),
        _ => true,
    }
}

/// The number of a Korean resident or foreigner: the date of birth, a digit for sex and century, and six more.
///
/// Numbers that were given before October 2020 have a check digit. Without a hyphen a number of thirteen digits can be a
/// time in milliseconds; those from 2014 to 2033 stay.
fn resident(text: &[u8], groups: &Groups) -> Option<usize> {
    const FIRST_WITHOUT_CHECK: u32 = 20_201_001;
    let (number, end, has_hyphen): ([u8; 13], _, _) = if groups.are(text, &[6, 7], b"-") {
        let parts = [groups.text(text, 0), groups.text(text, 1)].concat();
        (parts.try_into().ok()?, groups.end(2), true)
    } else if groups.are(text, &[13], b"") {
        (groups.text(text, 0).try_into().ok()?, groups.end(1), false)
    } else {
        return None;
    };
    let digits = number.map(|digit| u32::from(digit - b'0'));
    let of = |at: usize| digits[at] * 10 + digits[at + 1];
    let century = match digits[6] {
        1 | 2 | 5 | 6 => 1900,
        3 | 4 | 7 | 8 => 2000,
        _ => 1800,
    };
    let (year, month, day) = (century + of(0), of(2), of(4));
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let is_time = !has_hyphen && (b"14"..=b"20").contains(&&[number[0], number[1]]);
    const WEIGHTS: [u32; 12] = [2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5];
    let sum: u32 = WEIGHTS
        .iter()
        .zip(digits)
        .map(|(weight, digit)| weight * digit)
        .sum();
    // Of foreigners, the check digit is larger by two.
    let check = match digits[6] {
        5..=8 => (13 - sum % 11) % 10,
        _ => (11 - sum % 11) % 10,
    };
    let was_born_later = year * 10_000 + month * 100 + day >= FIRST_WITHOUT_CHECK;
    let is_right = check == digits[12] || was_born_later || is_named(text, groups.places[0].0);
    (is_right && !is_time).then_some(end)
}

/// Whether what stands before a number says that it is one of a resident.
fn is_named(text: &[u8], start: usize) -> bool {
    const AS_FAR: usize = 32;
    const NAMES: [&[u8]; 4] = ["주민".as_bytes(), b"rrn", b"jumin", b"resident"];
    let before = text[start.saturating_sub(AS_FAR)..start].to_ascii_lowercase();
    NAMES
        .iter()
        .any(|name| memchr::memmem::find(&before, name).is_some())
}

/// The number of a card: of a length and a beginning that a network has, and with Luhn's check digit.
fn card(text: &[u8], groups: &Groups) -> Option<usize> {
    let count = match () {
        () if groups.are(text, &[4, 4, 4, 4], b"- ") => 4,
        () if groups.are(text, &[4, 6, 5], b"- ") => 3,
        () if (14..=19).contains(&groups.length(0)) && ends(text, groups.end(1)) => 1,
        () => return None,
    };
    let number = (0..count).flat_map(|group| groups.text(text, group));
    let digits: Vec<u8> = number.map(|digit| digit - b'0').collect();
    (is_of_network(&digits) && has_luhn_digit(&digits)).then(|| groups.end(count))
}

fn is_of_network(digits: &[u8]) -> bool {
    let first = |count: usize| {
        digits[..count]
            .iter()
            .fold(0, |number, digit| number * 10 + u32::from(*digit))
    };
    let (two, three, four) = (first(2), first(3), first(4));
    match digits.len() {
        // Diners Club
        14 => matches!(two, 36 | 38 | 39) || (300..=305).contains(&three),
        // American Express
        15 => matches!(two, 34 | 37),
        // Visa, Mastercard, Discover, JCB, UnionPay, Korean cards
        16 => {
            matches!(two, 40..=49 | 51..=55 | 62 | 65 | 94)
                || (2221..=2720).contains(&four)
                || four == 6011
                || (644..=649).contains(&three)
                || (3528..=3589).contains(&four)
        }
        17..=19 => two == 62,
        _ => false,
    }
}

/// [ISO/IEC 7812-1](https://www.iso.org/standard/70484.html), annex B.
fn has_luhn_digit(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(*digit)) {
            (0, digit) => digit,
            (_, digit) => digit * 2 / 10 + digit * 2 % 10,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// A number without the code of a country: of Korea, or of North America.
fn national_phone(text: &[u8], groups: &Groups) -> Option<usize> {
    let first = groups.text(text, 0);
    let is_mobile = matches!(first, [b'0', b'1', b'0' | b'1' | b'6'..=b'9', ..]);
    if is_mobile
        && matches!(
            (first[2], first.len()),
            (b'0', 11) | (b'1' | b'6'..=b'9', 10 | 11)
        )
        && ends(text, groups.end(1))
    {
        return Some(groups.end(1));
    }
    // `82-10-1234-5678`
    if first == b"82"
        && (groups.are(text, &[2, 2, 4, 4], b"- ") || groups.are(text, &[2, 2, 3, 4], b"- "))
    {
        return Some(groups.end(4));
    }
    let (signs, length): (&[u8], _) = match first {
        [b'0', b'1', _] if is_mobile => (b"- .", 3),
        b"02" => (b"-", 2),
        [b'0', b'3'..=b'6', b'1'..=b'5'] | [b'0', b'5' | b'7' | b'8', b'0'] => (b"-", 3),
        [b'0', b'5', b'0', b'2'..=b'8'] => (b"-", 4),
        [b'2'..=b'9', _, _] if groups.are(text, &[3, 3, 4], b"-") => return Some(groups.end(3)),
        _ => return None,
    };
    let is_phone =
        groups.are(text, &[length, 3, 4], signs) || groups.are(text, &[length, 4, 4], signs);
    is_phone.then(|| groups.end(3))
}

/// Where a number ends that begins with `+` or `(` at `start`: `+82 10-1234-5678`, `(02) 123-4567`. A mark ends at `from`.
pub(super) fn phone(text: &[u8], from: usize, start: usize) -> Option<usize> {
    let before = text[from..start].last();
    let follows_word = before.is_some_and(|byte| is_word(*byte) || *byte == b'+');
    match text[start] {
        b'(' => with_area_in_brackets(text, start),
        _ if follows_word => None,
        _ => international(text, start),
    }
}

/// [E.164](https://www.itu.int/rec/T-REC-E.164): at most fifteen digits, the first ones the code of a country.
fn international(text: &[u8], start: usize) -> Option<usize> {
    const DIGITS: std::ops::RangeInclusive<usize> = 9..=15;
    let mut at = start + 1;
    let country = digits(&text[at..]);
    if !matches!(text.get(at), Some(b'1'..=b'9')) {
        return None;
    }
    at += country;
    let mut count = country;
    let mut groups = 1;
    while count <= *DIGITS.end() {
        let rest = &text[at..];
        let joint = match rest {
            [b' ', b'(', ..] => 2,
            [b')', b' ' | b'-', ..] => 2,
            [b'-' | b' ' | b'.' | b'(' | b')', ..] => 1,
            _ => break,
        };
        let length = digits(&rest[joint..]);
        if length == 0 || groups > 5 {
            break;
        }
        at += joint + length;
        count += length;
        groups += 1;
    }
    let is_phone = match groups {
        1 => (10..=*DIGITS.end()).contains(&count),
        _ => country <= 3 && DIGITS.contains(&count),
    };
    (is_phone && ends(text, at)).then_some(at)
}

fn with_area_in_brackets(text: &[u8], start: usize) -> Option<usize> {
    let area = digits(&text[start + 1..]);
    let mut at = start + 1 + area;
    if !(2..=4).contains(&area) || text.get(at) != Some(&b')') {
        return None;
    }
    at += 1 + usize::from(text.get(at + 1) == Some(&b' '));
    let groups = Groups::at(text, at);
    let is_phone = groups.are(text, &[3, 4], b"- .") || groups.are(text, &[4, 4], b"- .");
    is_phone.then(|| groups.end(2))
}
