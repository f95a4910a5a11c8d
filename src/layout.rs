//! Every key that is read or written and every exported line: encode and decode, in one place.
//!
//! ```text
//! <staging>/<job>/<window>/<group>/attempt=<id>/<task-id>/<stream>/000000.gz
//! <staging>/<job>/<window>/<group>/attempt=<id>/manifest.json
//! <staging>/<job>/<window>/<group>/attempt=<id>/events-<from>-<id>/piece.json    (without an export task)
//! <location>/<job>/<query>/dt=2026-11-21/<query>.parquet        (hour windows: dt=…/hh=05)
//! <location>/<job>/<query>/dt=2026-11-21/<query>.txt            where the answer is in parts: lists them
//! <location>/<job>/parts/<query>/dt=2026-11-21/<query>-<generation>-00000.parquet
//! <location>/<job>/charts/<query>/<chart>-2026-11-21.png        and <chart>-latest.png
//! <location>/<job>/runs/2026-11-21.json                         the receipt
//! <location>/<job>/runs/_state/2026-11-21.json                  the state
//! ```

use std::borrow::Cow;

use chrono::DateTime;
use object_store::ObjectMeta;
use object_store::path::Path;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::error::{Error, Result};
use crate::job::Location;
use crate::window::{Range, Size, Window};

/// What a log group's or stream's name keeps of itself in a key; every other byte is percent-encoded, the slash too.
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// The object that CloudWatch writes to see whether it may; neither gzip nor log data.
pub const WRITE_TEST: &str = "aws-logs-write-test";

/// The name of the object that lists what a finished export attempt wrote.
pub const MANIFEST: &str = "manifest.json";

/// The name of the object that lists what a finished piece of an export without a task wrote.
const PIECE: &str = "piece.json";

const ATTEMPT: &str = "attempt=";

/// What the folder of a piece begins with. Ids of export tasks are hexadecimal digits and hyphens.
const EVENTS: &str = "events-";

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

/// The folder that a piece of an export without a task is written to, in the place of a task's id. `from_ms` is the
/// piece's start, so that pieces are listed in the order of time; `try_id` tells tries at the same piece apart.
pub fn piece_folder(from_ms: i64, try_id: u32) -> String {
    format!("{EVENTS}{from_ms:013}-{try_id:08x}")
}

/// Where the list of what a piece wrote is.
pub fn piece(attempt: &Path, folder: &str) -> Path {
    join(attempt, &format!("{folder}/{PIECE}"))
}

/// Whether the object is the list of what a piece wrote.
pub fn is_piece(key: &Path) -> bool {
    is_in_piece(key) && key.filename() == Some(PIECE)
}

/// Whether the object was written by a piece of an export without a task, whole or not.
pub fn is_in_piece(key: &Path) -> bool {
    let segments: Vec<&str> = key.as_ref().split('/').collect();
    segments
        .windows(2)
        .any(|pair| pair[0].starts_with(ATTEMPT) && pair[1].starts_with(EVENTS))
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

/// A stream's name as CloudWatch writes it into a key: `/` becomes `-`. What no key can hold (names of only a dot or two,
/// control characters) is percent-encoded, and nothing else.
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

/// An object of an export task: what its key has before the task's id, the id, and the stream's folder and the object's name
/// behind it. `None` where no such id is in its place.
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

/// The partition column with the local date on which a window begins: of a week its Monday, of a month its first.
pub const DATE: &str = "dt";

/// The partition column with the local hour with which a window of an hour begins, in two digits.
pub const HOUR: &str = "hh";

/// The columns that the folders of an answer add to it, outermost first.
pub fn partition_keys(size: Size) -> &'static [&'static str] {
    match size {
        Size::Hour => &[DATE, HOUR],
        Size::Day | Size::Week | Size::Month => &[DATE],
    }
}

/// What the folder of a window's answer is called below its query's: a partition of the Athena table.
fn partition(window: &Window) -> String {
    let date = window.local_date().format("%Y-%m-%d");
    match window.size() {
        Size::Hour => format!("{DATE}={date}/{HOUR}={:02}", window.local_hour()),
        _ => format!("{DATE}={date}"),
    }
}

/// The folder of a query's answer for a window.
pub fn answer_folder(location: &Path, job: &str, query: &str, window: &Window) -> Path {
    join(location, &format!("{job}/{query}/{}", partition(window)))
}

/// What Hive's readers take for NULL.
pub const NULL_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";

/// The part of a query's answer for a window that has these values in these columns.
pub fn partitioned_answer<'a>(
    location: &Path,
    job: &str,
    query: &str,
    window: &Window,
    values: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
) -> Path {
    let folders: String = values
        .into_iter()
        .map(|(column, value)| {
            let value = value.map_or_else(|| NULL_PARTITION.to_owned(), partition_value);
            format!("{column}={value}/")
        })
        .collect();
    let window = answer_folder(location, job, query, window);
    join(&window, &format!("{folders}{}", answer_file(query)))
}

/// A value as a folder's name in Hive's way, where each byte that is encoded is a character of its own: so what is not
/// ASCII stays.
fn partition_value(value: &str) -> String {
    let mut name = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            ascii if ascii.is_ascii() => {
                name.extend(utf8_percent_encode(ascii.encode_utf8(&mut [0; 4]), NAME));
            }
            other => name.push(other),
        }
    }
    name
}

/// The columns of the folders between `folder` and a file of this name; `None` where the key is of another file, or in
/// a folder that is no partition.
pub fn partition_columns<'a>(folder: &Path, key: &'a Path, file: &str) -> Option<Vec<&'a str>> {
    let below = key.as_ref().strip_prefix(folder.as_ref())?;
    let (folders, name) = below.rsplit_once('/')?;
    let folders = folders.split('/').filter(|folder| !folder.is_empty());
    let columns = folders.map(|folder| folder.split_once('=').map(|(column, _)| column));
    (name == file).then(|| columns.collect::<Option<Vec<_>>>())?
}

/// The folder of a query's answers, of all windows.
pub fn answers(location: &Location, job: &str, query: &str) -> Location {
    location.below(job).below(query)
}

/// The same as a key.
pub fn answers_folder(location: &Path, job: &str, query: &str) -> Path {
    join(location, &format!("{job}/{query}"))
}

/// The file name of a query's answer.
pub fn answer_file(query: &str) -> String {
    format!("{query}.parquet")
}

/// The folder of all parts of a job's answers. It is beside those of the answers: readers of a table take every object
/// below its location.
pub const PARTS: &str = "parts";

/// The file name of the list of an answer's parts.
pub fn parts_list_file(query: &str) -> String {
    format!("{query}.txt")
}

/// The list of the parts of a query's answer for a window.
pub fn parts_list(location: &Path, job: &str, query: &str, window: &Window) -> Path {
    let folder = answer_folder(location, job, query, window);
    join(&folder, &parts_list_file(query))
}

/// The folder of the parts of a query's answers, of all windows.
pub fn parts(location: &Location, job: &str, query: &str) -> Location {
    location.below(job).below(PARTS).below(query)
}

/// The folder of the parts of a query's answer for a window.
pub fn parts_folder(location: &Path, job: &str, query: &str, window: &Window) -> Path {
    let folder = partition(window);
    join(location, &format!("{job}/{PARTS}/{query}/{folder}"))
}

/// A part of an answer; `generation` is the same for the same answer only.
pub fn part(folder: &Path, query: &str, generation: &str, number: usize) -> Path {
    join(folder, &format!("{query}-{generation}-{number:05}.parquet"))
}

/// The hexadecimal digits of a generation.
pub const GENERATION_DIGITS: usize = 16;

/// Whether the key is one that [`part`] makes for this query.
pub fn is_part(key: &Path, query: &str) -> bool {
    let parse = || {
        let rest = key.filename()?.strip_prefix(query)?.strip_prefix('-')?;
        rest.strip_suffix(".parquet")?.split_once('-')
    };
    parse().is_some_and(|(generation, number)| {
        let is_hex = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
        generation.len() == GENERATION_DIGITS
            && generation.bytes().all(is_hex)
            && number.len() >= 5
            && number.bytes().all(|digit| digit.is_ascii_digit())
    })
}

/// The list of an answer's parts as Hive's `SymlinkTextInputFormat` reads it: the full URL of each, a line each.
pub fn write_parts_list(location: &Location, parts: &[Path]) -> String {
    let url = |part: &Path| match location {
        Location::S3 { .. } => location.display_key(part),
        Location::Local(_) => format!("file:///{part}"),
    };
    parts.iter().map(|part| url(part) + "\n").collect()
}

/// The parts in such a list, which are in the folder `parts` wherever that was when the list was written.
pub fn read_parts_list(list: &str, parts: &Path) -> Vec<Path> {
    let names = list.lines().filter_map(|line| line.rsplit('/').next());
    let names = names.filter(|name| !name.is_empty());
    names.map(|name| join(parts, name)).collect()
}

/// The folder of the parts whose list has this key; `folder` is the one of the query's answers.
pub fn parts_of_list(location: &Path, job: &str, query: &str, list: &Path) -> Path {
    let answers = answers_folder(location, job, query);
    let partition = relative(&answers, &parent(list));
    join(location, &format!("{job}/{PARTS}/{query}/{partition}"))
}

/// A query's answer for a window.
pub fn answer(location: &Path, job: &str, query: &str, window: &Window) -> Path {
    let folder = answer_folder(location, job, query, window);
    join(&folder, &answer_file(query))
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

/// The window's id out of the key of a chart; `latest` out of the key of a copy. `None` where it is another chart's key.
pub fn parse_chart_window<'a>(key: &'a Path, chart: &str, extension: &str) -> Option<&'a str> {
    let name = key.filename()?.strip_prefix(chart)?.strip_prefix('-')?;
    name.strip_suffix(extension)?.strip_suffix('.')
}

/// Where a job's receipts are.
pub fn receipts(location: &Path, job: &str) -> Path {
    join(location, &format!("{job}/runs"))
}

/// The receipt of a window's last run.
pub fn receipt(location: &Path, job: &str, window_id: &str) -> Path {
    join(&receipts(location, job), &format!("{window_id}.json"))
}

/// The window's id out of the key of a receipt in the folder `receipts`, or of a state in the folder of states; `None`
/// where the key is none.
pub fn parse_window_id<'a>(folder: &Path, key: &'a Path) -> Option<&'a str> {
    let name = key
        .as_ref()
        .strip_prefix(folder.as_ref())?
        .strip_prefix('/')?;
    name.strip_suffix(".json").filter(|id| !id.contains('/'))
}

/// Where the states of a job's windows are.
pub fn states(location: &Path, job: &str) -> Path {
    join(&receipts(location, job), "_state")
}

/// The state of a window.
pub fn state(location: &Path, job: &str, window_id: &str) -> Path {
    join(&states(location, job), &format!("{window_id}.json"))
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
    fn pieces_are_told_from_tasks() {
        let attempt = attempt(&Path::parse("s").unwrap(), "j", "2026-11-21", "/g", "1");
        let folder = piece_folder(1_763_683_200_000, 0xab);
        assert_eq!(folder, "events-1763683200000-000000ab");
        let piece = piece(&attempt, &folder);
        let own = exported_object(&attempt, &folder, "a", 0);
        let tasks = exported_object(&attempt, "e37ac5c7-0000-4000-8000-000000000000", "a", 0);
        let stream = exported_object(&attempt, "e37ac5c7", "events-of-web", 0);
        assert!(is_piece(&piece) && !holds_events(&piece) && !is_manifest(&piece));
        assert!(is_in_piece(&own) && !is_piece(&own) && holds_events(&own));
        assert!(!is_in_piece(&tasks) && !is_in_piece(&stream));
    }

    #[test]
    fn any_streams_name_stays_below_its_attempt() {
        let attempt = attempt(
            &Path::parse("s").unwrap(),
            "j",
            "2026-11-21",
            "/ecs/web",
            "1",
        );
        for (stream, expected) in [
            (".", "%2E"),
            ("..", "%2E%2E"),
            ("a\tb\u{7f}", "a%09b%7F"),
            ("web/[$LATEST] 100% 한글~", "web-[$LATEST] 100% 한글~"),
        ] {
            let key = exported_object(&attempt, "task", stream, 0);
            let below = relative(&attempt, &key);
            assert_eq!(below, format!("task/{expected}/000000.gz"), "{stream:?}");
            // Once encoded, it stays as it is.
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
    fn values_are_folders_that_hive_reads_back() {
        let window = Window::parse(Size::Day, chrono_tz::Tz::UTC, "2026-11-21").unwrap();
        let root = Path::parse("x").unwrap();
        let values = [
            ("log_group", Some("/a b=1")),
            ("word", Some("한글.")),
            ("none", None),
        ];
        let key = partitioned_answer(&root, "j", "q", &window, values);
        assert_eq!(
            key.as_ref(),
            "x/j/q/dt=2026-11-21/log_group=%2Fa%20b%3D1/word=한글./none=__HIVE_DEFAULT_PARTITION__/q.parquet"
        );
        let folder = answer_folder(&root, "j", "q", &window);
        assert_eq!(
            partition_columns(&folder, &key, "q.parquet"),
            Some(vec!["log_group", "word", "none"])
        );
        let plain = answer(&root, "j", "q", &window);
        assert_eq!(
            partition_columns(&folder, &plain, "q.parquet"),
            Some(vec![])
        );
        for other in ["a/q.parquet", "other.parquet"] {
            let key = join(&folder, other);
            assert_eq!(partition_columns(&folder, &key, "q.parquet"), None);
        }
    }

    #[test]
    fn parts_are_listed_and_found_again() {
        let root = Path::parse("x").unwrap();
        let window = Window::parse(Size::Hour, chrono_tz::Tz::UTC, "2026-11-21T05").unwrap();
        let folder = parts_folder(&root, "j", "q", &window);
        let key = part(&folder, "q", "00112233445566ff", 7);
        assert_eq!(
            key.as_ref(),
            "x/j/parts/q/dt=2026-11-21/hh=05/q-00112233445566ff-00007.parquet"
        );
        let list = parts_list(&root, "j", "q", &window);
        assert_eq!(list.as_ref(), "x/j/q/dt=2026-11-21/hh=05/q.txt");
        assert_eq!(parts_of_list(&root, "j", "q", &list), folder);
        let s3 = Location::S3 {
            bucket: "acme".into(),
            prefix: root,
        };
        let one = std::slice::from_ref(&key);
        let text = write_parts_list(&s3, one);
        assert_eq!(text, format!("s3://acme/{key}\n"));
        let local = write_parts_list(&Location::Local("/x".into()), one);
        assert_eq!(local, format!("file:///{key}\n"));
        assert_eq!(read_parts_list(&text, &folder), one);
        assert!(is_part(&key, "q"));
        for other in [
            "q.parquet",
            "qq-00112233445566ff-00007.parquet",
            "q-00112233445566FF-00007.parquet",
            "q-00112233445566ff-7.parquet",
            "q-00112233445566ff-00007.txt",
        ] {
            assert!(!is_part(&join(&folder, other), "q"), "{other}");
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
