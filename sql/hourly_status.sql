-- Requests of access logs in each local hour, by the class of their status code.
--
-- columns:
--   hour_local   the local hour, as the wall clock shows it
--   class        2xx to 5xx; NULL in an hour without requests
--   requests     requests with such a status
-- chart:
--   kind = "stacked-bar"
--   x = "hour_local"
--   y = "requests"
--   series = "class"
SELECT hours.hour_local, counted.class, coalesce(counted.requests, 0) AS requests
FROM hours
LEFT JOIN (
    SELECT time_bucket('1 hour', "timestamp") AS hour_utc, concat(status / 100, 'xx') AS class, count(*) AS requests
    FROM (SELECT "timestamp", parse_access_log(message)['status'] AS status FROM logs) AS lines
    WHERE status IS NOT NULL
    GROUP BY 1, 2
) AS counted ON counted.hour_utc = hours.hour_utc
ORDER BY hours.hour_utc, counted.class
