//! Sending a message through the channels of a job. A failure is a warning, which shows no secret.

use serde_json::json;

use super::{ChartFile, Message, slack};
use crate::aws::Aws;
use crate::aws::http::{Post, PostError};
use crate::aws::sns::{self, Publication};
use crate::error::{Class, Error, Result};
use crate::job::{Notify, WebhookUrl};

/// Sends a message through every channel at once, and logs how that went. `key` is the same for the same message.
pub async fn send(
    aws: &Aws,
    notify: &Notify,
    (job, window): (&str, &str),
    message: &Message,
    charts: &[ChartFile],
    key: &str,
) {
    let topic = async {
        let topic = notify.sns.as_ref()?;
        let text = message.plain();
        let publication = Publication {
            topic,
            subject: &message.subject,
            message: &text,
            group: job,
            key,
        };
        Some(("sns", sns::publish(aws, &publication).await))
    };
    let webhook = async {
        let url = notify.webhook.as_ref()?;
        Some(("webhook", post(url, message).await))
    };
    let slack = async {
        let app = notify.slack.as_ref()?;
        Some(("slack", slack::post(app, message, charts).await))
    };
    let (topic, webhook, slack) = tokio::join!(topic, webhook, slack);
    for (channel, sent) in [topic, webhook, slack].into_iter().flatten() {
        match sent {
            Ok(()) => tracing::info!(window, channel, "notified"),
            Err(error) => tracing::warn!(window, channel, %error, "could not notify"),
        }
    }
}

async fn post(url: &WebhookUrl, message: &Message) -> Result<()> {
    let post = Post {
        url: url.secret().to_owned(),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: json!({ "text": message.slack() }).to_string().into(),
    };
    post.send().await.map(drop).map_err(|error| {
        let reason = reason(&error);
        let what = format!("the webhook at {}: {error}{reason}", url.host());
        Error::new(Class::Output, what)
    })
}

/// Slack's word for a refusal, such as `invalid_token`. Any other text is not shown: it may repeat the URL.
fn reason(error: &PostError) -> String {
    match error {
        PostError::Refused { body, .. }
            if (1..=40).contains(&body.len())
                && body.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') =>
        {
            format!(" ({body})")
        }
        _ => String::new(),
    }
}
