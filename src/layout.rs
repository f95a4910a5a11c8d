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
//! <location>/<job>/runs/_state/2026-11-21/<run>-0000.json       its pages, with more than a few log groups
//! ```

pub mod cloudwatch;

use std::borrow::Cow;

use object_store::path::Path;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::error::{Error, Result};
use crate::job::Location;
use crate::window::{Size, Window};

/// What a log group's or stream's name keeps of itself in a key; every other byte is percent-encoded, the slash too.
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

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

/// The folder of the pages of the window's state at `state`.
pub fn state_pages(state: &Path) -> Path {
    let folder = state.as_ref();
    join(
        &Path::default(),
        folder.strip_suffix(".json").unwrap_or(folder),
    )
}

/// A page of the window's state at `state`.
pub fn state_page(state: &Path, name: &str) -> Path {
    join(&state_pages(state), &format!("{name}.json"))
}

/// The name of a page of the window's state at `state`; `None` where the key is none.
pub fn parse_state_page<'a>(state: &Path, key: &'a Path) -> Option<&'a str> {
    parse_window_id(&state_pages(state), key)
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
    use super::cloudwatch::{exported_object, holds_events};
    use super::*;
    use proptest::prelude::*;

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
}
