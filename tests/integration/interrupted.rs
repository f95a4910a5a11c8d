//! Runs that are stopped by a signal, and runs that wait.

use std::cell::Cell;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::support::cloud::{Cloud, JOB};
use crate::support::faults::Faults;
use crate::support::job::Night;
use crate::support::moto::Moto;
use crate::support::on_s3::{EVERYTHING, Exported, WINDOW};
use crate::support::program::{Running, everything_below};

/// Stops a run that waits for an export task.
fn stopped_by(signal: &str, code: i32) {
    let moto = Moto::start_with([("EXPORT_TASK_SECONDS", "3600")]);
    let cloud = Cloud::new(&moto, "stopped");
    let mut running = cloud.program([]).spawn();
    running.wait_for_stderr("PENDING");
    // The job was read at the start, and is not read again.
    std::fs::remove_file(cloud.dir.join(JOB)).expect("it is there");
    running.signal(signal);
    let finished = running.wait();
    finished.assert_code(code).stdout_is("");
    finished.stderr_contains("goes on in AWS");
    assert_eq!(moto.keys(&cloud.answers(), ""), Vec::<String>::new());
    // Only the service's test of its permission is there, and no manifest.
    assert_eq!(moto.keys(&cloud.logs(), ""), ["aws-logs-write-test"]);
    assert_eq!(cloud.tasks().len(), 1);
    assert_eq!(cloud.dir.files(), Vec::<String>::new());
}

#[test]
fn ctrl_c_stops_a_waiting_run() {
    stopped_by("INT", 130);
}

#[test]
fn sigterm_stops_a_waiting_run() {
    stopped_by("TERM", 143);
}

#[test]
fn a_run_that_computes_stops_too() {
    let night = Night::with_an_event();
    let job = night.dir.read_text("night.toml");
    let endless = "name = \"endless\"\nsql = \"endless.sql\"";
    night
        .dir
        .write("night.toml", job.replace("use = \"hourly_count\"", endless));
    night.dir.write(
        "endless.sql",
        "SELECT sum(sqrt(a.value * b.value)) AS s FROM logs CROSS JOIN generate_series(1, 1000000) AS a CROSS JOIN generate_series(1, 1000000) AS b",
    );
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let mut running = night
            .dir
            .logtally(["run", "night.toml", "--window", "2025-03-03"])
            .spawn();
        running.wait_for_stderr("\"reading\"");
        running.signal(signal);
        running.wait().assert_code(code).stderr_lacks("AWS");
        assert_eq!(night.outputs(), Vec::<String>::new());
    }
}

#[test]
fn a_run_waits_until_its_export_is_complete() {
    let moto = Moto::start_with([("EXPORT_TASK_LOOKS", "1")]);
    let cloud = Cloud::new(&moto, "waiting");
    let finished = cloud.run(["--json"]);
    let receipt = finished.assert_success().stdout_run();
    assert_eq!(receipt["read"]["events"], 98);
    for state in ["PENDING", "RUNNING"] {
        finished.stderr_contains(state);
    }
    assert_eq!(cloud.tasks().len(), 2);
    // Between the looks at one of the two tasks a run waits, and it waits for one task after the other.
    let waited = receipt["seconds"]["export"].as_f64().expect("a number");
    assert!(waited > 2.0, "{waited}");
}

#[test]
fn an_export_that_does_not_come_in_time_is_given_up() {
    let moto = Moto::start_with([("EXPORT_TASK_SECONDS", "3600")]);
    let cloud = Cloud::new(&moto, "late");
    cloud.edit(
        "kind = \"cloudwatch\"",
        "kind = \"cloudwatch\"\ngive_up_after = \"5s\"",
    );
    let finished = cloud.run([]);
    finished
        .assert_code(3)
        .stderr_contains("/aws/lambda/late-api")
        .stderr_contains("give_up_after");
    assert_eq!(moto.keys(&cloud.answers(), ""), Vec::<String>::new());
}

/// A job over exported objects on S3, one of them large, whose temporary files are in a folder of their own.
struct Slow<'m> {
    exported: Exported<'m>,
}

impl<'m> Slow<'m> {
    fn new(moto: &'m Moto, bucket: &str) -> Self {
        let exported = Exported::new(moto, bucket).with_large();
        Self { exported }
    }

    fn start(&self, name: &str, more: &str, environment: Vec<(&'static str, String)>) -> Running {
        let program = self.exported.program(name, more, WINDOW);
        let program = program.envs(environment);
        program.env("TMPDIR", self.exported.dir.temporary()).spawn()
    }
}

/// Stops a run in the middle of a step. It must publish nothing, release its lease and leave no temporary files.
fn stopped_while(running: Running, slow: &Slow<'_>, name: &str, signal: &str, code: i32) {
    let exported = &slow.exported;
    running.signal(signal);
    let finished = running.wait();
    finished.assert_code(code);
    assert_eq!(finished.stdout_run()["exit_code"], code);
    assert_eq!(exported.state(name)["lease"], Value::Null, "{finished}");
    let receipts = exported
        .moto
        .keys(&exported.bucket, &format!("{name}/night/runs/"));
    assert_eq!(receipts, Vec::<String>::new());
    let left = everything_below(&exported.dir.temporary());
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn any_step_on_a_slow_s3_can_be_stopped() {
    let moto = Moto::start();
    let slow = Slow::new(&moto, "slow");
    let steps = [
        ("listing", "", "prefix=exported", "list"),
        ("reading", "", "GET /slow/exported/", "get"),
        ("reading-ranges", "", "large/web-large", "range"),
        ("putting", "", "PUT /slow/putting/night/hourly_count", "put"),
        ("uploading", EVERYTHING, "partNumber=2", "part"),
    ];
    for (number, (name, more, hold, kind)) in steps.into_iter().enumerate() {
        let faults = Faults::before(&moto, json!({"hold": [hold]}));
        let mut running = slow.start(name, more, faults.environment());
        running.wait_until("its request is held", |_| faults.did().held(kind) > 0);
        let (signal, code) = [("TERM", 143), ("INT", 130)][number % 2];
        stopped_while(running, &slow, name, signal, code);
    }
    // The run that was stopped during an upload left parts, which the next run aborts.
    let rerun = slow.start("uploading", EVERYTHING, moto.environment());
    let rerun = rerun.wait();
    assert_eq!(rerun.assert_success().stdout_run()["status"], "done");
    slow.exported.assert_no_unfinished_uploads();
}

#[test]
fn a_backfill_that_is_stopped_tells_what_it_did() {
    let moto = Moto::start();
    let exported = Exported::new(&moto, "backfill");
    let faults = Faults::before(
        &moto,
        json!({"hold": ["PUT /backfill/days/night/hourly_count/dt%3D2025-03-03"]}),
    );
    // This call is only for the job file that it writes.
    drop(exported.program("days", "", WINDOW));
    let days = ["--from", "2025-03-02", "--to", "2025-03-04", "--json"];
    let program = exported
        .dir
        .logtally(["run", "days.toml"].iter().chain(&days));
    let mut running = program.envs(faults.environment()).spawn();
    running.wait_until("the second day is being put", |_| {
        faults.did().held("put") > 0
    });
    running.signal("INT");
    let printed = running.wait().assert_code(130).stdout_json();
    let runs = printed["runs"].as_array().expect("a list").iter();
    let statuses: Vec<_> = runs
        .map(|run| (&run["window"]["id"], &run["status"], &run["exit_code"]))
        .collect();
    assert_eq!(
        statuses,
        [
            (&json!("2025-03-02"), &json!("done"), &Value::Null),
            (&json!("2025-03-03"), &json!("failed"), &json!(130)),
        ]
    );
}

#[test]
fn decoding_a_large_object_can_be_stopped() {
    let moto = Moto::start();
    let slow = Slow::new(&moto, "decoding");
    // Expensive work for each event.
    let query = "[[query]]\nname = \"slow\"\nsql = \"slow.sql\"\n";
    slow.exported.dir.write(
        "slow.sql",
        "SELECT count(*) AS n FROM logs CROSS JOIN generate_series(1, 2000) AS s WHERE regexp_like(message, '(a+)+' || s.value || '$')",
    );
    let mut running = slow.start("decoding", query, moto.environment());
    running.wait_for_stderr("\"query\":\"slow\"");
    stopped_while(running, &slow, "decoding", "TERM", 143);
}

#[test]
fn a_stopped_run_leaves_its_export_to_the_next() {
    let moto = Moto::start_with([("EXPORT_TASK_SECONDS", "3600")]);
    let cloud = Cloud::new(&moto, "adopted");
    for _ in 0..2 {
        let mut running = cloud.program([]).spawn();
        running.wait_for_stderr("PENDING");
        running.signal("TERM");
        running.wait().assert_code(143);
        assert_eq!(cloud.tasks().len(), 1);
    }
}

#[test]
fn a_run_goes_on_when_nobody_reads_its_log_any_more() {
    let night = Night::with_an_event();
    let run = |window| {
        let arguments = ["-v", "run", "night.toml", "--json", "--window", window];
        night.dir.logtally(arguments).unread_stderr().run()
    };
    let done = run("2025-03-03");
    assert_eq!(done.assert_success().stdout_run()["status"], "done");
    let failed = run("2025-W10");
    assert_eq!(failed.assert_code(2).stdout_run()["status"], "failed");
}

#[test]
fn ctrl_c_stops_a_question_that_is_being_typed() {
    let night = Night::with_an_event();
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let program = night
            .dir
            .logtally(["query", "night.toml"])
            .stdin("SELECT 1 ")
            .open_stdin();
        let mut running = program.spawn();
        // Before its handlers are installed, a signal kills it.
        running.wait_until("it listens to signals", Running::listens_to_signals);
        running.signal(signal);
        running.wait().assert_code(code).stdout_is("");
    }
}

#[test]
fn a_large_object_on_s3_is_never_in_memory_whole() {
    const SIZE: usize = 320 << 20;
    // Stored without compression, so that its size is that of its text.
    let line = crate::support::export::line(
        crate::support::events::at("2025-03-03T12:00:00Z"),
        &"a message of two hundred letters ".repeat(6),
    );
    let block = line.repeat((1 << 20) / line.len());
    let mut object = GzEncoder::new(Vec::with_capacity(SIZE + (1 << 20)), Compression::none());
    for _ in 0..SIZE / block.len() {
        object.write_all(block.as_bytes()).expect("memory takes it");
    }
    let object = object.finish().expect("memory takes it");
    let moto = Moto::start();
    let exported = Exported::new(&moto, "memory").with_object(&object);
    let program = exported.program("memory", "[run]\nmemory = \"128MiB\"\n", WINDOW);
    let mut running = program.envs(moto.environment()).spawn();
    let peak = Cell::new(0);
    running.wait_until("its end", |running| {
        peak.set(running.peak_memory().unwrap_or(0).max(peak.get()));
        running.stderr().contains("run ends")
    });
    let receipt = running.wait();
    let read = &receipt.assert_success().stdout_run()["read"];
    assert!(
        read["bytes"].as_u64() > Some(SIZE as u64 * 9 / 10),
        "{read}"
    );
    let mib = peak.get() >> 20;
    assert!((1..220).contains(&mib), "{mib} MiB at its peak");
}

/// Steps of a run over CloudWatch that wait for an answer.
#[test]
fn fetching_verifying_and_deleting_can_be_stopped() {
    let moto = Moto::start();
    for (name, keys, arguments, hold, kind) in [
        (
            "fetching",
            "via = \"events\"",
            None,
            "logs.FilterLogEvents",
            "logs.FilterLogEvents",
        ),
        (
            "verifying",
            "verify = \"metrics\"",
            None,
            "metrics",
            "metrics",
        ),
        // The export that a new one replaces is deleted behind the receipt.
        (
            "deleting",
            "verify = \"off\"",
            Some("--force=export"),
            "delete",
            "delete",
        ),
    ] {
        let cloud = Cloud::new(&moto, name);
        cloud.edit("staging", &format!("{keys}\nstaging"));
        if arguments.is_some() {
            cloud.run([]).assert_success();
        }
        let faults = Faults::before(&moto, json!({"hold": [hold]}));
        let program = cloud.program(arguments.into_iter().chain(["--json"]));
        let mut running = program.envs(faults.environment()).spawn();
        running.wait_until("its request is held", |_| faults.did().held(kind) > 0);
        running.signal("TERM");
        let finished = running.wait();
        finished.assert_code(143);
        let (day, _) = crate::support::cloud::recent_day();
        let state = format!("logtally/night/runs/_state/{day}.json");
        let state = moto.get_object(&cloud.answers(), &state);
        let state: Value = serde_json::from_slice(&state).expect("the state is JSON");
        assert_eq!(state["lease"], Value::Null, "{name} {finished}");
        // The next run ends what this one had begun.
        faults.plan(json!({}));
        cloud.run([]).assert_success();
    }
}

#[test]
fn a_large_answer_replaces_only_what_was_seen() {
    let moto = Moto::start();
    let exported = Exported::new(&moto, "parts").with_large();
    let key = format!("answers/night/everything/dt={WINDOW}/everything.parquet");
    // Where nothing was, and where an earlier answer was.
    for sql in [
        "SELECT timestamp, message FROM logs",
        "SELECT message, timestamp FROM logs",
    ] {
        exported.dir.write("all.sql", sql);
        let all = "[[query]]\nname = \"everything\"\nsql = \"all.sql\"\n";
        let faults = Faults::before(&moto, json!({"hold": ["complete"]}));
        let mut running = exported.start("answers", all, faults.environment());
        running.wait_until("its upload is held", |_| faults.did().held("complete") > 0);
        moto.put_object("parts", &key, b"of another run");
        faults.plan(json!({}));
        let finished = running.wait();
        finished.assert_code(7);
        assert_eq!(moto.get_object("parts", &key), b"of another run");
        exported.assert_no_unfinished_uploads();
        exported
            .start("answers", all, moto.environment())
            .wait()
            .assert_success();
    }
}
