//! The command line: its arguments, one file for each command, and what is printed meanwhile.

mod archive;
mod cache;
mod completions;
mod ddl;
mod doctor;
mod hints;
mod init;
#[cfg(any(feature = "cluster", feature = "serve"))]
mod listen;
mod man;
mod plan;
mod printer;
pub(crate) mod progress;
mod prompt;
mod query;
mod run;
mod schema;
#[cfg(feature = "serve")]
mod serve;
mod status;
#[cfg(feature = "cluster")]
mod worker;
#[cfg(feature = "cluster")]
mod workers;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::chart::text::{printable, printable_json};
use crate::error::{Class, Error, Result};
#[cfg(not(feature = "cluster"))]
use crate::job::WorkerAddress;
use crate::job::{AwsSettings, Job};
use crate::logging;
use crate::panics;
use crate::run::{Environment, Force, Request, Selection, UNCERTAIN, job_file};
use crate::runtimes::{STACK, of_queries, of_signals};
use crate::state::lease;
use crate::temporary;
use crate::window::Span;

/// How long running work may take to notice that it is to stop.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Nightly answers from CloudWatch Logs: SQL over exported logs, Parquet for Athena, charts for people
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    verbosity: Verbosity,
}

const EXIT_CODES: &str = "\
Exit codes:
  0 done, or nothing to do        6 the SQL failed
  1 a bug or unexpected failure   7 refused or failed at the output
  2 wrong job, arguments or AWS   8 another run holds this window
    settings                      9 run --strict: provisional, not as
  3 the export slot or the          expected, not verified or behind;
    export did not come in time     status --check: not done; doctor:
  4 refused or failed at the        not all was tried
    source of the logs, or no   130, 143 interrupted; the next run
    AWS credentials                 goes on from there
  5 the data is damaged          10 no worker can be reached, or
                                    workers were lost";

#[derive(Debug, Args)]
struct Verbosity {
    /// Say only what went wrong
    #[arg(
        short,
        long,
        global = true,
        conflicts_with = "verbose",
        help_heading = "On stderr"
    )]
    quiet: bool,

    /// Say more; -vv says everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "On stderr")]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Do a job: export the logs, answer its questions, write Parquet, charts and a receipt
    Run(run::RunArgs),
    /// Show what `run` would do, without doing it
    Plan(plan::PlanArgs),
    /// Show where each window stands: settled, provisional, running, failed, interrupted or missing
    Status(status::StatusArgs),
    /// Ask a question in SQL over a job's exported windows, or over exported objects
    Query(query::QueryArgs),
    /// Show or clear what `query` keeps on this machine of the events that it has read
    Cache(cache::CacheArgs),
    /// Make the archives of windows whose exports are kept, without answering the job's questions
    Archive(archive::ArchiveArgs),
    /// Serve the same tables over PostgreSQL's protocol, to psql, DBeaver, Grafana or pandas
    #[cfg(feature = "serve")]
    Serve(serve::ServeArgs),
    /// Read a part of the objects of other processes' queries, which name this worker with --workers
    #[cfg(feature = "cluster")]
    Worker(worker::WorkerArgs),
    /// Print the tables of a job's answers as SQL for Athena, Spark, DuckDB or Trino, or put them into Glue
    Ddl(ddl::DdlArgs),
    /// Find out whether the next run of a job will work: permissions, buckets, log groups, cost
    Doctor(doctor::DoctorArgs),
    /// Write a first job file and the policies that it needs on AWS
    Init(init::InitArgs),
    /// Print the JSON Schema of the job file, by which an editor completes and checks it
    Schema,
    /// Print what a shell completes: sub-commands, options, files
    Completions(completions::CompletionsArgs),
    /// Print the manual page of a command for `man -l -`, or write all pages into a folder
    Man(man::ManArgs),
}

/// Which windows.
#[derive(Debug, Args)]
struct SpanArgs {
    /// The window, in the size of the job's windows: 2026-11-21, 2026-11-21T05, 2026-W47 or 2026-11; or
    /// last, the last one that ended (yesterday means the same)
    #[arg(long, value_name = "ID", conflicts_with_all = ["from", "to", "last"])]
    window: Option<String>,

    /// Every window from this one …
    #[arg(long, value_name = "ID", requires = "to", conflicts_with = "last")]
    from: Option<String>,

    /// … to this one, both included
    #[arg(long, value_name = "ID", requires = "from")]
    to: Option<String>,

    /// The windows of the last 24h, 7d, 2w or 3mo, up to the last that ended
    #[arg(long, value_name = "SPAN")]
    last: Option<Span>,
}

/// Which windows, and what of them to do again.
#[derive(Debug, Args)]
struct WindowArgs {
    #[command(flatten)]
    span: SpanArgs,

    /// Do again what is done: the answers, from the kept export; with =export the export as well
    #[arg(long, value_name = "WHAT", num_args = 0..=1, require_equals = true, default_missing_value = "answers")]
    force: Option<ForceArg>,

    /// Also take a window that has not ended
    #[arg(long)]
    provisional: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum ForceArg {
    Answers,
    Export,
}

impl SpanArgs {
    fn selection(&self) -> Selection {
        match (&self.window, &self.from, &self.to, self.last) {
            (Some(id), ..) => Selection::Id(id.clone()),
            (_, Some(from), Some(to), _) => Selection::FromTo(from.clone(), to.clone()),
            (.., Some(span)) => Selection::Last(span),
            _ => Selection::Default,
        }
    }
}

impl WindowArgs {
    fn request(&self) -> Request {
        Request {
            selection: self.span.selection(),
            force: match self.force {
                None => Force::No,
                Some(ForceArg::Answers) => Force::Recompute,
                Some(ForceArg::Export) => Force::Export,
            },
            provisional: self.provisional,
        }
    }
}

impl Command {
    /// How long what runs may go on behind a signal to stop.
    fn grace(&self) -> Duration {
        match self {
            #[cfg(feature = "serve")]
            Self::Serve(args) => args.grace(),
            #[cfg(feature = "cluster")]
            Self::Worker(args) => args.grace(),
            _ => Duration::ZERO,
        }
    }
}

/// Runs the program with the process's own arguments.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().map(not_a_flag).collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => return wrong_arguments(&arguments, error),
        Err(help) => help.exit(),
    };
    let show = logging::start(cli.verbosity.quiet, cli.verbosity.verbose);
    panics::note_places();
    let heeds_interrupts = matches!(&cli.command, Command::Query(args) if args.are_of_prompt());
    let within = cli.command.grace() + STOP_WITHIN;
    let started = of_queries().and_then(|runtime| {
        let ended = on_own_thread(&runtime, cli.command, show)?;
        Ok((runtime, of_signals()?, ended))
    });
    let (runtime, signals, ended) = match started {
        Ok(started) => started,
        Err(error) => {
            logging::say(&format!("error: can't start: {error}"));
            return ExitCode::from(Class::Unexpected.exit_code());
        }
    };
    let ended = signals.block_on(async {
        tokio::select! {
            ended = ended => ended.unwrap_or_else(|gone| {
                Err(Error::new(Class::Unexpected, "the command ended without a result").caused_by(gone))
            }),
            stop = unheeded_stop(heeds_interrupts, within) => Err(stop.error("")),
        }
    });
    // Decoding that is under way ends at its next batch; nothing half-written is left, as puts are
    // whole. A computation that holds its thread drops nothing.
    runtime.shutdown_timeout(STOP_WITHIN);
    lease::wait_for_releases();
    temporary::remove_all();
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            logging::error(show, &error);
            ExitCode::from(error.class().exit_code())
        }
    }
}

/// Carries the command out on a thread with a large stack, which the thread that waits for signals need not wait for.
fn on_own_thread(
    runtime: &Runtime,
    command: Command,
    show: logging::Show,
) -> std::io::Result<oneshot::Receiver<Result<u8>>> {
    let (sender, ended) = oneshot::channel();
    let runtime = runtime.handle().clone();
    let work = move || {
        let ended = runtime.block_on(panics::caught(dispatch(command, show)));
        // The process ends already where the result is not waited for.
        let _ = sender.send(ended.flatten());
    };
    let thread = std::thread::Builder::new().name("command".to_owned());
    thread.stack_size(STACK).spawn(work)?;
    Ok(ended)
}

/// Prints what is wrong with the arguments as every other failure is printed: a log gets one line, and a reader of a run's
/// JSON a document.
fn wrong_arguments(arguments: &[OsString], mut error: clap::Error) -> ExitCode {
    hints::add(&mut error, arguments);
    let has = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
    let text = error.render().to_string();
    let text = text.trim().trim_start_matches("error: ").to_owned();
    let own = Error::usage(text);
    let code = ExitCode::from(own.class().exit_code());
    let as_json = has("run") && has("--json");
    if let Err(own) = run::failed_early(own, as_json) {
        if std::io::stderr().is_terminal() {
            // In clap's colours. If stderr can't be written, nothing is left to report that to.
            let _ = error.print();
        } else {
            let show = logging::start(false, 0);
            logging::error(show, &own);
        }
    }
    code
}

/// SQL may begin with a comment, which the parser would take for a flag.
fn not_a_flag(argument: OsString) -> OsString {
    match argument.to_str().and_then(|text| text.strip_prefix("--")) {
        Some(rest) if rest.starts_with(char::is_whitespace) => {
            OsString::from(format!("\n--{rest}"))
        }
        _ => argument,
    }
}

async fn dispatch(command: Command, show: logging::Show) -> Result<u8> {
    match command {
        // It prints what it did also when it is stopped.
        Command::Run(args) => run::run(args, show).await,
        Command::Plan(args) => until_stopped(plan::plan(args, show)).await,
        Command::Status(args) => until_stopped(status::status(args, show)).await,
        // A prompt goes on where Ctrl-C ends a query.
        Command::Query(args) => query::query(args, show).await,
        Command::Cache(args) => cache::cache(&args),
        Command::Archive(args) => until_stopped(archive::archive(args, show)).await,
        // A signal to stop is its ordinary end.
        #[cfg(feature = "serve")]
        Command::Serve(args) => serve::serve(args, show).await,
        #[cfg(feature = "cluster")]
        Command::Worker(args) => worker::worker(args, show).await,
        Command::Ddl(args) => until_stopped(ddl::ddl(args, show)).await,
        Command::Doctor(args) => until_stopped(doctor::doctor(args, show)).await,
        Command::Init(args) => init::init(&args),
        Command::Schema => schema::schema(),
        Command::Completions(args) => completions::completions(&args),
        Command::Man(args) => man::man(&args),
    }
}

async fn until_stopped(work: impl Future<Output = Result<u8>>) -> Result<u8> {
    tokio::select! {
        ended = work => ended,
        stop = stop_signal() => Err(stop.error("")),
    }
}

/// A signal that ends the process.
struct StopSignal {
    class: Class,
    name: &'static str,
}

impl StopSignal {
    /// Why the command ends; `remains` is what it leaves behind, with its punctuation.
    fn error(&self, remains: &str) -> Error {
        Error::new(self.class, format!("stopped by {}{remains}", self.name))
    }
}

/// Returns when the process gets a signal to stop.
async fn stop_signal() -> StopSignal {
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return std::future::pending().await;
    };
    let (class, name) = tokio::select! {
        _ = interrupt.recv() => (Class::Interrupted, "Ctrl-C"),
        _ = terminate.recv() => (Class::Terminated, "SIGTERM"),
    };
    StopSignal { class, name }
}

/// Returns so long after a signal to stop, which a command ends by itself unless a computation holds its thread. A prompt
/// goes on behind Ctrl-C.
async fn unheeded_stop(is_prompt: bool, within: Duration) -> StopSignal {
    let mut stop = stop_signal().await;
    while is_prompt && stop.class == Class::Interrupted {
        stop = stop_signal().await;
    }
    tokio::time::sleep(within).await;
    stop
}

/// Whether a command has temporary files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scratch {
    Needed,
    NotNeeded,
}

/// The real things.
fn environment(
    aws: AwsSettings,
    memory: Option<u64>,
    scratch: Scratch,
    show: logging::Show,
) -> Result<Environment> {
    let scratch = match scratch {
        Scratch::NotNeeded => None,
        Scratch::Needed => Some(crate::run::Scratch::new()?),
    };
    Environment::real(aws, memory, scratch, progress::new(show))
}

/// The job in a file, and the real things that a command needs which computes no answers of it.
async fn job_environment(file: &Path, show: logging::Show) -> Result<(Job, Environment)> {
    let job = job_file::load(file).await?;
    let environment = environment_of(&job, Scratch::NotNeeded, show)?;
    Ok((job, environment))
}

fn environment_of(job: &Job, scratch: Scratch, show: logging::Show) -> Result<Environment> {
    environment(job.aws.clone(), job.limits.memory, scratch, show)
}

/// The environment of jobs that name workers.
///
/// # Errors
/// `Usage`: this program is built without them.
#[cfg(not(feature = "cluster"))]
fn without_workers(environment: Environment, of_jobs: &[WorkerAddress]) -> Result<Environment> {
    match of_jobs {
        [] => Ok(environment),
        [first, ..] => Err(Error::usage(format!(
            "[run] workers: {first} can't be used, as this program is built without the feature cluster: expected no workers, or a program with it"
        ))),
    }
}

/// Writes words to stdout. Names of log groups, failures of earlier runs and cells of answers can have any character: those
/// that would act on a terminal are shown by their code.
fn print(text: &str) -> Result<()> {
    write(&printable(text))
}

/// Writes what programs read to stdout, as it is; but a terminal gets it as words.
fn print_exact(text: &str) -> Result<()> {
    match std::io::stdout().is_terminal() {
        true => print(text),
        false => write(text),
    }
}

/// Writes to stdout; a reader that has gone away is no error.
fn write(text: &str) -> Result<()> {
    use std::io::Write;
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::new(Class::Output, "can't write to stdout").caused_by(error))
        }
        _ => Ok(()),
    }
}

/// Prints a document: on a terminal in lines, else in one line, as programs read it.
fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let json = match std::io::stdout().is_terminal() {
        true => serde_json::to_string_pretty(value),
        false => serde_json::to_string(value),
    };
    let json =
        json.map_err(|error| Error::new(Class::Unexpected, "can't write JSON").caused_by(error))?;
    write(&(printable_json(&json) + "\n"))
}

/// The job file, as the commands take it: a path, `s3://bucket/key`, or `-` for standard input.
type JobFile = PathBuf;
