//! A run as an OpenTelemetry trace: a span for the run, below it one for each window, and below these one for each step.
//! They are sent in one request of OTLP over HTTP, in its JSON encoding, so that the program has no second HTTP client.
//!
//! Source: <https://opentelemetry.io/docs/specs/otlp/#otlphttp>

use std::fmt;

use chrono::{DateTime, Utc};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::aws::http::Post;

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// A text.
    Text(String),
    /// A whole number.
    Whole(u64),
    /// True or false.
    Flag(bool),
}

/// A span and those below it.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// What was done.
    pub name: String,
    /// When it began.
    pub began_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: DateTime<Utc>,
    /// What is known of it.
    pub attributes: Vec<(&'static str, Attribute)>,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// The spans below it.
    pub children: Vec<Span>,
}

/// Where traces go, as OpenTelemetry's environment variables say.
#[derive(Clone, PartialEq, Eq)]
pub struct Exporter {
    url: String,
    headers: Vec<(String, String)>,
    /// The attributes of the service.
    resource: Vec<(String, String)>,
    /// The span of the program that started this one: ids of a trace and a span.
    parent: Option<(String, String)>,
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers are credentials, and URLs may have one.
        f.write_str("Exporter(…)")
    }
}

impl Exporter {
    /// The exporter that the environment asks for, if it does.
    pub fn from_environment() -> Option<Self> {
        Self::of(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let is_off = |name: &str, off: &str| {
            variable(name).is_some_and(|value| value.eq_ignore_ascii_case(off))
        };
        if is_off("OTEL_SDK_DISABLED", "true") || is_off("OTEL_TRACES_EXPORTER", "none") {
            return None;
        }
        let url = match variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
            Some(url) => url,
            None => {
                let base = variable("OTEL_EXPORTER_OTLP_ENDPOINT")?;
                format!("{}/v1/traces", base.trim_end_matches('/'))
            }
        };
        let headers = variable("OTEL_EXPORTER_OTLP_TRACES_HEADERS")
            .or_else(|| variable("OTEL_EXPORTER_OTLP_HEADERS"));
        let mut resource = pairs(variable("OTEL_RESOURCE_ATTRIBUTES").as_deref());
        if let Some(name) = variable("OTEL_SERVICE_NAME") {
            resource.retain(|(key, _)| key != "service.name");
            resource.push(("service.name".to_owned(), name));
        } else if !resource.iter().any(|(key, _)| key == "service.name") {
            resource.push(("service.name".to_owned(), "logtally".to_owned()));
        }
        Some(Self {
            url,
            headers: pairs(headers.as_deref()),
            resource,
            parent: variable("TRACEPARENT").and_then(|text| parent(&text)),
        })
    }

    /// Sends a trace. What goes wrong is a warning: a run does not depend on who watches it.
    pub async fn send(&self, root: &Span) {
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        headers.extend(self.headers.iter().cloned());
        let post = Post {
            url: self.url.clone(),
            headers,
            body: self.request(root).to_string().into(),
        };
        if let Err(error) = post.send().await {
            tracing::warn!("could not send the trace: {error}");
        }
    }

    fn request(&self, root: &Span) -> Value {
        let (trace, parent) = match &self.parent {
            Some((trace, span)) => (trace.clone(), Some(span.clone())),
            None => (format!("{:032x}", fastrand::u128(1..)), None),
        };
        let mut spans = Vec::new();
        add(&mut spans, root, &trace, parent.as_deref());
        let resource = self.resource.iter();
        let resource =
            resource.map(|(key, value)| json!({"key": key, "value": {"stringValue": value}}));
        let version = env!("CARGO_PKG_VERSION");
        json!({"resourceSpans": [{
            "resource": {"attributes": resource.collect::<Vec<_>>()},
            "scopeSpans": [{"scope": {"name": "logtally", "version": version}, "spans": spans}],
        }]})
    }
}

/// Adds a span and those below it.
fn add(spans: &mut Vec<Value>, span: &Span, trace: &str, parent: Option<&str>) {
    let id = format!("{:016x}", fastrand::u64(1..));
    let nanoseconds = |at: DateTime<Utc>| {
        let nanoseconds = at.timestamp_nanos_opt().unwrap_or_default();
        nanoseconds.to_string()
    };
    let attributes = span.attributes.iter().map(|(key, value)| {
        let value = match value {
            Attribute::Text(text) => json!({"stringValue": text}),
            // 64 bits are a text in the JSON of Protocol Buffers.
            Attribute::Whole(number) => json!({"intValue": number.to_string()}),
            Attribute::Flag(flag) => json!({"boolValue": flag}),
        };
        json!({"key": key, "value": value})
    });
    let mut value = json!({
        "traceId": trace,
        "spanId": id,
        "name": span.name,
        "kind": 1,
        "startTimeUnixNano": nanoseconds(span.began_at),
        "endTimeUnixNano": nanoseconds(span.ended_at.max(span.began_at)),
        "attributes": attributes.collect::<Vec<_>>(),
        "status": match &span.error {
            Some(error) => json!({"code": 2, "message": error}),
            None => json!({"code": 0}),
        },
    });
    if let Some(parent) = parent {
        value["parentSpanId"] = parent.into();
    }
    spans.push(value);
    for child in &span.children {
        add(spans, child, trace, Some(&id));
    }
}

/// `key=value,key=value`, with encoded values.
fn pairs(text: Option<&str>) -> Vec<(String, String)> {
    let pairs = text.unwrap_or_default().split(',');
    pairs
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| {
            let value = percent_decode_str(value.trim()).decode_utf8_lossy();
            (key.trim().to_owned(), value.into_owned())
        })
        .filter(|(key, _)| !key.is_empty())
        .collect()
}

/// The ids in `00-<trace>-<span>-<flags>`.
fn parent(text: &str) -> Option<(String, String)> {
    let parts: Vec<&str> = text.trim().split('-').collect();
    let [_, trace, span, _] = parts[..] else {
        return None;
    };
    let is_id = |id: &str, length: usize| {
        id.len() == length
            && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            && id.bytes().any(|b| b != b'0')
    };
    (is_id(trace, 32) && is_id(span, 16)).then(|| (trace.to_owned(), span.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exporter(variables: &[(&str, &str)]) -> Option<Exporter> {
        Exporter::of(|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_says_where_traces_go() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318/");
        assert_eq!(exporter(&[]), None);
        assert_eq!(exporter(&[endpoint, ("OTEL_SDK_DISABLED", "true")]), None);
        assert_eq!(
            exporter(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]),
            None
        );
        let plain = exporter(&[endpoint]).unwrap();
        assert_eq!(plain.url, "http://localhost:4318/v1/traces");
        assert_eq!(plain.resource, pairs(Some("service.name=logtally")));
        let full = exporter(&[
            endpoint,
            (
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                "https://acme.example/in",
            ),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=surely%20secret, x=1"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,team=web"),
            ("OTEL_SERVICE_NAME", "night"),
        ]);
        let full = full.unwrap();
        assert_eq!(full.url, "https://acme.example/in");
        assert_eq!(full.headers[0].1, "surely secret");
        assert_eq!(full.resource, pairs(Some("team=web,service.name=night")));
        assert_eq!(format!("{full:?}"), "Exporter(…)");
    }

    #[test]
    fn a_trace_continues_that_of_its_caller() {
        let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        let text = format!("00-{trace}-{span}-01");
        assert_eq!(parent(&text), Some((trace.to_owned(), span.to_owned())));
        for wrong in [
            "",
            "00-0-0-01",
            &text.replace(trace, &"0".repeat(32)),
            &text[3..],
        ] {
            assert_eq!(parent(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn spans_are_below_each_other() {
        let at = |seconds| DateTime::from_timestamp(seconds, 5).unwrap();
        let span = |name: &str, children| Span {
            name: name.to_owned(),
            began_at: at(10),
            ended_at: at(12),
            attributes: vec![("events", Attribute::Whole(3))],
            error: (name == "step").then(|| "refused".to_owned()),
            children,
        };
        let root = span("run", vec![span("window", vec![span("step", Vec::new())])]);
        let exporter = exporter(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost")]);
        let request = exporter.unwrap().request(&root);
        let spans = &request["resourceSpans"][0]["scopeSpans"][0]["spans"];
        let [run, window, step] = &spans.as_array().unwrap()[..] else {
            panic!("{spans}")
        };
        assert_eq!(run["parentSpanId"], Value::Null);
        assert_eq!(window["parentSpanId"], run["spanId"]);
        assert_eq!(step["parentSpanId"], window["spanId"]);
        for span in [run, window, step] {
            assert_eq!(span["traceId"], run["traceId"]);
            assert_eq!(span["traceId"].as_str().map(str::len), Some(32));
            assert_eq!(span["spanId"].as_str().map(str::len), Some(16));
            assert_eq!(span["startTimeUnixNano"], "10000000005");
            assert_eq!(span["endTimeUnixNano"], "12000000005");
            assert_eq!(span["attributes"][0]["value"]["intValue"], "3");
        }
        assert_eq!(step["status"], json!({"code": 2, "message": "refused"}));
        assert_eq!(run["status"], json!({"code": 0}));
    }
}
