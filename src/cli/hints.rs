//! What to write instead of arguments that the parser refuses.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Flags of other tools, and what means the same here.
const SYNONYMS: [(&str, &str); 11] = [
    ("--date", "--window"),
    ("--day", "--window"),
    ("--id", "--window"),
    ("--days", "--last, such as --last 7d"),
    ("--since", "--from and --to, or --last"),
    ("--start", "--from and --to, or --last"),
    ("--until", "--to"),
    ("--end", "--to"),
    ("--sql", "the SQL as the last argument, in quotes"),
    ("--query", "the SQL as the last argument, in quotes"),
    ("--tz", "--timezone"),
];

/// Puts a hint into an error, in place of the parser's own, which says how to pass a flag as a value.
pub(super) fn add(error: &mut clap::Error, arguments: &[OsString]) {
    if error.kind() != ErrorKind::UnknownArgument {
        return;
    }
    let arguments: Vec<&str> = arguments
        .iter()
        .filter_map(|argument| argument.to_str())
        .collect();
    let Some(ContextValue::String(wrong)) = error.get(ContextKind::InvalidArg) else {
        return;
    };
    let hint = hint(wrong, &arguments);
    error.remove(ContextKind::Suggested);
    if let Some(hint) = hint {
        error.remove(ContextKind::SuggestedArg);
        error.insert(
            ContextKind::Suggested,
            ContextValue::StyledStrs(vec![hint.into()]),
        );
    }
}

fn hint(wrong: &str, arguments: &[&str]) -> Option<String> {
    let command = arguments.get(1).copied().unwrap_or_default();
    if let Some((_, meant)) = SYNONYMS.iter().find(|(flag, _)| *flag == wrong) {
        return Some(format!("expected {meant}"));
    }
    let follows_force = arguments.windows(2).any(|pair| pair == ["--force", wrong]);
    match command {
        "run" | "plan" if follows_force => Some(format!(
            "with a value, --force has an equals sign: --force={wrong}"
        )),
        "run" | "plan" | "status" if wrong.starts_with(|c: char| c.is_ascii_digit()) => {
            Some(format!("expected --window {wrong}, if that is the window"))
        }
        "run" | "plan" | "status" if wrong.ends_with(".toml") => {
            Some("expected one job: call the command once for each".to_owned())
        }
        "query" if !wrong.starts_with('-') => Some(
            "expected the SQL as one argument in quotes, such as \"SELECT count(*) FROM logs\""
                .to_owned(),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_name_what_is_expected() {
        for (wrong, arguments, expected) in [
            (
                "export",
                &["logtally", "run", "a.toml", "--force", "export"][..],
                "--force=export",
            ),
            (
                "2026-11-21",
                &["logtally", "plan", "a.toml", "2026-11-21"],
                "--window 2026-11-21",
            ),
            (
                "--date",
                &["logtally", "run", "a.toml", "--date", "x"],
                "expected --window",
            ),
            (
                "count(*)",
                &["logtally", "query", "x", "SELECT", "count(*)"],
                "in quotes",
            ),
            (
                "b.toml",
                &["logtally", "run", "a.toml", "b.toml"],
                "one job",
            ),
        ] {
            let hint = hint(wrong, arguments).unwrap();
            assert!(hint.contains(expected), "{hint}");
        }
        assert_eq!(hint("--nope", &["logtally", "run", "--nope"]), None);
    }
}
