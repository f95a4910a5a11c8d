//! Access logs of [Application Load
//! Balancers](https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html#access-log-entry-format)
//! and [Classic Load
//! Balancers](https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/access-log-collection.html#access-log-entry-format).
//!
//! The first has the kind of the connection before the time, and more behind the client's program. `request_ms` is the sum
//! of their three times, without those that are −1 because the connection broke.

use super::words::Parts;
use super::{AccessLine, milliseconds, present, without_port};
use crate::query::functions::message_time::WrittenInstant;

const KINDS: [&str; 6] = ["http", "https", "h2", "grpcs", "ws", "wss"];

pub(super) fn parse(line: &str) -> Option<AccessLine<'_>> {
    let mut parts = Parts::of(line);
    let first = parts.next_word()?;
    let is_application = KINDS.contains(&first);
    let time = match is_application {
        true => parts.next_word()?,
        false => first,
    };
    let mut access = AccessLine {
        time: Some(WrittenInstant::parse_iso(time)?),
        ..AccessLine::default()
    };
    let _name = parts.next_word()?;
    access.client = present(without_port(parts.next_word()?));
    let _target = parts.next_word()?;
    let times = [parts.next_word()?, parts.next_word()?, parts.next_word()?];
    // A line of another form has no numbers here.
    if times.iter().any(|time| time.parse::<f64>().is_err()) {
        return None;
    }
    let [request, target, response] = times.map(milliseconds);
    let sum = |times: [Option<f64>; 3]| times.iter().flatten().sum::<f64>();
    access.request_ms = target.map(|_| (sum([request, target, response]) * 1e6).round() / 1e6);
    let status = parts.next_word()?;
    access.status = status.parse().ok();
    let _target_status = parts.next_word()?;
    let _received = parts.next_word()?;
    access.bytes = parts.next_word().and_then(|bytes| bytes.parse().ok());
    access.set_request(parts.next_quoted()?);
    access.user_agent = parts.next_quoted().and_then(present);
    if is_application {
        let _cipher = parts.next();
        let _protocol = parts.next();
        let _target_group = parts.next();
        access.request_id = parts.next_quoted().and_then(present);
    }
    Some(access)
}
