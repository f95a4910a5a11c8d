//! The library of queries: each over the demo, as a query of a job with its chart, and in the lists of the command line.
//!
//! The answers are in `tests/library/`, as CSV: `UPDATE_EXPECTED=1 cargo test --test integration library` writes them
//! anew; review the difference before a commit.

use std::fmt::Write;
use std::path::Path;

use crate::demo::demo;
use crate::support::parquet::Parquet;
use crate::support::program::Dir;

/// Values of parameters that the header's defaults are no answer for.
pub const PARAMETERS: [(&str, &str); 1] =
    [("request_trace", "id=98f51c01-6757-4b8f-aab4-3f085dddc891")];

/// Those that read other answers of their job.
pub const OF_JOBS: [&str; 2] = ["new_patterns", "growing_patterns"];

/// The names of all queries.
pub fn names(dir: &Dir) -> Vec<String> {
    let list = dir
        .logtally(["query", "--list"])
        .run()
        .assert_success()
        .stdout
        .clone();
    let names = list
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    names.map(str::to_owned).collect()
}

/// The demo, whose job has every query of the library, and both of whose days are done.
pub fn library_job() -> (Dir, Vec<String>) {
    let dir = demo();
    let names = names(&dir);
    let text = dir.read_text("jobs/demo.toml");
    let (head, _) = text
        .split_once("# Which queries.")
        .expect("the demo's queries");
    let mut job = head.to_owned();
    for name in &names {
        write!(job, "\n[[query]]\nuse = \"{name}\"\n").expect("a text grows");
        if let Some((_, value)) = PARAMETERS.iter().find(|(query, _)| query == name) {
            let (name, value) = value.split_once('=').expect("a name and a value");
            write!(job, "[query.params]\n{name} = \"{value}\"\n").expect("a text grows");
        }
    }
    dir.write("jobs/demo.toml", job);
    let arguments = [
        "run",
        "jobs/demo.toml",
        "--from",
        "2026-11-20",
        "--to",
        "2026-11-21",
    ];
    dir.logtally(arguments).run().assert_success();
    (dir, names)
}

#[test]
fn every_query_has_the_answer_in_its_file() {
    let (dir, names) = library_job();
    assert!(names.len() > 20, "{names:?}");
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/library");
    let mut wrong = Vec::new();
    for name in &names {
        let reference = format!("@{name}");
        let windows: &[&str] = match name.as_str() {
            "pattern_changes" => &["--from", "2026-11-20", "--to", "2026-11-21"],
            _ => &["--window", "2026-11-21"],
        };
        let mut arguments = vec!["query", "jobs/demo.toml", &*reference, "--format", "csv"];
        arguments.extend(windows);
        if let Some((_, value)) = PARAMETERS.iter().find(|(query, _)| query == name) {
            arguments.extend(["-p", value]);
        }
        let answer = dir
            .logtally(arguments)
            .run()
            .assert_success()
            .stdout
            .clone();
        let file = folder.join(format!("{name}.csv"));
        if update {
            std::fs::write(&file, answer).expect("the folder is writable");
        } else if std::fs::read_to_string(&file).unwrap_or_default() != answer {
            wrong.push(format!("{}:\n{answer}", file.display()));
        }
    }
    assert!(
        wrong.is_empty(),
        "these answers are not those in the files (UPDATE_EXPECTED=1 writes them):\n{}",
        wrong.join("\n")
    );
}

#[test]
fn a_job_publishes_the_same_rows_with_their_charts() {
    let (dir, names) = library_job();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/library");
    for name in &names {
        let file = format!("demo-output/demo/{name}/dt=2026-11-21/{name}.parquet");
        let answer = Parquet::read(dir.join(file));
        let expected =
            std::fs::read_to_string(folder.join(format!("{name}.csv"))).expect("the answer's file");
        let header = expected.lines().next().expect("a header");
        let columns: Vec<String> = answer
            .schema()
            .iter()
            .map(|column| column.split(':').next().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(columns.join(","), header, "{name}");
    }
    // Of what the two days have in common, nothing is new.
    let new =
        Parquet::read(dir.join("demo-output/demo/new_patterns/dt=2026-11-21/new_patterns.parquet"));
    let all = Parquet::read(dir.join("demo-output/demo/patterns/dt=2026-11-21/patterns.parquet"));
    let (new, all) = (new.texts("pattern_id").len(), all.texts("pattern_id").len());
    assert!(0 < new && new < all, "{new} of {all} patterns are new");
    for name in OF_JOBS {
        assert!(names.iter().any(|known| known == name), "{name}");
    }
}

#[test]
fn the_list_has_a_line_for_each_and_the_text_of_one() {
    let dir = Dir::new();
    let list = dir.logtally(["query", "--list"]).run();
    list.assert_success().stdout_contains("hourly_count ");
    assert!(list.stdout.lines().count() > 20, "{list}");
    let one = dir.logtally(["query", "--list", "cold_starts"]).run();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/cold_starts.sql");
    let text = std::fs::read_to_string(file).expect("the query's file");
    one.assert_success().stdout_is(&text);
    let unknown = dir.logtally(["query", "--list", "cold_start"]).run();
    unknown.assert_code(2).stderr_contains("did you mean");
}

#[test]
fn an_unknown_name_is_an_error_with_the_nearest() {
    let dir = demo();
    let unknown = dir
        .logtally(["query", "jobs/demo.toml", "@hourly_cont"])
        .run();
    unknown.assert_code(2).stderr_contains("hourly_count");
}

#[test]
fn the_ready_jobs_are_valid_and_run() {
    for (name, variables) in [
        ("lambda", &[("LOG_GROUPS", "/aws/lambda/*")][..]),
        ("access", &[("LOG_GROUP", "/ecs/storefront-web")][..]),
        ("account", &[][..]),
    ] {
        let dir = demo();
        let text = dir.read_text(format!("jobs/{name}.toml"));
        let parts = text.split_once("[source]").and_then(|(head, rest)| {
            let (_, rest) = rest.split_once("[output]")?;
            Some((head, rest))
        });
        let (head, rest) = parts.expect("a source and an output");
        // The source of a folder in place of AWS; the rest as it is.
        let job =
            format!("{head}[source]\nkind = \"directory\"\npath = \"demo\"\n\n[output]{rest}")
                .replace("timezone = \"UTC\"", "timezone = \"Asia/Seoul\"");
        dir.write(format!("jobs/{name}_demo.toml"), job);
        let file = format!("jobs/{name}_demo.toml");
        let run = dir
            .logtally([
                "run",
                &*file,
                "--from",
                "2026-11-20",
                "--to",
                "2026-11-21",
                "--strict",
            ])
            .env("OUTPUT", dir.join("out").display().to_string())
            .envs(variables.iter().copied())
            .run();
        run.assert_success();
        let files = dir.files();
        let charts = files
            .iter()
            .filter(|file| file.ends_with("-2026-11-21.png"))
            .count();
        assert!(charts >= 2, "{name}: {files:#?}");
        // As it stands it names what has to be filled in.
        let plan = dir.logtally(["plan", &*format!("jobs/{name}.toml")]).run();
        plan.assert_code(2).stderr_contains("is not set");
    }
}
