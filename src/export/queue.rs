//! The way of one export through the one slot that an account and Region have: wait for it, ask, poll, give up in time.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::service::{
    ExportService, ServiceError, ServiceErrorKind, Task, TaskRequest, TaskStatus,
};
use crate::clock::Clock;
use crate::error::{Class, Error, Result};

/// Waits that double from `first` up to `most`.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The first wait.
    pub first: Duration,
    /// The longest wait.
    pub most: Duration,
}

/// Between looks at a task. DescribeExportTasks allows five requests a second for the whole account.
pub const POLL: Backoff = Backoff {
    first: Duration::from_secs(1),
    most: Duration::from_secs(30),
};

/// Between tries at the slot, which others hold for minutes to hours.
pub const SLOT: Backoff = Backoff {
    first: Duration::from_secs(5),
    most: Duration::from_secs(60),
};

impl Backoff {
    /// The wait after `attempt` tries (0 first), `jitter` in [0, 1) taking up to half of it away, so that several
    /// waiting programs don't ask in step.
    pub fn delay(self, attempt: u32, jitter: f64) -> Duration {
        let doubled = self
            .first
            .saturating_mul(1u32.checked_shl(attempt).unwrap_or(u32::MAX));
        doubled
            .min(self.most)
            .mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
    }
}

/// An export that is complete.
#[derive(Debug)]
pub struct Completed {
    /// The id of the task.
    pub task_id: String,
    /// What the task was asked for.
    pub request: TaskRequest,
    /// When it was asked for.
    pub asked_at: DateTime<Utc>,
}

/// Runs one export to its end. `tell` hears what it waits for.
///
/// `request` makes a request with a prefix of its own each time: a request that failed may have begun a task all the
/// same, whose objects must not be taken for those of the next one.
///
/// Errors: `ExportLate` where the deadline passes, `Usage` where the log group or the bucket does not exist, `Source`
/// where the service refuses or the task fails.
pub async fn run_export(
    service: &dyn ExportService,
    clock: &dyn Clock,
    log_group: &str,
    request: &(dyn Fn() -> TaskRequest + Sync),
    give_up_after: Duration,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Completed> {
    let give_up = TimeDelta::from_std(give_up_after).unwrap_or(TimeDelta::MAX);
    let patience = Patience {
        clock,
        deadline: clock
            .now()
            .checked_add_signed(give_up)
            .unwrap_or(DateTime::<Utc>::MAX_UTC),
        give_up_after,
        log_group,
    };
    let completed = take_slot(service, &patience, request, tell).await?;
    wait_for(service, &patience, &completed.task_id, tell).await?;
    Ok(completed)
}

struct Patience<'a> {
    clock: &'a dyn Clock,
    deadline: DateTime<Utc>,
    give_up_after: Duration,
    log_group: &'a str,
}

impl Patience<'_> {
    /// Sleeps, or says that the time is up and what it was spent on.
    async fn wait(&self, backoff: Backoff, attempt: u32, waiting_for: &str) -> Result<()> {
        let now = self.clock.now();
        if now >= self.deadline {
            return Err(Error::new(
                Class::ExportLate,
                format!(
                    "the export of {} did not come in {} (give_up_after): {waiting_for}",
                    self.log_group,
                    humantime::format_duration(self.give_up_after)
                ),
            ));
        }
        let left = (self.deadline - now).to_std().unwrap_or_default();
        let delay = backoff.delay(attempt, fastrand::f64());
        self.clock
            .sleep(delay.min(left.max(Duration::from_millis(1))))
            .await;
        Ok(())
    }
}

async fn take_slot(
    service: &dyn ExportService,
    patience: &Patience<'_>,
    request: &(dyn Fn() -> TaskRequest + Sync),
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Completed> {
    for attempt in 0.. {
        let request = request();
        let asked_at = patience.clock.now();
        let error = match service.create(&request).await {
            Ok(task_id) => {
                return Ok(Completed {
                    task_id,
                    request,
                    asked_at,
                });
            }
            Err(error) => error,
        };
        let waiting_for = match error.kind {
            ServiceErrorKind::SlotBusy => match service.active().await {
                Ok(tasks) => match tasks.first() {
                    Some(task) => format!("the export slot is held by {}", describe(task)),
                    None => "the export slot was busy".to_owned(),
                },
                Err(_) => "the export slot is busy".to_owned(),
            },
            ServiceErrorKind::Transient => format!("CloudWatch Logs answered: {}", error.message),
            _ => return Err(refused(&error, &request)),
        };
        tell(&waiting_for);
        patience.wait(SLOT, attempt, &waiting_for).await?;
    }
    unreachable!("the loop ends with an answer or at the deadline")
}

async fn wait_for(
    service: &dyn ExportService,
    patience: &Patience<'_>,
    id: &str,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<()> {
    for attempt in 0.. {
        let state = match service.describe(id).await {
            Ok(Some(task)) => match task.status {
                TaskStatus::Completed => return Ok(()),
                TaskStatus::Failed | TaskStatus::Cancelled => {
                    return Err(Error::new(
                        Class::Source,
                        format!(
                            "the export of {} failed: {}",
                            patience.log_group,
                            describe(&task)
                        ),
                    ));
                }
                TaskStatus::Pending => "PENDING".to_owned(),
                TaskStatus::Running => "RUNNING".to_owned(),
                TaskStatus::PendingCancel => "PENDING_CANCEL".to_owned(),
            },
            // A task can be asked for a moment before every server knows it.
            Ok(None) => "not yet known to the service".to_owned(),
            Err(error) if error.kind == ServiceErrorKind::Transient => error.message,
            Err(error) => {
                return Err(Error::new(
                    Class::Source,
                    format!("could not ask for the export task {id}: {}", error.message),
                ));
            }
        };
        tell(&state);
        let waiting_for = format!("task {id} was still {state}");
        patience.wait(POLL, attempt, &waiting_for).await?;
    }
    unreachable!("the loop ends with the task or at the deadline")
}

fn describe(task: &Task) -> String {
    let status = match task.status {
        TaskStatus::Pending => "PENDING",
        TaskStatus::Running => "RUNNING",
        TaskStatus::PendingCancel => "PENDING_CANCEL",
        TaskStatus::Completed => "COMPLETED",
        TaskStatus::Failed => "FAILED",
        TaskStatus::Cancelled => "CANCELLED",
    };
    let mut text = format!("task {} of {} ({status}", task.id, task.log_group);
    if !task.name.is_empty() {
        text += &format!(", named {:?}", task.name);
    }
    if !task.message.is_empty() {
        text += &format!(", {:?}", task.message);
    }
    text + ")"
}

/// What a person can do about a refused request.
fn refused(error: &ServiceError, request: &TaskRequest) -> Error {
    let TaskRequest {
        log_group, bucket, ..
    } = request;
    let message = &error.message;
    match error.kind {
        ServiceErrorKind::NotFound => Error::usage(format!(
            "the log group {log_group:?} does not exist: {message}"
        )),
        ServiceErrorKind::Invalid if message.contains("does not exist") => Error::usage(format!(
            "CloudWatch can't export to the bucket {bucket:?}: {message}"
        )),
        ServiceErrorKind::Invalid => Error::new(
            Class::Source,
            format!(
                "CloudWatch can't export {log_group} to the bucket {bucket:?}: {message}. The bucket must be in the same \
                 Region and its policy must let CloudWatch Logs write; `logtally init` prints the policy"
            ),
        ),
        _ => Error::new(
            Class::Source,
            format!("CloudWatch refused to export {log_group}: {message}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::TestClock;
    use crate::export::fake::FakeLogs;
    use std::sync::Mutex;

    fn request(group: &str) -> TaskRequest {
        TaskRequest {
            name: "logtally".into(),
            log_group: group.into(),
            log_stream_prefix: None,
            from_ms: 0,
            to_ms: 1,
            bucket: "acme-logs".into(),
            prefix: "exports".into(),
        }
    }

    async fn export(logs: &FakeLogs, clock: &TestClock) -> (Result<String>, Vec<String>) {
        let told = Mutex::new(Vec::new());
        let tell = |text: &str| told.lock().unwrap().push(text.to_owned());
        let six_hours = Duration::from_secs(6 * 3600);
        let new_request = || request("/ecs/web");
        let result = run_export(logs, clock, "/ecs/web", &new_request, six_hours, &tell).await;
        let result = result.map(|completed| completed.task_id);
        (result, told.into_inner().unwrap())
    }

    fn clock() -> std::sync::Arc<TestClock> {
        std::sync::Arc::new(TestClock::at("2026-11-21T15:00:00Z".parse().unwrap()))
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let seconds: Vec<u64> = (0..8).map(|n| POLL.delay(n, 0.0).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(POLL.delay(u32::MAX, 0.0), POLL.most);
        assert!(SLOT.delay(0, 0.999) > SLOT.first / 2);
    }

    #[tokio::test]
    async fn a_task_goes_through_its_life() {
        let clock = clock();
        let logs = FakeLogs::new(clock.clone(), &["/ecs/web"]);
        let (result, told) = export(&logs, &clock).await;
        assert_eq!(result.unwrap(), logs.tasks()[0].id);
        assert!(told.iter().any(|text| text == "RUNNING"), "{told:?}");
    }

    #[tokio::test]
    async fn a_strangers_task_is_waited_for_and_named() {
        let clock = clock();
        let logs = FakeLogs::new(clock.clone(), &["/ecs/web", "/other"]);
        logs.occupy_slot("/other", Duration::from_secs(3 * 3600));
        let (result, told) = export(&logs, &clock).await;
        result.unwrap();
        assert!(
            told[0].contains("held by task") && told[0].contains("/other"),
            "{told:?}"
        );
        assert!(clock.now() >= "2026-11-21T18:00:00Z".parse::<DateTime<Utc>>().unwrap());
    }

    #[tokio::test]
    async fn a_slot_that_never_comes_ends_in_time() {
        let clock = clock();
        let logs = FakeLogs::new(clock.clone(), &["/ecs/web", "/other"]);
        logs.occupy_slot("/other", Duration::from_secs(48 * 3600));
        let error = export(&logs, &clock).await.0.unwrap_err();
        assert_eq!(error.class(), Class::ExportLate);
        assert!(
            error.to_string().contains("/other") && error.to_string().contains("6h"),
            "{error}"
        );
        let late = clock.now() - "2026-11-21T21:00:00Z".parse::<DateTime<Utc>>().unwrap();
        assert!(late.num_seconds().abs() < 2, "gave up {late} late");
    }

    #[tokio::test]
    async fn throttling_is_waited_out() {
        let clock = clock();
        let logs = FakeLogs::new(clock.clone(), &["/ecs/web"]);
        logs.fail_next(20, ServiceErrorKind::Transient, "Rate exceeded");
        export(&logs, &clock).await.0.unwrap();
    }

    #[tokio::test]
    async fn failures_have_the_services_own_words() {
        let clock = clock();
        let logs = FakeLogs::new(clock.clone(), &["/ecs/web"]);
        logs.fail_task("internal error");
        let error = export(&logs, &clock).await.0.unwrap_err();
        assert_eq!(error.class(), Class::Source);
        assert!(error.to_string().contains("internal error"), "{error}");

        for (kind, message, class) in [
            (
                ServiceErrorKind::NotFound,
                "The specified log group does not exist.",
                Class::Usage,
            ),
            (
                ServiceErrorKind::Invalid,
                "The given bucket does not exist. Please make sure the bucket is valid.",
                Class::Usage,
            ),
            (
                ServiceErrorKind::Invalid,
                "GetBucketAcl call on the given bucket failed.",
                Class::Source,
            ),
            (
                ServiceErrorKind::Refused,
                "is not authorized to perform: logs:CreateExportTask",
                Class::Source,
            ),
        ] {
            logs.fail_next(1, kind, message);
            let error = export(&logs, &clock).await.0.unwrap_err();
            assert_eq!(error.class(), class, "{error}");
            assert!(error.to_string().contains(message), "{error}");
        }
    }
}
