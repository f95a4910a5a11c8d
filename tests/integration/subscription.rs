//! `kind = "subscription"`: what Firehose and consumers of Kinesis leave of a subscription in S3.

use serde_json::{Value, json};

use crate::support::events::at;
use crate::support::in_place::{InPlace, gzip, notes};
use crate::support::job::JOB;
use crate::support::moto::Moto;

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
            [gzip(&web), gzip(control()), gzip(&again)].concat(),
        ),
        // The same records delivered again, compressed by Firehose too.
        (
            key("2025-03-03T01:05:00", ".gz"),
            gzip([gzip(&again), gzip(&web)].concat()),
        ),
        // Decompressed by Firehose.
        (key("2025-03-03T23:55:00", ""), other),
        // Ten hours late.
        (key("2025-03-04T09:30:00", ".gz"), gzip(&late)),
    ]
}

/// A job over these objects.
fn night() -> InPlace {
    InPlace::new("subscription", objects())
}

/// A job over objects with records, each with the time in its key.
fn night_of<const N: usize>(objects: [(&str, Vec<u8>); N]) -> InPlace {
    let objects = objects.map(|(arrived, object)| (key(arrived, ""), object));
    InPlace::new("subscription", objects)
}

const BY_GROUP: &str = "SELECT account, log_group, log_stream, count(*) AS events, min(message) AS first FROM logs GROUP BY 1, 2, 3 ORDER BY 1";

#[test]
fn a_day_has_each_event_once_by_its_own_time_and_its_late_ones() {
    let night = night();
    let receipt = night.receipt(&[]);
    assert_eq!(receipt["read"]["events"], 5);
    assert_eq!(receipt["read"]["duplicate_events"], 5);
    assert_eq!(notes(&receipt), [""; 0]);
    let events = night.hourly_count().integers("events");
    assert_eq!((events[0], events[22], events[23]), (3, 1, 1));
    assert_eq!(events.iter().sum::<i64>(), 5);
}

#[test]
fn the_columns_are_those_of_the_records_and_the_account() {
    let night = night();
    let expected = json!([
        {"account": "111111111111", "log_group": "/ecs/web", "log_stream": "/ecs/web/stream", "events": 3, "first": "ERROR \"二\" lines\n\tat x"},
        {"account": "222222222222", "log_group": "/aws/lambda/pay", "log_stream": "/aws/lambda/pay/stream", "events": 2, "first": "last"},
    ]);
    assert_eq!(night.ask(BY_GROUP), expected);
    let filtered = "SELECT count(*) AS events FROM logs WHERE log_group = '/ecs/web' AND account LIKE '1%' AND timestamp >= '2025-03-03'";
    assert_eq!(night.ask_of(&[JOB], filtered), json!([{"events": 3}]));
}

#[test]
fn a_location_of_a_subscription_is_recognised() {
    let night = night();
    let all = night.ask_of(
        &["logs"],
        "SELECT account, count(*) AS events FROM logs GROUP BY 1 ORDER BY 1",
    );
    assert_eq!(
        all,
        json!([{"account": "111111111111", "events": 4}, {"account": "222222222222", "events": 3}])
    );
    // An object of a consumer of Kinesis, with a name of its own, compressed twice.
    let one = gzip(record("1", "/a", &[(1, "2025-03-03T00:00:00Z", "x")]));
    night.dir.write("own/part-0001.gz", gzip(one));
    assert_eq!(
        night.ask_of(&["own"], "SELECT message FROM logs"),
        json!([{"message": "x"}])
    );
    // One object.
    let single = format!("logs/{}", key("2025-03-03T23:55:00", ""));
    assert_eq!(
        night.ask_of(&[&single], "SELECT count(*) AS n FROM logs"),
        json!([{"n": 2}])
    );
}

#[test]
fn on_s3_prefixes_with_a_zone_are_listed_for_the_hours_of_the_window() {
    let moto = Moto::shared();
    let bucket = "subscription-prefixes";
    moto.create_bucket(bucket);
    let night = InPlace::new("subscription", []);
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
    night.job_over(&format!("s3://{bucket}"), &source, "");
    let text = night.dir.read_text(JOB);
    night.dir.write(
        JOB,
        text.replace("[source]", "timezone = \"Asia/Seoul\"\n[source]"),
    );
    let receipt = night.receipt_on(moto);
    assert_eq!(receipt["read"]["events"], 2);
    assert_eq!(receipt["read"]["objects"], 1);
}

#[test]
fn a_prefix_that_no_object_has_is_an_error_and_no_day_without_events() {
    let night = night();
    night.job("prefix = \"app/!{timestamp:yyyy/MM/dd}/\"", "");
    night.run(&[]).assert_code(2).stderr_contains(
        "holds no object whose key begins with \\\"app/!{timestamp:yyyy/MM/dd}/\\\"",
    );
    night.job("", "");
    let quiet = night.run_of("2025-02-03", &["--json"]);
    assert_eq!(quiet.assert_success().stdout_run()["read"]["events"], 0);
}

#[test]
fn damage_names_the_object_and_the_place() {
    let night = night();
    let (key, object) = objects().remove(2);
    night.put(&key, &object[..object.len() - 5]);
    night
        .run(&[])
        .assert_code(5)
        .stderr_contains(&key)
        .stderr_contains("is cut off: the record at byte 0 of its text");
    assert!(!night.dir.join("out/night/hourly_count").exists());
}

#[test]
fn messages_alone_count_at_the_time_of_their_object() {
    let object = gzip("INFO one\nERROR two\n");
    let night = InPlace::new(
        "subscription",
        [(key("2025-03-03T05:00:00", ".gz"), object)],
    );
    night
        .run(&[])
        .assert_code(5)
        .stderr_contains("It looks like plain text")
        .stderr_contains("messages_only = true");
    night.job("messages_only = true\nlog_group = \"/ecs/web\"", "");
    night.run(&[]).assert_success();
    let sql = "SELECT log_group, message, extract(epoch FROM timestamp)::bigint AS at FROM logs ORDER BY message";
    assert_eq!(
        night.ask(sql),
        json!([
            {"log_group": "/ecs/web", "message": "ERROR two", "at": 1_740_978_000},
            {"log_group": "/ecs/web", "message": "INFO one", "at": 1_740_978_000},
        ])
    );
}

#[test]
fn an_archive_has_the_account_and_each_event_once() {
    let night = night();
    night.job("", "[archive]\ncolumns = { level = \"level(message)\" }\n");
    night.run(&[]).assert_success();
    let mut accounts = night.archive().texts("account");
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
    assert_eq!(night.ask(sql), expected);
}

#[test]
fn late_objects_are_counted_when_the_window_is_done_again() {
    let night = night();
    let late = objects().remove(3).0;
    let object = night.take(&late);
    assert_eq!(night.receipt(&[])["read"]["events"], 4);
    night.put(&late, object);
    let receipt = night.receipt(&["--force"]);
    assert_eq!(receipt["read"]["events"], 5);
    assert_eq!(receipt["change"]["events"], 1);
}

#[test]
fn messages_of_objects_of_other_names_are_of_the_hour_of_their_folder() {
    let night = InPlace::new("subscription", []);
    night.put("2025/03/03/23/abc", "written later\n");
    night.job("messages_only = true", "");
    assert_eq!(night.receipt(&[])["read"]["events"], 1);

    let records = record(
        "111111111111",
        "/ecs/web",
        &[(1, "2025-03-03T12:00:00Z", "a message of a record")],
    );
    night.put("2025/03/03/23/abc", records);
    night
        .run(&["--force"])
        .assert_code(5)
        .stderr_contains("has records, and no messages alone");
}

#[test]
fn a_location_is_read_whole_where_no_name_is_known_and_says_what_it_leaves_out() {
    let dir = InPlace::new("subscription", []).dir;
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

/// In a zone that is not that of Firehose, the objects of a day are those of other hours.
#[test]
fn a_window_without_events_is_noted_where_objects_arrived_or_others_are_there() {
    // By its name, the object is of the day; its events are of the day before.
    let before = record("1", "/a", &[(1, "2025-03-02T05:00:00Z", "x")]);
    let night = night_of([("2025-03-03T05:00:00", before)]);
    let receipt = night.receipt(&[]);
    assert_eq!(receipt["read"]["events"], 0);
    let noted = notes(&receipt).join("\n");
    let expected = "1 object of logs arrived within 2025-03-03, and it has no event of it";
    assert!(noted.contains(expected), "{noted}");
    assert!(noted.contains("prefix_timezone"), "{noted}");

    let quiet = night.run_of("2025-02-03", &["--json"]);
    let receipt = quiet.assert_success().stdout_run();
    let noted = notes(&receipt).join("\n");
    assert!(
        noted.contains("has no object of 2025-02-02T22:00Z"),
        "{noted}"
    );
}

/// What arrives in the first minutes of a window may well be of the one before, and a day of few events is no fault.
#[test]
fn quiet_windows_have_no_note_of_their_objects() {
    let before = record("1", "/a", &[(1, "2025-03-02T23:59:59Z", "x")]);
    let night = night_of([("2025-03-03T00:05:00", before)]);
    let receipt = night.receipt(&[]);
    assert_eq!(receipt["read"]["events"], 0);
    assert_eq!(notes(&receipt), [""; 0]);
}
