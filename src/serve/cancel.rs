//! Cancel requests: a client asks over another connection, with the key of its own, that its statement end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use pgwire::messages::startup::SecretKey;
use tokio::sync::watch;

/// The connections that can be asked to end their statement, by their numbers.
#[derive(Debug, Default)]
pub struct Cancels(Mutex<HashMap<i32, (Bytes, Arc<Running>)>>);

impl Cancels {
    fn all(&self) -> MutexGuard<'_, HashMap<i32, (Bytes, Arc<Running>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a connection, until the registration is dropped.
    pub fn register(self: &Arc<Self>, number: i32, key: &SecretKey) -> Registration {
        let running = Arc::new(Running::default());
        let entry = (key.to_bytes(), Arc::clone(&running));
        self.all().insert(number, entry);
        Registration {
            number,
            running,
            cancels: Arc::clone(self),
        }
    }

    /// Ends the statement of a connection; nothing where the key is another or no statement runs.
    pub fn cancel(&self, number: i32, key: &SecretKey) {
        let all = self.all();
        if let Some((own, running)) = all.get(&number)
            && is_same(own, &key.to_bytes())
        {
            running.cancel();
        }
    }
}

/// Compares every byte, so that the time does not tell how many are right.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let differences = one.iter().zip(other).map(|(one, other)| one ^ other);
    one.len() == other.len() && differences.fold(0, |all, difference| all | difference) == 0
}

/// A connection among those that can be asked.
#[derive(Debug)]
pub struct Registration {
    number: i32,
    /// Its statement.
    pub running: Arc<Running>,
    cancels: Arc<Cancels>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.cancels.all().remove(&self.number);
    }
}

/// The statement of a connection. Each has a number, so that a request that comes late ends none behind it.
#[derive(Debug)]
pub struct Running {
    /// Odd while a statement runs.
    number: AtomicU64,
    cancelled: watch::Sender<u64>,
}

impl Default for Running {
    fn default() -> Self {
        Self {
            number: AtomicU64::new(0),
            cancelled: watch::Sender::new(0),
        }
    }
}

impl Running {
    /// Begins a statement, which runs until the guard is dropped.
    pub fn begin(self: &Arc<Self>) -> Begun {
        let number = self.number.fetch_add(1, Ordering::SeqCst) + 1;
        Begun {
            number,
            running: Arc::clone(self),
            cancelled: self.cancelled.subscribe(),
        }
    }

    fn cancel(&self) {
        let number = self.number.load(Ordering::SeqCst);
        if number % 2 == 1 {
            self.cancelled.send_replace(number);
        }
    }
}

/// A statement that runs.
#[derive(Debug)]
pub struct Begun {
    number: u64,
    running: Arc<Running>,
    cancelled: watch::Receiver<u64>,
}

impl Begun {
    /// Returns when the statement is asked to end.
    pub async fn cancelled(&mut self) {
        let number = self.number;
        let is_gone = self
            .cancelled
            .wait_for(|asked| *asked == number)
            .await
            .is_err();
        if is_gone {
            // The sender lives as long as the statement.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.running.number.fetch_add(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_request_ends_the_statement_that_runs_and_none_behind_it() {
        let cancels = Arc::new(Cancels::default());
        let key = SecretKey::I32(7);
        let registration = cancels.register(1, &key);
        // No statement runs.
        cancels.cancel(1, &key);
        let mut first = registration.running.begin();
        assert!(first.cancelled().now_or_never().is_none());
        cancels.cancel(1, &SecretKey::I32(8));
        cancels.cancel(2, &key);
        assert!(first.cancelled().now_or_never().is_none());
        cancels.cancel(1, &key);
        assert!(first.cancelled().now_or_never().is_some());
        drop(first);
        let mut second = registration.running.begin();
        assert!(second.cancelled().now_or_never().is_none());
        drop(second);
        drop(registration);
        assert!(cancels.all().is_empty());
    }
}
