-- How much memory Lambda functions have and use, and what less would save.
--
-- columns:
--   function               the function
--   memory_mb              the memory that it is configured with, in MB
--   invocations            invocations that ended in the window
--   max_used_mb            the most memory that one of them used
--   headroom_percent       the share that none of them used
--   enough_mb              that memory with the reserve, up to the next 64 MB, at least 128 MB
--   gb_seconds             what the invocations were billed for
--   gb_seconds_saved       how much less it would be with enough_mb, if they took as long. A function has a share of
--                          a CPU by its memory, so measure before you change it
--   saved                  what that costs, in the currency of the price
-- parameters:
--   reserve = 20           memory to keep free, in percent of the most that was used
--   price = 0.0000166667   of a GB-second, in dollars: x86 in most Regions; arm64 0.0000133334
-- chart:
--   kind = "bar"
--   x = "function"
--   y = "headroom_percent"
--   unit = "%"
SELECT
    function,
    memory_mb,
    invocations,
    max_used_mb,
    round(100.0 * (memory_mb - max_used_mb) / memory_mb, 1) AS headroom_percent,
    enough_mb,
    round(gb_seconds, 3) AS gb_seconds,
    round(gb_seconds * (memory_mb - enough_mb) / memory_mb, 3) AS gb_seconds_saved,
    CAST(gb_seconds * (memory_mb - enough_mb) / memory_mb * $price AS DECIMAL(18, 6)) AS saved
FROM (
    SELECT
        *,
        least(memory_mb, greatest(128, ceil(max_used_mb * (1 + $reserve / 100.0) / 64) * 64))::bigint AS enough_mb
    FROM (
        SELECT
            function,
            memory_mb,
            count(*) AS invocations,
            max(max_memory_mb) AS max_used_mb,
            sum(billed_ms * memory_mb) / 1024000.0 AS gb_seconds
        FROM lambda_invocations
        WHERE max_memory_mb IS NOT NULL
        GROUP BY function, memory_mb
    ) AS used
) AS needed
ORDER BY gb_seconds_saved DESC, function, memory_mb
