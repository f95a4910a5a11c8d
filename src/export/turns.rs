//! Turns at the one export slot, where several jobs want it at the same time.
//!
//! CloudWatch Logs has no queue: the first request that finds the slot free gets it. A job whose own task has just ended
//! is nearly always that first one. So after its turn, a job leaves the slot to each caller whose task it has seen
//! lately, until that caller has had a turn too, or leaves the slot free for longer than a waiting job does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::deadline::SLOT;
use super::service::Task;
use crate::backoff::Backoff;

/// Between looks at the slot while it is left to others.
pub const LOOK: Backoff = Backoff {
    first: Duration::from_secs(10),
    most: Duration::from_secs(10),
};

/// A slot that is free for so long has no job waiting for it: a waiting one asks every [`SLOT`].
const UNWANTED_AFTER: Duration = SLOT.most.saturating_add(Duration::from_secs(10));

/// Callers are waited for this long after their last task. Later they are not expected to want the slot.
const EXPECTED_FOR: Duration = Duration::from_secs(3600);

/// The turns that a job takes before it leaves the slot free, to see whether other jobs wait: those that have had no turn
/// yet are not known. The number doubles each time that no job did, so that a job alone loses a few seconds a turn.
const FEWEST_TURNS: u32 = 2;
const MOST_TURNS: u32 = 8;

/// The export slot of an account and Region, which several sources of a job may want: one of them at a time asks for it, in
/// the order in which they came.
#[derive(Debug, Default)]
pub struct ExportSlot {
    queue: tokio::sync::Mutex<()>,
    /// Whose turn it is among jobs.
    pub turns: Turns,
}

impl ExportSlot {
    /// Waits until no other source of the job uses the slot. It is given back when the guard is dropped.
    pub async fn queue(&self, report: &(dyn Fn(&str) + Sync)) -> tokio::sync::MutexGuard<'_, ()> {
        match self.queue.try_lock() {
            Ok(own) => own,
            Err(_) => {
                report("another source of this job uses the export slot");
                self.queue.lock().await
            }
        }
    }
}

/// Whose turn it is, as far as a run can know.
#[derive(Debug)]
pub struct Turns(Mutex<Seen>);

#[derive(Debug)]
struct Seen {
    /// When the last task of each other caller was seen in the slot.
    others: BTreeMap<String, Duration>,
    /// The callers that had a turn since this run's own.
    served: BTreeSet<String>,
    /// The tasks of other callers since this run's own turn.
    passed: BTreeSet<String>,
    /// Whether this run had a turn.
    had_turn: bool,
    /// Its turns without another caller's between them, and when the first of them began.
    in_a_row: u32,
    row_began: Duration,
    /// How many there may be.
    most_in_a_row: u32,
}

impl Default for Turns {
    fn default() -> Self {
        Self(Mutex::new(Seen {
            others: BTreeMap::new(),
            served: BTreeSet::new(),
            passed: BTreeSet::new(),
            had_turn: false,
            in_a_row: 0,
            row_began: Duration::ZERO,
            most_in_a_row: FEWEST_TURNS,
        }))
    }
}

impl Turns {
    /// This run's task has got the slot at `now`.
    pub fn took(&self, now: Duration) {
        let mut seen = self.seen();
        if seen.in_a_row == 0 {
            seen.row_began = now;
        }
        seen.served.clear();
        seen.passed.clear();
        seen.had_turn = true;
        seen.in_a_row += 1;
    }

    /// The task of another caller has the slot at `now`.
    pub fn saw(&self, task: &Task, now: Duration) {
        let mut seen = self.seen();
        let caller = caller(&task.name);
        seen.others.insert(caller.to_owned(), now);
        seen.served.insert(caller.to_owned());
        seen.passed.insert(task.id.clone());
        seen.in_a_row = 0;
        seen.most_in_a_row = FEWEST_TURNS;
    }

    /// If other callers come before this run: for how long it leaves the slot free. A caller that is expected has as long
    /// as a waiting job may take to ask. Without one, it is as long as one of the run's own turns took, and no longer.
    pub fn leave_free_for(&self, now: Duration) -> Option<Duration> {
        let mut seen = self.seen();
        seen.others
            .retain(|_, at| now.saturating_sub(*at) < EXPECTED_FOR);
        let mut others = seen.others.keys();
        if seen.had_turn && others.any(|other| !seen.served.contains(other)) {
            return Some(UNWANTED_AFTER);
        }
        let row = now.saturating_sub(seen.row_began);
        (seen.in_a_row >= seen.most_in_a_row).then(|| (row / seen.in_a_row).min(UNWANTED_AFTER))
    }

    /// Between requests for the slot while it is busy. A job that others have passed by asks more often than they do.
    pub fn between_requests(&self) -> Backoff {
        let seen = self.seen();
        match seen.passed.len() > seen.others.len() {
            true => LOOK,
            false => SLOT,
        }
    }

    /// No other caller has taken the slot although it was free.
    pub fn are_alone(&self) {
        let mut seen = self.seen();
        seen.others.clear();
        seen.in_a_row = 0;
        seen.most_in_a_row = (seen.most_in_a_row * 2).min(MOST_TURNS);
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the tasks of one job have in common in their names: `logtally <job>`. All tasks of other programs count as one
/// caller's, since nothing tells whose they are.
fn caller(task_name: &str) -> &str {
    let mut spaces = task_name.match_indices(' ').map(|(at, _)| at);
    match (task_name.starts_with("logtally "), spaces.nth(1)) {
        (true, Some(end)) => &task_name[..end],
        _ => "",
    }
}

#[cfg(test)]
mod tests;
