//! A fake of CloudWatch Logs for tests: log groups with events, the one export slot, tasks that run in a clock's time
//! and write objects in the service's own layout, pages, request limits, and faults on demand.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::ops;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use flate2::Compression;
use flate2::write::GzEncoder;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use super::service::{
    EventPage, EventService, ExportService, GroupClass, LogEvent, LogGroup, LogStream, Origin,
    Page, PageRequest, ServiceError, ServiceErrorKind, Task, TaskFilter, TaskRequest, TaskStatus,
};
use crate::clock::Clock;
use crate::layout;
use crate::window::Range;

/// How long a task waits, and then runs.
const PENDING: Duration = Duration::from_secs(5);
const RUNNING: Duration = Duration::from_secs(60);

/// How long a cancellation takes.
const CANCELLING: Duration = Duration::from_secs(5);

/// The service gives up on a task that runs longer.
const TIMES_OUT_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The most that a page lists.
const PAGE: usize = 50;

/// Requests of one kind in a second; more are throttled.
const REQUESTS_IN_A_SECOND: usize = 5;

/// The events of an object; a stream with more has several.
const EVENTS_IN_AN_OBJECT: usize = 100;

/// A stateful fake of CloudWatch Logs, with one bucket to export to.
pub struct FakeLogs {
    clock: Arc<dyn Clock>,
    bucket: String,
    objects: Arc<dyn ObjectStore>,
    origin: Origin,
    state: Mutex<ServiceState>,
    /// Held while objects are written, so that no task is COMPLETED before its objects are there.
    writing: tokio::sync::Mutex<()>,
}

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// DescribeLogGroups.
    Groups,
    /// DescribeLogStreams.
    Streams,
    /// CreateExportTask.
    Create,
    /// DescribeExportTasks.
    Tasks,
    /// FilterLogEvents.
    Events,
}

/// How a task ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fate {
    /// With all its objects.
    #[default]
    Completed,
    /// With some of them, and "internal error".
    Failed,
    /// With some of them, cancelled.
    Cancelled,
    /// Never, so that the service gives it up after a day.
    TimedOut,
}

/// What the `from` and `to` of a task mean: the documentation says both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reading {
    /// The events' own times, both ends included.
    #[default]
    EventTime,
    /// The times at which the events came in, `to` excluded.
    IngestionTime,
}

/// A task, with what the service does not report.
#[derive(Debug, Clone)]
pub struct FakeTask {
    /// The id.
    pub id: String,
    /// The request.
    pub request: TaskRequest,
    /// When it was requested.
    pub created: DateTime<Utc>,
    runs_for: Duration,
    fate: Fate,
    /// How many of its objects are written.
    written: usize,
    /// Whether it writes nothing more.
    is_over: bool,
    /// When a caller first heard that it has ended.
    told_at: Option<DateTime<Utc>>,
}

#[derive(Default)]
struct ServiceState {
    groups: BTreeMap<String, FakeGroup>,
    tasks: Vec<FakeTask>,
    /// Tasks of other callers, which take the slot from an instant on when it is free.
    strangers: VecDeque<(DateTime<Utc>, Duration)>,
    fates: VecDeque<Fate>,
    faults: Vec<Fault>,
    lost_answers: usize,
    received_twice: usize,
    written_later: Duration,
    goes_by: Reading,
    exportable_after: TimeDelta,
    pages_overlap: bool,
    listed_after: TimeDelta,
    requests: Vec<(Call, DateTime<Utc>)>,
}

struct FakeGroup {
    created: DateTime<Utc>,
    class: GroupClass,
    retention_days: Option<u32>,
    /// By time.
    events: Vec<FakeEvent>,
    streams: BTreeMap<String, LogStream>,
}

struct FakeEvent {
    id: usize,
    at: DateTime<Utc>,
    ingested: DateTime<Utc>,
    stream: String,
    message: String,
}

/// An error for requests of a kind, by their number from now on.
struct Fault {
    call: Call,
    requests: ops::Range<usize>,
    error: ServiceError,
}

impl FakeLogs {
    /// A service without log groups, which exports to the bucket with the content `objects`.
    pub fn new(clock: Arc<dyn Clock>, bucket: &str, objects: Arc<dyn ObjectStore>) -> Self {
        Self {
            clock,
            bucket: bucket.to_owned(),
            objects,
            origin: Origin {
                account: "123456789012".to_owned(),
                region: "ap-northeast-2".to_owned(),
            },
            state: Mutex::default(),
            writing: tokio::sync::Mutex::new(()),
        }
    }

    /// The same service in another account.
    #[must_use]
    pub fn in_account(mut self, account: &str) -> Self {
        account.clone_into(&mut self.origin.account);
        self
    }

    /// Creates a log group, now or in the past.
    pub fn add_group(&self, name: &str, created: DateTime<Utc>) {
        let group = FakeGroup {
            created,
            class: GroupClass::Standard,
            retention_days: None,
            events: Vec::new(),
            streams: BTreeMap::new(),
        };
        self.state().groups.insert(name.to_owned(), group);
    }

    /// Sets the class of a log group: FilterLogEvents accepts Standard only, CreateExportTask all but Delivery.
    pub fn set_class(&self, name: &str, class: GroupClass) {
        if let Some(group) = self.state().groups.get_mut(name) {
            group.class = class;
        }
    }

    /// Sets how long a log group keeps its events; [`Self::expire`] deletes them.
    pub fn set_retention(&self, name: &str, days: u32) {
        if let Some(group) = self.state().groups.get_mut(name) {
            group.retention_days = Some(days);
        }
    }

    /// Deletes a log group.
    pub fn delete_group(&self, name: &str) {
        self.state().groups.remove(name);
    }

    /// Adds an event that was ingested as it happened.
    ///
    /// # Panics
    ///
    /// Where there is no such log group.
    pub fn put(&self, log_group: &str, stream: &str, at: DateTime<Utc>, message: &str) {
        self.put_late(log_group, stream, at, at, message);
    }

    /// Adds an event that was ingested at another time: exports requested before that lack it.
    ///
    /// # Panics
    ///
    /// Where there is no such log group.
    pub fn put_late(
        &self,
        log_group: &str,
        stream: &str,
        at: DateTime<Utc>,
        ingested: DateTime<Utc>,
        message: &str,
    ) {
        let mut state = self.state();
        let group = state
            .groups
            .get_mut(log_group)
            .unwrap_or_else(|| panic!("there is no log group {log_group}"));
        let known = group
            .streams
            .entry(stream.to_owned())
            .or_insert_with(|| LogStream {
                name: stream.to_owned(),
                first_event_ms: None,
                last_event_ms: None,
                last_ingestion_ms: None,
            });
        let (at_ms, ingested_ms) = (at.timestamp_millis(), ingested.timestamp_millis());
        known.first_event_ms = Some(known.first_event_ms.map_or(at_ms, |first| first.min(at_ms)));
        known.last_event_ms = known.last_event_ms.max(Some(at_ms));
        known.last_ingestion_ms = known.last_ingestion_ms.max(Some(ingested_ms));
        let place = group.events.partition_point(|event| event.at <= at);
        let event = FakeEvent {
            id: group.events.len(),
            at,
            ingested,
            stream: stream.to_owned(),
            message: message.to_owned(),
        };
        group.events.insert(place, event);
    }

    /// Deletes the events from before an instant, as retention does: the streams still report their times.
    pub fn expire(&self, log_group: &str, before: DateTime<Utc>) {
        if let Some(group) = self.state().groups.get_mut(log_group) {
            group.events.retain(|event| event.at >= before);
        }
    }

    /// A task of another caller takes the slot at an instant, or when it is free after that, for `duration`.
    pub fn occupy_slot(&self, from: DateTime<Utc>, duration: Duration) {
        self.state().strangers.push_back((from, duration));
    }

    /// Decides how the next tasks end.
    pub fn doom(&self, fates: impl IntoIterator<Item = Fate>) {
        self.state().fates.extend(fates);
    }

    /// Fails requests of a kind, which are not executed: those with these numbers, 0 being the next.
    pub fn fail(
        &self,
        call: Call,
        requests: ops::Range<usize>,
        kind: ServiceErrorKind,
        message: &str,
    ) {
        let error = error(kind, message);
        self.state().faults.push(Fault {
            call,
            requests,
            error,
        });
    }

    /// Creates the next `count` tasks, and answers with an error nevertheless.
    pub fn lose_answers(&self, count: usize) {
        self.state().lost_answers = count;
    }

    /// Receives the next `count` requests for a task twice: a second task follows the first one.
    pub fn receive_twice(&self, count: usize) {
        self.state().received_twice = count;
    }

    /// Writes the last object of every task only this long after a caller heard that the task is COMPLETED.
    pub fn write_last_object_after(&self, delay: Duration) {
        self.state().written_later = delay;
    }

    /// Decides what the times of tasks mean.
    pub fn go_by(&self, reading: Reading) {
        self.state().goes_by = reading;
    }

    /// Exports events only this long after they came in.
    pub fn export_after(&self, delay: Duration) {
        self.state().exportable_after = TimeDelta::from_std(delay).unwrap_or_default();
    }

    /// Begins each page of events with the last event of the page before.
    pub fn overlap_pages(&self) {
        self.state().pages_overlap = true;
    }

    /// Lists tasks only this long after they were created, as a service of many servers does.
    pub fn list_tasks_after(&self, delay: Duration) {
        self.state().listed_after = TimeDelta::from_std(delay).unwrap_or_default();
    }

    /// All tasks so far, in the order of their requests. Those of other callers have no bucket.
    pub fn asked(&self) -> Vec<FakeTask> {
        self.state().tasks.clone()
    }

    /// All tasks but those of other callers.
    pub fn own_tasks(&self) -> Vec<FakeTask> {
        let mut tasks = self.asked();
        tasks.retain(|task| task.request.bucket == self.bucket);
        tasks
    }

    /// The number of requests of a kind, answered or not.
    pub fn requests(&self, call: Call) -> usize {
        let state = self.state();
        state.requests.iter().filter(|(of, _)| *of == call).count()
    }

    fn state(&self) -> MutexGuard<'_, ServiceState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a request: first what happened meanwhile, then the faults.
    async fn begin(&self, call: Call) -> Result<DateTime<Utc>, ServiceError> {
        let now = self.clock.now();
        self.catch_up(now).await;
        let mut state = self.state();
        state.requests.push((call, now));
        let mut failed = Ok(now);
        for fault in state.faults.iter_mut().filter(|fault| fault.call == call) {
            if fault.requests.contains(&0) {
                failed = Err(fault.error.clone());
            }
            fault.requests.start = fault.requests.start.saturating_sub(1);
            fault.requests.end = fault.requests.end.saturating_sub(1);
        }
        failed?;
        let a_second_ago = now - TimeDelta::seconds(1);
        let recent = state
            .requests
            .iter()
            .rev()
            .take_while(|(_, at)| *at > a_second_ago)
            .filter(|(of, _)| *of == call);
        if recent.count() > REQUESTS_IN_A_SECOND {
            return Err(error(
                ServiceErrorKind::Throttled,
                "Rate exceeded (ThrottlingException)",
            ));
        }
        Ok(now)
    }

    /// Writes the objects of tasks that have ended, and lets tasks of other callers take the slot.
    async fn catch_up(&self, now: DateTime<Utc>) {
        let _writing = self.writing.lock().await;
        let objects = {
            let mut state = self.state();
            let objects = state.objects_until(now);
            state.let_strangers_in(now);
            objects
        };
        for (key, bytes) in objects {
            let put = self.objects.put(&key, PutPayload::from(bytes)).await;
            if let Err(error) = put {
                panic!("the fake can't write {key}: {error}");
            }
        }
    }
}

impl ServiceState {
    /// The objects that the tasks have written by now and had not written before.
    fn objects_until(&mut self, now: DateTime<Utc>) -> Vec<(Path, Vec<u8>)> {
        let mut new = Vec::new();
        let delay = TimeDelta::from_std(self.written_later).unwrap_or_default();
        let newest_first = (0..self.tasks.len()).rev();
        // Only tasks of the last hours can have something to write, and there may be thousands.
        for at in newest_first
            .take_while(|at| self.tasks[*at].may_write_after(now))
            .collect::<Vec<_>>()
        {
            let task = &self.tasks[at];
            if task.is_over || task.at(now).status.is_active() {
                continue;
            }
            let mut objects = self.export(task);
            if task.fate != Fate::Completed {
                objects.truncate(objects.len().div_ceil(2));
            }
            let is_over = delay.is_zero() || task.told_at.is_some_and(|told| told + delay <= now);
            let until = objects.len().saturating_sub(usize::from(!is_over));
            let written = task.written.min(until);
            new.extend(objects.drain(written..until));
            let task = &mut self.tasks[at];
            (task.written, task.is_over) = (until, is_over);
        }
        new
    }

    fn let_strangers_in(&mut self, now: DateTime<Utc>) {
        let free = |state: &Self| {
            let last = state.tasks.last();
            last.is_none_or(|last| !last.at(now).status.is_active())
        };
        while free(self) && self.strangers.front().is_some_and(|(from, _)| *from <= now) {
            let Some((from, duration)) = self.strangers.pop_front() else {
                return;
            };
            let request = TaskRequest {
                name: "a stranger's".to_owned(),
                log_group: "/stranger".to_owned(),
                log_stream_prefix: None,
                from_ms: 0,
                to_ms: 0,
                bucket: String::new(),
                prefix: String::new(),
            };
            self.start(request, from, duration, Fate::Completed);
        }
    }

    fn start(
        &mut self,
        request: TaskRequest,
        created: DateTime<Utc>,
        runs_for: Duration,
        fate: Fate,
    ) -> String {
        let id = format!("00000000-0000-0000-0000-{:012}", self.tasks.len());
        self.tasks.push(FakeTask {
            id: id.clone(),
            request,
            created,
            runs_for,
            fate,
            written: 0,
            is_over: false,
            told_at: None,
        });
        id
    }

    /// What a task writes at its end: the events that were there when it was requested.
    fn export(&self, task: &FakeTask) -> Vec<(Path, Vec<u8>)> {
        let request = &task.request;
        let Some(group) = self.groups.get(&request.log_group) else {
            return Vec::new();
        };
        let prefix = request.log_stream_prefix.as_deref().unwrap_or_default();
        let at = |ms: i64| DateTime::from_timestamp_millis(ms).unwrap_or(DateTime::<Utc>::MAX_UTC);
        let (from, to) = (at(request.from_ms), at(request.to_ms));
        let events = match self.goes_by {
            Reading::EventTime => {
                let first = group.events.partition_point(|event| event.at < from);
                let behind = group.events.partition_point(|event| event.at <= to);
                &group.events[first..behind.max(first)]
            }
            Reading::IngestionTime => &group.events[..],
        };
        let is_requested = |event: &FakeEvent| match self.goes_by {
            Reading::EventTime => true,
            Reading::IngestionTime => (from..to).contains(&event.ingested),
        };
        let mut streams: BTreeMap<&str, Vec<&FakeEvent>> = BTreeMap::new();
        let exportable = task.created - self.exportable_after;
        for event in events.iter().filter(|event| is_requested(event)) {
            if event.ingested <= exportable && event.stream.starts_with(prefix) {
                streams.entry(&event.stream).or_default().push(event);
            }
        }
        let attempt = layout::join(&Path::default(), &request.prefix);
        let mut objects = Vec::new();
        for (stream, mut events) in streams {
            // The service does not write them by time either.
            events.sort_by_key(|event| event.ingested);
            for (number, events) in events.chunks(EVENTS_IN_AN_OBJECT).enumerate() {
                let key = layout::cloudwatch::exported_object(&attempt, &task.id, stream, number);
                objects.push((key, compressed(events)));
            }
        }
        objects
    }
}

fn compressed(events: &[&FakeEvent]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    for event in events {
        let written =
            layout::cloudwatch::write_line(&mut gzip, event.at.timestamp_millis(), &event.message);
        written.unwrap_or_else(|error| panic!("the fake can't write an event: {error}"));
    }
    let flushed = gzip.flush().and_then(|()| gzip.finish());
    flushed.unwrap_or_else(|error| panic!("the fake can't compress: {error}"))
}

impl FakeTask {
    /// Whether it can write something now: tasks end within two days, and an hour is for objects that come late.
    fn may_write_after(&self, now: DateTime<Utc>) -> bool {
        now - self.created < TimeDelta::hours(49)
    }

    /// Its state at an instant.
    pub fn at(&self, now: DateTime<Utc>) -> Task {
        let age = (now - self.created).to_std().unwrap_or_default();
        let ends_after = PENDING + self.runs_for;
        let (status, message) = match self.fate {
            _ if age < PENDING => (TaskStatus::Pending, ""),
            _ if age >= TIMES_OUT_AFTER && ends_after > TIMES_OUT_AFTER => {
                (TaskStatus::Failed, "The export task timed out")
            }
            _ if age < ends_after => (TaskStatus::Running, "Started"),
            Fate::Completed => (TaskStatus::Completed, "Completed successfully"),
            Fate::Failed => (TaskStatus::Failed, "internal error"),
            Fate::Cancelled if age < ends_after + CANCELLING => (TaskStatus::PendingCancel, ""),
            Fate::Cancelled => (TaskStatus::Cancelled, "Cancelled by user"),
            Fate::TimedOut => (TaskStatus::Running, "Started"),
        };
        Task {
            id: self.id.clone(),
            name: self.request.name.clone(),
            log_group: self.request.log_group.clone(),
            bucket: self.request.bucket.clone(),
            prefix: self.request.prefix.clone(),
            range: Some(Range {
                start_ms: self.request.from_ms,
                end_ms: self.request.to_ms,
            }),
            created: Some(self.created),
            status,
            message: message.to_owned(),
        }
    }
}

fn error(kind: ServiceErrorKind, message: &str) -> ServiceError {
    ServiceError {
        kind,
        message: message.to_owned(),
    }
}

/// The page of a list for a token.
fn page_of<T>(items: impl Iterator<Item = T>, token: Option<String>) -> Page<T> {
    let from: usize = token.and_then(|token| token.parse().ok()).unwrap_or(0);
    let mut items = items.skip(from);
    let page = items.by_ref().take(PAGE).collect();
    let next = items.next().map(|_| (from + PAGE).to_string());
    Page { items: page, next }
}

#[async_trait]
impl ExportService for FakeLogs {
    fn endpoint(&self) -> &str {
        "the fake"
    }

    async fn groups(
        &self,
        prefix: &str,
        page: Option<String>,
    ) -> Result<Page<LogGroup>, ServiceError> {
        self.begin(Call::Groups).await?;
        let state = self.state();
        let groups = state
            .groups
            .iter()
            .filter(|(name, _)| name.starts_with(prefix));
        let groups = groups.map(|(name, group)| LogGroup {
            name: name.clone(),
            created_ms: group.created.timestamp_millis(),
            stored_bytes: group.events.iter().map(|e| e.message.len() as i64).sum(),
            retention_days: group.retention_days,
            class: group.class,
            // An ARN stands for a log group of a linked account.
            origin: Origin::of_arn(name).or_else(|| Some(self.origin.clone())),
        });
        Ok(page_of(groups, page))
    }

    async fn streams(
        &self,
        log_group: &str,
        page: Option<String>,
    ) -> Result<Page<LogStream>, ServiceError> {
        self.begin(Call::Streams).await?;
        let state = self.state();
        let group = state.groups.get(log_group).ok_or_else(no_group)?;
        let mut streams: Vec<&LogStream> = group.streams.values().collect();
        streams.sort_by_key(|stream| std::cmp::Reverse(stream.last_event_ms));
        Ok(page_of(streams.into_iter().cloned(), page))
    }

    async fn create(&self, request: &TaskRequest) -> Result<String, ServiceError> {
        let now = self.begin(Call::Create).await?;
        let id = {
            let mut state = self.state();
            let group = state.groups.get(&request.log_group).ok_or_else(no_group)?;
            let invalid = |message: &str| Err(error(ServiceErrorKind::Invalid, message));
            if request.bucket != self.bucket {
                return invalid(
                    "The given bucket does not exist. Please make sure the bucket is valid.",
                );
            }
            if group.class == GroupClass::Delivery {
                return invalid("The log group's class does not support this operation.");
            }
            if request.to_ms < request.from_ms || request.to_ms < group.created.timestamp_millis() {
                return invalid("Specified time range is not valid.");
            }
            let last = state.tasks.last();
            if last.is_some_and(|last| last.at(now).status.is_active()) {
                return Err(error(
                    ServiceErrorKind::SlotBusy,
                    "Resource limit exceeded. (LimitExceededException)",
                ));
            }
            let fate = state.fates.pop_front().unwrap_or_default();
            let runs_for = match fate {
                Fate::TimedOut => TIMES_OUT_AFTER * 2,
                _ => RUNNING,
            };
            let id = state.start(request.clone(), now, runs_for, fate);
            if state.received_twice > 0 {
                state.received_twice -= 1;
                let first_ends = now + PENDING + runs_for;
                state.start(request.clone(), first_ends, runs_for, Fate::Completed);
            }
            id
        };
        let test = format!("{}/{}", request.prefix, layout::cloudwatch::WRITE_TEST);
        let test = layout::join(&Path::default(), &test);
        let payload = PutPayload::from_static(b"Permission Check Successful");
        if let Err(error) = self.objects.put(&test, payload).await {
            panic!("the fake can't write {test}: {error}");
        }
        let mut state = self.state();
        if state.lost_answers > 0 {
            state.lost_answers -= 1;
            return Err(error(
                ServiceErrorKind::Transient,
                "no answer from CloudWatch Logs: connection closed before message completed",
            ));
        }
        Ok(id)
    }

    async fn tasks(
        &self,
        filter: &TaskFilter,
        page: Option<String>,
    ) -> Result<Page<Task>, ServiceError> {
        let now = self.begin(Call::Tasks).await?;
        let mut state = self.state();
        let listed = |task: &&FakeTask| task.created + state.listed_after <= now;
        // Only the last task can be active, and there may be thousands.
        let tasks = match filter {
            TaskFilter::All => &state.tasks[..],
            TaskFilter::Status(status) if status.is_active() => {
                &state.tasks[state.tasks.len().saturating_sub(1)..]
            }
            TaskFilter::Id(id) => {
                let number = id.rsplit('-').next().and_then(|number| number.parse().ok());
                let number: usize = number.unwrap_or(usize::MAX);
                state.tasks.get(number..=number).unwrap_or_default()
            }
            TaskFilter::Status(_) => &state.tasks[..],
        };
        let tasks = tasks.iter().filter(listed).map(|task| task.at(now));
        let page = page_of(tasks.filter(|task| filter.takes(task)), page);
        for told in page.items.iter().filter(|task| !task.status.is_active()) {
            let mut known = state.tasks.iter_mut().rev();
            if let Some(task) = known.find(|task| task.id == told.id) {
                task.told_at.get_or_insert(now);
            }
        }
        Ok(page)
    }
}

#[async_trait]
impl EventService for FakeLogs {
    async fn events(&self, request: &PageRequest) -> Result<EventPage, ServiceError> {
        let now = self.begin(Call::Events).await?;
        let state = self.state();
        let group = state.groups.get(&request.log_group).ok_or_else(no_group)?;
        if group.class != GroupClass::Standard {
            let message = "The log group's class does not support this operation.";
            return Err(error(ServiceErrorKind::Invalid, message));
        }
        let prefix = request.log_stream_prefix.as_deref().unwrap_or_default();
        // Both ends are included.
        let times = request.range.start_ms..=request.range.end_ms;
        let events = group
            .events
            .iter()
            .filter(|event| {
                event.ingested <= now
                    && event.stream.starts_with(prefix)
                    && times.contains(&event.at.timestamp_millis())
            })
            .map(|event| LogEvent {
                id: format!("{:056}", event.id),
                timestamp_ms: event.at.timestamp_millis(),
                log_stream: event.stream.clone(),
                message: event.message.clone(),
            });
        let from = request.token.as_ref().and_then(|token| token.parse().ok());
        let last_before = from.and_then(|from: usize| events.clone().nth(from.checked_sub(1)?));
        let page = page_of(events, request.token.clone());
        let repeated = last_before.filter(|_| state.pages_overlap);
        Ok(EventPage {
            events: repeated.into_iter().chain(page.items).collect(),
            next_token: page.next,
        })
    }
}

fn no_group() -> ServiceError {
    error(
        ServiceErrorKind::NotFound,
        "The specified log group does not exist. (ResourceNotFoundException)",
    )
}
