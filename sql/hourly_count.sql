-- Events in each local hour of the window; empty hours count zero, an hour that a clock change repeats stays two.
SELECT
    hours.hour_local,
    hours.utc_offset,
    hours.hour_utc,
    hours.hour_of_day,
    coalesce(counted.events, 0) AS events
FROM hours
LEFT JOIN (
    SELECT time_bucket('1 hour', "timestamp") AS hour_utc, count(*) AS events
    FROM logs
    GROUP BY 1
) AS counted ON counted.hour_utc = hours.hour_utc
ORDER BY hours.hour_utc
