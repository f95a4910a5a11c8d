-- Events by local hour of the day, over all days of the window.
--
-- columns:
--   hour_of_day   0 to 23
--   events        events of that hour, of all days
-- chart:
--   kind = "bar"
--   x = "hour_of_day"
--   y = "events"
SELECT hours.hour_of_day, CAST(sum(coalesce(counted.events, 0)) AS BIGINT) AS events
FROM hours
LEFT JOIN (
    SELECT time_bucket('1 hour', "timestamp") AS hour_utc, count(*) AS events
    FROM logs
    GROUP BY 1
) AS counted ON counted.hour_utc = hours.hour_utc
GROUP BY hours.hour_of_day
ORDER BY hours.hour_of_day
