//! Which certificates of authorities are trusted, by both clients alike: `AWS_CA_BUNDLE`, or `ca_bundle` of the profile;
//! else the system's, which `SSL_CERT_FILE` and `SSL_CERT_DIR` replace; else, on a machine without any, Mozilla's, which
//! are built in.

use std::path::Path;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::profiles::{Profiles, variable};
use crate::error::{Error, Result};

/// The certificates, each valid.
pub(super) fn certificates(profiles: &Profiles) -> Result<Vec<CertificateDer<'static>>> {
    let bundle = match variable("AWS_CA_BUNDLE") {
        Some(file) => Some((file, "AWS_CA_BUNDLE".to_owned())),
        None => profiles.get("ca_bundle").map(|file| {
            let origin = format!("ca_bundle of the AWS profile {:?}", profiles.name());
            (file.to_owned(), origin)
        }),
    };
    match bundle {
        Some((file, origin)) => of_bundle(Path::new(&file), &origin),
        None => of_system(),
    }
}

fn of_bundle(file: &Path, origin: &str) -> Result<Vec<CertificateDer<'static>>> {
    let refused = |why: &str| {
        Error::usage(format!(
            "the CA bundle {} ({origin}) {why}: expected a file of certificates in PEM",
            file.display()
        ))
    };
    let pem = std::fs::read(file).map_err(|error| refused(&format!("can't be read ({error})")))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|error| refused(&format!("is not valid ({error})")))?;
    match valid(found) {
        certificates if certificates.is_empty() => Err(refused("holds no valid certificate")),
        certificates => Ok(certificates),
    }
}

fn of_system() -> Result<Vec<CertificateDer<'static>>> {
    // A base image may set the variable without having the file, which is like a machine without certificates.
    if let Some(file) = variable("SSL_CERT_FILE") {
        match std::fs::metadata(&file) {
            Ok(found) if found.is_file() && found.len() > 0 => {
                return of_bundle(Path::new(&file), "SSL_CERT_FILE");
            }
            Ok(_) => tracing::warn!("SSL_CERT_FILE is {file}, which holds no certificate"),
            Err(error) => tracing::warn!("SSL_CERT_FILE is {file}, which can't be read: {error}"),
        }
    }
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "a CA certificate of the system could not be read");
    }
    match valid(found.certs) {
        certificates if certificates.is_empty() => {
            tracing::info!(
                "the system has no CA certificates: those of Mozilla that are built in are trusted"
            );
            Ok(webpki_root_certs::TLS_SERVER_ROOT_CERTS.to_vec())
        }
        certificates => Ok(certificates),
    }
}

/// Those that TLS takes as authorities: the clients refuse all where one is not valid.
fn valid(mut certificates: Vec<CertificateDer<'static>>) -> Vec<CertificateDer<'static>> {
    let mut store = rustls::RootCertStore::empty();
    certificates.retain(|certificate| store.add(certificate.clone()).is_ok());
    certificates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_that_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let refused = || {
            let error = of_bundle(&file, "AWS_CA_BUNDLE").unwrap_err().to_string();
            assert!(error.contains("ca.pem (AWS_CA_BUNDLE)"), "{error}");
            error
        };
        assert!(refused().contains("No such file"));
        std::fs::write(&file, "no certificate").unwrap();
        assert!(refused().contains("holds no valid certificate"));
        let cut = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        std::fs::write(&file, cut).unwrap();
        assert!(refused().contains("holds no valid certificate"));
    }

    #[test]
    fn the_certificates_that_are_built_in_are_valid() {
        let built_in = webpki_root_certs::TLS_SERVER_ROOT_CERTS.to_vec();
        let count = built_in.len();
        assert!(count > 100);
        assert_eq!(valid(built_in).len(), count);
    }
}
