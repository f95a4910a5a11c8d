//! CloudWatch Logs: log groups, their streams, export tasks, single events and Insights queries.

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::config::Config;
use aws_sdk_cloudwatchlogs::config::retry::RetryConfig;
use aws_sdk_cloudwatchlogs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudwatchlogs::types::{ExportTaskStatusCode, LogGroupClass, OrderBy, QueryStatus};
use chrono::{DateTime, Utc};

use super::config::logs_endpoint;
use super::{Account, Aws, root_cause};
use crate::error::Result;
use crate::window::Range;

/// A log group, as far as an export wants to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogGroup {
    /// The name.
    pub name: String,
    /// When it was made, in milliseconds since 1970. It may hold older events: agents ship lines from before it.
    pub created_ms: i64,
    /// How much it holds, as the service last counted: 0 for hours after the first event.
    pub stored_bytes: i64,
    /// How many days it keeps its events; for ever where unset.
    pub retention_days: Option<u32>,
    /// What the service does with its events.
    pub class: GroupClass,
}

/// What the service does with a log group's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupClass {
    /// All that there is: they can be exported, and read through the Logs API.
    Standard,
    /// They can be exported only.
    InfrequentAccess,
    /// They are handed on as they come in, and can be had in neither way.
    Delivery,
}

/// A request for a page of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// The log group.
    pub log_group: String,
    /// Only streams whose name begins so.
    pub log_stream_prefix: Option<String>,
    /// The events' own times. What is at the end of the interval may come too.
    pub range: Range,
    /// Where the page before this one ended.
    pub token: Option<String>,
}

/// Some of the events that were asked for; it may be empty without being the last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventPage {
    /// The events.
    pub events: Vec<LogEvent>,
    /// Where the next page begins; `None` where this is the last.
    pub next_token: Option<String>,
}

/// An event as it was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEvent {
    /// Its own time, in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// The log stream.
    pub log_stream: String,
    /// The message, with the newlines that it has.
    pub message: String,
}

/// Where an Insights query stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InsightsState {
    /// Scheduled or running.
    Running,
    /// Done: for each row its fields by name.
    Complete(Vec<Vec<(String, String)>>),
    /// It ended without rows, in this state.
    Failed(String),
}

/// A log stream, as far as an export without objects wants to know it. Times are in milliseconds since 1970, and follow
/// the events with a delay.
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

/// Some of a list, in the service's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// What there is.
    pub items: Vec<T>,
    /// What to ask for the next page with; `None` at the end.
    pub next: Option<String>,
}

/// Which export tasks to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskFilter {
    /// Every one that the service remembers.
    All,
    /// The one with this id.
    Id(String),
    /// Those in this state.
    Status(TaskStatus),
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
    /// The bucket that it writes to.
    pub bucket: String,
    /// What its keys begin with.
    pub prefix: String,
    /// The events that were asked for.
    pub range: Option<Range>,
    /// When the service took it on.
    pub created: Option<DateTime<Utc>>,
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
    /// The states that hold the one export slot of the account and Region, in the order in which a task goes through
    /// them: asked for one after the other, no task slips through.
    pub const ACTIVE: [Self; 3] = [Self::Pending, Self::Running, Self::PendingCancel];

    /// Whether it holds the slot.
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
    /// Too many requests: nothing was done, ask again later.
    Throttled,
    /// The service is not well: ask again later, but what was asked for may have been done.
    Transient,
    /// No answer came, whether the service was not reached or its answer was lost: ask again later, but what was asked
    /// for may have been done.
    NoAnswer,
    /// The log group or the task does not exist.
    NotFound,
    /// The request can't be fulfilled as it is: the bucket, its policy, the time range.
    Invalid,
    /// Credentials are missing, expired or lack a permission.
    Refused,
    /// Anything else.
    Other,
}

impl ServiceErrorKind {
    /// Whether what was asked for may have been done all the same.
    pub fn leaves_doubt(self) -> bool {
        matches!(self, Self::Transient | Self::NoAnswer)
    }

    /// Whether asking again later may help.
    pub fn passes(self) -> bool {
        self.leaves_doubt() || self == Self::Throttled
    }
}

/// The client for one account and Region.
#[derive(Debug, Clone)]
pub struct LogsClient {
    client: Client,
    endpoint: String,
}

impl LogsClient {
    /// A client with the credentials for the logs.
    pub async fn new(aws: &Aws) -> Result<Self> {
        let config = aws.config(Account::Source).await?;
        Ok(Self {
            client: Client::new(config),
            endpoint: logs_endpoint(config),
        })
    }

    /// Where the service is asked.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// A page of the log groups whose names begin with `prefix`, by name.
    pub async fn log_groups(
        &self,
        prefix: &str,
        page: Option<String>,
    ) -> Result<Page<LogGroup>, ServiceError> {
        let answer = self
            .client
            .describe_log_groups()
            .set_log_group_name_prefix((!prefix.is_empty()).then(|| prefix.to_owned()))
            .set_next_token(page)
            .send()
            .await
            .map_err(service_error)?;
        let groups = answer.log_groups.unwrap_or_default().into_iter();
        Ok(Page {
            items: groups
                .filter_map(|group| {
                    Some(LogGroup {
                        name: group.log_group_name?,
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
            .log_group_name(log_group)
            .order_by(OrderBy::LastEventTime)
            .descending(true)
            .set_next_token(page)
            .send()
            .await
            .map_err(service_error)?;
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
            kind: ServiceErrorKind::Transient,
            message: "CreateExportTask answered without a task id".to_owned(),
        })
    }

    /// A page of the export tasks, of anybody; empty where there is no such task.
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
        match request.send().await.map_err(service_error) {
            Ok(answer) => Ok(Page {
                items: answer
                    .export_tasks
                    .unwrap_or_default()
                    .into_iter()
                    .map(task)
                    .filter(|task| filter.takes(task))
                    .collect(),
                // A page that is the one before once more is the last: what is looked for is among the newest, and the
                // list may be left at any place.
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
    /// Whether it is one of the tasks to list. Servers that stand in for AWS list others too.
    pub fn takes(&self, task: &Task) -> bool {
        match self {
            Self::All => true,
            Self::Id(id) => task.id == *id,
            Self::Status(status) => task.status == *status,
        }
    }
}

impl LogsClient {
    /// A page of events, in the order of their times.
    pub async fn events(&self, request: &PageRequest) -> Result<EventPage, ServiceError> {
        let answer = self
            .client
            .filter_log_events()
            .log_group_name(&request.log_group)
            .set_log_stream_name_prefix(request.log_stream_prefix.clone())
            .start_time(request.range.start_ms)
            // Documented to be included, and seen not to be (aws/aws-cli#4262).
            .end_time(request.range.end_ms)
            .set_next_token(request.token.clone())
            .send()
            .await
            .map_err(service_error)?;
        let events = answer.events.unwrap_or_default().into_iter();
        Ok(EventPage {
            events: events
                .map(|event| LogEvent {
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
        let answer = self
            .client
            .start_query()
            .set_log_group_names(Some(log_groups.to_vec()))
            .start_time(from_s)
            .end_time(to_s)
            .query_string(query)
            // As many rows as one answer can have; fewer is the default.
            .limit(10_000)
            .send()
            .await
            .map_err(service_error)?;
        answer.query_id.ok_or_else(|| ServiceError {
            kind: ServiceErrorKind::Other,
            message: "StartQuery answered without a query id".to_owned(),
        })
    }

    /// Stops an Insights query, which costs money for as long as it runs.
    pub async fn stop_insights(&self, id: &str) -> Result<(), ServiceError> {
        let stopping = self.client.stop_query().query_id(id).send();
        stopping.await.map(drop).map_err(service_error)
    }

    /// Where an Insights query stands, with its rows once it is complete.
    pub async fn insights(&self, id: &str) -> Result<InsightsState, ServiceError> {
        let answer = self
            .client
            .get_query_results()
            .query_id(id)
            .send()
            .await
            .map_err(service_error)?;
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
            // A state that this version does not know is no end: keep asking until the deadline.
            _ => TaskStatus::Pending,
        },
        message: status
            .and_then(|status| status.message.clone())
            .unwrap_or_default(),
    }
}

fn lacks_credentials(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .any(|error| error.is::<CredentialsError>())
}

pub(super) fn service_error<E>(error: SdkError<E>) -> ServiceError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let code = error
        .as_service_error()
        .and_then(|e| e.meta().code())
        .unwrap_or_default();
    let kind = match (&error, code) {
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
        // Without credentials nothing was sent; but a connection that broke may have carried the request.
        (SdkError::DispatchFailure(_), _) if !lacks_credentials(&error) => {
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
            None => format!("no answer from CloudWatch: {}", root_cause(&error)),
        },
    };
    ServiceError { kind, message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_credential_types::Credentials;
    use aws_credential_types::provider::{ProvideCredentials, future};
    use aws_sdk_cloudwatchlogs::config::{BehaviorVersion, Region};
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    /// A server that gives the same answer to every request, or none, and counts them.
    fn serve(status: u16, body: &'static str) -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                if !read_request(&connection) {
                    continue;
                }
                counted.fetch_add(1, Ordering::SeqCst);
                if status != 0 {
                    let _ = write!(
                        connection,
                        "HTTP/1.1 {status} X\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                        body.len()
                    );
                }
            }
        });
        (endpoint, requests)
    }

    /// Reads a request to its end; false where none came.
    fn read_request(connection: &TcpStream) -> bool {
        let mut reader = BufReader::new(connection);
        let mut body = 0;
        for line in reader.by_ref().lines() {
            let Ok(line) = line else { return false };
            if line.is_empty() {
                return std::io::copy(&mut reader.take(body), &mut std::io::sink()).is_ok();
            }
            if let Some(length) = line.to_lowercase().strip_prefix("content-length:") {
                body = length.trim().parse().unwrap();
            }
        }
        false
    }

    #[derive(Debug)]
    struct Nobody;

    impl ProvideCredentials for Nobody {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("expired")))
        }
    }

    fn client(endpoint: String, credentials: impl ProvideCredentials + 'static) -> LogsClient {
        let retries = RetryConfig::standard()
            .with_max_attempts(3)
            .with_initial_backoff(Duration::from_millis(1));
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .credentials_provider(credentials)
            .region(Region::new("ap-northeast-2"))
            .retry_config(retries)
            .endpoint_url(&endpoint)
            .build();
        LogsClient {
            client: Client::from_conf(config),
            endpoint,
        }
    }

    fn somebody() -> Credentials {
        Credentials::new("id", "secret", None, None, "test")
    }

    #[tokio::test]
    async fn a_task_is_asked_for_with_one_request_whatever_the_answer() {
        use ServiceErrorKind::{Invalid, NoAnswer, SlotBusy, Throttled, Transient};
        let request = TaskRequest {
            name: "night".to_owned(),
            log_group: "/ecs/web".to_owned(),
            log_stream_prefix: None,
            from_ms: 0,
            to_ms: 1,
            bucket: "acme-logs".to_owned(),
            prefix: "exports".to_owned(),
        };
        for (status, body, kind) in [
            (
                400,
                r#"{"__type":"LimitExceededException","message":"Resource limit exceeded."}"#,
                SlotBusy,
            ),
            (
                400,
                r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#,
                Throttled,
            ),
            (
                400,
                r#"{"__type":"InvalidParameterException","message":"No."}"#,
                Invalid,
            ),
            (
                503,
                r#"{"__type":"ServiceUnavailableException"}"#,
                Transient,
            ),
            (500, "<html>", Transient),
            (200, "{}", Transient),
            (
                400,
                r#"{"__type":"RequestTimeoutException","message":"Too slow"}"#,
                Transient,
            ),
            (408, "{}", Transient),
            (0, "no answer at all", NoAnswer),
        ] {
            let (endpoint, requests) = serve(status, body);
            let client = client(endpoint, somebody());
            let error = client.create_export_task(&request).await.unwrap_err();
            assert_eq!(error.kind, kind, "{status} {body}: {}", error.message);
            assert_eq!(requests.load(Ordering::SeqCst), 1, "{status} {body}");
        }
        // The same client does send questions again.
        let (endpoint, requests) = serve(503, "{}");
        let client_of_somebody = client(endpoint, somebody());
        client_of_somebody.log_groups("", None).await.unwrap_err();
        assert_eq!(requests.load(Ordering::SeqCst), 3);

        // Nothing is in doubt where nothing could be sent.
        let (endpoint, requests) = serve(200, "{}");
        let client_of_nobody = client(endpoint, Nobody);
        let error = client_of_nobody.create_export_task(&request).await;
        assert_eq!(error.unwrap_err().kind, ServiceErrorKind::Refused);
        assert_eq!(requests.load(Ordering::SeqCst), 0);
    }
}
