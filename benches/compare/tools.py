"""How each tool does each task, and the check of its answer against the truth."""

import csv
import io
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from measure import cores, measure

HERE = Path(__file__).parent
DAY = "2023-09-20"

# Seoul's offset from UTC in hours.
SEOUL = 9

# The relative error of percentiles that are interpolated in single precision.
PRECISION = 1e-5

TASKS = ["hourly", "levels", "reports", "pattern", "parquet"]
# Over lines of an access log.
ACCESS_TASKS = ["parse"]
TITLES = {
    "hourly": "Events by hour of the day",
    "levels": "JSON messages by hour and level",
    "reports": "95th percentile of REPORT durations by hour",
    "parse": "Access lines by status and path, with their milliseconds",
    "pattern": "Kinds of messages",
    "parquet": "All events to one Parquet file",
}

HOURLY = "SELECT hour_of_day(timestamp) AS hour, count(*) AS events FROM logs GROUP BY 1 ORDER BY 1"
LEVELS = """
    SELECT time_bucket('1 hour', timestamp) AS hour, {level} AS level, count(*) AS events
    FROM logs WHERE message LIKE '{{%' GROUP BY 1, 2 ORDER BY 1, 2"""
LEVELS_OF_JSON = LEVELS.format(level="message->>'level'")
LEVELS_OF_FUNCTION = LEVELS.format(level="level(message)")
REPORTS = """
    SELECT hour, percentile_cont(report['duration_ms'], 0.95) AS p95_ms, count(*) AS reports
    FROM (SELECT time_bucket('1 hour', timestamp) AS hour, lambda_report(message) AS report FROM logs) AS reports
    WHERE report IS NOT NULL GROUP BY 1 ORDER BY 1"""
PARSE = """
    SELECT access['status'] AS status, access['path'] AS path, count(*) AS requests, sum(access['request_ms']) AS ms
    FROM (SELECT parse_access_log(message) AS access FROM logs) AS lines GROUP BY 1, 2 ORDER BY 1, 2"""
PARSE_GLOB = """
    SELECT access['status'] AS status, split_part(access['target'], '?', 1) AS path, count(*) AS requests,
           sum(access['seconds']) * 1000 AS ms
    FROM (
        SELECT parse(message, '"* {target} *" {status:int} {bytes:int} "*" "*" {seconds:float}') AS access FROM logs
    ) AS lines GROUP BY 1, 2 ORDER BY 1, 2"""
PARSE_REGEX = """
    SELECT access['status']::int AS status, access['path'] AS path, count(*) AS requests,
           sum(access['seconds']::double precision) * 1000 AS ms
    FROM (
        SELECT parse_regex(message, '"[A-Z]+ (?<path>[^ ?"]+)[^"]*" (?<status>[0-9]+) [0-9]+ "[^"]*" "[^"]*" (?<seconds>[0-9.]+)$')
               AS access FROM logs
    ) AS lines GROUP BY 1, 2 ORDER BY 1, 2"""
PATTERNS = "SELECT pattern(message) AS kind, count(*) AS events FROM logs GROUP BY kind ORDER BY events DESC"
EVENTS = "SELECT timestamp, log_stream, message FROM logs"


class Tool:
    """A tool that does some of the tasks."""

    name = ""
    tasks = TASKS + ACCESS_TASKS
    # Slow tools are run only once.
    slow = False

    def run(self, task, data, out):
        """Does a task over the data in one process and returns its measurement. Parquet goes to the path `out`."""
        raise NotImplementedError

    def answer(self, task, stdout):
        """Its output in the form of `truth`."""
        raise NotImplementedError

    def truth(self, task, truth):
        return right_answer(task, truth)


class Logtally(Tool):
    name = "logtally"

    def __init__(self, binary):
        self.binary = binary

    def sql(self, task):
        return {
            "hourly": HOURLY,
            "levels": LEVELS_OF_JSON,
            "reports": REPORTS,
            "pattern": PATTERNS,
            "parse": PARSE,
        }[task]

    def run(self, task, data, out):
        if task == "parquet":
            return self.run_job(data, out)
        zone = "Asia/Seoul" if task == "hourly" else "UTC"
        return measure([*self.query(data), "--timezone", zone, self.sql(task)])

    def query(self, data, cache=None):
        """A query that keeps its columns in a folder, or by default reads the objects and keeps nothing."""
        keeping = ["--cache", cache] if cache else ["--no-cache"]
        return [self.binary, "query", data, "--format", "csv", *keeping]

    def run_job(self, data, out):
        with tempfile.TemporaryDirectory(dir=out.parent) as folder:
            job = write_job(Path(folder), data, {"events": EVENTS})
            measurement = measure([self.binary, "run", job])
            shutil.move(Path(folder, "answers", "compare", "events", f"dt={DAY}", "events.parquet"), out)
            return measurement

    def answer(self, task, stdout):
        rows = list(csv.reader(io.StringIO(stdout)))[1:]
        if task == "hourly":
            return {int(hour): int(events) for hour, events in rows}
        if task == "pattern":
            return events_of_kinds(events for _, events in rows)
        if task == "levels":
            return {(hour_of(time), level): int(events) for time, level, events in rows}
        if task == "parse":
            return requests_of(rows)
        return {hour_of(time): (int(reports), float(p95)) for time, p95, reports in rows}


class LogtallyLevel(Logtally):
    name = "logtally, level(message)"
    tasks = ["levels"]

    def sql(self, task):
        return LEVELS_OF_FUNCTION


class LogtallyGlob(Logtally):
    name = "logtally, parse"
    tasks = ["parse"]

    def sql(self, task):
        return PARSE_GLOB


class LogtallyRegex(Logtally):
    name = "logtally, parse_regex"
    tasks = ["parse"]

    def sql(self, task):
        return PARSE_REGEX


class Inflate(Tool):
    """Inflates every object and drops the text: a lower bound for any reader."""

    tasks = ["hourly"]

    def __init__(self):
        self.command = "igzip" if shutil.which("igzip") else "gzip"
        self.name = f"{self.command}, inflate only"

    def run(self, task, data, out):
        objects = sorted(data.glob("exportedlogs/*/*/*.gz"))
        # A process for each of many small objects would measure only the processes.
        objects_of_process = max(1, min(500, len(objects) // (8 * cores())))
        with tempfile.TemporaryFile() as names:
            names.write(b"\0".join(str(path).encode() for path in objects))
            names.seek(0)
            command = ["xargs", "-0", "-P", cores(), "-n", objects_of_process, self.command, "-dc"]
            return measure(command, stdin=names, keep_output=False)

    def answer(self, task, stdout):
        return {}

    def truth(self, task, truth):
        return {}


class Peer(Tool):
    def __init__(self, python, name, tasks, slow):
        self.python, self.name, self.tasks, self.slow = python, name, tasks, slow

    def run(self, task, data, out):
        return measure([self.python, HERE / "peers.py", self.name, task, data, out])

    def answer(self, task, stdout):
        rows = [line.split() for line in stdout.splitlines()]
        if task == "pattern":
            return events_of_kinds(row[-1] for row in rows)
        if task == "hourly":
            return {int(hour): int(events) for hour, events in rows}
        if task == "levels":
            return {(int(hour), level): int(events) for hour, level, events in rows}
        if task == "parse":
            return requests_of(rows)
        return {int(hour): (int(reports), float(p95)) for hour, p95, reports in rows}

    def truth(self, task, truth):
        if self.name == "script":
            levels = right_answer("levels", truth).items()
            return shifted({hour: sum(n for (h, _), n in levels if h == hour) for hour in range(24)})
        return right_answer(task, truth)


PEERS = ["chdb", "duckdb", "polars", "pandas", "script"]


def peer(python, name):
    """A peer, run by the interpreter `python` of its environment."""
    slow = name in ("pandas", "script")
    return Peer(python, name, tasks=["hourly"] if slow else TASKS + ACCESS_TASKS, slow=slow)


def parquet_answer(python, out):
    """The rows by hour of a Parquet file, read by Polars."""
    command = [str(python), str(HERE / "peers.py"), "polars", "check", ".", str(out)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {int(hour): int(rows) for hour, rows in map(str.split, printed.splitlines())}


def events_of_kinds(counts):
    """How many events the kinds have, the most frequent first: tools write the marks of a kind in their own way."""
    return dict(enumerate(sorted(map(int, counts), reverse=True)))


def right_answer(task, truth):
    if task == "pattern":
        return events_of_kinds(truth["kinds"].values())
    if task == "levels":
        hours = truth["by_hour_utc_and_level"].items()
        return {(int(hour), level): count for hour, levels in hours for level, count in levels.items()}
    if task == "parse":
        return {tuple(key.split()): tuple(counts) for key, counts in truth["by_status_and_path"].items()}
    if task == "reports":
        return {
            int(hour): (report["count"], report["p95_least_ms"], report["p95_most_ms"])
            for hour, report in truth["reports_by_hour_utc"].items()
        }
    by_hour = {int(hour): count for hour, count in truth["by_hour_utc"].items() if count}
    return shifted(by_hour) if task == "hourly" else by_hour


def shifted(by_hour):
    return {(hour + SEOUL) % 24: count for hour, count in by_hour.items() if count}


def differences(task, got, expected):
    """The differences between an answer and the truth, a line for each key; empty if it is right."""
    wrong = []
    for key in sorted(got.keys() | expected.keys()):
        have, want = got.get(key), expected.get(key)
        if task == "reports" and have and want:
            count, least, most = want
            same = have[0] == count and least * (1 - PRECISION) <= have[1] <= most * (1 + PRECISION)
        else:
            same = have == want
        if not same:
            wrong.append(f"{task} {key}: {have}, expected {want}")
    return wrong


def requests_of(rows):
    """Rows of status, path, requests and milliseconds."""
    return {(status, path): (int(requests), round(float(ms))) for status, path, requests, ms in rows}


def hour_of(time):
    """The hour of an ISO time."""
    return int(re.search(r"[T ](\d\d):", time)[1])


def write_job(folder, source, queries, built_in=()):
    """Writes a job over an export with `queries` (names to SQL) and built-in queries; returns its path."""
    lines = [
        'name = "compare"',
        "[source]",
        'kind = "exported"',
        f'path = "{source}"',
        "[window]",
        f'default = "{DAY}"',
        "[output]",
        'location = "answers"',
    ]
    for name in built_in:
        lines += ["[[query]]", f'use = "{name}"']
    for name, sql in queries.items():
        (folder / f"{name}.sql").write_text(sql)
        lines += ["[[query]]", f'name = "{name}"', f'sql = "{name}.sql"']
    job = folder / "job.toml"
    job.write_text("\n".join(lines) + "\n")
    return job
