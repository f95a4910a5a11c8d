#!/usr/bin/env python3
"""The tasks of the comparison over a CloudWatch export, by other tools.

usage: peers.py ENGINE TASK EXPORT [OUT]

ENGINE  duckdb, polars, chdb, pandas, or script: json.loads of each message into a DataFrame, a common solution
TASK    hourly    events by hour of the day in Asia/Seoul             prints: hour count
        levels    JSON messages by UTC hour and level                 prints: hour level count
        reports   REPORT lines by UTC hour, 95th percentile of their durations in ms
                                                                      prints: hour p95 count
        parse     lines of an access log by status and path, with their milliseconds
                                                                      prints: status path count ms
        pattern   events by kind of message, the values of which are replaced by marks
                                                                      prints: kind count
        parquet   timestamp and line of every event to OUT, zstd      prints nothing
        check     rows of the Parquet file OUT by UTC hour of their first column, not a part of the comparison
                                                                      prints: hour count
EXPORT  a folder that holds exportedlogs/

The engines read lines, so they keep only the first line of an event: less work than a correct reader does.
"""

import glob
import gzip
import json
import os
import sys

# Regular expressions that replace the same values as `pattern` does in this data, in the order that they need.
VALUES = [
    (r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:[.,]\d+)?(?:Z|[+-]\d{2}:?\d{2})?", "<time>"),
    (r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}", "<uuid>"),
    (r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}", "<email>"),
    (r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?::\d+)?\b", "<ip>"),
    (r'("(?:timestamp|function_request_id|xray_trace_id|status|latency_ms)":)(?:"[^"]*"|[^,}]+)', r"\1<*>"),
    (r"\b[0-9a-fA-F]{16,}\b", "<*>"),
    (r"\b\d+(?:\.\d+)? ?(?:ms|s|MB|KB)\b", "<unit>"),
    (r"\b\d+(?:\.\d+)?\b", "<*>"),
]

TIMESTAMP = "%Y-%m-%dT%H:%M:%S.%fZ"

# Path, status and seconds of a line of nginx's combined format with $request_time.
ACCESS = r'"[A-Z]+ ([^ ?"]+)[^"]*" ([0-9]+) [0-9]+ "[^"]*" "[^"]*" ([0-9.]+)$'


def duckdb(task, objects, out):
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET enable_progress_bar = false")
    connection.execute(f"SET threads = {cores()}")
    # A delimiter that the text does not contain makes each line one column.
    lines = f"""(
        SELECT try_strptime(left(line, 24), '%Y-%m-%dT%H:%M:%S.%gZ') AS ts, line
        FROM read_csv('{objects}', columns = {{'line': 'VARCHAR'}}, header = false, delim = '\x01', quote = '',
                      escape = '', auto_detect = false, max_line_size = 4000000)
    )"""
    sql = {
        "hourly": f"""
            SELECT extract(hour FROM (ts + INTERVAL 9 HOUR)) AS hour, count(*)
            FROM {lines} WHERE ts IS NOT NULL GROUP BY hour ORDER BY hour""",
        "levels": f"""
            SELECT extract(hour FROM ts) AS hour, json_extract_string(substr(line, 26), '$.level') AS level, count(*)
            FROM {lines} WHERE ts IS NOT NULL AND substr(line, 26, 1) = '{{' GROUP BY hour, level ORDER BY hour, level""",
        "reports": f"""
            SELECT hour, quantile_cont(duration, 0.95), count(*)
            FROM (
                SELECT extract(hour FROM ts) AS hour,
                       regexp_extract(line, '\tDuration: ([0-9.]+) ms', 1)::DOUBLE AS duration
                FROM {lines} WHERE ts IS NOT NULL AND starts_with(substr(line, 26), 'REPORT ')
            )
            GROUP BY hour ORDER BY hour""",
        "parse": f"""
            SELECT access.status::INTEGER AS status, access.path AS path, count(*), sum(access.seconds::DOUBLE) * 1000
            FROM (SELECT regexp_extract(line, '{ACCESS}', ['path', 'status', 'seconds']) AS access FROM {lines} WHERE ts IS NOT NULL)
            GROUP BY status, path ORDER BY status, path""",
        "pattern": f"""
            SELECT kind, count(*) FROM (
                SELECT {nested("regexp_replace({text}, '{value}', '{mark}', 'g')", "substr(line, 26)")} AS kind
                FROM {lines} WHERE ts IS NOT NULL
            ) GROUP BY kind""",
        "parquet": f"""
            COPY (SELECT ts, line FROM {lines} WHERE ts IS NOT NULL) TO '{out}' (FORMAT parquet, COMPRESSION zstd)""",
    }[task]
    answer = connection.execute(sql).fetchall()
    return [] if task == "parquet" else answer


def polars(task, objects, out):
    import polars as pl

    lines = pl.scan_csv(
        objects, has_header=False, separator="\x01", quote_char=None, schema={"line": pl.String}, truncate_ragged_lines=True
    )
    lines = lines.with_columns(
        pl.col("line").str.slice(0, 24).str.to_datetime("%Y-%m-%dT%H:%M:%S%.3fZ", strict=False).alias("ts")
    ).filter(pl.col("ts").is_not_null())
    hour = pl.col("ts").dt.hour().alias("hour")
    message = pl.col("line").str.slice(25)
    if task == "parquet":
        lines.select("ts", "line").sink_parquet(out, compression="zstd")
        return []
    if task == "pattern":
        for value, mark in VALUES:
            message = message.str.replace_all(value, mark.replace(r"\1", "${1}"))
        answer = lines.select(message.alias("kind")).group_by("kind").len()
    elif task == "hourly":
        in_seoul = (pl.col("ts") + pl.duration(hours=9)).dt.hour().alias("hour")
        answer = lines.select(in_seoul).group_by("hour").len().sort("hour")
    elif task == "levels":
        json_lines = lines.filter(pl.col("line").str.slice(25, 1) == "{")
        level = message.str.json_path_match("$.level").alias("level")
        answer = json_lines.select(hour, level).group_by("hour", "level").len().sort("hour", "level")
    elif task == "parse":
        access = message.str.extract_groups(ACCESS).struct
        access = [
            access.field("2").cast(pl.Int32).alias("status"),
            access.field("1").alias("path"),
            access.field("3").cast(pl.Float64).alias("seconds"),
        ]
        answer = (
            lines.select(access).group_by("status", "path").agg(pl.len(), pl.col("seconds").sum() * 1000).sort("status", "path")
        )
    else:
        report_lines = lines.filter(pl.col("line").str.slice(25, 7) == "REPORT ")
        duration = pl.col("line").str.extract(r"\tDuration: ([0-9.]+) ms").cast(pl.Float64).alias("duration")
        answer = (
            report_lines.select(hour, duration).group_by("hour").agg(pl.col("duration").quantile(0.95), pl.len()).sort("hour")
        )
    return answer.collect(engine="streaming").rows()


def chdb(task, objects, out):
    import chdb

    lines = f"""(
        SELECT parseDateTime64BestEffortOrNull(substring(line, 1, 24), 3, 'UTC') AS ts, line
        FROM file('{objects}', 'LineAsString', 'line String')
        WHERE match(line, '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T[0-9:.]+Z ')
    )"""
    sql = {
        "hourly": f"""
            SELECT toHour(ts, 'Asia/Seoul') AS hour, count() FROM {lines} WHERE ts IS NOT NULL GROUP BY hour ORDER BY hour""",
        "levels": f"""
            SELECT toHour(ts, 'UTC') AS hour, simpleJSONExtractString(substring(line, 26), 'level') AS level, count()
            FROM {lines} WHERE ts IS NOT NULL AND substring(line, 26, 1) = '{{' GROUP BY hour, level ORDER BY hour, level""",
        "reports": f"""
            SELECT toHour(ts, 'UTC') AS hour,
                   quantileExact(0.95)(toFloat64OrNull(extract(line, '\\tDuration: ([0-9.]+) ms'))), count()
            FROM {lines} WHERE ts IS NOT NULL AND startsWith(substring(line, 26), 'REPORT ') GROUP BY hour ORDER BY hour""",
        "parse": f"""
            SELECT toInt32(access[2]) AS status, access[1] AS path, count(), sum(toFloat64(access[3])) * 1000
            FROM (SELECT extractGroups(line, '{ACCESS}') AS access FROM {lines} WHERE ts IS NOT NULL)
            GROUP BY status, path ORDER BY status, path""",
        "pattern": f"""
            SELECT kind, count() FROM (
                SELECT {nested("replaceRegexpAll({text}, '{value}', '{mark}')", "substring(line, 26)", chr(92))} AS kind
                FROM {lines} WHERE ts IS NOT NULL
            ) GROUP BY kind""",
        "parquet": f"""
            INSERT INTO FUNCTION file('{out}', 'Parquet') SELECT ts, line FROM {lines} WHERE ts IS NOT NULL
            SETTINGS output_format_parquet_compression_method = 'zstd', engine_file_truncate_on_insert = 1""",
    }[task]
    if task != "parquet":
        sql += f" SETTINGS max_threads = {cores()}"
    return [line.split("\t") for line in str(chdb.query(sql, "TSV")).splitlines()]


def pandas(task, objects, _out):
    import pandas as pd

    assert task == "hourly", f"pandas does hourly only, not {task}"
    parts = []
    for path in glob.glob(objects):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            parts.append(pd.Series([line[:24] for line in lines]))
    times = pd.to_datetime(pd.concat(parts), format=TIMESTAMP, errors="coerce", utc=True).dropna()
    hours = times.dt.tz_convert("Asia/Seoul").dt.hour
    return list(times.groupby(hours).size().items())


def script(task, objects, _out):
    import pandas as pd

    assert task == "hourly", f"the script does hourly only, and JSON messages only, not {task}"
    logs = []
    for path in glob.glob(objects):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            logs += [json.loads(line[25:]) for line in lines if line[25:26] == "{"]
    frame = pd.DataFrame(logs)
    hours = pd.to_datetime(frame["timestamp"]).dt.tz_convert("Asia/Seoul").dt.hour
    return list(frame.groupby(hours).size().items())


def nested(call, text, backslash=""):
    """The replacements of all values in SQL, each around the one before. `backslash` stands before each backslash."""
    for value, mark in VALUES:
        literals = {name: of.replace("\\", backslash + "\\") for name, of in (("value", value), ("mark", mark))}
        text = call.format(text=text, **literals)
    return text


def check(out):
    import polars as pl

    hour = pl.first().dt.hour().alias("hour")
    return pl.scan_parquet(out).select(hour).group_by("hour").len().sort("hour").collect(engine="streaming").rows()


def cores():
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


ENGINES = {"duckdb": duckdb, "polars": polars, "chdb": chdb, "pandas": pandas, "script": script}


def main():
    if len(sys.argv) not in (4, 5) or sys.argv[1] not in ENGINES:
        sys.exit(__doc__)
    engine, task, export = sys.argv[1:4]
    out = sys.argv[4] if len(sys.argv) > 4 else None
    objects = glob.escape(os.path.join(export, "exportedlogs")) + "/*/*/*.gz"
    rows = check(out) if task == "check" else ENGINES[engine](task, objects, out)
    for row in rows:
        print(*row)


if __name__ == "__main__":
    main()
