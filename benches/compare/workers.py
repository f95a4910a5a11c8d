"""The experiment `cluster`: two workers on this machine against one process, over the same cores; and the same behind a
network with a delay."""

import asyncio
import os
import re
import secrets
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import tools
from measure import Failed, markdown, measure, warm

# The bound of the time on two workers, as a multiple of the time on one process.
MOST = 1.15

# How long a worker may take to listen.
LISTENS_WITHIN = 60

# The bytes that the network with a delay carries at a time.
CHUNK = 256 << 10

QUERIES = {
    "events by hour": tools.HOURLY,
    "`level(message)` by hour": tools.LEVELS_OF_FUNCTION,
    "Lambda's reports": tools.REPORTS,
    "`pattern(message)`": tools.PATTERNS,
}


class Network:
    """What lies between processes: each byte arrives half of the delay after it was sent, in both directions. Workers reach
    each other by way of it too, as each has one address for all."""

    def __init__(self, delay_ms):
        self.half = delay_ms / 2000
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def before(self, address):
        """The address that leads to this one."""
        host, port = address.rsplit(":", 1)

        async def serve():
            async def accept(reader, writer):
                there_reader, there_writer = await asyncio.open_connection(host, int(port), limit=CHUNK)
                await asyncio.gather(self.carry(reader, there_writer), self.carry(there_reader, writer))
                there_writer.close()
                writer.close()

            server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=CHUNK)
            return server.sockets[0].getsockname()[1]

        return f"127.0.0.1:{asyncio.run_coroutine_threadsafe(serve(), self.loop).result()}"

    async def carry(self, reader, writer):
        """As much as is sent is under way at once: a network has a delay, and no pause between two packets."""
        under_way = asyncio.Queue()

        async def arrive():
            while (packet := await under_way.get()) is not None:
                due, data = packet
                await asyncio.sleep(max(0, due - self.loop.time()))
                writer.write(data)
                await writer.drain()
            writer.write_eof()

        arriving = asyncio.ensure_future(arrive())
        try:
            while data := await reader.read(CHUNK):
                under_way.put_nowait((self.loop.time() + self.half, data))
        except ConnectionError:
            pass
        under_way.put_nowait(None)
        await asyncio.gather(arriving, return_exceptions=True)


class Workers:
    """Workers of this machine, for the duration of a `with`. With a delay, each is reached by way of a network that has it."""

    def __init__(self, binary, count, delay_ms=0):
        self.binary = binary
        self.count = count
        self.network = Network(delay_ms) if delay_ms else None
        self.token = secrets.token_hex(16)
        self.processes = []
        self.addresses = []
        self.scratch = tempfile.TemporaryDirectory()

    @property
    def environment(self):
        return {"LOGTALLY_WORKERS_TOKEN": self.token}

    def __enter__(self):
        try:
            for number in range(self.count):
                self.start(number)
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self, number):
        log = Path(self.scratch.name, f"{number}.log")
        with log.open("w") as stderr:
            process = subprocess.Popen(
                [self.binary, "worker", "--listen", "127.0.0.1:0", "--no-cache"],
                stderr=stderr,
                env={**os.environ, **self.environment},
            )
        self.processes.append(process)
        until = time.monotonic() + LISTENS_WITHIN
        while not (said := re.search(r"listening on (\S+)", log.read_text())):
            if process.poll() is not None or time.monotonic() > until:
                raise Failed(f"a worker does not listen: {log.read_text()}")
            time.sleep(0.05)
        self.addresses.append(self.network.before(said[1]) if self.network else said[1])

    @staticmethod
    def sent_bytes():
        """What all processes of this machine have sent over its loopback so far."""
        return int(Path("/sys/class/net/lo/statistics/rx_bytes").read_text())

    def __exit__(self, *_):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait()
        self.scratch.cleanup()


def run(bench, data):
    """The tables: times of one process and of two workers in turn, then the bytes of each built-in query."""
    warm(data)
    yield times(bench, data)
    yield transfers(bench, data)


def query(bench, data, workers=None):
    command = tools.Logtally(bench.binary).query(data)
    return [*command, "--workers", ",".join(workers.addresses)] if workers else command


def times(bench, data):
    delays = [0, *([bench.options.delay_ms] if bench.options.delay_ms else [])]
    rows = []
    for delay in delays:
        with Workers(bench.binary, 2, delay) as workers:
            for title, sql in QUERIES.items():
                walls = {"one": [], "two": []}
                answers = set()
                for _ in range(bench.options.runs):
                    alone = measure([*query(bench, data), sql])
                    shared = measure([*query(bench, data, workers), sql], workers.environment)
                    walls["one"].append(alone.wall)
                    walls["two"].append(shared.wall)
                    answers |= {alone.stdout, shared.stdout}
                if len(answers) > 1:
                    bench.wrong(f"{title}: two workers answer otherwise than one process")
                one, two = statistics.median(walls["one"]), statistics.median(walls["two"])
                if not delay and two > MOST * one:
                    bench.wrong(f"{title}: two workers take {two / one:.2f} times as long as one process, at most {MOST} was expected")
                rows.append([title, f"{delay} ms", f"{one:.2f}", f"{two:.2f}", f"{two / one:.2f}"])
    return markdown(["query", "delay", "one process s", "two workers s", "÷"], rows)


def transfers(bench, data):
    listed = measure([bench.binary, "query", "--list"]).stdout
    names = [line.split()[0] for line in listed.splitlines() if line.split()]
    rows = []
    with Workers(bench.binary, 2) as workers:
        for name in names:
            before = workers.sent_bytes()
            try:
                measure([*query(bench, data, workers), f"@{name}"], workers.environment)
            except Failed:
                # It needs a job, or a value without a default.
                continue
            rows.append([f"`@{name}`", f"{workers.sent_bytes() - before:,}"])
    return markdown(["built-in query", "bytes over the network"], rows)
