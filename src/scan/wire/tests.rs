use chrono::DateTime;
use datafusion::catalog::TableProvider;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::FileGroup;
use datafusion::error::Result as EngineResult;
use datafusion::physical_expr::expressions::Column;
use datafusion::prelude::{SessionConfig, SessionContext};
use object_store::ObjectMeta;
use object_store::memory::InMemory;
use proptest::prelude::*;

use super::dealing::files;
use super::*;
use crate::aws::{Account, Aws};
use crate::error::{Class, Error};
use crate::job::{AwsSettings, Location, OriginColumns};
use crate::layout::Origin;
use crate::layout::cloudwatch::{LogObject, ObjectFormat};
use crate::scan::budget::Budget;
use crate::scan::bundle::Bundle;
use crate::scan::report::ObjectReport;
use crate::scan::tally::Hours;
use crate::scan::{LogsTable, Processes};
use crate::store::Stores;
use crate::window::Range;

/// What is read of an object: its key, its range of events, its ETag, its size, its log group, the account and Region of that,
/// and the times of its events.
type Member = (
    String,
    Option<(i64, i64)>,
    Option<String>,
    u64,
    Option<String>,
    Option<(String, String)>,
    Option<(i64, i64)>,
);

fn member(object: &LogObject) -> Member {
    (
        object.key().to_string(),
        object.range.map(|range| (range.start_ms, range.end_ms)),
        object.e_tag.as_deref().map(str::to_owned),
        object.size,
        object.log_group.as_deref().map(str::to_owned),
        object
            .origin
            .as_deref()
            .map(|origin| (origin.account.clone(), origin.region.clone())),
        object.times.map(|times| (times.start_ms, times.end_ms)),
    )
}

fn members(plan: &Arc<dyn ExecutionPlan>) -> Vec<Member> {
    let (config, _) = scan_of(plan).unwrap();
    let bundles = files(config).map(|file| Bundle::of(file).unwrap());
    bundles
        .flat_map(|bundle| bundle.members().map(member).collect::<Vec<_>>())
        .collect()
}

fn object(number: usize, size: u64) -> LogObject {
    let meta = ObjectMeta {
        location: format!(
            "exports/{}/stream-{}/{number:06}.gz",
            number % 7,
            number % 3
        )
        .into(),
        last_modified: DateTime::from_timestamp(1_763_712_000 + number as i64, 123_456_789)
            .unwrap(),
        size,
        e_tag: (!number.is_multiple_of(5)).then(|| format!("\"{number:032x}\"")),
        version: None,
    };
    let group = format!("/aws/lambda/{}", number % 4);
    LogObject::new(&meta, (!number.is_multiple_of(4)).then_some(&*group)).unwrap()
}

const WINDOW: Range = Range {
    start_ms: 1_763_712_000_000,
    end_ms: 1_763_798_400_000,
};

async fn table(objects: Vec<LogObject>) -> LogsTable {
    let here = std::env::temp_dir();
    let location = Location::parse("s3://bucket/exports", &here).unwrap();
    let aws = Arc::new(Aws::new(AwsSettings::default()));
    let stores = Stores::new(aws)
        .and_then(|stores| stores.with_objects("bucket", Arc::new(InMemory::new())))
        .unwrap();
    let store = stores.open(&location, Account::LOGS).await.unwrap();
    let pool = Arc::clone(&SessionContext::new().runtime_env().memory_pool);
    LogsTable::new(&store, objects, WINDOW, &pool)
}

async fn scan(table: &LogsTable, processes: usize, limit: Option<usize>) -> Arc<dyn ExecutionPlan> {
    let config = SessionConfig::new()
        .with_target_partitions(4)
        .with_extension(Arc::new(Processes(processes)));
    let state = SessionContext::new_with_config(config).state();
    table.scan(&state, None, &[], limit).await.unwrap()
}

/// Columns by their names, as nothing else is projected here.
fn encoded(scan: (&FileScanConfig, &LogSource), sent: &SentScans) -> EngineResult<Vec<u8>> {
    encode(scan, sent, |expr| {
        let column = expr.downcast_ref::<Column>().unwrap();
        Ok(column.name().as_bytes().to_vec())
    })
}

fn received(bytes: &[u8]) -> EngineResult<ReceivedScan> {
    let pool = Arc::clone(&SessionContext::new().runtime_env().memory_pool);
    let received = Received::new(Budget::new(&pool), None);
    decode(bytes, &received, |expr, schema| {
        let name = std::str::from_utf8(expr).unwrap();
        Ok(Arc::new(Column::new_with_schema(name, schema)?))
    })
}

/// Sends each part of a scan, and returns what arrives.
fn sent_in_parts(
    plan: &Arc<dyn ExecutionPlan>,
    parts: usize,
    sent: &SentScans,
) -> Vec<ReceivedScan> {
    let (config, _) = scan_of(plan).unwrap();
    let parts = deal(config, parts);
    let bytes = parts
        .iter()
        .map(|part| encoded(scan_of(part).unwrap(), sent).unwrap());
    bytes.map(|bytes| received(&bytes).unwrap()).collect()
}

fn sorted(mut members: Vec<Member>) -> Vec<Member> {
    members.sort_unstable();
    members
}

#[tokio::test]
async fn one_object_of_4_gb_among_20_000_small_ones_is_dealt_out_whole() {
    let mut objects: Vec<LogObject> = (0..20_000)
        .map(|number| object(number, 200 + (number as u64 * 37) % 4000))
        .collect();
    objects[7_777].size = 4 << 30;
    let listing = sorted(objects.iter().map(member).collect());
    let table = table(objects).await;
    for workers in [1, 2, 3, 7] {
        let plan = scan(&table, workers, None).await;
        let sent = SentScans::default();
        let received = sent_in_parts(&plan, workers, &sent);
        assert_eq!(received.len(), workers);
        let read: Vec<Vec<Member>> = received.iter().map(|part| members(&part.plan)).collect();
        let large = read
            .iter()
            .position(|part| part.iter().any(|one| one.3 == 4 << 30));
        // The worker that has it has nothing else, and the others share the small ones.
        for (worker, part) in read.iter().enumerate() {
            match workers {
                1 => assert_eq!(part.len(), 20_000),
                _ if Some(worker) == large => assert_eq!(part.len(), 1),
                _ => {
                    let bytes: u64 = part.iter().map(|one| one.3).sum();
                    let all: u64 = listing.iter().map(|one| one.3).sum::<u64>() - (4 << 30);
                    let share = all / (workers as u64 - 1);
                    // As even as a bundle of small objects allows.
                    assert!(bytes.abs_diff(share) <= 1 << 20, "{bytes} of {all}");
                }
            }
        }
        assert_eq!(sorted(read.concat()), listing, "{workers} workers");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Over any number of workers, and any sizes, parts of objects and limits.
    #[test]
    fn what_is_read_is_the_listing(
        sizes in prop::collection::vec((0_u64..3_000_000, 0_u8..4), 1..300),
        workers in 1_usize..9,
        limit in prop::option::of(1_usize..20_000),
        masks: bool,
        account: bool,
        region: bool,
    ) {
        let objects = sizes.iter().enumerate().map(|(number, (size, part))| {
            let middle = WINDOW.start_ms + 3_600_000 * i64::from(*part);
            LogObject {
                range: match part {
                    0 => None,
                    1 => Some(Range { end_ms: middle, ..WINDOW }),
                    _ => Some(Range { start_ms: middle, ..WINDOW }),
                },
                requested: (*part == 3).then(|| Arc::new(WINDOW)),
                origin: (number % 3 > 0).then(|| {
                    Arc::new(Origin {
                        account: format!("{:012}", number % 3),
                        region: "eu-west-1".to_owned(),
                    })
                }),
                times: (number % 5 == 0).then_some(WINDOW),
                // Two parts of one object.
                ..object(number - number % 2 * usize::from(*part > 1), *size)
            }
        });
        let objects: Vec<LogObject> = objects.collect();
        let listing = sorted(objects.iter().map(member).collect());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let table = runtime.block_on(table(objects));
        let table = table.with_origins(OriginColumns { account, region });
        let (table, _) = table.masking(masks).counting_odd_messages().tallied();
        let plan = runtime.block_on(scan(&table, workers, limit));
        let (config, source) = scan_of(&plan).unwrap();
        let parts = workers.min(most_parts(config));
        let sent = SentScans::default();
        let received = sent_in_parts(&plan, parts, &sent);
        let read = received.iter().flat_map(|part| members(&part.plan));
        prop_assert_eq!(sorted(read.collect()), listing);
        for part in &received {
            let (part, read) = scan_of(&part.plan).unwrap();
            prop_assert_eq!(part.file_groups.len(), config.file_groups.len());
            prop_assert_eq!(part.limit, config.limit);
            prop_assert_eq!(part.preserve_order, config.preserve_order);
            prop_assert_eq!(&part.object_store_url, &config.object_store_url);
            prop_assert_eq!(&read.place, &source.place);
            prop_assert_eq!(read.filter, source.filter);
            prop_assert_eq!(read.tally.is_some(), source.tally.is_some());
            prop_assert_eq!(read.edges.is_some(), source.edges.is_some());
            prop_assert_eq!(read.table_schema.file_schema(), source.table_schema.file_schema());
            prop_assert_eq!(read.projection.column_indices(), source.projection.column_indices());
        }
    }
}

/// With one partition the rows have the order of the keys, and so have the files that arrive.
#[tokio::test]
async fn a_scan_in_order_stays_whole_and_in_its_order() {
    let objects: Vec<LogObject> = (0..50).map(|number| object(number, 10)).collect();
    let listing: Vec<Member> = objects.iter().map(member).collect();
    let plan = scan(&table(objects).await, 3, Some(10)).await;
    let (config, _) = scan_of(&plan).unwrap();
    assert_eq!(most_parts(config), 1);
    let sent = SentScans::default();
    let bytes = encoded(scan_of(&plan).unwrap(), &sent).unwrap();
    assert_eq!(members(&received(&bytes).unwrap().plan), listing);
}

#[tokio::test]
async fn a_file_without_its_objects_or_with_a_range_of_bytes_is_not_sent() {
    let objects: Vec<LogObject> = (0..50).map(|number| object(number, 1000)).collect();
    let plan = scan(&table(objects).await, 2, None).await;
    let (config, source) = scan_of(&plan).unwrap();
    let file = files(config).next().unwrap();
    let bare = PartitionedFile::new_from_meta(file.object_meta.clone());
    for (wrong, expected) in [
        (bare, "has no list of its objects"),
        (file.clone().with_range(0, 500), "has the byte range 0..500"),
    ] {
        let mut config = config.clone();
        config.file_groups = vec![FileGroup::new(vec![wrong])];
        let refused = encoded((&config, source), &SentScans::default()).unwrap_err();
        let refused = Error::from_engine(refused);
        assert_eq!(refused.class(), Class::Unexpected);
        assert!(refused.to_string().contains(expected), "{refused}");
    }
}

/// Each worker would count the copy that it reads.
#[tokio::test]
async fn a_scan_of_a_subscription_or_of_delivered_logs_is_not_sent() {
    for format in [
        ObjectFormat::Records,
        ObjectFormat::Messages { arrived_ms: 5 },
        ObjectFormat::Delivered,
        ObjectFormat::DeliveredRows,
    ] {
        let mut objects: Vec<LogObject> = (0..50).map(|number| object(number, 1000)).collect();
        objects[17].format = format;
        let plan = scan(&table(objects).await, 2, None).await;
        let (config, source) = scan_of(&plan).unwrap();
        let reason = source.read_alone().expect("a reason");
        let refused = encoded((config, source), &SentScans::default()).unwrap_err();
        let refused = Error::from_engine(refused);
        assert_eq!(refused.class(), Class::Unexpected);
        assert!(refused.to_string().contains(reason), "{refused}");
    }
}

/// Of several accounts, each has a client of its own for a bucket, which the engine tells apart by the URL.
#[tokio::test]
async fn workers_read_the_buckets_of_all_accounts_as_their_own() {
    let here = std::env::temp_dir();
    let location = Location::parse("s3://bucket/exports", &here).unwrap();
    let aws = Arc::new(Aws::new(AwsSettings::default()));
    let stores = Stores::new(aws)
        .and_then(|stores| stores.with_objects("bucket", Arc::new(InMemory::new())))
        .unwrap();
    let store = stores.open(&location, Account::Source(1)).await.unwrap();
    let pool = Arc::clone(&SessionContext::new().runtime_env().memory_pool);
    let objects = (0..50).map(|number| object(number, 1000));
    let table = LogsTable::new(&store, objects.collect(), WINDOW, &pool);
    let plan = scan(&table, 2, None).await;
    let (config, source) = scan_of(&plan).unwrap();
    assert_eq!(store_of(config), "s3://bucket/");
    let bytes = encoded((config, source), &SentScans::default()).unwrap();
    let received = received(&bytes).unwrap();
    let (received, _) = scan_of(&received.plan).unwrap();
    assert_eq!(received.object_store_url.as_str(), "s3://bucket/");
}

/// What two workers report of a scan is counted as if it had been read here, and each report once.
#[tokio::test]
async fn reports_add_up() {
    let objects: Vec<LogObject> = (0..100).map(|number| object(number, 5000)).collect();
    let (table, tally) = table(objects).await.tallied();
    let plan = scan(&table, 2, None).await;
    let sent = SentScans::default();
    let received = sent_in_parts(&plan, 2, &sent);
    let report = |number: usize| ObjectReport {
        bytes: 5000,
        events: number as u64,
        invalid_utf8_events: u32::from(number == 3),
        lines_before_first_timestamp: 2,
        backdated_events: 0,
        duplicate_events: 0,
    };
    for part in &received {
        for (own, number) in part.reported.numbers.iter().enumerate() {
            part.reported.add(own, report(*number as usize));
            let mut hours = Hours::none(WINDOW);
            hours += &"0*3 7-0000abcd 0*20".parse::<Hours>().unwrap();
            part.reported.add_hours(own, &hours);
        }
    }
    for part in &received {
        let report = part.reported.to_json();
        sent.count(&report).unwrap();
        let again = sent.count(&report).unwrap_err().to_string();
        assert!(again.contains("was reported before"), "{again}");
    }
    let total = table.read_log().complete(100).unwrap();
    assert_eq!(
        (total.objects, total.bytes, total.events),
        (100, 500_000, 4950)
    );
    assert_eq!(
        (
            total.invalid_utf8_events,
            total.lines_before_first_timestamp
        ),
        (1, 200)
    );
    assert_eq!(super::super::ScanReports::of(&plan).total(), total);
    let hours = tally.by_group().unwrap();
    let events: Vec<u64> = hours.values().map(Hours::events).collect();
    assert_eq!(events, [175; 4]);
}

#[test]
fn reports_of_other_scans_are_refused() {
    let sent = SentScans::default();
    for report in [
        "",
        "{}",
        r#"{"scan":"019a","objects":[],"hours":[],"edges":[]}"#,
    ] {
        assert!(sent.count(report).is_err(), "{report}");
    }
}
