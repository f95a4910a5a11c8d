//! The expectations of a job: each is planned with its query, before anything is exported, and compared with its answer.
//!
//! An expectation is measured by SQL over the answer's table, so that it costs no memory, however many rows there are.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::{cast, sum};
use arrow::datatypes::{DataType, Float64Type, Schema};
use futures::TryStreamExt;

use super::Output;
use super::compare::{Earlier, earlier_answer};
use crate::error::{Class, Error, Result};
use crate::expect::{Comparison, ExpectationReport};
use crate::job::{Expectation, Job, Language, Query, Subject, nearest};
use crate::query::{PreparedQuery, Session};
use crate::window::Window;

/// An expectation of an answer whose columns fit.
pub struct PlannedExpectation<'a> {
    expectation: &'a Expectation,
    prepared: PreparedQuery,
}

/// Plans the expectations of a query whose answer is a table of the session, with these columns. Errors: `Usage` for a
/// column that the answer does not have, or that has no numbers.
pub(super) async fn plan<'a>(
    session: &Session,
    job: &'a Job,
    query: &Query,
    columns: &Schema,
) -> Result<Vec<PlannedExpectation<'a>>> {
    let mut planned = Vec::new();
    let of_query = |expectation: &&Expectation| expectation.query == query.name;
    for expectation in job.expectations.iter().filter(of_query) {
        let sql = measure(expectation, columns)
            .map_err(|wrong| Error::usage(format!("[[expect]] of {}: {wrong}", query.name)))?;
        let origin = format!("[[expect]] of {}", query.name);
        let prepared = session.prepare(&sql, &origin).await?;
        planned.push(PlannedExpectation {
            expectation,
            prepared,
        });
    }
    Ok(planned)
}

/// What the job expects of its answers, in words.
pub(super) fn in_words(job: &Job) -> Vec<String> {
    let reports = job.expectations.iter().map(ExpectationReport::of);
    reports
        .map(|report| format!("{}: {}", report.query, report.expected(Language::English)))
        .collect()
}

/// SQL with one row of two numbers: what is compared with the bounds, and how many values are outside them.
fn measure(expectation: &Expectation, columns: &Schema) -> Result<String, String> {
    let table = quoted(expectation.query.as_str());
    match &expectation.subject {
        Subject::Rows => Ok(format!(
            "SELECT CAST(count(*) AS DOUBLE PRECISION), CAST(NULL AS DOUBLE PRECISION) FROM {table}"
        )),
        Subject::Each { column } => {
            let value = number(column, columns)?;
            let mut outside = vec!["isnan(value)".to_owned()];
            outside.extend(expectation.min.map(|min| format!("value < {min:?}")));
            outside.extend(expectation.max.map(|max| format!("value > {max:?}")));
            let outside = outside.join(" OR ");
            // Of the values that are outside, the one that is furthest from its bound; else the one that is nearest.
            let distance = match (expectation.min, expectation.max) {
                (Some(min), Some(max)) => format!("greatest({min:?} - value, value - {max:?})"),
                (Some(min), None) => format!("{min:?} - value"),
                (None, Some(max)) => format!("value - {max:?}"),
                (None, None) => "value".to_owned(),
            };
            Ok(format!(
                "SELECT first_value(value ORDER BY CASE WHEN isnan(value) THEN 1 ELSE 0 END DESC, {distance} DESC), CAST(count(*) FILTER (WHERE {outside}) AS DOUBLE PRECISION) \
                 FROM (SELECT {value} AS value FROM {table}) WHERE value IS NOT NULL"
            ))
        }
        Subject::Total { column } | Subject::Share { column, .. } => Ok(format!(
            "SELECT coalesce(sum({}), 0.0), CAST(NULL AS DOUBLE PRECISION) FROM {table}",
            number(column, columns)?
        )),
        Subject::MissingHours { column } => {
            let hour = hour(columns)?;
            let counts = match column {
                Some(column) => format!("AND {} <> 0.0", number(column, columns)?),
                None => String::new(),
            };
            Ok(format!(
                "SELECT CAST(count(*) AS DOUBLE PRECISION), CAST(NULL AS DOUBLE PRECISION) FROM (SELECT DISTINCT {hour} AS hour FROM hours) \
                 WHERE hour NOT IN (SELECT {hour} FROM {table} WHERE {hour} IS NOT NULL {counts})"
            ))
        }
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A column of numbers as SQL; the error says what the answer has instead.
fn number(column: &str, columns: &Schema) -> Result<String, String> {
    let Ok(field) = columns.field_with_name(column) else {
        let names = || columns.fields().iter().map(|field| field.name().as_str());
        let hint = match nearest(column, names()) {
            Some(name) => format!("; did you mean {name:?}?"),
            None => String::new(),
        };
        return Err(format!(
            "the answer has no column {column:?}: expected one of {}{hint}",
            names().collect::<Vec<_>>().join(", ")
        ));
    };
    match field.data_type().is_numeric() {
        true => Ok(format!("CAST({} AS DOUBLE PRECISION)", quoted(column))),
        false => Err(format!(
            "the column {column:?} is of the type {}: expected numbers",
            field.data_type()
        )),
    }
}

/// The column of the answer's hours, which the table `hours` has too.
fn hour(columns: &Schema) -> Result<&'static str, String> {
    let has = |column: &str, is_instant: bool| {
        let field = columns.field_with_name(column);
        let kind = field.map(|field| field.data_type());
        matches!(kind, Ok(DataType::Timestamp(_, zone)) if zone.is_some() == is_instant)
    };
    match (has("hour_utc", true), has("hour_local", false)) {
        (true, _) => Ok("hour_utc"),
        (_, true) => Ok("hour_local"),
        _ => Err(
            "missing_hours needs the answer's hours: expected a column hour_utc or hour_local, as the table hours has them"
                .to_owned(),
        ),
    }
}

/// Compares the answer of a query, a table of the session, with what is expected of it.
pub(super) async fn check(
    session: &Session,
    (output, job, window): (&Output, &Job, &Window),
    query: &Query,
    planned: &[PlannedExpectation<'_>],
) -> Result<Vec<ExpectationReport>> {
    let mut reports = Vec::with_capacity(planned.len());
    for PlannedExpectation {
        expectation,
        prepared,
    } in planned
    {
        let (found, outside) = measured(session, prepared).await?;
        let report = ExpectationReport::of(expectation);
        reports.push(match (&expectation.subject, found) {
            (Subject::Share { column, previous }, found) => {
                let found = found.unwrap_or_default();
                match earlier_answer(output, job, window, query, *previous).await? {
                    Earlier::Answer { batches, .. } => share(report, column, found, &batches)?,
                    Earlier::Absent(why) | Earlier::Unusable(why) => report.unchecked(why),
                }
            }
            (_, Some(found)) => {
                let mut report = report.found(found);
                report.outside = outside.filter(|_| report.is_broken());
                report
            }
            // Each of no values. A least value is expected of something.
            (_, None) if expectation.min.is_some() => ExpectationReport {
                result: Comparison::Broken,
                ..report
            },
            (_, None) => ExpectationReport {
                result: Comparison::Held,
                ..report
            },
        });
    }
    Ok(reports)
}

/// The number that is compared, if there is one, and how many values are outside the bounds.
async fn measured(
    session: &Session,
    prepared: &PreparedQuery,
) -> Result<(Option<f64>, Option<u64>)> {
    let statement = session.bind(prepared).await?;
    let batches: Vec<RecordBatch> = session
        .run(&statement)
        .await?
        .batches
        .try_collect()
        .await
        .map_err(Error::from_engine)?;
    let row = batches.iter().find(|batch| batch.num_rows() > 0);
    let number = |column: usize| {
        let values = row?.column(column).as_primitive_opt::<Float64Type>()?;
        values.is_valid(0).then(|| values.value(0))
    };
    Ok((number(0), number(1).map(|count| count as u64)))
}

/// A total as a share of the earlier one.
fn share(
    report: ExpectationReport,
    column: &str,
    total: f64,
    earlier: &[RecordBatch],
) -> Result<ExpectationReport> {
    let unreadable =
        |error| Error::new(Class::Unexpected, "can't read the earlier answer").caused_by(error);
    let mut before = 0.0;
    for batch in earlier {
        let Some(values) = batch.column_by_name(column) else {
            return Ok(report.unchecked(format!("the earlier answer has no column {column:?}")));
        };
        let values = cast(values, &DataType::Float64).map_err(unreadable)?;
        before += sum(values.as_primitive::<Float64Type>()).unwrap_or_default();
    }
    let share = match (total == 0.0, before == 0.0) {
        _ if before < 0.0 => {
            return Ok(report.unchecked(format!(
                "the earlier total is {before}, and nothing is a share of less than nothing"
            )));
        }
        (true, true) => 1.0,
        (false, true) => f64::INFINITY,
        (_, false) => total / before,
    };
    let mut report = report.found(share);
    report.earlier = Some(before);
    Ok(report)
}

#[cfg(test)]
mod tests;
