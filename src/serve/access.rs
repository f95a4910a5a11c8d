//! Who may connect: the address, the certificate and the password, which have to fit together before anything listens.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use pgwire::api::auth::sasl::scram::{self, ScramAuth};
use pgwire::api::auth::{AuthSource, LoginInfo, Password};
use pgwire::error::PgWireResult;
use pgwire::tokio::TlsAcceptor;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::{Error, Result};

/// The name of the protocol in TLS, by which a client may begin with TLS itself.
const ALPN: &[u8] = b"postgresql";

/// The certificate of the server and its key, as PEM files.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The certificate, with those between it and the authority behind it.
    pub chain: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Where the server listens and what it wants of clients.
#[derive(Clone)]
pub struct Access {
    /// The address.
    pub address: SocketAddr,
    /// TLS; where it is set, every client has to use it.
    pub tls: Option<TlsAcceptor>,
    scram: Option<Scram>,
}

#[derive(Clone)]
struct Scram {
    secret: Arc<Secret>,
    /// PEM, to bind the authentication to the channel.
    chain: Option<Arc<Vec<u8>>>,
}

/// The password, salted as SCRAM has it.
struct Secret {
    salt: Vec<u8>,
    salted: Vec<u8>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Access {
    /// An address, with what it needs.
    ///
    /// # Errors
    /// `Usage`: an address that other machines reach without both a certificate and a password; a certificate or a key that
    /// can't be read; an empty password.
    pub fn new(
        address: SocketAddr,
        certificate: Option<&Certificate>,
        password: Option<&str>,
    ) -> Result<Self> {
        let missing = match (certificate, password) {
            (Some(_), Some(_)) => None,
            (None, Some(_)) => Some("--tls-cert and --tls-key"),
            (Some(_), None) => Some("a password, in --password-file or LOGTALLY_PASSWORD"),
            (None, None) => Some(
                "--tls-cert, --tls-key and a password, in --password-file or LOGTALLY_PASSWORD",
            ),
        };
        if let Some(missing) = missing.filter(|_| !address.ip().is_loopback()) {
            return Err(Error::usage(format!(
                "--listen {address} can be reached from other machines, which needs TLS and a password: expected {missing}, or an address of this machine only, such as 127.0.0.1:5432"
            )));
        }
        if password.is_some_and(str::is_empty) {
            return Err(Error::usage(
                "the password is empty: expected at least one character",
            ));
        }
        let chain = certificate
            .map(|certificate| read(&certificate.chain).map(Arc::new))
            .transpose()?;
        Ok(Self {
            address,
            tls: certificate.map(acceptor).transpose()?,
            scram: password.map(|password| Scram {
                secret: Arc::new(Secret::new(password)),
                chain,
            }),
        })
    }

    /// The authentication of a connection; `None` where no password is set.
    pub fn scram(&self) -> Option<ScramAuth> {
        let scram = self.scram.as_ref()?;
        let mut auth = ScramAuth::new(Arc::clone(&scram.secret) as _);
        if let Some(chain) = &scram.chain
            && let Err(error) = auth.configure_certificate(chain)
        {
            // Without it, clients authenticate all the same.
            tracing::debug!("the authentication is not bound to the channel: {error}");
        }
        Some(auth)
    }
}

impl Secret {
    fn new(password: &str) -> Self {
        let salt = scram::random_nonce().into_bytes();
        let salted = scram::gen_salted_password(password, &salt, scram::SCRAM_ITERATIONS);
        Self { salt, salted }
    }
}

#[async_trait]
impl AuthSource for Secret {
    /// The same for every name of a user.
    async fn get_password(&self, _: &LoginInfo) -> PgWireResult<Password> {
        Ok(Password::new(Some(self.salt.clone()), self.salted.clone()))
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path)
        .map_err(|error| Error::usage(format!("can't read {}", path.display())).caused_by(error))
}

fn acceptor(certificate: &Certificate) -> Result<TlsAcceptor> {
    let wrong = |path: &Path, expected: &str| {
        let path = path.display().to_string();
        let what = format!("{path} can't be read as PEM: expected {expected}");
        move |error: rustls_pki_types::pem::Error| {
            Error::usage(what.clone()).caused_by(error.to_string())
        }
    };
    let of_chain = wrong(&certificate.chain, "certificates, that of the server first");
    let chain = CertificateDer::pem_file_iter(&certificate.chain).map_err(&of_chain)?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(&of_chain)?;
    let key = PrivateKeyDer::from_pem_file(&certificate.key)
        .map_err(wrong(&certificate.key, "a private key"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key));
    let mut config = config.map_err(|error| {
        Error::usage(format!(
            "{} and {} do not fit together: expected a certificate and its private key",
            certificate.chain.display(),
            certificate.key.display()
        ))
        .caused_by(error)
    })?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_listens_openly_by_mistake() {
        for (address, password, expected) in [
            ("127.0.0.1:5432", None, None),
            ("[::1]:5432", Some("secret"), None),
            ("127.9.9.9:0", None, None),
            (
                "0.0.0.0:5432",
                None,
                Some("--tls-cert, --tls-key and a password"),
            ),
            (
                "[::]:5432",
                Some("secret"),
                Some("expected --tls-cert and --tls-key,"),
            ),
            (
                "10.0.0.7:5432",
                Some("secret"),
                Some("expected --tls-cert and --tls-key,"),
            ),
            ("127.0.0.1:5432", Some(""), Some("the password is empty")),
        ] {
            let access = Access::new(address.parse().unwrap(), None, password);
            match (access, expected) {
                (Ok(access), None) => assert_eq!(access.scram().is_some(), password.is_some()),
                (Err(error), Some(expected)) => {
                    assert!(error.to_string().contains(expected), "{address}: {error}");
                }
                (found, _) => panic!(
                    "{address}: {:?}",
                    found.map(|_| ()).map_err(|it| it.to_string())
                ),
            }
        }
    }

    #[test]
    fn files_that_are_no_certificate_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.crt");
        let certificate = Certificate {
            chain: path.clone(),
            key: path.clone(),
        };
        let address = "127.0.0.1:0".parse().unwrap();
        let tried = || {
            Access::new(address, Some(&certificate), None)
                .map(|_| ())
                .unwrap_err()
                .to_string()
        };
        assert!(tried().contains("can't read"), "{}", tried());
        std::fs::write(&path, "no PEM").unwrap();
        assert!(tried().contains("server.crt"), "{}", tried());
    }
}
