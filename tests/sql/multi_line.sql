-- Stack traces are one event each, with their lines.
SELECT
    count(*) AS multi_line_events,
    max(length(message) - length(replace(message, E'\n', ''))) AS most_newlines,
    count(*) FILTER (WHERE message LIKE E'%\n') AS ending_in_a_newline
FROM logs
WHERE message LIKE E'%\n%'
