-- Events that report an error, each with its whole stack trace.
SELECT
    "timestamp",
    log_group,
    log_stream,
    coalesce(level, 'ERROR') AS level,
    exception_class(message) AS exception,
    pattern_id(message) AS pattern_id,
    request_id(message) AS request_id,
    message
FROM (SELECT *, level(message) AS level FROM logs) AS stated
-- A runtime writes the stack trace of an exception without a level.
WHERE level IN ('ERROR', 'FATAL') OR (level IS NULL AND exception_class(message) IS NOT NULL)
