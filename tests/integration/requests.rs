//! The number of a run's requests: each object and each page of log groups is requested once, for any number of queries
//! and windows, and each query is planned once.

use serde_json::{Value, json};

use crate::support::cloud::{Cloud, JOB, recent_day};
use crate::support::events::HOUR;
use crate::support::export::Export;
use crate::support::faults::Faults;
use crate::support::moto::Moto;
use crate::support::program::Dir;

const OBJECTS: usize = 60;

/// The requests to the bucket `asked-logs` after the first `since` bytes of the server's log: objects and listings.
fn asked(moto: &Moto, since: usize) -> (usize, usize) {
    let log = moto.log();
    let requests = || {
        let lines = log[since..].lines();
        lines.filter(|line| line.contains("\"GET /asked-logs"))
    };
    let objects = requests().filter(|line| line.contains(".gz"));
    let listings = requests().filter(|line| line.contains("list-type=2"));
    (objects.count(), listings.count())
}

#[test]
fn each_object_is_asked_for_once_however_many_questions_there_are() {
    let moto = Moto::shared();
    let cloud = Cloud::without_logs(moto, "asked");
    moto.create_bucket("asked-logs");
    moto.create_bucket("asked-answers");
    let (_, midnight) = recent_day();
    let folder = Dir::new();
    let export = Export::new(folder.path());
    for number in 0..OBJECTS {
        let stream = format!("stream-{number:02}");
        export.stream(
            &stream,
            &[(midnight + HOUR, "first"), (midnight + 2 * HOUR, "second")],
        );
    }
    moto.put_folder("asked-logs", "exports", folder.path());
    cloud.edit("kind = \"cloudwatch\"", "kind = \"exported\"");
    cloud.edit("log_groups = [\"/aws/lambda/asked-*\"]\n", "");
    cloud.edit("staging = ", "path = ");

    let run = || {
        let since = moto.log().len();
        let receipt = cloud.receipt(["--force"]);
        assert_eq!(receipt["read"]["events"], 2 * OBJECTS);
        asked(moto, since)
    };
    assert_eq!(run(), (OBJECTS, 1), "one query");

    let queries = [
        (
            "of_one_stream",
            "SELECT count(*) AS n FROM logs WHERE log_stream = 'stream-07'",
        ),
        (
            "twice",
            "SELECT count(*) AS n FROM logs AS a JOIN logs AS b USING (log_stream)",
        ),
        (
            "messages",
            "SELECT message, count(*) AS n FROM logs GROUP BY 1 ORDER BY 1",
        ),
        ("few", "SELECT message FROM logs LIMIT 1"),
    ];
    for (name, sql) in queries {
        cloud.dir.write(format!("{name}.sql"), sql);
        let query = format!("[[query]]\nname = \"{name}\"\nsql = \"{name}.sql\"\n");
        cloud.edit("[[query]]\nuse", &format!("{query}[[query]]\nuse"));
    }
    assert_eq!(run(), (OBJECTS, 1), "five queries");

    // A single query may read an object more than once.
    cloud.edit("[[query]]\nuse = \"hourly_count\"\n", "");
    for name in ["messages", "few", "of_one_stream"] {
        let query = format!("[[query]]\nname = \"{name}\"\nsql = \"{name}.sql\"\n");
        cloud.edit(&query, "");
    }
    assert_eq!(run(), (OBJECTS, 1), "one query that reads everything twice");
}

#[test]
fn log_groups_are_listed_and_questions_planned_once_for_plan_and_windows_together() {
    let moto = Moto::shared();
    let cloud = Cloud::new(moto, "once");
    cloud.edit("-*\"]", "-*\", \"/ecs/once\"]");
    cloud.dir.write(
        "total.sql",
        "SELECT sum(events) AS events FROM hourly_count",
    );
    let query = "[[query]]\nname = \"total\"\nsql = \"total.sql\"\n";
    cloud.edit(
        "use = \"hourly_count\"\n",
        &format!("use = \"hourly_count\"\n{query}"),
    );
    let (last, _) = recent_day();
    let first = last.parse::<chrono::NaiveDate>().expect("a day") - chrono::Days::new(1);
    let faults = Faults::before(moto, json!({}));
    let windows = ["--from", &first.to_string(), "--to", &last];
    let run = cloud
        .logtally([&["run", JOB, "--json", "-v"], &windows[..]].concat())
        .envs(faults.environment())
        .run();
    let runs = run.assert_success().stdout_json();
    assert_eq!(runs["runs"].as_array().map(Vec::len), Some(2));
    assert_eq!(runs["runs"][1]["exports"].as_array().map(Vec::len), Some(3));

    // A request for each of the two patterns, whose groups are on one page.
    let did = faults.did();
    assert_eq!(did.requests["logs.DescribeLogGroups"], 2, "{did:?}");

    let lines = run
        .stderr
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let planned: Vec<String> = lines
        .filter(|line| line["message"] == "planning")
        .map(|line| line["origin"].to_string())
        .collect();
    for origin in ["the built-in hourly_count", "total.sql"] {
        let times = planned
            .iter()
            .filter(|planned| planned.contains(origin))
            .count();
        assert_eq!(times, 1, "{origin} in {planned:?}");
    }
}
