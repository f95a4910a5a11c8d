use super::*;
use crate::clock::Clock;
use crate::export::Reuse;
use crate::export::deadline::{Deadline, Patience};
use crate::export::fake::FakeLogs;
use crate::export::service::{GroupClass, LogGroup, TaskStatus};
use crate::export::task::{MOST_TASKS, TaskRunner, TaskSpec};
use crate::state::MemoryJournal;
use crate::window::Range;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use object_store::memory::InMemory;
use object_store::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::oneshot;

const GROUP: &str = "/ecs/web";

/// The time of several jobs at once: it moves on when all of them sleep.
struct SharedClock(Mutex<Timeline>);

struct Timeline {
    now: Duration,
    awake: usize,
    sleepers: BTreeMap<(Duration, usize), oneshot::Sender<()>>,
    sleeps: usize,
}

impl SharedClock {
    fn of(jobs: usize) -> Self {
        Self(Mutex::new(Timeline {
            now: Duration::ZERO,
            awake: jobs,
            sleepers: BTreeMap::new(),
            sleeps: 0,
        }))
    }

    /// A job ends.
    fn leave(&self) {
        self.0.lock().unwrap().rest();
    }
}

impl Timeline {
    fn rest(&mut self) {
        self.awake -= 1;
        if self.awake == 0
            && let Some(((at, _), wake)) = self.sleepers.pop_first()
        {
            self.now = at;
            self.awake = 1;
            let _ = wake.send(());
        }
    }
}

#[async_trait]
impl Clock for SharedClock {
    fn now(&self) -> DateTime<Utc> {
        let start: DateTime<Utc> = "2026-11-21T15:00:00Z".parse().unwrap();
        start + self.elapsed()
    }

    fn elapsed(&self) -> Duration {
        self.0.lock().unwrap().now
    }

    async fn sleep(&self, duration: Duration) {
        let (wake, woken) = oneshot::channel();
        {
            let mut time = self.0.lock().unwrap();
            let key = (time.now + duration, time.sleeps);
            time.sleeps += 1;
            time.sleepers.insert(key, wake);
            time.rest();
        }
        woken.await.unwrap();
    }
}

/// A run of `job` that exports a log group some times over, from some time on.
async fn run(logs: &FakeLogs, clock: &SharedClock, job: &str, exports: usize, after: Duration) {
    clock.sleep(after + Duration::from_millis(1)).await;
    let (turns, journal) = (Turns::default(), MemoryJournal::default());
    let patience = Patience::new(Duration::from_secs(24 * 3600));
    let numbers = AtomicUsize::new(0);
    let new_prefix = || format!("{job}/attempt={}", numbers.fetch_add(1, Ordering::Relaxed));
    let log_group = LogGroup {
        name: GROUP.to_owned(),
        created_ms: 0,
        stored_bytes: 0,
        retention_days: None,
        origin: None,
        class: GroupClass::Standard,
    };
    let day = Range {
        start_ms: 1_795_132_800_000,
        end_ms: 1_795_219_200_000,
    };
    for _ in 0..exports {
        let deadline = Deadline::new(clock, job.to_owned(), &patience, &|_| ());
        let runner = TaskRunner {
            service: logs,
            journal: &journal,
            deadline: &deadline,
            turns: &turns,
        };
        let spec = TaskSpec {
            log_group: &log_group,
            log_stream_prefix: None,
            window: day,
            padded: day,
            task_name: &format!("logtally {job} 2026-11-20 {GROUP}"),
            bucket: "acme-logs",
            staging: &Path::default(),
            new_prefix: &new_prefix,
            reuse: Reuse::Nothing,
            began: clock.now(),
            most_tasks: MOST_TASKS,
        };
        runner.run(&spec).await.unwrap();
        // The next one is requested for another instant.
        clock.sleep(Duration::from_millis(10)).await;
    }
    clock.leave();
}

fn logs(clock: &Arc<SharedClock>) -> FakeLogs {
    let logs = FakeLogs::new(clock.clone(), "acme-logs", Arc::new(InMemory::new()));
    logs.add_group(GROUP, DateTime::UNIX_EPOCH);
    logs
}

/// The jobs of all tasks in their order, as letters.
fn order(logs: &FakeLogs) -> String {
    let tasks = logs.own_tasks();
    let jobs = tasks
        .iter()
        .map(|task| task.request.prefix.split('/').next());
    jobs.map(Option::unwrap).collect()
}

/// The most turns of one job in a row.
fn longest(order: &str) -> usize {
    let letters: Vec<char> = order.chars().collect();
    let runs = letters.chunk_by(|a, b| a == b);
    runs.map(<[char]>::len).max().unwrap_or_default()
}

#[tokio::test]
async fn three_jobs_take_turns_at_the_slot() {
    for seed in 0..40 {
        fastrand::seed(seed);
        let clock = Arc::new(SharedClock::of(3));
        let logs = logs(&clock);
        let now = Duration::ZERO;
        tokio::join!(
            run(&logs, &clock, "a", 8, now),
            run(&logs, &clock, "b", 8, now),
            run(&logs, &clock, "c", 8, now)
        );
        let order = order(&logs);
        assert_eq!(order.len(), 24, "{order}");
        // While all three have something to do.
        let ends = ["a", "b", "c"].map(|job| order.rfind(job).unwrap());
        let all = &order[..=ends.into_iter().min().unwrap()];
        assert!(
            longest(all) <= FEWEST_TURNS as usize,
            "seed {seed}: {order}"
        );
        // Each has about a third of them.
        for job in ["a", "b", "c"] {
            assert!(all.matches(job).count() >= 5, "seed {seed}: {order}");
        }
    }
}

#[tokio::test]
async fn a_job_alone_is_hardly_slower_and_lets_another_in_that_comes_later() {
    let long = 60;
    let clock = Arc::new(SharedClock::of(1));
    let logs_of_one = logs(&clock);
    run(&logs_of_one, &clock, "a", long, Duration::ZERO).await;
    // A task takes 65 seconds, and is looked at twice a minute.
    let each = clock.elapsed() / u32::try_from(long).unwrap();
    assert!(each < Duration::from_secs(90), "{each:?} a turn");

    for seed in 0..20 {
        fastrand::seed(seed);
        let clock = Arc::new(SharedClock::of(2));
        let logs = logs(&clock);
        tokio::join!(
            run(&logs, &clock, "a", long, Duration::ZERO),
            run(&logs, &clock, "b", 5, Duration::from_secs(1800))
        );
        let order = order(&logs);
        let came: DateTime<Utc> = "2026-11-21T15:30:00Z".parse().unwrap();
        let tasks = logs.own_tasks();
        let before = tasks.iter().filter(|task| task.created < came).count();
        let waited = order[before..].find('b').unwrap();
        assert!(waited <= MOST_TURNS as usize, "seed {seed}: {order}");
        // From then on they take turns.
        let last = order.rfind('b').unwrap();
        let both = &order[before + waited..=last];
        assert!(
            longest(both) <= FEWEST_TURNS as usize,
            "seed {seed}: {order}"
        );
    }
}

#[test]
fn a_caller_is_let_in_until_it_had_its_turn_or_wants_none() {
    let turns = Turns::default();
    let stranger = Task {
        id: String::new(),
        name: "nightly-dump".to_owned(),
        log_group: String::new(),
        bucket: String::new(),
        prefix: String::new(),
        range: None,
        created: None,
        status: TaskStatus::Running,
        message: String::new(),
    };
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    turns.saw(&stranger, Duration::ZERO);
    turns.took(minutes(1));
    assert_eq!(turns.leave_free_for(minutes(2)), Some(UNWANTED_AFTER));
    assert_eq!(turns.leave_free_for(minutes(60)), None, "it wants no more");
    turns.saw(&stranger, minutes(60));
    assert_eq!(turns.leave_free_for(minutes(60)), None, "it had its turn");
    turns.took(minutes(61));
    turns.are_alone();
    assert_eq!(turns.leave_free_for(minutes(62)), None, "it does not wait");
}

#[test]
fn short_tasks_are_followed_by_short_pauses() {
    let seconds = Duration::from_secs;
    for (each, expected) in [(seconds(2), seconds(2)), (seconds(600), UNWANTED_AFTER)] {
        let turns = Turns::default();
        turns.took(seconds(10));
        assert_eq!(turns.leave_free_for(seconds(10) + each), None);
        turns.took(seconds(10) + each);
        let end = seconds(10) + each * 2;
        assert_eq!(turns.leave_free_for(end), Some(expected));
        turns.are_alone();
        turns.took(end);
        assert_eq!(
            turns.leave_free_for(end + each),
            None,
            "the more it is alone, the rarer"
        );
    }
}

#[test]
fn the_tasks_of_a_job_have_one_caller() {
    for (name, expected) in [
        ("logtally checkout 2026-11-20 /g", "logtally checkout"),
        ("logtally checkout 2026-11-21 /h", "logtally checkout"),
        ("logtally", ""),
        ("nightly dump of all", ""),
        ("", ""),
    ] {
        assert_eq!(caller(name), expected);
    }
}
