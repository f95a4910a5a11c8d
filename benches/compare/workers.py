"""The experiment `cluster`: two workers on this machine against one process, over the same cores; and workers in network
namespaces of their own, behind a delay."""

import os
import re
import secrets
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import tools
from measure import Failed, markdown, measure, warm

# The bound of the time on two workers, as a multiple of the time on one process.
MOST = 1.15

# How long a worker may take to listen.
LISTENS_WITHIN = 60

QUERIES = {
    "events by hour": tools.HOURLY,
    "`level(message)` by hour": tools.LEVELS_OF_FUNCTION,
    "Lambda's reports": tools.REPORTS,
    "`pattern(message)`": tools.PATTERNS,
}


class Workers:
    """Workers of this machine, for the duration of a `with`. With a delay, each is in a network namespace of its own."""

    def __init__(self, binary, count, delay_ms=0):
        self.binary = binary
        self.count = count
        self.delay_ms = delay_ms
        self.token = secrets.token_hex(16)
        self.processes = []
        self.addresses = []
        self.prefix = f"lt{os.getpid() % 10_000}"
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
        inside, host = [], "127.0.0.1"
        if self.delay_ms:
            host = self.namespace(number)
            inside = ["ip", "netns", "exec", f"{self.prefix}-{number}"]
        log = Path(self.scratch.name, f"{number}.log")
        with log.open("w") as stderr:
            process = subprocess.Popen(
                [*inside, self.binary, "worker", "--listen", f"{host}:0"], stderr=stderr, env={**os.environ, **self.environment}
            )
        self.processes.append(process)
        until = time.monotonic() + LISTENS_WITHIN
        while not (said := re.search(r"listening on (\S+)", log.read_text())):
            if process.poll() is not None or time.monotonic() > until:
                raise Failed(f"a worker does not listen: {log.read_text()}")
            time.sleep(0.05)
        self.addresses.append(said[1])

    def namespace(self, number):
        """A namespace that a pair of interfaces leads to, each of which delays what it sends by half. Needs root."""
        name, ours, theirs = (f"{self.prefix}-{number}", f"{self.prefix}h{number}", f"{self.prefix}w{number}")
        here, there = f"10.213.{number}.1", f"10.213.{number}.2"
        half = f"{self.delay_ms / 2}ms"
        within = ["ip", "netns", "exec", name]
        for command in [
            ["ip", "netns", "add", name],
            ["ip", "link", "add", ours, "type", "veth", "peer", "name", theirs],
            ["ip", "link", "set", theirs, "netns", name],
            ["ip", "address", "add", f"{here}/24", "dev", ours],
            ["ip", "link", "set", ours, "up"],
            [*within, "ip", "address", "add", f"{there}/24", "dev", theirs],
            [*within, "ip", "link", "set", theirs, "up"],
            [*within, "ip", "link", "set", "lo", "up"],
            # Workers reach each other by way of this machine.
            [*within, "ip", "route", "add", "default", "via", here],
            ["sysctl", "-qw", "net.ipv4.ip_forward=1"],
            ["tc", "qdisc", "add", "dev", ours, "root", "netem", "delay", half, "limit", "100000"],
            [*within, "tc", "qdisc", "add", "dev", theirs, "root", "netem", "delay", half, "limit", "100000"],
        ]:
            subprocess.run(command, check=True)
        return there

    def sent_bytes(self):
        """What all processes have sent over the network so far: of the loopback, or of the workers' interfaces."""
        names = ["lo"] if not self.delay_ms else [f"{self.prefix}h{number}" for number in range(self.count)]
        total = 0
        for name in names:
            counts = Path("/sys/class/net", name, "statistics")
            total += int((counts / "rx_bytes").read_text())
            total += 0 if name == "lo" else int((counts / "tx_bytes").read_text())
        return total

    def __exit__(self, *_):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait()
        if self.delay_ms:
            for number in range(self.count):
                subprocess.run(["ip", "netns", "delete", f"{self.prefix}-{number}"], check=False)
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
