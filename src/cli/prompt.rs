//! The prompt of `query`: statements and commands, one after the other, over tables that stay open between them.
//!
//! What is typed goes through [`input`], which takes it apart into statements and [`commands`]. [`asking`] carries them out.
//! [`editor`] reads lines, with what [`complete`] and [`highlight`] know of SQL.

mod asking;
mod commands;
mod complete;
mod editor;
mod external;
mod functions;
mod highlight;
mod history;
mod input;
mod kept;
mod keywords;
mod layout;
mod tables;
mod terminal;
mod tokens;
mod vocabulary;

use tokio::signal::unix::{SignalKind, signal};

use super::logging::say;
use super::query::subject_name;
use super::{StopSignal, print, stop_signal, until_stopped};
use crate::error::{Class, Error, Result};
use asking::{Asking, Flow};
use editor::{Line, LineEditor};
use input::Input;
use terminal::Settings;

pub use asking::Start;

/// Talks until the user leaves, which is a success whatever the queries were.
///
/// # Errors
/// Those of opening the tables; of the terminal; a signal to stop.
pub async fn prompt(start: Start) -> Result<u8> {
    let mut asking = None;
    // Ctrl-C ends the program as long as it is not ready.
    until_stopped(async {
        asking = Some(Asking::open(start).await?);
        Ok(0)
    })
    .await?;
    let settings = Settings::of_now();
    let Some(mut asking) = asking else {
        return Ok(0);
    };
    tokio::select! {
        ended = talk(&mut asking) => ended.map(|()| 0),
        stop = terminated() => {
            settings.restore();
            Err(stop.error(""))
        }
    }
}

async fn talk(asking: &mut Asking) -> Result<()> {
    let mut editor = LineEditor::new(asking.vocabulary(), asking.is_in_color())?;
    let mut input = Input::default();
    // The lines of a statement become one entry of the history.
    let mut typed = String::new();
    print(&asking.banner())?;
    loop {
        let prompt = format!("{}{}> ", subject_name(asking.source()), input.open().sign());
        let before = match input.pending() {
            "" => String::new(),
            pending => format!("{pending}\n"),
        };
        let (back, line) = editor.read(prompt, &before).await?;
        editor = back;
        match line {
            Line::End => {
                // Nothing else ends the line of the prompt.
                return print("\n");
            }
            Line::Interrupted => {
                input.clear();
                typed.clear();
            }
            Line::Text(text) => {
                typed += &text;
                typed.push('\n');
                input.add(&text);
                let flow = asking.carry_out(&mut input, "SQL").await;
                if input.pending().is_empty() {
                    editor.remember(&std::mem::take(&mut typed));
                }
                match flow {
                    Flow::GoOn => {}
                    Flow::Edited(text) => {
                        editor.remember(&text);
                    }
                    Flow::Stopped => input.clear(),
                    Flow::Leave => return Ok(()),
                }
            }
        }
    }
}

/// Returns when the process is to end: Ctrl-C does not mean that here.
async fn terminated() -> StopSignal {
    let (Ok(mut terminate), Ok(mut hangup)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::hangup()),
    ) else {
        return std::future::pending().await;
    };
    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = hangup.recv() => "SIGHUP",
    };
    StopSignal {
        class: Class::Terminated,
        name,
    }
}

/// Carries out work until Ctrl-C. An error (interrupted) then.
async fn until_interrupted<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        ended = work => ended,
        () = interrupted() => Err(Error::new(Class::Interrupted, "stopped by Ctrl-C")),
    }
}

async fn interrupted() {
    loop {
        if stop_signal().await.class == Class::Interrupted {
            return;
        }
    }
}

/// Shows an error below what was typed.
fn report(error: &Error) {
    match error.class() {
        Class::Interrupted => say(&error.message()),
        _ => say(&format!("error: {}", error.in_full())),
    }
}
