-- The slowest invocations of Lambda functions.
--
-- columns:
--   start           when it started
--   function        the function
--   duration_ms     how long it ran, without the cold start, in milliseconds
--   init_ms         how long the cold start took; NULL without one
--   timed_out       whether it took too long
--   error           the class of the exception, or Lambda's type of the error; NULL of a success
--   max_memory_mb   the most memory that it used
--   request_id      the id of the request; see it whole with @request_trace
--   log_stream      its log stream
-- parameters:
--   rows = 20       how many
SELECT start, function, duration_ms, init_ms, timed_out, error, max_memory_mb, request_id, log_stream
FROM lambda_invocations
WHERE "end" IS NOT NULL
ORDER BY duration_ms DESC, start, request_id
LIMIT $rows
