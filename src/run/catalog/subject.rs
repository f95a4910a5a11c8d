//! What is queried, from the arguments that name it.

use std::path::Path;
use std::time::Duration;

use chrono_tz::Tz;

use crate::error::{Error, Result};
use crate::job::{AwsSettings, Job, Language, Location, SourceAccess, WorkerAddress};
use crate::run::job_file;
use crate::window::Size;

/// What is queried: a job, its exported windows and its answers; or what is below a location.
#[derive(Debug, Clone)]
pub enum Subject {
    /// A job.
    Job(Box<Job>),
    /// A folder, a prefix or a file: exported objects, or Parquet files.
    Location(Location),
}

impl Subject {
    /// A job file if the text is `-` or ends with `.toml`, else a location; a relative path is relative to the working
    /// folder. Errors (usage): a wrong job file, a folder that does not exist.
    pub async fn load(text: &str) -> Result<Self> {
        if text == "-" || text.ends_with(".toml") {
            let job = job_file::load(Path::new(text)).await?;
            return Ok(Self::Job(Box::new(job)));
        }
        let here = std::env::current_dir()
            .map_err(|error| Error::usage("can't find out the working folder").caused_by(error))?;
        let location = Location::parse(text, &here).map_err(Error::usage)?;
        ensure_exists(&location, text)?;
        Ok(Self::Location(location))
    }

    /// The job.
    pub fn job(&self) -> Option<&Job> {
        match self {
            Self::Job(job) => Some(job),
            Self::Location(_) => None,
        }
    }

    /// How AWS is found for it.
    pub fn aws(&self) -> AwsSettings {
        self.job().map(|job| job.aws.clone()).unwrap_or_default()
    }

    /// How AWS is found for all of them.
    ///
    /// # Errors
    /// `Usage` for jobs that reach AWS in different ways.
    pub fn aws_of_all(subjects: &[Self]) -> Result<AwsSettings> {
        let jobs = || subjects.iter().filter(|subject| subject.job().is_some());
        let mut aws = jobs().next().map(Self::aws).unwrap_or_default();
        let differs = |other: &Self| {
            let (own, other) = (accesses(&aws), other.aws());
            own != accesses(&other)
        };
        if jobs().any(differs) {
            return Err(Error::usage(
                "the jobs have different regions, profiles or roles: expected jobs of one account, or one job",
            ));
        }
        for other in jobs().map(Self::aws) {
            for (own, other) in aws.sources.iter_mut().zip(other.sources) {
                own.requester_pays |= other.requester_pays;
            }
        }
        Ok(aws)
    }

    /// The language of its charts.
    pub fn language(&self) -> Language {
        self.job().map(|job| job.language).unwrap_or_default()
    }

    /// Whether its messages are without personal data and secrets.
    pub fn masks(&self) -> bool {
        match self {
            Self::Job(job) => job.mask,
            Self::Location(_) => false,
        }
    }

    /// How long a query over it may take.
    pub fn timeout(&self) -> Option<Duration> {
        self.job()?.limits.timeout
    }

    /// The workers that share the reading.
    pub fn workers(&self) -> &[WorkerAddress] {
        self.job().map_or(&[], |job| &job.workers)
    }

    /// The workers of all of them, each once.
    pub fn workers_of_all(subjects: &[Self]) -> Vec<WorkerAddress> {
        let all = subjects.iter().flat_map(Self::workers);
        let mut workers: Vec<WorkerAddress> = all.cloned().collect();
        workers.sort_unstable();
        workers.dedup();
        workers
    }

    /// The memory for queries that it asks for, in bytes.
    pub fn memory(&self) -> Option<u64> {
        self.job()?.limits.memory
    }

    /// The zone of its windows, where it has windows.
    pub(super) fn timezone(&self) -> Option<Tz> {
        self.job().map(|job| job.timezone)
    }

    /// The size of its windows, where it has windows.
    pub(super) fn window_size(&self) -> Option<Size> {
        self.job().map(|job| job.window.size)
    }
}

/// How logs are reached, without the question of who pays.
fn accesses(aws: &AwsSettings) -> Vec<SourceAccess> {
    let sources = aws.sources.iter().map(|access| SourceAccess {
        requester_pays: false,
        ..access.clone()
    });
    sources.collect()
}

/// `text` is the location as it was written.
fn ensure_exists(location: &Location, text: &str) -> Result<()> {
    match location {
        Location::Local(path) if !path.exists() => Err(Error::usage(format!(
            "{text} does not exist: expected a job file (*.toml), a folder of exported objects or of Parquet files, or s3://bucket/prefix{}",
            match path.with_extension("toml") {
                job if job.exists() => format!(
                    "; did you mean {}?",
                    Path::new(text).with_extension("toml").display()
                ),
                _ => String::new(),
            }
        ))),
        _ => Ok(()),
    }
}
