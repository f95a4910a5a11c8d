//! What earlier runs left: receipts and states.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use serde::Serialize;

use super::fingerprint::answers_fingerprint;
use super::lookback::Lookback;
use super::settled::{is_provisional, is_published};
use super::{Environment, Force, Output, Request, Selection, select};
use crate::error::{Class, Remedy, Result};
use crate::job::{DefaultWindow, Job};
use crate::layout::parse_window_id;
use crate::receipt::Receipt;
use crate::state::{Failure, WindowState, lease};
use crate::window::{Unit, Window};

/// How many receipts and states are asked for at a time.
pub(super) const AT_ONCE: usize = 32;

/// A lease that was not renewed for this many times its length is shown as that of a dead run. Only shown: taking a lease
/// over compares no two machines' clocks.
const DEAD_AFTER: u32 = 4;

/// A window and its status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WindowSummary {
    /// The window's id.
    pub window: String,
    /// The status.
    pub status: WindowStatus,
    /// The events of its answers, if it has any.
    pub events: Option<u64>,
    /// When the events of its answers were exported: later ones may be missing.
    pub as_of: Option<DateTime<Utc>>,
    /// True if the window should be run: not running, and missing, computed with other SQL, or provisional although
    /// settled.
    pub due: bool,
    /// True if a run of the default window does it too.
    pub next_run: bool,
    /// Options that such a run needs, beside the window.
    pub run_with: Vec<RunOption>,
    /// Whether the object that `note` names must be removed before the window can run.
    pub is_blocked: bool,
    /// What holds it, or why the last run of it failed.
    pub note: Option<String>,
}

/// An option of `run`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum RunOption {
    /// The window has not ended.
    #[serde(rename = "--provisional")]
    Provisional,
    /// The next run would fail for the same reason as the last one.
    #[serde(untagged)]
    Unless(Remedy),
}

/// The status of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WindowStatus {
    /// Its answers are there, and late events are no longer expected.
    Settled,
    /// Its answers are there, and late events may change them.
    Provisional,
    /// A run holds it.
    Running,
    /// The last run of it failed. Answers of an earlier one may be there.
    Failed,
    /// The last run of it was stopped or died.
    Interrupted,
    /// No run of it has begun.
    Missing,
}

/// The status of a job's windows, in their order. Without `windows`: from the first that ever ran to the last that ended.
pub async fn status(
    environment: &Environment,
    job: &Job,
    windows: Option<Vec<Window>>,
) -> Result<Vec<WindowSummary>> {
    let output = Output::open(environment, job).await?;
    let now = environment.clock.now();
    let known = KnownWindows::list(&output, job).await?;
    let windows = match windows {
        Some(windows) => windows,
        None => {
            let mut units = [&known.receipts[..], &known.states[..]].concat();
            if job.window.default == DefaultWindow::LastEnded {
                units.push(Window::last_ended(job.window.size, job.timezone, now)?.unit());
            }
            match (units.iter().min(), units.iter().max()) {
                (Some(first), Some(last)) => {
                    Window::list(job.window.size, job.timezone, *first, *last)?
                }
                _ => Vec::new(),
            }
        }
    };
    let job_sha256 = answers_fingerprint(job);
    let mut summaries: Vec<WindowSummary> = futures::stream::iter(windows)
        .map(|window| summarise(&output, job, &job_sha256, window, now))
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let next = next_run(&output, job, &job_sha256, &known, now).await?;
    for summary in &mut summaries {
        summary.next_run = summary.due && next.contains(&summary.window);
    }
    Ok(summaries)
}

/// The ids of the windows that a run of the default window does.
async fn next_run(
    output: &Output,
    job: &Job,
    job_sha256: &str,
    known: &KnownWindows,
    now: DateTime<Utc>,
) -> Result<HashSet<String>> {
    let request = Request {
        selection: Selection::Default,
        force: Force::No,
        provisional: false,
    };
    // A default window that has not ended can't be run.
    let Some(own) = select(job, &request, now)
        .ok()
        .and_then(|own| own.into_iter().next())
    else {
        return Ok(HashSet::new());
    };
    let lookback = Lookback {
        output,
        job,
        job_sha256,
        known,
        // Only a run asks CloudWatch Logs.
        deleted_until: None,
        sources: None,
        now,
    };
    let mut windows = lookback.backlog(&own).await?.due;
    windows.push(own);
    Ok(windows.iter().map(Window::id).collect())
}

/// The windows of a job that have a receipt, in their order.
pub(super) async fn done(environment: &Environment, job: &Job) -> Result<Vec<Window>> {
    let output = Output::open(environment, job).await?;
    let units = KnownWindows::list(&output, job).await?.receipts;
    let windows = units
        .into_iter()
        .filter_map(|unit| Window::new(job.window.size, job.timezone, unit).ok());
    Ok(windows.collect())
}

impl WindowSummary {
    /// Of a window of this status that nothing else is said of.
    pub(super) fn of(window: &Window, status: WindowStatus) -> Self {
        Self {
            window: window.id(),
            status,
            events: None,
            as_of: None,
            due: false,
            next_run: false,
            run_with: Vec::new(),
            is_blocked: false,
            note: None,
        }
    }
}

pub(super) async fn summarise(
    output: &Output,
    job: &Job,
    job_sha256: &str,
    window: Window,
    now: DateTime<Utc>,
) -> Result<WindowSummary> {
    let receipt = read_receipt(output, &window).await?;
    let has_settled = !is_provisional(job, &window, now);
    let mut is_blocked = false;
    let mut run_with = Vec::new();
    if !window.has_ended(now) {
        run_with.push(RunOption::Provisional);
    }
    let (status, note, due) = match standing(output, &window, receipt.as_ref(), now).await {
        Ok(Some(Standing::Running(holder))) => (WindowStatus::Running, Some(holder), false),
        Ok(Some(Standing::Failed(failure))) => {
            run_with.extend(failure.remedy.map(RunOption::Unless));
            (WindowStatus::Failed, Some(failure.error), true)
        }
        Ok(Some(Standing::Interrupted)) => (WindowStatus::Interrupted, None, true),
        Ok(None) => match &receipt {
            Some(receipt) if receipt.window.provisional => {
                let note = has_settled.then(|| "has settled since".to_owned());
                (WindowStatus::Provisional, note, has_settled)
            }
            Some(receipt) if receipt.job_sha256 != job_sha256 => {
                let note = "the job has changed since".to_owned();
                (WindowStatus::Settled, Some(note), true)
            }
            Some(_) => (WindowStatus::Settled, None, false),
            None => (WindowStatus::Missing, None, true),
        },
        // A damaged state concerns only its own window.
        Err(error) if error.class() == Class::Damaged => {
            is_blocked = true;
            (WindowStatus::Failed, Some(error.to_string()), true)
        }
        Err(error) => return Err(error),
    };
    Ok(WindowSummary {
        window: window.id(),
        status,
        events: receipt.as_ref().map(|receipt| receipt.read.events),
        as_of: receipt.and_then(|receipt| receipt.as_of),
        due,
        next_run: false,
        run_with: if due { run_with } else { Vec::new() },
        is_blocked,
        note,
    })
}

/// A run that has not ended well.
enum Standing {
    /// It is under way; what holds the lease.
    Running(String),
    Failed(Failure),
    Interrupted,
}

/// Such a run in the state of a window, if there is one.
async fn standing(
    output: &Output,
    window: &Window,
    receipt: Option<&Receipt>,
    now: DateTime<Utc>,
) -> Result<Option<Standing>> {
    let state = read_state(output, window).await?.unwrap_or_default();
    if let Some(lease) = &state.lease {
        let key = output.keys.state(&window.id());
        let renewed = output
            .store
            .head(&key)
            .await?
            .map(|meta| meta.last_modified);
        let longest = lease.length() * DEAD_AFTER;
        // The store's clock may be ahead.
        let lives = |at: DateTime<Utc>| (now - at).to_std().map_or(true, |since| since <= longest);
        if renewed.is_some_and(lives) {
            return Ok(Some(Standing::Running(lease.holder())));
        }
    }
    Ok(match (state.failure, state.unfinished) {
        (Some(failure), _) => Some(Standing::Failed(failure)),
        (None, Some(unfinished)) if !is_published(&unfinished, receipt) => {
            Some(Standing::Interrupted)
        }
        (None, _) => None,
    })
}

/// The windows that earlier runs recorded something of.
pub(super) struct KnownWindows {
    /// Those that have a receipt, in order.
    pub(super) receipts: Vec<Unit>,
    /// Those that have a state, in order.
    pub(super) states: Vec<Unit>,
}

impl KnownWindows {
    /// Of the job's windows, by one listing.
    pub(super) async fn list(output: &Output, job: &Job) -> Result<Self> {
        // The states are below the receipts' folder.
        let listed = output.store.list(&output.keys.receipts()).await?;
        let units_in = |folder: &Path| {
            let ids = listed
                .iter()
                .filter_map(|meta| parse_window_id(folder, &meta.location));
            let units = ids.filter_map(|id| Unit::parse(job.window.size, id));
            let mut units: Vec<Unit> = units.collect();
            units.sort_unstable();
            units
        };
        Ok(Self {
            receipts: units_in(&output.keys.receipts()),
            states: units_in(&output.keys.states()),
        })
    }

    /// The first window that the job ever began.
    pub(super) fn oldest(&self) -> Option<Unit> {
        let first = [self.receipts.first(), self.states.first()];
        first.into_iter().flatten().min().copied()
    }
}

/// A state; `None` where it can't be read. The run that takes the window reports that, and no other window is concerned.
pub(super) async fn readable_state(
    output: &Output,
    window: &Window,
) -> Result<Option<WindowState>> {
    match read_state(output, window).await {
        Err(error) if error.class() == Class::Damaged => Ok(None),
        state => state.map(|state| Some(state.unwrap_or_default())),
    }
}

pub(super) async fn read_state(output: &Output, window: &Window) -> Result<Option<WindowState>> {
    let key = output.keys.state(&window.id());
    Ok(lease::read(&output.store, &key)
        .await?
        .map(|(state, _)| state))
}

pub(super) async fn read_receipt(output: &Output, window: &Window) -> Result<Option<Receipt>> {
    let key = output.keys.receipt(&window.id());
    let Some(json) = output.store.get(&key).await? else {
        return Ok(None);
    };
    match serde_json::from_slice(&json) {
        Ok(receipt) => Ok(Some(receipt)),
        Err(error) => {
            tracing::warn!(receipt = output.store.display(&key), %error, "the receipt can't be read; the window is done again");
            Ok(None)
        }
    }
}
