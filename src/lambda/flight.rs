//! Which invocation is under way, from its event until its answer is posted: the process ends behind it.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::Map;
use lambda_runtime::{LambdaInvocation, Service, tower::Layer};
use tokio::sync::Semaphore;

type Result = std::result::Result<(), lambda_runtime::Error>;

/// The right to be under way. A process has one invocation at a time.
#[derive(Debug, Clone)]
pub(super) struct InFlight(Arc<Semaphore>);

impl Default for InFlight {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl InFlight {
    /// Returns when no invocation is under way.
    pub(super) async fn landed(&self) {
        // It is never closed.
        if let Ok(permit) = self.0.acquire().await {
            permit.forget();
        }
    }
}

impl<S> Layer<S> for InFlight {
    type Service = Flights<S>;

    fn layer(&self, inner: S) -> Flights<S> {
        Flights {
            inner,
            in_flight: self.clone(),
        }
    }
}

/// A service that answers invocations, and notes when each has its answer.
pub(super) struct Flights<S> {
    inner: S,
    in_flight: InFlight,
}

impl<S> Service<LambdaInvocation> for Flights<S>
where
    S: Service<LambdaInvocation, Response = (), Error = lambda_runtime::Error>,
{
    type Response = ();
    type Error = lambda_runtime::Error;
    type Future = Map<S::Future, Box<dyn FnOnce(Result) -> Result + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, invocation: LambdaInvocation) -> Self::Future {
        let permit = Arc::clone(&self.in_flight.0).try_acquire_owned();
        let answered = move |answered| {
            drop(permit);
            answered
        };
        self.inner.call(invocation).map(Box::new(answered))
    }
}
