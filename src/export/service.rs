//! What an export needs of CloudWatch Logs, narrow enough for a fake. Each call is one request for one page, so that a
//! caller repeats a page that was throttled, and not all of them.

use async_trait::async_trait;

use crate::aws::logs::LogsClient;

pub use crate::aws::logs::{
    EventPage, GroupClass, LogEvent, LogGroup, LogStream, Origin, Page, PageRequest, ServiceError,
    ServiceErrorKind, Task, TaskFilter, TaskRequest, TaskStatus,
};

/// CloudWatch Logs, or something that behaves like it.
#[async_trait]
pub trait ExportService: EventService {
    /// The endpoint, for messages.
    fn endpoint(&self) -> &str;

    /// A page of the log groups whose names begin with `prefix`; `page` is the one before's `next`.
    async fn groups(
        &self,
        prefix: &str,
        page: Option<String>,
    ) -> Result<Page<LogGroup>, ServiceError>;

    /// A page of a log group's streams, those with the latest event first.
    async fn streams(
        &self,
        log_group: &str,
        page: Option<String>,
    ) -> Result<Page<LogStream>, ServiceError>;

    /// Requests an export task, once, and returns its id. After an error that leaves doubt, the task may exist
    /// nevertheless.
    async fn create(&self, request: &TaskRequest) -> Result<String, ServiceError>;

    /// A page of the export tasks of any caller; an unknown id yields an empty page.
    async fn tasks(
        &self,
        filter: &TaskFilter,
        page: Option<String>,
    ) -> Result<Page<Task>, ServiceError>;
}

/// The part of CloudWatch Logs that returns single events.
#[async_trait]
pub trait EventService: Send + Sync {
    /// A page of a log group's events, by time.
    async fn events(&self, request: &PageRequest) -> Result<EventPage, ServiceError>;
}

#[async_trait]
impl EventService for LogsClient {
    async fn events(&self, request: &PageRequest) -> Result<EventPage, ServiceError> {
        LogsClient::events(self, request).await
    }
}

#[async_trait]
impl ExportService for LogsClient {
    fn endpoint(&self) -> &str {
        self.endpoint()
    }

    async fn groups(
        &self,
        prefix: &str,
        page: Option<String>,
    ) -> Result<Page<LogGroup>, ServiceError> {
        self.log_groups(prefix, page).await
    }

    async fn streams(
        &self,
        log_group: &str,
        page: Option<String>,
    ) -> Result<Page<LogStream>, ServiceError> {
        self.log_streams(log_group, page).await
    }

    async fn create(&self, request: &TaskRequest) -> Result<String, ServiceError> {
        self.create_export_task(request).await
    }

    async fn tasks(
        &self,
        filter: &TaskFilter,
        page: Option<String>,
    ) -> Result<Page<Task>, ServiceError> {
        self.export_tasks(filter, page).await
    }
}
