//! `request_id(message)` and `trace_id(message)`: the invocation and the trace that a message belongs to.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::{memchr_iter, memmem, memrchr};

use super::json::{Members, Value};
use super::message::{LogType, beginning, first_line, is_uuid, platform_line, words};

/// The id of the Lambda invocation that a message belongs to.
///
/// In text it is the UUID that Lambda's runtimes and the platform put before the message, or in the span of the runtime
/// for Rust. In JSON it stands under a name that only Lambda's id has, or it is a UUID under one that other
/// services have too: the logs of API Gateway, AppSync and Bedrock are told by their other keys.
pub fn request_id(message: &str) -> Option<Cow<'_, str>> {
    let message = beginning(message);
    if message.starts_with('{') {
        return request_id_of_object(message);
    }
    let line = first_line(message);
    id_of_platform(line)
        .or_else(|| id_before_message(line))
        .or_else(|| id_of_span(line))
        .map(Cow::Borrowed)
}

/// `START RequestId: …`, `RequestId: … Error: Runtime exited …`.
fn id_of_platform(line: &str) -> Option<&str> {
    let beginnings = ["START ", "END ", "REPORT ", ""];
    let rest = beginnings
        .iter()
        .find_map(|beginning| line.strip_prefix(beginning)?.strip_prefix("RequestId: "))?;
    words(rest).next()
}

/// `[INFO]⇥<time>⇥<id>⇥…`, `<time>⇥<id>⇥INFO⇥…`, `<date> <time> <id> INFO …`, `I, [<time> #8]  INFO <id> -- : …`.
fn id_before_message(line: &str) -> Option<&str> {
    const LAST_PLACE: usize = 3;
    const LAST_PLACE_IN_RUBY: usize = 5;
    let places = match line.as_bytes() {
        [b'[' | b'0'..=b'9', ..] => LAST_PLACE,
        [_, b',', b' ', b'[', ..] => LAST_PLACE_IN_RUBY,
        _ => return None,
    };
    words(line).take(places).find(|word| is_uuid(word))
}

/// `INFO Lambda runtime invoke{requestId="…" xrayTraceId="…"}: …` of the runtime for Rust.
fn id_of_span(line: &str) -> Option<&str> {
    static SPAN: LazyLock<memmem::Finder> =
        LazyLock::new(|| memmem::Finder::new("Lambda runtime invoke{requestId="));
    let start = SPAN.find(line.as_bytes())? + SPAN.needle().len();
    let rest = line[start..].trim_start_matches('"');
    rest.get(..36).filter(|id| is_uuid(id))
}

fn request_id_of_object(message: &str) -> Option<Cow<'_, str>> {
    let mut any = None;
    let (mut of_logger, mut of_other_service) = (false, false);
    let mut buffer = String::new();
    for (key, value) in Members::of(message) {
        let key = key.key(&mut buffer);
        let id = match key.len() {
            4 | 6 if key == "span" || key == "record" => id_of_record(value),
            5 if key == "spans" => value.objects().find_map(id_of_record),
            9 | 10 if key == "requestId" || key == "request_id" => {
                any = any.or_else(|| value.text().filter(|id| is_uuid(id)));
                continue;
            }
            _ if is_key_of_lambda(key) => value.text(),
            _ => {
                of_logger |= key == "level";
                of_other_service |= is_key_of_other_service(key);
                continue;
            }
        };
        if id.is_some() {
            return id;
        }
    }
    any.filter(|_| of_logger || !of_other_service)
}

/// Names that only Lambda's id has: of its runtimes, of Powertools, pino-lambda, structlog and OpenTelemetry.
fn is_key_of_lambda(key: &str) -> bool {
    match key.len() {
        12 => matches!(key, "AWSRequestId" | "AwsRequestId" | "awsRequestId"),
        14 => key == "aws_request_id" || key == "faas.execution",
        15 => key == "lambdaRequestId",
        17 => matches!(
            key,
            "functionRequestId" | "FunctionRequestId" | "lambda_request_id"
        ),
        18 => key == "faas.invocation_id",
        19 => key == "function_request_id",
        _ => false,
    }
}

/// Keys of what API Gateway, AppSync and Bedrock log of a request of theirs.
fn is_key_of_other_service(key: &str) -> bool {
    match key.len() {
        5 => key == "apiId",
        7 => key == "modelId",
        8 => key == "routeKey",
        10 => key == "httpMethod",
        11 => key == "requestTime",
        12 => key == "resourcePath" || key == "graphQLAPIId",
        16 => key == "requestTimeEpoch",
        17 => key == "extendedRequestId",
        _ => false,
    }
}

/// The id in an object of the platform or in a span; or in a text of the platform.
fn id_of_record(value: Value<'_>) -> Option<Cow<'_, str>> {
    if let Value::Text(_) = value {
        return match value.text()? {
            Cow::Borrowed(text) => id_of_platform(text).map(Cow::Borrowed),
            Cow::Owned(text) => id_of_platform(&text).map(|id| Cow::Owned(id.to_owned())),
        };
    }
    member(value, "requestId").and_then(Value::text)
}

/// The id of the trace that a message belongs to, as X-Ray writes it: `1-5e34a614-10bd7a3f2c2b4d5e6f708192`.
///
/// That form is recognised wherever it stands in text, alone, in a header (`Root=…;Parent=…`) or with a segment
/// (`…@1ce7df03252d99e1`). The 32 hexadecimal digits of a W3C or OpenTelemetry trace become it, as X-Ray itself takes
/// them: so a message joins with the report of its invocation. They count under a name for a trace's id only, or in
/// brackets before a span's. What else is called a trace's id is another system's.
pub fn trace_id(message: &str) -> Option<Cow<'_, str>> {
    let message = beginning(message);
    if message.starts_with('{') {
        trace_id_of_object(message)
    } else {
        trace_id_of_text(message)
    }
}

fn trace_id_of_object(object: &str) -> Option<Cow<'_, str>> {
    let mut wrapped = None;
    let mut buffer = String::new();
    let of_span = |span| member(span, "xrayTraceId").and_then(trace_of_value);
    let own = Members::of(object).find_map(|(key, value)| {
        let key = key.key(&mut buffer);
        match key.len() {
            3 if key == "log" => {
                wrapped = value.text();
                None
            }
            4 if key == "span" => of_span(value),
            5 if key == "spans" => value.objects().find_map(of_span),
            5 if key == "trace" => member(value, "id").and_then(trace_of_value),
            6 if key == "record" => trace_root(member(value, "tracing")?),
            _ if is_trace_key(key) => trace_of_value(value),
            _ => None,
        }
    });
    own.or_else(|| Some(Cow::Owned(trace_id_of_line(&wrapped?)?.into_owned())))
}

/// The trace id of a line that a log router wrapped.
fn trace_id_of_line(line: &str) -> Option<Cow<'_, str>> {
    let line = beginning(line);
    if !line.starts_with('{') {
        return trace_id_of_text(line);
    }
    let mut buffer = String::new();
    Members::of(line).find_map(|(key, value)| match is_trace_key(key.key(&mut buffer)) {
        true => trace_of_value(value),
        false => None,
    })
}

/// The names of a trace's id, in any case: of Powertools, OpenTelemetry, the Elastic Common Schema, Serilog (`@tr`), the
/// SDKs of X-Ray, API Gateway, and the headers of AWS and W3C.
fn is_trace_key(key: &str) -> bool {
    let is = |other: &str| key.eq_ignore_ascii_case(other);
    match key.len() {
        3 => is("@tr"),
        7 => is("traceId"),
        8 => is("trace_id") || is("trace.id") || is("trace-id"),
        11 => is("xrayTraceId") || is("otelTraceId") || is("traceparent"),
        13 => is("xray_trace_id") || is("xray-trace-id") || is("otel_trace_id"),
        15 => is("X-Amzn-Trace-Id"),
        16 => is("_X_AMZN_TRACE_ID"),
        17 => is("AWS-XRAY-TRACE-ID"),
        _ => false,
    }
}

/// The trace id of a `tracing` object of the Telemetry API: `{"value":"Root=1-…;Parent=…;Sampled=1", …}`.
pub(super) fn trace_root(tracing: Value<'_>) -> Option<Cow<'_, str>> {
    member(tracing, "value").and_then(trace_of_value)
}

/// The trace id that a text is, or that a header or a segment's id has.
fn trace_of_value(value: Value<'_>) -> Option<Cow<'_, str>> {
    match value.text()? {
        Cow::Borrowed(text) => trace(text),
        Cow::Owned(text) => trace(&text).map(|id| Cow::Owned(id.into_owned())),
    }
}

fn trace(text: &str) -> Option<Cow<'_, str>> {
    let text = match is_xray(text.get(..XRAY_LENGTH).unwrap_or_default()) {
        true => text,
        false => root(text),
    };
    if let Some(id) = text.get(..XRAY_LENGTH).filter(|id| is_xray(id)) {
        let whole = matches!(
            text.as_bytes().get(XRAY_LENGTH),
            None | Some(b';' | b'@' | b',')
        );
        return whole.then(|| in_small_letters(id));
    }
    let id = match text.strip_prefix("00-") {
        Some(parent) => parent.split('-').next()?,
        None => text,
    };
    w3c(id).map(Cow::Owned)
}

/// What stands behind `Root=` in a header, which may begin with other fields.
fn root(text: &str) -> &str {
    let root = text
        .split(';')
        .find_map(|field| field.trim_start().strip_prefix("Root="));
    root.unwrap_or(text)
}

/// The length of X-Ray's form.
const XRAY_LENGTH: usize = "1-5e34a614-10bd7a3f2c2b4d5e6f708192".len();

fn is_xray(id: &str) -> bool {
    let is_hex = |part: &[u8]| part.iter().all(u8::is_ascii_hexdigit);
    match id.as_bytes().split_at_checked(11) {
        Some(([b'1', b'-', seconds @ .., b'-'], random)) => {
            random.len() == 24 && is_hex(seconds) && is_hex(random)
        }
        _ => false,
    }
}

fn in_small_letters(id: &str) -> Cow<'_, str> {
    match id.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(id.to_ascii_lowercase()),
        false => Cow::Borrowed(id),
    }
}

const W3C_LENGTH: usize = 32;

/// X-Ray's form of a W3C trace id: 32 hexadecimal digits that are not all zero.
fn w3c(id: &str) -> Option<String> {
    let is_id = id.len() == W3C_LENGTH
        && id.bytes().all(|byte| byte.is_ascii_hexdigit())
        && id.bytes().any(|byte| byte != b'0');
    is_id.then(|| format!("1-{}-{}", &id[..8], &id[8..]).to_ascii_lowercase())
}

fn trace_id_of_text(text: &str) -> Option<Cow<'_, str>> {
    if let Some(LogType::Start | LogType::End) = platform_line(text) {
        return None;
    }
    xray_in(text).or_else(|| {
        let id = w3c_under_a_name(text).or_else(|| w3c_in_brackets(text));
        id.map(Cow::Owned)
    })
}

/// The first id of X-Ray's form.
fn xray_in(text: &str) -> Option<Cow<'_, str>> {
    static VERSION: LazyLock<memmem::Finder> = LazyLock::new(|| memmem::Finder::new("1-"));
    let bytes = text.as_bytes();
    VERSION.find_iter(bytes).find_map(|start| {
        let end = start + XRAY_LENGTH;
        let stands_alone = |place: Option<&u8>| {
            place.is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b'-')
        };
        let id = text.get(start..end).filter(|id| is_xray(id))?;
        (stands_alone(start.checked_sub(1).and_then(|before| bytes.get(before)))
            && stands_alone(bytes.get(end)))
        .then(|| in_small_letters(id))
    })
}

/// `trace_id=5e34…`, `"traceId": "5e34…"`, `traceparent=00-5e34…-…-01`.
fn w3c_under_a_name(text: &str) -> Option<String> {
    static TRACE: LazyLock<memmem::Finder> = LazyLock::new(|| memmem::Finder::new("race"));
    let bytes = text.as_bytes();
    TRACE.find_iter(bytes).find_map(|at| {
        let rest = &text[at + TRACE.needle().len()..];
        let name = rest.trim_start_matches(['_', '-', '.']);
        let value = match name.get(..2) {
            Some(id) if id.eq_ignore_ascii_case("id") => &name[2..],
            _ => name.strip_prefix("parent").unwrap_or(name),
        };
        let value = value.trim_start_matches(['"', '\\']).trim_start();
        let value = value
            .strip_prefix(['=', ':'])?
            .trim_start_matches(['"', '\\', ' ']);
        let value = value.strip_prefix("00-").unwrap_or(value);
        let length = value.bytes().take_while(u8::is_ascii_alphanumeric).count();
        w3c(&value[..length])
    })
}

/// `[shop,5e34…,1ce7df03252d99e1]` and `[5e34…-1ce7df03252d99e1]` of Spring Boot.
fn w3c_in_brackets(text: &str) -> Option<String> {
    const SPAN_LENGTH: usize = 16;
    let line = first_line(text);
    let is_span =
        |id: &str| id.len() == SPAN_LENGTH && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    // From the brackets that close: of many that open, each could have to look for its end to the end of the line.
    let mut behind = 0;
    memchr_iter(b']', line.as_bytes()).find_map(|close| {
        let group = &line[behind..close];
        behind = close + 1;
        let group = &group[memrchr(b'[', group.as_bytes())? + 1..];
        if group.len() <= W3C_LENGTH + SPAN_LENGTH {
            return None;
        }
        let (ids, span) = group.rsplit_once([',', '-'])?;
        let id = ids.rsplit([',', '-']).next()?;
        w3c(id).filter(|_| is_span(span))
    })
}

fn member<'a>(object: Value<'a>, name: &str) -> Option<Value<'a>> {
    let mut buffer = String::new();
    object
        .members()
        .find(|(key, _)| key.key(&mut buffer) == name)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";

    #[test]
    fn request_ids() {
        let id = ID;
        for message in [
            format!("START RequestId: {id} Version: $LATEST\n"),
            format!("END RequestId: {id}\n"),
            format!("REPORT RequestId: {id}\tDuration: 1.00 ms"),
            format!("RequestId: {id} Error: Runtime exited with error: signal: killed"),
            format!("[INFO]\t2026-11-21T00:00:00.000Z\t{id}\thello"),
            format!("2026-11-21T00:00:00.000Z\t{id}\tINFO\thello"),
            format!("2026-11-21T00:00:00.000Z {id} Task timed out after 30.02 seconds"),
            format!("2026-11-21 00:00:00 {id} INFO  Handler:12 - done"),
            format!(r#"{{"level":"INFO","requestId":"{id}"}}"#),
            format!(r#"{{"request_id":"of the API","function_request_id":"{id}"}}"#),
            format!(r#"{{"AWSRequestId":"{id}","request_id":"of the API"}}"#),
            format!(r#"{{"request_id":"{id}"}}"#),
            format!(r#"{{"type":"platform.start","record":{{"version":"1","requestId":"{id}"}}}}"#),
        ] {
            assert_eq!(request_id(&message).as_deref(), Some(id), "{message}");
        }
        for message in [
            "",
            "START RequestId: ",
            "2026-11-21T00:00:00.000Z\tundefined\tINFO\thello",
            "order 8476a536-e9f4-11e8-9739-2dfe598c3fcd done",
            r#"{"requestId":""}"#,
            r#"{"requestId":5}"#,
            r#"{"a":{"requestId":"x"}}"#,
            r#"{"record":"x"}"#,
        ] {
            assert_eq!(request_id(message), None, "{message}");
        }
    }

    #[test]
    fn trace_ids() {
        let id = "1-5e34a614-10bd7a3f2c2b4d5e6f708192";
        for message in [
            format!(
                "REPORT RequestId: 1\tDuration: 1.00 ms\t\nXRAY TraceId: {id}\tSegmentId: 07f0\tSampled: true"
            ),
            format!(r#"{{"level":"INFO","xray_trace_id":"{id}"}}"#),
            format!(r#"{{"traceId":"{id}"}}"#),
            format!(r#"{{"trace_id":"Root={id};Sampled=1"}}"#),
            format!(
                r#"{{"type":"platform.report","record":{{"tracing":{{"value":"Root={id}"}}}}}}"#
            ),
        ] {
            assert_eq!(trace_id(&message).as_deref(), Some(id), "{message}");
        }
        for message in [
            "",
            "XRAY TraceId: ",
            "hello",
            r#"{"trace_id":""}"#,
            r#"{"trace_id":"Root="}"#,
            r#"{"record":{"tracing":1}}"#,
        ] {
            assert_eq!(trace_id(message), None, "{message}");
        }
    }
}
