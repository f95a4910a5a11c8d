//! Every key that is read or written and every exported line: encode and decode, in one place.
//!
//! ```text
//! <staging>/<job>/<window>/<group>/attempt=<id>/<task-id>/<stream>/000000.gz
//! <staging>/<job>/<window>/<group>/attempt=<id>/manifest.json
//! <location>/<job>/<query>/dt=2026-11-21/<query>.parquet        (hour windows: dt=…/hh=05)
//! <location>/<job>/charts/<query>/<chart>-2026-11-21.png        and <chart>-latest.png
//! <location>/<job>/runs/2026-11-21.json
//! ```

use std::borrow::Cow;

use chrono::DateTime;
use object_store::ObjectMeta;
use object_store::path::Path;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::error::{Error, Result};
use crate::window::{Range, Size, Window};

/// What a log group's or stream's name keeps of itself in a key; every other byte is percent-encoded, the slash too.
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// The object that CloudWatch writes to see whether it may; neither gzip nor log data.
pub const WRITE_TEST: &str = "aws-logs-write-test";

/// The name of the object that lists what a finished export attempt wrote.
pub const MANIFEST: &str = "manifest.json";

const ATTEMPT: &str = "attempt=";

/// A name as one segment of a key or one file name, reversibly.
pub fn encode_name(name: &str) -> String {
    match name {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => utf8_percent_encode(name, NAME).to_string(),
    }
}

/// The name that [`encode_name`] encoded. An error (damaged) where it is no UTF-8.
pub fn decode_name(segment: &str) -> Result<String> {
    percent_decode_str(segment)
        .decode_utf8()
        .map(Cow::into_owned)
        .map_err(|_| Error::damaged(format!("{segment:?} is no percent-encoded UTF-8 name")))
}

/// Appends `/`-separated segments to a key, as they are.
pub fn join(prefix: &Path, rest: &str) -> Path {
    // Every segment that this program makes is free of control characters, dots alone and empty parts.
    let joined = match (prefix.as_ref(), rest) {
        ("", rest) => rest.to_owned(),
        (prefix, "") => prefix.to_owned(),
        (prefix, rest) => format!("{prefix}/{rest}"),
    };
    Path::parse(&joined).unwrap_or_else(|_| Path::from(joined))
}

/// Everything that exports of this job wrote.
pub fn staging_of_job(staging: &Path, job: &str) -> Path {
    join(staging, job)
}

/// Everything that exports of this job and window wrote.
pub fn staging_of_window(staging: &Path, job: &str, window_id: &str) -> Path {
    join(staging, &format!("{job}/{window_id}"))
}

/// Everything that one attempt at exporting a log group writes; for CloudWatch the destination prefix.
pub fn attempt(staging: &Path, job: &str, window_id: &str, group: &str, id: &str) -> Path {
    let window = staging_of_window(staging, job, window_id);
    join(&window, &format!("{}/{ATTEMPT}{id}", encode_name(group)))
}

/// Where an attempt's manifest is.
pub fn manifest(attempt: &Path) -> Path {
    join(attempt, MANIFEST)
}

/// Whether the object is the manifest of an attempt.
pub fn is_manifest(key: &Path) -> bool {
    let mut segments = key.as_ref().rsplit('/');
    segments.next() == Some(MANIFEST)
        && segments
            .next()
            .is_some_and(|folder| folder.starts_with(ATTEMPT))
}

/// Whether the object was written by an attempt of this program at an export, complete or not.
pub fn is_in_attempt(key: &Path) -> bool {
    key.as_ref()
        .split('/')
        .any(|segment| segment.starts_with(ATTEMPT))
}

/// The folder that a key is in.
pub fn parent(key: &Path) -> Path {
    let text = key.as_ref();
    join(&Path::default(), &text[..text.rfind('/').unwrap_or(0)])
}

/// An object of an export: below the attempt's prefix, in CloudWatch's own layout.
pub fn exported_object(attempt: &Path, task_id: &str, stream: &str, number: usize) -> Path {
    let stream = exported_stream(stream);
    join(attempt, &format!("{task_id}/{stream}/{number:06}.gz"))
}

/// A stream's name as CloudWatch writes it into a key: `/` becomes `-`.
pub fn exported_stream(stream: &str) -> String {
    stream.replace('/', "-")
}

/// An exported object and what its place says about its events.
#[derive(Debug, Clone, PartialEq)]
pub struct LogObject {
    /// Its key, size and ETag.
    pub meta: ObjectMeta,
    /// The log group, where it is known.
    pub log_group: Option<String>,
    /// The log stream.
    pub log_stream: String,
    /// Only these of its events, where not all of them.
    pub range: Option<Range>,
}

impl LogObject {
    /// `None` where the object is not one that holds events.
    pub fn new(meta: ObjectMeta, log_group: Option<&str>) -> Option<Self> {
        holds_events(&meta.location).then(|| Self {
            log_group: log_group.map(str::to_owned),
            log_stream: stream_of(&meta.location).unwrap_or_default(),
            meta,
            range: None,
        })
    }

    /// Whether events of `range` may be in it.
    pub fn may_have(&self, range: Range) -> bool {
        self.range
            .is_none_or(|own| !own.intersect(range).is_empty())
    }
}

/// Whether the object holds exported events: CloudWatch's write test and neighbours that are not gzip do not.
pub fn holds_events(key: &Path) -> bool {
    key.filename()
        .is_some_and(|name| name.ends_with(".gz") && name != WRITE_TEST)
}

/// The log stream of an exported object, from the folder that it is in; `None` at the root.
///
/// CloudWatch replaces the slashes of a name. Those of Lambda's streams (`2026/11/21/[$LATEST]<32 hex digits>`, or
/// with the function's name before the bracket) have a form of their own and are given back; any other name stays as
/// it was exported, since nobody can tell which of its hyphens were slashes.
pub fn stream_of(key: &Path) -> Option<String> {
    let folder = key.as_ref().rsplit('/').nth(1)?;
    Some(restore_lambda_stream(folder).unwrap_or_else(|| folder.to_owned()))
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

/// One event as CloudWatch exports it: `2024-02-13T21:01:04.792Z <message>` and a newline.
///
/// An error (damaged) where the timestamp is outside the years 0 to 9999, which the form can't write.
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

/// The folder of a query's answer for a window, which is a partition of the Athena table.
fn partition(window: &Window) -> String {
    let date = window.local_date().format("%Y-%m-%d");
    match window.size() {
        Size::Hour => format!("dt={date}/hh={:02}", window.local_hour()),
        _ => format!("dt={date}"),
    }
}

/// A query's answer for a window.
pub fn answer(location: &Path, job: &str, query: &str, window: &Window) -> Path {
    join(
        location,
        &format!("{job}/{query}/{}/{query}.parquet", partition(window)),
    )
}

/// A chart for a window; `extension` without its dot.
pub fn chart(
    location: &Path,
    job: &str,
    query: &str,
    chart: &str,
    window: &Window,
    extension: &str,
) -> Path {
    join(
        location,
        &format!("{job}/charts/{query}/{chart}-{}.{extension}", window.id()),
    )
}

/// The copy of the newest window's chart, for links that stay.
pub fn latest_chart(location: &Path, job: &str, query: &str, chart: &str, extension: &str) -> Path {
    join(
        location,
        &format!("{job}/charts/{query}/{chart}-latest.{extension}"),
    )
}

/// Where a job's receipts are.
pub fn receipts(location: &Path, job: &str) -> Path {
    join(location, &format!("{job}/runs"))
}

/// The receipt of a window's last run.
pub fn receipt(location: &Path, job: &str, window_id: &str) -> Path {
    join(&receipts(location, job), &format!("{window_id}.json"))
}

/// The window's id out of a receipt's key; `None` where the key is no receipt's.
pub fn parse_receipt<'a>(receipts: &Path, key: &'a Path) -> Option<&'a str> {
    let name = key
        .as_ref()
        .strip_prefix(receipts.as_ref())?
        .strip_prefix('/')?;
    name.strip_suffix(".json").filter(|id| !id.contains('/'))
}

/// A key without the prefix and the slash behind it.
pub fn relative(prefix: &Path, key: &Path) -> String {
    let rest = key
        .as_ref()
        .strip_prefix(prefix.as_ref())
        .unwrap_or(key.as_ref());
    rest.trim_start_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
    fn answers_of_hours_are_partitions_of_two_levels() {
        let zone = "Asia/Seoul".parse().unwrap();
        let day = Window::parse(Size::Day, zone, "2026-11-21").unwrap();
        let hour = Window::parse(Size::Hour, zone, "2026-11-21T05").unwrap();
        let week = Window::parse(Size::Week, zone, "2026-W47").unwrap();
        let root = Path::parse("x").unwrap();
        assert_eq!(
            answer(&root, "j", "q", &day).as_ref(),
            "x/j/q/dt=2026-11-21/q.parquet"
        );
        assert_eq!(
            answer(&root, "j", "q", &hour).as_ref(),
            "x/j/q/dt=2026-11-21/hh=05/q.parquet"
        );
        assert_eq!(
            answer(&root, "j", "q", &week).as_ref(),
            "x/j/q/dt=2026-11-16/q.parquet"
        );
        assert_eq!(
            chart(&root, "j", "q", "c", &week, "png").as_ref(),
            "x/j/charts/q/c-2026-W47.png"
        );
    }

    proptest! {
        #[test]
        fn names_round_trip_through_keys(name in "\\PC{1,40}") {
            let encoded = encode_name(&name);
            prop_assert!(!encoded.contains('/'));
            let key = format!("a/{encoded}/b");
            prop_assert!(Path::parse(&key).is_ok());
            prop_assert_eq!(decode_name(&encoded).unwrap(), name);
        }

        #[test]
        fn manifests_are_found_again(group in "[-._/#A-Za-z0-9]{1,60}", id in "[a-z0-9-]{1,20}") {
            let attempt = attempt(&Path::parse("stage").unwrap(), "job", "2026-11-21", &group, &id);
            let manifest = manifest(&attempt);
            prop_assert!(is_manifest(&manifest) && is_in_attempt(&manifest) && !is_manifest(&attempt));
            let folder = parent(&parent(&manifest));
            prop_assert_eq!(decode_name(folder.filename().unwrap()).unwrap(), group);
        }
    }
}
