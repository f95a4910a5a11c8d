"""Serves AWS's interfaces on a free port of 127.0.0.1, prints the port, and ends when its standard input ends.

So it ends with its test, also if the test is killed: a killed process closes its pipes too. The access log goes to standard
error.

Beyond moto, it serves CloudWatch's metrics in the protocol of the AWS SDK for Rust (Smithy RPC v2 in CBOR; moto has JSON
only), and answers Insights queries that count events by hour (moto returns the events).

Where it enforces policies, it compares the resources of requests to CloudWatch Logs and Glue too, which moto takes for "*",
names the actions as AWS does, and leaves statements for a service, such as a bucket's for CloudWatch Logs, to that service.

Variables of the environment add behaviour of CloudWatch Logs that moto lacks:

GROUP_AGE_DAYS       the age of a new log group in days, 30 by default. Tests put events of earlier days, and a real group
                     is older than its events.
EXPORT_TASK_SECONDS  the time until an export task is COMPLETED and its objects exist, 0 by default. It is PENDING for the
                     first half and RUNNING for the second.
EXPORT_TASK_LOOKS    how often an export task is described as PENDING, and then as RUNNING, before it is COMPLETED; 0 by
                     default.
"""

import collections
import datetime as dt
import html
import io
import json
import os
import re
import struct
import sys
import time

from botocore.parsers import BaseCBORParser
from moto.glue.responses import GlueResponse
from moto.iam.access_control import IAMPolicyStatement, IAMRequestBase
from moto.logs import models as logs
from moto.logs.responses import LogsResponse
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.s3.responses import ACTION_MAP, S3Response
from moto.server import ThreadedMotoServer

GROUP_AGE = dt.timedelta(days=float(os.environ.get("GROUP_AGE_DAYS", "30")))
EXPORT_TASK_SECONDS = float(os.environ.get("EXPORT_TASK_SECONDS", "0"))
EXPORT_TASK_LOOKS = int(os.environ.get("EXPORT_TASK_LOOKS", "0"))


# moto registers a subclass under its module's name, so the methods are replaced instead.
make_group = logs.LogGroup.__init__
export = logs.LogsBackend.create_export_task
describe = logs.LogsBackend.describe_export_tasks
execute_query = logs.execute_query
serve = DomainDispatcherApplication.__call__
check_signature = IAMRequestBase.check_signature
check_permission = IAMRequestBase.check_action_permitted
is_unknown_principal = IAMPolicyStatement.is_unknown_principal
authorize_s3 = S3Response._authenticate_and_authorize_s3_action

# The header of a request that was converted from CBOR to JSON.
HANDED_ON = "X-Handed-On"


def make_aged_group(group, *arguments, **named):
    make_group(group, *arguments, **named)
    group.creation_time -= GROUP_AGE


def begin_export(backend, taskName, logGroupName, destination, destinationPrefix, fromTime, to):
    # An interval that ends before it begins exports nothing, but moto still checks the request.
    task_id = export(backend, taskName, logGroupName, destination, destinationPrefix, 1, 0)
    task = backend.export_tasks[task_id]
    task.from_time, task.to = fromTime, to
    task.began = time.monotonic()
    task.looks = 0
    advance(backend, task)
    return task_id


def describe_advanced(backend, task_id):
    for task in list(backend.export_tasks.values()):
        if task_id in (None, task.task_id):
            advance(backend, task)
            task.looks += 1
    return describe(backend, task_id)


def advance(backend, task):
    """Runs moto's export, which completes at once, when the task's time is over."""
    if task.status["code"] == "COMPLETED":
        return
    elapsed = time.monotonic() - task.began
    if elapsed < EXPORT_TASK_SECONDS / 2 or task.looks < EXPORT_TASK_LOOKS:
        task.status = {"code": "PENDING", "message": ""}
        return
    if elapsed < EXPORT_TASK_SECONDS or task.looks < 2 * EXPORT_TASK_LOOKS:
        task.status = {"code": "RUNNING", "message": ""}
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
    """The result of `… | stats count(*) as events by bin(1h)`, with logtally's filters by time and stream."""
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
    """Converts a request from CBOR to JSON, and its response from JSON to CBOR."""
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
    """An error about permissions, which moto always writes as XML."""
    part = lambda name: re.search(f"<{name}>(.*?)</{name}>", xml, re.DOTALL)[1]
    return {"__type": part("Code"), "message": part("Message")}


def check_signature_of_original(request):
    """Skips converted requests, whose body is not the one that was signed."""
    if HANDED_ON not in request._headers:
        check_signature(request)


def check_permission_of_action(request, resource):
    """CloudWatch's actions do not begin with the name that its requests are signed for."""
    request._action = request._action.replace("monitoring:", "cloudwatch:")
    check_permission(request, resource)


def is_for_others(statement, principal):
    """Statements for a service say nothing about a user's request."""
    return isinstance(principal, dict) and set(principal) == {"Service"} or is_unknown_principal(statement, principal)


def check_each_key(response, bucket_name=None, key_name=None):
    """A request that deletes several objects is one for each of them."""
    keys = [key_name]
    if response.data.get("Action") == "DeleteObject" and not key_name:
        body = response.body if isinstance(response.body, str) else response.body.decode()
        keys = [html.unescape(key) for key in re.findall("<Key>(.*?)</Key>", body)]
    for key in keys:
        authorize_s3(response, bucket_name=bucket_name, key_name=key)


def log_group_of(response):
    """The resource of a request to CloudWatch Logs, as AWS's own refusals name it."""
    name = response._get_param("logGroupName") or (response._get_param("logGroupNames") or [None])[0]
    if response._get_action() == "GetQueryResults":
        query = response.logs_backend.queries.get(response._get_param("queryId"))
        name = query and query.log_group_names[0]
    if not name:
        return "*"
    return f"arn:aws:logs:{response.region}:{response.current_account}:log-group:{name}:log-stream:"


def table_of(response):
    """The resource of a request to Glue: the table, or else the database."""
    database = response.parameters.get("DatabaseName")
    table = response.parameters.get("Name") or response.parameters.get("TableInput", {}).get("Name")
    if not database:
        database = table or response.parameters.get("DatabaseInput", {}).get("Name")
        table = None
    resource = f"table/{database}/{table}" if table else f"database/{database}"
    return f"arn:aws:glue:{response.region}:{response.current_account}:{resource}"


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
    IAMRequestBase.check_action_permitted = check_permission_of_action
    IAMPolicyStatement.is_unknown_principal = is_for_others
    # What AWS asks for.
    ACTION_MAP["BUCKET"]["HEAD"]["DEFAULT"] = "ListBucket"
    S3Response._authenticate_and_authorize_s3_action = check_each_key
    LogsResponse._determine_resource = log_group_of
    LogsResponse.stop_query = lambda response: json.dumps({"success": True})
    GlueResponse._determine_resource = table_of
    logs.LogGroup.__init__ = make_aged_group
    logs.execute_query = count_by_hour
    if EXPORT_TASK_SECONDS or EXPORT_TASK_LOOKS:
        logs.LogsBackend.create_export_task = begin_export
        logs.LogsBackend.describe_export_tasks = describe_advanced
    # Port 0: the system chooses a free port, so servers that start at the same time get different ones.
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    print(port, flush=True)
    sys.stdin.read()


main()
