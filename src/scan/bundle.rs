//! Objects that the engine opens as one: a Lambda function leaves thousands of objects of a few kilobytes, and the
//! engine's own work for each file and each batch costs more than reading so little.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::error::Result;
use object_store::{ObjectMeta, ObjectStore};

use super::batch::BatchBuilder;
use super::budget::Claim;
use super::fetch::Fetcher;
use super::object::{Counts, Filled, ObjectName, ObjectReader, Wanted, unreadable};
use crate::layout::cloudwatch::LogObject;
use crate::window::Range;

/// Compressed bytes of a bundle, at the most. An object that is larger is a bundle of its own.
const MOST_BYTES: u64 = 1 << 20;

/// So many bundles for each partition, where there are objects enough, so that all partitions end at about the same time.
const FOR_EACH_PARTITION: u64 = 16;

/// An object of a bundle.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) meta: ObjectMeta,
    /// Only these of its events.
    range: Range,
}

/// One or more objects, in the order in which they are read.
#[derive(Debug, Clone)]
pub(super) struct Bundle(Arc<[Member]>);

impl Bundle {
    /// What the engine opens stands for.
    pub(super) fn of(file: &PartitionedFile) -> Self {
        file.extension::<Self>().cloned().unwrap_or_else(|| {
            let member = Member {
                meta: file.object_meta.clone(),
                range: Range::ALL,
            };
            Self(Arc::new([member]))
        })
    }

    /// Its objects.
    pub(super) fn members(&self) -> &[Member] {
        &self.0
    }
}

/// Joins neighbours that `alike` allows, as far as there stay enough bundles for the partitions. Each comes with its first
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

/// A bundle as the engine knows it: a file of the size of all of them, with the values of the table's other columns.
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
    /// What stands before a key in messages to people.
    pub(super) place: Arc<str>,
    pub(super) wanted: Wanted,
    pub(super) claim: Arc<Claim>,
    pub(super) fetcher: Arc<Fetcher>,
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
            .map_err(|error| unreadable(&name, error))?;
        let wanted = Wanted {
            window: self.wanted.window.intersect(member.range),
            rows: self.wanted.rows.intersect(member.range),
            ..self.wanted
        };
        Ok(ObjectReader::new(
            name,
            wanted,
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
    /// How many of its objects were opened.
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
                    Filled::Batch => return Ok(Some(self.batch.finish()?)),
                    Filled::Object => self.current = None,
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
        assert_eq!(Bundle::of(&file).members().len(), 2);
    }
}
