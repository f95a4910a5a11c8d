//! The number of a run's requests to S3: one for each object, for any number of queries, and one for each page of a
//! listing.

use crate::support::cloud::{Cloud, recent_day};
use crate::support::events::HOUR;
use crate::support::export::Export;
use crate::support::moto::Moto;
use crate::support::program::Dir;

const OBJECTS: usize = 60;

/// The requests to the bucket `asked-logs` after the first `since` bytes of the server's log: objects and listings.
fn asked(moto: &Moto, since: usize) -> (usize, usize) {
    let log = moto.log();
    let requests = || {
        let lines = log[since..].lines();
        lines.filter(|line| line.contains("\"GET /asked-logs"))
    };
    let objects = requests().filter(|line| line.contains(".gz"));
    let listings = requests().filter(|line| line.contains("list-type=2"));
    (objects.count(), listings.count())
}

#[test]
fn each_object_is_asked_for_once_however_many_questions_there_are() {
    let moto = Moto::shared();
    let cloud = Cloud::without_logs(moto, "asked");
    moto.create_bucket("asked-logs");
    moto.create_bucket("asked-answers");
    let (_, midnight) = recent_day();
    let folder = Dir::new();
    let export = Export::new(folder.path());
    for number in 0..OBJECTS {
        let stream = format!("stream-{number:02}");
        export.stream(
            &stream,
            &[(midnight + HOUR, "first"), (midnight + 2 * HOUR, "second")],
        );
    }
    moto.put_folder("asked-logs", "exports", folder.path());
    cloud.edit("kind = \"cloudwatch\"", "kind = \"exported\"");
    cloud.edit("log_groups = [\"/aws/lambda/asked-*\"]\n", "");
    cloud.edit("staging = ", "path = ");

    let run = || {
        let since = moto.log().len();
        let receipt = cloud.receipt(["--force"]);
        assert_eq!(receipt["read"]["events"], 2 * OBJECTS);
        asked(moto, since)
    };
    assert_eq!(run(), (OBJECTS, 1), "one query");

    let queries = [
        (
            "of_one_stream",
            "SELECT count(*) AS n FROM logs WHERE log_stream = 'stream-07'",
        ),
        (
            "twice",
            "SELECT count(*) AS n FROM logs AS a JOIN logs AS b USING (log_stream)",
        ),
        (
            "messages",
            "SELECT message, count(*) AS n FROM logs GROUP BY 1 ORDER BY 1",
        ),
        ("few", "SELECT message FROM logs LIMIT 1"),
    ];
    for (name, sql) in queries {
        cloud.dir.write(format!("{name}.sql"), sql);
        let query = format!("[[query]]\nname = \"{name}\"\nsql = \"{name}.sql\"\n");
        cloud.edit("[[query]]\nuse", &format!("{query}[[query]]\nuse"));
    }
    assert_eq!(run(), (OBJECTS, 1), "five queries");

    // A single query may read an object more than once.
    cloud.edit("[[query]]\nuse = \"hourly_count\"\n", "");
    for name in ["messages", "few", "of_one_stream"] {
        let query = format!("[[query]]\nname = \"{name}\"\nsql = \"{name}.sql\"\n");
        cloud.edit(&query, "");
    }
    assert_eq!(run(), (OBJECTS, 1), "one query that reads everything twice");
}
