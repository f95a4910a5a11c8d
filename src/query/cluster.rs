//! Workers that share the scans of a query: the same SQL, planned here, carried out by several processes, each of which
//! reads a part of the objects.
//!
//! The engine beyond one process is datafusion-distributed. What is here is what it can't do for this crate: scans whose
//! files are lists of objects or are read as they were listed (`codec`, `divide`, `table_scan`), answers that workers
//! write (`sections`, `write_parts`, `writing`), who may connect (`access`, `address`), what is reported and what
//! fails (`channels`, `following`, `failure`), and the process on the other side (`worker`).

mod access;
mod address;
mod channels;
mod codec;
mod divide;
mod failure;
mod following;
mod sections;
mod table_scan;
mod worker;
mod write_parts;
mod writing;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono_tz::Tz;
use datafusion::catalog::Session as EngineSession;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion_distributed::{
    DistributedExec, DistributedExt, DistributedLeafExec, NetworkCoalesceExec, RouteTasksEvent,
    RouteTasksEventResponse, SessionStateBuilderExt, WorkerResolver,
};
use futures::future::join_all;
use url::Url;

use self::access::OWN_VERSION;
use self::address::shown;
use self::channels::{Channels, Connections, Formats};
use self::codec::Codec;
use self::sections::{sections_of, why_uncut};
use self::write_parts::WriteParts;
use crate::error::{Class, Error, Result};
use crate::job::{Format, WorkerAddress};
use crate::query::Engine;
use crate::query::order::in_order;
use crate::scan::budget::Budget;
use crate::scan::wire::{Received, SentScans};
use crate::scan::{COMPRESSION, Processes, planned_bytes};

pub(super) use failure::failed_worker;

pub use access::{Access, TlsFiles};
pub use worker::Worker;
pub use write_parts::{Section, SectionWriter, WriteOrder, WriteSections};

/// How long a worker may take to say that it is there.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// The rows that a process keeps of each other one before it takes more: a part of its memory, within these bytes.
const OF_MEMORY: usize = 32;
const BUFFERS: (usize, usize) = (1 << 20, 64 << 20);

/// The workers of an engine.
#[derive(Debug)]
pub struct Cluster {
    addresses: Vec<WorkerAddress>,
    channels: Arc<Channels>,
}

/// The workers that a query is divided among.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ready {
    workers: Vec<Url>,
    /// How many partitions each of them runs at a time, at the most.
    partitions: usize,
}

impl Ready {
    /// The workers of the parts, which are two at least: the engine keeps a plan of one part in this process, which may be far
    /// from the objects. So a worker alone has both.
    fn of_parts(&self) -> Vec<Url> {
        match &self.workers[..] {
            [alone] => vec![alone.clone(); 2],
            several => several.to_vec(),
        }
    }

    /// The partitions of a part, two at least: a plan of one partition groups its rows in one place, and reads objects in their
    /// order, so that it can't be divided.
    fn partitions_of_part(&self) -> usize {
        self.sections_of_part().max(2)
    }

    /// The sections that a part writes at a time.
    fn sections_of_part(&self) -> usize {
        let parts_of_worker = self.of_parts().len() / self.workers.len();
        (self.partitions / parts_of_worker).max(1)
    }
}

/// What a worker says of itself: its version, and how many partitions it runs at a time.
fn info_of(partitions: usize) -> String {
    format!("{OWN_VERSION} {partitions}")
}

/// The partitions of a worker of this version.
fn partitions_of(info: &str) -> Option<usize> {
    let (version, partitions) = info.split_once(' ')?;
    let partitions = partitions.parse().ok()?;
    (version == OWN_VERSION && partitions > 0).then_some(partitions)
}

impl Cluster {
    /// Workers at these addresses. No request is sent yet.
    ///
    /// # Errors
    /// `Unexpected`, where threads can't be had.
    pub fn new(addresses: Vec<WorkerAddress>, access: Access) -> Result<Self> {
        Ok(Self {
            addresses,
            channels: Arc::new(Channels::new(access)?),
        })
    }

    /// The workers that answer, without one that has failed. A warning for each of the others.
    ///
    /// # Errors
    /// `Workers` if none answers.
    pub(super) async fn ready(&self, without: Option<&str>) -> Result<Ready> {
        let scheme = self.channels.access().scheme();
        let found = self.addresses.iter();
        let found = found.map(|address| address::urls(address, scheme));
        let mut failures = Vec::new();
        let mut workers = Vec::new();
        for found in join_all(found).await {
            match found {
                Ok(urls) => workers.extend(urls),
                Err(error) => failures.push(error.message()),
            }
        }
        workers.sort_unstable();
        workers.dedup();
        for failed in workers.extract_if(.., |worker| Some(worker.as_str()) == without) {
            failures.push(format!("the worker {} has failed", shown(&failed)));
        }
        let mut ready = Ready {
            workers: Vec::new(),
            partitions: 1,
        };
        let tried = workers.iter().map(|worker| self.partitions(worker));
        let tried = join_all(tried).await;
        for (worker, partitions) in workers.into_iter().zip(tried) {
            match partitions {
                Ok(partitions) => {
                    ready.partitions = ready.partitions.max(partitions);
                    ready.workers.push(worker);
                }
                Err(error) => failures.push(error.message()),
            }
        }
        if ready.workers.is_empty() {
            let what = format!("no worker can be used: {}", failures.join("; "));
            return Err(Error::new(Class::Workers, what).with_hint(
                "start workers of this version with `logtally worker`, or leave --workers and [run] workers out to read on this machine",
            ));
        }
        for failure in failures {
            tracing::warn!("goes on with fewer workers: {failure}");
        }
        Ok(ready)
    }

    /// How many partitions a worker runs at a time.
    async fn partitions(&self, worker: &Url) -> Result<usize> {
        let lost = |what: String| Error::new(Class::Workers, what);
        let info = tokio::time::timeout(ANSWERS_WITHIN, self.channels.info(worker)).await;
        let info = info.map_err(|_| {
            let seconds = ANSWERS_WITHIN.as_secs();
            lost(format!(
                "the worker {} does not answer within {seconds} s",
                shown(worker)
            ))
        })??;
        partitions_of(&info).ok_or_else(|| {
            lost(format!(
                "the worker {} says that it is {info:?}: expected logtally {OWN_VERSION}, as this is",
                shown(worker)
            ))
        })
    }

    /// The plan of a query that is divided among workers, and the state that it runs with. `None` where it stays here.
    /// `memory` is that of the session, in bytes.
    ///
    /// # Errors
    /// Those of planning.
    pub(super) async fn divide(
        &self,
        query: &LogicalPlan,
        state: &SessionState,
        formats: &Arc<[Format]>,
        ready: &Ready,
        memory: usize,
    ) -> EngineResult<Option<(Arc<dyn ExecutionPlan>, SessionState)>> {
        if divide::may_have_several_rows(query)? {
            tracing::info!(
                "reads on this machine: a subquery that is one value may have several rows"
            );
            return Ok(None);
        }
        let workers = ready.of_parts();
        let sharing = Sharing::new(memory);
        let state = sharing.planning(state, formats, ready.partitions_of_part(), workers.len());
        let plan = state.create_physical_plan(query).await?;
        let stays = match divide::comes_in_turn(&plan)? {
            true => Some("its first rows are read in order".to_owned()),
            false => sharing.why_it_stays(&plan, &state),
        };
        if let Some(reason) = stays {
            tracing::info!("reads on this machine: {reason}");
            return Ok(None);
        }
        let state = self.running(state, plan, sharing, workers)?;
        let planner = Arc::clone(state.query_planner());
        let plan = planner.create_physical_plan(query, &state).await?;
        if !plan.is::<DistributedExec>() {
            tracing::info!("reads on this machine: nothing is to be divided");
            return Ok(None);
        }
        Ok(Some((plan, state)))
    }

    /// The plan of a query whose rows workers write, in the order of the objects. `None` where they are written here.
    /// `generation` tells the parts of this try from those of any other.
    ///
    /// # Errors
    /// Those of planning.
    pub(super) async fn divide_writing(
        &self,
        query: &LogicalPlan,
        state: &SessionState,
        formats: &Arc<[Format]>,
        (ready, memory): (&Ready, usize),
        (order, generation): (&WriteOrder, u64),
    ) -> EngineResult<Option<PlannedSections>> {
        let workers = ready.of_parts();
        let at_once = ready.sections_of_part();
        let sharing = Sharing::new(memory);
        // Bundles of objects that are small enough for so many sections.
        let state = sharing.planning(state, formats, 1, workers.len() * at_once);
        let state = in_order(state);
        let plan = state.create_physical_plan(query).await?;
        let stays = match sharing.why_it_stays(&plan, &state) {
            Some(reason) => Some(reason),
            None => why_uncut(&plan)?,
        };
        if let Some(reason) = stays {
            tracing::info!("writes on this machine: {reason}");
            return Ok(None);
        }
        let Some((shares, each)) = shares(&plan, order, workers.len(), at_once) else {
            tracing::info!("writes on this machine: the answer is small");
            return Ok(None);
        };
        let sections = sections_of(&plan, shares * each)?;
        let write = |first, sections: &[Arc<dyn ExecutionPlan>]| -> Arc<dyn ExecutionPlan> {
            Arc::new(WriteParts::new(order, generation, first, sections.to_vec()))
        };
        let firsts = (0..).step_by(each);
        let written = firsts.zip(sections.chunks(each));
        let written = written.map(|(first, sections)| write(first, sections));
        let whole = write(0, &[plan]);
        let leaf = Arc::new(DistributedLeafExec::try_new(whole, written)?);
        let gathered = Arc::new(NetworkCoalesceExec::try_new(leaf, shares, 1)?);
        let plan = Arc::new(CoalescePartitionsExec::new(gathered));
        let state = self.running(state, plan, sharing, workers)?;
        let planner = Arc::clone(state.query_planner());
        let plan = planner.create_physical_plan(query, &state).await?;
        Ok(Some(PlannedSections {
            plan,
            state,
            sections: sections.len(),
        }))
    }

    /// The state that a plan runs with, parts of which are those of workers. It makes of the plan one that is sent to them.
    fn running(
        &self,
        state: SessionState,
        plan: Arc<dyn ExecutionPlan>,
        sharing: Sharing,
        workers: Vec<Url>,
    ) -> EngineResult<SessionState> {
        let Sharing { sent, memory } = sharing;
        let budget = Budget::new(&state.runtime_env().memory_pool);
        let received = Received::new(budget, None);
        let codec = Codec {
            received: Arc::new(received),
            sent,
            writer: None,
        };
        let state = SessionStateBuilder::new_from_existing(state)
            .with_query_planner(Arc::new(Planned(plan)))
            .with_distributed_planner()
            .with_distributed_user_codec(codec)
            .with_distributed_channel_resolver(Connections(Arc::clone(&self.channels)))
            .with_distributed_route_tasks_handler(in_turn(workers.clone()))
            .with_distributed_worker_resolver(These(workers))
            .with_distributed_desired_task_count_handler(divide::desired_parts)
            .with_distributed_scale_up_leaf_node_handler(divide::dealt)
            .with_distributed_worker_connection_buffer_budget_bytes(
                (memory / OF_MEMORY).clamp(BUFFERS.0, BUFFERS.1),
            )?
            .build();
        Ok(state)
    }
}

/// A plan of sections that workers write.
pub(super) struct PlannedSections {
    pub(super) plan: Arc<dyn ExecutionPlan>,
    /// The state that it runs with.
    pub(super) state: SessionState,
    /// How many there are.
    pub(super) sections: usize,
}

/// How many workers write an answer, and how many sections each. A section has the text of a file at the least, or there
/// would be more and smaller files than one process makes. `None` where one process does as well.
fn shares(
    plan: &Arc<dyn ExecutionPlan>,
    order: &WriteOrder,
    workers: usize,
    at_once: usize,
) -> Option<(usize, usize)> {
    let text = planned_bytes(plan) * COMPRESSION;
    let worth = usize::try_from(text / order.least_text.max(1)).unwrap_or(usize::MAX);
    let shares = workers.min(worth);
    (shares > 1).then(|| (shares, at_once.min(worth / shares)))
}

/// What a query has that workers share.
struct Sharing {
    /// Its scans that were sent.
    sent: Arc<SentScans>,
    /// The bytes that it may take.
    memory: usize,
}

impl Sharing {
    fn new(memory: usize) -> Self {
        Self {
            sent: Arc::default(),
            memory,
        }
    }

    /// The state that makes a plan of so many partitions for so many processes.
    fn planning(
        &self,
        state: &SessionState,
        formats: &Arc<[Format]>,
        partitions: usize,
        processes: usize,
    ) -> SessionState {
        let mut config = state
            .config()
            .clone()
            .with_create_default_catalog_and_schema(false)
            .with_target_partitions(partitions)
            .with_extension(Arc::new(Processes(processes)))
            .with_extension(Arc::new(Formats(Arc::clone(formats))))
            .with_extension(Arc::clone(&self.sent));
        // The engine has no such subqueries in several processes.
        let optimizer = &mut config.options_mut().optimizer;
        optimizer.enable_physical_uncorrelated_scalar_subquery = false;
        SessionStateBuilder::new_from_existing(state.clone())
            .with_config(config)
            .build()
    }

    fn why_it_stays(&self, plan: &Arc<dyn ExecutionPlan>, state: &SessionState) -> Option<String> {
        let zone = state.config_options().execution.time_zone.as_deref();
        let zone = zone.and_then(|zone| zone.parse().ok()).unwrap_or(Tz::UTC);
        divide::why_it_stays(plan, state, &Engine::unnamed_functions(self.memory, zone))
    }
}

/// Gives the engine a plan that is there.
#[derive(Debug)]
struct Planned(Arc<dyn ExecutionPlan>);

#[async_trait]
impl QueryPlanner for Planned {
    async fn create_physical_plan(
        &self,
        _: &LogicalPlan,
        _: &dyn EngineSession,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        Ok(Arc::clone(&self.0))
    }
}

/// Gives the parts of a stage to the workers in their order: the same objects are then read by the same worker, which may
/// have kept their columns. A stage of fewer parts is left to the engine, which spreads such stages.
fn in_turn(
    workers: Vec<Url>,
) -> impl for<'e> Fn(RouteTasksEvent<'e>) -> Option<EngineResult<RouteTasksEventResponse>> {
    move |event| {
        let is_for_all = event.task_count == workers.len();
        is_for_all.then(|| Ok(RouteTasksEventResponse::new(workers.clone())))
    }
}

/// The workers that answered before the query.
struct These(Vec<Url>);

impl WorkerResolver for These {
    fn get_urls(&self) -> EngineResult<Vec<Url>, DataFusionError> {
        Ok(self.0.clone())
    }
}
