//! Progress of a run: a bar on a terminal, lines in a log.

mod line;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{BinaryBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::logging::Show;
use super::printer::cell;
use crate::progress::{Progress, Silent, Step};

pub use line::QueryLine;

/// Interval of read-progress log lines.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// The progress that fits stderr.
pub fn new(show: Show) -> Arc<dyn Progress> {
    match show {
        Show { quiet: true, .. } => Arc::new(Silent),
        Show { terminal: true, .. } => Arc::new(Bar::new(ProgressDrawTarget::stderr())),
        Show {
            terminal: false, ..
        } => Arc::new(Lines::default()),
    }
}

/// One line that changes. All of it is one message, as a bar draws each part when it is set, beside the other parts of the
/// step before.
struct Bar(ProgressBar);

/// How often the spinner turns.
const TURN_EVERY: Duration = Duration::from_millis(120);

/// Characters of the bar of what was read.
const BAR_CHARS: u64 = 20;

impl Bar {
    fn new(target: ProgressDrawTarget) -> Self {
        Self(ProgressBar::with_draw_target(None, target).with_style(style()))
    }

    fn show(&self, message: String) {
        // Names of log groups and objects come from outside.
        self.0.set_message(cell(&message, usize::MAX));
        self.0.enable_steady_tick(TURN_EVERY);
    }
}

fn style() -> ProgressStyle {
    // The message is cut where the terminal ends: a line that wraps can't be taken back.
    ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

impl Progress for Bar {
    fn report(&self, step: Step<'_>) {
        match step {
            Step::Window { id } => {
                // A finished bar shows nothing.
                if self.0.is_finished() {
                    self.0.reset();
                }
                self.show(format!("{id}  looking"));
            }
            Step::Waiting { window, state } => self.show(format!("{window}  {state}")),
            Step::Exporting {
                group,
                number,
                of,
                state,
            } => self.show(format!("export  {number}/{of} {group}: {state}")),
            Step::Reading {
                query,
                objects,
                of_objects,
                bytes,
                of_bytes,
            } => self.show(format!(
                "{query}  {}  {objects}/{of_objects} objects, {} of {}",
                filled(bytes, of_bytes),
                BinaryBytes(bytes),
                BinaryBytes(of_bytes)
            )),
            Step::Verifying => self.show("verify  with CloudWatch's own count".to_owned()),
            Step::Drawing { query } => self.show(format!("draw  {query}")),
            Step::Writing { target } => self.show(format!("write  {target}")),
            Step::Done => self.0.finish_and_clear(),
        }
    }
}

/// `█████░░░…`
fn filled(part: u64, of: u64) -> String {
    let full = u128::from(part.min(of)) * u128::from(BAR_CHARS) / u128::from(of.max(1));
    (0..BAR_CHARS)
        .map(|n| if u128::from(n) < full { '█' } else { '░' })
        .collect()
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A line for each change of state.
#[derive(Default)]
struct Lines(Mutex<Last>);

#[derive(Default)]
struct Last {
    state: String,
    read: Option<Instant>,
}

impl Progress for Lines {
    fn report(&self, step: Step<'_>) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match step {
            Step::Window { id } => tracing::info!(window = id, "run begins"),
            Step::Waiting { window, state } => tracing::info!(window, "{state}"),
            Step::Exporting {
                group,
                number,
                of,
                state,
            } => {
                let now = format!("{group}: {state}");
                if now != last.state {
                    tracing::info!(log_group = group, number, of, "export: {state}");
                    last.state = now;
                }
            }
            Step::Reading {
                query,
                objects,
                of_objects,
                bytes,
                of_bytes,
            } => {
                if last.read.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
                    tracing::info!(query, objects, of_objects, bytes, of_bytes, "reading");
                    last.read = Some(Instant::now());
                }
            }
            Step::Verifying => tracing::info!("verifying"),
            Step::Drawing { query } => tracing::debug!(query, "drawing"),
            Step::Writing { target } => tracing::info!(target = target, "writing"),
            Step::Done => *last = Last::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use unicode_width::UnicodeWidthStr;

    /// A terminal of 40 columns that remembers what was drawn.
    #[derive(Debug, Clone, Default)]
    struct Narrow(Arc<Mutex<Vec<String>>>);

    impl Narrow {
        fn drawn(&self) -> Vec<String> {
            self.0.lock().unwrap().clone()
        }
    }

    impl indicatif::TermLike for Narrow {
        fn width(&self) -> u16 {
            40
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            if !text.trim().is_empty() {
                self.0.lock().unwrap().push(text.to_owned());
            }
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_narrow_terminal_shows_each_step_on_one_line_and_none_of_the_step_before() {
        let terminal = Narrow::default();
        let bar = Bar::new(ProgressDrawTarget::term_like(Box::new(terminal.clone())));
        bar.report(Step::Window { id: "2026-11-21" });
        bar.report(Step::Writing {
            target: "s3://acme-analytics/logtally/checkout/hourly_count/dt=2026-11-21",
        });
        bar.report(Step::Reading {
            query: "latency",
            objects: 1,
            of_objects: 2,
            bytes: 1 << 20,
            of_bytes: 2 << 20,
        });
        bar.report(Step::Done);
        bar.report(Step::Window { id: "2026-11-22" });
        drop(bar);
        let drawn = terminal.drawn();
        let began = [
            "2026-11-21  looking",
            "write  s3://",
            "latency  █",
            "2026-11-22  looking",
        ];
        for line in &drawn {
            assert!(line.width() <= 40, "{line:?}");
            let steps = began.iter().filter(|step| line.contains(**step)).count();
            assert_eq!(steps, 1, "{line:?}");
        }
        for step in began {
            assert!(
                drawn.iter().any(|line| line.contains(step)),
                "{step} in {drawn:?}"
            );
        }
        assert_eq!(filled(1, 2), "██████████░░░░░░░░░░");
        assert_eq!(filled(0, 0), "░".repeat(20));
    }
}
