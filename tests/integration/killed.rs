//! Runs that are killed at any moment: the next run completes the window, with the right counts, one set of outputs, one
//! export task for each group, and no remains of the killed run.
//!
//! `LOGTALLY_KILLS` is the number of kills of each test, `LOGTALLY_KILL_SEED` decides their moments.

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
use crate::support::program::{Dir, Finished, Program, everything_below, run_behind_a_dead_run};

/// The moments at which a run of this length is killed: one in each equal part of it, up to slightly beyond its end. The
/// kills of a test are divided among its kinds of runs.
fn moments(length: Duration, kinds: u64) -> impl Iterator<Item = (usize, Duration)> {
    let number = |name: &str, default: u64| match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is {text:?}: expected a number")),
        Err(_) => default,
    };
    let kills = number("LOGTALLY_KILLS", 4).div_ceil(kinds);
    let seed = number("LOGTALLY_KILL_SEED", 20_251_123);
    println!("{kills} kills, LOGTALLY_KILL_SEED={seed}, in a run of {length:?}");
    let mut random = fastrand::Rng::with_seed(seed);
    let parts = usize::try_from(kills).expect("a small number");
    (0..parts).map(move |part| {
        let share = (part as f64 + random.f64()) / parts as f64;
        (part, length.mul_f64(share * 1.05))
    })
}

/// Kills a program after a time, unless it has ended before.
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

/// Asserts that a state has no lease and no unfinished work.
/// Attempts that were given up stay in it for a day, since their tasks may still write.
fn assert_at_rest(state: &Value, attempts: usize, context: &str) {
    assert_eq!(state["lease"], Value::Null, "{context}: {state:#}");
    assert_eq!(state["phase"], "done", "{context}: {state:#}");
    assert_eq!(state["unfinished"], Value::Null, "{context}: {state:#}");
    assert_eq!(kept_attempts(state), attempts, "{context}: {state:#}");
}

fn kept_attempts(state: &Value) -> usize {
    let attempts = state["attempts"].as_array().expect("a list").iter();
    attempts
        .filter(|attempt| attempt["stage"] != "abandoned")
        .count()
}

/// The keys without the ids of attempts and tasks, which differ between runs.
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
        dir
    };
    let program = |dir: &Dir| {
        dir.logtally(["run", JOB, "--window", WINDOW, "--json"])
            .env("TMPDIR", dir.temporary())
    };
    let answer = format!("out/night/hourly_count/dt={WINDOW}/hourly_count.parquet");

    let quiet = place();
    let (finished, length) = time(|| program(&quiet).run());
    let expected_read = finished.assert_success().stdout_run()["read"].clone();
    assert_eq!(
        Parquet::read(quiet.join(&answer)).integers("events"),
        expected
    );
    let expected_files = shape(everything_below(quiet.path()));

    for (number, moment) in moments(length, 1) {
        let dir = place();
        let killed = kill_after(program(&dir), moment);
        // Every other time, the run that resumes it is killed too.
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
    // Tasks take long enough that kills happen while they are PENDING and RUNNING.
    let moto = Moto::start_with([("EXPORT_TASK_SECONDS", "1")]);
    let cloud = Cloud::new(&moto, "killed");
    let job = cloud.dir.read_text(JOB);
    let (day, midnight) = recent_day();
    let day_before = chrono::DateTime::from_timestamp_millis(midnight - DAY)
        .expect("a time")
        .format("%Y-%m-%d")
        .to_string();
    killed_over_cloudwatch(
        &cloud,
        &job,
        &Kind {
            name: "tasks",
            source: "",
            windows: &[(&day, 98)],
            is_kept: true,
        },
    );
    // Several windows, without tasks, and with a `keep` so short that exports are deleted at the end.
    killed_over_cloudwatch(
        &cloud,
        &job,
        &Kind {
            name: "events",
            source: "via = \"events\"\nkeep = \"1ms\"\n",
            windows: &[(&day_before, 97), (&day, 98)],
            is_kept: false,
        },
    );
    let unfinished = moto.call(
        "s3",
        "list_multipart_uploads",
        json!({"Bucket": "killed-answers"}),
    );
    assert!(unfinished["Uploads"].is_null(), "{unfinished}");
}

/// A kind of run over CloudWatch Logs.
struct Kind<'a> {
    name: &'a str,
    /// Keys of the job's `[source]`.
    source: &'a str,
    /// The windows and their events.
    windows: &'a [(&'a str, i64)],
    /// Whether exports are kept, which come from tasks.
    is_kept: bool,
}

fn killed_over_cloudwatch(cloud: &Cloud, job: &str, kind: &Kind) {
    let moto = cloud.moto;
    let cloudwatch = "kind = \"cloudwatch\"\n";
    let template = job.replace(cloudwatch, &format!("{cloudwatch}{}", kind.source));
    let template = template + "[run]\nlease = \"1s\"\n";
    let place = |name: &str| {
        let job = template
            .replace("killed-logs/exports", &format!("killed-logs/{name}"))
            .replace("killed-answers/logtally", &format!("killed-answers/{name}"));
        cloud.dir.write(JOB, job);
        cloud.dir.temporary()
    };
    let (first, last) = (kind.windows[0].0, kind.windows[kind.windows.len() - 1].0);
    let program = |temporary: &Path| {
        let arguments = ["run", JOB, "--json", "--from", first, "--to", last];
        cloud.logtally(arguments).env("TMPDIR", temporary)
    };
    let keys = |name: &str| {
        let of = |bucket: &str| {
            moto.all_keys(bucket, &format!("{name}/"))
                .into_iter()
                .map(|key| key[name.len()..].to_owned())
                .collect()
        };
        (shape(of("killed-logs")), shape(of("killed-answers")))
    };
    let answers = |name: &str| -> Vec<Vec<u8>> {
        let answer = |(window, _): &(&str, i64)| {
            let key = format!("{name}/night/hourly_count/dt={window}/hourly_count.parquet");
            moto.get_object("killed-answers", &key)
        };
        kind.windows.iter().map(answer).collect()
    };
    let events: Vec<i64> = kind.windows.iter().map(|(_, events)| *events).collect();
    let counted = |finished: &Finished| -> Vec<i64> {
        let printed = finished.stdout_json();
        let runs = printed["runs"].as_array().expect("a list");
        let counts = runs.iter().map(|run| run["read"]["events"].as_i64());
        counts.map(|count| count.expect("a count")).collect()
    };

    let quiet = format!("{}-quiet", kind.name);
    let temporary = place(&quiet);
    let (finished, length) = time(|| program(&temporary).run());
    assert_eq!(counted(finished.assert_success()), events, "{finished}");
    let expected_keys = keys(&quiet);
    let expected_answers = answers(&quiet);

    for (number, moment) in moments(length, 2) {
        let name = format!("{}-{number}", kind.name);
        let temporary = place(&name);
        let killed = kill_after(program(&temporary), moment);
        let again =
            (number % 2 == 1).then(|| kill_after(program(&temporary), length - moment.min(length)));
        let context = format!(
            "killed after {moment:?}: {killed}\nand again: {}",
            again.map_or_else(|| "no".to_owned(), |again| again.to_string())
        );
        let finished = run_behind_a_dead_run(|| program(&temporary));
        assert_eq!(finished.code(), Some(0), "{context}\n{finished}");
        assert_eq!(counted(&finished), events, "{context}\n{finished}");
        assert_eq!(answers(&name), expected_answers, "{context}\n{finished}");
        assert_eq!(keys(&name), expected_keys, "{context}\n{finished}");
        let mut groups: Vec<String> = cloud
            .tasks()
            .iter()
            .filter(|task| {
                let prefix = task["destinationPrefix"].as_str().expect("a text");
                prefix.starts_with(&format!("{name}/"))
            })
            .map(|task| task["logGroupName"].as_str().expect("a text").to_owned())
            .collect();
        groups.sort();
        let mut expected_groups = vec![cloud.group("api"), cloud.group("worker")];
        expected_groups.retain(|_| kind.is_kept);
        assert_eq!(groups, expected_groups, "{context}\n{finished}");
        for (window, _) in kind.windows {
            let key = format!("{name}/night/runs/_state/{window}.json");
            let state = moto.get_object("killed-answers", &key);
            let state: Value = serde_json::from_slice(&state).expect("JSON");
            // An attempt may stay in the state after its objects are deleted.
            let attempts = match kind.is_kept {
                true => 2,
                false => kept_attempts(&state),
            };
            assert_at_rest(&state, attempts, &context);
        }
        let left: Vec<_> = std::fs::read_dir(&temporary).expect("readable").collect();
        assert!(left.is_empty(), "{left:?}: {context}\n{finished}");
    }
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
    // Long enough that the lease is still held at the kill. The next run waits as long.
    let lease = "[run]\nlease = \"10s\"\n";
    let mut running = exported.start("jobs", lease, faults.environment());
    running.wait_until("its receipt is held", |_| faults.did().held("put") > 0);
    // All listed outputs are there before the receipt.
    let put = exported.answers("jobs");
    // The receipt is put, and all later requests are held.
    faults.plan(json!({"hold": [format!("PUT /behind/jobs/night/runs/_state/{WINDOW}.json")]}));
    // The server's log says it at once. A listing starts a program, and the run may end meanwhile.
    let arrived = format!("PUT /behind/jobs{receipt}");
    running.wait_until("the receipt is there", |_| moto.log().contains(&arrived));
    running.signal("KILL");
    running.wait().assert_signal(9);
    assert_ne!(exported.state("jobs")["lease"], Value::Null);
    let answers = exported.answers("jobs");
    assert_eq!(answers, put);

    let next = run_behind_a_dead_run(|| {
        let program = exported.program("jobs", lease, WINDOW);
        program.envs(moto.environment())
    });
    assert_eq!(next.assert_success().stdout_run()["status"], "skipped");
    assert_at_rest(&exported.state("jobs"), 0, "skipped");
    assert_eq!(exported.answers("jobs"), answers);
}

#[test]
fn a_forced_run_killed_while_it_published_is_done_again() {
    let moto = Moto::start();
    let exported = Exported::new(&moto, "forced");
    let lease = "[run]\nlease = \"1s\"\n";
    let first = exported.start("jobs", lease, moto.environment()).wait();
    let first = first.assert_success().stdout_run();

    // An additional event changes the answers.
    let late = Object::new(&[(at("2025-03-03T05:00:00Z"), "late")]).gzip();
    let exported = exported.with_object(&late);
    let faults = Faults::before(&moto, json!({"hold": ["PUT /forced/jobs/night/charts/"]}));
    let forced = exported.program("jobs", lease, WINDOW).arg("--force");
    let mut running = forced.envs(faults.environment()).spawn();
    running.wait_until("a chart is held", |_| faults.did().held("put") > 0);
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

    // Without --force: the window has a receipt, but is not done.
    let next = run_behind_a_dead_run(|| {
        let program = exported.program("jobs", lease, WINDOW);
        program.envs(moto.environment())
    });
    let next = next.assert_success().stdout_run();
    assert_eq!(next["status"], "done");
    assert_eq!(next["read"]["events"], 121);
    for output in next["outputs"].as_array().expect("a list") {
        assert_eq!(etag(output), output["etag"], "{output}");
    }
    assert_at_rest(&exported.state("jobs"), 0, "done");
}

#[test]
fn uploads_of_a_killed_export_are_aborted() {
    let moto = Moto::start();
    moto.create_bucket("parts");
    let dir = Dir::new();
    // Random letters compress badly, so that the object needs a multipart upload.
    let mut random = fastrand::Rng::with_seed(11);
    let midnight = at("2025-03-03T00:00:00Z");
    let lines: String = (0..14_000)
        .map(|second| {
            let letters = std::iter::repeat_with(|| random.alphanumeric());
            let message: String = letters.take(1_000).collect();
            json!({"timestamp": midnight + second, "message": message}).to_string() + "\n"
        })
        .collect();
    dir.write("events/web/app.ndjson", lines);
    dir.write(
        JOB,
        "name = \"night\"\n[source]\nkind = \"directory\"\npath = \"events\"\nstaging = \"s3://parts/staging\"\n\
         [output]\nlocation = \"out\"\n[[query]]\nuse = \"hourly_count\"\n[run]\nlease = \"1s\"\n",
    );
    let run = |environment| {
        let program = dir.logtally(["run", JOB, "--window", WINDOW, "--json"]);
        program.envs(environment).spawn()
    };
    let unfinished = || {
        let uploads = moto.call("s3", "list_multipart_uploads", json!({"Bucket": "parts"}));
        uploads["Uploads"].as_array().map_or(0, Vec::len)
    };
    let faults = Faults::before(&moto, json!({"hold": ["partNumber=2"]}));
    let mut running = run(faults.environment());
    running.wait_until("a part is held", |_| faults.did().held("part") > 0);
    running.signal("KILL");
    running.wait().assert_signal(9);
    assert_eq!(unfinished(), 1);

    let next = run(moto.environment()).wait();
    assert_eq!(next.assert_success().stdout_run()["read"]["events"], 14_000);
    assert_eq!(unfinished(), 0);
}
