//! Expectations over answers of every kind.

use std::path::Path;

use super::*;
use crate::expect::Measure;
use crate::job;
use crate::output::parquet::{Metadata, Spool};
use crate::query::Engine;
use crate::run::queries::plan_all;
use crate::store::Stores;
use crate::window::Size;

const JOB: &str = r#"
name = "night"
timezone = "America/New_York"
[source]
kind = "exported"
path = "exports"
[output]
location = "answers"
[[query]]
name = "q"
sql = "q.sql"
"#;

/// The job with a query, and keys behind its table.
fn job(folder: &Path, sql: &str, keys: &str) -> Job {
    std::fs::write(folder.join("q.sql"), sql).unwrap();
    let text = format!("{JOB}{keys}\n");
    job::parse(&folder.join("night.toml"), &text).unwrap_or_else(|error| panic!("{error}"))
}

/// A day of 25 hours.
fn day() -> Window {
    Window::parse(Size::Day, chrono_tz::America::New_York, "2026-11-01").unwrap()
}

async fn checked_of(sql: &str, keys: &str) -> Result<ExpectationReport> {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::new(64 << 20, folder.path()).unwrap();
    let (job, window) = (job(folder.path(), sql, keys), day());
    let lookups = crate::run::Lookups::default();
    let planned = plan_all(&engine, &job, window.range(), &lookups).await?;
    let planned = planned.into_iter().next().expect("a query");
    let session = engine.session(job.timezone)?.with_window(window.range())?;
    let metadata = Metadata {
        job: "night".into(),
        window: window.id(),
        sql_sha256: "00".into(),
    };
    let file = folder.path().join("q.parquet");
    let mut spool = Spool::create(
        file.clone(),
        planned.columns.clone(),
        &metadata,
        engine.pool(),
    )?;
    let statement = session.bind(&planned.prepared).await?;
    let mut rows = session.run(&statement).await?.batches;
    while let Some(batch) = rows.try_next().await.map_err(Error::from_engine)? {
        spool.write(&batch).await?;
    }
    spool.finish().await?;
    session.add_answer("q", &[&file], &planned.table).await?;
    let aws = crate::aws::Aws::new(crate::job::AwsSettings::default());
    let stores = Stores::new(std::sync::Arc::new(aws))?;
    let output = Output {
        store: stores
            .open(&job.output, crate::aws::Account::Output)
            .await?,
        keys: crate::layout::Keys::of(&job)?,
    };
    let place = (&output, &job, &window);
    let reports = check(&session, place, planned.query, &planned.expectations).await?;
    Ok(reports.into_iter().next().unwrap())
}

async fn text(sql: &str, keys: &str) -> String {
    let report = checked_of(sql, keys)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let result = match report.result {
        Comparison::Held => "held",
        Comparison::Broken => "broken",
        Comparison::Unchecked => "unchecked",
    };
    format!("{result}: {}", report.difference(Language::English))
}

fn of_values(values: &str, keys: &str) -> (String, String) {
    let sql = format!("SELECT * FROM (VALUES {values}) AS t(n)");
    (
        sql,
        format!("[[expect]]\nquery = \"q\"\ncolumn = \"n\"\n{keys}"),
    )
}

#[tokio::test]
async fn rows_are_counted() {
    let three = "SELECT * FROM (VALUES (1), (2), (3)) AS t(n)";
    let none = "SELECT 1 AS n WHERE false";
    for (sql, word, expected) in [
        (three, "no rows", "broken: expected no rows, found 3 rows"),
        (none, "no rows", "held: expected no rows, found 0 rows"),
        (three, "rows", "held: expected rows, found 3 rows"),
        (none, "rows", "broken: expected rows, found 0 rows"),
        (
            "SELECT 1 AS n",
            "one row",
            "held: expected one row, found 1 row",
        ),
        (three, "one row", "broken: expected one row, found 3 rows"),
    ] {
        assert_eq!(text(sql, &format!("expect = \"{word}\"")).await, expected);
    }
}

#[tokio::test]
async fn each_value_is_compared() {
    for (values, keys, expected) in [
        (
            "(3), (1), (2)",
            "min = 1",
            "held: expected each value of n at least 1, found 1",
        ),
        (
            "(3), (0), (-5), (NULL)",
            "min = 1",
            "broken: expected each value of n at least 1, found -5 and 1 more outside",
        ),
        (
            "(3.5), (1.0)",
            "max = 3",
            "broken: expected each value of n at most 3, found 3.5",
        ),
        (
            "(2), (30), (-1)",
            "min = 0\nmax = 10",
            "broken: expected each value of n 0 to 10, found 30 and 1 more outside",
        ),
        (
            "(CAST(12.34 AS DECIMAL(10, 2)))",
            "max = 12.3",
            "broken: expected each value of n at most 12.3, found 12.34",
        ),
        (
            "(1.0), (CAST('NaN' AS DOUBLE PRECISION))",
            "max = 3",
            "broken: expected each value of n at most 3, found NaN",
        ),
        // No value is less than a least value, and not more than a largest one.
        (
            "(CAST(NULL AS INT))",
            "min = 1",
            "broken: expected each value of n at least 1, found no value",
        ),
        (
            "(CAST(NULL AS INT))",
            "max = 1",
            "held: expected each value of n at most 1, found no value",
        ),
    ] {
        let (sql, keys) = of_values(values, keys);
        let told = text(&sql, &keys).await;
        assert_eq!(told.replace('−', "-"), expected);
    }
}

#[tokio::test]
async fn a_total_is_compared() {
    let (sql, keys) = of_values("(400), (500), (NULL)", "of = \"total\"\nmin = 1000");
    let expected = "broken: expected a total of n of at least 1,000, found 900";
    assert_eq!(text(&sql, &keys).await, expected);
    let keys = keys.replace("1000", "900");
    assert!(text(&sql, &keys).await.starts_with("held"));
    let none = "SELECT 1 AS n WHERE false";
    assert!(text(none, &keys).await.ends_with("found 0"));
}

#[tokio::test]
async fn a_total_without_an_earlier_one_is_not_compared() {
    let (sql, keys) = of_values("(1)", "previous = \"7 days\"\nmin = \"50%\"");
    assert_eq!(
        text(&sql, &keys).await,
        "unchecked: expected a total of n of at least 50% of the total 7 days before, not checked: there is no answer of 2026-10-25"
    );
}

#[tokio::test]
async fn a_share_is_of_the_earlier_total() {
    let expectation = |min, max| Expectation {
        query: crate::job::Name::new("q").unwrap(),
        subject: Subject::Share {
            column: "n".to_owned(),
            previous: crate::job::Compare {
                span: "7 days".parse().unwrap(),
                windows: 7,
            },
        },
        min,
        max,
    };
    let batch = |values: &[Option<i64>]| {
        let values: arrow::array::Int64Array = values.iter().copied().collect();
        let column: arrow::array::ArrayRef = std::sync::Arc::new(values);
        vec![RecordBatch::try_from_iter([("n", column)]).unwrap()]
    };
    let compare = |min, max, total, earlier: &[Option<i64>]| {
        let report = ExpectationReport::of(&expectation(min, max));
        assert_eq!(report.of, Measure::Share);
        share(report, "n", total, &batch(earlier)).unwrap()
    };
    let half = compare(Some(0.5), None, 49.0, &[Some(40), None, Some(60)]);
    assert!(half.is_broken());
    assert_eq!((half.found, half.earlier), (Some(0.49), Some(100.0)));
    assert!(!compare(Some(0.5), Some(2.0), 50.0, &[Some(100)]).is_broken());
    assert!(compare(None, Some(2.0), 201.0, &[Some(100)]).is_broken());
    // After nothing, nothing is the same, and anything is more than any share.
    assert!(!compare(Some(0.5), Some(2.0), 0.0, &[]).is_broken());
    assert!(!compare(Some(0.5), None, 7.0, &[]).is_broken());
    let risen = compare(None, Some(2.0), 7.0, &[Some(0)]);
    assert!(risen.is_broken());
    assert!(
        risen
            .text(Language::English)
            .ends_with("found some after none")
    );
    let negative = compare(Some(0.5), None, 7.0, &[Some(-3)]);
    assert_eq!(negative.result, Comparison::Unchecked);
}

#[tokio::test]
async fn hours_are_missed_on_a_day_of_25() {
    let all = "SELECT hour_utc, hour_local, hour_of_day AS n FROM hours";
    let expect = |keys: &str| format!("[[expect]]\nquery = \"q\"\nmissing_hours = 0\n{keys}");
    assert_eq!(
        text(all, &expect("")).await,
        "held: expected no missing hours, found 0 hours"
    );
    // The hour of the day is 0 once.
    let zero = text(all, &expect("column = \"n\"")).await;
    assert_eq!(zero, "broken: expected no missing hours, found 1 hour");
    // The first of the two hours from 1 to 2.
    let without = format!("{all} WHERE hour_utc <> TIMESTAMP '2026-11-01T05:00:00Z'");
    assert_eq!(
        text(&without, &expect("")).await,
        "broken: expected no missing hours, found 1 hour"
    );
    // By local time the two are one.
    let local = without.replace("hour_utc, ", "");
    assert_eq!(
        text(&local, &expect("")).await,
        "held: expected no missing hours, found 0 hours"
    );
    let none = format!("{all} WHERE false");
    assert_eq!(
        text(&none, &expect("")).await,
        "broken: expected no missing hours, found 25 hours"
    );
}

#[tokio::test]
async fn a_wrong_column_is_an_error_of_the_plan() {
    for (keys, expected) in [
        (
            "column = \"m\"\nmin = 1",
            "night.toml: [[expect]] of q: the answer has no column \"m\": expected one of n, t",
        ),
        ("column = \"t\"\nmin = 1", "the column \"t\" is of the type"),
        (
            "missing_hours = 0",
            "expected a column hour_utc or hour_local",
        ),
    ] {
        let keys = format!("[[expect]]\nquery = \"q\"\n{keys}");
        let error = checked_of("SELECT 1 AS n, 'x' AS t", &keys)
            .await
            .unwrap_err();
        assert_eq!(error.class(), Class::Usage);
        assert!(error.to_string().contains(expected), "{error}");
    }
}
