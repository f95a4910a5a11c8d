//! `kind = "exported"`: objects that were exported without logtally, read as they are.

use serde_json::json;

use crate::support::events::at;
use crate::support::export::{Export, Object};
use crate::support::job::Night;
use crate::support::moto::Moto;
use crate::support::on_s3::{Exported, WINDOW};

const DAY: &str = "2025-03-03";

#[test]
fn the_log_group_is_what_the_job_says_or_null() {
    let night = Night::with("", "");
    night
        .export()
        .stream("web/app", &[(at("2025-03-03T10:00:00Z"), "x")]);
    let job = night.dir.read_text("night.toml");
    night.dir.write(
        "named.toml",
        job.replace(
            "path = \"exported\"",
            "path = \"exported\"\nlog_group = \"/ecs/web\"",
        ),
    );
    let group = |subject: &str| {
        night
            .dir
            .logtally([
                "query",
                subject,
                "--format",
                "json",
                "SELECT log_group FROM logs",
            ])
            .run()
            .assert_success()
            .stdout_json()
    };
    assert_eq!(group("night.toml"), json!([{"log_group": null}]));
    assert_eq!(group("named.toml"), json!([{"log_group": "/ecs/web"}]));
    assert_eq!(group("exported"), json!([{"log_group": null}]));

    let receipt = night
        .dir
        .logtally(["run", "named.toml", "--window", DAY, "--json"])
        .run()
        .assert_success()
        .stdout_run();
    let export = &receipt["exports"][0];
    assert_eq!(export["log_group"], "/ecs/web");
    assert_eq!(export["task_id"], json!(null));
    assert_eq!(export["objects"], 1);
}

#[test]
fn the_source_is_left_as_it_is() {
    let night = Night::new();
    night
        .export()
        .stream("web/app", &[(at("2025-03-03T10:00:00Z"), "x")]);
    let before = night.dir.files();
    night.run(DAY).assert_success();
    night
        .run_with(["--window", DAY, "--force=export"])
        .assert_success();
    let after: Vec<String> = night
        .dir
        .files()
        .into_iter()
        .filter(|file| !file.starts_with("out/"))
        .collect();
    assert_eq!(before, after);
}

#[test]
fn nothing_to_read_is_an_error_and_nothing_in_the_window_is_not() {
    let night = Night::new();
    for command in ["plan", "run"] {
        let arguments = [command, "night.toml", "--window", DAY];
        night
            .dir
            .logtally(arguments)
            .run()
            .assert_code(2)
            .stderr_contains("exported")
            .stderr_contains("no exported objects");
    }
    // An export without events leaves only the service's test object.
    Export::new(night.dir.join("exported"));
    night.run(DAY).assert_code(2);
    assert_eq!(night.outputs(), Vec::<String>::new());
    night.export().object("web/app", 0, &Object::of_text(""));
    assert_eq!(night.receipt(DAY)["read"]["events"], 0);
    assert_eq!(night.hourly_count(DAY).integers("events"), [0; 24]);
}

#[test]
fn streams_in_several_exports_are_told() {
    let night = Night::new();
    let export = night.export();
    let time = at("2025-03-03T10:00:00Z");
    export.stream("web/app", &[(time, "x")]);
    export.stream("web/other", &[(time, "x")]);
    assert_eq!(night.receipt(DAY)["notes"], json!(null));
    export
        .task("00000000-5d9a-4b1c-8f6e-0c1b8a2d4f60")
        .stream("web/app", &[(time, "x")]);
    let finished = night.run_with(["--window", DAY, "--force"]);
    let told = "1 stream is in several exports below";
    finished
        .assert_success()
        .stdout_contains(told)
        .stderr_contains(told);
    let receipt = night.dir.read_json(format!("out/night/runs/{DAY}.json"));
    assert_eq!(receipt["read"]["events"], 3);
    let note = receipt["notes"][0].as_str().expect("a note");
    assert!(
        note.starts_with(told) && note.ends_with("where these overlap, events count several times"),
        "{note}"
    );
}

#[test]
fn a_query_tells_of_streams_in_several_exports() {
    let night = Night::new();
    let export = night.export();
    let time = at("2025-03-03T10:00:00Z");
    let lambda = "2025/03/03/[$LATEST]8384fc4f4204e4521a5c7742b76ea1ef";
    for stream in ["web/app", lambda] {
        export.stream(stream, &[(time, "x")]);
    }
    let query = || {
        let sql = "SELECT count(*) FROM logs";
        let asked = night.dir.logtally(["query", "exported", sql]).run();
        asked.assert_success().stderr.clone()
    };
    let told = "in several exports below";
    assert!(!query().contains(told));
    // Another log group, below another prefix: a stream of one name is no sign, but a name of Lambda's is.
    let elsewhere = night.dir.join("exported/other");
    let other = Export::new(elsewhere).task("00000000-5d9a-4b1c-8f6e-0c1b8a2d4f60");
    other.stream("web/app", &[(time, "something else")]);
    assert!(!query().contains(told));
    other.stream(lambda, &[(time, "something else")]);
    assert!(query().contains("1 stream is in several exports below"));
}

#[test]
fn names_that_are_awkward_in_keys_are_read() {
    let night = Night::new();
    let export = night.export();
    let names = [
        "2025/03/03/[$LATEST]8384fc4f4204e4521a5c7742b76ea1ef",
        "with space and #hash",
        "per%2Fcent",
        "한글",
        "a~b",
        "dots..and.more",
        "plus+equals=",
    ];
    for name in names {
        export.stream(name, &[(at("2025-03-03T10:00:00Z"), "x")]);
    }
    let mut expected = names;
    expected.sort_unstable();
    let rows: Vec<_> = expected
        .iter()
        .map(|name| json!({"log_stream": name}))
        .collect();
    assert_eq!(
        night.ask("SELECT log_stream FROM logs ORDER BY log_stream"),
        json!(rows)
    );
    assert_eq!(night.receipt(DAY)["read"]["events"], names.len());
}

#[test]
fn an_export_that_shrank_replaces_nothing_unless_forced() {
    let night = Night::new();
    let export = night.export();
    let time = at("2025-03-03T10:00:00Z");
    export.stream("web/app", &[(time, "a"), (time, "b")]);
    night.run(DAY).assert_success();
    let answer = format!("out/night/hourly_count/dt={DAY}/hourly_count.parquet");
    let before = night.dir.read(&answer);
    export.stream("web/app", &[(time, "a")]);
    // A new query makes the window stale.
    let job = night.dir.read_text("night.toml");
    night
        .dir
        .write("night.toml", job + "\n[[query]]\nuse = \"hour_of_day\"\n");
    night
        .run(DAY)
        .assert_code(4)
        .stderr_contains("went from 2 in the last run to 1");
    assert_eq!(night.dir.read(&answer), before);
    night
        .run_with(["--window", DAY, "--force"])
        .assert_success();
    assert_eq!(night.hourly_count(DAY).integers("events")[10], 1);
}

#[test]
fn changed_questions_compute_a_done_window_anew() {
    let night = Night::with(
        "",
        "[[query]]\nname = \"messages\"\nsql = \"messages.sql\"\n",
    );
    night
        .export()
        .stream("web/app", &[(at("2025-03-03T10:00:00Z"), "x")]);
    night.dir.write("messages.sql", "SELECT message FROM logs");
    night.run(DAY).assert_success();
    night
        .run(DAY)
        .assert_success()
        .stdout_contains("done already");
    night
        .dir
        .write("messages.sql", "SELECT upper(message) AS message FROM logs");
    night
        .run(DAY)
        .assert_success()
        .stderr_lacks("\"skipped\":true");
    let answer = night
        .dir
        .join(format!("out/night/messages/dt={DAY}/messages.parquet"));
    assert_eq!(
        crate::support::parquet::Parquet::read(answer).texts("message"),
        ["X"]
    );
}

#[test]
fn a_question_may_read_the_answers_before_it() {
    let night = Night::with("", "[[query]]\nname = \"busiest\"\nsql = \"busiest.sql\"\n");
    let time = at("2025-03-03T10:00:00Z");
    night
        .export()
        .stream("web/app", &[(time, "x"), (time + 1, "y"), (time - 1, "z")]);
    night.dir.write(
        "busiest.sql",
        "SELECT hour_of_day, events FROM hourly_count ORDER BY events DESC LIMIT 1",
    );
    night.run(DAY).assert_success();
    let answer = night
        .dir
        .join(format!("out/night/busiest/dt={DAY}/busiest.parquet"));
    let busiest = crate::support::parquet::Parquet::read(answer);
    assert_eq!(busiest.integers("hour_of_day"), [10]);
    assert_eq!(busiest.integers("events"), [2]);
}

/// Parquet keeps instants in UTC without their zone; a later question still has the job's zone.
#[test]
fn the_instants_of_the_answers_before_it_are_instants() {
    let night = Night::with(
        "timezone = \"Asia/Seoul\"",
        "[[query]]\nname = \"joined\"\nsql = \"joined.sql\"\n",
    );
    let time = at("2025-03-03T10:00:00Z");
    night
        .export()
        .stream("web/app", &[(time, "x"), (time + 1, "y")]);
    night.dir.write(
        "joined.sql",
        "SELECT count(*) AS n, sum(counted.events)::bigint AS events, min(counted.hour_utc) AS first,\n\
         max(counted.hour_utc) FILTER (WHERE counted.hour_utc <= '2025-03-03 19:30') AS last\n\
         FROM hours JOIN hourly_count AS counted ON counted.hour_utc = hours.hour_utc",
    );
    night.run(DAY).assert_success();
    let answer = night
        .dir
        .join(format!("out/night/joined/dt={DAY}/joined.parquet"));
    let joined = crate::support::parquet::Parquet::read(answer);
    assert_eq!(joined.integers("n"), [24]);
    assert_eq!(joined.integers("events"), [2]);
    assert_eq!(joined.texts("first"), ["2025-03-02T15:00:00"]);
    assert_eq!(joined.texts("last"), ["2025-03-03T10:00:00"]);
}

#[test]
fn questions_that_only_read_may_follow_each_other() {
    let night = Night::with(
        "",
        "[[query]]\nname = \"first\"\nsql = \"messages.sql\"\n[[query]]\nname = \"second\"\nsql = \"messages.sql\"\n",
    );
    night
        .export()
        .stream("web/app", &[(at("2025-03-03T10:00:00Z"), "x")]);
    night.dir.write("messages.sql", "SELECT message FROM logs");
    night.run(DAY).assert_success();
    for query in ["first", "second"] {
        let answer = format!("out/night/{query}/dt={DAY}/{query}.parquet");
        assert_eq!(
            crate::support::parquet::Parquet::read(night.dir.join(answer)).texts("message"),
            ["x"]
        );
    }
}

/// Keys that no path can hold, beside those of an export, and an export of which the object is the location itself.
#[test]
fn keys_that_can_not_be_read_are_told_and_the_others_are_read() {
    let moto = Moto::shared();
    let bucket = "odd-keys";
    let exported = Exported::new(moto, bucket);
    let object = Object::new(&[(at("2025-03-03T01:00:00Z"), "not read")]).gzip();
    for key in ["exported//note.txt", "exported//task/web/000000.gz"] {
        moto.put_object(bucket, key, &object);
    }
    let run = exported.program("odd", "", WINDOW).envs(moto.environment());
    let run = run.run();
    let receipt = run.assert_success().stdout_run();
    assert_eq!(receipt["read"]["events"], 120);
    let note = "2 objects below s3://odd-keys/exported are not read: their keys, such as \"exported//note.txt\", have an empty part";
    let notes = receipt["notes"].as_array().unwrap();
    assert!(notes[0].as_str().unwrap().starts_with(note), "{notes:?}");
    run.stderr_contains("2 objects below s3://odd-keys/exported are not read");

    let ask = |location: &str| {
        let sql = "SELECT count(*) AS n, max(log_stream) AS stream FROM logs";
        let program = exported
            .dir
            .logtally(["query", location, "--format", "json", sql]);
        program.envs(moto.environment()).run()
    };
    // The bucket itself, with keys that begin with a slash.
    moto.put_object(bucket, "/aws/lambda/x/000000.gz", &object);
    let all = ask("s3://odd-keys");
    assert_eq!(all.assert_success().stdout_json()[0]["n"], 120);
    all.stderr_contains("3 objects below s3://odd-keys");
    let one = ask("s3://odd-keys/exported/e37ac5c7-5d9a-4b1c-8f6e-0c1b8a2d4f60/web-7/000000.gz");
    assert_eq!(
        one.assert_success().stdout_json(),
        json!([{"n": 2, "stream": "web-7"}])
    );
}
