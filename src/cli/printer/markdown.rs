//! An answer as a table in Markdown (GitHub's), for a page or a ticket.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

use super::encoder::Encoder;
use super::stop::Stop;
use super::texts::{Kind, NULL, Texts, rounded};
use crate::chart::text::controls;

/// Writes rows as lines of a table. Columns do not line up, so that rows can be written as they come.
pub struct Markdown {
    kinds: Vec<Kind>,
}

impl Markdown {
    /// A table of columns of these kinds.
    pub fn new(kinds: Vec<Kind>) -> Self {
        Self { kinds }
    }
}

impl Encoder for Markdown {
    fn begin(&mut self, schema: &Schema, out: &mut Vec<u8>) -> Result<(), Stop> {
        let names = schema.fields().iter().map(|field| escaped(field.name()));
        line(names, out);
        let rules = self.kinds.iter().map(|kind| match kind {
            Kind::Number => "---:".to_owned(),
            _ => "---".to_owned(),
        });
        line(rules, out);
        Ok(())
    }

    fn rows(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Stop> {
        let columns: Vec<_> = batch.columns().iter().map(rounded).collect();
        let texts = columns.iter().map(Texts::new);
        let texts = texts.collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            let mut cells = Vec::with_capacity(texts.len());
            for column in &texts {
                let text = column.text(row)?;
                cells.push(text.map_or_else(|| NULL.to_owned(), |text| escaped(&text)));
            }
            line(cells.into_iter(), out);
        }
        Ok(())
    }
}

fn line(cells: impl Iterator<Item = String>, out: &mut Vec<u8>) {
    out.push(b'|');
    for cell in cells {
        out.extend_from_slice(format!(" {cell} |").as_bytes());
    }
    out.push(b'\n');
}

/// The text in one line, in which nothing is a sign of Markdown or HTML.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        // Within a word it is no sign.
        let is_within = c == '_'
            && before.is_alphanumeric()
            && chars.peek().is_some_and(|next| next.is_alphanumeric());
        before = c;
        match c {
            '_' if is_within => escaped.push(c),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\n' => escaped += "<br>",
            '\t' => escaped.push(' '),
            '<' => escaped += "&lt;",
            '&' => escaped += "&amp;",
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '~' => escaped.extend(['\\', c]),
            c if controls(c) => escaped.extend(c.escape_unicode()),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_one_line_of_plain_text() {
        for (text, expected) in [
            ("a|b", "a\\|b"),
            ("<b>&</b>", "&lt;b>&amp;&lt;/b>"),
            ("one\r\n\ttwo", "one<br> two"),
            ("*x* `y` count_all _z", "\\*x\\* \\`y\\` count_all \\_z"),
            ("\u{1b}[31m", "\\u{1b}\\[31m"),
        ] {
            assert_eq!(escaped(text), expected);
        }
    }
}
