//! Parquet tables in a bucket in memory: the same rows and the same errors on workers as without them.

use arrow::array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use async_trait::async_trait;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::properties::WriterProperties;
use object_store::path::Path;

use super::*;
use crate::query::TableKind;
use crate::query::archived::{
    ArchivedColumn, ArchivedEvents, ArchivedLogs, Events, Needs, OpenEvents,
};
use crate::query::parquet_table::{FolderFilter, ListFiles, ParquetTable, TableFile, TableFiles};

/// The key of a file's metadata that says which window it is of.
const WINDOW_KEY: &str = "logtally.window";

/// The days of the table, each in a folder of its own.
const DAYS: usize = 20;

/// A file of this day has a narrower column than the table.
const NARROW: usize = 4;

/// A file of this day lacks a column.
const OLD: usize = 7;

/// The events of this day are in two files.
const LARGE: usize = 11;

fn column(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

/// The columns of the table.
fn columns() -> Schema {
    Schema::new(vec![
        column("log_group", DataType::Utf8View),
        column("log_stream", DataType::Utf8View),
        column(
            "timestamp",
            DataType::Timestamp(TimeUnit::Millisecond, None),
        ),
        column("message", DataType::Utf8View),
        column("level", DataType::Utf8View),
        column("status", DataType::Int64),
        column("took", DataType::Float64),
        column("position", DataType::Int64),
    ])
}

fn texts(rows: usize, text: impl Fn(usize) -> Option<String>) -> ArrayRef {
    Arc::new((0..rows).map(text).collect::<StringArray>())
}

/// The rows of a file.
fn rows_of(day: usize, file: usize) -> RecordBatch {
    let rows = 150 + day * 3 - file * 20;
    let number = move |row: usize| row * 31 + day * 7 + file;
    let midnight = WINDOW.start_ms + day as i64 * 86_400_000;
    let times = (0..rows).map(|row| midnight + (row as i64 * 500_000) % 86_400_000);
    let status = (0..rows).map(move |row| [200, 404, 500, 503][number(row) % 4]);
    let status: ArrayRef = match day {
        NARROW => Arc::new(Int32Array::from_iter_values(status)),
        _ => Arc::new(Int64Array::from_iter_values(status.map(i64::from))),
    };
    let level = |row: usize| {
        let levels = [Some("INFO"), Some("WARN"), None, Some("ERROR")];
        levels[number(row) % 4].map(str::to_owned)
    };
    let message = |row: usize| Some(format!("재고 {} of day {day}", number(row) % 37));
    let took = (0..rows).map(|row| (row % 3 > 0).then_some(number(row) as f64 / 2.0));
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        (
            "log_group",
            texts(rows, |row| Some(format!("/svc/{}", row % 3))),
        ),
        (
            "log_stream",
            texts(rows, |row| Some(format!("stream-{}", row % 5))),
        ),
        (
            "timestamp",
            Arc::new(TimestampMillisecondArray::from_iter_values(times)),
        ),
        ("message", texts(rows, message)),
        ("level", texts(rows, level)),
        ("status", status),
        ("took", Arc::new(took.collect::<Float64Array>())),
        (
            "position",
            Arc::new(Int64Array::from_iter_values(0..rows as i64)),
        ),
    ];
    columns.retain(|(name, _)| day != OLD || *name != "took");
    RecordBatch::try_from_iter(columns).unwrap()
}

/// A file of several row groups.
fn parquet(rows: &RecordBatch) -> Vec<u8> {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(64))
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), Some(properties)).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
    bytes
}

async fn put(store: &Store, key: &Path, bytes: Vec<u8>) {
    store.objects().put(key, bytes.into()).await.unwrap();
}

/// The files of a table as they were listed.
#[derive(Debug, Clone)]
struct Listed {
    store: Store,
    files: Vec<TableFile>,
}

impl Listed {
    /// Files of all days.
    async fn new(cloud: &Cloud) -> Self {
        let mut listed = Self {
            store: cloud.store.clone(),
            files: Vec::new(),
        };
        for day in 0..DAYS {
            for file in 0..1 + usize::from(day == LARGE) {
                let folder = format!("2026-11-{:02}", day + 1);
                let key = Path::from(format!("events/dt={folder}/events-{file:05}.parquet"));
                put(&listed.store, &key, parquet(&rows_of(day, file))).await;
                listed.files.push(TableFile {
                    object: listed.store.head(&key).await.unwrap().unwrap(),
                    folders: vec![Some(folder)],
                });
            }
        }
        listed
    }

    fn table(&self) -> ParquetTable {
        let folders = vec!["dt".to_owned()];
        ParquetTable::new(&columns(), folders, Arc::new(self.clone()), WINDOW_KEY)
    }

    /// The session with the table `events`.
    fn session(&self, cloud: &Cloud, workers: &[Running]) -> Session {
        let session = engine_with(cloud, workers).session(SEOUL).unwrap();
        session.add_table("events", TableKind::Files, Arc::new(self.table()));
        session
    }

    /// The key of the only file of a day.
    fn key(&self, day: usize) -> Path {
        let folder = format!("2026-11-{:02}", day + 1);
        let mut of_day = self.files.iter();
        let found = of_day.find(|file| file.folders[0].as_deref() == Some(&*folder));
        found.unwrap().object.location.clone()
    }

    /// The file of a day is now another object, and was listed as such.
    async fn replace(&mut self, day: usize, bytes: Vec<u8>) {
        let key = self.key(day);
        put(&self.store, &key, bytes).await;
        let object = self.store.head(&key).await.unwrap().unwrap();
        for file in &mut self.files {
            if file.object.location == key {
                file.object = object.clone();
            }
        }
    }
}

#[async_trait]
impl ListFiles for Listed {
    async fn list(&self, _: &FolderFilter<'_>) -> Result<TableFiles> {
        Ok(TableFiles {
            store: self.store.clone(),
            files: self.files.clone(),
        })
    }
}

async fn bucket(workers: usize) -> (Cloud, Vec<LogObject>, Vec<Running>) {
    let (cloud, objects) = Cloud::new(&shapes().swap_remove(1)).await;
    let mut running = Vec::new();
    for _ in 0..workers {
        running.push(cloud.worker().await);
    }
    (cloud, objects, running)
}

/// Each with whether several processes are worth it.
const OVER_EVENTS: [(&str, bool); 16] = [
    ("SELECT count(*) FROM events", true),
    (
        "SELECT dt, count(*), sum(status), sum(took), min(timestamp) FROM events GROUP BY dt",
        true,
    ),
    (
        "SELECT level, count(DISTINCT log_stream), max(message) FROM events WHERE dt >= '2026-11-05' GROUP BY level",
        true,
    ),
    (
        "SELECT timestamp, message, dt FROM events WHERE level = 'ERROR' AND status >= 500 ORDER BY timestamp DESC LIMIT 20",
        true,
    ),
    (
        "SELECT dt, count(*) FROM events WHERE took IS NULL GROUP BY 1",
        true,
    ),
    (
        "SELECT max(status), min(took), max(timestamp), min(dt) FROM events",
        true,
    ),
    (
        "SELECT message FROM events WHERE message LIKE '%재고 3%' AND status = 404 ORDER BY message",
        true,
    ),
    (
        "SELECT DISTINCT log_stream FROM events WHERE timestamp >= timestamp '2026-11-30'",
        true,
    ),
    (
        "SELECT a.log_group, a.n, b.n FROM (SELECT log_group, count(*) AS n FROM events GROUP BY 1) a JOIN (SELECT log_group, count(*) AS n FROM events WHERE level = 'ERROR' GROUP BY 1) b USING (log_group)",
        true,
    ),
    (
        "SELECT e.dt, count(*) FROM events e JOIN (SELECT max(status) AS status FROM events) m USING (status) GROUP BY 1",
        true,
    ),
    ("SELECT * FROM events ORDER BY position, dt LIMIT 7", true),
    (
        "SELECT length(message) AS n, status / 100 AS kind, count(*) FROM events GROUP BY 1, 2",
        true,
    ),
    (
        "SELECT dt, n FROM (SELECT dt, count(*) AS n FROM events GROUP BY 1) WHERE n > (SELECT count(*) / 21 FROM events)",
        true,
    ),
    (
        "SELECT status FROM events WHERE status IN (SELECT status FROM events WHERE dt = '2026-11-05') AND dt > '2026-11-03' GROUP BY 1",
        true,
    ),
    // One file, and none.
    (
        "SELECT count(*), sum(took) FROM events WHERE dt = '2026-11-05'",
        false,
    ),
    ("SELECT count(*) FROM events WHERE dt = '2027-01-01'", false),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_table_has_the_same_rows_on_any_number_of_workers() {
    let (cloud, _, workers) = bucket(3).await;
    let listed = Listed::new(&cloud).await;
    for (sql, is_worth_it) in OVER_EVENTS {
        let (expected, ..) = answer(&listed.session(&cloud, &[]), sql).await.unwrap();
        for count in 1..=3 {
            let session = listed.session(&cloud, &workers[..count]);
            let found = answer(&session, sql).await;
            let (rows, read, is_shared) =
                found.unwrap_or_else(|error| panic!("{count} workers, {sql}: {error}"));
            assert_eq!(rows, expected, "{count} workers: {sql}");
            assert_eq!(is_shared, is_worth_it, "{count} workers: {sql}");
            assert_eq!(read, ScanReport::default(), "no object of logs was read");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_and_logs_are_shared_together() {
    let (cloud, objects, workers) = bucket(2).await;
    let listed = Listed::new(&cloud).await;
    let shape = shapes().swap_remove(1);
    for sql in [
        "SELECT level, count(*) FROM events GROUP BY 1 UNION ALL SELECT level(message), count(*) FROM logs GROUP BY 1",
        // Too small a part of the table to be divided for its own sake.
        "SELECT l.level, e.n, count(*) FROM (SELECT level(message) AS level FROM logs) l JOIN (SELECT level, count(*) AS n FROM events WHERE dt = '2026-11-05' GROUP BY 1) e USING (level) GROUP BY 1, 2",
        "SELECT count(*) FROM logs WHERE level(message) IN (SELECT level FROM events WHERE dt = '2026-11-05')",
    ] {
        let mut found = Vec::new();
        for workers in [&workers[..0], &workers[..]] {
            let (session, ..) = session(&cloud, &shape, &objects, workers);
            session.add_table("events", TableKind::Files, Arc::new(listed.table()));
            let (rows, read, is_shared) = answer(&session, sql).await.unwrap();
            assert_eq!(is_shared, !workers.is_empty(), "{sql}");
            found.push((rows, read));
        }
        assert_eq!(found[0], found[1], "{sql}");
        assert!(found[0].1.events > 0);
    }
}

/// The archives of days, beside the export of the last one.
#[derive(Debug)]
struct Year {
    listed: Listed,
    exported: LogsTable,
}

#[async_trait]
impl OpenEvents for Year {
    async fn open(&self, _: &Needs) -> Result<Vec<Events>> {
        let archived = self.listed.files.iter().map(|file| {
            let of_day = Listed {
                store: self.listed.store.clone(),
                files: vec![file.clone()],
            };
            Events::Archived(ArchivedEvents {
                files: of_day.table(),
                range: None,
                is_in_reading_order: true,
                has: vec![true],
            })
        });
        let exported = Events::Exported(self.exported.clone());
        Ok(archived.chain([exported]).collect())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_and_an_export_are_one_table_on_workers() {
    let (cloud, objects, workers) = bucket(3).await;
    let listed = Listed::new(&cloud).await;
    let origins = OriginColumns::default();
    let asked = async |workers: &[Running], sql: &str| {
        let engine = engine_with(&cloud, workers);
        engine.add_store(&cloud.store);
        let planning = engine.session(SEOUL).unwrap();
        let planning = planning.expect_archived_logs(origins).unwrap();
        let level = planning
            .event_expression("level(message)", "SELECT level(message) FROM logs", "level")
            .await
            .unwrap();
        let level = ArchivedColumn {
            name: "level".to_owned(),
            expression: level,
        };
        let exported = LogsTable::new(&cloud.store, objects.clone(), WINDOW, engine.pool());
        let year = Year {
            listed: listed.clone(),
            exported,
        };
        let logs = ArchivedLogs::new(SEOUL, origins, vec![level], Arc::new(year));
        let session = engine.session(SEOUL).unwrap().with_archived_logs(logs);
        answer(&session, sql).await.unwrap()
    };
    for (sql, is_divided) in [
        (
            "SELECT count(*), min(timestamp), max(timestamp) FROM logs",
            true,
        ),
        (
            "SELECT level(message) AS level, count(*) FROM logs GROUP BY 1",
            true,
        ),
        (
            "SELECT log_group, date_trunc('day', timestamp) AS day, count(DISTINCT message) FROM logs WHERE level(message) = 'ERROR' GROUP BY 1, 2",
            true,
        ),
        (
            "SELECT message FROM logs WHERE message LIKE '%재고%' ORDER BY message LIMIT 30",
            true,
        ),
        (
            "SELECT a.log_stream, a.n, b.n FROM (SELECT log_stream, count(*) AS n FROM logs GROUP BY 1) a LEFT JOIN (SELECT log_stream, count(*) AS n FROM logs WHERE level(message) = 'WARN' GROUP BY 1) b USING (log_stream)",
            true,
        ),
        ("SELECT message FROM logs LIMIT 5", false),
        ("SELECT array_agg(level(message)) FROM logs", false),
    ] {
        let (expected, read, _) = asked(&[], sql).await;
        for count in 1..=3 {
            let (rows, counted, is_shared) = asked(&workers[..count], sql).await;
            assert_eq!(rows, expected, "{count} workers: {sql}");
            if is_divided {
                assert_eq!(counted, read, "{count} workers: {sql}");
            }
            assert_eq!(is_shared, is_divided, "{count} workers: {sql}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_file_is_said_as_locally() {
    const DAY: usize = 9;
    let as_text = |rows: &RecordBatch| {
        let columns = rows.schema();
        let columns = columns.fields().iter().zip(rows.columns());
        let columns = columns.map(|(field, values)| match field.name().as_str() {
            "status" => ("status", texts(rows.num_rows(), |_| Some("200".to_owned()))),
            name => (name, Arc::clone(values)),
        });
        RecordBatch::try_from_iter(columns.collect::<Vec<_>>()).unwrap()
    };
    let (cloud, _, workers) = bucket(2).await;
    let name = "events/dt=2026-11-10/events-00000.parquet";
    let sql = "SELECT log_stream, count(*), sum(status) FROM events GROUP BY 1";
    for (what, class, text) in [
        (
            "missing",
            Class::Source,
            format!("s3://logs/{name} is gone"),
        ),
        (
            "replaced",
            Class::Source,
            format!("s3://logs/{name} was replaced by another object"),
        ),
        (
            "of another type",
            Class::Damaged,
            "the column \"status\" is text".to_owned(),
        ),
        (
            "no Parquet",
            Class::Damaged,
            format!("can't read s3://logs/{name} as Parquet"),
        ),
        (
            "cut",
            Class::Damaged,
            format!("can't read s3://logs/{name} as Parquet"),
        ),
    ] {
        let mut listed = Listed::new(&cloud).await;
        let key = listed.key(DAY);
        assert_eq!(key.as_ref(), name);
        let bytes = parquet(&rows_of(DAY, 0));
        match what {
            "missing" => listed.store.delete(&key).await.unwrap(),
            // The same bytes, which are another object all the same.
            "replaced" => put(&listed.store, &key, bytes).await,
            "of another type" => {
                let other = parquet(&as_text(&rows_of(DAY, 0)));
                listed.replace(DAY, other).await;
            }
            "no Parquet" => listed.replace(DAY, vec![b'x'; 5000]).await,
            _ => listed.replace(DAY, bytes[..bytes.len() / 2].to_vec()).await,
        }
        let local = listed.session(&cloud, &[]);
        let expected = answer(&local, sql).await.unwrap_err();
        assert_eq!(expected.class(), class, "{what}: {expected}");
        assert!(expected.to_string().contains(&text), "{what}: {expected}");
        for count in 1..=2 {
            let shared = listed.session(&cloud, &workers[..count]);
            let error = answer(&shared, sql).await.unwrap_err();
            assert_eq!(error.class(), class, "{what}: {error}");
            assert_eq!(error.message(), expected.message(), "{what}");
            assert_eq!(error.hint(), expected.hint(), "{what}");
        }
    }
}
