//! Columns that are kept of objects' events: later queries have the same answers and the same counts from them as from the
//! objects, whatever happens to them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::json::LineDelimitedWriter;
use futures::TryStreamExt;
use logtally::aws::{Account, Aws};
use logtally::job::{AwsSettings, Location};
use logtally::query::Engine;
use logtally::scan::LogsTable;
use logtally::scan::columns::cache::Cache;
use logtally::scan::columns::{Coding, Columns, Keep};
use logtally::store::{Store, Stores};
use logtally::window::Range;
use serde_json::{Value, json};

use crate::support::events::at;
use crate::support::export::{Export, Object, line};
use crate::support::job::Night;
use crate::support::moto::Moto;
use crate::support::program::{Dir, Program, poll};

const MIDNIGHT: &str = "2026-11-21T00:00:00Z";

/// Every kind of reading: no column, some, all; all events, some, few; in order, and twice at the same time.
const QUERIES: [&str; 15] = [
    "SELECT count(*) FROM logs",
    "SELECT min(timestamp), max(timestamp), count(DISTINCT timestamp) FROM logs",
    "SELECT log_stream, count(*), sum(length(message)) FROM logs GROUP BY 1",
    "SELECT * FROM logs",
    "SELECT message FROM logs WHERE timestamp >= '2026-11-21 00:00:03' AND timestamp < '2026-11-21 00:00:11.5'",
    "SELECT timestamp FROM logs WHERE timestamp > '2026-11-21 00:00:20'",
    "SELECT count(*) FROM logs WHERE timestamp < '2026-11-21 00:00:07'",
    "SELECT log_group, log_stream, message FROM logs WHERE log_stream <> 'long' ORDER BY message LIMIT 20",
    "SELECT message FROM logs WHERE log_stream = 'long' LIMIT 3",
    "SELECT count(*) FROM logs WHERE message LIKE '%7%' OR message LIKE '%주문%'",
    "SELECT count(*) FROM logs AS a JOIN logs AS b ON a.timestamp = b.timestamp AND a.log_stream <> b.log_stream",
    "SELECT timestamp, log_stream FROM logs WHERE timestamp = '2026-11-21 00:00:05'",
    "SELECT pattern(message), count(*) FROM logs GROUP BY 1",
    "SELECT pattern_id(message), timestamp FROM logs WHERE timestamp >= '2026-11-21 00:00:03' AND timestamp < '2026-11-21 00:00:11.5'",
    "SELECT pattern(message), pattern_id(message), log_stream, count(*), max(message) FROM logs GROUP BY 1, 2, 3",
];

/// Objects of every shape: long ones of several blocks, lines before the first timestamp, several lines, broken UTF-8, events in
/// any order and of other years, one event, none.
fn export(folder: &Path) {
    let midnight = at(MIDNIGHT);
    let export = Export::new(folder.join("exports"));
    let long: Vec<(i64, String)> = (0..9000)
        .map(|n| {
            (
                midnight + n * 2,
                format!("event {n} {}", "x".repeat(n as usize % 90)),
            )
        })
        .collect();
    export.stream("long", &long);
    let large = |n: i64| (midnight + n * 300, "large".repeat(60_000 + n as usize));
    export.stream("large", &(0..5).map(large).collect::<Vec<_>>());
    let mut odd = b"a line of no event\n".to_vec();
    for n in 0..300 {
        let time = midnight - 40_000 + (n * 7919) % 90_000;
        match n % 4 {
            0 => odd.extend(line(time, &format!("주문 {n}\n  at line {n}\n")).bytes()),
            1 => {
                odd.extend(line(time, "caf").trim_end().bytes());
                odd.extend(b"\xe9 au lait\n");
            }
            2 => odd.extend(line(time, "").bytes()),
            _ => odd.extend(line(time - 50 * 86_400_000, &format!("old {n}")).bytes()),
        }
    }
    export.object("odd", 0, &Object::of_text(odd).cut_every(1000));
    export.object("odd", 1, &Object::of_text(""));
    export.object("odd", 2, &Object::new(&[(midnight + 5000, "only")]));
    for number in 0..12 {
        let events = (0..5).map(|n| (midnight + n * 1000 + number, format!("{number}/{n}")));
        let stream = format!("small-{number:02}");
        export.stream(&stream, &events.collect::<Vec<_>>());
    }
}

async fn open(folder: &Path, memory: u64) -> (Engine, Store) {
    let stores = Stores::new(Arc::new(Aws::new(AwsSettings::default()))).unwrap();
    let engine = Engine::new(memory, folder).unwrap();
    let root = Location::Local(folder.to_owned());
    let store = stores.open(&root, Account::LOGS).await.unwrap();
    (engine, store)
}

async fn logs(engine: &Engine, store: &Store, folder: &Path, range: Range) -> LogsTable {
    let prefix = object_store::path::Path::from_absolute_path(folder.join("exports")).unwrap();
    let objects = store.list_logs(&prefix, Some("/ecs/web")).await.unwrap();
    LogsTable::new(store, objects, range, engine.pool())
}

/// The answer, and all that is known of what was read.
async fn ask(engine: &Engine, store: &Store, logs: &LogsTable, sql: &str) -> String {
    let session = engine.session(chrono_tz::UTC).unwrap();
    let session = session.with_logs(logs.clone(), Some(store)).unwrap();
    let statement = session.statement(sql, "test").await.unwrap();
    let mut execution = session.run(&statement).await.unwrap();
    let mut batches = Vec::new();
    while let Some(batch) = execution.batches.try_next().await.unwrap() {
        batches.push(batch);
    }
    let mut writer = LineDelimitedWriter::new(Vec::new());
    for batch in &batches {
        writer.write(batch).unwrap();
    }
    let answer = String::from_utf8(writer.into_inner()).unwrap();
    // Without an order, the rows come as threads end.
    let mut rows: Vec<&str> = answer.lines().collect();
    rows.sort_unstable();
    format!(
        "{}\n{:?}\n{:?}\n{:?}",
        rows.join("\n"),
        execution.scans(),
        logs.read_log().read(),
        logs.oddities()
    )
}

fn ranges() -> [Range; 3] {
    let midnight = at(MIDNIGHT);
    [
        Range::ALL,
        Range {
            start_ms: midnight,
            end_ms: midnight + 86_400_000,
        },
        Range {
            start_ms: midnight + 3001,
            end_ms: midnight + 21_007,
        },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_and_counts_are_those_of_the_objects() {
    let folder = tempfile::tempdir().unwrap();
    export(folder.path());
    for (memory, odd, keep, coding) in [
        (512 << 20, false, Keep::AsRead, Coding::Plain),
        (512 << 20, true, Keep::Messages, Coding::Lz4),
        (512 << 20, true, Keep::Times, Coding::Plain),
        (64 << 20, false, Keep::Messages, Coding::Plain),
    ] {
        let (engine, store) = open(folder.path(), memory).await;
        let cache = folder.path().join(format!("cache-{memory}-{odd}-{keep:?}"));
        let of_run = Columns::of_run(folder.path().to_owned(), u64::MAX, coding);
        for range in ranges() {
            let table = async || {
                let logs = logs(&engine, &store, folder.path(), range).await;
                match odd {
                    true => logs.counting_odd_messages(),
                    false => logs,
                }
            };
            // As two processes, one after the other.
            let cached = || Columns::cached(Cache::open(&cache, Some(1 << 30)).unwrap());
            let plain = table().await;
            let (in_run, run_tally) = table().await.keeping(Arc::clone(&of_run), keep).tallied();
            let first = table().await.keeping(cached(), keep);
            let second_cache = cached();
            for sql in QUERIES {
                let expected = ask(&engine, &store, &plain, sql).await;
                for (who, logs) in [
                    ("run", in_run.clone()),
                    ("first", first.clone()),
                    (
                        "second",
                        table().await.keeping(Arc::clone(&second_cache), keep),
                    ),
                ] {
                    let found = ask(&engine, &store, &logs, sql).await;
                    // What the second has read is only that of this query.
                    let (found, expected) = match who {
                        "second" => (answer_of(&found), answer_of(&expected)),
                        _ => (found.as_str(), expected.as_str()),
                    };
                    assert!(
                        found == expected,
                        "{who}: {sql} in {range:?}: {found:.2000}\n\n{expected:.2000}"
                    );
                }
            }
            let (tallied, tally) = table().await.tallied();
            ask(&engine, &store, &tallied, QUERIES[0]).await;
            assert_eq!(run_tally.by_group().unwrap(), tally.by_group().unwrap());
        }
        let contents = Cache::open(&cache, None).unwrap().contents();
        assert!(contents.objects == 17, "{contents:?}");
    }
}

/// The rows of the answer.
fn answer_of(found: &str) -> &str {
    found
        .split_once("\nScanReports")
        .map_or(found, |(rows, _)| rows)
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_columns_are_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    export(folder.path());
    let (engine, store) = open(folder.path(), 512 << 20).await;
    let cache = folder.path().join("cache");
    let cached = || Columns::cached(Cache::open(&cache, Some(1 << 30)).unwrap());
    let table = async || logs(&engine, &store, folder.path(), ranges()[1]).await;
    let mut expected = Vec::new();
    for sql in [QUERIES[2], QUERIES[3], QUERIES[12]] {
        expected.push((sql, ask(&engine, &store, &table().await, sql).await));
    }
    let packs = || -> Vec<PathBuf> {
        let entries = fs::read_dir(&cache).into_iter().flatten();
        let paths = entries.map(|entry| entry.unwrap().path());
        let mut packs: Vec<_> = paths
            .filter(|path| path.extension().is_some_and(|end| end == "columns"))
            .collect();
        packs.sort();
        packs
    };
    for round in 0..12 {
        // A wrong byte here and there, a file without its end, one of another origin, none.
        for pack in packs() {
            let mut bytes = fs::read(&pack).unwrap();
            match round % 6 {
                0..4 => {
                    for n in 1..=round as usize % 4 + 1 {
                        let at = bytes.len() * n * (round as usize + 7) / 200 % bytes.len();
                        bytes[at] ^= 0x15;
                    }
                }
                4 => bytes.truncate(bytes.len() / 2),
                _ => bytes.splice(.., *b"of another program").for_each(drop),
            }
            fs::write(&pack, bytes).unwrap();
        }
        for (sql, expected) in &expected {
            let logs = table().await.keeping(cached(), Keep::AsRead);
            let found = ask(&engine, &store, &logs, sql).await;
            assert!(found == *expected, "round {round}: {sql}: {found:.2000}");
        }
        assert!(!packs().is_empty(), "round {round}");
    }
}

/// A job with an export of a day.
fn night() -> Night {
    let night = Night::new();
    let midnight = at(MIDNIGHT);
    for stream in ["a", "b", "c"] {
        let event = |n: i64| {
            (
                midnight + n * 1000,
                format!(r#"{{"level":"INFO","n":{n},"to":"kim@example.com"}}"#),
            )
        };
        night
            .export()
            .stream(stream, &(0..900).map(event).collect::<Vec<_>>());
    }
    night
}

fn query(dir: &Dir, arguments: &[&str]) -> Program {
    let arguments = [&["query", "exported", "--format", "json"], arguments].concat();
    dir.logtally(arguments)
}

fn shown(dir: &Dir, arguments: &[&str]) -> Value {
    let arguments = [&["cache", "--json"], arguments].concat();
    dir.logtally(arguments).run().assert_success().stdout_json()
}

const BY_LEVEL: &str = "SELECT message->>'level' AS level, count(*) AS n FROM logs GROUP BY 1";

#[test]
fn a_cache_is_shown_and_cleared() {
    let night = night();
    assert_eq!(shown(&night.dir, &[])["objects"], 0);
    let first = query(&night.dir, &[BY_LEVEL]).run();
    first.assert_success().stdout_contains("2700");
    let kept = shown(&night.dir, &[]);
    assert_eq!(kept["objects"], 3);
    let folder = night.dir.cache().join("logtally");
    assert_eq!(kept["folder"], json!(folder));
    let again = query(&night.dir, &[BY_LEVEL]).run();
    again.assert_success().stdout_is(&first.stdout);
    assert_eq!(
        shown(&night.dir, &[])["bytes"],
        kept["bytes"],
        "nothing was kept twice"
    );
    let text = night.dir.logtally(["cache"]).run();
    text.assert_success()
        .stdout_contains("the columns of 3 objects")
        .stdout_contains(&folder.display().to_string());
    let cleared = night.dir.logtally(["cache", "--clear"]).run();
    cleared.assert_success().stdout_contains("removed");
    assert_eq!(shown(&night.dir, &[])["bytes"], 0);
}

#[test]
fn nothing_is_kept_where_it_is_not_wanted_or_there_is_no_place() {
    let night = night();
    let folder = night.dir.cache().join("logtally");
    query(&night.dir, &["--no-cache", BY_LEVEL])
        .run()
        .assert_success();
    assert!(!folder.exists());
    let homeless = query(&night.dir, &[BY_LEVEL])
        .env("XDG_CACHE_HOME", "")
        .env("HOME", "");
    homeless.run().assert_success().stdout_contains("2700");
    let unusable = night.dir.write("file", "");
    let no_folder = query(&night.dir, &[BY_LEVEL]).env("XDG_CACHE_HOME", &unusable);
    no_folder.run().assert_success().stdout_contains("2700");
    let wrong = query(&night.dir, &["--cache", "file", BY_LEVEL]).run();
    wrong
        .assert_code(2)
        .stderr_contains("can't use the cache in file");
    let both = query(&night.dir, &["--cache", "x", "--no-cache", BY_LEVEL]).run();
    both.assert_code(2);
    let cache = night
        .dir
        .logtally(["cache"])
        .env("XDG_CACHE_HOME", "")
        .env("HOME", "")
        .run();
    cache.assert_code(2).stderr_contains("--cache DIR");
    // A few rows of an object are no reason to keep all of it.
    query(&night.dir, &["SELECT message FROM logs LIMIT 3"])
        .run()
        .assert_success();
    assert_eq!(shown(&night.dir, &[])["objects"], 0);
    let small = query(&night.dir, &["--cache-size", "1KiB", BY_LEVEL]).run();
    small.assert_success().stdout_contains("2700");
    assert_eq!(shown(&night.dir, &[])["objects"], 0);
    let own = query(&night.dir, &["--cache", "own", BY_LEVEL]).run();
    own.assert_success();
    assert_eq!(shown(&night.dir, &["--cache", "own"])["objects"], 3);
}

#[test]
fn a_file_that_was_changed_is_read_again() {
    let night = night();
    let midnight = at(MIDNIGHT);
    let ask = || {
        query(
            &night.dir,
            &["SELECT message AS m FROM logs WHERE message LIKE 'z%'"],
        )
        .run()
        .assert_success()
        .stdout_json()
    };
    let path = night.export().stream("z", &[(midnight, "z 1")]);
    assert_eq!(ask(), json!([{"m": "z 1"}]));
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let length = fs::metadata(&path).unwrap().len();
    // Of the same length and the same time, in the same file.
    night.export().stream("z", &[(midnight, "z 2")]);
    assert_eq!(fs::metadata(&path).unwrap().len(), length);
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(modified)
        .unwrap();
    assert_eq!(ask(), json!([{"m": "z 2"}]));
    fs::remove_file(&path).unwrap();
    assert_ne!(ask(), json!([{"m": "z 2"}]));
}

#[test]
fn objects_of_a_bucket_are_requested_once_for_any_number_of_queries() {
    let night = night();
    let moto = Moto::shared();
    moto.create_bucket("kept-logs");
    moto.put_folder("kept-logs", "exports", &night.dir.join("exported"));
    let requested = |sql: &str| {
        let since = moto.log().len();
        let arguments = ["query", "s3://kept-logs/exports", "--format", "json", sql];
        let asked = night.dir.logtally(arguments).envs(moto.environment()).run();
        asked.assert_success().stdout_contains("2700");
        let log = moto.log();
        let objects = log[since..].lines();
        objects
            .filter(|line| line.contains("\"GET /kept-logs") && line.contains(".gz"))
            .count()
    };
    let count = "SELECT count(*) AS n FROM logs";
    assert_eq!(requested(count), 3);
    assert_eq!(requested(count), 0);
    // Messages were not read yet.
    assert_eq!(requested(BY_LEVEL), 3);
    assert_eq!(requested(BY_LEVEL), 0);
    assert_eq!(requested(count), 0);
}

#[test]
fn what_is_masked_is_kept_apart() {
    let night = night();
    let sql = "SELECT count(*) AS n FROM logs WHERE message LIKE '%kim@%'";
    let ask = |arguments: &[&str]| {
        query(&night.dir, &[arguments, &[sql]].concat())
            .run()
            .assert_success()
            .stdout_json()
    };
    for _ in 0..2 {
        assert_eq!(ask(&["--mask"]), json!([{"n": 0}]));
        assert_eq!(ask(&[]), json!([{"n": 2700}]));
    }
}

/// Processes that read and write one small cache, some of which are killed, with other objects each time.
#[test]
fn processes_share_a_cache_and_may_be_killed() {
    let night = night();
    let midnight = at(MIDNIGHT);
    for number in 0..40i64 {
        let event = |n: i64| {
            let noise = (n * 7919 + number).wrapping_mul(0x9e37_79b9_7f4a_7c15u64.cast_signed());
            (
                midnight + n,
                format!("{noise:x} {:x}", noise.wrapping_mul(noise)),
            )
        };
        let stream = format!("more-{number:02}");
        night
            .export()
            .stream(&stream, &(0..3000).map(event).collect::<Vec<_>>());
    }
    let sql = |number: usize| {
        format!(
            "SELECT count(*) AS n, count(DISTINCT message) AS m FROM logs WHERE log_stream >= 'more-{number:02}' AND log_stream < 'more-{:02}'",
            number + 8
        )
    };
    let program = |number: usize| query(&night.dir, &["--cache-size", "2MiB", &sql(number)]);
    for round in 0..4 {
        let mut victim = program(round * 8);
        victim = victim.time_limit(Duration::from_secs(60));
        let victim = victim.spawn();
        std::thread::sleep(Duration::from_millis(60 * round as u64));
        victim.signal("KILL");
        let running: Vec<_> = [0, 4, 8, 16, 24, 0]
            .map(|number| program(number).spawn())
            .into_iter()
            .collect();
        for asked in running {
            let answer = asked.wait();
            answer
                .assert_success()
                .stdout_contains(r#""n":24000"#)
                .stdout_contains(r#""m":24000"#);
        }
        drop(victim);
    }
    let kept = shown(&night.dir, &[]);
    assert!(kept["bytes"].as_u64().unwrap() <= 2 << 20, "{kept}");
    assert!(kept["objects"].as_u64().unwrap() > 0, "{kept}");
    let parts = || {
        let entries = fs::read_dir(night.dir.cache().join("logtally")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names
            .filter(|name| name.ends_with(".part") || name.ends_with(".room"))
            .count()
    };
    // A later query removes what was left by those that were killed.
    poll("no part is left", || {
        night
            .dir
            .logtally(["cache", "--clear"])
            .run()
            .assert_success();
        parts() == 0
    });
}
