//! A run: what to do ([`plan()`]), which writes nothing, and doing it ([`execute()`]). The only room that uses all others.
//! What a face needs of it (the command line, and whatever stands beside it) is here: plans, runs and their JSON
//! ([`document`]), and the tables of a job or a location ([`catalog`]).

pub mod catalog;
pub mod document;
pub mod job_file;
pub mod log_lines;
#[cfg(feature = "otel")]
pub mod trace;

mod answer;
mod answer_files;
mod archive;
mod clean;
mod commands;
mod compare;
mod compute;
mod earlier_export;
mod execute;
mod expectations;
mod fingerprint;
mod history;
mod lookback;
mod lookups;
mod notify;
mod parquet_files;
mod plan;
mod previous;
mod publish;
mod put_parts;
mod queries;
mod schema;
mod scratch;
mod settled;
mod shared;
mod sources;
mod stopwatch;
mod tables;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use crate::aws::{Account, Aws};
use crate::clock::{Clock, SystemClock};
use crate::error::Result;
use crate::export::service::ExportService;
use crate::job::{AwsSettings, Job, JobSource, Location, Source, Verify};
use crate::layout::Keys;
use crate::progress::Progress;
use crate::query::{Engine, available_memory};
use crate::scan::columns::Columns;
use crate::store::{Store, Stores};
use crate::verify::{CloudWatchCount, IndependentCount, Verifier};

pub use archive::{CompactedDay, compact};
pub use commands::commands;
pub use execute::{Outcome, execute, export_fresh};
pub use history::{RunOption, WindowStatus, WindowSummary, status};
pub use lookups::Lookups;
pub use notify::plan_to_run;
pub use plan::{Action, Force, Plan, Request, Selection, WindowPlan, plan, plan_archives, select};
pub use queries::{plan_all, reads_again};
pub use scratch::Scratch;
pub use stopwatch::Step;
#[cfg(feature = "glue")]
pub use tables::would_change;
pub use tables::{Applied, apply, tables};

/// Exit code of a strict run whose answers may still change, or are not verified, or that is behind; and of a check of
/// the windows' status where one is not done.
pub const UNCERTAIN: u8 = 9;

/// What a run has to work with: the real things, or a test's.
pub struct Environment {
    /// Opens locations.
    pub stores: Stores,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Receives progress events.
    pub progress: Arc<dyn Progress>,
    /// CloudWatch Logs, for each way to reach logs; the real one where there is none.
    pub services: Vec<Arc<dyn ExportService>>,
    /// The independent count, where the job asks for one; CloudWatch's where unset.
    pub counter: Option<Arc<dyn IndependentCount>>,
    /// Runs the queries.
    pub engine: Engine,
    /// A folder of this run's own, on a disk with room for the answers; unset for a face that computes none.
    pub scratch: Option<Scratch>,
    /// Where ad-hoc queries keep columns of what they read, for the next one; unset: nowhere.
    pub columns: Option<Arc<Columns>>,
}

impl Environment {
    /// The same without the folder of temporary files, which stays with its owner.
    fn without_scratch(&self) -> Self {
        Self {
            stores: self.stores.clone(),
            clock: Arc::clone(&self.clock),
            progress: Arc::clone(&self.progress),
            services: self.services.clone(),
            counter: self.counter.clone(),
            engine: self.engine.clone(),
            scratch: None,
            columns: self.columns.clone(),
        }
    }

    /// The real things. `memory` is what queries may take, in bytes; by default a part of the machine's. Without a scratch
    /// folder, no query runs over rows.
    ///
    /// # Errors
    /// `Sql` for a machine with too little memory, `Usage` for wrong settings of AWS.
    pub fn real(
        aws: AwsSettings,
        memory: Option<u64>,
        scratch: Option<Scratch>,
        progress: Arc<dyn Progress>,
    ) -> Result<Self> {
        let memory = memory.map_or_else(available_memory, Ok)?;
        let engine = match &scratch {
            Some(folder) => Engine::new(memory, folder.path())?,
            None => Engine::without_disk(memory)?,
        };
        Ok(Self {
            stores: Stores::new(Arc::new(Aws::new(aws)))?,
            clock: Arc::new(SystemClock),
            progress,
            services: Vec::new(),
            counter: None,
            engine,
            scratch,
            columns: None,
        })
    }

    /// The folder of temporary files.
    pub fn scratch(&self) -> PathBuf {
        match &self.scratch {
            Some(folder) => folder.path().to_owned(),
            None => std::env::temp_dir(),
        }
    }
}

/// The independent count of the events of each source, in their order; `None` for one that has none.
async fn verifiers(environment: &Environment, job: &Job) -> Result<Vec<Option<Verifier>>> {
    let mut verifiers = Vec::with_capacity(job.sources.len());
    for source in &job.sources {
        let verifier = verifier(environment, source).await;
        verifiers.push(verifier.map_err(|error| sources::about(source, error))?);
    }
    Ok(verifiers)
}

async fn verifier(environment: &Environment, source: &JobSource) -> Result<Option<Verifier>> {
    let Source::CloudWatch(settings) = &source.logs else {
        return Ok(None);
    };
    let service: Arc<dyn IndependentCount> = match &environment.counter {
        _ if settings.verify == Some(Verify::Off) => return Ok(None),
        Some(counter) => Arc::clone(counter),
        None => {
            let aws = environment.stores.aws();
            Arc::new(CloudWatchCount::new(aws, Account::of(source)).await?)
        }
    };
    Ok(Some(Verifier::new(service, settings.verify)))
}

/// Opens the location of a key. The key is named where the location is at fault, and not where AWS can't be used at all.
async fn open(
    environment: &Environment,
    location: &Location,
    account: Account,
    key: &str,
) -> Result<Store> {
    environment.stores.prepare(location, account).await?;
    let opened = environment.stores.open(location, account).await;
    opened.map_err(|error| error.during(key))
}

/// Where a job's answers go: the location, open, and the keys below it.
#[derive(Debug, Clone)]
struct Output {
    store: Store,
    keys: Keys,
}

impl Output {
    async fn open(environment: &Environment, job: &Job) -> Result<Self> {
        let (location, account) = (&job.output, Account::Output);
        Ok(Self {
            store: open(environment, location, account, "[output] location").await?,
            keys: Keys::of(job)?,
        })
    }
}
