//! `docs/functions.md` is what the functions say of themselves.

use super::{path, read};
use crate::query::{Engine, Function, FunctionKind};

const DOCUMENT: &str = "docs/functions.md";

const HEAD: &str = "# Functions

What SQL functions answer, as `\\df` of the [prompt](prompt.md) and `information_schema.routines` say it too. Those of logtally come first, each with a query and its answer in UTC; [sql.md](sql.md) and [messages.md](messages.md) say more of them. The others are [DataFusion's](https://datafusion.apache.org/user-guide/sql/scalar_functions.html); `\\df NAME` describes each of them.

This page is written by `UPDATE_EXPECTED=1 cargo test --lib documents`.
";

fn described(function: &Function) -> String {
    let mut text = format!(
        "\n### `{}`\n\n{}\n",
        function.syntax.join("`, `"),
        function.answers
    );
    match function.kind {
        FunctionKind::Scalar => {}
        FunctionKind::Aggregate => text += "\nAn aggregate, over the rows of a group.\n",
        FunctionKind::Table => text += "\nA table, behind `FROM`.\n",
        FunctionKind::Window => text += "\nA window function, with `OVER`.\n",
    }
    if !function.arguments.is_empty() {
        text.push('\n');
    }
    for (name, is) in &function.arguments {
        text += &format!("- `{name}`: {is}\n");
    }
    if let Some(example) = &function.example {
        text += &format!("\n```text\n{example}\n```\n");
    }
    text
}

/// A section of the engine's functions: a line for each.
fn listed(section: &str, functions: &[&Function]) -> String {
    let mut text = format!("\n### {section}\n\n| function | answers |\n|---|---|\n");
    for function in functions {
        let answers = function.in_short().replace('|', "\\|");
        text += &format!("| `{}` | {answers} |\n", function.name);
    }
    text
}

fn page(functions: &[Function]) -> String {
    let mut text = HEAD.to_owned();
    let mut section = "";
    for function in functions.iter().filter(|function| function.is_own) {
        if function.section != section {
            section = function.section;
            text += &format!("\n## {section}\n");
        }
        text += &described(function);
    }
    text += "\n## Of the engine\n";
    let engine: Vec<&Function> = functions
        .iter()
        .filter(|function| !function.is_own)
        .collect();
    for group in engine.chunk_by(|one, other| one.section == other.section) {
        text += &listed(group[0].section, group);
    }
    text
}

#[test]
fn the_reference_of_functions_is_current() {
    let engine = Engine::without_disk(64 << 20).expect("an engine needs no disk");
    let session = engine.session(chrono_tz::UTC).expect("UTC is a zone");
    let page = page(&session.functions());
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(path(DOCUMENT), &page).expect("the checkout can be written");
    }
    assert!(
        read(DOCUMENT) == page,
        "{DOCUMENT} is not what the functions say: UPDATE_EXPECTED=1 cargo test --lib documents writes it"
    );
}
