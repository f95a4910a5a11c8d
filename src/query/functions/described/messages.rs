//! Functions of messages.

use super::Description;

const MESSAGE: (&str, &str) = ("message", "The text of an event");

pub(super) const DESCRIPTIONS: &[Description] = &[
    Description {
        name: "exception_class",
        syntax: "exception_class(message)",
        answers: "The class of the exception that a message reports, as Java, Python, Node, .NET, Go, Ruby, PHP and Rust print it: the outermost of a chain. NULL if it reports none.",
        arguments: &[MESSAGE],
        example: (
            "SELECT exception_class('java.lang.IllegalStateException: no stock') AS class",
            "\
+---------------------------------+
| class                           |
+---------------------------------+
| java.lang.IllegalStateException |
+---------------------------------+",
        ),
    },
    Description {
        name: "lambda_event",
        syntax: "lambda_event(message)",
        answers: "What a line of Lambda's own says of an invocation, as a struct, which the view lambda_invocations is made of. NULL for other messages.",
        arguments: &[MESSAGE],
        example: (
            "SELECT lambda_event('START RequestId: 3604209a-e9a3-11e6-939a-abb315ddc6fc Version: 7')['request_id'] AS id",
            "\
+--------------------------------------+
| id                                   |
+--------------------------------------+
| 3604209a-e9a3-11e6-939a-abb315ddc6fc |
+--------------------------------------+",
        ),
    },
    Description {
        name: "level",
        syntax: "level(message)",
        answers: "The level that a message states, in any usual form of loggers and of JSON: TRACE, DEBUG, INFO, WARN, ERROR or FATAL. NULL if it states none.",
        arguments: &[MESSAGE],
        example: (
            "SELECT level('2026-11-21 05:35:07,001 [ERROR] no stock') AS a, level('{\"level\":\"warning\"}') AS b",
            "\
+-------+------+
| a     | b    |
+-------+------+
| ERROR | WARN |
+-------+------+",
        ),
    },
    Description {
        name: "log_type",
        syntax: "log_type(message)",
        answers: "What kind of line a message is: start, end, report and other kinds of Lambda's own lines, else json or text.",
        arguments: &[MESSAGE],
        example: (
            "SELECT log_type('END RequestId: 3604209a-e9a3-11e6-939a-abb315ddc6fc') AS a, log_type('{\"n\":1}') AS b",
            "\
+-----+------+
| a   | b    |
+-----+------+
| end | json |
+-----+------+",
        ),
    },
    Description {
        name: "request_id",
        syntax: "request_id(message)",
        answers: "The id of the Lambda invocation that a message belongs to, where the message has it.",
        arguments: &[MESSAGE],
        example: (
            "SELECT request_id('END RequestId: 3604209a-e9a3-11e6-939a-abb315ddc6fc') AS id",
            "\
+--------------------------------------+
| id                                   |
+--------------------------------------+
| 3604209a-e9a3-11e6-939a-abb315ddc6fc |
+--------------------------------------+",
        ),
    },
    Description {
        name: "trace_id",
        syntax: "trace_id(message)",
        answers: "The id of the X-Ray trace that a message names.",
        arguments: &[MESSAGE],
        example: (
            "SELECT trace_id('XRAY TraceId: 1-5e34a614-10bd7a3f2c2b4d5e6f708192') AS id",
            "\
+-------------------------------------+
| id                                  |
+-------------------------------------+
| 1-5e34a614-10bd7a3f2c2b4d5e6f708192 |
+-------------------------------------+",
        ),
    },
    Description {
        name: "lambda_report",
        syntax: "lambda_report(message)",
        answers: "What Lambda reports of an invocation, as a struct with the members request_id, duration_ms, billed_ms, memory_mb, max_memory_mb, init_ms, restore_ms, status, error_type and trace_id. NULL for any other message.",
        arguments: &[MESSAGE],
        example: (
            "SELECT lambda_report(m).billed_ms AS billed_ms, lambda_report(m).max_memory_mb AS used_mb\n  FROM (VALUES (E'REPORT RequestId: 3604209a\\tDuration: 469.40 ms\\tBilled Duration: 470 ms\\tMax Memory Used: 21 MB')) AS t(m)",
            "\
+-----------+---------+
| billed_ms | used_mb |
+-----------+---------+
| 470       | 21      |
+-----------+---------+",
        ),
    },
];
