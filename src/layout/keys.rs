//! The keys of what a job puts below its output location: answers, charts, receipts and states.

use object_store::path::Path;

use super::answer_keys::{
    AnswerKeys, PARTS, answer_file, columns_of_numbered, partition_columns, parts_list_file,
};
use super::{join, parent, relative};
use crate::error::{Error, Result};
use crate::job::{Job, Location};
use crate::window::Window;

/// Makes, and reads, every key below a job's output location. Queries, charts and windows are named as the job names
/// them.
#[derive(Debug, Clone)]
pub struct Keys {
    location: Location,
    root: Path,
    job: String,
}

impl Keys {
    /// The keys of the job. An error (usage) where its output location can't be a key.
    pub fn of(job: &Job) -> Result<Self> {
        Self::new(&job.output, job.name.as_str())
    }

    /// The keys of the job with this name, below `location`. An error (usage) where that can't be a key.
    pub fn new(location: &Location, job: &str) -> Result<Self> {
        Ok(Self {
            location: location.clone(),
            root: location.key().map_err(Error::usage)?,
            job: job.to_owned(),
        })
    }

    /// The output location.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The job's name.
    pub fn job(&self) -> &str {
        &self.job
    }

    /// A key relative to the output location.
    pub fn relative(&self, key: &Path) -> String {
        relative(&self.root, key)
    }

    pub(super) fn of_job(&self, rest: &str) -> Path {
        join(&self.root, &format!("{}/{rest}", self.job))
    }

    /// The location of a query's answers for all windows.
    pub fn answers(&self, query: &str) -> Location {
        self.location.below(&self.job).below(query)
    }

    /// The folder of a query's answers for all windows, as a key.
    pub fn answers_folder(&self, query: &str) -> Path {
        self.of_job(query)
    }

    /// The keys of a query's answer for a window.
    pub fn of_answer<'a>(&'a self, query: &'a str, window: &'a Window) -> AnswerKeys<'a> {
        AnswerKeys::new(self, query, window)
    }

    /// A query's answer for a window, in one file.
    pub fn answer(&self, query: &str, window: &Window) -> Path {
        self.of_answer(query, window).file()
    }

    /// The columns of the folders that a file of a query's answers is in, those of its window first; `None` where the
    /// key is not of such a file.
    pub fn columns_of_answer<'a>(&self, query: &str, key: &'a Path) -> Option<Vec<&'a str>> {
        partition_columns(&self.answers_folder(query), key, &answer_file(query))
    }

    /// The columns of the folders that a numbered file of a query's answers is in; `None` where the key is not of such a
    /// file.
    pub fn columns_of_numbered<'a>(&self, query: &str, key: &'a Path) -> Option<Vec<&'a str>> {
        columns_of_numbered(&self.answers_folder(query), key, query)
    }

    /// The columns of the folders that a list of an answer's parts is in; `None` where the key is not of such a list.
    pub fn columns_of_parts_list<'a>(&self, query: &str, key: &'a Path) -> Option<Vec<&'a str>> {
        partition_columns(&self.answers_folder(query), key, &parts_list_file(query))
    }

    /// The location of the parts of a query's answers for all windows.
    pub fn parts(&self, query: &str) -> Location {
        self.location.below(&self.job).below(PARTS).below(query)
    }

    /// The keys of the parts in the text of the list with the key `list`. Only the names of the parts are taken from
    /// the text, so that answers can be moved to another location.
    pub fn read_parts_list(&self, query: &str, list: &Path, text: &str) -> Vec<Path> {
        let partition = relative(&self.answers_folder(query), &parent(list));
        let folder = self.of_job(&format!("{PARTS}/{query}/{partition}"));
        let names = text.lines().filter_map(|line| line.rsplit('/').next());
        let names = names.filter(|name| !name.is_empty());
        names.map(|name| join(&folder, name)).collect()
    }

    /// A chart for a window; `extension` without its dot.
    pub fn chart(&self, query: &str, chart: &str, window: &Window, extension: &str) -> Path {
        let window_id = window.id();
        self.of_job(&format!("charts/{query}/{chart}-{window_id}.{extension}"))
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

/// The window's id in the key of a chart, or `latest` in the key of its copy; `None` where the key is of another chart.
pub fn parse_chart_window<'a>(key: &'a Path, chart: &str, extension: &str) -> Option<&'a str> {
    let name = key.filename()?.strip_prefix(chart)?.strip_prefix('-')?;
    name.strip_suffix(extension)?.strip_suffix('.')
}

/// The window's id in the key of a receipt in the folder of receipts, or of a state in the folder of states; `None`
/// where the key is of neither.
pub fn parse_window_id<'a>(folder: &Path, key: &'a Path) -> Option<&'a str> {
    let name = key
        .as_ref()
        .strip_prefix(folder.as_ref())?
        .strip_prefix('/')?;
    name.strip_suffix(".json").filter(|id| !id.contains('/'))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Size;

    fn keys() -> Keys {
        Keys::new(&Location::Local("/x".into()), "j").unwrap()
    }

    fn window(size: Size, id: &str) -> Window {
        Window::parse(size, chrono_tz::Asia::Seoul, id).unwrap()
    }

    #[test]
    fn answers_of_hours_are_partitions_of_two_levels() {
        for (size, id, expected) in [
            (Size::Day, "2026-11-21", "x/j/q/dt=2026-11-21/q.parquet"),
            (
                Size::Hour,
                "2026-11-21T05",
                "x/j/q/dt=2026-11-21/hh=05/q.parquet",
            ),
            (Size::Week, "2026-W47", "x/j/q/dt=2026-11-16/q.parquet"),
        ] {
            assert_eq!(keys().answer("q", &window(size, id)).as_ref(), expected);
        }
    }

    #[test]
    fn the_columns_of_an_answer_begin_with_those_of_its_window() {
        let window = window(Size::Hour, "2026-11-21T05");
        let keys = keys();
        let of_answer = keys.of_answer("q", &window);
        let (file, list) = (
            of_answer.file_of([("word", Some("a"))]),
            of_answer.parts_list(),
        );
        let columns = keys.columns_of_answer("q", &file);
        assert_eq!(columns, Some(vec!["dt", "hh", "word"]));
        assert_eq!(keys.columns_of_parts_list("q", &file), None);
        assert_eq!(keys.columns_of_answer("q", &list), None);
        let columns = keys.columns_of_parts_list("q", &list);
        assert_eq!(columns, Some(vec!["dt", "hh"]));
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
