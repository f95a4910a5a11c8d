//! What a run of a window ended with, as one line of the log. Metric filters and alarms read these lines, so their keys
//! stay what they are.

use chrono::Utc;
use serde_json::{Value, json};
use tracing::Level;

use super::{Outcome, UNCERTAIN, WindowPlan};
use crate::error::{Class, Error};
use crate::job::Job;
use crate::logging::{self, Show};
use crate::metrics::Ended;
use crate::receipt::Receipt;

/// The value of `event` in these lines.
const EVENT: &str = "run.done";

/// Logs how the windows of one run end. A terminal shows only failures.
#[derive(Debug)]
pub struct RunLog {
    show: Show,
    /// Answers that may still change, or are not verified, count as a failure.
    strict: bool,
    /// One id for all lines of the run.
    run: String,
}

impl RunLog {
    /// The log of a run that begins.
    pub fn new(show: Show, strict: bool) -> Self {
        let run = uuid::Uuid::now_v7().simple().to_string();
        Self { show, strict, run }
    }

    /// Logs how a window ended, which may be one of several.
    pub fn window(&self, job: &Job, window: &WindowPlan, outcome: &Outcome, several: bool) {
        let id = &outcome.window;
        self.metrics(job, Some(id), outcome.result.as_ref(), outcome.skipped);
        let mut line = self.about(Some(job));
        line["window"] = json!(id);
        match &outcome.result {
            Err(error) => {
                let prefix = match several {
                    true => format!("window {id}: "),
                    false => String::new(),
                };
                self.failure(line, error, &prefix);
            }
            Ok(receipt) if !self.show.terminal => {
                line["outcome"] = if outcome.skipped { "skipped" } else { "done" }.into();
                let broken = receipt.broken().count();
                let is_uncertain = self.strict && (receipt.is_uncertain() || broken > 0);
                line["exit_code"] = if is_uncertain { UNCERTAIN } else { 0 }.into();
                add_receipt(&mut line, receipt);
                if !outcome.skipped {
                    add_times(&mut line, receipt);
                }
                if let Some(before) = window.week_before {
                    add_week(&mut line, receipt.read.events, before);
                }
                logging::line(Level::INFO, "run ends", &line);
            }
            Ok(_) => {}
        }
    }

    /// Logs the failure of a run that is not that of a window.
    pub fn failed(&self, job: Option<&Job>, error: &Error) {
        if let Some(job) = job {
            self.metrics(job, None, Err(error), false);
        }
        self.failure(self.about(job), error, "");
    }

    /// Logs why a strict run ends with [`UNCERTAIN`].
    pub fn uncertain(&self, reasons: &[String]) {
        let text = format!("--strict ends with {UNCERTAIN}: {}", reasons.join("; "));
        if !self.show.terminal {
            logging::line(Level::WARN, &text, &json!({ "exit_code": UNCERTAIN }));
        } else if !self.show.quiet {
            logging::say(&text);
        }
    }

    /// Prints the metrics of a window, or of a run that came to none, if the job asks for them. A person gets none, nor does
    /// a log of failures only.
    fn metrics(
        &self,
        job: &Job,
        window: Option<&str>,
        result: Result<&Receipt, &Error>,
        skipped: bool,
    ) {
        let Some(namespace) = job.metrics.as_deref() else {
            return;
        };
        if self.show.terminal || self.show.quiet {
            return;
        }
        let ended = Ended {
            job: job.name.as_str(),
            window,
            result,
            skipped,
            peak_memory: peak_memory(),
        };
        let now = Utc::now();
        logging::say_json(&ended.document(namespace, now));
        for line in ended.documents_of_sources(namespace, now) {
            logging::say_json(&line);
        }
    }

    fn failure(&self, mut line: Value, error: &Error, prefix: &str) {
        if self.show.terminal {
            logging::say(&format!("error: {prefix}{}", error.in_full()));
            return;
        }
        let (outcome, level) = match error.class() {
            // A schedule may deliver twice: the second run is no failure.
            Class::Held => ("held", Level::INFO),
            Class::Interrupted | Class::Terminated => ("stopped", Level::ERROR),
            _ => ("failed", Level::ERROR),
        };
        line["outcome"] = outcome.into();
        if let Some(excerpt) = error.excerpt() {
            line["excerpt"] = excerpt.into();
        }
        line["exit_code"] = error.class().exit_code().into();
        logging::line(level, &error.to_string(), &line);
    }

    /// The keys that every line has.
    fn about(&self, job: Option<&Job>) -> Value {
        let mut line = json!({
            "event": EVENT,
            "run": self.run,
            "version": env!("CARGO_PKG_VERSION"),
            "peak_memory_bytes": peak_memory(),
        });
        if let Some(job) = job {
            line["job"] = job.name.as_str().into();
        }
        line
    }
}

fn add_receipt(line: &mut Value, receipt: &Receipt) {
    let read = &receipt.read;
    let verification = receipt.verification.as_ref();
    line["provisional"] = receipt.window.provisional.into();
    line["verified"] = verification
        .and_then(|verification| verification.agrees)
        .into();
    line["events"] = read.events.into();
    line["objects"] = read.objects.into();
    line["bytes"] = read.bytes.into();
    line["invalid_utf8_events"] = read.invalid_utf8_events.into();
    line["lines_before_first_timestamp"] = read.lines_before_first_timestamp.into();
    line["notes"] = receipt.notes.len().into();
    line["broken_expectations"] = receipt.broken().count().into();
}

/// How long the run took, and how long after the end of its window the answers were there.
fn add_times(line: &mut Value, receipt: &Receipt) {
    let took = receipt.finished_at - receipt.started_at;
    let behind = receipt.finished_at - receipt.window.end;
    line["seconds"] = json!(receipt.seconds);
    line["total_seconds"] = took.as_seconds_f64().into();
    line["seconds_behind_window"] = behind.num_seconds().into();
}

/// The events of the same window a week before, and this window's as a share of them.
fn add_week(line: &mut Value, events: u64, before: u64) {
    line["events_week_before"] = before.into();
    if before > 0 {
        let share = events as f64 / before as f64;
        line["week_over_week"] = ((share * 1000.0).round() / 1000.0).into();
    }
}

/// The most memory that this process has had, where the system reports it.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_without_events_has_no_share() {
        let line = |events, before| {
            let mut line = json!({});
            add_week(&mut line, events, before);
            line
        };
        assert_eq!(
            line(1, 3),
            json!({ "events_week_before": 3, "week_over_week": 0.333 })
        );
        assert_eq!(line(1, 0), json!({ "events_week_before": 0 }));
    }
}
