//! What shells complete, and manual pages.

use serde_json::json;

use crate::support::program::Dir;
use crate::support::python;

/// What a real bash shows where Tab is pressed behind each of the texts, in a folder with a job file.
fn completed(dir: &Dir, typed: &[(&str, &str)]) -> String {
    let script = dir.logtally(["completions", "bash"]).run();
    dir.write("completions.bash", &script.assert_success().stdout);
    let mut steps = vec![json!([
        "bash-",
        "PS1='ready''> '; source ./completions.bash\r"
    ])];
    for (keys, shown) in typed {
        steps.push(json!(["ready> ", keys]));
        // Ctrl-U empties the line.
        steps.push(json!([shown, "\u{15}\r"]));
    }
    steps.push(json!(["ready> ", "exit 0\r"]));
    let tool = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/integration/tools/talk.py"
    );
    let python = python::interpreter().to_string_lossy().into_owned();
    let bash = ["bash", "--norc", "--noprofile", "-i"];
    let finished = dir
        .program(python, [tool].into_iter().chain(bash))
        .env("TERM", "xterm")
        .stdin(json!(steps).to_string())
        .run();
    finished.assert_success();
    finished.stdout.clone()
}

#[test]
fn bash_completes_commands_options_and_job_files() {
    let dir = Dir::new();
    dir.write("checkout.toml", "");
    completed(
        &dir,
        &[
            ("logtally stat\t", "logtally status "),
            ("logtally run --win\t", "logtally run --window "),
            ("logtally run check\t", "logtally run checkout.toml"),
            ("logtally completions f\t", "logtally completions fish "),
            ("logtally query x --color nev\t", "--color never "),
        ],
    );
}

#[test]
fn zsh_and_fish_have_every_command() {
    let dir = Dir::new();
    for (shell, start) in [("zsh", "#compdef logtally"), ("fish", "# Print an optspec")] {
        let script = dir.logtally(["completions", shell]).run();
        let script = &script.assert_success().stdout;
        assert!(script.starts_with(start), "{script}");
        for command in ["run", "query", "doctor", "completions", "man"] {
            assert!(script.contains(command), "{shell} lacks {command}");
        }
    }
}

#[test]
fn manual_pages_are_of_the_program_and_its_commands() {
    let dir = Dir::new();
    let page = dir.logtally(["man"]).run();
    page.assert_success()
        .stdout_contains(".TH logtally 1")
        .stdout_contains("logtally\\-query(1)")
        .stdout_contains("Exit codes:");
    let page = dir.logtally(["man", "query"]).run();
    page.assert_success().stdout_contains("\\-\\-output");
    let wrong = dir.logtally(["man", "nope"]).run();
    wrong
        .assert_code(2)
        .stderr_contains("nope is no command: expected one of run, plan");
    dir.logtally(["man", "--dir", "man1"])
        .run()
        .assert_success();
    let pages = dir.files();
    for page in [
        "man1/logtally.1",
        "man1/logtally-run.1",
        "man1/logtally-man.1",
    ] {
        assert!(pages.iter().any(|file| file == page), "{pages:?}");
    }
    // Each word of another command is none here.
    assert!(!pages.iter().any(|file| file.contains("help")), "{pages:?}");
}
