//! The tables over a job's answers, and their definitions in the Glue catalogue.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;

use super::{Environment, Lookups, queries};
use crate::aws::glue::{CatalogueColumn, CatalogueTable};
use crate::error::{Error, Result};
use crate::job::{DAY_ARCHIVE, Division, Job, Name};
use crate::layout::Keys;
use crate::output::athena::{self, AnswerFiles, Table, TableColumn};
use crate::window::{Size, Window};

/// The table of each query, in their order. It plans the queries and makes no request to AWS. Errors (usage): `since`
/// is in the future, or two tables would have the same name.
pub async fn tables(
    environment: &Environment,
    job: &Job,
    database: &str,
    since: Option<NaiveDate>,
) -> Result<Vec<Table>> {
    let now = environment.clock.now();
    let today = now.with_timezone(&job.timezone).date_naive();
    if let Some(since) = since.filter(|since| *since > today) {
        return Err(Error::usage(format!(
            "--since {since} is after today, {today}: expected the day of the first answer that tables are to have"
        )));
    }
    let window = Window::last_ended(job.window.size, job.timezone, now)?;
    let lookups = Lookups::open(environment, job).await?;
    let planned = queries::plan_all(&environment.engine, job, window.range(), &lookups).await?;
    let keys = Keys::of(job)?;
    let tables = planned.into_iter().map(|planned| {
        let query = planned.query;
        let (comment, mut columns) = athena::columns_with_comments(&planned.columns, &query.sql);
        let query_name = query.name.as_str();
        let mut take = |name: &Name| {
            let of_name = |column: &TableColumn| column.name == name.as_str();
            Some(columns.remove(columns.iter().position(of_name)?))
        };
        let files = match &query.division {
            Division::Whole => AnswerFiles::Whole,
            Division::Numbered { by, .. } if by.is_empty() => AnswerFiles::Whole,
            Division::ByValue(names) | Division::Numbered { by: names, .. } => {
                AnswerFiles::ByValue(names.iter().filter_map(&mut take).collect())
            }
            Division::BySize(_) => AnswerFiles::Parts(keys.parts(query_name)),
        };
        Table {
            database: database.to_owned(),
            name: format!("{}_{query_name}", job.name),
            comment,
            columns,
            location: keys.answers(query_name),
            size: job.window.size,
            files,
            timezone: job.timezone,
            since,
        }
    });
    let mut tables: Vec<Table> = tables.collect();
    if let (Some(archive), Size::Hour) = (&job.archive, job.window.size) {
        let name = format!("{}_{}", job.name, archive.query.name);
        let of_days = tables
            .iter()
            .find(|table| table.name == name)
            .map(|of_hours| Table {
                name: format!("{}_{DAY_ARCHIVE}", job.name),
                comment: Some("The events of the days that hours were compacted into.".to_owned()),
                location: keys.answers(DAY_ARCHIVE),
                size: Size::Day,
                ..of_hours.clone()
            });
        tables.extend(of_days);
    }
    refuse_same_names(&tables)?;
    Ok(tables)
}

/// The view of one table, for example, may have the name of another table.
fn refuse_same_names(tables: &[Table]) -> Result<()> {
    let mut owners: HashMap<String, &str> = HashMap::new();
    for table in tables {
        for name in table.names() {
            if let Some(other) = owners.insert(name.clone(), &table.name) {
                return Err(Error::usage(format!(
                    "{name} would be created twice, for the queries of the tables {other} and {}: give one of them another name",
                    table.name
                )));
            }
        }
    }
    Ok(())
}

/// What happened to a table in the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// It did not exist.
    Created,
    /// It existed and was changed.
    Updated {
        /// The new columns, with their types.
        added: Vec<(String, String)>,
    },
    /// It existed and needed no change.
    Unchanged,
}

/// Creates the tables in the Glue catalogue, or updates their columns, comments and properties. All are checked before
/// the first is changed. Errors (usage): an existing table that does not fit the answers.
#[cfg(feature = "glue")]
pub async fn apply(environment: &Environment, tables: &[Table]) -> Result<Vec<Applied>> {
    use crate::aws::glue::Catalogue;

    let Some(first) = tables.first() else {
        return Ok(Vec::new());
    };
    for table in tables {
        athena::statements(table, athena::Dialect::Athena)?;
    }
    let catalogue = Catalogue::open(environment.stores.aws(), &first.database).await?;
    let mut found = Vec::with_capacity(tables.len());
    for table in tables {
        let wanted = catalogue_table(table);
        let there = catalogue.find(&table.name).await?;
        let merged = match &there {
            None => None,
            Some(there) => {
                let name = format!("{}.{}", table.database, table.name);
                refuse_other_kind(&name, there.kind.as_deref())?;
                Some(merge(&name, &there.table, &wanted, table.since.is_none())?)
            }
        };
        found.push((wanted, there, merged));
    }
    let mut applied = Vec::with_capacity(tables.len());
    for (wanted, there, merged) in found {
        applied.push(match (there, merged) {
            (Some(there), Some(merged)) if merged.table == there.table => Applied::Unchanged,
            (Some(there), Some(merged)) => {
                catalogue.update(&there, &merged.table).await?;
                let added = merged.added;
                Applied::Updated { added }
            }
            _ => {
                catalogue.create(&wanted).await?;
                Applied::Created
            }
        });
    }
    Ok(applied)
}

/// Whether `ddl --apply` would change an existing table. An error (usage) where it would refuse to.
#[cfg(feature = "glue")]
pub fn would_change(table: &Table, there: &crate::aws::glue::ExistingTable) -> Result<bool> {
    let name = format!("{}.{}", table.database, table.name);
    refuse_other_kind(&name, there.kind.as_deref())?;
    let wanted = catalogue_table(table);
    let merged = merge(&name, &there.table, &wanted, table.since.is_none())?;
    Ok(merged.table != there.table)
}

/// An error (usage), since this build has no client of the Glue catalogue.
#[cfg(not(feature = "glue"))]
pub async fn apply(_environment: &Environment, _tables: &[Table]) -> Result<Vec<Applied>> {
    Err(Error::usage(
        "--apply is not in this build of logtally, which was made without the feature \"glue\": expected one made with `cargo build --features glue`, or run in Athena what `ddl` prints without --apply",
    ))
}

#[cfg(feature = "glue")]
fn refuse_other_kind(name: &str, kind: Option<&str>) -> Result<()> {
    match kind {
        None | Some("EXTERNAL_TABLE") => Ok(()),
        Some(kind) => Err(Error::usage(format!(
            "{name} is in the Glue catalogue as {kind}, not as an external table: drop it there, or choose another --database"
        ))),
    }
}

/// An existing table with the changes that the answers need, and its new columns.
#[cfg_attr(
    not(feature = "glue"),
    allow(dead_code, reason = "used by `ddl --apply`")
)]
#[derive(Debug, PartialEq, Eq)]
struct MergedTable {
    table: CatalogueTable,
    added: Vec<(String, String)>,
}

/// The table's definition for the catalogue.
#[cfg_attr(
    not(feature = "glue"),
    allow(dead_code, reason = "used by `ddl --apply`")
)]
fn catalogue_table(table: &Table) -> CatalogueTable {
    let types = athena::hive_columns(
        table
            .columns
            .iter()
            .map(|column| (column.name.as_str(), &column.data_type)),
    );
    let comments = table.columns.iter().map(|column| column.comment.clone());
    let columns = types.into_iter().zip(comments);
    let mut properties = BTreeMap::from_iter(table.projection());
    properties.insert("EXTERNAL".to_owned(), "TRUE".to_owned());
    if table.parts().is_none() {
        properties.insert("classification".to_owned(), "parquet".to_owned());
    }
    let formats = table.formats();
    CatalogueTable {
        name: table.name.clone(),
        comment: table.comment.clone(),
        location: table.url(),
        input_format: formats.input.to_owned(),
        output_format: formats.output.to_owned(),
        serde: athena::SERDE.to_owned(),
        columns: columns
            .map(|((name, data_type), comment)| CatalogueColumn {
                name,
                data_type,
                comment,
            })
            .collect(),
        partition_keys: table
            .partition_columns()
            .into_iter()
            .map(|key| CatalogueColumn {
                name: key.name,
                data_type: "string".to_owned(),
                comment: key.comment,
            })
            .collect(),
        properties,
    }
}

/// The existing definition with the changes that the wanted one needs. Other properties and comments stay, and with
/// `keeps_range` the range of windows; new columns come last. An error (usage) names every incompatible difference.
#[cfg_attr(
    not(feature = "glue"),
    allow(dead_code, reason = "used by `ddl --apply`")
)]
fn merge(
    name: &str,
    there: &CatalogueTable,
    wanted: &CatalogueTable,
    keeps_range: bool,
) -> Result<MergedTable> {
    let names_and_types = |columns: &[CatalogueColumn]| -> Vec<(String, String)> {
        let columns = columns.iter();
        columns
            .map(|column| (column.name.clone(), column.data_type.clone()))
            .collect()
    };
    let of_files = athena::column_changes(
        &names_and_types(&there.columns),
        &names_and_types(&wanted.columns),
    );
    let mut differences = of_files.incompatible;
    let folder = |location: &str| location.trim_end_matches('/').to_owned();
    if folder(&there.location) != folder(&wanted.location) {
        differences.push(format!(
            "its answers are in {} and would be in {}",
            there.location, wanted.location
        ));
    }
    if there.input_format != wanted.input_format {
        differences.push(format!(
            "its files are read by {} and would be by {}",
            there.input_format, wanted.input_format
        ));
    }
    let keys = |table: &CatalogueTable| {
        let keys = table.partition_keys.iter();
        keys.map(|key| format!("{} {}", key.name, key.data_type))
            .collect::<Vec<_>>()
            .join(", ")
    };
    if keys(there) != keys(wanted) {
        differences.push(format!(
            "it is partitioned by ({}) and would be by ({})",
            keys(there),
            keys(wanted)
        ));
    }
    if !differences.is_empty() {
        return Err(Error::usage(format!(
            "{name} is in the Glue catalogue, and its readers rely on what it is: {}. Give the query another name, or drop the table there, which leaves the answers where they are",
            differences.join("; ")
        )));
    }
    let mut table = there.clone();
    for column in &wanted.columns {
        match table.columns.iter_mut().find(|own| own.name == column.name) {
            Some(own) => own.comment = column.comment.clone().or(own.comment.take()),
            None => table.columns.push(column.clone()),
        }
    }
    table.comment = wanted.comment.clone().or(table.comment);
    for (own, key) in table.partition_keys.iter_mut().zip(&wanted.partition_keys) {
        own.comment = key.comment.clone().or(own.comment.take());
    }
    table.properties.extend(wanted.properties.clone());
    if let Some(range) = there.properties.get(athena::RANGE)
        && keeps_range
    {
        let key = athena::RANGE.to_owned();
        table.properties.insert(key, range.clone());
    }
    Ok(MergedTable {
        table,
        added: of_files.added,
    })
}
