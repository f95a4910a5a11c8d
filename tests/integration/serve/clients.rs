//! Clients in Python and Java, and the queries that others send.

use std::path::Path;
use std::process::Command;

use super::{Asked, Serving, night};
use crate::support::python;

#[test]
fn clients_in_python_ask() {
    let night = night();
    let server = Serving::start(&night, []);
    let mut tool = python::tool("serve_clients.py");
    let port = server.port.to_string();
    assert_eq!(python::output(tool.arg(port)), "done\n");
    server.stop().assert_success();
}

/// Where Debian and Ubuntu have PostgreSQL's JDBC driver (`apt-get install libpostgresql-jdbc-java default-jdk-headless`).
const DRIVER: &str = "/usr/share/java/postgresql.jar";

#[test]
fn the_jdbc_driver_asks() {
    let has_java = Command::new("javac")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success());
    assert!(
        has_java && Path::new(DRIVER).exists(),
        "a Java compiler or {DRIVER} is missing: apt-get install libpostgresql-jdbc-java default-jdk-headless"
    );
    let night = night();
    let server = Serving::start(&night, []);
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration/tools/Ask.java");
    let address = format!("jdbc:postgresql://127.0.0.1:{}/logs?user=anna", server.port);
    // Its own zone is not that of the answers.
    let mut java = Command::new("java");
    java.args(["-Duser.timezone=America/New_York", "-cp", DRIVER])
        .arg(program)
        .arg(address);
    let asked = Asked::of(&mut java);
    assert!(asked.is_success, "{}{}", asked.stdout, asked.stderr);
    let expected = "\
product: PostgreSQL 15
schemas: information_schema,pg_catalog,public
tables: hourly_count,logs
views: errors,lambda_invocations
columns: timestamp,message,log_group,log_stream
types: timestamptz,text,text,text
keys: 
imported keys: 
indexes: 
functions: level
catalogs: logs
row: 2025-03-03T02:00:00Z 110
row: 2025-03-03T02:00:00Z 110
fetched: 24
error: 42703
";
    assert_eq!(asked.stdout, expected, "{}", asked.stderr);
    server.stop().assert_success();
}

/// The queries of a file, with an empty line between two.
fn queries(name: &str) -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/serve")
        .join(name);
    let text = std::fs::read_to_string(file).expect("the file is there");
    let parts = text.split("\n\n").map(|part| part.trim().to_owned());
    parts
        .filter(|part| !part.is_empty() && !part.starts_with("# "))
        .collect()
}

#[test]
fn queries_of_other_clients_are_answered() {
    let night = night();
    let server = Serving::start(&night, []);
    let mut wrong = Vec::new();
    for file in ["dbeaver.sql", "pgadmin.sql", "metabase.sql", "pgcli.sql"] {
        for sql in queries(file) {
            let asked = server.psql(["-c", &sql]);
            if !asked.is_success {
                wrong.push(format!("{file}: {sql}\n{}", asked.stderr));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// The queries of the dashboard, over what `serve` has. Its variable and the macro of its data source are replaced.
#[test]
fn the_dashboard_draws_answers() {
    let night = crate::support::job::Night::with(
        "timezone = \"Asia/Seoul\"",
        "[[query]]\nuse = \"hourly_errors\"\n[[query]]\nuse = \"hourly_levels\"\n",
    );
    let noon = crate::support::events::at("2025-03-03T03:00:00Z");
    night
        .export()
        .stream("web/app/1", &[(noon, "ERROR a"), (noon + 1, "INFO b")]);
    night.run(super::DAY).assert_success();
    let server = Serving::start(&night, []);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/grafana/logtally.json");
    let dashboard: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut answers = Vec::new();
    for panel in panels {
        let target = &panel["targets"][0];
        assert_eq!(
            target["rawSql"], target["rawSQL"],
            "both data sources ask the same"
        );
        let sql = target["rawSql"].as_str().unwrap();
        let filter = "hour_utc BETWEEN '2025-03-02T15:00:00Z' AND '2025-03-03T14:59:59.999Z'";
        answers.push(server.ask(&sql.replace("$__timeFilter(hour_utc)", filter)));
    }
    let noon = "2025-03-03 12:00:00+09";
    for (answer, expected) in answers.iter().zip(["|2", "|1", "|0.5", "|ERROR|1"]) {
        assert!(
            answer
                .lines()
                .any(|line| line == format!("{noon}{expected}")),
            "{answer}"
        );
    }
    assert_eq!(answers[0].lines().count(), 24);
}

#[test]
fn grafana_finds_tables_and_draws_series() {
    let night = night();
    let server = Serving::start(&night, []);
    let queries = queries("grafana.sql");
    let answers: Vec<String> = queries.iter().map(|sql| server.ask(sql)).collect();
    assert!(
        answers[0]
            .parse::<u32>()
            .is_ok_and(|version| version >= 1500),
        "{}",
        answers[0]
    );
    let tables: Vec<&str> = answers[1].lines().collect();
    assert!(
        tables.contains(&"logs") && tables.contains(&"hourly_count"),
        "{tables:?}"
    );
    assert!(
        answers[2].contains("timestamp|timestamp with time zone"),
        "{}",
        answers[2]
    );
    assert_eq!(answers[3], answers[2]);
    // What its macros become, over the day of the events: $__timeFilter, $__timeGroup, $__unixEpochFilter.
    for answer in &answers[4..] {
        assert_eq!(answer.lines().count(), 24, "{answer}");
    }
    assert_eq!(
        answers[4].lines().next(),
        Some("1740927600|ERROR|1"),
        "{}",
        answers[4]
    );
}
