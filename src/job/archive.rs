//! `[archive]`: the events of each window as Parquet, with columns out of their messages. It is the answer of a query that
//! every job with this section has.

use std::collections::{BTreeMap, HashSet};

use super::checked::{ByteSize, Name};
use super::division::SMALLEST_FILE;
use super::job_text::Wrong;
use super::spec::ArchiveSpec;
use super::{Division, OriginColumns, Query};

/// The column with the place of an event among those of its window, in the order in which its export is read. It decides
/// the order of events whose log stream and time are equal.
pub const POSITION: &str = "position";

/// The name of the archive: of its folder, and of its table for queries.
pub const ARCHIVE: &str = "events";

/// The name of the folder of days that hours were compacted into.
pub const DAY_ARCHIVE: &str = "events_by_day";

/// The size of a file where the job does not say.
const FILE_SIZE: u64 = 256 << 20;

/// The columns that every archive has, and those of the folders of windows.
const TAKEN: [&str; 7] = [
    "timestamp",
    "message",
    "log_group",
    "log_stream",
    POSITION,
    "dt",
    "hh",
];

/// The archive of a job.
#[derive(Debug, Clone)]
pub struct Archive {
    /// The columns out of the messages, in the order of their names.
    pub columns: Vec<ArchiveColumn>,
    /// Whether it has the messages.
    pub message: bool,
    /// The columns with bloom filters.
    pub bloom: Vec<Name>,
    /// The query whose answer it is, without a sort and without [`POSITION`].
    pub query: Query,
}

/// A column of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveColumn {
    /// The name.
    pub name: Name,
    /// An expression over an event.
    pub sql: String,
}

impl ArchiveColumn {
    /// A query of this column alone.
    pub fn query(&self) -> String {
        format!("SELECT {} FROM logs", self.selected())
    }

    /// Where the expression stands in the job file, for errors.
    pub fn origin(&self) -> String {
        format!("[archive.columns] {}", self.name)
    }

    /// The expression is between line breaks, as it may end with a comment.
    fn selected(&self) -> String {
        format!("(\n{}\n) AS \"{}\"", self.sql, self.name)
    }
}

/// The archive that a section says. `queries` are the names of the job's queries.
pub(super) fn resolve(
    spec: ArchiveSpec,
    queries: &[Query],
    origins: OriginColumns,
) -> Result<Archive, Wrong> {
    let is_taken = |query: &&Query| [ARCHIVE, DAY_ARCHIVE].contains(&query.name.as_str());
    if let Some(query) = queries.iter().find(is_taken) {
        let message = format!(
            "a [[query]] is named {:?}, which is the name of the archive of [archive]: expected another name for the query",
            query.name.as_str()
        );
        return Err(Wrong::at("archive", message));
    }
    let columns = columns(spec.columns, origins)?;
    let message = spec.message.unwrap_or(true);
    let own = columns.iter().map(|column| column.name.as_str());
    let mut known: Vec<&str> = vec!["log_group", "log_stream"];
    for name in origins.names() {
        known.push(name);
    }
    known.extend(message.then_some("message"));
    known.extend(own);
    ensure_known("partition_by", &spec.partition_by, &known)?;
    ensure_known("bloom", &spec.bloom, &known)?;
    let file_size = match spec.file_size {
        Some(ByteSize(bytes)) if bytes < SMALLEST_FILE => {
            let message = format!(
                "[archive] file_size is {bytes} bytes: expected 1MiB or more, such as \"256MiB\""
            );
            return Err(Wrong::at("archive.file_size", message));
        }
        Some(ByteSize(bytes)) => bytes,
        None => FILE_SIZE,
    };
    if let Some(both) = spec
        .bloom
        .iter()
        .find(|column| spec.partition_by.contains(column))
    {
        let message = format!(
            "[archive] bloom and partition_by both name {:?}: expected it in one of them, as the files do not have a column whose values are folders",
            both.as_str()
        );
        return Err(Wrong::at("archive.bloom", message));
    }
    let query = Query {
        name: Name::new(ARCHIVE)?,
        sql: sql(&columns, message, origins),
        sql_origin: "[archive]".to_owned(),
        params: BTreeMap::new(),
        division: Division::Numbered {
            file_size,
            by: spec.partition_by,
        },
        charts: Vec::new(),
    };
    Ok(Archive {
        columns,
        message,
        bloom: spec.bloom,
        query,
    })
}

fn columns(
    spec: BTreeMap<Name, super::checked::Text>,
    origins: OriginColumns,
) -> Result<Vec<ArchiveColumn>, Wrong> {
    let columns = spec.into_iter().map(|(name, sql)| {
        let at = format!("archive.columns.{name}");
        let is_origin = origins.names().any(|origin| origin == name.as_str());
        if is_origin || TAKEN.contains(&name.as_str()) {
            let message = format!(
                "[archive.columns] can't have {:?}: that name is taken by a column that every archive has",
                name.as_str()
            );
            return Err(Wrong::at(at, message));
        }
        match sql.0.trim() {
            "" => Err(Wrong::at(
                at,
                format!(
                    "[archive.columns] {name} is empty: expected an expression over an event, such as \"level(message)\""
                ),
            )),
            sql => Ok(ArchiveColumn {
                sql: sql.to_owned(),
                name,
            }),
        }
    });
    columns.collect()
}

/// The query of all events, in the order in which they are read.
fn sql(columns: &[ArchiveColumn], message: bool, origins: OriginColumns) -> String {
    let of_logs = ["log_group", "log_stream", "timestamp"].map(str::to_owned);
    let message = message.then(|| "message".to_owned());
    let own = columns.iter().map(ArchiveColumn::selected);
    let origins = origins.names().map(str::to_owned);
    let of_logs = of_logs.into_iter().chain(origins);
    let selected: Vec<String> = of_logs.chain(message).chain(own).collect();
    // The comments of the columns of tables.
    let comments = columns.iter().map(|column| {
        let words: Vec<&str> = column.sql.split_whitespace().collect();
        format!("-- {}: {}\n", column.name, words.join(" "))
    });
    format!(
        "-- The events of each window.\n{}-- {POSITION}: the place of the event among those of its window, as the export is read\nSELECT {} FROM logs",
        comments.collect::<String>(),
        selected.join(", ")
    )
}

fn ensure_known(key: &str, names: &[Name], known: &[&str]) -> Result<(), Wrong> {
    let at = format!("archive.{key}");
    let mut seen = HashSet::new();
    for name in names {
        let name = name.as_str();
        if !known.contains(&name) {
            let message = format!(
                "[archive] {key} names {name:?}, which is no column of the archive that it can be: expected one of {}",
                known.join(", ")
            );
            return Err(Wrong::at(at, message));
        }
        if !seen.insert(name) {
            return Err(Wrong::at(
                at,
                format!("[archive] {key} names {name:?} twice"),
            ));
        }
    }
    Ok(())
}
