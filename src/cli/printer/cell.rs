//! Text as a terminal shows it: nothing in it acts on the terminal, and its width in columns is known.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::chart::text::controls;

/// The columns from one tab stop to the next.
const TAB: usize = 4;

/// A value on one line of at most `widest` columns. Control and format characters are shown by their code: those in a
/// message could move the cursor, colour all that follows, or turn the direction of the text.
pub fn cell(text: &str, widest: usize) -> String {
    let mut cell = String::new();
    let mut width = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let shown = match c {
            '\r' if chars.peek() == Some(&'\n') => continue,
            '\n' => "↵".to_owned(),
            '\t' => " ".to_owned(),
            c if controls(c) => c.escape_unicode().to_string(),
            c => c.to_string(),
        };
        width += shown.width();
        if width > widest {
            while cell.width() >= widest {
                // Marks go with the character that has them: it could be a million, and the cell is measured for each of the others.
                while cell.pop().is_some_and(|last| last.width() == Some(0)) {}
            }
            cell.push('…');
            break;
        }
        cell += &shown;
    }
    cell
}

/// The lines of a value, whole, each in pieces of at most `widest` columns. Control and format characters are shown by
/// their code.
pub fn lines(text: &str, widest: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let (mut piece, mut width) = (String::new(), 0);
        for c in line.chars() {
            let shown = match c {
                '\t' => " ".repeat(TAB - width % TAB),
                c if controls(c) => c.escape_unicode().to_string(),
                c => c.to_string(),
            };
            // The width of what joins the character before it is zero.
            let columns = match c.width() {
                Some(0) => 0,
                _ => shown.width(),
            };
            if width + columns > widest && width > 0 {
                lines.push(std::mem::take(&mut piece));
                width = 0;
            }
            width += columns;
            piece += &shown;
        }
        lines.push(piece);
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cells_are_one_line_and_no_wider_than_they_may_be() {
        for (text, widest, expected) in [
            ("plain", 5, "plain"),
            ("too wide", 5, "too …"),
            ("결제 실패", 6, "결제 …"),
            ("결제실패", 6, "결제…"),
            ("a\tb\r\nc\nd\u{1b}[2J", 20, "a b↵c↵d\\u{1b}[2J"),
            ("user\u{202e}gpj.exe", 20, "user\\u{202e}gpj.exe"),
            ("one\u{2028}two", 20, "one\\u{2028}two"),
            ("a\u{feff}b", 4, "a…"),
            // Joined emoji stay whole.
            ("👩\u{200d}💻", 9, "👩\u{200d}💻"),
            ("", 5, ""),
        ] {
            assert_eq!(cell(text, widest), expected, "{text:?}");
        }
    }

    #[test]
    fn a_million_marks_take_no_time() {
        let text = format!("ab{}cdef", "\u{301}".repeat(1_000_000));
        assert!(cell(&text, 4).ends_with('…'));
        assert_eq!(cell(&text, 2), "a…");
    }

    #[test]
    fn lines_are_whole_and_as_wide_as_they_may_be() {
        for (text, widest, expected) in [
            ("one\r\ntwo", 10, vec!["one", "two"]),
            ("", 10, vec![""]),
            ("\tat f\n\n", 10, vec!["    at f", "", ""]),
            ("결제실패", 5, vec!["결제", "실패"]),
            ("a\u{1b}[31mb", 20, vec!["a\\u{1b}[31mb"]),
            // What is wider than the line has a line of its own.
            ("결", 1, vec!["결"]),
        ] {
            assert_eq!(lines(text, widest), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_acts_on_the_terminal(text in any::<String>(), widest in 10usize..60) {
            let mut shown = lines(&text, widest);
            shown.push(cell(&text, widest));
            prop_assert!(shown.iter().all(|line| !line.chars().any(controls)));
            prop_assert!(cell(&text, widest).width() <= widest);
        }
    }
}
