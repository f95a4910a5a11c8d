-- Events and errors in each local hour until 18:25 of the demo's day: what logs have that nobody has written yet.
SELECT
    hours.hour_local,
    hours.utc_offset,
    hours.hour_utc,
    hours.hour_of_day,
    coalesce(counted.events, 0) AS events,
    coalesce(counted.errors, 0) AS errors
FROM hours
LEFT JOIN (
    SELECT
        time_bucket('1 hour', "timestamp") AS hour_utc,
        count(*) AS events,
        count(*) FILTER (WHERE level(message) IN ('ERROR', 'FATAL')) AS errors
    FROM logs
    WHERE "timestamp" < '2026-11-21T18:25:00+09:00'
    GROUP BY 1
) AS counted ON counted.hour_utc = hours.hour_utc
ORDER BY hours.hour_utc
