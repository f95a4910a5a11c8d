//! The exporter's queue over the stateful fake of CloudWatch Logs, in the fake's time: how long a backfill or a night of one
//! account takes, and what it costs in tasks, requests, written state and memory.
//!
//! `cargo bench --bench night --features testing [-- GROUPS]`. The accounts of an organisation have a queue each, so that one
//! of them is simulated, with 10,000 log groups.

#![expect(clippy::print_stdout, reason = "it prints what it has counted")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use logtally::aws::Aws;
use logtally::clock::{Clock, TestClock};
use logtally::export::fake::{Call, FakeLogs};
use logtally::job::{self, AwsSettings, Job};
use logtally::progress::Silent;
use logtally::query::Engine;
use logtally::run::{Environment, Force, Request, Selection, execute, plan};
use logtally::store::Stores;
use logtally::store::fake::{Change, FakeStore};
use logtally::verify::fake::FakeCount;
use object_store::ObjectStore;
use object_store::memory::InMemory;

/// What an export task takes at the least, and the bytes that it exports in a second: the assumptions of `doctor`, since
/// CloudWatch promises nothing.
const TASK: Duration = Duration::from_secs(100);
const BYTES_IN_A_SECOND: f64 = 1e9 / 60.0;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, which counts.
struct Counting;

// SAFETY: each call is handed to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(live, Ordering::Relaxed);
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().expect("an instant")
}

/// An account with log groups that have some bytes each day, and a job over all of them.
struct Account {
    logs: Arc<FakeLogs>,
    clock: Arc<TestClock>,
    staging: Arc<FakeStore>,
    answers: Arc<FakeStore>,
    environment: Environment,
    job: Job,
    _scratch: tempfile::TempDir,
}

impl Account {
    /// At 03:00 of 2026-12-02, with an event of each group at the noon of each of the last `days` that have settled.
    fn new(groups: usize, days: i64, daily_bytes: f64, via: &str) -> Self {
        let clock = Arc::new(TestClock::at(instant("2026-12-02T03:00:00Z")));
        let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let logs = FakeLogs::new(clock.clone(), "logs", Arc::clone(&objects));
        let logs = Arc::new(logs);
        logs.run_for(TASK, BYTES_IN_A_SECOND);
        for group in 0..groups {
            let name = format!("/svc/{group:05}");
            logs.add_group(&name, instant("2026-06-01T00:00:00Z"));
            logs.set_volume(&name, daily_bytes);
            for day in 0..days {
                let noon = instant("2026-11-30T12:00:00Z") - TimeDelta::days(day);
                logs.put(&name, "web/1", noon, "hello");
            }
        }
        let scratch = tempfile::tempdir().expect("a folder");
        let text = format!(
            r#"
            name = "night"
            [source]
            kind = "cloudwatch"
            log_groups = ["/svc/*"]
            staging = "s3://logs/exports"
            via = "{via}"
            give_up_after = "30d"
            [output]
            location = "s3://answers"
            [[query]]
            use = "hourly_count"
            "#
        );
        let job = job::parse(&scratch.path().join("night.toml"), &text).expect("a job");
        let answers = Arc::new(FakeStore::default());
        let stores = Stores::new(Arc::new(Aws::new(AwsSettings::default()))).expect("stores");
        let staging = Arc::new(FakeStore::over(objects));
        let stores = stores
            .with_objects("logs", staging.clone())
            .expect("a name");
        let stores = stores
            .with_objects("answers", answers.clone())
            .expect("a name");
        let folder = tempfile::tempdir_in(scratch.path()).expect("a folder");
        let environment = Environment {
            stores,
            clock: clock.clone(),
            progress: Arc::new(Silent),
            services: vec![logs.clone()],
            counter: Some(Arc::new(FakeCount::default())),
            engine: Engine::new(1 << 30, scratch.path()).expect("an engine"),
            scratch: Some(folder.into()),
            columns: None,
        };
        Self {
            logs,
            clock,
            staging,
            answers,
            environment,
            job,
            _scratch: scratch,
        }
    }

    /// Runs a selection, and returns the memory that its plan takes. Each window must have an event of each group.
    async fn run(&self, selection: Selection, groups: usize) -> usize {
        let request = Request {
            selection,
            force: Force::No,
            provisional: false,
        };
        let before = LIVE.load(Ordering::Relaxed);
        let plan = plan(&self.environment, &self.job, &request)
            .await
            .expect("a plan");
        let memory = LIVE.load(Ordering::Relaxed).saturating_sub(before);
        let outcomes = execute(&self.environment, &plan, |_, _| {})
            .await
            .expect("a run");
        for outcome in &outcomes {
            let receipt = outcome.result.as_ref().expect("a receipt");
            assert_eq!(receipt.read.events, groups as u64, "{}", outcome.window);
        }
        memory
    }

    /// Puts of states with their pages, their bytes, and the largest.
    fn states(&self) -> (usize, usize, usize) {
        let (mut puts, mut bytes, mut largest) = (0, 0, 0);
        for change in self.answers.changes() {
            if let Change::Put(key, content) = change
                && key.as_ref().contains("/_state/")
            {
                puts += 1;
                bytes += content.len();
                largest = largest.max(content.len());
            }
        }
        (puts, bytes, largest)
    }
}

fn hours(time: TimeDelta) -> f64 {
    time.as_seconds_f64() / 3600.0
}

/// The last `days` days of five groups, window by window as runs of one window each, and in one run.
async fn backfill(days: i64) {
    const GROUPS: usize = 5;
    for gigabytes in [0.1, 1.0, 10.0] {
        let daily = gigabytes * 1e9;
        let alone = Account::new(GROUPS, days, daily, "export-task");
        let began = alone.clock.now();
        for day in (0..days).rev() {
            let day = instant("2026-11-30T00:00:00Z") - TimeDelta::days(day);
            let id = day.format("%Y-%m-%d").to_string();
            alone.run(Selection::Id(id), GROUPS).await;
        }
        let one_by_one = hours(alone.clock.now() - began);
        let tasks = alone.logs.own_tasks().len();
        let together = Account::new(GROUPS, days, daily, "export-task");
        let began = together.clock.now();
        let first = instant("2026-11-30T00:00:00Z") - TimeDelta::days(days - 1);
        let first = first.format("%Y-%m-%d").to_string();
        let all = Selection::FromTo(first, "2026-11-30".to_owned());
        together.run(all, GROUPS).await;
        println!(
            "{days} days of {GROUPS} groups of {gigabytes} GB a day: {tasks} tasks in {one_by_one:.1} h one by one, {} in {:.1} h",
            together.logs.own_tasks().len(),
            hours(together.clock.now() - began),
        );
    }
}

/// Some nights of one account in one run.
async fn account(groups: usize, days: i64, daily_bytes: f64, via: &str) {
    let real = Instant::now();
    let account = Account::new(groups, days, daily_bytes, via);
    let began = account.clock.now();
    PEAK.store(LIVE.load(Ordering::Relaxed), Ordering::Relaxed);
    let first = instant("2026-11-30T00:00:00Z") - TimeDelta::days(days - 1);
    let first = first.format("%Y-%m-%d").to_string();
    let memory = account
        .run(Selection::FromTo(first, "2026-11-30".to_owned()), groups)
        .await;
    let (puts, bytes, largest) = account.states();
    let (gets, listings) = account.staging.reads();
    let staged = account.staging.changes().len();
    let logs = &account.logs;
    println!(
        "{groups} groups, {days} windows, {:.3} GB a day, via {via}: {:.1} h, {} tasks; requests: {} create, {} describe, {} groups, {} events, {} throttled; staging: {staged} puts, {gets} gets, {listings} lists; state: {puts} puts, {:.1} MB, largest {:.2} MB; plan {:.1} MB; simulated in {:.0} s",
        daily_bytes * groups as f64 / 1e9,
        hours(account.clock.now() - began),
        logs.own_tasks().len(),
        logs.requests(Call::Create),
        logs.requests(Call::Tasks),
        logs.requests(Call::Groups),
        logs.requests(Call::Events),
        logs.throttled(),
        bytes as f64 / 1e6,
        largest as f64 / 1e6,
        memory as f64 / 1e6,
        real.elapsed().as_secs_f64(),
    );
}

fn main() {
    let groups = std::env::args().find_map(|argument| argument.parse().ok());
    let groups: usize = groups.unwrap_or(10_000);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        backfill(30).await;
        // 1 MB and 100 GB a day of an account: 1,000 of these have 1 GB and 100 TB.
        for (days, daily, via) in [
            (1, 1e6, "events"),
            (1, 1e6, "export-task"),
            (1, 100e9, "export-task"),
            (7, 100e9, "export-task"),
        ] {
            account(groups, days, daily / groups as f64, via).await;
        }
    });
}
