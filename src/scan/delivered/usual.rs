//! Lines of Lambda's logs of the class Delivery just as Lambda writes them: an account, a log group and a log stream, then the
//! event's id, its time and its message, without blanks. Pure.
//!
//! The lines of an object have the same members in front of the id, so that these are compared with those of the line before, and
//! read only where they differ.

use super::line::{Event, EventOrigin, LineOrigin};
use crate::scan::digits;
use crate::scan::escapes::end_of_text;
use crate::scan::records::{JsonText, behind};

/// Counts of 13 digits from here on are milliseconds.
const FIRST_MS: i64 = 1_000_000_000_000;

/// Finds the events in such lines.
#[derive(Debug, Default)]
pub(super) struct UsualLines {
    /// The line before, up to the id.
    head: Vec<u8>,
}

impl UsualLines {
    /// The event of a line; `None` where it has another form.
    #[inline]
    pub(super) fn event(&mut self, line: &[u8]) -> Option<Event> {
        let is_as_before = !self.head.is_empty() && line.starts_with(&self.head);
        let (id, origin) = match is_as_before {
            true => (self.head.len(), LineOrigin::AsBefore),
            false => {
                let (id, origin) = head(line)?;
                (id, LineOrigin::Said(Box::new(origin)))
            }
        };
        let (id_end, id_escaped) = end_of_text(line, id)?;
        let time = behind(line, id_end, br#"","timestamp":"#)?;
        let time_digits = line.get(time..)?.first_chunk()?;
        let timestamp_ms = digits::thirteen(time_digits).filter(|ms| *ms >= FIRST_MS)?;
        let message = behind(line, time + time_digits.len(), br#","message":""#)?;
        let (message_end, escaped) = end_of_text(line, message)?;
        if line.get(message_end..) != Some(br#""}"#) {
            return None;
        }
        if !is_as_before {
            self.head.clear();
            self.head.extend_from_slice(&line[..id]);
        }
        Some(Event {
            timestamp_ms,
            message: JsonText {
                at: message..message_end,
                escaped,
            },
            id: Some(JsonText {
                at: id..id_end,
                escaped: id_escaped,
            }),
            origin,
        })
    }
}

/// The origin that a line begins with, and the place of the id behind it.
fn head(line: &[u8]) -> Option<(usize, EventOrigin)> {
    let mut origin = EventOrigin::default();
    let mut at = behind(line, 0, b"{")?;
    loop {
        if let Some(id) = behind(line, at, br#""id":""#) {
            let is_whole = origin.log_group.is_some() && origin.log_stream.is_some();
            return is_whole.then_some((id, origin));
        }
        let account = behind(line, at, br#""accountId":""#);
        let log_group = behind(line, at, br#""logGroup":""#);
        let log_stream = behind(line, at, br#""logStream":""#);
        let (part, start) = match (account, log_group, log_stream) {
            (Some(start), _, _) => (&mut origin.account, start),
            (_, Some(start), _) => (&mut origin.log_group, start),
            (_, _, Some(start)) => (&mut origin.log_stream, start),
            _ => return None,
        };
        let (end, escaped) = end_of_text(line, start)?;
        let text = JsonText {
            at: start..end,
            escaped,
        };
        // Of a member that is there twice, the last one counts, as anywhere in JSON.
        *part = Some(text);
        at = behind(line, end, br#"","#)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::RecordShape;
    use crate::scan::delivered::line::Lines;
    use proptest::prelude::*;

    const ACCOUNT: &str = r#""accountId":"123456789012""#;
    const GROUP: &str = r#""logGroup":"/aws/lambda/pay""#;
    const STREAM: &str = r#""logStream":"2026/11/21/[$LATEST]0067""#;

    /// The event of a line behind another one, read as a usual line if it is one, or as any; with what it says of its origin.
    fn events(lines: [&str; 2], is_usual: bool) -> Vec<Result<Option<Event>, String>> {
        let mut reader = Lines::new(&RecordShape::default());
        let mut before = None;
        let read = lines.map(|line| {
            if !is_usual {
                reader = Lines::new(&RecordShape::default());
            }
            // Blanks change the form and nothing else.
            let blank = format!("{line} ");
            let line = if is_usual { line } else { &blank };
            let mut event = reader.event(line.as_bytes());
            if let Ok(Some(event)) = &mut event {
                match &event.origin {
                    LineOrigin::AsBefore => event.origin = before.clone().unwrap(),
                    origin => before = Some(origin.clone()),
                }
            }
            event
        });
        read.to_vec()
    }

    #[test]
    fn a_usual_line_says_its_origin_once() {
        let line = |id: u32| {
            format!(
                r#"{{{ACCOUNT},{GROUP},{STREAM},"id":"{id}","timestamp":1795298709123,"message":"a \"b\""}}"#
            )
        };
        let mut lines = UsualLines::default();
        let event = lines.event(line(1).as_bytes()).unwrap();
        assert!(matches!(event.origin, LineOrigin::Said(_)));
        let event = lines.event(line(22).as_bytes()).unwrap();
        assert_eq!(event.origin, LineOrigin::AsBefore);
        assert_eq!(&line(22)[event.id.unwrap().at], "22");
        assert_eq!(&line(22)[event.message.at], r#"a \"b\""#);
    }

    fn member() -> impl Strategy<Value = String> {
        prop_oneof![
            3 => Just(ACCOUNT.to_owned()),
            5 => Just(GROUP.to_owned()),
            5 => Just(STREAM.to_owned()),
            1 => Just(r#""logGroup":"other\"""#.to_owned()),
            1 => Just(r#""logGroup":null"#.to_owned()),
            1 => Just(r#""message":"first""#.to_owned()),
            1 => Just(r#""event_timestamp":1795298709999"#.to_owned()),
        ]
    }

    fn line() -> impl Strategy<Value = String> {
        let id = prop_oneof!["[0-9]{56}", "[a-z]{0,3}", Just(r#"\""#.to_owned())];
        let time = prop_oneof![
            5 => "1[0-9]{12}",
            1 => "[0-9]{10,16}",
            1 => Just("\"2026-11-21T22:05:09Z\"".to_owned()),
            1 => Just("1.5".to_owned()),
        ];
        let message = prop_oneof![
            3 => ".{0,80}".prop_map(|text| serde_json::to_string(&text).unwrap()),
            1 => Just("{\"a\":1}".to_owned()),
            1 => Just("\"cut".to_owned()),
        ];
        let more = prop_oneof![
            6 => Just(String::new()),
            1 => Just(r#","logStream":"last""#.to_owned()),
            1 => Just(r#","event_timestamp":1795298709999"#.to_owned()),
            1 => Just("}".to_owned()),
        ];
        (
            proptest::collection::vec(member(), 0..5),
            id,
            time,
            message,
            more,
        )
            .prop_map(|(mut members, id, time, message, more)| {
                members.push(format!(
                    r#""id":"{id}","timestamp":{time},"message":{message}{more}"#
                ));
                format!("{{{}}}", members.join(","))
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn usual_lines_have_the_events_of_any(first in line(), second in line()) {
            let lines = [&*first, &*second];
            let [usual, any] = [true, false].map(|is_usual| events(lines, is_usual));
            for (usual, any) in usual.into_iter().zip(any) {
                // The place of an error is that in another line.
                prop_assert_eq!(usual.is_err(), any.is_err());
                if let (Ok(Some(usual)), Ok(Some(mut any))) = (usual, any) {
                    if any.message.at.start == 0 {
                        // A whole line, with its blank.
                        any.message.at.end -= 1;
                    }
                    prop_assert_eq!(usual, any);
                }
            }
        }
    }
}
