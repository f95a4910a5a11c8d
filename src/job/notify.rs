//! Whom a job notifies of its runs, and of which: `[notify]`.

use std::fmt;
use std::time::Duration;

use super::Language;
use super::checked::Secret;
use super::spec::{NotifySpec, NotifyWhen};

/// The longest life of a signed link.
const LONGEST_LINK: Duration = Duration::from_secs(7 * 24 * 3600);

/// The life of a link where the job does not say.
const LINK_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// By how much a count moves before it is a change, where the job does not say.
const CHANGE: f64 = 0.5;

/// Whom a job notifies, and of what.
#[derive(Debug, Clone, PartialEq)]
pub struct Notify {
    /// The SNS topic.
    pub sns: Option<TopicArn>,
    /// The webhook, which takes messages in Slack's form.
    pub webhook: Option<WebhookUrl>,
    /// Slack's API, to which charts are uploaded.
    pub slack: Option<SlackApp>,
    /// Which runs are reported.
    pub on: NotifyWhen,
    /// By which share the events must differ from the earlier ones to be a change.
    pub change: f64,
    /// How long the links to charts live.
    pub link_lifetime: Duration,
    /// The language of the messages.
    pub language: Language,
}

/// The ARN of an SNS topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicArn {
    arn: String,
    region: String,
}

impl TopicArn {
    /// Checks the text.
    pub fn new(arn: &str) -> Result<Self, String> {
        let parts: Vec<&str> = arn.split(':').collect();
        match parts[..] {
            ["arn", partition, "sns", region, account, name]
                if !partition.is_empty()
                    && !region.is_empty()
                    && account.len() == 12
                    && account.bytes().all(|byte| byte.is_ascii_digit())
                    && !name.is_empty() =>
            {
                Ok(Self {
                    arn: arn.to_owned(),
                    region: region.to_owned(),
                })
            }
            _ => Err(format!(
                "{arn:?} is not the ARN of an SNS topic: expected one such as \"arn:aws:sns:eu-west-1:123456789012:nightly\""
            )),
        }
    }

    /// The ARN.
    pub fn as_str(&self) -> &str {
        &self.arn
    }

    /// The topic's Region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Whether the topic keeps an order, and so needs groups of messages.
    pub fn is_fifo(&self) -> bool {
        self.arn.ends_with(".fifo")
    }
}

/// The URL of a webhook. It is a secret: nothing shows more of it than its host.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl(String);

impl WebhookUrl {
    /// Checks the text. The error does not repeat it.
    pub fn new(url: &str) -> Result<Self, String> {
        let url = Self(url.trim().to_owned());
        let has_scheme = url.0.starts_with("https://") || url.0.starts_with("http://");
        let is_plain = url.0.bytes().all(|byte| byte.is_ascii_graphic());
        match has_scheme && is_plain && !url.host().is_empty() {
            true => Ok(url),
            false => Err(
                "its value is no URL: expected one that begins with https:// (or http://)"
                    .to_owned(),
            ),
        }
    }

    /// The host, with the port if the URL has one.
    pub fn host(&self) -> &str {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        authority.rsplit('@').next().unwrap_or_default()
    }

    /// The whole URL, for the request.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookUrl({}/…)", self.host())
    }
}

/// A bot of Slack, and the channel that it posts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlackApp {
    /// The URL of Slack's API, without a slash at its end.
    pub api: String,
    /// The bot's token.
    pub token: Secret,
    /// The id of the channel.
    pub channel: String,
}

/// Slack's API, where the job does not name another.
const SLACK_API: &str = "https://slack.com/api";

fn slack_app(spec: &mut NotifySpec) -> Result<Option<SlackApp>, String> {
    let api = spec.slack_api.take().map(|text| text.0);
    let (token, channel) = match (spec.slack_token.take(), spec.slack_channel.take()) {
        (Some(token), Some(channel)) => (token, channel.0),
        (Some(_), None) => {
            return Err("[notify] slack_token stands without slack_channel: expected the id of a channel, such as \"C0123456789\"".to_owned());
        }
        (None, Some(_)) => {
            return Err("[notify] slack_channel stands without slack_token: expected the token of a bot, such as \"${SLACK_TOKEN}\"".to_owned());
        }
        (None, None) => {
            return match api {
                Some(_) => Err(
                    "[notify] slack_api stands without slack_token: expected both or neither"
                        .to_owned(),
                ),
                None => Ok(None),
            };
        }
    };
    let is_id = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit();
    if channel.len() < 2 || !channel.bytes().all(is_id) {
        return Err(format!(
            "[notify] slack_channel is {channel:?}: expected the id of a channel, such as \"C0123456789\", which Slack shows at the end of the channel's details"
        ));
    }
    let api = api.unwrap_or_else(|| SLACK_API.to_owned());
    // It has the form of a webhook, and is no secret.
    WebhookUrl::new(&api).map_err(|_| {
        format!("[notify] slack_api is {api:?}: expected a URL such as {SLACK_API:?}")
    })?;
    if !token.value.bytes().all(|byte| byte.is_ascii_graphic()) || token.value.is_empty() {
        return Err(
            "[notify] slack_token: its value is no token: expected one such as xoxb-…".to_owned(),
        );
    }
    Ok(Some(SlackApp {
        api: api.trim_end_matches('/').to_owned(),
        token,
        channel,
    }))
}

/// Checks `[notify]`.
pub(super) fn resolve(mut spec: NotifySpec, language: Language) -> Result<Notify, String> {
    let slack = slack_app(&mut spec)?;
    if spec.sns.is_none() && spec.webhook.is_none() && slack.is_none() {
        return Err(
            "[notify] has neither sns nor webhook nor slack_token: expected one of them".into(),
        );
    }
    let sns = spec.sns.map(|text| TopicArn::new(&text.0)).transpose();
    let webhook = spec.webhook.map(|secret| WebhookUrl::new(&secret.value));
    let link_lifetime = spec.link_lifetime.map_or(LINK_LIFETIME, |length| length.0);
    if !(Duration::from_secs(60)..=LONGEST_LINK).contains(&link_lifetime) {
        return Err(format!(
            "[notify] link_lifetime is {}: expected 1m to 7d, the longest that S3 signs",
            humantime::format_duration(link_lifetime)
        ));
    }
    Ok(Notify {
        sns: sns.map_err(|error| format!("[notify] sns: {error}"))?,
        webhook: webhook
            .transpose()
            .map_err(|error| format!("[notify] webhook: {error}"))?,
        slack,
        on: spec.on.unwrap_or_default(),
        change: spec.change.map_or(CHANGE, |share| share.0),
        link_lifetime,
        language,
    })
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use std::path::Path;

    fn notify(keys: &str) -> Result<Notify, String> {
        let text = format!(
            "name = \"night\"\nlanguage = \"ko\"\n[source]\nkind = \"exported\"\npath = \"exports\"\n[output]\nlocation = \"answers\"\n[[query]]\nuse = \"hourly_count\"\n[notify]\n{keys}\n"
        );
        let job = parse(Path::new("jobs/night.toml"), &text).map_err(|error| error.to_string())?;
        Ok(job.notify.expect("the job notifies"))
    }

    const TOPIC: &str = "sns = \"arn:aws:sns:eu-west-1:123456789012:nightly\"";

    #[test]
    fn a_topic_alone_has_the_defaults() {
        let notify = notify(TOPIC).unwrap();
        assert_eq!((notify.on, notify.change), (NotifyWhen::Failure, 0.5));
        assert_eq!(notify.link_lifetime, Duration::from_secs(24 * 3600));
        assert_eq!(notify.language, Language::Korean);
        let topic = notify.sns.unwrap();
        assert_eq!((topic.region(), topic.is_fifo()), ("eu-west-1", false));
    }

    #[test]
    fn what_can_not_be_notified_is_an_error() {
        for (keys, expected) in [
            ("on = \"always\"".to_owned(), "neither sns nor webhook"),
            (
                "sns = \"nightly\"".to_owned(),
                "is not the ARN of an SNS topic",
            ),
            (
                format!("{TOPIC}\nlink_lifetime = \"8d\""),
                "expected 1m to 7d",
            ),
            (format!("{TOPIC}\non = \"sometimes\""), "failure"),
            (format!("{TOPIC}\nchange = \"much\""), "is no share"),
            (
                "slack_token = \"${PATH}\"".to_owned(),
                "without slack_channel",
            ),
            (
                format!("{TOPIC}\nslack_channel = \"C01\""),
                "without slack_token",
            ),
            (
                "slack_token = \"${PATH}\"\nslack_channel = \"#general\"".to_owned(),
                "expected the id of a channel",
            ),
            (
                "slack_token = \"xoxb-secret\"\nslack_channel = \"C01\"".to_owned(),
                "expected \"${NAME}\"",
            ),
            // A secret in the file itself.
            (
                "webhook = \"https://hooks.example/T0/B0/secret\"".to_owned(),
                "expected \"${NAME}\"",
            ),
            (
                "webhook = https://hooks.example/T0/B0/secret".to_owned(),
                ":11:",
            ),
            (
                "webhook = \"${LOGTALLY_SURELY_UNSET}\"".to_owned(),
                "LOGTALLY_SURELY_UNSET",
            ),
            // Its value is a path.
            ("webhook = \"${PATH}\"".to_owned(), "its value is no URL"),
        ] {
            let error = notify(&keys).unwrap_err();
            assert!(error.contains(expected), "{keys}: {error}");
            assert!(
                !error.contains("/secret") && !error.contains("xoxb-s"),
                "{error}"
            );
            let path = std::env::var("PATH").unwrap();
            assert!(!error.contains(&path), "{error}");
        }
    }

    #[test]
    fn only_the_host_of_a_webhook_is_shown() {
        let url =
            WebhookUrl::new("https://user:word@hooks.slack.example:8443/services/T0/B0/x").unwrap();
        assert_eq!(url.host(), "hooks.slack.example:8443");
        assert_eq!(format!("{url:?}"), "WebhookUrl(hooks.slack.example:8443/…)");
    }
}
