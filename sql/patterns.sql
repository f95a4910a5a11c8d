-- All kinds of message, by their pattern: what new_patterns and growing_patterns compare.
--
-- columns:
--   pattern_id   a short id of the pattern, the same every night
--   events       messages of that kind
--   errors       those whose level is ERROR or FATAL
--   log_group    the log group, or the first of several
--   first        when the first came
--   last         when the last came
--   pattern      the message with marks in place of numbers, ids, times and the like
SELECT
    pattern_id(message) AS pattern_id,
    count(*) AS events,
    count(*) FILTER (WHERE level(message) IN ('ERROR', 'FATAL')) AS errors,
    min(log_group) AS log_group,
    min("timestamp") AS first,
    max("timestamp") AS last,
    pattern(min(message)) AS pattern
FROM logs
GROUP BY 1
ORDER BY events DESC, pattern_id
