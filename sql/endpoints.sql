-- Endpoints of access logs: how many requests, how many of them failed, how slow they were.
--
-- columns:
--   method          GET, POST and so on
--   endpoint        the path, without the query and with marks in place of numbers and ids
--   requests        requests to it
--   errors          those that ended with 5xx
--   error_percent   their share
--   p50_ms          the median of how long they took, in milliseconds; NULL where the log does not say
--   p95_ms          the 95th percentile
--   bytes           the bytes of the answers
-- parameters:
--   rows = 50       how many
SELECT
    method,
    endpoint,
    count(*) AS requests,
    count(*) FILTER (WHERE status >= 500) AS errors,
    round(100.0 * count(*) FILTER (WHERE status >= 500) / count(*), 2) AS error_percent,
    round(percentile_cont(request_ms, 0.5), 1) AS p50_ms,
    round(percentile_cont(request_ms, 0.95), 1) AS p95_ms,
    CAST(sum(bytes) AS BIGINT) AS bytes
FROM (
    SELECT
        line['method'] AS method,
        pattern(line['path']) AS endpoint,
        line['status'] AS status,
        line['request_ms'] AS request_ms,
        line['bytes'] AS bytes
    FROM (SELECT parse_access_log(message) AS line FROM logs) AS lines
    WHERE line IS NOT NULL
) AS requests
GROUP BY method, endpoint
ORDER BY requests DESC, endpoint, method
LIMIT $rows
