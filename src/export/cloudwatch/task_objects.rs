//! The objects of a completed task: those below its own id, listed again after a moment.
//!
//! CloudWatch writes no list of what a task wrote. So nothing but a later listing shows an object that was written after
//! the task was COMPLETED.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::CloudWatchExporter;
use crate::error::Result;
use crate::export::deadline::Deadline;
use crate::export::service::{LogGroup, TaskFilter};
use crate::export::staging::{self, task_folder};
use crate::export::{ExportRequest, ExportedGroup};
use crate::layout;
use crate::layout::cloudwatch::LogObject;
use crate::state::{Attempt, AttemptStage};

/// How long after a task was COMPLETED its objects are listed for the last time.
const SETTLES_IN: Duration = Duration::from_secs(2);

impl CloudWatchExporter {
    /// The objects of the attempt's task. The objects of other tasks below the attempt's prefix are left out, and
    /// recorded as attempts of their own that are over, so that the end of the run deletes them.
    pub(super) async fn task_objects(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        attempt: &Attempt,
        deadline: &Deadline<'_>,
    ) -> Result<Vec<LogObject>> {
        let prefix = layout::join(self.staging.root(), &attempt.prefix);
        let mut listed = self.staging.list_logs(&prefix, Some(&group.name)).await?;
        let mut folders = task_folder::folders(&prefix, &listed);
        if folders.is_empty() {
            self.clock.sleep(SETTLES_IN).await;
            listed = self.staging.list_logs(&prefix, Some(&group.name)).await?;
            folders = task_folder::folders(&prefix, &listed);
        }
        let own = self.own_folders(attempt, &folders, deadline).await;
        for other in folders.difference(&own) {
            tracing::warn!(
                log_group = group.name,
                task = other,
                "another export task wrote below the same prefix: its objects are not read"
            );
            request.journal.note(Attempt {
                prefix: format!("{}/{other}", attempt.prefix),
                task_id: Some(other.clone()),
                stage: AttemptStage::Abandoned,
                ..attempt.clone()
            });
        }
        listed.retain(|object| {
            let key = &object.meta.location;
            own.iter().any(|own| task_folder::is_in(&prefix, own, key))
        });
        Ok(listed)
    }

    /// The folders that the attempt's task wrote: the one of its id. Where there is none, those that are not of another
    /// task: some servers name the folder by an id of its own.
    async fn own_folders(
        &self,
        attempt: &Attempt,
        folders: &BTreeSet<String>,
        deadline: &Deadline<'_>,
    ) -> BTreeSet<String> {
        let id = attempt.task_id.as_deref().unwrap_or_default();
        if folders.contains(id) {
            return BTreeSet::from([id.to_owned()]);
        }
        let mut own = BTreeSet::new();
        for folder in folders {
            let filter = TaskFilter::Id(folder.clone());
            let mut is_a_task = false;
            let listed = deadline
                .pages(
                    |page| self.service.tasks(&filter, page),
                    |tasks| {
                        is_a_task |= tasks.iter().any(|task| task.id == *folder);
                        ControlFlow::Continue(())
                    },
                )
                .await;
            // A folder that may be of another task is left out: an event too few is found by the next night.
            if matches!(listed, Ok(Ok(()))) && !is_a_task {
                own.insert(folder.clone());
            }
        }
        own
    }

    /// Adds the objects that appeared since the tasks of this run were COMPLETED, the last one at `completed`.
    pub(super) async fn list_again(
        &self,
        request: &ExportRequest<'_>,
        groups: &mut [ExportedGroup],
        completed: Option<DateTime<Utc>>,
    ) -> Result<()> {
        let Some(completed) = completed else {
            return Ok(());
        };
        let since = (self.clock.now() - completed).to_std().unwrap_or_default();
        if let Some(rest) = SETTLES_IN.checked_sub(since) {
            self.clock.sleep(rest).await;
        }
        staging::add_written_later(&self.staging, request, groups).await
    }
}
