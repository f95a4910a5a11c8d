//! CloudWatch's own layout of an export: the objects of an export task, their streams, and the lines in them.

use chrono::DateTime;
use object_store::ObjectMeta;
use object_store::path::Path;
use percent_encoding::utf8_percent_encode;

use super::{NAME, encode_name, join};
use crate::error::{Error, Result};
use crate::window::Range;

/// The object that CloudWatch writes to test its permission. It has no log data and is not gzip.
pub const WRITE_TEST: &str = "aws-logs-write-test";

/// An exported object and what its key says about its events.
#[derive(Debug, Clone, PartialEq)]
pub struct LogObject {
    /// Its key, size and ETag.
    pub meta: ObjectMeta,
    /// The log group; `None` where it is not known.
    pub log_group: Option<String>,
    /// The log stream.
    pub log_stream: String,
    /// Only events in this range count; all of them where unset.
    pub range: Option<Range>,
}

impl LogObject {
    /// The object as one of this log group; `None` where it holds no events.
    pub fn new(meta: ObjectMeta, log_group: Option<&str>) -> Option<Self> {
        holds_events(&meta.location).then(|| Self {
            log_group: log_group.map(str::to_owned),
            log_stream: stream_of(&meta.location).unwrap_or_default(),
            meta,
            range: None,
        })
    }

    /// Whether it may have events of `range`.
    pub fn may_have(&self, range: Range) -> bool {
        self.range
            .is_none_or(|own| !own.intersect(range).is_empty())
    }
}

/// Whether the object holds exported events. CloudWatch's write test and other objects that are not gzip do not.
pub fn holds_events(key: &Path) -> bool {
    key.filename()
        .is_some_and(|name| name.ends_with(".gz") && name != WRITE_TEST)
}

/// The log stream of an exported object, from the folder that it is in; `None` at the root.
///
/// CloudWatch replaces the slashes of a name with hyphens. The names of Lambda's streams
/// (`2026/11/21/[$LATEST]<32 hex digits>`, or with the function's name before the bracket) have a known form and get
/// their slashes back. Any other name stays as it was exported, since its hyphens may be its own.
pub fn stream_of(key: &Path) -> Option<String> {
    let folder = key.as_ref().rsplit('/').nth(1)?;
    Some(restore_lambda_stream(folder).unwrap_or_else(|| folder.to_owned()))
}

/// Whether a stream's folder has a name that Lambda makes, which no other stream has.
pub fn is_lambda_stream(folder: &str) -> bool {
    restore_lambda_stream(folder).is_some()
}

/// An object of an export: below the attempt's prefix, in CloudWatch's own layout.
pub fn exported_object(attempt: &Path, task_id: &str, stream: &str, number: usize) -> Path {
    let stream = exported_stream(stream);
    join(attempt, &format!("{task_id}/{stream}/{number:06}.gz"))
}

/// A stream's name as CloudWatch writes it into a key: `/` becomes `-`. Only what no key can hold (the names `.` and
/// `..`, control characters) is percent-encoded.
pub fn exported_stream(stream: &str) -> String {
    if matches!(stream, "." | "..") {
        return encode_name(stream);
    }
    let mut name = String::with_capacity(stream.len());
    for character in stream.chars() {
        match character {
            '/' => name.push('-'),
            control if control.is_ascii_control() => {
                name.extend(utf8_percent_encode(control.encode_utf8(&mut [0; 4]), NAME));
            }
            other => name.push(other),
        }
    }
    name
}

/// The key of an object of an export task in three parts: before the task's id, the id, and after it (the stream's
/// folder and the object's name). `None` where the key has no such id in its place.
pub fn parts_of_task(key: &Path) -> Option<(&str, &str, &str)> {
    let key = key.as_ref();
    let mut slashes = key.rmatch_indices('/').map(|(at, _)| at);
    let (_, behind_id) = (slashes.next()?, slashes.next()?);
    let id = slashes.next().map_or(0, |at| at + 1);
    let task = &key[id..behind_id];
    uuid::Uuid::try_parse(task).ok()?;
    Some((&key[..id], task, &key[behind_id + 1..]))
}

fn restore_lambda_stream(name: &str) -> Option<String> {
    let bytes = name.as_bytes();
    let digits = |range: std::ops::Range<usize>| {
        bytes
            .get(range)
            .is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    let hyphen = |at: usize| bytes.get(at) == Some(&b'-');
    let dated =
        digits(0..4) && hyphen(4) && digits(5..7) && hyphen(7) && digits(8..10) && hyphen(10);
    if !dated {
        return None;
    }
    let rest = &name[11..];
    let (function, version) = rest.split_once('[')?;
    let (version, instance) = version.split_once(']')?;
    let known_function = function
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let known_version = version == "$LATEST"
        || (!version.is_empty() && version.bytes().all(|b| b.is_ascii_digit()));
    let known_instance = instance.len() == 32 && instance.bytes().all(|b| b.is_ascii_hexdigit());
    (known_function && known_version && known_instance)
        .then(|| format!("{}/{}/{}/{rest}", &name[..4], &name[5..7], &name[8..10]))
}

/// Writes one event as CloudWatch exports it: `2024-02-13T21:01:04.792Z <message>` and a newline.
///
/// An error (damaged) where the timestamp is outside the years 0 to 9999, which this form can't write.
pub fn write_line(out: &mut impl std::io::Write, timestamp_ms: i64, message: &str) -> Result<()> {
    let timestamp = DateTime::from_timestamp_millis(timestamp_ms)
        .filter(|at| (0..=9999).contains(&chrono::Datelike::year(at)))
        .ok_or_else(|| {
            Error::damaged(format!(
                "timestamp {timestamp_ms} is outside the years 0 to 9999: expected milliseconds since 1970"
            ))
        })?;
    writeln!(
        out,
        "{} {message}",
        timestamp.format("%Y-%m-%dT%H:%M:%S%.3fZ")
    )
    .map_err(|error| {
        Error::new(
            crate::error::Class::Output,
            "could not write an exported line",
        )
        .caused_by(error)
    })
}

#[cfg(test)]
mod tests {
    use super::super::relative;
    use super::*;

    fn line(timestamp_ms: i64, message: &str) -> Result<String> {
        let mut out = Vec::new();
        write_line(&mut out, timestamp_ms, message)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn lines_are_cloudwatchs_own() {
        assert_eq!(
            line(1_707_858_064_792, "hello").unwrap(),
            "2024-02-13T21:01:04.792Z hello\n"
        );
        assert_eq!(
            line(0, "a\nb\n").unwrap(),
            "1970-01-01T00:00:00.000Z a\nb\n\n"
        );
        assert!(line(i64::MAX, "x").is_err());
        assert!(line(-62_167_219_200_001, "x").is_err());
    }

    #[test]
    fn lambda_streams_get_their_slashes_back_and_others_stay() {
        let hex = "0067aa0067aa0067aa0067aa0067aa00";
        let cases = [
            (
                format!("2020-02-27-[$LATEST]{hex}"),
                format!("2020/02/27/[$LATEST]{hex}"),
            ),
            (
                format!("2020-02-27-[12]{hex}"),
                format!("2020/02/27/[12]{hex}"),
            ),
            (
                format!("2024-05-01-my-fn[$LATEST]{hex}"),
                format!("2024/05/01/my-fn[$LATEST]{hex}"),
            ),
            (
                "2020-02-27-[$LATEST]0067".into(),
                "2020-02-27-[$LATEST]0067".into(),
            ),
            ("web-ecs-1".into(), "web-ecs-1".into()),
            ("2020-02-27-notes".into(), "2020-02-27-notes".into()),
        ];
        for (exported, expected) in cases {
            let key = Path::parse(format!("p/task/{exported}/000000.gz")).unwrap();
            assert_eq!(stream_of(&key).unwrap(), expected);
        }
        assert_eq!(stream_of(&Path::parse("000000.gz").unwrap()), None);
    }

    #[test]
    fn any_streams_name_stays_below_its_attempt() {
        let attempt = Path::parse("s/j/2026-11-21/%2Fecs%2Fweb/attempt=1").unwrap();
        for (stream, expected) in [
            (".", "%2E"),
            ("..", "%2E%2E"),
            ("a\tb\u{7f}", "a%09b%7F"),
            ("web/[$LATEST] 100% 한글~", "web-[$LATEST] 100% 한글~"),
        ] {
            let key = exported_object(&attempt, "task", stream, 0);
            let below = relative(&attempt, &key);
            assert_eq!(below, format!("task/{expected}/000000.gz"), "{stream:?}");
            // Encoding an encoded name changes nothing.
            assert_eq!(exported_stream(&exported_stream(stream)), expected);
        }
    }

    #[test]
    fn only_gzip_objects_hold_events() {
        for (key, expected) in [
            ("exportedlogs/task/stream/000000.gz", true),
            ("exportedlogs/aws-logs-write-test", false),
            ("a/attempt=1/manifest.json", false),
            ("a/README.gz.txt", false),
        ] {
            assert_eq!(holds_events(&Path::parse(key).unwrap()), expected, "{key}");
        }
    }

    #[test]
    fn an_export_tasks_id_has_its_place_in_a_key() {
        let id = "e37ac5c7-5d9a-4b1c-8f6e-0c1b8a2d4f60";
        for (key, expected) in [
            (
                format!("a/b/{id}/web-app/000000.gz"),
                Some(("a/b/", id, "web-app/000000.gz")),
            ),
            (
                format!("{id}/web-app/000000.gz"),
                Some(("", id, "web-app/000000.gz")),
            ),
            (format!("{id}/000000.gz"), None),
            ("a/2025/03/web-app/000000.gz".to_owned(), None),
            ("000000.gz".to_owned(), None),
        ] {
            assert_eq!(parts_of_task(&Path::from(key)), expected);
        }
    }
}
