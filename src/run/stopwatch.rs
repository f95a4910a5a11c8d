//! How long the steps of a run take: as seconds for the receipt, and one by one for traces.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};

/// A step that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its name, as in the receipt.
    pub name: String,
    /// When it began, by the machine's clock.
    pub began_at: DateTime<Utc>,
    /// How long it took, by a clock that is never set.
    pub took: TimeDelta,
}

/// The steps of a window, which outlive the run of a window that fails.
pub(super) type Steps = Arc<Mutex<Vec<Step>>>;

/// Times steps.
#[derive(Default)]
pub(super) struct Stopwatch {
    seconds: BTreeMap<String, f64>,
    steps: Steps,
}

impl Stopwatch {
    /// A stopwatch that also adds each step to `steps`.
    pub(super) fn with(steps: Steps) -> Self {
        Self {
            seconds: BTreeMap::new(),
            steps,
        }
    }

    /// Does the work, and adds its time to the step. The work is boxed: a run is a future of many such steps, which would
    /// overflow the stack of a thread if each was held in the next.
    pub(super) fn time<T>(
        &mut self,
        step: &str,
        work: impl Future<Output = T>,
    ) -> impl Future<Output = T> {
        let work = Box::pin(work);
        async move {
            let (began_at, since) = (Utc::now(), Instant::now());
            let done = work.await;
            let took = since.elapsed();
            let seconds = self.seconds.entry(step.to_owned()).or_default();
            *seconds = ((*seconds + took.as_secs_f64()) * 1000.0).round() / 1000.0;
            let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
            steps.push(Step {
                name: step.to_owned(),
                began_at,
                took: TimeDelta::from_std(took).unwrap_or(TimeDelta::MAX),
            });
            done
        }
    }

    /// The seconds that each step took in all, by its name.
    pub(super) fn seconds(self) -> BTreeMap<String, f64> {
        self.seconds
    }
}
