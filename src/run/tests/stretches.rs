//! One export for several windows in a row: each window has the same answers as from an export of its own, wherever runs
//! are killed.

use futures::TryStreamExt;

use super::*;
use crate::error::Remedy;
use crate::export::staging;
use crate::layout::cloudwatch::LogObject;
use crate::run::catalog::{self, CatalogRequest, Subject, Windows};
use crate::store::fake::FakeStore;

const GROUPS: [&str; 2] = ["/svc/a", "/svc/b"];

/// Days of November with an event at each edge and at noon: the first in a stream of all days, the others in one of their
/// day.
async fn days_with(days: u32, keys: &str) -> Nights {
    let nights = Nights::with("2026-11-20T03:00:00Z", "UTC", keys).await;
    for group in GROUPS {
        nights
            .logs
            .add_group(group, instant("2026-01-01T00:00:00Z"));
        for day in 1..=days {
            let start = instant(&format!("2026-11-{day:02}T00:00:00Z"));
            let last = start + TimeDelta::milliseconds(24 * 3_600_000 - 1);
            let own = format!("of/{day}");
            for (stream, at) in [
                ("all", start),
                (own.as_str(), start + TimeDelta::hours(12)),
                (own.as_str(), last),
            ] {
                let message = format!("{group} {day} {at}");
                nights.logs.put(group, stream, at, &message);
            }
        }
    }
    nights
}

async fn days(days: u32) -> Nights {
    days_with(days, "").await
}

fn from_to(first: u32, last: u32) -> Selection {
    let id = |day: u32| format!("2026-11-{day:02}");
    Selection::FromTo(id(first), id(last))
}

impl Nights {
    async fn run_forced(&self, selection: Selection) -> Vec<Outcome> {
        let request = Request {
            selection,
            force: Force::Export,
            provisional: false,
        };
        let plan = plan(&self.environment, &self.job, &request).await.unwrap();
        execute(&self.environment, &plan, |_, _| {}).await.unwrap()
    }

    /// Checks that the days have their events, each once, in answers, receipts and for a query over the job.
    async fn check_days(&self, last: u32, context: &str) {
        for window in self.windows("2026-11-01", &format!("2026-11-{last:02}")) {
            assert_eq!(self.answer(&window).await, (6, 6), "{window}, {context}");
        }
        let counted = self.queried().await;
        assert_eq!(counted, i64::from(last) * 6, "{context}");
    }

    /// What a query over all windows of the job counts.
    async fn queried(&self) -> i64 {
        use arrow::array::AsArray;
        use arrow::datatypes::Int64Type;
        let request = CatalogRequest {
            windows: Windows::All,
            ..CatalogRequest::default()
        };
        let subject = Subject::Job(Box::new(self.job.clone()));
        let opened = catalog::open(&self.environment, [subject], &request).await;
        let session = opened.unwrap().session;
        let sql = "SELECT count(DISTINCT message), count(*) FROM logs";
        let statement = session.statement(sql, "test").await.unwrap();
        let batches = session.run(&statement).await.unwrap().batches;
        let batches: Vec<_> = batches.try_collect().await.unwrap();
        let value = |column: usize| {
            batches[0]
                .column(column)
                .as_primitive::<Int64Type>()
                .value(0)
        };
        assert_eq!(value(0), value(1), "an event counts twice");
        value(1)
    }

    /// The keys of manifests in the folder of a window or a stretch.
    async fn manifests(&self, folder: &str) -> Vec<String> {
        let mut keys = self.staged(folder).await;
        keys.retain(|key| key.ends_with("/manifest.json"));
        keys
    }
}

#[tokio::test]
async fn one_task_is_of_a_week_and_each_window_has_its_own_events() {
    let nights = days(14).await;
    let outcomes = nights.run(from_to(1, 14)).await;
    assert_eq!(outcomes.len(), 14);
    let mut read = Vec::new();
    for outcome in &outcomes {
        let receipt = outcome.result.as_ref().unwrap();
        assert_eq!(receipt.read.events, 6);
        assert!(receipt.notes.is_empty(), "{:?}", receipt.notes);
        for export in &receipt.exports {
            let first = match receipt.window.id.as_str() < "2026-11-08" {
                true => "2026-11-01--2026-11-07",
                false => "2026-11-08--2026-11-14",
            };
            assert_eq!(export.windows.as_deref(), Some(first));
            assert!(
                export.prefix.contains(&receipt.window.id),
                "{}",
                export.prefix
            );
            assert_eq!(export.hours.as_ref().unwrap().events(), 3);
        }
        read.push(receipt.read.objects);
    }
    assert_eq!(nights.logs.own_tasks().len(), 2 * GROUPS.len());
    nights.check_days(14, "a backfill").await;
    // The first window reads every object of its stretch, and the others their own: a stream of all days, and one of the day.
    assert!(read[0] > 4 && read[7] > 4, "{read:?}");
    let others = read[1..7].iter().chain(&read[8..]);
    assert!(others.clone().all(|objects| *objects == 4), "{read:?}");

    // A query over all days reads each object once.
    let store = nights.staging().await;
    let keys = StagingKeys::of(&nights.job, &nights.job.sources[0]).unwrap();
    let exports = staging::exports_of_job(&store, &keys, false).await.unwrap();
    let objects = exports.into_iter().flat_map(|export| export.objects);
    let objects = LogObject::joined(objects.collect());
    let mut distinct: Vec<String> = objects.iter().map(|o| o.key().to_string()).collect();
    distinct.sort();
    distinct.dedup();
    assert_eq!(objects.len(), distinct.len());
    // So does one over the location, also from the folder of one day, whose objects are elsewhere.
    for (folder, events) in [("", 14 * 6), ("2026-11-03", 6)] {
        let location = format!("s3://acme-logs/exports/night/{folder}");
        let location = Location::parse(location.trim_end_matches('/'), "/".as_ref()).unwrap();
        let stores = &nights.environment.stores;
        let store = stores.open(&location, Account::LOGS).await.unwrap();
        let there = staging::every_object(&store, None).await.unwrap();
        let days = if folder.is_empty() { 14 } else { 1 };
        let counted = there.objects.iter().filter(|o| o.range.is_some()).count();
        assert_eq!(counted, there.objects.len());
        let subject = Subject::Location(location);
        let request = CatalogRequest::default();
        let opened = catalog::open(&nights.environment, [subject], &request).await;
        let session = opened.unwrap().session;
        let statement = session.statement("SELECT message FROM logs", "test").await;
        let batches = session.run(&statement.unwrap()).await.unwrap().batches;
        let batches: Vec<_> = batches.try_collect().await.unwrap();
        let rows: usize = batches.iter().map(|batch| batch.num_rows()).sum();
        assert_eq!(rows, events, "{days} days");
    }

    let again = nights.run(from_to(1, 14)).await;
    assert!(again.iter().all(|outcome| outcome.skipped));
    assert_eq!(nights.logs.own_tasks().len(), 2 * GROUPS.len());
}

#[tokio::test]
async fn windows_that_have_an_export_and_provisional_ones_are_in_no_task_of_others() {
    let nights = days(19).await;
    nights.run(Selection::Id("2026-11-16".to_owned())).await;
    assert_eq!(nights.logs.own_tasks().len(), 2);
    // The answers of the 16th are gone, and its export is there.
    let receipt = nights.keys.receipt("2026-11-16");
    nights.output.delete(&receipt).await.unwrap();
    // The 19th ended three hours ago.
    let outcomes = nights.run(from_to(14, 19)).await;
    assert!(outcomes.iter().all(|outcome| outcome.result.is_ok()));
    let tasks = nights.logs.own_tasks();
    let of_a = tasks[2..]
        .iter()
        .filter(|task| task.request.log_group == "/svc/a");
    let names: Vec<&str> = of_a.map(|task| task.request.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "logtally night 2026-11-14--2026-11-15 /svc/a",
            "logtally night 2026-11-17--2026-11-18 /svc/a",
            "logtally night 2026-11-19 /svc/a",
        ]
    );
    for window in nights.windows("2026-11-14", "2026-11-18") {
        assert_eq!(nights.answer(&window).await, (6, 6), "{window}");
    }
}

#[tokio::test]
async fn a_run_that_is_killed_at_any_change_of_the_staging_location_exports_nothing_twice() {
    for changes in 0.. {
        let mut nights = days(3).await;
        let objects = Arc::clone(nights.staging().await.objects());
        let answers = Arc::clone(nights.output.objects());
        let stopping = Arc::new(FakeStore::over(Arc::clone(&objects)).stopping_behind(changes));
        let through = |staging: Arc<dyn object_store::ObjectStore>| {
            let stores = Stores::new(Arc::new(Aws::new(AwsSettings::default()))).unwrap();
            let stores = stores.with_objects("acme-logs", staging).unwrap();
            stores.with_objects("acme-answers", Arc::clone(&answers))
        };
        nights.environment.stores = through(stopping.clone()).unwrap();
        let context = format!("killed behind {changes} changes");
        let is_killed = tokio::select! {
            _ = nights.run(from_to(1, 3)) => false,
            () = stopping.stopped() => true,
        };
        lease::wait_for_releases();
        nights.environment.stores = through(objects).unwrap();
        let outcomes = nights.run(from_to(1, 3)).await;
        for outcome in &outcomes {
            assert!(outcome.result.is_ok(), "{context}: {:?}", outcome.result);
        }
        nights.check_days(3, &context).await;
        assert_eq!(nights.logs.own_tasks().len(), 2, "{context}");
        for day in 1..=3 {
            let window = format!("2026-11-{day:02}");
            assert_eq!(nights.manifests(&window).await.len(), 2, "{context}");
            let attempts = nights.state(&window).await.attempts;
            assert_eq!(attempts.len(), 2, "{context}: {attempts:?}");
        }
        if !is_killed {
            assert!(changes > 10, "{changes}");
            return;
        }
    }
}

/// CloudWatch Logs that never answers the request about tasks behind this number of others, carried out or not.
struct Killed {
    logs: Arc<FakeLogs>,
    left: AtomicUsize,
    is_carried_out: bool,
    died: Notify,
}

impl Killed {
    async fn when<T>(&self, call: impl Future<Output = T>) -> T {
        let less = |left: usize| left.checked_sub(1);
        let left = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
        if left.is_err() {
            if self.is_carried_out {
                call.await;
            }
            self.died.notify_one();
            return std::future::pending().await;
        }
        call.await
    }
}

#[async_trait]
impl EventService for Killed {
    async fn events(&self, request: &PageRequest) -> Result<EventPage, ServiceError> {
        self.logs.events(request).await
    }
}

#[async_trait]
impl ExportService for Killed {
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
        self.when(self.logs.create(request)).await
    }

    async fn tasks(
        &self,
        filter: &TaskFilter,
        page: Option<String>,
    ) -> Result<Page<Task>, ServiceError> {
        self.when(self.logs.tasks(filter, page)).await
    }
}

#[tokio::test]
async fn a_run_that_is_killed_at_any_request_adopts_the_task_of_several_windows() {
    for is_carried_out in [false, true] {
        for requests in 0.. {
            let mut nights = days(3).await;
            let killed = Arc::new(Killed {
                logs: nights.logs.clone(),
                left: AtomicUsize::new(requests),
                is_carried_out,
                died: Notify::new(),
            });
            nights.environment.services = vec![killed.clone()];
            let is_killed = tokio::select! {
                _ = nights.run(from_to(1, 3)) => false,
                () = killed.died.notified() => true,
            };
            lease::wait_for_releases();
            if !is_killed {
                assert!(requests > 4, "{requests}");
                break;
            }
            nights.environment.services = vec![nights.logs.clone()];
            // The next run begins with another window.
            let context = format!("killed behind {requests} requests, {is_carried_out}");
            let second = nights.run(from_to(2, 3)).await;
            assert!(second.iter().all(|outcome| outcome.result.is_ok()));
            nights.run(from_to(1, 1)).await.remove(0).result.unwrap();
            nights.check_days(3, &context).await;
            // Of a task that was never requested, the first day has one of its own.
            let tasks = nights.logs.own_tasks().len();
            assert!((2..=4).contains(&tasks), "{context}: {tasks}");
            if is_carried_out && requests > 0 {
                assert!(tasks <= 3, "{context}: {tasks}");
            }
        }
    }
}

#[tokio::test]
async fn windows_are_exported_one_by_one_where_their_common_task_fails() {
    let nights = days(3).await;
    nights.logs.doom([Fate::Failed]);
    let outcomes = nights.run(from_to(1, 3)).await;
    assert!(outcomes.iter().all(|outcome| outcome.result.is_ok()));
    nights.check_days(3, "its task failed").await;
    // The first group: one that failed and one each. The second: one.
    assert_eq!(nights.logs.own_tasks().len(), 1 + 3 + 1);
    // What the failed task wrote is deleted.
    let failed = &nights.logs.own_tasks()[0].request.prefix;
    let failed = failed.strip_prefix("exports/night/").unwrap();
    assert_eq!(nights.staged(failed).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_window_whose_events_an_export_of_several_lacks_is_refused_alone() {
    let nights = Nights::with("2026-11-20T03:00:00Z", "UTC", "").await;
    nights
        .logs
        .add_group("/svc/a", instant("2026-01-01T00:00:00Z"));
    for day in 1..=3 {
        // Behind the times that the export of the day before asks for.
        let evening = instant(&format!("2026-11-{day:02}T18:00:00Z"));
        let stream = format!("of/{day}");
        nights.logs.put("/svc/a", &stream, evening, "hello");
    }
    // The service still says that the stream of the first day had an event.
    nights
        .logs
        .expire("/svc/a", instant("2026-11-02T00:00:00Z"));
    let outcomes = nights.run(from_to(1, 3)).await;
    assert_eq!(nights.logs.own_tasks().len(), 1);
    let error = outcomes[0].result.as_ref().unwrap_err();
    assert_eq!(error.class(), Class::Source);
    assert_eq!(error.remedy(), Some(Remedy::ForceExport));
    assert!(error.to_string().contains("2026-11-01T18:00:00"), "{error}");
    for outcome in &outcomes[1..] {
        assert_eq!(outcome.result.as_ref().unwrap().read.events, 1);
    }
    // It is asked for again, and taken where that is forced.
    let again = nights.run(from_to(1, 3)).await;
    assert!(again[0].result.is_err() && again[1].skipped);
    assert_eq!(nights.logs.own_tasks().len(), 2);
    let forced = nights.run_forced(from_to(1, 1)).await.remove(0);
    let receipt = forced.result.unwrap();
    assert_eq!(receipt.read.events, 0);
    assert!(receipt.notes[0].contains("2026-11-01T18:00:00"));
}

#[tokio::test]
async fn an_export_of_several_windows_goes_with_the_last_of_them() {
    let nights = days_with(3, "keep = \"2d\"").await;
    nights.run(from_to(1, 3)).await;
    let stretch = "2026-11-01--2026-11-03";
    assert_eq!(nights.manifests(stretch).await.len(), 2);
    // One window is exported anew, by a run that began later: the others need theirs.
    nights.clock.sleep(HOUR).await;
    let forced = nights.run_forced(from_to(2, 2)).await.remove(0);
    assert_eq!(forced.result.unwrap().exports[0].windows, None);
    assert_eq!(nights.manifests("2026-11-02").await.len(), 2);
    assert_eq!(nights.manifests(stretch).await.len(), 2);
    nights.check_days(3, "one is exported anew").await;
    // All are, as a stretch: its prefix is another.
    let before = nights.manifests(stretch).await;
    let forced = nights.run_forced(from_to(1, 3)).await;
    assert!(forced.iter().all(|outcome| outcome.result.is_ok()));
    nights.check_days(3, "all are exported anew").await;
    let both = nights.manifests(stretch).await;
    assert_eq!(both.len(), 4);
    // For a day, a run may be about to use the first one.
    nights.clock.sleep(26 * HOUR).await;
    assert!(nights.run(from_to(1, 3)).await.iter().all(|o| o.skipped));
    let left = nights.manifests(stretch).await;
    assert_eq!(left.len(), 2);
    assert!(left.iter().all(|key| !before.contains(key)));
    nights.check_days(3, "the first one is deleted").await;
    // What is kept for two days goes, with all of its objects.
    nights.clock.sleep(24 * HOUR).await;
    nights.run(from_to(1, 3)).await;
    for folder in [stretch, "2026-11-01", "2026-11-02", "2026-11-03"] {
        assert_eq!(
            nights.staged(folder).await,
            Vec::<String>::new(),
            "{folder}"
        );
    }
}

#[tokio::test]
async fn an_export_that_is_continued_is_of_the_windows_that_had_settled_when_it_was_requested() {
    let mut nights = days(19).await;
    let killed = Arc::new(Killed {
        logs: nights.logs.clone(),
        left: AtomicUsize::new(1),
        is_carried_out: false,
        died: Notify::new(),
    });
    nights.environment.services = vec![killed.clone()];
    // Killed when the first group has its task.
    tokio::select! {
        _ = nights.run(from_to(17, 18)) => panic!("it ended"),
        () = killed.died.notified() => {}
    }
    lease::wait_for_releases();
    assert_eq!(nights.logs.own_tasks().len(), 1);
    nights.environment.services = vec![nights.logs.clone()];
    // By the job as it is now, the 18th settled three hours after that request, and an hour ago.
    nights.job.window.settled_after = 30 * HOUR;
    nights.clock.sleep(4 * HOUR).await;
    let outcomes = nights.run(from_to(17, 18)).await;
    assert!(outcomes.iter().all(|outcome| outcome.result.is_ok()));
    let tasks = nights.logs.own_tasks();
    let of = |group: &str| -> Vec<String> {
        let tasks = tasks.iter().map(|task| &task.request);
        let of_group = tasks.filter(|request| request.log_group == group);
        of_group.map(|request| request.name.clone()).collect()
    };
    let both = "logtally night 2026-11-17--2026-11-18";
    let a = [
        format!("{both} /svc/a"),
        "logtally night 2026-11-18 /svc/a".to_owned(),
    ];
    assert_eq!(of("/svc/a"), a);
    assert_eq!(of("/svc/b"), [format!("{both} /svc/b")]);
    for window in nights.windows("2026-11-17", "2026-11-18") {
        assert_eq!(nights.answer(&window).await, (6, 6), "{window}");
    }
}

#[tokio::test]
async fn a_folder_that_is_only_named_like_one_of_several_windows_is_left_alone() {
    let nights = days_with(1, "keep = \"2d\"").await;
    nights.put_foreign("night/old--new/list.txt").await;
    nights.run(from_to(1, 1)).await;
    // The objects have the machine's time.
    nights.clock.sleep(HOUR * 24 * 3650).await;
    nights.run(from_to(1, 1)).await;
    assert_eq!(nights.staged("2026-11-01").await, Vec::<String>::new());
    assert_eq!(nights.staged("old--new").await.len(), 1);
}

#[tokio::test]
async fn windows_are_exported_no_more_when_a_lifecycle_rule_has_deleted_their_common_export() {
    let nights = days(4).await;
    nights.run(from_to(1, 3)).await;
    nights.run(from_to(4, 4)).await;
    nights.check_days(4, "all are there").await;
    let store = nights.staging().await;
    let manifest = nights.manifests("2026-11-01--2026-11-03").await.remove(0);
    let stretch = layout::parent(&layout::join(store.root(), &manifest));
    store.delete_below(&stretch).await.unwrap();
    // The other log group has all of its events, and a day has both.
    assert_eq!(nights.queried().await, 6);
    // A run that needs the events exports those of the one group again, and a query has all days.
    let tasks = nights.logs.own_tasks().len();
    for day in 1..=3 {
        let receipt = nights.keys.receipt(&format!("2026-11-{day:02}"));
        nights.output.delete(&receipt).await.unwrap();
    }
    let outcomes = nights.run(from_to(1, 3)).await;
    assert!(outcomes.iter().all(|outcome| outcome.result.is_ok()));
    assert_eq!(nights.logs.own_tasks().len(), tasks + 1);
    nights.check_days(4, "one group was exported again").await;
}

#[tokio::test]
async fn windows_near_their_retention_are_exported_alone() {
    let nights = days(19).await;
    for group in GROUPS {
        nights.logs.set_retention(group, 5);
    }
    // Events from before the 15th, 03:00, are deleted: the 16th is near to that.
    nights.run(from_to(15, 18)).await;
    let tasks = nights.logs.own_tasks();
    let of_a = tasks
        .iter()
        .filter(|task| task.request.log_group == "/svc/a");
    let names: Vec<&str> = of_a.map(|task| task.request.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "logtally night 2026-11-15 /svc/a",
            "logtally night 2026-11-16 /svc/a",
            "logtally night 2026-11-17--2026-11-18 /svc/a",
        ]
    );
}

#[tokio::test]
async fn with_auto_a_task_is_of_the_windows_that_are_too_large_for_events() {
    let nights = days_with(0, "via = \"auto\"").await;
    for group in GROUPS {
        for number in 0..3 * 5400 {
            let at = instant("2026-11-01T00:00:00Z") + TimeDelta::seconds(number * 16);
            nights.logs.put(group, "web/1", at, &number.to_string());
        }
    }
    let outcomes = nights.run(from_to(1, 3)).await;
    for outcome in &outcomes {
        assert_eq!(outcome.result.as_ref().unwrap().read.events, 2 * 5400);
    }
    assert_eq!(nights.logs.own_tasks().len(), 2);
}
