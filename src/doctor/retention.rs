//! Whether the log groups keep their events until the runs that need them.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use crate::aws::logs::LogGroup;
use crate::error::{Class, Result};
use crate::job::{DefaultWindow, Job};
use crate::numbers::counted;

use super::examination::Examination;
use super::finding::{Area, Finding, Outcome};
use super::plan::next_window;

impl Examination<'_> {
    /// Whether the groups keep events until the runs that need them.
    pub(super) fn retention(&mut self, groups: &[LogGroup]) {
        let now = self.environment.clock.now();
        let Ok(needs) = Needs::of(self.job, now) else {
            return;
        };
        let mut longest = true;
        for group in groups {
            if let Some((outcome, message)) = needs.problem(group, now) {
                longest = false;
                let mut finding = Finding::new(Area::Logs, &group.name, outcome, message);
                finding.class = (outcome == Outcome::Failed).then_some(Class::Source);
                self.add(finding);
            }
        }
        if longest && !groups.is_empty() {
            let message = format!(
                "all keep their events for the windows that a run reads, back to {}",
                needs.earliest.to_rfc3339_opts(SecondsFormat::Secs, true)
            );
            self.add(Finding::new(Area::Logs, "retention", Outcome::Ok, message));
        }
    }
}

/// From when on a run needs events.
struct Needs {
    /// The start of the default window.
    window: DateTime<Utc>,
    /// The start of the earliest window that a run looks back at.
    earliest: DateTime<Utc>,
    lookback: u32,
    /// Whether the default window is always the same one, which may be done already.
    is_fixed: bool,
}

impl Needs {
    fn of(job: &Job, now: DateTime<Utc>) -> Result<Self> {
        let window = next_window(job, now)?;
        let length = window.end() - window.start();
        let lookback = job.window.lookback;
        let back = i32::try_from(lookback).unwrap_or(i32::MAX);
        let earliest = length.checked_mul(back);
        let earliest = earliest.and_then(|length| window.start().checked_sub_signed(length));
        Ok(Self {
            window: window.start(),
            earliest: earliest.unwrap_or(DateTime::<Utc>::MIN_UTC),
            lookback,
            is_fixed: job.window.default != DefaultWindow::LastEnded,
        })
    }

    fn problem(&self, group: &LogGroup, now: DateTime<Utc>) -> Option<(Outcome, String)> {
        let days = group.retention_days?;
        let kept_from = now - TimeDelta::days(days.into());
        let kept = counted(days.into(), "day");
        if kept_from > self.window {
            let outcome = match self.is_fixed {
                true => Outcome::Warning,
                false => Outcome::Failed,
            };
            return Some((
                outcome,
                format!(
                    "it keeps events for {kept}, and the window of the next run begins earlier, at {}: its events are deleted before they are exported. Let it keep them longer, or take shorter windows",
                    self.window.to_rfc3339_opts(SecondsFormat::Secs, true)
                ),
            ));
        }
        (kept_from > self.earliest).then(|| {
            (
                Outcome::Warning,
                format!(
                    "it keeps events for {kept}: of the {} before that a run looks back at, the first can't be exported again. A night that fails must be repeated within that time",
                    counted(self.lookback.into(), "window")
                ),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::logs::GroupClass;

    fn group(retention_days: Option<u32>) -> LogGroup {
        LogGroup {
            name: "/a".to_owned(),
            created_ms: 0,
            stored_bytes: 0,
            retention_days,
            class: GroupClass::Standard,
            origin: None,
        }
    }

    #[test]
    fn events_must_be_kept_until_the_runs_that_need_them() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let now = at("2026-11-22T03:00:00Z");
        let needs = Needs {
            window: at("2026-11-21T00:00:00Z"),
            earliest: at("2026-11-18T00:00:00Z"),
            lookback: 3,
            is_fixed: false,
        };
        let outcome = |days| needs.problem(&group(days), now).map(|(outcome, _)| outcome);
        assert_eq!(outcome(None), None);
        assert_eq!(outcome(Some(1)), Some(Outcome::Failed));
        assert_eq!(outcome(Some(3)), Some(Outcome::Warning));
        assert_eq!(outcome(Some(5)), None);
        let fixed = Needs {
            is_fixed: true,
            ..needs
        };
        let (outcome, _) = fixed.problem(&group(Some(1)), now).unwrap();
        assert_eq!(outcome, Outcome::Warning);
    }
}
