-- Cold starts of each Lambda function, how long they took, and what they cost.
--
-- columns:
--   function               the function
--   invocations            invocations that ended in the window
--   cold_starts            those that waited for a new environment, initialized or restored
--   percent                their share
--   average_ms             how long it took on average, in milliseconds
--   p95_ms                 the 95th percentile
--   gb_seconds             what the initializations used
--   cost                   what that costs, in the currency of the price; restores from a snapshot have prices of their own
-- parameters:
--   price = 0.0000166667   of a GB-second, in dollars: x86 in most Regions; arm64 0.0000133334
-- chart:
--   kind = "bar"
--   x = "function"
--   y = "cold_starts"
SELECT
    function,
    count("end") AS invocations,
    count(*) FILTER (WHERE cold_start) AS cold_starts,
    round(100.0 * count(*) FILTER (WHERE cold_start) / nullif(count("end"), 0), 2) AS percent,
    round(avg(CAST(coalesce(init_ms, restore_ms) AS DECIMAL(18, 3)))::double, 1) AS average_ms,
    round(percentile_cont(coalesce(init_ms, restore_ms), 0.95), 1) AS p95_ms,
    round(coalesce(sum(CAST(init_ms AS DECIMAL(18, 3)) * memory_mb) / 1024000.0, 0), 3) AS gb_seconds,
    CAST(coalesce(sum(CAST(init_ms AS DECIMAL(18, 3)) * memory_mb) / 1024000.0, 0) * $price AS DECIMAL(18, 6)) AS cost
FROM lambda_invocations
GROUP BY function
ORDER BY cold_starts DESC, function
