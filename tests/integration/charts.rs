//! Charts of jobs and of ad-hoc queries: compared with an earlier answer, drawn in the terminal, written to a file.

use std::path::Path;

use crate::support::job::Night;
use crate::support::program::Dir;

const DAY_MS: i64 = 86_400_000;
/// 2025-11-15T00:00:00Z
const EARLIER_MS: i64 = 1_763_164_800_000;

const CHART: &str = r#"[[query.chart]]
kind = "bar"
x = "hour_local"
y = "events"
compare = "7 days"
formats = ["svg"]
"#;

/// A job over two Saturdays, the first with an event in each hour and the second with two.
fn two_saturdays(head: &str, chart: &str) -> Night {
    let night = Night::with(&format!("timezone = \"UTC\"\n{head}"), chart);
    let mut events = Vec::new();
    for hour in 0..24 {
        let at = EARLIER_MS + hour * 3_600_000;
        events.push((at, "one"));
        events.push((at + 7 * DAY_MS, "two"));
        events.push((at + 7 * DAY_MS + 1, "three"));
    }
    night.export().stream("web", &events);
    night
}

fn chart(night: &Night, day: &str) -> String {
    let file = format!("out/night/charts/hourly_count/hourly_count-{day}.svg");
    night.dir.read_text(file)
}

/// The line below a chart's title, and all texts of the chart.
fn texts(svg: &str) -> (String, Vec<String>) {
    let document = roxmltree::Document::parse(svg).expect("well-formed SVG");
    let subtitle = document
        .descendants()
        .find(|node| node.has_tag_name("desc"));
    let subtitle = subtitle.and_then(|node| node.text()).unwrap_or_default();
    let texts = document
        .descendants()
        .filter_map(|node| node.attribute("aria-label"));
    (subtitle.to_owned(), texts.map(str::to_owned).collect())
}

#[test]
fn a_chart_is_held_against_the_same_weekday_a_week_before_if_it_was_done() {
    let night = two_saturdays("language = \"ko\"", CHART);
    night.run("2025-11-22").assert_success();
    let (subtitle, texts_alone) = texts(&chart(&night, "2025-11-22"));
    assert_eq!(subtitle, "이벤트 48건");
    assert!(!texts_alone.contains(&"2025-11-15 (토)".to_owned()));

    night.run("2025-11-15").assert_success();
    night
        .run_with(["--window", "2025-11-22", "--force"])
        .assert_success();
    let (subtitle, texts) = texts(&chart(&night, "2025-11-22"));
    assert_eq!(subtitle, "이벤트 48건 · 2025-11-15 (토) 대비 +100.0%");
    assert!(
        texts.contains(&"2025-11-15 (토)".to_owned()),
        "the legend: {texts:?}"
    );
}

#[test]
fn an_earlier_answer_of_other_sql_or_that_is_damaged_is_left_out() {
    let night = two_saturdays("", CHART);
    night.run("2025-11-15").assert_success();
    night.run("2025-11-22").assert_success();
    let (held, _) = texts(&chart(&night, "2025-11-22"));
    assert_eq!(held, "48 events · +100.0% against 2025-11-15 (Sat)");

    let earlier = "out/night/hourly_count/dt=2025-11-15/hourly_count.parquet";
    let whole = night.dir.read(earlier);
    night.dir.write(earlier, &whole[..whole.len() / 2]);
    let run = night.run_with(["--window", "2025-11-22", "--force"]);
    assert!(
        run.assert_success().stderr.contains("not compared"),
        "{}",
        run.stderr
    );
    let (alone, _) = texts(&chart(&night, "2025-11-22"));
    assert_eq!(alone, "48 events");

    // An earlier answer of the same name, from a different query.
    night.dir.write(earlier, whole);
    night.dir.write(
        "other.sql",
        "SELECT hour_local, utc_offset, hour_utc, hour_of_day, CAST(sum(7) AS BIGINT) AS events FROM hours GROUP BY 1, 2, 3, 4 ORDER BY hour_utc",
    );
    let job = night.dir.read_text("night.toml");
    let job = job.replace(
        "use = \"hourly_count\"",
        "name = \"hourly_count\"\nsql = \"other.sql\"",
    );
    night.dir.write("night.toml", job);
    night.run("2025-11-22").assert_success();
    let (alone, _) = texts(&chart(&night, "2025-11-22"));
    assert_eq!(alone, "168 events");
}

#[test]
fn a_comparison_is_with_the_same_events_and_says_what_is_provisional() {
    let night = two_saturdays("", CHART);
    night.run("2025-11-15").assert_success();
    let receipt = "out/night/runs/2025-11-15.json";
    let whole = night.dir.read_text(receipt);
    let again = || {
        let run = night.run_with(["--window", "2025-11-22", "--force"]);
        let stderr = run.assert_success().stderr.clone();
        let (subtitle, texts) = texts(&chart(&night, "2025-11-22"));
        (subtitle, texts, stderr)
    };

    let mut provisional: serde_json::Value = serde_json::from_str(&whole).expect("a receipt");
    provisional["window"]["provisional"] = true.into();
    night.dir.write(receipt, provisional.to_string());
    let (subtitle, texts, _) = again();
    let name = "2025-11-15 (Sat) (provisional)";
    assert_eq!(subtitle, format!("48 events · +100.0% against {name}"));
    assert!(texts.contains(&name.to_owned()), "{texts:?}");

    let mut other: serde_json::Value = serde_json::from_str(&whole).expect("a receipt");
    other["window"]["timezone"] = "Asia/Seoul".into();
    night.dir.write(receipt, other.to_string());
    let (subtitle, _, stderr) = again();
    assert_eq!(subtitle, "48 events");
    assert!(stderr.contains("Asia/Seoul"), "{stderr}");

    night.dir.write(receipt, &whole);
    let job = night.dir.read_text("night.toml");
    let source = "kind = \"exported\"";
    assert!(job.contains(source), "{job}");
    let job = job.replace(source, &format!("{source}\nlog_group = \"/web\""));
    night.dir.write("night.toml", job);
    let (subtitle, _, stderr) = again();
    assert_eq!(subtitle, "48 events");
    assert!(stderr.contains("other log groups"), "{stderr}");

    std::fs::remove_file(night.dir.join(receipt)).expect("a receipt");
    let (subtitle, _, stderr) = again();
    assert_eq!(subtitle, "48 events");
    assert!(stderr.contains("no receipt"), "{stderr}");
}

#[test]
fn a_chart_of_too_many_points_is_left_out_and_its_answer_written() {
    let night = two_saturdays("", CHART);
    night.dir.write(
        "many.sql",
        "SELECT 'x' || number AS x, 1 AS events FROM (SELECT unnest(range(0, 10001)) AS number) AS numbers ORDER BY 1",
    );
    let job = night.dir.read_text("night.toml");
    let job = job
        .replace(
            "use = \"hourly_count\"",
            "name = \"hourly_count\"\nsql = \"many.sql\"",
        )
        .replace("x = \"hour_local\"", "x = \"x\"");
    night.dir.write("night.toml", job);
    let run = night.run("2025-11-22");
    let finished = run.assert_success();
    assert!(finished.stdout.contains("left out"), "{}", finished.stdout);
    assert!(
        finished.stderr.contains("more than 10000 points"),
        "{}",
        finished.stderr
    );
    assert!(
        finished.stdout.contains("10,001 rows"),
        "{}",
        finished.stdout
    );
    let charts = night.dir.files();
    assert!(
        !charts.iter().any(|file| file.ends_with(".svg")),
        "{charts:?}"
    );
}

#[test]
fn a_log_can_not_write_to_the_terminal_of_a_question() {
    let night = two_saturdays("", "");
    let run = query(&night.dir, ["SELECT 'a' || chr(27) || '[2Jb' AS text"]);
    let table = &run.assert_success().stdout;
    assert!(table.contains("a\\u{1b}[2Jb"), "{table:?}");
    let bars = [
        "--chart",
        "bar",
        "SELECT 'a' || chr(27) || 'b' AS text, 1 AS n",
    ];
    let run = query(&night.dir, bars);
    let drawn = &run.assert_success().stdout;
    assert!(
        !drawn.contains('\u{1b}') && drawn.contains("a b"),
        "{drawn:?}"
    );
}

#[test]
fn the_same_answer_is_the_same_picture() {
    let night = two_saturdays("", CHART);
    for day in ["2025-11-15", "2025-11-22"] {
        night.run(day).assert_success();
    }
    let first = chart(&night, "2025-11-22");
    night
        .run_with(["--window", "2025-11-22", "--force"])
        .assert_success();
    assert!(first == chart(&night, "2025-11-22"));
}

#[test]
fn keys_of_a_chart_that_do_not_go_together_are_told_before_anything_is_read() {
    let night = two_saturdays("", &CHART.replace("\"7 days\"", "\"1 month\""));
    let run = night.run("2025-11-22");
    run.assert_code(2);
    for expected in ["night.toml", "hourly_count", "1 month", "7 days"] {
        assert!(run.stderr.contains(expected), "{expected}: {}", run.stderr);
    }
    assert!(night.outputs().is_empty());
}

const BY_HOUR: &str = "SELECT time_bucket('1 hour', timestamp) AS hour, count(*) AS events FROM logs GROUP BY 1 ORDER BY 1";

fn query<'a>(
    dir: &Dir,
    arguments: impl IntoIterator<Item = &'a str>,
) -> crate::support::program::Finished {
    let arguments = ["query", "exported", "--window", "2025-11-22"]
        .into_iter()
        .chain(arguments);
    dir.logtally(arguments).run()
}

#[test]
fn a_question_is_drawn_in_the_terminal() {
    let night = two_saturdays("", "");
    let bars = query(&night.dir, ["--chart", "bar", BY_HOUR]);
    let lines: Vec<&str> = bars.assert_success().stdout.lines().collect();
    assert_eq!(lines[..2], ["exported · 2025-11-22 · UTC", "48 events"]);
    assert_eq!(lines.len(), 27, "{}", bars.stdout);
    assert!(lines[25].starts_with("  23  2  ████"), "{}", bars.stdout);
    let source = "2025-11-22 00:00 UTC to 2025-11-23 00:00 UTC · exported · ";
    assert!(lines[26].starts_with(source), "{}", bars.stdout);

    let heatmap = query(&night.dir, ["--chart", "heatmap", BY_HOUR]);
    assert!(
        heatmap
            .assert_success()
            .stdout
            .contains("11-22 (Sat)  ████"),
        "{}",
        heatmap.stdout
    );

    let both = "SELECT hour_local, hour_of_day AS skipped, 2 AS a, 3 AS b FROM hours ORDER BY 1";
    let lines = query(&night.dir, ["--chart", "line", both]);
    let drawn = &lines.assert_success().stdout;
    assert!(drawn.contains("a ┤") && drawn.contains("b ┤"), "{drawn}");
}

#[test]
fn a_question_over_several_windows_says_all_of_them() {
    let night = two_saturdays("", "");
    let chart = ["query", "exported", "--chart", "heatmap", BY_HOUR];
    let range = ["--from", "2025-11-15", "--to", "2025-11-22"];
    let heatmap = night.dir.logtally(chart.into_iter().chain(range)).run();
    let lines: Vec<&str> = heatmap.assert_success().stdout.lines().collect();
    assert_eq!(lines[0], "exported · 2025-11-15 to 2025-11-22 · UTC");
    let last = lines.last().expect("a line");
    assert!(
        last.starts_with("2025-11-15 00:00 UTC to 2025-11-23 00:00 UTC · exported · "),
        "{}",
        heatmap.stdout
    );
}

#[test]
fn a_question_without_rows_is_a_sentence() {
    let night = two_saturdays("", "");
    let none = "SELECT log_stream, count(*) AS n FROM logs WHERE false GROUP BY 1";
    query(&night.dir, ["--chart", "bar", none])
        .assert_success()
        .stdout_is("The answer has no rows to draw.\n");
}

/// The hours of a window in which nothing happened are zeros, as the SQL counts events and drops no group.
#[test]
fn a_bucket_of_a_window_without_events_is_a_zero() {
    let night = two_saturdays("", "");
    let sparse = |having: &str| {
        let sql = format!(
            "SELECT time_bucket('1 hour', timestamp) AS t, count(*) AS n FROM logs
             WHERE hour_of_day(timestamp) IN (0, 1, 5) GROUP BY 1 {having}"
        );
        let drawn = query(&night.dir, ["--chart", "line", &sql]);
        drawn.assert_success().stdout.clone()
    };
    assert!(!sparse("").contains("no data"), "{}", sparse(""));
    let dropped = sparse("HAVING count(*) < 9");
    assert!(dropped.contains("no data"), "{dropped}");
}

#[test]
fn a_question_is_drawn_into_a_picture() {
    let night = two_saturdays("", "");
    let by_message = "SELECT time_bucket('1 hour', timestamp) AS hour, message, count(*) AS events FROM logs GROUP BY 1, 2 ORDER BY 1, 2";
    query(
        &night.dir,
        ["--chart", "bar", "--output", "day.svg", by_message],
    )
    .assert_success();
    let (subtitle, texts) = texts(&night.dir.read_text("day.svg"));
    assert_eq!(subtitle, "48 events");
    for expected in ["exported · 2025-11-22 · UTC", "two", "three", "23"] {
        assert!(
            texts.contains(&expected.to_owned()),
            "{expected}: {texts:?}"
        );
    }
    query(
        &night.dir,
        ["--chart", "line", "--output", "day.PNG", BY_HOUR],
    )
    .assert_success();
    assert_eq!(night.dir.read("day.PNG")[..4], *b"\x89PNG");
}

#[test]
fn what_can_not_be_drawn_is_refused_and_leaves_no_file() {
    let night = two_saturdays("", "");
    let texts = "SELECT message FROM logs";
    for (arguments, expected) in [
        (
            ["--chart", "bar", "--output", "day.csv", BY_HOUR],
            ".png or .svg",
        ),
        (
            ["--format", "csv", "--output", "day.png", BY_HOUR],
            "--chart",
        ),
        (["--chart", "bar", "--output", "day.png", texts], "numbers"),
    ] {
        let run = query(&night.dir, arguments);
        run.assert_code(2);
        assert!(run.stderr.contains(expected), "{expected}: {}", run.stderr);
    }
    let left = ["day.csv", "day.png"].map(|file| night.dir.join(file));
    assert!(left.iter().all(|file| !Path::new(file).exists()));
}
