//! What goes to stderr: words on a terminal, JSON lines in a log.

use std::io::{IsTerminal, Write, stderr};

use tracing_subscriber::EnvFilter;

use super::Verbosity;
use crate::error::Error;

/// What stderr is, and how much goes to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Show {
    /// stderr is a terminal.
    pub terminal: bool,
    /// Only failures.
    pub quiet: bool,
}

/// Takes the place of `-q` and `-v`: a filter such as `info,logtally=debug`.
const VARIABLE: &str = "LOGTALLY_LOG";

/// Starts logging.
pub(super) fn start(verbosity: &Verbosity) -> Show {
    let terminal = stderr().is_terminal();
    // A terminal shows progress; a log has lines of what was done.
    let level = match (verbosity.quiet, verbosity.verbose, terminal) {
        (true, ..) => "error",
        (false, 0, true) => "warn",
        (false, 0, false) => "warn,logtally=info",
        (false, 1, true) => "warn,logtally=info",
        (false, 1, false) => "warn,logtally=debug",
        (false, 2.., _) => "debug",
    };
    let wanted = std::env::var_os(VARIABLE).map(|filter| filter.to_string_lossy().into_owned());
    let parsed = wanted.as_deref().map(EnvFilter::try_new).transpose();
    let (filter, refused) = match parsed {
        Ok(filter) => (filter, None),
        Err(error) => (None, Some(error)),
    };
    let filter = filter.unwrap_or_else(|| EnvFilter::new(level));
    let subscriber = tracing_subscriber::fmt()
        .with_writer(stderr)
        // An attempt to report that stderr can't be written panics.
        .log_internal_errors(false)
        .with_env_filter(filter);
    if terminal {
        subscriber
            .with_target(false)
            .without_time()
            .compact()
            .init();
    } else {
        subscriber
            .json()
            .flatten_event(true)
            .with_target(false)
            .init();
    }
    if let Some(error) = refused {
        let wanted = wanted.unwrap_or_default();
        tracing::warn!(
            "{VARIABLE} is {wanted:?} and is ignored ({error}): expected a filter such as info,logtally=debug"
        );
    }
    Show {
        terminal,
        quiet: verbosity.quiet,
    }
}

/// Writes a line to stderr; a reader that has gone away is no error.
pub(super) fn say(line: &str) {
    let _ = writeln!(stderr(), "{line}");
}

/// Reports why one of several windows failed.
pub(super) fn window_error(show: Show, window: &str, error: &Error) {
    if show.terminal {
        say(&format!("error: window {window}: {error}"));
    } else {
        tracing::error!(window, exit_code = error.class().exit_code(), "{error}");
    }
}

/// Reports why the program ends.
pub(super) fn error(show: Show, error: &Error) {
    if show.terminal {
        say(&format!("error: {error}"));
    } else {
        tracing::error!(exit_code = error.class().exit_code(), "{error}");
    }
}
