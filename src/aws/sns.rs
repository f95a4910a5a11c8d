//! Publishing to an SNS topic, as a plain signed request: one action needs no client of the SDK.

use std::time::SystemTime;

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::endpoints;
use super::http::{Post, PostError};
use super::{Account, Aws};
use crate::error::{Class, Error, Result};
use crate::job::TopicArn;

/// What a form encodes: everything but what RFC 3986 calls unreserved.
const FORM: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// SNS takes messages of up to 256 KiB.
const LONGEST_MESSAGE: usize = 200_000;

/// A message to a topic.
pub struct Publication<'a> {
    /// The topic.
    pub topic: &'a TopicArn,
    /// The subject of an e-mail: ASCII, at most 99 characters.
    pub subject: &'a str,
    /// The text.
    pub message: &'a str,
    /// For topics that keep an order: messages of one group stay in it.
    pub group: &'a str,
    /// For topics that keep an order: a message with the same key is dropped for five minutes.
    pub key: &'a str,
}

/// Publishes a message.
pub async fn publish(aws: &Aws, publication: &Publication<'_>) -> Result<()> {
    let account = aws.account(Account::Output).await?;
    let topic = publication.topic;
    let url = endpoints::configured(&account.sdk, "sns")?.unwrap_or_else(|| {
        let suffix = match topic.region().starts_with("cn-") {
            true => "amazonaws.com.cn",
            false => "amazonaws.com",
        };
        format!("https://sns.{}.{suffix}", topic.region())
    });
    let url = format!("{}/", url.trim_end_matches('/'));
    let credentials = account.credentials.get().await?;
    let body = form(publication);
    let content_type = "application/x-www-form-urlencoded; charset=utf-8";
    let mut headers = vec![("content-type".to_owned(), content_type.to_owned())];
    let signed = {
        let unsigned = |error: &dyn std::fmt::Display| {
            Error::new(Class::Unexpected, format!("can't sign a request: {error}"))
        };
        let identity = credentials.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(topic.region())
            .name("sns")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| unsigned(&error))?
            .into();
        let pairs = headers.iter();
        let pairs = pairs.map(|(name, value)| (name.as_str(), value.as_str()));
        let body = SignableBody::Bytes(body.as_bytes());
        let request = SignableRequest::new("POST", url.as_str(), pairs, body);
        let request = request.map_err(|error| unsigned(&error))?;
        let signed = sign(request, &parameters).map_err(|error| unsigned(&error))?;
        signed.into_parts().0
    };
    let signature = signed.headers();
    headers.extend(signature.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let post = Post {
        url,
        headers,
        body: body.into(),
    };
    match post.send().await {
        Ok(_) => Ok(()),
        Err(error) => {
            let why = explain(&error);
            Err(Error::new(
                Class::Output,
                format!("SNS did not take the message: {why}"),
            ))
        }
    }
}

fn form(publication: &Publication<'_>) -> String {
    let message: String = publication
        .message
        .chars()
        .take(LONGEST_MESSAGE / 4)
        .collect();
    let mut fields = vec![
        ("Action", "Publish"),
        ("Version", "2010-03-31"),
        ("TopicArn", publication.topic.as_str()),
        ("Subject", publication.subject),
        ("Message", &message),
    ];
    if publication.topic.is_fifo() {
        fields.push(("MessageGroupId", publication.group));
        fields.push(("MessageDeduplicationId", publication.key));
    }
    let fields = fields.iter().map(|(name, value)| {
        let value = utf8_percent_encode(value, FORM);
        format!("{name}={value}")
    });
    fields.collect::<Vec<_>>().join("&")
}

/// The code and the message of an answer in XML, or what else went wrong.
fn explain(error: &PostError) -> String {
    let PostError::Refused { status, body, .. } = error else {
        return error.to_string();
    };
    let tag = |name: &str| {
        let (_, rest) = body.split_once(&format!("<{name}>"))?;
        let (text, _) = rest.split_once(&format!("</{name}>"))?;
        Some(text.trim())
    };
    match (tag("Code"), tag("Message")) {
        (Some(code), Some(message)) => format!("{code}: {message} ({status})"),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publication<'a>(topic: &'a TopicArn, message: &'a str) -> Publication<'a> {
        Publication {
            topic,
            subject: "logtally: night",
            message,
            group: "night",
            key: "0a",
        }
    }

    #[test]
    fn a_message_is_a_form() {
        let topic = TopicArn::new("arn:aws:sns:eu-west-1:123456789012:nightly").unwrap();
        let form = form(&publication(&topic, "오류 1건\na=b&c+d"));
        assert_eq!(
            form,
            "Action=Publish&Version=2010-03-31&TopicArn=arn%3Aaws%3Asns%3Aeu-west-1%3A123456789012%3Anightly&Subject=logtally%3A%20night&Message=%EC%98%A4%EB%A5%98%201%EA%B1%B4%0Aa%3Db%26c%2Bd"
        );
    }

    #[test]
    fn a_topic_in_order_gets_a_group_and_a_key() {
        let topic = TopicArn::new("arn:aws:sns:eu-west-1:123456789012:nightly.fifo").unwrap();
        let form = form(&publication(&topic, "x"));
        assert!(
            form.ends_with("&MessageGroupId=night&MessageDeduplicationId=0a"),
            "{form}"
        );
    }

    #[test]
    fn a_refusal_is_told_by_its_code() {
        let refused = |body: &str| PostError::Refused {
            status: 403,
            redirect: None,
            body: body.to_owned(),
        };
        let body = "<ErrorResponse><Error><Type>Sender</Type><Code>AuthorizationError</Code><Message>User: x is not authorized to perform: SNS:Publish</Message></Error></ErrorResponse>";
        assert_eq!(
            explain(&refused(body)),
            "AuthorizationError: User: x is not authorized to perform: SNS:Publish (403)"
        );
        assert_eq!(explain(&refused("<html>")), "it answered 403");
    }
}
