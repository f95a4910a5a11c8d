//! Nights that failed or never began: what a later run of the default window does beside its own, and what it only tells.

use std::sync::Mutex;

use super::*;
use crate::export::fake::Call;
use crate::export::service::TaskStatus;
use crate::run::status;
use crate::state::Failure;
use crate::state::lease::HeldWindow;

/// Days with an event at each noon of November.
async fn days(now: &str, keys: &str) -> Nights {
    with_days(Nights::with(now, "UTC", keys).await)
}

fn with_days(nights: Nights) -> Nights {
    nights
        .logs
        .add_group("/svc/a", instant("2026-01-01T00:00:00Z"));
    for day in 1..=30 {
        let noon = instant(&format!("2026-11-{day:02}T12:00:00Z"));
        nights.logs.put("/svc/a", "web/1", noon, "hello");
    }
    nights
}

/// The windows of a run, and the exit code of each that failed.
fn ends(outcomes: &[Outcome]) -> Vec<(&str, u8)> {
    let end = |outcome: &Outcome| {
        let error = outcome.result.as_ref().err();
        error.map_or(0, |error| error.class().exit_code())
    };
    let ends = outcomes.iter().map(|o| (o.window.as_str(), end(o)));
    ends.collect()
}

async fn default_plan(nights: &Nights) -> super::super::Plan<'_> {
    let request = Request {
        selection: Selection::Default,
        force: Force::No,
        provisional: false,
    };
    plan(&nights.environment, &nights.job, &request)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_slot_that_never_comes_is_waited_for_once_by_a_run() {
    let nights = days("2026-11-21T15:00:00Z", "give_up_after = \"2h\"").await;
    let began = nights.clock.now();
    nights.logs.occupy_slot(began, 1000 * HOUR);
    let ten = Selection::FromTo("2026-11-10".to_owned(), "2026-11-19".to_owned());
    let outcomes = nights.run(ten.clone()).await;
    assert_eq!(outcomes.len(), 10);
    for outcome in &outcomes {
        let error = outcome.result.as_ref().unwrap_err();
        assert_eq!(error.class(), Class::ExportLate);
        for expected in ["/svc/a", "2h", "held by task", "/stranger"] {
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
    let took = nights.clock.now() - began;
    assert!(took < TimeDelta::minutes(121), "{took}");
    assert!(nights.logs.own_tasks().is_empty());
}

#[tokio::test]
async fn the_time_to_wait_begins_anew_with_each_export() {
    let nights = days("2026-11-21T15:00:00Z", "give_up_after = \"2h\"").await;
    // Before each of the five exports the slot is taken for most of the time.
    for _ in 0..5 {
        nights.logs.occupy_slot(nights.clock.now(), 90 * HOUR / 60);
    }
    let five = Selection::FromTo("2026-11-15".to_owned(), "2026-11-19".to_owned());
    let outcomes = nights.run(five).await;
    assert!(outcomes.iter().all(|outcome| outcome.result.is_ok()));
}

#[tokio::test]
async fn what_needs_no_slot_is_done_where_the_slot_does_not_come() {
    // A kept export, and events: half of the time is waited for the slot, once.
    let keys = "via = \"auto\"\ngive_up_after = \"2h\"";
    let nights = days("2026-11-21T15:00:00Z", keys).await;
    for group in ["/svc/b", "/svc/c"] {
        nights
            .logs
            .add_group(group, instant("2026-01-01T00:00:00Z"));
    }
    for group in ["/svc/a", "/svc/b", "/svc/c"] {
        // Too many pages for a window that is tried as events first.
        for number in 0..5200 {
            let at = instant("2026-11-18T00:00:00Z") + TimeDelta::seconds(number * 16);
            nights.logs.put(group, "web/1", at, "often");
        }
    }
    let began = nights.clock.now();
    nights.logs.occupy_slot(began, 1000 * HOUR);
    let outcomes = nights.run(Selection::Id("2026-11-18".to_owned())).await;
    let receipt = outcomes[0].result.as_ref().unwrap();
    assert_eq!(receipt.read.events, 3 * 5200 + 1);
    let took = nights.clock.now() - began;
    assert!(
        took > TimeDelta::hours(1) && took < TimeDelta::minutes(90),
        "{took}"
    );
    assert!(nights.logs.own_tasks().is_empty());
}

#[tokio::test]
async fn a_night_that_failed_is_done_by_the_next_one() {
    let nights = days("2026-11-21T15:00:00Z", "").await;
    nights.logs.occupy_slot(nights.clock.now(), 20 * HOUR);
    // Also the very first one.
    let first = nights.run(Selection::Default).await;
    assert_eq!(ends(&first), [("2026-11-20", 3)]);
    nights.clock.sleep(18 * HOUR).await;
    let second = nights.run(Selection::Default).await;
    assert_eq!(ends(&second), [("2026-11-20", 0), ("2026-11-21", 0)]);
    assert!(second.iter().all(|outcome| !outcome.skipped));

    // A task that is refused, a run that is killed, a night without a run.
    nights.clock.sleep(24 * HOUR).await;
    nights.logs.doom([Fate::Failed; 3]);
    let third = nights.run(Selection::Default).await;
    assert_eq!(ends(&third), [("2026-11-22", 4)]);
    nights.clock.sleep(48 * HOUR).await;
    let killed = WindowState {
        unfinished: Some(Unfinished {
            began_at: nights.clock.now(),
            source_sha256: "another".to_owned(),
            replaces: None,
        }),
        ..WindowState::default()
    };
    let body = Body::Bytes(serde_json::to_vec(&killed).unwrap().into());
    let key = nights.keys.state("2026-11-23");
    let absent = Condition::Absent;
    let put = nights
        .output
        .put_if(&key, body, "application/json", &absent);
    put.await.unwrap();
    let fourth = nights.run(Selection::Default).await;
    let expected = [("2026-11-22", 0), ("2026-11-23", 0), ("2026-11-24", 0)];
    assert_eq!(ends(&fourth), expected);
    let fifth = nights.run(Selection::Default).await;
    assert!(fifth.len() == 1 && fifth[0].skipped);
}

#[tokio::test]
async fn an_hourly_job_that_was_paused_fills_its_hours() {
    let hours = "size = \"hour\"\nsettled_after = \"12h\"";
    let nights = Nights::with_window("2026-11-21T00:10:00Z", "UTC", "", hours).await;
    let nights = with_days(nights);
    nights.run(Selection::Default).await;
    nights.clock.sleep(9 * HOUR).await;
    let outcomes = nights.run(Selection::Default).await;
    let expected: Vec<(String, u8)> = (0..=8).map(|h| (format!("2026-11-21T{h:02}"), 0)).collect();
    let expected: Vec<(&str, u8)> = expected
        .iter()
        .map(|(id, end)| (id.as_str(), *end))
        .collect();
    assert_eq!(ends(&outcomes), expected);
    // They come again when they have settled, and no earlier.
    nights.clock.sleep(HOUR).await;
    let outcomes = nights.run(Selection::Default).await;
    assert_eq!(ends(&outcomes), [("2026-11-21T09", 0)]);
    nights.clock.sleep(24 * HOUR).await;
    let outcomes = nights.run(Selection::Default).await;
    let settled = |o: &&Outcome| !o.result.as_ref().unwrap().window.provisional;
    let receipts = outcomes.iter().filter(settled).count();
    assert_eq!(receipts, 23, "of 24 settled hours, those since the first");
    assert!(default_plan(&nights).await.left_undone.is_none());
}

#[tokio::test]
async fn a_new_job_does_not_go_back() {
    let nights = days("2026-11-21T15:00:00Z", "").await;
    let outcomes = nights.run(Selection::Default).await;
    assert_eq!(ends(&outcomes), [("2026-11-20", 0)]);
}

#[tokio::test]
async fn what_lies_further_back_is_told() {
    let nights = days("2026-11-06T03:00:00Z", "").await;
    // Provisional, and then ten nights without a run.
    nights.run(Selection::Default).await;
    nights.clock.sleep(10 * 24 * HOUR).await;
    let planned = default_plan(&nights).await;
    let windows: Vec<&str> = planned
        .windows
        .iter()
        .map(|w| w.report.id.as_str())
        .collect();
    let expected = ["2026-11-12", "2026-11-13", "2026-11-14", "2026-11-15"];
    assert_eq!(windows, expected);
    let left = planned.left_undone.clone().unwrap();
    for expected in [
        "7 earlier windows",
        "--from 2026-11-05 --to 2026-11-11",
        "night.toml",
    ] {
        assert!(left.contains(expected), "{left}");
    }
    let due: Vec<String> = status(&nights.environment, &nights.job, None)
        .await
        .unwrap()
        .into_iter()
        .filter(|window| window.next_run)
        .map(|window| window.window)
        .collect();
    assert_eq!(due, expected);
    let outcomes = execute(&nights.environment, &planned, |_, _| {})
        .await
        .unwrap();
    for outcome in &outcomes {
        let receipt = outcome.result.as_ref().unwrap();
        let is_own = outcome.window == "2026-11-15";
        assert_eq!(receipt.notes.contains(&left), is_own, "{}", outcome.window);
    }

    let rest = Selection::FromTo("2026-11-05".to_owned(), "2026-11-11".to_owned());
    nights.run(rest).await;
    assert!(default_plan(&nights).await.left_undone.is_none());
}

#[tokio::test]
async fn a_window_that_would_fail_again_is_told_and_not_tried() {
    let nights = days("2026-11-19T15:00:00Z", "").await;
    nights.run(Selection::Default).await;
    nights.clock.sleep(3 * 24 * HOUR).await;
    let state = |failure: Option<Failure>| WindowState {
        failure,
        ..WindowState::default()
    };
    let failure = Failure {
        at: nights.clock.now(),
        exit_code: 4,
        error: "the events went".to_owned(),
        remedy: Some(crate::error::Remedy::Force),
    };
    let forced = serde_json::to_vec(&state(Some(failure))).unwrap();
    for (window, bytes) in [("2026-11-19", forced), ("2026-11-20", b"{".to_vec())] {
        let key = nights.keys.state(window);
        let body = Body::Bytes(bytes.into());
        let put = nights
            .output
            .put_if(&key, body, "application/json", &Condition::Absent);
        put.await.unwrap();
    }
    let planned = default_plan(&nights).await;
    let windows: Vec<&str> = planned
        .windows
        .iter()
        .map(|w| w.report.id.as_str())
        .collect();
    assert_eq!(windows, ["2026-11-21"]);
    let left = planned.left_undone.unwrap();
    for expected in ["--window 2026-11-19 --force", "2026-11-20.json is no state"] {
        assert!(left.contains(expected), "{left}");
    }
}

#[tokio::test]
async fn a_missing_window_whose_events_are_deleted_is_nothing_to_complain_of() {
    let nights = days("2026-11-06T15:00:00Z", "").await;
    nights.run(Selection::Default).await;
    nights.clock.sleep(10 * 24 * HOUR).await;
    nights.logs.set_retention("/svc/a", 2);
    let planned = default_plan(&nights).await;
    let windows: Vec<&str> = planned
        .windows
        .iter()
        .map(|w| w.report.id.as_str())
        .collect();
    assert_eq!(windows, ["2026-11-14", "2026-11-15"]);
    assert_eq!(planned.left_undone, None);

    // Another log group keeps its events.
    nights
        .logs
        .add_group("/svc/b", instant("2026-01-01T00:00:00Z"));
    let planned = default_plan(&nights).await;
    assert_eq!(planned.windows.len(), 4);
    assert!(planned.left_undone.is_some());
}

#[tokio::test]
async fn an_earlier_window_that_another_run_holds_is_left_to_it() {
    let nights = days("2026-11-19T15:00:00Z", "[run]\nlease = \"1s\"").await;
    nights.run(Selection::Default).await;
    nights.clock.sleep(2 * 24 * HOUR).await;
    let planned = default_plan(&nights).await;
    let key = nights.keys.state("2026-11-19");
    let lease = Duration::from_secs(1);
    let held = HeldWindow::take(&nights.output, &key, lease, |_| {}, &|_| ())
        .await
        .unwrap();
    let outcomes = execute(&nights.environment, &planned, |_, _| {})
        .await
        .unwrap();
    assert_eq!(ends(&outcomes), [("2026-11-20", 0)]);
    held.release(|_| ()).await.unwrap();
}

#[tokio::test]
async fn an_export_that_arrives_after_its_attempt_was_given_up_is_swept_by_a_later_night() {
    let nights = days("2026-11-21T15:00:00Z", "").await;
    nights.logs.doom([Fate::Failed]);
    nights
        .run(Selection::Default)
        .await
        .remove(0)
        .result
        .unwrap();
    let whole = nights.staged("2026-11-20").await;
    let state = nights.state("2026-11-20").await;
    let mut attempts = state.attempts.iter();
    let given_up = attempts.find(|attempt| attempt.stage == AttemptStage::Abandoned);
    let late = format!("{}/task/web-1/000001.gz", given_up.unwrap().prefix);
    nights.put_foreign(&late).await;
    assert!(nights.staged("2026-11-20").await.contains(&late));
    // The next night looks at the window only to tidy up.
    nights.clock.sleep(24 * HOUR).await;
    assert_eq!(ends(&nights.run(Selection::Default).await).len(), 1);
    assert_eq!(nights.staged("2026-11-20").await, whole);
    nights.clock.sleep(24 * HOUR).await;
    nights.run(Selection::Default).await;
    let state = nights.state("2026-11-20").await;
    assert_eq!((state.attempts.len(), state.lease), (1, None));
}

#[tokio::test]
async fn keep_goes_on_past_what_it_does_not_understand() {
    let nights = days("2026-11-19T12:30:00Z", "keep = \"7d\"").await;
    for _ in 0..3 {
        nights.run(Selection::Default).await;
        nights.clock.sleep(24 * HOUR).await;
    }
    for key in ["night/notes/a.txt", "night/2026-13-45/a.txt", "night/a.txt"] {
        nights.put_foreign(key).await;
    }
    // A state that can't be read.
    let key = nights.keys.state("2026-11-19");
    let seen = nights.output.as_it_is(&key).await.unwrap();
    let body = Body::Bytes("{".into());
    let put = nights.output.put_if(&key, body, "application/json", &seen);
    put.await.unwrap();
    nights.clock.sleep(8 * 24 * HOUR).await;
    // Now of hours: the exports of days are this job's all the same.
    let mut nights = nights;
    nights.job.window.size = crate::window::Size::Hour;
    nights.job.queries[0].name = crate::job::Name::new("of_hours").unwrap();
    nights.run(Selection::Default).await;
    let staged = [
        nights.staged("2026-11-18").await.len(),
        nights.staged("2026-11-19").await.len(),
        nights.staged("2026-11-20").await.len(),
        nights.staged("notes").await.len(),
    ];
    assert_eq!(staged, [0, 3, 0, 1]);
}

/// A clock that is wrong by some time.
struct WrongClock {
    clock: Arc<TestClock>,
    by: Mutex<TimeDelta>,
}

impl WrongClock {
    fn new(clock: &Arc<TestClock>, by: TimeDelta) -> Arc<Self> {
        let (clock, by) = (clock.clone(), Mutex::new(by));
        Arc::new(Self { clock, by })
    }
}

#[async_trait]
impl Clock for WrongClock {
    fn now(&self) -> DateTime<Utc> {
        self.clock.now() + *self.by.lock().unwrap()
    }

    fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }
}

/// CloudWatch Logs that never answers a request for a task, or for the state of one, from some request on.
struct Dying {
    logs: Arc<FakeLogs>,
    dies_at_create: bool,
    /// The clock that is set back by an hour after the first export.
    set_back: Option<Arc<WrongClock>>,
    creates: AtomicUsize,
    died: Notify,
}

impl Dying {
    fn new(logs: &Arc<FakeLogs>, dies_at_create: bool) -> Self {
        Self {
            logs: logs.clone(),
            dies_at_create,
            set_back: None,
            creates: AtomicUsize::new(0),
            died: Notify::new(),
        }
    }

    async fn die(&self) {
        self.died.notify_one();
        std::future::pending::<()>().await;
    }
}

#[async_trait]
impl EventService for Dying {
    async fn events(&self, request: &PageRequest) -> Result<EventPage, ServiceError> {
        self.logs.events(request).await
    }
}

#[async_trait]
impl ExportService for Dying {
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
        let created = self.logs.create(request).await;
        if let Some(clock) = &self.set_back {
            *clock.by.lock().unwrap() = TimeDelta::hours(-1);
        }
        // The first group is exported; the run dies at the second.
        if self.creates.fetch_add(1, Ordering::SeqCst) == 1 && self.dies_at_create {
            self.die().await;
        }
        created
    }

    async fn tasks(
        &self,
        filter: &TaskFilter,
        page: Option<String>,
    ) -> Result<Page<Task>, ServiceError> {
        let page = self.logs.tasks(filter, page).await;
        let is_running = |page: &Page<Task>| page.items[0].status == TaskStatus::Running;
        let is_second = self.creates.load(Ordering::SeqCst) == 2;
        if is_second && page.as_ref().is_ok_and(is_running) {
            self.die().await;
        }
        page
    }
}

#[tokio::test]
async fn machines_whose_clocks_differ_export_nothing_twice_after_a_kill() {
    let two_hours = TimeDelta::hours(2);
    // Long before the window settles by any clock, long after, and between the clocks.
    for now in [
        "2026-11-21T05:00:00Z",
        "2026-11-21T18:00:00Z",
        "2026-11-21T13:00:00Z",
    ] {
        for (of_killed, of_next) in [
            (two_hours, TimeDelta::zero()),
            (-two_hours, TimeDelta::zero()),
            (TimeDelta::zero(), two_hours),
            (TimeDelta::zero(), -two_hours),
        ] {
            for dies_at_create in [true, false] {
                let context = format!("{now}, {of_killed} and {of_next}, {dies_at_create}");
                let mut nights = days(now, "").await;
                nights
                    .logs
                    .add_group("/svc/b", instant("2026-01-01T00:00:00Z"));
                let dying = Arc::new(Dying::new(&nights.logs, dies_at_create));
                let day = Selection::Id("2026-11-20".to_owned());
                nights.environment.services = vec![dying.clone()];
                nights.environment.clock = WrongClock::new(&nights.clock, of_killed);
                tokio::select! {
                    _ = nights.run(day.clone()) => panic!("it was not killed: {context}"),
                    () = dying.died.notified() => {}
                }
                lease::wait_for_releases();
                nights.environment.services = vec![nights.logs.clone()];
                nights.environment.clock = WrongClock::new(&nights.clock, of_next);
                let outcome = nights.run(day).await.remove(0);
                let receipt = outcome.result.unwrap();
                assert_eq!(receipt.read.events, 1, "{context}");
                assert_eq!(nights.logs.own_tasks().len(), 2, "{context}");
                let as_of = receipt.as_of.unwrap() - instant(now);
                assert!(as_of.abs() < TimeDelta::minutes(10), "{context}: {as_of}");
            }
        }
    }
}

#[tokio::test]
async fn exports_are_continued_although_the_clock_was_set_back_between_them() {
    for dies_at_create in [true, false] {
        let mut nights = days("2026-11-21T05:00:00Z", "").await;
        nights
            .logs
            .add_group("/svc/b", instant("2026-01-01T00:00:00Z"));
        let clock = WrongClock::new(&nights.clock, TimeDelta::zero());
        let dying = Arc::new(Dying {
            set_back: Some(clock.clone()),
            ..Dying::new(&nights.logs, dies_at_create)
        });
        nights.environment.services = vec![dying.clone()];
        nights.environment.clock = clock;
        let day = Selection::Id("2026-11-20".to_owned());
        tokio::select! {
            _ = nights.run(day.clone()) => panic!("it was not killed"),
            () = dying.died.notified() => {}
        }
        lease::wait_for_releases();
        nights.environment.services = vec![nights.logs.clone()];
        nights.run(day).await.remove(0).result.unwrap();
        assert_eq!(nights.logs.own_tasks().len(), 2);
    }
}

#[tokio::test]
async fn a_group_without_events_takes_one_request() {
    let nights = days("2026-11-21T15:00:00Z", "via = \"events\"").await;
    nights
        .logs
        .add_group("/svc/b", instant("2026-01-01T00:00:00Z"));
    let day = Selection::Id("2026-12-01".to_owned());
    nights.clock.sleep(14 * 24 * HOUR).await;
    nights.run(day).await.remove(0).result.unwrap();
    assert_eq!(nights.logs.requests(Call::Events), 2, "one for each group");
}

#[tokio::test]
async fn a_clock_that_is_set_back_makes_nothing_wait_longer() {
    for via in ["events", "export-task"] {
        let keys = format!("via = \"{via}\"\ngive_up_after = \"2h\"");
        let mut nights = days("2026-11-21T15:00:00Z", &keys).await;
        let clock = WrongClock::new(&nights.clock, TimeDelta::zero());
        nights.environment.clock = Arc::new(SetBack(clock));
        if via == "export-task" {
            nights.logs.occupy_slot(nights.clock.now(), 1000 * HOUR);
        }
        for _ in 0..400 {
            let at = instant("2026-11-20T13:00:00Z");
            nights.logs.put("/svc/a", "web/1", at, "often");
        }
        let began = nights.clock.elapsed();
        let outcome = nights.run(Selection::Default).await.remove(0);
        let took = nights.clock.elapsed() - began;
        match outcome.result {
            Ok(_) => assert!(took < HOUR / 60, "{via}: {took:?}"),
            Err(error) => {
                assert_eq!((error.class(), via), (Class::ExportLate, "export-task"));
                assert!(took >= 2 * HOUR && took < 121 * HOUR / 60, "{took:?}");
            }
        }
    }
}

/// A clock that is set back by a minute each time that it is slept by.
struct SetBack(Arc<WrongClock>);

#[async_trait]
impl Clock for SetBack {
    fn now(&self) -> DateTime<Utc> {
        self.0.now()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        *self.0.by.lock().unwrap() -= TimeDelta::minutes(1);
        self.0.sleep(duration).await;
    }
}
