//! The stack of `deploy/`: the CloudFormation template, its Terraform twin, and a run with what the template makes.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::cloud::recent_day;
use crate::support::events::{DAY, HOUR};
use crate::support::moto::{Moto, REGION};
use crate::support::program::{Dir, Program, forget_aws};
use crate::support::python;

const NAME: &str = "logtally";

pub fn deploy(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(file)
}

fn read(file: &str) -> String {
    fs::read_to_string(deploy(file)).expect("a text file of deploy/")
}

/// Creates the stack with more parameters; returns what `tools/stack.py` prints.
fn create(moto: &Moto, parameters: &Value) -> Value {
    let mut given = json!({
        "LogGroupArns": [format!("arn:aws:logs:{REGION}:123456789012:log-group:/aws/lambda/checkout-*")],
        "AlarmEmail": "night@example.com",
    });
    for (name, value) in parameters.as_object().expect("an object") {
        given[name] = value.clone();
    }
    let mut tool = python::tool("stack.py");
    forget_aws(&mut tool);
    tool.arg(deploy("cloudformation.yaml"))
        .arg(NAME)
        .envs(moto.environment())
        .env("AWS_DEFAULT_REGION", REGION);
    python::ask(&mut tool, &given)
}

/// A stack in a server of its own.
struct Stack {
    moto: Moto,
    dir: Dir,
    /// What `tools/stack.py` prints.
    made: Value,
}

impl Stack {
    /// Creates the stack, with more parameters, and puts the job of `deploy/` where it belongs.
    fn create(parameters: &Value) -> Self {
        let moto = Moto::start();
        let made = create(&moto, parameters);
        let stack = Self {
            moto,
            dir: Dir::new(),
            made,
        };
        let (bucket, key) = stack.bucket_and_key("JobLocation");
        let folder = key.rsplit_once('/').expect("a folder").0.to_owned();
        stack
            .moto
            .put_object(&bucket, &key, read("nightly.toml").as_bytes());
        let sql = format!("{folder}/slowest.sql");
        stack
            .moto
            .put_object(&bucket, &sql, read("slowest.sql").as_bytes());
        stack
    }

    fn output(&self, name: &str) -> &str {
        self.made["outputs"][name]
            .as_str()
            .expect("an output of the stack")
    }

    /// The bucket and the key of an output that is a location.
    fn bucket_and_key(&self, output: &str) -> (String, String) {
        let location = self.output(output).strip_prefix("s3://").expect("a bucket");
        let (bucket, key) = location.split_once('/').expect("a key");
        (bucket.to_owned(), key.to_owned())
    }

    fn properties(&self, resource: &str) -> &Value {
        &self.made["properties"][resource]
    }

    fn container(&self) -> &Value {
        &self.properties("TaskDefinition")["ContainerDefinitions"][0]
    }

    /// The program as the task starts it, with the credentials of the task's role and other arguments.
    fn task(&self, arguments: &[&str]) -> Program {
        let mut program = self.dir.logtally(arguments).envs(self.moto.environment());
        let environment = self.container()["Environment"].as_array().expect("a list");
        for variable in environment {
            let text = |key: &str| variable[key].as_str().expect("a text").to_owned();
            program = program.env(text("Name"), text("Value"));
        }
        for (variable, key) in [
            ("AWS_ACCESS_KEY_ID", "AccessKeyId"),
            ("AWS_SECRET_ACCESS_KEY", "SecretAccessKey"),
            ("AWS_SESSION_TOKEN", "SessionToken"),
        ] {
            let value = self.made["credentials"][key].as_str().expect("a text");
            program = program.env(variable, value);
        }
        program
    }
}

/// Which events a pattern matches.
fn matches(pattern: &Value, events: &[Value]) -> Vec<bool> {
    let asked = json!({ "pattern": pattern, "events": events });
    python::ask(&mut python::tool("patterns.py"), &asked)
}

/// Puts events of two functions, the first with more on the second of two days.
fn put_events(moto: &Moto, before: i64, on: i64) {
    let (_, midnight) = recent_day();
    let day = |start: i64, events: i64| {
        (0..events).map(move |n| (start + n * 60_000, format!("event {n}")))
    };
    let week_before: Vec<(i64, String)> = day(midnight - 7 * DAY, before).collect();
    let events: Vec<(i64, String)> = day(midnight, on).collect();
    for events in [week_before, events] {
        moto.put_events(
            "/aws/lambda/checkout-api",
            "2026/11/20/[$LATEST]8384fc4f",
            &events,
        );
    }
    let report = "REPORT RequestId: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\tDuration: 469.40 ms\tBilled Duration: 500 ms\tMemory Size: 1024 MB\tMax Memory Used: 21 MB\t\n";
    moto.put_events(
        "/aws/lambda/checkout-worker",
        "2026/11/20/[$LATEST]9384fc4f",
        &[(midnight + HOUR, report)],
    );
}

#[test]
fn the_task_of_the_stack_runs_its_job_with_its_role_alone() {
    let stack = Stack::create(&json!({}));
    let (day, _) = recent_day();
    let week_before =
        (day.parse::<chrono::NaiveDate>().expect("a date") - chrono::Days::new(7)).to_string();
    put_events(&stack.moto, 300, 100);
    stack.moto.enforce_policies();

    let command: Vec<&str> = stack.container()["Command"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|word| word.as_str().expect("a text"))
        .collect();
    assert_eq!(command, ["run", stack.output("JobLocation")]);
    let job = command[1];
    let run = |window: &str| {
        let arguments = [&command[..], &["--window", window]].concat();
        let finished = stack.task(&arguments).run();
        finished.assert_success();
        let lines: Vec<Value> = finished
            .stderr
            .lines()
            .map(|line| serde_json::from_str(line).expect("a line of JSON"))
            .collect();
        lines
    };
    run(&week_before);
    let lines = run(&day);
    stack
        .task(&["status", job])
        .run()
        .assert_success()
        .stdout_contains("101 events");
    stack
        .task(&[
            "query",
            job,
            "--window",
            &day,
            "--format",
            "csv",
            "SELECT count(*) AS n FROM logs",
        ])
        .run()
        .assert_success()
        .stdout_is("n\n101\n");

    // What the alarms look at.
    for (filter, expected) in [("DoneMetric", 1), ("SettledMetric", 1), ("HalvedMetric", 1)] {
        let pattern = &stack.properties(filter)["FilterPattern"];
        let found = matches(pattern, &lines)
            .into_iter()
            .filter(|is_one| *is_one);
        assert_eq!(found.count(), expected, "{filter}: {lines:?}");
    }
}

#[test]
fn a_stack_takes_buckets_that_exist_and_a_secret() {
    let secret =
        format!("arn:aws:secretsmanager:{REGION}:123456789012:secret:webhook-a1b2c3:url::");
    let groups = json!([
        "arn:aws:logs:x:1:log-group:/a*",
        "arn:aws:logs:x:1:log-group:/b*"
    ]);
    let made = create(
        &Moto::start(),
        &json!({
            "ExistingExportsBucket": "acme-logs",
            "ExistingAnswersBucket": "acme-answers",
            "SecretArn": secret,
            "SecretVariable": "WEBHOOK",
            "JobFile": "checkout.toml",
            "Architecture": "ARM64",
            "LogGroupArns": groups,
        }),
    );
    assert_eq!(
        made["outputs"]["JobLocation"],
        "s3://acme-answers/jobs/checkout.toml"
    );
    assert_eq!(made["outputs"]["ExportsLocation"], "s3://acme-logs/exports");
    let properties = &made["properties"];
    assert!(properties["ExportsBucket"].is_null() && properties["AnswersBucketPolicy"].is_null());
    let task = &properties["TaskDefinition"];
    assert_eq!(task["RuntimePlatform"]["CpuArchitecture"], "ARM64");
    assert_eq!(
        task["ContainerDefinitions"][0]["Secrets"],
        json!([{ "Name": "WEBHOOK", "ValueFrom": secret }])
    );
    // Its key is no part of the secret's own ARN.
    let allowed = &properties["SecretPolicy"]["PolicyDocument"]["Statement"][0]["Resource"];
    assert_eq!(*allowed, secret.strip_suffix(":url::").expect("its key"));
    let of_role = &properties["TaskRole"]["Policies"][0]["PolicyDocument"];
    assert_eq!(of_role["Statement"][0]["Resource"], groups);
}

#[test]
fn the_stack_has_what_a_night_needs() {
    let stack = Stack::create(&json!({ "ScheduleTimezone": "Asia/Seoul" }));
    let (bucket, _) = stack.bucket_and_key("ExportsLocation");
    let of_bucket = |operation: &str| {
        stack
            .moto
            .call("s3", operation, json!({ "Bucket": bucket }))
    };
    let encryption = &of_bucket("get_bucket_encryption")["ServerSideEncryptionConfiguration"];
    assert_eq!(
        encryption["Rules"][0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"],
        "AES256"
    );
    let access = &of_bucket("get_public_access_block")["PublicAccessBlockConfiguration"];
    assert!(
        access
            .as_object()
            .expect("an object")
            .values()
            .all(|blocked| *blocked == true),
        "{access}"
    );
    let rules = of_bucket("get_bucket_lifecycle_configuration");
    assert_eq!(rules["Rules"].as_array().map(Vec::len), Some(2), "{rules}");
    assert!(of_bucket("get_bucket_versioning")["Status"].is_null());

    for policy in ["ExportsBucketPolicy", "AnswersBucketPolicy"] {
        let first = &stack.properties(policy)["PolicyDocument"]["Statement"][0];
        assert_eq!(first["Effect"], "Deny", "{first}");
        assert_eq!(
            first["Condition"],
            json!({ "Bool": { "aws:SecureTransport": "false" } })
        );
        assert_eq!(
            first["Resource"].as_array().map(Vec::len),
            Some(2),
            "{first}"
        );
    }

    let container = stack.container();
    assert_eq!(container["ReadonlyRootFilesystem"], true);
    assert_eq!(
        (&container["User"], &container["StopTimeout"]),
        (&json!("65532:65532"), &json!(120))
    );
    let schedule = stack
        .moto
        .call("scheduler", "get_schedule", json!({ "Name": NAME }));
    assert_eq!(schedule["FlexibleTimeWindow"]["Mode"], "OFF");
    assert_eq!(schedule["ScheduleExpressionTimezone"], "Asia/Seoul");
    let role = &stack.properties("ScheduleRole")["Policies"][0]["PolicyDocument"]["Statement"];
    assert_eq!(
        schedule["Target"]["Arn"],
        role[0]["Condition"]["ArnEquals"]["ecs:cluster"]
    );
    let alarms = stack.moto.call("cloudwatch", "describe_alarms", json!({}));
    let alarms = alarms["MetricAlarms"].as_array().expect("a list");
    assert_eq!(alarms.len(), 4);
    for alarm in alarms {
        assert_eq!(alarm["AlarmActions"], json!([stack.output("TopicArn")]));
        let evaluated = alarm["Period"]
            .as_u64()
            .zip(alarm["EvaluationPeriods"].as_u64());
        // CloudWatch looks back a week at the most.
        assert!(
            evaluated.is_some_and(|(period, periods)| period * periods <= 604_800),
            "{alarm}"
        );
    }
}

/// `init` prints what a job must be allowed.
#[test]
fn the_stack_allows_what_init_prints() {
    let stack = Stack::create(&json!({}));
    let dir = Dir::new();
    let printed = dir
        .logtally([
            "init",
            "--log-group",
            "/aws/lambda/checkout-*",
            "--staging",
            stack.output("ExportsLocation"),
            "--output",
            stack.output("AnswersLocation"),
            "--region",
            REGION,
            "--account",
            "123456789012",
            "--via",
            "auto",
            "--verify",
            "insights",
        ])
        .run();
    let printed = &printed.assert_success().stdout;
    let policies: Vec<Value> = printed
        .split("\n\n")
        .filter_map(|part| part.split_once('{'))
        .map(|(_, json)| serde_json::from_str(&format!("{{{json}")).expect("a policy"))
        .collect();
    let [of_role, of_bucket] = &policies[..] else {
        panic!("two policies in {printed}");
    };
    let statements = |policy: &Value| policy["Statement"].as_array().expect("a list").clone();
    let made = statements(&stack.properties("ExportsBucketPolicy")["PolicyDocument"]);
    // Of the stack, any job may export below its prefix.
    let covers = |pattern: &Value, resource: &Value| {
        let (pattern, resource) = (pattern.as_str(), resource.as_str());
        let (pattern, resource) = (pattern.expect("a text"), resource.expect("a text"));
        let mut rest = Some(resource);
        for (place, part) in pattern.split('*').enumerate() {
            rest = rest.and_then(|rest| match place {
                0 => rest.strip_prefix(part),
                _ => rest.split_once(part).map(|(_, rest)| rest),
            });
        }
        rest.is_some_and(|rest| rest.is_empty() || pattern.ends_with('*'))
    };
    for wanted in statements(of_bucket) {
        let is_allowed = made.iter().any(|statement| {
            let mut as_wide = wanted.clone();
            as_wide["Resource"] = statement["Resource"].clone();
            *statement == as_wide && covers(&statement["Resource"], &wanted["Resource"])
        });
        assert!(is_allowed, "{wanted:#} is not in {made:#?}");
    }
    let list = |value: &Value| match value {
        Value::Array(values) => values.clone(),
        one => vec![one.clone()],
    };
    let made = statements(&stack.properties("TaskRole")["Policies"][0]["PolicyDocument"]);
    for wanted in statements(of_role) {
        for action in list(&wanted["Action"]) {
            for resource in list(&wanted["Resource"]) {
                let is_allowed = made.iter().any(|statement| {
                    list(&statement["Action"]).contains(&action)
                        && list(&statement["Resource"])
                            .iter()
                            .any(|pattern| covers(pattern, &resource))
                });
                assert!(is_allowed, "{action} on {resource} is not in {made:#?}");
            }
        }
    }
}

#[test]
fn a_task_that_fails_is_told_and_one_that_was_started_twice_is_not() {
    let stack = Stack::create(&json!({}));
    let pattern = &stack.properties("TaskFailed")["EventPattern"];
    let stopped = |code: Option<u8>, stop_code: &str| {
        let container = match code {
            Some(code) => json!({ "name": "logtally", "exitCode": code }),
            None => json!({ "name": "logtally" }),
        };
        json!({
            "source": "aws.ecs",
            "detail-type": "ECS Task State Change",
            "detail": {
                "clusterArn": format!("arn:aws:ecs:{REGION}:123456789012:cluster/{NAME}"),
                "group": format!("family:{NAME}"),
                "lastStatus": "STOPPED",
                "stopCode": stop_code,
                "containers": [container],
            },
        })
    };
    let exited = |code| stopped(Some(code), "EssentialContainerExited");
    let mut running = exited(4);
    running["detail"]["lastStatus"] = json!("RUNNING");
    let mut other = exited(4);
    other["detail"]["group"] = json!("family:other");
    let events = [
        exited(0),
        exited(8),
        running,
        other,
        exited(4),
        exited(143),
        stopped(None, "TaskFailedToStart"),
    ];
    assert_eq!(
        matches(pattern, &events),
        [false, false, false, false, true, true, true]
    );
}

#[test]
fn the_filters_take_what_they_should() {
    let stack = Stack::create(&json!({}));
    let line = |outcome: &str, provisional: Option<bool>, week: Option<f64>| {
        let mut line = json!({ "event": "run.done", "outcome": outcome });
        if let Some(provisional) = provisional {
            line["provisional"] = json!(provisional);
        }
        if let Some(week) = week {
            line["week_over_week"] = json!(week);
        }
        line
    };
    let lines = [
        line("done", Some(false), Some(0.49)),
        line("done", Some(false), Some(0.5)),
        line("done", Some(true), Some(0.1)),
        line("skipped", Some(false), Some(0.1)),
        line("failed", None, None),
        line("held", None, None),
        json!({ "level": "INFO", "message": "run begins" }),
    ];
    for (filter, expected) in [
        ("DoneMetric", [true, true, true, true, false, false, false]),
        (
            "SettledMetric",
            [true, true, false, true, false, false, false],
        ),
        (
            "HalvedMetric",
            [true, false, false, false, false, false, false],
        ),
    ] {
        let pattern = &stack.properties(filter)["FilterPattern"];
        assert_eq!(matches(pattern, &lines), expected, "{filter}");
    }
}

#[test]
fn terraform_makes_what_cloudformation_makes() {
    let mut tool = python::tool("twins.py");
    tool.arg(deploy("cloudformation.yaml"))
        .arg(deploy("terraform"));
    let twins: Value = serde_json::from_str(&python::output(&mut tool)).expect("JSON");
    let (template, terraform) = (&twins["cloudformation"], &twins["terraform"]);
    for part in [
        "parameters",
        "outputs",
        "resources",
        "policies",
        "filters",
        "alarms",
    ] {
        assert_eq!(template[part], terraform[part], "{part}");
    }
    assert!(
        template["resources"]
            .as_object()
            .is_some_and(|resources| resources.len() > 20)
    );
}

#[test]
fn the_template_is_linted() {
    let lint = "import sys; from cfnlint.runner.cli import main; sys.argv[0] = 'cfn-lint'; main()";
    let mut lint = python::snippet(lint);
    lint.args(["--non-zero-exit-code", "informational", "--"])
        .arg(deploy("cloudformation.yaml"));
    assert_eq!(python::output(&mut lint), "");
}

#[test]
fn the_page_explains_every_parameter() {
    let template = read("cloudformation.yaml");
    let parameters = template
        .split("\nParameters:\n")
        .nth(1)
        .expect("parameters");
    let parameters = parameters
        .split("\nConditions:")
        .next()
        .expect("a section behind");
    let names: Vec<&str> = parameters
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.trim().strip_suffix(':'))
        .collect();
    assert!(names.len() > 20, "{names:?}");
    let page = fs::read_to_string(deploy("../docs/fargate.md")).expect("the page");
    for name in names {
        assert!(
            page.contains(&format!("`{name}`")),
            "{name} is not in docs/fargate.md"
        );
    }
}
