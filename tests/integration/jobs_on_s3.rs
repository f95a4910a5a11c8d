//! Job files and their SQL in a bucket, and on standard input.

use crate::support::cloud::{Cloud, JOB, recent_day};
use crate::support::moto::Moto;
use crate::support::program::{Dir, Finished};

/// A cloud whose job lies in its bucket of answers, below `jobs/`, with a query in a file of a folder beside it.
fn cloud(name: &'static str) -> Cloud<'static> {
    let moto = Moto::shared();
    let cloud = Cloud::new(moto, name);
    let query = "[[query]]\nname = \"total\"\nsql = \"../sql/total.sql\"\n";
    let job = cloud.dir.read_text(JOB) + query;
    put(&cloud, "jobs/night.toml", &job);
    put(
        &cloud,
        "sql/total.sql",
        "SELECT count(*) AS events FROM logs",
    );
    // What is read is not on this machine.
    std::fs::remove_file(cloud.dir.join(JOB)).expect("it was there");
    cloud
}

fn put(cloud: &Cloud<'_>, key: &str, text: &str) {
    cloud
        .moto
        .put_object(&cloud.answers(), key, text.as_bytes());
}

fn url(cloud: &Cloud<'_>) -> String {
    format!("s3://{}/jobs/night.toml", cloud.answers())
}

fn run(cloud: &Cloud<'_>, arguments: &[&str]) -> Finished {
    cloud.logtally(arguments).run()
}

#[test]
fn every_command_takes_a_job_in_a_bucket() {
    let cloud = cloud("bucketjob");
    let (job, (day, _)) = (url(&cloud), recent_day());
    run(&cloud, &["plan", &job, "--window", &day])
        .assert_success()
        .stdout_contains(&format!("({job})"))
        .stdout_contains("total.parquet");
    run(&cloud, &["run", &job, "--window", &day])
        .assert_success()
        .stdout_contains(&format!("logtally query {job} --window {day}"));
    run(&cloud, &["status", &job])
        .assert_success()
        .stdout_contains("settled");
    run(&cloud, &["ddl", &job])
        .assert_success()
        .stdout_contains("total");
    let answer = run(
        &cloud,
        &[
            "query",
            &job,
            "--window",
            &day,
            "--format",
            "csv",
            "SELECT count(*) AS n FROM logs",
        ],
    );
    answer.assert_success().stdout_is("n\n98\n");

    // A changed query is computed again, from the kept export.
    put(
        &cloud,
        "sql/total.sql",
        "SELECT count(*) + 1 AS events FROM logs",
    );
    let document = run(&cloud, &["run", &job, "--window", &day, "--json"]);
    assert_eq!(document.assert_success().stdout_run()["status"], "done");
    assert_eq!(cloud.tasks().len(), 2, "an export for each log group");
}

#[test]
fn mistakes_of_a_job_in_a_bucket_are_named_by_its_url() {
    let cloud = cloud("bucketmistake");
    let bucket = cloud.answers();
    let job = url(&cloud);
    put(
        &cloud,
        "jobs/night.toml",
        "name = \"night\"\ntimezon = \"UTC\"\n",
    );
    run(&cloud, &["plan", &job])
        .assert_code(2)
        .stderr_contains(&format!("{job}:2: unknown key"));
    put(&cloud, "jobs/night.toml", "name = \"\\u0000\"");
    run(&cloud, &["plan", &job])
        .assert_code(2)
        .stderr_contains(&job);
    cloud
        .moto
        .put_object(&bucket, "jobs/latin1.toml", b"name = \"n\xe4cht\"");
    run(
        &cloud,
        &["status", &format!("s3://{bucket}/jobs/latin1.toml")],
    )
    .assert_code(2)
    .stderr_contains("latin1.toml")
    .stderr_contains("UTF-8");

    let missing = format!("s3://{bucket}/jobs/nowhere.toml");
    for command in ["run", "plan", "status", "ddl"] {
        run(&cloud, &[command, &missing])
            .assert_code(2)
            .stderr_contains(&format!(
                "can't read the job file {missing}: the bucket has no such object"
            ));
    }
    run(&cloud, &["query", &missing, "SELECT 1"])
        .assert_code(2)
        .stderr_contains(&missing);
    run(&cloud, &["plan", "s3://bucketmistake-none/jobs/night.toml"])
        .assert_code(2)
        .stderr_contains("bucketmistake-none");
    run(&cloud, &["plan", &format!("s3://{bucket}")])
        .assert_code(2)
        .stderr_contains("expected s3://bucket/folder/file");

    let good = "name = \"night\"\n[source]\nkind = \"exported\"\npath = \"exports\"\n[output]\nlocation = \"../answers\"\n";
    let query = "[[query]]\nname = \"total\"\nsql = \"gone.sql\"\n";
    put(&cloud, "jobs/night.toml", &(good.to_owned() + query));
    run(&cloud, &["plan", &job])
        .assert_code(2)
        .stderr_contains(&format!(
            "{job}:9: [[query]] total: can't read the SQL file s3://{bucket}/jobs/gone.sql"
        ));
}

#[test]
fn locations_are_relative_to_a_job_in_a_bucket() {
    let cloud = cloud("bucketrelative");
    let (bucket, (day, _)) = (cloud.answers(), recent_day());
    put(&cloud, "jobs/exports/web/000000.gz", "not read, but there");
    let job = "name = \"night\"\n[source]\nkind = \"exported\"\npath = \"exports\"\n[output]\nlocation = \"../answers\"\n[[query]]\nuse = \"hourly_count\"\n";
    put(&cloud, "jobs/night.toml", job);
    run(&cloud, &["plan", &url(&cloud), "--window", &day])
        .assert_success()
        .stdout_contains(&format!("exported objects in s3://{bucket}/jobs/exports"))
        .stdout_contains(&format!("s3://{bucket}/answers/night/hourly_count/"));
}

#[test]
fn init_writes_on_this_machine_only() {
    let dir = Dir::new();
    let init = [
        "init",
        "--log-group",
        "/svc/a",
        "--staging",
        "s3://acme-logs/exports",
        "--output",
        "out",
    ];
    for file in ["s3://acme-answers/jobs/night.toml", "-"] {
        dir.logtally(init.into_iter().chain([file]))
            .run()
            .assert_code(2)
            .stderr_contains(file)
            .stderr_contains("aws s3 cp");
    }
    assert!(dir.files().is_empty(), "{:?}", dir.files());
}

#[test]
fn a_job_on_standard_input_is_relative_to_the_working_folder() {
    let dir = Dir::new();
    dir.write("exported/web/000000.gz", "");
    dir.write("total.sql", "SELECT count(*) AS events FROM logs");
    let job = "name = \"night\"\n[source]\nkind = \"exported\"\npath = \"exported\"\n[output]\nlocation = \"out\"\n[[query]]\nname = \"total\"\nsql = \"total.sql\"\n";
    let run = |arguments: &[&str], job: &str| dir.logtally(arguments).stdin(job).run();
    run(&["plan", "-", "--window", "2025-03-03"], job)
        .assert_success()
        .stdout_contains("night (standard input)")
        .stdout_contains("out/night/total/");
    run(&["status", "-"], job)
        .assert_success()
        .stdout_contains("logtally run -");
    run(&["plan", "-"], "name = 1\n")
        .assert_code(2)
        .stderr_contains("standard input:1: ");
    run(&["query", "-"], job)
        .assert_code(2)
        .stderr_contains("standard input has the job");
}
