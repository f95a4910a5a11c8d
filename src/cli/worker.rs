//! `worker`: reads parts of other processes' queries, until the process is stopped.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::cache::KeepArgs;
use super::logging::{Show, say};
use super::workers::token;
use super::{Scratch, environment, listen, stop_signal};
use crate::error::Result;
use crate::job::{self, AwsSettings, ByteSize};
use crate::output::parts::PartsWriter;
use crate::query::cluster::{Access, TlsFiles, Worker};

/// The heading of the options that say who may connect.
const ACCESS: &str = "Who may connect";

/// The heading of the options that bound what queries take.
const BOUNDS: &str = "Bounds";

#[derive(Debug, Args)]
pub(super) struct WorkerArgs {
    /// Where to listen. Other machines reach an address that is not of the loopback, which needs mutual TLS or a token
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:50051", help_heading = ACCESS)]
    listen: String,

    /// A file that has the token that coordinators and other workers send [default: $LOGTALLY_WORKERS_TOKEN, or none]
    #[arg(long, value_name = "FILE", help_heading = ACCESS)]
    token_file: Option<PathBuf>,

    /// The certificate in PEM of the authority that signed the certificates of coordinators and workers; then all of them
    /// use mutual TLS
    #[arg(long, value_name = "FILE", requires_all = ["tls_cert", "tls_key"], help_heading = ACCESS)]
    tls_ca: Option<PathBuf>,

    /// The own certificate in PEM, signed by that authority, for the name or address that coordinators have
    #[arg(long, value_name = "FILE", requires_all = ["tls_ca", "tls_key"], help_heading = ACCESS)]
    tls_cert: Option<PathBuf>,

    /// Its private key in PEM
    #[arg(long, value_name = "FILE", requires_all = ["tls_ca", "tls_cert"], help_heading = ACCESS)]
    tls_key: Option<PathBuf>,

    /// Pay for the requests to a bucket that its owner has set up so (S3's Requester Pays)
    #[arg(long)]
    requester_pays: bool,

    /// The memory for all queries together, such as 2GiB; then they spill to disk [default: 70 % of what there is]
    #[arg(long, value_name = "SIZE", help_heading = BOUNDS)]
    memory: Option<ByteSize>,

    /// How long queries may go on when the worker is stopped; those that take longer are run again on other workers
    #[arg(long, value_name = "LENGTH", value_parser = job::parse_length, default_value = "20s", help_heading = BOUNDS)]
    grace: Duration,

    #[command(flatten)]
    keep: KeepArgs,
}

impl WorkerArgs {
    pub(super) fn grace(&self) -> Duration {
        self.grace
    }
}

pub(super) async fn worker(args: WorkerArgs, show: Show) -> Result<u8> {
    let tls = match (&args.tls_ca, &args.tls_cert, &args.tls_key) {
        (Some(authority), Some(chain), Some(key)) => Some(TlsFiles {
            authority: authority.clone(),
            chain: chain.clone(),
            key: key.clone(),
        }),
        _ => None,
    };
    let token = token(args.token_file.as_deref())?;
    let access = Access::new(token.as_deref(), tls.as_ref())?;
    let address = listen::address(&args.listen, 50051)?;
    access.for_listener(address)?;
    let aws = AwsSettings::default().paying(args.requester_pays);
    let memory = args.memory.map(|size| size.0);
    let environment = environment(aws, memory, Scratch::Needed, show)?;
    let (engine, stores) = (environment.engine.clone(), environment.stores.clone());
    let columns = args.keep.columns()?;
    let writer = Arc::new(PartsWriter::new(stores.clone(), environment.scratch()));
    let worker = Worker::listen(address, access, engine, stores, columns, writer).await?;
    say(&format!("listening on {}", worker.address()?));
    // It ends by a signal only, so that this is no failure.
    let stop = async {
        let stop = stop_signal().await;
        tracing::info!("stopped by {}: running queries may end", stop.name);
    };
    worker.run(stop, args.grace).await?;
    Ok(0)
}
