-- Errors in each local hour of the window, with a row also for the hours that had none.
SELECT hours.hour_local, count(logs.timestamp) AS errors
FROM hours
LEFT JOIN logs
  ON time_bucket('1 hour', logs.timestamp) = hours.hour_utc
  AND level(logs.message) = 'ERROR'
GROUP BY hours.hour_utc, hours.hour_local
ORDER BY hours.hour_utc
