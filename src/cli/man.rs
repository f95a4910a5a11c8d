//! `man`: manual pages, made of the help texts.

use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory};
use clap_mangen::Man;

use super::{Cli, print_exact};
use crate::error::{Class, Error, Result};

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// The command, such as run [default: the program]
    #[arg(conflicts_with = "dir")]
    command: Option<String>,

    /// Write all pages into a folder, such as ~/.local/share/man/man1
    #[arg(long)]
    dir: Option<PathBuf>,
}

pub(super) fn man(args: &ManArgs) -> Result<u8> {
    if let Some(folder) = &args.dir {
        write_all(folder).map_err(|error| {
            let what = format!("can't write manual pages to {}", folder.display());
            Error::new(Class::Output, what).caused_by(error)
        })?;
        return Ok(0);
    }
    let program = program();
    let command = match &args.command {
        None => &program,
        Some(name) => program.find_subcommand(name).ok_or_else(|| {
            let names: Vec<&str> = program
                .get_subcommands()
                .map(clap::Command::get_name)
                .collect();
            Error::usage(format!(
                "{name} is no command: expected one of {}",
                names.join(", ")
            ))
        })?,
    };
    let mut page = Vec::new();
    Man::new(command.clone())
        .render(&mut page)
        .map_err(|error| Error::new(Class::Output, "can't make a manual page").caused_by(error))?;
    print_exact(&String::from_utf8_lossy(&page))?;
    Ok(0)
}

fn program() -> clap::Command {
    let mut program = Cli::command().disable_help_subcommand(true);
    // Gives the sub-commands their options, and their names of two words.
    program.build();
    program
}

fn write_all(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(Cli::command(), folder)
}
