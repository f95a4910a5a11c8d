//! Scans of Parquet tables in several processes: archives, answers of earlier windows, files of any origin. Which parts a scan
//! is dealt out in, and a part as a message.
//!
//! The engine has a message for such a scan, but it leaves out the names and the ETags of the files, the reader that uses
//! them, which columns are widened, and the higher half of a limit. A plan writes its own message before any codec is asked,
//! so a part stands in a leaf of this crate, [`DealtTable`]. Its message is that of the engine with what that leaves out.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::listing::{FileRange, PartitionedFile};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use datafusion_proto::physical_plan::{
    PhysicalExtensionCodec, PhysicalPlanDecodeContext, PhysicalProtoConverterExtension,
};
use datafusion_proto::protobuf::PhysicalPlanNode;
use datafusion_proto::protobuf::physical_plan_node::PhysicalPlanType;
use prost::Message;

use crate::error::{Class, Error};
use crate::query::parquet_table::{FileOfTable, NamedFiles, OnlyWider};
use crate::scan::wire::{deal_out, store_of};

/// The bytes that could be read while the footer of a file is waited for.
const FOOTER: u64 = 1 << 20;

/// What is worth a process: less is read sooner than another process has got its plan.
const WORTH_A_PART: u64 = 4 << 20;

/// A larger file is cut where it would be more than an even share. Row groups, which are read whole, are not much smaller.
const LEAST_CUT: u64 = 16 << 20;

/// The level of zstd: the names of files have much in common.
const LEVEL: i32 = 1;

/// The scan of a table that a plan's leaf is. A scan of other Parquet files is none: what reads them would be another reader in
/// another process.
pub(super) fn scan_of(plan: &Arc<dyn ExecutionPlan>) -> Option<&FileScanConfig> {
    let dealt = plan.downcast_ref::<DealtTable>();
    let plan = dealt.map_or(plan, |dealt| &dealt.0);
    let scan = plan.downcast_ref::<DataSourceExec>()?;
    let (config, _) = scan.downcast_to_file_source::<ParquetSource>()?;
    let is_of_table = |file: &PartitionedFile| file.extension::<FileOfTable>().is_some();
    files(config).all(is_of_table).then_some(config)
}

fn files(config: &FileScanConfig) -> impl Iterator<Item = &PartitionedFile> {
    config.file_groups.iter().flat_map(FileGroup::iter)
}

/// What reading a scan costs, in bytes.
pub(super) fn cost(config: &FileScanConfig) -> u64 {
    files(config)
        .map(|file| FOOTER + file.effective_size())
        .sum()
}

/// Whether scans of this cost are read by one process sooner than by several.
pub(super) fn is_small(cost: u64) -> bool {
    cost < 2 * WORTH_A_PART
}

/// Whether the rows of a scan have an order, or its partitions a meaning, which parts of it would not have.
pub(super) fn is_whole(config: &FileScanConfig) -> bool {
    config.preserve_order
        || !config.output_ordering.is_empty()
        || config.output_partitioning.is_some()
}

/// How many of some processes a scan is worth.
pub(super) fn parts_of(config: &FileScanConfig, processes: usize) -> usize {
    let worth = usize::try_from(cost(config) / WORTH_A_PART).unwrap_or(usize::MAX);
    worth.clamp(1, processes.max(1))
}

/// Deals the files of a scan out to several processes. Each part has as many partitions as the scan.
pub(super) fn deal(config: &FileScanConfig, parts: usize) -> Vec<Arc<dyn ExecutionPlan>> {
    let partitions = config.file_groups.len().max(1);
    let groups = match parts {
        0 | 1 => vec![config.file_groups.clone()],
        parts => deal_out(pieces(config, parts * partitions), parts, partitions),
    };
    let part = |groups: Vec<FileGroup>| {
        let mut part = config.clone();
        part.file_groups = groups;
        Arc::new(DealtTable(DataSourceExec::from_data_source(part))) as Arc<dyn ExecutionPlan>
    };
    groups.into_iter().map(part).collect()
}

/// The files of a scan, each whole unless it is larger than the share of a partition. A row group is read with the range that
/// has its middle, so each is read once.
fn pieces(config: &FileScanConfig, partitions: usize) -> Vec<PartitionedFile> {
    let files = whole_files(config);
    let bytes: u64 = files.iter().map(PartitionedFile::effective_size).sum();
    let share = (bytes / partitions.max(1) as u64).max(LEAST_CUT);
    let cut = |file: PartitionedFile| {
        let (start, end) = file.range();
        let count = (end - start).div_ceil(share).max(1);
        let at = move |piece: u64| (start + (end - start) * piece / count) as i64;
        let piece = move |number: u64| match count {
            1 => file.clone(),
            _ => file.clone().with_range(at(number), at(number + 1)),
        };
        (0..count).map(piece)
    };
    files.into_iter().flat_map(cut).collect()
}

/// The files of a scan, without the cuts that the engine made for the partitions of one process.
fn whole_files(config: &FileScanConfig) -> Vec<PartitionedFile> {
    let mut pieces: Vec<&PartitionedFile> = files(config).collect();
    let place = |file: &PartitionedFile| (file.object_meta.location.clone(), file.range().0);
    pieces.sort_by_cached_key(|piece| place(piece));
    let mut whole: Vec<PartitionedFile> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let before = whole.last_mut().filter(|before| {
            before.object_meta.location == piece.object_meta.location
                && before.range().1 == piece.range().0
        });
        match before {
            Some(before) => {
                before.range = Some(FileRange {
                    start: before.range().0 as i64,
                    end: piece.range().1 as i64,
                });
            }
            None => whole.push(piece.clone()),
        }
    }
    for file in &mut whole {
        if file.range() == (0, file.object_meta.size) {
            file.range = None;
        }
    }
    whole
}

/// A part of a scan that is sent to a process. What it does is what the scan does.
#[derive(Debug)]
struct DealtTable(Arc<dyn ExecutionPlan>);

impl DisplayAs for DealtTable {
    fn fmt_as(&self, t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_as(t, f)
    }
}

impl ExecutionPlan for DealtTable {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.0.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> EngineResult<TreeNodeRecursion>,
    ) -> EngineResult<TreeNodeRecursion> {
        self.0.apply_expressions(f)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> EngineResult<SendableRecordBatchStream> {
        self.0.execute(partition, context)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        self.0.metrics()
    }
}

#[derive(Clone, PartialEq, Message)]
struct TableScanMessage {
    /// The engine's message of the scan.
    #[prost(bytes = "vec", tag = "1")]
    scan: Vec<u8>,
    #[prost(string, tag = "2")]
    window_key: String,
    #[prost(uint64, optional, tag = "3")]
    limit: Option<u64>,
    #[prost(bool, tag = "4")]
    in_order: bool,
    /// Of each file of the scan, in its order, what the engine's message leaves out.
    #[prost(message, repeated, tag = "5")]
    files: Vec<FileMessage>,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct FileMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, optional, tag = "2")]
    e_tag: Option<String>,
}

fn wrong(what: &str) -> Error {
    Error::new(
        Class::Unexpected,
        format!("a table's scan that was sent {what}"),
    )
}

/// A scan of a table as a message.
///
/// # Errors
/// `Unexpected` for a file of no table; those of the engine.
pub(super) fn encode(
    config: &FileScanConfig,
    codec: &dyn PhysicalExtensionCodec,
    converter: &dyn PhysicalProtoConverterExtension,
) -> EngineResult<Vec<u8>> {
    let of_table = |file: &PartitionedFile| file.extension::<FileOfTable>().cloned();
    let unnamed = || wrong("has a file without its name");
    let window_key = files(config).find_map(of_table);
    let files = files(config).map(|file| {
        Ok(FileMessage {
            name: of_table(file).ok_or_else(unnamed)?.name.to_string(),
            e_tag: file.object_meta.e_tag.clone(),
        })
    });
    let files = files.collect::<Result<Vec<_>, Error>>()?;
    let mut scan = config.clone();
    scan.object_store_url = ObjectStoreUrl::parse(store_of(config))?;
    scan.limit = None;
    let scan: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(scan);
    let message = TableScanMessage {
        scan: converter
            .execution_plan_to_proto(&scan, codec)?
            .encode_to_vec(),
        window_key: window_key.map_or_else(String::new, |file| file.window_key.to_string()),
        limit: config.limit.map(|rows| rows as u64),
        in_order: config.preserve_order,
        files,
    };
    zstd::stream::encode_all(&message.encode_to_vec()[..], LEVEL).map_err(DataFusionError::IoError)
}

/// The scan of a message.
///
/// # Errors
/// `Unexpected` for what [`encode`] does not make; those of the engine, as for a store that is not open.
pub(super) fn decode(
    bytes: &[u8],
    task: &TaskContext,
    codec: &dyn PhysicalExtensionCodec,
    converter: &dyn PhysicalProtoConverterExtension,
) -> EngineResult<Arc<dyn ExecutionPlan>> {
    let message = zstd::stream::decode_all(bytes)
        .map_err(|error| wrong("is not zstd").caused_by(error))
        .and_then(|bytes| {
            let message = TableScanMessage::decode(&bytes[..]);
            message.map_err(|error| wrong("can't be read").caused_by(error))
        })?;
    let scan = PhysicalPlanNode::decode(&message.scan[..])
        .map_err(|error| wrong("can't be read").caused_by(error))?;
    if !matches!(
        scan.physical_plan_type,
        Some(PhysicalPlanType::ParquetScan(_))
    ) {
        return Err(wrong("is no scan of Parquet files").into());
    }
    let context = PhysicalPlanDecodeContext::new(task, codec);
    let scan = converter.proto_to_execution_plan(&scan, &context)?;
    let scan = scan.downcast_ref::<DataSourceExec>();
    let (config, source) = scan
        .and_then(|scan| scan.downcast_to_file_source::<ParquetSource>())
        .ok_or_else(|| wrong("is no scan of Parquet files"))?;
    if files(config).count() != message.files.len() || message.window_key.is_empty() {
        return Err(wrong("has files without their names").into());
    }
    let objects = task.runtime_env().object_store(&config.object_store_url)?;
    let reader = NamedFiles::new(objects, &config.object_store_url);
    let source = source
        .clone()
        .with_parquet_file_reader_factory(Arc::new(reader));
    let window_key: Arc<str> = message.window_key.into();
    let mut notes = message.files.into_iter();
    let mut named = |file: &PartitionedFile| {
        let FileMessage { name, e_tag } = notes.next().unwrap_or_default();
        let mut file = file.clone().with_extension(FileOfTable {
            name: name.into(),
            window_key: Arc::clone(&window_key),
        });
        file.object_meta.e_tag = e_tag;
        file
    };
    let mut config = config.clone();
    for group in &mut config.file_groups {
        *group = FileGroup::new(group.iter().map(&mut named).collect());
    }
    config.file_source = Arc::new(source);
    config.limit = message.limit.map(|rows| rows as usize);
    config.preserve_order = message.in_order;
    config.expr_adapter_factory = Some(Arc::new(OnlyWider { window_key }));
    Ok(DataSourceExec::from_data_source(config))
}

#[cfg(test)]
mod tests;
