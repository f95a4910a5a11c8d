//! How long a request may take and how often it is sent again: one policy for both clients, the SDK's and the engine's.
//!
//! Both outlast a minute in which S3 fails, and give up soon after it. A connection on which nothing moves is given up
//! long before, since the next one is likely to work.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService, SpawnedReqwestConnector,
};
use object_store::{BackoffConfig, ClientOptions};
use tokio::time::Sleep;

/// The longest wait for a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// A connection on which nothing moves for so long is dead. S3's first byte takes 0.1 s, and seconds on a bad day.
const QUIET: Duration = Duration::from_secs(15);

/// The longest that one request of the engine may take: 32 MiB at 1 Mbit/s.
const ENGINE_REQUEST: Duration = Duration::from_secs(300);

/// The slowest way up that a request is given time for, in bytes for each second: 1 Mbit/s.
const SLOWEST_UPLOAD: u64 = 128 << 10;

/// Tries at a request, the first one included.
const TRIES: u32 = 10;

/// Tries at the first request of all: a wrong endpoint or Region is to be told in seconds.
const FIRST_TRIES: u32 = 5;

const LONGEST_BACKOFF: Duration = Duration::from_secs(15);

/// No request is sent again so long after it was first sent, with the credentials of then.
const LATEST_RETRY: Duration = Duration::from_secs(180);

/// How often the SDK sends a request again: for about 40 seconds, and 70 at the most.
pub(super) fn sdk_retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(TRIES)
        .with_initial_backoff(Duration::from_millis(500))
        .with_max_backoff(LONGEST_BACKOFF)
}

/// The same for the first request to a service.
pub(super) fn sdk_first_retries() -> RetryConfig {
    sdk_retries().with_max_attempts(FIRST_TRIES)
}

/// How long the SDK's requests may take that carry little.
pub(super) fn sdk_timeouts() -> TimeoutConfig {
    sdk_timeouts_for(0)
}

/// How long each try at a request may take that sends so many bytes.
pub(super) fn sdk_timeouts_for(bytes: u64) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_WITHIN)
        .operation_attempt_timeout(QUIET + Duration::from_secs(bytes / SLOWEST_UPLOAD))
        .build()
}

/// How long the SDK waits for a body of which nothing moves.
pub(super) fn sdk_stalled_streams() -> StalledStreamProtectionConfig {
    StalledStreamProtectionConfig::enabled()
        .grace_period(QUIET)
        .build()
}

/// How often the engine's client sends a request again: for about 50 seconds. A body that breaks off is asked for again
/// from there.
pub(super) fn engine_retries() -> object_store::RetryConfig {
    object_store::RetryConfig {
        // The next wait is one between the first and three times the last.
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(200),
            max_backoff: LONGEST_BACKOFF,
            base: 3.0,
        },
        max_retries: TRIES as usize,
        retry_timeout: LATEST_RETRY,
    }
}

/// How long the engine's requests may take.
pub(super) fn engine_timeouts() -> ClientOptions {
    ClientOptions::new()
        .with_connect_timeout(CONNECT_WITHIN)
        .with_timeout(ENGINE_REQUEST)
}

/// The engine's HTTP client on a runtime of its own, which gives up connections that have gone quiet: its own time-out is
/// one for the whole request. For requests that send next to nothing.
#[derive(Debug)]
pub struct Connector(pub SpawnedReqwestConnector);

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Impatient(self.0.connect(options)?)))
    }
}

#[derive(Debug)]
struct Impatient(HttpClient);

#[async_trait]
impl HttpService for Impatient {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answered = tokio::time::timeout(QUIET, self.0.execute(request)).await;
        let (parts, body) = answered.map_err(|_| quiet())??.into_parts();
        let body = HttpResponseBody::new(WatchedBody {
            inner: body,
            quiet: None,
        });
        Ok(HttpResponse::from_parts(parts, body))
    }
}

fn quiet() -> HttpError {
    let message = format!("nothing came for {} seconds", QUIET.as_secs());
    HttpError::new(
        HttpErrorKind::Timeout,
        std::io::Error::new(std::io::ErrorKind::TimedOut, message),
    )
}

/// A body that ends in an error where nothing comes for too long. The time that nobody asks for more does not count.
struct WatchedBody {
    inner: HttpResponseBody,
    quiet: Option<Pin<Box<Sleep>>>,
}

impl Body for WatchedBody {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(context) {
            self.quiet = None;
            return Poll::Ready(frame);
        }
        let quiet_for = self
            .quiet
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(QUIET)));
        ready!(quiet_for.as_mut().poll(context));
        self.quiet = None;
        Poll::Ready(Some(Err(quiet())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
