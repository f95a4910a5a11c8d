//! An answer as Arrow IPC: a stream for a pipe, or a file, whose end has the places of its batches.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::ipc::writer::{FileWriter, StreamWriter};

use super::encoder::Encoder;
use super::stop::Stop;

/// Writes batches as they are.
pub struct Arrow {
    is_file: bool,
    writer: Option<Writer>,
}

enum Writer {
    File(FileWriter<Vec<u8>>),
    Stream(StreamWriter<Vec<u8>>),
}

impl Arrow {
    /// A file.
    pub fn file() -> Self {
        Self {
            is_file: true,
            writer: None,
        }
    }

    /// A stream.
    pub fn stream() -> Self {
        Self {
            is_file: false,
            writer: None,
        }
    }
}

impl Encoder for Arrow {
    fn begin(&mut self, schema: &Schema, out: &mut Vec<u8>) -> Result<(), Stop> {
        let writer = match self.is_file {
            true => Writer::File(FileWriter::try_new(Vec::new(), schema)?),
            false => Writer::Stream(StreamWriter::try_new(Vec::new(), schema)?),
        };
        self.writer.insert(writer).move_to(out);
        Ok(())
    }

    fn rows(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Stop> {
        if let Some(writer) = &mut self.writer {
            match writer {
                Writer::File(writer) => writer.write(batch)?,
                Writer::Stream(writer) => writer.write(batch)?,
            }
            writer.move_to(out);
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Stop> {
        if let Some(writer) = &mut self.writer {
            match writer {
                Writer::File(writer) => writer.finish()?,
                Writer::Stream(writer) => writer.finish()?,
            }
            writer.move_to(out);
        }
        Ok(())
    }
}

impl Writer {
    /// Takes the bytes that were written since the last call.
    fn move_to(&mut self, out: &mut Vec<u8>) {
        out.append(match self {
            Writer::File(writer) => writer.get_mut(),
            Writer::Stream(writer) => writer.get_mut(),
        });
    }
}
