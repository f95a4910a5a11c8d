//! Odd and damaged exports: odd lines are read and counted, and an object that can't be read whole ends the run before
//! anything is published.

use serde_json::json;

use crate::support::events::{HOUR, MESSAGES, at, by_hour, scattered};
use crate::support::export::{Export, LARGEST_EVENT, Object, TASK_ID, line};
use crate::support::job::{JOB, Night};

const DAY: &str = "2025-03-03";

fn midnight() -> i64 {
    at("2025-03-03T00:00:00Z")
}

fn good() -> Object {
    Object::new(&scattered(midnight(), 300))
}

/// Text that compresses badly, in events of 1 kB.
fn incompressible(bytes: usize) -> Object {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut events = Vec::new();
    for n in 0..bytes / 1000 {
        let message: String = (0..1000 / 16)
            .map(|_| {
                state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                format!("{:016x}", state ^ (state >> 29))
            })
            .collect();
        let n = i64::try_from(n).expect("few events");
        events.push((midnight() + n % (24 * HOUR), message));
    }
    Object::new(&events)
}

/// Puts a damaged object beside good ones, and expects a run that names it and publishes nothing.
#[track_caller]
fn refused(name: &str, object: &[u8]) {
    let night = Night::new();
    night.export().object("good", 0, &good());
    let key = format!("exported/{TASK_ID}/web-app-7/000003.gz");
    night.dir.write(&key, object);
    night
        .run(DAY)
        .assert_code(5)
        .stderr_contains("web-app-7/000003.gz");
    assert_eq!(night.outputs(), Vec::<String>::new(), "{name}");
    let asked = night
        .dir
        .logtally(["query", "exported", "SELECT count(*) FROM logs"])
        .run();
    asked
        .assert_code(5)
        .stderr_contains("web-app-7/000003.gz")
        .stdout_is("");
}

#[test]
fn a_cut_object_is_refused() {
    let length = good().gzip().len();
    // Cut within the last member's trailer, before it, within its text, within its header, and after the first byte.
    for cut in [1, 4, 8, 9, length / 2, length - 11, length - 9, length - 1] {
        refused(&format!("{cut} bytes cut"), &good().truncated(cut).gzip());
    }
}

#[test]
fn a_cut_second_member_is_refused() {
    let object = good().cut_at([5000]);
    let first = Object::of_text(&object.text()[..5000]).gzip().len();
    for left in [1, 2, 9, 10, 11] {
        let cut = object.gzip().len() - first - left;
        let name = format!("{left} bytes of the second member");
        refused(&name, &object.clone().truncated(cut).gzip());
    }
}

#[test]
fn a_flipped_byte_is_refused() {
    let length = good().gzip().len();
    for at in [
        0,
        1,
        2,
        10,
        100,
        length / 2,
        length - 9,
        length - 8,
        length - 1,
    ] {
        refused(&format!("byte {at}"), &good().flipped(at).gzip());
    }
}

#[test]
fn a_wrong_checksum_is_refused() {
    refused("one member", &good().with_wrong_checksum().gzip());
    refused(
        "the last of many",
        &good().cut_every(100).with_wrong_checksum().gzip(),
    );
    let mut first = good().with_wrong_checksum().gzip();
    first.extend(good().gzip());
    refused("the first of two", &first);
}

#[test]
fn trailing_garbage_is_refused() {
    for garbage in [
        &b"x"[..],
        b"garbage that is no member",
        b"\0\0\0\0\0\0\0\0x",
        b"\x1f",
    ] {
        refused(&format!("{garbage:?}"), &good().trailed_by(garbage).gzip());
    }
}

#[test]
fn what_is_no_gzip_is_refused() {
    refused("plain text", line(midnight(), "hello").as_bytes());
    refused("no byte", b"");
    refused("zeros", &[0; 512]);
    refused("html", b"<html><body>503 Slow Down</body></html>");
}

#[test]
fn damage_at_the_end_of_a_large_object_is_refused() {
    // Too large to be inflated whole, so that rows are made before the damage at its end is found.
    let large = incompressible(70 << 20);
    let bytes = large.gzip();
    assert!(bytes.len() > 32 << 20, "{} bytes", bytes.len());
    let night = Night::new();
    night.export().object("web/large", 0, &large);
    let events = large.text().iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(night.receipt(DAY)["read"]["events"], events);

    let night = Night::new();
    let key = format!("exported/{TASK_ID}/web-large/000000.gz");
    night.dir.write(key, &bytes[..bytes.len() - 1]);
    night
        .run(DAY)
        .assert_code(5)
        .stderr_contains("web-large/000000.gz");
    assert_eq!(night.outputs(), Vec::<String>::new());
}

#[test]
fn an_event_may_have_16_mib_and_no_more() {
    let night = Night::new();
    let longest = Object::of_one_event(midnight(), LARGEST_EVENT - 100);
    night.export().object("web/app", 0, &longest);
    assert_eq!(
        night.ask("SELECT length(message) AS n FROM logs"),
        json!([{"n": LARGEST_EVENT - 100}])
    );
    assert_eq!(night.receipt(DAY)["read"]["events"], 1);

    refused(
        "one byte more",
        &Object::of_one_event(midnight(), LARGEST_EVENT + 1).gzip(),
    );
    // The zip bomb: a few kB that become a line without end.
    refused(
        "much more",
        &Object::of_one_event(midnight(), 200 << 20).gzip(),
    );
    let many_lines = Object::new(&[(midnight(), "x\n".repeat(LARGEST_EVENT / 2 + 1))]);
    refused("an event of many lines", &many_lines.gzip());
}

#[test]
fn damage_is_found_where_no_question_looks() {
    for (name, sql) in [
        ("limit", "SELECT message FROM logs LIMIT 1"),
        (
            "another stream",
            "SELECT message FROM logs WHERE log_stream = 'a-good'",
        ),
        (
            "another time",
            "SELECT message FROM logs WHERE timestamp < TIMESTAMPTZ '2025-03-03T00:00:01Z' LIMIT 1",
        ),
        (
            "no time",
            "SELECT message FROM logs WHERE timestamp > TIMESTAMPTZ '2025-03-03T12:00:00Z' AND timestamp < TIMESTAMPTZ '2025-03-03T11:00:00Z'",
        ),
        ("nothing at all", "SELECT 1 AS one"),
    ] {
        let night = Night::new();
        let job = night.dir.read_text("night.toml").replace(
            "use = \"hourly_count\"",
            "name = \"few\"\nsql = \"few.sql\"",
        );
        night.dir.write("night.toml", job);
        night.dir.write("few.sql", sql);
        let export = night.export();
        export.object("a-good", 0, &good());
        assert_eq!(night.receipt(DAY)["read"]["events"], 300, "{name}");
        let before = night.outputs();
        assert_eq!(before.len(), 2, "{name}: {before:?}");

        export.object("z-damaged", 0, &good().truncated(3));
        let again = night.run_with(["--window", DAY, "--force"]);
        again.assert_code(5).stderr_contains("z-damaged/000000.gz");
        assert_eq!(night.outputs(), before, "{name}");
        night.run("2025-03-04").assert_code(5);
        assert_eq!(night.outputs(), before, "{name}");
    }
}

#[test]
fn an_earlier_answer_stays_when_the_data_is_damaged_later() {
    let night = Night::new();
    let export = night.export();
    let object = export.object("web/app", 0, &good());
    night.run(DAY).assert_success();
    let files = night.outputs();
    let before: Vec<Vec<u8>> = files.iter().map(|file| night.dir.read(file)).collect();
    std::fs::write(object, good().flipped(50).gzip()).expect("the test's folder is writable");
    night.run_with(["--window", DAY, "--force"]).assert_code(5);
    assert_eq!(night.outputs(), files);
    let after: Vec<Vec<u8>> = files.iter().map(|file| night.dir.read(file)).collect();
    assert!(before == after, "something was replaced");
}

#[test]
fn the_failure_is_a_json_document_too() {
    let night = Night::new();
    night.export().object("web/app", 0, &good().truncated(1));
    let finished = night.run_with(["--window", DAY, "--json"]);
    let failure = finished.assert_code(5).stdout_run();
    assert_eq!(failure["status"], "failed");
    assert_eq!(failure["exit_code"], 5);
    let error = failure["error"].as_str().expect("a text");
    assert!(error.contains("web-app/000000.gz"), "{error}");
}

#[test]
fn invalid_utf8_is_kept_readable_and_counted() {
    let night = Night::new();
    let object = Object::new(&[(midnight(), "good")])
        .followed_by("2025-03-03T01:00:00.000Z half ")
        .followed_by(b"\xed\x95 a character\n")
        .followed_by("2025-03-03T02:00:00.000Z first line\n")
        .followed_by(b"second \xff\xfe line\n")
        // Outside the window, so it is not counted.
        .followed_by("2025-03-04T02:00:00.000Z ")
        .followed_by(b"\xff\n");
    night.export().object("web/app", 0, &object);
    let finished = night.run(DAY);
    finished
        .assert_success()
        .stdout_contains("2 events are not UTF-8");
    let receipt = night.dir.read_json(format!("out/night/runs/{DAY}.json"));
    assert_eq!(receipt["read"]["events"], 3);
    assert_eq!(receipt["read"]["invalid_utf8_events"], 2);
    let messages = night.ask("SELECT message FROM logs ORDER BY timestamp LIMIT 3");
    assert_eq!(
        messages,
        json!([
            {"message": "good"},
            {"message": "half \u{fffd} a character"},
            {"message": "first line\nsecond \u{fffd}\u{fffd} line"},
        ])
    );
}

#[test]
fn text_before_the_first_timestamp_is_counted() {
    let night = Night::new();
    let export = night.export();
    let stray = good().preceded_by("\tat shop.Order.place(Order.java:4)\n\tat shop.Main\n");
    export.object("web/app", 0, &stray);
    night
        .run(DAY)
        .assert_success()
        .stdout_contains("2 lines before the first timestamp");
    let receipt = night.dir.read_json(format!("out/night/runs/{DAY}.json"));
    assert_eq!(receipt["read"]["events"], 300);
    assert_eq!(receipt["read"]["lines_before_first_timestamp"], 2);
}

/// Writes an export in another shape, and expects the same answer as from the plain one, byte for byte.
#[track_caller]
fn same_answer(name: &str, write: impl Fn(&Night, &Export)) {
    let answer = format!("out/night/hourly_count/dt={DAY}/hourly_count.parquet");
    let events = scattered(midnight() - 2 * HOUR, 900);
    let plain = Night::new();
    plain.export().stream("web/app", &events);
    plain.run(DAY).assert_success();

    let night = Night::new();
    write(&night, &night.export());
    let receipt = night.receipt(DAY);
    let inside: i64 = by_hour(&events, midnight(), 24).iter().sum();
    assert!(inside > 800, "{inside}");
    assert_eq!(receipt["read"]["events"], inside, "{name}");
    assert_eq!(receipt["read"]["invalid_utf8_events"], 0, "{name}");
    assert_eq!(receipt["read"]["lines_before_first_timestamp"], 0, "{name}");
    assert_eq!(plain.dir.read(&answer), night.dir.read(&answer), "{name}");
    let messages = "SELECT message, count(*) AS n FROM logs GROUP BY 1 ORDER BY 1";
    assert_eq!(plain.ask(messages), night.ask(messages), "{name}");
}

#[test]
fn every_shape_of_the_same_events_has_the_same_answer() {
    let events = || scattered(midnight() - 2 * HOUR, 900);
    same_answer("sorted", |_, export| {
        let mut sorted = events();
        sorted.sort_unstable();
        export.stream("web/app", &sorted);
    });
    for size in [1, 7, 64, 1000] {
        same_answer("many members", |_, export| {
            export.object("web/app", 0, &Object::new(&events()).cut_every(size));
        });
    }
    same_answer("an empty member", |_, export| {
        export.object("web/app", 0, &Object::new(&events()).cut_at([0, 500, 500]));
    });
    same_answer("padding of zeros", |_, export| {
        let padded = Object::new(&events()).trailed_by([0; 512]);
        export.object("web/app", 0, &padded);
    });
    same_answer("several objects", |_, export| {
        for (number, part) in (0..).zip(events().chunks(100)) {
            export.object("web/app", number, &Object::new(part));
        }
    });
    same_answer("several streams and an empty object", |_, export| {
        export.object("empty", 0, &Object::of_text(""));
        for (number, part) in events().chunks(50).enumerate() {
            export.stream(&format!("web/app/{number}"), part);
        }
    });
    same_answer("several tasks", |_, export| {
        let parts = events();
        let (first, second) = parts.split_at(333);
        export.stream("web/app", first);
        export.task("5a1f0b9e-0000").stream("web/app", second);
    });
    same_answer("no newline at the end", |_, export| {
        let mut text = Object::new(&events()).text().to_vec();
        assert_eq!(text.pop(), Some(b'\n'));
        export.object("web/app", 0, &Object::of_text(text));
    });
    same_answer("neighbours", |night, export| {
        export.stream("web/app", &events());
        for (file, content) in [
            ("exported/README.txt", "2025-03-03T00:00:00.000Z not me"),
            ("exported/manifest.json", "{}"),
            ("exported/_SUCCESS", ""),
            (
                "exported/more/aws-logs-write-test",
                "Permission Check Successful",
            ),
            ("aws-logs-write-test", "Permission Check Successful"),
        ] {
            night.dir.write(file, content);
        }
    });
}

#[test]
fn characters_cut_between_members_are_whole() {
    let events = [
        (midnight(), "재고가 부족합니다"),
        (midnight() + 1, "한글\n둘째 줄"),
    ];
    let whole = Object::new(&events);
    let night = Night::new();
    let export = night.export();
    for cut in 0..=whole.text().len() {
        export.object(&format!("cut-{cut:03}"), 0, &whole.clone().cut_at([cut]));
    }
    let copies = whole.text().len() + 1;
    assert_eq!(
        night.ask("SELECT message, count(*) AS n FROM logs GROUP BY 1 ORDER BY 1"),
        json!([
            {"message": "재고가 부족합니다", "n": copies},
            {"message": "한글\n둘째 줄", "n": copies},
        ])
    );
}

#[test]
fn messages_come_back_as_they_were_but_for_the_last_newlines() {
    let night = Night::new();
    let events: Vec<(i64, &str)> = (0..).map(|n| midnight() + n).zip(MESSAGES).collect();
    night.export().stream("web/app", &events);
    let expected: Vec<_> = MESSAGES
        .iter()
        .map(|message| json!({"message": message.trim_end_matches('\n')}))
        .collect();
    assert_eq!(
        night.ask("SELECT message FROM logs ORDER BY timestamp"),
        json!(expected)
    );
}

/// The query reads three objects as often as there are objects, so that their number is that of all.
#[test]
fn damage_beside_the_objects_that_a_query_reads_again_and_again_is_found() {
    for others in [30, 33, 36] {
        let night = Night::new();
        let export = night.export();
        for number in 0..3 {
            export.object("read", number, &good());
        }
        for number in 1..others {
            export.object("other", number, &good());
        }
        export.object("other", 0, &good().truncated(4));
        let job = std::fs::read_to_string(night.dir.join(JOB)).unwrap();
        let job = job.replace(
            "use = \"hourly_count\"",
            "name = \"again\"\nsql = \"again.sql\"",
        );
        night.dir.write(JOB, job);
        let times = others / 3;
        night.dir.write(
            "again.sql",
            format!(
                "WITH RECURSIVE r AS (SELECT CAST(1 AS BIGINT) AS n UNION ALL SELECT r.n + 1 FROM r \
                 CROSS JOIN (SELECT count(*) AS events FROM logs WHERE log_stream = 'read') AS l WHERE r.n <= {times}) \
                 SELECT max(n) AS n FROM r"
            ),
        );
        night
            .run(DAY)
            .assert_code(5)
            .stderr_contains("other/000000.gz");
        assert_eq!(night.outputs(), Vec::<String>::new());
    }
}
