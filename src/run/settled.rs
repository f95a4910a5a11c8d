//! When late events no longer change an answer, and when a run is done with its window.

use chrono::{DateTime, TimeDelta, Utc};

use super::clean;
use super::sources::Sources;
use crate::job::Job;
use crate::receipt::Receipt;
use crate::state::{Unfinished, WindowState};
use crate::window::Window;

/// How often a window is exported again because the independent count differs.
const MOST_REEXPORTS: u32 = 3;

/// Whether a run came as far as its receipt, and was killed only then.
pub(super) fn is_published(unfinished: &Unfinished, last: Option<&Receipt>) -> bool {
    last.is_some_and(|last| unfinished.replaces != Some(last.started_at))
}

/// Whether a run of the window has not come as far as its receipt: it may have replaced some of what the last one lists.
pub(super) fn is_interrupted(state: &WindowState, last: Option<&Receipt>) -> bool {
    let unfinished = state.unfinished.as_ref();
    unfinished.is_some_and(|unfinished| !is_published(unfinished, last))
}

/// Whether no lease is held and no clean-up is pending.
pub(super) fn is_at_rest(
    receipt: &Receipt,
    state: &WindowState,
    sources: Option<&Sources<'_>>,
    now: DateTime<Utc>,
) -> bool {
    let mut unneeded = clean::unneeded(state, receipt, sources, now);
    state.lease.is_none() && state.unfinished.is_none() && unneeded.next().is_none()
}

/// Whether the independent count differs and another export may help: a few times, and not where the job does not look
/// back.
pub(super) fn needs_reexport(job: &Job, last: &Receipt) -> bool {
    last.is_disputed() && last.reexports < job.window.lookback.min(MOST_REEXPORTS)
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
