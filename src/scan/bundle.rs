//! Objects that the engine opens as one file: a Lambda function leaves thousands of objects of a few kilobytes, and the
//! engine's own work for each file and each batch costs more than reading them.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::error::Result;
use object_store::{ObjectMeta, ObjectStore};

use super::batch::BatchBuilder;
use super::budget::Claim;
use super::fetch::ObjectFetcher;
use super::object::{Counts, EventFilter, FillOutcome, ObjectName, ObjectReader, read_error};
use crate::error::{Class, Error};
use crate::layout::cloudwatch::LogObject;
use crate::window::Range;

/// The most compressed bytes of a bundle. A larger object is a bundle of its own.
const MOST_BYTES: u64 = 1 << 20;

/// Bundles for each partition, where there are enough objects, so that all partitions end at about the same time.
const FOR_EACH_PARTITION: u64 = 16;

/// An object of a bundle.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) meta: ObjectMeta,
    /// The times of its events that are read.
    range: Range,
}

/// One or more objects, in the order in which they are read.
#[derive(Debug, Clone)]
pub(super) struct Bundle(Arc<[Member]>);

impl Bundle {
    /// The bundle of a file that the engine opens. An error where the file has none, or is only a part of one: read as
    /// the object that it is named by, it would have too few or too many events.
    pub(super) fn of(file: &PartitionedFile) -> Result<Self> {
        let wrong = |what: String| {
            let location = &file.object_meta.location;
            let message = format!("the scan's file {location} {what}");
            Err(Error::new(Class::Unexpected, message).into())
        };
        match (file.extension::<Self>(), &file.range) {
            (Some(bundle), None) => Ok(bundle.clone()),
            (_, Some(range)) => wrong(format!(
                "has the byte range {}..{}: expected whole files, since gzip can't be read from the middle",
                range.start, range.end
            )),
            (None, None) => wrong(
                "has no list of its objects: expected the files that the table `logs` planned, with their extensions"
                    .to_owned(),
            ),
        }
    }

    /// Its objects.
    pub(super) fn members(&self) -> &[Member] {
        &self.0
    }
}

/// Joins neighbours that are `alike`, as far as enough bundles for the partitions remain. Each comes with its first
/// object.
pub(super) fn bundles<'a>(
    objects: &[&'a LogObject],
    partitions: usize,
    alike: impl Fn(&LogObject, &LogObject) -> bool,
) -> Vec<(&'a LogObject, Bundle)> {
    let bytes: u64 = objects.iter().map(|object| object.meta.size).sum();
    let most = (bytes / (partitions as u64 * FOR_EACH_PARTITION)).min(MOST_BYTES);
    let mut bundles = Vec::new();
    let mut rest = objects;
    while let Some((first, behind)) = rest.split_first() {
        let mut bytes = first.meta.size;
        let joined = behind.iter().take_while(|object| {
            bytes += object.meta.size;
            bytes <= most && alike(first, object)
        });
        let (together, others) = rest.split_at(1 + joined.count());
        let members = together.iter().map(|object| Member {
            meta: object.meta.clone(),
            range: object.range.unwrap_or(Range::ALL),
        });
        bundles.push((*first, Bundle(members.collect())));
        rest = others;
    }
    bundles
}

/// A bundle as a file of the engine: with the size of all its objects, and the values of the table's other columns.
pub(super) fn as_file(bundle: Bundle, values: Vec<ScalarValue>) -> PartitionedFile {
    let mut meta = bundle.members()[0].meta.clone();
    meta.size = bundle.members().iter().map(|member| member.meta.size).sum();
    PartitionedFile::new_from_meta(meta)
        .with_partition_values(values)
        .with_extension(bundle)
}

/// How the objects of a scan are read.
pub(super) struct Reading {
    pub(super) objects: Arc<dyn ObjectStore>,
    /// The text before a key in messages, `s3://bucket/` or `/`.
    pub(super) place: Arc<str>,
    pub(super) filter: EventFilter,
    pub(super) claim: Arc<Claim>,
    pub(super) fetcher: Arc<ObjectFetcher>,
    pub(super) counts: Counts,
}

impl Reading {
    async fn open(&self, member: &Member) -> Result<ObjectReader> {
        self.claim.open();
        let name = ObjectName {
            place: Arc::clone(&self.place),
            key: member.meta.location.clone(),
        };
        let content = self
            .fetcher
            .fetch(&self.objects, &member.meta)
            .await
            .map_err(|error| read_error(&name, error))?;
        let filter = EventFilter {
            window: self.filter.window.intersect(member.range),
            rows: self.filter.rows.intersect(member.range),
            ..self.filter
        };
        Ok(ObjectReader::new(
            name,
            filter,
            member.meta.size,
            content,
            &self.claim,
            self.counts.clone(),
        ))
    }
}

/// A bundle on its way to batches, which may have events of several of its objects.
pub(super) struct BundleReader {
    reading: Arc<Reading>,
    bundle: Bundle,
    /// The number of its objects that were opened.
    opened: usize,
    current: Option<ObjectReader>,
    batch: BatchBuilder,
}

impl BundleReader {
    /// A reader that has not opened anything yet.
    pub(super) fn new(reading: Arc<Reading>, bundle: Bundle, batch: BatchBuilder) -> Self {
        Self {
            reading,
            bundle,
            opened: 0,
            current: None,
            batch,
        }
    }

    /// The next batch; `None` behind the last one.
    pub(super) async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(reader) = &mut self.current {
                match reader.fill(&mut self.batch).await? {
                    FillOutcome::Batch => return Ok(Some(self.batch.finish()?)),
                    FillOutcome::ObjectEnd => self.current = None,
                }
            }
            let Some(member) = self.bundle.members().get(self.opened) else {
                return match self.batch.is_empty() {
                    true => Ok(None),
                    false => Ok(Some(self.batch.finish()?)),
                };
            };
            self.opened += 1;
            self.current = Some(self.reading.open(member).await?);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(stream: &str, size: u64) -> LogObject {
        let meta = ObjectMeta {
            location: format!("t/{stream}/{size:06}.gz").into(),
            last_modified: Default::default(),
            size,
            e_tag: None,
            version: None,
        };
        LogObject::new(meta, None).unwrap()
    }

    fn sizes(bundles: &[(&LogObject, Bundle)]) -> Vec<Vec<u64>> {
        let members = bundles.iter().map(|(_, bundle)| bundle.members());
        members
            .map(|members| members.iter().map(|member| member.meta.size).collect())
            .collect()
    }

    #[test]
    fn a_file_without_its_objects_or_with_a_byte_range_is_refused() {
        let objects = [object("a", 10), object("a", 20)];
        let objects: Vec<&LogObject> = objects.iter().collect();
        let bundle = Bundle(
            objects
                .iter()
                .map(|object| Member {
                    meta: object.meta.clone(),
                    range: Range::ALL,
                })
                .collect(),
        );
        let file = as_file(bundle, Vec::new());
        let refusal = |file: &PartitionedFile| {
            let error = Error::from_engine(Bundle::of(file).unwrap_err());
            assert_eq!(error.class(), Class::Unexpected);
            error.to_string()
        };
        assert_eq!(Bundle::of(&file).unwrap().members().len(), 2);
        // As a codec would make it that does not know the extension.
        let bare = PartitionedFile::new_from_meta(file.object_meta.clone());
        let told = refusal(&bare);
        assert!(
            told.contains("t/a/000010.gz has no list of its objects"),
            "{told}"
        );
        // As an engine would make it that splits files.
        for part in [file.clone().with_range(0, 15), bare.with_range(15, 30)] {
            let told = refusal(&part);
            assert!(told.contains("has the byte range"), "{told}");
        }
    }

    #[test]
    fn small_neighbours_are_joined_and_there_stay_enough_bundles() {
        let objects: Vec<LogObject> = (0..3200).map(|_| object("a", 100)).collect();
        let objects: Vec<&LogObject> = objects.iter().collect();
        let joined = bundles(&objects, 2, |_, _| true);
        assert_eq!(sizes(&joined), vec![vec![100; 100]; 32]);
        assert_eq!(bundles(&objects[..20], 2, |_, _| true).len(), 20);
        assert!(bundles(&[], 2, |_, _| true).is_empty());
    }

    #[test]
    fn large_objects_and_those_that_differ_stay_alone() {
        let mut objects = Vec::new();
        for stream in ["a", "b"] {
            objects.extend([10, 10, MOST_BYTES, 10, 10].map(|size| object(stream, size)));
        }
        objects.extend((0..40).map(|_| object("c", MOST_BYTES)));
        let objects: Vec<&LogObject> = objects.iter().collect();
        let by_stream = bundles(&objects, 1, |a, b| a.log_stream == b.log_stream);
        let large = vec![MOST_BYTES];
        assert_eq!(
            sizes(&by_stream)[..7],
            [
                vec![10, 10],
                large.clone(),
                vec![10, 10],
                vec![10, 10],
                large.clone(),
                vec![10, 10],
                large,
            ]
        );
        let file = as_file(by_stream[0].1.clone(), Vec::new());
        assert_eq!(file.object_meta.size, 20);
        assert_eq!(Bundle::of(&file).unwrap().members().len(), 2);
    }
}
