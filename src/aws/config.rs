//! Credentials, Region, profile and role: resolved once, for CloudWatch, S3 and the engine.

use std::fmt;
use std::sync::Arc;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::identity::IdentityCache;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::meta::region::ProvideRegion;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use tokio::sync::OnceCell;

use super::credentials::{CachedCredentials, LOAD_WITHIN};
use super::network::Network;
use super::profiles::Profiles;
use super::timeouts;
use crate::error::{Class, Error, Result};
use crate::job::AwsSettings;

/// Which credentials to use: a job may read the logs of another account than the one that holds its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Account {
    /// The logs and their staging bucket: with the job's role where it names one.
    Source,
    /// The answers: with the credentials that the program was started with.
    Output,
}

/// The settings of one account, for both clients.
#[derive(Debug)]
pub(super) struct AccountConfig {
    /// For the SDK's clients.
    pub(super) sdk: SdkConfig,
    /// For the engine's client; the SDK's has the same.
    pub(super) credentials: Arc<CachedCredentials>,
    network: Network,
}

impl AccountConfig {
    /// The HTTP client of the engine.
    pub(super) fn engine_http(&self) -> Result<reqwest::Client> {
        self.network.engine_client()
    }

    /// The Region.
    pub(super) fn region(&self) -> String {
        let region = self.sdk.region();
        region.map(ToString::to_string).unwrap_or_default()
    }
}

/// The settings of AWS, loaded with the first remote request.
pub struct Aws {
    settings: AwsSettings,
    output: OnceCell<AccountConfig>,
    source: OnceCell<AccountConfig>,
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

    /// The job's settings.
    pub(super) fn settings(&self) -> &AwsSettings {
        &self.settings
    }

    /// The settings of an account. An error (usage) where a setting is wrong or no Region is set, and (source) where there
    /// are no credentials.
    pub(super) async fn account(&self, account: Account) -> Result<&AccountConfig> {
        match (account, &self.settings.role_arn) {
            (Account::Output, _) | (Account::Source, None) => {
                self.output.get_or_try_init(|| self.load()).await
            }
            (Account::Source, Some(role)) => {
                self.source.get_or_try_init(|| self.assume(role)).await
            }
        }
    }

    /// The settings of an account for the SDK's clients.
    pub(super) async fn config(&self, account: Account) -> Result<&SdkConfig> {
        Ok(&self.account(account).await?.sdk)
    }

    async fn load(&self) -> Result<AccountConfig> {
        let named = self.settings.profile.as_deref();
        let profiles = Arc::new(Profiles::load(named).await?);
        let network = Network::load(&profiles)?;
        let http = network.sdk_client();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http.clone())
            .identity_cache(IdentityCache::lazy().load_timeout(LOAD_WITHIN).build())
            .retry_config(timeouts::sdk_retries())
            .timeout_config(timeouts::sdk_timeouts())
            .stalled_stream_protection(timeouts::sdk_stalled_streams());
        let mut region = self.settings.region.clone().map(Region::new);
        if let Some(name) = named {
            // In the SDK, keys in the environment take precedence over a named profile. In the AWS CLI they do not, and
            // a profile named in a job is preferred to keys that happen to be exported.
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
        let sdk = loader.load().await;
        if sdk.region().is_none() {
            return Err(Error::usage(
                "nothing was sent to AWS: no Region is set (expected [source] region in the job file, AWS_REGION, or an AWS profile with one)",
            ));
        }
        with_credentials(sdk, profiles, network, None).await
    }

    /// The settings with the job's role in place of the credentials that the program was started with.
    async fn assume(&self, role_arn: &str) -> Result<AccountConfig> {
        let base = self.output.get_or_try_init(|| self.load()).await?;
        let provider = aws_config::sts::AssumeRoleProvider::builder(role_arn)
            .session_name("logtally")
            .configure(&base.sdk)
            .build()
            .await;
        let sdk = base.sdk.clone().into_builder();
        let sdk = sdk.credentials_provider(SharedCredentialsProvider::new(provider));
        let profiles = base.credentials.profiles();
        let role = Some(role_arn.to_owned());
        with_credentials(sdk.build(), profiles, base.network.clone(), role).await
    }

    /// The Region in use.
    pub async fn region(&self, account: Account) -> Result<String> {
        Ok(self.account(account).await?.region())
    }
}

/// The settings with credentials that are kept, and are known to be there.
async fn with_credentials(
    sdk: SdkConfig,
    profiles: Arc<Profiles>,
    network: Network,
    role: Option<String>,
) -> Result<AccountConfig> {
    let provider = sdk.credentials_provider().ok_or_else(|| {
        Error::new(
            Class::Unexpected,
            "the AWS SDK has no provider of credentials",
        )
    })?;
    let credentials = Arc::new(CachedCredentials::new(provider, profiles, role));
    credentials.get().await?;
    let shared: Arc<dyn ProvideCredentials> = Arc::<CachedCredentials>::clone(&credentials);
    let shared = SharedCredentialsProvider::from(shared);
    Ok(AccountConfig {
        sdk: sdk.into_builder().credentials_provider(shared).build(),
        credentials,
        network,
    })
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
