//! Notifications: which runs are reported, once each, whatever the receiver does.

use serde_json::{Value, json};

use crate::support::events::{HOUR, at};
use crate::support::job::Night;
use crate::support::moto::{Moto, REGION};
use crate::support::on_s3::{Exported, WINDOW as S3_WINDOW};
use crate::support::program::{Finished, Program, run_behind_a_dead_run};
use crate::support::python;
use crate::support::webhook::{Answer, SECRET, Webhook};

const WINDOW: &str = "2025-03-10";

/// A job that reports to a webhook, over a day of 24 events.
fn night(on: &str, more: &str) -> Night {
    let tail = format!("{more}[notify]\nwebhook = \"${{HOOK}}\"\non = \"{on}\"\n");
    let night = Night::with("timezone = \"UTC\"", &tail);
    let midnight = at("2025-03-10T00:00:00Z");
    let events: Vec<_> = (0..24).map(|hour| (midnight + hour * HOUR, "x")).collect();
    night.export().stream("web", &events);
    night
}

fn program(night: &Night, webhook: &Webhook, arguments: &[&str]) -> Program {
    let arguments = ["run", "night.toml", "--window"].iter().chain(arguments);
    night.dir.logtally(arguments).env("HOOK", webhook.url())
}

fn run(night: &Night, webhook: &Webhook, arguments: &[&str]) -> Finished {
    let finished = program(night, webhook, arguments).run();
    finished.stderr_lacks(SECRET);
    assert!(!finished.stdout.contains(SECRET), "{finished}");
    finished
}

#[test]
fn a_window_is_reported_once() {
    let webhook = Webhook::start(&[Answer::ok()]);
    let night = night("always", "");
    run(&night, &webhook, &[WINDOW])
        .assert_success()
        .stderr_contains("\"channel\":\"webhook\"");
    let texts = webhook.texts();
    assert_eq!(texts.len(), 1);
    assert!(
        texts[0].starts_with("night · 2025-03-10 (Mon) · UTC: 24 events"),
        "{texts:?}"
    );
    assert_eq!(webhook.received()[0].path, format!("/services/{SECRET}"));
    // Done, and done again with the same outcome.
    run(&night, &webhook, &[WINDOW]).assert_success();
    run(&night, &webhook, &[WINDOW, "--force"]).assert_success();
    assert_eq!(webhook.texts().len(), 1);
    run(&night, &webhook, &["2025-03-11"]).assert_success();
    assert_eq!(webhook.texts().len(), 2);
    // The secret is in no file.
    for file in night.outputs() {
        let bytes = night.dir.read(&file);
        let has = bytes
            .windows(SECRET.len())
            .any(|part| part == SECRET.as_bytes());
        assert!(!has, "{file}");
    }
}

#[test]
fn a_failure_is_reported_once_and_success_only_if_it_is_asked_for() {
    let webhook = Webhook::start(&[Answer::ok()]);
    let night = night("failure", "");
    run(&night, &webhook, &[WINDOW]).assert_success();
    assert!(webhook.texts().is_empty());
    // A damaged object fails the window, and each run of it in the same way.
    night.dir.write("exported/web-2/000000.gz", "no gzip");
    for _ in 0..2 {
        run(&night, &webhook, &[WINDOW, "--force"]).assert_code(5);
    }
    let texts = webhook.texts();
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(
        texts[0].starts_with("night · 2025-03-10 failed (5)\n"),
        "{texts:?}"
    );
    assert!(texts[0].contains("000000.gz"), "{texts:?}");
}

#[test]
fn a_failure_before_the_window_is_taken_is_reported_once() {
    let webhook = Webhook::start(&[Answer::ok()]);
    let query = "[[query]]\nname = \"wrong\"\nsql = \"wrong.sql\"\n";
    let night = night("failure", query);
    night.dir.write("wrong.sql", "SELECT nope FROM logs");
    for _ in 0..2 {
        run(&night, &webhook, &[WINDOW]).assert_code(6);
    }
    let texts = webhook.texts();
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(
        texts[0].contains("failed (6)") && texts[0].contains("nope"),
        "{texts:?}"
    );
    // Wrong arguments are no failure of a window.
    run(&night, &webhook, &["2025-W10"]).assert_code(2);
    assert_eq!(webhook.texts().len(), 1);
}

#[test]
fn a_change_is_reported_in_the_jobs_language() {
    let webhook = Webhook::start(&[Answer::ok()]);
    let expect = "[[expect]]\nquery = \"hourly_count\"\ncolumn = \"events\"\nmin = 2\n";
    let night = night("change", expect);
    let job = night.dir.read_text("night.toml");
    night.dir.write(
        "night.toml",
        job.replace("timezone", "language = \"ko\"\ntimezone"),
    );
    run(&night, &webhook, &[WINDOW]).assert_success();
    let texts = webhook.texts();
    assert_eq!(texts.len(), 1);
    assert!(
        texts[0]
            .contains("기대와 다름: hourly_count: 기대 events의 모든 값 2 이상, 실제 1 외 23개"),
        "{texts:?}"
    );
    // As expected, and no change.
    night.dir.write(
        "night.toml",
        night
            .dir
            .read_text("night.toml")
            .replace("min = 2", "min = 1"),
    );
    run(&night, &webhook, &[WINDOW]).assert_success();
    assert_eq!(webhook.texts().len(), 1);
}

#[test]
fn what_a_receiver_does_fails_no_run() {
    let elsewhere = Webhook::start(&[Answer::ok()]);
    for (answers, expected, requests) in [
        (
            vec![Answer::With(403, "invalid_token".to_owned())],
            "it answered 403 (invalid_token)",
            1,
        ),
        (
            vec![Answer::With(
                404,
                format!("no service at /services/{SECRET}"),
            )],
            "it answered 404",
            1,
        ),
        (
            vec![Answer::Redirect(elsewhere.url())],
            "a redirect to 127.0.0.1:",
            1,
        ),
        (vec![Answer::Never], "no answer came in time", 1),
        (vec![Answer::With(500, String::new())], "it answered 500", 1),
        // Surely not taken, and taken by the second attempt.
        (
            vec![Answer::With(429, String::new()), Answer::ok()],
            "\"notified\"",
            2,
        ),
    ] {
        let webhook = Webhook::start(&answers);
        let night = night("always", "");
        let finished = run(&night, &webhook, &[WINDOW]);
        finished.assert_success().stderr_contains(expected);
        assert_eq!(webhook.received().len(), requests, "{answers:?}");
        let receipt = night.dir.read_json(format!("out/night/runs/{WINDOW}.json"));
        assert_eq!(receipt["status"], "done");
        // It may have been taken, so it is not sent again.
        run(&night, &webhook, &[WINDOW, "--force"]).assert_success();
        assert_eq!(webhook.received().len(), requests, "{answers:?}");
    }
    assert!(elsewhere.received().is_empty());
}

#[test]
fn a_run_that_is_killed_while_it_reports_reports_nothing_twice() {
    let webhook = Webhook::start(&[Answer::Never, Answer::ok()]);
    let night = night("always", "[run]\nlease = \"1s\"\n");
    let mut running = program(&night, &webhook, &[WINDOW]).spawn();
    running.wait_until("the webhook has the message", |_| {
        !webhook.received().is_empty()
    });
    // It is sent behind the receipt.
    let receipt = night.dir.read_json(format!("out/night/runs/{WINDOW}.json"));
    assert_eq!(receipt["status"], "done");
    running.signal("KILL");
    running.wait().assert_signal(9);
    run_behind_a_dead_run(|| program(&night, &webhook, &[WINDOW])).assert_success();
    assert_eq!(webhook.received().len(), 1);
}

#[test]
fn the_next_run_reports_what_a_run_killed_behind_its_receipt_did_not() {
    let webhook = Webhook::start(&[Answer::ok()]);
    let night = night("failure", "");
    run(&night, &webhook, &[WINDOW]).assert_success();
    let receipt = night.dir.read_json(format!("out/night/runs/{WINDOW}.json"));
    // As a run leaves it that is killed then.
    let state = json!({
        "lease": null, "phase": "publishing", "failure": null, "attempts": [],
        "unfinished": {"began_at": receipt["started_at"], "source_sha256": receipt["source_sha256"], "replaces": null},
    });
    let key = format!("out/night/runs/_state/{WINDOW}.json");
    night.dir.write(&key, state.to_string());
    let job = night
        .dir
        .read_text("night.toml")
        .replace("\"failure\"", "\"always\"");
    night.dir.write("night.toml", job);
    for _ in 0..2 {
        run(&night, &webhook, &[WINDOW])
            .assert_success()
            .stdout_contains("done already");
        assert_eq!(webhook.texts().len(), 1);
    }
    assert!(webhook.texts()[0].contains("24 events"));
    assert_eq!(night.dir.read_json(&key)["reported"], json!(["done"]));
}

/// A queue that receives what a topic is sent: the topic's ARN, and the queue's URL.
fn topic(moto: &Moto, name: &str) -> (String, String) {
    let text = |answer: &Value, key: &str| answer[key].as_str().expect("a text").to_owned();
    let topic = moto.call("sns", "create_topic", json!({"Name": name}));
    let topic = text(&topic, "TopicArn");
    let queue = moto.call("sqs", "create_queue", json!({"QueueName": name}));
    let queue = text(&queue, "QueueUrl");
    let arn = format!("arn:aws:sqs:{REGION}:123456789012:{name}");
    let subscription = json!({"TopicArn": topic, "Protocol": "sqs", "Endpoint": arn});
    moto.call("sns", "subscribe", subscription);
    (topic, queue)
}

fn messages(moto: &Moto, queue: &str) -> Vec<Value> {
    let asked = json!({"QueueUrl": queue, "MaxNumberOfMessages": 10});
    let answer = moto.call("sqs", "receive_message", asked);
    let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
    let bodies = messages
        .iter()
        .map(|message| message["Body"].as_str().expect("a text"));
    bodies
        .map(|body| serde_json::from_str(body).expect("SNS sends JSON"))
        .collect()
}

#[test]
fn a_topic_gets_a_link_that_opens_the_chart() {
    let moto = Moto::shared();
    let (topic, queue) = topic(moto, "notified");
    let exported = Exported::new(moto, "notified");
    let notify = format!("[notify]\nsns = \"{topic}\"\non = \"always\"\nlink_lifetime = \"1h\"\n");
    let run = || {
        exported
            .program("a", &notify, S3_WINDOW)
            .arg("-v")
            .envs(moto.environment())
            .run()
    };
    let finished = run();
    finished
        .assert_success()
        .stderr_contains("\"channel\":\"sns\"")
        .stderr_lacks("X-Amz-Signature");
    assert!(!finished.stdout.contains("X-Amz-Signature"), "{finished}");
    let received = messages(moto, &queue);
    assert_eq!(received.len(), 1, "{received:?}");
    let subject = format!("logtally: night {S3_WINDOW} done");
    assert_eq!(received[0]["Subject"], subject);
    let message = received[0]["Message"].as_str().expect("a text");
    let lines: Vec<&str> = message.lines().collect();
    let [headline, link] = lines[..] else {
        panic!("{message}")
    };
    assert!(headline.contains("120 events"), "{message}");
    assert!(link.contains("X-Amz-Expires=3600"), "{message}");
    let get =
        "import sys, urllib.request as web; print(web.urlopen(sys.argv[1]).read()[1:4].decode())";
    assert_eq!(python::output(python::snippet(get).arg(link)), "PNG\n");
    // The same outcome once more.
    run().assert_success();
    exported
        .program("a", &notify, S3_WINDOW)
        .arg("--force")
        .envs(moto.environment())
        .run()
        .assert_success();
    assert!(messages(moto, &queue).is_empty());
}

#[test]
fn a_topic_that_does_not_exist_fails_no_run() {
    let moto = Moto::shared();
    let exported = Exported::new(moto, "unnotified");
    let topic = format!("arn:aws:sns:{REGION}:123456789012:surely-not-there");
    let notify = format!("[notify]\nsns = \"{topic}\"\non = \"always\"\n");
    let program = exported.program("a", &notify, S3_WINDOW);
    let finished = program.envs(moto.environment()).run();
    finished
        .assert_success()
        .stderr_contains("could not notify")
        .stderr_contains("NotFound");
}

/// A job that reports to a channel of Slack, whose API is at an address of this machine.
fn slack_night(api: &Webhook) -> Night {
    let notify = format!(
        "[notify]\nslack_token = \"${{TOKEN}}\"\nslack_channel = \"C0123456789\"\nslack_api = \"{}/api/\"\non = \"always\"\n",
        api.address()
    );
    let night = Night::with("timezone = \"UTC\"", &notify);
    night
        .export()
        .stream("web", &[(at("2025-03-10T12:00:00Z"), "x")]);
    night
}

fn run_slack_night(night: &Night) -> Finished {
    let program = night
        .dir
        .logtally(["run", "night.toml", "--window", WINDOW]);
    let finished = program.env("TOKEN", "xoxb-surely-secret").run();
    finished.assert_success().stderr_lacks("xoxb");
    finished
}

#[test]
fn a_bot_uploads_the_charts() {
    let ok = json!({"ok": true}).to_string();
    let slack = Webhook::start_with(|address| {
        let url = format!("{address}/upload/1");
        let place = json!({"ok": true, "upload_url": url, "file_id": "F01"});
        let place = Answer::With(200, place.to_string());
        vec![place, Answer::ok(), Answer::With(200, ok)]
    });
    let night = slack_night(&slack);
    run_slack_night(&night)
        .stderr_contains("\"channel\":\"slack\"")
        .stderr_contains("\"notified\"");
    let received = slack.received();
    let [place, upload, complete] = &received[..] else {
        panic!("{received:?}")
    };
    let chart = night.dir.read(format!(
        "out/night/charts/hourly_count/hourly_count-{WINDOW}.png"
    ));
    assert_eq!(place.path, "/api/files.getUploadURLExternal");
    assert_eq!(place.authorization, "Bearer xoxb-surely-secret");
    let form = format!("filename=hourly_count-{WINDOW}.png&length={}", chart.len());
    assert_eq!(String::from_utf8_lossy(&place.bytes), form);
    assert_eq!(upload.path, "/upload/1");
    assert_eq!(upload.authorization, "", "the place is another host");
    assert!(upload.bytes == chart);
    assert_eq!(complete.path, "/api/files.completeUploadExternal");
    assert_eq!(complete.body["files"][0]["id"], "F01");
    assert_eq!(complete.body["channel_id"], "C0123456789");
    let comment = complete.body["initial_comment"].as_str();
    let comment = comment.expect("a text");
    assert!(
        comment.contains("1 event") && !comment.contains("http"),
        "{comment}"
    );
}

#[test]
fn a_bot_that_may_not_upload_sends_the_text() {
    let answer = |answer: Value| Answer::With(200, answer.to_string());
    let refused = answer(json!({"ok": false, "error": "missing_scope"}));
    let slack = Webhook::start(&[refused.clone(), answer(json!({"ok": true}))]);
    run_slack_night(&slack_night(&slack))
        .stderr_contains("missing_scope")
        .stderr_contains("\"notified\"");
    let posted = &slack.received()[1];
    assert_eq!(posted.path, "/api/chat.postMessage");
    assert_eq!(posted.body["channel"], "C0123456789");
    let text = posted.body["text"].as_str();
    assert!(text.is_some_and(|text| text.contains("1 event")));
    // Nothing is taken.
    let slack = Webhook::start(&[refused]);
    run_slack_night(&slack_night(&slack)).stderr_contains("could not notify");
}
