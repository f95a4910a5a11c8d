-- Events of each level in each local hour.
--
-- columns:
--   hour_local   the local hour, as the wall clock shows it
--   utc_offset   its offset from UTC
--   hour_utc     its first instant
--   level        TRACE to FATAL; NULL of events that state none, and of an hour without any event
--   events       events of that level
--   no_level     events that state no level
-- chart:
--   kind = "stacked-bar"
--   x = "hour_local"
--   y = "events"
--   series = "level"
SELECT
    hours.hour_local,
    hours.utc_offset,
    hours.hour_utc,
    counted.level,
    coalesce(counted.events, 0) AS events,
    coalesce(counted.no_level, 0) AS no_level
FROM hours
LEFT JOIN (
    SELECT
        hour_utc,
        level,
        count(*) AS events,
        count(*) FILTER (WHERE level IS NULL) AS no_level
    FROM (
        SELECT time_bucket('1 hour', "timestamp") AS hour_utc, level(message) AS level
        FROM logs
    ) AS stated
    GROUP BY 1, 2
) AS counted ON counted.hour_utc = hours.hour_utc
ORDER BY hours.hour_utc, counted.level
