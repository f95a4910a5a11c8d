//! The prompt of `query`, in a pseudo terminal.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::events::at;
use crate::support::job::{JOB, Night};
use crate::support::program::Finished;
use crate::support::python;

const READY: &str = "night=> ";

/// A job of two days, of which one has a line that is an error.
fn night() -> Night {
    let night = Night::new();
    night.export().stream(
        "web/app",
        &[
            (at("2025-03-03T10:00:00Z"), "[ERROR] no stock"),
            (at("2025-03-03T11:00:00Z"), "[INFO] order 7"),
            (at("2025-03-04T10:00:00Z"), "[INFO] order 8"),
        ],
    );
    night
}

/// Talks with the prompt of a job: waits for each text, then presses keys. Its stdout is what the terminal showed.
fn talk(night: &Night, variables: &[(&str, &str)], steps: &[(&str, &str)]) -> Finished {
    let tool = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/integration/tools/talk.py"
    );
    let steps: Vec<Value> = steps
        .iter()
        .map(|(wait, keys)| json!([wait, keys]))
        .collect();
    let python = python::interpreter().to_string_lossy().into_owned();
    let mut program = night
        .dir
        .program(python, [tool, env!("CARGO_BIN_EXE_logtally"), "query", JOB])
        .env("TERM", "xterm-256color")
        .env("XDG_STATE_HOME", night.dir.join("state"))
        .stdin(Value::from(steps).to_string());
    for (name, value) in variables {
        program = program.env(name, value);
    }
    program.run()
}

#[test]
fn a_statement_ends_with_its_semicolon_and_the_prompt_shows_what_is_open() {
    let night = night();
    let finished = talk(
        &night,
        &[],
        &[
            (READY, "select level(message) as l, 'a\r"),
            ("night'> ", "b' as text, (\r"),
            ("night(> ", "1) as n\r"),
            (
                "night-> ",
                "from logs order by timestamp; select 40 + 2 as answer;\r",
            ),
            (READY, "exit\r"),
        ],
    );
    finished.assert_success();
    finished.stdout_contains("ERROR").stdout_contains("42");
    finished.stdout_contains("night: all events in 1 object, times of UTC.");
}

#[test]
fn a_query_of_the_library_is_asked_by_its_name() {
    let night = night();
    let finished = talk(
        &night,
        &[],
        &[
            (READY, "@top_errors;\r"),
            ("no stock", ""),
            (READY, "@hourly_eror;\r"),
            ("is no query of the library", ""),
            (READY, "\\q\r"),
        ],
    );
    finished.assert_success().stdout_contains("pattern_id");
}

#[test]
fn errors_have_a_caret_and_do_not_end_the_prompt() {
    let night = night();
    let finished = talk(
        &night,
        &[],
        &[
            (READY, "SELECT mesage FROM logs;\r"),
            ("       ^", ""),
            ("hint: ", ""),
            (READY, "\\nope\r"),
            ("error: \\nope is no command", ""),
            (READY, "\\i nope.sql\r"),
            ("error: can't read nope.sql", ""),
            (READY, "SELECT 1 + 1 AS two;\r"),
            ("(1 row", ""),
            (READY, "\u{4}"),
        ],
    );
    finished.assert_success();
}

#[test]
fn tab_completes_tables_columns_and_commands() {
    let night = night();
    let finished = talk(
        &night,
        &[],
        &[
            (READY, "SELECT count(mess\t"),
            ("count(message", ") AS n FROM lo\t"),
            ("FROM logs", ";\r"),
            ("3", ""),
            (
                READY,
                "SELECT count(*) * 7 AS n FROM logs l WHERE l.log_s\t",
            ),
            ("l.log_stream", " IS NOT NULL;\r"),
            ("21", ""),
            (READY, "\\tim\t\r"),
            ("timing is off", ""),
            (READY, "\\d hou\t"),
            ("hourly_count", "\r"),
            (READY, "\\q\r"),
        ],
    );
    finished.assert_success();
}

#[test]
fn what_was_typed_is_kept_for_the_next_session() {
    let night = night();
    let first = [
        (READY, "SELECT 1 +\r"),
        ("night-> ", "1 AS two;\r"),
        ("(1 row", ""),
        (READY, "\\q\r"),
    ];
    talk(&night, &[], &first).assert_success();
    let history = night.dir.join("state/logtally/history");
    let mode = history.metadata().expect("the history is there");
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    let kept = night.dir.read_text("state/logtally/history");
    assert!(kept.contains("SELECT 1 +\\n1 AS two;"), "{kept}");
    let again = [
        // The last entry is the command that left.
        (READY, "\u{1b}[A\u{1b}[A"),
        ("1 AS two;", "\r"),
        ("(1 row", ""),
        (READY, "\u{4}"),
    ];
    talk(&night, &[], &again).assert_success();
}

#[test]
fn without_a_home_there_is_a_prompt_and_no_history() {
    let night = night();
    let steps = [
        (READY, "SELECT 1 AS one;\r"),
        ("(1 row", ""),
        (READY, "\\q\r"),
    ];
    let finished = talk(&night, &[("XDG_STATE_HOME", ""), ("HOME", "")], &steps);
    finished.assert_success();
    assert!(!night.dir.join("state").exists());
}

#[test]
fn ctrl_c_ends_the_query_and_not_the_prompt() {
    let night = night();
    let endless = "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t;\r";
    let finished = talk(
        &night,
        &[],
        &[
            (READY, endless),
            // The line that shows how far it is.
            ("computing", "\u{3}"),
            ("stopped by Ctrl-C", ""),
            // At the prompt it clears what was begun.
            (READY, "SELECT '\r"),
            ("night'> ", "\u{3}"),
            (READY, "SELECT 40 + 2 AS answer;\r"),
            ("42", ""),
            (READY, "\u{4}"),
        ],
    );
    finished.assert_success();
}

#[test]
fn tables_and_functions_are_described() {
    let night = night();
    let finished = talk(
        &night,
        &[],
        &[
            (READY, "\\d\r"),
            ("logs", ""),
            ("hourly_count", ""),
            (READY, "\\d+ logs;\r"),
            ("logs: the events", ""),
            ("timestamp with time zone", ""),
            ("the text of the event", ""),
            (READY, "\\d nope\r"),
            ("error: no table matches nope", ""),
            (READY, "\\df level\r"),
            ("level(message)", ""),
            ("> SELECT level(", ""),
            (READY, "\\df nope*\r"),
            ("error: no function matches nope*", ""),
            (READY, ".tables\r"),
            ("what it is", ""),
            (READY, "SHOW TABLES;\r"),
            ("rows", ""),
            (READY, "\\l\r"),
            ("hint: the tables are those of the job", ""),
            (READY, "\\?\r"),
            ("\\chart KIND [FILE]", ""),
            (READY, "\\q\r"),
        ],
    );
    finished.assert_success();
}

#[test]
fn answers_are_shown_expanded_and_timed_as_asked() {
    let night = night();
    let finished = talk(
        &night,
        &[],
        &[
            (READY, "\\x\r"),
            ("a line of its own", ""),
            (READY, "SELECT 1 AS one, 2 AS two;\r"),
            ("RECORD 1", ""),
            (READY, "\\x auto\r"),
            (READY, "\\timing off\r"),
            (READY, "SELECT 1 AS one;\r"),
            ("(1 row)", ""),
            (READY, "SELECT 1 AS one, 2 AS two \\gx\r"),
            ("RECORD 1", ""),
            (READY, "\\format csv\r"),
            (READY, "SELECT 1 AS a, 'x,y' AS b;\r"),
            ("a,b\n1,\"x,y\"", ""),
            (READY, "\\q\r"),
        ],
    );
    finished.assert_success();
}

#[test]
fn the_last_answer_is_drawn() {
    let night = night();
    let finished = talk(
        &night,
        &[],
        &[
            (READY, "\\chart bar\r"),
            ("error: there is no answer to draw yet", ""),
            (
                READY,
                "SELECT level(message) AS level, count(*) AS n FROM logs GROUP BY 1 ORDER BY 1;\r",
            ),
            ("(2 rows", ""),
            (READY, "\\chart bar\r"),
            ("█", ""),
            (READY, "\\chart bar levels.svg\r"),
            ("the chart is in", ""),
            (
                READY,
                "SELECT time_bucket('1 hour', timestamp) AS h, count(*) AS n FROM logs GROUP BY 1 ORDER BY 1 \\chart line\r",
            ),
            ("┤", ""),
            (READY, "\\q\r"),
        ],
    );
    finished.assert_success();
    assert!(night.dir.read_text("levels.svg").contains("<svg"));
}

#[test]
fn files_are_written_and_carried_out() {
    let night = night();
    night.dir.write("ask.sql", "\\timing off\nSELECT 40 +\n2 AS answer;\n\nSELECT nope FROM logs;\nSELECT 'not reached' AS x");
    let finished = talk(
        &night,
        &[],
        &[
            (READY, "\\o levels.csv\r"),
            ("the next answer goes to levels.csv", ""),
            (
                READY,
                "SELECT level(message) AS level FROM logs ORDER BY 1;\r",
            ),
            (READY, "SELECT 1 AS one \\g one.json\r"),
            (READY, "SELECT 'on the screen' AS place;\r"),
            ("on the screen", ""),
            (READY, "\\i ask.sql\r"),
            ("42", ""),
            // Where it is in the file, behind which the file goes no further.
            ("error: ask.sql:5:8", ""),
            (READY, "\\i nope.sql\r"),
            (READY, "\\o nope.xlsx\r"),
            ("error: \\o nope.xlsx ends with .xlsx", ""),
            (READY, "\\q\r"),
        ],
    );
    finished.assert_success();
    assert!(!finished.stdout.contains("not reached"), "{finished}");
    assert_eq!(
        night.dir.read_text("levels.csv"),
        "level\nERROR\nINFO\nINFO\n"
    );
    assert_eq!(night.dir.read_json("one.json"), json!([{"one": 1}]));
}

#[test]
fn a_query_is_edited_in_the_users_editor() {
    let night = night();
    let editor = night.dir.write(
        "edit.sh",
        "#!/bin/sh\nsed -i 's/1 AS one/42 AS answer/' \"$1\"\n",
    );
    let runs = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&editor, runs).expect("the file is ours");
    let finished = talk(
        &night,
        &[("VISUAL", ""), ("EDITOR", &editor.to_string_lossy())],
        &[
            (READY, "SELECT 1 AS one;\r"),
            ("(1 row", ""),
            (READY, "\\e\r"),
            ("SELECT 42 AS answer;", ""),
            ("(1 row", ""),
            // Unchanged now.
            (READY, "\\e\r"),
            ("nothing was changed", ""),
            (READY, "\\p\r"),
            ("SELECT 42 AS answer", ""),
            (READY, "\\q\r"),
        ],
    );
    finished.assert_success();
}

#[test]
fn other_windows_are_opened() {
    let night = night();
    let finished = talk(
        &night,
        &[],
        &[
            (READY, "SELECT count(*) AS of_all FROM logs;\r"),
            ("3", ""),
            (READY, "\\window 2025-03-04\r"),
            ("night: window 2025-03-04", ""),
            (
                READY,
                "SELECT count(*) * 1000 AS of_one, $window_start AS start FROM logs;\r",
            ),
            ("1000", ""),
            ("2025-03-04", ""),
            (READY, "\\window soon\r"),
            ("error: ", ""),
            // The window that was open stays so.
            (READY, "SELECT count(*) * 1000 AS of_one FROM logs;\r"),
            ("1000", ""),
            (READY, "\\window all\r"),
            ("night: all events", ""),
            (READY, "\\q\r"),
        ],
    );
    finished.assert_success();
}

#[test]
fn pasted_lines_are_carried_out_one_after_the_other() {
    let night = night();
    let finished = talk(
        &night,
        &[],
        &[
            (
                READY,
                "\u{1b}[200~SELECT 1 AS first;\n\\echo between\nSELECT nope;\nSELECT 3 AS third;\u{1b}[201~",
            ),
            ("third;", "\r"),
            ("first", ""),
            ("between", ""),
            ("error: ", ""),
            ("third", ""),
            (READY, "\\q\r"),
        ],
    );
    finished.assert_success();
}

#[test]
fn what_is_typed_ahead_is_carried_out() {
    let night = night();
    let ahead = "\\echo one\rSELECT 40 + 2 AS answer;\r\\echo three\r\\q\r";
    let finished = talk(&night, &[], &[(READY, ahead)]);
    finished.assert_success();
    for shown in ["\none\n", "|     42 |", "\nthree\n"] {
        finished.stdout_contains(shown);
    }
}
