//! The start of a connection: TLS, the password, the settings that a client asks for.

use std::collections::BTreeMap;

use pgwire::api::auth::sasl::scram::ScramAuth;
use pgwire::api::auth::sasl::{SASLState, SCRAM_SHA_256_METHOD, SCRAM_SHA_256_PLUS_METHOD};
use pgwire::api::{ClientInfo, PgWireConnectionState};
use pgwire::error::PgWireError;
use pgwire::messages::cancel::CancelRequest;
use pgwire::messages::startup::{
    Authentication, NegotiateProtocolVersion, PasswordMessageFamily, Startup,
};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage, ProtocolVersion};

use super::access::Access;
use super::errors::{End, Refusal};
use super::wire::Wire;

/// What a connection begins with.
pub enum Start {
    /// A client, with what it asks for.
    Client(BTreeMap<String, String>),
    /// The request to end the statement of another connection.
    Cancel(CancelRequest),
}

/// Reads the first message, and finds out that the client may connect.
pub async fn start(wire: &mut Wire, access: &Access) -> Result<Start, End> {
    let startup = match message(wire).await? {
        PgWireFrontendMessage::CancelRequest(request) => return Ok(Start::Cancel(request)),
        PgWireFrontendMessage::Startup(startup) => startup,
        _ => return Err(violation("expected a startup message")),
    };
    if access.tls.is_some() && !wire.client().is_secure {
        let what = "the connection is not encrypted, and this server wants TLS";
        return Err(End::Fatal(
            Refusal::new("28000", what).with_hint("connect with sslmode=require or stricter"),
        ));
    }
    agree_on_version(wire, &startup)?;
    let client = wire.client();
    client.metadata_mut().extend(startup.parameters.clone());
    client.set_state(PgWireConnectionState::AuthenticationInProgress);
    if let Some(scram) = access.scram() {
        authenticate(wire, &scram).await?;
    }
    Ok(Start::Client(startup.parameters))
}

fn agree_on_version(wire: &mut Wire, startup: &Startup) -> Result<(), End> {
    let (major, minor) = (startup.protocol_number_major, startup.protocol_number_minor);
    if major != 3 {
        let what = format!("protocol {major}.{minor} is not supported: expected 3.0");
        return Err(End::Fatal(Refusal::new("0A000", what)));
    }
    let version = ProtocolVersion::from_version_number(major, minor);
    let unknown = startup
        .parameters
        .keys()
        .filter(|name| name.starts_with("_pq_."));
    let unknown: Vec<String> = unknown.cloned().collect();
    if version.is_none() || !unknown.is_empty() {
        let newest = NegotiateProtocolVersion::new(ProtocolVersion::PROTOCOL3_0.into(), unknown);
        wire.put(PgWireBackendMessage::NegotiateProtocolVersion(newest))?;
    }
    let version = version.unwrap_or(ProtocolVersion::PROTOCOL3_0);
    wire.client().set_protocol_version(version);
    Ok(())
}

/// Proves with SCRAM-SHA-256 that the client has the password (RFC 5802, RFC 7677).
async fn authenticate(wire: &mut Wire, scram: &ScramAuth) -> Result<(), End> {
    let mut methods = vec![SCRAM_SHA_256_METHOD.to_owned()];
    if wire.client().is_secure && scram.supports_channel_binding() {
        methods.insert(0, SCRAM_SHA_256_PLUS_METHOD.to_owned());
    }
    send(wire, Authentication::SASL(methods.clone())).await?;
    let mut state = SASLState::Initial;
    while !matches!(state, SASLState::Finished) {
        let PgWireFrontendMessage::PasswordMessageFamily(answer) = message(wire).await? else {
            return Err(violation(
                "expected the client's part of the authentication",
            ));
        };
        let answer = match state {
            SASLState::Initial => {
                let first = answer.into_sasl_initial_response().map_err(refused)?;
                if !methods.contains(&first.auth_method) {
                    let what = format!(
                        "authentication {:?} can't be had: expected SCRAM-SHA-256",
                        first.auth_method
                    );
                    return Err(End::Fatal(Refusal::new("28000", what)));
                }
                state = SASLState::ScramClientFirstReceived;
                PasswordMessageFamily::SASLInitialResponse(first)
            }
            _ => PasswordMessageFamily::SASLResponse(answer.into_sasl_response().map_err(refused)?),
        };
        let answered = scram
            .process_scram_message(wire.client(), answer, &state)
            .await;
        let (authentication, next) = answered.map_err(refused)?;
        state = next;
        send(wire, authentication).await?;
    }
    Ok(())
}

async fn send(wire: &mut Wire, authentication: Authentication) -> Result<(), End> {
    wire.put(PgWireBackendMessage::Authentication(authentication))?;
    Ok(wire.flush().await?)
}

async fn message(wire: &mut Wire) -> Result<PgWireFrontendMessage, End> {
    match wire.next().await {
        None => Err(End::Gone),
        Some(Ok(message)) => Ok(message),
        Some(Err(PgWireError::IoError(_))) => Err(End::Gone),
        Some(Err(error)) => Err(violation(&error.to_string())),
    }
}

fn violation(what: &str) -> End {
    End::Fatal(Refusal::new("08P01", what))
}

/// The same for a wrong password and a wrong message: neither tells how far it came.
fn refused(error: PgWireError) -> End {
    tracing::debug!("the authentication failed: {error}");
    End::Fatal(Refusal::new("28P01", "the password is wrong"))
}

/// The settings in `-c name=value` and `--name=value` of the startup message's `options`. A backslash stands before a blank
/// that ends none.
pub fn options(text: &str) -> Vec<(String, String)> {
    let mut words = vec![String::new()];
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => {
                let last = words.last_mut();
                last.into_iter()
                    .for_each(|word| word.extend(letters.next()));
            }
            letter if letter.is_whitespace() => words.push(String::new()),
            letter => words
                .last_mut()
                .into_iter()
                .for_each(|word| word.push(letter)),
        }
    }
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        let setting = match word.as_str() {
            "-c" => words.next(),
            other => other
                .strip_prefix("-c")
                .or_else(|| other.strip_prefix("--"))
                .map(str::to_owned),
        };
        let setting = setting.as_deref().and_then(|it| it.split_once('='));
        found.extend(setting.map(|(name, value)| (name.replace('-', "_"), value.to_owned())));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_settings() {
        let found = options(
            r"-c logtally.window=2026-11-20..2026-11-21 --statement-timeout=5s -cTimeZone=UTC -c application_name=a\ b",
        );
        let expected = [
            ("logtally.window", "2026-11-20..2026-11-21"),
            ("statement_timeout", "5s"),
            ("TimeZone", "UTC"),
            ("application_name", "a b"),
        ];
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(found, expected);
        assert!(options("").is_empty());
    }
}
