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


class AgedGroup(logs.LogGroup):
    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.creation_time -= GROUP_AGE


class SlowBackend(logs.LogsBackend):
    """Does moto's own export, which is over at once, when the task's time has come."""

    def create_export_task(self, taskName, logGroupName, destination, destinationPrefix, fromTime, to):
        # An interval that ends before it begins exports nothing; what is wrong with the request is said all the same.
        task_id = super().create_export_task(taskName, logGroupName, destination, destinationPrefix, 1, 0)
        task = self.export_tasks[task_id]
        task.from_time, task.to = fromTime, to
        task.began = time.monotonic()
        self.advance(task)
        return task_id

    def describe_export_tasks(self, task_id):
        for task in list(self.export_tasks.values()):
            self.advance(task)
        return super().describe_export_tasks(task_id)

    def advance(self, task):
        if task.status["code"] == "COMPLETED":
            return
        elapsed = time.monotonic() - task.began
        if elapsed < EXPORT_TASK_SECONDS:
            code = "PENDING" if elapsed < EXPORT_TASK_SECONDS / 2 else "RUNNING"
            task.status = {"code": code, "message": ""}
            return
        done = super().create_export_task(
            task.task_name, task.log_group_name, task.destination, task.destination_prefix, task.from_time, task.to
        )
        task.status = self.export_tasks.pop(done).status


def main():
    logs.LogGroup = AgedGroup
    if EXPORT_TASK_SECONDS:
        logs.logs_backends.backend = SlowBackend
    # Port 0: the system chooses, so that servers started at the same time never want the same one.
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    print(port, flush=True)
    sys.stdin.read()


main()
