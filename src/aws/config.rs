//! Credentials, Region, profile, role and endpoint: resolved once, for CloudWatch, S3 and the engine.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::meta::region::ProvideRegion;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_http_client::tls;
use object_store::CredentialProvider;
use object_store::aws::{AmazonS3Builder, AwsCredential};
use tokio::sync::{Mutex, OnceCell};

use super::timeouts;
use crate::error::{Class, Error, Result};
use crate::job::AwsSettings;

/// Credentials are renewed this long before they expire.
const RENEW_BEFORE_EXPIRY: Duration = Duration::from_secs(300);

/// Which credentials to use: a job may read the logs of another account than the one that holds its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Account {
    /// The logs and their staging bucket: with the job's role where it names one.
    Source,
    /// The answers: with the credentials that the program was started with.
    Output,
}

/// The configuration of the AWS SDK, loaded with the first remote request.
pub struct Aws {
    settings: AwsSettings,
    output: OnceCell<SdkConfig>,
    source: OnceCell<SdkConfig>,
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aws")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Aws {
    /// A configuration with the job's settings; nothing is loaded yet.
    pub fn new(settings: AwsSettings) -> Self {
        Self {
            settings,
            output: OnceCell::new(),
            source: OnceCell::new(),
        }
    }

    /// The configuration for an account. An error (usage) where no Region is set.
    pub(super) async fn config(&self, account: Account) -> Result<&SdkConfig> {
        let output = self.output.get_or_try_init(|| self.load()).await?;
        match (account, &self.settings.role_arn) {
            (Account::Output, _) | (Account::Source, None) => Ok(output),
            (Account::Source, Some(role)) => {
                self.source
                    .get_or_try_init(|| async { Ok(assume(output, role).await) })
                    .await
            }
        }
    }

    async fn load(&self) -> Result<SdkConfig> {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(
                tls::rustls_provider::CryptoMode::Ring,
            ))
            .build_https();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http.clone())
            .retry_config(timeouts::sdk_retries())
            .timeout_config(timeouts::sdk_timeouts())
            .stalled_stream_protection(timeouts::sdk_stalled_streams());
        let mut region = self.settings.region.clone().map(Region::new);
        if let Some(name) = &self.settings.profile {
            // In the SDK, keys in the environment take precedence over a named profile. In the AWS CLI they do not, and
            // a profile named in a job is preferred to keys that happen to be exported.
            ensure_profile(name).await?;
            if region.is_none() {
                let of_profile = ProfileFileRegionProvider::builder().profile_name(name);
                region = of_profile.build().region().await;
            }
            let of_profile = ProviderConfig::without_region()
                .with_behavior_version(Some(BehaviorVersion::latest()))
                .with_http_client(http)
                .with_region(region.clone());
            loader = loader
                .profile_name(name)
                .credentials_provider(profile_credentials(name, &of_profile));
        }
        if let Some(region) = region {
            loader = loader.region(region);
        }
        let config = loader.load().await;
        if config.region().is_none() {
            return Err(Error::usage(
                "no AWS Region is set: expected [source] region in the job file, AWS_REGION, or a profile with one",
            ));
        }
        Ok(config)
    }

    /// The Region in use.
    pub async fn region(&self, account: Account) -> Result<String> {
        let config = self.config(account).await?;
        Ok(config.region().map(ToString::to_string).unwrap_or_default())
    }

    /// An S3 client for the engine, with the same credentials and endpoint as everything else.
    pub(super) async fn object_store(
        &self,
        account: Account,
        bucket: &str,
        region: &str,
    ) -> Result<AmazonS3Builder> {
        let config = self.config(account).await?;
        let provider = config.credentials_provider().ok_or_else(no_credentials)?;
        let mut builder = AmazonS3Builder::new()
            .with_client_options(timeouts::engine_timeouts())
            .with_retry(timeouts::engine_retries())
            .with_bucket_name(bucket)
            .with_region(region)
            .with_credentials(Arc::new(EngineCredentials::new(provider)));
        builder = match s3_endpoint(config) {
            // Test servers and S3-compatible ones seldom have a host name for each bucket.
            Some(endpoint) => {
                let plain = endpoint.starts_with("http://");
                builder.with_endpoint(endpoint).with_allow_http(plain)
            }
            None => builder.with_virtual_hosted_style_request(!bucket.contains('.')),
        };
        Ok(builder)
    }
}

/// The endpoint for S3, if set.
pub(super) fn s3_endpoint(config: &SdkConfig) -> Option<String> {
    endpoint(config, "AWS_ENDPOINT_URL_S3")
}

/// The endpoint for CloudWatch Logs.
pub(super) fn logs_endpoint(config: &SdkConfig) -> String {
    endpoint(config, "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS").unwrap_or_else(|| {
        let region = config.region().map(Region::as_ref).unwrap_or_default();
        let suffix = match region.starts_with("cn-") {
            true => "amazonaws.com.cn",
            false => "amazonaws.com",
        };
        format!("https://logs.{region}.{suffix}")
    })
}

/// A service's endpoint: its own variable, then `AWS_ENDPOINT_URL`, as in the SDK's clients.
fn endpoint(config: &SdkConfig, variable: &str) -> Option<String> {
    let ignored = std::env::var("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
        .is_ok_and(|v| v.eq_ignore_ascii_case("true"));
    if ignored {
        return None;
    }
    std::env::var(variable)
        .ok()
        .filter(|url| !url.is_empty())
        .or_else(|| config.endpoint_url().map(str::to_owned))
}

/// An error (usage) where the profile does not exist, or the files can't be read.
async fn ensure_profile(name: &str) -> Result<()> {
    let (files, environment) = (&Default::default(), &Default::default());
    let profiles = aws_config::profile::load(files, environment, &Default::default(), None)
        .await
        .map_err(|error| {
            Error::usage(format!(
                "the AWS profile {name:?} of [source] can't be read"
            ))
            .caused_by(error)
        })?;
    match profiles.get_profile(name) {
        Some(_) => Ok(()),
        None => Err(Error::usage(format!(
            "the AWS profile {name:?} of [source] does not exist: expected one of ~/.aws/config or ~/.aws/credentials, or of the files that AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name"
        ))),
    }
}

/// The credentials of a profile, or, where it has none, of the task or machine.
fn profile_credentials(name: &str, config: &ProviderConfig) -> CredentialsProviderChain {
    let profile = ProfileFileCredentialsProvider::builder();
    let profile = profile.configure(config).profile_name(name).build();
    let task = EcsCredentialsProvider::builder().configure(config).build();
    let machine = ImdsCredentialsProvider::builder().configure(config).build();
    CredentialsProviderChain::first_try("Profile", profile)
        .or_else("EcsContainer", task)
        .or_else("Ec2InstanceMetadata", machine)
}

async fn assume(base: &SdkConfig, role_arn: &str) -> SdkConfig {
    let provider = aws_config::sts::AssumeRoleProvider::builder(role_arn)
        .session_name("logtally")
        .configure(base)
        .build()
        .await;
    base.clone()
        .into_builder()
        .credentials_provider(SharedCredentialsProvider::new(provider))
        .build()
}

fn no_credentials() -> Error {
    Error::new(
        Class::Source,
        "no AWS credentials were found: expected a role of the task or machine, a profile, or AWS_ACCESS_KEY_ID",
    )
}

/// The SDK's credentials in the engine's form, cached until shortly before they expire.
#[derive(Debug)]
struct EngineCredentials {
    provider: SharedCredentialsProvider,
    current: Mutex<Option<Current>>,
}

#[derive(Debug)]
struct Current {
    credential: Arc<AwsCredential>,
    expiry: Option<SystemTime>,
}

impl EngineCredentials {
    fn new(provider: SharedCredentialsProvider) -> Self {
        Self {
            provider,
            current: Mutex::new(None),
        }
    }
}

#[async_trait]
impl CredentialProvider for EngineCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut current = self.current.lock().await;
        if let Some(current) = &*current {
            let fresh = current
                .expiry
                .is_none_or(|expiry| expiry > SystemTime::now() + RENEW_BEFORE_EXPIRY);
            if fresh {
                return Ok(Arc::clone(&current.credential));
            }
        }
        let found = self.provider.provide_credentials().await.map_err(|error| {
            object_store::Error::Generic {
                store: "S3",
                source: Box::new(no_credentials().caused_by(error)),
            }
        })?;
        let credential = Arc::new(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        });
        *current = Some(Current {
            credential: Arc::clone(&credential),
            expiry: found.expiry(),
        });
        Ok(credential)
    }
}
