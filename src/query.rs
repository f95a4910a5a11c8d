//! From SQL text to rows: the session, its functions and views, and the checks of a job's queries.

pub mod functions;

mod additive;
mod dropped;
mod lists;
mod local_times;
mod order;
mod postgres;
mod prepared;
mod rehearsal;
mod session;
mod statement;
mod views;

pub use prepared::PreparedQuery;
pub use session::{Engine, Session, available_memory};
pub use statement::{Execution, Statement};
