//! Failed requests in words, of both clients: nothing was sent, AWS refused, or there was no answer. Each in one sentence,
//! without the service's XML, the URL and the client's own report.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use serde::Deserialize;

use super::network::Peer;
use super::root_cause;
use crate::error::find_own;

/// What a service says where it does not do what it was asked for.
#[derive(Debug, Default)]
pub(super) struct Refusal {
    /// The HTTP status.
    pub(super) status: u16,
    code: Option<String>,
    message: Option<String>,
    /// Of an archived object.
    storage_class: Option<String>,
}

/// An error document: S3's `<Error>`, or one in the `<ErrorResponse>` of other services.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Document {
    code: Option<String>,
    message: Option<String>,
    storage_class: Option<String>,
    error: Option<Box<Document>>,
    errors: Option<Box<Document>>,
}

impl Refusal {
    /// The refusal in an error document, which an answer to HEAD lacks.
    pub(super) fn of_document(status: u16, document: &[u8]) -> Self {
        let parsed: Option<Document> = quick_xml::de::from_reader(document).ok();
        let mut document = parsed.unwrap_or_default();
        while let Some(inner) = document.errors.take().or(document.error.take()) {
            document = *inner;
        }
        Self {
            status,
            code: document.code,
            message: document.message,
            storage_class: document.storage_class,
        }
    }

    /// The refusal in an answer to the SDK; `None` where there was no answer.
    pub(super) fn of<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Option<Self> {
        let answer = error.raw_response()?;
        let status = answer.status().as_u16();
        let meta = error.as_service_error().map(ProvideErrorMetadata::meta);
        match meta.filter(|meta| meta.code().is_some() || meta.message().is_some()) {
            Some(meta) => Some(Self {
                status,
                code: meta.code().map(str::to_owned),
                message: meta.message().map(str::to_owned),
                storage_class: None,
            }),
            // Not every server answers in the protocol of the service.
            None => Some(Self::of_document(
                status,
                answer.body().bytes().unwrap_or_default(),
            )),
        }
    }

    /// Whether the credentials were refused, whatever they were used for.
    pub(super) fn is_of_credentials(&self) -> bool {
        self.remedy().is_some()
    }

    /// Whether S3 demands a checksum of what is uploaded, as it does where objects are locked.
    pub(super) fn demands_checksum(&self) -> bool {
        let message = self.message.as_deref().unwrap_or_default();
        self.status == 400
            && (message.contains("x-amz-checksum") || message.contains("Content-MD5"))
    }

    /// What to do about credentials that were refused.
    fn remedy(&self) -> Option<&'static str> {
        Some(match self.code.as_deref()? {
            "ExpiredToken"
            | "ExpiredTokenException"
            | "TokenRefreshRequired"
            | "RequestExpired" => "they have expired: renew them",
            "InvalidAccessKeyId"
            | "InvalidToken"
            | "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "AuthFailure"
            | "NotSignedUp" => "expected keys of this account and partition",
            "SignatureDoesNotMatch" | "InvalidSignatureException" => {
                "the secret key is not that of the access key"
            }
            "RequestTimeTooSkewed" => "the clock of this machine is wrong",
            _ => return None,
        })
    }

    /// The service's own words.
    pub(super) fn said(&self) -> Option<String> {
        match (&self.message, &self.code) {
            (Some(message), Some(code)) => Some(format!("{} ({code})", one_line(message))),
            (None, Some(code)) => Some(code.clone()),
            (Some(message), None) => Some(one_line(message)),
            (None, None) => None,
        }
    }

    /// What an answer without a body says, as one to HEAD has none.
    pub(super) fn without_reason(&self) -> String {
        match self.status {
            status @ (400 | 401) => {
                format!(
                    "refused without a reason ({status}); most often, the credentials have expired"
                )
            }
            403 => "refused without a reason (403)".to_owned(),
            404 => "not found (404)".to_owned(),
            status => format!("answered with the HTTP status {status}, without a reason"),
        }
    }

    /// The sentence of credentials that were refused.
    fn of_credentials(&self, service: &str) -> Option<String> {
        let (remedy, said) = (self.remedy()?, self.said()?);
        Some(format!(
            "{service} refused the credentials: {said}; {remedy}"
        ))
    }

    /// The sentence. `action` is IAM's name of what was asked for, `resource` what it was asked for on, where that is not
    /// said already.
    pub(super) fn explain(
        &self,
        service: &str,
        action: &str,
        resource: Option<&str>,
        peer: &Peer,
    ) -> String {
        let said = match self.of_credentials(service) {
            Some(refused) => return refused,
            None => self.said(),
        };
        if self.code.as_deref() == Some("InvalidObjectState") {
            let class = self.storage_class.as_deref().unwrap_or("GLACIER");
            return format!("it is archived in the storage class {class}: restore it first");
        }
        let on = resource.map(|resource| format!(" on {resource}"));
        let on = on.unwrap_or_default();
        match (self.status, said) {
            (301 | 307, _) => {
                format!("{peer} answered that the bucket is in another Region")
            }
            (407, _) => format!("{peer}: the proxy wants a user and a password (407)"),
            (401 | 403, Some(said)) => format!("{service} refused {action}{on}: {said}"),
            // An answer to HEAD has no body.
            (400 | 401, None) => format!(
                "{service} refused {action}{on} without a reason ({}): most often, the credentials have expired",
                self.status
            ),
            (403, None) => {
                format!("{service} refused {action}{on} without a reason (403 of {peer})")
            }
            (500.., Some(said)) => format!("{service} failed: {said}"),
            (_, Some(said)) => format!("{service} answered: {said}"),
            (status, None) => format!("{peer} answered with the HTTP status {status}"),
        }
    }
}

/// A failed request to CloudWatch, whose words name the action and the resource, and are quoted by the caller.
pub(super) fn of_logs<E>(error: &SdkError<E>, peer: &Peer) -> String
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let refusal = Refusal::of(error);
    let own_words = refusal.and_then(|refusal| refusal.of_credentials("AWS").or(refusal.said()));
    own_words.unwrap_or_else(|| explain(error, "CloudWatch", "the request", None, peer))
}

/// A failed request of the SDK to S3.
pub(super) fn explain<E>(
    error: &SdkError<E>,
    service: &str,
    action: &str,
    resource: Option<&str>,
    peer: &Peer,
) -> String
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    // Why there are no credentials.
    if let Some(own) = find_own(error) {
        return own.to_string();
    }
    match (Refusal::of(error), error) {
        (Some(refusal), _) => refusal.explain(service, action, resource, peer),
        (None, SdkError::ConstructionFailure(_)) => {
            format!("nothing was sent to AWS: {}", root_cause(error))
        }
        (None, _) => no_answer(peer, error),
    }
}

/// A request that got no answer.
pub(super) fn no_answer(peer: &Peer, error: &(dyn std::error::Error + 'static)) -> String {
    let cause = root_cause(error);
    let hint = match cause.contains("UnknownIssuer") {
        true => " (AWS_CA_BUNDLE names a file of the CA certificates to trust)",
        false => "",
    };
    format!("no answer from {peer}: {cause}{hint}")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, document: &str) -> String {
        let refusal = Refusal::of_document(status, document.as_bytes());
        let peer = Peer::of("https://acme.s3.eu-west-1.amazonaws.com/?list-type=2");
        refusal.explain("S3", "s3:ListBucket", Some("the bucket acme"), &peer)
    }

    fn document(code: &str, message: &str) -> String {
        format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>{code}</Code><Message>{message}</Message><RequestId>4442587FB7D0A2F9</RequestId><HostId>x</HostId></Error>"#
        )
    }

    #[test]
    fn each_refusal_is_one_sentence() {
        let cases = [
            (
                403,
                document("AccessDenied", "Access Denied"),
                "S3 refused s3:ListBucket on the bucket acme: Access Denied (AccessDenied)",
            ),
            (
                400,
                document("ExpiredToken", "The provided token has expired."),
                "S3 refused the credentials: The provided token has expired. (ExpiredToken); they have expired: renew them",
            ),
            (
                403,
                document("InvalidAccessKeyId", "The key isn&apos;t\n known."),
                "S3 refused the credentials: The key isn't known. (InvalidAccessKeyId); expected keys of this account and partition",
            ),
            (
                403,
                "<Error><Code>InvalidObjectState</Code><Message>The operation is not valid for the object's storage class</Message><StorageClass>DEEP_ARCHIVE</StorageClass></Error>".to_owned(),
                "it is archived in the storage class DEEP_ARCHIVE: restore it first",
            ),
            (
                400,
                String::new(),
                "S3 refused s3:ListBucket on the bucket acme without a reason (400): most often, the credentials have expired",
            ),
            (
                403,
                "<html><body>blocked</body></html>".to_owned(),
                "S3 refused s3:ListBucket on the bucket acme without a reason (403 of https://acme.s3.eu-west-1.amazonaws.com)",
            ),
            (
                503,
                document("SlowDown", "Please reduce your request rate."),
                "S3 failed: Please reduce your request rate. (SlowDown)",
            ),
        ];
        for (status, document, expected) in cases {
            assert_eq!(said(status, &document), expected);
        }
    }

    #[test]
    fn an_answer_without_a_body_says_what_its_status_does() {
        for (status, expected) in [
            (
                400,
                "refused without a reason (400); most often, the credentials have expired",
            ),
            (403, "refused without a reason (403)"),
            (404, "not found (404)"),
            (500, "answered with the HTTP status 500, without a reason"),
        ] {
            let refusal = Refusal::of_document(status, b"");
            assert_eq!(refusal.said(), None);
            assert_eq!(refusal.without_reason(), expected);
        }
    }

    #[test]
    fn a_document_of_another_service_is_read_too() {
        let error = "<Error><Code>AccessDenied</Code><Message>No logs:X</Message></Error>";
        for inner in [error, &format!("<Errors>{error}</Errors>")] {
            let document =
                format!("<ErrorResponse>{inner}<RequestId>1</RequestId></ErrorResponse>");
            assert_eq!(
                said(403, &document),
                "S3 refused s3:ListBucket on the bucket acme: No logs:X (AccessDenied)"
            );
        }
    }

    #[test]
    fn a_checksum_is_demanded_in_words() {
        let demand = document(
            "InvalidRequest",
            "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters",
        );
        assert!(Refusal::of_document(400, demand.as_bytes()).demands_checksum());
        let other = document("InvalidRequest", "Missing required header");
        assert!(!Refusal::of_document(400, other.as_bytes()).demands_checksum());
    }
}
