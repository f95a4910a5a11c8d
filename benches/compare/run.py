#!/usr/bin/env python3
"""Compares logtally with other tools on this machine, and prints tables in Markdown.

    compare   every task by every tool over the same export (the default)
    access    lines of an access log taken apart, by every tool
    small     the hourly count over many small objects
    large     the hourly count over one large object
    start     the time of `logtally --version` and of a query over one small object
    memory    logtally's peak memory: as it is, with ten times the data, with one large object
    layouts   the same events as an export, as objects of a subscription, packed in each way, and as delivered lines
    clock     CPU time of what people write about times, against logtally's own functions, in Asia/Seoul
    beside    the hourly count and inflating alone, each alone on the machine and beside a process that reads memory
    again     five queries of a job against each alone; a second query over the same objects against the first
    s3        many small objects from a local S3 server: requests and waiting; jobs of one and of five queries
    archive   the archive of a job: writing it, its size, reading it, with DuckDB over the same files
    lengths   the time of each function of messages over long messages, against a quarter of the length
    cluster   two workers on this machine against one process; the bytes that each built-in query sends (feature cluster)
    all       all of them but cluster

Needs Python 3.11 with venv, access to PyPI, a release build of logtally; for inflating alone igzip (Debian: isal);
for s3 rustc. The exit code is 1 if an answer is wrong. See README.md beside this file.
"""

import argparse
import contextlib
import datetime
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import archive as archives
import lengths as long_messages
import tools
import workers
from measure import Failed, Quiet, available_memory, machine, markdown, measure, median, warm

HERE = Path(__file__).resolve().parent
SEED = 11
EXPERIMENTS = ["compare", "access", "small", "large", "start", "memory", "layouts", "clock", "beside", "again", "s3", "archive", "lengths"]
ALL_TOOLS = ["logtally", "inflate", *tools.PEERS]

# The memory of the script, which keeps every message as a dict and as a row of a DataFrame.
SCRIPT_BYTES_OF_EVENT = 1_400

# Reads a GiB of memory again and again, as fast as the memory gives it.
READ_MEMORY = """
block = bytearray(b"x") * (1 << 30)
print("ready", flush=True)
while True:
    block.find(b"y")
"""

# The keys on a page of a listing, as on S3.
KEYS_OF_PAGE = 1000


class Bench:
    """The options, data and tools of all experiments, and whether every answer was right."""

    def __init__(self, options):
        self.options = options
        self.binary = options.logtally
        self.all_right = True
        # Beside the data, so that answers are written to the same disk.
        self.folder = options.target / "compare-data"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.made_python = None

    @property
    def python(self):
        """The interpreter of an environment with the pinned peers, which is made if it does not exist."""
        if self.made_python is None:
            requirements = HERE / "requirements.txt"
            version = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
            folder = self.options.target / f"compare-python-{version}"
            python, complete = folder / "bin" / "python", folder / "complete"
            if not complete.exists():
                say(f"making a Python environment in {folder}")
                subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
                subprocess.run([python, "-m", "pip", "install", "--quiet", "--requirement", requirements], check=True)
                complete.touch()
            self.made_python = python
        return self.made_python

    def data(self, name, *arguments):
        """The folder of an export, generated if it does not exist, and its truth."""
        folder = self.folder / name
        if not (folder / "truth.json").exists():
            say(f"generating {folder}")
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run(
                [sys.executable, HERE / "gen_export.py", folder, "--seed", str(SEED), "--day", tools.DAY, *map(str, arguments)],
                check=True,
                stdout=sys.stderr,
            )
        return folder, json.loads((folder / "truth.json").read_text())

    def events(self):
        events = self.options.events
        return self.data(f"events-{events}", "--events", events)

    def small_objects(self):
        objects = self.options.small_objects
        return self.data(f"small-{objects}", "--small-objects", objects)

    def single_object(self):
        size = self.options.single_object_gib
        return self.data(f"single-{size}-gib", "--single-object-gib", size)

    def multiplied(self):
        """The export several times over: hard links under other stream names, which take no space."""
        times = self.options.times
        one, truth = self.events()
        folder = self.folder / f"{one.name}-times-{times}"
        if not (folder / "truth.json").exists():
            shutil.rmtree(folder, ignore_errors=True)
            for path in one.glob("exportedlogs/*/*/*.gz"):
                task, stream, name = path.relative_to(one / "exportedlogs").parts
                for copy in range(times):
                    link = folder / "exportedlogs" / task / f"{stream[:-2]}{copy:02d}" / name
                    link.parent.mkdir(parents=True, exist_ok=True)
                    os.link(path, link)
            several = {name: truth[name] * times for name in ("events", "raw_bytes", "gz_bytes", "objects")}
            several["by_hour_utc"] = {hour: count * times for hour, count in truth["by_hour_utc"].items()}
            several["kinds"] = {kind: count * times for kind, count in truth["kinds"].items()}
            several["by_hour_utc_and_level"] = {
                hour: {level: count * times for level, count in levels.items()}
                for hour, levels in truth["by_hour_utc_and_level"].items()
            }
            several["reports_by_hour_utc"] = {
                hour: {**report, "count": report["count"] * times}
                for hour, report in truth["reports_by_hour_utc"].items()
            }
            (folder / "truth.json").write_text(json.dumps(several, indent=1))
        return folder, json.loads((folder / "truth.json").read_text())

    def tools(self, truth):
        """The requested tools for which the memory suffices."""
        asked = self.options.tools or ALL_TOOLS
        chosen = []
        if "logtally" in asked:
            logtally = [tools.Logtally, tools.LogtallyLevel, tools.LogtallyGlob, tools.LogtallyRegex]
            chosen += [tool(self.binary) for tool in logtally]
        if "inflate" in asked:
            chosen.append(tools.Inflate())
        for name in filter(asked.__contains__, tools.PEERS):
            needed = truth["events"] * SCRIPT_BYTES_OF_EVENT
            if name == "script" and available_memory() < needed:
                say(f"without script: it needs {needed / (1 << 30):.0f} GiB of memory, which are not free")
            else:
                chosen.append(tools.peer(self.python, name))
        return chosen

    def run_and_check(self, tool, task, data, truth):
        """Measures one run and compares its answer with the truth. `None` if it failed."""
        out = self.folder / "answer.parquet"
        try:
            measurement = tool.run(task, data, out)
            if task == "parquet":
                answer = tools.parquet_answer(self.python, out)
                measurement.stdout = str(out.stat().st_size)
            else:
                answer = tool.answer(task, measurement.stdout)
        except (Failed, OSError, ValueError, subprocess.CalledProcessError) as error:
            self.wrong(f"{tool.name}: {task}: {error}")
            return None
        finally:
            out.unlink(missing_ok=True)
        wrong = tools.differences(task, answer, tool.truth(task, truth))
        if wrong:
            self.wrong(f"{tool.name}: " + "; ".join(wrong[:5]) + (f"; and {len(wrong) - 5} more" if wrong[5:] else ""))
        say(f"  {task:8} {tool.name:26} {measurement.wall:8.3f} s {measurement.peak_mib:7.0f} MiB{'  WRONG' if wrong else ''}")
        return measurement

    def wrong(self, what):
        self.all_right = False
        say(f"WRONG {what}")


def compare(bench):
    data, truth = bench.events()
    heading("Comparison", data_in_words(truth))
    measure_tasks(bench, data, truth, bench.options.tasks or tools.TASKS)


def access(bench):
    events = bench.options.events
    data, truth = bench.data(f"access-{events}", "--events", events, "--access")
    heading("Access lines", data_in_words(truth))
    measure_tasks(bench, data, truth, tools.ACCESS_TASKS)


def small(bench):
    data, truth = bench.small_objects()
    heading("Many small objects", data_in_words(truth))
    measure_tasks(bench, data, truth, ["hourly"])


def large(bench):
    data, truth = bench.single_object()
    heading("One object that is too large to inflate whole", data_in_words(truth))
    measure_tasks(bench, data, truth, ["hourly"])


def measure_tasks(bench, data, truth, tasks):
    """Runs every tool in turn, several times, and prints a table for each task."""
    chosen = bench.tools(truth)
    warm(data)
    for task in tasks:
        able = [tool for tool in chosen if task in tool.tasks]
        measured = {tool: [] for tool in able}
        for number in range(bench.options.runs):
            say(f"round {number + 1} of {bench.options.runs}")
            for tool in able:
                if number == 0 or not tool.slow:
                    measured[tool].append(bench.run_and_check(tool, task, data, truth))
        measured = {tool: runs for tool, runs in measured.items() if runs and None not in runs}
        print_task(task, measured)


def print_task(task, measured):
    own = next((runs for tool, runs in measured.items() if tool.name == "logtally"), None)
    own_wall = median(own, "wall") if own else None
    rows = []
    for tool, runs in measured.items():
        wall = median(runs, "wall")
        inflates = isinstance(tool, tools.Inflate)
        rows.append([
            tool.name + (" (one run)" if tool.slow else ""),
            f"{wall:.2f}",
            f"{min(run.wall for run in runs):.2f}–{max(run.wall for run in runs):.2f}",
            f"{median(runs, 'cpu'):.2f}",
            # The peak of one of several processes means nothing.
            "" if inflates else f"{max(run.peak_mib for run in runs):.0f}",
            f"{wall / own_wall:.2f}" if own_wall else "",
            *([f"{int(runs[-1].stdout) / 1e6:.0f}"] if task == "parquet" else []),
        ])
    header = ["tool", "wall s, median", "range", "CPU s", "peak MiB", "wall ÷ logtally's"]
    print(f"**{tools.TITLES[task]}** (`{task}`)\n")
    print(markdown(header + (["file MB"] if task == "parquet" else []), rows))
    if own_wall:
        inflate = next((tool for tool in measured if isinstance(tool, tools.Inflate)), None)
        peers = {tool: median(runs, "wall") for tool, runs in measured.items() if isinstance(tool, tools.Peer)}
        sentences = []
        if inflate:
            median_ratio, best_ratio = ratios(own, measured[inflate])
            sentences.append(f"logtally takes {median_ratio} × the time of inflating alone (best runs: {best_ratio} ×).")
        if peers:
            fastest = min(peers, key=peers.get)
            median_ratio, best_ratio = ratios(measured[fastest], own)
            sentences.append(
                f"The fastest peer, {fastest.name}, takes {median_ratio} × the time of logtally (best runs: {best_ratio} ×)."
            )
        print("\n" + " ".join(sentences))
    print(flush=True)


def beside(bench):
    data, truth = bench.events()
    heading("Beside a process that reads memory", data_in_words(truth))
    warm(data)
    measured = {}
    for _ in range(bench.options.runs):
        for neighbour in ["alone", "beside it"]:
            with MemoryReader() if neighbour == "beside it" else contextlib.nullcontext():
                for tool in [tools.Logtally(bench.binary), tools.Inflate()]:
                    run = bench.run_and_check(tool, "hourly", data, truth)
                    measured.setdefault((neighbour, tool.name), []).append(run)
    rows, sentences = [], []
    for (neighbour, name), runs in measured.items():
        if None not in runs:
            least = min(run.wall for run in runs)
            rows.append([name, neighbour, f"{median(runs, 'wall'):.2f}", f"{least:.2f}", f"{median(runs, 'cpu'):.2f}"])
    print(markdown(["tool", "machine", "wall s, median", "least", "CPU s"], rows))
    for neighbour in ["alone", "beside it"]:
        own, inflate = (runs for (where, _), runs in measured.items() if where == neighbour)
        if None not in [*own, *inflate]:
            median_ratio, best_ratio = ratios(own, inflate)
            sentences.append(f"{neighbour}: {median_ratio} (best runs: {best_ratio})")
    print(f"\nlogtally's time ÷ that of inflating alone: {'; '.join(sentences)}.\n", flush=True)


class MemoryReader:
    """A process that reads memory while the `with` block runs."""

    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, "-c", READ_MEMORY], stdout=subprocess.PIPE)
        self.process.stdout.readline()

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def ratios(some, others):
    """The ratio of the wall times of two sets of runs: by the medians, and by the best runs."""
    by_median = median(some, "wall") / median(others, "wall")
    by_best = min(run.wall for run in some) / min(run.wall for run in others)
    return f"{by_median:.2f}", f"{by_best:.2f}"


def start(bench):
    data, truth = bench.data("start", "--events", 100, "--streams", 1)
    heading("Starting", "Whole processes, in turn; milliseconds.")
    count = "SELECT count(*) AS events FROM logs"
    commands = {
        "`true`, what starting any process costs here": ["true"],
        "`logtally --version`": [bench.binary, "--version"],
        "`logtally query`, one object of 100 events": [*tools.Logtally(bench.binary).query(data), count],
    }
    times = {name: [] for name in commands}
    for _ in range(bench.options.starts):
        for name, command in commands.items():
            measurement = measure(command)
            times[name].append(measurement.wall * 1000)
            if "query" in name and measurement.stdout.split() != ["events", str(truth["events"])]:
                bench.wrong(f"{name}: {measurement.stdout!r}, expected {truth['events']} events")
    rows = [
        [name, f"{statistics.median(of):.1f}", f"{min(of):.1f}", f"{statistics.quantiles(of, n=20)[-1]:.1f}"]
        for name, of in times.items()
    ]
    print(markdown(["process", "median", "least", "95th percentile"], rows))
    size = bench.binary.stat().st_size
    print(f"\n{bench.options.starts} runs of each. The binary has {size / 1e6:.0f} MB.\n", flush=True)


def memory(bench):
    times, size = bench.options.times, bench.options.single_object_gib
    shapes = {
        "as it is": bench.events(),
        f"{times} × the data": bench.multiplied(),
        f"one object of {size} GiB text": bench.single_object(),
    }
    heading("Memory", "Peak of the whole process, the largest of the runs.")
    logtally = tools.Logtally(bench.binary)
    rows = []
    for task in bench.options.tasks or tools.TASKS:
        base = None
        for shape, (data, truth) in shapes.items():
            warm(data)
            runs = [bench.run_and_check(logtally, task, data, truth) for _ in range(bench.options.runs)]
            if None in runs:
                continue
            peak = max(run.peak_mib for run in runs)
            base = base or peak
            rows.append([
                f"`{task}`, {shape}",
                f"{truth['gz_bytes'] / 1e6:,.0f}",
                f"{median(runs, 'wall'):.2f}",
                f"{peak:.0f}",
                f"{peak / base:.2f}",
            ])
    print(markdown(["task and data", "MB gzip", "wall s", "peak MiB", "peak ÷ as it is"], rows) + "\n", flush=True)


def layouts(bench):
    """The time of each layout, against that of the export. The goal is 1.5 times."""
    events = bench.options.events
    shapes = {"export": bench.events()}
    for layout in ("members", "twice", "json", "lines"):
        shapes[layout] = bench.data(f"{layout}-{events}", "--events", events, "--layout", layout)
    heading("Layouts", "The same events as an export, as objects of a subscription and as delivered lines, in turn; CPU time of the whole process.")
    logtally = tools.Logtally(bench.binary)
    rows = []
    for task in ("hourly", "levels"):
        runs = {shape: [] for shape in shapes}
        for data, _ in shapes.values():
            warm(data)
        for _ in range(bench.options.runs):
            for shape, (data, truth) in shapes.items():
                runs[shape].append(bench.run_and_check(logtally, task, data, truth))
        runs = {shape: of for shape, of in runs.items() if None not in of}
        for shape, of in runs.items():
            ratio = ratios(of, runs["export"])[0] if "export" in runs else ""
            truth = shapes[shape][1]
            rows.append([
                f"`{task}`, {shape}",
                f"{truth['gz_bytes'] / 1e6:,.0f}",
                f"{truth['raw_bytes'] / 1e6:,.0f}",
                f"{median(of, 'wall'):.2f}",
                f"{median(of, 'cpu'):.2f}",
                f"{max(run.peak_mib for run in of):.0f}",
                ratio,
            ])
    header = ["task and layout", "MB packed", "MB text", "wall s", "CPU s", "peak MiB", "wall ÷ export's"]
    print(markdown(header, rows) + "\n", flush=True)


# What people write, and the function of logtally's own that does the same work.
SPELLINGS = {
    "extract(hour FROM timestamp)": "hour_of_day(timestamp)",
    "date_trunc('hour', timestamp)": "time_bucket('1 hour', timestamp)",
    "timestamp::date": "time_bucket('1 day', timestamp)",
    "timestamp + interval '9 hours'": "time_bucket('1 hour', timestamp)",
}


def clock(bench):
    data, _ = bench.events()
    heading("Times in a zone", "CPU time of the whole process over all events, in turn.")
    warm(data)
    rows = []
    for written, own in SPELLINGS.items():
        cpu = {written: [], own: []}
        for _ in range(bench.options.runs):
            for value, times in cpu.items():
                sql = f"SELECT max({value}) FROM logs"
                command = [*tools.Logtally(bench.binary).query(data), "--timezone", "Asia/Seoul", sql]
                times.append(measure(command).cpu)
        of_written, of_own = (statistics.median(times) for times in cpu.values())
        rows.append([f"`{written}`", f"`{own}`", f"{of_written:.2f}", f"{of_own:.2f}", f"{of_written / of_own:.2f}"])
    print(markdown(["written", "logtally's own", "CPU s", "its CPU s", "ratio"], rows) + "\n", flush=True)


# Five queries of the library, of which the first reads only times.
FIVE = ["hourly_count", "hour_of_day", "hourly_levels", "hourly_errors", "lambda_latency"]

# What a second query may ask.
SECOND = {
    "timestamps only": tools.HOURLY,
    "`message->>'level'`": tools.LEVELS_OF_JSON,
    "`level(message)`": tools.LEVELS_OF_FUNCTION,
    "`pattern(message)`": tools.PATTERNS,
    "`LIKE`": "SELECT count(*) AS events FROM logs WHERE message LIKE '%timed out%'",
}


def again(bench):
    for data, truth in [bench.events(), bench.small_objects()]:
        warm(data)
        heading("Read once", data_in_words(truth))
        job_of_five(bench, data, truth)
        second_query(bench, data)


def job_of_five(bench, data, truth):
    """The queries of a job together, and each as a job of its own, in turn."""
    jobs = {**{f"`{name}`": [name] for name in FIVE}, "all five": FIVE}
    measured = {title: [] for title in jobs}
    for _ in range(bench.options.runs):
        for title, queries in jobs.items():
            with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
                path = tools.write_job(Path(folder), data, {}, queries)
                measured[title].append(measure([bench.binary, "run", path, "--json"]))
            runs = json.loads(measured[title][-1].stdout)["runs"]
            if sum(run["read"]["events"] for run in runs) != truth["events"]:
                bench.wrong(f"{title}: not all events were read")
    walls = {title: median(runs, "wall") for title, runs in measured.items()}
    alone = [walls[f"`{name}`"] for name in FIVE]
    rows = [
        [title, f"{walls[title]:.2f}", f"{median(runs, 'cpu'):.2f}", f"{max(run.peak_mib for run in runs):.0f}"]
        for title, runs in measured.items()
    ]
    print(markdown(["job of", "wall s", "CPU s", "peak MiB"], rows))
    print(
        f"\nAll five take {walls['all five'] / max(alone):.2f} × the time of the slowest alone, "
        f"and {walls['all five'] / sum(alone):.2f} × that of all alone.\n",
        flush=True,
    )


def second_query(bench, data):
    """A query over objects of which nothing is kept, and the same query once more."""
    rows = []
    for title, sql in SECOND.items():
        walls = {"without": [], "first": [], "second": []}
        kept = 0
        for _ in range(bench.options.runs):
            with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
                answers = set()
                for which in walls:
                    query = tools.Logtally(bench.binary).query(data, None if which == "without" else folder)
                    measurement = measure([*query, sql])
                    walls[which].append(measurement.wall)
                    answers.add(measurement.stdout)
                if len(answers) > 1:
                    bench.wrong(f"{title}: the second answer differs from the first")
                kept = sum(path.stat().st_size for path in Path(folder).iterdir())
        without, first, second = (statistics.median(of) for of in walls.values())
        rows.append([
            title, f"{without:.2f}", f"{first:.2f}", f"{second:.2f}", f"{first / second:.1f}", f"{without / second:.1f}", f"{kept / 1e6:.0f}"
        ])
    header = ["query", "`--no-cache` s", "first s", "second s", "first ÷ second", "`--no-cache` ÷ second", "kept MB"]
    print(markdown(header, rows) + "\n", flush=True)


def s3(bench):
    data, truth = bench.small_objects()
    server = bench.options.target / "compare-s3-server"
    subprocess.run(["rustc", "-O", "--edition", "2024", HERE / "s3_server.rs", "-o", server], check=True)
    files = sum(1 for path in data.glob("exportedlogs/**/*") if path.is_file())
    heading(
        "From S3",
        f"{data_in_words(truth)} A server on this machine answers each request after the given time. "
        f"The objects are {truth['objects']:,}, the pages of their listing {-(-files // KEYS_OF_PAGE)}.",
    )
    warm(data)
    rows = []
    for latency in bench.options.latencies:
        with S3Server(server, data, latency) as service:
            rows += requests_at_latency(bench, service, latency, truth, files)
    header = ["answers after", "what", "wall s", "GET", "LIST", "HEAD", "most at a time"]
    print(markdown(header, rows) + "\n", flush=True)


def archive(bench):
    data, truth = bench.events()
    heading("The archive", data_in_words(truth))
    for table in archives.run(bench, data, truth):
        print(table + "\n", flush=True)


def lengths(bench):
    data, _ = bench.data("start", "--events", 100, "--streams", 1)
    heading("Long messages", "The slowest message of each function, and its CPU time against that of a quarter of its length.")
    print(long_messages.run(bench, data) + "\n", flush=True)


def cluster(bench):
    data, truth = bench.events()
    heading("Two workers", data_in_words(truth))
    for table in workers.run(bench, data):
        print(table + "\n", flush=True)


def requests_at_latency(bench, service, latency, truth, files):
    connections = bench.options.connections
    questions = {"levels": tools.LEVELS_OF_JSON, "reports": tools.REPORTS}
    questions["streams"] = "SELECT log_stream, count(*) AS events FROM logs GROUP BY 1 ORDER BY 2 DESC LIMIT 10"

    def bare_client():
        fetched = service.fetch(connections)
        if int(fetched.stdout.split()[1]) != truth["gz_bytes"]:
            bench.wrong(f"the bare client got {fetched.stdout}, expected {truth['gz_bytes']} bytes")
        return fetched

    def query():
        query = [*tools.Logtally(bench.binary).query(service.location), "--timezone", "Asia/Seoul", tools.HOURLY]
        measurement = measure(query, service.environment)
        logtally = tools.Logtally(bench.binary)
        for wrong in tools.differences(
            "hourly", logtally.answer("hourly", measurement.stdout), tools.right_answer("hourly", truth)
        ):
            bench.wrong(f"from S3: {wrong}")
        return measurement

    def job(built_in, queries):
        with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
            path = tools.write_job(Path(folder), service.location, queries, built_in)
            measurement = measure([bench.binary, "run", path, "--json"], service.environment)
        events = sum(run["read"]["events"] for run in json.loads(measurement.stdout)["runs"])
        if events != truth["events"]:
            bench.wrong(f"a job from S3 read {events} events, expected {truth['events']}")
        return measurement

    tasks = {
        f"a bare client of {connections} connections, reading only": bare_client,
        "`logtally query`, hourly": query,
        "`logtally run`, 1 query": lambda: job(["hourly_count"], {}),
        "`logtally run`, 5 queries": lambda: job(["hourly_count", "hour_of_day"], questions),
    }
    rows = []
    for name, run in tasks.items():
        walls = []
        for _ in range(bench.options.runs):
            service.counts()
            try:
                walls.append(run().wall)
            except Failed as error:
                bench.wrong(f"{name}: {error}")
                break
            counts = service.counts()
            say(f"  {latency} ms  {name:45} {walls[-1]:8.3f} s  {counts}")
            if counts["refused"]:
                bench.wrong(f"{name}: the server refused {counts['refused']} requests")
            if counts["gets"] != truth["objects"] or counts["lists"] > -(-files // KEYS_OF_PAGE):
                bench.wrong(f"{name}: other requests than one for each object and page: {counts}")
        else:
            rows.append([
                f"{latency} ms",
                name,
                f"{statistics.median(walls):.2f}",
                f"{counts['gets']:,}",
                counts["lists"],
                counts["heads"],
                counts["most_under_way"],
            ])
    return rows


class S3Server:
    """The server, for the duration of a `with`."""

    def __init__(self, binary, folder, latency):
        self.binary = binary
        self.process = subprocess.Popen(
            [binary, "serve", folder, str(latency)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.port = self.process.stdout.readline().strip()
        self.location = "s3://bucket/exportedlogs"
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def fetch(self, connections):
        return measure([self.binary, "fetch", self.port, connections])

    def counts(self):
        """The counts of requests since the last call."""
        # Ignore proxies of the environment.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self.port}/-/counts") as answer:
            return json.load(answer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def say(text):
    print(text, file=sys.stderr, flush=True)


def heading(title, text):
    say(f"== {title}")
    print(f"### {title}\n\n{text}\n", flush=True)


def data_in_words(truth):
    objects = f"{truth['objects']:,} object{'s' if truth['objects'] > 1 else ''}"
    sizes = f"{truth['gz_bytes'] / 1e6:,.0f} MB gzip, {truth['raw_bytes'] / 1e9:.2f} GB text"
    return f"{truth['events']:,} events in {objects}: {sizes}."


def describe(bench):
    """Describes the measurement: versions, machine and date."""
    version = subprocess.run([bench.binary, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    versions = [version] + [
        line.replace("==", " ") for line in (HERE / "requirements.txt").read_text().splitlines() if "==" in line
    ]
    inflate = tools.Inflate().command
    first_line = subprocess.run([inflate, "--version"], capture_output=True, text=True).stdout.splitlines()[0]
    versions.append(first_line.replace("igzip command line interface", "igzip"))
    print(f"Machine: {machine()}. {datetime.date.today()}. Versions: {', '.join(versions)}.\n")
    if inflate == "gzip":
        note = "igzip is not installed (Debian: apt-get install isal), so inflating alone is measured with gzip, which is slower."
        print(f"Note: {note}\n")
    sys.stdout.flush()


def arguments():
    repository = HERE.parent.parent
    target = Path(os.environ.get("CARGO_TARGET_DIR", repository / "target"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("experiments", nargs="*", metavar="EXPERIMENT", help=f"{', '.join(EXPERIMENTS)}, cluster or all; default: compare")
    add("--logtally", type=Path, metavar="FILE", help="the binary; default: release/logtally in the target folder")
    add("--target", type=Path, default=target, help="where the data and the Python environment are kept; default: cargo's")
    add("--events", type=int, default=8_000_000, metavar="N", help="default: 8,000,000")
    add("--runs", type=int, default=3, metavar="N", help="runs of each tool and task; default: 3")
    add("--tools", type=comma_separated, metavar="A,B", help=f"of {', '.join(ALL_TOOLS)}")
    add("--tasks", type=comma_separated, metavar="A,B", help=f"of {', '.join(tools.TASKS)}")
    add("--small-objects", type=int, default=20_000, metavar="N", help="small, s3: objects; default: 20,000")
    add("--starts", type=int, default=40, metavar="N", help="start: processes of each kind; default: 40")
    add("--times", type=int, default=10, metavar="N", help="memory: times the data; default: 10")
    add("--single-object-gib", type=int, default=4, metavar="N", help="large, memory: text of the one large object; default: 4")
    add("--latencies", type=comma_separated, default=["0", "5", "50"], metavar="MS,MS", help="s3: default: 0,5,50")
    add("--connections", type=int, default=128, metavar="N", help="s3: of the bare client; default: 128")
    add("--delay-ms", type=float, default=0, metavar="MS", help="cluster: also with workers behind a network with this delay there and back, such as 5")
    options = parser.parse_args()
    options.target = options.target.resolve()
    options.logtally = (options.logtally or options.target / "release" / "logtally").resolve()
    if not options.logtally.is_file():
        parser.error(f"{options.logtally} does not exist: build it with cargo build --release, or name it with --logtally")
    for what, given, known in [
        ("experiment", options.experiments, [*EXPERIMENTS, "cluster", "all"]),
        ("task", options.tasks or [], tools.TASKS),
        ("tool", options.tools or [], ALL_TOOLS),
    ]:
        for name in given:
            if name not in known:
                parser.error(f"{name!r} is no {what}: expected {', '.join(known)}")
    if "all" in options.experiments:
        options.experiments = EXPERIMENTS
    return options


def comma_separated(text):
    return [part.strip() for part in text.split(",")]


def main():
    bench = Bench(arguments())
    describe(bench)
    experiments = {"compare": compare, "access": access, "small": small, "large": large, "start": start, "memory": memory, "layouts": layouts, "clock": clock, "beside": beside, "again": again, "s3": s3, "archive": archive, "lengths": lengths, "cluster": cluster}
    for name in bench.options.experiments or ["compare"]:
        quiet = Quiet()
        experiments[name](bench)
        others = quiet.used_by_others()
        if others is not None:
            loud = "**Not quiet**: o" if others > 0.05 else "O"
            print(f"{loud}thers used {others:.0%} of the machine meanwhile.\n", flush=True)
    if not bench.all_right:
        print("**Some answers were wrong**, see what was printed on the way.")
    return 0 if bench.all_right else 1


if __name__ == "__main__":
    sys.exit(main())
