//! A job over several accounts and Regions, against moto, which keeps them apart.

use serde_json::{Value, json};

use crate::support::cloud::{Cloud, JOB, recent_day};
use crate::support::events::at;
use crate::support::job::Night;
use crate::support::moto::{Moto, REGION};

const IRELAND: &str = "eu-west-1";

/// The account that the tests' own credentials are of, and another one.
const FIRST: &str = "123456789012";
const OTHER: &str = "210987654321";

/// A call in an account and Region.
fn call(account: &str, region: &str, service: &str, operation: &str, arguments: Value) -> Value {
    json!({
        "service": service, "operation": operation, "arguments": arguments, "region": region, "account": account,
    })
}

/// The same log group with `events` events of the day in an account and Region, and a bucket for its exports.
fn account(account: &str, region: &str, bucket: &str, events: i64) -> Vec<Value> {
    let (_, midnight) = recent_day();
    let group = json!({"logGroupName": "/ecs/web"});
    let stream = json!({"logGroupName": "/ecs/web", "logStreamName": "web/1"});
    let events = (0..events).map(|number| {
        json!({"timestamp": midnight + number, "message": format!("event {number} of {account} in {region}")})
    });
    let put = json!({
        "logGroupName": "/ecs/web", "logStreamName": "web/1", "logEvents": events.collect::<Vec<_>>(),
    });
    let place = json!({"LocationConstraint": region});
    let create = json!({"Bucket": bucket, "CreateBucketConfiguration": place});
    vec![
        call(account, region, "s3", "create_bucket", create),
        call(account, region, "logs", "create_log_group", group),
        call(account, region, "logs", "create_log_stream", stream),
        call(account, region, "logs", "put_log_events", put),
    ]
}

fn source(account: &str, region: &str, bucket: &str, keys: &str) -> String {
    format!(
        "[[source]]\nkind = \"cloudwatch\"\nlog_groups = [\"/ecs/*\"]\nstaging = \"s3://{bucket}/exports\"\nregion = \"{region}\"\nrole_arn = \"arn:aws:iam::{account}:role/logs\"\n{keys}\n"
    )
}

/// A job over two accounts, one of them in two Regions.
fn organisation<'m>(moto: &'m Moto, via: &str) -> Cloud<'m> {
    let cloud = Cloud::without_logs(moto, "organisation");
    moto.create_bucket("organisation-answers");
    let mut calls = account(FIRST, REGION, "acme-seoul", 2);
    calls.extend(account(FIRST, IRELAND, "acme-ireland", 3));
    calls.extend(account(OTHER, REGION, "other-seoul", 5));
    moto.calls(calls);
    let sources = [
        source(FIRST, REGION, "acme-seoul", via),
        source(FIRST, IRELAND, "acme-ireland", via),
        source(
            OTHER,
            REGION,
            "other-seoul",
            &format!("name = \"other\"\n{via}"),
        ),
    ];
    let sql = "SELECT account, region, log_group, count(*) AS events FROM logs GROUP BY 1, 2, 3 ORDER BY 1, 2";
    cloud.dir.write("accounts.sql", sql);
    cloud.dir.write(
        JOB,
        format!(
            "name = \"night\"\n{}[output]\nlocation = \"s3://organisation-answers/logtally\"\n[[query]]\nname = \"accounts\"\nsql = \"accounts.sql\"\n",
            sources.concat()
        ),
    );
    cloud
}

fn rows() -> Value {
    let row = |account: &str, region: &str, events: u32| json!({"account": account, "region": region, "log_group": "/ecs/web", "events": events});
    json!([
        row(FIRST, REGION, 2),
        row(FIRST, IRELAND, 3),
        row(OTHER, REGION, 5),
    ])
}

#[test]
fn two_accounts_and_two_regions_are_one_table() {
    let moto = Moto::start();
    let cloud = organisation(&moto, "");
    let receipt = cloud.receipt([]);
    assert_eq!(receipt["read"]["events"], 10);
    let origins: Vec<&Value> = receipt["sources"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|source| &source["origin"])
        .collect();
    let origin = |account: &str, region: &str| json!({"account": account, "region": region});
    let expected = [
        origin(FIRST, REGION),
        origin(FIRST, IRELAND),
        origin(OTHER, REGION),
    ];
    assert_eq!(origins, expected.iter().collect::<Vec<_>>());
    assert_eq!(receipt["sources"][2]["name"], "other");
    assert_eq!(receipt["exports"][2]["source"], 3);

    // Once more: it is done.
    assert_eq!(cloud.receipt([])["status"], "skipped");

    let (day, _) = recent_day();
    let ask = |sql: &str| {
        let arguments = ["query", JOB, "--window", &day, "--format", "json", sql];
        cloud
            .logtally(arguments)
            .run()
            .assert_success()
            .stdout_json()
    };
    let of_answer = ask("SELECT account, region, log_group, events FROM accounts ORDER BY events");
    assert_eq!(of_answer, rows());
    let of_exports = ask(
        "SELECT account, region, log_group, count(*) AS events FROM logs GROUP BY 1, 2, 3 ORDER BY 4",
    );
    assert_eq!(of_exports, rows());
    let filtered = ask(&format!(
        "SELECT count(*) AS events FROM logs WHERE account = '{OTHER}'"
    ));
    assert_eq!(filtered, json!([{"events": 5}]));

    let plan = cloud.logtally(["plan", JOB, "--window", &day]).run();
    plan.assert_success().stdout_contains(&format!(
        "[[source]] 3 (other), account {OTHER} in {REGION}"
    ));
}

#[test]
fn events_of_several_accounts_are_fetched_without_a_slot() {
    let moto = Moto::start();
    let cloud = organisation(&moto, "via = \"events\"");
    assert_eq!(cloud.receipt([])["read"]["events"], 10);
}

#[test]
fn a_missing_bucket_is_said_of_its_source() {
    let moto = Moto::start();
    let cloud = organisation(&moto, "");
    cloud.edit("s3://other-seoul/exports", "s3://other-nowhere/exports");
    cloud.run([]).assert_code(2).stderr_contains(
        r#"[[source]] 3 (other) staging: the bucket \"other-nowhere\" does not exist"#,
    );
}

#[test]
fn each_role_and_bucket_has_a_policy() {
    let moto = Moto::start();
    let cloud = organisation(&moto, "");
    let policy = |holder: &str| {
        let arguments = ["doctor", JOB, "--print-policy", holder];
        cloud
            .logtally(arguments)
            .run()
            .assert_success()
            .stdout_json()
    };
    let roles = policy("role");
    let roles = roles.as_object().expect("a policy for each role");
    let arn = |account: &str| format!("arn:aws:iam::{account}:role/logs");
    let names: Vec<&String> = roles.keys().collect();
    assert_eq!(names, [&arn(FIRST), &arn(OTHER)]);
    let groups = roles[&arn(FIRST)].to_string();
    for region in [REGION, IRELAND] {
        let group = format!("arn:aws:logs:{region}:{FIRST}:log-group:/ecs/*");
        assert!(groups.contains(&group), "{groups}");
    }
    let buckets = policy("bucket");
    let buckets = buckets.as_object().expect("a policy for each bucket");
    let names: Vec<&String> = buckets.keys().collect();
    assert_eq!(names, ["acme-ireland", "acme-seoul", "other-seoul"]);
    let identity = policy("identity");
    let assume = &identity["Statement"][0];
    assert_eq!(assume["Action"], json!(["sts:AssumeRole"]));
    assert_eq!(assume["Resource"], json!([arn(FIRST), arn(OTHER)]));
}

/// Objects of another program, a folder of events and the answers of both, with what a source does not say as NULL.
#[test]
fn kinds_of_sources_are_mixed_in_one_table() {
    const DAY: &str = "2025-03-03";
    let night = Night::with("", "");
    let noon = at("2025-03-03T12:00:00Z");
    night
        .export()
        .stream("web/app", &[(noon, "exported"), (noon + 1, "too")]);
    night.dir.write(
        "events/%2Fsvc%2Fa/web.ndjson",
        format!("{{\"timestamp\": {noon}, \"message\": \"of a folder\"}}\n"),
    );
    let job = night.dir.read_text("night.toml");
    let sources = "[[source]]\nkind = \"exported\"\npath = \"exported\"\n[[source]]\nname = \"folder\"\nkind = \"directory\"\npath = \"events\"\n";
    let job = job.replace(
        "[source]\nkind = \"exported\"\npath = \"exported\"\n",
        sources,
    );
    let archive = "[archive]\n[archive.columns]\nlength = \"length(message)\"\n";
    night.dir.write("night.toml", format!("{job}{archive}"));
    let receipt = night.receipt(DAY);
    assert_eq!(receipt["read"]["events"], 3);
    assert_eq!(receipt["sources"][1]["name"], "folder");
    let sql = "SELECT account, region, log_group, count(*) AS events FROM logs GROUP BY 1, 2, 3 ORDER BY 3";
    let rows = json!([
        {"account": null, "region": null, "log_group": "/svc/a", "events": 1},
        {"account": null, "region": null, "log_group": null, "events": 2},
    ]);
    let ask = || {
        night
            .dir
            .logtally([
                "query",
                "night.toml",
                "--window",
                DAY,
                "--format",
                "json",
                sql,
            ])
            .run()
            .assert_success()
            .stdout_json()
    };
    assert_eq!(ask(), rows);
    assert_eq!(night.receipt(DAY)["status"], "skipped");
}
