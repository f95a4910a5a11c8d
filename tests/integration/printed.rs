//! How `query` prints and writes answers: formats as programs read them, tables as a person sees them on a terminal.

use serde_json::{Value, json};

use crate::support::events::{HOUR, at};
use crate::support::export::Object;
use crate::support::job::Night;
use crate::support::moto::Moto;
use crate::support::program::{Dir, Finished, Program, Running, everything_below};
use crate::support::python;

fn noon() -> i64 {
    at("2025-03-03T12:00:00Z")
}

const TRACE: &str =
    "ERROR no \u{1b}[2Jstock\n\tat reserve (stock.js:49)\n\tat order (order.js:101)";

/// A log of three events, one of which is a stack trace.
fn night() -> Night {
    let night = Night::new();
    let events = [
        (noon(), "INFO 주문이 접수되었습니다"),
        (noon() + HOUR, TRACE),
        (noon() + 2 * HOUR, "plain"),
    ];
    night.export().stream("web/app", &events);
    night
}

fn query<'a>(night: &Night, arguments: impl IntoIterator<Item = &'a str>) -> Finished {
    let arguments = ["query", "exported"].into_iter().chain(arguments);
    night.dir.logtally(arguments).run()
}

/// A query on a pseudo terminal of a size, with a script of keys (see `tools/typed.py`). Its stdout is what the terminal shows.
fn at_terminal<'a>(
    night: &Night,
    size: &str,
    script: &Value,
    arguments: impl IntoIterator<Item = &'a str>,
) -> Program {
    let tool = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/integration/tools/typed.py"
    );
    let program = env!("CARGO_BIN_EXE_logtally");
    let script = script.to_string();
    let mut all = [tool, size, &script, program, "query", "exported"]
        .map(str::to_owned)
        .to_vec();
    all.extend(arguments.into_iter().map(str::to_owned));
    let program = night.dir.program("python3", all);
    program
        .env("TERM", "xterm")
        .env("LOGTALLY_PAGER", "")
        .env("NO_COLOR", "1")
}

const LEVELS: &str =
    "SELECT timestamp, level(message) AS level, message FROM logs ORDER BY timestamp";

#[test]
fn programs_read_the_same_rows_from_every_format() {
    let night = night();
    let sql = "SELECT 9007199254740993 AS n, timestamp AS at, E'결제, \"실패\"\\n\\tat' AS text, '' AS \"Empty\", \
               12.50::numeric(10,2) AS number, [1, NULL, 3] AS list, named_struct('a', 1, 'b', 'x') AS struct, \
               map(['k'], [2]) AS map, interval '90 minutes' AS length, count(*) OVER () \
               FROM logs WHERE message LIKE 'INFO%'";
    for ending in [
        "csv", "tsv", "json", "ndjson", "parquet", "arrow", "arrows", "feather",
    ] {
        let file = format!("answer.{ending}");
        query(&night, ["--timezone", "Asia/Seoul", "--output", &file, sql])
            .assert_success()
            .stdout_is("");
    }
    let found: Value = python::ask(
        python::tool("readers.py").arg(night.dir.path()),
        &Value::Null,
    );
    let found = found.as_object().expect("an object");
    assert_eq!(found.len(), 16);
    for (reader, answer) in found {
        assert_eq!(
            answer["columns"],
            json!([
                "n",
                "at",
                "text",
                "Empty",
                "number",
                "list",
                "struct",
                "map",
                "length",
                "count(*) OVER ()"
            ]),
            "{reader}"
        );
        let rows = answer["rows"].as_array().expect("a list");
        assert_eq!(rows.len(), 1, "{reader}");
        let row = &rows[0];
        let is_arrow = reader.starts_with("arrow") || reader.starts_with("feather");
        for (column, expected) in [
            ("n", json!(9_007_199_254_740_993_i64)),
            ("at", json!("2025-03-03T12:00:00+00:00")),
            ("text", json!("결제, \"실패\"\n\tat")),
            ("number", json!(12.5)),
            ("list", json!([1, null, 3])),
            ("struct", json!({"a": 1, "b": "x"})),
            ("map", json!({"k": 2})),
            ("count(*) OVER ()", json!("1")),
        ] {
            // pandas has a list with a NULL as numbers with a point.
            let value = match column {
                "list" => row[column]
                    .as_array()
                    .expect("a list")
                    .iter()
                    .map(Value::as_f64)
                    .collect(),
                _ => row[column].clone(),
            };
            let expected = match column {
                "list" => json!([1.0, null, 3.0]),
                _ => expected,
            };
            assert_eq!(value, expected, "{reader}: {column}");
        }
        if !is_arrow {
            assert_eq!(row["length"], "01:30:00", "{reader}");
        }
        // pandas takes an empty text of CSV for no value.
        if !reader.ends_with("sv, pandas") {
            assert_eq!(row["Empty"], "", "{reader}");
        }
    }
}

#[test]
fn every_type_has_a_form_in_every_format() {
    let night = night();
    let sql = include_str!("every_type.sql");
    for format in [
        "table", "vertical", "csv", "tsv", "json", "ndjson", "markdown", "parquet", "arrow",
    ] {
        let finished = query(&night, ["--format", format, "--output", "answer", sql]);
        finished.assert_success();
        assert!(!night.dir.read("answer").is_empty(), "{format}");
    }
}

#[test]
fn an_answer_of_any_length_is_written_as_its_rows_come() {
    let night = Night::new();
    let events: Vec<(i64, String)> = (0..20_000)
        .map(|n| (noon() + n, format!("event {n}")))
        .collect();
    night.export().stream("web/app", &events);
    let sql = "SELECT message FROM logs";
    for (format, lines) in [
        ("csv", 20_001),
        ("ndjson", 20_000),
        ("json", 20_000),
        ("markdown", 20_002),
    ] {
        let finished = query(&night, ["--format", format, sql]);
        assert_eq!(
            finished.assert_success().stdout.lines().count(),
            lines,
            "{format}"
        );
    }
    let rows = query(&night, ["--format", "json", sql]).stdout_json();
    assert_eq!(rows[19_999]["message"], "event 19999");
    // What fails behind the first rows ends with its class, and a file is left as it was.
    night.dir.write("answer.parquet", "as it was");
    let late = "SELECT 1 / (CASE WHEN message = 'event 19999' THEN 0 ELSE 1 END) AS n FROM logs";
    for file in ["answer.parquet", "answer.arrow", "answer.csv"] {
        query(&night, ["--output", file, late]).assert_code(6);
    }
    query(&night, ["--format", "ndjson", late]).assert_code(6);
    assert_eq!(night.dir.read_text("answer.parquet"), "as it was");
    let written = night.dir.files();
    assert!(
        written
            .iter()
            .all(|file| !file.starts_with("answer.") || file == "answer.parquet"),
        "{written:?}"
    );
}

#[test]
fn columns_of_one_name_and_numbers_that_json_lacks_are_said() {
    let night = night();
    let sql = "SELECT a.message, b.message, 'NaN'::double AS x, '-Infinity'::double AS y \
               FROM logs AS a JOIN logs AS b ON a.timestamp = b.timestamp WHERE a.message = 'plain'";
    let finished = query(&night, ["--format", "json", sql]);
    finished
        .assert_success()
        .stdout_is("[{\"message\":\"plain\",\"message_1\":\"plain\",\"x\":null,\"y\":null}]\n")
        .stderr_contains("several columns")
        .stderr_contains("message_1")
        .stderr_contains("NaN and infinities are null in JSON");
    query(&night, ["--format", "csv", sql])
        .assert_success()
        .stdout_is("message,message,x,y\nplain,plain,NaN,-inf\n");
}

#[test]
fn headings_are_what_the_asker_wrote() {
    let night = night();
    let sql = "SELECT count(*), max(octet_length(message)), level(message) AS \"Level\" FROM logs GROUP BY 3 ORDER BY 3";
    let finished = query(&night, ["--format", "csv", sql]);
    finished.assert_success();
    assert_eq!(
        finished.stdout.lines().next(),
        Some("count(*),max(octet_length(message)),Level")
    );
}

#[test]
fn a_terminal_shows_a_table_that_fits_with_its_rows_and_its_time() {
    let night = night();
    let shown = at_terminal(&night, "72x24", &json!([]), [LEVELS]).run();
    let shown = shown.assert_success().stdout.replace('\r', "");
    let (table, footer) = shown.split_once("(3 rows, ").expect(&shown);
    assert!(footer.ends_with(" s)\n"), "{shown}");
    assert_eq!(
        table,
        "\
+----------------------+-------+---------------------------------------+
| timestamp            | level | message                               |
+----------------------+-------+---------------------------------------+
| 2025-03-03T12:00:00Z | INFO  | INFO 주문이 접수되었습니다            |
| 2025-03-03T13:00:00Z | ERROR | ERROR no \\u{1b}[2Jstock↵ at reserve … |
| 2025-03-03T14:00:00Z | NULL  | plain                                 |
+----------------------+-------+---------------------------------------+
"
    );
}

#[test]
fn rows_that_are_wider_than_the_terminal_are_expanded_and_whole() {
    let night = night();
    let errors = "SELECT timestamp, level(message) AS level, message, log_stream FROM logs WHERE level(message) = 'ERROR'";
    for arguments in [
        vec![errors],
        vec!["-x", errors],
        vec!["--format", "vertical", errors],
    ] {
        let size = if arguments.len() == 1 {
            "50x24"
        } else {
            "200x24"
        };
        let shown = at_terminal(&night, size, &json!([]), arguments).run();
        let shown = shown.assert_success().stdout.replace('\r', "");
        for line in [
            "-[ RECORD 1 ]--",
            "timestamp  | 2025-03-03T13:00:00Z\n",
            "message    | ERROR no \\u{1b}[2Jstock\n           |     at reserve (stock.js:49)\n           |     at order (order.js:101)\n",
            "(1 row, ",
        ] {
            assert!(shown.contains(line), "{line:?} in\n{shown}");
        }
    }
    let never = at_terminal(&night, "50x24", &json!([]), ["--expanded=off", errors]).run();
    assert!(!never.assert_success().stdout.contains("RECORD"), "{never}");
    // A pipe has no width.
    query(&night, [errors])
        .assert_success()
        .stdout_contains("| log_stream");
}

#[test]
fn levels_have_colours_on_a_terminal_only() {
    const RED: &str = "\u{1b}[31mERROR";
    let night = night();
    let colours = |program: Program| program.run().assert_success().stdout.contains(RED);
    let terminal = |arguments: &[&str]| {
        let arguments = arguments.iter().copied().chain([LEVELS]);
        at_terminal(&night, "100x24", &json!([]), arguments)
    };
    let pipe = |arguments: &[&str]| {
        let arguments = ["query", "exported"]
            .iter()
            .chain(arguments)
            .chain([&LEVELS]);
        night.dir.logtally(arguments)
    };
    assert!(colours(terminal(&[]).env("NO_COLOR", "")));
    assert!(!colours(terminal(&[])));
    assert!(!colours(
        terminal(&["--color", "never"]).env("NO_COLOR", "")
    ));
    assert!(!colours(
        terminal(&[]).env("NO_COLOR", "").env("TERM", "dumb")
    ));
    assert!(colours(terminal(&["--color", "always"])));
    assert!(!colours(pipe(&[])));
    assert!(colours(pipe(&["--color=always"])));
    assert!(colours(pipe(&[]).env("CLICOLOR_FORCE", "1")));
    assert!(!colours(
        pipe(&[]).env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1")
    ));
}

#[test]
fn a_long_answer_goes_through_the_pager_and_a_short_one_does_not() {
    let night = night();
    let long = "SELECT a.message FROM logs AS a CROSS JOIN generate_series(1, 20)";
    let paged = |pager: &str, arguments: &[&str]| {
        let program = at_terminal(&night, "80x24", &json!([]), arguments.iter().copied());
        program.env("LOGTALLY_PAGER", pager).run()
    };
    let shown = paged("sed 's/^/paged /'", &[long]);
    assert_eq!(shown.assert_success().stdout.matches("paged ").count(), 65);
    for arguments in [&[LEVELS][..], &["--no-pager", long]] {
        let shown = paged("sed 's/^/paged /'", arguments);
        assert!(!shown.assert_success().stdout.contains("paged "), "{shown}");
    }
    // One that is quit at once.
    paged("true", &[long]).assert_success();
    paged("head -n 1", &["--format", "csv", long]).assert_success();
    let none = paged("no-such-pager", &[long]);
    assert!(
        none.assert_code(7).stdout.contains("no-such-pager"),
        "{none}"
    );
    // A pipe has none.
    let sql = format!("{long} LIMIT 60");
    let arguments = ["query", "exported", &sql];
    let piped = night.dir.logtally(arguments).env("LOGTALLY_PAGER", "false");
    piped.run().assert_success().stdout_contains("plain");
}

#[test]
fn a_terminal_shows_no_bytes() {
    let night = night();
    for format in ["parquet", "arrow"] {
        let shown = at_terminal(&night, "80x24", &json!([]), ["--format", format, LEVELS]).run();
        let shown = shown.assert_code(2);
        assert!(shown.stdout.contains("expected --output FILE"), "{shown}");
    }
}

/// Takes very long, and no memory.
const ENDLESS: &str = "SELECT sum(sqrt(a.value * b.value)) AS s FROM logs CROSS JOIN generate_series(1, 1000000) AS a CROSS JOIN generate_series(1, 1000000) AS b";

#[test]
fn a_long_query_shows_its_progress_and_ctrl_c_ends_it() {
    let night = night();
    let temporary = night.dir.temporary();
    for (keys, code) in [("\u{3}", 130), ("signal:TERM", 143)] {
        // The line has the events that were read; the computing behind them never ends.
        let script = json!([[" event", keys]]);
        let shown = at_terminal(&night, "100x24", &script, [ENDLESS]);
        let shown = shown.env("TMPDIR", &temporary).run();
        shown.assert_code(code);
        assert!(shown.stdout.contains("error: stopped by "), "{shown}");
        assert_eq!(everything_below(&temporary), Vec::<String>::new());
    }
    let quiet = at_terminal(&night, "100x24", &json!([]), ["-q", "SELECT 1"]).run();
    assert!(
        !quiet.assert_success().stdout.contains("computing"),
        "{quiet}"
    );
}

#[test]
fn ctrl_c_ends_a_pager_too_and_leaves_no_file() {
    let night = night();
    let long = "SELECT a.message FROM logs AS a CROSS JOIN generate_series(1, 2000)";
    // The second one takes no notice of Ctrl-C.
    for pager in ["less", "trap '' INT; head -n 1; echo waiting; sleep 1000"] {
        let shown_first = if pager == "less" {
            "message"
        } else {
            "waiting"
        };
        let script = json!([[shown_first, "\u{3}"]]);
        let shown = at_terminal(&night, "80x24", &script, [long]);
        shown.env("LOGTALLY_PAGER", pager).run().assert_code(130);
    }
    // The second one holds its threads: the process does not wait for it.
    let unheeding = "SELECT count(*) FROM generate_series(1, 1000000) a(x), generate_series(1, 1000000) b(y) WHERE x * y % 7 = 3";
    let temporary = night.dir.path().join("temporary");
    std::fs::create_dir(&temporary).unwrap();
    let before = night.dir.files();
    for sql in [ENDLESS, unheeding] {
        let arguments = ["query", "exported", "--output", "answer.csv", sql];
        let running = night.dir.logtally(arguments).env("TMPDIR", &temporary);
        let mut running = running.spawn();
        running.wait_until("it listens to signals", Running::listens_to_signals);
        let is_draft = |file: &String| file.starts_with(".tmp");
        running.wait_until("it writes", |_| night.dir.files().iter().any(is_draft));
        running.signal("INT");
        running.wait().assert_code(130);
        assert_eq!(night.dir.files(), before);
        assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
    }
}

#[test]
fn a_plan_is_a_tree_for_eyes_and_rows_for_programs() {
    let night = night();
    let sql =
        "EXPLAIN ANALYZE SELECT level(message), count(*) FROM logs GROUP BY 1 ORDER BY 2 DESC";
    let tree = query(&night, [sql]);
    tree.assert_success()
        .stdout_contains("└─ ")
        .stdout_contains("3 events)")
        .stdout_contains("1 objects");
    assert!(!tree.stdout.contains(".gz"), "{tree}");
    let rows = query(&night, ["--format", "json", sql]);
    let rows = rows.assert_success().stdout_json();
    assert!(
        rows[0]["plan"]
            .as_str()
            .is_some_and(|plan| plan.contains("metrics=[")),
        "{rows}"
    );
}

#[test]
fn an_answer_on_s3_is_put_whole() {
    let moto = Moto::shared();
    moto.create_bucket("printed");
    let night = night();
    let write = |output: &str, sql: &str| {
        let arguments = ["query", "exported", "--output", output, sql];
        night.dir.logtally(arguments).envs(moto.environment()).run()
    };
    let sql = "SELECT count(*) AS n FROM logs";
    for _ in 0..2 {
        write("s3://printed/a b/answer.csv", sql)
            .assert_success()
            .stdout_is("");
        assert_eq!(moto.get_object("printed", "a b/answer.csv"), b"n\n3\n");
    }
    write("s3://printed/answer.parquet", sql).assert_success();
    assert_eq!(&moto.get_object("printed", "answer.parquet")[..4], b"PAR1");
    let late = "SELECT 1 / (CASE WHEN message = 'plain' THEN 0 ELSE 1 END) AS n FROM logs";
    write("s3://printed/late.csv", late).assert_code(6);
    assert!(!moto.keys("printed", "").contains(&"late.csv".to_owned()));
    let chart = [
        "query",
        "exported",
        "--chart",
        "bar",
        "--output",
        "s3://printed/levels.svg",
        "SELECT level(message) AS l, count(*) AS n FROM logs GROUP BY 1",
    ];
    night
        .dir
        .logtally(chart)
        .envs(moto.environment())
        .run()
        .assert_success();
    assert!(moto.get_object("printed", "levels.svg").starts_with(b"<"));
    for wrong in [
        "s3://printed",
        "s3://printed/folder/",
        "s3a://printed/x.csv",
    ] {
        write(wrong, sql).assert_code(2).stderr_contains(wrong);
    }
    let refused = ["query", "exported", "--output", "s3://printed/x.csv", sql];
    let refused = night.dir.logtally(refused).envs(moto.environment());
    let nowhere = refused.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9").run();
    assert!(matches!(nowhere.code(), Some(7)), "{nowhere}");
}

#[test]
fn a_device_stays_a_device_and_a_link_a_link() {
    let night = night();
    let sql = "SELECT count(*) AS n FROM logs";
    night.dir.write("real.csv", "before");
    std::os::unix::fs::symlink("real.csv", night.dir.join("link.csv")).expect("a link");
    query(&night, ["--output", "link.csv", sql]).assert_success();
    assert_eq!(night.dir.read_text("real.csv"), "n\n3\n");
    query(&night, ["--format", "csv", "--output", "/dev/stdout", sql])
        .assert_success()
        .stdout_is("n\n3\n");
}

/// A large object, so that the reader of a pipe is slower than the query.
#[test]
fn a_reader_that_does_not_read_delays_no_signal() {
    let night = Night::new();
    let events: Vec<(i64, String)> = (0..100_000)
        .map(|n| {
            (
                noon() + n,
                format!("event {n} of some length, so that no pipe holds them all"),
            )
        })
        .collect();
    night.export().object("web/app", 0, &Object::new(&events));
    let dir: &Dir = &night.dir;
    let program = env!("CARGO_BIN_EXE_logtally");
    // It reads a line, and then no more.
    let script = format!(
        "mkfifo pipe; (read line; echo \"$line\" > first; exec sleep 1000) < pipe & reader=$!; \
         '{program}' query exported --format csv 'SELECT message FROM logs' > pipe & query=$!; \
         until [ -s first ]; do sleep 0.05; done; kill -TERM $query; wait $query; code=$?; kill $reader; exit $code"
    );
    dir.program("bash", ["-c", &script]).run().assert_code(143);
}
