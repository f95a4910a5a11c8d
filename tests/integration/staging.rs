//! Kept exports: those of different windows are distinguished, each event is read once, and a copy of them is readable.

use serde_json::json;

use crate::support::events::at;
use crate::support::program::Dir;

/// A job over a folder of events. Its methods count the exported events.
struct Folder {
    dir: Dir,
}

impl Folder {
    fn new(events: &[(&str, &str, &str)]) -> Self {
        let dir = Dir::new();
        for (stream, time, message) in events {
            let line = json!({"timestamp": at(time), "message": message});
            dir.write(format!("events/group/{stream}.ndjson"), format!("{line}\n"));
        }
        let folder = Self { dir };
        folder.write_job("UTC", "day");
        folder
    }

    fn write_job(&self, zone: &str, size: &str) {
        let job = format!(
            "name = \"night\"\ntimezone = {zone:?}\n[source]\nkind = \"directory\"\npath = \"events\"\nstaging = \"staging\"\n\
             [window]\nsize = {size:?}\n[output]\nlocation = \"out\"\n[[query]]\nuse = \"hourly_count\"\nname = \"by_{size}\"\n"
        );
        self.dir.write("night.toml", job);
    }

    fn run(&self, window: &str) {
        let run = self
            .dir
            .logtally(["run", "night.toml", "--window", window])
            .run();
        run.assert_success();
    }

    fn count(&self, subject: &str) -> serde_json::Value {
        let sql = "SELECT count(*) AS events FROM logs";
        let asked = self
            .dir
            .logtally(["query", subject, "--format", "json", sql])
            .run();
        asked.assert_success().stdout_json()[0]["events"].clone()
    }
}

#[test]
fn streams_whose_names_are_the_same_in_keys_keep_their_events() {
    let folder = Folder::new(&[
        ("a%2Fb", "2025-03-03T10:00:00Z", "the same"),
        ("a-b", "2025-03-03T10:00:00Z", "the same"),
    ]);
    folder.run("2025-03-03");
    assert_eq!(folder.count("night.toml"), 2);
}

#[test]
fn windows_that_overlap_since_the_zone_or_size_changed_count_no_event_twice() {
    let folder = Folder::new(&[
        ("a", "2025-03-03T01:00:00Z", "the 3rd in UTC"),
        (
            "b",
            "2025-03-03T20:00:00Z",
            "the 3rd in UTC and the 4th in Seoul",
        ),
        ("c", "2025-03-04T01:00:00Z", "the 4th in Seoul"),
    ]);
    folder.write_job("Asia/Seoul", "day");
    folder.run("2025-03-04");
    folder.write_job("UTC", "day");
    folder.run("2025-03-03");
    assert_eq!(folder.count("staging"), 3);
    folder.write_job("UTC", "hour");
    folder.run("2025-03-03T20");
    assert_eq!(folder.count("staging"), 3);
    assert_eq!(folder.count("night.toml"), 3);
}

#[test]
fn a_copied_staging_location_is_read_and_one_with_gaps_is_not() {
    let folder = Folder::new(&[
        ("a", "2025-03-03T10:00:00Z", "x"),
        ("b", "2025-03-03T11:00:00Z", "y"),
    ]);
    folder.run("2025-03-03");
    let copied: Vec<String> = folder
        .dir
        .files()
        .into_iter()
        .filter(|file| file.starts_with("staging/"))
        .collect();
    for file in &copied {
        folder
            .dir
            .write(file.replacen("staging", "copy", 1), folder.dir.read(file));
    }
    assert_eq!(folder.count("copy"), 2);

    let gap = copied
        .iter()
        .find(|file| file.ends_with(".gz"))
        .expect("an object");
    std::fs::remove_file(folder.dir.join(gap.replacen("staging", "copy", 1))).expect("it is there");
    let asked = folder
        .dir
        .logtally(["query", "copy", "SELECT count(*) FROM logs"])
        .run();
    asked
        .assert_code(5)
        .stderr_contains("lacks objects that its manifest lists");
}

#[test]
fn a_question_over_time_that_is_not_exported_says_so() {
    let folder = Folder::new(&[("a", "2025-03-03T10:00:00Z", "x")]);
    folder.run("2025-03-03");
    let ask = |from: &str, to: &str| {
        let sql = "SELECT count(*) FROM logs";
        let arguments = ["query", "night.toml", "--from", from, "--to", to, sql];
        folder.dir.logtally(arguments).run()
    };
    ask("2025-03-03", "2025-03-04")
        .assert_code(2)
        .stderr_contains("not exported in full: 2025-03-04");
    ask("2025-03-03", "2025-03-03")
        .assert_success()
        .stderr_lacks("exported");
}

#[test]
fn a_window_that_has_not_begun_is_refused_also_as_a_provisional_one() {
    let folder = Folder::new(&[("a", "2025-03-03T10:00:00Z", "x")]);
    let run = [
        "run",
        "night.toml",
        "--window",
        "2099-01-01",
        "--provisional",
    ];
    folder
        .dir
        .logtally(run)
        .run()
        .assert_code(2)
        .stderr_contains("2099-01-01");
    assert!(
        folder
            .dir
            .files()
            .iter()
            .all(|file| !file.starts_with("out/"))
    );
}
