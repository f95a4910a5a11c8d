//! Progress of a run: a bar for a person, lines for a log.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{BinaryBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::logging::Show;
use crate::progress::{Progress, Silent, Step};

/// How often a log hears of reading.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// What fits the reader of stderr.
pub fn new(show: Show) -> Arc<dyn Progress> {
    match show {
        Show { quiet: true, .. } => Arc::new(Silent),
        Show { person: true, .. } => Arc::new(Bar::new()),
        Show { person: false, .. } => Arc::new(Lines::default()),
    }
}

/// One line that changes.
struct Bar {
    bar: ProgressBar,
    waiting: ProgressStyle,
    reading: ProgressStyle,
}

impl Bar {
    fn new() -> Self {
        let style = |template: &str, fallback: fn() -> ProgressStyle| {
            ProgressStyle::with_template(template).unwrap_or_else(|_| fallback())
        };
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        Self {
            bar,
            waiting: style(
                "{spinner} {prefix}  {wide_msg}  {elapsed}",
                ProgressStyle::default_spinner,
            ),
            reading: style(
                "{spinner} {prefix}  {bar:30} {msg}",
                ProgressStyle::default_bar,
            ),
        }
    }

    fn wait(&self, prefix: &str, message: String) {
        self.bar.set_message(message);
        self.bar.set_prefix(prefix.to_owned());
        self.bar.set_style(self.waiting.clone());
        self.bar.enable_steady_tick(Duration::from_millis(120));
    }
}

impl Progress for Bar {
    fn report(&self, step: Step<'_>) {
        match step {
            Step::Window { id } => self.wait(id, "looking".to_owned()),
            Step::Waiting { window, state } => self.wait(window, state.to_owned()),
            Step::Exporting {
                group,
                number,
                of,
                state,
            } => self.wait("export", format!("{number}/{of} {group}: {state}")),
            Step::Reading {
                query,
                objects,
                of_objects,
                bytes,
                of_bytes,
            } => {
                // The style last: it would show the message of the step before.
                self.bar.set_length(of_bytes);
                self.bar.set_position(bytes);
                self.bar.set_message(format!(
                    "{objects}/{of_objects} objects, {} of {}",
                    BinaryBytes(bytes),
                    BinaryBytes(of_bytes)
                ));
                self.bar.set_prefix(query.to_owned());
                self.bar.set_style(self.reading.clone());
            }
            Step::Writing { target } => self.wait("write", target.to_owned()),
            Step::Done => self.bar.finish_and_clear(),
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
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
            Step::Writing { target } => tracing::info!(target = target, "writing"),
            Step::Done => *last = Last::default(),
        }
    }
}
