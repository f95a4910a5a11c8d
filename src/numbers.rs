//! Numbers as people read them.

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
