-- Events, errors, and events that state no level, in each local hour.
--
-- columns:
--   hour_local    the local hour, as the wall clock shows it
--   utc_offset    its offset from UTC
--   hour_utc      its first instant
--   hour_of_day   0 to 23
--   events        events of the hour
--   errors        events whose level is ERROR or FATAL
--   no_level      events that state no level
SELECT
    hours.hour_local,
    hours.utc_offset,
    hours.hour_utc,
    hours.hour_of_day,
    coalesce(counted.events, 0) AS events,
    coalesce(counted.errors, 0) AS errors,
    coalesce(counted.no_level, 0) AS no_level
FROM hours
LEFT JOIN (
    SELECT
        hour_utc,
        count(*) AS events,
        count(*) FILTER (WHERE level IN ('ERROR', 'FATAL')) AS errors,
        count(*) FILTER (WHERE level IS NULL) AS no_level
    FROM (
        SELECT time_bucket('1 hour', "timestamp") AS hour_utc, level(message) AS level
        FROM logs
    ) AS stated
    GROUP BY 1
) AS counted ON counted.hour_utc = hours.hour_utc
ORDER BY hours.hour_utc
