//! The network, as both clients use it: which hosts are asked, through which proxy, and which certificates are trusted. A
//! gate records the requests.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::json;

use crate::support::gate::{Gate, Seen};
use crate::support::program::{Dir, Finished};

/// A job whose log groups, staging and answers are asked for in this order: the answers' bucket, the log groups.
const JOB: &str = r#"name = "night"
[source]
kind = "cloudwatch"
log_groups = ["/aws/lambda/checkout"]
staging = "s3://acme-logs/exports"
[output]
location = "s3://acme-answers/logtally"
[[query]]
use = "hourly_count"
"#;

/// Lists a bucket and plans a job, through the gate as the proxy.
fn ask(gate: &Gate, settings: &[(&'static str, &str)]) -> [Finished; 2] {
    gate.plan(&json!({}));
    let dir = Dir::new();
    dir.write("night.toml", JOB);
    [
        &[
            "query",
            "s3://acme-logs/exports",
            "SELECT count(*) FROM logs",
        ][..],
        &["plan", "night.toml"],
    ]
    .map(|arguments| {
        dir.logtally(arguments)
            .envs(gate.as_proxy())
            .envs(settings.iter().copied())
            .run()
    })
}

/// The hosts of the SDK's S3 requests, of the engine's, and of CloudWatch Logs.
fn hosts(gate: &Gate) -> [BTreeSet<String>; 3] {
    let seen = gate.seen();
    assert!(seen.iter().all(|request| request.by == "proxy"));
    let of = |wanted: fn(bool, bool) -> bool| {
        let requests = seen
            .iter()
            .filter(|request| wanted(request.kind.starts_with("logs."), request.is_of_sdk()));
        requests.map(|request| request.host.clone()).collect()
    };
    [
        of(|is_logs, is_sdk| !is_logs && is_sdk),
        of(|is_logs, is_sdk| !is_logs && !is_sdk),
        of(|is_logs, _| is_logs),
    ]
}

#[test]
fn both_clients_ask_the_hosts_of_the_partition_and_kind_of_endpoint() {
    let gate = Gate::start();
    // fog/fog-aws#729 (FIPS), pola-rs/polars#27801 (China), and AWS's reference of the SDKs' settings (dual-stack).
    for (settings, s3, logs) in [
        (
            &[("AWS_REGION", "eu-west-1")][..],
            "s3.eu-west-1.amazonaws.com",
            "logs.eu-west-1.amazonaws.com",
        ),
        (
            &[
                ("AWS_REGION", "us-gov-west-1"),
                ("AWS_USE_FIPS_ENDPOINT", "true"),
            ],
            "s3-fips.us-gov-west-1.amazonaws.com",
            "logs.us-gov-west-1.amazonaws.com",
        ),
        (
            &[
                ("AWS_REGION", "eu-west-1"),
                ("AWS_USE_DUALSTACK_ENDPOINT", "true"),
            ],
            "s3.dualstack.eu-west-1.amazonaws.com",
            "logs.eu-west-1.api.aws",
        ),
        (
            &[("AWS_REGION", "cn-north-1")],
            "s3.cn-north-1.amazonaws.com.cn",
            "logs.cn-north-1.amazonaws.com.cn",
        ),
    ] {
        let [query, plan] = ask(&gate, settings);
        query
            .assert_code(2)
            .stderr_contains("holds no exported objects");
        plan.assert_code(2).stderr_contains("/aws/lambda/checkout");
        let buckets = |names: &[&str]| -> BTreeSet<String> {
            names
                .iter()
                .map(|name| format!("{name}.{s3}:443"))
                .collect()
        };
        let [of_sdk, of_engine, of_logs] = hosts(&gate);
        let both = buckets(&["acme-logs", "acme-answers"]);
        assert_eq!(of_sdk, both, "{settings:?}");
        assert!(of_engine.is_subset(&both), "{settings:?}: {of_engine:?}");
        assert!(
            of_engine.is_superset(&buckets(&["acme-logs"])),
            "{settings:?}: {of_engine:?}"
        );
        assert_eq!(of_logs, BTreeSet::from([format!("{logs}:443")]));
    }
}

#[test]
fn endpoints_of_services_reach_both_clients() {
    let gate = Gate::start();
    let dir = Dir::new();
    dir.write("night.toml", JOB);
    // `cloudwatch_logs` is AWS's name of the service, for which the SDK does not look.
    let config = dir.write(
        "aws-config",
        format!(
            "[default]\nregion = eu-west-1\nservices = local\n[services local]\ns3 =\n  endpoint_url = {0}\ncloudwatch_logs =\n  endpoint_url = {0}\n",
            gate.url()
        ),
    );
    let config = config.display().to_string();
    let url = gate.url();
    let settings: [&[(&str, &str)]; 2] = [
        &[("AWS_CONFIG_FILE", &config)],
        &[
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ENDPOINT_URL_S3", &url),
            ("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", &url),
        ],
    ];
    for settings in settings {
        gate.plan(&json!({}));
        for arguments in [
            &[
                "query",
                "s3://acme-logs/exports",
                "SELECT count(*) FROM logs",
            ][..],
            &["plan", "night.toml"],
        ] {
            dir.logtally(arguments)
                .envs([("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")])
                .envs(settings.iter().copied())
                .run()
                .assert_code(2);
        }
        let seen = gate.seen();
        assert!(
            seen.iter()
                .any(|request| request.kind == "list" && !request.is_of_sdk())
        );
        assert!(
            seen.iter()
                .any(|request| request.kind == "bucket" && request.is_of_sdk())
        );
        assert!(
            seen.iter()
                .any(|request| request.kind == "logs.DescribeLogGroups")
        );
    }
}

#[test]
fn the_proxy_gets_its_password_and_is_named_without_it() {
    let gate = Gate::start();
    let wants_password = json!({"password": "me:s3cret"});
    for variable in ["HTTPS_PROXY", "https_proxy"] {
        gate.plan(&wants_password);
        let dir = Dir::new();
        let query = |proxy: &str| {
            let mut settings = gate.as_proxy();
            settings[0] = (variable, proxy.to_owned());
            dir.logtally([
                "query",
                "s3://acme-logs/exports",
                "SELECT count(*) FROM logs",
            ])
            .envs(settings)
            .run()
        };
        let let_in = query(&format!("http://me:s3cret@{}", gate.address()));
        let_in
            .assert_code(2)
            .stderr_contains("holds no exported objects");
        let seen = gate.seen();
        assert!(seen.iter().any(Seen::is_of_sdk));
        assert!(!seen.iter().all(Seen::is_of_sdk));

        let refused = query(&format!("http://me:wrong@{}", gate.address()));
        refused.assert_code(4).stderr_contains(&format!(
            "no answer from https://acme-logs.s3.ap-northeast-2.amazonaws.com (through the proxy {})",
            gate.url()
        ));
        assert!(!refused.stderr.contains("wrong"), "{refused}");
    }
}

#[test]
fn a_host_of_no_proxy_is_asked_directly() {
    let (proxy, server) = (Gate::start(), Gate::start());
    let dir = Dir::new();
    let query = |no_proxy: &[(&'static str, &str)]| {
        proxy.plan(&json!({}));
        server.plan(&json!({}));
        dir.logtally([
            "query",
            "s3://acme-logs/exports",
            "SELECT count(*) FROM logs",
        ])
        .envs(server.as_endpoint())
        .env("HTTP_PROXY", proxy.url())
        .envs(no_proxy.iter().copied())
        .run()
        .assert_code(2);
        [proxy.seen().len(), server.seen().len()]
    };
    let [through, direct] = query(&[]);
    assert!(through >= 2 && direct == 0, "{through} {direct}");
    for variable in ["NO_PROXY", "no_proxy"] {
        let [through, direct] = query(&[(variable, "localhost,127.0.0.1")]);
        assert!(through == 0 && direct >= 2, "{through} {direct}");
    }
}

#[test]
fn a_proxy_or_endpoint_that_is_no_url_is_named() {
    let dir = Dir::new();
    for (variable, value) in [
        ("HTTPS_PROXY", "socks5://127.0.0.1:1080"),
        ("AWS_ENDPOINT_URL_S3", "localhost:9000"),
        ("AWS_CA_BUNDLE", "/nowhere/ca.pem"),
        ("AWS_REQUEST_CHECKSUM_CALCULATION", "always"),
    ] {
        let finished = dir
            .logtally([
                "query",
                "s3://acme-logs/exports",
                "SELECT count(*) FROM logs",
            ])
            .envs([
                ("AWS_REGION", "eu-west-1"),
                ("AWS_ACCESS_KEY_ID", "a"),
                ("AWS_SECRET_ACCESS_KEY", "b"),
                (variable, value),
            ])
            .run();
        finished.assert_code(2).stderr_contains(value);
    }
}

#[test]
fn a_certificate_is_trusted_if_a_bundle_says_so() {
    let gate = Gate::start();
    let dir = Dir::new();
    let ca = gate.ca().display().to_string();
    let config = dir.write("aws-config", format!("[default]\nca_bundle = {ca}\n"));
    let config = config.display().to_string();
    let query = |settings: &[(&'static str, &str)]| {
        dir.logtally([
            "query",
            "s3://acme-logs/exports",
            "SELECT count(*) FROM logs",
        ])
        .envs([
            ("HTTPS_PROXY", gate.url().as_str()),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "b"),
        ])
        .envs(settings.iter().copied())
        .run()
    };
    for settings in [
        ("AWS_CA_BUNDLE", ca.as_str()),
        ("SSL_CERT_FILE", &ca),
        ("AWS_CONFIG_FILE", &config),
    ] {
        query(&[settings])
            .assert_code(2)
            .stderr_contains("holds no exported objects");
    }
    query(&[])
        .assert_code(4)
        .stderr_contains("UnknownIssuer")
        .stderr_contains("AWS_CA_BUNDLE");
    let broken = dir
        .write("broken.pem", "no certificate\n")
        .display()
        .to_string();
    for variable in ["AWS_CA_BUNDLE", "SSL_CERT_FILE"] {
        query(&[(variable, &broken)])
            .assert_code(2)
            .stderr_contains(&format!("{broken} ({variable}) holds no valid certificate"));
    }
}

/// rustls/hyper-rustls#187: a client that panics on a machine without CA certificates.
#[test]
fn a_machine_without_certificates_trusts_those_that_are_built_in() {
    let gate = Gate::start();
    let dir = Dir::new();
    let empty = dir.path().join("empty");
    std::fs::create_dir(&empty).expect("the test's folder is writable");
    let query = || {
        dir.logtally([
            "query",
            "s3://acme-logs/exports",
            "SELECT count(*) FROM logs",
        ])
        .env("SSL_CERT_DIR", &empty)
        .env("SSL_CERT_FILE", empty.join("missing"))
    };
    let plain = query().envs(gate.as_endpoint()).run();
    plain
        .assert_code(2)
        .stderr_contains("holds no exported objects");
    // The gate's authority is none of Mozilla's.
    let mut settings = gate.as_proxy();
    settings.retain(|(variable, _)| *variable != "AWS_CA_BUNDLE");
    query()
        .envs(settings)
        .run()
        .assert_code(4)
        .stderr_contains("UnknownIssuer");
}

/// The program in an image without certificates, accounts and `/proc`, as far as this machine can make one.
#[test]
fn nothing_panics_in_an_empty_image() {
    let gate = Gate::start();
    let dir = Dir::new();
    let program = env!("CARGO_BIN_EXE_logtally");
    let image = |arguments: &[&str]| {
        let mut command = Command::new("bwrap");
        for folder in ["/usr", "/lib", "/lib64", "/bin"] {
            command.args(["--ro-bind-try", folder, folder]);
        }
        command
            .args([
                "--dev",
                "/dev",
                "--tmpfs",
                "/tmp",
                "--tmpfs",
                "/etc",
                "--clearenv",
            ])
            .args(["--ro-bind", program, "/logtally"])
            .arg("--bind")
            .arg(dir.path())
            .args(["/work", "--chdir", "/work"]);
        for (variable, value) in gate.as_endpoint() {
            command.args(["--setenv", variable, &value]);
        }
        command.arg("/logtally").args(arguments).output()
    };
    let Ok(probe) = image(&["--version"]) else {
        eprintln!("without bwrap, this test shows nothing");
        return;
    };
    if !probe.status.success() {
        eprintln!(
            "bwrap makes no image here: {}",
            String::from_utf8_lossy(&probe.stderr)
        );
        return;
    }
    let finished = image(&[
        "query",
        "s3://acme-logs/exports",
        "SELECT count(*) FROM logs",
    ])
    .expect("bwrap is there");
    let said = String::from_utf8_lossy(&finished.stderr);
    assert_eq!(finished.status.code(), Some(2), "{said}");
    assert!(said.contains("holds no exported objects"), "{said}");
}

/// awslabs/iam-policy-autopilot#276: a profile of `aws login`, whose keys are in a cache of the AWS CLI.
#[test]
fn both_clients_sign_with_the_keys_of_a_login() {
    let gate = Gate::start();
    let dir = Dir::new();
    let session = "arn:aws:iam::0123456789012:user/Admin";
    let config = format!("[default]\nregion = eu-west-1\nlogin_session = {session}\n");
    // The name is the session's SHA-256.
    let cached = "cache/36db1d138ff460920374e4c3d8e01f53f9f73537e89c88d639f68393df0e2726.json";
    let token = json!({
        "accessToken": {
            "accessKeyId": "ASIAOFALOGIN",
            "secretAccessKey": "secret",
            "sessionToken": "session",
            "accountId": "012345678901",
            "expiresAt": "2125-12-25T21:30:00Z",
        },
        "tokenType": "aws_sigv4",
        "refreshToken": "refresh",
        "clientId": "arn:aws:signin:::devtools/same-device",
        "dpopKey": "unused",
    });
    dir.write(cached, token.to_string());
    dir.logtally([
        "query",
        "s3://acme-logs/exports",
        "SELECT count(*) FROM logs",
    ])
    .env("AWS_CONFIG_FILE", dir.write("aws-config", config))
    .env("AWS_LOGIN_CACHE_DIRECTORY", dir.join("cache"))
    .env("AWS_ENDPOINT_URL", gate.url())
    .run()
    .assert_code(2)
    .stderr_contains("holds no exported objects");
    let seen = gate.seen();
    let signed = seen.iter().filter(|request| {
        let authorization = request.header("authorization");
        authorization.contains("Credential=ASIAOFALOGIN/")
    });
    assert_eq!(signed.count(), seen.len());
    assert!(seen.iter().any(Seen::is_of_sdk) && !seen.iter().all(Seen::is_of_sdk));
}
