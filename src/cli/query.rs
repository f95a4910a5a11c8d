//! `query`: questions in SQL, over a job's exported windows and answers or straight over exported objects and Parquet files.

mod asked;
pub(super) mod chart;
pub(super) mod library;
mod missing;
mod settings;
mod subject;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use chrono::DateTime;
use chrono_tz::Tz;
use clap::Args;

use super::cache::KeepArgs;
use super::logging::Show;
use super::printer::{Answer, Format, HEADING, PrintArgs, Printer, Target};
use super::progress::QueryLine;
use super::prompt::{Start, prompt};
use super::{Scratch, environment, print, until_stopped};
use crate::chart::build::AdHocCaption;
use crate::chart::model::Figure;
use crate::error::{Error, Result};
use crate::job::{self, ByteSize, ImageFormat, Language, Location, LookupTable, Name};
use crate::query::{
    Command, Execution, Parameter, Parameters, ScriptStatement, Session, Statement, in_time,
};
use crate::run::catalog::{self, Catalog, CatalogRequest, Subject, Windows};
use crate::run::{self, Environment};
use crate::window::{self, Range, Span, TODAY};

use asked::Asked;
use settings::Settings;

pub(super) use chart::{Drawing, Look};
pub(super) use missing::{in_words, warn};

/// The heading of the options that say what is read.
pub(super) const READ: &str = "What is read";

#[derive(Debug, Args)]
#[command(override_usage = "logtally query [OPTIONS] <JOB|LOCATION>... [SQL]")]
pub(super) struct QueryArgs {
    /// What is queried, and the question [default: standard input]. A job file (*.toml, in a bucket too, or - for standard
    /// input) has the tables logs(timestamp, message, log_group, log_stream, and account and region where the sources say
    /// them), the answers of its queries and its lookup tables. A folder, a file or s3://bucket/prefix has logs, which are exported objects, objects of a subscription or delivered
    /// logs, or Parquet files
    #[arg(value_name = "JOB|LOCATION [SQL]", required_unless_present = "list", num_args = 1..)]
    words: Vec<String>,

    /// List the queries of the library, which @NAME in place of the SQL asks; with a name, its header and SQL
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "")]
    list: Option<String>,

    /// A file that has the question, in a bucket too, or - for standard input. Several statements are answered in turn
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// The value of $NAME in the question; it is never SQL itself
    #[arg(short, long = "param", value_name = "NAME=VALUE", value_parser = pair, help_heading = READ)]
    params: Vec<(String, String)>,

    /// A lookup table to join with: CSV, TSV, NDJSON or Parquet, a file or folder here or on S3
    #[arg(long = "table", value_name = "NAME=PATH", value_parser = pair, help_heading = READ)]
    tables: Vec<(String, String)>,

    /// Export first what is missing of the windows, and again what may have got more events since
    #[arg(long, help_heading = READ)]
    fresh: bool,

    /// Only events and answers of this window: 2026-11-21, 2026-11-21T05, 2026-W47 or 2026-11; or last, the last one
    /// that ended (yesterday means the same), or today, as far as it is exported
    #[arg(long, value_name = "ID", conflicts_with_all = ["from", "to", "last"], help_heading = READ)]
    window: Option<String>,

    /// Only events and answers from this window …
    #[arg(long, value_name = "ID", requires = "to", conflicts_with = "last", help_heading = READ)]
    from: Option<String>,

    /// … to this one, both included
    #[arg(long, value_name = "ID", requires = "from", help_heading = READ)]
    to: Option<String>,

    /// Only events and answers of the last 24h, 7d, 2w or 3mo, up to the end of the last window that ended
    #[arg(long, value_name = "SPAN", help_heading = READ)]
    last: Option<Span>,

    /// The zone of windows and local times [default: the job's, or UTC]
    #[arg(long, value_name = "ZONE", value_parser = job::parse_zone, help_heading = READ)]
    timezone: Option<Tz>,

    /// How long the query may take, such as 10m; then it ends with 6 [default: the job's, or no limit]
    #[arg(long, value_name = "LENGTH", value_parser = job::parse_length)]
    timeout: Option<Duration>,

    /// The memory for the query, such as 2GiB; then it spills to disk [default: the job's, or 70 % of what there is]
    #[arg(long, value_name = "SIZE")]
    memory: Option<ByteSize>,

    /// Pay for the requests to a bucket that its owner has set up so (S3's Requester Pays) [default: as the job says]
    #[arg(long, help_heading = READ)]
    requester_pays: bool,

    /// Without personal data and secrets in messages, as the function mask returns them [default: as the job says]
    #[arg(long, help_heading = READ)]
    mask: bool,

    #[command(flatten)]
    keep: KeepArgs,

    #[cfg(feature = "cluster")]
    #[command(flatten)]
    workers: super::workers::WorkersArgs,

    #[command(flatten)]
    print: PrintArgs,

    /// Draw the answer: its first column along the x axis, its columns of numbers upwards, a column of text as the
    /// names of series
    #[arg(long, value_enum, value_name = "KIND", conflicts_with = "format", help_heading = HEADING)]
    chart: Option<chart::Drawing>,

    /// The scale of the values, for --chart line
    #[arg(
        long,
        alias = "y-scale",
        value_enum,
        value_name = "SCALE",
        requires = "chart",
        help_heading = HEADING
    )]
    chart_scale: Option<chart::Scale>,
}

/// `name=value`
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected a name and a value, such as min=500".to_owned()),
    }
}

impl QueryArgs {
    /// Whether queries are asked at a prompt: none is given, and the standard streams are a terminal.
    pub(super) fn are_of_prompt(&self) -> bool {
        let is_given = self.list.is_some() || self.file.is_some() || self.chart.is_some();
        let has_sql = || !matches!(subject::split(&self.words, false), Ok((_, None)));
        !is_given
            && !self.words.iter().any(|word| word == "-")
            && std::io::stdin().is_terminal()
            && std::io::stdout().is_terminal()
            && !has_sql()
    }
}

/// The environment with the workers of the arguments, or else of the subjects.
fn joined(
    #[cfg_attr(
        not(feature = "cluster"),
        expect(unused_variables, reason = "one feature reads it")
    )]
    args: &QueryArgs,
    environment: Environment,
    subjects: &[Subject],
) -> Result<Environment> {
    let of_jobs = Subject::workers_of_all(subjects);
    #[cfg(feature = "cluster")]
    return args.workers.join(environment, &of_jobs);
    #[cfg(not(feature = "cluster"))]
    super::without_workers(environment, &of_jobs)
}

pub(super) async fn query(args: QueryArgs, show: Show) -> Result<u8> {
    if let Some(name) = &args.list {
        print(&library::list(name)?)?;
        return Ok(0);
    }
    match args.are_of_prompt() {
        true => at_prompt(args, show).await,
        false => until_stopped(answer(args, show)).await,
    }
}

/// Answers queries until the user leaves.
async fn at_prompt(args: QueryArgs, show: Show) -> Result<u8> {
    let (names, _) = subject::split(&args.words, false)?;
    let format = args.print.format()?;
    if args.print.output().is_some() || format.is_binary() {
        return Err(Error::usage(
            "no query: --output and binary formats need one, such as \"SELECT count(*) FROM logs\"",
        )
        .with_hint(r"without them, logtally query opens its prompt, where \o FILE writes an answer to a file"));
    }
    let request = request(&args)?;
    let subjects = load(&names).await?;
    let settings = Settings::of(&args, &subjects)?;
    let environment = environment(settings.aws, settings.memory, Scratch::Needed, show)?;
    let mut environment = joined(&args, environment, &subjects)?;
    environment.columns = args.keep.columns()?;
    if args.fresh {
        until_stopped(async {
            export_first(&environment, &subjects, &request).await?;
            Ok(0)
        })
        .await?;
    }
    let destination = args.print.destination()?;
    let printer = args.print.printer(format, &destination, &environment, show);
    let printer = printer.await?;
    prompt(Start {
        request,
        environment,
        subjects,
        names: names.into_iter().map(str::to_owned).collect(),
        printer,
        limit: settings.limit,
        show,
    })
    .await
}

async fn load(names: &[&str]) -> Result<Vec<Subject>> {
    let mut subjects = Vec::with_capacity(names.len());
    for name in names {
        subjects.push(Subject::load(name).await?);
    }
    Ok(subjects)
}

async fn answer(args: QueryArgs, show: Show) -> Result<u8> {
    let (names, sql) = subject::split(&args.words, args.file.is_some())?;
    let destination = args.print.destination()?;
    let image = chart::image_format(args.chart, args.print.output())?;
    let format = match args.chart {
        None => args.print.format()?,
        Some(_) => Format::Table,
    };
    if names.contains(&"-") && sql.is_none() && args.file.is_none() {
        return Err(Error::usage(
            "no question: standard input has the job, so expected SQL as the last argument",
        ));
    }
    let mut request = request(&args)?;
    let asked = Asked::read(&args, sql).await?;
    if let Some(named) = asked.named {
        library::add_defaults(named, &mut request.parameters)?;
    }
    asked.check(&args, &request.parameters)?;
    let subjects = load(&names).await?;
    let settings = Settings::of(&args, &subjects)?;
    // Its scratch folder lasts as long as the query.
    let environment = environment(settings.aws, settings.memory, Scratch::Needed, show)?;
    let mut environment = joined(&args, environment, &subjects)?;
    environment.columns = args.keep.columns()?;
    let printer = args.print.printer(format, &destination, &environment, show);
    let printer = printer.await?;
    printer.check()?;
    if args.fresh {
        export_first(&environment, &subjects, &request).await?;
    }
    let answering = async {
        let catalog = catalog::open(&environment, subjects, &request).await?;
        let face = Face {
            args: &args,
            names: &names,
            catalog: &catalog,
            language: settings.language,
            printer: &printer,
            image,
            show,
        };
        let mut is_first = true;
        for statement in &asked.statements {
            is_first &= !face.answer(statement, &asked.origin, is_first).await?;
        }
        warn(&catalog, &names);
        // As a run does: once, behind the answers.
        catalog.read().warn(None, &catalog.oddities());
        Ok(())
    };
    let (name, limit) = settings.limit;
    in_time(name, limit, answering).await?;
    Ok(0)
}

/// Where the answers of a catalog go.
struct Face<'a> {
    args: &'a QueryArgs,
    /// The subjects as they were written.
    names: &'a [&'a str],
    catalog: &'a Catalog,
    language: Language,
    printer: &'a Printer,
    image: Option<ImageFormat>,
    show: Show,
}

impl Face<'_> {
    /// Answers a statement; whether anything was printed.
    async fn answer(
        &self,
        statement: &ScriptStatement,
        origin: &str,
        is_first: bool,
    ) -> Result<bool> {
        let started = Instant::now();
        let line = QueryLine::start(self.show);
        let session = &self.catalog.session;
        let planned = session.command(&statement.sql, origin).await;
        let statement = match planned.map_err(|error| self.in_words(error))? {
            Command::Query(statement) => statement,
            Command::ViewCreated(name) => {
                tracing::debug!(name, "a view was created");
                return Ok(false);
            }
        };
        let running = session.run(&statement).await;
        let execution = running.map_err(|error| self.in_words(error))?;
        match self.args.chart {
            Some(drawing) => {
                let look = Look {
                    drawing,
                    scale: self.args.chart_scale,
                    language: self.language,
                };
                let chart = self.draw(&statement, execution, &look, session).await?;
                drop(line);
                show_chart(
                    chart.as_ref(),
                    look.language,
                    &self.printer.target,
                    self.image,
                )
                .await?;
            }
            None => {
                // A blank line apart from the answer before it.
                if !is_first {
                    print("\n")?;
                }
                let answer = Answer::new(&statement, execution, started, line);
                self.printer.print(answer).await?;
            }
        }
        Ok(true)
    }

    /// The chart of an answer, with what was queried in its texts.
    async fn draw(
        &self,
        statement: &Statement,
        execution: Execution,
        look: &Look,
        session: &Session,
    ) -> Result<Option<Figure>> {
        if look.scale == Some(chart::Scale::Log) && look.drawing != Drawing::Line {
            return Err(Error::usage(
                "--chart-scale log goes with --chart line only: the length of a bar and the colour of a cell would say nothing",
            ));
        }
        let zone = session.timezone();
        let windows = windows(&self.catalog.request().windows, session.range(), zone);
        let short: Vec<&str> = self.names.iter().copied().map(subject_name).collect();
        let caption = AdHocCaption {
            subject: &short.join(", "),
            source: &self.names.join(", "),
            windows: windows
                .as_ref()
                .map(|(first, last)| (first.as_str(), last.as_str())),
            range: session.range(),
            zone,
        };
        chart::of(statement, execution.batches, look, &caption).await
    }

    fn in_words(&self, error: Error) -> Error {
        match self.catalog.missing_of(&error) {
            Some(missing) => in_words(missing, self.names),
            None => error,
        }
    }
}

/// Exports what is missing of the windows that are asked for.
async fn export_first(
    environment: &Environment,
    subjects: &[Subject],
    request: &CatalogRequest,
) -> Result<()> {
    let mut jobs = subjects.iter().filter_map(Subject::job).peekable();
    if jobs.peek().is_none() {
        return Err(Error::usage(
            "--fresh exports the windows of a job, and there is no job here: expected a job file",
        ));
    }
    for job in jobs {
        let selection = request.windows.selection(job, environment.clock.now())?;
        run::export_fresh(environment, job, selection).await?;
    }
    Ok(())
}

/// The first and the last window of the arguments: of `--last` and of words such as `yesterday`, the days of their time.
pub(super) fn windows(
    wanted: &Windows,
    range: Option<Range>,
    zone: Tz,
) -> Option<(String, String)> {
    let range = range?;
    let is_id = |id: &&String| !window::is_last_ended(id) && *id != TODAY;
    let day = |ms: i64| {
        let at = DateTime::from_timestamp_millis(ms).unwrap_or_default();
        at.with_timezone(&zone).format("%Y-%m-%d").to_string()
    };
    let (from, to) = match wanted {
        Windows::One(id) => (Some(id), Some(id)),
        Windows::FromTo(from, to) => (Some(from), Some(to)),
        Windows::Last(_) | Windows::All => (None, None),
    };
    let from = from.filter(is_id).cloned();
    let to = to.filter(is_id).cloned();
    Some((
        from.unwrap_or_else(|| day(range.start_ms)),
        to.unwrap_or_else(|| day(range.end_ms - 1)),
    ))
}

/// Prints the chart, or writes it to a file or an object in a format.
async fn show_chart(
    chart: Option<&Figure>,
    language: Language,
    target: &Target,
    format: Option<ImageFormat>,
) -> Result<()> {
    let Some(chart) = chart else {
        if format.is_some() {
            tracing::warn!("the answer has no rows to draw, and no file is written");
        }
        return print(&format!("{}\n", chart::no_rows(language)));
    };
    let Some(format) = format else {
        return print(&chart::in_terminal(chart));
    };
    let image = chart::image(chart, format)?;
    target.put(image, format.content_type()).await
}

/// `checkout` of `jobs/checkout.toml`, `exports` of `s3://acme-logs/exports/`.
pub(super) fn subject_name(subject: &str) -> &str {
    let last = subject.trim_end_matches('/').rsplit('/').next();
    last.map_or(subject, |name| name.trim_end_matches(".toml"))
}

/// What the arguments ask for. An error (usage) for a parameter or a table whose name or path is wrong.
fn request(args: &QueryArgs) -> Result<CatalogRequest> {
    let mut parameters = Parameters::default();
    for (name, value) in &args.params {
        let added = parameters.add(name, Parameter::any(value));
        added.map_err(|message| Error::usage(format!("-p {name}: {message}")))?;
    }
    Ok(CatalogRequest {
        windows: match (&args.window, &args.from, &args.to, args.last) {
            (Some(id), ..) => Windows::One(id.clone()),
            (_, Some(from), Some(to), _) => Windows::FromTo(from.clone(), to.clone()),
            (.., Some(span)) => Windows::Last(span),
            _ => Windows::All,
        },
        timezone: args.timezone,
        mask: args.mask,
        parameters,
        tables: lookup_tables(&args.tables)?,
    })
}

/// The lookup tables of `--table name=path`. An error (usage) for a wrong name or path.
pub(super) fn lookup_tables(given: &[(String, String)]) -> Result<Vec<LookupTable>> {
    let here = std::env::current_dir()
        .map_err(|error| Error::usage("can't find out the working folder").caused_by(error))?;
    let table = |(name, path): &(String, String)| {
        let table = Name::new(name).and_then(|name| {
            Ok(LookupTable {
                name,
                path: Location::parse(path, &here)?,
                columns: BTreeMap::new(),
            })
        });
        table.map_err(|message| Error::usage(format!("--table {name}: {message}")))
    };
    given.iter().map(table).collect()
}
