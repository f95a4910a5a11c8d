use super::*;
use chrono::Utc;
use chrono_tz::TZ_VARIANTS;
use proptest::prelude::*;

fn instant(text: &str) -> i64 {
    text.parse::<DateTime<Utc>>().unwrap().timestamp_millis()
}

fn shown(instant_ms: i64) -> String {
    let time = DateTime::from_timestamp_millis(instant_ms).unwrap();
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn bucket(zone: Tz, width: &str, time: &str) -> String {
    let width = Width::parse(width).unwrap();
    shown(Buckets::new(zone, width).start(instant(time)).unwrap())
}

/// The starts of the hours of a local day, as `HH:MM` on the wall clock.
fn day(zone: Tz, date: &str) -> Vec<String> {
    let mut buckets = Buckets::new(zone, Width::WithinDay(DAY_MS));
    let midnight = instant(&format!("{date}T00:00:00Z"));
    let start = buckets.clock.first_instant(midnight).unwrap();
    let end = buckets.clock.first_instant(midnight + DAY_MS).unwrap();
    let hours = hours(zone, start, end);
    assert_eq!(hours.first().map_or(start, |h| h.start_ms), start);
    hours
        .iter()
        .map(|hour| shown(hour.local_ms)[11..16].to_owned())
        .collect()
}

#[test]
fn widths_are_read_as_people_write_them() {
    for (text, width) in [
        ("15 minutes", Width::WithinHour(15 * MINUTE_MS)),
        ("45 minutes", Width::WithinHour(45 * MINUTE_MS)),
        (" 1 HOUR ", Width::HOUR),
        ("60 minutes", Width::HOUR),
        ("hour", Width::HOUR),
        ("500ms", Width::WithinHour(500)),
        ("90 min", Width::WithinDay(90 * MINUTE_MS)),
        ("6 hours", Width::WithinDay(6 * HOUR_MS)),
        ("24 hours", Width::WithinDay(DAY_MS)),
        ("1 day", Width::WithinDay(DAY_MS)),
        ("1 week", Width::Week),
        ("7 days", Width::Week),
        ("1 month", Width::Months(1)),
        ("quarter", Width::Months(3)),
        ("10 years", Width::Months(120)),
    ] {
        assert_eq!(Width::parse(text), Ok(width), "{text}");
    }
}

#[test]
fn widths_that_leave_a_rest_are_refused_by_name() {
    for text in [
        "",
        "0 hours",
        "-1 hour",
        "7 minutes",
        "5 hours",
        "48 hours",
        "2 days",
        "2 weeks",
        "5 months",
        "18 months",
        "1 fortnight",
        "1.5 hours",
        "99999999999999999999 hours",
        "9223372036854775807 years",
        "1 hour 5 minutes",
    ] {
        let error = Width::parse(text).unwrap_err().to_string();
        assert!(error.contains(&format!("'{text}'")), "{error}");
        assert!(error.contains("expected"), "{error}");
    }
}

#[test]
fn intervals_are_widths_too() {
    assert_eq!(Width::of_interval(0, 0, 3_600_000_000_000), Ok(Width::HOUR));
    assert_eq!(Width::of_interval(0, 7, 0), Ok(Width::Week));
    assert_eq!(Width::of_interval(1, 0, 0), Ok(Width::Months(1)));
    for (months, days, nanoseconds) in [
        (1, 1, 0),
        (0, 1, 1),
        (0, 0, 1),
        (0, 0, 0),
        (-1, 0, 0),
        (0, 0, -3_600_000_000_000),
    ] {
        assert!(Width::of_interval(months, days, nanoseconds).is_err());
    }
}

#[test]
fn the_repeated_hour_is_two_buckets() {
    let new_york = chrono_tz::America::New_York;
    assert_eq!(
        bucket(new_york, "1 hour", "2026-11-01T05:59:59Z"),
        "2026-11-01T05:00:00Z"
    );
    assert_eq!(
        bucket(new_york, "1 hour", "2026-11-01T06:00:00Z"),
        "2026-11-01T06:00:00Z"
    );
    assert_eq!(
        day(new_york, "2026-11-01")[..4],
        ["00:00", "01:00", "01:00", "02:00"]
    );
}

#[test]
fn days_have_as_many_hours_as_their_clocks() {
    use chrono_tz::{Africa, America, Asia, Australia, Europe, Pacific};
    for (zone, date, hours) in [
        (America::New_York, "2026-03-08", 23),
        (America::New_York, "2026-11-01", 25),
        (Asia::Seoul, "2026-11-01", 24),
        (Europe::London, "2026-03-29", 23),
        (Australia::Lord_Howe, "2026-04-05", 25),
        (Australia::Lord_Howe, "2026-10-04", 24),
        (Asia::Kathmandu, "2026-11-01", 24),
        (Asia::Beirut, "2026-03-29", 23),
        (Asia::Beirut, "2026-10-24", 25),
        (America::Sao_Paulo, "2018-11-04", 23),
        (America::Sao_Paulo, "2018-02-17", 25),
        (Africa::Casablanca, "2026-02-15", 25),
        (Africa::Casablanca, "2026-03-22", 23),
        (Pacific::Apia, "2011-12-29", 24),
        (Pacific::Apia, "2011-12-30", 0),
        (Pacific::Apia, "2011-12-31", 24),
    ] {
        assert_eq!(day(zone, date).len(), hours, "{zone} {date}");
    }
}

#[test]
fn a_half_hour_change_cuts_an_hour() {
    let lord_howe = chrono_tz::Australia::Lord_Howe;
    assert_eq!(
        day(lord_howe, "2026-04-05")[..4],
        ["00:00", "01:00", "01:30", "02:00"]
    );
    assert_eq!(
        day(lord_howe, "2026-10-04")[..4],
        ["00:00", "01:00", "02:30", "03:00"]
    );
}

#[test]
fn half_hour_zones_have_hours_of_their_own() {
    assert_eq!(
        bucket(chrono_tz::Asia::Kolkata, "1 hour", "2026-11-21T10:29:00Z"),
        "2026-11-21T09:30:00Z"
    );
    assert_eq!(
        bucket(chrono_tz::Asia::Kathmandu, "1 hour", "2026-11-21T10:14:00Z"),
        "2026-11-21T09:15:00Z"
    );
    // New York's local mean time, -04:56:02.
    assert_eq!(
        bucket(
            chrono_tz::America::New_York,
            "1 hour",
            "1870-01-01T10:30:00Z"
        ),
        "1870-01-01T09:56:02Z"
    );
}

#[test]
fn wide_buckets_follow_the_wall_clock() {
    let new_york = chrono_tz::America::New_York;
    // 00:00 to 06:00 takes five hours in spring and seven in autumn.
    assert_eq!(
        bucket(new_york, "6 hours", "2026-03-08T09:59:59Z"),
        "2026-03-08T05:00:00Z"
    );
    assert_eq!(
        bucket(new_york, "6 hours", "2026-03-08T10:00:00Z"),
        "2026-03-08T10:00:00Z"
    );
    assert_eq!(
        bucket(new_york, "6 hours", "2026-11-01T10:59:59Z"),
        "2026-11-01T04:00:00Z"
    );
    assert_eq!(
        bucket(new_york, "6 hours", "2026-11-01T11:00:00Z"),
        "2026-11-01T11:00:00Z"
    );
    assert_eq!(
        bucket(new_york, "1 day", "2026-11-02T04:59:59Z"),
        "2026-11-01T04:00:00Z"
    );
    assert_eq!(
        bucket(chrono_tz::Asia::Seoul, "1 week", "2026-11-22T14:59:59Z"),
        "2026-11-15T15:00:00Z"
    );
    assert_eq!(
        bucket(chrono_tz::Asia::Seoul, "1 week", "2026-11-22T15:00:00Z"),
        "2026-11-22T15:00:00Z"
    );
    assert_eq!(
        bucket(chrono_tz::Asia::Seoul, "1 month", "2026-11-21T00:00:00Z"),
        "2026-10-31T15:00:00Z"
    );
    assert_eq!(
        bucket(chrono_tz::UTC, "3 months", "2026-12-21T00:00:00Z"),
        "2026-10-01T00:00:00Z"
    );
    assert_eq!(
        bucket(chrono_tz::UTC, "1 year", "2026-12-21T00:00:00Z"),
        "2026-01-01T00:00:00Z"
    );
}

#[test]
fn days_that_lack_something_begin_at_their_first_instant() {
    assert_eq!(
        bucket(
            chrono_tz::America::Sao_Paulo,
            "1 day",
            "2018-11-04T12:00:00Z"
        ),
        "2018-11-04T03:00:00Z"
    );
    // The zone skipped 2011-12-30.
    assert_eq!(
        bucket(chrono_tz::Pacific::Apia, "1 day", "2011-12-30T12:00:00Z"),
        "2011-12-30T10:00:00Z"
    );
    assert_eq!(
        bucket(chrono_tz::Pacific::Apia, "1 day", "2011-12-30T09:59:59Z"),
        "2011-12-29T10:00:00Z"
    );
    // The clocks went back from 00:01 to 23:01, after the new day had begun.
    assert_eq!(
        bucket(
            chrono_tz::America::St_Johns,
            "1 day",
            "2006-10-29T02:45:00Z"
        ),
        "2006-10-29T02:30:00Z"
    );
}

#[test]
fn instants_beyond_calendars_are_errors() {
    for width in ["1 hour", "6 hours", "1 week", "1 month", "1000 years"] {
        let width = Width::parse(width).unwrap();
        let mut buckets = Buckets::new(chrono_tz::Europe::Paris, width);
        for far in [i64::MIN, i64::MAX] {
            assert_eq!(buckets.start(far), Err(OutOfRange(far)));
        }
    }
    assert!(hours(chrono_tz::UTC, i64::MAX - 1, i64::MAX).is_empty());
    assert!(hours(chrono_tz::UTC, 5, 5).is_empty());
    assert!(hours(chrono_tz::UTC, 5, 4).is_empty());
}

/// Instants from 1840 to 2110. Half of them are within a day of a span's end, which is mostly a change of the clocks.
fn zone_and_instant() -> impl Strategy<Value = (Tz, i64)> {
    let any = (
        0..TZ_VARIANTS.len(),
        -4_102_444_800_000i64..4_417_977_600_000,
        any::<bool>(),
        -DAY_MS..DAY_MS,
    );
    any.prop_map(|(zone, instant, near, distance)| {
        let zone = TZ_VARIANTS[zone];
        let span = LocalClock::new(zone).span(instant).unwrap();
        (
            zone,
            if near {
                span.end_ms + distance
            } else {
                instant
            },
        )
    })
}

fn wide_width() -> impl Strategy<Value = Width> {
    width().prop_filter("wider than an hour", |width| {
        !matches!(width, Width::WithinHour(_))
    })
}

fn width() -> impl Strategy<Value = Width> {
    let widths = [
        "1 second",
        "1 minute",
        "15 minutes",
        "45 minutes",
        "1 hour",
        "90 minutes",
        "6 hours",
        "12 hours",
        "1 day",
        "1 week",
        "1 month",
        "3 months",
        "1 year",
    ];
    prop::sample::select(widths.map(|text| Width::parse(text).unwrap()).to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn buckets_hold_their_instants_and_follow_each_other(
        (zone, instant) in zone_and_instant(),
        width in width(),
        step in 0i64..40 * DAY_MS,
    ) {
        let mut buckets = Buckets::new(zone, width);
        let start = buckets.start(instant).unwrap();
        let known = buckets.current.clone();
        prop_assert!(start <= instant);
        if let Width::WithinHour(ms) = width {
            prop_assert!(instant < start + ms);
        }
        prop_assert_eq!(buckets.start(start).unwrap(), start);
        for same in [known.start, known.end - 1] {
            prop_assert_eq!(Buckets::new(zone, width).start(same).unwrap(), start);
        }
        // A later instant is in the same bucket, or in one that begins after this instant.
        let later = buckets.start(instant + step).unwrap();
        prop_assert!(later == start || later > instant);
        // A new `Buckets` agrees with one that has seen other instants.
        prop_assert_eq!(Buckets::new(zone, width).start(instant + step).unwrap(), later);
    }

    #[test]
    fn wide_buckets_begin_when_the_wall_clock_first_reaches_them((zone, instant) in zone_and_instant(), width in wide_width()) {
        let start = Buckets::new(zone, width).start(instant).unwrap();
        let mut clock = LocalClock::new(zone);
        let floor = width.floor(clock.local_ms(start).unwrap()).unwrap();
        prop_assert_eq!(clock.first_instant(floor).unwrap(), start);
        prop_assert!(clock.local_ms(start - 1).unwrap() < floor);
    }

    #[test]
    fn hours_tile_a_window((zone, instant) in zone_and_instant(), days in 1i64..100) {
        let mut clock = LocalClock::new(zone);
        let midnight = clock.local_ms(instant).unwrap().div_euclid(DAY_MS) * DAY_MS;
        let start = clock.first_instant(midnight).unwrap();
        let end = clock.first_instant(midnight + days * DAY_MS).unwrap();
        let mut buckets = Buckets::new(zone, Width::HOUR);
        let hours = hours(zone, start, end);
        prop_assert!(hours.windows(2).all(|pair| pair[0].start_ms < pair[1].start_ms));
        if let Some(first) = hours.first() {
            prop_assert!(first.start_ms <= start);
        }
        for (i, hour) in hours.iter().enumerate() {
            let next = hours.get(i + 1).map_or(end, |next| next.start_ms);
            for inside in [hour.start_ms, next - 1] {
                prop_assert_eq!(buckets.start(inside).unwrap(), hour.start_ms);
                let local = clock.local_ms(inside).unwrap();
                prop_assert_eq!(local - inside, i64::from(hour.utc_offset_seconds) * SECOND_MS);
                prop_assert_eq!(hour_of_day(local), hour.hour_of_day);
            }
            prop_assert_eq!(clock.local_ms(hour.start_ms).unwrap(), hour.local_ms);
        }
    }
}
