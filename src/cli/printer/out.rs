//! Where the bytes of one answer go: stdout, through a pager if that is asked for, or a file.

use std::fs::OpenOptions;
use std::path::Path;

use super::format::Format;
use super::screen::{Output, Screen};
use super::stop::Stop;
use super::target::{Draft, Target, write_error};
use super::writer::Writer;
use crate::cli::progress::QueryLine;
use crate::error::Result;

/// The bytes of one answer.
pub struct Out {
    sink: Sink,
    /// Until the first bytes on stdout, or to the end of a file.
    line: Option<QueryLine>,
}

enum Sink {
    Stdout(Output),
    File(Writer, Option<Draft>),
}

impl Out {
    /// Begins to write to a target; `screen` is the terminal whose pager is to be used.
    pub fn begin(
        target: &Target,
        scratch: &Path,
        screen: Option<Screen>,
        line: Option<QueryLine>,
    ) -> Result<Self, Stop> {
        let name = target.name();
        let sink = match target {
            Target::Stdout => Sink::Stdout(Output::new(screen)?),
            Target::Device(path) => {
                let opened = OpenOptions::new().write(true).open(path);
                let file = opened.map_err(|error| write_error(&name, error))?;
                Sink::File(Writer::start(file, &name)?, None)
            }
            Target::File(_) | Target::Object(_) => {
                let draft = target.draft(scratch)?;
                let draft = draft.map(|draft| draft.file().map(|file| (file, draft)));
                match draft.transpose()? {
                    Some((file, draft)) => Sink::File(Writer::start(file, &name)?, Some(draft)),
                    None => Sink::Stdout(Output::new(None)?),
                }
            }
        };
        Ok(Self { sink, line })
    }

    /// Adds bytes.
    pub async fn write(&mut self, bytes: Vec<u8>) -> Result<(), Stop> {
        match &mut self.sink {
            Sink::File(writer, _) => writer.write(bytes).await,
            Sink::Stdout(output) => {
                if !bytes.is_empty() {
                    self.line = None;
                }
                output.write(bytes).await
            }
        }
    }

    /// Ends the answer: a file takes its place, a pager is waited for.
    pub async fn finish(mut self, format: Format) -> Result<(), Stop> {
        match self.sink {
            Sink::Stdout(output) => {
                self.line = None;
                output.finish().await
            }
            Sink::File(writer, draft) => {
                writer.finish().await?;
                if let Some(draft) = draft {
                    draft.publish(format.content_type()).await?;
                }
                Ok(())
            }
        }
    }

    /// Ends an answer that failed: a file is left as it was.
    pub async fn abandon(mut self) {
        self.line = None;
        if let Sink::Stdout(output) = self.sink {
            output.abandon().await;
        }
    }
}
