//! `serve`: the tables of a job or a location over PostgreSQL's protocol, until the process is stopped.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use chrono_tz::Tz;
use clap::Args;

use super::logging::{Show, say};
use super::query::{READ, lookup_tables, pair};
use super::{Scratch, environment, listen, stop_signal};
use crate::error::{Error, Result};
use crate::job::{self, ByteSize};
use crate::query::{Parameter, Parameters, available_memory};
use crate::run::catalog::{CatalogRequest, Subject, Windows};
use crate::serve::access::{Access, Certificate};
use crate::serve::{Options, Server};

/// The environment variable that has the password.
const PASSWORD: &str = "LOGTALLY_PASSWORD";

/// The heading of the options that say who may connect.
const ACCESS: &str = "Who may connect";

/// The heading of the options that bound what clients take.
const BOUNDS: &str = "Bounds";

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// What is queried: job files (*.toml), folders, files or s3://bucket/prefix, as for query
    #[arg(value_name = "JOB|LOCATION", required = true)]
    subjects: Vec<String>,

    /// Only events and answers of these windows, which a client changes with SET logtally.window: an id such as 2026-11-21,
    /// two of them (2026-11-20..2026-11-21), last, today, a length such as 7d, or all
    #[arg(long, value_name = "WINDOW", default_value = "all", help_heading = READ)]
    window: String,

    /// The zone of windows and local times [default: the job's, or UTC]
    #[arg(long, value_name = "ZONE", value_parser = job::parse_zone, help_heading = READ)]
    timezone: Option<Tz>,

    /// The value of $NAME in queries; it is never SQL itself
    #[arg(short, long = "param", value_name = "NAME=VALUE", value_parser = pair, help_heading = READ)]
    params: Vec<(String, String)>,

    /// A lookup table to join with: CSV, TSV, NDJSON or Parquet, a file or folder here or on S3
    #[arg(long = "table", value_name = "NAME=PATH", value_parser = pair, help_heading = READ)]
    tables: Vec<(String, String)>,

    /// Without personal data and secrets in messages, as the function mask returns them [default: as the job says]
    #[arg(long, help_heading = READ)]
    mask: bool,

    /// Pay for the requests to a bucket that its owner has set up so (S3's Requester Pays) [default: as the job says]
    #[arg(long, help_heading = READ)]
    requester_pays: bool,

    /// How old the lists of exported objects may become before they are read again
    #[arg(long, value_name = "LENGTH", value_parser = job::parse_length, default_value = "1m", help_heading = READ)]
    refresh: Duration,

    /// Where to listen. Other machines reach an address that is not of the loopback, which needs TLS and a password
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5432", help_heading = ACCESS)]
    listen: String,

    /// The certificate of the server in PEM, with those that it is signed by; then clients have to use TLS
    #[arg(long, value_name = "FILE", requires = "tls_key", help_heading = ACCESS)]
    tls_cert: Option<PathBuf>,

    /// Its private key in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert", help_heading = ACCESS)]
    tls_key: Option<PathBuf>,

    /// A file that has the password, which every user has [default: $LOGTALLY_PASSWORD, or on the loopback none]
    #[arg(long, value_name = "FILE", help_heading = ACCESS)]
    password_file: Option<PathBuf>,

    /// The most connections at a time
    #[arg(long, value_name = "COUNT", default_value = "100", help_heading = BOUNDS)]
    connections: NonZeroUsize,

    /// The statements that run at a time, each with its part of the memory; others wait
    #[arg(long, value_name = "COUNT", default_value = "4", help_heading = BOUNDS)]
    at_once: NonZeroUsize,

    /// How long a statement may take, such as 10m; 0s for no limit
    #[arg(long, value_name = "LENGTH", value_parser = job::parse_length, default_value = "10m", help_heading = BOUNDS)]
    timeout: Duration,

    /// The memory for all statements, such as 2GiB [default: the job's, or 70 % of what there is]
    #[arg(long, value_name = "SIZE", help_heading = BOUNDS)]
    memory: Option<ByteSize>,

    /// How long statements may go on when the server is stopped
    #[arg(long, value_name = "LENGTH", value_parser = job::parse_length, default_value = "20s", help_heading = BOUNDS)]
    grace: Duration,

    #[cfg(feature = "cluster")]
    #[command(flatten)]
    workers: super::workers::WorkersArgs,
}

impl ServeArgs {
    pub(super) fn grace(&self) -> Duration {
        self.grace
    }
}

pub(super) async fn serve(args: ServeArgs, show: Show) -> Result<u8> {
    let access = access(&args)?;
    let request = request(&args)?;
    let mut subjects = Vec::with_capacity(args.subjects.len());
    for name in &args.subjects {
        subjects.push(Subject::load(name).await?);
    }
    let aws = Subject::aws_of_all(&subjects)?.paying(args.requester_pays);
    let of_jobs = subjects.iter().filter_map(Subject::memory).max();
    let memory = args.memory.map(|size| size.0).or(of_jobs);
    let memory = memory.map_or_else(available_memory, Ok)?;
    // A part for each statement that runs, and one for what the scans read.
    let share = memory / (args.at_once.get() as u64 + 1);
    let environment = environment(aws, Some(share), Scratch::Needed, show)?;
    let of_jobs = Subject::workers_of_all(&subjects);
    #[cfg(feature = "cluster")]
    let environment = args.workers.join(environment, &of_jobs)?;
    #[cfg(not(feature = "cluster"))]
    let environment = super::without_workers(environment, &of_jobs)?;
    let server = Server::listen(Options {
        environment,
        subjects,
        request,
        window: args.window.clone(),
        access,
        connections: args.connections.get(),
        at_once: args.at_once.get(),
        memory: usize::try_from(share).unwrap_or(usize::MAX),
        timeout: Some(args.timeout).filter(|limit| !limit.is_zero()),
        refresh: args.refresh,
        grace: args.grace,
    });
    let server = tokio::select! {
        listening = server => listening?,
        stop = stop_signal() => return Err(stop.error("")),
    };
    say(&format!("listening on {}", server.address()?));
    // It ends by a signal only, so that this is no failure.
    server
        .run(async {
            let stop = stop_signal().await;
            tracing::info!("stopped by {}: running statements may end", stop.name);
        })
        .await;
    Ok(0)
}

fn access(args: &ServeArgs) -> Result<Access> {
    let certificate = args.tls_cert.as_ref().zip(args.tls_key.as_ref());
    let certificate = certificate.map(|(chain, key)| Certificate {
        chain: chain.clone(),
        key: key.clone(),
    });
    Access::new(
        listen::address(&args.listen, 5432)?,
        certificate.as_ref(),
        password(args)?.as_deref(),
    )
}

fn password(args: &ServeArgs) -> Result<Option<String>> {
    if let Some(file) = &args.password_file {
        let text = std::fs::read_to_string(file).map_err(|error| {
            Error::usage(format!("can't read the password from {}", file.display()))
                .caused_by(error)
        })?;
        let password = text.trim_end_matches(['\r', '\n']);
        return Ok(Some(password.to_owned()));
    }
    match std::env::var(PASSWORD) {
        Ok(password) => Ok(Some(password)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(error) => {
            Err(Error::usage(format!("{PASSWORD} can't be read: expected UTF-8")).caused_by(error))
        }
    }
}

fn request(args: &ServeArgs) -> Result<CatalogRequest> {
    let mut parameters = Parameters::default();
    for (name, value) in &args.params {
        let added = parameters.add(name, Parameter::any(value));
        added.map_err(|message| Error::usage(format!("-p {name}: {message}")))?;
    }
    Ok(CatalogRequest {
        windows: Windows::parse(&args.window),
        timezone: args.timezone,
        mask: args.mask,
        parameters,
        tables: lookup_tables(&args.tables)?,
    })
}
