//! What statements and commands do: the open tables, how answers are shown, and what was asked last.

mod answers;

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use clap::ValueEnum;

use super::commands::{COMMANDS, Command, Refused, parse};
use super::editor::SharedVocabulary;
use super::input::{Input, Step};
use super::kept::Kept;
use super::vocabulary::Vocabulary;
use super::{external, functions, layout, report, tables, until_interrupted};
use crate::cli::logging::{Show, say};
use crate::cli::printer::{Destination, Expanded, Format, Printer, Screen};
use crate::cli::progress::QueryLine;
use crate::cli::query::{in_words, subject_name};
use crate::error::{Class, Error, Result};
use crate::numbers::counted;
use crate::query::{Function, TableKind};
use crate::run::Environment;
use crate::run::catalog::{self, Catalog, CatalogRequest, Subject, Windows};
use crate::window::Window;

/// How deep files of queries can name other files.
const DEEPEST: usize = 16;

/// What a prompt begins with.
pub struct Start {
    /// The real things.
    pub environment: Environment,
    /// What is queried.
    pub subjects: Vec<Subject>,
    /// The same as they were written, at least one.
    pub names: Vec<String>,
    /// The windows.
    pub request: CatalogRequest,
    /// How answers are shown.
    pub printer: Printer,
    /// How long a query may take, and the name of the option or key that says so.
    pub limit: (&'static str, Option<Duration>),
    /// What stderr is.
    pub show: Show,
}

/// What comes behind a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flow {
    /// The next line.
    GoOn,
    /// The same, behind a text that came from an editor.
    Edited(String),
    /// The same; what was typed behind the query that was stopped is not carried out.
    Stopped,
    /// The end.
    Leave,
}

/// An open prompt.
pub struct Asking {
    start: Start,
    catalog: Catalog,
    windows: Vec<Window>,
    /// How many objects `logs` is of; `None` where it can't be read.
    objects: Option<usize>,
    functions: Vec<Function>,
    vocabulary: SharedVocabulary,
    /// Where the next answer goes instead of the screen.
    next: Option<(Format, Destination)>,
    last: Option<Kept>,
    last_sql: String,
    /// What was said of the logs, which is said once.
    said: HashSet<String>,
}

impl Asking {
    /// Opens the tables.
    pub async fn open(start: Start) -> Result<Self> {
        let subjects = start.subjects.clone();
        let catalog = catalog::open(&start.environment, subjects, &start.request).await?;
        let functions = catalog.session.functions();
        let mut asking = Self {
            start,
            catalog,
            windows: Vec::new(),
            objects: None,
            functions,
            vocabulary: Arc::default(),
            next: None,
            last: None,
            last_sql: String::new(),
            said: HashSet::new(),
        };
        asking.look_around().await?;
        Ok(asking)
    }

    /// The names that are completed.
    pub fn vocabulary(&self) -> SharedVocabulary {
        Arc::clone(&self.vocabulary)
    }

    /// Whether what is typed is coloured.
    pub fn is_in_color(&self) -> bool {
        self.start.printer.color
    }

    /// The job or the location as it was written, the first of several.
    pub fn source(&self) -> &str {
        self.start.names.first().map_or("", String::as_str)
    }

    /// What is open, in a line: `checkout: window 2026-11-21 (3 objects), times of Asia/Seoul. \? lists the commands.`
    pub fn banner(&self) -> String {
        let request = self.catalog.request();
        let windows = match (&request.windows, self.windows.as_slice()) {
            (Windows::One(id), _) => format!("window {id}"),
            (Windows::FromTo(from, to), _) => format!("windows {from} to {to}"),
            (Windows::Last(span), _) => format!("the last {span}"),
            (Windows::All, []) => "all events".to_owned(),
            (Windows::All, [only]) => format!("window {}", only.id()),
            (Windows::All, [first, .., last]) => {
                let count = counted(self.windows.len() as u64, "window");
                format!("{count} from {} to {}", first.id(), last.id())
            }
        };
        let objects = match self.objects {
            Some(objects) => format!(" in {}", counted(objects as u64, "object")),
            None => String::new(),
        };
        format!(
            "{}: {windows}{objects}, times of {}. \\? lists the commands.\n",
            subject_name(self.source()),
            self.catalog.session.timezone().name()
        )
    }

    /// Carries out what was typed, up to what needs more lines. `origin` names it in errors.
    pub async fn carry_out(&mut self, input: &mut Input, origin: &str) -> Flow {
        self.carry_out_at(input, origin, 0).await
    }

    async fn carry_out_at(&mut self, input: &mut Input, origin: &str, depth: usize) -> Flow {
        let mut flow = Flow::GoOn;
        while let Some(step) = input.next() {
            let done = match step {
                Step::Statement(sql) => self.answer(&sql, origin).await.map(|()| Flow::GoOn),
                Step::Command(text) => match parse(&text) {
                    Ok(command) => Box::pin(self.command(command, input, depth)).await,
                    Err(refused) => Err(refused.into()),
                },
            };
            match done {
                Ok(Flow::GoOn) => {}
                Ok(Flow::Edited(text)) => flow = Flow::Edited(text),
                Ok(other) => return other,
                Err(error) => {
                    report(&error);
                    // A file goes no further than its first error.
                    if error.class() == Class::Interrupted || depth > 0 {
                        return Flow::Stopped;
                    }
                }
            }
        }
        flow
    }

    async fn command(&mut self, command: Command, input: &mut Input, depth: usize) -> Result<Flow> {
        match command {
            Command::Quit => return Ok(Flow::Leave),
            Command::Help => self.page(&help()).await?,
            Command::Tables(pattern) => self.list_tables(pattern.as_deref()).await?,
            Command::Describe(table) => self.describe(&table).await?,
            Command::Functions(pattern) => self.list_functions(pattern.as_deref()).await?,
            Command::Timing(is_on) => {
                let timing = &mut self.start.printer.timing;
                *timing = is_on.unwrap_or(!*timing);
                let is = if *timing { "on" } else { "off" };
                say(&format!("timing is {is}"));
            }
            Command::Expanded(wanted) => self.expand(wanted),
            Command::Format(name) => self.set_format(name.as_deref())?,
            Command::Output(file) => self.set_output(file.as_deref())?,
            Command::Window(wanted) => self.open_windows(wanted.as_deref()).await?,
            Command::Echo(text) => crate::cli::print(&format!("{text}\n"))?,
            Command::Print => {
                let shown = match input.pending() {
                    "" => self.last_sql.as_str(),
                    pending => pending,
                };
                crate::cli::print(&format!("{shown}\n"))?;
            }
            Command::Reset => input.drop_pending(),
            Command::Chart { drawing, file } => {
                let pending = input.take_pending();
                self.chart(drawing, file.as_deref(), pending).await?;
            }
            Command::Go { expanded, file } => {
                let sql = match input.take_pending() {
                    Some(sql) => sql,
                    None => self.last_sql.clone(),
                };
                self.go(&sql, expanded, file.as_deref()).await?;
            }
            Command::Include(file) => return self.include(&file, depth).await,
            Command::Edit(file) => return self.edit(file.as_deref(), input).await,
        }
        Ok(Flow::GoOn)
    }

    /// Prints a text, through a pager if it is long.
    async fn page(&self, text: &str) -> Result<()> {
        let printer = Printer {
            screen: Screen::of_stdout(),
            ..self.start.printer.clone()
        };
        printer.text(text).await
    }

    fn width(&self) -> usize {
        layout::width(Screen::of_stdout().map_or(80, |screen| screen.columns))
    }

    async fn list_tables(&self, pattern: Option<&str>) -> Result<()> {
        let found = self.catalog.tables().await;
        match tables::list(&found, pattern, self.width()) {
            Some(text) => self.page(&text).await,
            None => Err(no_such(
                "table",
                pattern.unwrap_or_default(),
                r"\d lists the tables",
            )),
        }
    }

    async fn describe(&self, table: &str) -> Result<()> {
        let found = self.catalog.tables().await;
        match tables::describe(&found, table, self.width()) {
            Some(text) => self.page(&text).await,
            None => Err(no_such("table", table, r"\d lists the tables")),
        }
    }

    async fn list_functions(&self, pattern: Option<&str>) -> Result<()> {
        match functions::page(&self.functions, pattern, self.width()) {
            Some(text) => self.page(&text).await,
            None => Err(no_such(
                "function",
                pattern.unwrap_or_default(),
                r"\df lists the functions",
            )),
        }
    }

    fn expand(&mut self, wanted: Option<Expanded>) {
        let expanded = &mut self.start.printer.expanded;
        *expanded = wanted.unwrap_or(match *expanded {
            Expanded::On => Expanded::Auto,
            Expanded::Auto | Expanded::Off => Expanded::On,
        });
        say(match *expanded {
            Expanded::On => "each column has a line of its own",
            Expanded::Off => "each row has a line, however wide",
            Expanded::Auto => {
                "each column has a line of its own where rows are wider than the terminal"
            }
        });
    }

    fn set_format(&mut self, name: Option<&str>) -> Result<()> {
        let names = || {
            let formats = Format::value_variants().iter();
            let names = formats.filter(|format| !format.is_binary());
            let names =
                names.filter_map(|format| Some(format.to_possible_value()?.get_name().to_owned()));
            names.collect::<Vec<_>>().join(", ")
        };
        let Some(name) = name else {
            let present = self.start.printer.format.to_possible_value();
            let present = present.map_or_else(String::new, |value| value.get_name().to_owned());
            say(&format!("the format is {present}, of {}", names()));
            return Ok(());
        };
        match Format::from_str(name, true) {
            Ok(format) if !format.is_binary() => {
                self.start.printer.format = format;
                Ok(())
            }
            _ => Err(Error::usage(format!(
                r"\format {name} is no format of the screen: expected one of {}",
                names()
            ))
            .with_hint(r"\o FILE and \g FILE write a file in the format of its name, such as answer.parquet")),
        }
    }

    fn set_output(&mut self, file: Option<&Path>) -> Result<()> {
        self.next = file.map(|file| destination(r"\o", file)).transpose()?;
        say(&match file {
            Some(file) => format!("the next answer goes to {}", file.display()),
            None => "answers go to the screen".to_owned(),
        });
        Ok(())
    }

    /// Opens other windows; says which are open where none are wanted.
    async fn open_windows(&mut self, wanted: Option<&str>) -> Result<()> {
        let Some(wanted) = wanted else {
            let ids: Vec<String> = self.windows.iter().map(Window::id).collect();
            let done = match ids.as_slice() {
                [] => String::new(),
                ids => layout::paragraph(&format!("windows: {}", ids.join(", ")), 0, self.width()),
            };
            return crate::cli::print(&(self.banner() + &done));
        };
        let request = CatalogRequest {
            windows: Windows::parse(wanted),
            ..self.catalog.request().clone()
        };
        let catalog = until_interrupted(self.catalog.reopen(&request)).await?;
        let before = std::mem::replace(&mut self.catalog, catalog);
        if let Err(stopped) = self.look_around().await {
            self.catalog = before;
            return Err(stopped);
        }
        let views = before.tables().await;
        if views.iter().any(|table| table.kind == TableKind::View) {
            say("views of the other windows are gone: create them again");
        }
        crate::cli::print(&self.banner())
    }

    /// Carries out the statements and commands of a file.
    async fn include(&mut self, file: &Path, depth: usize) -> Result<Flow> {
        let name = file.display().to_string();
        if depth >= DEEPEST {
            return Err(Error::usage(format!(
                r"\i {name}: {DEEPEST} files name each other: expected files that end"
            )));
        }
        let text = std::fs::read_to_string(file)
            .map_err(|error| Error::usage(format!("can't read {name}")).caused_by(error))?;
        let mut input = Input::of_file(&text);
        Ok(Box::pin(self.carry_out_at(&mut input, &name, depth + 1)).await)
    }

    /// Opens an editor for what was begun, for the last statement, or for a file, and carries out what it leaves.
    async fn edit(&mut self, file: Option<&Path>, input: &mut Input) -> Result<Flow> {
        let edited = match file {
            Some(file) => Some(external::edit_file(file.to_owned()).await?),
            None => {
                let text = match input.pending() {
                    "" if self.last_sql.is_empty() => String::new(),
                    "" => format!("{};", self.last_sql),
                    pending => pending.to_owned(),
                };
                external::edit(&text, &self.start.printer.scratch).await?
            }
        };
        let Some(edited) = edited else {
            say("nothing was changed, and nothing is run");
            return Ok(Flow::GoOn);
        };
        input.drop_pending();
        crate::cli::print(&format!("{}\n", edited.trim_end()))?;
        input.add(&edited);
        Ok(Flow::Edited(edited))
    }

    /// Opens the tables for their columns and numbers, which takes as long as listing their objects.
    async fn look_around(&mut self) -> Result<()> {
        let line = QueryLine::start(self.start.show);
        let looking = async {
            let objects = self.catalog.list_objects().await;
            let tables = self.catalog.tables().await;
            Ok((objects, tables, self.catalog.windows_done().await))
        };
        let (objects, tables, windows) = until_interrupted(looking).await?;
        drop(line);
        self.windows = windows;
        self.objects = match objects {
            Ok(objects) => Some(objects),
            Err(error) => {
                // The answers of the job can be asked all the same.
                say(&format!("note: {}", self.explained(error).in_full()));
                None
            }
        };
        self.warn();
        let mut vocabulary = Vocabulary {
            functions: self.functions.iter().map(|it| it.name.clone()).collect(),
            windows: self.windows.iter().map(Window::id).collect(),
            ..Vocabulary::default()
        };
        for table in tables {
            let columns = table.columns.map_or_else(Vec::new, |columns| {
                let names = columns.fields().iter().map(|field| field.name().clone());
                names.collect()
            });
            vocabulary.tables.push((table.name, columns));
        }
        let system = ["tables", "columns", "routines", "parameters"];
        vocabulary
            .tables
            .extend(system.map(|table| (format!("information_schema.{table}"), Vec::new())));
        *self
            .vocabulary
            .write()
            .unwrap_or_else(PoisonError::into_inner) = vocabulary;
        Ok(())
    }

    /// Says once what is odd about the logs.
    fn warn(&mut self) {
        let notes = self.catalog.notes().to_vec();
        let deleted = self.catalog.deleted().iter();
        let deleted: Vec<String> = deleted
            .map(|missing| {
                let words = in_words(missing.clone(), &self.start.names);
                format!("answers cover only the rest: {words}")
            })
            .collect();
        for note in notes
            .into_iter()
            .chain(deleted)
            .chain(self.catalog.oddities())
        {
            if self.said.insert(note.clone()) {
                say(&format!("note: {note}"));
            }
        }
    }
}

/// The destination and the format of a file's name. Errors name the command.
fn destination(command: &str, file: &Path) -> Result<(Format, Destination)> {
    let name = file.display().to_string();
    let opened = Format::of_name(&name).and_then(|format| {
        let destination = Destination::parse(Some(&name))?;
        Ok((format, destination))
    });
    opened.map_err(|error| {
        let message = error.message().replace("--output", command);
        let message = message.replace(", or --format", "");
        Error::new(error.class(), message)
    })
}

fn no_such(what: &str, name: &str, hint: &str) -> Error {
    Error::usage(format!("no {what} matches {name}")).with_hint(hint)
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Error::usage(refused.what).with_hint(refused.hint)
    }
}

fn help() -> String {
    let rows = COMMANDS.map(|entry| {
        let call = match entry.arguments {
            "" => entry.name.to_owned(),
            arguments => format!("{} {arguments}", entry.name),
        };
        [call, entry.does.to_owned()]
    });
    let rows = layout::rows(&rows, 2, layout::width(usize::MAX));
    format!("A query ends with a semicolon.\n\n{rows}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_a_file_name_the_command() {
        let error = destination(r"\o", Path::new("a.xlsx"))
            .unwrap_err()
            .to_string();
        assert!(error.starts_with(r"\o a.xlsx ends with .xlsx"), "{error}");
        let (format, _) = destination(r"\o", Path::new("a.parquet")).unwrap();
        assert_eq!(format, Format::Parquet);
    }
}
