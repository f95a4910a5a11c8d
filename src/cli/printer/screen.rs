//! The terminal that an answer is printed on, and the pager for what is longer than it.

use std::env;
use std::io::{self, IsTerminal, stdout};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use unicode_width::UnicodeWidthStr;

use super::stop::{Stop, write_error};
use super::writer::Writer;
use crate::error::{Class, Error};
use crate::query::not_counted;

/// How often a pager is asked whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How long a pager may take to give the terminal back when the query is stopped.
const END_WITHIN: Duration = Duration::from_secs(2);

/// What of a pager's options is set by default: it ends by itself with what fits the screen, shows colours, cuts long lines,
/// leaves its text on the screen, and ends with Ctrl-C.
const LESS: &str = "FRSXK";

/// The size of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// Its width.
    pub columns: usize,
    /// Its height.
    pub rows: usize,
}

impl Screen {
    /// The terminal that stdout is, if it is one.
    pub fn of_stdout() -> Option<Self> {
        stdout().is_terminal().then(|| {
            let (columns, rows) = terminal_size::terminal_size()
                .map_or((80, 24), |(width, height)| {
                    (width.0.into(), height.0.into())
                });
            // A terminal that does not know its size says 0.
            Self {
                columns: if columns == 0 { 80 } else { columns },
                rows: if rows == 0 { 24 } else { rows },
            }
        })
    }

    /// Whether a text leaves a line for the prompt behind it.
    fn has_room_for(self, text: &[u8]) -> bool {
        let text = String::from_utf8_lossy(text);
        let lines = text
            .lines()
            .map(|line| plain_width(line).div_ceil(self.columns).max(1));
        lines.sum::<usize>() < self.rows
    }
}

/// The width of a line without its colours.
fn plain_width(line: &str) -> usize {
    let mut parts = line.split("\u{1b}[");
    let before = parts.next().map_or(0, UnicodeWidthStr::width);
    let behind = parts.map(|part| part.split_once('m').map_or(0, |(_, text)| text.width()));
    before + behind.sum::<usize>()
}

/// stdout: as it is, or through a pager if the text is longer than the screen.
pub enum Output {
    /// A text that is not longer than the screen so far.
    Held(Vec<u8>, Screen),
    /// What is written at once.
    Direct(Writer),
    /// What a pager shows.
    Paged(Writer, Pager),
}

/// What stdout is called in errors.
const NAME: &str = "the answer";

impl Output {
    /// stdout, where `screen` is the terminal whose pager is to be used.
    pub fn new(screen: Option<Screen>) -> Result<Self, Stop> {
        match screen {
            Some(screen) => Ok(Self::Held(Vec::new(), screen)),
            None => Ok(Self::Direct(Writer::start(stdout(), NAME)?)),
        }
    }

    /// Adds a block of text.
    pub async fn write(&mut self, block: Vec<u8>) -> Result<(), Stop> {
        match self {
            Self::Direct(writer) => writer.write(block).await,
            // A pager reads as its reader does.
            Self::Paged(writer, _) => not_counted(writer.write(block)).await,
            Self::Held(text, screen) => {
                text.extend_from_slice(&block);
                if screen.has_room_for(text) {
                    return Ok(());
                }
                let text = std::mem::take(text);
                *self = match Pager::start()? {
                    Some((writer, pager)) => Self::Paged(writer, pager),
                    None => Self::Direct(Writer::start(stdout(), NAME)?),
                };
                match self {
                    Self::Direct(writer) | Self::Paged(writer, _) => writer.write(text).await,
                    Self::Held(..) => Ok(()),
                }
            }
        }
    }

    /// Writes what is left, and waits until the pager is quit.
    pub async fn finish(self) -> Result<(), Stop> {
        match self {
            Self::Held(text, _) => {
                let mut writer = Writer::start(stdout(), NAME)?;
                writer.write(text).await?;
                writer.finish().await
            }
            Self::Direct(writer) => writer.finish().await,
            Self::Paged(writer, pager) => {
                not_counted(async {
                    let written = writer.finish().await;
                    pager.quit().await?;
                    written
                })
                .await
            }
        }
    }

    /// Waits until a pager is quit, behind a failure: what it shows stays readable.
    pub async fn abandon(self) {
        if let Self::Paged(writer, pager) = self {
            drop(writer);
            // The failure is reported, and not that of the pager.
            let _ = not_counted(pager.quit()).await;
        }
    }
}

/// A running pager. If it is dropped, it is ended.
pub struct Pager {
    child: Child,
    command: String,
}

impl Pager {
    /// Starts the pager of the environment; `None` if there is none.
    fn start() -> Result<Option<(Writer, Self)>, Stop> {
        let Some(command) = command() else {
            return Ok(None);
        };
        let mut process = match &command {
            Wanted::Default => Command::new("less"),
            Wanted::Said(command) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", command]);
                shell
            }
        };
        for (variable, value) in [("LESS", LESS), ("LESSCHARSET", "utf-8")] {
            if env::var_os(variable).is_none() {
                process.env(variable, value);
            }
        }
        let mut child = match process.stdin(Stdio::piped()).spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(write_error("to the pager", error)),
        };
        let Some(stdin) = child.stdin.take() else {
            return Ok(None);
        };
        let command = match command {
            Wanted::Default => "less".to_owned(),
            Wanted::Said(command) => command,
        };
        let pager = Self { child, command };
        Ok(Some((Writer::start(stdin, "to the pager")?, pager)))
    }

    /// Waits until the reader quits it.
    async fn quit(mut self) -> Result<(), Stop> {
        /// The exit codes of a shell that can't start a command.
        const NOT_STARTED: [i32; 2] = [126, 127];
        loop {
            match self.child.try_wait() {
                Ok(None) => tokio::time::sleep(LOOK_EVERY).await,
                Ok(Some(status))
                    if status
                        .code()
                        .is_some_and(|code| NOT_STARTED.contains(&code)) =>
                {
                    return Err(Stop::Failed(Error::new(
                        Class::Output,
                        format!(
                            "the pager {:?} does not start: expected a command in LOGTALLY_PAGER or PAGER, or --no-pager",
                            self.command
                        ),
                    )));
                }
                Ok(Some(_)) => return Ok(()),
                Err(error) => return Err(write_error("to the pager", error)),
            }
        }
    }

    /// Asks the process to end, so that it gives the terminal back as it was.
    #[cfg(unix)]
    fn ask_to_end(&self) {
        let id = libc::pid_t::try_from(self.child.id());
        if let Ok(id) = id {
            // SAFETY: the child has not been waited for, so that the id is its own; a signal reads and writes no memory.
            unsafe {
                libc::kill(id, libc::SIGTERM);
            }
        }
    }
}

impl Drop for Pager {
    fn drop(&mut self) {
        let deadline = Instant::now() + END_WITHIN;
        let mut is_asked = false;
        while let Ok(None) = self.child.try_wait() {
            if !is_asked {
                self.ask_to_end();
                is_asked = true;
            }
            if Instant::now() > deadline {
                // Nothing is left to try.
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

enum Wanted {
    /// `less`, if it is there.
    Default,
    /// A command for the shell.
    Said(String),
}

/// The pager that the environment names: that of this program, or of all programs. `None` if that is none.
fn command() -> Option<Wanted> {
    if env::var_os("TERM").is_some_and(|term| term == "dumb") {
        return None;
    }
    let said = env::var_os("LOGTALLY_PAGER").or_else(|| env::var_os("PAGER"));
    let Some(said) = said else {
        return Some(Wanted::Default);
    };
    let said = said.to_string_lossy().trim().to_owned();
    match said.as_str() {
        "" | "cat" => None,
        _ => Some(Wanted::Said(said)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_the_screen_is_counted_in_lines_as_they_are_shown() {
        let screen = Screen {
            columns: 10,
            rows: 4,
        };
        for (text, fits) in [
            ("", true),
            ("a\nb\nc\n", true),
            ("a\nb\nc\nd\n", false),
            // A long line takes several.
            ("0123456789012345\nb\n", true),
            ("0123456789012345678901234\nb\n", false),
            ("\u{1b}[31mERROR\u{1b}[0m 789\nb\nc\n", true),
            ("결제승인실패\nb\n", true),
        ] {
            assert_eq!(screen.has_room_for(text.as_bytes()), fits, "{text:?}");
        }
    }
}
