use super::*;
use crate::query::local_times::LocalTimes;
use arrow::array::{
    Array, LargeStringArray, RecordBatch, StringArray, StringViewArray, TimestampMillisecondArray,
};
use arrow::util::pretty::pretty_format_batches;
use datafusion::prelude::{SessionConfig, SessionContext};

fn session(zone: Option<&str>) -> SessionContext {
    let mut config = SessionConfig::new();
    config.options_mut().execution.time_zone = zone.map(str::to_owned);
    config.options_mut().sql_parser.dialect = datafusion::common::config::Dialect::PostgreSQL;
    let session = SessionContext::new_with_config(config);
    let zone = zone.and_then(|zone| zone.parse().ok());
    for function in all(zone.unwrap_or_default()) {
        session.register_udf(function.as_ref().clone());
    }
    session.add_analyzer_rule(Arc::new(LocalTimes));
    session
}

/// The rows of an answer, without the table's frame and header.
async fn rows(session: &SessionContext, sql: &str) -> Result<Vec<String>> {
    let batches = session.sql(sql).await?.collect().await?;
    let table = pretty_format_batches(&batches)?.to_string();
    let rows = table.lines().filter(|line| line.starts_with('|')).skip(1);
    Ok(rows
        .map(|row| {
            let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
            cells.join("|")
        })
        .collect())
}

async fn error(session: &SessionContext, sql: &str) -> String {
    rows(session, sql).await.unwrap_err().to_string()
}

/// Lines as public loggers and AWS services write them, each with its source and what the functions are to say of it;
/// NULL, where that is right, as much as a level.
#[test]
fn lines_of_public_loggers() {
    let lines = include_str!("../../../tests/messages/lines.ndjson");
    let mut wrong = Vec::new();
    for line in lines.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let message = line["message"].as_str().unwrap();
        let report = Report::parse(message);
        let said = [
            (
                "level",
                Level::of(message).map(|level| Level::NAMES[level as usize].into()),
            ),
            (
                "log_type",
                Some(LogType::NAMES[LogType::of(message) as usize].into()),
            ),
            ("request_id", request_id(message).map(Into::into)),
            ("trace_id", trace_id(message).map(Into::into)),
            (
                "report",
                report
                    .as_ref()
                    .map(|report| fields(report, &line["report"])),
            ),
        ];
        for (function, said) in said {
            let said: serde_json::Value = said.into();
            if line.get(function).is_some_and(|expected| *expected != said) {
                wrong.push(format!(
                    "{}: {function} is {said}, not {}: {message}",
                    line["name"], line[function]
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(lines.lines().count() > 500);
}

/// The fields of a report that are expected.
fn fields(report: &Report<'_>, expected: &serde_json::Value) -> serde_json::Value {
    let all = serde_json::json!({
        "request_id": report.request_id, "duration_ms": report.duration_ms, "billed_ms": report.billed_ms,
        "memory_mb": report.memory_mb, "max_memory_mb": report.max_memory_mb, "init_ms": report.init_ms,
        "restore_ms": report.restore_ms, "status": report.status, "error_type": report.error_type,
        "trace_id": report.trace_id,
    });
    let Some(expected) = expected.as_object() else {
        return all;
    };
    expected
        .keys()
        .map(|key| (key.clone(), all[key].clone()))
        .collect()
}

#[tokio::test]
async fn the_example_of_a_function_has_the_answer_beside_it() {
    let session = session(None);
    for function in all(Tz::UTC) {
        let examples = function
            .documentation()
            .and_then(|documentation| documentation.sql_example.clone());
        let Some((sql, answer)) = examples
            .as_deref()
            .and_then(|example| example.split_once("\n-- "))
        else {
            continue;
        };
        assert_eq!(rows(&session, sql).await.unwrap(), [answer], "{sql}");
    }
}

#[tokio::test]
async fn patterns_in_sql() {
    let session = session(None);
    let lines =
        "(VALUES ('order 7 handled'), ('order 8476a536 handled'), ('order lost')) AS v(message)";
    let sql = format!(
        "SELECT pattern(message) AS kind, pattern_id(message) AS id, count(*) FROM {lines} GROUP BY kind, id ORDER BY 3 DESC"
    );
    let kinds = rows(&session, &sql).await.unwrap();
    assert_eq!(
        kinds,
        [
            "order <*> handled|90a91af6fbee|2",
            "order lost|6ccb6e128f5e|1"
        ]
    );
    let sql = format!(
        "SELECT count(*) FROM {lines} WHERE pattern_id(message) = left(encode(sha256(pattern(message)), 'hex'), 12)"
    );
    assert_eq!(rows(&session, &sql).await.unwrap(), ["3"]);
    let nulls = "SELECT pattern(NULL), pattern_id(NULL), mask(NULL)";
    assert_eq!(rows(&session, nulls).await.unwrap(), ["||"]);
    let message = error(&session, "SELECT pattern(1)").await;
    assert!(
        message.contains("pattern of type Int64: expected a text such as message"),
        "{message}"
    );
}

#[tokio::test]
async fn a_filter_for_reports_does_not_read_them() {
    let session = session(None);
    session.add_optimizer_rule(Arc::new(ReportFilter));
    let reports = "SELECT message, lambda_report(message) AS report FROM (VALUES \
        ('REPORT RequestId: a\tDuration: 2.50 ms'), (NULL), ('hello'), ('{\"message\":\"platform.report\"}'), \
        ('{\"type\":\"platform.report\",\"record\":{\"requestId\":\"b\"}}')) AS v(message)";
    let of = |filter: &str| {
        format!(
            "SELECT count(*), count(message), max(report['request_id']) FROM ({reports}) AS r WHERE {filter}"
        )
    };
    for (filter, expected) in [
        ("report IS NOT NULL", "2|2|b"),
        ("report IS NULL", "3|2|"),
        ("NOT report IS NULL AND message LIKE 'R%'", "1|1|a"),
        ("NOT (report IS NOT NULL)", "3|2|"),
    ] {
        assert_eq!(
            rows(&session, &of(filter)).await.unwrap(),
            [expected],
            "{filter}"
        );
        let plan = session
            .sql(&of(filter))
            .await
            .unwrap()
            .into_optimized_plan()
            .unwrap();
        let plan = plan.display_indent().to_string();
        let filters: Vec<&str> = plan
            .lines()
            .filter(|line| line.contains("Filter: "))
            .collect();
        assert!(
            filters
                .iter()
                .all(|line| line.contains(" is_lambda_report("))
                && !filters.is_empty(),
            "{plan}"
        );
    }
}

#[tokio::test]
async fn time_is_that_of_the_session_zone() {
    let sql = "SELECT time_bucket('1 day', t), local_time(t), hour_of_day(t), utc_offset(t) \
               FROM (VALUES (TIMESTAMP '2026-11-21 20:30:00'), (NULL)) AS v(t)";
    let seoul = session(Some("Asia/Seoul"));
    assert_eq!(
        rows(&seoul, sql).await.unwrap(),
        [
            "2026-11-21T00:00:00+09:00|2026-11-21T20:30:00|20|+09:00",
            "|||"
        ]
    );
    assert_eq!(
        rows(&session(None), sql).await.unwrap()[0],
        "2026-11-21T00:00:00Z|2026-11-21T20:30:00|20|+00:00"
    );
    // The planner folds constants in the same zone.
    assert_eq!(
        rows(
            &seoul,
            "SELECT hour_of_day(TIMESTAMPTZ '2026-11-21T20:30:00Z'), hour_of_day(NULL)"
        )
        .await
        .unwrap(),
        ["5|"]
    );
}

#[tokio::test]
async fn timestamps_of_every_unit_are_taken() {
    let session = session(Some("America/New_York"));
    for unit in [
        "Timestamp(s)",
        "Timestamp(ms)",
        "Timestamp(us)",
        "Timestamp(ns)",
        "Timestamp(ns, \"America/New_York\")",
        "Utf8",
    ] {
        let sql = format!(
            "SELECT time_bucket('1 hour', arrow_cast(TIMESTAMPTZ '1883-11-18T00:00:00Z', '{unit}')), utc_offset(arrow_cast(TIMESTAMPTZ '1883-11-18T00:00:00Z', '{unit}'))"
        );
        assert_eq!(
            rows(&session, &sql).await.unwrap(),
            ["1883-11-17T19:00:00-04:56|-04:56:02"],
            "{unit}"
        );
    }
}

#[tokio::test]
async fn widths_are_texts_or_intervals() {
    let session = session(Some("Asia/Seoul"));
    for width in [
        "'6 hours'",
        "INTERVAL '6 hours'",
        "arrow_cast('6h', 'Utf8View')",
    ] {
        let sql = format!("SELECT time_bucket({width}, TIMESTAMP '2026-11-21 20:30:00')");
        assert_eq!(
            rows(&session, &sql).await.unwrap(),
            ["2026-11-21T18:00:00+09:00"],
            "{width}"
        );
    }
    for (width, named) in [
        ("'7 minutes'", "'7 minutes'"),
        ("INTERVAL '7 minutes'", "420000000000 nanoseconds"),
        ("5", "Int64"),
        ("NULL", "Null"),
    ] {
        let sql = format!(
            "SELECT time_bucket({width}, t) FROM (VALUES (TIMESTAMP '2026-11-21 20:30:00')) AS v(t)"
        );
        // The error comes from planning, not from running.
        let error = session.sql(&sql).await.unwrap_err().to_string();
        assert!(
            error.contains(named) && error.contains("expected"),
            "{error}"
        );
    }
    let error = error(&session, "SELECT time_bucket(w, t) FROM (VALUES ('1 hour', TIMESTAMP '2026-11-21 20:30:00')) AS v(w, t) WHERE random() < 2").await;
    assert!(error.contains("constant width"), "{error}");
}

#[tokio::test]
async fn wrong_zones_and_times_are_named() {
    let sql = "SELECT hour_of_day(t) FROM (VALUES (arrow_cast(9223372036854775807, 'Timestamp(ms)'))) AS v(t)";
    let far = error(&session(Some("Asia/Seoul")), sql).await;
    assert!(
        far.contains("9223372036854775807") && far.contains("expected"),
        "{far}"
    );
    let zone = error(&session(Some("Asia/Soul")), sql).await;
    assert!(
        zone.contains("'Asia/Soul'") && zone.contains("expected"),
        "{zone}"
    );
    let number = error(&session(None), "SELECT hour_of_day(5)").await;
    assert!(
        number.contains("Int64") && number.contains("expected a timestamp"),
        "{number}"
    );
    let number = error(&session(None), "SELECT level(5)").await;
    assert!(
        number.contains("Int64") && number.contains("expected a text"),
        "{number}"
    );
}

#[tokio::test]
async fn messages_of_every_text_type_are_taken() {
    let texts = [
        Some("ERROR boom"),
        None,
        Some("[info] it is a longer message, out of line"),
    ];
    let arrays: [ArrayRef; 3] = [
        Arc::new(StringViewArray::from_iter(texts)),
        Arc::new(StringArray::from_iter(texts)),
        Arc::new(LargeStringArray::from_iter(texts)),
    ];
    for array in arrays {
        let name = array.data_type().to_string();
        let session = session(None);
        session
            .register_batch(
                "t",
                RecordBatch::try_from_iter([("message", array)]).unwrap(),
            )
            .unwrap();
        for message in ["message", "arrow_cast(message, 'Dictionary(Int32, Utf8)')"] {
            let sql = format!("SELECT level({message}), log_type({message}) FROM t");
            assert_eq!(
                rows(&session, &sql).await.unwrap(),
                ["ERROR|text", "|", "INFO|text"],
                "{name} {message}"
            );
        }
    }
}

#[tokio::test]
async fn questions_that_users_ask() {
    let session = session(Some("Asia/Seoul"));
    let id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";
    let messages = [
        format!("START RequestId: {id} Version: $LATEST"),
        format!(r#"{{"level":"error","message":"boom","function_request_id":"{id}"}}"#),
        format!(
            "REPORT RequestId: {id}\tDuration: 12.50 ms\tBilled Duration: 13 ms\tMemory Size: 512 MB\tMax Memory Used: 60 MB\tInit Duration: 300.25 ms\t"
        ),
        format!(
            "REPORT RequestId: {id}\tDuration: 7.50 ms\tBilled Duration: 8 ms\tMemory Size: 512 MB\tMax Memory Used: 60 MB\t"
        ),
    ];
    let instants = TimestampMillisecondArray::from(vec![0, 1, 2, 3_600_000]).with_timezone("UTC");
    let batch = RecordBatch::try_from_iter([
        ("timestamp", Arc::new(instants) as ArrayRef),
        (
            "message",
            Arc::new(StringViewArray::from_iter_values(&messages)) as ArrayRef,
        ),
    ]);
    session.register_batch("logs", batch.unwrap()).unwrap();
    for (sql, expected) in [
        (
            "SELECT time_bucket('1 hour', timestamp) AS hour, level(message) AS level, count(*) FROM logs GROUP BY 1, 2 ORDER BY 1, 2",
            vec![
                "1970-01-01T00:00:00Z|ERROR|1",
                "1970-01-01T00:00:00Z||2",
                "1970-01-01T01:00:00Z||1",
            ],
        ),
        (
            "SELECT sum(lambda_report(message)['duration_ms']), count(lambda_report(message)['init_ms']), count(*) FROM logs \
             WHERE lambda_report(message) IS NOT NULL",
            vec!["20.0|1|2"],
        ),
        (
            "SELECT log_type(message), request_id(message) = lambda_report(message)['request_id'], trace_id(message) FROM logs ORDER BY timestamp",
            vec!["start||", "json||", "report|true|", "report|true|"],
        ),
        (
            "SELECT request_id(message), count(*) FROM logs GROUP BY 1",
            vec!["8476a536-e9f4-11e8-9739-2dfe598c3fcd|4"],
        ),
        (
            "SELECT lambda_report('hello'), level('ERROR'), level(NULL)",
            vec!["|ERROR|"],
        ),
    ] {
        assert_eq!(rows(&session, sql).await.unwrap(), expected, "{sql}");
    }
}
