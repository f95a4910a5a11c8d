-- Errors of each log group in each local hour.
--
-- columns:
--   hour_local   the local hour, as the wall clock shows it
--   log_group    NULL in an hour without errors
--   errors       events of the view errors: ERROR, FATAL, and exceptions without a level
-- chart:
--   kind = "stacked-bar"
--   x = "hour_local"
--   y = "errors"
--   series = "log_group"
SELECT hours.hour_local, counted.log_group, coalesce(counted.errors, 0) AS errors
FROM hours
LEFT JOIN (
    SELECT time_bucket('1 hour', "timestamp") AS hour_utc, log_group, count(*) AS errors
    FROM errors
    GROUP BY 1, 2
) AS counted ON counted.hour_utc = hours.hour_utc
ORDER BY hours.hour_utc, counted.log_group
