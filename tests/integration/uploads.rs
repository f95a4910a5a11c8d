//! What goes with an upload, as a bucket may demand it: checksums, encryption with a key, and who pays.

use serde_json::json;

use crate::support::gate::{Gate, Seen};
use crate::support::moto::Moto;
use crate::support::on_s3::{EVERYTHING, Exported, WINDOW};
use crate::support::program::Finished;

/// Runs a job whose answers are uploaded in one request and in parts, through the gate.
fn run(exported: &Exported<'_>, gate: &Gate, name: &str, settings: &[(&str, &str)]) -> Finished {
    exported
        .program(name, EVERYTHING, WINDOW)
        .envs(gate.as_endpoint())
        .envs(settings.iter().copied())
        .run()
}

fn of_kind<'a>(seen: &'a [Seen], kind: &str) -> Vec<&'a Seen> {
    let found: Vec<_> = seen.iter().filter(|request| request.kind == kind).collect();
    assert!(!found.is_empty(), "no {kind}");
    found
}

fn has_checksum(request: &Seen) -> bool {
    !request.header("x-amz-checksum-crc32").is_empty()
}

/// apache/arrow-rs-object-store#190: a bucket with a default retention takes no upload without a checksum.
#[test]
fn uploads_have_checksums_where_a_bucket_demands_them_or_the_environment_does() {
    let moto = Moto::shared();
    let exported = Exported::new(moto, "locked").with_large();
    let gate = Gate::before(moto);
    // S3-compatible servers that know no checksums get none.
    run(&exported, &gate, "plain", &[]).assert_success();
    let seen = gate.seen();
    assert!(of_kind(&seen, "put").iter().all(|put| !has_checksum(put)));
    assert!(
        of_kind(&seen, "part")
            .iter()
            .all(|part| !has_checksum(part))
    );

    let demand = |kind: &str| {
        json!({
            "kind": kind, "status": 400, "code": "InvalidRequest", "lacks": "x-amz-checksum",
            "message": "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Part requests with Object Lock parameters",
        })
    };
    gate.plan(&json!({"rules": [demand("put"), demand("part")]}));
    run(&exported, &gate, "demanded", &[]).assert_success();
    let seen = gate.seen();
    let puts = of_kind(&seen, "put");
    assert_eq!(puts.iter().filter(|put| !has_checksum(put)).count(), 1);
    assert!(of_kind(&seen, "part").iter().all(|part| has_checksum(part)));
    exported.assert_no_unfinished_uploads();
    assert_eq!(exported.answers("demanded"), exported.answers("plain"));

    gate.plan(&json!({}));
    let setting = [("AWS_REQUEST_CHECKSUM_CALCULATION", "when_supported")];
    run(&exported, &gate, "set", &setting).assert_success();
    let seen = gate.seen();
    assert!(of_kind(&seen, "put").iter().all(|put| has_checksum(put)));
    assert!(of_kind(&seen, "part").iter().all(|part| has_checksum(part)));
    assert_eq!(exported.answers("set"), exported.answers("plain"));
}

/// awslabs/mountpoint-s3#534: a policy that denies uploads without the header of a key.
#[test]
fn uploads_are_encrypted_with_the_key_of_the_job() {
    let moto = Moto::shared();
    let exported = Exported::new(moto, "encrypted").with_large();
    let gate = Gate::before(moto);
    let key = "arn:aws:kms:ap-northeast-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    for (name, keys, algorithm, expected) in [
        ("key", format!("sse_kms_key = \"{key}\"\n"), "aws:kms", key),
        ("kms", "sse = \"aws:kms\"\n".to_owned(), "aws:kms", ""),
        ("s3", "sse = \"AES256\"\n".to_owned(), "AES256", ""),
    ] {
        // Writes the job, which is run with more keys.
        let _ = exported.program(name, EVERYTHING, WINDOW);
        let job = format!("{name}.toml");
        let text = exported.dir.read_text(&job);
        exported.dir.write(
            &job,
            text.replace("[[query]]\nuse", &format!("{keys}[[query]]\nuse")),
        );
        gate.plan(&json!({}));
        exported
            .dir
            .logtally(["run", &job, "--window", WINDOW, "--json"])
            .envs(gate.as_endpoint())
            .run()
            .assert_success();
        let seen = gate.seen();
        for kind in ["put", "create"] {
            for request in of_kind(&seen, kind) {
                assert_eq!(request.header("x-amz-server-side-encryption"), algorithm);
                let of_key = request.header("x-amz-server-side-encryption-aws-kms-key-id");
                assert_eq!(of_key, expected, "{}", request.path);
            }
        }
    }
}

/// duckdb/duckdb-httpfs#85: a bucket whose owner does not pay refuses requests without the header.
#[test]
fn requests_are_paid_for_where_the_job_says_so() {
    let moto = Moto::shared();
    let exported = Exported::new(moto, "payer");
    let gate = Gate::before(moto);
    run(&exported, &gate, "out", &[]).assert_success();
    let paid = |request: &&Seen| request.header("x-amz-request-payer") == "requester";
    assert_eq!(gate.seen().iter().filter(paid).count(), 0);
    let text = exported.dir.read_text("out.toml");
    exported.dir.write(
        "out.toml",
        text.replace(
            "kind = \"exported\"\n",
            "kind = \"exported\"\nrequester_pays = true\n",
        ),
    );
    gate.plan(&json!({}));
    exported
        .dir
        .logtally(["run", "out.toml", "--window", WINDOW, "--json", "--force"])
        .envs(gate.as_endpoint())
        .run()
        .assert_success();
    let seen = gate.seen();
    let of_source = |kind: &str| {
        let requests = of_kind(&seen, kind).into_iter();
        let of_source: Vec<_> = requests
            .filter(|request| request.path.contains("exported"))
            .collect();
        assert!(!of_source.is_empty());
        of_source.iter().all(paid)
    };
    assert!(of_source("get") && of_source("list"));

    let location = [
        "query",
        "s3://payer/exported",
        "SELECT 1",
        "--requester-pays",
    ];
    gate.plan(&json!({}));
    exported
        .dir
        .logtally(location)
        .envs(gate.as_endpoint())
        .run()
        .assert_success();
    let seen = gate.seen();
    assert!(of_kind(&seen, "list").iter().all(paid));
}
