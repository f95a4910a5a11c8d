-- Everything that all log groups say of one request or trace, in order.
--
-- columns:
--   timestamp    when
--   log_group    where
--   level        the level; NULL of a message that states none
--   message      the whole message
--   log_stream   the log stream
-- parameters:
--   id           the id of a Lambda request, of an X-Ray trace, or any text that stands in the messages
SELECT "timestamp", log_group, level(message) AS level, message, log_stream
FROM logs
WHERE request_id(message) = $id OR trace_id(message) = $id OR strpos(message, $id) > 0
ORDER BY "timestamp", log_group, log_stream
