//! CloudWatch Logs: log groups and export tasks.

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::config::Config;
use aws_sdk_cloudwatchlogs::config::retry::RetryConfig;
use aws_sdk_cloudwatchlogs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudwatchlogs::types::ExportTaskStatusCode;

use super::{Account, Aws, root_cause};
use crate::error::Result;

/// A log group, as far as an export wants to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogGroup {
    /// The name.
    pub name: String,
    /// When it was made, in milliseconds since 1970; exports can't reach further back.
    pub created_ms: i64,
}

/// What to export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRequest {
    /// A name for people, shown in the console.
    pub name: String,
    /// The log group.
    pub log_group: String,
    /// Only streams whose name begins so.
    pub log_stream_prefix: Option<String>,
    /// Events from here, in milliseconds since 1970.
    pub from_ms: i64,
    /// Events up to here, in milliseconds since 1970.
    pub to_ms: i64,
    /// The bucket.
    pub bucket: String,
    /// What every key begins with, without a slash at its end.
    pub prefix: String,
}

/// Where an export task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The id that CloudWatch gave it.
    pub id: String,
    /// The name it was given.
    pub name: String,
    /// The log group that it exports.
    pub log_group: String,
    /// The state in its life cycle.
    pub status: TaskStatus,
    /// What the service says about the state.
    pub message: String,
}

/// The life cycle of an export task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskStatus {
    /// Accepted, not begun.
    Pending,
    /// Under way.
    Running,
    /// A cancellation was asked for.
    PendingCancel,
    /// Done.
    Completed,
    /// Given up by the service.
    Failed,
    /// Cancelled by somebody.
    Cancelled,
}

impl TaskStatus {
    /// Whether it holds the one export slot of the account and Region.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Pending | Self::Running | Self::PendingCancel)
    }
}

/// Why CloudWatch Logs did not do as it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceError {
    /// What follows from it.
    pub kind: ServiceErrorKind,
    /// The service's own words.
    pub message: String,
}

/// What follows from a failed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceErrorKind {
    /// Another export task is active: wait.
    SlotBusy,
    /// Too many requests, or the service is not well: ask again later.
    Transient,
    /// The log group or the task does not exist.
    NotFound,
    /// The request can't be fulfilled as it is: the bucket, its policy, the time range.
    Invalid,
    /// Credentials are missing, expired or lack a permission.
    Refused,
    /// Anything else.
    Other,
}

/// The client for one account and Region.
#[derive(Debug, Clone)]
pub struct LogsClient {
    client: Client,
}

impl LogsClient {
    /// A client with the credentials for the logs.
    pub async fn new(aws: &Aws) -> Result<Self> {
        let config = aws.config(Account::Source).await?;
        Ok(Self {
            client: Client::new(config),
        })
    }

    /// All log groups whose names begin with `prefix`, by name.
    pub async fn log_groups(&self, prefix: &str) -> Result<Vec<LogGroup>, ServiceError> {
        let prefix = (!prefix.is_empty()).then(|| prefix.to_owned());
        let mut pages = self
            .client
            .describe_log_groups()
            .set_log_group_name_prefix(prefix)
            .into_paginator()
            .items()
            .send();
        let mut groups = Vec::new();
        while let Some(group) = pages.next().await {
            let group = group.map_err(service_error)?;
            if let Some(name) = group.log_group_name {
                groups.push(LogGroup {
                    name,
                    created_ms: group.creation_time.unwrap_or(0),
                });
            }
        }
        groups.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(groups)
    }

    /// Asks for an export and returns the task's id. Never retried here: a lost answer may mean that the task exists.
    pub async fn create_export_task(&self, request: &TaskRequest) -> Result<String, ServiceError> {
        let response = self
            .client
            .create_export_task()
            .task_name(&request.name)
            .log_group_name(&request.log_group)
            .set_log_stream_name_prefix(request.log_stream_prefix.clone())
            .from(request.from_ms)
            .to(request.to_ms)
            .destination(&request.bucket)
            .destination_prefix(&request.prefix)
            .customize()
            .config_override(Config::builder().retry_config(RetryConfig::disabled()))
            .send()
            .await
            .map_err(service_error)?;
        response.task_id.ok_or_else(|| ServiceError {
            kind: ServiceErrorKind::Other,
            message: "CreateExportTask answered without a task id".to_owned(),
        })
    }

    /// Where a task stands; `None` where there is no such task.
    pub async fn export_task(&self, id: &str) -> Result<Option<Task>, ServiceError> {
        let answer = self.client.describe_export_tasks().task_id(id).send().await;
        let tasks = match answer {
            Ok(answer) => answer.export_tasks.unwrap_or_default(),
            Err(error) => {
                let error = service_error(error);
                return match error.kind {
                    ServiceErrorKind::NotFound => Ok(None),
                    _ => Err(error),
                };
            }
        };
        Ok(tasks.into_iter().map(task).find(|task| task.id == id))
    }

    /// The tasks that hold the slot now: pending or running, of anybody.
    pub async fn active_export_tasks(&self) -> Result<Vec<Task>, ServiceError> {
        // All tasks of an account are hundreds of pages, at five requests a second for everybody.
        for status in [ExportTaskStatusCode::Running, ExportTaskStatusCode::Pending] {
            let answer = self
                .client
                .describe_export_tasks()
                .status_code(status)
                .send()
                .await
                .map_err(service_error)?;
            let tasks = answer.export_tasks.unwrap_or_default().into_iter();
            let active: Vec<Task> = tasks
                .map(task)
                .filter(|task| task.status.is_active())
                .collect();
            if !active.is_empty() {
                return Ok(active);
            }
        }
        Ok(Vec::new())
    }
}

fn task(task: aws_sdk_cloudwatchlogs::types::ExportTask) -> Task {
    let status = task.status.as_ref();
    Task {
        id: task.task_id.unwrap_or_default(),
        name: task.task_name.unwrap_or_default(),
        log_group: task.log_group_name.unwrap_or_default(),
        status: match status.and_then(|status| status.code.as_ref()) {
            Some(ExportTaskStatusCode::Completed) => TaskStatus::Completed,
            Some(ExportTaskStatusCode::Failed) => TaskStatus::Failed,
            Some(ExportTaskStatusCode::Cancelled) => TaskStatus::Cancelled,
            Some(ExportTaskStatusCode::PendingCancel) => TaskStatus::PendingCancel,
            Some(ExportTaskStatusCode::Running) => TaskStatus::Running,
            // A state that this version does not know is no end: keep asking until the deadline.
            _ => TaskStatus::Pending,
        },
        message: status
            .and_then(|status| status.message.clone())
            .unwrap_or_default(),
    }
}

fn service_error<E>(error: SdkError<E>) -> ServiceError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let code = error
        .as_service_error()
        .and_then(|e| e.meta().code())
        .unwrap_or_default();
    let kind = match (&error, code) {
        (_, "LimitExceededException") => ServiceErrorKind::SlotBusy,
        (
            _,
            "ThrottlingException"
            | "Throttling"
            | "ServiceUnavailableException"
            | "ServiceUnavailable"
            | "OperationAbortedException"
            | "InternalFailure"
            | "InternalServerError"
            | "RequestTimeout",
        ) => ServiceErrorKind::Transient,
        (_, "ResourceNotFoundException") => ServiceErrorKind::NotFound,
        (_, "InvalidParameterException" | "ValidationException") => ServiceErrorKind::Invalid,
        (
            _,
            "AccessDeniedException"
            | "AccessDenied"
            | "UnrecognizedClientException"
            | "ExpiredTokenException"
            | "ExpiredToken"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "AuthFailure"
            | "MissingAuthenticationToken"
            | "IncompleteSignature",
        ) => ServiceErrorKind::Refused,
        (SdkError::ResponseError(answer), _)
            if matches!(answer.raw().status().as_u16(), 401 | 403) =>
        {
            ServiceErrorKind::Refused
        }
        (SdkError::TimeoutError(_) | SdkError::ResponseError(_), _) => ServiceErrorKind::Transient,
        (SdkError::DispatchFailure(failure), _) if failure.is_timeout() || failure.is_io() => {
            ServiceErrorKind::Transient
        }
        (SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_), _) => {
            ServiceErrorKind::Refused
        }
        (SdkError::ServiceError(raw), _) if raw.raw().status().as_u16() >= 500 => {
            ServiceErrorKind::Transient
        }
        _ => ServiceErrorKind::Other,
    };
    let message = match error.as_service_error().and_then(|e| e.meta().message()) {
        Some(message) if code.is_empty() => message.to_owned(),
        Some(message) => format!("{message} ({code})"),
        None => match error.raw_response() {
            Some(answer) => {
                let body = answer.body().bytes().unwrap_or_default();
                let body: String = String::from_utf8_lossy(body).chars().take(500).collect();
                format!(
                    "HTTP {}: {}",
                    answer.status(),
                    body.split_whitespace().collect::<Vec<_>>().join(" ")
                )
            }
            None => format!("no answer from CloudWatch Logs: {}", root_cause(&error)),
        },
    };
    ServiceError { kind, message }
}
