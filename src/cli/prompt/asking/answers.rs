//! Statements: run, shown on the screen, written to a file, or drawn.

use std::path::Path;
use std::time::Instant;

use datafusion::execution::SendableRecordBatchStream;

use super::super::kept::Kept;
use super::super::tokens::tokens;
use super::super::until_interrupted;
use super::{Asking, destination};
use crate::chart::build::AdHocCaption;
use crate::cli::logging::say;
use crate::cli::print;
use crate::cli::printer::{Answer, Destination, Expanded, Format, Printer, Screen};
use crate::cli::progress::QueryLine;
use crate::cli::query::{Drawing, Look, chart, in_words, library, subject_name, windows};
use crate::error::{Error, Result};
use crate::job::Language;
use crate::query::{Command, Session, Statement, in_time};
use crate::run::catalog::Subject;

impl Asking {
    /// Answers a statement on the screen, or where `\o` says.
    pub(super) async fn answer(&mut self, sql: &str, origin: &str) -> Result<()> {
        let printer = match self.next.take() {
            Some((format, destination)) => self.printer_to(format, &destination).await?,
            None => self.printer(),
        };
        self.answer_with(sql, origin, printer).await
    }

    /// Answers what `\g` stands behind.
    pub(super) async fn go(
        &mut self,
        sql: &str,
        expanded: bool,
        file: Option<&Path>,
    ) -> Result<()> {
        let mut printer = match file {
            Some(file) => {
                let (format, destination) = destination(r"\g", file)?;
                self.printer_to(format, &destination).await?
            }
            None => self.printer(),
        };
        if expanded {
            printer.expanded = Expanded::On;
        }
        if sql.trim().is_empty() {
            return Err(Error::usage(r"no query was begun: expected one before \g"));
        }
        self.answer_with(sql, "SQL", printer).await
    }

    /// Draws what was begun, or else the last answer.
    pub(super) async fn chart(
        &mut self,
        drawing: Drawing,
        file: Option<&Path>,
        begun: Option<String>,
    ) -> Result<()> {
        let target = match file {
            None => None,
            Some(file) => {
                let name = file.display().to_string();
                let in_command = |error: Error| {
                    let message = error.message().replace("--output", r"\chart");
                    Error::new(error.class(), message)
                };
                let format = chart::image_format(Some(drawing), Some(&name)).map_err(in_command)?;
                let destination = Destination::parse(Some(&name)).map_err(in_command)?;
                let target = destination.open(&self.start.environment.stores).await?;
                format.map(|format| (target, format))
            }
        };
        let (statement, batches) = match begun {
            Some(sql) => self.run_again(&sql).await?,
            None => self.kept()?,
        };
        let look = Look {
            drawing,
            scale: None,
            language: self.language(),
        };
        let session = &self.catalog.session;
        let named = windows(
            &self.catalog.request().windows,
            session.range(),
            session.timezone(),
        );
        let caption = AdHocCaption {
            subject: subject_name(self.source()),
            source: self.source(),
            windows: named
                .as_ref()
                .map(|(first, last)| (first.as_str(), last.as_str())),
            range: session.range(),
            zone: session.timezone(),
        };
        let drawn = until_interrupted(chart::of(&statement, batches, &look, &caption)).await?;
        let Some(figure) = drawn else {
            return print(&format!("{}\n", chart::no_rows(look.language)));
        };
        match target {
            None => print(&chart::in_terminal(&figure)),
            Some((target, format)) => {
                let image = chart::image(&figure, format)?;
                target.put(image, format.content_type()).await?;
                say(&format!("the chart is in {}", target.name()));
                Ok(())
            }
        }
    }

    /// The last answer again.
    fn kept(&self) -> Result<(Statement, SendableRecordBatchStream)> {
        let Some(last) = &self.last else {
            return Err(Error::usage(r"there is no answer to draw yet").with_hint(
                r"ask first, and then \chart bar; or write \chart bar in place of the semicolon",
            ));
        };
        match last.rows() {
            Some(rows) => Ok((last.statement.clone(), rows)),
            None => Err(Error::usage(
                "the last answer is too large to draw, or was not read to its end: expected one that is grouped further",
            )),
        }
    }

    /// Starts a statement, whose rows are kept while they are drawn.
    async fn run_again(&mut self, sql: &str) -> Result<(Statement, SendableRecordBatchStream)> {
        sql.trim().clone_into(&mut self.last_sql);
        let (session, sql) = self.named_or(sql)?;
        let (_, limit) = self.start.limit;
        let running = in_time(self.start.limit.0, limit, async {
            let Command::Query(statement) = session.command(sql, "SQL").await? else {
                return Err(Error::usage("a view has no rows to draw: expected a query"));
            };
            let batches = session.run(&statement).await?.batches;
            Ok((statement, batches))
        });
        let (statement, batches) = until_interrupted(running)
            .await
            .map_err(|error| self.explained(error))?;
        let (kept, batches) = Kept::new(&statement, batches);
        self.last = Some(kept);
        Ok((statement, batches))
    }

    fn named_or<'a>(&self, sql: &'a str) -> Result<(Session, &'a str)> {
        let given = &self.catalog.request().parameters;
        library::named_or(sql, &self.catalog.session, given)
    }

    async fn answer_with(&mut self, sql: &str, origin: &str, printer: Printer) -> Result<()> {
        printer.check()?;
        sql.trim().clone_into(&mut self.last_sql);
        let (name, limit) = self.start.limit;
        // The rows of the answer before this one are given back first.
        self.last = None;
        let (session, sql) = self.named_or(sql)?;
        let show = self.start.show;
        let answering = in_time(name, limit, async {
            let started = Instant::now();
            let line = QueryLine::start(show);
            let statement = match session.command(sql, origin).await? {
                Command::Query(statement) => statement,
                Command::ViewCreated(name) => {
                    drop(line);
                    say(&format!("the view {name} is there until this prompt ends"));
                    return Ok(None);
                }
            };
            let mut execution = session.run(&statement).await?;
            let (kept, batches) = Kept::new(&statement, execution.batches);
            execution.batches = batches;
            printer
                .print(Answer::new(&statement, execution, started, line))
                .await?;
            Ok(Some(kept))
        });
        let answered = until_interrupted(answering).await;
        let kept = answered.map_err(|error| self.explained(error))?;
        self.last = kept;
        self.warn();
        match changes_tables(sql) {
            true => self.look_around().await,
            false => Ok(()),
        }
    }

    /// The language of charts: that of the first job.
    fn language(&self) -> Language {
        let first = self.start.subjects.first();
        first.map_or_else(Language::default, Subject::language)
    }

    /// Where events are missing, the error with the command that helps.
    pub(super) fn explained(&self, error: Error) -> Error {
        match self.catalog.missing_of(&error) {
            Some(missing) => in_words(missing, &self.start.names),
            None => error,
        }
    }

    /// The printer for the screen as large as it is now.
    fn printer(&self) -> Printer {
        Printer {
            screen: Screen::of_stdout(),
            ..self.start.printer.clone()
        }
    }

    async fn printer_to(&self, format: Format, destination: &Destination) -> Result<Printer> {
        Ok(Printer {
            format,
            target: destination.open(&self.start.environment.stores).await?,
            ..self.start.printer.clone()
        })
    }
}

/// Whether a statement makes or removes a view, so that the names change.
fn changes_tables(sql: &str) -> bool {
    let first = tokens(sql).find(|token| !token.is_blank());
    first.is_some_and(|word| ["create", "drop"].contains(&word.text.to_lowercase().as_str()))
}
