-- GB-seconds and cost of each Lambda function.
--
-- columns:
--   function               the function
--   invocations            invocations that ended in the window
--   gb_seconds             what they were billed for
--   duration_cost          what that costs, in the currency of the price
--   request_cost           what the requests themselves cost
-- parameters:
--   price = 0.0000166667   of a GB-second, in dollars: x86 in most Regions; arm64 0.0000133334
--   request_price = 0.20   of a million requests
-- chart:
--   kind = "bar"
--   x = "function"
--   y = "gb_seconds"
--   unit = "GB-s"
SELECT
    function,
    count("end") AS invocations,
    round(sum(billed_ms * memory_mb) / 1024000.0, 3) AS gb_seconds,
    CAST(sum(billed_ms * memory_mb) / 1024000.0 * $price AS DECIMAL(18, 6)) AS duration_cost,
    CAST(count("end") * $request_price / 1000000.0 AS DECIMAL(18, 6)) AS request_cost
FROM lambda_invocations
GROUP BY function
ORDER BY gb_seconds DESC, function
