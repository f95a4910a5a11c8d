-- Events of each level in each local hour of the window, NULL being those that name none; an hour without any has a
-- row of zero.
SELECT
    hours.hour_local,
    hours.utc_offset,
    hours.hour_utc,
    counted.level,
    coalesce(counted.events, 0) AS events
FROM hours
LEFT JOIN (
    SELECT
        time_bucket('1 hour', "timestamp") AS hour_utc,
        level(message) AS level,
        count(*) AS events
    FROM logs
    GROUP BY 1, 2
) AS counted ON counted.hour_utc = hours.hour_utc
ORDER BY hours.hour_utc, counted.level
