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
mod queries;
mod schema;
mod scratch;
mod settled;
mod shared;
mod stopwatch;
mod tables;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use crate::aws::logs::LogsClient;
use crate::aws::{Account, Aws};
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, Result};
use crate::export::LogExporter;
use crate::export::cloudwatch::CloudWatchExporter;
use crate::export::directory::DirectoryExporter;
use crate::export::existing::ExistingExport;
use crate::export::service::ExportService;
use crate::export::subscription::SubscriptionSource;
use crate::job::{AwsSettings, Job, Location, Source, Verify, Via};
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
    /// CloudWatch Logs; the real one where unset.
    pub service: Option<Arc<dyn ExportService>>,
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
            service: self.service.clone(),
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
            service: None,
            counter: None,
            engine,
            scratch,
            columns: None,
        })
    }

    /// The folder of temporary files.
    fn scratch(&self) -> PathBuf {
        match &self.scratch {
            Some(folder) => folder.path().to_owned(),
            None => std::env::temp_dir(),
        }
    }
}

/// What turns the job's windows into objects in `store`, the job's own [`source_store`].
async fn exporter(
    environment: &Environment,
    job: &Job,
    store: Store,
) -> Result<Box<dyn LogExporter>> {
    let clock = Arc::clone(&environment.clock);
    Ok(match &job.source {
        Source::CloudWatch(settings) => {
            let service: Arc<dyn ExportService> = match &environment.service {
                Some(service) => Arc::clone(service),
                None => {
                    let aws = environment.stores.aws();
                    if settings.via != Via::Events {
                        ensure_one_region(&store, &aws.region(Account::Source).await?)?;
                    }
                    Arc::new(LogsClient::new(aws).await?)
                }
            };
            Box::new(CloudWatchExporter::new(
                service,
                store,
                settings.clone(),
                clock,
            )?)
        }
        Source::Exported { log_group, .. } => {
            Box::new(ExistingExport::new(store, log_group.clone()))
        }
        Source::Subscription(settings) => {
            Box::new(SubscriptionSource::new(store, settings.clone()))
        }
        Source::Directory { path, pad, .. } => {
            let scratch = environment.scratch();
            Box::new(DirectoryExporter::new(
                path.clone(),
                store,
                *pad,
                clock,
                &scratch,
            ))
        }
    })
}

/// An error (usage) if the staging bucket is in another Region than the logs: no export task writes there.
fn ensure_one_region(staging: &Store, of_logs: &str) -> Result<()> {
    match staging.region() {
        Some(region) if region != of_logs => Err(Error::usage(format!(
            "[source] staging: the bucket of {} is in {region}, and the logs are asked for in {of_logs}: expected both in one Region, since CloudWatch exports to no other",
            staging.location()
        ))),
        _ => Ok(()),
    }
}

/// The independent count of the job's events; `None` where the job has none.
async fn verifier(environment: &Environment, job: &Job) -> Result<Option<Verifier>> {
    let Source::CloudWatch(settings) = &job.source else {
        return Ok(None);
    };
    let service: Arc<dyn IndependentCount> = match &environment.counter {
        _ if settings.verify == Some(Verify::Off) => return Ok(None),
        Some(counter) => Arc::clone(counter),
        None => Arc::new(CloudWatchCount::new(environment.stores.aws()).await?),
    };
    Ok(Some(Verifier::new(service, settings.verify)))
}

/// Where the job's exported objects are.
async fn source_store(environment: &Environment, job: &Job) -> Result<Store> {
    let key = match &job.source {
        Source::CloudWatch(_) | Source::Directory { .. } => "[source] staging",
        Source::Exported { .. } | Source::Subscription(_) => "[source] path",
    };
    open(environment, job.source.location(), Account::Source, key).await
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
