//! Odd input is told: what is no export, what is in two exports, what is missing, and addresses that are no places.

use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::support::cloud::{Cloud, recent_day};
use crate::support::events::at;
use crate::support::export::{Export, Object, TASK_ID, line};
use crate::support::job::{JOB, Night};
use crate::support::moto::Moto;
use crate::support::on_s3::{Exported, WINDOW};
use crate::support::program::{Dir, Finished};

const DAY: &str = "2025-03-03";
const NEXT_DAY: &str = "2025-03-04";
const OTHER_TASK: &str = "00000000-5d9a-4b1c-8f6e-0c1b8a2d4f60";
const COUNT: &str = "SELECT count(*) AS n FROM logs";

fn ten() -> i64 {
    at("2025-03-03T10:00:00Z")
}

fn query(dir: &Dir, subject: &str, more: &[&str]) -> Finished {
    let arguments = ["query", subject, "--format", "csv"];
    dir.logtally(arguments.iter().chain(more)).run()
}

/// A job over a folder of events, with its exports in `staging`.
fn of_folder() -> Night {
    let night = Night::new();
    let job = night.dir.read_text(JOB).replace(
        "kind = \"exported\"\npath = \"exported\"",
        "kind = \"directory\"\npath = \"events\"\nstaging = \"staging\"",
    );
    night.dir.write(JOB, job);
    night
}

fn event(time: i64, message: &str) -> String {
    format!("{}\n", json!({"timestamp": time, "message": message}))
}

/// open-telemetry/opentelemetry-collector-contrib#44231, vectordotdev/vector#6241 and others.
#[test]
fn an_object_without_an_event_is_refused_and_what_it_looks_like_is_said() {
    let good = Object::new(&[(ten(), "good")]);
    let subscription = br#"{"messageType":"DATA_MESSAGE","owner":"1","logEvents":[{"id":"1"}]}{"messageType":"DATA_MESSAGE"}"#;
    for (object, expected) in [
        (
            Object::of_text(&subscription[..]).gzip(),
            "records of a subscription",
        ),
        (
            Object::of_text(good.gzip()).gzip(),
            "it was compressed twice",
        ),
        (
            Object::of_text("{\"Records\":[{\"eventVersion\":\"1.08\"}]}").gzip(),
            "records of CloudTrail",
        ),
        (
            Object::of_text("2025-03-03 10:00:00,123 INFO x\n").gzip(),
            "lines whose times have another form: \\\"2025-03-03 10:00:00,123\\\"",
        ),
        (Object::of_text("started\n\nstopped\n").gzip(), "plain text"),
        (Object::of_text("{\"level\": \"INFO\"}\n").gzip(), "JSON"),
        (
            line(ten(), "unpacked").into_bytes(),
            "the text of an export that is unpacked already",
        ),
        (b"PK\x03\x04 and so on".to_vec(), "a zip archive"),
    ] {
        let night = Night::new();
        night.export().object("good", 0, &good);
        night
            .dir
            .write(format!("exported/{TASK_ID}/web/000003.gz"), object);
        for finished in [night.run(DAY), query(&night.dir, "exported", &[COUNT])] {
            finished
                .assert_code(5)
                .stderr_contains("web/000003.gz")
                .stderr_contains(expected);
        }
        assert_eq!(night.outputs(), Vec::<String>::new());
    }
    // Nothing was exported of these, and their beginning belongs to an event of another object.
    let night = Night::new();
    let export = night.export();
    export.object("empty", 0, &Object::of_text(""));
    export.object("blank", 0, &Object::of_text("\n\n"));
    export.object("web", 0, &good.preceded_by("\tat shop.Main\n"));
    assert_eq!(night.receipt(DAY)["read"]["events"], 1);
}

#[test]
fn a_place_without_exports_says_what_is_there() {
    let dir = Dir::new();
    dir.write("etc/hosts", "127.0.0.1 localhost");
    query(&dir, "etc", &[COUNT])
        .assert_code(2)
        .stderr_contains("holds no exported objects")
        .stderr_contains("hosts");
    dir.write("etc/x/passwd", "root");
    query(&dir, "etc", &[COUNT])
        .assert_code(2)
        .stderr_contains("there are 2 other objects, such as");
    // The object itself is a place.
    let export = Export::new(dir.join("exported"));
    let object = export.stream("web/app", &[(ten(), "x")]);
    let object = object.to_str().expect("a text");
    query(&dir, object, &["SELECT log_stream FROM logs"])
        .assert_success()
        .stdout_is("log_stream\nweb-app\n");
}

#[test]
fn a_query_says_what_a_run_says_once_behind_its_answer() {
    let night = Night::new();
    let object = Object::new(&[(ten(), "good")])
        .preceded_by("\tat shop.Order\n\tat shop.Main\n")
        .followed_by("2025-03-03T11:00:00.000Z caf")
        .followed_by(b"\xe9\n");
    night.export().object("web", 0, &object);
    let warning = |finished: &Finished| -> Vec<Value> {
        let lines = finished.assert_success().stderr.lines();
        let lines = lines.map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        lines.filter(|line| line["level"] == "WARN").collect()
    };
    let asked = query(
        &night.dir,
        "exported",
        &["SELECT count(*) AS n FROM logs AS a JOIN logs AS b ON a.message = b.message"],
    );
    asked.stdout_is("n\n2\n");
    for finished in [asked, night.run(DAY)] {
        let [said] = &warning(&finished)[..] else {
            panic!("{}", finished.stderr)
        };
        assert_eq!(said["invalid_utf8_events"], 1);
        assert_eq!(said["lines_before_first_timestamp"], 2);
        let message = said["message"].as_str().expect("a text");
        assert!(message.contains("1 event is not UTF-8"), "{message}");
        assert!(
            message.contains("2 lines before the first timestamp"),
            "{message}"
        );
    }
    let nothing_odd = query(&night.dir, "exported", &["SELECT 1 AS one"]);
    assert_eq!(warning(&nothing_odd), Vec::<Value>::new());
}

/// RekhuGopal/PythonHacks, danielmks/jaws-lambda-athena: a folder for each day, and `to` is inclusive.
#[test]
fn the_midnight_of_two_daily_exports_is_told() {
    let night = Night::new();
    let midnight = at("2025-03-04T00:00:00Z");
    let of_day = |day: &str, task: &str, events: &[(i64, &str)]| {
        let folder = night
            .dir
            .join(format!("exported/{}", day.replace('-', "/")));
        Export::new(folder).task(task).stream("web/app", events);
    };
    of_day(DAY, TASK_ID, &[(ten(), "a"), (midnight - 1, "b")]);
    of_day(
        NEXT_DAY,
        OTHER_TASK,
        &[(midnight, "midnight"), (midnight + 9, "c")],
    );
    let told = "exports of 1 stream meet at 2025-03-04T00:00:00.000Z";
    night.run(NEXT_DAY).assert_success().stderr_lacks(told);
    query(&night.dir, "exported", &[COUNT])
        .assert_success()
        .stderr_lacks(told);

    of_day(DAY, TASK_ID, &[(ten(), "a"), (midnight, "midnight")]);
    let run = night.run_with(["--window", NEXT_DAY, "--force", "--json"]);
    let receipt = run.assert_success().stdout_run();
    run.stderr_contains(told);
    assert!(
        receipt["notes"][0]
            .as_str()
            .unwrap_or_default()
            .contains(told),
        "{receipt}"
    );
    query(&night.dir, "exported", &[COUNT])
        .assert_success()
        .stdout_is("n\n4\n")
        .stderr_contains(told);
    // It is no event of the day before.
    night.run(DAY).assert_success().stderr_lacks(told);

    of_day(DAY, TASK_ID, &[(ten(), "a"), (midnight + 5, "too long")]);
    query(&night.dir, "exported", &[COUNT])
        .assert_success()
        .stderr_contains("exports of 1 stream overlap between 2025-03-04T00:00:00.000Z and 2025-03-04T00:00:00.005Z");
}

#[test]
fn files_of_events_of_every_kind_are_read() {
    let night = of_folder();
    let file = |name: &str, text: &[u8]| {
        night.dir.write(format!("events/web/{name}"), text);
    };
    file("a.ndjson", event(ten(), "a").as_bytes());
    file("b.jsonl", event(ten(), "b").as_bytes());
    let of_windows = format!("\u{feff}{}", event(ten(), "c").replace('\n', "\r\n"));
    let gzip = Object::of_text(of_windows).cut_at([9]).gzip();
    file("c.ndjson.gz", &gzip);
    file("d.jsonl.gz", &Object::of_text(event(ten(), "d")).gzip());
    // What JSON.stringify and json.dumps write of a cut emoji.
    let half = format!(
        "{{\"timestamp\": {}, \"message\": \"cut \\ud83d\"}}\n",
        ten()
    );
    file("e.ndjson", half.as_bytes());
    file("README.md", b"not read, and nothing odd");
    let run = night.run_with(["--window", DAY, "--json"]);
    let receipt = run.assert_success().stdout_run();
    assert_eq!(receipt["read"]["events"], 5);
    assert_eq!(receipt["read"]["invalid_utf8_events"], 1);
    assert_eq!(receipt["notes"], Value::Null);
    let sql = "SELECT log_stream, message FROM logs ORDER BY 1";
    query(&night.dir, JOB, &[sql])
        .assert_success()
        .stdout_is("log_stream,message\na,a\nb,b\nc,c\nd,d\ne,cut \u{fffd}\n");

    file("c.ndjson", event(ten(), "again").as_bytes());
    night
        .run_with(["--window", DAY, "--force=export"])
        .assert_code(2)
        .stderr_contains("c.ndjson.gz")
        .stderr_contains("both of the log stream");
    std::fs::remove_file(night.dir.join("events/web/c.ndjson")).expect("it is there");
    file("c.ndjson.gz", &gzip[..gzip.len() - 1]);
    night
        .run_with(["--window", DAY, "--force=export"])
        .assert_code(5)
        .stderr_contains("c.ndjson.gz is no whole gzip data");
}

#[test]
fn a_folder_of_events_of_which_nothing_is_read_is_told() {
    let night = of_folder();
    night.dir.write("events/web/app.log", "x");
    night.dir.write("events/web/app.json", "{}");
    for command in ["plan", "run"] {
        let arguments = [command, JOB, "--window", DAY];
        night
            .dir
            .logtally(arguments)
            .run()
            .assert_code(2)
            .stderr_contains("events/web has 2 files, such as app.json, and none is read")
            .stderr_contains(".jsonl");
    }
    night.dir.write("events/api/app.ndjson", event(ten(), "x"));
    let run = night.run_with(["--window", DAY, "--json"]);
    let receipt = run.assert_success().stdout_run();
    assert_eq!(receipt["read"]["events"], 1);
    let note = receipt["notes"][0].as_str().expect("a note");
    assert!(note.contains("has 2 files"), "{note}");
    run.stderr_contains("has 2 files, such as app.json");

    night
        .dir
        .write("events/api/app.ndjson", event(ten() / 1000, "x"));
    night
        .run_with(["--window", DAY, "--force=export"])
        .assert_code(5)
        .stderr_contains("app.ndjson:1: the timestamp 1740996000 is in seconds: expected milliseconds since 1970, 1740996000000");
}

/// sidekiq's logger, and a function that logs the output of another program.
const LINES: &str = "output:\n2025-03-03T10:00:01.000Z first\n\u{10}2025-03-03T10:00:02.000Z second\n2019-01-01T00:00:00.000Z third";

#[test]
fn events_of_a_folder_stay_whole() {
    let night = of_folder();
    let events = [event(ten(), LINES), event(ten() + 1, "after")].concat();
    night.dir.write("events/web/app.ndjson", events);
    assert_eq!(night.receipt(DAY)["read"]["events"], 2);
    let sql = "SELECT message FROM logs ORDER BY timestamp";
    let expected = json!([{"message": LINES}, {"message": "after"}]);
    for subject in [JOB, "staging"] {
        let arguments = ["query", subject, "--format", "json", sql];
        let asked = night.dir.logtally(arguments).run();
        assert_eq!(asked.assert_success().stdout_json(), expected, "{subject}");
    }
}

#[test]
fn fetched_events_stay_whole_and_exported_ones_by_the_times_of_their_task() {
    let moto = Moto::shared();
    let cloud = Cloud::new(moto, "wholeevents");
    let (day, midnight) = recent_day();
    let lines = format!("output:\n{day}T10:00:01.000Z today\n2019-01-01T00:00:00.000Z old");
    moto.put_events(
        &cloud.group("mixed"),
        "lines",
        &[
            (midnight + 5000, lines.clone()),
            (midnight + 6000, "after".to_owned()),
        ],
    );
    cloud.edit(
        &format!("/aws/lambda/{}-*", cloud.name),
        &cloud.group("mixed"),
    );
    let messages = || {
        let sql = "SELECT message FROM logs ORDER BY timestamp";
        let arguments = ["query", JOB, "--window", &day, "--format", "json", sql];
        cloud
            .logtally(arguments)
            .run()
            .assert_success()
            .stdout_json()
    };
    // Today's line can't be told from an event in the export of a task, but the one of 2019 can.
    assert_eq!(cloud.receipt([])["read"]["events"], 3);
    let by_task = messages();
    assert_eq!(by_task[0]["message"], "output:");
    assert_eq!(by_task[1]["message"], "after");
    assert_eq!(by_task[2]["message"], "today\n2019-01-01T00:00:00.000Z old");

    cloud.edit("staging", "via = \"events\"\nstaging");
    assert_eq!(cloud.receipt(["--force=export"])["read"]["events"], 2);
    assert_eq!(
        messages(),
        json!([{"message": lines}, {"message": "after"}])
    );
}

#[test]
fn a_status_check_fails_until_every_window_is_done() {
    let night = Night::new();
    night.export().stream("web", &[(ten(), "x")]);
    let check = |more: &[&str]| {
        let arguments = ["status", JOB, "--check", "--from", DAY, "--to", NEXT_DAY];
        night.dir.logtally(arguments.iter().chain(more)).run()
    };
    night.run(DAY).assert_success();
    check(&[]).assert_code(9).stdout_contains("missing");
    check(&["--json"]).assert_code(9);
    night.run(NEXT_DAY).assert_success();
    check(&[]).assert_code(0);
    let arguments = ["status", JOB, "--from", DAY, "--to", "2025-03-05"];
    night.dir.logtally(arguments).run().assert_code(0);
}

#[test]
fn a_query_over_windows_that_are_not_exported_names_them() {
    let night = of_folder();
    let events = [event(ten(), "x"), event(at("2025-03-06T10:00:00Z"), "y")];
    night.dir.write("events/web/app.ndjson", events.concat());
    night.run(DAY).assert_success();
    night.run("2025-03-06").assert_success();
    let ask = |from, to| query(&night.dir, JOB, &["--from", from, "--to", to, COUNT]);
    ask(DAY, DAY).assert_success().stdout_is("n\n1\n");
    ask(DAY, "2025-03-06")
        .assert_code(2)
        .stdout_is("")
        .stderr_contains(
            "2 of 4 windows of the job night are not exported in full: 2025-03-04, 2025-03-05",
        )
        .stderr_contains("logtally run night.toml --from 2025-03-04 --to 2025-03-05");
    query(&night.dir, JOB, &[COUNT])
        .assert_success()
        .stdout_is("n\n2\n");
    // A day of another zone is in two days of the job.
    let zone = ["--timezone", "Asia/Seoul", "--window", DAY, COUNT];
    query(&night.dir, JOB, &zone)
        .assert_code(2)
        .stderr_contains("1 of 2 windows of the job night is not exported in full: 2025-03-02");
}

#[test]
fn an_address_that_is_no_place_is_refused_wherever_a_place_is_taken() {
    let night = Night::new();
    night.export().stream("web", &[(ten(), "x")]);
    let job = night.dir.read_text(JOB);
    let before = night.dir.files();
    for (address, expected) in [
        ("s3:/bucket/x", "expected s3://bucket/x"),
        ("S3://bucket/x", "expected s3://bucket/x"),
        ("s3a://bucket/x", "expected s3://bucket/x"),
        ("gs://bucket/x", "gs"),
        ("https://bucket.s3.amazonaws.com/x", "https"),
        ("file:x", "file:///absolute/path"),
        ("C:\\\\logs", "a path on Windows"),
    ] {
        for key in ["location = \"out\"", "path = \"exported\""] {
            let (name, _) = key.split_once(" = ").expect("a key");
            let with = format!("{name} = \"{address}\"");
            night.dir.write(JOB, job.replace(key, &with));
            night
                .run(DAY)
                .assert_code(2)
                .stderr_contains(name)
                .stderr_contains(expected);
        }
        night.dir.write(JOB, &job);
        let address = address.replace("\\\\", "\\");
        query(&night.dir, &address, &[COUNT])
            .assert_code(2)
            .stderr_contains(expected);
        query(&night.dir, "exported", &["--output", &address, COUNT])
            .assert_code(2)
            .stderr_contains("--output")
            .stderr_contains(expected);
    }
    assert_eq!(night.dir.files(), before);
}

#[test]
fn odd_names_and_links_do_not_keep_the_others_from_being_read() {
    let night = Night::new();
    let export = night.export();
    export.stream("web", &[(ten(), "x")]);
    let folder = night.dir.join("exported");
    let object = Object::new(&[(ten(), "not read")]).gzip();
    night.dir.write("exported/a\nb.gz", &object);
    symlink(&folder, folder.join("again")).expect("a link");
    symlink("this", folder.join("this")).expect("a link");
    let plan = night.dir.logtally(["plan", JOB, "--window", DAY]).run();
    plan.assert_success();
    let run = night.run_with(["--window", DAY, "--json"]);
    let receipt = run.assert_success().stdout_run();
    assert_eq!(receipt["read"]["events"], 1);
    let note = receipt["notes"][0].as_str().expect("a note");
    assert!(
        note.contains("1 object below exported is not read: its key"),
        "{note}"
    );
    assert!(
        note.contains("2 links below exported are not followed"),
        "{note}"
    );
    query(&night.dir, "exported", &[COUNT])
        .assert_success()
        .stdout_is("n\n1\n")
        .stderr_contains("2 links below exported are not followed");
}

/// An empty object that a console made for a folder, and a key that is no text of XML.
#[test]
fn odd_keys_do_not_keep_the_others_from_being_read() {
    let moto = Moto::shared();
    let bucket = "odd-markers";
    let exported = Exported::new(moto, bucket);
    moto.put_object(bucket, "exported/task/web-1.gz/", b"");
    let count = |expected: &str| {
        let run = exported
            .program("odd", "", WINDOW)
            .envs(moto.environment())
            .run();
        let receipt = run.assert_success().stdout_run();
        assert_eq!(receipt["read"]["events"], 120);
        let arguments = [
            "query",
            "s3://odd-markers/exported",
            "--format",
            "csv",
            COUNT,
        ];
        let asked = exported
            .dir
            .logtally(arguments)
            .envs(moto.environment())
            .run();
        asked
            .assert_success()
            .stdout_is("n\n120\n")
            .stderr_contains(expected);
    };
    count("");
    let object = Object::new(&[(at("2025-03-03T01:00:00Z"), "not read")]).gzip();
    moto.put_object(bucket, "exported/task/a\u{1}b/000000.gz", &object);
    count("1 object below s3://odd-markers/exported is not read");
}
