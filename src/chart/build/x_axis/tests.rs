use super::*;

const SEOUL: Tz = Tz::Asia__Seoul;
const NEW_YORK: Tz = Tz::America__New_York;

fn frame(zone: Tz, size: Size, id: &str) -> TimeFrame {
    let window = crate::window::Window::parse(size, zone, id).unwrap();
    TimeFrame {
        zone,
        range: Some(window.range()),
        size: Some(size),
        dates: false,
        known_until: None,
        settled_until: None,
        absent_is_zero: false,
        language: Language::English,
    }
}

fn times(texts: &[&str]) -> Vec<XValue> {
    texts
        .iter()
        .map(|text| {
            let (time, offset) = match text.split_once(' ') {
                Some((time, hours)) => (time, hours.parse::<i32>().ok().map(|h| h * 3600)),
                None => (*text, None),
            };
            XValue::Time(format!("{time}:00").parse().unwrap(), offset)
        })
        .collect()
}

fn labels(axis: &XAxis) -> Vec<&str> {
    axis.categories
        .iter()
        .map(|category| category.label.as_str())
        .collect()
}

fn missing(axis: &XAxis) -> Vec<&str> {
    let categories = axis.categories.iter();
    categories
        .filter(|category| category.state == DataState::Missing)
        .map(|category| category.label.as_str())
        .collect()
}

#[test]
fn hours_without_a_row_are_there_and_missing() {
    let rows = times(&["2026-11-21T03:00", "2026-11-21T04:00", "2026-11-21T23:00"]);
    let axis = XAxis::new("hour", &rows, &frame(SEOUL, Size::Day, "2026-11-21"), false);
    assert_eq!(axis.categories.len(), 24);
    assert_eq!(axis.category_of_row, [3, 4, 23]);
    assert_eq!(missing(&axis).len(), 21);
    // Quarters of an hour, and six hours.
    let rows = times(&["2026-11-21T03:00", "2026-11-21T03:15", "2026-11-21T04:00"]);
    let axis = XAxis::new("t", &rows, &frame(SEOUL, Size::Day, "2026-11-21"), false);
    assert_eq!((axis.categories.len(), labels(&axis)[1]), (96, "00:15"));
    let rows = times(&["2026-11-21T06:00", "2026-11-21T12:00"]);
    let axis = XAxis::new("t", &rows, &frame(SEOUL, Size::Day, "2026-11-21"), false);
    assert_eq!(labels(&axis), ["00", "06", "12", "18"]);
}

#[test]
fn a_day_of_a_clock_change_has_its_hours_and_says_so() {
    let frame_of = |id| frame(NEW_YORK, Size::Day, id);
    let all = |id: &str, hours: &[u32]| {
        let texts: Vec<String> = hours.iter().map(|h| format!("{id}T{h:02}:00")).collect();
        times(&texts.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let autumn: Vec<u32> = [0, 1, 1].into_iter().chain(2..24).collect();
    let axis = XAxis::new(
        "hour_local",
        &all("2026-11-01", &autumn),
        &frame_of("2026-11-01"),
        false,
    );
    assert_eq!(axis.categories.len(), 25);
    assert_eq!(labels(&axis)[..4], ["00", "01", "01", "02"]);
    assert_eq!(axis.categories[2].note, "clocks −1 h");
    assert_eq!(axis.category_of_row, (0..25).collect::<Vec<_>>());

    let spring: Vec<u32> = (0..24).filter(|&hour| hour != 2).collect();
    let axis = XAxis::new(
        "hour_local",
        &all("2026-03-08", &spring),
        &frame_of("2026-03-08"),
        false,
    );
    assert_eq!(labels(&axis)[..3], ["00", "01", "03"]);
    assert_eq!(axis.categories[2].note, "clocks +1 h");
    assert!(missing(&axis).is_empty());

    // In rows of several series the offset tells which occurrence of an hour it is.
    let rows = times(&[
        "2026-11-01T01:00 -4",
        "2026-11-01T01:00 -5",
        "2026-11-01T01:00 -5",
    ]);
    let axis = XAxis::new("hour_local", &rows, &frame_of("2026-11-01"), true);
    assert_eq!(axis.category_of_row, [1, 2, 2]);
}

#[test]
fn every_hour_of_lord_howe_has_its_slot() {
    let window = frame(Tz::Australia__Lord_Howe, Size::Day, "2026-04-05");
    let range = window.range.unwrap();
    let hours = buckets::hours(window.zone, range.start_ms, range.end_ms);
    let rows: Vec<XValue> = hours
        .iter()
        .map(|hour| {
            let local = DateTime::from_timestamp_millis(hour.local_ms).unwrap();
            XValue::Time(local.naive_utc(), Some(hour.utc_offset_seconds))
        })
        .collect();
    let axis = XAxis::new("hour_local", &rows, &window, false);
    assert_eq!(axis.category_of_row, (0..hours.len()).collect::<Vec<_>>());
    assert!(missing(&axis).is_empty());
}

#[test]
fn days_and_months_have_their_own_ticks() {
    let rows = times(&["2026-11-01T00:00", "2026-11-03T00:00", "2026-11-04T00:00"]);
    let axis = XAxis::new(
        "day",
        &rows,
        &frame(NEW_YORK, Size::Month, "2026-11"),
        false,
    );
    assert_eq!(axis.categories.len(), 30);
    assert_eq!(labels(&axis)[..3], ["1", "2", "3"]);
    assert_eq!(axis.categories[0].note, "25 h");
    assert_eq!(axis.title.as_deref(), Some("Day"));

    let week = frame(SEOUL, Size::Week, "2026-W47");
    let rows = times(&["2026-11-16T00:00", "2026-11-17T00:00"]);
    assert_eq!(
        labels(&XAxis::new("day", &rows, &week, false))[6],
        "22 (Sun)"
    );

    let months: Vec<String> = (1..=12)
        .map(|month| format!("2026-{month:02}-01T00:00"))
        .collect();
    let rows = times(&months.iter().map(String::as_str).collect::<Vec<_>>());
    let axis = XAxis::new(
        "month",
        &rows,
        &TimeFrame {
            range: None,
            size: None,
            ..week
        },
        false,
    );
    assert_eq!((labels(&axis)[0], labels(&axis)[11]), ("Jan", "Dec"));
    assert_eq!(axis.title.as_deref(), Some("Month · 2026"));
    let axis = XAxis::new("month", &rows, &week, false);
    assert_eq!(
        axis.title.as_deref(),
        Some("Month · 2026"),
        "not of the week"
    );
}

#[test]
fn an_hour_is_missing_after_the_events_were_taken_and_provisional_before() {
    let at = |text: &str| Some(format!("2026-11-21T{text}:00+09:00").parse().unwrap());
    let window = TimeFrame {
        known_until: at("14:30"),
        settled_until: at("12:00"),
        ..frame(SEOUL, Size::Day, "2026-11-21")
    };
    let texts: Vec<String> = (0..24)
        .map(|hour| format!("2026-11-21T{hour:02}:00"))
        .collect();
    let rows = times(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    let numbers: Vec<XValue> = (0..24)
        .map(|hour| XValue::Text(format!("{hour:02}")))
        .collect();
    for (column, rows) in [("hour_local", rows), ("hour_of_day", numbers)] {
        let axis = XAxis::new(column, &rows, &window, false);
        let state = |hour: usize| axis.categories[hour].state;
        assert_eq!(
            (state(11), state(12)),
            (DataState::Settled, DataState::Provisional),
            "{column}"
        );
        assert_eq!(
            (state(14), state(15)),
            (DataState::Provisional, DataState::Missing),
            "{column}"
        );
        let complete = |hour: usize| window.is_complete(axis.ends[hour].unwrap());
        assert!(complete(13) && !complete(14));
    }
}

#[test]
fn clocks_that_change_at_midnight_are_marked() {
    let cairo = Tz::Africa__Cairo;
    let window = frame(cairo, Size::Day, "2026-04-24");
    let range = window.range.unwrap();
    let hours = buckets::hours(cairo, range.start_ms, range.end_ms);
    let rows: Vec<XValue> = hours
        .iter()
        .map(|hour| {
            let local = DateTime::from_timestamp_millis(hour.local_ms).unwrap();
            XValue::Time(local.naive_utc(), Some(hour.utc_offset_seconds))
        })
        .collect();
    let axis = XAxis::new("hour_local", &rows, &window, false);
    assert_eq!((axis.categories.len(), labels(&axis)[0]), (23, "01"));
    assert_eq!(axis.categories[0].note, "clocks +1 h");
    // Other days have no note.
    let rows = times(&["2026-04-25T00:00", "2026-04-25T01:00"]);
    let axis = XAxis::new(
        "hour_local",
        &rows,
        &frame(cairo, Size::Day, "2026-04-25"),
        false,
    );
    assert!(
        axis.categories
            .iter()
            .all(|category| category.note.is_empty())
    );
}

#[test]
fn a_single_day_is_a_day() {
    let row = times(&["2026-11-16T00:00"]);
    let month = frame(SEOUL, Size::Month, "2026-11");
    let axis = XAxis::new("day", &row, &month, false);
    assert_eq!((axis.categories.len(), labels(&axis)[15]), (30, "16"));
    assert_eq!(missing(&axis).len(), 29);
    // A single midnight is an hour, a single date is a day.
    let day = frame(SEOUL, Size::Day, "2026-11-16");
    assert_eq!(XAxis::new("x", &row, &day, false).categories.len(), 24);
    let dates = TimeFrame { dates: true, ..day };
    assert_eq!(labels(&XAxis::new("x", &row, &dates, false)), ["16 (Mon)"]);
}

#[test]
fn the_hours_until_a_far_year_are_not_listed() {
    let far = chrono::NaiveDate::from_ymd_opt(58_859, 3, 1)
        .unwrap()
        .and_hms_opt(5, 0, 0)
        .unwrap();
    let mut rows = times(&["2026-11-21T03:00"]);
    rows.push(XValue::Time(far, None));
    let axis = XAxis::new("hour", &rows, &frame(SEOUL, Size::Day, "2026-11-21"), false);
    assert_eq!(
        (axis.categories.len(), &axis.category_of_row[..]),
        (2, &[0, 1][..])
    );
}

#[test]
fn texts_stay_as_they_are_and_uneven_times_come_in_their_order() {
    let texts = ["b", "a", "b"].map(|text| XValue::Text(text.into()));
    let frame = frame(SEOUL, Size::Day, "2026-11-21");
    assert_eq!(
        labels(&XAxis::new("x", &texts, &frame, false)),
        ["b", "a", "b"]
    );
    let merged = XAxis::new("x", &texts, &frame, true);
    assert_eq!(labels(&merged), ["b", "a"]);
    assert_eq!(merged.category_of_row, [0, 1, 0]);
    let mut uneven = times(&["2026-11-21T03:07", "2026-11-21T03:00", "2026-11-21T09:13"]);
    assert_eq!(
        labels(&XAxis::new("timestamp", &uneven, &frame, false)),
        ["03:00", "03:07", "09:13"]
    );
    // A value that is no time comes after the times.
    uneven.insert(0, XValue::Text("(none)".into()));
    let axis = XAxis::new("timestamp", &uneven, &frame, false);
    assert_eq!(labels(&axis)[3], "(none)");
    assert_eq!(axis.category_of_row, [3, 1, 0, 2]);
}
