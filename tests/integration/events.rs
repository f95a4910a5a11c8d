//! `via = "events"` and `"auto"`: events from the Logs API are written like an export and lead to the same answers.

use serde_json::{Value, json};

use crate::support::cloud::{Cloud, JOB, recent_day};
use crate::support::events::{DAY, MESSAGES};
use crate::support::moto::Moto;

/// A query for every event with all its columns.
const ALL: &str = "[[query]]\nname = \"everything\"\nsql = \"all.sql\"\n";
const ALL_SQL: &str =
    "SELECT timestamp, log_group, log_stream, message FROM logs ORDER BY timestamp";

/// Events with every kind of message, unordered, at both ends of the window, in streams whose names an export changes.
/// They are at whole seconds, since moto's export drops milliseconds.
fn put_events(cloud: &Cloud) {
    let (_, midnight) = recent_day();
    let streams = [
        "2026/11/20/[$LATEST]8384fc4f4204e4521a5c7742b76ea1ef",
        "web/app/7",
        "web/app-7",
        "plain",
    ];
    for (number, stream) in streams.iter().enumerate() {
        let events: Vec<(i64, String)> = (0..400)
            .map(|n: i64| {
                let second = (n * 48_271 + 7 * i64::try_from(number).expect("small")) % 90_000;
                let message = MESSAGES[usize::try_from(n).expect("positive") % MESSAGES.len()];
                (midnight - 1_800_000 + second * 1000, message.to_owned())
            })
            .chain([
                (midnight - 1000, "before".to_owned()),
                (midnight, "first\n".to_owned()),
                (midnight + DAY - 1000, "last 🦀\n\n".to_owned()),
                (midnight + DAY, "after".to_owned()),
            ])
            .collect();
        cloud
            .moto
            .put_events(&cloud.group("mixed"), stream, &events);
    }
}

/// The answers and charts with their ETags.
fn answers(cloud: &Cloud) -> Vec<(Value, Value)> {
    let objects = cloud.moto.list_objects(&cloud.answers(), "");
    objects
        .iter()
        .filter(|object| {
            let key = object["Key"].as_str().expect("a text");
            key.ends_with(".parquet")
        })
        .map(|object| (object["Key"].clone(), object["ETag"].clone()))
        .collect()
}

fn cloud(name: &'static str) -> Cloud<'static> {
    let moto = Moto::shared();
    moto.create_bucket(&format!("{name}-logs"));
    moto.create_bucket(&format!("{name}-answers"));
    let cloud = Cloud::without_logs(moto, name);
    put_events(&cloud);
    cloud.dir.write("all.sql", ALL_SQL);
    let job = cloud.dir.read_text(JOB);
    cloud.dir.write(JOB, format!("{job}{ALL}"));
    cloud
}

#[test]
fn events_and_an_export_task_lead_to_the_same_bytes() {
    let cloud = cloud("sameway");
    let exported = cloud.receipt([]);
    let by_task = answers(&cloud);
    assert_eq!(by_task.len(), 2);
    assert_eq!(cloud.tasks().len(), 1);

    for (from, via) in [("staging", "via = \"events\"\nstaging"), ("events", "auto")] {
        cloud.edit(from, via);
        let fetched = cloud.receipt(["--force=export"]);
        assert_eq!(answers(&cloud), by_task, "the same bytes");
        assert_eq!(cloud.tasks().len(), 1, "no task more");
        assert_eq!(fetched["read"]["events"], exported["read"]["events"]);
        assert_eq!(fetched["exports"][0]["task_id"], "events");
        assert_eq!(fetched["exports"][0]["reused"], false);
    }

    // The layout is that of an export: below the attempt's prefix a folder for each stream, named as an export does.
    let prefix = cloud.receipt(["--force"])["exports"][0]["prefix"].clone();
    let prefix = prefix.as_str().expect("a text");
    let prefix = prefix
        .strip_prefix("s3://sameway-logs/")
        .expect("the staging bucket");
    let keys = cloud.moto.keys(&cloud.logs(), prefix);
    let manifest = cloud
        .moto
        .get_object(&cloud.logs(), &format!("{prefix}/manifest.json"));
    let manifest: Value = serde_json::from_slice(&manifest).expect("it is JSON");
    let objects = manifest["objects"].as_array().expect("a list");
    assert!(objects.len() >= 3, "{manifest}");
    for object in objects {
        let key = object["key"].as_str().expect("a text");
        let segments: Vec<&str> = key.split('/').collect();
        let [folder, stream, number] = segments[..] else {
            panic!("{key}")
        };
        assert!(folder.starts_with("events-"), "{key}");
        assert!(
            [
                "2026-11-20-[$LATEST]8384fc4f4204e4521a5c7742b76ea1ef",
                "web-app-7",
                "plain"
            ]
            .contains(&stream),
            "{key}"
        );
        assert_eq!(number, "000000.gz", "{key}");
        assert!(keys.contains(&format!("{prefix}/{key}")), "{key}");
    }
    let (_, midnight) = recent_day();
    assert_eq!(
        manifest["range"],
        json!({"start_ms": midnight, "end_ms": midnight + DAY})
    );
}

#[test]
fn only_streams_with_the_prefix_are_fetched() {
    let cloud = cloud("prefixed");
    cloud.edit(
        "staging",
        "via = \"events\"\nlog_stream_prefix = \"web/\"\nstaging",
    );
    cloud.receipt([]);
    let streams = "SELECT DISTINCT log_stream FROM logs ORDER BY 1";
    let asked = cloud
        .logtally(["query", JOB, "--format", "json", streams])
        .run();
    assert_eq!(
        asked.assert_success().stdout_json(),
        json!([{"log_stream": "web-app-7"}])
    );
}

#[test]
fn a_refused_permission_names_the_events() {
    let moto = Moto::start();
    let cloud = Cloud::new(&moto, "noevents");
    cloud.edit("staging", "via = \"events\"\nstaging");
    let user = moto.create_user("exporter", &["s3:*", "logs:DescribeLogGroups"]);
    moto.enforce_policies();
    let finished = cloud.program(["--json"]).envs(user).run();
    finished
        .assert_code(4)
        .stderr_contains("FilterLogEvents")
        .stderr_contains("noevents-api");
}
