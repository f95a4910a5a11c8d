//! CloudWatch Logs as tests want it: log groups, the one export slot, tasks that live in a clock's time, and faults.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::service::{
    ExportService, LogGroup, ServiceError, ServiceErrorKind, Task, TaskRequest, TaskStatus,
};
use crate::clock::Clock;

/// How long a task waits, and then runs.
const PENDING: Duration = Duration::from_secs(5);
const RUNNING: Duration = Duration::from_secs(60);

/// A stateful fake of the export API. It writes no objects.
pub struct FakeLogs {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    groups: Vec<LogGroup>,
    tasks: Vec<FakeTask>,
    /// Errors for the next requests that create or describe, first one last.
    errors: Vec<ServiceError>,
    /// What the next task fails with.
    failure: Option<String>,
}

struct FakeTask {
    task: Task,
    created: DateTime<Utc>,
    runs_for: Duration,
    failure: Option<String>,
}

impl FakeLogs {
    /// A service that knows these log groups.
    pub fn new(clock: Arc<dyn Clock>, groups: &[&str]) -> Self {
        let groups = groups
            .iter()
            .map(|name| LogGroup {
                name: (*name).to_owned(),
                created_ms: 0,
            })
            .collect();
        Self {
            clock,
            state: Mutex::new(State {
                groups,
                tasks: Vec::new(),
                errors: Vec::new(),
                failure: None,
            }),
        }
    }

    /// Lets somebody else's task hold the slot for so long.
    pub fn occupy_slot(&self, log_group: &str, duration: Duration) {
        let mut state = self.state();
        self.start(&mut state, log_group, "a stranger's", duration);
    }

    /// Lets the next `count` requests that create or describe a task fail.
    pub fn fail_next(&self, count: usize, kind: ServiceErrorKind, message: &str) {
        let error = ServiceError {
            kind,
            message: message.to_owned(),
        };
        self.state()
            .errors
            .extend(std::iter::repeat_n(error, count));
    }

    /// Lets the next task end as FAILED.
    pub fn fail_task(&self, message: &str) {
        self.state().failure = Some(message.to_owned());
    }

    /// All tasks so far, as they stand now.
    pub fn tasks(&self) -> Vec<Task> {
        let now = self.clock.now();
        self.state().tasks.iter().map(|task| task.at(now)).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, state: &mut State, log_group: &str, name: &str, runs_for: Duration) -> String {
        let id = format!("00000000-0000-0000-0000-{:012}", state.tasks.len());
        let failure = state.failure.take();
        state.tasks.push(FakeTask {
            task: Task {
                id: id.clone(),
                name: name.to_owned(),
                log_group: log_group.to_owned(),
                status: TaskStatus::Pending,
                message: String::new(),
            },
            created: self.clock.now(),
            runs_for,
            failure,
        });
        id
    }
}

impl FakeTask {
    fn at(&self, now: DateTime<Utc>) -> Task {
        let age = (now - self.created).to_std().unwrap_or_default();
        let mut task = self.task.clone();
        (task.status, task.message) = match &self.failure {
            _ if age < PENDING => (TaskStatus::Pending, String::new()),
            _ if age < PENDING + self.runs_for => (TaskStatus::Running, "Started".to_owned()),
            Some(failure) => (TaskStatus::Failed, failure.clone()),
            None => (TaskStatus::Completed, "Completed successfully".to_owned()),
        };
        task
    }
}

#[async_trait]
impl ExportService for FakeLogs {
    async fn groups(&self, prefix: &str) -> Result<Vec<LogGroup>, ServiceError> {
        let state = self.state();
        Ok(state
            .groups
            .iter()
            .filter(|group| group.name.starts_with(prefix))
            .cloned()
            .collect())
    }

    async fn create(&self, request: &TaskRequest) -> Result<String, ServiceError> {
        let now = self.clock.now();
        let mut state = self.state();
        if let Some(error) = state.errors.pop() {
            return Err(error);
        }
        if !state
            .groups
            .iter()
            .any(|group| group.name == request.log_group)
        {
            return Err(ServiceError {
                kind: ServiceErrorKind::NotFound,
                message: "The specified log group does not exist. (ResourceNotFoundException)"
                    .to_owned(),
            });
        }
        if state
            .tasks
            .iter()
            .any(|task| task.at(now).status.is_active())
        {
            return Err(ServiceError {
                kind: ServiceErrorKind::SlotBusy,
                message: "Resource limit exceeded. (LimitExceededException)".to_owned(),
            });
        }
        Ok(self.start(&mut state, &request.log_group, &request.name, RUNNING))
    }

    async fn describe(&self, id: &str) -> Result<Option<Task>, ServiceError> {
        let now = self.clock.now();
        let mut state = self.state();
        if let Some(error) = state.errors.pop() {
            return Err(error);
        }
        Ok(state
            .tasks
            .iter()
            .map(|task| task.at(now))
            .find(|task| task.id == id))
    }

    async fn active(&self) -> Result<Vec<Task>, ServiceError> {
        Ok(self
            .tasks()
            .into_iter()
            .filter(|task| task.status.is_active())
            .collect())
    }
}
