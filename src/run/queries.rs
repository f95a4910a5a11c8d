//! A job's queries, each planned once and checked before any request to AWS.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use super::expectations::{self, PlannedExpectation};
use super::lookups::Lookups;
use super::previous::ExpectedAnswers;
use crate::chart::build;
use crate::error::{Class, Error, Result};
use crate::job::{Archive, Job, Query, Source, Verify};
use crate::layout;
use crate::output::archive::with_position;
use crate::output::{columns, parquet};
use crate::query::{Engine, LogsRead, Parameter, Parameters, PreparedQuery, Session};
use crate::scan::columns::Keep;
use crate::window::Range;

/// A query of a job that is planned and checked. Each window binds it to its own tables.
pub struct PlannedQuery<'a> {
    /// The query.
    pub query: &'a Query,
    /// Its plan.
    pub prepared: PreparedQuery,
    /// The answer's columns, as they are written.
    pub columns: SchemaRef,
    /// The columns of the table that the answer is for later queries.
    pub table: SchemaRef,
    /// What it reads of `logs`.
    pub reads: LogsRead,
    /// What is expected of its answer.
    pub expectations: Vec<PlannedExpectation<'a>>,
    /// The archive whose answer it is.
    pub archive: Option<&'a Archive>,
}

/// Plans all queries of a job in their order, and that of its archive behind them, each over `logs`, the table `hours` of `range` and the answers of those
/// before it, the lookup tables and earlier answers. No other table has rows yet. Errors: `Sql` for what the engine or Athena can't read, `Usage` for a chart or a
/// partition or an expectation that does not fit the columns.
pub async fn plan_all<'a>(
    engine: &Engine,
    job: &'a Job,
    range: Range,
    lookups: &Lookups,
) -> Result<Vec<PlannedQuery<'a>>> {
    let earlier = Arc::new(ExpectedAnswers::new(job.window.size));
    let session = engine.session(job.timezone)?.with_formats(&job.formats);
    let origins = job.origins();
    let session = match &job.archive {
        Some(_) => session.expect_archived_logs(origins)?,
        None => session.expect_logs_with(origins)?,
    };
    let session = session
        .expect_window(range)?
        .with_previous(Arc::clone(&earlier) as _);
    lookups.add_to(&session);
    let mut planned = Vec::with_capacity(job.queries.len());
    for query in &job.queries {
        let in_file = |error: Error| match error.class() {
            Class::Usage => error.during(job.file.name()),
            _ => error,
        };
        let mut query = plan(&session, query).await.map_err(in_file)?;
        check_partitions(job, query.query, &query.columns)?;
        session.expect_table(query.query.name.as_str(), Arc::clone(&query.table))?;
        earlier.add(&query.query.name, Arc::clone(&query.table));
        let expected = expectations::plan(&session, job, query.query, &query.table).await;
        query.expectations = expected.map_err(in_file)?;
        planned.push(query);
    }
    if let Some(archive) = &job.archive {
        let archive = plan_archive(&session, job, archive).await;
        planned.push(archive.map_err(|error| error.during(job.file.name()))?);
    }
    Ok(planned)
}

/// Plans the archive of a job without its queries, over events alone. Nothing where the job has none.
pub async fn plan_archive_alone<'a>(
    engine: &Engine,
    job: &'a Job,
    range: Range,
) -> Result<Vec<PlannedQuery<'a>>> {
    let session = engine
        .session(job.timezone)?
        .with_formats(&job.formats)
        .expect_logs_with(job.origins())?
        .expect_window(range)?;
    match &job.archive {
        None => Ok(Vec::new()),
        Some(archive) => {
            let planned = plan_archive(&session, job, archive).await;
            Ok(vec![
                planned.map_err(|error| error.during(job.file.name()))?,
            ])
        }
    }
}

/// Plans the archive, each of whose columns is checked by itself, so that an error names it.
async fn plan_archive<'a>(
    session: &Session,
    job: &'a Job,
    archive: &'a Archive,
) -> Result<PlannedQuery<'a>> {
    for column in &archive.columns {
        let origin = column.origin();
        session
            .event_expression(&column.sql, &column.query(), &origin)
            .await?;
    }
    let planned = plan(session, &archive.query).await?;
    check_partitions(job, &archive.query, &planned.columns)?;
    for column in &archive.bloom {
        let field = planned.columns.field_with_name(column.as_str());
        if let Some(field) = field.ok().filter(|field| field.data_type().is_nested()) {
            return Err(Error::usage(format!(
                "[archive] bloom names {:?}, which is {}: expected a column of single values, such as one of its members",
                column.as_str(),
                columns::sql_type(field.data_type())
            )));
        }
    }
    Ok(PlannedQuery {
        columns: with_position(&planned.columns),
        table: with_position(&planned.table),
        archive: Some(archive),
        ..planned
    })
}

async fn plan<'a>(session: &Session, query: &'a Query) -> Result<PlannedQuery<'a>> {
    let session = &session.clone().with_parameters(parameters(query)?);
    let prepared = session.prepare(&query.sql, &query.sql_origin).await?;
    let statement = session.bind(&prepared).await?;
    session.rehearse(&statement).await?;
    let computed = statement.schema();
    let columns =
        columns::athena_schema(&computed).map_err(|error| error.during(&query.sql_origin))?;
    for chart in &query.charts {
        build::check(chart, query.name.as_str(), &columns)?;
    }
    Ok(PlannedQuery {
        query,
        prepared,
        table: session.columns_of_answer(&computed, parquet::schema_as_read(&columns)?.as_ref()),
        columns,
        reads: statement.reads_of_logs(),
        expectations: Vec::new(),
        archive: None,
    })
}

/// The parameters of a query. An error (usage) for one that its SQL does not use.
fn parameters(query: &Query) -> Result<Parameters> {
    let mut parameters = Parameters::default();
    let of_query =
        |message: String| Error::usage(format!("[query.params] of {}: {message}", query.name));
    for (name, value) in &query.params {
        let value = match value.is_text {
            true => Parameter::text(&value.text),
            false => Parameter::any(&value.text),
        };
        parameters.add(name, value).map_err(of_query)?;
    }
    match parameters.unused_in(&query.sql).as_slice() {
        [] => Ok(parameters),
        unused => Err(of_query(format!(
            "{} does not use ${}",
            query.sql_origin,
            unused.join(", $")
        ))),
    }
}

/// Whether a run may want an object more than once, so that it is worth keeping on disk.
pub fn reads_again(job: &Job, queries: &[PlannedQuery<'_>]) -> bool {
    let read_once = matches!(queries, [query] if query.reads.scans == 1 && query.reads.is_whole);
    counts_by_hour(job) || !read_once
}

/// Which columns of the events the first scan of a run keeps for the later ones; `None` where there is no later one.
pub fn kept_for_later(job: &Job, queries: &[PlannedQuery<'_>]) -> Option<Keep> {
    let scans = queries
        .iter()
        .flat_map(|query| std::iter::repeat_n(query.reads.messages, query.reads.scans));
    let later: Vec<bool> = scans.skip(1).collect();
    match later[..] {
        [] if !counts_by_hour(job) => None,
        _ if later.contains(&true) => Some(Keep::Messages),
        _ => Some(Keep::Times),
    }
}

/// Insights is compared with a count by hour, which is a query of its own.
fn counts_by_hour(job: &Job) -> bool {
    job.sources.iter().any(|source| {
        matches!(
            &source.logs,
            Source::CloudWatch(settings) if settings.verify == Some(Verify::Insights)
        )
    })
}

/// Checks that the job's partitions are columns of the answer, and that no column has the name of a folder: a table's
/// partitions are columns too, and no table has two of one name.
fn check_partitions(job: &Job, query: &Query, schema: &SchemaRef) -> Result<()> {
    query
        .division
        .check(schema)
        .map_err(|error| error.during(format!("[[query]] {}", query.name)))?;
    let keys = layout::partition_keys(job.window.size);
    match keys.iter().find(|key| schema.index_of(key).is_ok()) {
        None => Ok(()),
        Some(key) => Err(Error::new(
            Class::Sql,
            format!(
                "{}: the column {key:?} has the name of the partition {key}=… that the answer is in. Give it another name with AS",
                query.sql_origin
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job;
    use crate::output::parquet::{Metadata, Spool};
    use crate::window::{Size, Window};
    use std::path::Path;

    const JOB: &str = r#"
        name = "night"
        [source]
        kind = "exported"
        path = "exports"
        [output]
        location = "answers"
        "#;

    fn job(folder: &Path, queries: &[&str]) -> Job {
        let mut text = JOB.to_owned();
        for (number, sql) in queries.iter().enumerate() {
            std::fs::write(folder.join(format!("{number}.sql")), sql).unwrap();
            text += &format!("[[query]]\nname = \"q{number}\"\nsql = \"{number}.sql\"\n");
        }
        job::parse(&folder.join("night.toml"), &text).unwrap()
    }

    fn day() -> Range {
        let window = Window::parse(Size::Day, chrono_tz::UTC, "2026-11-20");
        window.unwrap().range()
    }

    fn engine(folder: &Path) -> Engine {
        Engine::new(64 << 20, folder).unwrap()
    }

    /// A later query is planned over what the engine will read of an earlier answer, of whatever type its columns are.
    #[tokio::test]
    async fn an_answer_is_expected_with_the_columns_that_its_file_has() {
        let every_type = include_str!("../../tests/integration/every_type.sql");
        let folder = tempfile::tempdir().unwrap();
        let job = job(
            folder.path(),
            &[
                every_type,
                "SELECT log_group, max(log_stream) AS stream, count(*) AS n FROM logs GROUP BY 1",
            ],
        );
        let engine = engine(folder.path());
        let session = engine.session(job.timezone).unwrap();
        for planned in plan_all(&engine, &job, day(), &Lookups::default())
            .await
            .unwrap()
        {
            let path = folder.path().join("answer.parquet");
            let metadata = Metadata {
                job: "night".into(),
                window: "2026-11-20".into(),
                sql_sha256: "00".into(),
            };
            let spool = Spool::create(
                path.clone(),
                planned.columns.clone(),
                &metadata,
                engine.pool(),
            )
            .unwrap();
            spool.finish().await.unwrap();
            let name = planned.query.name.as_str();
            session
                .add_answer(name, &[&path], &planned.table)
                .await
                .unwrap();
            let sql = format!("SELECT * FROM {name}");
            let read = session.statement(&sql, "SQL").await.unwrap().schema();
            assert_eq!(read, planned.table);
        }
    }

    #[tokio::test]
    async fn an_object_is_kept_only_where_it_may_be_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let count = "SELECT count(*) AS n FROM logs";
        let of_message = "SELECT count(*) AS n FROM logs WHERE message LIKE 'x%'";
        for (queries, expected, kept) in [
            (&[count][..], false, None),
            (
                &[
                    "SELECT hours.hour_utc, count(*) AS n FROM hours JOIN logs ON time_bucket('1 hour', timestamp) = hour_utc GROUP BY 1",
                ],
                false,
                None,
            ),
            (&[count, count], true, Some(Keep::Times)),
            (&[of_message, count], true, Some(Keep::Times)),
            (&[count, of_message], true, Some(Keep::Messages)),
            (&[count, "SELECT * FROM errors"], true, Some(Keep::Messages)),
            (&[count, "SELECT sum(n) AS n FROM q0"], true, None),
            (&[of_message], true, None),
            (
                &[
                    "SELECT (SELECT count(*) FROM logs) + (SELECT max(length(message)) FROM logs) AS n",
                ],
                true,
                Some(Keep::Messages),
            ),
        ] {
            let job = job(folder.path(), queries);
            let lookups = Lookups::default();
            let engine = engine(folder.path());
            let planned = plan_all(&engine, &job, day(), &lookups).await.unwrap();
            assert_eq!(reads_again(&job, &planned), expected, "{queries:?}");
            assert_eq!(kept_for_later(&job, &planned), kept, "{queries:?}");
        }
    }
}
