//! DuckDB and Spark, which run statements and queries.

use std::process::Command;

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::python;

/// The rows of a result, in the form of `tools/values.py`.
pub type Rows = Vec<Map<String, Value>>;

/// Runs statements and then queries in DuckDB; returns the results in the order of the queries.
pub fn duckdb(statements: &[String], queries: &[&str]) -> Vec<Rows> {
    ask(python::tool("ask_duckdb.py"), statements, queries)
}

/// Runs statements and then queries in Spark with Hive's catalogue, which takes half a minute to start.
pub fn spark(statements: &[String], queries: &[&str]) -> Vec<Rows> {
    let folder = TempDir::new().expect("a temporary folder");
    let mut command = python::tool("ask_spark.py");
    command.arg(folder.path());
    ask(command, statements, queries)
}

fn ask(mut command: Command, statements: &[String], queries: &[&str]) -> Vec<Rows> {
    let asked = json!({"statements": statements, "queries": queries});
    python::ask(&mut command, &asked)
}
