//! Whose the credentials are, and the service's clock.

use std::error::Error as StdError;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_sts::Client;
use aws_sdk_sts::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_sts::config::{Config, ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use chrono::{DateTime, Utc};

use super::failure::Refusal;
use super::{Account, Aws, root_cause, timeouts};
use crate::error::{Class, Error, Result};

/// Whose the credentials are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The account's id.
    pub account: String,
    /// The user, or the role with its session.
    pub arn: String,
    /// The service's time when it answered.
    pub server_time: Option<DateTime<Utc>>,
}

impl Aws {
    /// Asks whose the credentials for an account are. Every identity may ask that.
    pub async fn caller(&self, account: Account) -> Result<Caller> {
        let client = Client::new(self.config(account).await?);
        let date = AnswerDate::default();
        let first_contact = Config::builder().retry_config(timeouts::sdk_first_retries());
        let answer = client
            .get_caller_identity()
            .customize()
            .config_override(first_contact)
            .interceptor(date.clone())
            .send()
            .await
            .map_err(|error| refused(account, &error))?;
        Ok(Caller {
            account: answer.account.unwrap_or_default(),
            arn: answer.arn.unwrap_or_default(),
            server_time: date.get(),
        })
    }
}

fn refused<E>(account: Account, error: &SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let class = match account {
        Account::Source(_) => Class::Source,
        Account::Output => Class::Output,
    };
    let said = Refusal::of(error).and_then(|refusal| refusal.said());
    let why = said.unwrap_or_else(|| root_cause(error));
    Error::new(
        class,
        format!("AWS STS does not say whose the credentials are: {why}"),
    )
}

/// The header `Date` of an answer.
#[derive(Debug, Clone, Default)]
struct AnswerDate(Arc<Mutex<Option<DateTime<Utc>>>>);

impl AnswerDate {
    fn get(&self) -> Option<DateTime<Utc>> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for AnswerDate {
    fn name(&self) -> &'static str {
        "AnswerDate"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), Box<dyn StdError + Send + Sync>> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| DateTime::parse_from_rfc2822(date).ok());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            date.map(|date| date.with_timezone(&Utc));
        Ok(())
    }
}
