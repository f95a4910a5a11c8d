//! The addresses of workers as URLs: every address of a name, looked up for each query.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use url::Url;

use crate::error::{Class, Error, Result};
use crate::job::WorkerAddress;

/// How long the addresses of a name may take to be found.
const LOOKED_UP_WITHIN: Duration = Duration::from_secs(5);

/// The URLs of the workers at an address. The path has the name that a certificate is compared with.
///
/// # Errors
/// `Workers` if the name has no address.
pub(super) async fn urls(address: &WorkerAddress, scheme: &str) -> Result<Vec<Url>> {
    let WorkerAddress { host, port, every } = address;
    if !every {
        return Ok(vec![url(scheme, host, *port, host)?]);
    }
    let failed = |error: &dyn fmt::Display| {
        Error::new(
            Class::Workers,
            format!("the name {host} of workers has no address: {error}"),
        )
    };
    let looking = tokio::net::lookup_host((host.as_str(), *port));
    let found = tokio::time::timeout(LOOKED_UP_WITHIN, looking).await;
    let found = found.map_err(|_| {
        let seconds = LOOKED_UP_WITHIN.as_secs();
        failed(&format_args!("no answer within {seconds} s"))
    })?;
    let found = found.map_err(|error| failed(&error))?;
    let mut addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let urls = addresses.into_iter().map(|address| {
        let numbers = match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        url(scheme, &numbers, *port, host)
    });
    urls.collect()
}

fn url(scheme: &str, host: &str, port: u16, name: &str) -> Result<Url> {
    let text = format!("{scheme}://{host}:{port}/{name}");
    Url::parse(&text).map_err(|error| {
        Error::new(Class::Unexpected, format!("{text} is no URL of a worker")).caused_by(error)
    })
}

/// A worker's URL in messages: its host and port.
pub(super) fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_is_a_url() {
        for (text, url) in [
            ("127.0.0.1:50051", "http://127.0.0.1:50051/127.0.0.1"),
            ("[::1]:80", "http://[::1]/[::1]"),
            ("worker-7.local:1", "http://worker-7.local:1/worker-7.local"),
        ] {
            let urls = urls(&text.parse().unwrap(), "http").await.unwrap();
            assert_eq!(urls.iter().map(Url::as_str).collect::<Vec<_>>(), [url]);
            assert_eq!(shown(&urls[0]), text);
        }
    }

    #[tokio::test]
    async fn every_address_of_a_name_is_a_worker() {
        let local = "dns://localhost:50051".parse().unwrap();
        let found = urls(&local, "https").await.unwrap();
        assert!(!found.is_empty());
        for url in found {
            assert_eq!((url.scheme(), url.path()), ("https", "/localhost"));
            assert!(["127.0.0.1", "[::1]"].contains(&url.host_str().unwrap()));
        }
        let nowhere = "dns://nowhere.invalid:1".parse().unwrap();
        let error = urls(&nowhere, "http").await.unwrap_err();
        assert_eq!(error.class(), Class::Workers);
        assert!(error.to_string().contains("nowhere.invalid"), "{error}");
    }
}
