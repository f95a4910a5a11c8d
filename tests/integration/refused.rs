//! What AWS refuses, and what can't be asked for: one sentence each, at once, and in one line.

use std::sync::Once;

use serde_json::{Value, json};

use crate::support::cloud::Cloud;
use crate::support::events::at;
use crate::support::export::Export;
use crate::support::gate::Gate;
use crate::support::moto::{Moto, REGION};
use crate::support::on_s3::Exported;
use crate::support::program::{Dir, Finished};

const BUCKET: &str = "refused-logs";

/// A query of a bucket with one exported object, through a gate that answers as `rules` say.
fn query(gate: &Gate, rules: &Value) -> Finished {
    gate.plan(&json!({"rules": rules}));
    Dir::new()
        .logtally([
            "query",
            &format!("s3://{BUCKET}/exports"),
            "SELECT count(*) FROM logs",
        ])
        .envs(gate.as_endpoint())
        .run()
}

fn gate() -> Gate {
    static MADE: Once = Once::new();
    let moto = Moto::shared();
    MADE.call_once(|| {
        moto.create_bucket(BUCKET);
        let folder = Dir::new();
        Export::new(folder.path()).stream("web/app", &[(at("2025-03-03T10:00:00Z"), "x")]);
        moto.put_folder(BUCKET, "exports", folder.path());
    });
    Gate::before(moto)
}

/// How often each kind was asked for.
fn count(gate: &Gate, kind: &str) -> usize {
    let seen = gate.seen();
    seen.iter().filter(|request| request.kind == kind).count()
}

#[test]
fn a_refusal_is_one_sentence_and_is_not_repeated() {
    let gate = gate();
    let denied =
        json!({"kind": "list", "status": 403, "code": "AccessDenied", "message": "Access Denied"});
    let expired = json!({"kind": "list", "status": 400, "code": "ExpiredToken", "message": "The provided token has expired."});
    let head = |status| json!({"kind": "bucket", "status": status});
    let get = |status: u16, code, class| json!({"kind": "get", "status": status, "code": code, "message": "No.", "class": class});
    for (rules, code, expected, kind) in [
        // The first permission that a new role lacks.
        (
            json!([denied]),
            4,
            "could not list s3://refused-logs/exports: S3 refused s3:ListBucket on the bucket refused-logs: Access Denied (AccessDenied)",
            "list",
        ),
        (
            json!([{"kind": "list", "status": 403, "code": "InvalidAccessKeyId", "message": "No such key."}]),
            4,
            "S3 refused the credentials: No such key. (InvalidAccessKeyId)",
            "list",
        ),
        // The answer to HEAD has no body, which says nothing of why.
        (
            json!([head(400), expired]),
            4,
            "S3 refused the credentials: The provided token has expired. (ExpiredToken); they have expired: renew them",
            "bucket",
        ),
        (
            json!([head(403), {"kind": "list", "status": 403, "code": "SignatureDoesNotMatch", "message": "No."}]),
            4,
            "the secret key is not that of the access key",
            "bucket",
        ),
        (
            json!([get(403, "InvalidObjectState", "DEEP_ARCHIVE")]),
            4,
            "000000.gz: it is archived in the storage class DEEP_ARCHIVE: restore it first",
            "get",
        ),
        (
            json!([get(403, "AccessDenied", "")]),
            4,
            "000000.gz: S3 refused s3:GetObject: No. (AccessDenied)",
            "get",
        ),
    ] {
        let finished = query(&gate, &rules);
        finished.assert_code(code).stderr_contains(expected);
        finished.stderr_lacks("<?xml").stderr_lacks("http://");
        assert_eq!(finished.stderr.lines().count(), 1, "{finished}");
        assert_eq!(count(&gate, kind), 1, "{rules}");
        assert!(count(&gate, "list") <= 1, "{rules}");
    }
    // A role that may only put objects goes on: HEAD needs s3:ListBucket.
    let finished = query(&gate, &json!([head(403)]));
    finished.assert_success().stdout_contains("1");
}

#[test]
fn a_job_fails_at_the_place_that_refuses() {
    let moto = Moto::shared();
    let exported = Exported::new(moto, "refused-night");
    let gate = Gate::before(moto);
    let run = |rules: Value| {
        gate.plan(&json!({"rules": rules}));
        exported
            .program("out", "", "2025-03-03")
            .envs(gate.as_endpoint())
            .run()
    };
    let denied = |kind: &str| json!([{"kind": kind, "status": 403, "code": "AccessDenied", "message": "Access Denied"}]);
    let put = run(denied("put"));
    put.assert_code(7)
        .stderr_contains("S3 refused s3:PutObject: Access Denied (AccessDenied)");
    assert_eq!(count(&gate, "put"), 1);
    assert_eq!(put.stdout_run()["exit_code"], 7);
    let mut of_logs = denied("get");
    of_logs[0]["path"] = "exported/".into();
    run(of_logs)
        .assert_code(4)
        .stderr_contains("S3 refused s3:GetObject: Access Denied (AccessDenied)");
    // The state of a run is beside its answers.
    run(denied("get"))
        .assert_code(7)
        .stderr_contains("S3 refused s3:GetObject: Access Denied (AccessDenied)");
}

/// A server that fails is asked again, and its document is not shown.
#[test]
fn a_failing_server_is_named_without_its_document() {
    let gate = gate();
    let busy = json!([{"kind": "bucket", "status": 503, "code": "SlowDown", "message": "Please reduce your request rate."}]);
    let finished = query(&gate, &busy);
    finished.assert_code(4).stderr_lacks("<?xml");
    assert_eq!(count(&gate, "bucket"), 4);
}

#[test]
fn no_answer_names_the_endpoint_once() {
    let dir = Dir::new();
    for arguments in [
        &["query", "s3://acme-logs/exports", "SELECT 1"][..],
        &["query", "s3://acme-logs/exports/", "SELECT 1"],
    ] {
        let finished = dir
            .logtally(arguments)
            .envs(Moto::shared().environment())
            .env("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
            .run();
        finished.assert_code(4).stderr_contains(
            "no answer from http://127.0.0.1:1: Connection refused (os error 111)",
        );
        assert_eq!(finished.stderr.lines().count(), 1, "{finished}");
    }
}

#[test]
fn what_is_wrong_with_the_settings_is_said_before_anything_is_sent() {
    let gate = Gate::start();
    let dir = Dir::new();
    let config = |text: &str| {
        let file = dir.write(
            "aws-config",
            format!("[default]\nregion = {REGION}\n{text}"),
        );
        file.display().to_string()
    };
    let sso = "[profile dev]\nsso_session = corp\nsso_account_id = 1\nsso_role_name = r\nregion = eu-west-1\n\
               [sso-session corp]\nsso_region = eu-west-1\nsso_start_url = https://corp.example/start\n\
               [profile over]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = dev\nregion = eu-west-1\n\
               [profile console]\nlogin_session = arn:aws:iam::1:user/a\nregion = eu-west-1\n";
    let nowhere = "/nowhere/token";
    for (text, settings, code, expected) in [
        ("", &[][..], 4, "no credentials found"),
        ("nonsense\n", &[], 2, "aws-config:3: Expected an '=' sign"),
        (
            sso,
            &[("AWS_PROFILE", "prod")],
            2,
            "(AWS_PROFILE) does not exist: expected one of console, default, dev, over",
        ),
        (
            sso,
            &[("AWS_PROFILE", "dev")],
            4,
            "run `aws sso login --profile dev`",
        ),
        (
            sso,
            &[("AWS_PROFILE", "over")],
            4,
            "run `aws sso login --profile dev`",
        ),
        (
            sso,
            &[("AWS_PROFILE", "console")],
            4,
            "run `aws login --profile console`",
        ),
        (
            "",
            &[
                ("AWS_WEB_IDENTITY_TOKEN_FILE", nowhere),
                ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"),
            ],
            4,
            "/nowhere/token (AWS_WEB_IDENTITY_TOKEN_FILE) can't be read: No such file",
        ),
    ] {
        let finished = dir
            .logtally(["query", "s3://acme-logs/exports", "SELECT 1"])
            .env("HOME", dir.path())
            .env("AWS_CONFIG_FILE", config(text))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ENDPOINT_URL", gate.url())
            .envs(settings.iter().copied())
            .run();
        finished.assert_code(code).stderr_contains(expected);
        assert_eq!(finished.stderr.lines().count(), 1, "{finished}");
    }
    assert!(gate.seen().is_empty(), "{:?}", gate.seen());
}

/// aws/amazon-ecs-agent#5116 (the sentence with another code), awsdocs/amazon-cloudwatch-logs-user-guide#17 (the caller).
#[test]
fn the_statement_that_a_bucket_policy_lacks_is_printed() {
    let moto = Moto::shared();
    let cloud = Cloud::new(moto, "denied");
    let gate = Gate::before(moto);
    let acl = "GetBucketAcl call on the given bucket failed. Please check if CloudWatch Logs has been granted permission to perform this operation.";
    let caller = "Please ensure that the CreateExportTask caller has been granted s3:PutObject access to the bucket.";
    let put = acl.replace("GetBucketAcl", "PutObject");
    for (code, message, expected, absent) in [
        (
            "InvalidParameterException",
            acl,
            &["LogtallyExportChecks", "LogtallyExportWrites"][..],
            "LogtallyExportCaller",
        ),
        (
            "AccessDeniedException",
            acl,
            &["LogtallyExportChecks", "s3:GetBucketAcl"],
            "LogtallyExportCaller",
        ),
        (
            "AccessDeniedException",
            &put,
            &["LogtallyExportWrites", "denied-logs/exports/*"],
            "LogtallyExportChecks",
        ),
        (
            "AccessDeniedException",
            caller,
            &["LogtallyExportCaller", "arn:aws:iam::123456789012:root"],
            "LogtallyExportWrites",
        ),
    ] {
        let rule = json!({"kind": "logs.CreateExportTask", "status": 400, "code": code, "message": message});
        gate.plan(&json!({"rules": [rule]}));
        let finished = cloud.program([]).envs(gate.as_endpoint()).run();
        finished.assert_code(4).stderr_lacks(absent);
        for text in expected {
            finished.stderr_contains(text);
        }
        assert_eq!(count(&gate, "logs.CreateExportTask"), 1);
    }
}
