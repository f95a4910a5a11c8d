//! A job's questions, checked before anything is asked of AWS.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use crate::chart::build;
use crate::error::{Class, Error, Result};
use crate::job::{Job, Query, Source, Verify};
use crate::layout;
use crate::output::columns;
use crate::query::{Engine, Session, Statement};
use crate::scan::LogsTable;
use crate::window::Range;

/// A question that is ready to run in a session.
pub struct Question {
    /// The plan.
    pub statement: Statement,
    /// The answer's columns, as they are written.
    pub schema: SchemaRef,
}

/// Plans a question and checks that Athena can read its columns and that its charts can be drawn.
pub async fn check(session: &Session, query: &Query) -> Result<Question> {
    let statement = session
        .repeatable_statement(&query.sql, &query.sql_origin)
        .await?;
    let schema = columns::athena_schema(&statement.schema())
        .map_err(|error| error.during(&query.sql_origin))?;
    for chart in &query.charts {
        build::check(chart, query.name.as_str(), &schema)?;
    }
    Ok(Question { statement, schema })
}

/// Checks all questions of a job against tables that are empty; answers the columns of each.
pub async fn check_all(engine: &Engine, job: &Job, range: Range) -> Result<Vec<SchemaRef>> {
    let session = engine
        .session(job.timezone)?
        .with_logs(LogsTable::empty(engine.pool()), None)?
        .with_window(range)?;
    let mut schemas = Vec::with_capacity(job.queries.len());
    for query in &job.queries {
        let question = check(&session, query)
            .await
            .map_err(|error| match error.class() {
                Class::Usage => error.during(job.file.display()),
                _ => error,
            })?;
        check_partitions(job, query, &question.schema)?;
        session.expect_answer(query.name.as_str(), Arc::clone(&question.schema))?;
        schemas.push(question.schema);
    }
    Ok(schemas)
}

/// Whether the job may want an object more than once: then it is worth keeping.
pub async fn reads_again(engine: &Engine, job: &Job, range: Range) -> Result<bool> {
    let [query] = &job.queries[..] else {
        return Ok(true);
    };
    // Insights is held against a count by hour.
    if let Source::CloudWatch(settings) = &job.source
        && settings.verify == Verify::Insights
    {
        return Ok(true);
    }
    let session = engine
        .session(job.timezone)?
        .with_logs(LogsTable::empty(engine.pool()), None)?
        .with_window(range)?;
    let question = check(&session, query).await?;
    Ok(!question.statement.reads_logs_once())
}

/// A table's partitions are columns too, and no table has two of one name. Those that the job names are to be there.
fn check_partitions(job: &Job, query: &Query, schema: &SchemaRef) -> Result<()> {
    query
        .division
        .check(schema)
        .map_err(|error| error.during(format_args!("[[query]] {}", query.name)))?;
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
