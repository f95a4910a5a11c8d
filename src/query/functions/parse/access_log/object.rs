//! Access logs as JSON. An object is one if it has a status and a method, a path or a request; the keys are those of API
//! Gateway's [variables](https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html), nginx's
//! variables, Envoy's and Caddy's.

use std::borrow::Cow;

use super::{AccessLine, milliseconds, present, without_port};
use crate::query::functions::json::{Members, Value};
use crate::query::functions::message_time::WrittenInstant;

pub(super) fn parse(line: &str) -> Option<AccessLine<'_>> {
    let mut access = AccessLine::default();
    let mut buffer = String::new();
    for (key, value) in Members::of(line) {
        let key = key.key(&mut buffer);
        set(&mut access, key, value);
        // Caddy has what was asked in an object of its own.
        if key == "request" {
            for (key, value) in value.members() {
                let mut buffer = String::new();
                set(&mut access, key.key(&mut buffer), value);
            }
        }
    }
    let is_access = access.status.is_some() && (access.method.is_some() || access.path.is_some());
    is_access.then_some(access)
}

fn set<'a>(access: &mut AccessLine<'a>, key: &str, value: Value<'a>) {
    let text = || text_of(value).filter(|text| text != "-");
    let number = || {
        text_of(value)?
            .parse::<f64>()
            .ok()
            .filter(|number| *number >= 0.0)
    };
    match key {
        "ip"
        | "sourceIp"
        | "remote_addr"
        | "remote_ip"
        | "client_ip"
        | "clientip"
        | "downstream_remote_address" => access.client = text().map(address),
        "user" | "remote_user" | "user_id" => access.user = text(),
        "httpMethod" | "method" | "request_method" => access.method = text(),
        "host" | "http_host" | "domainName" | "server_name" | "authority" => {
            access.host = text().map(address);
        }
        "resourcePath" if access.path.is_none() => access.path = text(),
        "path" | "uri" | "request_uri" => set_target(access, text()),
        "routeKey" if access.method.is_none() => {
            // GET /orders/{id}
            if let Some(Cow::Borrowed(route)) = text() {
                access.set_request(route);
            }
        }
        "request" | "requestLine" => {
            if let Some(Cow::Borrowed(request)) = text() {
                access.set_request(request);
            }
        }
        "args" | "query_string" => access.query = text(),
        "protocol" | "proto" | "server_protocol" => access.protocol = text(),
        "status" | "response_code" | "statusCode" => {
            access.status = number().map(|status| status as i32);
        }
        "responseLength" | "body_bytes_sent" | "bytes_sent" | "size" | "bytes" => {
            access.bytes = number().map(|bytes| bytes as i64);
        }
        "responseLatency" => access.request_ms = number(),
        // Envoy's is a whole number of milliseconds, Caddy's a fraction of seconds.
        "duration" => {
            access.request_ms = match text_of(value) {
                Some(text) if text.contains('.') => milliseconds(&text),
                _ => number(),
            };
        }
        "request_time" => access.request_ms = text_of(value).and_then(|text| milliseconds(&text)),
        "http_referer" | "referer" => access.referer = text(),
        "userAgent" | "http_user_agent" | "user_agent" => access.user_agent = text(),
        "http_x_forwarded_for" | "x_forwarded_for" | "xForwardedFor" => {
            access.forwarded_for = text();
        }
        "requestId" | "request_id" => access.request_id = text(),
        "requestTime" | "time_local" => {
            access.time = text().and_then(|time| WrittenInstant::parse_http(&time));
        }
        "time" | "timestamp" | "@timestamp" | "time_iso8601" | "start_time" | "ts"
        | "requestTimeEpoch" | "msec" => {
            access.time = text().and_then(|time| WrittenInstant::parse(&time));
        }
        _ => {}
    }
}

/// What a text or a number says.
fn text_of(value: Value<'_>) -> Option<Cow<'_, str>> {
    match value {
        Value::Number(number) => Some(Cow::Borrowed(number)),
        other => other.text(),
    }
}

fn address(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(without_port(text)),
        Cow::Owned(text) => Cow::Owned(without_port(&text).to_owned()),
    }
}

fn set_target<'a>(access: &mut AccessLine<'a>, target: Option<Cow<'a, str>>) {
    match target {
        Some(Cow::Borrowed(target)) => access.set_target(target),
        Some(Cow::Owned(target)) => {
            let (path, query) = target.split_once('?').unwrap_or((&target, ""));
            access.path = Some(Cow::Owned(path.to_owned()));
            access.query = present(query).map(|query| Cow::Owned(query.into_owned()));
        }
        None => {}
    }
}
