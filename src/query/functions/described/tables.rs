//! Functions that give tables, which stand behind `FROM`.

use super::Description;

pub(super) const DESCRIPTIONS: &[Description] = &[Description {
    name: "previous",
    syntax: "previous(query, length)",
    answers: "The earlier answer of a query of the job, as a table: that of the window which is this length before the present one. Without rows where there is none.",
    arguments: &[
        ("query", "The name of a query of the job, as a text"),
        ("length", "A constant such as '1 day' or '7 days'"),
    ],
    example: (
        "SELECT sum(n) AS a_week_ago FROM previous('hourly_count', '7 days')",
        "",
    ),
}];
