//! SQL in colours, while it is typed.

use super::keywords::is_keyword;
use super::tokens::{Kind, Token, tokens};

const KEYWORD: &str = "1;34";
const TEXT: &str = "32";
const NUMBER: &str = "33";
const FUNCTION: &str = "36";
const PARAMETER: &str = "35";
const COMMENT: &str = "90";

/// A line in colours. `before` is the part of the statement in the lines above it, which decides what is inside quotes.
pub fn highlighted(before: &str, line: &str) -> String {
    if before.trim().is_empty() && line.trim_start().starts_with(['\\', '.']) {
        let (name, rest) = line
            .find(|c: char| c.is_whitespace())
            .map_or((line, ""), |end| line.split_at(end));
        return format!("{}{rest}", in_color(name, KEYWORD));
    }
    let whole = format!("{before}{line}");
    let all: Vec<Token> = tokens(&whole).collect();
    let mut out = String::with_capacity(line.len() * 2);
    for (place, token) in all.iter().enumerate() {
        if token.end() <= before.len() {
            continue;
        }
        let shown = &token.text[before.len().saturating_sub(token.start)..];
        match color(token, all.get(place + 1)) {
            Some(color) => out += &in_color(shown, color),
            None => out += shown,
        }
    }
    out
}

fn color(token: &Token, next: Option<&Token>) -> Option<&'static str> {
    match token.kind {
        Kind::Comment => Some(COMMENT),
        Kind::Text => Some(TEXT),
        Kind::Number => Some(NUMBER),
        Kind::Parameter => Some(PARAMETER),
        Kind::Word if is_keyword(token.text) => Some(KEYWORD),
        Kind::Word if next.is_some_and(|next| next.is('(')) => Some(FUNCTION),
        Kind::Word | Kind::QuotedName | Kind::Space | Kind::Sign => None,
    }
}

/// Each line on its own, so that a colour never reaches into the start of the next.
fn in_color(text: &str, color: &str) -> String {
    let lines = text.split('\n').map(|line| match line {
        "" => String::new(),
        line => format!("\u{1b}[{color}m{line}\u{1b}[0m"),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The text with the colours as `{…}`.
    fn marked(before: &str, line: &str) -> String {
        let mut text = highlighted(before, line).replace("\u{1b}[0m", "}");
        for (code, name) in [
            (KEYWORD, "k"),
            (TEXT, "t"),
            (NUMBER, "n"),
            (FUNCTION, "f"),
            (PARAMETER, "p"),
            (COMMENT, "c"),
        ] {
            text = text.replace(&format!("\u{1b}[{code}m"), &format!("{name}{{"));
        }
        text
    }

    #[test]
    fn each_kind_of_token_has_its_color() {
        assert_eq!(
            marked("", "select count(*), 'a', 1.5 from logs -- all"),
            "k{select} f{count}(*), t{'a'}, n{1.5} k{from} logs c{-- all}"
        );
        assert_eq!(marked("", "$window_start"), "p{$window_start}");
        assert_eq!(marked("", r"\d logs"), r"k{\d} logs");
        // What a line above has opened goes on.
        assert_eq!(marked("SELECT 'a\n", "b', 1"), "t{b'}, n{1}");
        assert_eq!(marked("", "'a\nb'"), "t{'a}\nt{b'}");
    }

    proptest! {
        #[test]
        fn without_its_colors_a_line_is_what_was_typed(
            before in r"[a-z'/*\n ]{0,10}", line in r"[a-z0-9'$/*()\x22\\.\n 가-]{0,30}"
        ) {
            let mut plain = highlighted(&before, &line);
            for color in [KEYWORD, TEXT, NUMBER, FUNCTION, PARAMETER, COMMENT, "0"] {
                plain = plain.replace(&format!("\u{1b}[{color}m"), "");
            }
            prop_assert_eq!(plain, line);
        }
    }
}
