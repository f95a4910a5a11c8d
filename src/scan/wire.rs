//! A scan of `logs` as a message to another process, the parts that it is dealt out in, and what that process reports of it.
//!
//! The engine's own form of a file has a path and a size, and would lose the other objects of a bundle, their ETags and
//! their ranges of events. Here each file has the list of its objects, and an object is never cut.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::projection::{ProjectionExpr, ProjectionExprs};
use datafusion::physical_plan::ExecutionPlan;
use prost::Message;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::budget::Budget;
use super::bundle::Bundle;
use super::columns::{Columns, Keep, KeptObjects, Needs};
use super::edges::{EdgeLog, Edges};
use super::fetch::{ObjectFetcher, OpeningOrder};
use super::object::{Counts, EventFilter};
use super::report::{ObjectReport, ReadLog};
use super::source::{LogSource, MESSAGE, file_schema};
use super::table::opening_order;
use super::tally::{Hours, Tally};
use crate::error::{Class, Error, Result};
use crate::job::OriginColumns;
use crate::layout::Origin;
use crate::layout::cloudwatch::{LogObject, ObjectFormat};
use crate::window::Range;

/// The level of zstd: the names of objects have much in common.
const LEVEL: i32 = 1;

#[derive(Clone, PartialEq, Message)]
struct ScanMessage {
    /// The scan's id, by which its reports are known to the sender.
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(string, tag = "2")]
    zone: String,
    #[prost(string, tag = "3")]
    url: String,
    /// The text before a key in errors.
    #[prost(string, tag = "4")]
    place: String,
    #[prost(message, required, tag = "5")]
    window: RangeMessage,
    #[prost(message, required, tag = "6")]
    rows: RangeMessage,
    #[prost(message, required, tag = "7")]
    requested: RangeMessage,
    #[prost(bool, tag = "8")]
    messages: bool,
    #[prost(bool, tag = "9")]
    masks: bool,
    #[prost(bool, tag = "10")]
    tallies: bool,
    #[prost(bool, tag = "11")]
    notes_edges: bool,
    /// Whether objects are requested ahead.
    #[prost(bool, tag = "12")]
    ahead: bool,
    #[prost(uint64, optional, tag = "13")]
    limit: Option<u64>,
    #[prost(uint64, optional, tag = "14")]
    batch_size: Option<u64>,
    #[prost(bool, tag = "15")]
    in_order: bool,
    #[prost(message, repeated, tag = "16")]
    projection: Vec<ProjectionMessage>,
    /// Texts that several objects have: the beginnings of keys, log groups.
    #[prost(string, repeated, tag = "17")]
    texts: Vec<String>,
    #[prost(message, repeated, tag = "18")]
    objects: Vec<ObjectMessage>,
    #[prost(message, repeated, tag = "19")]
    partitions: Vec<PartitionMessage>,
    /// Whether the table has the column `account`.
    #[prost(bool, tag = "20")]
    account: bool,
    /// Whether it has the column `region`.
    #[prost(bool, tag = "21")]
    region: bool,
    /// Whether columns of the objects are kept for later queries.
    #[prost(bool, tag = "22")]
    keeps: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
struct RangeMessage {
    #[prost(sfixed64, tag = "1")]
    start_ms: i64,
    #[prost(sfixed64, tag = "2")]
    end_ms: i64,
}

#[derive(Clone, PartialEq, Message)]
struct ProjectionMessage {
    #[prost(bytes = "vec", tag = "1")]
    expr: Vec<u8>,
    #[prost(string, tag = "2")]
    alias: String,
}

#[derive(Clone, PartialEq, Message)]
struct ObjectMessage {
    /// Its place in the sender's list.
    #[prost(uint32, tag = "1")]
    number: u32,
    /// The places of its texts in `texts`.
    #[prost(uint32, tag = "2")]
    place: u32,
    #[prost(uint32, optional, tag = "3")]
    log_group: Option<u32>,
    #[prost(string, tag = "4")]
    name: String,
    #[prost(uint64, tag = "5")]
    size: u64,
    #[prost(int64, tag = "6")]
    modified_s: i64,
    #[prost(uint32, tag = "7")]
    modified_ns: u32,
    #[prost(string, optional, tag = "8")]
    e_tag: Option<String>,
    #[prost(message, optional, tag = "9")]
    range: Option<RangeMessage>,
    #[prost(message, optional, tag = "10")]
    requested: Option<RangeMessage>,
    /// The times of its events, where they are known.
    #[prost(message, optional, tag = "11")]
    times: Option<RangeMessage>,
    #[prost(message, optional, tag = "12")]
    origin: Option<OriginMessage>,
}

/// The account and the Region, by their places in `texts`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Message)]
struct OriginMessage {
    #[prost(uint32, tag = "1")]
    account: u32,
    #[prost(uint32, tag = "2")]
    region: u32,
}

#[derive(Clone, PartialEq, Message)]
struct PartitionMessage {
    #[prost(message, repeated, tag = "1")]
    files: Vec<FileMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct FileMessage {
    /// The places of its objects in `objects`.
    #[prost(uint32, repeated, tag = "1")]
    objects: Vec<u32>,
}

impl From<Range> for RangeMessage {
    fn from(range: Range) -> Self {
        Self {
            start_ms: range.start_ms,
            end_ms: range.end_ms,
        }
    }
}

impl From<RangeMessage> for Range {
    fn from(range: RangeMessage) -> Self {
        Self {
            start_ms: range.start_ms,
            end_ms: range.end_ms,
        }
    }
}

/// The scan of `logs` that a plan's leaf is.
pub fn scan_of(plan: &Arc<dyn ExecutionPlan>) -> Option<(&FileScanConfig, &LogSource)> {
    let scan = plan.downcast_ref::<DataSourceExec>()?;
    scan.downcast_to_file_source::<LogSource>()
}

/// The store that a scan reads, `s3://bucket/` or `file:///`, as a worker calls it.
pub fn store_of(config: &FileScanConfig) -> String {
    let url = config.object_store_url.as_str();
    // Of several accounts, `s3-1://bucket/` is the client of the second one. A worker has one client, with credentials of its
    // own.
    let of_account = url
        .strip_prefix("s3-")
        .and_then(|url| url.split_once("://"));
    match of_account {
        Some((_, bucket)) => format!("s3://{bucket}"),
        None => url.to_owned(),
    }
}

/// How many processes a scan can be divided among: one if its rows have an order, else at most its files.
pub fn most_parts(config: &FileScanConfig) -> usize {
    match config.preserve_order {
        true => 1,
        false => files(config).count().max(1),
    }
}

fn files(config: &FileScanConfig) -> impl Iterator<Item = &PartitionedFile> {
    config.file_groups.iter().flat_map(FileGroup::iter)
}

/// What a file costs. An empty object costs a request too.
fn cost(file: &PartitionedFile) -> u64 {
    file.effective_size().max(1)
}

/// Deals the files of a scan out to several processes by size, each file whole. Each part has as many partitions as the
/// scan.
pub fn deal(config: &FileScanConfig, parts: usize) -> Vec<Arc<dyn ExecutionPlan>> {
    let files = files(config).cloned().collect();
    let parts = deal_out(files, parts, config.file_groups.len());
    let part = |groups: Vec<FileGroup>| {
        let mut part = config.clone();
        part.file_groups = groups;
        DataSourceExec::from_data_source(part) as Arc<dyn ExecutionPlan>
    };
    parts.into_iter().map(part).collect()
}

/// Deals files, or ranges of files, out to several parts of as many partitions, the largest first, each to the part and the
/// partition with the fewest bytes.
pub fn deal_out(
    mut files: Vec<PartitionedFile>,
    parts: usize,
    partitions: usize,
) -> Vec<Vec<FileGroup>> {
    files.sort_by_key(|file| std::cmp::Reverse(file.effective_size()));
    let no_files = vec![(0_u64, Vec::new()); partitions.max(1)];
    let mut loads = vec![(0_u64, no_files); parts.max(1)];
    for file in files {
        if let Some((load, groups)) = loads.iter_mut().min_by_key(|(load, _)| *load)
            && let Some((bytes, group)) = groups.iter_mut().min_by_key(|(bytes, _)| *bytes)
        {
            *load += cost(&file);
            *bytes += cost(&file);
            group.push(file);
        }
    }
    let groups = |(_, groups): (u64, Vec<(u64, Vec<PartitionedFile>)>)| {
        let groups = groups.into_iter().map(|(_, files)| FileGroup::new(files));
        groups.collect()
    };
    loads.into_iter().map(groups).collect()
}

/// A scan of some of its files.
fn part_of(
    config: &FileScanConfig,
    groups: impl Iterator<Item = Vec<PartitionedFile>>,
) -> Arc<dyn ExecutionPlan> {
    let mut part = config.clone();
    part.file_groups = groups.map(FileGroup::new).collect();
    DataSourceExec::from_data_source(part)
}

/// Cuts scans whose rows come one behind the other, each in one partition, into sections of about the same size: for each
/// section, what it has of each scan. A file is never cut, and a section may have none of a scan: `None`.
pub fn cut(scans: &[&FileScanConfig], sections: usize) -> Vec<Vec<Option<Arc<dyn ExecutionPlan>>>> {
    let all: u64 = scans.iter().copied().flat_map(files).map(cost).sum();
    let mut before = 0;
    let mut cut = vec![vec![Vec::new(); scans.len()]; sections];
    for (place, scan) in scans.iter().enumerate() {
        for file in files(scan) {
            let middle = u128::from(before + cost(file) / 2);
            let section = middle * sections as u128 / u128::from(all);
            before += cost(file);
            cut[section as usize][place].push(file.clone());
        }
    }
    let of_scan = |(scan, files): (&&FileScanConfig, Vec<PartitionedFile>)| {
        (!files.is_empty()).then(|| part_of(scan, std::iter::once(files)))
    };
    let section = |of_scans: Vec<_>| scans.iter().zip(of_scans).map(of_scan).collect();
    cut.into_iter().map(section).collect()
}

/// Texts, each once.
#[derive(Default)]
struct Texts {
    texts: Vec<String>,
    places: HashMap<Arc<str>, u32>,
}

impl Texts {
    fn place(&mut self, text: &str) -> u32 {
        if let Some(place) = self.places.get(text) {
            return *place;
        }
        let place = self.texts.len() as u32;
        self.texts.push(text.to_owned());
        self.places.insert(text.into(), place);
        place
    }
}

/// A scan as a message. What is reported of it is counted by `sent`. `encode` encodes an expression.
///
/// # Errors
/// `Unexpected` for a file without the list of its objects, or with a range of bytes, and for a scan that one process reads
/// alone.
pub fn encode(
    (config, source): (&FileScanConfig, &LogSource),
    sent: &SentScans,
    mut encode: impl FnMut(&Arc<dyn PhysicalExpr>) -> EngineResult<Vec<u8>>,
) -> EngineResult<Vec<u8>> {
    // Objects have no format in the message, and a scan no shape of records: each would be read as one of an export.
    if let Some(reason) = source.read_alone() {
        let what = format!("a scan can't be sent to a worker: {reason}");
        return Err(Error::new(Class::Unexpected, what).into());
    }
    let mut texts = Texts::default();
    let mut objects = Vec::new();
    let mut places: HashMap<u32, u32> = HashMap::new();
    let mut partitions = Vec::with_capacity(config.file_groups.len());
    let mut listed = None;
    for group in &config.file_groups {
        let mut files = Vec::new();
        for file in group.iter() {
            let bundle = Bundle::of(file)?;
            let members = bundle.numbers().iter().zip(bundle.members());
            let members = members.map(|(number, object)| {
                *places.entry(*number).or_insert_with(|| {
                    objects.push(object_message(*number, object, &mut texts));
                    objects.len() as u32 - 1
                })
            });
            files.push(FileMessage {
                objects: members.collect(),
            });
            listed = Some(Arc::clone(&bundle.objects));
        }
        partitions.push(PartitionMessage { files });
    }
    let projection = source.projection.source.iter().map(|projected| {
        Ok(ProjectionMessage {
            expr: encode(&projected.expr)?,
            alias: projected.alias.clone(),
        })
    });
    let filter = &source.filter;
    let id = Uuid::now_v7();
    let columns = source.table_schema.file_schema();
    let message = ScanMessage {
        id: id.as_bytes().to_vec(),
        zone: zone_of(columns.field(0).data_type()),
        url: store_of(config),
        place: source.place.to_string(),
        window: filter.window.into(),
        rows: filter.rows.into(),
        requested: filter.requested.into(),
        messages: filter.messages,
        masks: filter.masks,
        tallies: source.tally.is_some(),
        notes_edges: source.edges.is_some(),
        ahead: source.keeps,
        limit: config.limit.map(|rows| rows as u64),
        batch_size: config.batch_size.map(|rows| rows as u64),
        in_order: config.preserve_order,
        projection: projection.collect::<EngineResult<_>>()?,
        texts: texts.texts,
        objects,
        partitions,
        account: columns.index_of("account").is_ok(),
        region: columns.index_of("region").is_ok(),
        keeps: source.kept.is_some(),
    };
    sent.add(
        id,
        SentScan {
            objects: listed.unwrap_or_default(),
            window: filter.window,
            tally: source.tally.clone(),
            edges: source.edges.clone(),
            counts: Counts::new(
                &source.metrics,
                0,
                source.read.clone(),
                source.tally.clone(),
                source.edges.clone(),
            ),
            counted: 0,
        },
    );
    zstd::stream::encode_all(&message.encode_to_vec()[..], LEVEL).map_err(DataFusionError::IoError)
}

fn zone_of(data_type: &arrow::datatypes::DataType) -> String {
    match data_type {
        arrow::datatypes::DataType::Timestamp(_, Some(zone)) => zone.to_string(),
        _ => Tz::UTC.name().to_owned(),
    }
}

fn object_message(number: u32, object: &LogObject, texts: &mut Texts) -> ObjectMessage {
    ObjectMessage {
        number,
        place: texts.place(&object.place),
        log_group: object.log_group.as_ref().map(|group| texts.place(group)),
        name: object.name.to_string(),
        size: object.size,
        modified_s: object.last_modified.timestamp(),
        modified_ns: object.last_modified.timestamp_subsec_nanos(),
        e_tag: object.e_tag.as_deref().map(str::to_owned),
        range: object.range.map(RangeMessage::from),
        requested: object.requested.as_deref().copied().map(RangeMessage::from),
        times: object.times.map(RangeMessage::from),
        origin: object.origin.as_deref().map(|origin| OriginMessage {
            account: texts.place(&origin.account),
            region: texts.place(&origin.region),
        }),
    }
}

/// A scan that was sent, and what it has read so far.
#[derive(Debug)]
pub struct ReceivedScan {
    /// The plan's leaf.
    pub plan: Arc<dyn ExecutionPlan>,
    /// What is reported of it.
    pub reported: Arc<Reported>,
}

/// What the scans that a process receives share.
#[derive(Debug)]
pub struct Received {
    budget: Arc<Budget>,
    columns: Option<Arc<Columns>>,
    /// The scans that were received, by their ids, as long as their plans are there.
    reported: Mutex<HashMap<String, Weak<Reported>>>,
}

impl Received {
    /// `budget` is the memory of the objects that the scans hold. The columns of what they read are kept in `columns`.
    pub fn new(budget: Arc<Budget>, columns: Option<Arc<Columns>>) -> Self {
        Self {
            budget,
            columns,
            reported: Mutex::default(),
        }
    }

    /// What a scan has read behind the first `known` objects, as JSON; `None` where that is nothing, or the scan is not here.
    pub fn so_far(&self, scan: &str, known: usize) -> Option<String> {
        let reported = self.reported().get(scan).and_then(Weak::upgrade)?;
        reported.so_far(known)
    }

    fn add(&self, scan: &str, reported: &Arc<Reported>) {
        let mut all = self.reported();
        all.retain(|_, reported| reported.strong_count() > 0);
        all.insert(scan.to_owned(), Arc::downgrade(reported));
    }

    fn reported(&self) -> MutexGuard<'_, HashMap<String, Weak<Reported>>> {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The scan of a message. `decode` decodes an expression over the columns of the table.
///
/// # Errors
/// `Unexpected` for what [`encode`] does not make.
pub fn decode(
    bytes: &[u8],
    received: &Received,
    mut decode: impl FnMut(&[u8], &arrow::datatypes::Schema) -> EngineResult<Arc<dyn PhysicalExpr>>,
) -> EngineResult<ReceivedScan> {
    let wrong = |what: &str| Error::new(Class::Unexpected, format!("a scan that was sent {what}"));
    let message = zstd::stream::decode_all(bytes)
        .map_err(|error| wrong("is not zstd").caused_by(error))
        .and_then(|bytes| {
            ScanMessage::decode(&bytes[..]).map_err(|error| wrong("can't be read").caused_by(error))
        })?;
    let id = Uuid::from_slice(&message.id).map_err(|error| wrong("has no id").caused_by(error))?;
    let zone: Tz = message.zone.parse().map_err(|_| {
        wrong(&format!(
            "has the zone {:?}: expected an IANA name",
            message.zone
        ))
    })?;
    let url = ObjectStoreUrl::parse(&message.url)?;
    let texts: Vec<Arc<str>> = message
        .texts
        .iter()
        .map(|text| text.as_str().into())
        .collect();
    let numbers = message.objects.iter().map(|object| object.number).collect();
    let mut origins = HashMap::new();
    let objects = message.objects.into_iter().map(|object| {
        let object = object_of(object, &texts, &mut origins);
        object.ok_or_else(|| wrong("has an object without its key"))
    });
    let objects = Arc::new(objects.collect::<Result<Vec<_>>>()?);
    let groups = message.partitions.into_iter().map(|partition| {
        let files = partition.files.into_iter().map(|file| {
            let is_listed = |place: &u32| (*place as usize) < objects.len();
            if file.objects.is_empty() || !file.objects.iter().all(is_listed) {
                return Err(wrong("has a file without its objects"));
            }
            let bundle = Bundle {
                objects: Arc::clone(&objects),
                numbers: file.objects.into(),
            };
            Ok(bundle.into_file())
        });
        files.collect::<Result<Vec<_>>>().map(FileGroup::new)
    });
    let groups = groups.collect::<Result<Vec<FileGroup>>>()?;
    let origins = OriginColumns {
        account: message.account,
        region: message.region,
    };
    let table_schema = TableSchema::from(file_schema(zone, origins));
    let projection = message.projection.iter().map(|projected| {
        let expr = decode(&projected.expr, table_schema.file_schema())?;
        Ok(ProjectionExpr::new(expr, projected.alias.clone()))
    });
    let projection = projection.collect::<EngineResult<Vec<_>>>()?;
    let projection = ProjectionExprs::from(projection);
    let claim = Budget::claim(&received.budget, objects.len());
    let is_local = message.url.starts_with("file:");
    let columns = received.columns.as_ref().filter(|_| message.keeps);
    let kept = columns.map(|columns| {
        let objects = (&objects[..], &*message.place, message.masks);
        Arc::new(KeptObjects::new(columns, Keep::AsRead, objects, is_local))
    });
    let reads_messages = projection.column_indices().contains(&MESSAGE);
    let needs = Needs {
        messages: reads_messages,
        checked: reads_messages || message.messages,
    };
    let is_kept = |number: &u32| {
        let kept = kept.as_ref();
        kept.is_some_and(|kept| kept.has(*number as usize, needs))
    };
    let fetcher = match (is_local, message.ahead) {
        (true, _) => ObjectFetcher::local(Arc::clone(&claim)),
        (false, false) => ObjectFetcher::new(Arc::clone(&claim), OpeningOrder::default(), None),
        (false, true) => {
            let mut order = opening_order(&groups)?;
            order.retain(|number| !is_kept(number));
            let order = OpeningOrder::new(&objects, order);
            ObjectFetcher::new(Arc::clone(&claim), order, None)
        }
    };
    let window = message.window.into();
    let filter = EventFilter {
        window,
        rows: message.rows.into(),
        messages: message.messages,
        masks: message.masks,
        requested: message.requested.into(),
    };
    let reported = Arc::new(Reported::new(id, numbers));
    received.add(&id.to_string(), &reported);
    let tally = message
        .tallies
        .then(|| Arc::new(Tally::new(&objects, window)));
    let source = LogSource::new(
        table_schema,
        filter,
        message.place.as_str().into(),
        claim,
        Arc::new(fetcher),
        ReadLog::default(),
    )
    .tallied(tally)
    .with_edges(message.notes_edges.then(EdgeLog::default))
    .keeping(kept, message.ahead)
    .received(&projection, Arc::clone(&reported));
    let config = FileScanConfigBuilder::new(url, Arc::new(source))
        .with_file_groups(groups)
        .with_limit(message.limit.map(|rows| rows as usize))
        .with_batch_size(message.batch_size.map(|rows| rows as usize))
        .with_preserve_order(message.in_order)
        .build();
    Ok(ReceivedScan {
        plan: DataSourceExec::from_data_source(config),
        reported,
    })
}

/// The object of a message. Objects of one account and Region share their `origins`.
fn object_of(
    object: ObjectMessage,
    texts: &[Arc<str>],
    origins: &mut HashMap<OriginMessage, Arc<Origin>>,
) -> Option<LogObject> {
    let text = |place: u32| texts.get(place as usize).map(Arc::clone);
    let origin = match object.origin {
        None => None,
        Some(places) => Some(match origins.get(&places) {
            Some(known) => Arc::clone(known),
            None => {
                let origin = Arc::new(Origin {
                    account: text(places.account)?.to_string(),
                    region: text(places.region)?.to_string(),
                });
                origins.insert(places, Arc::clone(&origin));
                origin
            }
        }),
    };
    Some(LogObject {
        place: text(object.place)?,
        name: object.name.into(),
        size: object.size,
        last_modified: DateTime::<Utc>::from_timestamp(object.modified_s, object.modified_ns)?,
        e_tag: object.e_tag.map(Arc::from),
        log_group: match object.log_group {
            Some(place) => Some(text(place)?),
            None => None,
        },
        range: object.range.map(Range::from),
        requested: object.requested.map(|range| Arc::new(range.into())),
        format: ObjectFormat::Export,
        origin,
        times: object.times.map(Range::from),
    })
}

/// What a process has read of a scan that was sent to it, as a report to the sender.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct ReadMessage {
    scan: String,
    /// By the places of the objects in the sender's list.
    objects: Vec<(u32, ObjectReport)>,
    hours: Vec<(u32, Hours)>,
    edges: Vec<(u32, Edges)>,
}

/// The objects that were read of a scan that goes on, as a report to the sender.
#[derive(Debug, Serialize, Deserialize)]
struct ReadSoFarMessage {
    scan: String,
    /// How many the sender knows already.
    known: usize,
    /// Those behind them, by their places in the sender's list.
    objects: Vec<(u32, ObjectReport)>,
}

/// A report of a scan that goes on has at most so many objects: one message takes them.
const MOST_AT_ONCE: usize = 10_000;

/// What was read of a scan that was sent to this process.
#[derive(Debug)]
pub struct Reported {
    /// The places of the objects in the sender's list.
    numbers: Vec<u32>,
    read: Mutex<ReadMessage>,
}

impl Reported {
    fn new(scan: Uuid, numbers: Vec<u32>) -> Self {
        let read = ReadMessage {
            scan: scan.to_string(),
            ..ReadMessage::default()
        };
        Self {
            numbers,
            read: Mutex::new(read),
        }
    }

    /// What was read so far, as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&*self.lock()).unwrap_or_default()
    }

    fn so_far(&self, known: usize) -> Option<String> {
        let read = self.lock();
        let objects = read.objects.get(known..).filter(|more| !more.is_empty())?;
        let message = ReadSoFarMessage {
            scan: read.scan.clone(),
            known,
            objects: objects[..objects.len().min(MOST_AT_ONCE)].to_vec(),
        };
        serde_json::to_string(&message).ok()
    }

    pub(super) fn add(&self, number: usize, report: ObjectReport) {
        self.lock().objects.push((self.numbers[number], report));
    }

    pub(super) fn add_hours(&self, number: usize, hours: &Hours) {
        let hours = (self.numbers[number], hours.clone());
        self.lock().hours.push(hours);
    }

    pub(super) fn add_edges(&self, number: usize, edges: Edges) {
        self.lock().edges.push((self.numbers[number], edges));
    }

    fn lock(&self) -> MutexGuard<'_, ReadMessage> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A scan that was sent to another process.
struct SentScan {
    objects: Arc<Vec<LogObject>>,
    window: Range,
    tally: Option<Arc<Tally>>,
    edges: Option<EdgeLog>,
    counts: Counts,
    /// How many of the objects that are reported were counted.
    counted: usize,
}

impl SentScan {
    fn object(&self, number: u32) -> Result<&LogObject> {
        let object = self.objects.get(number as usize);
        object.ok_or_else(|| wrong_report(&format!("is of object {number}, which was not sent")))
    }

    fn count(&mut self, objects: impl IntoIterator<Item = (u32, ObjectReport)>) -> Result<()> {
        for (number, read) in objects {
            self.object(number)?;
            self.counts.add(number as usize, read);
            self.counted += 1;
        }
        Ok(())
    }
}

fn read_report<'r, T: Deserialize<'r>>(report: &'r str) -> Result<T> {
    serde_json::from_str(report).map_err(|error| wrong_report("can't be read").caused_by(error))
}

fn wrong_report(what: &str) -> Error {
    Error::new(Class::Unexpected, format!("a worker's report {what}"))
}

/// The scans of a query that were sent to other processes: what these report is counted as if this process had read it.
#[derive(Default)]
pub struct SentScans(Mutex<HashMap<String, SentScan>>);

impl fmt::Debug for SentScans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SentScans")
            .field(&self.lock().len())
            .finish()
    }
}

impl SentScans {
    fn add(&self, id: Uuid, scan: SentScan) {
        self.lock().insert(id.to_string(), scan);
    }

    /// The scans that are not reported yet, with the number of their objects that were counted.
    pub fn open(&self) -> Vec<(String, usize)> {
        let scans = self.lock();
        let open = scans.iter().map(|(id, scan)| (id.clone(), scan.counted));
        open.collect()
    }

    /// Counts the objects of a scan that goes on. A report that came before, or behind that of the end, counts nothing.
    ///
    /// # Errors
    /// `Unexpected` for a report that can't be read, or is of an object that was not sent.
    pub fn count_so_far(&self, report: &str) -> Result<()> {
        let report: ReadSoFarMessage = read_report(report)?;
        let mut scans = self.lock();
        let Some(scan) = scans.get_mut(&report.scan) else {
            return Ok(());
        };
        if scan.counted == report.known {
            scan.count(report.objects)?;
        }
        Ok(())
    }

    /// Counts the report of a scan's end, once.
    ///
    /// # Errors
    /// `Unexpected` for a report that can't be read, or is of no scan that was sent or was reported before.
    pub fn count(&self, report: &str) -> Result<()> {
        let report: ReadMessage = read_report(report)?;
        let scan = self.lock().remove(&report.scan);
        let mut scan = scan.ok_or_else(|| {
            wrong_report("is of a scan that was not sent to it, or that was reported before")
        })?;
        let counted = scan.counted;
        scan.count(report.objects.into_iter().skip(counted))?;
        if let Some(tally) = &scan.tally {
            for (number, hours) in &report.hours {
                let object = scan.object(*number)?;
                let own = object.range.unwrap_or(Range::ALL).intersect(scan.window);
                tally.add_hours(&object.key(), own, hours);
            }
        }
        if let Some(log) = &scan.edges {
            for (number, edges) in report.edges {
                scan.object(number)?;
                log.add(number as usize, edges);
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, SentScan>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
