-- Filters over log group and log stream choose objects; Lambda's stream names have their slashes back.
SELECT log_group, log_stream, count(*) AS events
FROM logs
WHERE log_group LIKE '/aws/%' AND log_stream LIKE '2026/11/21/%'
GROUP BY 1, 2
ORDER BY 1, 2
