//! Which processes may talk to each other: mutual TLS, a shared token, or both. Without either, a worker listens on the
//! loopback only.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use sha2::{Digest, Sha256};
use tonic::Status;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity, Server, ServerTlsConfig};
use url::Url;

use crate::error::{Error, Result};

/// The header that has the token.
const TOKEN: &str = "logtally-token";

/// The header that has the version of the program that sends a request.
const VERSION: &str = "logtally-version";

/// The version of this program. A plan is only read by the version that wrote it.
pub(super) const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The fewest characters of a token.
const SHORTEST_TOKEN: usize = 16;

/// How long a connection may take to be made.
pub(super) const CONNECTED_WITHIN: Duration = Duration::from_secs(3);

/// A connection without traffic is tried this often, and given up if no answer comes within the time behind.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(10));

/// The bytes of a stream that may be under way. The protocol's own 64 KiB would make a slow network slower.
const WINDOW: u32 = 4 << 20;

/// The files of mutual TLS, as PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate of the authority that signed the certificates of all workers and coordinators.
    pub authority: PathBuf,
    /// The own certificate, with those between it and the authority.
    pub chain: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What a process shows to others, and wants of them.
#[derive(Clone, Default)]
pub struct Access {
    token: Option<Arc<str>>,
    tls: Option<Arc<Tls>>,
}

struct Tls {
    authority: Certificate,
    identity: Identity,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access")
            .field("token", &self.token.is_some())
            .field("tls", &self.tls.is_some())
            .finish()
    }
}

impl Access {
    /// Access by a token, by mutual TLS, by both, or by neither.
    ///
    /// # Errors
    /// `Usage`: a token that is too short or is no text of ASCII; a file that can't be read.
    pub fn new(token: Option<&str>, tls: Option<&TlsFiles>) -> Result<Self> {
        if let Some(token) = token {
            let is_text = token.bytes().all(|byte| byte.is_ascii_graphic());
            if token.len() < SHORTEST_TOKEN || !is_text {
                return Err(Error::usage(format!(
                    "the token of workers has {} characters: expected at least {SHORTEST_TOKEN} letters, digits or signs of ASCII, without spaces",
                    token.chars().count()
                )));
            }
        }
        let tls = tls.map(|files| -> Result<_> {
            let identity = Identity::from_pem(read(&files.chain)?, read(&files.key)?);
            Ok(Arc::new(Tls {
                authority: Certificate::from_pem(read(&files.authority)?),
                identity,
            }))
        });
        Ok(Self {
            token: token.map(Arc::from),
            tls: tls.transpose()?,
        })
    }

    /// Checks that a worker may listen on an address.
    ///
    /// # Errors
    /// `Usage` for an address that other machines reach, without a token and without TLS.
    pub fn for_listener(&self, address: SocketAddr) -> Result<()> {
        if address.ip().is_loopback() || self.token.is_some() || self.tls.is_some() {
            return Ok(());
        }
        Err(Error::usage(format!(
            "--listen {address} can be reached from other machines, which needs mutual TLS or a token: expected --tls-ca, --tls-cert and --tls-key, or a token in --token-file or LOGTALLY_WORKERS_TOKEN, or an address of this machine only, such as 127.0.0.1:50051"
        )))
    }

    /// The scheme of the URLs of workers.
    pub(super) fn scheme(&self) -> &'static str {
        match self.tls {
            Some(_) => "https",
            None => "http",
        }
    }

    /// The headers of a request.
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(VERSION, HeaderValue::from_static(OWN_VERSION));
        if let Some(mut token) = self
            .token
            .as_deref()
            .and_then(|token| HeaderValue::from_str(token).ok())
        {
            token.set_sensitive(true);
            headers.insert(TOKEN, token);
        }
        headers
    }

    /// Checks the headers of a request.
    ///
    /// # Errors
    /// What is wrong with the token or the version, which the sender shows.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Status> {
        if let Some(own) = &self.token {
            let digest = |token: &[u8]| Sha256::digest(token);
            // Digests, so that the time says nothing about the token.
            let fits = |token: &HeaderValue| digest(token.as_bytes()) == digest(own.as_bytes());
            match headers.get(TOKEN) {
                Some(token) if fits(token) => {}
                Some(_) => {
                    return Err(Status::unauthenticated(
                        "the token is not that of the worker: expected the same in LOGTALLY_WORKERS_TOKEN or --token-file of the worker, and LOGTALLY_WORKERS_TOKEN or --workers-token-file here",
                    ));
                }
                None => {
                    return Err(Status::unauthenticated(
                        "the worker wants a token: expected it in LOGTALLY_WORKERS_TOKEN or --workers-token-file",
                    ));
                }
            }
        }
        match headers.get(VERSION).map(HeaderValue::as_bytes) {
            Some(version) if version == OWN_VERSION.as_bytes() => Ok(()),
            other => {
                let other = other.map(String::from_utf8_lossy);
                Err(Status::failed_precondition(format!(
                    "the worker is logtally {OWN_VERSION}, and the request is of {}: expected the same version, since a plan is only read by the version that wrote it",
                    match other {
                        Some(version) => format!("logtally {version}"),
                        None => "another program".to_owned(),
                    }
                )))
            }
        }
    }

    /// The server of a worker.
    ///
    /// # Errors
    /// `Usage` for certificates that can't be used.
    pub(super) fn server(&self) -> Result<Server> {
        let server = Server::builder()
            .http2_keepalive_interval(Some(KEEP_ALIVE.0))
            .http2_keepalive_timeout(Some(KEEP_ALIVE.1))
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .http2_max_header_list_size(Some(MOST_HEADERS))
            .tcp_nodelay(true);
        match &self.tls {
            None => Ok(server),
            Some(tls) => {
                let config = ServerTlsConfig::new()
                    .identity(tls.identity.clone())
                    .client_ca_root(tls.authority.clone());
                server.tls_config(config).map_err(wrong_tls)
            }
        }
    }

    /// A connection to a worker, which is made at the first request.
    ///
    /// # Errors
    /// `Usage` for certificates that can't be used.
    pub(super) fn endpoint(&self, url: &Url) -> Result<Endpoint> {
        let mut address = url.clone();
        address.set_path("");
        let endpoint = Endpoint::from_shared(address.to_string())
            .map_err(|error| Error::usage(format!("{address} is no worker")).caused_by(error))?
            .connect_timeout(CONNECTED_WITHIN)
            .http2_keep_alive_interval(KEEP_ALIVE.0)
            .keep_alive_timeout(KEEP_ALIVE.1)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .http2_max_header_list_size(MOST_HEADERS)
            .tcp_nodelay(true);
        match &self.tls {
            None => Ok(endpoint),
            Some(tls) => {
                let name = url.path().trim_matches('/').trim_matches(['[', ']']);
                let config = ClientTlsConfig::new()
                    .identity(tls.identity.clone())
                    .ca_certificate(tls.authority.clone())
                    .domain_name(name);
                endpoint.tls_config(config).map_err(wrong_tls)
            }
        }
    }
}

/// The most bytes of a request's headers, which have the formats of a job.
pub(super) const MOST_HEADERS: u32 = 256 << 10;

fn wrong_tls(error: tonic::transport::Error) -> Error {
    let what = "the certificates of workers can't be used: expected PEM files of an authority, of a certificate that it signed, and of its private key";
    Error::usage(what).caused_by(error)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path)
        .map_err(|error| Error::usage(format!("can't read {}", path.display())).caused_by(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "correct-horse-battery";

    #[test]
    fn no_worker_listens_openly_by_mistake() {
        let open = Access::default();
        let token = Access::new(Some(SECRET), None).unwrap();
        for address in ["127.0.0.1:50051", "[::1]:1", "127.9.9.9:0"] {
            open.for_listener(address.parse().unwrap()).unwrap();
        }
        for address in ["0.0.0.0:50051", "[::]:1", "10.0.0.7:50051"] {
            let address = address.parse().unwrap();
            let error = open.for_listener(address).unwrap_err().to_string();
            assert!(error.contains("mutual TLS or a token"), "{error}");
            token.for_listener(address).unwrap();
        }
    }

    #[test]
    fn tokens_and_versions_are_checked() {
        let access = Access::new(Some(SECRET), None).unwrap();
        let headers = access.headers();
        access.check(&headers).unwrap();
        assert!(!format!("{headers:?} {access:?}").contains(SECRET));
        let of = |token: Option<&str>, version: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(token) = token {
                headers.insert(TOKEN, token.parse().unwrap());
            }
            if let Some(version) = version {
                headers.insert(VERSION, version.parse().unwrap());
            }
            access.check(&headers).unwrap_err()
        };
        for (status, expected) in [
            (of(None, Some(OWN_VERSION)), "wants a token"),
            (
                of(Some("another-token-of-16"), Some(OWN_VERSION)),
                "is not that of the worker",
            ),
            (
                of(Some(SECRET), Some("0.0.9")),
                "the request is of logtally 0.0.9",
            ),
            (of(Some(SECRET), None), "the request is of another program"),
        ] {
            assert!(status.message().contains(expected), "{status}");
        }
        // Without a token of its own, a worker wants none.
        Access::default()
            .check(&Access::default().headers())
            .unwrap();
    }

    #[test]
    fn weak_tokens_are_refused() {
        for token in ["", "short", "with a space in between", "passwört-passwört"] {
            let error = Access::new(Some(token), None).unwrap_err().to_string();
            assert!(error.contains("expected at least 16"), "{token}: {error}");
        }
    }

    #[test]
    fn missing_files_are_named() {
        let files = TlsFiles {
            authority: "/nowhere/ca.pem".into(),
            chain: "/nowhere/cert.pem".into(),
            key: "/nowhere/key.pem".into(),
        };
        let error = Access::new(None, Some(&files)).unwrap_err().to_string();
        assert!(error.contains("can't read /nowhere/cert.pem"), "{error}");
    }
}
