//! A scan of `logs` as a message to another process, the parts that it is dealt out in, and what that process reports of it.
//!
//! The engine's own form of a file has a path and a size, and would lose the other objects of a bundle, their ETags and
//! their ranges of events. Here each file has the list of its objects, and an object is never cut.

mod dealing;
mod message;
mod reported;

use std::sync::Arc;

use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::ExecutionPlan;

use super::source::LogSource;

pub use dealing::{cut, deal, deal_out, most_parts};
pub use message::{ReceivedScan, decode, encode};
pub use reported::{Received, Reported, SentScans};

/// The scan of `logs` that a plan's leaf is.
pub fn scan_of(plan: &Arc<dyn ExecutionPlan>) -> Option<(&FileScanConfig, &LogSource)> {
    let scan = plan.downcast_ref::<DataSourceExec>()?;
    scan.downcast_to_file_source::<LogSource>()
}

/// The store that a scan reads, `s3://bucket/` or `file:///`, as a worker calls it.
pub fn store_of(config: &FileScanConfig) -> String {
    let url = config.object_store_url.as_str();
    // Of several accounts, `s3-1://bucket/` is the client of the second one. A worker has one client, with credentials of its
    // own.
    let of_account = url
        .strip_prefix("s3-")
        .and_then(|url| url.split_once("://"));
    match of_account {
        Some((_, bucket)) => format!("s3://{bucket}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests;
