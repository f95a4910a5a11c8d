use super::*;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_cloudwatchlogs::config::{BehaviorVersion, Region};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A server that gives the same answer to every request, or none, and counts them.
fn serve(status: u16, body: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            if !read_request(&connection) {
                continue;
            }
            counted.fetch_add(1, Ordering::SeqCst);
            if status != 0 {
                let _ = write!(
                    connection,
                    "HTTP/1.1 {status} X\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
            }
        }
    });
    (endpoint, requests)
}

/// Reads a request to its end; false where none came.
fn read_request(connection: &TcpStream) -> bool {
    let mut reader = BufReader::new(connection);
    let mut body = 0;
    for line in reader.by_ref().lines() {
        let Ok(line) = line else { return false };
        if line.is_empty() {
            return std::io::copy(&mut reader.take(body), &mut std::io::sink()).is_ok();
        }
        if let Some(length) = line.to_lowercase().strip_prefix("content-length:") {
            body = length.trim().parse().unwrap();
        }
    }
    false
}

#[derive(Debug)]
struct Nobody;

impl ProvideCredentials for Nobody {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("expired")))
    }
}

fn client(endpoint: String, credentials: impl ProvideCredentials + 'static) -> LogsClient {
    let retries = RetryConfig::standard()
        .with_max_attempts(3)
        .with_initial_backoff(Duration::from_millis(1));
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .credentials_provider(credentials)
        .region(Region::new("ap-northeast-2"))
        .retry_config(retries)
        .endpoint_url(&endpoint)
        .build();
    LogsClient {
        client: Client::from_conf(config),
        peer: Peer::of(&endpoint),
        endpoint,
    }
}

fn somebody() -> Credentials {
    Credentials::new("id", "secret", None, None, "test")
}

#[tokio::test]
async fn a_task_is_asked_for_with_one_request_whatever_the_answer() {
    use ServiceErrorKind::{Invalid, NoAnswer, SlotBusy, Throttled, Transient};
    let request = TaskRequest {
        name: "night".to_owned(),
        log_group: "/ecs/web".to_owned(),
        log_stream_prefix: None,
        from_ms: 0,
        to_ms: 1,
        bucket: "acme-logs".to_owned(),
        prefix: "exports".to_owned(),
    };
    for (status, body, kind) in [
        (
            400,
            r#"{"__type":"LimitExceededException","message":"Resource limit exceeded."}"#,
            SlotBusy,
        ),
        (
            400,
            r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#,
            Throttled,
        ),
        (
            400,
            r#"{"__type":"InvalidParameterException","message":"No."}"#,
            Invalid,
        ),
        (
            503,
            r#"{"__type":"ServiceUnavailableException"}"#,
            Transient,
        ),
        (500, "<html>", Transient),
        (200, "{}", Transient),
        (
            400,
            r#"{"__type":"RequestTimeoutException","message":"Too slow"}"#,
            Transient,
        ),
        (408, "{}", Transient),
        (0, "no answer at all", NoAnswer),
    ] {
        let (endpoint, requests) = serve(status, body);
        let client = client(endpoint, somebody());
        let error = client.create_export_task(&request).await.unwrap_err();
        assert_eq!(error.kind, kind, "{status} {body}: {}", error.message);
        assert_eq!(requests.load(Ordering::SeqCst), 1, "{status} {body}");
    }
    // The same client does send questions again.
    let (endpoint, requests) = serve(503, "{}");
    let client_of_somebody = client(endpoint, somebody());
    let listed = client_of_somebody.log_streams("/ecs/web", None).await;
    listed.unwrap_err();
    assert_eq!(requests.load(Ordering::SeqCst), 3);

    // Nothing is in doubt where nothing could be sent.
    let (endpoint, requests) = serve(200, "{}");
    let client_of_nobody = client(endpoint, Nobody);
    let error = client_of_nobody.create_export_task(&request).await;
    assert_eq!(error.unwrap_err().kind, ServiceErrorKind::Refused);
    assert_eq!(requests.load(Ordering::SeqCst), 0);
}
