-- Events of each log group in each local hour of the window.
SELECT hours.hour_local, hours.utc_offset, logs.log_group, count(logs.timestamp) AS events
FROM hours
LEFT JOIN logs ON time_bucket('1 hour', logs.timestamp) = hours.hour_utc
GROUP BY hours.hour_utc, hours.hour_local, hours.utc_offset, logs.log_group
ORDER BY hours.hour_utc, logs.log_group
