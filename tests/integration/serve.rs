//! `logtally serve`, asked by real clients: psql, psycopg, asyncpg, SQLAlchemy with pandas, a JDBC driver, and by what Grafana
//! and DBeaver send.

mod bounds;
mod clients;
mod only_reads;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use crate::support::events::{HOUR, at};
use crate::support::export::Object;
use crate::support::job::{JOB, Night};
use crate::support::program::{Finished, Running};

/// The day of the events, in UTC.
pub const DAY: &str = "2025-03-03";

/// A job in Seoul with a day of events, which is done: 24 hours of UTC, an event each, a third of them errors.
pub fn night() -> Night {
    let night = Night::in_zone("Asia/Seoul");
    let start = at("2025-03-02T15:00:00Z");
    let events: Vec<(i64, String)> = (0..24)
        .map(|hour| {
            let level = if hour % 3 == 0 { "ERROR" } else { "INFO" };
            let message = format!(
                r#"{{"level": "{level}", "ms": {}, "text": "주문 {hour}\tdone"}}"#,
                10 * hour
            );
            (start + hour * HOUR, message)
        })
        .collect();
    night.export().stream("web/app/1", &events);
    night.run(DAY).assert_success();
    night
}

/// A server that runs.
pub struct Serving {
    pub running: Running,
    pub port: u16,
}

impl Serving {
    /// Serves the job on a free port, with more arguments and environment.
    pub fn start<'a>(night: &Night, more: impl IntoIterator<Item = &'a str>) -> Self {
        Self::start_with(night, more, &[])
    }

    pub fn start_with<'a>(
        night: &Night,
        more: impl IntoIterator<Item = &'a str>,
        environment: &[(&str, &str)],
    ) -> Self {
        let arguments = ["serve", JOB, "--listen", "127.0.0.1:0"]
            .into_iter()
            .chain(more);
        let mut running = night
            .dir
            .logtally(arguments)
            .envs(environment.iter().copied())
            .spawn();
        running.wait_for_stderr("listening on ");
        let said = running.stderr();
        let (_, address) = said
            .split_once("listening on 127.0.0.1:")
            .expect("an address");
        let port = address
            .split_whitespace()
            .next()
            .and_then(|port| port.parse().ok());
        Self {
            running,
            port: port.expect("a port"),
        }
    }

    /// How libpq names it.
    pub fn address(&self) -> String {
        format!("host=127.0.0.1 port={} user=anna dbname=logs", self.port)
    }

    /// Asks with psql, which prints rows alone.
    pub fn psql<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Asked {
        let mut command = Command::new("psql");
        // Without the settings of the machine's user.
        command
            .args(["-X", "-v", "ON_ERROR_STOP=1", "-d", &self.address()])
            .args(arguments);
        command
            .env("PGCONNECT_TIMEOUT", "60")
            .env("LC_ALL", "C.UTF-8")
            .env_remove("PGOPTIONS");
        Asked::of(&mut command)
    }

    /// The answer to a query, with `|` between values.
    #[track_caller]
    pub fn ask(&self, sql: &str) -> String {
        let asked = self.psql(["-Atc", sql]);
        assert!(asked.is_success, "{sql}: {}", asked.stderr);
        asked.stdout.trim_end().to_owned()
    }

    /// Ends it as a scheduler does.
    pub fn stop(self) -> Finished {
        self.running.signal("TERM");
        self.running.wait()
    }
}

/// What a client has printed.
pub struct Asked {
    pub is_success: bool,
    pub stdout: String,
    pub stderr: String,
}

impl Asked {
    pub fn of(command: &mut Command) -> Self {
        let output = command
            .output()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        Self {
            is_success: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

#[test]
fn psql_asks_and_lists() {
    let night = night();
    let server = Serving::start(&night, []);
    assert_eq!(
        server.ask("SELECT count(*), min(timestamp), max(timestamp) FROM logs"),
        "24|2025-03-03 00:00:00+09|2025-03-03 23:00:00+09"
    );
    // The last value of a statement, of several in one message.
    assert_eq!(
        server
            .ask("SELECT 1; SELECT level(message) AS l, count(*) FROM logs GROUP BY 1 ORDER BY 1"),
        "1\nERROR|8\nINFO|16"
    );
    assert_eq!(
        server.ask("SELECT hour_of_day, events FROM hourly_count ORDER BY hour_utc LIMIT 1"),
        "0|1"
    );
    assert_eq!(
        server.ask("SELECT message->>'text' FROM logs ORDER BY timestamp LIMIT 1"),
        "주문 0\tdone"
    );
    let tables = server.psql(["-c", "\\dt"]).stdout;
    for name in ["logs", "hourly_count"] {
        assert!(tables.contains(&format!(" public | {name} ")), "{tables}");
    }
    let columns = server.psql(["-c", "\\d logs"]).stdout;
    for column in [
        "timestamp  | timestamp with time zone |",
        "message    | text  ",
        "log_group  | text  ",
        "log_stream | text  ",
    ] {
        assert!(columns.contains(column), "{columns}");
    }
    let functions = server.psql(["-c", "\\df level"]);
    assert!(
        functions.stdout.contains(" public | level "),
        "{}{}",
        functions.stdout,
        functions.stderr
    );
    for command in [
        "\\d",
        "\\dv",
        "\\l",
        "\\dn",
        "\\du",
        "\\dT",
        "\\d+ logs",
        "\\df+ level",
        "\\dt+",
        "\\conninfo",
        "\\dx",
        "\\db",
        "\\dp",
        "\\d hourly_count",
        "\\di",
        "\\ds",
        "\\dm",
        "\\do",
        "\\dC",
        "\\dD",
        "\\des",
        "\\dew",
        "\\dF",
        "\\dL",
        "\\dO",
        "\\dRp",
        "\\dy",
    ] {
        let asked = server.psql(["-c", command]);
        assert!(
            asked.stderr.is_empty() || asked.stderr.starts_with("Did not find any"),
            "{command}: {}",
            asked.stderr
        );
    }
    server.stop().assert_success();
}

#[test]
fn windows_and_zones_are_settings() {
    let night = night();
    let server = Serving::start(&night, []);
    let counts = server.ask("SET logtally.window = '2025-03-03'; SELECT count(*) FROM hours; SHOW logtally.window; RESET logtally.window; SHOW logtally.window");
    assert_eq!(counts, "SET\n24\n2025-03-03\nRESET\nall");
    assert_eq!(server.ask("SHOW TimeZone; SELECT time_bucket('6 hours', timestamp) AS t, count(*) FROM logs GROUP BY 1 ORDER BY 1 LIMIT 1"), "Asia/Seoul\n2025-03-03 00:00:00+09|6");
    // Another zone is that of the answers and of their hours.
    assert_eq!(server.ask("SET TimeZone = 'America/New_York'; SELECT max(timestamp), max(hour_of_day(timestamp)) FROM logs"), "SET\n2025-03-03 09:00:00-05|23");
    let unknown = server.psql(["-c", "SET logtally.window = '2025-13'"]);
    assert!(
        !unknown.is_success && unknown.stderr.contains("2025-13"),
        "{}",
        unknown.stderr
    );
    let asked = Asked::of(
        Command::new("psql")
            .args([
                "-X",
                "-Atc",
                "SHOW logtally.window",
                "-d",
                &server.address(),
            ])
            .env("PGOPTIONS", "-c logtally.window=2025-03-03"),
    );
    assert_eq!(asked.stdout, "2025-03-03\n", "{}", asked.stderr);
    // A window that is not there says what to do.
    let folder = server.psql(["-c", "SELECT count(*) FROM hours"]);
    assert!(
        folder.stderr.contains("needs a window"),
        "{}",
        folder.stderr
    );
}

#[test]
fn what_is_odd_is_a_warning_once() {
    let night = Night::in_zone("Asia/Seoul");
    let events = [(at("2025-03-02T15:00:00Z"), "first")];
    let object = Object::new(&events).preceded_by("the end of an event\n");
    night.export().object("web/app/1", 0, &object);
    night.run(DAY).assert_success();
    let server = Serving::start(&night, []);
    let asked = server.psql(["-Atc", "SELECT 1"]);
    assert_eq!(asked.stderr, "");
    let count = "SELECT count(*) FROM logs";
    let asked = server.psql(["-At", "-c", count, "-c", count]);
    assert_eq!(asked.stdout, "1\n1\n");
    let warning = "WARNING:  1 line before the first timestamp of an object";
    assert_eq!(asked.stderr.matches(warning).count(), 1, "{}", asked.stderr);
}

#[test]
fn errors_have_their_code_place_and_hint() {
    let night = night();
    let server = Serving::start(&night, []);
    let asked = server.psql([
        "-v",
        "VERBOSITY=verbose",
        "-c",
        "SELECT message,\n  nope FROM logs",
    ]);
    for part in [
        "ERROR:  42703: column \"nope\" does not exist",
        "LINE 2:   nope FROM logs",
        "\n          ^",
    ] {
        assert!(asked.stderr.contains(part), "{}", asked.stderr);
    }
    for (sql, code) in [
        ("SELEC 1", "42601"),
        ("SELECT * FROM nowhere", "42P01"),
        ("SELECT nofunction(1)", "42883"),
        ("INSERT INTO logs VALUES (1)", "25006"),
        ("DROP TABLE logs", "25006"),
        ("CREATE TABLE t AS SELECT 1", "25006"),
        ("SET nope = 1", "42704"),
        ("FETCH 1 FROM nothing", "34000"),
        ("DEALLOCATE nothing", "26000"),
        ("COPY logs FROM STDIN", "25006"),
    ] {
        let asked = server.psql(["-v", "VERBOSITY=verbose", "-c", sql]);
        assert!(
            asked.stderr.contains(&format!("ERROR:  {code}:")),
            "{sql}: {}",
            asked.stderr
        );
    }
    // The statements before the one that fails are answered, and those behind it are not.
    let asked = server.psql(["-Atc", "SELECT 1; SELECT nope; SELECT 2"]);
    assert_eq!(asked.stdout, "1\n");
    let script = "BEGIN;\nSELECT nope;\n";
    let asked = server.psql([
        "-At",
        "-v",
        "ON_ERROR_STOP=0",
        "-c",
        script,
        "-c",
        "SELECT 3",
    ]);
    assert_eq!(asked.stdout, "BEGIN\n", "{}", asked.stderr);
    assert!(
        asked.stderr.contains("current transaction is aborted"),
        "{}",
        asked.stderr
    );
}

#[test]
fn copies_are_text_csv_and_binary() {
    let night = night();
    let server = Serving::start(&night, []);
    let query = "SELECT hour_of_day(timestamp) AS h, message->>'text' AS t, NULL AS n FROM logs ORDER BY timestamp LIMIT 1";
    assert_eq!(
        server.ask(&format!("COPY ({query}) TO STDOUT")),
        "0\t주문 0\\tdone\t\\N"
    );
    assert_eq!(
        server.ask(&format!(
            "COPY ({query}) TO STDOUT WITH (FORMAT csv, HEADER)"
        )),
        "h,t,n\n0,주문 0\tdone,"
    );
    assert_eq!(
        server
            .ask("COPY hourly_count (hour_of_day, events) TO STDOUT CSV")
            .lines()
            .count(),
        24
    );
    let copied = server.psql([
        "-c",
        &format!("\\copy ({query}) TO STDOUT (FORMAT csv, DELIMITER ';')"),
    ]);
    assert_eq!(copied.stdout, "0;주문 0\tdone;\n", "{}", copied.stderr);
    let binary = server.psql(["-c", "COPY (SELECT 1::bigint) TO STDOUT (FORMAT binary)"]);
    assert!(binary.stdout.starts_with("PGCOPY\n"), "{}", binary.stderr);
}

#[test]
fn views_cursors_and_transactions_are_of_a_connection() {
    let night = night();
    let server = Serving::start(&night, []);
    let script = "CREATE TEMP VIEW slow AS SELECT * FROM logs WHERE json_get_int(message, 'ms') >= 200;\nBEGIN;\nDECLARE c CURSOR FOR SELECT hour_of_day(timestamp) AS h FROM slow ORDER BY timestamp;\nFETCH 2 FROM c;\nMOVE 1 IN c;\nFETCH ALL FROM c;\nCLOSE c;\nSET LOCAL application_name = 'here';\nSHOW application_name;\nCOMMIT;\nSHOW application_name;";
    assert_eq!(
        server.ask(script),
        "CREATE VIEW\nBEGIN\nDECLARE CURSOR\n20\n21\nMOVE 1\n23\nCLOSE CURSOR\nSET\nhere\nCOMMIT\npsql"
    );
    // Rows that psql asks for with a cursor of its own.
    let asked = server.psql([
        "-At",
        "-v",
        "FETCH_COUNT=5",
        "-c",
        "SELECT hour_of_day(timestamp) AS h FROM logs ORDER BY timestamp",
    ]);
    assert_eq!(asked.stdout.lines().count(), 24, "{}", asked.stderr);
    let other = server.psql(["-c", "SELECT * FROM slow"]);
    assert!(other.stderr.contains("does not exist"), "{}", other.stderr);
}

/// What a connection answers to bytes.
pub fn answer_to(port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
    stream.write_all(bytes).expect("a connection takes bytes");
    stream
        .set_read_timeout(Some(std::time::Duration::from_secs(30)))
        .expect("a socket");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}
