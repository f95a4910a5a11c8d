//! When the export of an earlier run stands although a newer one was asked for: where a new one can't have more events,
//! since retention has deleted them or the log group is gone.

use chrono::{DateTime, SecondsFormat, Utc};

use super::completeness::{deleted_until, retention};
use super::{CloudWatchExporter, OLDEST_EVENT_MS};
use crate::error::{Error, Remedy, Result};
use crate::export::service::LogGroup;
use crate::export::{ExportRequest, ExportedGroup};
use crate::job::Via;
use crate::window::Window;

/// Why the events of a log group are those of an earlier export.
pub(super) const DELETED: &str = "the log group was deleted since";

impl CloudWatchExporter {
    /// The export of a log group: the earlier one, where it is used again or stands, or else a new one. `None` where the
    /// group was deleted since the groups were listed, and has no earlier export.
    pub(super) async fn export_or_keep(
        &self,
        group: &LogGroup,
        earlier: Option<ExportedGroup>,
        request: &ExportRequest<'_>,
        report: &(dyn Fn(&str) + Sync),
    ) -> Result<Option<ExportedGroup>> {
        if let Some(earlier) = &earlier {
            const KEPT: &str = "using the export that was kept";
            if request.accepts(earlier) {
                report(KEPT);
                return Ok(Some(earlier.clone()));
            }
            if let Some(why) = self.stands(group, request, earlier) {
                report(KEPT);
                return Ok(Some(standing(earlier.clone(), request.window, &why)));
            }
        }
        report("requesting the export");
        let done = match self.settings.via {
            Via::ExportTask => self.export_group(group, request, report).await,
            Via::Events => self.export_events(group, request, report).await,
            Via::Auto => self.export_either_way(group, request, report).await,
        };
        let error = match done {
            Ok(done) => return Ok(Some(done)),
            Err(error) => error,
        };
        match earlier {
            Some(earlier) if self.stands_after(group, request.window, &earlier, &error) => {
                let why = "a new export has no events any more";
                Ok(Some(standing(earlier, request.window, why)))
            }
            earlier if self.is_gone(group, &error, report).await => {
                Ok(earlier.map(|earlier| standing(earlier, request.window, DELETED)))
            }
            _ => Err(error),
        }
    }

    /// Why a new export of the window can't have any event, so that the earlier one stands; `None` where it can.
    fn stands(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        earlier: &ExportedGroup,
    ) -> Option<String> {
        if request.takes_empty && earlier.objects.is_empty() {
            return None;
        }
        if is_newer_than(group, request.window) {
            return Some("the log group was deleted and created again since".to_owned());
        }
        let until = deleted_until(group, self.clock.now())?;
        (request.window.end() <= until)
            .then(|| format!("{}, so all of the window is deleted", retention(group)))
    }

    /// Whether the earlier export stands after a new one failed.
    ///
    /// A new export without events, although there were some, is no fault where an earlier one has them, and none that
    /// can be mended once retention has begun to delete the window's events.
    fn stands_after(
        &self,
        group: &LogGroup,
        window: &Window,
        earlier: &ExportedGroup,
        error: &Error,
    ) -> bool {
        let is_deleting =
            deleted_until(group, self.clock.now()).is_some_and(|until| window.start() < until);
        let has_events = !earlier.objects.is_empty();
        error.remedy() == Some(Remedy::ForceExport) && (has_events || is_deleting)
    }
}

/// Whether the group was created so long after the window that it can't have any event of it.
pub(super) fn is_newer_than(group: &LogGroup, window: &Window) -> bool {
    group.created_ms >= window.range().end_ms.saturating_add(OLDEST_EVENT_MS)
}

/// The earlier export, with a note that it stands.
pub(super) fn standing(mut earlier: ExportedGroup, window: &Window, why: &str) -> ExportedGroup {
    let group = earlier.log_group.as_deref().unwrap_or_default();
    let note = match earlier.as_of {
        Some(as_of) if as_of < window.end() => format!(
            "the events of {group} end at {}, when they were exported, before the end of the window: {why}",
            time(as_of)
        ),
        as_of => format!(
            "the events of {group} are from the export of {}: {why}",
            as_of.map(time).unwrap_or_default()
        ),
    };
    tracing::warn!("{note}");
    earlier.notes.push(note);
    earlier.outlives = true;
    earlier
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
