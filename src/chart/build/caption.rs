//! The texts around the values of a window's figure: its log groups, its time, and how certain its values are.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::language;
use crate::chart::model::Sources;
use crate::job::{Language, Verify};
use crate::verify::Verification;
use crate::window::Window;

/// A figure names up to this many log groups, and says how many more there are.
const MOST_NAMED_GROUPS: usize = 3;

/// What an independent count of the events says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Verified {
    /// The job does not ask for a count.
    #[default]
    NotAsked,
    /// The counts are equal.
    Verified {
        /// The source of the independent count, in a few words.
        method: String,
    },
    /// The counts differ.
    Differs {
        /// The independent count.
        expected: u64,
        /// The events that logtally counted.
        counted: u64,
    },
    /// The job asks for a count, and it failed.
    Unverified,
}

impl Verified {
    /// The result of a verification; `None` if the job does not ask for one.
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

/// What the figures of a window say of it.
#[derive(Debug, Clone, Copy)]
pub struct Caption<'a> {
    /// The job's name.
    pub job: &'a str,
    /// The window.
    pub window: &'a Window,
    /// The log groups.
    pub groups: &'a [String],
    /// The time until which the events are known.
    pub as_of: Option<DateTime<Utc>>,
    /// Whether late events may still come.
    pub provisional: bool,
    /// How late an event may come.
    pub settled_after: Duration,
    /// The independent count of the events.
    pub verified: &'a Verified,
}

impl Caption<'_> {
    /// The warnings: late events may come, an independent count differs.
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
        let named = self.groups.len().min(MOST_NAMED_GROUPS);
        Sources {
            names: self.groups[..named].to_vec(),
            more: language::more(language, self.groups.len() - named),
        }
    }

    /// The window's times, until when its events are known, how certain they are, and how many of all events have no
    /// level where that is to be told.
    pub(super) fn footer(&self, language: Language, without_level: Option<(f64, f64)>) -> String {
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
        let state = match self.provisional {
            true => language::provisional(language),
            false => language::settled(language),
        };
        parts.push(state.to_owned());
        parts.push(match self.verified {
            Verified::NotAsked => language::not_verified(language).to_owned(),
            Verified::Unverified => language::unverified(language).to_owned(),
            Verified::Verified { method } => language::verified(language, method),
            Verified::Differs { expected, counted } => {
                language::differs(language, *expected, *counted)
            }
        });
        if let Some((none, all)) = without_level {
            parts.push(language::without_level(language, none, all));
        }
        parts.push(concat!("logtally ", env!("CARGO_PKG_VERSION")).to_owned());
        parts.join(" · ")
    }
}
