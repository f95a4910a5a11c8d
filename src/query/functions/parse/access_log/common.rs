//! The [common log format](https://httpd.apache.org/docs/2.4/logs.html#common), the combined one, and what servers add:
//!
//! ```text
//! 10.0.0.1 - kim [21/Nov/2026:05:35:01 +0900] "GET /a?b=c HTTP/1.1" 200 2326
//! … "https://example.com/" "curl/8.5" "10.0.0.9, 10.0.0.2" 0.005
//! ```
//! Behind the two texts of the combined format, the first that consists of addresses is `X-Forwarded-For`; a number with a
//! point is the time in seconds (nginx's `$request_time`); a single whole number is the time in microseconds (Apache's
//! `%D`); `rt=0.005`, `request_time=0.005` and `5ms` say it themselves. Before the client there may be the host that was
//! asked, or what a container's runtime puts before each line.

use std::borrow::Cow;

use super::words::{Part, Parts};
use super::{AccessLine, milliseconds, present, without_port};
use crate::query::functions::message_time::WrittenInstant;

pub(super) fn parse(line: &str) -> Option<AccessLine<'_>> {
    let open = memchr::memchr(b'[', line.as_bytes())?;
    let (before, rest) = line.split_at(open);
    let close = memchr::memchr(b']', rest.as_bytes())?;
    let mut access = AccessLine {
        time: Some(WrittenInstant::parse_http(&rest[1..close])?),
        ..AccessLine::default()
    };
    let behind = &rest[close + 1..];
    let is_s3 = set_client(&mut access, before)?;
    let mut parts = Parts::of(behind);
    if is_s3 {
        return s3(access, parts);
    }
    let request = parts.next_quoted()?;
    access.set_request(request);
    access.status = Some(status(parts.next_word()?)?);
    access.bytes = parts.next_word().and_then(|bytes| bytes.parse().ok());
    let mut rest = parts.clone();
    if let (Some(Part::Quoted(referer)), Some(Part::Quoted(agent))) = (rest.next(), rest.next()) {
        access.referer = present(referer);
        access.user_agent = present(agent);
        parts = rest;
    }
    set_extras(&mut access, parts);
    Some(access)
}

/// The status code of a word; `None` where the line is no access log's.
fn status(word: &str) -> Option<i32> {
    let status = word.parse().ok()?;
    (word.len() == 3 && (100..1000).contains(&status)).then_some(status)
}

/// Sets what stands before the time; whether it is Amazon S3's, which has two words there.
fn set_client<'a>(access: &mut AccessLine<'a>, before: &'a str) -> Option<bool> {
    let mut words: Vec<&str> = before.split_ascii_whitespace().collect();
    // 2026-11-21T05:35:01.123Z stdout F 10.0.0.1 - -
    if words.len() > 3 && matches!(words[1], "stdout" | "stderr") {
        words.drain(..3);
    }
    match words.as_slice() {
        [_, _] => return Some(true),
        [client, _, user] => {
            access.client = present(without_port(client));
            access.user = present(user);
        }
        // Names of users have blanks.
        [client, "-", user, ..] if is_address(client) => {
            access.client = present(without_port(client));
            let start = user.as_ptr().addr() - before.as_ptr().addr();
            access.user = present(before[start..].trim());
        }
        [host, client, _, user] => {
            access.host = present(without_port(host));
            access.client = present(without_port(client));
            access.user = present(user);
        }
        _ => return None,
    }
    Some(false)
}

fn is_address(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_hexdigit() || b".:".contains(&byte))
        && text.contains(['.', ':'])
}

/// What servers add behind the two texts of the combined format.
fn set_extras<'a>(access: &mut AccessLine<'a>, parts: Parts<'a>) {
    let mut whole: Option<&str> = None;
    let mut count = 0;
    for part in parts {
        count += 1;
        match part {
            Part::Quoted(text) if access.forwarded_for.is_none() && are_addresses(text) => {
                access.forwarded_for = present(text);
            }
            Part::Word(word) => {
                let (key, value) = word.split_once('=').unwrap_or(("", word));
                if access.request_ms.is_none() {
                    access.request_ms = time_of(key, value);
                }
                if key.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()) {
                    whole = Some(word);
                } else if access.request_id.is_none() && is_id(word) {
                    access.request_id = present(word);
                }
            }
            _ => {}
        }
    }
    // A single whole number is Apache's %D.
    if let (1, Some(microseconds), None) = (count, whole, access.request_ms) {
        access.request_ms = microseconds.parse().ok().map(|time: f64| time / 1e3);
    }
}

fn are_addresses(text: &str) -> bool {
    let mut parts = text.split(',').map(str::trim);
    parts.all(|part| is_address(without_port(part)) || part == "unknown") && text != "unknown"
}

/// `$request_id` of nginx and API Gateway: 32 hexadecimal digits, or with hyphens.
fn is_id(word: &str) -> bool {
    let digits = word.bytes().filter(|byte| *byte != b'-');
    (32..=36).contains(&word.len())
        && digits.clone().count() == 32
        && digits.clone().all(|byte| byte.is_ascii_hexdigit())
}

fn time_of(key: &str, value: &str) -> Option<f64> {
    if let Some(number) = value.strip_suffix("ms") {
        return number.parse().ok().filter(|number: &f64| *number >= 0.0);
    }
    let is_time = match key {
        "" => {
            value.contains('.')
                && value
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || byte == b'.')
        }
        key => matches!(
            key,
            "rt" | "request_time" | "requestTime" | "duration" | "time"
        ),
    };
    if is_time {
        return milliseconds(value.strip_suffix('s').unwrap_or(value).trim_matches('"'));
    }
    None
}

/// The [access log of Amazon S3](https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html) behind its time.
fn s3<'a>(mut access: AccessLine<'a>, mut parts: Parts<'a>) -> Option<AccessLine<'a>> {
    access.client = present(parts.next_word()?);
    access.user = present(parts.next_word()?);
    access.request_id = present(parts.next_word()?);
    let _operation = parts.next_word()?;
    let _key = parts.next_word()?;
    access.set_request(parts.next()?.text());
    access.status = Some(status(parts.next_word()?)?);
    let _error = parts.next_word();
    access.bytes = parts.next_word().and_then(|bytes| bytes.parse().ok());
    let _object_size = parts.next_word();
    access.request_ms = parts.next_word().and_then(|time| time.parse().ok());
    let _turn_around = parts.next_word();
    let text = |part: Option<Part<'a>>| -> Option<Cow<'a, str>> { present(part?.text()) };
    access.referer = text(parts.next());
    access.user_agent = text(parts.next());
    Some(access)
}
