//! The tables that a face can query: the exported windows of a job, or exported objects in any location, as one session.
//!
//! Which tables there are, over which time, is decided here; a face asks for them with a [`CatalogRequest`] and puts
//! what is missing into its own words, with its own remedies.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::{Environment, history, source_store};
use crate::aws::Account;
use crate::error::Error;
use crate::export::existing::streams_in_several_exports;
use crate::export::staging;
use crate::job::{self, AwsSettings, Job, Location, Name, Source};
use crate::layout::StagingKeys;
use crate::layout::cloudwatch::LogObject;
use crate::query::Session;
use crate::scan::LogsTable;
use crate::store::Store;
use crate::window::{Range, Size, Window, is_last_ended};

/// What is queried: the exported windows of a job, or all objects below a location.
#[derive(Debug, Clone)]
pub enum Subject {
    /// A job.
    Job(Box<Job>),
    /// A folder or a prefix.
    Location(Location),
}

impl Subject {
    /// A job file if the text ends with `.toml`, else a location; a relative path is relative to the working folder.
    /// Errors (usage): a wrong job file, a folder that does not exist.
    pub fn load(text: &str) -> Result<Self, Error> {
        if text.ends_with(".toml") {
            let job = job::load(Path::new(text))?;
            return Ok(Self::Job(Box::new(job)));
        }
        let here = std::env::current_dir()
            .map_err(|error| Error::usage("can't find out the working folder").caused_by(error))?;
        let location = Location::parse(text, &here).map_err(Error::usage)?;
        ensure_exists(&location)?;
        Ok(Self::Location(location))
    }

    /// How AWS is found for it.
    pub fn aws(&self) -> AwsSettings {
        match self {
            Self::Job(job) => job.aws.clone(),
            Self::Location(_) => AwsSettings::default(),
        }
    }

    /// How long a query over it may take.
    pub fn timeout(&self) -> Option<Duration> {
        match self {
            Self::Job(job) => job.limits.timeout,
            Self::Location(_) => None,
        }
    }

    /// The memory for queries that it asks for, in bytes.
    pub fn memory(&self) -> Option<u64> {
        match self {
            Self::Job(job) => job.limits.memory,
            Self::Location(_) => None,
        }
    }
}

fn ensure_exists(location: &Location) -> Result<(), Error> {
    match location {
        Location::Local(path) if !path.exists() => Err(Error::usage(format!(
            "{} does not exist: expected a job file (*.toml), a folder of exported objects or s3://bucket/prefix",
            path.display()
        ))),
        _ => Ok(()),
    }
}

/// Which events, and in which zone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CatalogRequest {
    /// The windows whose events are wanted.
    pub windows: Windows,
    /// The zone of windows and local times; the job's where unset, UTC for a location.
    pub timezone: Option<Tz>,
}

/// The windows of a request, by their ids; `last` and `yesterday` are the last one that ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Windows {
    /// All events that are there, without a window around them.
    #[default]
    All,
    /// One window.
    One(String),
    /// From one window to another, both included.
    FromTo(String, String),
}

/// A session over exported events.
pub struct Catalog {
    /// The session.
    pub session: Session,
    /// What of the requested time it has no events of.
    pub missing: Option<Missing>,
    /// What is odd about the exports.
    pub note: Option<String>,
}

/// What of the requested time has no export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// Windows that are done and whose exports have been deleted, in order.
    Deleted(Vec<Window>),
    /// The time from this instant to the next export.
    NeverExported(DateTime<Utc>),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deleted(windows) => f.write_str(&exports_deleted(windows)),
            Self::NeverExported(from) => {
                write!(f, "nothing has been exported for the time from {from}")
            }
        }
    }
}

fn exports_deleted(windows: &[Window]) -> String {
    let what = match windows {
        [] => "windows are done, but their exports are".to_owned(),
        [only] => format!("window {} is done, but its export is", only.id()),
        [first, .., last] => format!(
            "{} windows from {} to {} are done, but their exports are",
            windows.len(),
            first.id(),
            last.id()
        ),
    };
    format!("{what} not there any more ([source] keep deletes old ones)")
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// No window that was asked for has ever been exported.
    #[error("{} yet", not_exported(job, windows))]
    NotExported {
        /// The job.
        job: Name,
        /// The windows.
        windows: Windows,
    },
    /// The windows that were asked for are done, and all their exports have been deleted.
    #[error("{}", exports_deleted(.0))]
    Deleted(Vec<Window>),
    /// The windows are in the wrong order.
    #[error("window {from} is after {to}: expected the earlier window first")]
    Reversed {
        /// The first.
        from: String,
        /// The last.
        to: String,
    },
    /// Anything else.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl From<CatalogError> for Error {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Failed(error) => error,
            other => Error::usage(other.to_string()),
        }
    }
}

fn not_exported(job: &Name, windows: &Windows) -> String {
    match windows {
        Windows::One(id) => format!("window {id} of the job {job} is not exported"),
        Windows::FromTo(from, to) => {
            format!("no window from {from} to {to} of the job {job} is exported")
        }
        Windows::All => format!("no window of the job {job} is exported"),
    }
}

/// Opens the tables of a subject. Reads listings and manifests, and no event yet.
pub async fn open(
    environment: &Environment,
    subject: &Subject,
    request: &CatalogRequest,
) -> Result<Catalog, CatalogError> {
    let opening = Opening {
        environment,
        request,
    };
    match subject {
        Subject::Job(job) => opening.job(job).await,
        Subject::Location(location) => opening.location(location).await,
    }
}

struct Opening<'a> {
    environment: &'a Environment,
    request: &'a CatalogRequest,
}

impl Opening<'_> {
    /// Every event below a location.
    async fn location(&self, location: &Location) -> Result<Catalog, CatalogError> {
        let timezone = self.request.timezone.unwrap_or(Tz::UTC);
        let range = self.range(timezone, None)?;
        let stores = &self.environment.stores;
        let store = stores.open(location, Account::Source).await?;
        let objects = staging::every_object(&store, None).await?.objects;
        self.catalog(timezone, range, objects, &store, None)
    }

    /// The events of a job's exported windows.
    async fn job(&self, job: &Job) -> Result<Catalog, CatalogError> {
        let timezone = self.request.timezone.unwrap_or(job.timezone);
        let range = self.range(timezone, Some(job.window.size))?;
        let store = source_store(self.environment, job).await?;
        if let Source::Exported { log_group, .. } = &job.source {
            let objects = staging::every_object(&store, log_group.as_deref())
                .await?
                .objects;
            return self.catalog(timezone, range, objects, &store, None);
        }
        let wanted = range.unwrap_or(Range::ALL);
        let mut objects = Vec::new();
        let mut exported = Vec::new();
        let keys = StagingKeys::of(job)?;
        for export in staging::exports_of_job(&store, &keys).await? {
            if !export.window_range.intersect(wanted).is_empty() {
                exported.push(export.window_range);
                objects.extend(export.objects);
            }
        }
        let deleted = self.without_export(job, wanted, &exported).await;
        let gap = range.and_then(|range| gap(range, &exported));
        let missing = match (exported.is_empty(), deleted.is_empty()) {
            (true, true) => {
                return Err(CatalogError::NotExported {
                    job: job.name.clone(),
                    windows: self.request.windows.clone(),
                });
            }
            (true, false) => return Err(CatalogError::Deleted(deleted)),
            (false, false) => Some(Missing::Deleted(deleted)),
            (false, true) => gap.map(Missing::NeverExported),
        };
        self.catalog(timezone, range, objects, &store, missing)
    }

    /// The windows that are done and have no export any more. Best effort: a caller without read access to the output may
    /// query all the same.
    async fn without_export(&self, job: &Job, wanted: Range, exported: &[Range]) -> Vec<Window> {
        let mut done = history::done(self.environment, job)
            .await
            .inspect_err(|error| tracing::debug!("can't find out which windows are done: {error}"))
            .unwrap_or_default();
        done.retain(|window| {
            let meets = |other: &Range| !window.range().intersect(*other).is_empty();
            meets(&wanted) && !exported.iter().any(meets)
        });
        done
    }

    fn catalog(
        &self,
        timezone: Tz,
        range: Option<Range>,
        objects: Vec<LogObject>,
        store: &Store,
        missing: Option<Missing>,
    ) -> Result<Catalog, CatalogError> {
        let engine = &self.environment.engine;
        let note = streams_in_several_exports(&objects, &store.display(store.root()));
        let logs = LogsTable::new(store, objects, range.unwrap_or(Range::ALL), engine.pool());
        let session = engine.session(timezone)?.with_logs(logs, Some(store))?;
        let session = match range {
            Some(range) => session.with_window(range)?,
            None => session,
        };
        Ok(Catalog {
            session,
            missing,
            note,
        })
    }

    /// The interval of the requested windows; `size` is that of a job's windows, else an id of any size is taken.
    fn range(&self, timezone: Tz, size: Option<Size>) -> Result<Option<Range>, CatalogError> {
        let window = |id: &str| {
            match size {
            _ if is_last_ended(id) => {
                let now = self.environment.clock.now();
                Window::last_ended(size.unwrap_or_default(), timezone, now)
            }
            Some(size) => Window::parse(size, timezone, id),
            None => [Size::Day, Size::Hour, Size::Week, Size::Month]
                .into_iter()
                .find_map(|size| Window::parse(size, timezone, id).ok())
                .ok_or_else(|| {
                    Error::usage(format!(
                        "{id:?} is no window: expected 2026-11-21, 2026-11-21T05, 2026-W47 or 2026-11"
                    ))
                }),
        }
        };
        match &self.request.windows {
            Windows::All => Ok(None),
            Windows::One(id) => Ok(Some(window(id)?.range())),
            Windows::FromTo(from, to) => {
                let range = Range {
                    start_ms: window(from)?.range().start_ms,
                    end_ms: window(to)?.range().end_ms,
                };
                if range.is_empty() {
                    return Err(CatalogError::Reversed {
                        from: from.clone(),
                        to: to.clone(),
                    });
                }
                Ok(Some(range))
            }
        }
    }
}

/// The first part of a range that no export covers, as the instant at which it begins.
fn gap(range: Range, exported: &[Range]) -> Option<DateTime<Utc>> {
    let mut exported = exported.to_vec();
    exported.sort_by_key(|export| export.start_ms);
    let covered = exported
        .into_iter()
        .fold(range.start_ms, |covered, export| {
            if export.start_ms <= covered {
                covered.max(export.end_ms)
            } else {
                covered
            }
        });
    DateTime::from_timestamp_millis(covered).filter(|_| covered < range.end_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(id: &str) -> Window {
        Window::parse(Size::Day, Tz::UTC, id).unwrap()
    }

    #[test]
    fn a_gap_is_the_first_time_that_no_export_covers() {
        let range = |from: i64, to: i64| Range {
            start_ms: from,
            end_ms: to,
        };
        for (exported, expected) in [
            (&[][..], Some(0)),
            (&[range(0, 10)], None),
            (&[range(5, 10)], Some(0)),
            (&[range(4, 10), range(-5, 4)], None),
            (&[range(6, 10), range(0, 4)], Some(4)),
            (&[range(0, 8), range(1, 2)], Some(8)),
        ] {
            let gap = gap(range(0, 10), exported).map(|at| at.timestamp_millis());
            assert_eq!(gap, expected, "{exported:?}");
        }
    }

    /// Every face prints these texts; only the command line names its flags behind them.
    #[test]
    fn what_is_missing_is_said_without_flags() {
        let job = Name::new("night").unwrap();
        let one = Windows::One("2026-11-20".to_owned());
        let errors = [
            CatalogError::Deleted(vec![day("2026-11-20")]),
            CatalogError::Deleted(vec![day("2026-11-20"), day("2026-11-21")]),
            CatalogError::Reversed {
                from: "2026-11-21".to_owned(),
                to: "2026-11-20".to_owned(),
            },
            CatalogError::NotExported { job, windows: one },
        ];
        let texts = errors.map(|error| Error::from(error).to_string());
        assert_eq!(
            texts,
            [
                "window 2026-11-20 is done, but its export is not there any more ([source] keep deletes old ones)",
                "2 windows from 2026-11-20 to 2026-11-21 are done, but their exports are not there any more ([source] keep deletes old ones)",
                "window 2026-11-21 is after 2026-11-20: expected the earlier window first",
                "window 2026-11-20 of the job night is not exported yet",
            ]
        );
    }
}
