//! A message through Slack's API, with the charts uploaded: for a bot with the scopes `chat:write` and `files:write`.
//!
//! Source: <https://docs.slack.dev/messaging/working-with-files/>

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{ChartFile, Message, escaped};
use crate::aws::http::Post;
use crate::error::{Class, Error, Result};
use crate::job::SlackApp;

/// The longest time for all requests of a message.
const WITHIN: Duration = Duration::from_secs(60);

/// Posts a message with its charts. Charts that can't be uploaded are left out, with a warning.
pub(super) async fn post(app: &SlackApp, message: &Message, charts: &[ChartFile]) -> Result<()> {
    let posting = async {
        let text = text(message);
        match upload(app, charts).await {
            Ok(files) if !files.is_empty() => {
                let asked = json!({
                    "files": files,
                    "channel_id": app.channel,
                    "initial_comment": text,
                });
                call(app, "files.completeUploadExternal", &asked).await?;
            }
            uploaded => {
                if let Err(error) = uploaded {
                    tracing::warn!(%error, "a message has no charts");
                }
                let asked = json!({"channel": app.channel, "text": text});
                call(app, "chat.postMessage", &asked).await?;
            }
        }
        Ok(())
    };
    let posted = tokio::time::timeout(WITHIN, posting).await;
    posted.unwrap_or_else(|_| Err(refused("no answer came in time")))
}

/// The text in Slack's form. The charts are below it, so that no line needs a link.
fn text(message: &Message) -> String {
    let lines = message.lines.iter().map(|line| escaped(&line.text));
    lines.collect::<Vec<_>>().join("\n")
}

/// Uploads charts; what completes the uploads.
async fn upload(app: &SlackApp, charts: &[ChartFile]) -> Result<Vec<Value>> {
    let mut files = Vec::with_capacity(charts.len());
    for chart in charts {
        // Names of charts are letters, digits, hyphens and underscores.
        let form = format!("filename={}&length={}", chart.name, chart.bytes.len());
        let form = ("application/x-www-form-urlencoded", form.into());
        let place = request(app, "files.getUploadURLExternal", form).await?;
        let (Some(url), Some(id)) = (place["upload_url"].as_str(), place["file_id"].as_str())
        else {
            return Err(refused(
                "files.getUploadURLExternal answered without a place",
            ));
        };
        let post = Post {
            url: url.to_owned(),
            headers: vec![(
                "content-type".to_owned(),
                "application/octet-stream".to_owned(),
            )],
            body: chart.bytes.clone(),
        };
        let sent = post.send().await;
        sent.map_err(|error| refused(&format!("the upload of {}: {error}", chart.name)))?;
        files.push(json!({"id": id, "title": chart.name}));
    }
    Ok(files)
}

async fn call(app: &SlackApp, method: &str, body: &Value) -> Result<Value> {
    let json = ("application/json; charset=utf-8", body.to_string().into());
    request(app, method, json).await
}

async fn request(app: &SlackApp, method: &str, (kind, body): (&str, Bytes)) -> Result<Value> {
    let post = Post {
        url: format!("{}/{method}", app.api),
        headers: vec![
            ("content-type".to_owned(), kind.to_owned()),
            (
                "authorization".to_owned(),
                format!("Bearer {}", app.token.value),
            ),
        ],
        body,
    };
    let answer = post.send().await;
    let answer = answer.map_err(|error| refused(&format!("{method}: {error}")))?;
    let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
    match answer["ok"].as_bool() {
        Some(true) => Ok(answer),
        _ => {
            let why = answer["error"]
                .as_str()
                .unwrap_or("the answer is not Slack's");
            Err(refused(&format!("{method}: {why}")))
        }
    }
}

fn refused(why: &str) -> Error {
    Error::new(
        Class::Output,
        format!("Slack did not take the message: {why}"),
    )
}
