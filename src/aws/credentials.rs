//! Credentials, loaded once for both clients, and in words why there are none.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_s3::error::{ConnectorError, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use tokio::sync::Mutex;

use super::failure::Refusal;
use super::profiles::Profiles;
use super::{find_cause, root_cause};
use crate::error::{Class, Error, Result};

/// Credentials are renewed this long before they expire.
const RENEW_BEFORE_EXPIRY: Duration = Duration::from_secs(300);

/// The longest time for loading credentials: a service, or a program that the profile names, gives them.
pub(super) const LOAD_WITHIN: Duration = Duration::from_secs(20);

/// Credentials, kept until shortly before they expire.
#[derive(Debug)]
pub(super) struct CachedCredentials {
    provider: SharedCredentialsProvider,
    profiles: Arc<Profiles>,
    /// The role that the job names, where these are its credentials.
    role: Option<String>,
    current: Mutex<Option<Credentials>>,
}

impl CachedCredentials {
    pub(super) fn new(
        provider: SharedCredentialsProvider,
        profiles: Arc<Profiles>,
        role: Option<String>,
    ) -> Self {
        Self {
            provider,
            profiles,
            role,
            current: Mutex::new(None),
        }
    }

    /// AWS's configuration files.
    pub(super) fn profiles(&self) -> Arc<Profiles> {
        Arc::clone(&self.profiles)
    }

    /// The credentials. An error (source) where there are none: the same whichever bucket or service is asked first.
    pub(super) async fn get(&self) -> Result<Credentials> {
        let mut current = self.current.lock().await;
        let expiry = |found: &Credentials| {
            found
                .expiry()
                .unwrap_or(SystemTime::now() + RENEW_BEFORE_EXPIRY * 2)
        };
        if let Some(kept) = &*current
            && expiry(kept) > SystemTime::now() + RENEW_BEFORE_EXPIRY
        {
            return Ok(kept.clone());
        }
        let loading = self.provider.provide_credentials();
        let loaded = match tokio::time::timeout(LOAD_WITHIN, loading).await {
            Ok(loaded) => loaded,
            Err(_) => Err(CredentialsError::provider_timed_out(LOAD_WITHIN)),
        };
        match (loaded, &*current) {
            (Ok(found), _) => {
                *current = Some(found.clone());
                Ok(found)
            }
            (Err(error), Some(kept)) if expiry(kept) > SystemTime::now() => {
                let why = self.why_none(&error);
                tracing::warn!("the AWS credentials could not be renewed yet: {why}");
                Ok(kept.clone())
            }
            (Err(error), _) => Err(self.why_none(&error)),
        }
    }

    fn why_none(&self, error: &CredentialsError) -> Error {
        // The provider of a role gets its own credentials from here too.
        if let Some(own) = crate::error::find_own(error) {
            return Error::new(own.class(), own.to_string());
        }
        let cause = root_cause(error);
        let unsent =
            |why: String| Error::new(Class::Source, format!("nothing was sent to AWS: {why}"));
        if let CredentialsError::CredentialsNotLoaded(_) = error {
            return unsent(
                "no credentials found (expected AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, an AWS profile with credentials, or a role of the task or machine)".to_owned(),
            );
        }
        if find_cause::<ConnectorError>(error).is_some()
            || matches!(error, CredentialsError::ProviderTimedOut(_))
        {
            return Error::new(
                Class::Source,
                format!("no answer from the service that gives AWS credentials: {cause}"),
            );
        }
        if let Some(role) = &self.role {
            let refusal = find_cause::<SdkError<AssumeRoleError>>(error).and_then(Refusal::of);
            let why = refusal.and_then(|refusal| refusal.said()).unwrap_or(cause);
            return Error::new(
                Class::Source,
                format!("AWS refused the role {role} of [source] role_arn: {why}"),
            );
        }
        if let Some((file, origin)) = self.profiles.web_identity_token_file()
            && find_cause::<std::io::Error>(error).is_some()
        {
            return unsent(format!(
                "the file of the web identity token {file} ({origin}) can't be read: {cause}"
            ));
        }
        let profile = self.profiles.name();
        if let Some(command) = self.profiles.login() {
            return unsent(format!(
                "the AWS profile {profile:?} has no valid session ({cause}): run `{command}`"
            ));
        }
        match error {
            CredentialsError::InvalidConfiguration(_) => unsent(format!(
                "the AWS profile {profile:?} can't be used: {cause}"
            )),
            _ => Error::new(
                Class::Source,
                format!("AWS gives no credentials for the profile {profile:?}: {cause}"),
            ),
        }
    }
}

impl ProvideCredentials for CachedCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let found = self.get().await;
            found.map_err(CredentialsError::provider_error)
        })
    }
}

/// The same in the engine's form.
#[derive(Debug)]
pub(super) struct EngineCredentials(pub(super) Arc<CachedCredentials>);

#[async_trait]
impl CredentialProvider for EngineCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let found = self
            .0
            .get()
            .await
            .map_err(|error| object_store::Error::Generic {
                store: "S3",
                source: Box::new(error),
            })?;
        Ok(Arc::new(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        }))
    }
}
