//! The demo without AWS and without a network. Every answer equals an independent count.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;
use std::{fs, process::Command};

use serde_json::{Value, json};

use crate::support::parquet::Parquet;
use crate::support::program::{Dir, Program, files_below};

const ANSWERS: &str = "demo-output/demo";

/// The files that the demo publishes, without the exported objects.
const PUBLISHED: [&str; 9] = [
    "charts/errors_by_hour/errors_by_hour-2026-11-21.png",
    "charts/errors_by_hour/errors_by_hour-2026-11-21.svg",
    "charts/errors_by_hour/errors_by_hour-latest.png",
    "charts/errors_by_hour/errors_by_hour-latest.svg",
    "charts/hourly_count/hourly_count-2026-11-21.png",
    "charts/hourly_count/hourly_count-latest.png",
    "errors_by_hour/dt=2026-11-21/errors_by_hour.parquet",
    "hourly_count/dt=2026-11-21/hourly_count.parquet",
    "runs/2026-11-21.json",
];

/// A folder with a copy of `jobs/`.
pub fn demo() -> Dir {
    let dir = Dir::new();
    let jobs = Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs");
    for file in files_below(&jobs) {
        let content = fs::read(jobs.join(&file)).expect("the checkout is readable");
        dir.write(Path::new("jobs").join(&file), content);
    }
    dir
}

/// The program without credentials, and with an endpoint where nothing listens, so that any request to AWS fails.
fn logtally<'a>(dir: &Dir, arguments: impl IntoIterator<Item = &'a str>) -> Program {
    dir.logtally(arguments)
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
}

fn run<'a>(dir: &Dir, arguments: impl IntoIterator<Item = &'a str>) -> Program {
    logtally(dir, ["run", "jobs/demo.toml"].into_iter().chain(arguments))
}

fn truth() -> Value {
    serde_json::from_str(include_str!("../expected/demo_truth.json")).expect("it is JSON")
}

fn counts(value: &Value) -> Vec<i64> {
    serde_json::from_value(value.clone()).expect("a list of counts")
}

fn published(dir: &Dir) -> BTreeMap<String, Vec<u8>> {
    files_below(&dir.join(ANSWERS))
        .into_iter()
        .map(|file| {
            let content = dir.read(Path::new(ANSWERS).join(&file));
            (file, content)
        })
        .collect()
}

fn modified(dir: &Dir) -> BTreeMap<String, SystemTime> {
    dir.files()
        .into_iter()
        .map(|file| {
            let metadata = fs::metadata(dir.join(&file)).expect("just listed");
            (file, metadata.modified().expect("files have a time"))
        })
        .collect()
}

fn answer(dir: &Dir, query: &str, day: &str) -> Parquet {
    Parquet::read(dir.join(format!("{ANSWERS}/{query}/dt={day}/{query}.parquet")))
}

/// The width, the height and the number of colours of a PNG, whose pixels are all decoded.
fn decode_png(bytes: &[u8]) -> (u32, u32, usize) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes))
        .read_info()
        .expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("it fits into memory")];
    let frame = reader.next_frame(&mut pixels).expect("a whole PNG");
    let pixel = frame.color_type.samples();
    let colours: std::collections::HashSet<&[u8]> = pixels.chunks(pixel).collect();
    (frame.width, frame.height, colours.len())
}

#[test]
fn the_parquet_holds_what_an_independent_count_says() {
    let dir = demo();
    run(&dir, []).run().assert_success();
    run(&dir, ["--window", "2026-11-20"]).run().assert_success();
    for day in ["2026-11-20", "2026-11-21"] {
        let expected = &truth()["days"][day];
        let hours = answer(&dir, "hourly_count", day);
        assert_eq!(
            hours.integers("events"),
            counts(&expected["events_by_hour"])
        );
        assert_eq!(hours.integers("hour_of_day"), (0..24).collect::<Vec<i64>>());
        let local: Vec<String> = (0..24)
            .map(|hour| format!("{day}T{hour:02}:00:00"))
            .collect();
        assert_eq!(hours.texts("hour_local"), local);
        assert_eq!(hours.texts("utc_offset"), vec!["+09:00"; 24]);
        let errors = answer(&dir, "errors_by_hour", day);
        assert_eq!(
            errors.integers("errors"),
            counts(&expected["errors_by_hour"])
        );
        assert_eq!(errors.texts("hour_local"), local);
    }
    let hours = answer(&dir, "hourly_count", "2026-11-21");
    assert_eq!(hours.texts("hour_utc")[0], "2026-11-20T15:00:00");
}

#[test]
fn the_parquet_has_the_types_that_athena_reads() {
    let dir = demo();
    run(&dir, []).run().assert_success();
    let hours = answer(&dir, "hourly_count", "2026-11-21");
    assert_eq!(
        hours.schema(),
        [
            "hour_local: timestamp[ms]",
            "utc_offset: string",
            "hour_utc: timestamp[ms]",
            "hour_of_day: int32",
            "events: int64",
        ]
    );
    assert_eq!(hours.compression, ["ZSTD"]);
    let metadata = &hours.metadata;
    assert_eq!(metadata["logtally.job"], "demo");
    assert_eq!(metadata["logtally.window"], "2026-11-21");
    assert_eq!(metadata["logtally.version"], env!("CARGO_PKG_VERSION"));
    let errors = answer(&dir, "errors_by_hour", "2026-11-21");
    assert_eq!(
        errors.schema(),
        ["hour_local: timestamp[ms]", "errors: int64"]
    );
    let hash = |metadata: &serde_json::Map<String, Value>| {
        let hash = metadata["logtally.sql_sha256"].as_str().expect("a text");
        assert_eq!(hash.len(), 64, "{hash}");
        hash.to_owned()
    };
    assert_ne!(hash(metadata), hash(&errors.metadata));
}

#[test]
fn the_charts_are_whole_pictures() {
    let dir = demo();
    run(&dir, []).run().assert_success();
    let files = published(&dir);
    for query in ["hourly_count", "errors_by_hour"] {
        let dated = &files[&format!("charts/{query}/{query}-2026-11-21.png")];
        let (width, height, colours) = decode_png(dated);
        assert_eq!((width, height), (1600, 900), "{query}");
        // The background, the bars, and the shades of antialiased text.
        assert!(colours > 20, "{query} has {colours} colours");
        assert_eq!(dated, &files[&format!("charts/{query}/{query}-latest.png")]);
    }
    let svg = &files["charts/errors_by_hour/errors_by_hour-2026-11-21.svg"];
    assert_eq!(
        svg,
        &files["charts/errors_by_hour/errors_by_hour-latest.svg"]
    );
    let svg = std::str::from_utf8(svg).expect("SVG is UTF-8");
    let document = roxmltree::Document::parse(svg).expect("well-formed");
    assert_eq!(document.root_element().tag_name().name(), "svg");
    let title = document
        .descendants()
        .find(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "title")))
        .and_then(|node| node.text())
        .expect("a title");
    assert!(
        title.contains("시간별 오류 수 2026-11-21") && title.contains("Sat"),
        "{title}"
    );
    // `text` elements would be drawn in the viewer's font.
    assert!(!document.descendants().any(|node| node.has_tag_name("text")));
}

#[test]
fn the_receipt_says_what_was_done() {
    let dir = demo();
    run(&dir, []).run().assert_success();
    let receipt = dir.read_json(format!("{ANSWERS}/runs/2026-11-21.json"));
    assert_eq!(receipt["status"], "done");
    assert_eq!(receipt["job"], "demo");
    assert_eq!(receipt["version"], env!("CARGO_PKG_VERSION"));
    let window = &receipt["window"];
    assert_eq!(window["id"], "2026-11-21");
    assert_eq!(window["timezone"], "Asia/Seoul");
    assert_eq!(window["start"], "2026-11-20T15:00:00Z");
    assert_eq!(window["end"], "2026-11-21T15:00:00Z");
    assert_eq!(window["start_local"], "2026-11-21T00:00:00+09:00");
    assert_eq!(window["end_local"], "2026-11-22T00:00:00+09:00");
    let expected = &truth()["days"]["2026-11-21"];
    assert_eq!(receipt["read"]["events"], expected["events"]);
    assert_eq!(receipt["read"]["invalid_utf8_events"], 0);
    assert_eq!(receipt["read"]["lines_before_first_timestamp"], 0);

    let exports = receipt["exports"].as_array().expect("a list");
    let groups: Vec<&str> = exports
        .iter()
        .filter_map(|export| export["log_group"].as_str())
        .collect();
    let known: Vec<String> = expected["events_by_log_group"]
        .as_object()
        .expect("an object")
        .keys()
        .cloned()
        .collect();
    assert_eq!(groups, known);
    let staged: Vec<String> = dir
        .files()
        .into_iter()
        .filter(|file| file.starts_with("demo-output/staging/"))
        .collect();
    let objects: Vec<&String> = staged.iter().filter(|file| file.ends_with(".gz")).collect();
    let bytes: usize = objects.iter().map(|file| dir.read(file).len()).sum();
    assert_eq!(receipt["read"]["objects"], objects.len());
    assert_eq!(receipt["read"]["bytes"], bytes);
    for export in exports {
        let prefix = export["prefix"].as_str().expect("a text");
        let task = export["task_id"].as_str().expect("a text");
        let below = |file: &&&String| file.starts_with(&format!("{prefix}/{task}/"));
        assert_eq!(export["objects"], objects.iter().filter(below).count());
        assert!(staged.contains(&format!("{prefix}/manifest.json")));
        assert_eq!(export["reused"], false);
    }
    assert_eq!(staged.len(), objects.len() + exports.len());

    let files = published(&dir);
    let outputs = receipt["outputs"].as_array().expect("a list");
    // The receipt lists every file but itself and the copies of the newest charts.
    let is_listed = |file: &&&str| !file.contains("-latest.") && !file.starts_with("runs/");
    assert_eq!(outputs.len(), PUBLISHED.iter().filter(is_listed).count());
    for output in outputs {
        let key = output["key"].as_str().expect("a text");
        let file = key.strip_prefix("demo/").expect("the job's name first");
        assert_eq!(output["bytes"], files[file].len(), "{key}");
        assert!(output["etag"].is_string(), "{output}");
        assert_eq!(output["location"], format!("demo-output/{key}"));
        let is_parquet = key.ends_with(".parquet");
        assert_eq!(output["kind"], if is_parquet { "parquet" } else { "chart" });
        assert_eq!(
            output["rows"],
            if is_parquet { json!(24) } else { Value::Null }
        );
    }
    for step in ["export", "query", "draw", "write"] {
        assert!(receipt["seconds"][step].is_number(), "{step}");
    }
}

#[test]
fn the_output_holds_what_was_promised_and_nothing_else() {
    let dir = demo();
    let finished = run(&dir, []).run();
    finished
        .assert_success()
        .stdout_contains("demo · 2026-11-21")
        .stdout_contains("2,643 events")
        .stdout_contains("hourly_count/dt=2026-11-21/hourly_count.parquet")
        .stdout_contains("runs/2026-11-21.json");
    assert_eq!(published(&dir).into_keys().collect::<Vec<_>>(), PUBLISHED);
    let odd: Vec<String> = dir
        .files()
        .into_iter()
        .filter(|file| !file.starts_with("jobs/") && !file.starts_with(ANSWERS))
        .filter(|file| {
            let staged = file.starts_with("demo-output/staging/demo/2026-11-21/");
            !(staged && (file.ends_with("/manifest.json") || file.ends_with(".gz")))
        })
        .collect();
    assert_eq!(odd, Vec::<String>::new());
}

#[test]
fn json_is_the_receipt_and_nothing_else() {
    let dir = demo();
    let finished = run(&dir, ["--json"]).run();
    let printed = finished.assert_success().stdout_run();
    assert_eq!(
        printed,
        dir.read_json(format!("{ANSWERS}/runs/2026-11-21.json"))
    );
}

#[test]
fn a_second_run_finds_nothing_to_do() {
    let dir = demo();
    run(&dir, []).run().assert_success();
    let before = modified(&dir);
    run(&dir, [])
        .run()
        .assert_success()
        .stdout_contains("done already")
        .stdout_contains("--force");
    let skipped = run(&dir, ["--json"]).run();
    assert_eq!(skipped.assert_success().stdout_run()["status"], "skipped");
    assert_eq!(modified(&dir), before);
}

#[test]
fn the_same_answer_is_the_same_bytes() {
    let dir = demo();
    let first = run(&dir, ["--json"]).run().assert_success().stdout_run();
    let before = published(&dir);
    let staged = |receipt: &Value| receipt["exports"][0]["prefix"].clone();

    let finished = run(&dir, ["--force", "--json"]).run();
    let forced = finished.assert_success().stdout_run();
    assert_eq!(staged(&forced), staged(&first), "the kept export is used");
    finished
        .stderr_contains("using the export that was kept")
        .stderr_lacks("reading events");
    assert_eq!(forced["exports"][0]["reused"], true);
    let after = published(&dir);
    assert_eq!(after.keys().collect::<Vec<_>>(), PUBLISHED);
    for file in PUBLISHED.iter().filter(|file| !file.ends_with(".json")) {
        assert_eq!(before[*file], after[*file], "{file}");
    }

    let exported = run(&dir, ["--force=export", "--json"]).run();
    let exported = exported.assert_success().stdout_run();
    assert_ne!(staged(&exported), staged(&first), "a new export was made");
    assert_eq!(exported["exports"][0]["reused"], false);
    let after = published(&dir);
    assert_eq!(after.keys().collect::<Vec<_>>(), PUBLISHED);
    for file in PUBLISHED.iter().filter(|file| file.ends_with(".parquet")) {
        assert_eq!(before[*file], after[*file], "{file}");
    }
}

#[test]
fn a_window_without_events_has_answers_too() {
    let dir = demo();
    let job = dir.read_text("jobs/demo.toml")
        + "\n[[query]]\nname = \"nothing\"\nsql = \"nothing.sql\"\n[[query.chart]]\nkind = \"line\"\nx = \"timestamp\"\ny = \"n\"\nformats = [\"png\", \"svg\"]\n";
    dir.write("jobs/demo.toml", job);
    dir.write(
        "jobs/nothing.sql",
        "SELECT timestamp, message, log_group, 1 AS n FROM logs",
    );
    let finished = run(&dir, ["--window", "2026-01-01", "--json"]).run();
    let receipt = finished.assert_success().stdout_run();
    assert_eq!(receipt["read"]["events"], 0);
    assert_eq!(
        answer(&dir, "hourly_count", "2026-01-01").integers("events"),
        [0; 24]
    );
    let nothing = answer(&dir, "nothing", "2026-01-01");
    assert!(nothing.rows.is_empty(), "{:?}", nothing.rows);
    assert_eq!(
        nothing.schema(),
        [
            "timestamp: timestamp[ms]",
            "message: string",
            "log_group: string",
            "n: int64"
        ]
    );
    for chart in ["hourly_count/hourly_count", "nothing/nothing"] {
        let png = dir.read(format!("{ANSWERS}/charts/{chart}-2026-01-01.png"));
        let (width, height, _) = decode_png(&png);
        assert_eq!((width, height), (1600, 900), "{chart}");
    }
    let svg = dir.read_text(format!("{ANSWERS}/charts/nothing/nothing-2026-01-01.svg"));
    assert!(svg.to_lowercase().contains("no data"), "it does not say so");
}

#[test]
fn an_older_window_leaves_the_latest_chart_alone() {
    let dir = demo();
    let latest = format!("{ANSWERS}/charts/hourly_count/hourly_count-latest.png");
    run(&dir, ["--window", "2026-11-20"]).run().assert_success();
    let friday = dir.read(&latest);
    run(&dir, []).run().assert_success();
    let saturday = dir.read(&latest);
    assert_ne!(friday, saturday);
    run(&dir, ["--window", "2026-11-20", "--force"])
        .run()
        .assert_success();
    assert_eq!(dir.read(&latest), saturday);
}

#[test]
fn questions_find_what_an_independent_count_says() {
    let dir = demo();
    run(&dir, []).run().assert_success();
    let expected = &truth()["days"]["2026-11-21"];
    let ask = |sql: &str| -> Value {
        logtally(&dir, ["query", "jobs/demo.toml", "--format", "json", sql])
            .run()
            .assert_success()
            .stdout_json()
    };
    let table = |rows: &Value| -> BTreeMap<String, i64> {
        rows.as_array()
            .expect("a list")
            .iter()
            .map(|row| {
                let name = row["name"].as_str().expect("a text").to_owned();
                (name, row["n"].as_i64().expect("a count"))
            })
            .collect()
    };
    let groups = ask("SELECT log_group AS name, count(*) AS n FROM logs GROUP BY 1");
    let known: BTreeMap<String, i64> =
        serde_json::from_value(expected["events_by_log_group"].clone()).expect("counts");
    assert_eq!(table(&groups), known);

    // `level()` turns WARNING into WARN.
    let mut levels: BTreeMap<String, i64> =
        serde_json::from_value(expected["events_by_level"].clone()).expect("counts");
    let warnings = levels.remove("WARNING").unwrap_or_default();
    *levels.entry("WARN".to_owned()).or_default() += warnings;
    let found = ask(
        "SELECT level(message) AS name, count(*) AS n FROM logs WHERE level(message) IS NOT NULL GROUP BY 1",
    );
    assert_eq!(table(&found), levels);

    let reports = ask(
        "SELECT count(*) AS reports, count(r['init_ms']) AS cold, count(*) FILTER (WHERE r['status'] = 'timeout') AS timeouts \
         FROM (SELECT lambda_report(message) AS r FROM logs) WHERE r IS NOT NULL",
    );
    assert_eq!(
        reports,
        json!([{"reports": expected["lambda_reports"], "cold": expected["cold_starts"], "timeouts": expected["timeouts"]}])
    );
}

#[test]
fn the_job_runs_from_any_folder() {
    let dir = demo();
    let elsewhere = dir.join("else/where");
    fs::create_dir_all(&elsewhere).expect("the test's folder is writable");
    dir.logtally(["run", "../../jobs/demo.toml"])
        .current_dir(&elsewhere)
        .run()
        .assert_success();
    assert_eq!(published(&dir).into_keys().collect::<Vec<_>>(), PUBLISHED);
    assert_eq!(files_below(&elsewhere), Vec::<String>::new());
}

#[test]
fn two_runs_at_once_end_with_a_whole_answer() {
    let dir = demo();
    let both = [run(&dir, []).spawn(), run(&dir, []).spawn()];
    let codes: Vec<Option<i32>> = both
        .into_iter()
        .map(|running| running.wait().code())
        .collect();
    // The second run may find that the window is taken, but never a half-written file.
    assert!(codes.contains(&Some(0)), "{codes:?}");
    assert!(
        codes.iter().all(|code| matches!(code, Some(0 | 7 | 8))),
        "{codes:?}"
    );
    assert_eq!(published(&dir).into_keys().collect::<Vec<_>>(), PUBLISHED);
    assert_eq!(
        answer(&dir, "hourly_count", "2026-11-21").integers("events"),
        counts(&truth()["days"]["2026-11-21"]["events_by_hour"])
    );
}

#[test]
fn the_truth_is_that_of_the_shipped_events() {
    let dir = demo();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in [
        "tests/tools/demo_truth.py",
        "tests/expected/demo_truth.json",
    ] {
        let content = fs::read(root.join(file)).expect("the checkout is readable");
        dir.write(file, content);
    }
    let before = dir.read("tests/expected/demo_truth.json");
    let counted = Command::new("python3")
        .arg(dir.join("tests/tools/demo_truth.py"))
        .status()
        .expect("python3 starts");
    assert!(counted.success(), "{counted}");
    assert_eq!(dir.read("tests/expected/demo_truth.json"), before);
}
