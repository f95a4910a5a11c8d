//! The attempts of `tests/only_reads/attempts.sql` through the protocol: as simple and as prepared statements, and within COPY.

use std::path::Path;

use serde_json::{Value, json};

use super::{Serving, night};
use crate::only_reads::{ALLOWED, Canary};
use crate::support::python;

#[test]
fn attempts_to_write_or_to_read_elsewhere_are_refused() {
    let night = night();
    let server = Serving::start(&night, []);
    let mut canary = Canary::new();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/only_reads/attempts.sql");
    let text = std::fs::read_to_string(file).unwrap();
    let (forbidden, allowed) = text.split_once(ALLOWED).expect("both parts");
    let attempts = |text: &str| -> Vec<String> {
        let parts = text.split("\n\n").map(|part| part.trim_matches('\n'));
        parts
            .filter(|part| !part.is_empty() && !part.starts_with("# "))
            .map(|part| canary.insert(part))
            .collect()
    };
    // Commands of a connection change nothing beyond it.
    let own = [
        "SET",
        "RESET",
        "BEGIN",
        "START",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT",
        "END",
        "ABORT",
        "DEALLOCATE",
        "DISCARD",
        "SHOW",
        "DECLARE",
        "CREATE OR REPLACE TEMP",
        "CREATE TEMP",
    ];
    // What the catalogue answers: settings of this connection, a role without a password.
    let of_catalogue = ["UNLISTEN", "current_setting(", "set_config(", "pg_authid"];
    let is_own = |sql: &String| {
        of_catalogue.iter().any(|part| sql.contains(part))
            || own
                .iter()
                .any(|word| sql.trim_start().to_uppercase().starts_with(word))
    };
    let forbidden: Vec<String> = attempts(forbidden)
        .into_iter()
        .filter(|sql| !is_own(sql))
        .collect();
    let allowed: Vec<String> = attempts(allowed)
        .into_iter()
        .filter(|sql| !is_own(sql))
        .collect();
    assert!(
        forbidden.len() > 150 && allowed.len() > 5,
        "{} {}",
        forbidden.len(),
        allowed.len()
    );
    let before = night.dir.files();
    let mut tool = python::tool("serve_attempts.py");
    let found: Value = python::ask(
        tool.arg(server.address()),
        &json!({"forbidden": forbidden, "allowed": allowed}),
    );
    assert_eq!(
        found,
        json!([]),
        "answered though forbidden, or refused though allowed"
    );
    assert_eq!(canary.touched(), None);
    assert_eq!(night.dir.files(), before);
    server.stop().assert_success();
}
