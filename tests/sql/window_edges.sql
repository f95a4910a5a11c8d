-- The window is half open: its first millisecond is in, the first one after it is not.
SELECT
    min(timestamp) AS first,
    max(timestamp) AS last,
    count(*) FILTER (WHERE timestamp = $window_start) AS at_start,
    count(*) FILTER (WHERE timestamp >= $window_end) AS after,
    $window_start AS window_start,
    $window_end AS window_end,
    $timezone AS timezone
FROM logs
