//! What stands around the values of a window's chart: which window, whose logs, how far they are to be trusted.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::language;
use crate::chart::model::Sources;
use crate::job::{Language, Verify};
use crate::verify::Verification;
use crate::window::Window;

/// A footer names this many log groups, and how many more there are.
const NAMED_GROUPS: usize = 3;

/// Whether somebody else counted the events too.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Verified {
    /// The job does not ask for it.
    #[default]
    NotAsked,
    /// The counts are the same.
    Verified {
        /// Against what, in a few words.
        method: String,
    },
    /// The counts differ.
    Differs {
        /// The events that there should be.
        expected: u64,
        /// The events that were counted.
        counted: u64,
    },
    /// The job asks for it, and no count could be had.
    Unverified,
}

impl Verified {
    /// What a comparison with an independent count came to; `None` where the job does not ask for one.
    pub fn of(verification: Option<&Verification>) -> Self {
        let Some(verification) = verification else {
            return Self::NotAsked;
        };
        match (verification.agrees, verification.expected) {
            (Some(true), _) => Self::Verified {
                method: match verification.method {
                    Verify::Insights => "Logs Insights",
                    Verify::Metrics | Verify::Off => "CloudWatch",
                }
                .to_owned(),
            },
            (Some(false), Some(expected)) => Self::Differs {
                expected,
                counted: verification.counted,
            },
            _ => Self::Unverified,
        }
    }
}

/// What stands around the charts of a window.
#[derive(Debug, Clone, Copy)]
pub struct Caption<'a> {
    /// The job's name.
    pub job: &'a str,
    /// The window.
    pub window: &'a Window,
    /// The log groups.
    pub groups: &'a [String],
    /// When the events were taken.
    pub as_of: Option<DateTime<Utc>>,
    /// Whether late events may still come.
    pub provisional: bool,
    /// How late an event may come.
    pub settled_after: Duration,
    /// Whether the events were counted independently.
    pub verified: &'a Verified,
}

impl Caption<'_> {
    /// What must not be missed: that late events may come, that another count differs.
    pub(super) fn badge(&self, language: Language) -> String {
        let mut parts = Vec::new();
        if self.provisional {
            parts.push(language::provisional(language));
        }
        if let Verified::Differs { .. } = self.verified {
            parts.push(language::differs_badge(language));
        }
        parts.join(" · ")
    }

    /// The log groups.
    pub(super) fn sources(&self, language: Language) -> Sources {
        let named = self.groups.len().min(NAMED_GROUPS);
        Sources {
            names: self.groups[..named].to_vec(),
            more: language::more(language, self.groups.len() - named),
        }
    }

    /// The lines below a chart: window, as-of time, and how far the numbers are to be trusted.
    pub(super) fn footer(&self, language: Language) -> String {
        let mut parts = Vec::new();
        let zone = self.window.zone();
        let local = |at: DateTime<Utc>| {
            at.with_timezone(&zone)
                .format("%Y-%m-%d %H:%M %Z")
                .to_string()
        };
        let (start, end) = (self.window.start(), self.window.end());
        parts.push(language::from_to(language, &local(start), &local(end)));
        if let Some(as_of) = self.as_of {
            parts.push(language::as_of(language, &local(as_of)));
        }
        let trust = match self.provisional {
            true => language::provisional(language),
            false => language::settled(language),
        };
        parts.push(trust.to_owned());
        parts.push(match self.verified {
            Verified::NotAsked => language::not_verified(language).to_owned(),
            Verified::Unverified => language::unverified(language).to_owned(),
            Verified::Verified { method } => language::verified(language, method),
            Verified::Differs { expected, counted } => {
                language::differs(language, *expected, *counted)
            }
        });
        parts.push(concat!("logtally ", env!("CARGO_PKG_VERSION")).to_owned());
        parts.join(" · ")
    }
}
