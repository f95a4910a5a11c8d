use super::*;
use crate::job;

/// A job with these lines in its sections.
fn job(source: &str, output: &str, query: &str) -> Job {
    let text = format!(
        "name = \"night\"\n[source]\n{source}\n[output]\nlocation = \"{output}\"\n[[query]]\nuse = \"hourly_count\"\n{query}\n"
    );
    job::parse("/jobs/night.toml".as_ref(), &text).unwrap()
}

fn cloudwatch(more: &str) -> String {
    format!(
        "kind = \"cloudwatch\"\nlog_groups = [\"/a\"]\nstaging = \"s3://acme-logs/exports\"\n{more}"
    )
}

fn statements(policy: Option<Value>) -> Vec<Value> {
    policy.unwrap()["Statement"].as_array().unwrap().clone()
}

/// The actions of a policy, each with its resources.
fn actions(policy: Option<Value>) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for statement in statements(policy) {
        for action in statement["Action"].as_array().unwrap() {
            let action = action.as_str().unwrap().to_owned();
            found.push((action, statement["Resource"].clone()));
        }
    }
    found
}

const ACCOUNT: &str = "123456789012";

#[test]
fn an_identity_is_allowed_what_this_job_needs_on_its_own_resources() {
    let job = job(&cloudwatch(""), "s3://acme-answers/out", "");
    let policies = Policies::new(&job, "eu-west-1", ACCOUNT);
    let group = "arn:aws:logs:eu-west-1:123456789012:log-group:/a";
    let groups = json!([group, format!("{group}:*")]);
    let buckets = json!(["arn:aws:s3:::acme-logs", "arn:aws:s3:::acme-answers"]);
    let objects = json!([
        "arn:aws:s3:::acme-logs/exports/night/*",
        "arn:aws:s3:::acme-answers/out/night/*"
    ]);
    let deletable = json!([
        "arn:aws:s3:::acme-logs/exports/night/*",
        "arn:aws:s3:::acme-answers/out/night/runs/_state/*"
    ]);
    let expected: [(&str, &Value); 12] = [
        ("logs:DescribeLogStreams", &groups),
        ("logs:CreateExportTask", &groups),
        ("logs:DescribeLogGroups", &json!("*")),
        ("logs:DescribeExportTasks", &json!("*")),
        ("cloudwatch:GetMetricData", &json!("*")),
        ("s3:ListBucket", &buckets),
        ("s3:ListBucketMultipartUploads", &buckets),
        ("s3:GetObject", &objects),
        ("s3:PutObject", &objects),
        ("s3:AbortMultipartUpload", &objects),
        ("s3:DeleteObject", &deletable),
        ("s3:GetBucketAcl", &json!("arn:aws:s3:::acme-logs")),
    ];
    let expected = expected.map(|(action, resource)| (action.to_owned(), resource.clone()));
    assert_eq!(actions(policies.document(Holder::Identity)), expected);
    assert_eq!(policies.document(Holder::Role), None);
    assert_eq!(policies.document(Holder::Key), None);
}

#[test]
fn the_topic_of_notifications_and_the_key_of_the_answers_are_named() {
    let topic = "arn:aws:sns:eu-west-1:123456789012:nightly";
    let key = "arn:aws:kms:eu-west-1:123456789012:key/1";
    let output = format!("s3://acme-answers/out\"\nsse_kms_key = \"{key}");
    let notify = format!("[notify]\nsns = \"{topic}\"");
    let job = job(&cloudwatch(""), &output, &notify);
    let allowed = actions(Policies::new(&job, "eu-west-1", ACCOUNT).document(Holder::Identity));
    let resource = |action: &str| {
        let mut of_action = allowed.iter().filter(|(allowed, _)| allowed == action);
        of_action.next().map(|(_, resource)| resource.clone())
    };
    assert_eq!(resource("sns:Publish"), Some(json!(topic)));
    assert_eq!(resource("kms:GenerateDataKey"), Some(json!(key)));
}

#[test]
fn a_key_of_the_job_decides_what_it_is_allowed() {
    for (more, query, allowed, refused) in [
        (
            "via = \"events\"\nverify = \"off\"",
            "",
            "logs:FilterLogEvents",
            "CreateExportTask",
        ),
        (
            "verify = \"insights\"",
            "",
            "logs:GetQueryResults",
            "GetMetricData",
        ),
        ("via = \"auto\"", "", "logs:CreateExportTask", "StartQuery"),
    ] {
        let job = job(&cloudwatch(more), "s3://acme-answers/out", query);
        let policies = Policies::new(&job, "eu-west-1", ACCOUNT);
        let actions = actions(policies.document(Holder::Identity));
        assert!(actions.iter().any(|(one, _)| one == allowed), "{actions:?}");
        assert!(
            !actions.iter().any(|(one, _)| one.contains(refused)),
            "{actions:?}"
        );
    }
    let job = job(
        &cloudwatch(""),
        "s3://acme-answers/out",
        "file_size = \"64MiB\"",
    );
    let policy = Policies::new(&job, "eu-west-1", ACCOUNT).document(Holder::Identity);
    let delete = actions(policy)
        .into_iter()
        .find(|(one, _)| one == "s3:DeleteObject");
    let (_, resources) = delete.unwrap();
    assert_eq!(resources[2], "arn:aws:s3:::acme-answers/out/night/parts/*");
}

#[test]
fn a_role_is_allowed_the_logs_and_the_identity_the_answers() {
    let role = "arn:aws:iam::123456789012:role/logs";
    let source = cloudwatch(&format!("role_arn = \"{role}\""));
    let job = job(&source, "s3://acme-answers", "");
    let policies = Policies::new(&job, "eu-west-1", ACCOUNT);
    let identity = policies.document(Holder::Identity).unwrap().to_string();
    let of_role = policies.document(Holder::Role).unwrap().to_string();
    assert!(!identity.contains("acme-logs") && !identity.contains("logs:"));
    assert!(!of_role.contains("acme-answers") && of_role.contains("logs:CreateExportTask"));
    assert_eq!(
        policies
            .allowing(Holder::Identity, "sts:AssumeRole", None)
            .unwrap()["Resource"],
        role
    );
}

#[test]
fn exported_objects_are_only_read() {
    for kind in ["exported", "delivered"] {
        let source = format!("kind = \"{kind}\"\npath = \"s3://theirs/logs\"");
        let exported = job(&source, "/answers", "");
        let policies = Policies::new(&exported, "eu-west-1", ACCOUNT);
        assert_eq!(
            actions(policies.document(Holder::Identity)),
            [
                ("s3:ListBucket".to_owned(), json!("arn:aws:s3:::theirs")),
                (
                    "s3:GetObject".to_owned(),
                    json!("arn:aws:s3:::theirs/logs/*")
                ),
            ]
        );
        assert_eq!(policies.document(Holder::Bucket), None);
    }
    let local = job("kind = \"exported\"\npath = \"logs\"", "/answers", "");
    let policies = Policies::new(&local, "eu-west-1", ACCOUNT);
    for holder in Holder::ALL {
        assert_eq!(policies.document(holder), None);
    }
}

#[test]
fn keys_and_tables_are_named_where_they_are_known() {
    let key = "arn:aws:kms:eu-west-1:123456789012:key/1";
    let job = job(&cloudwatch(""), "s3://acme-logs/out", "");
    let policies = Policies::new(&job, "eu-west-1", ACCOUNT)
        .with_keys(BucketKeys {
            source: Some(key.to_owned()),
            output: Some(key.to_owned()),
        })
        .with_tables(GlueTables {
            region: "eu-west-1".to_owned(),
            account: ACCOUNT.to_owned(),
            database: "logs".to_owned(),
            tables: vec!["night_hourly_count".to_owned()],
        });
    let identity = actions(policies.document(Holder::Identity));
    let of = |action: &str| {
        let found = identity.iter().find(|(one, _)| one == action);
        found.map(|(_, resources)| resources.clone())
    };
    assert_eq!(of("kms:Decrypt"), Some(json!(key)));
    // Both locations are in one bucket.
    assert_eq!(of("s3:ListBucket"), Some(json!("arn:aws:s3:::acme-logs")));
    assert_eq!(
        of("glue:CreateTable").unwrap()[2],
        "arn:aws:glue:eu-west-1:123456789012:table/logs/night_hourly_count"
    );
    // A key's policy stands alone: without its first statement the key could not be managed any more.
    let of_key = statements(policies.document(Holder::Key));
    assert_eq!(
        of_key[0]["Principal"]["AWS"],
        "arn:aws:iam::123456789012:root"
    );
    assert_eq!(
        of_key[1]["Principal"]["Service"],
        "logs.eu-west-1.amazonaws.com"
    );
}

#[test]
fn a_statement_that_is_lacking_is_the_least_that_mends_it() {
    let job = job(&cloudwatch(""), "s3://acme-answers/out", "");
    let policies = Policies::new(&job, "eu-west-1", ACCOUNT);
    assert_eq!(
        policies.allowing(Holder::Identity, "s3:PutObject", Some("acme-answers")),
        Some(json!({
            "Sid": "Objects",
            "Effect": "Allow",
            "Action": ["s3:PutObject"],
            "Resource": "arn:aws:s3:::acme-answers/out/night/*",
        }))
    );
    assert_eq!(
        policies.allowing(Holder::Identity, "s3:PutObject", Some("acme")),
        None
    );
    assert_eq!(
        policies.allowing(Holder::Identity, "s3:DeleteBucket", None),
        None
    );
}

#[test]
fn other_partitions_have_names_of_their_own() {
    let job = job(&cloudwatch(""), "s3://acme-logs", "");
    let policies = Policies::new(&job, "cn-north-1", ACCOUNT);
    let bucket = statements(policies.document(Holder::Bucket));
    assert_eq!(
        bucket[0]["Principal"]["Service"],
        "logs.cn-north-1.amazonaws.com.cn"
    );
    assert_eq!(
        bucket[1]["Resource"],
        "arn:aws-cn:s3:::acme-logs/exports/night/*"
    );
    let identity = policies.document(Holder::Identity).unwrap().to_string();
    assert!(!identity.contains("arn:aws:"), "{identity}");
}

#[test]
fn policies_of_several_sources_are_one_for_each_holder() {
    let text = "name = \"night\"\n[[source]]\nkind = \"cloudwatch\"\nlog_groups = [\"/a\"]\nstaging = \"s3://one/exports\"\nrole_arn = \"arn:aws:iam::111111111111:role/a\"\n[[source]]\nkind = \"cloudwatch\"\nlog_groups = [\"/b\"]\nvia = \"events\"\nstaging = \"s3://two/exports\"\nrole_arn = \"arn:aws:iam::222222222222:role/b\"\n[output]\nlocation = \"s3://acme-answers\"\n[[query]]\nuse = \"hourly_count\"\n";
    let job = job::parse("/jobs/night.toml".as_ref(), text).unwrap();
    let parts: Vec<Job> = job.sources.iter().map(|one| job.with_only(one)).collect();
    let documents = |holder: Holder| {
        let documents = parts
            .iter()
            .filter_map(move |part| Policies::new(part, "eu-west-1", ACCOUNT).document(holder));
        merged(documents)
    };
    let identity = actions(documents(Holder::Identity));
    let roles = json!([
        "arn:aws:iam::111111111111:role/a",
        "arn:aws:iam::222222222222:role/b"
    ]);
    assert_eq!(identity[0], ("sts:AssumeRole".to_owned(), roles));
    // What the answers need is there once.
    let puts = identity
        .iter()
        .filter(|(action, _)| action == "s3:PutObject");
    assert_eq!(puts.count(), 1);
    // Of one role in two accounts' places, statements with other actions have other names.
    let of_role = statements(documents(Holder::Role));
    let groups = of_role.iter().filter(|one| {
        let name = one["Sid"].as_str().unwrap();
        name.starts_with("LogGroups")
    });
    let names: Vec<&str> = groups.map(|one| one["Sid"].as_str().unwrap()).collect();
    assert_eq!(names, ["LogGroups", "LogGroups2"]);
}
