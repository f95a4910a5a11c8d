//! The objects of a completed task: those below its own id, listed again after a moment.
//!
//! CloudWatch writes no list of what a task wrote. So nothing but a later listing shows an object that was written after
//! the task was COMPLETED.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Duration;

use chrono::{DateTime, Utc};
use object_store::path::Path;

use super::CloudWatchExporter;
use crate::error::{Class, Error, Result};
use crate::export::deadline::Deadline;
use crate::export::service::{LogGroup, TaskFilter};
use crate::export::staging::{self, task_folder};
use crate::export::{ExportRequest, ExportedGroup};
use crate::layout;
use crate::layout::cloudwatch::LogObject;
use crate::state::{Attempt, AttemptStage};

/// How long after a task was COMPLETED its objects are listed for the last time.
pub(super) const SETTLES_IN: Duration = Duration::from_secs(2);

impl CloudWatchExporter {
    /// The objects of the attempt's task, and a note where some keys below its prefix can't be read. The objects of other tasks below the attempt's prefix are left out, and
    /// recorded as attempts of their own that are over, so that the end of the run deletes them.
    pub(super) async fn task_objects(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        attempt: &Attempt,
        deadline: &Deadline<'_>,
    ) -> Result<(Vec<LogObject>, Option<String>)> {
        let prefix = layout::join(self.staging.root(), &attempt.prefix);
        let (mut listed, mut unread) = self.objects_below(&prefix, group).await?;
        let mut folders = task_folder::folders(&prefix, &listed);
        if folders.is_empty() && unread.is_none() {
            self.clock.sleep(SETTLES_IN).await;
            (listed, unread) = self.objects_below(&prefix, group).await?;
            folders = task_folder::folders(&prefix, &listed);
        }
        let own = self.own_folders(attempt, &folders, deadline).await?;
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
            let key = object.key();
            own.iter().any(|own| task_folder::is_in(&prefix, own, &key))
        });
        Ok((listed, unread))
    }

    async fn objects_below(
        &self,
        prefix: &Path,
        group: &LogGroup,
    ) -> Result<(Vec<LogObject>, Option<String>)> {
        let (listed, unread) = self.listed(prefix).await?;
        let objects = listed
            .into_iter()
            .filter_map(|meta| LogObject::new(&meta, Some(&group.name)));
        Ok((objects.collect(), unread))
    }

    /// The folders that the attempt's task wrote: the one of its id. Where there is none, those that are not of another
    /// task: some servers name the folder by an id of its own.
    async fn own_folders(
        &self,
        attempt: &Attempt,
        folders: &BTreeSet<String>,
        deadline: &Deadline<'_>,
    ) -> Result<BTreeSet<String>> {
        let id = attempt.task_id.as_deref().unwrap_or_default();
        if folders.contains(id) {
            return Ok(BTreeSet::from([id.to_owned()]));
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
                .await?;
            // Without an answer, its objects must neither be read nor deleted.
            listed.map_err(|error| {
                let what = format!(
                    "could not ask whether {folder}, a folder below {}, is that of another export task than {id}: {}",
                    attempt.prefix, error.message
                );
                Error::new(Class::Source, what)
            })?;
            if !is_a_task {
                own.insert(folder.clone());
            }
        }
        Ok(own)
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
