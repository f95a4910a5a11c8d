//! Wrong job files and arguments with what the program says of each, in files that can be reviewed.
//!
//! A file of `tests/wrong_inputs/` has one case below the other:
//!
//! ```text
//! ## a name of the case
//! - text of the job file            replaced
//! + by this text
//! > or: a line of another job file
//! $ the arguments; without them, those of `plan`
//!     exit 2: the message
//! ```
//!
//! `UPDATE_EXPECTED=1 cargo test --test integration wrong_inputs` writes the messages anew; review the difference before a
//! commit.

use std::path::Path;

use serde_json::Value;

use crate::support::events::at;
use crate::support::export::Export;
use crate::support::program::Dir;

/// The job that cases change.
const JOB: &str = r#"name = "night"
timezone = "Asia/Seoul"

[source]
kind = "exported"
path = "exported"

[output]
location = "out"

[[query]]
use = "hourly_count"

[[query]]
name = "errors"
sql = "errors.sql"

[[query.chart]]
kind = "bar"
x = "hour"
y = "errors"
"#;

/// Words of the program's libraries, which a reader of a message can't know.
const LEAKS: [&str; 14] = [
    "u32", "f64", "tuple", "sequence", "struct ", "map,", "variant", "Generic", "Error {", "Some(",
    "None,", "serde", "untagged", "nan`",
];

/// A case: its lines before the message.
#[derive(Default)]
struct Case {
    lines: Vec<String>,
    told: String,
}

impl Case {
    fn title(&self) -> &str {
        &self.lines[0]
    }

    /// The lines that begin with a mark, without it.
    fn marked(&self, mark: &str) -> Vec<&str> {
        let lines = self.lines.iter().skip(1);
        let lines = lines.filter_map(|line| line.strip_prefix(mark));
        lines
            .map(|line| line.strip_prefix(' ').unwrap_or(line))
            .collect()
    }

    fn job(&self) -> String {
        let whole = self.marked(">");
        if !whole.is_empty() {
            return whole.join("\n") + "\n";
        }
        let mut job = JOB.to_owned();
        let (mut from, mut to) = (Vec::new(), Vec::new());
        let mut replace = |from: &mut Vec<&str>, to: &mut Vec<&str>| {
            let text = from.join("\n");
            assert!(
                job.contains(&text),
                "{}: {text:?} is not in the job",
                self.title()
            );
            job = job.replacen(&text, &to.join("\n"), 1);
            from.clear();
            to.clear();
        };
        for line in &self.lines[1..] {
            if let Some(text) = line.strip_prefix("- ") {
                if !to.is_empty() {
                    replace(&mut from, &mut to);
                }
                from.push(text);
            } else if let Some(text) = line.strip_prefix('+') {
                to.push(text.strip_prefix(' ').unwrap_or(text));
            }
        }
        if !from.is_empty() {
            replace(&mut from, &mut to);
        }
        job
    }

    /// The arguments. Those with spaces are in double quotes.
    fn arguments(&self) -> Vec<String> {
        let Some(line) = self.marked("$").first().copied() else {
            return ["plan", "night.toml", "--window", "2026-11-21"]
                .map(str::to_owned)
                .into();
        };
        let mut arguments = Vec::new();
        for (place, part) in line.split('"').enumerate() {
            match place % 2 {
                0 => arguments.extend(part.split_whitespace().map(str::to_owned)),
                _ => arguments.push(part.to_owned()),
            }
        }
        arguments
    }
}

fn cases(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("    "), cases.last_mut()) {
            _ if line.starts_with("## ") => cases.push(Case {
                lines: vec![line.to_owned()],
                told: String::new(),
            }),
            (Some(told), Some(case)) => case.told += &format!("{told}\n"),
            (None, Some(case)) if !line.is_empty() => case.lines.push(line.to_owned()),
            _ => {}
        }
    }
    cases
}

/// What the program says, and its exit code.
fn told(case: &Case) -> String {
    let dir = Dir::new();
    Export::new(dir.join("exported")).stream("web/app", &[(at("2026-11-21T10:00:00Z"), "x")]);
    dir.write("night.toml", case.job());
    // A source whose exports are made by a run, and none was made.
    let source = "kind = \"directory\"\npath = \"exported\"";
    dir.write(
        "events.toml",
        JOB.replace("kind = \"exported\"\npath = \"exported\"", source),
    );
    dir.write(
        "errors.sql",
        "SELECT hour_local AS hour, events AS errors\nFROM hourly_count\n",
    );
    let before = dir.files();
    let finished = dir.logtally(case.arguments()).env("COLUMNS", "100").run();
    assert_eq!(dir.files(), before, "{}{finished}", case.title());
    finished.stdout_is("");
    let lines = finished.stderr.lines();
    let messages: Vec<String> = lines
        .map(|line| {
            let line: Value = serde_json::from_str(line).expect("a line of JSON");
            line["message"].as_str().expect("a message").to_owned()
        })
        .collect();
    let code = finished.code().expect("an exit code");
    assert_ne!(code, 0, "{}{finished}", case.title());
    let message = messages.join("\n");
    for leak in LEAKS {
        assert!(
            !message.contains(leak),
            "{}: {leak:?} in {message}",
            case.title()
        );
    }
    let message: Vec<&str> = message
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    format!("exit {code}: {}\n", message.join("\n"))
}

#[track_caller]
fn compare(file: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/wrong_inputs")
        .join(file);
    let text = std::fs::read_to_string(&file).expect("the file of cases");
    let (head, _) = text.split_once("\n## ").expect("cases");
    let cases = cases(&text);
    let (mut out, mut wrong) = (head.trim_end().to_owned() + "\n", String::new());
    for case in &cases {
        let told = told(case);
        if told != case.told {
            wrong += &format!("{}\n{told}", case.title());
        }
        let indented = told
            .lines()
            .map(|line| format!("    {line}").trim_end().to_owned() + "\n");
        out += &format!(
            "\n{}\n{}",
            case.lines.join("\n"),
            indented.collect::<String>()
        );
    }
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&file, out).expect("the file of cases is writable");
        return;
    }
    assert!(
        wrong.is_empty(),
        "these messages are not those in {} (UPDATE_EXPECTED=1 writes them):\n{wrong}",
        file.display()
    );
}

#[test]
fn messages_for_wrong_job_files_say_what_to_write() {
    compare("job_files.md");
}

#[test]
fn messages_for_wrong_arguments_say_what_to_write() {
    compare("arguments.md");
}
