#!/usr/bin/env python3
"""Counts the demo's events without logtally, and writes the counts that any correct reader must find.

usage: python3 tests/tools/demo_truth.py

Reads the folders under jobs/demo/ and writes tests/expected/demo_truth.json. Run it after jobs/demo/generate.py;
review the difference. Standard library only.
"""

import collections
import datetime as dt
import json
import pathlib
import re
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
SEOUL = dt.timezone(dt.timedelta(hours=9))
DAYS = ["2026-11-20", "2026-11-21"]

# The level in each of the demo's formats; the first match counts. nginx's and Lambda's own lines have no level, but those
# about a timeout or a lost runtime are errors.
LEVELS = [
    re.compile(r"\[([A-Z]+)\][ \t]"),  # Lambda's Python
    re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z\t[0-9a-f-]{36}\t([A-Z]+)\t"),  # Lambda's Node.js
    re.compile(r"\d{4}-\d\d-\d\d [\d:.]+ [0-9a-f-]{36} ([A-Z]+) "),  # the Java function's pattern
    re.compile(r"ts=\S+ level=(\w+) "),  # logfmt
]


def level(message):
    _, timeout = report(message) or (False, False)
    if timeout or re.match(r"RequestId: \S+ Error: ", message):
        return "ERROR"
    if message.startswith("{"):
        return json.loads(message).get("level")
    matches = (pattern.match(message) for pattern in LEVELS)
    return next((match[1].upper() for match in matches if match), None)


def report(message):
    """(cold start, timeout) of a REPORT line or a platform.report; None for every other message."""
    if message.startswith("REPORT "):
        return "Init Duration:" in message, "Status: timeout" in message
    if message.startswith("{"):
        event = json.loads(message)
        if event.get("type") == "platform.report":
            return "initDurationMs" in event["record"]["metrics"], event["record"]["status"] == "timeout"
    return None


def main():
    folder = ROOT / "jobs" / "demo"
    total, outside = 0, collections.Counter()
    days = {
        day: dict(
            events=0,
            events_by_hour=[0] * 24,
            events_by_log_group=collections.Counter(),
            errors=0,
            errors_by_hour=[0] * 24,
            events_by_level=collections.Counter(),
            events_without_level=0,
            lambda_reports=0,
            cold_starts=0,
            timeouts=0,
        )
        for day in DAYS
    }
    groups, streams = collections.Counter(), 0
    for path in sorted(folder.glob("*/*.ndjson")):
        group = urllib.parse.unquote(path.parent.name)
        streams += 1
        for line in path.read_bytes().decode().split("\n")[:-1]:
            event = json.loads(line)
            moment = dt.datetime.fromtimestamp(event["timestamp"] / 1000, SEOUL)
            message = event["message"]
            total += 1
            groups[group] += 1
            day = days.get(f"{moment:%Y-%m-%d}")
            if day is None:
                outside["before" if f"{moment:%Y-%m-%d}" < DAYS[0] else "after"] += 1
                continue
            day["events"] += 1
            day["events_by_hour"][moment.hour] += 1
            day["events_by_log_group"][group] += 1
            if name := level(message):
                day["events_by_level"][name] += 1
            else:
                day["events_without_level"] += 1
            if level(message) == "ERROR":
                day["errors"] += 1
                day["errors_by_hour"][moment.hour] += 1
            if outcome := report(message):
                cold, timeout = outcome
                day["lambda_reports"] += 1
                day["cold_starts"] += cold
                day["timeouts"] += timeout
    truth = dict(
        timezone="Asia/Seoul",
        events=total,
        events_by_log_group=groups,
        log_streams=streams,
        events_before_the_days=outside["before"],
        events_after_the_days=outside["after"],
        days=days,
    )
    text = json.dumps(truth, indent=2, sort_keys=True, ensure_ascii=False)
    # Lists of 24 hours on one line each, so that a difference is easy to see.
    text = re.sub(r"\[[\d,\s]+\]", lambda match: re.sub(r"\s+", " ", match[0]), text)
    (ROOT / "tests" / "expected" / "demo_truth.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
