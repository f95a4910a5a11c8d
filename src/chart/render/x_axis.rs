//! The texts below the slots: a label for each where there is room, and what neighbours have in common below them.

use std::ops::Range;

use plotters::style::text_anchor::{HPos, VPos};
use plotters_backend::DrawingBackend;

use super::axis::label_step;
use super::canvas::{Canvas, Drawn, centered, middle};
use super::style::*;
use super::text::{cut, normalize};
use crate::chart::model::Slot;

/// Slots of one width that share a stretch of pixels.
#[derive(Clone)]
pub struct Slots {
    pub x: Range<i32>,
    pub count: usize,
}

impl Slots {
    pub fn new(x: Range<i32>, count: usize) -> Self {
        let count = count.max(1);
        Self { x, count }
    }

    pub fn width(&self) -> f64 {
        f64::from(self.x.end - self.x.start) / self.count as f64
    }

    /// Where a slot begins.
    pub fn edge(&self, slot: usize) -> i32 {
        self.x.start + (self.width() * slot as f64).round() as i32
    }

    pub fn center(&self, slot: usize) -> i32 {
        (self.edge(slot) + self.edge(slot + 1)) / 2
    }
}

/// The texts of an x axis, fitted.
pub struct XAxis {
    labels: Vec<String>,
    font: Type,
    /// Every how many slots one is shown.
    step: usize,
    /// The slots whose labels are shown where there is room.
    shown: Vec<usize>,
    /// Stretches of slots and what they have in common; empty where all have the same.
    groups: Vec<(Range<usize>, String)>,
}

impl XAxis {
    pub fn new(slots: &[Slot], x: &Range<i32>, style: &Style) -> Self {
        let room = x.end - x.start;
        let gap = style.px(TICK_LABEL_GAP);
        let slot = room / slots.len().max(1) as i32;
        let longest = style.px(LONGEST_TICK_LABEL).max(slot - gap);
        let labels: Vec<String> = slots
            .iter()
            .map(|slot| cut(&normalize(&slot.label), style.tick(), longest))
            .collect();
        let step = |font: Type| {
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
        for (place, slot) in slots.iter().enumerate() {
            match groups.last_mut() {
                Some((range, text)) if *text == slot.group => range.end = place + 1,
                _ => groups.push((place..place + 1, slot.group.clone())),
            }
        }
        if groups.len() < 2 {
            groups.clear();
        }
        Self {
            shown: shown(&labels, step),
            labels,
            font,
            step,
            groups,
        }
    }

    /// How much it takes below the plot.
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

    /// Draws it below the line at `top`. `marked` where a slot without a label needs a mark to be found.
    pub fn draw<B: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, B>,
        slots: &Slots,
        top: i32,
        marked: bool,
    ) -> Drawn<B> {
        let style = canvas.style;
        let gap = style.px(GAP);
        let line = style.px(AXIS_LINE);
        let mut free = i32::MIN;
        for &slot in &self.shown {
            let text = &self.labels[slot];
            if text.is_empty() {
                continue;
            }
            let center = slots.center(slot);
            let width = self.font.width(text);
            let half = width / 2;
            let inside = style.width - style.px(MARGIN_X) / 2 - half;
            let middle = center.min(inside).max(half + gap);
            // A step over a change of the clocks is shorter than others.
            if middle - half < free {
                continue;
            }
            free = middle + half + style.px(TICK_LABEL_GAP) / 2;
            if marked || self.step > 1 {
                let tick = top..top + style.px(TICK_LENGTH);
                canvas.fill(centered(center, line), tick, style.palette.axis)?;
            }
            canvas.text(
                text,
                self.font,
                (middle, top + gap),
                (HPos::Center, VPos::Top),
            )?;
        }
        let font = style.group();
        let text_top = top + gap + self.font.block_height(1) + style.px(TICK_LABEL_GAP);
        for (range, text) in &self.groups {
            let x = slots.edge(range.start)..slots.edge(range.end);
            if range.start > 0 {
                // Not through the labels, of which one may stand there.
                let mark = text_top - style.px(TICK_LABEL_GAP) / 2..text_top + font.size;
                canvas.fill(centered(x.start, line), mark, style.palette.axis)?;
            }
            let text = normalize(text);
            // A text that is cut says less than none.
            if font.width(&text) + style.px(TICK_LABEL_GAP) <= x.end - x.start {
                let at = (middle(&x), text_top);
                canvas.text(&text, font, at, (HPos::Center, VPos::Top))?;
            }
        }
        Ok(())
    }
}

/// The slots that have a label where every `step`th can have one: times of day at round ones, also behind a change of the
/// clocks, anything else by its place.
fn shown(labels: &[String], step: usize) -> Vec<usize> {
    let by_clock = || {
        let minutes: Vec<usize> = labels
            .iter()
            .map(|label| minute(label))
            .collect::<Option<_>>()?;
        let between = minutes
            .windows(2)
            .map(|pair| (pair[1] + DAY - pair[0]) % DAY);
        let slot = between.filter(|&minutes| minutes > 0).min()?;
        let distance = slot * step;
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

/// Minutes.
const DAY: usize = 24 * 60;

/// Every so-manieth of the slots whose minute of the day is a multiple of `distance`.
fn at(minutes: &[usize], distance: usize, every: usize) -> Vec<usize> {
    let round = (0..minutes.len()).filter(|&slot| minutes[slot].is_multiple_of(distance));
    round.step_by(every).collect()
}

/// The minute of the day of `05` and `05:30`.
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
    use super::*;

    fn hours(hours: impl IntoIterator<Item = u32>) -> Vec<String> {
        hours.into_iter().map(|hour| format!("{hour:02}")).collect()
    }

    fn texts(labels: &[String], step: usize) -> String {
        let shown = shown(labels, step).into_iter();
        shown
            .map(|slot| labels[slot].as_str())
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
}
