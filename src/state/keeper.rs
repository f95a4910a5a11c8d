//! The thread that keeps a lease: it renews the lease and writes every change of the state.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use object_store::path::Path;
use tokio::sync::{mpsc, oneshot, watch};

use super::pages::Pages;
use super::stored::{put, read_object};
use super::{Lease, WindowState};
use crate::error::{Class, Error, Result};
use crate::store::{Condition, Store};

/// The least time to read the state of a lease that ran out before it could be renewed.
const CHECK_WITHIN: Duration = Duration::from_secs(5);

/// How long renewing continues after the lease has run out while the store does not answer: longer than requests are
/// repeated. Each attempt succeeds only where no other run has taken the lease over.
const OUTAGE: Duration = Duration::from_secs(180);

/// The state as the run wants it to be. The lease in it is the one that was taken; its renewals are counted elsewhere.
#[derive(Clone)]
pub(super) struct SharedState(Arc<Mutex<WindowState>>);

impl SharedState {
    pub(super) fn new(state: WindowState) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, WindowState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request to write the state.
pub(super) struct Command {
    pub(super) purpose: Purpose,
    pub(super) done: oneshot::Sender<Result<()>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To make a change durable, or to renew the lease.
    Save,
    /// To end the run.
    Release,
    /// To give the lease back as fast as possible.
    Drop,
}

/// Why the lease is no longer held.
#[derive(Debug, Clone)]
pub(super) struct Loss {
    class: Class,
    message: String,
}

impl Loss {
    pub(super) fn error(&self) -> Error {
        Error::new(self.class, self.message.clone())
    }
}

/// Why the state could not be saved.
enum SaveError {
    /// Another attempt may succeed.
    Transient,
    /// Another run has the lease, or the store did not answer for too long.
    Final(Error),
}

/// The thread's side of a lease.
pub(super) struct Keeper {
    pub(super) store: Store,
    pub(super) key: Path,
    pub(super) length: Duration,
    pub(super) lease: Lease,
    pub(super) pages: Pages,
    pub(super) state: SharedState,
    pub(super) condition: Condition,
    /// When the last write that succeeded was begun.
    pub(super) renewed: Instant,
}

impl Keeper {
    /// Takes the lease; false where the state is not the one that was found.
    pub(super) async fn take(&mut self) -> Result<bool> {
        self.renewed = Instant::now();
        let state = self.pages.without_paged(&self.state.lock());
        let put = put(&self.store, &self.key, &state, &self.condition).await?;
        let is_taken = put.is_some();
        self.condition = put.unwrap_or(Condition::Absent);
        Ok(is_taken)
    }

    /// Carries out commands and renews the lease, until it is given back or lost.
    pub(super) async fn work(
        mut self,
        mut commands: mpsc::UnboundedReceiver<Command>,
        lost: &watch::Sender<Option<Loss>>,
    ) {
        let mut due = self.renewed + self.length / 3;
        loop {
            let command = tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => Some(command),
                    None => return,
                },
                () = tokio::time::sleep_until(due.into()) => None,
            };
            let saved = match &command {
                Some(command) => self.save(command.purpose).await,
                // One attempt: commands must not wait behind a store that does not answer.
                None => match self.save_once(Purpose::Save).await {
                    Err(SaveError::Transient) => {
                        due = Instant::now() + self.length / 20;
                        continue;
                    }
                    Err(SaveError::Final(error)) => Err(error),
                    Ok(()) => Ok(()),
                },
            };
            due = self.renewed + self.length / 3;
            let failed = match &saved {
                Ok(()) => None,
                Err(error) => Some(Loss {
                    class: error.class(),
                    message: error.to_string(),
                }),
            };
            let releases = command.as_ref().is_some_and(|c| c.purpose != Purpose::Save);
            let ends = releases || failed.is_some();
            if failed.is_some() {
                lost.send_replace(failed);
            }
            if let Some(command) = command {
                // The receiver may have been dropped.
                let _ = command.done.send(saved);
            }
            if ends {
                return;
            }
        }
    }

    /// Saves the state, in several attempts if necessary.
    async fn save(&mut self, purpose: Purpose) -> Result<()> {
        loop {
            match self.save_once(purpose).await {
                Ok(()) => break,
                Err(SaveError::Transient) => tokio::time::sleep(self.length / 20).await,
                Err(SaveError::Final(error)) => return Err(error),
            }
        }
        self.pages.delete_folded(&self.store, &self.key).await;
        Ok(())
    }

    /// One attempt at saving the state. A request without an answer may have arrived: see `try_save`.
    async fn save_once(&mut self, purpose: Purpose) -> Result<(), SaveError> {
        // The process may have been suspended. Only an attempt that began after the lease ran out shows whether the
        // lease is still held.
        let overdue = self.renewed.elapsed().checked_sub(self.length);
        let time = match overdue {
            Some(_) => self.length.max(CHECK_WITHIN),
            None => self.length / 4,
        };
        let error = match tokio::time::timeout(time, self.try_save(purpose)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) if error.class() == Class::Held => return Err(SaveError::Final(error)),
            Ok(Err(error)) => error,
            Err(_) => Error::new(
                Class::Output,
                format!("no answer while writing {}", self.store.display(&self.key)),
            ),
        };
        // A lease that is not given back runs out.
        let outage = match purpose {
            Purpose::Save => OUTAGE,
            Purpose::Release | Purpose::Drop => Duration::ZERO,
        };
        Err(match overdue {
            Some(time) if time >= outage => {
                SaveError::Final(error.during("the lease of the window could not be renewed"))
            }
            _ => SaveError::Transient,
        })
    }

    async fn try_save(&mut self, purpose: Purpose) -> Result<()> {
        self.lease.renewals += 1;
        let mut state = self.state.lock().clone();
        state.lease = (purpose == Purpose::Save).then(|| self.lease.clone());
        if purpose == Purpose::Release {
            self.pages.fold(&self.store, &self.key, &state).await?;
        }
        let state = self.pages.store(&self.store, &self.key, &state).await?;
        loop {
            let begun = Instant::now();
            if let Some(condition) = put(&self.store, &self.key, &state, &self.condition).await? {
                self.condition = condition;
                self.renewed = begun;
                return Ok(());
            }
            // Either an earlier request of this run arrived and its answer did not, or another run has the lease.
            self.condition = self.own_condition().await?;
        }
    }

    /// The condition under which a put replaces the state that this run wrote. An error (held) where another run has
    /// written it.
    async fn own_condition(&self) -> Result<Condition> {
        match read_object(&self.store, &self.key).await? {
            Some((state, condition)) => match state.lease {
                Some(lease) if lease.run == self.lease.run => Ok(condition),
                Some(lease) => Err(Error::new(
                    Class::Held,
                    format!(
                        "this run stalled for longer than its lease, and another one took the window over: {}",
                        lease.holder()
                    ),
                )),
                None => Err(self.done_by_another()),
            },
            None => Err(self.done_by_another()),
        }
    }

    fn done_by_another(&self) -> Error {
        Error::new(
            Class::Held,
            "this run stalled for longer than its lease, and another one did the window meanwhile",
        )
    }
}
