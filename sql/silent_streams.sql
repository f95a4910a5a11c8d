-- Log streams that were silent for long, with the longest silence of each.
--
-- A log stream without any event in the window is not there, and the time before the first event of a stream does not
-- count: a stream begins with a Lambda environment or a container.
--
-- columns:
--   log_group        the log group
--   log_stream       the log stream, such as a Lambda environment or a container
--   events           its events in the window
--   last_event       the last of them
--   silent_from      the last event before the silence
--   silent_until     the first event behind it, or the end of the window
--   silent_minutes   how long that is
-- parameters:
--   minutes = 60     the shortest silence to list, in minutes
WITH minutes AS (
    SELECT
        log_group, log_stream,
        time_bucket('1 minute', "timestamp") AS minute,
        count(*) AS events,
        min("timestamp") AS first,
        max("timestamp") AS last
    FROM logs
    GROUP BY log_group, log_stream, minute
),
gaps AS (
    SELECT
        log_group, log_stream,
        last AS silent_from,
        coalesce(
            min(first) OVER (
                PARTITION BY log_group, log_stream ORDER BY minute
                RANGE BETWEEN INTERVAL '1 minute' FOLLOWING AND UNBOUNDED FOLLOWING
            ),
            $window_end
        ) AS silent_until
    FROM minutes
),
longest AS (
    SELECT DISTINCT ON (log_group, log_stream)
        log_group, log_stream,
        silent_from,
        silent_until,
        round(extract(epoch FROM silent_until - silent_from) / 60.0, 1) AS silent_minutes
    FROM gaps
    ORDER BY log_group, log_stream, silent_minutes DESC, silent_from
)
SELECT
    longest.log_group, longest.log_stream,
    seen.events,
    seen.last_event,
    longest.silent_from,
    longest.silent_until,
    longest.silent_minutes
FROM longest
JOIN (
    SELECT log_group, log_stream, sum(events)::bigint AS events, max(last) AS last_event FROM minutes GROUP BY log_group, log_stream
) AS seen ON (seen.log_group IS NOT DISTINCT FROM longest.log_group) AND seen.log_stream = longest.log_stream
WHERE longest.silent_minutes >= $minutes
ORDER BY longest.silent_minutes DESC, longest.log_group, longest.log_stream
