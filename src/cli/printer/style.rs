//! Colours on a terminal: levels, headings, NULL.

use std::env::var_os;

/// When answers are coloured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set; CLICOLOR_FORCE=1 colours a pipe too
    #[default]
    Auto,
    /// Also in a pipe or a file
    Always,
    /// Never
    Never,
}

impl Color {
    /// Whether stdout is to be coloured (<https://no-color.org>, <https://bixense.com/clicolors>).
    pub fn is_on(self, stdout_is_terminal: bool) -> bool {
        let is_set = |name| var_os(name).is_some_and(|value| !value.is_empty());
        match self {
            Color::Always => true,
            Color::Never => false,
            Color::Auto if is_set("NO_COLOR") => false,
            Color::Auto
                if var_os("CLICOLOR_FORCE")
                    .is_some_and(|value| value != "0" && !value.is_empty()) =>
            {
                true
            }
            Color::Auto => stdout_is_terminal && var_os("TERM").is_none_or(|term| term != "dumb"),
        }
    }
}

/// How parts of a table are shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// Whether there are colours at all.
    pub is_on: bool,
}

const RESET: &str = "\u{1b}[0m";
const BOLD: &str = "\u{1b}[1m";
const DIM: &str = "\u{1b}[2m";
const RED: &str = "\u{1b}[31m";
const YELLOW: &str = "\u{1b}[33m";
const GREEN: &str = "\u{1b}[32m";

impl Style {
    /// The name of a column.
    pub fn heading(self, text: &str) -> String {
        self.with(BOLD, text)
    }

    /// Frames, and what stands for no value.
    pub fn dim(self, text: &str) -> String {
        self.with(DIM, text)
    }

    /// A value; where it is a level, in the level's colour. `padded` is the value with the spaces around it.
    pub fn value(self, value: &str, padded: &str) -> String {
        match level_colour(value) {
            Some(colour) => self.with(colour, padded),
            None => padded.to_owned(),
        }
    }

    fn with(self, colour: &str, text: &str) -> String {
        match self.is_on {
            true => format!("{colour}{text}{RESET}"),
            false => text.to_owned(),
        }
    }
}

/// The colour of a value that is nothing but the name of a level, in capitals or in small letters.
fn level_colour(value: &str) -> Option<&'static str> {
    const LONGEST: usize = 9;
    let is_one_case = value.chars().all(|c| c.is_ascii_uppercase())
        || value.chars().all(|c| c.is_ascii_lowercase());
    if value.len() > LONGEST || !is_one_case {
        return None;
    }
    Some(match value.to_ascii_uppercase().as_str() {
        "ERROR" | "FATAL" | "CRITICAL" | "PANIC" | "EMERGENCY" | "ALERT" => RED,
        "WARN" | "WARNING" => YELLOW,
        "INFO" | "NOTICE" => GREEN,
        "DEBUG" | "TRACE" => DIM,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_coloured_and_other_words_are_not() {
        let style = Style { is_on: true };
        assert_eq!(style.value("ERROR", "ERROR "), "\u{1b}[31mERROR \u{1b}[0m");
        assert_eq!(style.value("warn", "warn"), "\u{1b}[33mwarn\u{1b}[0m");
        for word in ["", "ERRORS", "Error", "error 7"] {
            assert_eq!(style.value(word, word), word);
        }
        assert_eq!(Style::default().value("ERROR", "ERROR"), "ERROR");
    }
}
