//! The questions of `docs/questions.md` and of the README, each run as it stands there, over the demo.
//!
//! The answers are in `tests/questions/`, as CSV: `UPDATE_EXPECTED=1 cargo test --test integration questions` writes them
//! anew; review the difference before a commit.

use std::path::Path;

use crate::demo::demo;
use crate::support::program::Dir;

/// The longest query of the README.
const LONGEST: usize = 160;

/// A document of this checkout.
fn document(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(root.join(name)).expect("the document is there")
}

/// The commands in the code blocks of a text, each with the number of its list's item.
fn commands(text: &str) -> Vec<(usize, String)> {
    let mut commands = Vec::new();
    let (mut number, mut block) = (0, None::<String>);
    for line in text.lines() {
        let trimmed = line.trim();
        let item = trimmed
            .split_once(". ")
            .and_then(|(number, _)| number.parse().ok());
        match (&mut block, trimmed) {
            (None, "```sh") => block = Some(String::new()),
            (Some(_), "```") => commands.extend(block.take().map(|block| (number, block))),
            (Some(block), line) => *block += &format!("{line}\n"),
            (None, _) => number = item.unwrap_or(number),
        }
    }
    commands
}

/// Runs a command of a shell with `logtally` in its path.
fn shell(dir: &Dir, command: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_logtally"));
    let folder = program.parent().expect("it is in a folder").display();
    let path = std::env::var("PATH").unwrap_or_default();
    let finished = dir
        .program("sh", ["-c", command])
        .env("PATH", format!("{folder}:{path}"))
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        .run();
    finished.assert_success().stdout.clone()
}

/// The demo, both of whose days are done.
fn two_days() -> Dir {
    let dir = demo();
    let arguments = [
        "run",
        "jobs/demo.toml",
        "--from",
        "2026-11-20",
        "--to",
        "2026-11-21",
    ];
    dir.logtally(arguments).run().assert_success();
    dir
}

#[test]
fn every_question_has_the_answer_in_its_file() {
    let dir = two_days();
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let commands = commands(&document("docs/questions.md"));
    let numbers: Vec<usize> = commands.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=24).collect::<Vec<_>>());
    let mut wrong = Vec::new();
    for (number, command) in commands {
        let answer = shell(&dir, &format!("{} --format csv", command.trim_end()));
        let file = format!("tests/questions/{number:02}.csv");
        if update {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            std::fs::write(file, answer).expect("the folder is writable");
        } else if document(&file) != answer {
            wrong.push(format!("{file}:\n{answer}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "these answers are not those in the files (UPDATE_EXPECTED=1 writes them):\n{}",
        wrong.join("\n")
    );
}

#[test]
fn the_questions_of_the_readme_are_short_and_among_these() {
    let readme = document("README.md");
    let (_, section) = readme.split_once("\n### Questions\n").expect("the section");
    let (_, block) = section.split_once("```sql\n").expect("a block of SQL");
    let (block, _) = block.split_once("```").expect("its end");
    let questions: Vec<&str> = block
        .lines()
        .filter(|line| line.starts_with("SELECT"))
        .collect();
    assert_eq!(questions.len(), 10, "{questions:#?}");
    let all = document("docs/questions.md");
    for question in questions {
        let length = question.chars().count();
        assert!(length < LONGEST, "{length} characters: {question}");
        assert!(
            all.contains(&format!("\"{question}\"")),
            "not in docs/questions.md: {question}"
        );
    }
}
