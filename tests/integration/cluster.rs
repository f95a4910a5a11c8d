//! Workers that share the reading: `logtally worker` and `--workers`, as real processes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::demo::demo;
use crate::library::{OF_JOBS, PARAMETERS, library_job, names};
use crate::support::engines::duckdb;
use crate::support::faults::Faults;
use crate::support::gate::Gate;
use crate::support::moto::Moto;
use crate::support::on_s3::{Exported, IN_PARTS, WINDOW};
use crate::support::program::{Dir, Program, Running};

/// A worker that runs.
struct Worker {
    running: Running,
    address: String,
}

impl Worker {
    fn start(dir: &Dir) -> Self {
        Self::start_with(dir, Vec::new(), &[])
    }

    /// A worker with more environment and arguments.
    fn start_with(dir: &Dir, environment: Vec<(&'static str, String)>, more: &[&str]) -> Self {
        let arguments = ["worker", "--listen", "127.0.0.1:0", "--memory", "300MiB"];
        let mut running = dir
            .logtally(arguments.iter().chain(more))
            .envs(environment)
            .spawn();
        running.wait_for_stderr("listening on ");
        let said = running.stderr();
        let (_, behind) = said.split_once("listening on ").expect("an address");
        let address = behind.split_whitespace().next().expect("an address");
        Self {
            address: address.to_owned(),
            running,
        }
    }

    fn stop(self) {
        self.running.signal("TERM");
        self.running.wait().assert_success();
    }
}

fn addresses(workers: &[Worker]) -> String {
    let addresses: Vec<&str> = workers.iter().map(|it| &*it.address).collect();
    addresses.join(",")
}

#[test]
fn every_query_of_the_library_has_the_same_answer_on_workers() {
    let (dir, names) = library_job();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/library");
    let workers: Vec<Worker> = (0..3).map(|_| Worker::start(&dir)).collect();
    let mut wrong = Vec::new();
    for name in &names {
        let expected = std::fs::read_to_string(folder.join(format!("{name}.csv")));
        let expected = expected.expect("the answer's file");
        for count in 1..=3 {
            let reference = format!("@{name}");
            let addresses = addresses(&workers[..count]);
            let windows: &[&str] = match name.as_str() {
                "pattern_changes" => &["--from", "2026-11-20", "--to", "2026-11-21"],
                _ => &["--window", "2026-11-21"],
            };
            let mut arguments = vec!["query", "jobs/demo.toml", &*reference, "--format", "csv"];
            arguments.extend(windows);
            arguments.extend(["--workers", &*addresses, "-v"]);
            if let Some((_, value)) = PARAMETERS.iter().find(|(query, _)| query == name) {
                arguments.extend(["-p", value]);
            }
            let finished = dir.logtally(arguments).run();
            finished.assert_success();
            if finished.stdout != expected {
                wrong.push(format!("{name} on {count}:\n{}", finished.stdout));
            }
            // Those read only the answers of two days.
            let is_small = OF_JOBS.contains(&name.as_str());
            if finished.stderr.contains("reads on this machine") != is_small {
                wrong.push(format!("{name} on {count}:\n{}", finished.stderr));
            }
        }
    }
    workers.into_iter().for_each(Worker::stop);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The hours of a day, each of which has an archive of its own.
const HOURS: [&str; 4] = ["--from", "2026-11-21T00", "--to", "2026-11-21T23"];

/// The demo as a job of hours with an archive, and without the exports of the day.
fn archived_hours() -> Dir {
    let dir = demo();
    let text = dir.read_text("jobs/demo.toml");
    let (head, _) = text
        .split_once("# Which queries.")
        .expect("the demo's queries");
    let head = head
        .replace("size = \"day\"", "size = \"hour\"")
        .replace("default = \"2026-11-21\"", "default = \"2026-11-21T12\"");
    let archive = "[archive]\n[archive.columns]\nlevel = \"level(message)\"\nreport = \"lambda_report(message)\"\nshape = \"pattern(message)\"\n";
    let query = "[[query]]\nuse = \"hourly_count\"\n";
    dir.write("jobs/hours.toml", format!("{head}\n{query}\n{archive}"));
    dir.logtally(["run", "jobs/hours.toml"].iter().chain(&HOURS))
        .run()
        .assert_success();
    std::fs::remove_dir_all(dir.join("demo-output/staging")).expect("the exports were there");
    dir
}

#[test]
fn archives_without_their_exports_are_shared() {
    let dir = archived_hours();
    let workers: Vec<Worker> = (0..2).map(|_| Worker::start(&dir)).collect();
    let addresses = addresses(&workers);
    let ask = |question: &str, more: &[&str]| {
        let mut arguments = vec!["query", "jobs/hours.toml", question, "--format", "csv"];
        arguments.extend(HOURS);
        arguments.extend(more);
        dir.logtally(arguments).run()
    };
    let shared = ["--workers", &addresses, "-v"];
    let names = names(&dir);
    let mut stay = Vec::new();
    let mut wrong = Vec::new();
    for name in names
        .iter()
        .filter(|name| !OF_JOBS.contains(&name.as_str()))
    {
        let reference = format!("@{name}");
        let parameter = PARAMETERS.iter().find(|(query, _)| query == name);
        let parameter = parameter.map_or_else(Vec::new, |(_, value)| vec!["-p", value]);
        let alone = ask(&reference, &parameter);
        let divided = ask(&reference, &[&parameter[..], &shared].concat());
        divided.assert_success();
        if alone.assert_success().stdout != divided.stdout {
            wrong.push(format!("{name}:\n{}\n{}", alone.stdout, divided.stdout));
        }
        if divided.stderr.contains("reads on this machine") {
            stay.push(format!("{name}: {}", divided.stderr));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(stay.is_empty(), "{}", stay.join("\n"));
    // The archive as a table, the answers of all hours, and some hours of either.
    for (sql, is_shared) in [
        (
            "SELECT level, count(*), max(timestamp) FROM events GROUP BY 1 ORDER BY 1",
            true,
        ),
        (
            "SELECT hh, sum(events) FROM hourly_count GROUP BY 1 ORDER BY 1",
            true,
        ),
        (
            "SELECT e.hh, count(*), max(c.events) FROM events e JOIN hourly_count c USING (dt, hh) WHERE e.hh > '04' GROUP BY 1 ORDER BY 1",
            true,
        ),
        (
            "SELECT hh, count(*) FROM events WHERE hh BETWEEN '05' AND '07' GROUP BY 1 ORDER BY 1",
            false,
        ),
    ] {
        let alone = ask(sql, &[]);
        let divided = ask(sql, &shared);
        divided
            .assert_success()
            .stdout_is(&alone.assert_success().stdout);
        let stays = divided.stderr.contains("reads on this machine");
        assert_eq!(stays, !is_shared, "{sql}:\n{}", divided.stderr);
    }
    // As long as before, so that the receipt's list is still right.
    let file = "demo-output/demo/events/dt=2026-11-21/hh=15/events-00000.parquet";
    let length = dir.read(file).len();
    dir.write(file, vec![b'x'; length]);
    let sql = "SELECT level(message), count(*) FROM logs GROUP BY 1";
    for more in [&[][..], &shared] {
        ask(sql, more)
            .assert_code(5)
            .stderr_contains("hh=15/events-00000.parquet as Parquet");
    }
    workers.into_iter().for_each(Worker::stop);
}

/// A receipt without what differs from run to run.
fn comparable(mut receipt: Value) -> Value {
    let receipt_of = receipt.as_object_mut().expect("an object");
    for key in [
        "seconds",
        "started_at",
        "finished_at",
        "outputs",
        "exports",
        "as_of",
        "job_sha256",
        "source_sha256",
    ] {
        receipt_of.remove(key);
    }
    receipt
}

#[test]
fn a_run_on_workers_counts_and_publishes_what_a_local_one_does() {
    let run = |workers: &[Worker]| {
        let dir = demo();
        let addresses = addresses(workers);
        let mut arguments = vec!["run", "jobs/demo.toml"];
        if !workers.is_empty() {
            arguments.extend(["--workers", &*addresses]);
        }
        dir.logtally(arguments).run().assert_success();
        let receipt = dir.read_json("demo-output/demo/runs/2026-11-21.json");
        let hours: Vec<Value> = receipt["exports"]
            .as_array()
            .expect("exports")
            .iter()
            .map(|export| {
                json!([
                    export["log_group"],
                    export["objects"],
                    export["bytes"],
                    export["hours"]
                ])
            })
            .collect();
        let file = "demo-output/demo/hourly_count/dt=2026-11-21/hourly_count.parquet";
        (comparable(receipt), hours, dir.read(file))
    };
    let alone = run(&[]);
    assert!(
        alone.0["read"]["events"].as_u64() > Some(1000),
        "{:?}",
        alone.0
    );
    for count in [2, 3] {
        let dir = Dir::new();
        let workers: Vec<Worker> = (0..count).map(|_| Worker::start(&dir)).collect();
        let shared = run(&workers);
        assert_eq!(shared.0, alone.0, "{count} workers");
        assert_eq!(shared.1, alone.1, "{count} workers");
        assert!(shared.2 == alone.2, "{count} workers");
        workers.into_iter().for_each(Worker::stop);
    }
}

#[test]
fn a_damaged_object_on_a_worker_ends_with_its_name_and_class() {
    let dir = demo();
    dir.logtally(["run", "jobs/demo.toml"])
        .run()
        .assert_success();
    let staged = "demo-output";
    let object = crate::support::program::files_below(&dir.join(staged))
        .into_iter()
        .find(|file| file.ends_with(".gz"))
        .expect("an exported object");
    let mut bytes = dir.read(format!("{staged}/{object}"));
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0);
    dir.write(format!("{staged}/{object}"), bytes);
    let workers = [Worker::start(&dir), Worker::start(&dir)];
    dir.logtally(["query", "jobs/demo.toml", "SELECT count(message) FROM logs"])
        .arg("--workers")
        .arg(addresses(&workers))
        .run()
        .assert_code(5)
        .stderr_contains(object.rsplit('/').next().expect("a name"));
    workers.into_iter().for_each(Worker::stop);
}

#[test]
fn no_worker_is_open_by_mistake_and_no_stranger_is_answered() {
    let dir = demo();
    dir.logtally(["run", "jobs/demo.toml"])
        .run()
        .assert_success();
    dir.logtally(["worker", "--listen", "0.0.0.0:0"])
        .run()
        .assert_code(2)
        .stderr_contains("needs mutual TLS or a token");
    let token = "correct-horse-battery";
    let with = |token: &str| vec![("LOGTALLY_WORKERS_TOKEN", token.to_owned())];
    let workers = [Worker::start_with(&dir, with(token), &[])];
    let query = |environment: Vec<(&'static str, String)>| {
        let sql = "SELECT count(*) FROM logs";
        dir.logtally([
            "query",
            "jobs/demo.toml",
            sql,
            "--format",
            "csv",
            "--workers",
        ])
        .arg(addresses(&workers))
        .envs(environment)
        .run()
    };
    query(Vec::new())
        .assert_code(10)
        .stderr_contains("wants a token");
    query(with("another-horse-battery"))
        .assert_code(10)
        .stderr_contains("the token is not that of the worker");
    query(with("short"))
        .assert_code(2)
        .stderr_contains("expected at least 16");
    let answer = query(with(token));
    answer.assert_success();
    let alone = dir
        .logtally([
            "query",
            "jobs/demo.toml",
            "SELECT count(*) FROM logs",
            "--format",
            "csv",
        ])
        .run();
    alone.stdout_is(&answer.stdout);
    workers.into_iter().for_each(Worker::stop);
}

#[test]
fn workers_that_are_gone_are_named() {
    let dir = demo();
    dir.logtally(["run", "jobs/demo.toml"])
        .run()
        .assert_success();
    let gone = Worker::start(&dir);
    let address = gone.address.clone();
    gone.stop();
    let query = |workers: &str| {
        let sql = "SELECT count(*) FROM logs";
        dir.logtally(["query", "jobs/demo.toml", sql, "--workers", workers])
            .run()
    };
    query(&address).assert_code(10).stderr_contains(&format!(
        "no worker can be used: the worker {address} is lost"
    ));
    query("nowhere")
        .assert_code(2)
        .stderr_contains("expected host:port");
    // Those that are there go on.
    let there = Worker::start(&dir);
    query(&format!("{address},{}", there.address))
        .assert_success()
        .stderr_contains("goes on with fewer workers");
    there.stop();
}

/// A job over objects on S3, a worker that reads them freely, and one whose reading is held.
struct Held<'a> {
    exported: Exported<'a>,
    faults: Faults,
    free: Worker,
    held: Worker,
}

impl<'a> Held<'a> {
    fn new(moto: &'a Moto, bucket: &str) -> Self {
        let exported = Exported::new(moto, bucket);
        let faults = Faults::before(moto, json!({"hold": [format!("GET /{bucket}/exported/")]}));
        let free = Worker::start_with(&exported.dir, moto.environment(), &[]);
        let held = Worker::start_with(&exported.dir, faults.environment(), &["--grace", "1h"]);
        Self {
            exported,
            faults,
            free,
            held,
        }
    }

    fn program(&self, name: &str) -> Program {
        self.exported
            .program(name, "", WINDOW)
            .envs(self.exported.moto.environment())
            .arg("--workers")
            .arg(format!("{},{}", self.free.address, self.held.address))
    }

    /// The run, once the held worker reads.
    fn reading(&self, name: &str) -> Running {
        let mut run = self.program(name).spawn();
        run.wait_until("the worker reads", |_| self.faults.did().held("get") > 0);
        run
    }
}

#[test]
fn a_query_goes_on_without_a_worker_that_is_killed() {
    let moto = Moto::start();
    let held = Held::new(&moto, "killed-worker");
    let alone = held
        .exported
        .program("alone", "", WINDOW)
        .envs(moto.environment())
        .run();
    alone.assert_success();
    let run = held.reading("shared");
    held.held.running.signal("KILL");
    let shared = run.wait();
    shared
        .assert_success()
        .stderr_contains("the query is run once more");
    let read = |finished: &crate::support::program::Finished| finished.stdout_run()["read"].clone();
    assert_eq!(read(&shared), read(&alone));
    assert_eq!(
        held.exported.answers("shared"),
        held.exported.answers("alone")
    );
    held.free.stop();
}

#[test]
fn a_query_goes_on_without_a_worker_that_hangs() {
    let moto = Moto::start();
    let held = Held::new(&moto, "hanging-worker");
    let run = held.reading("shared");
    held.held.running.signal("STOP");
    run.wait()
        .assert_success()
        .stderr_contains("the query is run once more");
    held.held.running.signal("KILL");
    held.free.stop();
}

/// Neither side sees a connection end: no more bytes arrive.
#[test]
fn a_query_goes_on_without_a_worker_that_is_cut_off() {
    let moto = Moto::start();
    let mut held = Held::new(&moto, "cut-off-worker");
    let network = Network::before(&held.held.address);
    held.held.address.clone_from(&network.address);
    let run = held.reading("shared");
    network.cut();
    run.wait()
        .assert_success()
        .stderr_contains("the query is run once more");
    // Its work would never end, and the coordinator can't tell it to stop.
    held.held.stop();
    held.free.stop();
}

/// What lies between a coordinator and a worker, and can be cut.
struct Network {
    address: String,
    is_cut: Arc<AtomicBool>,
}

impl Network {
    fn before(worker: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address").to_string();
        let is_cut = Arc::new(AtomicBool::new(false));
        let (worker, cut) = (worker.to_owned(), Arc::clone(&is_cut));
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let there = TcpStream::connect(&worker);
                let (Ok(here), Ok(there)) = (connection, there) else {
                    continue;
                };
                let clone = |stream: &TcpStream| stream.try_clone().expect("a handle");
                let both = [(clone(&here), clone(&there)), (there, here)];
                for (from, to) in both {
                    let cut = Arc::clone(&cut);
                    std::thread::spawn(move || forward(from, to, &cut));
                }
            }
        });
        Self { address, is_cut }
    }

    fn cut(&self) {
        self.is_cut.store(true, Ordering::Relaxed);
    }
}

/// Hands on what arrives, until one side ends or the network is cut, which leaves both connections open.
fn forward(mut from: TcpStream, mut to: TcpStream, cut: &AtomicBool) {
    let mut block = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut block) {
        while cut.load(Ordering::Relaxed) {
            std::thread::park();
        }
        if to.write_all(&block[..read]).is_err() {
            return;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// A worker whose requests to S3 take longer than a hanging worker is waited for.
#[test]
fn a_slow_worker_is_waited_for() {
    let moto = Moto::start();
    let held = Held::new(&moto, "slow-worker");
    let mut run = held.reading("shared");
    std::thread::sleep(Duration::from_secs(20));
    assert!(run.is_running(), "{}", run.stderr());
    held.faults.plan(json!({}));
    let shared = run.wait();
    shared.assert_success();
    let once_more = shared.stderr.contains("once more");
    assert!(!once_more, "{}", shared.stderr);
    let alone = held.exported.program("alone", "", WINDOW);
    alone.envs(moto.environment()).run().assert_success();
    assert_eq!(
        held.exported.answers("shared"),
        held.exported.answers("alone")
    );
    held.free.stop();
    held.held.stop();
}

/// In a task that sends rows, a panic would end them as if they were all.
#[test]
fn a_bug_in_a_worker_is_exit_code_1() {
    let dir = demo();
    dir.logtally(["run", "jobs/demo.toml"])
        .run()
        .assert_success();
    let panics = || vec![("LOGTALLY_TEST_PANIC", "1".to_owned())];
    let workers: Vec<Worker> = (0..2)
        .map(|_| Worker::start_with(&dir, panics(), &[]))
        .collect();
    for sql in [
        "SELECT max(panic(message)) FROM logs",
        "SELECT panic(message), count(*) FROM logs GROUP BY 1",
        "SELECT count(*) FROM logs WHERE panic(message) = 'x'",
    ] {
        dir.logtally(["query", "jobs/demo.toml", sql, "-v", "--workers"])
            .arg(addresses(&workers))
            .envs(panics())
            .run()
            .assert_code(1)
            .stderr_contains("as asked for");
    }
    // The workers go on.
    dir.logtally(["query", "jobs/demo.toml", "SELECT count(*) FROM logs"])
        .arg("--workers")
        .arg(addresses(&workers))
        .run()
        .assert_success();
    workers.into_iter().for_each(Worker::stop);
}

#[test]
fn without_any_worker_a_run_fails_and_a_rerun_resumes() {
    let moto = Moto::start();
    let held = Held::new(&moto, "no-worker");
    let run = held.reading("shared");
    held.free.running.signal("KILL");
    held.held.running.signal("KILL");
    run.wait()
        .assert_code(10)
        .stderr_contains("no worker can be used");
    assert!(held.exported.answers("shared").is_empty());
    let worker = Worker::start_with(&held.exported.dir, moto.environment(), &[]);
    held.exported
        .program("shared", "", WINDOW)
        .envs(moto.environment())
        .arg("--workers")
        .arg(&worker.address)
        .run()
        .assert_success();
    assert!(!held.exported.answers("shared").is_empty());
    worker.stop();
}

/// Its work would never end: the worker ends only because it gives up the work of a coordinator that is gone.
#[test]
fn a_worker_stops_the_work_of_a_coordinator_that_is_killed() {
    let moto = Moto::start();
    let held = Held::new(&moto, "killed-coordinator");
    let run = held.reading("shared");
    run.signal("KILL");
    run.wait().assert_signal(9);
    held.held.stop();
    held.free.stop();
}

/// The keys of the parts that the list of an answer names, in its order.
fn listed_parts(exported: &Exported<'_>, name: &str) -> Vec<String> {
    let list = format!("{name}/night/everything/dt={WINDOW}/everything.txt");
    let list = exported.moto.get_object(&exported.bucket, &list);
    let list = String::from_utf8(list).expect("a text");
    let bucket = format!("s3://{}/", exported.bucket);
    let key = |line: &str| line.strip_prefix(&bucket).expect("a part").to_owned();
    list.lines().map(key).collect()
}

/// A number of rows, and one that differs for other rows or another order, as DuckDB reads an answer.
fn rows_in_order(exported: &Exported<'_>, name: &str) -> Value {
    let folder = Dir::new();
    let files = listed_parts(exported, name).into_iter().enumerate();
    let files = files.map(|(number, key)| {
        let part = exported.moto.get_object(&exported.bucket, &key);
        let file = folder.write(format!("{number}.parquet"), part);
        format!("'{}'", file.display())
    });
    let files: Vec<String> = files.collect();
    let sql = format!(
        "SELECT count(*) AS rows, CAST(bit_xor(hash(n, timestamp, message)) AS VARCHAR) AS in_order \
         FROM (SELECT row_number() OVER () AS n, * FROM read_parquet([{}]))",
        files.join(", ")
    );
    json!(duckdb(&[], &[&sql])[0])
}

/// What the receipt lists of the answer in parts: the rows in all, and the keys with their bytes and ETags.
fn listed_outputs(run: &crate::support::program::Finished) -> (u64, Vec<(String, Value, Value)>) {
    let receipt = run.stdout_run();
    let outputs = receipt["outputs"].as_array().expect("a list").clone();
    let parts: Vec<Value> = outputs
        .into_iter()
        .filter(|output| output["query"] == "everything" && output["kind"] == "parquet")
        .collect();
    let rows = parts.iter().filter_map(|part| part["rows"].as_u64()).sum();
    let key = |part: &Value| part["key"].as_str().expect("a key").to_owned();
    let parts = parts.iter();
    let parts = parts.map(|part| (key(part), part["bytes"].clone(), part["etag"].clone()));
    (rows, parts.collect())
}

/// What is expected of an answer in parts, and a query behind it that reads it.
const BEHIND: &str = "expect = \"rows\"\n[[query]]\nname = \"last\"\nsql = \"last.sql\"\n";

#[test]
fn workers_put_the_parts_of_a_large_answer() {
    let moto = Moto::start();
    let exported = Exported::new(&moto, "parts-of-workers").with_several(4);
    exported.dir.write(
        "last.sql",
        "SELECT count(*) AS n, max(timestamp) AS last FROM everything",
    );
    let more = format!("{IN_PARTS}{BEHIND}");
    let alone = exported.program("alone", &more, WINDOW);
    let alone = alone.envs(moto.environment()).run();
    alone.assert_success();
    let gate = Gate::before(&moto);
    let workers: Vec<Worker> = (0..2)
        .map(|_| Worker::start_with(&exported.dir, gate.as_endpoint(), &[]))
        .collect();
    // Writes the job, whose parts are encrypted in its own way.
    let _ = exported.program("shared", &more, WINDOW);
    let job = exported.dir.read_text("shared.toml");
    let job = job.replace("[[query]]\nuse", "sse = \"AES256\"\n[[query]]\nuse");
    exported.dir.write("shared.toml", job);
    let run = |more: &[&str]| {
        let arguments = ["run", "shared.toml", "--window", WINDOW, "--json", "-v"];
        let program = exported.dir.logtally(arguments.iter().chain(more));
        let program = program.envs(moto.environment()).arg("--workers");
        program.arg(addresses(&workers)).run()
    };
    let shared = run(&[]);
    shared.assert_success();
    let puts: Vec<_> = gate
        .seen()
        .into_iter()
        .filter(|it| it.kind == "put")
        .collect();
    assert!(puts.len() > 4, "{} parts", puts.len());
    for put in &puts {
        assert!(
            put.path.contains("/night/parts/everything/"),
            "{}",
            put.path
        );
        assert_eq!(put.header("x-amz-server-side-encryption"), "AES256");
        assert_eq!(put.header("if-none-match"), "*");
    }
    assert_eq!(
        rows_in_order(&exported, "shared"),
        rows_in_order(&exported, "alone")
    );
    let read = |run: &crate::support::program::Finished| {
        let receipt = run.stdout_run();
        [
            receipt["read"].clone(),
            receipt["exports"].clone(),
            receipt["expectations"].clone(),
        ]
    };
    assert_eq!(read(&shared), read(&alone));
    let (rows, parts) = listed_outputs(&shared);
    assert_eq!(rows, listed_outputs(&alone).0);
    assert_eq!(parts.len(), puts.len());
    let listed: Vec<String> = parts
        .iter()
        .map(|(key, ..)| format!("shared/{key}"))
        .collect();
    assert_eq!(listed_parts(&exported, "shared"), listed);
    let answers = exported.answers("shared");
    for (key, _, etag) in &parts {
        assert_eq!(answers[key], *etag);
    }
    let last = |name: &str| {
        let key = format!("{name}/night/last/dt={WINDOW}/last.parquet");
        moto.get_object(&exported.bucket, &key)
    };
    assert!(
        last("shared") == last("alone"),
        "the later query reads the parts"
    );

    // The parts of the answer before stay for one run.
    let there = || moto.keys(&exported.bucket, "shared/night/parts/").len();
    run(&["--force"]).assert_success();
    assert_eq!(there(), 2 * parts.len());
    run(&["--force"]).assert_success();
    assert_eq!(there(), 2 * parts.len());
    workers.into_iter().for_each(Worker::stop);
}

#[test]
fn an_answer_in_parts_goes_on_without_a_worker_that_is_killed() {
    let moto = Moto::start();
    let exported = Exported::new(&moto, "parts-of-killed").with_several(4);
    let alone = exported.program("alone", IN_PARTS, WINDOW);
    alone.envs(moto.environment()).run().assert_success();
    // Its second part is on its way for ever.
    let faults = Faults::before(&moto, json!({"hold": ["-00001.parquet", "000001.parquet"]}));
    let free = Worker::start_with(&exported.dir, moto.environment(), &[]);
    let held = Worker::start_with(&exported.dir, faults.environment(), &["--grace", "1h"]);
    let mut run = exported
        .program("shared", IN_PARTS, WINDOW)
        .envs(moto.environment())
        .arg("--workers")
        .arg(format!("{},{}", free.address, held.address))
        .spawn();
    run.wait_until("the worker has put a part", |_| {
        faults.did().held("put") > 0
    });
    held.running.signal("KILL");
    let shared = run.wait();
    shared
        .assert_success()
        .stderr_contains("the query is run once more");
    assert_eq!(
        rows_in_order(&exported, "shared"),
        rows_in_order(&exported, "alone")
    );
    // What the worker has put before it was killed is deleted.
    let mut listed = listed_parts(&exported, "shared");
    listed.sort();
    assert_eq!(moto.keys(&exported.bucket, "shared/night/parts/"), listed);
    free.stop();
}

/// An authority, and a certificate that it signed for this machine's address.
fn certificates(dir: &Dir, name: &str) {
    let key = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ];
    let openssl = |arguments: &[&str]| {
        dir.program("openssl", arguments).run().assert_success();
    };
    let file = |end: &str| format!("{name}{end}");
    let (ca, ca_key) = (file("-ca.pem"), file("-ca.key"));
    let (own, own_key, request) = (file(".pem"), file(".key"), file(".csr"));
    let authority = [
        "-x509",
        "-days",
        "2",
        "-subj",
        "/CN=authority",
        "-keyout",
        &ca_key,
        "-out",
        &ca,
    ];
    openssl(&[&["req"], &key[..], &authority[..]].concat());
    let asked = ["-subj", "/CN=worker", "-keyout", &own_key, "-out", &request];
    openssl(&[&["req"], &key[..], &asked[..]].concat());
    dir.write(
        "names",
        "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n",
    );
    openssl(&[
        "x509",
        "-req",
        "-days",
        "2",
        "-in",
        &request,
        "-CA",
        &ca,
        "-CAkey",
        &ca_key,
        "-CAcreateserial",
        "-extfile",
        "names",
        "-out",
        &own,
    ]);
}

#[test]
fn workers_and_coordinators_show_their_certificates() {
    let dir = demo();
    dir.logtally(["run", "jobs/demo.toml"])
        .run()
        .assert_success();
    certificates(&dir, "own");
    certificates(&dir, "other");
    let tls = [
        "--tls-ca",
        "own-ca.pem",
        "--tls-cert",
        "own.pem",
        "--tls-key",
        "own.key",
    ];
    let workers: Vec<Worker> = (0..2)
        .map(|_| Worker::start_with(&dir, Vec::new(), &tls))
        .collect();
    let query = |more: &[&str]| {
        let sql = "SELECT log_group, count(*) FROM logs GROUP BY 1 ORDER BY 1";
        let addresses = addresses(&workers);
        let query = [
            "query",
            "jobs/demo.toml",
            sql,
            "--format",
            "csv",
            "--workers",
            &addresses,
        ];
        dir.logtally(query.iter().chain(more)).run()
    };
    let own = [
        "--workers-tls-ca",
        "own-ca.pem",
        "--workers-tls-cert",
        "own.pem",
        "--workers-tls-key",
        "own.key",
    ];
    let answer = query(&own);
    answer.assert_success();
    assert_eq!(answer.stdout.lines().count(), 5, "{}", answer.stdout);
    // A stranger has no certificate, or one of another authority.
    query(&[]).assert_code(10).stderr_contains("is lost");
    let other = [
        "--workers-tls-ca",
        "own-ca.pem",
        "--workers-tls-cert",
        "other.pem",
        "--workers-tls-key",
        "other.key",
    ];
    query(&other).assert_code(10).stderr_contains("is lost");
    query(&["--workers-tls-ca", "own-ca.pem"]).assert_code(2);
    workers.into_iter().for_each(Worker::stop);
}
