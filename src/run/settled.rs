//! When late events no longer change an answer, and when a run is done with its window.

use chrono::{DateTime, TimeDelta, Utc};

use crate::job::Job;
use crate::receipt::Receipt;
use crate::state::Unfinished;
use crate::window::Window;

/// Whether a run came as far as its receipt, and was killed only then.
pub(super) fn is_published(unfinished: &Unfinished, last: Option<&Receipt>) -> bool {
    last.is_some_and(|last| unfinished.replaces != Some(last.started_at))
}

/// Whether late events may still come.
pub(super) fn is_provisional(job: &Job, window: &Window, now: DateTime<Utc>) -> bool {
    now < settled_at(job, window)
}

/// When the window settles: events may be that late.
pub(super) fn settled_at(job: &Job, window: &Window) -> DateTime<Utc> {
    let after = TimeDelta::from_std(job.window.settled_after).unwrap_or(TimeDelta::MAX);
    window
        .end()
        .checked_add_signed(after)
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}
