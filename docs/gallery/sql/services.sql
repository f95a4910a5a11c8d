-- Made-up requests of seventeen services on each day of the window: more than colours can tell apart.
SELECT day, service, CAST(sum(requests) AS BIGINT) AS requests
FROM (
    SELECT DISTINCT
        days.day,
        'service-' || lpad(CAST(services.number AS VARCHAR), 2, '0') AS service,
        CAST(round(
            days.requests / (services.number + 3.0) * (1 + 0.3 * sin(services.number * 2.1 + extract(day FROM days.day) * 0.6))
        ) AS BIGINT) AS requests
    FROM days
    CROSS JOIN (SELECT unnest(range(1, 18)) AS number) AS services
) AS each_once
GROUP BY day, service
ORDER BY day, service
