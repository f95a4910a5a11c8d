//! What an export needs of CloudWatch Logs, narrow enough for a fake: each call is one request, and pages are the
//! caller's, so that a page that was throttled is asked for again rather than all of them.

use async_trait::async_trait;

use crate::aws::logs::LogsClient;

pub use crate::aws::logs::{
    EventPage, GroupClass, LogEvent, LogGroup, LogStream, Page, PageRequest, ServiceError,
    ServiceErrorKind, Task, TaskFilter, TaskRequest, TaskStatus,
};

/// CloudWatch Logs, or something that behaves like it.
#[async_trait]
pub trait ExportService: EventService {
    /// Where it is asked, for people.
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

    /// Asks for an export, once, and returns the task's id. After an error of a kind that leaves doubt the task may exist
    /// all the same.
    async fn create(&self, request: &TaskRequest) -> Result<String, ServiceError>;

    /// A page of the export tasks, of anybody; a task that there is not is an empty page.
    async fn tasks(
        &self,
        filter: &TaskFilter,
        page: Option<String>,
    ) -> Result<Page<Task>, ServiceError>;
}

/// The part of it that gives single events.
#[async_trait]
pub trait EventService: Send + Sync {
    /// A page of a log group's events, in the order of their times.
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
