//! A common script beside the job, over the same export: which events the script loses, and where.
//!
//! This test checks the table of `docs/from-the-script.md`. `UPDATE_EXPECTED=1 cargo test --test integration old_script`
//! writes it anew.

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

fn script(dir: &Dir, window: &Value, limit: Option<u32>) -> Value {
    let mut command = Command::new(python::interpreter());
    command
        .arg(root().join("tests/tools/old_script.py"))
        .arg(dir.join("demo-output/staging"));
    for (flag, edge) in [("--from", "start"), ("--to", "end")] {
        command.args([flag, window[edge].as_str().expect("a time")]);
    }
    if let Some(limit) = limit {
        command.args(["--limit", &limit.to_string()]);
    }
    serde_json::from_str(&python::output(&mut command)).expect("the script prints JSON")
}

fn query(dir: &Dir, of: &[&str], sql: &str) -> Vec<Value> {
    let arguments = of.iter().copied().chain(["--format", "json", sql]);
    let arguments = ["query"].into_iter().chain(arguments);
    let answer = dir.logtally(arguments).run();
    let text = answer.assert_success().stdout.clone();
    serde_json::from_str(&text).expect("rows as JSON")
}

#[test]
fn every_event_that_the_old_script_loses_is_accounted_for() {
    let dir = demo();
    let run = dir.logtally(["run", "jobs/demo.toml", "--json"]).run();
    let receipt = run.assert_success().stdout_run();
    let ours = receipt["read"]["events"].as_u64().expect("a count");

    let window = &receipt["window"];
    let limited = script(&dir, window, Some(100));
    let whole = script(&dir, window, None);
    let count = |counts: &Value, name: &str| counts[name].as_u64().expect("a count");
    let unlimited = count(&whole, "counted");
    let dropped = query(
        &dir,
        &["jobs/demo.toml", "--window", DAY],
        "SELECT log_type(message) AS kind, count(*) AS events FROM logs WHERE message NOT LIKE '{%' GROUP BY 1 ORDER BY 1",
    );

    let mut table = String::from("| | events |\n|---|---:|\n");
    let mut row = |what: &str, count: String| table += &format!("| {what} | {count} |\n");
    let with_limit = count(&limited, "counted");
    row("the script with `limit=100`", with_limit.to_string());
    row("cut by the limit", format!("+{}", unlimited - with_limit));
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
    assert_eq!(sum - unlimited, count(&whole, "no_json"));
    assert_eq!(limited["beyond_limit"], ours - 100 * 4, "four log groups");

    // Over the whole export, padding included, both read the same events and the same lines. The objects are copied out
    // of their attempts, whose objects are read for their window only.
    let is_object =
        |file: &String| file.starts_with("demo-output/staging/") && file.ends_with(".gz");
    for file in dir.files().into_iter().filter(is_object) {
        let copy = file.replace("attempt=", "export-");
        dir.write(
            copy.replacen("demo-output/staging", "copy", 1),
            dir.read(&file),
        );
    }
    let export = query(
        &dir,
        &["copy"],
        "SELECT count(*) AS events, sum(array_length(string_to_array(message, chr(10))) - 1) AS continuations, \
         count(*) FILTER (WHERE message LIKE '{%') AS json FROM logs",
    );
    assert!(count(&whole["whole_export"], "continuations") > 0);
    assert_eq!(export[0], whole["whole_export"]);

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
