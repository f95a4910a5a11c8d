-- The kinds of message that were not there the day before.
--
-- For a job of days that has a query `use = "patterns"` above this one, whose answer of the day before it reads. Over
-- the events of several days, pattern_changes says the same.
--
-- columns:
--   pattern_id   a short id of the pattern, the same every night
--   events       messages of that kind
--   errors       those whose level is ERROR or FATAL
--   log_group    the log group, or the first of several
--   first        when the first came
--   last         when the last came
--   pattern      the message with marks in place of numbers, ids, times and the like
SELECT now.pattern_id, now.events, now.errors, now.log_group, now.first, now.last, now.pattern
FROM patterns AS now
LEFT JOIN previous('patterns', '1 day') AS before ON before.pattern_id = now.pattern_id
WHERE before.pattern_id IS NULL
ORDER BY now.events DESC, now.pattern_id
