//! The habits of other engines: what to write here instead of their functions and types.

/// Why a query can't name a file, and what can.
pub(super) const NO_FILES: &str = "a query reads the tables of its job or location, and no files; `logtally query FOLDER` reads exported objects below a folder or an s3:// prefix";

/// Functions that need OVER.
const OF_WINDOWS: [&str; 11] = [
    "row_number",
    "rank",
    "dense_rank",
    "percent_rank",
    "cume_dist",
    "ntile",
    "lag",
    "lead",
    "first_value",
    "last_value",
    "nth_value",
];

/// What to write instead of a function that does not exist.
pub(super) fn for_function(name: &str) -> Option<String> {
    let name = name.to_lowercase();
    if OF_WINDOWS.contains(&&*name) {
        return Some(format!(
            "{name} needs a window: {name}(…) OVER (PARTITION BY log_stream ORDER BY timestamp)"
        ));
    }
    find(include_str!("functions.txt"), &name).map(str::to_owned)
}

/// What to write instead of a type that does not exist.
pub(super) fn for_type(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    let bare = name.split(['(', '<']).next().unwrap_or(&name).trim();
    find(include_str!("types.txt"), bare)
}

/// The indented line behind the names of which `name` is one.
fn find(table: &'static str, name: &str) -> Option<&'static str> {
    let mut is_found = false;
    let lines = table.lines();
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix("    ") {
            Some(instead) if is_found => return Some(instead),
            Some(_) => {}
            None => is_found |= line.split(' ').any(|it| it == name),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::query::Engine;

    #[test]
    fn each_habit_is_of_a_function_that_does_not_exist_and_named_once() {
        let engine = Engine::new(1 << 26, &std::env::temp_dir()).unwrap();
        let session = engine.session(chrono_tz::UTC).unwrap();
        let state = session.context.state();
        let lines = include_str!("functions.txt").lines();
        let lines = lines.filter(|line| !line.starts_with(['#', ' ']));
        let mut names = HashSet::new();
        for name in lines.flat_map(str::split_whitespace) {
            assert!(names.insert(name), "{name} twice");
            let is_here = state.scalar_functions().contains_key(name)
                || state.aggregate_functions().contains_key(name)
                || state.window_functions().contains_key(name);
            assert!(!is_here, "{name} is a function here");
            assert!(for_function(name).is_some(), "{name} has no hint");
        }
        assert!(names.len() > 60);
    }

    #[test]
    fn names_are_found_whole() {
        assert_eq!(for_function("MOD").as_deref(), Some("write a % b"));
        assert_eq!(for_function("mo"), None);
        assert_eq!(for_function(""), None);
        assert_eq!(for_type("INT64"), Some("write bigint"));
        assert_eq!(for_type("enum(1)"), Some("write text"));
        assert_eq!(for_type("nope"), None);
    }
}
