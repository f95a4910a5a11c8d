//! The commands that do the windows that are not done.

use super::{RunOption, WindowSummary};
use crate::error::Remedy;

/// The commands for the windows that are due, of the job file `job`. `windows` has every window between them too.
pub fn commands(windows: &[WindowSummary], job: &str) -> Vec<String> {
    // The first and last due window of each command, and whether the next window may still belong to it.
    let mut stretches: Vec<(&WindowSummary, &WindowSummary, bool)> = Vec::new();
    for window in windows {
        let is_wanted = window.due && !window.is_blocked;
        match stretches.last_mut() {
            Some((first, last, true)) if is_wanted && first.run_with == window.run_with => {
                *last = window;
            }
            _ if is_wanted => stretches.push((window, window, true)),
            // A run skips windows that are done, but a forced one does them again.
            Some((first, _, goes_on)) if window.is_blocked || is_forced(first) => {
                *goes_on = false;
            }
            _ => {}
        }
    }
    stretches
        .into_iter()
        .map(|(first, last, _)| {
            let span = match first == last {
                true => format!("--window {}", first.window),
                false => format!("--from {} --to {}", first.window, last.window),
            };
            let options = first.run_with.iter().map(|option| match option {
                RunOption::Provisional => " --provisional",
                RunOption::Unless(Remedy::Force) => " --force",
                RunOption::Unless(Remedy::ForceExport) => " --force=export",
            });
            format!("logtally run {job} {span}{}", options.collect::<String>())
        })
        .collect()
}

fn is_forced(window: &WindowSummary) -> bool {
    let mut options = window.run_with.iter();
    options.any(|option| matches!(option, RunOption::Unless(_)))
}
