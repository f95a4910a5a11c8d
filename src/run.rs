//! A run: what to do ([`plan()`]), which writes nothing, and doing it ([`execute()`]). The only place that knows all rooms.

mod answer;
mod clean;
mod compare;
mod execute;
mod fingerprint;
mod history;
mod plan;
mod publish;
mod question;
mod schema;
mod tables;

#[cfg(test)]
mod nights;

use std::sync::Arc;

use crate::aws::Account;
use crate::aws::logs::LogsClient;
use crate::clock::Clock;
use crate::error::Result;
use crate::export::LogExporter;
use crate::export::cloudwatch::CloudWatchExporter;
use crate::export::directory::DirectoryExporter;
use crate::export::existing::ExistingExport;
use crate::export::service::ExportService;
use crate::job::{Job, Source, Verify};
use crate::progress::Progress;
use crate::query::Engine;
use crate::store::{Store, Stores};
use crate::verify::{CloudWatchCount, IndependentCount};

pub use execute::{Outcome, execute};
pub use history::{WindowStatus, WindowSummary, done, status};
pub use plan::{Action, Force, Plan, Request, Selection, WindowPlan, plan, select};
pub use tables::{Applied, apply, tables};

/// What a run has to work with: the real things, or a test's.
pub struct Environment {
    /// Opens locations.
    pub stores: Stores,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Hears what is going on.
    pub progress: Arc<dyn Progress>,
    /// CloudWatch Logs; the real one where unset.
    pub service: Option<Arc<dyn ExportService>>,
    /// Who counts independently, where the job asks for it; CloudWatch where unset.
    pub counter: Option<Arc<dyn IndependentCount>>,
    /// Runs the queries.
    pub engine: Engine,
    /// A folder of this run's own, on a disk with room for the answers.
    pub scratch: tempfile::TempDir,
}

/// What turns the job's windows into objects.
pub async fn exporter(environment: &Environment, job: &Job) -> Result<Box<dyn LogExporter>> {
    let clock = Arc::clone(&environment.clock);
    let store = source_store(environment, job).await?;
    Ok(match &job.source {
        Source::CloudWatch(settings) => {
            let service: Arc<dyn ExportService> = match &environment.service {
                Some(service) => Arc::clone(service),
                None => Arc::new(LogsClient::new(environment.stores.aws()).await?),
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

/// Who counts the job's events independently; `None` where it does not ask for it.
async fn counter(
    environment: &Environment,
    job: &Job,
) -> Result<Option<Arc<dyn IndependentCount>>> {
    Ok(match (&job.source, &environment.counter) {
        (Source::CloudWatch(settings), _) if settings.verify == Verify::Off => None,
        (Source::CloudWatch(_), Some(counter)) => Some(Arc::clone(counter)),
        (Source::CloudWatch(_), None) => Some(Arc::new(
            CloudWatchCount::new(environment.stores.aws()).await?,
        )),
        (Source::Exported { .. } | Source::Directory { .. }, _) => None,
    })
}

/// Where the job's exported objects are.
pub async fn source_store(environment: &Environment, job: &Job) -> Result<Store> {
    let (key, location) = match &job.source {
        Source::CloudWatch(settings) => ("[source] staging", &settings.staging),
        Source::Exported { path, .. } => ("[source] path", path),
        Source::Directory { staging, .. } => ("[source] staging", staging),
    };
    let opened = environment.stores.open(location, Account::Source).await;
    opened.map_err(|error| error.during(key))
}

/// Where the job's answers go.
async fn output_store(environment: &Environment, job: &Job) -> Result<Store> {
    let opened = environment.stores.open(&job.output, Account::Output).await;
    opened.map_err(|error| error.during("[output] location"))
}
