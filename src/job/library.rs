//! The library of built-in queries: the files of `sql/`, each with a header that says what it answers.
//!
//! A job takes one by `use = "NAME"`, an ad-hoc query by `@NAME`.

mod header;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

pub use header::{Described, Header, Parameter};

use super::checked::{Name, nearest};
use super::job_text::Wrong;
use super::lookup::ParameterValue;
use super::spec::ChartSpec;
use super::{Chart, Language, charts};
use crate::window::Size;

/// The text of each file, by its name.
macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../sql/", $name, ".sql")))),*]
    };
}

/// In the order in which they are listed: of all logs, of errors and patterns, of Lambda, of access logs.
const FILES: [(&str, &str); 28] = files![
    "hourly_count",
    "hour_of_day",
    "weekday_hours",
    "hourly_levels",
    "volume",
    "silent_groups",
    "silent_streams",
    "request_trace",
    "top_patterns",
    "pattern_changes",
    "patterns",
    "new_patterns",
    "growing_patterns",
    "hourly_errors",
    "hourly_errors_by_group",
    "exceptions",
    "top_errors",
    "hourly_latency",
    "lambda_latency",
    "slowest_requests",
    "timeouts",
    "hourly_cold_starts",
    "cold_starts",
    "memory_headroom",
    "gb_seconds",
    "hourly_status",
    "status_codes",
    "endpoints",
];

static LIBRARY: LazyLock<Vec<BuiltIn>> = LazyLock::new(|| {
    let queries = FILES.iter().map(|(name, sql)| BuiltIn {
        name,
        sql,
        header: Header::of(sql),
    });
    queries.collect()
});

/// A query of the library.
#[derive(Debug)]
pub struct BuiltIn {
    /// Its name.
    pub name: &'static str,
    /// Its text, the header included.
    pub sql: &'static str,
    /// What its header says.
    pub header: Header,
}

/// Comments that queries of the library had when receipts first held a hash of their texts.
const FIRST_COMMENTS: [(&str, &str); 4] = [
    (
        "hourly_count",
        "-- Events in each local hour of the window; empty hours count zero, an hour that a clock change repeats stays two.\n",
    ),
    (
        "hourly_errors",
        "-- Events, errors, and events that state no level in each local hour of the window; hours without any count zero.\n",
    ),
    (
        "hourly_latency",
        "-- Calls of Lambda functions and percentiles of how long they took, in milliseconds, in each local hour of the window;\n\
         -- an hour without any has NULLs.\n",
    ),
    (
        "hourly_levels",
        "-- Events of each level in each local hour of the window, NULL being those that state none, which no_level counts once\n\
         -- more; an hour without any has a row of zero.\n",
    ),
];

/// A query's text as hashes have it. Of a query of the library, what its header says beyond the summary is left out: it
/// decides no answer, and better words for a column are no other query.
pub fn hashed_text(sql: &str) -> Cow<'_, str> {
    let Some(query) = library().iter().find(|query| query.sql == sql) else {
        return sql.into();
    };
    let (summary, query_text) = header::split(sql);
    let first = FIRST_COMMENTS.iter().find(|(name, _)| *name == query.name);
    format!(
        "{}{query_text}",
        first.map_or(summary, |(_, comment)| comment)
    )
    .into()
}

/// All queries of the library, in the order in which they are listed.
pub fn library() -> &'static [BuiltIn] {
    &LIBRARY
}

/// The names of the queries.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}

impl BuiltIn {
    /// The query of a name; the error lists the names, with the nearest one.
    pub fn find(name: &str) -> Result<&'static Self, String> {
        let found = LIBRARY.iter().find(|query| query.name == name);
        found.ok_or_else(|| {
            let hint = nearest(name, names())
                .map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
            let known: Vec<&str> = names().collect();
            format!("expected one of {}{hint}", known.join(", "))
        })
    }

    /// What an error calls it.
    pub fn origin(&self) -> String {
        format!("the built-in {}", self.name)
    }

    /// The parameters of a job's query, with the defaults of those that it does not set. An error is what it has to set.
    pub(super) fn with_defaults(
        &self,
        mut params: BTreeMap<String, ParameterValue>,
    ) -> Result<BTreeMap<String, ParameterValue>, String> {
        for parameter in &self.header.parameters {
            let name = &parameter.name;
            if params.contains_key(name) {
                continue;
            }
            let Some(default) = &parameter.default else {
                return Err(format!(
                    "[[query]] use = {:?} needs [query.params] {name}: {}",
                    self.name, parameter.about
                ));
            };
            let value = ParameterValue {
                text: default.clone(),
                is_text: false,
            };
            params.insert(name.clone(), value);
        }
        Ok(params)
    }

    /// Its charts in a job, under the name of the job's query: for windows of a size, in a language. A query whose answer
    /// is better read as a table has none.
    pub(super) fn charts(
        &self,
        name: &Name,
        size: Size,
        language: Language,
    ) -> Result<Vec<Chart>, Wrong> {
        let by_size = match self.name {
            "hourly_count" => Some(charts::of_counts(name.clone(), size)),
            "hourly_errors" => Some(charts::of_errors(name.clone(), size)),
            _ => None,
        };
        if let Some(chart) = by_size {
            return Ok(vec![Chart { language, ..chart }]);
        }
        let Some(chart) = &self.header.chart else {
            return Ok(Vec::new());
        };
        let spec: ChartSpec = toml::from_str(chart)
            .map_err(|error| format!("{}: its chart: {error}", self.origin()))?;
        charts::resolve(name, vec![spec], size, language)
    }
}

/// The SQL of a built-in query.
pub fn built_in(name: &str) -> Option<&'static str> {
    BuiltIn::find(name).ok().map(|query| query.sql)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_file_of_the_folder_is_in_the_library() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("sql");
        let files = std::fs::read_dir(folder).unwrap();
        let files: BTreeSet<String> = files
            .map(|file| file.unwrap().path())
            .filter(|file| file.extension().is_some_and(|ending| ending == "sql"))
            .map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        let known: BTreeSet<String> = names().map(str::to_owned).collect();
        assert_eq!(files, known);
    }

    #[test]
    fn every_header_is_whole_and_its_chart_is_valid() {
        for query in library() {
            let header = &query.header;
            let name = query.name;
            assert!(header.summary.ends_with('.'), "{name}: {}", header.summary);
            assert!(header.summary.len() <= 100, "{name}: {}", header.summary);
            assert!(!header.columns.is_empty(), "{name}");
            for parameter in &header.parameters {
                let used = format!("${}", parameter.name);
                assert!(query.sql.contains(&used), "{name}: {used}");
                assert!(!parameter.about.is_empty(), "{name}: {used}");
            }
            for size in [Size::Hour, Size::Day, Size::Week, Size::Month] {
                let chart_name = Name::new("mine").unwrap();
                let charts = query.charts(&chart_name, size, Language::English);
                let charts = charts.unwrap_or_else(|wrong| panic!("{name}: {}", wrong.message));
                for chart in charts {
                    let columns = header.columns.iter().map(|column| column.name.as_str());
                    let columns: Vec<&str> = columns.collect();
                    let used = chart.y.iter().chain([&chart.x]).chain(&chart.series);
                    for column in used {
                        assert!(columns.contains(&column.as_str()), "{name}: {column}");
                    }
                }
            }
        }
    }

    #[test]
    fn an_unknown_name_has_the_list_and_the_nearest() {
        let error = BuiltIn::find("hourly_cont").unwrap_err();
        assert!(error.contains("hourly_levels, "), "{error}");
        assert!(error.ends_with("did you mean \"hourly_count\"?"), "{error}");
    }
}
