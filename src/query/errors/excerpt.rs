//! The line of SQL that an error is about, with a caret under the place.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::place::Place;

/// How much of a long line is shown, in columns of a terminal, and how much of that before the place.
const WIDEST: (usize, usize) = (100, 60);

/// The line of a place, and the caret in the next; `None` where the SQL has no such line.
pub(super) fn excerpt(sql: &str, place: Place) -> Option<String> {
    let line = sql
        .lines()
        .nth(usize::try_from(place.line).ok()?.checked_sub(1)?)?;
    let before = usize::try_from(place.column).ok()?.saturating_sub(1);
    // A tab or a control character has no width of its own that is known here.
    let shown: Vec<char> = line
        .trim_end()
        .chars()
        .map(|c| match c.is_control() {
            true => ' ',
            false => c,
        })
        .collect();
    if shown.is_empty() {
        return None;
    }
    let before = before.min(shown.len());
    let width = |c: &char| c.width().unwrap_or(0);
    // The start is cut where the place is far behind it, the end where the rest is long.
    let mut start = 0;
    let mut columns: usize = shown[..before].iter().map(width).sum();
    if columns > WIDEST.1 {
        while columns > WIDEST.1 {
            columns -= width(&shown[start]);
            start += 1;
        }
    } else {
        start = shown
            .iter()
            .take_while(|c| c.is_whitespace())
            .count()
            .min(before);
    }
    let head = match start > 0 && !shown[..start].iter().all(|c| c.is_whitespace()) {
        true => "…",
        false => "",
    };
    let mut text = head.to_owned();
    text.extend(&shown[start..before]);
    let caret = " ".repeat(text.width());
    for c in &shown[before..] {
        if text.width() >= WIDEST.0 {
            text.push('…');
            break;
        }
        text.push(*c);
    }
    Some(format!("{text}\n{caret}^"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(sql: &str, line: u64, column: u64) -> String {
        excerpt(sql, Place { line, column }).unwrap_or_default()
    }

    #[test]
    fn the_caret_is_under_the_place() {
        assert_eq!(at("SELECT nope", 1, 8), "SELECT nope\n       ^");
        assert_eq!(at("SELECT 1,\n  nope\nFROM logs", 2, 3), "nope\n^");
        assert_eq!(
            at("SELECT '한글', nope", 1, 14),
            "SELECT '한글', nope\n               ^"
        );
        assert_eq!(at("SELECT\tx", 1, 8), "SELECT x\n       ^");
        assert_eq!(at("SELECT 1 +", 1, 11), "SELECT 1 +\n          ^");
        assert_eq!(at("SELECT", 7, 1), "");
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let sql = format!("SELECT {}nope, {}", "1, ".repeat(200), "2, ".repeat(200));
        let shown = at(&sql, 1, 608);
        let (line, caret) = shown.split_once('\n').unwrap();
        assert!(line.starts_with('…') && line.ends_with('…'), "{shown}");
        assert!(line.width() <= WIDEST.0 + 1, "{shown}");
        assert_eq!(
            line.chars().position(|c| c == 'n'),
            caret.find('^'),
            "{shown}"
        );
    }
}
