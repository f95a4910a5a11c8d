//! Whole runs against the fake CloudWatch Logs and buckets in memory: many nights in seconds.

mod backlog;
mod identity;
mod late_events;
mod promises;
mod several_sources;
mod shrinking;
mod standing;
mod state_writes;
mod stretches;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use object_store::memory::InMemory;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tokio::sync::Notify;

use super::{Environment, Force, Outcome, Request, Selection, WindowPlan, execute, plan};
use crate::aws::{Account, Aws};
use crate::clock::{Clock, TestClock};
use crate::error::Class;
use crate::export::fake::{FakeLogs, FakeTask, Fate};
use crate::export::service::{
    EventPage, EventService, ExportService, LogGroup, LogStream, Page, PageRequest, ServiceError,
    Task, TaskFilter, TaskRequest,
};
use crate::job::{self, AwsSettings, Job, Location};
use crate::layout::{self, Keys, StagingKeys};
use crate::progress::Silent;
use crate::query::Engine;
use crate::state::{Attempt, AttemptStage, Lease, Unfinished, WindowState, lease};
use crate::store::{Body, Condition, Store, Stores};
use crate::verify::fake::FakeCount;
use crate::verify::{IndependentCount, InsightsState, Sample};
use crate::window::{Range, Unit, Window};

const HOUR: Duration = Duration::from_secs(3600);

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// CloudWatch Logs, buckets, a job and a clock.
struct Nights {
    logs: Arc<FakeLogs>,
    clock: Arc<TestClock>,
    environment: Environment,
    job: Job,
    output: Store,
    keys: Keys,
}

impl Nights {
    async fn new(now: &str, zone: &str) -> Self {
        Self::with(now, zone, "").await
    }

    /// With keys more for the job's `[source]`.
    async fn with(now: &str, zone: &str, keys: &str) -> Self {
        Self::with_window(now, zone, keys, "settled_after = \"12h\"").await
    }

    /// With keys more for the job's `[source]`, and those of its `[window]`.
    async fn with_window(now: &str, zone: &str, keys: &str, window: &str) -> Self {
        let clock = Arc::new(TestClock::at(instant(now)));
        let objects = Arc::new(InMemory::new());
        let logs = FakeLogs::new(clock.clone(), "acme-logs", objects.clone());
        let logs = Arc::new(logs);
        let text = format!(
            r#"
            name = "night"
            timezone = "{zone}"
            [source]
            kind = "cloudwatch"
            log_groups = ["/svc/*"]
            staging = "s3://acme-logs/exports"
            {keys}
            [window]
            {window}
            [output]
            location = "s3://acme-answers"
            [[query]]
            name = "total"
            sql = "total.sql"
            "#
        );
        let scratch = tempfile::tempdir().unwrap();
        let sql = "SELECT count(*) AS events, count(DISTINCT message) AS messages FROM logs";
        std::fs::write(scratch.path().join("total.sql"), sql).unwrap();
        let job = job::parse(&scratch.path().join("night.toml"), &text).unwrap();
        let stores = Stores::new(Arc::new(Aws::new(AwsSettings::default()))).unwrap();
        let stores = stores.with_objects("acme-logs", objects).unwrap();
        let stores = stores
            .with_objects("acme-answers", Arc::new(InMemory::new()))
            .unwrap();
        let answers = Location::parse("s3://acme-answers", "/".as_ref()).unwrap();
        let output = stores.open(&answers, Account::Output).await.unwrap();
        let environment = Environment {
            stores,
            clock: clock.clone(),
            progress: Arc::new(Silent),
            services: vec![logs.clone()],
            counter: Some(Arc::new(FakeCount::default())),
            engine: Engine::new(256 << 20, scratch.path()).unwrap(),
            scratch: Some(scratch.into()),
            columns: None,
        };
        Self {
            keys: Keys::of(&job).unwrap(),
            logs,
            clock,
            environment,
            job,
            output,
        }
    }

    async fn run(&self, selection: Selection) -> Vec<Outcome> {
        let request = Request {
            selection,
            force: Force::No,
            provisional: false,
        };
        let plan = plan(&self.environment, &self.job, &request).await.unwrap();
        execute(&self.environment, &plan, |_, _| {}).await.unwrap()
    }

    /// What the answer of a window says: how many events, and how many different messages.
    async fn answer(&self, window: &Window) -> (i64, i64) {
        use arrow::array::AsArray;
        use arrow::datatypes::Int64Type;
        let key = self.keys.answer("total", window);
        let parquet = self.output.get(&key).await.unwrap().unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(parquet).unwrap();
        let batch = reader.build().unwrap().next().unwrap().unwrap();
        let value = |column: usize| batch.column(column).as_primitive::<Int64Type>().value(0);
        (value(0), value(1))
    }

    async fn staging(&self) -> Store {
        let staging = Location::parse("s3://acme-logs/exports", "/".as_ref()).unwrap();
        self.environment
            .stores
            .open(&staging, Account::LOGS)
            .await
            .unwrap()
    }

    /// The keys of what is staged of a window, relative to the staging location.
    async fn staged(&self, window: &str) -> Vec<String> {
        let staging = self.staging().await;
        let folder = StagingKeys::of(&self.job, &self.job.sources[0])
            .unwrap()
            .of_window(window);
        let listed = staging.list(&folder).await.unwrap();
        listed
            .iter()
            .map(|meta| layout::relative(staging.root(), &meta.location))
            .collect()
    }

    /// Stages an object that no run of the job knows.
    async fn put_foreign(&self, key: &str) {
        let staging = self.staging().await;
        let key = layout::join(staging.root(), key);
        let body = Body::Bytes("somebody else's".into());
        staging
            .put_if(&key, body, "text/plain", &Condition::Absent)
            .await
            .unwrap();
    }

    async fn state(&self, window: &str) -> WindowState {
        let key = self.keys.state(window);
        lease::read(&self.output, &key).await.unwrap().unwrap().0
    }

    /// Leaves a state as a run that was killed would.
    async fn edit_state(&self, window: &str, edit: impl FnOnce(&mut WindowState)) {
        let key = self.keys.state(window);
        let (mut state, seen) = lease::read(&self.output, &key).await.unwrap().unwrap();
        edit(&mut state);
        let body = Body::Bytes(serde_json::to_vec(&state).unwrap().into());
        let put = self.output.put_if(&key, body, "application/json", &seen);
        put.await.unwrap();
    }

    fn windows(&self, from: &str, to: &str) -> Vec<Window> {
        let (size, zone) = (self.job.window.size, self.job.timezone);
        let unit = |id: &str| Unit::parse(size, id).unwrap();
        Window::list(size, zone, unit(from), unit(to)).unwrap()
    }
}

/// 90 days of 40 log groups, with the changes of daylight saving in Berlin among them.
#[tokio::test]
async fn a_backfill_ends_with_every_window_exactly_once() {
    const GROUPS: usize = 40;
    let nights = Nights::new("2026-12-01T03:00:00Z", "Europe/Berlin").await;
    let windows = nights.windows("2026-08-01", "2026-10-29");
    assert_eq!(windows.len(), 90);
    for group in 0..GROUPS {
        let name = format!("/svc/{group:02}");
        nights
            .logs
            .add_group(&name, instant("2026-01-01T00:00:00Z"));
        for window in &windows {
            // At both edges, which the padded exports of two windows have, and one of several lines.
            let last = window.end() - TimeDelta::milliseconds(1);
            let noon = window.start() + TimeDelta::hours(12);
            for (at, text) in [
                (window.start(), "first"),
                (noon, "one\n\ttwo\n"),
                (last, "last"),
            ] {
                let message = format!("{text} {group} {}", window.id());
                nights.logs.put(&name, "web/1", at, &message);
            }
        }
    }
    // Somebody else's exports hold the slot when the backfill begins, and again and again.
    for (hours, lasting) in [(0, 5), (7, 3), (12, 2), (16, 4)] {
        let from = nights.clock.now() + TimeDelta::hours(hours);
        nights.logs.occupy_slot(from, lasting * HOUR);
    }

    let all = Selection::FromTo("2026-08-01".to_owned(), "2026-10-29".to_owned());
    let outcomes = nights.run(all.clone()).await;
    assert_eq!(outcomes.len(), 90);
    let events = 3 * GROUPS;
    for (window, outcome) in windows.iter().zip(&outcomes) {
        let receipt = outcome.result.as_ref().unwrap();
        assert_eq!(receipt.window.id, window.id());
        assert!(!receipt.window.provisional && !outcome.skipped);
        assert_eq!(receipt.read.events, events as u64, "window {window}");
        assert_eq!(receipt.exports.len(), GROUPS);
        let found = nights.answer(window).await;
        assert_eq!(found, (events as i64, events as i64), "window {window}");
    }
    // One task for each group and week, and what the receipts say is what the service did.
    let tasks = nights.logs.own_tasks();
    let mut of_week: BTreeMap<(&str, i64), usize> = BTreeMap::new();
    for task in &tasks {
        let of = (task.request.log_group.as_str(), task.request.from_ms);
        *of_week.entry(of).or_default() += 1;
    }
    assert_eq!(of_week.len(), 90_usize.div_ceil(7) * GROUPS);
    assert!(of_week.values().all(|count| *count == 1));
    let mut told: HashMap<&str, usize> = HashMap::new();
    for outcome in &outcomes {
        for export in &outcome.result.as_ref().unwrap().exports {
            *told.entry(export.task_id.as_deref().unwrap()).or_default() += 1;
        }
    }
    assert_eq!(told.len(), tasks.len());
    let of_last_week = 90 % 7;
    let days = |task: &FakeTask| told[task.id.as_str()];
    assert!(
        tasks
            .iter()
            .all(|task| [7, of_last_week].contains(&days(task)))
    );
    assert_eq!(tasks.iter().map(days).sum::<usize>(), 90 * GROUPS);
    assert_eq!(nights.logs.asked().len(), tasks.len() + 4);

    // Once more: nothing is left to do.
    let again = nights.run(all).await;
    assert!(again.iter().all(|outcome| outcome.skipped));
    assert_eq!(nights.logs.own_tasks().len(), tasks.len());
}

#[tokio::test]
async fn a_window_whose_export_fails_does_not_keep_the_others() {
    let nights = Nights::new("2026-12-01T03:00:00Z", "UTC").await;
    nights
        .logs
        .add_group("/svc/a", instant("2026-01-01T00:00:00Z"));
    for day in ["20", "21", "22"] {
        let at = instant(&format!("2026-11-{day}T12:00:00Z"));
        nights.logs.put("/svc/a", "web/1", at, "hello");
    }
    // One task for all of them fails, and then that of the second day.
    let failed = [Fate::Failed; 3];
    nights.logs.doom([Fate::Failed, Fate::Completed]);
    nights.logs.doom(failed);
    let days = Selection::FromTo("2026-11-20".to_owned(), "2026-11-22".to_owned());
    let outcomes = nights.run(days.clone()).await;
    let classes: Vec<_> = outcomes
        .iter()
        .map(|outcome| outcome.result.as_ref().err().map(|error| error.class()))
        .collect();
    assert_eq!(classes, [None, Some(Class::Source), None]);
    let outcomes = nights.run(days).await;
    let skipped: Vec<_> = outcomes.iter().map(|outcome| outcome.skipped).collect();
    assert_eq!(skipped, [true, false, true]);
    assert_eq!(outcomes[1].result.as_ref().unwrap().read.events, 1);
}

#[tokio::test]
async fn late_events_are_counted_when_the_window_is_done_again() {
    let nights = Nights::new("2026-11-21T00:10:00Z", "UTC").await;
    nights
        .logs
        .add_group("/svc/a", instant("2026-01-01T00:00:00Z"));
    let put_late = |at: &str, ingested: &str, message: &str| {
        let (at, ingested) = (instant(at), instant(ingested));
        nights
            .logs
            .put_late("/svc/a", "web/1", at, ingested, message);
    };
    put_late("2026-11-20T12:00:00Z", "2026-11-20T12:00:01Z", "in time");
    put_late("2026-11-20T23:00:00Z", "2026-11-21T05:00:00Z", "late");
    let window = Selection::Id("2026-11-20".to_owned());
    let first = nights.run(window.clone()).await.remove(0).result.unwrap();
    assert!(first.window.provisional);
    assert_eq!(first.read.events, 1);

    nights.clock.sleep(12 * HOUR).await;
    let second = nights.run(window.clone()).await.remove(0).result.unwrap();
    assert!(!second.window.provisional);
    assert_eq!(second.read.events, 2);
    let windows = nights.windows("2026-11-20", "2026-11-20");
    assert_eq!(nights.answer(&windows[0]).await, (2, 2));
    assert_eq!(nights.logs.own_tasks().len(), 2);
    assert!(nights.run(window).await[0].skipped);
}

#[tokio::test]
async fn superseded_exports_go_and_those_of_others_stay() {
    let nights = Nights::new("2026-11-21T00:10:00Z", "UTC").await;
    nights
        .logs
        .add_group("/svc/a", instant("2026-01-01T00:00:00Z"));
    let noon = instant("2026-11-20T12:00:00Z");
    nights.logs.put("/svc/a", "web/1", noon, "hello");
    let foreign = [
        "night/2026-11-20/%2Fsvc%2Fa/attempt=0/task/web-1/000000.gz",
        "night/2026-11-20/%2Fsvc%2Fa/notes.txt",
    ];
    for key in foreign {
        nights.put_foreign(key).await;
    }
    let window = Selection::Id("2026-11-20".to_owned());
    nights.logs.doom([Fate::Failed]);
    nights.run(window.clone()).await.remove(0).result.unwrap();
    let own = |keys: Vec<String>| -> Vec<String> {
        let is_own = |key: &String| !foreign.contains(&key.as_str());
        keys.into_iter().filter(is_own).collect()
    };
    let provisional = own(nights.staged("2026-11-20").await);
    // One object, the manifest, and CloudWatch's write test; nothing of the attempt that failed.
    assert_eq!(provisional.len(), 3, "{provisional:?}");

    nights.clock.sleep(12 * HOUR).await;
    nights.run(window).await.remove(0).result.unwrap();
    let staged = nights.staged("2026-11-20").await;
    for key in foreign {
        assert!(staged.iter().any(|staged| staged == key), "{key} is gone");
    }
    let settled = own(staged);
    assert_eq!(settled.len(), 3, "{settled:?}");
    assert!(settled.iter().all(|key| !provisional.contains(key)));
}

#[tokio::test]
async fn exports_of_settled_windows_go_after_keep() {
    let nights = Nights::with("2026-11-21T12:30:00Z", "UTC", "keep = \"7d\"").await;
    nights
        .logs
        .add_group("/svc/a", instant("2026-01-01T00:00:00Z"));
    for day in 20..=28 {
        let noon = instant(&format!("2026-11-{day}T12:00:00Z"));
        nights.logs.put("/svc/a", "web/1", noon, "hello");
    }
    nights.put_foreign("night/2026-11-20/notes.txt").await;
    for _ in 21..28 {
        nights
            .run(Selection::Default)
            .await
            .remove(0)
            .result
            .unwrap();
        assert_eq!(nights.staged("2026-11-20").await.len(), 4);
        nights.clock.sleep(24 * HOUR).await;
    }
    // The night on which it settled a week ago.
    nights
        .run(Selection::Default)
        .await
        .remove(0)
        .result
        .unwrap();
    assert_eq!(
        nights.staged("2026-11-20").await,
        ["night/2026-11-20/notes.txt"]
    );
    assert_eq!(nights.staged("2026-11-21").await.len(), 3);
    let first = Selection::Id("2026-11-20".to_owned());
    assert!(nights.run(first).await[0].skipped, "its answer is there");
}

/// Hours are provisional for longer than they are: those that have settled are the ones behind twelve others.
#[tokio::test]
async fn hours_are_done_again_when_they_have_settled() {
    let hours = "size = \"hour\"\nsettled_after = \"12h\"";
    let nights = Nights::with_window("2026-11-21T00:10:00Z", "UTC", "", hours).await;
    nights
        .logs
        .add_group("/svc/a", instant("2026-01-01T00:00:00Z"));
    nights.run(Selection::Default).await;
    for hours in 1..=15 {
        nights.clock.sleep(HOUR).await;
        let outcomes = nights.run(Selection::Default).await;
        let done: Vec<(&str, bool)> = outcomes
            .iter()
            .map(|outcome| {
                let window = &outcome.result.as_ref().unwrap().window;
                (window.id.as_str(), window.provisional)
            })
            .collect();
        let last = |hours_ago: i64| {
            let start = instant("2026-11-21T00:00:00Z") + TimeDelta::hours(hours - hours_ago);
            start.format("%Y-%m-%dT%H").to_string()
        };
        let (new, settled) = (last(1), last(13));
        let expected = match hours < 12 {
            true => vec![(new.as_str(), true)],
            false => vec![(settled.as_str(), false), (new.as_str(), true)],
        };
        assert_eq!(done, expected, "after {hours} hours");
    }
}

/// A receipt says until when its events are all there: since the first of the exports, not the last.
#[tokio::test]
async fn an_answer_is_as_old_as_the_first_of_its_exports() {
    let nights = Nights::new("2026-11-21T12:30:00Z", "UTC").await;
    for group in ["/svc/a", "/svc/b"] {
        nights
            .logs
            .add_group(group, instant("2026-01-01T00:00:00Z"));
    }
    let began = nights.clock.now();
    let receipt = nights.run(Selection::Default).await.remove(0);
    let receipt = receipt.result.unwrap();
    assert_eq!(receipt.as_of, Some(began));
    assert!(receipt.finished_at > began, "the second one waited");
}

#[tokio::test]
async fn exports_go_after_keep_although_a_run_was_killed_while_it_deleted_them() {
    let nights = Nights::with("2026-11-21T12:30:00Z", "UTC", "keep = \"7d\"").await;
    nights
        .logs
        .add_group("/svc/a", instant("2026-01-01T00:00:00Z"));
    let noon = instant("2026-11-20T12:00:00Z");
    nights.logs.put("/svc/a", "web/1", noon, "hello");
    nights.run(Selection::Default).await;
    let killed = Lease {
        run: "killed".to_owned(),
        host: "elsewhere".to_owned(),
        process: 1,
        since: nights.clock.now(),
        seconds: 0.1,
        renewals: 3,
    };
    nights
        .edit_state("2026-11-20", |state| state.lease = Some(killed))
        .await;
    nights.clock.sleep(8 * 24 * HOUR).await;
    nights.run(Selection::Default).await;
    assert_eq!(nights.staged("2026-11-20").await, Vec::<String>::new());
    let state = nights.state("2026-11-20").await;
    assert_eq!((state.lease, state.attempts.len()), (None, 0));
}

#[tokio::test]
async fn what_could_not_be_deleted_is_deleted_by_a_later_run() {
    let nights = Nights::new("2026-11-21T12:30:00Z", "UTC").await;
    nights
        .logs
        .add_group("/svc/a", instant("2026-01-01T00:00:00Z"));
    let window = Selection::Id("2026-11-20".to_owned());
    nights.run(window.clone()).await;
    let kept = nights.staged("2026-11-20").await;
    let left = |number: u32, stage: AttemptStage, task_id: Option<&str>| Attempt {
        prefix: format!("night/2026-11-20/%2Fsvc%2Fa/attempt={number}"),
        staging: None,
        log_group: "/svc/a".to_owned(),
        log_stream_prefix: None,
        range: Range::ALL,
        asked_at: nights.clock.now(),
        origin: None,
        of_run: None,
        task_id: task_id.map(str::to_owned),
        stretch: None,
        stage,
    };
    let attempts = [
        left(1, AttemptStage::Abandoned, Some("failed")),
        // Its events were fetched one by one, by a run that is no more.
        left(2, AttemptStage::Asked, None),
        left(3, AttemptStage::Asked, Some("under way")),
    ];
    for attempt in &attempts {
        let key = format!("{}/x/web/000000.gz", attempt.prefix);
        nights.put_foreign(&key).await;
    }
    nights
        .edit_state("2026-11-20", |state| state.attempts.extend(attempts))
        .await;
    assert!(nights.run(window.clone()).await[0].skipped);
    let of_task = "night/2026-11-20/%2Fsvc%2Fa/attempt=3/x/web/000000.gz";
    let expected = |more: &[&str]| {
        let mut keys = kept.clone();
        keys.extend(more.iter().map(|key| (*key).to_owned()));
        keys.sort();
        keys
    };
    assert_eq!(nights.staged("2026-11-20").await, expected(&[of_task]));
    // A task ends within a day.
    nights.clock.sleep(25 * HOUR).await;
    assert!(nights.run(window).await[0].skipped);
    assert_eq!(nights.staged("2026-11-20").await, expected(&[]));
    assert_eq!(nights.state("2026-11-20").await.attempts.len(), 1);
}

/// The clock of the machine on which the last run was killed may have been an hour ahead or behind.
#[tokio::test]
async fn whether_a_killed_run_had_put_its_receipt_is_no_question_of_clocks() {
    let nights = Nights::new("2026-11-21T12:30:00Z", "UTC").await;
    nights
        .logs
        .add_group("/svc/a", instant("2026-01-01T00:00:00Z"));
    let window = Selection::Id("2026-11-20".to_owned());
    let receipt = nights.run(window.clone()).await.remove(0).result.unwrap();
    let an_hour = TimeDelta::hours(1);
    for (began_at, replaces, is_published) in [
        (receipt.started_at + an_hour, None, true),
        (
            receipt.started_at - an_hour,
            Some(receipt.started_at),
            false,
        ),
    ] {
        let killed = Unfinished {
            began_at,
            source_sha256: receipt.source_sha256.clone(),
            replaces,
        };
        nights
            .edit_state("2026-11-20", |state| state.unfinished = Some(killed))
            .await;
        let next = nights.run(window.clone()).await.remove(0);
        assert_eq!(next.skipped, is_published);
        assert_eq!(nights.state("2026-11-20").await.unfinished, None);
    }
}

/// Killed behind its export, on a day that has not settled for a while.
#[tokio::test]
async fn an_interrupted_run_is_gone_on_with_for_a_day() {
    let patient = "settled_after = \"7d\"";
    let nights = Nights::with_window("2026-11-21T12:30:00Z", "UTC", "", patient).await;
    nights
        .logs
        .add_group("/svc/a", instant("2026-01-01T00:00:00Z"));
    let window = Selection::Id("2026-11-20".to_owned());
    let first = nights.run(window.clone()).await.remove(0).result.unwrap();
    for (hours, reused) in [(23, true), (2, false)] {
        nights.clock.sleep(hours * HOUR).await;
        let receipt = nights.keys.receipt("2026-11-20");
        nights.output.delete(&receipt).await.unwrap();
        let killed = Unfinished {
            began_at: first.started_at,
            source_sha256: first.source_sha256.clone(),
            replaces: None,
        };
        nights
            .edit_state("2026-11-20", |state| state.unfinished = Some(killed))
            .await;
        let next = nights.run(window.clone()).await.remove(0).result.unwrap();
        assert_eq!(next.exports[0].reused, reused, "after {hours} hours more");
    }
}

/// While a window waits for its export, the answers of the one before are computed: the count of the first waits until
/// the second is asked for, and the second until the first is told.
#[tokio::test]
async fn answers_are_computed_while_the_next_export_is_waited_for() {
    let mut nights = Nights::with("2026-11-21T12:30:00Z", "UTC", "verify = \"metrics\"").await;
    nights
        .logs
        .add_group("/svc/a", instant("2026-01-01T00:00:00Z"));
    for day in ["2026-11-18", "2026-11-19", "2026-11-20"] {
        let noon = instant(&format!("{day}T12:00:00Z"));
        nights.logs.put("/svc/a", "web/1", noon, "hello");
    }
    // The day between is done: each of the others has an export of its own.
    nights.run(Selection::Id("2026-11-19".to_owned())).await;
    let turns = Arc::new(Turns {
        logs: nights.logs.clone(),
        created: AtomicUsize::new(0),
        counted: AtomicUsize::new(0),
        second_is_asked_for: Notify::new(),
        first_is_told: Notify::new(),
    });
    nights.environment.services = vec![turns.clone()];
    nights.environment.counter = Some(turns.clone());
    let request = Request {
        selection: Selection::FromTo("2026-11-18".to_owned(), "2026-11-20".to_owned()),
        force: Force::No,
        provisional: false,
    };
    let plan = plan(&nights.environment, &nights.job, &request)
        .await
        .unwrap();
    let tell = |_: &WindowPlan, _: &Outcome| turns.first_is_told.notify_one();
    let done = execute(&nights.environment, &plan, tell);
    let outcomes = tokio::time::timeout(Duration::from_secs(600), done).await;
    let outcomes = outcomes.expect("each waits for the other").unwrap();
    assert!(outcomes.iter().all(|outcome| outcome.result.is_ok()));
}

/// CloudWatch Logs that answers the second request for an export when the first window is told, and a count that comes
/// when that request has come.
struct Turns {
    logs: Arc<FakeLogs>,
    created: AtomicUsize,
    counted: AtomicUsize,
    second_is_asked_for: Notify,
    first_is_told: Notify,
}

#[async_trait]
impl EventService for Turns {
    async fn events(&self, request: &PageRequest) -> Result<EventPage, ServiceError> {
        self.logs.events(request).await
    }
}

#[async_trait]
impl ExportService for Turns {
    fn endpoint(&self) -> &str {
        self.logs.endpoint()
    }

    async fn groups(
        &self,
        prefix: &str,
        page: Option<String>,
    ) -> Result<Page<LogGroup>, ServiceError> {
        self.logs.groups(prefix, page).await
    }

    async fn streams(
        &self,
        log_group: &str,
        page: Option<String>,
    ) -> Result<Page<LogStream>, ServiceError> {
        self.logs.streams(log_group, page).await
    }

    async fn create(&self, request: &TaskRequest) -> Result<String, ServiceError> {
        if self.created.fetch_add(1, Ordering::SeqCst) == 1 {
            self.second_is_asked_for.notify_one();
            self.first_is_told.notified().await;
        }
        self.logs.create(request).await
    }

    async fn tasks(
        &self,
        filter: &TaskFilter,
        page: Option<String>,
    ) -> Result<Page<Task>, ServiceError> {
        self.logs.tasks(filter, page).await
    }
}

#[async_trait]
impl IndependentCount for Turns {
    async fn incoming(&self, _: &[String], _: Range, _: i32) -> Result<Vec<Sample>, ServiceError> {
        if self.counted.fetch_add(1, Ordering::SeqCst) == 0 {
            self.second_is_asked_for.notified().await;
        }
        Ok(Vec::new())
    }

    async fn start_query(
        &self,
        _: &[String],
        _: i64,
        _: i64,
        _: &str,
    ) -> Result<String, ServiceError> {
        unreachable!("the metric is asked")
    }

    async fn query_state(&self, _: &str) -> Result<InsightsState, ServiceError> {
        unreachable!("the metric is asked")
    }

    async fn stop_query(&self, _: &str) -> Result<(), ServiceError> {
        unreachable!("the metric is asked")
    }
}

#[tokio::test]
async fn a_disputed_window_whose_events_go_keeps_its_answers_and_is_left_alone_in_the_end() {
    let mut nights = Nights::with("2026-11-21T12:30:00Z", "UTC", "verify = \"metrics\"").await;
    nights
        .logs
        .add_group("/svc/a", instant("2026-01-01T00:00:00Z"));
    let noon = instant("2026-11-20T12:00:00Z");
    nights.logs.put("/svc/a", "web/1", noon, "hello");
    nights
        .logs
        .put("/svc/a", "web/1", noon + TimeDelta::hours(1), "hello");
    let counter = Arc::new(FakeCount::default());
    counter.came_in(noon.timestamp_millis(), 20.0);
    nights.environment.counter = Some(counter);
    let window = Selection::Id("2026-11-20".to_owned());
    nights.run(window.clone()).await;
    nights.logs.expire("/svc/a", noon + TimeDelta::minutes(1));
    for reexports in 1..=3 {
        let receipt = nights.run(window.clone()).await.remove(0).result.unwrap();
        assert_eq!((receipt.read.events, receipt.reexports), (2, reexports));
        assert!(receipt.is_disputed());
        let windows = nights.windows("2026-11-20", "2026-11-20");
        assert_eq!(nights.answer(&windows[0]).await.0, 2);
    }
    assert!(nights.run(window).await[0].skipped);
    assert_eq!(nights.state("2026-11-20").await.attempts.len(), 1);
}

#[tokio::test]
async fn a_disputed_window_is_done_again_and_not_for_ever() {
    let mut nights = Nights::with("2026-11-21T12:30:00Z", "UTC", "verify = \"metrics\"").await;
    nights
        .logs
        .add_group("/svc/a", instant("2026-01-01T00:00:00Z"));
    let noon = instant("2026-11-20T12:00:00Z");
    nights.logs.put("/svc/a", "web/1", noon, "hello");
    let counter = Arc::new(FakeCount::default());
    counter.came_in(noon.timestamp_millis(), 20.0);
    nights.environment.counter = Some(counter);
    let window = Selection::Id("2026-11-20".to_owned());
    for reexports in 0..=3 {
        let receipt = nights.run(window.clone()).await.remove(0).result.unwrap();
        assert!(receipt.is_disputed() && receipt.is_uncertain());
        assert_eq!(receipt.reexports, reexports);
        assert_eq!(nights.logs.own_tasks().len() as u32, reexports + 1);
    }
    assert!(nights.run(window.clone()).await[0].skipped);

    // The event that was missing, in a run of another night that looks back.
    let mut nights = Nights::with("2026-11-21T12:30:00Z", "UTC", "verify = \"metrics\"").await;
    let counter = Arc::new(FakeCount::default());
    counter.came_in(noon.timestamp_millis(), 20.0);
    nights.environment.counter = Some(counter);
    nights
        .logs
        .add_group("/svc/a", instant("2026-01-01T00:00:00Z"));
    let late = instant("2026-11-21T20:00:00Z");
    for _ in 0..10 {
        nights.logs.put("/svc/a", "web/1", noon, "hello");
        nights.logs.put_late("/svc/a", "web/1", noon, late, "late");
    }
    nights.run(window).await.remove(0).result.unwrap();
    nights.clock.sleep(24 * HOUR).await;
    let outcomes = nights.run(Selection::Default).await;
    let receipt = outcomes[0].result.as_ref().unwrap();
    assert_eq!(
        (receipt.window.id.as_str(), receipt.reexports),
        ("2026-11-20", 1)
    );
    assert!(!receipt.is_uncertain());
    assert_eq!(receipt.change.as_ref().unwrap().events, 10);
    assert_eq!(outcomes.len(), 2);
}

#[tokio::test]
async fn a_window_that_another_run_did_meanwhile_is_left_as_it_is() {
    let nights = Nights::new("2026-11-21T12:30:00Z", "UTC").await;
    nights
        .logs
        .add_group("/svc/a", instant("2026-01-01T00:00:00Z"));
    let noon = instant("2026-11-20T12:00:00Z");
    nights.logs.put("/svc/a", "web/1", noon, "hello");
    let request = Request {
        selection: Selection::Id("2026-11-20".to_owned()),
        force: Force::No,
        provisional: false,
    };
    let early = plan(&nights.environment, &nights.job, &request)
        .await
        .unwrap();
    let done = nights.run(request.selection.clone()).await.remove(0);
    done.result.unwrap();
    nights.clock.sleep(HOUR).await;

    let late = execute(&nights.environment, &early, |_, _| {});
    let error = late.await.unwrap().remove(0).result.unwrap_err();
    assert_eq!(error.class(), Class::Held);
    assert!(nights.run(request.selection.clone()).await[0].skipped);
    assert_eq!(nights.logs.own_tasks().len(), 1);

    // For a backfill, it is one window less to do.
    let request = Request {
        selection: Selection::FromTo("2026-11-18".to_owned(), "2026-11-19".to_owned()),
        ..request
    };
    let early = plan(&nights.environment, &nights.job, &request)
        .await
        .unwrap();
    let nightly = Selection::Id("2026-11-19".to_owned());
    nights.run(nightly).await.remove(0).result.unwrap();
    let late = execute(&nights.environment, &early, |_, _| {});
    let late = late.await.unwrap();
    let skipped: Vec<_> = late.iter().map(|outcome| outcome.skipped).collect();
    assert!(late.iter().all(|outcome| outcome.result.is_ok()));
    assert_eq!(skipped, [false, true]);
}
