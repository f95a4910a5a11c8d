//! Which events of a piece have been fetched: pages may overlap, and each event counts once.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use crate::export::service::LogEvent;

/// The ids of the events so far, as 128 bits each: two hashes with keys of their own.
#[derive(Default)]
pub(super) struct SeenEvents {
    keys: [RandomState; 2],
    ids: HashSet<(u64, u64)>,
}

impl SeenEvents {
    /// Whether the event is a new one. An event without an id always is.
    pub(super) fn is_new(&mut self, event: &LogEvent) -> bool {
        if event.id.is_empty() {
            return true;
        }
        // AWS's ids are unique in an account; those of other servers perhaps only in a stream.
        let id = (&event.log_stream, &event.id);
        let [first, second] = &self.keys;
        self.ids.insert((first.hash_one(id), second.hash_one(id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(log_stream: &str, id: &str) -> LogEvent {
        LogEvent {
            id: id.to_owned(),
            timestamp_ms: 0,
            log_stream: log_stream.to_owned(),
            message: "hello".to_owned(),
        }
    }

    #[test]
    fn an_event_is_new_once() {
        let mut seen = SeenEvents::default();
        for number in 0..10_000 {
            assert!(seen.is_new(&event("a", &number.to_string())));
        }
        for number in 0..10_000 {
            assert!(!seen.is_new(&event("a", &number.to_string())));
        }
        assert!(seen.is_new(&event("b", "1")));
        assert!(seen.is_new(&event("a", "")) && seen.is_new(&event("a", "")));
    }
}
