//! Whether an attempt can have all events of the window: an export without events may be wrong, and retention deletes
//! events that were not exported in time.

use std::ops::ControlFlow;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use super::CloudWatchExporter;
use crate::error::{Class, Error, Remedy, Result};
use crate::export::ExportRequest;
use crate::export::cloudwatch::empty_export::{Inspection, Verdict};
use crate::export::deadline::Deadline;
use crate::export::service::LogGroup;
use crate::state::{Attempt, AttemptStage};
use crate::window::Range;

/// The most streams to inspect after an export without events. A page has 50; 25 pages a second are allowed.
const MOST_STREAMS: usize = 5000;

impl CloudWatchExporter {
    /// Checks an attempt whose objects are all there for missing events, and returns a note for the receipt. An error
    /// (source), with the attempt abandoned, where it is empty and surely should not be, unless the request takes empty
    /// exports.
    pub(super) async fn check_completeness(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        attempt: &Attempt,
        is_empty: bool,
        deadline: &Deadline<'_>,
    ) -> Result<Option<String>> {
        if is_empty && let Err(error) = self.check_empty(group, request, attempt, deadline).await {
            let error = error.unless(Remedy::ForceExport);
            if request.takes_empty {
                tracing::warn!("{error}. It is taken nevertheless, because of --force=export");
                return Ok(Some(error.to_string()));
            }
            let stage = AttemptStage::Abandoned;
            let attempt = attempt.clone();
            request.journal.note(Attempt { stage, ..attempt });
            return Err(error);
        }
        let note = deleted_until(group, attempt.asked_at)
            .filter(|until| *until > request.window.start())
            .map(|until| {
                format!(
                    "events of {} from before {} may be missing: {}",
                    group.name,
                    until.to_rfc3339_opts(SecondsFormat::Secs, true),
                    retention(group)
                )
            });
        if let Some(note) = &note {
            tracing::warn!("{note}");
        }
        Ok(note)
    }

    /// Checks whether an export without events can be right. An error (source) where it surely is not.
    async fn check_empty(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        attempt: &Attempt,
        deadline: &Deadline<'_>,
    ) -> Result<()> {
        let window = request.window.range();
        let empty = match &attempt.task_id {
            Some(id) => format!("the export of {} (task {id}) has no events", group.name),
            None => format!("the Logs API returned no events of {}", group.name),
        };
        let deleted_until = deleted_until(group, attempt.asked_at);
        let is_deleted = deleted_until.is_some_and(|until| request.window.end() <= until);
        if is_deleted && group.created_ms < window.end_ms {
            return Err(Error::new(
                Class::Source,
                format!(
                    "{empty}, and those of window {} are deleted: {}. --force=export takes it as it is",
                    request.window,
                    retention(group)
                ),
            ));
        }
        let prefix = self.settings.log_stream_prefix.as_deref();
        // That events are gone which retention may have deleted is no proof, and a note says so.
        let kept = Range {
            start_ms: deleted_until.map_or(window.start_ms, |until| {
                until.timestamp_millis().max(window.start_ms)
            }),
            ..window
        };
        let mut inspection = Inspection::new(kept, attempt.asked_at, prefix);
        let mut inspected = 0;
        let mut is_decided = false;
        let listed = deadline
            .pages(
                |page| self.service.streams(&group.name, page),
                |streams| {
                    inspected += streams.len();
                    is_decided = streams.into_iter().any(|stream| inspection.add(stream));
                    match is_decided || inspected >= MOST_STREAMS {
                        true => ControlFlow::Break(()),
                        false => ControlFlow::Continue(()),
                    }
                },
            )
            .await;
        let complete = match listed {
            Ok(Ok(())) => is_decided || inspected < MOST_STREAMS,
            // The export itself has succeeded: that its streams can't be listed does not fail it.
            Ok(Err(error)) => {
                tracing::warn!(
                    log_group = group.name,
                    error = error.message,
                    "can't list the streams of a group whose export has no events"
                );
                false
            }
            Err(late) => {
                tracing::warn!(log_group = group.name, error = %late, "can't list the streams of a group whose export has no events");
                false
            }
        };
        let zone = request.window.zone();
        match inspection.verdict(complete) {
            Verdict::Wrong { stream, event_ms } => {
                let at = DateTime::from_timestamp_millis(event_ms)
                    .map(|at| at.with_timezone(&zone).to_rfc3339())
                    .unwrap_or_default();
                Err(Error::new(
                    Class::Source,
                    format!(
                        "{empty}, but its stream {stream} had one at {at}, in window {}: has the group's retention deleted them, \
                         or is [source] log_stream_prefix or the job's timezone ({zone}) not the one meant? The group holds {} \
                         bytes. --force=export takes it as it is",
                        request.window, group.stored_bytes
                    ),
                ))
            }
            Verdict::NoSuchPrefix { stream } if self.is_named(group) => Err(Error::new(
                Class::Source,
                format!(
                    "{empty}: none of its streams begins with {:?} ([source] log_stream_prefix), while {stream} had events in \
                     window {}. --force=export takes it as it is",
                    prefix.unwrap_or_default(),
                    request.window
                ),
            )),
            Verdict::NoSuchPrefix { stream } => {
                tracing::warn!(
                    log_group = group.name,
                    log_stream_prefix = prefix,
                    stream,
                    "no stream has the prefix, while others had events"
                );
                Ok(())
            }
            Verdict::Doubtful { stream } => {
                tracing::warn!(
                    log_group = group.name,
                    stream,
                    "the export has no events, but a stream may have had some then: retention may have deleted them, or they are too fresh to be exported"
                );
                Ok(())
            }
            Verdict::Plausible => {
                tracing::info!(log_group = group.name, "the export has no events");
                Ok(())
            }
        }
    }
}

/// Events of the group from before this instant are deleted, or may be at any moment; `None` where the group keeps all events.
pub(super) fn deleted_until(group: &LogGroup, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let kept_for = TimeDelta::days(group.retention_days?.into());
    now.checked_sub_signed(kept_for)
}

pub(super) fn retention(group: &LogGroup) -> String {
    match group.retention_days.unwrap_or_default() {
        1 => "the log group keeps its events for a day".to_owned(),
        days => format!("the log group keeps its events for {days} days"),
    }
}
