//! `status`: which windows of a job are settled, provisional, failed or missing.

use std::fmt::Write;

use clap::Args;
use serde_json::json;
use unicode_width::UnicodeWidthStr;

use super::logging::Show;
use super::{JobFile, SpanArgs, UNCERTAIN, job_environment, print, print_json};
use crate::error::Result;
use crate::numbers::counted;
use crate::run::{self, Force, Request, Selection, WindowStatus, WindowSummary, commands};

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// The job file: a path, s3://bucket/key, or - for standard input
    job: JobFile,

    #[command(flatten)]
    windows: SpanArgs,

    /// Print {"windows": […]} instead of a table
    #[arg(long)]
    json: bool,

    /// End with 9 if a window is missing, failed or due to be done again
    #[arg(long)]
    check: bool,
}

pub(super) async fn status(args: StatusArgs, show: Show) -> Result<u8> {
    let (job, environment) = job_environment(&args.job, show).await?;
    let windows = match args.windows.selection() {
        Selection::Default => None,
        selection => {
            let request = Request {
                selection,
                force: Force::No,
                provisional: true,
            };
            Some(run::select(&job, &request, environment.clock.now())?)
        }
    };
    let windows = run::status(&environment, &job, windows).await?;
    if args.json {
        print_json(&json!({ "job": job.name.as_str(), "windows": windows }))?;
    } else {
        print(&table(&windows, &args.job.display().to_string()))?;
    }
    Ok(match args.check && !is_up_to_date(&windows) {
        true => UNCERTAIN,
        false => 0,
    })
}

/// Whether all windows are done, of a job that has any.
fn is_up_to_date(windows: &[WindowSummary]) -> bool {
    !windows.is_empty() && !windows.iter().any(|window| window.due)
}

/// A line for each stretch of windows of the same status and note, and the commands for those that are due.
fn table(windows: &[WindowSummary], job: &str) -> String {
    if windows.is_empty() {
        return format!("No window has run yet. Begin with\n  logtally run {job}\n");
    }
    let alike = |a: &WindowSummary, b: &WindowSummary| a.status == b.status && a.note == b.note;
    let rows: Vec<[String; 4]> = windows.chunk_by(alike).map(row).collect();
    let mut widths = [0; 4];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let mut out = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line += cell;
            line.extend(std::iter::repeat_n(' ', width + 2 - cell.width()));
        }
        // Writing to a String can't fail.
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out + &what_to_do(windows, job)
}

/// The commands for windows that are due. None of them takes a window for which it would fail.
fn what_to_do(windows: &[WindowSummary], job: &str) -> String {
    let mut out = String::new();
    let commands = commands(windows, job);
    if !commands.is_empty() {
        let to_do = match (&commands[..], windows.iter().filter(|w| w.due).count()) {
            ([_], 1) => "To do it",
            _ => "To do what is not done",
        };
        // Writing to a String can't fail.
        let _ = writeln!(out, "\n{to_do}:");
        for command in commands {
            let _ = writeln!(out, "  {command}");
        }
    }
    let next = windows.iter().filter(|window| window.next_run).count();
    if next > 0 {
        let of_them = match next == windows.iter().filter(|window| window.due).count() {
            true => "this too".to_owned(),
            false => format!("{next} of these windows"),
        };
        let _ = writeln!(
            out,
            "\nA run of the default window does {of_them}:\n  logtally run {job}"
        );
    }
    if windows.iter().any(|window| window.is_blocked) {
        out += "\nWhat can't be read is to be removed before its window can run, as said above.\n";
    }
    out
}

fn row(alike: &[WindowSummary]) -> [String; 4] {
    let (Some(first), Some(last)) = (alike.first(), alike.last()) else {
        return Default::default();
    };
    let windows = match alike.len() {
        1 => first.window.clone(),
        _ => format!("{} … {}", first.window, last.window),
    };
    let events: Option<u64> = alike.iter().map(|window| window.events).sum();
    let counts = [
        (alike.len() > 1).then(|| counted(alike.len() as u64, "window")),
        events.map(|events| counted(events, "event")),
    ];
    [
        windows,
        word(first.status).to_owned(),
        counts.into_iter().flatten().collect::<Vec<_>>().join(", "),
        first.note.clone().unwrap_or_default(),
    ]
}

fn word(status: WindowStatus) -> &'static str {
    match status {
        WindowStatus::Settled => "settled",
        WindowStatus::Provisional => "provisional",
        WindowStatus::Running => "running",
        WindowStatus::Failed => "failed",
        WindowStatus::Interrupted => "interrupted",
        WindowStatus::Missing => "missing",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Remedy;
    use crate::run::RunOption;

    fn window(id: &str, status: WindowStatus, events: Option<u64>) -> WindowSummary {
        WindowSummary {
            window: id.to_owned(),
            status,
            events,
            as_of: None,
            due: matches!(status, WindowStatus::Missing | WindowStatus::Failed),
            next_run: false,
            run_with: Vec::new(),
            is_blocked: false,
            note: None,
        }
    }

    #[test]
    fn windows_that_stand_alike_share_a_line() {
        let windows = [
            window("2026-11-18", WindowStatus::Settled, Some(1000)),
            window("2026-11-19", WindowStatus::Settled, Some(500)),
            window("2026-11-20", WindowStatus::Missing, None),
            WindowSummary {
                note: Some("no such group".to_owned()),
                ..window("2026-11-21", WindowStatus::Failed, None)
            },
            window("2026-11-22", WindowStatus::Provisional, Some(1)),
        ];
        assert_eq!(
            table(&windows, "a.toml"),
            "\
2026-11-18 … 2026-11-19  settled      2 windows, 1,500 events
2026-11-20               missing
2026-11-21               failed                                no such group
2026-11-22               provisional  1 event

To do what is not done:
  logtally run a.toml --from 2026-11-20 --to 2026-11-21
"
        );
    }

    #[test]
    fn a_check_fails_while_a_window_is_due() {
        let settled = window("2026-11-18", WindowStatus::Settled, Some(1));
        let running = window("2026-11-19", WindowStatus::Running, None);
        let provisional = window("2026-11-20", WindowStatus::Provisional, Some(1));
        assert!(is_up_to_date(&[
            settled.clone(),
            running,
            provisional.clone()
        ]));
        let has_settled = WindowSummary {
            due: true,
            ..provisional
        };
        for due in [
            window("2026-11-20", WindowStatus::Missing, None),
            window("2026-11-20", WindowStatus::Failed, None),
            has_settled,
        ] {
            assert!(!is_up_to_date(&[settled.clone(), due]));
        }
        // Nothing ran yet.
        assert!(!is_up_to_date(&[]));
    }

    #[test]
    fn no_command_takes_a_window_for_which_it_must_fail() {
        let missing = |id| window(id, WindowStatus::Missing, None);
        let forced = |id| WindowSummary {
            run_with: vec![RunOption::Unless(Remedy::Force)],
            ..window(id, WindowStatus::Failed, Some(7))
        };
        let windows = [
            missing("2026-11-16"),
            window("2026-11-17", WindowStatus::Settled, Some(1)),
            missing("2026-11-18"),
            WindowSummary {
                is_blocked: true,
                ..window("2026-11-19", WindowStatus::Failed, None)
            },
            missing("2026-11-20"),
            forced("2026-11-21"),
            // Would be done again.
            window("2026-11-22", WindowStatus::Settled, Some(1)),
            forced("2026-11-23"),
            forced("2026-11-24"),
            WindowSummary {
                run_with: vec![RunOption::Provisional],
                ..missing("2026-11-25")
            },
            WindowSummary {
                run_with: vec![RunOption::Unless(Remedy::ForceExport)],
                ..window("2026-11-26", WindowStatus::Failed, None)
            },
        ];
        assert_eq!(
            what_to_do(&windows, "a.toml"),
            "
To do what is not done:
  logtally run a.toml --from 2026-11-16 --to 2026-11-18
  logtally run a.toml --window 2026-11-20
  logtally run a.toml --window 2026-11-21 --force
  logtally run a.toml --from 2026-11-23 --to 2026-11-24 --force
  logtally run a.toml --window 2026-11-25 --provisional
  logtally run a.toml --window 2026-11-26 --force=export

What can't be read is to be removed before its window can run, as said above.
"
        );
        assert_eq!(
            what_to_do(&windows[8..9], "a.toml"),
            "\nTo do it:\n  logtally run a.toml --window 2026-11-24 --force\n"
        );
    }
}
