//! Numbers as people read them.

/// Beyond these, figures are written with an exponent.
const MOST_FIGURES: f64 = 1e15;
const MOST_DECIMALS: usize = 6;

/// `1 event`, `2,643 events`; `what` is one of them.
pub fn counted(count: u64, what: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{} {what}{s}", grouped(&count.to_string()))
}

/// Decimal figures without a sign, with thousands separators.
pub fn grouped(figures: &str) -> String {
    let (whole, fraction) = figures.split_at(figures.find('.').unwrap_or(figures.len()));
    let mut grouped = String::with_capacity(figures.len() + figures.len() / 3);
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + fraction
}

/// The number with thousands separators, a true minus sign, and `decimals` digits after the point.
pub fn format_number(value: f64, decimals: usize) -> String {
    let magnitude = value.abs();
    let figures = if magnitude >= MOST_FIGURES || (decimals > MOST_DECIMALS && magnitude > 0.0) {
        shortest_exponent(magnitude)
    } else {
        grouped(&format!("{magnitude:.*}", decimals.min(MOST_DECIMALS)))
    };
    let is_zero = !figures.contains(|c: char| ('1'..='9').contains(&c));
    if is_zero {
        "0".to_owned()
    } else if value < 0.0 {
        format!("−{figures}")
    } else {
        figures
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

/// The text of a value in its unit: `250 ms`, `12%`.
pub fn with_unit(number: &str, unit: &str) -> String {
    match unit {
        "" => number.to_owned(),
        "%" => format!("{number}%"),
        _ => format!("{number} {unit}"),
    }
}

/// The number in a few characters: `950`, `1.2k`, `34M`; the shortest that is right to two figures.
pub fn short_number(value: f64) -> String {
    let magnitude = value.abs();
    for (power, suffix) in [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")] {
        if magnitude >= 0.9995 * power {
            let share = value / power;
            // From 10 on, a decimal would be a third figure.
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
    fn one_is_no_plural_and_thousands_are_separated() {
        assert_eq!(counted(0, "event"), "0 events");
        assert_eq!(counted(1, "event"), "1 event");
        assert_eq!(counted(1_234_567, "row"), "1,234,567 rows");
        assert_eq!(grouped("1234.5678"), "1,234.5678");
    }
}
