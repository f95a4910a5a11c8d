//! How the height of a stacked bar is divided among its parts, in pixels or in characters.

/// The heights of the parts, which add up to `height`: proportional to the values, but none below `least`. The largest
/// parts give up what the small ones need, as it shows least there. In a bar too low for that, all are proportional.
pub fn part_heights(values: &[f64], height: i32, least: i32) -> Vec<i32> {
    let total: f64 = values.iter().sum();
    let mut heights = Vec::with_capacity(values.len());
    let (mut sum, mut below) = (0.0, 0);
    for value in values {
        sum += value;
        let edge = (sum / total * f64::from(height)).round() as i32;
        heights.push(edge - below);
        below = edge;
    }
    if height < least * values.len() as i32 {
        return heights;
    }
    let mut lacking = 0;
    for height in &mut heights {
        lacking += (least - *height).max(0);
        *height = (*height).max(least);
    }
    while lacking > 0 {
        let Some(largest) = heights.iter_mut().max() else {
            break;
        };
        let spare = (*largest - least).clamp(0, lacking);
        if spare == 0 {
            break;
        }
        *largest -= spare;
        lacking -= spare;
    }
    heights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_parts_are_seen_at_the_cost_of_the_largest() {
        assert_eq!(part_heights(&[1.0, 999.0], 500, 5), [5, 495]);
        assert_eq!(part_heights(&[50.0, 50.0], 100, 5), [50, 50]);
        assert_eq!(
            part_heights(&[1.0, 1.0, 500.0, 498.0], 100, 5)
                .iter()
                .sum::<i32>(),
            100
        );
        // Too low for four parts of five.
        assert_eq!(part_heights(&[1.0, 1.0, 1.0, 97.0], 10, 5), [0, 0, 0, 10]);
        assert_eq!(part_heights(&[1.0; 4], 20, 5), [5; 4]);
        assert_eq!(part_heights(&[1e300, 1e300], 20, 5), [10, 10]);
    }
}
