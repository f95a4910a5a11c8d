//! The line editor: rustyline, with completion and colours for SQL, and a history that is kept.

use std::borrow::Cow;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;

use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};
use tokio::sync::oneshot;

use super::complete::{Completion, complete};
use super::highlight::highlighted;
use super::history;
use super::vocabulary::Vocabulary;
use crate::error::{Class, Error, Result};

/// How many entries the history keeps.
const HISTORY: usize = 10_000;

/// What was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A line, or several that were pasted.
    Text(String),
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-D on an empty line, or a terminal that has gone.
    End,
}

/// The names that are completed, which change while the editor lives.
pub type SharedVocabulary = Arc<RwLock<Vocabulary>>;

/// Reads lines from the terminal.
pub struct LineEditor {
    editor: Editor<Typing, FileHistory>,
    /// Where the history is kept; `None` for that of this session only.
    file: Option<PathBuf>,
}

impl LineEditor {
    /// An editor with the history of earlier sessions.
    pub fn new(vocabulary: SharedVocabulary, in_color: bool) -> Result<Self> {
        let config = Config::builder()
            .max_history_size(HISTORY)
            .and_then(|config| config.history_ignore_dups(true))
            .map_err(failed)?
            .history_ignore_space(true)
            .completion_type(CompletionType::List)
            .auto_add_history(false)
            .build();
        let mut editor = Editor::with_config(config).map_err(failed)?;
        editor.set_helper(Some(Typing {
            vocabulary,
            in_color,
            before: String::new(),
            files: FilenameCompleter::new(),
        }));
        let file = history::path().filter(|file| {
            let loaded = history::make(file).map_err(ReadlineError::from);
            let loaded = loaded.and_then(|()| editor.load_history(file));
            if let Err(error) = &loaded {
                let file = file.display();
                tracing::warn!("the history is not kept: can't use {file}: {error}");
            }
            loaded.is_ok()
        });
        Ok(Self { editor, file })
    }

    /// Reads a line behind a prompt, on a thread of its own, which a signal need not wait for. `before` are the lines of the
    /// statement above it.
    pub async fn read(mut self, prompt: String, before: &str) -> Result<(Self, Line)> {
        if let Some(typing) = self.editor.helper_mut() {
            before.clone_into(&mut typing.before);
        }
        let (sender, line) = oneshot::channel();
        thread::Builder::new()
            .name("prompt".to_owned())
            .spawn(move || {
                let line = self.editor.readline(prompt.as_str());
                // The process ends already where the line is not waited for.
                let _ = sender.send((self, line));
            })
            .map_err(failed)?;
        let (editor, line) = line.await.map_err(failed)?;
        let line = match line {
            Ok(text) => Line::Text(text),
            Err(ReadlineError::Interrupted) => Line::Interrupted,
            Err(ReadlineError::Eof) => Line::End,
            // A terminal that is closed is no failure.
            Err(_) if !std::io::stdin().is_terminal() => Line::End,
            Err(error) => return Err(failed(error)),
        };
        Ok((editor, line))
    }

    /// Keeps what was typed. What begins with a space is not kept, as in most shells.
    pub fn remember(&mut self, text: &str) {
        let text = text.trim_end();
        let added = self.editor.add_history_entry(text);
        if let (Ok(true), Some(file)) = (&added, &self.file)
            && let Err(error) = self.editor.append_history(file)
        {
            tracing::debug!("can't append to {}: {error}", file.display());
        }
    }
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(Class::Unexpected, "can't read from the terminal").caused_by(error)
}

/// What the editor shows and completes while a line is typed.
struct Typing {
    vocabulary: SharedVocabulary,
    in_color: bool,
    /// The lines of the statement above the one that is typed.
    before: String,
    files: FilenameCompleter,
}

impl Completer for Typing {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        cursor: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let vocabulary = self
            .vocabulary
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        match complete(&vocabulary, &self.before, line, cursor) {
            Completion::File => self.files.complete_path(line, cursor),
            Completion::Words { start, words } => {
                let pair = |word: String| Pair {
                    display: word.clone(),
                    replacement: word,
                };
                Ok((start, words.into_iter().map(pair).collect()))
            }
        }
    }
}

impl Highlighter for Typing {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        match self.in_color {
            true => Cow::Owned(highlighted(&self.before, line)),
            false => Cow::Borrowed(line),
        }
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        self.in_color && kind != CmdKind::MoveCursor
    }
}

impl Hinter for Typing {
    type Hint = String;
}

impl Validator for Typing {}

impl Helper for Typing {}
