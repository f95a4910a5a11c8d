//! The options of how an answer is written.

use std::io::{IsTerminal, stdout};
use std::path::PathBuf;

use clap::Args;

use super::format::Format;
use super::screen::Screen;
use super::style::Color;
use super::target::Destination;
use super::{Expanded, Printer};
use crate::cli::logging::Show;
use crate::error::Result;
use crate::run::Environment;

/// The heading of these options.
pub const HEADING: &str = "How the answer is written";

#[derive(Debug, Args)]
pub struct PrintArgs {
    /// The format of the answer [default: what the name of --output says, or table]
    #[arg(long, value_enum, help_heading = HEADING)]
    format: Option<Format>,

    /// Write the answer to a file or to s3://bucket/key, which appears whole or not at all; - is standard output.
    /// Its name says the format: .csv, .tsv, .json, .ndjson, .md, .parquet, .arrow or .txt; with --chart .png or .svg
    #[arg(short, long, value_name = "FILE", help_heading = HEADING)]
    output: Option<String>,

    /// Whether each column of a row has a line of its own [without a value: on]
    #[arg(
        short = 'x',
        long,
        value_enum,
        value_name = "WHEN",
        num_args = 0..=1,
        require_equals = true,
        default_value_t,
        default_missing_value = "on",
        help_heading = HEADING
    )]
    expanded: Expanded,

    /// When a table has colours
    #[arg(long, value_enum, default_value_t, value_name = "WHEN", help_heading = HEADING)]
    color: Color,

    /// Print long answers without a pager ($LOGTALLY_PAGER or $PAGER, less if neither is set)
    #[arg(long, help_heading = HEADING)]
    no_pager: bool,
}

impl PrintArgs {
    /// The value of `--output`.
    pub fn output(&self) -> Option<&str> {
        self.output.as_deref()
    }

    /// Where the answer goes. Errors: as of [`Destination::parse`].
    pub fn destination(&self) -> Result<Destination> {
        Destination::parse(self.output())
    }

    /// The format of the answer.
    ///
    /// # Errors
    /// Usage: the name of the file says none.
    pub fn format(&self) -> Result<Format> {
        match (self.format, self.output()) {
            (Some(format), _) => Ok(format),
            (None, None | Some("-")) => Ok(Format::Table),
            (None, Some(name)) => Format::of_name(name),
        }
    }

    /// A printer for these options.
    pub async fn printer(
        &self,
        format: Format,
        destination: &Destination,
        environment: &Environment,
        show: Show,
    ) -> Result<Printer> {
        Ok(Printer {
            format,
            expanded: self.expanded,
            color: self.color.is_on(stdout().is_terminal()),
            screen: Screen::of_stdout(),
            pager: !self.no_pager,
            timing: true,
            quiet: show.quiet,
            target: destination.open(&environment.stores).await?,
            scratch: scratch_of(environment),
        })
    }
}

/// The command's own folder of temporary files.
fn scratch_of(environment: &Environment) -> PathBuf {
    let own = environment.scratch.as_ref();
    own.map_or_else(std::env::temp_dir, |folder| folder.path().to_owned())
}
