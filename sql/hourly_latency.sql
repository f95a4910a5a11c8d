-- Invocations of Lambda functions and percentiles of their duration, in each local hour.
--
-- columns:
--   hour_local   the local hour, as the wall clock shows it
--   utc_offset   its offset from UTC
--   hour_utc     its first instant
--   calls        invocations that ended in the hour
--   p50          the median of their duration, in milliseconds; NULL in an hour without any
--   p95          the 95th percentile
--   p99          the 99th percentile
-- chart:
--   kind = "band"
--   x = "hour_local"
--   y = ["p50", "p95", "p99"]
--   unit = "ms"
SELECT
    hours.hour_local,
    hours.utc_offset,
    hours.hour_utc,
    coalesce(reports.calls, 0) AS calls,
    reports.p50,
    reports.p95,
    reports.p99
FROM hours
LEFT JOIN (
    SELECT
        time_bucket('1 hour', "timestamp") AS hour_utc,
        count(*) AS calls,
        percentile_cont(report['duration_ms'], 0.5) AS p50,
        percentile_cont(report['duration_ms'], 0.95) AS p95,
        percentile_cont(report['duration_ms'], 0.99) AS p99
    FROM (SELECT "timestamp", lambda_report(message) AS report FROM logs) AS calls
    WHERE report IS NOT NULL
    GROUP BY 1
) AS reports ON reports.hour_utc = hours.hour_utc
ORDER BY hours.hour_utc
