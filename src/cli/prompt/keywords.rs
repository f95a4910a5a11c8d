//! The keywords of queries, for highlighting and completion.

/// The words, in upper case and in alphabetical order.
#[rustfmt::skip]
pub const KEYWORDS: [&str; 115] = [
    "ALL", "ANALYZE", "AND", "ANY", "ARRAY", "AS", "ASC", "BETWEEN", "BIGINT", "BOOLEAN", "BY",
    "CASE", "CAST", "COLUMNS", "CREATE", "CROSS", "CUBE", "CURRENT", "DATE", "DAY", "DESC",
    "DESCRIBE", "DISTINCT", "DOUBLE", "ELSE", "END", "ESCAPE", "EXCEPT", "EXCLUDE", "EXISTS",
    "EXPLAIN", "EXTRACT", "FALSE", "FETCH", "FILTER", "FIRST", "FOLLOWING", "FOR", "FROM", "FULL",
    "GROUP", "GROUPING", "HAVING", "HOUR", "ILIKE", "IN", "INNER", "INT", "INTEGER", "INTERSECT",
    "INTERVAL", "IS", "JOIN", "LAST", "LEFT", "LIKE", "LIMIT", "MINUTE", "MONTH", "NATURAL", "NOT",
    "NULL", "NULLS", "NUMERIC", "OFFSET", "ON", "ONLY", "OR", "ORDER", "OUTER", "OVER", "PARTITION",
    "PRECEDING", "PRECISION", "RANGE", "REAL", "RECURSIVE", "REPLACE", "RIGHT", "ROLLUP", "ROW",
    "ROWS", "SECOND", "SELECT", "SETS", "SHOW", "SIMILAR", "SMALLINT", "SOME", "TABLE", "TABLES",
    "TEMP", "TEMPORARY", "TEXT", "THEN", "TIME", "TIMESTAMP", "TO", "TRUE", "TRY_CAST", "UNBOUNDED",
    "UNION", "UNNEST", "USING", "VALUES", "VARCHAR", "VIEW", "WEEK", "WHEN", "WHERE", "WINDOW",
    "WITH", "WITHIN", "YEAR", "ZONE",
];

/// Whether a word is a keyword, in any case of its letters.
pub fn is_keyword(word: &str) -> bool {
    let word = word.to_ascii_uppercase();
    KEYWORDS.binary_search(&word.as_str()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_found_in_any_case() {
        assert!(KEYWORDS.is_sorted());
        assert!(is_keyword("select") && is_keyword("Zone") && is_keyword("ALL"));
        assert!(!is_keyword("message"));
    }
}
