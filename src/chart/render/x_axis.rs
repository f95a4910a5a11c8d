//! The x axis: where each category lies, a label for as many as have space, and the groups below the labels.

use std::ops::Range;

use plotters::style::text_anchor::{HPos, VPos};

use super::canvas::{Canvas, Drawn, centered, middle};
use super::fit::{cut, cut_names};
use super::style::*;
use crate::chart::model::Category;
use crate::chart::text::normalize;

/// Categories of equal width over a range of pixels.
#[derive(Clone)]
pub struct CategoryScale {
    pub pixels: Range<i32>,
    pub count: usize,
}

impl CategoryScale {
    pub fn new(pixels: Range<i32>, count: usize) -> Self {
        let count = count.max(1);
        Self { pixels, count }
    }

    /// The width of a category.
    pub fn width(&self) -> f64 {
        f64::from(self.pixels.end - self.pixels.start) / self.count as f64
    }

    /// The left edge of a category.
    pub fn edge(&self, category: usize) -> i32 {
        self.pixels.start + (self.width() * category as f64).round() as i32
    }

    /// The middle of a category.
    pub fn center(&self, category: usize) -> i32 {
        (self.edge(category) + self.edge(category + 1)) / 2
    }

    /// The pixels of neighbouring categories.
    pub fn range(&self, categories: Range<usize>) -> Range<i32> {
        self.edge(categories.start)..self.edge(categories.end)
    }
}

/// The texts of an x axis, fitted into its width.
pub struct XAxisLabels {
    labels: Vec<String>,
    font: Font,
    /// Whether each category has its whole label.
    pub is_complete: bool,
    /// About every `step`-th label is shown.
    step: usize,
    /// The categories whose labels are shown, as far as they do not overlap.
    shown: Vec<usize>,
    /// The groups of neighbouring categories; empty if all are of one group.
    groups: Vec<(Range<usize>, String)>,
}

impl XAxisLabels {
    pub fn new(categories: &[Category], x: &Range<i32>, style: &Style) -> Self {
        let room = x.end - x.start;
        let gap = style.px(TICK_LABEL_GAP);
        let width = room / categories.len().max(1) as i32;
        let longest = style.px(LONGEST_TICK_LABEL).max(width - gap);
        let whole: Vec<String> = categories
            .iter()
            .map(|category| normalize(&category.label))
            .collect();
        let labels = cut_names(&whole, style.tick(), longest);
        let is_whole = labels == whole;
        let step = |font: Font| {
            let widest = labels
                .iter()
                .map(|text| font.width(text))
                .max()
                .unwrap_or(0);
            match label_step(labels.len(), widest + gap, room) {
                1 => 1,
                _ => label_step(labels.len(), widest + style.px(SPARSE_LABEL_GAP), room),
            }
        };
        let sizes = style.ticks();
        let font = sizes
            .into_iter()
            .find(|&font| step(font) == 1)
            .unwrap_or(style.tick());
        let step = step(font);
        let mut groups: Vec<(Range<usize>, String)> = Vec::new();
        for (place, category) in categories.iter().enumerate() {
            match groups.last_mut() {
                Some((range, text)) if *text == category.group => range.end = place + 1,
                _ => groups.push((place..place + 1, category.group.clone())),
            }
        }
        if groups.len() < 2 {
            groups.clear();
        }
        Self {
            shown: shown(&labels, step),
            is_complete: is_whole && step == 1,
            labels,
            font,
            step,
            groups,
        }
    }

    /// The height of the labels and groups.
    pub fn height(&self, style: &Style) -> i32 {
        let mut height = 0;
        if self.labels.iter().any(|label| !label.is_empty()) {
            height += style.px(GAP) + self.font.block_height(1);
        }
        if !self.groups.is_empty() {
            height += style.px(TICK_LABEL_GAP) + style.group().block_height(1);
        }
        height
    }

    /// Draws the labels and groups below `top`, with a tick mark at each label if `marked` or if not every category has
    /// a label.
    pub fn draw(
        &self,
        canvas: &Canvas<'_>,
        scale: &CategoryScale,
        top: i32,
        marked: bool,
    ) -> Drawn {
        self.draw_labels(canvas, scale, top, marked)?;
        self.draw_groups(canvas, scale, top)
    }

    fn draw_labels(
        &self,
        canvas: &Canvas<'_>,
        scale: &CategoryScale,
        top: i32,
        marked: bool,
    ) -> Drawn {
        let style = canvas.style;
        let gap = style.px(GAP);
        let mut free = i32::MIN;
        for &category in &self.shown {
            let text = &self.labels[category];
            if text.is_empty() {
                continue;
            }
            let center = scale.center(category);
            let width = self.font.width(text);
            let half = width / 2;
            let inside = style.width - style.px(MARGIN_X) / 2 - half;
            let middle = center.min(inside).max(half + gap);
            // Where the clocks change, labels may be closer together than `step`.
            if middle - half < free {
                continue;
            }
            free = middle + half + style.px(TICK_LABEL_GAP) / 2;
            if marked || self.step > 1 {
                let tick = top..top + style.px(TICK_LENGTH);
                let mark = centered(center, style.px(AXIS_LINE));
                canvas.fill(mark, tick, style.palette.axis)?;
            }
            canvas.text(
                text,
                self.font,
                (middle, top + gap),
                (HPos::Center, VPos::Top),
            )?;
        }
        Ok(())
    }

    fn draw_groups(&self, canvas: &Canvas<'_>, scale: &CategoryScale, top: i32) -> Drawn {
        let style = canvas.style;
        let font = style.group();
        let line = style.px(AXIS_LINE);
        let text_top = top + style.px(GAP) + self.font.block_height(1) + style.px(TICK_LABEL_GAP);
        for (range, text) in &self.groups {
            let x = scale.range(range.clone());
            if range.start > 0 {
                // Below the labels, one of which may be at this place.
                let mark = text_top - style.px(TICK_LABEL_GAP) / 2..text_top + font.size;
                canvas.fill(centered(x.start, line), mark, style.palette.axis)?;
            }
            let text = normalize(text);
            // Cut, the text of a group could not be understood.
            if font.width(&text) + style.px(TICK_LABEL_GAP) <= x.end - x.start {
                let at = (middle(&x), text_top);
                canvas.text(&text, font, at, (HPos::Center, VPos::Top))?;
            }
        }
        Ok(())
    }
}

impl Canvas<'_> {
    /// The title of the x axis. Returns the bottom of the space above it.
    pub fn x_title(&self, title: &str, x: &Range<i32>, bottom: i32) -> Drawn<i32> {
        let font = self.style.axis_title();
        let title = cut(&normalize(title), font, x.end - x.start);
        if title.is_empty() || self.style.is_low {
            return Ok(bottom);
        }
        let top = bottom - font.block_height(1);
        self.text(&title, font, (middle(x), top), (HPos::Center, VPos::Top))?;
        Ok(top - self.style.px(GAP))
    }
}

/// Parts and multiples of a day in hours, and of an hour in minutes: labels at these distances are at the same hours of
/// each day.
const CLOCK_STEPS: [usize; 16] = [
    1, 2, 3, 4, 6, 8, 12, 24, 48, 72, 120, 180, 240, 360, 720, 1440,
];

/// The least step at which every `step`-th of `points` labels, each up to `label` wide, has space in `room`.
pub fn label_step(points: usize, label: i32, room: i32) -> usize {
    let fitting = (room / label.max(1)).max(1) as usize;
    let least = points.div_ceil(fitting);
    CLOCK_STEPS
        .into_iter()
        .find(|&step| step >= least)
        .unwrap_or(least)
}

/// The categories whose labels are shown where there is space for every `step`-th. Times of day are those at round
/// times, also behind a change of the clocks.
fn shown(labels: &[String], step: usize) -> Vec<usize> {
    let by_clock = || {
        let minutes: Vec<usize> = labels
            .iter()
            .map(|label| minute(label))
            .collect::<Option<_>>()?;
        let between = minutes
            .windows(2)
            .map(|pair| (pair[1] + DAY - pair[0]) % DAY);
        let shortest = between.filter(|&minutes| minutes > 0).min()?;
        let distance = shortest * step;
        match (DAY % distance, distance % DAY) {
            (0, _) => Some(at(&minutes, distance, 1)),
            (_, 0) => Some(at(&minutes, DAY, distance / DAY)),
            _ => None,
        }
    };
    match step {
        1 => (0..labels.len()).collect(),
        _ => by_clock().unwrap_or_else(|| (0..labels.len()).step_by(step).collect()),
    }
}

/// In minutes.
const DAY: usize = 24 * 60;

/// Every `every`-th category that starts on a multiple of `distance` minutes.
fn at(minutes: &[usize], distance: usize, every: usize) -> Vec<usize> {
    let round = (0..minutes.len()).filter(|&category| minutes[category].is_multiple_of(distance));
    round.step_by(every).collect()
}

/// The minute of the day that a label such as `05` or `05:30` says.
fn minute(label: &str) -> Option<usize> {
    let number = |text: &str, below: usize| {
        let number: usize = (text.len() == 2).then(|| text.parse().ok())??;
        (number < below).then_some(number)
    };
    let (hour, minutes) = label.split_once(':').unwrap_or((label, "00"));
    Some(number(hour, 24)? * 60 + number(minutes, 60)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hours(hours: impl IntoIterator<Item = u32>) -> Vec<String> {
        hours.into_iter().map(|hour| format!("{hour:02}")).collect()
    }

    fn texts(labels: &[String], step: usize) -> String {
        let shown = shown(labels, step).into_iter();
        shown
            .map(|category| labels[category].as_str())
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn hours_are_round_also_behind_a_change_of_the_clocks() {
        let spring = hours((0..24).filter(|&hour| hour != 2).chain(0..24));
        assert_eq!(texts(&spring, 6), "00 06 12 18 00 06 12 18");
        assert_eq!(texts(&spring, 24), "00 00");
        assert_eq!(texts(&spring, 48), "00");
        // Hours of a window that begins in the morning, and quarters of an hour.
        assert_eq!(texts(&hours((5..24).chain(0..5)), 8), "08 16 00");
        let quarters: Vec<String> = (0..16)
            .map(|n| format!("{:02}:{:02}", n / 4, n % 4 * 15))
            .collect();
        assert_eq!(texts(&quarters, 8), "00:00 02:00");
        // Days of a month, and what is no time.
        let days: Vec<String> = (1..=9).map(|day: u32| day.to_string()).collect();
        assert_eq!(texts(&days, 4), "1 5 9");
    }

    #[test]
    fn every_point_has_its_label_while_there_is_room() {
        assert_eq!(label_step(24, 60, 1440), 1);
        assert_eq!(label_step(24, 61, 1440), 2);
        assert_eq!(
            label_step(25, 100, 1440),
            2,
            "no divisor near: the smallest step"
        );
        assert_eq!(
            label_step(168, 80, 1440),
            12,
            "a week by hours: midnight and noon"
        );
        assert_eq!(label_step(365, 150, 1440), 48);
        assert_eq!(label_step(1, 5000, 1440), 1);
        assert_eq!(label_step(0, 10, 1440), 1);
        assert_eq!(label_step(100_000, 100, 1440), 7143);
    }

    proptest! {
        #[test]
        fn labels_never_overlap(points in 1..5000usize, label in 1..400i32, room in 400..3000i32) {
            let labels = points.div_ceil(label_step(points, label, room)) as i32;
            prop_assert!(labels * label <= room || labels == 1);
        }
    }
}
