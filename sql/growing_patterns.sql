-- The kinds of message that grew most since the day before.
--
-- For a job of days that has a query `use = "patterns"` above this one, whose answer of the day before it reads. Over
-- the events of several days, pattern_changes says the same.
--
-- columns:
--   pattern_id      a short id of the pattern, the same every night
--   events          messages of that kind
--   events_before   those of the day before
--   more            how many more there are
--   errors          those whose level is ERROR or FATAL
--   log_group       the log group, or the first of several
--   pattern         the message with marks in place of numbers, ids, times and the like
-- parameters:
--   rows = 50       how many
SELECT
    now.pattern_id,
    now.events,
    coalesce(before.events, 0) AS events_before,
    now.events - coalesce(before.events, 0) AS more,
    now.errors,
    now.log_group,
    now.pattern
FROM patterns AS now
LEFT JOIN previous('patterns', '1 day') AS before ON before.pattern_id = now.pattern_id
WHERE now.events > coalesce(before.events, 0)
ORDER BY more DESC, now.pattern_id
LIMIT $rows
