//! What `\df` shows of these functions: a description, how each is called, and an example with its answer.

use std::collections::HashMap;
use std::sync::LazyLock;

use datafusion::logical_expr::{DocSection, Documentation};

/// Where the functions stand in a list of all.
const SECTION: DocSection = DocSection {
    include: true,
    label: "Messages",
    description: None,
};

/// A function in words.
pub(in super::super) struct Described {
    pub name: &'static str,
    description: &'static str,
    syntax: &'static str,
    /// A query that names its only column `answer`.
    pub example: &'static str,
    pub answer: &'static str,
}

pub(in super::super) const ALL: [Described; 9] = [
    Described {
        name: "parse",
        description: "What the wildcards of a pattern stand for, as a struct of texts, as in CloudWatch Logs Insights. A * takes as little as it can, within a line. {name}, {name:int} and {name:float} are wildcards with a name and a type. NULL where the pattern does not match.",
        syntax: "parse(message, 'user * took * ms', 'user', 'ms')",
        example: "SELECT parse('user kim took 41 ms', 'user {user} took {ms:int} ms')['ms'] AS answer",
        answer: "41",
    },
    Described {
        name: "parse_regex",
        description: "The named groups of a regular expression, as a struct of texts. NULL where the expression does not match.",
        syntax: "parse_regex(message, '(?<name>…)')",
        example: "SELECT parse_regex('took 41 ms', '(?<ms>[0-9]+) ms')['ms'] AS answer",
        answer: "41",
    },
    Described {
        name: "parse_grok",
        description: "The members of a grok pattern, as a struct: %{PATTERN:name}, or %{PATTERN:name:int} and :float. The patterns are Logstash's. NULL where the pattern does not match.",
        syntax: "parse_grok(message, '%{IP:client} %{NUMBER:ms:float}')",
        example: "SELECT parse_grok('10.0.0.1 41.5', '%{IP:client} %{NUMBER:ms:float}')['ms'] AS answer",
        answer: "41.5",
    },
    Described {
        name: "parse_as",
        description: "The members of a format that the job declares in [formats], as a struct. NULL where the format does not fit.",
        syntax: "parse_as(message, 'app')",
        example: "",
        answer: "",
    },
    Described {
        name: "parse_logfmt",
        description: "The pairs of a logfmt line, as a map of texts; a key without a value is true. NULL for a line without pairs.",
        syntax: "parse_logfmt(message)",
        example: "SELECT parse_logfmt('level=info msg=\"order placed\" ms=41')['msg'] AS answer",
        answer: "order placed",
    },
    Described {
        name: "parse_access_log",
        description: "A line of an access log (Apache, nginx, ALB, Classic ELB, API Gateway, CloudFront, S3) as a struct: timestamp, status, bytes, request_ms, client, user, method, host, path, query, protocol, referer, user_agent, forwarded_for, request_id. NULL for any other line.",
        syntax: "parse_access_log(message)",
        example: "SELECT parse_access_log('10.0.0.1 - - [21/Nov/2026:05:35:01 +0900] \"GET /a?b=c HTTP/1.1\" 200 2326')['path'] AS answer",
        answer: "/a",
    },
    Described {
        name: "message_json",
        description: "The first JSON object in a message, also behind a prefix or as the line of a container in another object. NULL where none is.",
        syntax: "message_json(message)",
        example: "SELECT message_json('2026-11-21 05:35:01 INFO {\"id\":7}')->>'id' AS answer",
        answer: "7",
    },
    Described {
        name: "parse_time",
        description: "The instant of a time in any usual form, or of the first one in the head of a message. A number is seconds, milliseconds, microseconds or nanoseconds since 1970, by its size. A template reads other forms. A time without a year needs an instant near it, such as timestamp. NULL where none is.",
        syntax: "parse_time(text [, template] [, near])",
        example: "SELECT parse_time('2026-11-21 05:35:01,123+0900 ERROR x') = '2026-11-20 20:35:01.123Z' AS answer",
        answer: "true",
    },
    Described {
        name: "window_buckets",
        description: "The buckets of a width between two instants, as a list; buckets('5 minutes') in FROM has them as rows.",
        syntax: "window_buckets('5 minutes', $window_start, $window_end)",
        example: "SELECT array_length(window_buckets('5 minutes', '2026-11-21 05:00Z', '2026-11-21 06:00Z')) AS answer",
        answer: "12",
    },
];

/// The documentation of a function.
pub(in super::super) fn of(name: &str) -> Option<&'static Documentation> {
    static DOCUMENTATION: LazyLock<HashMap<&str, Documentation>> = LazyLock::new(|| {
        let each = ALL.iter();
        each.map(|function| (function.name, documentation(function)))
            .collect()
    });
    DOCUMENTATION.get(name)
}

fn documentation(function: &Described) -> Documentation {
    let builder = Documentation::builder(SECTION, function.description, function.syntax);
    let builder = match function.example {
        "" => builder,
        example => {
            let width = function.answer.len().max("answer".len());
            let line = format!("+-{}-+", "-".repeat(width));
            builder.with_sql_example(format!(
                "```sql\n> {example};\n{line}\n| {:width$} |\n{line}\n| {:width$} |\n{line}\n```",
                "answer", function.answer
            ))
        }
    };
    builder.build()
}
