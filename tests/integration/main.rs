//! The integration tests, as one binary that is linked once. They run the real program. Their helpers are in `support`
//! and are tested here.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "cargo shows what a failed test printed"
)]

mod accounts;
mod answers;
mod archive;
mod at_once;
mod bombs;
mod bounds;
mod charts;
mod cloudwatch;
#[cfg(feature = "cluster")]
mod cluster;
mod completions;
mod containers;
mod damaged;
mod delivered;
mod demo;
mod doctor;
mod errors;
mod events;
mod expectations;
mod exported;
mod faults;
mod filters;
mod gallery;
mod hostile;
mod image;
mod interrupted;
mod jobs_on_s3;
mod kept;
mod killed;
#[cfg(feature = "lambda")]
mod lambda;
mod library;
mod masked;
mod network;
mod notify;
mod observed;
mod odd;
mod old_script;
#[cfg(target_os = "linux")]
mod only_reads;
mod parts;
mod plan_init;
mod printed;
mod progress;
mod prompt;
mod query;
mod questions;
mod recipes;
mod refused;
mod requests;
mod schema;
#[cfg(all(feature = "serve", target_os = "linux"))]
mod serve;
mod sql;
mod stack;
mod staging;
mod subscription;
mod support;
mod tables;
mod uploads;
mod verify;
mod windows;
mod wrong_inputs;
mod wrong_sql;
mod zones;

use std::io::Read;
use std::time::{SystemTime, UNIX_EPOCH};

use flate2::read::GzDecoder;
use serde_json::json;
use support::export;
use support::moto::Moto;
use support::program::Dir;
use support::python;

#[test]
fn the_program_starts() {
    let version = concat!("logtally ", env!("CARGO_PKG_VERSION"), "\n");
    Dir::new()
        .logtally(["--version"])
        .run()
        .assert_success()
        .stdout_is(version);
}

#[test]
fn the_python_environment_has_what_the_tests_need() {
    let versions = "import boto3, duckdb, moto, pyarrow; print(moto.__version__, duckdb.__version__, pyarrow.__version__)";
    assert_eq!(
        python::output(&mut python::snippet(versions)),
        "5.2.5 2.0.0 26.0.1\n"
    );
}

#[test]
fn duckdb_draws_no_progress_bar() {
    let tools = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/integration/tools");
    let setting = "from duck import connection; print(*connection.execute(\"SELECT current_setting('enable_progress_bar')\").fetchone())";
    let mut python = python::snippet(setting);
    assert_eq!(python::output(python.env("PYTHONPATH", tools)), "False\n");
}

#[test]
fn moto_answers_like_s3() {
    let moto = Moto::start();
    moto.create_bucket("acme-logs");
    let body = b"any bytes: \0\xff";
    moto.put_object("acme-logs", "exports/[$LATEST]a/000000.gz", body);
    moto.put_object("acme-logs", "other", b"");
    assert_eq!(
        moto.keys("acme-logs", "exports/"),
        ["exports/[$LATEST]a/000000.gz"]
    );
    assert_eq!(moto.list_objects("acme-logs", "")[0]["Size"], body.len());
    assert_eq!(
        moto.get_object("acme-logs", "exports/[$LATEST]a/000000.gz"),
        body
    );
    assert!(
        moto.log().contains("PUT /acme-logs/other"),
        "{}",
        moto.log()
    );

    let dir = Dir::new();
    dir.write("web/7/000000.gz", "x");
    dir.write("aws-logs-write-test", "y");
    moto.put_folder("acme-logs", "copied", dir.path());
    assert_eq!(
        moto.keys("acme-logs", "copied/"),
        ["copied/aws-logs-write-test", "copied/web/7/000000.gz"]
    );

    dir.program("sh", ["-c", "printf %s \"$AWS_ENDPOINT_URL\""])
        .envs(moto.environment())
        .run()
        .stdout_is(&moto.endpoint());
}

#[test]
fn moto_exports_the_events_that_were_put() {
    let moto = Moto::start();
    moto.create_bucket("acme-logs");
    moto.create_log_group("/aws/lambda/empty");
    moto.create_log_stream("/aws/lambda/empty", "2026/11/21/[$LATEST]0a1b");
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    let now = i64::try_from(now).expect("before the end of time") * 1000;
    moto.put_events(
        "/ecs/web",
        "web/app/7",
        &[(now, "둘째"), (now - 60_000, "first\n")],
    );

    let task = json!({"logGroupName": "/ecs/web", "from": now - 60_000, "to": now, "destination": "acme-logs", "destinationPrefix": "exports"});
    moto.call("logs", "create_export_task", task);
    let keys = moto.keys("acme-logs", "exports/");
    let [key] = &keys[..] else {
        panic!("one object was expected, and there are {keys:?}")
    };
    assert!(key.ends_with("/web-app-7/000000.gz"), "{key}");
    let mut text = String::new();
    GzDecoder::new(&moto.get_object("acme-logs", key)[..])
        .read_to_string(&mut text)
        .expect("gzip of UTF-8");
    let expected = export::line(now - 60_000, "first\n") + &export::line(now, "둘째");
    // Unlike the service, moto drops the last newline.
    assert_eq!(text, expected.trim_end());
}
