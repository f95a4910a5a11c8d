//! A scan as a message: the members of each file, once each, with zstd.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::projection::{ProjectionExpr, ProjectionExprs};
use datafusion::physical_plan::ExecutionPlan;
use prost::Message;
use uuid::Uuid;

use super::reported::{Received, Reported, SentScans};
use super::store_of;
use crate::error::{Class, Error, Result};
use crate::job::OriginColumns;
use crate::layout::Origin;
use crate::layout::cloudwatch::{LogObject, ObjectFormat};
use crate::scan::budget::Budget;
use crate::scan::bundle::Bundle;
use crate::scan::columns::{Keep, KeptObjects, Needs};
use crate::scan::edges::EdgeLog;
use crate::scan::fetch::{ObjectFetcher, OpeningOrder};
use crate::scan::object::EventFilter;
use crate::scan::report::ReadLog;
use crate::scan::source::{LogSource, MESSAGE, file_schema};
use crate::scan::table::opening_order;
use crate::scan::tally::Tally;
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
    let projection = source.projection.iter().map(|projected| {
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
    sent.add(id, source, listed.unwrap_or_default());
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
    .received(projection, Arc::clone(&reported))?;
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

#[cfg(test)]
mod tests {
    use datafusion::execution::memory_pool::{MemoryPool, UnboundedMemoryPool};

    use super::*;

    #[test]
    fn what_is_no_scan_is_refused() {
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        let received = Received::new(Budget::new(&pool), None);
        let compressed = |bytes: &[u8]| zstd::stream::encode_all(bytes, LEVEL).unwrap();
        let no_file = ScanMessage {
            id: Uuid::now_v7().as_bytes().to_vec(),
            zone: "UTC".to_owned(),
            url: "s3://bucket".to_owned(),
            partitions: vec![PartitionMessage {
                files: vec![FileMessage { objects: vec![0] }],
            }],
            ..ScanMessage::default()
        };
        let no_zone = ScanMessage {
            zone: "Mars/Base".to_owned(),
            ..no_file.clone()
        };
        for (bytes, expected) in [
            (b"text".to_vec(), "is not zstd"),
            (compressed(b"text"), "can't be read"),
            (
                compressed(&no_file.encode_to_vec()),
                "has a file without its objects",
            ),
            (
                compressed(&no_zone.encode_to_vec()),
                r#"has the zone "Mars/Base""#,
            ),
            (compressed(b""), "has no id"),
        ] {
            let refused =
                Error::from_engine(decode(&bytes, &received, |_, _| unreachable!()).unwrap_err());
            assert!(refused.to_string().contains(expected), "{refused}");
        }
    }
}
