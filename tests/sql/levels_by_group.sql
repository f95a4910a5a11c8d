-- Events by log group and level.
SELECT log_group, level(message) AS level, count(*) AS events
FROM logs
GROUP BY 1, 2
ORDER BY 1, 2
