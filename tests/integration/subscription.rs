//! `kind = "subscription"`: what Firehose and consumers of Kinesis leave of a subscription in S3.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::support::events::at;
use crate::support::moto::Moto;
use crate::support::parquet::Parquet;
use crate::support::program::{Dir, Finished};

const DAY: &str = "2025-03-03";
const UUID: &str = "5e3f2a7c-1d4b-4c8e-9f0a-2b6d8c1e7f43";

/// The key that Firehose gives an object by default, below a prefix.
fn key(arrived: &str, ending: &str) -> String {
    let [date, time] = [&arrived[..10], &arrived[11..19]];
    let folder = format!("{}/{}", date.replace('-', "/"), &time[..2]);
    format!(
        "{folder}/logs-to-s3-1-{date}-{}-{UUID}{ending}",
        time.replace(':', "-")
    )
}

/// A record as CloudWatch Logs sends it, without newlines.
fn record(owner: &str, group: &str, events: &[(u64, &str, &str)]) -> Vec<u8> {
    let events: Vec<Value> = events
        .iter()
        .map(|(id, time, message)| {
            json!({
                "id": format!("3195310660696698337880902507980421114328{id:016}"),
                "timestamp": at(time), "message": message,
            })
        })
        .collect();
    let record = json!({
        "messageType": "DATA_MESSAGE", "owner": owner, "logGroup": group,
        "logStream": format!("{group}/stream"), "subscriptionFilters": ["all"], "logEvents": events,
    });
    record.to_string().into_bytes()
}

fn control() -> Vec<u8> {
    let record = json!({
        "messageType": "CONTROL_MESSAGE", "owner": "CloudwatchLogs", "logGroup": "", "logStream": "",
        "subscriptionFilters": [], "logEvents": [{
            "id": "", "timestamp": at("2025-03-03T12:00:00Z"),
            "message": "CWL CONTROL MESSAGE: Checking health of destination Firehose.",
        }],
    });
    record.to_string().into_bytes()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

/// The objects of a day and its neighbours: each packed in another way, with duplicates, and late events.
fn objects() -> Vec<(String, Vec<u8>)> {
    let web = record(
        "111111111111",
        "/ecs/web",
        &[
            (1, "2025-03-02T23:59:59.999Z", "before"),
            (2, "2025-03-03T00:00:00Z", "INFO first"),
            (3, "2025-03-03T00:10:00Z", "ERROR \"二\" lines\n\tat x\n"),
        ],
    );
    let again = record(
        "111111111111",
        "/ecs/web",
        &[
            (3, "2025-03-03T00:10:00Z", "ERROR \"二\" lines\n\tat x\n"),
            (4, "2025-03-03T00:11:00Z", "INFO fourth"),
        ],
    );
    let other = record(
        "222222222222",
        "/aws/lambda/pay",
        &[
            (5, "2025-03-03T23:59:59.999Z", "last"),
            (6, "2025-03-04T00:00:00Z", "behind"),
        ],
    );
    let late = record(
        "222222222222",
        "/aws/lambda/pay",
        &[(7, "2025-03-03T22:00:00Z", "late")],
    );
    vec![
        // One gzip member for each record, and no ending: what Firehose leaves without compression.
        (
            key("2025-03-03T00:05:00", ""),
            [gzip(&web), gzip(&control()), gzip(&again)].concat(),
        ),
        // The same records delivered again, compressed by Firehose too.
        (
            key("2025-03-03T01:05:00", ".gz"),
            gzip(&[gzip(&again), gzip(&web)].concat()),
        ),
        // Decompressed by Firehose.
        (key("2025-03-03T23:55:00", ""), other),
        // Ten hours late.
        (key("2025-03-04T09:30:00", ".gz"), gzip(&late)),
    ]
}

/// A job over `logs/`, or over another location.
fn job(dir: &Dir, path: &str, source: &str, tail: &str) {
    dir.write(
        "night.toml",
        format!(
            "name = \"night\"\n[source]\nkind = \"subscription\"\npath = \"{path}\"\n{source}\n[output]\nlocation = \"out\"\n\
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

fn ask(dir: &Dir, subject: &str, sql: &str) -> Value {
    let arguments = ["query", subject, "--format", "json", sql];
    dir.logtally(arguments).run().assert_success().stdout_json()
}

const BY_GROUP: &str = "SELECT account, log_group, log_stream, count(*) AS events, min(message) AS first FROM logs GROUP BY 1, 2, 3 ORDER BY 1";

#[test]
fn a_day_has_each_event_once_by_its_own_time_and_its_late_ones() {
    let dir = folder();
    job(&dir, "logs", "", "");
    let receipt = run(&dir, &["--json"]).assert_success().stdout_run();
    assert_eq!(receipt["read"]["events"], 5);
    assert_eq!(receipt["read"]["duplicate_events"], 5);
    let answer = Parquet::read(dir.join(format!(
        "out/night/hourly_count/dt={DAY}/hourly_count.parquet"
    )));
    let events = answer.integers("events");
    assert_eq!((events[0], events[22], events[23]), (3, 1, 1));
    assert_eq!(events.iter().sum::<i64>(), 5);
}

#[test]
fn the_columns_are_those_of_the_records_and_the_account() {
    let dir = folder();
    job(&dir, "logs", "", "");
    let expected = json!([
        {"account": "111111111111", "log_group": "/ecs/web", "log_stream": "/ecs/web/stream", "events": 3, "first": "ERROR \"二\" lines\n\tat x"},
        {"account": "222222222222", "log_group": "/aws/lambda/pay", "log_stream": "/aws/lambda/pay/stream", "events": 2, "first": "last"},
    ]);
    let arguments = [
        "query",
        "night.toml",
        "--window",
        DAY,
        "--format",
        "json",
        BY_GROUP,
    ];
    let answer = dir.logtally(arguments).run();
    assert_eq!(answer.assert_success().stdout_json(), expected);
    let filtered = "SELECT count(*) AS events FROM logs WHERE log_group = '/ecs/web' AND account LIKE '1%' AND timestamp >= '2025-03-03'";
    assert_eq!(ask(&dir, "night.toml", filtered), json!([{"events": 3}]));
}

#[test]
fn a_location_of_a_subscription_is_recognised() {
    let dir = folder();
    let all = ask(
        &dir,
        "logs",
        "SELECT account, count(*) AS events FROM logs GROUP BY 1 ORDER BY 1",
    );
    assert_eq!(
        all,
        json!([{"account": "111111111111", "events": 4}, {"account": "222222222222", "events": 3}])
    );
    // An object of a consumer of Kinesis, with a name of its own, compressed twice.
    let one = &gzip(&record("1", "/a", &[(1, "2025-03-03T00:00:00Z", "x")]));
    dir.write("own/part-0001.gz", gzip(one));
    assert_eq!(
        ask(&dir, "own", "SELECT message FROM logs"),
        json!([{"message": "x"}])
    );
    // One object.
    let single = format!("logs/{}", key("2025-03-03T23:55:00", ""));
    assert_eq!(
        ask(&dir, &single, "SELECT count(*) AS n FROM logs"),
        json!([{"n": 2}])
    );
}

#[test]
fn on_s3_prefixes_with_a_zone_are_listed_for_the_hours_of_the_window() {
    let moto = Moto::shared();
    let bucket = "subscription-prefixes";
    moto.create_bucket(bucket);
    let dir = Dir::new();
    // 2025-03-03 in Seoul.
    let inside = record(
        "1",
        "/a",
        &[
            (1, "2025-03-02T15:00:00Z", "x"),
            (2, "2025-03-03T14:59:59Z", "y"),
        ],
    );
    for (folder, object) in [
        ("app/team=blue/dt=2025-03-03/00/", inside),
        // Never read: its records arrived days later.
        ("app/team=blue/dt=2025-03-09/00/", b"damaged".to_vec()),
        ("app/processing-failed/2025/03/03/", b"failed".to_vec()),
    ] {
        let date = &folder[folder.len() - 14..folder.len() - 4];
        let date = if date.starts_with("20") {
            date
        } else {
            "2025-03-03"
        };
        let name = format!("s-1-{date}-00-00-01-{UUID}");
        moto.put_object(bucket, &format!("{folder}{name}"), &object);
    }
    let prefix =
        "app/team=!{partitionKeyFromQuery:team}/dt=!{timestamp:yyyy-MM-dd}/!{timestamp:HH}/";
    let source = format!("prefix = \"{prefix}\"\nprefix_timezone = \"Asia/Seoul\"");
    job(&dir, &format!("s3://{bucket}"), &source, "");
    let text = dir.read_text("night.toml");
    dir.write(
        "night.toml",
        text.replace("[source]", "timezone = \"Asia/Seoul\"\n[source]"),
    );
    let finished = dir
        .logtally(["run", "night.toml", "--window", DAY, "--json"])
        .envs(moto.environment())
        .run();
    let receipt = finished.assert_success().stdout_run();
    assert_eq!(receipt["read"]["events"], 2);
    assert_eq!(receipt["read"]["objects"], 1);
}

#[test]
fn a_prefix_that_no_object_has_is_an_error_and_no_day_without_events() {
    let dir = folder();
    job(
        &dir,
        "logs",
        "prefix = \"app/!{timestamp:yyyy/MM/dd}/\"",
        "",
    );
    run(&dir, &[]).assert_code(2).stderr_contains(
        "holds no object whose key begins with \\\"app/!{timestamp:yyyy/MM/dd}/\\\"",
    );
    job(&dir, "logs", "", "");
    let quiet = dir.logtally(["run", "night.toml", "--window", "2025-02-03", "--json"]);
    assert_eq!(
        quiet.run().assert_success().stdout_run()["read"]["events"],
        0
    );
}

#[test]
fn damage_names_the_object_and_the_place() {
    let dir = folder();
    job(&dir, "logs", "", "");
    let (key, object) = objects().remove(2);
    dir.write(format!("logs/{key}"), &object[..object.len() - 5]);
    run(&dir, &[])
        .assert_code(5)
        .stderr_contains(&key)
        .stderr_contains("is cut off: the record at byte 0 of its text");
    assert!(!dir.join("out/night/hourly_count").exists());
}

#[test]
fn messages_alone_count_at_the_time_of_their_object() {
    let dir = Dir::new();
    dir.write(
        format!("logs/{}", key("2025-03-03T05:00:00", ".gz")),
        gzip("INFO one\nERROR two\n".as_bytes()),
    );
    job(&dir, "logs", "", "");
    run(&dir, &[])
        .assert_code(5)
        .stderr_contains("It looks like plain text")
        .stderr_contains("messages_only = true");
    job(
        &dir,
        "logs",
        "messages_only = true\nlog_group = \"/ecs/web\"",
        "",
    );
    run(&dir, &[]).assert_success();
    let arguments = ["query", "night.toml", "--window", DAY, "--format", "json"];
    let sql = "SELECT log_group, message, extract(epoch FROM timestamp)::bigint AS at FROM logs ORDER BY message";
    let rows = dir.logtally(arguments.iter().chain(&[sql])).run();
    assert_eq!(
        rows.assert_success().stdout_json(),
        json!([
            {"log_group": "/ecs/web", "message": "ERROR two", "at": 1_740_978_000},
            {"log_group": "/ecs/web", "message": "INFO one", "at": 1_740_978_000},
        ])
    );
}

#[test]
fn an_archive_has_the_account_and_each_event_once() {
    let dir = folder();
    job(
        &dir,
        "logs",
        "",
        "[archive]\ncolumns = { level = \"level(message)\" }\n",
    );
    run(&dir, &[]).assert_success();
    let events = Parquet::read(dir.join(format!("out/night/events/dt={DAY}/events-00000.parquet")));
    let mut accounts = events.texts("account");
    accounts.sort();
    assert_eq!(accounts.len(), 5);
    assert_eq!(
        (&*accounts[0], &*accounts[4]),
        ("111111111111", "222222222222")
    );
    let sql = "SELECT account, level(message) AS level, count(*) AS events FROM logs WHERE account = '111111111111' GROUP BY 1, 2 ORDER BY 2";
    let expected = json!([
        {"account": "111111111111", "level": "ERROR", "events": 1},
        {"account": "111111111111", "level": "INFO", "events": 2},
    ]);
    let arguments = [
        "query",
        "night.toml",
        "--window",
        DAY,
        "--format",
        "json",
        sql,
    ];
    assert_eq!(
        dir.logtally(arguments).run().assert_success().stdout_json(),
        expected
    );
}

#[test]
fn late_objects_are_counted_when_the_window_is_done_again() {
    let dir = folder();
    job(&dir, "logs", "", "");
    let late = objects().remove(3).0;
    let bytes = dir.read(format!("logs/{late}"));
    std::fs::remove_file(dir.join(format!("logs/{late}"))).expect("it is there");
    let receipt = run(&dir, &["--json"]).assert_success().stdout_run();
    assert_eq!(receipt["read"]["events"], 4);
    dir.write(format!("logs/{late}"), bytes);
    let receipt = run(&dir, &["--json", "--force"])
        .assert_success()
        .stdout_run();
    assert_eq!(receipt["read"]["events"], 5);
    assert_eq!(receipt["change"]["events"], 1);
}

#[test]
fn messages_of_objects_of_other_names_are_of_the_hour_of_their_folder() {
    let dir = Dir::new();
    dir.write("logs/2025/03/03/23/abc", "written later\n");
    job(&dir, "logs", "messages_only = true", "");
    let receipt = run(&dir, &["--json"]).assert_success().stdout_run();
    assert_eq!(receipt["read"]["events"], 1);

    let records = record(
        "111111111111",
        "/ecs/web",
        &[(1, "2025-03-03T12:00:00Z", "a message of a record")],
    );
    dir.write("logs/2025/03/03/23/abc", records);
    run(&dir, &["--force"])
        .assert_code(5)
        .stderr_contains("has records, and no messages alone");
}

#[test]
fn a_location_is_read_whole_where_no_name_is_known_and_says_what_it_leaves_out() {
    let dir = Dir::new();
    let one = |id: u64| record("1", "/a", &[(id, "2025-03-03T12:00:00Z", "x")]);
    dir.write("others/abc.json", one(1));
    dir.write("others/def", one(2));
    let count = |location: &str| {
        let sql = "SELECT count(*) AS events FROM logs";
        dir.logtally(["query", location, "--format", "json", sql])
            .run()
    };
    let events = |events: u64| json!([{ "events": events }]);
    assert_eq!(count("others").assert_success().stdout_json(), events(2));
    assert_eq!(
        count("others/def").assert_success().stdout_json(),
        events(1)
    );
    dir.write(format!("others/{}", key("2025-03-03T12:00:00", "")), one(3));
    let counted = count("others");
    assert_eq!(counted.assert_success().stdout_json(), events(1));
    counted.stderr_contains("2 objects are not read, such as abc.json");

    // What is wrong with an object is said where its name is Firehose's.
    let cut = &one(3)[..40];
    dir.write(format!("cut/{}", key("2025-03-03T12:00:00", "")), cut);
    count("cut").assert_code(5);
}
