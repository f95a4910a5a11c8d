# Syntax

SELEC message FROM logs

message FROM logs

FROM logs SELECT message

how many errors are there?

SELECT FROM logs

SELECT message, FROM logs

SELECT log_group,
       count(*) AS events,
FROM logs
GROUP BY log_group

SELECT message FROM logs,

SELECT log_group, count(*) FROM logs GROUP BY log_group,

SELECT message FROM logs ORDER BY timestamp,

SELECT count(*, 1,) FROM logs

SELECT count(* FROM logs

SELECT count(*)) FROM logs

SELECT message FROM logs WHERE (level(message) = 'ERROR' LIMIT 3

SELECT message FROM logs WHERE level(message) = 'ERROR

SELECT "message FROM logs

SELECT message FROM logs WHERE

SELECT message FROM logs WHERE level(message) == 'ERROR' AND

SELECT message FROM logs WHERE timestamp > AND level(message) = 'ERROR'

SELECT message logs WHERE 1 = 1

SELECT message FORM logs

SELECT message FROM logs WERE level(message) = 'ERROR'

SELECT message FROM logs ORDER timestamp

SELECT log_group, count(*) FROM logs GROUP log_group

SELECT message FROM logs LIMIT 10 WHERE level(message) = 'ERROR'

SELECT message FROM logs ORDER BY timestamp WHERE level(message) = 'ERROR'

SELECT log_group, count(*) FROM logs HAVING count(*) > 1 GROUP BY log_group

SELECT message FROM logs LIMIT 5, 10

SELECT TOP 5 message FROM logs

SELECT message FROM logs FETCH FIRST ROW

SELECT message FROM logs WHERE message = /* a comment

SELECT CASE WHEN level(message) = 'ERROR' THEN 1 FROM logs

SELECT message FROM logs WHERE log_group IN ()

SELECT message FROM logs WHERE log_group IN '/ecs/web'

SELECT message FROM logs WHERE log_group BETWEEN 'a'

SELECT message FROM logs WHERE message LIKE

SELECT message AS FROM logs

SELECT message AS select FROM logs

SELECT message AS 'text' FROM logs

SELECT user, group FROM logs

SELECT message FROM logs JOIN hours

SELECT ‘ERROR’ FROM logs

SELECT message FROM logs WHERE level(message) = ”ERROR“

SELECT message FROM logs WHERE n != = 3

SELECT message FROM logs; SELECT 2

WITH a AS (SELECT 1) 

WITH a (SELECT 1) SELECT * FROM a

SELECT * FROM (SELECT 1

SELECT 1 +

SELECT 'it's' FROM logs

SELECT message[0 FROM logs

# Names

SELECT mesage FROM logs

SELECT nope FROM logs

SELECT logs.nope FROM logs

SELECT l.message FROM logs

SELECT @timestamp, @message FROM logs

SELECT Message FROM Logs

SELECT "Message" FROM logs

SELECT * FROM log

SELECT * FROM nope

SELECT * FROM myschema.logs

SELECT * FROM demo.logs

SELECT * FROM errors_by_hours

SELECT log_group FROM logs a JOIN logs b ON a.log_stream = b.log_stream

SELECT a.message FROM logs a JOIN logs b USING (nope)

SELECT message FROM logs ORDER BY nope

SELECT message FROM logs GROUP BY nope

SELECT count(*) AS n FROM logs WHERE n > 1

SELECT level(message) AS lvl FROM logs WHERE lvl = 'ERROR'

SELECT log_group, count(*) AS n FROM logs GROUP BY log_group HAVING m > 1

SELECT message FROM logs GROUP BY 7

SELECT message FROM logs ORDER BY 7

SELECT message, count(*) FROM logs

SELECT log_group, message FROM logs GROUP BY log_group

SELECT *, count(*) FROM logs

SELECT * FROM logs GROUP BY log_group

SELECT log_group FROM logs WHERE count(*) > 3

SELECT message FROM logs WHERE row_number() OVER () = 1

SELECT max(count(*)) FROM logs

SELECT message FROM logs UNION ALL SELECT message, log_group FROM logs

SELECT timestamp FROM logs UNION ALL SELECT true

SELECT a.message FROM logs a, logs a

SELECT * FROM logs AS l WHERE logs.message = 'x'

SELECT * FROM logs WHERE log_group IN (SELECT log_group, log_stream FROM logs)

SELECT (SELECT message, log_group FROM logs)

SELECT lambda_report(message)['duration'] FROM logs

SELECT lambda_report(message)['durationms'] FROM logs

SELECT lambda_report(message).duration_ms FROM logs

SELECT (lambda_report(message)).duration_ms FROM logs

SELECT message.level FROM logs

SELECT message['level'] FROM logs

SELECT lambda_report(message)->>'duration_ms' FROM logs

SELECT lambda_report.duration_ms FROM logs

# Quotes, parameters and commands

SELECT count(*) FROM logs WHERE level(message) = "ERROR"

SELECT count(*) FROM logs WHERE log_group LIKE "%checkout%"

SELECT `message` FROM `logs`

SELECT [message] FROM logs

SELECT count(*) FROM logs WHERE level(message) = ?

SELECT count(*) FROM logs WHERE level(message) = $1

SELECT count(*) FROM logs WHERE timestamp >= $start

SELECT count(*) FROM logs WHERE timestamp >= :start

SELECT count(*) FROM logs WHERE timestamp >= {{start}}

SELECT count(*) FROM logs WHERE timestamp >= ${start}

SELECT count(*) FROM logs WHERE timestamp >= @start

\d

\d logs

\dt

.tables

.schema logs

show columns in logs

SHOW DATABASES

USE demo

SET timezone = 'UTC'

PRAGMA table_info('logs')

INSERT INTO logs VALUES (1)

INSERT INTO logs SELECT * FROM logs

UPDATE logs SET message = 'x'

DELETE FROM logs

DROP TABLE logs

TRUNCATE TABLE logs

ALTER TABLE logs ADD COLUMN a int

CREATE VIEW v AS SELECT 1

CREATE TABLE t AS SELECT 1

CREATE TEMP TABLE t (a int)

CREATE FUNCTION f() RETURNS int AS 'SELECT 1' LANGUAGE SQL

CREATE MACRO f(a) AS a + 1

COPY logs TO 'x.csv'

BEGIN

COMMIT

VACUUM

CALL f()

ATTACH 'x.db'

INSTALL httpfs

GRANT SELECT ON logs TO me

EXPLAIN SELECT nope FROM logs

SELECT * FROM 'x.csv'

SELECT * FROM 's3://bucket/x.parquet'

SELECT * FROM "x.parquet"

SELECT * FROM read_csv('x.csv')

SELECT * FROM read_parquet('x.parquet')

SELECT * FROM read_json_auto('x.json')

SELECT * FROM nope(3)

SELECT * FROM unnest

# Types

SELECT count(*) FROM logs WHERE message > 5

SELECT count(*) FROM logs WHERE timestamp > 5

SELECT count(*) FROM logs WHERE timestamp = true

SELECT message + 1 FROM logs

SELECT message + message FROM logs

SELECT timestamp + 1 FROM logs

SELECT timestamp + timestamp FROM logs

SELECT timestamp - 7 FROM logs

SELECT timestamp * 2 FROM logs

SELECT -message FROM logs

SELECT NOT message FROM logs

SELECT count(*) FROM logs WHERE message

SELECT count(*) FROM logs WHERE length(message)

SELECT count(*) FROM logs WHERE 1

SELECT message AND true FROM logs

SELECT sum(message) FROM logs

SELECT avg(message) FROM logs

SELECT avg(timestamp) FROM logs

SELECT sum(level(message) = 'ERROR') FROM logs

SELECT avg(message->>'ms') FROM logs

SELECT avg(message->'a'->>'b') FROM logs

SELECT sum(message->'ms') FROM logs

SELECT message->'ms' + 1 FROM logs

SELECT message->>'ms' * 2 FROM logs

SELECT count(*) FROM logs WHERE message->'ms' > 100

SELECT count(*) FROM logs WHERE message->>'ms' > 100

SELECT percentile_cont(message, 0.5) FROM logs

SELECT percentile_cont(length(message), '0.5') FROM logs

SELECT CASE WHEN true THEN 1 ELSE timestamp END FROM logs

SELECT coalesce(timestamp, 5) FROM logs

SELECT coalesce(message, 5) + 1 FROM logs

SELECT count(*) FROM logs WHERE timestamp IN (1, true)

SELECT count(*) FROM logs WHERE timestamp BETWEEN 1 AND true

SELECT ARRAY[1, 'a', true]

SELECT ARRAY[1, 2] + 1

SELECT length(timestamp) FROM logs

SELECT upper(5, 6)

SELECT extract(hour FROM message) FROM logs

SELECT date_trunc('hour', message) FROM logs

SELECT date_trunc(timestamp, 'hour') FROM logs

SELECT time_bucket(timestamp, '1 hour') FROM logs

SELECT time_bucket(timestamp) FROM logs

SELECT time_bucket('1 hour') FROM logs

SELECT time_bucket(300, timestamp) FROM logs

SELECT time_bucket('5 foo', timestamp) FROM logs

SELECT local_time('x') FROM logs

SELECT hour_of_day(message) FROM logs

SELECT level() FROM logs

SELECT level(message, 2) FROM logs

SELECT level(timestamp) FROM logs

SELECT json_get_float(message) FROM logs

SELECT json_get_str(message, true) FROM logs

SELECT message->level FROM logs

SELECT message->>level FROM logs

SELECT message,'level' FROM logs WHERE json_get_str(message,level) = 'x'

SELECT message-'level' FROM logs

SELECT interval '1 foo'

SELECT interval 5 day

SELECT timestamp - interval 7 days FROM logs

SELECT x::nope FROM logs

SELECT message::nope FROM logs

SELECT message::json->>'level' FROM logs

SELECT message::jsonb FROM logs

SELECT cast(message AS string) FROM logs

SELECT cast(message AS struct<a int>) FROM logs

SELECT cast(message AS map<varchar,varchar>) FROM logs

SELECT cast(message AS uuid) FROM logs

SELECT cast(message AS datetime) FROM logs

SELECT cast(message AS int64) FROM logs

SELECT cast(message AS varchar(max)) FROM logs

SELECT cast(message AS signed) FROM logs

SELECT cast(message AS unsigned) FROM logs

SELECT cast(message AS inet) FROM logs

SELECT cast(message AS regclass) FROM logs

SELECT cast(length(message) AS timestamp[]) FROM logs

SELECT cast(ARRAY[1] AS bigint) FROM logs

SELECT timestamp::int FROM logs

SELECT timestamp::boolean FROM logs

SELECT true::timestamp

SELECT message::int[] FROM logs

# What fails while it runs

SELECT sum((message->>'level')::int) FROM logs

SELECT message::int FROM logs

SELECT message::timestamp FROM logs

SELECT message::boolean FROM logs

SELECT message::interval FROM logs

SELECT cast(length(message) * 1000 AS smallint) FROM logs

SELECT 1 / (length(message) - length(message)) FROM logs

SELECT length(message) % (length(message) - length(message)) FROM logs

SELECT (SELECT message FROM logs)

SELECT 1 / 0

SELECT 'x'::int

SELECT '2026-13-45'::timestamp

SELECT count(*) FROM logs WHERE timestamp > 'yesterday'

SELECT count(*) FROM logs WHERE timestamp > '21/11/2026'

SELECT count(*) FROM logs WHERE timestamp > 'now() - 1h'

SELECT count(*) FROM logs WHERE timestamp = DATE 'today'

SELECT count(*) FROM logs WHERE message ~ '('

SELECT regexp_replace(message, '[', '') FROM logs

SELECT regexp_match(message, '(?<=a)b') FROM logs

SELECT count(*) FROM logs WHERE message ~ log_stream || '('

SELECT substr(message, 1, -1) FROM logs

SELECT split_part(message, ' ', 0) FROM logs

SELECT repeat(message, 1000000000) FROM logs

SELECT sqrt(-1)

SELECT timestamp AT TIME ZONE 'KST' FROM logs

SELECT timestamp AT TIME ZONE 'Asia/Soul' FROM logs

SELECT message FROM logs LIMIT -1

SELECT message FROM logs LIMIT 'ten'

SELECT message FROM logs LIMIT 1.5

SELECT message FROM logs LIMIT 99999999999999999999

SELECT 99999999999999999999999::bigint

SELECT 9223372036854775807 + length(message) FROM logs

SELECT to_char(timestamp, 'QQQQ') FROM logs

SELECT percentile_cont(length(message), 95) FROM logs

SELECT percentile_cont(0.95) FROM logs

SELECT ntile(0) OVER (ORDER BY timestamp) FROM logs

SELECT nth_value(message, 0) OVER (ORDER BY timestamp) FROM logs

SELECT lag(message, 1, 7) OVER (ORDER BY timestamp) FROM logs

SELECT lag(length(message), 1, 'x') OVER (ORDER BY timestamp) FROM logs

SELECT count(*) FROM logs WHERE message LIKE 'a\'

SELECT count(*) FROM logs WHERE message LIKE 'a' ESCAPE '!!'

SELECT row_number() FROM logs

SELECT lag(message) FROM logs

SELECT rank() OVER () + 1 FROM logs WHERE rank() OVER () = 1

SELECT sum(length(message)) OVER (ORDER BY timestamp ROWS BETWEEN 1 FOLLOWING AND 1 PRECEDING) FROM logs

SELECT sum(length(message)) OVER (ORDER BY timestamp RANGE BETWEEN 'x' PRECEDING AND CURRENT ROW) FROM logs

SELECT sum(length(message)) OVER (ORDER BY message RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) FROM logs

SELECT log_stream, (SELECT message FROM logs b WHERE b.log_stream = a.log_stream LIMIT 1) FROM logs a

SELECT a.log_stream FROM logs a, LATERAL (SELECT length(a.message) AS n) b

SELECT log_stream, EXISTS (SELECT 1 FROM logs) FROM logs

SELECT coalesce(timestamp, 'a text') FROM logs

SELECT count(*) FROM logs WHERE timestamp = ANY(ARRAY['nope'])

SELECT count(*) FROM logs TABLESAMPLE BERNOULLI (10)

SELECT count(*) FROM logs FOR UPDATE

SELECT message FROM logs QUALIFY row_number() OVER (ORDER BY nope) = 1

# Functions of other engines

SELECT date(timestamp) FROM logs

SELECT json_extract(message, '$.level') FROM logs

SELECT json_extract_scalar(message, '$.level') FROM logs

SELECT json_extract_path_text(message, 'level') FROM logs

SELECT json_value(message, '$.level') FROM logs

SELECT json_query(message, '$.level') FROM logs

SELECT json_parse(message) FROM logs

SELECT parse_json(message) FROM logs

SELECT get_json_object(message, '$.level') FROM logs

SELECT from_json(message, 'a int') FROM logs

SELECT JSONExtractString(message, 'level') FROM logs

SELECT jsonb_path_query(message, '$.level') FROM logs

SELECT to_json(message) FROM logs

SELECT json_keys(message) FROM logs

SELECT jsonb_array_elements(message) FROM logs

SELECT regexp_extract(message, 'id=(\d+)', 1) FROM logs

SELECT regexp_extract_all(message, '\d+') FROM logs

SELECT regexp_matches(message, '\d+') FROM logs

SELECT regexp_substr(message, '\d+') FROM logs

SELECT regexp_contains(message, 'x') FROM logs

SELECT regexp_split_to_array(message, ' ') FROM logs

SELECT extract(message, 'id=(\d+)') FROM logs

SELECT message RLIKE 'x' FROM logs

SELECT message REGEXP 'x' FROM logs

SELECT message GLOB '*x*' FROM logs

SELECT message =~ 'x' FROM logs

SELECT substring(message FROM 'id=(\d+)') FROM logs

SELECT message CONTAINS 'x' FROM logs

SELECT position(message, 'x') FROM logs

SELECT locate('x', message) FROM logs

SELECT charindex('x', message) FROM logs

SELECT instr(message) FROM logs

SELECT len(message) FROM logs

SELECT substring_index(message, ' ', 1) FROM logs

SELECT split(message, ' ') FROM logs

SELECT explode(split(message, ' ')) FROM logs

SELECT group_concat(message) FROM logs

SELECT listagg(message, ',') FROM logs

SELECT collect_list(message) FROM logs

SELECT groupArray(message) FROM logs

SELECT array_join(ARRAY['a'], ',')

SELECT ifnull(message, '') FROM logs

SELECT isnull(message) FROM logs

SELECT if(true, 1, 2)

SELECT iif(true, 1, 2)

SELECT decode(message, 'a', 'b') FROM logs

SELECT countIf(level(message) = 'ERROR') FROM logs

SELECT count_if(level(message) = 'ERROR') FROM logs

SELECT sumIf(1, true) FROM logs

SELECT uniq(message) FROM logs

SELECT uniqExact(message) FROM logs

SELECT count_distinct(message) FROM logs

SELECT any_value(message) FROM logs

SELECT any(message) FROM logs

SELECT arg_max(message, timestamp) FROM logs

SELECT max_by(message, timestamp) FROM logs

SELECT argMax(message, timestamp) FROM logs

SELECT quantile(length(message), 0.95) FROM logs

SELECT approx_percentile(length(message), 0.95) FROM logs

SELECT percentile(length(message), 0.95) FROM logs

SELECT percentile_disc(0.95) WITHIN GROUP (ORDER BY length(message)) FROM logs

SELECT p95(length(message)) FROM logs

SELECT pct(length(message), 95) FROM logs

SELECT mode(message) FROM logs

SELECT stdev(length(message)) FROM logs

SELECT hour(timestamp) FROM logs

SELECT year(timestamp), month(timestamp), day(timestamp) FROM logs

SELECT dayofweek(timestamp) FROM logs

SELECT toHour(timestamp) FROM logs

SELECT toStartOfHour(timestamp) FROM logs

SELECT toStartOfInterval(timestamp, interval '5 minutes') FROM logs

SELECT bin(5m) FROM logs

SELECT bin(timestamp, '5m') FROM logs

SELECT date_histogram(timestamp) FROM logs

SELECT timestamp_trunc(timestamp, hour) FROM logs

SELECT date_format(timestamp, '%Y-%m-%d') FROM logs

SELECT strftime(timestamp, '%Y-%m-%d') FROM logs

SELECT formatDateTime(timestamp, '%Y') FROM logs

SELECT format_date('%Y', timestamp) FROM logs

SELECT str_to_date(message, '%Y') FROM logs

SELECT parse_datetime(message, 'yyyy') FROM logs

SELECT date_parse(message, '%Y') FROM logs

SELECT strptime(message, '%Y') FROM logs

SELECT toDateTime(message) FROM logs

SELECT unix_timestamp(timestamp) FROM logs

SELECT to_unixtime(timestamp) FROM logs

SELECT epoch(timestamp) FROM logs

SELECT epoch_ms(timestamp) FROM logs

SELECT from_iso8601_timestamp('2026-11-21T00:00:00Z')

SELECT convert_timezone('UTC', 'Asia/Seoul', timestamp) FROM logs

SELECT date_add('day', 1, timestamp) FROM logs

SELECT dateadd(day, 1, timestamp) FROM logs

SELECT date_sub(timestamp, interval 1 day) FROM logs

SELECT date_diff('minute', timestamp, timestamp) FROM logs

SELECT datediff(timestamp, timestamp) FROM logs

SELECT timestampdiff(minute, timestamp, timestamp) FROM logs

SELECT age(timestamp, timestamp) FROM logs

SELECT getdate()

SELECT sysdate()

SELECT current_timestamp()

SELECT ago(1h)

SELECT last_day(timestamp) FROM logs

SELECT make_interval(hours => 1)

SELECT to_number('5', '9')

SELECT mod(5, 2)

SELECT div(5, 2)

SELECT sign(5)

SELECT truncate(5.5, 1)

SELECT rand()

SELECT format('%s', message) FROM logs

SELECT printf('%s', message) FROM logs

SELECT concat_ws(message) FROM logs

SELECT try(cast(message AS int)) FROM logs

SELECT safe_cast(message AS int) FROM logs

SELECT try_cast(message, 'int') FROM logs

SELECT toInt32(message) FROM logs

SELECT to_integer(message) FROM logs

SELECT int(message) FROM logs

SELECT str(5)

SELECT typeof(message) FROM logs

SELECT md5(message, 'x') FROM logs

SELECT hash(message) FROM logs

SELECT uuid()

SELECT from_base64(message) FROM logs

SELECT base64_decode(message) FROM logs

SELECT url_decode(message) FROM logs

SELECT levenshtein(message, 'x') FROM logs

SELECT ilike(message, 'x') FROM logs

SELECT strcontains(message, 'x') FROM logs

SELECT contains(message) FROM logs

SELECT startswith(message, 'x') FROM logs

SELECT endsWith(message, 'x') FROM logs

SELECT has(ARRAY[1], 1)

SELECT array_agg(message LIMIT 5) FROM logs

SELECT generate_series('2026-11-21'::timestamp, '2026-11-22', '1 hour')

SELECT levels(message) FROM logs

SELECT lvl(message) FROM logs

SELECT logtype(message) FROM logs

SELECT timebucket('1 hour', timestamp) FROM logs

# Languages that are not SQL

fields @timestamp, @message | filter @message like /ERROR/ | stats count(*) by bin(1h)

index=main ERROR | stats count by host

logs | where level == "ERROR" | summarize count() by bin(timestamp, 1h)

{app="checkout"} |= "error"

db.logs.find({level: "ERROR"})

df.groupby('level').count()

SELECT message FROM logs | head 5

SELECT message FROM logs WHERE message LIKE /ERROR/

SELECT count() FROM logs

SELECT * EXCLUDE (message) FROM logs LIMIT 0

SELECT * EXCEPT (message) FROM logs LIMIT 0

SELECT * REPLACE (upper(message) AS message) FROM logs LIMIT 0

SELECT * RENAME (message AS text) FROM logs LIMIT 0

SELECT COLUMNS('log_.*') FROM logs LIMIT 0

SELECT log_group, count(*) FROM logs GROUP BY ALL

SELECT * FROM logs ORDER BY ALL LIMIT 0

SELECT message FROM logs WHERE message ILIKE ANY ('%a%', '%b%')

SELECT message FROM logs WHERE message LIKE ANY (ARRAY['%a%'])

SELECT * FROM logs PIVOT (count(*) FOR level IN ('a'))

SELECT * FROM logs LEFT ANTI JOIN hours ON true

SELECT * FROM logs ASOF JOIN hours ON true

SELECT log_group, count(*) FROM logs GROUP BY log_group WITH ROLLUP

SELECT message FROM logs WHERE level(message) = 'ERROR' && true

SELECT message FROM logs WHERE level(message) = 'ERROR' || level(message) = 'WARN'

SELECT message FROM logs WHERE !true

SELECT count(*) FILTER (level(message) = 'ERROR') FROM logs

SELECT message FROM logs WHERE level(message) IS 'ERROR'

SELECT message FROM logs WHERE log_group = NULL OR nope

SELECT x -> x + 1

SELECT list_transform([1], x -> x + 1)

SELECT {'a': 1}

SELECT [1, 2]

SELECT message FROM logs SAMPLE 10

SELECT distinct on log_group log_group FROM logs

SELECT message FROM logs MATCH_RECOGNIZE (x)

SELECT message FROM logs WHERE contains(message, 'a' 'b')

SELECT message FROM logs LIMIT ALL OFFSET nope

SELECT CAST(message TO int) FROM logs

SELECT TRY_CONVERT(int, message) FROM logs

SELECT CONVERT(message, SIGNED) FROM logs

SELECT CONVERT(int, message) FROM logs

SELECT message::text::nope FROM logs

SELECT timestamp AT TIMEZONE 'UTC' FROM logs

SELECT extract(fortnight FROM timestamp) FROM logs

SELECT extract(hour, timestamp) FROM logs

SELECT date_part(hour, timestamp) FROM logs

SELECT trim(both FROM) FROM logs

SELECT count(DISTINCT log_group, log_stream) FROM logs

SELECT sum(DISTINCT *) FROM logs

SELECT max(*) FROM logs

SELECT min() FROM logs

SELECT string_agg(message) FROM logs

SELECT string_agg(message, log_stream) FROM logs

# And in lower case

select count(*) from logs where timestamp between '2026-11-21' and 'tomorrow'

select count(*) from logs where log_stream = 5 + 'a'

select message::bigint + 1 from logs

select count(*) from logs group by hour(timestamp)

select count(*) from logs where level(message) in ("ERROR", "WARN")

select count(*) from logs where level(message) not like "ERR%"

select time_bucket('5 min', timestamp) b, count(*) from logs group by b order by c

select time_bucket("5 minutes", timestamp) from logs

select time_bucket('5 minutes', message) from logs

select time_bucket(timestamp, 5) from logs

select time_bucket('5 minutes', timestamp, 'UTC') from logs

select lambda_report(message)['billed'] from logs

select lambda_report(message).Duration from logs

select lambda_report(message, 1) from logs

select lambda_report(log_stream)['duration_ms'] + 'x' from logs

select avg(lambda_report(message)) from logs

select sum(json_get_str(message, 'ms')) from logs

select max(message->'ms') from logs

select percentile_cont(0.5) within group (order by message->>'ms') from logs

select percentile_cont(message->>'ms', 0.95) from logs

select message ->> '$.level' from logs

select message #>> 'level' from logs

select message->>level = 'ERROR' from logs

select json_get(message.level) from logs

select * from logs where timestamp > now() - 1

select * from logs where timestamp > now() - '1 hour'

select * from logs where timestamp > now() - interval 1 hours ago

select * from logs where timestamp > today - 1

select * from logs where timestamp > current_date - 1 and x

select * from logs where date(timestamp) = '2026-11-21'

select * from logs where timestamp::date = '2026-11-31'

select * from logs where timestamp like '2026-11-21%'

select * from logs where message contains 'x'

select * from logs where message = "it's"

select * from logs where message is 'x'

select * from logs where not exists (select)

select * from logs where (log_group, log_stream) in (select log_group from logs)

select * from logs order by count(*)

select log_group from logs group by log_group order by timestamp

select distinct log_group from logs order by timestamp

select distinct on (log_group) * from logs order by timestamp

select log_group, count(*) as n from logs where n > 3 group by 1

select log_group, count(*) as n from logs group by 1 having n > 'x'

select log_group, count(*) filter (where level = 'ERROR') from logs group by 1

select sum(count(*)) over (order by timestamp) from logs

select row_number() over (partition by log_stream order by) from logs

select row_number() over partition by log_stream from logs

select row_number() over w from logs

select lag(message, 1) over () from logs where lag(message) over () is null

select avg(length(message)) over (rows 3 preceding and current row) from logs

select a.* from logs a left join hours h on a.timestamp = h.hour

select * from logs l join hours h using (hour_utc)

select * from logs natural join nope

select * from logs cross join

select * from logs full join hours on message

select * from logs inner join on a = b

select * from (select * from logs)

select * from (select message from logs) where log_group = 'x'

with e as (select * from logs where level(message) = 'ERROR' select count(*) from e

with e as select * from logs select * from e

with recursive r as (select 1 as n union all select n + 1 from r) select n from r limit 3 offset x

select case level(message) when 'ERROR' then 1 else 'no' end + 1 from logs

select case when level(message) = 'ERROR' then 1 else timestamp from logs

select if(level(message) = 'ERROR', 1, 0) from logs

select iff(a, b, c) from logs

select coalesce() from logs

select nullif(message) from logs

select greatest(1, 'a')

select round('x')

select round(5.5, 'x')

select abs(message) from logs

select sqrt(message) from logs

select length(5, 6)

select length() from logs

select substr(message) from logs

select replace(message, 'a') from logs

select split_part(message, ' ') from logs

select split_part(message, ' ', 'x') from logs

select concat() from logs

select string_to_array(message) from logs

select regexp_replace(message) from logs

select regexp_match(message, 5) from logs

select message ~ 5 from logs

select message ~~* from logs

select to_char(timestamp) from logs

select to_char(message, 'YYYY') from logs

select to_char(timestamp, 'yyyy-mm-dd hh:mm:ss zzz') from logs

select to_timestamp(message, 'YYYY') from logs

select to_timestamp('2026-11-21', 'YYYY-MM-DD')

select to_date(message) from logs

select extract(epoch from message) from logs

select extract('hour' from timestamp) from logs

select extract(hours from timestamp) from logs

select date_trunc('hours', timestamp) from logs

select date_trunc('hr', timestamp) from logs

select date_bin('7 hours', timestamp) from logs

select interval '1 hour' * 2

select interval '1h'

select interval 1 hour

select timestamp '2026-11-21 25:00'

select date '2026-02-30'

select '2026-11-21' + interval '1 day'

select '2026-11-21'::date - '2026-11-20'

select array_agg(message order by nope) from logs

select array_agg(distinct message order by timestamp) from logs

select unnest(message) from logs

select unnest(string_to_array(message, ' ')) where true

select (string_to_array(message, ' '))['x'] from logs

select [1,2,3][x] from logs

select message[1] from logs

select cast(message as) from logs

select cast(message int) from logs

select message::varchar(5)::in from logs

select cast('abc' as decimal(5,2))

select cast(12345.678 as decimal(4,2))

select 12345678901234567890 * 10

select 1e400::bigint

select 'a' || 5 || null + 1

select 'a' > 5

select true + 1

select not 5

select - 'x'

select 5 % 'x'

select 2 ** 3

select 5 // 2

select 1 <=> 2

select message = all (select message, log_group from logs) from logs

select message = any (select timestamp from logs) from logs

select log_group in (1, 2) from logs

select timestamp in ('x') from logs

select * from logs limit 10 offset -5

select * from logs limit 10 10

select top 10 * from logs

select first 10 * from logs

select * from logs fetch first 10 percent rows only

select * from logs where rownum < 10

select * from dual

select * from information_schema.nope

select * from pg_catalog.pg_tables

select * from logs@prod

select * from "logs-prod"

select * from logs.message

select * from logs as select

select from logs where

select, message from logs

select message,, log_group from logs

select message from logs where and level(message) = 'x'

select message from logs where level(message) = 'x' or or true

select message from logs where level(message) = = 'x'

select message from logs where ((level(message) = 'x')

select message from logs where level(message) = 'x')

select message from logs where level(message) = 'x';;

select message from logs -- comment

select message from logs # comment

select message from logs // comment

/* only a comment */

explain analyse select

describe nope

describe

show tables like 'x'

show nope

help

quit

exit;

?

values (1, 'a'), (2)

table logs

select * from values (1)

select * from generate_series(1, 'x')

select * from generate_series(1)

select * from range(5) where value = 'x'

select count(distinct) from logs

select count(distinct *) from logs

select count(message, 1) from logs

select sum(1, 2) from logs

select approx_distinct() from logs

select approx_percentile_cont(length(message)) from logs

select approx_percentile_cont(message, 0.5) from logs

select stddev(message) from logs

select median(message) from logs

select corr(message, 1) from logs

select bool_and(message) from logs

select bit_and(message) from logs

select grouping(message) from logs

select md5(5) from logs

select sha256() from logs

select encode(message, 'base65') from logs

select decode('zz', 'hex')

select chr(-1)

select repeat('x', -1), lpad('x', 1000000000) from logs

select factorial(30)

select power(0, -1)

select ln(message) from logs

select acos('x')

select named_struct('a') from logs

select struct(message)['c0'] from logs

select map(['a'], [1])['b']

select array_element([1,2], 'x')

select array_length(5)

select array_to_string(message, ',') from logs

select utc_offset('x')

select now(5)

select now

select current_timestamp + 5

select uuid(5)

select log_type(5)

select trace_id() from logs

select request_id(message, message) from logs

select level("message") , levl(message) from logs

select $window_start + 5

select $timezone + 1

select hour_of_day(5.5)

select local_time(true)
