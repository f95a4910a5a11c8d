//! Why there are no events of the windows that are asked for, without the options of any face.

use super::Windows;
use crate::error::Error;
use crate::job::Name;
use crate::numbers::counted;
use crate::window::{TODAY, Window};

/// How many windows an error names.
const MOST_NAMED: usize = 10;

/// Why `logs` can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// No window that was asked for has ever been exported.
    #[error("{} yet", not_exported(job, windows))]
    NotExported {
        /// The job.
        job: Name,
        /// The windows.
        windows: Windows,
    },
    /// The windows that were asked for are done, and all their exports have been deleted.
    #[error("{}", exports_deleted(windows))]
    Deleted {
        /// The job.
        job: Name,
        /// The windows, in order.
        windows: Vec<Window>,
    },
    /// The windows are in the archive without what a query reads, and their exports have been deleted.
    #[error("{}", not_archived(windows, *message, columns))]
    NotArchived {
        /// The job.
        job: Name,
        /// The windows, in order.
        windows: Vec<Window>,
        /// Whether the query reads messages.
        message: bool,
        /// The columns of the job's archive that the query reads.
        columns: Vec<String>,
    },
    /// Some of the windows that were asked for are not exported, or only in part.
    #[error("{}", incomplete(job, missing, *asked_for))]
    Incomplete {
        /// The job.
        job: Name,
        /// These windows, in order.
        missing: Vec<Window>,
        /// The number of windows that were asked for.
        asked_for: usize,
    },
}

impl Missing {
    /// The job whose events are missing.
    pub fn job(&self) -> &Name {
        match self {
            Self::NotExported { job, .. }
            | Self::Deleted { job, .. }
            | Self::NotArchived { job, .. }
            | Self::Incomplete { job, .. } => job,
        }
    }
}

impl From<Missing> for Error {
    fn from(missing: Missing) -> Self {
        // It is not about a place in the SQL.
        Error::usage(missing.to_string()).explained(None)
    }
}

fn exports_deleted(windows: &[Window]) -> String {
    let what = match windows {
        [] => "windows are done, but their exports are".to_owned(),
        [only] => format!("window {} is done, but its export is", only.id()),
        [first, .., last] => format!(
            "{} windows from {} to {} are done, but their exports are",
            windows.len(),
            first.id(),
            last.id()
        ),
    };
    format!("{what} not there any more ([source] keep deletes old ones)")
}

/// `window 2026-11-20 is in the archive without the messages, which the query reads, and its export is not there any more`
fn not_archived(windows: &[Window], message: bool, columns: &[String]) -> String {
    let what = match (message, columns) {
        (true, _) | (false, []) => "the messages, which the query reads".to_owned(),
        (false, [only]) => format!("the column {only} as [archive.columns] has it now"),
        (false, several) => format!(
            "the columns {} as [archive.columns] has them now",
            several.join(", ")
        ),
    };
    match windows {
        [only] => format!(
            "window {} is in the archive without {what}, and its export is not there any more",
            only.id()
        ),
        several => {
            let ids: Vec<String> = several.iter().take(MOST_NAMED).map(Window::id).collect();
            format!(
                "{} are in the archive without {what}, and their exports are not there any more: {}{}",
                counted(several.len() as u64, "window"),
                ids.join(", "),
                match several.len() > MOST_NAMED {
                    true => " and others",
                    false => "",
                }
            )
        }
    }
}

/// `2 of 7 windows of the job checkout are not exported in full: 2026-11-20, 2026-11-22`
fn incomplete(job: &Name, missing: &[Window], asked_for: usize) -> String {
    let ids: Vec<String> = missing.iter().take(MOST_NAMED).map(Window::id).collect();
    let others = match missing.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        others => format!(" and {}", counted(others as u64, "other")),
    };
    format!(
        "{} of {} of the job {job} {} not exported in full: {}{others}",
        missing.len(),
        counted(asked_for as u64, "window"),
        if missing.len() == 1 { "is" } else { "are" },
        ids.join(", "),
    )
}

fn not_exported(job: &Name, windows: &Windows) -> String {
    match windows {
        Windows::One(id) if id == TODAY => format!("nothing of today of the job {job} is exported"),
        Windows::One(id) => format!("window {id} of the job {job} is not exported"),
        Windows::FromTo(from, to) => {
            format!("no window from {from} to {to} of the job {job} is exported")
        }
        Windows::Last(span) => format!("no window of the last {span} of the job {job} is exported"),
        Windows::All => format!("no window of the job {job} is exported"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Size;
    use chrono_tz::Tz;

    fn day(id: &str) -> Window {
        Window::parse(Size::Day, Tz::UTC, id).unwrap()
    }

    /// Every face prints these texts; only the command line names its flags behind them.
    #[test]
    fn what_is_missing_is_said_without_flags() {
        let job = Name::new("night").unwrap();
        let deleted = |ids: &[&str]| Missing::Deleted {
            job: job.clone(),
            windows: ids.iter().map(|id| day(id)).collect(),
        };
        let incomplete = |missing: Vec<Window>, asked_for| Missing::Incomplete {
            job: job.clone(),
            missing,
            asked_for,
        };
        let all = [
            deleted(&["2026-11-20"]),
            deleted(&["2026-11-20", "2026-11-21"]),
            Missing::NotExported {
                job: job.clone(),
                windows: Windows::One("2026-11-20".to_owned()),
            },
            incomplete(vec![day("2026-11-20")], 2),
            incomplete((10..25).map(|n| day(&format!("2026-11-{n}"))).collect(), 30),
        ];
        let texts = all.map(|missing| Error::from(missing).to_string());
        assert_eq!(
            texts,
            [
                "window 2026-11-20 is done, but its export is not there any more ([source] keep deletes old ones)",
                "2 windows from 2026-11-20 to 2026-11-21 are done, but their exports are not there any more ([source] keep deletes old ones)",
                "window 2026-11-20 of the job night is not exported yet",
                "1 of 2 windows of the job night is not exported in full: 2026-11-20",
                "15 of 30 windows of the job night are not exported in full: 2026-11-10, 2026-11-11, 2026-11-12, 2026-11-13, 2026-11-14, 2026-11-15, 2026-11-16, 2026-11-17, 2026-11-18, 2026-11-19 and 5 others",
            ]
        );
    }
}
