"""The archive of a job: what writing it costs, its size, and what reading it takes, against DuckDB over the same files."""

import json
import statistics
import subprocess
import tempfile
from pathlib import Path

import tools
from measure import markdown, measure, warm

# Five questions that a nightly job may well ask.
QUESTIONS = ["hourly_count", "hourly_levels", "hourly_errors", "top_patterns", "exceptions"]

COLUMNS = '[archive]\n[archive.columns]\nlevel = "level(message)"\n'

BY_HOUR = "SELECT time_bucket('1 hour', timestamp) AS hour, level(message) AS level, count(*) AS events FROM logs GROUP BY 1, 2 ORDER BY 1, 2"

# The same in DuckDB.
DUCKDB = """import duckdb, sys
connection = duckdb.connect()
connection.execute("SET enable_progress_bar = false")
sql = "SELECT date_trunc('hour', timestamp) AS hour, level, count(*) AS events FROM read_parquet(?) GROUP BY 1, 2 ORDER BY 1, 2 NULLS LAST"
for hour, level, events in connection.execute(sql, [sys.argv[1]]).fetchall():
    print(f"{hour},{level or ''},{events}")
"""

# An hour of one of the streams.
FEW = "SELECT timestamp, message FROM events WHERE log_stream = '{stream}' AND timestamp >= '{day} 10:00:00' AND timestamp < '{day} 11:00:00'"


def rows_of(text, skipped):
    """The rows of an answer, with hours as `2023-09-20 10`."""
    lines = [line.split(",") for line in text.splitlines()[skipped:]]
    return sorted((hour[:13].replace("T", " "), level, int(events)) for hour, level, events in lines)


def run(bench, data, truth):
    """Yields the parts of the report, each a table."""
    warm(data)
    runs = bench.options.runs
    walls = {"without": [], "with": []}
    with tempfile.TemporaryDirectory(dir=bench.folder) as kept:
        for number in range(runs):
            for kind, times in walls.items():
                folder = Path(kept, f"{kind}-{number}")
                folder.mkdir()
                job = tools.write_job(folder, data, {}, QUESTIONS)
                if kind == "with":
                    job.write_text(job.read_text() + COLUMNS)
                times.append(measure([bench.binary, "run", job]).wall)
        archive = Path(kept, "with-0", "answers", "compare", "events", f"dt={tools.DAY}")
        files = sorted(archive.glob("events-*.parquet"))
        size = sum(file.stat().st_size for file in files)
        without, with_archive = (statistics.median(times) for times in walls.values())
        yield markdown(
            ["what", "measured"],
            [
                ["five questions, wall s", f"{without:.2f}"],
                ["the same with the archive, wall s", f"{with_archive:.2f}"],
                ["ratio", f"{with_archive / without:.2f}"],
                ["the archive, MB", f"{size / 1e6:.0f}"],
                ["÷ the gzip export", f"{size / truth['gz_bytes']:.2f}"],
            ],
        )

        job = Path(kept, "with-0", "job.toml")
        script = Path(kept, "duck.py")
        script.write_text(DUCKDB)
        commands = {
            "logtally": [bench.binary, "query", job, "--window", tools.DAY, "--format", "csv", BY_HOUR],
            "DuckDB": [bench.python, script, archive / "*.parquet"],
        }
        measured = {name: [] for name in commands}
        for _ in range(runs):
            for name, command in commands.items():
                measured[name].append(measure(command))
        answers = [rows_of(measured[name][0].stdout, skipped) for name, skipped in (("logtally", 1), ("DuckDB", 0))]
        if answers[0] != answers[1] or sum(events for *_, events in answers[0]) != truth["events"]:
            bench.wrong(f"archive: {answers[0][:3]} and {answers[1][:3]}")
        yield markdown(
            ["events by hour and level", "wall s", "CPU s"],
            [
                [name, f"{statistics.median(run.wall for run in of):.3f}", f"{statistics.median(run.cpu for run in of):.3f}"]
                for name, of in measured.items()
            ],
        )

        yield over_s3(bench, Path(kept, "with-0", "answers"), size)


def over_s3(bench, answers, size):
    """The bytes that one stream of an hour takes of the archive."""
    import run as experiments

    server = bench.options.target / "compare-s3-server"
    source = Path(__file__).with_name("s3_server.rs")
    subprocess.run(["rustc", "-O", "--edition", "2024", source, "-o", server], check=True)
    with experiments.S3Server(server, answers, 0) as service:
        location = "s3://bucket/compare/events"

        def ask(sql):
            command = [bench.binary, "query", location, "--format", "json", sql]
            return json.loads(measure(command, service.environment).stdout)

        stream = ask("SELECT max(log_stream) AS stream FROM events")[0]["stream"]
        service.counts()
        rows = ask(FEW.format(stream=stream, day=tools.DAY))
        counts = service.counts()
    if not rows:
        bench.wrong("archive: an hour of a stream has no events")
    return markdown(
        ["one stream, one hour", "measured"],
        [
            ["events", f"{len(rows):,}"],
            ["GET", counts["gets"]],
            ["bytes", f"{counts['bytes']:,}"],
            ["of the archive", f"{counts['bytes'] / size:.1%}"],
        ],
    )
