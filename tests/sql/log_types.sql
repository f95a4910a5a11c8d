-- What kinds of lines there are, and whose ids they carry.
SELECT log_type(message) AS type, count(*) AS events, count(request_id(message)) AS with_request_id, count(trace_id(message)) AS with_trace_id
FROM logs
GROUP BY 1
ORDER BY 1
