-- Events in each local hour; hours without any count zero.
--
-- columns:
--   hour_local    the local hour, as the wall clock shows it
--   utc_offset    its offset from UTC
--   hour_utc      its first instant
--   hour_of_day   0 to 23
--   events        events of the hour; an hour that a clock change repeats has two rows
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
