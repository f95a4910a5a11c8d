-- The requests of each day.
SELECT date_trunc('day', hour_local) AS day, sum(requests) AS requests FROM month GROUP BY 1 ORDER BY 1
