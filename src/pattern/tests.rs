use proptest::prelude::*;

use super::*;

fn pattern(message: &str) -> String {
    let mut pattern = Vec::new();
    PatternWriter::default().write(message, &mut pattern);
    String::from_utf8(pattern).unwrap()
}

/// The blocks of `kinds.txt`.
fn kinds() -> Vec<Vec<String>> {
    let text = include_str!("../../tests/messages/kinds.txt");
    let unescaped = |line: &str| {
        line.replace("\\n", "\n")
            .replace("\\t", "\t")
            .replace("\\e", "\u{1b}")
    };
    let blocks = text.split("\n\n").skip(1);
    blocks
        .map(|block| block.lines().map(unescaped).collect())
        .collect()
}

#[test]
fn lines_of_one_kind_have_one_pattern_and_those_of_two_have_two() {
    let mut wrong = Vec::new();
    let mut seen: Vec<(String, String)> = Vec::new();
    for lines in kinds() {
        let first = pattern(&lines[0]);
        for line in &lines {
            if pattern(line) != first {
                wrong.push(format!("split:\n  {line}\n  {first}\n  {}", pattern(line)));
            }
        }
        if let Some((other, _)) = seen.iter().find(|(_, pattern)| *pattern == first) {
            wrong.push(format!("merged:\n  {other}\n  {}\n  {first}", lines[0]));
        }
        seen.push((lines[0].clone(), first));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen.len() > 40);
}

/// The messages of public loggers that other functions are tested with.
fn public_lines() -> Vec<String> {
    let lines = include_str!("../../tests/messages/lines.ndjson");
    let message = |line| {
        serde_json::from_str::<serde_json::Value>(line).unwrap()["message"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    lines.lines().map(message).collect()
}

/// A pattern is an id in people's queries and notes: one that changes is in the changelog, and [`GRAMMAR`] goes up.
#[test]
fn patterns_of_public_lines_stay_what_they_are() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/messages/patterns.ndjson"
    );
    let row = |message: &String| {
        serde_json::json!({"message": message, "pattern": pattern(message)}).to_string() + "\n"
    };
    let rows: String = public_lines()
        .iter()
        .chain(kinds().iter().flatten())
        .map(row)
        .collect();
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(path, &rows).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap();
    for (row, expected) in rows.lines().zip(expected.lines()) {
        assert_eq!(row, expected);
    }
    assert_eq!(rows.lines().count(), expected.lines().count());
}

#[test]
fn a_pattern_is_its_own_pattern() {
    for message in public_lines().iter().chain(kinds().iter().flatten()) {
        let once = pattern(message);
        assert_eq!(pattern(&once), once, "{message}");
    }
}

#[test]
fn digits_stay_in_names_only() {
    for message in public_lines().iter().chain(kinds().iter().flatten()) {
        let pattern = pattern(message);
        let words = pattern.split(|letter: char| !letter.is_ascii_alphanumeric());
        for word in words.filter(|word| word.bytes().any(|byte| byte.is_ascii_digit())) {
            let stands_as =
                |before: &str, after: &str| pattern.contains(&format!("{before}{word}{after}"));
            let is_level = stands_as("\":", ",")
                || stands_as("\":", "}")
                || stands_as("\": ", ",")
                || stands_as("=", "")
                || stands_as("\":", ".0")
                || stands_as(":30.", "");
            let is_version = stands_as("HTTP/", "") || stands_as("HTTP/1.", "");
            assert!(
                names::is_name(word.as_bytes()) || is_level || is_version,
                "{word} in {pattern} of {message}"
            );
        }
    }
}

/// What stands between the words of a line.
fn separator() -> impl Strategy<Value = String> {
    proptest::sample::select(vec![
        " ",
        " ",
        " ",
        ", ",
        "-",
        ".",
        ":",
        ": ",
        "/",
        "=",
        "[",
        "] ",
        " (",
        ") ",
        "@",
        "\n",
        "\t",
        "%",
        "+",
        "_",
        "#",
        "|",
        ",",
        ";",
        "&",
        " - ",
        "::",
        "=>",
        "?",
        "\u{1b}[31m",
        "'s ",
    ])
    .prop_map(str::to_owned)
}

/// Words and values.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => proptest::sample::select(vec![
            "<*>", "<time>", "<ip>", "<uuid>", "<email>", "<duration>", "<size>", "message", "level", "user", "GET", "HTTP",
            "Feb", "Thu", "ms", "MB", "s3", "v1", "오후", "주문", "µs", "kim@example.com", "ValueError", "fe80", "E0505",
            "8476a536-e9f4-11e8-9739-2dfe598c3fcd", "2024-02-13T21:01:04.792Z", "10.0.0.1", "00:1b:44:11:3a:b7", "null",
            "\"GET /orders/7 HTTP/1.1\"", "\"two words\"", "'two words'", "user=kim", "msg=\"order 7\"", "id=7",
            "Order(id=7, name=Kim Lee)", "{\"order\":7,\"event\":\"paid 7\"}", "{'order': 7, 'msg': 'paid 7'}", "[1, 2, 3]",
        ]).prop_map(str::to_owned),
        3 => "[0-9]{1,8}",
        2 => "[a-f0-9]{1,12}",
        2 => "[a-zA-Z0-9_-]{1,24}",
    ]
}

fn line() -> impl Strategy<Value = String> {
    let parts = proptest::collection::vec((word(), separator()), 0..12);
    parts.prop_map(|parts| {
        parts
            .into_iter()
            .map(|(word, separator)| word + &separator)
            .collect()
    })
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let key = prop_oneof![
        Just("message".to_owned()),
        Just("level".to_owned()),
        Just("user".to_owned()),
        Just("log".to_owned()),
        "[a-zA-Z0-9_.@-]{1,24}"
    ];
    let value = prop_oneof![
        line().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        Just(serde_json::Value::Null),
        Just(
            serde_json::json!({"message": "order 7", "n": 7})
                .to_string()
                .into()
        ),
    ];
    value.prop_recursive(3, 24, 6, move |value| {
        prop_oneof![
            3 => proptest::collection::hash_map(key.clone(), value.clone(), 0..6)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            1 => proptest::collection::vec(value, 0..4).prop_map(serde_json::Value::from),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_pattern_of_a_line_is_its_own_pattern(line in line()) {
        let once = pattern(&line);
        prop_assert_eq!(pattern(&once), once, "of {:?}", line);
    }

    #[test]
    fn the_pattern_of_json_is_its_own_pattern(json in json(), is_pretty in any::<bool>()) {
        let message = if is_pretty { format!("{json:#}") } else { json.to_string() };
        let once = pattern(&message);
        prop_assert_eq!(pattern(&once), once, "of {}", message);
    }

    #[test]
    fn a_pattern_does_not_depend_on_the_messages_before(
        messages in proptest::collection::vec(prop_oneof![
            line(), json().prop_map(|json| json.to_string()),
            "\\{(\"(a|level|msg|é|a1|\\\\\")\"[:=]{1,2}(\"(INFO|a b|a1|x@y.de|\\{a\\}|\\\\n)\"?|1|-|\\{\\}),?){0,5}\\}? {0,40}",
        ], 0..12),
    ) {
        let mut writer = PatternWriter::default();
        for message in messages.iter().chain(&messages) {
            let mut after_others = Vec::new();
            writer.write(message, &mut after_others);
            prop_assert_eq!(String::from_utf8(after_others).unwrap(), pattern(message), "of {}", message);
        }
    }

    #[test]
    fn any_text_has_a_pattern_of_at_most_five_times_its_length(
        pieces in proptest::collection::vec(prop_oneof![
            word(), separator(), any::<String>(), "[\"'`{}()<>\\[\\]\\\\:,=?@*]{1,6}",
        ], 0..24),
    ) {
        let message = pieces.concat();
        prop_assert!(pattern(&message).len() <= 5 * message.len());
    }
}

#[test]
fn the_time_is_linear_in_the_length() {
    // Each would take minutes, were it quadratic.
    for piece in [
        "\"", "'", "\\\"", "{\"", "{", "(a=", "?a", "a?", "@", "a@", "{\"a\":", "[", "1:", "1-",
        "a=\"", "a='", "<", "::", "f:", "\n", "`", "a=[", "{a=(b=", "\\", "1.", "1,", "-1", "e1",
    ] {
        let message = piece.repeat((1 << 18) / piece.len());
        assert!(pattern(&message).len() <= 5 * message.len(), "{piece}");
    }
}
