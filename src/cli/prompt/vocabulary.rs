//! The names that a session has, for completion.

/// Tables, functions and windows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vocabulary {
    /// Each table with its columns.
    pub tables: Vec<(String, Vec<String>)>,
    /// The functions.
    pub functions: Vec<String>,
    /// The ids of windows that can be opened.
    pub windows: Vec<String>,
}

impl Vocabulary {
    /// The columns of a table; none for one that is unknown.
    pub fn columns(&self, table: &str) -> &[String] {
        let found = self
            .tables
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(table));
        found.map_or(&[], |(_, columns)| columns)
    }
}
