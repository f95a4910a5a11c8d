//! How long to wait between attempts, and how many attempts to make.
//!
//! [`Backoff`] and [`Retries`] are arithmetic. [`retry`] is the one loop that waits: every request that this program
//! repeats by itself goes through it, or through the deadline of an export, which also reports what it waits for.

use std::time::Duration;

use crate::clock::Clock;

/// Delays that double from `first` up to `most`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first delay.
    pub first: Duration,
    /// The longest delay.
    pub most: Duration,
}

impl Backoff {
    /// The delay after `failures` failed attempts before this one (0 at first). `jitter` in [0, 1) takes up to half of
    /// it away, so that several waiting programs do not ask in step.
    pub fn delay(self, failures: u32, jitter: f64) -> Duration {
        let doubled = self
            .first
            .saturating_mul(1u32.checked_shl(failures).unwrap_or(u32::MAX));
        doubled
            .min(self.most)
            .mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
    }

    /// The delays after the first, second … failed attempt, with random jitter, without end.
    pub fn delays(self) -> impl Iterator<Item = Duration> {
        (0..).map(move |failures| self.delay(failures, fastrand::f64()))
    }
}

/// A limited number of attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// Attempts, the first one included.
    pub attempts: u32,
    /// The delays between them.
    pub backoff: Backoff,
}

impl Retries {
    /// The delays between the attempts: one fewer than there are attempts.
    pub fn delays(self) -> impl Iterator<Item = Duration> {
        let retries = self.attempts.saturating_sub(1) as usize;
        self.backoff.delays().take(retries)
    }
}

/// Repeats `operation` after each of `delays` for as long as it fails with an error that is `transient`. The last error
/// is returned where the delays end.
pub async fn retry<T, E, F: Future<Output = Result<T, E>>>(
    clock: &dyn Clock,
    delays: impl IntoIterator<Item = Duration>,
    transient: impl Fn(&E) -> bool,
    mut operation: impl FnMut() -> F,
) -> Result<T, E> {
    let mut delays = delays.into_iter();
    loop {
        match operation().await {
            Err(error) if transient(&error) => match delays.next() {
                Some(delay) => clock.sleep(delay).await,
                None => return Err(error),
            },
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::TestClock;
    use chrono::{DateTime, TimeDelta};

    const BACKOFF: Backoff = Backoff {
        first: Duration::from_secs(1),
        most: Duration::from_secs(30),
    };

    #[test]
    fn delays_double_up_to_the_longest() {
        let seconds: Vec<u64> = (0..8).map(|n| BACKOFF.delay(n, 0.0).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(BACKOFF.delay(u32::MAX, 0.0), BACKOFF.most);
        let jittered = BACKOFF.delay(0, 0.999);
        assert!(jittered > BACKOFF.first / 2 && jittered < BACKOFF.first);
    }

    #[tokio::test]
    async fn only_transient_errors_are_repeated_and_only_so_often() {
        let retries = Retries {
            attempts: 4,
            backoff: BACKOFF,
        };
        let clock = TestClock::at(DateTime::UNIX_EPOCH);
        let run = async |errors: &[&'static str]| {
            let mut attempts = 0;
            let result = retry(
                &clock,
                retries.delays(),
                |error: &&str| *error == "busy",
                || {
                    attempts += 1;
                    let error = errors.get(attempts - 1);
                    std::future::ready(error.map_or(Ok(attempts), |error| Err(*error)))
                },
            )
            .await;
            (result, attempts)
        };
        assert_eq!(run(&[]).await, (Ok(1), 1));
        assert_eq!(run(&["busy", "busy", "busy"]).await, (Ok(4), 4));
        let waited = clock.now() - DateTime::UNIX_EPOCH;
        assert!(waited > TimeDelta::milliseconds(3500) && waited <= TimeDelta::seconds(7));
        assert_eq!(run(&["busy"; 9]).await, (Err("busy"), 4));
        assert_eq!(run(&["busy", "refused"]).await, (Err("refused"), 2));
    }
}
