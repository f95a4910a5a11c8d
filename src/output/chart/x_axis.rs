//! The texts below the slots: a label for each where there is room, and what neighbours have in common below them.

use std::ops::Range;

use plotters::style::text_anchor::{HPos, VPos};
use plotters_backend::DrawingBackend;

use super::Slot;
use super::axis::label_step;
use super::canvas::{Canvas, Drawn, centered, middle};
use super::style::*;
use super::text::{cut, normalize};

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
        for (slot, text) in self.labels.iter().enumerate().step_by(self.step) {
            if text.is_empty() {
                continue;
            }
            let center = slots.center(slot);
            if marked || self.step > 1 {
                let tick = top..top + style.px(TICK_LENGTH);
                canvas.fill(centered(center, line), tick, style.palette.axis)?;
            }
            let half = self.font.width(text) / 2 + gap;
            let at = (center.min(style.width - half).max(half), top + gap);
            canvas.text(text, self.font, at, (HPos::Center, VPos::Top))?;
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
