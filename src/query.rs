//! From SQL text to rows: the session, its functions and views, and the checks of a job's queries.

pub mod functions;

mod additive;
pub mod archived;
mod bound;
mod chains;
#[cfg(feature = "cluster")]
pub mod cluster;
mod compacted;
mod distinct;
mod dropped;
mod errors;
mod expansion;
mod grouped_patterns;
mod headings;
mod impossible;
mod lists;
mod local_times;
pub mod lookup;
mod memory;
mod numbers;
mod order;
pub mod parameters;
pub mod parquet_table;
mod planning;
mod pool;
mod postgres;
mod prepared;
mod previous;
mod reference;
mod rehearsal;
mod script;
mod session;
mod star;
mod statement;
mod tables;
mod temporary_views;
mod timeout;
mod views;

pub use bound::{Bound, BoundType, BoundValue};
pub use errors::plain as in_words_of_sql;
pub use errors::type_name;
pub use functions::check_format;
pub use memory::{available_memory, total_memory};
pub use parameters::{Parameter, Parameters};
pub use pool::{ROW_GROUPS, SharedPool};
pub use prepared::PreparedQuery;
pub use reference::{Function, FunctionKind, is_like};
pub use script::{ScriptStatement, statements};
pub use session::{Engine, Session, Translate};
pub use statement::{Execution, LogsRead, ScanProgress, Statement};
pub use tables::{DeferredTable, PreviousAnswers, SessionTable, TableKind, name_in_sql};
pub use temporary_views::Command;
pub use timeout::{in_time, not_counted};
