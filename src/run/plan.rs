//! What a run will do, found out without writing anything.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::fingerprint::{answers_fingerprint, source_fingerprint};
use super::history::{done_windows, read_receipt, read_state};
use super::settled::{is_provisional, is_published};
use super::{Environment, Output, clean, exporter, question, schema, source_store};
use crate::error::{Class, Error, Result};
use crate::job::{DefaultWindow, Job};
use crate::output::WindowKeys;
use crate::receipt::{Receipt, WindowReport};
use crate::window::{self, Range, Span, Unit, Window, is_last_ended};

/// Which windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// The job's default.
    Default,
    /// The one with this id, or `yesterday` or `last`: the last that ended.
    Id(String),
    /// From one id to another, both included.
    FromTo(String, String),
    /// Those in the span before now.
    Last(Span),
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

/// What a person asks for on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Which windows.
    pub selection: Selection,
    /// What to do again.
    pub force: Force,
    /// Whether windows that have not ended may be taken.
    pub provisional: bool,
}

/// What a run will do.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// The job's name.
    pub job: String,
    /// The log groups; empty where the source does not tell them.
    pub log_groups: Vec<String>,
    /// The windows, in their order.
    pub windows: Vec<WindowPlan>,
    /// A hash of everything in the job that decides the answers.
    pub job_sha256: String,
    /// A hash of what in the job decides the events.
    pub source_sha256: String,
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
    /// What the last run of it said.
    #[serde(skip)]
    pub last: Option<Receipt>,
    /// How often, this time included, it is exported anew because an independent count differs.
    #[serde(skip)]
    pub redos: u32,
    /// Whether nobody is at it, and whoever was has tidied up, with nothing left that is to be deleted. Told of windows
    /// that have a receipt.
    #[serde(skip)]
    pub is_at_rest: bool,
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

/// Finds out what a run would do. Reads, writes nothing; the SQL and the charts are checked before anything remote is
/// asked for.
pub async fn plan(environment: &Environment, job: &Job, request: &Request) -> Result<Plan> {
    let now = environment.clock.now();
    let mut windows = select(job, request, now)?;
    let representative = windows.first().map_or(Range::ALL, Window::range);
    let schemas = question::check_all(&environment.engine, job, representative).await?;

    let output = Output::open(environment, job).await?;
    let log_groups = exporter(environment, job).await?.groups().await?;
    let staging = source_store(environment, job).await?;
    let job_sha256 = answers_fingerprint(job);
    let done = done_windows(&output, job).await?;
    let newest_done = done.last().copied();
    if request.selection == Selection::Default {
        let earlier = settled_since(&output, job, &windows, &done, now).await?;
        windows.splice(0..0, earlier);
    }

    let mut plans = Vec::with_capacity(windows.len());
    for window in windows {
        let (last, state) = match done.contains(&window.unit()) {
            true => {
                let state = async {
                    match read_state(&output, &window).await {
                        // Whoever takes the window says so; the others have nothing to do with it.
                        Err(error) if error.class() == Class::Damaged => Ok(None),
                        state => state.map(|state| Some(state.unwrap_or_default())),
                    }
                };
                futures::future::try_join(read_receipt(&output, &window), state).await?
            }
            false => (None, None),
        };
        // A run that has not come as far as its receipt may have replaced some of what the last one lists.
        let is_interrupted = state
            .as_ref()
            .and_then(|state| state.unfinished.as_ref())
            .is_some_and(|unfinished| !is_published(unfinished, last.as_ref()));
        let is_at_rest = match (&state, &last) {
            (Some(state), Some(last)) => {
                state.lease.is_none()
                    && state.unfinished.is_none()
                    && clean::unneeded(state, &staging, last, now).next().is_none()
            }
            _ => true,
        };
        let provisional = is_provisional(job, &window, now);
        let is_done = last
            .as_ref()
            .is_some_and(|last| !last.window.provisional && last.job_sha256 == job_sha256)
            && state.is_some()
            && !is_interrupted;
        let is_redo = last.as_ref().is_some_and(|last| wants_redo(job, last));
        let action = match request.force {
            Force::Export => Action::ExportAndCompute,
            Force::No if is_done && !provisional && !is_redo => Action::Skip,
            _ if provisional || is_redo => Action::ExportAndCompute,
            _ => Action::Compute,
        };
        let is_latest = newest_done.is_none_or(|newest| newest <= window.unit());
        plans.push(WindowPlan {
            outputs: WindowKeys::of(&output.keys, job, &window, is_latest)
                .patterns()
                .map(|key| output.store.display(key))
                .collect(),
            report: window_report(&window, provisional),
            redos: match &last {
                Some(last) if is_redo => last.redos + 1,
                _ => 0,
            },
            is_at_rest,
            window,
            action,
            last,
        });
    }
    if plans.iter().any(|plan| plan.action != Action::Skip) {
        schema::refuse_changed(&output, job, &schemas, request.force).await?;
    }
    Ok(Plan {
        job: job.name.to_string(),
        log_groups,
        windows: plans,
        job_sha256,
        source_sha256: source_fingerprint(job),
    })
}

/// The windows that the request means. Errors (usage): an id that is none, a window that has not ended.
pub fn select(job: &Job, request: &Request, now: DateTime<Utc>) -> Result<Vec<Window>> {
    let (size, zone) = (job.window.size, job.timezone);
    let unit = |id: &str| Window::parse(size, zone, id).map(|window| window.unit());
    let windows = match &request.selection {
        Selection::Default => match &job.window.default {
            DefaultWindow::LastEnded => vec![Window::last_ended(size, zone, now)?],
            DefaultWindow::Id(id) => vec![Window::parse(size, zone, id)?],
        },
        Selection::Id(id) if is_last_ended(id) => vec![Window::last_ended(size, zone, now)?],
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

/// Of the job's `lookback` last windows that have settled, before those of the run, the ones whose answers are provisional
/// all the same, or disputed.
async fn settled_since(
    output: &Output,
    job: &Job,
    windows: &[Window],
    done: &[Unit],
    now: DateTime<Utc>,
) -> Result<Vec<Window>> {
    let (size, zone) = (job.window.size, job.timezone);
    let (Some(first), Some(oldest)) = (windows.first(), done.first()) else {
        return Ok(Vec::new());
    };
    let settled = std::iter::successors(first.unit().step(size, -1), |unit| unit.step(size, -1))
        .take_while(|unit| oldest <= unit)
        // A zone may have skipped one.
        .filter_map(|unit| Window::new(size, zone, unit).ok())
        .skip_while(|window| is_provisional(job, window, now))
        .take(job.window.lookback as usize);
    let mut earlier = Vec::new();
    for window in settled.filter(|window| done.binary_search(&window.unit()).is_ok()) {
        let is_wanting = read_receipt(output, &window)
            .await?
            .is_some_and(|receipt| receipt.window.provisional || wants_redo(job, &receipt));
        if is_wanting {
            earlier.push(window);
        }
    }
    earlier.reverse();
    Ok(earlier)
}

/// Whether an independent count differs and another export may still help: at most as often as the job looks back.
fn wants_redo(job: &Job, last: &Receipt) -> bool {
    last.is_disputed() && last.redos < job.window.lookback
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
