-- Events and errors in each local hour of the window; hours without any count zero.
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
    GROUP BY 1
) AS counted ON counted.hour_utc = hours.hour_utc
ORDER BY hours.hour_utc
