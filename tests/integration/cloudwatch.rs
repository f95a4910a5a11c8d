//! Whole jobs against moto: exports from CloudWatch Logs, answers on S3, and every error of the services.

use serde_json::{Value, json};

use crate::support::cloud::{Cloud, JOB, recent_day};
use crate::support::engines::duckdb;
use crate::support::events::{DAY, HOUR};
use crate::support::export::{Export, Object};
use crate::support::moto::{Moto, REGION};
use crate::support::parquet::Parquet;
use crate::support::program::Dir;

/// Reads an answer from S3.
fn answer(cloud: &Cloud, query: &str) -> Parquet {
    let (day, _) = recent_day();
    let key = format!("logtally/night/{query}/dt={day}/{query}.parquet");
    let bytes = cloud.moto.get_object(&cloud.answers(), &key);
    Parquet::read(
        cloud
            .dir
            .write(format!("downloaded/{query}.parquet"), bytes),
    )
}

#[test]
fn logs_become_answers_on_s3() {
    let cloud = Cloud::new(Moto::shared(), "whole");
    let receipt = cloud.receipt([]);
    let (day, midnight) = recent_day();

    // Four events in each hour, and one more in the first and the last hour.
    let mut expected = vec![4; 24];
    expected[0] += 1;
    expected[23] += 1;
    assert_eq!(receipt["read"]["events"], 98);
    let hours = answer(&cloud, "hourly_count");
    assert_eq!(hours.integers("events"), expected);
    assert_eq!(hours.metadata["logtally.window"], json!(day));

    // The tasks cover the window, an hour before it and twelve behind it.
    let tasks = cloud.tasks();
    let exports = receipt["exports"].as_array().expect("a list");
    assert_eq!(tasks.len(), 2);
    for (export, group) in exports.iter().zip(["api", "worker"]) {
        assert_eq!(export["log_group"], json!(cloud.group(group)));
        assert_eq!(export["reused"], false);
        assert_eq!(export["objects"], 1);
        let task = tasks
            .iter()
            .find(|task| task["taskId"] == export["task_id"])
            .expect("the service has the task");
        assert_eq!(task["logGroupName"], export["log_group"]);
        assert_eq!(task["from"], midnight - HOUR);
        assert_eq!(task["to"], midnight + DAY + 12 * HOUR);
        assert_eq!(task["destination"], "whole-logs");
        let prefix = task["destinationPrefix"].as_str().expect("a text");
        let encoded = format!("%2Faws%2Flambda%2Fwhole-{group}");
        assert!(
            prefix.starts_with(&format!("exports/night/{day}/{encoded}/attempt=")),
            "{prefix}"
        );
        assert_eq!(export["prefix"], format!("s3://whole-logs/{prefix}"));
        let keys = cloud.moto.keys(&cloud.logs(), prefix);
        let [object, manifest] = &keys[..] else {
            panic!("an object and a manifest were expected: {keys:?}")
        };
        assert!(object.ends_with("/000000.gz"), "{object}");
        assert_eq!(manifest, &format!("{prefix}/manifest.json"));
        let manifest = cloud.moto.get_object(&cloud.logs(), manifest);
        let manifest: Value = serde_json::from_slice(&manifest).expect("it is JSON");
        assert_eq!(manifest["log_group"], export["log_group"]);
        assert_eq!(manifest["task_id"], export["task_id"]);
        assert_eq!(manifest["window"], json!(day));
        let key = manifest["objects"][0]["key"].as_str().expect("a text");
        assert_eq!(&format!("{prefix}/{key}"), object);
    }

    // Every object is whole, has its content type and is in the receipt.
    let outputs = receipt["outputs"].as_array().expect("a list");
    let mut expected = vec![
        format!("logtally/night/charts/hourly_count/hourly_count-{day}.png"),
        "logtally/night/charts/hourly_count/hourly_count-latest.png".to_owned(),
        format!("logtally/night/hourly_count/dt={day}/hourly_count.parquet"),
        format!("logtally/night/runs/{day}.json"),
    ];
    expected.sort();
    assert_eq!(cloud.moto.keys(&cloud.answers(), ""), expected);
    for key in &expected {
        let arguments = json!({"Bucket": cloud.answers(), "Key": key});
        let head = cloud.moto.call("s3", "head_object", arguments);
        let content_type = match key.rsplit_once('.') {
            Some((_, "png")) => "image/png",
            Some((_, "json")) => "application/json",
            _ => "application/vnd.apache.parquet",
        };
        assert_eq!(head["ContentType"], content_type, "{key}");
        let Some(output) = outputs
            .iter()
            .find(|output| output["location"] == format!("s3://whole-answers/{key}"))
        else {
            // Receipts do not list the copy of the newest window's chart.
            let is_listed = !key.ends_with(".json") && !key.ends_with("-latest.png");
            assert!(!is_listed, "{key} is not in the receipt");
            continue;
        };
        assert_eq!(head["ContentLength"], output["bytes"], "{key}");
        assert_eq!(head["ETag"], output["etag"], "{key}");
        assert_eq!(
            format!("logtally/{}", output["key"].as_str().expect("a text")),
            *key
        );
    }
    let stored = cloud
        .moto
        .get_object(&cloud.answers(), &format!("logtally/night/runs/{day}.json"));
    let stored: Value = serde_json::from_slice(&stored).expect("it is JSON");
    assert_eq!(stored, receipt);

    // Ad-hoc queries read the exported windows and the objects themselves.
    let by_group = "SELECT log_group, log_stream, count(*) AS n FROM logs GROUP BY 1, 2 ORDER BY 1";
    let asked = cloud
        .logtally(["query", JOB, "--format", "json", by_group])
        .run();
    assert_eq!(
        asked.assert_success().stdout_json(),
        json!([
            {"log_group": "/aws/lambda/whole-api", "log_stream": "2026/11/20/[$LATEST]8384fc4f4204e4521a5c7742b76ea1ef", "n": 96},
            {"log_group": "/aws/lambda/whole-worker", "log_stream": "web-app-7", "n": 2},
        ])
    );
    let messages = "SELECT message FROM logs WHERE message LIKE 'last%' OR message LIKE 'tick%' ORDER BY timestamp DESC LIMIT 1";
    let asked = cloud
        .logtally(["query", JOB, "--format", "json", messages])
        .run();
    assert_eq!(
        asked.assert_success().stdout_json(),
        json!([{"message": "last: 한글"}])
    );
}

#[test]
fn what_is_done_is_skipped_and_force_does_it_again() {
    let cloud = Cloud::new(Moto::shared(), "again");
    let first = cloud.receipt([]);
    assert_eq!(cloud.tasks().len(), 2);
    let before = cloud.moto.list_objects(&cloud.answers(), "");

    assert_eq!(cloud.receipt([])["status"], "skipped");
    assert_eq!(cloud.tasks().len(), 2);
    assert_eq!(cloud.moto.list_objects(&cloud.answers(), ""), before);

    let forced = cloud.receipt(["--force"]);
    assert_eq!(forced["status"], "done");
    assert_eq!(cloud.tasks().len(), 2, "the kept export is used");
    for (export, first) in forced["exports"]
        .as_array()
        .expect("a list")
        .iter()
        .zip(first["exports"].as_array().expect("a list"))
    {
        assert_eq!(export["reused"], true);
        assert_eq!(export["task_id"], first["task_id"]);
    }
    let etag = |objects: &[Value]| -> Vec<(Value, Value)> {
        objects
            .iter()
            .filter(|object| !object["Key"].as_str().expect("a text").ends_with(".json"))
            .map(|object| (object["Key"].clone(), object["ETag"].clone()))
            .collect()
    };
    let after = cloud.moto.list_objects(&cloud.answers(), "");
    assert_eq!(etag(&after), etag(&before), "the same bytes");

    let exported = cloud.receipt(["--force=export"]);
    assert_eq!(cloud.tasks().len(), 4);
    assert_eq!(exported["exports"][0]["reused"], false);
    assert_ne!(
        exported["exports"][0]["task_id"],
        first["exports"][0]["task_id"]
    );
    assert_eq!(exported["read"], forced["read"]);

    // A changed query needs no new export.
    cloud.edit("use = \"hourly_count\"", "use = \"hour_of_day\"");
    assert_eq!(cloud.receipt([])["status"], "done");
    assert_eq!(cloud.tasks().len(), 4);
}

#[test]
fn plan_reads_and_writes_nothing() {
    let cloud = Cloud::new(Moto::shared(), "planned");
    let (day, _) = recent_day();
    let plan = cloud.logtally(["plan", JOB, "--window", &day]).run();
    plan.assert_success()
        .stdout_contains("/aws/lambda/planned-api")
        .stdout_contains("/aws/lambda/planned-worker")
        .stdout_contains(&format!(
            "s3://planned-answers/logtally/night/runs/{day}.json"
        ));
    assert!(!plan.stdout.contains("/ecs/planned"), "{plan}");
    let plan = cloud
        .logtally(["plan", JOB, "--window", &day, "--json"])
        .run();
    let plan = plan.assert_success().stdout_json();
    assert_eq!(
        plan["log_groups"],
        json!(["/aws/lambda/planned-api", "/aws/lambda/planned-worker"])
    );
    assert_eq!(plan["windows"][0]["id"], json!(day));
    assert_eq!(cloud.tasks(), Vec::<Value>::new());
    assert_eq!(cloud.moto.keys(&cloud.logs(), ""), Vec::<String>::new());
    assert_eq!(cloud.moto.keys(&cloud.answers(), ""), Vec::<String>::new());
}

#[test]
fn what_is_wrong_is_found_before_anything_is_asked_for() {
    let cloud = Cloud::new(Moto::shared(), "early");
    let job = cloud.dir.read_text(JOB);
    let chart = "[[query]]\nname = \"q\"\nsql = \"q.sql\"\n[[query.chart]]\nkind = \"bar\"\nx = \"hour\"\ny = \"evnts\"\n";
    for (more, sql, code, expected) in [
        (
            "[[query]]\nname = \"q\"\nsql = \"q.sql\"\n",
            "SELECT\n  mesage\nFROM logs",
            6,
            "q.sql:2",
        ),
        (
            "[[query]]\nname = \"q\"\nsql = \"q.sql\"\n",
            "SELECT FROM WHERE",
            6,
            "q.sql",
        ),
        (
            chart,
            "SELECT hour_local AS hour, events FROM hourly_count",
            2,
            "evnts",
        ),
        (
            chart,
            "SELECT hour_local AS hour, message AS evnts FROM hourly_count, logs",
            2,
            "expected a number",
        ),
    ] {
        cloud.dir.write("q.sql", sql);
        cloud.dir.write(JOB, format!("{job}{more}"));
        cloud.run([]).assert_code(code).stderr_contains(expected);
    }
    cloud.dir.write(JOB, &job);
    for (from, to, expected) in [
        (
            "/aws/lambda/early-*",
            "/aws/lambda/early-nope",
            "/aws/lambda/early-nope",
        ),
        (
            "/aws/lambda/early-*",
            "/aws/lambda/nope-*",
            "/aws/lambda/nope-*",
        ),
        (
            "\"/aws/lambda/early-*\"",
            "\"/aws/lambda/early-*\", \"/ecs/nope\"",
            "/ecs/nope",
        ),
        (
            "s3://early-logs",
            "s3://early-nope",
            // stderr is JSON, which escapes the quotes.
            r#"[source] staging: the bucket \"early-nope\" does not exist"#,
        ),
        (
            "s3://early-answers",
            "s3://early-nope",
            r#"[output] location: the bucket \"early-nope\" does not exist"#,
        ),
    ] {
        cloud.edit(from, to);
        cloud.run([]).assert_code(2).stderr_contains(expected);
        cloud.dir.write(JOB, &job);
    }
    assert_eq!(cloud.tasks(), Vec::<Value>::new());
    assert_eq!(cloud.moto.keys(&cloud.logs(), ""), Vec::<String>::new());
    assert_eq!(cloud.moto.keys(&cloud.answers(), ""), Vec::<String>::new());
}

#[test]
fn without_region_or_credentials_the_error_says_what_is_missing() {
    let cloud = Cloud::without_logs(Moto::shared(), "nobody");
    let (day, _) = recent_day();
    let arguments = ["run", JOB, "--window", &day];
    cloud
        .dir
        .logtally(arguments)
        .env("AWS_ENDPOINT_URL", cloud.moto.endpoint())
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .run()
        .assert_code(2)
        .stderr_contains("Region");
    let finished = cloud
        .dir
        .logtally(arguments)
        .env("AWS_ENDPOINT_URL", cloud.moto.endpoint())
        .env("AWS_REGION", REGION)
        .run();
    // The answers' bucket is asked for first, and is not at fault. There is one line, without the SDK's debug text.
    finished
        .assert_code(4)
        .stderr_contains("nothing was sent to AWS: no credentials found")
        .stderr_lacks("DispatchFailure");
    assert_eq!(finished.stderr.lines().count(), 1, "{finished}");
}

#[test]
fn an_endpoint_that_does_not_answer_is_a_failure_of_its_side() {
    let cloud = Cloud::without_logs(Moto::shared(), "away");
    let (day, _) = recent_day();
    let closed = [("AWS_ENDPOINT_URL", "http://127.0.0.1:1")];
    let finished = cloud
        .logtally(["run", JOB, "--window", &day])
        .envs(closed)
        .run();
    assert!(matches!(finished.code(), Some(4 | 7)), "{finished}");
    finished.stderr_contains("away-");
    cloud.edit("s3://away-answers/logtally", "out");
    cloud
        .logtally(["run", JOB, "--window", &day])
        .envs(closed)
        .run()
        .assert_code(4);
    assert_eq!(cloud.dir.files(), [JOB]);
}

#[test]
fn region_endpoint_and_credentials_come_from_a_profile() {
    let cloud = Cloud::new(Moto::shared(), "profiled");
    cloud.dir.write(
        "aws-config",
        format!(
            "[profile nightly]\nregion = {REGION}\nendpoint_url = {}\naws_access_key_id = test\naws_secret_access_key = test\n",
            cloud.moto.endpoint()
        ),
    );
    let (day, _) = recent_day();
    let run = || {
        cloud
            .dir
            .logtally(["run", JOB, "--window", &day, "--force", "--json"])
            .env("AWS_CONFIG_FILE", cloud.dir.join("aws-config"))
    };
    let by_variable = run().env("AWS_PROFILE", "nightly").run();
    assert_eq!(
        by_variable.assert_success().stdout_run()["read"]["events"],
        98
    );
    cloud.edit(
        "kind = \"cloudwatch\"",
        "kind = \"cloudwatch\"\nprofile = \"nightly\"",
    );
    let by_job = run().run();
    assert_eq!(by_job.assert_success().stdout_run()["read"]["events"], 98);
    cloud.edit("\"nightly\"", "\"missing\"");
    run()
        .run()
        .assert_code(2)
        .stderr_contains("the AWS profile \\\"missing\\\" of [source] does not exist");
}

#[test]
fn the_profile_of_a_job_wins_over_keys_and_region_of_the_environment() {
    let moto = Moto::start();
    let cloud = Cloud::new(&moto, "explicit");
    let allowed = moto.create_user("allowed", &["logs:*", "s3:*"]);
    let refused = moto.create_user("refused", &["logs:DescribeDestinations"]);
    moto.enforce_policies();
    let [(_, id), (_, secret)] = &allowed;
    cloud.dir.write(
        "aws-config",
        format!(
            "[profile nightly]\nregion = {REGION}\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n[profile task]\nregion = {REGION}\n"
        ),
    );
    let run = |region: &str| {
        cloud
            .program(["--json"])
            .envs(refused.clone())
            .env("AWS_REGION", region)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_CONFIG_FILE", cloud.dir.join("aws-config"))
            .run()
    };
    // The environment's keys have no permissions.
    assert!(matches!(run(REGION).code(), Some(4 | 7)));
    cloud.edit(
        "kind = \"cloudwatch\"",
        "kind = \"cloudwatch\"\nprofile = \"nightly\"",
    );
    // The other Region has no log groups.
    assert_eq!(
        run("eu-west-1").assert_success().stdout_run()["read"]["events"],
        98
    );
    cloud.edit(
        "profile = \"nightly\"",
        "profile = \"nightly\"\nregion = \"eu-west-1\"",
    );
    run(REGION)
        .assert_code(2)
        .stderr_contains("the logs are asked for in eu-west-1");
    // The environment's keys do not replace those of a profile without any.
    cloud.edit(
        "profile = \"nightly\"\nregion = \"eu-west-1\"",
        "profile = \"task\"",
    );
    run(REGION)
        .assert_code(4)
        .stderr_contains("no credentials found");
}

#[test]
fn a_staging_bucket_in_another_region_than_the_logs_is_an_error() {
    let cloud = Cloud::new(Moto::shared(), "elsewhere");
    let (day, _) = recent_day();
    for command in ["plan", "run"] {
        cloud
            .logtally([command, JOB, "--window", &day])
            .env("AWS_REGION", "eu-west-1")
            .run()
            .assert_code(2)
            .stderr_contains("s3://elsewhere-logs/exports is in ap-northeast-2")
            .stderr_contains("the logs are asked for in eu-west-1");
    }
    // With the Logs API, the service writes nothing to the bucket.
    cloud.edit(
        "kind = \"cloudwatch\"",
        "kind = \"cloudwatch\"\nvia = \"events\"",
    );
    cloud
        .logtally(["plan", JOB, "--window", &day])
        .env("AWS_REGION", "eu-west-1")
        .run()
        .assert_code(2)
        .stderr_contains("/aws/lambda/elsewhere-*");
}

#[test]
fn the_endpoint_of_s3_may_be_its_own() {
    let cloud = Cloud::new(Moto::shared(), "split");
    // The endpoint for all services does not answer.
    let finished = cloud
        .program(["--json"])
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        .env("AWS_ENDPOINT_URL_S3", cloud.moto.endpoint())
        .env("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", cloud.moto.endpoint())
        .run();
    assert_eq!(finished.assert_success().stdout_run()["read"]["events"], 98);
}

#[test]
fn refused_permissions_say_which_side_refused() {
    let moto = Moto::start();
    let cloud = Cloud::new(&moto, "refused");
    let everything = moto.create_user("everything", &["logs:*", "s3:*"]);
    let no_logs = moto.create_user("nologs", &["s3:*"]);
    let no_export = moto.create_user("noexport", &["s3:*", "logs:DescribeLogGroups"]);
    let no_s3 = moto.create_user("nos3", &["logs:*"]);
    let no_write = moto.create_user(
        "nowrite",
        &["logs:*", "s3:GetObject", "s3:ListBucket", "s3:GetBucketAcl"],
    );
    moto.enforce_policies();
    let run =
        |user: &[(&'static str, String); 2]| cloud.program(["--json"]).envs(user.clone()).run();

    run(&no_logs).assert_code(4).stderr_contains("log groups");
    run(&no_export)
        .assert_code(4)
        .stderr_contains("CreateExportTask");
    let finished = run(&no_s3);
    assert!(matches!(finished.code(), Some(4 | 7)), "{finished}");
    // The answers are local, so the denied request is one to the source.
    cloud.edit("s3://refused-answers/logtally", "out");
    run(&no_s3).assert_code(4).stderr_contains("refused-logs");
    cloud.edit("\"out\"", "\"s3://refused-answers/logtally\"");
    let finished = run(&no_write);
    // The window's state is the first object that this user must not write.
    finished.assert_code(7).stderr_contains("refused-answers");
    let unknown = [
        ("AWS_ACCESS_KEY_ID", "AKIANOBODY".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "wrong".to_owned()),
    ];
    let finished = run(&unknown);
    assert!(matches!(finished.code(), Some(4 | 7)), "{finished}");
    assert_eq!(
        run(&everything).assert_success().stdout_run()["read"]["events"],
        98
    );
}

#[test]
fn an_output_that_may_not_be_written_is_refused_there() {
    let moto = Moto::start();
    let cloud = Cloud::new(&moto, "readonly");
    let export = Export::new(cloud.dir.join("exported"));
    let (_, midnight) = recent_day();
    export.stream("web/app", &[(midnight, "x")]);
    let job = cloud.dir.read_text(JOB);
    let (head, rest) = job.split_once("[source]").expect("it has a source");
    let (_, tail) = rest.split_once("[output]").expect("it has an output");
    cloud.dir.write(
        JOB,
        format!("{head}[source]\nkind = \"exported\"\npath = \"exported\"\n[output]{tail}"),
    );
    let reader = moto.create_user("reader", &["s3:GetObject", "s3:ListBucket"]);
    moto.enforce_policies();
    cloud
        .program([])
        .envs(reader)
        .run()
        .assert_code(7)
        .stderr_contains("readonly-answers");
}

#[test]
fn a_role_is_assumed_for_the_logs_and_their_bucket_only() {
    let moto = Moto::start();
    let cloud = Cloud::new(&moto, "role");
    let policy = |actions: &[&str], resource: &[&str]| {
        let allow = json!({"Effect": "Allow", "Action": actions, "Resource": resource});
        json!({"Version": "2012-10-17", "Statement": [allow]}).to_string()
    };
    let call = |operation: &str, arguments: Value| json!({"service": "iam", "operation": operation, "arguments": arguments});
    let trust = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]});
    let statements = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "logs:*", "Resource": "*"},
        {"Effect": "Allow", "Action": "s3:*", "Resource": ["arn:aws:s3:::role-logs", "arn:aws:s3:::role-logs/*"]}]});
    moto.calls(vec![
        call(
            "create_role",
            json!({"RoleName": "logs-reader", "AssumeRolePolicyDocument": trust.to_string()}),
        ),
        call(
            "put_role_policy",
            json!({"RoleName": "logs-reader", "PolicyName": "logs", "PolicyDocument": statements.to_string()}),
        ),
    ]);
    let user = moto.create_user("nightly", &["sts:AssumeRole"]);
    let answers = ["arn:aws:s3:::role-answers", "arn:aws:s3:::role-answers/*"];
    moto.calls(vec![call(
        "put_user_policy",
        json!({"UserName": "nightly", "PolicyName": "answers", "PolicyDocument": policy(&["s3:*"], &answers)}),
    )]);
    moto.enforce_policies();
    let run = || cloud.program(["--json"]).envs(user.clone()).run();
    // Without the role, the user has no access to the logs.
    assert_eq!(run().code(), Some(4));
    cloud.edit(
        "kind = \"cloudwatch\"",
        "kind = \"cloudwatch\"\nrole_arn = \"arn:aws:iam::123456789012:role/logs-reader\"",
    );
    assert_eq!(run().assert_success().stdout_run()["read"]["events"], 98);
}

#[test]
fn somebody_elses_export_is_read_from_s3() {
    let moto = Moto::shared();
    let cloud = Cloud::without_logs(moto, "foreign");
    moto.create_bucket("foreign-logs");
    moto.create_bucket("foreign-answers");
    let (_, midnight) = recent_day();
    let folder = Dir::new();
    let export = Export::new(folder.path());
    export.stream(
        "2026/11/20/[$LATEST]8384fc4f4204e4521a5c7742b76ea1ef",
        &[(midnight, "first"), (midnight + DAY, "after")],
    );
    export.object(
        "web~app #7",
        1,
        &Object::new(&[(midnight + HOUR, "한글")]).cut_every(3),
    );
    moto.put_folder("foreign-logs", "exported/logs", folder.path());
    cloud.edit("kind = \"cloudwatch\"", "kind = \"exported\"");
    cloud.edit(
        "log_groups = [\"/aws/lambda/foreign-*\"]",
        "log_group = \"/ecs/web\"",
    );
    cloud.edit(
        "staging = \"s3://foreign-logs/exports\"",
        "path = \"s3://foreign-logs/exported/logs/\"",
    );
    let receipt = cloud.receipt([]);
    assert_eq!(receipt["read"]["events"], 2);
    assert_eq!(receipt["exports"][0]["log_group"], "/ecs/web");
    assert_eq!(
        answer(&cloud, "hourly_count").integers("events")[..3],
        [1, 1, 0]
    );

    let ask = |location: &str| {
        let sql = "SELECT log_stream, message FROM logs ORDER BY timestamp";
        cloud
            .logtally(["query", location, "--format", "json", sql])
            .run()
    };
    assert_eq!(
        ask("s3://foreign-logs/exported")
            .assert_success()
            .stdout_json(),
        json!([
            {"log_stream": "2026/11/20/[$LATEST]8384fc4f4204e4521a5c7742b76ea1ef", "message": "first"},
            {"log_stream": "web~app #7", "message": "한글"},
            {"log_stream": "2026/11/20/[$LATEST]8384fc4f4204e4521a5c7742b76ea1ef", "message": "after"},
        ])
    );
    ask("s3://foreign-logs").assert_success();
    ask("s3://foreign-logs/nothing")
        .assert_code(2)
        .stderr_contains("s3://foreign-logs/nothing");
    ask("s3://foreign-nope/x")
        .assert_code(2)
        .stderr_contains("foreign-nope");

    // Damage is found on S3 as on disk.
    let damaged = Object::new(&[(midnight, "x")]).truncated(2).gzip();
    moto.put_object("foreign-logs", "exported/logs/t/s/000000.gz", &damaged);
    cloud
        .run(["--force"])
        .assert_code(5)
        .stderr_contains("s3://foreign-logs/exported/logs/t/s/000000.gz");
}

#[test]
fn a_large_answer_goes_up_in_parts() {
    let moto = Moto::shared();
    let cloud = Cloud::without_logs(moto, "large");
    moto.create_bucket("large-answers");
    let (day, midnight) = recent_day();
    Export::new(cloud.dir.join("exported")).stream("web/app", &[(midnight, "x")]);
    let job = cloud.dir.read_text(JOB);
    let (head, rest) = job.split_once("[source]").expect("it has a source");
    let (_, tail) = rest.split_once("[output]").expect("it has an output");
    cloud.dir.write(
        JOB,
        format!(
            "{head}[source]\nkind = \"exported\"\npath = \"exported\"\n[output]{tail}[[query]]\nname = \"large\"\nsql = \"large.sql\"\n"
        ),
    );
    // Hashes do not compress: about 40 bytes for each of a million rows.
    cloud.dir.write(
        "large.sql",
        "SELECT n.value AS n, encode(sha256(n.value::text), 'hex') AS hash FROM generate_series(1, 1200000) AS n",
    );
    let receipt = cloud.receipt([]);
    let output = receipt["outputs"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|output| output["query"] == "large")
        .expect("the large answer is there")
        .clone();
    let bytes = output["bytes"].as_u64().expect("a size");
    assert!(bytes > 33 << 20, "{bytes} bytes are no large answer");
    assert_eq!(output["rows"], 1_200_000);
    let key = format!("logtally/night/large/dt={day}/large.parquet");
    let head = moto.call(
        "s3",
        "head_object",
        json!({"Bucket": "large-answers", "Key": key}),
    );
    assert_eq!(head["ContentLength"], bytes);
    assert_eq!(head["ETag"], output["etag"]);
    assert_eq!(head["ContentType"], "application/vnd.apache.parquet");
    // The ETag of a multipart upload ends in the number of parts.
    let etag = head["ETag"]
        .as_str()
        .expect("a text")
        .trim_matches('"')
        .to_owned();
    assert!(
        etag.split_once('-').is_some_and(|(_, parts)| parts != "1"),
        "{etag}"
    );

    let file = cloud
        .dir
        .write("large.parquet", moto.get_object("large-answers", &key));
    let whole = format!(
        "SELECT count(*) AS rows, sum(n)::BIGINT AS sum, count(DISTINCT hash) AS hashes, min(length(hash)) AS length \
         FROM read_parquet('{}')",
        file.display()
    );
    assert_eq!(
        json!(duckdb(&[], &[&whole])[0]),
        json!([{"rows": 1_200_000, "sum": 720_000_600_000_i64, "hashes": 1_200_000, "length": 64}])
    );

    // It is also replaced whole, and no unfinished upload stays.
    cloud.receipt(["--force"]);
    let unfinished = moto.call(
        "s3",
        "list_multipart_uploads",
        json!({"Bucket": "large-answers"}),
    );
    assert!(unfinished["Uploads"].is_null(), "{unfinished}");
}

#[test]
fn events_from_before_their_log_group_was_made_are_exported_too() {
    // PutLogEvents accepts events of up to two weeks ago into a new group, since agents ship old files.
    let moto = Moto::start_with([("GROUP_AGE_DAYS", "0")]);
    let cloud = Cloud::new(&moto, "younger");
    assert_eq!(cloud.receipt([])["read"]["events"], 98);
}

#[test]
fn a_log_group_without_events_is_no_error() {
    let cloud = Cloud::new(Moto::shared(), "quiet");
    cloud.moto.create_log_group("/aws/lambda/quiet-empty");
    let receipt = cloud.receipt([]);
    assert_eq!(receipt["read"]["events"], 98);
    assert_eq!(receipt["exports"].as_array().map(Vec::len), Some(3));
    cloud.edit("/aws/lambda/quiet-*", "/aws/lambda/quiet-empty");
    let receipt = cloud.receipt(["--force"]);
    assert_eq!(receipt["read"]["events"], 0);
    assert_eq!(answer(&cloud, "hourly_count").integers("events"), [0; 24]);
}

#[test]
fn names_and_globs_may_overlap() {
    let cloud = Cloud::new(Moto::shared(), "overlap");
    cloud.edit(
        "\"/aws/lambda/overlap-*\"",
        "\"/aws/lambda/overlap-a*\", \"/aws/lambda/overlap-api\", \"/ecs/overlap\", \"*overlap-wor?er\"",
    );
    let receipt = cloud.receipt([]);
    let groups: Vec<&Value> = receipt["exports"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|export| &export["log_group"])
        .collect();
    assert_eq!(
        groups,
        [
            "/aws/lambda/overlap-api",
            "/aws/lambda/overlap-worker",
            "/ecs/overlap"
        ]
    );
    assert_eq!(receipt["read"]["events"], 99);
    assert_eq!(cloud.tasks().len(), 3);
}

#[test]
fn a_window_that_has_not_settled_is_exported_again() {
    let cloud = Cloud::new(Moto::shared(), "fresh");
    let now = chrono::Utc::now() - chrono::TimeDelta::minutes(1);
    let today = now.date_naive().to_string();
    let run = || {
        let arguments = ["run", JOB, "--window", &today, "--provisional", "--json"];
        let finished = cloud.logtally(arguments).run();
        finished.assert_success().stdout_run()
    };
    let first = run();
    assert_eq!(first["window"]["provisional"], true);
    assert_eq!(first["read"]["events"], 0);
    assert_eq!(cloud.tasks().len(), 2);
    // No task covers time in the future.
    for task in cloud.tasks() {
        let to = task["to"].as_i64().expect("a time");
        assert!(to <= chrono::Utc::now().timestamp_millis(), "{task}");
    }
    let late = [(now.timestamp_millis(), "late")];
    cloud.moto.put_events(&cloud.group("api"), "late", &late);
    assert_eq!(run()["read"]["events"], 1);
    assert_eq!(cloud.tasks().len(), 4);
}

#[test]
fn a_run_says_which_events_retention_may_have_deleted() {
    let cloud = Cloud::new(Moto::shared(), "retained");
    let retention = json!({"logGroupName": cloud.group("api"), "retentionInDays": 1});
    cloud.moto.call("logs", "put_retention_policy", retention);
    let finished = cloud.run([]);
    finished
        .assert_success()
        .stdout_contains("note     events of /aws/lambda/retained-api from before")
        .stdout_contains("the log group keeps its events for a day");
    // The export is reused, and its note stays in the receipt.
    let receipt = cloud.receipt(["--force"]);
    assert_eq!(receipt["exports"][0]["reused"], true, "{receipt}");
    assert_eq!(receipt["notes"].as_array().map(Vec::len), Some(1));
}

#[test]
fn one_task_exports_several_days() {
    let cloud = Cloud::new(Moto::shared(), "stretch");
    let (day, midnight) = recent_day();
    let date: chrono::NaiveDate = day.parse().expect("a date");
    let before = (date - chrono::Days::new(1)).to_string();
    let windows = ["--from", &before, "--to", &day];
    let run = |more: &[&str]| {
        let arguments = ["run", JOB, "--json"].iter().chain(&windows).chain(more);
        let printed = cloud.logtally(arguments).run();
        let printed = printed.assert_success().stdout_json();
        printed["runs"].as_array().expect("a list").clone()
    };
    let receipts = run(&[]);
    let tasks = cloud.tasks();
    assert_eq!(tasks.len(), 2, "{tasks:?}");
    for task in &tasks {
        assert_eq!(task["from"], midnight - DAY - HOUR);
        assert_eq!(task["to"], midnight + DAY + 12 * HOUR);
        let prefix = task["destinationPrefix"].as_str().expect("a text");
        let expected = format!("exports/night/{before}--{day}/%2Faws%2Flambda%2Fstretch-");
        assert!(prefix.starts_with(&expected), "{prefix}");
    }
    for (receipt, (window, events)) in receipts.iter().zip([(&before, 97), (&day, 98)]) {
        assert_eq!(receipt["read"]["events"], events, "{receipt}");
        for export in receipt["exports"].as_array().expect("a list") {
            assert_eq!(export["windows"], json!(format!("{before}--{day}")));
            let prefix = export["prefix"].as_str().expect("a text");
            let expected = format!("s3://stretch-logs/exports/night/{window}/");
            assert!(prefix.starts_with(&expected), "{prefix}");
        }
    }
    // Both days together, and other questions of one of them: from the same objects.
    let sql = "SELECT count(*) AS n FROM logs";
    let asked = ["query", JOB, sql, "--format", "json"];
    let counted = cloud.logtally(asked.iter().chain(&windows)).run();
    assert_eq!(counted.assert_success().stdout_json()[0]["n"], 195);
    let again = run(&["--force"]);
    assert!(again.iter().all(|run| run["exports"][0]["reused"] == true));
    assert_eq!(again[1]["read"]["events"], 98);
    assert_eq!(cloud.tasks().len(), 2);
}
