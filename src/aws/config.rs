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
use crate::job::{AwsSettings, Job, JobSource, SourceAccess};

/// Which credentials to use: a job may read the logs of another account than the one that holds its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Account {
    /// The logs of a source and their staging bucket: with its role where it names one. The number is the place of its
    /// access in the settings.
    Source(usize),
    /// The answers: with the credentials that the program was started with.
    Output,
}

impl Account {
    /// The logs of a job's only source, or of a location.
    pub const LOGS: Self = Self::Source(0);

    /// The logs of a source.
    pub fn of(source: &JobSource) -> Self {
        Self::Source(source.access)
    }

    /// What lookup tables are read with: as the logs, if these are reached in one way.
    pub fn of_tables(job: &Job) -> Self {
        match &job.sources[..] {
            [only] => Self::of(only),
            _ => Self::Output,
        }
    }
}

/// The settings of one account, for both clients.
#[derive(Debug, Clone)]
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

    /// The same in another Region.
    fn in_region(&self, region: Option<&str>) -> Self {
        let Some(region) = region else {
            return self.clone();
        };
        let sdk = self.sdk.clone().into_builder();
        Self {
            sdk: sdk.region(Region::new(region.to_owned())).build(),
            ..self.clone()
        }
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
    /// Each way to reach logs, at least one.
    sources: Vec<(SourceAccess, OnceCell<AccountConfig>)>,
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
        let as_answers = SourceAccess {
            region: settings.region.clone(),
            profile: settings.profile.clone(),
            ..SourceAccess::default()
        };
        let mut sources = settings.sources.clone();
        if sources.is_empty() {
            sources.push(as_answers);
        }
        Self {
            settings,
            output: OnceCell::new(),
            sources: sources
                .into_iter()
                .map(|access| (access, OnceCell::new()))
                .collect(),
        }
    }

    /// The job's settings.
    pub(super) fn settings(&self) -> &AwsSettings {
        &self.settings
    }

    /// The settings of an account. An error (usage) where a setting is wrong or no Region is set, and (source) where there
    /// are no credentials.
    pub(super) async fn account(&self, account: Account) -> Result<&AccountConfig> {
        let Account::Source(number) = account else {
            return self.of_answers().await;
        };
        let (access, config) = self.sources.get(number).ok_or_else(|| {
            Error::new(
                Class::Unexpected,
                format!("there is no access {number} to logs"),
            )
        })?;
        match self.is_as_answers(access) && access.role_arn.is_none() {
            true => self.of_answers().await,
            false => config.get_or_try_init(|| self.of_source(access)).await,
        }
    }

    /// Whether requests to the account pay for themselves.
    pub(super) fn requester_pays(&self, account: Account) -> bool {
        match account {
            Account::Output => false,
            Account::Source(number) => {
                let source = self.sources.get(number);
                source.is_some_and(|(access, _)| access.requester_pays)
            }
        }
    }

    /// Whether logs are in the Region of the answers, and before a role is assumed, reached with the same credentials.
    fn is_as_answers(&self, access: &SourceAccess) -> bool {
        (&access.region, &access.profile) == (&self.settings.region, &self.settings.profile)
    }

    async fn of_answers(&self) -> Result<&AccountConfig> {
        let (profile, region) = (&self.settings.profile, &self.settings.region);
        // A source without a Region needs that of the environment too.
        let regions = self.sources.iter().map(|(access, _)| access.region.clone());
        let regions: Option<Vec<String>> = regions.collect();
        let last_resort = regions.and_then(|regions| regions.into_iter().next());
        self.output
            .get_or_try_init(|| load(profile.as_deref(), region.clone(), last_resort))
            .await
    }

    async fn of_source(&self, access: &SourceAccess) -> Result<AccountConfig> {
        let base = match access.profile == self.settings.profile {
            true => self.of_answers().await?.in_region(access.region.as_deref()),
            false => load(access.profile.as_deref(), access.region.clone(), None).await?,
        };
        match &access.role_arn {
            Some(role) => assume(&base, role).await,
            None => Ok(base),
        }
    }

    /// The settings of an account for the SDK's clients.
    pub(super) async fn config(&self, account: Account) -> Result<&SdkConfig> {
        Ok(&self.account(account).await?.sdk)
    }

    /// The Region in use.
    pub async fn region(&self, account: Account) -> Result<String> {
        Ok(self.account(account).await?.region())
    }
}

/// The settings of a profile, or of the environment, in a Region: that of the profile or the environment where unset, and
/// the last resort where these have none.
async fn load(
    named: Option<&str>,
    region: Option<String>,
    last_resort: Option<String>,
) -> Result<AccountConfig> {
    let profiles = Arc::new(Profiles::load(named).await?);
    let network = Network::load(&profiles)?;
    let http = network.sdk_client();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http.clone())
        .identity_cache(IdentityCache::lazy().load_timeout(LOAD_WITHIN).build())
        .retry_config(timeouts::sdk_retries())
        .timeout_config(timeouts::sdk_timeouts())
        .stalled_stream_protection(timeouts::sdk_stalled_streams());
    let mut region = region.map(Region::new);
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
    let mut sdk = loader.load().await;
    if sdk.region().is_none()
        && let Some(region) = last_resort
    {
        sdk = sdk.into_builder().region(Region::new(region)).build();
    }
    if sdk.region().is_none() {
        return Err(Error::usage(
            "nothing was sent to AWS: no Region is set (expected [source] region in the job file, AWS_REGION, or an AWS profile with one)",
        ));
    }
    with_credentials(sdk, profiles, network, None).await
}

/// The settings with a role in place of the credentials.
async fn assume(base: &AccountConfig, role_arn: &str) -> Result<AccountConfig> {
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
