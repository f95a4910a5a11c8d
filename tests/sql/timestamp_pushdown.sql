-- A comparison with the timestamp is decided by the scan; the counts on both sides add up.
SELECT
    (SELECT count(*) FROM logs) AS everything,
    (SELECT count(*) FROM logs WHERE timestamp < '2026-11-21T03:00:00Z') AS before_noon,
    (SELECT count(*) FROM logs WHERE timestamp >= '2026-11-21T03:00:00Z') AS from_noon,
    (SELECT count(*) FROM logs WHERE timestamp BETWEEN '2026-11-21T03:00:00Z' AND '2026-11-21T03:59:59.999Z') AS at_noon
