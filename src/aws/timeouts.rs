//! How long a request may take and how often it is sent again: one policy for both clients, the SDK's and the engine's.
//!
//! Both outlast half a minute in which S3 fails, and give up within minutes. An idle connection is given up much
//! sooner, since the next one is likely to work.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use object_store::BackoffConfig;

use crate::backoff::{Backoff, Retries};

/// The longest wait for a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// The longest time without a byte on a connection. S3's first byte takes 0.1 s, and seconds on a bad day.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// The longest time for one request of the engine: 32 MiB at 1 Mbit/s.
const ENGINE_REQUEST: Duration = Duration::from_secs(300);

/// The slowest upload that a request is given time for, in bytes a second: 1 Mbit/s.
const SLOWEST_UPLOAD: u64 = 128 << 10;

/// Attempts at a request to S3, CloudWatch Logs or CloudWatch: for about 55 seconds, 75 at the most. What the clients
/// do not repeat themselves (a conditional put that met another one, an answer that broke off) is repeated by it too.
pub(crate) const RETRIES: Retries = Retries {
    attempts: 10,
    backoff: Backoff {
        first: Duration::from_millis(500),
        most: Duration::from_secs(15),
    },
};

/// Attempts at the first request of all: a wrong endpoint, Region or proxy fails within seconds, or within half a minute
/// where connections are not even refused.
const FIRST_ATTEMPTS: u32 = 4;

/// The longest time for which the engine's client repeats requests to a host that never answered.
pub(super) const FIRST_ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// The longest time after which the engine's client still repeats a request, since it keeps the first one's signature.
const LATEST_RETRY: Duration = Duration::from_secs(180);

/// The SDK's retries. Its jitter may take all of a delay away: about 40 seconds, 75 at the most.
pub(super) fn sdk_retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(RETRIES.attempts)
        .with_initial_backoff(RETRIES.backoff.first)
        .with_max_backoff(RETRIES.backoff.most)
}

/// The SDK's retries of the first request to a service.
pub(super) fn sdk_first_retries() -> RetryConfig {
    sdk_retries().with_max_attempts(FIRST_ATTEMPTS)
}

/// The time-outs of the SDK's small requests.
pub(super) fn sdk_timeouts() -> TimeoutConfig {
    sdk_timeouts_for(0)
}

/// The time-outs of a request that sends this many bytes.
pub(super) fn sdk_timeouts_for(bytes: u64) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_WITHIN)
        .operation_attempt_timeout(IDLE_TIMEOUT + Duration::from_secs(bytes / SLOWEST_UPLOAD))
        .build()
}

/// The SDK's time-out for a body that is idle.
pub(super) fn sdk_stalled_streams() -> StalledStreamProtectionConfig {
    StalledStreamProtectionConfig::enabled()
        .grace_period(IDLE_TIMEOUT)
        .build()
}

/// The engine's retries, for about 50 seconds. A body of a GET that breaks off is resumed there.
pub(super) fn engine_retries() -> object_store::RetryConfig {
    object_store::RetryConfig {
        // Each delay is between the first one and three times the last one.
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(200),
            max_backoff: RETRIES.backoff.most,
            base: 3.0,
        },
        max_retries: RETRIES.attempts as usize,
        retry_timeout: LATEST_RETRY,
    }
}

/// The engine's time-outs.
pub(super) fn engine_timeouts(client: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
    client
        .connect_timeout(CONNECT_WITHIN)
        .timeout(ENGINE_REQUEST)
}
