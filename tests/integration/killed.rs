//! The program killed at any moment of a run, without a chance to tidy up: the next run ends it, with the right counts, one
//! set of outputs, one export task for each group, and nothing left of the one that died.
//!
//! `LOGTALLY_KILLS` says how many times each of these kills, `LOGTALLY_KILL_SEED` at which moments.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::cloud::{Cloud, JOB, recent_day};
use crate::support::events::{DAY, at, by_hour, scattered};
use crate::support::export::Object;
use crate::support::faults::Faults;
use crate::support::moto::Moto;
use crate::support::on_s3::{Exported, WINDOW};
use crate::support::parquet::Parquet;
use crate::support::program::{Dir, Finished, Program, everything_below};

/// The moments at which a run of this length is killed: one in each equal part of it, and a bit beyond its end.
fn moments(length: Duration) -> impl Iterator<Item = (usize, Duration)> {
    let number = |name: &str, default: u64| match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is {text:?}: expected a number")),
        Err(_) => default,
    };
    let kills = number("LOGTALLY_KILLS", 4);
    let seed = number("LOGTALLY_KILL_SEED", 20_251_123);
    println!("LOGTALLY_KILLS={kills} LOGTALLY_KILL_SEED={seed}, in a run of {length:?}");
    let mut random = fastrand::Rng::with_seed(seed);
    let parts = usize::try_from(kills).expect("a small number");
    (0..parts).map(move |part| {
        let share = (part as f64 + random.f64()) / parts as f64;
        (part, length.mul_f64(share * 1.05))
    })
}

/// Kills a program after a while, or sees it end before.
fn kill_after(program: Program, moment: Duration) -> Finished {
    let running = program.spawn();
    std::thread::sleep(moment);
    running.signal("KILL");
    running.wait()
}

fn time<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let since = Instant::now();
    let done = run();
    (done, since.elapsed())
}

/// What is in the state when nobody is at the window and nothing is left to do.
fn assert_at_rest(state: &Value, attempts: usize, context: &str) {
    assert_eq!(state["lease"], Value::Null, "{context}: {state:#}");
    assert_eq!(state["phase"], "done", "{context}: {state:#}");
    assert_eq!(state["unfinished"], Value::Null, "{context}: {state:#}");
    let recorded = state["attempts"].as_array().map(Vec::len);
    assert_eq!(recorded, Some(attempts), "{context}: {state:#}");
}

/// The keys with what differs between runs, the ids of attempts and tasks, taken out.
fn shape(keys: Vec<String>) -> Vec<String> {
    let is_id = |segment: &str| {
        let hex = segment.strip_prefix("attempt=").unwrap_or(segment);
        hex.len() >= 32
            && hex
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
    };
    let mut shapes: Vec<String> = keys
        .iter()
        .map(|key| {
            let segments = key
                .split('/')
                .map(|segment| if is_id(segment) { "ID" } else { segment });
            segments.collect::<Vec<_>>().join("/")
        })
        .collect();
    shapes.sort();
    shapes
}

#[test]
fn a_killed_run_over_a_folder_is_ended_by_the_next() {
    let midnight = at("2025-03-03T00:00:00Z");
    let source = Dir::new();
    let mut expected = vec![0; 24];
    for (group, streams) in [("%2Fecs%2Fweb", 6), ("worker", 4)] {
        for stream in 0..streams {
            let events = scattered(midnight - DAY / 2 + stream * 1_000, 5_000);
            for (hour, count) in by_hour(&events, midnight, 24).into_iter().enumerate() {
                expected[hour] += count;
            }
            let lines: String = events
                .iter()
                .map(|(timestamp, message)| {
                    json!({"timestamp": timestamp, "message": message}).to_string() + "\n"
                })
                .collect();
            source.write(format!("{group}/stream-{stream}.ndjson"), lines);
        }
    }
    let job = format!(
        "name = \"night\"\n[source]\nkind = \"directory\"\npath = {:?}\n[output]\nlocation = \"out\"\n\
         [[query]]\nuse = \"hourly_count\"\n\
         [[query]]\nname = \"groups\"\nsql = \"groups.sql\"\npartition_by = [\"log_group\"]\n[run]\nlease = \"1s\"\n",
        source.path()
    );
    let place = || {
        let dir = Dir::new();
        dir.write(JOB, &job);
        dir.write(
            "groups.sql",
            "SELECT log_group, count(*) AS events FROM logs GROUP BY 1",
        );
        std::fs::create_dir(dir.join("tmp")).expect("the test's folder is writable");
        dir
    };
    let program = |dir: &Dir| {
        dir.logtally(["run", JOB, "--window", WINDOW, "--json"])
            .env("TMPDIR", dir.join("tmp"))
    };
    let answer = format!("out/night/hourly_count/dt={WINDOW}/hourly_count.parquet");

    let quiet = place();
    let (finished, length) = time(|| program(&quiet).run());
    let expected_read = finished.assert_success().stdout_json()["read"].clone();
    assert_eq!(
        Parquet::read(quiet.join(&answer)).integers("events"),
        expected
    );
    let expected_files = shape(everything_below(quiet.path()));

    for (number, moment) in moments(length) {
        let dir = place();
        let killed = kill_after(program(&dir), moment);
        // And every other time the one that goes on with it.
        let again =
            (number % 2 == 1).then(|| kill_after(program(&dir), length - moment.min(length)));
        let context = format!(
            "killed after {moment:?}: {killed}\nand again: {}",
            again.map_or_else(|| "no".to_owned(), |again| again.to_string())
        );
        let finished = program(&dir).run();
        assert_eq!(finished.code(), Some(0), "{context}\n{finished}");
        let receipt = dir.read_json(format!("out/night/runs/{WINDOW}.json"));
        assert_eq!(receipt["read"], expected_read, "{context}\n{finished}");
        assert_eq!(
            dir.read(&answer),
            quiet.read(&answer),
            "{context}\n{finished}"
        );
        let files = shape(everything_below(dir.path()));
        assert_eq!(files, expected_files, "{context}\n{finished}");
        let state = dir.read_json(format!("out/night/runs/_state/{WINDOW}.json"));
        assert_at_rest(&state, 2, &context);
    }
}

#[test]
fn a_killed_run_over_cloudwatch_is_ended_by_the_next_and_exports_nothing_twice() {
    let moto = Moto::start();
    let cloud = Cloud::new(&moto, "killed");
    let (day, _) = recent_day();
    let template = cloud.dir.read_text(JOB) + "[run]\nlease = \"1s\"\n";
    let place = |name: &str| {
        let job = template
            .replace("killed-logs/exports", &format!("killed-logs/{name}"))
            .replace("killed-answers/logtally", &format!("killed-answers/{name}"));
        cloud.dir.write(JOB, job);
        // The system's folder of temporary files, in which a killed run leaves its own.
        let temporary = cloud.dir.join("tmp");
        std::fs::create_dir_all(&temporary).expect("the test's folder is writable");
        temporary
    };
    let program = |temporary: &Path| cloud.program(["--json"]).env("TMPDIR", temporary);
    let keys = |name: &str| {
        let of = |bucket: &str| {
            moto.all_keys(bucket, &format!("{name}/"))
                .into_iter()
                .map(|key| key[name.len()..].to_owned())
                .collect()
        };
        (shape(of("killed-logs")), shape(of("killed-answers")))
    };
    let answer = |name: &str| {
        let key = format!("{name}/night/hourly_count/dt={day}/hourly_count.parquet");
        moto.get_object("killed-answers", &key)
    };

    let temporary = place("quiet");
    let (finished, length) = time(|| program(&temporary).run());
    assert_eq!(
        finished.assert_success().stdout_json()["read"]["events"],
        98
    );
    let expected_keys = keys("quiet");
    let expected_answer = answer("quiet");

    for (number, moment) in moments(length) {
        let name = format!("round-{number}");
        let temporary = place(&name);
        let killed = kill_after(program(&temporary), moment);
        let again =
            (number % 2 == 1).then(|| kill_after(program(&temporary), length - moment.min(length)));
        let context = format!(
            "killed after {moment:?}: {killed}\nand again: {}",
            again.map_or_else(|| "no".to_owned(), |again| again.to_string())
        );
        let finished = program(&temporary).run();
        assert_eq!(finished.code(), Some(0), "{context}\n{finished}");
        let receipt = finished.stdout_json();
        assert_eq!(receipt["read"]["events"], 98, "{context}\n{finished}");
        assert_eq!(answer(&name), expected_answer, "{context}\n{finished}");
        assert_eq!(keys(&name), expected_keys, "{context}\n{finished}");
        let mut groups: Vec<String> = cloud
            .tasks()
            .iter()
            .filter(|task| task["destinationPrefix"].to_string().contains(&name))
            .map(|task| task["logGroupName"].to_string())
            .collect();
        groups.sort();
        assert_eq!(
            groups,
            [
                format!("{:?}", cloud.group("api")),
                format!("{:?}", cloud.group("worker"))
            ],
            "{context}\n{finished}"
        );
        let state = moto.get_object(
            "killed-answers",
            &format!("{name}/night/runs/_state/{day}.json"),
        );
        let state: Value = serde_json::from_slice(&state).expect("JSON");
        assert_at_rest(&state, 2, &context);
        let left: Vec<_> = std::fs::read_dir(&temporary).expect("readable").collect();
        assert!(left.is_empty(), "{left:?}: {context}\n{finished}");
    }
    let unfinished = moto.call(
        "s3",
        "list_multipart_uploads",
        json!({"Bucket": "killed-answers"}),
    );
    assert!(unfinished["Uploads"].is_null(), "{unfinished}");
}

#[test]
fn a_run_killed_behind_its_receipt_is_tidied_up_behind() {
    let moto = Moto::start();
    let exported = Exported::new(&moto, "behind");
    let receipt = format!("/night/runs/{WINDOW}.json");
    let faults = Faults::before(
        &moto,
        json!({"hold": [format!("PUT /behind/jobs{receipt}")]}),
    );
    let lease = "[run]\nlease = \"1s\"\n";
    let mut running = exported.start("jobs", lease, faults.environment());
    running.wait_until("its receipt is held", |_| faults.did().held("put") == 1);
    // The receipt arrives, and nothing after it.
    faults.plan(json!({"hold": [format!("PUT /behind/jobs/night/runs/_state/{WINDOW}.json")]}));
    running.wait_until("the receipt is there", |_| {
        moto.keys("behind", "jobs/")
            .contains(&format!("jobs{receipt}"))
    });
    running.signal("KILL");
    running.wait().assert_signal(9);
    assert_ne!(exported.state("jobs")["lease"], Value::Null);
    let answers = exported.answers("jobs");

    let next = exported.start("jobs", lease, moto.environment()).wait();
    assert_eq!(next.assert_success().stdout_json()["status"], "skipped");
    assert_at_rest(&exported.state("jobs"), 0, "skipped");
    assert_eq!(exported.answers("jobs"), answers);
}

#[test]
fn a_forced_run_killed_while_it_published_is_done_again() {
    let moto = Moto::start();
    let exported = Exported::new(&moto, "forced");
    let lease = "[run]\nlease = \"1s\"\n";
    let first = exported.start("jobs", lease, moto.environment()).wait();
    let first = first.assert_success().stdout_json();

    // One event more, so that the answers change.
    let late = Object::new(&[(at("2025-03-03T05:00:00Z"), "late")]).gzip();
    let exported = exported.with_object(&late);
    let faults = Faults::before(&moto, json!({"hold": ["PUT /forced/jobs/night/charts/"]}));
    let forced = exported.program("jobs", lease, WINDOW).arg("--force");
    let mut running = forced.envs(faults.environment()).spawn();
    running.wait_until("a chart is held", |_| faults.did().held("put") == 1);
    running.signal("KILL");
    running.wait().assert_signal(9);
    let etag = |output: &Value| {
        let key = format!("jobs/{}", output["key"].as_str().expect("a text"));
        let head = json!({"Bucket": "forced", "Key": key});
        moto.call("s3", "head_object", head)["ETag"].clone()
    };
    let answer = &first["outputs"][0];
    assert_ne!(
        etag(answer),
        answer["etag"],
        "the receipt is no longer true"
    );

    // Not forced: the window is not done, although it has a receipt.
    let next = exported.start("jobs", lease, moto.environment()).wait();
    let next = next.assert_success().stdout_json();
    assert_eq!(next["status"], "done");
    assert_eq!(next["read"]["events"], 121);
    for output in next["outputs"].as_array().expect("a list") {
        assert_eq!(etag(output), output["etag"], "{output}");
    }
    assert_at_rest(&exported.state("jobs"), 0, "done");
}
