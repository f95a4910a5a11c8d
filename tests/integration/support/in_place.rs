//! Jobs over objects that other programs write, of a subscription or of delivered logs.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use super::job::JOB;
use super::moto::Moto;
use super::parquet::Parquet;
use super::program::{Dir, Finished};

/// The window of the events.
pub const DAY: &str = "2025-03-03";

/// The folder of the objects.
pub const LOGS: &str = "logs";

pub fn gzip(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_ref()).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

pub fn zstd(text: impl AsRef<[u8]>) -> Vec<u8> {
    zstd::bulk::compress(text.as_ref(), 3).expect("memory takes all")
}

/// A job `night` in a folder of its own, over objects in `logs/` or in another location, with its answers in `out/`.
pub struct InPlace {
    pub dir: Dir,
    kind: &'static str,
}

impl InPlace {
    /// Of a kind of source, with objects in `logs/`.
    pub fn new(kind: &'static str, objects: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let this = Self {
            dir: Dir::new(),
            kind,
        };
        for (key, object) in objects {
            this.dir.write(format!("{LOGS}/{key}"), object);
        }
        this.job("", "");
        this
    }

    /// Gives the job other keys of `[source]`, and other text at its end.
    pub fn job(&self, source: &str, tail: &str) {
        self.job_over(LOGS, source, tail);
    }

    /// The same for objects in another location.
    pub fn job_over(&self, path: &str, source: &str, tail: &str) {
        let kind = self.kind;
        self.dir.write(
            JOB,
            format!(
                "name = \"night\"\n[source]\nkind = \"{kind}\"\npath = \"{path}\"\n{source}\n[output]\nlocation = \"out\"\n\
                 [[query]]\nuse = \"hourly_count\"\n{tail}"
            ),
        );
    }

    /// Runs `logtally run` for the day, to its end.
    pub fn run(&self, more: &[&str]) -> Finished {
        self.run_of(DAY, more)
    }

    /// The same for another window.
    pub fn run_of(&self, window: &str, more: &[&str]) -> Finished {
        let arguments = ["run", JOB, "--window", window];
        self.dir.logtally(arguments.iter().chain(more)).run()
    }

    /// The receipt of the day, whose run must succeed.
    pub fn receipt(&self, more: &[&str]) -> Value {
        let more = [&["--json"][..], more].concat();
        self.run(&more).assert_success().stdout_run()
    }

    /// The same where the objects are on S3.
    pub fn receipt_on(&self, moto: &Moto) -> Value {
        let program = self
            .dir
            .logtally(["run", JOB, "--window", DAY, "--json"])
            .envs(moto.environment());
        program.run().assert_success().stdout_run()
    }

    /// The rows of `logtally query --format json` over the day of the job.
    pub fn ask(&self, sql: &str) -> Value {
        self.ask_of(&[JOB, "--window", DAY], sql)
    }

    /// The same over other subjects.
    pub fn ask_of(&self, subject: &[&str], sql: &str) -> Value {
        let as_json = ["--format", "json", sql];
        let arguments = ["query"].iter().chain(subject).chain(&as_json);
        let finished = self.dir.logtally(arguments).run();
        finished.assert_success().stdout_json()
    }

    /// The answer of `hourly_count` for the day.
    pub fn hourly_count(&self) -> Parquet {
        let file = format!("out/night/hourly_count/dt={DAY}/hourly_count.parquet");
        Parquet::read(self.dir.join(file))
    }

    /// The archive of the day.
    pub fn archive(&self) -> Parquet {
        let file = format!("out/night/events/dt={DAY}/events-00000.parquet");
        Parquet::read(self.dir.join(file))
    }

    /// Takes an object out of `logs/`.
    pub fn take(&self, key: &str) -> Vec<u8> {
        let file = format!("{LOGS}/{key}");
        let object = self.dir.read(&file);
        std::fs::remove_file(self.dir.join(&file)).expect("it is there");
        object
    }

    /// Puts an object into `logs/`.
    pub fn put(&self, key: &str, object: impl AsRef<[u8]>) {
        self.dir.write(format!("{LOGS}/{key}"), object);
    }
}

/// The notes of a receipt.
pub fn notes(receipt: &Value) -> Vec<String> {
    let notes = receipt["notes"].as_array().into_iter().flatten();
    let texts = notes.map(|note| note.as_str().expect("a text").to_owned());
    texts.collect()
}
