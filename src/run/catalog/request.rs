//! Which events and answers are wanted, and in which zone.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::error::{Error, Result};
use crate::job::{Job, LookupTable};
use crate::query::Parameters;
use crate::run::Selection;
use crate::window::{Range, Size, Span, TODAY, Window, is_last_ended};

/// Which events and answers, and in which zone. Made with `..CatalogRequest::default()`, as further keys may come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CatalogRequest {
    /// The windows whose events and answers are wanted.
    pub windows: Windows,
    /// The zone of windows and local times; that of the jobs where unset, UTC for locations.
    pub timezone: Option<Tz>,
    /// Whether messages are without personal data and secrets; those of a job that masks always are.
    pub mask: bool,
    /// The values of `$name` in queries.
    pub parameters: Parameters,
    /// Lookup tables beside those of the jobs.
    pub tables: Vec<LookupTable>,
}

/// The windows of a request, by their ids; `last` and `yesterday` are the last one that ended, `today` is the one that has
/// not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Windows {
    /// All that is there, without a window around it.
    #[default]
    All,
    /// One window.
    One(String),
    /// From one window to another, both included.
    FromTo(String, String),
    /// The last windows that ended, those of a job's size, or else of the unit of the span.
    Last(Span),
}

impl Windows {
    /// The windows of a text, as users of a session name them: `all`, an id, `last`, a length such as `7d`, or two ids.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let ends = text.split_once("..").or_else(|| text.split_once(' '));
        match (text, ends, text.parse()) {
            ("all", ..) => Self::All,
            (_, Some((from, to)), _) => Self::FromTo(from.trim().to_owned(), to.trim().to_owned()),
            (.., Ok(span)) => Self::Last(span),
            _ => Self::One(text.to_owned()),
        }
    }

    /// The windows of a job that a run would take for them. An error (usage) for all time, which no run takes.
    pub fn selection(&self, job: &Job, now: DateTime<Utc>) -> Result<Selection> {
        Ok(match self {
            Windows::All => {
                return Err(Error::usage(
                    "--fresh needs windows: expected --window today, --window yesterday, --last 7d, or --from and --to",
                ));
            }
            Windows::One(id) if id == TODAY => {
                Selection::Id(Window::holding(job.window.size, job.timezone, now)?.id())
            }
            Windows::One(id) => Selection::Id(id.clone()),
            Windows::FromTo(from, to) => Selection::FromTo(from.clone(), to.clone()),
            Windows::Last(span) => Selection::Last(*span),
        })
    }

    /// Their interval; `None` for all time. `size` is that of a job's windows; without it, an id of any size is taken.
    /// Errors (usage): an id that is none, windows in the wrong order.
    pub fn range(
        &self,
        timezone: Tz,
        size: Option<Size>,
        now: DateTime<Utc>,
    ) -> Result<Option<Range>> {
        let window = |id: &str| window(id, timezone, size, now);
        match self {
            Windows::All => Ok(None),
            Windows::One(id) => Ok(Some(window(id)?.range())),
            Windows::Last(span) => {
                let size = size.unwrap_or(span.unit());
                let windows = Window::last_of(size, timezone, *span, now)?;
                let ends = windows.first().zip(windows.last());
                Ok(ends.map(|(first, last)| Range {
                    start_ms: first.range().start_ms,
                    end_ms: last.range().end_ms,
                }))
            }
            Windows::FromTo(from, to) => {
                let range = Range {
                    start_ms: window(from)?.range().start_ms,
                    end_ms: window(to)?.range().end_ms,
                };
                match range.is_empty() {
                    false => Ok(Some(range)),
                    true => Err(Error::usage(format!(
                        "window {from} is after {to}: expected the earlier window first"
                    ))),
                }
            }
        }
    }
}

/// The window of an id, or of a word for one.
fn window(id: &str, timezone: Tz, size: Option<Size>, now: DateTime<Utc>) -> Result<Window> {
    match size {
        _ if is_last_ended(id) => Window::last_ended(size.unwrap_or_default(), timezone, now),
        _ if id == TODAY => Window::holding(size.unwrap_or_default(), timezone, now),
        Some(size) => Window::parse(size, timezone, id),
        None => [Size::Day, Size::Hour, Size::Week, Size::Month]
            .into_iter()
            .find_map(|size| Window::parse(size, timezone, id).ok())
            .ok_or_else(|| {
                Error::usage(format!(
                    "{id:?} is no window: expected 2026-11-21, 2026-11-21T05, 2026-W47 or 2026-11, or \"last\" (or \"yesterday\") for the last day, or \"today\""
                ))
            }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_named_as_on_the_command_line() {
        let one = |id: &str| Windows::One(id.to_owned());
        let pair = |from: &str, to: &str| Windows::FromTo(from.to_owned(), to.to_owned());
        for (text, expected) in [
            ("all", Windows::All),
            ("2026-11-21", one("2026-11-21")),
            ("last", one("last")),
            ("2026-11-20..2026-11-21", pair("2026-11-20", "2026-11-21")),
            ("2026-11-20 2026-11-21", pair("2026-11-20", "2026-11-21")),
            ("7d", Windows::Last("7d".parse().unwrap())),
        ] {
            assert_eq!(Windows::parse(text), expected, "{text}");
        }
    }
}
