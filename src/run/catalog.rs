//! The tables that a face can query: `logs` over the exported windows of a job or over exported objects in any location,
//! as one session.
//!
//! Which tables there are, over which time, is decided here; a face asks for them with a [`CatalogRequest`] and puts
//! what is [`Missing`] into its own words, with its own remedies. [`open`] lists locations, once, as their files say which
//! tables there are. Everything else is listed and read when a query first reads it, so that a query pays for no table
//! beside its own, and one that can't be had stands in the way of no other.
//!
//! A face that answers many queries opens a catalog once, and [opens it again](Catalog::reopen) for another window. The
//! statements of a text are [`statements`](crate::query::statements), each of which it gives to the catalog's session.

mod answers;
mod contents;
mod logs;
mod missing;
mod overview;
mod request;
mod subject;
mod ways;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::DateTime;
use chrono_tz::Tz;
use tokio::sync::OnceCell;

use self::answers::Answers;
use self::contents::Exports;
use self::logs::Logs;
use super::Environment;
use super::archive::columns_of;
use super::lookups::{DeferredLookup, OF_JOB};
use crate::aws::Account;
use crate::error::{Error, Result};
use crate::job::{Format, Job, LookupTable, Name, OriginColumns};
use crate::query::archived::ArchivedLogs;
use crate::query::{DeferredTable, Session, SessionTable, TableKind};
use crate::scan::ScanReport;
use crate::scan::deferred::DeferredLogs;
use crate::window::Range;

pub use missing::Missing;
pub use request::{CatalogRequest, Windows};
pub use subject::Subject;

/// A session over the tables of some subjects.
pub struct Catalog {
    /// The session. Its statements are planned and run as of any session.
    pub session: Session,
    scope: Arc<Scope>,
    logs: Arc<Logs>,
}

/// What the tables of a catalog are of.
struct Scope {
    environment: Environment,
    subjects: Arc<[Subject]>,
    /// The subjects that have exported objects.
    exports: Vec<Exports>,
    request: CatalogRequest,
    /// The interval of the request.
    range: Option<Range>,
}

/// Opens the tables of some subjects. Locations are listed; nothing else is read before a query reads it, so it can be done
/// at a prompt.
///
/// # Errors
/// `Usage`: no subject, jobs of different zones without a zone in the request, an id that is no window. `Source`: a location
/// that can't be listed.
pub async fn open(
    environment: &Environment,
    subjects: impl Into<Arc<[Subject]>>,
    request: &CatalogRequest,
) -> Result<Catalog> {
    let subjects = subjects.into();
    let timezone = timezone(&subjects, request)?;
    // Where jobs have windows of different sizes, an id says of which size it is.
    let size = common(subjects.iter().filter_map(Subject::window_size)).unwrap_or_default();
    let now = environment.clock.now();
    let range = request.windows.range(timezone, size, now)?;
    let holds = contents::of(environment, &subjects).await?;
    let scope = Arc::new(Scope {
        environment: environment.without_scratch(),
        exports: holds.exports,
        subjects,
        request: request.clone(),
        range,
    });
    let jobs = scope.subjects.iter().filter_map(Subject::job);
    let formats: Vec<Format> = jobs
        .clone()
        .flat_map(|job| job.formats.iter().cloned())
        .collect();
    let engine = &environment.engine;
    let session = engine.session(timezone)?.with_formats(&formats);
    let has_archive = jobs.clone().any(|job| job.archive.is_some());
    let logs = Arc::new(Logs {
        scope: Arc::clone(&scope),
        columns: match &scope.subjects[..] {
            // In another zone, the expressions may have other values.
            [Subject::Job(job)] if job.timezone == timezone => columns_of(engine, job).await?,
            _ => Vec::new(),
        },
        opened: OnceCell::new(),
        missing: Mutex::default(),
    });
    let session = session.with_parameters(request.parameters.clone());
    let of_subjects = scope.exports.iter().map(Exports::origins);
    let origins = of_subjects.fold(OriginColumns::default(), OriginColumns::or);
    let session = match scope.exports.is_empty() {
        true => session,
        false if has_archive => {
            let columns = logs.columns.clone();
            let table = ArchivedLogs::new(timezone, origins, columns, Arc::clone(&logs) as _);
            session.with_archived_logs(table)
        }
        false => {
            let table = DeferredLogs::new(timezone, origins, Arc::clone(&logs) as _);
            session.with_deferred_logs(table)
        }
    };
    let session = match range {
        Some(range) => session.with_window(range)?,
        None => session,
    };
    let session = add_answers(session, &scope)?;
    for (name, files) in holds.files {
        add(&session, &name, TableKind::Files, files)?;
    }
    add_lookups(&session, &scope)?;
    Ok(Catalog {
        session,
        scope,
        logs,
    })
}

/// Adds the answers of each job, by the names of their queries; where several jobs have one of a name, by the names of the
/// tables that `ddl` makes.
fn add_answers(mut session: Session, scope: &Arc<Scope>) -> Result<Session> {
    let jobs = scope.subjects.iter().filter_map(Subject::job);
    let mut jobs_of: HashMap<&Name, usize> = HashMap::new();
    for query in jobs.clone().flat_map(Job::answers) {
        *jobs_of.entry(&query.name).or_default() += 1;
    }
    for job in jobs {
        let answers = Answers::new(Arc::clone(scope), job.clone());
        for (name, table) in answers.tables() {
            let name = match jobs_of.get(name) {
                Some(2..) => format!("{}_{name}", job.name),
                _ => name.to_string(),
            };
            add(&session, &name, TableKind::Answer, Arc::new(table))?;
        }
        // With several jobs, it could be the answer of any.
        if scope.subjects.iter().filter_map(Subject::job).count() == 1 {
            session = session.with_previous(answers);
        }
    }
    Ok(session)
}

/// Adds the lookup tables of the jobs and of the request.
fn add_lookups(session: &Session, scope: &Arc<Scope>) -> Result<()> {
    let jobs = scope.subjects.iter().filter_map(Subject::job);
    let of_jobs = jobs.flat_map(|job| {
        let tables = job.tables.iter();
        tables.map(move |table| (table, Account::of_tables(job), OF_JOB))
    });
    let of_request = scope.request.tables.iter();
    let of_request = of_request.map(|table| (table, Account::LOGS, "--table"));
    let mut added: Vec<&LookupTable> = Vec::new();
    for (table, account, named_by) in of_jobs.chain(of_request) {
        // Several jobs may have the same list.
        if added.contains(&table) {
            continue;
        }
        let lookup = DeferredLookup {
            environment: scope.environment.without_scratch(),
            table: table.clone(),
            account,
            named_by,
        };
        let name = table.name.as_str();
        add(session, name, TableKind::Lookup, Arc::new(lookup))?;
        added.push(table);
    }
    Ok(())
}

/// Adds a table. An error (usage) where there is one of its name.
fn add(
    session: &Session,
    name: &str,
    kind: TableKind,
    table: Arc<dyn DeferredTable>,
) -> Result<()> {
    if session.has_table(name) || RESERVED.contains(&name) {
        return Err(Error::usage(format!(
            "two tables would be named {name}: expected a name for each, such as --table other_name=path for a file"
        )));
    }
    session.defer(name, kind, table);
    Ok(())
}

/// The names of the tables of events, also where there is none.
const RESERVED: [&str; 2] = ["logs", "hours"];

/// The zone of the request, or else that of the jobs.
fn timezone(subjects: &[Subject], request: &CatalogRequest) -> Result<Tz> {
    if let Some(timezone) = request.timezone {
        return Ok(timezone);
    }
    match common(subjects.iter().filter_map(Subject::timezone)) {
        Ok(timezone) => Ok(timezone.unwrap_or(Tz::UTC)),
        Err((one, other)) => Err(Error::usage(format!(
            "the jobs are of different time zones, {one} and {other}: expected one for all, with --timezone"
        ))),
    }
}

/// What all have in common, or else two that differ.
fn common<T: PartialEq>(all: impl IntoIterator<Item = T>) -> Result<Option<T>, (T, T)> {
    let mut all = all.into_iter();
    let Some(first) = all.next() else {
        return Ok(None);
    };
    match all.find(|other| *other != first) {
        Some(other) => Err((first, other)),
        None => Ok(Some(first)),
    }
}

impl Catalog {
    /// The same subjects with another request: other windows, or another zone. As cheap as [`open`].
    /// Its session has the views of this one.
    pub async fn reopen(&self, request: &CatalogRequest) -> Result<Self> {
        let subjects = Arc::clone(&self.scope.subjects);
        let other = open(&self.scope.environment, subjects, request).await?;
        other.session.take_views_of(&self.session).await?;
        Ok(other)
    }

    /// What is asked for.
    pub fn request(&self) -> &CatalogRequest {
        &self.scope.request
    }

    /// What is queried.
    pub fn subjects(&self) -> &[Subject] {
        &self.scope.subjects
    }

    /// Every table that queries can name, by name, with its columns.
    pub async fn tables(&self) -> Vec<SessionTable> {
        self.session.all_tables().await
    }

    /// What is missing, where an error of planning or running a query is because of that. A face says how to get it.
    pub fn missing_of(&self, error: &Error) -> Option<Missing> {
        let missing = &self.logs.missing;
        let missing = missing.lock().unwrap_or_else(PoisonError::into_inner);
        let is_said = |missing: &Missing| error.message() == missing.to_string();
        missing.clone().filter(is_said)
    }

    /// The windows of the request that are done and whose exports have been deleted, by job: queries over `logs` had no
    /// events of them.
    pub fn deleted(&self) -> &[Missing] {
        let opened = self.logs.opened.get();
        opened.map_or(&[], |opened| &opened.deleted)
    }

    /// That the events are those of a window that has not ended, as far as they are exported.
    pub fn provisional(&self) -> Option<String> {
        self.logs.opened.get()?;
        let now = self.scope.environment.clock.now();
        let range = self.scope.range?;
        let ends = DateTime::from_timestamp_millis(range.end_ms)?;
        (now < ends).then(|| {
            "provisional: the window has not ended, and logs has the events that are exported so far".to_owned()
        })
    }

    /// What is odd about the exports that queries over `logs` have read, each as a sentence.
    pub fn notes(&self) -> &[String] {
        self.logs.opened.get().map_or(&[], |opened| &opened.notes)
    }

    /// What queries have read of `logs` so far.
    pub fn read(&self) -> ScanReport {
        let opened = self.logs.opened.get().into_iter();
        let tables = opened.flat_map(|opened| opened.tables.iter());
        tables.map(|table| table.read_log().read().total()).sum()
    }

    /// What is odd about what queries have read so far, each as a sentence.
    pub fn oddities(&self) -> Vec<String> {
        let opened = self.logs.opened.get().into_iter();
        let tables = opened.flat_map(|opened| opened.tables.iter());
        tables.flat_map(|table| table.oddities()).collect()
    }
}
