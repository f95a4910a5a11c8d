//! Parquet files as DuckDB and pyarrow read them, which must agree.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::python;

/// A Parquet file.
#[derive(Debug, PartialEq, Deserialize)]
pub struct Parquet {
    /// Each column's name and Arrow type.
    pub columns: Vec<(String, String)>,
    /// The key-value metadata.
    pub metadata: Map<String, Value>,
    /// The compression codecs.
    pub compression: Vec<String>,
    /// The rows, with times in ISO 8601.
    pub rows: Vec<Map<String, Value>>,
}

impl Parquet {
    /// Reads a file. Panics if a reader fails or if the two disagree.
    pub fn read(path: impl AsRef<Path>) -> Self {
        Self::read_all([path]).remove(0)
    }

    /// Reads several files in one process.
    pub fn read_all<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Vec<Self> {
        let mut command = python::tool("parquet.py");
        command.args(
            paths
                .into_iter()
                .map(|path| path.as_ref().as_os_str().to_owned()),
        );
        serde_json::from_str(&python::output(&mut command)).expect("parquet.py prints a JSON list")
    }

    /// The columns as `name: type`.
    pub fn schema(&self) -> Vec<String> {
        self.columns
            .iter()
            .map(|(name, data_type)| format!("{name}: {data_type}"))
            .collect()
    }

    /// A column of whole numbers.
    pub fn integers(&self, column: &str) -> Vec<i64> {
        self.values(column, |value| value.as_i64())
    }

    /// A column of texts or times.
    pub fn texts(&self, column: &str) -> Vec<String> {
        self.values(column, |value| value.as_str().map(str::to_owned))
    }

    fn values<T>(&self, column: &str, get: impl Fn(&Value) -> Option<T>) -> Vec<T> {
        self.rows
            .iter()
            .map(|row| {
                row.get(column)
                    .and_then(&get)
                    .unwrap_or_else(|| panic!("{column} of {row:?} has another type"))
            })
            .collect()
    }
}
