//! What a run will do, found out without writing anything.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt};
use serde::{Serialize, Serializer};

use super::archive::{KeptExports, is_current};
use super::fingerprint::{answers_fingerprint, archive_fingerprint, source_fingerprint};
use super::history::{AT_ONCE, KnownWindows, read_receipt, readable_state};
use super::lookback::{Backlog, Lookback, left_undone};
use super::queries::{self, PlannedQuery};
use super::settled::{is_at_rest, is_interrupted, is_provisional, needs_reexport};
use super::sources::{Sources, about};
use super::{Environment, Lookups, Output, compare, expectations, schema};
use crate::aws::logs::Origin;
use crate::error::{Error, Result};
use crate::export::arriving::{Arriving, arrival_of, arriving, note_on, without_objects};
use crate::export::staging;
use crate::job::{DefaultWindow, Job, JobSource, Source};
use crate::output::WindowKeys;
use crate::receipt::{Receipt, WindowReport};
use crate::state::WindowState;
use crate::window::{self, Range, Span, TODAY, Unit, Window, is_last_ended};

/// Which windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// The job's default.
    Default,
    /// The one with this id, or `yesterday` or `last`: the last that ended, or `today`: the one that has not.
    Id(String),
    /// From one id to another, both included.
    FromTo(String, String),
    /// Those in the span before now.
    Last(Span),
}

/// What is made of windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// Everything that the job says.
    Answers,
    /// Archives of the exports that are kept, beside the answers that are there.
    Archives,
}

/// What to do again although it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Force {
    /// Nothing: a settled window that is done stays.
    #[default]
    No,
    /// The answers, from the export that was kept.
    Recompute,
    /// The export too.
    Export,
}

/// Which windows a run is to take, and what of them to do again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Which windows.
    pub selection: Selection,
    /// What to do again.
    pub force: Force,
    /// Whether windows that have not ended may be taken.
    pub provisional: bool,
}

/// What a run will do, with everything that was opened and planned to find it out: [`execute`](super::execute()) goes on
/// with it. As JSON, what `plan` prints.
#[derive(Serialize)]
pub struct Plan<'a> {
    /// The job; as JSON its name.
    #[serde(serialize_with = "job_name")]
    pub job: &'a Job,
    /// The log groups; empty if the source does not know its groups.
    pub log_groups: Vec<String>,
    /// The windows, in their order.
    pub windows: Vec<WindowPlan>,
    /// What is expected of the answers, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expectations: Vec<String>,
    /// Which earlier windows are not done by this run or an earlier one, and the commands that do them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_undone: Option<String>,
    /// What a run would note of the objects of its sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Earlier windows that are done, with something to delete.
    #[serde(skip)]
    pub(super) to_tidy: Vec<WindowPlan>,
    /// A hash of everything in the job that decides the answers.
    pub job_sha256: String,
    /// A hash of what in the job decides the events.
    pub source_sha256: String,
    /// What to do again.
    #[serde(skip)]
    pub force: Force,
    /// What is made of the windows.
    #[serde(skip)]
    pub(super) work: Work,
    /// The job's queries, in their order.
    #[serde(skip)]
    pub(super) queries: Vec<PlannedQuery<'a>>,
    /// The lookup tables that the queries read.
    #[serde(skip)]
    pub(super) lookups: Lookups,
    /// Where the answers go.
    #[serde(skip)]
    pub(super) output: Output,
    /// Where the logs come from.
    #[serde(skip)]
    pub(super) sources: Sources<'a>,
}

fn job_name<S: Serializer>(job: &Job, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(job.name.as_str())
}

impl Plan<'_> {
    /// An error (usage) if the job reads existing exports and its path has no object, and (source) if some of its sources
    /// could not be reached. A run finds that out by itself: it lists all objects, and exports those that it reaches. Adds to the
    /// [notes](Self::notes) what a run would note of objects that are there.
    pub async fn ensure_exported(&mut self) -> Result<()> {
        self.sources.ensure_reached()?;
        let windows = self.windows.iter();
        let due = windows.filter(|window| window.action != Action::Skip);
        let due: Vec<&Window> = due.map(|due| &due.window).collect();
        let mut notes = Vec::new();
        for source in self.sources.iter() {
            let ensured = match &source.source.logs {
                Source::Exported { .. } => {
                    let ensured = staging::ensure_any_object(&source.store).await;
                    ensured.map(|()| None)
                }
                logs => match arriving(logs, &source.store) {
                    Some(arriving) => note_on_windows(arriving.as_ref(), &due).await,
                    None => Ok(None),
                },
            };
            let note = ensured.map_err(|error| about(source.source, error))?;
            notes.extend(note.map(|note| match source.source.number {
                None => note,
                Some(_) => format!("{}: {note}", source.source),
            }));
        }
        self.notes = notes;
        Ok(())
    }

    /// The sources, each with its account and Region, if these are known, and its log groups.
    pub fn by_source(&self) -> impl Iterator<Item = (&JobSource, Option<&Origin>, &[String])> {
        let sources = self.sources.iter();
        sources.map(|source| {
            (
                source.source,
                source.origin.as_ref(),
                &source.log_groups[..],
            )
        })
    }
}

/// What is to be noted of the objects of some windows that arrive: that there are none of a window, or that their times can't be right.
async fn note_on_windows(arriving: &dyn Arriving, windows: &[&Window]) -> Result<Option<String>> {
    let ranges: Vec<Range> = windows.iter().map(|window| window.range()).collect();
    let first = ranges.iter().map(|range| range.start_ms).min();
    let end = ranges.iter().map(|range| range.end_ms).max();
    let Some((start_ms, end_ms)) = first.zip(end) else {
        return arriving.last().await.map(|_| None);
    };
    let arrived = arrival_of(arriving, Range { start_ms, end_ms });
    let objects = arriving.arrived(arrived).await?.objects;
    if objects.is_empty() {
        return note_on(arriving, arrived, &objects).await;
    }
    let of_windows = arriving.of_windows(&objects, &ranges);
    let lacking = windows.iter().zip(of_windows);
    let lacking = lacking.filter(|(_, objects)| objects.is_empty());
    let lacking: Vec<String> = lacking.map(|(window, _)| window.id()).collect();
    match lacking.is_empty() {
        true => Ok(arriving.wrong_times(&objects)),
        false => {
            let last = arriving.last().await?;
            Ok(Some(without_objects(arriving, &lacking.join(", "), &last)))
        }
    }
}

/// What a run will do with a window.
#[derive(Debug, Clone, Serialize)]
pub struct WindowPlan {
    /// The window.
    #[serde(skip)]
    pub window: Window,
    /// The window, for people and programs.
    #[serde(flatten)]
    pub report: WindowReport,
    /// What to do.
    pub action: Action,
    /// Everything that will be written, the receipt last.
    pub outputs: Vec<String>,
    /// The receipt of its last run.
    #[serde(skip)]
    pub last: Option<Receipt>,
    /// How often, this time included, it is exported again because the independent count differs.
    #[serde(skip)]
    pub reexports: u32,
    /// True if no lease is held and no clean-up is pending. Only set for windows with a receipt.
    #[serde(skip)]
    pub is_at_rest: bool,
    /// True if nothing but the look back at earlier windows asks for it.
    pub is_looked_back_at: bool,
    /// The events of the same window a week before, of the same source, if they are known and final.
    #[serde(skip)]
    pub week_before: Option<u64>,
}

/// What to do with a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It is settled and done.
    Skip,
    /// Take an export that was made after the window settled, or export, and compute.
    Compute,
    /// Export whatever is there, and compute.
    ExportAndCompute,
}

/// Finds out what a run would do. Reads, writes nothing; the SQL and the charts are checked before any request.
pub async fn plan<'a>(
    environment: &Environment,
    job: &'a Job,
    request: &Request,
) -> Result<Plan<'a>> {
    let now = environment.clock.now();
    let mut windows = select(job, request, now)?;
    let representative = windows.first().map_or(Range::ALL, Window::range);
    let lookups = Lookups::open(environment, job).await?;
    let queries = queries::plan_all(&environment.engine, job, representative, &lookups).await?;

    let output = Output::open(environment, job).await?;
    let sources = Sources::open(environment, job).await?;

    let job_sha256 = answers_fingerprint(job);
    let known = KnownWindows::list(&output, job).await?;
    let planner = WindowPlanner {
        job,
        force: request.force,
        output: &output,
        job_sha256: &job_sha256,
        sources: &sources,
        asks_sources: true,
        done: &known.receipts,
        now,
    };
    let backlog = match (&request.selection, windows.first()) {
        (Selection::Default, Some(first)) => {
            let lookback = Lookback {
                output: &output,
                job,
                job_sha256: &job_sha256,
                known: &known,
                deleted_until: sources.deleted_until().await?,
                sources: Some(&sources),
                now,
            };
            lookback.backlog(first).await?
        }
        _ => Backlog::default(),
    };
    let looked_back = backlog.due.len();
    windows.splice(0..0, backlog.due);
    let mut plans = planner.plan_all(windows).await?;
    for plan in &mut plans[..looked_back] {
        plan.is_looked_back_at = true;
    }
    let to_tidy = planner.plan_all(backlog.to_tidy).await?;
    if plans.iter().any(|plan| plan.action != Action::Skip) {
        schema::refuse_changed(&output, job, &queries, request.force).await?;
    }
    Ok(Plan {
        work: Work::Answers,
        job,
        log_groups: sources.log_groups(),
        expectations: expectations::in_words(job),
        windows: plans,
        left_undone: left_undone(job, &backlog.others),
        notes: Vec::new(),
        to_tidy,
        source_sha256: source_fingerprint(job),
        force: request.force,
        queries,
        lookups,
        sources,
        job_sha256,
        output,
    })
}

/// Finds out which archives are to be made of exports that are kept. Reads, writes nothing.
///
/// # Errors
/// As of [`plan`], and `Usage` for a job without an archive.
pub async fn plan_archives<'a>(
    environment: &Environment,
    job: &'a Job,
    request: &Request,
) -> Result<Plan<'a>> {
    if job.archive.is_none() {
        return Err(Error::usage(format!(
            "the job {} has no archive: expected a section [archive] in {}, such as [archive.columns] with level = \"level(message)\"",
            job.name,
            job.file.name()
        )));
    }
    let now = environment.clock.now();
    let windows = select(job, request, now)?;
    let representative = windows.first().map_or(Range::ALL, Window::range);
    let queries = queries::plan_archive_alone(&environment.engine, job, representative).await?;
    let output = Output::open(environment, job).await?;
    let known = KnownWindows::list(&output, job).await?;
    let done = windows
        .iter()
        .filter(|window| known.receipts.contains(&window.unit()));
    let receipts: Vec<(String, Option<Receipt>)> = futures::stream::iter(done)
        .map(|window| read_receipt_of(&output, window))
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let receipts: HashMap<String, Receipt> = receipts
        .into_iter()
        .filter_map(|(id, receipt)| Some((id, receipt?)))
        .collect();
    let sources = Sources::open_with(environment, job, |source, store| {
        let receipts = receipts.clone();
        Box::new(KeptExports::new(source, store.clone(), receipts))
    });
    let sources = sources.await?;
    let job_sha256 = archive_fingerprint(job);
    let planner = WindowPlanner {
        job,
        force: request.force,
        output: &output,
        job_sha256: &job_sha256,
        sources: &sources,
        asks_sources: false,
        done: &known.receipts,
        now,
    };
    let mut plans = planner.plan_all(windows).await?;
    for plan in &mut plans {
        let last = plan.last.as_ref();
        let is_archived = last.is_some_and(|last| is_current(job, last));
        plan.action = match request.force == Force::No && is_archived {
            true => Action::Skip,
            false => Action::Compute,
        };
        plan.reexports = last.map_or(0, |last| last.reexports);
    }
    if plans.iter().any(|plan| plan.action != Action::Skip) {
        schema::refuse_changed(&output, job, &queries, request.force).await?;
    }
    Ok(Plan {
        work: Work::Archives,
        log_groups: Vec::new(),
        expectations: Vec::new(),
        windows: plans,
        left_undone: None,
        notes: Vec::new(),
        to_tidy: Vec::new(),
        source_sha256: source_fingerprint(job),
        force: request.force,
        queries,
        lookups: Lookups::default(),
        sources,
        job_sha256,
        job,
        output,
    })
}

/// A window's id, and its receipt.
async fn read_receipt_of(output: &Output, window: &Window) -> Result<(String, Option<Receipt>)> {
    Ok((window.id(), read_receipt(output, window).await?))
}

/// Plans single windows.
struct WindowPlanner<'a> {
    job: &'a Job,
    force: Force,
    output: &'a Output,
    job_sha256: &'a str,
    sources: &'a Sources<'a>,
    /// Whether the sources are asked what they have now, and not where exports that are kept are read again.
    asks_sources: bool,
    /// The windows that have a receipt, in order.
    done: &'a [Unit],
    now: DateTime<Utc>,
}

impl WindowPlanner<'_> {
    async fn plan_all(&self, windows: Vec<Window>) -> Result<Vec<WindowPlan>> {
        futures::stream::iter(windows)
            .map(|window| self.plan(window))
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }

    async fn plan(&self, window: Window) -> Result<WindowPlan> {
        let (last, state) = self.earlier_run(&window).await?;
        let provisional = is_provisional(self.job, &window, self.now);
        let reexport = last
            .as_ref()
            .is_some_and(|last| needs_reexport(self.job, last));
        let is_done = self.is_done(last.as_ref(), state.as_ref());
        let lacks_objects = match &last {
            Some(last) if is_done && !provisional && self.asks_sources => {
                self.sources.lack_objects(&window, last).await?
            }
            _ => false,
        };
        let action = match self.force {
            Force::Export => Action::ExportAndCompute,
            Force::No if is_done && !provisional && !reexport && !lacks_objects => Action::Skip,
            _ if provisional || reexport => Action::ExportAndCompute,
            _ => Action::Compute,
        };
        Ok(WindowPlan {
            outputs: self.outputs(&window),
            report: window_report(&window, provisional),
            reexports: match &last {
                Some(last) if reexport => last.reexports + 1,
                _ => 0,
            },
            is_at_rest: match (&last, &state) {
                (Some(receipt), Some(state)) => {
                    is_at_rest(receipt, state, Some(self.sources), self.now)
                }
                _ => true,
            },
            week_before: self.week_before(&window).await?,
            window,
            action,
            last,
            is_looked_back_at: false,
        })
    }

    /// The receipt and the state of a window that is done. A state that can't be read is `None`: the run that takes the
    /// window reports it, and the other windows are not concerned.
    async fn earlier_run(&self, window: &Window) -> Result<(Option<Receipt>, Option<WindowState>)> {
        if !self.done.contains(&window.unit()) {
            return Ok((None, None));
        }
        let state = readable_state(self.output, window);
        futures::future::try_join(read_receipt(self.output, window), state).await
    }

    async fn week_before(&self, window: &Window) -> Result<Option<u64>> {
        let Some(earlier) = compare::week_before(window) else {
            return Ok(None);
        };
        if !self.done.contains(&earlier.unit()) {
            return Ok(None);
        }
        let receipt = read_receipt(self.output, &earlier).await?;
        let comparable = receipt.filter(|receipt| {
            !receipt.window.provisional && compare::other_events(receipt, self.job).is_none()
        });
        Ok(comparable.map(|receipt| receipt.read.events))
    }

    /// Whether the answers of a window are there, final unless late events come, and as this job has them.
    fn is_done(&self, last: Option<&Receipt>, state: Option<&WindowState>) -> bool {
        let (Some(receipt), Some(state)) = (last, state) else {
            return false;
        };
        !receipt.window.provisional
            && receipt.job_sha256 == self.job_sha256
            && self.sources.may_be_of(receipt)
            && !is_interrupted(state, last)
    }

    /// Everything that a run of the window writes, the receipt last.
    fn outputs(&self, window: &Window) -> Vec<String> {
        let (output, job) = (self.output, self.job);
        let newest = self.done.last();
        let is_latest = newest.is_none_or(|newest| *newest <= window.unit());
        WindowKeys::of(&output.keys, job, window, is_latest)
            .patterns()
            .map(|key| output.store.display(key))
            .collect()
    }
}

/// The windows of a request. Errors (usage): a wrong id, a window that has not ended.
pub fn select(job: &Job, request: &Request, now: DateTime<Utc>) -> Result<Vec<Window>> {
    let (size, zone) = (job.window.size, job.timezone);
    let unit = |id: &str| Window::parse(size, zone, id).map(|window| window.unit());
    let windows = match &request.selection {
        Selection::Default => match &job.window.default {
            DefaultWindow::LastEnded => vec![Window::last_ended(size, zone, now)?],
            DefaultWindow::Id(id) => vec![Window::parse(size, zone, id)?],
        },
        Selection::Id(id) if is_last_ended(id) => vec![Window::last_ended(size, zone, now)?],
        Selection::Id(id) if id == TODAY => vec![Window::holding(size, zone, now)?],
        Selection::Id(id) => vec![Window::parse(size, zone, id)?],
        Selection::Last(span) => Window::last_of(size, zone, *span, now)?,
        Selection::FromTo(from, to) => {
            let (first, last): (Unit, Unit) = (unit(from)?, unit(to)?);
            if first > last {
                return Err(window::reversed(from, to));
            }
            Window::list(size, zone, first, last)?
        }
    };
    if let Some(future) = windows.iter().find(|window| now < window.start()) {
        return Err(Error::usage(format!(
            "window {future} begins at {}, which is still to come: expected one that has begun",
            future
                .start()
                .with_timezone(&zone)
                .format("%Y-%m-%d %H:%M %Z")
        )));
    }
    if !request.provisional
        && let Some(running) = windows.iter().find(|window| !window.has_ended(now))
    {
        return Err(Error::usage(format!(
            "window {running} ends at {}, which is still to come: expected one that has ended, or --provisional",
            running
                .end()
                .with_timezone(&zone)
                .format("%Y-%m-%d %H:%M %Z")
        )));
    }
    Ok(windows)
}

fn window_report(window: &Window, provisional: bool) -> WindowReport {
    let local = |at: DateTime<Utc>| {
        at.with_timezone(&window.zone())
            .to_rfc3339_opts(chrono::SecondsFormat::Secs, false)
    };
    WindowReport {
        id: window.id(),
        timezone: window.zone().name().to_owned(),
        start: window.start(),
        end: window.end(),
        start_local: local(window.start()),
        end_local: local(window.end()),
        provisional,
    }
}
