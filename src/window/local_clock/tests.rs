use super::*;
use chrono_tz::TZ_VARIANTS;
use proptest::prelude::*;

fn instant(text: &str) -> i64 {
    text.parse::<DateTime<chrono::Utc>>()
        .unwrap()
        .timestamp_millis()
}

#[test]
fn spans_end_where_the_clocks_change() {
    let mut clock = LocalClock::new(chrono_tz::America::New_York);
    let span = clock.span(instant("2026-03-08T12:00:00Z")).unwrap();
    assert_eq!(span.start_ms, instant("2026-03-08T07:00:00Z"));
    assert_eq!(span.offset_ms, -4 * HOUR_MS);
    let before = clock.span(span.start_ms - 1).unwrap();
    assert_eq!(
        (before.end_ms, before.offset_ms),
        (span.start_ms, -5 * HOUR_MS)
    );
}

#[test]
fn the_shortest_summer_time_is_seen() {
    let mut clock = LocalClock::new(chrono_tz::America::Recife);
    let span = clock.span(instant("2000-10-10T00:00:00Z")).unwrap();
    assert_eq!(span.end_ms - span.start_ms, 167 * HOUR_MS);
}

#[test]
fn a_day_without_midnight_begins_later() {
    let mut clock = LocalClock::new(chrono_tz::America::Sao_Paulo);
    let midnight = instant("2018-11-04T00:00:00Z");
    let first = clock.first_instant(midnight).unwrap();
    assert_eq!(first, instant("2018-11-04T03:00:00Z"));
    assert_eq!(clock.local_ms(first).unwrap(), midnight + HOUR_MS);
}

/// What PostgreSQL answers to `timestamptz '…'` in each zone.
#[test]
fn a_local_time_that_is_skipped_or_repeated_is_decided_as_in_postgresql() {
    for (zone, local, expected) in [
        // Forward at 02:00, by an hour.
        (
            "America/New_York",
            "2026-03-08T01:59:59Z",
            "2026-03-08T06:59:59Z",
        ),
        (
            "America/New_York",
            "2026-03-08T02:30:00Z",
            "2026-03-08T07:30:00Z",
        ),
        (
            "America/New_York",
            "2026-03-08T03:00:00Z",
            "2026-03-08T07:00:00Z",
        ),
        // Back at 02:00, by an hour.
        (
            "America/New_York",
            "2026-11-01T00:59:59Z",
            "2026-11-01T04:59:59Z",
        ),
        (
            "America/New_York",
            "2026-11-01T01:30:00Z",
            "2026-11-01T06:30:00Z",
        ),
        (
            "America/New_York",
            "2026-11-01T02:00:00Z",
            "2026-11-01T07:00:00Z",
        ),
        // By half an hour.
        (
            "Australia/Lord_Howe",
            "2026-04-05T01:45:00Z",
            "2026-04-04T15:15:00Z",
        ),
        (
            "Australia/Lord_Howe",
            "2026-10-04T02:15:00Z",
            "2026-10-03T15:45:00Z",
        ),
        // Back by two hours, on the Antarctic.
        (
            "Antarctica/Troll",
            "2026-10-25T02:30:00Z",
            "2026-10-25T02:30:00Z",
        ),
        // A day that was skipped.
        (
            "Pacific/Apia",
            "2011-12-30T12:00:00Z",
            "2011-12-30T22:00:00Z",
        ),
        (
            "Pacific/Apia",
            "2011-12-31T00:00:00Z",
            "2011-12-30T10:00:00Z",
        ),
        ("+05:30", "2026-11-21T05:30:00Z", "2026-11-21T00:00:00Z"),
    ] {
        let mut clock = LocalClock::new(zone.parse::<Zone>().unwrap());
        let found = clock.instant_ms(instant(local)).unwrap();
        assert_eq!(found, instant(expected), "{zone} {local}");
    }
}

#[test]
fn instants_far_beyond_calendars_are_errors() {
    let mut clock = LocalClock::new(chrono_tz::Asia::Seoul);
    for far in [i64::MIN, -LIMIT_MS - 1, LIMIT_MS + 1, i64::MAX] {
        assert_eq!(clock.span(far), Err(OutOfRange(far)));
    }
    for edge in [-LIMIT_MS, LIMIT_MS] {
        assert!(clock.local_ms(edge).is_ok());
    }
}

#[test]
fn memory_is_bounded_for_instants_all_over_the_calendar() {
    let mut clock = LocalClock::new(chrono_tz::Asia::Seoul);
    for i in 0..3 * MAX_SPANS as i64 {
        clock.span((i * 7919 % 100_000) * 365 * DAY_MS).unwrap();
        assert!(clock.spans.len() <= MAX_SPANS);
    }
}

proptest! {
    #[test]
    fn the_offset_is_the_one_chrono_gives_in_any_order_of_instants(
        zone in 0..TZ_VARIANTS.len(),
        // 1800 to 2130, and a cluster around one instant.
        instants in prop::collection::vec(-5_364_662_400_000i64..5_049_129_600_000, 1..20),
        steps in prop::collection::vec(-200 * DAY_MS..200 * DAY_MS, 1..40),
    ) {
        let mut clock = LocalClock::new(TZ_VARIANTS[zone]);
        let near = steps.iter().map(|step| instants[0] + step);
        for instant in instants.iter().copied().chain(near) {
            let span = clock.span(instant).unwrap();
            prop_assert!(span.contains(instant));
            for inside in [instant, span.start_ms, span.end_ms - 1, (span.start_ms + span.end_ms) / 2] {
                prop_assert_eq!(clock.offset_at(inside).unwrap(), span.offset_ms);
            }
        }
        for instant in instants {
            let local = clock.local_ms(instant).unwrap();
            let found = clock.instant_ms(local).unwrap();
            // A repeated time is the later instant, and every instant shows its own local time.
            prop_assert!(found >= instant && found - instant <= 2 * DAY_MS);
            prop_assert_eq!(clock.local_ms(found).unwrap(), local);
        }
        prop_assert!(clock.spans.windows(2).all(|pair| pair[0].end_ms <= pair[1].start_ms));
    }
}
