-- Events by local hour of the day, over all days of the window.
SELECT hours.hour_of_day, CAST(sum(coalesce(counted.events, 0)) AS BIGINT) AS events
FROM hours
LEFT JOIN (
    SELECT time_bucket('1 hour', "timestamp") AS hour_utc, count(*) AS events
    FROM logs
    GROUP BY 1
) AS counted ON counted.hour_utc = hours.hour_utc
GROUP BY hours.hour_of_day
ORDER BY hours.hour_of_day
