-- Latency of Lambda calls in each hour, out of the REPORT lines.
SELECT
    hour_of_day(timestamp) AS hour,
    count(*) AS calls,
    round(percentile_cont(0.95) WITHIN GROUP (ORDER BY report['duration_ms']), 2) AS p95_ms,
    max(report['duration_ms']) AS max_ms,
    count(report['init_ms']) AS cold_starts,
    count(*) FILTER (WHERE report['status'] = 'timeout') AS timeouts
FROM (SELECT timestamp, lambda_report(message) AS report FROM logs) AS reports
WHERE report IS NOT NULL
GROUP BY 1
ORDER BY 1
