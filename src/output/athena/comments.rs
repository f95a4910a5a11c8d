//! The comments of a table and its columns, taken from the head of its SQL file.

use arrow::datatypes::Schema;

use super::TableColumn;

/// The longest comment, in bytes, that Glue keeps of a column.
const LONGEST_COLUMN_COMMENT: usize = 255;

/// The longest description, in bytes, that Glue keeps of a table.
const LONGEST_TABLE_COMMENT: usize = 2048;

/// The comment of a table, and its columns with theirs: the `--` lines before the first other line of the SQL. A line
/// such as `-- events: how many` is the comment of the column `events`, all other lines are the table's.
pub fn columns_with_comments(schema: &Schema, sql: &str) -> (Option<String>, Vec<TableColumn>) {
    let mut columns: Vec<TableColumn> = schema
        .fields()
        .iter()
        .map(|field| TableColumn {
            name: field.name().clone(),
            data_type: field.data_type().clone(),
            comment: None,
        })
        .collect();
    let mut of_table = Vec::new();
    let header = sql
        .lines()
        .map(str::trim)
        .skip_while(|line| line.is_empty())
        .map_while(|line| line.strip_prefix("--"));
    for line in header.map(str::trim).filter(|line| !line.is_empty()) {
        let column = line.split_once(": ").and_then(|(name, comment)| {
            let name = name.trim_matches('"').to_lowercase();
            let column = columns.iter_mut().find(|column| column.name == name)?;
            Some((column, comment.trim()))
        });
        match column {
            Some((column, comment)) => column.comment = Some(cut(comment, LONGEST_COLUMN_COMMENT)),
            None => of_table.push(line),
        }
    }
    let comment = cut(&of_table.join(" "), LONGEST_TABLE_COMMENT);
    (Some(comment).filter(|text| !text.is_empty()), columns)
}

/// The text, cut to at most `most` bytes.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(most - '…'.len_utf8());
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{DataType, Field};

    #[test]
    fn comments_come_from_the_head_of_the_sql() {
        let schema = Schema::new(vec![
            Field::new("events", DataType::Int64, true),
            Field::new("hour", DataType::Int32, true),
        ]);
        let sql = "\n-- Errors by hour:\n--\n-- EVENTS: how many, all told\n-- of one day.\nSELECT 1 -- not: this\n";
        let (comment, columns) = columns_with_comments(&schema, sql);
        assert_eq!(comment.as_deref(), Some("Errors by hour: of one day."));
        assert_eq!(columns[0].comment.as_deref(), Some("how many, all told"));
        assert_eq!(columns[1].comment, None);
        let long = format!("-- events: {}\nSELECT", "시".repeat(200));
        let cut = columns_with_comments(&schema, &long)
            .1
            .remove(0)
            .comment
            .unwrap();
        assert!(cut.len() <= 255 && cut.ends_with("시…"), "{cut}");
        assert_eq!(columns_with_comments(&schema, "SELECT 1").0, None);
    }
}
