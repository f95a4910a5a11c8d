#!/usr/bin/env python3
"""A common script for counting events, over exported objects instead of the API.

usage: python3 tests/tools/old_script.py FOLDER --from TIME --to TIME [--limit N]

For each log group that is exported below FOLDER: takes the window's events in the order of time, as `filter_log_events`
returns them, and of those the first N (100 with `limit=100` and without nextToken; all without --limit); parses each message
with `json.loads` and drops the others; converts to Asia/Seoul and groups by hour. Prints as JSON what it counted, what it
dropped, and what the whole export has, padding included. Needs pandas.
"""

import argparse
import gzip
import json
import pathlib
import re

import pandas as pd

# The first line of an event, which may have more lines.
FIRST_LINE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (.*)", re.DOTALL)


def events_of(group):
    """The events of a log group: (timestamp, message), in the order of time."""
    events = []
    for path in sorted(group.rglob("*.gz")):
        for line in gzip.decompress(path.read_bytes()).decode().split("\n"):
            first = FIRST_LINE.fullmatch(line)
            if first:
                events.append([first[1], first[2]])
            elif events:
                events[-1][1] += "\n" + line
    return sorted(((pd.Timestamp(at), message.rstrip("\n")) for at, message in events), key=lambda event: event[0])


def is_json(message):
    try:
        json.loads(message)
    except json.JSONDecodeError:
        return False
    return True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--from", dest="start", type=pd.Timestamp, required=True)
    parser.add_argument("--to", dest="end", type=pd.Timestamp, required=True)
    parser.add_argument("--limit", type=int)
    arguments = parser.parse_args()

    whole = []
    rows = []
    no_json = beyond_limit = 0
    for group in sorted({attempt.parent for attempt in arguments.folder.rglob("attempt=*")}):
        events = events_of(group)
        whole += [message for _, message in events]
        events = [event for event in events if arguments.start <= event[0] < arguments.end]
        page = events[: arguments.limit]
        beyond_limit += len(events) - len(page)
        for timestamp, message in page:
            if is_json(message):
                rows.append(timestamp)
            else:
                no_json += 1

    events = pd.DataFrame({"timestamp": pd.to_datetime(pd.Series(rows, dtype="datetime64[ns, UTC]"))})
    events["hour"] = events["timestamp"].dt.tz_convert("Asia/Seoul").dt.strftime("%Y-%m-%dT%H")
    print(
        json.dumps(
            {
                "beyond_limit": beyond_limit,
                "no_json": no_json,
                "counted": len(events),
                "by_hour": {hour: int(count) for hour, count in events.groupby("hour").size().items()},
                "whole_export": {
                    "events": len(whole),
                    "continuations": sum(message.count("\n") for message in whole),
                    "json": sum(map(is_json, whole)),
                },
            }
        )
    )


main()
