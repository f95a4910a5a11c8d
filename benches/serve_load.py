#!/usr/bin/env python3
"""Loads `logtally serve` for some minutes, and prints once a minute what was answered and the memory of the server.

    python3 -m pip install asyncpg
    cargo build --release --locked --features serve
    python3 benches/serve_load.py --minutes 60

Fifty clients ask at once. Most compare each answer with the right one. Some read a large answer slowly, some vanish in the
middle of one, and some cancel their statements. At the end it prints how long a query takes then. The exit code is 1 if an
answer was wrong, a client lost its connection, or the memory kept growing.
"""

import argparse
import asyncio
import gzip
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import asyncpg

ROWS = 200_000
CLIENTS = {"answers": 35, "slow": 5, "vanishing": 5, "cancelling": 5}

# As many wrong answers and lost connections are printed.
MOST_SHOWN = 20

# What the memory may grow by after the first quarter.
GROWTH = 1.25


def write_objects(folder):
    """An object of numbered rows: each last digit has a tenth of them."""
    stream = folder / "0001" / "web-1"
    stream.mkdir(parents=True)
    with gzip.open(stream / "000000.gz", "wt", compresslevel=1) as out:
        for n in range(ROWS):
            second = n % 86400
            time_of_day = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
            out.write(f"2026-11-21T{time_of_day}.{n % 1000:03}Z request {n} of a customer, answered\n")


class Load:
    def __init__(self, port, until):
        self.address = {"host": "127.0.0.1", "port": port, "user": "load", "database": "logs", "timeout": 60}
        self.until = until
        self.done = Counter()
        self.wrong = []
        # The seconds from each cancel to the end of its statement.
        self.cancels = []

    async def client(self, kind, number):
        chance = random.Random(number)
        while time.monotonic() < self.until:
            try:
                await getattr(self, kind)(chance)
                self.done[kind] += 1
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, asyncio.TimeoutError) as error:
                self.note(f"{kind}: {type(error).__name__}: {error}")
                await asyncio.sleep(0.1)

    def note(self, what):
        self.wrong.append(what)
        if len(self.wrong) <= MOST_SHOWN:
            print(f"WRONG {what}", flush=True)

    async def answers(self, chance):
        connection = await asyncpg.connect(**self.address)
        try:
            for _ in range(20):
                digit, mark = chance.randrange(10), chance.randrange(1_000_000)
                sql = f"SELECT $1::int8, count(*) FROM logs WHERE message LIKE 'request %{digit} of%'"
                row = await connection.fetchrow(sql, mark)
                if tuple(row) != (mark, ROWS // 10):
                    self.note(f"{sql}: {tuple(row)}")
        finally:
            await connection.close()

    async def slow(self, chance):
        connection = await asyncpg.connect(**self.address)
        try:
            async with connection.transaction():
                cursor = await connection.cursor("SELECT message FROM logs ORDER BY timestamp, message LIMIT 3000")
                seen = 0
                while rows := await cursor.fetch(500):
                    seen += len(rows)
                    await asyncio.sleep(0.2)
                if seen != 3000:
                    self.note(f"slow: {seen} rows")
        finally:
            await connection.close()

    async def vanishing(self, chance):
        connection = await asyncpg.connect(**self.address)
        asking = asyncio.ensure_future(connection.fetch("SELECT message FROM logs"))
        await asyncio.sleep(chance.random() * 0.2)
        connection.terminate()
        await asyncio.gather(asking, return_exceptions=True)
        await asyncio.sleep(0.2)

    async def cancelling(self, chance):
        connection = await asyncpg.connect(**self.address)
        try:
            for _ in range(10):
                sql = "SELECT count(*) FROM logs AS a, generate_series(1, 100000) AS b(n)"
                try:
                    await asyncio.wait_for(connection.fetchval(sql), 0.01 + chance.random() * 0.2)
                except asyncio.TimeoutError:
                    # It is sent when the statement has ended, and needs no turn.
                    asked = time.monotonic()
                    await connection.fetchval("SHOW TimeZone")
                    self.cancels.append(time.monotonic() - asked)
        finally:
            await connection.close()


def memory_mib(process):
    text = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024


async def load(server, port, minutes):
    begun = time.monotonic()
    load = Load(port, begun + 60 * minutes)
    clients = [load.client(kind, number) for kind, count in CLIENTS.items() for number in range(count)]
    running = asyncio.gather(*clients)
    memories = []
    while not running.done():
        await asyncio.wait([running], timeout=60)
        memories.append(memory_mib(server))
        counts = ", ".join(f"{load.done[kind]:,} {kind}" for kind in CLIENTS)
        print(f"{(time.monotonic() - begun) / 60:5.1f} min  {memories[-1]:6.0f} MiB  {counts}, {len(load.wrong)} wrong", flush=True)
    asked = time.monotonic()
    connection = await asyncpg.connect(**load.address)
    await connection.fetchval("SELECT count(*) FROM logs")
    await connection.close()
    print(f"a query after the load: {time.monotonic() - asked:.3f} s")
    cancels = sorted(load.cancels)
    for name, part in [("half", 0.5), ("99 %", 0.99), ("all", 1)] if cancels else []:
        print(f"{name} of {len(cancels):,} cancelled statements ended within {cancels[int(part * len(cancels)) - 1]:.3f} s")
    early = memories[: max(1, len(memories) // 4)]
    grown = memories[-1] > GROWTH * max(early)
    if grown:
        print(f"GROWN from {max(early):.0f} to {memories[-1]:.0f} MiB")
    return 1 if load.wrong or grown else 0


def main():
    target = Path(os.environ.get("CARGO_TARGET_DIR", Path(__file__).resolve().parents[1] / "target"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logtally", type=Path, default=target / "release" / "logtally", help="the binary")
    parser.add_argument("--minutes", type=float, default=60, help="default: 60")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        write_objects(Path(scratch, "files"))
        command = [options.logtally, "serve", Path(scratch, "files"), "--listen", "127.0.0.1:0"]
        log = Path(scratch, "log")
        with open(log, "w") as errors:
            server = subprocess.Popen(command, stderr=errors)
        try:
            while not (found := re.search(r"listening on 127\.0\.0\.1:(\d+)", log.read_text())):
                if server.poll() is not None:
                    sys.exit(log.read_text())
                time.sleep(0.05)
            return asyncio.run(load(server, int(found[1]), options.minutes))
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    sys.exit(main())
