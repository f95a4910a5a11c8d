//! Records cut anywhere, and JSON in every spelling.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// The records of a text that comes in pieces of a size, as JSON again; or what is wrong with it, and where.
fn records(text: &[u8], piece: usize) -> Result<Vec<Value>, (usize, &'static str)> {
    let mut found = Records::default();
    let (mut window, mut dropped, mut rest) = (Vec::new(), 0, text);
    let mut all = Vec::new();
    loop {
        match found.next(&window, rest.is_empty()) {
            Found::Record => all.push(as_json(found.record(), &window)),
            Found::Wrong { at, expected } => return Err((dropped + at, expected)),
            Found::NeedsText if rest.is_empty() => {
                let left = window.len() - found.keep_from();
                return match left {
                    0 => Ok(all),
                    _ => Err((dropped + window.len(), "more text")),
                };
            }
            Found::NeedsText => {
                let done = found.keep_from();
                window.drain(..done);
                found.dropped(done);
                dropped += done;
                let (next, behind) = rest.split_at(piece.min(rest.len()));
                window.extend_from_slice(next);
                rest = behind;
            }
        }
    }
}

fn text_of(text: &JsonText, window: &[u8]) -> String {
    let raw = std::str::from_utf8(&window[text.at.clone()]).unwrap();
    let mut out = String::new();
    match text.escaped {
        true => unescape(raw, &mut out),
        false => out.push_str(raw),
    }
    out
}

fn as_json(record: &Record, window: &[u8]) -> Value {
    let text = |text: &Option<JsonText>| text.as_ref().map(|text| text_of(text, window));
    let events: Vec<Value> = record
        .events
        .iter()
        .map(|event| {
            json!({
                "id": text(&event.id),
                "timestamp": event.timestamp_ms,
                "message": text_of(&event.message, window),
            })
        })
        .collect();
    json!({
        "owner": text(&record.owner),
        "logGroup": text(&record.log_group),
        "logStream": text(&record.log_stream),
        "logEvents": events,
    })
}

/// The example of AWS's documentation of subscriptions with Kinesis Data Streams.
const DOCUMENTED: &str = r#"
{
    "owner": "111111111111",
    "logGroup": "CloudTrail/logs",
    "logStream": "111111111111_CloudTrail/logs_us-east-1",
    "subscriptionFilters": [
        "Destination"
    ],
    "messageType": "DATA_MESSAGE",
    "logEvents": [
        {
            "id": "31953106606966983378809025079804211143289615424298221568",
            "timestamp": 1432826855000,
            "message": "{\"eventVersion\":\"1.03\",\"userIdentity\":{\"type\":\"Root\"}"
        },
        {
            "id": "31953106606966983378809025079804211143289615424298221569",
            "timestamp": 1432826855000,
            "message": "{\"eventVersion\":\"1.03\",\"userIdentity\":{\"type\":\"Root\"}"
        }
    ]
}
"#;

/// The message by which CloudWatch tests a destination.
const CONTROL: &str = r#"{"messageType":"CONTROL_MESSAGE","owner":"CloudwatchLogs","logGroup":"","logStream":"","subscriptionFilters":[],"logEvents":[{"id":"","timestamp":1432826855000,"message":"CWL CONTROL MESSAGE: Checking health of destination Firehose."}]}"#;

#[test]
fn the_documented_record_is_read_also_in_single_bytes() {
    for piece in [1, 7, 100, usize::MAX] {
        let found = records(DOCUMENTED.as_bytes(), piece).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0]["owner"], "111111111111");
        assert_eq!(found[0]["logGroup"], "CloudTrail/logs");
        assert_eq!(found[0]["logEvents"][1]["timestamp"], 1_432_826_855_000_i64);
        assert_eq!(
            found[0]["logEvents"][0]["message"],
            r#"{"eventVersion":"1.03","userIdentity":{"type":"Root"}"#
        );
    }
}

#[test]
fn records_follow_one_another_with_anything_between_them() {
    let one = serde_json::from_str::<Value>(DOCUMENTED)
        .unwrap()
        .to_string();
    for text in [
        format!("{one}{one}{CONTROL}{one}"),
        format!("{one}\n{one}\r\n{CONTROL}\n{one}\n"),
        format!("[{one},{one},{CONTROL}, {one}]\n"),
    ] {
        let found = records(text.as_bytes(), 50).unwrap();
        let events = |record: &Value| record["logEvents"].as_array().map_or(0, Vec::len);
        assert_eq!(found.iter().map(events).collect::<Vec<_>>(), [2, 2, 0, 2]);
    }
}

#[test]
fn members_have_any_order_and_others_are_passed_over() {
    let text = r#"{"logEvents":[{"message":"a","extractedFields":{"x":[1,-2.5e3,true,null,{"y":"}"}]},"timestamp":"1432826855000"}],
        "policyLevel":"ACCOUNT_LEVEL_POLICY","logGroup":"/a","more":{"deep":[[[]],{}]}}"#;
    for piece in [1, 13, usize::MAX] {
        let found = records(text.as_bytes(), piece).unwrap();
        assert_eq!(
            found,
            [json!({
                "owner": null, "logGroup": "/a", "logStream": null,
                "logEvents": [{"id": null, "timestamp": 1_432_826_855_000_i64, "message": "a"}],
            })]
        );
    }
}

#[test]
fn accounts_and_ids_may_be_numbers() {
    let text = r#"{"messageType":"DATA_MESSAGE","owner":123456789012,"logGroup":"/a","logStream":"s","logEvents":[{"id":319531,"timestamp":1432826855000,"message":"a"}]}"#;
    for piece in [1, 13, usize::MAX] {
        let found = records(text.as_bytes(), piece).unwrap();
        assert_eq!(found[0]["owner"], "123456789012");
        assert_eq!(found[0]["logEvents"][0]["id"], "319531");
    }
}

#[test]
fn what_is_no_record_is_wrong_at_its_place() {
    let good = r#"{"messageType":"DATA_MESSAGE","logGroup":"/a","logEvents":[]}"#;
    for (behind, at, expected) in [
        ("plain text", 0, "a record"),
        (r#"{"level":"INFO"}"#, 0, "a record"),
        (
            r#"{"messageType":"OTHER","logGroup":"/a","logEvents":[]}"#,
            0,
            "a record",
        ),
        (r#"{"logGroup":7}"#, 12, "a text in quotes"),
        (r#"{"logGroup" "/a"}"#, 12, "a colon"),
        (r#"{"logGroup":"/a" "x":1}"#, 17, "a comma"),
        (r#"{"x":nul}"#, 5, "a value"),
        (
            r#"{"logEvents":[{"id":"1","timestamp":1}]}"#,
            14,
            "an event",
        ),
        (
            r#"{"logEvents":[{"timestamp":1.5,"message":""}]}"#,
            28,
            "milliseconds",
        ),
        (
            r#"{"logEvents":[{"timestamp":"soon","message":""}]}"#,
            28,
            "milliseconds",
        ),
        (
            r#"{"logEvents":[{"timestamp":"","message":""}]}"#,
            29,
            "milliseconds",
        ),
        (
            r#"{"logEvents":[{"timestamp":"-","message":""}]}"#,
            30,
            "milliseconds",
        ),
        // Of another unit.
        (
            r#"{"logEvents":[{"timestamp":1432826855,"message":""}]}"#,
            14,
            "an event whose timestamp is milliseconds",
        ),
        (
            r#"{"logEvents":[{"timestamp":1432826855000000,"message":""}]}"#,
            14,
            "an event whose timestamp is milliseconds",
        ),
    ] {
        let text = format!("{good}{behind}");
        let (found, wrong) = records(text.as_bytes(), usize::MAX).unwrap_err();
        assert_eq!(found, good.len() + at, "{behind}");
        assert!(wrong.starts_with(expected), "{wrong} of {behind}");
    }
    let deep = format!("{{\"x\":{}", "[".repeat(1000));
    assert!(records(deep.as_bytes(), usize::MAX).is_err());
}

#[test]
fn escapes_are_decoded_and_halves_of_pairs_replaced() {
    for (escaped, expected) in [
        (r#"a\"b\\c\/d\n\t\r\b\f"#, "a\"b\\c/d\n\t\r\u{8}\u{c}"),
        (r"\ud55c\uae00 \u00e9", "한글 é"),
        (r"\ud83d\ude00!", "😀!"),
        (r"\ud83d!", "\u{fffd}!"),
        (r"\ude00\ud83d", "\u{fffd}\u{fffd}"),
        (r"\ud83d\u0041", "\u{fffd}A"),
        (r"\x \u12", "\u{fffd}x \u{fffd}12"),
        ("\\", "\u{fffd}"),
        (r"\u한글", "\u{fffd}한글"),
    ] {
        let mut out = String::new();
        unescape(escaped, &mut out);
        assert_eq!(out, expected, "{escaped}");
    }
}

#[test]
fn a_beginning_shows_whether_it_is_a_subscription() {
    assert!(begins_with_record(DOCUMENTED.as_bytes()));
    assert!(begins_with_record(&DOCUMENTED.as_bytes()[..400]));
    assert!(begins_with_record(CONTROL.as_bytes()));
    for other in [
        &b"2024-02-13T21:01:04.792Z x\n"[..],
        b"{\"a\":1}",
        b"",
        b"{\"logGroup\":\"x",
    ] {
        assert!(!begins_with_record(other));
    }
}

fn any_record() -> impl Strategy<Value = Value> {
    let event = (
        "[0-9]{56}",
        946_684_800_000_i64..2_000_000_000_000,
        any::<String>(),
    );
    (
        any::<String>(),
        "[0-9]{12}",
        proptest::collection::vec(event, 0..4),
    )
        .prop_map(|(name, owner, events)| {
            let events: Vec<Value> = events
                .into_iter()
                .map(|(id, timestamp, message)| {
                    json!({"id": id, "timestamp": timestamp, "message": message})
                })
                .collect();
            json!({
                "messageType": "DATA_MESSAGE", "owner": owner, "logGroup": name, "logStream": name,
                "subscriptionFilters": [name], "logEvents": events,
            })
        })
}

/// An event as CloudWatch writes it, or nearly so.
fn nearly_usual_event() -> impl Strategy<Value = String> {
    let id = prop_oneof![
        5 => "[0-9]{56}".prop_map(|id| format!("\"{id}\"")),
        1 => any::<String>().prop_map(|id| json!(id).to_string()),
        1 => Just("null".to_owned()),
    ];
    let time = prop_oneof![
        8 => "1[0-9]{12}",
        1 => "[0-9]{11,16}",
        1 => "[0-9]{12}[a-z.]",
        1 => "1[0-9]{12}".prop_map(|time| format!("\"{time}\"")),
    ];
    let message = prop_oneof![
        5 => any::<String>().prop_map(|text| json!(text).to_string()),
        2 => r#"["a]{0,70}"#.prop_map(|text| json!(json!(text).to_string()).to_string()),
        1 => Just("7".to_owned()),
        1 => Just("\"a\"b\"".to_owned()),
    ];
    let more = prop_oneof![
        6 => Just(String::new()),
        1 => Just(r#","extractedFields":{"x":"},{\"id\""}"#.to_owned()),
        1 => Just(r#","message":"the last one counts""#.to_owned()),
        1 => Just(" ".to_owned()),
    ];
    (id, time, message, more).prop_map(|(id, time, message, more)| {
        format!(r#"{{"id":{id},"timestamp":{time},"message":{message}{more}}}"#)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn usual_events_are_read_as_any(events in proptest::collection::vec(nearly_usual_event(), 1..4)) {
        let text = |events: &[String]| {
            format!(r#"{{"messageType":"DATA_MESSAGE","logGroup":"/a","logEvents":[{}]}}"#, events.join(","))
        };
        // Blanks change the form and nothing else.
        let others: Vec<String> = events.iter().map(|event| event.replacen('{', "{ ", 1)).collect();
        let [usual, any] = [text(&events), text(&others)].map(|text| records(text.as_bytes(), usize::MAX));
        prop_assert_eq!(usual.map_err(|(_, wrong)| wrong), any.map_err(|(_, wrong)| wrong));
    }
}

proptest! {
    #[test]
    fn any_records_are_read_in_any_pieces(
        written in proptest::collection::vec(any_record(), 0..4),
        piece in 1_usize..200,
        ascii in any::<bool>(),
    ) {
        let mut text: String = written.iter().map(Value::to_string).collect();
        if ascii {
            text = text.chars().map(|character| match character.is_ascii() {
                true => character.to_string(),
                false => character.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
            }).collect();
        }
        let found = records(text.as_bytes(), piece).unwrap();
        let expected: Vec<Value> = written.into_iter().map(|mut record| {
            let members = record.as_object_mut().unwrap();
            members.remove("messageType");
            members.remove("subscriptionFilters");
            record
        }).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn a_record_that_is_cut_anywhere_is_no_record(written in any_record(), cut in 1_usize..1000) {
        let text = written.to_string();
        let cut = cut.min(text.len() - 1);
        prop_assert!(records(&text.as_bytes()[..cut], 64).is_err());
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), escaped in ".{0,20}") {
        let text = [&b"{\"logGroup\":\""[..], &bytes].concat();
        for text in [&text, &bytes] {
            for last in [false, true] {
                let found = Records::default().next(text, last);
                let is_outside = matches!(found, Found::Wrong { at, .. } if at > text.len());
                prop_assert!(!is_outside);
            }
        }
        unescape(&escaped, &mut String::new());
    }
}
