-- Buckets of local time: the day of Seoul begins at 15:00 UTC.
SELECT time_bucket('6 hours', timestamp) AS bucket, local_time(time_bucket('6 hours', timestamp)) AS local, count(*) AS events
FROM logs
GROUP BY 1, 2
ORDER BY 1
