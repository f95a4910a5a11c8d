//! What the exports of the last receipt have and new ones lack, by log group and hour. It is copied from the earlier
//! export to the new one, event by event, so that no answer loses an event that was counted before.
//!
//! An event in CloudWatch never changes, so that the union of two exports is what the service ever had: each event as
//! often as in the export that has it more often.

use std::collections::{BTreeMap, HashMap};

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimestampMillisecondType};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use futures::StreamExt;

use super::Plan;
use crate::error::{Error, Result};
use crate::export::kept::KeptEvents;
use crate::export::{Exported, ExportedGroup, staging};
use crate::job::Source;
use crate::layout::StagingKeys;
use crate::layout::cloudwatch::LogObject;
use crate::numbers::counted;
use crate::query::Engine;
use crate::receipt::{ExportReport, Receipt};
use crate::aws::logs::LogEvent;
use crate::scan::tally::HOUR_MS;
use crate::scan::{Hours, LogsTable};
use crate::window::{Range, Size, Window};

/// The log group of the objects of the earlier export, while the two are compared as one table.
const EARLIER: &str = "earlier";

/// The events of a new export that are not those of the last receipt.
#[derive(Debug)]
pub(super) struct Difference<'a> {
    /// The export in the last receipt.
    before: &'a ExportReport,
    /// From the first hour with events that differs to behind the last one, counted from the window's start.
    hours: std::ops::Range<usize>,
    /// The hours with fewer events than before.
    lost: Vec<usize>,
    /// How many events these had, and have now.
    fewer: (u64, u64),
}

impl Difference<'_> {
    /// Whether an hour has fewer events than before.
    pub(super) fn is_loss(&self) -> bool {
        !self.lost.is_empty()
    }

    fn log_group(&self) -> Option<&str> {
        self.before.log_group.as_deref()
    }

    /// What became fewer, in words.
    pub(super) fn describe(&self, window: &Window) -> String {
        let (before, now) = self.fewer;
        let of = self.log_group().map_or(String::new(), |group| format!(" of {group}"));
        let hours = in_words(window, &self.lost);
        format!("{hours}{of} went from {before} in the last run to {now}")
    }
}

/// Where the last receipt has events that the new exports lack or may lack. Receipts of earlier versions do not have the
/// hours: where all events together are fewer, each group may be concerned.
pub(super) fn differences<'a>(
    last: &'a Receipt,
    tallies: &BTreeMap<Option<String>, Hours>,
    window: Range,
    events: u64,
) -> Vec<Difference<'a>> {
    let none = Hours::none(window);
    let number = none.iter().count();
    let mut differences = Vec::new();
    for before in &last.exports {
        let Some(hours) = &before.hours else {
            if events < last.read.events {
                differences.push(Difference {
                    before,
                    hours: 0..number,
                    lost: (0..number).collect(),
                    fewer: (last.read.events, events),
                });
            }
            continue;
        };
        let now = tallies.get(&before.log_group).unwrap_or(&none);
        let (mut lost, mut fewer) = (Vec::new(), (0, 0));
        let mut differing: Option<std::ops::Range<usize>> = None;
        for (hour, (before, now)) in hours.iter().zip(now.iter()).enumerate() {
            if before.events == 0 || before == now {
                continue;
            }
            let first = differing.map_or(hour, |hours| hours.start);
            differing = Some(first..hour + 1);
            if now.events < before.events {
                lost.push(hour);
                fewer = (fewer.0 + before.events, fewer.1 + now.events);
            }
        }
        differences.extend(differing.map(|hours| Difference {
            before,
            hours,
            lost,
            fewer,
        }));
    }
    differences
}

/// The earlier exports that have events which differ, as far as they are still there.
pub(super) struct EarlierExports<'a> {
    plan: &'a Plan<'a>,
    engine: &'a Engine,
    window: &'a Window,
    /// By their prefixes in the last receipt.
    found: HashMap<&'a str, ExportedGroup>,
}

impl<'a> EarlierExports<'a> {
    /// Looks for them. None is there for a source whose events can change, or that is exported by other means.
    pub(super) async fn find(
        plan: &'a Plan<'a>,
        engine: &'a Engine,
        window: &'a Window,
        differences: &[Difference<'a>],
    ) -> Result<Self> {
        let mut earlier = Self {
            plan,
            engine,
            window,
            found: HashMap::new(),
        };
        if !matches!(plan.job.source, Source::CloudWatch(_)) || differences.is_empty() {
            return Ok(earlier);
        }
        let keys = StagingKeys::of(plan.job)?;
        let at = |prefix: &str| {
            let mut reports = differences.iter().map(|difference| difference.before);
            reports.find(|before| before.is_at(prefix))
        };
        let wanted = |prefix: &str| at(prefix).is_some();
        for export in staging::exports_at(&plan.source, &keys, &window.id(), wanted).await? {
            if let Some(before) = at(&keys.relative(&export.prefix)) {
                earlier.found.insert(before.prefix.as_str(), export);
            }
        }
        Ok(earlier)
    }

    /// Whether the export that has these events is still there.
    pub(super) fn has(&self, difference: &Difference<'_>) -> bool {
        self.found.contains_key(difference.before.prefix.as_str())
    }

    /// Copies what the new exports lack to them. True if there was anything.
    pub(super) async fn restore(
        &self,
        exported: &mut Exported,
        differences: &[Difference<'_>],
    ) -> Result<bool> {
        let mut is_changed = false;
        for difference in differences {
            let Some(earlier) = self.found.get(difference.before.prefix.as_str()) else {
                continue;
            };
            let mut groups = exported.groups.iter_mut();
            match groups.find(|group| group.log_group == earlier.log_group) {
                Some(new) if new.prefix == earlier.prefix => {}
                Some(new) => is_changed |= self.add_missing(new, earlier, difference).await?,
                None => {
                    let mut earlier = earlier.clone();
                    let (group, as_of) = (difference.log_group().unwrap_or_default(), as_of(&earlier));
                    earlier.notes.push(format!(
                        "the events of {group} are from the export of {as_of}: the log group was not exported again"
                    ));
                    exported.groups.push(earlier);
                    is_changed = true;
                }
            }
        }
        Ok(is_changed)
    }

    /// Adds the events of the earlier export that the new one lacks. True if there are any.
    async fn add_missing(
        &self,
        new: &mut ExportedGroup,
        earlier: &ExportedGroup,
        difference: &Difference<'_>,
    ) -> Result<bool> {
        let window = self.window.range();
        let store = &self.plan.source;
        let kept = KeptEvents::new(new);
        let mut writer = kept.writer(store);
        let mut by_hour: BTreeMap<usize, u64> = BTreeMap::new();
        let session = self
            .engine
            .session(self.plan.job.timezone)?
            .with_logs(self.both(new, earlier, difference), Some(store))?;
        let sql = format!(
            "SELECT log_stream, timestamp, message, \
                    sum(CASE log_group WHEN '{EARLIER}' THEN 1 ELSE -1 END) AS missing \
             FROM logs GROUP BY log_stream, timestamp, message \
             HAVING sum(CASE log_group WHEN '{EARLIER}' THEN 1 ELSE -1 END) > 0"
        );
        let statement = session
            .statement(&sql, "the comparison with the earlier export")
            .await?;
        let mut batches = session.run(&statement).await?.batches;
        while let Some(batch) = batches.next().await {
            for (event, times) in missing_events(&batch.map_err(Error::from_engine)?)? {
                let hour = (event.timestamp_ms - window.start_ms) / HOUR_MS;
                *by_hour.entry(hour as usize).or_default() += times;
                for _ in 0..times {
                    writer.add(&event)?;
                }
                writer.shrink().await?;
            }
        }
        if by_hour.is_empty() {
            return Ok(false);
        }
        let keys = writer.finish().await?;
        let note = self.note(new, earlier, &by_hour);
        tracing::warn!("{note}");
        kept.add_to(store, new, &keys, note).await?;
        Ok(true)
    }

    /// Both exports as one table, whose column `log_group` tells them apart.
    fn both(
        &self,
        new: &ExportedGroup,
        earlier: &ExportedGroup,
        difference: &Difference<'_>,
    ) -> LogsTable {
        let hour = |hour: usize| self.window.range().start_ms + hour as i64 * HOUR_MS;
        let range = Range {
            start_ms: hour(difference.hours.start),
            end_ms: hour(difference.hours.end).min(self.window.range().end_ms),
        };
        let named = |objects: &[LogObject], name: &str| -> Vec<LogObject> {
            let objects = objects.iter().cloned();
            let named = objects.map(|object| LogObject {
                log_group: Some(name.to_owned()),
                ..object
            });
            named.collect()
        };
        let mut objects = named(&earlier.objects, EARLIER);
        objects.extend(named(&new.objects, "new"));
        LogsTable::new(&self.plan.source, objects, range, self.engine.pool())
    }

    fn note(
        &self,
        new: &ExportedGroup,
        earlier: &ExportedGroup,
        by_hour: &BTreeMap<usize, u64>,
    ) -> String {
        let hours: Vec<usize> = by_hour.keys().copied().collect();
        format!(
            "{} of {}: {} from the export of {}, which that of {} lacks",
            in_words(self.window, &hours),
            new.log_group.as_deref().unwrap_or_default(),
            counted(by_hour.values().sum(), "event"),
            as_of(earlier),
            as_of(new)
        )
    }
}

fn as_of(export: &ExportedGroup) -> String {
    let at = export.as_of.unwrap_or(DateTime::<Utc>::MIN_UTC);
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The hours as they are called in the window's zone: `hours 00 to 05, 07`.
fn in_words(window: &Window, hours: &[usize]) -> String {
    let name = |hour: usize| {
        let at = window.start() + TimeDelta::milliseconds(hour as i64 * HOUR_MS);
        let format = match window.size() {
            Size::Day | Size::Hour => "%H",
            Size::Week | Size::Month => "%Y-%m-%dT%H",
        };
        at.with_timezone(&window.zone()).format(format).to_string()
    };
    let spans = hours.chunk_by(|hour, next| hour + 1 == *next);
    let spans: Vec<String> = spans
        .map(|span| match span {
            [only] => name(*only),
            [first, .., last] => format!("{} to {}", name(*first), name(*last)),
            [] => String::new(),
        })
        .collect();
    let noun = if hours.len() == 1 { "hour" } else { "hours" };
    format!("{noun} {}", spans.join(", "))
}

/// The events of a batch of the comparison, and how often each is missing.
fn missing_events(batch: &RecordBatch) -> Result<Vec<(LogEvent, u64)>> {
    let text = |column: usize| {
        let text = cast(batch.column(column), &DataType::Utf8View);
        text.map_err(|error| Error::from_engine(error.into()))
    };
    let (streams, messages) = (text(0)?, text(2)?);
    let (streams, messages) = (streams.as_string_view(), messages.as_string_view());
    let times = batch.column(1).as_primitive::<TimestampMillisecondType>();
    let missing = batch.column(3).as_primitive::<Int64Type>();
    let events = (0..batch.num_rows()).map(|row| {
        let event = LogEvent {
            timestamp_ms: times.value(row),
            log_stream: streams.value(row).to_owned(),
            message: messages.value(row).to_owned(),
        };
        (event, missing.value(row).unsigned_abs())
    });
    Ok(events.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_called_as_in_the_windows_zone() {
        for (size, zone, id, hours, expected) in [
            (Size::Day, "UTC", "2026-11-20", &[0, 1, 2, 7, 9, 10][..], "hours 00 to 02, 07, 09 to 10"),
            (Size::Day, "Asia/Kolkata", "2026-11-20", &[23], "hour 23"),
            // The hour 02 comes twice.
            (Size::Day, "Europe/Berlin", "2026-10-25", &[2, 4, 24], "hours 02, 03, 23"),
            (Size::Hour, "Asia/Seoul", "2026-11-20T05", &[0], "hour 05"),
            (Size::Week, "UTC", "2026-W47", &[0, 25], "hours 2026-11-16T00, 2026-11-17T01"),
        ] {
            let window = Window::parse(size, zone.parse().unwrap(), id).unwrap();
            assert_eq!(in_words(&window, hours), expected, "{id}");
        }
    }
}
