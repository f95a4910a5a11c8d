-- Timeouts of each Lambda function in each local hour.
--
-- columns:
--   hour_local   the local hour, as the wall clock shows it
--   function     the function; NULL in an hour without timeouts
--   timeouts     invocations that took too long
--   after_ms     after how many milliseconds they ended
-- chart:
--   kind = "stacked-bar"
--   x = "hour_local"
--   y = "timeouts"
--   series = "function"
SELECT
    hours.hour_local,
    counted.function,
    coalesce(counted.timeouts, 0) AS timeouts,
    counted.after_ms
FROM hours
LEFT JOIN (
    SELECT
        time_bucket('1 hour', coalesce("end", start)) AS hour_utc,
        function,
        count(*) AS timeouts,
        max(duration_ms) AS after_ms
    FROM lambda_invocations
    WHERE timed_out
    GROUP BY 1, 2
) AS counted ON counted.hour_utc = hours.hour_utc
ORDER BY hours.hour_utc, counted.function
