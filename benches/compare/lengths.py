"""The experiment `lengths`: the time of each function of messages for long messages that could make it look for the same again
and again. Four times the length may take four times the time, and not sixteen times."""

from concurrent.futures import ThreadPoolExecutor

import tools
from measure import Failed, cores, markdown, measure

# Bytes of the message, and of the one that is compared with it.
SHORT, LONG = 1 << 19, 1 << 21

# What is faster shows nothing.
LEAST_S = 0.1

# Of a time that grows as the length does it is 4, of one that grows as its square 16.
MOST = 8

# What a scan, a match or a parser could begin anew at each of its repetitions; \t and \n are a tab and the end of a line.
BEGINNINGS = r"""
{¦[¦(¦<¦"¦'¦\¦{"¦{"a":¦[{"a":[¦"a":"¦"a":¦"a":1,¦"message":"¦"level":¦a=¦a="¦a=[¦a{¦a{b=¦=¦:¦::¦.¦..¦/¦//¦-¦_¦1-¦1.¦0¦0x¦f¦a¦Z¦é¦한¦@¦a@¦a@b.¦%¦%{¦#
 ¦\t¦\n¦\n ¦\n\tat ¦\r\n¦,¦;¦|¦ERROR ¦ERROR¦error: ¦level=¦level=[¦severity: ¦<13>¦[INFO] [¦[ERROR]\t¦WARN|
2025-01-01T00:00:00Z ¦2025-01-01 00:00:00,¦12/Mar/2025:¦Jan  1 00:00:00 ¦1740000000000 ¦00:00:
\tat a.b(C.java:1)\n¦Caused by: a.B: c\n¦Traceback (most recent call last):\n  File ¦panic: ¦goroutine 1 [¦a.b.C: ¦a.Error: ¦Exception
REPORT RequestId: ¦START RequestId: ¦\tDuration: 1 ms¦RequestId: ¦requestId=¦f47ac10b-58cc-4372-a567-0e02b2c3d479 ¦f47ac10b-
1-5e34a614-10bd7a3f¦Root=1-5e34a614-¦[a=¦trace_id=¦traceparent: 00-¦XRAY TraceId: 1-
password=¦pwd=$¦pwd=""¦pwd=\"<¦authorization: a ¦Bearer ¦eyJ¦AKIA¦010-1234-¦4111 1111 ¦a@b.c ¦900101-1
10.0.0.1 - - [12/Mar/2025:00:00:00 +0000] "¦"GET / ¦"-" ¦10.0.¦2001:db8::
"""


def beginnings():
    pieces = [piece for line in BEGINNINGS.strip("\n").split("\n") for piece in line.split("¦")]
    return [piece.replace(r"\t", "\t").replace(r"\n", "\n").replace(r"\r", "\r") for piece in pieces]


FUNCTIONS = [
    "exception_class(m)", "lambda_event(m)", "lambda_report(m)", "level(m)", "log_type(m)", "mask(m)", "message_json(m)",
    "parse_access_log(m)", "parse_logfmt(m)", "parse_time(m)", "pattern(m)", "pattern_id(m)", "request_id(m)", "trace_id(m)",
    "parse(m, 'user * took * ms: *', 'user', 'ms', 'rest')", "parse_regex(m, '(?<name>[a-z]+)=(?<value>[^ ]+)')",
    "parse_grok(m, '%{IP:client} %{NUMBER:ms:float}')", "m->>'a'", "json_length(m, 'a')", "json_get_int(m, 'a', 'b')",
    "m LIKE '%a%b%c%d%'", "regexp_like(m, '(a+)+$')",
]


def seconds(bench, data, function, beginning, length):
    """The time of a process that calls a function with a message of this length."""
    piece = beginning.replace("'", "''")
    times = max(1, length // len(beginning.encode()))
    # What depends on no event would be computed while the query is planned.
    messages = f"SELECT repeat('{piece}', {times}) || right(message, 0) AS m FROM logs LIMIT 1"
    sql = f"SELECT {function} IS NULL FROM ({messages})"
    return measure([*tools.Logtally(bench.binary).query(data), sql], keep_output=False).cpu


def run(bench, data):
    base = seconds(bench, data, "length(m)", "a", 1)

    def growth(case):
        function, beginning = case
        try:
            long = seconds(bench, data, function, beginning, LONG) - base
            if long < LEAST_S:
                return case, long, None
            short = seconds(bench, data, function, beginning, SHORT) - base
            return case, long, long / max(short, LEAST_S / 16)
        except Failed as failed:
            bench.wrong(f"{function} of {beginning!r}: {failed}")
            return case, 0.0, None

    cases = [(function, beginning) for function in FUNCTIONS for beginning in beginnings()]
    with ThreadPoolExecutor(cores()) as threads:
        measured = list(threads.map(growth, cases))
    rows = []
    for function in FUNCTIONS:
        of_function = [(long, of, beginning) for ((name, beginning), long, of) in measured if name == function]
        slowest = max(of_function)
        for long, of, beginning in of_function:
            if of is not None and of > MOST:
                bench.wrong(f"{function} of {LONG >> 20} MiB of {beginning!r}: {long:.2f} s, {of:.1f} times that of a quarter")
        grown = f"{slowest[1]:.1f}" if slowest[1] is not None else ""
        rows.append([f"`{function}`".replace("|", "\\|"), f"`{slowest[2]!r}`", f"{slowest[0]:.2f}", grown])
    return markdown(["function", "slowest over", "CPU s", "÷ a quarter of the length"], rows)
