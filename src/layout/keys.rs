//! The keys of what a job puts below its output location: answers, charts, receipts and states.

use object_store::path::Path;
use percent_encoding::utf8_percent_encode;

use super::{NAME, join, parent, relative};
use crate::error::{Error, Result};
use crate::job::{Job, Location};
use crate::window::{Size, Window};

/// The partition column with the local date on which a window begins: of a week its Monday, of a month its first.
pub const DATE: &str = "dt";

/// The partition column with the local hour with which a window of an hour begins, in two digits.
pub const HOUR: &str = "hh";

/// What Hive's readers take for NULL.
pub const NULL_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";

/// The folder of all parts of a job's answers. It is beside those of the answers: readers of a table take every object
/// below its location.
const PARTS: &str = "parts";

/// The hexadecimal digits of a generation.
pub const GENERATION_DIGITS: usize = 16;

/// Makes, and reads, every key below a job's output location. Queries, charts and windows are named as the job names
/// them.
#[derive(Debug, Clone)]
pub struct Keys {
    location: Location,
    root: Path,
    job: String,
}

impl Keys {
    /// Those of the job. An error (usage) where its output location can't be a key.
    pub fn of(job: &Job) -> Result<Self> {
        Self::new(&job.output, job.name.as_str())
    }

    /// Those of the job with this name, below `location`. An error (usage) where that can't be a key.
    pub fn new(location: &Location, job: &str) -> Result<Self> {
        Ok(Self {
            location: location.clone(),
            root: location.key().map_err(Error::usage)?,
            job: job.to_owned(),
        })
    }

    /// A key relative to the output location.
    pub fn relative(&self, key: &Path) -> String {
        relative(&self.root, key)
    }

    fn of_job(&self, rest: &str) -> Path {
        join(&self.root, &format!("{}/{rest}", self.job))
    }

    /// Where a query's answers of all windows are.
    pub fn answers(&self, query: &str) -> Location {
        self.location.below(&self.job).below(query)
    }

    /// The folder of a query's answers of all windows.
    pub fn answers_folder(&self, query: &str) -> Path {
        self.of_job(query)
    }

    /// The folder of a query's answer for a window.
    pub fn answer_folder(&self, query: &str, window: &Window) -> Path {
        self.of_job(&format!("{query}/{}", partition(window)))
    }

    /// A query's answer for a window, in one file.
    pub fn answer(&self, query: &str, window: &Window) -> Path {
        join(&self.answer_folder(query, window), &answer_file(query))
    }

    /// The file of a query's answer for a window that has these values in these columns.
    pub fn partitioned_answer<'a>(
        &self,
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
        let window = self.answer_folder(query, window);
        join(&window, &format!("{folders}{}", answer_file(query)))
    }

    /// What those keys have in common for a person: a pattern in which a star stands for a value of each column.
    pub fn partitioned_answers<'a>(
        &self,
        query: &str,
        window: &Window,
        columns: impl IntoIterator<Item = &'a str>,
    ) -> Path {
        let columns = columns.into_iter();
        let folders: String = columns.map(|column| format!("{column}=*/")).collect();
        let window = self.answer_folder(query, window);
        join(&window, &format!("{folders}{}", answer_file(query)))
    }

    /// The columns of the folders that a file of a query's answers is in, those of its window first; `None` where the
    /// key is of no such file.
    pub fn columns_of_answer<'a>(&self, query: &str, key: &'a Path) -> Option<Vec<&'a str>> {
        partition_columns(&self.answers_folder(query), key, &answer_file(query))
    }

    /// The same of a list of an answer's parts.
    pub fn columns_of_parts_list<'a>(&self, query: &str, key: &'a Path) -> Option<Vec<&'a str>> {
        partition_columns(&self.answers_folder(query), key, &parts_list_file(query))
    }

    /// The columns whose values a file of a query's answer for a window has, beside those of the window; `None` where the
    /// key is of no such file.
    pub fn columns_in_window<'a>(
        &self,
        query: &str,
        window: &Window,
        key: &'a Path,
    ) -> Option<Vec<&'a str>> {
        partition_columns(&self.answer_folder(query, window), key, &answer_file(query))
    }

    /// Where the parts of a query's answers of all windows are.
    pub fn parts(&self, query: &str) -> Location {
        self.location.below(&self.job).below(PARTS).below(query)
    }

    /// The folder of the parts of a query's answer for a window.
    pub fn parts_folder(&self, query: &str, window: &Window) -> Path {
        self.of_job(&format!("{PARTS}/{query}/{}", partition(window)))
    }

    /// A part of a query's answer for a window; `generation` is the same for the same answer only.
    pub fn part(&self, query: &str, window: &Window, generation: &str, number: usize) -> Path {
        join(
            &self.parts_folder(query, window),
            &format!("{query}-{generation}-{number:05}.parquet"),
        )
    }

    /// What the keys of an answer's parts have in common for a person: a pattern.
    pub fn part_pattern(&self, query: &str, window: &Window) -> Path {
        join(
            &self.parts_folder(query, window),
            &format!("{query}-*.parquet"),
        )
    }

    /// Whether the key is one that [`part`](Self::part) makes for this query and window.
    pub fn is_part(&self, query: &str, window: &Window, key: &Path) -> bool {
        let parse = || {
            let rest = key.filename()?.strip_prefix(query)?.strip_prefix('-')?;
            rest.strip_suffix(".parquet")?.split_once('-')
        };
        let is_named_so = parse().is_some_and(|(generation, number)| {
            let is_hex = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
            generation.len() == GENERATION_DIGITS
                && generation.bytes().all(is_hex)
                && number.len() >= 5
                && number.bytes().all(|digit| digit.is_ascii_digit())
        });
        is_named_so && parent(key) == self.parts_folder(query, window)
    }

    /// The list of the parts of a query's answer for a window.
    pub fn parts_list(&self, query: &str, window: &Window) -> Path {
        join(&self.answer_folder(query, window), &parts_list_file(query))
    }

    /// The text of such a list, as Hive's `SymlinkTextInputFormat` reads it: the full URL of each part, a line each.
    pub fn write_parts_list(&self, parts: &[Path]) -> String {
        let url = |part: &Path| match self.location {
            Location::S3 { .. } => self.location.display_key(part),
            Location::Local(_) => format!("file:///{part}"),
        };
        parts.iter().map(|part| url(part) + "\n").collect()
    }

    /// The parts in the text of the list with the key `list`. They are looked for where the parts of its window are now,
    /// whatever the location was when the list was written.
    pub fn read_parts_list(&self, query: &str, list: &Path, text: &str) -> Vec<Path> {
        let partition = relative(&self.answers_folder(query), &parent(list));
        let folder = self.of_job(&format!("{PARTS}/{query}/{partition}"));
        let names = text.lines().filter_map(|line| line.rsplit('/').next());
        let names = names.filter(|name| !name.is_empty());
        names.map(|name| join(&folder, name)).collect()
    }

    /// A chart for a window; `extension` without its dot.
    pub fn chart(&self, query: &str, chart: &str, window: &Window, extension: &str) -> Path {
        self.of_job(&format!(
            "charts/{query}/{chart}-{}.{extension}",
            window.id()
        ))
    }

    /// The copy of the newest window's chart, for links that stay.
    pub fn latest_chart(&self, query: &str, chart: &str, extension: &str) -> Path {
        self.of_job(&format!("charts/{query}/{chart}-latest.{extension}"))
    }

    /// The folder of the job's receipts.
    pub fn receipts(&self) -> Path {
        self.of_job("runs")
    }

    /// The receipt of a window's last run.
    pub fn receipt(&self, window_id: &str) -> Path {
        join(&self.receipts(), &format!("{window_id}.json"))
    }

    /// The folder of the states of the job's windows.
    pub fn states(&self) -> Path {
        join(&self.receipts(), "_state")
    }

    /// The state of a window.
    pub fn state(&self, window_id: &str) -> Path {
        join(&self.states(), &format!("{window_id}.json"))
    }
}

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
fn partition_columns<'a>(folder: &Path, key: &'a Path, file: &str) -> Option<Vec<&'a str>> {
    let below = key.as_ref().strip_prefix(folder.as_ref())?;
    let (folders, name) = below.rsplit_once('/')?;
    let folders = folders.split('/').filter(|folder| !folder.is_empty());
    let columns = folders.map(|folder| folder.split_once('=').map(|(column, _)| column));
    (name == file).then(|| columns.collect::<Option<Vec<_>>>())?
}

/// The file name of a query's answer.
fn answer_file(query: &str) -> String {
    format!("{query}.parquet")
}

/// The file name of the list of an answer's parts.
fn parts_list_file(query: &str) -> String {
    format!("{query}.txt")
}

/// The window's id out of the key of a chart; `latest` out of the key of a copy. `None` where it is another chart's key.
pub fn parse_chart_window<'a>(key: &'a Path, chart: &str, extension: &str) -> Option<&'a str> {
    let name = key.filename()?.strip_prefix(chart)?.strip_prefix('-')?;
    name.strip_suffix(extension)?.strip_suffix('.')
}

/// The window's id out of the key of a receipt in the folder of receipts, or of a state in the folder of states; `None`
/// where the key is none.
pub fn parse_window_id<'a>(folder: &Path, key: &'a Path) -> Option<&'a str> {
    let name = key
        .as_ref()
        .strip_prefix(folder.as_ref())?
        .strip_prefix('/')?;
    name.strip_suffix(".json").filter(|id| !id.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        let s3 = Location::S3 {
            bucket: "acme".into(),
            prefix: Path::parse("x").unwrap(),
        };
        Keys::new(&s3, "j").unwrap()
    }

    fn window(size: Size, id: &str) -> Window {
        Window::parse(size, chrono_tz::Asia::Seoul, id).unwrap()
    }

    #[test]
    fn values_are_folders_that_hive_reads_back() {
        let window = window(Size::Day, "2026-11-21");
        let values = [
            ("log_group", Some("/a b=1")),
            ("word", Some("한글.")),
            ("none", None),
        ];
        let columns = ["log_group", "word", "none"];
        let key = keys().partitioned_answer("q", &window, values);
        assert_eq!(
            key.as_ref(),
            "x/j/q/dt=2026-11-21/log_group=%2Fa%20b%3D1/word=한글./none=__HIVE_DEFAULT_PARTITION__/q.parquet"
        );
        assert_eq!(
            keys().partitioned_answers("q", &window, columns).as_ref(),
            "x/j/q/dt=2026-11-21/log_group=*/word=*/none=*/q.parquet"
        );
        let of = |key: &Path| {
            let columns = keys().columns_in_window("q", &window, key)?;
            Some(columns.into_iter().map(str::to_owned).collect::<Vec<_>>())
        };
        assert_eq!(of(&key), Some(columns.map(str::to_owned).to_vec()));
        assert_eq!(of(&keys().answer("q", &window)), Some(vec![]));
        for other in ["a/q.parquet", "other.parquet", "q.txt"] {
            let key = join(&keys().answer_folder("q", &window), other);
            assert_eq!(of(&key), None);
        }
    }

    #[test]
    fn the_columns_of_an_answer_begin_with_those_of_its_window() {
        let window = window(Size::Hour, "2026-11-21T05");
        let key = keys().partitioned_answer("q", &window, [("word", Some("a"))]);
        let columns = keys().columns_of_answer("q", &key);
        assert_eq!(columns, Some(vec!["dt", "hh", "word"]));
        assert_eq!(keys().columns_of_parts_list("q", &key), None);
        let list = keys().parts_list("q", &window);
        assert_eq!(keys().columns_of_answer("q", &list), None);
        let columns = keys().columns_of_parts_list("q", &list);
        assert_eq!(columns, Some(vec!["dt", "hh"]));
    }

    #[test]
    fn parts_are_listed_and_found_again() {
        let window = window(Size::Hour, "2026-11-21T05");
        let key = keys().part("q", &window, "00112233445566ff", 7);
        assert_eq!(
            key.as_ref(),
            "x/j/parts/q/dt=2026-11-21/hh=05/q-00112233445566ff-00007.parquet"
        );
        assert_eq!(
            keys().part_pattern("q", &window).as_ref(),
            "x/j/parts/q/dt=2026-11-21/hh=05/q-*.parquet"
        );
        let list = keys().parts_list("q", &window);
        assert_eq!(list.as_ref(), "x/j/q/dt=2026-11-21/hh=05/q.txt");
        let one = std::slice::from_ref(&key);
        let text = keys().write_parts_list(one);
        assert_eq!(text, format!("s3://acme/{key}\n"));
        assert_eq!(keys().read_parts_list("q", &list, &text), one);
        let moved = Keys::new(&Location::Local("/y".into()), "j").unwrap();
        let list = moved.parts_list("q", &window);
        let there = [moved.part("q", &window, "00112233445566ff", 7)];
        assert_eq!(moved.read_parts_list("q", &list, &text), there);
        assert_eq!(
            moved.write_parts_list(&there),
            "file:///y/j/parts/q/dt=2026-11-21/hh=05/q-00112233445566ff-00007.parquet\n"
        );
    }

    #[test]
    fn other_files_among_the_parts_are_none() {
        let window = window(Size::Day, "2026-11-21");
        let key = keys().part("q", &window, "00112233445566ff", 7);
        assert!(keys().is_part("q", &window, &key));
        for other in [
            "q.parquet",
            "qq-00112233445566ff-00007.parquet",
            "q-00112233445566FF-00007.parquet",
            "q-00112233445566ff-7.parquet",
            "q-00112233445566ff-00007.txt",
            "a/q-00112233445566ff-00007.parquet",
        ] {
            let key = join(&keys().parts_folder("q", &window), other);
            assert!(!keys().is_part("q", &window, &key), "{other}");
        }
    }

    #[test]
    fn answers_of_hours_are_partitions_of_two_levels() {
        let answer = |size, id| keys().answer("q", &window(size, id)).to_string();
        assert_eq!(
            answer(Size::Day, "2026-11-21"),
            "x/j/q/dt=2026-11-21/q.parquet"
        );
        assert_eq!(
            answer(Size::Hour, "2026-11-21T05"),
            "x/j/q/dt=2026-11-21/hh=05/q.parquet"
        );
        assert_eq!(
            answer(Size::Week, "2026-W47"),
            "x/j/q/dt=2026-11-16/q.parquet"
        );
    }

    #[test]
    fn charts_receipts_and_states_are_beside_the_answers_and_say_their_window() {
        let week = window(Size::Week, "2026-W47");
        let chart = keys().chart("q", "c", &week, "png");
        assert_eq!(chart.as_ref(), "x/j/charts/q/c-2026-W47.png");
        assert_eq!(parse_chart_window(&chart, "c", "png"), Some("2026-W47"));
        assert_eq!(parse_chart_window(&chart, "c", "svg"), None);
        let latest = keys().latest_chart("q", "c", "png");
        assert_eq!(parse_chart_window(&latest, "c", "png"), Some("latest"));
        let (receipt, state) = (keys().receipt("2026-W47"), keys().state("2026-W47"));
        assert_eq!(keys().relative(&receipt), "j/runs/2026-W47.json");
        assert_eq!(keys().relative(&state), "j/runs/_state/2026-W47.json");
        let (receipts, states) = (keys().receipts(), keys().states());
        assert_eq!(parse_window_id(&receipts, &receipt), Some("2026-W47"));
        assert_eq!(parse_window_id(&states, &state), Some("2026-W47"));
        assert_eq!(parse_window_id(&receipts, &state), None);
    }
}
