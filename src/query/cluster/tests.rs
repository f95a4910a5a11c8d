//! Workers of this process, over objects in memory: the same answers and the same counts as without them.

mod tables;

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use bytes::Bytes;
use chrono::DateTime;
use chrono_tz::Tz;
use datafusion_distributed::Worker as EngineWorker;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::TryStreamExt;
use futures::future::join_all;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use super::access::OWN_VERSION;
use super::{Access, Cluster, Ready, Worker, info_of, partitions_of};
use crate::aws::{Account, Aws};
use crate::error::{Class, Error, Result};
use crate::job::{
    AwsSettings, Format, FormatKind, Location, Name, OriginColumns, WorkerAddress, library,
};
use crate::layout::cloudwatch::{LogObject, ObjectFormat, write_line};
use crate::layout::{Keys, Origin};
use crate::output::columns::athena_schema;
use crate::output::division::PutPart;
use crate::output::parquet::{Metadata, Spool};
use crate::output::parts::{PartsOrder, PartsWriter};
use crate::query::{Engine, Parameter, Parameters, Session, Statement};
use crate::scan::columns::cache::Cache;
use crate::scan::columns::{Columns, Keep};
use crate::scan::{Hours, LogsTable, ScanReport, Tally};
use crate::store::fake::FakeStore;
use crate::store::{Store, Stores};
use crate::window::{Range, Size, Window};

const SEOUL: Tz = chrono_tz::Asia::Seoul;

/// 2026-11-21 in Seoul.
const WINDOW: Range = Range {
    start_ms: 1_795_186_800_000,
    end_ms: 1_795_273_200_000,
};

/// The objects of an export.
struct Shape {
    name: &'static str,
    objects: Vec<(String, Vec<u8>, Option<Range>)>,
    masks: bool,
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// The text of an object: lines of JSON, Lambda's own lines, a stack trace, some of them outside the window.
fn text(number: usize, events: usize) -> Vec<u8> {
    let mut text = Vec::new();
    for event in 0..events {
        let hour = (number * 7 + event) % 26;
        let ms = WINDOW.start_ms - 3_600_000 + hour as i64 * 3_600_000 + event as i64 * 977;
        let id = format!("{number:08x}-6757-4b8f-aab4-{event:012x}");
        let message = match event % 6 {
            0 => format!("START RequestId: {id} Version: $LATEST\n"),
            1 => format!(
                r#"{{"level":"{}","status":{},"ms":{},"user":"kim{}@example.com","path":"/api/{}"}}"#,
                ["INFO", "ERROR", "WARN"][event % 3],
                200 + 100 * (event % 4),
                (number * 13 + event) % 997,
                event % 5,
                event % 7,
            ),
            2 => format!(
                "[ERROR] ValueError: 재고가 부족합니다 {event}\nTraceback (most recent call last):\n  File \"app.py\", line {event}\nValueError: no stock\n"
            ),
            3 => format!(
                "REPORT RequestId: {id}\tDuration: {}.5 ms\tBilled Duration: {} ms\tMemory Size: 512 MB\tMax Memory Used: {} MB\t{}\n",
                event % 321,
                event % 321 + 1,
                60 + event % 200,
                if event % 4 == 3 {
                    "Init Duration: 120.25 ms\t"
                } else {
                    ""
                }
            ),
            4 => format!("user kim{} took {} ms", event % 9, event % 450),
            _ => format!("END RequestId: {id}\n"),
        };
        write_line(&mut text, ms, message).unwrap();
    }
    text
}

fn shapes() -> Vec<Shape> {
    let key = |number: usize| {
        format!(
            "exports/{:04}/2026-11-21-[$LATEST]{number:032x}/000000.gz",
            number % 3
        )
    };
    let object = |number: usize, events| (key(number), gzip(&text(number, events)), None);
    let small = (0..150).map(|number| object(number, 12));
    let mut mixed: Vec<_> = (0..40).map(|number| object(number, 20)).collect();
    mixed.push(object(900, 9000));
    let noon = WINDOW.start_ms + 43_200_000;
    let halves = (0..20).map(|number| {
        let (key, bytes, _) = object(number, 60);
        let half = match number % 2 {
            0 => Range {
                end_ms: noon,
                ..WINDOW
            },
            _ => Range {
                start_ms: noon,
                ..WINDOW
            },
        };
        (key, bytes, Some(half))
    });
    let odd = (0..12).map(|number| {
        let mut odd = b"a line before the first event\n".to_vec();
        odd.extend(text(number, 15));
        write_line(
            &mut odd,
            WINDOW.start_ms + 5,
            b"bytes \xff\xfe that are no text",
        )
        .unwrap();
        // More than two weeks older than the event before it.
        write_line(&mut odd, WINDOW.start_ms - 2_000_000_000, "old").unwrap();
        (key(number), gzip(&odd), None)
    });
    // Two exports of a stream, which meet at noon.
    let meeting: [[i64; 2]; 2] = [[0, 43_200_000], [43_200_000, 80_000_000]];
    let meeting = meeting.iter().enumerate().map(|(number, times)| {
        let mut text = Vec::new();
        for ms in times {
            write_line(&mut text, WINDOW.start_ms + ms, "user kim took 5 ms").unwrap();
        }
        let task = format!("0000000{number}-6757-4b8f-aab4-3f085dddc891");
        let key = format!("exports/0001/{task}/stream/000000.gz");
        (key, gzip(&text), None)
    });
    let shape = |name, objects| Shape {
        name,
        objects,
        masks: false,
    };
    vec![
        shape("one object", vec![object(1, 500)]),
        shape("small objects", small.collect()),
        shape("a large one among small ones", mixed),
        shape("parts of objects", halves.collect()),
        Shape {
            masks: true,
            ..shape("odd lines, without personal data", odd.collect())
        },
        shape("exports that meet", meeting.collect()),
        shape("no object", Vec::new()),
    ]
}

const QUERIES: [&str; 14] = [
    "SELECT count(*) FROM logs",
    "SELECT hour_of_day(timestamp) AS hour, count(*), min(timestamp), max(timestamp) FROM logs GROUP BY 1",
    "SELECT log_group, log_stream, count(*) AS n FROM logs GROUP BY 1, 2",
    "SELECT level(message) AS level, count(DISTINCT log_stream), count(*) FROM logs GROUP BY 1 ORDER BY 3 DESC",
    "SELECT timestamp, log_stream, message FROM logs WHERE level(message) = 'ERROR' ORDER BY timestamp LIMIT 20",
    "SELECT message FROM logs WHERE message LIKE '%재고%' AND timestamp >= $window_start + interval '6 hours' ORDER BY message",
    "SELECT DISTINCT message->>'path' AS path FROM logs",
    "SELECT percentile_cont(lambda_report(message)['duration_ms'], 0.95), p50((message->>'ms')::double) FROM logs",
    "SELECT time_bucket('1 hour', timestamp) AS hour, parse_as(message, 'app')['user'] AS who, count(*) FROM logs GROUP BY 1, 2",
    "SELECT hour_local, count(message) FROM hours LEFT JOIN logs ON time_bucket('1 hour', timestamp) = hour_utc GROUP BY hour_utc, hour_local ORDER BY hour_utc",
    "SELECT a.log_stream, a.n, b.n FROM (SELECT log_stream, count(*) AS n FROM logs GROUP BY 1) a JOIN (SELECT log_stream, count(*) AS n FROM logs WHERE level(message) = 'ERROR' GROUP BY 1) b USING (log_stream)",
    "SELECT pattern(message) AS kind, count(*) FROM logs GROUP BY 1 UNION ALL SELECT 'all', count(*) FROM logs",
    "SELECT count(*) FROM logs WHERE timestamp > (SELECT min(timestamp) + interval '6 hours' FROM logs)",
    "SELECT log_stream, message, row_number() OVER (PARTITION BY log_stream ORDER BY timestamp, message) AS n FROM logs WHERE message LIKE 'REPORT%' ORDER BY 1, 3 LIMIT 50",
];

/// A bucket, and what reads it.
struct Cloud {
    bucket: Arc<FakeStore>,
    stores: Stores,
    store: Store,
    folder: TempDir,
}

impl Cloud {
    async fn new(shape: &Shape) -> (Self, Vec<LogObject>) {
        let bucket = Arc::new(FakeStore::default());
        let mut objects = Vec::new();
        for (key, bytes, range) in &shape.objects {
            let location = object_store::path::Path::parse(key).unwrap();
            bucket
                .put(&location, PutPayload::from(bytes.clone()))
                .await
                .unwrap();
            let meta = ObjectMeta {
                last_modified: DateTime::from_timestamp(1_795_280_000, 0).unwrap(),
                ..bucket.head(&location).await.unwrap()
            };
            let group = format!("/aws/lambda/{}", key.as_bytes()[11]);
            objects.push(LogObject {
                range: *range,
                ..LogObject::new(&meta, Some(&group)).unwrap()
            });
        }
        LogObject::sort_by_stream(&mut objects);
        let aws = Arc::new(Aws::new(AwsSettings::default()));
        let objects_of_bucket: Arc<dyn ObjectStore> = bucket.clone();
        let stores = Stores::new(aws)
            .unwrap()
            .with_objects("logs", objects_of_bucket)
            .unwrap();
        let location = Location::parse("s3://logs/exports", std::path::Path::new("/")).unwrap();
        let store = stores.open(&location, Account::LOGS).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let cloud = Self {
            bucket,
            stores,
            store,
            folder,
        };
        (cloud, objects)
    }

    fn engine(&self) -> Engine {
        Engine::new(256 << 20, self.folder.path()).unwrap()
    }

    async fn worker(&self) -> Running {
        self.worker_with(self.engine()).await
    }

    async fn worker_with(&self, engine: Engine) -> Running {
        self.worker_that_keeps(engine, None).await
    }

    async fn worker_that_keeps(&self, engine: Engine, columns: Option<Arc<Columns>>) -> Running {
        let address = "127.0.0.1:0".parse().unwrap();
        let stores = self.stores.clone();
        let scratch = self.folder.path().to_owned();
        let writer = Arc::new(PartsWriter::new(stores.clone(), scratch));
        let worker = Worker::listen(address, Access::default(), engine, stores, columns, writer);
        let worker = worker.await.unwrap();
        let address = worker.address().unwrap().to_string().parse().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async {
            let _ = stopped.await;
        };
        let task = tokio::spawn(worker.run(stopped, Duration::ZERO));
        Running {
            address,
            stop,
            task,
        }
    }
}

struct Running {
    address: WorkerAddress,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<Result<()>>,
}

/// An engine whose scans these workers share, if there are any.
fn engine_with(cloud: &Cloud, workers: &[Running]) -> Engine {
    let engine = cloud.engine();
    if workers.is_empty() {
        return engine;
    }
    let addresses = workers.iter().map(|worker| worker.address.clone());
    let cluster = Cluster::new(addresses.collect(), Access::default());
    engine.with_cluster(cluster.unwrap())
}

/// The session over a shape, with the log of what it reads.
fn session(
    cloud: &Cloud,
    shape: &Shape,
    objects: &[LogObject],
    workers: &[Running],
) -> (Session, LogsTable, Arc<Tally>) {
    session_of(cloud, shape, objects, engine_with(cloud, workers))
}

/// The same of an engine.
fn session_of(
    cloud: &Cloud,
    shape: &Shape,
    objects: &[LogObject],
    engine: Engine,
) -> (Session, LogsTable, Arc<Tally>) {
    let logs = LogsTable::new(&cloud.store, objects.to_vec(), WINDOW, engine.pool());
    let (logs, tally) = logs.counting_odd_messages().masking(shape.masks).tallied();
    let formats = [Format {
        name: Name::new("app").unwrap(),
        kind: FormatKind::Glob,
        pattern: "user {user} took {ms:float} ms".to_owned(),
    }];
    let session = engine
        .session(SEOUL)
        .unwrap()
        .with_formats(&formats)
        .with_logs(logs.clone(), Some(&cloud.store))
        .and_then(|session| session.with_window(WINDOW))
        .unwrap();
    (session, logs, tally)
}

/// The rows, and what the scans have read.
async fn answer(session: &Session, sql: &str) -> Result<(String, ScanReport, bool)> {
    // As a job's query, whose rows have an order that is always the same.
    let prepared = session.prepare(sql, "SQL").await?;
    let statement = session.bind(&prepared).await?;
    let mut execution = session.run(&statement).await?;
    let is_shared = execution.is_shared();
    let mut batches = Vec::new();
    while let Some(batch) = execution
        .batches
        .try_next()
        .await
        .map_err(Error::from_engine)?
    {
        batches.push(batch);
    }
    let rows = pretty_format_batches(&batches).unwrap().to_string();
    Ok((rows, execution.scans().total(), is_shared))
}

/// The queries of the library that need no earlier answer, with the defaults of their parameters.
fn library_queries() -> Vec<(&'static str, Parameters)> {
    let queries = library().iter().filter_map(|query| {
        let mut parameters = Parameters::default();
        for parameter in &query.header.parameters {
            let value = parameter
                .default
                .as_deref()
                .unwrap_or("00000001-6757-4b8f-aab4-000000000000");
            parameters
                .add(&parameter.name, Parameter::any(value))
                .unwrap();
        }
        (!query.sql.contains("previous(")).then_some((query.sql, parameters))
    });
    queries.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_and_counts_are_the_same_on_any_number_of_workers() {
    let mut queries: Vec<(&str, Parameters)> = library_queries();
    assert!(queries.len() > 20);
    queries.extend(QUERIES.map(|sql| (sql, Parameters::default())));
    let (mut all, mut stays) = (0, Vec::new());
    for shape in shapes() {
        let (cloud, objects) = Cloud::new(&shape).await;
        let mut workers = Vec::new();
        for _ in 0..3 {
            workers.push(cloud.worker().await);
        }
        for (sql, parameters) in &queries {
            let (local, _, _) = session(&cloud, &shape, &objects, &[]);
            let local = local.with_parameters(parameters.clone());
            let (expected, read, _) = answer(&local, sql).await.unwrap();
            for count in 1..=3 {
                let (session, _, _) = session(&cloud, &shape, &objects, &workers[..count]);
                let session = session.with_parameters(parameters.clone());
                let found = answer(&session, sql).await;
                let (rows, counted, is_shared) = found.unwrap_or_else(|error| {
                    panic!("{}, {count} workers, {sql}: {error}", shape.name)
                });
                assert_eq!(rows, expected, "{}, {count} workers: {sql}", shape.name);
                assert_eq!(counted, read, "{}, {count} workers: {sql}", shape.name);
                if shape.objects.len() > 1 {
                    all += 1;
                    if !is_shared {
                        stays.push(format!("{}: {sql}", shape.name));
                    }
                }
            }
        }
        for worker in workers {
            worker.stop.send(()).unwrap();
            worker.task.await.unwrap().unwrap();
        }
    }
    // Nearly all of them are shared, or nothing was tried.
    assert!(stays.len() * 10 < all * 2, "of {all} stay {stays:#?}");
}

/// With fewer the engine would read all of it in the coordinator.
#[test]
fn a_plan_has_two_parts_of_two_partitions_at_least() {
    let url = |port: usize| url::Url::parse(&format!("http://10.0.0.7:{port}/worker")).unwrap();
    for (workers, partitions, expected) in [
        (1, 1, (2, 2)),
        (1, 8, (2, 4)),
        (2, 1, (2, 2)),
        (3, 8, (3, 8)),
    ] {
        let ready = Ready {
            workers: (1..=workers).map(url).collect(),
            partitions,
        };
        let parts = ready.of_parts();
        assert!(ready.workers.iter().all(|worker| parts.contains(worker)));
        assert_eq!((parts.len(), ready.partitions_of_part()), expected);
    }
}

#[test]
fn a_worker_of_another_version_is_not_used() {
    assert_eq!(partitions_of(&info_of(4)), Some(4));
    for info in ["", "4", "0.0.9 4", "0.0.9", &info_of(0), OWN_VERSION] {
        assert_eq!(partitions_of(info), None, "{info}");
    }
}

/// A cache of columns in a new folder.
fn cache(folder: &TempDir, name: &str) -> Arc<Columns> {
    Columns::cached(Cache::open(&folder.path().join(name), Some(64 << 20)).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_keep_the_columns_of_what_they_read() {
    let shape = shapes().swap_remove(1);
    let (cloud, objects) = Cloud::new(&shape).await;
    let mut workers = Vec::new();
    for name in ["one", "two"] {
        let columns = Some(cache(&cloud.folder, name));
        workers.push(cloud.worker_that_keeps(cloud.engine(), columns).await);
    }
    let own = cache(&cloud.folder, "own");
    let sql = "SELECT log_stream, count(*), max(message) FROM logs GROUP BY 1 ORDER BY 1";
    let ask = async |keeps: bool| {
        let engine = engine_with(&cloud, &workers);
        let logs = LogsTable::new(&cloud.store, objects.clone(), WINDOW, engine.pool());
        let logs = match keeps {
            true => logs.keeping(Arc::clone(&own), Keep::AsRead),
            false => logs,
        };
        let session = engine.session(SEOUL).unwrap();
        let session = session.with_logs(logs, Some(&cloud.store)).unwrap();
        answer(&session.with_window(WINDOW).unwrap(), sql).await
    };
    let first = ask(true).await.unwrap();
    for object in &objects {
        cloud.store.delete(&object.key()).await.unwrap();
    }
    assert_eq!(ask(true).await.unwrap(), first);
    // Where the coordinator keeps nothing, neither do its workers.
    assert_eq!(ask(false).await.unwrap_err().class(), Class::Source);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_workers_have_read_is_known_while_they_read() {
    let shape = shapes().swap_remove(1);
    let (cloud, objects) = Cloud::new(&shape).await;
    let workers = [cloud.worker().await, cloud.worker().await];
    let (session, ..) = session(&cloud, &shape, &objects, &workers);
    let largest = objects.iter().max_by_key(|object| object.size).unwrap();
    cloud.bucket.hold_back(largest.key().as_ref());
    let sql = "SELECT log_stream, count(*) FROM logs GROUP BY 1 ORDER BY 1";
    let statement = session.statement(sql, "SQL").await.unwrap();
    let execution = session.run(&statement).await.unwrap();
    assert!(execution.is_shared());
    let progress = execution.progress();
    let all = progress.bytes();
    let reading = tokio::spawn(execution.batches.try_collect::<Vec<_>>());
    while progress.so_far().bytes == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let so_far = progress.so_far();
    assert!(
        so_far.events > 0 && so_far.objects < objects.len(),
        "{so_far:?}"
    );
    cloud.bucket.give_out();
    reading.await.unwrap().unwrap();
    let read = progress.so_far();
    assert_eq!((read.bytes, read.objects), (all, objects.len()));
}

/// A worker that says it is of another version, and takes every request.
async fn worker_of_version(info: &str) -> WorkerAddress {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let worker = EngineWorker::default().with_version(info.to_owned());
    let serving = Server::builder()
        .add_service(worker.into_worker_server())
        .serve_with_incoming(TcpIncoming::from(listener));
    tokio::spawn(serving);
    address.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_of_other_versions_get_no_plan() {
    let shape = shapes().swap_remove(1);
    let (cloud, objects) = Cloud::new(&shape).await;
    let there = cloud.worker().await;
    let own = there.address.clone();
    let engine = |addresses: Vec<WorkerAddress>| {
        let cluster = Cluster::new(addresses, Access::default()).unwrap();
        cloud.engine().with_cluster(cluster)
    };
    let other = worker_of_version("0.0.9 2").await;
    let named = format!("the worker {other} says that it is \"0.0.9 2\"");
    let sql = "SELECT count(*) FROM logs";
    let (alone, ..) = session_of(&cloud, &shape, &objects, engine(vec![other.clone()]));
    let error = answer(&alone, sql).await.unwrap_err();
    assert_eq!(error.class(), Class::Workers);
    assert!(error.to_string().contains(&named), "{error}");
    let (both, ..) = session_of(&cloud, &shape, &objects, engine(vec![other, own]));
    let (rows, _, is_shared) = answer(&both, sql).await.unwrap();
    let (local, ..) = session(&cloud, &shape, &objects, &[]);
    assert_eq!(rows, answer(&local, sql).await.unwrap().0);
    assert!(is_shared);
}

/// Each alone takes most of the memory, and spills.
#[tokio::test(flavor = "multi_thread")]
async fn several_queries_share_the_memory_of_a_worker() {
    let mut shape = shapes().swap_remove(1);
    let key = format!("exports/0001/{:032x}/000000.gz", 77_777);
    shape.objects.push((key, gzip(&text(7, 60_000)), None));
    let (cloud, objects) = Cloud::new(&shape).await;
    let small = || Engine::new(24 << 20, cloud.folder.path()).unwrap();
    let workers = [
        cloud.worker_with(small()).await,
        cloud.worker_with(small()).await,
    ];
    let sql = "SELECT message, count(*) AS n FROM logs GROUP BY 1 ORDER BY n DESC, 1 LIMIT 20";
    let (local, ..) = session(&cloud, &shape, &objects, &[]);
    let (expected, ..) = answer(&local, sql).await.unwrap();
    let asked = (0..4).map(|_| async {
        let (shared, ..) = session(&cloud, &shape, &objects, &workers);
        answer(&shared, sql).await.unwrap()
    });
    for (rows, _, is_shared) in join_all(asked).await {
        assert_eq!((rows, is_shared), (expected.clone(), true));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_receipt_counts_comes_back() {
    for shape in shapes() {
        let (cloud, objects) = Cloud::new(&shape).await;
        let workers = [cloud.worker().await, cloud.worker().await];
        let sql = "SELECT count(message) FROM logs";
        let mut counts = Vec::new();
        for workers in [&workers[..0], &workers[..]] {
            let (session, logs, tally) = session(&cloud, &shape, &objects, workers);
            answer(&session, sql).await.unwrap();
            let meet = logs.common_events().is_some();
            assert_eq!(meet, shape.name == "exports that meet");
            let read = logs.read_log().complete(objects.len());
            let hours = tally.by_group().unwrap();
            let hours: Vec<(Option<String>, Hours)> = hours.into_iter().collect();
            counts.push((read.unwrap(), hours, logs.oddities()));
        }
        assert_eq!(counts[0], counts[1], "{}", shape.name);
    }
}

/// Two accounts have objects in one bucket, for which the coordinator has a client of each.
#[tokio::test(flavor = "multi_thread")]
async fn several_sources_are_shared_and_counted_one_by_one() {
    let shape = shapes().swap_remove(2);
    let (cloud, objects) = Cloud::new(&shape).await;
    let location = cloud.store.location();
    let other = cloud.stores.open(location, Account::Source(1)).await;
    let other = other.unwrap();
    let (first, second) = objects.split_at(objects.len() / 2);
    let sources = [
        (&cloud.store, first, "111111111111"),
        (&other, second, "222222222222"),
    ];
    let workers = [cloud.worker().await, cloud.worker().await];
    let sql = "SELECT account, region, count(*) AS n, count(message) FROM logs GROUP BY 1, 2";
    let mut found = Vec::new();
    for workers in [&workers[..0], &workers[..]] {
        let engine = engine_with(&cloud, workers);
        let mut tables = Vec::new();
        let mut tallies = Vec::new();
        for (store, objects, account) in sources {
            let origin = Arc::new(Origin {
                account: account.to_owned(),
                region: "eu-west-1".to_owned(),
            });
            let objects = objects.iter().map(|object| LogObject {
                origin: Some(Arc::clone(&origin)),
                ..object.clone()
            });
            let table = LogsTable::new(store, objects.collect(), WINDOW, engine.pool());
            let table = table.with_origins(OriginColumns::ALL);
            let (table, tally) = table.counting_odd_messages().tallied();
            tables.push(table);
            tallies.push(tally);
        }
        let session = engine.session(SEOUL).unwrap();
        let session = session
            .with_logs_of(&tables, &sources.map(|(store, ..)| store))
            .unwrap();
        let (rows, read, is_shared) = answer(&session, sql).await.unwrap();
        assert_eq!(is_shared, !workers.is_empty());
        let of_sources: Vec<_> = tables
            .iter()
            .zip(&tallies)
            .map(|(table, tally)| {
                let read = table.read_log().complete(table.objects().len());
                (read.unwrap(), tally.by_group().unwrap())
            })
            .collect();
        found.push((rows, read, of_sources));
    }
    assert_eq!(found[0], found[1]);
}

/// Two workers that each read a copy of an event would both have a row of it.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_a_subscription_delivers_twice_is_one_row() {
    let record = |number: usize| {
        // Half of the events are in the next object too.
        let events = (number * 50..number * 50 + 100).map(|event| {
            let ms = WINDOW.start_ms + event as i64;
            format!(
                r#"{{"id":"{:056}","timestamp":{ms},"message":"event {event}"}}"#,
                event + 1
            )
        });
        let events: Vec<String> = events.collect();
        format!(
            r#"{{"messageType":"DATA_MESSAGE","owner":"123456789012","logGroup":"checkout","logStream":"s","subscriptionFilters":["all"],"logEvents":[{}]}}"#,
            events.join(",")
        )
    };
    let objects = (0..20).map(|number| {
        let key = format!("exports/0001/2026/11/21/{number:06}.gz");
        (key, gzip(record(number).as_bytes()), None)
    });
    let shape = Shape {
        name: "a subscription",
        objects: objects.collect(),
        masks: false,
    };
    let (cloud, objects) = Cloud::new(&shape).await;
    let objects: Vec<LogObject> = objects
        .into_iter()
        .map(|object| LogObject {
            format: ObjectFormat::Records,
            log_group: None,
            ..object
        })
        .collect();
    let workers = [cloud.worker().await, cloud.worker().await];
    let (session, ..) = session(&cloud, &shape, &objects, &workers);
    let sql = "SELECT log_group, count(*) AS n, count(DISTINCT message) AS m FROM logs GROUP BY 1";
    let (rows, read, is_shared) = answer(&session, sql).await.unwrap();
    assert!(rows.contains("| checkout  | 1050 | 1050 |"), "{rows}");
    assert_eq!((read.events, read.duplicate_events), (1050, 950));
    assert!(!is_shared);
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_and_mistakes_keep_their_class() {
    let mut shape = shapes().swap_remove(1);
    let cut = shape.objects[77].1.len() - 20;
    shape.objects[77].1.truncate(cut);
    let (cloud, objects) = Cloud::new(&shape).await;
    let workers = [cloud.worker().await, cloud.worker().await];
    let (session, _, _) = session(&cloud, &shape, &objects, &workers);
    for (sql, class, text) in [
        // Below what divides rows, and below what collects them.
        (
            "SELECT log_stream, count(message) FROM logs GROUP BY 1",
            Class::Damaged,
            shape.objects[77].0.as_str(),
        ),
        (
            "SELECT count(message) FROM logs",
            Class::Damaged,
            shape.objects[77].0.as_str(),
        ),
        // Not joined, which would double rows.
        (
            "SELECT count(*) FROM logs WHERE timestamp > (SELECT timestamp FROM logs)",
            Class::Sql,
            "more than one row",
        ),
        (
            "SELECT count(*) / (count(*) - count(*)) FROM logs WHERE log_group = 'none'",
            Class::Sql,
            "zero",
        ),
    ] {
        let error = answer(&session, sql).await.unwrap_err();
        assert_eq!(error.class(), class, "{sql}: {error}");
        assert!(error.to_string().contains(text), "{sql}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_worker_nothing_is_read() {
    let shape = shapes().swap_remove(1);
    let (cloud, objects) = Cloud::new(&shape).await;
    let gone = cloud.worker().await;
    let there = cloud.worker().await;
    gone.stop.send(()).unwrap();
    gone.task.await.unwrap().unwrap();
    let gone = Running {
        address: gone.address,
        stop: oneshot::channel().0,
        task: tokio::spawn(async { Ok(()) }),
    };
    let sql = "SELECT count(*) FROM logs";
    let workers = [gone, there];
    let (alone, _, _) = session(&cloud, &shape, &objects, &workers[..1]);
    let error = answer(&alone, sql).await.unwrap_err();
    assert_eq!(error.class(), Class::Workers);
    let name = workers[0].address.to_string();
    assert!(error.to_string().contains(&name), "{error}");
    // Those that are there go on.
    let (both, _, _) = session(&cloud, &shape, &objects, &workers);
    let (rows, ..) = answer(&both, sql).await.unwrap();
    let (local, _, _) = session(&cloud, &shape, &objects, &[]);
    assert_eq!(rows, answer(&local, sql).await.unwrap().0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_memory_and_disk_are_full_is_left_out() {
    let mut shape = shapes().swap_remove(1);
    let key = format!("exports/0001/{:032x}/000000.gz", 77_777);
    shape.objects.push((key, gzip(&text(7, 60_000)), None));
    let (cloud, objects) = Cloud::new(&shape).await;
    let poor = Engine::without_disk(4 << 20).unwrap();
    let workers = [cloud.worker_with(poor).await, cloud.worker().await];
    let sql = "SELECT message, count(*) AS n FROM logs GROUP BY 1 ORDER BY n DESC, 1 LIMIT 20";
    let (local, ..) = session(&cloud, &shape, &objects, &[]);
    let (expected, read, _) = answer(&local, sql).await.unwrap();
    let (both, ..) = session(&cloud, &shape, &objects, &workers);
    let (rows, counted, is_shared) = answer(&both, sql).await.unwrap();
    assert_eq!((rows, counted, is_shared), (expected, read, true));
    let (alone, ..) = session(&cloud, &shape, &objects, &workers[..1]);
    let error = answer(&alone, sql).await.unwrap_err();
    assert_eq!(error.class(), Class::Sql);
    let expected = format!("the worker {} needs more memory", workers[0].address);
    assert!(error.to_string().contains(&expected), "{error}");
}

/// Files end early, so that a section of small objects has several.
const FILE_SIZE: u64 = 8 << 10;

/// Rows of the objects one by one.
const ROW_BY_ROW: [&str; 4] = [
    "SELECT * FROM logs",
    "SELECT timestamp, message, message->>'user' AS who FROM logs WHERE level(message) = 'ERROR'",
    "SELECT * FROM errors",
    "SELECT log_stream, length(message) AS n FROM logs WHERE log_stream LIKE '%1' AND timestamp >= $window_start",
];

/// What workers have put of an answer.
struct Put {
    parts: Vec<PutPart>,
    /// Its rows, as its parts have them one behind the other.
    rows: String,
}

fn metadata() -> Metadata {
    Metadata::new("j", "2026-11-21", "SELECT 1")
}

async fn statement_of(session: &Session, sql: &str) -> Statement {
    let prepared = session.prepare(sql, "SQL").await.unwrap();
    session.bind(&prepared).await.unwrap()
}

/// The answer as workers write it; `None` where they do not.
async fn put_by_workers(cloud: &Cloud, session: &Session, sql: &str) -> Result<Option<Put>> {
    let statement = statement_of(session, sql).await;
    let day = Window::parse(Size::Day, SEOUL, "2026-11-21").unwrap();
    let location = Location::parse("s3://logs/answers", std::path::Path::new("/")).unwrap();
    let keys = Keys::new(&location, "j").unwrap();
    let keys = keys.of_answer("q", &day);
    let columns = athena_schema(&statement.schema()).unwrap();
    let order = PartsOrder::new(&cloud.store, keys.parts(), &columns, &metadata(), FILE_SIZE)?;
    let order = order.unwrap().to_workers()?;
    let Some(reports) = session.write_parts(&statement, &order).await? else {
        return Ok(None);
    };
    let parts = reports.iter().map(|report| PutPart::from_report(report));
    let parts: Vec<PutPart> = parts.collect::<Result<_>>()?;
    let mut batches = Vec::new();
    for part in &parts {
        let PutPart { written, rows } = part;
        assert!(keys.is_part(&written.key), "{}", written.key);
        let there = cloud.store.head(&written.key).await?.unwrap();
        assert_eq!((there.size, &there.e_tag), (written.bytes, &written.etag));
        let bytes = cloud.store.get(&written.key).await?.unwrap();
        let of_part = read_parquet(bytes);
        let count: usize = of_part.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(count as u64, *rows);
        assert!(count > 0);
        batches.extend(of_part);
    }
    let rows = pretty_format_batches(&batches).unwrap().to_string();
    Ok(Some(Put { parts, rows }))
}

fn read_parquet(bytes: Bytes) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
    reader.build().unwrap().map(Result::unwrap).collect()
}

/// The answer as one process writes it, and its counts.
async fn written_here(session: &Session, sql: &str) -> (String, ScanReport) {
    let statement = statement_of(session, sql).await;
    let mut execution = session.run(&statement).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let columns = athena_schema(&statement.schema()).unwrap();
    let path = folder.path().join("whole.parquet");
    let mut spool = Spool::create(path, columns, &metadata(), session.pool()).unwrap();
    while let Some(batch) = execution.batches.try_next().await.unwrap() {
        spool.write(&batch).await.unwrap();
    }
    let file = spool.finish().await.unwrap().remove(0);
    let batches = read_parquet(std::fs::read(file.path).unwrap().into());
    let rows = pretty_format_batches(&batches).unwrap().to_string();
    (rows, execution.scans().total())
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_write_the_rows_of_the_local_answer_in_its_order() {
    let mut most_parts = 0;
    for shape in shapes() {
        let (cloud, objects) = Cloud::new(&shape).await;
        let mut workers = Vec::new();
        for _ in 0..3 {
            workers.push(cloud.worker().await);
        }
        for sql in ROW_BY_ROW {
            let (local, local_logs, local_tally) = session(&cloud, &shape, &objects, &[]);
            let (expected, _) = written_here(&local, sql).await;
            for count in 1..=3 {
                let about = format!("{}, {count} workers: {sql}", shape.name);
                let (session, logs, tally) = session(&cloud, &shape, &objects, &workers[..count]);
                let put = put_by_workers(&cloud, &session, sql).await;
                let put = put.unwrap_or_else(|error| panic!("{about}: {error}"));
                let Some(Put { parts, rows }) = put else {
                    // Two objects of four events are less than a file, and so may those of a few streams be.
                    let is_small = ["exports that meet", "no object"].contains(&shape.name);
                    assert!(is_small || sql == ROW_BY_ROW[3], "{about}");
                    continue;
                };
                assert!(rows == expected, "{about}:\n{rows}\n{expected}");
                most_parts = most_parts.max(parts.len());
                let read = |logs: &LogsTable| logs.read_log().complete(objects.len());
                assert_eq!(read(&logs), read(&local_logs), "{about}");
                assert_eq!(logs.oddities(), local_logs.oddities(), "{about}");
                // A condition on streams leaves objects unread, here as there.
                let hours = |tally: &Tally| tally.by_group().map_err(|error| error.to_string());
                assert_eq!(hours(&tally), hours(&local_tally), "{about}");
            }
        }
    }
    assert!(most_parts > 3, "{most_parts}");
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_write_nothing_but_rows_of_objects_one_by_one() {
    let shape = shapes().swap_remove(1);
    let (cloud, objects) = Cloud::new(&shape).await;
    let workers = [cloud.worker().await, cloud.worker().await];
    let (session, ..) = session(&cloud, &shape, &objects, &workers);
    for sql in [
        "SELECT * FROM logs LIMIT 100000",
        "SELECT * FROM logs ORDER BY message",
        "SELECT DISTINCT message FROM logs",
        "SELECT message, row_number() OVER () AS n FROM logs",
        "SELECT message FROM logs UNION ALL SELECT message FROM logs",
        "SELECT a.message FROM logs a JOIN logs b USING (message)",
        "SELECT * FROM logs WHERE timestamp > (SELECT min(timestamp) FROM logs)",
        "SELECT hour_local FROM hours",
    ] {
        let put = put_by_workers(&cloud, &session, sql).await.unwrap();
        assert!(put.is_none(), "{sql}");
    }
    let none = "SELECT * FROM logs WHERE message = 'there is none'";
    let put = put_by_workers(&cloud, &session, none)
        .await
        .unwrap()
        .unwrap();
    assert!(put.parts.is_empty());
}

/// Two accounts, the objects of one behind those of the other.
#[tokio::test(flavor = "multi_thread")]
async fn sections_of_several_sources_keep_their_order() {
    let shape = shapes().swap_remove(2);
    let (cloud, objects) = Cloud::new(&shape).await;
    let location = cloud.store.location();
    let other = cloud.stores.open(location, Account::Source(1)).await;
    let other = other.unwrap();
    let (first, second) = objects.split_at(objects.len() / 3);
    let workers = [cloud.worker().await, cloud.worker().await];
    let mut answers = Vec::new();
    for workers in [&workers[..0], &workers[..]] {
        let engine = engine_with(&cloud, workers);
        let tables = [(&cloud.store, first), (&other, second)];
        let tables = tables
            .map(|(store, objects)| LogsTable::new(store, objects.to_vec(), WINDOW, engine.pool()));
        let session = engine.session(SEOUL).unwrap();
        let session = session.with_logs_of(&tables, &[&cloud.store, &other]);
        let session = session.unwrap();
        let sql = "SELECT log_stream, message FROM logs WHERE message LIKE '%a%'";
        let rows = match workers.is_empty() {
            true => written_here(&session, sql).await.0,
            false => {
                let put = put_by_workers(&cloud, &session, sql).await.unwrap();
                put.unwrap().rows
            }
        };
        answers.push(rows);
    }
    assert!(answers[0] == answers[1], "{}\n{}", answers[0], answers[1]);
}
