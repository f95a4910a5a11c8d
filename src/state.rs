//! What a run of a window must not forget, whatever happens to it: who is at it ([`lease`]), how far it came, and which
//! exports were asked for.

pub mod lease;

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::window::Range;

/// The state of a window, an object beside the receipts. It is changed only by whoever holds the lease, by compare and
/// swap.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WindowState {
    /// Who is at the window; `None` where nobody is.
    pub lease: Option<Lease>,
    /// How far the last run came.
    pub phase: Phase,
    /// The run that has not come to its end; the next one goes on with its exports.
    pub unfinished: Option<Unfinished>,
    /// Why the last run failed, where it did.
    pub failure: Option<Failure>,
    /// Every attempt at an export whose objects may be there still.
    pub attempts: Vec<Attempt>,
}

/// The right to run a window. It is renewed every third of its length; one that was not changed for its length may be
/// taken away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    /// The id of the run.
    pub run: String,
    /// The machine or container.
    pub host: String,
    /// The process there.
    pub process: u32,
    /// When it was taken.
    pub since: DateTime<Utc>,
    /// The length.
    pub seconds: f64,
    /// How often it was renewed. No two states of a lease are the same bytes.
    pub renewals: u64,
}

impl Lease {
    /// The length. No job may have a longer one than an hour: what says more is damaged.
    pub fn length(&self) -> Duration {
        const LONGEST: Duration = Duration::from_secs(3600);
        let length = Duration::try_from_secs_f64(self.seconds);
        length.unwrap_or(LONGEST).min(LONGEST)
    }

    /// Whose it is, for people.
    pub fn holder(&self) -> String {
        format!(
            "process {} on {}, since {}",
            self.process,
            self.host,
            self.since.format("%Y-%m-%dT%H:%M:%SZ")
        )
    }
}

/// How far a run came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It exports, or waits for the slot.
    #[default]
    Exporting,
    /// It computes the answers.
    Asking,
    /// It puts them; the receipt comes last.
    Publishing,
    /// The receipt is there.
    Done,
}

/// A run that has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// When it began, or the first of those that it goes on with. Exports asked for since then are its own.
    pub began_at: DateTime<Utc>,
    /// A hash of what in its job decides the events.
    pub source_sha256: String,
    /// When the run began whose receipt was there then, as that says. A receipt that says something else is its own: no
    /// two machines' clocks are compared.
    #[serde(default)]
    pub replaces: Option<DateTime<Utc>>,
}

/// How a run failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When.
    pub at: DateTime<Utc>,
    /// The exit code.
    pub exit_code: u8,
    /// Why.
    pub error: String,
    /// Whether the same run fails again unless it is forced.
    #[serde(default)]
    pub yields_to_force: bool,
}

/// An attempt at exporting a log group. It is recorded before anything is asked for, so that whoever comes after a crash
/// knows where objects may be and which task to look for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The prefix that only this attempt writes below, relative to the staging location. It tells attempts apart.
    pub prefix: String,
    /// The log group.
    pub log_group: String,
    /// Only streams whose name begins so are asked for.
    #[serde(default)]
    pub log_stream_prefix: Option<String>,
    /// What was asked for, the padding included.
    pub range: Range,
    /// When it was, or was about to be, asked for: events that came later may be missing.
    pub asked_at: DateTime<Utc>,
    /// The export task, once it is known.
    pub task_id: Option<String>,
    /// How far it came.
    pub stage: AttemptStage,
}

/// How far an attempt came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttemptStage {
    /// It was about to be asked for: a task may or may not exist.
    Intended,
    /// A task exists; or, where it has no task's id, its events are being fetched one by one.
    Asked,
    /// Its manifest is written.
    Complete,
    /// It failed, or never began; its objects are never read.
    Abandoned,
}

/// Where attempts are recorded.
#[async_trait]
pub trait Journal: Send + Sync {
    /// The attempts at a log group so far, in the order in which they were first recorded.
    fn attempts(&self, log_group: &str) -> Vec<Attempt>;

    /// Adds an attempt, or replaces what was recorded of it. When this returns, it is not forgotten.
    async fn record(&self, attempt: Attempt) -> Result<()>;
}

/// A journal that is forgotten with the process.
#[cfg(any(test, feature = "testing"))]
#[derive(Debug, Default)]
pub struct MemoryJournal(std::sync::Mutex<Vec<Attempt>>);

#[cfg(any(test, feature = "testing"))]
impl MemoryJournal {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Attempt>> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(any(test, feature = "testing"))]
#[async_trait]
impl Journal for MemoryJournal {
    fn attempts(&self, log_group: &str) -> Vec<Attempt> {
        of_group(&self.lock(), log_group)
    }

    async fn record(&self, attempt: Attempt) -> Result<()> {
        upsert(&mut self.lock(), attempt);
        Ok(())
    }
}

fn of_group(attempts: &[Attempt], log_group: &str) -> Vec<Attempt> {
    attempts
        .iter()
        .filter(|attempt| attempt.log_group == log_group)
        .cloned()
        .collect()
}

fn upsert(attempts: &mut Vec<Attempt>, attempt: Attempt) {
    match attempts
        .iter_mut()
        .find(|known| known.prefix == attempt.prefix)
    {
        Some(known) => *known = attempt,
        None => attempts.push(attempt),
    }
}
