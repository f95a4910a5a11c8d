-- The slowest invocation of each function: in the job file's folder, so a changed query needs no new image.
SELECT
    log_group,
    max(report['duration_ms']) AS slowest_ms,
    count(*) FILTER (WHERE report['status'] = 'timeout') AS timeouts
FROM (
    SELECT log_group, lambda_report(message) AS report
    FROM logs
    WHERE lambda_report(message) IS NOT NULL
) AS reports
GROUP BY log_group
ORDER BY log_group
