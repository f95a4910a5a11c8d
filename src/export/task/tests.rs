use super::*;
use crate::clock::{Clock, TestClock};
use crate::export::deadline::Patience;
use crate::export::fake::{Call, FakeLogs, FakeTask, Fate};
use crate::export::service::{
    EventPage, EventService, GroupClass, LogStream, Page, PageRequest, ServiceError,
};
use crate::state::MemoryJournal;
use async_trait::async_trait;
use object_store::memory::InMemory;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const GROUP: &str = "/ecs/web";
const HOUR: Duration = Duration::from_secs(3600);

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// A night with one log group and one window to export, 2026-11-20.
struct Night {
    clock: Arc<TestClock>,
    logs: FakeLogs,
    journal: MemoryJournal,
    reuse_since: Option<DateTime<Utc>>,
    log_stream_prefix: Option<&'static str>,
    give_up_after: Duration,
}

impl Night {
    fn new() -> Self {
        let clock = Arc::new(TestClock::at(instant("2026-11-21T15:00:00Z")));
        let logs = FakeLogs::new(clock.clone(), "acme-logs", Arc::new(InMemory::new()));
        logs.add_group(GROUP, instant("2026-01-01T00:00:00Z"));
        Self {
            clock,
            logs,
            journal: MemoryJournal::default(),
            reuse_since: Some(instant("2026-11-21T12:00:00Z")),
            log_stream_prefix: None,
            give_up_after: 6 * HOUR,
        }
    }

    async fn export_through(&self, service: &dyn ExportService) -> (Result<Attempt>, Vec<String>) {
        let told = Mutex::new(Vec::new());
        let tell = |text: &str| told.lock().unwrap().push(text.to_owned());
        let what = format!("the export of {GROUP}");
        let patience = Patience::new(self.give_up_after);
        let deadline = Deadline::new(self.clock.as_ref(), what, &patience, &tell);
        let prefixes = AtomicUsize::new(self.journal.attempts(GROUP).len());
        let new_prefix = || format!("attempt={}", prefixes.fetch_add(1, Ordering::Relaxed));
        let log_group = LogGroup {
            name: GROUP.to_owned(),
            created_ms: 0,
            stored_bytes: 0,
            retention_days: None,
            origin: None,
            class: GroupClass::Standard,
        };
        let window = Range {
            start_ms: instant("2026-11-20T00:00:00Z").timestamp_millis(),
            end_ms: instant("2026-11-21T00:00:00Z").timestamp_millis(),
        };
        let runner = TaskRunner {
            service,
            journal: &self.journal,
            deadline: &deadline,
            turns: &Turns::default(),
        };
        let result = runner
            .run(&TaskSpec {
                log_group: &log_group,
                log_stream_prefix: self.log_stream_prefix,
                window,
                padded: window.padded(HOUR, HOUR),
                task_name: "logtally night",
                bucket: "acme-logs",
                staging: &Path::from("exports"),
                new_prefix: &new_prefix,
                reuse: self.reuse_since.map_or(Reuse::Nothing, Reuse::Since),
                began: self.clock.now(),
            })
            .await;
        drop(deadline);
        (result, told.into_inner().unwrap())
    }

    async fn export(&self) -> Result<Attempt> {
        self.export_through(&self.logs).await.0
    }

    /// An export that must succeed, and what was told.
    async fn succeed(&self) -> (Attempt, Vec<String>) {
        let (result, told) = self.export_through(&self.logs).await;
        let attempt = result.unwrap();
        assert_eq!(attempt.stage, AttemptStage::Asked);
        let id = attempt.task_id.as_deref().unwrap();
        let tasks = self.logs.own_tasks();
        let task = tasks.iter().find(|task| task.id == id).unwrap();
        assert_eq!(task.request.prefix, format!("exports/{}", attempt.prefix));
        assert_eq!(task.at(self.clock.now()).status, TaskStatus::Completed);
        (attempt, told)
    }

    fn stages(&self) -> Vec<AttemptStage> {
        let attempts = self.journal.attempts(GROUP);
        attempts.iter().map(|attempt| attempt.stage).collect()
    }

    /// What a run left that was killed around its request at `asked_at`.
    async fn killed(&self, asked_at: &str, stage: AttemptStage, task: bool) -> Attempt {
        let asked_at = instant(asked_at);
        let range = Range {
            start_ms: instant("2026-11-19T23:00:00Z").timestamp_millis(),
            end_ms: instant("2026-11-21T01:00:00Z").timestamp_millis(),
        };
        let mut attempt = Attempt {
            prefix: "attempt=killed".to_owned(),
            staging: None,
            log_group: GROUP.to_owned(),
            log_stream_prefix: None,
            range,
            asked_at,
            origin: None,
            of_run: None,
            task_id: None,
            stage,
        };
        if task {
            let request = TaskRequest {
                name: "logtally night".to_owned(),
                log_group: GROUP.to_owned(),
                log_stream_prefix: None,
                from_ms: range.start_ms,
                to_ms: range.end_ms,
                bucket: "acme-logs".to_owned(),
                prefix: "exports/attempt=killed".to_owned(),
            };
            let id = self.logs.create(&request).await.unwrap();
            attempt.task_id = (stage == AttemptStage::Asked).then_some(id);
        }
        self.journal.record(attempt.clone()).await.unwrap();
        attempt
    }
}

/// Sends each request to make a task twice, as a broken connection can.
struct SentTwice<'a>(&'a FakeLogs);
#[async_trait]
impl EventService for SentTwice<'_> {
    async fn events(&self, request: &PageRequest) -> Result<EventPage, ServiceError> {
        self.0.events(request).await
    }
}
#[async_trait]
impl ExportService for SentTwice<'_> {
    fn endpoint(&self) -> &str {
        self.0.endpoint()
    }
    async fn groups(
        &self,
        prefix: &str,
        page: Option<String>,
    ) -> Result<Page<LogGroup>, ServiceError> {
        self.0.groups(prefix, page).await
    }
    async fn streams(
        &self,
        log_group: &str,
        page: Option<String>,
    ) -> Result<Page<LogStream>, ServiceError> {
        self.0.streams(log_group, page).await
    }
    async fn create(&self, request: &TaskRequest) -> Result<String, ServiceError> {
        let _ = self.0.create(request).await;
        self.0.create(request).await
    }
    async fn tasks(
        &self,
        filter: &TaskFilter,
        page: Option<String>,
    ) -> Result<Page<Task>, ServiceError> {
        self.0.tasks(filter, page).await
    }
}

#[tokio::test]
async fn an_attempt_is_recorded_before_anything_is_asked_for() {
    let night = Night::new();
    /// Looks at the journal when it is asked for a task.
    struct Watching<'a>(&'a Night);
    #[async_trait]
    impl EventService for Watching<'_> {
        async fn events(&self, request: &PageRequest) -> Result<EventPage, ServiceError> {
            self.0.logs.events(request).await
        }
    }
    #[async_trait]
    impl ExportService for Watching<'_> {
        fn endpoint(&self) -> &str {
            self.0.logs.endpoint()
        }
        async fn groups(
            &self,
            prefix: &str,
            page: Option<String>,
        ) -> Result<Page<LogGroup>, ServiceError> {
            self.0.logs.groups(prefix, page).await
        }
        async fn streams(
            &self,
            log_group: &str,
            page: Option<String>,
        ) -> Result<Page<LogStream>, ServiceError> {
            self.0.logs.streams(log_group, page).await
        }
        async fn create(&self, request: &TaskRequest) -> Result<String, ServiceError> {
            let recorded = self.0.journal.attempts(GROUP);
            let last = recorded.last().unwrap();
            assert_eq!(last.stage, AttemptStage::Intended);
            assert_eq!(request.prefix, format!("exports/{}", last.prefix));
            assert_eq!(
                (request.from_ms, request.to_ms),
                (last.range.start_ms, last.range.end_ms)
            );
            self.0.logs.create(request).await
        }
        async fn tasks(
            &self,
            filter: &TaskFilter,
            page: Option<String>,
        ) -> Result<Page<Task>, ServiceError> {
            self.0.logs.tasks(filter, page).await
        }
    }
    night.logs.doom([Fate::Failed]);
    night.logs.lose_answers(2);
    let (result, told) = night.export_through(&Watching(&night)).await;
    result.unwrap();
    assert!(told.iter().any(|text| text == "RUNNING"), "{told:?}");
    assert_eq!(
        night.stages(),
        [AttemptStage::Abandoned, AttemptStage::Asked]
    );
}

#[tokio::test]
async fn a_strangers_task_is_waited_for_and_named() {
    let night = Night::new();
    night.logs.occupy_slot(night.clock.now(), 3 * HOUR);
    let (_, told) = night.succeed().await;
    assert!(
        told[0].contains("held by task 00000000-0000-0000-0000-000000000000 of /stranger (PENDING since 2026-11-21T15:00:00Z, named \"a stranger's\")"),
        "{told:?}"
    );
    assert!(told.iter().any(|text| text.contains("RUNNING since")));
    assert!(night.clock.now() >= instant("2026-11-21T18:00:00Z"));
    assert_eq!(night.stages(), [AttemptStage::Asked]);
}

#[tokio::test]
async fn a_slot_that_never_comes_ends_in_time() {
    // By the jitter, the last request may be one too many in its second, and be throttled.
    for seed in 0..300 {
        fastrand::seed(seed);
        let mut night = Night::new();
        night.give_up_after = HOUR / 4;
        night.logs.occupy_slot(night.clock.now(), 20 * HOUR);
        let error = night.export().await.unwrap_err();
        assert_eq!(error.class(), Class::ExportLate);
        for expected in [GROUP, "15m", "held by task", "/stranger"] {
            assert!(error.to_string().contains(expected), "{seed}: {error}");
        }
        let late = night.clock.now() - instant("2026-11-21T15:15:00Z");
        assert!(late.num_seconds().abs() < 2, "{seed}: gave up {late} late");
        assert_eq!(night.stages(), [AttemptStage::Abandoned]);
        assert!(night.logs.own_tasks().is_empty());
    }
}

#[tokio::test]
async fn a_slot_whose_holder_is_not_told_says_why() {
    let night = Night::new();
    night.logs.occupy_slot(night.clock.now(), 20 * HOUR);
    let denied = "is not authorized to perform: logs:DescribeExportTasks";
    let kind = ServiceErrorKind::Refused;
    night.logs.fail(Call::Tasks, 0..99_999, kind, denied);
    let error = night.export().await.unwrap_err();
    assert_eq!(error.class(), Class::ExportLate);
    assert!(error.to_string().contains(denied), "{error}");
}

#[tokio::test]
async fn throttling_behind_a_busy_slot_still_says_who_held_it() {
    let night = Night::new();
    night.logs.occupy_slot(night.clock.now(), 20 * HOUR);
    let kind = ServiceErrorKind::Throttled;
    night
        .logs
        .fail(Call::Create, 3..99_999, kind, "Rate exceeded");
    let error = night.export().await.unwrap_err();
    for expected in ["Rate exceeded", "held by task", "/stranger"] {
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_run_killed_when_the_slot_had_come_is_gone_on_with() {
    /// Does not come to hear that the task was made.
    struct Dying<'a>(&'a FakeLogs, tokio::sync::Notify);
    #[async_trait]
    impl EventService for Dying<'_> {
        async fn events(&self, request: &PageRequest) -> Result<EventPage, ServiceError> {
            self.0.events(request).await
        }
    }
    #[async_trait]
    impl ExportService for Dying<'_> {
        fn endpoint(&self) -> &str {
            self.0.endpoint()
        }
        async fn groups(
            &self,
            prefix: &str,
            page: Option<String>,
        ) -> Result<Page<LogGroup>, ServiceError> {
            self.0.groups(prefix, page).await
        }
        async fn streams(
            &self,
            log_group: &str,
            page: Option<String>,
        ) -> Result<Page<LogStream>, ServiceError> {
            self.0.streams(log_group, page).await
        }
        async fn create(&self, request: &TaskRequest) -> Result<String, ServiceError> {
            self.0.create(request).await?;
            self.1.notify_one();
            std::future::pending().await
        }
        async fn tasks(
            &self,
            filter: &TaskFilter,
            page: Option<String>,
        ) -> Result<Page<Task>, ServiceError> {
            self.0.tasks(filter, page).await
        }
    }
    let mut night = Night::new();
    night.logs.occupy_slot(night.clock.now(), 3 * HOUR);
    let dying = Dying(&night.logs, tokio::sync::Notify::new());
    tokio::select! {
        _ = night.export_through(&dying) => panic!("it was not killed"),
        () = dying.1.notified() => {}
    }
    // The window settled while the slot was waited for.
    night.reuse_since = Some(instant("2026-11-21T17:30:00Z"));
    let (attempt, _) = night.succeed().await;
    assert!(attempt.asked_at >= instant("2026-11-21T18:00:00Z"));
    assert_eq!(night.logs.own_tasks().len(), 1);
    assert_eq!(night.stages(), [AttemptStage::Asked]);
}

#[tokio::test]
async fn a_task_of_an_earlier_try_has_what_was_asked_for_then() {
    // Each try asks for more: the padding behind the window is not over yet.
    let began = instant("2026-11-21T00:30:00Z");
    let clock = Arc::new(TestClock::at(began));
    let logs = FakeLogs::new(clock.clone(), "acme-logs", Arc::new(InMemory::new()));
    logs.add_group(GROUP, instant("2026-01-01T00:00:00Z"));
    logs.list_tasks_after(Duration::from_secs(20));
    let night = Night {
        clock,
        logs,
        ..Night::new()
    };
    let (result, _) = night.export_through(&SentTwice(&night.logs)).await;
    let attempt = result.unwrap();
    let own = night.logs.own_tasks();
    assert_eq!(own.len(), 1);
    assert_eq!(attempt.asked_at, began);
    let asked_for = (own[0].request.from_ms, own[0].request.to_ms);
    assert_eq!((attempt.range.start_ms, attempt.range.end_ms), asked_for);
}

#[tokio::test]
async fn a_task_that_outlives_the_patience_is_waited_for_by_the_next_run() {
    let mut night = Night::new();
    night.give_up_after = Duration::from_secs(30);
    let error = night.export().await.unwrap_err();
    assert_eq!(error.class(), Class::ExportLate);
    assert!(error.to_string().contains("RUNNING"), "{error}");
    assert_eq!(night.stages(), [AttemptStage::Asked]);
    night.give_up_after = HOUR;
    night.succeed().await;
    assert_eq!(night.logs.own_tasks().len(), 1);
}

#[tokio::test]
async fn throttling_and_transient_errors_are_waited_out_at_every_request() {
    for seed in 0..100 {
        fastrand::seed(seed);
        let night = Night::new();
        let logs = &night.logs;
        logs.fail(Call::Create, 0..20, ServiceErrorKind::Throttled, "Rate");
        logs.fail(Call::Tasks, 0..10, ServiceErrorKind::Throttled, "Rate");
        logs.fail(Call::Tasks, 11..30, ServiceErrorKind::Transient, "503");
        night.succeed().await;
        assert_eq!(logs.own_tasks().len(), 1);
        assert_eq!(night.stages(), [AttemptStage::Asked]);
    }
}

#[tokio::test]
async fn failed_cancelled_and_timed_out_tasks_are_asked_for_again() {
    let mut night = Night::new();
    night.give_up_after = 48 * HOUR;
    for fates in [
        [Fate::Failed, Fate::Failed],
        [Fate::Cancelled, Fate::TimedOut],
    ] {
        night.journal = MemoryJournal::default();
        night.logs.doom(fates);
        let before = night.logs.own_tasks().len();
        night.succeed().await;
        assert_eq!(night.logs.own_tasks().len(), before + 3);
        let mut prefixes: Vec<_> = night.logs.own_tasks()[before..]
            .iter()
            .map(|task| task.request.prefix.clone())
            .collect();
        prefixes.dedup();
        assert_eq!(prefixes.len(), 3, "each has a prefix of its own");
        assert_eq!(
            night.stages(),
            [
                AttemptStage::Abandoned,
                AttemptStage::Abandoned,
                AttemptStage::Asked
            ]
        );
    }
}

#[tokio::test]
async fn what_fails_for_ever_ends_with_the_services_own_words() {
    let night = Night::new();
    night.logs.doom([Fate::Failed; 9]);
    let error = night.export().await.unwrap_err();
    assert_eq!(error.class(), Class::Source);
    for expected in [GROUP, "3 times", "FAILED", "internal error"] {
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert_eq!(night.logs.own_tasks().len(), 3);
    assert_eq!(night.stages(), [AttemptStage::Abandoned; 3]);
}

#[tokio::test]
async fn refusals_have_the_services_own_words_and_are_not_repeated() {
    for (kind, message, class) in [
        (
            ServiceErrorKind::NotFound,
            "The specified log group does not exist.",
            Class::Usage,
        ),
        (
            ServiceErrorKind::Invalid,
            "The given bucket does not exist. Please make sure the bucket is valid.",
            Class::Usage,
        ),
        (
            ServiceErrorKind::Invalid,
            "GetBucketAcl call on the given bucket failed.",
            Class::Source,
        ),
        (
            ServiceErrorKind::Refused,
            "is not authorized to perform: logs:CreateExportTask",
            Class::Source,
        ),
    ] {
        let night = Night::new();
        night.logs.fail(Call::Create, 0..1, kind, message);
        let error = night.export().await.unwrap_err();
        assert_eq!(error.class(), class, "{error}");
        assert!(error.to_string().contains(message), "{error}");
        assert_eq!(night.logs.requests(Call::Create), 1);
        assert_eq!(night.stages(), [AttemptStage::Abandoned]);
    }
}

#[tokio::test]
async fn a_task_whose_answer_was_lost_is_adopted() {
    // Listed at once; when it is looked for again; while it holds the slot; hardly before it ends.
    for (seconds, seed) in [0, 2, 40, 64]
        .into_iter()
        .flat_map(|s| (0..200).map(move |n| (s, n)))
    {
        fastrand::seed(seed);
        let night = Night::new();
        night.logs.lose_answers(1);
        night.logs.list_tasks_after(Duration::from_secs(seconds));
        night.succeed().await;
        assert_eq!(
            night.logs.own_tasks().len(),
            1,
            "listed after {seconds} seconds, seed {seed}"
        );
        let mut stages = night.stages();
        stages.retain(|stage| *stage != AttemptStage::Abandoned);
        assert_eq!(stages, [AttemptStage::Asked]);
    }
}

#[tokio::test]
async fn a_request_that_was_lost_on_its_way_is_sent_again() {
    for seed in 0..100 {
        fastrand::seed(seed);
        let night = Night::new();
        let kind = ServiceErrorKind::NoAnswer;
        night.logs.fail(Call::Create, 0..3, kind, "no answer");
        night.succeed().await;
        assert_eq!(night.logs.own_tasks().len(), 1);
        let stages = night.stages();
        assert_eq!(stages[..3], [AttemptStage::Abandoned; 3]);
        assert_eq!(stages[3..], [AttemptStage::Asked]);
    }
}

#[tokio::test]
async fn a_lost_task_is_found_on_any_page_whatever_the_pages_answer() {
    let night = Night::new();
    let week_ago = night.clock.now() - TimeDelta::days(7);
    for number in 0..180 {
        let from = week_ago + TimeDelta::minutes(10 * number);
        night.logs.occupy_slot(from, Duration::from_secs(60));
    }
    night.logs.lose_answers(1);
    let kind = ServiceErrorKind::Transient;
    night.logs.fail(Call::Tasks, 1..2, kind, "503");
    night.logs.fail(Call::Tasks, 3..5, kind, "503");
    night.succeed().await;
    assert_eq!(night.logs.own_tasks().len(), 1);
    assert_eq!(night.logs.asked().len(), 181);
}

#[tokio::test]
async fn a_full_slot_may_be_our_own_task() {
    for seed in 0..100 {
        fastrand::seed(seed);
        let night = Night::new();
        let (result, _) = night.export_through(&SentTwice(&night.logs)).await;
        let own: Vec<FakeTask> = night.logs.own_tasks();
        assert_eq!(own.len(), 1);
        assert_eq!(result.unwrap().task_id.as_deref(), Some(own[0].id.as_str()));
        assert_eq!(night.stages(), [AttemptStage::Asked]);
    }
}

#[tokio::test]
async fn the_task_of_a_killed_run_is_adopted_before_and_after_it_is_done() {
    for minutes_later in [0, 1, 90] {
        for stage in [AttemptStage::Intended, AttemptStage::Asked] {
            let night = Night::new();
            let left = night.killed("2026-11-21T14:59:59Z", stage, true).await;
            night
                .clock
                .sleep(Duration::from_secs(60 * minutes_later))
                .await;
            let (attempt, _) = night.succeed().await;
            assert_eq!(attempt.prefix, left.prefix);
            assert_eq!(attempt.asked_at, left.asked_at);
            assert_eq!(night.logs.own_tasks().len(), 1);
            assert_eq!(night.stages(), [AttemptStage::Asked]);
        }
    }
}

#[tokio::test]
async fn what_a_killed_run_had_not_asked_for_is_asked_for() {
    let night = Night::new();
    let intended = AttemptStage::Intended;
    night.killed("2026-11-21T14:59:59Z", intended, false).await;
    let (attempt, _) = night.succeed().await;
    assert_ne!(attempt.prefix, "attempt=killed");
    assert_eq!(night.logs.own_tasks().len(), 1);
    assert_eq!(
        night.stages(),
        [AttemptStage::Abandoned, AttemptStage::Asked]
    );
}

#[tokio::test]
async fn a_task_that_the_service_has_forgotten_is_asked_for_again() {
    let night = Night::new();
    let mut left = night
        .killed("2026-11-21T14:00:00Z", AttemptStage::Asked, false)
        .await;
    left.task_id = Some("00000000-0000-0000-0000-000000000077".to_owned());
    night.journal.record(left).await.unwrap();
    let (attempt, _) = night.succeed().await;
    assert_ne!(attempt.prefix, "attempt=killed");
    assert_eq!(night.logs.own_tasks().len(), 1);
}

#[tokio::test]
async fn an_attempt_that_will_not_do_is_waited_for_and_not_adopted() {
    // Too old; too old for one who wants a new one; of other streams.
    let too_old = |night: &mut Night| {
        night.reuse_since = Some(instant("2026-11-21T14:59:59.001Z"));
    };
    let new_one = |night: &mut Night| night.reuse_since = None;
    let of_other_streams = |night: &mut Night| night.log_stream_prefix = Some("web/");
    let reasons: [&dyn Fn(&mut Night); 3] = [&too_old, &new_one, &of_other_streams];
    for reason in reasons {
        for stage in [AttemptStage::Intended, AttemptStage::Asked] {
            let mut night = Night::new();
            night.killed("2026-11-21T14:59:59Z", stage, true).await;
            reason(&mut night);
            let (attempt, told) = night.succeed().await;
            assert_ne!(attempt.prefix, "attempt=killed");
            let held = |text: &String| text.contains("named \"logtally night\"");
            assert!(told.iter().any(held), "{told:?}");
            assert_eq!(night.logs.own_tasks().len(), 2);
            assert_eq!(
                night.stages(),
                [AttemptStage::Abandoned, AttemptStage::Asked]
            );
        }
    }
}

#[tokio::test]
async fn a_full_slot_makes_the_request_no_older_than_the_task() {
    // Asked for half an hour after the window: by the time that the slot is free, all of the padding is there.
    let clock = Arc::new(TestClock::at(instant("2026-11-21T00:30:00Z")));
    let logs = FakeLogs::new(clock.clone(), "acme-logs", Arc::new(InMemory::new()));
    logs.add_group(GROUP, instant("2026-01-01T00:00:00Z"));
    logs.occupy_slot(clock.now(), 2 * HOUR);
    let night = Night {
        clock,
        logs,
        ..Night::new()
    };
    let (attempt, _) = night.succeed().await;
    let to = instant("2026-11-21T01:00:00Z").timestamp_millis();
    assert_eq!(attempt.range.end_ms, to);
    assert_eq!(night.logs.own_tasks()[0].request.to_ms, to);
    assert!(attempt.asked_at >= instant("2026-11-21T02:30:00Z"));
}
