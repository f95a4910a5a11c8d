//! Several runs at the same time: only one of them publishes a window, also after double starts, stalls and suspensions.

use serde_json::{Value, json};

use crate::support::faults::Faults;
use crate::support::moto::Moto;
use crate::support::on_s3::{Exported, WINDOW};
use crate::support::program::{Running, poll, run_behind_a_dead_run};

/// The objects that the queries read. A run whose requests for them are held is in the middle of its work.
const OBJECTS: &str = "/exported/";

fn lease(length: &str) -> String {
    format!("[run]\nlease = {length:?}\n")
}

#[test]
fn of_ten_runs_at_once_one_publishes_and_nine_say_who_does() {
    let moto = Moto::start();
    let exported = Exported::new(&moto, "ten");
    let faults = Faults::before(&moto, json!({"hold": [format!("GET /ten{OBJECTS}")]}));
    let mut running: Vec<Running> = (0..10)
        .map(|_| exported.start("once", &lease("20s"), faults.environment()))
        .collect();
    poll("all runs but one have ended", || {
        let runs = running.iter_mut().map(Running::is_running);
        runs.filter(|is_running| *is_running).count() <= 1
    });
    faults.plan(json!({}));
    let mut codes = Vec::new();
    for run in running {
        let finished = run.wait();
        codes.push(finished.code());
        match finished.code() {
            // The second delivery of a schedule is no error.
            Some(8) => {
                finished
                    .stderr_contains("another run holds this window")
                    .stderr_lacks("\"ERROR\"");
            }
            _ => assert_eq!(
                finished.assert_success().stdout_run()["read"]["events"],
                120
            ),
        }
    }
    codes.sort();
    let mut expected = vec![Some(8); 10];
    expected[0] = Some(0);
    assert_eq!(codes, expected);
    assert_eq!(exported.state("once")["lease"], Value::Null);
    let again = exported
        .start("once", &lease("20s"), moto.environment())
        .wait();
    assert_eq!(again.assert_success().stdout_run()["status"], "skipped");
}

/// Suspends a run for longer than its lease while its requests are held, lets another run process the window, and then
/// resumes the first run and its requests.
fn suspended_at(name: &'static str, hold: &str, kind: &str) {
    let moto = Moto::start();
    let exported = Exported::new(&moto, name);
    let faults = Faults::before(&moto, json!({"hold": [hold]}));
    let mut first = exported.start("jobs", &lease("1s"), faults.environment());
    first.wait_until("its request is held", |_| faults.did().held(kind) > 0);
    first.signal("STOP");
    let second = run_behind_a_dead_run(|| {
        let program = exported.program("jobs", &lease("1s"), WINDOW);
        program.envs(moto.environment())
    });
    let receipt = second.assert_success().stdout_run();
    assert_eq!(receipt["read"]["events"], 120);
    let published = moto.list_objects(name, "jobs/");
    faults.plan(json!({}));
    first.signal("CONT");
    let first = first.wait();
    first
        .assert_code(8)
        .stderr_contains("longer than its lease");
    assert_eq!(moto.list_objects(name, "jobs/"), published, "{first}");
}

#[test]
fn a_run_that_was_suspended_while_it_read_publishes_nothing_more() {
    suspended_at("asleep-reading", "GET /asleep-reading/exported/", "get");
}

#[test]
fn a_run_that_was_suspended_while_it_published_publishes_nothing_more() {
    suspended_at(
        "asleep-publishing",
        "PUT /asleep-publishing/jobs/night/hourly_count/",
        "put",
    );
}

#[test]
fn runs_of_two_windows_may_both_want_the_latest_chart() {
    let moto = Moto::start();
    let exported = Exported::new(&moto, "latest");
    let latest = "jobs/night/charts/hourly_count/hourly_count-latest.png";
    let faults = Faults::before(&moto, json!({"hold": [format!("PUT /latest/{latest}")]}));
    let windows = [WINDOW, "2025-03-04"];
    // The older window runs first: when it is about to put its chart, no newer chart exists.
    let running = windows.map(|window| {
        let before = faults.did().held("put");
        let program = exported.program("jobs", "", window);
        let mut running = program.envs(faults.environment()).spawn();
        running.wait_until("it is about to put the chart", |_| {
            faults.did().held("put") > before
        });
        running
    });
    // The second put finds that the chart is no longer the one that its run saw.
    faults.plan(json!({}));
    for run in running {
        run.wait().assert_success();
    }
    let answers = exported.answers("jobs");
    let of = |name: &str| &answers[&format!("night/charts/hourly_count/hourly_count-{name}.png")];
    assert_ne!(of(WINDOW), of("2025-03-04"));
    assert_eq!(of("latest"), of("2025-03-04"));
}
