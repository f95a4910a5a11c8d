//! `kind = "delivered"`: what CloudWatch Logs delivers to S3.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};

use crate::support::events::at;
use crate::support::in_place::{DAY, InPlace, gzip, notes, zstd};
use crate::support::job::JOB;
use crate::support::moto::Moto;

/// A line of AWS PCS, as its documentation shows it.
fn pcs(time: &str, message: &str) -> String {
    let line = json!({
        "resource_id": "pcs_bu93qsds2j", "resource_type": "PCS_CLUSTER", "event_timestamp": at(time),
        "log_level": "info", "log_name": "slurmctld", "message": message,
    });
    line.to_string() + "\n"
}

/// The documented key of such an object.
fn pcs_key(hour: &str) -> String {
    let folder = hour.replace(['-', 'T'], "/");
    let name = hour.replace('T', "-");
    format!(
        "AWSLogs/111111111111/PCS/us-east-2/abc/slurmctld/25.11/{folder}/PCS_slurmctld_25.11_{name}_abc_0123.log.gz"
    )
}

/// A line of Lambda's logs of the class Delivery.
fn lambda(id: u32, time: &str, message: &Value) -> String {
    let line = json!({
        "accountId": "222222222222", "logGroup": "/aws/lambda/pay", "logStream": "2025/03/03/[$LATEST]0067",
        "id": id.to_string(), "timestamp": at(time), "message": message,
    });
    line.to_string() + "\n"
}

const LAMBDA: &str = "AWSLogs/222222222222/us-east-2/_aws_lambda_pay";

/// CloudFront's columns in Parquet, as Athena's documentation has them.
fn cloudfront(rows: &[(&str, &str, &str)]) -> Vec<u8> {
    let column = |values: Vec<&str>| Arc::new(StringArray::from(values)) as ArrayRef;
    let rows = RecordBatch::try_from_iter([
        ("date", column(rows.iter().map(|row| row.0).collect())),
        ("time", column(rows.iter().map(|row| row.1).collect())),
        (
            "cs_uri_stem",
            column(rows.iter().map(|row| row.2).collect()),
        ),
    ])
    .expect("the columns have one length");
    let mut out = Vec::new();
    let mut writer =
        ArrowWriter::try_new(&mut out, rows.schema(), None).expect("texts are columns");
    writer.write(&rows).expect("memory takes all");
    writer.close().expect("memory takes all");
    out
}

/// The objects of a day and its neighbours, in every form that is documented or was observed.
fn objects() -> Vec<(String, Vec<u8>)> {
    let first = pcs("2025-03-02T23:59:59.999Z", "before") + &pcs("2025-03-03T00:00:00Z", "first\n");
    let late = pcs("2025-03-03T22:00:00Z", "late");
    let first_of_lambda = lambda(1, "2025-03-03T05:00:00Z", &json!("a \"b\"\n"))
        + &lambda(
            2,
            "2025-03-03T05:00:01Z",
            &json!({"type": "platform.start"}),
        );
    let again = lambda(
        2,
        "2025-03-03T05:00:01Z",
        &json!({"type": "platform.start"}),
    );
    let w3c = "#Fields: date time x-edge-location timestamp(ms) cs-uri-stem\n\
               2025-03-03\t07:00:00\tSOF50-P2\t1740985200421\t/a\n";
    vec![
        (pcs_key("2025-03-02T23"), gzip(&first)),
        (pcs_key("2025-03-04T09"), gzip(&late)),
        // Far from the day: never read.
        (pcs_key("2025-03-20T00"), b"damaged".to_vec()),
        (format!("{LAMBDA}/_a1.log.zst"), zstd(&first_of_lambda)),
        (format!("{LAMBDA}/_b2.log.zst"), zstd(&again)),
        (
            "AWSLogs/aws-account-id=333333333333/CloudFront/year=2025/month=03/day=03/hour=07/E1.2025-03-03-07.a.gz".to_owned(),
            gzip(w3c),
        ),
        (
            "AWSLogs/333333333333/CloudFront/E2.2025-03-03-08.b.parquet".to_owned(),
            cloudfront(&[("2025-03-02", "23:59:59", "/x"), ("2025-03-03", "08:00:00", "/b")]),
        ),
        ("aws-logs-write-test".to_owned(), b"Permission Check Successful".to_vec()),
    ]
}

/// A job over these objects.
fn night() -> InPlace {
    InPlace::new("delivered", objects())
}

/// A job over other ones.
fn night_of<const N: usize>(objects: [(&str, &str); N], source: &str) -> InPlace {
    let objects = objects.map(|(key, object)| (key.to_owned(), object.into()));
    let night = InPlace::new("delivered", objects);
    night.job(source, "");
    night
}

#[test]
fn a_day_of_every_form_has_each_event_by_its_own_time() {
    let night = night();
    let receipt = night.receipt(&[]);
    assert_eq!(receipt["read"]["events"], 6);
    assert_eq!(receipt["read"]["duplicate_events"], 1);
    assert_eq!(notes(&receipt), [""; 0]);
    let events = night.hourly_count().integers("events");
    let by_hour = [0, 5, 7, 8, 22].map(|hour| events[hour]);
    assert_eq!(by_hour, [1, 2, 1, 1, 1]);
}

#[test]
fn the_columns_are_those_of_the_record_and_the_key() {
    let night = night();
    night.job("log_group = \"vended\"", "");
    let rows =
        night.ask("SELECT account, log_group, log_stream, message FROM logs ORDER BY timestamp");
    let rows = rows.as_array().expect("rows");
    assert_eq!(rows[0]["account"], "111111111111");
    assert_eq!(rows[0]["log_group"], "vended");
    assert_eq!(rows[0]["log_stream"], "");
    let whole = pcs("2025-03-03T00:00:00Z", "first\n");
    assert_eq!(rows[0]["message"], whole.trim_end());
    assert_eq!(
        rows[1],
        json!({"account": "222222222222", "log_group": "/aws/lambda/pay", "log_stream": "2025/03/03/[$LATEST]0067", "message": "a \"b\""})
    );
    assert_eq!(rows[2]["message"], "{\"type\":\"platform.start\"}");
    assert_eq!(rows[3]["account"], "333333333333");
    assert_eq!(
        rows[4]["message"],
        "{\"date\":\"2025-03-03\",\"time\":\"08:00:00\",\"cs_uri_stem\":\"/b\"}"
    );
    night.job("message = \"message\"", "");
    let rows =
        night.ask("SELECT message FROM logs WHERE account = '111111111111' ORDER BY timestamp");
    assert_eq!(rows, json!([{"message": "first"}, {"message": "late"}]));
}

#[test]
fn fields_without_a_header_have_the_names_of_the_job() {
    let objects = [(
        "2025/03/03/a.log",
        "10.0.0.1|2025-03-03T01:00:00Z|GET /\n10.0.0.2|2025-03-03T02:00:00Z|GET /b\n",
    )];
    let night = night_of(
        objects,
        "fields = [\"c-ip\", \"timestamp\", \"request\"]\ndelimiter = \"|\"\nmessage = \"request\"",
    );
    let rows = night.ask("SELECT message FROM logs ORDER BY 1");
    assert_eq!(rows, json!([{"message": "GET /"}, {"message": "GET /b"}]));
}

#[test]
fn a_line_without_a_time_is_damage_and_nothing_is_published() {
    let night = night();
    let line = pcs("2025-03-03T01:00:00Z", "good");
    let key = pcs_key("2025-03-03T01");
    night.put(&key, gzip(format!("{line}{{\"at\":1}}\n")));
    night
        .run(&[])
        .assert_code(5)
        .stderr_contains(&key)
        .stderr_contains(&format!(
            "the line at byte {} of its text has no time",
            line.len()
        ))
        .stderr_contains("[source] time with the name that it has");
    assert!(!night.dir.join("out/night/hourly_count").exists());
}

#[test]
fn later_objects_of_a_settled_window_are_counted_by_the_next_run() {
    let night = night();
    let late = pcs_key("2025-03-04T09");
    let object = night.take(&late);
    assert_eq!(night.receipt(&[])["read"]["events"], 5);
    night.put(&late, object);
    let receipt = night.receipt(&[]);
    assert_eq!(receipt["read"]["events"], 6);
    assert_eq!(receipt["change"]["events"], 1);
}

#[test]
fn a_location_of_delivered_logs_is_recognised() {
    let night = night();
    let lambda = format!("logs/{LAMBDA}");
    let sql = "SELECT account, count(*) AS events FROM logs GROUP BY 1";
    let expected = json!([{"account": "222222222222", "events": 2}]);
    assert_eq!(night.ask_of(&[&lambda], sql), expected);
    let count = "SELECT count(*) AS n FROM logs";
    let pcs = format!("logs/{}", pcs_key("2025-03-02T23"));
    assert_eq!(night.ask_of(&[&pcs], count), json!([{"n": 2}]));
    let day = ["logs/AWSLogs/aws-account-id=333333333333", "--window", DAY];
    assert_eq!(night.ask_of(&day, count), json!([{"n": 1}]));
}

#[test]
fn on_s3_only_folders_of_the_window_are_looked_into() {
    let moto = Moto::shared();
    let bucket = "delivered-folders";
    moto.create_bucket(bucket);
    for (key, object) in objects() {
        moto.put_object(bucket, &key, &object);
    }
    let night = InPlace::new("delivered", []);
    night.job_over(&format!("s3://{bucket}/AWSLogs/111111111111"), "", "");
    let receipt = night.receipt_on(moto);
    assert_eq!(receipt["read"]["events"], 2);
    assert_eq!(receipt["read"]["objects"], 2);
    night.job_over(&format!("s3://{bucket}/AWSLogs/333333333333"), "", "");
    let rows = night
        .dir
        .logtally(["query", JOB, "--window", DAY, "--format", "json"])
        .arg("SELECT message::text AS m FROM logs WHERE timestamp > '2025-03-03 07:59'")
        .envs(moto.environment())
        .run();
    let rows = rows.assert_success().stdout_json();
    assert_eq!(rows.as_array().map(Vec::len), Some(1));
}

#[test]
fn an_empty_location_is_an_error_and_a_quiet_day_is_none() {
    let night = night();
    night
        .dir
        .write("empty/aws-logs-write-test", "Permission Check Successful");
    night.job_over("empty", "", "");
    night
        .run(&[])
        .assert_code(2)
        .stderr_contains("holds no object: expected in [source] path");
    let key = pcs_key("2025-03-02T23");
    let folder = Path::new(&key).parent().expect("a folder").display();
    night.job_over(&format!("logs/{folder}"), "", "");
    let quiet = night.run_of("2025-01-03", &["--json"]);
    assert_eq!(quiet.assert_success().stdout_run()["read"]["events"], 0);
}

/// A day without objects may be quiet, or the job looks for them in the wrong place.
#[test]
fn a_day_without_objects_is_noted_with_the_last_one() {
    // Objects whose keys say no time may be of any, on disk.
    let key = pcs_key("2025-03-03T05");
    let night = night_of([(&*key, &*pcs("2025-03-03T05:00:00Z", "only"))], "");
    for window in ["2025-01-03", DAY] {
        let planned = night.dir.logtally(["plan", JOB, "--window", window]).run();
        let printed = &planned.assert_success().stdout;
        assert_eq!(
            printed.contains("note     logs has no object of 2025-01-02T22:00Z"),
            window != DAY,
            "{printed}"
        );
    }
    let quiet = night.run_of("2025-01-03", &["--json"]);
    let receipt = quiet.assert_success().stdout_run();
    assert_eq!(receipt["read"]["events"], 0);
    let noted = notes(&receipt).join("\n");
    let expected = "has no object of 2025-01-02T22:00Z to 2025-01-04T12:00Z, and others, the last of which is logs/";
    assert!(noted.contains(expected), "{noted}");
    quiet.stderr_contains("has no object of 2025-01-02T22:00Z");
    let arguments = [
        "query",
        JOB,
        "--window",
        "2025-01-03",
        "SELECT count(*) FROM logs",
    ];
    let asked = night.dir.logtally(arguments).run();
    asked.assert_success().stderr_contains("has no object of");
}

/// Keys and events are not of one time: the member of the time is another one, or the folders mean something else.
#[test]
fn objects_of_a_day_without_events_of_it_are_noted() {
    let line = |created: &str, time: &str| {
        format!("{{\"timestamp\":\"{time}\",\"created\":\"{created}\"}}\n")
    };
    let text = line("2020-01-01T00:00:00Z", "2025-03-03T05:00:00Z");
    let night = night_of([("2025/03/03/05/a.log", &*text)], "time = \"created\"");
    let receipt = night.receipt(&[]);
    assert_eq!(receipt["read"]["events"], 0);
    let noted = notes(&receipt).join("\n");
    let expected = "1 object of logs arrived within 2025-03-03, and it has no event of it, such as logs/2025/03/03/05/a.log";
    assert!(noted.contains(expected), "{noted}");
    assert!(noted.contains("time of an event (\"created\")"), "{noted}");
    // The same is right where the objects of the neighbours alone are there.
    let next = night_of([("2025/03/04/05/a.log", &*text)], "time = \"created\"");
    assert_eq!(notes(&next.receipt(&[])), [""; 0]);
    night.job("", "");
    assert_eq!(notes(&night.receipt(&["--force"])), [""; 0]);
}

#[test]
fn an_archive_has_the_account_and_answers_as_the_objects_do() {
    let night = night();
    night.job("", "[archive]\ncolumns = { level = \"level(message)\" }\n");
    night.run(&[]).assert_success();
    assert_eq!(night.archive().texts("account").len(), 6);
    let sql = "SELECT account, count(*) AS events FROM logs GROUP BY 1 ORDER BY 1";
    let expected = json!([
        {"account": "111111111111", "events": 2},
        {"account": "222222222222", "events": 2},
        {"account": "333333333333", "events": 2},
    ]);
    assert_eq!(night.ask(sql), expected);
    // Also when objects have expired, and when all have.
    night.take(&pcs_key("2025-03-04T09"));
    assert_eq!(night.ask(sql), expected);
    std::fs::remove_dir_all(night.dir.join("logs/AWSLogs")).expect("it is there");
    assert_eq!(night.ask(sql), expected);
}

#[test]
fn sources_of_delivered_logs_have_a_shape_of_their_own_each() {
    let night = InPlace::new("delivered", []);
    night.dir.write(
        "json/AWSLogs/111111111111/2025/03/03/a.log",
        "{\"at\":\"2025-03-03T01:00:00Z\",\"text\":\"of JSON\"}\n",
    );
    night.dir.write(
        "plain/2025/03/03/b.log",
        "10.0.0.1|2025-03-03T02:00:00Z|GET /\n",
    );
    night.dir.write(
        JOB,
        "name = \"night\"\n\
         [[source]]\nkind = \"delivered\"\npath = \"json\"\ntime = \"at\"\nmessage = \"text\"\n\
         [[source]]\nkind = \"delivered\"\npath = \"plain\"\nfields = [\"c-ip\", \"timestamp\", \"request\"]\n\
         delimiter = \"|\"\nmessage = \"request\"\nlog_group = \"web\"\n\
         [output]\nlocation = \"out\"\n[[query]]\nuse = \"hourly_count\"\n",
    );
    let receipt = night.receipt(&[]);
    assert_eq!(receipt["read"]["events"], 2);
    assert_eq!(receipt["exports"][1]["source"], 2);
    let rows = night.ask("SELECT account, region, log_group, message FROM logs ORDER BY timestamp");
    let expected = json!([
        {"account": "111111111111", "region": null, "log_group": null, "message": "of JSON"},
        {"account": null, "region": null, "log_group": "web", "message": "GET /"},
    ]);
    assert_eq!(rows, expected);
}

/// What a run would find only in the night is an error of the job.
#[test]
fn fields_without_a_time_are_an_error_of_the_job_file() {
    let night = night_of(
        [("2025/03/03/a.log", "a b\n")],
        "fields = [\"c-ip\", \"when\"]",
    );
    for command in ["plan", "run"] {
        let arguments = [command, JOB, "--window", DAY];
        let finished = night.dir.logtally(arguments).run();
        finished
            .assert_code(2)
            .stderr_contains("night.toml:5: [source] fields names c-ip, when")
            .stderr_contains("expected one of event_timestamp");
    }
}
