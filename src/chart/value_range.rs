//! Values as shares of an axis, which is linear or logarithmic.

use crate::job::ValueScale;

/// The values at both ends of an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ValueRange {
    /// The lowest value.
    pub low: f64,
    /// The highest value.
    pub high: f64,
    /// How the values between them are spaced.
    pub scale: ValueScale,
}

impl ValueRange {
    /// The place of a value, from 0 at the low end to 1 at the high end. On a logarithmic axis, zero and less lie at the
    /// low end.
    pub fn share(&self, value: f64) -> f64 {
        match self.scale {
            // Halves, as the difference of two very large values is infinite.
            ValueScale::Linear => {
                (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0)
            }
            ValueScale::Log if value <= self.low => 0.0,
            ValueScale::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        }
    }

    /// The range with room for a label above the peak, which takes `label` of the axis' length.
    pub fn with_headroom(self, peak: f64, label: f64) -> Self {
        let high = match self.scale {
            ValueScale::Linear => (peak - self.low * label) / (1.0 - label),
            ValueScale::Log => self.low * (peak / self.low).powf(1.0 / (1.0 - label)),
        };
        Self {
            high: self.high.max(high),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_follow_the_scale() {
        let range = |scale| ValueRange {
            low: 1.0,
            high: 100.0,
            scale,
        };
        assert_eq!(range(ValueScale::Linear).share(50.5), 0.5);
        assert_eq!(range(ValueScale::Log).share(10.0), 0.5);
        assert_eq!(range(ValueScale::Log).share(0.0), 0.0);
        assert_eq!(range(ValueScale::Log).share(-3.0), 0.0);
    }

    #[test]
    fn a_label_has_room_above_the_peak() {
        for scale in [ValueScale::Linear, ValueScale::Log] {
            let range = ValueRange {
                low: 1.0,
                high: 10.0,
                scale,
            }
            .with_headroom(9.5, 0.2);
            assert!((range.share(9.5) - 0.8).abs() < 1e-9, "{range:?}");
            assert_eq!(range.with_headroom(1.5, 0.2), range);
        }
    }
}
