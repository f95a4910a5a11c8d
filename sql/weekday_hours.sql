-- Events by weekday and hour of the day, over all days of the window.
--
-- columns:
--   weekday       1 for Monday to 7 for Sunday
--   day           Mon to Sun
--   hour_of_day   0 to 23
--   events        events of that hour on these weekdays
-- chart:
--   kind = "heatmap"
--   x = "hour_of_day"
--   y = "events"
--   series = "day"
SELECT
    CAST(extract(isodow FROM hours.hour_local) AS INT) AS weekday,
    to_char(hours.hour_local, 'Dy') AS day,
    hours.hour_of_day,
    CAST(sum(coalesce(counted.events, 0)) AS BIGINT) AS events
FROM hours
LEFT JOIN (
    SELECT time_bucket('1 hour', "timestamp") AS hour_utc, count(*) AS events
    FROM logs
    GROUP BY 1
) AS counted ON counted.hour_utc = hours.hour_utc
GROUP BY 1, 2, 3
ORDER BY 1, 3
