-- Every local hour, empty ones too.
SELECT hour_local, utc_offset, hour_utc, hour_of_day FROM hours ORDER BY hour_utc LIMIT 3
