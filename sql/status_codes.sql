-- Requests of access logs by status code, and the share of each.
--
-- columns:
--   status     the status code
--   requests   requests with that status
--   percent    their share
-- chart:
--   kind = "bar"
--   x = "status"
--   y = "requests"
SELECT status, count(*) AS requests, round(100.0 * count(*) / sum(count(*)) OVER (), 2) AS percent
FROM (SELECT parse_access_log(message)['status'] AS status FROM logs) AS lines
WHERE status IS NOT NULL
GROUP BY status
ORDER BY status
