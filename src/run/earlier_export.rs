//! What the exports of the last receipt have and new ones lack, by log group and hour: an answer never shrinks by itself.
//!
//! What is missing is copied from the earlier exports ([`missing`]). Where these are gone, the answers stay.

mod missing;

use std::collections::BTreeMap;

use chrono::TimeDelta;

use self::missing::EarlierExports;
use super::Force;
use super::compute::{Computed, WindowRun};
use crate::chart::build::ChartData;
use crate::error::{Class, Error, Remedy, Result};
use crate::export::Exported;
use crate::job::Source;
use crate::receipt::{ExportReport, Receipt};
use crate::scan::Hours;
use crate::scan::tally::HOUR_MS;
use crate::window::{Range, Size, Window};

/// How new exports compare with those of the last receipt.
pub(super) enum Comparison {
    /// They have all of its events.
    NothingLost,
    /// They have all of its events now: those that they lacked were added.
    Kept,
    /// They lack events, and the exports that had these are gone.
    Lost(Error),
}

impl WindowRun<'_> {
    /// The receipt of the last run of the window, if it is of the same events and this run is not forced.
    pub(super) fn last_of_same_source(&self) -> Option<&Receipt> {
        let is_same_source = |last: &&Receipt| {
            last.source_sha256 == self.plan.source_sha256 && self.plan.sources.may_be_of(last)
        };
        let last = self.window.last.as_ref().filter(is_same_source);
        last.filter(|_| self.plan.force == Force::No)
    }

    /// Compares the new exports with those of the last receipt, by log group and hour, and copies the events that they
    /// lack from the earlier exports. Nothing is copied where some of these are gone or damaged.
    pub(super) async fn keep_events(
        &self,
        last: &Receipt,
        exported: &mut [Exported],
        computed: &Computed<'_>,
    ) -> Result<Comparison> {
        let differences = self.differences(last, computed);
        let (engine, window) = (&self.environment.engine, &self.window.window);
        let mut earlier = EarlierExports::find(self.plan, engine, window, &differences).await?;
        let mut is_changed = false;
        if earlier.has_lost(&differences) {
            is_changed = earlier.restore(exported, &differences).await?;
        }
        match self.lost_events(last, computed) {
            Some(error) if !is_changed || !earlier.has_lost(&differences) => {
                Ok(Comparison::Lost(error))
            }
            _ if is_changed => Ok(Comparison::Kept),
            _ => Ok(Comparison::NothingLost),
        }
    }

    fn differences<'r>(&self, last: &'r Receipt, computed: &Computed<'_>) -> Vec<Difference<'r>> {
        let range = self.window.window.range();
        let Computed { tallies, read, .. } = computed;
        differences(last, tallies, range, read.events)
    }

    /// An error if an hour of a log group has fewer events than in the last run: this export must not replace the answer.
    pub(super) fn lost_events(&self, last: &Receipt, computed: &Computed<'_>) -> Option<Error> {
        let (window, events) = (&self.window.window, computed.read.events);
        let differences = self.differences(last, computed);
        let lost = differences.iter().find(|difference| difference.is_loss())?;
        let what = match events < last.read.events {
            true => format!(
                "the events of window {window} went from {} in the last run to {events}",
                last.read.events
            ),
            false => format!(
                "in window {window}, the events of {}",
                lost.describe(window)
            ),
        };
        let message = format!(
            "{what}: its answers stay as they are, since retention may have deleted events. --force replaces them"
        );
        Some(Error::new(Class::Source, message).unless(Remedy::Force))
    }

    /// Whether the last run's answers are as good as they can get: exported after the window's end, of this job's
    /// questions, and of a source that does not give back what it has lost.
    fn stands(&self, last: &Receipt) -> bool {
        let mut sources = self.plan.job.sources.iter();
        sources.all(|source| matches!(source.logs, Source::CloudWatch(_)))
            && last.job_sha256 == self.plan.job_sha256
            && last
                .as_of
                .is_some_and(|as_of| self.window.window.end() <= as_of)
    }

    /// Keeps the answers of a window that was exported again and has fewer events than before, where that can't be
    /// helped: they settle, and exports that a difference to the independent count asked for are counted, so that they
    /// end. Else an error.
    pub(super) async fn keep_previous(
        &self,
        last: &Receipt,
        why: Error,
    ) -> Result<(Receipt, Vec<ChartData>)> {
        if self.window.reexports == 0 && !self.stands(last) {
            return Err(why);
        }
        tracing::warn!(window = self.window.report.id, "{why}");
        let mut receipt = Receipt {
            started_at: self.started_at,
            finished_at: self.environment.clock.now(),
            reexports: self.window.reexports,
            ..last.clone()
        };
        if self.stands(last) {
            receipt.window.provisional = self.window.report.provisional;
        }
        let note = why.to_string();
        if !receipt.notes.contains(&note) {
            receipt.notes.push(note);
        }
        self.publisher.receipt(self.held, &receipt).await?;
        Ok((receipt, Vec::new()))
    }
}

/// The events of a new export that are not those of the last receipt.
#[derive(Debug)]
struct Difference<'a> {
    /// The place of its source in the job.
    source: usize,
    /// The export in the last receipt.
    before: &'a ExportReport,
    /// From the first hour with events that differs to behind the last one, counted from the window's start.
    hours: std::ops::Range<usize>,
    /// How many events the new export has in these hours.
    events_now: u64,
    /// The hours with fewer events than before.
    lost: Vec<usize>,
    /// How many events these had, and have now.
    fewer: (u64, u64),
}

impl<'a> Difference<'a> {
    /// The place of its source, and the prefix of the earlier export.
    fn key(&self) -> (usize, &'a str) {
        (self.source, self.before.prefix.as_str())
    }

    /// Whether an hour has fewer events than before.
    fn is_loss(&self) -> bool {
        !self.lost.is_empty()
    }

    fn log_group(&self) -> Option<&str> {
        self.before.log_group.as_deref()
    }

    /// The times of its hours.
    fn range(&self, window: Range) -> Range {
        let hour = |hour: usize| window.start_ms + hour as i64 * HOUR_MS;
        Range {
            start_ms: hour(self.hours.start),
            end_ms: hour(self.hours.end).min(window.end_ms),
        }
    }

    /// What became fewer, in words.
    fn describe(&self, window: &Window) -> String {
        let (before, now) = self.fewer;
        let of = self
            .log_group()
            .map_or(String::new(), |group| format!(" of {group}"));
        let hours = in_words(window, &self.lost);
        format!("{hours}{of} went from {before} in the last run to {now}")
    }
}

/// Where the last receipt has events that the new exports lack or may lack. Receipts of earlier versions do not have the
/// hours: where all events together are fewer, each group may be concerned.
fn differences<'a>(
    last: &'a Receipt,
    tallies: &[BTreeMap<Option<String>, Hours>],
    window: Range,
    events: u64,
) -> Vec<Difference<'a>> {
    let none = Hours::none(window);
    let number = none.iter().count();
    let mut differences = Vec::new();
    for before in &last.exports {
        // A job of one source has no numbers.
        let source = before.source.map_or(0, |number| number.saturating_sub(1));
        let tally = tallies.get(source);
        let now = tally.and_then(|tally| tally.get(&before.log_group));
        let now = now.unwrap_or(&none);
        let Some(hours) = &before.hours else {
            if events < last.read.events {
                differences.push(Difference {
                    source,
                    before,
                    hours: 0..number,
                    events_now: now.events(),
                    lost: (0..number).collect(),
                    fewer: (last.read.events, events),
                });
            }
            continue;
        };
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
            source,
            before,
            events_now: events_in(now, &hours),
            hours,
            lost,
            fewer,
        }));
    }
    differences
}

fn events_in(tally: &Hours, hours: &std::ops::Range<usize>) -> u64 {
    let counts = tally.iter().map(|hour| hour.events);
    counts.skip(hours.start).take(hours.len()).sum()
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn receipt(exports: &[(&str, Option<&str>)], events: u64) -> Receipt {
        let exports = exports.iter().map(|(group, hours)| {
            let mut export = json!({
                "log_group": group, "task_id": null, "prefix": group, "reused": false, "objects": 1, "bytes": 1,
            });
            if let Some(hours) = hours {
                export["hours"] = json!(hours);
            }
            export
        });
        let day = "2026-11-20T00:00:00Z";
        let receipt = json!({
            "status": "done",
            "job": "night",
            "window": {
                "id": "2026-11-20", "timezone": "UTC", "start": day, "end": day, "start_local": "", "end_local": "",
                "provisional": false,
            },
            "started_at": day,
            "finished_at": day,
            "as_of": day,
            "exports": exports.collect::<Vec<_>>(),
            "skipped_log_groups": [],
            "read": {
                "objects": 1, "bytes": 1, "events": events, "invalid_utf8_events": 0,
                "lines_before_first_timestamp": 0,
            },
            "outputs": [],
            "seconds": {},
            "job_sha256": "",
            "source_sha256": "",
            "version": "",
        });
        serde_json::from_value(receipt).unwrap()
    }

    #[test]
    fn hours_that_are_equal_do_not_differ() {
        let window = Range {
            start_ms: 0,
            end_ms: 4 * HOUR_MS,
        };
        let last = receipt(&[("/a", Some("5-0000000a 0 7-0000000b 3-00000001"))], 15);
        // The hours that are compared, and those with fewer events.
        for (now, expected) in [
            ("5-0000000a 0 7-0000000b 3-00000001", None),
            // An hour that had no events can't have lost any.
            ("5-0000000a 9-00000001 7-0000000b 3-00000001", None),
            ("5-0000000a 0 8-0000000b 3-00000001", Some((2..3, vec![]))),
            ("5-0000000a 0 7-0000000c 3-00000001", Some((2..3, vec![]))),
            ("6-0000000a 0 7-0000000b 2-00000001", Some((0..4, vec![3]))),
            ("0*4", Some((0..4, vec![0, 2, 3]))),
        ] {
            let hours: Hours = now.parse().unwrap();
            let events = hours.events();
            let tallies = [BTreeMap::from([(Some("/a".to_owned()), hours)])];
            let found = differences(&last, &tallies, window, events);
            let found = found
                .first()
                .map(|found| (found.hours.clone(), found.lost.clone()));
            assert_eq!(found, expected, "{now}");
        }
        // A group without objects has no tally.
        let found = differences(&last, &[], window, 0);
        assert_eq!((found[0].fewer, found[0].events_now), ((15, 0), 0));
        // Without hours, all may differ where there are fewer events in all.
        let old = receipt(&[("/a", None), ("/b", None)], 15);
        for (events, expected) in [(14, 2), (15, 0), (16, 0)] {
            let found = differences(&old, &[], window, events);
            assert_eq!(found.len(), expected, "{events} events");
        }
    }

    #[test]
    fn hours_are_called_as_in_the_windows_zone() {
        for (size, zone, id, hours, expected) in [
            (
                Size::Day,
                "UTC",
                "2026-11-20",
                &[0, 1, 2, 7, 9, 10][..],
                "hours 00 to 02, 07, 09 to 10",
            ),
            (Size::Day, "Asia/Kolkata", "2026-11-20", &[23], "hour 23"),
            // The hour 02 comes twice.
            (
                Size::Day,
                "Europe/Berlin",
                "2026-10-25",
                &[2, 4, 24],
                "hours 02, 03, 23",
            ),
            (Size::Hour, "Asia/Seoul", "2026-11-20T05", &[0], "hour 05"),
            (
                Size::Week,
                "UTC",
                "2026-W47",
                &[0, 25],
                "hours 2026-11-16T00, 2026-11-17T01",
            ),
        ] {
            let window = Window::parse(size, zone.parse().unwrap(), id).unwrap();
            assert_eq!(in_words(&window, hours), expected, "{id}");
        }
    }
}
