//! The texts around the values of a window's figure: its log groups, its time, and how certain its values are.

use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::language;
use crate::chart::model::Sources;
use crate::expect::ExpectationReport;
use crate::job::{Language, Verify};
use crate::verify::Verification;
use crate::window::{Range, Window};

/// A figure names up to this many log groups, and says how many more there are.
const MOST_NAMED_GROUPS: usize = 3;

/// A figure tells up to this many broken expectations, and says how many more there are.
const MOST_BROKEN: usize = 2;

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

/// What the figure of an ad-hoc answer says of what was queried.
#[derive(Debug, Clone, Copy)]
pub struct AdHocCaption<'a> {
    /// The name of the job or location.
    pub subject: &'a str,
    /// The job file or location, as it was written.
    pub source: &'a str,
    /// The first and the last of the windows that were asked for, the same for one; `None` if all events were.
    pub windows: Option<(&'a str, &'a str)>,
    /// The time that the answer covers.
    pub range: Option<Range>,
    /// The zone of local times.
    pub zone: Tz,
}

impl AdHocCaption<'_> {
    /// `shop · 2026-11-22 to 2026-11-28 · Asia/Seoul`
    pub(super) fn title(&self, language: Language) -> String {
        let mut parts = vec![self.subject.to_owned()];
        parts.extend(self.windows.map(|(first, last)| match first == last {
            true => first.to_owned(),
            false => language::from_to(language, first, last),
        }));
        parts.push(self.zone.name().to_owned());
        parts.join(" · ")
    }

    /// The time that is covered, and where the events are from.
    pub(super) fn footer(&self, language: Language) -> String {
        let mut parts = Vec::new();
        if let Some(range) = self.range {
            let local = |ms: i64| {
                let at = DateTime::from_timestamp_millis(ms).unwrap_or_default();
                local_time(at, self.zone)
            };
            parts.push(language::from_to(
                language,
                &local(range.start_ms),
                &local(range.end_ms),
            ));
        }
        parts.push(self.source.to_owned());
        parts.push(PROGRAM.to_owned());
        parts.join(" · ")
    }
}

/// The program and its version.
const PROGRAM: &str = concat!("logtally ", env!("CARGO_PKG_VERSION"));

fn local_time(at: DateTime<Utc>, zone: Tz) -> String {
    at.with_timezone(&zone)
        .format("%Y-%m-%d %H:%M %Z")
        .to_string()
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
    /// How the window's answers compare with what is expected of them.
    pub expectations: &'a [ExpectationReport],
}

impl Caption<'_> {
    /// What of a query's answer is not as expected.
    fn broken<'a>(&'a self, query: &'a str) -> impl Iterator<Item = &'a ExpectationReport> {
        let all = self.expectations.iter();
        all.filter(move |one| one.query == query && one.is_broken())
    }

    /// The warnings: late events may come, an independent count differs, the query's answer is not as expected.
    pub(super) fn badge(&self, language: Language, query: &str) -> String {
        let mut parts = Vec::new();
        if self.provisional {
            parts.push(language::provisional(language));
        }
        if let Verified::Differs { .. } = self.verified {
            parts.push(language::differs_badge(language));
        }
        if self.broken(query).next().is_some() {
            parts.push(language::not_as_expected(language));
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

    /// What is not as expected; the window's times, until when its events are known, how certain they are, and how many of
    /// all events have no level where that is to be told.
    pub(super) fn footer(
        &self,
        language: Language,
        query: &str,
        without_level: Option<(f64, f64)>,
    ) -> String {
        let broken = self.broken(query).count();
        let mut parts: Vec<String> = self
            .broken(query)
            .take(MOST_BROKEN)
            .map(|one| one.difference(language))
            .collect();
        if broken > MOST_BROKEN {
            parts.push(
                language::more(language, broken - MOST_BROKEN)
                    .trim()
                    .to_owned(),
            );
        }
        let zone = self.window.zone();
        let local = |at: DateTime<Utc>| local_time(at, zone);
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
        parts.push(PROGRAM.to_owned());
        parts.join(" · ")
    }
}
