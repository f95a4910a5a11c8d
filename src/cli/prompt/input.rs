//! What was typed, line by line, as statements and commands.
//!
//! A statement ends with `;` outside quotes and comments. A command begins with a backslash there, as in psql, and ends with
//! its line. At the start of a statement, a line such as `.tables` is a command too, as in the shells of DuckDB and SQLite,
//! and so are `exit`, `quit` and `help`.

use super::tokens::{Kind, tokens};

/// Words that are commands where they are all of a statement.
const WORDS: [&str; 4] = ["exit", "quit", "help", "?"];

/// A part of the input that can be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A statement, without its semicolon.
    Statement(String),
    /// A command with its arguments.
    Command(String),
}

/// What the input is inside of, which the next prompt shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// Nothing was typed yet.
    Nothing,
    /// A statement without its semicolon.
    Statement,
    /// `'…` or `$$…`.
    Text,
    /// `"…`.
    Name,
    /// `/* …`.
    Comment,
    /// A parenthesis or a bracket.
    Parenthesis,
}

impl Open {
    /// The sign that the prompt has in front of `>`, as in psql.
    pub fn sign(self) -> char {
        match self {
            Self::Nothing => '=',
            Self::Statement => '-',
            Self::Text => '\'',
            Self::Name => '"',
            Self::Comment => '*',
            Self::Parenthesis => '(',
        }
    }

    /// What a text is inside of where it ends.
    pub fn at_end_of(text: &str) -> Self {
        let mut depth = 0_usize;
        let mut open = Self::Nothing;
        for token in tokens(text) {
            match token.kind {
                Kind::Text if token.is_open => return Self::Text,
                Kind::QuotedName if token.is_open => return Self::Name,
                Kind::Comment if token.is_open && token.text.starts_with("/*") => {
                    return Self::Comment;
                }
                Kind::Space | Kind::Comment => continue,
                Kind::Sign if matches!(token.text, "(" | "[") => depth += 1,
                Kind::Sign if matches!(token.text, ")" | "]") => depth = depth.saturating_sub(1),
                _ => {}
            }
            (open, depth) = match token.is(';') {
                true => (Self::Nothing, 0),
                false => (Self::Statement, depth),
            };
        }
        match depth {
            0 => open,
            _ => Self::Parenthesis,
        }
    }
}

/// The lines that were typed and not yet carried out.
#[derive(Debug, Default)]
pub struct Input {
    /// The start of a statement.
    pending: String,
    /// What is behind it and was not looked at.
    unread: String,
    /// Whether statements keep their line, below empty ones: errors in a file name the line of the file.
    is_file: bool,
    /// The lines that were carried out.
    lines: usize,
}

impl Input {
    /// The lines of a file.
    pub fn of_file(text: &str) -> Self {
        let mut input = Self {
            is_file: true,
            ..Self::default()
        };
        input.add(text);
        // The last statement of a file needs no semicolon.
        input.add(";");
        input
    }

    /// Adds lines.
    pub fn add(&mut self, lines: &str) {
        // Editors on Windows write a byte order mark at the start of a file, and `\r` at the end of each line.
        let lines = lines.strip_prefix('\u{feff}').unwrap_or(lines);
        self.unread += &lines.replace("\r\n", "\n");
        self.unread.push('\n');
    }

    /// The next statement or command; `None` where more lines are needed.
    pub fn next(&mut self) -> Option<Step> {
        loop {
            if self.open() == Open::Nothing
                && let Some(command) = self.line_without_backslash()
            {
                return Some(Step::Command(command));
            }
            self.pending.push_str(&self.unread);
            self.unread.clear();
            let stop = tokens(&self.pending)
                .find(|token| token.is(';') || token.is('\\'))
                .map(|token| (token.start, token.is(';')));
            let (at, is_end) = stop?;
            let rest = self.pending.split_off(at);
            if !is_end {
                let (command, unread) = rest.split_once('\n').unwrap_or((&rest, ""));
                self.unread = String::from(unread);
                self.lines += 1;
                return Some(Step::Command(command.trim().to_owned()));
            }
            self.unread = String::from(&rest[1..]);
            if let Some(statement) = self.take_pending() {
                return Some(Step::Statement(statement));
            }
        }
    }

    /// What the next line will be inside of.
    pub fn open(&self) -> Open {
        Open::at_end_of(&self.pending)
    }

    /// The start of a statement that was typed; empty if there is none.
    pub fn pending(&self) -> &str {
        match is_blank(&self.pending) {
            true => "",
            false => self.pending.trim(),
        }
    }

    /// Takes the start of a statement, as if a semicolon stood behind it; `None` where there is none.
    pub fn take_pending(&mut self) -> Option<String> {
        let pending = std::mem::take(&mut self.pending);
        let statement = pending.trim_start();
        let above = self.lines + breaks(&pending[..pending.len() - statement.len()]);
        self.lines += breaks(&pending);
        (!is_blank(statement)).then(|| match self.is_file {
            true => "\n".repeat(above) + statement.trim_end(),
            false => statement.trim_end().to_owned(),
        })
    }

    /// Forgets the start of a statement.
    pub fn drop_pending(&mut self) {
        self.take_pending();
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes the first line if it is a command at the start of a statement.
    fn line_without_backslash(&mut self) -> Option<String> {
        let start = tokens(&self.unread).find(|token| !token.is_blank())?.start;
        let (line, rest) = self.unread[start..].split_once('\n')?;
        let line = line.trim();
        let is_dotted = line
            .strip_prefix('.')
            .is_some_and(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()));
        let word = line.trim_end_matches(';').trim_end().to_lowercase();
        let command = match is_dotted {
            true => line.to_owned(),
            false if WORDS.contains(&word.as_str()) => word,
            false => return None,
        };
        self.lines += breaks(&self.pending) + breaks(&self.unread[..start]) + 1;
        self.unread = rest.to_owned();
        self.pending.clear();
        Some(command)
    }
}

fn breaks(text: &str) -> usize {
    text.matches('\n').count()
}

/// Whether a text has no part of a statement.
fn is_blank(text: &str) -> bool {
    tokens(text).all(|token| token.is_blank())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the lines give, one after the other, and what is left.
    fn steps(lines: &[&str]) -> (Vec<Step>, String) {
        let mut input = Input::default();
        let mut steps = Vec::new();
        for line in lines {
            input.add(line);
            steps.extend(std::iter::from_fn(|| input.next()));
        }
        (steps, input.pending().to_owned())
    }

    fn sql(text: &str) -> Step {
        Step::Statement(text.to_owned())
    }

    fn command(text: &str) -> Step {
        Step::Command(text.to_owned())
    }

    #[test]
    fn statements_end_with_a_semicolon_and_commands_with_their_line() {
        for (lines, expected, left) in [
            (vec!["SELECT 1;"], vec![sql("SELECT 1")], ""),
            (vec!["SELECT", "  1", ";  "], vec![sql("SELECT\n  1")], ""),
            (
                vec!["SELECT 1; SELECT ';' -- ;", "; SELECT"],
                vec![sql("SELECT 1"), sql("SELECT ';' -- ;")],
                "SELECT",
            ),
            (vec![";;", " ; "], vec![], ""),
            (vec!["\\d logs "], vec![command("\\d logs")], ""),
            (
                vec!["SELECT 1", "\\p", "+ 1;"],
                vec![command("\\p"), sql("SELECT 1\n+ 1")],
                "",
            ),
            (vec!["SELECT 1 \\gx"], vec![command("\\gx")], "SELECT 1"),
            (
                vec!["\\timing\nSELECT 1;\n\\x"],
                vec![command("\\timing"), sql("SELECT 1"), command("\\x")],
                "",
            ),
            (
                vec!["SELECT '\\d", ".tables';"],
                vec![sql("SELECT '\\d\n.tables'")],
                "",
            ),
            (vec!["", "-- a\n  .tables"], vec![command(".tables")], ""),
            (
                vec!["SELECT", ".5;", "Exit;"],
                vec![sql("SELECT\n.5"), command("exit")],
                "",
            ),
            (
                vec!["/* a", "exit", "*/ quit"],
                vec![],
                "/* a\nexit\n*/ quit",
            ),
            (vec!["\u{feff}SELECT 1\r\n;"], vec![sql("SELECT 1")], ""),
        ] {
            let (steps, pending) = steps(&lines);
            assert_eq!((steps, pending.as_str()), (expected, left), "{lines:?}");
        }
    }

    #[test]
    fn a_statement_of_a_file_keeps_its_line() {
        let mut input = Input::of_file("-- a\n\n\\x\n SELECT 1;\n.tables\nSELECT\n2");
        let steps: Vec<Step> = std::iter::from_fn(|| input.next()).collect();
        let expected = [
            command("\\x"),
            sql("\n-- a\n\n SELECT 1"),
            command(".tables"),
            sql("\n\n\n\n\nSELECT\n2"),
        ];
        assert_eq!(steps, expected);
    }

    #[test]
    fn the_prompt_shows_what_is_open() {
        for (text, sign) in [
            ("", '='),
            ("SELECT 1;", '='),
            (" -- only a comment", '='),
            ("SELECT 1", '-'),
            ("SELECT 'a", '\''),
            ("SELECT $$a", '\''),
            ("SELECT \"a", '"'),
            ("SELECT /* a", '*'),
            ("SELECT (1", '('),
            ("SELECT [1, (2)", '('),
            ("SELECT (1)", '-'),
            ("SELECT (1; ", '='),
        ] {
            assert_eq!(Open::at_end_of(text).sign(), sign, "{text}");
        }
    }

    proptest! {
        /// Lines give the same statements whether they are typed or pasted.
        #[test]
        fn pasted_lines_are_typed_lines(lines in proptest::collection::vec(r"[a-c1'$;( \\.-]{0,12}", 0..6)) {
            let typed: Vec<&str> = lines.iter().map(String::as_str).collect();
            prop_assert_eq!(steps(&typed), steps(&[&lines.join("\n")]));
        }
    }
}
