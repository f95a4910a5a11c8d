//! The formats of answers: by their names, and by the ending of a file.

use crate::error::{Error, Result};

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Columns that line up, for reading: at most 10,000 rows, cells cut to fit the terminal
    Table,
    /// A line for each column, whole, with every line of a message
    Vertical,
    /// Comma-separated values with a header
    Csv,
    /// The same, separated by tabs
    Tsv,
    /// An array of objects, a line each
    Json,
    /// An object on each line, without the array (JSON Lines)
    #[value(alias = "jsonl")]
    Ndjson,
    /// A table for a page or a ticket
    #[value(alias = "md")]
    Markdown,
    /// Parquet, compressed with zstd
    Parquet,
    /// Arrow IPC: a file (Feather) with --output, else a stream
    Arrow,
    /// Arrow IPC as a stream
    #[value(skip)]
    ArrowStream,
}

/// The endings of files, and the formats that they mean.
const ENDINGS: [(&str, Format); 12] = [
    ("csv", Format::Csv),
    ("tsv", Format::Tsv),
    ("json", Format::Json),
    ("ndjson", Format::Ndjson),
    ("jsonl", Format::Ndjson),
    ("md", Format::Markdown),
    ("txt", Format::Table),
    ("parquet", Format::Parquet),
    ("arrow", Format::Arrow),
    ("feather", Format::Arrow),
    ("arrows", Format::ArrowStream),
    ("markdown", Format::Markdown),
];

impl Format {
    /// The format that the name of a file or an object ends in; a table if it has no ending.
    ///
    /// # Errors
    /// Usage, if it ends in another.
    pub fn of_name(name: &str) -> Result<Self> {
        let last = name.rsplit('/').next().unwrap_or(name);
        // A dot at the start hides a file and begins no ending.
        let Some((_, ending)) = last
            .rsplit_once('.')
            .filter(|(before, _)| !before.is_empty())
        else {
            return Ok(Format::Table);
        };
        let lower = ending.to_ascii_lowercase();
        let known = ENDINGS.iter().find(|(known, _)| *known == lower);
        known.map(|(_, format)| *format).ok_or_else(|| {
            Error::usage(format!(
                "--output {name} ends with .{ending}, which is no format of query: expected .csv, .tsv, .json, .ndjson, .md, .parquet, .arrow or .txt, or --format"
            ))
        })
    }

    /// Whether only programs can read it.
    pub fn is_binary(self) -> bool {
        matches!(self, Format::Parquet | Format::Arrow | Format::ArrowStream)
    }

    /// Whether it is laid out for a reader, who sees the width of the terminal, colours and a footer.
    pub fn is_for_eyes(self) -> bool {
        matches!(self, Format::Table | Format::Vertical)
    }

    /// The media type of an object in this format.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Table | Format::Vertical => "text/plain; charset=utf-8",
            Format::Csv => "text/csv; charset=utf-8",
            Format::Tsv => "text/tab-separated-values; charset=utf-8",
            Format::Json => "application/json",
            Format::Ndjson => "application/x-ndjson",
            Format::Markdown => "text/markdown; charset=utf-8",
            Format::Parquet => "application/vnd.apache.parquet",
            Format::Arrow => "application/vnd.apache.arrow.file",
            Format::ArrowStream => "application/vnd.apache.arrow.stream",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_of_a_name_says_the_format() {
        for (name, expected) in [
            ("answer.csv", Format::Csv),
            ("answer.CSV", Format::Csv),
            ("s3://acme/a.b/answer.jsonl", Format::Ndjson),
            ("answer.feather", Format::Arrow),
            ("answer.arrows", Format::ArrowStream),
            ("a.folder/answer", Format::Table),
            (".hidden", Format::Table),
            ("answer.txt", Format::Table),
        ] {
            assert_eq!(Format::of_name(name).unwrap(), expected, "{name}");
        }
        let error = Format::of_name("answer.xlsx").unwrap_err().to_string();
        assert!(
            error.contains("answer.xlsx ends with .xlsx") && error.contains(".parquet"),
            "{error}"
        );
    }
}
