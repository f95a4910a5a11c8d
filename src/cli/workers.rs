//! `--workers`: the workers that share the scans of a query.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::error::{Error, Result};
use crate::job::WorkerAddress;
use crate::query::cluster::{Access, Cluster, TlsFiles};
use crate::run::Environment;

/// The environment variable that has the token of workers.
const TOKEN: &str = "LOGTALLY_WORKERS_TOKEN";

/// The heading of the options that say which workers.
const WORKERS: &str = "Workers";

#[derive(Debug, Args)]
pub(super) struct WorkersArgs {
    /// The workers that share the reading: host:port, several with commas between them, or dns://name:port for every
    /// address of a name [default: the job's, or none]
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',', help_heading = WORKERS)]
    workers: Vec<WorkerAddress>,

    /// A file that has the token of the workers [default: $LOGTALLY_WORKERS_TOKEN, or none]
    #[arg(long, value_name = "FILE", help_heading = WORKERS)]
    workers_token_file: Option<PathBuf>,

    /// The certificate in PEM of the authority that signed the certificates of workers; then they are reached over
    /// mutual TLS
    #[arg(long, value_name = "FILE", requires_all = ["workers_tls_cert", "workers_tls_key"], help_heading = WORKERS)]
    workers_tls_ca: Option<PathBuf>,

    /// The own certificate in PEM, signed by that authority
    #[arg(long, value_name = "FILE", requires_all = ["workers_tls_ca", "workers_tls_key"], help_heading = WORKERS)]
    workers_tls_cert: Option<PathBuf>,

    /// Its private key in PEM
    #[arg(long, value_name = "FILE", requires_all = ["workers_tls_ca", "workers_tls_cert"], help_heading = WORKERS)]
    workers_tls_key: Option<PathBuf>,
}

impl WorkersArgs {
    /// The environment with these workers, or else with those of jobs.
    ///
    /// # Errors
    /// `Usage` for a token or certificates that can't be read.
    pub(super) fn join(
        &self,
        mut environment: Environment,
        of_jobs: &[WorkerAddress],
    ) -> Result<Environment> {
        let workers = match self.workers.is_empty() {
            true => of_jobs,
            false => &self.workers,
        };
        if workers.is_empty() {
            return Ok(environment);
        }
        let tls = match (
            &self.workers_tls_ca,
            &self.workers_tls_cert,
            &self.workers_tls_key,
        ) {
            (Some(authority), Some(chain), Some(key)) => Some(TlsFiles {
                authority: authority.clone(),
                chain: chain.clone(),
                key: key.clone(),
            }),
            _ => None,
        };
        let token = token(self.workers_token_file.as_deref())?;
        let access = Access::new(token.as_deref(), tls.as_ref())?;
        environment.engine = environment
            .engine
            .with_cluster(Cluster::new(workers.to_vec(), access)?);
        Ok(environment)
    }
}

/// The token in a file, or in the environment.
///
/// # Errors
/// `Usage` for a file or a variable that can't be read.
pub(super) fn token(file: Option<&Path>) -> Result<Option<String>> {
    if let Some(file) = file {
        let text = std::fs::read_to_string(file).map_err(|error| {
            let what = format!("can't read the token of workers from {}", file.display());
            Error::usage(what).caused_by(error)
        })?;
        return Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()));
    }
    match std::env::var(TOKEN) {
        Ok(token) => Ok(Some(token)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(error) => {
            Err(Error::usage(format!("{TOKEN} can't be read: expected UTF-8")).caused_by(error))
        }
    }
}
