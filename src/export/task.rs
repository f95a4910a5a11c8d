//! The way of one export through the one slot that an account and Region have: record what is about to be asked for,
//! wait for the slot, ask once, poll, and give up in time.
//!
//! CreateExportTask has no token by which the service would know a request that is sent again. So each attempt has a
//! destination prefix of its own, which is recorded before the request is sent, and after any doubt the tasks are looked
//! through for that prefix: a task that is found is adopted, and none is asked for twice.

use std::ops::ControlFlow;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use object_store::path::Path;

use super::deadline::{POLL, Patience, SLOT};
use super::service::{
    ExportService, LogGroup, ServiceError, ServiceErrorKind, Task, TaskFilter, TaskRequest,
    TaskStatus,
};
use crate::error::{Class, Error, Result};
use crate::layout;
use crate::state::{Attempt, AttemptStage, Journal};
use crate::window::Range;

/// How many tasks may fail before the export does.
const MOST_TASKS: u32 = 3;

/// A task that the service does not know so long after it was asked for is not coming.
const UNKNOWN_FOR: TimeDelta = TimeDelta::minutes(5);

/// The clocks of this machine and of the service differ by no more: requests that are further off are refused.
const CLOCKS_DIFFER_BY: TimeDelta = TimeDelta::minutes(5);

/// What is said of the slot while nobody knows whose task holds it.
const BUSY: &str = "the export slot is busy";

/// An export of a log group that is wanted.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    /// The log group.
    pub log_group: &'a LogGroup,
    /// Only streams whose name begins so.
    pub log_stream_prefix: Option<&'a str>,
    /// The events that must be in it.
    pub window: Range,
    /// The events that are asked for, as far as they are not still to come.
    pub padded: Range,
    /// A name for people.
    pub task_name: &'a str,
    /// The bucket to export to.
    pub bucket: &'a str,
    /// What the attempts' prefixes are relative to.
    pub staging: &'a Path,
    /// A prefix that no other attempt has.
    pub new_prefix: &'a (dyn Fn() -> String + Sync),
    /// An attempt of an earlier run that was asked for at or after this instant will do; `None`: none will.
    pub reuse_since: Option<DateTime<Utc>>,
}

/// The slot, with what is needed to get through it.
pub struct Queue<'a> {
    /// Whom to ask.
    pub service: &'a dyn ExportService,
    /// Where attempts are recorded.
    pub journal: &'a dyn Journal,
    /// How long to wait.
    pub patience: &'a Patience<'a>,
}

/// Who holds the slot.
struct Holders {
    tasks: Vec<Task>,
    /// Why the service does not say.
    untold: Option<String>,
}

impl Holders {
    /// For people; `None` where nothing is known.
    fn told(&self) -> Option<String> {
        match (self.tasks.first(), &self.untold) {
            (Some(task), _) => Some(format!("the export slot is held by {}", describe(task))),
            (None, Some(why)) => Some(format!(
                "{BUSY}, and whose task holds it is not told: {why}"
            )),
            (None, None) => None,
        }
    }
}

/// How a task ended.
enum End {
    Completed,
    /// It wrote nothing that may be read, for this reason.
    Failed(String),
}

impl Order<'_> {
    /// What to ask for now: nothing is later than now, and the service refuses an end before the group was made. The
    /// start stays: agents ship lines that are older than their group.
    fn range_at(&self, now: DateTime<Utc>) -> Range {
        let end = self.padded.end_ms.min(now.timestamp_millis());
        Range {
            start_ms: self.padded.start_ms.max(0),
            end_ms: end.max(self.log_group.created_ms + 1),
        }
    }

    fn intend(&self, now: DateTime<Utc>) -> Attempt {
        Attempt {
            prefix: (self.new_prefix)(),
            log_group: self.log_group.name.clone(),
            log_stream_prefix: self.log_stream_prefix.map(str::to_owned),
            range: self.range_at(now),
            asked_at: now,
            task_id: None,
            stage: AttemptStage::Intended,
        }
    }

    /// Whether the attempt, of this run or an earlier one, is at what is wanted.
    fn accepts(&self, attempt: &Attempt, began: DateTime<Utc>) -> bool {
        let since = self.reuse_since.map_or(began, |since| since.min(began));
        attempt.asked_at >= since
            && attempt.log_stream_prefix.as_deref() == self.log_stream_prefix
            && attempt.range.start_ms <= self.window.start_ms.max(0)
            && self.window.end_ms.min(attempt.asked_at.timestamp_millis()) <= attempt.range.end_ms
    }

    fn destination(&self, attempt: &Attempt) -> String {
        layout::join(self.staging, &attempt.prefix).to_string()
    }

    fn is_of(&self, task: &Task, attempt: &Attempt) -> bool {
        task.bucket == self.bucket && task.prefix == self.destination(attempt)
    }

    /// Whether the task is the attempt's and at what is wanted.
    fn is_wanted(&self, task: &Task, attempt: &Attempt, began: DateTime<Utc>) -> bool {
        self.is_of(task, attempt) && self.accepts(&as_found(attempt.clone(), task), began)
    }

    fn request(&self, attempt: &Attempt) -> TaskRequest {
        TaskRequest {
            name: self.task_name.to_owned(),
            log_group: attempt.log_group.clone(),
            log_stream_prefix: attempt.log_stream_prefix.clone(),
            from_ms: attempt.range.start_ms,
            to_ms: attempt.range.end_ms,
            bucket: self.bucket.to_owned(),
            prefix: self.destination(attempt),
        }
    }
}

impl Queue<'_> {
    /// Has the order exported, and returns the attempt whose task is COMPLETED. It stays recorded as asked for: its
    /// objects are still to be listed.
    ///
    /// Errors: `ExportLate` where the deadline passes, `Usage` where the log group or the bucket does not exist, `Source`
    /// where the service refuses or the tasks fail, and the journal's own.
    pub async fn export(&self, order: &Order<'_>) -> Result<Attempt> {
        let began = self.patience.now();
        let recorded = self.journal.attempts(&order.log_group.name).into_iter();
        let mut open: Vec<Attempt> = recorded
            .filter(|attempt| matches!(attempt.stage, AttemptStage::Intended | AttemptStage::Asked))
            .collect();
        for failures in 1.. {
            let attempt = match self.resume(order, &mut open, began).await? {
                Some(attempt) => attempt,
                None => self.ask(order, &mut open, began).await?,
            };
            let why = match self.wait_for(order, &attempt).await? {
                End::Completed => {
                    for other in open {
                        self.abandon(other).await?;
                    }
                    return Ok(attempt);
                }
                End::Failed(why) => why,
            };
            self.abandon(attempt).await?;
            if failures == MOST_TASKS {
                return Err(Error::new(
                    Class::Source,
                    format!(
                        "the export of {} failed {MOST_TASKS} times, the last time: {why}",
                        order.log_group.name
                    ),
                ));
            }
            tracing::warn!(
                log_group = order.log_group.name,
                "an export failed, asking again: {why}"
            );
            self.patience.tell(&format!("asking again after {why}"));
            self.patience.wait(SLOT, failures - 1, &why).await?;
        }
        unreachable!("the loop ends with an export or an error")
    }

    /// An unfinished attempt that will do and has a task: one of an earlier run, or one whose answer was lost.
    async fn resume(
        &self,
        order: &Order<'_>,
        open: &mut Vec<Attempt>,
        began: DateTime<Utc>,
    ) -> Result<Option<Attempt>> {
        let asked = open
            .iter()
            .rposition(|attempt| attempt.task_id.is_some() && order.accepts(attempt, began));
        match asked {
            Some(at) => {
                let attempt = open.remove(at);
                self.patience
                    .tell("going on with the export of an earlier run");
                Ok(Some(attempt))
            }
            None => self.adopt(order, open, began).await,
        }
    }

    /// Asks until there is a task. Attempts in doubt join the `open` ones, and are left there.
    async fn ask(
        &self,
        order: &Order<'_>,
        open: &mut Vec<Attempt>,
        began: DateTime<Utc>,
    ) -> Result<Attempt> {
        let mut attempt = order.intend(self.patience.now());
        self.journal.record(attempt.clone()).await?;
        let mut held = BUSY.to_owned();
        for tries in 0.. {
            let error = match self.service.create(&order.request(&attempt)).await {
                Ok(task_id) => return self.asked(attempt, task_id).await,
                Err(error) => error,
            };
            let answered = format!("CloudWatch Logs answered: {}", error.message);
            if error.kind.leaves_doubt() {
                open.push(attempt);
                self.patience.tell(&answered);
                // A task can be asked for a moment before every server knows it, so it is looked for twice. Later it
                // would be found holding the slot.
                if let Some(adopted) = self.adopt(order, open, began).await? {
                    return Ok(adopted);
                }
                self.patience.wait(SLOT, tries, &answered).await?;
                if let Some(adopted) = self.adopt(order, open, began).await? {
                    return Ok(adopted);
                }
                attempt = order.intend(self.patience.now());
                self.journal.record(attempt.clone()).await?;
                continue;
            }
            let waiting_for = match error.kind {
                ServiceErrorKind::SlotBusy => {
                    let holders = self.holders().await;
                    let own = |task: &Task| order.is_of(task, &attempt);
                    if let Some(task) = holders.tasks.iter().find(|task| own(task)) {
                        return self.adopted(attempt, task).await;
                    }
                    for at in 0..open.len() {
                        let mut tasks = holders.tasks.iter();
                        if let Some(task) =
                            tasks.find(|task| order.is_wanted(task, &open[at], began))
                        {
                            self.abandon(attempt).await?;
                            return self.adopted(open.remove(at), task).await;
                        }
                    }
                    // Where it can't be told any more, the last that was told is the best that is known.
                    if let Some(told) = holders.told().filter(|told| *told != held) {
                        if holders.tasks.is_empty() {
                            tracing::warn!(log_group = order.log_group.name, "{told}");
                        }
                        held = told;
                    }
                    held.clone()
                }
                ServiceErrorKind::Throttled if held == BUSY => answered,
                ServiceErrorKind::Throttled => format!("{answered}; before that, {held}"),
                _ => {
                    self.abandon(attempt.clone()).await?;
                    return Err(refused(&error, &order.request(&attempt)));
                }
            };
            self.patience.tell(&waiting_for);
            // What held the slot may have been the task whose answer was lost, listed late and done by now.
            let adopted = match self.patience.wait(SLOT, tries, &waiting_for).await {
                Ok(()) => self.adopt(order, open, began).await,
                Err(late) => Err(late),
            };
            if let Some(ended) = adopted.transpose() {
                self.abandon(attempt).await?;
                return ended;
            }
            attempt.asked_at = self.patience.now();
            attempt.range = order.range_at(attempt.asked_at);
            self.journal.record(attempt.clone()).await?;
        }
        unreachable!("the loop ends with a task or at the deadline")
    }

    /// Looks through the tasks for those of open attempts that will do.
    async fn adopt(
        &self,
        order: &Order<'_>,
        open: &mut Vec<Attempt>,
        began: DateTime<Utc>,
    ) -> Result<Option<Attempt>> {
        let wanted = |attempt: &Attempt| {
            attempt.stage == AttemptStage::Intended && order.accepts(attempt, began)
        };
        if !open.iter().any(wanted) {
            return Ok(None);
        }
        self.patience
            .tell("looking for a task that may have been asked for");
        let mut found = None;
        let looked = self
            .patience
            .pages(
                |page| self.service.tasks(&TaskFilter::All, page),
                |tasks| {
                    found = tasks.into_iter().find_map(|task| {
                        let at = open.iter().position(|attempt| {
                            wanted(attempt) && order.is_wanted(&task, attempt, began)
                        })?;
                        Some((at, task))
                    });
                    match found {
                        Some(_) => ControlFlow::Break(()),
                        None => ControlFlow::Continue(()),
                    }
                },
            )
            .await?;
        looked.map_err(|error| {
            Error::new(
                Class::Source,
                format!(
                    "could not look for an export task of {} that may have been asked for: {}",
                    order.log_group.name, error.message
                ),
            )
        })?;
        match found {
            Some((at, task)) => self.adopted(open.remove(at), &task).await.map(Some),
            None => Ok(None),
        }
    }

    async fn adopted(&self, attempt: Attempt, task: &Task) -> Result<Attempt> {
        tracing::info!(
            log_group = attempt.log_group,
            task = task.id,
            "adopting an export task whose answer was lost"
        );
        self.asked(as_found(attempt, task), task.id.clone()).await
    }

    async fn asked(&self, mut attempt: Attempt, task_id: String) -> Result<Attempt> {
        attempt.task_id = Some(task_id);
        attempt.stage = AttemptStage::Asked;
        self.journal.record(attempt.clone()).await?;
        Ok(attempt)
    }

    async fn abandon(&self, mut attempt: Attempt) -> Result<()> {
        attempt.stage = AttemptStage::Abandoned;
        self.journal.record(attempt).await
    }

    /// The tasks that hold the slot, of anybody, as far as the service says.
    async fn holders(&self) -> Holders {
        let mut tasks = Vec::new();
        for status in TaskStatus::ACTIVE {
            let filter = TaskFilter::Status(status);
            let listed = self
                .patience
                .pages(
                    |page| self.service.tasks(&filter, page),
                    |listed| {
                        tasks.extend(listed);
                        ControlFlow::Continue(())
                    },
                )
                .await;
            let untold = match listed {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => Some(error.message),
                // Who holds the slot does not matter any more; the wait for it ends with its own words.
                Err(_late) => None,
            };
            return Holders { tasks, untold };
        }
        Holders {
            tasks,
            untold: None,
        }
    }

    async fn wait_for(&self, order: &Order<'_>, attempt: &Attempt) -> Result<End> {
        let id = attempt.task_id.clone().unwrap_or_default();
        let filter = TaskFilter::Id(id.clone());
        for looks in 0.. {
            let page = self
                .patience
                .answer(|| self.service.tasks(&filter, None))
                .await?
                .map_err(|error| {
                    Error::new(
                        Class::Source,
                        format!("could not ask for the export task {id}: {}", error.message),
                    )
                })?;
            let state = match page.items.first() {
                Some(task) if !order.is_of(task, attempt) => {
                    return Ok(End::Failed(format!(
                        "task {id} exports to s3://{}/{}, not to s3://{}/{}",
                        task.bucket,
                        task.prefix,
                        order.bucket,
                        order.destination(attempt)
                    )));
                }
                Some(task) => match task.status {
                    TaskStatus::Completed => return Ok(End::Completed),
                    TaskStatus::Failed | TaskStatus::Cancelled => {
                        return Ok(End::Failed(describe(task)));
                    }
                    status => status.as_str(),
                },
                // A task can be asked for a moment before every server knows it.
                None if self.patience.now() - attempt.asked_at < UNKNOWN_FOR => {
                    "not yet known to the service"
                }
                None => return Ok(End::Failed(format!("task {id} is unknown to the service"))),
            };
            self.patience.tell(state);
            let waiting_for = format!("task {id} was still {state}");
            self.patience.wait(POLL, looks, &waiting_for).await?;
        }
        unreachable!("the loop ends with the task or at the deadline")
    }
}

/// The attempt as its task has it. A task may be that of an earlier try than the last one recorded, and then has the
/// events of that one only.
fn as_found(mut attempt: Attempt, task: &Task) -> Attempt {
    if let Some(created) = task.created {
        attempt.asked_at = attempt.asked_at.min(created + CLOCKS_DIFFER_BY);
    }
    if let Some(range) = task.range.filter(|range| *range != attempt.range) {
        attempt.range = range;
        // Tries ask for different times only while these end with the present.
        let asked_at = DateTime::from_timestamp_millis(range.end_ms).unwrap_or(attempt.asked_at);
        if attempt.asked_at - asked_at <= CLOCKS_DIFFER_BY * 2 {
            attempt.asked_at = attempt.asked_at.min(asked_at);
        }
    }
    attempt
}

fn describe(task: &Task) -> String {
    let mut text = format!(
        "task {} of {} ({}",
        task.id,
        task.log_group,
        task.status.as_str()
    );
    if let Some(created) = task.created {
        let created = created.to_rfc3339_opts(SecondsFormat::Secs, true);
        text += &format!(" since {created}");
    }
    if !task.name.is_empty() {
        text += &format!(", named {:?}", task.name);
    }
    if !task.message.is_empty() {
        text += &format!(", {:?}", task.message);
    }
    text + ")"
}

/// What a person can do about a refused request.
fn refused(error: &ServiceError, request: &TaskRequest) -> Error {
    let TaskRequest {
        log_group, bucket, ..
    } = request;
    let message = &error.message;
    match error.kind {
        ServiceErrorKind::NotFound => Error::usage(format!(
            "the log group {log_group:?} does not exist: {message}"
        )),
        ServiceErrorKind::Invalid if message.contains("does not exist") => Error::usage(format!(
            "CloudWatch can't export to the bucket {bucket:?}: {message}"
        )),
        ServiceErrorKind::Invalid => Error::new(
            Class::Source,
            format!(
                "CloudWatch can't export {log_group} to the bucket {bucket:?}: {message}. The bucket must be in the same \
                 Region and its policy must let CloudWatch Logs write; `logtally init` prints the policy"
            ),
        ),
        _ => Error::new(
            Class::Source,
            format!("CloudWatch refused to export {log_group}: {message}"),
        ),
    }
}
#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, TestClock};
    use crate::export::fake::{Call, FakeLogs, FakeTask, Fate};
    use crate::export::service::{
        EventPage, EventService, GroupClass, LogStream, Page, PageRequest,
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

        async fn export_through(
            &self,
            service: &dyn ExportService,
        ) -> (Result<Attempt>, Vec<String>) {
            let told = Mutex::new(Vec::new());
            let tell = |text: &str| told.lock().unwrap().push(text.to_owned());
            let what = format!("the export of {GROUP}");
            let patience = Patience::new(self.clock.as_ref(), what, self.give_up_after, &tell);
            let prefixes = AtomicUsize::new(self.journal.attempts(GROUP).len());
            let new_prefix = || format!("attempt={}", prefixes.fetch_add(1, Ordering::Relaxed));
            let log_group = LogGroup {
                name: GROUP.to_owned(),
                created_ms: 0,
                stored_bytes: 0,
                retention_days: None,
                class: GroupClass::Standard,
            };
            let window = Range {
                start_ms: instant("2026-11-20T00:00:00Z").timestamp_millis(),
                end_ms: instant("2026-11-21T00:00:00Z").timestamp_millis(),
            };
            let queue = Queue {
                service,
                journal: &self.journal,
                patience: &patience,
            };
            let result = queue
                .export(&Order {
                    log_group: &log_group,
                    log_stream_prefix: self.log_stream_prefix,
                    window,
                    padded: window.padded(HOUR),
                    task_name: "logtally night",
                    bucket: "acme-logs",
                    staging: &Path::from("exports"),
                    new_prefix: &new_prefix,
                    reuse_since: self.reuse_since,
                })
                .await;
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
                log_group: GROUP.to_owned(),
                log_stream_prefix: None,
                range,
                asked_at,
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
                assert!(told[0].contains("logtally night"), "{told:?}");
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
}
