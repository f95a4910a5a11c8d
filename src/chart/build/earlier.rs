//! The line of an earlier window, whose times are moved onto the categories of the later one.

use std::collections::HashMap;

use super::data::{ChartData, EarlierData, Values};
use super::language;
use super::x_axis::{TimeFrame, XAxis, XValue};
use crate::chart::model::{Layer, Role};
use crate::job::Language;

impl ChartData {
    /// The layer of the earlier window.
    pub(super) fn earlier_layer(&self, axis: &XAxis) -> Option<Layer> {
        let earlier = self.earlier.as_deref()?;
        Some(Layer {
            name: earlier.name(self.chart.language),
            role: Role::Other,
            values: earlier.values(axis, self)?,
        })
    }
}

impl EarlierData {
    /// The window in words, and whether it is provisional.
    pub(super) fn name(&self, language: Language) -> String {
        let window = language::window(language, &self.window);
        match self.provisional {
            true => format!("{window} ({})", language::provisional(language)),
            false => window,
        }
    }

    /// The totals for the categories of the later window's axis; `None` if no category has one.
    pub(super) fn values(&self, axis: &XAxis, later: &ChartData) -> Option<Values> {
        let span = later.chart.compare?.span;
        let own_axis = XAxis::new(
            &later.chart.x,
            &self.data.local_x(self.window.zone()),
            &TimeFrame {
                zone: self.window.zone(),
                range: Some(self.window.range()),
                size: Some(self.window.size()),
                dates: self.data.x_is_date,
                known_until: None,
                settled_until: None,
                absent_is_zero: self.data.absent_is_zero,
                language: later.chart.language,
            },
            self.data.names.is_some(),
        );
        let totals = self.data.totals(&own_axis);
        let mut known: HashMap<XValue, Values> = HashMap::new();
        for (x, total) in own_axis.values.iter().zip(&totals) {
            known.entry(without_offset(x)).or_default().push(*total);
        }
        let mut seen: HashMap<XValue, usize> = HashMap::new();
        let values: Values = axis
            .values
            .iter()
            .map(|x| {
                let x = match without_offset(x) {
                    XValue::Time(local, _) => XValue::Time(span.same_before(local)?, None),
                    text => text,
                };
                let values = known.get(&x)?;
                let occurrence = seen.entry(x).or_default();
                // Both occurrences of an hour that the clocks repeat are compared with the only one of the earlier day.
                let value = values.get(*occurrence).or(values.first());
                *occurrence += 1;
                *value?
            })
            .collect();
        values.iter().any(Option::is_some).then_some(values)
    }
}

fn without_offset(x: &XValue) -> XValue {
    match x {
        XValue::Time(local, _) => XValue::Time(*local, None),
        XValue::Text(text) => XValue::Text(text.clone()),
    }
}
