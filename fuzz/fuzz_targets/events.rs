//! Exported objects: both inflaters and a third one agree about any bytes, and the events of a text are the same however it
//! is cut into pieces.

#![no_main]

use std::io::Read;

use flate2::bufread::MultiGzDecoder;
use libfuzzer_sys::fuzz_target;
use logtally::scan::events::{Event, Split, Splitter};
use logtally::scan::inflate::{Inflated, StreamInflater, WholeInflater};

/// More text than this is no better test.
const MOST_TEXT: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    if let Some(text) = inflated(data) {
        split(&text);
    }
    split(data);
});

/// The text of an object, which each of the inflaters gives; `None` if it is damaged or large.
fn inflated(object: &[u8]) -> Option<Vec<u8>> {
    let streamed = streamed(object)?;
    let mut whole = Vec::with_capacity(MOST_TEXT);
    let mut rest = object;
    if WholeInflater::default().inflate(&mut rest, &mut whole) == Inflated::Whole {
        assert_eq!(Some(&whole), streamed.as_ref().ok(), "whole and streamed");
    }
    let mut other = Vec::new();
    let read = MultiGzDecoder::new(object)
        .take(MOST_TEXT as u64 + 1)
        .read_to_end(&mut other);
    match streamed {
        Ok(text) => {
            // Zeros behind the last member are padding here, and an error there.
            if read.is_ok() {
                assert_eq!(text, other, "another inflater");
            }
            Some(text)
        }
        Err(()) => None,
    }
}

/// The text, or whether the object is damaged; `None` if it is too large.
fn streamed(object: &[u8]) -> Option<Result<Vec<u8>, ()>> {
    let mut inflater = StreamInflater::default();
    let mut text = Vec::with_capacity(MOST_TEXT);
    for piece in object.chunks(97) {
        let mut piece = piece;
        while !piece.is_empty() {
            if text.len() == text.capacity() {
                return None;
            }
            match inflater.inflate(piece, &mut text) {
                Ok(taken) => piece = &piece[taken..],
                Err(_) => return Some(Err(())),
            }
        }
    }
    loop {
        if text.len() == text.capacity() {
            return None;
        }
        match inflater.drain(&mut text) {
            Ok(true) => {}
            Ok(false) => break,
            Err(_) => return Some(Err(())),
        }
    }
    Some(match inflater.finish() {
        Ok(()) => Ok(text),
        Err(_) => Err(()),
    })
}

fn split(text: &[u8]) {
    let whole = events(text, text.len().max(1));
    for piece in [1, 7, 64] {
        assert_eq!(whole, events(text, piece), "in pieces of {piece} bytes");
    }
}

/// The instants and messages of a text that comes in pieces.
fn events(text: &[u8], piece: usize) -> Vec<(i64, Vec<u8>)> {
    let mut splitter = Splitter::default();
    let mut kept = Vec::new();
    let mut found = Vec::new();
    let mut pieces = text.chunks(piece).peekable();
    loop {
        let next = pieces.next();
        kept.extend_from_slice(next.unwrap_or_default());
        let is_last = pieces.peek().is_none();
        loop {
            match splitter.next(&kept, is_last) {
                Split::Event(Event {
                    timestamp_ms,
                    message,
                }) => found.push((timestamp_ms, kept[message].to_vec())),
                Split::NeedsText => break,
                Split::TooLong(_) => return found,
            }
        }
        if is_last {
            return found;
        }
        let dropped = splitter.keep_from();
        kept.drain(..dropped);
        splitter.dropped(dropped);
    }
}
