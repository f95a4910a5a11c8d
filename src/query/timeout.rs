//! How long a query may take.

use std::time::Duration;

use crate::error::{Class, Error, Result};

/// Carries out work within a limit, which `name` is the key or the option of. An error (SQL) where it takes longer.
pub async fn in_time<T>(
    name: &str,
    limit: Option<Duration>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    // Boxed: the futures of queries are large.
    let work = Box::pin(work);
    let Some(limit) = limit else {
        return work.await;
    };
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        let limit = humantime::format_duration(limit);
        let what = format!(
            "the query takes longer than {limit} ({name}): expected one that ends in time, or a longer {name}"
        );
        Err(Error::new(Class::Sql, what))
    })
}
