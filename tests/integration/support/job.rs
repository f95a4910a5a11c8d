//! Jobs over exported objects in a folder, for most tests.

use serde_json::Value;

use super::events::at;
use super::export::Export;
use super::parquet::Parquet;
use super::program::{Dir, Finished};

/// The job file of [`Night`].
pub const JOB: &str = "night.toml";

/// A job `night` in a folder of its own, over the exported objects in `exported/`, with its answers in `out/`.
pub struct Night {
    pub dir: Dir,
}

impl Night {
    /// A job that counts days of UTC by hour.
    pub fn new() -> Self {
        Self::with("timezone = \"UTC\"", "")
    }

    /// The same with one event, at noon of 2025-03-03.
    pub fn with_an_event() -> Self {
        let night = Self::new();
        let noon = at("2025-03-03T12:00:00Z");
        night.export().stream("web/app", &[(noon, "x")]);
        night
    }

    /// A job that counts days of a zone by hour.
    pub fn in_zone(zone: &str) -> Self {
        Self::with(&format!("timezone = {zone:?}"), "")
    }

    /// A job with more top-level keys, and with more text at its end, such as further queries.
    pub fn with(head: &str, tail: &str) -> Self {
        let dir = Dir::new();
        dir.write(
            JOB,
            format!(
                r#"name = "night"
{head}
[source]
kind = "exported"
path = "exported"
[output]
location = "out"
[[query]]
use = "hourly_count"
{tail}"#
            ),
        );
        Self { dir }
    }

    /// The export that the job reads.
    pub fn export(&self) -> Export {
        Export::new(self.dir.join("exported"))
    }

    /// Runs `logtally run` for one window, to its end.
    pub fn run(&self, window: &str) -> Finished {
        self.run_with(["--window", window])
    }

    /// Runs `logtally run` with these arguments, to its end.
    pub fn run_with<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Finished {
        let arguments = ["run", JOB].into_iter().chain(arguments);
        self.dir.logtally(arguments).run()
    }

    /// The receipt of `logtally run --json` for one window, which must succeed.
    pub fn receipt(&self, window: &str) -> Value {
        let finished = self.run_with(["--window", window, "--json"]);
        finished.assert_success().stdout_run()
    }

    /// The rows of `logtally query --format json` over the exported objects.
    pub fn ask(&self, sql: &str) -> Value {
        self.dir
            .logtally(["query", "exported", "--format", "json", sql])
            .run()
            .assert_success()
            .stdout_json()
    }

    /// The answer of `hourly_count` for a day.
    pub fn hourly_count(&self, day: &str) -> Parquet {
        Parquet::read(self.dir.join(format!(
            "out/night/hourly_count/dt={day}/hourly_count.parquet"
        )))
    }

    /// The files of the output folder.
    pub fn outputs(&self) -> Vec<String> {
        self.dir
            .files()
            .into_iter()
            .filter(|file| file.starts_with("out/"))
            .collect()
    }
}
