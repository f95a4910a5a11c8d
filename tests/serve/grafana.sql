# What the PostgreSQL data source of Grafana 11 sends: its version, tables and columns; then queries whose macros are replaced.

SELECT current_setting('server_version_num')::int/100 as version

SELECT
CASE WHEN
quote_ident(table_schema) IN (
SELECT
CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
FROM
generate_series(
array_lower(string_to_array(current_setting('search_path'),','),1),
array_upper(string_to_array(current_setting('search_path'),','),1)
) as i,
string_to_array(current_setting('search_path'),',') s
)
THEN quote_ident(table_name)
ELSE quote_ident(table_schema) || '.' || quote_ident(table_name)
END AS "table"
FROM information_schema.tables
WHERE quote_ident(table_schema) NOT IN ('information_schema',
'pg_catalog',
'_timescaledb_cache',
'_timescaledb_catalog',
'_timescaledb_internal',
'_timescaledb_config',
'timescaledb_information',
'timescaledb_experimental')
ORDER BY CASE WHEN
quote_ident(table_schema) IN (
SELECT
CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
FROM
generate_series(
array_lower(string_to_array(current_setting('search_path'),','),1),
array_upper(string_to_array(current_setting('search_path'),','),1)
) as i,
string_to_array(current_setting('search_path'),',') s
) THEN 0 ELSE 1 END, 1

SELECT quote_ident(column_name) AS "column", data_type AS "type"
FROM information_schema.columns
WHERE
CASE WHEN array_length(parse_ident('public.logs'),1) = 2
THEN quote_ident(table_schema) = (parse_ident('public.logs'))[1]
AND quote_ident(table_name) = (parse_ident('public.logs'))[2]
ELSE quote_ident(table_name) = 'public.logs'
AND
quote_ident(table_schema) IN (
SELECT
CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
FROM
generate_series(
array_lower(string_to_array(current_setting('search_path'),','),1),
array_upper(string_to_array(current_setting('search_path'),','),1)
) as i,
string_to_array(current_setting('search_path'),',') s
)
END

SELECT quote_ident(column_name) AS "column", data_type AS "type"
FROM information_schema.columns
WHERE
CASE WHEN array_length(parse_ident('logs'),1) = 2
THEN quote_ident(table_schema) = (parse_ident('logs'))[1]
AND quote_ident(table_name) = (parse_ident('logs'))[2]
ELSE quote_ident(table_name) = 'logs'
AND
quote_ident(table_schema) IN (
SELECT
CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
FROM
generate_series(
array_lower(string_to_array(current_setting('search_path'),','),1),
array_upper(string_to_array(current_setting('search_path'),','),1)
) as i,
string_to_array(current_setting('search_path'),',') s
)
END

SELECT extract(epoch FROM time_bucket('1 hour', timestamp))::bigint AS "time", level(message) AS metric, count(*) AS value FROM logs WHERE timestamp BETWEEN '2025-03-02T15:00:00Z' AND '2025-03-03T15:00:00Z' GROUP BY 1, 2 ORDER BY 1, 2

SELECT floor(extract(epoch from timestamp)/3600)*3600 AS "time", count(*) AS value FROM logs WHERE timestamp BETWEEN '2025-03-02T15:00:00Z' AND '2025-03-03T15:00:00Z' GROUP BY 1 ORDER BY 1

SELECT timestamp AS "time", message FROM logs WHERE extract(epoch from timestamp) >= 1740927600 AND extract(epoch from timestamp) <= 1741014000 ORDER BY timestamp
