//! Events that arrive late, with a job's defaults: whichever way CloudWatch reads the times of an export, and however
//! long it needs until an event can be exported.

use super::*;
use crate::export::fake::Reading;

const MINUTES: [i64; 6] = [0, 5, 65, 3 * 60, 7 * 60, 11 * 60];

/// Three days of events, every ten minutes, which arrive later and later.
async fn nights_of_late_shippers(reading: Reading, exportable_after: Duration) -> Nights {
    let nights = Nights::with_window("2026-11-22T03:00:00Z", "UTC", "", "").await;
    nights.logs.go_by(reading);
    nights.logs.export_after(exportable_after);
    nights
        .logs
        .add_group("/svc/a", instant("2026-01-01T00:00:00Z"));
    let first = instant("2026-11-20T00:00:00Z");
    for number in 0..3 * 144 {
        let at = first + TimeDelta::minutes(number * 10);
        let late = MINUTES[usize::try_from(number).unwrap() % MINUTES.len()];
        let ingested = at + TimeDelta::minutes(late);
        let message = number.to_string();
        nights
            .logs
            .put_late("/svc/a", "web", at, ingested, &message);
    }
    nights
}

/// Three nights at 03:00, each with the default window.
#[tokio::test]
async fn late_events_are_in_their_window_whatever_the_times_of_an_export_mean() {
    for reading in [Reading::EventTime, Reading::IngestionTime] {
        for exportable_after in [0, 12] {
            let nights = nights_of_late_shippers(reading, HOUR * exportable_after).await;
            let mut settled = Vec::new();
            for _ in 0..3 {
                for outcome in nights.run(Selection::Default).await {
                    let receipt = outcome.result.unwrap();
                    if !receipt.window.provisional {
                        settled.push((receipt.window.id.clone(), receipt.read.events));
                    }
                }
                nights.clock.sleep(24 * HOUR).await;
            }
            let days = ["2026-11-21", "2026-11-22"].map(|day| (day.to_owned(), 144));
            assert_eq!(settled, days, "{reading:?} {exportable_after}");
            for window in nights.windows("2026-11-21", "2026-11-22") {
                assert_eq!(nights.answer(&window).await, (144, 144));
            }
        }
    }
}

/// What the allowance is for: an event that can't be exported before half of it is over, and comes in during the rest.
#[tokio::test]
async fn a_window_settles_when_its_late_events_can_be_exported() {
    for (settled_after, events) in [("12h", 0), ("24h", 1)] {
        let window = format!("settled_after = \"{settled_after}\"");
        let nights = Nights::with_window("2026-11-21T00:00:00Z", "UTC", "", &window).await;
        nights.logs.export_after(12 * HOUR);
        nights
            .logs
            .add_group("/svc/a", instant("2026-01-01T00:00:00Z"));
        let (at, ingested) = ("2026-11-20T23:58:00Z", "2026-11-21T00:03:00Z");
        nights
            .logs
            .put_late("/svc/a", "web", instant(at), instant(ingested), "late");
        let hours = if events == 0 { 12 } else { 24 };
        nights.clock.sleep(HOUR * hours).await;
        let day = Selection::Id("2026-11-20".to_owned());
        let receipt = nights.run(day).await.remove(0).result.unwrap();
        assert!(!receipt.window.provisional);
        assert_eq!(receipt.read.events, events, "{settled_after}");
    }
}
