//! A job's questions, checked before anything is asked of AWS.

use arrow::datatypes::SchemaRef;

use crate::error::{Class, Result};
use crate::job::{Job, Query};
use crate::output::{parquet, picture};
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
    let schema = parquet::athena_schema(&statement.schema())
        .map_err(|error| error.during(&query.sql_origin))?;
    for chart in &query.charts {
        picture::check(chart, query.name.as_str(), &schema)?;
    }
    Ok(Question { statement, schema })
}

/// Checks all questions of a job against tables that are empty.
pub async fn check_all(engine: &Engine, job: &Job, range: Range) -> Result<()> {
    let session = engine
        .session(job.timezone)?
        .with_logs(LogsTable::empty(engine.pool()), None)?
        .with_window(range)?;
    for query in &job.queries {
        let question = check(&session, query)
            .await
            .map_err(|error| match error.class() {
                Class::Usage => error.during(job.file.display()),
                _ => error,
            })?;
        session.expect_answer(query.name.as_str(), question.schema)?;
    }
    Ok(())
}
