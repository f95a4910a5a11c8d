-- Errors by the class of their exception and log group, the most frequent first.
--
-- columns:
--   exception   the class of the outermost exception; NULL of an error that names none
--   log_group   the log group
--   errors      events of the view errors
--   first       when it was first seen
--   last        when it was last seen
SELECT exception, log_group, count(*) AS errors, min("timestamp") AS first, max("timestamp") AS last
FROM errors
GROUP BY exception, log_group
ORDER BY errors DESC, exception, log_group
