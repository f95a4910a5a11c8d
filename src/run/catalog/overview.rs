//! What a catalog has, in numbers, for a face that stays open.

use super::{Catalog, Subject};
use crate::error::Result;
use crate::run::history;
use crate::scan::deferred::OpenLogs;
use crate::window::Window;

impl Catalog {
    /// The windows of its jobs that are done, in order; none for what can't be listed, which a query explains.
    pub async fn windows_done(&self) -> Vec<Window> {
        let mut windows = Vec::new();
        for job in self.scope.subjects.iter().filter_map(Subject::job) {
            let done = history::done(&self.scope.environment, job).await;
            let done = done.inspect_err(|error| {
                tracing::debug!("can't find out which windows are done: {error}");
            });
            windows.extend(done.unwrap_or_default());
        }
        windows.sort_by_key(|window| window.range().start_ms);
        windows.dedup_by_key(|window| window.id());
        windows
    }

    /// Lists the objects that `logs` is of, as its first query would, and returns how many there are.
    ///
    /// # Errors
    /// Those of a query over `logs`.
    pub async fn list_objects(&self) -> Result<usize> {
        let tables = self.logs.open().await?;
        Ok(tables.iter().map(|table| table.objects().len()).sum())
    }
}
