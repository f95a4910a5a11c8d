-- Events and bytes of each log group, and what taking them in costs.
--
-- columns:
--   log_group      the log group
--   events         its events in the window
--   bytes          the bytes of their messages, without the line ends that an export leaves out
--   gb             what CloudWatch counts: 26 bytes more for each event, in gigabytes
--   cost           what that costs, in the currency of the price
-- parameters:
--   price = 0.50   of a gigabyte that is taken in, in dollars: us-east-1; ap-northeast-2 0.76
-- chart:
--   kind = "bar"
--   x = "log_group"
--   y = "bytes"
SELECT
    log_group,
    count(*) AS events,
    CAST(sum(octet_length(message)) AS BIGINT) AS bytes,
    CAST(sum(octet_length(message) + 26) / 1e9 AS DECIMAL(18, 6)) AS gb,
    CAST(sum(octet_length(message) + 26) / 1e9 * $price AS DECIMAL(18, 6)) AS cost
FROM logs
GROUP BY log_group
ORDER BY bytes DESC, log_group
