//! An answer as a table: its columns' types in the words of Athena and its like, and what differs between two tables.

mod statements;

use arrow::datatypes::{DataType, Schema, TimeUnit};
use chrono::{NaiveDate, NaiveTime};
use chrono_tz::Tz;

pub use statements::{database, list_of_partitions, statements};

use crate::job::Location;
use crate::layout;
use crate::window::{Size, Unit};

/// Glue keeps no more of a comment on a column, or of a table's description.
const LONGEST_COLUMN_COMMENT: usize = 255;
const LONGEST_TABLE_COMMENT: usize = 2048;

/// Whose SQL.
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
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Athena => "Athena",
            Self::Spark => "Spark",
            Self::DuckDb => "DuckDB",
            Self::Trino => "Trino",
        }
    }
}

/// The table of a query's answers, of all windows.
#[derive(Debug, Clone)]
pub struct Table {
    /// The database, or schema, that it is in.
    pub database: String,
    /// `<job>_<query>`.
    pub name: String,
    /// What the SQL file says at its head.
    pub comment: Option<String>,
    /// The columns of the files.
    pub columns: Vec<Column>,
    /// The folder of the answers.
    pub location: Location,
    /// The size of the windows, which are its partitions.
    pub size: Size,
    /// The files of the answer of a window.
    pub files: Files,
    /// The zone of the windows.
    pub timezone: Tz,
    /// A day in the earliest window that Athena looks for, where one is asked for.
    pub since: Option<NaiveDate>,
}

/// The files of the answer of a window, as [`Division`](crate::job::Division) makes them.
#[derive(Debug, Clone)]
pub enum Files {
    /// One.
    Whole,
    /// One for each combination of values of these columns, which are folders within that of the window.
    ByValue(Vec<Column>),
    /// Parts of a size. The table's location has a list of them for each window, and they are below this one.
    Parts(Location),
}

/// Hive's class by which rows are read and written.
pub const SERDE: &str = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe";

/// Hive's classes by which files are read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Formats {
    /// `INPUTFORMAT`
    pub input: &'static str,
    /// `OUTPUTFORMAT`
    pub output: &'static str,
}

/// The first window that Athena looks for where none is asked for.
const FIRST_DAY: NaiveDate = NaiveDate::from_ymd_opt(2020, 1, 1).unwrap();

/// The property that says which windows Athena looks for.
pub const RANGE: &str = "projection.dt.range";

/// A column of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// The name, in lower case.
    pub name: String,
    /// One of those of [`columns::athena_schema`](super::columns::athena_schema).
    pub data_type: DataType,
    /// What the SQL file says of it at its head.
    pub comment: Option<String>,
}

impl Table {
    /// The name of the view of the newest complete day.
    pub fn view(&self) -> String {
        format!("{}_latest", self.name)
    }

    /// The names of all that its statements make.
    pub fn names(&self) -> Vec<String> {
        let mut names = vec![self.name.clone(), self.view()];
        if self.parts().is_some() {
            names.extend([self.parts_table(), self.lists_table()]);
        }
        names
    }

    /// The name of Spark's table of all parts of answers, those that are no longer listed too.
    fn parts_table(&self) -> String {
        format!("{}_parts", self.name)
    }

    /// The name of Spark's table of the lists of parts.
    fn lists_table(&self) -> String {
        format!("{}_lists", self.name)
    }

    /// The columns of the folders, outermost first.
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

    /// The same with what is said of them.
    pub fn partition_columns(&self) -> Vec<Column> {
        let of_windows = layout::partition_keys(self.size).iter().map(|key| Column {
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
    /// A list of files in the place of the files is what S3's own inventory is, and this is how AWS has Athena read that,
    /// with partition projection: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-athena-query.html>.
    pub fn formats(&self) -> Formats {
        match self.parts() {
            None => Formats {
                input: "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
                output: "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
            },
            Some(_) => Formats {
                input: "org.apache.hadoop.hive.ql.io.SymlinkTextInputFormat",
                output: "org.apache.hadoop.hive.ql.io.IgnoreKeyTextOutputFormat",
            },
        }
    }

    /// Whether the partitions are known without a list of them. Those of windows are. The values of a column are not
    /// known before, and Athena would require each query to name one.
    pub fn is_projected(&self) -> bool {
        !matches!(self.files, Files::ByValue(_))
    }

    /// The columns whose values are folders within those of the windows, outermost first.
    fn value_columns(&self) -> &[Column] {
        match &self.files {
            Files::ByValue(columns) => columns,
            Files::Whole | Files::Parts(_) => &[],
        }
    }

    /// All columns of rows: those in the files, then those whose values are folders.
    fn all_columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().chain(self.value_columns())
    }

    /// The folder of the parts of the answers, where they are in parts.
    pub fn parts(&self) -> Option<&Location> {
        match &self.files {
            Files::Parts(parts) => Some(parts),
            Files::Whole | Files::ByValue(_) => None,
        }
    }

    /// The properties by which Athena knows the partitions without a list of them: each window that may be there.
    ///
    /// The end of the range is in UTC, and a zone may be ahead of it.
    pub fn projection(&self) -> Vec<(String, String)> {
        if !self.is_projected() {
            return Vec::new();
        }
        // Not every engine that reads these properties knows weeks.
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

    /// Where the answers are, with a slash at the end.
    pub fn url(&self) -> String {
        url(&self.location)
    }
}

/// A folder, with a slash at the end.
fn url(folder: &Location) -> String {
    match folder {
        Location::S3 { bucket, prefix } => format!("s3://{bucket}/{prefix}/"),
        Location::Local(folder) => format!("{}/", folder.display()),
    }
}

/// The comments of a table and its columns: the `--` lines before the first other line of the SQL. Of them, a line such
/// as `-- events: how many` is the comment of the column `events`.
pub fn columns_with_comments(schema: &Schema, sql: &str) -> (Option<String>, Vec<Column>) {
    let mut columns: Vec<Column> = schema
        .fields()
        .iter()
        .map(|field| Column {
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

/// The text in at most `most` bytes.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(most - '…'.len_utf8());
    format!("{}…", &text[..end])
}

/// The columns as the Glue catalogue, Athena and Hive name their types: name and type of each.
pub fn hive_columns<'a>(
    columns: impl IntoIterator<Item = (&'a str, &'a DataType)>,
) -> Vec<(String, String)> {
    let columns = columns.into_iter();
    columns
        .map(|(name, data_type)| (name.to_owned(), hive_type(data_type, &PLAIN)))
        .collect()
}

/// How a type is written where its name is Hive's but for these.
struct Words {
    /// A field's name.
    quote: fn(&str) -> String,
    /// The type of local times.
    timestamp: &'static str,
}

/// As the catalogue has types, which is not SQL.
const PLAIN: Words = Words {
    quote: str::to_owned,
    timestamp: "timestamp",
};

/// Hive's name of a type.
fn hive_type(data_type: &DataType, words: &Words) -> String {
    match data_type {
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int32 => "int".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Float32 => "float".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Binary | DataType::BinaryView => "binary".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(TimeUnit::Millisecond, None) => words.timestamp.to_owned(),
        DataType::List(item) => format!("array<{}>", hive_type(item.data_type(), words)),
        DataType::Struct(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|field| {
                    let data_type = hive_type(field.data_type(), words);
                    format!("{}:{data_type}", (words.quote)(field.name()))
                })
                .collect();
            format!("struct<{}>", fields.join(","))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(entry) if entry.len() == 2 => format!(
                "map<{},{}>",
                hive_type(entry[0].data_type(), words),
                hive_type(entry[1].data_type(), words)
            ),
            other => hive_type(other, words),
        },
        // Strings, their views and dictionaries: `athena_schema` leaves nothing else.
        _ => "string".to_owned(),
    }
}

/// What a table would have to change to hold other columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// New columns, with their types. Rows of before read as NULL there, so nobody is hurt.
    pub added: Vec<(String, String)>,
    /// What readers of the table would trip over, in words for each column.
    pub incompatible: Vec<String>,
}

/// What changes from `old` to `new` columns, each a name and a type. The order does not count: columns go by name.
pub fn changes(old: &[(String, String)], new: &[(String, String)]) -> Changes {
    let mut changes = Changes::default();
    for (name, was) in old {
        match new.iter().find(|(other, _)| other == name) {
            None => changes
                .incompatible
                .push(format!("the column {name:?} ({was}) would be gone")),
            Some((_, is)) if is != was => changes
                .incompatible
                .push(format!("the column {name:?} was {was} and would be {is}")),
            Some(_) => {}
        }
    }
    let is_new = |(name, _): &&(String, String)| old.iter().all(|(other, _)| other != name);
    changes.added = new.iter().filter(is_new).cloned().collect();
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::Field;

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
            files: Files::Whole,
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

    #[test]
    fn what_changed_is_told_by_column() {
        let columns = |text: &str| -> Vec<(String, String)> {
            let columns = text.split_whitespace();
            columns
                .map(|column| column.split_once(':').unwrap())
                .map(|(name, data_type)| (name.to_owned(), data_type.to_owned()))
                .collect()
        };
        let old = columns("a:int b:string c:bigint");
        assert_eq!(
            changes(&old, &columns("c:bigint b:string a:int")),
            Changes::default()
        );
        let found = changes(&old, &columns("b:string c:double d:date"));
        assert_eq!(found.added, columns("d:date"));
        assert_eq!(
            found.incompatible,
            [
                "the column \"a\" (int) would be gone",
                "the column \"c\" was bigint and would be double"
            ]
        );
    }
}
