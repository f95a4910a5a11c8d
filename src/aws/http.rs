//! One POST with the SDK's HTTP client, for what the SDK has no client for here: SNS and webhooks.
//!
//! Redirects are not followed: the request may carry a secret, and another host is not the one that the job names.

use std::fmt;
use std::time::Duration;

use aws_sdk_s3::config::http::HttpRequest;
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_smithy_runtime_api::client::http::HttpConnector;
use bytes::Bytes;

use super::network::Network;
use super::root_cause;
use crate::backoff::{Backoff, Retries, retry};
use crate::clock::SystemClock;

/// The longest time for one request and its answer.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);

/// The longest time for all attempts.
const SEND_WITHIN: Duration = Duration::from_secs(30);

/// The longest answer that is read.
const LONGEST_ANSWER: usize = 64 << 10;

/// Attempts at a request that surely was not taken.
const RETRIES: Retries = Retries {
    attempts: 3,
    backoff: Backoff {
        first: Duration::from_secs(1),
        most: Duration::from_secs(4),
    },
};

/// A request to be sent.
#[derive(Clone)]
pub struct Post {
    /// The URL, which may be a secret.
    pub url: String,
    /// The headers, of which some may be secrets.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// Why a request was not answered well. It repeats nothing of the request.
#[derive(Debug, PartialEq, Eq)]
pub enum PostError {
    /// The answer has another status than 2xx.
    Refused {
        /// The status.
        status: u16,
        /// The host that a redirect leads to.
        redirect: Option<String>,
        /// The body of the answer.
        body: String,
    },
    /// No answer came in time.
    TimedOut,
    /// There is no connection, so that the request was surely not taken.
    NotConnected(String),
    /// The connection broke.
    Failed(String),
}

impl PostError {
    /// Whether the request was surely not taken, and may be with the next attempt.
    fn is_worth_repeating(&self) -> bool {
        match self {
            Self::Refused { status, .. } => matches!(status, 429 | 503),
            Self::NotConnected(_) => true,
            Self::TimedOut | Self::Failed(_) => false,
        }
    }
}

impl fmt::Display for PostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused {
                status,
                redirect: Some(host),
                ..
            } => write!(
                f,
                "it answered {status}, a redirect to {host}, which is not followed: expected the URL that it leads to"
            ),
            Self::Refused { status, .. } => write!(f, "it answered {status}"),
            Self::TimedOut => f.write_str("no answer came in time"),
            Self::NotConnected(why) => write!(f, "no connection: {why}"),
            Self::Failed(why) => write!(f, "the connection broke: {why}"),
        }
    }
}

impl Post {
    /// Sends the request, again if it was surely not taken; the body of a good answer.
    pub async fn send(&self) -> Result<String, PostError> {
        let sent = retry(
            &SystemClock,
            RETRIES.delays(),
            PostError::is_worth_repeating,
            || async {
                let once = tokio::time::timeout(REQUEST_WITHIN, self.send_once());
                once.await.unwrap_or(Err(PostError::TimedOut))
            },
        );
        let sent = tokio::time::timeout(SEND_WITHIN, sent);
        sent.await.unwrap_or(Err(PostError::TimedOut))
    }

    async fn send_once(&self) -> Result<String, PostError> {
        let unusable = || PostError::Failed("the URL can't be requested".to_owned());
        let mut request = HttpRequest::new(SdkBody::from(self.body.to_vec()));
        request.set_method("POST").map_err(|_| unusable())?;
        request.set_uri(self.url.as_str()).map_err(|_| unusable())?;
        for (name, value) in &self.headers {
            let inserted = request
                .headers_mut()
                .try_insert(name.clone(), value.clone());
            inserted.map_err(|_| unusable())?;
        }
        let network = Network::of_environment().await;
        let network = network.map_err(|error| PostError::Failed(error.to_string()))?;
        let answer = network
            .connector(None, None)
            .call(request)
            .await
            .map_err(|error| {
                let cause = root_cause(&error);
                match is_of_connecting(&error) {
                    true => PostError::NotConnected(cause),
                    false => PostError::Failed(cause),
                }
            })?;
        let status = answer.status().as_u16();
        let location = answer.headers().get("location").unwrap_or_default();
        let redirect = (300..400)
            .contains(&status)
            .then(|| host(location).unwrap_or("another path").to_owned());
        let mut body = ByteStream::new(answer.into_body());
        let mut text = Vec::new();
        while text.len() < LONGEST_ANSWER
            && let Some(bytes) = body.next().await
        {
            match bytes {
                Ok(bytes) => text.extend_from_slice(&bytes),
                // The status says enough.
                Err(_) => break,
            }
        }
        let body = String::from_utf8_lossy(&text).into_owned();
        match status {
            200..300 => Ok(body),
            _ => Err(PostError::Refused {
                status,
                redirect,
                body,
            }),
        }
    }
}

/// Whether a request failed before it was sent.
fn is_of_connecting(error: &(dyn std::error::Error + 'static)) -> bool {
    use std::io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    let mut next = Some(error);
    while let Some(error) = next {
        let kind = error.downcast_ref().map(std::io::Error::kind);
        if matches!(
            kind,
            Some(ConnectionRefused | HostUnreachable | NetworkUnreachable)
        ) {
            return true;
        }
        next = error.source();
    }
    false
}

/// The host of a URL, without what may be a secret.
fn host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    authority.rsplit('@').next().filter(|host| !host.is_empty())
}
