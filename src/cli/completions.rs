//! `completions`: what a shell completes of the command line.

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::{Cli, print_exact};
use crate::error::Result;

const NAME: &str = "logtally";

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell that reads them
    #[arg(value_enum)]
    shell: ShellArg,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ShellArg {
    /// For ~/.local/share/bash-completion/completions/logtally
    Bash,
    /// For a file _logtally in a folder of $fpath
    Zsh,
    /// For ~/.config/fish/completions/logtally.fish
    Fish,
}

pub(super) fn completions(args: &CompletionsArgs) -> Result<u8> {
    let shell = match args.shell {
        ShellArg::Bash => Shell::Bash,
        ShellArg::Zsh => Shell::Zsh,
        ShellArg::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), NAME, &mut script);
    print_exact(&String::from_utf8_lossy(&script))?;
    Ok(0)
}
