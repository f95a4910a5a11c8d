#!/usr/bin/env python3
"""Writes the demo's sample events: two days in the life of a small online grocer in Seoul.

usage: python3 jobs/demo/generate.py

Replaces the folders of log groups beside this file, always with the same bytes: the random generators are seeded, and only
`Random.random()` is used, whose sequence is the same in all versions of Python. README.md describes the events. Standard
library only.
"""

import datetime as dt
import json
import math
import pathlib
import random
import shutil
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
SEOUL = dt.timezone(dt.timedelta(hours=9))
ACCOUNT = "123456789012"  # the account number of AWS's own examples
SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000


def at(wall_clock):
    """Epoch milliseconds of a wall clock in Seoul, such as `2026-11-21 14:35` or `2026-11-20 23:59:59.999`."""
    moment = dt.datetime.fromisoformat(wall_clock).replace(tzinfo=SEOUL)
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)) // dt.timedelta(milliseconds=1)


def utc(ms):
    return dt.datetime.fromtimestamp(ms // 1000, dt.timezone.utc)


def iso(ms):
    return f"{utc(ms):%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


DAYS = ["2026-11-20", "2026-11-21"]  # a Friday and a Saturday
FIRST, LAST = at("2026-11-20 00:00"), at("2026-11-22 00:00")
# The stock database runs out of connections: orders fail or time out, and customers retry.
OUTAGE = (at("2026-11-21 14:35"), at("2026-11-21 15:15"))
MIDNIGHTS = [FIRST, at("2026-11-21 00:00"), LAST]

# How busy each hour of a Seoul day is: quiet nights, a peak at lunch and a higher one in the evening.
SHOPPING = [15, 9, 5, 3, 2, 4, 9, 20, 33, 41, 45, 58, 84, 66, 47, 43, 46, 54, 67, 83, 97, 90, 63, 35]
# Settlements follow the payments in office hours; at 02:00 the day before is closed, and then nothing until 08:00.
SETTLING = [4, 0, 12, 0, 0, 0, 0, 0, 8, 14, 14, 12, 10, 14, 16, 14, 14, 16, 12, 8, 8, 8, 6, 4]

PRODUCTS = [
    ("제주 감귤 5kg", 22900),
    ("완도 김 선물세트", 31000),
    ("강릉 원두 500g", 18500),
    ("이천 쌀 10kg", 38900),
    ("통영 생굴 1kg", 16900),
    ("전주 비빔밥 밀키트", 12900),
    ("보성 녹차 티백 50입", 9900),
    ("국산콩 두부 300g", 2900),
    ("속초 오징어 손질 4마리", 24500),
    ("청송 사과 3kg", 27900),
    ("유정란 20구", 8900),
    ("손만두 1kg", 11900),
]
SEARCHES = ["감귤", "김치", "만두", "굴", "커피", "쌀 10kg", "선물세트", "두부", "비건", "사과"]
AGENTS = ["shop-ios/5.2.1", "shop-android/5.2.0", "shop-android/5.1.8", "Mozilla/5.0 (Mobile)", "Mozilla/5.0 (Desktop)"]
CLIENTS = [f"{network}.{host}" for network in ("192.0.2", "198.51.100", "203.0.113") for host in range(7, 250, 9)]


class Dice:
    """Everything random, out of one seeded sequence."""

    def __init__(self, seed):
        self._random = random.Random(seed).random

    def below(self, n):
        return int(self._random() * n)

    def between(self, low, high):
        return low + self.below(high - low + 1)

    def chance(self, probability):
        return self._random() < probability

    def pick(self, choices):
        return choices[self.below(len(choices))]

    def hex(self, digits):
        return "".join("0123456789abcdef"[self.below(16)] for _ in range(digits))

    def uuid(self):
        return f"{self.hex(8)}-{self.hex(4)}-4{self.hex(3)}-{self.pick('89ab')}{self.hex(3)}-{self.hex(12)}"

    def latency(self, low, high):
        """Milliseconds with a long tail: most near `low`, few near `high`."""
        u = self._random()
        return round(low + (high - low) * u * u * u, 2)


class Stream:
    """A log stream: a Lambda execution environment or a container, and what it wrote, in the order written."""

    def __init__(self, name, since, until):
        self.name, self.since, self.until = name, since, until
        self.events = []
        self.started = False
        self.busy_until = since

    def write(self, ms, message):
        self.events.append((ms, message))

    def deliver_late(self, dice, times):
        """Moves some batches of events behind later ones, as collectors do that retry a failed delivery."""
        for _ in range(times):
            start, size = dice.below(max(len(self.events) - 40, 1)), dice.between(4, 14)
            batch = self.events[start : start + size]
            del self.events[start : start + size]
            later = start + dice.between(5, 25)
            self.events[later:later] = batch


class LogGroup:
    def __init__(self, name, streams):
        self.name, self.streams = name, streams

    def environment_for(self, dice, ms):
        """One that lives and is idle at this time; if all are busy, the one that is free first."""
        alive = [stream for stream in self.streams if stream.since <= ms < stream.until]
        idle = [stream for stream in alive if stream.busy_until <= ms]
        return dice.pick(idle) if idle else min(alive, key=lambda stream: stream.busy_until)

    def save(self):
        folder = HERE / encode(self.name)
        folder.mkdir()
        for stream in self.streams:
            lines = (json.dumps({"timestamp": ms, "message": text}, ensure_ascii=False) for ms, text in stream.events)
            (folder / f"{encode(stream.name)}.ndjson").write_bytes("".join(f"{line}\n" for line in lines).encode())


def encode(name):
    """The name as one path segment: percent-encoded except for letters, digits, dot, underscore and hyphen."""
    return urllib.parse.quote(name, safe="").replace("~", "%7E")


def environments(dice, version, lives):
    """Lambda's streams, named after the UTC day on which each environment started."""
    return [
        Stream(f"{utc(at(since)):%Y/%m/%d}/[{version}]{dice.hex(32)}", at(since), at(until)) for since, until in lives
    ]


def arrivals(dice, per_day, curve, saturday=1.0, retries=0.0):
    """When requests come in: both days by the hourly curve, and a few minutes on either side of them."""
    times = [FIRST - dice.between(1, 7 * MINUTE) for _ in range(3)] if curve[0] else []
    times += [LAST + dice.between(1, 7 * MINUTE) for _ in range(3)] if curve[0] else []
    for day, scale in zip(DAYS, (1.0, saturday)):
        for hour, weight in enumerate(curve):
            expected = per_day * scale * weight / sum(curve)
            count = math.floor(expected) + dice.chance(expected % 1)
            times += [at(day) + hour * HOUR + dice.below(HOUR) for _ in range(count)]
    inside = [ms for ms in times if OUTAGE[0] <= ms < OUTAGE[1]]
    times += [dice.between(*OUTAGE) for _ in range(round(len(inside) * retries))]
    return sorted(times)


def outage(ms):
    return OUTAGE[0] <= ms < OUTAGE[1]


def milliseconds(value):
    return f"{value:.2f} ms"


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def order_number(ms, serial):
    return f"{dt.datetime.fromtimestamp(ms // 1000, SEOUL):%y%m%d}-{serial:05d}"


class Lambda:
    """Lambda's own lines, in its text format: each ends in a newline, columns are separated by tabs."""

    def __init__(self, dice, runtime, memory, timeout):
        self.dice, self.memory, self.timeout = dice, memory, timeout
        self.runtime = f"Runtime Version: {runtime}\tRuntime Version ARN: arn:aws:lambda:ap-northeast-2::runtime:{dice.hex(64)}"

    def start(self, stream, ms, request, version, init):
        if init is not None:
            stream.write(ms - round(init) - 3, f"INIT_START {self.runtime}\n")
        stream.write(ms, f"START RequestId: {request} Version: {version}\n")

    def report(self, stream, ms, request, duration, init=None, extra="", used=None, trace=None):
        billed = math.ceil(duration + (init or 0))
        used = used or self.dice.between(self.memory // 5, self.memory // 2)
        line = (
            f"REPORT RequestId: {request}\tDuration: {milliseconds(duration)}\tBilled Duration: {billed} ms\t"
            f"Memory Size: {self.memory} MB\tMax Memory Used: {used} MB\t"
        )
        if init is not None:
            line += f"Init Duration: {milliseconds(init)}\t"
        line += extra
        if trace:
            line += f"\nXRAY TraceId: {trace}\tSegmentId: {self.dice.hex(16)}\tSampled: true\t"
        stream.write(ms, f"END RequestId: {request}\n")
        stream.write(ms, line + "\n")


PYTHON_TRACEBACK = """Traceback (most recent call last):
  File "/var/task/checkout/app.py", line 87, in place_order
    stock = inventory.reserve(order.items, timeout=5)
  File "/var/task/checkout/inventory.py", line 41, in reserve
    with self.pool.connection() as connection:
  File "/opt/python/lib/python3.13/site-packages/dbpool/pool.py", line 203, in connection
    raise PoolTimeout(f"{waited:.1f}s waited for one of {self.size} connections")
dbpool.PoolTimeout: 5.0s waited for one of 20 connections"""


def checkout_api(dice):
    """Python with Powertools: JSON, one line an event, X-Ray trace ids; the function that the outage hits."""
    group = LogGroup(
        "/aws/lambda/checkout-api",
        environments(
            dice,
            "$LATEST",
            [
                ("2026-11-19 23:40", "2026-11-20 08:40"),
                ("2026-11-20 07:30", "2026-11-20 13:30"),
                ("2026-11-20 11:30", "2026-11-20 20:00"),
                ("2026-11-20 18:30", "2026-11-21 03:30"),  # both days
                ("2026-11-21 03:00", "2026-11-21 12:30"),
                ("2026-11-21 11:45", "2026-11-21 14:50"),
                ("2026-11-21 13:10", "2026-11-21 20:30"),
                ("2026-11-21 14:37", "2026-11-21 15:40"),  # more of them while the others wait
                ("2026-11-21 14:39", "2026-11-21 16:05"),
                ("2026-11-21 18:20", "2026-11-22 01:00"),
            ],
        ),
    )
    runtime = Lambda(dice, "python:3.13.v71", memory=512, timeout=30_000)
    serial, dumped = {}, False

    def log(stream, ms, level, location, message, request, cold, trace, exception=None, **fields):
        record = {
            "level": level,
            "location": location,
            "message": message,
            "timestamp": f"{utc(ms):%Y-%m-%d %H:%M:%S},{ms % 1000:03d}+0000",
            "service": "checkout",
            "cold_start": cold,
            "function_name": "checkout-api",
            "function_memory_size": "512",
            "function_request_id": request,
            **fields,
        }
        if exception:
            record.update(exception=exception, exception_name=exception.rsplit("\n", 1)[-1].split(":")[0])
        if trace:
            record["xray_trace_id"] = trace
        stream.write(ms, compact(record) + "\n")

    # One invocation runs over each midnight: its lines belong to two windows.
    over_midnight = {midnight - 160 for midnight in MIDNIGHTS}
    for ms in sorted(arrivals(dice, 165, SHOPPING, saturday=1.25, retries=2.6) + list(over_midnight)):
        stream = group.environment_for(dice, ms)
        ms = max(ms, stream.busy_until)
        cold, stream.started = not stream.started, True
        init = dice.latency(380, 900) if cold else None
        request = dice.uuid()
        trace = f"1-{ms // 1000:08x}-{dice.hex(24)}" if dice.chance(0.3) else None
        duration = 340.0 if ms in over_midnight else dice.latency(28, 620)
        product, price = dice.pick(PRODUCTS)
        quantity = dice.pick([1, 1, 1, 2, 2, 3])
        day = utc(ms + 9 * HOUR).date()
        serial[day] = serial.get(day, 0) + 1
        order = {"order_id": order_number(ms, serial[day]), "product": product, "quantity": quantity, "amount": price * quantity}
        extra, used = "", None
        runtime.start(stream, ms, request, "$LATEST", init)
        context = (request, cold, trace)
        kind = dice.pick(["order", "order", "order", "cart", "cart", "lookup"])

        if outage(ms) and dice.chance(0.86):
            log(stream, ms + 3, "INFO", "place_order:62", "주문이 접수되었습니다", *context, **order)
            fate = dice.below(10)
            if fate < 4:
                duration, extra, used = float(runtime.timeout), "Status: timeout", dice.between(180, 240)
                log(stream, ms + 5_006, "WARNING", "reserve:44", "재고 서비스 응답이 늦어지고 있습니다", *context, waited_ms=5000)
                log(stream, ms + 15_013, "ERROR", "reserve:49", "재고 서비스에 연결하지 못했습니다 (2/3)", *context, waited_ms=15000)
            elif fate < 8:
                duration = 5_000 + dice.latency(20, 9_000)
                error = "재고 서비스 응답 시간 초과"
                log(stream, ms + int(duration) - 2, "ERROR", "place_order:93", error, *context, PYTHON_TRACEBACK, **order)
            else:
                # What the runtime writes for an exception that the handler lets through, with its no-break spaces.
                duration = 5_000 + dice.latency(20, 4_000)
                frames = PYTHON_TRACEBACK.rsplit("\n", 1)[0].replace("  ", "\u00a0\u00a0")
                text = f"[ERROR] PoolTimeout: 5.0s waited for one of 20 connections\n{frames}\n"
                stream.write(ms + int(duration) - 2, text)
        elif not dumped and ms > at("2026-11-20 20:10"):
            dumped = True
            lines = [
                {"line": n + 1, "product": name, "price": cost, "quantity": dice.between(1, 9), "sku": dice.hex(24)}
                for n, (name, cost) in enumerate(dice.pick(PRODUCTS) for _ in range(192))
            ]
            note = {"event": "cart too large for one page", "customer": "buyer@example.com", "lines": lines}
            log(stream, ms + 9, "DEBUG", "render_cart:140", note, *context)
        elif kind == "order":
            log(stream, ms + 3, "INFO", "place_order:62", "주문이 접수되었습니다", *context, **order)
            roll = dice.below(100)
            if roll < 9:
                text = f"재고가 부족합니다: {product}"
                log(stream, ms + int(duration) - 2, "WARNING", "reserve:52", text, *context, requested=quantity, available=quantity - 1)
            elif roll < 13:
                text = dice.pick(["결제 승인이 거절되었습니다: 한도 초과", "재고가 부족합니다", "배송할 수 없는 주소입니다"])
                log(stream, ms + int(duration) - 2, "ERROR", "place_order:101", text, *context, **order)
        elif kind == "cart":
            text = dice.pick(["장바구니에 담았습니다", "장바구니 수량을 바꾸었습니다"])
            log(stream, ms + 4, "INFO", "update_cart:33", text, *context, product=product, quantity=quantity)
        else:
            log(stream, ms + 6, "INFO", "get_order:21", "order found", *context, order_id=order["order_id"])

        end = ms + math.ceil(duration)
        runtime.report(stream, end, request, duration, init, extra, used, trace)
        stream.busy_until = end + 20
        if extra:
            stream.write(end + 6, f"INIT_START {runtime.runtime}\n")  # the environment restarts after a timeout
            stream.busy_until = end + 900
    return group


NODE_STACK = """ServiceUnavailable: 메시지 발송 대기열이 가득 찼습니다
    at MessageQueue.push (/var/task/dist/queue.js:58:13)
    at async sendPush (/var/task/dist/channels/push.js:24:5)
    at async Promise.all (index 1)
    at async Runtime.handler (file:///var/task/dist/index.mjs:31:3)"""

STATUS_STACK = """TimeoutError: 재고 서비스 응답 시간 초과
    at StatusClient.get (/var/task/dist/status.js:47:11)
    at process.processTicksAndRejections (node:internal/process/task_queues:103:5)
    at async Runtime.handler (file:///var/task/dist/index.mjs:22:18)"""


def order_notifier(dice):
    """Node.js: a time, request id and level of its own at the head of each line; the new version writes JSON."""
    old = environments(
        dice,
        "$LATEST",
        [
            ("2026-11-19 23:30", "2026-11-20 10:00"),
            ("2026-11-20 09:10", "2026-11-20 21:00"),
            ("2026-11-20 19:40", "2026-11-21 09:30"),  # both days
            ("2026-11-21 09:00", "2026-11-21 18:00"),
            ("2026-11-21 17:30", "2026-11-22 01:00"),
        ],
    )
    new = environments(dice, "8", [("2026-11-21 16:00", "2026-11-22 01:00")])
    group = LogGroup("/aws/lambda/order-notifier", old + new)
    runtime = Lambda(dice, "nodejs:24.v19", memory=256, timeout=10_000)
    special = {at("2026-11-20 19:02"): "\n", at("2026-11-21 12:20"): None}
    channels = ["push", "push", "push", "sms", "email"]

    def text_line(stream, ms, request, level, text):
        stream.write(ms, f"{iso(ms)}\t{request}\t{level}\t{text}\n")

    def json_line(stream, ms, request, level, text):
        stream.write(ms, compact({"timestamp": iso(ms), "level": level, "requestId": request, "message": text}) + "\n")

    def platform(stream, ms, kind, record):
        stream.write(ms, compact({"time": iso(ms), "type": f"platform.{kind}", "record": record}) + "\n")

    for ms in sorted(arrivals(dice, 75, SHOPPING, saturday=1.2, retries=0.6) + list(special)):
        stream = group.environment_for(dice, ms)
        ms = max(ms, stream.busy_until)
        cold, stream.started = not stream.started, True
        init = dice.latency(160, 420) if cold else None
        request, duration = dice.uuid(), dice.latency(14, 480)
        product, _ = dice.pick(PRODUCTS)
        order = f"{utc(ms + 9 * HOUR):%y%m%d}-{dice.between(1, 400):05d}"
        in_json = stream in new
        write = json_line if in_json else text_line

        if in_json:
            if cold:
                platform(stream, ms - round(init) - 2, "initStart", {"initializationType": "on-demand", "phase": "init", "functionVersion": "8"})
            platform(stream, ms, "start", {"requestId": request, "version": "8"})
        else:
            runtime.start(stream, ms, request, "$LATEST", init)

        if ms in special:
            stream.write(ms + 2, special[ms] or f"{iso(ms + 2)}\t{request}\tINFO\t🎉 단골 1,000번째 주문! {product} 🚚 오늘 밤 도착합니다 💌\n")
        channel = dice.pick(channels)
        roll = dice.below(100)
        if outage(ms) and roll < 60:
            write(stream, ms + 9, request, "WARN", f"주문 {order} 상태를 확인하지 못했습니다, 다시 시도합니다 (1/3)")
            if roll < 40:
                duration = 5_000 + dice.latency(10, 400)
                write(stream, ms + 5_006, request, "ERROR", f"주문 {order} 상태를 확인하지 못했습니다\n{STATUS_STACK}")
        elif roll < 3 and not in_json:
            text_line(stream, ms + 11, request, "ERROR", NODE_STACK)
        elif roll < 5 and not in_json:
            head, *stack = NODE_STACK.splitlines()
            name, reason = head.split(": ", 1)
            error = {"errorType": name, "errorMessage": reason, "stack": [head, *stack]}
            text_line(stream, ms + 11, request, "ERROR", f"Invoke Error \t{compact(error)}")
        elif roll < 5:
            json_line(stream, ms + 11, request, "ERROR", "메시지 발송 대기열이 가득 찼습니다")
        elif roll < 70:
            write(stream, ms + 8, request, "INFO", f"sent {channel} for order {order}: {product} 배송이 시작되었습니다")
        else:
            write(stream, ms + 8, request, "INFO", f"sent {channel} for order {order}: 주문이 확인되었습니다")

        end = ms + math.ceil(duration)
        if in_json:
            metrics = {"durationMs": duration, "billedDurationMs": math.ceil(duration + (init or 0)), "memorySizeMB": 256}
            metrics["maxMemoryUsedMB"] = dice.between(88, 112)
            if init is not None:
                metrics["initDurationMs"] = init
            platform(stream, end, "report", {"requestId": request, "metrics": metrics, "status": "success"})
        else:
            runtime.report(stream, end, request, duration, init)
        stream.busy_until = end + 20
    return group


JAVA_TRACE = """java.lang.IllegalStateException: 정산 건을 저장하지 못했습니다
\tat com.example.settlement.SettlementService.settle(SettlementService.java:118)
\tat com.example.settlement.SettlementHandler.handleRequest(SettlementHandler.java:54)
\tat com.example.settlement.SettlementHandler.handleRequest(SettlementHandler.java:23)
\tat java.base/jdk.internal.reflect.DirectMethodHandleAccessor.invoke(Unknown Source)
\tat java.base/java.lang.reflect.Method.invoke(Unknown Source)
Caused by: com.example.inventory.StockUnavailableException: 재고가 부족합니다
\tat com.example.inventory.StockClient.confirm(StockClient.java:77)
\tat com.example.inventory.RetryingStockClient.lambda$confirm$0(RetryingStockClient.java:39)
\tat com.example.retry.Retry.execute(Retry.java:61)
\tat com.example.inventory.RetryingStockClient.confirm(RetryingStockClient.java:38)
\tat com.example.settlement.SettlementService.confirmStock(SettlementService.java:164)
\tat com.example.settlement.SettlementService.settle(SettlementService.java:102)
\t... 4 more
Caused by: java.sql.SQLTransientConnectionException: stock-pool - Connection is not available, request timed out after 30000ms (total=20, active=20, idle=0, waiting=47)
\tat com.example.pool.ConnectionPool.createTimeoutException(ConnectionPool.java:696)
\tat com.example.pool.ConnectionPool.getConnection(ConnectionPool.java:197)
\tat com.example.inventory.StockRepository.lock(StockRepository.java:88)
\tat com.example.inventory.StockClient.confirm(StockClient.java:71)
\t... 9 more"""


def payment_settlement(dice):
    """Java with SnapStart: a logging pattern with date, request id and level; long stack traces; silent at night."""
    group = LogGroup(
        "/aws/lambda/payment-settlement",
        environments(
            dice,
            "23",
            [
                ("2026-11-19 23:45", "2026-11-20 03:00"),
                ("2026-11-20 08:00", "2026-11-20 17:30"),
                ("2026-11-20 16:00", "2026-11-21 03:00"),  # both days
                ("2026-11-21 08:00", "2026-11-21 16:00"),
                ("2026-11-21 14:45", "2026-11-22 01:00"),
            ],
        ),
    )
    runtime = Lambda(dice, "java:21.v58", memory=1024, timeout=60_000)
    out_of_memory = at("2026-11-20 10:12:31")

    def log(stream, ms, request, level, logger, text):
        stream.write(ms, f"{utc(ms):%Y-%m-%d %H:%M:%S}.{ms % 1000:03d} {request} {level:5} {logger} - {text}\n")

    for ms in sorted(arrivals(dice, 48, SETTLING, saturday=0.9, retries=3.0) + [out_of_memory]):
        stream = group.environment_for(dice, ms)
        request, duration = dice.uuid(), dice.latency(90, 2_400)
        extra, used = "", None
        ms = max(ms, stream.busy_until)
        if not stream.started:
            stream.started = True
            restore = dice.latency(350, 800)
            stream.write(ms - round(restore) - 4, f"RESTORE_START {runtime.runtime}\n")
            stream.write(ms - 2, f"RESTORE_REPORT Restore Duration: {milliseconds(restore)}\n")
            extra = f"Restore Duration: {milliseconds(restore)}\tBilled Restore Duration: {dice.between(40, 180)} ms\t"
        runtime.start(stream, ms, request, "23", None)
        batch = f"{utc(ms + 9 * HOUR):%m%d%H}-{dice.between(1, 99):02d}"
        count, won = dice.between(3, 60), dice.between(120, 4_900) * 1000
        log(stream, ms + 4, request, "INFO", "SettlementHandler", f"정산 묶음 {batch} 시작, {count}건")
        if ms == out_of_memory:
            duration, used, extra = 8_214.37, 1024, extra + "Status: error\tError Type: Runtime.OutOfMemory"
            stream.write(ms + 8_200, f"RequestId: {request} Error: Runtime exited with error: signal: killed\nRuntime.ExitError\n")
        elif outage(ms) and dice.chance(0.75):
            duration = 30_000 + dice.latency(40, 900)
            log(stream, ms + int(duration) - 6, request, "ERROR", "SettlementService", f"정산 묶음 {batch} 실패\n{JAVA_TRACE}")
        elif dice.chance(0.04):
            log(stream, ms + int(duration) - 4, request, "ERROR", "SettlementService", f"금액이 맞지 않습니다: 묶음 {batch}, 차이 {dice.between(1, 99) * 100}원")
        else:
            if dice.chance(0.1):
                log(stream, ms + 40, request, "WARN", "RetryingStockClient", "stock confirmed on attempt 2")
            log(stream, ms + int(duration) - 4, request, "INFO", "SettlementService", f"정산 묶음 {batch} 완료, {won:,}원")
        end = ms + math.ceil(duration)
        runtime.report(stream, end, request, duration, None, extra, used)
        stream.busy_until = end + 20
    return group


def storefront_web(dice):
    """Two containers on ECS: nginx's access log and an application's logfmt; no newline at the end of a message."""
    deploy = "2026-11-20 17:10"
    tasks = [(dice.hex(32), at("2026-11-19 21:00"), at("2026-11-22 03:00"))]  # both days
    tasks += [(dice.hex(32), at("2026-11-19 21:00"), at(deploy) + 90 * SECOND), (dice.hex(32), at(deploy), at("2026-11-22 03:00"))]
    nginx = [Stream(f"web/nginx/{task}", since, until) for task, since, until in tasks]
    app = [Stream(f"web/app/{task}", since, until) for task, since, until in tasks]
    group = LogGroup("/ecs/storefront-web", nginx + app)

    def logfmt(stream, ms, level, **fields):
        quoted = (f'{key}="{value}"' if " " in str(value) else f"{key}={value}" for key, value in fields.items())
        stream.write(ms, f"ts={iso(ms)} level={level} {' '.join(quoted)}")

    to_the_millisecond = {midnight - back for midnight in MIDNIGHTS for back in (0, 1)}
    started, stopped = at(deploy) + 2_140, at(deploy) + 61_412
    for ms in sorted(arrivals(dice, 560, SHOPPING, saturday=1.3, retries=0.7) + list(to_the_millisecond)):
        replica = dice.pick([n for n, stream in enumerate(nginx) if stream.since + 3 * SECOND <= ms < stream.until - 40 * SECOND])
        if app[replica].since == at(deploy) and not app[replica].started:
            app[replica].started = True
            logfmt(app[replica], started, "info", msg="listening", addr=":8080", version="2026.11.20-1")
        client, agent = dice.pick(CLIENTS), dice.pick(AGENTS)
        number = dice.between(1001, 1000 + len(PRODUCTS) * 3)
        product, _ = PRODUCTS[number % len(PRODUCTS)]
        word = dice.pick(SEARCHES)
        search = f"/search?q={urllib.parse.quote(word)}"
        path = dice.pick(["/", f"/products/{number}", f"/products/{number}", search, "/cart", "/checkout"])
        method = "POST" if path == "/checkout" else "GET"
        status, size, took = 200, dice.between(900, 48_000), dice.latency(4, 380)
        trouble = outage(ms) and path in ("/checkout", "/cart") and dice.chance(0.95)
        if trouble:
            status, size = dice.pick([(504, 562), (504, 562), (502, 552)])
            took = 30_000 + dice.latency(1, 60) if status == 504 else dice.latency(5_000, 9_000)
        elif dice.chance(0.012):
            path, status, size = f"/products/{dice.between(9000, 9999)}", 404, 1_284
        elif dice.chance(0.04):
            status, size = 304, 0
        clock = dt.datetime.fromtimestamp(ms // 1000, SEOUL)
        nginx[replica].write(
            ms,
            f'{client} - - [{clock:%d/Nov/%Y:%H:%M:%S +0900}] "{method} {path} HTTP/1.1" {status} {size} "-" "{agent}" rt={took / 1000:.3f}',
        )
        arrived = ms - round(took)
        if trouble:
            logfmt(app[replica], ms - 1, "error", msg="checkout upstream failed", status=status, took_ms=round(took), err="재고 서비스 응답 시간 초과")
        elif status == 404:
            logfmt(app[replica], ms - 1, "warn", msg="상품을 찾을 수 없습니다", path=path)
        elif path == search and dice.chance(0.6):
            logfmt(app[replica], arrived + 1, "info", msg="search", q=word, hits=dice.between(0, 84), took_ms=round(took))
        elif path.startswith("/products") and dice.chance(0.45):
            logfmt(app[replica], arrived + 1, "info", msg="product viewed", id=number, name=product, took_ms=round(took))
        elif path == "/checkout" and dice.chance(0.7):
            logfmt(app[replica], arrived + 1, "info", msg="order placed", user=f"u{dice.between(10_000, 99_999)}", items=dice.between(1, 8))
    logfmt(app[1], stopped, "info", msg="shutting down", signal="SIGTERM", open_connections=2)
    logfmt(app[0], OUTAGE[1] + 4 * MINUTE + 217, "info", msg="checkout upstream is healthy again, ERROR rate back under 1 percent")
    return group


def main():
    groups = [
        checkout_api(Dice("checkout-api")),
        order_notifier(Dice("order-notifier")),
        payment_settlement(Dice("payment-settlement")),
        storefront_web(Dice("storefront-web")),
    ]
    for old in HERE.glob("%2F*"):
        shutil.rmtree(old)
    dice = Dice("late deliveries")
    for group in groups:
        for number, stream in enumerate(group.streams):
            if number % 3 == 1:
                stream.deliver_late(dice, times=3)
        group.save()


if __name__ == "__main__":
    main()
