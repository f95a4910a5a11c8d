//! Numbers as text: counts with their nouns, thousands separators, units.

/// Numbers of this size and more have an exponent,
const LEAST_WITH_EXPONENT: f64 = 1e15;
/// and so do small ones that need more decimals than these.
const MOST_DECIMALS: usize = 6;

/// A count with its noun, given in the singular: `1 event`, `2,643 events`.
pub fn counted(count: u64, noun: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{} {noun}{s}", grouped(&count.to_string()))
}

/// A number without a sign, with thousands separators.
pub fn grouped(number: &str) -> String {
    let (whole, fraction) = number.split_at(number.find('.').unwrap_or(number.len()));
    let mut grouped = String::with_capacity(number.len() + number.len() / 3);
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + fraction
}

/// The number with thousands separators, a true minus sign and `decimals` decimals.
pub fn format_number(value: f64, decimals: usize) -> String {
    let magnitude = value.abs();
    let number =
        if magnitude >= LEAST_WITH_EXPONENT || (decimals > MOST_DECIMALS && magnitude > 0.0) {
            shortest_exponent(magnitude)
        } else {
            grouped(&format!("{magnitude:.*}", decimals.min(MOST_DECIMALS)))
        };
    let is_zero = !number.contains(|c: char| ('1'..='9').contains(&c));
    if is_zero {
        "0".to_owned()
    } else if value < 0.0 {
        format!("−{number}")
    } else {
        number
    }
}

fn shortest_exponent(magnitude: f64) -> String {
    let text = format!("{magnitude:.2e}");
    match text.split_once('e') {
        Some((digits, exponent)) => format!(
            "{}e{exponent}",
            digits.trim_end_matches('0').trim_end_matches('.')
        ),
        None => text,
    }
}

/// A number with its unit: `250 ms`, `12%`.
pub fn with_unit(number: &str, unit: &str) -> String {
    match unit {
        "" => number.to_owned(),
        "%" => format!("{number}%"),
        _ => format!("{number} {unit}"),
    }
}

/// The number in a few characters, rounded to two digits from 1,000 on: `950`, `1.2k`, `34M`.
pub fn short_number(value: f64) -> String {
    let magnitude = value.abs();
    for (power, suffix) in [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")] {
        if magnitude >= 0.9995 * power {
            let share = value / power;
            // From 10 on, a decimal would be a third digit.
            let decimals = usize::from(share.abs() < 9.95);
            return format!("{}{suffix}", format_number(share, decimals));
        }
    }
    let decimals = match magnitude {
        _ if value.fract() == 0.0 => 0,
        10.0.. => 0,
        1.0.. => 1,
        _ => 2,
    };
    format_number(value, decimals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_has_its_noun_in_the_singular_or_plural() {
        assert_eq!(counted(0, "event"), "0 events");
        assert_eq!(counted(1, "event"), "1 event");
        assert_eq!(counted(1_234_567, "row"), "1,234,567 rows");
        assert_eq!(grouped("1234.5678"), "1,234.5678");
    }

    #[test]
    fn numbers_have_separators_and_an_exponent_where_they_are_long() {
        assert_eq!(format_number(0.0, 2), "0");
        assert_eq!(format_number(-0.0, 0), "0");
        assert_eq!(format_number(999.0, 0), "999");
        assert_eq!(format_number(1000.0, 0), "1,000");
        assert_eq!(format_number(-1234567.891, 2), "−1,234,567.89");
        assert_eq!(format_number(1e15, 0), "1e15");
        assert_eq!(format_number(2.5e18, 0), "2.5e18");
        assert_eq!(format_number(2.5e-9, 10), "2.5e-9");
    }

    #[test]
    fn short_numbers_have_two_digits() {
        let texts = [
            0.0,
            7.0,
            999.0,
            999.6,
            1_234.0,
            12_345.0,
            9_960_000.0,
            0.256,
            1.26,
            -1500.0,
        ]
        .map(short_number);
        assert_eq!(
            texts,
            [
                "0", "7", "999", "1.0k", "1.2k", "12k", "10M", "0.26", "1.3", "−1.5k"
            ]
        );
    }

    #[test]
    fn a_percent_sign_has_no_space() {
        assert_eq!(with_unit("7", "ms"), "7 ms");
        assert_eq!(with_unit("7", "%"), "7%");
        assert_eq!(with_unit("7", ""), "7");
    }
}
