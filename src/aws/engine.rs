//! The engine's HTTP service: requests on a runtime of their own, a time-out for idle connections, and failures that are
//! errors of this crate where they arise.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, StatusCode, Uri};
use http_body::{Body, Frame, SizeHint};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService, SpawnService,
};
use tokio::runtime::Handle;
use tokio::time::Sleep;

use super::failure::{self, Refusal};
use super::network::Peer;
use super::timeouts::{FIRST_ANSWER_WITHIN, IDLE_TIMEOUT};
use crate::error::{Class, Error};

/// Makes the engine's client from one that is configured already.
#[derive(Debug)]
pub(super) struct Connector {
    pub(super) client: reqwest::Client,
    pub(super) runtime: Handle,
    /// The bucket that all requests are for.
    pub(super) bucket: String,
    /// The class of failures.
    pub(super) class: Class,
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let spawned = SpawnService::new(self.client.clone(), self.runtime.clone());
        Ok(HttpClient::new(EngineHttp {
            inner: HttpClient::new(spawned),
            bucket: self.bucket.clone(),
            class: self.class,
            answered: AtomicBool::new(false),
            failing_since: Mutex::new(None),
        }))
    }
}

/// For requests with a small body only: the time-out begins before the body is sent.
#[derive(Debug)]
struct EngineHttp {
    inner: HttpClient,
    bucket: String,
    class: Class,
    /// Whether any request was answered.
    answered: AtomicBool,
    failing_since: Mutex<Option<Instant>>,
}

#[async_trait]
impl HttpService for EngineHttp {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let answer = tokio::time::timeout(IDLE_TIMEOUT, self.inner.execute(request)).await;
        let response = match answer.unwrap_or_else(|_| Err(idle_error())) {
            Ok(response) => response,
            Err(error) => return Err(self.no_answer(&uri, &error)),
        };
        self.answered.store(true, Ordering::Relaxed);
        let (parts, body) = response.into_parts();
        let body = HttpResponseBody::new(IdleTimeoutBody {
            inner: body,
            timer: None,
        });
        match ends_here(parts.status, &uri) {
            None => Ok(HttpResponse::from_parts(parts, body)),
            Some(kind) => {
                let text = body.bytes().await.unwrap_or_default();
                let refusal = Refusal::of_document(parts.status.as_u16(), &text);
                Err(HttpError::new(kind, self.refused(&method, &uri, &refusal)))
            }
        }
    }
}

impl EngineHttp {
    /// The failure of a request that got no answer. It is repeated, but not for long where no request was ever answered.
    fn no_answer(&self, uri: &Uri, error: &HttpError) -> HttpError {
        let since = *self
            .failing_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_with(Instant::now);
        let is_hopeless =
            !self.answered.load(Ordering::Relaxed) && since.elapsed() >= FIRST_ANSWER_WITHIN;
        let kind = match is_hopeless {
            true => HttpErrorKind::Unknown,
            false => error.kind(),
        };
        let said = failure::no_answer(&Peer::of(&uri.to_string()), error);
        HttpError::new(kind, Error::new(self.class, said))
    }

    fn refused(&self, method: &Method, uri: &Uri, refusal: &Refusal) -> Error {
        let is_list = is_list(uri);
        if refusal.status == 404 {
            return Error::usage(format!("the bucket {:?} does not exist", self.bucket));
        }
        let action = match *method {
            _ if is_list => "s3:ListBucket",
            Method::GET | Method::HEAD => "s3:GetObject",
            Method::PUT => "s3:PutObject",
            _ => "s3:DeleteObject",
        };
        let resource = is_list.then(|| format!("the bucket {}", self.bucket));
        let peer = Peer::of(&uri.to_string());
        let said = refusal.explain("S3", action, resource.as_deref(), &peer);
        Error::new(self.class, said)
    }
}

fn is_list(uri: &Uri) -> bool {
    uri.query()
        .is_some_and(|query| query.contains("list-type="))
}

/// Whether an answer is a failure whatever the request was for, and of which kind. The engine's client repeats those of the
/// kind `Request`, and no others.
fn ends_here(status: StatusCode, uri: &Uri) -> Option<HttpErrorKind> {
    match status.as_u16() {
        404 if is_list(uri) => Some(HttpErrorKind::Unknown),
        301 | 307 | 400 | 401 | 403 | 407 => Some(HttpErrorKind::Unknown),
        408 | 429 | 500.. => Some(HttpErrorKind::Request),
        _ => None,
    }
}

fn idle_error() -> HttpError {
    let message = format!("nothing arrived for {} seconds", IDLE_TIMEOUT.as_secs());
    HttpError::new(
        HttpErrorKind::Timeout,
        std::io::Error::new(std::io::ErrorKind::TimedOut, message),
    )
}

/// A body that ends with an error where nothing arrives for too long. Time between two polls does not count.
struct IdleTimeoutBody {
    inner: HttpResponseBody,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Body for IdleTimeoutBody {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(context) {
            self.timer = None;
            return Poll::Ready(frame);
        }
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(IDLE_TIMEOUT)));
        ready!(timer.as_mut().poll(context));
        self.timer = None;
        Poll::Ready(Some(Err(idle_error())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
