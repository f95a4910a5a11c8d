//! The `logs` table: exported objects, read in parallel and as a stream, as one row for each event of a window.
//!
//! [`fetch`] gets the objects' bytes, [`inflate`] turns them into [`text`] within a [`budget`] of memory, [`events`]
//! finds the events in it, [`batch`] makes Arrow batches of the projected columns, [`object`] does so
//! for one object and [`bundle`] for many small ones. [`layers`] unpacks the objects of a subscription, [`records`] finds the
//! events in them, [`event_ids`] which of them came twice, and [`record_object`] makes batches of them. [`delivered`] does the same for vended logs, an event on each line or in each row, and [`unzstd`]
//! for what is compressed with zstd. [`columns`] keeps what they find, and [`patterns`] of messages with it, [`source`] is for the engine, and [`table`] decides which objects.
//! [`report`] says what was read, [`tally`] how many events each hour has, [`edges`] which exports have events in common,
//! [`foreign`] what an object looks like that is no export, `wire` sends a scan to another process, and [`deferred`] lists the objects only when a query reads them.

pub mod batch;
pub mod budget;
pub mod bundle;
pub mod cache;
pub mod columns;
pub mod deferred;
pub mod delivered;
pub mod edges;
pub mod event_ids;
pub mod events;
pub mod fetch;
pub mod foreign;
pub mod inflate;
mod input;
pub mod layers;
pub mod object;
pub mod patterns;
pub mod record_object;
pub mod records;
pub mod report;
pub mod source;
pub mod table;
pub mod tables;
pub mod tally;
pub mod text;
pub mod unzstd;
#[cfg(feature = "cluster")]
pub mod wire;

mod digits;
mod escapes;
mod libdeflate;
mod unescape;

pub use report::{ReadLog, ScanReport, ScanReports};
pub use source::{COMPRESSION, planned_bytes};
pub use table::{LogsTable, Processes};
pub use tables::LogsTables;
pub use tally::{Hours, Tally};
