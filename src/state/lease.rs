//! The lease of a window: one run at a time, also where runs are started twice, stall or die.
//!
//! A thread with a runtime of its own, which decoding can't starve, renews the lease and writes every change of the state,
//! on condition that the state is still the one that it wrote last. So a run that lost its lease learns this at its next
//! change. Changes that need not be durable at once ([`HeldWindow::note`]) are carried by the next write.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::Utc;
use object_store::path::Path;
use tokio::sync::{mpsc, oneshot, watch};

use super::pages::{self, Pages};
use super::{Attempt, Journal, Lease, WindowState, of_group, upsert};
use crate::error::{Class, Error, Result};
use crate::store::{Body, Condition, Store};

/// The time for all dropped windows together to give their leases back. Fargate allows 30 seconds to end a process.
const RELEASE_WITHIN: Duration = Duration::from_secs(3);

/// The least time to read the state of a lease that ran out before it could be renewed.
const CHECK_WITHIN: Duration = Duration::from_secs(5);

/// How long renewing goes on behind the end of the lease while the store does not answer: longer than requests are
/// repeated. Each attempt succeeds only where no other run has taken the lease over.
const OUTAGE: Duration = Duration::from_secs(180);

/// The threads of dropped windows, which give their leases back.
static RELEASES: Mutex<Vec<std::sync::mpsc::Receiver<()>>> = Mutex::new(Vec::new());

/// Waits until dropped windows have given their leases back, for some seconds at the most: a lease that is not given back
/// runs out. For a process that is about to end.
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

/// The state as the run wants it to be. The lease in it is the one that was taken; its renewals are counted elsewhere.
#[derive(Clone)]
struct SharedState(Arc<Mutex<WindowState>>);

impl SharedState {
    fn lock(&self) -> MutexGuard<'_, WindowState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request to write the state.
struct Command {
    purpose: Purpose,
    done: oneshot::Sender<Result<()>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To make a change durable, or to renew the lease.
    Save,
    /// To end the run.
    Release,
    /// To give the lease back as fast as possible.
    Drop,
}

/// Why the lease is no longer held.
#[derive(Debug, Clone)]
struct Loss {
    class: Class,
    message: String,
}

impl Loss {
    fn error(&self) -> Error {
        Error::new(self.class, self.message.clone())
    }
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
                state: SharedState(Arc::new(Mutex::new(state))),
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

    /// Changes the state, and waits until the change is durable. An error (held) where the lease was lost; then nothing may
    /// be published any more.
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
        self.change(|state| upsert(&mut state.attempts, attempt))
            .await
    }

    fn note(&self, attempt: Attempt) {
        self.note(|state| upsert(&mut state.attempts, attempt));
    }
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

/// Returns once the lease has gone unrenewed for its whole length, by this machine's monotonic clock. An error (held) where
/// the state changed meanwhile.
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

/// Why the state could not be saved.
enum SaveError {
    /// Another attempt may succeed.
    Transient,
    /// Another run has the lease, or the store did not answer for too long.
    Final(Error),
}

/// The thread's side of a lease.
struct Keeper {
    store: Store,
    key: Path,
    length: Duration,
    lease: Lease,
    pages: Pages,
    state: SharedState,
    condition: Condition,
    /// When the last write that succeeded was begun.
    renewed: Instant,
}

impl Keeper {
    /// Takes the lease; false where the state is not the one that was found.
    async fn take(&mut self) -> Result<bool> {
        self.renewed = Instant::now();
        let state = self.pages.without_paged(&self.state.lock());
        let put = put(&self.store, &self.key, &state, &self.condition).await?;
        let is_taken = put.is_some();
        self.condition = put.unwrap_or(Condition::Absent);
        Ok(is_taken)
    }

    /// Carries out commands and renews the lease, until it is given back or lost.
    async fn work(
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
        // The process may have been suspended. Only an attempt that began after the lease ran out shows whether the lease is
        // still held.
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

/// The state of a window as it was read.
#[derive(Default)]
struct Stored {
    /// With all attempts.
    state: WindowState,
    /// The attempts that are in pages.
    paged: Vec<Attempt>,
    condition: Condition,
}

/// The state at `key`, with the attempts in its pages, and the condition under which it may be replaced; `None` where there
/// is no state.
pub async fn read(store: &Store, key: &Path) -> Result<Option<(WindowState, Condition)>> {
    let stored = read_stored(store, key).await?;
    Ok(stored.map(|stored| (stored.state, stored.condition)))
}

async fn read_stored(store: &Store, key: &Path) -> Result<Option<Stored>> {
    let mut missing = Vec::new();
    loop {
        let Some((mut state, condition)) = read_object(store, key).await? else {
            return Ok(None);
        };
        if let Some(paged) = pages::read(store, key, &state.pages).await? {
            let inline = std::mem::take(&mut state.attempts);
            state.attempts = pages::all_attempts(paged.clone(), inline);
            return Ok(Some(Stored {
                state,
                paged,
                condition,
            }));
        }
        // A run that ended meanwhile has put its pages together: the state names the new one.
        if state.pages == missing {
            return Err(Error::damaged(format!(
                "{} names pages that are missing; remove it to begin the window anew",
                store.display(key)
            )));
        }
        missing = state.pages;
    }
}

async fn read_object(store: &Store, key: &Path) -> Result<Option<(WindowState, Condition)>> {
    let Some((json, condition)) = store.get_to_replace(key).await? else {
        return Ok(None);
    };
    let state = serde_json::from_slice(&json).map_err(|error| {
        Error::damaged(format!(
            "{} is no state of a window; remove it to begin the window anew",
            store.display(key)
        ))
        .caused_by(error)
    })?;
    Ok(Some((state, condition)))
}

/// Writes the state object; `None` where the condition did not hold.
async fn put(
    store: &Store,
    key: &Path,
    state: &WindowState,
    condition: &Condition,
) -> Result<Option<Condition>> {
    let json = serde_json::to_vec_pretty(state).map_err(|error| {
        let what = format!("can't write {}", store.display(key));
        Error::new(Class::Unexpected, what).caused_by(error)
    })?;
    let body = Body::Bytes(Bytes::from(json));
    let written = store
        .try_put_if(key, body, "application/json", condition)
        .await?;
    Ok(match written.map(|written| written.etag) {
        Some(Some(etag)) => Some(Condition::Unchanged(etag)),
        Some(None) => Some(store.as_it_is(key).await?),
        None => None,
    })
}

#[cfg(test)]
mod tests;
