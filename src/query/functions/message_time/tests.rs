use super::*;
use proptest::prelude::*;

/// The instant in UTC, with the clock of Seoul and the year of 2026-11-21.
fn instant(time: Option<WrittenInstant>) -> Option<String> {
    let mut clock = LocalClock::new(chrono_tz::Asia::Seoul);
    let near = DateTime::parse_from_rfc3339("2026-11-21T00:00:00Z").unwrap();
    let ms = time?.instant_ms(&mut clock, Some(near.timestamp_millis()))?;
    let at = DateTime::from_timestamp_millis(ms)?;
    Some(at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
}

const MORNING: &str = "2026-11-20T20:35:01Z";
const MORNING_123: &str = "2026-11-20T20:35:01.123Z";

#[test]
fn a_text_that_is_a_time() {
    for (text, expected) in [
        // ISO 8601
        ("2026-11-21T05:35:01+09:00", MORNING),
        ("2026-11-21T05:35:01.123456+0900", MORNING_123),
        ("2026-11-20T20:35:01Z", MORNING),
        ("2026-11-20T20:35:01.123456789Z", MORNING_123),
        ("2026-11-21T05:35:01", MORNING),
        ("2026-11-21 05:35:01", MORNING),
        ("2026-11-21t05:35:01", MORNING),
        ("20261120T203501Z", MORNING),
        ("20261121T053501.123+0900", MORNING_123),
        ("20261121053501", MORNING),
        ("2026-W47-6T05:35:01", MORNING),
        ("2026-325T05:35:01", MORNING),
        ("2026-11-21T05:35+09", "2026-11-20T20:35:00Z"),
        ("2026-11-21T05", "2026-11-20T20:00:00Z"),
        ("2026-11-21", "2026-11-20T15:00:00Z"),
        ("20261121", "2026-11-20T15:00:00Z"),
        ("2026-11-21T24:00:00", "2026-11-21T15:00:00Z"),
        ("2026-11-21T05:35:01.123+09:00[Asia/Seoul]", MORNING_123),
        ("2026-11-20 15:35:01 America/New_York", MORNING),
        // Python, Go, Java, .NET
        ("2026-11-21 05:35:01,123", MORNING_123),
        ("2021-04-17 18:19:57,656+0200", "2021-04-17T16:19:57.656Z"),
        ("2026-11-21 05:35:01.123 +0900 KST", MORNING_123),
        ("2026/11/21 05:35:01", MORNING),
        ("2026/11/21 05:35:01.123456", MORNING_123),
        ("2026.11.21 05:35:01:123", MORNING_123),
        ("2026-11-21_05:35:01", MORNING),
        ("Nov 21, 2026 5:35:01 AM", MORNING),
        ("November 21, 2026 5:35:01 AM", MORNING),
        ("11/21/2026 5:35:01 AM", MORNING),
        ("11/20/2026 8:35:01 PM +00:00", MORNING),
        ("21/11/2026 05:35:01", MORNING),
        ("21.11.2026 05:35:01", MORNING),
        ("26/11/21 05:35:01", MORNING),
        // Apache, nginx, Tomcat, PHP
        ("21/Nov/2026:05:35:01 +0900", MORNING),
        ("21/Nov/2026:05:35:01.123 +0900", MORNING_123),
        ("21-Nov-2026 05:35:01.123", MORNING_123),
        ("21-Nov-2026 05:35:01 Asia/Seoul", MORNING),
        ("Sat Nov 21 05:35:01.123456 2026", MORNING_123),
        // RFC 5322, RFC 850, Unix
        ("Sat, 21 Nov 2026 05:35:01 +0900", MORNING),
        ("21 Nov 2026 05:35:01 +0900", MORNING),
        ("Fri, 20 Nov 2026 20:35:01 GMT", MORNING),
        ("Fri, 20 Nov 2026 15:35:01 EST", MORNING),
        ("Friday, 20-Nov-26 20:35:01 GMT", MORNING),
        ("Sat Nov 21 05:35:01 KST 2026", MORNING),
        ("Sat Nov 21 05:35:01 2026", MORNING),
        ("25 May 2019 10:24:39,474", "2019-05-25T01:24:39.474Z"),
        // Since 1970
        ("1795206901", "2026-11-20T20:35:01Z"),
        ("1795206901.123", MORNING_123),
        ("1795206901123", MORNING_123),
        ("1795206901123456", MORNING_123),
        ("1795206901123456789", MORNING_123),
        ("-1795206901", "1913-02-11T03:24:59Z"),
        // Without a year
        ("Nov 21 05:35:01", MORNING),
        ("Nov  1 05:35:01", "2026-10-31T20:35:01Z"),
        ("Jan  1 05:35:01", "2026-12-31T20:35:01Z"),
        ("I1121 05:35:01.123456", MORNING_123),
    ] {
        assert_eq!(
            instant(WrittenInstant::parse(text)).as_deref(),
            Some(expected),
            "{text}"
        );
        let padded = format!(" {text}\n");
        assert_eq!(
            instant(WrittenInstant::find(&padded)).as_deref(),
            Some(expected),
            "{text}"
        );
    }
}

#[test]
fn the_first_time_in_a_message() {
    for (message, expected) in [
        (
            "2026-11-21 05:35:01,123 ERROR [main] failed",
            Some(MORNING_123),
        ),
        (
            "[2026-11-21T05:35:01.123+09:00] ERROR failed",
            Some(MORNING_123),
        ),
        ("ERROR 2026-11-21 05:35:01 failed", Some(MORNING)),
        (
            "2026-11-20T20:35:01.123Z\t8476a536-e9f4-11e8-9739-2dfe598c3fcd\tINFO\tx",
            Some(MORNING_123),
        ),
        (
            r#"{"level":"info","time":"2026-11-21T05:35:01.123+09:00","msg":"x"}"#,
            Some(MORNING_123),
        ),
        (
            r#"{"level":30,"time":1795206901123,"pid":1}"#,
            Some(MORNING_123),
        ),
        ("level=info ts=1795206901.123 msg=x", Some(MORNING_123)),
        ("1795206901.123 10.0.0.1 GET /", Some(MORNING_123)),
        (
            r#"10.0.0.1 - - [21/Nov/2026:05:35:01 +0900] "GET / HTTP/1.1" 200 5"#,
            Some(MORNING),
        ),
        ("<34>Nov 21 05:35:01 host sshd[7]: x", Some(MORNING)),
        ("Nov 21 05:35:01 host sshd[7]: x", Some(MORNING)),
        ("E1121 05:35:01.123456   1 main.go:10] x", Some(MORNING_123)),
        ("26/11/21 05:35:01 INFO executor.Executor: x", Some(MORNING)),
        (
            "[Sat Nov 21 05:35:01.123456 2026] [core:error] [pid 7] x",
            Some(MORNING_123),
        ),
        (
            "Nov 21, 2026 5:35:01 AM com.example.Shop main",
            Some(MORNING),
        ),
        ("time 2026-11-21 05:35:01 INFO", Some(MORNING)),
        ("order 1795206901123 shipped", None),
        ("order 2026-11-21 shipped", None),
        ("version 1.2026-11-21", None),
        ("/2026/11/21/report", None),
        ("10.0.0.1:8080 took 12:5", None),
        ("May 5 orders arrive", None),
        ("Information", None),
        ("2026-13-21 05:35:01", None),
        ("2026-02-30 05:35:01", None),
        ("", None),
    ] {
        assert_eq!(
            instant(WrittenInstant::find(message)).as_deref(),
            expected,
            "{message}"
        );
    }
    let late = format!("{} 2026-11-21 05:35:01", "x".repeat(HEAD));
    assert_eq!(WrittenInstant::find(&late), None);
}

#[test]
fn a_time_without_a_year_is_in_the_nearest() {
    let mut clock = LocalClock::new(chrono_tz::UTC);
    let near = |text: &str| {
        DateTime::parse_from_rfc3339(text)
            .unwrap()
            .timestamp_millis()
    };
    let mut year = |written: &str, at: &str| {
        let time = WrittenInstant::parse(written).unwrap();
        let ms = time.instant_ms(&mut clock, Some(near(at)))?;
        Some(DateTime::from_timestamp_millis(ms)?.year())
    };
    assert_eq!(year("Dec 31 23:59:59", "2026-01-01T00:00:00Z"), Some(2025));
    assert_eq!(year("Jan 1 00:00:01", "2025-12-31T23:59:00Z"), Some(2026));
    assert_eq!(year("Nov 21 05:35:01", "2026-11-22T00:00:00Z"), Some(2026));
    assert_eq!(year("Feb 29 12:00:00", "2025-01-10T00:00:00Z"), Some(2024));
    assert_eq!(year("Feb 29 12:00:00", "2026-06-10T00:00:00Z"), None);
    let time = WrittenInstant::parse("Nov 21 05:35:01").unwrap();
    assert_eq!(time.instant_ms(&mut clock, None), None);
}

#[test]
fn local_times_that_the_clocks_skip_or_repeat_are_as_elsewhere() {
    let mut clock = LocalClock::new(chrono_tz::America::New_York);
    let mut utc = |text: &str| {
        let ms = WrittenInstant::parse(text)?.instant_ms(&mut clock, None)?;
        Some(DateTime::from_timestamp_millis(ms)?.to_rfc3339())
    };
    assert_eq!(
        utc("2026-03-08 02:30:00").as_deref(),
        Some("2026-03-08T07:30:00+00:00")
    );
    assert_eq!(
        utc("2026-11-01 01:30:00").as_deref(),
        Some("2026-11-01T06:30:00+00:00")
    );
}

#[test]
fn a_template_reads_what_it_writes() {
    for (template, text, expected) in [
        (
            "YYYY-MM-DD HH24:MI:SS",
            "2026-11-21 05:35:01 ERROR x",
            Some(MORNING),
        ),
        (
            "YYYY-MM-DD HH24:MI:SS.MS",
            "2026-11-21 05:35:01.123",
            Some(MORNING_123),
        ),
        (
            "DD.MM.YYYY HH24:MI:SS",
            "21.11.2026 05:35:01",
            Some(MORNING),
        ),
        ("YYYYMMDDHH24MISS", "20261121053501", Some(MORNING)),
        ("Mon DD HH24:MI:SS", "Nov 21 05:35:01", Some(MORNING)),
        (
            "Dy, DD Mon YYYY HH24:MI:SS TZ",
            "Sat, 21 Nov 2026 05:35:01 +0900",
            Some(MORNING),
        ),
        (
            "MM/DD/YY HH12:MI:SS AM",
            "11/21/26 05:35:01 am",
            Some(MORNING),
        ),
        (
            "YYYY-MM-DD\"T\"HH24:MI:SSTZH:TZM",
            "2026-11-20T20:35:01+00:00",
            Some(MORNING),
        ),
        ("YYYY-MM-DD", "2026-11-21", Some("2026-11-20T15:00:00Z")),
        (
            "%Y-%m-%d %H:%M:%S",
            "2026-11-21 05:35:01 ERROR",
            Some(MORNING),
        ),
        (
            "%d/%b/%Y:%H:%M:%S %z",
            "21/Nov/2026:05:35:01 +0900] x",
            Some(MORNING),
        ),
        (
            "%Y-%m-%d %H:%M:%S%.f",
            "2026-11-21 05:35:01.123",
            Some(MORNING_123),
        ),
        ("%b %d %H:%M:%S", "Nov 21 05:35:01", Some(MORNING)),
        ("%s", "1795206901", Some(MORNING)),
        ("%Y-%m-%d", "2026-11-21", Some("2026-11-20T15:00:00Z")),
        ("YYYY-MM-DD HH24:MI:SS", "21.11.2026", None),
        ("%Y-%m-%d", "yesterday", None),
        ("YYYY-MM-DD", "2026-02-30", None),
    ] {
        let reader = Reader::parse(template).unwrap();
        assert_eq!(
            instant(reader.read(text)).as_deref(),
            expected,
            "{template}: {text}"
        );
    }
    for (template, part) in [
        ("YYYY-XX", "XX"),
        ("%Y-%Q", "unknown letter"),
        ("YYYY Q", "no time can be read from"),
    ] {
        let error = Reader::parse(template).unwrap_err();
        assert!(error.contains(part), "{template}: {error}");
    }
}

proptest! {
    #[test]
    fn any_text_is_tried(text in any::<String>(), template in "[YMDHIS24%dbyT: -]{0,12}") {
        WrittenInstant::find(&text);
        if let Ok(reader) = Reader::parse(&template) {
            reader.read(&text);
        }
    }

    #[test]
    fn anything_like_a_time_is_tried(text in "[0-9TZ:/. ,+JanMoSatPM-]{0,40}") {
        if let Some(time) = WrittenInstant::find(&text) {
            let mut clock = LocalClock::new(chrono_tz::Asia::Seoul);
            time.instant_ms(&mut clock, Some(0));
        }
    }

    #[test]
    fn an_instant_is_read_in_every_form(ms in 0..4_000_000_000_000_i64) {
        let at = DateTime::from_timestamp_millis(ms).unwrap();
        let mut clock = LocalClock::new(chrono_tz::UTC);
        for form in ["%Y-%m-%dT%H:%M:%S%.3fZ", "%Y-%m-%d %H:%M:%S,%3f", "%d/%b/%Y:%H:%M:%S%.3f +0000", "%a, %d %b %Y %H:%M:%S%.3f GMT", "%b %d, %Y %I:%M:%S%.3f %p", "%Y/%m/%d %H:%M:%S%.6f"] {
            let text = format!("x [{}] message", at.format(form));
            let found = WrittenInstant::find(&text).and_then(|time| time.instant_ms(&mut clock, None));
            prop_assert_eq!(found, Some(ms), "{}", text);
        }
    }
}
