//! What a job expects of its answers: `expect` of a query, and `[[expect]]`.

use super::checked::{Text, nearest};
use super::spec::{ExpectSpec, Limit, Of, RowsSpec};
use super::{Compare, Division, Name, Query, charts};
use crate::window::Size;

/// What is expected of an answer: a number that is measured over its rows, and the bounds of that number.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    /// The query whose answer it is.
    pub query: Name,
    /// What is measured.
    pub subject: Subject,
    /// The least allowed number.
    pub min: Option<f64>,
    /// The largest allowed number.
    pub max: Option<f64>,
}

/// What of an answer is measured.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    /// The number of rows.
    Rows,
    /// Each value of a column. NULL is no value.
    Each {
        /// The column.
        column: String,
    },
    /// The total of a column.
    Total {
        /// The column.
        column: String,
    },
    /// The total of a column as a share of that of an earlier window.
    Share {
        /// The column.
        column: String,
        /// How far before its own window the earlier one is.
        previous: Compare,
    },
    /// The hours of the window that the answer has no row of.
    MissingHours {
        /// The column whose zeros and NULLs count as no row.
        column: Option<String>,
    },
}

impl Subject {
    /// The column that is measured.
    pub fn column(&self) -> Option<&str> {
        match self {
            Self::Rows => None,
            Self::Each { column } | Self::Total { column } | Self::Share { column, .. } => {
                Some(column)
            }
            Self::MissingHours { column } => column.as_deref(),
        }
    }
}

/// The expectation that `expect` of a query is.
pub(super) fn of_rows(query: &Name, rows: RowsSpec) -> Expectation {
    let (min, max) = match rows {
        RowsSpec::None => (None, Some(0.0)),
        RowsSpec::Some => (Some(1.0), None),
        RowsSpec::One => (Some(1.0), Some(1.0)),
    };
    Expectation {
        query: query.clone(),
        subject: Subject::Rows,
        min,
        max,
    }
}

/// The expectation that a table `[[expect]]` is. An error names the query and the wrong key.
pub(super) fn resolve(
    spec: ExpectSpec,
    queries: &[Query],
    size: Size,
) -> Result<Expectation, String> {
    let what = match &spec.column {
        Some(column) => format!("[[expect]] of {}, column {:?}", spec.query, column.0),
        None => format!("[[expect]] of {}", spec.query),
    };
    let Some(query) = queries.iter().find(|query| query.name == spec.query) else {
        let names = || queries.iter().map(|query| query.name.as_str());
        let hint = match nearest(spec.query.as_str(), names()) {
            Some(name) => format!("; did you mean {name:?}?"),
            None => String::new(),
        };
        return Err(format!(
            "[[expect]] query = {:?} is no query of this job: expected one of {}{hint}",
            spec.query.as_str(),
            names().collect::<Vec<_>>().join(", ")
        ));
    };
    let with = |message: String| format!("{what}: {message}");
    let expectation = of_query(spec, query, size).map_err(with)?;
    match (expectation.min, expectation.max) {
        (Some(min), Some(max)) if max < min => Err(with(format!(
            "min = {min} is above max = {max}: expected the smaller one as min"
        ))),
        _ => Ok(expectation),
    }
}

fn of_query(spec: ExpectSpec, query: &Query, size: Size) -> Result<Expectation, String> {
    let has_bounds = spec.min.is_some() || spec.max.is_some();
    let expectation = |subject, min, max| Expectation {
        query: query.name.clone(),
        subject,
        min,
        max,
    };
    if let Some(most) = spec.missing_hours {
        if has_bounds || spec.of.is_some() || spec.previous.is_some() {
            return Err(
                "missing_hours stands beside min, max, of or previous: expected an [[expect]] of its own for each"
                    .to_owned(),
            );
        }
        let column = spec.column.map(|column| column.0);
        let subject = Subject::MissingHours { column };
        return Ok(expectation(subject, None, Some(f64::from(most))));
    }
    if !has_bounds {
        return Err("there is no bound: expected min, max or missing_hours".to_owned());
    }
    let Some(Text(column)) = spec.column else {
        return Err("column is missing: expected the column that min and max are of".to_owned());
    };
    let Some(previous) = spec.previous else {
        let bound = |key: &str, limit: Option<Limit>| match limit {
            Some(Limit::Share(share)) => Err(format!(
                "{key} is a share ({}) of nothing: expected previous = \"7 days\" beside it, or a number",
                percent(share.0)
            )),
            Some(Limit::Number(number)) if !number.is_finite() => {
                Err(format!("{key} is {number}: expected a number"))
            }
            Some(Limit::Number(number)) => Ok(Some(number)),
            None => Ok(None),
        };
        let (min, max) = (bound("min", spec.min)?, bound("max", spec.max)?);
        let subject = match spec.of.unwrap_or_default() {
            Of::Each => Subject::Each { column },
            Of::Total => Subject::Total { column },
        };
        return Ok(expectation(subject, min, max));
    };
    if spec.of == Some(Of::Each) {
        return Err(
            "of = \"each\" stands beside previous, which compares totals: expected one of the two"
                .to_owned(),
        );
    }
    if query.division != Division::Whole {
        return Err(format!(
            "previous reads earlier answers in one file, and {} of the query divides them: expected one of the two keys",
            query.division.key().unwrap_or("a key")
        ));
    }
    let share = |key: &str, limit: Option<Limit>| match limit {
        Some(Limit::Number(number)) => Err(format!(
            "{key} is {number} beside previous: expected a share of the earlier total, such as \"50%\""
        )),
        Some(Limit::Share(share)) => Ok(Some(share.0)),
        None => Ok(None),
    };
    let (min, max) = (share("min", spec.min)?, share("max", spec.max)?);
    let previous = charts::span_of_windows(&previous.0, size)
        .map_err(|expected| format!("previous is {:?}: expected {expected}", previous.0))?;
    Ok(expectation(Subject::Share { column, previous }, min, max))
}

/// A share as it is written in a job: `50%`.
pub fn percent(share: f64) -> String {
    format!("{}%", (share * 1e6).round() / 1e4)
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use std::path::Path;

    const JOB: &str = r#"
name = "night"
[source]
kind = "exported"
path = "exports"
[output]
location = "answers"
[[query]]
use = "hourly_count"
"#;

    fn expectations(text: &str) -> Result<Vec<Expectation>, String> {
        let job = parse(Path::new("jobs/night.toml"), &format!("{JOB}{text}"));
        job.map(|job| job.expectations)
            .map_err(|error| error.to_string())
    }

    fn expect(keys: &str) -> Result<Expectation, String> {
        let text = format!("[[expect]]\nquery = \"hourly_count\"\n{keys}\n");
        expectations(&text).map(|mut all| all.remove(0))
    }

    #[test]
    fn every_form_of_an_expectation_is_read() {
        let rows = |word: &str| {
            let all = expectations(&format!("expect = \"{word}\"\n")).unwrap();
            let [
                Expectation {
                    subject: Subject::Rows,
                    min,
                    max,
                    ..
                },
            ] = all[..]
            else {
                panic!("{all:?}")
            };
            (min, max)
        };
        assert_eq!(rows("no rows"), (None, Some(0.0)));
        assert_eq!(rows("rows"), (Some(1.0), None));
        assert_eq!(rows("one row"), (Some(1.0), Some(1.0)));

        let column = || "events".to_owned();
        let each = expect("column = \"events\"\nmin = 1\nmax = 2.5").unwrap();
        assert_eq!(each.subject, Subject::Each { column: column() });
        assert_eq!((each.min, each.max), (Some(1.0), Some(2.5)));
        let total = expect("column = \"events\"\nof = \"total\"\nmin = 1000").unwrap();
        assert_eq!(total.subject, Subject::Total { column: column() });
        let share =
            expect("column = \"events\"\nprevious = \"7 days\"\nmin = \"50%\"\nmax = \"200 %\"");
        let share = share.unwrap();
        assert!(matches!(&share.subject, Subject::Share { previous, .. } if previous.windows == 7));
        assert_eq!((share.min, share.max), (Some(0.5), Some(2.0)));
        let hours = expect("missing_hours = 2").unwrap();
        assert_eq!(hours.subject, Subject::MissingHours { column: None });
        assert_eq!((hours.min, hours.max), (None, Some(2.0)));
    }

    #[test]
    fn what_can_be_no_expectation_is_an_error() {
        let of = "column = \"events\"";
        for (keys, expected) in [
            ("", "no bound: expected min, max or missing_hours"),
            (of, "no bound"),
            ("min = 1", "column is missing"),
            (
                &format!("{of}\nmin = 2\nmax = 1"),
                "min = 2 is above max = 1",
            ),
            (&format!("{of}\nmin = nan"), "min is NaN"),
            (&format!("{of}\nmin = \"50%\""), "a share (50%) of nothing"),
            (
                &format!("{of}\nmin = \"half\""),
                "\"half\" is no number or share",
            ),
            (
                &format!("{of}\nmin = \"-5%\""),
                "\"-5%\" is no number or share",
            ),
            (
                &format!("{of}\nmin = 1\nprevious = \"7 days\""),
                "expected a share of the earlier total",
            ),
            (
                &format!("{of}\nmin = \"5%\"\nprevious = \"1 month\""),
                "previous is \"1 month\"",
            ),
            (
                &format!("{of}\nmin = \"5%\"\nprevious = \"7 days\"\nof = \"each\""),
                "compares totals",
            ),
            (
                &format!("{of}\nmin = 1\nmissing_hours = 0"),
                "an [[expect]] of its own",
            ),
            (&format!("{of}\nmn = 1"), "unknown key \"mn\""),
        ] {
            let error = expect(keys).unwrap_err();
            assert!(error.contains(expected), "{keys}: {error}");
        }
        let error =
            expectations("[[expect]]\nquery = \"hourly_coutn\"\nmissing_hours = 0\n").unwrap_err();
        assert!(error.contains("did you mean \"hourly_count\""), "{error}");
        let error = expectations("expect = \"many rows\"\n").unwrap_err();
        assert!(
            error.contains("no rows") && error.contains(":10:"),
            "{error}"
        );
        let divided = "file_size = \"256MiB\"\n[[expect]]\nquery = \"hourly_count\"\ncolumn = \"events\"\nprevious = \"7 days\"\nmin = \"50%\"\n";
        let error = expectations(divided).unwrap_err();
        assert!(
            error.contains("file_size of the query divides them"),
            "{error}"
        );
    }
}
