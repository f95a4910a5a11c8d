//! Lines for eyes: columns that line up, and paragraphs.

use unicode_width::UnicodeWidthStr;

/// The widest line of a text.
const WIDEST: usize = 100;

/// The space between two columns.
const GAP: usize = 2;

/// The narrowest last column that is wrapped beside the others.
const NARROWEST: usize = 24;

/// The width of lines on a terminal of this many columns.
pub fn width(columns: usize) -> usize {
    columns.clamp(40, WIDEST)
}

/// Rows whose columns line up below an indent; the last column is wrapped.
pub fn rows<const N: usize>(rows: &[[String; N]], indent: usize, width: usize) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = cell.width().max(*widest);
        }
    }
    let before: usize = indent
        + widths[..N - 1]
            .iter()
            .map(|width| width + GAP)
            .sum::<usize>();
    let room = width.saturating_sub(before).max(NARROWEST);
    let mut text = String::new();
    for row in rows {
        let mut line = " ".repeat(indent);
        for (cell, widest) in row[..N - 1].iter().zip(widths) {
            line += cell;
            line += &" ".repeat(widest - cell.width() + GAP);
        }
        let mut wrapped = wrap(&row[N - 1], room).into_iter();
        line += &wrapped.next().unwrap_or_default();
        push_line(&mut text, &line);
        for more in wrapped {
            push_line(&mut text, &format!("{}{more}", " ".repeat(before)));
        }
    }
    text
}

/// A paragraph below an indent.
pub fn paragraph(words: &str, indent: usize, width: usize) -> String {
    let mut text = String::new();
    for line in words.lines() {
        for wrapped in wrap(line, width.saturating_sub(indent).max(NARROWEST)) {
            push_line(&mut text, &format!("{}{wrapped}", " ".repeat(indent)));
        }
    }
    text
}

/// Lines as they are, below an indent.
pub fn verbatim(lines: &str, indent: usize) -> String {
    let mut text = String::new();
    for line in lines.lines() {
        push_line(&mut text, &format!("{}{line}", " ".repeat(indent)));
    }
    text
}

fn push_line(text: &mut String, line: &str) {
    text.push_str(line.trim_end());
    text.push('\n');
}

/// Breaks a text between words, so that no line is wider than `room` unless a word is.
fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines
            .last_mut()
            .filter(|line| line.is_empty() || line.width() + 1 + word.width() <= room);
        match line {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_the_last_is_wrapped() {
        let cell = |text: &str| text.to_owned();
        let table = [
            [cell("a"), cell("one two three four five six seven")],
            [cell("단어"), cell("x")],
        ];
        assert_eq!(
            rows(&table, 1, 32),
            " a     one two three four five\n       six seven\n 단어  x\n"
        );
        assert_eq!(
            paragraph("one two three four five six", 2, 20),
            "  one two three four five\n  six\n"
        );
        assert_eq!(verbatim("a\n b", 2), "  a\n   b\n");
    }
}
