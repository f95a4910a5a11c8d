#!/usr/bin/env python3
"""The script that teams run before they have logtally, as it is found in many places, over exported objects.

usage: python3 tests/tools/old_script.py FOLDER [--limit N]

For each log stream below FOLDER: take the first N events (100 is what `filter_log_events(limit=100)` gives to whoever
does not follow its nextToken; without --limit all of them), `json.loads` each message and drop what is no JSON, convert
to Asia/Seoul, group by hour. Prints what it counted, and what it dropped on the way, as JSON. Needs pandas.
"""

import argparse
import gzip
import json
import pathlib

import pandas as pd


def lines_of(stream):
    """A line each is an event, for this script: it knows nothing of events of several lines."""
    for path in sorted(stream.glob("*.gz")):
        for line in gzip.decompress(path.read_bytes()).decode().splitlines():
            if line:
                yield line


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--limit", type=int)
    arguments = parser.parse_args()

    lines = beyond_limit = no_timestamp = no_json = 0
    rows = []
    for stream in sorted({path.parent for path in arguments.folder.rglob("*.gz")}):
        for number, line in enumerate(lines_of(stream)):
            lines += 1
            if arguments.limit is not None and number >= arguments.limit:
                beyond_limit += 1
                continue
            timestamp, _, message = line.partition(" ")
            timestamp = pd.to_datetime(timestamp, format="%Y-%m-%dT%H:%M:%S.%fZ", utc=True, errors="coerce")
            if pd.isna(timestamp):
                no_timestamp += 1
                continue
            try:
                json.loads(message)
            except json.JSONDecodeError:
                no_json += 1
                continue
            rows.append(timestamp)

    events = pd.DataFrame({"timestamp": pd.to_datetime(pd.Series(rows, dtype="datetime64[ns, UTC]"))})
    events["hour"] = events["timestamp"].dt.tz_convert("Asia/Seoul").dt.strftime("%Y-%m-%dT%H")
    print(
        json.dumps(
            {
                "lines": lines,
                "beyond_limit": beyond_limit,
                "no_timestamp": no_timestamp,
                "no_json": no_json,
                "counted": len(events),
                "by_hour": {hour: int(count) for hour, count in events.groupby("hour").size().items()},
            }
        )
    )


main()
