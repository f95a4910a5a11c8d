//! The `logs` table: exported objects, read in parallel and as a stream, as one row for each event of a window.
//!
//! [`fetch`] gets the objects' bytes, [`inflate`] turns gzip bytes into text, [`events`] finds the events in it, [`batch`] makes Arrow batches of only the
//! columns that were asked for, [`source`] does so for each object, and [`table`] decides which objects and packs them.

pub mod events;
pub mod fetch;
pub mod inflate;
pub mod source;
pub mod table;

mod batch;
mod libdeflate;

use object_store::ObjectMeta;
use object_store::path::Path;

use crate::error::Result;
use crate::layout;
use crate::store::Store;
use crate::window::Range;

pub use table::LogsTable;

/// An exported object and what its place says about its events.
#[derive(Debug, Clone, PartialEq)]
pub struct LogObject {
    /// Its key, size and ETag.
    pub meta: ObjectMeta,
    /// The log group, where it is known.
    pub log_group: Option<String>,
    /// The log stream.
    pub log_stream: String,
    /// Only these of its events, where not all of them.
    pub range: Option<Range>,
}

/// Every exported object below a prefix, in the order of the keys. Neighbours that hold no events are left alone.
pub async fn list(store: &Store, prefix: &Path, log_group: Option<&str>) -> Result<Vec<LogObject>> {
    let objects = store.list(prefix).await?;
    Ok(objects
        .into_iter()
        .filter_map(|meta| LogObject::new(meta, log_group))
        .collect())
}

impl LogObject {
    /// `None` where the object is not one that holds events.
    pub fn new(meta: ObjectMeta, log_group: Option<&str>) -> Option<Self> {
        layout::holds_events(&meta.location).then(|| Self {
            log_group: log_group.map(str::to_owned),
            log_stream: layout::stream_of(&meta.location).unwrap_or_default(),
            meta,
            range: None,
        })
    }
}
