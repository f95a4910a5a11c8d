//! Wrong queries that are told before anything is exported, and right ones that are not.

use crate::error::{Class, Result};
use crate::query::Engine;
use crate::window::{Size, Window};

/// Tries a query of a job over `logs` and `hours`, without rows.
async fn tried(sql: &str) -> Result<()> {
    let scratch = tempfile::tempdir().unwrap();
    let engine = Engine::new(1 << 26, scratch.path()).unwrap();
    let window = Window::parse(Size::Day, chrono_tz::UTC, "2026-11-20").unwrap();
    let session = engine.session(chrono_tz::UTC)?.expect_logs()?;
    let session = session.expect_window(window.range())?;
    let query = session.prepare(sql, "q.sql").await?;
    let statement = session.bind(&query).await?;
    session.rehearse(&statement).await
}

/// Each query fails, with this text in its error.
async fn refused(cases: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for (sql, expected) in cases {
        match tried(sql).await {
            Ok(()) => wrong.push(format!("{sql}\n  passes")),
            Err(error) if error.class() != Class::Sql || !error.to_string().contains(expected) => {
                wrong.push(format!("{sql}\n  {:?}: {error}", error.class()));
            }
            Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn constants_that_fail_are_told() {
    refused(&[
        ("SELECT 1/0 AS n", "q.sql:1:9: division by zero"),
        ("SELECT count(*) / 0 AS n FROM logs", "division by zero"),
        (
            "SELECT length(message) % (2 - 2) AS n FROM logs",
            "division by zero",
        ),
        (
            "SELECT message FROM logs WHERE length(message) / 0 > 1",
            "division by zero",
        ),
        (
            "WITH a AS (SELECT 1/0 AS n) SELECT n FROM a",
            "q.sql:1:20: division by zero",
        ),
        (
            "SELECT 'x'::int AS n FROM logs",
            "q.sql:1:8: invalid input syntax for type integer: \"x\"",
        ),
        (
            "SELECT count(*) AS n FROM logs WHERE length(message) > 'many'",
            "q.sql:1:56: ",
        ),
        (
            "SELECT count(*) AS n FROM logs WHERE length(message) IN (1, 'two')",
            "q.sql:1:61: invalid input syntax for type bigint: \"two\"",
        ),
        ("SELECT 40000::smallint AS n FROM logs", "40000"),
        (
            "SELECT 'maybe'::boolean AS n FROM logs",
            "type boolean: \"maybe\"",
        ),
        (
            "SELECT sqrt(-1) AS n FROM logs",
            "q.sql:1:8: cannot take square root",
        ),
        (
            "SELECT power(0, -1) AS n",
            "zero raised to a negative power",
        ),
        ("SELECT factorial(30) AS n FROM logs", "FACTORIAL(30)"),
        ("SELECT make_date(2026, 13, 1) AS n FROM logs", "'13'"),
        (
            "SELECT decode('zz', 'hex') AS n FROM logs",
            "Invalid character 'z'",
        ),
        (
            "SELECT log_stream FROM logs GROUP BY 1 HAVING count(*) > 'x'::int",
            "q.sql:1:58: invalid input syntax for type integer: \"x\"",
        ),
        (
            "SELECT count(*) AS n FROM logs WHERE timestamp > 'yesterday'",
            "q.sql:1:50: ",
        ),
        (
            "SELECT timestamp + interval '1 hou' AS n FROM logs",
            "1 hou",
        ),
    ])
    .await;
}

#[tokio::test]
async fn constants_that_functions_can_not_read_are_told() {
    refused(&[
        ("SELECT count(*) AS n FROM logs WHERE message ~ '('", "q.sql:1:48: invalid regular expression \"(\": unclosed group"),
        ("SELECT count(*) AS n FROM logs WHERE 'x' ~ '('", "q.sql:1:44: invalid regular expression"),
        ("SELECT message FROM logs WHERE message ~* '[z-a]'", "invalid character class range"),
        ("SELECT message FROM logs WHERE log_stream !~ '(?<=a)b'", "look-behind"),
        ("SELECT regexp_replace(message, '(', '') AS n FROM logs", "q.sql:1:32: "),
        ("SELECT regexp_replace(message, 'a', 'b', 'q') AS n FROM logs", "unrecognized flag"),
        ("SELECT regexp_match(message, '*')[1] AS n FROM logs", "repetition operator"),
        ("SELECT regexp_count(message, '(') AS n FROM logs", "q.sql:1:30: "),
        ("SELECT regexp_instr(message, '(') AS n FROM logs", "q.sql:1:30: "),
        ("SELECT split_part(message, ',', 0) AS n FROM logs", "must not be zero"),
        ("SELECT substr(message, 1, -1) AS n FROM logs", "q.sql:1:8: negative substring length"),
        ("SELECT generate_series(timestamp, timestamp, interval '0 hours') AS n FROM logs", "must not be 0"),
        ("SELECT overlay(message placing 'x' from 0) AS n FROM logs", "at least 1: 0"),
        ("SELECT count(*) FILTER (WHERE message ~ '(') AS n FROM logs", "invalid regular expression \"(\""),
        ("SELECT sum(CASE WHEN message ~ '(' THEN 1 ELSE 0 END) AS n FROM logs", "invalid regular expression \"(\""),
        ("SELECT CASE WHEN length(message) > 3 THEN regexp_replace(message, '(', '') END AS n FROM logs", "invalid regular expression \"(\""),
        ("SELECT a.message FROM logs a LEFT JOIN logs b ON a.log_stream = b.log_stream AND b.message ~ '('", "invalid regular expression \"(\""),
        ("SELECT message FROM logs ORDER BY regexp_replace(message, '(', '')", "invalid regular expression \"(\""),
        ("SELECT date_trunc('fortnight', timestamp) AS n FROM logs", "q.sql:1:19: "),
        ("SELECT date_trunc(message, timestamp) AS n FROM logs", "scalar"),
        ("SELECT extract(foo from timestamp) AS n FROM logs", "q.sql:1:16: "),
        ("SELECT date_part('foo', timestamp) AS n FROM logs", "q.sql:1:18: unit \"foo\""),
        ("SELECT coalesce(level(message), date_trunc('foo', timestamp)::text) AS n FROM logs", "q.sql:1:44: unit \"foo\""),
        ("SELECT time_bucket(message, timestamp) AS n FROM logs", "q.sql:1:8: time_bucket: expected a constant width"),
        ("SELECT time_bucket('7 hours', timestamp) AS n FROM logs", "q.sql:1:20: time_bucket: invalid width '7 hours'"),
        ("SELECT to_char(timestamp, 'QQQ blah') AS n FROM logs", "q.sql:1:27: to_char"),
        ("SELECT to_date(message, 'YYYY-MM-DD') AS n FROM logs", "q.sql:1:25: to_date"),
        ("SELECT timestamp AT TIME ZONE 'Asia/Soul' AS n FROM logs", "Asia/Soul"),
        ("SELECT encode(message, 'base65') AS n FROM logs", "base65"),
        ("SELECT message FROM logs WHERE message LIKE 'a\\'", "q.sql:1:45: LIKE pattern must not end with an escape character: 'a\\'"),
        ("SELECT message FROM logs WHERE message NOT ILIKE '%\\\\\\'", "must not end with an escape character"),
        ("SELECT message FROM logs WHERE message ~~ 'a\\'", "must not end with an escape character"),
        ("SELECT message FROM logs WHERE message SIMILAR TO 'a\\'", "must not end with an escape character"),
        ("SELECT message FROM logs WHERE message SIMILAR TO 'a!' ESCAPE '!'", "must not end with an escape character"),
        ("SELECT message->>'$.level' AS n FROM logs", "q.sql:1:18: '$.level' is a path of another engine: expected the names of members (hint: write message->>'level', or json_as_text(message, '$.level'))"),
        ("SELECT message->>'$.items[0].id' AS n FROM logs", "message->'items'->0->>'id'"),
        ("SELECT json_get_str(message, '$.items[*].id') AS n FROM logs", "is no step"),
        ("SELECT timestamp AT TIME ZONE 'KST' AS n FROM logs", "q.sql:1:31: "),
        ("SELECT digest(message, 'md7') AS n FROM logs", "md7"),
        ("SELECT message->>(1.5) AS n FROM logs", "->> can't take double precision"),
    ])
    .await;
}

#[tokio::test]
async fn arguments_of_aggregates_and_windows_that_have_to_be_constant_are_told() {
    refused(&[
        (
            "SELECT percentile_cont(length(message), 1.5) AS n FROM logs",
            "q.sql:1:8: percentile value 1.5 is not between",
        ),
        (
            "SELECT percentile_cont(-0.1) WITHIN GROUP (ORDER BY length(message)) AS n FROM logs",
            "value -0.1 is not between",
        ),
        (
            "SELECT log_stream, percentile_cont(length(message), 2) AS n FROM logs GROUP BY 1",
            "value 2 is not between",
        ),
        (
            "SELECT percentile_cont(length(message), length(message)) AS n FROM logs",
            "expected a constant",
        ),
        (
            "SELECT percentile_cont(length(message), 1.5) OVER () AS n FROM logs",
            "value 1.5 is not between",
        ),
        (
            "SELECT approx_percentile_cont(length(message), 1.5) AS n FROM logs",
            "value 1.5 is not between",
        ),
        (
            "SELECT string_agg(message, log_stream) AS n FROM logs",
            "delimiter",
        ),
        (
            "SELECT ntile(0) OVER (ORDER BY timestamp) AS n FROM logs",
            "greater than zero",
        ),
        (
            "SELECT lag(message, length(message)) OVER (ORDER BY timestamp) AS n FROM logs",
            "q.sql:1:8: ",
        ),
        (
            "SELECT nth_value(message, 0) OVER (ORDER BY timestamp) AS n FROM logs",
            "q.sql:1:8: argument of nth_value must be greater than zero, not 0",
        ),
        (
            "SELECT nth_value(message, -1) OVER (ORDER BY timestamp) AS n FROM logs",
            "greater than zero, not -1",
        ),
        (
            "SELECT nth_value(message, 1.5) OVER (ORDER BY timestamp) AS n FROM logs",
            "q.sql:1:8: the second argument of nth_value must be a whole number",
        ),
        (
            "SELECT lag(message, 1, 7) OVER (ORDER BY timestamp) AS n FROM logs",
            "q.sql:1:8: the default of lag has another type than its values: text and bigint",
        ),
        (
            "SELECT lead(timestamp, 1, 7) OVER (ORDER BY timestamp) AS n FROM logs",
            "the default of lead has another type",
        ),
        (
            "SELECT lag(length(message), 1, level(message)) OVER (ORDER BY timestamp) AS n FROM logs",
            "the default of lag has another type",
        ),
        (
            "SELECT lag(length(message), 1, 'none') OVER (ORDER BY timestamp) AS n FROM logs",
            "q.sql:1:32: invalid input syntax for type integer",
        ),
        (
            "SELECT ntile(-2) OVER (ORDER BY timestamp) AS n FROM logs",
            "q.sql:1:8: ",
        ),
        (
            "SELECT ntile('x') OVER (ORDER BY timestamp) AS n FROM logs",
            "q.sql:1:8: ",
        ),
        (
            "SELECT sum(length(message)) OVER (ORDER BY timestamp ROWS BETWEEN 1 FOLLOWING AND 1 PRECEDING) AS n FROM logs",
            "invalid window frame",
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_the_engine_can_not_carry_out_is_told() {
    refused(&[
        ("SELECT message FROM logs LIMIT -1", "q.sql:1:26: LIMIT"),
        ("SELECT message FROM logs ORDER BY 1 LIMIT 1 OFFSET -1", "OFFSET"),
        ("SELECT message FROM logs LIMIT 'x'", "LIMIT"),
        ("SELECT message FROM logs LIMIT (SELECT count(*) FROM logs)", "LIMIT"),
        ("SELECT log_stream, (SELECT message FROM logs b WHERE b.log_stream = a.log_stream LIMIT 1) AS n FROM logs a", "expected a join"),
        ("SELECT log_stream, (SELECT count(*) FROM logs b WHERE b.timestamp < a.timestamp) AS n FROM logs a", "a.timestamp of the query around it"),
        ("SELECT log_stream, EXISTS (SELECT 1 FROM logs b WHERE b.log_stream = a.log_stream) AS n FROM logs a", "q.sql:1:20: EXISTS"),
        ("SELECT a.log_stream, b.n FROM logs a CROSS JOIN LATERAL (SELECT length(a.message) AS n) AS b", "q.sql:1:49: "),
        ("SELECT a.log_stream FROM logs a, LATERAL (SELECT message FROM logs b WHERE b.log_stream = a.log_stream ORDER BY timestamp LIMIT 1) AS b", "expected a join"),
        ("SELECT message FROM logs WHERE row_number() OVER (ORDER BY timestamp) = 1", "expected it in a sub-select"),
        ("SELECT message FROM logs WHERE count(*) > 1", "HAVING"),
        ("SELECT message, count(*) AS n FROM logs GROUP BY nope", "nope"),
        ("SELECT foo(message) AS n FROM logs", "q.sql:1:8: function foo does not exist"),
        ("SELECT strpos(message) AS n FROM logs", "q.sql:1:8: "),
        ("SELECT level(message, 2) AS n FROM logs", "q.sql:1:8: "),
        ("SELECT sum(message) AS n FROM logs", "q.sql:1:8: function sum can't take text"),
        ("SELECT count(*) AS n FROM logs WHERE message", "boolean"),
        ("SELECT 1 AS a; SELECT 2 AS b", "several statements"),
        ("EXPLAIN SELECT 1 AS n", "EXPLAIN is no question of a job"),
        ("-- why\n explain analyze SELECT 1 AS n", "EXPLAIN is no question of a job"),
        ("SHOW TABLES", "SHOW is no question of a job"),
        ("DESCRIBE logs", "DESCRIBE is no question of a job"),
        ("SELECT message FROM logs WHERE message SIMILAR TO log_stream", "expected a pattern"),
    ])
    .await;
}

#[tokio::test]
async fn what_only_rows_can_show_is_left_to_the_run() {
    for sql in [
        "SELECT message::int AS n FROM logs",
        "SELECT 1 / length(message) AS n FROM logs",
        "SELECT (SELECT message FROM logs) AS n",
        "SELECT CASE WHEN count(*) = 0 THEN 1/0 ELSE count(*) END AS n FROM logs",
        "SELECT coalesce(max(length(message)), 1/0) AS n FROM logs",
        "SELECT 1.0 / 0 AS n",
        "SELECT TRY_CAST('x' AS int) AS n FROM logs",
        "SELECT message FROM logs WHERE false AND 1/0 = 1",
        "SELECT nth_value(message, 2) OVER (ORDER BY timestamp) AS n FROM logs",
        "SELECT lag(message, 1, 'none') OVER (ORDER BY timestamp), lag(length(message), 1, 7.5) OVER (ORDER BY timestamp), lag(message, 1, NULL) OVER (ORDER BY timestamp), lead(timestamp, 1, '2026-11-21') OVER (ORDER BY timestamp) FROM logs",
        "SELECT message FROM logs WHERE message LIKE 'a\\\\' OR message LIKE '' OR message LIKE log_stream",
        "SELECT lag(message) OVER (ORDER BY timestamp), sum(length(message)) OVER (ORDER BY timestamp ROWS 2 PRECEDING) FROM logs",
        "SELECT regexp_match(message, '(a)(b)')[2], regexp_count(message, log_stream) FROM logs",
        "SELECT split_part(message, ',', -1), overlay(message placing 'x' from 1) FROM logs",
        "SELECT log_stream, (SELECT count(*) FROM logs b WHERE b.log_stream = a.log_stream) AS n FROM logs a",
        "SELECT message FROM logs a WHERE EXISTS (SELECT 1 FROM logs b WHERE b.log_stream = a.log_stream)",
        "SELECT hour_utc, count(timestamp) AS n FROM hours LEFT JOIN logs ON time_bucket('1 hour', timestamp) = hour_utc GROUP BY 1",
        "SELECT log_group, log_stream, count(*) FROM logs GROUP BY GROUPING SETS ((log_group), (log_stream), ())",
        "SELECT substr(message, 3, 2), generate_series(1, length(message), 2), generate_series(timestamp, timestamp, interval '1 hour') FROM logs",
        "SELECT unnest(string_to_array(message, ',')) AS part FROM logs",
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) SELECT max(i) AS i FROM n",
        "SELECT max(value) AS n FROM generate_series(1, 1000000000000)",
        "SELECT to_timestamp(message, '%Y-%m-%d') AS n, message->'a'->>'b' AS m, to_char(timestamp, 'HH24') AS h FROM logs",
        "SELECT message FROM logs WHERE timestamp >= $window_start AND $timezone = 'UTC'",
        "VALUES (1), (2)",
    ] {
        if let Err(error) = tried(sql).await {
            panic!("{sql}: {error}");
        }
    }
}

/// The plan's own type of a column is that of its first branch.
#[tokio::test]
async fn the_type_of_a_column_is_that_of_all_branches() {
    let scratch = tempfile::tempdir().unwrap();
    let engine = Engine::new(1 << 26, scratch.path()).unwrap();
    let session = engine.session(chrono_tz::UTC).unwrap();
    for (sql, expected) in [
        ("SELECT 1 AS n UNION ALL SELECT 1.5", "Float64"),
        (
            "SELECT 1::int AS n UNION ALL SELECT 9223372036854775807",
            "Int64",
        ),
        ("SELECT 1 AS n UNION SELECT 'x'", "Utf8"),
    ] {
        let query = session.prepare(sql, "SQL").await.unwrap();
        let statement = session.bind(&query).await.unwrap();
        let schema = statement.schema();
        assert_eq!(schema.field(0).data_type().to_string(), expected, "{sql}");
    }
}
