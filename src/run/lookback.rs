//! What a run of the default window does beside it: earlier windows that are missing, failed or provisional; and what it
//! only tells, since they lie further back or would fail again.

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt};

use super::Output;
use super::commands::commands;
use super::history::{
    AT_ONCE, KnownWindows, WindowStatus, WindowSummary, read_receipt, readable_state, summarise,
};
use super::settled::{is_at_rest, is_interrupted, is_provisional, needs_reexport};
use super::sources::Sources;
use crate::error::Result;
use crate::job::{DefaultWindow, Job};
use crate::numbers::counted;
use crate::receipt::Receipt;
use crate::state::WindowState;
use crate::window::{Unit, Window};

/// How many windows further back than `lookback` are looked at, to tell which of them are not done.
const MOST_TOLD: usize = 400;

/// How many of these receipts are read where no window is missing: then a provisional one is that of the last nights.
const MOST_READ: usize = 31;

/// The windows before those of a run.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// Those that the run does too, the oldest first.
    pub(super) due: Vec<Window>,
    /// Those that are done, with something to delete that an earlier run could not.
    pub(super) to_tidy: Vec<Window>,
    /// All others in their order; `due` are those that are not done.
    pub(super) others: Vec<WindowSummary>,
}

/// Looks at the windows before those of a run.
pub(super) struct Lookback<'a> {
    pub(super) output: &'a Output,
    pub(super) job: &'a Job,
    pub(super) job_sha256: &'a str,
    pub(super) known: &'a KnownWindows,
    /// Events from before this instant are deleted: nothing can be done about a window that is missing there.
    pub(super) deleted_until: Option<DateTime<Utc>>,
    /// Asked what they have now; `None` where only a run does that.
    pub(super) sources: Option<&'a Sources<'a>>,
    pub(super) now: DateTime<Utc>,
}

/// What is to be done about an earlier window.
enum Verdict {
    /// The run does it.
    Due,
    /// It is done.
    Done { is_at_rest: bool },
    /// It is not done, and the run does not do it.
    Left(WindowSummary),
}

impl Lookback<'_> {
    /// The backlog of a run whose own windows begin with `first`. A job goes no further back than the first window that
    /// it ever began, and a job of one fixed window only to those that have answers.
    pub(super) async fn backlog(&self, first: &Window) -> Result<Backlog> {
        let Some(oldest) = self.known.oldest() else {
            return Ok(Backlog::default());
        };
        let (size, zone) = (self.job.window.size, self.job.timezone);
        let before = |unit: Unit| unit.step(size, -1);
        let mut earlier = std::iter::successors(before(first.unit()), |unit| before(*unit))
            .take_while(|unit| oldest <= *unit)
            // A zone may have skipped one.
            .filter_map(|unit| Window::new(size, zone, unit).ok())
            .peekable();
        let most = self.job.window.lookback as usize;
        let mut verdicts: Vec<(Window, Verdict)> = Vec::new();

        let unsettled = std::iter::from_fn(|| {
            earlier.next_if(|window| is_provisional(self.job, window, self.now))
        });
        // Those with answers come again when they have settled.
        let unsettled: Vec<Window> = unsettled
            .take(most)
            .filter(|w| !self.has_answers(w))
            .collect();
        let earlier = earlier.skip_while(|window| is_provisional(self.job, window, self.now));
        let earlier: Vec<Window> = earlier.take(most + MOST_TOLD).collect();
        let (recent, older) = earlier.split_at(most.min(earlier.len()));
        let older = match older.iter().all(|window| self.has_answers(window)) {
            true => &older[..MOST_READ.min(older.len())],
            false => older,
        };
        for (windows, is_recent) in [(&unsettled[..], true), (recent, true), (older, false)] {
            let judged = futures::stream::iter(windows)
                .map(|window| self.judge(window, is_recent))
                .buffered(AT_ONCE);
            let judged: Vec<Verdict> = judged.try_collect().await?;
            verdicts.extend(windows.iter().cloned().zip(judged));
        }
        verdicts.reverse();
        let mut backlog = Backlog::default();
        for (window, verdict) in verdicts {
            let other = match verdict {
                Verdict::Left(summary) => summary,
                Verdict::Done { is_at_rest } => {
                    if !is_at_rest {
                        backlog.to_tidy.push(window.clone());
                    }
                    WindowSummary::of(&window, WindowStatus::Settled)
                }
                Verdict::Due => {
                    let summary = WindowSummary::of(&window, WindowStatus::Missing);
                    backlog.due.push(window);
                    summary
                }
            };
            backlog.others.push(other);
        }
        Ok(backlog)
    }

    fn has_answers(&self, window: &Window) -> bool {
        self.known.receipts.binary_search(&window.unit()).is_ok()
    }

    async fn judge(&self, window: &Window, is_recent: bool) -> Result<Verdict> {
        let done = Verdict::Done { is_at_rest: true };
        let is_deleted = self
            .deleted_until
            .is_some_and(|until| window.end() <= until);
        let is_wanted = match self.job.window.default {
            DefaultWindow::LastEnded => self.has_answers(window) || !is_deleted,
            DefaultWindow::Id(_) => is_recent && self.has_answers(window),
        };
        if !is_wanted {
            return Ok(done);
        }
        let has_state = self.known.states.binary_search(&window.unit()).is_ok();
        let output = self.output;
        let receipt = match self.has_answers(window) {
            true => read_receipt(output, window).await?,
            false => None,
        };
        // Older windows are only told, so that their states are read only where they are not done.
        let state = match (is_recent, &receipt, has_state) {
            (false, Some(receipt), _) if !receipt.window.provisional => return Ok(done),
            (_, _, false) => Some(WindowState::default()),
            _ => readable_state(output, window).await?,
        };
        if let (Some(receipt), Some(state)) = (&receipt, &state)
            && !self.is_due(receipt, state)
            && !(is_recent && self.lacks_objects(window, receipt).await?)
        {
            let is_at_rest = is_at_rest(receipt, state, self.sources, self.now);
            return Ok(Verdict::Done { is_at_rest });
        }
        let would_fail = state.is_none_or(|state| {
            let failure = state.failure.as_ref();
            failure.is_some_and(|failure| failure.remedy.is_some())
        });
        if is_recent && !would_fail {
            return Ok(Verdict::Due);
        }
        let summary = match has_state || receipt.is_some() {
            true => summarise(output, self.job, self.job_sha256, window.clone(), self.now).await?,
            false => WindowSummary {
                due: true,
                ..WindowSummary::of(window, WindowStatus::Missing)
            },
        };
        Ok(Verdict::Left(WindowSummary {
            due: true,
            ..summary
        }))
    }

    async fn lacks_objects(&self, window: &Window, receipt: &Receipt) -> Result<bool> {
        match self.sources {
            Some(sources) => sources.lack_objects(window, receipt).await,
            None => Ok(false),
        }
    }

    /// Whether a settled window with answers is to be done again.
    fn is_due(&self, receipt: &Receipt, state: &WindowState) -> bool {
        receipt.window.provisional
            || needs_reexport(self.job, receipt)
            || is_interrupted(state, Some(receipt))
    }
}

/// Which of these windows are not done, and the commands that do them; `None` where all are done.
pub(super) fn left_undone(job: &Job, windows: &[WindowSummary]) -> Option<String> {
    let left: Vec<&WindowSummary> = windows.iter().filter(|window| window.due).collect();
    if left.is_empty() {
        return None;
    }
    let named: Vec<String> = left.iter().map(|window| window.window.clone()).collect();
    let named = match &named[..] {
        [first, .., last] if named.len() > 3 => format!("{first} … {last}"),
        _ => named.join(", "),
    };
    let mut text = format!(
        "{} not done, and a run of the default window does not do them (lookback = {}): {named}",
        match left.len() {
            1 => "1 earlier window is".to_owned(),
            number => format!("{} are", counted(number as u64, "earlier window")),
        },
        job.window.lookback
    );
    let commands = commands(windows, &job.file.to_string());
    if !commands.is_empty() {
        text += &format!(". To do them: {}", commands.join("; "));
    }
    for blocked in left.iter().filter(|window| window.is_blocked) {
        text += &format!(". {}", blocked.note.as_deref().unwrap_or_default());
    }
    Some(text)
}
