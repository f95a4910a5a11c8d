//! Rows below each other, with a line for each column: for answers of more columns than a terminal has room for, and for
//! values of several lines, which are shown whole.

use unicode_width::UnicodeWidthStr;

use super::cell::{cell, lines};
use super::style::Style;
use super::texts::NULL;

/// The columns of the rule above each row, where no terminal says how wide it is.
const RULE: usize = 40;

/// Writes rows as lines.
pub struct Vertical {
    /// Each column's name, padded to the widest.
    names: Vec<String>,
    widest: usize,
    /// The columns of the terminal.
    columns: Option<usize>,
    style: Style,
    rows: u64,
}

impl Vertical {
    /// Rows of columns with these names, in lines of at most `columns`.
    pub fn new(names: &[String], columns: Option<usize>, style: Style) -> Self {
        // A third of the line for the names, so that the values have the most of it.
        let most = columns.map_or(usize::MAX, |columns| (columns / 3).max(1));
        let names: Vec<String> = names.iter().map(|name| cell(name, most)).collect();
        let widest = names.iter().map(|name| name.width()).max().unwrap_or(0);
        let pad = |name: String| {
            let pad = " ".repeat(widest - name.width());
            name + &pad
        };
        Self {
            names: names.into_iter().map(pad).collect(),
            widest,
            columns,
            style,
            rows: 0,
        }
    }

    /// Adds a row, of a value for each column.
    pub fn append(&mut self, values: &[Option<String>], out: &mut String) {
        self.rows += 1;
        let heading = format!("-[ RECORD {} ]", self.rows);
        let rule = "-".repeat(self.columns.unwrap_or(RULE).saturating_sub(heading.len()));
        *out += &self.style.dim(&cell(
            &(heading + &rule),
            self.columns.unwrap_or(usize::MAX),
        ));
        out.push('\n');
        let room = self.columns.map_or(usize::MAX, |columns| {
            columns.saturating_sub(self.widest + 3).max(1)
        });
        for (name, value) in self.names.iter().zip(values) {
            let text = value.as_deref().unwrap_or(NULL);
            for (number, line) in lines(text, room).into_iter().enumerate() {
                let name = match number {
                    0 => self.style.heading(name),
                    _ => " ".repeat(self.widest),
                };
                let bar = self.style.dim("|");
                let line = match value {
                    None => self.style.dim(&line),
                    Some(value) => self.style.value(value, &line),
                };
                *out += format!("{name} {bar} {line}").trim_end();
                out.push('\n');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_column_has_a_line_that_fits_and_values_are_whole() {
        let names: Vec<String> = (0..20).map(|n| format!("column_{n}")).collect();
        let text = "주문 ".repeat(30);
        let mut values = vec![Some(text.clone()), None];
        values.extend((2..20).map(|n| Some(n.to_string())));
        let mut vertical = Vertical::new(&names, Some(40), Style::default());
        let mut drawn = String::new();
        vertical.append(&values, &mut drawn);
        vertical.append(&values, &mut drawn);
        assert!(drawn.lines().all(|line| line.width() <= 40), "{drawn}");
        assert_eq!(drawn.matches('주').count(), 2 * 30, "{drawn}");
        assert!(drawn.contains("\n-[ RECORD 2 ]---"), "{drawn}");
        assert!(drawn.contains("\ncolumn_1  | NULL\n"), "{drawn}");
        assert!(drawn.ends_with("column_19 | 19\n"), "{drawn}");
    }

    #[test]
    fn a_stack_trace_has_all_its_lines() {
        let names = ["message".to_owned()];
        let mut drawn = String::new();
        let trace = "Error: no\n\tat a (b.js:1)\n".to_owned();
        Vertical::new(&names, None, Style::default()).append(&[Some(trace)], &mut drawn);
        assert_eq!(
            drawn,
            "-[ RECORD 1 ]---------------------------\nmessage | Error: no\n        |     at a (b.js:1)\n        |\n"
        );
    }
}
