//! The views of a session: `hours` of its window, and those over `logs`.

mod hours;
mod invocation_times;
mod of_logs;

pub use hours::hours;
pub use invocation_times::InvocationTimes;
pub use of_logs::of_logs;

#[cfg(test)]
mod tests;
