//! From a window to the objects that hold its events, whatever way they get there.
//!
//! [`cloudwatch`] has CloudWatch Logs export them, [`directory`] exports a folder of events in the same layout, and
//! [`existing`] takes what somebody else exported. What comes after can't tell them apart.

pub mod cloudwatch;
pub mod deadline;
pub mod directory;
pub mod existing;
pub mod filter_events;
pub mod service;
pub mod staging;
pub mod task;

#[cfg(any(test, feature = "testing"))]
pub mod fake;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use object_store::path::Path;

use crate::error::Result;
use crate::layout::StagingKeys;
use crate::layout::cloudwatch::LogObject;
use crate::progress::Progress;
use crate::state::Journal;
use crate::window::Window;

/// What an exporter is asked for.
#[derive(Clone, Copy)]
pub struct ExportRequest<'a> {
    /// The keys of the job's exports.
    pub keys: &'a StagingKeys,
    /// The window; what is exported may reach beyond it.
    pub window: &'a Window,
    /// An export that was asked for at or after this instant will do; `None` asks for a new one.
    pub reuse_since: Option<DateTime<Utc>>,
    /// Whether an export without events is taken also where there surely were some.
    pub takes_empty: bool,
    /// Where every attempt is recorded before anything is asked for or written, and those of earlier runs are found.
    pub journal: &'a dyn Journal,
}

/// The objects of a window.
#[derive(Debug, Clone, Default)]
pub struct Exported {
    /// One for each log group, in the order of their names.
    pub groups: Vec<ExportedGroup>,
    /// Log groups that can have no event of the window, since they were made two weeks after it or later.
    pub skipped: Vec<String>,
    /// What else is to be known: log groups that were left out for other reasons.
    pub notes: Vec<String>,
}

impl Exported {
    /// Adds a note, and warns of it.
    fn note(&mut self, note: String) {
        tracing::warn!("{note}");
        self.notes.push(note);
    }

    /// Everything that is to be known of it, for people.
    pub fn all_notes(&self) -> Vec<String> {
        let of_groups = self.groups.iter().filter_map(|group| group.note.clone());
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
    /// The log group, where it is known.
    pub log_group: Option<String>,
    /// The export task that wrote them, where this program knows it.
    pub task_id: Option<String>,
    /// What their keys begin with.
    pub prefix: Path,
    /// Whether an earlier run exported them.
    pub reused: bool,
    /// When the export was asked for: events that came later may be missing.
    pub as_of: Option<DateTime<Utc>>,
    /// What is to be known of it, for people.
    pub note: Option<String>,
    /// The objects.
    pub objects: Vec<LogObject>,
}

/// Turns a window into objects.
#[async_trait]
pub trait LogExporter: Send + Sync {
    /// The log groups that a run would take now. An error (usage) where one that is named does not exist, or a glob
    /// matches none. Empty where the source does not know its groups.
    async fn groups(&self) -> Result<Vec<String>>;

    /// Makes sure that the window's events are in objects, and lists those.
    async fn export(
        &self,
        request: &ExportRequest<'_>,
        progress: &dyn Progress,
    ) -> Result<Exported>;
}
