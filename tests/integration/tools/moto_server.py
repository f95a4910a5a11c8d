"""Serves AWS's interfaces on a free port of 127.0.0.1, prints the port, and ends when its standard input does.

The last point is what makes it end with its test, however that ends: a killed process closes its pipes too.
The access log goes to standard error.

Two things of CloudWatch Logs that moto has not, as a test asks for them in the environment:

GROUP_AGE_DAYS       how old a log group is when it is made, 30 unless told otherwise: events are put with times of
                     earlier days, and a service's groups are older than its events
EXPORT_TASK_SECONDS  how long an export task is PENDING and then RUNNING, half of it each, before it is COMPLETED and its
                     objects are there; 0 unless told otherwise
"""

import datetime as dt
import os
import sys
import time

from moto.logs import models as logs
from moto.server import ThreadedMotoServer

GROUP_AGE = dt.timedelta(days=float(os.environ.get("GROUP_AGE_DAYS", "30")))
EXPORT_TASK_SECONDS = float(os.environ.get("EXPORT_TASK_SECONDS", "0"))


# moto files every subclass of its own under the module that it is in, so its methods are replaced instead.
make_group = logs.LogGroup.__init__
export = logs.LogsBackend.create_export_task
describe = logs.LogsBackend.describe_export_tasks


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


def main():
    logs.LogGroup.__init__ = make_aged_group
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
