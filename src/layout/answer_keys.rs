//! The keys of one answer: of its one file, of its files by value, or of its parts and their list.

use object_store::path::Path;
use percent_encoding::{percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use super::keys::Keys;
use super::{NAME, join, parent};
use crate::job::Location;
use crate::window::{Size, Window};

/// The partition column with the local date on which a window begins: the Monday of a week, the first day of a month.
pub const DATE: &str = "dt";

/// The partition column with the local hour at which a window of an hour begins, in two digits.
pub const HOUR: &str = "hh";

/// The name of a folder that Hive's readers take for NULL.
pub const NULL_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";

/// The folder of all parts of a job's answers. It is not below the folder of the answers, since readers of a table take
/// every object below its location.
pub(super) const PARTS: &str = "parts";

/// The hexadecimal digits of a generation.
const GENERATION_DIGITS: usize = 16;

/// Makes, and reads, every key of a query's answer for a window.
#[derive(Debug, Clone, Copy)]
pub struct AnswerKeys<'a> {
    keys: &'a Keys,
    query: &'a str,
    window: &'a Window,
}

impl<'a> AnswerKeys<'a> {
    pub(super) fn new(keys: &'a Keys, query: &'a str, window: &'a Window) -> Self {
        Self {
            keys,
            query,
            window,
        }
    }

    /// The keys of the whole job.
    pub fn of_job(&self) -> &'a Keys {
        self.keys
    }

    /// The query's name.
    pub fn query(&self) -> &'a str {
        self.query
    }

    /// The window.
    pub fn window(&self) -> &'a Window {
        self.window
    }

    /// The folder of the answer.
    pub fn folder(&self) -> Path {
        self.in_window(self.query)
    }

    /// The folder of this window in one of the job's folders.
    fn in_window(&self, folder: &str) -> Path {
        self.keys
            .of_job(&format!("{folder}/{}", partition(self.window)))
    }

    /// The answer in one file.
    pub fn file(&self) -> Path {
        join(&self.folder(), &answer_file(self.query))
    }

    /// The file of the rows that have these values in these columns, outermost folder first.
    pub fn file_of<'v>(
        &self,
        values: impl IntoIterator<Item = (&'v str, Option<&'v str>)>,
    ) -> Path {
        let folders = values.into_iter().map(|(column, value)| {
            let value = value.map_or_else(|| NULL_PARTITION.to_owned(), partition_value);
            format!("{column}={value}/")
        });
        self.file_in(folders.collect())
    }

    /// A pattern of the keys that [`file_of`](Self::file_of) makes, for display, with a star for each value.
    pub fn pattern_of_files<'v>(&self, columns: impl IntoIterator<Item = &'v str>) -> Path {
        let columns = columns.into_iter();
        self.file_in(columns.map(|column| format!("{column}=*/")).collect())
    }

    fn file_in(&self, folders: String) -> Path {
        join(&self.folder(), &(folders + &answer_file(self.query)))
    }

    /// A numbered file of the rows that have these values in these columns, outermost folder first.
    pub fn numbered<'v>(
        &self,
        values: impl IntoIterator<Item = (&'v str, Option<&'v str>)>,
        number: usize,
    ) -> Path {
        let file = self.file_of(values);
        join(&parent(&file), &numbered_file(self.query, number))
    }

    /// A pattern of the keys that [`numbered`](Self::numbered) makes, for display.
    pub fn pattern_of_numbered<'v>(&self, columns: impl IntoIterator<Item = &'v str>) -> Path {
        let file = self.pattern_of_files(columns);
        join(&parent(&file), &format!("{}-*.parquet", self.query))
    }

    /// The columns whose values name the folders of a numbered file of the answer; `None` where the key is not of such
    /// a file.
    pub fn columns_of_numbered<'k>(&self, key: &'k Path) -> Option<Vec<&'k str>> {
        columns_of_numbered(&self.folder(), key, self.query)
    }

    /// The columns whose values name the folders of a file of the answer; `None` where the key is not of such a file.
    pub fn columns_of<'k>(&self, key: &'k Path) -> Option<Vec<&'k str>> {
        partition_columns(&self.folder(), key, &answer_file(self.query))
    }

    /// The folder of the answer's parts.
    pub fn parts_folder(&self) -> Path {
        self.in_window(&format!("{PARTS}/{}", self.query))
    }

    /// The keys of the answer's parts, as a value that outlives the job.
    pub fn parts(&self) -> PartKeys {
        PartKeys {
            folder: self.parts_folder(),
            query: self.query.to_owned(),
        }
    }

    /// A part of the answer. Different answers have different generations.
    pub fn part(&self, generation: u64, number: usize) -> Path {
        self.parts().part(generation, number)
    }

    /// A pattern of the keys that [`part`](Self::part) makes, for display.
    pub fn pattern_of_parts(&self) -> Path {
        join(&self.parts_folder(), &format!("{}-*.parquet", self.query))
    }

    /// Whether the key is one that [`part`](Self::part) makes.
    pub fn is_part(&self, key: &Path) -> bool {
        let parse = || {
            let rest = key.filename()?.strip_prefix(self.query)?;
            rest.strip_prefix('-')?
                .strip_suffix(".parquet")?
                .split_once('-')
        };
        let has_its_name = parse().is_some_and(|(generation, number)| {
            let is_hex = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
            generation.len() == GENERATION_DIGITS
                && generation.bytes().all(is_hex)
                && number.len() >= 5
                && number.bytes().all(|digit| digit.is_ascii_digit())
        });
        has_its_name && parent(key) == self.parts_folder()
    }

    /// The list of the answer's parts.
    pub fn parts_list(&self) -> Path {
        join(&self.folder(), &parts_list_file(self.query))
    }

    /// The text of such a list, as Hive's `SymlinkTextInputFormat` reads it: the full URL of each part, a line each.
    pub fn write_parts_list(&self, parts: &[Path]) -> String {
        let location = self.keys.location();
        let url = |part: &Path| match location {
            Location::S3 { .. } => location.display_key(part),
            Location::Local(_) => format!("file:///{part}"),
        };
        parts.iter().map(|part| url(part) + "\n").collect()
    }
}

/// The numbers that the parts of a section may have.
const PARTS_OF_SECTION: usize = 1_000_000;

/// The keys of the parts of one answer. They can be sent to another process, which puts some of the parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartKeys {
    #[serde(with = "as_text")]
    folder: Path,
    query: String,
}

impl PartKeys {
    /// The part of this number. Different answers have different generations.
    pub fn part(&self, generation: u64, number: usize) -> Path {
        let query = &self.query;
        let name = format!("{query}-{generation:0GENERATION_DIGITS$x}-{number:05}.parquet");
        join(&self.folder, &name)
    }

    /// The part of this number in a section. Each section has a range of numbers of its own, so that those who write
    /// different sections need not agree on numbers. `None` behind the last of the range.
    pub fn part_of_section(&self, generation: u64, section: usize, number: usize) -> Option<Path> {
        let number = (number < PARTS_OF_SECTION).then(|| section * PARTS_OF_SECTION + number)?;
        Some(self.part(generation, number))
    }
}

/// A key as text.
mod as_text {
    use object_store::path::Path;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(key: &Path, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(key.as_ref())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Path, D::Error> {
        Path::parse(String::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// The columns that the folders of an answer add to it, outermost first.
pub fn partition_keys(size: Size) -> &'static [&'static str] {
    match size {
        Size::Hour => &[DATE, HOUR],
        Size::Day | Size::Week | Size::Month => &[DATE],
    }
}

/// The name of a window's folder below a query's: a partition of the Athena table.
fn partition(window: &Window) -> String {
    let date = window.local_date().format("%Y-%m-%d");
    match window.size() {
        Size::Hour => format!("{DATE}={date}/{HOUR}={:02}", window.local_hour()),
        _ => format!("{DATE}={date}"),
    }
}

/// A value as Hive names its folder. Hive decodes each encoded byte to a character of its own, so only ASCII is
/// encoded.
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

/// The names and values of the folders `name=value` in a path, as Hive writes them, outermost first; `None` is NULL.
pub fn folder_values(path: &str) -> Vec<(&str, Option<String>)> {
    let folders = path.split('/').filter_map(|folder| folder.split_once('='));
    let values = folders.map(|(name, value)| {
        let value = (value != NULL_PARTITION).then(|| {
            let decoded = percent_decode_str(value).decode_utf8();
            decoded.map_or_else(|_| value.to_owned(), Into::into)
        });
        (name, value)
    });
    values.collect()
}

/// The columns of the folders between `folder` and a file of this name; `None` where the key is of another file, or in
/// a folder that is not a partition.
pub(super) fn partition_columns<'a>(
    folder: &Path,
    key: &'a Path,
    file: &str,
) -> Option<Vec<&'a str>> {
    let below = key.as_ref().strip_prefix(folder.as_ref())?;
    let (folders, name) = below.rsplit_once('/')?;
    let folders = folders.split('/').filter(|folder| !folder.is_empty());
    let columns = folders.map(|folder| folder.split_once('=').map(|(column, _)| column));
    (name == file).then(|| columns.collect::<Option<Vec<_>>>())?
}

/// The columns of the folders between `folder` and a numbered file of a query's answer.
pub(super) fn columns_of_numbered<'a>(
    folder: &Path,
    key: &'a Path,
    query: &str,
) -> Option<Vec<&'a str>> {
    let name = key.filename()?;
    let number = name.strip_prefix(query)?.strip_prefix('-')?;
    let number: usize = number.strip_suffix(".parquet")?.parse().ok()?;
    partition_columns(folder, key, &numbered_file(query, number))
}

/// The name of one of the numbered files of a query's answer.
fn numbered_file(query: &str, number: usize) -> String {
    format!("{query}-{number:05}.parquet")
}

/// The file name of a query's answer.
pub(super) fn answer_file(query: &str) -> String {
    format!("{query}.parquet")
}

/// The file name of the list of an answer's parts.
pub(super) fn parts_list_file(query: &str) -> String {
    format!("{query}.txt")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENERATION: u64 = 0x0011_2233_4455_66ff;

    fn keys(location: &str) -> Keys {
        let location = Location::parse(location, "/".as_ref()).unwrap();
        Keys::new(&location, "j").unwrap()
    }

    fn window(size: Size, id: &str) -> Window {
        Window::parse(size, chrono_tz::Asia::Seoul, id).unwrap()
    }

    #[test]
    fn values_are_folders_that_hive_reads_back() {
        let (keys, window) = (keys("s3://acme/x"), window(Size::Day, "2026-11-21"));
        let answer = keys.of_answer("q", &window);
        let columns = ["log_group", "word", "none"];
        let values = [Some("/a b=1"), Some("한글."), None];
        let key = answer.file_of(columns.into_iter().zip(values));
        assert_eq!(
            key.as_ref(),
            "x/j/q/dt=2026-11-21/log_group=%2Fa%20b%3D1/word=한글./none=__HIVE_DEFAULT_PARTITION__/q.parquet"
        );
        assert_eq!(
            answer.pattern_of_files(columns).as_ref(),
            "x/j/q/dt=2026-11-21/log_group=*/word=*/none=*/q.parquet"
        );
        assert_eq!(answer.columns_of(&key), Some(columns.to_vec()));
        assert_eq!(answer.columns_of(&answer.file()), Some(vec![]));
        for other in ["a/q.parquet", "other.parquet", "q.txt"] {
            let key = join(&answer.folder(), other);
            assert_eq!(answer.columns_of(&key), None, "{other}");
        }
    }

    #[test]
    fn parts_are_listed_and_found_again() {
        let (s3, window) = (keys("s3://acme/x"), window(Size::Hour, "2026-11-21T05"));
        let answer = s3.of_answer("q", &window);
        let parts = [answer.part(GENERATION, 7)];
        let key = "x/j/parts/q/dt=2026-11-21/hh=05/q-00112233445566ff-00007.parquet";
        assert_eq!(parts[0].as_ref(), key);
        let pattern = "x/j/parts/q/dt=2026-11-21/hh=05/q-*.parquet";
        assert_eq!(answer.pattern_of_parts().as_ref(), pattern);
        let list = answer.parts_list();
        assert_eq!(list.as_ref(), "x/j/q/dt=2026-11-21/hh=05/q.txt");
        let text = answer.write_parts_list(&parts);
        assert_eq!(text, format!("s3://acme/{key}\n"));
        assert_eq!(s3.read_parts_list("q", &list, &text), parts);

        // The same answers, copied to a disk.
        let disk = keys("/y");
        let answer = disk.of_answer("q", &window);
        let parts = [answer.part(GENERATION, 7)];
        assert_eq!(
            answer.write_parts_list(&parts),
            format!("file:///{}\n", key.replacen('x', "y", 1))
        );
        let found = disk.read_parts_list("q", &answer.parts_list(), &text);
        assert_eq!(found, parts);
    }

    #[test]
    fn numbered_files_are_in_the_folder_of_their_values() {
        let (keys, window) = (keys("s3://acme/x"), window(Size::Hour, "2026-11-21T05"));
        let answer = keys.of_answer("events", &window);
        let key = answer.numbered([], 7);
        assert_eq!(
            key.as_ref(),
            "x/j/events/dt=2026-11-21/hh=05/events-00007.parquet"
        );
        assert_eq!(answer.columns_of_numbered(&key), Some(vec![]));
        assert_eq!(answer.columns_of(&key), None);
        let of_group = answer.numbered([("log_group", Some("/a"))], 123_456);
        assert_eq!(
            of_group.as_ref(),
            "x/j/events/dt=2026-11-21/hh=05/log_group=%2Fa/events-123456.parquet"
        );
        let columns = answer.columns_of_numbered(&of_group);
        assert_eq!(columns, Some(vec!["log_group"]));
        let found = keys.columns_of_numbered("events", &of_group);
        assert_eq!(found, Some(vec!["dt", "hh", "log_group"]));
        for other in [
            "events-7.parquet",
            "events.parquet",
            "events-00007.txt",
            "a/events-00007.parquet",
        ] {
            let key = join(&answer.folder(), other);
            assert_eq!(answer.columns_of_numbered(&key), None, "{other}");
        }
    }

    #[test]
    fn parts_of_different_sections_have_different_keys() {
        let (keys, window) = (keys("s3://acme/x"), window(Size::Day, "2026-11-21"));
        let answer = keys.of_answer("q", &window);
        let sent = serde_json::to_string(&answer.parts()).unwrap();
        let parts: PartKeys = serde_json::from_str(&sent).unwrap();
        assert_eq!(parts, answer.parts());
        let part = |section, number| parts.part_of_section(GENERATION, section, number);
        assert_eq!(part(0, 7), Some(answer.part(GENERATION, 7)));
        let last = part(0, PARTS_OF_SECTION - 1).unwrap();
        let next = part(1, 0).unwrap();
        assert!(last != next && answer.is_part(&last) && answer.is_part(&next));
        assert_eq!(part(0, PARTS_OF_SECTION), None);
    }

    #[test]
    fn other_files_among_the_parts_are_not_parts() {
        let (keys, window) = (keys("s3://acme/x"), window(Size::Day, "2026-11-21"));
        let answer = keys.of_answer("q", &window);
        assert!(answer.is_part(&answer.part(GENERATION, 7)));
        assert!(answer.is_part(&answer.part(0, 123_456)));
        for other in [
            "q.parquet",
            "qq-00112233445566ff-00007.parquet",
            "q-00112233445566FF-00007.parquet",
            "q-00112233445566ff-7.parquet",
            "q-00112233445566ff-00007.txt",
            "a/q-00112233445566ff-00007.parquet",
        ] {
            let key = join(&answer.parts_folder(), other);
            assert!(!answer.is_part(&key), "{other}");
        }
    }
}
