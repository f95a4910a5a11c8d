//! Exports that were made to do harm: gzip bombs, endless events, many members, control characters. Memory stays within
//! its bound, nothing reaches the terminal as it is, and nothing is written outside its place.

use std::io::Write;
use std::thread;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::events::at;
use crate::support::export::{TASK_ID, line};
use crate::support::job::{JOB, Night};
use crate::support::program::{Finished, files_below};

const DAY: &str = "2025-03-03";

/// What a program of an unoptimised build has without any object, and a budget of blocks and batches.
const MOST_MEMORY: u64 = 400 << 20;

fn event(message: &str) -> String {
    line(at("2025-03-03T12:00:00Z"), message)
}

/// A gzip member of a text that is followed by many equal blocks.
fn member(text: &str, block: &[u8], blocks: usize) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(text.as_bytes()).expect("memory to write to");
    for _ in 0..blocks {
        gzip.write_all(block).expect("memory to write to");
    }
    gzip.finish().expect("memory to write to")
}

/// The answer of a question about an export with one object, which needs no more memory than any other.
fn ask(object: &[u8], sql: &str) -> Finished {
    let night = Night::new();
    night.export();
    let key = format!("exported/{TASK_ID}/web-app/000000.gz");
    night.dir.write(&key, object);
    let before = files_below(night.dir.path());
    let program = night
        .dir
        .logtally(["query", "exported", "--format", "csv", sql]);
    let mut running = program.spawn();
    let mut peak = 0;
    while running.is_running() {
        peak = running.peak_memory().unwrap_or(0).max(peak);
        thread::sleep(Duration::from_millis(5));
    }
    assert!(peak < MOST_MEMORY, "{} MiB", peak >> 20);
    assert_eq!(files_below(night.dir.path()), before);
    running.wait()
}

const COUNT: &str = "SELECT count(*) AS n, max(length(message)) AS longest FROM logs";

#[test]
fn a_bomb_of_zeros_takes_no_memory() {
    ask(&member("", &[0; 1 << 20], 1000), COUNT)
        .assert_code(5)
        .stderr_contains("is no object of an export");
}

#[test]
fn an_event_without_end_takes_no_memory() {
    ask(&member(&event("begins"), &[b'a'; 1 << 20], 1000), COUNT)
        .assert_code(5)
        .stderr_contains("has an event of more than 16 MiB");
    ask(
        &member(&event("begins"), "more\n".repeat(1 << 18).as_bytes(), 1000),
        COUNT,
    )
    .assert_code(5)
    .stderr_contains("has an event of more than 16 MiB");
}

#[test]
fn a_million_members_are_one_text() {
    let mut object = member(&event("first"), &[], 0);
    object.extend(member("", &[], 0).repeat(500_000));
    object.extend(member(&event("last"), &[], 0).repeat(500_000));
    ask(&object, COUNT)
        .assert_success()
        .stdout_is("n,longest\n500001,5\n");
}

#[test]
fn lines_of_no_event_are_counted() {
    let stray = "no timestamp\n".repeat(100_000) + &event("after them");
    ask(&member(&stray, &[], 0), COUNT)
        .assert_success()
        .stdout_is("n,longest\n1,10\n")
        .stderr_contains("100,000 lines before the first timestamp");
}

#[test]
fn a_million_empty_events_are_events() {
    ask(&member("", event("").repeat(1000).as_bytes(), 1000), COUNT)
        .assert_success()
        .stdout_is("n,longest\n1000000,0\n");
}

/// As deep as a message can be that CloudWatch takes.
#[test]
fn objects_in_objects_are_a_message_like_any_other() {
    let levels = 80_000;
    for key in ["message", "log", "error", "a"] {
        let message = format!("{{\"{key}\":").repeat(levels) + "1" + &"}".repeat(levels);
        let calls = [
            "level(message)",
            "exception_class(message)",
            "request_id(message)",
            "message_json(message)",
            "mask(message)",
            "message->>'message'",
        ];
        let sql = format!("SELECT count(*) AS n, {} FROM logs", counts(&calls));
        let asked = ask(&member(&event(&message), &[], 0), &sql);
        asked.assert_success();
        assert!(asked.stdout.contains("\n1,"), "{}", asked.stdout);
    }
}

fn counts(calls: &[&str]) -> String {
    let counts = calls.iter().map(|call| format!("count({call})"));
    counts.collect::<Vec<_>>().join(", ")
}

#[test]
fn a_failure_that_names_a_hostile_stream_is_a_line_of_json() {
    let night = Night::new();
    night.export();
    let key = format!("exported/{TASK_ID}/web\u{202e}app/000000.gz");
    night.dir.write(&key, b"no gzip data");
    let run = night.run(DAY);
    run.assert_code(5).stderr_contains("\\u202eapp");
    for line in run.stderr.lines() {
        let read = serde_json::from_str::<serde_json::Value>(line);
        assert!(read.is_ok(), "{line}");
    }
    let status = night.dir.logtally(["status", JOB]).run();
    for text in [&run.stderr, &status.stdout] {
        assert!(!text.contains('\u{202e}'), "{text}");
    }
}

/// ESC, CSI as one byte of Latin-1, BEL, a carriage return, backspaces, and the characters that turn the direction of text.
const CONTROL: &str = "\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}31m\r\u{8}\u{202e}\u{2066}\u{2028}\u{0}";

#[test]
fn what_controls_a_terminal_is_shown_and_not_sent() {
    let night = Night::new();
    let noon = at("2025-03-03T12:00:00Z");
    night
        .export()
        .stream("web\u{202e}app", &[(noon, format!("ERROR {CONTROL} end"))]);
    let sent = |finished: &Finished| {
        let stdout = finished.stdout.clone();
        let text = stdout + &finished.stderr;
        let control = |sign: &char| CONTROL.contains(*sign) && !sign.is_ascii_alphanumeric();
        let plain = |sign: char| "];[".contains(sign);
        let found: Vec<char> = text
            .chars()
            .filter(control)
            .filter(|sign| !plain(*sign))
            .collect();
        assert!(found.is_empty(), "{found:?} in {text}");
    };
    for format in ["table", "vertical", "markdown"] {
        for sql in [
            "SELECT log_stream, message FROM logs",
            "SELECT message AS \"a\u{1b}[31mb\" FROM logs",
        ] {
            let asked = night
                .dir
                .logtally(["query", "exported", "--format", format, sql])
                .run();
            sent(asked.assert_success());
        }
    }
    // In errors too, which quote the SQL, and in the charts of a terminal.
    let sql = format!("SELECT nothing_{CONTROL} FROM logs");
    sent(
        night
            .dir
            .logtally(["query", "exported"])
            .stdin(sql)
            .run()
            .assert_code(6),
    );
    let sql = "SELECT message, count(*) FROM logs GROUP BY 1";
    let drawn = night
        .dir
        .logtally(["query", "exported", "--chart", "bar", sql])
        .run();
    sent(drawn.assert_success());
    sent(night.run(DAY).assert_success());
    let svg = night
        .dir
        .logtally(["query", JOB, "--chart", "bar", "-o", "x.svg", sql])
        .run();
    svg.assert_success();
    let svg = night.dir.read_text("x.svg");
    roxmltree::Document::parse(&svg).expect("an SVG is XML, whatever stands in the logs");
}
