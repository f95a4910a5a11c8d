-- The kinds of message, by their pattern, the most frequent first.
--
-- columns:
--   pattern_id   a short id of the pattern, the same every night
--   events       messages of that kind
--   log_groups   how many log groups have them
--   first        when the first came
--   last         when the last came
--   pattern      the message with marks in place of numbers, ids, times and the like
-- parameters:
--   rows = 50    how many
SELECT
    pattern_id(message) AS pattern_id,
    count(*) AS events,
    count(DISTINCT log_group) AS log_groups,
    min("timestamp") AS first,
    max("timestamp") AS last,
    pattern(min(message)) AS pattern
FROM logs
GROUP BY 1
ORDER BY events DESC, pattern_id
LIMIT $rows
