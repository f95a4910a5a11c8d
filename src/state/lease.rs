//! The lease of a window: one run at a time, also where runs are started twice, stall or die.
//!
//! A thread with a runtime of its own, which decoding can't starve, renews the lease and writes every change of the
//! state, on condition that the state is still the one that it wrote last. So a run that lost its lease learns this at
//! its next change. Changes that need not be durable at once ([`HeldWindow::note`]) are carried by the next write.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::Utc;
use object_store::path::Path;
use tokio::sync::{mpsc, oneshot, watch};

use super::keeper::{Command, Keeper, Loss, Purpose, SharedState};
use super::pages::{self, Pages};
use super::stored::{Stored, read_object, read_stored};
use super::{Attempt, Journal, Lease, WindowState, of_group, upsert};
use crate::error::{Class, Error, Result};
use crate::store::{Condition, Store};

pub use super::stored::read;

/// The time for all dropped windows together to give their leases back. Fargate allows 30 seconds to end a process.
const RELEASE_WITHIN: Duration = Duration::from_secs(3);

/// The threads of dropped windows, which give their leases back.
static RELEASES: Mutex<Vec<std::sync::mpsc::Receiver<()>>> = Mutex::new(Vec::new());

/// Waits until dropped windows have given their leases back, for some seconds at the most: a lease that is not given
/// back runs out. For a process that is about to end.
pub fn wait_for_releases() {
    let until = Instant::now() + RELEASE_WITHIN;
    let mut releases = RELEASES.lock().unwrap_or_else(PoisonError::into_inner);
    for ended in releases.drain(..) {
        let _ = ended.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

/// A window that this run holds. When dropped, it gives the lease back in the background: see [`wait_for_releases`].
pub struct HeldWindow {
    /// The state's key, for messages.
    place: String,
    found: WindowState,
    state: SharedState,
    commands: mpsc::UnboundedSender<Command>,
    loss: watch::Receiver<Option<Loss>>,
    /// Signals the end of the thread; `None` once it is not to be waited for.
    ended: Mutex<Option<std::sync::mpsc::Receiver<()>>>,
}

impl HeldWindow {
    /// Takes the lease of the window whose state is at `key`, for `length` at a time. `begin` is applied to the state
    /// that was found; `report` receives what is waited for.
    ///
    /// Errors: `Held` where another run shows that it lives, by a renewal or a release, within the length of its lease;
    /// `Damaged` where the state can't be read.
    pub async fn take(
        store: &Store,
        key: &Path,
        length: Duration,
        begin: impl Fn(&mut WindowState),
        report: &(dyn Fn(&str) + Sync),
    ) -> Result<Self> {
        loop {
            let Stored {
                state: found,
                paged,
                condition,
            } = read_stored(store, key).await?.unwrap_or_default();
            if let Some(lease) = &found.lease {
                report(&format!(
                    "watching the lease of {}, which may have died",
                    lease.holder()
                ));
                watch_lease(store, key, lease, &condition).await?;
            }
            let orphans = pages::orphans(store, key, &found).await?;
            let lease = new_lease(length);
            let mut state = found.clone();
            state.lease = Some(lease.clone());
            begin(&mut state);
            let keeper = Keeper {
                store: store.clone(),
                key: key.clone(),
                length,
                pages: Pages::new(&lease.run, found.pages.clone(), paged),
                lease,
                state: SharedState::new(state),
                condition,
                renewed: Instant::now(),
            };
            // The thread that gives the lease back also takes it: a run that is stopped at this point leaves no lease.
            let (taken, is_taken) = oneshot::channel();
            let held = Self::keep(found, keeper, taken)?;
            if is_taken.await.map_err(|_| held.loss())?? {
                pages::delete(store, key, orphans).await;
                return Ok(held);
            }
        }
    }

    fn keep(
        found: WindowState,
        mut keeper: Keeper,
        taken: oneshot::Sender<Result<bool>>,
    ) -> Result<Self> {
        let failed = |error: std::io::Error| {
            Error::new(Class::Unexpected, "can't start a thread for the lease").caused_by(error)
        };
        let (commands, received) = mpsc::unbounded_channel();
        let (lost, loss) = watch::channel(None);
        let (end, ended) = std::sync::mpsc::sync_channel(1);
        let state = keeper.state.clone();
        let place = keeper.store.display(&keeper.key);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        std::thread::Builder::new()
            .name("lease".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    let is_taken = keeper.take().await;
                    let is_held = matches!(is_taken, Ok(true));
                    let _ = taken.send(is_taken);
                    if is_held {
                        keeper.work(received, &lost).await;
                    }
                });
                // An error means that the end is not waited for.
                let _ = end.send(());
            })
            .map_err(failed)?;
        Ok(Self {
            place,
            found,
            state,
            commands,
            loss,
            ended: Mutex::new(Some(ended)),
        })
    }

    /// The state as it was found.
    pub fn found(&self) -> &WindowState {
        &self.found
    }

    /// The state as it is now, with changes that are not durable yet.
    pub fn state(&self) -> WindowState {
        self.state.lock().clone()
    }

    /// Changes the state, and waits until the change is durable. An error (held) where the lease was lost; then nothing
    /// may be published any more.
    pub async fn change(&self, change: impl FnOnce(&mut WindowState)) -> Result<()> {
        self.note(change);
        self.command(Purpose::Save).await
    }

    /// Changes the state; the change is durable with the next one that is, or with the next renewal of the lease.
    pub fn note(&self, change: impl FnOnce(&mut WindowState)) {
        change(&mut self.state.lock());
    }

    /// Changes the state a last time and gives the lease back.
    pub async fn release(mut self, change: impl FnOnce(&mut WindowState)) -> Result<()> {
        self.note(change);
        let released = self.command(Purpose::Release).await;
        // The thread has answered, so its end need not be waited for.
        self.ended = Mutex::new(None);
        released
    }

    async fn command(&self, purpose: Purpose) -> Result<()> {
        let (done, answer) = oneshot::channel();
        if self.commands.send(Command { purpose, done }).is_ok()
            && let Ok(answer) = answer.await
        {
            return answer;
        }
        Err(self.loss())
    }

    /// Returns when the lease is lost.
    pub async fn lost(&self) -> Error {
        let mut loss = self.loss.clone();
        match loss.wait_for(Option::is_some).await {
            Ok(_) => self.loss(),
            // The lease was given back, and can't be lost any more.
            Err(_) => std::future::pending().await,
        }
    }

    fn loss(&self) -> Error {
        match &*self.loss.borrow() {
            Some(loss) => loss.error(),
            None => Error::new(
                Class::Unexpected,
                format!("the lease in {} was given back already", self.place),
            ),
        }
    }
}

impl Drop for HeldWindow {
    fn drop(&mut self) {
        let (done, _) = oneshot::channel();
        let release = Command {
            purpose: Purpose::Drop,
            done,
        };
        let ended = self.ended.get_mut();
        if self.commands.send(release).is_ok()
            && let Some(ended) = ended.unwrap_or_else(PoisonError::into_inner).take()
        {
            let mut releases = RELEASES.lock().unwrap_or_else(PoisonError::into_inner);
            releases.push(ended);
        }
    }
}

#[async_trait]
impl Journal for HeldWindow {
    fn attempts(&self, log_group: &str) -> Vec<Attempt> {
        of_group(&self.state.lock().attempts, log_group)
    }

    async fn record(&self, attempt: Attempt) -> Result<()> {
        self.change(|state| record_in(state, attempt)).await
    }

    fn note(&self, attempt: Attempt) {
        self.note(|state| record_in(state, attempt));
    }
}

/// Adds an attempt, as one of the run that has not ended, or replaces what was recorded of it.
fn record_in(state: &mut WindowState, mut attempt: Attempt) {
    let known = |known: &&Attempt| known.prefix == attempt.prefix;
    attempt.of_run = match state.attempts.iter().find(known) {
        Some(known) => known.of_run,
        None => state.unfinished.as_ref().map(|run| run.began_at),
    };
    upsert(&mut state.attempts, attempt);
}

/// A lease of a new run of this process.
fn new_lease(length: Duration) -> Lease {
    Lease {
        run: uuid::Uuid::now_v7().simple().to_string(),
        host: sysinfo::System::host_name().unwrap_or_else(|| "unknown".to_owned()),
        process: std::process::id(),
        since: Utc::now(),
        seconds: length.as_secs_f64(),
        renewals: 0,
    }
}

/// Returns once the lease has gone unrenewed for its whole length, by this machine's monotonic clock. An error (held)
/// where the state changed meanwhile.
async fn watch_lease(store: &Store, key: &Path, lease: &Lease, seen: &Condition) -> Result<()> {
    let length = lease.length();
    let until = Instant::now() + length;
    while Instant::now() < until {
        tokio::time::sleep((length / 10).max(Duration::from_millis(20))).await;
        let now = read_object(store, key).await?;
        if now.as_ref().is_none_or(|(_, condition)| condition != seen) {
            let did = match now.is_some_and(|(state, _)| state.lease.is_some()) {
                true => "which has just renewed its lease",
                false => "which has just ended",
            };
            return Err(Error::new(
                Class::Held,
                format!(
                    "another run holds this window: {}, {did} ({})",
                    lease.holder(),
                    store.display(key)
                ),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
