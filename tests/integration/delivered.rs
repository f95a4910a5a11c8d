//! `kind = "delivered"`: what CloudWatch Logs delivers to S3.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use flate2::Compression;
use flate2::write::GzEncoder;
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};

use crate::support::events::at;
use crate::support::moto::Moto;
use crate::support::parquet::Parquet;
use crate::support::program::{Dir, Finished};

const DAY: &str = "2025-03-03";

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder
        .write_all(text.as_bytes())
        .expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

fn zstd(text: &str) -> Vec<u8> {
    zstd::bulk::compress(text.as_bytes(), 3).expect("memory takes all")
}

/// A line of AWS PCS, as its documentation shows it.
fn pcs(time: &str, message: &str) -> String {
    let line = json!({
        "resource_id": "pcs_bu93qsds2j", "resource_type": "PCS_CLUSTER", "event_timestamp": at(time),
        "log_level": "info", "log_name": "slurmctld", "message": message,
    });
    line.to_string() + "\n"
}

/// The documented key of such an object.
fn pcs_key(hour: &str) -> String {
    let folder = hour.replace(['-', 'T'], "/");
    let name = hour.replace('T', "-");
    format!(
        "AWSLogs/111111111111/PCS/us-east-2/abc/slurmctld/25.11/{folder}/PCS_slurmctld_25.11_{name}_abc_0123.log.gz"
    )
}

/// A line of Lambda's logs of the class Delivery.
fn lambda(id: u32, time: &str, message: &Value) -> String {
    let line = json!({
        "accountId": "222222222222", "logGroup": "/aws/lambda/pay", "logStream": "2025/03/03/[$LATEST]0067",
        "id": id.to_string(), "timestamp": at(time), "message": message,
    });
    line.to_string() + "\n"
}

const LAMBDA: &str = "AWSLogs/222222222222/us-east-2/_aws_lambda_pay";

/// CloudFront's columns in Parquet, as Athena's documentation has them.
fn cloudfront(rows: &[(&str, &str, &str)]) -> Vec<u8> {
    let column = |values: Vec<&str>| Arc::new(StringArray::from(values)) as ArrayRef;
    let rows = RecordBatch::try_from_iter([
        ("date", column(rows.iter().map(|row| row.0).collect())),
        ("time", column(rows.iter().map(|row| row.1).collect())),
        (
            "cs_uri_stem",
            column(rows.iter().map(|row| row.2).collect()),
        ),
    ])
    .expect("the columns have one length");
    let mut out = Vec::new();
    let mut writer =
        ArrowWriter::try_new(&mut out, rows.schema(), None).expect("texts are columns");
    writer.write(&rows).expect("memory takes all");
    writer.close().expect("memory takes all");
    out
}

/// The objects of a day and its neighbours, in every form that is documented or was observed.
fn objects() -> Vec<(String, Vec<u8>)> {
    let first = pcs("2025-03-02T23:59:59.999Z", "before") + &pcs("2025-03-03T00:00:00Z", "first\n");
    let late = pcs("2025-03-03T22:00:00Z", "late");
    let first_of_lambda = lambda(1, "2025-03-03T05:00:00Z", &json!("a \"b\"\n"))
        + &lambda(
            2,
            "2025-03-03T05:00:01Z",
            &json!({"type": "platform.start"}),
        );
    let again = lambda(
        2,
        "2025-03-03T05:00:01Z",
        &json!({"type": "platform.start"}),
    );
    let w3c = "#Fields: date time x-edge-location timestamp(ms) cs-uri-stem\n\
               2025-03-03\t07:00:00\tSOF50-P2\t1740985200421\t/a\n";
    vec![
        (pcs_key("2025-03-02T23"), gzip(&first)),
        (pcs_key("2025-03-04T09"), gzip(&late)),
        // Far from the day: never read.
        (pcs_key("2025-03-20T00"), b"damaged".to_vec()),
        (format!("{LAMBDA}/_a1.log.zst"), zstd(&first_of_lambda)),
        (format!("{LAMBDA}/_b2.log.zst"), zstd(&again)),
        (
            "AWSLogs/aws-account-id=333333333333/CloudFront/year=2025/month=03/day=03/hour=07/E1.2025-03-03-07.a.gz".to_owned(),
            gzip(w3c),
        ),
        (
            "AWSLogs/333333333333/CloudFront/E2.2025-03-03-08.b.parquet".to_owned(),
            cloudfront(&[("2025-03-02", "23:59:59", "/x"), ("2025-03-03", "08:00:00", "/b")]),
        ),
        ("aws-logs-write-test".to_owned(), b"Permission Check Successful".to_vec()),
    ]
}

fn job(dir: &Dir, path: &str, source: &str, tail: &str) {
    dir.write(
        "night.toml",
        format!(
            "name = \"night\"\n[source]\nkind = \"delivered\"\npath = \"{path}\"\n{source}\n[output]\nlocation = \"out\"\n\
             [[query]]\nuse = \"hourly_count\"\n{tail}"
        ),
    );
}

fn folder() -> Dir {
    let dir = Dir::new();
    for (key, object) in objects() {
        dir.write(format!("logs/{key}"), object);
    }
    dir
}

fn run(dir: &Dir, more: &[&str]) -> Finished {
    let arguments = ["run", "night.toml", "--window", DAY].iter().chain(more);
    dir.logtally(arguments).run()
}

fn ask(dir: &Dir, subject: &[&str], sql: &str) -> Value {
    let arguments = ["query"].iter().chain(subject);
    let as_json = ["--format", "json", sql];
    let arguments = arguments.chain(&as_json);
    dir.logtally(arguments).run().assert_success().stdout_json()
}

#[test]
fn a_day_of_every_form_has_each_event_by_its_own_time() {
    let dir = folder();
    job(&dir, "logs", "", "");
    let receipt = run(&dir, &["--json"]).assert_success().stdout_run();
    assert_eq!(receipt["read"]["events"], 6);
    assert_eq!(receipt["read"]["duplicate_events"], 1);
    let answer = Parquet::read(dir.join(format!(
        "out/night/hourly_count/dt={DAY}/hourly_count.parquet"
    )));
    let events = answer.integers("events");
    let by_hour = [0, 5, 7, 8, 22].map(|hour| events[hour]);
    assert_eq!(by_hour, [1, 2, 1, 1, 1]);
}

#[test]
fn the_columns_are_those_of_the_record_and_the_key() {
    let dir = folder();
    job(&dir, "logs", "log_group = \"vended\"", "");
    let sql = "SELECT account, log_group, log_stream, message FROM logs ORDER BY timestamp";
    let rows = ask(&dir, &["night.toml", "--window", DAY], sql);
    let rows = rows.as_array().expect("rows");
    assert_eq!(rows[0]["account"], "111111111111");
    assert_eq!(rows[0]["log_group"], "vended");
    assert_eq!(rows[0]["log_stream"], "");
    let whole = pcs("2025-03-03T00:00:00Z", "first\n");
    assert_eq!(rows[0]["message"], whole.trim_end());
    assert_eq!(
        rows[1],
        json!({"account": "222222222222", "log_group": "/aws/lambda/pay", "log_stream": "2025/03/03/[$LATEST]0067", "message": "a \"b\""})
    );
    assert_eq!(rows[2]["message"], "{\"type\":\"platform.start\"}");
    assert_eq!(rows[3]["account"], "333333333333");
    assert_eq!(
        rows[4]["message"],
        "{\"date\":\"2025-03-03\",\"time\":\"08:00:00\",\"cs_uri_stem\":\"/b\"}"
    );
    job(&dir, "logs", "message = \"message\"", "");
    let sql = "SELECT message FROM logs WHERE account = '111111111111' ORDER BY timestamp";
    let rows = ask(&dir, &["night.toml", "--window", DAY], sql);
    assert_eq!(rows, json!([{"message": "first"}, {"message": "late"}]));
}

#[test]
fn fields_without_a_header_have_the_names_of_the_job() {
    let dir = Dir::new();
    dir.write(
        "logs/2025/03/03/a.log",
        "10.0.0.1|2025-03-03T01:00:00Z|GET /\n10.0.0.2|2025-03-03T02:00:00Z|GET /b\n",
    );
    job(
        &dir,
        "logs",
        "fields = [\"c-ip\", \"timestamp\", \"request\"]\ndelimiter = \"|\"\nmessage = \"request\"",
        "",
    );
    let rows = ask(
        &dir,
        &["night.toml", "--window", DAY],
        "SELECT message FROM logs ORDER BY 1",
    );
    assert_eq!(rows, json!([{"message": "GET /"}, {"message": "GET /b"}]));
}

#[test]
fn a_line_without_a_time_is_damage_and_nothing_is_published() {
    let dir = folder();
    let line = pcs("2025-03-03T01:00:00Z", "good");
    let key = pcs_key("2025-03-03T01");
    dir.write(
        format!("logs/{key}"),
        gzip(&format!("{line}{{\"at\":1}}\n")),
    );
    job(&dir, "logs", "", "");
    run(&dir, &[])
        .assert_code(5)
        .stderr_contains(&key)
        .stderr_contains(&format!(
            "the line at byte {} of its text has no time",
            line.len()
        ))
        .stderr_contains("[source] time with the name that it has");
    assert!(!dir.join("out/night/hourly_count").exists());
}

#[test]
fn later_objects_of_a_settled_window_are_counted_by_the_next_run() {
    let dir = folder();
    job(&dir, "logs", "", "");
    let late = format!("logs/{}", pcs_key("2025-03-04T09"));
    let bytes = dir.read(&late);
    std::fs::remove_file(dir.join(&late)).expect("it is there");
    let receipt = run(&dir, &["--json"]).assert_success().stdout_run();
    assert_eq!(receipt["read"]["events"], 5);
    dir.write(&late, bytes);
    let receipt = run(&dir, &["--json"]).assert_success().stdout_run();
    assert_eq!(receipt["read"]["events"], 6);
    assert_eq!(receipt["change"]["events"], 1);
}

#[test]
fn a_location_of_delivered_logs_is_recognised() {
    let dir = folder();
    let lambda = format!("logs/{LAMBDA}");
    let sql = "SELECT account, count(*) AS events FROM logs GROUP BY 1";
    let expected = json!([{"account": "222222222222", "events": 2}]);
    assert_eq!(ask(&dir, &[&lambda], sql), expected);
    let pcs = format!("logs/{}", pcs_key("2025-03-02T23"));
    assert_eq!(
        ask(&dir, &[&pcs], "SELECT count(*) AS n FROM logs"),
        json!([{"n": 2}])
    );
    let day = ["logs/AWSLogs/aws-account-id=333333333333", "--window", DAY];
    assert_eq!(
        ask(&dir, &day, "SELECT count(*) AS n FROM logs"),
        json!([{"n": 1}])
    );
}

#[test]
fn on_s3_only_folders_of_the_window_are_looked_into() {
    let moto = Moto::shared();
    let bucket = "delivered-folders";
    moto.create_bucket(bucket);
    for (key, object) in objects() {
        moto.put_object(bucket, &key, &object);
    }
    let dir = Dir::new();
    job(&dir, &format!("s3://{bucket}/AWSLogs/111111111111"), "", "");
    let finished = dir
        .logtally(["run", "night.toml", "--window", DAY, "--json"])
        .envs(moto.environment())
        .run();
    let receipt = finished.assert_success().stdout_run();
    assert_eq!(receipt["read"]["events"], 2);
    assert_eq!(receipt["read"]["objects"], 2);
    job(&dir, &format!("s3://{bucket}/AWSLogs/333333333333"), "", "");
    let rows = dir
        .logtally(["query", "night.toml", "--window", DAY, "--format", "json"])
        .arg("SELECT message::text AS m FROM logs WHERE timestamp > '2025-03-03 07:59'")
        .envs(moto.environment())
        .run();
    let rows = rows.assert_success().stdout_json();
    assert_eq!(rows.as_array().map(Vec::len), Some(1));
}

#[test]
fn an_empty_location_is_an_error_and_a_quiet_day_is_none() {
    let dir = folder();
    dir.write("empty/aws-logs-write-test", "Permission Check Successful");
    job(&dir, "empty", "", "");
    run(&dir, &[])
        .assert_code(2)
        .stderr_contains("holds no object: expected in [source] path");
    job(
        &dir,
        &format!(
            "logs/{}",
            Path::new(&pcs_key("2025-03-02T23"))
                .parent()
                .expect("a folder")
                .display()
        ),
        "",
        "",
    );
    let quiet = dir.logtally(["run", "night.toml", "--window", "2025-01-03", "--json"]);
    assert_eq!(
        quiet.run().assert_success().stdout_run()["read"]["events"],
        0
    );
}

#[test]
fn an_archive_has_the_account_and_answers_as_the_objects_do() {
    let dir = folder();
    let tail = "[archive]\ncolumns = { level = \"level(message)\" }\n";
    job(&dir, "logs", "", tail);
    run(&dir, &[]).assert_success();
    let events = Parquet::read(dir.join(format!("out/night/events/dt={DAY}/events-00000.parquet")));
    assert_eq!(events.texts("account").len(), 6);
    let sql = "SELECT account, count(*) AS events FROM logs GROUP BY 1 ORDER BY 1";
    let expected = json!([
        {"account": "111111111111", "events": 2},
        {"account": "222222222222", "events": 2},
        {"account": "333333333333", "events": 2},
    ]);
    assert_eq!(ask(&dir, &["night.toml", "--window", DAY], sql), expected);
    // Also when objects have expired, and when all have.
    let late = dir.join(format!("logs/{}", pcs_key("2025-03-04T09")));
    std::fs::remove_file(late).expect("it is there");
    assert_eq!(ask(&dir, &["night.toml", "--window", DAY], sql), expected);
    std::fs::remove_dir_all(dir.join("logs/AWSLogs")).expect("it is there");
    assert_eq!(ask(&dir, &["night.toml", "--window", DAY], sql), expected);
}

#[test]
fn sources_of_delivered_logs_have_a_shape_of_their_own_each() {
    let dir = Dir::new();
    dir.write(
        "json/AWSLogs/111111111111/2025/03/03/a.log",
        "{\"at\":\"2025-03-03T01:00:00Z\",\"text\":\"of JSON\"}\n",
    );
    dir.write(
        "plain/2025/03/03/b.log",
        "10.0.0.1|2025-03-03T02:00:00Z|GET /\n",
    );
    dir.write(
        "night.toml",
        "name = \"night\"\n\
         [[source]]\nkind = \"delivered\"\npath = \"json\"\ntime = \"at\"\nmessage = \"text\"\n\
         [[source]]\nkind = \"delivered\"\npath = \"plain\"\nfields = [\"c-ip\", \"timestamp\", \"request\"]\n\
         delimiter = \"|\"\nmessage = \"request\"\nlog_group = \"web\"\n\
         [output]\nlocation = \"out\"\n[[query]]\nuse = \"hourly_count\"\n",
    );
    let receipt = run(&dir, &["--json"]).assert_success().stdout_run();
    assert_eq!(receipt["read"]["events"], 2);
    assert_eq!(receipt["exports"][1]["source"], 2);
    let sql = "SELECT account, region, log_group, message FROM logs ORDER BY timestamp";
    let rows = ask(&dir, &["night.toml", "--window", DAY], sql);
    let expected = json!([
        {"account": "111111111111", "region": null, "log_group": null, "message": "of JSON"},
        {"account": null, "region": null, "log_group": "web", "message": "GET /"},
    ]);
    assert_eq!(rows, expected);
}
