//! What an object looks like that is no export: the error names it, since the cause is mostly a wrong location.

use crate::layout::lines::has_form_of_event;

/// As much of an object's beginning is looked at.
pub const HEAD: usize = 512;

/// The beginnings of binary files.
const BINARY: [(&[u8], &str); 10] = [
    (b"\x1f\x8b", "gzip data"),
    (b"PK\x03\x04", "a zip archive"),
    (b"PAR1", "a Parquet file"),
    (b"\x28\xb5\x2f\xfd", "zstd data"),
    (b"BZh", "bzip2 data"),
    (b"\xfd7zXZ\0", "xz data"),
    (b"Obj\x01", "an Avro file"),
    (b"ORC", "an ORC file"),
    (b"\x04\x22\x4d\x18", "lz4 data"),
    (b"\xff\x06\x00\x00sNaPpY", "Snappy data"),
];

/// Where a tar archive has its signature.
const TAR: std::ops::Range<usize> = 257..262;

/// What inflated data looks like that has no event, from its beginning.
pub fn inflated(head: &[u8]) -> String {
    match binary(head) {
        Some("gzip data") => "gzip data again: it was compressed twice".to_owned(),
        Some(binary) => format!("{binary}, compressed with gzip"),
        None => text(head),
    }
}

/// What a text looks like that is no log at all, from its beginning, whatever it was packed in; `None` where it may be one.
pub fn no_log(head: &[u8]) -> Option<String> {
    const LOGS: [&str; 3] = ["JSON", "lines whose times", "plain text"];
    let found = unpacked(head);
    let is_log = LOGS.iter().any(|log| found.starts_with(log));
    (!is_log).then_some(found)
}

/// What a text looks like, from its beginning, whatever it was packed in.
pub fn unpacked(head: &[u8]) -> String {
    binary(head).map_or_else(|| text(head), str::to_owned)
}

/// What data looks like that is not gzip, from its beginning; `None` for no data.
pub fn not_inflated(head: &[u8]) -> Option<String> {
    if head.is_empty() {
        return None;
    }
    Some(match binary(head) {
        Some(binary) => binary.to_owned(),
        None if has_form_of_event(without_mark(head)) => {
            "the text of an export that is unpacked already: compress it again with gzip".to_owned()
        }
        None => format!(
            "{} that is unpacked already, or was never compressed",
            text(head)
        ),
    })
}

fn binary(head: &[u8]) -> Option<&'static str> {
    let known = BINARY.iter().find(|(magic, _)| head.starts_with(magic));
    match known {
        Some((_, name)) => Some(name),
        None if head.get(TAR) == Some(b"ustar") => Some("a tar archive"),
        None => None,
    }
}

/// A byte order mark in front is no part of the text.
fn without_mark(head: &[u8]) -> &[u8] {
    head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head)
}

fn text(head: &[u8]) -> String {
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        return "text in UTF-16: expected UTF-8".to_owned();
    }
    let head = without_mark(head);
    let is_binary = |byte: &u8| byte.is_ascii_control() && !b"\t\n\r\x1b\x10\x0c".contains(byte);
    if head.iter().any(is_binary) {
        return "binary data".to_owned();
    }
    let head = String::from_utf8_lossy(head);
    let head = head.trim_start();
    let compact: String = head.split_whitespace().collect();
    let has = |text: &str| compact.contains(text);
    match head.chars().next() {
        Some('{')
            if has("\"messageType\":\"DATA_MESSAGE\"")
                || has("\"messageType\":\"CONTROL_MESSAGE\"") =>
        {
            "records of a subscription, as Firehose or a Lambda function stores them: [source] kind = \"subscription\" \
             reads them"
                .to_owned()
        }
        Some('{') if has("{\"Records\":[") || has("\"eventVersion\":") => {
            "records of CloudTrail".to_owned()
        }
        Some('{') if has("\"digestStartTime\"") => "a digest of CloudTrail".to_owned(),
        Some('{' | '[') if begins_json(head) => {
            "JSON, without CloudWatch's time before each event".to_owned()
        }
        Some('<') => "XML or HTML".to_owned(),
        _ if head.starts_with("#Version: 1.0") => "an access log of CloudFront".to_owned(),
        _ if head.starts_with("version account-id ") => "a flow log of a VPC".to_owned(),
        _ if ["http ", "https ", "h2 ", "ws ", "wss ", "grpcs "]
            .iter()
            .any(|kind| head.starts_with(kind)) =>
        {
            "an access log of a load balancer".to_owned()
        }
        _ if head.starts_with("@timestamp,") || head.starts_with("timestamp,message") => {
            "a result of Logs Insights as CSV".to_owned()
        }
        _ => match time_of_another_form(head) {
            Some(time) => format!("lines whose times have another form: {time:?}"),
            None => "plain text".to_owned(),
        },
    }
}

/// Whether a bracket begins JSON, and not a time or a level as in `[INFO] …`.
fn begins_json(head: &str) -> bool {
    let second = head[1..].trim_start().chars().next();
    second.is_some_and(|second| "\"{[]}".contains(second))
}

/// The time at the beginning of the first line, where there is one: a date, or seconds since 1970.
fn time_of_another_form(head: &str) -> Option<String> {
    let line = head.lines().next()?;
    let line = line.trim_start_matches(['[', '"', '(']);
    let belongs =
        |character: char| character.is_ascii_alphanumeric() || "-/:.,+ ".contains(character);
    let digits = line.chars().take_while(char::is_ascii_digit).count();
    let separator = line[digits..].chars().next();
    let is_date = matches!(digits, 1..=4) && matches!(separator, Some('-' | '/'));
    let is_epoch = matches!(digits, 10 | 13) && separator.is_none_or(|c| ". \t,".contains(c));
    let is_compact = digits == 8 && matches!(separator, Some('T' | ' ' | '-'));
    if !(is_date || is_epoch || is_compact) {
        return None;
    }
    // A date and a time of day are two words, a number is one.
    let first_word = line.split([' ', '\t']).next().unwrap_or_default();
    let words = if is_date && !first_word.contains('T') {
        2
    } else {
        1
    };
    let end = line.match_indices([' ', '\t']).nth(words - 1);
    let time = &line[..end.map_or(line.len(), |(at, _)| at)];
    let time: String = time.chars().take_while(|c| belongs(*c)).take(32).collect();
    Some(time.trim_end_matches([' ', ',', ':']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_export_is_named() {
        for (head, expected) in [
            (&b"\x1f\x8b\x08\0"[..], "compressed twice"),
            (b"PK\x03\x04\x14", "a zip archive, compressed with gzip"),
            (b"PAR1\x15\x04", "a Parquet file"),
            (
                b"{\"messageType\": \"DATA_MESSAGE\", \"owner\": \"1\"}{\"messageType\"",
                "a subscription",
            ),
            (
                b"{\"Records\": [{\"eventVersion\": \"1.08\"",
                "records of CloudTrail",
            ),
            (b"{\"level\": \"INFO\"}\n{}", "JSON"),
            (b"[ {\"a\": 1}]", "JSON"),
            (b"[INFO] started", "plain text"),
            (b"<?xml version=\"1.0\"?>", "XML or HTML"),
            (b"@timestamp,@message\n", "Logs Insights"),
            (b"\xff\xfe2\0", "UTF-16"),
            (b"a\0b\x01", "binary data"),
            (b"hello\nworld\n", "plain text"),
            (b"#Version: 1.0\n#Fields: date time", "CloudFront"),
            (b"version account-id interface-id srcaddr\n", "a VPC"),
            (
                b"https 2018-07-02T22:23:00.186641Z app/x",
                "a load balancer",
            ),
            (
                b"2024-02-13T21:01:04Z x\n",
                "another form: \"2024-02-13T21:01:04Z\"",
            ),
            (
                b"2024-02-13 21:01:04,792 INFO x",
                "another form: \"2024-02-13 21:01:04,792\"",
            ),
            (
                b"2024-02-13T21:01:04.792+09:00 x",
                "another form: \"2024-02-13T21:01:04.792+09:00\"",
            ),
            (
                b"[13/Feb/2024:21:01:04 +0900] \"GET /\"",
                "another form: \"13/Feb/2024:21:01:04 +0900\"",
            ),
            (b"1707858064792 x", "another form: \"1707858064792\""),
            ("가나다".as_bytes(), "plain text"),
        ] {
            let found = inflated(head);
            assert!(
                found.contains(expected),
                "{found} for {:?}",
                String::from_utf8_lossy(head)
            );
        }
    }

    #[test]
    fn what_may_be_a_log_is_not_named() {
        for (head, expected) in [
            (&b"{\"level\": \"INFO\"}\n{}"[..], None),
            (b"2024-02-13T21:01:04Z x\n", None),
            (b"hello\nworld\n", None),
            (b"PAR1\x15\x04", Some("a Parquet file")),
            (b"<?xml version=\"1.0\"?>", Some("XML or HTML")),
        ] {
            assert_eq!(no_log(head).as_deref(), expected);
        }
    }

    #[test]
    fn what_is_not_gzip_is_named() {
        let mut tar = vec![b'a'; 300];
        tar[TAR].copy_from_slice(b"ustar");
        for (head, expected) in [
            (&b"2024-02-13T21:01:04.792Z x\n"[..], "compress it again"),
            (b"hello", "plain text that is unpacked already"),
            (b"\x28\xb5\x2f\xfd", "zstd data"),
            (&tar, "a tar archive"),
        ] {
            let found = not_inflated(head).unwrap();
            assert!(found.contains(expected), "{found}");
        }
        assert_eq!(not_inflated(b""), None);
    }
}
