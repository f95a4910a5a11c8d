//! `doctor` says before a night whether it will work, and the policies that it prints are enough, and no more.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::cloud::{Cloud, JOB};
use crate::support::events::at;
use crate::support::job::Night;
use crate::support::moto::{Moto, REGION};
use crate::support::program::Finished;

/// The findings of `doctor --json` with this outcome.
fn with_outcome<'a>(report: &'a Value, outcome: &str) -> Vec<&'a Value> {
    let findings = report["findings"].as_array().expect("a list").iter();
    findings.filter(|one| one["outcome"] == outcome).collect()
}

/// The one finding whose message contains a text.
fn finding<'a>(report: &'a Value, text: &str) -> &'a Value {
    let findings = report["findings"].as_array().expect("a list").iter();
    let is_so = |one: &&Value| {
        one["message"]
            .as_str()
            .is_some_and(|said| said.contains(text))
    };
    let found: Vec<&Value> = findings.filter(is_so).collect();
    assert_eq!(found.len(), 1, "{text:?} in {report:#}");
    found[0]
}

fn examine(cloud: &Cloud<'_>) -> Finished {
    cloud.logtally(["doctor", JOB, "--json"]).run()
}

#[test]
fn a_job_without_aws_is_examined_on_disk() {
    let night = Night::new();
    night
        .export()
        .stream("web/app", &[(at("2025-03-03T10:00:00Z"), "x")]);
    let doctor = |arguments: &[&str]| {
        let all = ["doctor", "night.toml"].iter().chain(arguments);
        night.dir.logtally(all).run()
    };
    let before = night.dir.files();
    doctor(&[])
        .assert_success()
        .stdout_contains("1 query and 1 chart planned")
        .stdout_contains("exported: can be read")
        .stdout_contains("answers can be written")
        .stdout_contains("The next run will work:\n  logtally run night.toml");
    assert_eq!(night.dir.files(), before, "nothing stays");
    let report = doctor(&["--json"]).assert_success().stdout_json();
    assert_eq!(report["works"], true);
    assert_eq!(report["exit_code"], 0);
    assert_eq!(report["night"], Value::Null);
    doctor(&["--print-policy"])
        .assert_code(2)
        .stderr_contains("uses nothing on AWS");

    // A file is where the folder of the answers would be.
    night.dir.write("out", "in the way");
    let report = doctor(&["--json"]);
    let report = report.assert_code(7).stdout_json();
    assert_eq!(report["works"], false);
    let failed = with_outcome(&report, "failed");
    assert_eq!(failed.len(), 1, "{report:#}");
    assert!(
        failed[0]["subject"]
            .as_str()
            .expect("a path")
            .ends_with("/out")
    );

    let night = Night::with("", "[[query]]\nname = \"wrong\"\nsql = \"wrong.sql\"\n");
    night.dir.write("wrong.sql", "SELECT nope FROM logs");
    // The exported objects are missing too: all that is wrong is said at once.
    let finished = night.dir.logtally(["doctor", "night.toml"]).run();
    finished
        .assert_code(2)
        .stdout_contains("nope")
        .stdout_contains("exported: the source can't be read")
        .stdout_contains("The next run will not work: 2 checks failed.");
}

/// What a run does with the logs by export tasks and the metric, and what it does by events and Insights.
const WAYS: [(&str, &str); 2] = [
    ("export-task", "verify = \"metrics\""),
    ("events", "verify = \"insights\""),
];

fn policy(cloud: &Cloud<'_>, holder: &str) -> Value {
    let finished = cloud
        .logtally(["doctor", JOB, "--print-policy", holder])
        .run();
    finished.assert_success().stdout_json()
}

/// What `work` gives for 0, 1, 2 …, several at a time.
fn at_once<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return done;
            }
            done.push((number, work(number)));
        }
    };
    let mut done: Vec<(usize, T)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(worker)).collect();
        let ended = workers.into_iter().map(|worker| worker.join());
        ended
            .flat_map(|done| done.expect("no worker panics"))
            .collect()
    });
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, done)| done).collect()
}

/// The policies with one action less, each with that action and the bucket that loses it.
fn with_one_action_less(policy: &Value) -> Vec<(String, Option<String>, Value)> {
    let mut reduced = Vec::new();
    let statements = policy["Statement"].as_array().expect("a list");
    for (number, statement) in statements.iter().enumerate() {
        for action in statement["Action"].as_array().expect("a list") {
            let resources = match &statement["Resource"] {
                Value::Array(resources) => resources.clone(),
                one => vec![one.clone()],
            };
            // A statement about two buckets is needed for each.
            let of_bucket = |bucket: &str| -> Vec<Value> {
                let is_of = |one: &&Value| one.as_str().is_some_and(|arn| arn.contains(bucket));
                resources
                    .iter()
                    .filter(|one| !is_of(one))
                    .cloned()
                    .collect()
            };
            let mut losses = vec![(None, Vec::new())];
            if action
                .as_str()
                .is_some_and(|action| action.starts_with("s3:"))
                && resources.len() > 1
            {
                losses = ["-logs", "-answers"]
                    .map(|bucket| (Some(bucket.to_owned()), of_bucket(bucket)))
                    .to_vec();
            }
            for (bucket, left) in losses {
                let mut policy = policy.clone();
                let actions = statement["Action"].as_array().expect("a list").iter();
                let others: Vec<&Value> = actions.filter(|one| *one != action).collect();
                policy["Statement"][number]["Action"] = match others.is_empty() {
                    // A statement needs an action.
                    true => json!(["s3:GetBucketTagging"]),
                    false => json!(others),
                };
                if !left.is_empty() {
                    let kept = json!({"Effect": "Allow", "Action": action, "Resource": left});
                    let statements = policy["Statement"].as_array_mut();
                    statements.expect("a list").push(kept);
                }
                let action = action.as_str().expect("a text").to_owned();
                reduced.push((action, bucket, policy));
            }
        }
    }
    reduced
}

#[test]
fn the_printed_policies_are_enough_and_doctor_names_each_action_that_lacks() {
    let moto = Moto::start();
    let cloud = Cloud::new(&moto, "least");
    cloud.edit(
        "use = \"hourly_count\"\n",
        "use = \"hourly_count\"\nfile_size = \"1MiB\"\n",
    );
    let job = cloud.dir.read_text(JOB);
    let write = |(via, verify): (&str, &str)| {
        let keys = format!("kind = \"cloudwatch\"\nvia = {via:?}\nkeep = \"1h\"\n{verify}");
        cloud
            .dir
            .write(JOB, job.replace("kind = \"cloudwatch\"", &keys));
    };
    let mut users = Vec::new();
    for way in WAYS {
        write(way);
        let identity = policy(&cloud, "identity");
        let mut policies = vec![(String::new(), None, identity.clone())];
        policies.extend(with_one_action_less(&identity));
        users.push((way, policies));
    }
    write(WAYS[0]);
    let bucket = policy(&cloud, "bucket");
    moto.call(
        "s3",
        "put_bucket_policy",
        json!({"Bucket": "least-logs", "Policy": bucket.to_string()}),
    );
    let whole: Vec<(String, &Value)> = users
        .iter()
        .enumerate()
        .flat_map(|(way, (_, policies))| {
            let numbered = policies.iter().enumerate();
            numbered.map(move |(number, (_, _, policy))| (format!("way{way}-{number}"), policy))
        })
        .collect();
    let keys = moto.users_with(&whole);
    let key_of = |name: &str| keys[name].clone();
    moto.enforce_policies();

    for (number, (way, policies)) in users.iter().enumerate() {
        write(*way);
        let enough = key_of(&format!("way{number}-0"));
        // The policy of the bucket can't be read with it, and nothing has been exported yet.
        if number == 0 {
            let finished = cloud
                .logtally(["doctor", JOB, "--json"])
                .envs(enough.clone())
                .run();
            let report = finished.assert_code(9).stdout_json();
            assert_eq!(report["works"], Value::Null);
            let unknown = with_outcome(&report, "not-checked");
            assert_eq!(unknown.len(), 1, "{report:#}");
            assert_eq!(unknown[0]["missing"]["holder"], "bucket");
        }
        // The second run deletes what it replaces: exports, and parts of answers.
        for force in ["--force=export", "--force=export"] {
            let finished = cloud.program(["--json", force]).envs(enough.clone()).run();
            let receipt = finished.assert_success().stdout_run();
            assert_eq!(receipt["read"]["events"], 98);
            finished
                .stderr_lacks("could not")
                .stderr_lacks("Denied")
                .stderr_lacks("not authorized");
        }
        let finished = cloud.logtally(["doctor", JOB, "--json"]).envs(enough).run();
        let report = finished.assert_success().stdout_json();
        assert_eq!(report["works"], true, "{report:#}");

        let without: Vec<Finished> = at_once(policies.len() - 1, |other| {
            let user = key_of(&format!("way{number}-{}", other + 1));
            cloud.logtally(["doctor", JOB, "--json"]).envs(user).run()
        });
        for ((action, bucket, _), finished) in policies[1..].iter().zip(&without) {
            let what = format!("{way:?} without {action} on {bucket:?}\n{finished}");
            assert!(matches!(finished.code(), Some(4 | 7)), "{what}");
            let report = finished.stdout_json();
            let failed = with_outcome(&report, "failed");
            let names = |one: &&Value| {
                let missing = &one["missing"];
                let is_about = bucket.as_ref().is_none_or(|bucket| {
                    let resource = missing["statement"]["Resource"].to_string();
                    resource.contains(bucket.as_str())
                });
                missing["statement"]["Action"] == json!([action]) && is_about
            };
            assert!(failed.iter().any(names), "{what}");
            // Only what lacks is said to lack.
            assert!(
                failed
                    .iter()
                    .all(|one| one["missing"]["statement"]["Action"] == json!([action])),
                "{what}"
            );
        }
    }
}

#[test]
fn what_is_wrong_with_buckets_and_groups_is_said_with_what_mends_it() {
    let moto = Moto::start();
    let cloud = Cloud::new(&moto, "sick");
    // No policy lets CloudWatch write.
    let report = examine(&cloud).assert_code(4).stdout_json();
    let lacking = finding(&report, "does not allow CloudWatch s3:PutObject");
    assert_eq!(lacking["missing"]["holder"], "bucket");
    assert_eq!(lacking["missing"]["of"], "sick-logs");
    assert_eq!(
        lacking["missing"]["statement"]["Resource"],
        "arn:aws:s3:::sick-logs/exports/night/*"
    );
    let put = |policy: &Value| {
        let arguments = json!({"Bucket": "sick-logs", "Policy": policy.to_string()});
        moto.call("s3", "put_bucket_policy", arguments);
    };
    let good = policy(&cloud, "bucket");
    put(&good);
    let report = examine(&cloud).assert_success().stdout_json();
    finding(&report, "lets CloudWatch export to it");
    finding(&report, "free, and used by nothing else");
    finding(&report, "all keep their events");
    // The groups hold something, and no metric says how much of it is a night's.
    assert!(report["night"]["bytes"].as_u64() > Some(0), "{report:#}");
    assert_eq!(report["night"]["prices_of"], REGION);

    // The policy is another account's, or denies it.
    put(
        &serde_json::from_str(&good.to_string().replace("123456789012", "999999999999"))
            .expect("it is JSON"),
    );
    let report = examine(&cloud).assert_code(4).stdout_json();
    finding(&report, "does not allow CloudWatch s3:GetBucketAcl");
    let mut denied = good.clone();
    denied["Statement"].as_array_mut().expect("a list").push(json!({
        "Sid": "OnlyUs", "Effect": "Deny", "Principal": {"Service": "logs.ap-northeast-2.amazonaws.com"},
        "Action": "s3:PutObject", "Resource": "*",
    }));
    put(&denied);
    let report = examine(&cloud).assert_code(4).stdout_json();
    finding(
        &report,
        "\"OnlyUs\" of the bucket's policy denies CloudWatch s3:PutObject",
    );
    put(&good);

    // A key of the account's own: CloudWatch's use of it can't be read, and an export shows it.
    let key = moto.call("kms", "create_key", json!({}))["KeyMetadata"]["Arn"].clone();
    let rule = json!({"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}});
    let encryption =
        json!({"Bucket": "sick-logs", "ServerSideEncryptionConfiguration": {"Rules": [rule]}});
    moto.call("s3", "put_bucket_encryption", encryption);
    let report = examine(&cloud).assert_code(9).stdout_json();
    let unknown = finding(&report, "not checked whether CloudWatch may use the key");
    assert_eq!(unknown["missing"]["holder"], "key");
    assert_eq!(unknown["missing"]["of"], key);
    let of_key = policy(&cloud, "key");
    assert_eq!(
        of_key["Statement"][1]["Principal"]["Service"],
        "logs.ap-northeast-2.amazonaws.com"
    );
    let identity = policy(&cloud, "identity").to_string();
    assert!(identity.contains("kms:GenerateDataKey"), "{identity}");
    cloud.run([]).assert_success();
    let report = examine(&cloud).assert_success().stdout_json();
    finding(&report, "CloudWatch may use the key: the export task");
    moto.call(
        "s3",
        "delete_bucket_encryption",
        json!({"Bucket": "sick-logs"}),
    );
    cloud
        .logtally(["doctor", JOB, "--print-policy", "key"])
        .run()
        .assert_code(2)
        .stderr_contains("no KMS key");

    // Retention is shorter than the windows that are read.
    let group = cloud.group("api");
    let retention = |days: u32| {
        let arguments = json!({"logGroupName": group, "retentionInDays": days});
        moto.call("logs", "put_retention_policy", arguments);
    };
    retention(1);
    let report = examine(&cloud).assert_code(4).stdout_json();
    assert_eq!(
        finding(&report, "deleted before they are exported")["subject"],
        group.as_str()
    );
    retention(3);
    let report = examine(&cloud).assert_success().stdout_json();
    assert_eq!(
        finding(&report, "can't be exported again")["outcome"],
        "warning"
    );
    moto.call(
        "logs",
        "delete_retention_policy",
        json!({"logGroupName": group}),
    );

    // Names and globs.
    cloud.edit(
        "\"/aws/lambda/sick-*\"",
        "\"/aws/lambda/sick-*\", \"/aws/other/*\"",
    );
    let report = examine(&cloud).assert_success().stdout_json();
    assert_eq!(
        finding(&report, "others are read without it")["outcome"],
        "warning"
    );
    cloud.edit("\"/aws/other/*\"", "\"/aws/lambda/sick-apj\"");
    let report = examine(&cloud).assert_code(2).stdout_json();
    finding(&report, "did you mean \"/aws/lambda/sick-api\"?");
    cloud.edit(", \"/aws/lambda/sick-apj\"", "");

    // Regions and buckets.
    cloud.edit(
        "kind = \"cloudwatch\"",
        "kind = \"cloudwatch\"\nregion = \"eu-west-1\"",
    );
    let report = examine(&cloud).assert_code(2).stdout_json();
    finding(
        &report,
        "the bucket is in ap-northeast-2, and the logs are in eu-west-1",
    );
    cloud.edit("\nregion = \"eu-west-1\"", "");
    cloud.edit("sick-answers", "sick-nowhere");
    let report = examine(&cloud).assert_code(2).stdout_json();
    finding(&report, "the bucket \"sick-nowhere\" does not exist");
    cloud.edit("sick-nowhere", "sick-answers");

    // No object of any examination is left.
    for bucket in ["sick-logs", "sick-answers"] {
        let listed = moto
            .call("s3", "list_objects_v2", json!({"Bucket": bucket}))
            .to_string();
        assert!(!listed.contains("doctor-probe"), "{listed}");
    }
    assert_eq!(cloud.tasks().len(), 2, "doctor begins no export");
}

#[test]
fn credentials_that_do_not_work_are_said_and_nothing_else_is_tried() {
    let moto = Moto::start();
    let cloud = Cloud::new(&moto, "nobody");
    moto.enforce_policies();
    let finished = cloud
        .logtally(["doctor", JOB])
        .env("AWS_ACCESS_KEY_ID", "AKIANOBODY")
        .run();
    finished
        .assert_code(7)
        .stdout_contains("credentials: AWS STS does not say whose the credentials are")
        .stdout_contains("logs and buckets: not checked, because");
    let finished = cloud
        .logtally(["doctor", JOB])
        .env("AWS_ACCESS_KEY_ID", "")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .run();
    finished
        .assert_code(4)
        .stdout_contains("nothing was sent to AWS: no credentials found");
}

fn iam(operation: &str, arguments: &Value) -> Value {
    json!({"service": "iam", "operation": operation, "arguments": arguments})
}

#[test]
fn a_role_and_the_identity_that_assumes_it_have_policies_of_their_own() {
    let moto = Moto::start();
    let cloud = Cloud::new(&moto, "two");
    let arn = "arn:aws:iam::123456789012:role/logs-reader";
    cloud.edit(
        "kind = \"cloudwatch\"",
        &format!("kind = \"cloudwatch\"\nrole_arn = {arn:?}"),
    );
    let trust = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]});
    let role = json!({"RoleName": "logs-reader", "AssumeRolePolicyDocument": trust.to_string()});
    moto.calls(vec![iam("create_role", &role)]);
    let of_role = policy(&cloud, "role");
    let put = json!({"RoleName": "logs-reader", "PolicyName": "logs", "PolicyDocument": of_role.to_string()});
    moto.calls(vec![iam("put_role_policy", &put)]);
    let identity = policy(&cloud, "identity");
    let mut without_role = identity.clone();
    let statements = without_role["Statement"].as_array_mut().expect("a list");
    assert_eq!(statements.remove(0)["Action"], json!(["sts:AssumeRole"]));
    let users = [
        ("enough".to_owned(), &identity),
        ("less".to_owned(), &without_role),
    ];
    let keys = moto.users_with(&users);
    moto.enforce_policies();
    cloud
        .program([])
        .envs(keys["enough"].clone())
        .run()
        .assert_success();
    let doctor = |user: &str| {
        let all = ["doctor", JOB, "--json"];
        cloud.logtally(all).envs(keys[user].clone()).run()
    };
    let report = doctor("enough").assert_success().stdout_json();
    finding(&report, "assumed for the logs, account 123456789012");
    let report = doctor("less").assert_code(4).stdout_json();
    let missing = finding(&report, "trust policy must name the identity");
    let message = missing["message"].as_str().expect("a text");
    assert!(
        message.contains("is not authorized to perform: sts:AssumeRole"),
        "{message}"
    );
    let missing = &missing["missing"];
    assert_eq!(missing["holder"], "identity");
    assert_eq!(missing["statement"]["Resource"], arn);
}

#[cfg(feature = "glue")]
#[test]
fn the_tables_of_glue_are_examined_and_each_action_that_lacks_is_named() {
    let moto = Moto::start();
    let cloud = Cloud::new(&moto, "glued");
    cloud.edit(
        "[[query]]\n",
        "[[query]]\nname = \"counts\"\nsql = \"counts.sql\"\n[[query]]\n",
    );
    let sql = "SELECT count(*) AS events FROM logs";
    cloud.dir.write("counts.sql", sql);
    let bucket = json!({"Bucket": "glued-logs", "Policy": policy(&cloud, "bucket").to_string()});
    moto.call("s3", "put_bucket_policy", bucket);
    let apply = ["ddl", JOB, "--apply", "--database", "nightly"];
    let doctor = ["doctor", JOB, "--json", "--database", "nightly"];
    let report = cloud.logtally(doctor).run().assert_success().stdout_json();
    finding(&report, "the database does not exist");
    cloud.logtally(apply).run().assert_success();
    let report = cloud.logtally(doctor).run().assert_success().stdout_json();
    let fits = |one: &&Value| one["message"] == "the table fits the answers";
    assert_eq!(
        with_outcome(&report, "ok").into_iter().filter(fits).count(),
        2
    );

    // A column more, and a table less.
    cloud.dir.write(
        "counts.sql",
        format!("{sql}, max(timestamp) AS last FROM logs").replace(" FROM logs,", ","),
    );
    let table = json!({"DatabaseName": "nightly", "Name": "night_hourly_count"});
    moto.call("glue", "delete_table", table);
    let report = cloud.logtally(doctor).run().assert_success().stdout_json();
    assert_eq!(
        finding(&report, "lacks something of the answers")["outcome"],
        "warning"
    );
    cloud
        .dir
        .write("counts.sql", "SELECT count(*)::text AS events FROM logs");
    let report = cloud.logtally(doctor).run().assert_code(2).stdout_json();
    finding(&report, "its readers rely on what it is");
    cloud.dir.write("counts.sql", sql);

    let print = [
        "doctor",
        JOB,
        "--print-policy",
        "identity",
        "--database",
        "nightly",
    ];
    let identity = cloud.logtally(print).run().assert_success().stdout_json();
    let of_glue: Vec<_> = with_one_action_less(&identity)
        .into_iter()
        .filter(|(action, _, _)| action.starts_with("glue:"))
        .collect();
    assert_eq!(of_glue.len(), 5);
    let mut users: Vec<(String, &Value)> = of_glue
        .iter()
        .map(|(action, _, policy)| (action.replace(':', "-"), policy))
        .collect();
    users.push(("enough".to_owned(), &identity));
    let keys = moto.users_with(&users);
    moto.enforce_policies();
    for (action, _, _) in &of_glue {
        let keys = keys[&action.replace(':', "-")].clone();
        let finished = cloud.logtally(doctor).envs(keys).run();
        let report = finished.assert_code(7).stdout_json();
        let failed = with_outcome(&report, "failed");
        assert_eq!(failed.len(), 1, "{report:#}");
        assert_eq!(failed[0]["missing"]["statement"]["Action"], json!([action]));
    }
    let enough = keys["enough"].clone();
    cloud.logtally(apply).envs(enough).run().assert_success();
}
