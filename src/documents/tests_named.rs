//! `docs/SEMANTICS.md` names the tests of its promises.

use std::collections::BTreeSet;

use super::{read, sources};

/// The names of all functions below a folder.
fn functions(folder: &str) -> BTreeSet<String> {
    let name = |line: &str| {
        let line = line.trim_start();
        let rest = line
            .strip_prefix("async fn ")
            .or_else(|| line.strip_prefix("fn "))?;
        rest.split_once('(').map(|(name, _)| name.to_owned())
    };
    sources(folder)
        .iter()
        .flat_map(|file| {
            let text = read(&format!("{folder}/{file}"));
            text.lines().filter_map(name).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn every_promise_names_tests_that_are_there() {
    let tests = &functions("src") | &functions("tests");
    let text = read("docs/SEMANTICS.md");
    let named: Vec<&str> = text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|code| {
            let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            code.matches('_').count() > 2 && code.chars().all(is_name)
        })
        .collect();
    assert!(named.len() > 30, "{named:?}");
    let missing: Vec<&&str> = named
        .iter()
        .filter(|name| !tests.contains(**name))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/SEMANTICS.md names tests that are neither in src/ nor in tests/: {missing:?}"
    );
}
