//! The runtime on which requests to S3 are carried out, whoever sends them.
//!
//! A connection is driven by the runtime that opened it, and the next request over it may be anybody's. On the program's
//! own runtime, decoding, which keeps a thread busy, would starve it; and a runtime that ends, as that of a lease does,
//! would take the requests of others with it.

use tokio::runtime::{Handle, Runtime};
use tokio::task::JoinHandle;

use crate::error::{Class, Error, Result};

/// A thread of its own for requests. It may be dropped anywhere, also inside another runtime.
#[derive(Debug)]
pub struct RequestRuntime(Option<Runtime>);

impl RequestRuntime {
    /// Starts the thread.
    pub fn new() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("requests")
            .enable_all()
            .build()
            .map_err(|error| {
                Error::new(Class::Unexpected, "can't start a runtime").caused_by(error)
            })?;
        Ok(Self(Some(runtime)))
    }

    /// For those that bring their requests here themselves.
    pub fn handle(&self) -> Handle {
        self.0
            .as_ref()
            .map_or_else(Handle::current, |runtime| runtime.handle().clone())
    }

    /// Carries out a request. Whoever no longer waits for it ends it.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        request: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let mut running = Running(self.handle().spawn(request));
        match (&mut running.0).await {
            Ok(answer) => answer,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Only with the runtime, which outlives whoever waits here.
                Err(_) => std::future::pending().await,
            },
        }
    }
}

impl Drop for RequestRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

struct Running<T>(JoinHandle<T>);

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_is_carried_out_elsewhere_and_ends_with_whoever_waits_for_it() {
        let requests = RequestRuntime::new().unwrap();
        let here = std::thread::current().id();
        let there = requests.run(async { std::thread::current().id() }).await;
        assert_ne!(here, there);

        let (alive, mut ended) = tokio::sync::oneshot::channel::<()>();
        let endless = requests.run(async move {
            let _alive = alive;
            std::future::pending::<()>().await;
        });
        tokio::select! {
            biased;
            () = endless => unreachable!("it has no end"),
            () = std::future::ready(()) => {}
        }
        assert!((&mut ended).await.is_err());
    }
}
