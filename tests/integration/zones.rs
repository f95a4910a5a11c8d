//! Every zone of the tz database, over a day on which its clocks change: no event is lost or counted twice.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use chrono::{Days, NaiveDate, Offset, TimeZone};
use chrono_tz::{TZ_VARIANTS, Tz};
use futures::TryStreamExt;
use logtally::aws::{Account, Aws};
use logtally::job::{self, AwsSettings, Location};
use logtally::query::{Engine, Session};
use logtally::scan::LogsTable;
use logtally::store::Stores;
use logtally::window::{Size, Window};

use crate::support::export::{Export, Object};

const MINUTE_MS: i64 = 60_000;

/// The newest day on which the zone's clocks change, or any day if they have not changed since 1970.
fn day_of_change(zone: Tz) -> NaiveDate {
    let offset = |date: NaiveDate| {
        let noon = date.and_hms_opt(12, 0, 0).unwrap();
        zone.offset_from_utc_datetime(&noon).fix().local_minus_utc()
    };
    let newest = NaiveDate::from_ymd_opt(2026, 12, 31).unwrap();
    (0..57 * 365)
        .map(|days| newest - Days::new(days))
        .find(|date| offset(*date) != offset(*date - Days::new(1)))
        .unwrap_or(newest)
}

/// The window of that change: the day that does not have 24 hours. The change is found at noon UTC, so it may be the day
/// before or after.
fn window_of_change(zone: Tz) -> Window {
    let date = day_of_change(zone);
    let days = [-1i64, 0, 1].map(|shift| {
        let date = date
            .checked_add_signed(chrono::TimeDelta::days(shift))
            .unwrap();
        Window::parse(Size::Day, zone, &date.format("%Y-%m-%d").to_string())
    });
    let mut existing: Vec<Window> = days.into_iter().flatten().collect();
    let uneven = |window: &Window| (window.end() - window.start()).num_minutes() != 24 * 60;
    match existing.iter().position(uneven) {
        Some(at) => existing.swap_remove(at),
        None => existing.swap_remove(0),
    }
}

async fn numbers(session: &Session, sql: &str) -> Vec<i64> {
    let statement = session.statement(sql, "test").await.unwrap();
    let batches = session.run(&statement).await.unwrap().batches;
    let batches: Vec<_> = batches.try_collect().await.unwrap();
    batches
        .iter()
        .flat_map(|batch| {
            batch
                .column(0)
                .as_primitive::<Int64Type>()
                .values()
                .to_vec()
        })
        .collect()
}

#[tokio::test]
async fn hours_add_up_in_every_zone_over_a_change_of_its_clocks() {
    let folder = tempfile::tempdir().unwrap();
    let stores = Stores::new(Arc::new(Aws::new(AwsSettings::default()))).unwrap();
    let engine = Engine::new(256 << 20, folder.path()).unwrap();
    let hourly_count = job::built_in("hourly_count").unwrap();
    let hour_of_day = job::built_in("hour_of_day").unwrap();
    for (number, zone) in TZ_VARIANTS.into_iter().enumerate() {
        let window = window_of_change(zone);
        let range = window.range();
        // Events every eleven minutes, from before the window to after it, and exactly at its edges.
        let mut events: Vec<i64> = (range.start_ms - 90 * MINUTE_MS..range.end_ms + 90 * MINUTE_MS)
            .step_by(11 * MINUTE_MS as usize)
            .collect();
        events.extend([
            range.start_ms - 1,
            range.start_ms,
            range.end_ms - 1,
            range.end_ms,
        ]);
        let inside = events.iter().filter(|ms| range.contains(**ms)).count() as i64;
        let events: Vec<(i64, &str)> = events.into_iter().map(|ms| (ms, "event")).collect();
        let root = folder.path().join(number.to_string());
        Export::new(&root).object("stream", 0, &Object::new(&events));

        let store = stores
            .open(&Location::Local(root), Account::LOGS)
            .await
            .unwrap();
        let objects = store.list_logs(store.root(), None).await.unwrap();
        let logs = LogsTable::new(&store, objects, range, engine.pool());
        let session = engine
            .session(zone)
            .unwrap()
            .with_logs(logs, Some(&store))
            .unwrap()
            .with_window(range)
            .unwrap();
        let context = format!("{zone} {}", window.id());
        assert_eq!(
            numbers(&session, "SELECT count(*) FROM logs").await,
            [inside],
            "{context}"
        );
        for (name, sql) in [("hourly_count", hourly_count), ("hour_of_day", hour_of_day)] {
            let events = numbers(&session, &format!("SELECT events FROM ({sql}) AS answer")).await;
            assert_eq!(events.iter().sum::<i64>(), inside, "{name}: {context}");
        }
        let unmatched = "SELECT count(*) FROM logs WHERE time_bucket('1 hour', timestamp) NOT IN (SELECT hour_utc FROM hours)";
        assert_eq!(numbers(&session, unmatched).await, [0], "{context}");
        let local = "SELECT count(*) FROM hours WHERE local_time(hour_utc) <> hour_local";
        assert_eq!(numbers(&session, local).await, [0], "{context}");
    }
}
