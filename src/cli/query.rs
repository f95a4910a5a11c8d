//! `query`: a question in SQL, over a job's exported windows or straight over exported objects.

mod chart;

use std::fs::Permissions;
use std::io::{IsTerminal, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use clap::Args;
use futures::StreamExt;
use tempfile::NamedTempFile;

use super::logging::Show;
use super::{environment, job_environment, print};
use crate::aws::Account;
use crate::error::{Class, Error, Result};
use crate::export::staging;
use crate::job::{self, AwsSettings, Job, Location, Source};
use crate::layout::LogObject;
use crate::query::{Session, Statement};
use crate::run::{self, Environment};
use crate::scan::LogsTable;
use crate::store::Store;
use crate::window::{self, Range, Size, Window, is_last_ended};

/// A table of more rows than this can't be read by a person, and is held in memory until its widths are known.
const MOST_TABLE_ROWS: usize = 10_000;

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

    /// How to print the answer
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    /// Draw the answer: its first column along the x axis, its columns of numbers upwards, a column of text as the
    /// names of series
    #[arg(long, value_enum, value_name = "KIND", conflicts_with = "format")]
    chart: Option<chart::Drawing>,

    /// Write the answer to a file instead; with --chart one that ends with .png or .svg
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum Format {
    /// Columns that line up
    #[default]
    Table,
    /// Comma-separated values with a header
    Csv,
    /// An array of objects
    Json,
}

pub(super) async fn query(args: QueryArgs, show: Show) -> Result<u8> {
    let image = chart::image_format(args.chart, args.output.as_deref())?;
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
        match (&args.output, image) {
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
    match &args.output {
        None => {
            let stdout = std::io::stdout().lock();
            answer
                .write(args.format, &mut std::io::BufWriter::new(stdout))
                .await?;
        }
        Some(file) => {
            let temporary = temporary_beside(file)?;
            answer
                .write(
                    args.format,
                    &mut std::io::BufWriter::new(temporary.as_file()),
                )
                .await?;
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
        return Err(Error::usage(
            "no question: expected SQL as the second argument, such as \"SELECT count(*) FROM logs\", or on standard input",
        ));
    }
    let mut sql = String::new();
    stdin.read_to_string(&mut sql).map_err(|error| {
        Error::usage("can't read the question from standard input").caused_by(error)
    })?;
    Ok(sql)
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
    for export in staging::exports_of_job(&store, job.name.as_str()).await? {
        if !export.window_range.intersect(wanted).is_empty() {
            exported.push(export.window_range);
            objects.extend(export.objects);
        }
    }
    if let Some(gap) = range
        .and_then(|range| gap(range, &exported))
        .filter(|_| !exported.is_empty())
    {
        tracing::warn!(
            "nothing has been exported for the time from {gap}: the answer covers only the rest"
        );
    }
    if exported.is_empty() {
        let asked = match (&args.window, &args.from, &args.to) {
            (Some(id), ..) => format!("window {id} of the job {} is", job.name),
            (_, Some(from), Some(to)) => {
                format!("no window from {from} to {to} of the job {} is", job.name)
            }
            _ => format!("no window of the job {} is", job.name),
        };
        let not = if args.window.is_some() {
            "not exported"
        } else {
            "exported"
        };
        return Err(Error::usage(format!(
            "{asked} {not} yet: run `logtally run {}` for it first",
            args.subject
        )));
    }
    session(environment, timezone, range, objects, &store)
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

struct Answer {
    statement: Statement,
    batches: datafusion::execution::SendableRecordBatchStream,
}

impl Answer {
    async fn write(mut self, format: Format, out: &mut impl Write) -> Result<()> {
        let written = match format {
            Format::Table => self.write_table(out).await,
            Format::Csv => self.write_csv(out).await,
            Format::Json => self.write_json(out).await,
        };
        match written.and_then(|()| out.flush().map_err(unwritable)) {
            Err(Stop::Done) => Ok(()),
            Err(Stop::Failed(error)) => Err(error),
            Ok(()) => Ok(()),
        }
    }

    async fn next(&mut self) -> Result<Option<RecordBatch>, Stop> {
        let batch = self.batches.next().await.transpose();
        batch.map_err(|error| Stop::Failed(Error::from_engine(error)))
    }

    async fn write_table(&mut self, out: &mut impl Write) -> Result<(), Stop> {
        let mut batches = vec![RecordBatch::new_empty(self.statement.schema())];
        let mut rows = 0;
        while let Some(batch) = self.next().await? {
            let room = MOST_TABLE_ROWS - rows;
            if batch.num_rows() > room {
                batches.push(batch.slice(0, room));
                tracing::warn!(
                    "only the first {MOST_TABLE_ROWS} rows are shown; --format csv or json has them all"
                );
                break;
            }
            rows += batch.num_rows();
            batches.push(batch);
        }
        let table = pretty_format_batches(&batches).map_err(unshowable)?;
        // A message may hold what moves the cursor or colours all that follows.
        let table = table.to_string().replace(moves_the_cursor, "\u{fffd}");
        writeln!(out, "{table}").map_err(unwritable)
    }

    async fn write_csv(&mut self, out: &mut impl Write) -> Result<(), Stop> {
        let mut next = Some(RecordBatch::new_empty(self.statement.schema()));
        let mut header = true;
        while let Some(batch) = next {
            // Into memory first, as arrow's CSV errors don't tell a reader that has gone away from a value that has no
            // text.
            let mut text = Vec::new();
            let mut writer = arrow::csv::WriterBuilder::new()
                .with_header(header)
                .build(&mut text);
            writer.write(&batch).map_err(unshowable)?;
            drop(writer);
            out.write_all(&text).map_err(unwritable)?;
            header = false;
            next = self.next().await?;
        }
        Ok(())
    }

    async fn write_json(&mut self, out: &mut impl Write) -> Result<(), Stop> {
        let mut writer = arrow::json::WriterBuilder::new()
            .with_explicit_nulls(true)
            .build::<_, arrow::json::writer::JsonArray>(&mut *out);
        while let Some(batch) = self.next().await? {
            writer.write(&batch).map_err(unshowable)?;
        }
        writer.finish().map_err(unshowable)?;
        writeln!(out).map_err(unwritable)
    }
}

/// Why writing an answer ends early.
enum Stop {
    /// The reader has gone away, which is no error (`| head`).
    Done,
    Failed(Error),
}

/// Control characters; lines of a message stay lines.
fn moves_the_cursor(c: char) -> bool {
    c.is_control() && c != '\n'
}

fn unwritable(error: std::io::Error) -> Stop {
    match error.kind() {
        std::io::ErrorKind::BrokenPipe => Stop::Done,
        _ => Stop::Failed(Error::new(Class::Output, "can't write the answer").caused_by(error)),
    }
}

fn unshowable(error: arrow::error::ArrowError) -> Stop {
    match error {
        arrow::error::ArrowError::IoError(_, error) => unwritable(error),
        error => Stop::Failed(Error::new(
            Class::Sql,
            format!(
                "the answer can't be written in this format: {error}. Cast its columns, for instance to text with ::text"
            ),
        )),
    }
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
