//! The tables of a job's answers: as its questions make them, and in the Glue catalogue.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;

use super::{Environment, queries};
use crate::aws::glue::{CatalogueColumn, CatalogueTable};
use crate::error::{Error, Result};
use crate::job::Job;
use crate::layout;
use crate::output::athena::{self, Table};
use crate::window::Window;

/// The table of each query, in their order. Plans the queries, and asks nothing of AWS. Errors (usage): `since` is still to
/// come, or two tables would have one name.
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
    let planned = queries::plan_all(&environment.engine, job, window.range()).await?;
    let tables = planned.into_iter().map(|planned| {
        let query = planned.query;
        let (comment, mut columns) = athena::columns_with_comments(&planned.columns, &query.sql);
        let partition_by = query.partition_by.iter().filter_map(|name| {
            let place = columns
                .iter()
                .position(|column| column.name == name.as_str())?;
            Some(columns.remove(place))
        });
        let partition_by = partition_by.collect();
        let (job_name, query_name) = (job.name.as_str(), query.name.as_str());
        Table {
            database: database.to_owned(),
            name: format!("{job_name}_{query_name}"),
            comment,
            columns,
            location: layout::answers(&job.output, job_name, query_name),
            size: job.window.size,
            partition_by,
            parts: query
                .file_size
                .map(|_| layout::parts(&job.output, job_name, query_name)),
            timezone: job.timezone,
            since,
        }
    });
    let tables: Vec<Table> = tables.collect();
    refuse_same_names(&tables)?;
    Ok(tables)
}

/// What the statements of a table make beside it may have the name that another table has.
fn refuse_same_names(tables: &[Table]) -> Result<()> {
    let mut owners: HashMap<String, &str> = HashMap::new();
    for table in tables {
        for name in table.names() {
            if let Some(other) = owners.insert(name.clone(), &table.name) {
                return Err(Error::usage(format!(
                    "{name} would be of two queries, those of the tables {other} and {}: give one of them another name",
                    table.name
                )));
            }
        }
    }
    Ok(())
}

/// What became of a table in the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// It was not there.
    Created,
    /// It was there, and got what was new.
    Updated {
        /// The new columns, with their types.
        added: Vec<(String, String)>,
    },
    /// It was as it should be.
    Unchanged,
}

/// Makes the tables in the Glue catalogue, or changes them: new columns, comments, properties. All are looked at before
/// the first is changed. Errors (usage): a table that is there and does not go together with the answers.
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

/// This build has no client of the Glue catalogue: an error (usage) that says so.
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

/// A table as it is to be in the catalogue, and which of its columns are new.
#[cfg_attr(not(feature = "glue"), allow(dead_code))]
#[derive(Debug, PartialEq, Eq)]
struct Merged {
    table: CatalogueTable,
    added: Vec<(String, String)>,
}

/// The table as the catalogue is to have it.
#[cfg_attr(not(feature = "glue"), allow(dead_code))]
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
    if table.parts.is_none() {
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

/// What is there with what is wanted put in: properties and comments of somebody else's stay, the range of windows too
/// where no other is asked for, and new columns come last.
/// An error (usage) names every difference that readers would trip over.
#[cfg_attr(not(feature = "glue"), allow(dead_code))]
fn merge(
    name: &str,
    there: &CatalogueTable,
    wanted: &CatalogueTable,
    keeps_range: bool,
) -> Result<Merged> {
    let names_and_types = |columns: &[CatalogueColumn]| -> Vec<(String, String)> {
        let columns = columns.iter();
        columns
            .map(|column| (column.name.clone(), column.data_type.clone()))
            .collect()
    };
    let of_files = athena::changes(
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
    Ok(Merged {
        table,
        added: of_files.added,
    })
}
