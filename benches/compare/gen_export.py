#!/usr/bin/env python3
"""Writes a synthetic CloudWatch Logs export, gzip objects in the service's key layout, and its ground truth.

    OUT/exportedlogs/aws-logs-write-test
    OUT/exportedlogs/<task id>/<stream>/000000.gz …
    OUT/truth.json                                    the counts of any correct reader, written last

With --layout, it writes the same events otherwise. `lines` are those of Lambda's logs of the class Delivery, a JSON object on each
line, below OUT/delivered. The others are objects of a subscription, as Firehose names and packs them, below OUT/firehose: `members` has a gzip member for each record, `twice` the same compressed once more, `json` records that
Firehose has decompressed, and compressed as one.

By default it writes a few large streams of one day. The events are those of a Lambda function: JSON messages, START, END
and REPORT lines, and tracebacks of several lines. Lambda's own lines end in a newline, so a blank line follows them, as in
real exports. The same arguments give the same bytes for any number of processes, since each stream has a random generator
of its own.
"""

import argparse
import array
import collections
import datetime
import json
import multiprocessing
import os
import random
import re
import uuid
import zlib

LEVELS = ["INFO"] * 80 + ["WARN"] * 12 + ["ERROR"] * 5 + ["DEBUG"] * 3
ROUTES = ["/orders", "/orders/{id}", "/cart", "/login", "/search", "/items/{id}", "/health", "/주문"]
TRACEBACK = "\n".join([
    "Traceback (most recent call last):",
    '  File "/var/task/handler.py", line 42, in handler',
    "    return process(event)",
    '  File "/var/task/handler.py", line 17, in process',
    '    raise ValueError("bad order")',
    "ValueError: bad order",
])

# The relative load of each hour of the day, in UTC.
HOUR_WEIGHTS = [3, 2, 1, 1, 2, 4, 6, 9, 12, 14, 15, 15, 14, 14, 15, 16, 15, 13, 11, 9, 8, 6, 5, 4]
HOUR_MS = 3_600_000

# Of access lines.
STATUSES = [200] * 82 + [304] * 8 + [404] * 6 + [500] * 2 + [502, 503]
METHODS = ["GET"] * 8 + ["POST"] * 2
PATHS = ["/", "/orders", "/orders/items", "/cart", "/login", "/search", "/static/app.js", "/health"]
AGENTS = [
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/117.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6",
    "curl/8.1.2",
]

# The average size of an event of this mix. Only sizes depend on it, not counts.
TEXT_BYTES_OF_EVENT = 235
GZIP_BYTES_OF_EVENT = 44

# How records of a subscription are packed, and how many events they have; and an event on each line.
LAYOUTS = ["members", "twice", "json", "lines"]
RECORD_EVENTS = 1_000

SMALL_OBJECT_BYTES = (1_000, 20_000)
PIECE_EVENTS = 280_000


class Tally:
    """Counts of the written events. Those of several processes can be added."""

    def __init__(self):
        self.raw_bytes = self.gz_bytes = self.objects = 0
        self.multiline_events = self.cold_starts = 0
        self.by_stream = collections.Counter()
        self.by_hour = [0] * 24
        self.by_hour_and_level = collections.Counter()
        # Kinds of messages, by what they keep when their values are replaced.
        self.kinds = collections.Counter()
        # Durations in hundredths of a millisecond, as in the report lines.
        self.durations = [array.array("I") for _ in range(24)]
        # Requests and their milliseconds.
        self.by_status_and_path = collections.Counter()
        self.ms_by_status_and_path = collections.Counter()

    def add(self, other):
        for count in ("raw_bytes", "gz_bytes", "objects", "multiline_events", "cold_starts"):
            setattr(self, count, getattr(self, count) + getattr(other, count))
        self.by_stream += other.by_stream
        self.by_hour_and_level += other.by_hour_and_level
        self.by_status_and_path += other.by_status_and_path
        self.ms_by_status_and_path += other.ms_by_status_and_path
        self.kinds += other.kinds
        self.by_hour = [a + b for a, b in zip(self.by_hour, other.by_hour)]
        for mine, others in zip(self.durations, other.durations):
            mine.extend(others)

    def truth(self):
        by_level = collections.Counter()
        by_hour_and_level = {f"{hour:02d}": {} for hour in range(24)}
        for (hour, level), count in sorted(self.by_hour_and_level.items()):
            by_level[level] += count
            by_hour_and_level[f"{hour:02d}"][level] = count
        by_hour_reports = {}
        for hour, durations in enumerate(self.durations):
            if durations:
                by_hour_reports[f"{hour:02d}"] = {"count": len(durations), **p95(durations)}
        return {
            "events": sum(self.by_hour),
            "raw_bytes": self.raw_bytes,
            "gz_bytes": self.gz_bytes,
            "objects": self.objects,
            "json_events": sum(by_level.values()),
            "multiline_events": self.multiline_events,
            "report_lines": sum(map(len, self.durations)),
            "report_duration_sum_ms": sum(map(sum, self.durations)) / 100,
            "cold_starts": self.cold_starts,
            "by_hour_utc": {f"{hour:02d}": count for hour, count in enumerate(self.by_hour)},
            "by_level": by_level,
            "by_hour_utc_and_level": by_hour_and_level,
            "reports_by_hour_utc": by_hour_reports,
            "by_stream": self.by_stream,
            "by_status_and_path": {
                f"{status} {path}": [count, self.ms_by_status_and_path[status, path]]
                for (status, path), count in sorted(self.by_status_and_path.items())
            },
            "kinds": self.kinds,
        }


def p95(durations):
    """The 95th percentile by SQL's percentile_cont, and the two values between which every exact definition lies."""
    values = sorted(durations)
    position = 0.95 * (len(values) - 1)
    below = int(position)
    above = min(below + 1, len(values) - 1)
    between = values[below] + (values[above] - values[below]) * (position - below)
    highest = max(above, int(0.95 * len(values)))
    return {"p95_ms": between / 100, "p95_least_ms": values[below] / 100, "p95_most_ms": values[highest] / 100}


def write_access_lines(lines, rng, options, hour, events, total, tally):
    """The same as `write_events` for lines of an access log: nginx's combined format with $request_time."""
    date = datetime.date.fromisoformat(options.day).strftime("%d/%b/%Y")
    random_float, random_below = rng.random, rng.randrange
    step = HOUR_MS / total
    for i in events:
        ms = int(i * step + random_float() * step * 0.9)
        clock = f"{hour:02d}:{ms // 60_000:02d}:{ms // 1000 % 60:02d}"
        status, path, took = STATUSES[random_below(100)], PATHS[random_below(8)], random_below(1, 3000)
        query = f"?id={random_below(100_000)}" if random_float() < 0.4 else ""
        lines.append(
            f"{options.day}T{clock}.{ms % 1000:03d}Z 10.{random_below(256)}.{random_below(256)}.{random_below(256)} - - "
            f'[{date}:{clock} +0000] "{METHODS[random_below(10)]} {path}{query} HTTP/1.1" {status} {random_below(20_000)} '
            f'"-" "{AGENTS[random_below(3)]}" {took / 1000:.3f}\n'
        )
        tally.by_status_and_path[status, path] += 1
        tally.ms_by_status_and_path[status, path] += took
    tally.by_hour[hour] += len(events)


def write_events(lines, rng, options, hour, events, total, tally):
    """Appends events to `lines` in the order of time: those with the numbers `events` of `total` spread over the hour."""
    if options.access:
        return write_access_lines(lines, rng, options, hour, events, total, tally)
    day, multiline = options.day, options.multiline
    below_report = 1.0 - multiline
    random_float, random_bits, random_below = rng.random, rng.getrandbits, rng.randrange
    by_level, durations, kinds = tally.by_hour_and_level, tally.durations[hour], tally.kinds
    step = HOUR_MS / total
    for i in events:
        ms = int(i * step + random_float() * step * 0.9)
        timestamp = f"{day}T{hour:02d}:{ms // 60_000:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}Z"
        request = f"{random_bits(128):032x}"
        kind = random_float()
        if kind < 0.70:
            level = LEVELS[random_below(100)]
            by_level[hour, level] += 1
            route = ROUTES[random_below(8)]
            kinds[f"{level} {route}"] += 1
            lines.append(
                f'{timestamp} {{"timestamp":"{timestamp}","level":"{level}","message":"handled request","service":"checkout",'
                f'"function_request_id":"{request}","route":"{route}","status":{500 if level == "ERROR" else 200},'
                f'"latency_ms":{random_below(1, 900)},"xray_trace_id":"1-{request[:8]}-{request[8:]}"}}\n'
            )
        elif kind < 0.80:
            kinds["START"] += 1
            lines.append(f"{timestamp} START RequestId: {request} Version: $LATEST\n\n")
        elif kind < 0.90:
            kinds["END"] += 1
            lines.append(f"{timestamp} END RequestId: {request}\n\n")
        elif kind < below_report:
            duration = random_below(100, 90000)
            cold_start = random_float() < 0.02
            init = f"Init Duration: {random_below(10000, 90000) / 100:.2f} ms\t" if cold_start else ""
            lines.append(
                f"{timestamp} REPORT RequestId: {request}\tDuration: {duration / 100:.2f} ms\tBilled Duration: {duration // 100 + 1} ms\t"
                f"Memory Size: 512 MB\tMax Memory Used: {random_below(60, 510)} MB\t{init}\n\n"
            )
            kinds["REPORT, cold start" if cold_start else "REPORT"] += 1
            durations.append(duration)
            tally.cold_starts += cold_start
        else:
            lines.append(f"{timestamp} [ERROR]\t{timestamp}\t{request}\tunhandled\n{TRACEBACK}\n\n")
            kinds["traceback"] += 1
            tally.multiline_events += 1
    tally.by_hour[hour] += len(events)


def events_of_hours(count):
    """`count` events, divided between the hours of the day."""
    counts = [count * weight // sum(HOUR_WEIGHTS) for weight in HOUR_WEIGHTS]
    counts[-1] += count - sum(counts)
    return counts


def generator_of(options, what, index):
    return random.Random(f"{options.seed} {what} {index}")


def stream_name(rng, options):
    """The name of a Lambda stream as exports write it: with hyphens for slashes."""
    return f"{options.day}-[$LATEST]{rng.getrandbits(128):032x}"


def gzipped(raw):
    deflate = zlib.compressobj(6, zlib.DEFLATED, 31)
    return deflate.compress(raw) + deflate.flush()


def records_of(folder, number, raw):
    """The events of an object in records of a subscription, with ids of their own."""
    stream = os.path.basename(folder)
    name = f"{stream[:10].replace('-', '/')}/{stream[11:]}"
    events = re.split(rb"(?m)^(?=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z )", raw)[1:]
    first = zlib.crc32(stream.encode()) << 24 | number
    for start in range(0, len(events), RECORD_EVENTS):
        log_events = []
        for place, event in enumerate(events[start:start + RECORD_EVENTS], start):
            time, message = event[:24].decode(), event[25:-1].decode()
            ms = int(datetime.datetime.fromisoformat(time).timestamp() * 1000)
            log_events.append({"id": f"{ms:020d}{first:018d}{place:018d}".replace("0", "3", 1), "timestamp": ms, "message": message})
        record = {
            "messageType": "DATA_MESSAGE", "owner": "123456789012", "logGroup": "/aws/lambda/checkout", "logStream": name,
            "subscriptionFilters": ["all"], "logEvents": log_events,
        }
        yield json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode()


def write_subscription(folder, number, raw, tally, layout):
    records = list(records_of(folder, number, raw))
    stream = os.path.basename(folder)
    root = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(folder))), "firehose")
    name = f"bench-1-{stream[:10]}-00-00-00-{uuid.uuid5(uuid.NAMESPACE_URL, f'{stream}/{number}')}"
    if layout == "json":
        packed = gzipped(b"".join(records))
    else:
        packed = b"".join(map(gzipped, records))
        packed = gzipped(packed) if layout == "twice" else packed
    folder = os.path.join(root, stream[:10].replace("-", "/"), "00")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name + ("" if layout == "members" else ".gz")), "wb") as file:
        file.write(packed)
    tally.raw_bytes += sum(map(len, records))
    tally.gz_bytes += len(packed)
    tally.objects += 1


def write_lines(folder, number, raw, tally):
    lines = []
    for record in records_of(folder, number, raw):
        record = json.loads(record)
        for event in record["logEvents"]:
            line = {"accountId": record["owner"], "logGroup": record["logGroup"], "logStream": record["logStream"], **event}
            lines.append(json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode())
    text = b"\n".join(lines) + b"\n"
    packed = gzipped(text)
    stream = os.path.basename(folder)
    root = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(folder))), "delivered")
    folder = os.path.join(root, "AWSLogs/123456789012/us-east-1/_aws_lambda_checkout", stream[:10].replace("-", "/"))
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, f"_{uuid.uuid5(uuid.NAMESPACE_URL, f'{stream}/{number}')}.log.gz"), "wb") as file:
        file.write(packed)
    tally.raw_bytes += len(text)
    tally.gz_bytes += len(packed)
    tally.objects += 1


def write_object(folder, number, raw, tally, layout="export"):
    if layout == "lines":
        return write_lines(folder, number, raw, tally)
    if layout != "export":
        return write_subscription(folder, number, raw, tally, layout)
    os.makedirs(folder, exist_ok=True)
    gz = gzipped(raw)
    with open(os.path.join(folder, f"{number:06d}.gz"), "wb") as file:
        file.write(gz)
    tally.raw_bytes += len(raw)
    tally.gz_bytes += len(gz)
    tally.objects += 1


def write_stream(job):
    """A stream of a whole day, cut into objects."""
    options, index = job
    rng, tally = generator_of(options, "stream", index), Tally()
    name = stream_name(rng, options)
    folder = os.path.join(options.task_folder, name)
    events = options.events // options.streams + (index < options.events % options.streams)
    number, lines = 0, []
    for hour, count in enumerate(events_of_hours(events)):
        events_of_hour = range(count)
        # Checking the size every few thousand events is precise enough.
        for start in events_of_hour[::4096]:
            write_events(lines, rng, options, hour, events_of_hour[start:start + 4096], count, tally)
            if len(lines) * TEXT_BYTES_OF_EVENT >= options.chunk_mib << 20:
                write_object(folder, number, "".join(lines).encode(), tally, options.layout)
                number, lines = number + 1, []
    if lines:
        write_object(folder, number, "".join(lines).encode(), tally, options.layout)
    tally.by_stream[name] = events
    return tally


def write_small_objects(job):
    """Streams of one small object each, with events within one hour."""
    options, indices = job
    tally = Tally()
    for index in indices:
        rng = generator_of(options, "small", index)
        name = stream_name(rng, options)
        hour = rng.choices(range(24), HOUR_WEIGHTS)[0]
        events = max(rng.randint(*SMALL_OBJECT_BYTES) // GZIP_BYTES_OF_EVENT, 1)
        lines = []
        write_events(lines, rng, options, hour, range(events), events, tally)
        write_object(os.path.join(options.task_folder, name), 0, "".join(lines).encode(), tally)
        tally.by_stream[name] = events
    return tally


def make_piece(job):
    """A day's events as text, and as a piece of a deflate stream that more pieces can follow."""
    options, index, events = job
    rng, tally, lines = generator_of(options, "piece", index), Tally(), []
    for hour, count in enumerate(events_of_hours(events)):
        write_events(lines, rng, options, hour, range(count), count, tally)
    raw = "".join(lines).encode()
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
    return raw, deflate.compress(raw) + deflate.flush(zlib.Z_FULL_FLUSH), tally


def write_single_object(pool, options):
    """One object of one gzip member. Its pieces are compressed in parallel; each piece starts at the beginning of the day."""
    tally = Tally()
    name = stream_name(generator_of(options, "single", 0), options)
    folder = os.path.join(options.task_folder, name)
    os.makedirs(folder)
    events = -(-(options.single_object_gib << 30) // TEXT_BYTES_OF_EVENT)
    pieces = [min(PIECE_EVENTS, events - start) for start in range(0, events, PIECE_EVENTS)]
    jobs = [(options, index, count) for index, count in enumerate(pieces)]
    crc = 0
    with open(os.path.join(folder, "000000.gz"), "wb") as file:
        file.write(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff")
        for raw, deflated, piece in pool.imap(make_piece, jobs):
            crc = zlib.crc32(raw, crc)
            file.write(deflated)
            piece.raw_bytes = len(raw)
            tally.add(piece)
        # An empty last block, and the trailer, whose length is modulo 4 GiB.
        file.write(b"\x03\x00" + crc.to_bytes(4, "little") + (tally.raw_bytes & 0xFFFFFFFF).to_bytes(4, "little"))
        tally.gz_bytes = file.tell()
    tally.objects = 1
    tally.by_stream[name] = events
    return tally


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", metavar="OUT", help="a folder that does not exist yet")
    parser.add_argument("--events", type=int, default=1_000_000, help="default: 1,000,000")
    parser.add_argument("--streams", type=int, default=32, help="default: 32")
    parser.add_argument("--seed", type=int, default=7, help="default: 7")
    parser.add_argument("--day", default="2023-09-20", help="the UTC day of the events; default: 2023-09-20")
    parser.add_argument("--multiline", type=float, default=0.01, help="the share of events of several lines; default: 0.01")
    parser.add_argument("--chunk-mib", type=int, default=64, help="the approximate text size of an object; default: 64")
    parser.add_argument("--small-objects", type=int, metavar="N", help="instead: N objects of 1 to 20 KB")
    parser.add_argument("--single-object-gib", type=int, metavar="N", help="instead: one object of N GiB of text or a little more")
    parser.add_argument("--access", action="store_true", help="lines of an access log instead of a Lambda function's events")
    parser.add_argument("--layout", choices=["export", *LAYOUTS], default="export", help="of --events; default: export")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="default: one for each core")
    options = parser.parse_args()
    if options.layout != "export" and (options.small_objects or options.single_object_gib):
        parser.error("--layout goes with --events only")
    datetime.date.fromisoformat(options.day)

    root = os.path.join(options.out, "exportedlogs")
    os.makedirs(root)
    with open(os.path.join(root, "aws-logs-write-test"), "w", encoding="utf-8") as file:
        file.write("Permission Check Successful")
    task = uuid.UUID(int=random.Random(options.seed).getrandbits(128))
    options.task_folder = os.path.join(root, str(task))

    total = Tally()
    with multiprocessing.Pool(options.processes) as pool:
        if options.single_object_gib:
            total = write_single_object(pool, options)
        elif options.small_objects:
            indices = range(options.small_objects)
            jobs = [(options, indices[start:start + 200]) for start in indices[::200]]
            for tally in pool.imap(write_small_objects, jobs):
                total.add(tally)
        else:
            jobs = [(options, index) for index in range(options.streams)]
            for tally in pool.imap(write_stream, jobs):
                total.add(tally)
    truth = total.truth()
    with open(os.path.join(options.out, "truth.json"), "w", encoding="utf-8") as file:
        json.dump(truth, file, indent=1)
    print(json.dumps({name: value for name, value in truth.items() if not isinstance(value, dict)}))


if __name__ == "__main__":
    main()
