//! `EXPLAIN` for eyes: the engine's plans as trees, without the paths of files, and with the numbers of `EXPLAIN ANALYZE` that
//! say where the time goes.

use chrono::DateTime;
use chrono_tz::Tz;
use unicode_width::UnicodeWidthStr;

use super::cell::lines;
use super::style::Style;
use crate::chart::text::printable;
use crate::query::in_words_of_sql;

/// The least columns of a line's text, however deep it stands.
const LEAST_TEXT: usize = 30;

/// What the engine calls the plan of `EXPLAIN ANALYZE`.
const MEASURED: &str = "Plan with Metrics";

/// The plans in the rows of an `EXPLAIN`, each the name of a plan and its text, in lines of at most `columns`.
pub fn text(rows: &[Vec<Option<String>>], columns: Option<usize>, style: Style) -> String {
    let mut out = String::new();
    for row in rows {
        let [Some(name), Some(plan)] = &row[..] else {
            continue;
        };
        if !out.is_empty() {
            out.push('\n');
        }
        if rows.len() > 1 {
            out += &style.heading(&title(name));
            out.push('\n');
        }
        // Constants and names of columns stand in it.
        let plan = printable(plan);
        match is_drawn(&plan) {
            true => out += &(plan.trim_end().to_owned() + "\n"),
            false => draw(&nodes(&plan, name == MEASURED), columns, style, &mut out),
        }
    }
    out
}

/// `Logical plan` of `logical_plan`.
fn title(name: &str) -> String {
    let words = name.replace('_', " ");
    let mut letters = words.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// Whether a plan has a form of its own: that of `EXPLAIN FORMAT tree`, `pgjson` or `graphviz`.
fn is_drawn(plan: &str) -> bool {
    let start = plan.trim_start();
    start.starts_with(['┌', '[', '{']) || start.starts_with("//")
}

struct Node {
    depth: usize,
    text: String,
    /// What was measured.
    measured: String,
}

/// The lines of a plan, which the engine indents by two columns for each level.
fn nodes(plan: &str, is_measured: bool) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    for line in plan.lines().filter(|line| !line.trim().is_empty()) {
        let text = line.trim_start_matches(' ');
        let indent = line.len() - text.len();
        // A text of the query may have several lines: those behind the first are of the node before.
        let is_node = indent.is_multiple_of(2)
            && text.starts_with(|c: char| c.is_ascii_uppercase())
            && nodes.last().is_none_or(|last| indent / 2 <= last.depth + 1);
        match nodes.last_mut() {
            Some(last) if !is_node => {
                last.text += " ";
                last.text += text;
            }
            _ => nodes.push(Node {
                depth: indent / 2,
                text: text.to_owned(),
                measured: String::new(),
            }),
        }
    }
    for node in &mut nodes {
        if is_measured && let Some((text, metrics)) = node.text.rsplit_once(", metrics=[") {
            node.measured = measured(metrics.trim_end_matches(']'));
            node.text = text.to_owned();
        }
        node.text = readable(&node.text);
    }
    nodes
}

/// A node's text in words of SQL, with times in place of their numbers, and without the names of files.
fn readable(text: &str) -> String {
    let text = without_files(text);
    let text = in_words_of_sql(&with_times(&text));
    with_range(&text)
}

/// `file_groups={2 groups: [[…]]}` as `partitions=2`.
fn without_files(text: &str) -> String {
    const BEGIN: &str = "file_groups={";
    let parts = text.split_once(BEGIN).and_then(|(before, behind)| {
        let (count, behind) = behind.split_once(" group")?;
        let (_, behind) = behind.split_once("]]}")?;
        Some(format!("{before}partitions={count}{behind}"))
    });
    parts.unwrap_or_else(|| text.to_owned())
}

/// Constants such as `TimestampMillisecond(1795204800000, Some("Asia/Seoul"))` as times.
fn with_times(text: &str) -> String {
    const BEGIN: &str = "TimestampMillisecond(";
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once(BEGIN) {
        out += before;
        let constant = behind.split_once(", ").and_then(|(number, behind)| {
            let (zone, behind) = match behind.strip_prefix("None)") {
                Some(behind) => (None, behind),
                None => {
                    let (zone, behind) = behind.strip_prefix("Some(\"")?.split_once("\"))")?;
                    (Some(zone), behind)
                }
            };
            Some((time(number.parse().ok()?, zone)?, behind))
        });
        match constant {
            Some((time, behind)) => {
                out += &format!("'{time}'");
                rest = behind;
            }
            None => {
                out += BEGIN;
                rest = behind;
            }
        }
    }
    out + rest
}

/// `timestamp_ms=[1795204800001, 9223372036854775807)` as `timestamp=[2026-11-21T…, …)`.
fn with_range(text: &str) -> String {
    const BEGIN: &str = "timestamp_ms=[";
    let range = text.split_once(BEGIN).and_then(|(before, behind)| {
        let (range, behind) = behind.split_once(')')?;
        let (from, to) = range.split_once(", ")?;
        let edge = |number: &str| match number.parse() {
            Ok(i64::MIN | i64::MAX) | Err(_) => "…".to_owned(),
            Ok(number) => time(number, Some("UTC")).unwrap_or_else(|| "…".to_owned()),
        };
        let (from, to) = (edge(from), edge(to));
        Some(match (from.as_str(), to.as_str()) {
            ("…", "…") => format!("{}{behind}", before.trim_end_matches(", ")),
            _ => format!("{before}timestamp=[{from}, {to}){behind}"),
        })
    });
    range.unwrap_or_else(|| text.to_owned())
}

fn time(ms: i64, zone: Option<&str>) -> Option<String> {
    let instant = DateTime::from_timestamp_millis(ms)?;
    Some(match zone {
        None => instant
            .naive_utc()
            .format("%Y-%m-%dT%H:%M:%S%.f")
            .to_string(),
        Some(zone) => {
            let zone: Tz = zone.parse().ok()?;
            let local = instant.with_timezone(&zone);
            local.format("%Y-%m-%dT%H:%M:%S%.f%:z").to_string()
        }
    })
}

/// The measured numbers that say where rows, time and memory go, as `24 rows, 1.2ms`.
fn measured(metrics: &str) -> String {
    let all: Vec<(&str, &str)> = metrics
        .split(", ")
        .filter_map(|metric| metric.split_once('='))
        .collect();
    let value = |name: &str| {
        let found = all.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| *value)
    };
    let some = |name: &str| value(name).filter(|value| !matches!(*value, "0" | "0.0 B"));
    let mut parts = Vec::new();
    let mut add = |value: Option<&str>, unit: &str| {
        if let Some(value) = value {
            parts.push(format!("{value}{unit}"));
        }
    };
    add(value("output_rows"), " rows");
    // Of a scan, the other one leaves out what it waits for.
    add(
        value("time_elapsed_processing").or(value("elapsed_compute")),
        "",
    );
    add(value("objects_read"), " objects");
    add(value("bytes_read").or(some("bytes_scanned")), " bytes read");
    add(value("events"), " events");
    add(some("build_mem_used"), " held");
    add(some("spilled_bytes"), " spilled");
    parts.join(", ")
}

/// Draws the tree: a node stands below its parent, behind a branch.
fn draw(nodes: &[Node], columns: Option<usize>, style: Style, out: &mut String) {
    // Whether a later node has the same parent, for each level.
    let mut open: Vec<bool> = Vec::new();
    for (number, node) in nodes.iter().enumerate() {
        open.truncate(node.depth);
        let mut later = nodes[number + 1..]
            .iter()
            .take_while(|later| later.depth >= node.depth);
        let has_sibling = later.any(|later| later.depth == node.depth);
        let bars = |levels: &[bool]| -> String {
            let bar = |is_open: &bool| if *is_open { "│  " } else { "   " };
            levels.iter().skip(1).map(bar).collect()
        };
        let branch = match (node.depth, has_sibling) {
            (0, _) => "",
            (_, true) => "├─ ",
            (_, false) => "└─ ",
        };
        let first = bars(&open) + branch;
        open.push(has_sibling);
        let has_child = nodes
            .get(number + 1)
            .is_some_and(|next| next.depth > node.depth);
        let further = bars(&open) + if has_child { "│  " } else { "   " };
        let room = columns.map_or(usize::MAX, |columns| {
            columns.saturating_sub(further.width()).max(LEAST_TEXT)
        });
        let mut shown = wrapped(&node.text, room);
        if !node.measured.is_empty() {
            shown.extend(wrapped(&format!("({})", node.measured), room));
        }
        let texts = node
            .text
            .split_once(':')
            .map_or(node.text.width(), |(name, _)| name.width());
        for (place, line) in shown.iter().enumerate() {
            let lead = if place == 0 { &first } else { &further };
            *out += &style.dim(lead);
            match line.split_at_checked(texts) {
                Some((name, rest)) if place == 0 => *out += &(style.heading(name) + rest),
                _ => *out += line,
            }
            out.push('\n');
        }
    }
}

/// A text in lines of at most `room` columns, which end at spaces where there are any.
fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut wrapped: Vec<String> = Vec::new();
    for word in text.split_inclusive(' ') {
        match wrapped.last_mut() {
            Some(last) if last.width() + word.trim_end().width() <= room => last.push_str(word),
            _ => wrapped.extend(lines(word, room)),
        }
    }
    let ends = wrapped.iter().map(|line| line.trim_end().to_owned());
    ends.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = "\
Sort: n DESC, fetch=3
  HashJoinExec: mode=CollectLeft, filter=a = 'two
  lines'
    ProjectionExec: expr=[column1@0 as hour]
      DataSourceExec: partitions=1
    DataSourceExec: file_groups={2 groups: [[a/b.gz, ...], [c.gz]]}, projection=[message], timestamp_ms=[1795204800001, 9223372036854775807)
";

    fn rows(name: &str, plan: &str) -> Vec<Vec<Option<String>>> {
        vec![vec![Some(name.to_owned()), Some(plan.to_owned())]]
    }

    #[test]
    fn a_plan_is_a_tree() {
        assert_eq!(
            text(&rows("physical_plan", PLAN), None, Style::default()),
            "\
Sort: n DESC, fetch=3
└─ HashJoinExec: mode=CollectLeft, filter=a = 'two lines'
   ├─ ProjectionExec: expr=[column1@0 as hour]
   │  └─ DataSourceExec: partitions=1
   └─ DataSourceExec: partitions=2, projection=[message], timestamp=[2026-11-20T20:00:00.001+00:00, …)
"
        );
        let narrow = text(&rows("physical_plan", PLAN), Some(50), Style::default());
        assert!(narrow.lines().all(|line| line.width() <= 50), "{narrow}");
        assert!(
            narrow.contains("│  └─ DataSourceExec: partitions=1\n   └─ DataSource"),
            "{narrow}"
        );
    }

    #[test]
    fn what_was_measured_stands_below_its_node() {
        let plan = "AggregateExec: mode=Final, metrics=[output_rows=4, elapsed_compute=1.25ms, spilled_bytes=0.0 B]\n  \
            DataSourceExec: file_groups={1 group: [[a.gz]]}, metrics=[output_rows=2.54 K, elapsed_compute=2ns, bytes_read=76.73 K, events=2.64 K, objects_read=18, time_elapsed_processing=188ms]\n";
        assert_eq!(
            text(&rows(MEASURED, plan), None, Style::default()),
            "\
AggregateExec: mode=Final
│  (4 rows, 1.25ms)
└─ DataSourceExec: partitions=1
      (2.54 K rows, 188ms, 18 objects, 76.73 K bytes read, 2.64 K events)
"
        );
    }

    #[test]
    fn nothing_in_a_plan_acts_on_the_terminal() {
        for plan in [
            "Filter: a = Utf8(\"x \u{1b}[2J y\")",
            "┌──┐\n│\u{1b}[2J│\n└──┘",
        ] {
            for columns in [None, Some(50)] {
                let text = text(&rows("logical_plan", plan), columns, Style::default());
                assert!(text.contains("\\u{1b}[2J"), "{text}");
                assert!(!text.contains('\u{1b}'), "{text:?}");
            }
        }
    }

    #[test]
    fn constants_are_values_of_sql() {
        let plan = r#"Filter: t > TimestampMillisecond(1795204800000, Some("Asia/Seoul")) AND x = Utf8("a")"#;
        assert_eq!(
            text(&rows("logical_plan", plan), None, Style::default()),
            "Filter: t > '2026-11-21T05:00:00+09:00' AND x = 'a'\n"
        );
    }
}
