//! Answers over the demo's events, in files that can be reviewed.
//!
//! `tests/sql/*.sql` are queries; the `.out` beside each is the output of `logtally query`.
//! `UPDATE_EXPECTED=1 cargo test --test integration sql` writes them anew; review the difference before a commit.

use std::path::Path;

use crate::support::program::Dir;

#[test]
fn questions_have_the_answers_in_their_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let queries = root.join("tests/sql");
    let dir = Dir::new();
    let job = root.join("jobs/demo.toml").display().to_string();
    // A job with the demo's source that writes into the test's folder.
    let text = std::fs::read_to_string(&job).unwrap();
    let text = text
        .replace(
            "path = \"demo\"",
            &format!("path = {:?}", root.join("jobs/demo").display().to_string()),
        )
        .replace("\"../demo-output", "\"demo-output")
        .replace(
            "\"demo/errors_by_hour.sql\"",
            &format!("{:?}", root.join("jobs/demo/errors_by_hour.sql")),
        );
    dir.write("demo.toml", text);
    dir.logtally(["run", "demo.toml"]).run().assert_success();

    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let mut files: Vec<_> = std::fs::read_dir(&queries)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    assert!(files.len() > 5, "no queries in {}", queries.display());
    let mut wrong = Vec::new();
    for file in files {
        let sql = std::fs::read_to_string(&file).unwrap();
        let answer = dir
            .logtally(["query", "demo.toml", "--window", "2026-11-21", &sql])
            .run()
            .assert_success()
            .stdout
            .clone();
        let expected = file.with_extension("out");
        if update {
            std::fs::write(&expected, &answer).unwrap();
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != answer {
            wrong.push(format!("{}:\n{answer}", file.display()));
        }
    }
    assert!(
        wrong.is_empty(),
        "these answers are not those in the files (UPDATE_EXPECTED=1 writes them):\n{}",
        wrong.join("\n")
    );
}
