use super::documented;
use crate::error::{Class, Error, Result};
use crate::job::{Format, FormatKind, Name};
use crate::query::{Engine, Session};
use crate::window::{Size, Window};
use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt;

fn session() -> Session {
    let engine = Engine::new(64 << 20, &std::env::temp_dir()).unwrap();
    let seoul = chrono_tz::Asia::Seoul;
    let window = Window::parse(Size::Day, seoul, "2026-11-21").unwrap();
    let session = engine.session(seoul).unwrap();
    let session = session.with_window(window.range()).unwrap();
    session.with_formats(&[Format {
        name: Name::new("app").unwrap(),
        kind: FormatKind::Grok,
        pattern: "%{LOGLEVEL:level} order %{INT:id:int} took %{NUMBER:ms:float}".to_owned(),
    }])
}

/// The rows of an answer, with `|` between its columns.
async fn rows(session: &Session, sql: &str) -> Result<Vec<String>> {
    let statement = session.statement(sql, "SQL").await?;
    let batches = session.run(&statement).await?.batches;
    let batches: Vec<RecordBatch> = batches.try_collect().await.map_err(Error::from_engine)?;
    let table = pretty_format_batches(&batches).unwrap().to_string();
    let lines = table.lines().skip(3).filter(|line| line.starts_with('|'));
    Ok(lines
        .map(|line| {
            let cells = line.trim_matches('|').split('|').map(str::trim);
            cells.collect::<Vec<_>>().join("|")
        })
        .collect())
}

#[tokio::test]
async fn every_example_has_its_answer() {
    let session = session();
    for function in &documented::ALL {
        if !function.example.is_empty() {
            let found = rows(&session, function.example).await.unwrap();
            assert_eq!(found, [function.answer], "{}", function.example);
        }
        let documentation = documented::of(function.name).unwrap();
        assert!(
            documentation.description.ends_with('.'),
            "{}",
            function.name
        );
    }
}

#[tokio::test]
async fn members_have_their_types_and_take_part_in_everything() {
    let session = session();
    let lines = "WITH t AS (SELECT * FROM (VALUES \
        (1, 'INFO order 7 took 41.5 ms'), (2, 'ERROR order 8 took 12 ms'), (3, 'plain'), (4, NULL)) AS t(n, message)) ";
    for (sql, expected) in [
        (
            "SELECT parse(message, 'order * took * ms', 'id', 'ms')['id'] FROM t ORDER BY n",
            &["7", "8", "", ""][..],
        ),
        (
            "SELECT (parse(message, 'took {ms:float} ms')).ms + 1 FROM t ORDER BY n",
            &["42.5", "13.0", "", ""],
        ),
        (
            "SELECT parse(message, '* order', 'level')['level'] AS l, count(*) FROM t GROUP BY 1 ORDER BY 1",
            &["ERROR|1", "INFO|1", "|2"],
        ),
        (
            "SELECT avg(parse_grok(message, 'took %{NUMBER:ms:float}')['ms']) FROM t",
            &["26.75"],
        ),
        (
            "SELECT max(parse_regex(message, 'order (?<id>[0-9]+)')['id']::int) FROM t",
            &["8"],
        ),
        (
            "SELECT parse_as(message, 'app') FROM t ORDER BY n LIMIT 1",
            &["{level: INFO, id: 7, ms: 41.5}"],
        ),
        (
            "SELECT count(*) FROM t WHERE parse_as(message, 'app') IS NULL",
            &["2"],
        ),
        (
            "SELECT p50(parse_as(message, 'app')['ms']) FROM t WHERE message LIKE '%ms'",
            &["26.75"],
        ),
        (
            "SELECT parse(message, 'order {id:int}')['id'] FROM (SELECT 'order x' AS message)",
            &[""],
        ),
        (
            "SELECT parse_grok(m, '%{COMBINEDAPACHELOG}')['clientip'] || ' ' || parse_grok(m, '%{COMBINEDAPACHELOG}')['response'] \
             FROM (SELECT '10.0.0.1 - - [21/Nov/2026:05:35:01 +0900] \"GET /a HTTP/1.1\" 200 5 \"-\" \"curl\"' AS m)",
            &["10.0.0.1 200"],
        ),
        (
            "SELECT parse_grok('Nov 21 05:35:01 host sshd[7]: session opened', '%{SYSLOGLINE}')['program']",
            &["sshd"],
        ),
        (
            "SELECT parse_logfmt('a=1 b=\"x y\" c')",
            &["{a: 1, b: x y, c: true}"],
        ),
        (
            "SELECT parse_logfmt(message)['ms'] FROM (VALUES ('ms=5 a=b'), ('plain'), (NULL)) AS t(message)",
            &["5", "", ""],
        ),
        (
            "SELECT (parse_logfmt(message)['ms'])::int + 1 FROM (VALUES ('ms=5')) AS t(message)",
            &["6"],
        ),
        (
            "SELECT map_keys(parse_logfmt(message)) FROM (VALUES ('ms=5 a=b')) AS t(message)",
            &["[ms, a]"],
        ),
        (
            "SELECT message_json(message)->'a'->>'b' FROM (VALUES ('INFO {\"a\":{\"b\":1}}'), ('plain')) AS t(message)",
            &["1", ""],
        ),
        (
            "SELECT parse_access_log(m)['timestamp'] = '2026-11-21 05:35:01', parse_access_log(m)['status'] + 1 \
             FROM (SELECT '10.0.0.1 - - [20/Nov/2026:20:35:01 +0000] \"GET /a HTTP/1.1\" 200 5' AS m)",
            &["true|201"],
        ),
        ("SELECT count(parse_access_log(message)) FROM t", &["0"]),
    ] {
        let found = rows(&session, &format!("{lines}{sql}")).await;
        let found = found.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(found, expected, "{sql}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_pattern_is_said_with_its_place_when_the_query_is_planned() {
    let session = session().expect_logs().unwrap();
    for (sql, part) in [
        (
            "SELECT parse(message, 'user') FROM logs",
            "SQL:1:23: parse: the pattern 'user' has no wildcard",
        ),
        (
            "SELECT parse(message, 'user *') FROM logs",
            "has 1 * and 0 names",
        ),
        (
            "SELECT parse(message, log_group) FROM logs",
            "parse: expected a message, a pattern that is written as a text",
        ),
        ("SELECT parse(message) FROM logs", "parse has 1 arguments"),
        (
            "SELECT parse_regex(message, '(') FROM logs",
            "SQL:1:29: parse_regex: the pattern '(' is no regular expression",
        ),
        (
            "SELECT parse_regex(message, 'a(b)') FROM logs",
            "no group with a name",
        ),
        (
            "SELECT parse_regex(message, '(?=a)(?<b>c)') FROM logs",
            "look-around",
        ),
        (
            "SELECT parse_regex(message, '(?<a>\\w{1000}){1000}') FROM logs",
            "too large",
        ),
        (
            "SELECT parse_grok(message, '%{IPP:a}') FROM logs",
            "did you mean IP?",
        ),
        (
            "SELECT parse_as(message, 'other') FROM logs",
            "expected one of app",
        ),
        (
            "SELECT parse_as(5, 'app') FROM logs",
            "expected a text such as message",
        ),
        (
            "SELECT parse_time(message, 'XX') FROM logs",
            "parse_time: the template",
        ),
        (
            "SELECT parse_time(message, log_group) FROM logs",
            "parse_time: expected",
        ),
        (
            "SELECT parse_time(true) FROM logs",
            "expected a text or a number",
        ),
        (
            "SELECT parse_access_log(5) FROM logs",
            "expected a text such as message",
        ),
        (
            "SELECT * FROM buckets('7 minutes')",
            "invalid width '7 minutes'",
        ),
        ("SELECT * FROM buckets()", "buckets has 0 arguments"),
    ] {
        let error = match session.statement(sql, "SQL").await {
            Err(error) => error,
            Ok(statement) => session.rehearse(&statement).await.expect_err(sql),
        };
        assert_eq!(error.class(), Class::Sql, "{sql}: {error}");
        assert!(error.to_string().contains(part), "{sql}: {error}");
    }
}

#[tokio::test]
async fn times_of_messages_are_instants_of_the_session() {
    let session = session();
    for (sql, expected) in [
        (
            "SELECT to_char(parse_time('2026-11-21 05:35:01,123 ERROR x'), 'YYYY-MM-DD HH24:MI:SS.MS OF')",
            "2026-11-21 05:35:01.123 +09",
        ),
        (
            "SELECT parse_time('2026-11-20T20:35:01Z') = '2026-11-21 05:35:01'",
            "true",
        ),
        (
            "SELECT parse_time(1795206901) = parse_time('1795206901123') - interval '123 milliseconds'",
            "true",
        ),
        (
            "SELECT parse_time(1795206901.5) = '2026-11-21 05:35:01.5'",
            "true",
        ),
        (
            "SELECT parse_time('21.11.2026 05:35', 'DD.MM.YYYY HH24:MI') = '2026-11-21 05:35'",
            "true",
        ),
        (
            "SELECT parse_time('Nov 21 05:35:01 host x: y', '2026-11-22'::timestamptz) = '2026-11-21 05:35:01'",
            "true",
        ),
        (
            "SELECT parse_time('Nov 21 05:35:01', 'Mon DD HH24:MI:SS', $window_start) = '2026-11-21 05:35:01'",
            "true",
        ),
        ("SELECT parse_time('Nov 21 05:35:01') IS NULL", "true"),
        ("SELECT parse_time('no time') IS NULL", "true"),
        ("SELECT parse_time(NULL) IS NULL", "true"),
        (
            "SELECT count(*) FROM (VALUES ('2026-11-21 05:10'), ('2026-11-21 05:50'), ('x')) AS t(m) WHERE time_bucket('1 hour', parse_time(m)) = '2026-11-21 05:00'",
            "2",
        ),
    ] {
        let found = rows(&session, sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(found, [expected], "{sql}");
    }
}

#[tokio::test]
async fn buckets_and_series_follow_the_window_and_the_clocks() {
    let engine = Engine::new(64 << 20, &std::env::temp_dir()).unwrap();
    for (zone, day, hours) in [
        (chrono_tz::Asia::Seoul, "2026-11-21", 24),
        (chrono_tz::America::New_York, "2026-03-08", 23),
        (chrono_tz::America::New_York, "2026-11-01", 25),
    ] {
        let window = Window::parse(Size::Day, zone, day).unwrap();
        let session = engine.session(zone).unwrap();
        let session = session.with_window(window.range()).unwrap();
        let count = |n: i64| vec![n.to_string()];
        let mut wrong = Vec::new();
        for (sql, expected) in [
            (
                "SELECT count(*) FROM buckets('5 minutes')",
                count(hours * 12),
            ),
            (
                "SELECT count(DISTINCT b.bucket_utc) FROM buckets(interval '15 minutes') AS b",
                count(hours * 4),
            ),
            (
                "SELECT count(*) FROM buckets('1 hour') JOIN hours ON bucket_utc = hour_utc AND bucket_local = hour_local AND buckets.utc_offset = hours.utc_offset AND buckets.hour_of_day = hours.hour_of_day",
                count(hours),
            ),
            ("SELECT count(*) FROM buckets('1 day')", count(1)),
            (
                "SELECT count(*) FROM generate_series($window_start, $window_end, interval '30 minutes') AS t WHERE t < $window_end",
                count(hours * 2),
            ),
            (
                "SELECT count(*) FROM generate_series($window_start, $window_end - interval '1 hour', interval '1 hour') AS s(t)",
                count(hours),
            ),
            (
                "SELECT count(l.t) FROM buckets('1 hour') AS b LEFT JOIN (VALUES ($window_start + interval '90 minutes')) AS l(t) ON time_bucket('1 hour', l.t) = b.bucket_utc",
                count(1),
            ),
            (
                "SELECT count(*) FROM buckets('1 hour') AS b LEFT JOIN (VALUES ($window_start + interval '90 minutes')) AS l(t) ON time_bucket('1 hour', l.t) = b.bucket_utc",
                count(hours),
            ),
            (
                "SELECT count(*) FROM buckets('1 hour') AS b JOIN hours ON b.bucket_utc = hour_utc",
                count(hours),
            ),
            (
                "SELECT count(*) FROM generate_series($window_start, $window_end - interval '1 hour', interval '1 hour') AS s(t) JOIN hours ON hour_utc = s.t",
                count(hours),
            ),
            (
                "SELECT count(*) FROM generate_series($window_start, $window_end, interval '30 minutes') AS s(t) JOIN buckets('15 minutes') ON s.t = bucket_utc",
                count(hours * 2),
            ),
            (
                "SELECT count(*) FROM (SELECT generate_series($window_start, $window_end, interval '1 day') AS a) WHERE array_length(a) = 2",
                count(1),
            ),
            (
                "SELECT count(*) FROM (SELECT unnest(generate_series($window_start, $window_end, interval '1 hour')) AS a)",
                count(hours + 1),
            ),
            (
                "SELECT count(*) FROM generate_series('2026-01-01'::timestamptz, '2026-01-03'::timestamptz, interval '12 hours')",
                count(5),
            ),
            (
                "SELECT count(*) FROM generate_series($window_end, $window_start, interval '-1 hour')",
                count(hours + 1),
            ),
            (
                "SELECT array_length(window_buckets('1 hour', $window_start, $window_end))",
                count(hours),
            ),
            ("SELECT max(value) FROM generate_series(1, 3)", count(3)),
        ] {
            match rows(&session, sql).await {
                Ok(found) if found == expected => {}
                other => wrong.push(format!("{zone} {sql}: {other:?}")),
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        for (sql, part) in [
            (
                "SELECT count(*) FROM generate_series($window_start, $window_end, interval '1 millisecond')",
                "more than 1000000 values",
            ),
            (
                "SELECT count(*) FROM generate_series($window_start, $window_end, interval '0 hours')",
                "must not be 0",
            ),
            ("SELECT count(*) FROM buckets('1 ms')", "more than 1000000"),
        ] {
            let error = rows(&session, sql).await.expect_err(sql);
            assert!(error.to_string().contains(part), "{sql}: {error}");
        }
    }
    let session = engine.session(chrono_tz::UTC).unwrap();
    let error = rows(&session, "SELECT * FROM buckets('1 hour')")
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::Usage);
    assert!(
        error.to_string().contains("buckets needs a window"),
        "{error}"
    );
}

/// The counts of a bucket add up, although buckets are joined with events.
#[tokio::test]
async fn counts_by_bucket_add_up() {
    let session = session().expect_logs().unwrap();
    let sql = "SELECT b.bucket_local AS t, count(l.timestamp) AS n FROM buckets('5 minutes') AS b \
               LEFT JOIN logs AS l ON time_bucket('5 minutes', l.timestamp) = b.bucket_utc GROUP BY 1";
    let statement = session.statement(sql, "SQL").await.unwrap();
    assert_eq!(statement.adds_up(&["n".to_owned()]), Some(true));
    let sql = "SELECT time_bucket('1 hour', timestamp) AS t, p95(length(message)) AS n FROM logs GROUP BY 1";
    let statement = session.statement(sql, "SQL").await.unwrap();
    assert_eq!(statement.adds_up(&["n".to_owned()]), Some(false));
}
