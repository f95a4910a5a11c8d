//! One export task, through the one export slot of an account and Region: record the attempt, wait for the slot,
//! request the task once, poll it, and give up in time.
//!
//! CreateExportTask has no idempotency token. So each attempt has a destination prefix of its own, which is recorded
//! before the request is sent. Where it is unclear whether a task exists, the tasks are searched for that prefix: a
//! task that is found is adopted, and none is requested twice.

use std::ops::ControlFlow;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use object_store::path::Path;

use super::Reuse;
use super::deadline::{Deadline, POLL, SLOT};
use super::refused::refused;
use super::service::{
    ExportService, LogGroup, Origin, ServiceErrorKind, Task, TaskFilter, TaskRequest, TaskStatus,
};
use super::turns::{LOOK, Turns};
use crate::backoff::Backoff;
use crate::error::{Class, Error, Result};
use crate::layout;
use crate::state::{Attempt, AttemptStage, Journal};
use crate::window::Range;

/// How many tasks may fail before the export does.
const MOST_TASKS: u32 = 3;

/// A task that the service does not list this long after it was requested does not exist.
const UNKNOWN_FOR: Duration = Duration::from_secs(300);

/// The most by which clocks that are right differ, or a recorded request and the service's record of it.
const CLOCKS_DIFFER_BY: TimeDelta = TimeDelta::minutes(5);

/// The most by which the clock of a machine is expected to be wrong.
const CLOCKS_ARE_OFF_BY: TimeDelta = TimeDelta::days(1);

/// Status text while the holder of the export slot is unknown.
const BUSY: &str = "the export slot is busy";

/// The export of a log group that is requested.
#[derive(Clone, Copy)]
pub struct TaskSpec<'a> {
    /// The log group.
    pub log_group: &'a LogGroup,
    /// Only the streams whose name begins with this prefix.
    pub log_stream_prefix: Option<&'a str>,
    /// The times that it must cover.
    pub window: Range,
    /// The times to request, up to the present.
    pub padded: Range,
    /// The task's name, shown in the console.
    pub task_name: &'a str,
    /// The bucket to export to.
    pub bucket: &'a str,
    /// What the attempts' prefixes are relative to.
    pub staging: &'a Path,
    /// Makes a prefix that no other attempt has.
    pub new_prefix: &'a (dyn Fn() -> String + Sync),
    /// Which attempts of an earlier run are continued.
    pub reuse: Reuse,
    /// When this run began to export the log group: attempts that were requested since then are its own.
    pub began: DateTime<Utc>,
}

/// Runs export tasks.
pub struct TaskRunner<'a> {
    /// The service.
    pub service: &'a dyn ExportService,
    /// The record of attempts.
    pub journal: &'a dyn Journal,
    /// When to give up.
    pub deadline: &'a Deadline<'a>,
    /// Whose turn it is at the export slot.
    pub turns: &'a Turns,
}

/// The tasks that hold the export slot.
struct SlotHolders {
    tasks: Vec<Task>,
    /// Why they are unknown.
    error: Option<String>,
}

impl SlotHolders {
    /// A status text; `None` where nothing is known.
    fn describe(&self) -> Option<String> {
        match (self.tasks.first(), &self.error) {
            (Some(task), _) => Some(format!("the export slot is held by {}", describe(task))),
            (None, Some(error)) => Some(format!("{BUSY}, and its holder is unknown: {error}")),
            (None, None) => None,
        }
    }
}

/// How a task ended.
enum TaskEnd {
    /// The instant is that of the attempt's request.
    Completed { asked_at: DateTime<Utc> },
    /// Its objects must not be read, for this reason.
    Failed(String),
}

impl TaskSpec<'_> {
    /// The times to request now: none is later than now, and the service refuses an end before the group was created.
    /// The start is kept: agents ship lines that are older than their group.
    fn range_at(&self, now: DateTime<Utc>) -> Range {
        let end = self.padded.end_ms.min(now.timestamp_millis());
        Range {
            start_ms: self.padded.start_ms.max(0),
            end_ms: end.max(self.log_group.created_ms + 1),
        }
    }

    fn new_attempt(&self, now: DateTime<Utc>) -> Attempt {
        Attempt {
            prefix: (self.new_prefix)(),
            staging: None,
            log_group: self.log_group.name.clone(),
            log_stream_prefix: self.log_stream_prefix.map(str::to_owned),
            range: self.range_at(now),
            asked_at: now,
            origin: self.log_group.origin.clone(),
            of_run: None,
            task_id: None,
            stage: AttemptStage::Intended,
        }
    }

    /// Whether the attempt, of this run or an earlier one, exports what this requests.
    fn accepts(&self, attempt: &Attempt) -> bool {
        self.reuse.takes(attempt, self.began)
            && self.is_of_source(attempt)
            && self.window.end_ms.min(attempt.asked_at.timestamp_millis()) <= attempt.range.end_ms
    }

    /// Whether it may do so: if the clock of the machine that recorded it was wrong, its task tells when it was requested.
    fn may_accept(&self, attempt: &Attempt) -> bool {
        let asked_at = attempt.asked_at.checked_add_signed(CLOCKS_ARE_OFF_BY);
        let late = Attempt {
            asked_at: asked_at.unwrap_or(attempt.asked_at),
            ..attempt.clone()
        };
        self.reuse.takes(&late, self.began) && self.is_of_source(attempt)
    }

    fn is_of_source(&self, attempt: &Attempt) -> bool {
        attempt.log_stream_prefix.as_deref() == self.log_stream_prefix
            && Origin::may_be_same(attempt.origin.as_ref(), self.log_group.origin.as_ref())
            && attempt.range.start_ms <= self.window.start_ms.max(0)
    }

    fn destination(&self, attempt: &Attempt) -> String {
        layout::join(self.staging, &attempt.prefix).to_string()
    }

    /// Whether the task is that of the attempt.
    fn is_of(&self, task: &Task, attempt: &Attempt) -> bool {
        task.bucket == self.bucket && task.prefix == self.destination(attempt)
    }

    /// Whether the task is that of the attempt, and exports what this requests.
    fn accepts_task(&self, task: &Task, attempt: &Attempt) -> bool {
        self.is_of(task, attempt) && self.accepts(&as_found(attempt.clone(), task))
    }

    fn task_request(&self, attempt: &Attempt) -> TaskRequest {
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

impl TaskRunner<'_> {
    /// Runs a task, and returns the attempt once its task is COMPLETED. The attempt is not complete yet: its objects
    /// are still to be listed.
    ///
    /// Errors: `ExportLate` after the deadline, `Usage` where the log group or the bucket does not exist, `Source`
    /// where the service refuses or the tasks fail, and those of the journal.
    pub async fn run(&self, spec: &TaskSpec<'_>) -> Result<Attempt> {
        let recorded = self.journal.attempts(&spec.log_group.name).into_iter();
        let mut open: Vec<Attempt> = recorded.filter(|attempt| !attempt.is_over()).collect();
        for failures in 1.. {
            let mut attempt = match self.resume(spec, &mut open).await? {
                Some(attempt) => attempt,
                None => self.ask(spec, &mut open).await?,
            };
            let ended = self.wait_for(spec, &attempt).await?;
            self.deadline.progress();
            let why = match ended {
                TaskEnd::Completed { asked_at } => {
                    attempt.asked_at = asked_at;
                    for other in open {
                        self.abandon(other);
                    }
                    return Ok(attempt);
                }
                TaskEnd::Failed(why) => why,
            };
            self.abandon(attempt);
            if failures == MOST_TASKS {
                return Err(Error::new(
                    Class::Source,
                    format!(
                        "the export of {} failed {MOST_TASKS} times, the last time: {why}",
                        spec.log_group.name
                    ),
                ));
            }
            tracing::warn!(
                log_group = spec.log_group.name,
                "an export failed, asking again: {why}"
            );
            self.deadline.report(&format!("asking again after {why}"));
            self.deadline.wait(SLOT, failures - 1, &why).await?;
        }
        unreachable!("the loop ends with an export or an error")
    }

    /// An open attempt that is acceptable and has a task: one of an earlier run, or one whose answer was lost.
    async fn resume(
        &self,
        spec: &TaskSpec<'_>,
        open: &mut Vec<Attempt>,
    ) -> Result<Option<Attempt>> {
        for at in (0..open.len()).rev() {
            let attempt = &open[at];
            let Some(id) = attempt.task_id.clone().filter(|_| spec.may_accept(attempt)) else {
                continue;
            };
            let is_accepted = match self.task(&id).await? {
                Some(task) => spec.accepts(&as_found(attempt.clone(), &task)),
                None => spec.accepts(attempt),
            };
            if is_accepted {
                self.deadline
                    .report("continuing the export of an earlier run");
                return Ok(Some(open.remove(at)));
            }
        }
        self.adopt(spec, open, |attempt| spec.may_accept(attempt))
            .await
    }

    /// The task with this id; `None` where the service does not list it.
    async fn task(&self, id: &str) -> Result<Option<Task>> {
        let filter = TaskFilter::Id(id.to_owned());
        let page = self
            .deadline
            .retry(|| self.service.tasks(&filter, None))
            .await?
            .map_err(|error| {
                Error::new(
                    Class::Source,
                    format!("could not ask for the export task {id}: {}", error.message),
                )
            })?;
        Ok(page.items.into_iter().next())
    }

    /// Requests a task until one exists. An attempt whose task may or may not exist joins the `open` ones.
    async fn ask(&self, spec: &TaskSpec<'_>, open: &mut Vec<Attempt>) -> Result<Attempt> {
        let accepts = |attempt: &Attempt| spec.accepts(attempt);
        self.deadline.check_not_given_up()?;
        self.let_others_go_first().await?;
        let mut attempt = spec.new_attempt(self.deadline.now());
        self.journal.record(attempt.clone()).await?;
        let mut held = BUSY.to_owned();
        for tries in 0.. {
            let error = match self.service.create(&spec.task_request(&attempt)).await {
                Ok(task_id) => return Ok(self.has_task(attempt, task_id)),
                Err(error) => error,
            };
            let answered = error.as_state();
            if error.kind.leaves_doubt() {
                open.push(attempt);
                self.deadline.report(&answered);
                // Not every server lists a new task at once, so it is searched for twice. Later it would be found as
                // the holder of the slot.
                if let Some(adopted) = self.adopt(spec, open, accepts).await? {
                    return Ok(adopted);
                }
                self.deadline.wait(SLOT, tries, &answered).await?;
                if let Some(adopted) = self.adopt(spec, open, accepts).await? {
                    return Ok(adopted);
                }
                attempt = spec.new_attempt(self.deadline.now());
                self.journal.record(attempt.clone()).await?;
                continue;
            }
            let waiting_for = match error.kind {
                ServiceErrorKind::SlotBusy => {
                    let holders = self.slot_holders().await;
                    let own = |task: &Task| spec.is_of(task, &attempt);
                    if let Some(task) = holders.tasks.iter().find(|task| own(task)) {
                        return Ok(self.adopted(attempt, task));
                    }
                    for at in 0..open.len() {
                        let mut tasks = holders.tasks.iter();
                        if let Some(task) = tasks.find(|task| spec.accepts_task(task, &open[at])) {
                            self.abandon(attempt);
                            return Ok(self.adopted(open.remove(at), task));
                        }
                    }
                    for task in &holders.tasks {
                        self.turns.saw(task, self.deadline.elapsed());
                    }
                    // The last known holder is kept where the service no longer reports one.
                    if let Some(now_held) = holders.describe().filter(|now_held| *now_held != held)
                    {
                        if holders.tasks.is_empty() {
                            tracing::warn!(log_group = spec.log_group.name, "{now_held}");
                        }
                        held = now_held;
                    }
                    held.clone()
                }
                ServiceErrorKind::Throttled if held == BUSY => answered,
                ServiceErrorKind::Throttled => format!("{answered}; before that, {held}"),
                _ => {
                    self.abandon(attempt.clone());
                    return Err(refused(&error, spec));
                }
            };
            self.deadline.report(&waiting_for);
            // The slot may have been held by the task whose answer was lost, which was listed late and has ended since.
            let adopted = match self
                .deadline
                .wait(self.turns.between_requests(), tries, &waiting_for)
                .await
            {
                Ok(()) => self.adopt(spec, open, accepts).await,
                Err(late) => Err(late),
            };
            if let Some(ended) = adopted.transpose() {
                self.abandon(attempt);
                return ended;
            }
            attempt.asked_at = self.deadline.now();
            attempt.range = spec.range_at(attempt.asked_at);
            self.journal.record(attempt.clone()).await?;
        }
        unreachable!("the loop ends with a task or at the deadline")
    }

    /// Leaves the slot to other callers while it is their turn, as far as there is time.
    async fn let_others_go_first(&self) -> Result<()> {
        let mut free_since = None;
        let mut waiting_for = "the export slot was left to other jobs".to_owned();
        let mut leave_free_for = self.turns.leave_free_for(self.deadline.elapsed());
        while let Some(free_for) = leave_free_for.filter(|time| *time < self.deadline.left()) {
            let holders = self.slot_holders().await;
            let now = self.deadline.elapsed();
            match holders.tasks.first() {
                Some(task) => {
                    free_since = None;
                    self.turns.saw(task, now);
                    leave_free_for = self.turns.leave_free_for(now);
                    waiting_for = format!("the export slot is held by {}", describe(task));
                }
                None if now - *free_since.get_or_insert(now) >= free_for => {
                    self.turns.are_alone();
                    return Ok(());
                }
                None => {}
            }
            let look = Backoff {
                first: LOOK.first.min(free_for),
                ..LOOK
            };
            self.deadline.report(&waiting_for);
            self.deadline.wait(look, 0, &waiting_for).await?;
        }
        Ok(())
    }

    /// Searches the tasks for one of an open attempt that is acceptable, among the attempts that `may_do`.
    async fn adopt(
        &self,
        spec: &TaskSpec<'_>,
        open: &mut Vec<Attempt>,
        may_do: impl Fn(&Attempt) -> bool + Send + Sync,
    ) -> Result<Option<Attempt>> {
        let wanted = |attempt: &Attempt| attempt.stage == AttemptStage::Intended && may_do(attempt);
        if !open.iter().any(wanted) {
            return Ok(None);
        }
        self.deadline
            .report("searching for a task that may have been requested");
        let mut found = None;
        let looked = self
            .deadline
            .pages(
                |page| self.service.tasks(&TaskFilter::All, page),
                |tasks| {
                    found = tasks.into_iter().find_map(|task| {
                        let at = open.iter().position(|attempt| {
                            wanted(attempt) && spec.accepts_task(&task, attempt)
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
                    "could not search for an export task of {} that may have been requested: {}",
                    spec.log_group.name, error.message
                ),
            )
        })?;
        match found {
            Some((at, task)) => Ok(Some(self.adopted(open.remove(at), &task))),
            None => Ok(None),
        }
    }

    fn adopted(&self, attempt: Attempt, task: &Task) -> Attempt {
        tracing::info!(
            log_group = attempt.log_group,
            task = task.id,
            "adopting an export task whose answer was lost"
        );
        self.has_task(as_found(attempt, task), task.id.clone())
    }

    /// Notes the attempt's task. A run that is killed before that is durable leaves a task that is found by its prefix.
    fn has_task(&self, mut attempt: Attempt, task_id: String) -> Attempt {
        attempt.task_id = Some(task_id);
        attempt.stage = AttemptStage::Asked;
        self.journal.note(attempt.clone());
        self.deadline.progress();
        self.turns.took(self.deadline.elapsed());
        attempt
    }

    fn abandon(&self, mut attempt: Attempt) {
        attempt.stage = AttemptStage::Abandoned;
        self.journal.note(attempt);
    }

    /// The tasks that hold the export slot, of any caller, as far as the service reports them.
    async fn slot_holders(&self) -> SlotHolders {
        let mut tasks = Vec::new();
        for status in TaskStatus::ACTIVE {
            let filter = TaskFilter::Status(status);
            let listed = self
                .deadline
                .pages(
                    |page| self.service.tasks(&filter, page),
                    |listed| {
                        tasks.extend(listed);
                        ControlFlow::Continue(())
                    },
                )
                .await;
            let error = match listed {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => Some(error.message),
                // The wait for the slot ends too, with an error of its own.
                Err(_late) => None,
            };
            return SlotHolders { tasks, error };
        }
        SlotHolders { tasks, error: None }
    }

    async fn wait_for(&self, spec: &TaskSpec<'_>, attempt: &Attempt) -> Result<TaskEnd> {
        let id = attempt.task_id.clone().unwrap_or_default();
        let began = self.deadline.elapsed();
        for polls in 0.. {
            let task = self.task(&id).await?;
            let state = match &task {
                Some(task) if !spec.is_of(task, attempt) => {
                    return Ok(TaskEnd::Failed(format!(
                        "task {id} exports to s3://{}/{}, not to s3://{}/{}",
                        task.bucket,
                        task.prefix,
                        spec.bucket,
                        spec.destination(attempt)
                    )));
                }
                Some(task) => match task.status {
                    TaskStatus::Completed => {
                        let asked_at = requested_at(attempt, task);
                        return Ok(TaskEnd::Completed { asked_at });
                    }
                    TaskStatus::Failed | TaskStatus::Cancelled => {
                        return Ok(TaskEnd::Failed(describe(task)));
                    }
                    status => status.as_str(),
                },
                // Not every server lists a new task at once.
                None if self.deadline.elapsed() - began < UNKNOWN_FOR => {
                    "not yet known to the service"
                }
                None => {
                    return Ok(TaskEnd::Failed(format!(
                        "task {id} is unknown to the service"
                    )));
                }
            };
            self.deadline.report(state);
            let waiting_for = format!("task {id} was still {state}");
            self.deadline.wait(POLL, polls, &waiting_for).await?;
        }
        unreachable!("the loop ends with the task or at the deadline")
    }
}

/// The attempt with what its task was requested for. A task may be that of an earlier request than the last one
/// recorded, and then covers the times of that request only.
fn as_found(mut attempt: Attempt, task: &Task) -> Attempt {
    attempt.asked_at = requested_at(&attempt, task);
    if let Some(range) = task.range.filter(|range| *range != attempt.range) {
        attempt.range = range;
        // Requests ask for different times only while these end with the present.
        let asked_at = DateTime::from_timestamp_millis(range.end_ms).unwrap_or(attempt.asked_at);
        if attempt.asked_at - asked_at <= CLOCKS_DIFFER_BY * 2 {
            attempt.asked_at = attempt.asked_at.min(asked_at);
        }
    }
    attempt
}

/// When the attempt's task was requested: as it is recorded, or by the service's clock where the two differ by more than
/// clocks that are right do. Then the task is that of an earlier request, or the clock of the machine that recorded the
/// attempt is wrong; the service's is the same for all machines.
fn requested_at(attempt: &Attempt, task: &Task) -> DateTime<Utc> {
    match task.created {
        Some(created) if (created - attempt.asked_at).abs() > CLOCKS_DIFFER_BY => created,
        _ => attempt.asked_at,
    }
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

#[cfg(test)]
mod tests;
