//! A job's queries, each planned once and checked before any request to AWS.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use crate::chart::build;
use crate::error::{Class, Error, Result};
use crate::job::{Job, Query, Source, Verify};
use crate::layout;
use crate::output::{columns, parquet};
use crate::query::{Engine, PreparedQuery, Session};
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
    /// Whether it surely reads each object once, and all of them.
    pub reads_logs_once: bool,
}

/// Plans all queries of a job in their order, each over `logs`, the table `hours` of `range` and the answers of those
/// before it. No table has rows yet. Errors: `Sql` for what the engine or Athena can't read, `Usage` for a chart or a
/// partition that does not fit the columns.
pub async fn plan_all<'a>(
    engine: &Engine,
    job: &'a Job,
    range: Range,
) -> Result<Vec<PlannedQuery<'a>>> {
    let session = engine
        .session(job.timezone)?
        .expect_logs()?
        .expect_window(range)?;
    let mut planned = Vec::with_capacity(job.queries.len());
    for query in &job.queries {
        let query = plan(&session, query)
            .await
            .map_err(|error| match error.class() {
                Class::Usage => error.during(job.file.display()),
                _ => error,
            })?;
        check_partitions(job, query.query, &query.columns)?;
        session.expect_table(query.query.name.as_str(), Arc::clone(&query.table))?;
        planned.push(query);
    }
    Ok(planned)
}

async fn plan<'a>(session: &Session, query: &'a Query) -> Result<PlannedQuery<'a>> {
    let prepared = session.prepare(&query.sql, &query.sql_origin).await?;
    let statement = session.bind(&prepared).await?;
    session.rehearse(&prepared, &statement).await?;
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
        reads_logs_once: statement.reads_logs_once(),
    })
}

/// Whether a run may want an object more than once, so that it is worth keeping on disk.
pub fn reads_again(job: &Job, queries: &[PlannedQuery<'_>]) -> bool {
    // Insights is compared with a count by hour, which is a query of its own.
    let counts_by_hour = matches!(
        &job.source,
        Source::CloudWatch(settings) if settings.verify == Some(Verify::Insights)
    );
    let read_once = matches!(queries, [query] if query.reads_logs_once);
    counts_by_hour || !read_once
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
        for planned in plan_all(&engine, &job, day()).await.unwrap() {
            let path = folder.path().join("answer.parquet");
            let metadata = Metadata {
                job: "night".into(),
                window: "2026-11-20".into(),
                sql_sha256: "00".into(),
            };
            let spool = Spool::create(path.clone(), planned.columns.clone(), &metadata).unwrap();
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
        for (queries, expected) in [
            (&[count][..], false),
            (
                &[
                    "SELECT hours.hour_utc, count(*) AS n FROM hours JOIN logs ON time_bucket('1 hour', timestamp) = hour_utc GROUP BY 1",
                ],
                false,
            ),
            (&[count, count], true),
            (
                &["SELECT count(*) AS n FROM logs WHERE message LIKE 'x%'"],
                true,
            ),
            (
                &[
                    "SELECT (SELECT count(*) FROM logs) + (SELECT max(length(message)) FROM logs) AS n",
                ],
                true,
            ),
        ] {
            let job = job(folder.path(), queries);
            let planned = plan_all(&engine(folder.path()), &job, day()).await.unwrap();
            assert_eq!(reads_again(&job, &planned), expected, "{queries:?}");
        }
    }
}
