//! The views over a table `logs` of a few events.

use std::sync::Arc;

use arrow::array::{RecordBatch, StringViewArray, TimestampMillisecondArray};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono_tz::Tz;
use datafusion::datasource::MemTable;
use futures::TryStreamExt;

use crate::query::{Engine, Session};
use crate::scan::LogsTable;

const STREAM: &str = "2026/11/21/[7]8384fc4f4204e4521a5c7742b76ea1ef";

/// A session whose table `logs` has events, each a second of the day, a log stream and a message, in batches of two.
fn session(events: &[(i64, &str, String)]) -> Session {
    let zone: Tz = "Asia/Seoul".parse().unwrap();
    let engine = Engine::new(64 << 20, &std::env::temp_dir()).unwrap();
    let session = engine.session(zone).unwrap().expect_logs().unwrap();
    let schema = LogsTable::columns(zone, Default::default());
    let batches = events.chunks(2).map(|events| {
        let columns = schema
            .fields()
            .iter()
            .map(|field| -> arrow::array::ArrayRef {
                let texts = |text: fn(&(i64, &str, String)) -> String| {
                    Arc::new(StringViewArray::from_iter_values(events.iter().map(text)))
                };
                match field.name().as_str() {
                    "timestamp" => Arc::new(
                        TimestampMillisecondArray::from_iter_values(
                            events
                                .iter()
                                .map(|event| 1_795_186_800_000 + event.0 * 1000),
                        )
                        .with_timezone(zone.name()),
                    ),
                    "message" => texts(|event| event.2.clone()),
                    "log_group" => texts(|_| "/aws/lambda/shop".to_owned()),
                    _ => texts(|event| event.1.to_owned()),
                }
            });
        RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap()
    });
    let batches = batches.collect();
    let logs = MemTable::try_new(Arc::clone(&schema), vec![batches]).unwrap();
    session
        .tables
        .put("logs", crate::query::TableKind::Logs, Arc::new(logs));
    session
}

/// The rows of a query, each as texts joined by `|`.
async fn rows(session: &Session, sql: &str) -> Vec<String> {
    let statement = session.statement(sql, "SQL").await.unwrap();
    let batches = session.run(&statement).await.unwrap().batches;
    let batches: Vec<RecordBatch> = batches.try_collect().await.unwrap();
    let options = FormatOptions::default().with_null("-");
    let mut rows = Vec::new();
    for batch in &batches {
        let columns = batch.columns().iter();
        let columns: Vec<_> = columns
            .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            let values = columns.iter().map(|column| column.value(row).to_string());
            rows.push(values.collect::<Vec<_>>().join("|"));
        }
    }
    rows
}

fn id(number: u32) -> String {
    format!("{number:08}-e9f4-11e8-9739-2dfe598c3fcd")
}

fn start(number: u32) -> String {
    format!("START RequestId: {} Version: 7\n", id(number))
}

fn report(number: u32, more: &str) -> String {
    let id = id(number);
    format!(
        "REPORT RequestId: {id}\tDuration: 1500.50 ms\tBilled Duration: 1600 ms\tMemory Size: 512 MB\tMax Memory Used: 90 MB\t{more}\n"
    )
}

const INVOCATIONS: &str = "SELECT left(request_id, 8)::int AS n, to_char(start, 'HH24:MI:SS') AS \"from\", \
    to_char(\"end\", 'HH24:MI:SS') AS \"to\", timed_out, error FROM lambda_invocations ORDER BY coalesce(start, \"end\"), n";

#[tokio::test]
async fn an_invocation_is_whole_in_whatever_order_its_lines_come() {
    let events = [
        (12, STREAM, report(1, "Init Duration: 250.00 ms\t")),
        (20, STREAM, start(2)),
        (12, STREAM, format!("END RequestId: {}\n", id(1))),
        (10, STREAM, start(1)),
        (
            11,
            STREAM,
            format!("[INFO]\t2026-11-20T15:00:11.000Z\t{}\thello", id(1)),
        ),
        (22, STREAM, report(2, "")),
    ];
    let all = rows(
        &session(&events),
        "SELECT * EXCLUDE (log_group, log_stream) FROM lambda_invocations ORDER BY start",
    )
    .await;
    let expected = |number: u32, second: u32, init: &str, cold: bool| {
        let id = id(number);
        let (from, to) = (
            format!("2026-11-21T00:00:{second}+09:00"),
            format!("2026-11-21T00:00:{}+09:00", second + 2),
        );
        format!("shop|7|{id}|{from}|{to}|1500.5|1600|{init}|-|{cold}|false|-|512|90|0.8|-")
    };
    assert_eq!(
        all,
        [expected(1, 10, "250.0", true), expected(2, 20, "-", false)]
    );
}

#[tokio::test]
async fn the_json_format_and_what_it_says_of_failures() {
    let event = |name: &str, record: &str| {
        format!(r#"{{"time":"t","type":"platform.{name}","record":{record}}}"#)
    };
    let id = id(3);
    let metrics = r#""metrics":{"durationMs":20.5,"billedDurationMs":21,"memorySizeMB":128,"maxMemoryUsedMB":60,"restoreDurationMs":300.5}"#;
    let events = [
        (
            10,
            STREAM,
            event("start", &format!(r#"{{"requestId":"{id}","version":"8"}}"#)),
        ),
        (
            11,
            STREAM,
            event(
                "runtimeDone",
                &format!(
                    r#"{{"requestId":"{id}","status":"error","errorType":"Function.Unhandled"}}"#
                ),
            ),
        ),
        (
            11,
            STREAM,
            format!(
                r#"{{"timestamp":"t","log_level":"ERROR","errorMessage":"x","errorType":"KeyError","requestId":"{id}","stackTrace":[]}}"#
            ),
        ),
        (
            11,
            STREAM,
            event(
                "report",
                &format!(
                    r#"{{"requestId":"{id}",{metrics},"status":"error","errorType":"Function.Unhandled"}}"#
                ),
            ),
        ),
    ];
    let found = rows(
        &session(&events),
        "SELECT version, duration_ms, billed_ms, restore_ms, cold_start, timed_out, error, round(gb_seconds, 6) FROM lambda_invocations",
    )
    .await;
    assert_eq!(found, ["8|20.5|21|300.5|true|false|KeyError|0.002625"]);
}

#[tokio::test]
async fn a_retry_of_a_request_is_a_row_of_its_own() {
    let failed = "Status: error\tError Type: Runtime.OutOfMemory\t";
    let events = [
        (10, STREAM, start(1)),
        (12, STREAM, report(1, failed)),
        (72, STREAM, start(1)),
        (74, STREAM, report(1, failed)),
        (200, "other", start(1)),
        (202, "other", report(1, "")),
    ];
    let found = rows(&session(&events), INVOCATIONS).await;
    assert_eq!(
        found,
        [
            "1|00:00:10|00:00:12|false|Runtime.OutOfMemory",
            "1|00:01:12|00:01:14|false|Runtime.OutOfMemory",
            "1|00:03:20|00:03:22|false|-",
        ]
    );
}

#[tokio::test]
async fn what_the_edges_of_a_window_cut_has_a_row() {
    let events = [(10, STREAM, report(1, "")), (50, STREAM, start(2))];
    let found = rows(&session(&events), INVOCATIONS).await;
    assert_eq!(
        found,
        ["1|00:00:08|00:00:10|false|-", "2|00:00:50|-|false|-"]
    );
}

#[tokio::test]
async fn timeouts_are_said_in_three_ways() {
    let late = format!(
        "2026-11-20T15:00:33.000Z {} Task timed out after 3.00 seconds\n\n",
        id(2)
    );
    let done = format!(
        r#"{{"type":"platform.runtimeDone","record":{{"requestId":"{}","status":"timeout"}}}}"#,
        id(3)
    );
    let events = [
        (10, STREAM, start(1)),
        (13, STREAM, report(1, "Status: timeout")),
        (30, STREAM, start(2)),
        (33, STREAM, report(2, "")),
        // Lambda wrote it behind the report.
        (34, STREAM, late),
        (50, STREAM, start(3)),
        (53, STREAM, done),
    ];
    let found = rows(
        &session(&events),
        "SELECT timed_out, error, \"end\" IS NULL FROM lambda_invocations ORDER BY start",
    )
    .await;
    assert_eq!(
        found,
        [
            "true|Sandbox.Timedout|false",
            "true|Sandbox.Timedout|false",
            "true|Sandbox.Timedout|true"
        ]
    );
}

#[tokio::test]
async fn an_exception_without_a_request_id_is_of_the_request_that_runs() {
    let python = "[ERROR] PoolTimeout: 5.0s\nTraceback (most recent call last):\n\u{a0}\u{a0}File \"a.py\", line 1, in f\n";
    let node = "2026-11-20T15:00:31.000Z\t-\tERROR\tInvoke Error \t\n{\n    \"errorType\": \"RangeError\"\n}\n";
    let events = [
        (10, STREAM, start(1)),
        (11, STREAM, python.to_owned()),
        (12, STREAM, report(1, "")),
        (13, STREAM, python.to_owned()),
        (30, STREAM, start(2)),
        (31, STREAM, node.to_owned()),
        (32, STREAM, report(2, "")),
        (40, STREAM, start(3)),
        (
            41,
            STREAM,
            format!(
                "[ERROR]\t2026-11-20T15:00:41.000Z\t{}\tcaught: ValueError: x\nTraceback (most recent call last):\n  f\nValueError: x",
                id(3)
            ),
        ),
        (42, STREAM, report(3, "")),
    ];
    let found = rows(
        &session(&events),
        "SELECT error FROM lambda_invocations ORDER BY start",
    )
    .await;
    assert_eq!(found, ["PoolTimeout", "RangeError", "-"]);
}

#[tokio::test]
async fn errors_have_their_exception_and_whole_message() {
    let trace = "java.lang.IllegalStateException: no stock\n\tat com.example.A.b(A.java:1)";
    let events = [
        (
            10,
            STREAM,
            format!(
                "2026-11-21 00:00:10.000 {} ERROR A - failed\n{trace}",
                id(1)
            ),
        ),
        (11, STREAM, trace.to_owned()),
        (
            12,
            STREAM,
            "ts=2026-11-20T15:00:12Z level=error msg=\"no stock\"".to_owned(),
        ),
        (13, STREAM, format!("INFO retried\n{trace}")),
        (14, STREAM, "hello".to_owned()),
        (15, STREAM, report(1, "Status: timeout")),
    ];
    let sql = "SELECT level, exception, left(request_id, 8)::int, strpos(message, 'A.java') > 0 FROM errors ORDER BY timestamp";
    let found = rows(&session(&events), sql).await;
    assert_eq!(
        found,
        [
            "ERROR|java.lang.IllegalStateException|1|true",
            "ERROR|java.lang.IllegalStateException|-|true",
            "ERROR|-|-|false",
            "ERROR|Sandbox.Timedout|1|false",
        ]
    );
}

#[tokio::test]
async fn comparisons_of_times_restrict_the_scan() {
    let session = session(&[(10, STREAM, start(1)), (12, STREAM, report(1, ""))]);
    for (condition, expected) in [
        (
            "start >= '2026-11-21 09:00'",
            "timestamp >= 2026-11-21T08:59:00",
        ),
        (
            "'2026-11-21 09:00' > \"end\"",
            "timestamp <= 2026-11-21T09:01:00",
        ),
        (
            "start BETWEEN '2026-11-21 09:00' AND '2026-11-21 10:00'",
            "timestamp <= 2026-11-21T10:16:00",
        ),
        ("duration_ms > 5", ""),
    ] {
        let sql = format!("SELECT count(*) FROM lambda_invocations AS i WHERE {condition}");
        let statement = session.statement(&sql, "SQL").await.unwrap();
        let plan = session.context.state().optimize(&statement.plan).unwrap();
        let mut bounds = Vec::new();
        datafusion::common::tree_node::TreeNode::apply(&plan, |node| {
            if let datafusion::logical_expr::LogicalPlan::Filter(filter) = node {
                for part in datafusion::logical_expr::utils::split_conjunction(&filter.predicate) {
                    bounds.push(readable(&part.to_string()));
                }
            }
            Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
        })
        .unwrap();
        let restricts = bounds
            .iter()
            .any(|bound| bound.ends_with(expected) && bound.starts_with("timestamp"));
        assert_eq!(restricts, !expected.is_empty(), "{condition}: {bounds:?}");
    }
}

/// A comparison with its literal as a local time.
fn readable(comparison: &str) -> String {
    let digits: String = comparison
        .split("TimestampMillisecond(")
        .nth(1)
        .map(|rest| rest.chars().take_while(char::is_ascii_digit).collect())
        .unwrap_or_default();
    let Ok(ms) = digits.parse::<i64>() else {
        return comparison.to_owned();
    };
    let local = chrono::DateTime::from_timestamp_millis(ms).unwrap() + chrono::TimeDelta::hours(9);
    let head = comparison
        .split("TimestampMillisecond(")
        .next()
        .unwrap_or_default();
    let head = head.rsplit('.').next().unwrap_or_default();
    format!("{head}{}", local.format("%Y-%m-%dT%H:%M:%S"))
}
