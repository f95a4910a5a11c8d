use std::collections::HashMap;

use async_trait::async_trait;
use chrono::DateTime;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::TableProvider;
use datafusion::execution::memory_pool::UnboundedMemoryPool;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::prelude::{SessionConfig, SessionContext, ident, lit};
use datafusion_proto::physical_plan::DefaultPhysicalProtoConverter;
use object_store::memory::InMemory;
use object_store::{ObjectMeta, ObjectStore};

use super::*;
use crate::aws::{Account, Aws};
use crate::error::Result;
use crate::job::{AwsSettings, Location};
use crate::query::cluster::codec::Codec;
use crate::query::parquet_table::{FolderFilter, ListFiles, ParquetTable, TableFile, TableFiles};
use crate::scan::budget::Budget;
use crate::scan::wire::Received;
use crate::store::{Store, Stores};

const MIB: u64 = 1 << 20;

#[derive(Debug)]
struct Listed {
    store: Store,
    sizes: Vec<u64>,
}

#[async_trait]
impl ListFiles for Listed {
    async fn list(&self, _: &FolderFilter<'_>) -> Result<TableFiles> {
        let files = self
            .sizes
            .iter()
            .enumerate()
            .map(|(number, size)| TableFile {
                object: ObjectMeta {
                    location: format!("events/dt={number:03}/events-00000.parquet").into(),
                    last_modified: DateTime::UNIX_EPOCH,
                    size: *size,
                    e_tag: (number % 3 != 0).then(|| format!("\"{number:032x}\"")),
                    version: None,
                },
                folders: vec![(number % 4 != 0).then(|| format!("{number:03}"))],
            });
        Ok(TableFiles {
            store: self.store.clone(),
            files: files.collect(),
        })
    }
}

fn bucket() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

fn context(partitions: usize) -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(partitions);
    let context = SessionContext::new_with_config(config);
    let url = ObjectStoreUrl::parse("s3://bucket").unwrap();
    context.register_object_store(url.as_ref(), bucket());
    context
}

/// The plan of a scan of files of these sizes, in partitions of this process.
async fn scan(sizes: &[u64], partitions: usize, limit: Option<usize>) -> Arc<dyn ExecutionPlan> {
    let aws = Arc::new(Aws::new(AwsSettings::default()));
    let stores = Stores::new(aws).unwrap();
    let stores = stores.with_objects("bucket", bucket()).unwrap();
    let here = std::env::temp_dir();
    let location = Location::parse("s3://bucket/events", &here).unwrap();
    // The second account's client of the bucket.
    let store = stores.open(&location, Account::Source(1)).await.unwrap();
    let columns = Schema::new(vec![
        Field::new("message", DataType::Utf8View, true),
        Field::new("status", DataType::Int64, true),
    ]);
    let listed = Listed {
        store,
        sizes: sizes.to_vec(),
    };
    let folders = vec!["dt".to_owned()];
    let table = ParquetTable::new(&columns, folders, Arc::new(listed), "window");
    let filters = match limit {
        Some(_) => Vec::new(),
        None => vec![ident("status").gt(lit(400_i64))],
    };
    let state = context(partitions).state();
    let plan = table.scan(&state, Some(&vec![2, 1]), &filters, limit).await;
    plan.unwrap()
}

/// The bytes of each file that some scans read, with how often the file is opened.
fn read(parts: &[Arc<dyn ExecutionPlan>]) -> HashMap<String, (u64, usize)> {
    let mut read = HashMap::new();
    for file in parts.iter().flat_map(|part| files(scan_of(part).unwrap())) {
        let (bytes, opened) = read
            .entry(file.object_meta.location.to_string())
            .or_insert((0, 0));
        *bytes += file.effective_size();
        *opened += 1;
    }
    read
}

fn loads(parts: &[Arc<dyn ExecutionPlan>]) -> Vec<u64> {
    let files = parts.iter().map(|part| files(scan_of(part).unwrap()));
    files
        .map(|files| files.map(PartitionedFile::effective_size).sum())
        .collect()
}

#[tokio::test]
async fn files_stay_whole_where_there_are_enough() {
    let sizes: Vec<u64> = (1..=40).map(|number| number * MIB / 2).collect();
    let plan = scan(&sizes, 4, None).await;
    let config = scan_of(&plan).unwrap();
    assert!(!is_whole(config));
    assert_eq!(parts_of(config, 3), 3);
    let parts = deal(config, 3);
    assert_eq!(parts.len(), 3);
    for part in &parts {
        assert_eq!(scan_of(part).unwrap().file_groups.len(), 4);
    }
    let read = read(&parts);
    assert_eq!(read.len(), 40);
    assert!(read.values().all(|(_, opened)| *opened == 1));
    let loads = loads(&parts);
    let (least, most) = (loads.iter().min().unwrap(), loads.iter().max().unwrap());
    assert!(most - least <= 2 * MIB, "{loads:?}");
}

#[tokio::test]
async fn a_large_file_is_cut_and_each_byte_is_read_once() {
    let sizes = [900 * MIB + 7, 20 * MIB, 10 * MIB, 1];
    let plan = scan(&sizes, 2, None).await;
    let state = context(2).state();
    // As the engine cuts files for the partitions of one process.
    let cut = plan.repartitioned(2, state.config_options()).unwrap();
    for plan in [Some(plan), cut].into_iter().flatten() {
        let parts = deal(scan_of(&plan).unwrap(), 3);
        let loads = loads(&parts);
        assert_eq!(loads.iter().sum::<u64>(), sizes.iter().sum::<u64>());
        assert!(loads.iter().all(|load| *load > 250 * MIB), "{loads:?}");
        for (number, size) in sizes.iter().enumerate() {
            let key = format!("events/dt={number:03}/events-00000.parquet");
            let mut ranges: Vec<(u64, u64)> = parts
                .iter()
                .flat_map(|part| files(scan_of(part).unwrap()))
                .filter(|file| file.object_meta.location.as_ref() == key)
                .map(PartitionedFile::range)
                .collect();
            ranges.sort_unstable();
            assert!(ranges.len() == 1 || number == 0, "{key}: {ranges:?}");
            let ends = ranges.iter().map(|range| range.1);
            let starts: Vec<u64> = std::iter::once(0).chain(ends).collect();
            let found: Vec<u64> = ranges.iter().map(|range| range.0).chain([*size]).collect();
            assert_eq!(starts, found, "{key}");
        }
    }
}

#[tokio::test]
async fn what_is_small_or_has_an_order_is_not_divided() {
    let plan = scan(&[MIB / 2; 4], 4, None).await;
    let config = scan_of(&plan).unwrap();
    assert!(is_small(cost(config)));
    assert_eq!(parts_of(config, 8), 1);
    // Many footers take as long as many bytes.
    let many = scan(&[1; 40], 4, None).await;
    assert!(!is_small(cost(scan_of(&many).unwrap())));
    let large = scan(&[100 * MIB; 8], 1, None).await;
    let config = scan_of(&large).unwrap();
    assert!(is_whole(config));
    let parts = deal(config, 1);
    let order = |plan: &Arc<dyn ExecutionPlan>| {
        let files = files(scan_of(plan).unwrap());
        files
            .map(|file| file.object_meta.location.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(order(&parts[0]), order(&large));
}

fn codec() -> Codec {
    let budget = Budget::new(&(Arc::new(UnboundedMemoryPool::default()) as _));
    let received = Received::new(budget, None);
    Codec {
        received: Arc::new(received),
        sent: Arc::default(),
        writer: None,
    }
}

fn sent(part: &Arc<dyn ExecutionPlan>) -> Vec<u8> {
    let config = scan_of(part).unwrap();
    encode(config, &codec(), &DefaultPhysicalProtoConverter {}).unwrap()
}

fn received(bytes: &[u8], context: &SessionContext) -> EngineResult<Arc<dyn ExecutionPlan>> {
    let converter = DefaultPhysicalProtoConverter {};
    decode(bytes, &context.task_ctx(), &codec(), &converter)
}

/// What a process is to read of a file.
type Read = (String, Option<String>, FileOfTable, String, (u64, u64));

fn files_read(plan: &Arc<dyn ExecutionPlan>) -> Vec<Vec<Read>> {
    let read = |file: &PartitionedFile| {
        (
            file.object_meta.location.to_string(),
            file.object_meta.e_tag.clone(),
            file.extension::<FileOfTable>().unwrap().clone(),
            format!("{:?}", file.partition_values),
            file.range(),
        )
    };
    let groups = &scan_of(plan).unwrap().file_groups;
    groups
        .iter()
        .map(|group| group.iter().map(read).collect())
        .collect()
}

#[tokio::test]
async fn a_part_arrives_as_it_was_sent() {
    for limit in [None, Some(3), Some(5_000_000_000)] {
        let plan = scan(&[100 * MIB, 30 * MIB, 5, 8 * MIB, 9 * MIB], 3, limit).await;
        for part in deal(scan_of(&plan).unwrap(), 2) {
            let arrived = received(&sent(&part), &context(3)).unwrap();
            assert_eq!(files_read(&arrived), files_read(&part));
            assert_eq!(arrived.schema(), part.schema());
            let (own, other) = (scan_of(&part).unwrap(), scan_of(&arrived).unwrap());
            assert_eq!(other.limit, limit);
            assert_eq!(other.preserve_order, own.preserve_order);
            assert!(other.expr_adapter_factory.is_some());
            // A worker has one client of a bucket.
            assert_eq!(own.object_store_url.as_str(), "s3-1://bucket/");
            assert_eq!(other.object_store_url.as_str(), "s3://bucket/");
            let filter = |config: &FileScanConfig| config.file_source.filter();
            assert_eq!(
                filter(other).map(|filter| filter.to_string()),
                filter(own).map(|filter| filter.to_string())
            );
            assert_eq!(filter(own).is_some(), limit.is_none());
        }
    }
}

#[tokio::test]
async fn a_message_without_its_parts_is_refused() {
    let plan = scan(&[9 * MIB; 6], 2, None).await;
    let part = &deal(scan_of(&plan).unwrap(), 2)[0];
    let bytes = sent(part);
    let message = zstd::stream::decode_all(&bytes[..]).unwrap();
    let message = TableScanMessage::decode(&message[..]).unwrap();
    let refusal = |bytes: &[u8]| {
        let error = Error::from_engine(received(bytes, &context(2)).unwrap_err());
        assert_eq!(error.class(), Class::Unexpected, "{error}");
        error.message()
    };
    let with = |change: &dyn Fn(&mut TableScanMessage)| {
        let mut changed = message.clone();
        change(&mut changed);
        let bytes = changed.encode_to_vec();
        refusal(&zstd::stream::encode_all(&bytes[..], LEVEL).unwrap())
    };
    for (said, expected) in [
        (refusal(b"no zstd"), "is not zstd"),
        (
            with(&|message| drop(message.files.pop())),
            "without their names",
        ),
        (
            with(&|message| message.window_key.clear()),
            "without their names",
        ),
        (
            with(&|message| message.scan.clear()),
            "is no scan of Parquet files",
        ),
        (
            with(&|message| message.scan = vec![0xff; 9]),
            "can't be read",
        ),
    ] {
        assert!(said.contains(expected), "{said}");
    }
    // A store that was not opened is no other one.
    let error = received(&bytes, &SessionContext::new()).unwrap_err();
    assert!(error.to_string().contains("s3://bucket"), "{error}");
}

#[tokio::test]
async fn a_scan_of_other_parquet_files_is_none_of_a_table() {
    let plan = scan(&[9 * MIB; 2], 2, None).await;
    let mut config = scan_of(&plan).unwrap().clone();
    for group in &mut config.file_groups {
        let bare = group.iter().map(|file| {
            let meta = file.object_meta.clone();
            PartitionedFile::new_from_meta(meta)
        });
        *group = FileGroup::new(bare.collect());
    }
    let bare: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(config.clone());
    assert!(scan_of(&bare).is_none());
    let converter = DefaultPhysicalProtoConverter {};
    let error = encode(&config, &codec(), &converter).unwrap_err();
    assert!(
        error.to_string().contains("a file without its name"),
        "{error}"
    );
}
