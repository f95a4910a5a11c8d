//! Windows in zones of every kind, several windows in one run, and windows that have not ended.

use serde_json::{Value, json};

use crate::support::events::{DAY, HOUR, at, by_hour, on_one_day};
use crate::support::job::Night;
use crate::support::parquet::Parquet;

/// An event every ten minutes, from a day before `start` to two days after it.
fn steady(start: i64) -> Vec<(i64, &'static str)> {
    (0..)
        .map(|n| start - DAY + n * HOUR / 6)
        .take_while(|time| *time < start + 2 * DAY)
        .map(|time| (time, "tick"))
        .collect()
}

/// Runs a day of a zone that begins at `start` and has `hours` hours, with events at both edges.
fn day(zone: &str, id: &str, start: &str, hours: usize) -> Parquet {
    let start = at(start);
    let end = start + i64::try_from(hours).expect("few") * HOUR;
    let mut events = steady(start);
    events.extend([
        (start - 1, "before"),
        (start, "first"),
        (end - 1, "last"),
        (end, "after"),
    ]);
    let inside: i64 = by_hour(&events, start, hours).iter().sum();

    let night = Night::in_zone(zone);
    night.export().stream("web/app", &events);
    let receipt = night.receipt(id);
    assert_eq!(receipt["read"]["events"], inside, "{zone} {id}");
    assert_eq!(
        at(receipt["window"]["start"].as_str().expect("a text")),
        start
    );
    assert_eq!(at(receipt["window"]["end"].as_str().expect("a text")), end);
    let answer = night.hourly_count(id);
    assert_eq!(answer.rows.len(), hours, "{zone} {id}");
    assert_eq!(
        answer.integers("events").iter().sum::<i64>(),
        inside,
        "sum(events) is count(*) in {zone}"
    );
    answer
}

#[test]
fn a_day_in_spring_has_23_hours() {
    let answer = day("America/New_York", "2025-03-09", "2025-03-09T05:00:00Z", 23);
    let hours: Vec<i64> = (0..24).filter(|hour| *hour != 2).collect();
    assert_eq!(answer.integers("hour_of_day"), hours);
    let events = answer.integers("events");
    assert_eq!((events[0], events[1], events[22]), (7, 6, 7));
    assert_eq!(answer.texts("utc_offset")[1..3], ["-05:00", "-04:00"]);
}

#[test]
fn a_day_in_autumn_has_25_hours() {
    let answer = day("America/New_York", "2025-11-02", "2025-11-02T04:00:00Z", 25);
    let hours: Vec<i64> = (0..=1).chain(1..24).collect();
    assert_eq!(answer.integers("hour_of_day"), hours);
    let local = answer.texts("hour_local");
    assert_eq!(local[1], "2025-11-02T01:00:00");
    assert_eq!(local[1], local[2]);
    assert_eq!(answer.texts("utc_offset")[1..3], ["-04:00", "-05:00"]);
    assert_eq!(
        answer.texts("hour_utc")[1..3],
        ["2025-11-02T05:00:00", "2025-11-02T06:00:00"]
    );
    assert_eq!(answer.integers("events")[1..3], [6, 6]);
}

#[test]
fn half_hour_zones_begin_at_the_half_hour() {
    let answer = day("Asia/Kolkata", "2025-06-01", "2025-05-31T18:30:00Z", 24);
    assert_eq!(answer.texts("hour_utc")[0], "2025-05-31T18:30:00");
    assert_eq!(answer.texts("utc_offset"), vec!["+05:30"; 24]);
    assert_eq!(answer.texts("hour_local")[23], "2025-06-01T23:00:00");
}

#[test]
fn a_clock_may_change_by_half_an_hour() {
    // Lord Howe changes from +11 to +10:30 on 2025-04-06 at 02:00, so that 01:30 to 02:00 occurs twice: 24½ hours.
    let night = Night::in_zone("Australia/Lord_Howe");
    let start = at("2025-04-05T13:00:00Z");
    let end = at("2025-04-06T13:30:00Z");
    let mut events = steady(start);
    events.extend([(start - 1, "before"), (end - 1, "last"), (end, "after")]);
    let inside = events
        .iter()
        .filter(|(time, _)| (start..end).contains(time))
        .count();
    night.export().stream("web/app", &events);
    let receipt = night.receipt("2025-04-06");
    assert_eq!(receipt["read"]["events"], inside);
    assert_eq!(
        receipt["window"]["start_local"],
        "2025-04-06T00:00:00+11:00"
    );
    assert_eq!(receipt["window"]["end_local"], "2025-04-07T00:00:00+10:30");
    let answer = night.hourly_count("2025-04-06");
    let counted: i64 = answer.integers("events").iter().sum();
    assert_eq!(usize::try_from(counted), Ok(inside));
    // The rows' starts are distinct and in order.
    let starts = answer.texts("hour_utc");
    assert!(
        starts.is_sorted() && starts.windows(2).all(|pair| pair[0] != pair[1]),
        "{starts:?}"
    );

    // The clocks change back on 2025-10-05: 02:00 becomes 02:30.
    let night = Night::in_zone("Australia/Lord_Howe");
    let start = at("2025-10-04T13:30:00Z");
    let end = at("2025-10-05T13:00:00Z");
    let events = steady(start);
    let inside = events
        .iter()
        .filter(|(time, _)| (start..end).contains(time))
        .count();
    night.export().stream("web/app", &events);
    assert_eq!(night.receipt("2025-10-05")["read"]["events"], inside);
    let counted: i64 = night
        .hourly_count("2025-10-05")
        .integers("events")
        .iter()
        .sum();
    assert_eq!(usize::try_from(counted), Ok(inside));
}

#[test]
fn a_day_without_midnight_begins_with_its_first_instant() {
    let answer = day(
        "America/Sao_Paulo",
        "2018-11-04",
        "2018-11-04T03:00:00Z",
        23,
    );
    assert_eq!(
        answer.integers("hour_of_day"),
        (1..24).collect::<Vec<i64>>()
    );
    assert_eq!(answer.texts("hour_local")[0], "2018-11-04T01:00:00");
}

#[test]
fn a_day_that_a_zone_skipped_is_an_error() {
    let night = Night::in_zone("Pacific/Apia");
    night
        .export()
        .stream("web/app", &steady(at("2011-12-30T00:00:00Z")));
    night
        .run("2011-12-30")
        .assert_code(2)
        .stderr_contains("2011-12-30")
        .stderr_contains("Pacific/Apia");
    // A range of days leaves it out.
    night
        .run_with(["--from", "2011-12-29", "--to", "2011-12-31"])
        .assert_success();
    assert_eq!(receipts(&night), ["2011-12-29.json", "2011-12-31.json"]);
}

fn receipts(night: &Night) -> Vec<String> {
    night
        .outputs()
        .iter()
        .filter_map(|file| file.strip_prefix("out/night/runs/"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn hours_are_partitions_of_two_levels() {
    let night = Night::with(
        "timezone = \"America/New_York\"",
        "[window]\nsize = \"hour\"\n",
    );
    night
        .export()
        .stream("web/app", &steady(at("2025-11-02T04:00:00Z")));
    let answer = |hour: &str| {
        Parquet::read(night.dir.join(format!(
            "out/night/hourly_count/dt=2025-11-02/hh={hour}/hourly_count.parquet"
        )))
    };
    assert_eq!(night.receipt("2025-11-02T00")["read"]["events"], 6);
    assert_eq!(answer("00").integers("events"), [6]);
    // The repeated hour is one window of two hours.
    let receipt = night.receipt("2025-11-02T01");
    assert_eq!(receipt["read"]["events"], 12);
    assert_eq!(receipt["window"]["start"], "2025-11-02T05:00:00Z");
    assert_eq!(receipt["window"]["end"], "2025-11-02T07:00:00Z");
    assert_eq!(answer("01").integers("events"), [6, 6]);
    let expected: Vec<String> = ["00", "01"]
        .iter()
        .map(|hour| format!("out/night/charts/hourly_count/hourly_count-2025-11-02T{hour}.png"))
        .collect();
    for chart in expected {
        assert!(night.outputs().contains(&chart), "{chart}");
    }
    // The hour that is skipped in spring.
    night.run("2025-03-09T02").assert_code(2);
    // The id of a day is not the id of an hour.
    night
        .run("2025-11-02")
        .assert_code(2)
        .stderr_contains("T05");
}

#[test]
fn weeks_and_months_are_whole() {
    let night = Night::with(
        "timezone = \"America/New_York\"",
        "[window]\nsize = \"week\"\n",
    );
    // The week from Monday 2025-11-03 to Sunday 2025-11-09. The week before has a day of 25 hours.
    let export = night.export();
    let monday = at("2025-10-27T04:00:00Z");
    export.stream(
        "web/app",
        &[
            (monday - 1, "before"),
            (monday, "first"),
            (monday + 169 * HOUR - 1, "last"),
            (monday + 169 * HOUR, "after"),
        ],
    );
    assert_eq!(night.receipt("2025-W44")["read"]["events"], 2);
    let answer = Parquet::read(
        night
            .dir
            .join("out/night/hourly_count/dt=2025-10-27/hourly_count.parquet"),
    );
    let events = answer.integers("events");
    assert_eq!((events.len(), events[0], events[168]), (169, 1, 1));

    let job = night.dir.read_text("night.toml").replace("week", "month");
    night
        .dir
        .write("month.toml", job.replace("\"night\"", "\"monthly\""));
    let receipt = night
        .dir
        .logtally(["run", "month.toml", "--window", "2025-11", "--json"])
        .run()
        .assert_success()
        .stdout_run();
    assert_eq!(receipt["read"]["events"], 2);
    assert_eq!(receipt["window"]["start"], "2025-11-01T04:00:00Z");
    assert_eq!(receipt["window"]["end"], "2025-12-01T05:00:00Z");
    let answer = Parquet::read(
        night
            .dir
            .join("out/monthly/hourly_count/dt=2025-11-01/hourly_count.parquet"),
    );
    assert_eq!(answer.rows.len(), 30 * 24 + 1);
}

#[test]
fn from_and_to_include_both_ends() {
    let night = Night::new();
    night
        .export()
        .stream("web/app", &steady(at("2025-03-03T00:00:00Z")));
    let finished = night.run_with(["--from", "2025-03-02", "--to", "2025-03-05"]);
    let finished = finished.assert_success();
    assert_eq!(
        receipts(&night),
        [
            "2025-03-02.json",
            "2025-03-03.json",
            "2025-03-04.json",
            "2025-03-05.json"
        ]
    );
    // The closing table has a line for each window.
    for line in [
        "2025-03-02  done  144 events",
        "2025-03-03  done  144 events",
        "2025-03-05  done  0 events",
    ] {
        finished.stdout_contains(line);
    }
    night
        .run_with(["--from", "2025-03-02", "--to", "2025-03-03"])
        .assert_success()
        .stdout_contains("2025-03-02  done before");
    night
        .run_with(["--from", "2025-03-05", "--to", "2025-03-02"])
        .assert_code(2)
        .stderr_contains("2025-03-05");
    for wrong in [
        &["--from", "2025-03-05"][..],
        &["--to", "2025-03-05"],
        &["--window", "2025-03-05", "--last", "2d"],
        &["--window", "2025-3-5"],
        &["--window", "2025-02-30"],
        &["--window", "2025-W10"],
        &["--last", "0d"],
        &["--last", "soon"],
    ] {
        let finished = night.run_with(wrong.iter().copied());
        assert_eq!(finished.code(), Some(2), "{wrong:?}{finished}");
    }
}

#[test]
fn the_latest_chart_is_the_newest_windows_also_behind_a_backfill() {
    let night = Night::new();
    night.export().stream(
        "web/app",
        &[
            (at("2025-03-02T01:00:00Z"), "x"),
            (at("2025-03-03T02:00:00Z"), "x"),
            (at("2025-03-04T03:00:00Z"), "x"),
        ],
    );
    let chart = |of: &str| {
        let file = format!("out/night/charts/hourly_count/hourly_count-{of}.png");
        night.dir.read(file)
    };
    night.run("2025-03-02").assert_success();
    assert_eq!(chart("latest"), chart("2025-03-02"));
    // While the answers of a window are computed, the next window is exported.
    let backfill = ["--from", "2025-03-02", "--to", "2025-03-04", "--force"];
    let finished = night.run_with(backfill.into_iter().chain(["--json"]));
    let printed = finished.assert_success().stdout_json();
    assert_eq!(chart("latest"), chart("2025-03-04"));
    // Receipts list only objects that later windows do not replace.
    assert!(!printed.to_string().contains("-latest"), "{printed:#}");

    let latest = night
        .dir
        .join("out/night/charts/hourly_count/hourly_count-latest.png");
    let put = |file| std::fs::metadata(file).and_then(|meta| meta.modified());
    let before = put(&latest).expect("it is there");
    night.run_with(backfill).assert_success();
    assert_eq!(put(&latest).expect("it is there"), before, "the same bytes");
}

#[test]
fn several_windows_are_one_json_document() {
    let night = Night::new();
    night
        .export()
        .stream("web/app", &steady(at("2025-03-03T00:00:00Z")));
    let finished = night.run_with(["--from", "2025-03-02", "--to", "2025-03-03", "--json"]);
    let printed = finished.assert_success().stdout_json();
    let runs = printed["runs"].as_array().expect("a list");
    assert_eq!(printed.as_object().map(|keys| keys.len()), Some(1));
    for (run, id) in runs.iter().zip(["2025-03-02", "2025-03-03"]) {
        assert_eq!(run["window"]["id"], id);
        assert_eq!(run["status"], "done");
        assert_eq!(
            run,
            &night.dir.read_json(format!("out/night/runs/{id}.json"))
        );
    }
    assert_eq!(runs.len(), 2);
}

#[test]
fn the_last_days_are_those_that_ended() {
    on_one_day(|today| {
        let night = Night::new();
        night
            .export()
            .stream("web/app", &steady(at("2025-03-03T00:00:00Z")));
        let finished = night.run_with(["--last", "3d", "--json"]);
        let printed = finished.assert_success().stdout_json();
        let ids: Vec<&str> = printed["runs"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|run| run["window"]["id"].as_str())
            .collect();
        let expected: Vec<String> = (1..=3)
            .rev()
            .map(|days| (today - chrono::Days::new(days)).to_string())
            .collect();
        assert_eq!(ids, expected);
    });
}

#[test]
fn yesterday_is_the_default() {
    on_one_day(|today| {
        let night = Night::new();
        night
            .export()
            .stream("web/app", &steady(at("2025-03-03T00:00:00Z")));
        night.run_with([]).assert_success();
        let yesterday = today - chrono::Days::new(1);
        assert_eq!(receipts(&night), [format!("{yesterday}.json")]);
        night
            .run("yesterday")
            .assert_success()
            .stdout_contains(&yesterday.to_string());
    });
}

#[test]
fn a_window_that_has_not_ended_is_an_error_unless_provisional() {
    on_one_day(|today| {
        let night = Night::new();
        night
            .export()
            .stream("web/app", &steady(at("2025-03-03T00:00:00Z")));
        let today = today.to_string();
        night
            .run(&today)
            .assert_code(2)
            .stderr_contains(&today)
            .stderr_contains("--provisional");
        assert_eq!(night.outputs(), Vec::<String>::new());
        let finished = night.run_with(["--window", &today, "--provisional"]);
        finished.assert_success().stdout_contains("provisional");
        let receipt = night.dir.read_json(format!("out/night/runs/{today}.json"));
        assert_eq!(receipt["window"]["provisional"], true);
        // A provisional window is run again until it has settled.
        night
            .run_with(["--window", &today, "--provisional", "--json"])
            .assert_success()
            .stdout_contains("\"done\"");
    });
}

#[test]
fn strict_says_when_an_answer_may_still_change() {
    let night = Night::new();
    night
        .export()
        .stream("web/app", &steady(at("2025-03-03T00:00:00Z")));
    let strict = ["--strict", "--provisional", "--window"];
    let today = chrono::Utc::now().date_naive().to_string();
    night
        .run_with(strict.into_iter().chain([today.as_str()]))
        .assert_code(9);
    assert_eq!(receipts(&night).len(), 1);
    night
        .run_with(strict.into_iter().chain(["2025-03-03"]))
        .assert_success();
    // The window has ended, but late events may still arrive.
    let job = night.dir.read_text("night.toml");
    night.dir.write(
        "night.toml",
        job + "[window]\nsettled_after = \"100000d\"\n",
    );
    night
        .run_with(["--strict", "--window", "2025-03-03"])
        .assert_code(9);
}

#[test]
fn a_failing_window_does_not_keep_the_others_from_being_done() {
    let night = Night::new();
    let export = night.export();
    export.stream("web/app", &steady(at("2025-03-03T00:00:00Z")));
    // A folder in place of the second day's receipt.
    night
        .dir
        .write("out/night/runs/2025-03-03.json/in-the-way", "");
    let arguments = ["--from", "2025-03-02", "--to", "2025-03-04"];
    let finished = night.run_with(arguments);
    finished
        .assert_code(7)
        .stderr_contains("2025-03-03")
        .stdout_contains("2025-03-02  done")
        .stdout_contains("2025-03-03  failed (7)")
        .stdout_contains("2025-03-04  done");
    let printed = night.run_with(arguments.into_iter().chain(["--force", "--json"]));
    let printed = printed.assert_code(7).stdout_json();
    let status: Vec<&Value> = printed["runs"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|run| &run["status"])
        .collect();
    assert_eq!(status, [&json!("done"), &json!("failed"), &json!("done")]);
    assert_eq!(printed["runs"][1]["exit_code"], 7);
    assert_eq!(printed["runs"][1]["window"]["id"], "2025-03-03");
}

#[test]
fn a_state_that_is_none_concerns_its_window_only() {
    let night = Night::new();
    night
        .export()
        .stream("web/app", &steady(at("2025-03-03T00:00:00Z")));
    let days = ["--from", "2025-03-02", "--to", "2025-03-04"];
    night.run_with(days).assert_success();
    night
        .dir
        .write("out/night/runs/_state/2025-03-03.json", "{\"lease\": 1}");
    let finished = night.run_with(days.into_iter().chain(["--json"]));
    let printed = finished.assert_code(5).stdout_json();
    let statuses: Vec<_> = (0..3).map(|run| &printed["runs"][run]["status"]).collect();
    assert_eq!(statuses, ["skipped", "failed", "skipped"]);
    let why = "2025-03-03.json is no state of a window; remove it to begin the window anew";
    finished.stderr_contains(why);
    night
        .run_with(days)
        .assert_code(5)
        .stdout_contains("2025-03-03  failed (5)  ")
        .stdout_contains(why);
    let status = night.dir.logtally(["status", "night.toml"]).run();
    status
        .assert_success()
        .stdout_contains("2025-03-03")
        .stdout_contains(why)
        // The suggested command leaves out the window that would fail again.
        .stdout_contains("  logtally run night.toml --from 2025-03-05 --to ");
}

#[test]
fn status_names_the_option_without_which_a_window_can_not_be_done() {
    let night = Night::new();
    let day = "2025-03-03";
    let export = night.export();
    let noon = at("2025-03-03T12:00:00Z");
    export.stream("web/app", &[(noon, "a"), (noon, "b")]);
    night.run(day).assert_success();
    export.stream("web/app", &[(noon, "a")]);
    // A new query makes the window stale.
    let job = night.dir.read_text("night.toml");
    let job = job + "[[query]]\nuse = \"hour_of_day\"\n";
    night.dir.write("night.toml", job);
    let status = |window: &str| {
        let arguments = ["status", "night.toml", "--window", window];
        let finished = night.dir.logtally(arguments).run();
        finished.assert_success().stdout.clone()
    };
    let shown = status(day);
    assert!(
        shown.contains("settled  2 events  the job has changed since\n"),
        "{shown}"
    );
    assert!(
        shown.ends_with("\n  logtally run night.toml --window 2025-03-03\n"),
        "{shown}"
    );
    night.run(day).assert_code(4);
    let shown = status(day);
    assert!(
        shown.ends_with("\n  logtally run night.toml --window 2025-03-03 --force\n"),
        "{shown}"
    );
    night
        .run_with(["--window", day, "--force"])
        .assert_success();
    let shown = status(day);
    assert!(shown.ends_with("settled  1 event\n"), "{shown}");
    on_one_day(|today| {
        let command = format!("--window {today} --provisional\n");
        let shown = status(&today.to_string());
        assert!(shown.ends_with(&command), "{shown}");
    });
}

#[test]
fn status_tells_six_states_and_what_to_run() {
    let night = Night::new();
    let export = night.export();
    export.stream("web/app", &steady(at("2025-03-03T00:00:00Z")));
    night.run("2025-03-01").assert_success();
    // A window that was computed while it was provisional, and has settled since.
    let job = night.dir.read_text("night.toml");
    let long_settling = "[window]\nsettled_after = \"100000d\"\n";
    night
        .dir
        .write("night.toml", format!("{job}{long_settling}"));
    night.run("2025-03-02").assert_success();
    night.dir.write("night.toml", &job);
    let damaged = night.dir.write("exported/web/damaged/000000.gz", "no gzip");
    night.run("2025-03-03").assert_code(5);
    std::fs::remove_file(damaged).expect("it is there");
    // The lease of a run that was killed long ago, and that of a live run.
    let lease = |seconds: f64| {
        json!({
            "run": "1", "host": "worker-7", "process": 7, "since": "2025-03-05T00:00:00Z",
            "seconds": seconds, "renewals": 1,
        })
    };
    let unfinished = json!({"began_at": "2025-03-05T00:00:00Z", "source_sha256": ""});
    for (day, seconds) in [("2025-03-04", 0.000_001), ("2025-03-05", 3600.0)] {
        let state = json!({
            "lease": lease(seconds), "phase": "asking", "unfinished": unfinished, "failure": null,
            "attempts": [],
        });
        let file = format!("out/night/runs/_state/{day}.json");
        night.dir.write(file, state.to_string());
    }
    let status = |arguments: &[&str]| {
        let span = [
            "status",
            "night.toml",
            "--from",
            "2025-03-01",
            "--to",
            "2025-03-06",
        ];
        let arguments = span.iter().chain(arguments);
        night.dir.logtally(arguments).run()
    };
    let printed = status(&["--json"]).assert_success().stdout_json();
    let windows = printed["windows"].as_array().expect("a list");
    let states: Vec<_> = windows
        .iter()
        .map(|window| {
            let text = |key: &str| window[key].as_str().expect("a text");
            (text("status"), window["due"] == true)
        })
        .collect();
    assert_eq!(
        states,
        [
            ("settled", false),
            ("provisional", true),
            ("failed", true),
            ("interrupted", true),
            ("running", false),
            ("missing", true)
        ]
    );
    let table = status(&[]);
    for line in [
        "2025-03-01  settled      0 events\n",
        "2025-03-02  provisional  144 events  has settled since\n",
        "2025-03-03  failed",
        "2025-03-04  interrupted\n",
        "2025-03-05  running                  process 7 on worker-7, since 2025-03-05T00:00:00Z\n",
        "2025-03-06  missing\n",
        "--from 2025-03-02 --to 2025-03-06\n",
    ] {
        table.stdout_contains(line);
    }
}
