//! The present time and sleeping behind a trait, so that tests can set the time.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

/// A source of time.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The present instant. It may be set back or forward at any moment, so waiting goes by [`Self::elapsed`].
    fn now(&self) -> DateTime<Utc>;

    /// The time since some fixed moment of this process, which only ever grows.
    fn elapsed(&self) -> Duration {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        START.elapsed()
    }

    /// Returns after `duration` of this clock's time.
    async fn sleep(&self, duration: Duration);
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// A clock that moves only by sleeping, which returns at once, and by being set.
#[cfg(any(test, feature = "testing"))]
#[derive(Debug)]
pub struct TestClock(std::sync::Mutex<TestTime>);

#[cfg(any(test, feature = "testing"))]
#[derive(Debug)]
struct TestTime {
    now: DateTime<Utc>,
    elapsed: Duration,
}

#[cfg(any(test, feature = "testing"))]
impl TestClock {
    /// A clock that shows `now`.
    pub fn at(now: DateTime<Utc>) -> Self {
        let elapsed = Duration::ZERO;
        Self(std::sync::Mutex::new(TestTime { now, elapsed }))
    }

    /// Sets the clock to another time, as an operator or a time server does.
    pub fn set(&self, now: DateTime<Utc>) {
        self.time().now = now;
    }

    fn time(&self) -> std::sync::MutexGuard<'_, TestTime> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(any(test, feature = "testing"))]
#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        self.time().now
    }

    fn elapsed(&self) -> Duration {
        self.time().elapsed
    }

    async fn sleep(&self, duration: Duration) {
        {
            let mut time = self.time();
            time.now += duration;
            time.elapsed += duration;
        }
        tokio::task::yield_now().await;
    }
}
