//! [Standard logs of
//! CloudFront](https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/standard-logs-reference.html): fields
//! between tabs, in UTC, with percent signs in the client's program.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::{AccessLine, milliseconds, present};
use crate::query::functions::message_time::WrittenInstant;

pub(super) fn parse(line: &str) -> Option<AccessLine<'_>> {
    let mut fields = line.split('\t');
    let (date, time) = (fields.next()?, fields.next()?);
    if date.len() != 10 || time.len() != 8 {
        return None;
    }
    let fields: Vec<&str> = fields.collect();
    // From x-edge-location to time-taken and x-forwarded-for.
    let [
        _location,
        bytes,
        client,
        method,
        host,
        stem,
        status,
        referer,
        agent,
        query,
        _cookie,
        _result,
        id,
        host_header,
        rest @ ..,
    ] = fields.as_slice()
    else {
        return None;
    };
    // The two are beside each other.
    let start = date.as_ptr().addr() - line.as_ptr().addr();
    let written = &line[start..start + date.len() + 1 + time.len()];
    let time_taken = rest.get(2);
    Some(AccessLine {
        time: Some(WrittenInstant::parse_utc(written)?),
        client: present(client),
        method: present(method),
        host: present(host_header).or_else(|| present(host)),
        path: present(stem),
        query: present(query),
        protocol: rest.get(7).and_then(|protocol| present(protocol)),
        status: Some(status.parse().ok()?),
        bytes: bytes.parse().ok(),
        request_ms: time_taken.and_then(|seconds| milliseconds(seconds)),
        referer: present(referer).map(decoded),
        user_agent: present(agent).map(decoded),
        forwarded_for: rest.get(3).and_then(|addresses| present(addresses)),
        request_id: present(id),
        user: None,
    })
}

/// Percent signs are encoded twice.
fn decoded(text: Cow<'_, str>) -> Cow<'_, str> {
    match text.contains('%') {
        true => {
            let once = percent_decode_str(&text).decode_utf8_lossy().into_owned();
            Cow::Owned(percent_decode_str(&once).decode_utf8_lossy().into_owned())
        }
        false => text,
    }
}
