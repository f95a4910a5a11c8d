//! What must outlive a run of a window that is killed: who holds the window ([`lease`]), how far the run came, and
//! which exports it requested.

pub mod lease;

mod keeper;
mod pages;
mod stored;

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::aws::logs::Origin;
use crate::error::{Remedy, Result};
use crate::window::Range;

pub use self::pages::PageSeries;

/// The state of a window, an object beside the receipts. Only the run that holds its lease changes it, by compare and
/// swap.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WindowState {
    /// The run that holds the window, if any.
    pub lease: Option<Lease>,
    /// How far the last run came.
    pub phase: Phase,
    /// The run that has not ended; the next one continues its exports.
    pub unfinished: Option<Unfinished>,
    /// Why the last run failed, if it did.
    pub failure: Option<Failure>,
    /// The outcomes that were reported to people, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reported: Vec<String>,
    /// As stored: the `pages` that hold further attempts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pages: Vec<PageSeries>,
    /// Every attempt at an export whose objects may still be there. As stored: without those in pages.
    pub attempts: Vec<Attempt>,
}

/// The right to run a window. It is renewed every third of its length. Another run may take it over when the state has
/// not changed for that length.
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
    /// How often it was renewed, so that no two versions of a lease have the same bytes.
    pub renewals: u64,
}

impl Lease {
    /// The length, an hour at the most: no job may have a longer lease.
    pub fn length(&self) -> Duration {
        const LONGEST: Duration = Duration::from_secs(3600);
        let length = Duration::try_from_secs_f64(self.seconds);
        length.unwrap_or(LONGEST).min(LONGEST)
    }

    /// Who holds it, for messages.
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
    /// It exports, or waits for the export slot.
    #[default]
    Exporting,
    /// It computes the answers.
    Asking,
    /// It puts the answers; the receipt comes last.
    Publishing,
    /// The receipt is written.
    Done,
}

/// A run that has begun and not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// When it began, or the first of the runs that it continues. Exports requested since then are its own.
    pub began_at: DateTime<Utc>,
    /// A hash of the keys of its job that decide the events.
    pub source_sha256: String,
    /// `started_at` of the receipt that it found. A receipt with another value is its own: no two machines' clocks are
    /// compared.
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
    /// The option without which the same run fails again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<Remedy>,
}

/// An attempt at exporting a log group. It is recorded before anything is requested or written, so that after a crash
/// the next run knows where objects may be and which task to look for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The prefix that only this attempt writes below, relative to the staging location. It identifies the attempt.
    pub prefix: String,
    /// The staging location, where the job has several sources: they may have several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staging: Option<String>,
    /// The log group.
    pub log_group: String,
    /// Only the streams whose name begins with this prefix are exported.
    #[serde(default)]
    pub log_stream_prefix: Option<String>,
    /// The requested times, with the padding.
    pub range: Range,
    /// When it was, or was about to be, requested: later events may be missing.
    pub asked_at: DateTime<Utc>,
    /// The account and Region of the log group, if they were known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// [`Unfinished::began_at`] of the run that recorded it, which identifies that run. It is compared for equality only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of_run: Option<DateTime<Utc>>,
    /// The export task, once it is known.
    pub task_id: Option<String>,
    /// How far it came.
    pub stage: AttemptStage,
}

impl Attempt {
    /// Whether it has ended, well or not.
    pub fn is_over(&self) -> bool {
        matches!(self.stage, AttemptStage::Complete | AttemptStage::Abandoned)
    }
}

/// How far an attempt came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttemptStage {
    /// It was about to be requested: a task may or may not exist.
    Intended,
    /// A task exists; or, without a task's id, its events are being fetched through the Logs API.
    Asked,
    /// Its manifest is written.
    Complete,
    /// It failed, or never began; its objects are never read.
    Abandoned,
}

/// The record of attempts.
#[async_trait]
pub trait Journal: Send + Sync {
    /// The attempts at a log group so far, in the order in which they were first recorded.
    fn attempts(&self, log_group: &str) -> Vec<Attempt>;

    /// Adds an attempt, or replaces what was recorded of it. It is durable when this returns. An error (held) where the
    /// lease was lost; then nothing may be requested.
    async fn record(&self, attempt: Attempt) -> Result<()>;

    /// The same, durable with the next record, or the next renewal of the lease. For what a later run can find out by
    /// itself: a task by its prefix, a complete attempt by its manifest.
    fn note(&self, attempt: Attempt);
}

/// A journal in memory, for tests.
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
        self.note(attempt);
        Ok(())
    }

    fn note(&self, attempt: Attempt) {
        upsert(&mut self.lock(), attempt);
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
