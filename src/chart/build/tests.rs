use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Float64Array, Int32Array, Int64Array, StringArray, TimestampMillisecondArray};
use arrow::datatypes::Field;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema};

use super::data::MOST_POINTS;
use super::*;
use crate::chart::model::{Cell, Layer, Role};
use crate::job::{self, Compare, ErrorsColumn, Language, Name};
use crate::window::{Size, Span, Window};
use chrono_tz::Tz;

const VERSION: &str = concat!("logtally ", env!("CARGO_PKG_VERSION"));

fn spec(kind: ChartKind, x: &str, y: &[&str]) -> job::Chart {
    job::Chart {
        y: y.iter().map(|y| (*y).to_owned()).collect(),
        ..job::Chart::new(Name::new("hourly_count").unwrap(), kind, x, "")
    }
}

fn seoul(id: &str) -> Window {
    Window::parse(Size::Day, "Asia/Seoul".parse().unwrap(), id).unwrap()
}

/// Local hours of a day in Seoul, as in the table `hours`.
fn hours(day: &str, hours: impl IntoIterator<Item = i64>) -> ArrayRef {
    let midnight = chrono::NaiveDate::parse_from_str(day, "%Y-%m-%d").unwrap();
    let midnight = midnight
        .and_hms_opt(0, 0, 0)
        .unwrap()
        .and_utc()
        .timestamp_millis();
    let hours: Vec<i64> = hours
        .into_iter()
        .map(|hour| midnight + hour * 3_600_000)
        .collect();
    Arc::new(TimestampMillisecondArray::from(hours))
}

fn integers(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn data(chart: &job::Chart, columns: Vec<(&str, ArrayRef)>) -> ChartData {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut data = ChartData::new(chart, "hourly_count");
    check(chart, "hourly_count", &batch.schema()).unwrap();
    data.add(&batch).unwrap();
    data
}

fn caption<'a>(window: &'a Window, groups: &'a [String]) -> Caption<'a> {
    Caption {
        job: "checkout",
        window,
        groups,
        as_of: None,
        provisional: false,
        settled_after: Duration::from_secs(12 * 3600),
        verified: &Verified::NotAsked,
        expectations: &[],
    }
}

fn layers(chart: &Figure) -> Vec<(&str, Role, Vec<f64>)> {
    let shown = |layer: &Layer| {
        layer
            .values
            .iter()
            .map(|value| value.unwrap_or(-1.0))
            .collect()
    };
    let layers = chart.marks.layers().iter();
    layers
        .map(|layer| (layer.name.as_str(), layer.role, shown(layer)))
        .collect()
}

#[test]
fn most_events_without_a_level_are_told_in_the_footer() {
    let window = seoul("2026-11-21");
    let mut chart = spec(ChartKind::Bar, "hour_local", &["events"]);
    let day = |no_level: i64| {
        vec![
            ("hour_local", hours("2026-11-21", 0..24)),
            ("events", integers(&[50; 24])),
            ("errors", integers(&[0; 24])),
            ("no_level", integers(&[no_level; 24])),
        ]
    };
    let footer = |chart: &job::Chart, no_level| {
        data(chart, day(no_level))
            .figure(&caption(&window, &[]))
            .footer
    };
    let told = footer(&chart, 31);
    assert!(
        told.contains(" · 62% of the events have no level · "),
        "{told}"
    );
    for few in [0, 25] {
        let footer = footer(&chart, few);
        assert!(!footer.contains("level"), "{footer}");
    }
    chart.language = Language::Korean;
    let told = footer(&chart, 50);
    assert!(told.contains(" · 이벤트의 100%는 레벨 없음 · "), "{told}");
}

#[test]
fn a_chart_says_what_it_shows() {
    let groups: Vec<String> = ["/a", "/b", "/c", "/d", "/e"].map(String::from).into();
    let window = seoul("2026-11-21");
    let mut chart = spec(ChartKind::Bar, "hour_local", &["events"]);
    let day = || {
        vec![
            ("hour_local", hours("2026-11-21", 0..24)),
            ("events", integers(&[50; 24])),
        ]
    };
    let caption = Caption {
        as_of: Some("2026-11-22T01:02:00Z".parse().unwrap()),
        provisional: true,
        ..caption(&window, &groups)
    };
    let figure = data(&chart, day()).figure(&caption);
    assert_eq!(
        figure.title,
        "checkout · hourly count · 2026-11-21 (Sat) · KST"
    );
    assert_eq!(
        (figure.subtitle.as_str(), figure.badge.as_str()),
        ("1,200 events", "provisional")
    );
    assert_eq!(figure.x_label, "Hour of day (Asia/Seoul)");
    let when = "2026-11-21 00:00 KST to 2026-11-22 00:00 KST · as of 2026-11-22 10:02 KST";
    assert_eq!(
        figure.footer,
        format!("{when} · provisional · not verified · {VERSION}")
    );
    assert_eq!(
        (&figure.sources.names[..], figure.sources.more.as_str()),
        (&groups[..3], " and 2 more")
    );

    chart.language = Language::Korean;
    chart.title = Some("{job} · {date} · {zone} · {window} {x}".to_owned());
    let differs = Verified::Differs {
        expected: 1300,
        counted: 1200,
    };
    let caption = Caption {
        verified: &differs,
        ..caption
    };
    let figure = data(&chart, day()).figure(&caption);
    assert_eq!(
        figure.title,
        "checkout · 2026-11-21 (토) · KST · 2026-11-21 {x}"
    );
    assert_eq!(
        (figure.subtitle.as_str(), figure.badge.as_str()),
        ("이벤트 1,200건", "잠정 · 대조 불일치")
    );
    assert_eq!(figure.sources.more, " 외 2개");
    assert!(
        figure
            .footer
            .contains("대조 불일치: 집계 1,200건, 기대 1,300건"),
        "{}",
        figure.footer
    );
}

#[test]
fn what_is_filled_into_a_title_is_not_filled_in_again() {
    let shout = |name: &str| format!("<{name}{{date}}>");
    assert_eq!(fill_in("a {job} {b", shout), "a <job{date}> {b");
    assert_eq!(fill_in("{{job}}", shout), "{<job{date}>}");
}

#[test]
fn errors_are_the_lower_part_of_a_bar() {
    let chart = job::Chart {
        errors: ErrorsColumn::Named("errors".to_owned()),
        ..spec(ChartKind::Bar, "hour_local", &["events"])
    };
    let day = |errors: &[i64]| {
        vec![
            ("hour_local", hours("2026-11-21", 0..3)),
            ("events", integers(&[10, 20, 10])),
            ("errors", integers(errors)),
        ]
    };
    let window = seoul("2026-11-21");
    let figure = data(&chart, day(&[0, 5, 15])).figure(&caption(&window, &[]));
    let bars = layers(&figure);
    // Never more errors than events.
    assert_eq!(bars[0].0, "errors");
    assert_eq!(
        (bars[0].1, &bars[0].2[..3]),
        (Role::Errors, &[0.0, 5.0, 10.0][..])
    );
    assert_eq!(
        (bars[1].1, &bars[1].2[..3]),
        (Role::Main, &[10.0, 15.0, 0.0][..])
    );
    assert_eq!(figure.subtitle, "40 events · 20 errors (50%)");
    let figure = data(&chart, day(&[0, 0, 0])).figure(&caption(&window, &[]));
    assert_eq!(layers(&figure).len(), 1);
    assert_eq!(figure.subtitle, "40 events · 0 errors");
}

/// As many events in each hour as its number, `so_far` only until five; a week before, ten in each hour.
fn compared(language: Language, so_far: bool) -> ChartData {
    let span: Span = "7 days".parse().unwrap();
    let chart = job::Chart {
        compare: Some(Compare { span, windows: 7 }),
        language,
        ..spec(ChartKind::Bar, "hour_local", &["events"])
    };
    let day = |day, values: Vec<i64>| {
        let events = integers(&values);
        RecordBatch::try_from_iter([("hour_local", hours(day, 0..24)), ("events", events)]).unwrap()
    };
    let mut data = ChartData::new(&chart, "hourly_count");
    let until = if so_far { 5 } else { 24 };
    let events = (0..24)
        .map(|hour| if hour < until { hour } else { 0 })
        .collect();
    data.add(&day("2026-11-21", events)).unwrap();
    let earlier = day("2026-11-14", vec![10; 24]);
    data.compare_with(seoul("2026-11-14"), false, &[earlier])
        .unwrap();
    data
}

#[test]
fn an_earlier_window_is_a_line_and_a_change() {
    let window = seoul("2026-11-21");
    let figure = compared(Language::English, false).figure(&caption(&window, &[]));
    let earlier = figure.earlier.unwrap();
    assert_eq!(earlier.name, "2026-11-14 (Sat)");
    assert_eq!(earlier.values, [Some(10.0); 24]);
    assert_eq!(
        figure.subtitle,
        "276 events · +15.0% against 2026-11-14 (Sat)"
    );
}

#[test]
fn a_day_that_is_not_over_is_compared_with_the_hours_that_are_known() {
    let window = seoul("2026-11-21");
    let caption = Caption {
        as_of: Some("2026-11-21T04:30:00+09:00".parse().unwrap()),
        provisional: true,
        ..caption(&window, &[])
    };
    let figure = compared(Language::Korean, true).figure(&caption);
    // 0 + 1 + 2 + 3 against 40: the hour that has not ended is left out.
    let expected = "이벤트 10건 · 2026-11-14 (토) 대비 −85.0% (같은 시각까지)";
    assert_eq!(figure.subtitle, expected);
    let states: Vec<DataState> = figure
        .categories
        .iter()
        .map(|category| category.state)
        .collect();
    assert_eq!(states[4], DataState::Provisional);
    assert_eq!(states[5..], [DataState::Missing; 19]);
    assert_eq!(figure.state_labels.no_data, "아직 없음");
    // Hours that have values are shown, even if they are missing by the clock.
    let figure = compared(Language::English, false).figure(&caption);
    assert_eq!(figure.categories[5].state, DataState::Provisional);
}

#[test]
fn an_earlier_answer_without_the_columns_is_an_error() {
    let batch = RecordBatch::try_from_iter([("hour_local", hours("2026-11-14", 0..24))]).unwrap();
    let mut data = compared(Language::English, false);
    let error = data
        .compare_with(seoul("2026-11-14"), false, &[batch])
        .unwrap_err();
    assert!(error.to_string().contains("events"), "{error}");
}

#[test]
fn series_keep_their_colours_and_the_rest_is_other() {
    let chart = job::Chart {
        series: Some("level".to_owned()),
        ..spec(ChartKind::StackedBar, "hour_local", &["events"])
    };
    let levels = [Some("INFO"), Some("ERROR"), None, Some("INFO"), None];
    let rows = vec![
        ("hour_local", hours("2026-11-21", [0, 0, 0, 1, 2])),
        (
            "level",
            Arc::new(StringArray::from(levels.to_vec())) as ArrayRef,
        ),
        ("events", integers(&[5, 1, 2, 7, 0])),
    ];
    let window = seoul("2026-11-21");
    let figure = data(&chart, rows).figure(&caption(&window, &[]));
    let bars = layers(&figure);
    let names: Vec<_> = bars
        .iter()
        .map(|(name, role, values)| (*name, *role, &values[..3]))
        .collect();
    assert_eq!(
        names,
        [
            ("ERROR", Role::Errors, &[1.0, 0.0, 0.0][..]),
            ("INFO", Role::Series(0), &[5.0, 7.0, 0.0]),
            ("(none)", Role::Unnamed, &[2.0, 0.0, 0.0]),
        ]
    );
    assert_eq!(figure.subtitle, "15 events");

    let names: Vec<String> = (0..15).map(|service| format!("s{service:02}")).collect();
    let rows = vec![
        ("hour_local", hours("2026-11-21", [0; 15])),
        ("level", Arc::new(StringArray::from(names)) as ArrayRef),
        ("events", integers(&(1..=15).collect::<Vec<_>>())),
    ];
    let figure = data(&chart, rows).figure(&caption(&window, &[]));
    let bars = layers(&figure);
    assert_eq!(bars.len(), 13);
    assert_eq!(
        (bars[0].0, bars[12].0, bars[12].1),
        ("s03", "other (3)", Role::Other)
    );
    assert_eq!(bars[12].2[0], 1.0 + 2.0 + 3.0);
}

#[test]
fn values_with_a_unit_are_never_added_up() {
    let chart = job::Chart {
        unit: Some("ms".to_owned()),
        ..spec(ChartKind::Band, "hour_local", &["p50", "p99"])
    };
    let values =
        |values: [Option<f64>; 3]| Arc::new(Float64Array::from(values.to_vec())) as ArrayRef;
    let rows = vec![
        ("hour_local", hours("2026-11-21", 0..3)),
        ("p50", values([Some(12.0), None, Some(20.0)])),
        ("p99", values([Some(80.25), None, Some(1234.5)])),
    ];
    let figure = data(&chart, rows).figure(&caption(&seoul("2026-11-21"), &[]));
    assert_eq!(figure.subtitle, "p99 up to 1,234 ms");
    assert_eq!(figure.unit, "ms");
    assert!(matches!(&figure.marks, Marks::Bands(bands) if bands[1].values[1].is_none()));
}

#[test]
fn a_heatmap_has_a_row_for_each_day() {
    let chart = spec(ChartKind::Heatmap, "hour_local", &["events"]);
    let new_york: Tz = "America/New_York".parse().unwrap();
    let window = Window::parse(Size::Week, new_york, "2026-W44").unwrap();
    let range = window.range();
    let all = crate::window::buckets::hours(new_york, range.start_ms, range.end_ms);
    let locals: Vec<i64> = all.iter().map(|hour| hour.local_ms).collect();
    let rows = vec![
        (
            "hour_local",
            Arc::new(TimestampMillisecondArray::from(locals)) as ArrayRef,
        ),
        ("events", integers(&vec![1; all.len()])),
    ];
    let figure = data(&chart, rows).figure(&caption(&window, &[]));
    let Marks::Cells(rows) = &figure.marks else {
        panic!("{:?}", figure.marks)
    };
    assert_eq!((rows.len(), figure.categories.len()), (7, 24));
    assert_eq!(rows[6].label, "11-01 (Sun)");
    assert_eq!(
        (rows[6].note.as_str(), rows[6].cells[1]),
        ("25 h", Cell::Value(2.0))
    );
    assert_eq!(
        (rows[5].note.as_str(), rows[5].cells[1]),
        ("", Cell::Value(1.0))
    );

    let schema = Schema::new(vec![
        Field::new("hour_of_day", DataType::Int32, true),
        Field::new("events", DataType::Int64, true),
    ]);
    let error = check(
        &spec(ChartKind::Heatmap, "hour_of_day", &["events"]),
        "q",
        &schema,
    );
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("whose days are the rows")
    );
}

#[test]
fn times_of_the_engine_are_shown_on_the_jobs_clock() {
    let chart = spec(ChartKind::Bar, "hour", &["events"]);
    let instants = TimestampMillisecondArray::from(vec![1_795_186_800_000, 1_795_190_400_000]);
    let rows = vec![
        ("hour", Arc::new(instants.with_timezone("UTC")) as ArrayRef),
        ("events", integers(&[1, 2])),
    ];
    let figure = data(&chart, rows).figure(&caption(&seoul("2026-11-21"), &[]));
    assert_eq!(figure.categories.len(), 24);
    assert_eq!(layers(&figure)[0].2[..3], [1.0, 2.0, -1.0]);
    assert_eq!(figure.x_label, "Hour (Asia/Seoul)");
}

#[test]
fn timestamps_of_events_are_shown_on_the_jobs_clock_too() {
    // 2026-11-21 07:13:05 and 02:00:11 in UTC.
    let instants = TimestampMillisecondArray::from(vec![1_795_245_185_000, 1_795_226_411_000]);
    let zoned = Arc::new(instants.clone().with_timezone("UTC")) as ArrayRef;
    let drawn = |x: &str, times: ArrayRef| {
        let chart = spec(ChartKind::Bar, x, &["size"]);
        let rows = vec![(x, times), ("size", integers(&[1, 2]))];
        let figure = data(&chart, rows).figure(&caption(&seoul("2026-11-21"), &[]));
        let categories = figure
            .categories
            .iter()
            .map(|category| category.label.clone());
        (categories.collect::<Vec<_>>().join(" "), figure.x_label)
    };
    let local = (
        "11:00:11 16:13:05".to_owned(),
        "Timestamp (Asia/Seoul)".to_owned(),
    );
    assert_eq!(drawn("timestamp", zoned.clone()), local);
    // Without a zone, as in the file of an earlier answer.
    assert_eq!(drawn("timestamp", Arc::new(instants)), local);
    let utc = ("02:00:11 07:13:05".to_owned(), "Hour (UTC)".to_owned());
    assert_eq!(drawn("hour_utc", zoned), utc);
}

#[test]
fn hours_have_two_digits_and_null_has_a_name() {
    let chart = spec(ChartKind::Bar, "hour_of_day", &["events"]);
    let numbers = Arc::new(Int32Array::from(vec![Some(0), Some(9), Some(23), None])) as ArrayRef;
    let rows = vec![
        ("hour_of_day", numbers),
        ("events", integers(&[1, 2, 3, 4])),
    ];
    let figure = data(&chart, rows).figure(&caption(&seoul("2026-11-21"), &[]));
    let labels: Vec<&str> = figure
        .categories
        .iter()
        .map(|category| category.label.as_str())
        .collect();
    assert_eq!(labels, ["00", "09", "23", "(none)"]);
}

#[test]
fn a_missing_column_is_named_with_the_nearest() {
    let schema = Schema::new(vec![
        Field::new("hour_local", DataType::Utf8, true),
        Field::new("events", DataType::Int64, true),
    ]);
    let bar = |x: &str, y: &str| spec(ChartKind::Bar, x, &[y]);
    let error = check(&bar("hour_locl", "events"), "q", &schema).unwrap_err();
    assert!(
        error.to_string().contains("did you mean \"hour_local\"?"),
        "{error}"
    );
    let error = check(&bar("events", "hour_local"), "q", &schema).unwrap_err();
    assert!(error.to_string().contains("expected a number"), "{error}");
    assert!(check(&bar("hour_local", "events"), "q", &schema).is_ok());
    let parts = job::Chart {
        series: Some("leve".to_owned()),
        ..bar("hour_local", "events")
    };
    let error = check(&parts, "q", &schema).unwrap_err();
    assert!(error.to_string().contains("series = \"leve\""), "{error}");
}

#[test]
fn a_line_ends_where_the_hours_that_have_happened_do() {
    // A zero for each hour that is still to come, as a join with `hours` makes it.
    let events: Vec<i64> = (0..24).map(|hour| if hour < 9 { 7 } else { 0 }).collect();
    let window = seoul("2026-11-21");
    let caption = Caption {
        as_of: Some("2026-11-21T09:30:00+09:00".parse().unwrap()),
        provisional: true,
        ..caption(&window, &[])
    };
    for kind in [ChartKind::Bar, ChartKind::Line, ChartKind::Band] {
        let day = vec![
            ("hour_local", hours("2026-11-21", 0..24)),
            ("events", integers(&events)),
        ];
        let figure = data(&spec(kind, "hour_local", &["events"]), day).figure(&caption);
        let layer = &figure.marks.layers()[0];
        assert_eq!(layer.values[9], Some(0.0), "{kind:?}: the hour has begun");
        assert_eq!(layer.values[10..], [None; 14], "{kind:?}");
    }
}

#[test]
fn an_outage_is_a_change() {
    let span: Span = "7 days".parse().unwrap();
    let chart = job::Chart {
        compare: Some(Compare { span, windows: 7 }),
        ..spec(ChartKind::Bar, "hour_local", &["events"])
    };
    // Grouped without the table `hours`: an hour without events has no row.
    let day = |day, until: i64| {
        let events = integers(&vec![10; until as usize]);
        RecordBatch::try_from_iter([("hour_local", hours(day, 0..until)), ("events", events)])
            .unwrap()
    };
    let mut data = ChartData::new(&chart, "hourly_count");
    data.add(&day("2026-11-21", 12)).unwrap();
    data.compare_with(seoul("2026-11-14"), true, &[day("2026-11-14", 24)])
        .unwrap();
    let figure = data.figure(&caption(&seoul("2026-11-21"), &[]));
    let expected = "120 events · −50.0% against 2026-11-14 (Sat) (provisional)";
    assert_eq!(figure.subtitle, expected);
    assert_eq!(
        figure.earlier.unwrap().name,
        "2026-11-14 (Sat) (provisional)"
    );
}

#[test]
fn a_column_named_errors_is_taken_by_itself_only_where_it_is_a_part() {
    let window = seoul("2026-11-21");
    let drawn = |chart: &job::Chart, y: ArrayRef, errors: &[i64]| {
        let rows = vec![
            ("hour_local", hours("2026-11-21", 0..2)),
            ("y", y),
            ("errors", integers(errors)),
        ];
        let figure = data(chart, rows).figure(&caption(&window, &[]));
        (figure.marks.layers().len(), figure.subtitle)
    };
    let bar = spec(ChartKind::Bar, "hour_local", &["y"]);
    let two = (2, "30 in total · 5 errors (17%)".to_owned());
    let one = |subtitle: &str| (1, subtitle.to_owned());
    assert_eq!(drawn(&bar, integers(&[10, 20]), &[0, 5]), two);
    // More errors than events.
    assert_eq!(
        drawn(&bar, integers(&[10, 20]), &[0, 25]),
        one("30 in total")
    );
    let times: ArrayRef = Arc::new(Float64Array::from(vec![12.5, 20.0]));
    assert_eq!(drawn(&bar, times, &[0, 5]), one("up to 20"));
    let ms = job::Chart {
        unit: Some("ms".to_owned()),
        ..bar.clone()
    };
    assert_eq!(drawn(&ms, integers(&[10, 20]), &[0, 5]).0, 1);
    let off = job::Chart {
        errors: ErrorsColumn::Not,
        ..bar.clone()
    };
    assert_eq!(
        drawn(&off, integers(&[10, 20]), &[0, 5]),
        one("30 in total")
    );
    let named = job::Chart {
        errors: ErrorsColumn::Named("errors".to_owned()),
        ..ms
    };
    assert_eq!(drawn(&named, integers(&[10, 20]), &[0, 5]).0, 2);
    // A line does not stack them; the subtitle has them.
    let line = spec(ChartKind::Line, "hour_local", &["y"]);
    let said = drawn(&line, integers(&[10, 20]), &[0, 5]);
    assert_eq!(said, one("30 in total · 5 errors (17%)"));
}

#[test]
fn rows_that_differ_only_in_other_columns_are_one_point() {
    let chart = job::Chart {
        series: Some("level".to_owned()),
        ..spec(ChartKind::StackedBar, "hour_local", &["events"])
    };
    let rows = MOST_POINTS * 2;
    let batch = RecordBatch::try_from_iter([
        (
            "hour_local",
            hours("2026-11-21", (0..24).cycle().take(rows)),
        ),
        (
            "level",
            Arc::new(StringArray::from(vec!["INFO"; rows])) as ArrayRef,
        ),
        ("events", integers(&vec![1; rows])),
    ])
    .unwrap();
    let mut data = ChartData::new(&chart, "hourly_count");
    data.add(&batch).unwrap();
    data.fits().unwrap();
    let figure = data.figure(&caption(&seoul("2026-11-21"), &[]));
    assert_eq!(figure.subtitle, "20,000 events");
    assert_eq!(figure.categories.len(), 24);
}

#[test]
fn a_chart_of_too_many_points_is_an_error_of_the_chart_only() {
    let chart = spec(ChartKind::Bar, "hour", &["events"]);
    let batch = RecordBatch::try_from_iter([
        ("hour", integers(&(0..7_000).collect::<Vec<_>>())),
        ("events", integers(&[1; 7_000])),
    ])
    .unwrap();
    let mut data = ChartData::new(&chart, "hourly_count");
    data.add(&batch).unwrap();
    data.fits().unwrap();
    data.add(&batch).unwrap();
    let error = data.fits().unwrap_err().to_string();
    assert!(error.contains("more than 10000 points"), "{error}");
    assert!(data.x.is_empty(), "and keeps nothing");
}

#[test]
fn a_cell_of_percentiles_is_the_highest_of_them() {
    let chart = job::Chart {
        unit: Some("ms".to_owned()),
        series: Some("level".to_owned()),
        ..spec(ChartKind::Heatmap, "hour_of_day", &["p99"])
    };
    let rows = vec![
        ("hour_of_day", integers(&[5, 5, 6])),
        (
            "level",
            Arc::new(StringArray::from(vec!["a", "a", "a"])) as ArrayRef,
        ),
        (
            "p99",
            Arc::new(Float64Array::from(vec![70.0, 40.0, 30.0])) as ArrayRef,
        ),
    ];
    let figure = data(&chart, rows).figure(&caption(&seoul("2026-11-21"), &[]));
    let Marks::Cells(rows) = &figure.marks else {
        panic!("{:?}", figure.marks)
    };
    assert_eq!(rows[0].cells, [Cell::Value(70.0), Cell::Value(30.0)]);
}

#[test]
fn an_hour_that_the_clocks_skip_at_midnight_has_no_cell() {
    let cairo: Tz = "Africa/Cairo".parse().unwrap();
    let window = Window::parse(Size::Week, cairo, "2026-W17").unwrap();
    let range = window.range();
    let all = crate::window::buckets::hours(cairo, range.start_ms, range.end_ms);
    let locals: Vec<i64> = all.iter().map(|hour| hour.local_ms).collect();
    let rows = vec![
        (
            "hour_local",
            Arc::new(TimestampMillisecondArray::from(locals)) as ArrayRef,
        ),
        ("events", integers(&vec![1; all.len()])),
    ];
    let chart = spec(ChartKind::Heatmap, "hour_local", &["events"]);
    let figure = data(&chart, rows).figure(&caption(&window, &[]));
    let Marks::Cells(rows) = &figure.marks else {
        panic!("{:?}", figure.marks)
    };
    let friday = &rows[4];
    assert_eq!(
        (friday.label.as_str(), friday.note.as_str()),
        ("04-24 (Fri)", "23 h")
    );
    assert_eq!(
        friday.cells[..2],
        [Cell::Absent, Cell::Value(1.0)],
        "{friday:?}"
    );
    assert!(rows[3].note.is_empty());
}

#[test]
fn a_day_that_the_month_before_lacks_is_not_compared() {
    let span: Span = "1 month".parse().unwrap();
    let chart = job::Chart {
        compare: Some(Compare { span, windows: 1 }),
        ..spec(ChartKind::Bar, "day", &["events"])
    };
    let month = |id| Window::parse(Size::Month, chrono_tz::UTC, id).unwrap();
    let days = |first: &str, count: i64| {
        let days = hours(first, (0..count).map(|day| day * 24));
        let events = integers(&(1..=count).collect::<Vec<_>>());
        RecordBatch::try_from_iter([("day", days), ("events", events)]).unwrap()
    };
    let mut data = ChartData::new(&chart, "hourly_count");
    data.add(&days("2026-03-01", 31)).unwrap();
    data.compare_with(month("2026-02"), false, &[days("2026-02-01", 28)])
        .unwrap();
    let figure = data.figure(&caption(&month("2026-03"), &[]));
    let earlier = figure.earlier.unwrap().values;
    assert_eq!(earlier[26..], [Some(27.0), Some(28.0), None, None, None]);
}

#[test]
fn a_series_without_a_row_is_the_same_in_a_line_and_in_a_heatmap() {
    let names = Arc::new(StringArray::from(vec!["a", "b", "a", "b"])) as ArrayRef;
    let sizes = Arc::new(Int64Array::from(vec![Some(5), Some(7), Some(6), None])) as ArrayRef;
    let floats = cast(&sizes, &DataType::Float64).unwrap();
    let drawn = |kind, y: &ArrayRef, unit: Option<&str>, may_count| {
        let chart = job::Chart {
            series: Some("log_group".to_owned()),
            unit: unit.map(str::to_owned),
            ..spec(kind, "hour_local", &["y"])
        };
        // Hour 3 has no row, hour 1 none of b, and in hour 2 the value of b is NULL.
        let rows = [
            ("hour_local", hours("2026-11-21", [0, 0, 1, 2])),
            ("log_group", names.clone()),
            ("y", y.clone()),
        ];
        let batch = RecordBatch::try_from_iter(rows).unwrap();
        let mut data = ChartData::new(&chart, "q").may_count(may_count);
        data.add(&batch).unwrap();
        let marks = data.figure(&caption(&seoul("2026-11-21"), &[])).marks;
        let values = match &marks {
            Marks::Cells(rows) => {
                let value = |cell: &Cell| match cell {
                    Cell::Value(value) => Some(*value),
                    _ => None,
                };
                rows.iter()
                    .map(|row| row.cells.iter().map(value).collect())
                    .collect()
            }
            marks => {
                let layers = marks.layers().iter();
                layers.map(|layer| layer.values.clone()).collect::<Vec<_>>()
            }
        };
        [values[0][..4].to_vec(), values[1][..4].to_vec()]
    };
    for kind in [ChartKind::Line, ChartKind::Heatmap] {
        let counts = [
            vec![Some(5.0), Some(6.0), Some(0.0), None],
            vec![Some(7.0), Some(0.0), None, None],
        ];
        assert_eq!(drawn(kind, &sizes, None, true), counts, "{kind:?}");
        let others = [
            vec![Some(5.0), Some(6.0), None, None],
            vec![Some(7.0), None, None, None],
        ];
        for (y, unit, may_count) in [
            (&floats, None, true),
            (&sizes, Some("ms"), true),
            // As `max(…)` makes it.
            (&sizes, None, false),
        ] {
            let drawn = drawn(kind, y, unit, may_count);
            assert_eq!(drawn, others, "{kind:?} {unit:?}");
        }
    }
}

fn texts_column(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

/// Local times of a day in Seoul, in minutes from midnight.
fn minutes(day: &str, minutes: &[i64]) -> ArrayRef {
    let midnight = hours(day, [0]);
    let midnight = midnight
        .as_any()
        .downcast_ref::<TimestampMillisecondArray>()
        .unwrap()
        .value(0);
    let times = minutes.iter().map(|minute| midnight + minute * 60_000);
    Arc::new(TimestampMillisecondArray::from_iter_values(times))
}

#[test]
fn a_bucket_without_events_is_zero_where_the_sql_says_so() {
    let window = seoul("2026-11-21");
    let chart = spec(ChartKind::Bar, "bucket", &["events"]);
    let buckets = || {
        vec![
            ("bucket", minutes("2026-11-21", &[0, 5, 60])),
            ("events", integers(&[3, 4, 5])),
        ]
    };
    let figure = |is_zero: bool, caption: &Caption<'_>| {
        data(&chart, buckets())
            .absent_is_zero(is_zero)
            .figure(caption)
    };
    let known = figure(true, &caption(&window, &[]));
    assert_eq!(known.categories.len(), 288);
    assert!((0..288).all(|category| !known.is_missing(category)));
    let values = &known.marks.layers()[0].values;
    assert_eq!(values[..3], [Some(3.0), Some(4.0), Some(0.0)]);
    assert_eq!(values[12], Some(5.0));
    let unknown = figure(false, &caption(&window, &[]));
    assert!(unknown.is_missing(2));
    // What is still to come is not zero.
    let so_far = Caption {
        as_of: Some("2026-11-21T01:00:00Z".parse().unwrap()),
        provisional: true,
        ..caption(&window, &[])
    };
    let so_far = figure(true, &so_far);
    assert!(!so_far.is_missing(11 * 10) && so_far.is_zero(11 * 10 - 5));
    assert!(so_far.is_missing(12 * 10), "10:00 in Seoul and later");
}

#[test]
fn an_ad_hoc_chart_says_its_time_its_zone_and_its_source() {
    let zone: Tz = "Asia/Seoul".parse().unwrap();
    let (first, last) = (seoul("2026-11-20"), seoul("2026-11-21"));
    let caption = AdHocCaption {
        subject: "shop",
        source: "jobs/shop.toml",
        windows: Some(("2026-11-20", "2026-11-21")),
        range: Some(crate::window::Range {
            start_ms: first.range().start_ms,
            end_ms: last.range().end_ms,
        }),
        zone,
    };
    let day = vec![
        ("t", hours("2026-11-20", 0..48)),
        ("n", integers(&[50; 48])),
    ];
    let mut chart = spec(ChartKind::Heatmap, "t", &["n"]);
    chart.language = Language::Korean;
    let figure = data(&chart, day).ad_hoc_figure(&caption);
    assert_eq!(figure.title, "shop · 2026-11-20 ~ 2026-11-21 · Asia/Seoul");
    assert_eq!(
        figure.footer,
        format!("2026-11-20 00:00 KST ~ 2026-11-22 00:00 KST · jobs/shop.toml · {VERSION}")
    );
    let Marks::Cells(rows) = &figure.marks else {
        panic!("{:?}", figure.marks)
    };
    assert_eq!(rows[0].label, "11-20 (금)");
}

#[test]
fn a_letter_is_no_title() {
    let window = seoul("2026-11-21");
    let figure = |x: &'static str, y: &'static str, unit: Option<&str>| {
        let chart = job::Chart {
            unit: unit.map(str::to_owned),
            ..spec(ChartKind::Bar, x, &[y])
        };
        let columns = vec![(x, texts_column(&["a", "b"])), (y, integers(&[1, 2]))];
        data(&chart, columns).figure(&caption(&window, &[]))
    };
    let short = figure("p", "n", None);
    assert_eq!(
        (short.x_label.as_str(), short.y_label.as_str()),
        ("", "Number")
    );
    assert_eq!(short.subtitle, "3 in total");
    assert!(short.are_names);
    let named = figure("path", "p95_ms", Some("ms"));
    assert_eq!(
        (named.x_label.as_str(), named.y_label.as_str()),
        ("Path", "P95")
    );
    assert_eq!(named.subtitle, "p95 up to 2 ms");
}

#[test]
fn the_title_of_a_built_in_query_is_in_the_language() {
    let window = seoul("2026-11-21");
    let mut chart = spec(ChartKind::Bar, "hour_local", &["events"]);
    chart.language = Language::Korean;
    let day = vec![
        ("hour_local", hours("2026-11-21", 0..24)),
        ("events", integers(&[50; 24])),
    ];
    let figure = data(&chart, day).figure(&caption(&window, &[]));
    assert_eq!(
        figure.title,
        "checkout · 시간별 이벤트 수 · 2026-11-21 (토) · KST"
    );
}
