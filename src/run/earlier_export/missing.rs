//! Copies what a new export of a log group lacks from the earlier one, event by event.
//!
//! An event in CloudWatch never changes, so that the union of two exports is what the service ever had: each event as
//! often as in the export that has it more often.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use arrow::array::{AsArray, RecordBatch, StringViewArray, TimestampMillisecondArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use chrono::{DateTime, SecondsFormat, Utc};
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;

use super::{Difference, in_words};
use crate::aws::logs::LogEvent;
use crate::error::{Class, Error, Result};
use crate::export::kept::KeptEvents;
use crate::export::{Exported, ExportedGroup, staging};
use crate::job::Source;
use crate::numbers::counted;
use crate::query::Engine;
use crate::receipt::ExportReport;
use crate::run::Plan;
use crate::scan::LogsTable;
use crate::scan::tally::HOUR_MS;
use crate::store::Store;
use crate::window::{Range, Window};

/// The most events of a new export whose hashes are in memory, in 80 MB. Of more, several parts are compared one after the
/// other, each of some hashes. No query runs meanwhile. Tests have few events.
const MOST_EVENTS: u64 = if cfg!(test) { 30 } else { 3_500_000 };

/// The earlier exports that have events which differ, as far as they are still there.
pub(super) struct EarlierExports<'a> {
    plan: &'a Plan<'a>,
    engine: &'a Engine,
    window: &'a Window,
    /// By the places of their sources and their prefixes in the last receipt.
    found: HashMap<(usize, &'a str), ExportedGroup>,
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
        for (place, source) in plan.sources.iter().enumerate() {
            let own = differences.iter().filter(|one| one.source == place);
            let own: Vec<&ExportReport> = own.map(|difference| difference.before).collect();
            if !matches!(source.source.logs, Source::CloudWatch(_)) || own.is_empty() {
                continue;
            }
            let (store, keys) = (&source.store, &source.keys);
            let at = |prefix: &str| own.iter().copied().find(|before| before.is_at(prefix));
            let wanted = |prefix: &str| at(prefix).is_some();
            for export in staging::exports_at(store, keys, &window.id(), wanted).await? {
                if let Some(before) = at(&keys.relative(&export.prefix)) {
                    let prefix = before.prefix.as_str();
                    earlier.found.insert((place, prefix), export);
                }
            }
        }
        Ok(earlier)
    }

    /// Whether each export that has events which were lost is there and can be read.
    pub(super) fn has_lost(&self, differences: &[Difference<'a>]) -> bool {
        let mut losses = differences.iter().filter(|difference| difference.is_loss());
        losses.all(|loss| self.found.contains_key(&loss.key()))
    }

    /// Copies what the new exports lack to them. True if there was anything. An earlier export that turns out to be
    /// damaged is there no more: the new one is whole without it.
    pub(super) async fn restore(
        &mut self,
        exported: &mut [Exported],
        differences: &[Difference<'a>],
    ) -> Result<bool> {
        let mut is_changed = false;
        for difference in differences {
            let Some(earlier) = self.found.get(&difference.key()) else {
                continue;
            };
            let Some(exported) = exported.get_mut(difference.source) else {
                continue;
            };
            let mut groups = exported.groups.iter_mut();
            match groups.find(|group| group.log_group == earlier.log_group) {
                Some(new) if new.prefix == earlier.prefix => {}
                Some(new) => match self.add_missing(new, earlier, difference).await {
                    Ok(has_added) => is_changed |= has_added,
                    Err(error) if error.class() == Class::Damaged => {
                        tracing::warn!(
                            log_group = difference.log_group(),
                            %error,
                            "the earlier export can't be compared with the new one"
                        );
                        self.found.remove(&difference.key());
                    }
                    Err(error) => return Err(error),
                },
                None => {
                    let mut earlier = earlier.clone();
                    let (group, as_of) =
                        (difference.log_group().unwrap_or_default(), as_of(&earlier));
                    earlier.notes.push(format!(
                        "the events of {group} are from the export of {as_of}: the log group was not exported again"
                    ));
                    earlier.outlives = true;
                    exported.groups.push(earlier);
                    is_changed = true;
                }
            }
        }
        for exported in exported {
            exported
                .groups
                .sort_by(|a, b| a.log_group.cmp(&b.log_group));
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
        let store = self.store(difference)?;
        let window = self.window.range();
        let range = difference.range(window);
        let kept = KeptEvents::new(new);
        let mut writer = kept.writer(store);
        let mut by_hour: BTreeMap<usize, u64> = BTreeMap::new();
        let parts = difference.events_now.div_ceil(MOST_EVENTS).max(1);
        for part in 0..parts {
            let mut there = HashMap::new();
            let mut events = self.events(store, new, range).await?;
            while let Some(batch) = events.next().await? {
                let hashes = batch.events().map(|event| event.hash());
                for hash in hashes.filter(|hash| hash % parts == part) {
                    *there.entry(hash).or_insert(0u32) += 1;
                }
            }
            let mut events = self.events(store, earlier, range).await?;
            while let Some(batch) = events.next().await? {
                for event in batch.events() {
                    let hash = event.hash();
                    match there.get_mut(&hash) {
                        _ if hash % parts != part => {}
                        Some(times) if *times > 0 => *times -= 1,
                        _ => {
                            writer.add(&event.to_log_event())?;
                            let hour = (event.timestamp_ms - window.start_ms) / HOUR_MS;
                            *by_hour.entry(hour as usize).or_default() += 1;
                        }
                    }
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

    /// Where the exports of a source are.
    fn store(&self, difference: &Difference<'_>) -> Result<&Store> {
        let source = self.plan.sources.at(difference.source);
        let source = source.ok_or_else(|| {
            let what = "a receipt has an export of a source that the job does not have";
            Error::new(Class::Unexpected, what)
        })?;
        Ok(&source.store)
    }

    /// Reads the events of an export.
    async fn events(&self, store: &Store, export: &ExportedGroup, range: Range) -> Result<Events> {
        let logs = LogsTable::new(store, export.objects.clone(), range, self.engine.pool());
        let session = self.engine.session(self.plan.job.timezone)?;
        let session = session.with_logs(logs, Some(store))?;
        let sql = "SELECT log_stream, timestamp, message FROM logs";
        let statement = session.statement(sql, "the events of an export").await?;
        let batches = session.run(&statement).await?.batches;
        Ok(Events { batches })
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

/// The events of an export, batch by batch.
struct Events {
    batches: SendableRecordBatchStream,
}

impl Events {
    async fn next(&mut self) -> Result<Option<EventBatch>> {
        let batch = self.batches.next().await.transpose();
        let batch = batch.map_err(Error::from_engine)?;
        batch.as_ref().map(EventBatch::of).transpose()
    }
}

struct EventBatch {
    streams: StringViewArray,
    times: TimestampMillisecondArray,
    messages: StringViewArray,
}

/// An event, which is another one where its stream, time or message differs.
#[derive(Hash)]
struct Event<'a> {
    log_stream: &'a str,
    timestamp_ms: i64,
    message: &'a str,
}

impl EventBatch {
    fn of(batch: &RecordBatch) -> Result<Self> {
        let text = |column: usize| {
            let text = cast(batch.column(column), &DataType::Utf8View);
            let text = text.map_err(|error| Error::from_engine(error.into()))?;
            Ok::<_, Error>(text.as_string_view().clone())
        };
        Ok(Self {
            streams: text(0)?,
            times: batch.column(1).as_primitive().clone(),
            messages: text(2)?,
        })
    }

    fn events(&self) -> impl Iterator<Item = Event<'_>> {
        (0..self.times.len()).map(|row| Event {
            log_stream: self.streams.value(row),
            timestamp_ms: self.times.value(row),
            message: self.messages.value(row),
        })
    }
}

impl Event<'_> {
    fn hash(&self) -> u64 {
        BuildHasherDefault::<DefaultHasher>::default().hash_one(self)
    }

    fn to_log_event(&self) -> LogEvent {
        LogEvent {
            id: String::new(),
            timestamp_ms: self.timestamp_ms,
            log_stream: self.log_stream.to_owned(),
            message: self.message.to_owned(),
        }
    }
}
