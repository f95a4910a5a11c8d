//! CloudWatch Logs: log groups, their streams, export tasks, single events and Insights queries.

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::config::Config;
use aws_sdk_cloudwatchlogs::config::retry::RetryConfig;
use aws_sdk_cloudwatchlogs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudwatchlogs::types::{ExportTaskStatusCode, LogGroupClass, OrderBy, QueryStatus};
use chrono::{DateTime, Utc};

use super::failure;
use super::network::Peer;
use super::{Account, Aws, endpoints, find_cause, timeouts};
use crate::error::Result;
use crate::job::split_group_arn;
use crate::window::Range;

pub use crate::layout::Origin;

/// A log group, as far as exports need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogGroup {
    /// The name; of a linked account the ARN, since several accounts may have groups of one name.
    pub name: String,
    /// When it was created, in milliseconds since 1970. It may hold older events: agents ship older lines.
    pub created_ms: i64,
    /// Its size at the service's last count: 0 for hours after the first event.
    pub stored_bytes: i64,
    /// The days for which it keeps events; all events where unset.
    pub retention_days: Option<u32>,
    /// Its class.
    pub class: GroupClass,
    /// The account and Region that it is in, if its ARN says so.
    pub origin: Option<Origin>,
}

/// The class of a log group, which decides how its events can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupClass {
    /// They can be exported, and read through the Logs API.
    Standard,
    /// They can be exported only.
    InfrequentAccess,
    /// They are delivered as they come in, and can be read in neither way.
    Delivery,
}

/// A request for a page of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// The log group.
    pub log_group: String,
    /// Only the streams whose name begins with this prefix.
    pub log_stream_prefix: Option<String>,
    /// The events' own times. The page may have events of the end of the interval too.
    pub range: Range,
    /// The `next_token` of the page before.
    pub token: Option<String>,
}

/// A page of events. It may be empty without being the last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventPage {
    /// The events.
    pub events: Vec<LogEvent>,
    /// The token of the next page; `None` on the last one.
    pub next_token: Option<String>,
}

/// An event as it was ingested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEvent {
    /// Its id, which is unique in the account; empty where the server gives none.
    pub id: String,
    /// Its own time, in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// The log stream.
    pub log_stream: String,
    /// The message, with its newlines.
    pub message: String,
}

/// The state of an Insights query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InsightsState {
    /// Scheduled or running.
    Running,
    /// Done: for each row, its fields by name.
    Complete(Vec<Vec<(String, String)>>),
    /// It ended without rows, in this state.
    Failed(String),
}

/// A log stream, as far as exports without events need it. Times are in milliseconds since 1970, and the service
/// updates them late.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogStream {
    /// The name.
    pub name: String,
    /// The time of its earliest event.
    pub first_event_ms: Option<i64>,
    /// The time of its latest event.
    pub last_event_ms: Option<i64>,
    /// When it last got an event.
    pub last_ingestion_ms: Option<i64>,
}

/// A page of a list, in the service's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// The token of the next page; `None` on the last one.
    pub next: Option<String>,
}

/// Which export tasks to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskFilter {
    /// Every task that the service still lists.
    All,
    /// The task with this id.
    Id(String),
    /// The tasks in this state.
    Status(TaskStatus),
}

/// What to export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRequest {
    /// The task's name, shown in the console.
    pub name: String,
    /// The log group.
    pub log_group: String,
    /// Only the streams whose name begins with this prefix.
    pub log_stream_prefix: Option<String>,
    /// The start of the requested times, in milliseconds since 1970.
    pub from_ms: i64,
    /// The end of the requested times, in milliseconds since 1970.
    pub to_ms: i64,
    /// The bucket.
    pub bucket: String,
    /// The prefix of every key, without a slash at its end.
    pub prefix: String,
}

/// An export task and its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// The log group that it exports.
    pub log_group: String,
    /// The bucket that it writes to.
    pub bucket: String,
    /// The prefix of its keys.
    pub prefix: String,
    /// The requested times.
    pub range: Option<Range>,
    /// When the service accepted it.
    pub created: Option<DateTime<Utc>>,
    /// The status.
    pub status: TaskStatus,
    /// The service's message about the status.
    pub message: String,
}

/// The status of an export task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskStatus {
    /// Accepted, not started.
    Pending,
    /// Running.
    Running,
    /// A cancellation was requested.
    PendingCancel,
    /// Done.
    Completed,
    /// Failed.
    Failed,
    /// Cancelled.
    Cancelled,
}

impl TaskStatus {
    /// The statuses that hold the one export slot of an account and Region, in a task's own order: where they are
    /// listed one after the other, no task is missed.
    pub const ACTIVE: [Self; 3] = [Self::Pending, Self::Running, Self::PendingCancel];

    /// Whether a task of this status holds the export slot.
    pub fn is_active(self) -> bool {
        Self::ACTIVE.contains(&self)
    }

    /// The service's name for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::PendingCancel => "PENDING_CANCEL",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

/// A failed request to CloudWatch Logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceError {
    /// The kind of failure.
    pub kind: ServiceErrorKind,
    /// The service's message.
    pub message: String,
}

/// The kind of a failed request, which decides what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceErrorKind {
    /// Another export task is active: wait.
    SlotBusy,
    /// Too many requests: retry; the request was not executed.
    Throttled,
    /// Server error: retry, but the request may have been executed.
    Transient,
    /// No answer: the service was not reached, or its answer was lost. Retry, but the request may have been executed.
    NoAnswer,
    /// The log group or the task does not exist.
    NotFound,
    /// The request is wrong: the bucket, its policy, the time range.
    Invalid,
    /// Credentials are missing, expired or lack a permission.
    Refused,
    /// Anything else.
    Other,
}

impl ServiceError {
    /// The failure as a state that is waited in.
    pub fn as_state(&self) -> String {
        match self.kind {
            ServiceErrorKind::NoAnswer => self.message.clone(),
            _ => format!("CloudWatch Logs answered: {}", self.message),
        }
    }
}

impl ServiceErrorKind {
    /// Whether the request may have been executed nevertheless.
    pub fn leaves_doubt(self) -> bool {
        matches!(self, Self::Transient | Self::NoAnswer)
    }

    /// Whether a retry may succeed.
    pub fn passes(self) -> bool {
        self.leaves_doubt() || self == Self::Throttled
    }
}

/// The beginning of names within the ARN of a log group: `arn:aws:logs:<region>:<account>:log-group:<beginning of the name>`.
struct LinkedPrefix<'a> {
    account: &'a str,
    name: &'a str,
}

impl<'a> LinkedPrefix<'a> {
    fn of(prefix: &'a str) -> Option<Self> {
        let parts: Vec<&str> = prefix.splitn(7, ':').collect();
        match parts[..] {
            ["arn", _, "logs", _, account, "log-group", name] => Some(Self { account, name }),
            _ => None,
        }
    }
}

/// A log group for a request that takes the name of one of the caller's account.
fn named(log_group: &str) -> Option<String> {
    split_group_arn(log_group)
        .is_none()
        .then(|| log_group.to_owned())
}

/// A log group for a request that takes the ARN of one of a linked account. A request has either this or a name.
fn identified(log_group: &str) -> Option<String> {
    split_group_arn(log_group).map(|_| log_group.to_owned())
}

/// The client for one account and Region.
#[derive(Debug, Clone)]
pub struct LogsClient {
    client: Client,
    endpoint: String,
    peer: Peer,
}

impl LogsClient {
    /// A client with the credentials for the logs of an account.
    pub async fn new(aws: &Aws, account: Account) -> Result<Self> {
        let config = aws.config(account).await?;
        let endpoint = endpoints::of_logs(config).await?;
        let mut builder = aws_sdk_cloudwatchlogs::config::Builder::from(config);
        builder.set_endpoint_url(endpoints::configured_logs(config)?);
        Ok(Self {
            client: Client::from_conf(builder.build()),
            peer: Peer::of(&endpoint),
            endpoint,
        })
    }

    fn failed<E>(&self, error: SdkError<E>) -> ServiceError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        service_error(&error, &self.peer)
    }

    /// The endpoint.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// A page of the log groups whose names begin with `prefix`, by name; within the ARN of a log group, those of the linked
    /// account, whose names are ARNs. It is the first request of all to the service, and is repeated less than others.
    pub async fn log_groups(
        &self,
        prefix: &str,
        page: Option<String>,
    ) -> Result<Page<LogGroup>, ServiceError> {
        let linked = LinkedPrefix::of(prefix);
        let request = self.client.describe_log_groups();
        let (request, prefix) = match &linked {
            None => (request, prefix),
            Some(linked) => {
                let request = request.include_linked_accounts(true);
                (request.account_identifiers(linked.account), linked.name)
            }
        };
        let answer = request
            .set_log_group_name_prefix((!prefix.is_empty()).then(|| prefix.to_owned()))
            .set_next_token(page)
            .customize()
            .config_override(Config::builder().retry_config(timeouts::sdk_first_retries()))
            .send()
            .await
            .map_err(|error| self.failed(error))?;
        let groups = answer.log_groups.unwrap_or_default().into_iter();
        Ok(Page {
            items: groups
                .filter_map(|group| {
                    let arn = group.log_group_arn.or(group.arn);
                    let name = group.log_group_name?;
                    Some(LogGroup {
                        origin: arn.as_deref().and_then(Origin::of_arn),
                        name: match linked {
                            None => name,
                            // The service writes `:*` behind some ARNs.
                            Some(_) => arn?.trim_end_matches(":*").to_owned(),
                        },
                        created_ms: group.creation_time.unwrap_or(0),
                        stored_bytes: group.stored_bytes.unwrap_or(0),
                        retention_days: group
                            .retention_in_days
                            .and_then(|days| u32::try_from(days).ok()),
                        class: match group.log_group_class {
                            Some(LogGroupClass::InfrequentAccess) => GroupClass::InfrequentAccess,
                            Some(LogGroupClass::Delivery) => GroupClass::Delivery,
                            _ => GroupClass::Standard,
                        },
                    })
                })
                .collect(),
            next: answer.next_token,
        })
    }

    /// A page of a log group's streams, those with the latest event first.
    pub async fn log_streams(
        &self,
        log_group: &str,
        page: Option<String>,
    ) -> Result<Page<LogStream>, ServiceError> {
        let answer = self
            .client
            .describe_log_streams()
            .set_log_group_name(named(log_group))
            .set_log_group_identifier(identified(log_group))
            .order_by(OrderBy::LastEventTime)
            .descending(true)
            .set_next_token(page)
            .send()
            .await
            .map_err(|error| self.failed(error))?;
        let streams = answer.log_streams.unwrap_or_default().into_iter();
        Ok(Page {
            items: streams
                .map(|stream| LogStream {
                    name: stream.log_stream_name.unwrap_or_default(),
                    first_event_ms: stream.first_event_timestamp,
                    last_event_ms: stream.last_event_timestamp,
                    last_ingestion_ms: stream.last_ingestion_time,
                })
                .collect(),
            next: answer.next_token,
        })
    }

    /// Requests an export task and returns its id. Not retried: after a lost answer, the task may exist.
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
            .map_err(|error| self.failed(error))?;
        response.task_id.ok_or_else(|| ServiceError {
            kind: ServiceErrorKind::Transient,
            message: "CreateExportTask answered without a task id".to_owned(),
        })
    }

    /// A page of the export tasks of any caller; empty for an unknown id.
    pub async fn export_tasks(
        &self,
        filter: &TaskFilter,
        page: Option<String>,
    ) -> Result<Page<Task>, ServiceError> {
        let request = self
            .client
            .describe_export_tasks()
            .set_next_token(page.clone());
        let request = match filter {
            TaskFilter::All => request,
            TaskFilter::Id(id) => request.task_id(id),
            TaskFilter::Status(status) => request.status_code(status.as_str().into()),
        };
        match request.send().await.map_err(|error| self.failed(error)) {
            Ok(answer) => Ok(Page {
                items: answer
                    .export_tasks
                    .unwrap_or_default()
                    .into_iter()
                    .map(task)
                    .filter(|task| filter.takes(task))
                    .collect(),
                // A page with the token of the one before is taken as the last: the tasks that are searched for are
                // among the newest, and a search may end at any page.
                next: answer.next_token.filter(|next| page.as_ref() != Some(next)),
            }),
            Err(error) if error.kind == ServiceErrorKind::NotFound => Ok(Page {
                items: Vec::new(),
                next: None,
            }),
            Err(error) => Err(error),
        }
    }
}

impl TaskFilter {
    /// Whether the filter selects the task. Emulators of AWS return other tasks too.
    pub fn takes(&self, task: &Task) -> bool {
        match self {
            Self::All => true,
            Self::Id(id) => task.id == *id,
            Self::Status(status) => task.status == *status,
        }
    }
}

impl LogsClient {
    /// A page of events, by time.
    pub async fn events(&self, request: &PageRequest) -> Result<EventPage, ServiceError> {
        let answer = self
            .client
            .filter_log_events()
            .set_log_group_name(named(&request.log_group))
            .set_log_group_identifier(identified(&request.log_group))
            .set_log_stream_name_prefix(request.log_stream_prefix.clone())
            .start_time(request.range.start_ms)
            // Documented as included, and seen as not included (aws/aws-cli#4262).
            .end_time(request.range.end_ms)
            .set_next_token(request.token.clone())
            .send()
            .await
            .map_err(|error| self.failed(error))?;
        let events = answer.events.unwrap_or_default().into_iter();
        Ok(EventPage {
            events: events
                .map(|event| LogEvent {
                    id: event.event_id.unwrap_or_default(),
                    timestamp_ms: event.timestamp.unwrap_or(0),
                    log_stream: event.log_stream_name.unwrap_or_default(),
                    message: event.message.unwrap_or_default(),
                })
                .collect(),
            next_token: answer.next_token.filter(|token| !token.is_empty()),
        })
    }

    /// Starts an Insights query over log groups (50 at the most) and whole seconds since 1970, both ends included.
    pub async fn start_insights(
        &self,
        log_groups: &[String],
        from_s: i64,
        to_s: i64,
        query: &str,
    ) -> Result<String, ServiceError> {
        let are_linked = log_groups.iter().any(|group| identified(group).is_some());
        let request = self.client.start_query();
        let request = match are_linked {
            false => request.set_log_group_names(Some(log_groups.to_vec())),
            true => request.set_log_group_identifiers(Some(log_groups.to_vec())),
        };
        let answer = request
            .start_time(from_s)
            .end_time(to_s)
            .query_string(query)
            // The most rows of an answer; the default is lower.
            .limit(10_000)
            .send()
            .await
            .map_err(|error| self.failed(error))?;
        answer.query_id.ok_or_else(|| ServiceError {
            kind: ServiceErrorKind::Other,
            message: "StartQuery answered without a query id".to_owned(),
        })
    }

    /// Stops an Insights query, which costs money while it runs.
    pub async fn stop_insights(&self, id: &str) -> Result<(), ServiceError> {
        let stopping = self.client.stop_query().query_id(id).send();
        stopping.await.map(drop).map_err(|error| self.failed(error))
    }

    /// The state of an Insights query, with its rows once it is complete.
    pub async fn insights(&self, id: &str) -> Result<InsightsState, ServiceError> {
        let answer = self
            .client
            .get_query_results()
            .query_id(id)
            .send()
            .await
            .map_err(|error| self.failed(error))?;
        Ok(match answer.status {
            Some(QueryStatus::Complete) => {
                let rows = answer.results.unwrap_or_default().into_iter();
                InsightsState::Complete(
                    rows.map(|row| {
                        row.into_iter()
                            .map(|field| {
                                (
                                    field.field.unwrap_or_default(),
                                    field.value.unwrap_or_default(),
                                )
                            })
                            .collect()
                    })
                    .collect(),
                )
            }
            Some(
                failed @ (QueryStatus::Failed | QueryStatus::Cancelled | QueryStatus::Timeout),
            ) => InsightsState::Failed(failed.as_str().to_owned()),
            _ => InsightsState::Running,
        })
    }
}

fn task(task: aws_sdk_cloudwatchlogs::types::ExportTask) -> Task {
    let status = task.status.as_ref();
    Task {
        id: task.task_id.unwrap_or_default(),
        name: task.task_name.unwrap_or_default(),
        log_group: task.log_group_name.unwrap_or_default(),
        bucket: task.destination.unwrap_or_default(),
        prefix: task.destination_prefix.unwrap_or_default(),
        range: task
            .from
            .zip(task.to)
            .map(|(start_ms, end_ms)| Range { start_ms, end_ms }),
        created: task
            .execution_info
            .and_then(|info| DateTime::from_timestamp_millis(info.creation_time?)),
        status: match status.and_then(|status| status.code.as_ref()) {
            Some(ExportTaskStatusCode::Completed) => TaskStatus::Completed,
            Some(ExportTaskStatusCode::Failed) => TaskStatus::Failed,
            Some(ExportTaskStatusCode::Cancelled) => TaskStatus::Cancelled,
            Some(ExportTaskStatusCode::PendingCancel) => TaskStatus::PendingCancel,
            Some(ExportTaskStatusCode::Running) => TaskStatus::Running,
            // An unknown status is not an end: the task is polled until the deadline.
            _ => TaskStatus::Pending,
        },
        message: status
            .and_then(|status| status.message.clone())
            .unwrap_or_default(),
    }
}

/// A failed request, to the service at an endpoint.
pub(super) fn service_error<E>(error: &SdkError<E>, peer: &Peer) -> ServiceError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let code = error
        .as_service_error()
        .and_then(|e| e.meta().code())
        .unwrap_or_default();
    let kind = match (error, code) {
        (_, "LimitExceededException") => ServiceErrorKind::SlotBusy,
        (_, "ThrottlingException" | "Throttling" | "TooManyRequestsException") => {
            ServiceErrorKind::Throttled
        }
        (
            _,
            "ServiceUnavailableException"
            | "ServiceUnavailable"
            | "OperationAbortedException"
            | "InternalFailure"
            | "InternalServerError"
            | "RequestTimeout"
            | "RequestTimeoutException",
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
        (SdkError::ResponseError(_), _) => ServiceErrorKind::Transient,
        (SdkError::TimeoutError(_), _) => ServiceErrorKind::NoAnswer,
        // Without credentials, nothing was sent. A connection that broke may have carried the request.
        (SdkError::DispatchFailure(_), _) if find_cause::<CredentialsError>(error).is_none() => {
            ServiceErrorKind::NoAnswer
        }
        (SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_), _) => {
            ServiceErrorKind::Refused
        }
        (SdkError::ServiceError(raw), _) if matches!(raw.raw().status().as_u16(), 401 | 403) => {
            ServiceErrorKind::Refused
        }
        (SdkError::ServiceError(raw), _) if matches!(raw.raw().status().as_u16(), 408 | 500..) => {
            ServiceErrorKind::Transient
        }
        _ => ServiceErrorKind::Other,
    };
    let message = failure::of_logs(error, peer);
    ServiceError { kind, message }
}

#[cfg(test)]
mod tests;
