//! `ddl`: the tables of a job's answers, for other engines.

use chrono::NaiveDate;
use clap::Args;

use super::logging::Show;
use super::{JobFile, job_environment, print_exact};
use crate::error::Result;
use crate::job::Name;
use crate::output::athena::{self, Dialect, Table};
use crate::run::{self, Applied};

#[derive(Debug, Args)]
pub(super) struct DdlArgs {
    /// The job file: a path, s3://bucket/key, or - for standard input
    job: JobFile,

    /// Whose SQL to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    /// The database, or schema, that the tables are in
    #[arg(long, value_name = "NAME", default_value = "logtally", value_parser = Name::new)]
    database: Name,

    /// The day of the first window that Athena and Trino look for; their tables do not show earlier answers [default:
    /// 2020-01-01, or with --apply what the table has]
    #[arg(long, value_name = "DAY")]
    since: Option<NaiveDate>,

    /// Create or update the tables in the Glue catalogue instead of printing (needs a logtally that was built with the feature glue)
    #[arg(long, conflicts_with = "format")]
    apply: bool,
}

#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum Format {
    /// Amazon Athena, with partition projection
    #[default]
    Athena,
    /// Apache Spark
    Spark,
    /// DuckDB: views over the files
    Duckdb,
    /// Trino's Hive connector, with partition projection
    Trino,
}

impl From<Format> for Dialect {
    fn from(format: Format) -> Self {
        match format {
            Format::Athena => Self::Athena,
            Format::Spark => Self::Spark,
            Format::Duckdb => Self::DuckDb,
            Format::Trino => Self::Trino,
        }
    }
}

pub(super) async fn ddl(args: DdlArgs, show: Show) -> Result<u8> {
    let (job, environment) = job_environment(&args.job, show).await?;
    let database = args.database.as_str();
    let tables = run::tables(&environment, &job, database, args.since).await?;
    let text = if args.apply {
        let applied = run::apply(&environment, &tables).await?;
        tables
            .iter()
            .zip(&applied)
            .map(|(table, applied)| describe(table, applied))
            .collect()
    } else {
        script(&tables, database, args.format.into())?
    };
    print_exact(&text)?;
    Ok(0)
}

/// All statements, each with its semicolon, a blank line between them.
fn script(tables: &[Table], database: &str, dialect: Dialect) -> Result<String> {
    let mut statements = vec![athena::database(database, dialect)];
    for table in tables {
        statements.extend(athena::statements(table, dialect)?);
    }
    Ok(statements.join(";\n\n") + ";\n")
}

fn describe(table: &Table, applied: &Applied) -> String {
    let what = match applied {
        Applied::Created => "created".to_owned(),
        Applied::Unchanged => "unchanged".to_owned(),
        Applied::Updated { added } if added.is_empty() => "updated".to_owned(),
        Applied::Updated { added } => {
            let added: Vec<String> = added
                .iter()
                .map(|(name, data_type)| format!("{name} {data_type}"))
                .collect();
            format!("updated: new {}", added.join(", "))
        }
    };
    let mut line = format!("{}.{}  {what}\n", table.database, table.name);
    if let Some(statement) = athena::list_of_partitions(table, Dialect::Athena) {
        line += &format!("  run in Athena after each new window: {statement}\n");
    }
    line
}
