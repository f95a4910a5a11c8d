//! What a run reports to people, and through which channels: the message of a window, its words in each language, and
//! sending it.

mod send;
mod slack;
mod words;

pub use send::send;

use bytes::Bytes;

use crate::chart::text::printable;
use crate::error::Error;
use crate::job::{Language, Notify, NotifyWhen};
use crate::receipt::{OutputKind, Receipt};

/// The most headlines of charts in a message.
const MOST_CHARTS: usize = 5;

/// The most broken expectations in a message.
const MOST_BROKEN: usize = 20;

/// The longest text of an error, in characters.
const LONGEST_ERROR: usize = 1000;

/// How the run of a window ended.
#[derive(Debug, Clone, Copy)]
pub enum Outcome<'a> {
    /// It is done.
    Done {
        /// Its receipt.
        receipt: &'a Receipt,
        /// The events of the same window a week before, if they are known.
        week_before: Option<u64>,
    },
    /// It failed.
    Failed(&'a Error),
}

/// How the number of events moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// What it was before.
    pub before: u64,
    /// What it is.
    pub now: u64,
    /// What it was then.
    pub since: Since,
}

/// What a number of events is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// The same window a week before.
    WeekBefore,
    /// The run of the same window before this one.
    LastRun,
}

impl Outcome<'_> {
    /// By what the events moved by more than the job's share.
    fn moved(&self, notify: &Notify) -> Option<Moved> {
        let Self::Done {
            receipt,
            week_before,
        } = self
        else {
            return None;
        };
        let now = receipt.read.events;
        let week = week_before.map(|before| (before, Since::WeekBefore));
        let last = receipt.change.as_ref();
        let last = last.map(|change| (change.events_before, Since::LastRun));
        [week, last]
            .into_iter()
            .flatten()
            .find_map(|(before, since)| {
                let moved = now.abs_diff(before) as f64;
                let is_large = moved > 0.0 && moved > before as f64 * notify.change;
                is_large.then_some(Moved { before, now, since })
            })
    }

    /// Whether the job reports this outcome.
    pub fn is_wanted(&self, notify: &Notify) -> bool {
        let importance = match self {
            Self::Failed(_) => NotifyWhen::Failure,
            Self::Done { receipt, .. } => {
                match receipt.broken().next().is_some() || self.moved(notify).is_some() {
                    true => NotifyWhen::Change,
                    false => NotifyWhen::Always,
                }
            }
        };
        importance <= notify.on
    }

    /// What a window is reported for once: two outcomes with the same id are one.
    pub fn id(&self, notify: &Notify) -> String {
        let receipt = match self {
            Self::Failed(error) => return format!("failed {}", error.class().exit_code()),
            Self::Done { receipt, .. } => receipt,
        };
        let mut parts = vec!["done".to_owned()];
        parts.extend(receipt.broken().map(|broken| {
            // In English, whatever the language of the messages.
            format!(
                "broken {}: {}",
                broken.query,
                broken.expected(Language::English)
            )
        }));
        if self.moved(notify).is_some() {
            parts.push("moved".to_owned());
        }
        parts.join(", ")
    }
}

/// A message: a subject, and lines of which some are links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// ASCII, at most 99 characters.
    pub subject: String,
    /// The lines.
    pub lines: Vec<Line>,
}

/// A line of a message.
#[derive(Clone, PartialEq, Eq)]
pub struct Line {
    /// The text.
    pub text: String,
    /// Where the line leads. A signed link is a secret.
    pub link: Option<String>,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

impl Line {
    /// A line without a link. Names and values of logs stand in it: no character of them acts on the reader's screen.
    fn plain(text: &str) -> Self {
        Self::linked(text, None)
    }

    fn linked(text: &str, link: Option<String>) -> Self {
        Self {
            text: printable(text).into_owned(),
            link,
        }
    }
}

/// A chart that is sent with a message.
#[derive(Debug, Clone)]
pub struct ChartFile {
    /// The name of the file.
    pub name: String,
    /// The picture.
    pub bytes: Bytes,
}

/// The charts of a window that a message tells: the first file of each.
pub fn charts(receipt: &Receipt) -> Vec<(&str, &str)> {
    let mut charts: Vec<(&str, &str)> = Vec::new();
    let outputs = receipt.outputs.iter();
    for output in outputs.filter(|output| output.kind == OutputKind::Chart) {
        let Some(headline) = output.headline.as_deref() else {
            continue;
        };
        // The same chart in another format follows.
        let is_known = charts.iter().any(|(key, _)| stem(key) == stem(&output.key));
        if !is_known {
            charts.push((&output.key, headline));
        }
    }
    charts.truncate(MOST_CHARTS);
    charts
}

fn stem(key: &str) -> &str {
    key.rsplit_once('.').map_or(key, |(stem, _)| stem)
}

impl Message {
    /// The message of an outcome. `links` has a link for each of its [`charts`], or none.
    pub fn new(
        notify: &Notify,
        (job, window): (&str, &str),
        outcome: &Outcome<'_>,
        links: &[Option<String>],
    ) -> Self {
        let language = notify.language;
        let mut lines = Vec::new();
        let ended = match outcome {
            Outcome::Failed(error) => {
                let code = error.class().exit_code();
                lines.push(Line::plain(&words::failed(language, job, window, code)));
                let text = error.to_string();
                let mut short: String = text.chars().take(LONGEST_ERROR).collect();
                if short.len() < text.len() {
                    short.push('…');
                }
                lines.push(Line::plain(&short));
                format!("failed ({code})")
            }
            Outcome::Done { receipt, .. } => {
                let charts = charts(receipt);
                let heads = charts.iter().enumerate().map(|(number, (_, headline))| {
                    Line::linked(headline, links.get(number).cloned().flatten())
                });
                lines.extend(heads);
                if charts.is_empty() {
                    let (events, provisional) = (receipt.read.events, receipt.window.provisional);
                    let done = words::done(language, job, window, events, provisional);
                    lines.push(Line::plain(&done));
                }
                let broken: Vec<String> = receipt
                    .broken()
                    .map(|broken| words::broken(language, &broken.text(language)))
                    .collect();
                let more = broken.len().saturating_sub(MOST_BROKEN);
                let is_broken = !broken.is_empty();
                lines.extend(
                    broken
                        .iter()
                        .take(MOST_BROKEN)
                        .map(|text| Line::plain(text)),
                );
                if more > 0 {
                    lines.push(Line::plain(&words::more_broken(language, more)));
                }
                let moved = outcome.moved(notify);
                lines.extend(moved.map(|moved| Line::plain(&words::moved(language, &moved))));
                match (is_broken, moved.is_some()) {
                    (true, _) => "not as expected".to_owned(),
                    (false, true) => "events moved".to_owned(),
                    (false, false) => "done".to_owned(),
                }
            }
        };
        let subject = format!("logtally: {job} {window} {ended}");
        Self {
            subject: subject.chars().take(99).collect(),
            lines,
        }
    }

    /// The message as plain text: a link stands below its line.
    pub fn plain(&self) -> String {
        let mut out = String::new();
        for line in &self.lines {
            out += &line.text;
            out.push('\n');
            if let Some(link) = &line.link {
                out += link;
                out.push('\n');
            }
        }
        out
    }

    /// The text of the message in Slack's form: a line that leads somewhere is its link.
    pub fn slack(&self) -> String {
        let lines = self.lines.iter().map(|line| {
            let text = escaped(&line.text);
            match &line.link {
                // A link can't have these in its text.
                Some(link) => format!("<{link}|{}>", text.replace(['|', '\n'], " ")),
                None => text,
            }
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Slack takes `&`, `<` and `>` for its own.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests;
