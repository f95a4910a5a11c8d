//! `query`: a question in SQL, over a job's exported windows or straight over exported objects.

mod chart;
mod result;

use std::fs::Permissions;
use std::io::{IsTerminal, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono_tz::Tz;
use clap::Args;
use tempfile::NamedTempFile;

use result::{Format, QueryResult};

use super::logging::Show;
use super::{environment, print};
use crate::chart::model::Figure;
use crate::chart::terminal;
use crate::error::{Class, Error, Result};
use crate::job::{self, ImageFormat};
use crate::query::{Session, in_time};
use crate::run::Environment;
use crate::run::catalog::{self, CatalogError, CatalogRequest, Missing, Subject, Windows};
use crate::window::{self, Window};

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

    /// How long the query may take, such as 10m; then it ends with 6 [default: the job's, or no limit]
    #[arg(long, value_name = "LENGTH", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,

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
    let sql = question(args.sql.as_deref()).await?;
    let subject = Subject::load(&args.subject)?;
    let (name, limit) = match args.timeout {
        Some(limit) => ("--timeout", Some(limit)),
        None => ("[run] timeout", subject.timeout()),
    };
    // Its scratch folder lasts as long as the query.
    let environment = environment(subject.aws(), subject.memory(), show)?;
    let answering = async {
        let session = open(&environment, &subject, &args).await?;
        let statement = session.statement(&sql, "SQL").await?;
        let batches = session.run(&statement).await?.batches;
        let result = QueryResult { statement, batches };
        match args.chart {
            Some(drawing) => {
                let chart = chart::of(result, drawing, &session, &title(&args)).await?;
                show_chart(&chart, output.zip(image))
            }
            None => show_rows(result, format, output).await,
        }
    };
    in_time(name, limit, answering).await?;
    Ok(0)
}

/// Prints the chart, or writes it to a file in a format.
fn show_chart(chart: &Figure, output: Option<(&Path, ImageFormat)>) -> Result<()> {
    let Some((file, format)) = output else {
        return print(&chart::in_terminal(chart));
    };
    let image = chart::image(chart, format)?;
    let mut temporary = temporary_beside(file)?;
    temporary
        .write_all(&image)
        .map_err(|error| write_error(file, error))?;
    persist(temporary, file)
}

/// Prints the rows, or writes them to a file.
async fn show_rows(result: QueryResult, format: Format, output: Option<&Path>) -> Result<()> {
    let Some(file) = output else {
        let stdout = std::io::stdout();
        let columns = stdout.is_terminal().then(terminal::width);
        let mut out = std::io::BufWriter::new(stdout.lock());
        return result.write(format, columns, &mut out).await;
    };
    let temporary = temporary_beside(file)?;
    let mut out = std::io::BufWriter::new(temporary.as_file());
    result.write(format, None, &mut out).await?;
    drop(out);
    persist(temporary, file)
}

/// `checkout · 2026-11-21`: what was queried.
fn title(args: &QueryArgs) -> String {
    let window = args.window.as_deref().or(args.from.as_deref());
    let parts = [Some(subject_name(&args.subject)), window];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// `checkout` of `jobs/checkout.toml`, `exports` of `s3://acme-logs/exports/`.
fn subject_name(subject: &str) -> &str {
    let last = subject.trim_end_matches('/').rsplit('/').next();
    last.map_or(subject, |name| name.trim_end_matches(".toml"))
}

/// The SQL of the arguments, or of standard input.
async fn question(sql: Option<&str>) -> Result<String> {
    let sql = match sql {
        Some(sql) => sql.to_owned(),
        None => {
            // On a thread of its own, which a signal need not wait for.
            let (sent, sql) = tokio::sync::oneshot::channel();
            std::thread::spawn(move || sent.send(sql_from_stdin()));
            sql.await.map_err(|error| {
                Error::new(Class::Unexpected, "can't read the question").caused_by(error)
            })??
        }
    };
    match sql.trim_start_matches('\u{feff}').trim() {
        "" => Err(no_question()),
        _ => Ok(sql),
    }
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

/// The session that the arguments mean. Warns of time that it has no events of, and of events that it may have twice.
async fn open(environment: &Environment, subject: &Subject, args: &QueryArgs) -> Result<Session> {
    let request = CatalogRequest {
        windows: match (&args.window, &args.from, &args.to) {
            (Some(id), ..) => Windows::One(id.clone()),
            (_, Some(from), Some(to)) => Windows::FromTo(from.clone(), to.clone()),
            _ => Windows::All,
        },
        timezone: args.timezone,
    };
    let job = &args.subject;
    let catalog = catalog::open(environment, subject, &request)
        .await
        .map_err(|error| in_words(error, job))?;
    if let Some(note) = &catalog.note {
        tracing::warn!("{note}");
    }
    match &catalog.missing {
        None => {}
        Some(missing @ Missing::Deleted(windows)) => tracing::warn!(
            "the answer covers only the rest: {missing}: {}",
            export_again(windows, job)
        ),
        Some(missing @ Missing::NeverExported(_)) => {
            tracing::warn!("{missing}: the answer covers only the rest");
        }
    }
    Ok(catalog.session)
}

/// Why there is no session, with the command that helps.
fn in_words(error: CatalogError, job: &str) -> Error {
    match error {
        CatalogError::NotExported { .. } => {
            Error::usage(format!("{error}: run `logtally run {job}` for it first"))
        }
        CatalogError::Deleted(ref windows) => {
            Error::usage(format!("{error}: {}", export_again(windows, job)))
        }
        CatalogError::Reversed { from, to } => window::reversed(&from, &to),
        CatalogError::Failed(error) => error,
    }
}

fn export_again(windows: &[Window], job: &str) -> String {
    let flags = match windows {
        [] => String::new(),
        [only] => format!(" --window {}", only.id()),
        [first, .., last] => format!(" --from {} --to {}", first.id(), last.id()),
    };
    format!("`logtally run {job}{flags} --force` exports again what the source still has")
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
        .map_err(|error| write_error(file, error))
}

fn persist(temporary: NamedTempFile, file: &Path) -> Result<()> {
    temporary
        .persist(file)
        .map(drop)
        .map_err(|error| write_error(file, error.error))
}

fn write_error(file: &Path, error: std::io::Error) -> Error {
    Error::new(Class::Output, format!("can't write {}", file.display())).caused_by(error)
}
