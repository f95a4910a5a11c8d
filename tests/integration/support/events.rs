//! Events whose counts are known.

use std::panic::AssertUnwindSafe;

use chrono::{DateTime, NaiveDate, Utc};

/// One hour in milliseconds.
pub const HOUR: i64 = 3_600_000;

/// One day in milliseconds.
pub const DAY: i64 = 24 * HOUR;

/// Milliseconds since 1970 of an instant such as `2025-03-03T00:00:00Z`.
pub fn at(instant: &str) -> i64 {
    DateTime::parse_from_rfc3339(instant)
        .unwrap_or_else(|error| panic!("{instant}: {error}"))
        .timestamp_millis()
}

/// Runs a test that depends on today's date (UTC), and again if it failed while midnight passed.
pub fn on_one_day(test: impl Fn(NaiveDate)) {
    let today = || Utc::now().date_naive();
    loop {
        let day = today();
        match std::panic::catch_unwind(AssertUnwindSafe(|| test(day))) {
            Ok(()) => return,
            Err(_) if today() != day => {}
            Err(failure) => std::panic::resume_unwind(failure),
        }
    }
}

/// Messages of every kind: short, of several lines, Lambda's with a trailing newline, Korean, JSON.
pub const MESSAGES: [&str; 6] = [
    "INFO ok",
    "END RequestId: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\n",
    "ERROR 재고가 부족합니다\n\tat shop.Stock.take(Stock.java:17)\n\tat shop.Order.place(Order.java:4)",
    "{\"level\": \"error\", \"message\": \"결제 실패\"}",
    "\n",
    "한글",
];

/// `count` events of the day that begins at `midnight`, unordered and always the same.
pub fn scattered(midnight: i64, count: i64) -> Vec<(i64, &'static str)> {
    // The step is coprime to a day's milliseconds, so no millisecond repeats.
    const STEP: i64 = 48_271_007;
    (0..count)
        .map(|n| {
            let message = MESSAGES[usize::try_from(n).expect("not negative") % MESSAGES.len()];
            (midnight + (n * STEP).rem_euclid(DAY), message)
        })
        .collect()
}

/// The number of events in each of the `hours` hours from `start`.
pub fn by_hour<M>(events: &[(i64, M)], start: i64, hours: usize) -> Vec<i64> {
    let mut counts = vec![0; hours];
    for (time, _) in events {
        if let Ok(hour) = usize::try_from((time - start).div_euclid(HOUR))
            && let Some(count) = counts.get_mut(hour)
        {
            *count += 1;
        }
    }
    counts
}
