//! `plan` prints what `run` would do, and `init` writes a first job and prints the policies that it needs.

use serde_json::{Value, json};

use std::path::Path;

use crate::support::events::at;
use crate::support::job::{JOB, Night};
use crate::support::moto::{Moto, REGION};
use crate::support::program::{Dir, Finished};

#[test]
fn the_plan_is_what_the_run_does() {
    let night = Night::new();
    night
        .export()
        .stream("web/app", &[(at("2025-03-03T10:00:00Z"), "x")]);
    let before = night.dir.files();
    let plan = |arguments: &[&str]| -> Value {
        let all = ["plan", JOB, "--json"].iter().chain(arguments);
        let finished = night.dir.logtally(all).run();
        finished.assert_success().stdout_json()
    };
    let range = ["--from", "2025-03-02", "--to", "2025-03-03"];
    let planned = plan(&range);
    assert_eq!(night.dir.files(), before, "a plan writes nothing");
    let windows = planned["windows"].as_array().expect("a list");
    assert_eq!(windows.len(), 2);
    night.run_with(range).assert_success();
    let mut outputs: Vec<String> = windows
        .iter()
        .flat_map(|window| window["outputs"].as_array().expect("a list"))
        .map(|output| output.as_str().expect("a text").to_owned())
        .collect();
    outputs.sort();
    // Both windows write the latest chart, the later one last.
    outputs.dedup();
    assert_eq!(outputs, night.outputs());
    assert_eq!(windows[0]["action"], "compute");

    // The run has made the window done.
    let planned = plan(&range);
    assert_eq!(planned["windows"][0]["action"], "skip");
    let planned = plan(&["--window", "2025-03-03", "--force=export"]);
    assert_eq!(planned["windows"][0]["action"], "export-and-compute");
    let text = night
        .dir
        .logtally(["plan", JOB, "--window", "2025-03-03"])
        .run();
    text.assert_success()
        .stdout_contains("2025-03-03")
        .stdout_contains("UTC")
        .stdout_contains("it is done");
    night
        .dir
        .logtally(["plan", JOB, "--window", "2025-03-3"])
        .run()
        .assert_code(2);
}

fn init(dir: &Dir, more: &[&str]) -> Finished {
    let arguments = [
        "init",
        "--log-group",
        "/aws/lambda/checkout-*",
        "--staging",
        "s3://acme-logs/exports",
        "--output",
        "s3://acme-analytics/logtally",
    ];
    dir.logtally(arguments.iter().chain(more)).run()
}

/// The JSON documents in a text.
fn documents(text: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("\n{") {
        rest = &rest[start + 1..];
        let end = rest.find("\n}").expect("it is closed") + 2;
        found.push(serde_json::from_str(&rest[..end]).expect("a policy is JSON"));
        rest = &rest[end..];
    }
    found
}

#[test]
fn init_writes_a_job_and_prints_its_policies() {
    let dir = Dir::new();
    let more = [
        "--timezone",
        "Asia/Seoul",
        "--region",
        "ap-northeast-2",
        "--account",
        "123456789012",
        "jobs/checkout.toml",
    ];
    let finished = init(&dir, &more);
    finished
        .assert_success()
        .stdout_contains("logtally doctor jobs/checkout.toml")
        .stdout_contains("logtally run jobs/checkout.toml");
    assert_eq!(
        dir.files(),
        ["jobs/checkout.toml", "jobs/logtally.schema.json"]
    );
    let job: toml::Table = dir
        .read_text("jobs/checkout.toml")
        .parse()
        .expect("it is TOML");
    assert_eq!(job["name"].as_str(), Some("checkout"));
    assert_eq!(job["timezone"].as_str(), Some("Asia/Seoul"));
    assert_eq!(job["source"]["region"].as_str(), Some("ap-northeast-2"));
    assert_eq!(
        job["source"]["staging"].as_str(),
        Some("s3://acme-logs/exports")
    );

    let policies = documents(&finished.stdout);
    let [role, bucket] = &policies[..] else {
        panic!("two policies were expected\n{finished}")
    };
    let statements = bucket["Statement"].as_array().expect("a list");
    for statement in statements {
        assert_eq!(
            statement["Principal"],
            json!({"Service": "logs.ap-northeast-2.amazonaws.com"})
        );
        assert_eq!(
            statement["Condition"]["StringEquals"]["aws:SourceAccount"],
            "123456789012"
        );
        assert_eq!(
            statement["Condition"]["ArnLike"]["aws:SourceArn"],
            "arn:aws:logs:ap-northeast-2:123456789012:log-group:*"
        );
    }
    assert_eq!(statements[0]["Action"], "s3:GetBucketAcl");
    assert_eq!(statements[0]["Resource"], "arn:aws:s3:::acme-logs");
    assert_eq!(statements[1]["Action"], "s3:PutObject");
    assert_eq!(
        statements[1]["Resource"],
        "arn:aws:s3:::acme-logs/exports/checkout/*"
    );
    assert_eq!(
        statements[1]["Condition"]["StringEquals"]["s3:x-amz-acl"],
        "bucket-owner-full-control"
    );
    let actions: Vec<&str> = role["Statement"]
        .as_array()
        .expect("a list")
        .iter()
        .flat_map(|statement| statement["Action"].as_array().expect("a list"))
        .filter_map(Value::as_str)
        .collect();
    for action in [
        "logs:CreateExportTask",
        "logs:DescribeExportTasks",
        "logs:DescribeLogGroups",
        "s3:GetObject",
        "s3:PutObject",
        "s3:ListBucket",
    ] {
        assert!(actions.contains(&action), "{action} is not in {actions:?}");
    }
    assert!(
        !actions.iter().any(|action| action.contains('*')),
        "{actions:?}"
    );

    // The job is valid, and `init` never replaces a file.
    let plan = dir.logtally(["plan", "jobs/checkout.toml"]).run();
    plan.assert_code(4).stderr_contains("credentials");
    let before = dir.read("jobs/checkout.toml");
    init(&dir, &more)
        .assert_code(2)
        .stderr_contains("jobs/checkout.toml");
    assert_eq!(dir.read("jobs/checkout.toml"), before);
}

#[test]
fn init_lists_the_permissions_of_what_the_job_does_in_its_partition() {
    let own = |via: &str, verify: &str, region: &str| {
        let dir = Dir::new();
        let finished = init(
            &dir,
            &["--via", via, "--verify", verify, "--region", region],
        );
        let job: toml::Table = dir.read_text("checkout.toml").parse().expect("it is TOML");
        assert_eq!(job["source"]["via"].as_str(), Some(via));
        assert_eq!(job["source"]["verify"].as_str(), Some(verify));
        documents(&finished.assert_success().stdout)
    };
    let allows = |role: &Value, action: &str, resource: &Value| {
        let statements = role["Statement"].as_array().expect("a list");
        statements.iter().any(|statement| {
            let actions = statement["Action"].as_array().expect("a list");
            actions.contains(&json!(action)) && statement["Resource"] == *resource
        })
    };
    let policies = own("events", "insights", "cn-north-1");
    let [role] = &policies[..] else {
        panic!("without export tasks the bucket needs no policy: {policies:?}")
    };
    let groups = json!("arn:aws-cn:logs:cn-north-1:ACCOUNT:log-group:/aws/lambda/checkout-*");
    let everything = json!("*");
    assert!(allows(role, "logs:FilterLogEvents", &groups), "{role}");
    assert!(allows(role, "logs:StartQuery", &groups), "{role}");
    assert!(allows(role, "logs:DescribeLogStreams", &groups), "{role}");
    assert!(allows(role, "logs:GetQueryResults", &groups), "{role}");
    assert!(allows(role, "logs:StopQuery", &everything), "{role}");
    assert!(!role.to_string().contains("ExportTask"), "{role}");
    assert!(!role.to_string().contains("arn:aws:"), "{role}");

    let policies = own("auto", "metrics", "us-gov-west-1");
    let [role, bucket] = &policies[..] else {
        panic!("{policies:?}")
    };
    let groups =
        json!("arn:aws-us-gov:logs:us-gov-west-1:ACCOUNT:log-group:/aws/lambda/checkout-*");
    assert!(allows(role, "logs:FilterLogEvents", &groups), "{role}");
    assert!(allows(role, "logs:CreateExportTask", &groups), "{role}");
    assert!(
        allows(role, "cloudwatch:GetMetricData", &everything),
        "{role}"
    );
    assert!(!role.to_string().contains("Query"), "{role}");
    assert_eq!(
        bucket["Statement"][0]["Resource"],
        "arn:aws-us-gov:s3:::acme-logs"
    );

    let policies = own("export-task", "off", "cn-northwest-1");
    assert_eq!(
        policies[1]["Statement"][0]["Principal"],
        json!({"Service": "logs.cn-northwest-1.amazonaws.com.cn"})
    );
    let deletable = json!([
        "arn:aws-cn:s3:::acme-logs/exports/checkout/*",
        "arn:aws-cn:s3:::acme-analytics/logtally/checkout/runs/_state/*",
    ]);
    assert!(allows(&policies[0], "s3:DeleteObject", &deletable));
    let role = policies[0].to_string();
    assert!(!role.contains("FilterLogEvents") && !role.contains("GetMetricData"));
}

#[test]
fn init_says_what_is_missing() {
    let dir = Dir::new();
    let files = ["checkout.toml", "logtally.schema.json"];
    init(&dir, &[])
        .assert_success()
        .stdout_contains("REGION")
        .stdout_contains("--account");
    assert_eq!(dir.files(), files);
    for (arguments, expected) in [
        (&["--timezone", "Asia/Soul", "x.toml"][..], "Asia/Seoul"),
        (&["--name", "Not A Name", "x.toml"], "Not A Name"),
        (&["--staging", "folder", "x.toml"], "staging"),
    ] {
        let finished = init(&dir, arguments);
        assert_eq!(finished.code(), Some(2), "{finished}");
        finished.stderr_contains(expected);
    }
    let finished = dir
        .logtally([
            "init",
            "--log-group",
            "/x",
            "--staging",
            "folder",
            "--output",
            "out",
            "x.toml",
        ])
        .run();
    finished.assert_code(2).stderr_contains("folder");
    assert_eq!(dir.files(), files);
}

/// The block of the README that begins with this line, without the line.
fn block_of_readme(first_line: &str) -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(readme).expect("the README");
    let (_, block) = readme.split_once(first_line).expect("the block");
    let (block, _) = block.split_once("```").expect("the block's end");
    block.trim_start().to_owned()
}

/// The date in the line of a plan that names its window.
fn date_of(plan: &str) -> chrono::NaiveDate {
    let (_, window) = plan.split_once("\nwindow   ").expect("a window");
    window[..10].parse().expect("a date")
}

#[test]
fn the_plan_in_the_readme_is_what_the_program_prints() {
    let moto = Moto::start();
    for bucket in ["acme-logs", "acme-analytics"] {
        moto.create_bucket(bucket);
    }
    for group in ["/aws/lambda/checkout-api", "/aws/lambda/checkout-worker"] {
        moto.call("logs", "create_log_group", json!({"logGroupName": group}));
    }
    let dir = Dir::new();
    init(&dir, &["--timezone", "Asia/Seoul", "--region", REGION]).assert_success();
    // A day that settled, and is the newest one.
    let day = (chrono::Utc::now().date_naive() - chrono::TimeDelta::days(4)).to_string();
    let plan = dir
        .logtally(["plan", "checkout.toml", "--window", &day])
        .envs(moto.environment())
        .run();
    let printed = plan.assert_success().stdout.clone();
    let expected = block_of_readme("$ logtally plan checkout.toml\n");
    let (then, now) = (date_of(&expected), date_of(&printed));
    let mut printed = printed;
    let day = |date: chrono::NaiveDate, days| (date + chrono::TimeDelta::days(days)).to_string();
    // Marks in between, as both may have a date.
    for days in [-1, 0, 1] {
        printed = printed.replace(&day(now, days), &format!("{{{days}}}"));
    }
    for days in [-1, 0, 1] {
        printed = printed.replace(&format!("{{{days}}}"), &day(then, days));
    }
    assert_eq!(printed, expected);
}

#[test]
fn init_writes_the_policies_of_several_log_groups_into_files() {
    let dir = Dir::new();
    let where_to = ["--region", "eu-west-1", "--account", "123456789012"];
    let more = ["--log-group", "/ecs/checkout", "--policies", "policies"];
    let arguments: Vec<&str> = more.iter().chain(&where_to).copied().collect();
    let finished = init(&dir, &arguments);
    finished
        .assert_success()
        .stdout_contains("wrote policies/identity.json")
        .stdout_contains(
            "put-bucket-policy --bucket acme-logs --policy file://policies/bucket.json",
        );
    let files = [
        "checkout.toml",
        "logtally.schema.json",
        "policies/bucket.json",
        "policies/identity.json",
    ];
    assert_eq!(dir.files(), files);
    let job: toml::Table = dir.read_text("checkout.toml").parse().expect("it is TOML");
    let groups = job["source"]["log_groups"].as_array().expect("a list");
    assert_eq!(groups.len(), 2);
    let identity = dir.read_json("policies/identity.json");
    let group = |end: &str| format!("arn:aws:logs:eu-west-1:123456789012:log-group:{end}");
    assert_eq!(
        identity["Statement"][0]["Resource"],
        json!([
            group("/aws/lambda/checkout-*"),
            group("/ecs/checkout"),
            group("/ecs/checkout:*")
        ])
    );

    // Nothing is replaced, and nothing is written where one file is there.
    let again: Vec<&str> = arguments.iter().chain(&["other.toml"]).copied().collect();
    init(&dir, &again)
        .assert_code(2)
        .stderr_contains("policies/identity.json exists already");
    assert_eq!(dir.files(), files);

    // One policy is nothing but JSON, the same as in the file, and nothing is written.
    let only = |more: &[&str]| {
        let dir = Dir::new();
        let finished = init(&dir, more);
        assert!(dir.files().is_empty());
        finished
    };
    let mut printed: Vec<&str> = vec!["--log-group", "/ecs/checkout", "--print-policy"];
    printed.extend(where_to);
    assert_eq!(only(&printed).assert_success().stdout_json(), identity);
    let bucket = only(&[&["--print-policy", "bucket"][..], &where_to[..]].concat());
    assert_eq!(
        bucket.assert_success().stdout_json(),
        dir.read_json("policies/bucket.json")
    );
    let key = "arn:aws:kms:eu-west-1:123456789012:key/1";
    let of_key = only(
        &[
            &["--print-policy", "key", "--kms-key", key][..],
            &where_to[..],
        ]
        .concat(),
    );
    assert_eq!(
        of_key.assert_success().stdout_json()["Statement"][1]["Sid"],
        "LogtallyExports"
    );
    for (arguments, expected) in [
        (
            &[
                "--print-policy",
                "key",
                "--region",
                "eu-west-1",
                "--account",
                "1",
            ][..],
            "no KMS key",
        ),
        (
            &[
                "--print-policy",
                "role",
                "--region",
                "eu-west-1",
                "--account",
                "1",
            ],
            "role_arn is not set",
        ),
        (
            &["--print-policy", "identity"],
            "the placeholder REGION: expected --region",
        ),
        (&["--kms-key", "alias/x"], "expected the key's ARN"),
    ] {
        only(arguments).assert_code(2).stderr_contains(expected);
    }
}
