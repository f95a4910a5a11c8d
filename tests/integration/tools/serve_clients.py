"""Asks a server through the clients of Python, and checks what they make of the answers.

Arguments: the port of the server. The events are those of `serve.rs`: one at each full hour of 2025-03-03 in Seoul.
"""

import asyncio
import datetime as dt
import decimal
import sys
from zoneinfo import ZoneInfo

import asyncpg
import pandas
import psycopg
import sqlalchemy

PORT = int(sys.argv[1])
SEOUL = ZoneInfo("Asia/Seoul")
FIRST = dt.datetime(2025, 3, 3, tzinfo=SEOUL)
# A value of each type, and what Python makes of it.
VALUES = [
    ("true", True),
    ("1::smallint", 1),
    ("-2::int", -2),
    ("9000000000::bigint", 9_000_000_000),
    ("0.1::real", 0.1),
    ("1e300::double precision", 1e300),
    ("123.4500::decimal(10, 4)", decimal.Decimal("123.4500")),
    ("'é\u0001'::text", "é\u0001"),
    ("date '2026-11-21'", dt.date(2026, 11, 21)),
    ("timestamp '2026-11-21 01:02:03.25'", dt.datetime(2026, 11, 21, 1, 2, 3, 250_000)),
    ("timestamptz '2026-11-21 00:00:00Z'", dt.datetime(2026, 11, 21, tzinfo=dt.timezone.utc)),
    ("interval '1 day 2 hours'", dt.timedelta(days=1, hours=2)),
    ("ARRAY['a', 'b c', NULL]", ["a", "b c", None]),
    ("ARRAY[1, 2]", [1, 2]),
    ("NULL", None),
]


def near(found, expected):
    if isinstance(expected, float):
        return abs(found - expected) <= abs(expected) * 1e-6
    return found == expected


def check(what, found, expected):
    assert near(found, expected), f"{what}: {found!r}, expected {expected!r}"


def with_psycopg():
    address = f"host=127.0.0.1 port={PORT} user=anna dbname=logs"
    with psycopg.connect(address) as connection:
        for binary in (False, True):
            cursor = connection.cursor(binary=binary)
            for sql, expected in VALUES:
                check(f"psycopg {binary} {sql}", cursor.execute(f"SELECT {sql}").fetchone()[0], expected)
            # Values that the server gets in the form of their types.
            rows = cursor.execute(
                "SELECT timestamp, json_get_int(message, 'ms') AS ms FROM logs"
                " WHERE timestamp >= %s AND timestamp < %b AND level(message) = %s AND json_get_int(message, 'ms') > %s"
                " AND level(message) = ANY(%s) ORDER BY timestamp LIMIT %s",
                (FIRST, FIRST + dt.timedelta(hours=10), "ERROR", 0, ["ERROR", "WARN"], 2),
            ).fetchall()
            check("psycopg parameters", rows, [(FIRST + dt.timedelta(hours=3), 30), (FIRST + dt.timedelta(hours=6), 60)])
            check("psycopg zone", rows[0][0].utcoffset(), dt.timedelta(hours=9))
            bound = cursor.execute("SELECT %s || 'b', %s::int + 1, %s::date", ("a'", 1, dt.date(2026, 11, 21))).fetchone()
            check("psycopg bound", bound, ("a'b", 2, dt.date(2026, 11, 21)))
        # A statement is prepared by the server after some times.
        for number in range(8):
            found = connection.execute("SELECT count(*) FROM logs WHERE json_get_int(message, 'ms') >= %s", (number * 10,)).fetchone()
            check("psycopg prepared", found[0], 24 - number)
        with connection.cursor("rows") as cursor:
            cursor.itersize = 5
            cursor.execute("SELECT hour_of_day(timestamp) AS h FROM logs ORDER BY timestamp")
            check("psycopg cursor", [row[0] for row in cursor], list(range(24)))
        with connection.cursor().copy("COPY (SELECT hour_of_day(timestamp), 'é' FROM logs ORDER BY timestamp) TO STDOUT") as copy:
            check("psycopg copy", list(copy.rows())[0], ("0", "é"))
        with connection.cursor().copy("COPY (SELECT 7::bigint) TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(["int8"])
            check("psycopg binary copy", list(copy.rows()), [(7,)])
    with psycopg.connect(address, autocommit=True) as connection:
        try:
            connection.execute("SELECT nope FROM logs")
        except psycopg.errors.UndefinedColumn as error:
            check("psycopg place", error.diag.statement_position, "8")
        with connection.pipeline():
            answers = [connection.execute("SELECT %s::int", (number,)) for number in range(20)]
            check("psycopg pipeline", [answer.fetchone()[0] for answer in answers], list(range(20)))
        with connection.transaction():
            try:
                with connection.transaction():
                    connection.execute("SELECT nope")
            except psycopg.errors.UndefinedColumn:
                pass
            check("psycopg savepoint", connection.execute("SELECT 1").fetchone()[0], 1)
    with psycopg.ClientCursor(psycopg.connect(address)) as cursor:
        found = cursor.execute("SELECT count(*) FROM logs WHERE timestamp >= %s", (FIRST,)).fetchone()
        check("psycopg on the client", found[0], 24)


async def with_asyncpg():
    connection = await asyncpg.connect(host="127.0.0.1", port=PORT, user="anna", database="logs")
    for sql, expected in VALUES:
        check(f"asyncpg {sql}", await connection.fetchval(f"SELECT {sql}"), expected)
    rows = await connection.fetch(
        "SELECT timestamp, message FROM logs WHERE timestamp >= $1 AND json_get_int(message, 'ms') > $2"
        " AND level(message) = ANY($3) AND message LIKE $4 ORDER BY timestamp LIMIT $5",
        FIRST + dt.timedelta(hours=1), 100, ["ERROR"], "%done%", 1,
    )
    check("asyncpg parameters", rows[0]["timestamp"], FIRST + dt.timedelta(hours=12))
    bucket = await connection.fetchval("SELECT min(time_bucket($1, timestamp)) FROM logs", "1 hour")
    check("asyncpg function", bucket, FIRST)
    async with connection.transaction():
        seen = [record["h"] async for record in connection.cursor("SELECT hour_of_day(timestamp) AS h FROM logs ORDER BY 1", prefetch=7)]
    check("asyncpg cursor", seen, list(range(24)))
    try:
        await asyncio.wait_for(connection.fetch("SELECT sum(n % 7) FROM generate_series(1, 100000000000000) AS a(n)"), 1)
        raise AssertionError("asyncpg: an endless query ends")
    except asyncio.TimeoutError:
        pass
    check("asyncpg behind a cancel request", await connection.fetchval("SELECT 1"), 1)
    check("asyncpg settings", connection.get_settings().TimeZone, "Asia/Seoul")
    await connection.reset()
    await connection.close()
    async with asyncpg.create_pool(host="127.0.0.1", port=PORT, user="anna", database="logs", min_size=3, max_size=10) as pool:
        counts = await asyncio.gather(*(pool.fetchval("SELECT count(*) + $1 FROM logs", number) for number in range(40)))
        check("asyncpg pool", counts, [24 + number for number in range(40)])


def with_pandas(driver):
    engine = sqlalchemy.create_engine(f"postgresql+{driver}://anna@127.0.0.1:{PORT}/logs")
    with engine.connect() as connection:
        query = sqlalchemy.text("SELECT timestamp, level(message) AS level, json_get_int(message, 'ms') AS ms FROM logs WHERE timestamp >= :start ORDER BY timestamp")
        frame = pandas.read_sql(query, connection, params={"start": FIRST + dt.timedelta(hours=20)})
        check(f"pandas {driver}", frame["ms"].tolist(), [200, 210, 220, 230])
        check(f"pandas {driver} instants", frame["timestamp"].iloc[0].tz_convert("UTC"), pandas.Timestamp("2025-03-03T11:00:00Z"))
        parts = pandas.read_sql(sqlalchemy.text("SELECT message FROM logs"), connection.execution_options(stream_results=True), chunksize=10)
        check(f"pandas {driver} in parts", [len(part) for part in parts], [10, 10, 4])
    inspector = sqlalchemy.inspect(engine)
    names = inspector.get_table_names() + inspector.get_view_names()
    assert {"logs", "hourly_count", "errors"} <= set(names), names
    columns = {column["name"]: str(column["type"]) for column in inspector.get_columns("logs")}
    check(f"sqlalchemy {driver}", columns, {"timestamp": "TIMESTAMP", "message": "TEXT", "log_group": "TEXT", "log_stream": "TEXT"})
    check(f"sqlalchemy {driver} keys", inspector.get_pk_constraint("logs")["constrained_columns"], [])
    check(f"sqlalchemy {driver} indexes", inspector.get_indexes("logs"), [])
    check(f"sqlalchemy {driver} foreign keys", inspector.get_foreign_keys("logs"), [])
    table = pandas.read_sql_table("hourly_count", engine)
    check(f"pandas {driver} table", int(table["events"].sum()), 24)
    logs = sqlalchemy.Table("logs", sqlalchemy.MetaData(), autoload_with=engine)
    with engine.connect() as connection:
        count = connection.execute(sqlalchemy.select(sqlalchemy.func.count()).select_from(logs)).scalar()
        check(f"sqlalchemy {driver} table", count, 24)


with_psycopg()
asyncio.run(with_asyncpg())
with_pandas("psycopg")
print("done")
