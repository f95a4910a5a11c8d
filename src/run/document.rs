//! The JSON of a run, the same from every face and of one shape: `{"runs": […]}`, with the receipt or the failure of each
//! window.

use serde_json::{Value, json};

use super::{Outcome, Plan};
use crate::error::Error;
use crate::job::{Job, Source};

/// What a run that is stopped in the middle leaves behind, to be added to why it stops.
pub fn remains(job: &Job) -> &'static str {
    let mut sources = job.sources.iter();
    match sources.any(|source| matches!(source.logs, Source::CloudWatch(_))) {
        true => {
            "; what was published is whole, and an export task that was begun goes on in AWS, for the next run to adopt"
        }
        false => "; what was published is whole",
    }
}

/// The document of a run that failed before it came to a window: its only entry has `status`, `error`, `exit_code`, and for
/// SQL the `excerpt` with the place.
pub fn failure(error: &Error) -> Value {
    let document = json!({
        "status": "failed",
        "error": error.to_string(),
        "exit_code": error.class().exit_code(),
    });
    json!({ "runs": [with_excerpt(document, error)] })
}

fn with_excerpt(mut document: Value, error: &Error) -> Value {
    if let Some(excerpt) = error.excerpt() {
        document["excerpt"] = excerpt.into();
    }
    document
}

/// The documents of the windows that have ended, while the run goes on.
#[derive(Debug, Default)]
pub struct RunDocuments {
    job: String,
    /// The ids of all windows of the run, in order.
    windows: Vec<String>,
    /// The document of each window that has ended, in the same order.
    ended: Vec<Value>,
}

impl RunDocuments {
    /// Of a run that begins with a plan.
    pub fn new(plan: &Plan<'_>) -> Self {
        let ids = plan.windows.iter().map(|window| window.report.id.clone());
        Self {
            job: plan.job.name.to_string(),
            windows: ids.collect(),
            ended: Vec::new(),
        }
    }

    /// Adds a window that has ended: its receipt, with the status `skipped` if it was done before, or its failure.
    pub fn add(&mut self, outcome: &Outcome) {
        let document = match &outcome.result {
            Ok(receipt) => {
                let mut document = json!(receipt);
                if outcome.skipped {
                    document["status"] = "skipped".into();
                }
                document
            }
            Err(error) => self.window_failure(&outcome.window, error),
        };
        self.ended.push(document);
    }

    /// The document of a run that has come to its end.
    pub fn finish(self) -> Value {
        json!({ "runs": self.ended })
    }

    /// The document of a run that `error` stopped in the middle: the windows that have ended and the one that was under
    /// way.
    pub fn stopped(mut self, error: &Error) -> Value {
        if self.windows.is_empty() {
            return failure(error);
        }
        // Windows that were left to other runs have no document.
        let last = self.ended.last().map(|run| &run["window"]["id"]);
        let last = last.and_then(|last| self.windows.iter().position(|id| *last == **id));
        if let Some(window) = self.windows.get(last.map_or(0, |last| last + 1)) {
            self.ended.push(self.window_failure(window, error));
        }
        json!({ "runs": self.ended })
    }

    fn window_failure(&self, window: &str, error: &Error) -> Value {
        let document = json!({
            "status": "failed",
            "job": self.job,
            "window": { "id": window },
            "error": error.to_string(),
            "exit_code": error.class().exit_code(),
        });
        with_excerpt(document, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Class;

    fn documents(windows: &[&str]) -> RunDocuments {
        RunDocuments {
            job: "night".to_owned(),
            windows: windows.iter().map(|id| (*id).to_owned()).collect(),
            ended: Vec::new(),
        }
    }

    fn failed(window: &str) -> Outcome {
        Outcome {
            window: window.to_owned(),
            result: Err(Error::new(Class::Source, "refused")),
            skipped: false,
            series: Vec::new(),
            steps: Vec::new(),
        }
    }

    #[test]
    fn one_window_is_a_list_too() {
        let of_window = |id: &str| {
            json!({
                "status": "failed", "job": "night", "window": { "id": id }, "error": "refused", "exit_code": 4,
            })
        };
        for ids in [&["2026-11-20"][..], &["2026-11-20", "2026-11-21"]] {
            let mut all = documents(ids);
            for id in ids {
                all.add(&failed(id));
            }
            let runs: Vec<Value> = ids.iter().map(|id| of_window(id)).collect();
            assert_eq!(all.finish(), json!({ "runs": runs }));
        }
        let error = Error::new(Class::Usage, "no job");
        let early = json!({ "status": "failed", "error": "no job", "exit_code": 2 });
        assert_eq!(failure(&error), json!({ "runs": [early] }));
    }

    #[test]
    fn a_stopped_run_tells_what_has_ended_and_what_was_under_way() {
        let signal = Error::new(Class::Terminated, "stopped by SIGTERM");
        let ids = ["2026-11-20", "2026-11-21", "2026-11-22"];
        let mut several = documents(&ids);
        several.add(&failed(ids[0]));
        let stopped = several.stopped(&signal);
        let runs = stopped["runs"].as_array().unwrap();
        let codes: Vec<_> = runs.iter().map(|run| &run["exit_code"]).collect();
        assert_eq!(codes, [4, 143]);
        assert_eq!(runs[1]["window"]["id"], ids[1]);
        let one = documents(&ids[..1]).stopped(&signal);
        assert_eq!(one["runs"][0]["window"]["id"], ids[0]);
        assert_eq!(one["runs"][0]["exit_code"], 143);
        assert_eq!(documents(&[]).stopped(&signal), failure(&signal));

        // The first window was left to another run, and has no document.
        let mut several = documents(&ids);
        several.add(&failed(ids[1]));
        let stopped = several.stopped(&signal);
        assert_eq!(stopped["runs"][1]["window"]["id"], ids[2]);
    }
}
