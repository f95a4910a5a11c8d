//! The script that people run today, beside the job over the same export: where its events went, number by number.
//!
//! The table of `docs/from-the-script.md` is what this test finds; `UPDATE_EXPECTED=1 cargo test --test integration
//! old_script` writes it anew.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::program::{Dir, files_below};
use crate::support::python;

const DAY: &str = "2026-11-21";
const BEGIN: &str = "<!-- counted by tests/integration/old_script.rs -->\n";
const END: &str = "<!-- end -->\n";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn demo() -> Dir {
    let dir = Dir::new();
    for file in files_below(&root().join("jobs")) {
        let content = std::fs::read(root().join("jobs").join(&file)).expect("readable");
        dir.write(Path::new("jobs").join(&file), content);
    }
    dir
}

fn script(dir: &Dir, limit: Option<u32>) -> Value {
    let mut command = Command::new(python::interpreter());
    command
        .arg(root().join("tests/tools/old_script.py"))
        .arg(dir.join("demo-output/staging"));
    if let Some(limit) = limit {
        command.args(["--limit", &limit.to_string()]);
    }
    serde_json::from_str(&python::output(&mut command)).expect("the script prints JSON")
}

/// What the script counted in the hours of the day; the export has an hour more on both sides.
fn in_the_day(script: &Value) -> u64 {
    let hours = script["by_hour"].as_object().expect("counts by hour");
    hours
        .iter()
        .filter(|(hour, _)| hour.starts_with(DAY))
        .map(|(_, count)| count.as_u64().expect("a count"))
        .sum()
}

fn query(dir: &Dir, sql: &str) -> Vec<Value> {
    let arguments = [
        "query",
        "jobs/demo.toml",
        "--window",
        DAY,
        "--format",
        "json",
        sql,
    ];
    let answer = dir.logtally(arguments).run();
    let text = answer.assert_success().stdout.clone();
    serde_json::from_str(&text).expect("rows as JSON")
}

#[test]
fn every_event_that_the_old_script_loses_is_accounted_for() {
    let dir = demo();
    let run = dir.logtally(["run", "jobs/demo.toml", "--json"]).run();
    let receipt = run.assert_success().stdout_json();
    let ours = receipt["read"]["events"].as_u64().expect("a count");

    let limited = in_the_day(&script(&dir, Some(100)));
    let whole = script(&dir, None);
    let unlimited = in_the_day(&whole);
    let dropped = query(
        &dir,
        "SELECT log_type(message) AS kind, count(*) AS events FROM logs WHERE message NOT LIKE '{%' GROUP BY 1 ORDER BY 1",
    );
    let rest = query(
        &dir,
        "SELECT count(*) AS events, sum(array_length(string_to_array(message, chr(10))) - 1) AS continuations FROM logs",
    );

    let mut table = String::from("| | events |\n|---|---:|\n");
    let mut row = |what: &str, count: String| table += &format!("| {what} | {count} |\n");
    row("the script with `limit=100`", limited.to_string());
    row("cut by the limit", format!("+{}", unlimited - limited));
    row("**the script without a limit**", format!("**{unlimited}**"));
    let mut sum = unlimited;
    for kind in &dropped {
        let events = kind["events"].as_u64().expect("a count");
        sum += events;
        let what = match kind["kind"].as_str().expect("a text") {
            "text" => "dropped by `json.loads`: text of the application".to_owned(),
            own => format!(
                "dropped by `json.loads`: Lambda's `{}` lines",
                own.to_uppercase()
            ),
        };
        row(&what, format!("+{events}"));
    }
    row("**logtally**", format!("**{ours}**"));
    assert_eq!(sum, ours, "every event is in one of the lines:\n{table}");
    assert_eq!(rest[0]["events"], ours);
    // Lines behind the first of an event are no events, and the script sees them as such.
    let continuations = rest[0]["continuations"].as_u64().expect("a count");
    let without_time = whole["no_timestamp"].as_u64().expect("a count");
    assert!(
        0 < continuations && continuations <= without_time + 100,
        "{continuations} against {without_time}"
    );

    let doc = root().join("docs/from-the-script.md");
    let text = std::fs::read_to_string(&doc).expect("the document is there");
    let (before, rest) = text.split_once(BEGIN).expect("the table's begin is marked");
    let (_, after) = rest.split_once(END).expect("the table's end is marked");
    let expected = format!("{before}{BEGIN}{table}{END}{after}");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&doc, &expected).expect("the document is writable");
    }
    assert_eq!(
        std::fs::read_to_string(&doc).expect("the document is there"),
        expected,
        "the table is not the one in docs/from-the-script.md (UPDATE_EXPECTED=1 writes it)"
    );
}
