-- Made-up shares of requests that a cache answered, in each month of a year; one was not measured.
SELECT
    make_date(2026, month, 1) AS month,
    CASE WHEN month <> 8 THEN 62 + 2.4 * month + 6 * sin(month * 1.3) END AS cache_hits
FROM (SELECT unnest(range(1, 13)) AS month) AS months
ORDER BY 1
