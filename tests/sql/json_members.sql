-- Members of JSON messages: ->> binds tighter than =, numbers are typed.
SELECT
    message->>'level' AS level,
    count(*) AS events,
    count(json_get_str(message, 'xray_trace_id')) AS with_trace,
    min(json_length(message)) AS least_members
FROM logs
WHERE message->>'level' IN ('ERROR', 'WARNING') AND message->>'service' IS NOT NULL
GROUP BY 1
ORDER BY 1
