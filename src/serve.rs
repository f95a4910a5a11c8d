//! The tables of a job or a location over PostgreSQL's protocol: psql, DBeaver, Grafana and pandas ask as they ask PostgreSQL.
//!
//! It is another face over `run::catalog`, the tables, views, functions and checks of which are those of `query`. A connection
//! begins in `startup` (TLS, password) and goes on in `connection`, which takes messages in turn: `language` says what a
//! statement is, `question` plans and runs a query, `rows` sends its rows in the forms of `encode`. `catalogue` answers
//! what clients ask of PostgreSQL's own tables. What a client can do to the server is bounded: by [`access`] before it may
//! connect, by `wire` in what it sends, by `bounds` and `Turns` in what its statements take.
//!
//! Connections and their sockets have a runtime of their own: planning and computing keep the threads of queries busy, and a
//! client that connects or cancels meanwhile is answered all the same.
//!
//! The protocol's messages, TLS and SCRAM are those of the crate `pgwire`. `datafusion-postgres` has all of a server, but takes
//! the engine with all of its features, and so two more compressors in C and functions that `query` does not have.

pub mod access;
mod bounds;
mod cancel;
mod catalogs;
mod catalogue;
mod connection;
mod copy;
mod encode;
mod errors;
mod language;
mod parameters;
mod question;
mod rows;
mod settings;
mod startup;
mod types;
mod wire;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use chrono_tz::Tz;
use pgwire::api::{ClientInfo, PidSecretKeyGenerator, RandomPidSecretKeyGenerator};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use self::access::Access;
use self::bounds::{Bounds, Stop};
use self::cancel::Cancels;
use self::catalogs::Catalogs;
use self::connection::{Connection, say_last};
use self::errors::{End, Refusal};
use self::question::Turns;
use self::startup::Start;
use self::wire::Wire;
use crate::error::{Class, Error, Result};
use crate::run::Environment;
use crate::run::catalog::{CatalogRequest, Subject};
use crate::runtimes::{IoRuntime, Running, run_on};

/// How long a client may take to authenticate.
const STARTUP: Duration = Duration::from_secs(10);

/// How long a wrong password is answered for, so that many can't be tried.
const WRONG_PASSWORD: Duration = Duration::from_secs(1);

/// How many clients may authenticate at a time, beside those that are connected.
const MOST_AT_STARTUP: usize = 100;

/// What is served, and within which bounds.
pub struct Options {
    /// The real things. Its engine has the memory of one statement.
    pub environment: Environment,
    /// What is queried.
    pub subjects: Vec<Subject>,
    /// The windows, the zone and the parameters.
    pub request: CatalogRequest,
    /// The windows as they are written.
    pub window: String,
    /// Where it listens, and who may connect.
    pub access: Access,
    /// The most connections.
    pub connections: usize,
    /// The statements that run at a time.
    pub at_once: usize,
    /// The memory of each, in bytes.
    pub memory: usize,
    /// How long a statement may take.
    pub timeout: Option<Duration>,
    /// How old the lists of objects may become.
    pub refresh: Duration,
    /// How long statements may go on when the server ends.
    pub grace: Duration,
}

/// What connections share.
struct Shared {
    /// The runtime that queries run on. Connections are on another one, so that a client is heard while queries compute.
    engine: Handle,
    catalogs: Catalogs,
    turns: Turns,
    access: Access,
    cancels: Arc<Cancels>,
    keys: RandomPidSecretKeyGenerator,
    connections: Arc<Semaphore>,
    most_connections: usize,
    starting: Arc<Semaphore>,
    timeout: Option<Duration>,
    /// The zone of the tables, where a client sets none.
    zone: Tz,
    window: String,
}

impl Shared {
    /// Carries out what plans or reads tables, on the runtime of queries. It is aborted where the returned future is dropped.
    fn on_engine<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Running<T> {
        run_on(&self.engine, work)
    }
}

/// A server that listens.
pub struct Server {
    network: IoRuntime,
    listener: TcpListener,
    shared: Arc<Shared>,
    grace: Duration,
}

impl Server {
    /// Opens the tables once, so that what is wrong with them is said now, and listens. Queries run on the present runtime.
    ///
    /// # Errors
    /// Those of [`catalog::open`](crate::run::catalog::open); `Usage` for an address that can't be had.
    pub async fn listen(options: Options) -> Result<Self> {
        let Options {
            access,
            window,
            timeout,
            ..
        } = options;
        let catalogs = Catalogs::new(
            options.environment,
            options.subjects,
            options.request,
            options.refresh,
        );
        let zone = catalogs.tables(&window, None).await?.session.timezone();
        let address = access.address;
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let network = IoRuntime::new("network", cores)?;
        let bound = network.run(TcpListener::bind(address)).await;
        let listener = bound.map_err(|error| {
            Error::usage(format!(
                "can't listen on {address}: expected a free address of this machine"
            ))
            .caused_by(error)
        })?;
        Ok(Self {
            network,
            listener,
            grace: options.grace,
            shared: Arc::new(Shared {
                engine: Handle::current(),
                catalogs,
                turns: Turns::new(options.at_once, options.memory),
                access,
                cancels: Arc::default(),
                keys: RandomPidSecretKeyGenerator::default(),
                connections: Arc::new(Semaphore::new(options.connections)),
                most_connections: options.connections,
                starting: Arc::new(Semaphore::new(MOST_AT_STARTUP)),
                timeout,
                zone,
                window,
            }),
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// `Unexpected`: the system does not say.
    pub fn address(&self) -> Result<SocketAddr> {
        self.listener.local_addr().map_err(|error| {
            Error::new(Class::Unexpected, "can't find out where the server listens")
                .caused_by(error)
        })
    }

    /// Answers clients until `stop` returns. Statements that run then may go on for a while; connections without one end at
    /// once.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) {
        let answering = answer(self.listener, self.shared, self.grace, stop);
        self.network.run(answering).await;
    }
}

async fn answer(
    listener: TcpListener,
    shared: Arc<Shared>,
    grace: Duration,
    stop: impl Future<Output = ()>,
) {
    let (sender, receiver) = watch::channel(Stop::No);
    let mut connections = JoinSet::new();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => {
                    tracing::debug!(%address, "a client connects");
                    connections.spawn(attend(Arc::clone(&shared), stream, receiver.clone()));
                }
                Err(error) => {
                    tracing::warn!("can't accept a connection: {error}");
                    // Such as too many open files, which end with connections.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(ended) = connections.join_next() => note(ended),
        }
    }
    drop(listener);
    sender.send_replace(Stop::Soon);
    let all = async {
        while let Some(ended) = connections.join_next().await {
            note(ended);
        }
    };
    if tokio::time::timeout(grace, all).await.is_err() {
        sender.send_replace(Stop::Now);
        let rest = async { while connections.join_next().await.is_some() {} };
        // What does not heed it is dropped with the set.
        let _ = tokio::time::timeout(STARTUP, rest).await;
    }
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!("a bug in this program ended a connection: {error}");
    }
}

/// A connection from its first byte to its last.
async fn attend(shared: Arc<Shared>, stream: TcpStream, stop: watch::Receiver<Stop>) {
    let Ok(starting) = Arc::clone(&shared.starting).try_acquire_owned() else {
        return;
    };
    let started = tokio::time::timeout(STARTUP, start(&shared, stream, stop)).await;
    drop(starting);
    match started {
        Ok(Ok(Some((connection, place)))) => {
            connection.serve().await;
            drop(place);
        }
        Ok(Ok(None)) => {}
        Ok(Err(refused)) => {
            let (wire, end) = *refused;
            if let End::Fatal(refusal) | End::Refused(refusal) = end {
                if refusal.code == "28P01" {
                    tokio::time::sleep(WRONG_PASSWORD).await;
                }
                say_last(wire, &refusal).await;
            }
        }
        Err(_) => tracing::debug!("a client took too long to authenticate"),
    }
}

/// A connection whose client may ask, with its place among those that there may be; `None` where nothing is asked.
async fn start(
    shared: &Arc<Shared>,
    stream: TcpStream,
    stop: watch::Receiver<Stop>,
) -> Result<Option<(Connection, OwnedSemaphorePermit)>, Box<(Wire, End)>> {
    let mut wire = match Wire::open(stream, shared.access.tls.clone()).await {
        Ok(Some(wire)) => wire,
        Ok(None) => return Ok(None),
        Err(error) => {
            tracing::debug!("a client could not begin: {error}");
            return Ok(None);
        }
    };
    let asked = match startup::start(&mut wire, &shared.access).await {
        Ok(Start::Client(asked)) => asked,
        Ok(Start::Cancel(request)) => {
            shared.cancels.cancel(request.pid, &request.secret_key);
            return Ok(None);
        }
        Err(end) => return Err(Box::new((wire, end))),
    };
    let Ok(place) = Arc::clone(&shared.connections).try_acquire_owned() else {
        let what = format!(
            "sorry, too many clients already: at most {} connect at a time",
            shared.most_connections
        );
        return Err(Box::new((wire, End::Fatal(Refusal::new("53300", what)))));
    };
    let (number, key) = shared.keys.generate(wire.client());
    wire.client().set_pid_and_secret_key(number, key.clone());
    let registration = shared.cancels.register(number, &key);
    let Ok(watch) = wire.watch() else {
        return Ok(None);
    };
    let bounds = Bounds {
        registration,
        watch,
        stop,
    };
    let connection = Connection::open(Arc::clone(shared), wire, bounds, number, &asked).await?;
    Ok(Some((connection, place)))
}
