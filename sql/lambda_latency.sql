-- Percentiles of how long each Lambda function ran.
--
-- columns:
--   function      the function
--   invocations   invocations that ended in the window
--   p50_ms        the median of their duration, without the cold start, in milliseconds
--   p95_ms        the 95th percentile
--   p99_ms        the 99th percentile
--   max_ms        the longest
-- chart:
--   kind = "bar"
--   x = "function"
--   y = "p95_ms"
--   unit = "ms"
SELECT
    function,
    count("end") AS invocations,
    round(percentile_cont(duration_ms, 0.5), 2) AS p50_ms,
    round(percentile_cont(duration_ms, 0.95), 2) AS p95_ms,
    round(percentile_cont(duration_ms, 0.99), 2) AS p99_ms,
    max(duration_ms) AS max_ms
FROM lambda_invocations
GROUP BY function
ORDER BY p95_ms DESC, function
