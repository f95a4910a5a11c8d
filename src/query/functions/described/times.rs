//! Functions of local time.

use super::Description;

pub(super) const DESCRIPTIONS: &[Description] = &[
    Description {
        name: "time_bucket",
        syntax: "time_bucket(width, timestamp)",
        answers: "The start of the bucket of local time that an instant is in. Buckets of days, weeks and months begin at midnight of the job's zone, also where a day has 23 or 25 hours.",
        arguments: &[
            (
                "width",
                "A constant such as '5 minutes', '1 hour', '1 day', '1 week' or '1 month', or an interval",
            ),
            ("timestamp", "An instant"),
        ],
        example: (
            "SELECT time_bucket('15 minutes', '2026-11-21 05:35:07') AS bucket",
            "\
+----------------------+
| bucket               |
+----------------------+
| 2026-11-21T05:30:00Z |
+----------------------+",
        ),
    },
    Description {
        name: "local_time",
        syntax: "local_time(timestamp)",
        answers: "What the clock of the job's zone shows at an instant: a time without a zone.",
        arguments: &[("timestamp", "An instant")],
        example: (
            "SELECT local_time('2026-11-21 05:35:07Z') AS local",
            "\
+---------------------+
| local               |
+---------------------+
| 2026-11-21T05:35:07 |
+---------------------+",
        ),
    },
    Description {
        name: "hour_of_day",
        syntax: "hour_of_day(timestamp)",
        answers: "The local hour of an instant, from 0 to 23.",
        arguments: &[("timestamp", "An instant")],
        example: (
            "SELECT hour_of_day('2026-11-21 05:35:07') AS hour",
            "\
+------+
| hour |
+------+
| 5    |
+------+",
        ),
    },
    Description {
        name: "utc_offset",
        syntax: "utc_offset(timestamp)",
        answers: "How far local time is from UTC at an instant, as text.",
        arguments: &[("timestamp", "An instant")],
        example: (
            "SELECT utc_offset(timestamp '2026-11-21 05:35:07' AT TIME ZONE 'Asia/Seoul') AS away",
            "\
+--------+
| away   |
+--------+
| +09:00 |
+--------+",
        ),
    },
    Description {
        name: "now",
        syntax: "now()",
        answers: "The instant at which the query began, the same in all of its rows.",
        arguments: &[],
        example: (
            "SELECT now() > '2026-01-01' AS is_later",
            "\
+----------+
| is_later |
+----------+
| true     |
+----------+",
        ),
    },
    Description {
        name: "from_unixtime",
        syntax: "from_unixtime(seconds)",
        answers: "The instant that is this many seconds after 1970 began in UTC.",
        arguments: &[("seconds", "A whole number")],
        example: (
            "SELECT from_unixtime(1795239307) AS at",
            "\
+----------------------+
| at                   |
+----------------------+
| 2026-11-21T05:35:07Z |
+----------------------+",
        ),
    },
    Description {
        name: "to_char",
        syntax: "to_char(timestamp, template)",
        answers: "A local time as text, by a template of PostgreSQL (YYYY-MM-DD HH24:MI:SS.MS, Dy, Mon, TZ) or of chrono (%Y-%m-%d).",
        arguments: &[
            ("timestamp", "An instant, a local time or a date"),
            ("template", "What the text is like"),
        ],
        example: (
            "SELECT to_char('2026-11-21 05:35:07'::timestamptz, 'Dy DD Mon, HH24:MI') AS text",
            "\
+-------------------+
| text              |
+-------------------+
| Sat 21 Nov, 05:35 |
+-------------------+",
        ),
    },
];
