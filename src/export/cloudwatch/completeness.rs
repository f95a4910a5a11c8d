//! Whether what an attempt has can be all events of the window: an export without events may be a wrong one, and
//! retention deletes events that nobody exported in time.

use std::ops::ControlFlow;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use super::CloudWatchExporter;
use crate::error::{Class, Error, Result};
use crate::export::ExportRequest;
use crate::export::cloudwatch::empty_export::{Inspection, Verdict};
use crate::export::deadline::Patience;
use crate::export::service::LogGroup;
use crate::state::{Attempt, AttemptStage};

/// So many streams are looked at behind an export without events. A page has 50, and 25 may be asked for in a second.
const MOST_STREAMS: usize = 5000;

impl CloudWatchExporter {
    /// Looks at an attempt whose objects are all there, and answers what is to be said of it in the receipt. An error
    /// (source), with the attempt given up, where it is empty and surely should not be, unless the request takes it all
    /// the same.
    pub(super) async fn doubt(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        attempt: &Attempt,
        is_empty: bool,
        patience: &Patience<'_>,
    ) -> Result<Option<String>> {
        if is_empty && let Err(error) = self.explain_empty(group, request, attempt, patience).await
        {
            if request.takes_empty {
                tracing::warn!("{error}. It is taken all the same, since it was forced");
                return Ok(Some(error.to_string()));
            }
            let stage = AttemptStage::Abandoned;
            let attempt = attempt.clone();
            request.journal.record(Attempt { stage, ..attempt }).await?;
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

    /// Finds out whether an export can be right that has no events. An error (source) where it surely is not.
    async fn explain_empty(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        attempt: &Attempt,
        patience: &Patience<'_>,
    ) -> Result<()> {
        let window = request.window.range();
        let empty = match &attempt.task_id {
            Some(id) => format!("the export of {} (task {id}) has no events", group.name),
            None => format!("the Logs API gave no events of {}", group.name),
        };
        let is_deleted = deleted_until(group, attempt.asked_at)
            .is_some_and(|until| request.window.end() <= until);
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
        let mut inspection = Inspection::new(window, attempt.asked_at, prefix);
        let mut looked_at = 0;
        let mut stopped = false;
        let listed = patience
            .pages(
                |page| self.service.streams(&group.name, page),
                |streams| {
                    looked_at += streams.len();
                    stopped = streams.into_iter().any(|stream| inspection.look(stream));
                    match stopped || looked_at >= MOST_STREAMS {
                        true => ControlFlow::Break(()),
                        false => ControlFlow::Continue(()),
                    }
                },
            )
            .await;
        let complete = match listed {
            Ok(Ok(())) => stopped || looked_at < MOST_STREAMS,
            // The export is there: that nobody can look behind it is no reason to fail.
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

/// Events from before this instant are deleted, or may be at any moment; `None` where the group keeps all.
fn deleted_until(group: &LogGroup, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let kept_for = TimeDelta::days(group.retention_days?.into());
    now.checked_sub_signed(kept_for)
}

fn retention(group: &LogGroup) -> String {
    match group.retention_days.unwrap_or_default() {
        1 => "the log group keeps its events for a day".to_owned(),
        days => format!("the log group keeps its events for {days} days"),
    }
}
