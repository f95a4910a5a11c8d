//! `plan` prints what `run` would do, and `init` writes a first job and prints the policies that it needs.

use serde_json::{Value, json};

use crate::support::events::at;
use crate::support::job::{JOB, Night};
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
        .stdout_contains("logtally plan jobs/checkout.toml")
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
    let [bucket, role] = &policies[..] else {
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
        "arn:aws:s3:::acme-logs/exports/*"
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
    plan.stderr_contains("credentials");
    assert!(matches!(plan.code(), Some(4 | 7)), "{plan}");
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
    assert!(allows(role, "logs:GetQueryResults", &everything), "{role}");
    assert!(allows(role, "logs:StopQuery", &everything), "{role}");
    assert!(!role.to_string().contains("ExportTask"), "{role}");
    assert!(!role.to_string().contains("arn:aws:"), "{role}");

    let policies = own("auto", "metrics", "us-gov-west-1");
    let [bucket, role] = &policies[..] else {
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
        policies[0]["Statement"][0]["Principal"],
        json!({"Service": "logs.cn-northwest-1.amazonaws.com.cn"})
    );
    let deletable = json!([
        "arn:aws-cn:s3:::acme-logs/exports/*",
        "arn:aws-cn:s3:::acme-analytics/logtally/*/runs/_state/*",
    ]);
    assert!(allows(&policies[1], "s3:DeleteObject", &deletable));
    let role = policies[1].to_string();
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
