//! A run: what to do ([`plan`]), which writes nothing, and doing it ([`execute()`]). The only place that knows all rooms.

mod execute;
mod question;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use object_store::path::Path;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::aws::Account;
use crate::aws::logs::LogsClient;
use crate::clock::Clock;
use crate::error::{Class, Error, Result};
use crate::export::LogExporter;
use crate::export::cloudwatch::CloudWatchExporter;
use crate::export::directory::DirectoryExporter;
use crate::export::existing::ExistingExport;
use crate::export::service::ExportService;
use crate::job::{DefaultWindow, ImageFormat, Job, Source};
use crate::layout;
use crate::progress::Progress;
use crate::query::Engine;
use crate::receipt::{Receipt, WindowReport};
use crate::store::{Store, Stores};
use crate::window::{Range, Span, Unit, Window, is_last_ended};

pub use execute::{Outcome, execute};

/// What a run has to work with: the real things, or a test's.
pub struct Environment {
    /// Opens locations.
    pub stores: Stores,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Hears what is going on.
    pub progress: Arc<dyn Progress>,
    /// CloudWatch Logs; the real one where unset.
    pub service: Option<Arc<dyn ExportService>>,
    /// Runs the queries.
    pub engine: Engine,
    /// A folder of this run's own, on a disk with room for the answers.
    pub scratch: tempfile::TempDir,
}

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
    /// Whether its charts become the latest.
    #[serde(skip)]
    pub is_latest: bool,
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
    question::check_all(&environment.engine, job, representative).await?;

    let output = environment
        .stores
        .open(&job.output, Account::Output)
        .await?;
    let log_groups = exporter(environment, job).await?.groups().await?;
    let job_sha256 = fingerprint(job);
    let done = done_windows(&output, job).await?;
    let newest_done = done.last().copied();
    if request.selection == Selection::Default {
        let earlier = settled_since(&output, job, &windows, &done, now).await?;
        windows.splice(0..0, earlier);
    }

    let mut plans = Vec::with_capacity(windows.len());
    for window in windows {
        let last = match done.contains(&window.unit()) {
            true => read_receipt(&output, job, &window).await?,
            false => None,
        };
        let provisional = is_provisional(job, &window, now);
        let is_done = last
            .as_ref()
            .is_some_and(|last| !last.window.provisional && last.job_sha256 == job_sha256);
        let action = match request.force {
            Force::Export => Action::ExportAndCompute,
            Force::No if is_done && !provisional => Action::Skip,
            _ if provisional => Action::ExportAndCompute,
            _ => Action::Compute,
        };
        let is_latest = newest_done.is_none_or(|newest| newest <= window.unit());
        plans.push(WindowPlan {
            outputs: keys(&output, job, &window, is_latest)
                .iter()
                .map(|key| output.display(key))
                .collect(),
            report: window_report(&window, provisional),
            is_latest,
            window,
            action,
            last,
        });
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
                return Err(Error::usage(format!("--from {from} is after --to {to}")));
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

/// The earlier windows, up to the job's `lookback`, whose answers are provisional although they have settled since.
async fn settled_since(
    output: &Store,
    job: &Job,
    windows: &[Window],
    done: &[Unit],
    now: DateTime<Utc>,
) -> Result<Vec<Window>> {
    let (size, zone) = (job.window.size, job.timezone);
    let mut earlier = Vec::new();
    let Some(first) = windows.first() else {
        return Ok(earlier);
    };
    for back in (1..=job.window.lookback).rev() {
        let unit = i32::try_from(back)
            .ok()
            .and_then(|back| first.unit().step(size, -back));
        let Some(unit) = unit.filter(|unit| done.binary_search(unit).is_ok()) else {
            continue;
        };
        let window = Window::new(size, zone, unit)?;
        let was_provisional = read_receipt(output, job, &window)
            .await?
            .is_some_and(|receipt| receipt.window.provisional);
        if was_provisional && !is_provisional(job, &window, now) {
            earlier.push(window);
        }
    }
    Ok(earlier)
}

/// Whether late events may still come.
fn is_provisional(job: &Job, window: &Window, now: DateTime<Utc>) -> bool {
    now < settled_at(job, window)
}

/// When the window settles: events may be that late.
fn settled_at(job: &Job, window: &Window) -> DateTime<Utc> {
    let after = TimeDelta::from_std(job.window.settled_after).unwrap_or(TimeDelta::MAX);
    window
        .end()
        .checked_add_signed(after)
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
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

/// The units of this job's windows that have a receipt, in order.
async fn done_windows(output: &Store, job: &Job) -> Result<Vec<Unit>> {
    let folder = layout::receipts(output.root(), job.name.as_str());
    let mut units: Vec<Unit> = output
        .list(&folder)
        .await?
        .iter()
        .filter_map(|meta| {
            Unit::parse(
                job.window.size,
                layout::parse_receipt(&folder, &meta.location)?,
            )
        })
        .collect();
    units.sort_unstable();
    Ok(units)
}

async fn read_receipt(output: &Store, job: &Job, window: &Window) -> Result<Option<Receipt>> {
    let key = layout::receipt(output.root(), job.name.as_str(), &window.id());
    let Some(json) = output.get(&key).await? else {
        return Ok(None);
    };
    match serde_json::from_slice(&json) {
        Ok(receipt) => Ok(Some(receipt)),
        Err(error) => {
            tracing::warn!(receipt = output.display(&key), %error, "the receipt can't be read; the window is done anew");
            Ok(None)
        }
    }
}

/// Everything that a run of the window writes, the receipt last.
fn keys(output: &Store, job: &Job, window: &Window, is_latest: bool) -> Vec<Path> {
    let (root, name) = (output.root(), job.name.as_str());
    let mut keys = Vec::new();
    for query in &job.queries {
        let query_name = query.name.as_str();
        keys.push(layout::answer(root, name, query_name, window));
        for chart in &query.charts {
            for format in &chart.formats {
                let (chart, extension) = (chart.name.as_str(), ImageFormat::extension(*format));
                keys.push(layout::chart(
                    root, name, query_name, chart, window, extension,
                ));
                if is_latest {
                    keys.push(layout::latest_chart(
                        root, name, query_name, chart, extension,
                    ));
                }
            }
        }
    }
    keys.push(layout::receipt(root, name, &window.id()));
    keys
}

/// A hash of texts, told apart by their lengths.
#[derive(Default)]
struct Fingerprint(Sha256);

impl Fingerprint {
    fn add(&mut self, text: &str) {
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text);
    }

    fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

/// A hash of what in the job decides which events there are.
fn source_fingerprint(job: &Job) -> String {
    let mut hash = Fingerprint::default();
    hash.add(job.timezone.name());
    hash.add(&job.window.size.to_string());
    match &job.source {
        Source::CloudWatch(source) => {
            for group in &source.log_groups {
                hash.add(group.as_str());
            }
            hash.add(source.log_stream_prefix.as_deref().unwrap_or_default());
        }
        Source::Exported { path, log_group } => {
            hash.add(&path.to_string());
            hash.add(log_group.as_deref().unwrap_or_default());
        }
        Source::Directory { path, .. } => hash.add(&path.to_string_lossy()),
    }
    hash.finish()
}

/// A hash of everything in the job that decides the answers; another one means that they are to be computed anew.
fn fingerprint(job: &Job) -> String {
    let mut hash = Fingerprint::default();
    hash.add(&source_fingerprint(job));
    for query in &job.queries {
        hash.add(query.name.as_str());
        hash.add(&query.sql);
        for chart in &query.charts {
            hash.add(&format!("{chart:?}"));
        }
    }
    hash.finish()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What turns the job's windows into objects.
pub async fn exporter(environment: &Environment, job: &Job) -> Result<Box<dyn LogExporter>> {
    let clock = Arc::clone(&environment.clock);
    let store = source_store(environment, job).await?;
    Ok(match &job.source {
        Source::CloudWatch(settings) => {
            let service: Arc<dyn ExportService> = match &environment.service {
                Some(service) => Arc::clone(service),
                None => Arc::new(LogsClient::new(environment.stores.aws()).await?),
            };
            Box::new(CloudWatchExporter::new(
                service,
                store,
                settings.clone(),
                clock,
            )?)
        }
        Source::Exported { log_group, .. } => {
            Box::new(ExistingExport::new(store, log_group.clone()))
        }
        Source::Directory { path, pad, .. } => {
            Box::new(DirectoryExporter::new(path.clone(), store, *pad, clock))
        }
    })
}

/// Where the job's exported objects are.
pub async fn source_store(environment: &Environment, job: &Job) -> Result<Store> {
    let location = match &job.source {
        Source::CloudWatch(settings) => &settings.staging,
        Source::Exported { path, .. } => path,
        Source::Directory { staging, .. } => staging,
    };
    environment.stores.open(location, Account::Source).await
}

/// An export of the same source that shrank since the last run is one that retention has eaten from: it must not
/// replace the answer.
fn refuse_shrunk(
    last: Option<&Receipt>,
    plan: &Plan,
    events: u64,
    force: Force,
    window: &Window,
) -> Result<()> {
    match last {
        Some(last)
            if force == Force::No
                && last.source_sha256 == plan.source_sha256
                && events < last.read.events =>
        {
            Err(Error::new(
                Class::Source,
                format!(
                    "the events of window {window} went from {} in the last run to {events}: its answers stay as they are, since retention may have deleted events. --force replaces them",
                    last.read.events
                ),
            ))
        }
        _ => Ok(()),
    }
}
