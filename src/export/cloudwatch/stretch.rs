//! One export task for several windows in a row, where a backfill would take the export slot once for each of them.
//!
//! A task takes minutes whatever it is of, and an account and Region have one at a time. So the first window of a log group
//! that needs an export has it made for the windows behind it too, as far as these need one. The others take it from the
//! staging location. Which events are a window's is decided by their time when they are read, as ever.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use object_store::path::Path;
use tokio::sync::OnceCell;

use super::completeness::deleted_until;
use super::task_objects::SETTLES_IN;
use super::via::{estimated_bytes, exportable_until};
use super::{CloudWatchExporter, LONGEST_PREFIX, joined, new_attempt, task_name};
use crate::aws::logs::Origin;
use crate::error::{Class, Error, Result};
use crate::export::deadline::Deadline;
use crate::export::service::LogGroup;
use crate::export::staging::stretches::{
    StretchAttempt, StretchExport, StretchJournal, StretchRecord, USED_WITHIN, attempts_in,
    windows_of,
};
use crate::export::staging::{self, Manifest};
use crate::export::task::{TaskRunner, TaskSpec};
use crate::export::{Ahead, ExportRequest, ExportedGroup, Reuse};
use crate::job::Via;
use crate::layout::{self, StagingKeys};
use crate::state::{Attempt, AttemptStage, Journal};
use crate::window::{Range, Window};

/// A task of more is expected to take hours, in which no other job gets the slot, and what it has done is lost where it
/// fails.
const MOST_BYTES: f64 = 200e9;

/// Windows that retention is about to reach are exported alone, so that a queue in front of the slot takes nothing of them
/// unseen.
const BEFORE_RETENTION: TimeDelta = TimeDelta::days(1);

/// What a run has found out about exports of several windows.
#[derive(Default)]
pub(super) struct Stretches {
    /// The stretches in the staging location when the run began, by their ids.
    found: OnceCell<Vec<String>>,
    /// For windows ahead, the log groups that have a usable export.
    exported_ahead: Mutex<HashMap<String, Arc<HashSet<String>>>>,
    /// The exports that this run requested, by log group. They are newer than every window's end and settling time, so that
    /// each window takes them. One of an earlier run that was continued is judged for each window.
    made: Mutex<HashMap<String, Vec<Made>>>,
    /// The log groups of which a task for several windows failed: their windows are exported one by one.
    failed: Mutex<HashSet<String>>,
}

#[derive(Clone)]
struct Made {
    windows: Range,
    prefix: Path,
}

impl Stretches {
    /// Notes an export of this run, and forgets those whose windows are over: windows come in order.
    fn remember(&self, log_group: &str, new: Made, window: &Window) {
        let mut made = lock(&self.made);
        let of_group = made.entry(log_group.to_owned()).or_default();
        of_group.retain(|made| made.windows.end_ms > window.range().start_ms);
        of_group.push(new);
    }
}

/// Windows in a row.
struct Stretch {
    id: String,
    windows: Range,
}

impl Stretch {
    fn of(first: &Window, last: &Window) -> Self {
        Self {
            id: layout::stretch_id(&first.id(), &last.id()),
            windows: Range {
                start_ms: first.range().start_ms,
                end_ms: last.range().end_ms,
            },
        }
    }
}

/// The record of no attempts: that of a window that is not held.
struct NotHeld;

#[async_trait::async_trait]
impl Journal for NotHeld {
    fn attempts(&self, _log_group: &str) -> Vec<Attempt> {
        Vec::new()
    }

    async fn record(&self, _attempt: Attempt) -> Result<()> {
        Err(Error::new(Class::Unexpected, "a window ahead is not held"))
    }

    fn note(&self, _attempt: Attempt) {}
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether CloudWatch takes the prefix of an attempt at the stretch, which is longer than that of a window.
fn fits(group: &LogGroup, request: &ExportRequest<'_>, stretch: &Stretch) -> bool {
    let id = staging::new_attempt_id();
    let attempt = request.keys.attempt(&stretch.id, &group.name, &id);
    attempt.as_ref().len() <= LONGEST_PREFIX
}

fn has(windows: Range, window: &Window) -> bool {
    let own = window.range();
    windows.start_ms <= own.start_ms && own.end_ms <= windows.end_ms
}

impl CloudWatchExporter {
    /// Exports the window as a part of an export of several: one that is under way, or a new one where the windows ahead need
    /// one too. `None` where the window is to be exported alone. There is none that is [`shared`](Self::shared), and it is
    /// this source's turn at the slot. `for_slot` is the deadline until a task has begun.
    pub(super) async fn export_stretch(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        for_slot: &Deadline<'_>,
        deadline: &Deadline<'_>,
    ) -> Result<Option<ExportedGroup>> {
        let began = self.clock.now();
        // A killed run has begun to export the window alone.
        if self.open_tasks(group, request, began).next().is_some() {
            return Ok(None);
        }
        let open = self.open_attempts(group, request, began).await?;
        let stretch = match self.stretch_from(group, request, &open).await? {
            Some(stretch) => stretch,
            None if open.is_empty() => return Ok(None),
            None => Stretch::of(request.window, request.window),
        };
        if !fits(group, request, &stretch) {
            return Ok(None);
        }
        let of_run = match request.reuse {
            Reuse::OfRun(run) => Some(run),
            Reuse::Nothing | Reuse::Since(_) => None,
        };
        let (store, of_window) = (&self.staging, request.journal);
        let journal = StretchJournal::new(store, of_window, stretch.windows, of_run, open);
        let mut ended = self
            .run_stretch(group, request, (&stretch, &journal), began, for_slot)
            .await;
        let is_asked = |attempt: &Attempt| attempt.stage == AttemptStage::Asked;
        if let Err(late) = &ended
            && late.class() == Class::ExportLate
            && journal.attempts(&group.name).iter().any(is_asked)
        {
            ended = self
                .run_stretch(group, request, (&stretch, &journal), began, deadline)
                .await;
        }
        let attempt = match ended {
            Ok(attempt) => attempt,
            Err(error) if error.class() == Class::Source => {
                tracing::warn!(
                    log_group = group.name,
                    "exporting windows one by one: {error}"
                );
                lock(&self.stretches.failed).insert(group.name.clone());
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        // The time for the slot has been another one.
        deadline.progress();
        let windows = journal.windows_of(&attempt);
        let is_own = journal.is_own(&attempt);
        let export = self
            .complete_stretch(group, request, attempt, windows, deadline)
            .await?;
        if is_own {
            let prefix = export.prefix.clone();
            let made = Made { windows, prefix };
            self.stretches.remember(&group.name, made, request.window);
        }
        let part = self.take_part(group, request, &export, false, deadline);
        part.await.map(Some)
    }

    /// The window's part of a complete export of several windows, if there is one that is used again.
    pub(super) async fn shared(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        deadline: &Deadline<'_>,
    ) -> Result<Option<ExportedGroup>> {
        let attempts = request.journal.attempts(&group.name).into_iter();
        // It turned out to lack events of this window, or the window's run could not tell.
        let refused: HashSet<String> = attempts
            .filter(|attempt| attempt.stage == AttemptStage::Abandoned)
            .filter_map(|attempt| attempt.task_id)
            .collect();
        let is_usable = |export: &StretchExport| {
            !refused.contains(&export.manifest.task_id)
                && export.manifest.log_stream_prefix == self.settings.log_stream_prefix
                && Origin::may_be_same(group.origin.as_ref(), export.manifest.origin.as_ref())
        };
        let made = lock(&self.stretches.made).get(&group.name).cloned();
        for made in made.into_iter().flatten().rev() {
            if has(made.windows, request.window)
                && let Some(export) = StretchExport::load(&self.staging, &made.prefix).await?
                && is_usable(&export)
            {
                let part = self.take_part(group, request, &export, false, deadline);
                return part.await.map(Some);
            }
        }
        let (Reuse::Since(since) | Reuse::OfRun(since)) = request.reuse else {
            return Ok(None);
        };
        for earlier in self
            .earlier_attempts(request.keys, group, request.window)
            .await?
        {
            if earlier.is_complete
                && let Some(export) = StretchExport::load(&self.staging, &earlier.prefix).await?
                && is_usable(&export)
            {
                let attempt = Attempt {
                    asked_at: export.manifest.as_of,
                    ..earlier.record.attempt
                };
                if request.reuse.takes(&attempt, since) {
                    let part = self.take_part(group, request, &export, true, deadline);
                    return part.await.map(Some);
                }
            }
        }
        Ok(None)
    }

    /// As [`super::LogExporter::check_without_events`].
    pub(super) async fn check_stretch_without_events(
        &self,
        request: &ExportRequest<'_>,
        exported: &ExportedGroup,
    ) -> Result<Option<String>> {
        let name = exported.log_group.as_deref().unwrap_or_default();
        let Some(stretch) = &exported.stretch else {
            return Ok(None);
        };
        // An export without any object was checked when it was made.
        if exported.objects.is_empty() || exported.outlives {
            return Ok(None);
        }
        // Its events may be in the objects whose keys can't be read, of which the receipt has a note.
        let export = StretchExport::load(&self.staging, stretch).await?;
        if export.is_some_and(|export| export.manifest.note.is_some()) {
            return Ok(None);
        }
        let report = |state: &str| tracing::warn!("checking an export without events: {state}");
        let groups = self.log_groups(&report).await?;
        let Some(group) = groups.iter().find(|group| group.name == name) else {
            return Ok(None);
        };
        let prefix = request.keys.relative(&exported.prefix);
        let mut attempts = request.journal.attempts(name).into_iter();
        let Some(attempt) = attempts.find(|attempt| attempt.prefix == prefix) else {
            return Ok(None);
        };
        let deadline = self.deadline(format!("the export of {name}"), &report);
        let checked = self
            .check_completeness(group, request, &attempt, true, &deadline)
            .await;
        if checked.is_err() {
            // The next run exports the window again.
            let manifest = layout::manifest(&exported.prefix);
            self.staging.delete(&manifest).await?;
        }
        checked.map(|note| note.filter(|note| !exported.notes.contains(note)))
    }

    /// The stretch from the window over those ahead that need an export too; `None` where the window is alone. It is requested
    /// where none of the `open` attempts turns out to have a task.
    async fn stretch_from(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        open: &[StretchRecord],
    ) -> Result<Option<Stretch>> {
        let first = request.window;
        if lock(&self.stretches.failed).contains(&group.name) || !self.may_share(group, first) {
            return Ok(None);
        }
        let mut last = None;
        for ahead in request.ahead {
            let stretch = Stretch::of(first, &ahead.window);
            let bytes = estimated_bytes(group, stretch.windows, self.clock.now());
            if !self.may_share(group, &ahead.window)
                || bytes > MOST_BYTES
                || !fits(group, request, &stretch)
                || self.is_exported(group, request, ahead).await?
                || self.is_in_stretch(group, request, ahead, open).await?
            {
                break;
            }
            last = Some(stretch);
        }
        Ok(last)
    }

    /// Whether an export may be of the window among others.
    fn may_share(&self, group: &LogGroup, window: &Window) -> bool {
        let now = self.clock.now();
        let is_kept = deleted_until(group, now).is_none_or(|until| {
            let until = until.checked_add_signed(BEFORE_RETENTION);
            until.is_some_and(|until| until <= window.start())
        });
        let range = window.range();
        // With "auto", what is too fresh for a task is fetched, window by window.
        is_kept && (self.settings.via != Via::Auto || exportable_until(range, now) == range.end_ms)
    }

    /// Whether a window ahead has an export of the log group that its run will use.
    async fn is_exported(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        ahead: &Ahead,
    ) -> Result<bool> {
        let id = ahead.window.id();
        if let Some(known) = lock(&self.stretches.exported_ahead).get(&id) {
            return Ok(known.contains(&group.name));
        }
        let of_window = ExportRequest {
            window: &ahead.window,
            reuse: ahead.reuse,
            journal: &NotHeld,
            ahead: &[],
            ..*request
        };
        let origin = group.origin.as_ref();
        let is_of_source = |manifest: &Manifest| self.is_of_source(origin, manifest);
        let found = staging::newest_exports(&self.staging, &of_window, is_of_source).await?;
        let usable = found
            .into_iter()
            .filter(|(_, group)| of_window.accepts(group));
        let usable: Arc<HashSet<String>> = Arc::new(usable.map(|(group, _)| group).collect());
        let is_exported = usable.contains(&group.name);
        lock(&self.stretches.exported_ahead).insert(id, usable);
        Ok(is_exported)
    }

    /// Whether a window ahead is in an export of several windows that an earlier run made, or that is under way and is none of
    /// the `open` ones.
    async fn is_in_stretch(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        ahead: &Ahead,
        open: &[StretchRecord],
    ) -> Result<bool> {
        let Reuse::Since(since) = ahead.reuse else {
            return Ok(false);
        };
        let keys = request.keys;
        let attempts = self.earlier_attempts(keys, group, &ahead.window).await?;
        let now = self.clock.now();
        Ok(attempts.iter().any(|earlier| {
            let attempt = &earlier.record.attempt;
            let is_open = open
                .iter()
                .any(|record| record.attempt.prefix == attempt.prefix);
            let may_end = earlier.is_complete || now - attempt.asked_at < USED_WITHIN;
            may_end && !is_open && self.is_of_streams(attempt) && ahead.reuse.takes(attempt, since)
        }))
    }

    /// Whether an attempt is at the streams that the source exports.
    fn is_of_streams(&self, attempt: &Attempt) -> bool {
        attempt.log_stream_prefix == self.settings.log_stream_prefix
    }

    /// The attempts of earlier runs at stretches that the window is in, the newest first. Another account or Region may have
    /// log groups of the same names, and its exports in the same folders.
    async fn earlier_attempts(
        &self,
        keys: &StagingKeys,
        group: &LogGroup,
        window: &Window,
    ) -> Result<Vec<StretchAttempt>> {
        let find = || self.find_stretches(keys);
        let found = self.stretches.found.get_or_try_init(find).await?;
        let mut attempts = Vec::new();
        for id in found {
            let windows = windows_of(window.zone(), id);
            if windows.iter().any(|own| own.range() == window.range()) {
                let folder = keys.of_group(id, &group.name);
                let there = attempts_in(&self.staging, &folder).await?;
                attempts.extend(there.into_iter().filter(|attempt| {
                    let StretchRecord { windows, attempt } = &attempt.record;
                    has(*windows, window)
                        && attempt.log_group == group.name
                        && Origin::may_be_same(group.origin.as_ref(), attempt.origin.as_ref())
                }));
            }
        }
        attempts.sort_by_key(|attempt| std::cmp::Reverse(attempt.record.attempt.asked_at));
        Ok(attempts)
    }

    /// The stretches that have a folder in the staging location, by their ids.
    async fn find_stretches(&self, keys: &StagingKeys) -> Result<Vec<String>> {
        let mut folders = self.staging.folders_in(&keys.of_job()).await?;
        folders.retain(|id| layout::parse_stretch_id(id).is_some());
        Ok(folders)
    }

    /// The attempts of other runs that this one continues, in their order. Their tasks may be under way, or done. What has
    /// not ended within a day is an attempt of the window that is over, so that its run deletes what was written.
    async fn open_attempts(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        began: DateTime<Utc>,
    ) -> Result<Vec<StretchRecord>> {
        let attempts = self.earlier_attempts(request.keys, group, request.window);
        let mut open = Vec::new();
        for StretchAttempt {
            record,
            is_complete,
            ..
        } in attempts.await?.into_iter().rev()
        {
            if is_complete {
                continue;
            }
            if began - record.attempt.asked_at >= USED_WITHIN {
                request.journal.note(Attempt {
                    stage: AttemptStage::Abandoned,
                    ..record.attempt
                });
            } else if self.is_of_streams(&record.attempt)
                && request.reuse.takes(&record.attempt, began)
            {
                open.push(record);
            }
        }
        Ok(open)
    }

    async fn run_stretch(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        (stretch, journal): (&Stretch, &StretchJournal<'_>),
        began: DateTime<Utc>,
        deadline: &Deadline<'_>,
    ) -> Result<Attempt> {
        let new_prefix = || {
            let id = staging::new_attempt_id();
            let attempt = request.keys.attempt(&stretch.id, &group.name, &id);
            request.keys.relative(&attempt)
        };
        let spec = TaskSpec {
            log_group: group,
            log_stream_prefix: self.settings.log_stream_prefix.as_deref(),
            window: request.window.range(),
            padded: stretch
                .windows
                .padded(self.settings.pad, self.settings.pad_after),
            task_name: &task_name(request, &stretch.id, group),
            bucket: &self.bucket,
            staging: self.staging.root(),
            new_prefix: &new_prefix,
            reuse: request.reuse,
            began,
            // Its windows are exported one by one then.
            most_tasks: 1,
        };
        let runner = TaskRunner {
            service: self.service.as_ref(),
            journal,
            deadline,
            turns: &self.slot.turns,
        };
        runner.run(&spec).await
    }

    /// Lists the objects of the attempt's task once all of them appear, and completes the attempt.
    async fn complete_stretch(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        attempt: Attempt,
        windows: Range,
        deadline: &Deadline<'_>,
    ) -> Result<StretchExport> {
        self.clock.sleep(SETTLES_IN).await;
        let (objects, unread) = self
            .task_objects(group, request, &attempt, deadline)
            .await?;
        let prefix = layout::join(self.staging.root(), &attempt.prefix);
        let folder = layout::parent(&layout::parent(&prefix));
        let id = folder.filename().unwrap_or_default().to_owned();
        let task_id = attempt.task_id.as_deref().unwrap_or_default();
        let (range, asked_at) = (attempt.range, attempt.asked_at);
        let manifest = Manifest {
            log_stream_prefix: attempt.log_stream_prefix.clone(),
            task_range: Some(range),
            origin: attempt.origin.clone(),
            note: unread,
            ..Manifest::of(&group.name, id, windows, range, task_id, asked_at)
        };
        StretchExport::complete(&self.staging, &prefix, manifest, objects).await
    }

    /// Makes the export of several windows that of this window too: an attempt of its own, whose manifest names it.
    async fn take_part(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        export: &StretchExport,
        reused: bool,
        deadline: &Deadline<'_>,
    ) -> Result<ExportedGroup> {
        let prefix = new_attempt(group, request);
        let stretch = request.keys.relative_to_job(&export.prefix);
        let shared = &export.manifest;
        let attempt = Attempt {
            prefix: request.keys.relative(&prefix),
            staging: None,
            log_group: group.name.clone(),
            log_stream_prefix: shared.log_stream_prefix.clone(),
            range: shared.range,
            asked_at: shared.as_of,
            origin: shared.origin.clone(),
            of_run: None,
            task_id: Some(shared.task_id.clone()),
            stretch: Some(stretch.clone()),
            // There is no task to wait for.
            stage: AttemptStage::Complete,
        };
        request.journal.record(attempt.clone()).await?;
        let is_empty = export.objects.is_empty() && shared.note.is_none();
        let note = self
            .check_completeness(group, request, &attempt, is_empty, deadline)
            .await?;
        let (range, as_of) = (shared.range, shared.as_of);
        let manifest = Manifest {
            log_stream_prefix: shared.log_stream_prefix.clone(),
            task_range: shared.task_range,
            origin: shared.origin.clone(),
            note: joined([note, shared.note.clone(), None]),
            stretch: Some(stretch),
            ..Manifest::new(&group.name, request.window, range, &shared.task_id, as_of)
        };
        let objects = export.objects.clone();
        let part = staging::complete(&self.staging, &prefix, manifest, objects).await?;
        Ok(ExportedGroup { reused, ..part })
    }
}
