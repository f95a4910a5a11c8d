//! The header of a file of the library: comments that say what its query answers.
//!
//! ```sql
//! -- The slowest requests of Lambda functions.
//! --
//! -- columns:
//! --   function       the function
//! --   duration_ms    how long it ran, in milliseconds,
//! --                  without its cold start
//! -- parameters:
//! --   least = 1000   the fewest milliseconds
//! -- chart:
//! --   kind = "bar"
//! --   x = "function"
//! --   y = "duration_ms"
//! ```
//!
//! The first paragraph is the summary. A description begins behind two spaces or more, and continues on lines that are
//! indented further than the names. A parameter without a default has to be given. The chart has the keys of `[[query.chart]]`.

/// What the header of a query says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    /// What it answers, in a sentence.
    pub summary: String,
    /// The columns of its answer, in their order.
    pub columns: Vec<Described>,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
    /// The keys of its chart, as TOML.
    pub chart: Option<String>,
}

/// A name and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The name.
    pub name: String,
    /// What it is, with its unit.
    pub about: String,
}

/// A parameter of a query, `$NAME` in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// The name, without the dollar sign.
    pub name: String,
    /// Its value where a caller gives none, as it would be given; `None` where a caller has to give one.
    pub default: Option<String>,
    /// What it is, with its unit.
    pub about: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Summary,
    Notes,
    Columns,
    Parameters,
    Chart,
}

/// The lines of the summary, and the query behind the header.
pub(super) fn split(sql: &str) -> (&str, &str) {
    let is_comment = |line: &&str| line.starts_with("--");
    let is_of_summary = |line: &&str| {
        let text = line.trim_start_matches('-').trim();
        is_comment(line) && !matches!(text, "" | "columns:" | "parameters:" | "chart:")
    };
    let lines = || sql.split_inclusive('\n');
    let summary: usize = lines().take_while(is_of_summary).map(str::len).sum();
    let header: usize = lines().take_while(is_comment).map(str::len).sum();
    (&sql[..summary], &sql[header..])
}

impl Header {
    /// The header of a text of SQL: the comments that it begins with.
    pub fn of(sql: &str) -> Self {
        let mut header = Self::default();
        let mut section = Section::Summary;
        for line in sql.lines().map_while(|line| line.strip_prefix("--")) {
            section = match line.trim() {
                "columns:" => Section::Columns,
                "parameters:" => Section::Parameters,
                "chart:" => Section::Chart,
                "" if section == Section::Summary && !header.summary.is_empty() => Section::Notes,
                "" => section,
                text => {
                    header.add(section, line, text);
                    section
                }
            };
        }
        header
    }

    fn add(&mut self, section: Section, line: &str, text: &str) {
        match section {
            Section::Summary => append(&mut self.summary, text),
            Section::Notes => {}
            Section::Columns => match entry(line) {
                Some((name, about)) => self.columns.push(Described {
                    name: name.to_owned(),
                    about: about.to_owned(),
                }),
                None => continued(
                    self.columns.last_mut().map(|column| &mut column.about),
                    text,
                ),
            },
            Section::Parameters => match entry(line) {
                Some((set, about)) => {
                    let (name, default) = match set.split_once(" = ") {
                        Some((name, default)) => (name, Some(default.to_owned())),
                        None => (set, None),
                    };
                    self.parameters.push(Parameter {
                        name: name.to_owned(),
                        default,
                        about: about.to_owned(),
                    });
                }
                None => {
                    let last = self.parameters.last_mut();
                    continued(last.map(|last| &mut last.about), text);
                }
            },
            Section::Chart => {
                let chart = self.chart.get_or_insert_default();
                chart.push_str(text);
                chart.push('\n');
            }
        }
    }
}

/// A line of a list: what stands before two spaces or more, and what stands behind them.
fn entry(line: &str) -> Option<(&str, &str)> {
    const INDENT: &str = "   ";
    let entry = line
        .strip_prefix(INDENT)
        .filter(|entry| !entry.starts_with(' '))?;
    let (name, about) = entry.split_once("  ").unwrap_or((entry, ""));
    Some((name.trim(), about.trim()))
}

fn continued(about: Option<&mut String>, text: &str) {
    if let Some(about) = about {
        append(about, text);
    }
}

fn append(text: &mut String, more: &str) {
    if !text.is_empty() {
        text.push(' ');
    }
    text.push_str(more);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_with_every_part() {
        let header = Header::of(
            "-- Slow requests,\n-- by function.\n--\n-- A note that is no summary.\n--\n-- columns:\n\
             --   function       the function\n--   duration_ms    how long it ran,\n--                  in milliseconds\n\
             -- parameters:\n--   id             a request\n--   least = 1000   the fewest milliseconds\n--   name = checkout-*   a pattern,\n--       of names\n\
             -- chart:\n--   kind = \"bar\"\n--   y = \"duration_ms\"\nSELECT 1\n-- columns:\n--   none\n",
        );
        let described = |name: &str, about: &str| Described {
            name: name.to_owned(),
            about: about.to_owned(),
        };
        let parameter = |name: &str, default: &str, about: &str| Parameter {
            name: name.to_owned(),
            default: (!default.is_empty()).then(|| default.to_owned()),
            about: about.to_owned(),
        };
        assert_eq!(
            header,
            Header {
                summary: "Slow requests, by function.".to_owned(),
                columns: vec![
                    described("function", "the function"),
                    described("duration_ms", "how long it ran, in milliseconds"),
                ],
                parameters: vec![
                    parameter("id", "", "a request"),
                    parameter("least", "1000", "the fewest milliseconds"),
                    parameter("name", "checkout-*", "a pattern, of names"),
                ],
                chart: Some("kind = \"bar\"\ny = \"duration_ms\"\n".to_owned()),
            }
        );
    }

    #[test]
    fn sql_without_a_header_has_an_empty_one() {
        assert_eq!(Header::of("SELECT 1 -- columns:\n"), Header::default());
        assert_eq!(Header::of(""), Header::default());
    }
}
