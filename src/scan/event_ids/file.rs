//! A temporary file of what has no room in memory.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::DiskManager;

use super::id::EventId;
use crate::error::{Class, Error};

/// The bytes of an entry in the file: an id, and a number.
pub(super) const ENTRY: usize = 32;

/// The file, which is deleted when it is dropped.
pub(super) struct SpillFile {
    file: File,
    /// Its length.
    pub(super) end: u64,
}

impl SpillFile {
    pub(super) fn new(disk: &DiskManager) -> Result<Self> {
        let folder = disk.temp_dir_paths().into_iter().next();
        let file = match folder {
            Some(folder) => tempfile::tempfile_in(folder),
            None => tempfile::tempfile(),
        };
        Ok(Self {
            file: file.map_err(file_error)?,
            end: 0,
        })
    }

    /// Appends ids, each with a number; their place.
    pub(super) fn write(&mut self, entries: impl Iterator<Item = (EventId, u64)>) -> Result<u64> {
        let mut bytes = Vec::new();
        for (id, number) in entries {
            for part in id.0.iter().chain([&number]) {
                bytes.extend_from_slice(&part.to_le_bytes());
            }
        }
        self.append(&bytes).map_err(file_error)
    }

    /// Reads so many entries at a place.
    pub(super) fn read(&mut self, at: u64, entries: usize) -> Result<Vec<(EventId, u64)>> {
        let bytes = self.bytes(at, entries).map_err(file_error)?;
        let entries = bytes.as_chunks::<ENTRY>().0.iter().map(|entry| {
            let mut parts = [0; ENTRY / 8];
            for (part, bytes) in parts.iter_mut().zip(entry.as_chunks().0) {
                *part = u64::from_le_bytes(*bytes);
            }
            let [high, middle, low, number] = parts;
            (EventId([high, middle, low]), number)
        });
        Ok(entries.collect())
    }

    /// Copies entries to the end of another file; their place there.
    pub(super) fn move_to(&mut self, at: u64, entries: usize, to: &mut Self) -> Result<u64> {
        let bytes = self.bytes(at, entries).map_err(file_error)?;
        to.append(&bytes).map_err(file_error)
    }

    fn append(&mut self, bytes: &[u8]) -> std::io::Result<u64> {
        let at = self.end;
        self.file.seek(SeekFrom::Start(at))?;
        self.file.write_all(bytes)?;
        self.end += bytes.len() as u64;
        Ok(at)
    }

    fn bytes(&mut self, at: u64, entries: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; entries * ENTRY];
        self.file.seek(SeekFrom::Start(at))?;
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

fn file_error(error: std::io::Error) -> DataFusionError {
    Error::new(
        Class::Output,
        "can't use a temporary file for ids of events",
    )
    .caused_by(error)
    .into()
}
