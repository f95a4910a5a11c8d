//! Objects that CloudWatch Logs delivers vended logs to: an event on each line, as JSON or as fields, or a row of Parquet for each.
//!
//! [`mod@line`] finds the event in a line, with [`members`] where it is JSON, `usual` where it is as Lambda writes it, and [`time`] for its time; [`object`] makes batches of
//! an object of lines, and [`parquet`] of one of rows.

pub mod line;
pub mod members;
pub mod object;
pub mod parquet;
pub mod time;
mod usual;

use crate::job::RecordShape;
use line::Lines;

/// Whether the beginning of a text has delivered events in a form that is documented; `head` may end within a line.
pub fn begins_with_event(head: &[u8]) -> bool {
    let mut lines = Lines::new(&RecordShape::default());
    // A text of one line may be all there is; one that is cut is no JSON.
    let whole = memchr::memrchr(b'\n', head).map_or(head.len(), |end| end + 1);
    let mut found = None;
    for line in head[..whole].split(|byte| *byte == b'\n') {
        if found.is_none() && !line.is_empty() {
            found = lines.event(line).transpose();
        }
    }
    matches!(found, Some(Ok(_))) && lines.say_what_they_are()
}
