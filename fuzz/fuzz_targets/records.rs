//! Objects of subscriptions: the records of a text are the same however it is cut into pieces, and where another reader of
//! JSON reads the text, both find the same messages.

#![no_main]

use libfuzzer_sys::fuzz_target;
use logtally::scan::layers::head_of_text;
use logtally::scan::records::{Found, JsonText, Record, Records, unescape};
use serde::Deserialize;
use serde_json::Deserializer;

fuzz_target!(|data: &[u8]| {
    head_of_text(data);
    let whole = records(data, data.len().max(1));
    for piece in [1, 7, 64] {
        assert_eq!(whole, records(data, piece), "in pieces of {piece} bytes");
    }
    if let (Ok(found), Some(expected)) = (whole, expected(data)) {
        let messages: Vec<String> = found
            .into_iter()
            .flat_map(|record| record.messages)
            .collect();
        assert_eq!(messages, expected, "another reader");
    }
});

#[derive(Debug, PartialEq, Eq)]
struct Owned {
    log_group: Option<String>,
    ids: Vec<Option<String>>,
    messages: Vec<String>,
    encoded: Vec<String>,
}

/// The records of a text that comes in pieces of a size; `Err` with the place of what is none.
fn records(text: &[u8], piece: usize) -> Result<Vec<Owned>, usize> {
    let mut found = Records::default();
    let mut kept = Vec::new();
    let mut dropped = 0;
    let mut pieces = text.chunks(piece).peekable();
    let mut all = Vec::new();
    loop {
        kept.extend_from_slice(pieces.next().unwrap_or_default());
        let is_last = pieces.peek().is_none();
        loop {
            match found.next(&kept, is_last) {
                Found::Record => all.push(owned(found.record(), &kept)),
                Found::Wrong { at, .. } => return Err(dropped + at),
                Found::NeedsText => break,
            }
        }
        if is_last {
            return Ok(all);
        }
        let done = found.keep_from();
        kept.drain(..done);
        found.dropped(done);
        dropped += done;
    }
}

fn owned(record: &Record, text: &[u8]) -> Owned {
    let owned = |part: &JsonText| {
        let raw = String::from_utf8_lossy(&text[part.at.clone()]);
        let mut out = String::new();
        match part.escaped {
            true => unescape(&raw, &mut out),
            false => out.push_str(&raw),
        }
        out
    };
    Owned {
        log_group: record.log_group.as_ref().map(owned),
        ids: record
            .events
            .iter()
            .map(|event| event.id.as_ref().map(owned))
            .collect(),
        messages: record
            .events
            .iter()
            .map(|event| owned(&event.message))
            .collect(),
        encoded: record.encoded.iter().map(owned).collect(),
    }
}

/// A record as another reader of JSON has it, which refuses a member that came twice.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Expected {
    message_type: Option<String>,
    #[serde(default)]
    log_events: Vec<ExpectedEvent>,
}

#[derive(Deserialize)]
struct ExpectedEvent {
    message: String,
}

/// The messages by another reader; `None` where it refuses the text.
fn expected(text: &[u8]) -> Option<Vec<String>> {
    let records: Vec<Expected> = Deserializer::from_slice(text)
        .into_iter()
        .collect::<Result<_, _>>()
        .ok()?;
    let is_data = |record: &Expected| record.message_type.as_deref() != Some("CONTROL_MESSAGE");
    let events = records
        .into_iter()
        .filter(is_data)
        .flat_map(|record| record.log_events);
    Some(events.map(|event| event.message).collect())
}
