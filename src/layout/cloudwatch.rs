//! CloudWatch's own layout of an export: the objects of an export task, their streams, and the lines in them.

use std::cmp::Ordering;
use std::io::Write;
use std::sync::Arc;

use chrono::{DateTime, Datelike, Utc};
use object_store::ObjectMeta;
use object_store::path::Path;
use percent_encoding::utf8_percent_encode;

use super::{NAME, Origin, encode_name, join};
use crate::error::{Class, Error, Result};
use crate::job::split_group_arn;
use crate::window::Range;

/// The object that CloudWatch writes to test its permission. It has no log data and is not gzip.
pub const WRITE_TEST: &str = "aws-logs-write-test";

/// What an object holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ObjectFormat {
    /// Lines as CloudWatch exports them.
    #[default]
    Export,
    /// Records of a subscription, which name their own log groups and streams.
    Records,
    /// A message on each line, without its time: that of its arrival stands for it.
    Messages {
        /// Milliseconds since 1970-01-01T00:00Z.
        arrived_ms: i64,
    },
}

/// An exported object and what its key says about its events.
///
/// A window may have a million of them, so what neighbours in a listing have in common is in memory once, and a clone
/// shares its texts.
#[derive(Debug, Clone, PartialEq)]
pub struct LogObject {
    /// The key up to the folder of the stream.
    pub(crate) place: Arc<str>,
    /// The rest of the key: the stream's folder and the object's name.
    pub(crate) name: Arc<str>,
    /// Its compressed bytes.
    pub size: u64,
    /// When it was written.
    pub last_modified: DateTime<Utc>,
    /// Its ETag.
    pub e_tag: Option<Arc<str>>,
    /// The log group, of a linked account by its ARN; `None` where it is not known.
    pub log_group: Option<Arc<str>>,
    /// The account and Region of the log group, where they are known.
    pub origin: Option<Arc<Origin>>,
    /// Only events in this range count; all of them where unset.
    pub range: Option<Range>,
    /// The times that were asked of its export task, where they are known: no event has another one.
    pub requested: Option<Arc<Range>>,
    /// What it holds.
    pub format: ObjectFormat,
}

impl LogObject {
    /// The object as one of this log group; `None` where it holds no events.
    pub fn new(meta: &ObjectMeta, log_group: Option<&str>) -> Option<Self> {
        Self::behind(None, meta, log_group)
    }

    /// The same for an object of a listing, which has much in common with the one before it.
    pub fn behind(
        before: Option<&Self>,
        meta: &ObjectMeta,
        log_group: Option<&str>,
    ) -> Option<Self> {
        holds_events(&meta.location)
            .then(|| Self::in_format(ObjectFormat::Export, before, meta, log_group))
    }

    /// The same for an object of any name that holds something else than an export.
    pub fn in_format(
        format: ObjectFormat,
        before: Option<&Self>,
        meta: &ObjectMeta,
        log_group: Option<&str>,
    ) -> Self {
        let key = meta.location.as_ref();
        let place = key
            .rmatch_indices('/')
            .nth(1)
            .map_or(0, |(slash, _)| slash + 1);
        let (place, name) = key.split_at(place);
        let shared = |text: &str, known: Option<&Arc<str>>| match known {
            Some(known) if **known == *text => Arc::clone(known),
            _ => Arc::from(text),
        };
        let known_group = before.and_then(|before| before.log_group.as_ref());
        Self {
            place: shared(place, before.map(|before| &before.place)),
            name: name.into(),
            size: meta.size,
            last_modified: meta.last_modified,
            e_tag: meta.e_tag.as_deref().map(Arc::from),
            log_group: log_group.map(|group| shared(group, known_group)),
            origin: None,
            range: None,
            requested: None,
            format,
        }
    }

    /// The name of the log group, also where it is known by its ARN.
    pub fn group_name(&self) -> Option<&str> {
        let group = self.log_group.as_deref()?;
        Some(split_group_arn(group).map_or(group, |(_, name)| name))
    }

    /// Its key.
    pub fn key(&self) -> Path {
        join(&Path::default(), &format!("{}{}", self.place, self.name))
    }

    /// The order of keys.
    pub fn cmp_key(&self, other: &Self) -> Ordering {
        match Arc::ptr_eq(&self.place, &other.place) {
            true => self.name.cmp(&other.name),
            false => self.key_bytes().cmp(other.key_bytes()),
        }
    }

    /// Sorts the objects of a window by log group, log stream and key: the order in which a query without a sort has their
    /// events, and that of archives.
    pub fn sort_by_stream(objects: &mut [Self]) {
        objects.sort_by(Self::cmp_key);
        objects.sort_by_cached_key(|object| (object.log_group.clone(), object.log_stream()));
    }

    /// Its key against a key.
    pub fn cmp_to(&self, key: &Path) -> Ordering {
        self.key_bytes().cmp(key.as_ref().bytes())
    }

    fn key_bytes(&self) -> impl Iterator<Item = u8> {
        self.place.bytes().chain(self.name.bytes())
    }

    /// Its key, size and ETag, as a store lists them.
    pub fn meta(&self) -> ObjectMeta {
        ObjectMeta {
            location: self.key(),
            last_modified: self.last_modified,
            size: self.size,
            e_tag: self.e_tag.as_deref().map(str::to_owned),
            version: None,
        }
    }

    /// The log stream: see [`stream_of`]. Empty where the key does not say it.
    pub fn log_stream(&self) -> String {
        if self.format != ObjectFormat::Export {
            return String::new();
        }
        let folder = self.name.rsplit_once('/').map(|(folder, _)| folder);
        folder.map(stream_of_folder).unwrap_or_default()
    }

    /// The key of an object of an export task in three parts: before the task's id, the id, and after it (the stream's
    /// folder and the object's name). `None` where the key has no such id in its place.
    pub fn parts_of_task(&self) -> Option<(&str, &str, &str)> {
        let place = self.place.strip_suffix('/')?;
        let id = place.rfind('/').map_or(0, |slash| slash + 1);
        let (before, task) = place.split_at(id);
        uuid::Uuid::try_parse(task).ok()?;
        Some((before, task, &self.name))
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
pub fn stream_of(key: &Path) -> Option<String> {
    key.as_ref().rsplit('/').nth(1).map(stream_of_folder)
}

/// CloudWatch replaces the slashes of a name with hyphens. The names of Lambda's streams
/// (`2026/11/21/[$LATEST]<32 hex digits>`, or with the function's name before the bracket) have a known form and get
/// their slashes back. Any other name stays as it was exported, since its hyphens may be its own.
fn stream_of_folder(folder: &str) -> String {
    // Pieces of events, and exports of a folder, have these names encoded: no key can hold them.
    let folder = match folder {
        "%2E" => ".",
        "%2E%2E" => "..",
        folder => folder,
    };
    restore_lambda_stream(folder).unwrap_or_else(|| folder.to_owned())
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
    let (version, environment) = version.split_once(']')?;
    let in_brackets = environment
        .strip_prefix('[')
        .and_then(|id| id.strip_suffix(']'));
    let is_name = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    let is_version = !version.is_empty() && is_name(version.strip_prefix('$').unwrap_or(version));
    (is_name(function) && is_version && is_environment(in_brackets.unwrap_or(environment)))
        .then(|| format!("{}/{}/{}/{rest}", &name[..4], &name[5..7], &name[8..10]))
}

/// Whether it is the id of an execution environment: 32 hexadecimal digits, or a GUID.
fn is_environment(id: &str) -> bool {
    matches!(id.len(), 32 | 36) && uuid::Uuid::try_parse(id).is_ok()
}

/// Writes one event as CloudWatch exports it: `2024-02-13T21:01:04.792Z <message>` and a newline.
///
/// An error (damaged) where the timestamp is outside the years 0 to 9999, which this form can't write.
pub fn write_line(
    out: &mut impl Write,
    timestamp_ms: i64,
    message: impl AsRef<[u8]>,
) -> Result<()> {
    let timestamp = DateTime::from_timestamp_millis(timestamp_ms)
        .filter(|at| (0..=9999).contains(&at.year()))
        .ok_or_else(|| {
            Error::damaged(format!(
                "timestamp {timestamp_ms} is outside the years 0 to 9999: expected milliseconds since 1970"
            ))
        })?;
    let write = |out: &mut dyn Write| {
        write!(out, "{} ", timestamp.format("%Y-%m-%dT%H:%M:%S%.3fZ"))?;
        out.write_all(message.as_ref())?;
        out.write_all(b"\n")
    };
    write(out).map_err(|error| {
        Error::new(Class::Output, "could not write an exported line").caused_by(error)
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
                format!("2024-05-01-my.fn[HEAD]{hex}"),
                format!("2024/05/01/my.fn[HEAD]{hex}"),
            ),
            (
                format!("2024-05-01-my_fn[$LATEST.PUBLISHED]{hex}"),
                format!("2024/05/01/my_fn[$LATEST.PUBLISHED]{hex}"),
            ),
            (
                "2024-05-01-[7][0067aa00-67aa-0067-aa00-67aa0067aa00]".into(),
                "2024/05/01/[7][0067aa00-67aa-0067-aa00-67aa0067aa00]".into(),
            ),
            (
                format!("2024-05-01-a b[7]{hex}"),
                format!("2024-05-01-a b[7]{hex}"),
            ),
            (
                format!("2024-05-01-fn[]{hex}"),
                format!("2024-05-01-fn[]{hex}"),
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
            if matches!(stream, "." | "..") {
                assert_eq!(stream_of(&key).as_deref(), Some(stream));
            }
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

    fn object(key: &str, before: Option<&LogObject>) -> LogObject {
        let meta = ObjectMeta {
            location: Path::from(key),
            last_modified: DateTime::UNIX_EPOCH,
            size: 7,
            e_tag: Some("\"d41d8cd98f00b204e9800998ecf8427e\"".to_owned()),
            version: None,
        };
        let object = LogObject::behind(before, &meta, Some("/ecs/web")).unwrap();
        assert_eq!(object.meta(), meta);
        object
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
            assert_eq!(object(&key, None).parts_of_task(), expected);
        }
    }

    #[test]
    fn neighbours_share_what_is_the_same_and_sort_by_key() {
        let keys = [
            "000000.gz",
            "a/000000.gz",
            "a/b/000000.gz",
            "a/b/c-d/000000.gz",
            "a/b/c/000000.gz",
            "a/b/c/000001.gz",
        ];
        let mut objects: Vec<LogObject> = Vec::new();
        for key in keys {
            objects.push(object(key, objects.last()));
        }
        let streams: Vec<String> = objects.iter().map(LogObject::log_stream).collect();
        assert_eq!(streams, ["", "a", "b", "c-d", "c", "c"]);
        assert!(Arc::ptr_eq(&objects[4].place, &objects[5].place));
        for (one, key) in objects.iter().zip(keys) {
            assert!(Arc::ptr_eq(
                objects[0].log_group.as_ref().unwrap(),
                one.log_group.as_ref().unwrap()
            ));
            for (other, other_key) in objects.iter().zip(keys) {
                assert_eq!(one.cmp_key(other), key.cmp(other_key));
                assert_eq!(one.cmp_to(&other.key()), key.cmp(other_key));
            }
        }
    }
}
