//! The value axis: round ticks and their numbers.

use crate::chart::value_range::ValueRange;
use crate::job::ValueScale;
use crate::numbers::format_number;

/// A smaller range counts as zero: no power of ten is left to divide it by.
const SMALLEST: f64 = 1e-300;

/// More gridlines can't be told apart in a thumbnail.
pub const MOST_INTERVALS: i32 = 5;

/// More ticks between powers of ten would be closer to each other than their numbers are high.
const MOST_ROUND_TICKS: usize = 7;

/// An axis of values. A linear one has ticks at multiples of a round step, always with zero; a logarithmic one at powers
/// of ten, and at 2 and 5 times those where they are few.
#[derive(Debug, PartialEq)]
pub struct ValueAxis {
    /// Ascending, at least two. A linear axis begins and ends with a tick.
    pub ticks: Vec<f64>,
    decimals: usize,
    /// The values at both ends, at or beyond the outermost ticks.
    range: ValueRange,
}

impl ValueAxis {
    /// An axis for these finite values. If all are whole, so are the ticks.
    pub fn new(values: &[f64], scale: ValueScale) -> Self {
        Self::with_intervals(values, scale, MOST_INTERVALS)
    }

    /// The same with few ticks, for a low plot: at most about `most` intervals.
    pub fn with_intervals(values: &[f64], scale: ValueScale, most: i32) -> Self {
        let most = most.clamp(1, MOST_INTERVALS);
        let logarithmic = match scale {
            ValueScale::Linear => None,
            // Without a positive value there is no order of magnitude.
            ValueScale::Log => Self::logarithmic(values, most),
        };
        logarithmic.unwrap_or_else(|| Self::linear(values, f64::from(most)))
    }

    fn linear(values: &[f64], most: f64) -> Self {
        let low = values.iter().copied().fold(0.0, f64::min);
        let high = values.iter().copied().fold(0.0, f64::max);
        let range = high / most - low / most;
        if range < SMALLEST {
            return Self {
                ticks: vec![0.0, 1.0],
                decimals: 0,
                range: ValueRange {
                    low: 0.0,
                    high: 1.0,
                    scale: ValueScale::Linear,
                },
            };
        }
        let whole = values.iter().all(|value| value.fract() == 0.0);
        let (step, decimals) = round_step(range, whole);
        let (first, last) = ((low / step).floor() as i32, (high / step).ceil() as i32);
        Self {
            ticks: (first..=last).map(|n| f64::from(n) * step).collect(),
            decimals,
            range: ValueRange {
                low: f64::from(first) * step,
                high: f64::from(last) * step,
                scale: ValueScale::Linear,
            },
        }
    }

    /// `None` if no value is positive.
    fn logarithmic(values: &[f64], most: i32) -> Option<Self> {
        let positive = || values.iter().copied().filter(|value| *value > SMALLEST);
        let (low, high) = (positive().reduce(f64::min)?, positive().reduce(f64::max)?);
        let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        // Both ends are round numbers, close around the values.
        let rounds =
            || (first - 1..=last + 1).flat_map(|power| ROUND.map(|step| power_of_ten(step, power)));
        let low = rounds().rfind(|round| *round <= low * (1.0 + 1e-9))?;
        let high = rounds().find(|round| *round >= high * (1.0 - 1e-9) && *round > low)?;
        // Ticks are powers of ten, or all round numbers where few powers are between the ends.
        let between: Vec<f64> = rounds()
            .filter(|round| low <= *round && *round <= high)
            .collect();
        let tens: Vec<f64> = between.iter().copied().filter(is_power_of_ten).collect();
        let ticks = if tens.len() <= 2 && between.len() <= MOST_ROUND_TICKS {
            between
        } else {
            let every = tens.len().div_ceil(usize::try_from(most).unwrap_or(1) + 1);
            tens.into_iter().step_by(every).collect()
        };
        Some(Self {
            ticks,
            decimals: 0,
            range: ValueRange {
                low,
                high,
                scale: ValueScale::Log,
            },
        })
    }

    /// The values at both ends.
    pub fn range(&self) -> ValueRange {
        self.range
    }

    /// The text of a tick. All ticks have the same number of decimals, but on a logarithmic axis.
    pub fn tick_label(&self, tick: f64) -> String {
        let decimals = match self.range.scale {
            ValueScale::Linear => self.decimals,
            ValueScale::Log => usize::try_from(-(tick.log10() + 1e-9).floor() as i32).unwrap_or(0),
        };
        format_number(tick, decimals)
    }

    /// The text of a value: whole values and large ones without decimals, others with one more than the ticks have.
    pub fn value_label(&self, value: f64) -> String {
        let decimals = match self.range.scale {
            _ if value.fract() == 0.0 || value.abs() >= 1000.0 => 0,
            ValueScale::Linear => self.decimals + 1,
            ValueScale::Log => usize::from(value.abs() < 100.0),
        };
        format_number(value, decimals)
    }
}

/// The round numbers of a decade.
const ROUND: [f64; 3] = [1.0, 2.0, 5.0];

/// Exact where the number can be: `0.001`, not `1.0 * 0.0010000000000000002`.
fn power_of_ten(step: f64, power: i32) -> f64 {
    match power {
        0.. => step * 10f64.powi(power),
        _ => step / 10f64.powi(-power),
    }
}

fn is_power_of_ten(round: &f64) -> bool {
    let power = round.log10();
    (power - power.round()).abs() < 1e-9
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
        let axis = ValueAxis::new(values, ValueScale::Linear);
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
        assert_eq!(
            ValueAxis::new(&[12_000.0], ValueScale::Linear).value_label(11_987.0),
            "11,987"
        );
        assert_eq!(
            ValueAxis::new(&[0.42], ValueScale::Linear).value_label(0.4213),
            "0.42"
        );
        assert_eq!(
            ValueAxis::new(&[1234.567], ValueScale::Linear).value_label(1234.567),
            "1,235"
        );
    }

    #[test]
    fn a_logarithmic_axis_has_powers_of_ten() {
        let labels = |values: &[f64]| -> Vec<String> {
            let axis = ValueAxis::new(values, ValueScale::Log);
            axis.ticks
                .iter()
                .map(|&tick| axis.tick_label(tick))
                .collect()
        };
        assert_eq!(labels(&[12.0, 9_800.0]), ["10", "100", "1,000", "10,000"]);
        assert_eq!(labels(&[30.0, 80.0]), ["20", "50", "100"]);
        assert_eq!(
            labels(&[0.02, 0.7, 0.0]),
            ["0.02", "0.05", "0.1", "0.2", "0.5", "1"]
        );
        assert_eq!(labels(&[1.0, 1e12]).len(), 5);
        assert_eq!(labels(&[40.0, 10_373.0]), ["100", "1,000", "10,000"]);
        assert_eq!(labels(&[10.0]), ["10", "20"]);
        assert_eq!(labels(&[3.0, 445.0]), ["10", "100"]);
        // Nothing to take the logarithm of.
        assert_eq!(labels(&[0.0]), ["0", "1"]);
        assert_eq!(
            ValueAxis::new(&[12.0, 9_800.0], ValueScale::Log).value_label(37.26),
            "37.3"
        );
    }

    proptest! {
        #[test]
        fn logarithmic_ticks_hold_every_positive_value(values in prop::collection::vec(1e-9..1e12f64, 1..5)) {
            let axis = ValueAxis::new(&values, ValueScale::Log);
            prop_assert!((2..=7).contains(&axis.ticks.len()), "{:?}", axis);
            for value in values {
                prop_assert!(axis.range().low <= value * 1.001 && value <= axis.range().high * 1.001, "{:?}", axis);
            }
        }

        #[test]
        fn ticks_hold_every_value(values in prop::collection::vec(-LARGEST..LARGEST, 1..5), shrink in 0..600i32) {
            let values: Vec<f64> = values.iter().map(|v| v * 10f64.powi(-shrink)).collect();
            let axis = ValueAxis::new(&values, ValueScale::Linear);
            prop_assert!((2..=8).contains(&axis.ticks.len()), "{:?}", axis);
            prop_assert!(axis.ticks.contains(&0.0));
            prop_assert!(axis.ticks.is_sorted_by(|a, b| a < b));
            let slack = (axis.range().high - axis.range().low) * 1e-6;
            for value in values {
                prop_assert!(axis.range().low - slack <= value && value <= axis.range().high + slack, "{:?}", axis);
            }
        }

        #[test]
        fn whole_values_have_whole_ticks(values in prop::collection::vec(0..u32::MAX, 1..5)) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            prop_assert!(ValueAxis::new(&values, ValueScale::Linear).ticks.iter().all(|tick| tick.fract() == 0.0));
        }
    }
}
