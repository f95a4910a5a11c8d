-- The most memory that a call of a Lambda function took, in each local hour of the window.
SELECT hours.hour_local, max(report['max_memory_mb']) AS max_memory_mb
FROM hours
LEFT JOIN (
    SELECT time_bucket('1 hour', timestamp) AS hour_utc, lambda_report(message) AS report
    FROM logs
) AS reports ON reports.hour_utc = hours.hour_utc
GROUP BY hours.hour_utc, hours.hour_local
ORDER BY hours.hour_utc
