//! A run: what to do ([`plan()`]), which writes nothing, and doing it ([`execute()`]). The only room that uses all others.
//! What a face needs of it (the command line, and whatever stands beside it) is here: plans, runs and their JSON
//! ([`document`]), and the tables of a job or a location ([`catalog`]).

pub mod catalog;
pub mod document;

mod answer;
mod clean;
mod compare;
mod compute;
mod earlier_export;
mod execute;
mod fingerprint;
mod history;
mod plan;
mod publish;
mod queries;
mod schema;
mod settled;
mod tables;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::aws::Account;
use crate::aws::logs::LogsClient;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::export::LogExporter;
use crate::export::cloudwatch::CloudWatchExporter;
use crate::export::directory::DirectoryExporter;
use crate::export::existing::ExistingExport;
use crate::export::service::ExportService;
use crate::job::{Job, Source, Verify, Via};
use crate::layout::Keys;
use crate::progress::Progress;
use crate::query::Engine;
use crate::store::{Store, Stores};
use crate::verify::{CloudWatchCount, IndependentCount, Verifier};

pub use execute::{Outcome, execute};
pub use history::{RunOption, WindowStatus, WindowSummary, status};
pub use plan::{Action, Force, Plan, Request, Selection, WindowPlan, plan, select};
pub use tables::{Applied, apply, tables};

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
    /// A folder of this run's own, on a disk with room for the answers.
    pub scratch: tempfile::TempDir,
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
        Source::Directory { path, pad, .. } => {
            let scratch = environment.scratch.path();
            Box::new(DirectoryExporter::new(
                path.clone(),
                store,
                *pad,
                clock,
                scratch,
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
        Source::Exported { .. } => "[source] path",
    };
    let location = job.source.location();
    let opened = environment.stores.open(location, Account::Source).await;
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
        let opened = environment.stores.open(&job.output, Account::Output).await;
        Ok(Self {
            store: opened.map_err(|error| error.during("[output] location"))?,
            keys: Keys::of(job)?,
        })
    }
}
