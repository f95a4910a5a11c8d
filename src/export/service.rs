//! What an export needs of CloudWatch Logs, narrow enough for a fake.

use async_trait::async_trait;

use crate::aws::logs::LogsClient;

pub use crate::aws::logs::{
    LogGroup, ServiceError, ServiceErrorKind, Task, TaskRequest, TaskStatus,
};

/// CloudWatch Logs, or something that behaves like it.
#[async_trait]
pub trait ExportService: Send + Sync {
    /// All log groups whose names begin with `prefix`, by name.
    async fn groups(&self, prefix: &str) -> Result<Vec<LogGroup>, ServiceError>;

    /// Asks for an export, once, and returns the task's id. After an error the task may exist all the same.
    async fn create(&self, request: &TaskRequest) -> Result<String, ServiceError>;

    /// Where a task stands; `None` where there is no such task.
    async fn describe(&self, id: &str) -> Result<Option<Task>, ServiceError>;

    /// The tasks that hold the one slot of the account and Region.
    async fn active(&self) -> Result<Vec<Task>, ServiceError>;
}

#[async_trait]
impl ExportService for LogsClient {
    async fn groups(&self, prefix: &str) -> Result<Vec<LogGroup>, ServiceError> {
        self.log_groups(prefix).await
    }

    async fn create(&self, request: &TaskRequest) -> Result<String, ServiceError> {
        self.create_export_task(request).await
    }

    async fn describe(&self, id: &str) -> Result<Option<Task>, ServiceError> {
        self.export_task(id).await
    }

    async fn active(&self) -> Result<Vec<Task>, ServiceError> {
        self.active_export_tasks().await
    }
}
