//! The value axis: round ticks and their numbers.

use crate::numbers::format_number;

/// A smaller range counts as zero: no power of ten is left to divide it by.
const SMALLEST: f64 = 1e-300;

/// More gridlines can't be told apart in a thumbnail.
pub const MOST_INTERVALS: i32 = 5;

/// A y axis: ticks at multiples of a round step, always with zero.
#[derive(Debug, PartialEq)]
pub struct ValueAxis {
    /// Ascending, at least two: the first at or below every value, the last at or above.
    pub ticks: Vec<f64>,
    decimals: usize,
}

impl ValueAxis {
    /// An axis for these finite values. If all are whole, so are the ticks.
    pub fn new(values: &[f64]) -> Self {
        Self::with_intervals(values, MOST_INTERVALS)
    }

    /// The same with few ticks, for a low plot: at most about `most` intervals.
    pub fn with_intervals(values: &[f64], most: i32) -> Self {
        let most = f64::from(most.clamp(1, MOST_INTERVALS));
        let low = values.iter().copied().fold(0.0, f64::min);
        let high = values.iter().copied().fold(0.0, f64::max);
        let range = high / most - low / most;
        if range < SMALLEST {
            return Self {
                ticks: vec![0.0, 1.0],
                decimals: 0,
            };
        }
        let whole = values.iter().all(|value| value.fract() == 0.0);
        let (step, decimals) = round_step(range, whole);
        let (first, last) = ((low / step).floor() as i32, (high / step).ceil() as i32);
        Self {
            ticks: (first..=last).map(|n| f64::from(n) * step).collect(),
            decimals,
        }
    }

    /// The lowest tick.
    pub fn low(&self) -> f64 {
        self.ticks.first().copied().unwrap_or(0.0)
    }

    /// The highest tick.
    pub fn high(&self) -> f64 {
        self.ticks.last().copied().unwrap_or(1.0)
    }

    /// The text of a tick. All ticks have the same number of decimals.
    pub fn tick_label(&self, tick: f64) -> String {
        format_number(tick, self.decimals)
    }

    /// The text of a value: whole values and large ones without decimals, others with one more than the ticks have.
    pub fn value_label(&self, value: f64) -> String {
        let decimals = match value.fract() == 0.0 || value.abs() >= 1000.0 {
            true => 0,
            false => self.decimals + 1,
        };
        format_number(value, decimals)
    }
}

/// The smallest step of 1, 2, 2.5 or 5 × 10ⁿ from `least` on, and the number of its decimals.
fn round_step(least: f64, whole: bool) -> (f64, usize) {
    let least = if whole { least.max(1.0) } else { least };
    let exponent = least.log10().floor() as i32;
    let steps = (exponent..=exponent + 1).flat_map(|exponent| {
        // 2.5 has one decimal more than its power of ten.
        [(1.0, 0), (2.0, 0), (2.5, 1), (5.0, 0)].map(|(digit, extra)| {
            (
                digit * 10f64.powi(exponent),
                usize::try_from(extra - exponent).unwrap_or(0),
            )
        })
    });
    // Rounding must not skip a step that is equal to `least`.
    let tolerated = least * (1.0 - 1e-9);
    let mut fitting =
        steps.filter(|&(step, decimals)| step >= tolerated && !(whole && decimals > 0));
    fitting.next().unwrap_or((least, 0))
}

/// The title of the y axis with the unit: `Duration (ms)`. A percent sign is at each number instead.
pub fn y_title(label: &str, unit: &str) -> String {
    match (label, unit) {
        (label, "" | "%") => label.to_owned(),
        (label, unit) if label == unit => label.to_owned(),
        ("", unit) => unit.to_owned(),
        (label, unit) => format!("{label} ({unit})"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chart::model::LARGEST;

    fn labels(values: &[f64]) -> Vec<String> {
        let axis = ValueAxis::new(values);
        axis.ticks
            .iter()
            .map(|&tick| axis.tick_label(tick))
            .collect()
    }

    #[test]
    fn ticks_are_round_and_start_at_zero() {
        assert_eq!(labels(&[]), ["0", "1"]);
        assert_eq!(labels(&[0.0, 0.0]), ["0", "1"]);
        assert_eq!(labels(&[1.0]), ["0", "1"]);
        assert_eq!(labels(&[3.0]), ["0", "1", "2", "3"]);
        assert_eq!(labels(&[11.0]), ["0", "5", "10", "15"]);
        assert_eq!(labels(&[100.0]), ["0", "20", "40", "60", "80", "100"]);
        assert_eq!(
            labels(&[60.0, 12_000.0]),
            ["0", "2,500", "5,000", "7,500", "10,000", "12,500"]
        );
        assert_eq!(
            labels(&[12_000_000.0]).last().map(String::as_str),
            Some("12,500,000")
        );
        assert_eq!(
            labels(&[0.42, 0.1]),
            ["0", "0.1", "0.2", "0.3", "0.4", "0.5"]
        );
        assert_eq!(
            labels(&[1.1]),
            ["0", "0.25", "0.50", "0.75", "1.00", "1.25"]
        );
        assert_eq!(labels(&[-3.0, 5.0]), ["−4", "−2", "0", "2", "4", "6"]);
        assert_eq!(labels(&[-30.0]), ["−30", "−20", "−10", "0"]);
    }

    #[test]
    fn values_have_a_decimal_more_than_ticks() {
        assert_eq!(ValueAxis::new(&[12_000.0]).value_label(11_987.0), "11,987");
        assert_eq!(ValueAxis::new(&[0.42]).value_label(0.4213), "0.42");
        assert_eq!(ValueAxis::new(&[1234.567]).value_label(1234.567), "1,235");
    }

    proptest! {
        #[test]
        fn ticks_hold_every_value(values in prop::collection::vec(-LARGEST..LARGEST, 1..5), shrink in 0..600i32) {
            let values: Vec<f64> = values.iter().map(|v| v * 10f64.powi(-shrink)).collect();
            let axis = ValueAxis::new(&values);
            prop_assert!((2..=8).contains(&axis.ticks.len()), "{:?}", axis);
            prop_assert!(axis.ticks.contains(&0.0));
            prop_assert!(axis.ticks.is_sorted_by(|a, b| a < b));
            let slack = (axis.high() - axis.low()) * 1e-6;
            for value in values {
                prop_assert!(axis.low() - slack <= value && value <= axis.high() + slack, "{:?}", axis);
            }
        }

        #[test]
        fn whole_values_have_whole_ticks(values in prop::collection::vec(0..u32::MAX, 1..5)) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            prop_assert!(ValueAxis::new(&values).ticks.iter().all(|tick| tick.fract() == 0.0));
        }
    }
}
