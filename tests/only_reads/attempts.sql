# Writing files

COPY logs TO 'CANARY/out.parquet'

COPY (SELECT message FROM logs) TO 'CANARY/out.csv' STORED AS CSV

COPY (SELECT 1) TO 's3://acme-logs/out.json' STORED AS JSON

copy logs to 'CANARY/out/' partitioned by (log_group)

COPY logs FROM 'CANARY/canary.csv'

EXPLAIN COPY logs TO 'CANARY/out.parquet'

EXPLAIN ANALYZE COPY (SELECT message FROM logs) TO 'CANARY/out.csv' STORED AS CSV

EXPLAIN ANALYZE VERBOSE COPY logs TO 'CANARY/out.parquet'

EXPLAIN EXPLAIN ANALYZE COPY logs TO 'CANARY/out.parquet'

UNLOAD (SELECT * FROM logs) TO 's3://acme-logs/out/'

EXPORT DATABASE 'CANARY/out'

SELECT message INTO OUTFILE 'CANARY/out.csv' FROM logs

SELECT message INTO copied FROM logs

SELECT * FROM logs INTO DUMPFILE 'CANARY/out'

# Tables that are made

CREATE EXTERNAL TABLE canary STORED AS CSV LOCATION 'CANARY/canary.csv'

CREATE EXTERNAL TABLE IF NOT EXISTS passwd (line TEXT) STORED AS CSV LOCATION '/etc/passwd'

CREATE UNBOUNDED EXTERNAL TABLE canary STORED AS CSV LOCATION 'CANARY/canary.csv'

CREATE TABLE copied AS SELECT * FROM logs

CREATE TABLE IF NOT EXISTS copied (message TEXT)

CREATE OR REPLACE TABLE logs AS SELECT 1 AS message

CREATE VIEW logs AS SELECT 1 AS message

CREATE MATERIALIZED VIEW copied AS SELECT * FROM logs

CREATE SCHEMA other

CREATE DATABASE other

CREATE INDEX copied ON logs (message)

CREATE FUNCTION leak(TEXT) RETURNS TEXT LANGUAGE SQL AS 'SELECT $1'

CREATE ROLE other

CREATE EXTENSION file_fdw

CREATE SERVER other FOREIGN DATA WRAPPER file_fdw

CREATE SECRET (TYPE S3, KEY_ID 'a', SECRET 'b')

CREATE SEQUENCE numbers

CREATE TRIGGER changed AFTER INSERT ON logs EXECUTE FUNCTION f()

EXPLAIN CREATE TABLE copied AS SELECT * FROM logs

# Rows and tables that are changed

INSERT INTO logs VALUES (1)

INSERT INTO hours SELECT * FROM hours

INSERT OVERWRITE logs SELECT * FROM logs

INSERT INTO FUNCTION file('CANARY/out.csv') SELECT 1

UPDATE logs SET message = 'x'

DELETE FROM logs

DELETE FROM logs WHERE true

TRUNCATE TABLE logs

TRUNCATE logs

MERGE INTO logs USING hours ON true WHEN MATCHED THEN DELETE

REPLACE INTO logs VALUES (1)

UPSERT INTO logs VALUES (1)

DROP TABLE logs

DROP TABLE IF EXISTS logs

DROP VIEW hours

DROP SCHEMA public CASCADE

DROP FUNCTION level

ALTER TABLE logs ADD COLUMN x INT

ALTER TABLE logs RENAME TO other

ALTER SYSTEM SET work_mem = '1GB'

EXPLAIN INSERT INTO logs VALUES (1)

EXPLAIN ANALYZE DELETE FROM logs

WITH gone AS (DELETE FROM logs RETURNING *) SELECT * FROM gone

WITH added AS (INSERT INTO logs VALUES (1) RETURNING *) SELECT * FROM added

WITH changed AS (UPDATE logs SET message = '' RETURNING *) SELECT * FROM changed

SELECT * FROM (DELETE FROM logs RETURNING *) AS gone

SELECT message FROM logs FOR UPDATE

# Files and URLs as tables

SELECT * FROM 'CANARY/canary.csv'

SELECT * FROM "CANARY/canary.csv"

SELECT * FROM 'CANARY/canary.parquet'

SELECT * FROM "CANARY/*.csv"

SELECT * FROM 'file:///etc/passwd'

SELECT * FROM "file:///etc/passwd"

SELECT * FROM '/etc/passwd'

SELECT * FROM "/etc/passwd"

SELECT * FROM '../canary.csv'

SELECT * FROM "exports/web/000000.gz"

SELECT * FROM 's3://acme-logs/exports/'

SELECT * FROM "s3://acme-logs/exports/"

SELECT * FROM 'http://CANARY_HOST/canary.csv'

SELECT * FROM "http://CANARY_HOST/canary.parquet"

SELECT * FROM 'https://example.com/canary.csv'

SELECT * FROM 'gs://acme/canary.csv'

SELECT * FROM 'az://acme/canary.csv'

SELECT * FROM 'hdfs://acme/canary.csv'

SELECT * FROM 'data:text/csv,a,b'

SELECT * FROM @stage

SELECT * FROM logs JOIN 'CANARY/canary.csv' AS c ON true

SELECT (SELECT max(line) FROM '/etc/passwd') FROM logs

SELECT message FROM logs WHERE message IN (SELECT line FROM "/etc/passwd")

SELECT 1 UNION ALL SELECT * FROM '/etc/passwd'

WITH leak AS (SELECT * FROM '/etc/passwd') SELECT * FROM leak

TABLE "/etc/passwd"

DESCRIBE '/etc/passwd'

DESCRIBE "CANARY/canary.csv"

SHOW COLUMNS FROM "/etc/passwd"

# Functions that read or write elsewhere

SELECT * FROM read_csv('CANARY/canary.csv')

SELECT * FROM read_csv_auto('CANARY/canary.csv')

SELECT * FROM read_parquet('CANARY/canary.parquet')

SELECT * FROM read_json('CANARY/canary.json')

SELECT * FROM read_text('/etc/passwd')

SELECT * FROM read_blob('/etc/passwd')

SELECT * FROM parquet_scan('CANARY/canary.parquet')

SELECT * FROM parquet_metadata('CANARY/canary.parquet')

SELECT * FROM parquet_schema('CANARY/canary.parquet')

SELECT * FROM glob('CANARY/*')

SELECT * FROM sniff_csv('CANARY/canary.csv')

SELECT * FROM file('CANARY/canary.csv')

SELECT * FROM url('http://CANARY_HOST/canary.csv')

SELECT * FROM s3('s3://acme-logs/exports/')

SELECT * FROM s3Cluster('c', 's3://acme-logs/exports/')

SELECT * FROM delta_scan('CANARY')

SELECT * FROM iceberg_scan('CANARY')

SELECT * FROM postgres_scan('host=CANARY_HOST', 'public', 'logs')

SELECT * FROM sqlite_scan('CANARY/canary.db', 'logs')

SELECT * FROM metadata_cache()

SELECT * FROM statistics_cache()

SELECT * FROM list_files_cache()

SELECT * FROM dblink('host=CANARY_HOST', 'SELECT 1') AS t (a INT)

SELECT * FROM openrowset(BULK 'CANARY/canary.csv', SINGLE_CLOB) AS c

SELECT * FROM external_query('c', 'SELECT 1')

SELECT pg_read_file('/etc/passwd')

SELECT pg_read_binary_file('/etc/passwd')

SELECT pg_ls_dir('/')

SELECT lo_import('/etc/passwd')

SELECT lo_export(1, 'CANARY/out')

SELECT pg_sleep(100000)

SELECT load_file('/etc/passwd')

SELECT load_extension('CANARY/canary.so')

SELECT getenv('AWS_SECRET_ACCESS_KEY')

SELECT current_setting('data_directory')

SELECT set_config('work_mem', '1GB', false)

SELECT dblink_connect('host=CANARY_HOST')

SELECT http_get('http://CANARY_HOST/')

SELECT xpath_table('a', 'b', 'c', 'd', 'e')

SELECT query_to_xml('SELECT 1', true, true, '')

SELECT system('touch CANARY/out')

# Settings

SET datafusion.execution.batch_size = 1

SET datafusion.runtime.memory_limit = '100G'

SET datafusion.catalog.location = 'CANARY'

SET TIME ZONE 'Asia/Seoul'

SET search_path = other

SET ROLE admin

SET VARIABLE x = 1

RESET datafusion.execution.batch_size

RESET ALL

PRAGMA enable_external_access = true

USE other

# Code from elsewhere

LOAD 'CANARY/canary.so'

INSTALL httpfs

INSTALL httpfs FROM 'http://CANARY_HOST/'

ATTACH 'CANARY/canary.db' AS other

ATTACH DATABASE 'CANARY/canary.db' AS other

DETACH other

CALL system('touch CANARY/out')

DO $$ BEGIN PERFORM 1; END $$

EXEC xp_cmdshell 'touch CANARY/out'

\copy logs TO 'CANARY/out.csv'

\! touch CANARY/out

\i CANARY/canary.sql

.read CANARY/canary.sql

.shell touch CANARY/out

# Statements of a session

PREPARE later AS SELECT * FROM logs

PREPARE later(INT) AS SELECT $1

EXECUTE later

EXECUTE later(1)

EXECUTE IMMEDIATE 'DROP TABLE logs'

DEALLOCATE later

DEALLOCATE ALL

DECLARE later CURSOR FOR SELECT * FROM logs

FETCH 10 FROM later

MOVE 10 IN later

CLOSE later

OPEN later

LISTEN changes

NOTIFY changes

UNLISTEN *

BEGIN

BEGIN; DELETE FROM logs; COMMIT

START TRANSACTION

COMMIT

ROLLBACK

SAVEPOINT here

LOCK TABLE logs

VACUUM

VACUUM FULL logs

ANALYZE TABLE logs COMPUTE STATISTICS

REINDEX TABLE logs

CLUSTER logs

CHECKPOINT

DISCARD ALL

GRANT ALL ON logs TO PUBLIC

REVOKE ALL ON logs FROM PUBLIC

COMMENT ON TABLE logs IS 'x'

SECURITY LABEL ON TABLE logs IS 'x'

REFRESH MATERIALIZED VIEW logs

KILL 1

MSCK REPAIR TABLE logs

OPTIMIZE TABLE logs

CACHE TABLE logs

# Statements behind and within others

SELECT 1; DROP TABLE logs

SELECT 1; COPY logs TO 'CANARY/out.csv' STORED AS CSV

SELECT 1;; DELETE FROM logs

SELECT 1 -- harmless
; DELETE FROM logs

SELECT 1 /* ; */ ; DELETE FROM logs

/* SELECT 1 */ DROP TABLE logs

-- SELECT 1
DROP TABLE logs

/*+ hint */ DELETE FROM logs

/* /* nested */ SELECT 1 */ TRUNCATE logs

/*! DROP TABLE logs */ DELETE FROM logs

SELECT '1'; DELETE FROM logs; --'

SELECT $$1$$; DELETE FROM logs

SELECT E'\''; DELETE FROM logs; --'

(DELETE FROM logs)

((DROP TABLE logs))

# Signs that look like others

ＤＥＬＥＴＥ FROM logs

DЕLETE FROM logs

D​ELETE FROM logs

﻿DELETE FROM logs

DELETE FROM logs

SELECT 1； DROP TABLE logs

SELECT * FROM ‘/etc/passwd’

SELECT * FROM “/etc/passwd”

SELECT * FROM U&"/etc/passwd"

SELECT * FROM U&'\002Fetc\002Fpasswd'

SELECT * FROM E'/etc/passwd'

SELECT * FROM $$/etc/passwd$$

# Other catalogues

SELECT * FROM pg_catalog.pg_authid

SELECT * FROM pg_shadow

SELECT * FROM mysql.user

SELECT * FROM sqlite_master

SELECT * FROM system.tables

SELECT * FROM information_schema.user_privileges

SELECT * FROM other.information_schema.tables

SELECT * FROM other.public.logs

SELECT * FROM "other"."information_schema"."columns"

SELECT * FROM datafusion.public."/etc/passwd"

SELECT * FROM duckdb_secrets()

SHOW DATABASES

SHOW SCHEMAS

SHOW CREATE TABLE logs

SHOW GRANTS

# What is allowed

SELECT count(*) FROM logs

VALUES (1), (2)

SHOW TABLES

SHOW COLUMNS FROM logs

DESCRIBE logs

EXPLAIN SELECT message FROM logs

EXPLAIN ANALYZE SELECT message FROM logs

SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'

SELECT column_name FROM information_schema.columns WHERE table_name = 'logs'

SELECT n FROM generate_series(1, 3) AS s(n)

SELECT 'DROP TABLE logs; COPY logs TO ''CANARY/out.csv'' --' AS text

SELECT 1 AS "DELETE FROM logs" -- ; DELETE FROM logs

SHOW ALL

SHOW datafusion.execution.batch_size
