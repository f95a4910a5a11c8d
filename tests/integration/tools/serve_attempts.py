"""Tries statements through PostgreSQL's protocol in each of its ways; prints those whose end is not the expected one.

Stdin: {"forbidden": [SQL], "allowed": [SQL]}. Argument: the address of the server, as libpq reads it.
"""

import json
import sys

from psycopg import pq

wanted = json.load(sys.stdin)
connection = pq.PGconn.connect(sys.argv[1].encode())
assert connection.status == pq.ConnStatus.OK, connection.error_message
ENDS = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK, pq.ExecStatus.COPY_OUT, pq.ExecStatus.EMPTY_QUERY)


def is_answered(result):
    if result.status == pq.ExecStatus.COPY_OUT:
        while True:
            size, _ = connection.get_copy_data(0)
            if size < 0:
                break
        result = connection.get_result()
        while connection.get_result() is not None:
            pass
    return result is not None and result.status in ENDS


def ways(sql):
    text = sql.encode()
    yield "simple", lambda: connection.exec_(text)
    yield "prepared", lambda: connection.exec_params(text, [])
    inner = text.strip().rstrip(b";")
    yield "copied", lambda: connection.exec_(b"COPY (" + inner + b"\n) TO STDOUT")


wrong = []
for sql in wanted["forbidden"]:
    for way, ask in ways(sql):
        if is_answered(ask()):
            wrong.append([way, "answered", sql])
for sql in wanted["allowed"]:
    way, ask = next(ways(sql))
    result = ask()
    if not is_answered(result):
        wrong.append([way, result.error_message.decode(), sql])
assert connection.exec_(b"SELECT 1").status == pq.ExecStatus.TUPLES_OK
json.dump(wrong, sys.stdout)
