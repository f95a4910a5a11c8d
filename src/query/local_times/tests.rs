use arrow::array::{AsArray, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, TimeUnit};
use arrow::util::pretty::pretty_format_batches;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use datafusion::datasource::MemTable;
use futures::TryStreamExt;
use proptest::prelude::*;
use std::sync::Arc;

use crate::error::{Class, Error};
use crate::query::{Engine, Session};
use crate::window::local_clock::LocalClock;
use crate::window::{Size, Window};

fn at(text: &str) -> i64 {
    text.parse::<DateTime<Utc>>().unwrap().timestamp_millis()
}

/// A session whose table `logs` has events at these instants, with their numbers as messages.
fn session(zone: Tz, instants: &[i64]) -> Session {
    let session = Engine::new(64 << 20, &std::env::temp_dir())
        .unwrap()
        .session(zone)
        .unwrap();
    let schema = Arc::new(Schema::new(vec![
        Field::new(
            "timestamp",
            DataType::Timestamp(TimeUnit::Millisecond, Some(zone.name().into())),
            true,
        ),
        Field::new("message", DataType::Utf8, true),
    ]));
    let numbers = (0..instants.len()).map(|number| number.to_string());
    let batch = RecordBatch::try_new(
        Arc::clone(&schema),
        vec![
            Arc::new(TimestampMillisecondArray::from(instants.to_vec()).with_timezone(zone.name())),
            Arc::new(StringArray::from_iter_values(numbers)),
        ],
    );
    let table = MemTable::try_new(schema, vec![vec![batch.unwrap()]]).unwrap();
    session
        .context
        .register_table("logs", Arc::new(table))
        .unwrap();
    session
}

/// A day of Seoul, of three events an hour.
fn seoul() -> Session {
    let first = at("2026-11-20T15:00:00Z");
    let instants: Vec<i64> = (0..72).map(|n| first + n * 20 * 60_000).collect();
    let window = Window::parse(Size::Day, chrono_tz::Asia::Seoul, "2026-11-21").unwrap();
    session(chrono_tz::Asia::Seoul, &instants)
        .with_window(window.range())
        .unwrap()
}

async fn answer(session: &Session, sql: &str) -> Result<Vec<String>, Error> {
    let statement = session.statement(sql, "SQL").await?;
    let batches = session.run(&statement).await?.batches;
    let batches: Vec<RecordBatch> = batches.try_collect().await.map_err(Error::from_engine)?;
    let table = pretty_format_batches(&batches).unwrap().to_string();
    let rows = table.lines().filter(|line| line.starts_with('|')).skip(1);
    let cells = |row: &str| -> Vec<String> {
        let cells = row.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().to_owned()).collect()
    };
    Ok(rows.map(|row| cells(row).join("|")).collect())
}

async fn one(session: &Session, sql: &str) -> String {
    let rows = answer(session, sql).await;
    rows.unwrap_or_else(|error| panic!("{sql}: {error}"))
        .join("; ")
}

async fn each_has_its_answer(session: &Session, cases: &[(String, String)]) {
    let mut wrong = Vec::new();
    for (sql, expected) in cases {
        match answer(session, sql).await {
            Ok(rows) if rows.join("; ") == *expected => {}
            found => wrong.push(format!("{sql}: {found:?}, not {expected}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The events from nine to ten, in every spelling that people use.
#[tokio::test]
async fn nine_o_clock_is_nine_in_the_jobs_zone_however_it_is_written() {
    let session = seoul();
    let mut cases = Vec::new();
    for (condition, expected) in [
        ("timestamp >= '2026-11-21 09:00:00'", 45),
        ("timestamp >= '2026-11-21 09:00'", 45),
        ("timestamp >= '2026-11-21T09:00'", 45),
        ("timestamp >= '2026-11-21T00:00:00Z'", 45),
        ("timestamp >= '2026-11-21 09:00+09'", 45),
        ("timestamp >= timestamp '2026-11-21 09:00:00'", 45),
        ("timestamp >= timestamp '2026-11-21T00:00:00Z'", 45),
        ("timestamp >= '2026-11-21 09:00'::timestamp", 45),
        ("timestamp >= '2026-11-21 09:00'::timestamp(3)", 45),
        ("timestamp >= timestamptz '2026-11-21 09:00'", 45),
        ("timestamp >= CAST('2026-11-21 09:00' AS timestamptz)", 45),
        ("timestamp >= TRY_CAST('2026-11-21 09:00' AS timestamp)", 45),
        ("timestamp >= to_timestamp('2026-11-21 09:00')", 45),
        ("timestamp >= to_timestamp_millis('2026-11-21 09:00')", 45),
        ("timestamp >= to_timestamp(1795219200)", 45),
        ("timestamp >= from_unixtime(1795219200)", 45),
        ("timestamp >= 1795219200::bigint::timestamp(0)", 45),
        (
            "timestamp >= arrow_cast('2026-11-21 09:00', 'Timestamp(ms)')",
            45,
        ),
        ("timestamp >= $window_start + interval '9 hours'", 45),
        ("timestamp - interval '9 hours' >= $window_start", 45),
        ("timestamp >= date '2026-11-21' + interval '9 hours'", 45),
        ("timestamp >= date '2026-11-21'", 72),
        ("timestamp >= '2026-11-21'", 72),
        ("timestamp >= '2026-11-21'::date", 72),
        ("timestamp < date '2026-11-22'", 72),
        ("timestamp <= date '2026-11-20'", 0),
        ("'2026-11-21 09:00' <= timestamp", 45),
        ("NOT timestamp < '2026-11-21 09:00'", 45),
        (
            "timestamp BETWEEN '2026-11-21 09:00' AND '2026-11-21 09:59:59.999'",
            3,
        ),
        (
            "timestamp NOT BETWEEN '2026-11-21 09:00' AND '2026-11-21 09:59'",
            69,
        ),
        (
            "timestamp BETWEEN timestamp '2026-11-21 09:00' AND $window_end",
            45,
        ),
        (
            "timestamp IN ('2026-11-21 09:00', '2026-11-21T00:20:00Z', '1970-01-01')",
            2,
        ),
        (
            "timestamp NOT IN ('2026-11-21 09:00', timestamp '2026-11-21 09:20')",
            70,
        ),
        (
            "timestamp IN ('2026-11-21 09:20', (SELECT '2026-11-21 09:00'))",
            2,
        ),
        ("timestamp IN ((SELECT '2026-11-21 09:00'))", 1),
        ("timestamp IN ((SELECT max(timestamp) FROM logs))", 1),
        ("timestamp IN (SELECT '2026-11-21 09:00')", 1),
        ("timestamp IN (SELECT timestamp '2026-11-21 09:00')", 1),
        ("timestamp = (SELECT '2026-11-21 09:00')", 1),
        ("timestamp = ANY (SELECT timestamp '2026-11-21 09:00')", 1),
        (
            "EXISTS (SELECT 1 FROM hours WHERE hour_utc = '2026-11-21 09:00' AND timestamp >= hour_utc)",
            45,
        ),
        (
            "CASE WHEN timestamp >= '2026-11-21 09:00' THEN 1 ELSE 0 END = 1",
            45,
        ),
        (
            "CASE timestamp WHEN '2026-11-21 09:00' THEN 1 ELSE 0 END = 1",
            1,
        ),
        (
            "CASE WHEN message = '27' THEN '2026-11-21 09:00' ELSE timestamp END >= '2026-11-21 09:00'",
            45,
        ),
        (
            "coalesce(timestamp, timestamp '2026-11-21') >= '2026-11-21 09:00'",
            45,
        ),
        (
            "coalesce(nullif(timestamp, timestamp), '2026-11-21 09:00') = '2026-11-21T00:00:00Z'",
            72,
        ),
        (
            "coalesce('2026-11-21 09:00', timestamp) = '2026-11-21T00:00:00Z'",
            72,
        ),
        (
            "timestamp = ANY (ARRAY['2026-11-21 09:00', '2026-11-21T00:20:00Z'])",
            2,
        ),
        ("timestamp = ANY ('{2026-11-21 09:00}')", 1),
        ("timestamp <> ALL (ARRAY['2026-11-21 09:00'])", 71),
        (
            "timestamp > ANY (ARRAY['2026-11-21 09:00', '2026-11-21 08:00'])",
            47,
        ),
        (
            "timestamp = ANY (ARRAY['2026-11-21 09:00']::timestamptz[])",
            1,
        ),
        (
            "greatest(timestamp, '2026-11-21 09:00') = '2026-11-21 09:00'",
            28,
        ),
        ("nullif(timestamp, '2026-11-21 09:00') IS NULL", 1),
        ("timestamp IS NOT DISTINCT FROM '2026-11-21 09:00'", 1),
        (
            "timestamp IS DISTINCT FROM timestamp '2026-11-21 09:00'",
            71,
        ),
        ("date_trunc('hour', timestamp) = '2026-11-21 09:00'", 3),
        ("date_trunc('day', timestamp) = '2026-11-21'", 72),
        (
            "time_bucket('1 hour', timestamp) = timestamp '2026-11-21 09:00'",
            3,
        ),
        ("date_bin('1 hour', timestamp) = '2026-11-21 09:00'", 3),
        ("date_bin(interval '1 day', timestamp) = '2026-11-21'", 72),
        (
            "date_bin('2 hours', timestamp, '2026-11-21 01:00') = '2026-11-21 09:00'",
            6,
        ),
        ("extract(hour from timestamp) = 9", 3),
        ("date_part('hour', timestamp) >= 9", 45),
        ("extract(day from timestamp) = 21", 72),
        ("extract(dow from timestamp) = 6", 72),
        ("timestamp::date = '2026-11-21'", 72),
        ("CAST(timestamp AS date) = date '2026-11-21'", 72),
        ("timestamp::timestamp >= '2026-11-21 09:00'", 45),
        ("timestamp::time >= '09:00'", 45),
        ("to_char(timestamp, 'HH24') >= '09'", 45),
        ("to_char(timestamp, '%H') >= '09'", 45),
        ("local_time(timestamp) >= '2026-11-21 09:00'", 45),
        ("to_local_time(timestamp) >= '2026-11-21 09:00'", 45),
        ("hour_of_day('2026-11-21 09:00') = 9", 72),
        ("timestamp AT TIME ZONE 'UTC' >= '2026-11-21 00:00'", 45),
        (
            "timestamp AT TIME ZONE 'Asia/Seoul' >= timestamp '2026-11-21 09:00'",
            45,
        ),
        (
            "timestamp >= timestamp '2026-11-21 00:00' AT TIME ZONE 'UTC'",
            45,
        ),
        (
            "timestamp >= '2026-11-21 00:00'::timestamp AT TIME ZONE 'UTC'",
            45,
        ),
        (
            "timestamp - timestamp '2026-11-21 09:00' >= interval '0 seconds'",
            45,
        ),
        (
            "timestamp - '2026-11-21 09:00'::timestamptz >= interval '0 seconds'",
            45,
        ),
        (
            "arrow_cast('2026-11-21 09:00', 'Dictionary(Int32, Utf8)')::timestamp <= timestamp",
            45,
        ),
        ("timestamp < '9999-12-31'", 72),
        ("timestamp < timestamp '9999-12-31 23:59:59'", 72),
        ("timestamp > '0001-01-01'", 72),
        ("timestamp > '2026-11-21 08:59:59.9999'", 45),
        ("timestamp >= '2026-11-21 09:00:00.0005'", 44),
        ("timestamp = '2026-11-21 09:00:00.0005'", 0),
        ("timestamp <> '2026-11-21 09:00:00.0005'", 72),
        ("timestamp IN ('2026-11-21 09:00:00.0005')", 0),
        (
            "timestamp <= timestamptz '2026-11-20T23:59:59.9999999Z'",
            27,
        ),
        (
            "timestamp >= timestamp '2026-11-21 08:59:59.9995' + interval '1 millisecond'",
            44,
        ),
        ("timestamp > timestamp '9999-12-31' - interval '1 day'", 0),
        (
            "arrow_cast(timestamp, 'Timestamp(ns, None)') < '9999-12-31'",
            72,
        ),
        (
            "arrow_cast(timestamp, 'Timestamp(ns, None)') < '0001-01-01'",
            0,
        ),
        (
            "timestamp IN ('9999-12-31', to_timestamp(1795219200), date_trunc('hour', timestamp))",
            24,
        ),
        ("timestamp NOT IN ('2026-11-21 09:00', NULL)", 0),
        (
            "CASE timestamp WHEN '2026-11-21 09:00:00.0005' THEN 2 WHEN '2026-11-21 09:00' THEN 1 ELSE 0 END > 0",
            1,
        ),
        (
            "timestamp BETWEEN '2026-11-21 00:20' AND date_trunc('day', timestamp) + interval '1 hour'",
            3,
        ),
    ] {
        let sql = format!("SELECT count(*) FROM logs WHERE {condition}");
        cases.push((sql, expected.to_string()));
    }
    each_has_its_answer(&session, &cases).await;
}

#[tokio::test]
async fn a_join_with_hours_takes_local_times() {
    let session = seoul();
    let mut cases = Vec::new();
    for (join, expected) in [
        (
            "timestamp >= hour_utc AND timestamp < hour_utc + interval '1 hour'",
            72,
        ),
        ("date_trunc('hour', timestamp) = hour_utc", 72),
        ("date_trunc('hour', local_time(timestamp)) = hour_local", 72),
        ("timestamp = hour_local", 24),
        ("timestamp::timestamp = hour_local", 24),
        (
            "time_bucket('1 hour', timestamp) = hour_utc AND hour_local >= '2026-11-21 09:00'",
            45,
        ),
    ] {
        let sql = format!("SELECT count(*) FROM hours JOIN logs ON {join}");
        cases.push((sql, expected.to_string()));
    }
    each_has_its_answer(&session, &cases).await;
}

#[tokio::test]
async fn instants_are_shown_in_the_jobs_zone() {
    let session = seoul();
    let mut cases = Vec::new();
    for (value, expected) in [
        ("min(timestamp)", "2026-11-21T00:00:00+09:00"),
        (
            "min(date_trunc('hour', timestamp))",
            "2026-11-21T00:00:00+09:00",
        ),
        ("$window_end", "2026-11-22T00:00:00+09:00"),
        ("min(timestamp)::date", "2026-11-21"),
        ("min(timestamp)::timestamp", "2026-11-21T00:00:00"),
        ("arrow_typeof(now())", "Timestamp(ms, \"Asia/Seoul\")"),
        ("now() - now()", "P0D"),
        (
            "to_char(min(timestamp), 'YYYY-MM-DD HH24:MI')",
            "2026-11-21 00:00",
        ),
        (
            "min(timestamp) + interval '1 month 1 day'",
            "2026-12-22T00:00:00+09:00",
        ),
        (
            "date_bin('2 days', min(timestamp))",
            "2026-11-21T00:00:00+09:00",
        ),
        (
            "date '2026-11-21' + interval '9 hours'",
            "2026-11-21T09:00:00",
        ),
        (
            "min(timestamp)::date - interval '1 day'",
            "2026-11-20T00:00:00",
        ),
        (
            "min(date_bin('2 hours', timestamp, '2026-11-21 01:00'))",
            "2026-11-20T23:00:00+09:00",
        ),
        (
            "date_bin('2 days', min(timestamp), '2026-11-20')",
            "2026-11-20T00:00:00+09:00",
        ),
        ("extract(epoch from min(timestamp))::bigint", "1795186800"),
        ("to_unixtime('2026-11-21 00:00')", "1795186800"),
        (
            "extract(second from min(timestamp) + interval '7.5 seconds')",
            "7",
        ),
        (
            "extract(millisecond from min(timestamp) + interval '7.5 seconds')",
            "7500",
        ),
    ] {
        let sql = format!("SELECT {value} AS v, count(*) AS n FROM logs");
        cases.push((sql, format!("{expected}|72")));
    }
    each_has_its_answer(&session, &cases).await;
}

#[tokio::test]
async fn a_text_that_is_no_time_is_an_error_with_its_place() {
    let session = seoul();
    for (sql, place) in [
        (
            "SELECT count(*) FROM logs\nWHERE timestamp > 'yesterday'",
            "SQL:2:19",
        ),
        (
            "SELECT * FROM logs WHERE timestamp BETWEEN '2026-11-21' AND '21.11.2026'",
            "SQL:1:61",
        ),
        ("SELECT timestamp '2026-13-01'", "SQL:1:18"),
        ("SELECT '2026-11-31'::date", "SQL:1:8"),
        ("SELECT date_trunc('hour', 'noon')", "SQL:1:27"),
    ] {
        let error = session.statement(sql, "SQL").await.unwrap_err();
        assert_eq!(error.class(), Class::Sql, "{sql}");
        let said = error.to_string();
        assert!(said.starts_with(&format!("{place}: ")), "{said}");
        assert!(said.contains("is no time: expected"), "{said}");
    }
    let far = session
        .statement("SELECT '9999-12-31'::timestamp", "SQL")
        .await;
    let said = far.unwrap_err().to_string();
    assert!(said.contains("9999-12-31 does not fit"), "{said}");
    let of_data = answer(&session, "SELECT message::timestamp FROM logs").await;
    let said = of_data.unwrap_err().to_string();
    assert!(said.contains("\"0\" is no time"), "{said}");
    let lenient = "SELECT count(TRY_CAST(message AS timestamptz)) FROM logs";
    assert_eq!(one(&session, lenient).await, "0");
}

#[tokio::test]
async fn bins_that_are_not_settled_name_time_bucket() {
    let session = seoul();
    for bins in ["'7 minutes'", "'1 month 1 day'", "'5 months'"] {
        let sql = format!("SELECT date_bin(interval {bins}, timestamp) FROM logs");
        let said = session
            .statement(&sql, "SQL")
            .await
            .unwrap_err()
            .to_string();
        assert!(said.contains("time_bucket("), "{said}");
    }
}

#[tokio::test]
async fn a_missing_value_is_behind_all_others() {
    let session = seoul();
    let values = "FROM (VALUES (1), (NULL), (2)) AS v(n)";
    for (order, expected) in [
        ("ASC", "1; 2; "),
        ("DESC", "2; 1; "),
        ("DESC NULLS FIRST", "; 2; 1"),
    ] {
        let sql = format!("SELECT n {values} ORDER BY n {order}");
        assert_eq!(one(&session, &sql).await, expected, "{order}");
    }
    let first = format!("SELECT first_value(n ORDER BY n DESC) {values}");
    assert_eq!(one(&session, &first).await, "2");
}

/// What PostgreSQL 17 answers.
#[tokio::test]
async fn templates_of_postgresql_and_of_chrono_are_written() {
    let session = seoul();
    let mut cases = Vec::new();
    for (template, expected) in [
        ("YYYY-MM-DD HH24:MI:SS.MS", "2026-03-05 14:07:09.250"),
        ("Dy, DD Mon YYYY", "Thu, 05 Mar 2026"),
        ("FMDay, FMDDth FMMonth", "Thursday, 5th March"),
        ("Day|MONTH|", "Thursday |MARCH    |"),
        ("HH:MI am", "02:07 pm"),
        ("HH12 P.M.", "02 P.M."),
        ("YYYY\"T\"HH24\"시\"", "2026T14시"),
        ("YY년 MM월", "26년 03월"),
        ("Y,YYY CC AD", "2,026 21 AD"),
        ("DDD D ID WW W IW IYYY IDDD", "064 5 4 10 1 10 2026 067"),
        ("J Q RM", "2461105 1 III "),
        ("US FF1 SSSS", "250000 2 50829"),
        ("TZ tz OF TZH:TZM", "KST kst +09 +09:00"),
        ("%Y-%m-%d %H:%M %Z", "2026-03-05 14:07 KST"),
        ("%a %d %b", "Thu 05 Mar"),
        ("--", "--"),
    ] {
        let time = "timestamptz '2026-03-05 14:07:09.25'";
        let sql = format!("SELECT replace(to_char({time}, '{template}'), '|', '!')");
        cases.push((sql, expected.trim_end().replace('|', "!")));
    }
    each_has_its_answer(&session, &cases).await;
    for template in ["YYYY-MM-DDTHH24:MI", "Hello", "%Q", "YYYY-%"] {
        let sql = format!("SELECT to_char(timestamp, '{template}') FROM logs");
        let error = session.statement(&sql, "SQL").await.unwrap_err();
        assert!(
            error.to_string().contains("to_char: the template"),
            "{error}"
        );
    }
    let local = "SELECT to_char(local_time(timestamp), '%Z') FROM logs";
    let error = answer(&session, local).await.unwrap_err();
    assert!(error.to_string().contains("'%Z'"), "{error}");
    let text = "SELECT to_char('2026-03-05 14:07', 'HH24:MI TZ')";
    assert_eq!(one(&session, text).await, "14:07 KST");
    let each = "SELECT to_char(date '2026-03-05', t) FROM (VALUES ('DD'), ('%m'), (NULL)) AS v(t)";
    assert_eq!(one(&session, each).await, "05; 03; ");
}

const ODD_ZONES: [&str; 6] = [
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Pacific/Apia",
    "Antarctica/Troll",
    "America/Havana",
];

/// Instants near changes of the clocks: the last days of changes since 2000 of each zone, found by probing.
fn changes(zone: Tz) -> Vec<i64> {
    let mut clock = LocalClock::new(zone);
    let mut at = at("2003-01-01T00:00:00Z");
    let mut changes = Vec::new();
    let mut last = clock.span(at).unwrap().offset_ms;
    while at < self::at("2027-12-31T00:00:00Z") {
        let span = clock.span(at).unwrap();
        if span.offset_ms != last {
            changes.push(span.start_ms);
            last = span.offset_ms;
        }
        at = span.end_ms;
    }
    changes
}

/// The spellings of an instant: with its offset, in UTC, and without a zone where the local time is that of no other
/// instant.
fn spellings(zone: Tz, instant: i64) -> Vec<String> {
    let mut clock = LocalClock::new(zone);
    let utc = DateTime::from_timestamp_millis(instant).unwrap();
    let local = utc.with_timezone(&zone);
    let mut texts = vec![
        utc.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        utc.format("%Y-%m-%d %H:%M:%S%.3f UTC").to_string(),
        local.format("%Y-%m-%d %H:%M:%S%.3f%:z").to_string(),
    ];
    let shown = clock.local_ms(instant).unwrap();
    if clock.instant_ms(shown).unwrap() == instant {
        texts.push(local.format("%Y-%m-%d %H:%M:%S%.3f").to_string());
        texts.push(local.format("%Y-%m-%dT%H:%M:%S%.3f").to_string());
    }
    let mut spelled = Vec::new();
    for text in texts {
        spelled.extend([
            format!("'{text}'"),
            format!("timestamp '{text}'"),
            format!("'{text}'::timestamp"),
            format!("'{text}'::timestamptz"),
            format!("to_timestamp('{text}')"),
            format!("arrow_cast('{text}', 'Timestamp(ms)')"),
            format!("(SELECT '{text}')"),
        ]);
    }
    spelled
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_spelling_of_an_instant_selects_the_same_rows(
        zone in 0..ODD_ZONES.len(),
        change in any::<prop::sample::Index>(),
        minutes in -200i64..200,
        ms in prop::sample::select(vec![0i64, 1, 250, 59_999]),
        op in prop::sample::select(vec!["=", "<", ">="]),
    ) {
        let zone: Tz = ODD_ZONES[zone].parse().unwrap();
        let changes = changes(zone);
        let change = changes[change.index(changes.len())];
        let instant = change + minutes * 60_000 + ms;
        let mut instants: Vec<i64> = (-300..300).map(|n| change + n * 60_000).collect();
        instants.extend([instant - 1, instant, instant + 1]);
        let session = session(zone, &instants);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let exact = DateTime::from_timestamp_millis(instant).unwrap();
        let count = |value: &str| format!("SELECT count(*) FROM logs WHERE timestamp {op} {value}");
        let sql = count(&format!("timestamptz '{}'", exact.format("%Y-%m-%d %H:%M:%S%.3f+00:00")));
        let expected = runtime.block_on(one(&session, &sql));
        let meant = instants.iter().filter(|at| match op {
            "=" => **at == instant,
            "<" => **at < instant,
            _ => **at >= instant,
        });
        prop_assert_eq!(&expected, &meant.count().to_string());
        for value in spellings(zone, instant) {
            let found = runtime.block_on(one(&session, &count(&value)));
            prop_assert_eq!(&found, &expected, "{} {} {}", zone, op, value);
        }
    }

    /// What is rewritten has the values of our own functions, and those of the engine over local time.
    #[test]
    fn functions_agree_around_changes_of_the_clocks(
        zone in 0..ODD_ZONES.len(),
        change in any::<prop::sample::Index>(),
    ) {
        let zone: Tz = ODD_ZONES[zone].parse().unwrap();
        let changes = changes(zone);
        let change = changes[change.index(changes.len())];
        let instants: Vec<i64> = (-50..50).map(|n| change + n * 47 * 60_000).collect();
        let session = session(zone, &instants);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let local = "arrow_cast(local_time(timestamp), 'Timestamp(ns)')";
        let mut agree = vec![
            ("timestamp::date".to_owned(), format!("{local}::date")),
            ("timestamp::timestamp".to_owned(), local.to_owned()),
            ("timestamp::time".to_owned(), format!("{local}::time")),
            ("extract(hour from timestamp)".to_owned(), "hour_of_day(timestamp)".to_owned()),
            ("timestamp + interval '9 hours'".to_owned(), "to_timestamp_millis(timestamp::bigint + 32400000)".to_owned()),
            ("interval '90 minutes' + timestamp".to_owned(), "to_timestamp_millis(timestamp::bigint + 5400000)".to_owned()),
            ("timestamp - interval '1 second'".to_owned(), "to_timestamp_millis(timestamp::bigint - 1000)".to_owned()),
            ("timestamp + interval '1 day'".to_owned(), format!("({local} + interval '1 day')::timestamptz")),
            ("timestamp - interval '1 month'".to_owned(), format!("({local} - interval '1 month')::timestamptz")),
        ];
        for part in ["year", "quarter", "month", "week", "day", "doy", "dow", "isodow", "isoyear", "hour", "minute", "second", "millisecond"] {
            agree.push((format!("date_part('{part}', timestamp)"), format!("date_part('{part}', {local})")));
        }
        for unit in ["minute", "hour", "day", "week", "month", "year"] {
            agree.push((format!("date_trunc('{unit}', timestamp)"), format!("time_bucket('1 {unit}', timestamp)")));
        }
        for (one_way, other_way) in agree {
            let sql = format!("SELECT count(*) FROM logs WHERE {one_way} = {other_way}");
            let found = runtime.block_on(one(&session, &sql));
            prop_assert_eq!(found, instants.len().to_string(), "{} {} {}", zone, one_way, other_way);
        }
    }
}

#[tokio::test]
async fn an_earlier_answers_instants_are_instants_again() {
    let session = seoul();
    let statement = session
        .statement(
            "SELECT hour_utc, hour_local, [hour_utc] AS list FROM hours",
            "SQL",
        )
        .await
        .unwrap();
    let computed = statement.schema();
    let as_read = Schema::new(vec![
        Field::new(
            "hour_utc",
            DataType::Timestamp(TimeUnit::Millisecond, None),
            true,
        ),
        Field::new(
            "hour_local",
            DataType::Timestamp(TimeUnit::Millisecond, None),
            true,
        ),
        Field::new_list(
            "list",
            Field::new_list_field(DataType::Timestamp(TimeUnit::Millisecond, None), true),
            true,
        ),
    ]);
    let columns = session.columns_of_answer(&computed, &as_read);
    let zoned = DataType::Timestamp(TimeUnit::Millisecond, Some("Asia/Seoul".into()));
    assert_eq!(columns.field(0).data_type(), &zoned);
    assert_eq!(columns.field(1), as_read.field(1));
    let DataType::List(item) = columns.field(2).data_type() else {
        panic!("{columns}");
    };
    assert_eq!(item.data_type(), &zoned);
}

/// Which of the times 0.001, 0.002, 0.003 and NULL a condition is true of, in the unit of its column.
async fn true_of(zone: &str, condition: &str) -> Vec<i64> {
    let scratch = tempfile::tempdir().unwrap();
    let engine = Engine::new(1 << 26, scratch.path()).unwrap();
    let session = engine.session(zone.parse().unwrap()).unwrap();
    let unit = format!("Timestamp(Millisecond, Some(\"{zone}\"))");
    let sql = format!(
        "WITH t AS (SELECT n, arrow_cast(n, '{unit}') AS at, arrow_cast(n, 'Timestamp(Millisecond, None)') AS local \
         FROM (VALUES (1), (2), (3), (CAST(NULL AS BIGINT))) AS v(n)) \
         SELECT coalesce(n, 0) AS n FROM t WHERE {condition} ORDER BY 1"
    );
    let statement = session.statement(&sql, "SQL").await.unwrap();
    let batches = session.run(&statement).await.unwrap().batches;
    let batches: Vec<_> = batches.try_collect().await.unwrap();
    let values = |batch: &RecordBatch| {
        let numbers = batch.column(0).as_primitive::<Int64Type>();
        numbers.values().to_vec()
    };
    batches.iter().flat_map(values).collect()
}

#[tokio::test]
async fn a_literal_finer_than_a_millisecond_is_compared_exactly() {
    let forms = [
        "'1970-01-01T00:00:00.0025Z'",
        "timestamp '1970-01-01 00:00:00.0025'",
        "'1970-01-01 00:00:00.0025'::timestamp",
        "timestamptz '1970-01-01 00:00:00.0025Z'",
        "to_timestamp('1970-01-01T00:00:00.0025Z')",
        "arrow_cast(2500, 'Timestamp(Microsecond, None)')",
        "(timestamp '1970-01-01 00:00:00.0015' + interval '1 millisecond')",
    ];
    for literal in forms {
        for (condition, expected) in [
            ("at >= $", &[3][..]),
            ("at > $", &[3]),
            ("at < $", &[1, 2]),
            ("at <= $", &[1, 2]),
            ("at = $", &[]),
            ("at <> $", &[1, 2, 3]),
            ("$ < at", &[3]),
            ("$ >= at", &[1, 2]),
            ("(at = $) IS NULL", &[0]),
            ("NOT (at = $)", &[1, 2, 3]),
            ("at IS DISTINCT FROM $", &[0, 1, 2, 3]),
            ("at IS NOT DISTINCT FROM $", &[]),
            ("at BETWEEN $ AND $", &[]),
            ("at NOT BETWEEN $ AND $", &[1, 2, 3]),
            ("at BETWEEN '1970-01-01T00:00:00.0015Z' AND $", &[2]),
            ("at IN ($, '1970-01-01T00:00:00.003Z')", &[3]),
            ("at IN ($)", &[]),
            ("at NOT IN ($)", &[1, 2, 3]),
            ("at NOT IN ($, NULL)", &[]),
            (
                "at IN ($, '9999-12-31', NULL::timestamp, to_timestamp(0) + interval '3 milliseconds')",
                &[3],
            ),
            (
                "at NOT IN ($, '9999-12-31', arrow_cast(n * 500000, 'Timestamp(Nanosecond, Some(\"UTC\"))'))",
                &[1, 2, 3],
            ),
            (
                "CASE at WHEN $ THEN true WHEN '1970-01-01T00:00:00.001Z' THEN true ELSE false END",
                &[1],
            ),
            ("local >= $", &[3]),
        ] {
            let condition = condition.replace('$', literal);
            assert_eq!(true_of("UTC", &condition).await, expected, "{condition}");
        }
    }
}

#[tokio::test]
async fn literals_of_the_years_1_to_9999_are_compared() {
    for (condition, expected) in [
        ("at < '9999-12-31'", &[1, 2, 3][..]),
        ("at > '9999-12-31'", &[]),
        ("at > '0001-01-01'", &[1, 2, 3]),
        ("at < '0001-01-01T00:00:00Z'", &[]),
        ("at < timestamp '9999-12-31 23:59:59.999999'", &[1, 2, 3]),
        ("at < date '9999-12-31'", &[1, 2, 3]),
        ("at <= timestamptz '9999-12-31T00:00:00+09:00'", &[1, 2, 3]),
        ("at BETWEEN '0001-01-01' AND '9999-12-31'", &[1, 2, 3]),
        ("at NOT IN ('9999-12-31', '0001-01-01')", &[1, 2, 3]),
        ("at > timestamp '9999-12-31' - interval '1 day'", &[]),
        (
            "arrow_cast(at, 'Timestamp(Nanosecond, None)') < '9999-12-31'",
            &[1, 2, 3],
        ),
        (
            "arrow_cast(at, 'Timestamp(Nanosecond, None)') < '0001-01-01'",
            &[],
        ),
        ("(at < '9999-12-31') IS NULL", &[0]),
    ] {
        assert_eq!(true_of("UTC", condition).await, expected, "{condition}");
    }
}

#[tokio::test]
async fn a_literal_without_a_zone_is_in_that_of_the_column() {
    for (condition, expected) in [
        ("at >= '1970-01-01 09:00:00.0025'", &[3][..]),
        ("at >= timestamp '1970-01-01 09:00:00.0025'", &[3]),
        ("at >= '1970-01-01T00:00:00.0025Z'", &[3]),
        ("at >= date '1970-01-01'", &[1, 2, 3]),
        ("at >= date '1970-01-02'", &[]),
    ] {
        assert_eq!(
            true_of("Asia/Seoul", condition).await,
            expected,
            "{condition}"
        );
    }
}

#[tokio::test]
async fn texts_with_a_template_are_of_the_jobs_zone() {
    let read = |text: &str, template: &str| {
        format!(
            "SELECT max(to_timestamp(text, '{template}'))::text FROM (VALUES ('{text}'), (NULL)) AS t(text)"
        )
    };
    for (text, template, expected) in [
        (
            "21.11.2026 09:00:00",
            "%d.%m.%Y %H:%M:%S",
            "2026-11-21T09:00:00+09:00",
        ),
        (
            "21.11.2026 09:00:00 +0000",
            "%d.%m.%Y %H:%M:%S %z",
            "2026-11-21T18:00:00+09:00",
        ),
    ] {
        assert_eq!(
            one(&seoul(), &read(text, template)).await,
            expected,
            "{text}"
        );
    }
}
