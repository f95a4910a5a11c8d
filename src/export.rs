//! From a window to the objects that hold its events.
//!
//! [`cloudwatch`] has CloudWatch Logs export them, [`directory`] exports a folder of events in the same layout, [`existing`] takes
//! objects that were exported by other means, [`subscription`] those that a subscription was delivered to, and [`delivered`] vended logs.
//! Later steps do not depend on which.

pub mod arriving;
pub mod cloudwatch;
pub mod deadline;
pub mod delivered;
pub mod directory;
pub mod existing;
pub mod filter_events;
pub mod kept;
mod refused;
pub mod service;
pub mod staging;
pub mod subscription;
pub mod task;
pub mod turns;

#[cfg(any(test, feature = "testing"))]
pub mod fake;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use object_store::path::Path;

use crate::aws::logs::Origin;
use crate::error::Result;
use crate::layout::StagingKeys;
use crate::layout::cloudwatch::LogObject;
use crate::progress::Progress;
use crate::state::{Attempt, Journal};
use crate::window::Window;

/// A request to export a window.
#[derive(Clone, Copy)]
pub struct ExportRequest<'a> {
    /// The keys of the job's exports.
    pub keys: &'a StagingKeys,
    /// The window; the exported objects may have more events.
    pub window: &'a Window,
    /// Which earlier exports are used again. Others are used only where a new one can't have more events.
    pub reuse: Reuse,
    /// Whether an export without events is taken also where there surely were events.
    pub takes_empty: bool,
    /// The record of attempts: each is recorded before anything is requested or written.
    pub journal: &'a dyn Journal,
    /// The windows right behind this one that the run exports next, in order: one export may be of all of them.
    pub ahead: &'a [Ahead],
}

/// A window that a run exports later.
#[derive(Debug, Clone)]
pub struct Ahead {
    /// The window.
    pub window: Window,
    /// Which earlier exports of it are used again.
    pub reuse: Reuse,
}

/// The most time that one export is of. A task that fails, or runs into CloudWatch's limit of a day, is then not the end
/// of a backfill. A week in which the clocks are set back is longer by an hour or two.
pub const LONGEST_STRETCH: TimeDelta = TimeDelta::hours(7 * 24 + 2);

impl ExportRequest<'_> {
    /// Whether the export of an earlier run is used again.
    pub fn accepts(&self, earlier: &ExportedGroup) -> bool {
        let (Reuse::Since(since) | Reuse::OfRun(since)) = self.reuse else {
            return false;
        };
        let Some(as_of) = earlier.as_of else {
            return false;
        };
        let prefix = self.keys.relative(&earlier.prefix);
        let log_group = earlier.log_group.as_deref().unwrap_or_default();
        let mut recorded = self.journal.attempts(log_group).into_iter();
        match recorded.find(|attempt| attempt.prefix == prefix) {
            Some(attempt) => {
                let asked_at = as_of;
                let attempt = Attempt {
                    asked_at,
                    ..attempt
                };
                self.reuse.takes(&attempt, since)
            }
            None => since <= as_of,
        }
    }
}

/// Which exports of a window that were requested earlier are used again, or continued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// None.
    Nothing,
    /// Those requested at or after this instant.
    Since(DateTime<Utc>),
    /// Those of the run that began at this instant and is continued now.
    OfRun(DateTime<Utc>),
}

impl Reuse {
    /// Whether the attempt is used by a run that began to export its log group at `began`. Its own attempts always are.
    pub fn takes(self, attempt: &Attempt, began: DateTime<Utc>) -> bool {
        match (self, attempt.of_run) {
            // By identity: the clock of the machine that recorded the attempt may be wrong, or was set meanwhile.
            (Self::OfRun(run), Some(of_run)) => of_run == run,
            (Self::OfRun(since) | Self::Since(since), _) => attempt.asked_at >= since.min(began),
            (Self::Nothing, _) => attempt.asked_at >= began,
        }
    }
}

/// How much of a window is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct There {
    /// The objects.
    pub objects: usize,
    /// Their compressed bytes.
    pub bytes: u64,
}

impl There {
    /// Of these objects.
    pub fn of(objects: &[LogObject]) -> Self {
        Self {
            objects: objects.len(),
            bytes: objects.iter().map(|object| object.size).sum(),
        }
    }
}

/// The objects of a window.
#[derive(Debug, Clone, Default)]
pub struct Exported {
    /// One for each log group, in the order of their names.
    pub groups: Vec<ExportedGroup>,
    /// Log groups that can have no event of the window, since they were created two weeks after it or later.
    pub skipped: Vec<String>,
    /// Further notes for the receipt: log groups that were left out for other reasons.
    pub notes: Vec<String>,
}

impl Exported {
    /// Adds a note, and warns of it.
    pub fn note(&mut self, note: String) {
        tracing::warn!("{note}");
        self.notes.push(note);
    }

    /// All notes for the receipt.
    pub fn all_notes(&self) -> Vec<String> {
        let of_groups = self.groups.iter().flat_map(|group| group.notes.clone());
        of_groups.chain(self.notes.iter().cloned()).collect()
    }

    /// All objects, in the order of groups and keys.
    pub fn objects(&self) -> Vec<LogObject> {
        self.groups
            .iter()
            .flat_map(|group| group.objects.clone())
            .collect()
    }
}

/// The objects of a log group.
#[derive(Debug, Clone)]
pub struct ExportedGroup {
    /// The log group, if known.
    pub log_group: Option<String>,
    /// The export task that wrote them, if known.
    pub task_id: Option<String>,
    /// The prefix of their keys.
    pub prefix: Path,
    /// Whether an earlier run, or another program, exported them.
    pub reused: bool,
    /// Whether CloudWatch may have fewer events by now: the export can't be made again, or has events of an earlier one.
    pub outlives: bool,
    /// When the export was requested: later events may be missing.
    pub as_of: Option<DateTime<Utc>>,
    /// Notes for the receipt.
    pub notes: Vec<String>,
    /// The prefix of the export of several windows that has the objects, if there is one.
    pub stretch: Option<Path>,
    /// The objects; of several windows, all of them.
    pub objects: Vec<LogObject>,
}

/// Turns a window into objects.
#[async_trait]
pub trait LogExporter: Send + Sync {
    /// The log groups that a run would export now; empty where the source does not know them. An error (usage) where a
    /// named group does not exist, or no glob matches any.
    async fn groups(&self) -> Result<Vec<String>>;

    /// The account and Region of these log groups, if the source knows them.
    async fn origin(&self) -> Result<Option<Origin>> {
        Ok(None)
    }

    /// The instant before which all of these log groups have deleted their events by now; `None` if some keep all of them.
    async fn deleted_until(&self) -> Result<Option<DateTime<Utc>>> {
        Ok(None)
    }

    /// The objects of a window that are there now, where another program writes them at any time.
    async fn there(&self, _window: &Window) -> Result<Option<There>> {
        Ok(None)
    }

    /// Checks an export of several windows that turned out to have no events of this one, as an export of the window alone
    /// is checked when it is made; and objects of other programs where none of them has an event of the window. A note for the
    /// receipt; an error (source) where there surely were events.
    async fn check_without_events(
        &self,
        _request: &ExportRequest<'_>,
        _group: &ExportedGroup,
    ) -> Result<Option<String>> {
        Ok(None)
    }

    /// Exports the window, where no earlier export is used again, and lists the objects.
    async fn export(
        &self,
        request: &ExportRequest<'_>,
        progress: &dyn Progress,
    ) -> Result<Exported>;
}
