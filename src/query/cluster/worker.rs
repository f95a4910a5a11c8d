//! A worker: reads its part of the objects of a plan with credentials of its own, and answers with rows, or writes them.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use chrono_tz::Tz;
use datafusion::error::Result as EngineResult;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};
use datafusion_distributed::{
    BroadcastExec, DistributedExt, Worker as EngineWorker, WorkerPlanRewriteEvent,
    WorkerPlanRewriteEventResponse, WorkerQueryContext,
};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tonic::Request;
use tonic::server::NamedService;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::TcpIncoming;
use tower::Service;

use super::access::Access;
use super::channels::{Channels, Connections, SessionMessage};
use super::codec::Codec;
use super::failure::{Relayed, to_wire};
use super::following::Following;
use super::info_of;
use super::write_parts::WriteSections;
use crate::aws::Account;
use crate::error::{Class, Error, Result};
use crate::job::Location;
use crate::query::Engine;
use crate::runtimes::{Running, run_on};
use crate::scan::budget::Budget;
use crate::scan::columns::Columns;
use crate::scan::wire::Received;
use crate::store::Stores;

/// A worker that listens.
#[derive(Debug)]
pub struct Worker {
    listener: TcpListener,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    engine: Engine,
    stores: Stores,
    /// What the scans of all queries share.
    received: Arc<Received>,
    /// Connections to other workers.
    channels: Arc<Channels>,
    /// Writes sections of answers.
    writer: Arc<dyn WriteSections>,
}

impl Worker {
    /// Listens on an address. The queries of all coordinators share the engine's memory. Where a coordinator would keep the
    /// columns of what it reads, they are kept in `columns`. `writer` writes sections of answers.
    ///
    /// # Errors
    /// `Usage`: an address that other machines reach, without a token and without TLS, or that can't be listened on.
    pub async fn listen(
        address: SocketAddr,
        access: Access,
        engine: Engine,
        stores: Stores,
        columns: Option<Arc<Columns>>,
        writer: Arc<dyn WriteSections>,
    ) -> Result<Self> {
        access.for_listener(address)?;
        let channels = Channels::new(access)?;
        let bound = channels.network().run(TcpListener::bind(address)).await;
        let listener = bound.map_err(|error| {
            Error::usage(format!(
                "can't listen on {address}: expected a free address of this machine"
            ))
            .caused_by(error)
        })?;
        Ok(Self {
            listener,
            shared: Arc::new(Shared {
                received: Arc::new(Received::new(Budget::new(engine.pool()), columns)),
                engine,
                stores,
                channels: Arc::new(channels),
                writer,
            }),
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// `Unexpected`: that of the system.
    pub fn address(&self) -> Result<SocketAddr> {
        self.listener.local_addr().map_err(|error| {
            Error::new(Class::Unexpected, "the worker has no address").caused_by(error)
        })
    }

    /// Carries plans out on the present runtime, until `stop` ends. Those that run may go on for `grace`.
    ///
    /// # Errors
    /// `Usage` for certificates that can't be used, `Unexpected` for what fails on the network.
    pub async fn run(self, stop: impl Future<Output = ()>, grace: Duration) -> Result<()> {
        let Self { listener, shared } = self;
        let access = shared.channels.access().clone();
        let mut server = access.server()?;
        let sessions = Arc::clone(&shared);
        let worker = EngineWorker::from_session_builder(move |query: WorkerQueryContext| {
            let sessions = Arc::clone(&sessions);
            async move {
                sessions
                    .state(query)
                    .await
                    .map_err(|error| to_wire(error.into()))
            }
        })
        .with_runtime_env(Arc::clone(shared.engine.runtime()))
        .with_version(info_of(shared.engine.partitions()));
        let checked = move |request: Request<()>| {
            access.check(&request.metadata().clone().into_headers())?;
            Ok(request)
        };
        let worker = OnQueries {
            inner: worker.into_worker_server(),
            queries: Handle::current(),
        };
        let following = Following::new(&shared.received);
        let following = InterceptedService::new(following, checked.clone());
        let service = InterceptedService::new(worker, checked);
        let (stopped, mut stops) = tokio::sync::watch::channel(false);
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let mut serving = shared.channels.network().run(
            server
                .add_service(service)
                .add_service(following)
                .serve_with_incoming_shutdown(incoming, async move {
                    let _ = stops.changed().await;
                }),
        );
        tokio::pin!(stop);
        let failed = |error: tonic::transport::Error| {
            Error::new(Class::Unexpected, "the worker's network failed").caused_by(error)
        };
        tokio::select! {
            served = &mut serving => return served.map_err(failed),
            () = &mut stop => {}
        }
        stopped.send_replace(true);
        // What runs longer is run again on the workers that are left.
        match tokio::time::timeout(grace, serving).await {
            Ok(served) => served.map_err(failed),
            Err(_) => Ok(()),
        }
    }
}

/// A service whose requests are carried out on the runtime of queries, as its connections are on that of the network: a
/// thread that computes would leave the other side without a sign of life.
#[derive(Debug, Clone)]
struct OnQueries<S> {
    inner: S,
    queries: Handle,
}

impl<S: NamedService> NamedService for OnQueries<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, R> Service<R> for OnQueries<S>
where
    S: Service<R, Future: Send, Response: Send, Error: Send> + Clone + Send + 'static,
    R: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Running<Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        // The one that is ready is taken along.
        let ready = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, ready);
        run_on(&self.queries, async move { ready.call(request).await })
    }
}

impl Shared {
    /// What a plan is carried out with. The stores that it reads are opened.
    async fn state(&self, query: WorkerQueryContext) -> Result<SessionState> {
        let session = SessionMessage::from_headers(&query.headers)?;
        let timezone: Tz = session.zone.parse().map_err(|_| {
            let what = format!(
                "a plan came with the zone {:?}: expected an IANA name",
                session.zone
            );
            Error::new(Class::Unexpected, what)
        })?;
        for url in &session.stores {
            // The files of this machine are always there.
            if url.starts_with("file:") {
                continue;
            }
            let root = std::path::Path::new("/");
            let location = Location::parse(url, root).map_err(Error::usage)?;
            let opened = self.stores.open(&location, Account::LOGS).await;
            let store = opened.map_err(|error| error.during("a worker"))?;
            self.engine.add_store(&store);
        }
        let WorkerQueryContext { mut builder, .. } = query;
        let config = builder.config().take().unwrap_or_default();
        let state = self
            .engine
            .state_of_worker(config, timezone, &session.formats()?)?;
        let state = SessionStateBuilder::new_from_existing(state)
            .with_distributed_user_codec(Codec {
                received: Arc::clone(&self.received),
                sent: Arc::default(),
                writer: Some(Arc::clone(&self.writer)),
            })
            .with_distributed_channel_resolver(Connections(Arc::clone(&self.channels)))
            .with_distributed_worker_plan_rewrite_handler(relayed)
            .build();
        Ok(state)
    }
}

/// Relays the errors of a plan. The engine puts another head in place of one that divides rows, so they are relayed below.
fn relayed(event: WorkerPlanRewriteEvent<'_>) -> EngineResult<WorkerPlanRewriteEventResponse> {
    let plan = event.plan;
    let divides = plan.is::<RepartitionExec>() || plan.is::<BroadcastExec>();
    let below = match plan.children()[..] {
        [child] if divides => Some(Arc::clone(child)),
        _ => None,
    };
    let plan: Arc<dyn ExecutionPlan> = match below {
        Some(child) => {
            let recomputed = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
            plan.replace_children(vec![Arc::new(Relayed(child))], recomputed)?
        }
        None => Arc::new(Relayed(plan)),
    };
    Ok(WorkerPlanRewriteEventResponse::new(plan))
}
