//! The runtime for all requests to S3.
//!
//! A connection is driven by the runtime that opened it, and is used again by requests of other runtimes. On the
//! program's main runtime, decoding, which keeps a thread busy, would starve it. On the runtime of a lease, which ends
//! early, the end would break the requests of others.

use tokio::runtime::{Handle, Runtime};
use tokio::task::JoinHandle;

use crate::error::{Class, Error, Result};

/// A thread for requests. It may be dropped anywhere, also inside another runtime.
#[derive(Debug)]
pub struct IoRuntime(Option<Runtime>);

impl IoRuntime {
    /// Starts the thread.
    pub fn new() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("io")
            .enable_all()
            .build()
            .map_err(|error| {
                Error::new(Class::Unexpected, "can't start a runtime").caused_by(error)
            })?;
        Ok(Self(Some(runtime)))
    }

    /// The handle, for a client that spawns its requests itself.
    pub fn handle(&self) -> Handle {
        self.0
            .as_ref()
            .map_or_else(Handle::current, |runtime| runtime.handle().clone())
    }

    /// Runs a request. It is aborted where the returned future is dropped.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        request: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let mut running = Running(self.handle().spawn(request));
        match (&mut running.0).await {
            Ok(answer) => answer,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Cancelled: only when the runtime ends, which outlives its callers.
                Err(_) => std::future::pending().await,
            },
        }
    }
}

impl Drop for IoRuntime {
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
    async fn a_request_runs_on_another_thread_and_ends_with_its_caller() {
        let requests = IoRuntime::new().unwrap();
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
