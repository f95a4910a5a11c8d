-- The column timestamp needs no quotes.
SELECT timestamp, logs.timestamp = "timestamp" AS same, octet_length(message) AS bytes
FROM logs
ORDER BY timestamp, message
LIMIT 3
