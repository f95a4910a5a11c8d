use std::sync::Arc;

use super::*;
use crate::aws::{Account, Aws};
use crate::job::{AwsSettings, Location};
use crate::layout;
use crate::layout::Keys;
use crate::state::stored::put;
use crate::state::{AttemptStage, Phase};
use crate::store::fake::FakeStore;
use crate::store::{Body, Stores};
use object_store::ObjectStore;
use object_store::memory::InMemory;

/// Long enough for a renewal to come in time on a busy machine: it has two thirds of it.
const LENGTH: Duration = Duration::from_secs(4);

async fn open(objects: Arc<dyn ObjectStore>) -> Store {
    let stores = Stores::new(Arc::new(Aws::new(AwsSettings::default()))).unwrap();
    let stores = stores.with_objects("answers", objects).unwrap();
    let location = Location::parse("s3://answers", "/".as_ref()).unwrap();
    stores.open(&location, Account::Output).await.unwrap()
}

/// In memory: a busy disk would decide how long a renewal takes.
async fn place() -> (Store, Path) {
    let store = open(Arc::new(InMemory::new())).await;
    let key = Keys::new(store.location(), "job")
        .unwrap()
        .state("2026-11-21");
    (store, key)
}

async fn take(store: &Store, key: &Path) -> Result<HeldWindow> {
    HeldWindow::take(store, key, LENGTH, |_| {}, &|_| {}).await
}

async fn saved(store: &Store, key: &Path) -> WindowState {
    read(store, key).await.unwrap().unwrap().0
}

/// Waits until the saved state is as it should be.
async fn becomes(
    store: &Store,
    key: &Path,
    expected: impl Fn(&WindowState) -> bool,
) -> WindowState {
    let look = async {
        loop {
            let state = saved(store, key).await;
            if expected(&state) {
                return state;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let state = tokio::time::timeout(Duration::from_secs(300), look).await;
    state.expect("the state becomes as it should be")
}

async fn is_released(store: &Store, key: &Path) {
    becomes(store, key, |state| state.lease.is_none()).await;
}

#[tokio::test]
async fn a_lease_is_renewed_while_it_is_held_and_gone_when_dropped() {
    let (store, key) = place().await;
    let held = take(&store, &key).await.unwrap();
    let first = saved(&store, &key).await.lease.unwrap();
    let renewed = |state: &WindowState| {
        state
            .lease
            .as_ref()
            .is_some_and(|lease| lease.renewals > first.renewals)
    };
    let later = becomes(&store, &key, renewed).await.lease.unwrap();
    assert_eq!(later.run, first.run);
    drop(held);
    wait_for_releases();
    is_released(&store, &key).await;
}

#[tokio::test]
async fn renewing_goes_on_while_the_run_keeps_its_thread_busy() {
    let (store, key) = place().await;
    let held = take(&store, &key).await.unwrap();
    // This thread waits for another one, without a look at its own runtime: so does one that decodes.
    std::thread::scope(|scope| {
        let look = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build();
            let renewed = |state: &WindowState| {
                state
                    .lease
                    .as_ref()
                    .is_some_and(|lease| lease.renewals >= 3)
            };
            runtime.unwrap().block_on(becomes(&store, &key, renewed));
        });
        look.join().unwrap();
    });
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
    let key = Keys::new(store.location(), "job")
        .unwrap()
        .state("2026-11-21");
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
    let keys = [19, 20, 21, 22].map(|day| {
        let window = format!("2026-11-{day}");
        Keys::new(store.location(), "job").unwrap().state(&window)
    });
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
        is_released(&store, key).await;
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
        staging: None,
        log_group: "web".to_owned(),
        log_stream_prefix: None,
        range: crate::window::Range::ALL,
        asked_at: Utc::now(),
        origin: None,
        of_run: None,
        task_id: None,
        stage: AttemptStage::Intended,
    };
    held.record(attempt.clone()).await.unwrap();
    attempt.task_id = Some("t".to_owned());
    held.record(attempt.clone()).await.unwrap();
    held.release(|_| {}).await.unwrap();
    let held = take(&store, &key).await.unwrap();
    assert_eq!(held.attempts("web"), [attempt]);
    assert_eq!(held.attempts("other"), []);
}

fn attempt(number: usize, stage: AttemptStage) -> Attempt {
    Attempt {
        prefix: format!("job/2026-11-21/group-{number:04}/attempt=1"),
        staging: None,
        log_group: format!("group-{number:04}"),
        log_stream_prefix: None,
        range: crate::window::Range::ALL,
        asked_at: Utc::now(),
        origin: None,
        of_run: None,
        task_id: None,
        stage,
    }
}

/// A place whose objects log every change.
async fn logged_place() -> (Arc<FakeStore>, Store, Path) {
    let objects = Arc::new(FakeStore::default());
    let store = open(objects.clone()).await;
    let key = Keys::new(store.location(), "job")
        .unwrap()
        .state("2026-11-21");
    (objects, store, key)
}

#[tokio::test]
async fn a_note_is_durable_with_the_next_change_or_renewal() {
    let (store, key) = place().await;
    let held = take(&store, &key).await.unwrap();
    held.note(|state| state.phase = Phase::Asking);
    assert_eq!(held.state().phase, Phase::Asking);
    assert_eq!(saved(&store, &key).await.phase, Phase::Exporting);
    let intended = attempt(1, AttemptStage::Intended);
    held.record(intended.clone()).await.unwrap();
    assert_eq!(saved(&store, &key).await.phase, Phase::Asking);

    let asked = Attempt {
        stage: AttemptStage::Asked,
        ..intended.clone()
    };
    Journal::note(&held, asked.clone());
    assert_eq!(
        held.attempts(&asked.log_group),
        std::slice::from_ref(&asked)
    );
    assert_eq!(saved(&store, &key).await.attempts, [intended]);
    becomes(&store, &key, |state| {
        state.attempts == std::slice::from_ref(&asked)
    })
    .await;

    // Given back without a change, as by a run that is stopped.
    held.note(|state| state.phase = Phase::Publishing);
    drop(held);
    wait_for_releases();
    becomes(&store, &key, |state| state.phase == Phase::Publishing).await;
}

#[tokio::test]
async fn attempts_that_are_over_leave_the_state_for_pages_that_become_one() {
    let (objects, store, key) = logged_place().await;
    let held = take(&store, &key).await.unwrap();
    let over: Vec<Attempt> = (0..100)
        .map(|n| attempt(n, AttemptStage::Complete))
        .collect();
    for attempt in &over {
        let stage = AttemptStage::Intended;
        let intended = Attempt {
            stage,
            ..attempt.clone()
        };
        held.record(intended).await.unwrap();
        Journal::note(&held, attempt.clone());
    }
    let in_object = |state: &WindowState| state.attempts.len();
    let (stored, _) = read_object(&store, &key).await.unwrap().unwrap();
    assert!(
        in_object(&stored) <= pages::PAGE + 1,
        "{}",
        in_object(&stored)
    );
    let named: u32 = stored.pages.iter().map(|series| series.count).sum();
    assert!(named > 1);
    let pages = async || store.list(&layout::state_pages(&key)).await.unwrap().len();
    assert_eq!(pages().await, named as usize);
    held.release(|_| {}).await.unwrap();
    assert_eq!(saved(&store, &key).await.attempts, over);
    assert_eq!(pages().await, 1);

    // Nothing to fold: nothing but the state is written.
    let before = objects.changes().len();
    take(&store, &key)
        .await
        .unwrap()
        .release(|_| {})
        .await
        .unwrap();
    assert_eq!(objects.changes().len(), before + 2);

    // What is removed does not come back, and what was changed is as it was changed.
    let held = take(&store, &key).await.unwrap();
    assert_eq!(held.found().attempts, over);
    let changed = attempt(7, AttemptStage::Abandoned);
    held.record(changed.clone()).await.unwrap();
    assert_eq!(saved(&store, &key).await.attempts[7], changed);
    let kept = |attempt: &Attempt| attempt.prefix < over[50].prefix;
    held.release(|state| state.attempts.retain(kept))
        .await
        .unwrap();
    let left = saved(&store, &key).await.attempts;
    assert_eq!((left.len(), &left[7]), (50, &changed));
    assert_eq!(pages().await, 1);
    let held = take(&store, &key).await.unwrap();
    held.release(|state| state.attempts.truncate(3))
        .await
        .unwrap();
    assert_eq!(saved(&store, &key).await.attempts, left[..3]);
    assert_eq!(pages().await, 0);
}

#[tokio::test]
async fn a_state_of_an_earlier_version_has_all_attempts_in_it() {
    let (_, store, key) = logged_place().await;
    let attempts: Vec<Attempt> = (0..100)
        .map(|n| attempt(n, AttemptStage::Complete))
        .collect();
    let json = serde_json::json!({
        "lease": null, "phase": "done", "unfinished": null, "failure": null, "attempts": attempts,
    });
    let body = Body::Bytes(json.to_string().into());
    let put = store.put_if(&key, body, "application/json", &Condition::Absent);
    put.await.unwrap();
    let held = take(&store, &key).await.unwrap();
    assert_eq!(held.found().attempts, attempts);
    held.change(|state| state.phase = Phase::Exporting)
        .await
        .unwrap();
    let (stored, _) = read_object(&store, &key).await.unwrap().unwrap();
    assert_eq!((stored.attempts.len(), stored.pages.len()), (0, 1));
    held.release(|_| {}).await.unwrap();
    assert_eq!(saved(&store, &key).await.attempts, attempts);
}

#[tokio::test]
async fn a_crash_at_any_request_leaves_a_state_with_every_recorded_attempt() {
    let (objects, store, key) = logged_place().await;
    let mut recorded: Vec<(usize, Attempt)> = Vec::new();
    for run in 0..2 {
        let held = take(&store, &key).await.unwrap();
        for number in 0..2 * pages::PAGE + 5 {
            let stage = AttemptStage::Intended;
            let mut attempt = attempt(1000 * run + number, stage);
            held.record(attempt.clone()).await.unwrap();
            recorded.push((objects.changes().len(), attempt.clone()));
            attempt.stage = AttemptStage::Complete;
            Journal::note(&held, attempt);
        }
        held.release(|_| {}).await.unwrap();
    }
    let changes = objects.changes();
    for crash in 1..=changes.len() {
        let objects = Arc::new(FakeStore::replay(&changes[..crash]).await);
        let store = open(objects).await;
        let found = saved(&store, &key).await.attempts;
        let known: Vec<&str> = found.iter().map(|a| a.prefix.as_str()).collect();
        for (_, attempt) in recorded.iter().filter(|(at, _)| *at <= crash) {
            assert!(
                known.contains(&attempt.prefix.as_str()),
                "after {crash} changes"
            );
        }
        // And the next run leaves no page that no state names.
        let mut state = saved(&store, &key).await;
        state.lease = None;
        let (_, condition) = read_object(&store, &key).await.unwrap().unwrap();
        put(&store, &key, &state, &condition)
            .await
            .unwrap()
            .unwrap();
        let held = take(&store, &key).await.unwrap();
        held.release(|_| {}).await.unwrap();
        let (stored, _) = read_object(&store, &key).await.unwrap().unwrap();
        let listed = store.list(&layout::state_pages(&key)).await.unwrap();
        let named: u32 = stored.pages.iter().map(|series| series.count).sum();
        assert_eq!(listed.len(), named as usize, "after {crash} changes");
        assert_eq!(saved(&store, &key).await.attempts.len(), found.len());
    }
}

#[tokio::test]
async fn a_page_that_is_missing_is_damage() {
    let (_, store, key) = logged_place().await;
    let held = take(&store, &key).await.unwrap();
    for number in 0..=pages::PAGE {
        held.record(attempt(number, AttemptStage::Complete))
            .await
            .unwrap();
    }
    held.release(|_| {}).await.unwrap();
    let page = store
        .list(&layout::state_pages(&key))
        .await
        .unwrap()
        .remove(0);
    store.delete(&page.location).await.unwrap();
    let error = take(&store, &key).await.err().unwrap();
    assert_eq!(error.class(), Class::Damaged);
    assert!(error.to_string().contains("2026-11-21.json"), "{error}");
}

/// The state as a run on another machine writes it, whose clock may be hours off.
fn held_elsewhere(since: chrono::DateTime<Utc>, renewals: u64) -> WindowState {
    WindowState {
        lease: Some(Lease {
            run: "of the other run".to_owned(),
            host: "elsewhere".to_owned(),
            process: 1,
            since,
            seconds: LENGTH.as_secs_f64(),
            renewals,
        }),
        ..WindowState::default()
    }
}

async fn write(store: &Store, key: &Path, state: &WindowState) {
    let seen = match read(store, key).await.unwrap() {
        Some((_, seen)) => seen,
        None => Condition::Absent,
    };
    let body = Body::Bytes(serde_json::to_vec(state).unwrap().into());
    let put = store.put_if(key, body, "application/json", &seen);
    put.await.unwrap();
}

#[tokio::test]
async fn whether_a_holder_lives_is_no_question_of_its_clock() {
    for hours in [-2, 2] {
        let since = Utc::now() + chrono::TimeDelta::hours(hours);
        // It lives: its lease is hours older than it is long, or begins hours from now.
        let (store, key) = place().await;
        write(&store, &key, &held_elsewhere(since, 0)).await;
        let renewing = async {
            for renewals in 1.. {
                tokio::time::sleep(LENGTH / 10).await;
                write(&store, &key, &held_elsewhere(since, renewals)).await;
            }
        };
        tokio::select! {
            taken = take(&store, &key) => {
                assert_eq!(taken.err().map(|error| error.class()), Some(Class::Held));
            }
            () = renewing => unreachable!("it renews for ever"),
        }
        // It is dead.
        let (store, key) = place().await;
        write(&store, &key, &held_elsewhere(since, 0)).await;
        take(&store, &key).await.unwrap();
    }
}
