"""A proxy in front of moto's server that makes requests fail in the ways that requests to AWS fail. It also judges the
conditions of an upload's completion, as S3 does and moto does not.

usage: faults.py PORT    the server's port. It prints its own port, and ends when its standard input ends.

PUT /-faults takes a plan as JSON; the response to PUT and GET counts what the proxy did since the last plan:

seed, share   the share of requests that fail by chance; the same seed fails the same ones, counted for each kind
kinds         the ways to fail, in turn; those that make no sense for a request are left out
script        {"put": ["lost", "ok", …]}: the fate of the first requests of a kind, before chance decides
hold          texts: a request whose method, path and kind contain one of them is held until a plan without that text,
              and is then forwarded
latency       seconds before each request is forwarded
page          the most keys on a page of a listing

Kinds of requests: list, head, get, range (a GET of one), put, create, part, complete, abort, uploads, delete, bucket, and
logs.<Operation> and metrics.

Ways to fail: 500, 503, conflict (409 to conditional requests), throttled (400, as from CloudWatch Logs), error-in-200 (S3,
while it completes an upload), reset (the connection, in the middle of the request), cut (the connection, in the middle of
the response's body), lost (the request is carried out, and the connection is reset instead of a response), silent (the
request is neither carried out nor answered), stalled (the response stops in the middle of its body), unread (the request's
body is not read).
"""

import asyncio
import collections
import json
import random
import socket
import struct
import sys
from urllib.parse import urlsplit

from kinds import kind_of

UPSTREAM = int(sys.argv[1])
CONTROL = "/-faults"
LIMIT = 1 << 30

STATUS = {
    "500": ("500 Internal Server Error", "InternalError", "We encountered an internal error. Please try again."),
    "503": ("503 Slow Down", "SlowDown", "Please reduce your request rate."),
    "conflict": ("409 Conflict", "ConditionalRequestConflict", "A conflicting conditional operation is in progress."),
    "changed": ("412 Precondition Failed", "PreconditionFailed", "At least one of the preconditions did not hold."),
    "error-in-200": ("200 OK", "InternalError", "We encountered an internal error. Please try again."),
    "throttled": ("400 Bad Request", "ThrottlingException", "Rate exceeded"),
}

# The ways that suit reads and those that suit writes.
READS = {"500", "503", "reset", "cut", "lost", "silent", "stalled"}
WRITES = {"500", "503", "reset", "lost", "silent", "unread"}
WAYS = {
    "list": READS,
    "head": READS - {"cut", "stalled"},
    "bucket": READS - {"cut", "stalled"},
    "get": READS,
    "range": READS,
    "uploads": READS,
    "put": WRITES | {"conflict"},
    "part": WRITES,
    "create": WRITES | {"cut"},
    "complete": WRITES | {"conflict", "error-in-200", "cut"},
    "abort": WRITES,
    "delete": WRITES,
    "metrics": READS,
    "logs": (READS | {"throttled"}) - {"unread"},
}


class Plan:
    def __init__(self, share=0.0, seed=0, kinds=(), script=None, hold=(), latency=0.0, page=0):
        self.share, self.seed, self.kinds = share, seed, kinds
        self.script = {kind: list(ways) for kind, ways in (script or {}).items()}
        self.hold, self.latency, self.page = hold, latency, page
        self.chance = {}
        self.turn = {}

    def way(self, kind):
        """The way in which the next request of a kind fails; None if it does not."""
        if self.script.get(kind):
            way = self.script[kind].pop(0)
            return None if way == "ok" else way
        chance = self.chance.setdefault(kind, random.Random(f"{self.seed} {kind}"))
        if chance.random() >= self.share:
            return None
        ways = [way for way in self.kinds if way in WAYS[kind.split(".")[0]]]
        if not ways:
            return None
        turn = self.turn.setdefault(kind, chance.randrange(len(ways)))
        self.turn[kind] = turn + 1
        return ways[turn % len(ways)]


plan = Plan()
requests = collections.Counter()
failed = collections.Counter()
held = collections.Counter()


async def head_of(reader):
    """The first line, the headers (names in lower case) and the bytes of both; None at the end."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = raw.decode("latin-1").split("\r\n")[:-2]
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return first, headers, raw


async def body_of(reader, writer, headers):
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(int(headers.get("content-length", 0)))
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return body


async def forward(method, url, headers, body):
    """The server's response: first line, headers, body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", UPSTREAM, limit=LIMIT)
    query = url.query
    if plan.page and "list-type" in query:
        query += f"&max-keys={plan.page}"
    path = url.path + (f"?{query}" if query else "")
    lines = [f"{method} {path} HTTP/1.1"]
    dropped = {"connection", "content-length", "transfer-encoding", "expect"}
    lines += [f"{name}: {value}" for name, value in headers.items() if name not in dropped]
    lines += [f"content-length: {len(body)}", "connection: close", "", ""]
    writer.write("\r\n".join(lines).encode("latin-1") + body)
    try:
        first, answered, _ = await head_of(reader)
        length = answered.get("content-length")
        if method == "HEAD":
            return first, answered, b""
        return first, answered, await (reader.read() if length is None else reader.readexactly(int(length)))
    finally:
        writer.close()


async def may_complete(url, headers):
    """Whether the conditions of an upload's completion hold, as S3 judges them; moto ignores them."""
    absent, etag = headers.get("if-none-match"), headers.get("if-match")
    first, there, _ = await forward("HEAD", url._replace(query=""), {"host": headers.get("host", "")}, b"")
    exists = first.split()[1] == "200"
    if absent == "*" and exists:
        return False
    return etag is None or (exists and there["etag"].strip('"') == etag.strip('"'))


def answer(first, headers, body, head_only=False):
    lines = [first.replace("HTTP/1.0", "HTTP/1.1")]
    dropped = {"connection", "transfer-encoding"} | (set() if head_only else {"content-length"})
    lines += [f"{name}: {value}" for name, value in headers.items() if name not in dropped]
    if not head_only:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def refusal(way, kind, head_only):
    status, code, message = STATUS[way]
    if kind.startswith("logs."):
        code = {"500": "InternalFailure", "503": "ServiceUnavailableException"}.get(way, code)
        body = json.dumps({"__type": code, "message": message})
        headers = {"content-type": "application/x-amz-json-1.1"}
    else:
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
        headers = {"content-type": "application/xml"}
    return answer(f"HTTP/1.1 {status}", headers, b"" if head_only else body.encode())


def reset(writer):
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def until_closed(reader):
    """Waits until the client closes the connection."""
    try:
        while await reader.read(1 << 16):
            pass
    except ConnectionError:
        pass


def control(method, body):
    global plan
    if method == "PUT":
        plan = Plan(**json.loads(body))
        requests.clear()
        failed.clear()
        held.clear()
    did = {"requests": requests, "failed": failed, "held": held}
    return answer("HTTP/1.1 200 OK", {"content-type": "application/json"}, json.dumps(did).encode())


async def serve_one(reader, writer):
    """Serves one request; returns whether the connection stays open."""
    head = await head_of(reader)
    if head is None:
        return False
    first, headers, _ = head
    method, target, _ = first.split(" ", 2)
    url = urlsplit(target)
    if url.path == CONTROL:
        writer.write(control(method, await body_of(reader, writer, headers)))
        return True
    kind = kind_of(method, url, headers)
    requests[kind] += 1
    way = plan.way(kind)
    if way == "conflict" and not {"if-match", "if-none-match"} & set(headers):
        way = None
    if way:
        failed[f"{kind} {way}"] += 1
    if way == "reset":
        await reader.readexactly(int(headers.get("content-length", 0)) // 2)
        reset(writer)
        return False
    if way == "unread":
        # The proxy does not read from the connection, so it can't see that the client closes it.
        writer.transport.pause_reading()
        await asyncio.sleep(120)
        return False
    body = await body_of(reader, writer, headers)
    if way == "silent":
        await until_closed(reader)
        return False
    if way in STATUS:
        writer.write(refusal(way, kind, method == "HEAD"))
        return True
    if plan.latency:
        await asyncio.sleep(plan.latency)
    if any(text in f"{method} {target} {kind}" for text in plan.hold):
        held[kind] += 1
        while any(text in f"{method} {target} {kind}" for text in plan.hold):
            await asyncio.sleep(0.01)
    if kind == "complete" and not await may_complete(url, headers):
        writer.write(refusal("changed", kind, False))
        return True
    answered = await forward(method, url, headers, body)
    if way == "lost":
        reset(writer)
        return False
    whole = answer(*answered, head_only=method == "HEAD")
    if way in ("cut", "stalled"):
        writer.write(whole[: len(whole) - (len(answered[2]) + 1) // 2])
        # The written bytes must arrive before the connection is reset.
        await writer.drain()
        await asyncio.sleep(0.05)
        if way == "cut":
            reset(writer)
        else:
            await until_closed(reader)
        return False
    writer.write(whole)
    return headers.get("connection", "").lower() != "close"


async def serve(reader, writer):
    try:
        while await serve_one(reader, writer):
            await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=LIMIT, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
