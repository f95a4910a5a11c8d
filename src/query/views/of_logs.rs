//! The views over `logs`: `lambda_invocations` and `errors`, each in a file of SQL beside this one.
//!
//! A view is planned where a query first names it, so that it costs nothing elsewhere.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::datasource::ViewTable;
use datafusion::execution::session_state::SessionState;
use datafusion::prelude::SessionContext;

use crate::error::{Class, Error, Result};
use crate::query::DeferredTable;

const VIEWS: [(&str, &str); 2] = [
    ("errors", include_str!("errors.sql")),
    ("lambda_invocations", include_str!("lambda_invocations.sql")),
];

/// The views over the table `logs` that a session has or will have, by their names.
pub fn of_logs(context: &SessionContext) -> impl Iterator<Item = (&'static str, ViewOfLogs)> {
    // Not the session itself, among whose tables the view will be.
    let session = context.state_weak_ref();
    VIEWS.into_iter().map(move |(name, sql)| {
        let session = session.clone();
        let view = ViewOfLogs {
            sql,
            session: Box::new(move || Some(session.upgrade()?.read().clone())),
        };
        (name, view)
    })
}

/// A view whose plan is made when a query first names it.
pub struct ViewOfLogs {
    sql: &'static str,
    /// The state of the session that has this view, while that session exists.
    session: Box<dyn Fn() -> Option<SessionState> + Send + Sync>,
}

impl fmt::Debug for ViewOfLogs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("ViewOfLogs")
            .field(&self.sql)
            .finish()
    }
}

#[async_trait]
impl DeferredTable for ViewOfLogs {
    async fn open(&self) -> Result<Arc<dyn TableProvider>> {
        let gone = || Error::new(Class::Unexpected, "a view outlived its session");
        let session = (self.session)().ok_or_else(gone)?;
        let plan = session.create_logical_plan(self.sql).await;
        let plan = plan.map_err(Error::from_engine)?;
        let definition = Some(self.sql.to_owned());
        Ok(Arc::new(ViewTable::new(plan, definition)))
    }
}
