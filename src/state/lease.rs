//! The lease of a window: one run at a time, whatever calls twice, stalls or dies.
//!
//! Who holds it renews it, on a thread and runtime of its own, which decoding can't starve. All changes of the state
//! go through that thread, each on condition that the state is still the one that it wrote last. So whoever lost the
//! lease learns it at its next change, and a run asks before each step that matters.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::Utc;
use object_store::path::Path;
use tokio::sync::{mpsc, oneshot, watch};

use super::{Attempt, Journal, Lease, WindowState, of_group, upsert};
use crate::error::{Class, Error, Result};
use crate::store::{Body, Condition, Store};

/// How long runs that were dropped may take to give their leases back, all together. Fargate gives 30 seconds for
/// everything.
const RELEASE_WITHIN: Duration = Duration::from_secs(3);

/// How long to look, at least, whose a lease is that ran out before it could be renewed.
const LOOK_FOR: Duration = Duration::from_secs(5);

/// How long a lease that ran out is tried to be renewed while the store does not answer: longer than requests are sent
/// again. Nothing is risked, since each try succeeds only where nobody has taken it meanwhile.
const OUTAGE: Duration = Duration::from_secs(180);

/// The threads of dropped windows, which give their leases back.
static RELEASES: Mutex<Vec<std::sync::mpsc::Receiver<()>>> = Mutex::new(Vec::new());

/// Waits until windows that were dropped have given their leases back, for some seconds at the most: a lease that can't be
/// given back ends by itself. For a process that is about to end.
pub fn wait_for_releases() {
    let until = Instant::now() + RELEASE_WITHIN;
    let mut releases = RELEASES.lock().unwrap_or_else(PoisonError::into_inner);
    for ended in releases.drain(..) {
        let _ = ended.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

/// A window that this run holds. Dropped, it gives the lease back, which is not waited for: see [`wait_for_releases`].
pub struct HeldWindow {
    /// The state's key, for people.
    place: String,
    found: WindowState,
    saved: Arc<Mutex<WindowState>>,
    commands: mpsc::UnboundedSender<Command>,
    loss: watch::Receiver<Option<Loss>>,
    /// Until it is dropped.
    ended: Mutex<Option<std::sync::mpsc::Receiver<()>>>,
}

type Change = Box<dyn FnOnce(&mut WindowState) + Send>;

struct Command {
    change: Change,
    /// Whether the lease is given back with it.
    release: bool,
    done: oneshot::Sender<Result<()>>,
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
    /// that was found, `tell` hears of a lease that is watched.
    ///
    /// Errors: `Held` where another run shows that it lives, by a renewal or a release, within the length of its lease;
    /// `Damaged` where the state can't be read.
    pub async fn take(
        store: &Store,
        key: &Path,
        length: Duration,
        begin: impl Fn(&mut WindowState),
        tell: &(dyn Fn(&str) + Sync),
    ) -> Result<Self> {
        loop {
            let (found, condition) = match read(store, key).await? {
                Some(found) => found,
                None => (WindowState::default(), Condition::Absent),
            };
            if let Some(lease) = &found.lease {
                tell(&format!(
                    "watching the lease of {}, which may have died",
                    lease.holder()
                ));
                watch_lease(store, key, lease, &condition).await?;
            }
            let run = uuid::Uuid::now_v7().simple().to_string();
            let mut state = found.clone();
            state.lease = Some(Lease {
                run: run.clone(),
                host: sysinfo::System::host_name().unwrap_or_else(|| "unknown".to_owned()),
                process: std::process::id(),
                since: Utc::now(),
                seconds: length.as_secs_f64(),
                renewals: 0,
            });
            begin(&mut state);
            let keeper = Keeper {
                store: store.clone(),
                key: key.clone(),
                run,
                length,
                saved: Arc::new(Mutex::new(state.clone())),
                state,
                condition,
                renewed: Instant::now(),
            };
            // Taken by the thread that also gives it back: so whoever is stopped at this point leaves no lease.
            let (taken, is_taken) = oneshot::channel();
            let held = Self::keep(found, keeper, taken)?;
            if is_taken.await.map_err(|_| held.loss())?? {
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
        let saved = Arc::clone(&keeper.saved);
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
                    let goes_on = matches!(is_taken, Ok(true));
                    let _ = taken.send(is_taken);
                    if goes_on {
                        keeper.work(received, &lost).await;
                    }
                });
                // Nobody waits any more where this fails.
                let _ = end.send(());
            })
            .map_err(failed)?;
        Ok(Self {
            place,
            found,
            saved,
            commands,
            loss,
            ended: Mutex::new(Some(ended)),
        })
    }

    /// The state as it was found.
    pub fn found(&self) -> &WindowState {
        &self.found
    }

    /// The state as it is now.
    pub fn state(&self) -> WindowState {
        self.saved
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Changes the state. An error (held) where the lease was lost; then nothing may be published any more.
    pub async fn change(
        &self,
        change: impl FnOnce(&mut WindowState) + Send + 'static,
    ) -> Result<()> {
        self.command(Box::new(change), false).await
    }

    /// Changes the state a last time and gives the lease back.
    pub async fn release(
        mut self,
        change: impl FnOnce(&mut WindowState) + Send + 'static,
    ) -> Result<()> {
        let released = self.command(Box::new(change), true).await;
        // Nothing is left to wait for.
        self.ended = Mutex::new(None);
        released
    }

    async fn command(&self, change: Change, release: bool) -> Result<()> {
        let (done, answer) = oneshot::channel();
        let command = Command {
            change,
            release,
            done,
        };
        if self.commands.send(command).is_ok()
            && let Ok(answer) = answer.await
        {
            return answer;
        }
        Err(self.loss())
    }

    /// Comes back when the lease is lost.
    pub async fn lost(&self) -> Error {
        let mut loss = self.loss.clone();
        match loss.wait_for(Option::is_some).await {
            Ok(_) => self.loss(),
            // Released, and so never to be lost.
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
            change: Box::new(|_| {}),
            release: true,
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
        of_group(&self.state().attempts, log_group)
    }

    async fn record(&self, attempt: Attempt) -> Result<()> {
        self.change(|state| upsert(&mut state.attempts, attempt))
            .await
    }
}

/// Waits for as long as the lease is; comes back where nothing changed meanwhile, by this machine's monotonic clock.
async fn watch_lease(store: &Store, key: &Path, lease: &Lease, seen: &Condition) -> Result<()> {
    let length = lease.length();
    let until = Instant::now() + length;
    while Instant::now() < until {
        tokio::time::sleep((length / 10).max(Duration::from_millis(20))).await;
        let now = read(store, key).await?;
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
enum Failed {
    /// Another try may succeed.
    ForNow,
    /// The lease is somebody else's, or there was no answer for too long.
    ForGood(Error),
}

/// Keeps a lease: the thread's side.
struct Keeper {
    store: Store,
    key: Path,
    run: String,
    length: Duration,
    saved: Arc<Mutex<WindowState>>,
    state: WindowState,
    condition: Condition,
    /// When the last change that succeeded was asked for.
    renewed: Instant,
}

impl Keeper {
    /// Takes the lease; false where the state is not what it was found to be.
    async fn take(&mut self) -> Result<bool> {
        self.renewed = Instant::now();
        let put = put(&self.store, &self.key, &self.state, &self.condition).await?;
        let is_taken = put.is_some();
        self.condition = put.unwrap_or(Condition::Absent);
        Ok(is_taken)
    }

    /// Carries out commands and renews, until the lease is given back or lost.
    async fn work(
        mut self,
        mut commands: mpsc::UnboundedReceiver<Command>,
        lost: &watch::Sender<Option<Loss>>,
    ) {
        let mut due = self.renewed + self.length / 3;
        loop {
            let mut next = self.state.clone();
            let (release, done) = tokio::select! {
                command = commands.recv() => {
                    let Some(Command { change, release, done }) = command else {
                        return;
                    };
                    change(&mut next);
                    (release, Some(done))
                }
                () = tokio::time::sleep_until(due.into()) => (false, None),
            };
            match &mut next.lease {
                Some(lease) => lease.renewals += 1,
                None => return,
            }
            if release {
                next.lease = None;
            }
            let saved = match &done {
                Some(_) => self.save(next).await,
                // Once: commands are not to wait behind a store that does not answer.
                None => match self.save_once(&next).await {
                    Err(Failed::ForNow) => {
                        due = Instant::now() + self.length / 20;
                        continue;
                    }
                    Err(Failed::ForGood(error)) => Err(error),
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
            let ends = release || failed.is_some();
            if failed.is_some() {
                lost.send_replace(failed);
            }
            if let Some(done) = done {
                // Whoever asked may have been dropped.
                let _ = done.send(saved);
            }
            if ends {
                return;
            }
        }
    }

    /// Saves the state, if need be in many tries.
    async fn save(&mut self, next: WindowState) -> Result<()> {
        loop {
            match self.save_once(&next).await {
                Ok(()) => return Ok(()),
                Err(Failed::ForGood(error)) => return Err(error),
                Err(Failed::ForNow) => tokio::time::sleep(self.length / 20).await,
            }
        }
    }

    /// One try at saving the state. A request without an answer may have arrived: see `try_save`.
    async fn save_once(&mut self, next: &WindowState) -> Result<(), Failed> {
        // The process may have been suspended. Only a try that began after the lease ran out says whether it is still
        // one's own.
        let ran_out_for = self.renewed.elapsed().checked_sub(self.length);
        let patience = match ran_out_for {
            Some(_) => self.length.max(LOOK_FOR),
            None => self.length / 4,
        };
        let error = match tokio::time::timeout(patience, self.try_save(next)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) if error.class() == Class::Held => return Err(Failed::ForGood(error)),
            Ok(Err(error)) => error,
            Err(_) => Error::new(
                Class::Output,
                format!("no answer while writing {}", self.store.display(&self.key)),
            ),
        };
        // A lease that is given back would end by itself.
        let outage = match next.lease {
            Some(_) => OUTAGE,
            None => Duration::ZERO,
        };
        Err(match ran_out_for {
            Some(time) if time >= outage => {
                Failed::ForGood(error.during("the lease of the window could not be renewed"))
            }
            _ => Failed::ForNow,
        })
    }

    async fn try_save(&mut self, next: &WindowState) -> Result<()> {
        loop {
            let asked = Instant::now();
            if let Some(condition) = put(&self.store, &self.key, next, &self.condition).await? {
                self.condition = condition;
                self.renewed = asked;
                self.state = next.clone();
                *self.saved.lock().unwrap_or_else(PoisonError::into_inner) = next.clone();
                return Ok(());
            }
            // Either a request of our own arrived whose answer did not, or the lease is somebody else's now.
            let there = read(&self.store, &self.key).await?;
            match there {
                Some((
                    WindowState {
                        lease: Some(lease), ..
                    },
                    condition,
                )) if lease.run == self.run => {
                    self.condition = condition;
                }
                Some((
                    WindowState {
                        lease: Some(lease), ..
                    },
                    _,
                )) => {
                    return Err(Error::new(
                        Class::Held,
                        format!(
                            "this run stalled for longer than its lease, and another one took the window over: {}",
                            lease.holder()
                        ),
                    ));
                }
                _ => {
                    return Err(Error::new(
                        Class::Held,
                        "this run stalled for longer than its lease, and another one did the window meanwhile",
                    ));
                }
            }
        }
    }
}

/// The state at `key` and under what condition it may be replaced; `None` where there is none.
pub async fn read(store: &Store, key: &Path) -> Result<Option<(WindowState, Condition)>> {
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

/// `None` where the condition did not hold.
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
mod tests {
    use super::*;
    use crate::aws::{Account, Aws};
    use crate::job::{AwsSettings, Location};
    use crate::layout::Keys;
    use crate::state::Phase;
    use crate::store::Stores;
    use object_store::memory::InMemory;

    const LENGTH: Duration = Duration::from_secs(2);

    /// In memory: a busy disk would decide how long a renewal takes.
    async fn place() -> (Store, Path) {
        let stores = Stores::new(Arc::new(Aws::new(AwsSettings::default()))).unwrap();
        let stores = stores
            .with_objects("answers", Arc::new(InMemory::new()))
            .unwrap();
        let location = Location::parse("s3://answers", "/".as_ref()).unwrap();
        let store = stores.open(&location, Account::Output).await.unwrap();
        let key = Keys::new(&location, "job").unwrap().state("2026-11-21");
        (store, key)
    }

    async fn take(store: &Store, key: &Path) -> Result<HeldWindow> {
        HeldWindow::take(store, key, LENGTH, |_| {}, &|_| {}).await
    }

    async fn saved(store: &Store, key: &Path) -> WindowState {
        read(store, key).await.unwrap().unwrap().0
    }

    #[tokio::test]
    async fn a_lease_is_renewed_while_it_is_held_and_gone_when_dropped() {
        let (store, key) = place().await;
        let held = take(&store, &key).await.unwrap();
        let first = saved(&store, &key).await.lease.unwrap();
        tokio::time::sleep(LENGTH).await;
        let later = saved(&store, &key).await.lease.unwrap();
        assert!(later.renewals > first.renewals);
        assert_eq!(later.run, first.run);
        drop(held);
        wait_for_releases();
        assert_eq!(saved(&store, &key).await.lease, None);
    }

    #[tokio::test]
    async fn renewing_goes_on_while_the_run_keeps_its_thread_busy() {
        let (store, key) = place().await;
        let held = take(&store, &key).await.unwrap();
        // What decoding does to the runtime.
        std::thread::sleep(LENGTH * 3);
        let lease = saved(&store, &key).await.lease.unwrap();
        assert!(lease.renewals >= 3, "{lease:?}");
        drop(held);
    }

    #[tokio::test]
    async fn a_second_run_sees_that_the_first_one_lives() {
        let (store, key) = place().await;
        let held = take(&store, &key).await.unwrap();
        let error = take(&store, &key).await.err().unwrap();
        assert_eq!(error.class(), Class::Held);
        let pid = std::process::id().to_string();
        assert!(error.to_string().contains(&pid), "{error}");
        held.release(|state| state.phase = Phase::Done)
            .await
            .unwrap();
        let next = take(&store, &key).await.unwrap();
        assert_eq!(next.found().phase, Phase::Done);
    }

    #[tokio::test]
    async fn a_lease_that_nobody_renews_is_taken_over_and_the_old_holder_can_do_nothing_more() {
        let (store, key) = place().await;
        let old = take(&store, &key).await.unwrap();
        // Stalled: its thread renews no more, as if the process were suspended.
        let (stalled, rest) = (old.state(), old);
        let mut foreign = stalled.clone();
        foreign.lease = stalled.lease.map(|lease| Lease {
            run: "another".to_owned(),
            ..lease
        });
        loop {
            let (_, condition) = read(&store, &key).await.unwrap().unwrap();
            let written = put(&store, &key, &foreign, &condition).await.unwrap();
            // Not where it was renewed just then.
            if written.is_some() {
                break;
            }
        }
        let error = rest
            .change(|state| state.phase = Phase::Publishing)
            .await
            .unwrap_err();
        assert_eq!(error.class(), Class::Held);
        assert_eq!(rest.lost().await.class(), Class::Held);
        drop(rest);
        wait_for_releases();
        assert_eq!(
            saved(&store, &key).await,
            foreign,
            "not released by the old holder"
        );

        let taken = take(&store, &key).await.unwrap();
        assert_eq!(taken.found(), &foreign);
    }

    #[tokio::test]
    async fn a_lease_outlasts_a_store_that_is_away_for_longer_than_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("disk")).unwrap();
        std::fs::write(path("no-disk"), "").unwrap();
        let mount = |what: &str| {
            std::os::unix::fs::symlink(path(what), path("next")).unwrap();
            std::fs::rename(path("next"), path("mounted")).unwrap();
        };
        mount("disk");
        let stores = Stores::new(Arc::new(Aws::new(AwsSettings::default()))).unwrap();
        let location = Location::Local(path("mounted"));
        let store = stores.open(&location, Account::Output).await.unwrap();
        let key = Keys::new(&location, "job").unwrap().state("2026-11-21");
        let length = Duration::from_millis(300);
        let held = HeldWindow::take(&store, &key, length, |_| {}, &|_| {}).await;
        let held = held.unwrap();
        mount("no-disk");
        tokio::time::sleep(length * 4).await;
        mount("disk");
        held.change(|state| state.phase = Phase::Publishing)
            .await
            .unwrap();
        assert_eq!(saved(&store, &key).await.phase, Phase::Publishing);
    }

    #[tokio::test]
    async fn whoever_is_stopped_leaves_no_lease_however_many_it_holds_or_is_about_to_take() {
        let (store, _) = place().await;
        let keys = Keys::new(store.location(), "job").unwrap();
        let keys = [19, 20, 21, 22].map(|day| keys.state(&format!("2026-11-{day}")));
        let mut held = Vec::new();
        for key in &keys[..3] {
            held.push(take(&store, key).await.unwrap());
        }
        tokio::select! {
            biased;
            taken = take(&store, &keys[3]) => held.push(taken.unwrap()),
            () = std::future::ready(()) => {}
        }
        drop(held);
        wait_for_releases();
        for key in &keys {
            assert_eq!(saved(&store, key).await.lease, None, "{key}");
        }
    }

    #[tokio::test]
    async fn of_many_at_once_one_gets_the_window() {
        let (store, key) = place().await;
        let takers = (0..8).map(|_| take(&store, &key));
        let taken = futures::future::join_all(takers).await;
        let (held, refused): (Vec<_>, Vec<_>) = taken.into_iter().partition(Result::is_ok);
        assert_eq!(held.len(), 1);
        for error in refused {
            assert_eq!(error.err().unwrap().class(), Class::Held);
        }
    }

    #[tokio::test]
    async fn a_journal_remembers_attempts_by_their_prefix() {
        let (store, key) = place().await;
        let held = take(&store, &key).await.unwrap();
        let mut attempt = Attempt {
            prefix: "job/2026-11-21/web/attempt=1".to_owned(),
            log_group: "web".to_owned(),
            log_stream_prefix: None,
            range: crate::window::Range::ALL,
            asked_at: Utc::now(),
            task_id: None,
            stage: crate::state::AttemptStage::Intended,
        };
        held.record(attempt.clone()).await.unwrap();
        attempt.task_id = Some("t".to_owned());
        held.record(attempt.clone()).await.unwrap();
        held.release(|_| {}).await.unwrap();
        let held = take(&store, &key).await.unwrap();
        assert_eq!(held.attempts("web"), [attempt]);
        assert_eq!(held.attempts("other"), []);
    }
}
