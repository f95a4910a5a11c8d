//! The one export slot of an account and Region: who used it, and whether an export of this job has worked.

use std::collections::BTreeMap;

use chrono::{TimeDelta, Timelike};

use crate::aws::logs::{LogsClient, ServiceError, Task, TaskFilter, TaskStatus};
use crate::aws::tried::Tried;
use crate::error::Class;
use crate::job::{CloudWatch, Location};
use crate::numbers::counted;

use super::examination::{Examination, Permissions};
use super::finding::{Area, Finding, Outcome};
use super::volume::LAST_DAYS;

/// The most pages of export tasks. A page has 50.
const MOST_TASK_PAGES: usize = 20;

impl Examination<'_> {
    /// Looks at the export tasks of the last days: who uses the one slot, and whether an export of this job has worked.
    pub(super) async fn slot(&mut self, client: &LogsClient, source: &CloudWatch) {
        let mut of_slot = Permissions::of(Area::ExportSlot, &self.region, Class::Source, None);
        let tasks = Tried::from(all_tasks(client).await);
        let Some(tasks) = of_slot.note(self, "logs:DescribeExportTasks", tasks) else {
            return;
        };
        of_slot.finish(self);
        let own_name = format!("logtally {} ", self.job.name);
        let since = self.environment.clock.now() - TimeDelta::days(LAST_DAYS);
        let others: Vec<&Task> = tasks
            .iter()
            .filter(|task| !task.name.starts_with(&own_name))
            .filter(|task| task.created.is_none_or(|created| created >= since))
            .collect();
        let active = others.iter().find(|task| task.status.is_active());
        let lately = counted(others.len() as u64, "task");
        let (outcome, message) = match (active, others.len()) {
            (Some(task), _) => (
                Outcome::Warning,
                format!(
                    "taken by the task {:?} of {}: a run waits for it. {lately} of others in the last {LAST_DAYS} days",
                    task.name, task.log_group
                ),
            ),
            (None, 0) => (
                Outcome::Ok,
                format!("free, and used by nothing else in the last {LAST_DAYS} days"),
            ),
            (None, _) => (
                Outcome::Note,
                format!(
                    "free now, and shared: {lately} of others in the last {LAST_DAYS} days{}. An account and Region have one slot, and a run waits its turn",
                    busiest_hour(&others, self.job.timezone)
                ),
            ),
        };
        self.add(Finding::new(
            Area::ExportSlot,
            &self.region,
            outcome,
            message,
        ));
        self.wrote_before = newest_success(&tasks, &source.staging, self.job.name.as_str());
    }
}

async fn all_tasks(client: &LogsClient) -> Result<Vec<Task>, ServiceError> {
    let mut tasks = Vec::new();
    let mut page = None;
    for _ in 0..MOST_TASK_PAGES {
        let listed = client.export_tasks(&TaskFilter::All, page).await?;
        tasks.extend(listed.items);
        page = listed.next;
        if page.is_none() {
            break;
        }
    }
    Ok(tasks)
}

/// The hour of the day, in the job's zone, in which most of these tasks began.
fn busiest_hour(tasks: &[&Task], zone: chrono_tz::Tz) -> String {
    let mut hours: BTreeMap<u32, usize> = BTreeMap::new();
    for created in tasks.iter().filter_map(|task| task.created) {
        *hours
            .entry(created.with_timezone(&zone).hour())
            .or_default() += 1;
    }
    match hours
        .iter()
        .max_by_key(|(hour, count)| (**count, 24 - **hour))
    {
        Some((hour, count)) => format!(", most of them ({count}) from {hour:02}:00 on"),
        None => String::new(),
    }
}

/// The newest completed task that wrote to this job's part of the staging location.
fn newest_success(tasks: &[Task], staging: &Location, job: &str) -> Option<String> {
    let Location::S3 { bucket, .. } = staging else {
        return None;
    };
    let below = staging.below(job).key().ok()?;
    let wrote = tasks
        .iter()
        .filter(|task| task.status == TaskStatus::Completed && task.bucket == *bucket)
        .filter(|task| task.prefix.starts_with(&format!("{below}/")));
    let newest = wrote.max_by_key(|task| task.created)?;
    Some(match newest.created {
        Some(created) => format!("{} of {}", newest.id, created.format("%Y-%m-%d")),
        None => newest.id.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    #[test]
    fn only_a_task_that_wrote_below_this_job_shows_that_exports_work() {
        let staging = Location::parse("s3://acme-logs/exports", "/".as_ref()).unwrap();
        let task = |id: &str, prefix: &str, status| Task {
            id: id.to_owned(),
            name: String::new(),
            log_group: "/a".to_owned(),
            bucket: "acme-logs".to_owned(),
            prefix: prefix.to_owned(),
            range: None,
            created: DateTime::from_timestamp_millis(1_763_683_200_000),
            status,
            message: String::new(),
        };
        let tasks = [
            task("other", "exports/nightly/x", TaskStatus::Completed),
            task("failed", "exports/night/x", TaskStatus::Failed),
        ];
        assert_eq!(newest_success(&tasks, &staging, "night"), None);
        let tasks = [task("own", "exports/night/x", TaskStatus::Completed)];
        let found = newest_success(&tasks, &staging, "night");
        assert_eq!(found.as_deref(), Some("own of 2025-11-21"));
    }
}
