//! `via = "events"` fetches a log group's events through the Logs API, without an export task; `via = "auto"` does so
//! where that is faster, or the only way.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use super::{CloudWatchExporter, check_prefix, joined, new_attempt};
use crate::error::{Class, Error, Result};
use crate::export::cloudwatch::empty_export::EXPORTABLE_AFTER;
use crate::export::deadline::Deadline;
use crate::export::filter_events::{EventsRequest, FetchOutcome, fetch};
use crate::export::service::{GroupClass, LogGroup, Origin};
use crate::export::{ExportRequest, ExportedGroup, Reuse};
use crate::layout;
use crate::layout::cloudwatch::LogObject;
use crate::state::{Attempt, AttemptStage};
use crate::window::Range;

/// A manifest's task id where there is no task.
pub(super) const NO_TASK: &str = "events";

/// With "auto", a window that takes more pages is left to a task. These pages take half a minute, and hold a hundred
/// megabytes at the most.
const FEW_PAGES: u32 = 100;

/// With "auto", a window that seems to have more bytes is left to a task at once.
const FEW_BYTES: f64 = 256e6;

/// How fetching a window's events ended.
enum Fetched<T> {
    Done(T),
    TooMany,
    Refused(Error),
}

impl CloudWatchExporter {
    /// Fetches all events through the Logs API.
    pub(super) async fn export_events(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        report: &(dyn Fn(&str) + Sync),
    ) -> Result<ExportedGroup> {
        if group.class != GroupClass::Standard {
            return Err(Error::usage(format!(
                "the log group {} is of the class Infrequent Access, whose events the Logs API does not return: \
                 expected [source] via = \"export-task\" or \"auto\"",
                group.name
            )));
        }
        let deadline = self.deadline(format!("the events of {}", group.name), report);
        match self.all_events(group, request, &deadline).await? {
            Fetched::Done(done) => Ok(done),
            Fetched::TooMany => Err(too_many()),
            Fetched::Refused(error) => Err(error),
        }
    }

    /// Through the Logs API, a task, or partly both: see `via` in the documents. Where the credentials lack the
    /// permission for events, a task is the only way.
    pub(super) async fn export_either_way(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        report: &(dyn Fn(&str) + Sync),
    ) -> Result<ExportedGroup> {
        if group.class != GroupClass::Standard {
            return self.export_group(group, request, report).await;
        }
        let window = request.window.range();
        let now = self.clock.now();
        let deadline = self.deadline(format!("the export of {}", group.name), report);
        let is_fresh = exportable_until(window, now) <= window.start_ms;
        let is_small = self.open_tasks(group, request, now).next().is_none()
            && seems_small(group, window, now);
        if is_fresh || is_small {
            let most_pages = (!is_fresh).then_some(FEW_PAGES);
            match self.events(group, request, most_pages, &deadline).await? {
                Fetched::Done(done) => return Ok(done),
                Fetched::TooMany => {}
                Fetched::Refused(error) => {
                    tracing::warn!(log_group = group.name, "taking an export task: {error}");
                    return self.export_group(group, request, report).await;
                }
            }
        }
        if let Some(attempt) = self.slot_in_time(group, request, &deadline, report).await? {
            return self
                .complete_fresh(group, request, attempt, &deadline)
                .await;
        }
        match self.all_events(group, request, &deadline).await? {
            Fetched::Done(done) => Ok(done),
            Fetched::TooMany => Err(too_many()),
            Fetched::Refused(error) => {
                tracing::warn!(
                    log_group = group.name,
                    "waiting for the slot again: {error}"
                );
                self.export_group(group, request, report).await
            }
        }
    }

    /// Runs a task for the window, as far as it can be exported yet. `None` where the slot was not free within half of
    /// the time: the other half is for fetching the events.
    async fn slot_in_time(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        deadline: &Deadline<'_>,
        report: &(dyn Fn(&str) + Sync),
    ) -> Result<Option<Attempt>> {
        let window = request.window.range();
        // An open attempt of an earlier run may have been requested too early for some events: they are fetched.
        let needed = Range {
            end_ms: window.start_ms,
            ..window
        };
        let _own = self.slot.queue(report).await;
        // What was waited for is another source of this job, and not CloudWatch Logs.
        deadline.progress();
        let what = format!("the export of {}", group.name);
        let half = Deadline::new(self.clock.as_ref(), what, &self.slot_patience, report);
        let began = self.clock.now();
        let late = match self.run_task(group, request, needed, began, &half).await {
            Err(error) if error.class() == Class::ExportLate => error,
            other => {
                deadline.progress();
                return other.map(Some);
            }
        };
        let mut open = self.open_tasks(group, request, began);
        if open.any(|attempt| attempt.stage == AttemptStage::Asked) {
            let attempt = self
                .run_task(group, request, needed, began, deadline)
                .await?;
            return Ok(Some(attempt));
        }
        tracing::info!(log_group = group.name, %late, "fetching events instead");
        Ok(None)
    }

    /// The attempts, of this run since `began` or an earlier one that it continues, whose task is under way, or may be.
    fn open_tasks(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        began: DateTime<Utc>,
    ) -> impl Iterator<Item = Attempt> {
        let reuse = request.reuse;
        let attempts = request.journal.attempts(&group.name).into_iter();
        attempts.filter(move |attempt| {
            let is_open = match attempt.stage {
                AttemptStage::Intended => true,
                AttemptStage::Asked => attempt.task_id.is_some(),
                AttemptStage::Complete | AttemptStage::Abandoned => false,
            };
            is_open && reuse.takes(attempt, began)
        })
    }

    /// Completes an attempt whose task has ended, with the events that were too fresh to be exported. Each event is
    /// taken from one of the two, by its own time.
    async fn complete_fresh(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        attempt: Attempt,
        deadline: &Deadline<'_>,
    ) -> Result<ExportedGroup> {
        let window = request.window.range();
        let pad_ms = i64::try_from(self.settings.pad_after.as_millis()).unwrap_or(i64::MAX);
        let asked_until = attempt.range.end_ms.saturating_sub(pad_ms);
        let exportable = exportable_until(window, attempt.asked_at);
        if exportable >= window.end_ms && attempt.range.end_ms >= window.end_ms {
            let done = self.complete(group, request, attempt, None, deadline);
            return done.await;
        }
        let cut_ms = exportable.min(asked_until).max(window.start_ms);
        let fresh = Range {
            start_ms: cut_ms,
            ..window
        };
        let exported = Range {
            end_ms: cut_ms,
            ..attempt.range
        };
        let prefix = layout::join(self.staging.root(), &attempt.prefix);
        let events = EventsRequest {
            log_group: &group.name,
            log_stream_prefix: attempt.log_stream_prefix.as_deref(),
            range: fresh,
            attempt: &prefix,
            most_pages: None,
        };
        let fetched = match self.fetch(&events, deadline).await? {
            Fetched::Done(objects) => objects,
            Fetched::TooMany => return Err(too_many()),
            Fetched::Refused(error) => {
                let note = fresh_may_be_missing(&group.name, cut_ms, &error);
                let done = self.complete(group, request, attempt, Some(note), deadline);
                return done.await;
            }
        };
        let written = self.task_objects(group, request, &attempt, deadline);
        let (written, unread) = written.await?;
        let written = written.into_iter();
        let mut objects: Vec<LogObject> = written.map(|object| cut(object, exported)).collect();
        let has_none = objects.is_empty() && unread.is_none();
        let is_empty = has_none && cut_ms > window.start_ms;
        let note = self
            .check_completeness(group, request, &attempt, is_empty, deadline)
            .await?;
        let note = joined([note, unread, None]);
        objects.extend(fetched.into_iter().map(|object| cut(object, fresh)));
        objects.sort_by(LogObject::cmp_key);
        let range = Range {
            end_ms: window.end_ms,
            ..attempt.range
        };
        self.complete_with(request, attempt, range, objects, note)
            .await
    }

    async fn all_events(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        deadline: &Deadline<'_>,
    ) -> Result<Fetched<ExportedGroup>> {
        self.events(group, request, None, deadline).await
    }

    /// Fetches the window's events, at most `most_pages` of them. There is no padding, since the Logs API goes by the
    /// events' own times.
    async fn events(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        most_pages: Option<u32>,
        deadline: &Deadline<'_>,
    ) -> Result<Fetched<ExportedGroup>> {
        check_prefix(group, request)?;
        let mut attempt = self.events_attempt(group, request).await?;
        let prefix = layout::join(self.staging.root(), &attempt.prefix);
        let events = EventsRequest {
            log_group: &group.name,
            log_stream_prefix: attempt.log_stream_prefix.as_deref(),
            range: attempt.range,
            attempt: &prefix,
            most_pages,
        };
        match self.fetch(&events, deadline).await? {
            Fetched::Done(objects) => {
                let is_empty = objects.is_empty();
                let note = self
                    .check_completeness(group, request, &attempt, is_empty, deadline)
                    .await?;
                let range = attempt.range;
                let done = self.complete_with(request, attempt, range, objects, note);
                done.await.map(Fetched::Done)
            }
            Fetched::TooMany => {
                attempt.stage = AttemptStage::Abandoned;
                request.journal.note(attempt);
                Ok(Fetched::TooMany)
            }
            Fetched::Refused(error) => {
                attempt.stage = AttemptStage::Abandoned;
                request.journal.note(attempt);
                Ok(Fetched::Refused(error))
            }
        }
    }

    async fn fetch(
        &self,
        request: &EventsRequest<'_>,
        deadline: &Deadline<'_>,
    ) -> Result<Fetched<Vec<LogObject>>> {
        let service = self.service.as_ref();
        let clock = self.clock.as_ref();
        Ok(
            match fetch(service, &self.staging, clock, deadline, request).await? {
                FetchOutcome::All(objects) => Fetched::Done(objects),
                FetchOutcome::TooMany => Fetched::TooMany,
                FetchOutcome::Refused(error) => Fetched::Refused(error),
            },
        )
    }

    /// The open attempt of an earlier run, or a new one, recorded before anything is fetched. When events must be
    /// fetched anew, only an attempt younger than `give_up_after` is continued.
    async fn events_attempt(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
    ) -> Result<Attempt> {
        let now = self.clock.now();
        let give_up = TimeDelta::from_std(self.settings.give_up_after).unwrap_or(TimeDelta::MAX);
        let just_now = now.checked_sub_signed(give_up);
        let began = match request.reuse {
            Reuse::Nothing => just_now.unwrap_or(DateTime::<Utc>::MIN_UTC),
            Reuse::Since(_) | Reuse::OfRun(_) => now,
        };
        let window = request.window.range();
        let new = Attempt {
            prefix: request.keys.relative(&new_attempt(group, request)),
            staging: None,
            log_group: group.name.clone(),
            log_stream_prefix: self.settings.log_stream_prefix.clone(),
            range: Range {
                start_ms: window.start_ms.max(0),
                ..window
            },
            asked_at: now,
            origin: group.origin.clone(),
            of_run: None,
            task_id: None,
            stage: AttemptStage::Asked,
        };
        let open = request
            .journal
            .attempts(&group.name)
            .into_iter()
            .rfind(|open| {
                open.stage == AttemptStage::Asked
                    && open.task_id.is_none()
                    && open.range == new.range
                    && open.log_stream_prefix == new.log_stream_prefix
                    && Origin::may_be_same(open.origin.as_ref(), new.origin.as_ref())
                    && request.reuse.takes(open, began)
            });
        if let Some(open) = open {
            return Ok(open);
        }
        request.journal.record(new.clone()).await?;
        Ok(new)
    }
}

/// The end of the times of the window that a task requested at `asked_at` surely covers, in milliseconds since 1970.
fn exportable_until(window: Range, asked_at: DateTime<Utc>) -> i64 {
    let exportable = (asked_at - EXPORTABLE_AFTER).timestamp_millis();
    exportable.min(window.end_ms)
}

/// Whether the window's events may fit the pages of an attempt: the group's bytes, spread evenly over the time that it
/// has kept events.
fn seems_small(group: &LogGroup, window: Range, now: DateTime<Utc>) -> bool {
    let day_ms = TimeDelta::days(1).num_milliseconds();
    let now_ms = now.timestamp_millis();
    let deleted_until_ms = group
        .retention_days
        .map_or(0, |days| now_ms - i64::from(days) * day_ms);
    let window_ms = window.end_ms - window.start_ms;
    let kept_ms = (now_ms - group.created_ms.max(deleted_until_ms)).max(window_ms);
    group.stored_bytes as f64 * window_ms as f64 / kept_ms as f64 <= FEW_BYTES
}

/// A note about the events from `from_ms` on, which no task can export yet.
fn fresh_may_be_missing(log_group: &str, from_ms: i64, error: &Error) -> String {
    let from = DateTime::from_timestamp_millis(from_ms).unwrap_or_default();
    let from = from.to_rfc3339_opts(SecondsFormat::Secs, true);
    let note = format!("events of {log_group} from {from} on may be missing: {error}");
    tracing::warn!("{note}");
    note
}

fn cut(object: LogObject, range: Range) -> LogObject {
    LogObject {
        range: Some(range),
        ..object
    }
}

fn too_many() -> Error {
    Error::new(
        Class::Unexpected,
        "the pages of events were limited although all were requested",
    )
}

#[cfg(test)]
mod tests;
