-- Made-up requests in each hour of the window: quiet nights, busy evenings, quieter weekends. They are a sum, so that their
-- charts have totals.
SELECT
    hour_local,
    utc_offset,
    CAST(sum(round(
        (80 + 50 * sin((hour_of_day - 8) * pi() / 12) + 25 * sin((hour_of_day - 16) * pi() / 3))
        * CASE WHEN extract(isodow FROM hour_local) >= 6 THEN 0.55 ELSE 1.0 END
        * (1 + 0.1 * sin(extract(day FROM hour_local) * 1.7)) * 20
    )) AS BIGINT) AS requests
FROM hours
GROUP BY hour_utc, hour_local, utc_offset
ORDER BY hour_utc
