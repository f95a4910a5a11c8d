//! How long a query may take. The time in which a reader looks at its answer does not count.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Class, Error, Result};

tokio::task_local! {
    /// The time of the work within a limit that does not count.
    static UNCOUNTED: Arc<Mutex<Uncounted>>;
}

#[derive(Default)]
struct Uncounted {
    /// That of the waits that are over.
    total: Duration,
    /// The start of the present one.
    since: Option<Instant>,
}

impl Uncounted {
    fn so_far(&self) -> Duration {
        self.total + self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

/// Carries out work within a limit, which `name` is the key or the option of. An error (SQL) where it takes longer.
pub async fn in_time<T>(
    name: &str,
    limit: Option<Duration>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    // Boxed: the futures of queries are large.
    let work = Box::pin(work);
    let Some(limit) = limit else {
        return work.await;
    };
    let uncounted = Arc::new(Mutex::new(Uncounted::default()));
    let work = UNCOUNTED.scope(Arc::clone(&uncounted), work);
    tokio::select! {
        done = work => done,
        () = over(limit, &uncounted) => {
            let limit = humantime::format_duration(limit);
            let what = format!(
                "the query takes longer than {limit} ({name}): expected one that ends in time, or a longer {name}"
            );
            Err(Error::new(Class::Sql, what))
        }
    }
}

/// Waits for a reader, in time that does not count for the limit around it.
pub async fn not_counted<T>(wait: impl Future<Output = T>) -> T {
    let begun = UNCOUNTED.try_with(|uncounted| {
        lock(uncounted).since = Some(Instant::now());
    });
    let done = wait.await;
    if begun.is_ok() {
        UNCOUNTED.with(|uncounted| {
            let mut uncounted = lock(uncounted);
            uncounted.total = uncounted.so_far();
            uncounted.since = None;
        });
    }
    done
}

/// Returns when so much time has passed that counts.
async fn over(limit: Duration, uncounted: &Mutex<Uncounted>) {
    let begun = Instant::now();
    loop {
        let counted = begun.elapsed().saturating_sub(lock(uncounted).so_far());
        let Some(left) = limit.checked_sub(counted).filter(|left| !left.is_zero()) else {
            return;
        };
        tokio::time::sleep(left).await;
    }
}

fn lock(uncounted: &Mutex<Uncounted>) -> impl std::ops::DerefMut<Target = Uncounted> {
    uncounted.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_time_of_a_reader_does_not_count() {
        const LIMIT: Duration = Duration::from_millis(100);
        let read = in_time("--timeout", Some(LIMIT), async {
            not_counted(tokio::time::sleep(5 * LIMIT)).await;
            Ok(())
        });
        assert!(read.await.is_ok());
        let endless = in_time::<()>("--timeout", Some(LIMIT), async {
            not_counted(tokio::time::sleep(LIMIT)).await;
            std::future::pending().await
        });
        assert_eq!(endless.await.unwrap_err().class(), Class::Sql);
        not_counted(async {}).await;
    }
}
