//! `parse_access_log(message)`: a line of a web server's or a load balancer's access log as a struct.
//!
//! | written by | form |
//! |---|---|
//! | Apache, nginx, API Gateway (CLF), Tomcat, Traefik, Amazon S3 | common and combined, with what is often added: [`common`] |
//! | Application and Classic Load Balancers | [`load_balancer`] |
//! | CloudFront | [`cloudfront`] |
//! | API Gateway (JSON), Envoy, Caddy, nginx with JSON | [`object`] |

mod cloudfront;
mod columns;
mod common;
mod load_balancer;
mod object;
mod words;

use std::borrow::Cow;

use super::super::message_time::WrittenInstant;

pub(super) use columns::{access_type, lines};

/// What a line says; what it does not say, or says with `-`, is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct AccessLine<'a> {
    /// When the request arrived or was answered, as the line has it.
    pub time: Option<WrittenInstant>,
    /// The client's address, without its port.
    pub client: Option<Cow<'a, str>>,
    /// The user that was authenticated.
    pub user: Option<Cow<'a, str>>,
    /// `GET`
    pub method: Option<Cow<'a, str>>,
    /// The host that was asked.
    pub host: Option<Cow<'a, str>>,
    /// The path without the query.
    pub path: Option<Cow<'a, str>>,
    /// What is behind the question mark.
    pub query: Option<Cow<'a, str>>,
    /// `HTTP/1.1`
    pub protocol: Option<Cow<'a, str>>,
    /// The status code.
    pub status: Option<i32>,
    /// The bytes of the answer, with or without its headers, as the server counts them.
    pub bytes: Option<i64>,
    /// How long the request took, in milliseconds.
    pub request_ms: Option<f64>,
    /// Where the request comes from.
    pub referer: Option<Cow<'a, str>>,
    /// The client's program.
    pub user_agent: Option<Cow<'a, str>>,
    /// The addresses of `X-Forwarded-For`.
    pub forwarded_for: Option<Cow<'a, str>>,
    /// The server's id of the request.
    pub request_id: Option<Cow<'a, str>>,
}

impl<'a> AccessLine<'a> {
    /// Reads a line, if it is one of an access log.
    pub(super) fn parse(message: &'a str) -> Option<Self> {
        let line = message.trim();
        match line.as_bytes().first()? {
            b'{' => object::parse(line),
            _ => common::parse(line)
                .or_else(|| load_balancer::parse(line))
                .or_else(|| cloudfront::parse(line)),
        }
    }

    /// Sets what a request's line says: `GET /a?b=c HTTP/1.1`, also with a whole URL.
    fn set_request(&mut self, request: &'a str) {
        let Some((method, rest)) = request.split_once(' ') else {
            return;
        };
        let is_method =
            !method.is_empty() && method.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
        if !is_method {
            return;
        }
        let (target, protocol) = match rest.rsplit_once(' ') {
            Some((target, protocol)) if protocol.contains('/') => (target, Some(protocol)),
            _ => (rest, None),
        };
        self.method = present(method);
        self.protocol = protocol.and_then(present);
        self.set_target(target.trim());
    }

    /// Sets host, path and query of `/a?b=c` or `https://example.com:443/a?b=c`.
    fn set_target(&mut self, target: &'a str) {
        let mut path = target;
        if !path.starts_with('/')
            && let Some((_, rest)) = path.split_once("://")
        {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (host, behind) = rest.split_at(end);
            self.host = present(without_port(host));
            path = if behind.is_empty() { "/" } else { behind };
        }
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path, None),
        };
        self.path = present(path);
        self.query = query.and_then(present);
    }
}

/// A text that says anything.
fn present(text: &str) -> Option<Cow<'_, str>> {
    (!text.is_empty() && text != "-").then_some(Cow::Borrowed(text))
}

/// `10.0.0.1:80` as `10.0.0.1`, and `[::1]:80` as `::1`.
fn without_port(address: &str) -> &str {
    if let Some(inner) = address.strip_prefix('[') {
        return inner.split(']').next().unwrap_or(inner);
    }
    match address.split_once(':') {
        Some((host, port)) if !port.contains(':') => host,
        _ => address,
    }
}

/// Seconds as milliseconds, to the nanosecond.
fn milliseconds(seconds: &str) -> Option<f64> {
    let seconds: f64 = seconds.parse().ok()?;
    let is_time = seconds.is_finite() && seconds >= 0.0;
    is_time.then(|| (seconds * 1e9).round() / 1e6)
}

#[cfg(test)]
mod tests;
