-- The kinds of message that are new on the last day of the window, then those that grew most.
--
-- For a window of two days or more, such as `query JOB --last 2d @pattern_changes`.
--
-- columns:
--   pattern_id      a short id of the pattern, the same every night
--   events          messages of that kind on the last day
--   events_before   those of the day before it; 0 of a new kind
--   more            how many more there are
--   errors          those of the last day whose level is ERROR or FATAL
--   log_group       the log group, or the first of several
--   pattern         the message with marks in place of numbers, ids, times and the like
-- parameters:
--   rows = 50       how many
SELECT
    pattern_id,
    events,
    events_before,
    events - events_before AS more,
    errors,
    log_group,
    pattern(example) AS pattern
FROM (
    SELECT
        pattern_id(message) AS pattern_id,
        count(*) FILTER (WHERE "timestamp" >= $window_end - interval '1 day') AS events,
        count(*) FILTER (
            WHERE "timestamp" < $window_end - interval '1 day' AND "timestamp" >= $window_end - interval '2 days'
        ) AS events_before,
        count(*) FILTER (
            WHERE "timestamp" >= $window_end - interval '1 day' AND level(message) IN ('ERROR', 'FATAL')
        ) AS errors,
        min(log_group) AS log_group,
        min(message) AS example
    FROM logs
    GROUP BY 1
) AS counted
WHERE events > events_before
ORDER BY events_before > 0, more DESC, pattern_id
LIMIT $rows
