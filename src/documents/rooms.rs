//! The tree of `docs/ARCHITECTURE.md` is that of `src/`, and imports go upwards in it only.

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::{read, sources};

/// Files that stand above and below all rooms: the crate, and these tests.
const OUTSIDE: [&str; 3] = ["lib", "main", "documents"];

/// A file or folder of the tree, as its path from `src/`, and the number of its line.
struct Entry {
    path: String,
    line: usize,
}

/// The files and folders that the tree lists, in its order. Names stand at the beginning of a line. They are relative to the
/// module of the line above that is indented less: below `job.rs`, `spec.rs` is `job/spec.rs`.
fn tree(text: &str) -> Vec<Entry> {
    let is_name = |word: &&str| word.ends_with(".rs") || word.ends_with('/');
    let mut entries = Vec::new();
    let mut modules: Vec<(usize, String)> = Vec::new();
    let lines = text.lines().enumerate();
    let lines = lines.skip_while(|(_, line)| *line != "src/").skip(1);
    for (number, line) in lines.take_while(|(_, line)| !line.starts_with("```")) {
        let indent = line.len() - line.trim_start().len();
        modules.retain(|(above, _)| *above < indent);
        let module = modules.last().map_or("", |(_, path)| path).to_owned();
        let names = line.split_whitespace().take_while(is_name);
        let paths: Vec<String> = names.map(|name| format!("{module}{name}")).collect();
        if let Some(first) = paths.first() {
            let name = first.trim_end_matches(".rs").trim_end_matches('/');
            modules.push((indent, format!("{name}/")));
        }
        entries.extend(paths.into_iter().map(|path| Entry {
            path,
            line: number + 1,
        }));
    }
    entries
}

/// The room of a file: the first part of its path.
fn room(path: &str) -> &str {
    let first = path.split('/').next().unwrap_or(path);
    first.strip_suffix(".rs").unwrap_or(first)
}

#[test]
fn the_tree_lists_the_sources() {
    let files: BTreeSet<String> = sources("src").into_iter().collect();
    let listed = tree(&read("docs/ARCHITECTURE.md"));
    let is_there = |path: &str| match path.strip_suffix('/') {
        None => files.contains(path),
        Some(_) => files.iter().any(|file| file.starts_with(path)),
    };
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for Entry { path, line } in &listed {
        if !is_there(path) {
            wrong.push(format!("line {line} lists src/{path}, which is not there"));
        }
        if !seen.insert(path.as_str()) {
            wrong.push(format!("line {line} lists src/{path} for the second time"));
        }
    }
    let needs_no_line =
        |file: &&String| file.ends_with("/tests.rs") || seen.contains(file.as_str());
    for file in files.iter().filter(|file| !needs_no_line(file)) {
        wrong.push(format!("src/{file} is not listed"));
    }
    assert!(
        wrong.is_empty(),
        "the tree in docs/ARCHITECTURE.md is not that of src/:\n{}",
        wrong.join("\n")
    );
}

/// The paths within the crate that a file names outside its tests, as parts from the crate's root. Paths that begin with
/// `super` or `self` are those of the module `module`.
fn paths(tokens: TokenStream, module: &[&str]) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    collect(tokens, module, &mut found);
    found
}

fn collect(tokens: TokenStream, module: &[&str], found: &mut BTreeSet<Vec<String>>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut rest = &tokens[..];
    while let [first, behind @ ..] = rest {
        rest = behind;
        if let Some(item) = behind_test_attribute(first, behind) {
            rest = behind_item(item);
            continue;
        }
        match first {
            TokenTree::Group(group) => collect(group.stream(), module, found),
            TokenTree::Ident(ident) => {
                let own = || module.iter().map(|part| (*part).to_owned()).collect();
                let start = match ident.to_string().as_str() {
                    "crate" => Vec::new(),
                    "self" => own(),
                    "super" => parent(own()),
                    // The first part of a path alone says where it begins.
                    _ => {
                        rest = behind_path(behind);
                        continue;
                    }
                };
                // `self` may also be the value, and `super` the reach of `pub(super)`.
                if let Some(parts) = behind_colons(behind) {
                    rest = follow(parts, start, found);
                }
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// What follows `#[cfg(test)]`, if that stands here.
fn behind_test_attribute<'a>(
    first: &TokenTree,
    behind: &'a [TokenTree],
) -> Option<&'a [TokenTree]> {
    let (TokenTree::Punct(hash), [TokenTree::Group(attribute), item @ ..]) = (first, behind) else {
        return None;
    };
    let text = attribute.stream().to_string().replace(' ', "");
    (hash.as_char() == '#' && text == "cfg(test)").then_some(item)
}

/// What follows the item that begins here: its braces or its semicolon end it.
fn behind_item(tokens: &[TokenTree]) -> &[TokenTree] {
    let is_end = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(punct) => punct.as_char() == ';',
        _ => false,
    };
    let end = tokens.iter().position(is_end);
    end.map_or(&[], |end| &tokens[end + 1..])
}

fn behind_colons(tokens: &[TokenTree]) -> Option<&[TokenTree]> {
    match tokens {
        [TokenTree::Punct(a), TokenTree::Punct(b), rest @ ..]
            if a.as_char() == ':' && b.as_char() == ':' =>
        {
            Some(rest)
        }
        _ => None,
    }
}

/// What follows the rest of a path of names.
fn behind_path(mut tokens: &[TokenTree]) -> &[TokenTree] {
    while let Some([TokenTree::Ident(_), rest @ ..]) = behind_colons(tokens) {
        tokens = rest;
    }
    tokens
}

fn parent(mut path: Vec<String>) -> Vec<String> {
    path.pop();
    path
}

/// Follows a path part by part, into the groups of a `use` too; answers what stands behind it.
fn follow<'a>(
    mut tokens: &'a [TokenTree],
    mut path: Vec<String>,
    found: &mut BTreeSet<Vec<String>>,
) -> &'a [TokenTree] {
    loop {
        match tokens {
            [TokenTree::Ident(part), rest @ ..] => {
                match part.to_string().as_str() {
                    "super" => path = parent(path),
                    "self" => {}
                    part => path.push(part.to_owned()),
                }
                tokens = rest;
            }
            [TokenTree::Group(group), rest @ ..] => {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                for alternative in inner.split(is_comma) {
                    follow(alternative, path.clone(), found);
                }
                return rest;
            }
            _ => break,
        }
        match behind_colons(tokens) {
            Some(rest) => tokens = rest,
            None => break,
        }
    }
    found.insert(path);
    tokens
}

fn is_comma(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',')
}

#[test]
fn paths_of_every_form_are_found() {
    let source = r#"
        use crate::error::{self, Error, Result as Ended};
        use super::{sibling::Thing, super::window::Window};
        pub(super) fn f(self) -> crate::job::Job { let x = matches!(1, crate::clock::ONE); other::crate_name() }
        // crate::a_comment::Is
        const TEXT: &str = "crate::a_text::Is";
        #[cfg(test)]
        mod tests { use crate::run::Run; }
        #[cfg(test)]
        use crate::fake::Fake;
    "#;
    let tokens: TokenStream = source.parse().expect("it is Rust");
    let found: Vec<String> = paths(tokens, &["scan", "table"])
        .iter()
        .map(|path| path.join("::"))
        .collect();
    assert_eq!(
        found,
        [
            "clock::ONE",
            "error",
            "error::Error",
            "error::Result",
            "job::Job",
            "scan::sibling::Thing",
            "window::Window"
        ]
    );
}

#[test]
fn imports_go_upwards_only() {
    let listed = tree(&read("docs/ARCHITECTURE.md"));
    let mut rooms: Vec<&str> = Vec::new();
    for entry in &listed {
        if !rooms.contains(&room(&entry.path)) {
            rooms.push(room(&entry.path));
        }
    }
    let place = |name: &str| rooms.iter().position(|room| *room == name);
    let mut wrong = Vec::new();
    for file in sources("src") {
        let own = room(&file);
        if OUTSIDE.contains(&own) || file.ends_with("/tests.rs") {
            continue;
        }
        let module: Vec<&str> = file.trim_end_matches(".rs").split('/').collect();
        let text = read(&format!("src/{file}"));
        let tokens: TokenStream = text.parse().expect("the sources are Rust");
        for path in paths(tokens, &module) {
            let Some(name) = path.first() else {
                continue;
            };
            let is_below = match (place(name), place(own)) {
                (Some(imported), Some(own)) => imported > own,
                // What is not listed, the test above says.
                _ => false,
            };
            if is_below {
                wrong.push(format!(
                    "src/{file} names crate::{}, and the room `{name}` stands below `{own}`",
                    path.join("::")
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "a file imports only from rooms above its own in docs/ARCHITECTURE.md, and from its own:\n{}",
        wrong.join("\n")
    );
}
