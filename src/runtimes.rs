//! The runtimes. Computing keeps the threads of queries busy for long, so that whatever must be answered at once has threads of
//! its own: requests to S3, the sockets of clients, the process's signals.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use crate::error::{Class, Error, Result};

/// The stack of a thread that plans, or that carries a command out. Only what is used of it takes memory. Measured without
/// optimisation, the longest SQL that is allowed takes less than half of it.
pub const STACK: usize = 256 << 20;

/// The stack of the threads that run queries, and of those that read SQL from clients: each level of a long expression takes a part
/// of it.
const WORKER_STACK: usize = 64 << 20;

/// The runtime that commands and their queries run on: a thread for each core.
///
/// # Errors
/// The system's, where threads can't be had.
pub fn of_queries() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(WORKER_STACK)
        .build()
}

/// The runtime of the thread that waits for signals. A signal that it sees reaches the listeners of all runtimes, also while
/// their own threads compute.
///
/// # Errors
/// The system's, where its sockets can't be had.
pub fn of_signals() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// A runtime for sockets. It may be dropped anywhere, also inside another runtime.
///
/// A connection is driven by the runtime that opened it. Those to S3 are used again by requests of other runtimes: of the runtime
/// of a lease, which ends early, the end would break the requests of others.
#[derive(Debug)]
pub struct IoRuntime(Option<Runtime>);

impl IoRuntime {
    /// Starts some threads of a name.
    ///
    /// # Errors
    /// `Unexpected`, where threads can't be had.
    pub fn new(name: &str, threads: usize) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name(name)
            .thread_stack_size(WORKER_STACK)
            .enable_all()
            .build()
            .map_err(|error| {
                Error::new(Class::Unexpected, "can't start a runtime").caused_by(error)
            })?;
        Ok(Self(Some(runtime)))
    }

    /// Its handle.
    pub fn handle(&self) -> Handle {
        self.0
            .as_ref()
            .map_or_else(Handle::current, |runtime| runtime.handle().clone())
    }

    /// Carries work out on its threads. It is aborted where the returned future is dropped.
    pub fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Running<T> {
        run_on(&self.handle(), work)
    }
}

impl Drop for IoRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Carries work out on the threads of a runtime. It is aborted where the returned future is dropped.
pub fn run_on<T: Send + 'static>(
    runtime: &Handle,
    work: impl Future<Output = T> + Send + 'static,
) -> Running<T> {
    Running(Some(runtime.spawn(work)))
}

/// Work that is carried out elsewhere.
#[derive(Debug)]
pub struct Running<T>(Option<JoinHandle<T>>);

impl<T> Future for Running<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(running) = &mut self.0 else {
            return Poll::Pending;
        };
        let ended = ready!(Pin::new(running).poll(context));
        self.0 = None;
        match ended {
            Ok(done) => Poll::Ready(done),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Cancelled: only when the runtime ends, which outlives its callers.
                Err(_) => Poll::Pending,
            },
        }
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        if let Some(running) = &self.0 {
            running.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_runs_on_another_thread_and_ends_with_its_caller() {
        let requests = IoRuntime::new("io", 1).unwrap();
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
