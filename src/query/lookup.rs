//! Lookup tables from text: CSV and lines of JSON, read whole. Their types are those that every value has.

mod csv;
mod ndjson;

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use flate2::read::MultiGzDecoder;

use crate::error::{Error, Result};

/// The most bytes of a text. It is in memory, outside of what queries are given; Parquet has no such limit.
pub const MAX_TEXT_BYTES: u64 = 256 << 20;

/// How the text of a lookup table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFormat {
    /// Values between commas, with a line of names at the head.
    Csv,
    /// Values between tabs, with a line of names at the head.
    Tsv,
    /// An object of JSON in each line.
    Ndjson,
}

impl TextFormat {
    /// The format that the name of a file says, and whether the file is compressed by gzip.
    pub fn of_name(name: &str) -> Option<(Self, bool)> {
        let name = name.to_ascii_lowercase();
        let (plain, is_gzip) = match name.strip_suffix(".gz") {
            Some(plain) => (plain, true),
            None => (name.as_str(), false),
        };
        let format = match plain.rsplit_once('.')?.1 {
            "csv" => Self::Csv,
            "tsv" => Self::Tsv,
            "ndjson" | "jsonl" => Self::Ndjson,
            _ => return None,
        };
        Some((format, is_gzip))
    }
}

/// The text of a file of a lookup table.
#[derive(Debug, Clone)]
pub struct LookupText {
    /// The file, for errors.
    pub name: String,
    /// Its format.
    pub format: TextFormat,
    /// What stands in it.
    pub text: Vec<u8>,
}

impl LookupText {
    /// The text of a file that may be compressed. Errors (damaged): it is no gzip, or the text is too large.
    pub fn new(name: &str, format: TextFormat, is_gzip: bool, content: &[u8]) -> Result<Self> {
        let mut text = Vec::new();
        match is_gzip {
            false => text.extend_from_slice(content),
            true => {
                let decoder = MultiGzDecoder::new(content);
                let read = decoder.take(MAX_TEXT_BYTES + 1).read_to_end(&mut text);
                read.map_err(|error| {
                    Error::damaged(format!("can't read {name} as gzip")).caused_by(error)
                })?;
            }
        }
        if text.len() as u64 > MAX_TEXT_BYTES {
            return Err(too_large(name));
        }
        if text.starts_with(b"\xef\xbb\xbf") {
            text.drain(..3);
        }
        Ok(Self {
            name: name.to_owned(),
            format,
            text,
        })
    }
}

/// An error (usage) for a text that is too large for memory.
pub fn too_large(name: &str) -> Error {
    Error::usage(format!(
        "{name} is larger than {} MiB, the most for a lookup table of text: expected Parquet, which is read piece by piece",
        MAX_TEXT_BYTES >> 20
    ))
}

/// A table of the rows of some texts, all of one format. `types` are the types of columns, as SQL names them, that are not to
/// be found out from the values.
///
/// # Errors
/// `Damaged` with the file and the line of a text that can't be read, `Usage` for a type that its values are not of.
pub fn table(
    texts: &[LookupText],
    types: &BTreeMap<String, String>,
) -> Result<Arc<dyn TableProvider>> {
    let batch: RecordBatch = match texts.first().map(|text| text.format) {
        Some(TextFormat::Ndjson) => ndjson::batch(texts, types)?,
        _ => csv::batch(texts, types)?,
    };
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]]);
    Ok(Arc::new(table.map_err(Error::from_engine)?))
}

#[cfg(test)]
mod tests;
