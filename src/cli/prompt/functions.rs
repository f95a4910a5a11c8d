//! `\df`: functions in a list, or described.

use super::layout;
use crate::query::{Function, FunctionKind};

/// More functions than this are listed rather than described.
const MOST_DESCRIBED: usize = 15;

/// What `\df` shows, in lines of `width`; `None` where no function matches the pattern.
pub fn page(functions: &[Function], pattern: Option<&str>, width: usize) -> Option<String> {
    let Some(pattern) = pattern else {
        return Some(list(functions.iter(), width));
    };
    let exact = |function: &&Function| {
        let mut names = std::iter::once(&function.name).chain(&function.aliases);
        names.any(|name| name.eq_ignore_ascii_case(pattern))
    };
    let mut found: Vec<&Function> = functions.iter().filter(exact).collect();
    if found.is_empty() {
        let matches = functions
            .iter()
            .filter(|function| function.matches(pattern));
        found = matches.collect();
    }
    match found.len() {
        0 => None,
        1..=MOST_DESCRIBED => {
            let described: Vec<String> = found.iter().map(|it| described(it, width)).collect();
            Some(described.join("\n"))
        }
        _ => Some(list(found.into_iter(), width)),
    }
}

/// One line for each function, by what they are about.
fn list<'a>(functions: impl Iterator<Item = &'a Function>, width: usize) -> String {
    let mut sections: Vec<(&str, Vec<[String; 2]>)> = Vec::new();
    for function in functions {
        let section = function.section;
        if sections.last().is_none_or(|(last, _)| *last != section) {
            sections.push((section, Vec::new()));
        }
        if let Some((_, rows)) = sections.last_mut() {
            rows.push([function.name.clone(), function.in_short().to_owned()]);
        }
    }
    let mut text = String::new();
    for (section, rows) in sections {
        text += &format!("{section}\n{}\n", layout::rows(&rows, 2, width));
    }
    text + "\\df NAME describes a function, \\df json* those whose names match.\n"
}

fn described(function: &Function, width: usize) -> String {
    let mut text = function.syntax.join("\n") + "\n";
    text += &layout::paragraph(&function.answers, 4, width);
    let kind = match function.kind {
        FunctionKind::Scalar => "",
        FunctionKind::Aggregate => {
            "An aggregate: over the rows of a group, or of a window with OVER."
        }
        FunctionKind::Table => "A table: behind FROM.",
        FunctionKind::Window => "A window function: with OVER (PARTITION BY … ORDER BY …).",
    };
    text += &layout::paragraph(kind, 4, width);
    if !function.aliases.is_empty() {
        let also = format!("Also: {}", function.aliases.join(", "));
        text += &layout::paragraph(&also, 4, width);
    }
    if !function.arguments.is_empty() {
        let arguments: Vec<[String; 2]> = function
            .arguments
            .iter()
            .map(|(name, is)| [name.clone(), is.clone()])
            .collect();
        text += &format!("\n{}", layout::rows(&arguments, 4, width));
    }
    if let Some(example) = &function.example {
        text += &format!("\n{}", layout::verbatim(example, 4));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Engine;

    fn shown(pattern: Option<&str>) -> String {
        let engine = Engine::without_disk(64 << 20).unwrap();
        let session = engine.session(chrono_tz::UTC).unwrap();
        page(&session.functions(), pattern, 80).unwrap_or_default()
    }

    #[test]
    fn a_function_is_described_with_its_example() {
        let text = shown(Some("LEVEL"));
        assert!(
            text.starts_with("level(message)\n    The level that"),
            "{text}"
        );
        assert!(
            text.contains("    message  The text of an event\n"),
            "{text}"
        );
        assert!(text.contains("    > SELECT level("), "{text}");
        assert!(
            text.lines().all(|line| line.chars().count() < 120),
            "{text}"
        );
    }

    #[test]
    fn patterns_find_several_and_none_finds_nothing() {
        let text = shown(Some("json_get_*"));
        assert!(text.contains("\njson_get_float(json, path, …)\n"), "{text}");
        assert!(!text.contains("\ntime_bucket("), "{text}");
        assert_eq!(shown(Some("nope")), "");
        // A list where they are many, those of logtally first.
        let all = shown(None);
        assert!(all.contains("\n  time_bucket "), "{all}");
        let place = |name: &str| all.find(&format!("\n  {name} ")).unwrap();
        assert!(place("level") < place("abs"));
    }
}
