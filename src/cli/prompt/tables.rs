//! `\d`: the tables, and the columns of one.

use arrow::datatypes::Field;

use super::layout;
use crate::output::columns::sql_type;
use crate::query::{SessionTable, TableKind, is_like};

/// What the columns of `logs` and `hours` are.
const COLUMNS: [(TableKind, &str, &str); 12] = [
    (
        TableKind::Logs,
        "timestamp",
        "when the event happened, by the service that wrote it",
    ),
    (
        TableKind::Logs,
        "message",
        "the text of the event, with all of its lines",
    ),
    (
        TableKind::Logs,
        "log_group",
        "the log group, such as /aws/lambda/checkout",
    ),
    (
        TableKind::Logs,
        "log_stream",
        "the log stream in the log group, as the export names it",
    ),
    (
        TableKind::Logs,
        "account",
        "the account of the log group, where its source says it",
    ),
    (
        TableKind::Logs,
        "region",
        "the Region of the log group, where its source says it",
    ),
    (
        TableKind::Hours,
        "hour_utc",
        "the first instant of the hour; equal to time_bucket('1 hour', timestamp)",
    ),
    (
        TableKind::Hours,
        "hour_local",
        "what the clock shows then, without a zone",
    ),
    (
        TableKind::Hours,
        "utc_offset",
        "how far the clock is from UTC then",
    ),
    (TableKind::Hours, "hour_of_day", "0 to 23"),
    (
        TableKind::Answer,
        "dt",
        "the day of the window, or the first one of a longer window",
    ),
    (TableKind::Answer, "hh", "the hour of the window"),
];

/// The tables whose names match a pattern, in lines of `width`; `None` where none does.
pub fn list(tables: &[SessionTable], pattern: Option<&str>, width: usize) -> Option<String> {
    let matches =
        |table: &&SessionTable| pattern.is_none_or(|pattern| is_like(&table.name, pattern));
    let mut found: Vec<&SessionTable> = tables.iter().filter(matches).collect();
    found.sort_by_key(|table| (table.kind, table.name.clone()));
    if found.is_empty() {
        return None;
    }
    let head = ["table", "what it is", "columns"].map(str::to_owned);
    let rows = found.into_iter().map(|table| {
        let columns = match &table.columns {
            None => format!("can't be read now: TABLE {} says why", table.name),
            Some(columns) => {
                let names = columns.fields().iter().map(|field| field.name().as_str());
                names.collect::<Vec<_>>().join(", ")
            }
        };
        [table.name.clone(), what(table.kind).to_owned(), columns]
    });
    let rows: Vec<[String; 3]> = std::iter::once(head).chain(rows).collect();
    Some(layout::rows(&rows, 1, width))
}

/// The columns of a table; `None` where there is no such table.
pub fn describe(tables: &[SessionTable], name: &str, width: usize) -> Option<String> {
    let name = name.strip_prefix("public.").unwrap_or(name);
    let table = tables.iter().find(|table| table.name == name).or_else(|| {
        tables
            .iter()
            .find(|table| table.name.eq_ignore_ascii_case(name))
    })?;
    let title = format!("{}: {}", table.name, what(table.kind));
    let Some(columns) = &table.columns else {
        return Some(format!(
            "{title}; it can't be read now: TABLE {} says why\n",
            table.name
        ));
    };
    let head = ["column", "type", "what it is"].map(str::to_owned);
    let rows = columns
        .fields()
        .iter()
        .map(|field| column(table.kind, field));
    let rows: Vec<[String; 3]> = std::iter::once(head).chain(rows).collect();
    Some(format!("{title}\n{}", layout::rows(&rows, 1, width)))
}

/// What a table of a kind is.
fn what(kind: TableKind) -> &'static str {
    match kind {
        TableKind::Logs => "the events",
        TableKind::Hours => "each hour of the window",
        TableKind::Answer => "answers of the job",
        TableKind::Lookup => "a lookup table",
        TableKind::Files => "Parquet files",
        TableKind::View => "a view",
    }
}

fn column(kind: TableKind, field: &Field) -> [String; 3] {
    let known = COLUMNS
        .iter()
        .find(|(of, name, _)| *of == kind && name == field.name());
    let is = known.map_or("", |(_, _, is)| is);
    [
        field.name().clone(),
        sql_type(field.data_type()),
        is.to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{DataType, Schema};

    use super::*;

    fn tables() -> Vec<SessionTable> {
        let schema = |names: &[&str]| {
            let fields = names
                .iter()
                .map(|name| Field::new(*name, DataType::Utf8View, true));
            Arc::new(Schema::new(fields.collect::<Vec<_>>()))
        };
        let table = |name: &str, kind, columns| SessionTable {
            name: name.to_owned(),
            kind,
            columns,
        };
        vec![
            table("errors", TableKind::Answer, Some(schema(&["hour", "n"]))),
            table("gone", TableKind::Answer, None),
            table(
                "logs",
                TableKind::Logs,
                Some(schema(&["timestamp", "message"])),
            ),
        ]
    }

    #[test]
    fn tables_are_listed_with_their_columns_and_logs_first() {
        assert_eq!(
            list(&tables(), None, 80).unwrap(),
            " table   what it is          columns\n \
             logs    the events          timestamp, message\n \
             errors  answers of the job  hour, n\n \
             gone    answers of the job  can't be read now: TABLE gone says why\n"
        );
        assert_eq!(list(&tables(), Some("e*"), 80).unwrap().lines().count(), 2);
        assert_eq!(list(&tables(), Some("x*"), 80), None);
    }

    #[test]
    fn a_table_is_described_by_its_columns() {
        let text = describe(&tables(), "public.LOGS", 80).unwrap();
        assert!(
            text.starts_with(
                "logs: the events\n column     type  what it is\n timestamp  text  when the"
            ),
            "{text}"
        );
        assert!(
            describe(&tables(), "gone", 80)
                .unwrap()
                .contains("can't be read now")
        );
        assert_eq!(describe(&tables(), "nope", 80), None);
    }
}
