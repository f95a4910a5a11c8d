use super::*;
use chrono::NaiveDateTime;
use proptest::prelude::*;

type Events = Vec<(i64, String)>;

fn split_at(text: &[u8], cuts: Vec<usize>) -> (Events, u64) {
    split_with(Splitter::default(), text, cuts)
}

fn split_with(mut splitter: Splitter, text: &[u8], mut cuts: Vec<usize>) -> (Events, u64) {
    cuts.push(text.len());
    let mut buffer: Vec<u8> = Vec::new();
    let mut found = Vec::new();
    let mut fed = 0;
    for cut in cuts {
        let cut = cut.clamp(fed, text.len());
        buffer.extend_from_slice(&text[fed..cut]);
        fed = cut;
        let last = fed == text.len();
        while let Split::Event(event) = splitter.next(&buffer, last) {
            let message = String::from_utf8_lossy(&buffer[event.message]).into_owned();
            found.push((event.timestamp_ms, message));
        }
        let keep = splitter.keep_from();
        buffer.drain(..keep);
        splitter.dropped(keep);
        if last {
            break;
        }
    }
    (found, splitter.stray_lines())
}

fn split(text: &str) -> (Events, u64) {
    split_at(text.as_bytes(), Vec::new())
}

fn messages(text: &str) -> Vec<String> {
    split(text)
        .0
        .into_iter()
        .map(|(_, message)| message)
        .collect()
}

#[test]
fn an_event_goes_on_to_the_next_timestamp() {
    let text = "2024-02-13T21:01:04.792Z START RequestId: 1\n\n\
                2024-02-13T21:01:04.936Z 2024-02-13T21:01:04.936Z\tid\tERROR\tboom\n    at x\n\n    at y\n\
                2024-02-13T21:01:05.000Z last";
    assert_eq!(
        split(text).0,
        [
            (1_707_858_064_792, "START RequestId: 1".to_owned()),
            (
                1_707_858_064_936,
                "2024-02-13T21:01:04.936Z\tid\tERROR\tboom\n    at x\n\n    at y".to_owned()
            ),
            (1_707_858_065_000, "last".to_owned()),
        ]
    );
}

#[test]
fn what_only_looks_like_a_timestamp_continues_the_event() {
    let first = "2024-02-13T21:01:04.792Z a";
    for line in [
        "2024-02-13T21:01:04Z b",
        "2024-02-13T21:01:04.79Z b",
        "2024-02-13 21:01:04.792Z b",
        "2024-02-30T21:01:04.792Z b",
        "2024-13-01T21:01:04.792Z b",
        "2024-02-13T24:01:04.792Z b",
        "2024-02-13T21:60:04.792Z b",
        "2024-02-13T21:01:60.792Z b",
        "2024-02-13T21:01:04.792Zb",
        " 2024-02-13T21:01:04.792Z b",
        "2024-02-13T2\u{0661}:01:04.792Z b",
        "2024-02-13T21:01:04.792Z",
        "\0\0\0\0\0\0\0\0\0\0T21:01:04.792Z b",
    ] {
        assert_eq!(
            messages(&format!("{first}\n{line}\n")),
            [format!("a\n{line}")],
            "{line}"
        );
    }
}

#[test]
fn empty_messages_and_newlines_at_the_end() {
    assert_eq!(
        messages("2024-02-13T21:01:04.792Z \n\n2024-02-13T21:01:04.792Z x\n\n\n"),
        ["", "x"]
    );
    assert_eq!(messages("2024-02-13T21:01:04.792Z "), [""]);
    assert_eq!(messages(""), Vec::<String>::new());
    assert_eq!(messages("\n\n"), Vec::<String>::new());
}

#[test]
fn line_ends_of_windows_are_no_part_of_a_message() {
    let text =
        "\u{feff}2024-02-13T21:01:04.792Z a\r\nb\r\n\r\n2024-02-13T21:01:04.792Z \u{feff}x\r";
    for cut in 0..40 {
        let (found, stray) = split_at(text.as_bytes(), vec![cut]);
        let found: Vec<_> = found.into_iter().map(|(_, message)| message).collect();
        assert_eq!(found, ["a\r\nb", "\u{feff}x"]);
        assert_eq!(stray, 0);
    }
}

/// A Lambda function that logs the output of another program, in an export of one day.
#[test]
fn a_time_that_was_not_asked_for_begins_no_event() {
    let ms = |text: &str| {
        let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S");
        time.unwrap().and_utc().timestamp_millis()
    };
    let day = window::Range {
        start_ms: ms("2024-02-13T00:00:00"),
        end_ms: ms("2024-02-14T00:00:00"),
    };
    let text = "2024-02-10T01:00:00.000Z late\n2024-02-11T01:00:00.000Z late too\n\
                2024-02-13T21:01:04.792Z output:\n2019-01-01T00:00:00.000Z old\n\
                2030-01-01T00:00:00.000Z to come\n2024-02-13T23:59:59.999Z last\n\
                2024-02-14T00:00:00.000Z its line\n";
    let (found, stray) = split_with(Splitter::new(day), text.as_bytes(), vec![99, 140]);
    let found: Vec<_> = found.into_iter().map(|(_, message)| message).collect();
    assert_eq!(
        found,
        [
            "late",
            "late too",
            "output:\n2019-01-01T00:00:00.000Z old\n2030-01-01T00:00:00.000Z to come",
            "last\n2024-02-14T00:00:00.000Z its line",
        ]
    );
    assert_eq!(stray, 0);
}

#[test]
fn text_before_the_first_timestamp_is_counted() {
    let (found, stray) = split("lost\n\nlost too\n2024-02-13T21:01:04.792Z kept\n");
    assert_eq!((found.len(), stray), (1, 2));
    assert_eq!(split("never a timestamp").1, 1);
    assert_eq!(split("2024-02-13T21:01:04.792Z kept\nmore").1, 0);
    assert_eq!(
        split("\0\0\0\0\0\0\0\0\0\0T00:00:00.000Z no event of 1970").0,
        []
    );
}

#[test]
fn an_event_without_end_is_too_long() {
    let mut text = b"2024-02-13T21:01:04.792Z ".to_vec();
    text.resize(LONGEST_EVENT + 1, b'x');
    assert_eq!(Splitter::default().next(&text, false), Split::TooLong(0));
    assert_eq!(Splitter::default().next(&text, true), Split::TooLong(0));
    text.truncate(LONGEST_EVENT);
    assert!(matches!(
        Splitter::default().next(&text, true),
        Split::Event(_)
    ));
}

#[test]
fn every_byte_of_a_timestamp_counts() {
    let good = b"2024-02-13T21:01:04.792Z ";
    for at in 0..PREFIX {
        for byte in 0..=u8::MAX {
            let mut prefix = *good;
            prefix[at] = byte;
            let expected = std::str::from_utf8(&prefix)
                .ok()
                .and_then(|text| text.strip_suffix(' '))
                // chrono also takes signs and spaces.
                .filter(|text| text.starts_with(|c: char| c.is_ascii_digit()))
                .filter(|text| !text.contains([' ', '\t', '\n', '\x0b', '\x0c', '\r', '+']))
                .and_then(|text| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.3fZ").ok())
                .map(|time| time.and_utc().timestamp_millis());
            // As the first timestamp that is read, and as one like those before.
            let mut reader = TimestampReader::default();
            assert_eq!(reader.read(&prefix), expected, "{prefix:?}");
            let known = reader.read(good);
            assert_eq!(known, Some(1_707_858_064_792));
            assert_eq!(reader.read(&prefix), expected, "{prefix:?}");
        }
    }
}

fn any_event() -> impl Strategy<Value = (i64, String)> {
    // Any millisecond of the years 0 to 9999, mostly on few days; messages with lines, also almost timestamps.
    let ms = prop_oneof![
        1_700_000_000_000i64..1_700_200_000_000,
        -62_167_219_200_000i64..253_402_300_800_000,
    ];
    let line = prop_oneof![
        "[a-z0-9 \t{}\":가-힣]{0,30}",
        Just("2024-02-13T21:01:04.792".to_owned()),
        Just("2024-02-13T21:01:04.79".to_owned()),
    ];
    (
        ms,
        proptest::collection::vec(line, 1..4).prop_map(|lines| lines.join("\n")),
    )
}

proptest! {
    #[test]
    fn what_the_layout_writes_is_found_again_however_it_is_cut(
        events in proptest::collection::vec(any_event(), 0..20),
        mut cuts in proptest::collection::vec(0usize..2000, 0..20),
    ) {
        let mut text = Vec::new();
        for (ms, message) in &events {
            crate::layout::cloudwatch::write_line(&mut text, *ms, message).unwrap();
        }
        cuts.sort_unstable();
        let (found, stray) = split_at(&text, cuts);
        let expected: Events = events
            .into_iter()
            .map(|(ms, message)| (ms, message.trim_end_matches('\n').to_owned()))
            .collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(stray, 0);
    }

    #[test]
    fn cutting_never_changes_what_is_found(
        text in "(2024-02-13T21:01:04\\.792Z |[a-zZ0-9:. -]{0,12}|\n){0,30}",
        mut cuts in proptest::collection::vec(0usize..400, 0..30),
    ) {
        cuts.sort_unstable();
        prop_assert_eq!(split_at(text.as_bytes(), cuts), split_at(text.as_bytes(), Vec::new()));
    }

    #[test]
    fn no_bytes_panic(text in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = split_at(&text, (0..text.len()).collect());
    }
}
