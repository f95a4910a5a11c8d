-- The kinds of error, by their pattern, the most frequent first.
--
-- columns:
--   pattern_id   a short id of the pattern, the same every night
--   errors       errors of that kind
--   exception    the class of the outermost exception; NULL of an error that names none
--   log_group    the log group, or the first of several
--   first        when the first came
--   last         when the last came
--   pattern      the message with marks in place of numbers, ids, times and the like
-- parameters:
--   rows = 50    how many
SELECT
    pattern_id,
    count(*) AS errors,
    max(exception) AS exception,
    min(log_group) AS log_group,
    min("timestamp") AS first,
    max("timestamp") AS last,
    pattern(min(message)) AS pattern
FROM errors
GROUP BY pattern_id
ORDER BY errors DESC, pattern_id
LIMIT $rows
