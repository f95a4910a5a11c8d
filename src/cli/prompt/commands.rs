//! The commands of the prompt: their names, those of psql, DuckDB and SQLite that mean the same, and their arguments.

use std::path::PathBuf;

use crate::cli::printer::Expanded;
use crate::cli::query::Drawing;

/// What a command does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Lists the tables whose names match a pattern.
    Tables(Option<String>),
    /// Shows the columns of a table.
    Describe(String),
    /// Lists functions, or describes those whose names match.
    Functions(Option<String>),
    /// Shows times, or not; the other of both where unset.
    Timing(Option<bool>),
    /// Shows each column on a line of its own.
    Expanded(Option<Expanded>),
    /// Sets or shows the format of answers.
    Format(Option<String>),
    /// Draws the statement that was begun, or else the last answer.
    Chart {
        /// As what.
        drawing: Drawing,
        /// A file for the picture.
        file: Option<PathBuf>,
    },
    /// Writes the next answer to a file; on the screen where unset.
    Output(Option<PathBuf>),
    /// Carries out a file of statements and commands.
    Include(PathBuf),
    /// Opens other windows; shows the open ones where unset.
    Window(Option<String>),
    /// Opens an editor for the statement that was begun, or else the last one.
    Edit(Option<PathBuf>),
    /// Shows the statement that was begun, or else the last one.
    Print,
    /// Forgets the statement that was begun.
    Reset,
    /// Runs the statement that was begun.
    Go {
        /// With each column on a line of its own.
        expanded: bool,
        /// A file for the answer.
        file: Option<PathBuf>,
    },
    /// Prints a text.
    Echo(String),
    /// Shows the commands.
    Help,
    /// Ends the prompt.
    Quit,
}

/// A command in the help.
pub struct Entry {
    /// Its name with the backslash.
    pub name: &'static str,
    /// Its arguments.
    pub arguments: &'static str,
    /// What it does, in one line.
    pub does: &'static str,
}

const fn entry(name: &'static str, arguments: &'static str, does: &'static str) -> Entry {
    Entry {
        name,
        arguments,
        does,
    }
}

/// Every command, in the order of the help.
pub const COMMANDS: [Entry; 20] = [
    entry(r"\d", "", "list the tables"),
    entry(r"\d", "TABLE", "list the columns of a table"),
    entry(
        r"\df",
        "[PATTERN]",
        "list the functions; with a pattern such as json*, describe them",
    ),
    entry(
        r"\window",
        "[ID|last|all]",
        "ask other windows; without an argument, show which are open",
    ),
    entry(
        r"\x",
        "[on|off|auto]",
        "show each column on a line of its own",
    ),
    entry(
        r"\format",
        "[FORMAT]",
        "show answers as table, csv, json, markdown, …",
    ),
    entry(r"\timing", "[on|off]", "show how long each query took"),
    entry(
        r"\chart",
        "KIND [FILE]",
        "draw the last answer as bar, line, stacked-bar or heatmap",
    ),
    entry(
        r"\o",
        "[FILE]",
        "write the next answer to a file, in the format of its name",
    ),
    entry(
        r"\g",
        "[FILE]",
        "run the query, as ; does; with a file, write its answer there",
    ),
    entry(
        r"\gx",
        "",
        "run the query, with each column on a line of its own",
    ),
    entry(
        r"\e",
        "[FILE]",
        "edit the query, or a file, in $VISUAL or $EDITOR, and run it",
    ),
    entry(r"\i", "FILE", "run the queries and commands of a file"),
    entry(r"\p", "", "show the query that was begun, or the last one"),
    entry(r"\r", "", "forget the query that was begun"),
    entry(r"\echo", "TEXT", "print a text"),
    entry(r"\?", "", "show this help"),
    entry(r"\h", "", "the same"),
    entry(r"\q", "", "leave; also exit, quit and Ctrl-D"),
    entry("Ctrl-C", "", "stop the running query, or clear the line"),
];

/// Why there is no such command, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub hint: String,
}

impl Refused {
    fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            hint: hint.into(),
        }
    }
}

/// Commands of psql, DuckDB and SQLite that do nothing here, and what to write instead.
const HABITS: [(&[&str], &str); 10] = [
    (
        &[
            r"\l",
            r"\c",
            r"\connect",
            ".open",
            ".databases",
            r"\dn",
            r"\conninfo",
        ],
        r"the tables are those of the job or location that logtally query names; \d lists them, \window opens other windows",
    ),
    (
        &[r"\copy", ".import", ".export", ".dump", ".backup", ".save"],
        r"\g FILE or \o FILE writes an answer to a file",
    ),
    (
        &[
            r"\set",
            r"\prompt",
            ".param",
            ".parameter",
            r"\unset",
            r"\bind",
        ],
        "logtally query JOB -p name=value gives a parameter its value",
    ),
    (
        &[r"\!", ".shell", ".system", r"\cd", ".cd"],
        "Ctrl-Z goes back to the shell, and fg comes back",
    ),
    (
        &[
            r"\di", r"\ds", r"\du", r"\dg", r"\dp", r"\dx", r"\do", r"\dC", r"\sf", ".indexes",
        ],
        r"\d lists the tables and \df the functions",
    ),
    (
        &[r"\s", ".history"],
        "Ctrl-R searches the history, and the arrow keys walk through it",
    ),
    (
        &[r"\watch", r"\gexec", r"\gset", r"\gdesc", r"\crosstabview"],
        r"\g runs the query",
    ),
    (
        &[r"\pset", r"\a", r"\t", r"\H", r"\C", r"\f", r"\T"],
        r"\format csv, \format markdown and so on choose how answers are shown, \x on shows each column on a line of its own",
    ),
    (
        &[
            ".headers",
            ".header",
            ".width",
            ".maxrows",
            ".maxwidth",
            ".nullvalue",
            ".separator",
            ".columns",
            ".rows",
        ],
        r"\format csv, \format markdown and so on choose how answers are shown, \x on shows each column on a line of its own",
    ),
    (&[".clear", r"\clear"], "Ctrl-L clears the screen"),
];

/// Understands a command. An error says what was expected.
pub fn parse(text: &str) -> Result<Command, Refused> {
    let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    // A command may end with a semicolon, by habit.
    let rest = rest.trim().trim_end_matches(';').trim_end();
    let name = name.trim_end_matches(';');
    let argument = (!rest.is_empty()).then(|| unquoted(rest));
    let file = argument.as_deref().map(path);
    Ok(match name {
        r"\d" | r"\d+" | r"\dt" | r"\dt+" | r"\dv" | r"\dv+" | ".tables" | ".schema" | ".desc" => {
            match argument {
                Some(table) if is_pattern(&table) || name.starts_with(r"\dt") => {
                    Command::Tables(Some(table))
                }
                Some(table) if name != ".tables" => Command::Describe(table),
                pattern => Command::Tables(pattern),
            }
        }
        r"\df" | r"\df+" | r"\da" | ".functions" => Command::Functions(argument),
        r"\timing" | ".timer" => Command::Timing(switch(name, argument.as_deref())?),
        r"\x" => Command::Expanded(expanded(argument.as_deref())?),
        r"\format" | ".mode" => Command::Format(argument),
        r"\chart" => chart(rest)?,
        r"\o" | r"\out" | ".output" | ".once" => Command::Output(file),
        r"\i" | r"\ir" | r"\include" | ".read" => match file {
            Some(file) => Command::Include(file),
            None => return Err(needs(name, "the name of a file of SQL")),
        },
        r"\window" => Command::Window(argument),
        r"\e" | r"\edit" | ".edit" => Command::Edit(file),
        r"\p" | r"\print" => Command::Print,
        r"\r" | r"\reset" => Command::Reset,
        r"\g" => Command::Go {
            expanded: false,
            file,
        },
        r"\gx" | r"\G" => Command::Go {
            expanded: true,
            file,
        },
        r"\echo" | r"\qecho" | ".print" => Command::Echo(argument.unwrap_or_default()),
        r"\?" | r"\h" | r"\help" | "?" | ".help" | ".h" | "help" => Command::Help,
        r"\q" | r"\quit" | ".quit" | ".exit" | ".q" | "exit" | "quit" => Command::Quit,
        other => return Err(unknown(other)),
    })
}

/// Whether a text is a pattern of names and not a name.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '%'])
}

fn needs(name: &str, what: &str) -> Refused {
    Refused::new(
        format!("{name} has no argument: expected {what}"),
        r"\? lists the commands",
    )
}

fn switch(name: &str, argument: Option<&str>) -> Result<Option<bool>, Refused> {
    match argument {
        None => Ok(None),
        Some("on" | "1" | "true") => Ok(Some(true)),
        Some("off" | "0" | "false") => Ok(Some(false)),
        Some(other) => Err(Refused::new(
            format!("{name} {other}: expected on or off"),
            format!("{name} alone changes between the two"),
        )),
    }
}

fn expanded(argument: Option<&str>) -> Result<Option<Expanded>, Refused> {
    match argument {
        None => Ok(None),
        Some("on" | "1") => Ok(Some(Expanded::On)),
        Some("off" | "0") => Ok(Some(Expanded::Off)),
        Some("auto") => Ok(Some(Expanded::Auto)),
        Some(other) => Err(Refused::new(
            format!(r"\x {other}: expected on, off or auto"),
            r"\x alone changes between on and auto",
        )),
    }
}

fn chart(arguments: &str) -> Result<Command, Refused> {
    let (kind, file) = arguments
        .split_once(char::is_whitespace)
        .unwrap_or((arguments, ""));
    let drawing = match kind {
        "bar" | "stacked-bar" => Drawing::Bar,
        "line" => Drawing::Line,
        "heatmap" => Drawing::Heatmap,
        other => {
            let what = match other {
                "" => r"\chart has no kind".to_owned(),
                other => format!(r"\chart {other} is no kind of chart"),
            };
            return Err(Refused::new(
                format!("{what}: expected bar, line, stacked-bar or heatmap"),
                r"such as \chart bar, or \chart line errors.png for a picture",
            ));
        }
    };
    let file = file.trim();
    Ok(Command::Chart {
        drawing,
        file: (!file.is_empty()).then(|| path(&unquoted(file))),
    })
}

fn unknown(name: &str) -> Refused {
    let habit = HABITS.iter().find(|(names, _)| names.contains(&name));
    if let Some((_, hint)) = habit {
        return Refused::new(format!("{name} is no command of this prompt"), *hint);
    }
    let near = COMMANDS
        .iter()
        .filter(|entry| entry.name.len() > 2)
        .find(|entry| strsim::damerau_levenshtein(entry.name, name) == 1);
    let hint = match near {
        Some(entry) => format!(r"did you mean {}? \? lists the commands", entry.name),
        None => r"\? lists the commands".to_owned(),
    };
    Refused::new(format!("{name} is no command"), hint)
}

/// An argument without the quotes around it.
fn unquoted(text: &str) -> String {
    for quote in ['\'', '"'] {
        let inner = text
            .strip_prefix(quote)
            .and_then(|text| text.strip_suffix(quote));
        if let Some(inner) = inner {
            return inner.to_owned();
        }
    }
    text.to_owned()
}

/// A path, whose `~` is the home folder.
fn path(text: &str) -> PathBuf {
    match (text.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_their_arguments_are_understood() {
        let tables = |pattern: &str| Command::Tables(Some(pattern.to_owned()));
        for (text, expected) in [
            (r"\d", Command::Tables(None)),
            (r"\d;", Command::Tables(None)),
            (r"\dt", Command::Tables(None)),
            (".tables", Command::Tables(None)),
            (r"\d hour*", tables("hour*")),
            (".tables h%", tables("h%")),
            (r"\d+ logs;", Command::Describe("logs".to_owned())),
            (".schema logs", Command::Describe("logs".to_owned())),
            (
                r"\df  json*  ",
                Command::Functions(Some("json*".to_owned())),
            ),
            (r"\timing", Command::Timing(None)),
            (".timer on", Command::Timing(Some(true))),
            (r"\x auto", Command::Expanded(Some(Expanded::Auto))),
            (
                r"\chart stacked-bar",
                Command::Chart {
                    drawing: Drawing::Bar,
                    file: None,
                },
            ),
            (
                r"\chart line 'a b.png'",
                Command::Chart {
                    drawing: Drawing::Line,
                    file: Some("a b.png".into()),
                },
            ),
            (r"\o a.csv", Command::Output(Some("a.csv".into()))),
            (r"\o", Command::Output(None)),
            (
                r"\i my queries.sql",
                Command::Include("my queries.sql".into()),
            ),
            (
                r"\window 2026-11-21",
                Command::Window(Some("2026-11-21".to_owned())),
            ),
            (
                r"\gx",
                Command::Go {
                    expanded: true,
                    file: None,
                },
            ),
            (
                r"\G",
                Command::Go {
                    expanded: true,
                    file: None,
                },
            ),
            ("exit", Command::Quit),
            ("?", Command::Help),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_command_has_a_hint() {
        for (text, what, hint) in [
            (r"\l", r"\l is no command of this prompt", r"\window"),
            (".maxrows 10", "no command of this prompt", r"\format"),
            (r"\timin", r"\timin is no command", r"did you mean \timing?"),
            (r"\zzz", r"\zzz is no command", r"\? lists"),
            (r"\x maybe", "expected on, off or auto", "alone"),
            (r"\timing maybe", "expected on or off", "alone"),
            (
                r"\chart pie",
                r"\chart pie is no kind of chart: expected bar, line",
                ".png",
            ),
            (r"\chart", r"\chart has no kind", "bar"),
            (r"\i", "expected the name of a file", r"\?"),
        ] {
            let refused = parse(text).unwrap_err();
            assert!(refused.what.contains(what), "{refused:?}");
            assert!(refused.hint.contains(hint), "{refused:?}");
        }
    }

    #[test]
    fn every_command_of_the_help_is_one() {
        for entry in COMMANDS.iter().filter(|entry| entry.name.starts_with('\\')) {
            let argument = match entry.name {
                r"\chart" => "bar",
                r"\x" | r"\timing" => "on",
                _ => "logs",
            };
            assert!(
                parse(&format!("{} {argument}", entry.name)).is_ok(),
                "{}",
                entry.name
            );
        }
        for name in HABITS.iter().flat_map(|(names, _)| *names) {
            let refused = parse(name).unwrap_err();
            assert!(refused.what.contains("of this prompt"), "{refused:?}");
        }
    }
}
