//! What `query` and its prompt print: a table to be read, or the answer in a format of programs. The face says how, in a
//! [`Printer`]; the rows are written as they come, in memory that does not grow with the answer.

mod args;
mod arrow;
mod cell;
mod encoder;
mod format;
mod json;
mod markdown;
mod out;
mod parquet;
mod plan;
mod rows;
mod screen;
mod separated;
mod stop;
mod style;
mod table;
mod target;
mod texts;
mod vertical;
mod writer;

use std::borrow::Cow;
use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use ::arrow::array::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryPool;

use super::logging::say;
use super::progress::QueryLine;
use crate::batch_bytes::bytes_of;
use crate::chart::text::{printable, printable_json};
use crate::error::{Error, Result};
use crate::numbers::counted;
use crate::query::{Execution, Statement};

use self::arrow::Arrow;
use crate::values::Holds;
use encoder::Encoder;
use json::Json;
use markdown::Markdown;
use out::Out;
use rows::Rows;
use separated::Separated;
use stop::Stop;
use style::Style;
use table::Table;
use texts::{Texts, rounded};
use vertical::Vertical;

pub use args::{HEADING, PrintArgs};
pub use cell::cell;
pub use format::Format;
pub use screen::Screen;
pub use target::{Destination, Target};

/// More rows than this are no longer read as a table, and a table is held in memory until its widths are known.
const MOST_TABLE_ROWS: usize = 10_000;

/// Whether rows are wider than the screen is decided by the first of them: this many rows, or this many bytes.
const FIRST_ROWS: usize = 1000;
const FIRST_BYTES: usize = 8 << 20;

/// Whether each column of a row has a line of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Expanded {
    /// Where a table would be wider than the screen
    #[default]
    Auto,
    /// Always, as --format vertical
    On,
    /// Never: a wide table is cut, or wider than the screen
    Off,
}

/// How answers are printed. A face may change it between two answers.
#[derive(Debug, Clone)]
pub struct Printer {
    /// The format.
    pub format: Format,
    /// Of a table: whether its rows are expanded.
    pub expanded: Expanded,
    /// Whether a table has colours.
    pub color: bool,
    /// The terminal that stdout is; `None` where it is none. Its size can change: see [`Screen::of_stdout`].
    pub screen: Option<Screen>,
    /// Whether what is longer than the screen goes through a pager.
    pub pager: bool,
    /// Whether the line below a table has the time that the query took.
    pub timing: bool,
    /// Whether nothing is said of what was written to a file.
    pub quiet: bool,
    /// Where answers go.
    pub target: Target,
    /// A folder for temporary files.
    pub scratch: PathBuf,
}

/// A query that runs, to be printed.
pub struct Answer {
    names: Vec<String>,
    batches: SendableRecordBatchStream,
    pool: Arc<dyn MemoryPool>,
    is_plan: bool,
    started: Instant,
    line: Option<QueryLine>,
}

impl Answer {
    /// The answer of a statement whose query was started at a time. The line shows how far it is, until its first row is
    /// printed.
    pub fn new(
        statement: &Statement,
        execution: Execution,
        started: Instant,
        line: Option<QueryLine>,
    ) -> Self {
        if let Some(line) = &line {
            line.watch(execution.progress());
        }
        Self {
            names: statement.headings(),
            is_plan: statement.is_plan(),
            batches: execution.batches,
            pool: execution.pool,
            started,
            line,
        }
    }
}

impl Printer {
    /// An error (usage) where the format can't be shown by the target: found out before the query is computed.
    pub fn check(&self) -> Result<()> {
        match (&self.target, self.screen) {
            (Target::Stdout, Some(_)) if self.format.is_binary() => Err(Error::usage(
                "a terminal can't show Parquet or Arrow: expected --output FILE, or standard output in a file or a pipe",
            )),
            _ => Ok(()),
        }
    }

    /// Prints the answer, and waits until its pager is quit. A reader that goes away early is no error.
    ///
    /// # Errors
    /// The query's own, and output for what can't be written; a file or an object is left as it was then.
    pub async fn print(&self, answer: Answer) -> Result<()> {
        self.check()?;
        let Answer {
            names,
            batches,
            pool,
            is_plan,
            started,
            line,
        } = answer;
        let printed = async {
            let mut rows = Rows::new(batches, names, self.holds())?;
            if self.format == Format::Parquet {
                return self.parquet(&mut rows, &pool, started, line).await;
            }
            // A program that reads stdout in parts has no pager, whatever it is.
            let screen = self
                .screen
                .filter(|_| self.pager && !self.format.is_binary());
            let mut out = Out::begin(&self.target, &self.scratch, screen, line)?;
            let written = self.write(&mut rows, is_plan, started, &mut out).await;
            match written {
                Ok(()) | Err(Stop::Done) => out.finish(self.format).await?,
                Err(failed) => {
                    out.abandon().await;
                    return Err(failed);
                }
            }
            self.say_what_was_written(rows.count(), started);
            Ok(())
        };
        match printed.await {
            Ok(()) | Err(Stop::Done) => Ok(()),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    /// Prints words, through a pager if they are longer than the screen. Names of columns are as files have them: what would act
    /// on a terminal is shown by its code.
    ///
    /// # Errors
    /// Output, for what can't be written.
    pub async fn text(&self, text: &str) -> Result<()> {
        let screen = self.screen.filter(|_| self.pager);
        let printed = async {
            let mut out = Out::begin(&Target::Stdout, &self.scratch, screen, None)?;
            match out.write(printable(text).into_owned().into_bytes()).await {
                Ok(()) | Err(Stop::Done) => out.finish(Format::Table).await,
                Err(failed) => {
                    out.abandon().await;
                    Err(failed)
                }
            }
        };
        match printed.await {
            Ok(()) | Err(Stop::Done) => Ok(()),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    /// The values that the format has.
    fn holds(&self) -> Holds {
        match self.format {
            Format::Json | Format::Ndjson => Holds::Json,
            Format::Parquet => Holds::Parquet,
            Format::Arrow | Format::ArrowStream => Holds::Arrow,
            Format::Table | Format::Vertical | Format::Csv | Format::Tsv | Format::Markdown => {
                Holds::Text
            }
        }
    }

    /// The terminal that shows the answer.
    fn shown_on(&self) -> Option<Screen> {
        self.screen
            .filter(|_| matches!(self.target, Target::Stdout))
    }

    fn style(&self) -> Style {
        Style {
            is_on: self.color && matches!(self.target, Target::Stdout),
        }
    }

    async fn write(
        &self,
        rows: &mut Rows,
        is_plan: bool,
        started: Instant,
        out: &mut Out,
    ) -> Result<(), Stop> {
        if is_plan && self.format.is_for_eyes() {
            return self.plan(rows, out).await;
        }
        match self.format {
            Format::Table if self.expanded != Expanded::On => self.table(rows, started, out).await,
            Format::Table | Format::Vertical => self.vertical(Vec::new(), rows, started, out).await,
            // The end of a file has the places of its batches, which a pipe can't go back to.
            Format::Arrow if matches!(self.target, Target::Stdout) => {
                encode(Box::new(Arrow::stream()), as_it_is, rows, out).await
            }
            format => match encoder(format, rows) {
                Some(encoder) => encode(encoder, self.shown_as(), rows, out).await,
                None => Ok(()),
            },
        }
    }

    /// How what an encoder made is written: a terminal gets nothing that acts on it, a file or a pipe gets all as it is.
    fn shown_as(&self) -> fn(Vec<u8>) -> Vec<u8> {
        match (self.shown_on(), self.format) {
            (Some(_), Format::Csv | Format::Tsv) => |text| shown(text, printable),
            (Some(_), Format::Json | Format::Ndjson) => |text| shown(text, printable_json),
            _ => as_it_is,
        }
    }

    /// The lines of a plan.
    async fn plan(&self, rows: &mut Rows, out: &mut Out) -> Result<(), Stop> {
        let mut plans = Vec::new();
        while let Some(batch) = rows.next().await? {
            each_row(&batch, &mut |row| plans.push(row.to_vec()))?;
        }
        let columns = self.shown_on().map(|screen| screen.columns);
        let text = plan::text(&plans, columns, self.style());
        out.write(text.into_bytes()).await
    }

    /// A table, or expanded rows where that would be too wide.
    async fn table(&self, rows: &mut Rows, started: Instant, out: &mut Out) -> Result<(), Stop> {
        let screen = self.shown_on().map(|screen| screen.columns);
        let (names, kinds) = (rows.names(), rows.kinds().to_vec());
        let mut table = Table::new(&names, &kinds, screen);
        let first = first_batches(rows).await?;
        for batch in &first {
            each_row(batch, &mut |row| table.append(row))?;
        }
        if self.expanded == Expanded::Auto && !table.fits() {
            drop(table);
            return self.vertical(first, rows, started, out).await;
        }
        drop(first);
        while table.rows() <= MOST_TABLE_ROWS
            && let Some(batch) = rows.next().await?
        {
            let room = MOST_TABLE_ROWS + 1 - table.rows();
            let batch = batch.slice(0, batch.num_rows().min(room));
            each_row(&batch, &mut |row| table.append(row))?;
        }
        let is_cut = table.rows() > MOST_TABLE_ROWS;
        table.truncate(MOST_TABLE_ROWS);
        let shown = table.rows() as u64;
        let footer = self.footer(shown, is_cut, started);
        let is_said = !is_cut || footer.is_some();
        let text = table.text(self.style()) + &footer.unwrap_or_default();
        out.write(text.into_bytes()).await?;
        if !is_said {
            tracing::warn!(
                "only the first {MOST_TABLE_ROWS} rows are shown; --format csv or json has them all"
            );
        }
        Ok(())
    }

    /// Expanded rows: `first`, then the others.
    async fn vertical(
        &self,
        first: Vec<RecordBatch>,
        rows: &mut Rows,
        started: Instant,
        out: &mut Out,
    ) -> Result<(), Stop> {
        let columns = self.shown_on().map(|screen| screen.columns);
        let mut vertical = Vertical::new(&rows.names(), columns, self.style());
        let mut first = first.into_iter();
        loop {
            let batch = match first.next() {
                Some(batch) => batch,
                None => match rows.next().await? {
                    Some(batch) => batch,
                    None => break,
                },
            };
            let mut text = String::new();
            each_row(&batch, &mut |row| vertical.append(row, &mut text))?;
            out.write(text.into_bytes()).await?;
        }
        let footer = self.footer(rows.count(), false, started);
        out.write(footer.unwrap_or_default().into_bytes()).await
    }

    async fn parquet(
        &self,
        rows: &mut Rows,
        pool: &Arc<dyn MemoryPool>,
        started: Instant,
        line: Option<QueryLine>,
    ) -> Result<(), Stop> {
        if let Some(draft) = self.target.draft(&self.scratch)? {
            parquet::write(rows, draft.path(), pool).await?;
            draft.publish(self.format.content_type()).await?;
            drop(line);
            self.say_what_was_written(rows.count(), started);
            return Ok(());
        }
        // Its end is written from what is in it, so that it goes to a pipe when it is whole.
        let failed = |error| target::write_error("a temporary file", error);
        let whole = target::new_file(&self.scratch).map_err(failed)?;
        parquet::write(rows, whole.path(), pool).await?;
        let mut out = Out::begin(&self.target, &self.scratch, None, line)?;
        let mut file = whole.reopen().map_err(failed)?;
        loop {
            let mut block = Vec::new();
            let read = (&mut file).take(COPIED_BYTES).read_to_end(&mut block);
            if read.map_err(failed)? == 0 {
                return out.finish(self.format).await;
            }
            out.write(block).await?;
        }
    }

    /// `(12 rows, 0.4 s)`, below an answer on a terminal.
    fn footer(&self, rows: u64, is_cut: bool, started: Instant) -> Option<String> {
        self.shown_on()?;
        let mut footer = counted(rows, "row");
        if is_cut {
            footer = format!("the first {footer}; --format csv or json has them all");
        }
        if self.timing {
            footer += &format!(", {}", seconds(started));
        }
        Some(format!("({footer})\n"))
    }

    /// Says on a terminal what is in a file, since nothing else shows it.
    fn say_what_was_written(&self, rows: u64, started: Instant) {
        let is_shown = !self.quiet && std::io::stderr().is_terminal();
        if is_shown && !matches!(self.target, Target::Stdout) {
            let (rows, name) = (counted(rows, "row"), self.target.name());
            say(&format!("{rows} in {name} ({})", seconds(started)));
        }
    }
}

/// The bytes of a file that are copied at a time.
const COPIED_BYTES: u64 = 1 << 20;

/// `0.4 s`
fn seconds(since: Instant) -> String {
    let seconds = since.elapsed().as_secs_f64();
    match seconds < 0.1 {
        true => format!("{seconds:.3} s"),
        false => format!("{seconds:.1} s"),
    }
}

/// The first rows, by which a table is laid out.
async fn first_batches(rows: &mut Rows) -> Result<Vec<RecordBatch>, Stop> {
    let mut first = Vec::new();
    let (mut count, mut bytes) = (0, 0);
    while count < FIRST_ROWS
        && bytes < FIRST_BYTES
        && let Some(batch) = rows.next().await?
    {
        count += batch.num_rows();
        bytes += bytes_of(&batch);
        first.push(batch);
    }
    Ok(first)
}

/// Hands each row of a batch on, as texts.
fn each_row(batch: &RecordBatch, take: &mut dyn FnMut(&[Option<String>])) -> Result<(), Stop> {
    let columns: Vec<_> = batch.columns().iter().map(rounded).collect();
    let texts = columns.iter().map(Texts::new);
    let texts = texts.collect::<Result<Vec<_>, _>>()?;
    let mut row = Vec::with_capacity(texts.len());
    for number in 0..batch.num_rows() {
        row.clear();
        for column in &texts {
            row.push(column.text(number)?);
        }
        take(&row);
    }
    Ok(())
}

/// The encoder of a format that is written batch by batch.
fn encoder(format: Format, rows: &Rows) -> Option<Box<dyn Encoder + Send>> {
    Some(match format {
        Format::Csv => Box::new(Separated::by_commas()),
        Format::Tsv => Box::new(Separated::by_tabs()),
        Format::Json => Box::new(Json::array()),
        Format::Ndjson => Box::new(Json::lines()),
        Format::Markdown => Box::new(Markdown::new(rows.kinds().to_vec())),
        Format::Arrow => Box::new(Arrow::file()),
        Format::ArrowStream => Box::new(Arrow::stream()),
        Format::Table | Format::Vertical | Format::Parquet => return None,
    })
}

async fn encode(
    mut encoder: Box<dyn Encoder + Send>,
    shown_as: fn(Vec<u8>) -> Vec<u8>,
    rows: &mut Rows,
    out: &mut Out,
) -> Result<(), Stop> {
    let mut bytes = Vec::new();
    encoder.begin(rows.schema(), &mut bytes)?;
    out.write(shown_as(bytes)).await?;
    while let Some(batch) = rows.next().await? {
        let mut bytes = Vec::new();
        encoder.rows(&batch, &mut bytes)?;
        out.write(shown_as(bytes)).await?;
    }
    let mut bytes = Vec::new();
    encoder.end(&mut bytes)?;
    out.write(shown_as(bytes)).await
}

fn as_it_is(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

/// Whole rows of text with what would act on a terminal shown by its code.
fn shown(text: Vec<u8>, by: fn(&str) -> Cow<'_, str>) -> Vec<u8> {
    by(&String::from_utf8_lossy(&text))
        .into_owned()
        .into_bytes()
}
