//! `query`: a question in SQL, over a job's exported windows or straight over exported objects.

mod answer;
mod chart;

use std::fs::Permissions;
use std::io::{IsTerminal, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use clap::Args;
use tempfile::NamedTempFile;

use answer::{Answer, Format};

use super::logging::Show;
use super::{environment, job_environment, print};
use crate::aws::Account;
use crate::chart::terminal;
use crate::error::{Class, Error, Result};
use crate::export::staging;
use crate::job::{self, AwsSettings, Job, Location, Source};
use crate::layout::StagingKeys;
use crate::layout::cloudwatch::LogObject;
use crate::query::Session;
use crate::run::{self, Environment};
use crate::scan::LogsTable;
use crate::store::Store;
use crate::window::{self, Range, Size, Window, is_last_ended};

#[derive(Debug, Args)]
pub(super) struct QueryArgs {
    /// A job file, or where exported objects are: a folder or s3://bucket/prefix
    #[arg(value_name = "JOB|LOCATION")]
    subject: String,

    /// The question, over logs(timestamp, message, log_group, log_stream) [default: standard input]
    sql: Option<String>,

    /// Only events of this window: 2026-11-21, 2026-11-21T05, 2026-W47 or 2026-11; or last, the last one
    /// that ended (yesterday means the same)
    #[arg(long, value_name = "ID", conflicts_with_all = ["from", "to"])]
    window: Option<String>,

    /// Only events from this window …
    #[arg(long, value_name = "ID", requires = "to")]
    from: Option<String>,

    /// … to this one, both included
    #[arg(long, value_name = "ID", requires = "from")]
    to: Option<String>,

    /// The zone of windows and local times [default: the job's, or UTC]
    #[arg(long, value_name = "ZONE", value_parser = job::parse_zone)]
    timezone: Option<Tz>,

    /// How to write the answer [default: what the file's name says, or a table]
    #[arg(long, value_enum)]
    format: Option<Format>,

    /// Draw the answer: its first column along the x axis, its columns of numbers upwards, a column of text as the
    /// names of series
    #[arg(long, value_enum, value_name = "KIND", conflicts_with = "format")]
    chart: Option<chart::Drawing>,

    /// Write the answer to a file instead, in the format that its name says: .csv, .json or .txt for a table;
    /// with --chart .png or .svg. Of both, --format counts; - is standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) async fn query(args: QueryArgs, show: Show) -> Result<u8> {
    let output = args
        .output
        .as_deref()
        .filter(|file| *file != Path::new("-"));
    let image = chart::image_format(args.chart, output)?;
    let format = match (args.format, args.chart) {
        (Some(format), _) => format,
        (None, None) => Format::of_file(output)?,
        (None, Some(_)) => Format::Table,
    };
    let sql = match &args.sql {
        Some(sql) => sql.clone(),
        None => {
            // On a thread that nobody waits for: this one listens to signals.
            let (sent, sql) = tokio::sync::oneshot::channel();
            std::thread::spawn(move || sent.send(sql_from_stdin()));
            sql.await.map_err(|error| {
                Error::new(Class::Unexpected, "can't read the question").caused_by(error)
            })??
        }
    };
    if sql.trim_start_matches('\u{feff}').trim().is_empty() {
        return Err(no_question());
    }
    let is_job = args.subject.ends_with(".toml");
    let (session, environment) = if is_job {
        let (job, environment) = job_environment(Path::new(&args.subject), show)?;
        let session = over_job(&environment, &job, &args).await?;
        (session, environment)
    } else {
        let environment = environment(AwsSettings::default(), None, show)?;
        let session = over_location(&environment, &args).await?;
        (session, environment)
    };
    let statement = session.statement(&sql, "SQL").await?;
    let (batches, _plan) = session.run(&statement).await?;
    let answer = Answer { statement, batches };
    if let Some(kind) = args.chart {
        let title = args.window.as_deref().or(args.from.as_deref());
        let title = [Some(subject_name(&args.subject)), title]
            .into_iter()
            .flatten();
        let title = title.collect::<Vec<_>>().join(" · ");
        let chart = chart::of(answer, kind, &session, &title).await?;
        match (output, image) {
            (Some(file), Some(format)) => {
                let image = chart::image(&chart, format)?;
                let mut temporary = temporary_beside(file)?;
                let written = temporary.write_all(&image);
                written.map_err(|error| unwritten(file, error))?;
                persist(temporary, file)?;
            }
            _ => print(&chart::in_terminal(&chart))?,
        }
        return Ok(0);
    }
    match output {
        None => {
            let stdout = std::io::stdout();
            let columns = stdout.is_terminal().then(terminal::width);
            let mut out = std::io::BufWriter::new(stdout.lock());
            answer.write(format, columns, &mut out).await?;
        }
        Some(file) => {
            let temporary = temporary_beside(file)?;
            let mut out = std::io::BufWriter::new(temporary.as_file());
            answer.write(format, None, &mut out).await?;
            drop(out);
            persist(temporary, file)?;
        }
    }
    drop(environment);
    Ok(0)
}

/// `checkout` of `jobs/checkout.toml`, `exports` of `s3://acme-logs/exports/`.
fn subject_name(subject: &str) -> &str {
    let last = subject.trim_end_matches('/').rsplit('/').next();
    last.map_or(subject, |name| name.trim_end_matches(".toml"))
}

fn sql_from_stdin() -> Result<String> {
    let mut stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Err(no_question());
    }
    let mut sql = String::new();
    stdin.read_to_string(&mut sql).map_err(|error| {
        Error::usage("can't read the question from standard input").caused_by(error)
    })?;
    Ok(sql)
}

fn no_question() -> Error {
    Error::usage(
        "no question: expected SQL as the second argument, such as \"SELECT count(*) FROM logs\", or on standard input",
    )
}

/// Every event below a location.
async fn over_location(environment: &Environment, args: &QueryArgs) -> Result<Session> {
    let here = std::env::current_dir()
        .map_err(|error| Error::usage("can't find out the working folder").caused_by(error))?;
    let location = Location::parse(&args.subject, &here).map_err(Error::usage)?;
    if let Location::Local(path) = &location
        && !path.exists()
    {
        return Err(Error::usage(format!(
            "{} does not exist: expected a job file (*.toml), a folder of exported objects or s3://bucket/prefix",
            path.display()
        )));
    }
    let timezone = args.timezone.unwrap_or(Tz::UTC);
    let range = range(args, timezone, None)?;
    let store = environment.stores.open(&location, Account::Source).await?;
    let objects = staging::every_object(&store, None).await?;
    session(environment, timezone, range, objects, &store)
}

/// The events of a job's exported windows.
async fn over_job(environment: &Environment, job: &Job, args: &QueryArgs) -> Result<Session> {
    let timezone = args.timezone.unwrap_or(job.timezone);
    let range = range(args, timezone, Some(job.window.size))?;
    let store = run::source_store(environment, job).await?;
    if let Source::Exported { log_group, .. } = &job.source {
        let objects = staging::every_object(&store, log_group.as_deref()).await?;
        return session(environment, timezone, range, objects, &store);
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
    let gone = without_export(environment, job, wanted, &exported).await;
    if exported.is_empty() {
        return Err(Error::usage(match gone.as_slice() {
            [] => not_exported(job, args),
            gone => exports_gone(gone, args),
        }));
    }
    if !gone.is_empty() {
        tracing::warn!(
            "the answer covers only the rest: {}",
            exports_gone(&gone, args)
        );
    } else if let Some(gap) = range.and_then(|range| gap(range, &exported)) {
        tracing::warn!(
            "nothing has been exported for the time from {gap}: the answer covers only the rest"
        );
    }
    session(environment, timezone, range, objects, &store)
}

fn not_exported(job: &Job, args: &QueryArgs) -> String {
    let name = &job.name;
    let what = match (&args.window, &args.from, &args.to) {
        (Some(id), ..) => format!("window {id} of the job {name} is not exported"),
        (_, Some(from), Some(to)) => {
            format!("no window from {from} to {to} of the job {name} is exported")
        }
        _ => format!("no window of the job {name} is exported"),
    };
    let job = &args.subject;
    format!("{what} yet: run `logtally run {job}` for it first")
}

/// The windows that are done and of which no export is there any more. Only to be told of: whoever may not look where the
/// answers are can ask all the same.
async fn without_export(
    environment: &Environment,
    job: &Job,
    wanted: Range,
    exported: &[Range],
) -> Vec<Window> {
    let mut done = run::done(environment, job)
        .await
        .inspect_err(|error| tracing::debug!("can't find out which windows are done: {error}"))
        .unwrap_or_default();
    done.retain(|window| {
        let meets = |other: &Range| !window.range().intersect(*other).is_empty();
        meets(&wanted) && !exported.iter().any(meets)
    });
    done
}

/// What to do about windows that are done and whose exports are gone.
fn exports_gone(windows: &[Window], args: &QueryArgs) -> String {
    let job = &args.subject;
    let (what, flags) = match windows {
        [first, .., last] => (
            format!(
                "{} windows from {} to {} are done, but their exports are",
                windows.len(),
                first.id(),
                last.id()
            ),
            format!("--from {} --to {}", first.id(), last.id()),
        ),
        [only] => (
            format!("window {} is done, but its export is", only.id()),
            format!("--window {}", only.id()),
        ),
        [] => return String::new(),
    };
    format!(
        "{what} not there any more ([source] keep deletes old ones): `logtally run {job} {flags} --force` exports again what the source still has"
    )
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

fn session(
    environment: &Environment,
    timezone: Tz,
    range: Option<Range>,
    objects: Vec<LogObject>,
    store: &Store,
) -> Result<Session> {
    let engine = &environment.engine;
    let logs = LogsTable::new(store, objects, range.unwrap_or(Range::ALL), engine.pool());
    let session = engine.session(timezone)?.with_logs(logs, Some(store))?;
    match range {
        Some(range) => session.with_window(range),
        None => Ok(session),
    }
}

/// The interval that the flags mean; `size` where a job says which ids are right.
fn range(args: &QueryArgs, timezone: Tz, size: Option<Size>) -> Result<Option<Range>> {
    let window = |id: &str| match size {
        _ if is_last_ended(id) => {
            Window::last_ended(size.unwrap_or_default(), timezone, Utc::now())
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
    };
    Ok(match (&args.window, &args.from, &args.to) {
        (Some(id), ..) => Some(window(id)?.range()),
        (_, Some(from), Some(to)) => {
            let range = Range {
                start_ms: window(from)?.range().start_ms,
                end_ms: window(to)?.range().end_ms,
            };
            if range.is_empty() {
                return Err(window::reversed(from, to));
            }
            Some(range)
        }
        _ => None,
    })
}

/// A file beside another, which takes its place when it is whole.
fn temporary_beside(file: &Path) -> Result<NamedTempFile> {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .map_err(|error| unwritten(file, error))
}

fn persist(temporary: NamedTempFile, file: &Path) -> Result<()> {
    temporary
        .persist(file)
        .map(drop)
        .map_err(|error| unwritten(file, error.error))
}

fn unwritten(file: &Path, error: std::io::Error) -> Error {
    Error::new(Class::Output, format!("can't write {}", file.display())).caused_by(error)
}
