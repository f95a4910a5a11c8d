"""Serves AWS's interfaces on a free port of 127.0.0.1, prints the port, and ends when its standard input does.

The last point is what makes it end with its test, however that ends: a killed process closes its pipes too.
The access log goes to standard error.

CloudWatch's metrics are also to be had in the protocol that AWS's SDK for Rust speaks (Smithy RPC v2 in CBOR), and
Insights queries that count events by hour answer that count; moto knows JSON only, and answers the events.

Two things of CloudWatch Logs that moto has not, as a test asks for them in the environment:

GROUP_AGE_DAYS       how old a log group is when it is made, 30 unless told otherwise: events are put with times of
                     earlier days, and a service's groups are older than its events
EXPORT_TASK_SECONDS  how long an export task is PENDING and then RUNNING, half of it each, before it is COMPLETED and its
                     objects are there; 0 unless told otherwise
"""

import collections
import datetime as dt
import io
import json
import os
import re
import struct
import sys
import time

from botocore.parsers import BaseCBORParser
from moto.iam.access_control import IAMRequestBase
from moto.logs import models as logs
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.server import ThreadedMotoServer

GROUP_AGE = dt.timedelta(days=float(os.environ.get("GROUP_AGE_DAYS", "30")))
EXPORT_TASK_SECONDS = float(os.environ.get("EXPORT_TASK_SECONDS", "0"))


# moto files every subclass of its own under the module that it is in, so its methods are replaced instead.
make_group = logs.LogGroup.__init__
export = logs.LogsBackend.create_export_task
describe = logs.LogsBackend.describe_export_tasks
execute_query = logs.execute_query
serve = DomainDispatcherApplication.__call__
check_signature = IAMRequestBase.check_signature

# The header of a request in CBOR that was handed on as one in JSON.
HANDED_ON = "X-Handed-On"


def make_aged_group(group, *arguments, **named):
    make_group(group, *arguments, **named)
    group.creation_time -= GROUP_AGE


def begin_export(backend, taskName, logGroupName, destination, destinationPrefix, fromTime, to):
    # An interval that ends before it begins exports nothing; what is wrong with the request is said all the same.
    task_id = export(backend, taskName, logGroupName, destination, destinationPrefix, 1, 0)
    task = backend.export_tasks[task_id]
    task.from_time, task.to = fromTime, to
    task.began = time.monotonic()
    advance(backend, task)
    return task_id


def describe_advanced(backend, task_id):
    for task in list(backend.export_tasks.values()):
        advance(backend, task)
    return describe(backend, task_id)


def advance(backend, task):
    """Does moto's own export, which is over at once, when the task's time has come."""
    if task.status["code"] == "COMPLETED":
        return
    elapsed = time.monotonic() - task.began
    if elapsed < EXPORT_TASK_SECONDS:
        code = "PENDING" if elapsed < EXPORT_TASK_SECONDS / 2 else "RUNNING"
        task.status = {"code": code, "message": ""}
        return
    done = export(
        backend,
        task.task_name,
        task.log_group_name,
        task.destination,
        task.destination_prefix,
        task.from_time,
        task.to,
    )
    task.status = backend.export_tasks.pop(done).status


def count_by_hour(log_groups, query, start_time, end_time):
    """What `… | stats count(*) as events by bin(1h)` answers, with the filters by time and stream that logtally uses."""
    if not query.endswith("stats count(*) as events by bin(1h)"):
        return execute_query(log_groups, query, start_time, end_time)
    first = int(re.search(r"toMillis\(@timestamp\) >= (\d+)", query)[1])
    end = int(re.search(r"toMillis\(@timestamp\) < (\d+)", query)[1])
    stream = re.search(r"@logStream like /((?:\\.|[^/])*)/", query)
    hours = collections.Counter(
        event.timestamp // 3_600_000 * 3_600
        for group in log_groups
        for log_stream in group.streams.values()
        if not stream or re.search(stream[1], log_stream.log_stream_name)
        for event in log_stream.events
        if max(first, start_time * 1000) <= event.timestamp < min(end, end_time * 1000 + 1)
    )
    at = lambda hour: dt.datetime.fromtimestamp(hour, dt.timezone.utc).strftime("%Y-%m-%d %H:%M:%S.000")
    return [{"bin(1h)": at(hour), "events": count} for hour, count in hours.items()]


def serve_cbor_too(application, environ, start_response):
    """Hands a request in CBOR on as one in JSON, and the answer back in CBOR."""
    called = re.fullmatch(r"/service/(\w+)/operation/(\w+)", environ["PATH_INFO"])
    if not called:
        return serve(application, environ, start_response)
    parser = BaseCBORParser()
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    request = parser.parse_data_item(parser.get_peekable_stream_from_bytes(body))
    body = json.dumps(request, default=lambda time: time.timestamp()).encode()
    environ |= {
        "PATH_INFO": "/",
        "RAW_URI": "/",
        "REQUEST_URI": "/",
        "CONTENT_TYPE": "application/x-amz-json-1.0",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_X_AMZ_TARGET": ".".join(called.groups()),
        "HTTP_" + HANDED_ON.upper().replace("-", "_"): "yes",
        "wsgi.input": io.BytesIO(body),
    }
    answered = []
    answer = b"".join(serve(application, environ, lambda *status: answered.append(status)))
    answer = cbor(json.loads(answer) if answer.startswith(b"{") else error_of(answer.decode()))
    headers = [("Content-Type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor"), ("Content-Length", str(len(answer)))]
    start_response(answered[0][0], headers)
    return [answer]


def error_of(xml):
    """An error about permissions, which moto tells in XML whatever it was asked in."""
    part = lambda name: re.search(f"<{name}>(.*?)</{name}>", xml, re.DOTALL)[1]
    return {"__type": part("Code"), "message": part("Message")}


def check_signature_of_original(request):
    """A request that was handed on has another body than the one that was signed."""
    if HANDED_ON not in request._headers:
        check_signature(request)


def cbor(value, is_time=False):
    def head(kind, number):
        return struct.pack(">BQ", kind << 5 | 27, number)

    if isinstance(value, dict):
        items = (cbor(key) + cbor(item, "Timestamp" in key) for key, item in value.items())
        return head(5, len(value)) + b"".join(items)
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(cbor(item, is_time) for item in value)
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if value is None:
        return b"\xf6"
    return (b"\xc1" if is_time else b"") + b"\xfb" + struct.pack(">d", value)


def main():
    DomainDispatcherApplication.__call__ = serve_cbor_too
    IAMRequestBase.check_signature = check_signature_of_original
    logs.LogGroup.__init__ = make_aged_group
    logs.execute_query = count_by_hour
    if EXPORT_TASK_SECONDS:
        logs.LogsBackend.create_export_task = begin_export
        logs.LogsBackend.describe_export_tasks = describe_advanced
    # Port 0: the system chooses, so that servers started at the same time never want the same one.
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    print(port, flush=True)
    sys.stdin.read()


main()
