-- Cold starts of Lambda functions in each local hour, and how long they took.
--
-- columns:
--   hour_local    the local hour, as the wall clock shows it
--   invocations   invocations that ended in the hour
--   cold_starts   those that waited for a new environment
--   average_ms    how long that took on average, in milliseconds; NULL in an hour without any
-- chart:
--   kind = "bar"
--   x = "hour_local"
--   y = "cold_starts"
SELECT
    hours.hour_local,
    coalesce(counted.invocations, 0) AS invocations,
    coalesce(counted.cold_starts, 0) AS cold_starts,
    counted.average_ms
FROM hours
LEFT JOIN (
    SELECT
        time_bucket('1 hour', "end") AS hour_utc,
        count(*) AS invocations,
        count(*) FILTER (WHERE cold_start) AS cold_starts,
        round(avg(CAST(coalesce(init_ms, restore_ms) AS DECIMAL(18, 3)))::double, 1) AS average_ms
    FROM lambda_invocations
    GROUP BY 1
) AS counted ON counted.hour_utc = hours.hour_utc
ORDER BY hours.hour_utc
