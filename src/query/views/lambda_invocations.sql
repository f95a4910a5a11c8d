-- Invocations of Lambda functions: one row for each REPORT line, and for each START line whose report is not in the window.
WITH said AS (
    SELECT
        log_group,
        log_stream,
        "timestamp",
        event['step'] AS step,
        event['request_id'] AS request_id,
        event['version'] AS version,
        event['error'] AS error,
        report['duration_ms'] AS duration_ms,
        report['billed_ms'] AS billed_ms,
        report['init_ms'] AS init_ms,
        report['restore_ms'] AS restore_ms,
        report['memory_mb'] AS memory_mb,
        report['max_memory_mb'] AS max_memory_mb,
        report['trace_id'] AS trace_id
    FROM (
        SELECT *, lambda_event(message) AS event, lambda_report(message) AS report FROM logs
    ) AS lines
    WHERE event IS NOT NULL
),
numbered AS (
    SELECT
        *,
        invocation_number(step, request_id)
            OVER (PARTITION BY log_group, log_stream ORDER BY "timestamp", step) AS invocation
    FROM said
),
joined AS (
    SELECT
        log_group,
        log_stream,
        max(request_id) AS request_id,
        max(version) AS version,
        min("timestamp") FILTER (WHERE step = 0) AS started,
        max("timestamp") FILTER (WHERE step = 3) AS ended,
        max(duration_ms) AS duration_ms,
        max(billed_ms) AS billed_ms,
        max(init_ms) AS init_ms,
        max(restore_ms) AS restore_ms,
        max(memory_mb) AS memory_mb,
        max(max_memory_mb) AS max_memory_mb,
        max(trace_id) AS trace_id,
        -- The exception says more than Lambda's report, and the report more than Lambda's other lines.
        coalesce(
            max(error) FILTER (WHERE step = 1),
            max(error) FILTER (WHERE step = 3),
            max(error) FILTER (WHERE step = 2)
        ) AS error,
        bool_or(coalesce(error = 'Sandbox.Timedout', false)) AS timed_out
    FROM numbered
    WHERE invocation IS NOT NULL
    GROUP BY log_group, log_stream, invocation
)
SELECT
    log_group,
    log_stream,
    -- `/aws/lambda/NAME`; in a log group of another name, the log stream has the function's name.
    coalesce(
        regexp_match(log_stream, '^[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}[-/]([A-Za-z0-9_-]+)\[')[1],
        regexp_match(log_group, '^/aws/lambda/(.+)$')[1]
    ) AS function,
    coalesce(version, regexp_match(log_stream, '\[([^\[\]]+)\][0-9a-f]{32}$')[1]) AS version,
    request_id,
    coalesce(started, to_timestamp_millis(ended::bigint - round(duration_ms)::bigint)) AS start,
    ended AS "end",
    duration_ms,
    billed_ms,
    init_ms,
    restore_ms,
    CASE WHEN ended IS NOT NULL THEN init_ms IS NOT NULL OR restore_ms IS NOT NULL END AS cold_start,
    timed_out,
    error,
    memory_mb,
    max_memory_mb,
    billed_ms * memory_mb / 1024000.0 AS gb_seconds,
    trace_id
FROM joined
