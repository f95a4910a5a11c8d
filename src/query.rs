//! From SQL text to rows: the session, its functions and views, and the checks of a job's queries.

pub mod functions;

mod additive;
mod chains;
mod distinct;
mod dropped;
mod lists;
mod local_times;
mod memory;
mod order;
pub mod planning;
mod postgres;
mod prepared;
mod rehearsal;
mod session;
mod statement;
mod timeout;
mod views;

pub use memory::available_memory;
pub use prepared::PreparedQuery;
pub use session::{Engine, Session};
pub use statement::{Execution, Statement};
pub use timeout::in_time;
