//! The table over a query's answers, for engines that read it in SQL: Athena, Spark, DuckDB, Trino.

mod comments;
mod duckdb;
mod spark;
mod statements;
mod trino;
mod types;

use arrow::datatypes::DataType;
use chrono::{NaiveDate, NaiveTime};
use chrono_tz::Tz;

pub use comments::columns_with_comments;
pub use statements::{database, list_of_partitions, statements};
pub use types::{ColumnChanges, column_changes, hive_columns};

use crate::job::Location;
use crate::layout;
use crate::window::{Size, Unit};

/// The engine whose SQL is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Amazon Athena: Hive's DDL, Trino's queries.
    Athena,
    /// Apache Spark.
    Spark,
    /// DuckDB.
    DuckDb,
    /// Trino's Hive connector.
    Trino,
}

impl Dialect {
    /// The engine's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Athena => "Athena",
            Self::Spark => "Spark",
            Self::DuckDb => "DuckDB",
            Self::Trino => "Trino",
        }
    }
}

/// The table of a query's answers for all windows.
#[derive(Debug, Clone)]
pub struct Table {
    /// The database (Athena, Spark) or schema (DuckDB, Trino).
    pub database: String,
    /// `<job>_<query>`.
    pub name: String,
    /// The comment at the head of the SQL file.
    pub comment: Option<String>,
    /// The columns of the files.
    pub columns: Vec<TableColumn>,
    /// The location of the answers of all windows.
    pub location: Location,
    /// The size of the windows, each of which is a partition.
    pub size: Size,
    /// How the answer of each window is divided into files.
    pub files: AnswerFiles,
    /// The zone of the windows.
    pub timezone: Tz,
    /// A day in the earliest window that Athena looks for; 1 January 2020 where unset.
    pub since: Option<NaiveDate>,
}

/// The files of a window's answer, as [`Division`](crate::job::Division) divides it.
#[derive(Debug, Clone)]
pub enum AnswerFiles {
    /// One file, or several that are all of it.
    Whole,
    /// Files for each combination of values of these columns, in folders within that of the window.
    ByValue(Vec<TableColumn>),
    /// Parts of a size, below this location. The table's own location has a list of them for each window.
    Parts(Location),
}

/// Hive's class that reads and writes rows.
pub const SERDE: &str = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe";

/// Hive's classes that read and write files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFormats {
    /// `INPUTFORMAT`
    pub input: &'static str,
    /// `OUTPUTFORMAT`
    pub output: &'static str,
}

/// The day of the first window that Athena looks for, unless the table says another.
const FIRST_DAY: NaiveDate = NaiveDate::from_ymd_opt(2020, 1, 1).unwrap();

/// The property with the range of the windows that Athena looks for.
pub const RANGE: &str = "projection.dt.range";

/// A column of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableColumn {
    /// The name, in lower case.
    pub name: String,
    /// One of the types that [`athena_schema`](super::columns::athena_schema) gives.
    pub data_type: DataType,
    /// The comment on it at the head of the SQL file.
    pub comment: Option<String>,
}

impl Table {
    /// The name of the view of the newest complete day.
    pub fn view(&self) -> String {
        format!("{}_latest", self.name)
    }

    /// The names of all tables and views that its statements create.
    pub fn names(&self) -> Vec<String> {
        let mut names = vec![self.name.clone(), self.view()];
        if self.parts().is_some() {
            names.extend([self.parts_table(), self.lists_table()]);
        }
        names
    }

    /// The name of Spark's table of all parts, including parts that no list names.
    fn parts_table(&self) -> String {
        format!("{}_parts", self.name)
    }

    /// The name of Spark's table of the lists of parts.
    fn lists_table(&self) -> String {
        format!("{}_lists", self.name)
    }

    /// The names of the columns of the folders, outermost first.
    pub fn partition_keys(&self) -> Vec<&str> {
        let of_windows = layout::partition_keys(self.size).iter().copied();
        of_windows
            .chain(
                self.value_columns()
                    .iter()
                    .map(|column| column.name.as_str()),
            )
            .collect()
    }

    /// The columns of the folders, outermost first.
    pub fn partition_columns(&self) -> Vec<TableColumn> {
        let of_windows = layout::partition_keys(self.size)
            .iter()
            .map(|key| TableColumn {
                name: (*key).to_owned(),
                data_type: DataType::Utf8,
                comment: None,
            });
        of_windows
            .chain(self.value_columns().iter().cloned())
            .collect()
    }

    /// Hive's classes for reading and writing the files.
    ///
    /// S3's own inventory is a list of files too, and AWS documents these classes, with partition projection, to read
    /// it in Athena: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-athena-query.html>.
    pub fn formats(&self) -> FileFormats {
        match self.parts() {
            None => FileFormats {
                input: "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
                output: "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
            },
            Some(_) => FileFormats {
                input: "org.apache.hadoop.hive.ql.io.SymlinkTextInputFormat",
                output: "org.apache.hadoop.hive.ql.io.IgnoreKeyTextOutputFormat",
            },
        }
    }

    /// Whether engines can work out the partitions. They can work out windows. They can't work out the values of
    /// columns: Athena would require each query to name one.
    pub fn is_projected(&self) -> bool {
        !matches!(self.files, AnswerFiles::ByValue(_))
    }

    /// The columns whose values are folders within those of the windows, outermost first.
    fn value_columns(&self) -> &[TableColumn] {
        match &self.files {
            AnswerFiles::ByValue(columns) => columns,
            AnswerFiles::Whole | AnswerFiles::Parts(_) => &[],
        }
    }

    /// All columns of rows: those in the files, then those whose values are folders.
    fn all_columns(&self) -> impl Iterator<Item = &TableColumn> {
        self.columns.iter().chain(self.value_columns())
    }

    /// The folder of the parts of the answers, where they are in parts.
    pub fn parts(&self) -> Option<&Location> {
        match &self.files {
            AnswerFiles::Parts(parts) => Some(parts),
            AnswerFiles::Whole | AnswerFiles::ByValue(_) => None,
        }
    }

    /// The properties from which Athena works out the partitions, one for each possible window; none where it needs a
    /// list of them.
    ///
    /// The end of the range is in UTC. A day more covers zones that are ahead of it.
    pub fn projection(&self) -> Vec<(String, String)> {
        if !self.is_projected() {
            return Vec::new();
        }
        // Weeks are written in days, since not every engine that reads these properties knows weeks.
        let (interval, unit) = match self.size {
            Size::Hour | Size::Day => ("1", "DAYS"),
            Size::Week => ("7", "DAYS"),
            Size::Month => ("1", "MONTHS"),
        };
        let since = self.since.unwrap_or(FIRST_DAY).and_time(NaiveTime::MIN);
        let first = Unit::holding(self.size, since).local_date();
        let keys = layout::partition_keys(self.size);
        let mut properties = vec![("projection.enabled".to_owned(), "true".to_owned())];
        let mut add =
            |column: &str, of_column: &[(&str, &str)]| {
                properties.extend(of_column.iter().map(|(key, value)| {
                    (format!("projection.{column}.{key}"), (*value).to_owned())
                }));
            };
        for key in keys {
            match *key {
                layout::HOUR => add(
                    key,
                    &[("type", "integer"), ("range", "0,23"), ("digits", "2")],
                ),
                _ => add(
                    key,
                    &[
                        ("type", "date"),
                        ("format", "yyyy-MM-dd"),
                        ("range", &format!("{first},NOW+1DAYS")),
                        ("interval", interval),
                        ("interval.unit", unit),
                    ],
                ),
            }
        }
        let folders: Vec<String> = keys.iter().map(|key| format!("{key}=${{{key}}}")).collect();
        properties.push((
            "storage.location.template".to_owned(),
            format!("{}{}/", self.url(), folders.join("/")),
        ));
        properties
    }

    /// The location of the answers, with a slash at the end.
    pub fn url(&self) -> String {
        url(&self.location)
    }
}

/// A location, with a slash at the end.
fn url(folder: &Location) -> String {
    match folder {
        Location::S3 { bucket, prefix } => format!("s3://{bucket}/{prefix}/"),
        Location::Local(folder) => format!("{}/", folder.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(size: Size, since: &str) -> Table {
        Table {
            database: "logtally".into(),
            name: "night_counts".into(),
            comment: None,
            columns: Vec::new(),
            location: Location::S3 {
                bucket: "acme".into(),
                prefix: "x/night/counts".into(),
            },
            size,
            files: AnswerFiles::Whole,
            timezone: Tz::Asia__Seoul,
            since: Some(since.parse().unwrap()),
        }
    }

    fn property(table: &Table, key: &str) -> Option<String> {
        let found = table.projection().into_iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value)
    }

    #[test]
    fn projection_enumerates_the_windows_that_there_are() {
        let range = |size, since| property(&table(size, since), "projection.dt.range").unwrap();
        assert_eq!(range(Size::Day, "2026-11-21"), "2026-11-21,NOW+1DAYS");
        assert_eq!(range(Size::Week, "2026-11-21"), "2026-11-16,NOW+1DAYS");
        assert_eq!(range(Size::Week, "2026-11-23"), "2026-11-23,NOW+1DAYS");
        assert_eq!(range(Size::Month, "2026-11-21"), "2026-11-01,NOW+1DAYS");
        assert_eq!(range(Size::Month, "2026-11-01"), "2026-11-01,NOW+1DAYS");
        for (size, interval, template) in [
            (
                Size::Hour,
                "1 DAYS",
                "s3://acme/x/night/counts/dt=${dt}/hh=${hh}/",
            ),
            (Size::Day, "1 DAYS", "s3://acme/x/night/counts/dt=${dt}/"),
            (Size::Week, "7 DAYS", "s3://acme/x/night/counts/dt=${dt}/"),
            (
                Size::Month,
                "1 MONTHS",
                "s3://acme/x/night/counts/dt=${dt}/",
            ),
        ] {
            let table = table(size, "2026-11-01");
            let of = |key| property(&table, key);
            let found = of("projection.dt.interval").zip(of("projection.dt.interval.unit"));
            let found = found.map(|(count, unit)| format!("{count} {unit}"));
            assert_eq!(found.as_deref(), Some(interval));
            assert_eq!(of("storage.location.template").as_deref(), Some(template));
            assert_eq!(of("projection.hh.digits").is_some(), size == Size::Hour);
        }
    }
}
