//! How requests leave this machine, for both clients alike: the certificates that are trusted, the proxy that leads to an
//! endpoint, and the HTTP clients of the SDK and of the engine, which have both.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use aws_sdk_s3::config::{SharedAsyncSleep, SharedHttpClient};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::HttpConnectorSettings;
use hyper_util::client::proxy::matcher::Matcher;
use pem_rfc7468::LineEnding;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls_pki_types::CertificateDer;
use tokio::sync::OnceCell;

use super::profiles::{Profiles, variable};
use super::{timeouts, trust};
use crate::error::{Class, Error, Result};

/// The variables that name a proxy, in each client's order.
const PROXY_VARIABLES: [&str; 6] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// An endpoint, and the proxy on the way to it, in words: `https://… (through the proxy http://…)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    endpoint: String,
    proxy: Option<String>,
}

impl Peer {
    /// The endpoint that a URL begins with. The proxy is that of the environment.
    pub fn of(url: &str) -> Self {
        let uri: Option<http::Uri> = url.parse().ok();
        let proxy = uri
            .as_ref()
            .and_then(|uri| Matcher::from_env().intercept(uri));
        let endpoint = uri.as_ref().and_then(|uri| {
            let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
            Some(format!("{scheme}://{authority}"))
        });
        Self {
            endpoint: endpoint.unwrap_or_else(|| url.to_owned()),
            // Without its user and password.
            proxy: proxy.map(|proxy| proxy.uri().to_string().trim_end_matches('/').to_owned()),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.endpoint)?;
        match &self.proxy {
            Some(proxy) => write!(f, " (through the proxy {proxy})"),
            None => Ok(()),
        }
    }
}

/// The certificates that are trusted, in the forms of both clients.
#[derive(Debug, Clone)]
pub(super) struct Network {
    certificates: Arc<[CertificateDer<'static>]>,
    tls: TlsContext,
}

impl Network {
    /// An error (usage) where the CA bundle or a proxy that is set can't be used.
    pub(super) fn load(profiles: &Profiles) -> Result<Self> {
        check_proxies()?;
        let certificates = trust::certificates(profiles)?;
        let mut pem = String::new();
        for certificate in &certificates {
            let encoded = pem_rfc7468::encode_string("CERTIFICATE", LineEnding::LF, certificate);
            pem += &encoded.map_err(|error| unexpected(&error.to_string()))?;
        }
        let trusted = TrustStore::empty().with_pem_certificate(pem);
        let tls = TlsContext::builder().with_trust_store(trusted).build();
        Ok(Self {
            certificates: certificates.into(),
            tls: tls.map_err(|error| unexpected(&super::root_cause(&error)))?,
        })
    }

    /// The same, for requests that no job's settings are needed for.
    pub(super) async fn of_environment() -> Result<&'static Self> {
        static NETWORK: OnceCell<Network> = OnceCell::const_new();
        let load = || async { Self::load(&Profiles::load(None).await?) };
        NETWORK.get_or_try_init(load).await
    }

    /// The HTTP client of the SDK.
    pub(super) fn sdk_client(&self) -> SharedHttpClient {
        let network = self.clone();
        Builder::new().build_with_connector_fn(move |settings, components| {
            let sleep = components.and_then(|components| components.sleep_impl());
            network.connector(settings.cloned(), sleep)
        })
    }

    /// The SDK's HTTP client for a single request.
    pub(super) fn connector(
        &self,
        settings: Option<HttpConnectorSettings>,
        sleep: Option<SharedAsyncSleep>,
    ) -> Connector {
        let mut connector = Connector::builder()
            .tls_provider(Provider::rustls(CryptoMode::Ring))
            .tls_context(self.tls.clone())
            .proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings);
        connector.set_sleep_impl(sleep);
        connector.build()
    }

    /// The HTTP client of the engine, as object_store configures one. It finds the proxy by itself, as the SDK's does.
    pub(super) fn engine_client(&self) -> Result<reqwest::Client> {
        let mut builder = timeouts::engine_timeouts(reqwest::Client::builder())
            .user_agent(concat!("logtally/", env!("CARGO_PKG_VERSION")))
            .http1_only()
            .dns_resolver(Arc::new(ShufflingResolver))
            .tls_built_in_root_certs(false);
        for certificate in self.certificates.iter() {
            let certificate = reqwest::Certificate::from_der(certificate);
            builder = certificate
                .map(|certificate| builder.add_root_certificate(certificate))
                .map_err(|error| unexpected(&super::root_cause(&error)))?;
        }
        builder
            .build()
            .map_err(|error| unexpected(&super::root_cause(&error)))
    }
}

/// An error (usage) where a proxy is no URL of one: both clients would ignore it.
fn check_proxies() -> Result<()> {
    for name in PROXY_VARIABLES {
        let Some(value) = variable(name) else {
            continue;
        };
        let uri: Option<http::Uri> = value.parse().ok();
        let is_usable = uri.is_some_and(|uri| {
            uri.authority().is_some() && matches!(uri.scheme_str(), None | Some("http" | "https"))
        });
        if !is_usable {
            // The value may have a password.
            let shown = value
                .rsplit_once('@')
                .map_or(value.as_str(), |(_, host)| host);
            return Err(Error::usage(format!(
                "{name} is {shown:?}: expected the URL of a proxy, such as http://proxy.example:3128"
            )));
        }
    }
    Ok(())
}

fn unexpected(why: &str) -> Error {
    Error::new(
        Class::Unexpected,
        format!("can't set up a client for AWS: {why}"),
    )
}

/// Spreads connections over all addresses of a name: S3 answers with several.
#[derive(Debug)]
struct ShufflingResolver;

impl Resolve for ShufflingResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let mut addresses: Vec<SocketAddr> = found.collect();
            fastrand::shuffle(&mut addresses);
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
