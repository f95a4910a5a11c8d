//! An answer as a table: columns that line up, in lines that fit the terminal.

use unicode_width::UnicodeWidthStr;

use super::cell::cell;
use super::style::Style;
use super::texts::{Kind, NULL};

/// The widest cell of a table that no terminal shows, in columns of a terminal.
const WIDEST_CELL: usize = 120;

/// A column of text has this many columns of the terminal however narrow that is, if its values have them.
const NARROWEST_TEXT: usize = 16;

/// A name of a column of numbers or times has this many.
const NARROWEST_NAME: usize = 10;

/// The rows of an answer, until their widths are known.
pub struct Table {
    columns: Vec<Column>,
    rows: usize,
    /// The columns of the terminal.
    screen: Option<usize>,
}

struct Column {
    name: String,
    kind: Kind,
    cells: Vec<Option<String>>,
    /// The widest cell.
    widest: usize,
}

impl Table {
    /// A table without rows, for a terminal of a width or for none.
    pub fn new(names: &[String], kinds: &[Kind], screen: Option<usize>) -> Self {
        let widest = screen.unwrap_or(WIDEST_CELL);
        let columns = names.iter().zip(kinds).map(|(name, kind)| Column {
            name: cell(name, widest),
            kind: *kind,
            cells: Vec::new(),
            widest: 0,
        });
        Self {
            columns: columns.collect(),
            rows: 0,
            screen,
        }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Leaves out all rows but the first.
    pub fn truncate(&mut self, rows: usize) {
        self.rows = self.rows.min(rows);
    }

    /// Adds a row, of a value for each column.
    pub fn append(&mut self, values: &[Option<String>]) {
        let most = self.screen.unwrap_or(WIDEST_CELL);
        self.rows += 1;
        for (column, value) in self.columns.iter_mut().zip(values) {
            let text = value.as_ref().map(|text| match column.kind {
                Kind::Text => cell(text, most),
                // Of any length, as the column is never cut.
                Kind::Number | Kind::Whole => cell(text, usize::MAX),
            });
            let width = text.as_deref().unwrap_or(NULL).width();
            column.widest = column.widest.max(width);
            column.cells.push(text);
        }
    }

    /// Whether each line fits the terminal if only texts are cut, and not to less than can be read.
    pub fn fits(&self) -> bool {
        self.widths().is_some()
    }

    /// The table as lines. If the terminal is too narrow for it, its lines are wider.
    pub fn text(&self, style: Style) -> String {
        let widths = self
            .widths()
            .unwrap_or_else(|| self.columns.iter().map(Column::least).collect());
        let rule = widths.iter().map(|width| "-".repeat(width + 2));
        let rule = style.dim(&format!("+{}+", rule.collect::<Vec<_>>().join("+"))) + "\n";
        let bar = style.dim("|");
        let columns = || self.columns.iter().zip(&widths);
        let mut out = rule.clone();
        for (column, width) in columns() {
            let name = column.aligned(&cell(&column.name, *width), *width);
            out += &format!("{bar} {} ", style.heading(&name));
        }
        out += &format!("{bar}\n{rule}");
        for row in 0..self.rows {
            for (column, width) in columns() {
                out += &format!("{bar} {} ", column.shown(row, *width, style));
            }
            out += &format!("{bar}\n");
        }
        out + &rule
    }

    /// The width of each column, so that a line fits the terminal: the widest texts give way first. `None` if there are too
    /// many columns for that.
    fn widths(&self) -> Option<Vec<usize>> {
        let natural: Vec<usize> = self.columns.iter().map(Column::natural).collect();
        let Some(screen) = self.screen else {
            return Some(natural);
        };
        // A border and a space at either side of a cell.
        let room = screen.saturating_sub(3 * natural.len() + 1);
        let widths = |most: usize| {
            let columns = self.columns.iter().zip(&natural);
            columns
                .map(|(column, natural)| most.clamp(column.least(), *natural))
                .collect::<Vec<_>>()
        };
        let fits = |most: &usize| widths(*most).iter().sum::<usize>() <= room;
        let most = (NARROWEST_NAME..=screen).rev().find(fits)?;
        Some(widths(most))
    }
}

impl Column {
    /// Its width where there is room for all of it.
    fn natural(&self) -> usize {
        self.widest.max(self.name.width())
    }

    /// The least width that shows all that is never cut: numbers and times, and of texts and names so much as can be read.
    fn least(&self) -> usize {
        match self.kind {
            Kind::Text => self.natural().min(NARROWEST_TEXT),
            Kind::Number | Kind::Whole => self.widest.max(self.natural().min(NARROWEST_NAME)),
        }
    }

    /// The value of a row in the width of the column.
    fn shown(&self, row: usize, width: usize, style: Style) -> String {
        match self.cells.get(row).and_then(Option::as_deref) {
            None => style.dim(&self.aligned(NULL, width)),
            Some(value) => style.value(value, &self.aligned(&cell(value, width), width)),
        }
    }

    fn aligned(&self, text: &str, width: usize) -> String {
        let pad = " ".repeat(width.saturating_sub(text.width()));
        match self.kind {
            Kind::Number => pad + text,
            Kind::Whole | Kind::Text => text.to_owned() + &pad,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "2026-11-21T09:00:00+09:00";

    fn table(screen: Option<usize>) -> Table {
        let names = ["timestamp", "level", "message", "count(DISTINCT request)"];
        let names = names.map(str::to_owned);
        let kinds = [Kind::Whole, Kind::Text, Kind::Text, Kind::Number];
        let mut table = Table::new(&names, &kinds, screen);
        let row = [
            TIME,
            "ERROR",
            "결제 승인 failed for the third time today",
            "1204",
        ];
        table.append(&row.map(|text| Some(text.to_owned())));
        table.append(&[
            Some(TIME.to_owned()),
            None,
            Some("ok".to_owned()),
            Some("7".to_owned()),
        ]);
        table
    }

    #[test]
    fn each_column_has_its_own_width() {
        assert_eq!(
            table(None).text(Style::default()),
            "\
+---------------------------+-------+-------------------------------------------+-------------------------+
| timestamp                 | level | message                                   | count(DISTINCT request) |
+---------------------------+-------+-------------------------------------------+-------------------------+
| 2026-11-21T09:00:00+09:00 | ERROR | 결제 승인 failed for the third time today |                    1204 |
| 2026-11-21T09:00:00+09:00 | NULL  | ok                                        |                       7 |
+---------------------------+-------+-------------------------------------------+-------------------------+
"
        );
    }

    #[test]
    fn only_the_widest_texts_give_way_and_times_and_numbers_stay_whole() {
        for screen in 69..=110 {
            let table = table(Some(screen));
            let drawn = table.text(Style::default());
            assert!(table.fits(), "{screen}");
            for line in drawn.lines() {
                assert!(line.width() <= screen, "{screen}:\n{drawn}");
            }
            for whole in [TIME, "ERROR", " 1204 |"] {
                assert!(drawn.contains(whole), "{screen}:\n{drawn}");
            }
        }
        let narrow = table(Some(69)).text(Style::default());
        assert!(narrow.contains("| 결제 승인 faile… | "), "{narrow}");
        assert!(narrow.contains("| count(DIS… |"), "{narrow}");
        assert!(!table(Some(68)).fits());
    }

    #[test]
    fn colours_take_no_room() {
        let plain = table(Some(80)).text(Style::default());
        let coloured = table(Some(80)).text(Style { is_on: true });
        assert!(coloured.contains("\u{1b}[31mERROR\u{1b}[0m"), "{coloured}");
        assert!(coloured.contains("\u{1b}[2mNULL "), "{coloured}");
        let mut stripped = String::new();
        for part in coloured.split('\u{1b}') {
            let end = part.find('m').filter(|_| part.starts_with('['));
            stripped += &part[end.map_or(0, |end| end + 1)..];
        }
        assert_eq!(stripped, plain);
    }
}
